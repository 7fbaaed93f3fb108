//! One core under load: messages faster than any venue sends them, a burst, a million orders.
//!
//! The real spot session decodes recorded messages (depth, best prices and trades as they came) and
//! the real engine decides on them, as `live::core` does it: take what has arrived, decide once.
//! The work is real, the arrivals are not: messages and order news arrive on a clock of their own,
//! and whoever comes while the core is busy waits, so that no sleep blurs the figure.
//! `cargo bench --bench load [-- --full]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

#[path = "common/frames.rs"]
mod frames;
#[path = "common/local.rs"]
mod local;
#[path = "common/quoting.rs"]
mod quoting;
#[path = "common/rig.rs"]
mod rig;

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use evenkeel::domain::{
    Action, BookUpdate, Event, InstrumentId, Level, LinkKind, Px, Qty, Span, State, Ts,
};
use evenkeel::venues::Outbox;
use quoting::Core;
use rig::Session;

/// Market messages a second.
const MESSAGES_PER_S: u64 = 20_000;
const BURST: u64 = 200_000;
/// Messages taken before the core decides, as in `live::core`.
const BATCH: usize = 4096;
/// From an order's request to the venue's word on it.
const ANSWER_AFTER_NS: u64 = 1_000_000;

/// Session and engine; the market's messages again and again, each round with a session anew.
struct Desk {
    messages: Vec<String>,
    place: usize,
    session: Session,
    core: Core,
    out: Outbox,
    began: Ts,
    /// The venue's words on their way, by their arrival.
    news: VecDeque<(u64, Event)>,
    order_events: u64,
    decisions: u64,
}

impl Desk {
    fn open() -> Desk {
        let (session, told) = Session::open_on(frames::far_snapshot());
        let core = Core::quoting(1);
        let began = core.now;
        let mut desk = Desk {
            messages: frames::market_messages(),
            place: 0,
            session,
            core,
            out: Outbox::default(),
            began,
            news: VecDeque::new(),
            order_events: 0,
            decisions: 0,
        };
        desk.begin_round(told);
        desk
    }

    /// The book as the session read it anew, and a perpetual beside it.
    fn begin_round(&mut self, told: Vec<Event>) {
        let mut events: Vec<Event> =
            told.into_iter().filter(|event| matches!(event, Event::Book(_))).collect();
        let level = |ticks| vec![Level { px: Px(ticks), qty: Qty(100_000) }];
        events.push(Event::Book(BookUpdate {
            instrument: InstrumentId(1),
            snapshot: true,
            bids: level(617_200),
            asks: level(617_201),
            at: self.core.now,
        }));
        self.core.step(&events);
        self.place = 0;
    }

    fn rewind(&mut self) {
        let (session, told) = Session::open_on(frames::far_snapshot());
        self.session = session;
        self.begin_round(told);
    }

    fn decode_next(&mut self) {
        let (message, now) = (&self.messages[self.place], self.session.now);
        self.session.protocol.on_text(LinkKind::Market, now, message, &mut self.out);
        self.place += 1;
    }

    /// One decision on all that was decoded, and on the order news that has arrived.
    fn decide(&mut self, now_ns: u64) {
        while self.news.front().is_some_and(|(at, _)| *at <= now_ns) {
            self.out.events.extend(self.news.pop_front().map(|(_, event)| event));
            self.order_events += 1;
        }
        let at = self.began + Span(i64::try_from(now_ns).unwrap());
        self.core.now = self.core.now.max(at);
        self.core.engine.step(self.core.now, &self.out.events, &mut self.core.actions);
        self.decisions += 1;
    }

    /// What the venue says to it, a little later; not our work.
    fn answer(&mut self, now_ns: u64) {
        self.out.events.clear();
        let at = now_ns + ANSWER_AFTER_NS;
        let answers = self.core.answers();
        self.news.extend(answers.into_iter().map(|event| (at, event)));
    }
}

/// Time that this thread has spent on work, a processor taken away by others left out: what the
/// kernel counts as waiting for one is subtracted (`/proc/thread-self/schedstat`).
struct Watch {
    waited: Option<File>,
    started: Instant,
    waited_ns: u64,
}

impl Watch {
    fn new() -> Watch {
        let waited = File::open("/proc/thread-self/schedstat").ok();
        Watch { waited, started: Instant::now(), waited_ns: 0 }
    }

    fn waited_ns(&self) -> u64 {
        let mut bytes = [0; 128];
        let length = self.waited.as_ref().and_then(|file| file.read_at(&mut bytes, 0).ok());
        let text = std::str::from_utf8(&bytes[..length.unwrap_or(0)]).unwrap();
        text.split_whitespace().nth(1).map_or(0, |ns| ns.parse().unwrap())
    }

    fn start(&mut self) {
        self.waited_ns = self.waited_ns();
        self.started = Instant::now();
    }

    fn work_ns(&self) -> u64 {
        let wall = u64::try_from(self.started.elapsed().as_nanos()).unwrap();
        wall.saturating_sub(self.waited_ns() - self.waited_ns)
    }
}

/// Messages by their arrival and what they waited: time passes only by work and by waiting.
struct Line {
    desk: Desk,
    watch: Watch,
    now_ns: u64,
    busy_ns: u64,
    waits_ns: Vec<u64>,
}

impl Line {
    fn open() -> Line {
        Line {
            desk: Desk::open(),
            watch: Watch::new(),
            now_ns: 0,
            busy_ns: 0,
            waits_ns: Vec::new(),
        }
    }

    /// Takes what has arrived of these, at most a batch, and decides.
    fn turn(&mut self, arrivals: &mut VecDeque<u64>) {
        let first = *arrivals.front().unwrap();
        self.now_ns = self.now_ns.max(first);
        let ready = arrivals.iter().take(BATCH).take_while(|at| **at <= self.now_ns).count();
        let mut took = 0;
        self.watch.start();
        for _ in 0..ready {
            if self.desk.place == self.desk.messages.len() {
                // The session that begins a round anew is none of the work.
                took += self.watch.work_ns();
                self.desk.rewind();
                self.watch.start();
            }
            self.desk.decode_next();
        }
        self.desk.decide(self.now_ns);
        took += self.watch.work_ns();
        self.now_ns += took;
        self.busy_ns += took;
        self.waits_ns.extend(arrivals.drain(..ready).map(|at| self.now_ns - at));
        self.desk.answer(self.now_ns);
    }
}

fn sustained(seconds: u64) {
    let mut line = Line::open();
    let gap = 1_000_000_000 / MESSAGES_PER_S;
    let mut arrivals: VecDeque<u64> = (1..=seconds * MESSAGES_PER_S).map(|n| n * gap).collect();
    while !arrivals.is_empty() {
        line.turn(&mut arrivals);
    }
    assert_eq!(line.desk.core.engine.state(), State::Quoting);
    line.waits_ns.sort_unstable();
    let last = (line.waits_ns.len() - 1) as f64;
    let at = |q: f64| line.waits_ns[(last * q) as usize] as f64 / 1000.0;
    println!(
        "{MESSAGES_PER_S} market messages/s and {} order events/s for {seconds} s, message to \
         decision: median {:.1} us, p99 {:.1} us, p99.9 {:.1} us; core busy {:.0} %, {:.1} messages \
         a decision",
        line.desk.order_events / seconds,
        at(0.5),
        at(0.99),
        at(0.999),
        line.busy_ns as f64 / line.now_ns as f64 * 100.0,
        line.waits_ns.len() as f64 / line.desk.decisions as f64,
    );
}

/// Everything at once, while the usual messages go on.
fn burst() {
    let mut line = Line::open();
    let mut arrivals: VecDeque<u64> = VecDeque::new();
    let gap = 1_000_000_000 / MESSAGES_PER_S;
    let (mut next, at) = (gap, 500_000_000);
    let (mut before, mut over) = (0, false);
    while !over {
        // What arrives until the end of the coming turn is not known; a second ahead is enough.
        while next <= line.now_ns + 1_000_000_000 {
            if next <= at && at < next + gap {
                arrivals.extend((0..BURST).map(|_| at));
            }
            arrivals.push_back(next);
            next += gap;
        }
        if line.now_ns < at {
            before = line.desk.decisions;
        }
        line.turn(&mut arrivals);
        let waited = line.now_ns - at.min(line.now_ns);
        over = waited > 0 && arrivals.front().is_none_or(|first| *first > line.now_ns);
    }
    println!(
        "a burst of {BURST} messages on top of it: decided on {:.0} ms later, in {} decisions",
        (line.now_ns - at) as f64 / 1e6,
        line.desk.decisions - before,
    );
}

fn resident_kb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Orders placed, acknowledged, cancelled: what is kept of them must not grow.
fn memory(orders: u64) {
    let mut core = Core::quoting(1);
    let mut run = |count: u64| {
        let mut sent = 0;
        while sent < count {
            let event = core.update(1800);
            core.step(&[event]);
            for _ in 0..2 {
                let places = |action: &&Action| matches!(action, Action::Place(_));
                sent += core.actions.iter().filter(places).count() as u64;
                core.settle();
            }
            core.actions.clear();
        }
    };
    run(orders / 5);
    let before = resident_kb();
    run(orders);
    let after = resident_kb();
    let growth = (after as f64 / before as f64 - 1.0) * 100.0;
    println!("{orders} orders after {}: {before} kB, then {after} kB, {growth:+.2} %", orders / 5);
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--full");
    memory(if full { 1_000_000 } else { 100_000 });
    sustained(if full { 30 } else { 4 });
    burst();
}
