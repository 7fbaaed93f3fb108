//! Guéant, Lehalle and Fernandez-Tapia: how far from the reference price to quote, exactly or as a
//! straight line in inventory.
//!
//! Sources: Guéant, "Optimal market making", arXiv:1605.01862, (4.6) and (4.7); the exact solution,
//! drift and impact from Guéant, Lehalle, Fernandez-Tapia, arXiv:1105.3115, theorems 1 and 2,
//! propositions 4 and 5. The straight line is too steep far from flat: by a third at ten quotes
//! held, with coefficients fitted to a real market.
//!
//! Units are free as long as they agree. The quoting module uses basis points for prices, the
//! size of one quote for inventory, and seconds.

use std::f64::consts::E;

use super::Depths;
use super::exact::{MAX_UNITS, Problem};
use super::tridiagonal::Tridiagonal;

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

impl Market {
    fn is_usable(self) -> bool {
        [self.sigma, self.a, self.k].iter().all(|v| v.is_finite() && *v > 0.0)
    }
}

/// What a fill at the best margin earns, `ln(1+ξΔ/k)/(ξΔ)`, and `(1+ξΔ/k)^(k/(ξΔ)+1)`, the odds
/// against it; their limits for ξ → 0 are 1/k and e.
pub(super) fn margin(k: f64, execution_aversion: f64, lot: f64) -> (f64, f64) {
    let share = execution_aversion * lot / k;
    if share < 1e-9 {
        return (1.0 / k, E);
    }
    (share.ln_1p() / (k * share), ((1.0 / share + 1.0) * share.ln_1p()).exp())
}

/// The closed form for quotes of one inventory unit each; see [`depths_of_lots`].
#[must_use]
pub fn depths(market: Market, outlook: Outlook) -> Option<Depths> {
    depths_of_lots(market, outlook, 1.0)
}

/// The closed form for quotes of `lot` inventory units each. `None` unless σ, A, k, γ and the lot
/// are finite and above zero, the rest finite with ξ not below zero, and the result finite.
#[must_use]
pub fn depths_of_lots(market: Market, outlook: Outlook, lot: f64) -> Option<Depths> {
    let Market { sigma, a, k } = market;
    let Outlook { risk_aversion: gamma, execution_aversion, drift, impact } = outlook;
    if !(market.is_usable() && gamma > 0.0 && execution_aversion >= 0.0 && lot > 0.0) {
        return None;
    }
    let (base, odds) = margin(k, execution_aversion, lot);
    let carried = sigma * (gamma * odds / (2.0 * a * k * lot)).sqrt();
    let skew = carried * (k * impact / 4.0).exp();
    let result = Depths {
        half_spread: base + impact / 2.0 + skew * lot / 2.0,
        skew,
        shift: drift / (gamma * sigma * sigma) * skew,
    };
    let finite = [result.half_spread, result.skew, result.shift].iter().all(|v| v.is_finite());
    finite.then_some(result)
}

/// The exact problem for inventories of up to `q_max` quotes. `None` unless σ, A, k and γ are
/// finite and above zero, `q_max` is within 1 to [`MAX_UNITS`], and the rest is finite with ξ not
/// below zero.
#[must_use]
pub fn problem(market: Market, outlook: Outlook, q_max: usize) -> Option<Problem> {
    let Market { sigma, a, k } = market;
    let Outlook { risk_aversion: gamma, execution_aversion, drift, impact } = outlook;
    let finite = [gamma, drift, impact].iter().all(|v| v.is_finite());
    let bounded = (1..=MAX_UNITS).contains(&q_max);
    if !(market.is_usable() && finite && bounded && gamma > 0.0 && execution_aversion >= 0.0) {
        return None;
    }
    let (base, odds) = margin(k, execution_aversion, 1.0);
    let rate = a / odds * (-k * impact / 2.0).exp();
    let q_max = q_max as i64;
    let holding = |q: f64| k * (gamma * sigma * sigma / 2.0 * q * q - drift * q);
    let matrix = Tridiagonal {
        diagonal: (-q_max..=q_max).map(|q| holding(q as f64)).collect(),
        up: rate,
        down: rate,
    };
    Some(Problem { matrix, margin: base + impact / 2.0, k, end_penalty: impact / 2.0 })
}

/// The risk aversion (ξ = 0) whose inventory has the standard deviation `units`, from the
/// linearised dynamics: γ = A / (2 e k σ² s⁴). The skew per unit it gives is 1/(2 k s²).
#[must_use]
pub fn risk_aversion_for_std(market: Market, units: f64) -> f64 {
    market.a / (2.0 * E * market.k * market.sigma.powi(2) * units.powi(4))
}
