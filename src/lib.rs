//! evenkeel: a live crypto market-making daemon that keeps its inventory on an even keel.

pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod inventory;
pub mod journal;
pub mod live;
pub mod market;
pub mod orders;
pub mod quoting;
pub mod report;
pub mod risk;
pub mod sim;
pub mod telemetry;
pub mod venues;
