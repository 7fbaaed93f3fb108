//! What must hold whatever goes wrong, and what must have happened for that to mean anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use evenkeel::domain::{
    Action, BookLoss, HaltCause, InstrumentKind, Money, Note, OrderId, OrderKind, OrderStatus,
    Purpose, Qty, Side, Ts,
};
use evenkeel::engine::Engine;
use evenkeel::sim::{AccountId, Exchange, MarketId};

/// Lines of what happened last that a failure shows.
const TRACE: usize = 40;
const OURS: AccountId = AccountId(0);

/// One instrument's limits as the exchange can check them.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub market: MarketId,
    pub target_base: Money,
    pub limit_base: Money,
}

#[derive(Debug, Default)]
pub struct Watch {
    pub bounds: Vec<Bounds>,
    pub max_net_quote: Money,
    pub problems: Vec<String>,
    pub counters: BTreeMap<&'static str, u64>,
    pub hash: u64,
    pub latch: Option<(HaltCause, String)>,
    trace: VecDeque<String>,
    placed: BTreeMap<OrderId, (Qty, Purpose)>,
    arrived: BTreeSet<String>,
    /// Hedges that were to rest.
    rested: BTreeSet<OrderId>,
    canceled: BTreeSet<OrderId>,
    doubted: BTreeSet<OrderId>,
    gaps: BTreeSet<u16>,
}

impl Watch {
    pub fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_default() += 1;
    }

    pub fn say(&mut self, now: Ts, line: impl FnOnce() -> String) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{} {}", &now.to_string()[14..23], line()));
    }

    pub fn problem(&mut self, now: Ts, text: impl AsRef<str>) {
        if self.problems.len() < 10 {
            self.problems.push(format!("{} {}", &now.to_string()[14..23], text.as_ref()));
        }
    }

    pub fn trace(&self) -> String {
        self.trace.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// One step of the core.
    pub fn on_step(&mut self, now: Ts, engine: &Engine, actions: &[Action]) {
        for action in actions {
            if let Action::Note(note) = action {
                self.on_note(now, note);
                continue;
            }
            let text = format!("{action:?}");
            for byte in text.bytes() {
                self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            self.say(now, || text);
            match action {
                Action::Place(order) => {
                    if self.placed.insert(order.id, (order.qty, order.purpose)).is_some() {
                        self.problem(now, format!("{:?} placed twice", order.id));
                    }
                    if order.purpose == Purpose::Hedge && order.kind == OrderKind::PostOnly {
                        self.rested.insert(order.id);
                        self.count("hedge rested");
                    }
                    let id = format!("{}-{}", order.id.epoch, order.id.counter);
                    if !engine.status(now).orders.iter().any(|known| known.id == id) {
                        self.problem(now, format!("{id} placed, but the store does not know it"));
                    }
                }
                Action::Cancel { id, .. } => drop(self.canceled.insert(*id)),
                Action::Amend(_) => self.count("amend sent"),
                Action::Query { .. } => self.count("order asked about"),
                Action::Reconcile { .. } | Action::Resync { .. } | Action::Note(_) => {}
            }
        }
    }

    fn on_note(&mut self, now: Ts, note: &Note) {
        match note {
            Note::Quoted { .. } | Note::SideReason { .. } | Note::Reconciled { .. } => {}
            Note::OrderSent { .. } | Note::GateBlocked { .. } | Note::Listed { .. } => {}
            other => self.say(now, || format!("{other:?}")),
        }
        match note {
            Note::Filled { id: Some(id), .. } => {
                if self.canceled.contains(id) {
                    self.count("fill after cancel sent");
                }
                if !self.placed.contains_key(id) {
                    self.problem(now, format!("fill of {id:?}, never placed"));
                }
            }
            Note::OrderUnknown { id, .. } => {
                self.doubted.insert(*id);
                self.count("order unknown");
            }
            Note::OrderEnded { id, filled, status, .. } => self.on_ended(*id, *filled, *status),
            Note::OrderRejected { text, .. } => {
                self.count("order refused");
                if text.contains("immediately match") {
                    self.count("post-only refused");
                }
            }
            Note::BookLost { instrument, why: BookLoss::Gap } => {
                self.gaps.insert(instrument.0);
            }
            Note::BookSynced { instrument } if self.gaps.remove(&instrument.0) => {
                self.count("gap resynced");
            }
            Note::Halted { cause, text } => {
                self.count("halted");
                if cause.is_latched() {
                    self.latch = Some((*cause, text.clone()));
                }
                if matches!(cause, HaltCause::ReconcileBreak | HaltCause::Fault | HaltCause::Auth) {
                    self.problem(now, format!("halted without a cause in the world: {text}"));
                }
            }
            Note::ReconcileDiffers { .. } => self.count("reading differed"),
            Note::Invariant { text } => self.problem(now, format!("invariant: {text}")),
            Note::HedgeDone { .. } => self.count("hedge done"),
            _ => {}
        }
    }

    fn on_ended(&mut self, id: OrderId, filled: Qty, status: OrderStatus) {
        if self.doubted.remove(&id) {
            self.count(match status {
                OrderStatus::Rejected => "unknown order was dead",
                _ => "unknown order was live",
            });
        }
        if self.rested.remove(&id) && filled > Qty::ZERO {
            self.count("hedge filled at rest");
        }
        if let Some((qty, Purpose::Hedge)) = self.placed.get(&id)
            && filled > Qty::ZERO
            && filled < *qty
        {
            self.count("hedge partly filled");
        }
    }

    /// An order request arrives at the exchange.
    pub fn on_arrival(&mut self, now: Ts, client_id: &str) {
        if !self.arrived.insert(client_id.to_owned()) {
            self.problem(now, format!("client id {client_id} used twice"));
        }
    }

    /// Limits and self-crossing by the exchange's own books.
    pub fn check_exchange(&mut self, now: Ts, exchange: &Exchange) {
        let mut net = Money::ZERO;
        let mut towards = [Money::ZERO; 2];
        let mut price = Money::ZERO;
        for bounds in self.bounds.clone() {
            let off = off_target(exchange, &bounds);
            let Some(instrument) = exchange.instrument(bounds.market) else { continue };
            let mut open = [Money::ZERO; 2];
            let mut best = [None, None];
            for order in exchange.open_orders(OURS, bounds.market) {
                let side = order.side.index();
                open[side] += instrument.quantity(order.open_qty());
                let px = order.px().unwrap_or_default();
                price = price.max(instrument.price(px));
                let better = |old: evenkeel::domain::Px| order.side.sign() * (px.0 - old.0) > 0;
                if best[side].is_none_or(better) {
                    best[side] = Some(px);
                }
            }
            if let [Some(bid), Some(ask)] = best
                && bid >= ask
            {
                self.problem(now, format!("own bid {bid:?} meets own ask {ask:?}"));
            }
            for side in Side::BOTH {
                let sign = Money::from(side.sign());
                let worst = sign * off + open[side.index()];
                if open[side.index()] > Money::ZERO && worst > bounds.limit_base {
                    let limit = bounds.limit_base;
                    self.problem(now, format!("worst {side} position {worst} beyond {limit}"));
                }
                towards[side.index()] += open[side.index()];
            }
            net += off;
        }
        for side in Side::BOTH {
            let worst = (Money::from(side.sign()) * net + towards[side.index()]) * price;
            // The limit was held at the price of the day the order was sent.
            let limit = self.max_net_quote * Money::new(102, 2);
            if towards[side.index()] > Money::ZERO && worst > limit {
                self.problem(now, format!("worst {side} exposure {worst} beyond {limit}"));
            }
        }
    }
}

/// What the exchange says we hold away from the target, in base.
pub fn off_target(exchange: &Exchange, bounds: &Bounds) -> Money {
    held(exchange, bounds) - bounds.target_base
}

/// What the exchange says we hold, in base.
pub fn held(exchange: &Exchange, bounds: &Bounds) -> Money {
    let Some(instrument) = exchange.instrument(bounds.market) else { return Money::ZERO };
    match instrument.kind {
        InstrumentKind::Spot => {
            let pot = exchange.balance(OURS, evenkeel::sim::Wallet::Spot, &instrument.base);
            pot.free + pot.locked
        }
        InstrumentKind::LinearPerpetual => exchange
            .position(OURS, bounds.market)
            .map_or(Money::ZERO, |position| instrument.quantity(position.qty)),
    }
}

/// Open orders of ours.
pub fn open_orders(exchange: &Exchange, bounds: &[Bounds]) -> usize {
    bounds.iter().map(|bounds| exchange.open_orders(OURS, bounds.market).len()).sum()
}
