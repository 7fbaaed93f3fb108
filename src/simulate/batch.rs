//! What do many seeds show together? Sums, the fault matrix, and whether the batch has met what a
//! green one must have met.

use std::collections::BTreeMap;

use super::Outcome;
use super::cells::{Kind, Phase};

/// What a batch must have met, or it has shown nothing; and from how many simulated hours with
/// every fault on it is asked.
const REACHED: [&str; 24] = [
    "amend sent",
    "banned",
    "both sides quoting after healing",
    "ended flat and clean",
    "ended flat in trouble",
    "ended with a warning",
    "fill after cancel sent",
    "foreign order",
    "gap resynced",
    "halted",
    "hedge done",
    "order asked about",
    "order denied by the venue",
    "order unknown",
    "post-only refused",
    "reloaded",
    "request arrived twice",
    "restart with leftovers",
    "result of several processes held against the wallets",
    "stood still",
    "stopped and started again",
    "throttled",
    "unknown order was dead",
    "unknown order was live",
];
/// Below so many simulated hours a batch may miss some of it.
pub const ENOUGH_HOURS: f64 = 4.0;
/// From so many simulated hours with every fault on, every cell of the matrix must have been met
/// [`OFTEN`].
pub const HOURS_FOR_CELLS: f64 = 200.0;
/// So often.
pub const OFTEN: u64 = 10;

/// Sums of outcomes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Sessions.
    pub seeds: u64,
    /// Virtual hours.
    pub hours: f64,
    /// Events that the core was told.
    pub events: u64,
    /// The sum of all sessions' action hashes; the order of the seeds does not matter.
    pub hash: u64,
    /// Seeds that failed, with their first problem.
    pub failed: BTreeMap<u64, String>,
    /// What was met.
    pub met: BTreeMap<&'static str, u64>,
    /// Cells of the matrix.
    pub cells: BTreeMap<(Kind, Phase), u64>,
    /// Longest time after mending until the readings agreed, milliseconds.
    pub reconciled_ms: i64,
    /// Longest time after mending until both sides were quoted, milliseconds.
    pub quoting_ms: i64,
}

impl Batch {
    /// One more session.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.hours += outcome.lasted.seconds() / 3600.0;
        self.events += outcome.events;
        self.hash = self.hash.wrapping_add(outcome.hash.rotate_left(outcome.plan.seed as u32 % 64));
        if let Some(problem) = outcome.problems.first() {
            self.failed.insert(outcome.plan.seed, problem.clone());
        }
        for (what, count) in &outcome.met {
            *self.met.entry(what).or_default() += count;
        }
        for (cell, count) in &outcome.cells {
            *self.cells.entry(*cell).or_default() += count;
        }
        self.reconciled_ms = self.reconciled_ms.max(outcome.reconciled_ms);
        self.quoting_ms = self.quoting_ms.max(outcome.quoting_ms);
    }

    /// Those of another part of the same batch.
    pub fn join(&mut self, other: Batch) {
        self.seeds += other.seeds;
        self.hours += other.hours;
        self.events += other.events;
        self.hash = self.hash.wrapping_add(other.hash);
        self.failed.extend(other.failed);
        for (what, count) in other.met {
            *self.met.entry(what).or_default() += count;
        }
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        self.reconciled_ms = self.reconciled_ms.max(other.reconciled_ms);
        self.quoting_ms = self.quoting_ms.max(other.quoting_ms);
    }

    /// What a batch of every fault and of this length must have met and has not.
    #[must_use]
    pub fn missed(&self) -> Vec<&'static str> {
        REACHED.into_iter().filter(|what| !self.met.contains_key(what)).collect()
    }

    /// Cells of these kinds that were met fewer than `least` times.
    #[must_use]
    pub fn thin_cells(&self, kinds: &[Kind], least: u64) -> Vec<(Kind, Phase)> {
        let mut cells = Phase::cells(kinds);
        cells.retain(|cell| self.cells.get(cell).copied().unwrap_or_default() < least);
        cells
    }
}
