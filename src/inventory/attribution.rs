//! Where the profit of one instrument came from, exactly.
//!
//! Summation by parts of position × mark: total = Σ maker s·z·(mark − px) + Σ taker s·z·(mark −
//! px) + Σ position·Δmark − fees + funding, with the worth of a lot at a price ([`Payoff`]) in
//! place of the price itself. Everything but fees and funding is a whole number of worths × lots,
//! so that nothing is ever rounded.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Payoff, Position};
use crate::domain::{Fill, Instrument, Liquidity, Money, Qty, Ts};

/// The parts of the profit, in quote currency (of an inverse contract: in base).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// What resting fills earned against the mark at the fill.
    pub spread_capture: Money,
    /// What taking fills earned against the mark at the fill; nearly always a cost.
    pub hedge: Money,
    /// What the position carried earned by moves of the mark.
    pub inventory: Money,
    /// Fees paid, as a profit: below zero for a fee.
    pub fees: Money,
    /// Funding received.
    pub funding: Money,
}

impl Parts {
    /// All parts together.
    #[must_use]
    pub fn total(&self) -> Money {
        self.spread_capture + self.hedge + self.inventory + self.fees + self.funding
    }
}

/// The parts and the ledger do not agree: a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// On what they do not.
    pub what: &'static str,
    /// By the ledger.
    pub ledger: Money,
    /// By the parts.
    pub parts: Money,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the ledger has {} and the parts make {}", self.what, self.ledger, self.parts)
    }
}

impl std::error::Error for Imbalance {}

/// The running attribution of one instrument. At equal times: mark, then fill, then funding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    payoff: Payoff,
    qty: Qty,
    mark: Option<i64>,
    capture: i128,
    hedge: i128,
    inventory: i128,
    fees: Money,
    funding: Money,
    held: Held,
}

/// How much was held for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Held {
    since: Option<Ts>,
    at: Ts,
    signed_lot_ns: i128,
    lot_ns: i128,
    max: Qty,
}

impl Attribution {
    /// Nothing held, nothing earned, no mark.
    #[must_use]
    pub fn new() -> Attribution {
        Attribution::default()
    }

    /// The same for a contract of another payoff.
    #[must_use]
    pub fn of(payoff: Payoff) -> Attribution {
        Attribution { payoff, ..Attribution::default() }
    }

    /// The mark moved to this many half-ticks.
    pub fn mark(&mut self, now: Ts, mid_half_ticks: i64) {
        self.held.advance(now, self.qty);
        if let Some(before) = self.mark {
            let moved = self.payoff.worth(mid_half_ticks) - self.payoff.worth(before);
            self.inventory += i128::from(self.qty.0) * moved;
        }
        self.mark = Some(mid_half_ticks);
    }

    /// A fill that the ledger has just booked as new, with its fee in quote currency. Before any
    /// mark its own price is the mark.
    pub fn fill(&mut self, now: Ts, fill: &Fill, fee_quote: Money) {
        self.held.advance(now, self.qty);
        let own = 2 * fill.px.0;
        let mark = *self.mark.get_or_insert(own);
        let by = fill.qty.signed(fill.side);
        let earned = i128::from(by.0) * (self.payoff.worth(mark) - self.payoff.worth(own));
        match fill.liquidity {
            Liquidity::Maker => self.capture += earned,
            Liquidity::Taker => self.hedge += earned,
        }
        self.fees -= fee_quote;
        self.hold(by);
    }

    /// The position changed without a fill, valued at the mark `mid_half_ticks`: see
    /// [`super::Position::adjust`], which must be given the same price.
    pub fn adjust(&mut self, now: Ts, by: Qty, mid_half_ticks: i64) {
        self.mark(now, mid_half_ticks);
        self.hold(by);
    }

    /// Funding received, below zero when paid.
    pub fn funding(&mut self, amount: Money) {
        self.funding += amount;
    }

    /// The mark, in half-ticks; `None` before the first.
    #[must_use]
    pub fn mark_half_ticks(&self) -> Option<i64> {
        self.mark
    }

    /// The parts now.
    #[must_use]
    pub fn parts(&self, instrument: &Instrument) -> Parts {
        let money = |worths| self.payoff.money(worths, instrument);
        Parts {
            spread_capture: money(self.capture),
            hedge: money(self.hedge),
            inventory: money(self.inventory),
            fees: self.fees,
            funding: self.funding,
        }
    }

    /// Hold every part that the ledger knows against it, and their sum against its profit at the
    /// last mark, to the last unit.
    pub fn check(&self, ledger: &Position, instrument: &Instrument) -> Result<(), Imbalance> {
        let parts = self.parts(instrument);
        let total = self.mark.map_or(Money::ZERO, |mark| ledger.total(mark, instrument));
        let pairs = [
            ("lots held", Money::from(ledger.qty().0), Money::from(self.qty.0)),
            ("fees", Money::ZERO - ledger.fees(), parts.fees),
            ("funding", ledger.funding(), parts.funding),
            ("result", total, parts.total()),
        ];
        match pairs.into_iter().find(|(_, ledger, parts)| ledger != parts) {
            Some((what, ledger, parts)) => Err(Imbalance { what, ledger, parts }),
            None => Ok(()),
        }
    }

    /// Largest position held, lots without sign.
    #[must_use]
    pub fn max_inventory(&self) -> Qty {
        self.held.max
    }

    /// Time-weighted average position, in lots: signed, and without sign. Zero before any time
    /// has passed.
    #[must_use]
    pub fn average_inventory_lots(&self, now: Ts) -> (f64, f64) {
        let mut held = self.held;
        held.advance(now, self.qty);
        let span = held.since.map_or(0, |since| held.at.since(since).0);
        if span <= 0 {
            return (0.0, 0.0);
        }
        (held.signed_lot_ns as f64 / span as f64, held.lot_ns as f64 / span as f64)
    }

    fn hold(&mut self, by: Qty) {
        self.qty += by;
        self.held.max = self.held.max.max(self.qty.abs());
    }
}

impl Held {
    fn advance(&mut self, now: Ts, qty: Qty) {
        if self.since.is_none() {
            self.since = Some(now);
            self.at = now;
        }
        let elapsed = i128::from(now.since(self.at).0.max(0));
        self.signed_lot_ns += i128::from(qty.0) * elapsed;
        self.lot_ns += i128::from(qty.0.abs()) * elapsed;
        self.at = self.at.max(now);
    }
}
