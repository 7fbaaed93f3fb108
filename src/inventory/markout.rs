//! What the price did after our fills: the part of the spread that adverse selection took back.

use std::collections::VecDeque;

use serde::Serialize;

use crate::domain::{Fill, Span, Ts};

/// Most fills that wait for their horizons at once; beyond, the oldest is dropped and counted.
pub const MAX_PENDING: usize = 1024;

/// The average over fills at one horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Markout {
    /// Time after the fill.
    pub horizon: Span,
    /// Fills that have reached it.
    pub fills: u64,
    /// side·(mid then − price), weighted by notional, bps: the realised spread before fees.
    pub bps: f64,
    /// The same in half-ticks, weighted by quantity.
    pub half_ticks: f64,
}

/// Markouts of one instrument's fills. The mid at fill time + horizon is the last one at or
/// before that instant.
#[derive(Clone, Debug)]
pub struct Markouts {
    horizons: Vec<Sums>,
    /// Waiting fills by age; each knows how many of the horizons it has reached.
    pending: VecDeque<Pending>,
    mid: Option<i64>,
    dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    at: Ts,
    signed_lots: i64,
    px_half_ticks: i64,
    reached: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    horizon: Span,
    fills: u64,
    lots: i128,
    earned: i128,
    notional: i128,
}

impl Markouts {
    /// Markouts at these horizons.
    #[must_use]
    pub fn new(horizons: &[Span]) -> Markouts {
        let mut sorted = horizons.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let sums = |horizon| Sums { horizon, fills: 0, lots: 0, earned: 0, notional: 0 };
        Markouts {
            horizons: sorted.into_iter().map(sums).collect(),
            pending: VecDeque::new(),
            mid: None,
            dropped: 0,
        }
    }

    /// A fill of ours at `now`.
    pub fn fill(&mut self, now: Ts, fill: &Fill) {
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
            self.dropped += 1;
        }
        self.pending.push_back(Pending {
            at: now,
            signed_lots: fill.qty.signed(fill.side).0,
            px_half_ticks: 2 * fill.px.0,
            reached: 0,
        });
    }

    /// The mid from `now` on, in half-ticks. Horizons that ended before `now` take the mid before.
    pub fn mark(&mut self, now: Ts, mid_half_ticks: i64) {
        if let Some(before) = self.mid {
            self.settle(now, before);
        }
        self.mid = Some(mid_half_ticks);
    }

    /// The averages so far, shortest horizon first.
    #[must_use]
    pub fn averages(&self) -> Vec<Markout> {
        let ratio = |part: i128, whole: i128| {
            if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
        };
        let average = |sums: &Sums| Markout {
            horizon: sums.horizon,
            fills: sums.fills,
            bps: ratio(sums.earned, sums.notional) * 1e4,
            half_ticks: ratio(sums.earned, sums.lots),
        };
        self.horizons.iter().map(average).collect()
    }

    /// Fills dropped before they had reached all horizons.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn settle(&mut self, now: Ts, mid: i64) {
        for pending in &mut self.pending {
            while let Some(sums) = self.horizons.get_mut(pending.reached) {
                if pending.at + sums.horizon >= now {
                    break;
                }
                let move_half_ticks = i128::from(mid) - i128::from(pending.px_half_ticks);
                let lots = i128::from(pending.signed_lots);
                sums.fills += 1;
                sums.lots += lots.abs();
                sums.earned += lots * move_half_ticks;
                sums.notional += lots.abs() * i128::from(pending.px_half_ticks);
                pending.reached += 1;
            }
        }
        while self.pending.front().is_some_and(|first| first.reached == self.horizons.len()) {
            self.pending.pop_front();
        }
    }
}
