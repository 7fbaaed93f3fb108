//! The last exact table, kept until the market has changed enough for another one.
//!
//! A table is a pure function of the numbers it is made of; they move with every book update, but
//! hardly. It is made anew when one of them has moved by half a percent, which is worth half a
//! percent of a half-spread or of a skew.

use super::cartea_jaimungal::{Penalised, problem};
use super::exact::Table;

/// Half a percent.
const TOLERANCE: f64 = 0.005;

/// The last exact table, with what it was made of.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    last: Option<(Ingredients, Table)>,
}

/// What a table is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ingredients {
    pub(super) market: Penalised,
    pub(super) q_max: usize,
    /// Seconds to the end; without one it is infinitely far.
    pub(super) horizon_s: Option<f64>,
}

impl Memo {
    /// The table for these numbers, or for some that are close to them. `None` where they allow
    /// none.
    pub(super) fn table(&mut self, wanted: Ingredients) -> Option<&Table> {
        let fits = self.last.as_ref().is_some_and(|(made_of, _)| made_of.is_near(&wanted));
        if !fits {
            self.last = None;
            let problem = problem(wanted.market, wanted.q_max)?;
            // So many arrivals before the end that it plays no part is as good as no end.
            let table = wanted
                .horizon_s
                .and_then(|left| problem.finite(left))
                .or_else(|| problem.asymptotic())?;
            self.last = Some((wanted, table));
        }
        self.last.as_ref().map(|(_, table)| table)
    }
}

impl Ingredients {
    fn is_near(&self, other: &Ingredients) -> bool {
        let (a, b) = (&self.market, &other.market);
        let near = |a: f64, b: f64| (a - b).abs() <= TOLERANCE * a.abs();
        near(a.k, b.k)
            && near(a.sellers, b.sellers)
            && near(a.buyers, b.buyers)
            && near(a.running, b.running)
            && a.terminal == b.terminal
            // A drift of 2φ moves the best inventory by one quote.
            && (a.drift - b.drift).abs() <= TOLERANCE * a.running
            && (a.impact - b.impact).abs() * a.k <= TOLERANCE
            && self.q_max == other.q_max
            && self.horizon_s == other.horizon_s
    }
}
