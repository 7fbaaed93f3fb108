//! `compare --sweep`: the configured strategy in the same markets with several values of one key.

use std::fmt::Write as _;

use serde_json::json;

use super::knob::{Knob, turned};
use super::metrics::{METRICS, Risk};
use super::statistics::{Estimate, estimate};
use super::{Times, run};
use crate::cli::{CompareArgs, Exit, complain, say};
use crate::simulate::{Scenario, Session};

/// Run every value over the seeds; a line of CSV for each, or one JSON object.
pub(super) fn sweep(
    args: &CompareArgs,
    knob: &Knob,
    base: &Scenario,
    times: Times,
    risk: Risk,
) -> Exit {
    let text = match &args.config {
        Some(path) => std::fs::read_to_string(path).map_err(|error| error.to_string()),
        None => Ok(include_str!("../../../config/demo.toml").to_owned()),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => return complain(&error, Exit::Config),
    };
    let mut tasks = Vec::new();
    for value in &knob.values {
        let settings = match turned(&text, &knob.key, value) {
            Ok(settings) => settings,
            Err(error) => return complain(&error, Exit::Config),
        };
        let scenario = base.varied(|own| *own = settings);
        let seeds = args.seeds.from..args.seeds.to;
        tasks.extend(seeds.map(|seed| (value.clone(), scenario.clone(), seed)));
    }
    match run(&tasks, times, args.jobs) {
        Ok(sessions) => {
            let seeds = (args.seeds.to - args.seeds.from) as usize;
            let by_value: Vec<&[Session]> = sessions.chunks(seeds).collect();
            let told = if args.json { json_of } else { csv };
            say(&told(knob, &by_value, risk));
            Exit::Clean
        }
        Err(error) => complain(&error, Exit::Failed),
    }
}

/// Mean and interval of each metric, and of its difference from the first value's, seed by seed.
fn estimates(by_value: &[&[Session]], at: usize, risk: Risk) -> Vec<[Estimate; 2]> {
    let runs = |at: usize, of: fn(&Session, Risk) -> f64| -> Vec<f64> {
        by_value[at].iter().map(|session| of(session, risk)).collect()
    };
    let both = METRICS.iter().map(|metric| {
        let (own, first) = (runs(at, metric.of), runs(0, metric.of));
        let paired: Vec<f64> = own.iter().zip(first).map(|(own, first)| own - first).collect();
        [estimate(&own), estimate(&paired)]
    });
    both.collect()
}

fn csv(knob: &Knob, by_value: &[&[Session]], risk: Risk) -> String {
    let mut out = format!("\"{}\"", knob.key);
    for metric in METRICS {
        let _infallible = write!(out, ",\"{0}\",\"± {0}\"", metric.name);
    }
    out.push('\n');
    for (at, value) in knob.values.iter().enumerate() {
        let _infallible = write!(out, "{value}");
        for [own, _] in estimates(by_value, at, risk) {
            let _infallible = write!(out, ",{:.5},{:.5}", own.mean, own.ci95);
        }
        out.push('\n');
    }
    out
}

fn json_of(knob: &Knob, by_value: &[&[Session]], risk: Risk) -> String {
    let rows = knob.values.iter().enumerate().map(|(at, value)| {
        let metrics = METRICS.iter().zip(estimates(by_value, at, risk));
        let metrics = metrics.map(|(metric, [own, paired])| {
            (metric.name.to_owned(), json!({ "estimate": own, "less_first": paired }))
        });
        let metrics: serde_json::Map<_, _> = metrics.collect();
        json!({ "value": value, "metrics": metrics })
    });
    let rows: Vec<serde_json::Value> = rows.collect();
    format!("{}\n", json!({ "key": knob.key, "rows": rows }))
}
