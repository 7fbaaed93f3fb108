//! Binance USD-M futures: REST and streams, as its documents of 2026 describe them. One-way
//! positions, cross margin, single-asset mode.

mod account;
mod public;
mod trade;
mod user;

use std::collections::BTreeMap;

use super::error::ApiError;
use super::json::object;
use super::limits::{Limit, Limits};
use super::market::MarketFace;
use super::request::{HttpRequest, Keyring, Params};
use super::streams::Hub;
use super::venue::{Access, Call, Ctx, Outcome, Venue, find_call};
use crate::domain::{Instrument, InstrumentKind, Money, Span, Ts};
use crate::sim::{FeeTier, MarketId};

/// A funding exchange that is over.
#[derive(Clone, Debug)]
pub(super) struct PastFunding {
    market: MarketId,
    at: Ts,
    rate: Money,
    mark_price: Money,
}

/// Money that moved in a wallet for another reason than a transfer.
#[derive(Clone, Debug)]
pub(super) struct Income {
    account: u32,
    market: MarketId,
    kind: &'static str,
    amount: Money,
    asset: String,
    at: Ts,
    trade_id: Option<u64>,
}

/// The USD-M venue's wire side.
#[derive(Debug)]
pub struct UsdmFace {
    /// What both venues have.
    pub venue: Venue,
    fees: Vec<FeeTier>,
    listen_keys: BTreeMap<String, ListenKey>,
    issued_keys: u64,
    /// Dead-man switches: when all orders of an account in a market are cancelled.
    countdowns: BTreeMap<(u32, MarketId), Ts>,
    pending: Option<user::AccountUpdate>,
    fundings: Vec<PastFunding>,
    incomes: Vec<Income>,
    /// Number of the oldest of them.
    first_income: u64,
    /// Changes of it that were not told yet.
    leverage_news: Vec<(u32, String, u32)>,
    /// Modifications that were asked with an id, by order, until told.
    modify_ids: BTreeMap<u64, i64>,
}

#[derive(Clone, Debug)]
struct ListenKey {
    account: u32,
    expires: Ts,
}

/// How long a listen key lives without being renewed.
const LISTEN_KEY_LIFE: Span = Span::from_s(3600);
/// Funding and income rows kept.
const KEPT_ROWS: usize = 10_000;

/// What a USD-M call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    HistoricalTrades,
    AggTrades,
    Klines,
    PremiumIndex,
    FundingRate,
    FundingInfo,
    BookTicker,
    TickerPrice,
    TickerPriceOld,
    Ticker24h,
    Place,
    Modify,
    Query,
    Cancel,
    Test,
    BatchPlace,
    BatchModify,
    BatchCancel,
    CancelAll,
    Countdown,
    OpenOrder,
    OpenOrders,
    AllOrders,
    UserTrades,
    PositionRiskV2,
    PositionRiskV3,
    AccountV2,
    AccountV3,
    Balance,
    AccountConfig,
    SymbolConfig,
    Leverage,
    MarginType,
    SetDual,
    Dual,
    SetMultiAssets,
    MultiAssets,
    Brackets,
    CommissionRate,
    OrderLimits,
    Income,
    NewListenKey,
    KeepListenKey,
    DropListenKey,
}

const fn call(
    method: &'static str,
    path: &'static str,
    op: Op,
    weight: i64,
    access: Access,
) -> Call<Op> {
    Call { method, path, ws: "", op, weight, access }
}

/// Every call that is served, with its documented weight.
const CALLS: &[Call<Op>] = &[
    call("GET", "/fapi/v1/ping", Op::Ping, 1, Access::Open),
    call("GET", "/fapi/v1/time", Op::Time, 1, Access::Open),
    call("GET", "/fapi/v1/exchangeInfo", Op::ExchangeInfo, 1, Access::Open),
    call("GET", "/fapi/v1/depth", Op::Depth, 0, Access::Open),
    call("GET", "/fapi/v1/trades", Op::Trades, 5, Access::Open),
    call("GET", "/fapi/v1/historicalTrades", Op::HistoricalTrades, 200, Access::Key),
    call("GET", "/fapi/v1/aggTrades", Op::AggTrades, 20, Access::Open),
    call("GET", "/fapi/v1/klines", Op::Klines, 5, Access::Open),
    call("GET", "/fapi/v1/premiumIndex", Op::PremiumIndex, 0, Access::Open),
    call("GET", "/fapi/v1/fundingRate", Op::FundingRate, 1, Access::Open),
    call("GET", "/fapi/v1/fundingInfo", Op::FundingInfo, 0, Access::Open),
    call("GET", "/fapi/v1/ticker/bookTicker", Op::BookTicker, 0, Access::Open),
    call("GET", "/fapi/v1/ticker/price", Op::TickerPriceOld, 0, Access::Open),
    call("GET", "/fapi/v2/ticker/price", Op::TickerPrice, 0, Access::Open),
    call("GET", "/fapi/v1/ticker/24hr", Op::Ticker24h, 0, Access::Open),
    call("POST", "/fapi/v1/order", Op::Place, 0, Access::Trade),
    call("PUT", "/fapi/v1/order", Op::Modify, 0, Access::Trade),
    call("GET", "/fapi/v1/order", Op::Query, 1, Access::Read),
    call("DELETE", "/fapi/v1/order", Op::Cancel, 1, Access::Trade),
    call("POST", "/fapi/v1/order/test", Op::Test, 0, Access::Read),
    call("POST", "/fapi/v1/batchOrders", Op::BatchPlace, 5, Access::Trade),
    call("PUT", "/fapi/v1/batchOrders", Op::BatchModify, 5, Access::Trade),
    call("DELETE", "/fapi/v1/batchOrders", Op::BatchCancel, 1, Access::Trade),
    call("DELETE", "/fapi/v1/allOpenOrders", Op::CancelAll, 1, Access::Trade),
    call("POST", "/fapi/v1/countdownCancelAll", Op::Countdown, 10, Access::Read),
    call("GET", "/fapi/v1/openOrder", Op::OpenOrder, 1, Access::Read),
    call("GET", "/fapi/v1/openOrders", Op::OpenOrders, 0, Access::Read),
    call("GET", "/fapi/v1/allOrders", Op::AllOrders, 5, Access::Read),
    call("GET", "/fapi/v1/userTrades", Op::UserTrades, 5, Access::Read),
    call("GET", "/fapi/v2/positionRisk", Op::PositionRiskV2, 5, Access::Read),
    call("GET", "/fapi/v3/positionRisk", Op::PositionRiskV3, 5, Access::Read),
    call("GET", "/fapi/v2/account", Op::AccountV2, 5, Access::Read),
    call("GET", "/fapi/v3/account", Op::AccountV3, 5, Access::Read),
    call("GET", "/fapi/v2/balance", Op::Balance, 5, Access::Read),
    call("GET", "/fapi/v3/balance", Op::Balance, 5, Access::Read),
    call("GET", "/fapi/v1/accountConfig", Op::AccountConfig, 5, Access::Read),
    call("GET", "/fapi/v1/symbolConfig", Op::SymbolConfig, 5, Access::Read),
    call("POST", "/fapi/v1/leverage", Op::Leverage, 1, Access::Read),
    call("POST", "/fapi/v1/marginType", Op::MarginType, 1, Access::Read),
    call("POST", "/fapi/v1/positionSide/dual", Op::SetDual, 1, Access::Read),
    call("GET", "/fapi/v1/positionSide/dual", Op::Dual, 30, Access::Read),
    call("POST", "/fapi/v1/multiAssetsMargin", Op::SetMultiAssets, 1, Access::Read),
    call("GET", "/fapi/v1/multiAssetsMargin", Op::MultiAssets, 30, Access::Read),
    call("GET", "/fapi/v1/leverageBracket", Op::Brackets, 1, Access::Read),
    call("GET", "/fapi/v1/commissionRate", Op::CommissionRate, 20, Access::Read),
    call("GET", "/fapi/v1/rateLimit/order", Op::OrderLimits, 1, Access::Read),
    call("GET", "/fapi/v1/income", Op::Income, 30, Access::Read),
    call("POST", "/fapi/v1/listenKey", Op::NewListenKey, 1, Access::Key),
    call("PUT", "/fapi/v1/listenKey", Op::KeepListenKey, 1, Access::Key),
    call("DELETE", "/fapi/v1/listenKey", Op::DropListenKey, 1, Access::Key),
];

/// Stream speeds: `@depth@100ms`, `@depth` and `@depth@500ms`.
const SPEEDS: [Span; 3] = [Span::from_ms(100), Span::from_ms(250), Span::from_ms(500)];

impl UsdmFace {
    /// A venue of these markets.
    #[must_use]
    pub fn new(markets: &[(MarketId, Instrument, FeeTier)], now: Ts) -> UsdmFace {
        let perpetuals = || {
            markets.iter().filter(|(_, market, _)| market.kind == InstrumentKind::LinearPerpetual)
        };
        let faces = perpetuals()
            .map(|(id, market, _)| MarketFace::new(*id, market.clone(), None, &SPEEDS, now))
            .collect();
        let orders = vec![
            Limit { interval: "SECOND", interval_num: 10, limit: 300 },
            Limit { interval: "MINUTE", interval_num: 1, limit: 1200 },
        ];
        UsdmFace {
            venue: Venue::new(faces, Hub::new(10), Limits::new(2400, orders)),
            fees: perpetuals().map(|(_, _, fees)| fees.clone()).collect(),
            listen_keys: BTreeMap::new(),
            issued_keys: 0,
            countdowns: BTreeMap::new(),
            pending: None,
            fundings: Vec::new(),
            incomes: Vec::new(),
            first_income: 1,
            leverage_news: Vec::new(),
            modify_ids: BTreeMap::new(),
        }
    }

    /// Carries out an HTTP request.
    pub fn http(
        &mut self,
        ctx: &mut Ctx<'_>,
        keyring: &Keyring,
        request: &HttpRequest<'_>,
    ) -> Outcome {
        let refused = |error| Outcome { result: Err(error), account: None, counts_orders: false };
        let Some(call) = find_call(CALLS, request.method, request.path) else {
            return refused(ApiError::new(-5000, "Path not found.").status(404));
        };
        let params = Params::parse(request.query, request.body);
        let weight = weight(call, &params);
        let charged = self.venue.limits.charge(ctx.now, request.ip, weight);
        let account =
            charged.and_then(|()| call.access.account(keyring, request, &params, ctx.now));
        let account = match account {
            Ok(account) => account,
            Err(error) => return refused(error),
        };
        let result = self.run(ctx, call.op, account.unwrap_or_default(), &params);
        let places = matches!(call.op, Op::Place | Op::Modify | Op::BatchPlace | Op::BatchModify);
        Outcome { counts_orders: result.is_ok() && places, result, account }
    }

    fn run(
        &mut self,
        ctx: &mut Ctx<'_>,
        op: Op,
        account: u32,
        params: &Params,
    ) -> Result<String, ApiError> {
        match op {
            Op::Ping => Ok("{}".to_owned()),
            Op::Time => Ok(object().int("serverTime", ctx.now.ms()).end()),
            Op::ExchangeInfo => Ok(self.exchange_info(ctx)),
            Op::Depth => self.depth(ctx, params),
            Op::Trades => self.trades(params, None),
            Op::HistoricalTrades => self.trades(params, params.int("fromId")?),
            Op::AggTrades => self.agg_trades(params),
            Op::Klines => self.klines(ctx, params),
            Op::PremiumIndex => self.premium_index(ctx, params),
            Op::FundingRate => self.funding_rate(params),
            Op::FundingInfo => Ok("[]".to_owned()),
            Op::BookTicker => self.book_ticker(ctx, params),
            Op::TickerPrice | Op::TickerPriceOld => self.ticker_price(ctx, params),
            Op::Ticker24h => self.ticker_24h(ctx.now, params),
            Op::Place => self.place_order(ctx, account, params, &[1, 1]),
            Op::Modify => self.modify_order(ctx, account, params, &[1, 1]),
            Op::Query => self.query_order(ctx, account, params, false),
            Op::OpenOrder => self.query_order(ctx, account, params, true),
            Op::Cancel => self.cancel_order(ctx, account, params),
            Op::Test => self.test_order(ctx, account, params),
            Op::BatchPlace | Op::BatchModify => self.batch(ctx, account, params, op),
            Op::BatchCancel => self.batch_cancel(ctx, account, params),
            Op::CancelAll => self.cancel_all(ctx, account, params),
            Op::Countdown => self.countdown(ctx.now, account, params),
            Op::OpenOrders => self.open_orders(ctx, account, params),
            Op::AllOrders => self.all_orders(ctx, account, params),
            Op::UserTrades => self.user_trades(ctx, account, params),
            Op::PositionRiskV2 => self.position_risk(ctx, account, params, true),
            Op::PositionRiskV3 => self.position_risk(ctx, account, params, false),
            Op::AccountV2 => Ok(self.account(ctx, account, true)),
            Op::AccountV3 => Ok(self.account(ctx, account, false)),
            Op::Balance => Ok(self.balances(ctx, account)),
            Op::AccountConfig => Ok(account::config()),
            Op::SymbolConfig => self.symbol_config(ctx, account, params),
            Op::Leverage => self.set_leverage(ctx, account, params),
            Op::MarginType => self.set_margin_type(params),
            Op::SetDual => account::set_flag(params, "dualSidePosition", -4059, "position side"),
            Op::Dual => Ok(object().flag("dualSidePosition", false).end()),
            Op::SetMultiAssets => {
                account::set_flag(params, "multiAssetsMargin", -4171, "multi-assets margin")
            }
            Op::MultiAssets => Ok(object().flag("multiAssetsMargin", false).end()),
            Op::Brackets => self.brackets(params),
            Op::CommissionRate => self.commission_rate(params),
            Op::OrderLimits => Ok(self.order_limits()),
            Op::Income => self.income(account, params),
            Op::NewListenKey => Ok(self.new_listen_key(ctx.now, account)),
            Op::KeepListenKey => self.keep_listen_key(ctx.now, account),
            Op::DropListenKey => Ok(self.drop_listen_key(account)),
        }
    }

    /// What is due without a request: expired listen keys and dead-man switches.
    pub fn advance(&mut self, ctx: &mut Ctx<'_>, out: &mut super::streams::Outbox) {
        let due: Vec<(u32, MarketId)> = self
            .countdowns
            .iter()
            .filter(|(_, deadline)| **deadline <= ctx.now)
            .map(|(key, _)| *key)
            .collect();
        for (account, market) in due {
            self.countdowns.remove(&(account, market));
            // A market that is there when the switch is set is there when it fires.
            if let Err(why) = ctx.submit(account, &crate::sim::Command::CancelAll { market }) {
                debug_assert!(false, "cancelling all orders is never refused: {why:?}");
            }
        }
        let expired: Vec<String> = self
            .listen_keys
            .iter()
            .filter(|(_, key)| key.expires <= ctx.now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in expired {
            self.listen_keys.remove(&name);
            let event = object()
                .text("e", "listenKeyExpired")
                .int("E", ctx.now.ms())
                .text("listenKey", &name)
                .end();
            self.venue.hub.publish(&name, &event, out);
        }
    }

    fn new_listen_key(&mut self, now: Ts, account: u32) -> String {
        let expires = now + LISTEN_KEY_LIFE;
        let active = self.listen_keys.iter_mut().find(|(_, key)| key.account == account);
        let name = match active {
            Some((name, key)) => {
                key.expires = expires;
                name.clone()
            }
            None => {
                self.issued_keys += 1;
                // Told apart by account, count and time; a secret only as far as loopback needs.
                let name = format!("{account:08x}{:016x}{:040x}", now.0, self.issued_keys);
                self.listen_keys.insert(name.clone(), ListenKey { account, expires });
                name
            }
        };
        object().text("listenKey", &name).end()
    }

    fn keep_listen_key(&mut self, now: Ts, account: u32) -> Result<String, ApiError> {
        if !self.listen_keys.values().any(|key| key.account == account) {
            return Err(ApiError::new(-1125, "This listenKey does not exist."));
        }
        Ok(self.new_listen_key(now, account))
    }

    fn drop_listen_key(&mut self, account: u32) -> String {
        self.listen_keys.retain(|_, key| key.account != account);
        "{}".to_owned()
    }
}

/// The documented weight of a call with these parameters.
fn weight(call: &Call<Op>, params: &Params) -> i64 {
    let one = params.text("symbol").is_some();
    let pick = |single, all| if one { single } else { all };
    match call.op {
        Op::Depth => match params.int("limit").ok().flatten().unwrap_or(500) {
            ..=50 => 2,
            51..=100 => 5,
            101..=500 => 10,
            _ => 20,
        },
        Op::Klines => match params.int("limit").ok().flatten().unwrap_or(500) {
            ..=99 => 1,
            100..=499 => 2,
            500..=1000 => 5,
            _ => 10,
        },
        Op::PremiumIndex => pick(1, 10),
        Op::BookTicker => pick(2, 5),
        Op::TickerPrice | Op::TickerPriceOld => pick(1, 2),
        Op::Ticker24h | Op::OpenOrders => pick(1, 40),
        _ => call.weight,
    }
}
