//! Where is the fair price going within the horizon? A line fitted to what a signal was followed
//! by, and believed as far as it has been right.
//!
//! The line is fitted on returns over the horizon, not on ticks: on markets with a small tick the
//! next tick says little of the next second. It is fitted to what the fair price in use misses, so
//! that a signal the fair price already holds is not counted twice.

use std::collections::VecDeque;

use serde::Serialize;

use crate::domain::{Span, Ts};

use super::Regression;

/// Samples a horizon; they overlap, and the t-value is reckoned with that.
const SAMPLES_PER_HORIZON: i64 = 4;
/// Independent samples that count; at a horizon of 1 s about half an hour.
const MEMORY: f64 = 2000.0;
/// Independent samples before anything is predicted.
const NEEDED: f64 = 60.0;

/// What the signal says now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AlphaView {
    /// Expected return of the fair price over the horizon, bps, shrunk by its t-value; zero while
    /// not trusted.
    pub bps: f64,
    /// Return per unit of signal, bps.
    pub slope_bps: f64,
    /// Slope over its standard error, overlap reckoned with.
    pub t: f64,
    /// Share of the variance of returns that is explained.
    pub r_squared: f64,
    /// The signal, in standard deviations from its mean.
    pub standardised: f64,
    /// Independent samples.
    pub samples: f64,
    /// Enough samples, and a t-value of two at least.
    pub trusted: bool,
}

/// The prediction from one signal.
#[derive(Clone, Debug)]
pub struct Alpha {
    horizon: Span,
    fit: Regression,
    /// Samples that wait for their horizon: when it ends, the signal, the fair price.
    waiting: VecDeque<(Ts, f64, f64)>,
    next_sample: Ts,
    /// The signal, the fair price and the mid in force.
    last: Option<(f64, f64, f64)>,
}

impl Alpha {
    /// Nothing known; a horizon of a millisecond at least.
    #[must_use]
    pub fn new(horizon: Span) -> Alpha {
        Alpha {
            horizon: horizon.max(Span::from_ms(1)),
            fit: Regression::new(MEMORY * SAMPLES_PER_HORIZON as f64),
            waiting: VecDeque::with_capacity(2 * SAMPLES_PER_HORIZON as usize),
            next_sample: Ts::default(),
            last: None,
        }
    }

    /// From `now` on the signal, the fair price before alpha and the mid are these (same units).
    pub fn observe(&mut self, now: Ts, signal: f64, fair: f64, mid: f64) {
        if let Some((signal, fair, mid)) = self.last {
            while let Some((ends, signal, fair)) = self.waiting.front().copied()
                && ends <= now
            {
                self.waiting.pop_front();
                self.fit.add(signal, (mid / fair - 1.0) * 1e4);
            }
            if self.next_sample <= now && self.waiting.len() < 2 * SAMPLES_PER_HORIZON as usize {
                // What was in force at the planned instant; after a silence, from now on.
                let step = Span(self.horizon.0 / SAMPLES_PER_HORIZON);
                let due = if self.next_sample + step > now { self.next_sample } else { now };
                self.waiting.push_back((due + self.horizon, signal, fair));
                self.next_sample = due + step;
            }
        }
        let known = signal.is_finite() && fair > 0.0 && mid > 0.0;
        self.last = known.then_some((signal, fair, mid));
    }

    /// What followed is not known: a book that was lost begins anew.
    pub fn interrupt(&mut self) {
        self.waiting.clear();
        self.last = None;
    }

    /// What the signal in force says.
    #[must_use]
    pub fn view(&self) -> AlphaView {
        let samples = self.fit.samples() / SAMPLES_PER_HORIZON as f64;
        let (Some(line), Some((signal, ..))) = (self.fit.line(), self.last) else {
            return AlphaView { samples, ..AlphaView::default() };
        };
        let t = line.t / (SAMPLES_PER_HORIZON as f64).sqrt();
        let trusted = samples >= NEEDED && t.abs() >= 2.0;
        // The slope's expected share of truth when it was zero before it was looked at.
        let belief = 1.0 / (1.0 + 1.0 / (t * t));
        let raw = line.slope * (signal - self.fit.mean_x());
        AlphaView {
            bps: if trusted && raw.is_finite() { belief * raw } else { 0.0 },
            slope_bps: line.slope,
            t,
            r_squared: line.r_squared,
            standardised: self.fit.standardised(signal).unwrap_or(0.0),
            samples,
            trusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes of a market whose mid follows a signal by `slope` bps within a second.
    fn followed(slope: f64) -> Alpha {
        let mut alpha = Alpha::new(Span::from_s(1));
        let (mut noise, mut mid) = (12345u32, 100.0);
        let mut signal = 0.5;
        for n in 0..6000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = f64::from(noise >> 8) / f64::from(1 << 24) - 0.5;
            mid *= 1.0 + (slope * signal / 10.0 + random) * 1e-4;
            if n % 20 == 0 {
                signal = if noise & 0x100_0000 == 0 { 1.0 } else { -1.0 };
            }
            alpha.observe(Ts::from_ms(n * 100), signal, mid, mid);
        }
        alpha
    }

    #[test]
    fn a_signal_that_leads_is_found_and_one_that_does_not_is_not_believed() {
        let view = followed(2.0).view();
        assert!(view.trusted && (0.7..2.2).contains(&view.slope_bps), "{view:?}");
        assert_eq!(view.bps.signum(), view.standardised.signum());
        assert!(view.bps.abs() < 4.0, "{view:?}");
        let view = followed(0.0).view();
        assert!(view.t.abs() < 3.0 && view.bps.abs() < 0.5, "{view:?}");
    }

    #[test]
    fn nothing_is_predicted_from_nothing() {
        let mut alpha = Alpha::new(Span::from_s(1));
        assert_eq!(alpha.view(), AlphaView::default());
        alpha.observe(Ts(0), f64::NAN, 100.0, 100.0);
        alpha.observe(Ts::from_ms(1500), 1.0, f64::NAN, 100.0);
        alpha.observe(Ts::from_ms(3000), 1.0, 0.0, 0.0);
        assert_eq!(alpha.view().bps, 0.0);
        assert_eq!(alpha.view().samples, 0.0);
    }
}
