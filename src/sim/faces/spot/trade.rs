//! Orders on spot: placing, cancelling, replacing, amending.

use super::SpotFace;
use crate::domain::{Money, Px};
use crate::sim::faces::error::ApiError;
use crate::sim::faces::json::{Object, array, object};
use crate::sim::faces::market::MarketFace;
use crate::sim::faces::request::Params;
use crate::sim::faces::venue::{Ctx, on_lot, on_tick, order_key, side, side_word};
use crate::sim::{
    AccountId, Answer, Command, OrderKey, OrderRecord, Place, Refusal, SelfTrade, Status, Terms,
    TimeInForce, TradeRecord,
};

/// Orders whose amendments are remembered.
const AMENDED_ORDERS: usize = 10_000;

/// How much of an order its reply tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Ack,
    Result,
    Full,
}

impl SpotFace {
    pub(super) fn place_order(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let (place, detail) = self.read_order(params)?;
        self.venue.limits.check_orders(ctx.now, account, &[])?;
        let reply = self.execute(ctx, account, place, detail)?;
        self.venue.limits.count_orders(ctx.now, account, &[])?;
        Ok(reply)
    }

    /// Sends a checked order to the engine and words its answer.
    fn execute(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        place: Place,
        detail: Detail,
    ) -> Result<String, ApiError> {
        let answer = ctx.submit(account, &Command::Place(place)).map_err(refusal)?;
        let record = placed(&answer)?;
        let market = self.venue.market(record.market).ok_or_else(ApiError::invalid_symbol)?;
        Ok(order_reply(market, record, &answer.fills, detail))
    }

    pub(super) fn test_order(
        &mut self,
        ctx: &Ctx<'_>,
        params: &Params,
    ) -> Result<String, ApiError> {
        let (place, _) = self.read_order(params)?;
        let market = self.venue.market(place.market).ok_or_else(ApiError::invalid_symbol)?;
        check_bounds(market, &place)?;
        if ctx.exchange.depth(market.id, 1).is_none() {
            return Err(ApiError::invalid_symbol());
        }
        if params.flag("computeCommissionRates")? == Some(true) {
            let index = self.venue.index(market.id).unwrap_or_default();
            return Ok(self.commission_for_order(index));
        }
        Ok("{}".to_owned())
    }

    /// The order that the parameters describe; everything that needs no ledger is checked here.
    fn read_order(&mut self, params: &Params) -> Result<(Place, Detail), ApiError> {
        let market = self.venue.symbol(params)?;
        let id = market.id;
        let side = side(params)?;
        let (kind, terms) = read_terms(market, params)?;
        let detail = match params.text("newOrderRespType") {
            Some("ACK") => Detail::Ack,
            Some("RESULT") => Detail::Result,
            Some("FULL") => Detail::Full,
            Some(_) => return Err(ApiError::invalid_value("newOrderRespType")),
            None if kind == "LIMIT_MAKER" => Detail::Ack,
            None => Detail::Full,
        };
        let self_trade = self_trade(params)?;
        if params.int("strategyType")?.is_some_and(|kind| kind < 1_000_000) {
            return Err(ApiError::new(-1134, "strategyType was less than 1000000."));
        }
        let client_id = self.venue.client_id(params, "newClientOrderId")?;
        let place = Place { market: id, client_id, side, terms, reduce_only: false, self_trade };
        Ok((place, detail))
    }

    pub(super) fn cancel_order(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?.id;
        let key = order_key(params, "orderId", "origClientOrderId")?;
        let names = (params.text("origClientOrderId"), "newClientOrderId");
        self.cancel(ctx, account, params, (market, key), names)
    }

    /// Cancels one order; `names` are the client id it must bear and the parameter with the id of
    /// the cancellation.
    fn cancel(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
        (market, key): (crate::sim::MarketId, OrderKey),
        (client, id_name): (Option<&str>, &str),
    ) -> Result<String, ApiError> {
        let cancel_id = self.venue.client_id(params, id_name)?;
        let open = ctx.exchange.order(AccountId(account), market, &key);
        let open = open.filter(|order| order.status.is_open());
        let Some(open) = open else { return Err(ApiError::unknown_order()) };
        if client.is_some_and(|client| client != &*open.client_id) {
            return Err(ApiError::unknown_order());
        }
        let allowed = match params.text("cancelRestrictions") {
            None => true,
            Some("ONLY_NEW") => open.status == Status::New,
            Some("ONLY_PARTIALLY_FILLED") => open.status == Status::PartiallyFilled,
            Some(_) => return Err(ApiError::new(-1145, "Invalid cancelRestrictions")),
        };
        if !allowed {
            let msg = "Order was not canceled due to cancel restrictions.";
            return Err(ApiError::new(-2011, msg));
        }
        let order_id = open.order_id;
        let key = OrderKey::Id(order_id);
        let answer = ctx.submit(account, &Command::Cancel { market, key }).map_err(refusal)?;
        self.venue.given_ids.insert(order_id, cancel_id.to_string());
        let record = placed(&answer)?;
        let market = self.venue.market(market).ok_or_else(ApiError::invalid_symbol)?;
        Ok(cancel_reply(market, record, &cancel_id))
    }

    pub(super) fn cancel_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?.id;
        let answer = ctx.submit(account, &Command::CancelAll { market }).map_err(refusal)?;
        if answer.orders.is_empty() {
            return Err(ApiError::unknown_order());
        }
        let ids: Vec<String> = answer.orders.iter().map(|_| self.venue.generate_id()).collect();
        let mut rows = Vec::with_capacity(ids.len());
        for (order, id) in answer.orders.iter().zip(ids) {
            let market = self.venue.market(market).ok_or_else(ApiError::invalid_symbol)?;
            rows.push(cancel_reply(market, order, &id));
            self.venue.given_ids.insert(order.order_id, id);
        }
        Ok(array(rows))
    }

    pub(super) fn cancel_replace(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let allow_failure = match params.need("cancelReplaceMode")? {
            "STOP_ON_FAILURE" => false,
            "ALLOW_FAILURE" => true,
            _ => return Err(ApiError::invalid_value("cancelReplaceMode")),
        };
        let over_limit_cancels = match params.text("orderRateLimitExceededMode") {
            None | Some("DO_NOTHING") => false,
            Some("CANCEL_ONLY") => true,
            Some(_) => return Err(ApiError::invalid_value("orderRateLimitExceededMode")),
        };
        // Filters and counts are checked before anything is cancelled.
        let (place, detail) = self.read_order(params)?;
        let market = self.venue.market(place.market).ok_or_else(ApiError::invalid_symbol)?;
        check_bounds(market, &place)?;
        let counted = self.venue.limits.count_orders(ctx.now, account, &[]);
        if let Err(error) = &counted
            && !over_limit_cancels
        {
            return Err(error.clone());
        }
        let key = order_key(params, "cancelOrderId", "cancelOrigClientOrderId")?;
        let names = (params.text("cancelOrigClientOrderId"), "cancelNewClientOrderId");
        let canceled = self.cancel(ctx, account, params, (place.market, key), names);
        let placed = if canceled.is_err() && !allow_failure {
            None
        } else {
            match counted {
                Ok(()) => Some(self.execute(ctx, account, place, detail)),
                Err(ref error) => Some(Err(error.clone())),
            }
        };
        cancel_replace_reply(canceled, placed, counted.is_err())
    }

    pub(super) fn amend_order(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let id = market.id;
        let key = order_key(params, "orderId", "origClientOrderId")?;
        let qty = params.decimal("newQty", 8)?.ok_or_else(|| ApiError::mandatory("newQty"))?;
        let qty = on_lot(&market.instrument, qty).ok_or_else(|| filter("LOT_SIZE"))?;
        let client_id = self.venue.client_id(params, "newClientOrderId")?;
        let before = ctx.exchange.order(AccountId(account), id, &key);
        let (before, qty_before) =
            before.map(|order| (order.client_id.to_string(), order.qty)).unwrap_or_default();
        let command =
            Command::Amend { market: id, key, px: None, qty, client_id: Some(client_id.clone()) };
        let answer = ctx.submit(account, &command).map_err(|why| match why {
            Refusal::UnknownOrder => ApiError::no_such_order(),
            other => refusal(other),
        })?;
        let record = placed(&answer)?;
        self.venue.given_ids.insert(record.order_id, before.clone());
        self.last_execution += 1;
        let market = self.venue.market(id).ok_or_else(ApiError::invalid_symbol)?;
        let row = object()
            .text("symbol", &market.instrument.symbol)
            .int("orderId", record.order_id)
            .int("executionId", self.last_execution)
            .text("origClientOrderId", &before)
            .text("newClientOrderId", &record.client_id)
            .text("origQty", &market.quantity(qty_before))
            .text("newQty", &market.quantity(record.qty))
            .int("time", ctx.now.ms())
            .end();
        if self.amendments.len() >= AMENDED_ORDERS {
            self.amendments.pop_first();
        }
        self.amendments.entry(record.order_id).or_default().push((self.last_execution, row));
        let order = object()
            .text("symbol", &market.instrument.symbol)
            .int("orderId", record.order_id)
            .int("orderListId", -1)
            .text("origClientOrderId", &before)
            .text("clientOrderId", &record.client_id)
            .text("price", &market.price(record.px().unwrap_or_default()))
            .text("qty", &market.quantity(record.qty))
            .text("executedQty", &market.quantity(record.filled))
            .text("preventedQty", &market.quantity(record.prevented))
            .fixed("quoteOrderQty", Money::ZERO, 8)
            .fixed("cumulativeQuoteQty", record.filled_quote, 8)
            .merge(&kind_fields(record))
            .int("workingTime", record.created.ms())
            .text("selfTradePreventionMode", self_trade_word(record.self_trade))
            .end();
        Ok(object()
            .int("transactTime", ctx.now.ms())
            .int("executionId", self.last_execution)
            .raw("amendedOrder", &order)
            .end())
    }
}

/// The order of an answer that concerns one.
fn placed(answer: &Answer) -> Result<&OrderRecord, ApiError> {
    answer.orders.first().ok_or_else(|| {
        ApiError::new(-1001, "Internal error; unable to process your request. Please try again.")
            .status(500)
    })
}

fn filter(name: &str) -> ApiError {
    ApiError::new(-1013, format!("Filter failure: {name}"))
}

/// The type and terms that the parameters describe.
fn read_terms<'a>(market: &MarketFace, params: &'a Params) -> Result<(&'a str, Terms), ApiError> {
    let kind = params.need("type")?;
    let reject = |names: &[&str]| match names.iter().find(|name| params.text(name).is_some()) {
        Some(name) => Err(ApiError::superfluous(name)),
        None => Ok(()),
    };
    let tif = match params.text("timeInForce") {
        None => None,
        Some("GTC") => Some(TimeInForce::Gtc),
        Some("IOC") => Some(TimeInForce::Ioc),
        Some("FOK") => Some(TimeInForce::Fok),
        Some(_) => return Err(ApiError::new(-1115, "Invalid timeInForce.")),
    };
    if params.text("icebergQty").is_some() {
        let msg = "Iceberg orders are not supported for this symbol.";
        return Err(ApiError::new(-1013, msg));
    }
    let quantity = params.decimal("quantity", 8)?;
    let price = params.decimal("price", 8)?;
    let by_quote = params.decimal("quoteOrderQty", 8)?;
    let lots = |quantity: Option<Money>| {
        let quantity = quantity.ok_or_else(|| ApiError::mandatory("quantity"))?;
        if quantity.is_zero() {
            return Err(ApiError::new(-1013, "Invalid quantity."));
        }
        on_lot(&market.instrument, quantity).ok_or_else(|| filter("LOT_SIZE"))
    };
    let ticks = || -> Result<Px, ApiError> {
        let price = price.ok_or_else(|| ApiError::mandatory("price"))?;
        if price.is_zero() {
            return Err(ApiError::new(-1013, "Invalid price."));
        }
        on_tick(&market.instrument, price).ok_or_else(|| filter("PRICE_FILTER"))
    };
    let terms = match kind {
        "LIMIT" => {
            reject(&["stopPrice", "trailingDelta", "quoteOrderQty"])?;
            let tif = tif.ok_or_else(|| ApiError::mandatory("timeInForce"))?;
            Terms::Limit { qty: lots(quantity)?, px: ticks()?, tif }
        }
        "LIMIT_MAKER" => {
            reject(&["timeInForce", "stopPrice", "trailingDelta", "quoteOrderQty"])?;
            Terms::Limit { qty: lots(quantity)?, px: ticks()?, tif: TimeInForce::PostOnly }
        }
        "MARKET" => {
            reject(&["timeInForce", "price", "stopPrice", "trailingDelta"])?;
            match (quantity, by_quote) {
                (Some(_), Some(_)) => return Err(ApiError::superfluous("quoteOrderQty")),
                (None, Some(quote)) => Terms::MarketQuote { quote },
                (quantity, None) => Terms::Market { qty: lots(quantity)? },
            }
        }
        "STOP_LOSS" | "STOP_LOSS_LIMIT" | "TAKE_PROFIT" | "TAKE_PROFIT_LIMIT" => {
            let msg = "Stop loss orders are not supported for this symbol.";
            return Err(ApiError::new(-1013, msg));
        }
        _ => return Err(ApiError::new(-1116, "Invalid orderType.")),
    };
    Ok((kind, terms))
}

fn self_trade(params: &Params) -> Result<SelfTrade, ApiError> {
    match params.text("selfTradePreventionMode") {
        None | Some("EXPIRE_MAKER") => Ok(SelfTrade::ExpireMaker),
        Some("EXPIRE_TAKER") => Ok(SelfTrade::ExpireTaker),
        Some("EXPIRE_BOTH") => Ok(SelfTrade::ExpireBoth),
        Some("DECREMENT") => Ok(SelfTrade::Decrement),
        Some("NONE" | "TRANSFER") => Err(ApiError::new(
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
        )),
        Some(_) => Err(ApiError::invalid_value("selfTradePreventionMode")),
    }
}

/// The filters that need neither book nor ledger.
fn check_bounds(market: &MarketFace, place: &Place) -> Result<(), ApiError> {
    let instrument = &market.instrument;
    let (px, qty) = match place.terms {
        Terms::Limit { px, qty, .. } => (Some(px), Some(qty)),
        Terms::Market { qty } => (None, Some(qty)),
        Terms::MarketQuote { .. } => (None, None),
    };
    if px.is_some_and(|px| px < instrument.min_px || px > instrument.max_px) {
        return Err(filter("PRICE_FILTER"));
    }
    if qty.is_some_and(|qty| qty < instrument.min_qty || qty > instrument.max_qty) {
        return Err(filter("LOT_SIZE"));
    }
    match (px, qty) {
        (Some(px), Some(qty)) if instrument.notional(px, qty) < instrument.min_notional => {
            Err(filter("NOTIONAL"))
        }
        _ => Ok(()),
    }
}

/// The engine's refusal in spot's words.
fn refusal(why: Refusal) -> ApiError {
    match why {
        Refusal::UnknownMarket => ApiError::invalid_symbol(),
        Refusal::Closed => ApiError::new(-1013, "Market is closed."),
        Refusal::PriceFilter => filter("PRICE_FILTER"),
        Refusal::LotSize => filter("LOT_SIZE"),
        Refusal::MinNotional => filter("NOTIONAL"),
        Refusal::PercentPriceHigh | Refusal::PercentPriceLow => filter("PERCENT_PRICE_BY_SIDE"),
        Refusal::MaxOrders => filter("MAX_NUM_ORDERS"),
        Refusal::InsufficientFunds => {
            ApiError::new(-2010, "Account has insufficient balance for requested action.")
        }
        Refusal::DuplicateClientId => ApiError::new(-2010, "Duplicate order sent."),
        Refusal::WouldTake => ApiError::new(-2010, "Order would immediately match and take."),
        Refusal::Unfillable | Refusal::ReduceOnly => ApiError::new(-2010, "Order was rejected."),
        Refusal::UnknownOrder => ApiError::unknown_order(),
        Refusal::AmendUnchanged => {
            ApiError::new(-2038, "The requested action would change no state; rejecting.")
        }
        Refusal::AmendIncrease => {
            ApiError::new(-2038, "Order amend (quantity increase) is not supported.")
        }
        Refusal::AmendLimit => {
            ApiError::new(-2038, "Order amend rejected: MAX_NUM_ORDER_AMENDS reached.")
        }
        Refusal::Unsupported => ApiError::new(-1116, "Invalid orderType."),
        Refusal::SelfTradeMode => ApiError::new(
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
        ),
    }
}

/// Status, time in force, type and side.
pub(super) fn kind_fields(record: &OrderRecord) -> Object {
    object()
        .text("status", status_word(record.status))
        .text("timeInForce", tif_word(&record.terms))
        .text("type", type_word(&record.terms))
        .text("side", side_word(record.side))
}

pub(in crate::sim::faces) fn status_word(status: Status) -> &'static str {
    match status {
        Status::New => "NEW",
        Status::PartiallyFilled => "PARTIALLY_FILLED",
        Status::Filled => "FILLED",
        Status::Canceled => "CANCELED",
        Status::Expired => "EXPIRED",
        Status::ExpiredInMatch => "EXPIRED_IN_MATCH",
    }
}

pub(super) fn type_word(terms: &Terms) -> &'static str {
    match terms {
        Terms::Limit { tif: TimeInForce::PostOnly, .. } => "LIMIT_MAKER",
        Terms::Limit { .. } => "LIMIT",
        Terms::Market { .. } | Terms::MarketQuote { .. } => "MARKET",
    }
}

pub(super) fn tif_word(terms: &Terms) -> &'static str {
    match terms {
        Terms::Limit { tif: TimeInForce::Ioc, .. } => "IOC",
        Terms::Limit { tif: TimeInForce::Fok, .. } => "FOK",
        Terms::Limit { .. } | Terms::Market { .. } | Terms::MarketQuote { .. } => "GTC",
    }
}

pub(in crate::sim::faces) fn self_trade_word(mode: SelfTrade) -> &'static str {
    match mode {
        SelfTrade::None => "NONE",
        SelfTrade::ExpireTaker => "EXPIRE_TAKER",
        SelfTrade::ExpireMaker => "EXPIRE_MAKER",
        SelfTrade::ExpireBoth => "EXPIRE_BOTH",
        SelfTrade::Decrement => "DECREMENT",
    }
}

/// The amount in quote that a market order was placed for.
pub(super) fn quote_order_qty(terms: &Terms) -> Money {
    match terms {
        Terms::MarketQuote { quote } => *quote,
        Terms::Limit { .. } | Terms::Market { .. } => Money::ZERO,
    }
}

/// Price, quantities and amounts, under the names of order replies.
pub(super) fn amounts(market: &MarketFace, record: &OrderRecord) -> Object {
    object()
        .text("price", &market.price(record.px().unwrap_or_default()))
        .text("origQty", &market.quantity(record.qty))
        .text("executedQty", &market.quantity(record.filled))
        .fixed("origQuoteOrderQty", quote_order_qty(&record.terms), 8)
        .fixed("cummulativeQuoteQty", record.filled_quote, 8)
}

fn order_reply(
    market: &MarketFace,
    record: &OrderRecord,
    fills: &[TradeRecord],
    detail: Detail,
) -> String {
    let reply = object()
        .text("symbol", &market.instrument.symbol)
        .int("orderId", record.order_id)
        .int("orderListId", -1)
        .text("clientOrderId", &record.client_id)
        .int("transactTime", record.updated.ms());
    if detail == Detail::Ack {
        return reply.end();
    }
    let reply = reply
        .merge(&amounts(market, record))
        .merge(&kind_fields(record))
        .int("workingTime", record.created.ms())
        .text("selfTradePreventionMode", self_trade_word(record.self_trade));
    let reply = if record.status == Status::Expired {
        reply.text("expiryReason", expiry_word(&record.terms))
    } else {
        reply
    };
    if detail == Detail::Result {
        return reply.end();
    }
    let fills = fills.iter().map(|fill| {
        object()
            .text("price", &market.price(fill.px))
            .text("qty", &market.quantity(fill.qty))
            .fixed("commission", fill.fee, 8)
            .text("commissionAsset", fill.fee_asset.as_str())
            .int("tradeId", fill.trade_id)
            .end()
    });
    reply.list("fills", fills).end()
}

/// Why an order of these terms expires.
pub(super) fn expiry_word(terms: &Terms) -> &'static str {
    match terms {
        Terms::Limit { tif: TimeInForce::Fok, .. } => "UNFILLED_FOK_ORDER_EXPIRED",
        Terms::Limit { .. } => "UNFILLED_IOC_QUANTITY_EXPIRED",
        Terms::Market { .. } | Terms::MarketQuote { .. } => "INSUFFICIENT_LIQUIDITY",
    }
}

fn cancel_reply(market: &MarketFace, record: &OrderRecord, cancel_id: &str) -> String {
    object()
        .text("symbol", &market.instrument.symbol)
        .text("origClientOrderId", &record.client_id)
        .int("orderId", record.order_id)
        .int("orderListId", -1)
        .text("clientOrderId", cancel_id)
        .int("transactTime", record.updated.ms())
        .merge(&amounts(market, record))
        .merge(&kind_fields(record))
        .text("selfTradePreventionMode", self_trade_word(record.self_trade))
        .end()
}

/// The seven documented endings of cancel-replace; `placed` is absent when it was not attempted.
fn cancel_replace_reply(
    canceled: Result<String, ApiError>,
    placed: Option<Result<String, ApiError>>,
    over_limit: bool,
) -> Result<String, ApiError> {
    let word = |ok: bool| if ok { "SUCCESS" } else { "FAILURE" };
    let cancel_ok = canceled.is_ok();
    let place_ok = placed.as_ref().is_some_and(Result::is_ok);
    let attempted = placed.is_some();
    let body = |result: Result<String, ApiError>| result.unwrap_or_else(|error| error.body());
    let data = object()
        .text("cancelResult", word(cancel_ok))
        .text("newOrderResult", if attempted { word(place_ok) } else { "NOT_ATTEMPTED" })
        .raw("cancelResponse", &body(canceled))
        .raw("newOrderResponse", &placed.map_or_else(|| "null".to_owned(), body))
        .end();
    if cancel_ok && place_ok {
        return Ok(data);
    }
    let mut error = if cancel_ok || place_ok {
        ApiError::new(-2021, "Order cancel-replace partially failed.").status(409)
    } else {
        ApiError::new(-2022, "Order cancel-replace failed.")
    };
    if over_limit && !attempted {
        error = error.status(429);
    }
    error.data = Some(data);
    Err(error)
}
