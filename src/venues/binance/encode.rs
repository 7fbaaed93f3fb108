//! Decisions to requests: endpoints, parameters, and what may not leave at all.

use std::fmt;

use super::sign::Query;
use super::{Ask, Known, Product, Session};
use crate::domain::{
    Action, Amend, InstrumentId, LinkKind, NewOrder, OrderId, OrderKind, OrderUpdate, RejectClass,
    Side, Span, Ts,
};
use crate::venues::{Method, Outbox, Urgency};

/// A market stream without a text frame for this long is opened anew when its book is asked for.
const MUTE: Span = Span::from_s(2);

/// How long an order request may stay unanswered before its fate is unknown. The receive window
/// is as long, so that a request older than this is refused rather than carried out late.
const ORDER_TIMEOUT: Span = Span::from_s(5);
/// How long anything else may stay unanswered.
const BACKGROUND_TIMEOUT: Span = Span::from_s(10);
/// Decisions that may wait for the clock.
pub(super) const MAX_DEFERRED: usize = 256;

/// Everything we ask by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Time,
    Info,
    Depth,
    Fees,
    Mode,
    Permissions,
    Place,
    PlaceMany,
    Amend,
    Cancel,
    CancelMany,
    Query,
    OpenOrders,
    AllOrders,
    Account,
    Positions,
    Trades,
    ListenKey,
    KeepAlive,
    Farewell,
    DeadMan,
}

/// What a request needs besides its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Open,
    Key,
    Signed,
}

impl Call {
    /// Method and path, as the label for logs.
    pub(super) fn label(self, product: Product) -> &'static str {
        let (spot, usdm) = match self {
            Call::Time => ("GET /api/v3/time", "GET /fapi/v1/time"),
            Call::Info => ("GET /api/v3/exchangeInfo", "GET /fapi/v1/exchangeInfo"),
            Call::Depth => ("GET /api/v3/depth", "GET /fapi/v1/depth"),
            Call::Fees => ("GET /api/v3/account/commission", "GET /fapi/v1/commissionRate"),
            // Spot has no position mode; nothing asks it there.
            Call::Mode => ("GET /fapi/v1/positionSide/dual", "GET /fapi/v1/positionSide/dual"),
            // Production serves it beside the spot API only.
            Call::Permissions => {
                ("GET /sapi/v1/account/apiRestrictions", "GET /sapi/v1/account/apiRestrictions")
            }
            Call::Place => ("POST /api/v3/order", "POST /fapi/v1/order"),
            Call::Amend => ("PUT /api/v3/order/amend/keepPriority", "PUT /fapi/v1/order"),
            Call::Cancel => ("DELETE /api/v3/order", "DELETE /fapi/v1/order"),
            // Spot has no batches; nothing asks it there.
            Call::PlaceMany => ("POST /fapi/v1/batchOrders", "POST /fapi/v1/batchOrders"),
            Call::CancelMany => ("DELETE /fapi/v1/batchOrders", "DELETE /fapi/v1/batchOrders"),
            Call::Query => ("GET /api/v3/order", "GET /fapi/v1/order"),
            Call::OpenOrders => ("GET /api/v3/openOrders", "GET /fapi/v1/openOrders"),
            Call::AllOrders => ("GET /api/v3/allOrders", "GET /fapi/v1/allOrders"),
            Call::Account => ("GET /api/v3/account", "GET /fapi/v3/account"),
            Call::Positions => ("GET /fapi/v3/positionRisk", "GET /fapi/v3/positionRisk"),
            Call::Trades => ("GET /api/v3/myTrades", "GET /fapi/v1/userTrades"),
            // Listen keys and the dead-man switch exist on USD-M only.
            Call::ListenKey => ("POST /fapi/v1/listenKey", "POST /fapi/v1/listenKey"),
            Call::KeepAlive => ("PUT /fapi/v1/listenKey", "PUT /fapi/v1/listenKey"),
            Call::Farewell => ("DELETE /fapi/v1/listenKey", "DELETE /fapi/v1/listenKey"),
            Call::DeadMan => {
                ("POST /fapi/v1/countdownCancelAll", "POST /fapi/v1/countdownCancelAll")
            }
        };
        match product {
            Product::Spot => spot,
            Product::UsdM => usdm,
        }
    }

    /// Method and path apart.
    pub(super) fn method_and_path(self, product: Product) -> (Method, &'static str) {
        let label = self.label(product);
        let (method, path) = label.split_once(' ').unwrap_or(("GET", label));
        let method = match method {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => Method::Get,
        };
        (method, path)
    }

    pub(super) fn security(self) -> Security {
        match self {
            Call::Time | Call::Info | Call::Depth => Security::Open,
            Call::ListenKey | Call::KeepAlive | Call::Farewell => Security::Key,
            Call::Fees
            | Call::Mode
            | Call::Permissions
            | Call::Place
            | Call::PlaceMany
            | Call::Amend
            | Call::Cancel
            | Call::CancelMany
            | Call::Query
            | Call::OpenOrders
            | Call::AllOrders
            | Call::Account
            | Call::Positions
            | Call::Trades
            | Call::DeadMan => Security::Signed,
        }
    }

    pub(super) fn urgency(self) -> Urgency {
        match self {
            Call::Cancel | Call::CancelMany => Urgency::Cancel,
            Call::Place | Call::PlaceMany | Call::Amend | Call::Query | Call::DeadMan => {
                Urgency::Order
            }
            _ => Urgency::Background,
        }
    }

    pub(super) fn timeout(self) -> Span {
        match self.urgency() {
            Urgency::Cancel | Urgency::Order => ORDER_TIMEOUT,
            Urgency::Background => BACKGROUND_TIMEOUT,
        }
    }
}

/// Why an order request may not leave now.
type Held = (RejectClass, String);

impl Session {
    /// Turn one decision into a request, or answer it at once when it may not leave.
    pub(super) fn encode_action(&mut self, now: Ts, action: &Action, out: &mut Outbox) {
        match action {
            Action::Place(order) => self.place(now, order, out),
            Action::Amend(amend) => self.amend(now, amend, out),
            Action::Cancel { id, instrument } => self.cancel(now, *id, *instrument, out),
            Action::Query { id, instrument } => self.query(now, *id, *instrument, out),
            Action::Reconcile { venue } if *venue == self.params.venue => self.reconcile(now, out),
            Action::Resync { instrument } => {
                let market = self.link(LinkKind::Market);
                if market.up && now.since(market.text_at.max(market.opened_at)) >= MUTE {
                    let why = "mute: it answers pings and tells nothing";
                    self.reconnect(LinkKind::Market, now, why, out);
                } else if let Some(slot) = self.slot_of(*instrument) {
                    self.lose_book(slot, now, crate::domain::BookLoss::Resync, out);
                }
            }
            Action::Reconcile { .. } | Action::Note(_) => {}
        }
    }

    fn place(&mut self, now: Ts, order: &NewOrder, out: &mut Outbox) {
        let Some(slot) = self.slot_of(order.instrument) else { return };
        let query = self.may_place(slot, now, order).and_then(|()| self.place_query(slot, order));
        match query {
            Ok(query) => {
                let known = Known { px: order.px, qty: order.qty };
                self.remember(order.id, known);
                self.send(Call::Place, Ask::Place { id: order.id, slot }, query, now, out);
            }
            Err((class, text)) => {
                let update = OrderUpdate::Rejected { class, text };
                self.order_news(slot, order.id, None, update, now, out);
            }
        }
    }

    pub(super) fn may_place(&self, slot: usize, now: Ts, order: &NewOrder) -> Result<(), Held> {
        self.may_send(now)?;
        if now < self.orders_blocked_until {
            return Err((RejectClass::Throttled, "order count limit reached".to_owned()));
        }
        let armed = self.markets[slot].armed_until.is_some_and(|until| now < until);
        if self.params.dead_man_switch.is_some() && !armed && order.kind == OrderKind::PostOnly {
            return Err((RejectClass::Unavailable, "dead-man switch is not armed".to_owned()));
        }
        Ok(())
    }

    pub(super) fn may_send(&self, now: Ts) -> Result<(), Held> {
        if self.clock.offset().is_none() {
            return Err((
                RejectClass::Unavailable,
                "the venue's clock is not known yet".to_owned(),
            ));
        }
        match self.blocked(now) {
            Some(until) => {
                Err((RejectClass::Throttled, format!("no request may leave before {until}")))
            }
            None => Ok(()),
        }
    }

    fn place_query(&self, slot: usize, order: &NewOrder) -> Result<Query, Held> {
        let mut query = Query::new();
        self.place_parameters(slot, order, &mut |name, value| query.push(name, value))?;
        Ok(query)
    }

    /// Hands out the parameters of a new order, alone or in a batch, one by one.
    pub(super) fn place_parameters(
        &self,
        slot: usize,
        order: &NewOrder,
        put: &mut dyn FnMut(&'static str, &dyn fmt::Display),
    ) -> Result<(), Held> {
        let market = &self.markets[slot];
        let listing = market.listing.as_ref().ok_or_else(|| {
            (RejectClass::Unavailable, format!("{} is not listed", market.symbol))
        })?;
        let product = self.params.product;
        put("symbol", &market.symbol);
        put("side", &side(order.side));
        let (kind, life) = match (product, order.kind) {
            (Product::Spot, OrderKind::PostOnly) => ("LIMIT_MAKER", None),
            (Product::UsdM, OrderKind::PostOnly) => ("LIMIT", Some("GTX")),
            (Product::Spot | Product::UsdM, OrderKind::ImmediateOrCancel) => ("LIMIT", Some("IOC")),
        };
        put("type", &kind);
        if let Some(life) = life {
            put("timeInForce", &life);
        }
        put("quantity", &listing.instrument.quantity(order.qty));
        put("price", &listing.instrument.price(order.px));
        if product == Product::UsdM && order.reduce_only {
            put("reduceOnly", &"true");
        }
        put("newClientOrderId", &self.params.prefix.encode(order.id));
        // FULL lists the fills, RESULT the final state of an order that ends at once.
        let detail = match product {
            Product::Spot => "FULL",
            Product::UsdM => "RESULT",
        };
        put("newOrderRespType", &detail);
        Ok(())
    }

    fn amend(&mut self, now: Ts, amend: &Amend, out: &mut Outbox) {
        let Some(slot) = self.slot_of(amend.instrument) else { return };
        let query = self.may_send(now).and_then(|()| self.amend_query(slot, amend));
        match query {
            Ok(query) => {
                self.send(Call::Amend, Ask::Amend { id: amend.id, slot }, query, now, out);
            }
            Err((class, text)) => {
                let update = OrderUpdate::ChangeRejected { class, gone: false, text };
                self.order_news(slot, amend.id, None, update, now, out);
            }
        }
    }

    fn amend_query(&self, slot: usize, amend: &Amend) -> Result<Query, Held> {
        let market = &self.markets[slot];
        let listing = market.listing.as_ref().ok_or_else(|| {
            (RejectClass::Unavailable, format!("{} is not listed", market.symbol))
        })?;
        let name = self.params.prefix.encode(amend.id);
        let quantity = listing.instrument.quantity(amend.qty);
        let query = Query::new().with("symbol", &market.symbol).with("origClientOrderId", &name);
        match self.params.product {
            Product::UsdM => Ok(query
                .with("side", side(amend.side))
                .with("quantity", quantity)
                .with("price", listing.instrument.price(amend.px))),
            Product::Spot => match self.known(amend.id) {
                // The venue would name the order anew without our name for it.
                Some(known) if known.px == amend.px && amend.qty < known.qty => {
                    Ok(query.with("newClientOrderId", &name).with("newQty", quantity))
                }
                _ => Err((
                    RejectClass::Other,
                    "spot can only reduce the quantity of a known order at its price".to_owned(),
                )),
            },
        }
    }

    fn cancel(&mut self, now: Ts, id: OrderId, instrument: InstrumentId, out: &mut Outbox) {
        let Some(slot) = self.slot_of(instrument) else { return };
        if self.defer(Action::Cancel { id, instrument }) {
            return;
        }
        match self.may_send(now) {
            Ok(()) => {
                let query = self.by_name(slot, id);
                self.send(Call::Cancel, Ask::Cancel { id, slot }, query, now, out);
            }
            Err((class, text)) => {
                let update = OrderUpdate::ChangeRejected { class, gone: false, text };
                self.order_news(slot, id, None, update, now, out);
            }
        }
    }

    fn query(&mut self, now: Ts, id: OrderId, instrument: InstrumentId, out: &mut Outbox) {
        let Some(slot) = self.slot_of(instrument) else { return };
        if self.defer(Action::Query { id, instrument }) {
            return;
        }
        match self.may_send(now) {
            Ok(()) => {
                let query = self.by_name(slot, id);
                self.send(Call::Query, Ask::Query { id, slot }, query, now, out);
            }
            Err((_, text)) => {
                self.order_news(slot, id, None, OrderUpdate::Unknown { text }, now, out);
            }
        }
    }

    fn by_name(&self, slot: usize, id: OrderId) -> Query {
        Query::new()
            .with("symbol", &self.markets[slot].symbol)
            .with("origClientOrderId", self.params.prefix.encode(id))
    }

    /// Keep a decision until the clock is known; false when it need not or cannot wait.
    fn defer(&mut self, action: Action) -> bool {
        let wait = self.clock.offset().is_none() && self.deferred.len() < MAX_DEFERRED;
        if wait {
            self.deferred.push(action);
        }
        wait
    }

    /// Learn price and quantity of an order of ours from the venue.
    pub(super) fn learn(&mut self, id: OrderId, update: &OrderUpdate) {
        if let OrderUpdate::State { qty, px, .. } = update {
            self.remember(id, Known { px: *px, qty: *qty });
        }
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
