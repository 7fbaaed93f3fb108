//! What does holding cost: funding of perpetuals, and their basis against spot.
//!
//! A positive funding rate is paid by longs to shorts. As a drift of what is held it is μ in the
//! drift term of Guéant, Lehalle, Fernandez-Tapia, arXiv:1105.3115, proposition 4.

use crate::domain::Money;

/// Seconds of a year of 365 days, as funding rates are annualised.
const YEAR_S: f64 = 31_536_000.0;

/// Cash received at the next settlement for a position, in quote; below zero when it is paid.
#[must_use]
pub fn funding_cash(position_base: Money, mark_price: Money, rate: Money) -> Money {
    -(position_base * mark_price * rate)
}

/// What holding one base unit earns from funding, in quote per second, spread evenly over the
/// interval; below zero when longs pay.
#[must_use]
pub fn drift_quote_per_s(mark_price: f64, rate: f64, interval_s: f64) -> f64 {
    -rate * mark_price / interval_s
}

/// The rate of one interval over a year, simple, as a ratio.
#[must_use]
pub fn annualised(rate: f64, interval_s: f64) -> f64 {
    rate * YEAR_S / interval_s
}

/// Price of a perpetual above its spot, basis points of spot; `None` without a spot price.
#[must_use]
pub fn basis_bps(spot: f64, perpetual: f64) -> Option<f64> {
    (spot > 0.0 && perpetual.is_finite()).then(|| (perpetual / spot - 1.0) * 1e4)
}
