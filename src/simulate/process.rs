//! How does the process run without sockets? Engine and protocols, turned as `live::core` turns
//! them, and the journal that a crash tears.

use std::collections::VecDeque;
use std::mem;

use super::plan::Dice;
use crate::config::{Secrets, Settings};
use crate::domain::{Action, Event, HaltCause, Ts, VenueId};
use crate::engine::{Engine, Ledger};
use crate::journal::Record;
use crate::venues::{Frame, Outbox, Protocol, Urgency, wire_order};

/// Rounds of step and dispatch in one turn at most, as in `live::core`.
const ROUNDS: usize = 8;
/// Records of the journal that a crash may tear.
const JOURNAL: usize = 8;

/// One start of the daemon.
pub(super) struct Process {
    pub(super) engine: Engine,
    protocols: Vec<Box<dyn Protocol>>,
    venues: Vec<VenueId>,
    inbox: Vec<Event>,
    frames: Vec<(usize, Frame)>,
    out: Outbox,
    last_turn: Ts,
    /// Steps made.
    pub(super) steps: u64,
    /// Those that nothing but time has caused.
    pub(super) idle_steps: u64,
    /// Events told.
    pub(super) events: u64,
    journal: VecDeque<Record>,
    /// Fed from the journal alone; must decide the same.
    twin: Option<Engine>,
    /// Where it did not.
    pub(super) diverged: Option<String>,
}

impl Process {
    /// `kept` is what the state directory remembers, a latched halt and a session's ledger;
    /// `replayed` runs a second core from the journal's lines beside the first.
    pub(super) fn new(
        (settings, secrets): (&Settings, &Secrets),
        epoch: u32,
        (latch, ledger): (Option<(HaltCause, String)>, Option<Ledger>),
        replayed: bool,
    ) -> Process {
        let params = settings.engine_params(epoch, latch);
        let mut twin = replayed.then(|| Engine::new(params.clone()));
        let mut engine = Engine::new(params);
        let mut protocols = settings.protocols(secrets);
        if let Some(ledger) = ledger {
            if let Some(twin) = &mut twin {
                twin.resume_session(ledger.clone());
            }
            engine.resume_session(ledger);
            let from = engine.trades_from();
            protocols.iter_mut().for_each(|protocol| protocol.resume_trades(&from));
        }
        Process {
            twin,
            engine,
            protocols,
            venues: settings
                .instruments
                .iter()
                .map(|i| VenueId(u8::try_from(i.venue).unwrap_or(u8::MAX)))
                .collect(),
            inbox: Vec::new(),
            frames: Vec::new(),
            out: Outbox::default(),
            last_turn: Ts::default(),
            steps: 0,
            idle_steps: 0,
            events: 0,
            journal: VecDeque::new(),
            diverged: None,
        }
    }

    pub(super) fn start(&mut self, now: Ts) {
        for venue in 0..self.protocols.len() {
            self.feed(venue, |protocol, out| protocol.start(now, out));
        }
    }

    /// What leaves last, after the engine has ended.
    pub(super) fn farewell(&mut self, now: Ts) -> Vec<(usize, Frame)> {
        for venue in 0..self.protocols.len() {
            self.feed(venue, |protocol, out| protocol.finish(now, out));
        }
        mem::take(&mut self.frames)
    }

    /// Something for the protocol of a venue.
    pub(super) fn feed(&mut self, venue: usize, f: impl FnOnce(&mut dyn Protocol, &mut Outbox)) {
        f(&mut *self.protocols[venue], &mut self.out);
        self.inbox.append(&mut self.out.events);
        self.frames.extend(self.out.frames.drain(..).map(|frame| (venue, frame)));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.inbox.push(event);
    }

    /// When the next turn is due if nothing arrives.
    pub(super) fn due(&self) -> Ts {
        if !self.inbox.is_empty() || !self.frames.is_empty() {
            return self.last_turn;
        }
        let timeouts = self.protocols.iter().filter_map(|protocol| protocol.next_timeout());
        timeouts.chain(self.engine.next_wakeup()).min().unwrap_or(Ts::FAR)
    }

    /// One turn; what each step did goes to `watch`, what leaves is returned.
    pub(super) fn turn(
        &mut self,
        now: Ts,
        mut watch: impl FnMut(&Engine, &[Action]),
    ) -> Vec<(usize, Frame)> {
        self.last_turn = now;
        for venue in 0..self.protocols.len() {
            if self.protocols[venue].next_timeout().is_some_and(|at| at <= now) {
                self.feed(venue, |protocol, out| protocol.on_timeout(now, out));
            }
        }
        let mut leaving = Vec::new();
        for _ in 0..ROUNDS {
            if !self.inbox.is_empty() || self.engine.next_wakeup().is_some_and(|at| at <= now) {
                self.step(now, &mut watch, &mut leaving);
            } else if self.frames.is_empty() {
                break;
            }
            self.dispatch(&mut leaving);
        }
        leaving
    }

    fn dispatch(&mut self, leaving: &mut Vec<(usize, Frame)>) {
        let mut frames = mem::take(&mut self.frames);
        frames.sort_by_key(|(_, frame)| match frame {
            Frame::Http(request) => request.urgency,
            Frame::Connect { .. }
            | Frame::Close { .. }
            | Frame::Text { .. }
            | Frame::Greeting { .. } => Urgency::Order,
        });
        leaving.extend(frames);
    }

    fn step(
        &mut self,
        now: Ts,
        watch: &mut impl FnMut(&Engine, &[Action]),
        leaving: &mut Vec<(usize, Frame)>,
    ) {
        let inbox = mem::take(&mut self.inbox);
        let mut actions = Vec::new();
        self.engine.step(now, &inbox, &mut actions);
        self.steps += 1;
        self.events += inbox.len() as u64;
        self.idle_steps += u64::from(inbox.is_empty());
        watch(&self.engine, &actions);
        let mut wire: Vec<(VenueId, &Action)> = Vec::new();
        for action in &actions {
            let venue = match action {
                Action::Place(order) => self.venues[order.instrument.index()],
                Action::Amend(amend) => self.venues[amend.instrument.index()],
                Action::Cancel { instrument, .. }
                | Action::Query { instrument, .. }
                | Action::Resync { instrument } => self.venues[instrument.index()],
                Action::Reconcile { venue } => *venue,
                Action::Note(_) => continue,
            };
            wire.push((venue, action));
        }
        wire.sort_by_key(|(_, action)| wire_order(action));
        let mut rest = &wire[..];
        while let Some(&(venue, _)) = rest.first() {
            let same = rest.iter().take_while(|(other, _)| *other == venue);
            let same: Vec<&Action> = same.map(|(_, action)| *action).collect();
            let mut taken = 0;
            self.feed(venue.index(), |protocol, out| {
                taken = protocol.encode_many(now, &same, out);
            });
            self.dispatch(leaving);
            rest = &rest[taken..];
        }
        let record = Record { seq: self.steps, now, inbox, actions };
        self.replay(&record);
        if self.journal.len() == JOURNAL {
            self.journal.pop_front();
        }
        self.journal.push_back(record);
    }

    /// The twin learns the record as a reader of the journal would.
    fn replay(&mut self, record: &Record) {
        let Some(twin) = &mut self.twin else { return };
        let line = serde_json::to_string(record);
        let read = line.and_then(|line| serde_json::from_str::<Record>(&line));
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                self.diverged.get_or_insert(format!("record {} unreadable: {error}", record.seq));
                return;
            }
        };
        let mut actions = Vec::new();
        twin.step(read.now, &read.inbox, &mut actions);
        if actions != record.actions {
            let text = format!("replay of record {} decides {actions:?}", record.seq);
            self.diverged.get_or_insert(text);
        }
    }

    /// The process dies while the end of its journal is being written: every whole line must read
    /// back as it was, and the cut one must be noticed.
    pub(super) fn tear(&self, dice: &mut Dice) -> Option<String> {
        let mut bytes = Vec::new();
        for record in &self.journal {
            serde_json::to_writer(&mut bytes, record).ok()?;
            bytes.push(b'\n');
        }
        let cut = dice.within(0, bytes.len() as i64 + 1).unsigned_abs() as usize;
        let mut lines = bytes[..cut].split_inclusive(|byte| *byte == b'\n');
        for record in &self.journal {
            let line = lines.next().unwrap_or_default();
            let whole = line.ends_with(b"\n");
            match serde_json::from_slice::<Record>(line) {
                Ok(read) if whole && read.inbox != record.inbox => {
                    return Some(format!("record {} reads back as another", record.seq));
                }
                Err(error) if whole => {
                    return Some(format!("record {}: {error}", record.seq));
                }
                _ if !whole => break,
                _ => {}
            }
        }
        None
    }
}
