//! What of a session must outlive the process: what was held, earned and counted, exactly.
//!
//! The driver keeps a copy on disk, a moment behind (`live`). That is enough: what happened after
//! the copy was taken is in the venue's list of trades, which is read from the last trade known on,
//! and every trade that the copy already holds is told apart by its id. So a session that is
//! killed at any instant goes on with the ledger it would have had.
//!
//! A trade counts as *settled* when no older one can be missing: at a complete reading of the
//! account, everything up to the newest trade that was known at the reading before; at the start,
//! everything before the session. The list is read on from there, and the ids above it are
//! remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::desk::Desk;
use crate::domain::{AccountSnapshot, Instrument, InstrumentId, Money, Side, TradesFrom, Ts};
use crate::inventory::{Attribution, Position};

/// A session's ledger, as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// When the session began: trades since then are its own.
    pub since: Ts,
    /// The result up to the last resume, quote: no part of what the loss limit counts.
    pub profit_base: Money,
    /// Maker fills of the last minute, buys and sells, for the repeated-execution limit.
    pub maker_fills: [Vec<Ts>; 2],
    /// By `venue:SYMBOL`.
    pub desks: BTreeMap<String, DeskLedger>,
}

/// One instrument's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeskLedger {
    /// Price of a tick and quantity of a lot, in which everything below is counted.
    pub tick_size: Money,
    /// See `tick_size`.
    pub lot_size: Money,
    /// The holding that counted as flat, base.
    pub target_base: Money,
    /// Held, base.
    pub held_base: Money,
    /// The result at the last mark, quote.
    pub profit_quote: Money,
    /// Lots and cash.
    pub position: Position,
    /// Where the result came from.
    pub attribution: Attribution,
    /// Every trade up to this id is booked, or from before the session; `None`: there is none.
    pub settled_trade: Option<u64>,
    /// Trades above it that are booked.
    pub trades: Vec<(u64, Side)>,
}

impl Engine {
    /// Go on with an earlier session; before the first step.
    pub fn resume_session(&mut self, ledger: Ledger) {
        let Ledger { since, profit_base, maker_fills, mut desks } = ledger;
        self.session_since = Some(since);
        self.alone_from = Ts::FAR;
        self.profit_base = profit_base;
        self.breaker.remember_fills(maker_fills);
        for index in 0..self.desks.len() {
            let name = self.ledger_name(&self.desks[index]);
            self.desks[index].earlier = desks.remove(&name);
        }
        // An instrument that is configured no more has earned or lost all the same.
        self.profit_base -= desks.values().map(|desk| desk.profit_quote).sum::<Money>();
    }

    /// Changes whenever [`Engine::ledger`] does.
    #[must_use]
    pub fn ledger_version(&self) -> u64 {
        self.ledger_version
    }

    /// The session's ledger; `None` before every account has been read, when what is on disk is
    /// still the better word, and when the session is over: ended in order, nothing held.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        let opened = self.desks.iter().all(Desk::is_opened);
        (opened && !self.is_session_over()).then(|| Ledger {
            since: self.session_since.unwrap_or(self.now),
            profit_base: self.profit_base,
            maker_fills: self.breaker.maker_fills(),
            desks: self
                .desks
                .iter()
                .filter_map(|d| Some((self.ledger_name(d), d.ledger()?)))
                .collect(),
        })
    }

    /// The run ended in order with nothing held: the next one begins a session of its own.
    #[must_use]
    pub fn is_session_over(&self) -> bool {
        matches!(self.ending, Some(super::Ending::FlatAndClean))
            && self.desks.iter().all(|desk| desk.is_opened() && desk.is_flat())
    }

    /// From where on the trades of each instrument are to be read, once an earlier session is
    /// being resumed.
    #[must_use]
    pub fn trades_from(&self) -> Vec<(InstrumentId, TradesFrom)> {
        let from = |desk: &Desk| {
            let settled = desk.earlier.as_ref()?.settled_trade;
            let next = settled.map(|id| TradesFrom::Id(id.saturating_add(1)));
            Some((desk.id, next.or(self.session_since.map(TradesFrom::Time))?))
        };
        self.desks.iter().filter_map(from).collect()
    }

    /// Takes up an instrument's part of an earlier session, now that its scales are known.
    pub(super) fn resume_desk(&mut self, id: InstrumentId) {
        let desk = &mut self.desks[id.index()];
        let (Some(earlier), Some(instrument)) = (desk.earlier.take(), &desk.listed) else { return };
        if (earlier.tick_size, earlier.lot_size) == (instrument.tick_size, instrument.lot_size) {
            desk.resume(earlier);
            self.agenda.set_profit(id, self.desks[id.index()].profit_quote());
        } else {
            // What is held is valued anew, in the new lots; the result so far is kept as a sum.
            desk.position.remember(&earlier.trades);
            desk.settled_trade = earlier.settled_trade;
            desk.target_base.get_or_insert(earlier.target_base);
            self.profit_base -= earlier.profit_quote;
        }
    }

    /// The newest trade before the session.
    pub(super) fn on_trades_before(&mut self, id: InstrumentId, trade_id: u64) {
        let desk = &mut self.desks[id.index()];
        desk.settled_trade = desk.settled_trade.max(Some(trade_id));
    }

    /// A complete reading: what had been known before it is settled now.
    pub(super) fn settle_trades(&mut self, snapshot: &AccountSnapshot) {
        for desk in self.desks.iter_mut().filter(|desk| desk.venue == snapshot.venue) {
            desk.settle_trades();
        }
        self.ledger_version += 1;
    }

    fn ledger_name(&self, desk: &Desk) -> String {
        format!("{}:{}", self.venues[desk.venue.index()].name, desk.params.symbol)
    }
}

impl Desk {
    fn resume(&mut self, earlier: DeskLedger) {
        self.position = earlier.position;
        self.position.remember(&earlier.trades);
        self.attribution = earlier.attribution;
        self.held_base = earlier.held_base;
        self.resumed_target = Some(earlier.target_base);
        self.target_base.get_or_insert(earlier.target_base);
        self.settled_trade = earlier.settled_trade;
    }

    fn settle_trades(&mut self) {
        self.settled_trade = self.newest_at_reading.max(self.settled_trade);
        self.newest_at_reading = self.position.newest_trade();
    }

    fn ledger(&self) -> Option<DeskLedger> {
        let Instrument { tick_size, lot_size, .. } = self.listed.as_ref()?;
        Some(DeskLedger {
            tick_size: *tick_size,
            lot_size: *lot_size,
            target_base: self.target_base?,
            held_base: self.held_base,
            profit_quote: self.profit_quote(),
            position: self.position.clone(),
            attribution: self.attribution.clone(),
            settled_trade: self.settled_trade,
            trades: self.position.trades_after(self.settled_trade),
        })
    }
}
