//! Limits over time: loss, repeated execution, repeated refusals.

use std::collections::VecDeque;

use crate::domain::{HaltCause, Money, Side, Span, Ts};

/// A limit over time has been passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Which.
    pub cause: HaltCause,
    /// With numbers.
    pub text: String,
}

/// The window of the repeated-execution limit.
const FILL_WINDOW: Span = Span::from_s(60);
/// The window of the refusal limit.
const REJECT_WINDOW: Span = Span::from_s(10);

/// Watches what has happened in the last seconds, and the result of the session.
#[derive(Clone, Debug)]
pub struct Breaker {
    loss_limit_quote: Money,
    max_fills_per_minute_side: usize,
    max_rejects_per_10s: usize,
    fills: [VecDeque<Ts>; 2],
    rejects: VecDeque<Ts>,
}

impl Breaker {
    /// A breaker with these limits; all above zero.
    #[must_use]
    pub fn new(
        loss_limit_quote: Money,
        max_fills_per_minute_side: usize,
        max_rejects_per_10s: usize,
    ) -> Breaker {
        Breaker {
            loss_limit_quote,
            max_fills_per_minute_side,
            max_rejects_per_10s,
            fills: [VecDeque::new(), VecDeque::new()],
            rejects: VecDeque::new(),
        }
    }

    /// Takes other limits; what has been counted still counts.
    pub fn retune(
        &mut self,
        loss_limit_quote: Money,
        max_fills_per_minute_side: usize,
        max_rejects_per_10s: usize,
    ) {
        self.loss_limit_quote = loss_limit_quote;
        self.max_fills_per_minute_side = max_fills_per_minute_side;
        self.max_rejects_per_10s = max_rejects_per_10s;
    }

    /// Counts a maker fill.
    pub fn on_fill(&mut self, side: Side, now: Ts) -> Option<Trip> {
        let window = &mut self.fills[side.index()];
        let count = count_in(window, FILL_WINDOW, now);
        (count > self.max_fills_per_minute_side).then(|| Trip {
            cause: HaltCause::RepeatedExecution,
            text: format!(
                "{count} {side} fills within 60 s; max_fills_per_minute_side is {}",
                self.max_fills_per_minute_side
            ),
        })
    }

    /// Counts a refusal that should not repeat.
    pub fn on_reject(&mut self, now: Ts) -> Option<Trip> {
        let count = count_in(&mut self.rejects, REJECT_WINDOW, now);
        (count > self.max_rejects_per_10s).then(|| Trip {
            cause: HaltCause::RejectLoop,
            text: format!(
                "{count} refusals within 10 s; max_rejects_per_10s is {}",
                self.max_rejects_per_10s
            ),
        })
    }

    /// Judges the session's profit, fees and funding included, in quote.
    #[must_use]
    pub fn on_profit(&self, profit_quote: Money) -> Option<Trip> {
        (profit_quote <= -self.loss_limit_quote).then(|| Trip {
            cause: HaltCause::LossLimit,
            text: format!(
                "session result {:.2} is at or below the limit of -{}",
                profit_quote, self.loss_limit_quote
            ),
        })
    }

    /// Maker fills of the last minute, buys and sells.
    #[must_use]
    pub fn maker_fills(&self) -> [Vec<Ts>; 2] {
        self.fills.clone().map(Vec::from)
    }

    /// Counts the maker fills of an earlier run as well, so that a restart frees from nothing.
    pub fn remember_fills(&mut self, fills: [Vec<Ts>; 2]) {
        self.fills = fills.map(VecDeque::from);
    }

    /// Forgets what was counted, when an operator resumes.
    pub fn reset(&mut self) {
        self.fills.iter_mut().for_each(VecDeque::clear);
        self.rejects.clear();
    }
}

fn count_in(window: &mut VecDeque<Ts>, length: Span, now: Ts) -> usize {
    window.push_back(now);
    while window.front().is_some_and(|&first| now.since(first) >= length) {
        window.pop_front();
    }
    window.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fills_on_one_side_trip() {
        let mut breaker = Breaker::new(Money::from(100), 3, 3);
        let at = |s: i64| Ts(s * 1_000_000_000);
        assert!((0..3).all(|s| breaker.on_fill(Side::Buy, at(s)).is_none()));
        assert!(breaker.on_fill(Side::Sell, at(3)).is_none());
        assert_eq!(
            breaker.on_fill(Side::Buy, at(4)).map(|trip| trip.cause),
            Some(HaltCause::RepeatedExecution)
        );
        assert!(breaker.on_fill(Side::Buy, at(200)).is_none());
    }

    #[test]
    fn a_loss_at_the_limit_trips() {
        let breaker = Breaker::new(Money::from(100), 3, 3);
        assert!(breaker.on_profit(Money::from(-99)).is_none());
        assert!(breaker.on_profit(Money::from(-100)).is_some());
    }

    #[test]
    fn refusals_are_counted_over_ten_seconds_and_forgotten_on_resume() {
        let mut breaker = Breaker::new(Money::from(100), 1, 2);
        let at = |ms: i64| Ts::from_ms(ms);
        assert!(breaker.on_reject(at(0)).is_none() && breaker.on_reject(at(1)).is_none());
        assert!(breaker.on_reject(at(10_000)).is_none(), "the first is ten seconds old");
        let trip = breaker.on_reject(at(10_000)).unwrap();
        assert_eq!(trip.cause, HaltCause::RejectLoop);
        assert!(trip.text.contains("3 refusals"), "{}", trip.text);
        assert!(breaker.on_fill(Side::Buy, at(10_000)).is_none());
        breaker.reset();
        assert!(breaker.on_reject(at(10_001)).is_none() && breaker.on_reject(at(10_002)).is_none());
        assert!(breaker.on_fill(Side::Buy, at(10_003)).is_none());
        assert!(breaker.on_fill(Side::Buy, at(70_002)).is_some(), "just within the minute");
        assert!(breaker.on_fill(Side::Sell, at(70_002)).is_none());
    }
}
