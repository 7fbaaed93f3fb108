//! The trading loop: one thread, one task, everything that can delay an order in one file.
//!
//! Sockets, protocols and the engine live on one thread with a current-thread runtime: passing a
//! frame to another thread costs more than the whole decision. One turn of the loop is
//!
//! 1. take everything that is ready (frames, replies, commands, signals) and feed the protocols;
//! 2. step the engine once over all events together;
//! 3. encode, sign and write its decisions one by one, cancels first: the first is on the wire
//!    before the second is encoded;
//! 4. only then tell the observers: journal, log, status, metrics.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::clock::{self, Clock};
use super::http::{Http, Landed};
use super::link::{self, Heard, Link};
use super::metrics::{self, LinkMetrics, Metrics};
use super::observe::Observers;
use super::shutdown::{Asked, Signals, Stopping};
use super::status::Board;
use super::supervisor::Supervisor;
use super::{Handle, Reload};
use crate::domain::{Action, Control, Event, InstrumentId, LinkKind, NoteLevel, Ts, VenueId};
use crate::engine::{Ending, Engine};
use crate::journal::Record;
use crate::venues::{Frame, NoReply, Outbox, Protocol, Urgency, wire_order};

/// Frames taken from one websocket in one batch at most; the rest comes with the next.
const FRAMES: usize = 4096;
/// Rounds of step and dispatch in one turn at most; the rest comes with the next.
const ROUNDS: usize = 8;
/// Between two looks at everything that no event announces.
const CHORES: Duration = Duration::from_millis(100);
/// For the last requests after the engine has ended.
const FAREWELL: Duration = Duration::from_secs(2);
/// For them even when the shutdown deadline is nearer: an armed dead-man switch would cancel the
/// orders of the next run.
const LEAST_FAREWELL: Duration = Duration::from_millis(250);

mod chores;
mod reaction;

/// One venue: its protocol and its websockets.
struct Venue {
    id: VenueId,
    name: Arc<str>,
    protocol: Box<dyn Protocol>,
    links: Vec<(LinkKind, Link, LinkMetrics)>,
}

/// What one poll of everything brought.
struct Batch {
    /// When it was found ready.
    at: Instant,
    /// Its stamp.
    now: Ts,
    /// There was something in it.
    heard: bool,
    /// A text frame was among it.
    frames: bool,
}

/// The parts that `live::run` puts together.
pub(super) struct Parts {
    pub(super) instrument_venues: Vec<VenueId>,
    pub(super) venue_names: Vec<String>,
    pub(super) link_limits: link::Limits,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) http: Http,
    pub(super) control: mpsc::Receiver<Control>,
    pub(super) handle: Handle,
    pub(super) board: Arc<Board>,
    pub(super) observers: Observers,
    pub(super) metrics: Metrics,
    pub(super) shutdown_deadline: Duration,
    pub(super) stall: Duration,
    pub(super) signals: bool,
    pub(super) reload: Option<Reload>,
}

/// The owner of the trading thread.
pub(super) struct Driver {
    parts: Parts,
    engine: Engine,
    venues: Vec<Venue>,
    clock: Clock,
    started: Instant,
    signals: Option<Signals>,
    /// Only a daemon that has the process for itself talks to the service manager.
    supervisor: Option<Supervisor>,
    stopping: Stopping,
    timer: Pin<Box<Sleep>>,
    chores_due: Instant,
    last_poll: Instant,
    inbox: Vec<Event>,
    /// What the running step was given; what is found here after a panic is what caused it.
    stepping: Vec<Event>,
    /// Room for what a step decides.
    actions: Vec<Action>,
    stepped_at: Ts,
    frames: Vec<(usize, Frame)>,
    out: Outbox,
    records: Vec<Record>,
    seq: u64,
    /// The version of the ledger on disk.
    kept: u64,
    spun: bool,
    order_sent: bool,
    http_sent: bool,
    latency: Histogram<u64>,
    reactions: reaction::Reactions,
    /// When what this turn works on was found ready.
    heard_at: Instant,
}

impl Driver {
    /// Must be called within the runtime that will run it.
    pub(super) fn new(
        parts: Parts,
        engine: Engine,
        protocols: Vec<Box<dyn Protocol>>,
    ) -> std::io::Result<Driver> {
        let now = clock::instant();
        let venues = protocols.into_iter().zip(&parts.venue_names).enumerate();
        let venues = venues
            .map(|(index, (protocol, name))| Venue {
                id: VenueId(u8::try_from(index).expect("live::run refuses more than 255 venues")),
                name: Arc::from(name.as_str()),
                protocol,
                links: Vec::new(),
            })
            .collect();
        Ok(Driver {
            signals: if parts.signals { Some(Signals::listen()?) } else { None },
            supervisor: parts.signals.then(|| Supervisor::new(now)),
            stopping: Stopping::new(parts.shutdown_deadline),
            reactions: reaction::Reactions::new(parts.metrics.reactions.clone()),
            heard_at: now,
            parts,
            engine,
            venues,
            clock: Clock::new(),
            started: now,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            chores_due: now,
            last_poll: now,
            inbox: Vec::new(),
            stepping: Vec::new(),
            actions: Vec::new(),
            stepped_at: Ts::default(),
            frames: Vec::new(),
            out: Outbox::default(),
            records: Vec::new(),
            seq: 0,
            kept: 0,
            spun: false,
            order_sent: false,
            http_sent: false,
            latency: metrics::latency_histogram(),
        })
    }

    /// Turn until the engine has ended or the shutdown deadline has passed.
    pub(super) async fn run(&mut self) -> Ending {
        self.last_poll = clock::instant();
        let now = self.clock.now();
        for venue in 0..self.venues.len() {
            self.with_protocol(venue, |protocol, out| protocol.start(now, out));
        }
        self.turn(now).await;
        let ending = loop {
            self.wait_and_turn().await;
            if let Some(ending) = self.engine.ending() {
                break ending;
            }
            if self.stopping.is_overdue(clock::instant()) {
                break self.overdue();
            }
        };
        self.farewell(&ending).await;
        ending
    }

    async fn wait_and_turn(&mut self) {
        let batch = poll_fn(|cx| self.poll_inputs(cx)).await;
        self.heard_at = batch.at;
        self.turn(batch.now).await;
        if mem::take(&mut self.http_sent) {
            self.launch(batch.now).await;
        }
        // Connections write now. Without this, a flood of frames would also keep replies away.
        tokio::task::yield_now().await;
        if mem::take(&mut self.order_sent) && batch.frames {
            let took = batch.at.elapsed();
            metrics::record(&mut self.latency, took.as_nanos());
            self.parts.metrics.ticks.observe(took.as_secs_f64());
        }
        self.tell_observers();
        if clock::instant() >= self.chores_due {
            let now = self.clock.now();
            self.chores(now);
        }
    }

    /// Start the requests of this turn, up to handing them to their connections.
    async fn launch(&mut self, now: Ts) {
        poll_fn(|cx| {
            // What has landed meanwhile is fed at once and waits for the next turn.
            while let Poll::Ready(landed) = self.parts.http.poll(cx, now) {
                self.landed(now, landed);
            }
            Poll::Ready(())
        })
        .await;
    }

    // ---- taking in ----

    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> Poll<Batch> {
        let at = clock::instant();
        let mut batch = Batch { at, now: self.clock.now(), heard: false, frames: false };
        let stood_still = at.saturating_duration_since(mem::replace(&mut self.last_poll, at));
        if stood_still >= self.parts.stall {
            self.drop_stale_market_data(stood_still, &mut batch);
        }
        for venue in 0..self.venues.len() {
            for link in 0..self.venues[venue].links.len() {
                self.poll_link(cx, venue, link, &mut batch);
            }
        }
        while let Poll::Ready(landed) = self.parts.http.poll(cx, batch.now) {
            batch.heard = true;
            self.landed(batch.now, landed);
        }
        self.poll_commands(cx);
        let pending = batch.heard || !self.inbox.is_empty() || !self.frames.is_empty();
        // What has come due is served in every turn; the timer only ends a wait.
        if pending || self.poll_timer(cx, at) { Poll::Ready(batch) } else { Poll::Pending }
    }

    fn poll_link(&mut self, cx: &mut Context<'_>, venue: usize, link: usize, batch: &mut Batch) {
        for _ in 0..FRAMES {
            let (kind, socket, metrics) = &mut self.venues[venue].links[link];
            let kind = *kind;
            let Poll::Ready(heard) = socket.poll(cx, batch.at) else { return };
            match &heard {
                Heard::Open => metrics.opened(),
                Heard::Closed(_) => metrics.closed(),
                Heard::Text(_)
                | Heard::Alive
                | Heard::Successor
                | Heard::Renewed
                | Heard::NotRenewed(_) => {}
            }
            let now = batch.now;
            batch.heard = true;
            batch.frames |= matches!(heard, Heard::Text(_));
            self.with_protocol(venue, |protocol, out| match heard {
                Heard::Open => protocol.on_open(kind, now, out),
                Heard::Text(text) => protocol.on_text(kind, now, text.as_str(), out),
                Heard::Alive => protocol.on_alive(kind, now, out),
                Heard::Successor => protocol.on_successor(kind, now, out),
                Heard::Renewed => protocol.on_renewed(kind, now, out),
                Heard::NotRenewed(why) => protocol.on_not_renewed(kind, now, &why, out),
                Heard::Closed(why) => protocol.on_closed(kind, now, &why, out),
            });
        }
        self.parts.metrics.batch_limits.inc();
    }

    fn landed(&mut self, now: Ts, landed: Landed) {
        match &landed.reply.outcome {
            Err(NoReply::NotSent(_)) => self.parts.metrics.not_sent.inc(),
            Err(NoReply::Lost(_)) => self.parts.metrics.lost.inc(),
            Ok(_) => 0,
        };
        let Landed { venue, tag, reply, lane } = landed;
        if let (Some(urgency), Ok(_)) = (lane, &reply.outcome) {
            let took_s = now.since(reply.sent_at).0 as f64 * 1e-9;
            self.parts.metrics.round_trip(urgency, took_s);
        }
        self.with_protocol(venue.index(), |protocol, out| protocol.on_reply(tag, now, reply, out));
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) {
        while let Some(signals) = &mut self.signals
            && let Poll::Ready(asked) = signals.poll(cx)
        {
            match asked {
                Asked::Stop(name) => self.stop(name),
                Asked::HangUp => match self.parts.reload.clone() {
                    Some(reload) => self.reload(reload),
                    None => self.stop("SIGHUP"),
                },
            }
        }
        while let Poll::Ready(Some(control)) = self.parts.control.poll_recv(cx) {
            match control {
                Control::Stop => self.stop("command"),
                control => self.inbox.push(Event::Control(control)),
            }
        }
    }

    fn stop(&mut self, by: &str) {
        if self.stopping.ask(clock::instant()) {
            self.inbox.push(Event::Control(Control::Stop));
            self.say(NoteLevel::Info, "stop_asked", format!("stopping: {by}"));
        } else {
            let text = format!("{by}: already stopping; cancels are still being verified");
            self.say(NoteLevel::Warn, "stop_asked_again", text);
        }
    }

    /// Reading files takes time that the trading thread has not.
    fn reload(&self, reload: Reload) {
        let remarks = self.parts.observers.remarks().clone();
        let handle = self.parts.handle.clone();
        let body = move || match reload(false, &|control| handle.send(control)) {
            Ok(text) => remarks.say(NoteLevel::Info, "reload_done", text),
            Err(text) => remarks.say(NoteLevel::Error, "reload_refused", text),
        };
        if std::thread::Builder::new().name("reload".to_owned()).spawn(body).is_err() {
            self.say(NoteLevel::Error, "reload_refused", "no thread for it".to_owned());
        }
    }

    /// True when something is due.
    fn poll_timer(&mut self, cx: &mut Context<'_>, at: Instant) -> bool {
        let due = self.next_due();
        if due <= at {
            return true;
        }
        if self.timer.deadline().into_std() != due {
            self.timer.as_mut().reset(due.into());
        }
        self.timer.as_mut().poll(cx).is_ready()
    }

    fn next_due(&self) -> Instant {
        let protocols = self.venues.iter().filter_map(|v| v.protocol.next_timeout());
        let next = protocols.chain(self.engine.next_wakeup()).min();
        let next = next.map_or(self.chores_due, |at| self.clock.instant_of(at));
        // A wake-up that was due already has been served late once; never spin on it.
        let least = if self.spun { self.last_poll + Duration::from_millis(1) } else { next };
        next.max(least).min(self.chores_due)
    }

    /// After a standstill (SIGSTOP, a paused host) the frames that wait tell of a market that is
    /// gone: market data starts anew instead. The user stream is kept, because its fills are true.
    fn drop_stale_market_data(&mut self, stood_still: Duration, batch: &mut Batch) {
        self.parts.metrics.stalls.inc();
        let why = format!("this process stood still for {} ms", stood_still.as_millis());
        self.say(NoteLevel::Warn, "stalled", why.clone());
        let now = batch.now;
        batch.heard = true;
        for venue in 0..self.venues.len() {
            for link in 0..self.venues[venue].links.len() {
                let (kind, socket, metrics) = &mut self.venues[venue].links[link];
                let kind = *kind;
                if kind != LinkKind::User && socket.is_open() {
                    socket.close();
                    metrics.closed();
                    self.with_protocol(venue, |p, out| p.on_closed(kind, now, &why, out));
                }
            }
        }
    }

    // ---- deciding and sending ----

    fn with_protocol(&mut self, venue: usize, f: impl FnOnce(&mut dyn Protocol, &mut Outbox)) {
        let Some(entry) = self.venues.get_mut(venue) else { return };
        f(&mut *entry.protocol, &mut self.out);
        self.inbox.append(&mut self.out.events);
        self.frames.extend(self.out.frames.drain(..).map(|frame| (venue, frame)));
    }

    async fn turn(&mut self, now: Ts) {
        let mut now = now;
        self.fire_timeouts(now);
        for _ in 0..ROUNDS {
            if !self.inbox.is_empty() || self.engine.next_wakeup().is_some_and(|at| at <= now) {
                self.step(now).await;
            } else if self.frames.is_empty() {
                break;
            }
            self.dispatch(now).await;
            now = self.clock.now();
        }
        let mut next = self.venues.iter().filter_map(|v| v.protocol.next_timeout());
        self.spun =
            next.any(|at| at <= now) || self.engine.next_wakeup().is_some_and(|at| at <= now);
    }

    fn fire_timeouts(&mut self, now: Ts) {
        for venue in 0..self.venues.len() {
            if self.venues[venue].protocol.next_timeout().is_some_and(|at| at <= now) {
                self.with_protocol(venue, |protocol, out| protocol.on_timeout(now, out));
            }
        }
    }

    async fn step(&mut self, now: Ts) {
        mem::swap(&mut self.stepping, &mut self.inbox);
        self.stepped_at = now;
        let mut actions = mem::take(&mut self.actions);
        self.engine.step(now, &self.stepping, &mut actions);
        self.begin_ledger().await;
        let mut wire: Vec<&Action> =
            actions.iter().filter(|action| !matches!(action, Action::Note(_))).collect();
        wire.sort_by_key(|action| wire_order(action));
        self.send_all(now, &wire).await;
        let owed = |id| self.engine.owes_quotes(id);
        self.reactions.on_step(self.heard_at, clock::instant(), &actions, owed);
        self.seq += 1;
        self.parts.metrics.steps.inc();
        // Copied out after the wire was served; the rooms are kept for the next step.
        let mut inbox = Vec::with_capacity(self.stepping.len());
        inbox.append(&mut self.stepping);
        let mut told = Vec::with_capacity(actions.len());
        told.append(&mut actions);
        self.actions = actions;
        self.records.push(Record { seq: self.seq, now, inbox, actions: told });
    }

    /// Actions of one venue may share a request; each request is written before the next is made.
    async fn send_all(&mut self, now: Ts, actions: &[&Action]) {
        let mut rest = actions;
        while let Some(first) = rest.first() {
            let venue = self.venue_of(first);
            let same = rest.iter().take_while(|action| self.venue_of(action) == venue).count();
            let Some(venue) = venue else {
                self.fault(format!("an action has no venue: {first:?}"));
                rest = &rest[1..];
                continue;
            };
            let mut taken = 0;
            self.with_protocol(venue, |protocol, out| {
                taken = protocol.encode_many(now, &rest[..same], out);
            });
            self.dispatch(now).await;
            rest = &rest[taken.max(1)..];
        }
    }

    fn venue_of(&self, action: &Action) -> Option<usize> {
        let of = |instrument: InstrumentId| self.parts.instrument_venues.get(instrument.index());
        let venue = match action {
            Action::Place(order) => of(order.instrument).copied(),
            Action::Amend(amend) => of(amend.instrument).copied(),
            Action::Cancel { instrument, .. }
            | Action::Query { instrument, .. }
            | Action::Resync { instrument } => of(*instrument).copied(),
            Action::Reconcile { venue } => Some(*venue),
            Action::Note(_) => None,
        };
        venue.map(VenueId::index).filter(|&venue| venue < self.venues.len())
    }

    /// Something of ours failed that new risk must not rest on.
    fn fault(&mut self, text: String) {
        self.say(NoteLevel::Error, "fault", text.clone());
        self.inbox.push(Event::Control(Control::Fault { text }));
    }

    /// Hand frames to the sockets: cancels first, then the rest in order, background last. What
    /// trades is written before the next frame is looked at.
    async fn dispatch(&mut self, now: Ts) {
        let mut frames = mem::take(&mut self.frames);
        frames.sort_by_key(|(_, frame)| match frame {
            Frame::Http(request) => request.urgency,
            Frame::Connect { .. }
            | Frame::Close { .. }
            | Frame::Text { .. }
            | Frame::Greeting { .. } => Urgency::Order,
        });
        for (venue, frame) in frames.drain(..) {
            match frame {
                Frame::Http(request) => {
                    let trades = request.urgency != Urgency::Background;
                    self.http_sent |= !trades;
                    self.order_sent |= trades;
                    let id = self.venues[venue].id;
                    if let Some(refused) = self.parts.http.send(now, id, request) {
                        self.landed(now, refused);
                    } else if trades {
                        self.launch(now).await;
                        tokio::task::yield_now().await;
                    }
                }
                Frame::Connect { link, url, after } => {
                    let (_, socket, metrics) = self.link(venue, link);
                    if !socket.is_open() {
                        metrics.left();
                    }
                    socket.connect(url, after.to_std());
                }
                Frame::Close { link } => {
                    let (_, socket, metrics) = self.link(venue, link);
                    socket.close();
                    metrics.left();
                }
                Frame::Greeting { link, text } => {
                    if !self.link(venue, link).1.greet(text) {
                        self.parts.metrics.unsent_frames.inc();
                    }
                }
                Frame::Text { link, text } => {
                    if !self.link(venue, link).1.send(text) {
                        // Its `on_closed` is on the way or has been told.
                        self.parts.metrics.unsent_frames.inc();
                    }
                }
            }
        }
        frames.append(&mut self.frames);
        self.frames = frames;
    }

    fn link(&mut self, venue: usize, kind: LinkKind) -> &mut (LinkKind, Link, LinkMetrics) {
        let entry = &mut self.venues[venue];
        let place = entry.links.iter().position(|(k, ..)| *k == kind).unwrap_or_else(|| {
            let socket = Link::new(self.parts.link_limits.clone(), Arc::clone(&self.parts.tls));
            let metrics = self.parts.metrics.link(&entry.name, kind);
            entry.links.push((kind, socket, metrics));
            entry.links.len() - 1
        });
        &mut entry.links[place]
    }

    fn say(&self, level: NoteLevel, event: &'static str, text: String) {
        self.parts.observers.remarks().say(level, event, text);
    }

    fn tell_observers(&mut self) {
        for record in mem::take(&mut self.records) {
            if let Some(text) = self.parts.observers.record(record) {
                self.fault(text);
            }
        }
    }

    /// Let the observers finish; after a panic, with the record of the step that did not end.
    pub(super) fn finish(mut self, patience: Duration) {
        let inbox = mem::take(&mut self.stepping);
        if !inbox.is_empty() {
            let (seq, now) = (self.seq + 1, self.stepped_at);
            self.records.push(Record { seq, now, inbox, actions: Vec::new() });
        }
        self.tell_observers();
        if self.engine.is_session_over() {
            self.parts.observers.keep_ledger(None);
        } else if let Some(ledger) = self.engine.ledger() {
            self.parts.observers.keep_ledger(Some(ledger));
        }
        self.parts.observers.finish(patience);
    }
}

/// Shared by `Parts` and the handle: the control queue's bound.
pub(super) const CONTROLS: usize = 64;

/// The registry as the embedding program shares it.
pub type SharedRegistry = Arc<Mutex<prometheus_client::registry::Registry>>;
