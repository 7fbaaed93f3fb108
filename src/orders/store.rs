//! All orders of ours that are not closed, by instrument, and what they could still do.

use std::collections::BTreeMap;

use super::state::{Order, Phase};
use crate::domain::{InstrumentId, NewOrder, OrderId, Px, Qty, Side, Ts, planted};

/// Closed orders remembered, so that late news of them is recognised.
pub const CLOSED_KEPT: usize = 512;

/// What the live orders of one instrument could still trade, per side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposed {
    /// Could still be bought, unknown and in-flight orders and late fills included.
    pub buys: Qty,
    /// Could still be sold.
    pub sells: Qty,
}

/// The order store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    by_instrument: Vec<BTreeMap<OrderId, Order>>,
    closed: BTreeMap<OrderId, Order>,
    changed: Vec<InstrumentId>,
    is_changed: Vec<bool>,
}

impl Store {
    /// A store for that many instruments.
    #[must_use]
    pub fn new(instruments: usize) -> Store {
        Store {
            by_instrument: vec![BTreeMap::new(); instruments],
            closed: BTreeMap::new(),
            changed: Vec::new(),
            is_changed: vec![false; instruments],
        }
    }

    /// An instrument whose orders may have changed since it was last taken from here: what is kept
    /// beside the store about its orders is to be reckoned anew.
    pub fn take_changed(&mut self) -> Option<InstrumentId> {
        let instrument = self.changed.pop()?;
        self.is_changed[instrument.index()] = false;
        Some(instrument)
    }

    fn touch(&mut self, instrument: InstrumentId) {
        if let Some(known) = self.is_changed.get_mut(instrument.index())
            && !std::mem::replace(known, true)
        {
            self.changed.push(instrument);
        }
    }

    /// Takes an order in, before its action leaves.
    pub fn insert(&mut self, new: NewOrder, now: Ts, answer_due: Ts) {
        if planted("stored_after_sending") && new.purpose == crate::domain::Purpose::Flatten {
            return;
        }
        let order = Order::sent(new, now, answer_due);
        self.touch(order.new.instrument);
        self.by_instrument[order.new.instrument.index()].insert(order.new.id, order);
    }

    /// Takes in an order of ours that the venue lists and we did not know: an earlier run's.
    pub fn adopt(&mut self, new: NewOrder, venue_order_id: u64, filled: Qty, now: Ts) {
        let mut order = Order::sent(new, now, now);
        order.phase = Phase::Working;
        order.venue_order_id = Some(venue_order_id);
        order.filled = filled;
        // Its earlier trades belong to the run that made it and are in the position already.
        order.traded = filled;
        order.adopted = true;
        self.touch(order.new.instrument);
        self.by_instrument[order.new.instrument.index()].insert(order.new.id, order);
    }

    /// An order that is not closed, or one of the last closed ones.
    pub fn find_mut(&mut self, instrument: InstrumentId, id: OrderId) -> Option<&mut Order> {
        self.touch(instrument);
        let open = self.by_instrument.get_mut(instrument.index())?;
        match open.get_mut(&id) {
            Some(order) => Some(order),
            None => self.closed.get_mut(&id),
        }
    }

    /// As [`Store::find_mut`], to read.
    #[must_use]
    pub fn find(&self, instrument: InstrumentId, id: OrderId) -> Option<&Order> {
        self.by_instrument.get(instrument.index())?.get(&id).or_else(|| self.closed.get(&id))
    }

    /// Moves an order between the open and the closed ones after its state has changed.
    pub fn settle(&mut self, instrument: InstrumentId, id: OrderId) {
        self.touch(instrument);
        let open = &mut self.by_instrument[instrument.index()];
        if open.get(&id).is_some_and(Order::is_closed) {
            if let Some(order) = open.remove(&id) {
                self.closed.insert(id, order);
            }
            while self.closed.len() > CLOSED_KEPT {
                self.closed.pop_first();
            }
        } else if self.closed.get(&id).is_some_and(|order| !order.is_closed())
            && let Some(order) = self.closed.remove(&id)
        {
            open.insert(id, order);
        }
    }

    /// Orders of an instrument that are not closed, oldest first.
    pub fn of(&self, instrument: InstrumentId) -> impl Iterator<Item = &Order> {
        self.by_instrument[instrument.index()].values()
    }

    /// Orders of an instrument that the venue has not ended, oldest first.
    pub fn live(&self, instrument: InstrumentId) -> impl Iterator<Item = &Order> {
        self.of(instrument).filter(|order| order.is_live())
    }

    /// As [`Store::of`], to change.
    pub fn of_mut(&mut self, instrument: InstrumentId) -> impl Iterator<Item = &mut Order> {
        self.touch(instrument);
        self.by_instrument[instrument.index()].values_mut()
    }

    /// Every order that is not closed.
    pub fn all(&self) -> impl Iterator<Item = &Order> {
        self.by_instrument.iter().flat_map(BTreeMap::values)
    }

    /// What the orders of an instrument could still trade.
    #[must_use]
    pub fn exposed(&self, instrument: InstrumentId) -> Exposed {
        let mut sum = Exposed::default();
        for order in self.of(instrument) {
            match order.new.side {
                Side::Buy => sum.buys += order.exposed(),
                Side::Sell => sum.sells += order.exposed(),
            }
        }
        sum
    }

    /// The most aggressive price at which an order of that side may rest.
    #[must_use]
    pub fn best_px(&self, instrument: InstrumentId, side: Side) -> Option<Px> {
        self.live(instrument)
            .filter(|order| order.new.side == side)
            .map(Order::most_aggressive_px)
            .max_by_key(|px| side.sign() * px.0)
    }

    /// Own resting quantity by price, to leave out of the fair price; only what the venue has
    /// confirmed and could therefore show in the book.
    pub fn resting(&self, instrument: InstrumentId) -> impl Iterator<Item = (Side, Px, Qty)> + '_ {
        self.live(instrument)
            .filter(|order| !matches!(order.phase, Phase::Sent))
            .map(|order| (order.new.side, order.px, order.remaining()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderKind, OrderStatus, Purpose};

    const HERE: InstrumentId = InstrumentId(0);

    fn new(counter: u32, side: Side, px: i64) -> NewOrder {
        NewOrder {
            id: OrderId { epoch: 1, counter },
            instrument: HERE,
            side,
            px: Px(px),
            qty: Qty(10),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        }
    }

    fn id(counter: u32) -> OrderId {
        OrderId { epoch: 1, counter }
    }

    fn end(store: &mut Store, counter: u32, filled: i64) {
        let order = store.find_mut(HERE, id(counter)).unwrap();
        order.phase = Phase::Ended(OrderStatus::Canceled);
        order.filled = Qty(filled);
        store.settle(HERE, id(counter));
    }

    #[test]
    fn an_order_is_closed_when_its_last_fill_has_come_and_open_again_when_one_is_missing() {
        let mut store = Store::new(1);
        store.insert(new(1, Side::Buy, 100), Ts(0), Ts(1));
        end(&mut store, 1, 4);
        assert_eq!((store.of(HERE).count(), store.live(HERE).count()), (1, 0), "a fill is missing");
        assert_eq!(store.exposed(HERE), Exposed { buys: Qty(4), sells: Qty(0) });
        store.find_mut(HERE, id(1)).unwrap().traded = Qty(4);
        store.settle(HERE, id(1));
        assert_eq!((store.of(HERE).count(), store.all().count()), (0, 0));
        assert!(store.find(HERE, id(1)).is_some(), "late news of it is recognised");
        store.settle(HERE, id(1));
        assert_eq!(store.of(HERE).count(), 0, "settling again changes nothing");
        store.find_mut(HERE, id(1)).unwrap().filled = Qty(5);
        store.settle(HERE, id(1));
        assert_eq!(store.of(HERE).count(), 1, "the venue counts another fill");
    }

    #[test]
    fn only_so_many_closed_orders_are_remembered() {
        let mut store = Store::new(1);
        for counter in 1..=CLOSED_KEPT as u32 + 1 {
            store.insert(new(counter, Side::Buy, 100), Ts(0), Ts(1));
            end(&mut store, counter, 0);
        }
        let known: Vec<bool> = [1, 2].map(|n| store.find(HERE, id(n)).is_some()).into();
        assert_eq!(known, [false, true]);
    }

    #[test]
    fn the_best_price_of_a_side_and_what_the_venue_could_show() {
        let mut store = Store::new(1);
        for (counter, side, px) in
            [(1, Side::Buy, 99), (2, Side::Buy, 98), (3, Side::Sell, 101), (4, Side::Sell, 102)]
        {
            store.insert(new(counter, side, px), Ts(0), Ts(1));
        }
        assert_eq!(store.best_px(HERE, Side::Buy), Some(Px(99)));
        assert_eq!(store.best_px(HERE, Side::Sell), Some(Px(101)));
        assert_eq!(store.resting(HERE).count(), 0, "none is confirmed");
        store.find_mut(HERE, id(2)).unwrap().phase = Phase::Working;
        let resting: Vec<_> = store.resting(HERE).collect();
        assert_eq!(resting, [(Side::Buy, Px(98), Qty(10))]);
        assert_eq!(store.exposed(HERE), Exposed { buys: Qty(20), sells: Qty(20) });
        end(&mut store, 1, 0);
        assert_eq!(store.best_px(HERE, Side::Buy), Some(Px(98)));
    }

    #[test]
    fn an_adopted_order_brings_no_fills_of_its_own() {
        let mut store = Store::new(1);
        store.adopt(new(1, Side::Sell, 100), 77, Qty(3), Ts(5));
        let order = store.find(HERE, id(1)).unwrap();
        assert_eq!((order.venue_order_id, order.phase), (Some(77), Phase::Working));
        assert_eq!((order.filled, order.traded, order.adopted), (Qty(3), Qty(3), true));
        assert_eq!(store.exposed(HERE).sells, Qty(7));
    }
}
