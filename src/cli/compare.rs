//! `compare`: the same markets quoted by four strategies, and what each earned and held.
//!
//! Every seed is one market with informed takers; each strategy quotes it from the same start over
//! the same network. Differences are taken seed by seed, so that what all share drops out.

mod bound;
pub(super) mod knob;
mod metrics;
mod statistics;
mod strategies;
mod sweep;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{CompareArgs, Exit, complain, say};
use crate::domain::Span;
use crate::simulate::{self, Scenario, Session};
use bound::Worth;
use metrics::{METRICS, Metric, Risk};
use statistics::{Estimate, estimate};
use strategies::Strategy;

/// Run the strategies over the seeds, tell what they showed.
pub(super) fn compare(args: &CompareArgs) -> Exit {
    let base = match super::simulate::scenario(args.config.as_deref()) {
        Ok(base) => base,
        Err(exit) => return exit,
    };
    let times = Times { warm_up: span(args.warm_up), span: span(args.lasts) };
    if args.seeds.to - args.seeds.from < 2 || times.span < Span::from_s(60) {
        return complain(&"at least two seeds of at least 1m are compared", Exit::Config);
    }
    let compared = Strategy::Full.scenario(&base, 0.0);
    let quoted = if args.sweep.is_some() { &base } else { &compared };
    let Some(risk) = Risk::of(quoted.settings()) else {
        return complain(
            &"it must set inventory_std_target_base, the measure of risk",
            Exit::Config,
        );
    };
    if let Some(knob) = &args.sweep {
        return sweep::sweep(args, knob, &base, times, risk);
    }
    if let Err(text) = strategies::check(base.settings()) {
        return complain(&text, Exit::Config);
    }
    match comparison(args, &base, times, risk) {
        Ok(comparison) if args.json => say(&format!("{}\n", comparison.json())),
        Ok(comparison) => say(&comparison.text()),
        Err(text) => return complain(&text, Exit::Failed),
    }
    Exit::Clean
}

fn span(duration: std::time::Duration) -> Span {
    Span::from_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2_000_000))
}

/// What is left out at the beginning of a session, and what counts.
#[derive(Clone, Copy, Debug)]
struct Times {
    warm_up: Span,
    span: Span,
}

fn comparison<'a>(
    args: &'a CompareArgs,
    base: &Scenario,
    times: Times,
    risk: Risk,
) -> Result<Comparison<'a>, String> {
    let seeds: Vec<u64> = (args.seeds.from..args.seeds.to).collect();
    let others: Vec<(String, Scenario, u64)> = Strategy::ALL[1..]
        .iter()
        .flat_map(|strategy| {
            let scenario = strategy.scenario(base, 0.0);
            let name = strategy.name().to_owned();
            seeds.iter().map(move |seed| (name.clone(), scenario.clone(), *seed))
        })
        .collect();
    let ran = run(&others, times, args.jobs)?;
    let mut ran = ran.into_iter();
    let mut sessions = [const { Vec::new() }; Strategy::ALL.len()];
    for own in &mut sessions[1..] {
        own.extend(ran.by_ref().take(seeds.len()));
    }
    // `fixed` quotes as wide as `glft` did in the same market: what differs is the skew.
    let glft = &sessions[Strategy::Glft as usize];
    let fixed: Vec<(String, Scenario, u64)> = glft
        .iter()
        .map(|session| {
            let scenario = Strategy::Fixed.scenario(base, session.half_spread_bps);
            (Strategy::Fixed.name().to_owned(), scenario, session.seed)
        })
        .collect();
    sessions[0] = run(&fixed, times, args.jobs)?;
    let bound = bound::worths().ok_or("the optimality bound cannot be evaluated")?;
    Ok(Comparison { args, times, risk, sessions, bound })
}

/// The sessions of named scenarios and seeds, in their order.
fn run(
    tasks: &[(String, Scenario, u64)],
    times: Times,
    jobs: usize,
) -> Result<Vec<Session>, String> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![None; tasks.len()]));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tasks.len().max(1)) {
            scope.spawn(|| {
                while let Some((at, (_, scenario, seed))) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    tasks.get(at).map(|task| (at, task))
                } {
                    let ran = simulate::session(scenario, *seed, times.warm_up, times.span);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[at] = Some(ran);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    tasks
        .iter()
        .zip(done)
        .map(|((name, _, seed), ran)| {
            let ran = ran.ok_or_else(|| format!("seed {seed} did not run"))?;
            ran.map_err(|text| format!("{name}, seed {seed}: {text}"))
        })
        .collect()
}

struct Comparison<'a> {
    args: &'a CompareArgs,
    times: Times,
    risk: Risk,
    /// By strategy, in the order of the seeds.
    sessions: [Vec<Session>; Strategy::ALL.len()],
    bound: Vec<Worth>,
}

impl Comparison<'_> {
    fn runs(&self, metric: &Metric, strategy: usize) -> Vec<f64> {
        self.sessions[strategy].iter().map(|session| (metric.of)(session, self.risk)).collect()
    }

    /// Of one strategy less another, seed by seed.
    fn paired(&self, metric: &Metric, strategy: usize, less: usize) -> Estimate {
        let pairs = self.runs(metric, strategy).into_iter().zip(self.runs(metric, less));
        estimate(&pairs.map(|(own, other)| own - other).collect::<Vec<_>>())
    }

    /// Markdown, because it is published.
    fn text(&self) -> String {
        let seeds = self.args.seeds;
        let names = Strategy::ALL.map(Strategy::name);
        let mut out = format!(
            "seeds {}..{}, {} s of market each after {} s of warm-up; mean ± half-width of the 95 % \
             confidence interval over seeds; γ = {:.2} per quote unit, σ = {} bps/√s; VIP 0 fees: \
             spot 10 bps, perpetual 2 bps making and 5 bps taking; quoted for: spot {} bps, \
             perpetual the same\n\n",
            seeds.from,
            seeds.to,
            self.times.span.ms() / 1000,
            self.times.warm_up.ms() / 1000,
            self.risk.aversion_per_quote,
            self.risk.volatility_bps_sqrt_s,
            self.risk.fee_quoted_for_bps,
        );
        let rows = METRICS.iter().map(|metric| {
            let cell = |at| show(estimate(&self.runs(metric, at)), metric.decimals);
            (metric.name, (0..names.len()).map(cell).collect())
        });
        table(&mut out, "", &names, rows);
        let headlines = || METRICS.iter().filter(|metric| metric.is_headline);
        out.push_str("\nPaired differences, each strategy less `fixed`:\n\n");
        let rows = headlines().map(|metric| {
            let cell = |at| show(self.paired(metric, at, 0), metric.decimals);
            (metric.name, (1..names.len()).map(cell).collect())
        });
        table(&mut out, "", &names[1..], rows);
        out.push_str("\nPaired differences, each strategy less the one before it:\n\n");
        let rows = headlines().map(|metric| {
            let cell = |at| show(self.paired(metric, at, at - 1), metric.decimals);
            (metric.name, (1..names.len()).map(cell).collect())
        });
        table(&mut out, "", &names[1..], rows);
        out.push_str(
            "\nWhere the best possible is known (Poisson arrivals, Brownian price), the daemon's \
             quotes are worth:\n\n",
        );
        let rows = self.bound.iter().map(|worth| {
            let share = worth.share_of_optimum.map_or("-".to_owned(), |s| format!("{s:.4}"));
            let cells = vec![share, format!("{:.1}", worth.mean), format!("{:.1}", worth.std)];
            (model_name(worth), cells)
        });
        table(&mut out, "model", &["share of the optimum", "mean", "std"], rows);
        out
    }

    fn json(&self) -> String {
        let metrics = METRICS.iter().map(|metric| {
            let each = |f: &dyn Fn(usize) -> Estimate| -> serde_json::Value {
                let all = Strategy::ALL.iter().enumerate();
                all.map(|(at, strategy)| (strategy.name().to_owned(), json!(f(at)))).collect()
            };
            let value = json!({
                "estimate": each(&|at| estimate(&self.runs(metric, at))),
                "less_fixed": each(&|at| self.paired(metric, at, 0)),
                "less_previous": each(&|at| self.paired(metric, at, at.saturating_sub(1))),
            });
            (metric.name.to_owned(), value)
        });
        let sessions = Strategy::ALL.iter().zip(&self.sessions);
        json!({
            "seeds": [self.args.seeds.from, self.args.seeds.to],
            "warm_up_ms": self.times.warm_up.ms(),
            "span_ms": self.times.span.ms(),
            "risk_aversion_per_quote": self.risk.aversion_per_quote,
            "volatility_bps_sqrt_s": self.risk.volatility_bps_sqrt_s,
            "metrics": metrics.collect::<serde_json::Map<_, _>>(),
            "bound": self.bound,
            "sessions": sessions
                .map(|(strategy, own)| (strategy.name().to_owned(), json!(own)))
                .collect::<serde_json::Map<_, _>>(),
        })
        .to_string()
    }
}

fn model_name(worth: &Worth) -> &'static str {
    match worth.model {
        crate::quoting::Model::Fixed => "fixed",
        crate::quoting::Model::AvellanedaStoikov => "avellaneda_stoikov",
        _ => "glft",
    }
}

fn show(estimate: Estimate, decimals: usize) -> String {
    format!("{:.decimals$} ± {:.decimals$}", estimate.mean, estimate.ci95)
}

fn table<'a>(
    out: &mut String,
    corner: &str,
    names: &[&str],
    rows: impl Iterator<Item = (&'a str, Vec<String>)>,
) {
    let _infallible = writeln!(out, "| {corner} | {} |", names.join(" | "));
    let _infallible = writeln!(out, "|---|{}", "---:|".repeat(names.len()));
    for (name, cells) in rows {
        let _infallible = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
}
