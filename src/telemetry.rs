//! One table: note to log line and metric, so that the two cannot drift apart.
//!
//! [`describe`] is the table; [`Telemetry`] applies it. Lines go through `tracing` with `event`
//! (stable snake_case), `at` (RFC 3339), `at_ns` and the fields of the note; prices and quantities
//! are decimal strings.

mod alerts;
mod catalogue;
mod describe;
mod file;
mod log;
mod metrics;

use std::collections::BTreeMap;

pub use alerts::{AlertLevel, Alerts, Form, Params as AlertParams};
pub use catalogue::{EVENTS, Event};
pub use describe::{Line, Names, describe};
pub use file::LogFile;
pub use log::{LogControl, init};
pub use metrics::Metrics;

use crate::domain::{Note, NoteLevel, Span, Ts};
use crate::live::Story;

/// Lines with the same key come once in this time, with a count of those left out.
const FLOOD: Span = Span::from_s(1);

/// Turns notes into log lines and metrics, in order; used from one thread.
#[derive(Debug)]
pub struct Telemetry {
    names: Names,
    metrics: Metrics,
    alerts: Option<Alerts>,
    story: Story,
    last: BTreeMap<String, (Ts, u64)>,
}

impl Telemetry {
    /// Telemetry for these instruments and venues; what operators see lately goes to `story`.
    #[must_use]
    pub fn new(names: Names, metrics: Metrics, alerts: Option<Alerts>, story: Story) -> Telemetry {
        Telemetry { names, metrics, alerts, story, last: BTreeMap::new() }
    }

    /// Count a note and log it. From an instrument's listing on, its prices show as decimals.
    pub fn note(&mut self, now: Ts, note: &Note) {
        if let Note::Listed { instrument } = note {
            self.names.listed(instrument);
        }
        self.metrics.count(note, &self.names);
        let line = describe(note, &self.names);
        if let Some(alerts) = &mut self.alerts {
            alerts.offer(now, &line);
        }
        if let Some(left_out) = self.admit(now, &line) {
            self.story.tell(now, line.level, line.event, &line.message, &line.fields);
            emit(now, &line, left_out);
        }
    }

    /// How many lines of the key were left out before this one; `None` when this one is too.
    /// What is not flood-prone always passes.
    fn admit(&mut self, now: Ts, line: &Line) -> Option<u64> {
        let Some(key) = &line.flood_key else { return Some(0) };
        let entry = self.last.entry(key.clone());
        let (last, left_out) = match entry {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert((now, 0));
                return Some(0);
            }
            std::collections::btree_map::Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if now.since(*last) < FLOOD {
            *left_out += 1;
            return None;
        }
        *last = now;
        Some(std::mem::take(left_out))
    }
}

fn emit(now: Ts, line: &Line, left_out: u64) {
    let (event, at, at_ns) = (line.event, now.to_string(), now.0);
    let fields =
        serde_json::to_string(&line.fields).expect("a map of strings to plain values serialises");
    let (fields, message) = (fields.as_str(), line.message.as_str());
    macro_rules! at_level {
        ($level:ident) => {
            if left_out == 0 {
                tracing::$level!(target: "evenkeel::note", event, at, at_ns, fields, "{message}")
            } else {
                tracing::$level!(target: "evenkeel::note", event, at, at_ns, fields, left_out, "{message}")
            }
        };
    }
    match line.level {
        NoteLevel::Debug => at_level!(debug),
        NoteLevel::Info => at_level!(info),
        NoteLevel::Warn => at_level!(warn),
        NoteLevel::Error => at_level!(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::VenueId;

    #[test]
    fn floods_are_thinned_and_counted() {
        let mut telemetry =
            Telemetry::new(Names::default(), Metrics::default(), None, Story::default());
        let garbled = Note::Garbled { venue: VenueId(0), text: "half a frame".into() };
        let names = Names::new(vec!["a".into(), "b".into()], &[]);
        let line = describe(&garbled, &names);
        let at = Ts::from_ms;
        assert_eq!(telemetry.admit(at(0), &line), Some(0));
        assert_eq!(telemetry.admit(at(400), &line), None);
        assert_eq!(telemetry.admit(at(999), &line), None);
        assert_eq!(telemetry.admit(at(1000), &line), Some(2));
        let other = describe(&Note::Garbled { venue: VenueId(1), text: "x".into() }, &names);
        assert_eq!(telemetry.admit(at(1000), &other), Some(0));
        let rare = describe(&Note::Invariant { text: "x".into() }, &names);
        assert_eq!(telemetry.admit(at(0), &rare), Some(0));
        assert_eq!(telemetry.admit(at(0), &rare), Some(0));
    }
}
