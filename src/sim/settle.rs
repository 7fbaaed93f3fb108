//! From matches to money: trades, order states, balances, positions, and the news of them.

use crate::domain::{Asset, InstrumentKind, Money, Px, Qty, Side};

use super::api::{
    AccountId, Execution, ExpiryReason, Happening, MarketId, PublicTrade, Status, Terms,
    TradeRecord, Wallet,
};
use super::exchange::Exchange;
use super::ledger::{FillTerms, cut};
use super::matcher::{Incoming, Match, Matcher, Outcome, Owner, Report};

/// Accounts whose balances or positions a command changed.
#[derive(Debug, Default)]
pub(crate) struct Touched(Vec<(AccountId, MarketId)>);

impl Touched {
    pub(crate) fn add(&mut self, account: AccountId, market: MarketId) {
        if !self.0.contains(&(account, market)) {
            self.0.push((account, market));
        }
    }
}

/// One side of a trade.
#[derive(Clone, Copy, Debug)]
struct Leg {
    order_id: u64,
    owner: Owner,
    side: Side,
    px: Px,
    qty: Qty,
    maker: bool,
    trade_id: u64,
}

impl Exchange {
    /// Sends an order to the book and books every match; the fills of the incoming order.
    pub(crate) fn execute(
        &mut self,
        market: MarketId,
        incoming: Incoming,
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) -> (Outcome, Vec<TradeRecord>) {
        let mut report = std::mem::take(&mut self.report);
        report.clear();
        let index = usize::from(market.0);
        let outcome = self.markets[index].book.submit(incoming, &mut report);
        let mut fills = Vec::new();
        for meeting in &report.matches {
            if meeting.traded {
                fills.extend(self.trade(market, &incoming, meeting, touched, out));
            } else {
                self.prevent(market, &incoming, meeting, touched, out);
            }
        }
        self.publish(market, &report, out);
        self.report = report;
        (outcome, fills)
    }

    /// Changes the book directly and publishes the changed levels.
    pub(crate) fn with_report<T>(
        &mut self,
        market: MarketId,
        out: &mut Vec<Happening>,
        change: impl FnOnce(&mut Matcher, &mut Report) -> T,
    ) -> T {
        let mut report = std::mem::take(&mut self.report);
        report.clear();
        let result = change(&mut self.markets[usize::from(market.0)].book, &mut report);
        self.publish(market, &report, out);
        self.report = report;
        result
    }

    pub(crate) fn publish(&mut self, market: MarketId, report: &Report, out: &mut Vec<Happening>) {
        let at = self.now;
        let spec = &mut self.markets[usize::from(market.0)];
        for change in &report.levels {
            spec.last_update += 1;
            out.push(Happening::Depth {
                market,
                update_id: spec.last_update,
                side: change.side,
                px: change.px,
                qty: change.qty,
                at,
            });
        }
    }

    pub(crate) fn trade(
        &mut self,
        market: MarketId,
        incoming: &Incoming,
        meeting: &Match,
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) -> Option<TradeRecord> {
        let trade_id = self.print(
            market,
            incoming.side,
            meeting.px,
            meeting.qty,
            (meeting.maker_id, incoming.id),
            out,
        );
        let leg = |order_id, owner, side, maker| Leg {
            order_id,
            owner,
            side,
            px: meeting.px,
            qty: meeting.qty,
            maker,
            trade_id,
        };
        let maker = leg(meeting.maker_id, meeting.maker, incoming.side.opposite(), true);
        self.fill(market, maker, touched, out);
        self.fill(market, leg(incoming.id, incoming.owner, incoming.side, false), touched, out)
    }

    /// Publishes a trade; its id.
    pub(crate) fn print(
        &mut self,
        market: MarketId,
        taker: Side,
        px: Px,
        qty: Qty,
        (maker_order_id, taker_order_id): (u64, u64),
        out: &mut Vec<Happening>,
    ) -> u64 {
        let at = self.now;
        let spec = &mut self.markets[usize::from(market.0)];
        spec.last_trade += 1;
        spec.last_px = Some(px);
        out.push(Happening::Trade(PublicTrade {
            market,
            trade_id: spec.last_trade,
            px,
            qty,
            maker_order_id,
            taker_order_id,
            buyer_is_maker: taker == Side::Sell,
            at,
        }));
        spec.last_trade
    }

    /// Books one leg; the account's trade, or `None` for the population.
    fn fill(
        &mut self,
        market: MarketId,
        leg: Leg,
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) -> Option<TradeRecord> {
        let now = self.now;
        let spec = &self.markets[usize::from(market.0)];
        let instrument = &spec.instrument;
        let mut terms = FillTerms {
            side: leg.side,
            px: leg.px,
            qty: leg.qty,
            rate: Money::ZERO,
            unlocked: Money::ZERO,
        };
        if leg.owner == Owner::POPULATION {
            self.population.fill(market, instrument, terms, now);
            return None;
        }
        let account = AccountId(leg.owner.0 - 1);
        let entry = self.orders.get_mut(&leg.order_id)?;
        terms.rate = if leg.maker { spec.fees.maker } else { spec.fees.taker };
        if let (InstrumentKind::Spot, Terms::Limit { px, .. }) =
            (instrument.kind, &entry.record.terms)
        {
            terms.unlocked = match leg.side {
                Side::Buy => instrument.notional(*px, leg.qty),
                Side::Sell => instrument.quantity(leg.qty),
            };
            entry.locked -= terms.unlocked;
        }
        let ledger = &mut self.accounts[account.0 as usize];
        let result = ledger.fill(market, instrument, terms, now);
        let purse = (Wallet::of(instrument.kind), result.fee_asset.clone());
        *self.fees.entry(purse).or_default() += result.fee;
        let record = &mut entry.record;
        record.filled += leg.qty;
        record.filled_quote += instrument.notional(leg.px, leg.qty);
        record.updated = now;
        let done = record.filled + record.prevented >= record.qty;
        record.status = if done { Status::Filled } else { Status::PartiallyFilled };
        let trade = TradeRecord {
            trade_id: leg.trade_id,
            order_id: leg.order_id,
            account,
            market,
            side: leg.side,
            px: leg.px,
            qty: leg.qty,
            fee: result.fee,
            fee_asset: result.fee_asset,
            maker: leg.maker,
            realized_pnl: result.realized,
            at: now,
        };
        out.push(Happening::Order {
            record: Box::new(record.clone()),
            execution: Execution::Trade(trade.clone()),
            at: now,
        });
        self.remember(trade.clone());
        touched.add(account, market);
        if done {
            self.close(leg.order_id);
        }
        Some(trade)
    }

    fn remember(&mut self, trade: TradeRecord) {
        let trades = &mut self.trades[trade.account.0 as usize];
        trades.push_back(trade);
        if trades.len() > self.history {
            trades.pop_front();
        }
    }

    /// Books a prevented self-trade on both orders.
    fn prevent(
        &mut self,
        market: MarketId,
        incoming: &Incoming,
        meeting: &Match,
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) {
        let spec = &mut self.markets[usize::from(market.0)];
        spec.last_prevented += 1;
        let match_id = spec.last_prevented;
        touched.add(AccountId(incoming.owner.0.saturating_sub(1)), market);
        let sides = [(meeting.maker_id, meeting.qty), (incoming.id, meeting.taker_prevented)];
        for (id, qty) in sides.into_iter().filter(|(_, qty)| *qty > Qty::ZERO) {
            let at = self.now;
            let Some(entry) = self.orders.get_mut(&id) else { continue };
            entry.record.prevented += qty;
            entry.record.updated = at;
            let done = entry.record.filled + entry.record.prevented >= entry.record.qty;
            if done {
                entry.record.status = Status::ExpiredInMatch;
            }
            out.push(Happening::Order {
                record: Box::new(entry.record.clone()),
                execution: Execution::Prevented { qty, match_id },
                at,
            });
            if done {
                self.close(id);
            } else {
                self.unlock_prevented(id, qty);
            }
        }
    }

    /// A decremented order goes on with less and needs less under lock.
    fn unlock_prevented(&mut self, id: u64, qty: Qty) {
        let Some(entry) = self.orders.get_mut(&id) else { return };
        let record = &entry.record;
        let instrument = &self.markets[usize::from(record.market.0)].instrument;
        let (Some(px), InstrumentKind::Spot) = (record.px(), instrument.kind) else { return };
        let freed = match record.side {
            Side::Buy => instrument.notional(px, qty),
            Side::Sell => instrument.quantity(qty),
        };
        entry.locked -= freed;
        let (account, market, side) = (record.account, record.market, record.side);
        self.lock(account, market, side, -freed);
    }

    /// Takes an open order out of the book and ends it.
    pub(crate) fn withdraw(
        &mut self,
        id: u64,
        status: Status,
        execution: Execution,
        out: &mut Vec<Happening>,
    ) {
        let Some(entry) = self.orders.get_mut(&id) else { return };
        let market = entry.record.market;
        if let Some(handle) = entry.handle.take() {
            self.with_report(market, out, |book, report| book.cancel(handle, report));
        }
        self.finish(id, status, execution, out);
    }

    /// Ends an order that is no longer in the book.
    pub(crate) fn finish(
        &mut self,
        id: u64,
        status: Status,
        execution: Execution,
        out: &mut Vec<Happening>,
    ) {
        let at = self.now;
        let Some(entry) = self.orders.get_mut(&id) else { return };
        entry.record.status = status;
        entry.record.updated = at;
        out.push(Happening::Order { record: Box::new(entry.record.clone()), execution, at });
        self.close(id);
    }

    /// Forgets that an order works: lock, place in the open list; and the oldest finished order.
    fn close(&mut self, id: u64) {
        let Some(entry) = self.orders.get_mut(&id) else { return };
        entry.handle = None;
        let left = std::mem::take(&mut entry.locked);
        let (account, market, side) =
            (entry.record.account, entry.record.market, entry.record.side);
        self.lock(account, market, side, -left);
        if let Some(ids) = self.open.get_mut(&(account, market)) {
            ids.retain(|open| *open != id);
        }
        self.finished.push_back(id);
        while self.finished.len() > self.history {
            let Some(old) = self.finished.pop_front() else { break };
            let Some(gone) = self.orders.remove(&old) else { continue };
            let record = gone.record;
            let kind = self.markets[usize::from(record.market.0)].instrument.kind;
            let key = (record.account, Wallet::of(kind), record.client_id);
            if self.by_client.get(&key) == Some(&old) {
                self.by_client.remove(&key);
            }
        }
    }

    /// Locks an amount of what the order gives away (spot); unlocks when below zero.
    pub(crate) fn lock(&mut self, account: AccountId, market: MarketId, side: Side, amount: Money) {
        if amount.is_zero() {
            return;
        }
        let instrument = &self.markets[usize::from(market.0)].instrument;
        let asset = match side {
            Side::Buy => &instrument.quote,
            Side::Sell => &instrument.base,
        };
        self.accounts[account.0 as usize].lock(asset, amount);
    }

    /// Tells changed balances and positions, after ending reduce-only orders with nothing left to
    /// reduce.
    pub(crate) fn flush(&mut self, touched: Touched, out: &mut Vec<Happening>) {
        let at = self.now;
        for (account, market) in touched.0 {
            let instrument = self.markets[usize::from(market.0)].instrument.clone();
            let wallet = Wallet::of(instrument.kind);
            let perpetual = instrument.kind == InstrumentKind::LinearPerpetual;
            if perpetual {
                self.trim_reduce_only(account, market, out);
            }
            let mut assets = vec![instrument.quote];
            if !perpetual {
                assets.insert(0, instrument.base);
            }
            self.tell_balances(account, wallet, &assets, out);
            if let Some(position) = self.position(account, market).filter(|p| p.updated == at) {
                out.push(Happening::Position { account, position, at });
            }
        }
    }

    /// Tells those balances that are not as they were last told.
    fn tell_balances(
        &mut self,
        account: AccountId,
        wallet: Wallet,
        assets: &[Asset],
        out: &mut Vec<Happening>,
    ) {
        let mut changed = Vec::new();
        for asset in assets {
            let balance = self.balance(account, wallet, asset);
            let amounts = (balance.free, balance.locked);
            let told = self.told.insert((account, wallet, asset.clone()), amounts);
            if told.unwrap_or_default() != amounts {
                changed.push(balance);
            }
        }
        if !changed.is_empty() {
            out.push(Happening::Balances { account, wallet, changed, at: self.now });
        }
    }

    /// Keeps the sum of resting reduce-only orders within the position they reduce, ending the
    /// latest first.
    fn trim_reduce_only(&mut self, account: AccountId, market: MarketId, out: &mut Vec<Happening>) {
        let position = self.accounts[account.0 as usize].position(market).qty;
        let mut room = position.abs();
        let ids = self.open.get(&(account, market)).cloned().unwrap_or_default();
        for id in ids {
            let Some(entry) = self.orders.get(&id).filter(|e| e.record.reduce_only) else {
                continue;
            };
            let Some(handle) = entry.handle else { continue };
            let book = &self.markets[usize::from(market.0)].book;
            let resting = book.resting(handle).unwrap_or_default();
            let reduces = Side::reducing(position) == Some(entry.record.side);
            if !reduces || room.is_zero() || resting.is_zero() {
                let why = Execution::Expired(ExpiryReason::NothingToReduce);
                self.withdraw(id, Status::Expired, why, out);
            } else if resting > room {
                let by = resting - room;
                self.with_report(market, out, |book, report| book.reduce(handle, by, report));
                room = Qty::ZERO;
            } else {
                room -= resting;
            }
        }
    }

    /// Exchanges funding on all positions of a perpetual: longs pay the rate on the mark notional
    /// when it is above zero.
    pub(crate) fn exchange_funding(&mut self, market: MarketId, out: &mut Vec<Happening>) {
        let at = self.now;
        let spec = &self.markets[usize::from(market.0)];
        let (rate, mark) = (spec.funding_rate, spec.mark_price);
        if rate.is_zero() {
            return;
        }
        let instrument = spec.instrument.clone();
        let mut paid = Money::ZERO;
        for index in 0..self.accounts.len() {
            let position = self.accounts[index].position(market);
            if position.qty.is_zero() {
                continue;
            }
            let amount = -cut(instrument.quantity(position.qty) * mark * rate);
            paid += amount;
            self.accounts[index].pot(Wallet::Usdm, &instrument.quote).free += amount;
            let account = AccountId(u32::try_from(index).expect("fewer than 2^32 accounts"));
            out.push(Happening::Funding { account, market, amount, rate, at });
            let quote = std::slice::from_ref(&instrument.quote);
            self.tell_balances(account, Wallet::Usdm, quote, out);
        }
        self.population.pot(Wallet::Usdm, &instrument.quote).free -= paid;
    }
}
