//! When to hedge, how much, and with how much haste.
//!
//! The plan is keyed on net exposure and on hedges that are on their way, not on fills: partial
//! and late fills need no special case, and no exposure is hedged twice.
//!
//! ```text
//!   inside ── exposure reaches the edge ──▶ resting ── its time is up, or urgent ──▶ taking
//!     ▲                                        │                                       │
//!     └──────────── back inside ───────────────┴───────────────────────────────────────┘
//! ```
//!
//! Without a passive phase an excursion begins with taking.

use serde::{Deserialize, Serialize};

use crate::domain::{Instrument, Money, Px, Side, Span, Ts};

/// What begins a hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HedgeMode {
    /// Exposure reaches the trigger; it goes back to the target.
    Trigger,
    /// Exposure leaves the band inside which waiting is cheaper than hedging; it goes back to the
    /// edge of the band. The trigger is the widest that the band may be.
    Band,
}

/// The settings of hedging one base asset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HedgeParams {
    /// What begins a hedge.
    pub mode: HedgeMode,
    /// Net exposure, without sign, from which on a hedge is due whatever the mode, in base.
    pub trigger_base: Money,
    /// Net exposure, without sign, that a hedge in trigger mode or an urgent one brings it back
    /// to, in base; below the trigger.
    pub target_base: Money,
    /// How far through the best price the limit of a hedge may be, bps.
    pub max_slippage_bps: Money,
    /// Shortest time between two hedge orders.
    pub min_interval: Span,
    /// Exposure beyond the edge for this long is late.
    pub deadline: Span,
    /// How long a hedge first rests at the touch before it takes; zero: not at all.
    pub passive: Span,
    /// Share of `risk.max_net_exposure_quote` from which on a hedge is urgent, above 0 to 1.
    pub urgent_share: f64,
    /// Assets without a hedge instrument are hedged by way of the one that moves with them.
    pub cross: bool,
    /// Time over which the risk that a hedge removes and the funding that it earns are reckoned.
    pub horizon: Span,
}

impl HedgeParams {
    /// Everything that is wrong with the settings: the key and what is allowed.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let rules = [
            (self.trigger_base > Money::ZERO, "trigger_base: allowed is above 0"),
            (
                self.target_base >= Money::ZERO && self.target_base < self.trigger_base,
                "target_base: allowed is 0 up to, but not including, trigger_base",
            ),
            (
                self.max_slippage_bps >= Money::ZERO
                    && self.max_slippage_bps <= Money::ONE_THOUSAND,
                "max_slippage_bps: allowed is 0 to 1000",
            ),
            (self.min_interval >= Span::ZERO, "min_interval_ms: allowed is 0 and above"),
            (self.deadline > Span::ZERO, "deadline_ms: allowed is above 0"),
            (self.passive >= Span::ZERO, "passive_ms: allowed is 0 and above"),
            (
                self.urgent_share > 0.0 && self.urgent_share <= 1.0,
                "urgent_exposure_pct: allowed is above 0 to 100",
            ),
            (self.horizon > Span::ZERO, "risk_horizon_ms: allowed is above 0"),
        ];
        rules.iter().filter(|(fine, _)| !fine).map(|(_, text)| (*text).to_owned()).collect()
    }

    /// The worst price that a hedge may take: the best one, moved by the slippage allowed and
    /// rounded to the tick on the near side. `None` when that is no price.
    #[must_use]
    pub fn worst_px(&self, instrument: &Instrument, best: Px, side: Side) -> Option<Px> {
        let slip = Money::from(best.0) * self.max_slippage_bps / Money::from(10_000);
        let ticks = i64::try_from(slip.trunc()).ok()?;
        let px = best.away(side.opposite(), ticks);
        Some(px.clamp(instrument.min_px.max(Px(1)), instrument.max_px))
    }
}

/// What the plan is made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct HedgeInputs {
    /// Net exposure, in base; above zero is long.
    pub exposure_base: Money,
    /// What hedge orders on their way, resting ones included, would still add to the exposure if
    /// they filled, in base: below zero for sells. Orders of unknown fate are on their way.
    pub in_flight_base: Money,
    /// The part of it that rests and may be changed.
    pub resting_base: Money,
    /// Smallest hedge that any venue would take, in base.
    pub least_base: Money,
    /// Half-width of the band, in base; `None` while it is not known, and in trigger mode.
    pub band_base: Option<Money>,
    /// Something other than time presses: exposure is near its limit.
    pub pressed: bool,
}

/// A hedge that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgeOrder {
    /// Which way.
    pub side: Side,
    /// How much, in base; not yet in lots of any venue. What rests already is part of it.
    pub base: Money,
    /// It may rest at the touch for now.
    pub passive: bool,
}

/// What hedging wants now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgePlan {
    /// A hedge that is due now.
    pub order: Option<HedgeOrder>,
    /// Since when the exposure has been beyond the edge; `None` inside.
    pub since: Option<Ts>,
    /// The deadline has passed.
    pub late: bool,
    /// The exposure has just come back inside, after this long.
    pub done: Option<Span>,
    /// When to plan again if nothing else happens: the interval ends, the passive phase ends or
    /// the deadline passes.
    pub next: Option<Ts>,
    /// Exposure, without sign, from which on a hedge is due, in base.
    pub edge_base: Money,
    /// The band does not count now: near the limit, or late.
    pub urgent: bool,
}

impl HedgePlan {
    /// An excursion is running and its deadline has passed.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.late && self.since.is_some()
    }
}

/// The hedging clock of one base asset.
#[derive(Clone, Debug)]
pub struct Hedger {
    params: HedgeParams,
    since: Option<Ts>,
    last_order: Option<Ts>,
}

impl Hedger {
    /// Inside the edge, nothing sent yet.
    #[must_use]
    pub fn new(params: HedgeParams) -> Hedger {
        Hedger { params, since: None, last_order: None }
    }

    /// The same with other settings; a running excursion goes on.
    #[must_use]
    pub fn retuned(self, params: HedgeParams) -> Hedger {
        Hedger { params, ..self }
    }

    /// What to do now.
    pub fn plan(&mut self, now: Ts, inputs: &HedgeInputs) -> HedgePlan {
        let params = self.params;
        let late = self.since.is_some_and(|since| now.since(since) >= params.deadline);
        let urgent = late || inputs.pressed;
        let (edge, back_to) = self.edge(inputs, urgent);
        let mut plan = HedgePlan { edge_base: edge, urgent, ..HedgePlan::default() };
        // An excursion with a passive phase ends where the hedge was to end, or the first small
        // fill at the edge would be the last.
        let passes = params.passive > Span::ZERO && self.since.is_some();
        let ends = if passes { edge.min(back_to + inputs.least_base) } else { edge };
        if inputs.exposure_base.abs() < ends || inputs.exposure_base.is_zero() {
            plan.done = self.since.take().map(|since| now.since(since));
            return plan;
        }
        let since = *self.since.get_or_insert(now);
        plan.since = Some(since);
        plan.late = now.since(since) >= params.deadline;
        let resting_ends = since + params.passive;
        let passive = !urgent && now < resting_ends;
        let free_at = self.last_order.map(|at| at + params.min_interval);
        if passive || free_at.is_none_or(|at| now >= at) {
            plan.order = order(inputs, ends, back_to, passive);
        }
        let deadline = since + params.deadline;
        plan.next = [free_at, Some(resting_ends), Some(deadline)]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min();
        plan
    }

    /// A planned order that takes has been tried, whether or not it left: the interval begins, so
    /// that a hedge that is refused again and again does not spin. When to plan again.
    pub fn tried(&mut self, now: Ts) -> Ts {
        self.last_order = Some(now);
        now + self.params.min_interval
    }

    /// Exposure from which on a hedge is due, and what it goes back to.
    fn edge(&self, inputs: &HedgeInputs, urgent: bool) -> (Money, Money) {
        let HedgeParams { trigger_base, target_base, .. } = self.params;
        let Some(band) = inputs.band_base.filter(|_| self.params.mode == HedgeMode::Band) else {
            return (trigger_base, target_base);
        };
        // What is beyond the band must be worth an order, and the trigger caps the width.
        let least = inputs.least_base.max(Money::ZERO);
        let band = band.min(trigger_base - least).max(Money::ZERO);
        let edge = (band + least).min(trigger_base);
        (edge, if urgent { band.min(target_base) } else { band })
    }
}

/// The order that brings the exposure, hedges on their way counted as filled, back; `None` when
/// that exposure is inside the edge already. A hedge that may rest takes the place of those that
/// rest, so they do not count.
fn order(inputs: &HedgeInputs, edge: Money, back_to: Money, passive: bool) -> Option<HedgeOrder> {
    let standing = if passive { inputs.resting_base } else { Money::ZERO };
    let effective = inputs.exposure_base + inputs.in_flight_base - standing;
    let flipped = effective.is_sign_negative() != inputs.exposure_base.is_sign_negative();
    if flipped || effective.abs() < edge {
        return None;
    }
    let side = if effective > Money::ZERO { Side::Sell } else { Side::Buy };
    let base = (effective.abs() - back_to).min(inputs.exposure_base.abs());
    (base > Money::ZERO).then_some(HedgeOrder { side, base, passive })
}
