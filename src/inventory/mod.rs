//! What do we hold, what did it earn, and how do we shed it?
//!
//! Positions and profit are exact: whole lots, whole half-ticks and decimals. Only averages shown
//! to people are `f64`.

mod attribution;
pub mod carry;
pub mod hedge;
mod markout;
mod payoff;
mod position;
mod presence;

pub use attribution::{Attribution, Imbalance, Parts};
pub use hedge::{HedgeInputs, HedgeMode, HedgeOrder, HedgeParams, HedgePlan, Hedger};
pub use markout::{Adverse, MAX_PENDING, Markout, MarkoutMean, Markouts, Realised};
pub use payoff::Payoff;
pub use position::{Booked, Position, RECENT_TRADES};
pub use presence::{
    LeastShown, Presence, PresenceParams, PresenceView, Scores, Shown, bybit_2021, dydx_liquidity,
    dydx_points, injective_snapshot,
};

#[cfg(test)]
mod tests;
