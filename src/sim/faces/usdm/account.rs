//! What an account may ask on USD-M: orders, trades, positions, margin and settings.

use super::UsdmFace;
use super::trade::common;
use crate::domain::{Money, Side};
use crate::sim::faces::error::ApiError;
use crate::sim::faces::json::{Object, array, object};
use crate::sim::faces::limits::Limits;
use crate::sim::faces::market::MarketFace;
use crate::sim::faces::request::Params;
use crate::sim::faces::venue::{Ctx, order_key, row_limit, select, window};
use crate::sim::{AccountId, MarginRecord, OrderRecord, PositionRecord, TradeRecord, Wallet};

/// Largest notional of the one leverage bracket.
const NOTIONAL_CAP: i64 = 10_000_000;

impl UsdmFace {
    pub(super) fn query_order(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
        open_only: bool,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let key = order_key(params, "orderId", "origClientOrderId")?;
        let record = ctx.exchange.order(AccountId(account), market.id, &key);
        let record = record.filter(|order| !open_only || order.status.is_open());
        Ok(order_row(market, record.ok_or_else(ApiError::no_such_order)?))
    }

    fn markets_sent(&self, params: &Params) -> Result<Vec<&MarketFace>, ApiError> {
        Ok(match self.venue.symbol_if_sent(params)? {
            Some(market) => vec![market],
            None => self.venue.markets.iter().collect(),
        })
    }

    pub(super) fn open_orders(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        Ok(array(self.markets_sent(params)?.into_iter().flat_map(|market| {
            let orders = ctx.exchange.open_orders(AccountId(account), market.id);
            orders.into_iter().map(move |record| order_row(market, &record))
        })))
    }

    pub(super) fn all_orders(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let limit = row_limit(params, 500, 1000)?;
        let from = params.int("orderId")?.map(|id| u64::try_from(id).unwrap_or(0));
        let mut rows = Vec::new();
        for market in self.markets_sent(params)? {
            let orders = ctx.exchange.orders_from(AccountId(account), market.id, from.unwrap_or(0));
            rows.extend(orders.map(|record| (market, record)));
        }
        rows.sort_by_key(|(_, record)| record.order_id);
        let rows = match from {
            Some(_) => rows.into_iter().take(limit).collect(),
            None => select(rows, |(_, record)| record.created.ms(), window(params)?, limit),
        };
        Ok(array(rows.into_iter().map(|(market, record)| order_row(market, record))))
    }

    pub(super) fn user_trades(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let dated = params.text("startTime").or(params.text("endTime")).is_some();
        if dated && params.int("fromId")?.is_some() {
            return Err(ApiError::new(-1128, "Combination of optional parameters invalid."));
        }
        let (market, rows) = self.venue.own_trades(ctx, account, params)?;
        Ok(array(rows.into_iter().map(|trade| trade_row(market, trade))))
    }

    pub(super) fn position_risk(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
        v2: bool,
    ) -> Result<String, ApiError> {
        let rows = self.markets_sent(params)?.into_iter().filter_map(|market| {
            let position = ctx.exchange.position(AccountId(account), market.id)?;
            let orders = ctx.exchange.open_orders(AccountId(account), market.id);
            // The third version only tells symbols with a position or orders.
            if !v2 && position.qty.is_zero() && orders.is_empty() {
                return None;
            }
            Some(risk_row(market, &position, &orders, v2))
        });
        Ok(array(rows))
    }

    pub(super) fn account(&self, ctx: &Ctx<'_>, account: u32, v2: bool) -> String {
        let margin = ctx.exchange.margin_summary(AccountId(account));
        let positions: Vec<(&MarketFace, PositionRecord)> = self
            .venue
            .markets
            .iter()
            .filter_map(|market| {
                Some((market, ctx.exchange.position(AccountId(account), market.id)?))
            })
            .collect();
        let maintenance: Money = positions.iter().map(|(m, p)| maintenance(m, p)).sum();
        let assets = self.assets(ctx, account).into_iter().map(|(asset, wallet)| {
            margin_fields(object().text("asset", &asset), "", &margin, wallet, maintenance)
                .flag("marginAvailable", true)
                .int("updateTime", ctx.now.ms())
                .end()
        });
        let told = positions.iter().filter(|(_, p)| v2 || !p.qty.is_zero());
        let rows = told.map(|(market, position)| position_row(market, position, v2));
        let head =
            if v2 { config_fields().flag("feeBurn", false).int("updateTime", 0) } else { object() };
        margin_fields(head, "total", &margin, margin.wallet, maintenance)
            .list("assets", assets)
            .list("positions", rows)
            .end()
    }

    /// Wallet balances: every margin asset, and whatever else was ever held.
    fn assets(&self, ctx: &Ctx<'_>, account: u32) -> Vec<(String, Money)> {
        let held = ctx.exchange.balances(AccountId(account), Wallet::Usdm);
        let mut rows: Vec<(String, Money)> =
            held.iter().map(|b| (b.asset.as_str().to_owned(), b.free)).collect();
        for market in &self.venue.markets {
            let quote = market.instrument.quote.as_str();
            if !rows.iter().any(|(asset, _)| asset == quote) {
                rows.push((quote.to_owned(), Money::ZERO));
            }
        }
        rows
    }

    pub(super) fn balances(&self, ctx: &Ctx<'_>, account: u32) -> String {
        let margin = ctx.exchange.margin_summary(AccountId(account));
        array(self.assets(ctx, account).into_iter().map(|(asset, wallet)| {
            object()
                .text("accountAlias", "EvKl")
                .text("asset", &asset)
                .fixed("balance", wallet, 8)
                .fixed("crossWalletBalance", wallet, 8)
                .fixed("crossUnPnl", margin.unrealized_pnl, 8)
                .fixed("availableBalance", margin.available, 8)
                .fixed("maxWithdrawAmount", margin.available.min(wallet), 8)
                .flag("marginAvailable", true)
                .int("updateTime", ctx.now.ms())
                .end()
        }))
    }

    pub(super) fn symbol_config(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        Ok(array(self.markets_sent(params)?.into_iter().map(|market| {
            let leverage = ctx.exchange.leverage(AccountId(account), market.id);
            object()
                .text("symbol", &market.instrument.symbol)
                .text("marginType", "CROSSED")
                .flag("isAutoAddMargin", false)
                .int("leverage", leverage)
                .text("maxNotionalValue", &NOTIONAL_CAP.to_string())
                .end()
        })))
    }

    pub(super) fn set_leverage(
        &mut self,
        ctx: &mut Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let (id, symbol) = (market.id, market.instrument.symbol.clone());
        let leverage = params.int("leverage")?.ok_or_else(|| ApiError::mandatory("leverage"))?;
        let Some(leverage) = u32::try_from(leverage).ok().filter(|l| (1..=125).contains(l)) else {
            return Err(ApiError::new(-4028, format!("Leverage {leverage} is not valid")));
        };
        ctx.exchange.set_leverage(AccountId(account), id, leverage).map_err(|_| {
            let msg = "Leverage is smaller than permitted: insufficient margin balance";
            ApiError::new(-2028, msg)
        })?;
        self.leverage_news.push((account, symbol.clone(), leverage));
        Ok(object()
            .int("leverage", leverage)
            .text("maxNotionalValue", &NOTIONAL_CAP.to_string())
            .text("symbol", &symbol)
            .end())
    }

    pub(super) fn set_margin_type(&self, params: &Params) -> Result<String, ApiError> {
        self.venue.symbol(params)?;
        match params.need("marginType")? {
            "CROSSED" => Err(ApiError::new(-4046, "No need to change margin type.")),
            "ISOLATED" => Err(ApiError::new(-1020, "This operation is not supported.")),
            _ => Err(ApiError::invalid_value("marginType")),
        }
    }

    pub(super) fn brackets(&self, params: &Params) -> Result<String, ApiError> {
        Ok(array(self.markets_sent(params)?.into_iter().map(|market| {
            let bracket = object()
                .int("bracket", 1)
                .int("initialLeverage", 125)
                .int("notionalCap", NOTIONAL_CAP)
                .int("notionalFloor", 0)
                .raw("maintMarginRatio", "0.025")
                .raw("cum", "0.0")
                .end();
            object().text("symbol", &market.instrument.symbol).list("brackets", [bracket]).end()
        })))
    }

    pub(super) fn commission_rate(&self, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let fees = &self.fees[self.venue.index(market.id).unwrap_or_default()];
        Ok(object()
            .text("symbol", &market.instrument.symbol)
            .fixed("makerCommissionRate", fees.maker, 6)
            .fixed("takerCommissionRate", fees.taker, 6)
            .fixed("rpiCommissionRate", fees.maker, 6)
            .end())
    }

    pub(super) fn order_limits(&self) -> String {
        array(self.venue.limits.orders.iter().map(|limit| Limits::row("ORDERS", limit, None)))
    }

    pub(super) fn income(&self, account: u32, params: &Params) -> Result<String, ApiError> {
        let only = self.venue.symbol_if_sent(params)?.map(|market| market.id);
        let kind = params.text("incomeType");
        let rows: Vec<_> = self
            .incomes
            .iter()
            .zip(self.first_income..)
            .filter(|(row, _)| row.account == account && only.is_none_or(|id| id == row.market))
            .filter(|(row, _)| kind.is_none_or(|kind| kind == row.kind))
            .collect();
        let limit = row_limit(params, 100, 1000)?;
        let rows = select(rows, |(row, _)| row.at.ms(), window(params)?, limit);
        Ok(array(rows.iter().map(|(row, number)| {
            let market = self.venue.market(row.market);
            object()
                .text("symbol", market.map_or("", |m| m.instrument.symbol.as_str()))
                .text("incomeType", row.kind)
                .fixed("income", row.amount, 8)
                .text("asset", &row.asset)
                .text("info", row.kind)
                .int("time", row.at.ms())
                .int("tranId", *number)
                .text("tradeId", &row.trade_id.map(|id| id.to_string()).unwrap_or_default())
                .end()
        })))
    }
}

fn position_row(market: &MarketFace, position: &PositionRecord, v2: bool) -> String {
    let row = object()
        .text("symbol", &market.instrument.symbol)
        .text("positionSide", "BOTH")
        .text("positionAmt", &market.quantity(position.qty))
        .fixed("unrealizedProfit", position.unrealized_pnl, 8)
        .fixed("notional", notional(market, position), 8)
        .text("isolatedWallet", "0")
        .fixed("initialMargin", position.initial_margin, 8)
        .fixed("maintMargin", maintenance(market, position), 8)
        .int("updateTime", position.updated.ms());
    if !v2 {
        return row.text("isolatedMargin", "0").end();
    }
    row.fixed("positionInitialMargin", position.initial_margin, 8)
        .text("openOrderInitialMargin", "0")
        .text("leverage", &position.leverage.to_string())
        .flag("isolated", false)
        .plain("entryPrice", position.entry_price)
        .plain("breakEvenPrice", position.break_even_price)
        .text("maxNotional", &NOTIONAL_CAP.to_string())
        .text("bidNotional", "0")
        .text("askNotional", "0")
        .end()
}

fn risk_row(
    market: &MarketFace,
    position: &PositionRecord,
    orders: &[OrderRecord],
    v2: bool,
) -> String {
    let row = object()
        .text("symbol", &market.instrument.symbol)
        .text("positionSide", "BOTH")
        .text("positionAmt", &market.quantity(position.qty))
        .plain("entryPrice", position.entry_price)
        .plain("breakEvenPrice", position.break_even_price)
        .fixed("markPrice", position.mark_price, 8)
        .fixed("unRealizedProfit", position.unrealized_pnl, 8)
        .text("liquidationPrice", "0")
        .text("isolatedMargin", "0")
        .fixed("notional", notional(market, position), 8)
        .text("isolatedWallet", "0")
        .int("updateTime", position.updated.ms());
    if v2 {
        return row
            .text("marginType", "cross")
            .text("isAutoAddMargin", "false")
            .text("leverage", &position.leverage.to_string())
            .text("maxNotionalValue", &NOTIONAL_CAP.to_string())
            .end();
    }
    let side_notional = |side: Side| {
        let orders = orders.iter().filter(|order| order.side == side);
        orders
            .map(|o| market.instrument.notional(o.px().unwrap_or_default(), o.open_qty()))
            .sum::<Money>()
    };
    row.text("marginAsset", market.instrument.quote.as_str())
        .fixed("initialMargin", position.initial_margin, 8)
        .fixed("maintMargin", maintenance(market, position), 8)
        .fixed("positionInitialMargin", position.initial_margin, 8)
        .text("openOrderInitialMargin", "0")
        .int("adl", 0)
        .plain("bidNotional", side_notional(Side::Buy))
        .plain("askNotional", side_notional(Side::Sell))
        .end()
}

fn notional(market: &MarketFace, position: &PositionRecord) -> Money {
    position.mark_price * market.instrument.quantity(position.qty)
}

/// The one bracket's rate: 2.5 % of the notional.
fn maintenance(market: &MarketFace, position: &PositionRecord) -> Money {
    (notional(market, position).abs() * Money::new(25, 3)).round_dp(8)
}

/// The margin fields, named alike for the total and for each asset.
fn margin_fields(
    row: Object,
    prefix: &str,
    margin: &MarginRecord,
    wallet: Money,
    maintenance: Money,
) -> Object {
    let key = |name: &str| {
        if prefix.is_empty() {
            let mut letters = name.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
        } else {
            format!("{prefix}{name}")
        }
    };
    row.fixed(&key("InitialMargin"), margin.position_margin + margin.order_margin, 8)
        .fixed(&key("MaintMargin"), maintenance, 8)
        .fixed(&key("WalletBalance"), wallet, 8)
        .fixed(&key("UnrealizedProfit"), margin.unrealized_pnl, 8)
        .fixed(&key("MarginBalance"), wallet + margin.unrealized_pnl, 8)
        .fixed(&key("PositionInitialMargin"), margin.position_margin, 8)
        .fixed(&key("OpenOrderInitialMargin"), margin.order_margin, 8)
        .fixed(&key("CrossWalletBalance"), wallet, 8)
        .fixed(&key("CrossUnPnl"), margin.unrealized_pnl, 8)
        .fixed("availableBalance", margin.available, 8)
        .fixed("maxWithdrawAmount", margin.available.min(wallet), 8)
}

fn config_fields() -> Object {
    object()
        .int("feeTier", 0)
        .flag("canTrade", true)
        .flag("canDeposit", false)
        .flag("canWithdraw", false)
        .flag("multiAssetsMargin", false)
        .int("tradeGroupId", -1)
}

/// `accountConfig`.
pub(super) fn config() -> String {
    config_fields().flag("dualSidePosition", false).int("updateTime", 0).end()
}

/// A setting that is off and stays off.
pub(super) fn set_flag(
    params: &Params,
    name: &str,
    no_need: i32,
    what: &str,
) -> Result<String, ApiError> {
    match params.flag(name)? {
        None => Err(ApiError::mandatory(name)),
        Some(false) => Err(ApiError::new(no_need, format!("No need to change {what}."))),
        Some(true) => Err(ApiError::new(-1020, "This operation is not supported.")),
    }
}

/// An order as queries tell it.
fn order_row(market: &MarketFace, record: &OrderRecord) -> String {
    let average = record.average_price(&market.instrument);
    object()
        .fixed("avgPrice", average, market.price_scale.max(5))
        .text("clientOrderId", &record.client_id)
        .fixed("cumQuote", record.filled_quote, market.price_scale.max(5))
        .text("executedQty", &market.quantity(record.filled))
        .int("time", record.created.ms())
        .merge(&common(market, record))
        .end()
}

fn trade_row(market: &MarketFace, trade: &TradeRecord) -> String {
    object()
        .flag("buyer", trade.side == Side::Buy)
        .fixed("commission", trade.fee, 8)
        .text("commissionAsset", trade.fee_asset.as_str())
        .int("id", trade.trade_id)
        .flag("maker", trade.maker)
        .int("orderId", trade.order_id)
        .text("price", &market.price(trade.px))
        .text("qty", &market.quantity(trade.qty))
        .fixed("quoteQty", market.instrument.notional(trade.px, trade.qty), 8)
        .text("baseQty", "0")
        .text("marginAsset", market.instrument.quote.as_str())
        .fixed("realizedPnl", trade.realized_pnl, 8)
        .text("side", crate::sim::faces::venue::side_word(trade.side))
        .text("positionSide", "BOTH")
        .text("symbol", &market.instrument.symbol)
        .text("pair", &market.instrument.symbol)
        .int("time", trade.at.ms())
        .end()
}
