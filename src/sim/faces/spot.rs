//! Binance spot: REST, WebSocket API and market streams, as its documents of 2026 describe them.

mod account;
pub(super) mod api;
mod public;
mod trade;
mod user;

pub(super) use public::{aggregate, day_ticker, kline_row, stream_kline, stream_ticker};
pub(super) use trade::{self_trade_word, status_word};

use std::collections::BTreeMap;

use super::error::ApiError;
use super::json::object;
use super::limits::{Limit, Limits};
use super::market::MarketFace;
use super::request::{HttpRequest, Keyring, Params};
use super::streams::Hub;
use super::venue::{Access, Call, Ctx, Outcome, Venue, find_call};
use crate::domain::{Instrument, InstrumentKind, Span, Ts};
use crate::sim::MarketId;

/// The spot venue's wire side.
#[derive(Debug)]
pub struct SpotFace {
    /// What both venues have.
    pub venue: Venue,
    /// Connections to the WebSocket API.
    pub(super) api: api::Sessions,
    /// Rates by market, for `account/commission`.
    fees: Vec<crate::sim::FeeTier>,
    /// The body of `apiRestrictions`; absent as on test networks.
    restrictions: Option<String>,
    /// The same by account, where it differs.
    pub(super) restrictions_of: BTreeMap<u32, String>,
    last_execution: u64,
    /// Rows of `order/amendments` by order, each with its execution id.
    amendments: BTreeMap<u64, Vec<(u64, String)>>,
}

/// What a spot call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    HistoricalTrades,
    AggTrades,
    Klines,
    AvgPrice,
    Ticker24h,
    TickerPrice,
    BookTicker,
    Place,
    Test,
    Cancel,
    CancelReplace,
    CancelAll,
    Amend,
    Query,
    OpenOrders,
    AllOrders,
    MyTrades,
    Account,
    Commission,
    OrderCounts,
    Amendments,
    MyFilters,
    ExecutionRules,
    ReferencePrice,
    Restrictions,
}

const fn call(
    method: &'static str,
    path: &'static str,
    ws: &'static str,
    op: Op,
    weight: i64,
    access: Access,
) -> Call<Op> {
    Call { method, path, ws, op, weight, access }
}

/// Every call that is served, with its documented weight.
const CALLS: &[Call<Op>] = &[
    call("GET", "/api/v3/ping", "ping", Op::Ping, 1, Access::Open),
    call("GET", "/api/v3/time", "time", Op::Time, 1, Access::Open),
    call("GET", "/api/v3/exchangeInfo", "exchangeInfo", Op::ExchangeInfo, 20, Access::Open),
    call("GET", "/api/v3/depth", "depth", Op::Depth, 0, Access::Open),
    call("GET", "/api/v3/trades", "trades.recent", Op::Trades, 25, Access::Open),
    call("GET", "/api/v3/historicalTrades", "trades.historical", Op::HistoricalTrades, 25, {
        Access::Open
    }),
    call("GET", "/api/v3/aggTrades", "trades.aggregate", Op::AggTrades, 4, Access::Open),
    call("GET", "/api/v3/klines", "klines", Op::Klines, 2, Access::Open),
    call("GET", "/api/v3/avgPrice", "avgPrice", Op::AvgPrice, 2, Access::Open),
    call("GET", "/api/v3/ticker/24hr", "ticker.24hr", Op::Ticker24h, 0, Access::Open),
    call("GET", "/api/v3/ticker/price", "ticker.price", Op::TickerPrice, 0, Access::Open),
    call("GET", "/api/v3/ticker/bookTicker", "ticker.book", Op::BookTicker, 0, Access::Open),
    call("POST", "/api/v3/order", "order.place", Op::Place, 1, Access::Trade),
    call("POST", "/api/v3/order/test", "order.test", Op::Test, 0, Access::Read),
    call("DELETE", "/api/v3/order", "order.cancel", Op::Cancel, 1, Access::Trade),
    call("POST", "/api/v3/order/cancelReplace", "order.cancelReplace", Op::CancelReplace, 1, {
        Access::Trade
    }),
    call("DELETE", "/api/v3/openOrders", "openOrders.cancelAll", Op::CancelAll, 1, Access::Trade),
    call("PUT", "/api/v3/order/amend/keepPriority", "order.amend.keepPriority", Op::Amend, 4, {
        Access::Read
    }),
    call("GET", "/api/v3/order", "order.status", Op::Query, 4, Access::Read),
    call("GET", "/api/v3/openOrders", "openOrders.status", Op::OpenOrders, 0, Access::Read),
    call("GET", "/api/v3/allOrders", "allOrders", Op::AllOrders, 20, Access::Read),
    call("GET", "/api/v3/myTrades", "myTrades", Op::MyTrades, 0, Access::Read),
    call("GET", "/api/v3/account", "account.status", Op::Account, 20, Access::Read),
    call("GET", "/api/v3/account/commission", "account.commission", Op::Commission, 20, {
        Access::Read
    }),
    call("GET", "/api/v3/rateLimit/order", "account.rateLimits.orders", Op::OrderCounts, 40, {
        Access::Read
    }),
    call("GET", "/api/v3/order/amendments", "order.amendments", Op::Amendments, 4, Access::Read),
    call("GET", "/api/v3/myFilters", "myFilters", Op::MyFilters, 40, Access::Read),
    call("GET", "/api/v3/executionRules", "executionRules", Op::ExecutionRules, 0, Access::Open),
    call("GET", "/api/v3/referencePrice", "referencePrice", Op::ReferencePrice, 2, Access::Open),
    call("GET", "/sapi/v1/account/apiRestrictions", "", Op::Restrictions, 1, Access::Read),
];

/// Stream speeds: `@depth@100ms` and `@depth`.
const SPEEDS: [Span; 2] = [Span::from_ms(100), Span::from_ms(1000)];

impl SpotFace {
    /// A venue of these markets.
    #[must_use]
    pub fn new(
        markets: &[(MarketId, Instrument, crate::sim::FeeTier)],
        restrictions: Option<String>,
        now: Ts,
    ) -> SpotFace {
        let of_kind = |kind| markets.iter().filter(move |(_, market, _)| market.kind == kind);
        let faces = of_kind(InstrumentKind::Spot)
            .map(|(id, market, _)| MarketFace::new(*id, market.clone(), Some(8), &SPEEDS, now))
            .collect();
        let orders = vec![
            Limit { interval: "SECOND", interval_num: 10, limit: 100 },
            Limit { interval: "DAY", interval_num: 1, limit: 200_000 },
        ];
        SpotFace {
            venue: Venue::new(faces, Hub::new(5), Limits::new(6000, orders)),
            api: api::Sessions::default(),
            fees: of_kind(InstrumentKind::Spot).map(|(_, _, fees)| fees.clone()).collect(),
            restrictions,
            restrictions_of: BTreeMap::new(),
            last_execution: 0,
            amendments: BTreeMap::new(),
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
            return refused(ApiError::new(-1000, "No such path.").status(404));
        };
        let unserved = self.restrictions.is_none() && self.restrictions_of.is_empty();
        if call.op == Op::Restrictions && unserved {
            return refused(ApiError::new(-1000, "Not served by test networks.").status(404));
        }
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
        if result.is_ok() && call.access == Access::Trade {
            self.venue.limits.refund(ctx.now, request.ip, weight);
        }
        let counts_orders = result.is_ok() && matches!(call.op, Op::Place | Op::CancelReplace);
        Outcome { result, account, counts_orders }
    }

    /// Carries out a call of either transport; `account` counts only where it is signed.
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
            Op::ExchangeInfo => self.exchange_info(ctx, params),
            Op::Depth => self.depth(ctx, params),
            Op::Trades => self.trades(params, None),
            Op::HistoricalTrades => self.trades(params, params.int("fromId")?),
            Op::AggTrades => self.agg_trades(params),
            Op::Klines => self.klines(ctx, params),
            Op::AvgPrice => self.average_price(ctx.now, params),
            Op::Ticker24h => self.ticker_24h(ctx, params),
            Op::TickerPrice => self.ticker_price(ctx, params),
            Op::BookTicker => self.book_ticker(ctx, params),
            Op::Place => self.place_order(ctx, account, params),
            Op::Test => self.test_order(ctx, params),
            Op::Cancel => self.cancel_order(ctx, account, params),
            Op::CancelReplace => self.cancel_replace(ctx, account, params),
            Op::CancelAll => self.cancel_all(ctx, account, params),
            Op::Amend => self.amend_order(ctx, account, params),
            Op::Query => self.query_order(ctx, account, params),
            Op::OpenOrders => self.open_orders(ctx, account, params),
            Op::AllOrders => self.all_orders(ctx, account, params),
            Op::MyTrades => self.my_trades(ctx, account, params),
            Op::Account => self.account(ctx, account, params),
            Op::Commission => self.commission(params),
            Op::OrderCounts => Ok(self.order_counts(ctx.now, account)),
            Op::Amendments => self.amendments(ctx, account, params),
            Op::MyFilters => self.my_filters(params),
            Op::ExecutionRules => self.execution_rules(params),
            Op::ReferencePrice => self.reference_price(params),
            Op::Restrictions => self
                .restrictions_of
                .get(&account)
                .or(self.restrictions.as_ref())
                .cloned()
                .ok_or_else(|| ApiError::new(-1000, "Not served by test networks.").status(404)),
        }
    }
}

/// The documented weight of a call with these parameters.
fn weight(call: &Call<Op>, params: &Params) -> i64 {
    let one = params.text("symbol").is_some();
    match call.op {
        Op::Depth => match params.int("limit").ok().flatten().unwrap_or(100) {
            ..=100 => 5,
            101..=500 => 25,
            501..=1000 => 50,
            _ => 250,
        },
        Op::Ticker24h => match (one, params.text("symbols")) {
            (true, _) => 2,
            (false, Some(list)) if list.matches(',').count() < 20 => 2,
            (false, Some(list)) if list.matches(',').count() < 100 => 40,
            (false, _) => 80,
        },
        Op::TickerPrice | Op::BookTicker => 4 - 2 * i64::from(one),
        Op::ExecutionRules => match (one, params.text("symbols")) {
            (true, _) => 2,
            (false, Some(list)) => (2 + 2 * list.matches(',').count() as i64).min(40),
            (false, None) => 40,
        },
        Op::Test if params.text("computeCommissionRates") == Some("true") => 20,
        Op::Test => 1,
        Op::OpenOrders => 80 - 74 * i64::from(one),
        Op::MyTrades => 20 - 15 * i64::from(params.text("orderId").is_some()),
        _ => call.weight,
    }
}
