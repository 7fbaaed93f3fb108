//! Loopback: engine, protocols and the local exchange, bytes both ways, on one thread in virtual
//! time, with everything that a network and an exchange do wrong, from a seed.
//!
//! `EVENKEEL_SEEDS=1000..2000 cargo test --release --test it loopback:: -- --nocapture` runs more;
//! a failing seed prints its faults and what happened last.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod client;
mod plan;
mod setup;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;

use plan::Plan;
use world::World;

/// What a batch of seeds must have met, or it has shown nothing.
const REACHED: [&str; 14] = [
    "amend sent",
    "ended flat and clean",
    "fill after cancel sent",
    "gap resynced",
    "hedge done",
    "hedge filled at rest",
    "hedge rested",
    "order asked about",
    "order unknown",
    "restart with leftovers",
    "side quoting after healing",
    "throttled",
    "unknown order was dead",
    "unknown order was live",
];

fn run(seed: u64, faulty: bool) -> World {
    let mut world = World::new(Plan::new(seed, faulty));
    world.session();
    world
}

fn describe(world: &World) -> String {
    let plan = &world.plan;
    let faults: String =
        plan.faults.iter().map(|(at, fault)| format!("  {} ms {fault:?}\n", at.ms())).collect();
    let problems: String =
        world.watch.problems.iter().map(|problem| format!("  {problem}\n")).collect();
    format!(
        "seed {} {:?} latency {} us, jitter {} us, skew {} ms\nfaults:\n{faults}last:\n{}problems:\n{problems}",
        plan.seed,
        plan.layout,
        plan.latency.0 / 1000,
        plan.jitter.0 / 1000,
        plan.skew.ms(),
        world.watch.trace(),
    )
}

fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("EVENKEEL_SEEDS") else { return default };
    let (from, to) = text.split_once("..").expect("EVENKEEL_SEEDS is like 0..200");
    from.trim().parse().unwrap()..to.trim().parse().unwrap()
}

/// Threads that share a batch.
const THREADS: u64 = 2;

type Met = BTreeMap<&'static str, u64>;

/// Runs the seeds; the sums of what was met, and the seeds that failed.
fn batch(seeds: Range<u64>, faulty: bool) -> (Met, Vec<u64>) {
    let part = |thread: u64| {
        let mut met = Met::new();
        let mut failed = Vec::new();
        for seed in seeds.clone().filter(|seed| seed % THREADS == thread) {
            let world = run(seed, faulty);
            for (what, count) in &world.watch.counters {
                *met.entry(what).or_default() += count;
            }
            if !world.watch.problems.is_empty() {
                if failed.len() < 3 {
                    println!("{}", describe(&world));
                } else {
                    println!("seed {seed}: {}", world.watch.problems[0]);
                }
                failed.push(seed);
            }
        }
        (met, failed)
    };
    let parts: Vec<(Met, Vec<u64>)> = std::thread::scope(|scope| {
        let part = &part;
        let threads: Vec<_> = (0..THREADS).map(|t| scope.spawn(move || part(t))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut met, mut failed) = (Met::new(), Vec::new());
    for (part, wrong) in parts {
        part.into_iter().for_each(|(what, count)| *met.entry(what).or_default() += count);
        failed.extend(wrong);
    }
    for (what, count) in &met {
        println!("{count:8} {what}");
    }
    (met, failed)
}

#[test]
fn nothing_breaks_whatever_goes_wrong() {
    let (met, failed) = batch(seeds(0..24), true);
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    let missed: Vec<_> = REACHED.iter().filter(|what| !met.contains_key(*what)).collect();
    assert!(missed.is_empty(), "never happened in this batch: {missed:?}");
}

#[test]
fn without_faults_nothing_is_refused() {
    let (_, failed) = batch(seeds(0..5), false);
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

#[test]
fn a_seed_is_the_whole_story() {
    for seed in [0, 1] {
        let (first, second) = (run(seed, true), run(seed, true));
        assert_eq!(first.watch.hash, second.watch.hash, "seed {seed}");
        assert_ne!(first.watch.hash, run(seed + 2, true).watch.hash);
    }
}
