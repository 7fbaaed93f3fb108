//! The local exchange.
