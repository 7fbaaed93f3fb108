//! What is actually working? The order store and its state machine.
//!
//! Every order is in the store before its action leaves the core, and stays there until the venue
//! has said that it ended *and* every fill that the venue counts has arrived as a trade. Until
//! then it counts as live in every limit.

mod reconcile;
mod state;
mod store;

pub use reconcile::{Change, Tolerance, Working, changes};
pub use state::{Doubt, Order, Phase, Request, Step};
pub use store::{Exposed, Store};
