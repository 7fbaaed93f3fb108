//! What has happened lately that an operator wants to see? Fills, and what was warned of.
//!
//! Two bounded rings, so that a flood of the one does not push out the other. They are written on
//! the log thread and read by the endpoints; the trading thread never touches them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{NoteLevel, Ts};

/// Fills kept.
pub const FILLS: usize = 500;
/// Warnings and errors kept.
pub const ALERTS: usize = 100;

/// One thing that has happened.
#[derive(Clone, Debug, Serialize)]
pub struct Tale {
    /// Counts from 1 over everything told.
    pub seq: u64,
    /// When, nanoseconds since the Unix epoch.
    pub at_ns: Ts,
    /// How loud.
    pub level: NoteLevel,
    /// Its stable name.
    pub event: &'static str,
    /// In words.
    pub message: String,
    /// Its fields, as in the log.
    pub fields: Map<String, Value>,
}

#[derive(Debug, Default)]
struct Rings {
    told: u64,
    fills: VecDeque<Tale>,
    alerts: VecDeque<Tale>,
}

/// The rings; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Story {
    rings: Arc<Mutex<Rings>>,
}

impl Story {
    /// Keep it where it is a fill or at least a warning; anything else is the log's alone.
    pub fn tell(
        &self,
        at_ns: Ts,
        level: NoteLevel,
        event: &'static str,
        message: &str,
        fields: &Map<String, Value>,
    ) {
        let filled = event == "filled";
        if !filled && level < NoteLevel::Warn {
            return;
        }
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        rings.told += 1;
        let (message, fields) = (message.to_owned(), fields.clone());
        let tale = Tale { seq: rings.told, at_ns, level, event, message, fields };
        let (ring, most) =
            if filled { (&mut rings.fills, FILLS) } else { (&mut rings.alerts, ALERTS) };
        if ring.len() >= most {
            ring.pop_front();
        }
        ring.push_back(tale);
    }

    /// Everything kept that was told after `seq`, oldest first.
    #[must_use]
    pub fn since(&self, seq: u64) -> Vec<Tale> {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tales: Vec<Tale> =
            rings.fills.iter().chain(&rings.alerts).filter(|t| t.seq > seq).cloned().collect();
        tales.sort_by_key(|tale| tale.seq);
        tales
    }

    /// How much has been told.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner).told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_fills_leaves_the_warnings() {
        let story = Story::default();
        let tell = |level, event| story.tell(Ts(1), level, event, "words", &Map::new());
        tell(NoteLevel::Error, "halted");
        for _ in 0..FILLS + 10 {
            tell(NoteLevel::Info, "filled");
        }
        tell(NoteLevel::Info, "state_changed");
        let kept = story.since(0);
        assert_eq!(kept.len(), FILLS + 1);
        assert_eq!((kept[0].event, kept[0].seq), ("halted", 1));
        assert_eq!(story.since(story.told() - 2).len(), 2);
        assert!(story.since(story.told()).is_empty());
    }
}
