//! The life of one order.
//!
//! ```text
//!                  accepted
//!   Sent ───────────────────────────▶ Working ──┐ accepted, partly filled
//!    │ │  no answer                    │  ▲ ▲ └─┘
//!    │ └───────────▶ Unknown ──────────┼──┘ │ found by query or stream
//!    │                 │  ▲            │    │
//!    │ rejected        │  └────────────┘    │ the venue's word against ours wins,
//!    │                 │   no answer        │ even after the end
//!    ▼                 ▼                    │
//!   Ended ◀────────────┴── filled, cancelled, expired
//! ```
//!
//! A request to cancel or amend is a second, smaller machine on top ([`Request`]): it can be in
//! flight in any live phase, and its failure never ends the order by itself. "No answer" is never
//! "no": an unanswered order is `Unknown`, keeps its id, counts as live, is asked for with growing
//! pauses, and is given up only after the venue's processing bound has passed on repeated
//! "not found" answers *and* a last cancel by id has found nothing either.

use crate::domain::{
    NewOrder, OrderEvent, OrderStatus, OrderUpdate, Px, Qty, RejectClass, Span, Ts, planted,
};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// On its way; no answer yet.
    Sent,
    /// The venue has it.
    Working,
    /// Nobody told us whether the venue has it.
    Unknown(Doubt),
    /// It is over.
    Ended(OrderStatus),
}

/// What is being done about an order of unknown fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// When the doubt began.
    pub since: Ts,
    /// Queries sent.
    pub queries: u32,
    /// Queries that found nothing.
    pub not_found: u32,
    /// When to ask again.
    pub ask_at: Ts,
    /// A last cancel by id has been sent.
    pub last_cancel: bool,
}

/// A cancel or amend on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// None.
    Idle,
    /// A cancel was sent; sent again when `retry_at` comes without an answer.
    Cancel {
        /// When to send it again.
        retry_at: Ts,
        /// How often it was sent.
        tries: u32,
    },
    /// An amend was sent; the order may have either price and quantity.
    Amend {
        /// The price asked for.
        px: Px,
        /// The quantity asked for, filled part included.
        qty: Qty,
        /// After this the order is asked for.
        due: Ts,
    },
}

/// What an order needs done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// Ask the venue for it.
    Query,
    /// Cancel it by id.
    Cancel,
    /// Its fills are incomplete: read the account's trades.
    Reconcile,
}

/// First pause before an unanswered request is asked about; doubles up to `ASK_PAUSE_MAX`.
pub const ASK_PAUSE: Span = Span::from_ms(250);
/// Longest pause between questions about one order.
pub const ASK_PAUSE_MAX: Span = Span::from_s(10);
/// How long a trade may lag behind the order state that counts it before it is asked for.
pub const TRADES_PAUSE: Span = Span::from_ms(1000);
/// "Not found" answers needed before an order is given up.
pub const NOT_FOUND_NEEDED: u32 = 2;

/// One order of ours, from before it is sent until its last fill is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was asked for.
    pub new: NewOrder,
    /// Where it stands.
    pub phase: Phase,
    /// A cancel or amend on its way.
    pub request: Request,
    /// Limit price as the venue has it.
    pub px: Px,
    /// Quantity as the venue has it, filled part included.
    pub qty: Qty,
    /// Filled by the venue's word.
    pub filled: Qty,
    /// Filled by trades that have arrived.
    pub traded: Qty,
    /// The venue's id.
    pub venue_order_id: Option<u64>,
    /// When it was sent, or last amended.
    pub sent_at: Ts,
    /// When an answer is overdue.
    pub answer_due: Ts,
    /// When it ended.
    pub ended_at: Option<Ts>,
    /// When to look for trades that the venue counts and that have not arrived.
    pub trades_due: Option<Ts>,
    /// Amendments made.
    pub amends: u32,
    /// An earlier run's: which of its fills that run has counted cannot be told, so the account
    /// reading answers for them, not the trades.
    pub adopted: bool,
}

impl Order {
    /// An order about to leave; it is in doubt when nothing is heard by `answer_due`.
    #[must_use]
    pub fn sent(new: NewOrder, now: Ts, answer_due: Ts) -> Order {
        Order {
            px: new.px,
            qty: new.qty,
            new,
            phase: Phase::Sent,
            request: Request::Idle,
            filled: Qty::ZERO,
            traded: Qty::ZERO,
            venue_order_id: None,
            sent_at: now,
            answer_due,
            ended_at: None,
            trades_due: None,
            amends: 0,
            adopted: false,
        }
    }

    /// True until the venue has said that it is over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Ended(_))
    }

    /// Since when the venue has not known it, or seemed not to; `None` where nothing says so.
    #[must_use]
    pub fn missed_since(&self) -> Option<Ts> {
        match self.phase {
            Phase::Unknown(doubt) => Some(doubt.since),
            Phase::Ended(OrderStatus::Rejected) => self.ended_at,
            Phase::Sent | Phase::Working | Phase::Ended(_) => None,
        }
    }

    /// True when the venue has confirmed it and nothing is on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Working) && self.request == Request::Idle
    }

    /// What can still arrive as fills: the rest of a live order with the larger quantity of a
    /// running amend, and fills of an ended one that have not arrived as trades.
    #[must_use]
    pub fn exposed(&self) -> Qty {
        let total = match (self.phase, self.request) {
            (Phase::Unknown(_), _) if planted("unknown_not_exposed") => Qty::ZERO,
            (Phase::Ended(_), _) if self.adopted => Qty::ZERO,
            (Phase::Ended(_), _) => self.filled,
            (_, Request::Amend { qty, .. }) => self.qty.max(qty),
            _ => self.qty,
        };
        (total - self.traded).max(Qty::ZERO)
    }

    /// The most aggressive price it may have: the better of its own and that of a running amend.
    #[must_use]
    pub fn most_aggressive_px(&self) -> Px {
        match self.request {
            Request::Amend { px, .. } => {
                if self.new.side.sign() * (px.0 - self.px.0) > 0 {
                    px
                } else {
                    self.px
                }
            }
            Request::Idle | Request::Cancel { .. } => self.px,
        }
    }

    /// Unfilled, by what we know.
    #[must_use]
    pub fn remaining(&self) -> Qty {
        (self.qty - self.filled.max(self.traded)).max(Qty::ZERO)
    }

    /// Whether it can be forgotten: over, and every fill has arrived.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.is_live() && (self.adopted || self.traded >= self.filled)
    }

    /// Notes that a cancel has been sent.
    pub fn cancel_sent(&mut self, now: Ts) {
        let tries = match self.request {
            Request::Cancel { tries, .. } => tries + 1,
            Request::Idle | Request::Amend { .. } => 1,
        };
        self.drop_amend();
        self.request = Request::Cancel { retry_at: now + pause(tries + 2), tries };
    }

    /// Nobody waits for a running amend any more, but it may have been carried out: until the venue
    /// has told what the order is, it is taken for the larger and the more aggressive of the two.
    fn drop_amend(&mut self) {
        if let Request::Amend { qty, .. } = self.request {
            (self.px, self.qty) = (self.most_aggressive_px(), self.qty.max(qty));
            self.request = Request::Idle;
        }
    }

    /// Notes that an amend has been sent.
    pub fn amend_sent(&mut self, px: Px, qty: Qty, due: Ts) {
        self.amends += 1;
        self.request = Request::Amend { px, qty, due };
    }

    /// Counts a trade of this order; the caller has checked that it is a new one.
    pub fn on_fill(&mut self, qty: Qty, now: Ts) -> Step {
        self.traded += qty;
        self.filled = self.filled.max(self.traded);
        if self.traded >= self.filled {
            self.trades_due = None;
        }
        if self.is_live() && self.traded >= self.qty {
            self.end(OrderStatus::Filled, now);
        } else if matches!(self.phase, Phase::Sent | Phase::Unknown(_)) {
            self.phase = Phase::Working;
        }
        Step::None
    }

    /// Applies the venue's news and says what it calls for.
    pub fn on_event(&mut self, event: &OrderEvent, now: Ts) -> Step {
        if self.venue_order_id.is_none() {
            self.venue_order_id = event.venue_order_id;
        }
        match &event.update {
            OrderUpdate::State { status, filled, qty, px } => {
                self.on_state(*status, *filled, *qty, *px, now)
            }
            OrderUpdate::Rejected { class, .. } => self.on_rejected(*class, now),
            OrderUpdate::ChangeRejected { gone, .. } => self.on_change_rejected(*gone, now),
            OrderUpdate::Unknown { .. } => self.on_unknown(now),
            OrderUpdate::NotFound => self.on_not_found(now),
        }
    }

    fn on_state(&mut self, status: OrderStatus, filled: Qty, qty: Qty, px: Px, now: Ts) -> Step {
        self.filled = self.filled.max(filled);
        if self.traded < self.filled && self.trades_due.is_none() && !self.adopted {
            self.trades_due = Some(now + TRADES_PAUSE);
        }
        if status.is_final() {
            if self.is_live() {
                self.end(status, now);
            }
            return Step::None;
        }
        match self.phase {
            // A late echo of the order's life; only a give-up of ours can have been wrong.
            Phase::Ended(OrderStatus::Rejected) => {
                self.ended_at = None;
                self.phase = Phase::Working;
                self.take(px, qty);
                Step::Cancel
            }
            Phase::Ended(_) => Step::None,
            Phase::Sent | Phase::Unknown(_) | Phase::Working => {
                self.phase = Phase::Working;
                self.take(px, qty);
                Step::None
            }
        }
    }

    /// Takes over the venue's price and quantity; an amend that asked for them is done.
    fn take(&mut self, px: Px, qty: Qty) {
        let Request::Amend { px: asked_px, qty: asked_qty, .. } = self.request else {
            self.px = px;
            self.qty = qty;
            return;
        };
        self.px = px;
        self.qty = qty;
        if (asked_px, asked_qty) == (px, qty) {
            self.request = Request::Idle;
        }
    }

    fn on_rejected(&mut self, class: RejectClass, now: Ts) -> Step {
        match self.phase {
            // An order with this id is open: it is ours, sent before and not heard of.
            Phase::Sent | Phase::Unknown(_) if class == RejectClass::DuplicateId => {
                self.doubt(now);
                Step::Query
            }
            Phase::Sent => {
                self.end(OrderStatus::Rejected, now);
                Step::None
            }
            // A refusal of a copy says nothing of the first: only a query ends a doubt.
            Phase::Unknown(_) | Phase::Working | Phase::Ended(_) => Step::None,
        }
    }

    fn on_change_rejected(&mut self, gone: bool, now: Ts) -> Step {
        let given_up = matches!(self.phase, Phase::Unknown(doubt) if doubt.last_cancel
            && doubt.not_found >= NOT_FOUND_NEEDED);
        // A refusal can come as fast as the request went (a blocked venue, a closed port): a
        // cancel is sent again after a pause, never at once.
        self.request = match self.request {
            Request::Cancel { tries, .. } if self.is_live() => {
                Request::Cancel { retry_at: now + pause(tries), tries }
            }
            Request::Idle | Request::Cancel { .. } | Request::Amend { .. } => Request::Idle,
        };
        if !self.is_live() {
            return Step::None;
        }
        if gone && planted("gone_is_ended") {
            self.end(OrderStatus::Canceled, now);
            return Step::None;
        }
        if gone && given_up {
            self.end(OrderStatus::Rejected, now);
            return Step::Reconcile;
        }
        if gone {
            self.doubt(now);
            return Step::Query;
        }
        Step::None
    }

    fn on_unknown(&mut self, now: Ts) -> Step {
        match self.phase {
            Phase::Ended(_) => Step::None,
            Phase::Sent | Phase::Working | Phase::Unknown(_) => {
                self.doubt(now);
                Step::None
            }
        }
    }

    fn on_not_found(&mut self, now: Ts) -> Step {
        self.doubt(now);
        if let Phase::Unknown(doubt) = &mut self.phase {
            doubt.not_found += 1;
        }
        Step::None
    }

    /// Begins a doubt, or goes on with one.
    fn doubt(&mut self, now: Ts) {
        if matches!(self.phase, Phase::Sent | Phase::Working) {
            self.phase = Phase::Unknown(Doubt {
                since: now,
                queries: 0,
                not_found: 0,
                ask_at: now + ASK_PAUSE,
                last_cancel: false,
            });
        }
    }

    fn end(&mut self, status: OrderStatus, now: Ts) {
        self.phase = Phase::Ended(status);
        self.request = Request::Idle;
        self.ended_at = Some(now);
    }

    /// What time alone calls for: answers overdue, questions to repeat, cancels to send again.
    /// An order in doubt is not given up before `bound` has passed since it was sent.
    pub fn on_time(&mut self, now: Ts, bound: Span) -> Step {
        if matches!(self.phase, Phase::Sent) && now >= self.answer_due {
            self.doubt(now);
        }
        if let Request::Amend { due, .. } = self.request
            && now >= due
        {
            self.drop_amend();
            self.doubt(now);
        }
        if self.trades_due.is_some_and(|due| now >= due) {
            self.trades_due = Some(now + TRADES_PAUSE);
            return Step::Reconcile;
        }
        let (sent_at, confirmed) = (self.sent_at, self.venue_order_id.is_some());
        if let Phase::Unknown(doubt) = &mut self.phase {
            // An order that the venue has confirmed is missed only since it was not found.
            let sent_at = if confirmed { doubt.since } else { sent_at };
            if now < doubt.ask_at {
                return Step::None;
            }
            doubt.queries += 1;
            if planted("never_asks") {
                doubt.ask_at = now + Span::from_s(3600);
                return Step::None;
            }
            doubt.ask_at = now + pause(doubt.queries);
            // The question that may settle it is not put off by the pauses before.
            if now < sent_at + bound {
                doubt.ask_at = doubt.ask_at.min(sent_at + bound);
            }
            let bound_passed = now.since(sent_at) >= bound && now.since(doubt.since) >= ASK_PAUSE
                || planted("doubt_given_up_early");
            if bound_passed && doubt.not_found >= NOT_FOUND_NEEDED {
                doubt.last_cancel = true;
                return Step::Cancel;
            }
            return Step::Query;
        }
        match self.request {
            Request::Cancel { retry_at, .. } if self.is_live() && now >= retry_at => {
                if planted("cancel_not_retried") { Step::None } else { Step::Cancel }
            }
            Request::Idle | Request::Cancel { .. } | Request::Amend { .. } => Step::None,
        }
    }

    /// When time alone may call for something.
    #[must_use]
    pub fn wakeup(&self) -> Option<Ts> {
        let by_phase = match self.phase {
            Phase::Sent => Some(self.answer_due),
            Phase::Unknown(doubt) => Some(doubt.ask_at),
            Phase::Working | Phase::Ended(_) => None,
        };
        let by_request = match self.request {
            Request::Idle => None,
            // While its fate is unknown it is asked about; the cancel follows what is found.
            Request::Cancel { retry_at, .. } => {
                matches!(self.phase, Phase::Sent | Phase::Working).then_some(retry_at)
            }
            Request::Amend { due, .. } => Some(due),
        };
        by_phase.into_iter().chain(by_request).chain(self.trades_due).min()
    }
}

/// The pause before the `n`-th repetition: doubling from `ASK_PAUSE`, at most `ASK_PAUSE_MAX`.
fn pause(n: u32) -> Span {
    Span((ASK_PAUSE.0 << n.min(8)).min(ASK_PAUSE_MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{InstrumentId, OrderId, OrderKind, Purpose, Side};

    const BOUND: Span = Span::from_s(7);

    fn order() -> Order {
        let new = NewOrder {
            id: OrderId { epoch: 1, counter: 1 },
            instrument: InstrumentId(0),
            side: Side::Buy,
            px: Px(100),
            qty: Qty(10),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        };
        Order::sent(new, Ts(0), Ts::from_ms(1000))
    }

    fn tell(order: &mut Order, update: OrderUpdate, now: Ts) -> Step {
        let (instrument, id) = (order.new.instrument, order.new.id);
        let event = OrderEvent { instrument, id, venue_order_id: None, update, at: now };
        order.on_event(&event, now)
    }

    fn refused(class: RejectClass, gone: bool) -> OrderUpdate {
        OrderUpdate::ChangeRejected { class, gone, text: String::new() }
    }

    #[test]
    fn a_refused_cancel_waits_before_it_is_sent_again() {
        let mut order = order();
        order.phase = Phase::Working;
        order.cancel_sent(Ts(0));
        for round in 1..10 {
            let now = order.wakeup().unwrap();
            assert_eq!(tell(&mut order, refused(RejectClass::Throttled, false), now), Step::None);
            assert!(matches!(order.request, Request::Cancel { .. }), "still wanted");
            let next = order.wakeup().unwrap();
            assert!(next.since(now) >= ASK_PAUSE, "round {round}: {}", next.since(now).ms());
            assert_eq!(order.on_time(next, BOUND), Step::Cancel);
            order.cancel_sent(next);
        }
    }

    #[test]
    fn an_order_in_doubt_whose_cancel_found_nothing_is_asked_for_and_given_up_at_the_bound() {
        let mut order = order();
        tell(&mut order, OrderUpdate::Unknown { text: String::new() }, Ts(1));
        order.cancel_sent(Ts(1));
        let mut asked = 0;
        loop {
            let now = order.wakeup().unwrap();
            assert!(now <= Ts(0) + BOUND, "asked too late: {now:?}");
            match order.on_time(now, BOUND) {
                Step::Query => asked += 1,
                Step::Cancel => {
                    assert_eq!(now, Ts(0) + BOUND);
                    order.cancel_sent(now);
                    tell(&mut order, refused(RejectClass::Other, true), now);
                    break;
                }
                step => panic!("{step:?}"),
            }
            tell(&mut order, OrderUpdate::NotFound, now);
            assert_eq!(tell(&mut order, refused(RejectClass::Other, true), now), Step::Query);
        }
        assert!((2..10).contains(&asked), "{asked} questions");
        assert!(!order.is_live());
    }

    fn state(status: OrderStatus, filled: i64, px: i64, qty: i64) -> OrderUpdate {
        OrderUpdate::State { status, filled: Qty(filled), qty: Qty(qty), px: Px(px) }
    }

    #[test]
    fn trades_that_the_venue_counts_are_asked_for_until_they_come() {
        let mut order = order();
        tell(&mut order, state(OrderStatus::PartiallyFilled, 4, 100, 10), Ts(0));
        assert_eq!((order.filled, order.traded, order.remaining()), (Qty(4), Qty(0), Qty(6)));
        let due = Ts(0) + TRADES_PAUSE;
        assert_eq!((order.wakeup(), order.on_time(Ts(due.0 - 1), BOUND)), (Some(due), Step::None));
        assert_eq!(order.on_time(due, BOUND), Step::Reconcile);
        assert_eq!(order.wakeup(), Some(due + TRADES_PAUSE), "and again");
        order.on_fill(Qty(3), due);
        assert_eq!(order.wakeup(), Some(due + TRADES_PAUSE), "one is still missing");
        order.on_fill(Qty(1), due);
        assert_eq!((order.wakeup(), order.phase), (None, Phase::Working));
        order.on_fill(Qty(6), due);
        assert_eq!(order.phase, Phase::Ended(OrderStatus::Filled));
        assert!(order.is_closed());
    }

    #[test]
    fn an_ended_order_stays_open_for_the_fills_that_have_not_come() {
        let mut order = order();
        order.on_fill(Qty(1), Ts(0));
        tell(&mut order, state(OrderStatus::Canceled, 4, 100, 10), Ts(0));
        assert_eq!((order.is_live(), order.is_closed(), order.exposed()), (false, false, Qty(3)));
        order.on_fill(Qty(3), Ts(1));
        assert_eq!((order.is_closed(), order.exposed()), (true, Qty(0)));
        assert_eq!(order.phase, Phase::Ended(OrderStatus::Canceled), "not ended twice");
    }

    #[test]
    fn a_running_amend_counts_at_its_worse_and_ends_with_an_answer_or_a_doubt() {
        let mut order = order();
        order.phase = Phase::Working;
        order.amend_sent(Px(101), Qty(12), Ts(50));
        assert_eq!((order.exposed(), order.most_aggressive_px()), (Qty(12), Px(101)));
        order.amend_sent(Px(99), Qty(8), Ts(50));
        assert_eq!((order.exposed(), order.most_aggressive_px()), (Qty(10), Px(100)));
        assert_eq!(order.amends, 2);
        let mut sell = order.clone();
        sell.new.side = Side::Sell;
        assert_eq!(sell.most_aggressive_px(), Px(99));
        // News of the order as it was before leaves the amend running.
        tell(&mut order, state(OrderStatus::New, 0, 100, 8), Ts(1));
        assert!(!order.is_settled());
        let mut unanswered = order.clone();
        assert_eq!(unanswered.on_time(Ts(49), BOUND), Step::None);
        assert!(matches!(unanswered.request, Request::Amend { .. }));
        assert_eq!(unanswered.on_time(Ts(50), BOUND), Step::None, "asked after a pause");
        assert!(matches!(unanswered.phase, Phase::Unknown(doubt) if doubt.since == Ts(50)));
        assert_eq!(unanswered.wakeup(), Some(Ts(50) + ASK_PAUSE));
        tell(&mut order, state(OrderStatus::New, 0, 99, 8), Ts(1));
        assert!(order.is_settled());
    }

    #[test]
    fn an_unanswered_order_is_doubted_when_the_answer_is_due() {
        let mut order = order();
        let due = order.answer_due;
        order.on_time(Ts(due.0 - 1), BOUND);
        assert_eq!((order.phase, order.wakeup()), (Phase::Sent, Some(due)));
        order.on_time(due, BOUND);
        assert!(matches!(order.phase, Phase::Unknown(_)));
        assert_eq!(order.on_time(Ts(due.0 + ASK_PAUSE.0 - 1), BOUND), Step::None);
        assert_eq!(order.on_time(due + ASK_PAUSE, BOUND), Step::Query);
    }

    #[test]
    fn an_order_that_nobody_tells_of_is_asked_for_once_at_the_bound_and_then_after_a_pause() {
        let mut order = order();
        tell(&mut order, OrderUpdate::Unknown { text: String::new() }, Ts(1));
        while order.wakeup().unwrap() < Ts(0) + BOUND {
            let now = order.wakeup().unwrap();
            assert_eq!(order.on_time(now, BOUND), Step::Query);
        }
        let bound = order.wakeup().unwrap();
        assert_eq!((bound, order.on_time(bound, BOUND)), (Ts(0) + BOUND, Step::Query));
        assert!(order.wakeup().unwrap() >= bound + ASK_PAUSE);
    }

    #[test]
    fn cancels_are_repeated_at_doubling_pauses_up_to_a_longest() {
        let mut order = order();
        order.phase = Phase::Working;
        let mut pauses = Vec::new();
        for _ in 0..4 {
            order.cancel_sent(Ts(0));
            pauses.push(order.wakeup().unwrap().0 / 1_000_000);
        }
        assert_eq!(pauses, [2_000, 4_000, 8_000, 10_000]);
        assert_eq!(order.on_time(Ts::from_ms(9_999), BOUND), Step::None);
        assert_eq!(order.on_time(Ts::from_ms(10_000), BOUND), Step::Cancel);
        order.amend_sent(Px(1), Qty(1), Ts(0));
        order.cancel_sent(Ts(0));
        assert_eq!(order.request, Request::Cancel { retry_at: Ts::from_ms(2_000), tries: 1 });
    }

    #[test]
    fn an_amend_that_nobody_waits_for_counts_until_the_venue_has_told() {
        let late = |order: &mut Order| {
            assert_eq!(order.on_time(Ts::from_ms(500), BOUND), Step::None);
        };
        let overtaken = |order: &mut Order| order.cancel_sent(Ts(2));
        for end in [&late as &dyn Fn(&mut Order), &overtaken] {
            let mut order = order();
            order.phase = Phase::Working;
            order.amend_sent(Px(105), Qty(30), Ts::from_ms(500));
            end(&mut order);
            assert!(!matches!(order.request, Request::Amend { .. }));
            assert_eq!((order.exposed(), order.most_aggressive_px()), (Qty(30), Px(105)));
            let update = OrderUpdate::State {
                status: OrderStatus::New,
                filled: Qty::ZERO,
                qty: Qty(10),
                px: Px(100),
            };
            tell(&mut order, update, Ts::from_ms(600));
            assert_eq!((order.exposed(), order.most_aggressive_px()), (Qty(10), Px(100)));
        }
    }

    #[test]
    fn one_found_after_all_is_cancelled_as_it_was_asked() {
        let mut order = order();
        tell(&mut order, OrderUpdate::Unknown { text: String::new() }, Ts(1));
        order.cancel_sent(Ts(1));
        tell(&mut order, refused(RejectClass::Other, true), Ts(2));
        let state = OrderUpdate::State {
            status: OrderStatus::New,
            filled: Qty::ZERO,
            qty: Qty(10),
            px: Px(100),
        };
        tell(&mut order, state, Ts::from_ms(3));
        assert_eq!(order.phase, Phase::Working);
        let due = order.wakeup().unwrap();
        assert_eq!(order.on_time(due, BOUND), Step::Cancel);
    }
}
