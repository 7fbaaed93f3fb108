//! Public market data of spot, over REST and as streams.

use super::SpotFace;
use crate::domain::{Money, Ts};
use crate::sim::faces::error::ApiError;
use crate::sim::faces::faults::{FaultBoard, VenueKind};
use crate::sim::faces::json::{Object, array, object, quoted};
use crate::sim::faces::limits::{Limit, Limits};
use crate::sim::faces::market::{AggTrade, Candle, MarketFace, interval_ms};
use crate::sim::faces::request::Params;
use crate::sim::faces::streams::Outbox;
use crate::sim::faces::venue::{Ctx, row_limit, select, window};
use crate::sim::{BookTicker, PublicTrade};

impl SpotFace {
    pub(super) fn exchange_info(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        let wanted = self.wanted(params)?;
        let raw = Limit { interval: "MINUTE", interval_num: 5, limit: 300_000 };
        let limits = &self.venue.limits;
        let mut rows = vec![Limits::row("REQUEST_WEIGHT", &limits.weight, None)];
        rows.extend(limits.orders.iter().map(|limit| Limits::row("ORDERS", limit, None)));
        rows.push(Limits::row("RAW_REQUESTS", &raw, None));
        let symbols = wanted.into_iter().filter(|market| {
            params.text("symbolStatus").is_none_or(|status| status == status_of(ctx, market))
        });
        Ok(object()
            .text("timezone", "UTC")
            .int("serverTime", ctx.now.ms())
            .list("rateLimits", rows)
            .raw("exchangeFilters", "[]")
            .list("symbols", symbols.map(|market| symbol_info(market, status_of(ctx, market))))
            .end())
    }

    /// The markets of `symbol` or `symbols`, or all.
    fn wanted(&self, params: &Params) -> Result<Vec<&MarketFace>, ApiError> {
        match (params.text("symbol"), params.text("symbols")) {
            (Some(_), Some(_)) => {
                Err(ApiError::new(-1128, "Combination of optional parameters invalid."))
            }
            (Some(symbol), None) => Ok(vec![self.venue.named(symbol)?]),
            (None, Some(list)) => {
                let names: Vec<String> = serde_json::from_str(list).map_err(|_| {
                    let range = "^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$";
                    ApiError::illegal_characters("symbols", range)
                })?;
                names.iter().map(|name| self.venue.named(name)).collect()
            }
            (None, None) => Ok(self.venue.markets.iter().collect()),
        }
    }

    pub(super) fn depth(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let depth = ctx
            .exchange
            .depth(market.id, row_limit(params, 100, 5000)?)
            .ok_or_else(ApiError::invalid_symbol)?;
        Ok(object()
            .int("lastUpdateId", depth.last_update_id)
            .raw("bids", &market.levels(depth.bids))
            .raw("asks", &market.levels(depth.asks))
            .end())
    }

    /// The newest trades, or those from an id on.
    pub(super) fn trades(&self, params: &Params, from: Option<i64>) -> Result<String, ApiError> {
        let (market, trades) = self.venue.public_trades(params, from)?;
        Ok(array(trades.map(|trade| {
            object()
                .int("id", trade.trade_id)
                .text("price", &market.price(trade.px))
                .text("qty", &market.quantity(trade.qty))
                .fixed("quoteQty", market.instrument.notional(trade.px, trade.qty), 8)
                .int("time", trade.at.ms())
                .flag("isBuyerMaker", trade.buyer_is_maker)
                .flag("isBestMatch", true)
                .end()
        })))
    }

    /// Execution rules: no symbol has any here.
    pub(super) fn execution_rules(&self, params: &Params) -> Result<String, ApiError> {
        self.venue.symbol_if_sent(params)?;
        Ok(r#"{"symbolRules":[]}"#.to_owned())
    }

    /// The reference price: no symbol has one here.
    pub(super) fn reference_price(&self, params: &Params) -> Result<String, ApiError> {
        self.venue.symbol(params)?;
        Err(ApiError::new(-2043, "This symbol doesn't have a reference price."))
    }

    pub(super) fn agg_trades(&self, params: &Params) -> Result<String, ApiError> {
        let (market, rows) = self.venue.agg_trades(params)?;
        Ok(array(rows.iter().map(|agg| aggregate(market, agg).flag("M", true).end())))
    }

    pub(super) fn klines(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let interval = interval_ms(params.need("interval")?)
            .ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
        let limit = row_limit(params, 500, 1000)?;
        let bars =
            select(market.klines(interval, ctx.now), |bar| bar.open_ms, window(params)?, limit);
        Ok(array(bars.iter().map(|bar| kline_row(market, bar, interval))))
    }

    pub(super) fn average_price(&self, now: Ts, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let whole = market.span(now.ms() - 5 * 60_000);
        let price = whole.map_or(Money::ZERO, |bar| average(market, &bar));
        let close = market.trades.back().map_or(0, |trade| trade.at.ms());
        Ok(object().int("mins", 5).fixed("price", price, 8).int("closeTime", close).end())
    }

    /// One object for `symbol`, else a list.
    fn for_each(
        &self,
        params: &Params,
        row: impl Fn(&MarketFace) -> String,
    ) -> Result<String, ApiError> {
        let wanted = self.wanted(params)?;
        if params.text("symbol").is_some() {
            return Ok(wanted.first().map(|market| row(market)).unwrap_or_default());
        }
        Ok(array(wanted.into_iter().map(row)))
    }

    pub(super) fn ticker_24h(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        let mini = params.text("type") == Some("MINI");
        self.for_each(params, |market| {
            let ticker = ctx.exchange.book_ticker(market.id);
            day_ticker(market, ctx.now, ticker, mini)
        })
    }

    pub(super) fn ticker_price(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        self.for_each(params, |market| {
            let last = market.trades.back().map(|trade| trade.px);
            let ticker = ctx.exchange.book_ticker(market.id);
            let px = last.or_else(|| ticker.and_then(|t| t.bid.or(t.ask)).map(|level| level.px));
            object()
                .text("symbol", &market.instrument.symbol)
                .text("price", &market.price(px.unwrap_or_default()))
                .end()
        })
    }

    pub(super) fn book_ticker(&self, ctx: &Ctx<'_>, params: &Params) -> Result<String, ApiError> {
        self.for_each(params, |market| {
            let ticker = ctx.exchange.book_ticker(market.id);
            let (bid, ask) = ticker.map_or((None, None), |ticker| (ticker.bid, ticker.ask));
            let (bid, ask) = (bid.unwrap_or(NOTHING), ask.unwrap_or(NOTHING));
            object()
                .text("symbol", &market.instrument.symbol)
                .text("bidPrice", &market.price(bid.px))
                .text("bidQty", &market.quantity(bid.qty))
                .text("askPrice", &market.price(ask.px))
                .text("askQty", &market.quantity(ask.qty))
                .end()
        })
    }

    /// Trades as they happen.
    pub fn on_trade(&mut self, trade: &PublicTrade, muted: bool, now: Ts, out: &mut Outbox) {
        let Some(index) = self.venue.index(trade.market) else { return };
        let closed = self.venue.markets[index].on_trade(trade);
        if let Some(agg) = closed {
            self.tell_agg(index, &agg, muted, now, out);
        }
        let market = &self.venue.markets[index];
        let name = format!("{}@trade", market.lower);
        if muted || !self.venue.hub.wanted(&name) {
            return;
        }
        let payload = object()
            .text("e", "trade")
            .int("E", now.ms())
            .text("s", &market.instrument.symbol)
            .int("t", trade.trade_id)
            .text("p", &market.price(trade.px))
            .text("q", &market.quantity(trade.qty))
            .int("T", trade.at.ms())
            .flag("m", trade.buyer_is_maker)
            .flag("M", true)
            .end();
        self.venue.hub.publish(&name, &payload, out);
    }

    fn tell_agg(&self, index: usize, agg: &AggTrade, muted: bool, now: Ts, out: &mut Outbox) {
        let market = &self.venue.markets[index];
        let name = format!("{}@aggTrade", market.lower);
        if muted || !self.venue.hub.wanted(&name) {
            return;
        }
        let head = object().text("e", "aggTrade").int("E", now.ms());
        let head = head.text("s", &market.instrument.symbol);
        let payload = head.merge(&aggregate(market, agg)).flag("M", true).end();
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
            if muted || !self.venue.hub.wanted(&name) {
                continue;
            }
            let Some(ticker) = ctx.exchange.book_ticker(market.id) else { continue };
            let same = market.told.is_some_and(|t| (t.bid, t.ask) == (ticker.bid, ticker.ask));
            if same {
                continue;
            }
            market.told = Some(ticker);
            let (bid, ask) = (ticker.bid.unwrap_or(NOTHING), ticker.ask.unwrap_or(NOTHING));
            let payload = object()
                .int("u", ticker.update_id)
                .text("s", &market.instrument.symbol)
                .text("b", &market.price(bid.px))
                .text("B", &market.quantity(bid.qty))
                .text("a", &market.price(ask.px))
                .text("A", &market.quantity(ask.qty))
                .end();
            self.venue.hub.publish(&name, &payload, out);
        }
    }

    /// Streams with a beat: depth differences, partial books, tickers and candles.
    pub fn beat(&mut self, ctx: &Ctx<'_>, faults: &mut FaultBoard, out: &mut Outbox) {
        let muted = faults.market_muted(VenueKind::Spot);
        for index in 0..self.venue.markets.len() {
            for (speed, suffix) in [(0, "@100ms"), (1, "")] {
                let (due, diff) = self.venue.markets[index].beat(speed, ctx.now);
                if !due || muted {
                    continue;
                }
                let market = &self.venue.markets[index];
                let hub = &self.venue.hub;
                let name = format!("{}@depth{suffix}", market.lower);
                if let Some(diff) = diff
                    && hub.wanted(&name)
                    && !faults.loses_diff(VenueKind::Spot, &name)
                {
                    let payload = object()
                        .text("e", "depthUpdate")
                        .int("E", ctx.now.ms())
                        .text("s", &market.instrument.symbol)
                        .int("U", diff.first)
                        .int("u", diff.last)
                        .raw("b", &diff.bids)
                        .raw("a", &diff.asks)
                        .end();
                    hub.publish(&name, &payload, out);
                }
                for levels in [5, 10, 20] {
                    let name = format!("{}@depth{levels}{suffix}", market.lower);
                    if !hub.wanted(&name) {
                        continue;
                    }
                    let Some(depth) = ctx.exchange.depth(market.id, levels) else { continue };
                    let payload = object()
                        .int("lastUpdateId", depth.last_update_id)
                        .raw("bids", &market.levels(depth.bids))
                        .raw("asks", &market.levels(depth.asks))
                        .end();
                    hub.publish(&name, &payload, out);
                }
                if suffix.is_empty() {
                    self.tell_tickers(ctx, index, out);
                    self.venue.markets[index].bars_told = ctx.now;
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
                let ticker = ctx.exchange.book_ticker(market.id);
                let payload = stream_ticker(market, ctx.now, ticker, mini);
                hub.publish(&name, &payload, out);
            }
        }
        let prefix = format!("{}@kline_", market.lower);
        let names: Vec<String> = hub.listened(&prefix).map(str::to_owned).collect();
        for name in names {
            let Some(interval) = interval_ms(&name[prefix.len()..]) else { continue };
            for bar in market.bars_to_tell(interval, ctx.now) {
                let head = object().text("e", "kline").int("E", ctx.now.ms());
                let head = head.text("s", &market.instrument.symbol);
                let bar = stream_kline(market, &bar, &name[prefix.len()..], interval, ctx.now);
                hub.publish(&name, &head.raw("k", &bar).end(), out);
            }
        }
    }
}

const NOTHING: crate::domain::Level =
    crate::domain::Level { px: crate::domain::Px(0), qty: crate::domain::Qty(0) };

fn status_of(ctx: &Ctx<'_>, market: &MarketFace) -> &'static str {
    let open = ctx.exchange.instrument(market.id).is_some_and(|now| now.trading);
    if open { "TRADING" } else { "HALT" }
}

fn symbol_info(market: &MarketFace, status: &str) -> String {
    let instrument = &market.instrument;
    let flags = object()
        .flag("icebergAllowed", false)
        .flag("ocoAllowed", false)
        .flag("otoAllowed", false)
        .flag("opoAllowed", false)
        .flag("quoteOrderQtyMarketAllowed", true)
        .flag("allowTrailingStop", false)
        .flag("cancelReplaceAllowed", true)
        .flag("amendAllowed", true)
        .flag("pegInstructionsAllowed", false)
        .flag("isSpotTradingAllowed", true)
        .flag("isMarginTradingAllowed", false);
    object()
        .text("symbol", &instrument.symbol)
        .text("status", status)
        .text("baseAsset", instrument.base.as_str())
        .int("baseAssetPrecision", 8)
        .text("quoteAsset", instrument.quote.as_str())
        .int("quotePrecision", 8)
        .int("quoteAssetPrecision", 8)
        .int("baseCommissionPrecision", 8)
        .int("quoteCommissionPrecision", 8)
        .raw("orderTypes", r#"["LIMIT","LIMIT_MAKER","MARKET"]"#)
        .merge(&flags)
        .list("filters", filters(market))
        .raw("permissions", "[]")
        .raw("permissionSets", r#"[["SPOT"]]"#)
        .text("defaultSelfTradePreventionMode", "EXPIRE_MAKER")
        .raw(
            "allowedSelfTradePreventionModes",
            r#"["EXPIRE_TAKER","EXPIRE_MAKER","EXPIRE_BOTH","DECREMENT"]"#,
        )
        .end()
}

fn filters(market: &MarketFace) -> Vec<String> {
    let instrument = &market.instrument;
    let filter = |kind: &str| object().text("filterType", kind);
    let lots = |kind: &str, min: Money, step: Money| {
        filter(kind)
            .fixed("minQty", min, 8)
            .fixed("maxQty", instrument.quantity(instrument.max_qty), 8)
            .fixed("stepSize", step, 8)
            .end()
    };
    vec![
        filter("PRICE_FILTER")
            .fixed("minPrice", instrument.price(instrument.min_px), 8)
            .fixed("maxPrice", instrument.price(instrument.max_px), 8)
            .fixed("tickSize", instrument.tick_size, 8)
            .end(),
        lots("LOT_SIZE", instrument.quantity(instrument.min_qty), instrument.lot_size),
        filter("ICEBERG_PARTS").int("limit", 100).end(),
        lots("MARKET_LOT_SIZE", Money::ZERO, Money::ZERO),
        filter("PERCENT_PRICE_BY_SIDE")
            .text("bidMultiplierUp", "5")
            .text("bidMultiplierDown", "0.2")
            .text("askMultiplierUp", "5")
            .text("askMultiplierDown", "0.2")
            .int("avgPriceMins", 5)
            .end(),
        filter("NOTIONAL")
            .fixed("minNotional", instrument.min_notional, 8)
            .flag("applyMinToMarket", true)
            .fixed("maxNotional", Money::from(9_000_000), 8)
            .flag("applyMaxToMarket", false)
            .int("avgPriceMins", 5)
            .end(),
        filter("MAX_NUM_ORDERS").int("maxNumOrders", instrument.max_open_orders).end(),
        filter("MAX_NUM_ORDER_AMENDS").int("maxNumOrderAmends", 10).end(),
    ]
}

/// The fields that REST and streams share.
pub(in crate::sim::faces) fn aggregate(market: &MarketFace, agg: &AggTrade) -> Object {
    object()
        .int("a", agg.id)
        .text("p", &market.price(agg.px))
        .text("q", &market.quantity(agg.qty))
        .int("f", agg.first)
        .int("l", agg.last)
        .int("T", agg.at.ms())
        .flag("m", agg.buyer_is_maker)
}

/// Volume-weighted price of a bar.
pub(in crate::sim::faces) fn average(market: &MarketFace, bar: &Candle) -> Money {
    let base = market.instrument.quantity(bar.base);
    if base.is_zero() { Money::ZERO } else { bar.quote / base }
}

/// One row of `klines`, the same on both venues.
pub(in crate::sim::faces) fn kline_row(
    market: &MarketFace,
    bar: &Candle,
    interval_ms: i64,
) -> String {
    let money = |value: Money| quoted(&crate::sim::faces::json::fixed(value, 8));
    let mut row = vec![bar.open_ms.to_string()];
    row.extend(bar.ohlc.iter().map(|px| quoted(&market.price(*px))));
    row.push(quoted(&market.quantity(bar.base)));
    row.push((bar.open_ms + interval_ms - 1).to_string());
    row.push(money(bar.quote));
    row.push(bar.count.to_string());
    row.push(quoted(&market.quantity(bar.taker_base)));
    row.push(money(bar.taker_quote));
    row.push(quoted("0"));
    array(row)
}

/// The object `k` of a candle stream, the same on both venues.
pub(in crate::sim::faces) fn stream_kline(
    market: &MarketFace,
    bar: &Candle,
    name: &str,
    interval_ms: i64,
    now: Ts,
) -> String {
    let close_ms = bar.open_ms + interval_ms - 1;
    object()
        .int("t", bar.open_ms)
        .int("T", close_ms)
        .text("s", &market.instrument.symbol)
        .text("i", name)
        .int("f", bar.trade_ids()[0])
        .int("L", bar.trade_ids()[1])
        .text("o", &market.price(bar.ohlc[0]))
        .text("c", &market.price(bar.ohlc[3]))
        .text("h", &market.price(bar.ohlc[1]))
        .text("l", &market.price(bar.ohlc[2]))
        .text("v", &market.quantity(bar.base))
        .int("n", bar.count)
        .flag("x", now.ms() > close_ms)
        .fixed("q", bar.quote, 8)
        .text("V", &market.quantity(bar.taker_base))
        .fixed("Q", bar.taker_quote, 8)
        .text("B", "0")
        .end()
}

struct Day {
    bar: Candle,
    change: Money,
    percent: Money,
    average: Money,
}

fn day(market: &MarketFace, now: Ts) -> Day {
    let nothing = || Candle::empty(now.ms(), crate::domain::Px(0));
    let bar = market.day(now).unwrap_or_else(nothing);
    let (open, close) =
        (market.instrument.price(bar.ohlc[0]), market.instrument.price(bar.ohlc[3]));
    let change = close - open;
    let percent = if open.is_zero() { Money::ZERO } else { change * Money::from(100) / open };
    Day { average: average(market, &bar), bar, change, percent }
}

/// The 24-hour statistics as REST tells them, the same on both venues but for the best quotes.
pub(in crate::sim::faces) fn day_ticker(
    market: &MarketFace,
    now: Ts,
    ticker: Option<BookTicker>,
    mini: bool,
) -> String {
    let Day { bar, change, percent, average } = day(market, now);
    let mut row = object().text("symbol", &market.instrument.symbol);
    if !mini {
        row = row
            .fixed("priceChange", change, market.price_scale)
            .fixed("priceChangePercent", percent, 3)
            .fixed("weightedAvgPrice", average, market.price_scale);
        if let Some(ticker) = ticker {
            let (bid, ask) = (ticker.bid.unwrap_or(NOTHING), ticker.ask.unwrap_or(NOTHING));
            row = row
                .text("prevClosePrice", &market.price(bar.ohlc[0]))
                .text("bidPrice", &market.price(bid.px))
                .text("bidQty", &market.quantity(bid.qty))
                .text("askPrice", &market.price(ask.px))
                .text("askQty", &market.quantity(ask.qty));
        }
        row = row.text("lastQty", &market.quantity(bar.last_qty));
    }
    row.text("lastPrice", &market.price(bar.ohlc[3]))
        .text("openPrice", &market.price(bar.ohlc[0]))
        .text("highPrice", &market.price(bar.ohlc[1]))
        .text("lowPrice", &market.price(bar.ohlc[2]))
        .text("volume", &market.quantity(bar.base))
        .fixed("quoteVolume", bar.quote, 8)
        .int("openTime", now.ms() - 86_400_000)
        .int("closeTime", now.ms())
        .int("firstId", bar.trade_ids()[0])
        .int("lastId", bar.trade_ids()[1])
        .int("count", bar.count)
        .end()
}

/// The 24-hour statistics as a stream tells them.
pub(in crate::sim::faces) fn stream_ticker(
    market: &MarketFace,
    now: Ts,
    ticker: Option<BookTicker>,
    mini: bool,
) -> String {
    let Day { bar, change, percent, average } = day(market, now);
    let mut row = object()
        .text("e", if mini { "24hrMiniTicker" } else { "24hrTicker" })
        .int("E", now.ms())
        .text("s", &market.instrument.symbol)
        .text("c", &market.price(bar.ohlc[3]))
        .text("o", &market.price(bar.ohlc[0]))
        .text("h", &market.price(bar.ohlc[1]))
        .text("l", &market.price(bar.ohlc[2]))
        .text("v", &market.quantity(bar.base))
        .fixed("q", bar.quote, 8);
    if mini {
        return row.end();
    }
    if let Some(ticker) = ticker {
        let (bid, ask) = (ticker.bid.unwrap_or(NOTHING), ticker.ask.unwrap_or(NOTHING));
        row = row
            .text("x", &market.price(bar.ohlc[0]))
            .text("b", &market.price(bid.px))
            .text("B", &market.quantity(bid.qty))
            .text("a", &market.price(ask.px))
            .text("A", &market.quantity(ask.qty));
    }
    row.fixed("p", change, market.price_scale)
        .fixed("P", percent, 3)
        .fixed("w", average, market.price_scale)
        .text("Q", &market.quantity(bar.last_qty))
        .int("O", now.ms() - 86_400_000)
        .int("C", now.ms())
        .int("F", bar.trade_ids()[0])
        .int("L", bar.trade_ids()[1])
        .int("n", bar.count)
        .end()
}
