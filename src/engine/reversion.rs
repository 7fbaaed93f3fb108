//! How fast does inventory come back? Measured on what is held, to be set against what the model
//! expects of its quotes ([`crate::quoting::Forecast::half_life_s`]).

use crate::domain::{Span, Ts};
use crate::market::Regression;

/// Least time between two looks.
const EVERY: Span = Span::from_s(1);
/// How many looks count.
const MEMORY: f64 = 1800.0;
/// Looks that a half-life needs.
const LEAST: f64 = 120.0;

/// Net inventory of an asset against itself one look later: the regression of an
/// Ornstein–Uhlenbeck process that is read at equal distances.
#[derive(Clone, Debug)]
pub(super) struct Reversion {
    regression: Regression,
    last: Option<(Ts, f64)>,
    /// Mean time between two looks, seconds, and how many.
    mean_s: f64,
    looks: f64,
}

impl Default for Reversion {
    fn default() -> Reversion {
        Reversion { regression: Regression::new(MEMORY), last: None, mean_s: 0.0, looks: 0.0 }
    }
}

impl Reversion {
    /// Whether it is time for a look.
    pub(super) fn is_due(&self, now: Ts) -> bool {
        self.last.is_none_or(|(at, _)| now.since(at) >= EVERY)
    }

    /// What is held now, base. A look that comes late by more than one pause is not compared with
    /// the one before it.
    pub(super) fn observe(&mut self, now: Ts, held_base: f64) {
        if let Some((at, before)) = self.last
            && now.since(at) < EVERY + EVERY
        {
            self.regression.add(before, held_base);
            self.looks += 1.0;
            self.mean_s += (now.since(at).seconds() - self.mean_s) / self.looks;
        }
        self.last = Some((now, held_base));
    }

    /// Time in which inventory comes half of the way back, seconds; `None` while too little was
    /// seen, or where it does not come back.
    pub(super) fn half_life_s(&self) -> Option<f64> {
        let line = self.regression.line().filter(|_| self.regression.samples() >= LEAST)?;
        let back = (0.0..1.0).contains(&line.slope) && line.slope > 0.0;
        back.then(|| -std::f64::consts::LN_2 * self.mean_s / line.slope.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_halves_in_twenty_seconds_is_found_to() {
        let (mut held, mut reversion) = (0.0, Reversion::default());
        let keep = 0.5_f64.powf(1.0 / 20.0);
        // A fixed sequence of shocks without a pattern at these lags.
        let mut state: u64 = 7;
        for second in 0..20_000 {
            let now = Ts(0) + Span::from_s(second);
            assert!(reversion.is_due(now));
            assert!(second > 100 || reversion.half_life_s().is_none(), "too little was seen");
            reversion.observe(now, held);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            held = keep * held + (state >> 40) as f64 / f64::from(1 << 24) - 0.5;
        }
        let found = reversion.half_life_s().unwrap();
        assert!((found / 20.0 - 1.0).abs() < 0.2, "{found}");
    }

    #[test]
    fn what_does_not_move_or_runs_away_has_no_half_life() {
        let (mut still, mut away) = (Reversion::default(), Reversion::default());
        for second in 0..1000 {
            let now = Ts(0) + Span::from_s(second);
            still.observe(now, 1.0);
            away.observe(now, 1.01_f64.powi(second as i32));
        }
        assert_eq!((still.half_life_s(), away.half_life_s()), (None, None));
    }
}
