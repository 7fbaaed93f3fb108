//! Why is the quote what it is? The chain of numbers from fair price to tick and lot.
//!
//! The functions that decide tell each step to a [`Trail`]: to `()`, which costs nothing, where
//! quotes are made, and to a list where somebody has asked. There is no second computation that
//! could say something else.
//!
//! A term is added to a chain with one line where it is applied:
//! `let half_spread = trail.half_spread("toxicity", half_spread, half_spread + by_toxicity);`

use std::fmt;

use serde::Serialize;

use crate::domain::{Instrument, Px, Qty, Quotes, Side};

/// What a step is a step of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Something given: the market, a setting, what is held.
    Input,
    /// The half-spread, bps of the fair price.
    HalfSpread,
    /// Reservation price against fair price, bps of the fair price.
    Skew,
    /// The price of one order, quote per base.
    Price,
    /// The quantity of one order, base.
    Size,
}

/// One order of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// Its side.
    pub side: Side,
    /// Its place from the touch, from 1.
    pub level: usize,
}

/// One step of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What it is a step of.
    pub part: Part,
    /// Of which order; `None` where all orders share it.
    #[serde(flatten)]
    pub rung: Option<Rung>,
    /// What was taken into account, in words.
    pub what: &'static str,
    /// The value before; `None` for an input.
    pub before: Option<f64>,
    /// The value after it.
    pub value: f64,
    /// Unit of both.
    pub unit: &'static str,
    /// The value in ticks or lots, once it is whole.
    pub whole: Option<i64>,
}

impl Step {
    /// Something given.
    #[must_use]
    pub fn input(what: &'static str, value: f64, unit: &'static str) -> Step {
        Step { part: Part::Input, rung: None, what, before: None, value, unit, whole: None }
    }
}

/// Who is told.
pub(super) trait Trail {
    /// The next step; made only where somebody listens.
    fn step(&mut self, step: impl FnOnce() -> Step);

    /// Something given.
    fn given(&mut self, what: &'static str, value: f64, unit: &'static str) {
        self.step(|| Step::input(what, value, unit));
    }

    /// The half-spread moves, bps; returns where it is then.
    fn half_spread(&mut self, what: &'static str, before: f64, after: f64) -> f64 {
        self.moved(Part::HalfSpread, what, before, after)
    }

    /// The skew moves, bps, above zero is up; returns where it is then.
    fn skew(&mut self, what: &'static str, before: f64, after: f64) -> f64 {
        self.moved(Part::Skew, what, before, after)
    }

    /// One of the two moves.
    fn moved(&mut self, part: Part, what: &'static str, before: f64, after: f64) -> f64 {
        self.step(|| Step {
            part,
            rung: None,
            what,
            before: Some(before),
            value: after,
            unit: "bps",
            whole: None,
        });
        after
    }

    /// The price of an order moves onto another tick; returns it.
    fn price(&mut self, rung: Rung, what: &'static str, [before, tick]: [f64; 2], px: Px) -> Px {
        self.step(|| Step {
            part: Part::Price,
            rung: Some(rung),
            what,
            before: Some(before),
            value: px.0 as f64 * tick,
            unit: "quote/base",
            whole: Some(px.0),
        });
        px
    }

    /// The size of an order changes, in lots of `lot` base; returns it.
    fn size(&mut self, rung: Rung, what: &'static str, lot: f64, lots: [i64; 2]) -> i64 {
        let [before, after] = lots;
        self.step(|| Step {
            part: Part::Size,
            rung: Some(rung),
            what,
            before: Some(before as f64 * lot),
            value: after as f64 * lot,
            unit: "base",
            whole: Some(after),
        });
        after
    }
}

/// Nobody is told.
impl Trail for () {
    fn step(&mut self, _: impl FnOnce() -> Step) {}
}

/// Everything is kept.
impl Trail for Vec<Step> {
    fn step(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

/// A decision with the steps that led to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// In the order in which they were taken.
    pub steps: Vec<Step>,
    /// What was decided; no order of it, or a reason for none, differs from the last step.
    pub quotes: Quotes,
}

/// On one line, every step that moved something.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moving = self.steps.iter().filter(|step| step.before != Some(step.value));
        for (index, step) in moving.enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Input => "",
            Part::HalfSpread => "half-spread ",
            Part::Skew => "skew ",
            Part::Price => "price ",
            Part::Size => "size ",
        };
        if let Some(Rung { side, level }) = self.rung {
            write!(f, "{side} {level} ")?;
        }
        let value = Instrument::money(self.value).round_dp(8).normalize();
        write!(f, "{part}{} {value} {}", self.what, self.unit)
    }
}

impl Explanation {
    /// Where the steps end for one order: its price and quantity.
    #[must_use]
    pub fn outcome(&self, rung: Rung) -> Option<(Px, Qty)> {
        let last = |part| {
            let mut own = self.steps.iter().rev();
            own.find(|step| step.part == part && step.rung == Some(rung))?.whole
        };
        Some((Px(last(Part::Price)?), Qty(last(Part::Size)?)))
    }
}
