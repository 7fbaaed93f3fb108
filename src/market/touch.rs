//! The best bid and ask at one instant, and the prices made of them.

use crate::domain::{Level, Ts};

/// The best level of both sides at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
    /// When it was so: the later of the book's and the ticker's time.
    pub at: Ts,
}

impl Touch {
    /// Best bid at or above best ask: not a market to quote on.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        self.bid.px >= self.ask.px
    }

    /// Best ask minus best bid, in ticks; not above zero when crossed.
    #[must_use]
    pub fn spread_ticks(&self) -> i64 {
        self.ask.px.0 - self.bid.px.0
    }

    /// Twice the mid, in ticks: the mid as a whole number of half-ticks, exact for ledgers.
    #[must_use]
    pub fn mid_half_ticks(&self) -> i64 {
        self.bid.px.0 + self.ask.px.0
    }

    /// The mid, in ticks.
    #[must_use]
    pub fn mid_ticks(&self) -> f64 {
        self.mid_half_ticks() as f64 * 0.5
    }

    /// The mid weighted by the opposite side's quantity, in ticks: it leans to the side that is
    /// about to be used up. Equal to the mid when neither side shows a quantity.
    #[must_use]
    pub fn weighted_mid_ticks(&self) -> f64 {
        let (bid_qty, ask_qty) = (self.bid.qty.0 as f64, self.ask.qty.0 as f64);
        let total = bid_qty + ask_qty;
        if total > 0.0 {
            (self.bid.px.0 as f64 * ask_qty + self.ask.px.0 as f64 * bid_qty) / total
        } else {
            self.mid_ticks()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Px, Qty};

    #[test]
    fn the_weighted_mid_leans_to_the_thin_side() {
        let level = |px, qty| Level { px: Px(px), qty: Qty(qty) };
        let touch = Touch { bid: level(100, 3), ask: level(102, 1), at: Ts(0) };
        assert_eq!(touch.mid_ticks(), 101.0);
        assert_eq!(touch.weighted_mid_ticks(), 101.5);
        assert_eq!(touch.mid_half_ticks(), 202);
        let empty = Touch { bid: level(100, 0), ask: level(102, 0), at: Ts(0) };
        assert_eq!(empty.weighted_mid_ticks(), 101.0);
    }
}
