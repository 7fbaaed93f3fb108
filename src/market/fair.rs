//! What is it worth, by the word of several venues at once?
//!
//! One efficient price that walks at random; each venue's price is it plus a slow basis and noise
//! (Kalman 1960, in one dimension). A price that has grown old counts for less by itself, because
//! the walk adds σ² a second to what is not known.

use serde::{Deserialize, Serialize};

use crate::domain::{Span, Ts};

/// The filter alone: one random walk, observed with noise. Any unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct FairFilter {
    at: Ts,
    state: Option<(f64, f64)>,
}

impl FairFilter {
    /// Lets time pass: the variance of what is not known grows by `variance_per_s` a second.
    pub fn advance(&mut self, now: Ts, variance_per_s: f64) {
        let elapsed = now.since(self.at).seconds();
        let sound = elapsed > 0.0 && variance_per_s.is_finite() && variance_per_s >= 0.0;
        if let Some((_, variance)) = self.state.as_mut().filter(|_| sound) {
            *variance += variance_per_s * elapsed;
        }
        self.at = self.at.max(now);
    }

    /// An observation with the variance of its noise, above zero; anything else is left out. The
    /// first is taken as it is.
    pub fn observe(&mut self, value: f64, noise_variance: f64) {
        if !(value.is_finite() && noise_variance.is_finite() && noise_variance > 0.0) {
            return;
        }
        self.state = Some(match self.state {
            None => (value, noise_variance),
            Some((fair, variance)) => {
                let gain = variance / (variance + noise_variance);
                (fair + gain * (value - fair), (1.0 - gain) * variance)
            }
        });
    }

    /// The price and the variance of its error; `None` before the first observation.
    #[must_use]
    pub fn estimate(&self) -> Option<(f64, f64)> {
        self.state
    }
}

/// How prices are fused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FusionParams {
    /// Half-life of each instrument's basis.
    pub basis_half_life: Span,
    /// Time that an instrument must have been watched before its basis is believed.
    pub warm_up: Span,
    /// A source that failed or stood apart counts again after this long in order.
    pub failback: Span,
    /// A price farther than this from the fused one, basis apart, is left out, basis points.
    pub max_disagreement_bps: f64,
}

/// An unchanged price says again what it says this often, and bases are followed this often.
const EVERY: Span = Span::from_ms(100);
/// A silence counts as at most this much time watched.
const LONGEST_GAP_S: f64 = 1.0;
/// Noise is how much worse than the best a price foretold the fused price so long ahead.
const HORIZON: Span = Span::from_s(1);
/// Forecasts judged before noise is told apart.
const WARM_FORECASTS: u32 = 30;
/// Weight of the newest forecast's error once there are many.
const NEWEST: f64 = 0.02;
/// No price is exact to less than this, bps².
const LEAST_NOISE_BPS2: f64 = 0.0025;

/// One instrument's part.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    /// Latest price, 10⁴ × its logarithm.
    level: Option<f64>,
    seen_at: Ts,
    fused_at: Ts,
    spread_bps: f64,
    basis_bps: Option<f64>,
    watched_s: f64,
    foretold: Option<f64>,
    forecasts: u32,
    error_bps2: f64,
    noise_bps2: f64,
    healthy_since: Option<Ts>,
    has_failed: bool,
}

/// What one instrument contributes, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SourceView {
    /// Its price above the fused one, slow average, basis points.
    pub basis_bps: Option<f64>,
    /// Standard deviation of its noise, basis points.
    pub noise_bps: f64,
    /// Its share in the fused price now, 0 to 1.
    pub weight: f64,
    /// It counts now.
    pub counts: bool,
}

/// The fair price of one base asset over all its instruments.
#[derive(Clone, Debug)]
pub struct Fusion {
    params: FusionParams,
    filter: FairFilter,
    sources: Vec<Source>,
    followed_at: Ts,
    judged_at: Ts,
    variance_per_s: f64,
}

impl Fusion {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(params: FusionParams) -> Fusion {
        Fusion {
            params,
            filter: FairFilter::default(),
            sources: Vec::new(),
            followed_at: Ts(0),
            judged_at: Ts(0),
            variance_per_s: 0.0,
        }
    }

    /// Takes other settings; what has been learnt stays.
    pub fn retune(&mut self, params: FusionParams) {
        self.params = params;
    }

    /// Makes room for sources 0 to `count` − 1.
    pub fn resize(&mut self, count: usize) {
        self.sources.resize_with(count.max(self.sources.len()), Source::default);
    }

    /// Whether the source's book is proven, alive and not crossed. After a failure it must be so
    /// for a while before it counts again.
    pub fn set_health(&mut self, source: usize, now: Ts, healthy: bool) {
        let Some(source) = self.sources.get_mut(source) else { return };
        if healthy {
            source.healthy_since.get_or_insert(now);
        } else {
            source.has_failed |= source.healthy_since.is_some();
            source.healthy_since = None;
        }
    }

    /// The source's own fair price, its spread in basis points, and the volatility to reckon with,
    /// basis points per √s. What is no price is left out.
    pub fn observe(&mut self, index: usize, now: Ts, price: f64, spread_bps: f64, sigma: f64) {
        let sound = price.is_finite() && price > 0.0 && index < self.sources.len();
        let scaled = |value: f64| value.is_finite() && value >= 0.0;
        if !(sound && scaled(spread_bps) && scaled(sigma)) {
            return;
        }
        self.variance_per_s = sigma * sigma;
        let level = price.ln() * 1e4;
        let source = &mut self.sources[index];
        let same = source.level == Some(level) && now.since(source.fused_at) < EVERY;
        (source.level, source.seen_at, source.spread_bps) = (Some(level), now, spread_bps);
        if same || source.healthy_since.is_none() {
            return;
        }
        source.fused_at = now;
        self.filter.advance(now, sigma * sigma);
        self.fuse(index, now, level);
        self.follow(now);
    }

    fn fuse(&mut self, index: usize, now: Ts, level: f64) {
        let Some((fair, _)) = self.filter.estimate() else {
            // The first price is the anchor that the others' bases are measured against.
            let source = &mut self.sources[index];
            source.basis_bps = Some(0.0);
            source.watched_s = self.params.warm_up.seconds();
            self.filter.observe(level, self.noise(index));
            return;
        };
        let basis = *self.sources[index].basis_bps.get_or_insert(level - fair);
        if !self.is_warm(index) {
            return;
        }
        if (level - basis - fair).abs() > self.params.max_disagreement_bps {
            let source = &mut self.sources[index];
            (source.has_failed, source.healthy_since) = (true, Some(now));
            if !self.any_counts(now) {
                // Nobody is left who says otherwise: the market is there now.
                self.filter = FairFilter { at: now, state: None };
                self.filter.observe(level - basis, self.noise(index));
                self.sources[index].has_failed = false;
            }
        } else if self.counts(index, now) {
            self.filter.observe(level - basis, self.noise(index));
        } else if !self.any_counts(now) {
            self.sources[index].has_failed = false;
        }
    }

    /// Follows bases and judges forecasts, all sources at the same instants.
    fn follow(&mut self, now: Ts) {
        let Some((fair, _)) = self.filter.estimate() else { return };
        let elapsed = now.since(self.followed_at);
        if elapsed < EVERY {
            return;
        }
        self.followed_at = now;
        let dt = elapsed.seconds().min(LONGEST_GAP_S);
        let pull = 1.0 - (-dt / self.params.basis_half_life.seconds().max(1e-3)).exp2();
        let judging = now.since(self.judged_at) >= HORIZON;
        for index in 0..self.sources.len() {
            let watched = self.sources[index].healthy_since.is_some()
                && (self.counts(index, now) || !self.is_warm(index));
            let source = &mut self.sources[index];
            let (Some(level), Some(basis)) = (source.level, source.basis_bps) else { continue };
            if !watched {
                source.foretold = None;
                continue;
            }
            source.watched_s += dt;
            let weight = pull.max(dt / source.watched_s);
            source.basis_bps = Some(basis + weight * (level - fair - basis));
            if judging {
                let before = source.foretold.replace(level - basis);
                if let Some(foretold) = before {
                    source.forecasts = source.forecasts.saturating_add(1);
                    let newest = NEWEST.max(1.0 / f64::from(source.forecasts));
                    source.error_bps2 += newest * ((foretold - fair).powi(2) - source.error_bps2);
                }
            }
        }
        if judging {
            self.judged_at = now;
            self.measure_noise();
        }
    }

    /// What the walk adds within the horizon is common to all; what is left is the source's own.
    fn measure_noise(&mut self) {
        let judged = |source: &&Source| source.forecasts >= WARM_FORECASTS;
        let best = self.sources.iter().filter(judged).map(|s| s.error_bps2).min_by(f64::total_cmp);
        for source in &mut self.sources {
            source.noise_bps2 = match best.filter(|_| source.forecasts >= WARM_FORECASTS) {
                Some(best) => source.error_bps2 - best,
                None => 0.0,
            };
        }
    }

    /// Variance of the source's noise, bps²: of a price anywhere within its spread, and what its
    /// forecasts showed besides.
    fn noise(&self, index: usize) -> f64 {
        let source = &self.sources[index];
        (source.spread_bps.powi(2) / 12.0).max(LEAST_NOISE_BPS2) + source.noise_bps2
    }

    fn is_warm(&self, index: usize) -> bool {
        let source = self.sources.get(index);
        source.is_some_and(|source| source.watched_s >= self.params.warm_up.seconds())
    }

    /// Whether the source is in order and has been for long enough.
    #[must_use]
    pub fn counts(&self, index: usize, now: Ts) -> bool {
        let Some(source) = self.sources.get(index) else { return false };
        let in_order = source
            .healthy_since
            .is_some_and(|since| !source.has_failed || now.since(since) >= self.params.failback);
        in_order && self.is_warm(index)
    }

    fn any_counts(&self, now: Ts) -> bool {
        (0..self.sources.len()).any(|index| self.counts(index, now))
    }

    /// How many sources count.
    #[must_use]
    pub fn counting(&self, now: Ts) -> usize {
        (0..self.sources.len()).filter(|&index| self.counts(index, now)).count()
    }

    /// The fused price in the source's own terms, its basis added. `None` while its basis is not
    /// known, or fewer than two sources count: then there is nothing to fuse.
    #[must_use]
    pub fn fused(&self, index: usize, now: Ts) -> Option<f64> {
        let (fair, _) = self.filter.estimate()?;
        let basis = self.sources.get(index)?.basis_bps.filter(|_| self.is_warm(index))?;
        let price = ((fair + basis) * 1e-4).exp();
        (self.counting(now) >= 2 && price.is_finite()).then_some(price)
    }

    /// The leader's price in the source's own terms, the slow basis between them added. `None`
    /// while the leader does not count or a basis is not known.
    #[must_use]
    pub fn led(&self, leader: usize, index: usize, now: Ts) -> Option<f64> {
        let lead = self.sources.get(leader).filter(|_| self.counts(leader, now))?;
        let own = self.sources.get(index)?.basis_bps.filter(|_| self.is_warm(index))?;
        let price = ((lead.level? - lead.basis_bps? + own) * 1e-4).exp();
        price.is_finite().then_some(price)
    }

    /// What the source contributes now.
    #[must_use]
    pub fn view(&self, index: usize, now: Ts) -> SourceView {
        let precision = |index: usize| {
            let age = now.since(self.sources[index].seen_at).seconds().max(0.0);
            let counts = self.counts(index, now);
            if counts { 1.0 / (self.noise(index) + self.variance_per_s * age) } else { 0.0 }
        };
        let Some(source) = self.sources.get(index) else { return SourceView::default() };
        let total: f64 = (0..self.sources.len()).map(precision).sum();
        SourceView {
            basis_bps: source.basis_bps.filter(|_| self.is_warm(index)),
            noise_bps: self.noise(index).sqrt(),
            weight: if total > 0.0 { precision(index) / total } else { 0.0 },
            counts: self.counts(index, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: FusionParams = FusionParams {
        basis_half_life: Span::from_s(60),
        warm_up: Span::from_s(10),
        failback: Span::from_s(5),
        max_disagreement_bps: 50.0,
    };

    fn at(ms: i64) -> Ts {
        Ts::from_ms(1_000_000 + ms)
    }

    /// A walk of one tenth of a basis point or so every 100 ms.
    fn walk(step: i64) -> f64 {
        (0..=step).map(|i| if (i * i + i / 7) % 5 < 2 { 0.4 } else { -0.3 }).sum()
    }

    /// Three venues, the second 10 bps dearer and the third two steps late, for `steps` of 100 ms.
    fn fusion(steps: i64) -> Fusion {
        let mut fusion = Fusion::new(PARAMS);
        fusion.resize(3);
        run(&mut fusion, 0, steps);
        fusion
    }

    fn run(fusion: &mut Fusion, from: i64, to: i64) {
        for step in from..to {
            for (index, basis, lag) in [(0, 0.0, 0), (1, 10.0, 0), (2, -5.0, 2)] {
                fusion.set_health(index, at(step * 100), true);
                let level = walk(step - lag) + basis;
                let price = 100.0 * (level * 1e-4_f64).exp();
                fusion.observe(index, at(step * 100), price, 0.1, 1.2);
            }
        }
    }

    fn bps(price: f64, of: f64) -> f64 {
        (price / of).ln() * 1e4
    }

    #[test]
    fn bases_are_learnt_and_a_late_venue_is_found_noisy() {
        let cold = fusion(50);
        assert_eq!(cold.fused(0, at(5_000)), None, "nobody but the anchor counts");
        let warm = fusion(3_000);
        let now = at(299_900);
        let views = [0, 1, 2].map(|index| warm.view(index, now));
        let apart = views[1].basis_bps.unwrap() - views[0].basis_bps.unwrap();
        assert!((apart - 10.0).abs() < 0.2, "{views:?}");
        assert!(views[2].noise_bps > 2.0 * views[0].noise_bps, "{views:?}");
        assert!(views[2].weight < 0.2 && views[0].weight > 0.3, "{views:?}");
        let truth = 100.0 * (walk(2_999) * 1e-4_f64).exp();
        assert!(bps(warm.fused(0, now).unwrap(), truth).abs() < 0.5);
        assert!((bps(warm.fused(1, now).unwrap(), truth) - 10.0).abs() < 0.7);
        assert!((bps(warm.led(1, 0, now).unwrap(), truth)).abs() < 0.3);
    }

    #[test]
    fn a_jump_of_one_venue_is_left_out_and_one_of_all_is_followed() {
        let mut fusion = fusion(1_000);
        let (now, before) = (at(99_900), fusion.fused(0, at(99_900)).unwrap());
        fusion.observe(1, now, 110.0, 0.1, 1.2);
        assert!(!fusion.counts(1, now) && fusion.counting(now) == 2);
        assert_eq!(fusion.fused(0, now), Some(before));
        assert_eq!(fusion.led(1, 0, now), None);
        // It comes back, and counts again after a while in order.
        run(&mut fusion, 1_000, 1_040);
        assert!(!fusion.counts(1, at(103_900)), "4 s of 5");
        run(&mut fusion, 1_040, 1_060);
        assert!(fusion.counts(1, at(105_900)));
        // All of them go: the last one takes the price along.
        for index in 0..3 {
            fusion.observe(index, at(106_000), 110.0, 0.1, 1.2);
        }
        let after = at(106_000);
        assert_eq!(fusion.counting(after), 1, "the others must show themselves in order");
        assert!(
            bps(fusion.filter.estimate().map(|(x, _)| (x * 1e-4).exp()).unwrap(), 110.0).abs()
                < 20.0
        );
    }

    #[test]
    fn a_failed_leader_counts_again_after_a_while() {
        let mut fusion = fusion(1_000);
        assert!(fusion.led(1, 0, at(99_900)).is_some());
        fusion.set_health(1, at(100_000), false);
        assert_eq!(fusion.led(1, 0, at(100_000)), None);
        fusion.set_health(1, at(101_000), true);
        assert_eq!(fusion.led(1, 0, at(105_000)), None);
        assert!(fusion.led(1, 0, at(106_000)).is_some());
    }

    #[test]
    fn no_number_in_gives_no_number_out() {
        let mut fusion = fusion(1_000);
        let before = fusion.fused(0, at(100_000));
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            fusion.observe(0, at(100_000), bad, 0.1, 1.0);
            fusion.observe(0, at(100_000), 100.0, bad.min(-1.0), 1.0);
            fusion.observe(0, at(100_000), 100.0, 0.1, bad.min(-1.0));
        }
        fusion.observe(9, at(100_000), 100.0, 0.1, 1.0);
        fusion.set_health(9, at(100_000), true);
        assert_eq!(fusion.fused(0, at(100_000)), before);
        assert_eq!((fusion.fused(9, at(0)), fusion.led(9, 0, at(0))), (None, None));
        assert_eq!(fusion.view(9, at(0)), SourceView::default());
        let mut filter = FairFilter::default();
        filter.observe(f64::NAN, 1.0);
        filter.observe(1.0, 0.0);
        filter.advance(at(0), f64::NAN);
        assert_eq!(filter.estimate(), None);
    }
}
