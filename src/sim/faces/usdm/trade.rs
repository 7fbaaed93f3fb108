//! Orders on USD-M: placing, modifying, cancelling, one by one and in batches.

use serde_json::Value;

use super::{Op, UsdmFace};
use crate::domain::{Instrument, Money, Px, Qty, Span, Ts};
use crate::sim::faces::error::ApiError;
use crate::sim::faces::json::{Object, array, object};
use crate::sim::faces::market::MarketFace;
use crate::sim::faces::request::Params;
use crate::sim::faces::spot::{self_trade_word, status_word};
use crate::sim::faces::venue::{Ctx, on_lot, on_tick, order_key, side, side_word};
use crate::sim::{
    AccountId, Command, MarketId, OrderRecord, Place, Refusal, SelfTrade, Status, Terms,
    TimeInForce,
};

impl UsdmFace {
    /// Places an order that takes `counts` of the order limits.
    pub(super) fn place_order(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
        counts: &[i64],
    ) -> Result<String, ApiError> {
        let (place, result_wanted) = self.read_order(params)?;
        self.venue.limits.check_orders(ctx.now, account, counts)?;
        let market = place.market;
        let answer = ctx
            .submit(account, &Command::Place(place))
            .map_err(|why| self.refusal(ctx, market, why))?;
        self.venue.limits.count_orders(ctx.now, account, counts)?;
        let record = answer.orders.first().ok_or_else(ApiError::no_such_order)?;
        let market = self.market_of(record)?;
        let at_once = !matches!(
            record.terms,
            Terms::Limit { tif: TimeInForce::Gtc | TimeInForce::PostOnly, .. }
        );
        if result_wanted && at_once {
            return Ok(reply(market, record).end());
        }
        // An acknowledgement is given before matching: nothing is filled in it.
        let mut accepted = record.clone();
        (accepted.status, accepted.filled) = (Status::New, Qty::ZERO);
        Ok(reply(market, if result_wanted { record } else { &accepted }).end())
    }

    pub(super) fn test_order(
        &mut self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let (place, _) = self.read_order(params)?;
        let qty = match place.terms {
            Terms::Limit { qty, .. } | Terms::Market { qty } => qty,
            Terms::MarketQuote { .. } => Qty::ZERO,
        };
        let record = OrderRecord {
            order_id: 0,
            client_id: place.client_id,
            account: AccountId(account),
            market: place.market,
            side: place.side,
            terms: place.terms,
            qty,
            filled: Qty::ZERO,
            filled_quote: Money::ZERO,
            prevented: Qty::ZERO,
            status: Status::New,
            reduce_only: place.reduce_only,
            self_trade: place.self_trade,
            amends: 0,
            created: ctx.now,
            updated: ctx.now,
        };
        Ok(reply(self.market_of(&record)?, &record).end())
    }

    /// The order that the parameters describe, and whether its result is to be told.
    fn read_order(&mut self, params: &Params) -> Result<(Place, bool), ApiError> {
        let market = self.venue.symbol(params)?;
        let id = market.id;
        let side = side(params)?;
        check_position_side(params)?;
        let terms = read_terms(market, params)?;
        let reduce_only = params.flag("reduceOnly")?.unwrap_or(false);
        let result_wanted = match params.text("newOrderRespType") {
            None | Some("ACK") => false,
            Some("RESULT") => true,
            Some(_) => return Err(ApiError::invalid_value("newOrderRespType")),
        };
        let self_trade = match params.text("selfTradePreventionMode") {
            None | Some("EXPIRE_MAKER") => SelfTrade::ExpireMaker,
            Some("EXPIRE_TAKER") => SelfTrade::ExpireTaker,
            Some("EXPIRE_BOTH") => SelfTrade::ExpireBoth,
            Some(_) => return Err(ApiError::invalid_value("selfTradePreventionMode")),
        };
        let client_id = self.venue.client_id(params, "newClientOrderId").map_err(|error| {
            ApiError { code: -4015, msg: "Client order id is not valid.".to_owned(), ..error }
        })?;
        let place = Place { market: id, client_id, side, terms, reduce_only, self_trade };
        Ok((place, result_wanted))
    }

    pub(super) fn modify_order(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
        counts: &[i64],
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let id = market.id;
        let wanted_side = side(params)?;
        let key = order_key(params, "orderId", "origClientOrderId")?;
        let qty = lots(market, params)?;
        let px = ticks(market, params)?;
        let modify_id = params.int("modifyId")?;
        let found = ctx.exchange.order(AccountId(account), id, &key);
        let found = found.filter(|order| order.status.is_open());
        let Some(found) = found else { return Err(ApiError::no_such_order()) };
        if found.px().is_none() {
            return Err(ApiError::new(-5025, "Only limit order is supported."));
        }
        if found.side != wanted_side {
            return Err(ApiError::new(-1117, "Invalid side."));
        }
        if params.flag("reduceOnly")? == Some(true) && !found.reduce_only {
            let msg = "Cannot modify a non-reduce-only order to reduce-only.";
            return Err(ApiError::new(-5047, msg));
        }
        let order_id = found.order_id;
        self.venue.limits.check_orders(ctx.now, account, counts)?;
        if let Some(modify_id) = modify_id {
            self.modify_ids.insert(order_id, modify_id);
        }
        let command = Command::Amend { market: id, key, px: Some(px), qty, client_id: None };
        let answer = ctx.submit(account, &command).map_err(|why| match why {
            Refusal::UnknownOrder => ApiError::no_such_order(),
            Refusal::MinNotional => ApiError::new(
                -5029,
                "The notional of the modified order must be no smaller than the minimum.",
            ),
            other => self.refusal(ctx, id, other),
        });
        if answer.is_err() {
            self.modify_ids.remove(&order_id);
        }
        let answer = answer?;
        self.venue.limits.count_orders(ctx.now, account, counts)?;
        let record = answer.orders.first().ok_or_else(ApiError::no_such_order)?;
        let market = self.market_of(record)?;
        let body = reply(market, record).text("pair", &market.instrument.symbol);
        Ok(match modify_id {
            Some(modify_id) => body.int("modifyId", modify_id).end(),
            None => body.end(),
        })
    }

    pub(super) fn cancel_order(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?.id;
        let key = order_key(params, "orderId", "origClientOrderId")?;
        let answer = ctx
            .submit(account, &Command::Cancel { market, key })
            .map_err(|why| self.refusal(ctx, market, why))?;
        let record = answer.orders.first().ok_or_else(ApiError::unknown_order)?;
        Ok(reply(self.market_of(record)?, record).end())
    }

    pub(super) fn cancel_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?.id;
        ctx.submit(account, &Command::CancelAll { market })
            .map_err(|why| self.refusal(ctx, market, why))?;
        Ok(object()
            .int("code", 200)
            .text("msg", "The operation of cancel all open order is done.")
            .end())
    }

    /// Places or modifies up to five orders; the reply has an order or a refusal for each.
    pub(super) fn batch(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
        op: Op,
    ) -> Result<String, ApiError> {
        let list = params.need("batchOrders")?;
        let list: Vec<Value> = serde_json::from_str(list).map_err(|_| {
            ApiError::new(-1130, "Data sent for parameter 'batchOrders' is not valid.")
        })?;
        if list.is_empty() || list.len() > 5 {
            return Err(ApiError::new(-4082, "Invalid number of batch orders."));
        }
        self.venue.limits.count_orders(ctx.now, account, &[5, 1])?;
        Ok(array(list.iter().map(|order| {
            let order = Params::from_json(order);
            let result = match op {
                Op::BatchModify => self.modify_order(ctx, account, &order, &[0, 0]),
                _ => self.place_order(ctx, account, &order, &[0, 0]),
            };
            result.unwrap_or_else(|error| error.body())
        })))
    }

    pub(super) fn batch_cancel(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let symbol = params.need("symbol")?.to_owned();
        let bad = |name: &str| ApiError::invalid_value(name);
        // ccxt spells the lists in small letters, and the venue takes them.
        let list = |name: &str| -> Result<Vec<Value>, ApiError> {
            let text = params.text(name).or_else(|| params.text(&name.to_ascii_lowercase()));
            serde_json::from_str(text.unwrap_or("[]")).map_err(|_| bad(name))
        };
        let (ids, clients) = (list("orderIdList")?, list("origClientOrderIdList")?);
        let named = ids.iter().map(|id| ("orderId", id));
        let named = named.chain(clients.iter().map(|id| ("origClientOrderId", id)));
        let named: Vec<_> = named.collect();
        if named.is_empty() {
            return Err(ApiError::mandatory("orderIdList"));
        }
        if named.len() > 10 {
            return Err(ApiError::new(-4082, "Invalid number of batch orders."));
        }
        Ok(array(named.into_iter().map(|(name, id)| {
            let order = serde_json::json!({ "symbol": symbol, name: id });
            let order = Params::from_json(&order);
            self.cancel_order(ctx, account, &order).unwrap_or_else(|error| error.body())
        })))
    }

    pub(super) fn countdown(
        &mut self,
        now: Ts,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let (id, symbol) = (market.id, market.instrument.symbol.clone());
        let ms =
            params.int("countdownTime")?.ok_or_else(|| ApiError::mandatory("countdownTime"))?;
        match ms {
            0 => {
                self.countdowns.remove(&(account, id));
            }
            1.. => {
                self.countdowns.insert((account, id), now + Span::from_ms(ms));
            }
            _ => return Err(ApiError::invalid_value("countdownTime")),
        }
        Ok(object().text("symbol", &symbol).text("countdownTime", &ms.to_string()).end())
    }

    pub(super) fn market_of(&self, record: &OrderRecord) -> Result<&MarketFace, ApiError> {
        self.venue.market(record.market).ok_or_else(ApiError::invalid_symbol)
    }

    /// The engine's refusal in this venue's words.
    fn refusal(&self, ctx: &Ctx<'_>, market: MarketId, why: Refusal) -> ApiError {
        let bound = |up: bool| {
            let (high, low) = ctx.exchange.price_bounds(market).unwrap_or_default();
            let mark = ctx.exchange.mark(market).map_or(Money::ZERO, |mark| mark.mark_price);
            let scale = self.venue.market(market).map_or(2, |market| market.price_scale);
            (mark * if up { high } else { low }).round_dp(scale)
        };
        let (code, msg) = match why {
            Refusal::UnknownMarket => (-1121, "Invalid symbol.".to_owned()),
            Refusal::Closed => (-4108, "This symbol is not trading now.".to_owned()),
            Refusal::PriceFilter => (-4002, "Price greater than max price.".to_owned()),
            Refusal::LotSize => (-4005, "Quantity greater than max quantity.".to_owned()),
            Refusal::MinNotional => {
                let notional = ctx.exchange.instrument(market).map(|i| i.min_notional);
                let notional = notional.unwrap_or_default().normalize();
                (
                    -4164,
                    format!(
                        "Order's notional must be no smaller than {notional} (unless you choose \
                     reduce only)."
                    ),
                )
            }
            Refusal::PercentPriceHigh => {
                (-4016, format!("Limit price can't be higher than {}.", bound(true)))
            }
            Refusal::PercentPriceLow => {
                (-4024, format!("Limit price can't be lower than {}.", bound(false)))
            }
            Refusal::MaxOrders => (-2025, "Reach max open order limit.".to_owned()),
            Refusal::InsufficientFunds => (-2019, "Margin is insufficient.".to_owned()),
            Refusal::DuplicateClientId => (-4116, "ClientOrderId is duplicated.".to_owned()),
            Refusal::WouldTake => (-5022, not_recorded("as maker", "Post Only")),
            Refusal::Unfillable => (-5021, not_recorded("filled immediately", "FOK")),
            Refusal::ReduceOnly => (-2022, "ReduceOnly Order is rejected.".to_owned()),
            Refusal::UnknownOrder => (-2011, "Unknown order sent.".to_owned()),
            Refusal::AmendUnchanged | Refusal::AmendIncrease => {
                (-5027, "No need to modify the order.".to_owned())
            }
            Refusal::AmendLimit => (-5026, "Exceed maximum modify order limit.".to_owned()),
            Refusal::Unsupported => (-1116, "Invalid orderType.".to_owned()),
            Refusal::SelfTradeMode => (
                -1130,
                "Data sent for parameter 'selfTradePreventionMode' is not valid.".to_owned(),
            ),
        };
        ApiError::new(code, msg)
    }
}

fn not_recorded(what: &str, kind: &str) -> String {
    let verb = if kind == "FOK" { "be" } else { "be executed" };
    let end = if kind == "FOK" { "order has been rejected" } else { "order will be rejected" };
    format!(
        "Due to the order could not {verb} {what}, the {kind} {end}. The order will not be \
         recorded in the order history"
    )
}

fn check_position_side(params: &Params) -> Result<(), ApiError> {
    match params.text("positionSide") {
        None | Some("BOTH") => Ok(()),
        Some("LONG" | "SHORT") => {
            Err(ApiError::new(-4061, "Order's position side does not match user's setting."))
        }
        Some(_) => Err(ApiError::invalid_value("positionSide")),
    }
}

fn too_precise() -> ApiError {
    ApiError::new(-1111, "Precision is over the maximum defined for this asset.")
}

/// `quantity` as lots, refused in the words of this venue.
fn lots(market: &MarketFace, params: &Params) -> Result<Qty, ApiError> {
    let instrument: &Instrument = &market.instrument;
    let quantity =
        params.decimal("quantity", 20)?.ok_or_else(|| ApiError::mandatory("quantity"))?;
    if quantity.normalize().scale() > market.qty_scale {
        return Err(too_precise());
    }
    if quantity.is_zero() {
        return Err(ApiError::new(-4003, "Quantity less than or equal to zero."));
    }
    let qty = on_lot(instrument, quantity)
        .ok_or_else(|| ApiError::new(-4023, "Qty not increased by step size."))?;
    if qty < instrument.min_qty {
        return Err(ApiError::new(-4004, "Quantity less than min quantity."));
    }
    if qty > instrument.max_qty {
        return Err(ApiError::new(-4005, "Quantity greater than max quantity."));
    }
    Ok(qty)
}

/// `price` as ticks, refused in the words of this venue.
fn ticks(market: &MarketFace, params: &Params) -> Result<Px, ApiError> {
    let instrument = &market.instrument;
    let price = params.decimal("price", 20)?.ok_or_else(|| ApiError::mandatory("price"))?;
    if price.normalize().scale() > market.price_scale {
        return Err(too_precise());
    }
    if price.is_zero() {
        return Err(ApiError::new(-4001, "Price less than or equal to zero."));
    }
    let px = on_tick(instrument, price)
        .ok_or_else(|| ApiError::new(-4014, "Price not increased by tick size."))?;
    if px < instrument.min_px {
        return Err(ApiError::new(-4013, "Price less than min price."));
    }
    if px > instrument.max_px {
        return Err(ApiError::new(-4002, "Price greater than max price."));
    }
    Ok(px)
}

fn read_terms(market: &MarketFace, params: &Params) -> Result<Terms, ApiError> {
    match params.need("type")? {
        "LIMIT" => {
            let tif = match params.need("timeInForce")? {
                "GTC" => TimeInForce::Gtc,
                "IOC" => TimeInForce::Ioc,
                "FOK" => TimeInForce::Fok,
                "GTX" => TimeInForce::PostOnly,
                _ => return Err(ApiError::new(-1115, "Invalid timeInForce.")),
            };
            if params.text("priceMatch").is_some_and(|mode| mode != "NONE") {
                return Err(ApiError::new(-5037, "Invalid price match."));
            }
            Ok(Terms::Limit { qty: lots(market, params)?, px: ticks(market, params)?, tif })
        }
        "MARKET" => {
            for name in ["price", "timeInForce"] {
                if params.text(name).is_some() {
                    return Err(ApiError::superfluous(name));
                }
            }
            Ok(Terms::Market { qty: lots(market, params)? })
        }
        "STOP" | "STOP_MARKET" | "TAKE_PROFIT" | "TAKE_PROFIT_MARKET" | "TRAILING_STOP_MARKET" => {
            Err(ApiError::new(
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API \
                 endpoints instead.",
            ))
        }
        _ => Err(ApiError::new(-1116, "Invalid orderType.")),
    }
}

pub(super) fn tif_word(terms: &Terms) -> &'static str {
    match terms {
        Terms::Limit { tif: TimeInForce::Ioc, .. } => "IOC",
        Terms::Limit { tif: TimeInForce::Fok, .. } => "FOK",
        Terms::Limit { tif: TimeInForce::PostOnly, .. } => "GTX",
        Terms::Limit { .. } | Terms::Market { .. } | Terms::MarketQuote { .. } => "GTC",
    }
}

pub(super) fn type_word(terms: &Terms) -> &'static str {
    match terms {
        Terms::Limit { .. } => "LIMIT",
        Terms::Market { .. } | Terms::MarketQuote { .. } => "MARKET",
    }
}

/// The fields of every reply to place, modify and cancel: no average, no quote sum.
pub(super) fn reply(market: &MarketFace, record: &OrderRecord) -> Object {
    object()
        .text("clientOrderId", &record.client_id)
        .text("cumQty", &market.quantity(record.filled))
        .text("executedQty", &market.quantity(record.filled))
        .merge(&common(market, record))
}

/// The fields of replies and queries alike.
pub(super) fn common(market: &MarketFace, record: &OrderRecord) -> Object {
    object()
        .int("orderId", record.order_id)
        .text("origQty", &market.quantity(record.qty))
        .text("price", &market.price(record.px().unwrap_or_default()))
        .flag("reduceOnly", record.reduce_only)
        .text("side", side_word(record.side))
        .text("positionSide", "BOTH")
        .text("status", status_word(record.status))
        .text("stopPrice", "0")
        .flag("closePosition", false)
        .text("symbol", &market.instrument.symbol)
        .text("timeInForce", tif_word(&record.terms))
        .text("type", type_word(&record.terms))
        .text("origType", type_word(&record.terms))
        .int("updateTime", record.updated.ms())
        .text("workingType", "CONTRACT_PRICE")
        .flag("priceProtect", false)
        .text("priceMatch", "NONE")
        .text("selfTradePreventionMode", self_trade_word(record.self_trade))
        .int("goodTillDate", 0)
}
