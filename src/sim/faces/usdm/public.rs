//! Public market data of USD-M, over REST and as streams.

use super::{KEPT_ROWS, PastFunding, UsdmFace};
use crate::domain::{Level, Money, Px, Qty, Ts};
use crate::sim::faces::error::ApiError;
use crate::sim::faces::faults::{FaultBoard, VenueKind};
use crate::sim::faces::json::{Object, array, object};
use crate::sim::faces::limits::Limits;
use crate::sim::faces::market::{AggTrade, MarketFace, interval_ms};
use crate::sim::faces::request::Params;
use crate::sim::faces::spot::{aggregate, day_ticker, kline_row, stream_kline, stream_ticker};
use crate::sim::faces::streams::Outbox;
use crate::sim::faces::venue::{Ctx, row_limit, select, window};
use crate::sim::{MarkRecord, MarketId, PublicTrade};

const NOTHING: Level = Level { px: Px(0), qty: Qty(0) };

impl UsdmFace {
    /// All symbols; the parameter `symbol` is ignored, as on the venue.
    pub(super) fn exchange_info(&self, ctx: &Ctx<'_>) -> String {
        let limits = &self.venue.limits;
        let mut rows = vec![Limits::row("REQUEST_WEIGHT", &limits.weight, None)];
        rows.extend(limits.orders.iter().rev().map(|limit| Limits::row("ORDERS", limit, None)));
        let mut quotes: Vec<&str> =
            self.venue.markets.iter().map(|m| m.instrument.quote.as_str()).collect();
        quotes.sort_unstable();
        quotes.dedup();
        let assets = quotes.into_iter().map(|asset| {
            object()
                .text("asset", asset)
                .flag("marginAvailable", true)
                .text("autoAssetExchange", "-10000")
                .end()
        });
        object()
            .text("timezone", "UTC")
            .int("serverTime", ctx.now.ms())
            .text("futuresType", "U_MARGINED")
            .list("rateLimits", rows)
            .raw("exchangeFilters", "[]")
            .list("assets", assets)
            .list("symbols", self.venue.markets.iter().map(|market| symbol_info(ctx, market)))
            .end()
    }

    pub(super) fn depth(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let limit = params.int("limit")?.unwrap_or(500);
        let limit = match limit {
            5 | 10 | 20 | 50 | 100 | 500 | 1000 => usize::try_from(limit).unwrap_or(500),
            1001.. => return Err(ApiError::invalid_value("limit")),
            _ => return Err(ApiError::new(-4021, format!("{limit} is not valid depth limit"))),
        };
        let depth = ctx.exchange.depth(market.id, limit).ok_or_else(ApiError::invalid_symbol)?;
        Ok(object()
            .int("lastUpdateId", depth.last_update_id)
            .int("E", ctx.now.ms())
            .int("T", ctx.now.ms())
            .raw("bids", &market.levels(depth.bids))
            .raw("asks", &market.levels(depth.asks))
            .end())
    }

    /// The newest trades, or those from an id on.
    pub(super) fn trades(&self, params: &Params, from: Option<i64>) -> Result<String, ApiError> {
        let (market, trades) = self.venue.public_trades(params, from)?;
        Ok(array(trades.map(|trade| {
            let notional = market.instrument.notional(trade.px, trade.qty);
            object()
                .int("id", trade.trade_id)
                .text("price", &market.price(trade.px))
                .text("qty", &market.quantity(trade.qty))
                .fixed("quoteQty", notional, market.price_scale)
                .int("time", trade.at.ms())
                .flag("isBuyerMaker", trade.buyer_is_maker)
                .flag("isRPITrade", false)
                .end()
        })))
    }

    pub(super) fn agg_trades(&self, params: &Params) -> Result<String, ApiError> {
        let (market, rows) = self.venue.agg_trades(params)?;
        Ok(array(
            rows.iter()
                .map(|agg| aggregate(market, agg).text("nq", &market.quantity(agg.qty)).end()),
        ))
    }

    pub(super) fn klines(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let interval = interval_ms(params.need("interval")?)
            .ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
        if params.int("limit")?.is_some_and(|limit| limit > 1000) {
            return Err(ApiError::invalid_value("limit"));
        }
        let limit = row_limit(params, 500, 1000)?;
        let bars =
            select(market.klines(interval, ctx.now), |bar| bar.open_ms, window(params)?, limit);
        Ok(array(bars.iter().map(|bar| kline_row(market, bar, interval))))
    }

    /// One object for `symbol`, else a list.
    fn for_each(
        &self,
        params: &Params,
        row: impl Fn(&MarketFace) -> Option<String>,
    ) -> Result<String, ApiError> {
        match self.venue.symbol_if_sent(params)? {
            Some(market) => row(market)
                .ok_or_else(|| ApiError::new(-4142, "The symbol has no price yet.").status(503)),
            None => Ok(array(self.venue.markets.iter().filter_map(row))),
        }
    }

    pub(super) fn premium_index(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        self.for_each(params, |market| {
            let mark = ctx.exchange.mark(market.id)?;
            Some(
                object()
                    .text("symbol", &market.instrument.symbol)
                    .fixed("markPrice", mark.mark_price, 8)
                    .fixed("indexPrice", mark.index_price, 8)
                    .fixed("estimatedSettlePrice", mark.index_price, 8)
                    .fixed("lastFundingRate", mark.funding_rate, 8)
                    .text("interestRate", "0.00010000")
                    .int("nextFundingTime", mark.next_funding.ms())
                    .int("time", ctx.now.ms())
                    .end(),
            )
        })
    }

    pub(super) fn funding_rate(&self, params: &Params) -> Result<String, ApiError> {
        let only = self.venue.symbol_if_sent(params)?.map(|market| market.id);
        let limit = row_limit(params, 100, 1000)?;
        let rows: Vec<&PastFunding> = self
            .fundings
            .iter()
            .filter(|funding| only.is_none_or(|id| id == funding.market))
            .collect();
        let rows = select(rows, |funding| funding.at.ms(), window(params)?, limit);
        Ok(array(rows.into_iter().filter_map(|funding| {
            let market = self.venue.market(funding.market)?;
            Some(
                object()
                    .text("symbol", &market.instrument.symbol)
                    .int("fundingTime", funding.at.ms())
                    .fixed("fundingRate", funding.rate, 8)
                    .fixed("markPrice", funding.mark_price, 8)
                    .text("rateType", "Regular")
                    .end(),
            )
        })))
    }

    pub(super) fn book_ticker(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        self.for_each(params, |market| {
            let ticker = ctx.exchange.book_ticker(market.id)?;
            let (bid, ask) = (ticker.bid.unwrap_or(NOTHING), ticker.ask.unwrap_or(NOTHING));
            Some(
                object()
                    .text("symbol", &market.instrument.symbol)
                    .text("bidPrice", &market.price(bid.px))
                    .text("bidQty", &market.quantity(bid.qty))
                    .text("askPrice", &market.price(ask.px))
                    .text("askQty", &market.quantity(ask.qty))
                    .int("time", ctx.now.ms())
                    .int("lastUpdateId", ticker.update_id)
                    .end(),
            )
        })
    }

    pub(super) fn ticker_price(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        self.for_each(params, |market| {
            let last = market.trades.back().map(|trade| trade.px);
            let ticker = ctx.exchange.book_ticker(market.id);
            let px = last.or_else(|| ticker.and_then(|t| t.bid.or(t.ask)).map(|level| level.px));
            Some(
                object()
                    .text("symbol", &market.instrument.symbol)
                    .text("price", &market.price(px.unwrap_or_default()))
                    .int("time", ctx.now.ms())
                    .end(),
            )
        })
    }

    pub(super) fn ticker_24h(&self, now: Ts, params: &Params) -> Result<String, ApiError> {
        self.for_each(params, |market| Some(day_ticker(market, now, None, false)))
    }

    /// Trades as they happen.
    pub fn on_trade(&mut self, trade: &PublicTrade, muted: bool, now: Ts, out: &mut Outbox) {
        let Some(index) = self.venue.index(trade.market) else { return };
        if let Some(agg) = self.venue.markets[index].on_trade(trade) {
            self.tell_agg(index, &agg, muted, now, out);
        }
        // Not in the documents, but served by the venue and read by clients.
        let market = &self.venue.markets[index];
        let name = format!("{}@trade", market.lower);
        if muted || !self.venue.hub.wanted(&name) {
            return;
        }
        let payload = head("trade", now, market)
            .int("T", trade.at.ms())
            .int("t", trade.trade_id)
            .text("p", &market.price(trade.px))
            .text("q", &market.quantity(trade.qty))
            .text("X", "MARKET")
            .flag("m", trade.buyer_is_maker)
            .end();
        self.venue.hub.publish(&name, &payload, out);
    }

    fn tell_agg(&self, index: usize, agg: &AggTrade, muted: bool, now: Ts, out: &mut Outbox) {
        let market = &self.venue.markets[index];
        let name = format!("{}@aggTrade", market.lower);
        if muted || !self.venue.hub.wanted(&name) {
            return;
        }
        let payload = head("aggTrade", now, market)
            .merge(&aggregate(market, agg))
            .text("nq", &market.quantity(agg.qty))
            .int("st", 1)
            .end();
        self.venue.hub.publish(&name, &payload, out);
    }

    /// What is told after a group of happenings: closed aggregates and changed best quotes.
    pub fn after_happenings(&mut self, ctx: &Ctx<'_>, muted: bool, out: &mut Outbox) {
        for index in 0..self.venue.markets.len() {
            if let Some(agg) = self.venue.markets[index].close_agg() {
                self.tell_agg(index, &agg, muted, ctx.now, out);
            }
            let market = &mut self.venue.markets[index];
            let name = format!("{}@bookTicker", market.lower);
            if muted || !(self.venue.hub.wanted(&name) || self.venue.hub.wanted("!bookTicker")) {
                continue;
            }
            let Some(ticker) = ctx.exchange.book_ticker(market.id) else { continue };
            if market.told.is_some_and(|t| (t.bid, t.ask) == (ticker.bid, ticker.ask)) {
                continue;
            }
            market.told = Some(ticker);
            let (bid, ask) = (ticker.bid.unwrap_or(NOTHING), ticker.ask.unwrap_or(NOTHING));
            let payload = object()
                .text("e", "bookTicker")
                .int("u", ticker.update_id)
                .int("E", ctx.now.ms())
                .int("T", ctx.now.ms())
                .text("s", &market.instrument.symbol)
                .text("b", &market.price(bid.px))
                .text("B", &market.quantity(bid.qty))
                .text("a", &market.price(ask.px))
                .text("A", &market.quantity(ask.qty))
                .text("ps", &market.instrument.symbol)
                .int("st", 1)
                .end();
            self.venue.hub.publish(&name, &payload, out);
            self.venue.hub.publish("!bookTicker", &payload, out);
        }
    }

    /// A mark price, once a second; the plain stream tells every third.
    pub fn on_mark(&self, mark: &MarkRecord, at: Ts, muted: bool, now: Ts, out: &mut Outbox) {
        let Some(market) = self.venue.market(mark.market) else { return };
        if muted {
            return;
        }
        let payload = head("markPriceUpdate", now, market)
            .fixed("p", mark.mark_price, 8)
            .fixed("ap", mark.mark_price, 8)
            .fixed("i", mark.index_price, 8)
            .fixed("P", mark.index_price, 8)
            .fixed("r", mark.funding_rate, 8)
            .int("T", mark.next_funding.ms())
            .int("st", 1)
            .end();
        let hub = &self.venue.hub;
        let third = at.ms().div_euclid(1000) % 3 == 0;
        let beats = if third { &["@markPrice@1s", "@markPrice"][..] } else { &["@markPrice@1s"] };
        for beat in beats {
            hub.publish(&format!("{}{beat}", market.lower), &payload, out);
            let all = beat.replace("@markPrice", "!markPrice@arr");
            hub.publish(&all, &format!("[{payload}]"), out);
        }
    }

    /// A funding exchange is over; the first account that it touches tells it.
    pub(super) fn remember_funding(
        &mut self,
        ctx: &Ctx<'_>,
        market: MarketId,
        rate: Money,
        at: Ts,
    ) {
        if self.fundings.iter().rev().any(|past| past.market == market && past.at == at) {
            return;
        }
        let mark_price = ctx.exchange.mark(market).map_or(Money::ZERO, |mark| mark.mark_price);
        self.fundings.push(PastFunding { market, at, rate, mark_price });
        if self.fundings.len() > KEPT_ROWS {
            self.fundings.remove(0);
        }
    }

    /// Streams with a beat: depth differences, partial books, tickers and candles.
    pub fn beat(&mut self, ctx: &Ctx<'_>, faults: &mut FaultBoard, out: &mut Outbox) {
        let muted = faults.market_muted(VenueKind::Usdm);
        for index in 0..self.venue.markets.len() {
            for (speed, suffix) in [(0, "@100ms"), (1, ""), (2, "@500ms")] {
                let (due, diff) = self.venue.markets[index].beat(speed, ctx.now);
                if !due || muted {
                    continue;
                }
                if speed == 2 {
                    self.tell_tickers(ctx, index, out);
                    self.venue.markets[index].bars_told = ctx.now;
                }
                let market = &self.venue.markets[index];
                let hub = &self.venue.hub;
                let Some(diff) = diff else { continue };
                let update = |bids: &str, asks: &str| {
                    object()
                        .text("e", "depthUpdate")
                        .int("E", ctx.now.ms())
                        .int("T", ctx.now.ms())
                        .text("s", &market.instrument.symbol)
                        .int("U", diff.first)
                        .int("u", diff.last)
                        .int("pu", diff.previous_last)
                        .raw("b", bids)
                        .raw("a", asks)
                        .text("ps", &market.instrument.symbol)
                        .int("st", 1)
                        .end()
                };
                let name = format!("{}@depth{suffix}", market.lower);
                if hub.wanted(&name) && !faults.loses_diff(VenueKind::Usdm, &name) {
                    hub.publish(&name, &update(&diff.bids, &diff.asks), out);
                }
                for levels in [5, 10, 20] {
                    let name = format!("{}@depth{levels}{suffix}", market.lower);
                    if !hub.wanted(&name) {
                        continue;
                    }
                    let Some(depth) = ctx.exchange.depth(market.id, levels) else { continue };
                    let (bids, asks) = (market.levels(depth.bids), market.levels(depth.asks));
                    hub.publish(&name, &update(&bids, &asks), out);
                }
            }
        }
    }

    fn tell_tickers(&self, ctx: &Ctx<'_>, index: usize, out: &mut Outbox) {
        let market = &self.venue.markets[index];
        let hub = &self.venue.hub;
        for (suffix, mini) in [("@ticker", false), ("@miniTicker", true)] {
            let name = format!("{}{suffix}", market.lower);
            if hub.wanted(&name) {
                hub.publish(&name, &stream_ticker(market, ctx.now, None, mini), out);
            }
        }
        let prefix = format!("{}@kline_", market.lower);
        let names: Vec<String> = hub.listened(&prefix).map(str::to_owned).collect();
        for name in names {
            let Some(interval) = interval_ms(&name[prefix.len()..]) else { continue };
            for bar in market.bars_to_tell(interval, ctx.now) {
                let bar = stream_kline(market, &bar, &name[prefix.len()..], interval, ctx.now);
                let payload = head("kline", ctx.now, market).raw("k", &bar).end();
                hub.publish(&name, &payload, out);
            }
        }
    }
}

fn head(event: &str, now: Ts, market: &MarketFace) -> Object {
    object().text("e", event).int("E", now.ms()).text("s", &market.instrument.symbol)
}

fn symbol_info(ctx: &Ctx<'_>, market: &MarketFace) -> String {
    let instrument = &market.instrument;
    let open = ctx.exchange.instrument(market.id).is_some_and(|now| now.trading);
    object()
        .text("symbol", &instrument.symbol)
        .text("pair", &instrument.symbol)
        .text("contractType", "PERPETUAL")
        .int("deliveryDate", 4_133_404_800_000_i64)
        .int("onboardDate", 1_567_965_300_000_i64)
        .text("status", if open { "TRADING" } else { "PENDING_TRADING" })
        .text("maintMarginPercent", "2.5000")
        .text("requiredMarginPercent", "5.0000")
        .text("baseAsset", instrument.base.as_str())
        .text("quoteAsset", instrument.quote.as_str())
        .text("marginAsset", instrument.quote.as_str())
        .int("pricePrecision", market.price_scale)
        .int("quantityPrecision", market.qty_scale)
        .int("baseAssetPrecision", 8)
        .int("quotePrecision", 8)
        .text("underlyingType", "COIN")
        .raw("underlyingSubType", r#"["PoW"]"#)
        .text("triggerProtect", "0.0500")
        .text("liquidationFee", "0.012500")
        .text("marketTakeBound", "0.05")
        .int("maxMoveOrderLimit", 10_000)
        .list("filters", filters(ctx, market))
        .raw("orderTypes", r#"["LIMIT","MARKET"]"#)
        .raw("timeInForce", r#"["GTC","IOC","FOK","GTX"]"#)
        .raw("permissionSets", "[]")
        .end()
}

fn filters(ctx: &Ctx<'_>, market: &MarketFace) -> Vec<String> {
    let instrument = &market.instrument;
    let filter = |kind: &str| object().text("filterType", kind);
    let lots = |kind: &str| {
        filter(kind)
            .fixed("minQty", instrument.quantity(instrument.min_qty), market.qty_scale)
            .plain("maxQty", instrument.quantity(instrument.max_qty))
            .fixed("stepSize", instrument.lot_size, market.qty_scale)
            .end()
    };
    let (up, down) = ctx
        .exchange
        .price_bounds(market.id)
        .unwrap_or_else(|| (Money::new(105, 2), Money::new(95, 2)));
    vec![
        filter("PRICE_FILTER")
            .text("minPrice", &market.price(instrument.min_px))
            .plain("maxPrice", instrument.price(instrument.max_px))
            .fixed("tickSize", instrument.tick_size, market.price_scale)
            .end(),
        lots("LOT_SIZE"),
        lots("MARKET_LOT_SIZE"),
        filter("MAX_NUM_ORDERS").int("limit", instrument.max_open_orders).end(),
        filter("MIN_NOTIONAL").plain("notional", instrument.min_notional).end(),
        filter("PERCENT_PRICE")
            .fixed("multiplierUp", up, 4)
            .fixed("multiplierDown", down, 4)
            .text("multiplierDecimal", "4")
            .end(),
        filter("POSITION_RISK_CONTROL").text("positionControlSide", "NONE").end(),
    ]
}
