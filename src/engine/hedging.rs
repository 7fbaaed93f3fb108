//! Taking net exposure off: when, by which orders, and what it cost.

use std::collections::BTreeMap;

use rust_decimal::prelude::ToPrimitive;

use super::Engine;
use super::outlets::{Band, Outlet};
use super::params::Role;
use super::reversion::Reversion;
use super::send::Wish;
use crate::domain::{
    Action, Fill, Instrument, InstrumentId, InstrumentKind, Money, Note, OrderId, OrderKind,
    Purpose, Qty, Quote, Side, Span, State, Ts, planted,
};
use crate::inventory::hedge::HedgeRecord;
use crate::inventory::{HedgeInputs, HedgeMode, HedgeOrder, HedgeParams, HedgePlan, Hedger};
use crate::market::{Fusion, FusionParams};
use crate::orders::{Change, Order, Phase, Request, Tolerance, Working, changes};

/// Instruments of one base asset: one risk, over all venues.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The base asset; empty until an instrument of the group is listed.
    pub(super) base: String,
    pub(super) members: Vec<InstrumentId>,
    /// Where hedges may go.
    pub(super) hedges: Vec<InstrumentId>,
    pub(super) hedger: Option<Hedger>,
    pub(super) plan: HedgePlan,
    /// The deadline of the running excursion has been told.
    told_late: bool,
    /// The band as last reckoned.
    pub(super) band: Option<Band>,
    /// The band as last told.
    pub(super) told_band: Option<f64>,
    excursion: Excursion,
    /// When the resting hedge was last changed.
    rested_at: Ts,
    /// The fair price over all members, by their places in `members`.
    pub(super) fusion: Fusion,
    /// How fast its net inventory comes back.
    pub(super) reversion: Reversion,
}

/// What was done about the running excursion, or the last one while news of its orders is out.
#[derive(Clone, Debug, Default)]
struct Excursion {
    /// A hedge has been sent for it.
    sent: bool,
    /// Mids in half ticks at which hedges that may still fill were decided.
    decided: BTreeMap<OrderId, i64>,
    /// Hedged by instrument, in base without sign.
    volumes: BTreeMap<InstrumentId, Money>,
    hedged_base: Money,
    fees_quote: Money,
    slippage_quote: Money,
    /// It is over, and how long it took.
    took: Option<Span>,
}

/// Between two looks at a hedge that nothing else calls for.
const LOOK_AGAIN: Span = Span::from_ms(250);
/// Between two reckonings of the band when nothing happens.
const BAND_AGAIN: Span = Span::from_s(1);

impl Engine {
    /// Plans and places hedges where exposure has passed its edge.
    pub(super) fn hedge(&mut self, out: &mut Vec<Action>) {
        // A halt cancels and leaves positions to the operator (`kill --flatten`, `resume`): what it
        // answers to may be wrong numbers of ours, and a hedge made on them would add risk.
        if !matches!(self.state, State::Quoting | State::Reducing) {
            for index in 0..self.groups.len() {
                self.settle_excursion(index, out);
            }
            return;
        }
        let mut from = 0;
        while let Some(index) = self.agenda.next_hedge(from, self.now) {
            self.hedge_group(index, out);
            from = index + 1;
            // What changed here may be another group's to hedge.
            if let Some(other) = self.crosses_to(index) {
                self.agenda.hedge_now(other);
                from = from.min(other);
            }
        }
    }

    fn hedge_group(&mut self, index: usize, out: &mut Vec<Action>) {
        self.agenda.hedge_at(index, Ts::FAR);
        let Some(params) = self.params.hedge.filter(|_| !self.groups[index].hedges.is_empty())
        else {
            self.leave_unhedged(index, out);
            return;
        };
        let exposure_base = self.factor_exposure(index);
        let side = if exposure_base > Money::ZERO { Side::Sell } else { Side::Buy };
        let outlets = self.outlets(&self.groups[index], side, &params);
        if params.mode == HedgeMode::Band {
            self.renew_band(index, side, &outlets, out);
        }
        let inputs = self.hedge_inputs(index, exposure_base, &outlets);
        let now = self.now;
        let group = &mut self.groups[index];
        let Some(hedger) = &mut group.hedger else { return };
        let plan = hedger.plan(now, &inputs);
        self.agenda.late_groups -= usize::from(group.plan.is_late());
        self.agenda.late_groups += usize::from(plan.is_late());
        group.plan = plan;
        if plan.since.is_some() && group.excursion.took.is_some() {
            self.close_excursion(index, out);
        }
        self.agenda.hedge_at(index, plan.next.unwrap_or(Ts::FAR));
        if plan.since.is_some() || !inputs.in_flight_base.is_zero() {
            // A book that comes back or a hedge that ends is seen at once; this is for the rest.
            self.hedge_by(index, now + LOOK_AGAIN);
        } else if params.mode == HedgeMode::Band || params.cross {
            self.hedge_by(index, now + BAND_AGAIN);
        }
        self.tell(index, exposure_base, out);
        self.rest(index, &outlets, out);
        if let Some(order) = plan.order.filter(|order| !order.passive) {
            self.take(index, order, &outlets, exposure_base, out);
        }
        self.settle_excursion(index, out);
    }

    /// Nothing is hedged here, or no more: what an earlier plan has led to is left neither resting
    /// nor late.
    fn leave_unhedged(&mut self, index: usize, out: &mut Vec<Action>) {
        let group = &mut self.groups[index];
        self.agenda.late_groups -= usize::from(group.plan.is_late());
        group.plan = HedgePlan::default();
        (group.band, group.told_band, group.told_late) = (None, None, false);
        self.rest(index, &[], out);
        self.settle_excursion(index, out);
    }

    fn hedge_by(&mut self, index: usize, at: Ts) {
        let planned = self.agenda.hedge_due(index);
        self.agenda.hedge_at(index, planned.min(at));
    }

    fn hedge_inputs(&self, index: usize, exposure_base: Money, outlets: &[Outlet]) -> HedgeInputs {
        let group = &self.groups[index];
        let least = self.least_hedge_base(outlets);
        HedgeInputs {
            exposure_base,
            in_flight_base: self.hedges_of(group, |_| true),
            resting_base: self.hedges_of(group, may_change),
            least_base: least.unwrap_or_default(),
            band_base: group.band.and_then(|band| Money::try_from(band.base).ok()),
            pressed: self.state == State::Reducing || self.is_near_limit(group, exposure_base),
        }
    }

    /// Whether the exposure is so near to a limit that a hedge must not wait.
    fn is_near_limit(&self, group: &Group, exposure_base: Money) -> bool {
        let share = self.params.hedge.map_or(1.0, |hedge| hedge.urgent_share);
        let Some(exposure) = exposure_base.abs().to_f64() else { return true };
        group.members.iter().map(|id| &self.desks[id.index()]).any(|desk| {
            let limits = &desk.params.limits;
            let net = limits.max_net_exposure_quote.to_f64().unwrap_or(0.0);
            let held = limits.inventory_limit_base.to_f64().unwrap_or(0.0);
            let is_near = desk.mid_f64().is_some_and(|mid| exposure * mid >= share * net);
            is_near || desk.is_quoted() && exposure >= share * held
        })
    }

    /// What hedges of that kind would still add to the exposure, signed, in base.
    fn hedges_of(&self, group: &Group, kind: impl Fn(&Order) -> bool) -> Money {
        if planted("hedges_not_counted") {
            return Money::ZERO;
        }
        let of = |instrument: &Instrument| -> Money {
            self.orders
                .of(instrument.id)
                .filter(|order| order.new.purpose == Purpose::Hedge && kind(order))
                .map(|order| instrument.quantity(order.exposed().signed(order.new.side)))
                .sum()
        };
        let members = group.members.iter().map(|id| &self.desks[id.index()]);
        members.filter_map(|desk| desk.listed.as_ref()).map(of).sum()
    }

    /// Takes what is due from the books, cheapest first.
    fn take(
        &mut self,
        index: usize,
        order: HedgeOrder,
        outlets: &[Outlet],
        exposure_base: Money,
        out: &mut Vec<Action>,
    ) {
        let Some(params) = self.params.hedge else { return };
        let parts = self.allocate(order.base, order.side, outlets);
        if parts.is_empty() {
            return;
        }
        if let Some(hedger) = &mut self.groups[index].hedger {
            let next = hedger.tried(self.now);
            self.hedge_by(index, next);
        }
        for (outlet, qty) in parts {
            let listed = self.desks[outlet.id.index()].listed.as_ref();
            let worst = listed.and_then(|i| params.worst_px(i, outlet.best, order.side));
            let Some(px) = worst else { continue };
            let wish = Wish {
                instrument: outlet.id,
                side: order.side,
                px,
                qty,
                kind: OrderKind::ImmediateOrCancel,
                reduce_only: false,
                purpose: Purpose::Hedge,
            };
            self.send_hedge(index, wish, outlet.mid_half_ticks, exposure_base, out);
        }
    }

    /// True when it left.
    fn send_hedge(
        &mut self,
        index: usize,
        wish: Wish,
        mid_half_ticks: i64,
        exposure_base: Money,
        out: &mut Vec<Action>,
    ) -> bool {
        let Ok(id) = self.place(wish, out) else { return false };
        self.counts.hedges_sent += 1;
        let now = self.now;
        let group = &mut self.groups[index];
        group.excursion.decided.insert(id, mid_half_ticks);
        let first = !std::mem::replace(&mut group.excursion.sent, true);
        out.push(Action::Note(Note::HedgeStarted {
            instrument: wish.instrument,
            side: wish.side,
            qty: wish.qty,
            exposure_base: exposure_base.to_f64().unwrap_or_default(),
            waited_ms: group.plan.since.filter(|_| first).map(|since| now.since(since).ms()),
        }));
        true
    }

    /// Brings resting hedges to what is wanted: one at the touch of the cheapest outlet while the
    /// passive phase lasts, none otherwise.
    fn rest(&mut self, index: usize, outlets: &[Outlet], out: &mut Vec<Action>) {
        let wanted = self.groups[index].plan.order.filter(|order| order.passive);
        let place = wanted.and_then(|order| self.place_to_rest(index, order, outlets));
        for id in self.groups[index].hedges.clone() {
            for side in Side::BOTH {
                let quote = place.filter(|(at, order, _)| (*at, order.side) == (id, side));
                self.rest_at(index, id, side, quote.map(|(_, _, quote)| quote), out);
            }
        }
    }

    /// The order to rest: where one rests already as long as it can, else where taking would be
    /// the cheapest.
    fn place_to_rest(
        &self,
        index: usize,
        order: HedgeOrder,
        outlets: &[Outlet],
    ) -> Option<(InstrumentId, HedgeOrder, Quote)> {
        let rests = |outlet: &&Outlet| {
            self.orders
                .live(outlet.id)
                .any(|own| is_resting_hedge(own) && own.new.side == order.side)
        };
        let here = outlets.iter().find(rests).cloned();
        let cheapest = || {
            let parts = self.allocate(order.base, order.side, outlets);
            parts.into_iter().max_by_key(|(_, qty)| *qty).map(|(outlet, _)| outlet)
        };
        let outlet = here.or_else(cheapest)?;
        debug_assert!(self.groups[index].hedges.contains(&outlet.id), "outlets are our hedges");
        let desk = &self.desks[outlet.id.index()];
        let own: Vec<_> = self.orders.resting(outlet.id).collect();
        let touch = desk.touch_of_others(&own).filter(|touch| !touch.is_crossed())?;
        let px = if order.side == Side::Buy { touch.bid.px } else { touch.ask.px };
        let instrument = desk.listed.as_ref()?;
        let resting: Qty = self
            .orders
            .live(outlet.id)
            .filter(|own| is_resting_hedge(own) && own.new.side == order.side)
            .map(Order::exposed)
            .sum();
        let qty = instrument.lots_within(order.base).min(outlet.most + resting);
        (qty >= outlet.least).then_some((outlet.id, order, Quote { px, qty }))
    }

    fn rest_at(
        &mut self,
        index: usize,
        id: InstrumentId,
        side: Side,
        wanted: Option<Quote>,
        out: &mut Vec<Action>,
    ) {
        let (now, pace) = (self.now, self.params.pace);
        let is_ours = |order: &&Order| is_resting_hedge(order) && order.new.side == side;
        let working: Vec<Working<'_>> = self.orders.live(id).filter(is_ours).map(Working).collect();
        if working.is_empty() && wanted.is_none() {
            return;
        }
        // One that is being cancelled may still fill: what takes its place waits for that.
        let leaving = working.iter().any(|w| matches!(w.0.request, Request::Cancel { .. }));
        let listed = self.desks[id.index()].listed.as_ref();
        let spot = listed.is_none_or(|listed| listed.kind == InstrumentKind::Spot);
        let tolerance = Tolerance {
            reprice_threshold_bps: pace.reprice_threshold_bps,
            max_age: Span(i64::MAX),
            can_move: !spot,
            can_shrink: spot,
        };
        let mut plan = changes(side, wanted.as_slice(), &working, tolerance, now);
        if wanted.is_none() {
            // What may be live without our knowing is not left behind either.
            let doubted = working.iter().filter(|w| matches!(w.0.phase, Phase::Unknown(_)));
            plan.extend(doubted.map(|w| Change::Cancel { id: w.0.new.id }));
        }
        if leaving || plan.iter().any(|change| matches!(change, Change::Cancel { .. })) {
            plan.retain(|change| matches!(change, Change::Cancel { .. }));
        }
        let next = self.groups[index].rested_at + pace.reprice_min_interval;
        let pause = self.desks[id.index()].sides[side.index()].pause;
        let next = pause.map_or(next, |(until, _)| next.max(until));
        if wanted.is_some() && !plan.is_empty() && now < next {
            self.hedge_by(index, next);
            return;
        }
        for change in plan {
            self.groups[index].rested_at = now;
            self.change_resting(index, id, side, change, out);
        }
    }

    fn change_resting(
        &mut self,
        index: usize,
        id: InstrumentId,
        side: Side,
        change: Change,
        out: &mut Vec<Action>,
    ) {
        match change {
            Change::Cancel { id: order } => self.cancel(id, order, out),
            Change::Amend { id: order, px, qty } => {
                if self.amend(id, order, px, qty, out).is_err() {
                    let venue = self.desks[id.index()].venue;
                    let at = self.venues[venue.index()].budget.quote_at(self.now);
                    self.hedge_by(index, at);
                }
            }
            Change::Place(Quote { px, qty }) => {
                let desk = &self.desks[id.index()];
                let Some(touch) = desk.book.touch() else { return };
                let mid_half_ticks = touch.mid_half_ticks();
                let exposure_base = self.factor_exposure(index);
                let wish = Wish {
                    instrument: id,
                    side,
                    px,
                    qty,
                    kind: OrderKind::PostOnly,
                    reduce_only: false,
                    purpose: Purpose::Hedge,
                };
                self.send_hedge(index, wish, mid_half_ticks, exposure_base, out);
            }
        }
    }

    /// Tells that an excursion has taken too long, and notes its end.
    fn tell(&mut self, index: usize, exposure: Money, out: &mut Vec<Action>) {
        let now = self.now;
        let group = &mut self.groups[index];
        if let Some(took) = group.plan.done {
            group.told_late = false;
            group.excursion.took = Some(took);
            self.counts.longest_hedge_ms = self.counts.longest_hedge_ms.max(took.ms());
        } else if let Some(since) = group.plan.since
            && group.plan.late
            && !group.told_late
        {
            group.told_late = true;
            out.push(Action::Note(Note::HedgeLate {
                base: group.base.clone(),
                exposure_base: exposure.to_f64().unwrap_or_default(),
                since_ms: now.since(since).ms(),
            }));
        }
    }

    /// Counts a fill of a hedge against the mid at which the hedge was decided.
    pub(super) fn on_hedge_fill(&mut self, fill: &Fill, fee_quote: Money) {
        let desk = &self.desks[fill.instrument.index()];
        let Some(instrument) = &desk.listed else { return };
        let now = desk.book.touch().map(|touch| touch.mid_half_ticks());
        let excursion = &mut self.groups[desk.group].excursion;
        let decided = fill.order.and_then(|id| excursion.decided.get(&id).copied());
        let base = instrument.quantity(fill.qty);
        let sign = Money::from(fill.side.sign());
        if let Some(mid) = decided.or(now) {
            let against = Money::from(2 * fill.px.0 - mid) / Money::TWO * instrument.tick_size;
            excursion.slippage_quote += sign * against * base;
        }
        excursion.fees_quote += fee_quote;
        excursion.hedged_base += sign * base;
        *excursion.volumes.entry(fill.instrument).or_default() += base;
    }

    /// Files an excursion that is over once no order of it can fill any more.
    fn settle_excursion(&mut self, index: usize, out: &mut Vec<Action>) {
        let group = &self.groups[index];
        let active = matches!(self.state, State::Quoting | State::Reducing);
        let over = group.excursion.took.is_some()
            || !active && !group.excursion.volumes.is_empty()
            || group.plan.since.is_none() && !group.excursion.volumes.is_empty();
        let quiet = || {
            let mut orders = group.members.iter().flat_map(|&id| self.orders.of(id));
            !orders.any(|order| order.new.purpose == Purpose::Hedge)
        };
        if over && quiet() {
            self.close_excursion(index, out);
        }
    }

    fn close_excursion(&mut self, index: usize, out: &mut Vec<Action>) {
        let exposure_base = self.factor_exposure(index);
        let group = &mut self.groups[index];
        let done = std::mem::take(&mut group.excursion);
        // Orders that may still fill keep the mid that they are measured against.
        group.excursion.decided = done.decided;
        let open = |id: &OrderId| self.orders.all().any(|order| order.new.id == *id);
        group.excursion.decided.retain(|id, _| open(id));
        let base = group.base.clone();
        let most = done.volumes.iter().max_by_key(|(_, volume)| **volume);
        let instrument = most.map(|(&instrument, _)| instrument);
        let record = HedgeRecord {
            base,
            instrument,
            hedged_base: done.hedged_base,
            fees_quote: done.fees_quote,
            slippage_quote: done.slippage_quote,
            risk_removed_quote: instrument.map_or(0.0, |id| self.risk_of(id, done.hedged_base)),
            exposure_base,
            took_ms: done.took.unwrap_or_default().ms(),
        };
        out.push(Action::Note(Note::HedgeDone {
            base: record.base.clone(),
            instrument,
            exposure_base: exposure_base.to_f64().unwrap_or_default(),
            took_ms: record.took_ms,
            hedged_base: record.hedged_base,
            fees_quote: record.fees_quote,
            slippage_quote: record.slippage_quote,
            risk_removed_quote: record.risk_removed_quote,
        }));
        self.hedge_log.add(record);
    }

    /// One standard deviation of what holding that much would make over the horizon, in quote.
    fn risk_of(&self, id: InstrumentId, base: Money) -> f64 {
        let desk = &self.desks[id.index()];
        let horizon = self.params.hedge.map_or(0.0, |hedge| hedge.horizon.seconds());
        let known = || Some((desk.mid_f64()?, self.volatility_of(desk)?, base.abs().to_f64()?));
        known().map_or(0.0, |(mid, sigma, base)| base * mid * sigma * 1e-4 * horizon.sqrt())
    }

    /// The book there is proven and alive, and our fills there would be seen.
    pub(super) fn may_trade(&self, id: InstrumentId) -> bool {
        let desk = &self.desks[id.index()];
        let venue = &self.venues[desk.venue.index()];
        venue.is_ready()
            && desk.book.is_synced()
            && !self.is_stale(desk)
            && desk.listed.as_ref().is_some_and(|listed| listed.trading)
    }

    /// What rests for a group and may be changed, signed, in base.
    pub(super) fn resting_hedges(&self, group: &Group) -> Money {
        self.hedges_of(group, may_change)
    }
}

/// A hedge that rests, or is on its way to.
fn is_resting_hedge(order: &Order) -> bool {
    order.new.purpose == Purpose::Hedge && order.new.kind == OrderKind::PostOnly && order.is_live()
}

/// A resting hedge that another size or price may take the place of: not one that is leaving, nor
/// one of unknown fate.
fn may_change(order: &Order) -> bool {
    is_resting_hedge(order)
        && !matches!(order.request, Request::Cancel { .. })
        && !matches!(order.phase, Phase::Unknown(_))
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
        self.correlations.set_group(instrument.id, at);
        let group = &mut self.groups[at];
        group.base = base.to_owned();
        if !group.members.contains(&instrument.id) {
            group.members.push(instrument.id);
            group.fusion.resize(group.members.len());
            if desk.params.role == Role::Hedge {
                group.hedges.push(instrument.id);
            }
        }
        self.agenda.hedge_now(at);
    }
}

impl Group {
    pub(super) fn new(hedge: Option<HedgeParams>, fusion: FusionParams) -> Group {
        Group {
            base: String::new(),
            members: Vec::new(),
            hedges: Vec::new(),
            hedger: hedge.map(Hedger::new),
            plan: HedgePlan::default(),
            told_late: false,
            fusion: Fusion::new(fusion),
            reversion: Reversion::default(),
            band: None,
            told_band: None,
            excursion: Excursion::default(),
            rested_at: Ts(0),
        }
    }
}
