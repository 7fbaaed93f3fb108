//! What do we hold, what did it earn, and how do we shed it?
//!
//! Positions and profit are exact: whole lots, whole half-ticks and decimals. Only averages shown
//! to people are `f64`.

mod attribution;
pub mod hedge;
mod markout;
mod position;

pub use attribution::{Attribution, Imbalance, Parts};
pub use hedge::{HedgeInputs, HedgeMode, HedgeOrder, HedgeParams, HedgePlan, Hedger};
pub use markout::{MAX_PENDING, Markout, Markouts};
pub use position::{Booked, Position, RECENT_TRADES};

#[cfg(test)]
mod tests;
