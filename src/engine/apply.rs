//! One event into the state. Nothing is decided here but what cannot wait for the whole batch.

use super::Engine;
use crate::domain::{
    Action, BookLoss, Event, Fill, HaltCause, Instrument, InstrumentId, InstrumentKind, LinkKind,
    Liquidity, Money, Note, OrderEvent, OrderId, OrderUpdate, Purpose, Reason, RejectClass, Side,
    Span, Ts, VenueId, planted,
};
use crate::orders::{Phase, Request, Step};

/// Pause of a side after a post-only refusal; doubles with every refusal in a row.
const WOULD_TAKE_PAUSE: Span = Span::from_ms(50);
/// Pause of a side after any other refusal; doubles with every refusal in a row.
const REFUSAL_PAUSE: Span = Span::from_ms(1000);
/// Pause between two renewals of a book that has thinned out or fallen mute.
const RESYNC_PAUSE: Span = Span::from_s(15);
/// Pause before the account is read after a message that could not be.
const GARBLED_PAUSE: Span = Span::from_s(1);
/// Longest pause after refusals.
const REFUSAL_PAUSE_MAX: Span = Span::from_s(30);

impl Engine {
    pub(super) fn apply(&mut self, event: &Event, out: &mut Vec<Action>) {
        match event {
            Event::Listed(instrument) => self.on_listed(instrument, out),
            Event::Fees { instrument, maker, taker } => {
                self.desks[instrument.index()].fees = Some((*maker, *taker));
            }
            Event::Book(update) => {
                let desk = &mut self.desks[update.instrument.index()];
                let was_synced = desk.book.is_synced();
                desk.book.apply(update);
                self.on_book_change(update.instrument);
                self.renew_thin_book(update.instrument, out);
                if !was_synced && self.desks[update.instrument.index()].book.is_synced() {
                    out.push(Action::Note(Note::BookSynced { instrument: update.instrument }));
                }
            }
            Event::BookLost { instrument, why } => self.on_book_lost(*instrument, *why, out),
            Event::Ticker(ticker) => {
                self.desks[ticker.instrument.index()].book.apply_ticker(ticker);
                self.on_book_change(ticker.instrument);
            }
            Event::Trade(trade) => {
                self.desks[trade.instrument.index()].observe_trade(trade, self.now);
            }
            Event::Mark(mark) => {
                self.desks[mark.instrument.index()].observe_mark(mark);
                self.marked_at[mark.instrument.index()] = self.now;
            }
            Event::Funding { instrument, venue, amount, .. } => {
                self.on_funding(*instrument, *venue, *amount);
            }
            Event::Order(event) => self.on_order(event, out),
            Event::Fill(fill) => self.on_fill(fill, out),
            Event::TradesBefore { instrument, trade_id } => {
                self.on_trades_before(*instrument, *trade_id);
            }
            Event::Account(snapshot) => {
                self.on_account(snapshot, out);
                self.touch_venue(snapshot.venue);
            }
            Event::Link { venue, link, up, text } => self.on_link(*venue, *link, *up, text, out),
            Event::Alive { venue, link } => {
                self.venues[venue.index()].link_mut(*link).alive_at = self.now;
            }
            Event::Budget { venue, usage } => {
                self.venues[venue.index()].budget.on_usage(*usage, self.now);
            }
            Event::Clock { venue, offset, .. } => {
                self.venues[venue.index()].clock_offset = Some(*offset);
                self.touch_venue(*venue);
            }
            Event::KeyChecked { venue, check, text } => {
                self.venues[venue.index()].key_check = Some(*check);
                let (venue, check, text) = (*venue, *check, text.clone());
                out.push(Action::Note(Note::KeyChecked { venue, check, text }));
            }
            Event::VenueFailed { venue, class, text } => {
                self.on_venue_failed(*venue, *class, text, out);
            }
            Event::Garbled { venue, text } => {
                self.counts.garbled += 1;
                // It may have been news of an order: the account will tell.
                let soon = self.now + GARBLED_PAUSE;
                let session = &mut self.venues[venue.index()];
                session.ask_at = session.ask_at.min(soon);
                out.push(Action::Note(Note::Garbled { venue: *venue, text: text.clone() }));
            }
            Event::Control(control) => self.on_control(control, out),
        }
    }

    fn on_listed(&mut self, instrument: &Instrument, out: &mut Vec<Action>) {
        let desk = &mut self.desks[instrument.id.index()];
        let rescaled = desk.listed.as_ref().is_some_and(|before| {
            (before.tick_size, before.lot_size) != (instrument.tick_size, instrument.lot_size)
        });
        if rescaled {
            // Every price and quantity that we hold is in the old ticks and lots.
            let text = format!("{} changed its tick or lot size: restart", instrument.symbol);
            self.halt(HaltCause::Fault, &text, out);
            return;
        }
        if desk.listed.as_ref() != Some(instrument) {
            out.push(Action::Note(Note::Listed { instrument: Box::new(instrument.clone()) }));
        }
        desk.listed = Some(instrument.clone());
        self.resume_desk(instrument.id);
        self.note_holding(instrument.id);
        self.agenda.quote_now(instrument.id);
        self.join_group(instrument);
    }

    /// What is held of an instrument, or what should be, has changed.
    pub(super) fn note_holding(&mut self, id: InstrumentId) {
        self.agenda.set_off_target(id, self.desks[id.index()].off_target_f64());
    }

    fn on_book_change(&mut self, id: InstrumentId) {
        let now = self.now;
        let desk = &mut self.desks[id.index()];
        desk.observe_book(now);
        desk.pace.observe(now);
        if let Some(mid) = desk.mid_f64() {
            self.correlations.observe(id, now, mid);
        }
        self.observe_signals(id);
        self.agenda.quote_now(id);
        let desk = &self.desks[id.index()];
        self.agenda.set_profit(id, desk.profit_quote());
        self.venues[desk.venue.index()].market.alive_at = now;
        let group = &self.groups[desk.group];
        if group.plan.since.is_some() && group.hedges.contains(&id) {
            self.agenda.hedge_now(desk.group);
        }
        self.observe_fair(id);
    }

    /// A book that has moved away from the levels of its snapshot is built anew.
    fn renew_thin_book(&mut self, id: InstrumentId, out: &mut Vec<Action>) {
        let now = self.now;
        let desk = &mut self.desks[id.index()];
        if desk.book.is_depleted() && now.since(desk.resync_at) >= RESYNC_PAUSE {
            desk.resync_at = now;
            out.push(Action::Resync { instrument: id });
        }
    }

    /// A book whose stream answers pings and tells nothing is asked for anew, and so is one that was
    /// crossed at two looks in a row: some change of it was wrong.
    pub(super) fn renew_mute_books(&mut self, out: &mut Vec<Action>) {
        let now = self.now;
        for index in 0..self.desks.len() {
            let desk = &self.desks[index];
            let mute = self.venues[desk.venue.index()].market.up
                && desk.book.is_synced()
                && self.is_mute_and_alive(desk);
            let crossed =
                desk.book.is_synced() && desk.book.touch().is_some_and(|t| t.is_crossed());
            let renew = mute || crossed && desk.was_crossed;
            let desk = &mut self.desks[index];
            desk.was_crossed = crossed;
            if renew && now.since(desk.resync_at) >= RESYNC_PAUSE {
                desk.resync_at = now;
                out.push(Action::Resync { instrument: desk.id });
            }
        }
    }

    fn on_book_lost(&mut self, id: InstrumentId, why: BookLoss, out: &mut Vec<Action>) {
        let desk = &mut self.desks[id.index()];
        desk.book.invalidate();
        desk.signals.interrupt();
        desk.pace.restart(self.now);
        let group = desk.group;
        self.agenda.quote_now(id);
        self.agenda.hedge_now(group);
        self.tend_fair_of(group);
        out.push(Action::Note(Note::BookLost { instrument: id, why }));
    }

    fn on_funding(&mut self, instrument: Option<InstrumentId>, venue: VenueId, amount: Money) {
        // Where the venue does not say, a venue with one perpetual of ours leaves no doubt.
        let id = instrument.or_else(|| self.instruments_of(venue).first().copied());
        if let Some(id) = id {
            let desk = &mut self.desks[id.index()];
            desk.position.book_funding(amount);
            desk.attribution.funding(amount);
            self.agenda.set_profit(id, desk.profit_quote());
            self.ledger_version += 1;
        }
    }

    fn on_link(
        &mut self,
        venue: VenueId,
        link: LinkKind,
        up: bool,
        text: &str,
        out: &mut Vec<Action>,
    ) {
        let now = self.now;
        let state = self.venues[venue.index()].link_mut(link);
        state.up = up;
        state.alive_at = now;
        if link == LinkKind::User {
            // What happened while it was down is learnt by asking.
            self.ask_account(venue);
        }
        self.touch_venue(venue);
        out.push(Action::Note(Note::Link { venue, link, up, text: text.to_owned() }));
    }

    /// Quotes and hedges on a venue are looked at again.
    fn touch_venue(&mut self, venue: VenueId) {
        for desk in self.desks.iter().filter(|desk| desk.venue == venue) {
            self.agenda.quote_now(desk.id);
            self.agenda.hedge_now(desk.group);
        }
    }

    fn on_fill(&mut self, fill: &Fill, out: &mut Vec<Action>) {
        let now = self.now;
        let id = fill.instrument;
        if planted("late_fill_dropped")
            && fill.order.is_some_and(|order| {
                self.orders.find(id, order).is_none_or(|order| !order.is_live())
            })
        {
            return;
        }
        let Some(fee_quote) = self.desks[id.index()].on_fill(fill, now) else { return };
        self.note_holding(id);
        self.ledger_version += 1;
        self.move_balances(fill);
        let mut purpose = None;
        if let Some(order_id) = fill.order
            && let Some(order) = self.orders.find_mut(id, order_id)
        {
            purpose = Some(order.new.purpose);
            order.on_fill(fill.qty, now);
            self.after_order_news(id, order_id, out);
        }
        self.capital.reckon_now();
        self.count_fill(fill, purpose);
        if purpose == Some(Purpose::Hedge) {
            self.on_hedge_fill(fill, fee_quote);
        }
        let desk = &self.desks[id.index()];
        self.agenda.set_profit(id, desk.profit_quote());
        self.agenda.quote_now(id);
        self.agenda.hedge_now(desk.group);
        for &member in &self.groups[desk.group].members {
            self.agenda.quote_now(member);
            // Every fill is answered at once, however short ago a side was changed. The pace is
            // there against churn that books cause; fills are as many as our own orders at most,
            // and the message budget with its reserve holds for the answers too.
            for side in &mut self.desks[member.index()].sides {
                side.changed_at = Ts(0);
            }
        }
        if purpose == Some(Purpose::Quote) && self.params.pace.post_fill_pause > Span::ZERO {
            let until = now + self.params.pace.post_fill_pause;
            self.pause_side(id, fill.side, until, Reason::PostFillPause);
        }
        out.push(Action::Note(Note::Filled {
            instrument: id,
            id: fill.order,
            side: fill.side,
            px: fill.px,
            qty: fill.qty,
            liquidity: fill.liquidity,
            fee_quote,
            position: self.desks[id.index()].position.qty(),
            purpose,
        }));
        if fill.liquidity == Liquidity::Maker
            && let Some(trip) = self.breaker.on_fill(fill.side, now)
        {
            self.halt(trip.cause, &trip.text, out);
        }
    }

    /// The venue's word on a spot balance comes after the fill that moved it; until then what the
    /// fill spent is not free for another order.
    pub(super) fn move_balances(&mut self, fill: &Fill) {
        let desk = &self.desks[fill.instrument.index()];
        let Some(instrument) = desk.listed.as_ref().filter(|i| i.kind == InstrumentKind::Spot)
        else {
            return;
        };
        let sign = Money::from(fill.side.sign());
        let venue = &mut self.venues[desk.venue.index()];
        venue.moved(&instrument.base, sign * instrument.quantity(fill.qty));
        venue.moved(&instrument.quote, -sign * instrument.notional(fill.px, fill.qty));
        venue.moved(&fill.fee_asset, -fill.fee);
    }

    pub(super) fn on_order(&mut self, event: &OrderEvent, out: &mut Vec<Action>) {
        let (id, now) = (event.instrument, self.now);
        let Some(order) = self.orders.find_mut(id, event.id) else {
            // An order of an earlier run: the account reading will show and cancel it.
            let venue = self.desks[id.index()].venue;
            self.ask_account(venue);
            return;
        };
        let (side, purpose) = (order.new.side, order.new.purpose);
        let doubted = matches!(order.phase, Phase::Unknown(_));
        let amending = matches!(order.request, Request::Amend { .. });
        let step = order.on_event(event, now);
        match &event.update {
            OrderUpdate::Rejected { class, text } => {
                out.push(Action::Note(Note::OrderRejected {
                    id: event.id,
                    instrument: id,
                    class: *class,
                    text: text.clone(),
                }));
                // An order with that id is live: nothing was refused, and a query will tell.
                if *class != RejectClass::DuplicateId {
                    self.on_refusal(id, side, purpose, *class, out);
                }
            }
            // Told when the doubt begins, not again with every question that finds no answer.
            OrderUpdate::Unknown { text } if !doubted => {
                out.push(Action::Note(Note::OrderUnknown {
                    id: event.id,
                    instrument: id,
                    text: text.clone(),
                }));
            }
            OrderUpdate::Unknown { .. } => {}
            OrderUpdate::State { .. } => self.desks[id.index()].sides[side.index()].refusals = 0,
            OrderUpdate::ChangeRejected { class, gone: false, .. } if amending => {
                self.on_refusal(id, side, purpose, *class, out);
            }
            OrderUpdate::ChangeRejected { .. } | OrderUpdate::NotFound => {}
        }
        self.take_step(id, event.id, step, out);
        self.after_order_news(id, event.id, out);
    }

    /// Does what an order's news or age calls for.
    pub(super) fn take_step(
        &mut self,
        instrument: InstrumentId,
        id: OrderId,
        step: Step,
        out: &mut Vec<Action>,
    ) {
        match step {
            Step::None => {}
            Step::Query => out.push(Action::Query { id, instrument }),
            Step::Cancel => {
                if let Some(order) = self.orders.find_mut(instrument, id) {
                    order.cancel_sent(self.now);
                    self.agenda.order_by(instrument, order.wakeup().unwrap_or(Ts::FAR));
                    self.counts.cancels_sent += 1;
                    out.push(Action::Cancel { id, instrument });
                }
            }
            Step::Reconcile => {
                let venue = self.desks[instrument.index()].venue;
                self.ask_account(venue);
            }
        }
    }

    /// Files the order where it belongs now, and lets quotes and hedges look again.
    pub(super) fn after_order_news(
        &mut self,
        instrument: InstrumentId,
        id: OrderId,
        out: &mut Vec<Action>,
    ) {
        let was_open = self.orders.of(instrument).any(|order| order.new.id == id);
        self.orders.settle(instrument, id);
        let is_open = self.orders.of(instrument).any(|order| order.new.id == id);
        if was_open && !is_open {
            self.quiet_since = self.now;
            if let Some(order) = self.orders.find(instrument, id)
                && let Phase::Ended(status) = order.phase
            {
                let filled = order.filled;
                out.push(Action::Note(Note::OrderEnded { id, instrument, filled, status }));
            }
        }
        self.agenda.quote_now(instrument);
        self.agenda.hedge_now(self.desks[instrument.index()].group);
        self.agenda.order_now(instrument);
    }

    pub(super) fn on_refusal(
        &mut self,
        id: InstrumentId,
        side: Side,
        purpose: Purpose,
        class: RejectClass,
        out: &mut Vec<Action>,
    ) {
        let now = self.now;
        self.counts.refusals += 1;
        let state = &mut self.desks[id.index()].sides[side.index()];
        state.refusals += 1;
        let base = match class {
            RejectClass::WouldTake => WOULD_TAKE_PAUSE,
            _ => REFUSAL_PAUSE,
        };
        let pause = Span((base.0 << state.refusals.min(6)).min(REFUSAL_PAUSE_MAX.0));
        let reason = match class {
            RejectClass::InsufficientFunds => Reason::InsufficientFunds,
            RejectClass::Throttled => Reason::Throttled,
            RejectClass::Closed => Reason::NotTrading,
            _ => Reason::RejectPause,
        };
        // A hedge instrument's pause holds back what would rest there, not what takes.
        if purpose != Purpose::Flatten {
            self.pause_side(id, side, now + pause, reason);
        }
        if class == RejectClass::InsufficientFunds || class == RejectClass::ReduceOnly {
            let venue = self.desks[id.index()].venue;
            self.ask_account(venue);
        }
        if !matches!(class, RejectClass::Throttled)
            && let Some(trip) = self.breaker.on_reject(now)
        {
            self.halt(trip.cause, &trip.text, out);
        }
    }

    fn pause_side(&mut self, id: InstrumentId, side: Side, until: Ts, reason: Reason) {
        self.agenda.quote_now(id);
        let desk = &mut self.desks[id.index()];
        let pause = &mut desk.sides[side.index()].pause;
        if pause.is_none_or(|(before, _)| before < until) {
            *pause = Some((until, reason));
        }
    }

    /// Looks at orders whose time has come: answers overdue, questions and cancels to repeat.
    pub(super) fn tend_orders(&mut self, out: &mut Vec<Action>) {
        let (now, bound) = (self.now, self.params.risk.order_unknown_bound);
        let mut from = 0;
        while let Some(index) = self.agenda.next_order(from, now) {
            from = index + 1;
            let instrument = self.desks[index].id;
            let steps: Vec<(OrderId, Step)> = self
                .orders
                .of_mut(instrument)
                .map(|order| (order.new.id, order.on_time(now, bound)))
                .filter(|(_, step)| *step != Step::None)
                .collect();
            for (id, step) in steps {
                self.take_step(instrument, id, step, out);
            }
            let next = self.orders.of(instrument).filter_map(crate::orders::Order::wakeup).min();
            // The repeat of something that did not move on is at least a millisecond away.
            let next = next.map_or(Ts::FAR, |at| at.max(now + Span::from_ms(1)));
            self.agenda.order_at(instrument, next);
        }
    }
}
