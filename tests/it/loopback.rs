//! Loopback: engine, protocols and the local exchange, bytes both ways, on one thread in virtual
//! time, with everything that a network and an exchange do wrong, from a seed.
//!
//! `evenkeel simulate --seeds 0..1000` is the same with many more seeds.

use std::collections::BTreeMap;

use evenkeel::domain::Span;
use evenkeel::simulate::{self, Batch, Kind, Menu, Outcome, Phase, Plan, Scenario};

/// Sessions of one round of faults each: a minute or more.
fn rough() -> Menu {
    Menu { kinds: Kind::ALL.to_vec(), span: Span::from_s(30), layout: None }
}

fn quiet() -> Menu {
    Menu { kinds: Vec::new(), span: Span::from_s(20), layout: None }
}

fn run(seed: u64, menu: &Menu) -> Outcome {
    simulate::run(&Scenario::demo().unwrap(), &Plan::new(seed, menu), false)
}

fn batch(seeds: std::ops::Range<u64>, menu: &Menu) -> Batch {
    let mut batch = Batch::default();
    for seed in seeds {
        batch.add(&run(seed, menu));
    }
    batch
}

#[test]
fn nothing_breaks_whatever_goes_wrong() {
    let batch = batch(0..16, &rough());
    assert!(batch.failed.is_empty(), "{:#?}", batch.failed);
    for what in ["restart", "ended flat and clean", "both sides quoting after healing"] {
        assert!(batch.met.contains_key(what), "never {what}: {:?}", batch.met);
    }
}

#[test]
fn a_thousand_seeds_plan_every_cell_of_the_matrix_many_times() {
    let menu = Menu { span: Span::from_s(720), ..rough() };
    let mut planned: BTreeMap<(Kind, Phase), u32> = BTreeMap::new();
    for fault in (0..1_000).flat_map(|seed| Plan::new(seed, &menu).faults) {
        *planned.entry((fault.kind, fault.phase)).or_default() += 1;
    }
    // Some moments do not come: three times what a batch must have met.
    let rarest = Phase::cells(&menu.kinds)
        .into_iter()
        .map(|cell| (planned.get(&cell).copied().unwrap_or_default(), cell))
        .min_by_key(|(count, _)| *count)
        .unwrap();
    assert!(rarest.0 >= 30, "{rarest:?}");
}

#[test]
fn without_faults_nothing_is_refused() {
    let batch = batch(0..5, &quiet());
    assert!(batch.failed.is_empty(), "{:#?}", batch.failed);
    assert_eq!(batch.met["ended flat and clean"], 5);
}

#[test]
fn a_seed_is_the_whole_story() {
    for seed in [0, 1] {
        let (first, second) = (run(seed, &rough()), run(seed, &rough()));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_ne!(first.hash, run(seed + 2, &rough()).hash);
    }
}

#[test]
fn a_quiet_session_tells_what_it_earned_and_held() {
    let scenario = Scenario::demo().unwrap();
    let session = simulate::session(&scenario, 7, Span::ZERO, Span::from_s(60)).unwrap();
    assert!(session.summary.maker_fills > 0, "{session:?}");
    assert!(session.inventory_max_base > 0.0 && session.inventory_std_base > 0.0);
    let parts = session.summary.parts.total();
    assert_eq!(parts, session.summary.profit_quote, "the parts make the whole");
}
