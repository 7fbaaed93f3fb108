//! Order events a second through the matcher: a million random placements, cancels and takers.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use evenkeel::domain::{Px, Qty, Side};
use evenkeel::sim::matcher::{End, Handle, Incoming, Matcher, Owner, Report};
use evenkeel::sim::{SelfTrade, TimeInForce};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const EVENTS: usize = 1_000_000;

/// One event of the tape: an order, or the cancel of the n-th last order that rested.
#[derive(Clone, Copy)]
enum Event {
    Order(Incoming),
    Cancel(usize),
}

/// Half placements within 200 levels of a drifting mid, four tenths cancels, a tenth takers.
fn tape(seed: u64) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut mid = 1_000_000_i64;
    (0..EVENTS as u64)
        .map(|id| {
            let draw = rng.next_u64();
            let side = if draw & 1 == 0 { Side::Buy } else { Side::Sell };
            let what = (draw >> 1) % 10;
            let depth = ((draw >> 8) % 200 * ((draw >> 16) % 200) / 200) as i64;
            mid += ((draw >> 24) % 3) as i64 - 1;
            let order = |px, qty, tif| {
                let (owner, self_trade) = (Owner(1 + (draw >> 32) as u32 % 50), SelfTrade::None);
                let qty = Qty(qty);
                Event::Order(Incoming { id: id + 1, owner, side, px, qty, tif, self_trade })
            };
            match what {
                0..5 => order(Px(mid).away(side, depth), 1 + depth, TimeInForce::Gtc),
                5..9 => Event::Cancel((draw >> 32) as usize % 1_000),
                _ => order(Px(mid).away(side, -20), 1 + depth * 2, TimeInForce::Ioc),
            }
        })
        .collect()
}

fn run(tape: &[Event]) -> Matcher {
    let mut matcher = Matcher::new();
    let mut report = Report::default();
    let mut handles: Vec<Handle> = Vec::with_capacity(tape.len());
    for event in tape {
        report.clear();
        match event {
            Event::Order(order) => {
                if let End::Rests(handle) = matcher.submit(*order, &mut report).end {
                    handles.push(handle);
                }
            }
            Event::Cancel(back) => {
                if let Some(index) = handles.len().checked_sub(back + 1) {
                    black_box(matcher.cancel(handles.swap_remove(index), &mut report));
                }
            }
        }
        black_box(&report);
    }
    matcher
}

fn matcher(c: &mut Criterion) {
    let tape = tape(1);
    let mut group = c.benchmark_group("matcher");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    group.bench_function("million-order tape", |b| {
        b.iter_batched(|| (), |()| run(&tape), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, matcher);
criterion_main!(benches);
