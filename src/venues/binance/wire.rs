//! The exchange's own words: exactly the fields we read, under the names it gives them.
//!
//! Sources: binance-spot-api-docs (web-socket-streams, user-data-stream, rest-api) and the USD-M
//! futures documentation. Everything not read is ignored, so that new fields never hurt.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame of a combined stream, or a bare answer to a control frame.
#[derive(Debug, Deserialize)]
pub struct Frame<'a> {
    #[serde(borrow)]
    pub stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    /// WS API wrapping of user events.
    #[serde(borrow)]
    pub event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub e: Option<Cow<'a, str>>,
    /// Status of a WS API response.
    pub status: Option<u16>,
    pub error: Option<ApiError>,
    /// Present in answers to requests and control frames; null when the request had none.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    pub code: Option<i64>,
}

/// The name of an event, and when the venue made it.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    #[serde(borrow)]
    pub e: Option<Cow<'a, str>>,
    #[serde(rename = "E")]
    pub event_time: Option<i64>,
}

/// Price and quantity, as decimal strings.
pub type WireLevel<'a> = (&'a str, &'a str);

#[derive(Debug, Deserialize)]
pub struct DepthUpdate<'a> {
    pub e: &'a str,
    #[serde(rename = "E")]
    pub event_time: i64,
    #[serde(rename = "T")]
    pub transaction_time: Option<i64>,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    #[serde(rename = "U")]
    pub first: u64,
    #[serde(rename = "u")]
    pub last: u64,
    #[serde(rename = "pu")]
    pub previous: Option<u64>,
    #[serde(borrow)]
    pub b: Vec<WireLevel<'a>>,
    #[serde(borrow)]
    pub a: Vec<WireLevel<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepthSnapshot<'a> {
    pub last_update_id: u64,
    #[serde(rename = "E")]
    pub event_time: Option<i64>,
    #[serde(borrow)]
    pub bids: Vec<WireLevel<'a>>,
    #[serde(borrow)]
    pub asks: Vec<WireLevel<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct BookTicker<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    pub b: &'a str,
    #[serde(rename = "B")]
    pub bid_qty: &'a str,
    pub a: &'a str,
    #[serde(rename = "A")]
    pub ask_qty: &'a str,
    #[serde(rename = "T")]
    pub transaction_time: Option<i64>,
}

/// `trade` and `aggTrade`: the id is `t` or `a`.
#[derive(Debug, Deserialize)]
pub struct TradeTick<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    pub t: Option<u64>,
    pub a: Option<u64>,
    pub p: &'a str,
    pub q: &'a str,
    #[serde(rename = "T")]
    pub time: i64,
    /// The buyer is the maker.
    pub m: bool,
    /// `MARKET`, or an off-market print such as `INSURANCE_FUND`.
    #[serde(rename = "X", borrow)]
    pub kind: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
pub struct MarkPrice<'a> {
    #[serde(rename = "E")]
    pub event_time: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    pub p: &'a str,
    pub i: &'a str,
    pub r: &'a str,
    #[serde(rename = "T")]
    pub next_funding: i64,
}

#[derive(Debug, Deserialize)]
pub struct ExecutionReport<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    #[serde(borrow)]
    pub c: Cow<'a, str>,
    #[serde(rename = "C", borrow, default)]
    pub original: Cow<'a, str>,
    #[serde(rename = "S", borrow)]
    pub side: Cow<'a, str>,
    pub q: &'a str,
    pub p: &'a str,
    #[serde(rename = "x", borrow)]
    pub execution: Cow<'a, str>,
    #[serde(rename = "X", borrow)]
    pub status: Cow<'a, str>,
    #[serde(rename = "r", borrow, default)]
    pub reject_reason: Cow<'a, str>,
    #[serde(rename = "i")]
    pub order_id: u64,
    #[serde(rename = "l")]
    pub last_qty: &'a str,
    #[serde(rename = "z")]
    pub filled: &'a str,
    #[serde(rename = "L")]
    pub last_price: &'a str,
    #[serde(rename = "n")]
    pub fee: Option<&'a str>,
    #[serde(rename = "N", borrow)]
    pub fee_asset: Option<Cow<'a, str>>,
    #[serde(rename = "T")]
    pub time: i64,
    #[serde(rename = "t")]
    pub trade_id: i64,
    #[serde(rename = "m")]
    pub maker: bool,
    /// Quantity taken away by self-trade prevention, over the order's life.
    #[serde(rename = "A")]
    pub prevented: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub struct OutboundAccountPosition<'a> {
    #[serde(rename = "E")]
    pub event_time: i64,
    #[serde(rename = "B", borrow)]
    pub balances: Vec<PositionBalance<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct PositionBalance<'a> {
    #[serde(borrow)]
    pub a: Cow<'a, str>,
    pub f: &'a str,
    pub l: &'a str,
}

#[derive(Debug, Deserialize)]
pub struct OrderTradeUpdate<'a> {
    #[serde(borrow)]
    pub o: FuturesOrder<'a>,
}

#[derive(Debug, Deserialize)]
pub struct FuturesOrder<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    #[serde(borrow)]
    pub c: Cow<'a, str>,
    #[serde(rename = "S", borrow)]
    pub side: Cow<'a, str>,
    pub q: &'a str,
    pub p: &'a str,
    #[serde(rename = "x", borrow)]
    pub execution: Cow<'a, str>,
    #[serde(rename = "X", borrow)]
    pub status: Cow<'a, str>,
    #[serde(rename = "i")]
    pub order_id: u64,
    #[serde(rename = "l")]
    pub last_qty: &'a str,
    #[serde(rename = "z")]
    pub filled: &'a str,
    #[serde(rename = "L")]
    pub last_price: &'a str,
    #[serde(rename = "n")]
    pub fee: Option<&'a str>,
    #[serde(rename = "N", borrow)]
    pub fee_asset: Option<Cow<'a, str>>,
    #[serde(rename = "T")]
    pub time: i64,
    #[serde(rename = "t")]
    pub trade_id: i64,
    #[serde(rename = "m")]
    pub maker: bool,
}

#[derive(Debug, Deserialize)]
pub struct AccountUpdate<'a> {
    #[serde(rename = "T")]
    pub time: i64,
    #[serde(borrow)]
    pub a: AccountChange<'a>,
}

#[derive(Debug, Deserialize)]
pub struct AccountChange<'a> {
    #[serde(rename = "m", borrow)]
    pub reason: Cow<'a, str>,
    #[serde(rename = "B", borrow, default)]
    pub balances: Vec<WalletChange<'a>>,
    #[serde(rename = "P", borrow, default)]
    pub positions: Vec<PositionChange<'a>>,
    /// Symbol of a funding fee (since 2026-08).
    #[serde(rename = "S", borrow)]
    pub symbol: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
pub struct WalletChange<'a> {
    #[serde(borrow)]
    pub a: Cow<'a, str>,
    pub wb: &'a str,
    pub bc: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub struct PositionChange<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    pub pa: &'a str,
    pub ep: &'a str,
    #[serde(borrow)]
    pub ps: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    pub code: Option<i64>,
    pub msg: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTime {
    pub server_time: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenKey {
    pub listen_key: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionMode {
    pub dual_side_position: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeInfo<'a> {
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
    /// Read one by one: an odd listing of somebody else's symbol must not hide ours.
    #[serde(borrow)]
    pub symbols: Vec<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    pub rate_limit_type: String,
    pub interval: String,
    pub interval_num: u32,
    pub limit: u32,
}

#[derive(Debug, Deserialize)]
pub struct SymbolName<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolInfo {
    pub status: String,
    pub base_asset: String,
    pub quote_asset: String,
    pub contract_type: Option<String>,
    pub is_spot_trading_allowed: Option<bool>,
    pub filters: Vec<Filter>,
}

/// All keys of the filters we read; each filter type has some of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    pub filter_type: String,
    pub min_price: Option<String>,
    pub max_price: Option<String>,
    pub tick_size: Option<String>,
    pub min_qty: Option<String>,
    pub max_qty: Option<String>,
    pub step_size: Option<String>,
    pub min_notional: Option<String>,
    pub notional: Option<String>,
    pub max_num_orders: Option<u32>,
    /// A count in `MAX_NUM_ORDERS` (USD-M); other filters put other things here.
    pub limit: Option<serde_json::Value>,
}

/// An order as replies and queries show it; field names differ by endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReply<'a> {
    #[serde(borrow)]
    pub client_order_id: Cow<'a, str>,
    #[serde(borrow)]
    pub orig_client_order_id: Option<Cow<'a, str>>,
    pub order_id: u64,
    pub price: &'a str,
    #[serde(alias = "qty")]
    pub orig_qty: &'a str,
    pub executed_qty: &'a str,
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    #[serde(borrow)]
    pub side: Cow<'a, str>,
    /// When the request was carried out (spot).
    pub transact_time: Option<i64>,
    /// When the order last changed.
    pub update_time: Option<i64>,
    #[serde(borrow, default)]
    pub fills: Vec<ReplyFill<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplyFill<'a> {
    pub price: &'a str,
    pub qty: &'a str,
    pub commission: &'a str,
    #[serde(borrow)]
    pub commission_asset: Cow<'a, str>,
    pub trade_id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AmendReply<'a> {
    pub transact_time: i64,
    #[serde(borrow)]
    pub amended_order: OrderReply<'a>,
}

/// A row of `myTrades` (spot: `isBuyer`, `isMaker`) or `userTrades` (USD-M: `buyer`, `maker`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeRow<'a> {
    pub id: u64,
    pub order_id: u64,
    pub price: &'a str,
    pub qty: &'a str,
    pub commission: &'a str,
    #[serde(borrow)]
    pub commission_asset: Cow<'a, str>,
    pub time: i64,
    #[serde(alias = "isBuyer")]
    pub buyer: bool,
    #[serde(alias = "isMaker")]
    pub maker: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpotAccount<'a> {
    pub can_trade: Option<bool>,
    pub commission_rates: Option<CommissionRates>,
    #[serde(borrow)]
    pub balances: Vec<SpotBalance<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct SpotBalance<'a> {
    #[serde(borrow)]
    pub asset: Cow<'a, str>,
    pub free: &'a str,
    pub locked: &'a str,
}

#[derive(Debug, Deserialize)]
pub struct FuturesAccount<'a> {
    #[serde(borrow)]
    pub assets: Vec<FuturesAsset<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FuturesAsset<'a> {
    #[serde(borrow)]
    pub asset: Cow<'a, str>,
    pub wallet_balance: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionRisk<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub position_side: Cow<'a, str>,
    pub position_amt: &'a str,
    pub entry_price: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpotCommission {
    pub standard_commission: CommissionRates,
    pub special_commission: Option<CommissionRates>,
    pub tax_commission: Option<CommissionRates>,
}

#[derive(Debug, Deserialize)]
pub struct CommissionRates {
    pub maker: rust_decimal::Decimal,
    pub taker: rust_decimal::Decimal,
    pub buyer: rust_decimal::Decimal,
    pub seller: rust_decimal::Decimal,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FuturesCommission {
    pub maker_commission_rate: rust_decimal::Decimal,
    pub taker_commission_rate: rust_decimal::Decimal,
}
