//! The plain model: a fixed half-spread, and a skew that grows linearly to the inventory limit.

use super::Depths;

/// Depths whose skew reaches `skew_at_limit` when `limit_units` are held. `None` unless the limit
/// is above zero and the result finite.
#[must_use]
pub fn depths(half_spread: f64, skew_at_limit: f64, limit_units: f64) -> Option<Depths> {
    let skew = skew_at_limit / limit_units;
    let good = limit_units > 0.0 && half_spread.is_finite() && skew.is_finite();
    good.then_some(Depths { half_spread, skew, shift: 0.0 })
}
