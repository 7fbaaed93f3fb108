//! What are we allowed? The gate that every order passes on its way to the wire.
//!
//! Quotes, hedges and flattening alike: nothing becomes an [`Approved`] order but through
//! [`gate::approve`], and the engine sends nothing else.

mod breaker;
mod budget;
pub mod capital;
mod gate;
pub mod normal;
mod price_moves;

pub use breaker::{Breaker, Trip};
pub use budget::{Budget, Lane};
pub use gate::{Approved, Limits, Standing, approve};
pub use price_moves::PriceMoves;
