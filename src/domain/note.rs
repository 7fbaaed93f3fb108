//! What an operator should be able to read. The core writes no log line: it emits notes, and one
//! table (`telemetry`) makes the log line and the metric of each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Instrument, InstrumentId, KeyCheck, Liquidity, Money, OrderId, OrderStatus, Purpose, Px, Qty,
    RejectClass, SettingChange, Side, VenueId,
};

/// How loudly a note is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Detail for whoever looks for it.
    Debug,
    /// The story of a session.
    Info,
    /// Something an operator may have to act on.
    Warn,
    /// Something an operator must act on.
    Error,
}

/// The life of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Connecting, clocks, filters.
    Starting,
    /// Learning what is open and held; cancelling leftovers.
    Reconciling,
    /// Books and estimators fill.
    Warming,
    /// Quoting both sides where nothing stands against it.
    Quoting,
    /// Only orders that reduce exposure.
    Reducing,
    /// No orders but cancels (and flattening when asked).
    Halted,
    /// Cancelling, flattening, finishing.
    Stopping,
    /// Nothing more will happen.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Starting => "STARTING",
            State::Reconciling => "RECONCILING",
            State::Warming => "WARMING",
            State::Quoting => "QUOTING",
            State::Reducing => "REDUCING",
            State::Halted => "HALTED",
            State::Stopping => "STOPPING",
            State::Stopped => "STOPPED",
        })
    }
}

/// How near capital at risk is to its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapitalStage {
    /// Far from it, or there is none.
    #[default]
    Free,
    /// Near: sizes that add risk shrink and skew grows.
    Pressing,
    /// Reached, and not yet well below it again: only reducing orders.
    AtLimit,
}

/// Why the daemon halted. Every cause but a fault of the run itself is latched: it survives a
/// restart and ends only by `resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltCause {
    /// The session's loss limit.
    LossLimit,
    /// Too many fills on one side in a window.
    RepeatedExecution,
    /// Our ledger and the venue's differ and nothing explains it.
    ReconcileBreak,
    /// `kill`.
    Operator,
    /// Keys, permissions or account mode.
    Auth,
    /// The venue keeps refusing our orders.
    RejectLoop,
    /// A queue overflowed or a task died.
    Fault,
}

impl HaltCause {
    /// Whether the halt survives a restart.
    #[must_use]
    pub fn is_latched(self) -> bool {
        match self {
            HaltCause::Operator if super::planted("halt_not_latched") => false,
            HaltCause::LossLimit
            | HaltCause::RepeatedExecution
            | HaltCause::ReconcileBreak
            | HaltCause::Operator => true,
            HaltCause::Auth | HaltCause::RejectLoop | HaltCause::Fault => false,
        }
    }
}

/// Why one side is or is not quoting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is.
    Quoting,
    /// The daemon has not come so far yet.
    Starting,
    /// Estimators do not have enough data.
    WarmingUp,
    /// The venue has not listed the instrument.
    NotListed,
    /// The venue does not take orders for it now.
    NotTrading,
    /// The book is not proven.
    BookNotSynced,
    /// The book's stream has shown no sign of life for too long.
    BookStale,
    /// Best bid at or above best ask.
    BookCrossed,
    /// A side of the book is empty or too thin.
    BookThin,
    /// The market's spread is wider than allowed.
    SpreadWide,
    /// Volatility is above its limit.
    Volatile,
    /// No fresh reference price to hold the quote against.
    NoReference,
    /// Reference prices disagree.
    ReferenceDisagrees,
    /// The price has moved too far within a short time.
    PriceMoved,
    /// The user stream is down or silent: fills could be missed.
    UserStreamDown,
    /// Inventory is at its limit on this side.
    InventoryLimit,
    /// Worst-case position or exposure would pass its limit.
    ExposureLimit,
    /// Not enough balance or margin.
    InsufficientFunds,
    /// The quote would be below the venue's minimum.
    BelowMinimum,
    /// The message budget is spent.
    Budget,
    /// The venue asked us to wait.
    Throttled,
    /// The quote would stand too far from the reference.
    PriceCollar,
    /// A pause after a fill.
    PostFillPause,
    /// A pause after refusals.
    RejectPause,
    /// Every order on this side is of unknown fate.
    OrderUnknown,
    /// An order of ours on the other side, perhaps of unknown fate, stands where this one would.
    OwnOrderInTheWay,
    /// A fill is expected to cost more than it would earn.
    Toxic,
    /// The clock is too far from the venue's.
    ClockSkew,
    /// Paused by the operator.
    Paused,
    /// Only reducing.
    Reducing,
    /// Halted.
    Halted,
    /// Stopping.
    Stopping,
}

impl Reason {
    /// The stable name, as logs, status and metrics show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Quoting => "quoting",
            Reason::Starting => "starting",
            Reason::WarmingUp => "warming_up",
            Reason::NotListed => "not_listed",
            Reason::NotTrading => "not_trading",
            Reason::BookNotSynced => "book_not_synced",
            Reason::BookStale => "book_stale",
            Reason::BookCrossed => "book_crossed",
            Reason::BookThin => "book_thin",
            Reason::SpreadWide => "spread_wide",
            Reason::Volatile => "volatile",
            Reason::NoReference => "no_reference",
            Reason::ReferenceDisagrees => "reference_disagrees",
            Reason::PriceMoved => "price_moved",
            Reason::UserStreamDown => "user_stream_down",
            Reason::InventoryLimit => "inventory_limit",
            Reason::ExposureLimit => "exposure_limit",
            Reason::InsufficientFunds => "insufficient_funds",
            Reason::BelowMinimum => "below_minimum",
            Reason::Budget => "budget",
            Reason::Throttled => "throttled",
            Reason::PriceCollar => "price_collar",
            Reason::PostFillPause => "post_fill_pause",
            Reason::RejectPause => "reject_pause",
            Reason::OrderUnknown => "order_unknown",
            Reason::OwnOrderInTheWay => "own_order_in_the_way",
            Reason::Toxic => "toxic",
            Reason::ClockSkew => "clock_skew",
            Reason::Paused => "paused",
            Reason::Reducing => "reducing",
            Reason::Halted => "halted",
            Reason::Stopping => "stopping",
        }
    }
}

/// Around which price an instrument is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FairSource {
    /// Its own book's.
    Own,
    /// That of all books of the base asset.
    Fused,
    /// The leading instrument's, with the basis to it.
    Leader,
}

impl FairSource {
    /// All of them.
    pub const ALL: [FairSource; 3] = [FairSource::Own, FairSource::Fused, FairSource::Leader];
}

/// One operational event of the core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// The daemon's state changed.
    StateChanged {
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why, in words.
        why: String,
    },
    /// A venue lists an instrument, or its scales or limits have changed.
    Listed {
        /// As it is now.
        instrument: Box<Instrument>,
    },
    /// The holding that counts as flat was taken from the account; it is remembered.
    TargetTaken {
        /// Where.
        instrument: InstrumentId,
        /// `venue:SYMBOL`, under which it is remembered.
        name: String,
        /// The holding, base.
        base: Money,
    },
    /// What is known of what our key at a venue may do.
    KeyChecked {
        /// Where.
        venue: VenueId,
        /// How it stands.
        check: KeyCheck,
        /// The words for the operator.
        text: String,
    },
    /// While nobody looked, more or less came to be held than our trades explain: a transfer, a
    /// conversion, or another target. It is valued at the mid and is no part of the result.
    HoldingMoved {
        /// Where.
        instrument: InstrumentId,
        /// `venue:SYMBOL`.
        name: String,
        /// By how much, base.
        base: Money,
    },
    /// A side began or ceased to quote, or the reason changed.
    SideReason {
        /// Where.
        instrument: InstrumentId,
        /// Which side.
        side: Side,
        /// The reason now.
        reason: Reason,
    },
    /// A quote was computed anew: the numbers behind it, in quote currency and basis points.
    Quoted {
        /// Where.
        instrument: InstrumentId,
        /// Fair price, own orders left out.
        fair: f64,
        /// Fair price after the inventory skew.
        reservation: f64,
        /// Half-spread, basis points of the fair price.
        half_spread_bps: f64,
        /// Skew: reservation against fair, basis points.
        skew_bps: f64,
        /// Volatility, basis points per square root of a second.
        volatility_bps_sqrt_s: f64,
        /// Exposure that the skew answers to, base units from target.
        inventory_base: f64,
    },
    /// A side was pulled because its fills are expected to cost more than they would earn.
    SideToxic {
        /// Where.
        instrument: InstrumentId,
        /// Which side.
        side: Side,
        /// Expected move of the mid against a fill, basis points.
        expected_bps: f64,
        /// What the quote would earn against the mid after fee and edge, basis points.
        earns_bps: f64,
    },
    /// What is read out of an instrument's books, trades and fills, now and then.
    Signals {
        /// Where.
        instrument: InstrumentId,
        /// Name and value of each signal; no value while it is not to be trusted.
        readings: Vec<(String, Option<f64>)>,
    },
    /// Somebody asked why the quotes are what they are.
    Explained {
        /// Where.
        instrument: InstrumentId,
        /// Every step that moved something, in words.
        text: String,
    },
    /// An order left.
    OrderSent {
        /// Which.
        id: OrderId,
        /// Where.
        instrument: InstrumentId,
        /// Which way.
        side: Side,
        /// Price.
        px: Px,
        /// Quantity.
        qty: Qty,
        /// Why it exists.
        purpose: Purpose,
    },
    /// An order ended.
    OrderEnded {
        /// Which.
        id: OrderId,
        /// Where.
        instrument: InstrumentId,
        /// Filled over its life.
        filled: Qty,
        /// How it ended.
        status: OrderStatus,
    },
    /// A venue refused an order.
    OrderRejected {
        /// Which.
        id: OrderId,
        /// Where.
        instrument: InstrumentId,
        /// Why.
        class: RejectClass,
        /// The venue's words.
        text: String,
    },
    /// The fate of an order is not known; it counts as live.
    OrderUnknown {
        /// Which.
        id: OrderId,
        /// Where.
        instrument: InstrumentId,
        /// What went wrong.
        text: String,
    },
    /// The risk gate refused an order.
    GateBlocked {
        /// Where.
        instrument: InstrumentId,
        /// Which side.
        side: Side,
        /// Which limit.
        reason: Reason,
        /// Why the order existed.
        purpose: Purpose,
    },
    /// A trade of ours, counted once.
    Filled {
        /// Where.
        instrument: InstrumentId,
        /// Our order, if it was ours.
        id: Option<OrderId>,
        /// Which way.
        side: Side,
        /// Price.
        px: Px,
        /// Quantity.
        qty: Qty,
        /// Whether we rested.
        liquidity: Liquidity,
        /// Fee in quote, below zero for a rebate.
        fee_quote: Money,
        /// Position after it, signed lots.
        position: Qty,
        /// Why the order existed.
        purpose: Option<Purpose>,
    },
    /// Net exposure passed the trigger and a hedge began.
    HedgeStarted {
        /// Where it is placed.
        instrument: InstrumentId,
        /// Which way.
        side: Side,
        /// How much.
        qty: Qty,
        /// Net exposure before, base units from target.
        exposure_base: f64,
        /// Time from passing the edge to the first hedge for it, milliseconds; `None` for further
        /// ones.
        waited_ms: Option<i64>,
    },
    /// Net exposure is back inside the edge, and no hedge for it can fill any more.
    HedgeDone {
        /// Base asset.
        base: String,
        /// Where most of it was traded; `None` when quotes alone brought the exposure back.
        instrument: Option<InstrumentId>,
        /// Net exposure after, base units from target.
        exposure_base: f64,
        /// Time from passing the edge, milliseconds.
        took_ms: i64,
        /// Hedged, base units, above zero bought.
        hedged_base: Money,
        /// Fees paid, quote; below zero for rebates.
        fees_quote: Money,
        /// Paid against the mid at the time of the decision, quote.
        slippage_quote: Money,
        /// One standard deviation of the result over the horizon that is no longer at risk, quote.
        risk_removed_quote: f64,
    },
    /// How far net exposure may drift before hedging is cheaper has changed.
    HedgeBand {
        /// Base asset.
        base: String,
        /// Half-width, base units from target.
        band_base: f64,
        /// What hedging now costs, basis points.
        cost_bps: f64,
        /// How far quotes move per base unit held, basis points.
        skew_bps_per_base: f64,
        /// Standard deviation of inventory that the skew alone leaves, base units.
        std_base: f64,
    },
    /// Net exposure has stayed beyond the edge for longer than the deadline.
    HedgeLate {
        /// Base asset.
        base: String,
        /// Net exposure, base units from target.
        exposure_base: f64,
        /// Time from the trigger, milliseconds.
        since_ms: i64,
    },
    /// Capital at risk, when it has changed or come nearer to its limit or farther from it.
    Capital {
        /// How near it was.
        from: CapitalStage,
        /// How near it is.
        to: CapitalStage,
        /// Liquidation-adjusted value at risk, quote; `None`: a book is too thin to leave through.
        at_risk_quote: Option<f64>,
        /// Its limit, quote, if there is one.
        limit_quote: Option<f64>,
        /// Market value at risk over the horizon, quote.
        var_quote: f64,
        /// What leaving through the books costs now, quote; `None`: they do not take it all.
        exit_cost_quote: Option<f64>,
        /// 0 without pressure to 1 at the limit.
        pressure: f64,
    },
    /// A book is proven.
    BookSynced {
        /// Whose.
        instrument: InstrumentId,
    },
    /// A book is no longer proven.
    BookLost {
        /// Whose.
        instrument: InstrumentId,
        /// Why, in one word.
        why: super::BookLoss,
    },
    /// A connection came up or went down.
    Link {
        /// Which venue.
        venue: VenueId,
        /// Which connection.
        link: super::LinkKind,
        /// Usable now.
        up: bool,
        /// Why, when it went down.
        text: String,
    },
    /// A venue said something that could not be read.
    Garbled {
        /// Which venue.
        venue: VenueId,
        /// What was wrong.
        text: String,
    },
    /// Our ledger and the venue's differ.
    ReconcileDiffers {
        /// Which venue.
        venue: VenueId,
        /// What differs, in words.
        text: String,
    },
    /// A venue's account was read and agrees with our ledger.
    Reconciled {
        /// Which venue.
        venue: VenueId,
        /// Our open orders there.
        open_orders: usize,
        /// Open orders there that are not ours.
        foreign_orders: usize,
    },
    /// The daemon halted.
    Halted {
        /// Why.
        cause: HaltCause,
        /// In words.
        text: String,
    },
    /// The latch of an earlier run was found, or ended.
    Latch {
        /// Set now.
        set: bool,
        /// In words.
        text: String,
    },
    /// Quoting was paused by an operator, or goes on.
    Paused {
        /// Paused now.
        paused: bool,
    },
    /// The settings were changed while running.
    Reloaded {
        /// How.
        changes: Vec<SettingChange>,
    },
    /// The price that an instrument is quoted around comes from elsewhere now.
    FairSourceChanged {
        /// Which.
        instrument: InstrumentId,
        /// From where it comes.
        source: FairSource,
        /// From where the configuration wants it.
        wanted: FairSource,
        /// Not from there because the start is too near: the others are still being watched.
        warming: bool,
    },
    /// What the estimators of a quoted instrument say, once a second.
    Measured {
        /// Which.
        instrument: InstrumentId,
        /// Fair price of its own book, quote per base.
        own: Option<f64>,
        /// Fused fair price in its terms, quote per base.
        fused: Option<f64>,
        /// Its slow basis to the common price, basis points.
        basis_bps: Option<f64>,
        /// Its share in the fused price, 0 to 1.
        weight: f64,
        /// Lead-lag ratio, above 1 when the reference instrument moves first.
        lead_ratio: Option<f64>,
        /// Time-weighted volatility, basis points per √s.
        volatility_fast_bps_sqrt_s: Option<f64>,
        /// Volatility of the window, basis points per √s.
        volatility_slow_bps_sqrt_s: Option<f64>,
        /// Arrivals a second at depth zero.
        intensity_a_per_s: f64,
        /// Their decay per basis point.
        intensity_k_per_bps: f64,
        /// Share of variance that their fit explains.
        intensity_r_squared: Option<f64>,
        /// They are fitted, not configured.
        intensity_trusted: bool,
    },
    /// Something that must never happen happened; new risk stops.
    Invariant {
        /// What.
        text: String,
    },
}
