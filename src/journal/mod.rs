//! What happened? The record of what was learnt, decided and sent, one JSON object a line.
//!
//! A segment begins with a [`Header`] and holds one [`Record`] a step of the core, wake-ups
//! included: with the same settings, feeding `inbox` at `now` gives `actions` again.
//!
//! **What a crash can lose.** A record goes to the writer thread after the step's orders have
//! been handed to the socket, so as not to stand in their way. The writer writes at once and
//! forces to disk at most 50 ms after a record that sent something. A kill of the process can lose
//! the records of its last milliseconds, a loss of power those of the last 50 ms. Nothing that
//! safety rests on is among them:
//!
//! - *Every client id is known before its request leaves*, without a write of its own. An id is
//!   prefix, epoch and counter; the epoch is forced to disk before the first order of a run, and
//!   with it every id that the run can ever send. An order at the venue whose id decodes is ours,
//!   whoever died when; one list of open orders finds all of them, so what a log of single ids
//!   would add is which of them never arrived, and those need nothing.
//! - What was filled is in the venue's list of trades, read from the last settled trade on
//!   ([`crate::engine::Ledger`], kept in the state directory); what is open or held is asked at
//!   every start, before anything is quoted.
//!
//! **When it fails** (disk full, directory gone) the core is told [`Trouble`] as a fault: no new
//! risk, everything cancelled, the daemon stays up. A resume without room is a fault again.

mod reader;
mod record;
mod writer;

pub use reader::{DumpError, DumpSummary, ReadError, Reader, dump};
pub use record::{FORMAT, Header, Record};
pub use writer::{Params, Trouble, Writer};
