//! What an account may ask on spot: its orders, trades, balances and rates.

use super::SpotFace;
use super::trade::{amounts, expiry_word, kind_fields, self_trade_word};
use crate::domain::{Money, Ts};
use crate::sim::faces::error::ApiError;
use crate::sim::faces::json::{array, object};
use crate::sim::faces::limits::Limits;
use crate::sim::faces::market::MarketFace;
use crate::sim::faces::request::Params;
use crate::sim::faces::venue::{Ctx, order_key, row_limit, select, window};
use crate::sim::{AccountId, OrderKey, OrderRecord, Status, Wallet};

impl SpotFace {
    /// The amendments of one order, oldest first.
    pub(super) fn amendments(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let id = params.int("orderId")?.ok_or_else(|| ApiError::mandatory("orderId"))?;
        let id = u64::try_from(id).unwrap_or_default();
        let from = params.int("fromExecutionId")?.unwrap_or_default();
        let limit = row_limit(params, 500, 1000)?;
        ctx.exchange
            .order(AccountId(account), market.id, &OrderKey::Id(id))
            .ok_or_else(ApiError::no_such_order)?;
        let rows = self.amendments.get(&id).map_or(&[][..], Vec::as_slice).iter();
        let rows = rows.filter(|(execution, _)| i128::from(*execution) >= i128::from(from));
        Ok(array(rows.take(limit).map(|(_, row)| row.clone())))
    }

    /// Filters of the account alone: there are none here beyond those of `exchangeInfo`.
    pub(super) fn my_filters(&self, params: &Params) -> Result<String, ApiError> {
        self.venue.symbol(params)?;
        Ok(r#"{"exchangeFilters":[],"symbolFilters":[],"assetFilters":[]}"#.to_owned())
    }

    pub(super) fn query_order(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let key = order_key(params, "orderId", "origClientOrderId")?;
        let record = ctx
            .exchange
            .order(AccountId(account), market.id, &key)
            .ok_or_else(ApiError::no_such_order)?;
        Ok(order_row(market, record))
    }

    pub(super) fn open_orders(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let only = self.venue.symbol_if_sent(params)?.map(|market| market.id);
        let markets = self.venue.markets.iter();
        let markets = markets.filter(|market| only.is_none_or(|id| id == market.id));
        Ok(array(markets.flat_map(|market| {
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
        let market = self.venue.symbol(params)?;
        let limit = row_limit(params, 500, 1000)?;
        let from = params.int("orderId")?.map(|id| u64::try_from(id).unwrap_or(0));
        let rows = ctx.exchange.orders_from(AccountId(account), market.id, from.unwrap_or(0));
        let rows: Vec<&OrderRecord> = match from {
            Some(_) => rows.take(limit).collect(),
            None => select(rows.collect(), |row| row.created.ms(), window(params)?, limit),
        };
        Ok(array(rows.into_iter().map(|record| order_row(market, record))))
    }

    pub(super) fn my_trades(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let (market, rows) = self.venue.own_trades(ctx, account, params)?;
        Ok(array(rows.into_iter().map(|trade| {
            object()
                .text("symbol", &market.instrument.symbol)
                .int("id", trade.trade_id)
                .int("orderId", trade.order_id)
                .int("orderListId", -1)
                .text("price", &market.price(trade.px))
                .text("qty", &market.quantity(trade.qty))
                .fixed("quoteQty", market.instrument.notional(trade.px, trade.qty), 8)
                .fixed("commission", trade.fee, 8)
                .text("commissionAsset", trade.fee_asset.as_str())
                .int("time", trade.at.ms())
                .flag("isBuyer", trade.side == crate::domain::Side::Buy)
                .flag("isMaker", trade.maker)
                .flag("isBestMatch", true)
                .end()
        })))
    }

    pub(super) fn account(
        &self,
        ctx: &Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        let omit_zero = params.flag("omitZeroBalances")? == Some(true);
        let (maker, taker) =
            self.fees.first().map_or_else(Default::default, |fees| (fees.maker, fees.taker));
        let bips = |rate: Money| {
            i64::try_from((rate * Money::from(10_000)).trunc().mantissa()).unwrap_or(0)
        };
        let rates = object()
            .fixed("maker", maker, 8)
            .fixed("taker", taker, 8)
            .fixed("buyer", Money::ZERO, 8)
            .fixed("seller", Money::ZERO, 8)
            .end();
        let balances = ctx.exchange.balances(AccountId(account), Wallet::Spot);
        let balances =
            balances.iter().filter(|b| !(omit_zero && b.free.is_zero() && b.locked.is_zero()));
        let balances = balances.map(|balance| {
            object()
                .text("asset", balance.asset.as_str())
                .fixed("free", balance.free, 8)
                .fixed("locked", balance.locked, 8)
                .end()
        });
        Ok(object()
            .int("makerCommission", bips(maker))
            .int("takerCommission", bips(taker))
            .int("buyerCommission", 0)
            .int("sellerCommission", 0)
            .raw("commissionRates", &rates)
            .flag("canTrade", true)
            .flag("canWithdraw", false)
            .flag("canDeposit", false)
            .flag("brokered", false)
            .flag("requireSelfTradePrevention", false)
            .flag("preventSor", false)
            .int("updateTime", ctx.now.ms())
            .text("accountType", "SPOT")
            .list("balances", balances)
            .raw("permissions", r#"["SPOT"]"#)
            .int("uid", i64::from(account) + 1)
            .end())
    }

    pub(super) fn commission(&self, params: &Params) -> Result<String, ApiError> {
        let market = self.venue.symbol(params)?;
        let index = self.venue.index(market.id).unwrap_or_default();
        let none = || rates(Money::ZERO, Money::ZERO, true);
        let standard = rates(self.fees[index].maker, self.fees[index].taker, true);
        Ok(object()
            .text("symbol", &market.instrument.symbol)
            .raw("standardCommission", &standard)
            .raw("specialCommission", &none())
            .raw("taxCommission", &none())
            .raw("discount", DISCOUNT)
            .end())
    }

    pub(super) fn commission_for_order(&self, index: usize) -> String {
        let none = || rates(Money::ZERO, Money::ZERO, false);
        let standard = rates(self.fees[index].maker, self.fees[index].taker, false);
        object()
            .raw("standardCommissionForOrder", &standard)
            .raw("specialCommissionForOrder", &none())
            .raw("taxCommissionForOrder", &none())
            .raw("discount", DISCOUNT)
            .end()
    }

    pub(super) fn order_counts(&mut self, now: Ts, account: u32) -> String {
        let counts = self.venue.limits.order_counts(now, account);
        array(counts.iter().map(|(limit, count)| Limits::row("ORDERS", limit, Some(*count))))
    }
}

/// Fees are paid in the asset received: there is no discount asset here.
const DISCOUNT: &str = concat!(
    r#"{"enabledForAccount":false,"enabledForSymbol":false,"#,
    r#""discountAsset":"BNB","discount":"0.00000000"}"#
);

fn rates(maker: Money, taker: Money, sides: bool) -> String {
    let rates = object().fixed("maker", maker, 8).fixed("taker", taker, 8);
    if !sides {
        return rates.end();
    }
    rates.fixed("buyer", Money::ZERO, 8).fixed("seller", Money::ZERO, 8).end()
}

/// An order as queries tell it.
fn order_row(market: &MarketFace, record: &OrderRecord) -> String {
    let row = object()
        .text("symbol", &market.instrument.symbol)
        .int("orderId", record.order_id)
        .int("orderListId", -1)
        .text("clientOrderId", &record.client_id)
        .merge(&amounts(market, record))
        .merge(&kind_fields(record))
        .fixed("stopPrice", Money::ZERO, 8)
        .fixed("icebergQty", Money::ZERO, 8)
        .int("time", record.created.ms())
        .int("updateTime", record.updated.ms())
        .flag("isWorking", true)
        .int("workingTime", record.created.ms())
        .text("selfTradePreventionMode", self_trade_word(record.self_trade));
    if record.status == Status::Expired {
        return row.text("expiryReason", expiry_word(&record.terms)).end();
    }
    row.end()
}
