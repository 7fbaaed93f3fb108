//! How does an exchange answer? Its wire side, from the documents and apart from the client's own
//! reading of them: request bytes to reply bytes, happenings to stream frames; no socket, no clock.

pub mod error;
pub mod faults;
pub mod json;
pub mod limits;
mod local;
pub mod market;
pub mod request;
pub mod spot;
pub mod streams;
pub mod usdm;
pub mod venue;

pub use local::{KeyRights, LocalExchange, LocalParams, Reply};
