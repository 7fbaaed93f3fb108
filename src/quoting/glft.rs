//! The closed form of Guéant, Lehalle and Fernandez-Tapia: how far from the reference price to
//! quote, as a straight line in inventory.
//!
//! Sources: Guéant, "Optimal market making", arXiv:1605.01862, (4.6) and (4.7); drift and impact
//! from Guéant, Lehalle, Fernandez-Tapia, arXiv:1105.3115, propositions 4 and 5.
//!
//! Units are free as long as they agree. The quoting module uses basis points for prices, the
//! size of one quote for inventory, and seconds.

use std::f64::consts::E;

use super::Depths;

/// What the market is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Market {
    /// Volatility: price units per √s.
    pub sigma: f64,
    /// Arrivals per second at depth zero, on each side.
    pub a: f64,
    /// Decay of arrivals per price unit of depth.
    pub k: f64,
}

/// What the maker wants and expects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Aversion γ to the risk of prices moving while inventory is held, per price unit and
    /// inventory unit.
    pub risk_aversion: f64,
    /// Aversion ξ to the risk of not being filled; zero suits crypto, γ gives GLFT of 2011.
    pub execution_aversion: f64,
    /// Expected drift of the price: price units per second.
    pub drift: f64,
    /// Expected move of the price against each fill (adverse selection): price units.
    pub impact: f64,
}

/// The closed form for lots of size one. `None` unless σ, A, k and γ are finite and above zero,
/// the rest finite with ξ not below zero, and the result finite.
#[must_use]
pub fn depths(market: Market, outlook: Outlook) -> Option<Depths> {
    let Market { sigma, a, k } = market;
    let Outlook { risk_aversion: gamma, execution_aversion: xi, drift, impact } = outlook;
    let positive = [sigma, a, k, gamma].iter().all(|v| v.is_finite() && *v > 0.0);
    if !(positive && xi >= 0.0) {
        return None;
    }
    // The limits for ξ → 0 are 1/k and e.
    let (base, power) = if xi / k < 1e-9 {
        (1.0 / k, E)
    } else {
        ((xi / k).ln_1p() / xi, ((k / xi + 1.0) * (xi / k).ln_1p()).exp())
    };
    let carried = sigma * (gamma * power / (2.0 * a * k)).sqrt();
    let skew = carried * (k * impact / 4.0).exp();
    let result = Depths {
        half_spread: base + impact / 2.0 + skew / 2.0,
        skew,
        shift: drift / (gamma * sigma * sigma) * skew,
    };
    let finite = [result.half_spread, result.skew, result.shift].iter().all(|v| v.is_finite());
    finite.then_some(result)
}

/// The risk aversion (ξ = 0) whose inventory has the standard deviation `units`, from the
/// linearised dynamics: γ = A / (2 e k σ² s⁴). The skew per unit it gives is 1/(2 k s²).
#[must_use]
pub fn risk_aversion_for_std(market: Market, units: f64) -> f64 {
    market.a / (2.0 * E * market.k * market.sigma.powi(2) * units.powi(4))
}
