//! Commands of accounts: what is checked before an order may touch the book, and what then happens.

use std::sync::Arc;

use rust_decimal::prelude::ToPrimitive;

use crate::domain::{Instrument, InstrumentKind, Level, Money, Px, Qty, Side};

use super::api::{
    AccountId, Answer, Execution, ExpiryReason, Happening, MarketId, OrderKey, OrderRecord, Place,
    Refusal, SelfTrade, Status, Terms, TimeInForce, Wallet,
};
use super::exchange::{Entry, Exchange, Market};
use super::matcher::{End, Incoming, Owner};
use super::settle::Touched;

/// Amendments of one spot order that the venue allows (`MAX_NUM_ORDER_AMENDS`).
const SPOT_AMENDS: u32 = 10;
/// Amendments of one USD-M order that the venue allows.
const USDM_AMENDS: u32 = 10_000;

impl Exchange {
    pub(crate) fn place(
        &mut self,
        account: AccountId,
        place: &Place,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        let market = self.market(place.market).ok_or(Refusal::UnknownMarket)?;
        let qty = check_terms(market, place)?;
        let wallet = Wallet::of(market.instrument.kind);
        let crosses = match place.terms {
            Terms::Limit { px, tif: TimeInForce::PostOnly, .. } => {
                market.book.crosses(place.side, px)
            }
            _ => false,
        };
        let key = (account, wallet, place.client_id.clone());
        if self.by_client.get(&key).is_some_and(|id| self.is_open(*id)) {
            return Err(Refusal::DuplicateClientId);
        }
        let open = self.open.get(&(account, place.market)).map_or(0, Vec::len);
        if open >= self.markets[usize::from(place.market.0)].instrument.max_open_orders as usize {
            return Err(Refusal::MaxOrders);
        }
        let working = if place.reduce_only {
            self.reducible(account, place.market, place.side, qty)?
        } else {
            qty
        };
        let locked = self.check_funds(account, place, working)?;
        if crosses {
            return Err(Refusal::WouldTake);
        }
        self.accept(account, place, (qty, working), locked, out)
    }

    fn accept(
        &mut self,
        account: AccountId,
        place: &Place,
        (qty, working): (Qty, Qty),
        locked: Money,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        let now = self.now;
        let market = &self.markets[usize::from(place.market.0)];
        let incoming = Incoming {
            id: self.last_order_id + 1,
            owner: Owner(account.0 + 1),
            side: place.side,
            px: limit_px(&market.instrument, place.side, &place.terms),
            qty: working,
            tif: match place.terms {
                Terms::Limit { tif, .. } => tif,
                Terms::Market { .. } | Terms::MarketQuote { .. } => TimeInForce::Ioc,
            },
            self_trade: place.self_trade,
        };
        if incoming.tif == TimeInForce::Fok
            && market.instrument.kind == InstrumentKind::LinearPerpetual
            && !market.book.can_fill(&incoming)
        {
            return Err(Refusal::Unfillable);
        }
        self.last_order_id += 1;
        let id = self.last_order_id;
        let record = OrderRecord {
            order_id: id,
            client_id: place.client_id.clone(),
            account,
            market: place.market,
            side: place.side,
            terms: place.terms.clone(),
            qty,
            filled: Qty::ZERO,
            filled_quote: Money::ZERO,
            prevented: Qty::ZERO,
            status: Status::New,
            reduce_only: place.reduce_only,
            self_trade: place.self_trade,
            amends: 0,
            created: now,
            updated: now,
        };
        let wallet = Wallet::of(market.instrument.kind);
        self.by_client.insert((account, wallet, place.client_id.clone()), id);
        self.open.entry((account, place.market)).or_default().push(id);
        out.push(Happening::Order {
            record: Box::new(record.clone()),
            execution: Execution::New,
            at: now,
        });
        self.orders.insert(id, Entry { record, handle: None, locked });
        self.lock(account, place.market, place.side, locked);
        let mut touched = Touched::default();
        touched.add(account, place.market);
        let fills = self.work(&incoming, place.market, &mut touched, out);
        self.flush(touched, out);
        Ok(Answer { orders: vec![self.orders[&id].record.clone()], fills })
    }

    /// Sends an account's order to the book and books the outcome.
    fn work(
        &mut self,
        incoming: &Incoming,
        market: MarketId,
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) -> Vec<super::api::TradeRecord> {
        let (outcome, fills) = self.execute(market, *incoming, touched, out);
        let id = incoming.id;
        match outcome.end {
            End::Filled | End::Prevented | End::WouldTake => {}
            End::Rests(handle) => {
                if let Some(entry) = self.orders.get_mut(&id) {
                    entry.handle = Some(handle);
                }
            }
            End::Expired => {
                let killed = incoming.tif == TimeInForce::Fok;
                let reason = if killed { ExpiryReason::Killed } else { ExpiryReason::Unfilled };
                self.finish(id, Status::Expired, Execution::Expired(reason), out);
            }
        }
        // A reduce-only order larger than the position ends with the position.
        let clipped = self.orders.get(&id).is_some_and(|e| {
            e.record.reduce_only && e.record.status.is_open() && e.handle.is_none()
        });
        if clipped {
            let why = Execution::Expired(ExpiryReason::NothingToReduce);
            self.finish(id, Status::Expired, why, out);
        }
        fills
    }

    pub(crate) fn cancel(
        &mut self,
        account: AccountId,
        market: MarketId,
        key: &OrderKey,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        let id = self.open_order(account, market, key).ok_or(Refusal::UnknownOrder)?;
        let mut touched = Touched::default();
        touched.add(account, market);
        self.withdraw(id, Status::Canceled, Execution::Canceled, out);
        self.flush(touched, out);
        Ok(Answer { orders: vec![self.orders[&id].record.clone()], fills: Vec::new() })
    }

    pub(crate) fn cancel_all(
        &mut self,
        account: AccountId,
        market: MarketId,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        self.market(market).ok_or(Refusal::UnknownMarket)?;
        let ids = self.open.get(&(account, market)).cloned().unwrap_or_default();
        let mut touched = Touched::default();
        if !ids.is_empty() {
            touched.add(account, market);
        }
        for id in &ids {
            self.withdraw(*id, Status::Canceled, Execution::Canceled, out);
        }
        self.flush(touched, out);
        let orders =
            ids.iter().filter_map(|id| self.orders.get(id)).map(|e| e.record.clone()).collect();
        Ok(Answer { orders, fills: Vec::new() })
    }

    pub(crate) fn amend(
        &mut self,
        account: AccountId,
        market: MarketId,
        key: &OrderKey,
        (px, qty, client_id): (Option<Px>, Qty, Option<Arc<str>>),
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        let spec = self.market(market).ok_or(Refusal::UnknownMarket)?;
        if spec.halted || !spec.instrument.trading {
            return Err(Refusal::Closed);
        }
        let kind = spec.instrument.kind;
        let id = self.open_order(account, market, key).ok_or(Refusal::UnknownOrder)?;
        let old_px = self.orders[&id].record.px().ok_or(Refusal::Unsupported)?;
        let px = px.unwrap_or(old_px);
        match kind {
            InstrumentKind::Spot if px != old_px => Err(Refusal::Unsupported),
            InstrumentKind::Spot => self.lower(id, qty, client_id, out),
            InstrumentKind::LinearPerpetual => self.replace(id, px, qty, out),
        }
    }

    /// Spot: a smaller quantity in the same place of the queue.
    fn lower(
        &mut self,
        id: u64,
        qty: Qty,
        client_id: Option<Arc<str>>,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        let record = &self.orders[&id].record;
        let (account, market, side) = (record.account, record.market, record.side);
        let instrument = self.markets[usize::from(market.0)].instrument.clone();
        let px = record.px().ok_or(Refusal::Unsupported)?;
        if qty == record.qty {
            return Err(Refusal::AmendUnchanged);
        }
        if qty > record.qty || qty <= record.filled + record.prevented {
            return Err(Refusal::AmendIncrease);
        }
        if record.amends >= SPOT_AMENDS {
            return Err(Refusal::AmendLimit);
        }
        check_qty(&instrument, qty)?;
        check_notional(&instrument, instrument.notional(px, qty))?;
        let wallet_key = |name: &Arc<str>| (account, Wallet::Spot, name.clone());
        let old_name = record.client_id.clone();
        if let Some(name) = client_id.as_ref().filter(|name| **name != old_name) {
            if self.by_client.get(&wallet_key(name)).is_some_and(|other| self.is_open(*other)) {
                return Err(Refusal::DuplicateClientId);
            }
            self.by_client.remove(&wallet_key(&old_name));
            self.by_client.insert(wallet_key(name), id);
        }
        let now = self.now;
        let entry = self.orders.get_mut(&id).expect("the order was found open");
        let by = entry.record.qty - qty;
        let handle = entry.handle.expect("an open order between commands rests");
        let freed = match side {
            Side::Buy => instrument.notional(px, by),
            Side::Sell => instrument.quantity(by),
        };
        entry.locked -= freed;
        entry.record.terms = with_limit(&entry.record.terms, px, qty);
        entry.record.qty = qty;
        entry.record.client_id = client_id.unwrap_or(old_name);
        entry.record.amends += 1;
        entry.record.updated = now;
        let record = entry.record.clone();
        self.lock(account, market, side, -freed);
        self.with_report(market, out, |book, report| book.reduce(handle, by, report));
        out.push(Happening::Order {
            record: Box::new(record.clone()),
            execution: Execution::Amended,
            at: now,
        });
        let mut touched = Touched::default();
        touched.add(account, market);
        self.flush(touched, out);
        Ok(Answer { orders: vec![record], fills: Vec::new() })
    }

    /// USD-M: a new price and quantity at the end of the queue.
    fn replace(
        &mut self,
        id: u64,
        px: Px,
        qty: Qty,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        let old = self.orders[&id].record.clone();
        let market = &self.markets[usize::from(old.market.0)];
        let Terms::Limit { tif, px: old_px, .. } = old.terms else {
            return Err(Refusal::Unsupported);
        };
        if px == old_px && qty == old.qty {
            return Err(Refusal::AmendUnchanged);
        }
        if old.amends >= USDM_AMENDS {
            return Err(Refusal::AmendLimit);
        }
        check_px(market, old.side, px)?;
        check_qty(&market.instrument, qty)?;
        if !old.reduce_only {
            check_notional(&market.instrument, market.instrument.notional(px, qty))?;
        }
        let mut touched = Touched::default();
        touched.add(old.account, old.market);
        let crosses = tif == TimeInForce::PostOnly && market.book.crosses(old.side, px);
        if crosses || qty <= old.filled + old.prevented {
            self.withdraw(id, Status::Canceled, Execution::Canceled, out);
            self.flush(touched, out);
            return Ok(Answer { orders: vec![self.orders[&id].record.clone()], fills: vec![] });
        }
        let working = if old.reduce_only {
            let resting = self.orders[&id].handle.and_then(|h| market.book.resting(h));
            let room = self.reduce_room(old.account, old.market, old.side);
            (qty - old.filled - old.prevented).min(resting.unwrap_or_default() + room)
        } else {
            self.check_margin(old.account, old.market, old.side, qty - old.qty, px)?;
            qty - old.filled - old.prevented
        };
        let now = self.now;
        let entry = self.orders.get_mut(&id).expect("the order was found open");
        let handle = entry.handle.take().expect("an open order between commands rests");
        entry.record.terms = Terms::Limit { px, qty, tif };
        entry.record.qty = qty;
        entry.record.amends += 1;
        entry.record.updated = now;
        let record = Box::new(entry.record.clone());
        self.with_report(old.market, out, |book, report| book.cancel(handle, report));
        out.push(Happening::Order { record, execution: Execution::Amended, at: now });
        let incoming = Incoming {
            id,
            owner: Owner(old.account.0 + 1),
            side: old.side,
            px,
            qty: working,
            tif,
            self_trade: old.self_trade,
        };
        let fills = self.work(&incoming, old.market, &mut touched, out);
        self.flush(touched, out);
        Ok(Answer { orders: vec![self.orders[&id].record.clone()], fills })
    }

    /// What the order locks in the spot wallet (limit orders), once it is affordable.
    fn check_funds(&self, account: AccountId, place: &Place, qty: Qty) -> Result<Money, Refusal> {
        let market = &self.markets[usize::from(place.market.0)];
        let instrument = &market.instrument;
        if instrument.kind == InstrumentKind::LinearPerpetual {
            if !place.reduce_only {
                let px = match place.terms {
                    Terms::Limit { px, .. } => px,
                    Terms::Market { .. } | Terms::MarketQuote { .. } => Px::default(),
                };
                self.check_margin(account, place.market, place.side, qty, px)?;
            }
            return Ok(Money::ZERO);
        }
        let (asset, need) = match (place.side, &place.terms) {
            (Side::Sell, _) => (&instrument.base, instrument.quantity(qty)),
            (Side::Buy, Terms::Limit { px, .. }) => {
                (&instrument.quote, instrument.notional(*px, qty))
            }
            (Side::Buy, Terms::Market { .. } | Terms::MarketQuote { .. }) => {
                (&instrument.quote, cost_of(market, qty))
            }
        };
        if self.accounts[account.0 as usize].free(Wallet::Spot, asset) < need {
            return Err(Refusal::InsufficientFunds);
        }
        Ok(if matches!(place.terms, Terms::Limit { .. }) { need } else { Money::ZERO })
    }

    /// Refuses what the margin does not carry. What lowers the margin needed is always allowed.
    fn check_margin(
        &self,
        account: AccountId,
        market: MarketId,
        side: Side,
        more: Qty,
        px: Px,
    ) -> Result<(), Refusal> {
        let price = self.markets[usize::from(market.0)].instrument.price(px);
        let now = self.margin(account, Some((market, side, Qty::ZERO, price)));
        let then = self.margin(account, Some((market, side, more, price)));
        let needed = then.position_margin + then.order_margin;
        let before = now.position_margin + now.order_margin;
        if needed > before && needed > then.wallet + then.unrealized_pnl {
            return Err(Refusal::InsufficientFunds);
        }
        Ok(())
    }

    /// How much of a reduce-only order may work now.
    fn reducible(
        &self,
        account: AccountId,
        market: MarketId,
        side: Side,
        qty: Qty,
    ) -> Result<Qty, Refusal> {
        let room = self.reduce_room(account, market, side);
        if room > Qty::ZERO { Ok(qty.min(room)) } else { Err(Refusal::ReduceOnly) }
    }

    /// The position that no resting reduce-only order covers yet; zero or less when there is none
    /// that `side` reduces.
    fn reduce_room(&self, account: AccountId, market: MarketId, side: Side) -> Qty {
        let position = self.accounts[account.0 as usize].position(market).qty;
        if Side::reducing(position) != Some(side) {
            return Qty::ZERO;
        }
        let book = &self.markets[usize::from(market.0)].book;
        let ids = self.open.get(&(account, market)).map_or(&[][..], Vec::as_slice);
        let covered: Qty = ids
            .iter()
            .filter_map(|id| self.orders.get(id))
            .filter(|e| e.record.reduce_only && e.record.side == side)
            .filter_map(|e| e.handle.and_then(|h| book.resting(h)))
            .sum();
        position.abs() - covered
    }

    /// The open order of the account that is meant.
    pub(crate) fn open_order(
        &self,
        account: AccountId,
        market: MarketId,
        key: &OrderKey,
    ) -> Option<u64> {
        let id = self.order(account, market, key)?.order_id;
        self.is_open(id).then_some(id)
    }

    fn is_open(&self, id: u64) -> bool {
        self.orders.get(&id).is_some_and(|e| e.record.status.is_open())
    }
}

fn with_limit(terms: &Terms, px: Px, qty: Qty) -> Terms {
    match terms {
        Terms::Limit { tif, .. } => Terms::Limit { px, qty, tif: *tif },
        Terms::Market { .. } | Terms::MarketQuote { .. } => terms.clone(),
    }
}

fn limit_px(instrument: &Instrument, side: Side, terms: &Terms) -> Px {
    match (terms, side) {
        (Terms::Limit { px, .. }, _) => *px,
        (_, Side::Buy) => instrument.max_px,
        (_, Side::Sell) => instrument.min_px,
    }
}

/// What buying the quantity from the book as it is would cost.
fn cost_of(market: &Market, qty: Qty) -> Money {
    let mut rest = qty;
    let mut cost = Money::ZERO;
    for level in market.book.levels(Side::Sell) {
        let part = rest.min(level.qty);
        cost += market.instrument.notional(level.px, part);
        rest -= part;
        if rest.is_zero() {
            break;
        }
    }
    cost
}

/// The venue's filters; the total quantity in lots.
fn check_terms(market: &Market, place: &Place) -> Result<Qty, Refusal> {
    let instrument = &market.instrument;
    let perpetual = instrument.kind == InstrumentKind::LinearPerpetual;
    if market.halted || !instrument.trading {
        return Err(Refusal::Closed);
    }
    if place.self_trade == SelfTrade::Decrement && perpetual {
        return Err(Refusal::SelfTradeMode);
    }
    if place.reduce_only && !perpetual {
        return Err(Refusal::Unsupported);
    }
    let touch = market.book.best(place.side.opposite()).map(|l| instrument.price(l.px));
    let (qty, price) = match place.terms {
        Terms::Limit { px, qty, .. } => {
            check_px(market, place.side, px)?;
            (qty, Some(instrument.price(px)))
        }
        Terms::Market { qty } => (qty, touch),
        Terms::MarketQuote { .. } if perpetual => return Err(Refusal::Unsupported),
        Terms::MarketQuote { quote } => (lots_for_quote(market, place.side, quote), touch),
    };
    check_qty(instrument, qty)?;
    if let Some(price) = price.filter(|_| !place.reduce_only) {
        check_notional(instrument, price * instrument.quantity(qty))?;
    }
    Ok(qty)
}

fn lots_for_quote(market: &Market, side: Side, quote: Money) -> Qty {
    let mut left = quote;
    market.book.lots_for(side, |level: Level| {
        let unit = market.instrument.price(level.px) * market.instrument.lot_size;
        if unit <= Money::ZERO {
            return Qty::ZERO;
        }
        let lots = Qty((left / unit).trunc().to_i64().unwrap_or(i64::MAX));
        left -= unit * Money::from(lots.min(level.qty).0);
        lots
    })
}

fn check_px(market: &Market, side: Side, px: Px) -> Result<(), Refusal> {
    let instrument = &market.instrument;
    if px < instrument.min_px || px > instrument.max_px || px <= Px(0) {
        return Err(Refusal::PriceFilter);
    }
    let Some(reference) = market.reference_price() else { return Ok(()) };
    let price = instrument.price(px);
    let spot = instrument.kind == InstrumentKind::Spot;
    if (spot || side == Side::Buy) && price > reference * market.percent_up {
        return Err(Refusal::PercentPriceHigh);
    }
    if (spot || side == Side::Sell) && price < reference * market.percent_down {
        return Err(Refusal::PercentPriceLow);
    }
    Ok(())
}

fn check_qty(instrument: &Instrument, qty: Qty) -> Result<(), Refusal> {
    let fits = qty >= instrument.min_qty && qty <= instrument.max_qty && qty > Qty::ZERO;
    if fits { Ok(()) } else { Err(Refusal::LotSize) }
}

fn check_notional(instrument: &Instrument, notional: Money) -> Result<(), Refusal> {
    if notional < instrument.min_notional { Err(Refusal::MinNotional) } else { Ok(()) }
}
