//! What is the market doing? Books, trades, volatility and intensity, from public data.
//!
//! Everything here is an inference from what a venue shows to everybody. Books hold whole ticks
//! and lots; the estimators hold `f64`, and give `None` rather than a number they do not have.

mod book;
pub mod correlation;
mod intensity;
mod pace;
mod touch;
mod trade_flow;
mod volatility;

pub use book::{Book, MAX_LEVELS, Walk};
pub use correlation::{CorrelationParams, Correlations};
pub use intensity::{Estimate, Fit, Intensity, IntensityParams, MAX_ARRIVALS, fit};
pub use pace::Pace;
pub use touch::Touch;
pub use trade_flow::{TradeFlow, TradeFlowParams};
pub use volatility::{Volatility, VolatilityParams, WeightedSquares};
