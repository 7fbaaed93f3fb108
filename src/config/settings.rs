//! What a configuration means: typed, validated settings in the units of their names.
//!
//! Words are the field's (half-spread, skew, collar); every amount that is money is exact, every
//! model number is a float, every time is a [`Span`].

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::domain::{Bps, Money, Prefix, Span};
use crate::engine::SignalUse;
use crate::inventory::HedgeMode;

use super::alerts::Alerts;
use super::capital::Capital;
use super::fair::{Estimators, Fair};
use super::secrets::{KeySource, SecretSource};

/// Which kind of money is at stake. Each mode reaches its own hosts only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An exchange on this machine.
    Local,
    /// An exchange's testnet or demo: play money over the network.
    Testnet,
    /// Real money.
    Production,
}

impl Mode {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Local => "local",
            Mode::Testnet => "testnet",
            Mode::Production => "production",
        }
    }
}

/// `[environment]`: whose money, where state lives, how our orders are known.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Whose money.
    pub mode: Mode,
    /// Where the lock, the latch, the journal and the epoch live.
    pub state_dir: PathBuf,
    /// How our orders are known among all orders of the account.
    pub order_id_prefix: Prefix,
}

/// Which protocol a venue speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueKind {
    /// Binance Spot.
    BinanceSpot,
    /// Binance USD-M futures.
    BinanceUsdm,
}

impl VenueKind {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            VenueKind::BinanceSpot => "binance_spot",
            VenueKind::BinanceUsdm => "binance_usdm",
        }
    }
}

/// `[[venues]]`: one account on one exchange.
#[derive(Clone, Debug)]
pub struct Venue {
    /// How logs, metrics and `[[instruments]]` call it.
    pub name: String,
    /// Which protocol it speaks.
    pub kind: VenueKind,
    /// Base URL of REST, without a path.
    pub rest_url: String,
    /// Base URL of the public websocket streams.
    pub market_stream_url: String,
    /// Base URL of the user stream: the WS API for spot, the private streams for USD-M.
    pub user_stream_url: String,
    /// PEM file of a certificate authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the API key comes from.
    pub keys: KeySource,
    /// How long after its timestamp the venue may still accept a request.
    pub recv_window: Span,
    /// USD-M `countdownCancelAll`: the venue cancels our orders when it has not heard from us for
    /// this long. `None` is off.
    pub dead_man_switch: Option<Span>,
    /// After this long without a reply the fate of a request is unknown.
    pub request_timeout: Span,
    /// New orders and amends a second, at most.
    pub max_orders_per_s: u32,
    /// Share of the message budget kept back for cancels and hedges, percent.
    pub message_reserve_cancel_pct: u32,
}

/// What an instrument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We quote it.
    Quote,
    /// We hedge with it.
    Hedge,
}

/// The holding that counts as flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// That much, base units.
    Base(Money),
    /// Whatever the account held when the state directory was first used; remembered there.
    AsFound,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Base(base) => base.fmt(f),
            Target::AsFound => f.write_str(AS_FOUND),
        }
    }
}

/// How the file spells [`Target::AsFound`].
pub const AS_FOUND: &str = "as_found";

/// `[[instruments]]`: what is traded, and how much of it at most.
#[derive(Clone, Debug)]
pub struct InstrumentSettings {
    /// Index into [`Settings::venues`].
    pub venue: usize,
    /// The venue's symbol.
    pub symbol: String,
    /// What it is for.
    pub role: Role,
    /// The inventory we want to hold, base units; on spot of the balance.
    pub inventory_target_base: Target,
    /// How far inventory may be from its target, working orders included, base units.
    pub inventory_limit_base: Money,
    /// Largest single order, base units; `None` leaves it to `max_order_quote`.
    pub max_order_base: Option<Money>,
    /// Largest single order, quote units.
    pub max_order_quote: Money,
    /// Most orders of ours that may rest at once.
    pub max_open_orders: u32,
}

/// Which numbers a quoting model needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    /// A constant half-spread and a skew linear in inventory.
    Fixed,
    /// A model of fills that come as A·exp(−k·depth).
    Intensity {
        /// Which one.
        which: IntensityModel,
        /// How inventory risk is priced.
        risk: InventoryRisk,
        /// A: arrivals a second at the fair price itself.
        order_arrival_per_s: f64,
        /// k: how fast arrivals thin out with distance, per basis point.
        order_arrival_decay_per_bps: f64,
        /// Seconds to an end that keeps moving ahead; `None`: infinitely far.
        horizon_s: Option<f64>,
    },
}

/// The models of fills that come as A·exp(−k·depth).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntensityModel {
    /// Avellaneda–Stoikov (2008).
    AvellanedaStoikov,
    /// Guéant–Lehalle–Fernandez-Tapia (2013), exact.
    Glft,
    /// Its closed-form asymptotic quotes.
    GlftClosedForm,
    /// Cartea–Jaimungal (2015), with arrivals of their own on each side.
    CarteaJaimungal,
}

/// How inventory risk is priced in the model: directly, or by what inventory it should lead to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InventoryRisk {
    /// γ, per quote unit of profit.
    Aversion(f64),
    /// The standard deviation of inventory to aim at, base units; γ follows.
    StdTargetBase(f64),
    /// φ: holding q first-level sizes costs φq² basis points a second.
    RunningPenalty(f64),
}

/// The size of a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LevelSize {
    /// In quote units, turned into lots at the quote's price.
    Quote(Money),
    /// In base units.
    Base(Money),
}

/// `[[quoting.levels]]`: one rung of the ladder, the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelSettings {
    /// Distance beyond the best quote, basis points of the fair price.
    pub offset: Bps,
    /// How much.
    pub size: LevelSize,
}

/// `[quoting]`: what we would like to show.
#[derive(Clone, Debug)]
pub struct Quoting {
    /// Which model.
    pub model: Model,
    /// Half-spread of the fixed model; start and fallback of the others.
    pub half_spread: Bps,
    /// Never quote closer to the fair price.
    pub min_half_spread: Bps,
    /// Never quote further from it.
    pub max_half_spread: Bps,
    /// What a fill must earn after fees, at least.
    pub min_edge: Bps,
    /// How far the reservation price has moved when inventory is at its limit.
    pub inventory_skew_per_limit: Bps,
    /// The skew of either model goes no further.
    pub max_skew: Bps,
    /// Half-spread added for volatility: basis points for each basis point per square root of a
    /// second.
    pub half_spread_per_volatility: f64,
    /// Expected move against each fill (adverse selection), until fills have shown it; part of the
    /// least half-spread, and widens the `glft` model.
    pub adverse_move: Bps,
    /// How much sizes lean against inventory: 0 not at all, 1 to nothing at the limit.
    pub size_skew: f64,
    /// The ladder, best first; at least one.
    pub levels: Vec<LevelSettings>,
    /// A resting quote stays while it is this close to where it should be.
    pub reprice_threshold: Bps,
    /// Least time between two changes of one quote.
    pub reprice_min_interval: Span,
    /// A quote older than this is replaced whatever its price.
    pub max_quote_age: Span,
    /// After a fill, its side waits this long. Zero is off.
    pub post_fill_pause: Span,
    /// Half-life of the volatility estimate.
    pub volatility_half_life: Span,
    /// How late we are assumed to learn of a move; what that costs widens the floor. Zero is off.
    pub assumed_latency: Span,
    /// Funding is taken for a drift of the price against whoever pays it.
    pub use_funding_carry: bool,
    /// Quotes lean against what is held of other quoted assets, by covariance.
    pub cross_asset_skew: bool,
}

/// `[market]`: when the market is fit to be quoted.
#[derive(Clone, Debug)]
pub struct Market {
    /// A book whose stream has shown no life for longer is stale.
    pub max_book_age: Span,
    /// Wider than this is not quoted.
    pub max_spread: Bps,
    /// Thinner than this at the best price is not quoted, quote units.
    pub min_top_quote: Money,
    /// More volatile than this is not quoted, basis points per square root of a second.
    pub max_volatility_bps_sqrt_s: f64,
    /// Volatility to quote on until it has been measured, basis points per square root of a
    /// second; `None`: the first quote waits for the measurement.
    pub assumed_volatility_bps_sqrt_s: Option<f64>,
    /// Estimators run this long before the first quote.
    pub warm_up: Span,
    /// Leave our own orders out of the fair price.
    pub use_own_order_filter: bool,
}

/// `[reference]`: what a quote is held against before it leaves.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Venues whose prices differ by more are not quoted.
    pub max_disagreement: Bps,
    /// No order leaves further than this from the reference price.
    pub price_collar: Bps,
    /// A reference older than this is none.
    pub max_age: Span,
    /// A market that has moved further within `move_window` is not quoted.
    pub max_move: Bps,
    /// How far back a move counts, and so how long it keeps quotes away.
    pub move_window: Span,
}

/// `[hedge]`: how net exposure is taken off.
#[derive(Clone, Debug)]
pub struct Hedge {
    /// Hedge at all.
    pub enabled: bool,
    /// Net exposure at which hedging begins, base units from target.
    pub trigger_base: Money,
    /// Net exposure at which it ends, base units from target; below the trigger.
    pub target_base: Money,
    /// A hedge pays at most this much against the touch.
    pub max_slippage: Bps,
    /// Least time between two hedge orders.
    pub min_interval: Span,
    /// Exposure beyond the trigger for longer is an alarm and stops quotes that would add to it.
    pub deadline: Span,
    /// What begins a hedge: the trigger, or the band inside which waiting is cheaper.
    pub mode: HedgeMode,
    /// A hedge first rests at the touch for this long; zero: it takes at once.
    pub passive: Span,
    /// From this share of a limit on a hedge is urgent: neither band nor resting, per cent.
    pub urgent_exposure_pct: f64,
    /// Assets without a hedge instrument are hedged by way of the one that moves with them.
    pub cross: bool,
    /// Time over which removed risk and funding are reckoned.
    pub risk_horizon: Span,
}

/// `[risk]`: limits that no order passes, whatever its purpose.
#[derive(Clone, Debug)]
pub struct Risk {
    /// Largest net exposure over all venues, quote units.
    pub max_net_exposure_quote: Money,
    /// Loss of the session at which we halt, quote units above zero. Latched.
    pub loss_limit_quote_session: Money,
    /// Repeated-execution throttle: more fills a minute on one side halt us. Latched.
    pub max_fills_per_minute_side: u32,
    /// More refusals in ten seconds halt us.
    pub max_rejects_per_10s: u32,
    /// A clock further than this from the venue's stops quoting.
    pub max_clock_offset: Span,
    /// How often our ledger is held against the venue's.
    pub reconcile_interval: Span,
    /// An order whose fate is unknown for longer is a reconciliation break.
    pub order_unknown_bound: Span,
    /// How long sizes grow once quoting has begun; zero: they are full at once.
    pub ramp_up: Span,
    /// The share of the configured sizes with which it begins, per cent.
    pub ramp_up_from_pct: f64,
}

/// `[shutdown]`: how a run ends.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// The whole of it takes no longer.
    pub deadline: Span,
    /// Bring positions back to target as well.
    pub flatten: bool,
}

/// `[http]`: status, metrics, dashboard, control.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Names of this machine that requests may carry as their `Host`, beside loopback's.
    pub hosts: Vec<String>,
    /// Where the bearer token of everything that acts comes from; without one, control over HTTP
    /// is off.
    pub token: Option<SecretSource>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `Pretty` on a terminal, `Json` otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Where lines go instead of standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The file that is written.
    pub path: PathBuf,
    /// It is put aside before it grows beyond this.
    pub max_bytes: u64,
    /// Most files that were put aside.
    pub keep: u32,
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least level that is shown.
    pub level: tracing::Level,
    /// The least level of some modules, such as (`live`, debug).
    pub modules: Vec<(String, tracing::Level)>,
    /// Where lines go instead of standard output.
    pub file: Option<LogFile>,
}

impl Log {
    /// The levels as `tracing` takes them. Of others only errors: libraries log requests, and
    /// requests carry signatures.
    #[must_use]
    pub fn filter(&self) -> String {
        let mut filter = format!("error,evenkeel={}", self.level);
        for (module, level) in &self.modules {
            filter.push_str(&format!(",evenkeel::{module}={level}"));
        }
        filter.to_ascii_lowercase()
    }
}

/// A whole configuration of the daemon.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[environment]`.
    pub environment: Environment,
    /// `[[venues]]`; a `VenueId` is an index here.
    pub venues: Vec<Venue>,
    /// `[[instruments]]`; an `InstrumentId` is an index here.
    pub instruments: Vec<InstrumentSettings>,
    /// `[quoting]`.
    pub quoting: Quoting,
    /// `[market]`.
    pub market: Market,
    /// `[signals]`.
    pub signals: SignalUse,
    /// `[reference]`.
    pub reference: Reference,
    /// `[fair]`.
    pub fair: Fair,
    /// `[estimators]`.
    pub estimators: Estimators,
    /// `[hedge]`.
    pub hedge: Hedge,
    /// `[risk]`.
    pub risk: Risk,
    /// `[presence]`.
    pub presence: crate::inventory::PresenceParams,
    /// `[capital]`.
    pub capital: Capital,
    /// `[shutdown]`.
    pub shutdown: Shutdown,
    /// `[http]`.
    pub http: Http,
    /// `[log]`.
    pub log: Log,
    /// `[alerts]`; `None`: nobody is told.
    pub alerts: Option<Alerts>,
}
