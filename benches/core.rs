//! What the trading thread does with a frame: decode and apply it, decide, encode and sign.
//!
//! Frames are recorded ones where the shared folder is there (`EVENKEEL_SHARED`, default
//! `../shared`), synthetic ones elsewhere. `cargo bench --bench core [-- --quick]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

#[path = "common/frames.rs"]
mod frames;
#[path = "common/local.rs"]
mod local;
#[path = "common/quoting.rs"]
mod quoting;
#[path = "core/replay.rs"]
mod replay;
#[path = "common/rig.rs"]
mod rig;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use evenkeel::domain::*;
use evenkeel::market::Book;
use evenkeel::quoting::glft::{Market, Outlook, problem};
use evenkeel::risk::capital::{Tail, historical, make_semi_definite, parametric};
use evenkeel::venues::{Frame, NoReply, Outbox, Reply};
use quoting::Core;
use replay::Replay;
use rig::Session;

/// A depth frame as it is read from the socket, into the book that quotes are made on.
fn decode_and_apply(c: &mut Criterion) {
    let frames = frames::depth_frames();
    let mut group = c.benchmark_group("decode and apply");
    group.bench_function("diff-depth frame", |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            let mut left = iterations as usize;
            while left > 0 {
                let count = left.min(frames.len());
                left -= count;
                let (mut session, mut book) = (Session::open(), Book::new());
                let mut out = Outbox::default();
                book.apply(&frames::snapshot_update());
                let (now, started) = (session.now, Instant::now());
                for frame in &frames[..count] {
                    session.protocol.on_text(LinkKind::Market, now, frame, &mut out);
                    for event in out.events.drain(..) {
                        if let Event::Book(update) = event {
                            book.apply(&update);
                        }
                    }
                    black_box(book.touch());
                }
                took += started.elapsed();
            }
            took
        });
    });
    group.finish();
}

/// An order from the decision to the signed request.
fn encode_and_sign(c: &mut Criterion) {
    let order = |counter: u32| {
        Action::Place(NewOrder {
            id: OrderId { epoch: 1_795_000_000, counter },
            instrument: InstrumentId(0),
            side: Side::Buy,
            px: Px(5_999_900),
            qty: Qty(200),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        })
    };
    let mut session = Session::open();
    let mut counter = 0;
    c.bench_function("encode and sign/order", |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            let mut out = Outbox::default();
            let now = session.now;
            for _ in 0..iterations {
                counter += 1;
                let action = order(counter);
                let started = Instant::now();
                session.protocol.encode(now, black_box(&action), &mut out);
                took += started.elapsed();
                let Some(Frame::Http(request)) = out.frames.pop() else { panic!("no request") };
                let outcome = Err(NoReply::NotSent(String::new()));
                session.protocol.on_reply(
                    request.tag,
                    now,
                    Reply { outcome, sent_at: now },
                    &mut out,
                );
                out.events.clear();
            }
            took
        });
    });
}

/// The times of single steps.
#[derive(Default)]
struct Steps(Vec<u64>);

impl Steps {
    fn take(&mut self, took: Duration) -> Duration {
        self.0.push(u64::try_from(took.as_nanos()).unwrap());
        took
    }

    /// Median and 99th percentile, microseconds, and how many there were.
    fn quantiles(&mut self) -> (f64, f64, usize) {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1) as f64;
        let at =
            |q: f64| self.0.get((last * q).round() as usize).map_or(0.0, |&ns| ns as f64 / 1e3);
        (at(0.5), at(0.99), self.0.len())
    }
}

/// A book update from the event to the actions. The mean holds what is done by the clock too:
/// estimates of every instrument once a second, of which a step a millisecond after the last bears
/// a thousandth.
fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for (name, ticks) in [("book update, quotes stay", 0), ("book update, quotes move", 1800)] {
        let mut medians = Vec::new();
        for count in [1, 100] {
            let mut steps = Steps::default();
            let mut core = None;
            group.bench_function(format!("{name}, {count} instruments"), |b| {
                let core = core.get_or_insert_with(|| Core::quoting(count));
                b.iter_custom(|iterations| {
                    let mut took = Duration::ZERO;
                    for _ in 0..iterations {
                        let event = core.update(ticks);
                        took += steps.take(core.step(&[event]));
                        if ticks != 0 {
                            let places = |action: &Action| matches!(action, Action::Place(_));
                            assert!(core.actions.iter().any(places), "{:?}", core.actions);
                        }
                        core.settle();
                        core.settle();
                        core.actions.clear();
                        black_box(core.engine.next_wakeup());
                    }
                    took
                });
            });
            let (p50, p99, taken) = steps.quantiles();
            if taken > 0 {
                println!("{name}, {count} instruments: p50 {p50:.2} µs, p99 {p99:.2} µs");
                medians.push(p50);
            }
        }
        if let [one, hundred] = medians[..] {
            println!("{name}: 100 instruments over 1, medians: {:.2}", hundred / one);
        }
    }
    group.finish();
}

/// The same with the demo's signals over recorded frames of two assets on spot and USD-M.
fn recorded(c: &mut Criterion) {
    let mut steps: [Steps; 3] = Default::default();
    let mut replay = None;
    c.bench_function("step/recorded frames, all signals, 4 instruments on 2 venues", |b| {
        let Some(replay) = replay.get_or_insert_with(Replay::open) else { return b.iter(|| ()) };
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                let (kind, step) = replay.next();
                took += steps[kind].take(step);
            }
            took
        });
    });
    let Some(Some(mut replay)) = replay else { return };
    // A quick run plays too few for a 99th percentile.
    for _ in steps.iter().map(|kind| kind.0.len()).sum()..100_000 {
        let (kind, step) = replay.next();
        steps[kind].take(step);
    }
    println!("{}", replay.told());
    let all = Steps(steps.iter().flat_map(|kind| kind.0.iter().copied()).collect());
    let names = ["depth", "book ticker", "trade", "all frames"];
    for (name, mut taken) in names.into_iter().zip(steps.into_iter().chain([all])) {
        let (p50, p99, count) = taken.quantiles();
        println!("step, {name:<12} p50 {p50:>6.2} µs, p99 {p99:>6.2} µs of {count}");
    }
}

/// What an instrument takes of memory once every window of every estimator is full.
fn memory(_: &mut Criterion) {
    if std::env::args().skip(1).any(|argument| !argument.starts_with('-')) {
        return;
    }
    let [one, hundred] = [1, 100].map(|count| {
        let before = resident_bytes();
        let mut core = Core::quoting(count);
        core.fill_windows();
        let grown = resident_bytes() - before;
        black_box(core.engine.next_wakeup());
        grown
    });
    let (first, each) = (one / 1000, (hundred - one) / 99 / 1000);
    println!(
        "memory: engine of one instrument and its hedge {first} kB, each further one {each} kB"
    );
}

fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Capital at risk of 20 instruments: correlations made to fit, VaR twice, history.
fn capital(c: &mut Criterion) {
    let (n, tail) = (20, Tail::new(0.99).unwrap());
    let delta: Vec<f64> = (0..n).map(|i| 1e4 * f64::from(i as u32 % 7) - 2e4).collect();
    let rho = |at: usize| if at / n == at % n { 1.0 } else { 0.7 };
    let covariance: Vec<f64> = (0..n * n).map(|at| rho(at) * 1e-6).collect();
    let past: Vec<Vec<f64>> = (0..512)
        .map(|row| (0..n).map(|i| f64::from((row * 7 + i as u32 * 3) % 11) - 5.0).collect())
        .collect();
    c.bench_function("capital at risk/20 instruments", |b| {
        b.iter(|| {
            let mut correlation: Vec<f64> = (0..n * n).map(rho).collect();
            black_box(make_semi_definite(&mut correlation, n));
            for _ in 0..2 {
                black_box(parametric(black_box(&delta), &covariance, tail));
            }
            let profit = |row: &Vec<f64>| row.iter().zip(&delta).map(|(m, d)| m * d).sum();
            let mut profits: Vec<f64> = past.iter().map(profit).collect();
            black_box(historical(&mut profits, 0.99))
        });
    });
}

/// An exact table of quote depths for inventories of −50 to 50 quotes.
fn exact_table(c: &mut Criterion) {
    let market = Market { sigma: 1.2, a: 1.5, k: 0.6 };
    let outlook =
        Outlook { risk_aversion: 0.001, execution_aversion: 0.0, drift: 0.001, impact: 0.2 };
    c.bench_function("exact table, 50 quotes a side", |b| {
        b.iter(|| problem(black_box(market), outlook, 50).unwrap().asymptotic().unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = memory, decode_and_apply, step, recorded, encode_and_sign, capital, exact_table
}
criterion_main!(benches);
