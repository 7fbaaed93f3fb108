//! The words between the simulated exchange and its faces.

use std::sync::Arc;

use crate::domain::{Asset, Instrument, InstrumentKind, Level, Money, Px, Qty, Side, Span, Ts};

use super::flow::FlowParams;
use super::tape::Tape;

/// Names a market of the exchange: its place in [`ExchangeParams::markets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarketId(pub u16);

/// Names an account: its place in [`ExchangeParams::accounts`]. The population is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

/// Where money lies. Spot markets settle in the spot wallet, perpetuals in the USD-M wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wallet {
    /// Spot: free and locked amounts, never below zero.
    Spot,
    /// USD-M futures: a wallet balance that margin is computed from; nothing is "locked".
    Usdm,
}

impl Wallet {
    /// The wallet that instruments of the kind settle in.
    #[must_use]
    pub fn of(kind: InstrumentKind) -> Wallet {
        match kind {
            InstrumentKind::Spot => Wallet::Spot,
            InstrumentKind::LinearPerpetual => Wallet::Usdm,
        }
    }
}

/// Fee rates as ratios of notional; below zero is a rebate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeTier {
    /// Name as the venue prints it.
    pub name: &'static str,
    /// Rate for resting orders.
    pub maker: Money,
    /// Rate for orders that take.
    pub taker: Money,
}

impl FeeTier {
    /// Binance Spot VIP 0 without discount: 10 bps both ways.
    #[must_use]
    pub fn spot_vip0() -> FeeTier {
        FeeTier { name: "VIP 0", maker: Money::new(10, 4), taker: Money::new(10, 4) }
    }

    /// Binance USD-M VIP 0: 2 bps maker, 5 bps taker.
    #[must_use]
    pub fn usdm_vip0() -> FeeTier {
        FeeTier { name: "VIP 0", maker: Money::new(2, 4), taker: Money::new(5, 4) }
    }
}

/// Who trades in a market besides the accounts.
#[derive(Debug)]
pub enum Source {
    /// Nobody: only the accounts' own orders meet each other.
    Quiet,
    /// A seeded crowd. Synthetic markets with the same base asset follow one latent price.
    Synthetic(FlowParams),
    /// A recording of a real market.
    Tape(Box<Tape>),
}

/// Mark price and funding of a perpetual.
#[derive(Clone, Debug, PartialEq)]
pub struct FundingParams {
    /// Time between exchanges of funding, aligned to the Unix epoch; 8 h on the real venue.
    pub interval: Span,
    /// Interest part of the rate per interval, as a ratio; 0.0001 on the real venue.
    pub interest: Money,
    /// Bound of the rate's magnitude, as a ratio.
    pub cap: Money,
}

impl Default for FundingParams {
    fn default() -> FundingParams {
        FundingParams {
            interval: Span::from_s(8 * 3600),
            interest: Money::new(1, 4),
            cap: Money::new(3, 3),
        }
    }
}

/// One market.
#[derive(Debug)]
pub struct MarketParams {
    /// Scales and limits.
    pub instrument: Instrument,
    /// What accounts pay.
    pub fees: FeeTier,
    /// Who else trades.
    pub source: Source,
    /// Highest price allowed relative to the reference price (spot: both sides; perpetual: buys).
    pub percent_up: Money,
    /// Lowest price allowed relative to the reference price (spot: both sides; perpetual: sells).
    pub percent_down: Money,
    /// Position size over margin, perpetuals only; at least 1.
    pub leverage: u32,
    /// Funding, perpetuals only.
    pub funding: FundingParams,
    /// Time between mark price updates, perpetuals only.
    pub mark_every: Span,
}

impl MarketParams {
    /// A market with the venue's usual limits and the retail fee tier of its kind.
    #[must_use]
    pub fn new(instrument: Instrument, source: Source) -> MarketParams {
        let spot = instrument.kind == InstrumentKind::Spot;
        MarketParams {
            fees: if spot { FeeTier::spot_vip0() } else { FeeTier::usdm_vip0() },
            source,
            percent_up: if spot { Money::from(5) } else { Money::new(105, 2) },
            percent_down: if spot { Money::new(2, 1) } else { Money::new(95, 2) },
            leverage: 20,
            funding: FundingParams::default(),
            mark_every: Span::from_s(1),
            instrument,
        }
    }
}

/// One account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountParams {
    /// What it owns at the start; amounts at or above zero.
    pub balances: Vec<(Wallet, Asset, Money)>,
}

/// Everything that decides what the exchange does.
#[derive(Debug)]
pub struct ExchangeParams {
    /// Seed of the synthetic populations.
    pub seed: u64,
    /// Markets.
    pub markets: Vec<MarketParams>,
    /// Accounts.
    pub accounts: Vec<AccountParams>,
    /// Most finished orders, and most trades of an account, that are remembered; older ones are
    /// forgotten. At least 1,000.
    pub history: usize,
}

/// How long an order works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// Trades what it can at once; the rest expires.
    Ioc,
    /// Trades everything at once or nothing.
    Fok,
    /// Rests or is refused (spot `LIMIT_MAKER`, USD-M `GTX`).
    PostOnly,
}

/// What happens when an order would meet another order of the same account. The incoming order's
/// mode rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelfTrade {
    /// They trade.
    None,
    /// The incoming order's rest expires.
    ExpireTaker,
    /// The resting order expires.
    ExpireMaker,
    /// Both expire.
    ExpireBoth,
    /// The smaller remainder is taken off both (spot only).
    Decrement,
}

/// Price and quantity of a new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Limit.
    Limit {
        /// Limit price.
        px: Px,
        /// Quantity.
        qty: Qty,
        /// How long.
        tif: TimeInForce,
    },
    /// Market, by quantity in base.
    Market {
        /// Quantity.
        qty: Qty,
    },
    /// Market, by amount in quote (spot): as many whole lots as the amount buys or sells.
    MarketQuote {
        /// Amount in quote.
        quote: Money,
    },
}

/// A new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub market: MarketId,
    /// The account's own id of it; unique among its open orders in that wallet.
    pub client_id: Arc<str>,
    /// Which way.
    pub side: Side,
    /// Price and quantity.
    pub terms: Terms,
    /// May only bring the position towards zero (perpetuals).
    pub reduce_only: bool,
    /// Against own orders.
    pub self_trade: SelfTrade,
}

/// An order by the exchange's id or by the account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// The exchange's id.
    Id(u64),
    /// The account's id; of several orders that bore it, the latest.
    Client(Arc<str>),
}

/// What an account can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// New order.
    Place(Place),
    /// Cancel one open order.
    Cancel {
        /// Where.
        market: MarketId,
        /// Which.
        key: OrderKey,
    },
    /// Cancel all open orders of the account in a market; none is not a refusal.
    CancelAll {
        /// Where.
        market: MarketId,
    },
    /// Change a resting limit order. Spot: `px` unchanged and a smaller quantity, priority kept.
    /// Perpetual: price and quantity, priority lost.
    Amend {
        /// Where.
        market: MarketId,
        /// Which.
        key: OrderKey,
        /// New limit price; `None` keeps it.
        px: Option<Px>,
        /// New total quantity, executed part included.
        qty: Qty,
        /// New client id (spot may give one); `None` keeps it.
        client_id: Option<Arc<str>>,
    },
}

/// Status of an order as a venue words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Works, nothing filled.
    New,
    /// Works, partly filled.
    PartiallyFilled,
    /// All filled.
    Filled,
    /// Cancelled by its account.
    Canceled,
    /// Its rest expired (immediate-or-cancel, reduce-only without position).
    Expired,
    /// Its rest was removed by self-trade prevention.
    ExpiredInMatch,
}

impl Status {
    /// The order still works.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Status::New | Status::PartiallyFilled)
    }
}

/// An order as the exchange keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// The exchange's id; rises with time over all markets.
    pub order_id: u64,
    /// The account's id.
    pub client_id: Arc<str>,
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub market: MarketId,
    /// Which way.
    pub side: Side,
    /// Terms as placed or last amended: their quantity is the order's total quantity.
    pub terms: Terms,
    /// Total quantity; for a market order by amount, what it came to.
    pub qty: Qty,
    /// Filled so far.
    pub filled: Qty,
    /// Sum of price × quantity filled, in quote.
    pub filled_quote: Money,
    /// Removed by self-trade prevention.
    pub prevented: Qty,
    /// Status.
    pub status: Status,
    /// Reduce-only.
    pub reduce_only: bool,
    /// Against own orders.
    pub self_trade: SelfTrade,
    /// Amendments so far.
    pub amends: u32,
    /// When it was accepted.
    pub created: Ts,
    /// When it last changed.
    pub updated: Ts,
}

impl OrderRecord {
    /// The limit price; `None` for market orders.
    #[must_use]
    pub fn px(&self) -> Option<Px> {
        match self.terms {
            Terms::Limit { px, .. } => Some(px),
            Terms::Market { .. } | Terms::MarketQuote { .. } => None,
        }
    }

    /// Quantity that can still trade.
    #[must_use]
    pub fn open_qty(&self) -> Qty {
        if self.status.is_open() { self.qty - self.filled - self.prevented } else { Qty::ZERO }
    }

    /// Average price of the filled part, in quote per base; zero before the first fill.
    #[must_use]
    pub fn average_price(&self, instrument: &Instrument) -> Money {
        if self.filled.is_zero() {
            Money::ZERO
        } else {
            self.filled_quote / instrument.quantity(self.filled)
        }
    }
}

/// A trade of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeRecord {
    /// The market's trade id, from 1, without gaps.
    pub trade_id: u64,
    /// The account's order.
    pub order_id: u64,
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub market: MarketId,
    /// The account's side.
    pub side: Side,
    /// Price.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// Fee paid.
    pub fee: Money,
    /// What the fee was paid in: spot, the asset received; perpetual, quote.
    pub fee_asset: Asset,
    /// The account's order rested.
    pub maker: bool,
    /// Profit realised by it, perpetuals only, in quote, fee not included.
    pub realized_pnl: Money,
    /// When.
    pub at: Ts,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The orders concerned, as they are after the command.
    pub orders: Vec<OrderRecord>,
    /// What a placed or amended order traded at once.
    pub fills: Vec<TradeRecord>,
}

/// Why a command was refused. Nothing was changed. The code in brackets is the spot code / the
/// USD-M code that a face answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No such market or account (-1121).
    UnknownMarket,
    /// The market takes no orders, or its recording has ended (-1013 / -1013).
    Closed,
    /// Price out of bounds (-1013 PRICE_FILTER / -4002, -4013).
    PriceFilter,
    /// Quantity out of bounds (-1013 LOT_SIZE / -4003, -4005).
    LotSize,
    /// Notional too small (-1013 NOTIONAL / -4164, on an amendment -5029).
    MinNotional,
    /// Price above what the reference price allows (-1013 PERCENT_PRICE_BY_SIDE / -4016).
    PercentPriceHigh,
    /// Price below what the reference price allows (-1013 PERCENT_PRICE_BY_SIDE / -4024).
    PercentPriceLow,
    /// Too many open orders in the market (-1013 MAX_NUM_ORDERS / -2025).
    MaxOrders,
    /// Balance or margin does not suffice (-2010 / -2019).
    InsufficientFunds,
    /// An open order has this client id (-2010 "Duplicate order sent." / -4116).
    DuplicateClientId,
    /// A post-only order would trade (-2010 / -5022).
    WouldTake,
    /// A fill-or-kill order cannot be filled (spot: expires instead / -5021).
    Unfillable,
    /// A reduce-only order would not reduce (- / -2022).
    ReduceOnly,
    /// No such open order (-2011 on cancel, -2013 on amend).
    UnknownOrder,
    /// The amendment changes nothing (-2038 / -5027).
    AmendUnchanged,
    /// Spot amendments only lower the quantity, above what is filled (-2038 / -).
    AmendIncrease,
    /// Too many amendments of the order (-2038 / -5026).
    AmendLimit,
    /// The kind of order does not exist here (-1116, -1117).
    Unsupported,
    /// The self-trade mode does not exist here (-1013 / -1128).
    SelfTradeMode,
}

/// What just happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Accepted.
    New,
    /// Traded.
    Trade(TradeRecord),
    /// Cancelled by the account, or by an amendment that left nothing to work.
    Canceled,
    /// Amended.
    Amended,
    /// Its rest expired.
    Expired(ExpiryReason),
    /// Self-trade prevention took quantity off it; it may go on (decrement).
    Prevented {
        /// How much.
        qty: Qty,
        /// Names the prevented match; from 1 in each market.
        match_id: u64,
    },
}

/// Why the rest of an order expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpiryReason {
    /// Immediate-or-cancel or market order with nothing more to take.
    Unfilled,
    /// Fill-or-kill order that could not be filled.
    Killed,
    /// Reduce-only order with no position left to reduce.
    NothingToReduce,
    /// Self-trade prevention.
    SelfTrade,
}

/// One amount of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceRecord {
    /// Of what.
    pub asset: Asset,
    /// Free (spot), or the wallet balance (USD-M).
    pub free: Money,
    /// Held by open orders (spot); zero on USD-M.
    pub locked: Money,
}

/// A position in a perpetual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRecord {
    /// Where.
    pub market: MarketId,
    /// Signed lots.
    pub qty: Qty,
    /// Average entry price, in quote per base; zero when flat.
    pub entry_price: Money,
    /// Entry price with the fees since the position was last flat.
    pub break_even_price: Money,
    /// Profit at the mark price, in quote.
    pub unrealized_pnl: Money,
    /// Profit realised over the account's life, fees and funding not included.
    pub realized_pnl: Money,
    /// Mark price used.
    pub mark_price: Money,
    /// Margin the position needs.
    pub initial_margin: Money,
    /// Leverage that the margin follows.
    pub leverage: u32,
    /// When it last changed.
    pub updated: Ts,
}

/// A USD-M wallet in total, in its quote asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarginRecord {
    /// Wallet balance.
    pub wallet: Money,
    /// Profit of all positions at the mark prices.
    pub unrealized_pnl: Money,
    /// Margin of positions.
    pub position_margin: Money,
    /// Margin of open orders.
    pub order_margin: Money,
    /// What new orders may use, at or above zero.
    pub available: Money,
}

/// Mark price and funding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRecord {
    /// Where.
    pub market: MarketId,
    /// Mark price, in quote per base.
    pub mark_price: Money,
    /// Index price, in quote per base.
    pub index_price: Money,
    /// Rate of the running interval.
    pub funding_rate: Money,
    /// When it is next exchanged.
    pub next_funding: Ts,
}

/// A public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    /// Where.
    pub market: MarketId,
    /// From 1, without gaps.
    pub trade_id: u64,
    /// Price.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// The order that rested; zero for a recorded trade in which no order of ours rested.
    pub maker_order_id: u64,
    /// The order that took; zero for a recorded trade.
    pub taker_order_id: u64,
    /// The resting order bought: the taker sold.
    pub buyer_is_maker: bool,
    /// When.
    pub at: Ts,
}

/// The book, best levels first, our orders included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSnapshot {
    /// Update id of the last depth happening in it.
    pub last_update_id: u64,
    /// Bids, highest first.
    pub bids: Vec<Level>,
    /// Asks, lowest first.
    pub asks: Vec<Level>,
}

/// Best bid and ask; a side without orders is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookTicker {
    /// Update id of the book.
    pub update_id: u64,
    /// Best bid.
    pub bid: Option<Level>,
    /// Best ask.
    pub ask: Option<Level>,
}

/// Something that streams would tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A level changed. Update ids of a market are contiguous.
    Depth {
        /// Where.
        market: MarketId,
        /// From 1, without gaps.
        update_id: u64,
        /// Which side of the book.
        side: Side,
        /// Price of the level.
        px: Px,
        /// What rests there now; zero removes the level.
        qty: Qty,
        /// When.
        at: Ts,
    },
    /// A public trade.
    Trade(PublicTrade),
    /// An account's order.
    Order {
        /// The order after it.
        record: Box<OrderRecord>,
        /// What happened.
        execution: Execution,
        /// When.
        at: Ts,
    },
    /// Balances of an account changed; absolute amounts of the changed assets only.
    Balances {
        /// Whose.
        account: AccountId,
        /// Which wallet.
        wallet: Wallet,
        /// The changed ones.
        changed: Vec<BalanceRecord>,
        /// When.
        at: Ts,
    },
    /// A position of an account changed.
    Position {
        /// Whose.
        account: AccountId,
        /// The position after it.
        position: PositionRecord,
        /// When.
        at: Ts,
    },
    /// Mark price update.
    Mark {
        /// The news.
        mark: MarkRecord,
        /// When.
        at: Ts,
    },
    /// Funding was exchanged with an account; its balance happening follows.
    Funding {
        /// Whose.
        account: AccountId,
        /// Where.
        market: MarketId,
        /// Received in quote; below zero when paid.
        amount: Money,
        /// The rate.
        rate: Money,
        /// When.
        at: Ts,
    },
    /// A recording is over: nothing more happens in its market, which halts after a while.
    TapeEnded {
        /// Where.
        market: MarketId,
        /// When.
        at: Ts,
    },
}
