//! How often takers reach how deep: λ(δ) = A·e^(−kδ) on each side, δ from the mid.

use std::collections::VecDeque;

use super::arrival_rates::{
    LogLine, Weighting, log_line, price_motion_inflation, survival_regression, waiting_time_rate,
};
use crate::domain::{Side, Span, Trade, Ts};

/// Most arrivals kept, counting those deep enough for the fit; when more arrive within the
/// window, the window is shorter.
pub const MAX_ARRIVALS: usize = 4096;

/// Depths at which the fit is held against the counts.
const CHECK_POINTS: usize = 8;

/// Waits for an execution are broken off after this, where rates come from waiting times.
const WAIT_CAP_S: f64 = 10.0;

/// The range of the fit, in half-spreads at which we quote: from half of one to four of them.
const RANGE: (f64, f64) = (0.5, 4.0);

/// Weight of the newest half-spread in where we quote, at one a second: a half-life of 35 s.
const NEWEST_QUOTE: f64 = 0.02;

/// How A and k are found from the depths of arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalEstimator {
    /// Maximum likelihood of a truncated exponential.
    Likelihood,
    /// Regression of log survival counts on depth, weighted by count.
    Regression,
    /// The same of rates from waiting times.
    WaitingTimes,
}

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
    /// End of that range, bps. Both are where it begins; it follows our quotes once there are any
    /// ([`Intensity::follow_quotes`]), and never comes nearer than its near end.
    pub fit_to_bps: f64,
    /// A fit from fewer arrivals within the range is not trusted.
    pub min_arrivals: usize,
    /// A fit that explains less of the variance of log counts is not trusted, 0 to 1.
    pub min_r_squared: f64,
    /// How A and k are found.
    pub estimator: ArrivalEstimator,
    /// How long a quote stays where it is: depths are measured from a mid up to that old, as a
    /// resting quote would see them, and A is corrected for the motion of the price meanwhile.
    /// Zero: from the mid just before each trade.
    pub quote_life: Span,
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
            estimator: ArrivalEstimator::Likelihood,
            quote_life: Span::ZERO,
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
    /// The mid that a quote of its age was set by.
    held: Option<(Ts, f64)>,
    volatility_bps_sqrt_s: f64,
    quoted_bps: Option<(f64, f64)>,
}

impl Intensity {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(params: IntensityParams) -> Intensity {
        Intensity {
            params,
            arrivals: VecDeque::new(),
            since: None,
            fitted_at: None,
            fit: None,
            held: None,
            volatility_bps_sqrt_s: 0.0,
            quoted_bps: None,
        }
    }

    /// Takes another life of quotes and other fallbacks; arrivals stay.
    pub fn retune(&mut self, quote_life: Span, fallback_a_per_s: f64, fallback_k_per_bps: f64) {
        self.params.quote_life = quote_life;
        self.params.fallback_a_per_s = fallback_a_per_s;
        self.params.fallback_k_per_bps = fallback_k_per_bps;
    }

    /// The mid (ticks) now; a quote that is set now and stays measures depth from it.
    pub fn observe_mid(&mut self, now: Ts, mid_ticks: f64) {
        let due = self.held.is_none_or(|(at, _)| now.since(at) >= self.params.quote_life);
        if due && mid_ticks.is_finite() && mid_ticks > 0.0 {
            self.held = Some((now, mid_ticks));
        }
    }

    /// Where we quote: half-spread and the offset of the deepest level, basis points, told about
    /// once a second. The fit follows slowly.
    pub fn follow_quotes(&mut self, half_spread_bps: f64, deepest_bps: f64) {
        if !(half_spread_bps.is_finite() && half_spread_bps > 0.0 && deepest_bps >= 0.0) {
            return;
        }
        let (before, _) = self.quoted_bps.unwrap_or((half_spread_bps, deepest_bps));
        let half_spread = before + NEWEST_QUOTE * (half_spread_bps - before);
        self.quoted_bps = Some((half_spread, deepest_bps));
    }

    /// The volatility that A is corrected with, basis points per √s; what is none leaves the last.
    pub fn follow_volatility(&mut self, volatility_bps_sqrt_s: Option<f64>) {
        if let Some(sigma) = volatility_bps_sqrt_s.filter(|sigma| sigma.is_finite()) {
            self.volatility_bps_sqrt_s = sigma.max(0.0);
        }
    }

    /// The depths that the fit uses now, bps from the mid.
    #[must_use]
    pub fn range_bps(&self) -> (f64, f64) {
        let (near, far) = (self.params.fit_from_bps, self.params.fit_to_bps);
        let Some((half_spread, deepest)) = self.quoted_bps else { return (near, far) };
        let from = near.max(RANGE.0 * half_spread);
        (from, (RANGE.1 * half_spread + deepest).max(2.0 * from))
    }

    /// A public trade, and the mid (ticks) just before it. Prints of one order that swept several
    /// levels (same time, same side) are one arrival of the deepest of them. Fits anew when due.
    pub fn observe(&mut self, trade: &Trade, mid_ticks: f64) {
        self.observe_mid(trade.at, mid_ticks);
        let mid_ticks = match self.held {
            Some((_, held)) if self.params.quote_life > Span::ZERO => held,
            Some(_) | None => mid_ticks,
        };
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
            self.corrected(self.fitted(since.max(start), seconds)?)
        });
    }

    fn fitted(&self, since: Ts, seconds: f64) -> Option<Fit> {
        let (from, to) = self.range_bps();
        let depths: Vec<f64> = self.arrivals.iter().map(|arrival| arrival.depth_bps).collect();
        let step = (to - from) / CHECK_POINTS as f64;
        let levels: Vec<f64> = (0..CHECK_POINTS).map(|i| from + i as f64 * step).collect();
        let arrivals = depths.iter().filter(|depth| **depth >= from).count();
        let of_line = |line: LogLine| Fit {
            a_per_s: line.a_per_s,
            k: line.k,
            r_squared: line.r_squared,
            arrivals,
        };
        // Two sides share the arrivals.
        match self.params.estimator {
            ArrivalEstimator::Likelihood => fit(&depths, from, to, 2.0 * seconds),
            ArrivalEstimator::Regression => {
                survival_regression(&depths, &levels, 2.0 * seconds, Weighting::ByCount)
                    .map(of_line)
            }
            ArrivalEstimator::WaitingTimes => {
                let point = |&level: &f64| {
                    let waits = self.waits_s(since, seconds, level);
                    let rate = waiting_time_rate(&waits, WAIT_CAP_S)?;
                    Some((level, rate.per_s / 2.0, rate.executions as f64))
                };
                log_line(&levels.iter().filter_map(point).collect::<Vec<_>>()).map(of_line)
            }
        }
    }

    /// How long an order on both sides at that depth, put there anew every [`WAIT_CAP_S`], waited;
    /// the cap where nothing came.
    fn waits_s(&self, since: Ts, seconds: f64, level: f64) -> Vec<f64> {
        let mut waits = vec![WAIT_CAP_S; (seconds / WAIT_CAP_S) as usize];
        for arrival in self.arrivals.iter().filter(|arrival| arrival.depth_bps >= level) {
            let at = arrival.at.since(since).seconds().max(0.0);
            if let Some(wait) = waits.get_mut((at / WAIT_CAP_S) as usize) {
                *wait = wait.min(at % WAIT_CAP_S);
            }
        }
        waits
    }

    /// Takes the motion of the price out of A; a fit in which nothing but motion is left is none.
    fn corrected(&self, fit: Fit) -> Option<Fit> {
        let life_s = self.params.quote_life.seconds();
        let inflation = price_motion_inflation(self.volatility_bps_sqrt_s, fit.k, life_s)?;
        let a_per_s = fit.a_per_s / inflation;
        (fit.k > 0.0 && a_per_s.is_finite() && a_per_s > 0.0).then_some(Fit { a_per_s, ..fit })
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

    /// The same law with four arrivals a second at random times.
    fn feed_at_random(intensity: &mut Intensity, count: i64) {
        let mut word = 1_u64;
        let mut exponential = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            -(((word >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln()
        };
        let mut seconds = 0.0;
        for i in 0..count {
            seconds += 0.25 * exponential();
            let side = if i % 2 == 0 { Side::Buy } else { Side::Sell };
            let px = 10_000_000 + side.sign() * (2.0 * exponential() * 1000.0) as i64;
            intensity.observe(&trade(px, side, Ts((seconds * 1e9) as i64)), 10_000_000.0);
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
    fn every_estimator_recovers_exponential_arrivals_where_we_quote() {
        use ArrivalEstimator::{Likelihood, Regression, WaitingTimes};
        for (estimator, tolerance) in [(Likelihood, 0.15), (Regression, 0.15), (WaitingTimes, 0.3)]
        {
            let params = IntensityParams { estimator, ..IntensityParams::default() };
            let mut intensity = Intensity::new(params);
            intensity.follow_quotes(f64::NAN, 0.0);
            intensity.follow_quotes(3.0, 2.0);
            assert_eq!(intensity.range_bps(), (1.5, 14.0));
            feed_at_random(&mut intensity, 4000);
            let estimate = intensity.estimate();
            assert!(estimate.trusted, "{estimator:?} {estimate:?}");
            assert!((estimate.a_per_s / 2.0 - 1.0).abs() < tolerance, "{estimator:?} {estimate:?}");
            assert!(
                (estimate.k_per_bps / 0.5 - 1.0).abs() < tolerance,
                "{estimator:?} {estimate:?}"
            );
        }
    }

    #[test]
    fn the_motion_of_the_price_is_taken_out_and_may_leave_nothing() {
        let quote_life = Span::from_s(2);
        let mut moving =
            Intensity::new(IntensityParams { quote_life, ..IntensityParams::default() });
        moving.follow_volatility(Some(2.0));
        feed(&mut moving, 2000);
        moving.refresh(Ts(0) + Span::from_s(500));
        // k²σ²T/2 = 1 at k = 0.5: A is e − 1 = 1.72 times too high.
        let a_per_s = moving.estimate().a_per_s;
        assert!((a_per_s * 1.718 / 2.0 - 1.0).abs() < 0.05, "{a_per_s}");
        moving.follow_volatility(Some(f64::NAN));
        moving.follow_volatility(Some(1000.0));
        moving.refresh(Ts(0) + Span::from_s(510));
        assert!(!moving.estimate().trusted);
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
