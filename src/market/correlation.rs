//! How do the prices of different instruments move together: covariance, correlation and beta.
//!
//! Quotes of different venues arrive at different times, and on a fast grid two prices that are
//! one and the same market look unrelated (Epps effect: BTC perpetual against spot correlates 0.54
//! at 50 ms, 0.87 at 1 s, 0.98 at 10 s). All prices are therefore sampled together, at their last
//! value, no oftener than every 5 s, and only those that were heard of within that time.
//!
//! - Variance and covariance: squared moves over time with exponential weights,
//!   Σ w·x·y / Σ w·dt, the form of [`super::WeightedSquares`].
//! - Beta: a Kalman filter on y = β·x + noise with β a random walk. Its noise is what the
//!   covariances leave unexplained.
//!
//! Memory is bounded at the start: 28·n² + 4,200·n bytes for n instruments. A sample costs
//! O(n²), once per interval; an observation between samples costs nothing that depends on n.

use std::collections::VecDeque;

use crate::domain::{InstrumentId, Span, Ts};

/// How joint movement is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorrelationParams {
    /// After this long, a move counts half as much.
    pub half_life: Span,
    /// Time between two samples; at least 5 s (Epps effect).
    pub sample_every: Span,
    /// Joint samples before an estimate is trusted. 24 know a correlation of 0.8 to about ±0.08.
    pub trusted_samples: u32,
    /// Correlation of instruments of different bases until it is measured. High, because crypto
    /// assets fall together: holdings that add up are then not taken for diversified.
    pub prior_correlation: f64,
    /// Volatility until it is measured, bps per √s.
    pub prior_volatility_bps_sqrt_s: f64,
    /// One move counts as at most this many times the expected one, once the variance is trusted.
    pub max_move_ratio: f64,
    /// Drift of a beta: its standard deviation per √s.
    pub beta_drift_sqrt_s: f64,
}

impl Default for CorrelationParams {
    fn default() -> CorrelationParams {
        CorrelationParams {
            half_life: Span::from_s(600),
            sample_every: Span::from_s(5),
            trusted_samples: 24,
            prior_correlation: 0.7,
            prior_volatility_bps_sqrt_s: 2.0,
            max_move_ratio: 10.0,
            beta_drift_sqrt_s: 0.002,
        }
    }
}

/// A number with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number: measured where it is trusted, the prior otherwise. Always finite.
    pub value: f64,
    /// Joint samples so far.
    pub samples: u32,
    /// It is measured, on enough samples.
    pub trusted: bool,
}

/// Products of two moves over time, both decayed by age: Σ w·x·y / Σ w·dt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedProduct {
    sum: f64,
    seconds: f64,
    samples: u32,
}

impl WeightedProduct {
    /// Two moves over the same `dt_s` seconds; `keep` is what is left of the past, 0 to 1.
    /// Anything that is not finite, or took no time, is left out.
    pub fn add(&mut self, keep: f64, dt_s: f64, x: f64, y: f64) {
        let product = x * y;
        if product.is_finite() && dt_s.is_finite() && dt_s > 0.0 {
            self.sum = self.sum * keep + product;
            self.seconds = self.seconds * keep + dt_s;
            self.samples = self.samples.saturating_add(1);
        }
    }

    /// Covariance per second, in the product of the units of the moves; `None` before the first.
    #[must_use]
    pub fn covariance(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.sum / self.seconds)
    }
}

/// A beta that drifts: Kalman filter for y = β·x + noise, β a random walk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaFilter {
    /// The estimate.
    pub beta: f64,
    /// Its variance.
    pub variance: f64,
}

impl BetaFilter {
    /// One pair of moves. `drift` is the variance that β gained since the last pair, `noise` the
    /// variance of y around β·x, in the squared unit of the moves, above zero.
    pub fn add(&mut self, x: f64, y: f64, drift: f64, noise: f64) {
        let good = [x, y, drift, noise].iter().all(|v| v.is_finite()) && noise > 0.0;
        if !good {
            return;
        }
        let variance = self.variance + drift;
        let gain = variance * x / (x * x * variance + noise);
        self.beta += gain * (y - x * self.beta);
        self.variance = (1.0 - gain * x) * variance;
    }
}

/// The price of one instrument, as far as it is needed to sample it.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Instruments of one base asset have the same group.
    group: usize,
    last: Option<(Ts, f64)>,
    /// Logarithm of the price at the last common sample.
    sampled: Option<f64>,
    /// Move of the running sample, bps.
    change: Option<f64>,
}

/// The joint movement of all instruments.
#[derive(Clone, Debug)]
pub struct Correlations {
    params: CorrelationParams,
    tracks: Vec<Track>,
    /// Upper triangle, row by row.
    products: Vec<WeightedProduct>,
    /// `betas[of · n + to]`.
    betas: Vec<BetaFilter>,
    /// Past moves of all instruments, bps per √s, NaN where there was none; sample by sample.
    past: VecDeque<Vec<f64>>,
    sampled_at: Option<Ts>,
}

/// Past samples that are kept.
pub const PAST_MOVES: usize = 512;
/// Samples farther apart than this many intervals are not joined by a move.
const LONGEST_GAP: i64 = 4;
/// Share of the variance that counts as noise at least, so that a filter never stops learning.
const LEAST_NOISE: f64 = 1e-4;

impl Correlations {
    /// Nothing observed yet of `count` instruments, each a base asset of its own.
    #[must_use]
    pub fn new(count: usize, params: CorrelationParams) -> Correlations {
        let unknown = BetaFilter { beta: 0.0, variance: 1.0 };
        Correlations {
            params,
            tracks: (0..count).map(|group| Track { group, ..Track::default() }).collect(),
            products: vec![WeightedProduct::default(); count * (count + 1) / 2],
            betas: vec![unknown; count * count],
            past: VecDeque::new(),
            sampled_at: None,
        }
    }

    /// Instruments with the same group have one base asset: until it is measured, they count as
    /// one and the same risk.
    pub fn set_group(&mut self, id: InstrumentId, group: usize) {
        self.tracks[id.index()].group = group;
    }

    /// The price of an instrument at an instant, in any unit that stays the same. What is not a
    /// positive finite number changes nothing.
    pub fn observe(&mut self, id: InstrumentId, now: Ts, price: f64) {
        if !(price.is_finite() && price > 0.0) {
            return;
        }
        self.tracks[id.index()].last = Some((now, price));
        let every = self.params.sample_every.max(Span::from_s(5));
        let elapsed = self.sampled_at.map(|at| now.since(at));
        if elapsed.is_none_or(|elapsed| elapsed >= every) {
            let longest = Span(every.0.saturating_mul(LONGEST_GAP));
            self.sample(now, every, elapsed.filter(|elapsed| *elapsed <= longest));
            self.sampled_at = Some(now);
        }
    }

    /// Samples every price that is fresh; without `elapsed` there is nothing to compare with.
    fn sample(&mut self, now: Ts, fresh_for: Span, elapsed: Option<Span>) {
        let dt_s = elapsed.map(Span::seconds);
        for at in 0..self.tracks.len() {
            let bound = dt_s.and_then(|dt_s| self.largest_move(at, dt_s));
            let track = &mut self.tracks[at];
            let fresh = track.last.filter(|(seen, _)| now.since(*seen) <= fresh_for);
            let log = fresh.map(|(_, price)| price.ln());
            let change = dt_s.and(log.zip(track.sampled)).map(|(now, then)| (now - then) * 1e4);
            track.change = change.map(|c| bound.map_or(c, |most| c.clamp(-most, most)));
            track.sampled = log;
        }
        if let Some(dt_s) = dt_s {
            self.remember(dt_s);
            let keep = (-dt_s / self.params.half_life.seconds()).exp2();
            for i in 0..self.tracks.len() {
                let Some(x) = self.tracks[i].change else { continue };
                for j in i..self.tracks.len() {
                    let Some(y) = self.tracks[j].change else { continue };
                    let place = self.place(i, j);
                    self.products[place].add(keep, dt_s, x, y);
                    if i != j {
                        self.filter(i, j, x, y, dt_s);
                        self.filter(j, i, y, x, dt_s);
                    }
                }
            }
        }
    }

    fn remember(&mut self, dt_s: f64) {
        let full = self.past.len() >= PAST_MOVES;
        let mut row = if full { self.past.pop_front().unwrap_or_default() } else { Vec::new() };
        row.clear();
        let moves = self.tracks.iter().map(|track| track.change.unwrap_or(f64::NAN));
        row.extend(moves.map(|change| change / dt_s.sqrt()));
        self.past.push_back(row);
    }

    /// Moves of all instruments in each of the last [`PAST_MOVES`] samples, bps per √s, by
    /// instrument; NaN where there was none.
    pub fn past_moves(&self) -> impl Iterator<Item = &[f64]> {
        self.past.iter().map(Vec::as_slice)
    }

    /// The most that a move counts for, bps; `None` while there is nothing to hold it against.
    fn largest_move(&self, at: usize, dt_s: f64) -> Option<f64> {
        let variance = self.measured(at, at)?;
        Some(self.params.max_move_ratio * (variance * dt_s).sqrt())
    }

    fn filter(&mut self, of: usize, to: usize, y: f64, x: f64, dt_s: f64) {
        let raw = |i, j| self.products[self.place(i, j)].covariance().unwrap_or(0.0);
        let (variance, joint, other) = (raw(of, of), raw(of, to), raw(to, to));
        let explained = if other > 0.0 { joint * joint / other } else { 0.0 };
        let noise = (variance - explained).max(variance * LEAST_NOISE) * dt_s;
        let drift = self.params.beta_drift_sqrt_s.powi(2) * dt_s;
        let place = of * self.tracks.len() + to;
        self.betas[place].add(x, y, drift, noise);
    }

    fn place(&self, i: usize, j: usize) -> usize {
        let (low, high) = (i.min(j), i.max(j));
        low * self.tracks.len() - low * (low + 1) / 2 + high
    }

    /// Covariance per second of two instruments, bps², once there are enough samples.
    fn measured(&self, i: usize, j: usize) -> Option<f64> {
        let product = &self.products[self.place(i, j)];
        let enough = product.samples >= self.params.trusted_samples;
        product.covariance().filter(|value| enough && value.is_finite())
    }

    /// Variance per second, bps²: measured, or of the prior volatility.
    fn variance(&self, at: usize) -> f64 {
        self.measured(at, at).unwrap_or(self.params.prior_volatility_bps_sqrt_s.powi(2))
    }

    /// Covariance per second, bps²: correlation · σᵢ · σⱼ, each measured or its prior. Of an
    /// instrument with itself it is the variance.
    #[must_use]
    pub fn covariance_bps2_per_s(&self, i: InstrumentId, j: InstrumentId) -> f64 {
        let product = self.variance(i.index()) * self.variance(j.index());
        self.correlation(i, j).value * product.sqrt()
    }

    /// Correlation, −1 to 1. Until it is measured: 1 for the same base asset, the prior of the
    /// parameters otherwise.
    #[must_use]
    pub fn correlation(&self, i: InstrumentId, j: InstrumentId) -> Estimate {
        let (a, b) = (i.index(), j.index());
        let samples = self.products[self.place(a, b)].samples;
        if a == b {
            return Estimate { value: 1.0, samples, trusted: true };
        }
        let variances = self.measured(a, a).zip(self.measured(b, b)).map(|(x, y)| x * y);
        let measured = self
            .measured(a, b)
            .zip(variances)
            .map(|(joint, product)| joint / product.sqrt())
            .filter(|value| value.is_finite());
        let same = self.tracks[a].group == self.tracks[b].group;
        let prior = if same { 1.0 } else { self.params.prior_correlation };
        Estimate {
            value: measured.unwrap_or(prior).clamp(-1.0, 1.0),
            samples,
            trusted: measured.is_some(),
        }
    }

    /// How far `of` moves when `to` moves by one, in returns: a holding of one quote unit of `of`
    /// is hedged by −beta of `to`. Until it is measured: 1 for the same base asset, and 0
    /// otherwise, because a hedge that nobody has measured is none.
    #[must_use]
    pub fn beta(&self, of: InstrumentId, to: InstrumentId) -> Estimate {
        let correlation = self.correlation(of, to);
        let filter = self.betas[of.index() * self.tracks.len() + to.index()];
        let same = self.tracks[of.index()].group == self.tracks[to.index()].group;
        let trusted = correlation.trusted && of != to && filter.beta.is_finite();
        let prior = if same { 1.0 } else { 0.0 };
        Estimate {
            value: if trusted { filter.beta } else { prior },
            samples: correlation.samples,
            trusted: trusted || of == to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: InstrumentId = InstrumentId(0);
    const B: InstrumentId = InstrumentId(1);

    /// Moves of fixed length, direction by a fixed rule that never repeats within the tests.
    fn sign(step: u32, salt: u32) -> f64 {
        let mut mixed = step.wrapping_mul(salt.wrapping_mul(40_503) | 1) ^ salt;
        for _ in 0..3 {
            mixed = (mixed ^ (mixed >> 15)).wrapping_mul(2_654_435_761);
        }
        if mixed >> 31 == 0 { 1.0 } else { -1.0 }
    }

    /// A moves by 5 bps a sample, B by `beta` of it and by `own` bps of its own.
    fn run(samples: u32, beta: f64, own: f64) -> Correlations {
        let mut joint = Correlations::new(2, CorrelationParams::default());
        let (mut a, mut b) = (1.0_f64, 2.0_f64);
        for step in 0..samples {
            let now = Ts::from_ms(i64::from(step) * 5_000);
            let common = 5.0 * sign(step, 1);
            a *= (common * 1e-4).exp();
            b *= ((beta * common + own * sign(step, 7)) * 1e-4).exp();
            // Noise between the samples is not seen, and each price comes when it likes.
            if step > 0 {
                joint.observe(B, now + Span::from_ms(400), b * 1.5);
                joint.observe(A, now + Span::from_ms(3_000), a);
                joint.observe(B, now + Span::from_ms(3_500), b);
            }
            joint.observe(A, now + Span::from_ms(4_900), a);
        }
        joint
    }

    #[test]
    fn joint_movement_is_measured_once_there_are_samples() {
        let joint = run(400, 0.8, 3.0);
        let (rho, beta) = (joint.correlation(A, B), joint.beta(B, A));
        assert!(rho.trusted && (rho.value - 0.8).abs() < 0.1, "{rho:?}");
        assert!(beta.trusted && (beta.value - 0.8).abs() < 0.15, "{beta:?}");
        assert_eq!(joint.correlation(A, B), joint.correlation(B, A));
        assert!((joint.covariance_bps2_per_s(A, A) - 5.0).abs() < 0.1);
    }

    #[test]
    fn what_is_not_measured_has_its_prior() {
        let mut joint = run(10, 1.0, 0.0);
        let params = CorrelationParams::default();
        let rho = joint.correlation(A, B);
        assert!(!rho.trusted && rho.value == params.prior_correlation, "{rho:?}");
        assert_eq!(joint.beta(A, B).value, 0.0, "no hedge that nobody has measured");
        assert_eq!(joint.covariance_bps2_per_s(A, A), 4.0);
        joint.set_group(B, 0);
        assert_eq!(joint.correlation(A, B).value, 1.0);
        assert_eq!(joint.beta(A, B).value, 1.0);
    }

    #[test]
    fn silence_joins_no_samples_and_bad_prices_change_nothing() {
        let mut joint = run(100, 1.0, 0.0);
        let before = joint.correlation(A, B);
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            joint.observe(A, Ts::from_ms(500_000), bad);
        }
        // An hour later the prices are elsewhere: no move of a sample.
        joint.observe(A, Ts::from_ms(4_000_000), 7.0);
        joint.observe(B, Ts::from_ms(4_000_000), 9.0);
        assert_eq!(joint.correlation(A, B), before);
        // Only one of them is heard of: the pair has no sample.
        for step in 1..50 {
            joint.observe(A, Ts::from_ms(4_000_000 + step * 5_000), 7.0);
        }
        assert_eq!(joint.correlation(A, B).samples, before.samples);
    }
}
