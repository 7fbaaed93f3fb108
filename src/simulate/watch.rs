//! What must hold after every step and every order, and what must have happened for that to mean
//! anything? The list of the invariants is in [`crate::simulate`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::{
    Action, BookLoss, HaltCause, InstrumentId, InstrumentKind, Money, Note, OrderId, OrderKind,
    OrderStatus, Prefix, Purpose, Px, Qty, Side, Span, State, Ts,
};
use crate::engine::Engine;
use crate::orders::Order;
use crate::sim::{AccountId, Exchange, MarketId, OrderRecord};

/// Lines of what happened last that a failure shows.
const TRACE: usize = 40;
/// Problems of one session that are kept.
pub(super) const PROBLEMS: usize = 10;
/// Our account at the exchange.
pub(super) const OURS: AccountId = AccountId(0);
/// Somebody else's, who can move the market.
pub(super) const WHALE: AccountId = AccountId(1);
/// Orders that the process may know at once.
const MOST_ORDERS: usize = 200;
/// What the exchange has taken twice is known by then, and answered.
const DOUBLED_FOR: Span = Span::from_s(10);

/// One instrument's limits as the exchange can check them.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) market: MarketId,
    pub(super) venue: usize,
    pub(super) target_base: Money,
    pub(super) limit_base: Money,
    /// What one lot is.
    pub(super) lot_base: Money,
}

/// What an order was sent for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    instrument: InstrumentId,
    side: Side,
    pub(super) qty: Qty,
    pub(super) purpose: Purpose,
    /// It was to rest.
    pub(super) rests: bool,
}

/// Invariants that one process after the other must keep.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) prefix: Prefix,
    pub(super) bounds: Vec<Bounds>,
    pub(super) max_net_quote: Money,
    pub(super) max_book_age: Span,
    /// Writes down what happens, for people; slow.
    pub(super) tracing: bool,
    pub(super) problems: Vec<String>,
    pub(super) counters: BTreeMap<&'static str, u64>,
    pub(super) hash: u64,
    pub(super) latch: Option<(HaltCause, String)>,
    /// When each venue's market link last gave a sign of life, by our clock.
    pub(super) heard_at: Vec<Ts>,
    /// Whether a snapshot has arrived since each venue's market link opened.
    pub(super) snapshots: Vec<bool>,
    /// A fault has failed the journal, so that a halt for it has its cause in the world.
    pub(super) journal_failed: bool,
    /// The operator has told it to kill or to pause, and it has not heard yet.
    pub(super) told: [bool; 2],
    /// It has been killed, or paused: the first holds across restarts.
    pub(super) still: [bool; 2],
    pub(super) placed: BTreeMap<OrderId, Sent>,
    /// The state that the last step left.
    state: State,
    trace: VecDeque<String>,
    arrived: BTreeSet<String>,
    /// Orders that the exchange has taken, whatever it answered.
    taken: BTreeSet<OrderId>,
    /// Orders that the process holds for refused or never made.
    refused: BTreeSet<OrderId>,
    /// Orders that the process has ended since the world last looked.
    pub(super) ended: Vec<OrderId>,
    canceled: BTreeSet<OrderId>,
    /// Orders of which the exchange has taken a copy as well, and when.
    pub(super) copied: BTreeMap<OrderId, Ts>,
    doubted: BTreeSet<OrderId>,
    gaps: BTreeSet<u16>,
}

impl Watch {
    pub(super) fn new(prefix: Prefix, bounds: Vec<Bounds>, max_net_quote: Money) -> Watch {
        Watch {
            prefix,
            bounds,
            max_net_quote,
            max_book_age: Span::ZERO,
            tracing: false,
            problems: Vec::new(),
            counters: BTreeMap::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            latch: None,
            heard_at: Vec::new(),
            snapshots: Vec::new(),
            journal_failed: false,
            told: [false; 2],
            still: [false; 2],
            placed: BTreeMap::new(),
            state: State::Starting,
            trace: VecDeque::new(),
            arrived: BTreeSet::new(),
            taken: BTreeSet::new(),
            refused: BTreeSet::new(),
            ended: Vec::new(),
            canceled: BTreeSet::new(),
            copied: BTreeMap::new(),
            doubted: BTreeSet::new(),
            gaps: BTreeSet::new(),
        }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_default() += 1;
    }

    pub(super) fn say(&mut self, now: Ts, line: impl FnOnce() -> String) {
        if !self.tracing {
            return;
        }
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{} {}", &now.to_string()[11..23], line()));
    }

    /// A violated invariant, by its name in the list of [`crate::simulate`].
    pub(super) fn problem(&mut self, now: Ts, invariant: &str, text: impl AsRef<str>) {
        if self.problems.len() < PROBLEMS {
            let at = &now.to_string()[11..23];
            self.problems.push(format!("{invariant} {at} {}", text.as_ref()));
        }
    }

    /// What happened last.
    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.iter().cloned().collect()
    }

    /// A venue's market link is gone.
    pub(super) fn link_lost(&mut self, venue: usize) {
        self.heard_at[venue] = Ts(0);
        self.snapshots[venue] = false;
    }

    /// A new process knows nothing of what the one before was told.
    pub(super) fn process_starts(&mut self) {
        self.told = [false; 2];
        self.still[1] = false;
        self.gaps.clear();
    }

    /// One step of the core.
    pub(super) fn on_step(&mut self, now: Ts, engine: &Engine, actions: &[Action]) {
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
            self.on_action(now, engine, action);
        }
        let known = engine.open_orders().count();
        if known > MOST_ORDERS {
            self.problem(now, "I15", format!("{known} orders are kept"));
        }
        let told = std::mem::take(&mut self.told);
        self.still[0] |= told[0] && engine.state() == State::Halted;
        self.still[1] |= told[1];
        self.state = engine.state();
    }

    fn on_action(&mut self, now: Ts, engine: &Engine, action: &Action) {
        match action {
            Action::Place(order) => {
                let rests = order.kind == OrderKind::PostOnly;
                let (instrument, side) = (order.instrument, order.side);
                let sent = Sent { instrument, side, qty: order.qty, purpose: order.purpose, rests };
                if order.purpose == Purpose::Hedge && rests {
                    self.count("hedge rested");
                }
                if self.placed.insert(order.id, sent).is_some() {
                    self.problem(now, "I12", format!("{:?} placed twice", order.id));
                }
                if engine.order(order.instrument, order.id).is_none() {
                    let text = format!("{:?} placed, but the store does not know it", order.id);
                    self.problem(now, "I3", text);
                }
                if order.purpose == Purpose::Quote {
                    self.on_quote(now, engine, order.instrument);
                }
                self.on_sized(now, engine, order.purpose, order.side);
                self.on_priced(now, engine, (order.instrument, order.side), order.px);
            }
            Action::Cancel { id, .. } => drop(self.canceled.insert(*id)),
            Action::Amend(amend) => {
                self.count("amend sent");
                // A resting hedge goes on while quotes pause.
                let sent = self.placed.get(&amend.id);
                if sent.is_none_or(|sent| sent.purpose == Purpose::Quote) {
                    self.on_quote(now, engine, amend.instrument);
                }
                self.on_priced(now, engine, (amend.instrument, amend.side), amend.px);
            }
            Action::Query { .. } => self.count("order asked about"),
            Action::Reconcile { .. } | Action::Resync { .. } | Action::Note(_) => {}
        }
    }

    /// A quote leaves: only from a living, proven book, and never after a stop.
    fn on_quote(&mut self, now: Ts, engine: &Engine, instrument: InstrumentId) {
        let venue = self.bounds[instrument.index()].venue;
        let quiet = now.since(self.heard_at[venue]);
        if quiet > self.max_book_age + Span::from_ms(100) {
            let text = format!("a quote on a book that was silent for {} ms", quiet.ms());
            self.problem(now, "I7", text);
        }
        if !self.snapshots[venue] {
            self.problem(now, "I7", "a quote on a book of an earlier connection");
        }
        if engine.proven_touch(instrument).is_none() {
            self.problem(now, "I7", "a quote on a book that is not proven");
        }
        let halted = matches!(engine.state(), State::Halted | State::Stopping | State::Stopped);
        if halted || engine.is_paused() || self.still != [false; 2] {
            let text = format!("a quote in state {} after {:?}", engine.state(), self.still);
            self.problem(now, "I8", text);
        }
    }

    /// Hedges that may still trade do not pass zero together, and while reducing no quotes do.
    fn on_sized(&mut self, now: Ts, engine: &Engine, purpose: Purpose, side: Side) {
        let reducing = [self.state, engine.state()] == [State::Reducing; 2];
        let (what, invariant) = match purpose {
            Purpose::Hedge => ("hedges", "I20"),
            Purpose::Quote if reducing => ("reducing orders", "I20"),
            Purpose::Quote | Purpose::Flatten => return,
        };
        let base = |index: usize| {
            let id = InstrumentId(index as u16);
            engine.held_base(id) - self.bounds[index].target_base
        };
        let net: Money = (0..self.bounds.len()).map(base).sum();
        let counts = |order: &&Order| {
            order.new.side == side
                && (purpose == Purpose::Quote || order.new.purpose != Purpose::Quote)
        };
        let open: Money = engine
            .open_orders()
            .filter(counts)
            .map(|order| {
                self.bounds[order.new.instrument.index()].lot_base * Money::from(order.exposed().0)
            })
            .sum();
        let due = Money::from(-side.sign()) * net;
        if open > due.max(Money::ZERO) {
            self.problem(
                now,
                invariant,
                format!("{side} {what} of {open} where {due} is to be reduced"),
            );
        }
    }

    /// No order leaves that could meet one of ours.
    fn on_priced(&mut self, now: Ts, engine: &Engine, at: (InstrumentId, Side), px: Px) {
        let meets = |order: &&Order| {
            (order.new.instrument, order.new.side) == (at.0, at.1.opposite())
                && order.is_live()
                && at.1.sign() * (px.0 - order.most_aggressive_px().0) >= 0
        };
        if let Some(other) = engine.open_orders().find(meets) {
            let text = format!("{} at {px:?} could meet our own {:?}", at.1, other.new.id);
            self.problem(now, "I10", text);
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
                    self.problem(now, "I4", format!("fill of {id:?}, never placed"));
                }
            }
            Note::OrderUnknown { id, .. } => {
                self.doubted.insert(*id);
                self.count("order unknown");
            }
            Note::OrderEnded { id, filled, status, .. } => {
                if *status == OrderStatus::Rejected {
                    self.on_given_up(now, *id);
                }
                self.ended.push(*id);
                self.on_ended(*id, *filled, *status);
            }
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
            Note::Halted { cause, text } => self.on_halted(now, *cause, text),
            Note::Latch { set: false, .. } => self.latch = None,
            Note::ReconcileDiffers { .. } => self.count("reading differed"),
            Note::Invariant { text } => self.problem(now, "I13", text),
            Note::HoldingMoved { base, .. } => {
                self.problem(now, "I13", format!("{base} are held that no trade explains"));
            }
            Note::Reloaded { .. } => self.count("reloaded"),
            Note::HedgeDone { .. } => self.count("hedge done"),
            Note::HedgeLate { .. } => self.count("hedge late"),
            _ => {}
        }
    }

    fn on_halted(&mut self, now: Ts, cause: HaltCause, text: &str) {
        self.count("halted");
        if cause.is_latched() {
            self.latch = Some((cause, text.to_owned()));
        }
        let known = match cause {
            HaltCause::Fault => self.journal_failed,
            HaltCause::ReconcileBreak | HaltCause::Auth => false,
            HaltCause::LossLimit
            | HaltCause::RepeatedExecution
            | HaltCause::Operator
            | HaltCause::RejectLoop => true,
        };
        if !known {
            self.problem(now, "I16", format!("halted without a cause in the world: {text}"));
        }
    }

    fn on_ended(&mut self, id: OrderId, filled: Qty, status: OrderStatus) {
        if self.doubted.remove(&id) {
            self.count(match status {
                OrderStatus::Rejected => "unknown order was dead",
                _ => "unknown order was live",
            });
        }
        let hedge = self.placed.get(&id).filter(|sent| sent.purpose == Purpose::Hedge).copied();
        if let Some(sent) = hedge.filter(|_| filled > Qty::ZERO) {
            if filled < sent.qty {
                self.count("hedge partly filled");
            }
            if sent.rests {
                self.count("hedge filled at rest");
            }
        }
    }

    /// An order request arrives at the exchange; `copy` when the network has doubled it.
    pub(super) fn on_arrival(&mut self, now: Ts, client_id: &str, copy: bool) {
        if !self.arrived.insert(client_id.to_owned()) && !copy {
            self.problem(now, "I12", format!("client id {client_id} used twice"));
        }
        let known = self.prefix.decode(client_id).is_some_and(|id| self.placed.contains_key(&id));
        if !known {
            self.problem(now, "I3", format!("client id {client_id} stands in no record"));
        }
    }

    /// The exchange has taken an order.
    pub(super) fn on_taken(&mut self, now: Ts, id: OrderId) {
        self.taken.insert(id);
        if self.refused.contains(&id) {
            self.problem(now, "I6", format!("{id:?} is taken after it was given up"));
        }
    }

    /// The process holds an order for one that never was.
    fn on_given_up(&mut self, now: Ts, id: OrderId) {
        self.refused.insert(id);
        if self.taken.contains(&id) {
            self.problem(now, "I6", format!("{id:?} counts as refused; the exchange took it"));
        }
    }

    /// Whether an order at the exchange is ours by its id.
    pub(super) fn own(&self, order: &OrderRecord) -> Option<OrderId> {
        self.prefix.decode(&order.client_id)
    }

    /// What the exchange may have taken twice of one order, on a side, so lately that the process
    /// cannot have answered: no limit of ours holds what a network doubles after the first was filled.
    fn doubled(&self, now: Ts, index: usize, side: Side, lot_base: Money) -> Money {
        let lately = self.copied.iter().filter(|(_, at)| now.since(**at) < DOUBLED_FOR);
        let sent = lately.filter_map(|(id, _)| self.placed.get(id));
        let sent = sent.filter(|sent| sent.instrument.index() == index && sent.side == side);
        sent.map(|sent| Money::from(sent.qty.0) * lot_base).sum()
    }

    /// Limits and self-crossing by the exchange's own books.
    pub(super) fn check_exchange(&mut self, now: Ts, exchange: &Exchange) {
        let mut net = Money::ZERO;
        let mut towards = [Money::ZERO; 2];
        let mut price = Money::ZERO;
        for (index, bounds) in self.bounds.clone().into_iter().enumerate() {
            let off = off_target(exchange, &bounds);
            let Some(instrument) = exchange.instrument(bounds.market) else { continue };
            let mut open = [Money::ZERO; 2];
            let mut best: [Option<Px>; 2] = [None, None];
            for order in exchange.open_orders(OURS, bounds.market) {
                if self.own(&order).is_none() {
                    continue;
                }
                let side = order.side.index();
                open[side] += instrument.quantity(order.open_qty());
                let px = order.px().unwrap_or_default();
                price = price.max(instrument.price(px));
                let better = |old: Px| order.side.sign() * (px.0 - old.0) > 0;
                if best[side].is_none_or(better) {
                    best[side] = Some(px);
                }
            }
            if let [Some(bid), Some(ask)] = best
                && bid >= ask
            {
                self.problem(now, "I10", format!("own bid {bid:?} meets own ask {ask:?}"));
            }
            for side in Side::BOTH {
                let sign = Money::from(side.sign());
                let doubled = self.doubled(now, index, side, bounds.lot_base);
                let worst = sign * off + open[side.index()] - doubled;
                if open[side.index()] > Money::ZERO && worst > bounds.limit_base {
                    let limit = bounds.limit_base;
                    let text = format!("worst {side} position {worst} beyond {limit}");
                    self.problem(now, "I5", text);
                }
                towards[side.index()] += open[side.index()] - doubled;
            }
            net += off;
        }
        for side in Side::BOTH {
            let worst = (Money::from(side.sign()) * net + towards[side.index()]) * price;
            // The limit was held at the price of the day the order was sent.
            let limit = self.max_net_quote * Money::new(102, 2);
            if towards[side.index()] > Money::ZERO && worst > limit {
                self.problem(now, "I5", format!("worst {side} exposure {worst} beyond {limit}"));
            }
        }
    }
}

/// What the exchange says we hold away from the target, in base.
pub(super) fn off_target(exchange: &Exchange, bounds: &Bounds) -> Money {
    held(exchange, bounds) - bounds.target_base
}

/// What the exchange says we hold, in base.
pub(super) fn held(exchange: &Exchange, bounds: &Bounds) -> Money {
    let Some(instrument) = exchange.instrument(bounds.market) else { return Money::ZERO };
    match instrument.kind {
        InstrumentKind::Spot => {
            let pot = exchange.balance(OURS, crate::sim::Wallet::Spot, &instrument.base);
            pot.free + pot.locked
        }
        InstrumentKind::LinearPerpetual => exchange
            .position(OURS, bounds.market)
            .map_or(Money::ZERO, |position| instrument.quantity(position.qty)),
    }
}
