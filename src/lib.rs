//! evenkeel: a live crypto market-making daemon that keeps its inventory on an even keel.
//!
//! # Bird's eye
//!
//! ```text
//!   venue bytes ─▶ venues ─▶ events ─▶ engine.step(now, events) ─▶ actions ─▶ venues ─▶ bytes
//!                 (protocol)             market   what is the market doing?
//!                                        inventory what do we hold, what did it earn?
//!                                        quoting  what would we like to show?
//!                                        risk     what are we allowed?
//!                                        orders   what is actually working?
//! ```
//!
//! The core is a function of time and events. `live` drives it with sockets and a clock; `sim` is
//! an exchange with a matching engine that the same core trades against, behind the venues' own
//! wire protocols (`sim::faces`), over real loopback sockets or, in tests, bytes in memory and
//! virtual time.
//!
//! # Invariants, stated as absences
//!
//! 1. Nothing in `domain`, `market`, `inventory`, `quoting`, `risk`, `orders`, `engine`, `venues`,
//!    `sim` or `simulate` awaits, reads a clock, draws from the system's randomness, opens a socket or a file,
//!    or writes a log line. Time is an argument; the same inputs give the same actions.
//! 2. No order leaves that `risk::approve` has not passed, hedges and flattening included, and
//!    none that the order store does not already know under its client id.
//! 3. No quote rests on a book that is not proven: gapped, stale, crossed or unsynced means
//!    pulled.
//! 4. Nothing is dropped in silence: every queue, retry and batch has a named maximum, and reaching
//!    it is an event with a consequence (the table in [`live`]).
//! 5. "No answer" is never "no": an order of unknown fate counts as live in every limit until the
//!    venue has said otherwise ([`orders`]).
//!
//! The rules are tests: `tests/it/tidy.rs` holds the layers and the banned words.
//!
//! # Where the shape differs from the sketch it began with
//!
//! - One trading thread for everything that can delay an order, instead of a thread for the core
//!   and a task for each venue: the hop between them cost more than the decision (see [`live`]).
//! - Order news is applied before market news of the same batch, so that a fill is valued at the
//!   mid that it met.
//! - The core writes no log line: it emits [`domain::Note`]s, and [`telemetry`] has the one table
//!   from note to log line and metric.
//!
//! # Codemap, lowest layer first
//!
//! | Module | Answers | May import |
//! |---|---|---|
//! | [`domain`] | What words do we use? | nothing of ours |
//! | [`market`], [`inventory`], [`quoting`], [`risk`], [`orders`], [`journal`] | one question each | `domain` |
//! | [`engine`] | How do these meet? | the six |
//! | [`venues`] | How does each exchange speak? | `domain` |
//! | [`sim`] | What would an exchange do? | `domain` |
//! | [`live`] | Where do time and bytes enter? | all of the above |
//! | [`config`], [`telemetry`], [`report`] | What did the operator write, what does he read? | all of the above |
//! | [`simulate`] | Does it stay right when everything else goes wrong? | all but `live` |
//! | [`cli`] | Which commands are there? | all of the above |
//!
//! A venue that joins gets a folder in `venues` with a [`venues::Protocol`], a face in
//! `sim::faces`, and a line in `config`'s list of kinds.

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
pub mod simulate;
pub mod telemetry;
pub mod venues;
