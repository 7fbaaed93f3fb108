//! Whoever watches the trading thread, on threads of their own, behind queues that never block it.
//!
//! | Observer | Bound | When it is reached |
//! |---|---|---|
//! | log lines | [`LINES`] | the line is lost, counted, and the loss is told in the log |
//! | journal | its own | the record is lost; `Control::Fault`: no new risk |
//! | latch | [`LATCHES`] | `Control::Fault`: no new risk |
//! | ledger | 1 | the next one holds everything: it waits for the one being written |

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::state_dir::{Latch, StateDir};
use super::{NoteSink, Story};
use crate::domain::{Action, Money, Note, NoteLevel, Ts};
use crate::engine::Ledger;
use crate::journal::{Record, Trouble, Writer};

/// Log lines that may wait.
pub const LINES: usize = 16_384;
/// Changes of the latch that may wait.
pub const LATCHES: usize = 64;

/// What is told to the log.
enum Line {
    Note(Ts, Note),
    Remark(NoteLevel, &'static str, String),
    Lost(u64),
}

enum LatchChange {
    Set(Latch),
    Target(String, Money),
    Clear,
    Ledger(Option<Box<Ledger>>),
}

/// Where the driver itself says something; clones share the queue.
#[derive(Clone)]
pub(super) struct Remarks {
    lines: SyncSender<Line>,
    lost: Counter,
}

impl Remarks {
    /// Say something under a stable event name.
    pub(super) fn say(&self, level: NoteLevel, event: &'static str, text: String) {
        self.offer(Line::Remark(level, event, text));
    }

    fn offer(&self, line: Line) -> bool {
        let told = self.lines.try_send(line).is_ok();
        if !told {
            self.lost.inc();
        }
        told
    }
}

/// All observers of a run.
pub(super) struct Observers {
    remarks: Remarks,
    untold: u64,
    log_done: Receiver<()>,
    journal: Option<Writer>,
    journal_lost: Counter,
    journal_faulty: bool,
    latch: Option<(SyncSender<LatchChange>, JoinHandle<()>)>,
    latch_failure: Arc<Mutex<Option<String>>>,
    /// A ledger is being written.
    ledger_out: Arc<AtomicBool>,
}

impl Observers {
    pub(super) fn start(
        notes: NoteSink,
        story: Story,
        journal: Option<Writer>,
        state: Option<StateDir>,
        lines_lost: Counter,
        journal_lost: Counter,
    ) -> std::io::Result<Observers> {
        let (lines, queue) = sync_channel(LINES);
        let (done, log_done) = sync_channel(1);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            tell_all(&queue, notes, &story);
            if done.send(()).is_err() {
                tracing::debug!(event = "log_late", "the run did not wait for its last log lines");
            }
        })?;
        let latch_failure = Arc::new(Mutex::new(None));
        let ledger_out = Arc::new(AtomicBool::new(false));
        let latch = match state {
            None => None,
            Some(state) => {
                let (changes, queue) = sync_channel(LATCHES);
                let (failure, out) = (Arc::clone(&latch_failure), Arc::clone(&ledger_out));
                let keep = move || keep_state(&queue, &state, &failure, &out);
                Some((changes, std::thread::Builder::new().name("latch".to_owned()).spawn(keep)?))
            }
        };
        Ok(Observers {
            remarks: Remarks { lines, lost: lines_lost },
            untold: 0,
            log_done,
            journal,
            journal_lost,
            journal_faulty: false,
            latch,
            latch_failure,
            ledger_out,
        })
    }

    pub(super) fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// Pass on a step of the core; the text of a fault that the core has to know.
    pub(super) fn record(&mut self, record: Record) -> Option<String> {
        let mut fault = None;
        for action in &record.actions {
            if let Action::Note(note) = action {
                self.note(record.now, note);
                fault = self.latch(record.now, note).or(fault);
            }
        }
        self.write(record).or(fault)
    }

    fn note(&mut self, now: Ts, note: &Note) {
        if self.untold > 0 && self.remarks.lines.try_send(Line::Lost(self.untold)).is_ok() {
            self.untold = 0;
        }
        if !self.remarks.offer(Line::Note(now, note.clone())) {
            self.untold += 1;
        }
    }

    fn write(&mut self, record: Record) -> Option<String> {
        let journal = self.journal.as_ref()?;
        match journal.offer(record) {
            Ok(()) => {
                self.journal_faulty = false;
                None
            }
            Err(trouble) => {
                self.journal_lost.inc();
                if std::mem::replace(&mut self.journal_faulty, true) {
                    return None;
                }
                Some(match trouble {
                    Trouble::Overflow => "the journal's queue is full: records are lost".to_owned(),
                    Trouble::Failed(text) => text,
                })
            }
        }
    }

    fn latch(&mut self, now: Ts, note: &Note) -> Option<String> {
        let change = match note {
            Note::Halted { cause, text } if cause.is_latched() => {
                LatchChange::Set(Latch { cause: *cause, text: text.clone(), at: now })
            }
            Note::Latch { set: false, .. } => {
                // The operator resumes: a journal that has ended is a fault again.
                self.journal_faulty = false;
                LatchChange::Clear
            }
            Note::TargetTaken { name, base, .. } => LatchChange::Target(name.clone(), *base),
            _ => return None,
        };
        let (changes, _) = self.latch.as_ref()?;
        changes.try_send(change).err().map(|_| "the latch cannot be kept".to_owned())
    }

    /// The last ledger is on disk, or there is nowhere to keep one: the next may be handed over.
    pub(super) fn takes_ledger(&self) -> bool {
        self.latch.is_some() && !self.ledger_out.load(Ordering::Acquire)
    }

    /// Keep the ledger of the session, or forget that of one that is over. Whether it was taken.
    pub(super) fn keep_ledger(&self, ledger: Option<Ledger>) -> bool {
        let Some((changes, _)) = &self.latch else { return true };
        self.ledger_out.store(true, Ordering::Release);
        let taken = changes.try_send(LatchChange::Ledger(ledger.map(Box::new))).is_ok();
        if !taken {
            self.ledger_out.store(false, Ordering::Release);
        }
        taken
    }

    /// Failures that came to light on the observers' own threads since the last call.
    pub(super) fn failures(&mut self) -> Vec<String> {
        let mut failures = Vec::new();
        let mut latch = self.latch_failure.lock().unwrap_or_else(PoisonError::into_inner);
        failures.extend(latch.take());
        let journal = self.journal.as_ref().and_then(Writer::failure);
        if let Some(Trouble::Failed(text)) = journal
            && !std::mem::replace(&mut self.journal_faulty, true)
        {
            failures.push(text);
        }
        failures
    }

    /// Records that wait for the journal.
    pub(super) fn journal_queued(&self) -> u64 {
        self.journal.as_ref().map_or(0, Writer::queued)
    }

    /// Let everybody finish: the journal and the latch in full, the log for `patience` at most,
    /// because its reader may have stopped reading.
    pub(super) fn finish(self, patience: Duration) {
        drop(self.journal);
        if let Some((changes, thread)) = self.latch {
            drop(changes);
            // A panic in it has been reported by the panic hook.
            drop(thread.join());
        }
        drop(self.remarks);
        match self.log_done.recv_timeout(patience) {
            // Late: the log's reader is stuck, and saying so in the log would get us stuck too.
            Ok(()) | Err(_) => {}
        }
    }
}

fn tell_all(lines: &Receiver<Line>, mut notes: NoteSink, story: &Story) {
    for line in lines {
        match line {
            Line::Note(now, note) => notes(now, &note),
            Line::Lost(count) => tracing::warn!(
                event = "log_lines_lost",
                count,
                "the log was slower than the daemon: lines are missing here"
            ),
            Line::Remark(level, event, text) => {
                story.tell(super::clock::wall(), level, event, &text, &serde_json::Map::new());
                match level {
                    NoteLevel::Debug => tracing::debug!(event, "{text}"),
                    NoteLevel::Info => tracing::info!(event, "{text}"),
                    NoteLevel::Warn => tracing::warn!(event, "{text}"),
                    NoteLevel::Error => tracing::error!(event, "{text}"),
                }
            }
        }
    }
}

fn keep_state(
    changes: &Receiver<LatchChange>,
    state: &StateDir,
    failure: &Mutex<Option<String>>,
    ledger_out: &AtomicBool,
) {
    for change in changes {
        let outcome = match change {
            LatchChange::Set(latch) => state.set_latch(&latch),
            LatchChange::Clear => state.clear_latch(),
            LatchChange::Target(name, base) => state.set_target(&name, base),
            LatchChange::Ledger(ledger) => {
                let kept = state.keep_ledger(ledger.as_deref());
                ledger_out.store(false, Ordering::Release);
                kept
            }
        };
        if let Err(error) = outcome {
            let text = format!("the state cannot be kept: {error}");
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
    }
    if let Err(error) = state.retract_address() {
        tracing::warn!(event = "address_left", "{error}");
    }
}
