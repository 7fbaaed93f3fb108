//! What an observer may see of a running driver: a snapshot, published ten times a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::domain::{LinkKind, ReactionTimes, Ts, VenueId};
use crate::engine::{self, Ladder};

/// A view of the whole daemon at one instant. Serialises flat: the engine's fields beside ours.
#[derive(Debug, Serialize)]
pub struct Snapshot {
    /// When, RFC 3339.
    #[serde(serialize_with = "rfc_3339")]
    pub at: Ts,
    /// When, nanoseconds since the Unix epoch.
    pub at_ns: Ts,
    /// What the engine says.
    #[serde(flatten)]
    pub engine: engine::Status,
    /// What the driver says.
    pub driver: DriverStatus,
    /// The near end of the books; empty while nobody watches.
    #[serde(skip)]
    pub ladders: Vec<Ladder>,
    /// Nanoseconds from a frame received to its order requests written, over the run.
    #[serde(skip)]
    pub latency: Histogram<u64>,
}

/// What the driver says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct DriverStatus {
    /// Version of the program.
    pub version: &'static str,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Steps of the core.
    pub steps: u64,
    /// Websockets.
    pub links: Vec<LinkStatus>,
    /// HTTP requests in flight or waiting.
    pub open_requests: usize,
    /// Records that wait for the journal.
    pub journal_queue_records: u64,
    /// Log lines lost to a slow log.
    pub log_lines_lost: u64,
    /// Median from a frame received to its order requests written, microseconds.
    pub tick_to_wire_p50_us: f64,
    /// The same at the 99th percentile.
    pub tick_to_wire_p99_us: f64,
    /// How many were measured.
    pub tick_to_wire_count: u64,
    /// How fast fills and exposure were answered.
    #[serde(flatten)]
    pub reactions: ReactionTimes,
}

/// One websocket.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// Of which venue.
    pub venue: VenueId,
    /// Its configured name.
    pub venue_name: Arc<str>,
    /// Which.
    pub link: LinkKind,
    /// Open now.
    pub open: bool,
    /// Milliseconds since anything was heard on it.
    pub quiet_ms: u64,
    /// Times that it was closed or could not be opened.
    pub closes: u64,
}

fn rfc_3339<S: Serializer>(at: &Ts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Where the last snapshot hangs for others to read.
#[derive(Debug, Default)]
pub(super) struct Board {
    last: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    watchers: AtomicUsize,
}

/// Held by whoever wants to see books.
pub(super) struct Watching(Arc<Board>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Board {
    /// Hang up a newer snapshot; while somebody reads the last one, leave it to the next time.
    pub(super) fn offer(&self, at: Instant, snapshot: Snapshot) {
        if let Ok(mut last) = self.last.try_lock() {
            *last = Some((at, Arc::new(snapshot)));
        }
    }

    /// Somebody wants to see books, until it is dropped.
    pub(super) fn watching(self: &Arc<Board>) -> Watching {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Watching(Arc::clone(self))
    }

    /// Whether anybody wants to see books.
    pub(super) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// The last snapshot and when it was taken.
    pub(super) fn read(&self) -> Option<(Instant, Arc<Snapshot>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Snapshot {
    /// The snapshot as one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|e| format!(r#"{{"error":"status cannot be serialised: {e}"}}"#))
    }
}
