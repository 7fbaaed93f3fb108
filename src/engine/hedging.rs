//! Taking net exposure off, and closing positions at the end.

use rust_decimal::prelude::ToPrimitive;

use super::Engine;
use super::params::Role;
use super::send::Wish;
use crate::domain::{
    Action, Instrument, InstrumentId, InstrumentKind, Money, Note, OrderKind, Purpose, Side, Span,
    State, Ts,
};
use crate::inventory::{HedgeInputs, HedgeParams, HedgePlan, Hedger};
use crate::market::{Fusion, FusionParams};
use crate::orders::Order;

/// Instruments of one base asset: one risk, over all venues.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The base asset; empty until an instrument of the group is listed.
    pub(super) base: String,
    pub(super) members: Vec<InstrumentId>,
    /// Where hedges go.
    pub(super) hedge_at: Option<InstrumentId>,
    pub(super) hedger: Option<Hedger>,
    pub(super) plan: HedgePlan,
    /// The deadline of the running excursion has been told.
    pub(super) told_late: bool,
    /// The fair price over all members, by their places in `members`.
    pub(super) fusion: Fusion,
}

/// Pause between two flattening orders of one instrument.
const FLATTEN_PAUSE: Span = Span::from_ms(300);

impl Engine {
    /// Plans and places hedges where exposure has passed its trigger.
    pub(super) fn hedge(&mut self, out: &mut Vec<Action>) {
        if !matches!(self.state, State::Quoting | State::Reducing) {
            return;
        }
        let mut from = 0;
        while let Some(index) = self.agenda.next_hedge(from, self.now) {
            self.hedge_group(index, out);
            from = index + 1;
        }
    }

    fn hedge_group(&mut self, index: usize, out: &mut Vec<Action>) {
        self.agenda.hedge_at(index, Ts::FAR);
        let Some(at) = self.groups[index].hedge_at else { return };
        let desk = &self.desks[at.index()];
        let Some(instrument) = &desk.listed else { return };
        let (exposure_base, _) = self.exposure(desk);
        let fit = self.may_trade(at);
        let touch = desk.book.touch().filter(|touch| fit && !touch.is_crossed());
        let inputs = HedgeInputs {
            instrument,
            exposure_base,
            in_flight_base: self.in_flight_hedges(at),
            best_bid: touch.map(|touch| touch.bid.px),
            best_ask: touch.map(|touch| touch.ask.px),
        };
        let now = self.now;
        let group = &mut self.groups[index];
        let Some(hedger) = &mut group.hedger else { return };
        let plan = hedger.plan(now, &inputs);
        let mut due = plan.next.unwrap_or(Ts::FAR);
        if plan.since.is_some() && plan.order.is_none() {
            // A book that comes back or a hedge that ends is seen at once; this is for the rest.
            due = due.min(now + Span::from_ms(250));
        }
        self.agenda.hedge_at(index, due);
        self.agenda.late_groups -= usize::from(group.plan.is_late());
        self.agenda.late_groups += usize::from(plan.is_late());
        group.plan = plan;
        self.tell(index, exposure_base, out);
        if let Some(order) = plan.order {
            let wish = Wish {
                instrument: at,
                side: order.side,
                px: order.px,
                qty: order.qty,
                kind: OrderKind::ImmediateOrCancel,
                reduce_only: false,
                purpose: Purpose::Hedge,
            };
            if self.place(wish, out).is_ok() {
                self.counts.hedges_sent += 1;
                out.push(Action::Note(Note::HedgeStarted {
                    instrument: at,
                    side: order.side,
                    qty: order.qty,
                    exposure_base: exposure_base.to_f64().unwrap_or_default(),
                }));
            }
        }
    }

    /// Tells the end of an excursion, or that it has taken too long.
    fn tell(&mut self, index: usize, exposure: Money, out: &mut Vec<Action>) {
        let now = self.now;
        let group = &mut self.groups[index];
        let exposure_base = exposure.to_f64().unwrap_or_default();
        if let Some(took) = group.plan.done {
            group.told_late = false;
            self.counts.longest_hedge_ms = self.counts.longest_hedge_ms.max(took.ms());
            out.push(Action::Note(Note::HedgeDone {
                base: group.base.clone(),
                exposure_base,
                took_ms: took.ms(),
            }));
        } else if let Some(since) = group.plan.since
            && group.plan.late
            && !group.told_late
        {
            group.told_late = true;
            out.push(Action::Note(Note::HedgeLate {
                base: group.base.clone(),
                exposure_base,
                since_ms: now.since(since).ms(),
            }));
        }
    }

    /// Hedges on their way, signed, in base.
    fn in_flight_hedges(&self, at: InstrumentId) -> Money {
        let Some(instrument) = &self.desks[at.index()].listed else { return Money::ZERO };
        self.orders
            .of(at)
            .filter(|order| order.new.purpose == Purpose::Hedge)
            .map(|order| instrument.quantity(order.exposed().signed(order.new.side)))
            .sum()
    }

    /// The book there is proven and alive, and our fills there would be seen.
    fn may_trade(&self, id: InstrumentId) -> bool {
        let desk = &self.desks[id.index()];
        let venue = &self.venues[desk.venue.index()];
        venue.is_ready()
            && desk.book.is_synced()
            && !self.is_stale(desk)
            && desk.listed.as_ref().is_some_and(|listed| listed.trading)
    }

    /// Sends what closes positions; true while anything is left to close or in doubt.
    pub(super) fn flatten(&mut self, out: &mut Vec<Action>) -> bool {
        let mut busy = false;
        for index in 0..self.desks.len() {
            let desk = &self.desks[index];
            if desk.is_flat() {
                continue;
            }
            busy = true;
            let (id, waiting) = (desk.id, self.now < desk.flatten_at);
            let open = self.orders.of(id).map(Order::exposed).any(|qty| !qty.is_zero());
            if !open && !waiting && self.may_trade(id) {
                self.flatten_one(id, out);
            }
        }
        busy
    }

    fn flatten_one(&mut self, id: InstrumentId, out: &mut Vec<Action>) {
        let now = self.now;
        let slippage = self.flatten_slippage();
        let desk = &mut self.desks[id.index()];
        desk.flatten_at = now + FLATTEN_PAUSE;
        let (Some(instrument), Some(touch)) = (&desk.listed, desk.book.touch()) else { return };
        let off = desk.off_target_base();
        let side = if off > Money::ZERO { Side::Sell } else { Side::Buy };
        let best = if side == Side::Sell { touch.bid.px } else { touch.ask.px };
        let slip = (best.0 as f64 * slippage * 1e-4) as i64;
        let wish = Wish {
            instrument: id,
            side,
            px: best.away(side.opposite(), slip),
            qty: instrument.lots_within(off.abs()),
            kind: OrderKind::ImmediateOrCancel,
            reduce_only: instrument.kind == InstrumentKind::LinearPerpetual,
            purpose: Purpose::Flatten,
        };
        // A refusal is told by the gate's note; the next turn tries again.
        if self.place(wish, out).is_ok() {
            self.counts.flattens_sent += 1;
        }
    }

    /// How far through the touch a flattening order may reach, basis points: the hedge's limit,
    /// within the collar.
    fn flatten_slippage(&self) -> f64 {
        let configured =
            self.params.hedge.as_ref().and_then(|hedge| hedge.max_slippage_bps.to_f64());
        configured.unwrap_or(10.0)
    }
}

impl Engine {
    /// Files a listed instrument with those of the same base asset.
    pub(super) fn join_group(&mut self, instrument: &Instrument) {
        let desk = &mut self.desks[instrument.id.index()];
        let base = instrument.base.as_str();
        let at = self
            .groups
            .iter()
            .position(|group| group.base == base)
            .unwrap_or(instrument.id.index());
        desk.group = at;
        let group = &mut self.groups[at];
        group.base = base.to_owned();
        if !group.members.contains(&instrument.id) {
            group.members.push(instrument.id);
            group.fusion.resize(group.members.len());
        }
        if desk.params.role == Role::Hedge && group.hedge_at.is_none() {
            group.hedge_at = Some(instrument.id);
        }
        self.agenda.hedge_now(at);
    }
}

impl Group {
    pub(super) fn new(hedge: Option<HedgeParams>, fusion: FusionParams) -> Group {
        Group {
            base: String::new(),
            members: Vec::new(),
            hedge_at: None,
            hedger: hedge.map(Hedger::new),
            plan: HedgePlan::default(),
            told_late: false,
            fusion: Fusion::new(fusion),
        }
    }
}
