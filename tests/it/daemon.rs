//! The built binary from outside: what a user, a supervisor and a venue see of it.
//!
//! Every test runs `evenkeel` as a process of its own against a local exchange on ports of the
//! system's choice. The exchange's own state is the truth that the daemon is held to.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

mod bad_input;
mod crowd;
mod demo;
mod disk;
mod faces;
mod guard;
mod kills;
mod life;
mod middleman;
mod permissions;
mod rig;
mod stops;
mod tuning;
mod watchers;
mod weather;
