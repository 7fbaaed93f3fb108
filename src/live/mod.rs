//! Where do time and bytes enter? Sockets, clocks, signals, the HTTP endpoints.

pub mod exchange;
