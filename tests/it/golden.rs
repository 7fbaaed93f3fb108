//! Every golden vector of the shared folder, case by case, at its own tolerance.
//!
//! `every_case` walks all files of `$EVENKEEL_SHARED/quant/golden`, lists each case by name with
//! what became of it, and counts. A case is recognised by the shape of its inputs, never by its
//! name, so that further cases can be put beside those that are there; a shape that nobody
//! recognises fails the test. The few files that are no business of the daemon are named with the
//! reason.

mod capital;
mod flow;
mod hedging;
mod ledger;
mod models;
mod signals;

use std::panic::{AssertUnwindSafe, catch_unwind};

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
    /// Number of its file.
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

    /// `|got − expected| ≤ abs + rel·|expected|`, the tolerance of the case; `null` is not tested.
    #[track_caller]
    pub fn close(&self, got: f64, expected: &Value) {
        if expected.is_null() {
            return;
        }
        let expected = number(expected);
        let allowed = self.tolerance("abs") + self.tolerance("rel") * expected.abs();
        assert!((got - expected).abs() <= allowed, "got {got}, expected {expected}");
    }
}

/// A number of a golden file.
#[track_caller]
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// An array of numbers.
#[track_caller]
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        1..=10 | 25 | 27 => models::check(case),
        12 | 13 | 16 | 29 => signals::check(case),
        14 | 15 | 18 => flow::check(case),
        17 | 19 | 20 | 26 => capital::check(case),
        11 | 30 => hedging::check(case),
        21 | 22 => ledger::check(case),
        23 => Verdict::NotOurs("queue models belong to backtesting"),
        24 => Verdict::NotOurs("validation statistics belong to backtesting"),
        28 => Verdict::NotOurs("a calibration target; sim::calibration has the table"),
        _ => Verdict::Unrecognised,
    }
}

#[test]
fn every_case() {
    let Some(folder) = shared("quant/golden") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let (mut checked, mut others, mut failed) = (0, 0, Vec::new());
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file = name.split('_').next().unwrap().parse().unwrap_or(0);
        let document: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for json in document["cases"].as_array().unwrap() {
            let case = Case { file, json };
            let title = format!("{name} {}", json["name"].as_str().unwrap_or("?"));
            match catch_unwind(AssertUnwindSafe(|| check(&case))) {
                Ok(Verdict::Checked) => {
                    checked += 1;
                    println!("ok        {title}");
                }
                Ok(Verdict::NotOurs(why)) => {
                    others += 1;
                    println!("not ours  {title}: {why}");
                }
                Ok(Verdict::Unrecognised) => {
                    println!("UNKNOWN   {title}");
                    failed.push(format!("{title}: nothing here recognises its inputs"));
                }
                Err(_) => {
                    println!("WRONG     {title}");
                    failed.push(title);
                }
            }
        }
    }
    println!("{checked} cases checked, {others} not ours, {} wrong or unknown", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
