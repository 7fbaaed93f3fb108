//! One instrument's order book, as far as it is proven.

use crate::domain::{BookUpdate, Level, Px, Qty, Side, Ticker, Ts};

use super::Touch;

/// Most levels kept on a side. Farther levels are dropped; from then until the next snapshot the
/// book is exact up to its [`Book::horizon`] and says nothing beyond it.
pub const MAX_LEVELS: usize = 1000;

/// Fewer kept levels than this within a horizon, and the book [`Book::is_depleted`].
const MIN_LEVELS_WITHIN_HORIZON: usize = 100;

/// One side: levels sorted so that the best is last, where nearly all changes happen.
#[derive(Clone, Debug)]
struct Half {
    side: Side,
    levels: Vec<Level>,
    /// The worst price up to which this side is exact; `None` while nothing has been dropped.
    horizon: Option<Px>,
}

/// What taking a quantity from one side of the book would get and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Quantity found; less than asked for when the known depth runs out.
    pub filled: Qty,
    /// Σ price × quantity, in ticks × lots.
    pub cost_tick_lots: i128,
    /// The worst price touched; `None` when nothing was found.
    pub worst: Option<Px>,
}

impl Walk {
    /// Average price, in ticks; `None` when nothing was found.
    #[must_use]
    pub fn average_ticks(&self) -> Option<f64> {
        (!self.filled.is_zero()).then(|| self.cost_tick_lots as f64 / self.filled.0 as f64)
    }
}

/// The order book of one instrument: proven levels, and the ticker that may run ahead of them.
///
/// A book is empty and not synced until a snapshot, and again after [`Book::invalidate`].
#[derive(Clone, Debug)]
pub struct Book {
    bids: Half,
    asks: Half,
    synced: bool,
    at: Ts,
    ticker: Option<Ticker>,
}

impl Default for Book {
    fn default() -> Book {
        Book::new()
    }
}

impl Book {
    /// An empty book that waits for its snapshot.
    #[must_use]
    pub fn new() -> Book {
        Book {
            bids: Half::new(Side::Buy),
            asks: Half::new(Side::Sell),
            synced: false,
            at: Ts::default(),
            ticker: None,
        }
    }

    /// Apply a proven update. A change that arrives before any snapshot is ignored: there is
    /// nothing that it changes.
    pub fn apply(&mut self, update: &BookUpdate) {
        if update.snapshot {
            self.bids.replace(&update.bids);
            self.asks.replace(&update.asks);
            self.synced = true;
        } else if self.synced {
            self.bids.change(&update.bids);
            self.asks.change(&update.asks);
        } else {
            return;
        }
        self.at = update.at;
    }

    /// Take a ticker, which venues send ahead of the book. Where its time is later than the
    /// book's, it overrides the best levels of [`Book::touch`]; nothing else changes. Where the
    /// venue gives a ticker no time (Binance Spot) it carries the receive time, which leads the
    /// book's by the latency: harmless, because such a venue sends one for every change.
    pub fn apply_ticker(&mut self, ticker: &Ticker) {
        let sane = ticker.bid.px < ticker.ask.px && ticker.bid.qty.0 > 0 && ticker.ask.qty.0 > 0;
        let later = self.ticker.is_none_or(|known| ticker.at >= known.at);
        if sane && later {
            self.ticker = Some(*ticker);
        }
    }

    /// Forget everything: the book is no longer proven.
    pub fn invalidate(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.synced = false;
        self.ticker = None;
    }

    /// Whether a snapshot has been applied since the last invalidation.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The time of the last update applied.
    #[must_use]
    pub fn at(&self) -> Ts {
        self.at
    }

    /// Best bid at or above best ask in the proven levels.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        matches!((self.best(Side::Buy), self.best(Side::Sell)), (Some(b), Some(a)) if b.px >= a.px)
    }

    /// The market has moved so far through the levels kept that few are left before the horizon:
    /// ask for a fresh snapshot.
    #[must_use]
    pub fn is_depleted(&self) -> bool {
        [&self.bids, &self.asks]
            .iter()
            .any(|half| half.horizon.is_some() && half.levels.len() < MIN_LEVELS_WITHIN_HORIZON)
    }

    /// The worst price up to which a side is exact; `None` when the whole side is known.
    #[must_use]
    pub fn horizon(&self, side: Side) -> Option<Px> {
        self.half(side).horizon
    }

    /// The best proven level of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.half(side).levels.last().copied()
    }

    /// The proven levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.half(side).levels.iter().rev().copied()
    }

    /// The proven quantity at a price; zero where nothing rests.
    #[must_use]
    pub fn qty_at(&self, side: Side, px: Px) -> Qty {
        let half = self.half(side);
        half.find(px).map_or(Qty::ZERO, |index| half.levels[index].qty)
    }

    /// The best levels now: the ticker's where it is later than the book, otherwise the book's.
    /// `None` unless the book is synced and both sides have a level.
    #[must_use]
    pub fn touch(&self) -> Option<Touch> {
        self.without_own(&[])
    }

    /// The mid, in ticks, of [`Book::touch`].
    #[must_use]
    pub fn mid_ticks(&self) -> Option<f64> {
        self.touch().map(|touch| touch.mid_ticks())
    }

    /// The weighted mid, in ticks, of [`Book::touch`].
    #[must_use]
    pub fn weighted_mid_ticks(&self) -> Option<f64> {
        self.touch().map(|touch| touch.weighted_mid_ticks())
    }

    /// The best levels as they would be without our own resting orders, so that a fair price
    /// does not chase our quotes.
    ///
    /// An own order that the feed does not show yet hides as much of others' quantity at its
    /// price: the touch then errs away from us, and by no more than that order.
    #[must_use]
    pub fn without_own(&self, own: &[(Side, Px, Qty)]) -> Option<Touch> {
        // A ticker leads the levels, it does not stand in for them.
        if !self.synced || Side::BOTH.into_iter().any(|side| self.best(side).is_none()) {
            return None;
        }
        let ahead = self.ticker.filter(|ticker| ticker.at > self.at);
        let bid = self.best_of_others(Side::Buy, ahead.map(|t| t.bid), own)?;
        let ask = self.best_of_others(Side::Sell, ahead.map(|t| t.ask), own)?;
        Some(Touch { bid, ask, at: ahead.map_or(self.at, |t| t.at) })
    }

    /// What taking `qty` from the proven levels of side `taken` (the asks for a buy) would cost.
    #[must_use]
    pub fn walk(&self, taken: Side, qty: Qty) -> Walk {
        let mut walk = Walk::default();
        for level in self.levels(taken) {
            let part = level.qty.min(qty - walk.filled);
            if part.0 <= 0 {
                break;
            }
            walk.filled += part;
            walk.cost_tick_lots += i128::from(level.px.0) * i128::from(part.0);
            walk.worst = Some(level.px);
        }
        walk
    }

    fn best_of_others(
        &self,
        side: Side,
        ahead: Option<Level>,
        own: &[(Side, Px, Qty)],
    ) -> Option<Level> {
        let behind = self.levels(side).filter(|level| match ahead {
            Some(best) => (best.px.0 - level.px.0) * side.sign() > 0,
            None => true,
        });
        ahead.into_iter().chain(behind).find_map(|level| {
            let ours: Qty = own
                .iter()
                .filter(|&&(own_side, px, _)| own_side == side && px == level.px)
                .map(|&(_, _, qty)| qty)
                .sum();
            let others = level.qty - ours;
            (others.0 > 0).then_some(Level { px: level.px, qty: others })
        })
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

impl Half {
    fn new(side: Side) -> Half {
        Half { side, levels: Vec::new(), horizon: None }
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.horizon = None;
    }

    /// Larger is better on both sides.
    fn rank(&self, px: Px) -> i64 {
        px.0 * self.side.sign()
    }

    fn find(&self, px: Px) -> Result<usize, usize> {
        let rank = self.rank(px);
        self.levels.binary_search_by_key(&rank, |level| self.rank(level.px))
    }

    fn replace(&mut self, levels: &[Level]) {
        self.clear();
        self.levels.extend(levels);
        let sign = self.side.sign();
        self.levels.sort_by_key(|level| level.px.0 * sign);
        // A price given twice means its last quantity, as when the changes are applied in turn.
        self.levels.dedup_by(|later, kept| {
            let same = later.px == kept.px;
            if same {
                kept.qty = later.qty;
            }
            same
        });
        self.levels.retain(|level| level.qty.0 > 0);
        self.drop_far();
    }

    fn change(&mut self, changes: &[Level]) {
        for &level in changes {
            if self.horizon.is_some_and(|worst| self.rank(level.px) < self.rank(worst)) {
                continue;
            }
            match (self.find(level.px), level.qty.0 > 0) {
                (Ok(index), true) => self.levels[index].qty = level.qty,
                (Ok(index), false) => {
                    self.levels.remove(index);
                }
                (Err(index), true) => self.levels.insert(index, level),
                (Err(_), false) => {}
            }
        }
        self.drop_far();
    }

    fn drop_far(&mut self) {
        if self.levels.len() > MAX_LEVELS {
            self.levels.drain(..self.levels.len() - MAX_LEVELS);
            self.horizon = self.levels.first().map(|level| level.px);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::InstrumentId;

    fn level(px: i64, qty: i64) -> Level {
        Level { px: Px(px), qty: Qty(qty) }
    }

    fn update(snapshot: bool, bids: Vec<Level>, asks: Vec<Level>, at: i64) -> BookUpdate {
        BookUpdate { instrument: InstrumentId(0), snapshot, bids, asks, at: Ts(at) }
    }

    fn book(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Book {
        let levels = |pairs: &[(i64, i64)]| pairs.iter().map(|&(p, q)| level(p, q)).collect();
        let mut book = Book::new();
        book.apply(&update(true, levels(bids), levels(asks), 10));
        book
    }

    fn ticker(bid: Level, ask: Level, at: i64) -> Ticker {
        Ticker { instrument: InstrumentId(0), bid, ask, at: Ts(at) }
    }

    #[test]
    fn a_change_before_the_snapshot_is_nothing() {
        let mut book = Book::new();
        book.apply(&update(false, vec![level(1, 1)], vec![level(2, 1)], 1));
        assert!(!book.is_synced());
        assert_eq!(book.touch(), None);
        assert_eq!(book.best(Side::Buy), None);
    }

    #[test]
    fn an_invalidated_book_forgets_its_ticker_too() {
        let mut book = book(&[(99, 1)], &[(101, 1)]);
        book.apply_ticker(&ticker(level(98, 1), level(100, 1), 20));
        book.invalidate();
        assert_eq!(book.touch(), None);
        book.apply(&update(true, vec![level(99, 1)], vec![level(101, 1)], 10));
        assert_eq!(book.touch().unwrap().bid.px, Px(99));
    }

    #[test]
    fn a_ticker_makes_no_touch_of_an_empty_side() {
        let mut book = book(&[(99, 5)], &[]);
        book.apply_ticker(&ticker(level(98, 2), level(100, 3), 11));
        assert_eq!(book.touch(), None);
    }

    #[test]
    fn the_later_of_book_and_ticker_is_the_touch() {
        let mut book = book(&[(99, 5), (98, 5)], &[(101, 5), (102, 5)]);
        book.apply_ticker(&ticker(level(98, 2), level(100, 3), 5));
        assert_eq!(book.touch().unwrap().bid, level(99, 5), "an older ticker");
        book.apply_ticker(&ticker(level(98, 2), level(100, 3), 11));
        let touch = book.touch().unwrap();
        assert_eq!((touch.bid, touch.ask, touch.at), (level(98, 2), level(100, 3), Ts(11)));
        book.apply_ticker(&ticker(level(100, 2), level(100, 3), 12));
        assert_eq!(book.touch().unwrap(), touch, "a crossed ticker is left out");
        book.apply(&update(false, vec![], vec![], 11));
        assert_eq!(book.touch().unwrap().bid, level(99, 5), "the book has caught up");
    }

    #[test]
    fn the_touch_of_others_is_behind_our_quotes() {
        let mut book = book(&[(99, 5), (98, 5)], &[(101, 5), (102, 5)]);
        let own = [(Side::Buy, Px(99), Qty(5)), (Side::Sell, Px(101), Qty(2))];
        let touch = book.without_own(&own).unwrap();
        assert_eq!((touch.bid, touch.ask), (level(98, 5), level(101, 3)));
        // Our bid is the ticker's best: behind it come the book's levels, those through it not.
        book.apply_ticker(&ticker(level(98, 1), level(101, 5), 11));
        let touch = book.without_own(&[(Side::Buy, Px(98), Qty(1))]);
        assert_eq!(touch, None, "nothing known beyond the only level");
        assert_eq!(book.without_own(&[(Side::Sell, Px(98), Qty(1))]).unwrap().bid, level(98, 1));
    }

    #[test]
    fn walking_pays_level_by_level_and_says_when_depth_runs_out() {
        let book = book(&[(99, 5)], &[(101, 5), (103, 5)]);
        let walk = book.walk(Side::Sell, Qty(7));
        assert_eq!((walk.filled, walk.worst), (Qty(7), Some(Px(103))));
        assert_eq!(walk.cost_tick_lots, 5 * 101 + 2 * 103);
        assert_eq!(book.walk(Side::Sell, Qty(70)).filled, Qty(10));
        assert_eq!(book.walk(Side::Sell, Qty(-1)), Walk::default());
        assert_eq!(book.walk(Side::Sell, Qty(0)).average_ticks(), None);
        assert!((walk.average_ticks().unwrap() - 711.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn far_levels_are_dropped_and_the_book_says_how_far_it_is_exact() {
        let most = MAX_LEVELS as i64;
        let bids = (1..=most + 50).map(|px| level(px, 1)).collect();
        let mut book = Book::new();
        book.apply(&update(true, bids, vec![level(most + 60, 1)], 1));
        assert_eq!(book.levels(Side::Buy).count(), MAX_LEVELS);
        assert_eq!(book.horizon(Side::Buy), Some(Px(51)));
        assert_eq!(book.horizon(Side::Sell), None);
        book.apply(&update(false, vec![level(20, 7), level(51, 9)], vec![], 2));
        assert_eq!(book.qty_at(Side::Buy, Px(20)), Qty(0), "beyond the horizon");
        assert_eq!(book.qty_at(Side::Buy, Px(51)), Qty(9));
        assert!(!book.is_depleted());
        let gone = (151..=most + 50).map(|px| level(px, 0)).collect();
        book.apply(&update(false, gone, vec![], 3));
        assert!(!book.is_depleted(), "100 levels are left");
        book.apply(&update(false, vec![level(150, 0)], vec![], 4));
        assert!(book.is_depleted());
    }

    #[derive(Default)]
    struct Naive([BTreeMap<i64, i64>; 2]);

    impl Naive {
        fn apply(&mut self, update: &BookUpdate) {
            for (half, levels) in self.0.iter_mut().zip([&update.bids, &update.asks]) {
                if update.snapshot {
                    half.clear();
                }
                for level in levels {
                    half.insert(level.px.0, level.qty.0);
                }
                half.retain(|_, qty| *qty > 0);
            }
        }

        fn levels(&self, side: Side) -> Vec<Level> {
            let ascending = self.0[side.index()].iter().map(|(&px, &qty)| level(px, qty));
            match side {
                Side::Buy => ascending.rev().collect(),
                Side::Sell => ascending.collect(),
            }
        }
    }

    fn levels() -> impl Strategy<Value = Vec<Level>> {
        prop::collection::vec((1..60i64, -1..4i64).prop_map(|(px, qty)| level(px, qty)), 0..12)
    }

    proptest! {
        #[test]
        fn the_book_is_what_a_sorted_map_would_be(
            steps in prop::collection::vec((prop::bool::weighted(0.1), levels(), levels()), 1..60),
            taken in 0..100i64,
        ) {
            let (mut book, mut naive) = (Book::new(), Naive::default());
            book.apply(&update(true, vec![], vec![], 0));
            for (at, (snapshot, bids, asks)) in (1..).zip(steps) {
                let update = update(snapshot, bids, asks, at);
                book.apply(&update);
                naive.apply(&update);
                for side in Side::BOTH {
                    let expected = naive.levels(side);
                    prop_assert_eq!(book.levels(side).collect::<Vec<_>>(), expected.clone());
                    prop_assert_eq!(book.best(side), expected.first().copied());
                    let depth: i64 = expected.iter().map(|level| level.qty.0).sum();
                    prop_assert_eq!(book.walk(side, Qty(taken)).filled, Qty(taken.min(depth)));
                }
                let (bids, asks) = (naive.levels(Side::Buy), naive.levels(Side::Sell));
                let touch = bids.first().zip(asks.first());
                prop_assert_eq!(book.touch().map(|t| (t.bid, t.ask)), touch.map(|(&b, &a)| (b, a)));
                prop_assert_eq!(book.is_crossed(), touch.is_some_and(|(b, a)| b.px >= a.px));
            }
        }
    }
}
