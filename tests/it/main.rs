//! Integration tests: stories, the wire, the daemon, the rules of the house.
#![allow(clippy::unwrap_used, reason = "a test that unwraps nothing fails there and says so")]

mod clients;
mod compare;
mod config;
mod daemon;
mod deploy;
mod engine;
mod exchange;
mod fuzzed;
mod golden;
mod hedging;
mod live;
mod loopback;
mod market;
mod matching;
mod quoting;
mod shared;
mod signals;
mod tidy;
mod venue_binance;
