//! What do our spot orders hold of a venue's balances? Kept beside the orders and brought up to
//! date where they have changed, so that an order costs the same however many instruments there are.

use super::Engine;
use super::desk::Desk;
use crate::domain::{AccountSnapshot, Asset, Instrument, InstrumentKind, Money, Side};
use crate::orders::Order;

impl Engine {
    /// Brings what orders hold up to date.
    pub(super) fn count_holds(&mut self) {
        while let Some(id) = self.orders.take_changed() {
            let desk = &mut self.desks[id.index()];
            let Some(instrument) = desk.listed.as_ref().filter(|own| is_spot(own)) else {
                continue;
            };
            let mut holds = [Money::ZERO; 2];
            for order in self.orders.of(id) {
                holds[order.new.side.index()] += held_by(order, instrument);
            }
            let venue = &mut self.venues[desk.venue.index()];
            for side in Side::BOTH {
                let change = holds[side.index()] - desk.holds[side.index()];
                venue.hold(spent_by(side, instrument), change);
            }
            desk.holds = holds;
        }
    }

    /// What a spot order of that side may spend: the balance less what our orders hold of it, on
    /// whichever instrument of the venue, as of the last count, and less what others' orders do.
    pub(super) fn free(&self, desk: &Desk, side: Side) -> Option<Money> {
        let asset = spent_by(side, desk.listed.as_ref().filter(|own| is_spot(own))?);
        let venue = &self.venues[desk.venue.index()];
        debug_assert_eq!(venue.held(asset), self.held(desk, asset), "every change is counted");
        let taken = venue.held(asset) + venue.held_by_others(asset);
        Some((venue.total(asset) - taken).max(Money::ZERO))
    }

    /// Counts what a complete reading shows to be locked beside our own orders.
    pub(super) fn count_others(&mut self, snapshot: &AccountSnapshot) {
        let Some(open) = &snapshot.open_orders else { return };
        for balance in &snapshot.balances {
            let ours: Money = open
                .iter()
                .filter(|order| order.id.is_some())
                .filter_map(|order| {
                    let listed = self.desks[order.instrument.index()].listed.as_ref();
                    let listed = listed.filter(|own| is_spot(own))?;
                    let rest = order.qty - order.filled;
                    (*spent_by(order.side, listed) == balance.asset).then(|| match order.side {
                        Side::Buy => listed.notional(order.px, rest),
                        Side::Sell => listed.quantity(rest),
                    })
                })
                .sum();
            let beside = (balance.locked - ours).max(Money::ZERO);
            self.venues[snapshot.venue.index()].locked_beside(&balance.asset, beside);
        }
    }

    /// What orders at the desk's venue hold of an asset, from the orders themselves.
    fn held(&self, desk: &Desk, asset: &Asset) -> Money {
        self.desks
            .iter()
            .filter(|other| other.venue == desk.venue)
            .filter_map(|other| other.listed.as_ref().filter(|listed| is_spot(listed)))
            .flat_map(|listed| self.orders.of(listed.id).map(move |order| (listed, order)))
            .filter(|(listed, order)| spent_by(order.new.side, listed) == asset)
            .map(|(listed, order)| held_by(order, listed))
            .sum()
    }
}

fn is_spot(instrument: &Instrument) -> bool {
    instrument.kind == InstrumentKind::Spot
}

/// What an order of that side is paid with.
fn spent_by(side: Side, instrument: &Instrument) -> &Asset {
    match side {
        Side::Buy => &instrument.quote,
        Side::Sell => &instrument.base,
    }
}

/// How much of it the venue keeps for the order, or may come to keep.
fn held_by(order: &Order, instrument: &Instrument) -> Money {
    match order.new.side {
        Side::Buy => instrument.notional(order.most_aggressive_px(), order.exposed()),
        Side::Sell => instrument.quantity(order.exposed()),
    }
}
