//! What is the market doing? Books, trades, volatility and intensity, from public data.
//!
//! Everything here is an inference from what a venue shows to everybody. Books hold whole ticks
//! and lots; the estimators hold `f64`, and give `None` rather than a number they do not have.

mod alpha;
mod book;
mod imbalance;
mod intensity;
mod micro_price;
mod order_flow;
mod pace;
mod regression;
mod signals;
mod touch;
mod touch_fills;
mod toxicity;
mod trade_flow;
mod volatility;

pub use book::{Book, MAX_LEVELS, Walk};
pub use intensity::{Estimate, Fit, Intensity, IntensityParams, MAX_ARRIVALS, fit};
pub use pace::Pace;
pub use touch::Touch;

pub use alpha::{Alpha, AlphaView};
pub use imbalance::{
    depth_imbalance, effective_mid_ticks, fading_imbalance, imbalance, imbalance_within,
    volume_adjusted_mid_ticks, weighted_depth_ticks,
};
pub use micro_price::{Adjustments, MicroPrice, Transitions};
pub use order_flow::{FLOW_LEVELS, Ladder, OrderFlow, level_flow};
pub use regression::{Line, Regression};
pub use signals::{AlphaSignal, FairPrice, Reading, SignalParams, Signals, SignalsView};
pub use touch_fills::{Expected, TouchFills};
pub use toxicity::{KyleLambda, Vpin, informed_quotes, widening};
pub use trade_flow::{TradeFlow, TradeFlowParams};
pub use volatility::{Volatility, VolatilityParams, WeightedSquares};
