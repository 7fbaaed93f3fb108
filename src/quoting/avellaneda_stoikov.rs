//! Avellaneda and Stoikov, "High-frequency trading in a limit order book", Quantitative Finance
//! 8(3), 2008: reservation prices and the spread around them.
//!
//! Not optimal: at a risk aversion of 0.5 in the market of the paper, the quotes are worth 0.73 of
//! the optimum where GLFT is worth 0.999. Here because everybody knows the model and may want it
//! to compare with.

use super::Depths;

/// With `time_left` seconds to the end, (29) and (30): the reservation price is qγσ²(T−t) below
/// the reference, the spread γσ²(T−t) + (2/γ)ln(1+γ/k). `None` unless k is above zero, nothing is
/// below zero, and all are finite.
#[must_use]
pub fn finite(sigma: f64, k: f64, gamma: f64, time_left: f64) -> Option<Depths> {
    let skew = gamma * sigma * sigma * time_left;
    let half_spread = skew / 2.0 + margin(k, gamma)?;
    let good = sigma >= 0.0 && time_left >= 0.0 && skew.is_finite() && half_spread.is_finite();
    good.then_some(Depths { half_spread, skew, shift: 0.0 })
}

/// With no end, section 2.4: bid and ask depth at inventory `q` of at most `q_max`. The volatility
/// cancels, because ω is chosen as γ²σ²(q_max+1)²/2. `None` unless k, γ and `q_max` are finite and
/// above zero and `q` is within its limits; a depth is infinite at the limit.
///
/// The ask follows from the definition v(x + rᵃ, s, q − 1) = v(x, s, q) and mirrors the bid. The
/// paper prints ln(1 + (1−2q)/…) for −ln(1 − (1−2q)/…), which is the same to first order only and
/// would skew quotes of a flat book.
#[must_use]
pub fn infinite(k: f64, gamma: f64, q_max: f64, q: f64) -> Option<[f64; 2]> {
    let margin = margin(k, gamma)?;
    if !(gamma > 0.0 && q_max.is_finite() && q_max > 0.0 && q.abs() <= q_max) {
        return None;
    }
    let room = (q_max + 1.0).powi(2) - q * q;
    let depth = |q: f64| margin - ((-1.0 - 2.0 * q) / room).ln_1p() / gamma;
    Some([depth(q), depth(-q)])
}

/// `ln(1+γ/k)/γ`, 1/k for γ → 0.
fn margin(k: f64, gamma: f64) -> Option<f64> {
    let good = k.is_finite() && k > 0.0 && gamma.is_finite() && gamma >= 0.0;
    good.then(|| super::glft::margin(k, gamma, 1.0).0)
}
