//! Who is adding and who is withdrawing? Order-flow imbalance, at the best level and below.
//!
//! Source: Cont, Kukanov, Stoikov, "The price impact of order book events", 2014, (4):
//! e = 1{b'≥b}·B' − 1{b'≤b}·B − 1{a'≤a}·A' + 1{a'≥a}·A. Deeper levels follow the same rule.

use crate::domain::{Level, Side, Span, Ts};

/// Levels of a side that count.
pub const FLOW_LEVELS: usize = 5;
/// The mean depth, which flow is measured in, is that of about this many changes.
const DEPTH_MEMORY: f64 = 1000.0;
/// Changes before the mean depth is believed.
const NEEDED: u32 = 200;

/// What a change of one side's level added to the demand, in lots: bids count for it, asks
/// against it.
#[must_use]
pub fn level_flow(side: Side, before: Level, after: Level) -> i64 {
    let better = (after.px.0 - before.px.0) * side.sign();
    let added = if better >= 0 { after.qty.0 } else { 0 };
    let gone = if better <= 0 { before.qty.0 } else { 0 };
    (added - gone) * side.sign()
}

/// The best levels of both sides, best first.
pub type Ladder = [[Option<Level>; FLOW_LEVELS]; 2];

/// Order-flow imbalance whose old events fade, in units of the mean depth of a level.
#[derive(Clone, Debug)]
pub struct OrderFlow {
    half_life: Span,
    before: Option<Ladder>,
    at: Ts,
    best_lots: f64,
    all_lots: f64,
    depth_lots: f64,
    changes: u32,
}

impl OrderFlow {
    /// Nothing happened yet; an event counts half after `half_life`.
    #[must_use]
    pub fn new(half_life: Span) -> OrderFlow {
        OrderFlow {
            half_life,
            before: None,
            at: Ts::default(),
            best_lots: 0.0,
            all_lots: 0.0,
            depth_lots: 0.0,
            changes: 0,
        }
    }

    /// The best levels have changed.
    pub fn observe(&mut self, now: Ts, ladder: Ladder) {
        self.fade(now);
        let Some(before) = self.before.replace(ladder) else { return };
        let (mut best, mut all, mut depth, mut count) = (0, 0, 0, 0);
        for side in Side::BOTH {
            let levels = before[side.index()].iter().zip(&ladder[side.index()]);
            for (place, (before, after)) in levels.enumerate() {
                let (Some(before), Some(after)) = (before, after) else { break };
                let flow = level_flow(side, *before, *after);
                best += if place == 0 { flow } else { 0 };
                all += flow;
                depth += after.qty.0;
                count += 1;
            }
        }
        if count > 0 {
            self.changes = self.changes.saturating_add(1);
            let weight = (1.0 / f64::from(self.changes)).max(1.0 / DEPTH_MEMORY);
            self.depth_lots += weight * (depth as f64 / f64::from(count) - self.depth_lots);
            self.best_lots += best as f64;
            self.all_lots += all as f64;
        }
    }

    /// What followed is not known: a book that was lost begins anew.
    pub fn interrupt(&mut self) {
        self.before = None;
        (self.best_lots, self.all_lots) = (0.0, 0.0);
    }

    /// Flow at the best level, in mean depths; `None` until the mean depth is known.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        self.is_trusted().then(|| self.best_lots / self.depth_lots)
    }

    /// Flow over all levels looked at, in mean depths; `None` until the mean depth is known.
    #[must_use]
    pub fn all_levels(&self) -> Option<f64> {
        self.is_trusted().then(|| self.all_lots / self.depth_lots)
    }

    /// Flow at the best level since the beginning, old events faded, lots.
    #[must_use]
    pub fn best_lots(&self) -> f64 {
        self.best_lots
    }

    /// The mean depth is known.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.changes >= NEEDED && self.depth_lots > 0.0
    }

    fn fade(&mut self, now: Ts) {
        let passed = now.since(self.at).seconds().max(0.0);
        let keep = (-passed / self.half_life.seconds().max(1e-9)).exp2();
        self.best_lots *= keep;
        self.all_lots *= keep;
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Px, Qty};

    fn ladder(bid: (i64, i64), ask: (i64, i64)) -> Ladder {
        let mut ladder = Ladder::default();
        for (side, (px, qty)) in [bid, ask].into_iter().enumerate() {
            ladder[side][0] = Some(Level { px: Px(px), qty: Qty(qty) });
        }
        ladder
    }

    #[test]
    fn flow_fades_and_waits_for_the_mean_depth() {
        let mut flow = OrderFlow::new(Span::from_s(1));
        for n in 0..=200 {
            assert_eq!(flow.best(), None, "after {n}");
            flow.observe(Ts(n), ladder((100, 4), (101, 4)));
        }
        assert_eq!(flow.best(), Some(0.0));
        flow.observe(Ts(201), ladder((100, 8), (101, 4)));
        assert!((flow.best().unwrap() - 1.0).abs() < 0.02, "{flow:?}");
        flow.observe(Ts(201) + Span::from_s(1), ladder((100, 8), (101, 4)));
        assert!((flow.best_lots() - 2.0).abs() < 1e-9);
        flow.interrupt();
        flow.observe(Ts(0), Ladder::default());
        flow.observe(Ts(0), ladder((100, 8), (101, 4)));
        assert_eq!(flow.best_lots(), 0.0, "an empty book is no flow");
    }
}
