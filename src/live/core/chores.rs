//! What the loop does beside trading: look after links and observers, show itself, say farewell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::clock;
use super::super::metrics::link_name;
use super::super::status::{DriverStatus, LinkStatus, Snapshot};
use super::{CHORES, Driver, FAREWELL, LEAST_FAREWELL};
use crate::domain::{NoteLevel, Ts};
use crate::engine::Ending;

/// Levels a side that a dashboard sees of a book.
const LADDER_LEVELS: usize = 10;
/// How long the first order waits for a disk; one that fails is told of and stops new risk.
const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

impl Driver {
    /// What no event announces: silent links, failed observers, a stepped clock; and the snapshot.
    pub(super) fn chores(&mut self, now: Ts) {
        let at = clock::instant();
        self.chores_due = at + CHORES;
        if let Some(step) = self.clock.step() {
            self.parts.metrics.clock_steps.inc();
            let text = format!("the wall clock stepped by {} ms; ours did not", step.ms());
            self.say(NoteLevel::Warn, "clock_stepped", text);
        }
        for venue in 0..self.venues.len() {
            for link in 0..self.venues[venue].links.len() {
                let (kind, socket, metrics) = &mut self.venues[venue].links[link];
                let kind = *kind;
                if let Some(why) = socket.tick(at) {
                    metrics.closed();
                    self.with_protocol(venue, |p, out| p.on_closed(kind, now, &why, out));
                }
            }
        }
        for text in self.parts.observers.failures() {
            self.fault(text);
        }
        self.keep_ledger();
        self.beat(at);
        self.publish(now, at);
    }

    /// Hands a ledger that has changed to its keeper, unless he is still busy with the last one.
    pub(super) fn keep_ledger(&mut self) {
        let version = self.engine.ledger_version();
        if version == self.kept || !self.parts.observers.takes_ledger() {
            return;
        }
        if let Some(ledger) = self.engine.ledger()
            && self.parts.observers.keep_ledger(Some(ledger))
        {
            self.kept = version;
        }
    }

    /// No order leaves before a ledger is on disk: without one, a process that died at once would
    /// leave fills that no session counts.
    pub(super) async fn begin_ledger(&mut self) {
        if self.kept > 0 || !self.parts.observers.takes_ledger() {
            return;
        }
        self.keep_ledger();
        let given_up = clock::instant() + LEDGER_PATIENCE;
        while self.kept > 0 && !self.parts.observers.takes_ledger() && clock::instant() < given_up {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Feeds the service manager's watchdog and tells it the state.
    fn beat(&mut self, at: Instant) {
        let state = self.engine.state();
        let Some(supervisor) = &mut self.supervisor else { return };
        supervisor.beat(at, state);
        if let Some(text) = supervisor.trouble() {
            self.say(NoteLevel::Warn, "supervisor_deaf", text);
        }
    }

    fn publish(&mut self, now: Ts, at: Instant) {
        let metrics = &self.parts.metrics;
        let queued = self.parts.observers.journal_queued();
        metrics.journal_queue.set(i64::try_from(queued).unwrap_or(i64::MAX));
        let open_requests = self.parts.http.open_requests();
        metrics.open_requests.set(i64::try_from(open_requests).unwrap_or(i64::MAX));
        let uptime = at.saturating_duration_since(self.started);
        let us = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        let driver = DriverStatus {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: millis(uptime),
            steps: self.seq,
            links: self.links(at),
            open_requests,
            journal_queue_records: queued,
            log_lines_lost: metrics.lines_lost.get(),
            tick_to_wire_p50_us: us(0.5),
            tick_to_wire_p99_us: us(0.99),
            tick_to_wire_count: self.latency.len(),
            reactions: self.reactions.status(),
        };
        let engine = self.engine.status(now);
        let watched = self.parts.board.is_watched();
        let ladders = if watched { self.engine.ladders(LADDER_LEVELS) } else { Vec::new() };
        let latency = self.latency.clone();
        let snapshot = Snapshot { at: now, at_ns: now, engine, driver, ladders, latency };
        self.parts.board.offer(at, snapshot);
    }

    fn links(&self, at: Instant) -> Vec<LinkStatus> {
        let all = self.venues.iter().flat_map(|v| v.links.iter().map(move |link| (v, link)));
        all.map(|(venue, (kind, socket, metrics))| LinkStatus {
            venue: venue.id,
            venue_name: Arc::clone(&venue.name),
            link: *kind,
            open: socket.is_open(),
            quiet_ms: millis(socket.quiet(at)),
            closes: metrics.closes(),
        })
        .collect()
    }

    pub(super) fn overdue(&self) -> Ending {
        let down: Vec<String> = self
            .venues
            .iter()
            .flat_map(|v| v.links.iter().map(move |(kind, socket, _)| (v, *kind, socket)))
            .filter(|(_, _, socket)| !socket.is_open())
            .map(|(venue, kind, _)| format!("{} {}", venue.name, link_name(kind)))
            .collect();
        let down = if down.is_empty() {
            "all links up".to_owned()
        } else {
            format!("links down: {}", down.join(", "))
        };
        Ending::MaybeLeft {
            text: format!(
                "not verified within the shutdown deadline; {} requests without a reply; {down}",
                self.parts.http.open_requests()
            ),
        }
    }

    /// Nothing is left: take the dead-man switches back. Otherwise leave them armed, they may be
    /// the last to cancel.
    pub(super) async fn farewell(&mut self, ending: &Ending) {
        self.beat(clock::instant());
        match ending {
            Ending::FlatAndClean | Ending::SafetyHaltFlat { .. } => {
                let now = self.clock.now();
                for venue in 0..self.venues.len() {
                    self.with_protocol(venue, |protocol, out| protocol.finish(now, out));
                }
                let patience = self.stopping.deadline().map_or(FAREWELL, |deadline| {
                    let left = deadline.saturating_duration_since(clock::instant());
                    left.clamp(LEAST_FAREWELL, FAREWELL)
                });
                let last_requests = async {
                    self.dispatch(now).await;
                    while self.parts.http.open_requests() > 0 {
                        self.launch(now).await;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                if tokio::time::timeout(patience, last_requests).await.is_err() {
                    let text = "a venue did not confirm the last requests".to_owned();
                    self.say(NoteLevel::Warn, "farewell_unanswered", text);
                }
            }
            Ending::MaybeLeft { .. } | Ending::Refused { .. } | Ending::Misconfigured { .. } => {}
        }
        for venue in &mut self.venues {
            for (_, socket, metrics) in &mut venue.links {
                socket.close();
                metrics.left();
            }
        }
        self.tell_observers();
        let now = self.clock.now();
        self.publish(now, clock::instant());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
