//! What the price did after our fills: the part of the spread that adverse selection took back.

use std::collections::VecDeque;

use serde::Serialize;

use crate::domain::{Fill, Side, Span, Ts};

/// Most fills that wait for their horizons at once; beyond, the oldest is dropped and counted.
pub const MAX_PENDING: usize = 1024;

/// The average over fills at one horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Markout {
    /// Time after the fill.
    pub horizon: Span,
    /// Fills that have reached it.
    pub fills: u64,
    /// side·(mid then − price), bps of the mid at the fill, weighted by value: the realised spread
    /// before fees.
    pub bps: f64,
    /// The same in half-ticks, weighted by quantity.
    pub half_ticks: f64,
    /// Of fills that bought, then of those that sold.
    pub sides: [SideMarkout; 2],
}

/// What fills of one side were followed by at one horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SideMarkout {
    /// Fills that have reached it.
    pub fills: u64,
    /// side·(mid then − price), bps of the mid at the fill, weighted by value.
    pub bps: f64,
    /// side·(mid at the fill − mid then), every fill alike, old ones fading, bps: the move
    /// against us, above zero when it hurt.
    pub adverse_bps: f64,
    /// How many fills that average amounts to.
    pub samples: f64,
}

/// Fills whose adverse move counts; older ones fade.
const ADVERSE_MEMORY: f64 = 300.0;
/// As many fills as this weigh as much as what was assumed before any.
const ASSUMED_FILLS: f64 = 50.0;

impl SideMarkout {
    /// The adverse move to reckon with, bps: what was measured, drawn towards what was assumed
    /// as long as fills are few, and never a gain.
    #[must_use]
    pub fn adverse_or(&self, assumed_bps: f64) -> f64 {
        let weight = self.samples / (self.samples + ASSUMED_FILLS);
        let drawn = assumed_bps + weight * (self.adverse_bps - assumed_bps);
        if drawn.is_finite() { drawn.max(0.0) } else { assumed_bps }
    }

    /// The measured move weighs more than the assumed one.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.samples >= ASSUMED_FILLS
    }
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
    /// The mid that it met; `None` before the first.
    mid_half_ticks: Option<i64>,
    reached: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    horizon: Span,
    sides: [SideSums; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct SideSums {
    fills: u64,
    lots: i128,
    earned: i128,
    /// Lots × the mid that they met (their price before there was one).
    value: i128,
    adverse_bps: f64,
    samples: f64,
}

impl SideSums {
    fn add(&mut self, fill: &Pending, mid: i64) {
        let lots = i128::from(fill.signed_lots);
        self.fills += 1;
        self.lots += lots.abs();
        self.earned += lots * (i128::from(mid) - i128::from(fill.px_half_ticks));
        let met = fill.mid_half_ticks.filter(|met| *met > 0);
        self.value += lots.abs() * i128::from(met.unwrap_or(fill.px_half_ticks));
        if let Some(met) = met {
            let against = -(mid as f64 / met as f64 - 1.0) * 1e4 * fill.signed_lots.signum() as f64;
            self.samples = self.samples * (1.0 - 1.0 / ADVERSE_MEMORY) + 1.0;
            self.adverse_bps += (against - self.adverse_bps) / self.samples;
        }
    }
}

impl Markouts {
    /// Markouts at these horizons.
    #[must_use]
    pub fn new(horizons: &[Span]) -> Markouts {
        let mut sorted = horizons.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let sums = |horizon| Sums { horizon, sides: [SideSums::default(); 2] };
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
            mid_half_ticks: self.mid,
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
        self.horizons.iter().map(Sums::average).collect()
    }

    /// What fills of a side were followed by at a horizon; nothing at one that is not followed.
    #[must_use]
    pub fn side(&self, horizon: Span, side: Side) -> SideMarkout {
        let sums = self.horizons.iter().find(|sums| sums.horizon == horizon);
        sums.map_or_else(SideMarkout::default, |sums| sums.sides[side.index()].average())
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
                let side = usize::from(pending.signed_lots < 0);
                sums.sides[side].add(pending, mid);
                pending.reached += 1;
            }
        }
        while self.pending.front().is_some_and(|first| first.reached == self.horizons.len()) {
            self.pending.pop_front();
        }
    }
}

impl Sums {
    fn average(&self) -> Markout {
        let [bought, sold] = &self.sides;
        let (earned, lots) = (bought.earned + sold.earned, bought.lots + sold.lots);
        Markout {
            horizon: self.horizon,
            fills: bought.fills + sold.fills,
            bps: ratio(earned, bought.value + sold.value) * 1e4,
            half_ticks: ratio(earned, lots),
            sides: [bought.average(), sold.average()],
        }
    }
}

impl SideSums {
    fn average(&self) -> SideMarkout {
        SideMarkout {
            fills: self.fills,
            bps: ratio(self.earned, self.value) * 1e4,
            adverse_bps: self.adverse_bps,
            samples: self.samples,
        }
    }
}

fn ratio(part: i128, whole: i128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_fills_change_little_of_what_was_assumed() {
        let measured =
            |adverse_bps, samples| SideMarkout { adverse_bps, samples, ..SideMarkout::default() };
        assert_eq!(measured(9.0, 0.0).adverse_or(0.5), 0.5);
        assert!((measured(2.0, 50.0).adverse_or(1.0) - 1.5).abs() < 1e-12, "half and half");
        assert_eq!(measured(-9.0, 300.0).adverse_or(0.5), 0.0, "a gain is not reckoned with");
        assert_eq!(measured(f64::NAN, 300.0).adverse_or(0.5), 0.5);
        assert!(measured(0.0, 50.0).is_trusted() && !measured(0.0, 49.0).is_trusted());
    }
}
