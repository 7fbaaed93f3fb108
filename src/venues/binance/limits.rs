//! What replies tell beside their answers: limits used, bans, a wrong clock, a wrong key.

use super::account::OrderAsk;
use super::errors::{Block, Fate, Refusal};
use super::{Ask, Session, Timer};
use crate::domain::{Event, RejectClass, Span, Ts};
use crate::venues::{Outbox, Reply};

impl Session {
    /// What every reply tells beside its answer: limits used, bans, a wrong clock, a wrong key.
    pub(super) fn side_effects(
        &mut self,
        ask: Ask,
        reply: &Reply,
        fate: &Fate<'_>,
        now: Ts,
        out: &mut Outbox,
    ) {
        let before = self.usage;
        if let Ok(http) = &reply.outcome {
            self.usage.weight_used = http.used_weight_1m.unwrap_or(self.usage.weight_used);
            self.usage.orders_used = http.order_count_10s.unwrap_or(self.usage.orders_used);
        }
        if let Fate::Refused(refusal) = fate {
            let of_orders = matches!(
                ask,
                Ask::Place { .. } | Ask::Amend { .. } | Ask::Many { what: OrderAsk::Place, .. }
            );
            self.heed(refusal, of_orders, now, out);
        }
        if self.usage != before {
            self.tell_budget(out);
            // The venue counts in windows of wall-clock time and says nothing when one ends.
            let order_window = self.window_end(now, 10_000).max(self.orders_blocked_until);
            self.timers.insert(Timer::OrderWindow, order_window);
            self.timers.insert(Timer::WeightWindow, self.window_end(now, 60_000));
        }
    }

    /// What a refusal tells beside the fate of its request; `of_orders`: of placing or amending.
    pub(super) fn heed(&mut self, refusal: &Refusal, of_orders: bool, now: Ts, out: &mut Outbox) {
        match refusal.block {
            Some(Block::All(span)) => {
                self.usage.blocked_until = self.usage.blocked_until.max(now + span);
            }
            Some(Block::Until(venue_ms)) => {
                let until = Ts::from_ms(venue_ms) - self.clock.offset().unwrap_or_default();
                self.usage.blocked_until = self.usage.blocked_until.max(until);
            }
            Some(Block::Orders(span)) => {
                self.orders_blocked_until = now + span;
                self.usage.orders_used = self.usage.orders_used.max(self.usage.orders_limit);
            }
            None => {}
        }
        match refusal.class {
            RejectClass::Auth if refusal.code == -4061 => self.fail_hedge_mode(out),
            RejectClass::Auth => {
                let text = format!("{} refused: {}", self.params.name, refusal.text);
                self.fail(RejectClass::Auth, text, out);
            }
            RejectClass::Clock => self.measure_clock(now, out),
            RejectClass::Filter if of_orders => {
                self.refresh_info(now, out);
            }
            _ => {}
        }
    }

    pub(super) fn tell_budget(&self, out: &mut Outbox) {
        let (venue, usage) = (self.params.venue, self.usage);
        out.events.push(Event::Budget { venue, usage });
    }

    /// When the venue's running window of that many milliseconds ends, on our clock.
    fn window_end(&self, now: Ts, window_ms: i64) -> Ts {
        let left = window_ms - self.venue_ms(now).rem_euclid(window_ms);
        now + Span::from_ms(left)
    }
}
