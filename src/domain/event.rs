//! What the core learns: market data, the fate of orders, fills, accounts, links, commands.

use serde::{Deserialize, Serialize};

use super::{Asset, Instrument, InstrumentId, Money, OrderId, Px, Qty, Side, Span, Ts, VenueId};

/// One price level: the absolute quantity resting at a price; zero removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Price.
    pub px: Px,
    /// Quantity resting there now, ours included.
    pub qty: Qty,
}

/// A proven step of a book: the feed has checked its sequence against the venue's rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookUpdate {
    /// Whose book.
    pub instrument: InstrumentId,
    /// True: the whole book, everything else is gone. False: changed levels only.
    pub snapshot: bool,
    /// Changed bid levels, in any order.
    pub bids: Vec<Level>,
    /// Changed ask levels, in any order.
    pub asks: Vec<Level>,
    /// The venue's time of it; the receive time where the venue gives none.
    pub at: Ts,
}

/// From where on a venue's list of our trades is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradesFrom {
    /// From this trade id on.
    Id(u64),
    /// There is none yet: whatever was traded since, on our clock.
    Time(Ts),
}

/// What is known of what our key may do. One that may move money out is refused instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyCheck {
    /// It can move no money out and works from named addresses only.
    Sound,
    /// It can move no money out, but works from any address.
    NotIpRestricted,
    /// The venue does not tell.
    Unverifiable,
}

/// Why a book stopped being proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookLoss {
    /// The sequence skipped; updates are missing.
    Gap,
    /// The stream's connection closed.
    Disconnected,
    /// A frame of the stream could not be read.
    Garbled,
    /// More updates waited for a snapshot than the buffer holds.
    Overflow,
    /// The core asked for a fresh start.
    Resync,
}

/// Best bid and ask as the venue announces them ahead of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticker {
    /// Whose.
    pub instrument: InstrumentId,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
    /// The venue's time; the receive time where the venue gives none (Binance Spot).
    pub at: Ts,
}

/// A public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Where.
    pub instrument: InstrumentId,
    /// Price.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// The side of the order that took liquidity.
    pub aggressor: Side,
    /// The venue's trade id (or aggregate trade id).
    pub trade_id: u64,
    /// The venue's time.
    pub at: Ts,
}

/// Mark price and funding of a perpetual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Whose.
    pub instrument: InstrumentId,
    /// Mark price, in quote per base.
    pub mark_price: Money,
    /// Index price, in quote per base.
    pub index_price: Money,
    /// Funding rate of the running interval, as a ratio; longs pay when it is above zero.
    pub funding_rate: Money,
    /// When it is next exchanged.
    pub next_funding: Ts,
    /// The venue's time.
    pub at: Ts,
}

/// Whether a fill of ours rested in the book or took from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liquidity {
    /// We rested.
    Maker,
    /// We took.
    Taker,
}

/// A trade of ours. The same trade can arrive by several roads; (instrument, `trade_id`) tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Where.
    pub instrument: InstrumentId,
    /// Our order; `None` when the order is not ours by its prefix.
    pub order: Option<OrderId>,
    /// The venue's order id.
    pub venue_order_id: u64,
    /// The venue's trade id.
    pub trade_id: u64,
    /// Our side.
    pub side: Side,
    /// Price.
    pub px: Px,
    /// Quantity, above zero.
    pub qty: Qty,
    /// Whether we rested.
    pub liquidity: Liquidity,
    /// Fee paid, in `fee_asset`; below zero for a rebate.
    pub fee: Money,
    /// What the fee was paid in.
    pub fee_asset: Asset,
    /// The venue's time.
    pub at: Ts,
}

/// The venue's word on an order as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Rests, nothing filled.
    New,
    /// Rests, partly filled.
    PartiallyFilled,
    /// Done, all filled.
    Filled,
    /// Done, cancelled by us or the venue.
    Canceled,
    /// Done, refused after it had been accepted for processing.
    Rejected,
    /// Done, expired (immediate-or-cancel remainder, self-trade prevention).
    Expired,
}

impl OrderStatus {
    /// Nothing more can happen to an order in this status.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            OrderStatus::New | OrderStatus::PartiallyFilled => false,
            OrderStatus::Filled
            | OrderStatus::Canceled
            | OrderStatus::Rejected
            | OrderStatus::Expired => true,
        }
    }
}

/// Why a venue refused, as far as it decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectClass {
    /// A post-only order would have traded: re-quote one tick away.
    WouldTake,
    /// Not enough balance or margin: shrink.
    InsufficientFunds,
    /// Price or quantity breaks a filter of the venue: our instrument data is wrong.
    Filter,
    /// An open order with this client id exists: our order may be live, query it.
    DuplicateId,
    /// A reduce-only order would not reduce.
    ReduceOnly,
    /// Too many requests or orders: pause until the venue allows more.
    Throttled,
    /// Timestamp outside the window: resync the clock; nothing was done.
    Clock,
    /// Key, signature or permission: stop the venue.
    Auth,
    /// The symbol or the venue does not trade now.
    Closed,
    /// The venue failed and says for certain that it did nothing.
    Unavailable,
    /// Anything else.
    Other,
}

/// What happened to one of our orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderUpdate {
    /// The venue's state of the order: from a reply, the user stream, a query or a snapshot.
    State {
        /// Status.
        status: OrderStatus,
        /// Filled so far, over its whole life.
        filled: Qty,
        /// Total quantity as the venue has it now.
        qty: Qty,
        /// Limit price as the venue has it now.
        px: Px,
    },
    /// The order was refused; it never existed.
    Rejected {
        /// Why.
        class: RejectClass,
        /// The venue's own words, with its code.
        text: String,
    },
    /// The cancel or amend was refused; the order itself is as it was, or already gone.
    ChangeRejected {
        /// Why.
        class: RejectClass,
        /// True when the venue says that it does not know such an open order: query it.
        gone: bool,
        /// The venue's own words, with its code.
        text: String,
    },
    /// A request about the order got no answer that tells its fate: it may be live.
    Unknown {
        /// What went wrong.
        text: String,
    },
    /// A query found no such order: after the venue's processing bound it never existed.
    NotFound,
}

/// News about one of our orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// Where.
    pub instrument: InstrumentId,
    /// Which order.
    pub id: OrderId,
    /// The venue's order id where it is known.
    pub venue_order_id: Option<u64>,
    /// The news.
    pub update: OrderUpdate,
    /// The venue's time of it; the receive time where the venue gives none.
    pub at: Ts,
}

/// One balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Of what.
    pub asset: Asset,
    /// Free to use. For a futures wallet: the wallet balance.
    pub free: Money,
    /// Held by open orders.
    pub locked: Money,
}

/// A derivative position as the venue reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionReport {
    /// Where.
    pub instrument: InstrumentId,
    /// Signed lots: above zero is long.
    pub qty: Qty,
    /// Average entry price, in quote per base.
    pub entry_price: Money,
}

/// An open order as a snapshot lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// Where.
    pub instrument: InstrumentId,
    /// Ours by prefix, or `None`.
    pub id: Option<OrderId>,
    /// The venue's order id.
    pub venue_order_id: u64,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub px: Px,
    /// Total quantity.
    pub qty: Qty,
    /// Filled so far.
    pub filled: Qty,
}

/// What a venue says of the account, asked or pushed. Fills travel as [`Fill`] events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSnapshot {
    /// Which venue.
    pub venue: VenueId,
    /// Balances that the message names. A pushed message names only changed ones.
    pub balances: Vec<Balance>,
    /// Positions that the message names; in a complete snapshot, instruments that are not listed
    /// have none.
    pub positions: Vec<PositionReport>,
    /// All open orders on our instruments, only in a complete snapshot.
    pub open_orders: Option<Vec<OpenOrder>>,
    /// True when this is the answer to a reconcile: everything on our instruments is listed.
    pub complete: bool,
    /// For an answer, when it was asked; for a push, the venue's time. News later than this wins.
    pub as_of: Ts,
}

/// A connection to a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Market data: books and tickers.
    Market,
    /// Market data that the venue serves on a second route (USD-M `/market`: mark price, trades).
    MarketSlow,
    /// Our own orders, fills and balances.
    User,
}

/// What the venue says we have used of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUsage {
    /// Request weight used in the running minute.
    pub weight_used: u32,
    /// Request weight allowed a minute; zero while unknown.
    pub weight_limit: u32,
    /// Orders counted in the running 10 seconds.
    pub orders_used: u32,
    /// Orders allowed in 10 seconds; zero while unknown.
    pub orders_limit: u32,
    /// No request may leave before this instant (429, 418).
    pub blocked_until: Ts,
}

/// One setting before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// The key with its section.
    pub key: String,
    /// What held, in the notation of the file; `None`: nothing was said.
    pub before: Option<String>,
    /// What holds from now on; `None`: nothing is said.
    pub after: Option<String>,
}

/// What an operator or the driver tells the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Pull quotes and place none until resumed; hedging goes on.
    Pause,
    /// Quote again; also ends a latched halt.
    Resume,
    /// Cancel everything, verified, and stay halted; flatten too when asked.
    Kill {
        /// Close positions as well.
        flatten: bool,
    },
    /// Cancel everything, flatten when configured, and finish.
    Stop,
    /// Decide now, and tell every step that led to the quotes.
    Explain,
    /// Take these settings instead, all or none; what has been measured is kept.
    Reload {
        /// What changed, for the record.
        changes: Vec<SettingChange>,
        /// The engine's settings as it reads them back: what a replay needs.
        tunables: String,
    },
    /// A bounded queue overflowed or a task died: no new risk.
    Fault {
        /// What happened.
        text: String,
    },
}

/// One thing the core learns. Events that arrive together are applied together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The venue lists an instrument, with its scales and limits as they are now.
    Listed(Box<Instrument>),
    /// The fees of the account on an instrument, as ratios of notional; below zero is a rebate.
    Fees {
        /// Where.
        instrument: InstrumentId,
        /// Maker fee.
        maker: Money,
        /// Taker fee.
        taker: Money,
    },
    /// A proven change of a book.
    Book(BookUpdate),
    /// A book is no longer proven.
    BookLost {
        /// Whose.
        instrument: InstrumentId,
        /// Why.
        why: BookLoss,
    },
    /// Best bid and ask.
    Ticker(Ticker),
    /// A public trade.
    Trade(Trade),
    /// Mark price and funding.
    Mark(Mark),
    /// Funding was exchanged on our position: money received, below zero when paid.
    Funding {
        /// Where; `None` when the venue does not say.
        instrument: Option<InstrumentId>,
        /// Venue of it.
        venue: VenueId,
        /// Amount in the quote asset.
        amount: Money,
        /// The venue's time.
        at: Ts,
    },
    /// News about an order of ours.
    Order(OrderEvent),
    /// A trade of ours.
    Fill(Fill),
    /// The newest trade of ours at the start of a session: it and what was before it are part of
    /// what the first reading of the account finds. A venue where we never traded says nothing.
    TradesBefore {
        /// Where.
        instrument: InstrumentId,
        /// The trade.
        trade_id: u64,
    },
    /// Balances, positions, open orders.
    Account(AccountSnapshot),
    /// A connection came up (subscribed and usable) or went down.
    Link {
        /// Which venue.
        venue: VenueId,
        /// Which connection.
        link: LinkKind,
        /// Usable now.
        up: bool,
        /// Why, when it went down.
        text: String,
    },
    /// A frame or pong arrived on a connection: it is alive even when the market is quiet.
    Alive {
        /// Which venue.
        venue: VenueId,
        /// Which connection.
        link: LinkKind,
    },
    /// Limits used.
    Budget {
        /// Which venue.
        venue: VenueId,
        /// How much.
        usage: BudgetUsage,
    },
    /// Our clock against the venue's: venue time minus ours, and the round trip that bounds its
    /// error.
    Clock {
        /// Which venue.
        venue: VenueId,
        /// Venue time minus ours.
        offset: Span,
        /// Round trip of the measurement.
        round_trip: Span,
    },
    /// What the venue says, or does not say, of what our key may do.
    KeyChecked {
        /// Which venue.
        venue: VenueId,
        /// How it stands.
        check: KeyCheck,
        /// The words for the operator.
        text: String,
    },
    /// A venue cannot be used: keys, permissions, unlisted symbol, account mode.
    VenueFailed {
        /// Which venue.
        venue: VenueId,
        /// Whose fault it is and what would mend it.
        class: RejectClass,
        /// The words for the operator.
        text: String,
    },
    /// A frame or reply that could not be read; what it concerned has been invalidated.
    Garbled {
        /// Which venue.
        venue: VenueId,
        /// What was wrong, with an excerpt.
        text: String,
    },
    /// A command.
    Control(Control),
}

impl Event {
    /// Public news of a market: a book, a trade, a price. Everything else concerns us.
    #[must_use]
    pub fn is_market_data(&self) -> bool {
        match self {
            Event::Book(_)
            | Event::BookLost { .. }
            | Event::Ticker(_)
            | Event::Trade(_)
            | Event::Mark(_) => true,
            Event::Listed(_)
            | Event::Fees { .. }
            | Event::Funding { .. }
            | Event::Order(_)
            | Event::Fill(_)
            | Event::TradesBefore { .. }
            | Event::Account(_)
            | Event::Link { .. }
            | Event::Alive { .. }
            | Event::Budget { .. }
            | Event::Clock { .. }
            | Event::KeyChecked { .. }
            | Event::VenueFailed { .. }
            | Event::Garbled { .. }
            | Event::Control(_) => false,
        }
    }
}
