//! When and how to take net exposure off with an order that trades at once.
//!
//! The plan is keyed on net exposure and on hedges that are on their way, not on fills: partial
//! and late fills need no special case, and no exposure is hedged twice.

use crate::domain::{Instrument, Money, Px, Qty, Side, Span, Ts};

/// The settings of hedging one base asset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeParams {
    /// Net exposure, without sign, from which on a hedge is due, in base.
    pub trigger_base: Money,
    /// Net exposure, without sign, that a hedge brings it back to, in base; below the trigger.
    pub target_base: Money,
    /// Largest single hedge order, in base.
    pub max_order_base: Money,
    /// How far through the best price the limit of a hedge may be, bps.
    pub max_slippage_bps: Money,
    /// Shortest time between two hedge orders.
    pub min_interval: Span,
    /// Exposure beyond the trigger for this long is late.
    pub deadline: Span,
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
            (self.max_order_base > Money::ZERO, "max_order_base: allowed is above 0"),
            (
                self.max_slippage_bps >= Money::ZERO
                    && self.max_slippage_bps <= Money::ONE_THOUSAND,
                "max_slippage_bps: allowed is 0 to 1000",
            ),
            (self.min_interval >= Span::ZERO, "min_interval_ms: allowed is 0 and above"),
            (self.deadline > Span::ZERO, "deadline_ms: allowed is above 0"),
        ];
        rules.iter().filter(|(fine, _)| !fine).map(|(_, text)| (*text).to_owned()).collect()
    }
}

/// What the plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct HedgeInputs<'a> {
    /// Where hedges are placed.
    pub instrument: &'a Instrument,
    /// Net exposure, in base; above zero is long.
    pub exposure_base: Money,
    /// What hedge orders on their way would still add to the exposure if they filled, in base:
    /// below zero for sells. Orders of unknown fate are on their way.
    pub in_flight_base: Money,
    /// Best bid of others there; `None` when the book is not proven: nothing is placed then.
    pub best_bid: Option<Px>,
    /// Best ask of others there.
    pub best_ask: Option<Px>,
}

/// A hedge to place, immediate-or-cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgeOrder {
    /// Which way.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// Worst price allowed.
    pub px: Px,
}

/// What hedging wants now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgePlan {
    /// A hedge to place now.
    pub order: Option<HedgeOrder>,
    /// Since when the exposure has been beyond the trigger; `None` inside.
    pub since: Option<Ts>,
    /// The deadline has passed.
    pub late: bool,
    /// The exposure has just come back inside the trigger, after this long.
    pub done: Option<Span>,
    /// When to plan again if nothing else happens: the interval ends or the deadline passes.
    pub next: Option<Ts>,
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
    /// Inside the trigger, nothing sent yet.
    #[must_use]
    pub fn new(params: HedgeParams) -> Hedger {
        Hedger { params, since: None, last_order: None }
    }

    /// What to do now. A planned order starts the interval, whether or not it then leaves: a
    /// hedge that is refused again and again does not spin.
    pub fn plan(&mut self, now: Ts, inputs: &HedgeInputs<'_>) -> HedgePlan {
        let mut plan = HedgePlan::default();
        if inputs.exposure_base.abs() < self.params.trigger_base {
            plan.done = self.since.take().map(|since| now.since(since));
            return plan;
        }
        let since = *self.since.get_or_insert(now);
        plan.since = Some(since);
        plan.late = now.since(since) >= self.params.deadline;
        let free_at = self.last_order.map(|at| at + self.params.min_interval);
        let free = free_at.is_none_or(|at| now >= at);
        if free {
            plan.order = self.order(inputs);
        }
        if plan.order.is_some() {
            self.last_order = Some(now);
        }
        let interval_ends = self.last_order.map(|at| at + self.params.min_interval);
        let deadline = Some(since + self.params.deadline);
        plan.next = [interval_ends, deadline].into_iter().flatten().filter(|at| *at > now).min();
        plan
    }

    /// The order that brings the exposure, hedges on their way counted as filled, back to the
    /// target; `None` when that exposure is inside the trigger or too small to trade.
    fn order(&self, inputs: &HedgeInputs<'_>) -> Option<HedgeOrder> {
        let effective = inputs.exposure_base + inputs.in_flight_base;
        let flipped = effective.is_sign_negative() != inputs.exposure_base.is_sign_negative();
        if flipped || effective.abs() < self.params.trigger_base {
            return None;
        }
        let side = if effective > Money::ZERO { Side::Sell } else { Side::Buy };
        let px = self.worst_px(inputs, side)?;
        let wanted = (effective.abs() - self.params.target_base)
            .min(inputs.exposure_base.abs())
            .min(self.params.max_order_base);
        let qty = inputs.instrument.lots_within(wanted).min(inputs.instrument.max_qty);
        let least = inputs.instrument.least_qty(px).max(Qty(1));
        (qty >= least).then_some(HedgeOrder { side, qty, px })
    }

    /// The best price that the order would meet, moved by the slippage allowed and rounded to
    /// the tick on the near side.
    fn worst_px(&self, inputs: &HedgeInputs<'_>, side: Side) -> Option<Px> {
        let best = match side {
            Side::Buy => inputs.best_ask?,
            Side::Sell => inputs.best_bid?,
        };
        let slip = Money::from(best.0) * self.params.max_slippage_bps / Money::from(10_000);
        let ticks = i64::try_from(slip.trunc()).ok()?;
        let px = best.away(side.opposite(), ticks);
        Some(px.clamp(inputs.instrument.min_px.max(Px(1)), inputs.instrument.max_px))
    }
}
