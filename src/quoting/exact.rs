//! How deep should each quote be at each inventory? The exact answer of the exponential models,
//! without the straight line of the closed form.
//!
//! The value of inventory q is `ln(v_q)/k` with `v' = −M v`, M tridiagonal (Guéant, Lehalle,
//! Fernandez-Tapia, arXiv:1105.3115, theorems 1 and 2; Cartea, Jaimungal, Penalva 2015, ch. 10).
//! The depth of a quote is what a fill at the best margin earns, and the value that it moves.

use super::tridiagonal::Tridiagonal;

/// A market maker's problem for inventories of −q_max to q_max quotes.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub(super) matrix: Tridiagonal,
    /// Depth of a quote that moves no value.
    pub(super) margin: f64,
    /// Decay of arrivals per price unit of depth.
    pub(super) k: f64,
    /// The value of q left over at the end is −penalty·q².
    pub(super) end_penalty: f64,
}

/// Depths by inventory, in price units from the reference price.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    margin: f64,
    /// Value of q less the value of q + 1, from −q_max to q_max − 1.
    steps: Vec<f64>,
    /// What being flat is worth: price units times the size of a quote; a second where the horizon
    /// is infinite, until the end otherwise.
    pub value: f64,
}

/// More quotes' worth of inventory than this on a side make no table.
pub const MAX_UNITS: usize = 250;

impl Problem {
    /// Depths that have settled, with the end infinitely far. `None` where they are not finite.
    #[must_use]
    pub fn asymptotic(&self) -> Option<Table> {
        let (least, steps) = self.matrix.ground()?;
        let steps = steps.iter().map(|step| step / self.k).collect();
        Some(Table { margin: self.margin, steps, value: -least / self.k })
    }

    /// Depths with `time_left` seconds to the end. `None` where they are not finite, or so many
    /// arrivals are left that the end plays no part.
    #[must_use]
    pub fn finite(&self, time_left: f64) -> Option<Table> {
        let q_max = (self.matrix.diagonal.len() / 2) as i64;
        let start: Vec<f64> =
            (-q_max..=q_max).map(|q| -self.end_penalty * self.k * (q * q) as f64).collect();
        let logs = self.matrix.decayed(&start, time_left)?;
        let steps = logs.windows(2).map(|pair| (pair[0] - pair[1]) / self.k).collect();
        let value = logs[logs.len() / 2] / self.k;
        Some(Table { margin: self.margin, steps, value })
    }
}

impl Table {
    /// Distance of the bid below the reference at inventory `q`, in quotes held: on a straight line
    /// between whole numbers, and beyond the last two.
    #[must_use]
    pub fn bid(&self, q: f64) -> f64 {
        self.margin + self.step(q)
    }

    /// Distance of the ask above the reference at inventory `q`.
    #[must_use]
    pub fn ask(&self, q: f64) -> f64 {
        self.margin - self.step(q - 1.0)
    }

    /// The largest inventory of the table.
    #[must_use]
    pub fn q_max(&self) -> i64 {
        (self.steps.len() / 2) as i64
    }

    fn step(&self, q: f64) -> f64 {
        let at = q + self.q_max() as f64;
        let first = (at.floor().max(0.0) as usize).min(self.steps.len() - 2);
        let share = (at - first as f64).clamp(-1.0, 2.0);
        self.steps[first] + share * (self.steps[first + 1] - self.steps[first])
    }
}
