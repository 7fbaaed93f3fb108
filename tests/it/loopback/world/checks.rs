//! What must hold in the world, now and at the end.

use evenkeel::domain::{HaltCause, Money, Reason, Span, State};
use evenkeel::engine::Ending;
use evenkeel::sim::{self, MarketId};

use super::World;
use crate::loopback::watch::{held, off_target, open_orders};

/// Requests a virtual second and venue at most, over ten seconds.
const MOST_REQUESTS: u64 = 60;
/// Steps a virtual second at most, over ten seconds: each frame, reply and wake-up is one.
const MOST_STEPS: u64 = 1_500;
/// Steps a virtual second at most that nothing but time has caused.
const MOST_IDLE_STEPS: u64 = 60;
/// Longest that an order may rest while its side is pulled and the network is well.
const PULLED: Span = Span::from_s(2);

impl World {
    pub(super) fn check(&mut self) {
        let now = self.now;
        self.watch.check_exchange(now, self.exchange.exchange());
        self.check_pace();
        self.check_pulled();
    }

    fn check_pace(&mut self) {
        let (steps, idle) =
            self.client.as_ref().map_or((0, 0), |client| (client.steps, client.idle_steps));
        let (requests_before, steps_before, idle_before, since) = self.counted;
        let seconds = u64::try_from(self.now.since(since).ms() / 1_000).unwrap();
        let same_run = steps >= steps_before;
        if seconds < 10 && same_run {
            return;
        }
        self.counted = (self.requests, steps, idle, self.now);
        if !same_run {
            return;
        }
        let venues = self.kinds.len() as u64;
        for (what, count, most) in [
            ("requests", self.requests - requests_before, MOST_REQUESTS * venues),
            ("steps", steps - steps_before, MOST_STEPS),
            ("steps without news", idle - idle_before, MOST_IDLE_STEPS),
        ] {
            if count > most * seconds {
                self.watch.problem(self.now, format!("{count} {what} in {seconds} s"));
            }
        }
    }

    /// A side that is pulled has no order at the exchange for long, once requests get through.
    fn check_pulled(&mut self) {
        let Some(client) = &self.client else { return };
        let status = client.engine.status(self.client_now());
        let exchange = self.exchange.exchange();
        for (index, instrument) in status.instruments.iter().enumerate() {
            for (side, view) in [&instrument.bid, &instrument.ask].into_iter().enumerate() {
                let own = exchange.open_orders(sim::AccountId(0), self.watch.bounds[index].market);
                let rests = own.iter().any(|order| order.side.index() == side);
                let shown = view.reason == Reason::Quoting;
                if !rests || shown || !instrument.quoted || self.now < self.unwell_until {
                    self.pulled_since.remove(&(index, side));
                    continue;
                }
                let since = *self.pulled_since.entry((index, side)).or_insert(self.now);
                if self.now.since(since) > PULLED {
                    let reason = view.reason;
                    self.pulled_since.remove(&(index, side));
                    let text = format!("a quote rests although its side is pulled: {reason:?}");
                    self.watch.problem(self.now, text);
                }
            }
        }
    }

    pub(super) fn documented_halt(&self) -> bool {
        let cause = self
            .client
            .as_ref()
            .and_then(|client| client.engine.status(self.client_now()).halt_cause);
        matches!(
            cause,
            Some(HaltCause::LossLimit | HaltCause::RepeatedExecution | HaltCause::RejectLoop)
        )
    }

    /// Where the exchange holds something else for us than we think.
    fn differences(&self) -> Vec<String> {
        let Some(client) = &self.client else { return Vec::new() };
        let status = client.engine.status(self.client_now());
        let pairs = status.instruments.iter().zip(&self.watch.bounds);
        pairs
            .map(|(view, bounds)| (view, held(self.exchange.exchange(), bounds)))
            .filter(|(view, truth)| view.held_base != *truth)
            .map(|(view, truth)| format!("{} holds {truth}, we {}", view.venue, view.held_base))
            .collect()
    }

    /// Long after the last fault everything is as if there had been none.
    pub(super) fn check_healed(&mut self) {
        for _ in 0..20 {
            // A fill of the last moment may be on its way.
            if self.differences().is_empty() {
                break;
            }
            self.until(self.now + Span::from_ms(50));
        }
        let now = self.now;
        for text in self.differences() {
            self.watch.problem(now, text);
        }
        let Some(client) = &self.client else {
            return self.watch.problem(now, "the process has ended by itself");
        };
        let status = client.engine.status(self.client_now());
        if self.documented_halt() {
            return self.watch.count("documented halt");
        }
        if !matches!(status.state, State::Quoting | State::Reducing) {
            let text = format!("state {} ({:?})", status.state, status.halt_reason);
            self.watch.problem(now, text);
        }
        for view in status.instruments.iter().filter(|view| view.quoted) {
            for reason in [view.bid.reason, view.ask.reason] {
                let natural = matches!(
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
                );
                if !natural {
                    self.watch.problem(now, format!("{} side is not back: {reason:?}", view.venue));
                }
                if reason == Reason::Quoting {
                    self.watch.count("side quoting after healing");
                }
            }
        }
    }

    /// What the ending claims is true.
    pub(super) fn check_ended(&mut self) {
        let now = self.now;
        let left = open_orders(self.exchange.exchange(), &self.watch.bounds);
        let Some(ending) = self.ending.clone() else {
            return self.watch.problem(now, "not ended within the deadline");
        };
        if left > 0 {
            self.watch.problem(now, format!("{left} orders left; ending {ending:?}"));
        }
        let documented = self.documented_halt();
        match &ending {
            Ending::FlatAndClean => self.watch.count("ended flat and clean"),
            Ending::SafetyHaltFlat { .. } if documented => self.watch.count("ended halted"),
            other => self.watch.problem(now, format!("ending {other:?}")),
        }
        if matches!(ending, Ending::FlatAndClean | Ending::SafetyHaltFlat { .. }) {
            for bounds in self.watch.bounds.clone() {
                let off = off_target(self.exchange.exchange(), &bounds).abs();
                let spot = bounds.market == MarketId(0);
                // Below the least order of the venue nothing can be closed.
                if off > if spot { Money::new(1, 4) } else { Money::ZERO } {
                    self.watch.problem(now, format!("{:?} off target by {off}", bounds.market));
                }
            }
        }
    }
}
