//! What happened? The record of what was learnt, decided and sent, one JSON object a line.
//!
//! A segment begins with a [`Header`] and holds one [`Record`] a step of the core, wake-ups
//! included: with the same settings, feeding `inbox` at `now` gives `actions` again.
//!
//! **What a crash can lose.** A record goes to the writer thread after the step's orders have
//! been handed to the socket, so as not to stand in their way. The writer writes at once and
//! forces to disk at most 50 ms after a record that sent something. A kill of the process can lose
//! the records of its last milliseconds, a loss of power those of the last 50 ms. Nothing that
//! safety rests on is among them: order ids are unique by the epoch, which is on disk before any
//! order, and what is open or held is asked of the venue at every start.

mod reader;
mod record;
mod writer;

pub use reader::{DumpError, DumpSummary, ReadError, Reader, dump};
pub use record::{FORMAT, Header, Record};
pub use writer::{Params, Trouble, Writer};
