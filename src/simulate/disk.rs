//! What does the state directory hold of a session's ledger, and what is left of it by a crash?

use super::plan::Dice;
use crate::domain::{Money, Span, Ts};
use crate::engine::{Engine, Ledger};

/// How often the ledger is handed to its keeper, as `live::core` does among its chores.
const CHORES: Span = Span::from_ms(100);
/// A crash meets a ledger that is handed over and not on disk yet in so many of a hundred cases.
const UNWRITTEN: i64 = 25;

/// The ledger's file, and the sessions before this one.
#[derive(Debug, Default)]
pub(super) struct Disk {
    ledger: Option<Ledger>,
    /// What the last writing has replaced, which is what a crash in the middle leaves.
    replaced: Option<Ledger>,
    version: u64,
    due: Ts,
    /// What sessions that were over had earned, quote.
    earned_before: Money,
}

impl Disk {
    /// A chore of the running process: keep a ledger that has changed.
    pub(super) fn keep(&mut self, now: Ts, engine: &Engine) {
        // The first one is there before the first order leaves, as the driver sees to.
        if now < self.due && self.ledger.is_some() {
            return;
        }
        self.due = now + CHORES;
        if engine.ledger_version() != self.version
            && let Some(ledger) = engine.ledger()
        {
            self.version = engine.ledger_version();
            self.replaced = self.ledger.replace(ledger);
        }
    }

    /// The process ends in its own time, as `Driver::finish` does.
    pub(super) fn finish(&mut self, engine: &Engine) {
        if engine.is_session_over() {
            self.earned_before += engine.result_quote();
            self.ledger = None;
        } else if let Some(ledger) = engine.ledger() {
            self.ledger = Some(ledger);
        }
        self.forget();
    }

    /// It dies: what was handed over last may not have been written.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        if self.replaced.is_some() && dice.percent(UNWRITTEN) {
            self.ledger = self.replaced.take();
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.replaced = None;
        // Versions count from nought in each process.
        self.version = u64::MAX;
    }

    /// What the next process reads.
    ///
    /// # Errors
    /// A ledger that does not read back as it was written.
    pub(super) fn read(&self) -> Result<Option<Ledger>, String> {
        let Some(ledger) = &self.ledger else { return Ok(None) };
        let line = serde_json::to_string(ledger).map_err(|error| error.to_string())?;
        let read: Ledger = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        // Trade ids are kept beside the position, which compares by them: the text tells.
        if serde_json::to_string(&read).ok().as_ref() != Some(&line) {
            return Err("the ledger reads back as another".to_owned());
        }
        Ok(Some(read))
    }

    /// What all sessions have earned, with one that is not over, quote.
    pub(super) fn earned(&self, unfinished: Option<&Engine>) -> Money {
        self.earned_before + unfinished.map_or(Money::ZERO, Engine::result_quote)
    }
}
