//! What one line holds.

use serde::{Deserialize, Serialize};

use crate::domain::{Action, Event, Ts};

/// The version of the format. Readers refuse others: the events are those of one version of the
/// core, and a half-understood record is worse than none.
pub const FORMAT: u32 = 1;

/// The first line of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`FORMAT`].
    pub evenkeel_journal: u32,
    /// Version of the program.
    pub program: String,
    /// The epoch of the run, as in its order ids.
    pub epoch: u32,
    /// A hash of the resolved settings.
    pub config_hash: String,
}

impl Header {
    /// The header of a run of this program.
    #[must_use]
    pub fn new(epoch: u32, config_hash: &str) -> Header {
        Header {
            evenkeel_journal: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            epoch,
            config_hash: config_hash.to_owned(),
        }
    }
}

/// One step of the core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts the steps of a run from 1; a gap is lost records.
    pub seq: u64,
    /// The instant that the step was given.
    pub now: Ts,
    /// What it learnt.
    pub inbox: Vec<Event>,
    /// What it decided.
    pub actions: Vec<Action>,
}

impl Record {
    /// Whether it made something leave for a venue.
    #[must_use]
    pub fn sent_orders(&self) -> bool {
        self.actions.iter().any(|action| match action {
            Action::Place(_) | Action::Amend(_) | Action::Cancel { .. } => true,
            Action::Query { .. }
            | Action::Reconcile { .. }
            | Action::Resync { .. }
            | Action::Note(_) => false,
        })
    }
}
