//! `compare`: the same markets quoted by four strategies, and what each earned and held.
//!
//! Every seed is one market with informed takers; each strategy quotes it from the same start over
//! the same network. Differences are taken seed by seed, so that what all share drops out.

mod bound;
mod statistics;
mod strategies;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rust_decimal::prelude::ToPrimitive;
use serde_json::json;

use super::{CompareArgs, Exit, complain, say};
use crate::config::{InventoryRisk, LevelSize, Model, Settings};
use crate::domain::{Money, Span, State};
use crate::quoting::glft::{Market, risk_aversion_for_std};
use crate::sim::flow::FlowParams;
use crate::simulate::{self, Scenario, Session};
use bound::Worth;
use statistics::{Estimate, estimate};
use strategies::Strategy;

/// Run the strategies over the seeds, tell what they showed.
pub(super) fn compare(args: &CompareArgs) -> Exit {
    let base = match super::simulate::scenario(args.config.as_deref()) {
        Ok(base) => base,
        Err(exit) => return exit,
    };
    let span = Span::from_ms(i64::try_from(args.lasts.as_millis()).unwrap_or(i64::MAX / 2_000_000));
    if args.seeds.to - args.seeds.from < 2 || span < Span::from_s(60) {
        return complain(&"at least two seeds of at least 1m are compared", Exit::Config);
    }
    if let Err(text) = strategies::check(base.settings()) {
        return complain(&text, Exit::Config);
    }
    let Some(risk) = Risk::of(base.settings()) else {
        return complain(&"its first level must have a size", Exit::Config);
    };
    match comparison(args, &base, span, risk) {
        Ok(comparison) if args.json => say(&format!("{}\n", comparison.json())),
        Ok(comparison) => say(&comparison.text()),
        Err(text) => return complain(&text, Exit::Failed),
    }
    Exit::Clean
}

fn comparison<'a>(
    args: &'a CompareArgs,
    base: &Scenario,
    span: Span,
    risk: Risk,
) -> Result<Comparison<'a>, String> {
    // A market that is not compared says how wide `glft` quotes; `fixed` quotes as wide.
    let pilot = Strategy::Glft.scenario(base, 0.0);
    let half_spread_bps = simulate::session(&pilot, args.seeds.to, span)?.half_spread_bps;
    let scenarios = Strategy::ALL.map(|strategy| strategy.scenario(base, half_spread_bps));
    let seeds: Vec<u64> = (args.seeds.from..args.seeds.to).collect();
    let tasks: Vec<(usize, u64)> =
        seeds.iter().flat_map(|seed| (0..scenarios.len()).map(|s| (s, *seed))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![None; tasks.len()]));
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.clamp(1, tasks.len()) {
            scope.spawn(|| {
                while let Some((at, (strategy, seed))) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    tasks.get(at).map(|task| (at, *task))
                } {
                    let ran = simulate::session(&scenarios[strategy], seed, span);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[at] = Some(ran);
                }
            });
        }
    });
    let mut sessions = [const { Vec::new() }; Strategy::ALL.len()];
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for ((strategy, seed), ran) in tasks.into_iter().zip(done) {
        let ran = ran.ok_or_else(|| format!("seed {seed} did not run"))?;
        let name = Strategy::ALL[strategy].name();
        sessions[strategy].push(ran.map_err(|text| format!("{name}, seed {seed}: {text}"))?);
    }
    let bound = bound::worths().ok_or("the optimality bound cannot be evaluated")?;
    Ok(Comparison { args, span, risk, sessions, bound })
}

/// What it costs to hold inventory, by the configured target for its standard deviation.
#[derive(Clone, Copy, Debug)]
struct Risk {
    /// γ, per quote unit of result.
    aversion_per_quote: f64,
    /// Volatility of the market, bps per √s.
    volatility_bps_sqrt_s: f64,
}

impl Risk {
    /// γ that the target implies for GLFT with the configured A and k and the market's volatility.
    fn of(settings: &Settings) -> Option<Risk> {
        let Model::Intensity {
            risk: InventoryRisk::StdTargetBase(std_base),
            order_arrival_per_s,
            order_arrival_decay_per_bps,
            ..
        } = settings.quoting.model
        else {
            return None;
        };
        let flow = FlowParams::btc_spot();
        let unit_base = match settings.quoting.levels.first()?.size {
            LevelSize::Base(base) => base.to_f64()?,
            LevelSize::Quote(quote) => quote.to_f64()? / flow.start_price,
        };
        let market = Market {
            sigma: flow.volatility_bps,
            a: order_arrival_per_s,
            k: order_arrival_decay_per_bps,
        };
        let per_bps_and_unit = risk_aversion_for_std(market, std_base / unit_base);
        Some(Risk {
            aversion_per_quote: per_bps_and_unit / (unit_base * flow.start_price * 1e-4),
            volatility_bps_sqrt_s: flow.volatility_bps,
        })
    }

    /// γ/2·σ²·E[q²], the running cost of the inventory, quote per hour.
    fn cost_per_hour(self, session: &Session) -> f64 {
        let sigma_quote = self.volatility_bps_sqrt_s * 1e-4 * session.fair_price;
        let variance_per_s = sigma_quote.powi(2) * session.inventory_mean_square_base;
        self.aversion_per_quote / 2.0 * variance_per_s * 3600.0
    }
}

/// A number of a session.
struct Metric {
    name: &'static str,
    decimals: usize,
    of: fn(&Session, Risk) -> f64,
    /// One of those by which strategies are ordered.
    is_headline: bool,
}

fn hourly(amount: Money, session: &Session) -> f64 {
    let hours = session.summary.duration_ms.max(1) as f64 / 3_600_000.0;
    amount.to_f64().unwrap_or(f64::NAN) / hours
}

fn before_fees(session: &Session) -> f64 {
    let parts = session.summary.parts;
    hourly(parts.total() - parts.fees, session)
}

fn hedge_fees(session: &Session) -> f64 {
    hourly(session.summary.hedging.fees_quote, session)
}

/// Realised half-spread so many seconds after the fill, of bids (0) or asks (1).
fn markout(session: &Session, seconds: i64, side: usize) -> f64 {
    let found = session.markouts.iter().find(|markout| markout.horizon == Span::from_s(seconds));
    found.map_or(f64::NAN, |markout| [markout.bid.bps, markout.ask.bps][side])
}

const fn metric(name: &'static str, decimals: usize, of: fn(&Session, Risk) -> f64) -> Metric {
    Metric { name, decimals, of, is_headline: false }
}

const fn headline(name: &'static str, decimals: usize, of: fn(&Session, Risk) -> f64) -> Metric {
    Metric { name, decimals, of, is_headline: true }
}

const METRICS: &[Metric] =
    &[
        headline("result before fees, quote/h", 2, |s, _| before_fees(s)),
        headline("result after fees, quote/h", 2, |s, _| hourly(s.summary.profit_quote, s)),
        metric("- spread capture, quote/h", 2, |s, _| hourly(s.summary.parts.spread_capture, s)),
        metric("- inventory, quote/h", 2, |s, _| hourly(s.summary.parts.inventory, s)),
        metric("- hedge fills against the mark, quote/h", 2, |s, _| {
            hourly(s.summary.parts.hedge, s)
        }),
        metric("- fees, quote/h", 2, |s, _| hourly(s.summary.parts.fees, s)),
        metric("- of them for hedges, quote/h", 2, |s, _| -hedge_fees(s)),
        headline("inventory std, mBTC", 3, |s, _| s.inventory_std_base * 1e3),
        headline("inventory max, mBTC", 2, |s, _| s.inventory_max_base * 1e3),
        headline("max capital at risk, quote", 2, |s, _| s.max_capital_at_risk_quote),
        metric("inventory risk, quote/h", 2, |s, risk| risk.cost_per_hour(s)),
        headline("result before fees less inventory risk, quote/h", 2, |s, risk| {
            before_fees(s) - risk.cost_per_hour(s)
        }),
        headline("the same less hedge fees, quote/h", 2, |s, risk| {
            before_fees(s) - hedge_fees(s) - risk.cost_per_hour(s)
        }),
        headline("result after fees less inventory risk, quote/h", 2, |s, risk| {
            hourly(s.summary.profit_quote, s) - risk.cost_per_hour(s)
        }),
        headline("markout of bids after 1 s, bps", 3, |s, _| markout(s, 1, 0)),
        headline("markout of asks after 1 s, bps", 3, |s, _| markout(s, 1, 1)),
        headline("markout of bids after 5 s, bps", 3, |s, _| markout(s, 5, 0)),
        headline("markout of asks after 5 s, bps", 3, |s, _| markout(s, 5, 1)),
        metric("half-spread quoted, bps", 3, |s, _| s.half_spread_bps),
        metric("maker fills/h", 0, |s, _| hourly(s.summary.maker_fills.into(), s)),
        metric("maker volume, quote/h", 0, |s, _| hourly(s.summary.maker_volume_quote, s)),
        metric("hedges/h", 1, |s, _| hourly(s.summary.hedging.hedges.into(), s)),
        metric("uptime of bids, %", 2, |s, _| s.uptime[0] * 100.0),
        metric("uptime of asks, %", 2, |s, _| s.uptime[1] * 100.0),
        metric("sessions that ended halted, %", 0, |s, _| {
            if s.state == State::Halted { 100.0 } else { 0.0 }
        }),
    ];

struct Comparison<'a> {
    args: &'a CompareArgs,
    span: Span,
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
            "seeds {}..{}, {} min of market each; mean ± half-width of the 95 % confidence \
             interval over seeds; γ = {:.3} per quote unit, σ = {} bps/√s; fees are those of \
             Binance's VIP 0: spot 10 bps, perpetual 2 bps making and 5 bps taking\n\n",
            seeds.from,
            seeds.to,
            self.span.ms() / 60_000,
            self.risk.aversion_per_quote,
            self.risk.volatility_bps_sqrt_s,
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
            "span_ms": self.span.ms(),
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
