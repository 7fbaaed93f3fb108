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
        if !self.synced {
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
