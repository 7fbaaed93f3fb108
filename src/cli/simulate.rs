//! `simulate`: many seeds of the whole stack in virtual time, and what they showed.

#[cfg(feature = "planted")]
mod planted;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{Exit, SimulateArgs, complain, load_with_secrets, say};
use crate::domain::Span;
use crate::live::clock;
use crate::simulate::{
    self, Batch, ENOUGH_HOURS, HOURS_FOR_CELLS, Kind, Menu, OFTEN, Outcome, Phase, Plan, Scenario,
};

/// Failing seeds that are shrunk and told in full.
const TOLD: usize = 3;
/// Sessions that shrinking one of them may cost.
const TRIES: usize = 200;

/// Run the seeds, tell what they showed.
pub(super) fn simulate(args: &SimulateArgs) -> Exit {
    let scenario = match scenario(args.config.as_deref()) {
        Ok(scenario) => scenario,
        Err(exit) => return exit,
    };
    let span = Span::from_ms(i64::try_from(args.lasts.as_millis()).unwrap_or(i64::MAX / 2_000_000));
    #[cfg(feature = "planted")]
    if args.planted {
        let menu = Menu { kinds: args.faults.0.clone(), span, layout: None };
        return planted::find(args, &scenario, &menu);
    }
    let menu = Menu { kinds: args.faults.0.clone(), span, layout: None };
    quiet_panics();
    let (started, cpu) = (clock::instant(), cpu_seconds());
    let (batch, failed) = all(args, &scenario, &menu, false);
    let took = started.elapsed();
    let cpu = cpu_seconds().zip(cpu).map(|(after, before)| after - before);
    let report = Report { args, menu: &menu, batch: &batch, took, cpu };
    let stories: Vec<Outcome> = failed
        .iter()
        .take(TOLD)
        .map(|outcome| simulate::shrink(&scenario, outcome, TRIES))
        .collect();
    if args.json {
        say(&format!("{}\n", report.json(&stories)));
    } else {
        stories.iter().for_each(|outcome| say(&story(outcome)));
        say(&report.table());
    }
    if report.is_green() { Exit::Clean } else { Exit::Failed }
}

/// Sessions of a configuration, or of the demo's.
pub(super) fn scenario(config: Option<&Path>) -> Result<Scenario, Exit> {
    let Some(path) = config else {
        return Scenario::demo().map_err(|text| complain(&text, Exit::Bug));
    };
    let (loaded, secrets) = load_with_secrets(path)?;
    Scenario::new(loaded.settings, secrets)
        .map_err(|text| complain(&format!("{}: {text}", path.display()), Exit::Config))
}

/// A panic of the code under test is a result, with its words in the outcome.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Every seed, or those up to the first failure, shared among threads; the sums, and the failed
/// ones in the order of their seeds.
fn all(
    args: &SimulateArgs,
    scenario: &Scenario,
    menu: &Menu,
    first: bool,
) -> (Batch, Vec<Outcome>) {
    let next = AtomicU64::new(args.seeds.from);
    let done = AtomicBool::new(false);
    let parts = Mutex::new((Batch::default(), BTreeMap::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..args.jobs.max(1))
            .map(|_| scope.spawn(|| work(&next, (args.seeds.to, first), scenario, menu, &parts)))
            .collect();
        scope.spawn(|| tell_progress(&next, &done, args));
        for worker in workers {
            // A panic outside a session is a bug of ours; the batch then has seeds too few.
            let _died = worker.join();
        }
        done.store(true, Ordering::Relaxed);
    });
    let (batch, failed) = parts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    (batch, failed.into_values().collect())
}

type Parts = Mutex<(Batch, BTreeMap<u64, Outcome>)>;

fn work(next: &AtomicU64, run: (u64, bool), scenario: &Scenario, menu: &Menu, parts: &Parts) {
    let (end, first) = run;
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let outcome = simulate::run(scenario, &Plan::new(seed, menu), false);
        let mut parts = parts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        parts.0.add(&outcome);
        if let Some(problem) = outcome.problems.first() {
            if first {
                next.fetch_max(end, Ordering::Relaxed);
            } else {
                // Told at once: who interrupts a long batch has not run it for nothing.
                complain(&format!("seed {seed} fails: {problem}"), Exit::Clean);
            }
            parts.1.insert(seed, outcome);
        }
    }
}

fn tell_progress(next: &AtomicU64, done: &AtomicBool, args: &SimulateArgs) {
    let started = clock::instant();
    let (from, to) = (args.seeds.from, args.seeds.to);
    let terminal = std::io::stderr().is_terminal();
    let every = Duration::from_secs(if terminal { 1 } else { 20 });
    let mut told = started;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        if told.elapsed() >= every {
            told = clock::instant();
            let seeds = next.load(Ordering::Relaxed).min(to) - from;
            let seconds = started.elapsed().as_secs();
            complain(
                &format!("{seeds} of {} seeds begun after {seconds} s", to - from),
                Exit::Clean,
            );
        }
    }
}

/// A failing seed: what it violated, the faults it needs, what happened last.
fn story(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut text = format!(
        "seed {} FAILS: {:?}, latency {} us, jitter {} us, skew {} ms, busy {} us\n",
        plan.seed,
        plan.layout,
        plan.latency.0 / 1000,
        plan.jitter.0 / 1000,
        plan.skew.ms(),
        plan.busy.0 / 1000,
    );
    text.push_str("  faults it needs\n");
    for fault in &plan.faults {
        let _infallible = writeln!(
            text,
            "    from {:>8} ms, in {}: {} at {:?} for {} ms, size {}",
            fault.at.ms(),
            fault.phase.name(),
            fault.kind.name(),
            fault.venue,
            fault.lasts.ms(),
            fault.size
        );
    }
    for (title, lines) in [("last events", &outcome.last), ("violated", &outcome.problems)] {
        let _infallible = writeln!(text, "  {title}");
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

struct Report<'a> {
    args: &'a SimulateArgs,
    menu: &'a Menu,
    batch: &'a Batch,
    took: Duration,
    cpu: Option<f64>,
}

impl Report<'_> {
    /// A batch of all faults that is long enough must have met everything.
    fn is_full(&self) -> bool {
        self.menu.kinds.len() == Kind::ALL.len() && self.batch.hours >= ENOUGH_HOURS
    }

    fn missed(&self) -> Vec<&'static str> {
        if self.is_full() { self.batch.missed() } else { Vec::new() }
    }

    fn is_green(&self) -> bool {
        let whole = self.batch.seeds == self.args.seeds.to - self.args.seeds.from;
        let thin = self.batch.hours >= HOURS_FOR_CELLS && !self.thin_cells().is_empty();
        whole && self.batch.failed.is_empty() && self.missed().is_empty() && !thin
    }

    /// Cells of the matrix that were not met often enough.
    fn thin_cells(&self) -> Vec<(Kind, Phase)> {
        self.batch.thin_cells(&self.menu.kinds, OFTEN)
    }

    /// Seconds of processors that it took; on systems that do not say, the time of all jobs.
    fn core_seconds(&self) -> f64 {
        let jobs = self.args.jobs.max(1) as f64;
        self.cpu.unwrap_or(self.took.as_secs_f64() * jobs).max(1e-9)
    }

    /// Virtual seconds a second of one core.
    fn speed(&self) -> f64 {
        self.batch.hours * 3600.0 / self.core_seconds()
    }

    fn events_per_s(&self) -> f64 {
        self.batch.events as f64 / (self.batch.hours * 3600.0).max(1e-9)
    }

    fn table(&self) -> String {
        let batch = self.batch;
        let (exist, thin) = (Phase::cells(&self.menu.kinds).len(), self.thin_cells());
        let mut text = self.matrix();
        text.push_str("met\n");
        for (what, count) in &batch.met {
            let _infallible = writeln!(text, "  {count:>9}  {what}");
        }
        let missed = self.missed();
        let lines = [
            ("seeds", format!("{} ({} failed)", batch.seeds, batch.failed.len())),
            ("simulated", format!("{:.1} h", batch.hours)),
            (
                "speed",
                format!(
                    "{:.0} x real time per core at {:.0} events/s ({:.1} core s in {:.1} s, {} jobs)",
                    self.speed(),
                    self.events_per_s(),
                    self.core_seconds(),
                    self.took.as_secs_f64(),
                    self.args.jobs.max(1)
                ),
            ),
            ("fault cells", {
                let asked =
                    if batch.hours < HOURS_FOR_CELLS { "; not asked of so few hours" } else { "" };
                format!("{} of {exist} met at least {OFTEN} times{asked}", exist - thin.len())
            }),
            ("reconciled", format!("within {} ms of mending", batch.reconciled_ms)),
            ("quoting", format!("within {} ms of mending", batch.quoting_ms)),
            ("action hash", format!("{:016x}", batch.hash)),
            ("never met", if missed.is_empty() { "-".to_owned() } else { missed.join(", ") }),
            ("verdict", if self.is_green() { "green" } else { "RED" }.to_owned()),
        ];
        for (key, value) in lines {
            let _infallible = writeln!(text, "{key:<12} {value}");
        }
        for (seed, problem) in &batch.failed {
            let _infallible = writeln!(text, "  seed {seed}: {problem}");
        }
        text
    }

    /// Faults by moments; the cells that do not apply, with why.
    fn matrix(&self) -> String {
        if self.menu.kinds.is_empty() {
            return String::new();
        }
        let mut text = format!("{:<14}", "fault");
        Phase::ALL.iter().for_each(|phase| text.push_str(&format!("{:>12}", phase.name())));
        text.push('\n');
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for kind in &self.menu.kinds {
            text.push_str(&format!("{:<14}", kind.name()));
            for phase in Phase::ALL {
                let count = self.batch.cells.get(&(*kind, phase)).copied().unwrap_or_default();
                match phase.exists(*kind) {
                    Ok(()) => text.push_str(&format!("{count:>12}")),
                    Err(why) => {
                        text.push_str(&format!("{:>12}", "-"));
                        let cell = format!("{} in {}", kind.name(), phase.name());
                        reasons.entry(why).or_default().push(cell);
                    }
                }
            }
            text.push('\n');
        }
        for (why, cells) in reasons {
            let which =
                if cells.len() > 3 { format!("{} cells", cells.len()) } else { cells.join(", ") };
            let _infallible = writeln!(text, "- {which}: {why}");
        }
        text
    }

    fn json(&self, stories: &[Outcome]) -> String {
        let batch = self.batch;
        let cells: BTreeMap<String, u64> = batch
            .cells
            .iter()
            .map(|((kind, phase), count)| (format!("{}/{}", kind.name(), phase.name()), *count))
            .collect();
        let (exist, thin) = (Phase::cells(&self.menu.kinds).len(), self.thin_cells());
        let failing = stories.iter().map(|outcome| {
            let faults = outcome.plan.faults.iter().map(|fault| format!("{fault:?}"));
            json!({
                "seed": outcome.plan.seed,
                "faults": faults.collect::<Vec<_>>(),
                "problems": outcome.problems,
                "last": outcome.last,
            })
        });
        json!({
            "green": self.is_green(),
            "seeds": batch.seeds,
            "hours": batch.hours,
            "speed_per_core": self.speed(),
            "events_per_s": self.events_per_s(),
            "action_hash": format!("{:016x}", batch.hash),
            "cells": cells,
            "cells_exist": exist,
            "cells_met_too_seldom": thin.iter().map(|(k, p)| format!("{}/{}", k.name(), p.name())).collect::<Vec<_>>(),
            "met": batch.met,
            "never_met": self.missed(),
            "reconciled_ms": batch.reconciled_ms,
            "quoting_ms": batch.quoting_ms,
            "failed": batch.failed,
            "stories": failing.collect::<Vec<_>>(),
        })
        .to_string()
    }
}

/// One job a core, unless told otherwise.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What this process has used of its processors, where Linux tells: fields 14 and 15 of
/// /proc/self/stat, in hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}
