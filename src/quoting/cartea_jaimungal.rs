//! Quotes of a maker who pays a running penalty on the square of inventory (Cartea, Jaimungal,
//! Penalva, "Algorithmic and High-Frequency Trading", 2015, ch. 10), with arrivals of their own on
//! each side.
//!
//! With φ = γσ²/2 and equal arrivals it is Guéant's model without execution aversion.

use std::f64::consts::E;

use super::exact::{MAX_UNITS, Problem};
use super::tridiagonal::Tridiagonal;

/// The market and the penalties, in price units, quotes held and seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalised {
    /// Decay κ of arrivals per price unit of depth.
    pub k: f64,
    /// Sellers per second at depth zero: they hit the bid.
    pub sellers: f64,
    /// Buyers per second at depth zero: they lift the ask.
    pub buyers: f64,
    /// Running penalty φ: q units held cost φq² a second.
    pub running: f64,
    /// Penalty α at the end: q units left over cost αq².
    pub terminal: f64,
    /// Expected drift of the price, price units per second.
    pub drift: f64,
    /// Expected move of the price against each fill, price units.
    pub impact: f64,
}

/// The problem for inventories of up to `q_max` quotes. `None` unless arrivals and their decay are
/// above zero, the running penalty not below, `q_max` within 1 to [`MAX_UNITS`], and the rest
/// finite.
#[must_use]
pub fn problem(market: Penalised, q_max: usize) -> Option<Problem> {
    let Penalised { k, sellers, buyers, running, terminal, drift, impact } = market;
    let positive = [k, sellers, buyers].iter().all(|v| v.is_finite() && *v > 0.0);
    let finite = [running, terminal, drift, impact].iter().all(|v| v.is_finite());
    if !(positive && finite && running >= 0.0 && (1..=MAX_UNITS).contains(&q_max)) {
        return None;
    }
    let against = (-k * impact / 2.0).exp() / E;
    let q_max = q_max as i64;
    let matrix = Tridiagonal {
        diagonal: (-q_max..=q_max)
            .map(|q| k * (running * (q * q) as f64 - drift * q as f64))
            .collect(),
        up: sellers * against,
        down: buyers * against,
    };
    let end_penalty = terminal + impact / 2.0;
    Some(Problem { matrix, margin: 1.0 / k + impact / 2.0, k, end_penalty })
}
