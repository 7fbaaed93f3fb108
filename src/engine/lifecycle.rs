//! The daemon's life: from connecting to quoting, to a verified stop.
//!
//! ```text
//!  STARTING ─▶ RECONCILING ─▶ WARMING ─▶ QUOTING ⇄ REDUCING
//!                  ▲             │           │        │
//!                  │ resume      ▼           ▼        ▼
//!                HALTED ◀────────┴───────────┴────────┘
//!  any ─▶ STOPPING ─▶ STOPPED
//! ```

use super::desk::Desk;
use super::params::Mission;
use super::{Ending, Engine, Stopping};
use crate::domain::{
    Action, Control, HaltCause, Money, Note, RejectClass, Span, State, Ts, VenueId, planted,
};

/// Steps in which sizes grow after a start.
const RAMP_STEPS: i64 = 10;
/// What the last reading of a stop takes at most, before its deadline.
const VERIFYING: Span = Span::from_s(2);

/// A halt, and how far its clean-up has come.
#[derive(Clone, Debug)]
pub(super) struct Halt {
    pub(super) cause: HaltCause,
    pub(super) text: String,
    /// Positions are closed too.
    pub(super) flatten: bool,
}

impl State {
    /// Only orders that bring exposure towards zero may leave.
    pub(super) fn is_reducing_only(self) -> bool {
        let ignored = planted("reducing_ignored") && self == State::Reducing;
        !ignored && !matches!(self, State::Quoting | State::Warming)
    }
}

impl Engine {
    pub(super) fn enter(&mut self, to: State, why: &str, out: &mut Vec<Action>) {
        let from = self.state;
        if from == to {
            return;
        }
        self.state = to;
        self.entered_at = self.now;
        self.agenda.quote_all_now();
        out.push(Action::Note(Note::StateChanged { from, to, why: why.to_owned() }));
    }

    /// Moves on where the way is clear.
    pub(super) fn live(&mut self, out: &mut Vec<Action>) {
        match self.state {
            State::Starting => self.live_starting(out),
            State::Reconciling => self.live_reconciling(out),
            State::Warming => self.live_warming(out),
            State::Quoting | State::Reducing => self.live_quoting(out),
            State::Halted => self.live_halted(out),
            State::Stopping => self.live_stopping(out),
            State::Stopped => {}
        }
    }

    fn live_starting(&mut self, out: &mut Vec<Action>) {
        let ready = self.venues.iter().all(super::venue::Venue::is_ready)
            && self.desks.iter().all(|desk| desk.listed.is_some());
        if ready {
            self.began_at = self.now;
            self.enter(State::Reconciling, "venues connected", out);
        }
    }

    fn live_reconciling(&mut self, out: &mut Vec<Action>) {
        if self.params.mission == Mission::Observe {
            let read = self.venues.iter().all(|venue| venue.read_at.is_some());
            let told = |desk: &Desk| {
                let closed = desk.listed.as_ref().is_some_and(|listed| !listed.trading);
                desk.fees.is_some() && (desk.book.is_synced() || closed)
            };
            if read && self.desks.iter().all(told) {
                self.finish(Ending::FlatAndClean, out);
            }
            return;
        }
        if !self.is_all_clear(self.quiet_since) {
            return;
        }
        if self.counts.orders_sent == 0
            && let Some(text) = self.misplaced_target()
        {
            self.finish(Ending::Misconfigured { text }, out);
            return;
        }
        if let Some((cause, text)) = self.params.latch.take() {
            out.push(Action::Note(Note::Latch { set: true, text: text.clone() }));
            self.halt(cause, &text, out);
            return;
        }
        self.enter(State::Warming, "accounts read, no order of ours left", out);
    }

    fn live_warming(&mut self, out: &mut Vec<Action>) {
        if self.now.since(self.entered_at) < self.params.market.warm_up {
            return;
        }
        let proven = self.desks.iter().all(|desk| desk.book.is_synced());
        let measured = self.quoting_desks().all(|desk| self.volatility_of(desk).is_some());
        let alone = self.alone_from == Ts(0) || self.is_all_clear(self.alone_from);
        if proven && measured && alone {
            self.ramp_from = Some(self.now);
            self.enter(State::Quoting, "books proven, estimators warm", out);
        }
    }

    /// The share of the configured sizes that is quoted. It grows in [`RAMP_STEPS`] steps, so that
    /// resting quotes are not replaced all the time.
    pub(super) fn size_share(&self) -> f64 {
        let (ramp, from) = (self.params.risk.ramp_up, self.params.risk.ramp_up_from);
        let since = self.ramp_from.map_or(Span::ZERO, |began| self.now.since(began));
        if since >= ramp {
            return 1.0;
        }
        let step = since.0 * RAMP_STEPS / ramp.0;
        from + (1.0 - from) * step as f64 / RAMP_STEPS as f64
    }

    fn live_quoting(&mut self, out: &mut Vec<Action>) {
        if let Some(trip) = self.breaker.on_profit(self.profit_quote()) {
            self.halt(trip.cause, &trip.text, out);
            return;
        }
        let pressing = self.pressing_reason();
        match (self.state, pressing) {
            (State::Quoting, Some(why)) => self.enter(State::Reducing, &why, out),
            (State::Reducing, None) => {
                self.enter(State::Quoting, "exposure and capital at risk within limits", out)
            }
            _ => {}
        }
    }

    /// Why only reducing orders may be shown, if so.
    fn pressing_reason(&self) -> Option<String> {
        if let Some(text) = &self.imbalance {
            return Some(text.clone());
        }
        if self.agenda.late_groups == 0 {
            return self.capital.pressing_reason();
        }
        self.groups.iter().find_map(|group| {
            let since = group.plan.since.filter(|_| group.plan.late)?;
            let ms = self.now.since(since).ms();
            Some(format!("net {} exposure beyond the trigger for {ms} ms", group.base))
        })
    }

    fn live_halted(&mut self, out: &mut Vec<Action>) {
        self.cancel_all(out);
        let flatten = self.halt.as_ref().is_some_and(|halt| halt.flatten);
        if flatten && self.orders.all().next().is_none() {
            self.flatten(out);
        }
    }

    fn live_stopping(&mut self, out: &mut Vec<Action>) {
        self.cancel_all(out);
        let Some(stopping) = self.stopping else { return };
        if self.now >= stopping.deadline {
            let text = format!("deadline passed: {}", self.leftovers());
            let claim = planted("flat_claimed");
            let ending = if claim { Ending::FlatAndClean } else { Ending::MaybeLeft { text } };
            self.finish(ending, out);
            return;
        }
        if self.orders.all().next().is_some() {
            return;
        }
        if self.params.shutdown.flatten && self.flatten(out) {
            return;
        }
        // Better verified too early than not at all.
        let in_time = stopping.deadline - VERIFYING;
        if self.is_all_clear(self.quiet_since.max(self.alone_from.min(in_time))) {
            let ending = self.clean_ending();
            self.finish(ending, out);
        }
    }

    /// How a stop with no order left ends.
    fn clean_ending(&self) -> Ending {
        let left: Vec<String> = self
            .desks
            .iter()
            .filter(|desk| self.params.shutdown.flatten && !desk.is_flat())
            .map(|desk| format!("{} {}", desk.off_target_base(), desk.params.symbol))
            .collect();
        match (&self.halt, left.is_empty()) {
            (_, false) => Ending::MaybeLeft { text: format!("positions: {}", left.join(", ")) },
            (Some(halt), true) => Ending::SafetyHaltFlat { text: halt.text.clone() },
            (None, true) => Ending::FlatAndClean,
        }
    }

    pub(super) fn finish(&mut self, ending: Ending, out: &mut Vec<Action>) {
        self.ending = Some(ending);
        self.enter(State::Stopped, "finished", out);
    }

    /// What may be left, in words.
    fn leftovers(&self) -> String {
        let mut left: Vec<String> = self
            .orders
            .all()
            .map(|order| {
                let symbol = &self.desks[order.new.instrument.index()].params.symbol;
                format!("order {}-{} on {symbol}", order.new.id.epoch, order.new.id.counter)
            })
            .collect();
        for desk in self.desks.iter().filter(|desk| !desk.is_flat()) {
            left.push(format!("{} {} off target", desk.off_target_base(), desk.params.symbol));
        }
        for venue in &self.venues {
            if !venue.is_read_since(self.quiet_since) {
                let why = venue.failed.as_ref().map(|why| format!(" ({why})"));
                left.push(format!("{} not verified{}", venue.name, why.unwrap_or_default()));
            } else if venue.differs > 0 {
                left.push(format!("{}'s account differs from ours", venue.name));
            }
        }
        left.join(", ")
    }

    /// No order of ours is open, and every venue has said so since the last one ended, in
    /// agreement with our ledger.
    pub(super) fn is_all_clear(&mut self, since: Ts) -> bool {
        if self.orders.all().next().is_some() {
            return false;
        }
        let due = self.now.max(since);
        let mut clear = true;
        let believed = planted("stop_unverified") && self.state == State::Stopping;
        for venue in &mut self.venues {
            if !believed && !venue.is_read_since(since) || venue.differs > 0 {
                clear = false;
                if venue.asked_at.is_none() {
                    venue.ask_at = venue.ask_at.min(due);
                }
            }
        }
        clear
    }

    pub(super) fn halt(&mut self, cause: HaltCause, text: &str, out: &mut Vec<Action>) {
        if matches!(self.state, State::Halted | State::Stopping | State::Stopped) {
            return;
        }
        out.push(Action::Note(Note::Halted { cause, text: text.to_owned() }));
        self.halt = Some(Halt { cause, text: text.to_owned(), flatten: false });
        self.enter(State::Halted, text, out);
        self.cancel_all(out);
    }

    pub(super) fn on_control(&mut self, control: &Control, out: &mut Vec<Action>) {
        match control {
            Control::Pause => self.set_paused(true, out),
            Control::Resume => self.resume(out),
            Control::Kill { flatten } => self.kill(*flatten, out),
            Control::Stop => self.stop(out),
            Control::Explain => self.ask_why(),
            Control::Reload { changes, tunables } => self.reload(changes, tunables, out),
            Control::Fault { text } => self.halt(HaltCause::Fault, text, out),
        }
    }

    fn kill(&mut self, flatten: bool, out: &mut Vec<Action>) {
        let (cause, text) = (HaltCause::Operator, "killed by the operator");
        match &mut self.halt {
            // A kill outlives a restart, also where something has halted before that does not.
            Some(halt) if self.state == State::Halted && !halt.cause.is_latched() => {
                (halt.cause, halt.text) = (cause, text.to_owned());
                out.push(Action::Note(Note::Halted { cause, text: text.to_owned() }));
            }
            _ => self.halt(cause, text, out),
        }
        if let Some(halt) = &mut self.halt {
            halt.flatten |= flatten;
        }
    }

    fn set_paused(&mut self, paused: bool, out: &mut Vec<Action>) {
        if self.paused != paused {
            self.paused = paused && !planted("pause_ignored");
            self.agenda.quote_all_now();
            out.push(Action::Note(Note::Paused { paused }));
        }
    }

    fn resume(&mut self, out: &mut Vec<Action>) {
        self.set_paused(false, out);
        self.imbalance = None;
        if self.params.latch.take().is_some() {
            // The halt of an earlier run, which would hold once the accounts have been read.
            out.push(Action::Note(Note::Latch { set: false, text: "resumed".to_owned() }));
        }
        if self.state == State::Halted {
            self.halt = None;
            self.breaker.reset();
            self.rebase_profit();
            for venue in &mut self.venues {
                venue.forgive();
            }
            self.quiet_since = self.now;
            out.push(Action::Note(Note::Latch { set: false, text: "resumed".to_owned() }));
            self.enter(State::Reconciling, "resumed by the operator", out);
        }
    }

    fn stop(&mut self, out: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        if self.params.mission == Mission::Observe {
            let text = "not everything could be read in time".to_owned();
            self.finish(Ending::MaybeLeft { text }, out);
            return;
        }
        self.stopping = Some(Stopping { deadline: self.now + self.params.shutdown.deadline });
        self.enter(State::Stopping, "stop asked for", out);
        self.quiet_since = self.now;
        self.cancel_all(out);
    }

    pub(super) fn on_venue_failed(
        &mut self,
        venue: VenueId,
        class: RejectClass,
        text: &str,
        out: &mut Vec<Action>,
    ) {
        let session = &mut self.venues[venue.index()];
        session.failed = Some(text.to_owned());
        let text = format!("{}: {text}", session.name);
        if self.state == State::Starting {
            let ending = match class {
                RejectClass::Auth => Ending::Refused { text },
                _ => Ending::Misconfigured { text },
            };
            self.finish(ending, out);
        } else {
            self.halt(HaltCause::Auth, &text, out);
        }
    }

    /// The session's result so far, in quote: since the start, or since the last resume.
    pub(super) fn profit_quote(&self) -> Money {
        self.agenda.profit_quote - self.profit_base
    }

    fn rebase_profit(&mut self) {
        self.profit_base += self.profit_quote();
        self.ledger_version += 1;
    }
}
