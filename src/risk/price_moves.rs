//! The price collar over time: how far has the price moved within the last seconds?
//!
//! An order is held against a reference that moves with the market; a market that runs, or one
//! that a wrong print has moved, passes that collar at every step. RTS 6, Article 15(1)(a) asks
//! for a collar "over a specified period of time" beside the one on each order.

use crate::domain::{Span, Ts};

/// Parts of the window; a price leaves the window with its part.
const PARTS: usize = 16;

/// Lowest and highest price of one part of time.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Which, counted from the epoch.
    number: i64,
    low: f64,
    high: f64,
}

/// The extremes of a price over a rolling window, in bounded memory.
#[derive(Clone, Debug)]
pub struct PriceMoves {
    part: Span,
    parts: [Option<Part>; PARTS],
}

impl PriceMoves {
    /// Over a window of at least a microsecond.
    #[must_use]
    pub fn new(window: Span) -> PriceMoves {
        PriceMoves { part: Span((window.0 / PARTS as i64).max(1)), parts: [None; PARTS] }
    }

    /// Takes a price in any unit; what is no price counts for nothing.
    pub fn observe(&mut self, now: Ts, price: f64) {
        if !price.is_finite() || price <= 0.0 {
            return;
        }
        let number = now.0.div_euclid(self.part.0);
        let slot = &mut self.parts[number.rem_euclid(PARTS as i64) as usize];
        match slot {
            Some(part) if part.number == number => {
                part.low = part.low.min(price);
                part.high = part.high.max(price);
            }
            _ => *slot = Some(Part { number, low: price, high: price }),
        }
    }

    /// The highest price of the window above the lowest, in basis points; zero without prices.
    #[must_use]
    pub fn range_bps(&self, now: Ts) -> f64 {
        let oldest = now.0.div_euclid(self.part.0) - PARTS as i64;
        let recent = self.parts.iter().flatten().filter(|part| part.number > oldest);
        let (low, high) = recent.fold((f64::INFINITY, 0.0_f64), |(low, high), part| {
            (low.min(part.low), high.max(part.high))
        });
        if low < high { (high / low - 1.0) * 1e4 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Ts {
        Ts::from_ms(1_790_000_000_000 + ms)
    }

    #[test]
    fn a_move_counts_both_ways_until_it_has_left_the_window() {
        let mut moves = PriceMoves::new(Span::from_ms(1600));
        assert_eq!(moves.range_bps(at(0)), 0.0);
        moves.observe(at(0), 100.0);
        moves.observe(at(50), 99.0);
        moves.observe(at(90), 99.5);
        let far = (100.0 / 99.0 - 1.0) * 1e4;
        assert!((moves.range_bps(at(90)) - far).abs() < 1e-9);
        moves.observe(at(1000), 99.5);
        assert!((moves.range_bps(at(1599)) - far).abs() < 1e-9);
        assert_eq!(moves.range_bps(at(1600)), 0.0, "the part of the move is out");
        moves.observe(at(1700), 100.0);
        assert!((moves.range_bps(at(1700)) - (100.0 / 99.5 - 1.0) * 1e4).abs() < 1e-9);
    }

    #[test]
    fn a_part_that_comes_round_forgets_what_it_held() {
        let mut moves = PriceMoves::new(Span::from_ms(1600));
        moves.observe(at(0), 50.0);
        moves.observe(at(1600), 100.0);
        assert_eq!(moves.range_bps(at(1600)), 0.0);
    }

    #[test]
    fn what_is_no_price_counts_for_nothing() {
        let mut moves = PriceMoves::new(Span::from_ms(1600));
        for price in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            moves.observe(at(0), price);
        }
        moves.observe(at(0), 100.0);
        assert_eq!(moves.range_bps(at(0)), 0.0);
    }
}
