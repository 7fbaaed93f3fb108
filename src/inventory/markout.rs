//! What the price did after our fills: the part of the spread that adverse selection took back.

use std::collections::VecDeque;

use serde::Serialize;

use super::Payoff;
use crate::domain::{Fill, Instrument, Money, Side, Span, Ts};

/// Most fills that wait for their horizons at once; beyond, the oldest is dropped and counted.
pub const MAX_PENDING: usize = 1024;

/// Averages over the fills of one side, or of both, at one horizon.
///
/// Effective half-spread = price impact + realised half-spread (Huang and Stoll 1996), each over
/// the same fills: those that have reached the horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MarkoutMean {
    /// Fills that have reached the horizon.
    pub fills: u64,
    /// side·(mid then − price), bps of the mid at the fill, weighted by value: the realised
    /// half-spread before fees.
    pub bps: f64,
    /// Standard error of `bps`: of a ratio of sums (Cochran 1977, (6.13)); `None` below two fills.
    pub standard_error_bps: Option<f64>,
    /// side·(mid at the fill − price), the same way: the effective half-spread.
    pub effective_bps: f64,
    /// `bps` in half-ticks, weighted by quantity.
    pub half_ticks: f64,
}

/// Fills whose adverse move counts; older ones fade.
const ADVERSE_MEMORY: f64 = 300.0;
/// As many fills as this weigh as much as what was assumed before any.
const ASSUMED_FILLS: f64 = 50.0;

/// How the mid moved against the fills of one side within a horizon, old fills fading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Adverse {
    /// side·(mid at the fill − mid then), every fill alike, bps: above zero when it hurt.
    pub bps: f64,
    /// How many fills that average amounts to.
    pub samples: f64,
}

impl Adverse {
    /// The adverse move to reckon with, bps: what was measured, drawn towards what was assumed
    /// as long as fills are few, and never a gain.
    #[must_use]
    pub fn or(&self, assumed_bps: f64) -> f64 {
        let weight = self.samples / (self.samples + ASSUMED_FILLS);
        let drawn = assumed_bps + weight * (self.bps - assumed_bps);
        if drawn.is_finite() { drawn.max(0.0) } else { assumed_bps }
    }

    /// The measured move weighs more than the assumed one.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.samples >= ASSUMED_FILLS
    }

    fn add(&mut self, against_bps: f64) {
        self.samples = self.samples * (1.0 - 1.0 / ADVERSE_MEMORY) + 1.0;
        self.bps += (against_bps - self.bps) / self.samples;
    }
}

/// The averages at one horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Markout {
    /// Time after the fill.
    pub horizon: Span,
    /// Over all fills.
    #[serde(flatten)]
    pub both: MarkoutMean,
    /// Over what our bids bought.
    pub bid: MarkoutMean,
    /// Over what our asks sold.
    pub ask: MarkoutMean,
}

/// Where the spread of maker fills went within a horizon, exactly, in the currency of the profit:
/// capture + adverse = what was realised. `adverse` is the part of the inventory's result that
/// followed our own fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Realised {
    /// What the fills earned against the mid at the fill.
    pub capture: Money,
    /// What the mid did to them until the horizon; mostly below zero.
    pub adverse: Money,
}

impl Realised {
    /// What is left of the spread.
    #[must_use]
    pub fn spread(&self) -> Money {
        self.capture + self.adverse
    }
}

/// Markouts of one instrument's fills. The mid at fill time + horizon is the last one at or
/// before that instant.
#[derive(Clone, Debug)]
pub struct Markouts {
    payoff: Payoff,
    horizons: Vec<Horizon>,
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
    mid_half_ticks: i64,
    /// There was a mid when it came.
    met_mid: bool,
    reached: usize,
}

#[derive(Clone, Copy, Debug)]
struct Horizon {
    span: Span,
    /// By side: bids, asks.
    sides: [Sums; 2],
    adverse: [Adverse; 2],
}

/// Sums over fills, in lots, half-tick lots and their squares.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    fills: u64,
    lots: i128,
    notional: i128,
    effective: i128,
    realised: i128,
    /// Worths × lots.
    capture: i128,
    adverse: i128,
    notional_squared: f64,
    realised_squared: f64,
    realised_times_notional: f64,
}

impl Markouts {
    /// Markouts at these horizons.
    #[must_use]
    pub fn new(horizons: &[Span]) -> Markouts {
        let mut sorted = horizons.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let empty =
            |span| Horizon { span, sides: [Sums::default(); 2], adverse: [Adverse::default(); 2] };
        Markouts {
            payoff: Payoff::Linear,
            horizons: sorted.into_iter().map(empty).collect(),
            pending: VecDeque::new(),
            mid: None,
            dropped: 0,
        }
    }

    /// The same for a contract of another payoff.
    #[must_use]
    pub fn of(payoff: Payoff, horizons: &[Span]) -> Markouts {
        Markouts { payoff, ..Markouts::new(horizons) }
    }

    /// A fill of ours at `now`. Before any mid its own price is the mid.
    pub fn fill(&mut self, now: Ts, fill: &Fill) {
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
            self.dropped += 1;
        }
        let px_half_ticks = 2 * fill.px.0;
        self.pending.push_back(Pending {
            at: now,
            signed_lots: fill.qty.signed(fill.side).0,
            px_half_ticks,
            mid_half_ticks: self.mid.unwrap_or(px_half_ticks),
            met_mid: self.mid.is_some(),
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
        let average = |horizon: &Horizon| {
            let [bid, ask] = &horizon.sides;
            let both = bid.with(ask);
            Markout { horizon: horizon.span, both: both.mean(), bid: bid.mean(), ask: ask.mean() }
        };
        self.horizons.iter().map(average).collect()
    }

    /// Where the spread went, by horizon, over both sides.
    #[must_use]
    pub fn realised(&self, instrument: &Instrument) -> Vec<Realised> {
        let realised = |horizon: &Horizon| {
            let both = horizon.sides[0].with(&horizon.sides[1]);
            let money = |worths| self.payoff.money(worths, instrument);
            Realised { capture: money(both.capture), adverse: money(both.adverse) }
        };
        self.horizons.iter().map(realised).collect()
    }

    /// How the mid moved against one side's fills within one of the horizons; nothing at any other.
    #[must_use]
    pub fn adverse(&self, side: Side, horizon: Span) -> Adverse {
        let horizon = self.horizons.iter().find(|own| own.span == horizon);
        horizon.map_or_else(Adverse::default, |horizon| horizon.adverse[side.index()])
    }

    /// Fills dropped before they had reached all horizons.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn settle(&mut self, now: Ts, mid: i64) {
        for pending in &mut self.pending {
            while let Some(horizon) = self.horizons.get_mut(pending.reached) {
                if pending.at + horizon.span >= now {
                    break;
                }
                let side = if pending.signed_lots > 0 { Side::Buy } else { Side::Sell };
                horizon.sides[side.index()].add(pending, mid, self.payoff);
                if pending.met_mid && pending.mid_half_ticks > 0 {
                    let moved = mid as f64 / pending.mid_half_ticks as f64 - 1.0;
                    horizon.adverse[side.index()].add(-moved * 1e4 * side.sign() as f64);
                }
                pending.reached += 1;
            }
        }
        while self.pending.front().is_some_and(|first| first.reached == self.horizons.len()) {
            self.pending.pop_front();
        }
    }
}

impl Sums {
    fn add(&mut self, fill: &Pending, mid_half_ticks: i64, payoff: Payoff) {
        let lots = i128::from(fill.signed_lots);
        let px = i128::from(fill.px_half_ticks);
        let notional = lots.abs() * i128::from(fill.mid_half_ticks);
        let realised = lots * (i128::from(mid_half_ticks) - px);
        self.fills += 1;
        self.lots += lots.abs();
        self.notional += notional;
        self.effective += lots * (i128::from(fill.mid_half_ticks) - px);
        self.realised += realised;
        let at_fill = payoff.worth(fill.mid_half_ticks);
        self.capture += lots * (at_fill - payoff.worth(fill.px_half_ticks));
        self.adverse += lots * (payoff.worth(mid_half_ticks) - at_fill);
        self.notional_squared += (notional as f64).powi(2);
        self.realised_squared += (realised as f64).powi(2);
        self.realised_times_notional += realised as f64 * notional as f64;
    }

    fn with(&self, other: &Sums) -> Sums {
        Sums {
            fills: self.fills + other.fills,
            lots: self.lots + other.lots,
            notional: self.notional + other.notional,
            effective: self.effective + other.effective,
            realised: self.realised + other.realised,
            capture: self.capture + other.capture,
            adverse: self.adverse + other.adverse,
            notional_squared: self.notional_squared + other.notional_squared,
            realised_squared: self.realised_squared + other.realised_squared,
            realised_times_notional: self.realised_times_notional + other.realised_times_notional,
        }
    }

    fn mean(&self) -> MarkoutMean {
        let ratio = |part: i128, whole: i128| {
            if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
        };
        MarkoutMean {
            fills: self.fills,
            bps: ratio(self.realised, self.notional) * 1e4,
            standard_error_bps: self.standard_error().map(|ratio| ratio * 1e4),
            effective_bps: ratio(self.effective, self.notional) * 1e4,
            half_ticks: ratio(self.realised, self.lots),
        }
    }

    /// Of realised over notional: √(n/(n−1)·Σ(r − mean·w)²) / Σw.
    fn standard_error(&self) -> Option<f64> {
        if self.fills < 2 || self.notional == 0 {
            return None;
        }
        let (n, notional) = (self.fills as f64, self.notional as f64);
        let mean = self.realised as f64 / notional;
        let squares = self.realised_squared - 2.0 * mean * self.realised_times_notional
            + mean * mean * self.notional_squared;
        // Equal fills leave nothing but rounding, which may be below zero.
        Some((n / (n - 1.0) * squares.max(0.0)).sqrt() / notional)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_fills_change_little_of_what_was_assumed() {
        let measured = |bps, samples| Adverse { bps, samples };
        assert_eq!(measured(9.0, 0.0).or(0.5), 0.5);
        assert!((measured(2.0, 50.0).or(1.0) - 1.5).abs() < 1e-12, "half and half");
        assert_eq!(measured(-9.0, 300.0).or(0.5), 0.0, "a gain is not reckoned with");
        assert_eq!(measured(f64::NAN, 300.0).or(0.5), 0.5);
        assert!(measured(0.0, 50.0).is_trusted() && !measured(0.0, 49.0).is_trusted());
    }
}
