//! When is net exposure worth taking off, how much of it, and where?
//!
//! [`plan`](Hedger) keeps the clock of one base asset; [`band`](hedge_band) says how far exposure
//! may drift before hedging pays; [`route`](route()) spreads a hedge over books; the
//! [`log`](HedgeLog) keeps what each one cost and what risk it removed.

mod band;
mod cross;
mod log;
mod plan;
mod route;

pub use band::{
    BandValue, Franchise, fixed_cost_band, hedge_band, unhedged_std, unskewed_band,
    unskewed_band_units, unskewed_cost_rate,
};
pub use cross::{CrossHedge, cross_hedge, hedge_rate, marginal_value};
pub use log::{HEDGES_KEPT, HedgeLog, HedgeRecord, HedgeTotals};
pub use plan::{HedgeInputs, HedgeMode, HedgeOrder, HedgeParams, HedgePlan, Hedger};
pub use route::{Pool, Route, route};

#[cfg(test)]
mod tests;
