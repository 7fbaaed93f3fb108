//! How often takers reach how deep: λ(δ) = A·e^(−kδ) on each side, δ from the mid.

use std::collections::VecDeque;

use crate::domain::{Side, Span, Trade, Ts};

/// Most arrivals kept, counting those deep enough for the fit; when more arrive within the
/// window, the window is shorter.
pub const MAX_ARRIVALS: usize = 4096;

/// Depths at which the fit is held against the counts.
const CHECK_POINTS: usize = 8;

/// How intensity is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityParams {
    /// Trades older than this are forgotten.
    pub window: Span,
    /// Shortest time between two fits.
    pub refit_every: Span,
    /// The depths that the fit uses, bps from the mid: around where quotes stand, because no
    /// exponential fits all depths of a real market. On Binance BTC and ETH perpetuals most
    /// arrivals end at the touch; from 0 bps on R² is below zero, from 1 bps on it is 0.96.
    pub fit_from_bps: f64,
    /// End of that range, bps.
    pub fit_to_bps: f64,
    /// A fit from fewer arrivals within the range is not trusted.
    pub min_arrivals: usize,
    /// A fit that explains less of the variance of log counts is not trusted, 0 to 1.
    pub min_r_squared: f64,
    /// A used while no fit is trusted, per second and side.
    pub fallback_a_per_s: f64,
    /// k used while no fit is trusted, per bps.
    pub fallback_k_per_bps: f64,
}

impl Default for IntensityParams {
    fn default() -> IntensityParams {
        IntensityParams {
            window: Span::from_s(600),
            refit_every: Span::from_s(5),
            fit_from_bps: 1.0,
            fit_to_bps: 20.0,
            min_arrivals: 50,
            min_r_squared: 0.85,
            fallback_a_per_s: 0.5,
            fallback_k_per_bps: 0.5,
        }
    }
}

/// λ(δ) = A·e^(−kδ), fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Arrivals per second at depth zero.
    pub a_per_s: f64,
    /// Decay per unit of depth.
    pub k: f64,
    /// Share of the variance of log arrival counts over depth that the fit explains; can be
    /// below zero.
    pub r_squared: f64,
    /// Arrivals at or beyond the near end of the range.
    pub arrivals: usize,
}

/// What to quote with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// A, arrivals per second on each side.
    pub a_per_s: f64,
    /// k, per bps.
    pub k_per_bps: f64,
    /// False: the configured values, because the fit is missing or poor.
    pub trusted: bool,
    /// The latest fit, trusted or not.
    pub fit: Option<Fit>,
}

/// Fit λ(δ) = A·e^(−kδ) to the depths of all arrivals within `seconds`, by the maximum likelihood
/// of an exponential law beyond `from` that is only observed up to `to`:
/// k = (count within) / Σ(min(δ, to) − from), A = (count beyond from)/seconds · e^(k·from).
///
/// Depths are in any unit and k is per that unit. `None` when nothing can be fitted.
#[must_use]
pub fn fit(depths: &[f64], from: f64, to: f64, seconds: f64) -> Option<Fit> {
    let beyond = || depths.iter().filter(|&&depth| depth >= from);
    let arrivals = beyond().count();
    let within = beyond().filter(|&&depth| depth < to).count();
    let travelled: f64 = beyond().map(|depth| depth.min(to) - from).sum();
    if within == 0 || !(travelled > 0.0 && travelled.is_finite() && seconds > 0.0) {
        return None;
    }
    let k = within as f64 / travelled;
    let a_per_s = arrivals as f64 / seconds * (k * from).exp();
    let r_squared = explained(depths, from, to, k, arrivals);
    let good = k.is_finite() && a_per_s.is_finite() && a_per_s > 0.0;
    good.then_some(Fit { a_per_s, k, r_squared, arrivals })
}

/// R² of the log survival counts against the fitted line, at points from the near end to where
/// the fit expects one arrival in twenty, or the far end.
fn explained(depths: &[f64], from: f64, to: f64, k: f64, arrivals: usize) -> f64 {
    let reach = (3.0 / k).min(to - from);
    let points: Vec<(f64, f64)> = (1..=CHECK_POINTS)
        .map(|i| from + reach * i as f64 / CHECK_POINTS as f64)
        .map(|depth| {
            let count = depths.iter().filter(|&&d| d >= depth).count();
            // Half an arrival stands for none, whose logarithm does not exist.
            let observed = (count as f64).max(0.5).ln();
            (observed, (arrivals as f64).ln() - k * (depth - from))
        })
        .collect();
    let mean = points.iter().map(|p| p.0).sum::<f64>() / CHECK_POINTS as f64;
    let total: f64 = points.iter().map(|p| (p.0 - mean).powi(2)).sum();
    let left: f64 = points.iter().map(|p| (p.0 - p.1).powi(2)).sum();
    if total > 0.0 { 1.0 - left / total } else { 0.0 }
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Ts,
    aggressor: Side,
    depth_bps: f64,
}

/// The arrivals of one instrument, both sides pooled.
#[derive(Clone, Debug)]
pub struct Intensity {
    params: IntensityParams,
    arrivals: VecDeque<Arrival>,
    since: Option<Ts>,
    fitted_at: Option<Ts>,
    fit: Option<Fit>,
}

impl Intensity {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(params: IntensityParams) -> Intensity {
        Intensity { params, arrivals: VecDeque::new(), since: None, fitted_at: None, fit: None }
    }

    /// A public trade, and the mid (ticks) just before it. Prints of one order that swept several
    /// levels (same time, same side) are one arrival of the deepest of them. Fits anew when due.
    pub fn observe(&mut self, trade: &Trade, mid_ticks: f64) {
        let away = (trade.px.0 as f64 - mid_ticks) * trade.aggressor.sign() as f64;
        let depth_bps = (away / mid_ticks * 1e4).max(0.0);
        if !(mid_ticks > 0.0 && depth_bps.is_finite()) {
            return;
        }
        self.since.get_or_insert(trade.at);
        match self.arrivals.back_mut() {
            Some(last) if last.at == trade.at && last.aggressor == trade.aggressor => {
                last.depth_bps = last.depth_bps.max(depth_bps);
            }
            Some(_) | None => {
                self.make_room();
                self.arrivals.push_back(Arrival {
                    at: trade.at,
                    aggressor: trade.aggressor,
                    depth_bps,
                });
            }
        }
        self.refresh(trade.at);
    }

    /// Drop the last arrival if it ended too near to matter to the fit, or else, when all room is
    /// taken, the oldest.
    fn make_room(&mut self) {
        if self.arrivals.back().is_some_and(|last| last.depth_bps < self.params.fit_from_bps) {
            self.arrivals.pop_back();
        } else if self.arrivals.len() == MAX_ARRIVALS {
            self.since = self.arrivals.pop_front().map(|gone| gone.at);
        }
    }

    /// Forget what is older than the window, and fit anew when it is due. Every trade does this;
    /// call it from a timer as well, so that the fit follows a market that has gone quiet.
    pub fn refresh(&mut self, now: Ts) {
        if self.fitted_at.is_some_and(|at| now.since(at) < self.params.refit_every) {
            return;
        }
        self.fitted_at = Some(now);
        let start = now - self.params.window;
        while self.arrivals.front().is_some_and(|arrival| arrival.at < start) {
            self.arrivals.pop_front();
        }
        self.fit = self.since.and_then(|since| {
            let seconds = now.since(since.max(start)).seconds();
            let depths: Vec<f64> = self.arrivals.iter().map(|arrival| arrival.depth_bps).collect();
            // Two sides share the arrivals.
            fit(&depths, self.params.fit_from_bps, self.params.fit_to_bps, 2.0 * seconds)
        });
    }

    /// The fitted A and k where the fit is good, otherwise the configured ones.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let good = |fit: &Fit| {
            fit.arrivals >= self.params.min_arrivals && fit.r_squared >= self.params.min_r_squared
        };
        let (a_per_s, k_per_bps, trusted) = match self.fit.filter(good) {
            Some(fit) => (fit.a_per_s, fit.k, true),
            None => (self.params.fallback_a_per_s, self.params.fallback_k_per_bps, false),
        };
        Estimate { a_per_s, k_per_bps, trusted, fit: self.fit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{InstrumentId, Px, Qty};

    fn trade(px: i64, aggressor: Side, at: Ts) -> Trade {
        Trade { instrument: InstrumentId(0), px: Px(px), qty: Qty(1), aggressor, trade_id: 0, at }
    }

    /// Exponential depths by quantile, mean 2 bps (k = 0.5), alternating sides, four a second.
    fn feed(intensity: &mut Intensity, count: i64) {
        for i in 0..count {
            // Stepping by a number without common factor visits the quantiles in mixed order.
            let quantile = ((i * 619) % count) as f64 + 0.5;
            let depth_bps = -(1.0 - quantile / count as f64).ln() * 2.0;
            let side = if i % 2 == 0 { Side::Buy } else { Side::Sell };
            let px = 10_000_000 + side.sign() * (depth_bps * 1000.0) as i64;
            intensity.observe(&trade(px, side, Ts(i * 250_000_000)), 10_000_000.0);
        }
    }

    #[test]
    fn exponential_arrivals_are_recovered_and_trusted() {
        let mut intensity = Intensity::new(IntensityParams::default());
        feed(&mut intensity, 2000);
        intensity.refresh(Ts(0) + Span::from_s(500));
        let estimate = intensity.estimate();
        assert!(estimate.trusted, "{estimate:?}");
        assert!((estimate.a_per_s - 2.0).abs() < 0.05, "{estimate:?}");
        assert!((estimate.k_per_bps - 0.5).abs() < 0.01, "{estimate:?}");
    }

    #[test]
    fn few_or_unlike_arrivals_leave_the_configured_values() {
        let params = IntensityParams::default();
        let mut few = Intensity::new(params);
        feed(&mut few, 20);
        few.refresh(Ts(0) + Span::from_s(5));
        assert!(!few.estimate().trusted);
        assert_eq!(few.estimate().k_per_bps, params.fallback_k_per_bps);

        let mut unlike = Intensity::new(params);
        for i in 0..500 {
            // All at one depth: no exponential.
            unlike.observe(&trade(10_010_000, Side::Buy, Ts(i * 250_000_000)), 10_000_000.0);
        }
        unlike.refresh(Ts(0) + Span::from_s(125));
        assert!(!unlike.estimate().trusted, "{:?}", unlike.estimate());

        let mut none = Intensity::new(params);
        none.refresh(Ts(0));
        assert!(none.estimate().fit.is_none());
    }

    #[test]
    fn a_sweep_is_one_arrival_and_old_arrivals_leave() {
        let mut intensity = Intensity::new(IntensityParams::default());
        for px in [10_001_000, 10_003_000, 10_002_000] {
            intensity.observe(&trade(px, Side::Buy, Ts(5)), 10_000_000.0);
        }
        assert_eq!(intensity.arrivals.len(), 1);
        assert!((intensity.arrivals[0].depth_bps - 3.0).abs() < 1e-9);
        intensity.refresh(Ts(5) + Span::from_s(3600));
        assert!(intensity.arrivals.is_empty());
        for i in 0..2 * MAX_ARRIVALS as i64 {
            intensity.observe(&trade(10_002_000, Side::Buy, Ts(i)), 10_000_000.0);
        }
        assert_eq!(intensity.arrivals.len(), MAX_ARRIVALS);
        assert_eq!(intensity.since, Some(Ts(MAX_ARRIVALS as i64 - 1)));
    }
}
