//! The venue's clock: what it shows minus ours, from the quickest of a few round trips.

use super::decode::json;
use super::encode::Call;
use super::sign::Query;
use super::{Ask, Session, Timer, backoff, wire};
use crate::domain::{Event, RejectClass, Span, Ts};
use crate::venues::Outbox;

/// Measurements of one round; the quickest counts.
const SAMPLES: u8 = 4;
/// Time between rounds.
const REFRESH: Span = Span::from_s(60);
/// The same after a round so slow that it cannot tell whether the clocks agree well enough.
const SECOND_LOOK: Span = Span::from_s(2);
/// Slower measurements bound the error worse than the receive window can bear.
const MAX_ROUND_TRIP: Span = Span::from_s(4);

#[derive(Debug, Default)]
pub(super) struct Clock {
    offset: Option<Span>,
    /// Round trip and offset of the quickest measurement of the running round.
    best: Option<(Span, Span)>,
    left: u8,
    failures: u32,
    in_flight: bool,
    /// A measurement has shown that the clocks agree well enough.
    agreed: bool,
}

impl Clock {
    /// Venue time minus ours, once measured.
    pub(super) fn offset(&self) -> Option<Span> {
        self.offset
    }
}

impl Session {
    /// Begin a round of measurements, unless one runs.
    pub(super) fn measure_clock(&mut self, now: Ts, out: &mut Outbox) {
        if self.clock.in_flight {
            return;
        }
        if let Some(until) = self.blocked(now) {
            self.timers.insert(Timer::Clock, until);
            return;
        }
        if self.clock.left == 0 {
            self.clock.left = SAMPLES;
            self.clock.best = None;
        }
        self.timers.remove(&Timer::Clock);
        self.clock.in_flight = true;
        self.send(Call::Time, Ask::Time, Query::new(), now, out);
    }

    /// The reply to one measurement.
    pub(super) fn on_time_reply(
        &mut self,
        sent_at: Ts,
        now: Ts,
        body: Result<&str, String>,
        out: &mut Outbox,
    ) {
        self.clock.in_flight = false;
        let read = body.and_then(json::<wire::ServerTime>);
        let round_trip = now.since(sent_at);
        let sample = match read {
            Ok(time) if (Span::ZERO..=MAX_ROUND_TRIP).contains(&round_trip) => {
                // The venue read its clock somewhere between sending and receiving: the middle
                // errs by half the round trip at most, and half its millisecond is rounding.
                let middle = Ts(sent_at.0.saturating_add(round_trip.0 / 2));
                Ok((round_trip, (Ts::from_ms(time.server_time) + Span(500_000)).since(middle)))
            }
            Ok(_) => Err(format!("took {} ms", round_trip.ms())),
            Err(why) => Err(why),
        };
        match sample {
            Ok(sample) => {
                self.clock.failures = 0;
                self.take_sample(sample, now, out);
            }
            Err(why) => {
                self.clock.failures += 1;
                self.garbled(format!("server time: {why}"), out);
                self.timers.insert(Timer::Clock, now + backoff(self.clock.failures));
            }
        }
    }

    fn take_sample(&mut self, sample: (Span, Span), now: Ts, out: &mut Outbox) {
        let best = self.clock.best.map_or(sample, |best| best.min(sample));
        self.clock.best = Some(best);
        self.clock.left = self.clock.left.saturating_sub(1);
        let first = self.clock.offset.is_none();
        if first || self.clock.left == 0 {
            let (round_trip, offset) = best;
            self.clock.offset = Some(offset);
            let venue = self.params.venue;
            out.events.push(Event::Clock { venue, offset, round_trip });
            // Half of the round trip is what the sample may err by: a slow answer proves nothing.
            let certain = Span(offset.0.saturating_abs() - round_trip.0 / 2);
            // Later on it is the venue's clock that steps, or ours that is being mended: the offset
            // is reckoned with, no quote stands meanwhile, and it is measured again soon.
            if certain > self.params.max_clock_offset && !self.clock.agreed {
                let text = format!(
                    "our clock is {} ms {} that of {}; at most {} ms are allowed: mend NTP",
                    offset.ms().abs(),
                    if offset > Span::ZERO { "behind" } else { "ahead of" },
                    self.params.name,
                    self.params.max_clock_offset.ms()
                );
                self.fail(RejectClass::Clock, text, out);
            }
        }
        if self.clock.left == 0 {
            let doubt = Span(best.1.0.saturating_abs()) + Span(best.0.0 / 2);
            let sure = doubt <= self.params.max_clock_offset;
            self.clock.agreed |= sure;
            self.timers.insert(Timer::Clock, now + if sure { REFRESH } else { SECOND_LOOK });
        } else {
            self.measure_clock(now, out);
        }
        if first {
            self.on_clock_known(now, out);
        }
    }

    /// Our `now` on the venue's clock, Unix milliseconds.
    pub(super) fn venue_ms(&self, now: Ts) -> i64 {
        (now + self.clock.offset.unwrap_or_default()).ms()
    }
}
