//! What is the market doing? Books, trades, volatility and intensity, from public data.
//!
//! Everything here is an inference from what a venue shows to everybody. Books hold whole ticks
//! and lots; the estimators hold `f64`, and give `None` rather than a number they do not have.

mod alpha;
mod arrival_rates;
mod book;
pub mod correlation;
mod fair;
mod hayashi_yoshida;
mod imbalance;
mod intensity;
mod micro_price;
mod order_flow;
mod pace;
mod realised;
mod regression;
mod signals;
mod slow_volatility;
mod touch;
mod touch_fills;
mod toxicity;
mod trade_flow;
mod volatility;

pub use arrival_rates::{
    LogLine, WaitingRate, Weighting, log_line, price_motion_inflation, price_motion_integral,
    survival_counts, survival_regression, waiting_time_rate,
};
pub use book::{Book, MAX_LEVELS, Walk};
pub use correlation::{CorrelationParams, Correlations};
pub use fair::{FairFilter, Fusion, FusionParams, SourceView};
pub use hayashi_yoshida::{
    HayashiYoshida, HayashiYoshidaWindow, LeadLag, MAX_OBSERVATIONS, hayashi_yoshida, lead_lag,
};
pub use intensity::{
    ArrivalEstimator, Estimate, Fit, Intensity, IntensityParams, MAX_ARRIVALS, fit,
};
pub use pace::Pace;
pub use realised::{
    Bar, bipower_variation, first_autocovariance, pre_averaged_variance, realised_variance,
    roll_spread, subsampled_variance, two_scales_variance,
};
pub use slow_volatility::{SlowEstimator, SlowVolatility, SlowVolatilityParams};
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
