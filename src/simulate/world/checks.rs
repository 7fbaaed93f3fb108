//! What must hold in the world: every 100 ms, after healing, and at an end?

use super::{Pace, World};
use crate::domain::{Asset, InstrumentId, Money, Reason, Side, Span, State, Ts};
use crate::engine::Ending;
use crate::sim::{Exchange, MarketId, Wallet};
use crate::simulate::watch::{Bounds, OURS, held, off_target};

/// Requests a virtual second and venue at most, over ten seconds.
const MOST_REQUESTS: u64 = 60;
/// Steps a virtual second at most, over ten seconds: each frame, reply and wake-up is one.
const MOST_STEPS: u64 = 1_500;
/// Steps a virtual second at most that nothing but time has caused.
const MOST_IDLE_STEPS: u64 = 60;
/// Messages that may be on their way at once.
const MOST_ON_THE_WAY: usize = 20_000;
/// Longest that an order may rest while its side is pulled and the network is well.
const PULLED: Span = Span::from_s(2);
/// After a kill no order rests longer, while the network is well.
const KILLED: Span = Span::from_s(2);
/// Longest that an order of ours may rest without being known, while the network is well: a
/// reading of the account and a round trip.
const ORPHANED: Span = Span::from_s(12);
/// How far back a book's touch may lie.
pub(super) const BOOK_MEMORY: Span = Span::from_s(20);
/// Longest that a book may differ from every one of the last [`BOOK_MEMORY`].
const WRONG_BOOK: Span = Span::from_s(3);
/// Longest that what we hold may differ from the exchange's, while the network is well.
const WRONG_HELD: Span = Span::from_s(3);
/// Our result and the exchange's wallets differ by at most so much, quote: roundings, and dust
/// that is valued at another mid.
const WALLET_SLACK: Money = Money::from_parts(5, 0, 0, false, 2);
/// Longest from mending until our readings are the exchange's, and until both sides are quoted.
const HEALED: [Span; 2] = [Span::from_s(10), Span::from_s(30)];

impl World {
    pub(super) fn check(&mut self) {
        let now = self.now;
        self.watch.check_exchange(now, self.exchange.exchange());
        self.restore_filters();
        self.check_pace();
        self.check_pulled();
        self.check_orphans();
        self.check_books();
        self.check_held();
        self.check_killed();
        self.check_healing();
    }

    fn check_pace(&mut self) {
        let on_the_way = self.queue.len();
        if on_the_way > MOST_ON_THE_WAY {
            self.watch.problem(self.now, "I15", format!("{on_the_way} messages on their way"));
        }
        let (steps, idle) =
            self.process.as_ref().map_or((0, 0), |process| (process.steps, process.idle_steps));
        let before = self.pace;
        let seconds = self.now.since(before.since).ms().unsigned_abs() / 1_000;
        let same_run = steps >= before.steps;
        if seconds < 10 && same_run {
            return;
        }
        self.pace = Pace { requests: self.requests, steps, idle, since: self.now };
        if !same_run {
            return;
        }
        let venues = self.kinds.len() as u64;
        for (what, count, most) in [
            ("requests", self.requests - before.requests, MOST_REQUESTS * venues),
            ("steps", steps - before.steps, MOST_STEPS),
            ("steps without news", idle - before.idle, MOST_IDLE_STEPS),
        ] {
            if count > most * seconds {
                self.watch.problem(self.now, "I15", format!("{count} {what} in {seconds} s"));
            }
        }
    }

    /// What the process has just ended does not rest.
    pub(super) fn check_just_ended(&mut self, now: Ts) {
        let ended = std::mem::take(&mut self.watch.ended);
        if ended.is_empty() {
            return;
        }
        let exchange = self.exchange.exchange();
        for bounds in self.watch.bounds.clone() {
            for order in exchange.open_orders(OURS, bounds.market) {
                let own = self.watch.own(&order);
                // A venue takes a copy of a request whose order has been filled already as
                // another order; a reading finds it (I1).
                if own.is_some_and(|id| ended.contains(&id) && !self.watch.copied.contains_key(&id))
                {
                    let text = format!("{} counts as ended and rests", order.client_id);
                    self.watch.problem(now, "I6", text);
                }
            }
        }
    }

    fn is_well(&self) -> bool {
        self.now >= self.unwell_until
    }

    /// A side that is pulled has no order at the exchange for long, once requests get through.
    fn check_pulled(&mut self) {
        if self.process.is_none() || !self.is_well() {
            self.pulled_since.clear();
            return;
        }
        for index in 0..self.watch.bounds.len() {
            let id = InstrumentId(index as u16);
            for side in Side::BOTH {
                let key = (index, side.index());
                let Some(process) = &self.process else { return };
                let reason = process.engine.side_reason(id, side);
                let shown = reason == Reason::Quoting || !process.engine.is_quoted(id);
                if shown || !self.rests(index, side) {
                    self.pulled_since.remove(&key);
                    continue;
                }
                let since = *self.pulled_since.entry(key).or_insert(self.now);
                if self.now.since(since) > PULLED {
                    self.pulled_since.remove(&key);
                    let text = format!("a quote rests although its side is pulled: {reason:?}");
                    self.watch.problem(self.now, "I7", text);
                }
            }
        }
    }

    fn rests(&self, index: usize, side: Side) -> bool {
        let market = self.watch.bounds[index].market;
        let open = self.exchange.exchange().open_orders(OURS, market);
        open.iter().any(|order| order.side == side && self.watch.own(order).is_some())
    }

    /// Open orders of ours at the exchange.
    pub(super) fn own_open_orders(&self) -> usize {
        let exchange = self.exchange.exchange();
        let of = |market| exchange.open_orders(OURS, market);
        let all = self.watch.bounds.iter().flat_map(|bounds| of(bounds.market));
        all.filter(|order| self.watch.own(order).is_some()).count()
    }

    /// An order of ours that the process does not know is found and cancelled soon.
    fn check_orphans(&mut self) {
        let Some(process) = &self.process else { return };
        let exchange = self.exchange.exchange();
        let mut orphans = Vec::new();
        for (index, bounds) in self.watch.bounds.iter().enumerate() {
            for order in exchange.open_orders(OURS, bounds.market) {
                let Some(id) = self.watch.own(&order) else { continue };
                let known = process.engine.order(InstrumentId(index as u16), id);
                if known.is_none_or(|known| !known.is_live()) {
                    orphans.push(order.client_id.to_string());
                }
            }
        }
        self.orphan_since.retain(|id, _| orphans.contains(id));
        if !self.is_well() {
            self.orphan_since.clear();
        }
        for id in orphans {
            let since = *self.orphan_since.entry(id.clone()).or_insert(self.now);
            if self.now.since(since) > ORPHANED {
                self.orphan_since.remove(&id);
                self.watch.problem(self.now, "I1", format!("order {id} rests and nobody knows"));
            }
        }
    }

    /// A proven book is one that the exchange has had.
    fn check_books(&mut self) {
        for index in 0..self.watch.bounds.len() {
            let market = usize::from(self.watch.bounds[index].market.0);
            let Some(process) = &self.process else { return };
            let Some((bid, ask)) = process.engine.proven_touch(InstrumentId(index as u16)) else {
                self.wrong_book_since[index] = None;
                continue;
            };
            if self.touches[market].iter().any(|(_, b, a)| (*b, *a) == (bid, ask)) {
                self.wrong_book_since[index] = None;
                continue;
            }
            let since = *self.wrong_book_since[index].get_or_insert(self.now);
            if self.now.since(since) > WRONG_BOOK {
                self.wrong_book_since[index] = None;
                let text = format!("a book shows {bid:?}/{ask:?}, which the exchange never had");
                self.watch.problem(self.now, "I7", text);
            }
        }
    }

    /// While nothing is wrong, fills are known within seconds, and counted once.
    fn check_held(&mut self) {
        for index in 0..self.watch.bounds.len() {
            let bounds = &self.watch.bounds[index];
            let Some(process) = &self.process else { return };
            let ours = process.engine.held_base(InstrumentId(index as u16));
            let theirs = held(self.exchange.exchange(), bounds);
            let unread = matches!(process.engine.state(), State::Starting | State::Reconciling);
            if ours == theirs || unread || !self.is_well() {
                self.wrong_held_since[index] = None;
                continue;
            }
            let since = *self.wrong_held_since[index].get_or_insert(self.now);
            if self.now.since(since) > WRONG_HELD {
                self.wrong_held_since[index] = None;
                let text = format!("the exchange has held {theirs}, we {ours}, for seconds");
                self.watch.problem(self.now, "I2", text);
            }
        }
    }

    /// All processes together have earned what the exchange's wallets have gained.
    fn check_wallets(&mut self) {
        let Some(process) = &self.process else { return };
        // An ended session's result stands among the earlier ones.
        let over = process.engine.is_session_over();
        let ours = self.disk.earned((!over).then_some(&process.engine));
        let theirs = equity(self.exchange.exchange(), &self.watch.bounds) - self.equity;
        self.watch.count(if self.run == 1 {
            "result held against the wallets"
        } else {
            "result of several processes held against the wallets"
        });
        if (ours - theirs).abs() > WALLET_SLACK {
            let text = format!("the result is {ours}, the wallets gained {theirs}");
            self.watch.problem(self.now, "I13", text);
        }
    }

    /// After a kill every order is gone soon.
    fn check_killed(&mut self) {
        let Some(since) = self.killed_at else { return };
        if !self.is_well() {
            self.killed_at = Some(self.now);
        } else if self.now.since(since) > KILLED {
            self.killed_at = None;
            let open = self.own_open_orders();
            if open > 0 {
                self.watch.problem(self.now, "I9", format!("{open} orders rest after a kill"));
            }
        }
    }

    /// How long it takes after mending until readings agree and both sides are quoted.
    fn check_healing(&mut self) {
        let Some(mended) = self.mended_at else { return };
        let took = self.now.since(mended);
        for (what, longest) in HEALED.into_iter().enumerate() {
            if !self.unhealed[what] {
                continue;
            }
            let healed = match what {
                0 => self.differences().is_empty(),
                _ => self.is_quoting(),
            };
            if healed {
                self.unhealed[what] = false;
                self.healed_ms[what] = self.healed_ms[what].max(took.ms());
            } else if took > longest && !self.documented_halt() {
                self.unhealed[what] = false;
                let text = if what == 0 {
                    self.watch.problem(self.now, "I2", self.differences().join(", "));
                    continue;
                } else {
                    self.why_not_quoting()
                };
                self.watch.problem(self.now, "I16", text);
            }
        }
    }

    fn is_quoting(&self) -> bool {
        let state = self.process.as_ref().map(|process| process.engine.state());
        matches!(state, Some(State::Quoting | State::Reducing)) && self.sides(is_natural)
    }

    fn why_not_quoting(&self) -> String {
        let Some(process) = &self.process else { return "no process runs".to_owned() };
        let engine = &process.engine;
        let ids = (0..self.watch.bounds.len()).map(|index| InstrumentId(index as u16));
        let reasons: Vec<String> = ids
            .filter(|id| engine.is_quoted(*id))
            .map(|id| format!("{:?}", Side::BOTH.map(|side| engine.side_reason(id, side))))
            .collect();
        let cause = engine.halt_cause();
        format!("not back: {} {cause:?} {}", engine.state(), reasons.join(" "))
    }

    /// Where the exchange holds something else for us than we think.
    fn differences(&self) -> Vec<String> {
        let Some(process) = &self.process else { return vec!["no process runs".to_owned()] };
        let exchange = self.exchange.exchange();
        let mut found = Vec::new();
        for (index, bounds) in self.watch.bounds.iter().enumerate() {
            let id = InstrumentId(index as u16);
            let (truth, ours) = (held(exchange, bounds), process.engine.held_base(id));
            if truth != ours {
                found.push(format!("{:?} holds {truth}, we {ours}", bounds.market));
            }
        }
        found
    }

    /// Orders that rest, by the exchange and by us, agree.
    fn order_differences(&self) -> Vec<String> {
        let Some(process) = &self.process else { return Vec::new() };
        let exchange = self.exchange.exchange();
        let mut theirs = Vec::new();
        for bounds in &self.watch.bounds {
            let open = exchange.open_orders(OURS, bounds.market);
            theirs.extend(open.iter().filter_map(|order| self.watch.own(order)));
        }
        let live = process.engine.open_orders().filter(|order| order.is_live());
        let mut ours: Vec<_> = live.map(|order| order.new.id).collect();
        theirs.sort();
        ours.sort();
        if theirs == ours {
            return Vec::new();
        }
        vec![format!("the exchange has orders {theirs:?}, we {ours:?}")]
    }

    /// Long after the last fault everything is as if there had been none.
    pub(super) fn check_healed(&mut self) {
        for _ in 0..40 {
            // A fill or an order of the last moment may be on its way.
            if self.differences().is_empty() && self.order_differences().is_empty() {
                break;
            }
            self.until(self.now + Span::from_ms(50));
        }
        let now = self.now;
        let wrong: Vec<String> =
            self.differences().into_iter().chain(self.order_differences()).collect();
        for text in wrong {
            self.watch.problem(now, "I2", text);
        }
        if self.documented_halt() {
            return self.watch.count("documented halt");
        }
        // It has been quoting since; a market may be thin for a moment.
        let thin = |reason| is_natural(reason) || reason == Reason::BookThin;
        if !self.is_quoting() && (self.unhealed[1] || !self.sides(thin)) {
            let text = self.why_not_quoting();
            self.watch.problem(now, "I16", text);
        } else if self.sides(|reason| reason == Reason::Quoting) {
            self.watch.count("both sides quoting after healing");
        }
    }

    /// What a process that ends in trouble says of itself is true.
    pub(super) fn check_claim(&mut self) {
        let now = self.now;
        let left = self.own_open_orders();
        let claims_flat =
            matches!(self.ending, Some(Ending::FlatAndClean | Ending::SafetyHaltFlat { .. }));
        if !claims_flat {
            return self.watch.count("ended with a warning");
        }
        self.watch.count("ended flat in trouble");
        if left > 0 {
            self.watch.problem(now, "I19", format!("{left} orders left; said {:?}", self.ending));
        }
        self.check_flat();
    }

    fn check_flat(&mut self) {
        let now = self.now;
        for bounds in self.watch.bounds.clone() {
            let off = off_target(self.exchange.exchange(), &bounds).abs();
            let spot = bounds.market == MarketId(0);
            // Below the least order of the venue nothing can be closed.
            if off > if spot { Money::new(1, 4) } else { Money::ZERO } {
                let text = format!("{:?} off target by {off}", bounds.market);
                self.watch.problem(now, "I19", text);
            }
        }
    }

    /// What the ending of the session claims is true, and it is the best one.
    pub(super) fn check_ended(&mut self) {
        let now = self.now;
        let left = self.own_open_orders();
        let Some(ending) = self.ending.clone() else {
            return self.watch.problem(now, "I16", "not ended within the deadline");
        };
        if left > 0 {
            self.watch.problem(now, "I19", format!("{left} orders left; ending {ending:?}"));
        }
        let documented = self.documented_halt();
        match &ending {
            Ending::FlatAndClean => self.watch.count("ended flat and clean"),
            Ending::SafetyHaltFlat { .. } if documented => self.watch.count("ended halted"),
            other => self.watch.problem(now, "I16", format!("ending {other:?}")),
        }
        if matches!(ending, Ending::FlatAndClean | Ending::SafetyHaltFlat { .. }) {
            self.check_flat();
            self.check_wallets();
        }
        if let Some(process) = self.process.take() {
            self.events += process.events;
            self.process = Some(process);
        }
    }
}

/// All quote money of ours, and what is held off target at the mid.
pub(super) fn equity(exchange: &Exchange, bounds: &[Bounds]) -> Money {
    let usdt = Asset::new("USDT");
    let cash: Money = [Wallet::Spot, Wallet::Usdm]
        .into_iter()
        .map(|wallet| exchange.balance(OURS, wallet, &usdt))
        .map(|pot| pot.free + pot.locked)
        .sum();
    let held: Money = bounds.iter().map(|bounds| worth(exchange, bounds)).sum();
    cash + held
}

fn worth(exchange: &Exchange, bounds: &Bounds) -> Money {
    let Some(instrument) = exchange.instrument(bounds.market) else { return Money::ZERO };
    let best = exchange.book_ticker(bounds.market);
    let Some((bid, ask)) = best.and_then(|best| Some((best.bid?, best.ask?))) else {
        return Money::ZERO;
    };
    let mid = (instrument.price(bid.px) + instrument.price(ask.px)) / Money::TWO;
    off_target(exchange, bounds) * mid
}

/// A reason that a healthy market or account can give.
fn is_natural(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Quoting
            | Reason::InventoryLimit
            | Reason::ExposureLimit
            | Reason::InsufficientFunds
            | Reason::OwnOrderInTheWay
            | Reason::Toxic
            | Reason::RejectPause
            | Reason::Reducing
            | Reason::Budget
            | Reason::BelowMinimum
            | Reason::Volatile
            | Reason::SpreadWide
            | Reason::PostFillPause
            | Reason::OrderUnknown
    )
}
