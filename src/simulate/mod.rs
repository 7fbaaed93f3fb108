//! Does it stay right when everything else goes wrong? The whole stack but its sockets in virtual
//! time, on one thread, from a seed.
//!
//! Engine, protocols at byte level, sessions, rate limits and journal records run against the
//! local exchange's engine ([`crate::sim`]) over a network that loses, delays, reorders and doubles
//! what it carries, beside an operator, a clock and a disk that have their own moods ([`Kind`]). A
//! seed is the whole story: the same seed makes the same decisions in every build, and a failing
//! one is [shrunk](shrink) to the few faults that it needs.
//!
//! # Invariants
//!
//! | | Holds that | Checked |
//! |---|---|---|
//! | I1 | no order of ours rests unknown to the process for longer than a reading takes | every 100 ms; none at the end |
//! | I2 | holdings and open orders are the exchange's | until they are after mending, at each round's end, and every 100 ms while nothing is wrong |
//! | I3 | every client id that arrives stands in a step's record of a known start; whole journal lines read back | each order request; each crash |
//! | I4 | a fill belongs to an order that was placed; that each counts once is I2 | each step |
//! | I5 | worst-case position and exposure hold, by the exchange's books | each order request, and every 100 ms |
//! | I6 | an order of unknown fate counts: late and doubled requests keep I5 and I2 | as those |
//! | I7 | no quote leaves on a silent or unproven book or beside a mute user stream, a proven book is one the exchange had, and a pulled side has no order | each step; every 100 ms |
//! | I8 | no quote after a kill, a halt, a pause or a stop | each step |
//! | I9 | after a kill nothing rests for longer than 2 s | every 100 ms |
//! | I10 | own bid below own ask, and no order leaves that could meet one of ours | each step; each order request, and every 100 ms |
//! | I11 | no request while a venue has asked for silence; filters that refuse are read again; no refusal that care would have avoided | each request; each answer |
//! | I12 | client ids are used once, across restarts | each order request |
//! | I13 | the parts of the result make its whole, and the whole of all processes is what the exchange's wallets gained; nothing is held that no trade explains | in the core, each second; the end of a session; each start |
//! | I14 | no clock goes back and no step of ours is harmed by one that jumps or stands still | by the fault `clock_step`; the core asserts it in debug builds |
//! | I15 | orders kept, requests, steps and messages stay bounded | each step; every 10 s |
//! | I16 | after mending both sides are quoted within 30 s, unless a documented rule halted; a halt has its cause in the world | every 100 ms; each halt |
//! | I17 | the same seed makes the same actions, and a second core fed with the journal's lines decides the same | a test; every 16th seed |
//! | I18 | no secret in any output | the problems and last events of each session |
//! | I19 | an ending that says flat is flat | each end of a process |
//! | I20 | hedges that may still trade do not pass zero together, and nor do quotes while `REDUCING` | each step |
//!
//! Not checked here: fsync and disk of the state directory (I3's other half), process exit codes,
//! memory in bytes, log volume: they are glue, and tests over real sockets hold them.

mod batch;
mod cells;
mod disk;
mod plan;
mod process;
mod setup;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use secrecy::ExposeSecret;
use serde::Serialize;

pub use batch::{Batch, ENOUGH_HOURS, HOURS_FOR_CELLS, OFTEN};
pub use cells::{Kind, Phase};
pub use plan::{Fault, Layout, Menu, Plan, Round};

use crate::config::{Problem, Secrets, Settings};
use crate::domain::{Span, State};
use crate::engine::Summary;
use crate::inventory::Markout;
use world::World;

/// What every session has in common.
#[derive(Clone, Debug)]
pub struct Scenario {
    settings: Settings,
    secrets: Secrets,
}

/// What a session did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its plan.
    pub plan: Plan,
    /// Virtual time that passed.
    pub lasted: Span,
    /// Events that the core was told.
    pub events: u64,
    /// A hash of every action, in order.
    pub hash: u64,
    /// Violated invariants; empty when all is well.
    pub problems: Vec<String>,
    /// What was met, and how often.
    pub met: BTreeMap<&'static str, u64>,
    /// Which faults struck in which moments, and how often.
    pub cells: BTreeMap<(Kind, Phase), u64>,
    /// Longest time after mending until the readings agreed, milliseconds.
    pub reconciled_ms: i64,
    /// Longest time after mending until both sides were quoted, milliseconds.
    pub quoting_ms: i64,
    /// What happened last; only of a traced run.
    pub last: Vec<String>,
}

/// The sums of a session in which nothing goes wrong, after its warm-up where not said otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    /// The seed of market and network.
    pub seed: u64,
    /// What the engine counted, warm-up included.
    pub summary: Summary,
    /// The same at the end of the warm-up.
    pub warm: Summary,
    /// The state in which it ended.
    pub state: State,
    /// Standard deviation of the net inventory away from its target, base units.
    pub inventory_std_base: f64,
    /// Mean of the square of that inventory, base units squared.
    pub inventory_mean_square_base: f64,
    /// The largest such inventory, base units.
    pub inventory_max_base: f64,
    /// Share of the time with a confirmed order resting, bids and asks.
    pub uptime: [f64; 2],
    /// Most capital at risk, quote.
    pub max_capital_at_risk_quote: f64,
    /// Mean half-spread that was quoted, bps; zero when none was.
    pub half_spread_bps: f64,
    /// Mean fair price, quote per base; zero when nothing was quoted.
    pub fair_price: f64,
    /// Mean A (per second) and k (per bps) that were quoted with.
    pub arrivals: [f64; 2],
    /// Mean volatility that was quoted with, bps per √s.
    pub volatility_bps_sqrt_s: f64,
    /// Markouts of the quoted instrument, by horizon, warm-up included.
    pub markouts: Vec<Markout>,
}

impl Scenario {
    /// Sessions with these settings.
    ///
    /// # Errors
    /// What the simulation needs and the settings lack.
    pub fn new(settings: Settings, secrets: Secrets) -> Result<Scenario, String> {
        setup::check(&settings)?;
        Ok(Scenario { settings, secrets })
    }

    /// Sessions of `config/demo.toml`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn demo() -> Result<Scenario, String> {
        let loaded = crate::config::parse(include_str!("../../config/demo.toml"), "demo.toml");
        let settings = loaded.map_err(|error| error.to_string())?.settings;
        let wrong = |problems: Vec<Problem>| format!("{problems:?}");
        let secrets = crate::config::read_secrets(&settings).map_err(wrong)?;
        Scenario::new(settings, secrets)
    }

    /// The same sessions with a change of the settings that leaves venues and instruments alone.
    #[must_use]
    pub fn varied(&self, change: impl FnOnce(&mut Settings)) -> Scenario {
        let mut varied = self.clone();
        change(&mut varied.settings);
        varied
    }

    /// What the sessions are configured to do.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// The session of a plan; `tracing` writes down what happens, which is slow.
#[must_use]
pub fn run(scenario: &Scenario, plan: &Plan, tracing: bool) -> Outcome {
    let empty = || Outcome {
        plan: plan.clone(),
        lasted: Span::ZERO,
        events: 0,
        hash: 0,
        problems: Vec::new(),
        met: BTreeMap::new(),
        cells: BTreeMap::new(),
        reconciled_ms: 0,
        quoting_ms: 0,
        last: Vec::new(),
    };
    let world = World::new(plan.clone(), &scenario.settings, &scenario.secrets, tracing);
    let mut world = match world {
        Ok(world) => world,
        Err(text) => return Outcome { problems: vec![text], ..empty() },
    };
    let ended = catch_unwind(AssertUnwindSafe(|| world.session()));
    if let Err(panic) = ended {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        world.watch.problems.insert(0, format!("panic: {said}"));
    }
    let mut outcome = Outcome {
        lasted: world.lasted(),
        events: world.events,
        hash: world.watch.hash,
        met: std::mem::take(&mut world.watch.counters),
        cells: std::mem::take(&mut world.cells),
        reconciled_ms: world.healed_ms[0],
        quoting_ms: world.healed_ms[1],
        last: world.watch.trace(),
        problems: std::mem::take(&mut world.watch.problems),
        ..empty()
    };
    let secrets = scenario.secrets.venues.iter().map(|keys| keys.secret.expose_secret());
    for secret in secrets {
        if outcome.problems.iter().chain(&outcome.last).any(|line| line.contains(secret)) {
            outcome.problems.push("I18 a secret stands in an output".to_owned());
        }
    }
    outcome
}

/// The fewest of a failing plan's faults that still make it fail, with the traced session of
/// them. Halves are tried first, then single faults, at most `tries` sessions in all.
#[must_use]
pub fn shrink(scenario: &Scenario, failed: &Outcome, tries: usize) -> Outcome {
    let fails = |plan: &Plan| {
        let outcome = run(scenario, plan, false);
        (!outcome.problems.is_empty()).then_some(outcome)
    };
    let whole = failed.plan.keeping(&failed.plan.faults, failed.lasted);
    let Some(mut best) = fails(&whole) else { return run(scenario, &failed.plan, true) };
    let mut left = tries;
    let mut size = best.plan.faults.len().div_ceil(2);
    while size > 0 && left > 0 {
        let mut from = 0;
        while from < best.plan.faults.len() && left > 0 {
            let mut keep = best.plan.faults.clone();
            keep.drain(from..(from + size).min(keep.len()));
            left -= 1;
            match fails(&best.plan.keeping(&keep, best.lasted)) {
                Some(smaller) => best = smaller,
                None => from += size,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    run(scenario, &best.plan, true)
}

/// A session in which nothing goes wrong: what it earned and what it held in the `span` that
/// follows its warm-up.
///
/// # Errors
/// A violated invariant, or settings that cannot be simulated.
pub fn session(
    scenario: &Scenario,
    seed: u64,
    warm_up: Span,
    span: Span,
) -> Result<Session, String> {
    let menu = Menu { kinds: Vec::new(), span: warm_up + span, layout: Some(Layout::SpotHedged) };
    let plan = Plan::new(seed, &menu);
    let mut world = World::new(plan, &scenario.settings, &scenario.secrets, false)?;
    world.quiet(warm_up, span);
    if !world.watch.problems.is_empty() {
        return Err(world.watch.problems.join("\n"));
    }
    world.sums(seed).ok_or_else(|| "the process has ended by itself".to_owned())
}
