//! Integration tests: stories, the wire, the daemon, the rules of the house.

mod config;
mod engine;
mod exchange;
mod live;
mod market;
mod shared;
mod tidy;
mod venue_binance;
