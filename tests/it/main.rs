//! Integration tests: stories, the wire, the daemon, the rules of the house.

mod config;
mod engine;
mod exchange;
mod live;
mod market;
mod matching;
mod shared;
mod venue_binance;
