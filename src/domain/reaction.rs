//! How fast was what happened answered?

use serde::Serialize;

/// How fast the daemon answered what happened to it, over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ReactionTimes {
    /// Median from a fill received to the quotes that answer it written, microseconds.
    pub fill_to_requote_p50_us: f64,
    /// The same at the 99th percentile.
    pub fill_to_requote_p99_us: f64,
    /// How many were measured.
    pub fill_to_requote_count: u64,
    /// Median from exposure past its edge to the hedge written, microseconds.
    pub edge_to_hedge_p50_us: f64,
    /// The same at the 99th percentile.
    pub edge_to_hedge_p99_us: f64,
    /// How many were measured.
    pub edge_to_hedge_count: u64,
}
