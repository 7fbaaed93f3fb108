//! What the trading thread does with a frame: decode and apply it, decide, encode and sign.
//!
//! Frames are recorded ones where the shared folder is there (`EVENKEEL_SHARED`, default
//! `../shared`), synthetic ones elsewhere. `cargo bench --bench core [-- --quick]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

#[path = "common/frames.rs"]
mod frames;
#[path = "common/local.rs"]
mod local;
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
use rig::{Core, Session};

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

/// A book update from the event to the actions.
fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for (name, ticks) in [("book update, quotes stay", 0), ("book update, quotes move", 1800)] {
        for count in [1, 100] {
            let mut core = Core::quoting(count);
            group.bench_function(format!("{name}, {count} instruments"), |b| {
                b.iter_custom(|iterations| {
                    let mut took = Duration::ZERO;
                    for _ in 0..iterations {
                        let event = core.update(ticks);
                        took += core.step(&[event]);
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
        }
    }
    group.finish();
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
    targets = decode_and_apply, step, encode_and_sign, capital, exact_table
}
criterion_main!(benches);
