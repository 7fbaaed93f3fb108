//! The only way out for orders: gate, budget, store, then the action.

use super::Engine;
use super::desk::Desk;
use crate::domain::{
    Action, Amend, InstrumentId, Money, NewOrder, Note, OrderId, OrderKind, Purpose, Px, Qty,
    Reason, Side, Ts, VenueId, planted,
};
use crate::orders::{Order, Phase, Request};
use crate::risk::{self, Approved, Lane, Standing};

/// An order that somebody would like to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) px: Px,
    pub(super) qty: Qty,
    pub(super) kind: OrderKind,
    pub(super) reduce_only: bool,
    pub(super) purpose: Purpose,
}

impl Engine {
    /// Sends an order if every limit allows it, smaller where a limit leaves only part of it.
    pub(super) fn place(&mut self, wish: Wish, out: &mut Vec<Action>) -> Result<OrderId, Reason> {
        let approved = self.approve(wish, None).inspect_err(|&reason| {
            out.push(Action::Note(Note::GateBlocked {
                instrument: wish.instrument,
                side: wish.side,
                reason,
                purpose: wish.purpose,
            }));
        })?;
        self.spend(self.desks[wish.instrument.index()].venue, wish.purpose)?;
        Ok(self.send(approved, out))
    }

    /// The store knows the order before its action exists.
    fn send(&mut self, approved: Approved, out: &mut Vec<Action>) -> OrderId {
        let order = approved.into_order();
        let venue = &self.venues[self.desks[order.instrument.index()].venue.index()];
        let due = self.now + venue.request_timeout + venue.request_timeout;
        self.orders.insert(order.clone(), self.now, due);
        self.agenda.order_by(order.instrument, due);
        self.counts.orders_sent += 1;
        let tally = &mut self.desks[order.instrument.index()].tally;
        match order.purpose {
            Purpose::Quote => tally.quotes_sent += 1,
            Purpose::Hedge | Purpose::Flatten => tally.reducing_orders_sent += 1,
        }
        self.quiet_since = self.now;
        out.push(Action::Note(Note::OrderSent {
            id: order.id,
            instrument: order.instrument,
            side: order.side,
            px: order.px,
            qty: order.qty,
            purpose: order.purpose,
        }));
        let id = order.id;
        out.push(Action::Place(order));
        id
    }

    /// `instead_of` names an order that the wish would take the place of.
    fn approve(&mut self, wish: Wish, instead_of: Option<OrderId>) -> Result<Approved, Reason> {
        self.count_holds();
        let desk = &self.desks[wish.instrument.index()];
        let Some(instrument) = &desk.listed else { return Err(Reason::NotListed) };
        let order = NewOrder {
            id: self.ids.next_id(),
            instrument: wish.instrument,
            side: wish.side,
            px: wish.px,
            qty: wish.qty,
            kind: wish.kind,
            reduce_only: wish.reduce_only,
            purpose: wish.purpose,
        };
        let exposed = self.orders.exposed(wish.instrument);
        let same_side = if wish.side == Side::Buy { exposed.buys } else { exposed.sells };
        let (net_base, towards) = self.exposure(desk);
        // A hedge answers for what moves with its asset too.
        let exposure_base = match wish.purpose {
            Purpose::Hedge => self.factor_exposure(desk.group),
            Purpose::Quote | Purpose::Flatten => net_base,
        };
        let standing = Standing {
            instrument,
            position_base: desk.off_target_base(),
            same_side_base: instrument.quantity(same_side),
            exposure_base,
            exposure_orders_base: towards[wish.side.index()],
            hedge_orders_base: self.hedge_orders(desk, wish.side, instead_of),
            reference_price: self.reference_price(wish.instrument),
            open_orders: u32::try_from(self.orders.live(wish.instrument).count())
                .unwrap_or(u32::MAX),
            own_opposite_px: self.orders.best_px(wish.instrument, wish.side.opposite()),
            free: self.free(desk, wish.side),
            reducing_only: self.state.is_reducing_only(),
        };
        risk::approve(order, &desk.params.limits, &standing)
    }

    /// Net exposure of the desk's base asset over all venues, and what live orders could still buy
    /// and sell of it, all in base.
    pub(super) fn exposure(&self, desk: &Desk) -> (Money, [Money; 2]) {
        let mut net = Money::ZERO;
        let mut orders = [Money::ZERO; 2];
        for &id in &self.groups[desk.group].members {
            let member = &self.desks[id.index()];
            let Some(instrument) = &member.listed else { continue };
            net += member.off_target_base();
            let exposed = self.orders.exposed(id);
            orders[0] += instrument.quantity(exposed.buys);
            orders[1] += instrument.quantity(exposed.sells);
        }
        (net, orders)
    }

    /// What hedging and flattening orders of that side but one could still trade of the desk's base
    /// asset, in base.
    fn hedge_orders(&self, desk: &Desk, side: Side, but: Option<OrderId>) -> Money {
        if planted("hedges_not_counted") {
            return Money::ZERO;
        }
        let members = self.groups[desk.group].members.iter().map(|id| &self.desks[id.index()]);
        members
            .filter_map(|member| member.listed.as_ref())
            .map(|instrument| {
                let hedges = self
                    .orders
                    .of(instrument.id)
                    .filter(|order| order.new.side == side && order.new.purpose != Purpose::Quote)
                    .filter(|order| Some(order.new.id) != but);
                instrument.quantity(hedges.map(Order::exposed).sum())
            })
            .sum()
    }

    /// Cancels one order; one that is on its way out already is left to its own retries.
    pub(super) fn cancel(&mut self, instrument: InstrumentId, id: OrderId, out: &mut Vec<Action>) {
        let now = self.now;
        let venue = self.desks[instrument.index()].venue;
        let Some(order) = self.orders.find_mut(instrument, id) else { return };
        if !order.is_live() || matches!(order.request, Request::Cancel { .. }) {
            return;
        }
        order.cancel_sent(now);
        self.agenda.order_by(instrument, order.wakeup().unwrap_or(Ts::FAR));
        self.venues[venue.index()].budget.take(Lane::Cancel, now);
        self.counts.cancels_sent += 1;
        out.push(Action::Cancel { id, instrument });
    }

    /// Changes a resting order in place if every limit allows what it would become; one that may
    /// not become it is cancelled. Says why if the change has to wait.
    pub(super) fn amend(
        &mut self,
        instrument: InstrumentId,
        id: OrderId,
        px: Px,
        qty: Qty,
        out: &mut Vec<Action>,
    ) -> Result<(), Reason> {
        let desk = &self.desks[instrument.index()];
        let venue = desk.venue;
        let Some(order) = self.orders.find(instrument, id).cloned() else { return Ok(()) };
        let grows = qty > order.qty || px != order.px;
        if grows
            && !planted("amends_ungated")
            && !self.may_become(&order.new, px, qty - order.traded)
        {
            self.cancel(instrument, id, out);
            return Ok(());
        }
        let now = self.now;
        self.spend(venue, order.new.purpose)?;
        let session = &self.venues[venue.index()];
        let due = now + session.request_timeout + session.request_timeout;
        if let Some(order) = self.orders.find_mut(instrument, id) {
            order.amend_sent(px, qty, due);
            self.agenda.order_by(instrument, order.wakeup().unwrap_or(Ts::FAR));
            self.counts.amends_sent += 1;
            let side = order.new.side;
            out.push(Action::Amend(Amend { id, instrument, side, px, qty }));
        }
        Ok(())
    }

    /// Takes one message from a venue's budget, or says why there is none.
    fn spend(&mut self, venue: VenueId, purpose: Purpose) -> Result<(), Reason> {
        let lane = if purpose == Purpose::Quote { Lane::Quote } else { Lane::Reduce };
        let now = self.now;
        let budget = &mut self.venues[venue.index()].budget;
        if budget.take(lane, now) {
            return Ok(());
        }
        let blocked = budget.blocked_until(now).is_some();
        Err(if blocked { Reason::Throttled } else { Reason::Budget })
    }

    /// Whether the gate would pass the order's remainder whole at another price or quantity. The
    /// order itself is counted as well, so this is on the safe side; but for the rule that hedges
    /// do not pass zero, which a hedge would then never meet.
    fn may_become(&mut self, order: &NewOrder, px: Px, qty: Qty) -> bool {
        let wish = Wish {
            instrument: order.instrument,
            side: order.side,
            px,
            qty,
            kind: order.kind,
            reduce_only: order.reduce_only,
            purpose: order.purpose,
        };
        self.approve(wish, Some(order.id)).is_ok_and(|approved| approved.order().qty == qty)
    }

    /// Cancels every live order, orders of unknown fate included.
    pub(super) fn cancel_all(&mut self, out: &mut Vec<Action>) {
        if planted("cancel_all_forgets") {
            self.orders = crate::orders::Store::new(self.desks.len());
        }
        for index in 0..self.desks.len() {
            let instrument = self.desks[index].id;
            let ids: Vec<OrderId> = self
                .orders
                .live(instrument)
                // One in flight is cancelled when the venue has answered: a cancel could overtake
                // it and find nothing.
                .filter(|order| !matches!(order.phase, Phase::Sent))
                // One that cannot rest is over already; its fills are on their way.
                .filter(|order| order.new.kind == OrderKind::PostOnly)
                .map(|order| order.new.id)
                .collect();
            for id in ids {
                self.cancel(instrument, id, out);
            }
        }
    }
}
