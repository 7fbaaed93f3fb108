//! What does a fill at the touch cost, with the book as it is now? Measured on every public trade.
//!
//! Each trade hit somebody's quote. How the mid moved against that quote within the horizon, by
//! how thin the quote's side was, is what the next fill there has to expect. On BTC perpetuals it
//! is 0.53 bps with the side thin and −0.20 bps (a gain) with it thick. Bids and asks are counted
//! together: apart, a few minutes of trend would weigh more than the state of the book.
//!
//! Where the fair price in use leaned away from the mid, the move is counted from the fair price:
//! quotes stand around that, and what it foresaw they have been moved for already. It is learnt
//! from everybody's fills, so it goes on while our own side is pulled and cannot get stuck.

use std::collections::VecDeque;

use crate::domain::{Side, Span, Ts};

/// How thin the quote's own side was: fifths of its share of the touch.
const STATES: usize = 5;
/// Trades in a state that count.
const MEMORY: f64 = 1000.0;
/// Trades in a state before it is believed.
const NEEDED: f64 = 100.0;
/// Trades that wait for their horizon; beyond, new ones are left out.
const MAX_WAITING: usize = 4096;

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    count: f64,
    bps: f64,
    /// Sum of squares around the mean.
    squares: f64,
}

impl Mean {
    fn add(&mut self, bps: f64) {
        let keep = 1.0 - 1.0 / MEMORY;
        self.count = self.count * keep + 1.0;
        let off = bps - self.bps;
        self.bps += off / self.count;
        self.squares = self.squares * keep + off * (bps - self.bps);
    }

    fn error(&self) -> f64 {
        self.squares.max(0.0).sqrt() / self.count
    }
}

/// What a fill has to expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Move of the mid against the fill, bps; below zero in its favour.
    pub bps: f64,
    /// Standard error of it, bps.
    pub error_bps: f64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ends: Ts,
    side: Side,
    state: usize,
    /// The fair price at the trade, ticks.
    fair: f64,
}

/// The move against a fill at the touch by state of the book.
#[derive(Clone, Debug)]
pub struct TouchFills {
    horizon: Span,
    waiting: VecDeque<Waiting>,
    means: [Mean; STATES],
    mid: f64,
    /// Imbalance in force: bids minus asks over their sum.
    imbalance: f64,
    /// The fair price in use over the mid, bps.
    lean_bps: f64,
    /// Time and aggressor of the last market order; it counts once however many it hit.
    last: Option<(Ts, Side)>,
}

impl TouchFills {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(horizon: Span) -> TouchFills {
        TouchFills {
            horizon,
            waiting: VecDeque::new(),
            means: [Mean::default(); STATES],
            mid: f64::NAN,
            imbalance: f64::NAN,
            lean_bps: 0.0,
            last: None,
        }
    }

    /// From `now` on mid and imbalance (−1 to 1) are these.
    pub fn observe(&mut self, now: Ts, mid: f64, imbalance: f64) {
        while let Some(waiting) = self.waiting.front().copied()
            && waiting.ends <= now
        {
            self.waiting.pop_front();
            // The maker's side; a mid that falls below the fair price is against a bid.
            let against = -(self.mid / waiting.fair - 1.0) * 1e4 * waiting.side.sign() as f64;
            if against.is_finite() {
                self.means[waiting.state].add(against);
            }
        }
        (self.mid, self.imbalance) = (mid, imbalance);
    }

    /// A trade of the market; `at` is the venue's time of it.
    pub fn trade(&mut self, now: Ts, aggressor: Side, at: Ts) {
        let side = aggressor.opposite();
        let again = self.last.replace((at, aggressor)) == Some((at, aggressor));
        let Some(state) = state(side, self.imbalance) else { return };
        if again || self.waiting.len() == MAX_WAITING {
            return;
        }
        let fair = self.mid * (1.0 + self.lean_bps * 1e-4);
        self.waiting.push_back(Waiting { ends: now + self.horizon, side, state, fair });
    }

    /// From now on quotes stand around a fair price so far above the mid, bps.
    pub fn lean(&mut self, lean_bps: f64) {
        self.lean_bps = if lean_bps.is_finite() { lean_bps } else { 0.0 };
    }

    /// What followed is not known: a book that was lost begins anew.
    pub fn interrupt(&mut self) {
        self.waiting.clear();
        (self.mid, self.imbalance, self.lean_bps) = (f64::NAN, f64::NAN, 0.0);
    }

    /// What a quote of that side at the touch has to expect if it is filled now; `None` until
    /// enough trades were seen with the book like this.
    #[must_use]
    pub fn expected(&self, side: Side) -> Option<Expected> {
        let mean = self.means[state(side, self.imbalance)?];
        let known = mean.count >= NEEDED;
        known.then(|| Expected { bps: mean.bps, error_bps: mean.error() })
    }

    /// The same by state, from the quote's side thinnest to thickest: trades and bps.
    #[must_use]
    pub fn by_state(&self) -> [(f64, f64); STATES] {
        self.means.map(|mean| (mean.count, mean.bps))
    }
}

fn state(side: Side, imbalance: f64) -> Option<usize> {
    // Share of the quote's own side in the quantity at the touch, 0 to 1.
    let share = 0.5 * (1.0 + imbalance * side.sign() as f64);
    (0.0..=1.0).contains(&share).then(|| ((share * STATES as f64) as usize).min(STATES - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_side_is_hit_before_the_mid_leaves_it() {
        let mut fills = TouchFills::new(Span::from_s(1));
        let mut mid = 10_000.0;
        for n in 0..200 {
            let now = Ts::from_ms(n * 3000);
            // Bids thin: sold into, and the mid falls by half a basis point.
            fills.observe(now, mid, -0.9);
            fills.trade(now, Side::Sell, now);
            fills.trade(now, Side::Sell, now);
            mid -= 0.5;
            fills.observe(now + Span::from_ms(500), mid, -0.9);
            fills.observe(now + Span::from_ms(1500), mid, -0.9);
        }
        let expected = fills.expected(Side::Buy).unwrap();
        assert!((expected.bps - 0.5).abs() < 0.01 && expected.error_bps < 0.01, "{expected:?}");
        assert!(fills.by_state()[0].0 < 201.0, "a market order counts once");
        assert_eq!(fills.expected(Side::Sell), None, "no thick side was ever hit");
        fills.observe(Ts::from_ms(900_000), mid, f64::NAN);
        fills.trade(Ts::from_ms(900_000), Side::Sell, Ts(1));
        assert_eq!(fills.expected(Side::Buy), None, "the book is not known");
    }

    #[test]
    fn what_the_fair_price_foresaw_is_not_counted_again() {
        let mut fills = TouchFills::new(Span::from_s(1));
        let mut mid = 10_000.0;
        for n in 0..200 {
            let now = Ts::from_ms(n * 3000);
            fills.observe(now, mid, -0.9);
            fills.lean(-0.4);
            fills.trade(now, Side::Sell, now);
            mid *= 1.0 - 0.5e-4;
            fills.observe(now + Span::from_ms(500), mid, -0.9);
            fills.observe(now + Span::from_ms(1500), mid, -0.9);
        }
        let expected = fills.expected(Side::Buy).unwrap();
        assert!((expected.bps - 0.1).abs() < 0.01, "{expected:?}");
    }
}
