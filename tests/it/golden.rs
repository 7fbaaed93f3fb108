//! Every golden vector of the shared folder, case by case, at its own tolerance.
//!
//! `every_case` walks all files of `$EVENKEEL_SHARED/quant/golden`, lists each case by name with
//! what became of it, and counts. A case is recognised by the shape of its inputs, never by its
//! name, so that further cases can be put beside those that are there; a shape that nobody
//! recognises fails the test, and so does a case of which any expected number was not looked at.
//! The few files that are no business of the daemon are named with the reason.

mod capital;
mod flow;
mod hedging;
mod ledger;
mod models;
mod signals;

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::Value;

use crate::shared::shared;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The numbers are right.
    Checked,
    /// No part of the daemon computes it; says why.
    NotOurs(&'static str),
    /// The shape of its inputs is unknown.
    Unrecognised,
}

/// One case of a golden file.
pub struct Case<'a> {
    /// Number of its family: what its file begins with, or where its document's `id` stands.
    pub file: u32,
    /// The whole of it.
    pub json: &'a Value,
}

impl Case<'_> {
    /// An input of that name.
    pub fn input(&self, key: &str) -> &Value {
        &self.json["inputs"][key]
    }

    /// Whether there is an input of that name.
    pub fn has(&self, key: &str) -> bool {
        !self.input(key).is_null()
    }

    /// An input that is a number.
    #[track_caller]
    pub fn number(&self, key: &str) -> f64 {
        number(self.input(key))
    }

    /// What is expected under that name.
    pub fn expected(&self, key: &str) -> &Value {
        &self.json["expected"][key]
    }

    /// A number of the tolerance; zero where there is none.
    pub fn tolerance(&self, key: &str) -> f64 {
        self.json["tolerance"][key].as_f64().unwrap_or(0.0)
    }

    /// `|got − expected| ≤ abs + rel·|expected|`, the tolerance of the case; where nothing is
    /// expected, or `null` (no number exists), nothing is compared.
    #[track_caller]
    pub fn close(&self, got: f64, expected: &Value) {
        if expected.is_null() {
            return;
        }
        let expected = number(expected);
        let allowed = self.tolerance("abs") + self.tolerance("rel") * expected.abs();
        assert!((got - expected).abs() <= allowed, "got {got}, expected {expected}");
    }

    /// As [`Case::close`], of what may not exist: there is a number where one is expected, and
    /// none where `null` is.
    #[track_caller]
    pub fn close_if_any(&self, got: Option<f64>, key: &str) {
        let Some(expected) = self.json["expected"].get(key) else { return };
        match got {
            Some(got) => {
                assert!(!expected.is_null(), "{key}: got {got} where there is no number");
                self.close(got, expected);
            }
            None => assert!(expected.is_null(), "{key}: no number, expected {expected}"),
        }
    }

    /// The expected numbers that nobody looked at, by path.
    fn overlooked(&self) -> Vec<String> {
        let mut paths = Vec::new();
        READ.with_borrow(|read| unread(&self.json["expected"], "", read, &mut paths));
        paths
    }
}

thread_local! {
    /// Which numbers of the documents were looked at, by where they lie.
    static READ: RefCell<HashSet<*const Value>> = RefCell::default();
}

/// Numbers beneath a value that are not among those read. What the data was drawn with, and what
/// a paper printed to few digits, no estimate meets.
fn unread(value: &Value, path: &str, read: &HashSet<*const Value>, paths: &mut Vec<String>) {
    let drawn = |key: &str| key.starts_with("true_") || key.starts_with("published_");
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !drawn(key))
            .for_each(|(key, value)| unread(value, &format!("{path}.{key}"), read, paths)),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                unread(value, &format!("{path}[{index}]"), read, paths);
            }
        }
        Value::Number(_) if !read.contains(&std::ptr::from_ref(value)) => {
            paths.push(path.to_owned());
        }
        _ => {}
    }
}

/// A number of a golden file; it counts as looked at.
#[track_caller]
pub fn number(value: &Value) -> f64 {
    READ.with_borrow_mut(|read| read.insert(std::ptr::from_ref(value)));
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// An expected number that is not compared, on purpose; the caller says why.
pub fn leave(value: &Value) {
    READ.with_borrow_mut(|read| read.insert(std::ptr::from_ref(value)));
}

/// An array of numbers.
#[track_caller]
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("not an array: {value}")).iter().map(number).collect()
}

/// The families in the order of their files' numbers, by the `id` of their documents.
const FAMILIES: [&str; 30] = [
    "as_quotes",
    "as_simulation",
    "glft_exact_asymptotic",
    "glft_finite",
    "glft_closed",
    "cj_running_penalty",
    "glft_drift_impact",
    "multi_asset",
    "inventory_chain",
    "gamma_from_target",
    "hedging",
    "intensity",
    "volatility",
    "fair_price",
    "order_flow",
    "hayashi_yoshida",
    "beta",
    "toxicity",
    "risk",
    "carry",
    "pnl_attribution",
    "presence",
    "queue",
    "validation_stats",
    "latency",
    "options",
    "optimality_bound",
    "real_data_anchors",
    "multi_venue_fair",
    "hedge_routing",
];

fn family(name: &str, document: &Value) -> u32 {
    let known = |number: &u32| (1..=FAMILIES.len() as u32).contains(number);
    let numbered = name.split('_').next().and_then(|head| head.parse().ok()).filter(known);
    numbered.unwrap_or_else(|| {
        let position = FAMILIES.iter().position(|id| document["id"] == *id);
        position.map_or(0, |index| index as u32 + 1)
    })
}

fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        1..=10 | 25 | 27 => models::check(case),
        12 | 13 | 16 | 29 => signals::check(case),
        14 | 15 | 18 => flow::check(case),
        17 | 19 | 20 | 26 => capital::check(case),
        11 | 30 => hedging::check(case),
        21 | 22 => ledger::check(case),
        23 if case.has("initial_front_qty") => {
            Verdict::NotOurs("queue models belong to backtesting")
        }
        24 if ["N", "sharpe", "returns"].iter().any(|key| case.has(key)) => {
            Verdict::NotOurs("validation statistics belong to backtesting")
        }
        28 if ["data", "clock", "pairs"].iter().any(|key| case.has(key)) => {
            Verdict::NotOurs("a calibration target; sim::calibration has the table")
        }
        _ => Verdict::Unrecognised,
    }
}

/// What was found, over all files.
#[derive(Default)]
struct Tally {
    checked: u32,
    not_ours: u32,
    failed: Vec<String>,
}

impl Tally {
    fn fail(&mut self, title: &str, why: &str) {
        println!("WRONG     {title}: {why}");
        self.failed.push(format!("{title}: {why}"));
    }

    fn file(&mut self, path: &Path) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let document: Value = match serde_json::from_str(&text) {
            Ok(document) => document,
            Err(error) => return self.fail(&name, &error.to_string()),
        };
        match document["cases"].as_array() {
            None => self.fail(&name, "a document without a list of cases"),
            Some(cases) if cases.is_empty() => self.fail(&name, "no case in it"),
            Some(cases) => {
                let file = family(&name, &document);
                cases.iter().for_each(|json| self.case(&name, &Case { file, json }));
            }
        }
    }

    fn case(&mut self, name: &str, case: &Case<'_>) {
        let title = format!("{name} {}", case.json["name"].as_str().unwrap_or("?"));
        READ.with_borrow_mut(HashSet::clear);
        match catch_unwind(AssertUnwindSafe(|| check(case))) {
            Ok(Verdict::Checked) => {
                let overlooked = case.overlooked();
                if overlooked.is_empty() {
                    self.checked += 1;
                    println!("ok        {title}");
                } else {
                    self.fail(&title, &format!("not looked at: {}", overlooked.join(" ")));
                }
            }
            Ok(Verdict::NotOurs(why)) => {
                self.not_ours += 1;
                println!("not ours  {title}: {why}");
            }
            Ok(Verdict::Unrecognised) => self.fail(&title, "nothing here recognises its inputs"),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map_or("", String::as_str);
                self.fail(&title, text);
            }
        }
    }
}

#[test]
fn every_case() {
    let Some(folder) = shared("quant/golden") else {
        let named = std::env::var_os("EVENKEEL_SHARED");
        return assert!(named.is_none(), "EVENKEEL_SHARED = {named:?} holds no quant/golden");
    };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut tally = Tally::default();
    files.iter().for_each(|path| tally.file(path));
    let Tally { checked, not_ours, failed } = tally;
    println!("{checked} cases checked, {not_ours} not ours, {} wrong or unknown", failed.len());
    assert!(failed.is_empty() && checked > 0, "{failed:#?}");
}
