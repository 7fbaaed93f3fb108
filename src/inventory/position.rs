//! What we hold of one instrument and what it has cost, exactly, from fills.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Payoff;
use crate::domain::{Asset, Fill, Instrument, Money, Qty, Side, planted};

/// How many trade ids are remembered to tell repeats. A repeat that comes after this many newer
/// trades of the same instrument would count again: ask a venue for fewer past trades than this.
pub const RECENT_TRADES: usize = 4096;

/// What booking a fill did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booked {
    /// It was new.
    New {
        /// The fee in quote currency, below zero for a rebate.
        fee_quote: Money,
    },
    /// It had come before by another road; nothing changed.
    Repeat,
}

/// One instrument's ledger: signed lots and cash in the quote currency (of an inverse contract: in
/// base).
///
/// Profit is cash + position · worth at the mark ([`Payoff`]), exactly. Prices are in half-ticks. A
/// fee in the base asset (spot) counts as paid in quote at the fill price; [`Position::base_fees`]
/// tells how much less base the wallet holds, and [`Position::settle_base_fees`] takes it out of
/// the position. A fee in a third asset counts in the profit with what it is taken to be worth;
/// [`Position::other_fees`] tells what was paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    payoff: Payoff,
    qty: Qty,
    cash: Money,
    open_cost: Money,
    fees: Money,
    funding: Money,
    base_fees: Money,
    /// Lots of them that were taken out of the position, and what they were worth then.
    #[serde(default)]
    settled: Qty,
    #[serde(default)]
    settled_quote: Money,
    other_fees: Vec<(Asset, Money)>,
    /// What they were taken to be worth.
    #[serde(default)]
    other_fees_quote: Money,
    #[serde(skip)]
    seen: BTreeSet<(u64, Side)>,
    #[serde(skip)]
    order_seen: VecDeque<(u64, Side)>,
}

impl Default for Position {
    fn default() -> Position {
        Position::flat()
    }
}

impl Position {
    /// Nothing held, nothing earned.
    #[must_use]
    pub fn flat() -> Position {
        Position::of(Payoff::Linear)
    }

    /// The same for a contract of another payoff.
    #[must_use]
    pub fn of(payoff: Payoff) -> Position {
        Position {
            payoff,
            qty: Qty::ZERO,
            cash: Money::ZERO,
            open_cost: Money::ZERO,
            fees: Money::ZERO,
            funding: Money::ZERO,
            base_fees: Money::ZERO,
            settled: Qty::ZERO,
            settled_quote: Money::ZERO,
            other_fees: Vec::new(),
            other_fees_quote: Money::ZERO,
            seen: BTreeSet::new(),
            order_seen: VecDeque::new(),
        }
    }

    /// Change the position without a fill, valued at a price, so that profit does not change at
    /// that price: what is held at the start, or what a reconciliation found.
    pub fn adjust(&mut self, by: Qty, half_ticks: i64, instrument: &Instrument) {
        self.trade(by, half_ticks, instrument);
    }

    /// Take whole lots of fees that were paid in base, and are not held any more, out of the
    /// position, valued as [`Position::adjust`] does; how many. Without it the position drifts
    /// away from the wallet and what it is worth with it.
    pub fn settle_base_fees(&mut self, half_ticks: i64, instrument: &Instrument) -> Qty {
        let lots = instrument.lots_within(self.base_fees) - self.settled;
        if !lots.is_zero() {
            let cash = self.cash;
            self.trade(Qty(-lots.0), half_ticks, instrument);
            self.settled += lots;
            self.settled_quote += self.cash - cash;
            // Cash stays what the venue's own list of trades adds up to.
            self.cash = cash;
        }
        lots
    }

    /// Book a fill once, however often it arrives. `elsewhere_quote` is what a fee in an asset that
    /// is neither base nor quote is taken to be worth.
    pub fn book(&mut self, fill: &Fill, instrument: &Instrument, elsewhere_quote: Money) -> Booked {
        // A self-trade is one trade id with both sides ours.
        let by_order = planted("one_fill_an_order");
        let id = if by_order { fill.venue_order_id } else { fill.trade_id };
        let key = (id, fill.side);
        if !self.is_new(key) && !planted("fill_counted_twice") {
            return Booked::Repeat;
        }

        self.trade(fill.qty.signed(fill.side), 2 * fill.px.0, instrument);
        let settled_in = match self.payoff {
            Payoff::Linear => &instrument.quote,
            Payoff::Inverse { .. } => &instrument.base,
        };
        let fee_quote = if fill.fee_asset == *settled_in {
            fill.fee
        } else if fill.fee_asset == instrument.base {
            self.base_fees += fill.fee;
            fill.fee * instrument.price(fill.px)
        } else {
            // No cash of this ledger's currencies has moved.
            self.add_other_fee(&fill.fee_asset, fill.fee);
            self.other_fees_quote += elsewhere_quote;
            self.fees += elsewhere_quote;
            return Booked::New { fee_quote: elsewhere_quote };
        };
        self.fees += fee_quote;
        self.cash -= fee_quote;
        Booked::New { fee_quote }
    }

    /// Count these trades as booked: a ledger that was read back knows them no more.
    pub fn remember(&mut self, trades: &[(u64, Side)]) {
        for &key in trades {
            self.is_new(key);
        }
    }

    /// The newest trade booked.
    #[must_use]
    pub fn newest_trade(&self) -> Option<u64> {
        self.seen.last().map(|(id, _)| *id)
    }

    /// Trades booked, of those remembered, above an id.
    #[must_use]
    pub fn trades_after(&self, id: Option<u64>) -> Vec<(u64, Side)> {
        let from = id.map_or(0, |id| id.saturating_add(1));
        self.seen.range((from, Side::Buy)..).copied().collect()
    }

    fn is_new(&mut self, key: (u64, Side)) -> bool {
        let new = self.seen.insert(key);
        if new {
            self.order_seen.push_back(key);
        }
        if self.order_seen.len() > RECENT_TRADES
            && let Some(oldest) = self.order_seen.pop_front()
        {
            self.seen.remove(&oldest);
        }
        new
    }

    /// Book funding received in quote currency, below zero when paid.
    pub fn book_funding(&mut self, amount: Money) {
        self.funding += amount;
        self.cash += amount;
    }

    /// Signed lots held.
    #[must_use]
    pub fn qty(&self) -> Qty {
        self.qty
    }

    /// Cash since the start, in quote currency: sales less purchases, fees and funding.
    #[must_use]
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// Profit since the start at a price, in quote currency.
    #[must_use]
    pub fn total(&self, half_ticks: i64, instrument: &Instrument) -> Money {
        self.settled_profit() + self.worth(self.qty, half_ticks, instrument)
    }

    /// The part of the profit that closing there would realise: against average cost,
    /// before fees.
    #[must_use]
    pub fn unrealised(&self, half_ticks: i64, instrument: &Instrument) -> Money {
        self.worth(self.qty, half_ticks, instrument) - self.open_cost
    }

    /// The part of the profit that no price can change any more, fees and funding included;
    /// with [`Position::unrealised`] it makes the total exactly.
    #[must_use]
    pub fn realised(&self) -> Money {
        self.settled_profit() + self.open_cost
    }

    /// The profit without what is held.
    fn settled_profit(&self) -> Money {
        self.cash + self.settled_quote - self.other_fees_quote
    }

    /// Average entry price of what is held, in quote per base; `None` when flat.
    #[must_use]
    pub fn entry_price(&self, instrument: &Instrument) -> Option<Money> {
        let a_lot = self.open_cost.checked_div(Money::from(self.qty.0))?;
        self.payoff.price(a_lot, instrument)
    }

    /// Fees paid, in quote currency; below zero when rebates are more.
    #[must_use]
    pub fn fees(&self) -> Money {
        self.fees
    }

    /// Funding received, in quote currency; below zero when paid.
    #[must_use]
    pub fn funding(&self) -> Money {
        self.funding
    }

    /// Fees that were taken out of the base asset, in base.
    #[must_use]
    pub fn base_fees(&self) -> Money {
        self.base_fees
    }

    /// Fees in assets that are neither base nor quote, as paid.
    #[must_use]
    pub fn other_fees(&self) -> &[(Asset, Money)] {
        &self.other_fees
    }

    fn worth(&self, lots: Qty, half_ticks: i64, instrument: &Instrument) -> Money {
        self.payoff.money(i128::from(lots.0) * self.payoff.worth(half_ticks), instrument)
    }

    fn trade(&mut self, by: Qty, half_ticks: i64, instrument: &Instrument) {
        let before = self.qty;
        self.qty += by;
        self.cash -= self.worth(by, half_ticks, instrument);
        let crosses = before.0.signum() * self.qty.0.signum() < 0;
        self.open_cost = if self.qty.is_zero() {
            Money::ZERO
        } else if crosses {
            self.worth(self.qty, half_ticks, instrument)
        } else if before.0.abs() > self.qty.0.abs() {
            self.open_cost * Money::from(self.qty.0) / Money::from(before.0)
        } else {
            self.open_cost + self.worth(by, half_ticks, instrument)
        };
    }

    fn add_other_fee(&mut self, asset: &Asset, fee: Money) {
        match self.other_fees.iter_mut().find(|(known, _)| known == asset) {
            Some((_, sum)) => *sum += fee,
            None => self.other_fees.push((asset.clone(), fee)),
        }
    }
}
