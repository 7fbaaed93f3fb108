//! Reading the whole account: open orders, balances and positions, then trades, then one snapshot.
//!
//! Trades are asked for after the balances have come, so that every fill the balances contain is
//! told before the snapshot that contains it. The list of trades is read on by id, because clocks
//! step. Before the first reading of a session its newest trade is asked for; what was traded up to
//! there is part of what is found. Where there is none, Spot has never traded and is read from the
//! beginning; USD-M has not for the seven days that its list covers, so that a search by time may
//! begin generously early.

use std::collections::BTreeMap;

use super::decode::{self, Unreadable, json, money};
use super::encode::Call;
use super::sign::Query;
use super::{Ask, Product, Session, wire};
use crate::domain::{
    AccountSnapshot, Asset, Balance, Event, Fill, Money, OpenOrder, OrderId, PositionReport,
    RejectClass, Span, TradesFrom, Ts, planted,
};
use crate::venues::Outbox;

/// How much earlier a search by time begins than it must: clocks may be off and step by less.
const TRADES_OVERLAP: Span = Span::from_s(3600);
/// A search by time covers seven days from its beginning, which must be enough to reach today.
const TRADES_WINDOW: Span = Span::from_s(6 * 86_400);
/// Rows of a page of trades, the most that both products give.
const TRADES_PAGE: usize = 1000;
/// Orders whose owner is asked for one by one, at once; where there are more, the list of all
/// orders tells.
const OWNERS_AT_ONCE: usize = 16;
/// Rows of a page of all orders, the most that both products give.
const ORDERS_PAGE: usize = 1000;

/// One reading in progress.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    as_of: Ts,
    /// Requests of the running phase not answered yet.
    missing: usize,
    failed: Option<String>,
    balances: Vec<Balance>,
    positions: Vec<PositionReport>,
    open_orders: Vec<OpenOrder>,
    /// Trades of orders whose client id is not known yet, by slot and venue order id.
    ownerless: BTreeMap<(usize, u64), Vec<Fill>>,
    /// Newest trade id read, by slot; it counts once the reading is complete.
    newest: BTreeMap<usize, u64>,
}

/// One part of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    OpenOrders(usize),
    Account,
    Positions,
    /// The newest trade before the session.
    Earlier(usize),
    Trades(usize),
    /// Whose order a trade belongs to: slot and venue order id.
    Owner(usize, u64),
    /// Whose the orders from that venue order id on are.
    Owners(usize, u64),
}

impl TradesFrom {
    fn after(id: u64) -> TradesFrom {
        TradesFrom::Id(id.saturating_add(1))
    }

    /// Where a product's list has no trade: Spot's is whole.
    pub(super) fn of(self, product: Product) -> TradesFrom {
        match (self, product) {
            (TradesFrom::Time(_), Product::Spot) => TradesFrom::Id(0),
            (from, _) => from,
        }
    }
}

impl Session {
    /// Begin a reading; if one runs, another follows it.
    pub(super) fn reconcile(&mut self, now: Ts, out: &mut Outbox) {
        if !self.account_readable() || self.round.is_some() {
            self.reconcile_again = true;
            return;
        }
        self.reconcile_again = false;
        if let Some(until) = self.blocked(now) {
            return self.garbled(format!("account not read: blocked until {until}"), out);
        }
        self.rounds += 1;
        self.round = Some(Round {
            number: self.rounds,
            as_of: now,
            missing: 0,
            failed: None,
            balances: Vec::new(),
            positions: Vec::new(),
            open_orders: Vec::new(),
            ownerless: BTreeMap::new(),
            newest: BTreeMap::new(),
        });
        let mut slots = self.listed_slots();
        slots.retain(|&slot| self.markets[slot].trades_from.is_none());
        for &slot in &slots {
            let query = Query::new().with("symbol", &self.markets[slot].symbol);
            self.ask_part(Call::Trades, Part::Earlier(slot), query, now, out);
        }
        if slots.is_empty() {
            self.ask_holdings(now, out);
        }
    }

    fn ask_holdings(&mut self, now: Ts, out: &mut Outbox) {
        for slot in self.listed_slots() {
            let query = Query::new().with("symbol", &self.markets[slot].symbol);
            self.ask_part(Call::OpenOrders, Part::OpenOrders(slot), query, now, out);
        }
        match self.params.product {
            Product::Spot => {
                let query = Query::new().with("omitZeroBalances", "true");
                self.ask_part(Call::Account, Part::Account, query, now, out);
            }
            Product::UsdM => {
                self.ask_part(Call::Account, Part::Account, Query::new(), now, out);
                self.ask_part(Call::Positions, Part::Positions, Query::new(), now, out);
            }
        }
    }

    fn listed_slots(&self) -> Vec<usize> {
        (0..self.markets.len()).filter(|&slot| self.markets[slot].is_listed()).collect()
    }

    fn ask_part(&mut self, call: Call, part: Part, query: Query, now: Ts, out: &mut Outbox) {
        let Some(round) = &mut self.round else { return };
        round.missing += 1;
        let ask = Ask::Part { round: round.number, part };
        self.send(call, ask, query, now, out);
    }

    /// The reply to one part of a reading.
    pub(super) fn on_part_reply(
        &mut self,
        number: u64,
        part: Part,
        now: Ts,
        body: Result<&str, (i64, String)>,
        out: &mut Outbox,
    ) {
        if self.round.as_ref().is_none_or(|round| round.number != number) {
            return;
        }
        let read = match (body, part) {
            // The venue has forgotten the order; ours of this session it has not.
            (Err((-2013, _)), Part::Owner(slot, order)) => {
                self.settle_owner(slot, order, None, out)
            }
            (Err(_), _) if planted("failed_reading_is_empty") => Ok(()),
            (Err((_, why)), _) => Err(why),
            (Ok(body), Part::OpenOrders(slot)) => self.read_open_orders(slot, body),
            (Ok(body), Part::Account) => self.read_balances(body, out),
            (Ok(body), Part::Positions) => self.read_positions(body),
            (Ok(body), Part::Earlier(slot)) => self.read_earlier(slot, body, out),
            (Ok(body), Part::Trades(slot)) => self.read_trades(slot, body, now, out),
            (Ok(body), Part::Owner(slot, order)) => self.read_owner(slot, order, body, out),
            (Ok(body), Part::Owners(slot, from)) => self.read_owners(slot, from, body, out),
        };
        let Some(round) = &mut self.round else { return };
        round.missing -= 1;
        if let Err(why) = read {
            round.failed.get_or_insert(format!("{part:?}: {why}"));
        }
        if round.missing == 0 {
            self.next_phase(part, now, out);
        }
    }

    /// All requests of a phase are answered: what was before, orders and balances, then trades,
    /// then their owners.
    fn next_phase(&mut self, last: Part, now: Ts, out: &mut Outbox) {
        let blocked = self.blocked(now);
        let Some(round) = &mut self.round else { return };
        if let Some(until) = blocked {
            // The venue has asked for silence since the round began.
            round.failed.get_or_insert(format!("blocked until {until}"));
        }
        if round.failed.is_none() {
            match last {
                Part::Earlier(_) => self.ask_holdings(now, out),
                Part::OpenOrders(_) | Part::Account | Part::Positions => {
                    for slot in self.listed_slots() {
                        if planted("trades_not_read") {
                            continue;
                        }
                        self.ask_trades(slot, now, out);
                    }
                }
                Part::Trades(_) | Part::Owner(..) | Part::Owners(..) => self.ask_owners(now, out),
            }
        }
        if self.round.as_ref().is_some_and(|round| round.missing == 0) {
            self.end_round(now, out);
        }
    }

    fn end_round(&mut self, now: Ts, out: &mut Outbox) {
        let Some(round) = self.round.take() else { return };
        match round.failed {
            None => {
                for (slot, market) in self.markets.iter_mut().enumerate() {
                    match (round.newest.get(&slot), market.trades_from) {
                        (Some(id), _) => market.trades_from = Some(TradesFrom::after(*id)),
                        (None, Some(TradesFrom::Time(since))) => {
                            market.trades_from = Some(TradesFrom::Time(since.max(round.as_of)));
                        }
                        (None, _) => {}
                    }
                }
                out.events.push(Event::Account(AccountSnapshot {
                    venue: self.params.venue,
                    balances: round.balances,
                    positions: round.positions,
                    open_orders: Some(round.open_orders),
                    complete: true,
                    as_of: round.as_of,
                }));
            }
            Some(why) => self.garbled(format!("account not read: {why}"), out),
        }
        if self.reconcile_again {
            self.reconcile(now, out);
        }
    }

    fn read_open_orders(&mut self, slot: usize, body: &str) -> Result<(), Unreadable> {
        let rows: Vec<wire::OrderReply<'_>> = json(body)?;
        let mut orders = Vec::with_capacity(rows.len());
        for row in &rows {
            let listing = self.markets[slot].listing.as_ref().ok_or("not listed")?;
            let id = self.params.prefix.decode(&row.client_order_id);
            let order = listing.open_order(row, id)?;
            if let Some(id) = id {
                self.remember_venue_id(slot, row.order_id, id);
                self.remember(id, super::Known { px: order.px, qty: order.qty });
            }
            orders.push(order);
        }
        self.round.as_mut().ok_or("no round")?.open_orders.extend(orders);
        Ok(())
    }

    fn read_balances(&mut self, body: &str, out: &mut Outbox) -> Result<(), Unreadable> {
        let mut balances = match self.params.product {
            Product::Spot => {
                let wire: wire::SpotAccount<'_> = json(body)?;
                if wire.can_trade == Some(false) {
                    let text = format!("the account at {} may not trade", self.params.name);
                    self.fail(RejectClass::Auth, text, out);
                }
                self.fees_of_account(wire.commission_rates.as_ref(), out);
                let read = |row: &wire::SpotBalance<'_>| {
                    decode::spot_balance(&row.asset, row.free, row.locked)
                };
                wire.balances.iter().map(read).collect::<Result<Vec<_>, _>>()?
            }
            Product::UsdM => {
                let wire: wire::FuturesAccount<'_> = json(body)?;
                let read = |row: &wire::FuturesAsset<'_>| -> Result<Balance, Unreadable> {
                    let (asset, free) = (Asset::new(&row.asset), money(row.wallet_balance)?);
                    Ok(Balance { asset, free, locked: Money::ZERO })
                };
                wire.assets.iter().map(read).collect::<Result<Vec<_>, _>>()?
            }
        };
        // A balance that is not listed is zero, and the snapshot should say so.
        let mut wanted: Vec<Asset> = Vec::new();
        for listing in self.listings() {
            if self.params.product == Product::Spot {
                wanted.push(listing.instrument.base.clone());
            }
            wanted.push(listing.instrument.quote.clone());
        }
        for asset in wanted {
            if !balances.iter().any(|balance| balance.asset == asset) {
                balances.push(Balance { asset, free: Money::ZERO, locked: Money::ZERO });
            }
        }
        self.round.as_mut().ok_or("no round")?.balances = balances;
        Ok(())
    }

    fn read_positions(&mut self, body: &str) -> Result<(), Unreadable> {
        let rows: Vec<wire::PositionRisk<'_>> = json(body)?;
        let mut positions = Vec::new();
        for row in &rows {
            let Some((_, listing)) = self.listed(&row.symbol) else { continue };
            let position = listing.position(row.position_amt, row.entry_price)?;
            if row.position_side == "BOTH" {
                positions.push(position);
            } else if !position.qty.is_zero() {
                return Err(format!("{} has a hedge-mode position", row.symbol));
            }
        }
        self.round.as_mut().ok_or("no round")?.positions = positions;
        Ok(())
    }

    fn read_earlier(
        &mut self,
        slot: usize,
        body: &str,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let rows: Vec<wire::TradeRow<'_>> = json(body)?;
        let newest = rows.iter().map(|row| row.id).max();
        let as_of = self.round.as_ref().ok_or("no round")?.as_of;
        let never = TradesFrom::Time(as_of).of(self.params.product);
        let market = &mut self.markets[slot];
        market.trades_from = Some(newest.map_or(never, TradesFrom::after));
        if let Some(trade_id) = newest {
            out.events.push(Event::TradesBefore { instrument: market.id, trade_id });
        }
        Ok(())
    }

    /// Trades behind the last one known from such a reading.
    fn ask_trades(&mut self, slot: usize, now: Ts, out: &mut Outbox) {
        let market = &self.markets[slot];
        let newest = self.round.as_ref().and_then(|round| round.newest.get(&slot).copied());
        let from = newest.map(TradesFrom::after).or(market.trades_from);
        let query = Query::new().with("symbol", &market.symbol);
        let query = match from.unwrap_or(TradesFrom::Id(0)) {
            TradesFrom::Id(id) => {
                query.with("fromId", id.saturating_add(50 * u64::from(planted("trades_skipped"))))
            }
            TradesFrom::Time(since) => {
                let begin = (since - TRADES_OVERLAP).max(now - TRADES_WINDOW);
                query.with("startTime", self.venue_ms(begin))
            }
        };
        let query = query.with("limit", TRADES_PAGE);
        self.ask_part(Call::Trades, Part::Trades(slot), query, now, out);
    }

    fn read_trades(
        &mut self,
        slot: usize,
        body: &str,
        now: Ts,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let rows: Vec<wire::TradeRow<'_>> = json(body)?;
        let listing = self.markets[slot].listing.as_ref().ok_or("not listed")?;
        let mut known = Vec::new();
        let mut ownerless = Vec::new();
        for row in &rows {
            let order = self.order_of(slot, row.order_id);
            let fill = listing.trade_row(row, order)?;
            if order.is_some() { known.push(fill) } else { ownerless.push(fill) }
        }
        let newest = rows.iter().map(|row| row.id).max();
        out.events.extend(known.into_iter().map(Event::Fill));
        let round = self.round.as_mut().ok_or("no round")?;
        for fill in ownerless {
            round.ownerless.entry((slot, fill.venue_order_id)).or_default().push(fill);
        }
        if let Some(newest) = newest
            && round.newest.insert(slot, newest).is_some_and(|before| before >= newest)
        {
            return Err("the pages of trades do not go on".to_owned());
        }
        if rows.len() >= TRADES_PAGE {
            self.ask_trades(slot, now, out);
        }
        Ok(())
    }

    fn read_owner(
        &mut self,
        slot: usize,
        order: u64,
        body: &str,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let wire: wire::OrderReply<'_> = json(body)?;
        let id = self.params.prefix.decode(&wire.client_order_id);
        if let Some(id) = id {
            self.remember_venue_id(slot, order, id);
        }
        self.settle_owner(slot, order, id, out)
    }

    /// Ask whose the next orders are of which trades were read.
    fn ask_owners(&mut self, now: Ts, out: &mut Outbox) {
        let Some(round) = &self.round else { return };
        let owners: Vec<(usize, u64)> = round.ownerless.keys().copied().collect();
        for slot in self.listed_slots() {
            let of_slot = owners.iter().filter(|(of, _)| *of == slot).map(|(_, order)| *order);
            let orders: Vec<u64> = of_slot.collect();
            let symbol = self.markets[slot].symbol.clone();
            let query = || Query::new().with("symbol", &symbol);
            if orders.len() > OWNERS_AT_ONCE {
                let query = query().with("orderId", orders[0]).with("limit", ORDERS_PAGE);
                self.ask_part(Call::AllOrders, Part::Owners(slot, orders[0]), query, now, out);
                continue;
            }
            for order in orders {
                let query = query().with("orderId", order);
                self.ask_part(Call::Query, Part::Owner(slot, order), query, now, out);
            }
        }
    }

    /// A page of all orders settles every order up to its end; one that is not on it the venue has
    /// forgotten.
    fn read_owners(
        &mut self,
        slot: usize,
        from: u64,
        body: &str,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let rows: Vec<wire::OrderReply<'_>> = json(body)?;
        let last = rows.iter().map(|row| row.order_id).max().filter(|_| rows.len() >= ORDERS_PAGE);
        let to = last.map_or(u64::MAX, |last| last.max(from));
        let round = self.round.as_ref().ok_or("no round")?;
        let told = round.ownerless.range((slot, from)..=(slot, to));
        let told: Vec<u64> = told.map(|((_, order), _)| *order).collect();
        for row in &rows {
            if let Some(id) = self.params.prefix.decode(&row.client_order_id) {
                self.remember_venue_id(slot, row.order_id, id);
            }
        }
        for order in told {
            self.settle_owner(slot, order, self.order_of(slot, order), out)?;
        }
        Ok(())
    }

    /// Tell the trades of an order whose owner is known now.
    fn settle_owner(
        &mut self,
        slot: usize,
        order: u64,
        id: Option<OrderId>,
        out: &mut Outbox,
    ) -> Result<(), Unreadable> {
        let round = self.round.as_mut().ok_or("no round")?;
        for mut fill in round.ownerless.remove(&(slot, order)).unwrap_or_default() {
            fill.order = id;
            out.events.push(Event::Fill(fill));
        }
        Ok(())
    }
}
