//! What has to be looked at, and when: dense rows, so that a step that concerns one instrument
//! costs the same however many others there are.

use crate::domain::{InstrumentId, Money, Ts};

/// When quotes, hedges and orders are looked at again, and what the instruments' results add up to.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    /// By instrument; never for those that are not quoted.
    quotes: Vec<Ts>,
    quoted: Vec<bool>,
    /// By group.
    hedges: Vec<Ts>,
    /// By instrument: when one of its orders is.
    orders: Vec<Ts>,
    /// Groups whose excursion is past its deadline.
    pub(super) late_groups: usize,
    /// By instrument, base: holding away from its target.
    off_target: Vec<f64>,
    /// By instrument, quote.
    profits: Vec<Money>,
    /// Their sum.
    pub(super) profit_quote: Money,
}

impl Agenda {
    /// Everything is due.
    pub(super) fn new(quoted: Vec<bool>) -> Agenda {
        Agenda {
            quotes: quoted.iter().map(|&quoted| if quoted { Ts(0) } else { Ts::FAR }).collect(),
            hedges: vec![Ts(0); quoted.len()],
            orders: vec![Ts::FAR; quoted.len()],
            late_groups: 0,
            off_target: vec![0.0; quoted.len()],
            profits: vec![Money::ZERO; quoted.len()],
            profit_quote: Money::ZERO,
            quoted,
        }
    }

    /// Something changed that the instrument's quotes depend on.
    pub(super) fn quote_now(&mut self, id: InstrumentId) {
        if self.quoted[id.index()] {
            self.quotes[id.index()] = Ts(0);
        }
    }

    /// Something changed that all quotes depend on.
    pub(super) fn quote_all_now(&mut self) {
        for (due, _) in self.quotes.iter_mut().zip(&self.quoted).filter(|(_, quoted)| **quoted) {
            *due = Ts(0);
        }
    }

    /// The instrument's quotes are looked at then, whatever was planned before.
    pub(super) fn quote_at(&mut self, id: InstrumentId, at: Ts) {
        self.quotes[id.index()] = at;
    }

    /// The instrument's quotes are looked at by then.
    pub(super) fn quote_by(&mut self, id: InstrumentId, at: Ts) {
        let due = &mut self.quotes[id.index()];
        *due = at.min(*due);
    }

    /// The first instrument from `from` on whose quotes are due.
    pub(super) fn next_quote(&self, from: usize, now: Ts) -> Option<usize> {
        next_due(&self.quotes, from, now)
    }

    /// Something changed that the group's hedge depends on.
    pub(super) fn hedge_now(&mut self, group: usize) {
        self.hedges[group] = Ts(0);
    }

    /// The group's hedge is looked at then, whatever was planned before.
    pub(super) fn hedge_at(&mut self, group: usize, at: Ts) {
        self.hedges[group] = at;
    }

    /// When the group's hedge is looked at next.
    pub(super) fn hedge_due(&self, group: usize) -> Ts {
        self.hedges[group]
    }

    /// The first group from `from` on whose hedge is due.
    pub(super) fn next_hedge(&self, from: usize, now: Ts) -> Option<usize> {
        next_due(&self.hedges, from, now)
    }

    /// There is news of an order of the instrument.
    pub(super) fn order_now(&mut self, id: InstrumentId) {
        self.orders[id.index()] = Ts(0);
    }

    /// The instrument's orders are looked at then, whatever was planned before.
    pub(super) fn order_at(&mut self, id: InstrumentId, at: Ts) {
        self.orders[id.index()] = at;
    }

    /// The instrument's orders are looked at by then.
    pub(super) fn order_by(&mut self, id: InstrumentId, at: Ts) {
        let due = &mut self.orders[id.index()];
        *due = at.min(*due);
    }

    /// The first instrument from `from` on of which an order is due.
    pub(super) fn next_order(&self, from: usize, now: Ts) -> Option<usize> {
        next_due(&self.orders, from, now)
    }

    /// When the first order is due.
    pub(super) fn orders_due(&self) -> Ts {
        self.orders.iter().copied().min().unwrap_or(Ts::FAR)
    }

    /// When the first quote is due.
    pub(super) fn quotes_due(&self) -> Ts {
        self.quotes.iter().copied().min().unwrap_or(Ts::FAR)
    }

    /// When the first hedge is due.
    pub(super) fn hedges_due(&self) -> Ts {
        self.hedges.iter().copied().min().unwrap_or(Ts::FAR)
    }

    /// What is held of an instrument, or what should be, has changed.
    pub(super) fn set_off_target(&mut self, id: InstrumentId, off_base: f64) {
        self.off_target[id.index()] = off_base;
    }

    /// Holding of an instrument away from its target, base.
    pub(super) fn off_target(&self, id: InstrumentId) -> f64 {
        self.off_target[id.index()]
    }

    /// An instrument's result has changed.
    pub(super) fn set_profit(&mut self, id: InstrumentId, profit_quote: Money) {
        let known = &mut self.profits[id.index()];
        if *known != profit_quote {
            self.profit_quote += profit_quote - *known;
            *known = profit_quote;
        }
    }
}

fn next_due(dues: &[Ts], from: usize, now: Ts) -> Option<usize> {
    let rest = dues.get(from..)?;
    rest.iter().position(|due| *due <= now).map(|at| from + at)
}
