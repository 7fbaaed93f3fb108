//! What happens around the process? Virtual time, the exchange, one process after the other, and
//! the faults of the plan at their moments.

use std::collections::{BTreeMap, VecDeque};

use super::cells::{Kind, Phase};
use super::disk::Disk;
use super::plan::{Dice, EPOCH, Fault, PATIENCE, Plan};
use super::process::Process;
use super::setup::{local_exchange, settings};
use super::watch::{Bounds, PROBLEMS, Watch};
use crate::config::{Secrets, Settings, Target, VenueKind as Configured};
use crate::domain::{Control, Event, HaltCause, InstrumentKind, Money, Px, Side, Span, State, Ts};
use crate::engine::Ending;
use crate::sim::faces::LocalExchange;
use crate::sim::faces::faults::VenueKind;
use crate::sim::faces::streams::{ConnId, Outbox};
use crate::sim::{MarketId, OrderKey, toy};
use crate::venues::Tag;

mod checks;
mod moments;
mod network;
mod quiet;
mod strike;

use network::{Conn, Flight, Message};

/// The exchange is moved on at least so often while nothing arrives.
const TICK: Span = Span::from_ms(5);
/// How often the slower checks are made.
const CHECK: Span = Span::from_ms(100);
/// From the end of a process to the start of the next.
const RESTART: Span = Span::from_s(1);

/// A fault that has begun and not ended, between the process and a venue.
#[derive(Clone, Copy, Debug)]
struct Ailment {
    venue: VenueKind,
    kind: Kind,
    size: i64,
    until: Ts,
}

/// Requests, steps and idle steps at the last check of the pace, and when that was.
#[derive(Clone, Copy, Debug)]
struct Pace {
    requests: u64,
    steps: u64,
    idle: u64,
    since: Ts,
}

/// A session.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) watch: Watch,
    /// Cells of the matrix that were met.
    pub(super) cells: BTreeMap<(Kind, Phase), u64>,
    /// Events that all processes were told.
    pub(super) events: u64,
    /// Longest times from mending, milliseconds: until the readings agreed, until both sides were
    /// quoted.
    pub(super) healed_ms: [i64; 2],
    settings: Settings,
    secrets: Secrets,
    now: Ts,
    /// Never goes back, whatever the clock does.
    our_clock: Ts,
    skew: Span,
    kinds: Vec<VenueKind>,
    dice: Dice,
    exchange: LocalExchange,
    out: Outbox,
    process: Option<Process>,
    disk: Disk,
    run: u32,
    start_at: Ts,
    ready_at: Ts,
    frozen_since: Option<Ts>,
    /// A reload was told, and the process has not turned since.
    reload_told: bool,
    queue: BTreeMap<(Ts, u64), Message>,
    sent: u64,
    conns: BTreeMap<ConnId, Conn>,
    flights: BTreeMap<(u32, usize, Tag), Flight>,
    ailments: Vec<Ailment>,
    /// Limits of markets that a fault has changed, and when they come back.
    limits_back: Option<Ts>,
    foreign: Vec<(MarketId, OrderKey)>,
    /// Since when and until when each venue's 429 or 418 ask for silence.
    silence: Vec<(Ts, Ts)>,
    /// Until when a fault or its aftermath may excuse a delay.
    unwell_until: Ts,
    waiting: Vec<(Fault, bool)>,
    next_tick: Ts,
    next_check: Ts,
    requests: u64,
    pace: Pace,
    pulled_since: BTreeMap<(usize, usize), Ts>,
    orphan_since: BTreeMap<String, Ts>,
    wrong_book_since: Vec<Option<Ts>>,
    /// Since when each instrument's holding is not what the exchange says.
    wrong_held_since: Vec<Option<Ts>>,
    /// What each venue's user stream and listing owe, as the process must see it.
    owed: Vec<network::Owed>,
    /// All money at the start.
    equity: Money,
    killed_at: Option<Ts>,
    /// The touches that were true, by market: until when.
    touches: Vec<VecDeque<(Ts, Px, Px)>>,
    ending: Option<Ending>,
    /// The session is over when the process ends.
    last_stop: bool,
    mended_at: Option<Ts>,
    unhealed: [bool; 2],
    inventory: quiet::Inventory,
}

impl World {
    pub(super) fn new(
        plan: Plan,
        base: &Settings,
        secrets: &Secrets,
        tracing: bool,
    ) -> Result<World, String> {
        let settings = settings(base, &plan);
        let mut secrets = secrets.clone();
        let exchange = local_exchange(&plan, &secrets)?;
        if settings.venues.len() < secrets.venues.len() {
            secrets.venues.remove(0);
        }
        let is_spot = |venue: usize| settings.venues[venue].kind == Configured::BinanceSpot;
        let kinds: Vec<VenueKind> = (0..settings.venues.len())
            .map(|venue| if is_spot(venue) { VenueKind::Spot } else { VenueKind::Usdm })
            .collect();
        let mut watch = watch_over(&settings, &kinds);
        watch.tracing = tracing;
        Ok(World {
            cells: BTreeMap::new(),
            events: 0,
            healed_ms: [0; 2],
            dice: Dice::new(plan.seed ^ 0x5eed),
            wrong_book_since: vec![None; settings.instruments.len()],
            wrong_held_since: vec![None; settings.instruments.len()],
            owed: vec![network::Owed::default(); kinds.len()],
            equity: checks::equity(exchange.exchange(), &watch.bounds),
            watch,
            exchange,
            settings,
            secrets,
            now: EPOCH,
            our_clock: EPOCH,
            skew: plan.skew,
            silence: vec![(Ts(0), Ts(0)); kinds.len()],
            kinds,
            out: Outbox::default(),
            process: None,
            disk: Disk::default(),
            run: 0,
            start_at: EPOCH,
            ready_at: EPOCH,
            frozen_since: None,
            reload_told: false,
            queue: BTreeMap::new(),
            sent: 0,
            conns: BTreeMap::new(),
            flights: BTreeMap::new(),
            ailments: Vec::new(),
            limits_back: None,
            foreign: Vec::new(),
            unwell_until: EPOCH,
            waiting: plan.faults.iter().map(|fault| (*fault, false)).collect(),
            next_tick: EPOCH,
            next_check: EPOCH,
            requests: 0,
            pace: Pace { requests: 0, steps: 0, idle: 0, since: EPOCH },
            pulled_since: BTreeMap::new(),
            orphan_since: BTreeMap::new(),
            killed_at: None,
            touches: vec![VecDeque::new(); 2],
            ending: None,
            last_stop: false,
            mended_at: None,
            unhealed: [false; 2],
            inventory: quiet::Inventory::default(),
            plan,
        })
    }

    /// The whole session: round after round of trouble and healing, then the stop.
    pub(super) fn session(&mut self) {
        for round in self.plan.rounds.clone() {
            self.until(EPOCH + round.mended);
            self.mend();
            self.until(EPOCH + round.judged);
            if self.is_broken() {
                return;
            }
            self.check_healed();
        }
        self.until(EPOCH + self.plan.stop);
        if !self.plan.faulty {
            self.check_healed();
        }
        self.stop_for_good();
    }

    fn stop_for_good(&mut self) {
        self.last_stop = true;
        self.tell(Control::Stop);
        let deadline = self.now + self.settings.shutdown.deadline + Span::from_s(1);
        while self.ending.is_none() && self.now < deadline {
            self.until(self.now + Span::from_ms(100));
        }
        self.check_ended();
    }

    /// The running process, to look at.
    pub(super) fn engine(&self) -> Option<&crate::engine::Engine> {
        self.process.as_ref().map(|process| &process.engine)
    }

    /// How long the session has lasted.
    pub(super) fn lasted(&self) -> Span {
        self.now.since(EPOCH)
    }

    fn is_broken(&self) -> bool {
        self.watch.problems.len() >= PROBLEMS
    }

    /// Our clock: it may run ahead or stand still, but never goes back, like `live::clock`.
    fn client_now(&mut self) -> Ts {
        self.our_clock = self.our_clock.max(self.now + self.skew);
        self.our_clock
    }

    /// Everything until that instant.
    pub(super) fn until(&mut self, end: Ts) {
        loop {
            let mut next = end.0.min(self.next_tick.0).min(self.next_check.0);
            if let Some(((at, _), _)) = self.queue.first_key_value() {
                next = next.min(at.0);
            }
            next = next.min(match &self.process {
                // A clock that stands still reaches its next instant only after it goes on.
                Some(_) if self.ending.is_some() => i64::MAX,
                Some(process) => (process.due() - self.skew).max(self.ready_at).0,
                None => self.start_at.0,
            });
            self.now = self.now.max(Ts(next));
            if self.now >= end {
                return;
            }
            self.instant();
            if self.is_broken() {
                return;
            }
        }
    }

    fn instant(&mut self) {
        if self.now >= self.next_tick {
            self.exchange.advance(self.now, &mut self.out);
            self.next_tick = self.exchange.next_wakeup().max(self.now + Span(1_000));
            self.next_tick = self.next_tick.min(self.now + TICK.max(Span::from_ms(50)));
            self.note_touches();
            self.flush();
        }
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let message = entry.remove();
            self.deliver(message);
        }
        let ended = self.ending.is_some() && !self.last_stop;
        if self.process.is_none() && self.now >= self.start_at && !ended && !self.last_stop {
            self.start();
        }
        self.turn();
        if self.now >= self.next_check {
            self.next_check = self.now + CHECK;
            self.check();
        }
        self.strike_what_is_due();
    }

    // ---- the process

    fn start(&mut self) {
        self.run += 1;
        self.watch.process_starts();
        let latch = self.watch.latch.clone();
        let now = self.client_now();
        let ledger = self.disk.read().unwrap_or_else(|text| {
            self.watch.problem(now, "I13", text);
            None
        });
        let replayed = self.plan.seed.is_multiple_of(16);
        let mut process = Process::new(
            (&self.settings, &self.secrets),
            1_800_000_000 + self.run,
            (latch, ledger),
            replayed,
        );
        process.start(now);
        self.process = Some(process);
        self.ready_at = self.now;
        let run = self.run;
        self.watch.say(self.now, || format!("process {run} starts"));
    }

    fn turn(&mut self) {
        let now = self.client_now();
        if self.now < self.ready_at || self.ending.is_some() {
            return;
        }
        if let Some(since) = self.frozen_since.take() {
            self.thaw(since);
        }
        let Some(process) = &mut self.process else { return };
        if process.due() > now {
            return;
        }
        self.reload_told = false;
        let watch = &mut self.watch;
        let mut frames = process.turn(now, |engine, actions| watch.on_step(now, engine, actions));
        self.disk.keep(now, &process.engine);
        if let Some(text) = process.diverged.take() {
            self.watch.problem(now, "I17", text);
        }
        let ending = process.engine.ending();
        if ending.is_some() {
            frames.extend(process.farewell(now));
            self.disk.finish(&process.engine);
        }
        self.check_just_ended(now);
        let busy = self.plan.busy.0.max(1_000);
        self.ready_at = self.now + Span(self.dice.within(1_000, busy + 1_001));
        for (venue, frame) in frames {
            self.dispatch(venue, frame);
        }
        if ending.is_some() && self.ending.is_none() {
            self.ending = ending;
            self.process_ended();
        }
    }

    /// A process that was stopped in a round: what it claims must be true, and another begins.
    fn process_ended(&mut self) {
        if self.last_stop {
            return;
        }
        self.check_claim();
        self.ending = None;
        self.bury();
        self.start_at = self.now + RESTART;
        self.watch.count("stopped and started again");
    }

    /// Takes the process away, dead or ended.
    fn bury(&mut self) {
        if let Some(process) = self.process.take() {
            self.events += process.events;
        }
        let ours: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in ours {
            self.leave(conn);
        }
        self.flights.clear();
        self.pulled_since.clear();
        (self.frozen_since, self.reload_told) = (None, false);
        self.killed_at = None;
        self.wrong_book_since.fill(None);
        self.wrong_held_since.fill(None);
        self.owed.fill(network::Owed::default());
        (0..self.kinds.len()).for_each(|venue| self.watch.link_lost(venue));
        // The next process cannot know what the venue told this one.
        self.silence.fill((Ts(0), Ts(0)));
        self.unwell_until = self.unwell_until.max(self.now + Span::from_s(16));
    }

    /// A command of the operator.
    fn tell(&mut self, control: Control) {
        if let Some(process) = &mut self.process {
            process.tell(Event::Control(control));
        }
    }

    /// Everything is mended, and the operator resumes what stands still.
    fn mend(&mut self) {
        self.ailments.clear();
        self.skew = self.skew.max(Span::from_ms(-400)).min(Span::from_ms(400));
        for (market, key) in std::mem::take(&mut self.foreign) {
            let command = crate::sim::Command::Cancel { market, key };
            // It may have been filled or cancelled meanwhile.
            let _gone = self.exchange.submit(self.now, super::watch::OURS, &command, &mut self.out);
        }
        self.flush();
        let halted = self.process.as_ref().is_some_and(|process| {
            process.engine.state() == State::Halted || process.engine.is_paused()
        });
        // A process that has just started learns of an earlier halt when it has read the accounts.
        if halted || self.watch.latch.is_some() {
            self.watch.latch = None;
            self.tell(Control::Resume);
        }
        self.watch.journal_failed = false;
        (self.watch.told, self.watch.still) = ([false; 2], [false; 2]);
        self.killed_at = None;
        self.mended_at = Some(self.now);
        self.unhealed = [self.plan.faulty; 2];
        let now = self.our_clock;
        self.watch.say(now, || "everything is mended".to_owned());
    }

    fn documented_halt(&self) -> bool {
        let cause = self.process.as_ref().and_then(|process| process.engine.halt_cause());
        matches!(
            cause,
            Some(HaltCause::LossLimit | HaltCause::RepeatedExecution | HaltCause::RejectLoop)
        )
    }

    fn note_touches(&mut self) {
        for market in 0..self.touches.len() {
            let Some(best) = self.exchange.exchange().book_ticker(MarketId(market as u16)) else {
                continue;
            };
            let (Some(bid), Some(ask)) = (best.bid, best.ask) else { continue };
            let (now, old) = (self.now, &mut self.touches[market]);
            match old.back_mut() {
                Some(last) if (last.1, last.2) == (bid.px, ask.px) => last.0 = now,
                _ => old.push_back((now, bid.px, ask.px)),
            }
            while old.front().is_some_and(|first| now.since(first.0) > checks::BOOK_MEMORY) {
                old.pop_front();
            }
        }
    }

    /// Strikes the faults whose time and moment have come.
    fn strike_what_is_due(&mut self) {
        let now = self.now;
        let mut at = 0;
        while at < self.waiting.len() {
            let (fault, prepared) = self.waiting[at];
            if EPOCH + fault.at > now {
                return;
            }
            if now.since(EPOCH + fault.at) > PATIENCE {
                self.watch.count("moment that did not come");
                self.waiting.remove(at);
                continue;
            }
            if !prepared {
                self.prepare(fault.phase);
                self.waiting[at].1 = true;
            }
            if self.is_moment(fault.phase) {
                self.waiting.remove(at);
                *self.cells.entry((fault.kind, fault.phase)).or_default() += 1;
                self.strike(&fault);
            } else {
                at += 1;
            }
        }
    }

    fn sides(&self, wanted: impl Fn(crate::domain::Reason) -> bool) -> bool {
        let Some(process) = &self.process else { return false };
        let engine = &process.engine;
        let quoted = (0..self.settings.instruments.len())
            .map(|index| crate::domain::InstrumentId(index as u16))
            .filter(|id| engine.is_quoted(*id));
        quoted.flat_map(|id| Side::BOTH.map(|side| engine.side_reason(id, side))).all(wanted)
    }
}

/// The limits that the settings set, as the exchange can check them.
fn watch_over(settings: &Settings, kinds: &[VenueKind]) -> Watch {
    let bounds = settings.instruments.iter().map(|i| Bounds {
        market: MarketId(u16::from(kinds[i.venue] == VenueKind::Usdm)),
        venue: i.venue,
        target_base: match i.inventory_target_base {
            Target::Base(base) => base,
            Target::AsFound => Money::ZERO,
        },
        limit_base: i.inventory_limit_base,
        lot_base: toy::instrument(match kinds[i.venue] {
            VenueKind::Spot => InstrumentKind::Spot,
            VenueKind::Usdm => InstrumentKind::LinearPerpetual,
        })
        .lot_size,
    });
    let prefix = settings.environment.order_id_prefix.clone();
    let mut watch = Watch::new(prefix, bounds.collect(), settings.risk.max_net_exposure_quote);
    watch.max_book_age = settings.market.max_book_age;
    watch.heard_at = vec![Ts(0); kinds.len()];
    watch.snapshots = vec![false; kinds.len()];
    watch
}
