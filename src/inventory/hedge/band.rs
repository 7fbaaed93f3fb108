//! How far may inventory drift before it is worth paying to take it off?
//!
//! A maker who skews his quotes sheds inventory for nothing, by being filled; a hedge costs. So
//! inside a band he internalises and outside he externalises, back to the *edge* of the band and
//! not to zero (Barzykin, Bergault, Guéant, arXiv:2106.06974). The band here is the own derivation
//! of the shared quant notes, §5: exact for one asset, and a closed form that is within one lot of
//! it.
//!
//! Units are free as long as they agree: costs and skew in one price unit, inventory in one unit
//! of size (lots of the model, or base).

use std::f64::consts::E;

/// The half-width of the band: b = (x³ + 3·s²·x)^⅓ with x = cost / skew.
///
/// `cost_per_unit` is what hedging one unit now costs, `skew_per_unit` how far quotes move per unit
/// held, `std_units` the standard deviation of the inventory that the skew alone would leave.
/// Limits: a cost far above the skew gives x ("hedge when your own skew exceeds the taker cost");
/// a skew near nothing gives the reflecting band of Whalley and Wilmott, [`unskewed_band`].
/// `None` unless cost and deviation are finite and not below zero, and the skew is above zero.
#[must_use]
pub fn hedge_band(cost_per_unit: f64, skew_per_unit: f64, std_units: f64) -> Option<f64> {
    let known = |value: f64| value.is_finite() && value >= 0.0;
    if !(known(cost_per_unit) && known(skew_per_unit) && known(std_units)) || skew_per_unit == 0.0 {
        return None;
    }
    let x = cost_per_unit / skew_per_unit;
    let band = (x.powi(3) + 3.0 * std_units.powi(2) * x).cbrt();
    band.is_finite().then_some(band)
}

/// Standard deviation of the inventory of a maker whose quotes move `skew_per_unit` for each unit
/// held, with fills of one unit that decay as e^(−k·depth): 1/√(2·k·skew).
#[must_use]
pub fn unhedged_std(decay: f64, skew_per_unit: f64) -> f64 {
    (2.0 * decay * skew_per_unit).sqrt().recip()
}

/// The band of a maker who does not skew: (3·c·ν² / (2·γ·σ²))^⅓, with ν² the variance of his
/// inventory per second. Whalley and Wilmott's law with the fills in place of the option's gamma.
#[must_use]
pub fn unskewed_band(cost_per_unit: f64, variance_rate: f64, gamma: f64, sigma: f64) -> f64 {
    (3.0 * cost_per_unit * variance_rate / (2.0 * gamma * sigma * sigma)).cbrt()
}

/// What a maker who does not skew pays per second for risk and hedges with a band of `band` whole
/// units: ½γσ²·E\[q²\] over the uniform −b…b, and a hedge for each fill that would leave it.
#[must_use]
pub fn unskewed_cost_rate(
    band: u32,
    cost_per_unit: f64,
    fills_each_side: f64,
    gamma: f64,
    sigma: f64,
) -> f64 {
    let b = f64::from(band);
    let risk = gamma * sigma * sigma / 2.0 * b * (b + 1.0) / 3.0;
    risk + cost_per_unit * 2.0 * fills_each_side / (2.0 * b + 1.0)
}

/// The band of whole units that costs an unskewed maker the least.
#[must_use]
pub fn unskewed_band_units(
    cost_per_unit: f64,
    fills_each_side: f64,
    gamma: f64,
    sigma: f64,
) -> u32 {
    let cost = |band| unskewed_cost_rate(band, cost_per_unit, fills_each_side, gamma, sigma);
    // The cost falls, then rises: the first that is not worse than the next is the least.
    (0..MAX_BAND).find(|&band| cost(band) <= cost(band + 1)).unwrap_or(MAX_BAND)
}

/// The band when a hedge costs a fixed amount however large it is, and goes back to zero:
/// (12·K·ν² / (γ·σ²))^¼.
#[must_use]
pub fn fixed_cost_band(fixed_cost: f64, variance_rate: f64, gamma: f64, sigma: f64) -> f64 {
    (12.0 * fixed_cost * variance_rate / (gamma * sigma * sigma)).powf(0.25)
}

/// Widest band that is searched for, units.
const MAX_BAND: u32 = 10_000;

/// A maker of one asset with exponential fills, for the exact band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Franchise {
    /// Volatility: price units per √s.
    pub sigma: f64,
    /// Arrivals per second at depth zero, on each side.
    pub a: f64,
    /// Decay of arrivals per price unit of depth.
    pub k: f64,
    /// Risk aversion, per price unit and inventory unit.
    pub gamma: f64,
}

/// What a band is worth, and what life inside it is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandValue {
    /// Half-width, units.
    pub band: u32,
    /// Earned per second, risk charged, price units.
    pub value_rate: f64,
    /// Units hedged per second.
    pub hedge_rate: f64,
    /// Share of the fills that is not hedged away, 0 to 1.
    pub internalised: f64,
    /// Standard deviation of the inventory, units.
    pub std_units: f64,
}

impl Franchise {
    /// The ergodic value of holding inventory within ±`band` units, each fill beyond the edge
    /// hedged at once at `cost_per_unit` (infinite: such a fill is not made at all).
    ///
    /// The value is the top eigenvalue of the tridiagonal matrix with −φ·k·q² on the diagonal
    /// (φ = γσ²/2), A/e beside it, and A·e^(−1−k·c) added in both corners, over k.
    #[must_use]
    pub fn value(&self, band: u32, cost_per_unit: f64) -> BandValue {
        let b = f64::from(band);
        let beside = self.a / E;
        let corner = self.a * (-1.0 - self.k * cost_per_unit).exp();
        let charge = self.gamma * self.sigma * self.sigma / 2.0 * self.k;
        let mut diagonal: Vec<f64> =
            (0..=2 * band).map(|i| -charge * (f64::from(i) - b).powi(2)).collect();
        let last = diagonal.len() - 1;
        diagonal[0] += corner;
        diagonal[last] += corner;

        let top = top_eigenvalue(&diagonal, beside);
        let state = ground_state(&diagonal, beside, top);
        let weight: f64 = state.iter().map(|f| f * f).sum();
        let variance: f64 =
            state.iter().zip(0u32..).map(|(f, i)| f * f * (f64::from(i) - b).powi(2)).sum::<f64>()
                / weight;
        let hedge_rate = corner * (state[0].powi(2) + state[last].powi(2)) / weight;
        let moved: f64 = state.windows(2).map(|pair| 2.0 * beside * pair[0] * pair[1]).sum();
        BandValue {
            band,
            value_rate: top / self.k,
            hedge_rate,
            internalised: 1.0 - hedge_rate / (moved / weight + hedge_rate),
            std_units: variance.sqrt(),
        }
    }

    /// The band up to `widest` units that is worth the most at that cost.
    #[must_use]
    pub fn best_band(&self, cost_per_unit: f64, widest: u32) -> BandValue {
        let values = (0..=widest).map(|band| self.value(band, cost_per_unit));
        let better = |best: BandValue, next: BandValue| {
            if next.value_rate > best.value_rate { next } else { best }
        };
        values.reduce(better).unwrap_or_else(|| self.value(0, cost_per_unit))
    }
}

/// The largest eigenvalue of a symmetric tridiagonal matrix with the same number everywhere beside
/// the diagonal: bisection on the signs of the pivots of T − λ, all below zero only above it.
fn top_eigenvalue(diagonal: &[f64], beside: f64) -> f64 {
    let highest = diagonal.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut below, mut above) = (highest, highest + 2.0 * beside);
    for _ in 0..200 {
        let middle = f64::midpoint(below, above);
        if middle <= below || middle >= above {
            break;
        }
        let mut pivot = -1.0;
        let mut first = true;
        let is_above = diagonal.iter().all(|d| {
            pivot = if first { d - middle } else { d - middle - beside * beside / pivot };
            first = false;
            pivot < 0.0
        });
        if is_above {
            above = middle;
        } else {
            below = middle;
        }
    }
    above
}

/// Its eigenvector, by inverse iteration from just above: T − λ is negative definite there, so
/// elimination needs no pivoting, and the vector keeps one sign.
fn ground_state(diagonal: &[f64], beside: f64, top: f64) -> Vec<f64> {
    let shift = top + (top.abs() + beside) * 1e-12;
    let mut state = vec![1.0; diagonal.len()];
    for _ in 0..8 {
        let mut pivots = Vec::with_capacity(state.len());
        let mut rhs: Vec<f64> = state.iter().map(|f| -f).collect();
        for (i, d) in diagonal.iter().enumerate() {
            let mut pivot = d - shift;
            if i > 0 {
                let ratio = beside / pivots[i - 1];
                pivot -= ratio * beside;
                rhs[i] -= ratio * rhs[i - 1];
            }
            pivots.push(pivot);
        }
        for i in (0..state.len()).rev() {
            let next = if i + 1 < state.len() { beside * state[i + 1] } else { 0.0 };
            state[i] = (rhs[i] - next) / pivots[i];
        }
        let most = state.iter().copied().fold(0.0, |most: f64, f| most.max(f.abs()));
        state.iter_mut().for_each(|f| *f /= most);
    }
    state
}
