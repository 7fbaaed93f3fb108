//! Everything the engine is told before it starts.

use serde::{Deserialize, Serialize};

use super::capital::CapitalParams;
use crate::domain::{HaltCause, InstrumentId, Money, Span, VenueId};
use crate::inventory::{HedgeParams, PresenceParams};
use crate::market::SignalParams;
use crate::market::{ArrivalEstimator, FusionParams, SlowVolatilityParams};
use crate::quoting;
use crate::risk::Limits;

/// A venue, as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct VenueParams {
    /// The operator's name for it.
    pub name: String,
    /// Our own pace, messages a second.
    pub max_orders_per_s: f64,
    /// Share of that pace kept for cancels and hedges, per cent.
    pub message_reserve_cancel_pct: f64,
    /// How long a request may stay unanswered before its order is in doubt.
    pub request_timeout: Span,
}

/// What an instrument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Quoted on both sides.
    Quote,
    /// Net exposure is taken off here.
    Hedge,
}

/// One instrument, in the order of the configuration: its place is its id.
#[derive(Clone, Debug, PartialEq)]
pub struct InstrumentParams {
    /// Where it trades.
    pub venue: VenueId,
    /// The venue's symbol.
    pub symbol: String,
    /// What it is for.
    pub role: Role,
    /// The holding that counts as flat, in base; `None`: what the first reading of the account
    /// finds.
    pub inventory_target_base: Option<Money>,
    /// Limits of every order here.
    pub limits: Limits,
}

/// When quotes are changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// A quote nearer than this to the wanted price is left alone.
    pub reprice_threshold_bps: f64,
    /// Least time between two changes of one side, pulls excepted.
    pub reprice_min_interval: Span,
    /// A quote older than this is renewed.
    pub max_quote_age: Span,
    /// Pause of a side after it was filled.
    pub post_fill_pause: Span,
}

/// When a market is fit to be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketParams {
    /// Longest silence of a market stream, pings included.
    pub max_book_age: Span,
    /// Widest market spread, basis points.
    pub max_spread_bps: f64,
    /// Least quantity at either touch, in quote.
    pub min_top_quote: f64,
    /// Highest volatility, basis points per square root of a second.
    pub max_volatility_bps_sqrt_s: f64,
    /// Volatility to reckon with until it has been measured; `None`: quotes wait for it.
    pub assumed_volatility_bps_sqrt_s: Option<f64>,
    /// Arrivals a second at depth zero, while no fit is trusted.
    pub order_arrival_per_s: f64,
    /// Decay of arrivals a basis point of depth, while no fit is trusted.
    pub order_arrival_decay_per_bps: f64,
    /// Half-life of the volatility estimate.
    pub volatility_half_life: Span,
    /// Time between the first proven books and the first quote.
    pub warm_up: Span,
    /// Own orders are taken out of the fair price.
    pub use_own_order_filter: bool,
}

/// What is read out of books, trades and fills, and what is done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignalUse {
    /// How it is read.
    pub measured: SignalParams,
    /// c of the widening 1 + c·(percentile − ½)⁺ for toxic flow; zero is off.
    pub toxicity_widening: f64,
    /// A side whose fills are expected to cost more than they earn shows nothing.
    pub pull_when_toxic: bool,
    /// The expected adverse move is drawn from the assumed one to what our fills have shown.
    pub adverse_from_markouts: bool,
}

/// What a price is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceParams {
    /// Largest distance between the book and its reference, basis points.
    pub max_disagreement_bps: f64,
    /// Oldest usable reference.
    pub max_age: Span,
    /// Largest move of the mid within `move_window`, from lowest to highest, basis points.
    pub max_move_bps: f64,
    /// How far back a move counts.
    pub move_window: Span,
}

/// Around which price quotes stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FairFrom {
    /// The instrument's own book.
    #[default]
    Own,
    /// All books of the base asset, fused.
    Fused,
    /// The book of that instrument, with the slow basis to it.
    Leader(InstrumentId),
}

/// The fair price over several venues.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FairParams {
    /// Around which price quotes stand.
    pub from: FairFrom,
    /// How prices are fused, and when a source counts.
    pub fusion: FusionParams,
}

impl Default for FairParams {
    fn default() -> FairParams {
        FairParams {
            from: FairFrom::Own,
            fusion: FusionParams {
                basis_half_life: Span::from_s(300),
                warm_up: Span::from_s(30),
                failback: Span::from_s(10),
                max_disagreement_bps: 50.0,
            },
        }
    }
}

/// How volatility and intensity are estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimatorParams {
    /// The witness beside the fast volatility; the larger of the two counts. `None`: no witness.
    pub slow_volatility: Option<SlowVolatilityParams>,
    /// How A and k are found.
    pub order_arrival: ArrivalEstimator,
    /// Depths nearer than this never enter the fit of A and k, basis points.
    pub order_arrival_from_bps: f64,
}

impl Default for EstimatorParams {
    fn default() -> EstimatorParams {
        EstimatorParams {
            slow_volatility: None,
            order_arrival: ArrivalEstimator::Likelihood,
            order_arrival_from_bps: 1.0,
        }
    }
}

/// Limits over time, and the pace of checking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskParams {
    /// Loss of the session that halts, in quote, above zero.
    pub loss_limit_quote_session: Money,
    /// Maker fills on one side within a minute that halt.
    pub max_fills_per_minute_side: usize,
    /// Refusals within ten seconds that halt.
    pub max_rejects_per_10s: usize,
    /// Farthest that our clock may be from a venue's.
    pub max_clock_offset: Span,
    /// Time between two readings of a venue's account.
    pub reconcile_interval: Span,
    /// How long a venue may take to process an order that it says it does not know.
    pub order_unknown_bound: Span,
    /// How long after a process has died its requests may still be carried out.
    pub request_life: Span,
    /// How long sizes grow once quoting has begun; zero: they are full at once.
    pub ramp_up: Span,
    /// The share of the configured sizes with which it begins, above 0 to 1.
    pub ramp_up_from: f64,
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownParams {
    /// Close positions before finishing.
    pub flatten: bool,
    /// Finish by then, whatever is left.
    pub deadline: Span,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mission {
    /// Quote and hedge.
    Trade,
    /// Read clocks, listings, fees and accounts, then end; nothing is sent that changes anything.
    Observe,
}

/// Everything the engine is told before it starts.
#[derive(Clone, Debug)]
pub struct Params {
    /// What the run is for.
    pub mission: Mission,
    /// The epoch of this start, for order ids.
    pub epoch: u32,
    /// Venues in the order of the configuration.
    pub venues: Vec<VenueParams>,
    /// Instruments in the order of the configuration.
    pub instruments: Vec<InstrumentParams>,
    /// How quotes are made.
    pub quoting: quoting::Params,
    /// When quotes are changed.
    pub pace: Pace,
    /// When a market is fit to be quoted.
    pub market: MarketParams,
    /// What is read out of books, trades and fills, and what is done about it.
    pub signals: SignalUse,
    /// What a price is held against.
    pub reference: ReferenceParams,
    /// The fair price over several venues.
    pub fair: FairParams,
    /// How volatility and intensity are estimated.
    pub estimators: EstimatorParams,
    /// How net exposure is taken off; `None`: it is not.
    pub hedge: Option<HedgeParams>,
    /// Limits over time.
    pub risk: RiskParams,
    /// What counts as making a market.
    pub presence: PresenceParams,
    /// What capital at risk is reckoned with.
    pub capital: CapitalParams,
    /// How to stop.
    pub shutdown: ShutdownParams,
    /// A latched halt of an earlier run.
    pub latch: Option<(HaltCause, String)>,
}
