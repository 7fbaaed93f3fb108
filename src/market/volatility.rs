//! How fast the fair price moves: basis points per square root of a second.

use crate::domain::{Span, Ts};

/// How volatility is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VolatilityParams {
    /// After this long, a move counts half as much.
    pub half_life: Span,
    /// Shortest time between two samples of the price. At least a second: faster samples of
    /// crypto mids are autocorrelated and read 9–19 % low.
    pub sample_every: Span,
    /// Observed time before the estimate is given. Ten samples know σ to about 22 %.
    pub warm_up: Span,
    /// The estimate is never below this, bps per √s, so that a still market does not look free
    /// of risk.
    pub floor_bps_sqrt_s: f64,
    /// One move counts as at most this many times the move that the estimate (or the floor)
    /// would expect. A bad print or a single jump then raises the estimate by a bounded factor,
    /// and a lasting change still comes through within a few samples.
    pub max_move_ratio: f64,
}

impl Default for VolatilityParams {
    fn default() -> VolatilityParams {
        VolatilityParams {
            half_life: Span::from_s(60),
            sample_every: Span::from_s(1),
            warm_up: Span::from_s(10),
            floor_bps_sqrt_s: 0.05,
            max_move_ratio: 10.0,
        }
    }
}

/// Squared moves over time, both decayed by age: σ² = Σ w·move² / Σ w·dt.
///
/// The ratio form is unbiased under irregular sampling, unlike an average with a weight per tick.
#[derive(Clone, Copy, Debug)]
pub struct WeightedSquares {
    half_life_s: f64,
    squares: f64,
    seconds: f64,
}

impl WeightedSquares {
    /// Nothing observed yet; `half_life_s` in seconds, above zero.
    #[must_use]
    pub fn new(half_life_s: f64) -> WeightedSquares {
        WeightedSquares { half_life_s, squares: 0.0, seconds: 0.0 }
    }

    /// A move over `dt_s` seconds. Anything that is not a finite move over a finite time above
    /// zero is left out.
    pub fn add(&mut self, dt_s: f64, change: f64) {
        if !(dt_s.is_finite() && dt_s > 0.0 && change.is_finite()) {
            return;
        }
        let keep = (-dt_s / self.half_life_s).exp2();
        self.squares = self.squares * keep + change * change;
        self.seconds = self.seconds * keep + dt_s;
    }

    /// Standard deviation per √s, in the unit of the moves; `None` before the first move.
    #[must_use]
    pub fn sigma(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| (self.squares / self.seconds).sqrt())
    }
}

/// The volatility of one price, from its mids.
#[derive(Clone, Debug)]
pub struct Volatility {
    params: VolatilityParams,
    squares: WeightedSquares,
    last: Option<(Ts, f64)>,
    observed: Span,
}

impl Volatility {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(params: VolatilityParams) -> Volatility {
        let squares = WeightedSquares::new(params.half_life.seconds());
        Volatility { params, squares, last: None, observed: Span::ZERO }
    }

    /// The mid at an instant, in any unit that stays the same. Mids that come sooner than a
    /// sample is due, or are not positive finite numbers, change nothing.
    pub fn observe(&mut self, now: Ts, mid: f64) {
        if !(mid.is_finite() && mid > 0.0) {
            return;
        }
        let Some((at, before)) = self.last else {
            self.last = Some((now, mid));
            return;
        };
        let elapsed = now.since(at);
        if elapsed < self.params.sample_every.max(Span(1)) {
            return;
        }
        let dt_s = elapsed.seconds();
        let expected = self.squares.sigma().unwrap_or(0.0).max(self.params.floor_bps_sqrt_s);
        let most = self.params.max_move_ratio * expected * dt_s.sqrt();
        let change = (mid / before).ln() * 1e4;
        // The first moves have nothing to be held against.
        let change = if self.is_warm() { change.clamp(-most, most) } else { change };
        self.squares.add(dt_s, change);
        // A silence counts as one long sample for σ, but not as time spent watching.
        self.observed = self.observed + elapsed.min(Span(self.params.sample_every.0 * 5));
        self.last = Some((now, mid));
    }

    /// Whether enough time has been observed.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.observed >= self.params.warm_up && self.squares.sigma().is_some()
    }

    /// Basis points per √s, at least the floor, always finite; `None` while warming up.
    #[must_use]
    pub fn bps_sqrt_s(&self) -> Option<f64> {
        let sigma = self.squares.sigma().filter(|sigma| self.is_warm() && sigma.is_finite())?;
        Some(sigma.max(self.params.floor_bps_sqrt_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Ts {
        Ts((seconds * 1e9) as i64)
    }

    /// A price that moves up and down by `bps` every second.
    fn zigzag(volatility: &mut Volatility, from_s: i64, to_s: i64, bps: f64) {
        for s in from_s..to_s {
            let up = if s % 2 == 0 { bps * 1e-4 } else { 0.0 };
            volatility.observe(at(s as f64), 100.0 * up.exp());
        }
    }

    #[test]
    fn a_known_motion_is_measured_once_warm() {
        let mut volatility = Volatility::new(VolatilityParams::default());
        zigzag(&mut volatility, 0, 10, 2.0);
        assert_eq!(volatility.bps_sqrt_s(), None, "9 s observed of 10");
        zigzag(&mut volatility, 10, 60, 2.0);
        assert!((volatility.bps_sqrt_s().unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn samples_closer_than_the_interval_do_not_count() {
        let mut volatility = Volatility::new(VolatilityParams::default());
        for tenth in 0..600 {
            // Noise between the samples, none at them.
            let noise = if tenth % 10 == 0 { 0.0 } else { 1.0 };
            volatility.observe(at(f64::from(tenth) / 10.0), 100.0 + noise);
        }
        assert_eq!(volatility.bps_sqrt_s(), Some(VolatilityParams::default().floor_bps_sqrt_s));
    }

    #[test]
    fn one_bad_print_is_bounded_and_a_lasting_change_comes_through() {
        let mut volatility = Volatility::new(VolatilityParams::default());
        zigzag(&mut volatility, 0, 300, 1.0);
        volatility.observe(at(300.0), 200.0);
        let after_print = volatility.bps_sqrt_s().unwrap();
        assert!(after_print < 2.0, "{after_print}");
        zigzag(&mut volatility, 302, 362, 20.0);
        let after_change = volatility.bps_sqrt_s().unwrap();
        assert!(after_change > 12.0, "{after_change}");
    }

    #[test]
    fn no_number_in_gives_no_wrong_number_out() {
        let mut volatility = Volatility::new(VolatilityParams::default());
        zigzag(&mut volatility, 0, 60, 1.0);
        let before = volatility.bps_sqrt_s();
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            volatility.observe(at(100.0), bad);
        }
        volatility.observe(at(10.0), 500.0);
        assert_eq!(volatility.bps_sqrt_s(), before, "bad mids and a clock that went back");
        volatility.observe(at(86_400.0), 100.0);
        assert!(volatility.bps_sqrt_s().unwrap().is_finite(), "a day of silence");
    }
}
