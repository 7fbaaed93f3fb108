//! How volatile has the last window been, seen as a whole? A slow witness beside the fast average.

use std::collections::VecDeque;

use super::realised::{Bar, pre_averaged_variance, two_scales_variance};
use crate::domain::{Span, Ts};

/// Bars that a window is cut into.
const BARS: i64 = 10;
/// Bars that must have closed before there is an estimate: their mean is known to about 40 % by
/// Parkinson, 30 % by Garman–Klass.
const WARM_BARS: usize = 3;
/// Samples of the price in one bar, for the estimators that work on a grid.
const SAMPLES_A_BAR: i64 = 20;
/// Steps of the slow scale of the two-scales estimate, and of a pre-averaging block.
const SCALE: usize = 5;

/// How the window is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowEstimator {
    /// Two-scales realised variance: out of a grid of prices, noise taken out.
    TwoScales,
    /// Pre-averaged realised variance, likewise.
    PreAveraged,
    /// From the highest and lowest price of each bar.
    Parkinson,
    /// From the range and the closing move of each bar.
    GarmanKlass,
    /// From the range of each bar, whatever the trend.
    RogersSatchell,
}

/// What the slow estimate is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowVolatilityParams {
    /// The estimator.
    pub estimator: SlowEstimator,
    /// How far back it looks.
    pub window: Span,
    /// A price counts as at most this many times the motion that the fast estimate expects within
    /// a bar away from the bar's first price, so that a bad print does not fill the window.
    pub max_move_ratio: f64,
}

/// The volatility of a window, from mids.
#[derive(Clone, Debug)]
pub struct SlowVolatility {
    params: SlowVolatilityParams,
    bar: Option<(Ts, Bar)>,
    bars: VecDeque<Bar>,
    samples: VecDeque<f64>,
    sampled_at: Ts,
    estimate_bps_sqrt_s: Option<f64>,
}

impl SlowVolatility {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(params: SlowVolatilityParams) -> SlowVolatility {
        SlowVolatility {
            params,
            bar: None,
            bars: VecDeque::new(),
            samples: VecDeque::new(),
            sampled_at: Ts(0),
            estimate_bps_sqrt_s: None,
        }
    }

    fn bar_length(&self) -> Span {
        Span((self.params.window.0 / BARS).max(1))
    }

    /// The mid at an instant, in any unit that stays the same, and what the fast estimate is,
    /// basis points per √s. What is no price is left out.
    pub fn observe(&mut self, now: Ts, mid: f64, fast_bps_sqrt_s: Option<f64>) {
        if !(mid.is_finite() && mid > 0.0) {
            return;
        }
        let length = self.bar_length();
        let mut level = mid.ln() * 1e4;
        if let Some((since, bar)) = self.bar {
            let elapsed = now.since(since);
            if elapsed.0 >= 2 * length.0 {
                // A silence longer than a bar tells nothing of ranges: begin again.
                *self = SlowVolatility::new(self.params);
                self.estimate_bps_sqrt_s = None;
            } else {
                if let Some(fast) = fast_bps_sqrt_s {
                    let most = self.params.max_move_ratio * fast * length.seconds().sqrt();
                    level = level.clamp(bar.open - most, bar.open + most);
                }
                if elapsed >= length {
                    self.close(bar);
                    self.bar = None;
                }
            }
        }
        self.sample(now, level);
        match &mut self.bar {
            Some((_, bar)) => {
                bar.high = bar.high.max(level);
                bar.low = bar.low.min(level);
                bar.close = level;
            }
            None => {
                self.bar = Some((now, Bar { open: level, high: level, low: level, close: level }));
            }
        }
    }

    fn sample(&mut self, now: Ts, level: f64) {
        let every = Span(self.bar_length().0 / SAMPLES_A_BAR);
        if self.samples.is_empty() || now.since(self.sampled_at) >= every {
            self.sampled_at = now;
            self.samples.push_back(level);
            if self.samples.len() as i64 > BARS * SAMPLES_A_BAR {
                self.samples.pop_front();
            }
        }
    }

    fn close(&mut self, bar: Bar) {
        self.bars.push_back(bar);
        if self.bars.len() as i64 > BARS {
            self.bars.pop_front();
        }
        self.estimate_bps_sqrt_s = if self.bars.len() < WARM_BARS { None } else { self.estimate() };
    }

    fn estimate(&mut self) -> Option<f64> {
        let bar_s = self.bar_length().seconds();
        let mean = |variance: fn(&Bar) -> f64| {
            let sum: f64 = self.bars.iter().map(variance).sum();
            Some(sum / self.bars.len() as f64 / bar_s)
        };
        let grid_s = (self.samples.len() as f64 - 1.0) * bar_s / SAMPLES_A_BAR as f64;
        let variance_per_s = match self.params.estimator {
            SlowEstimator::Parkinson => mean(Bar::parkinson),
            SlowEstimator::GarmanKlass => mean(Bar::garman_klass),
            SlowEstimator::RogersSatchell => mean(Bar::rogers_satchell),
            SlowEstimator::TwoScales => {
                two_scales_variance(self.samples.make_contiguous(), SCALE, true)
                    .map(|variance| variance / grid_s)
            }
            SlowEstimator::PreAveraged => {
                pre_averaged_variance(self.samples.make_contiguous(), SCALE)
                    .map(|variance| variance / grid_s)
            }
        }?;
        Some(variance_per_s.sqrt()).filter(|sigma| sigma.is_finite() && *sigma > 0.0)
    }

    /// Basis points per √s over the window; `None` while too little has been seen, or where what
    /// was seen has no variance above its noise.
    #[must_use]
    pub fn bps_sqrt_s(&self) -> Option<f64> {
        self.estimate_bps_sqrt_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [SlowEstimator; 5] = [
        SlowEstimator::TwoScales,
        SlowEstimator::PreAveraged,
        SlowEstimator::Parkinson,
        SlowEstimator::GarmanKlass,
        SlowEstimator::RogersSatchell,
    ];

    fn slow(estimator: SlowEstimator) -> SlowVolatility {
        let window = Span::from_s(300);
        SlowVolatility::new(SlowVolatilityParams { estimator, window, max_move_ratio: 10.0 })
    }

    /// A walk of ±`bps` every 100 ms in a fixed disorder.
    fn walk(volatility: &mut SlowVolatility, from_s: i64, to_s: i64, bps: f64) {
        let (mut level, mut word) = (0.0, 0x9E37_79B9_7F4A_7C15_u64);
        for tenth in from_s * 10..to_s * 10 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            level += if word >> 63 == 0 { bps } else { -bps };
            let mid = 100.0 * (level * 1e-4_f64).exp();
            volatility.observe(Ts::from_ms(tenth * 100), mid, Some(bps * 10f64.sqrt()));
        }
    }

    #[test]
    fn every_estimator_measures_a_random_walk() {
        for estimator in ALL {
            let mut volatility = slow(estimator);
            walk(&mut volatility, 0, 60, 0.5);
            assert_eq!(volatility.bps_sqrt_s(), None, "{estimator:?}: two bars");
            walk(&mut volatility, 60, 400, 0.5);
            let sigma = volatility.bps_sqrt_s().unwrap();
            // ±0.5 bps ten times a second are 1.58 bps/√s.
            assert!((1.1..2.2).contains(&sigma), "{estimator:?}: {sigma}");
        }
    }

    #[test]
    fn a_still_market_or_no_number_gives_none_and_a_bad_print_is_bounded() {
        for estimator in ALL {
            let mut still = slow(estimator);
            for s in 0..600 {
                still.observe(Ts::from_ms(s * 1000), 100.0, None);
                still.observe(Ts::from_ms(s * 1000 + 1), f64::NAN, None);
                still.observe(Ts::from_ms(s * 1000 + 2), -1.0, Some(f64::NAN));
            }
            assert_eq!(still.bps_sqrt_s(), None, "{estimator:?}");

            let mut jumpy = slow(estimator);
            walk(&mut jumpy, 0, 300, 0.5);
            let before = jumpy.bps_sqrt_s().unwrap();
            jumpy.observe(Ts::from_ms(300_000), 110.0, Some(1.6));
            walk(&mut jumpy, 301, 400, 0.5);
            let after = jumpy.bps_sqrt_s().unwrap();
            assert!(after < 6.0 * before, "{estimator:?}: {before} to {after}");
        }
    }
}
