//! Order events a second through the matcher: a million random placements, cancels and takers.

use std::collections::{BTreeMap, VecDeque};
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

/// The plainest book that keeps price and time: maps of queues, cancels by looking for them.
#[derive(Default)]
struct Twin {
    sides: [BTreeMap<i64, VecDeque<(u64, i64)>>; 2],
    resting: BTreeMap<u64, (usize, i64)>,
}

impl Twin {
    /// Trades as (maker, quantity), and whether the rest is in the book.
    fn submit(&mut self, order: &Incoming) -> (Vec<(u64, i64)>, bool) {
        let (own, other) = (order.side.index(), order.side.opposite().index());
        let (mut left, mut trades) = (order.qty.0, Vec::new());
        while left > 0 {
            let best = match order.side {
                Side::Buy => self.sides[other].first_entry(),
                Side::Sell => self.sides[other].last_entry(),
            };
            let Some(mut level) = best.filter(|l| order.side.sign() * (order.px.0 - l.key()) >= 0)
            else {
                break;
            };
            let Some((maker, qty)) = level.get_mut().front_mut() else {
                level.remove();
                continue;
            };
            let traded = left.min(*qty);
            trades.push((*maker, traded));
            left -= traded;
            *qty -= traded;
            if *qty == 0 {
                self.resting.remove(&*maker);
                level.get_mut().pop_front();
            }
            if level.get().is_empty() {
                level.remove();
            }
        }
        let rests = left > 0 && order.tif == TimeInForce::Gtc;
        if rests {
            self.sides[own].entry(order.px.0).or_default().push_back((order.id, left));
            self.resting.insert(order.id, (own, order.px.0));
        }
        (trades, rests)
    }

    fn cancel(&mut self, id: u64) -> Option<i64> {
        let (side, px) = self.resting.remove(&id)?;
        let level = self.sides[side].get_mut(&px)?;
        let at = level.iter().position(|(other, _)| *other == id)?;
        let (_, qty) = level.remove(at)?;
        if level.is_empty() {
            self.sides[side].remove(&px);
        }
        Some(qty)
    }
}

/// The matcher and its twin make the same trades, rests and cancels of the whole tape.
fn agrees_with_its_twin(tape: &[Event]) {
    let (mut matcher, mut twin) = (Matcher::new(), Twin::default());
    let mut report = Report::default();
    let mut handles: Vec<(Handle, u64)> = Vec::new();
    let mut trades = 0_usize;
    for event in tape {
        report.clear();
        match event {
            Event::Order(order) => {
                let end = matcher.submit(*order, &mut report).end;
                let ours: Vec<(u64, i64)> =
                    report.matches.iter().map(|m| (m.maker_id, m.qty.0)).collect();
                let (theirs, rests) = twin.submit(order);
                assert_eq!(ours, theirs, "order {}", order.id);
                assert_eq!(matches!(end, End::Rests(_)), rests, "order {}", order.id);
                trades += ours.len();
                if let End::Rests(handle) = end {
                    handles.push((handle, order.id));
                }
            }
            Event::Cancel(back) => {
                if let Some(index) = handles.len().checked_sub(back + 1) {
                    let (handle, id) = handles.swap_remove(index);
                    let ours = matcher.cancel(handle, &mut report).map(|qty| qty.0);
                    assert_eq!(ours, twin.cancel(id), "cancel of {id}");
                }
            }
        }
    }
    println!("{EVENTS} events, {trades} trades: the matcher and its twin agree");
}

fn matcher(c: &mut Criterion) {
    let tape = tape(1);
    agrees_with_its_twin(&tape);
    let mut group = c.benchmark_group("matcher");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    group.bench_function("million-order tape", |b| {
        b.iter_batched(|| (), |()| run(&tape), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, matcher);
criterion_main!(benches);
