//! The process without sockets: engine and protocols, turned as `live::core` turns them.

use std::mem;

use evenkeel::config::{Settings, read_secrets};
use evenkeel::domain::{Action, Event, HaltCause, Ts, VenueId};
use evenkeel::engine::Engine;
use evenkeel::venues::{Frame, Outbox, Protocol, Urgency};

/// Rounds of step and dispatch in one turn at most, as in `live::core`.
const ROUNDS: usize = 8;

pub struct Client {
    pub engine: Engine,
    protocols: Vec<Box<dyn Protocol>>,
    venues: Vec<VenueId>,
    inbox: Vec<Event>,
    frames: Vec<(usize, Frame)>,
    out: Outbox,
    last_turn: Ts,
    /// Steps made, for the bound on them.
    pub steps: u64,
    /// Those that nothing but time has caused.
    pub idle_steps: u64,
}

impl Client {
    pub fn new(settings: &Settings, epoch: u32, latch: Option<(HaltCause, String)>) -> Client {
        let secrets = read_secrets(settings).unwrap();
        Client {
            engine: Engine::new(settings.engine_params(epoch, latch)),
            protocols: settings.protocols(&secrets),
            venues: settings
                .instruments
                .iter()
                .map(|i| VenueId(u8::try_from(i.venue).unwrap()))
                .collect(),
            inbox: Vec::new(),
            frames: Vec::new(),
            out: Outbox::default(),
            last_turn: Ts::default(),
            steps: 0,
            idle_steps: 0,
        }
    }

    pub fn start(&mut self, now: Ts) {
        for venue in 0..self.protocols.len() {
            self.feed(venue, |protocol, out| protocol.start(now, out));
        }
    }

    /// Something for the protocol of a venue.
    pub fn feed(&mut self, venue: usize, f: impl FnOnce(&mut dyn Protocol, &mut Outbox)) {
        f(&mut *self.protocols[venue], &mut self.out);
        self.inbox.append(&mut self.out.events);
        self.frames.extend(self.out.frames.drain(..).map(|frame| (venue, frame)));
    }

    pub fn tell(&mut self, event: Event) {
        self.inbox.push(event);
    }

    /// When the next turn is due if nothing arrives.
    pub fn due(&self) -> Ts {
        if !self.inbox.is_empty() || !self.frames.is_empty() {
            return self.last_turn;
        }
        let timeouts = self.protocols.iter().filter_map(|protocol| protocol.next_timeout());
        timeouts.chain(self.engine.next_wakeup()).min().unwrap_or(Ts::FAR)
    }

    /// One turn; what it did goes to `watch`, what leaves is returned.
    pub fn turn(
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
                self.step(now, &mut watch);
            } else if self.frames.is_empty() {
                break;
            }
            let mut frames = mem::take(&mut self.frames);
            frames.sort_by_key(|(_, frame)| match frame {
                Frame::Http(request) => request.urgency,
                Frame::Connect { .. } | Frame::Close { .. } | Frame::Text { .. } => Urgency::Order,
            });
            leaving.extend(frames);
        }
        leaving
    }

    fn step(&mut self, now: Ts, watch: &mut impl FnMut(&Engine, &[Action])) {
        let inbox = mem::take(&mut self.inbox);
        let mut actions = Vec::new();
        self.engine.step(now, &inbox, &mut actions);
        self.steps += 1;
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
        let mut rest = &wire[..];
        while let Some(&(venue, _)) = rest.first() {
            let same = rest.iter().take_while(|(other, _)| *other == venue);
            let same: Vec<_> = same.map(|(_, action)| *action).collect();
            let mut taken = 0;
            self.feed(venue.index(), |protocol, out| {
                taken = protocol.encode_many(now, &same, out);
            });
            rest = &rest[taken..];
        }
    }
}
