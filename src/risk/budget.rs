//! How many messages may leave: our own pace, and what the venue says we have used.

use crate::domain::{BudgetUsage, Span, Ts};

/// What a message is for; the reserve is for what takes risk off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// New and changed quotes.
    Quote,
    /// Hedges and flattening: may use the reserve.
    Reduce,
    /// Cancels: always pass; they are counted so that quotes wait for them.
    Cancel,
}

/// Share of a venue's published limit that is never used by anything but cancels.
const VENUE_SHARE: f64 = 0.9;

/// The message budget of one venue: a token bucket of one second's worth of messages.
#[derive(Clone, Debug)]
pub struct Budget {
    per_second: f64,
    reserve: f64,
    tokens: f64,
    refilled_at: Ts,
    usage: BudgetUsage,
    /// When the usage was reported.
    reported_at: Ts,
}

impl Budget {
    /// `max_orders_per_s` messages a second, of which `message_reserve_cancel_pct` per cent are
    /// kept for cancels and hedges.
    #[must_use]
    pub fn new(max_orders_per_s: f64, message_reserve_cancel_pct: f64) -> Budget {
        Budget {
            per_second: max_orders_per_s,
            reserve: max_orders_per_s * message_reserve_cancel_pct / 100.0,
            tokens: max_orders_per_s,
            refilled_at: Ts(0),
            usage: BudgetUsage::default(),
            reported_at: Ts(0),
        }
    }

    /// Takes the venue's word over ours.
    pub fn on_usage(&mut self, usage: BudgetUsage, now: Ts) {
        self.usage = BudgetUsage {
            blocked_until: usage.blocked_until.max(self.usage.blocked_until),
            ..usage
        };
        self.reported_at = now;
    }

    /// The venue's last word.
    #[must_use]
    pub fn usage(&self) -> BudgetUsage {
        self.usage
    }

    /// When the venue lets us speak again, if it has asked us to wait.
    #[must_use]
    pub fn blocked_until(&self, now: Ts) -> Option<Ts> {
        (now < self.usage.blocked_until).then_some(self.usage.blocked_until)
    }

    /// Takes one message from the budget if there is room for it. Cancels always pass here; what
    /// holds them back is only the venue's own block, which the caller checks.
    pub fn take(&mut self, lane: Lane, now: Ts) -> bool {
        self.refill(now);
        let floor = match lane {
            Lane::Quote => self.reserve,
            Lane::Reduce => 0.0,
            Lane::Cancel => f64::NEG_INFINITY,
        };
        if lane != Lane::Cancel
            && (self.blocked_until(now).is_some() || self.venue_spent_until(now) > now)
        {
            return false;
        }
        if self.tokens - 1.0 < floor {
            return false;
        }
        self.tokens = (self.tokens - 1.0).max(-self.per_second);
        true
    }

    /// When a quote message has room again; not after `now`: it has.
    #[must_use]
    pub fn quote_at(&self, now: Ts) -> Ts {
        let missing = (self.reserve + 1.0 - self.tokens_at(now)).max(0.0);
        let wait =
            if missing > 0.0 { (missing / self.per_second * 1e9) as i64 + 1_000_000 } else { 0 };
        (now + Span(wait)).max(self.usage.blocked_until).max(self.venue_spent_until(now))
    }

    fn refill(&mut self, now: Ts) {
        self.tokens = self.tokens_at(now);
        self.refilled_at = now;
    }

    fn tokens_at(&self, now: Ts) -> f64 {
        let passed = now.since(self.refilled_at).seconds().max(0.0);
        (self.tokens + passed * self.per_second).min(self.per_second)
    }

    /// Until when the venue's own counters are near their limits; not after `now`: they are not.
    /// Its windows are aligned to the wall clock, so a report of an earlier window says nothing of
    /// this one.
    fn venue_spent_until(&self, now: Ts) -> Ts {
        let of = |window: Span, used: u32, limit: u32| {
            let same = self.reported_at.0 / window.0 == now.0 / window.0;
            let near = limit > 0 && f64::from(used) >= f64::from(limit) * VENUE_SHARE;
            if same && near { Ts((now.0 / window.0 + 1) * window.0) } else { Ts(0) }
        };
        let weight = of(Span::from_s(60), self.usage.weight_used, self.usage.weight_limit);
        weight.max(of(Span::from_s(10), self.usage.orders_used, self.usage.orders_limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Ts = Ts(1_000_000_000_000);

    #[test]
    fn quotes_leave_the_reserve_to_hedges_and_cancels_always_pass() {
        let mut budget = Budget::new(10.0, 30.0);
        let quotes = (0..20).filter(|_| budget.take(Lane::Quote, NOW)).count();
        let hedges = (0..20).filter(|_| budget.take(Lane::Reduce, NOW)).count();
        assert_eq!((quotes, hedges), (7, 3));
        assert!((0..20).all(|_| budget.take(Lane::Cancel, NOW)));
        assert!(!budget.take(Lane::Quote, NOW + Span::from_ms(500)));
        assert!(budget.take(Lane::Quote, NOW + Span::from_s(5)));
    }

    #[test]
    fn what_the_venue_has_counted_holds_quotes_until_its_window_ends() {
        let mut budget = Budget::new(10.0, 10.0);
        assert!(budget.quote_at(NOW) <= NOW, "there is room");
        let spent = BudgetUsage { orders_used: 95, orders_limit: 100, ..BudgetUsage::default() };
        budget.on_usage(spent, NOW);
        let ends = NOW + Span::from_s(10);
        assert_eq!(budget.quote_at(NOW + Span::from_ms(1)), ends);
        assert!(!budget.take(Lane::Quote, ends - Span::from_ms(1)));
        assert!(budget.quote_at(ends) <= ends && budget.take(Lane::Quote, ends));
    }

    #[test]
    fn the_venues_counters_and_its_block_hold_quotes_back() {
        let mut budget = Budget::new(10.0, 10.0);
        let near = BudgetUsage { weight_used: 5_500, weight_limit: 6_000, ..Default::default() };
        budget.on_usage(near, NOW);
        assert!(!budget.take(Lane::Quote, NOW));
        assert!(budget.take(Lane::Quote, NOW + Span::from_s(60)));
        let blocked = BudgetUsage { blocked_until: NOW + Span::from_s(90), ..Default::default() };
        budget.on_usage(blocked, NOW + Span::from_s(60));
        assert!(!budget.take(Lane::Reduce, NOW + Span::from_s(89)));
        assert!(budget.take(Lane::Reduce, NOW + Span::from_s(90)));
    }

    #[test]
    fn cancels_are_paid_for_by_quotes_but_never_more_than_a_second_of_them() {
        let mut budget = Budget::new(10.0, 0.0);
        assert!((0..500).all(|_| budget.take(Lane::Cancel, NOW)));
        assert!(!budget.take(Lane::Quote, NOW + Span::from_ms(1050)), "ten of the debt are paid");
        assert!(budget.take(Lane::Quote, NOW + Span::from_ms(1150)));
    }

    #[test]
    fn the_time_that_is_told_is_when_a_quote_passes() {
        let mut budget = Budget::new(10.0, 30.0);
        while budget.take(Lane::Quote, NOW) {}
        let at = budget.quote_at(NOW);
        assert!(at > NOW && at <= NOW + Span::from_ms(102), "{at:?}");
        assert!(!budget.clone().take(Lane::Quote, NOW + Span::from_ms(90)));
        assert!(budget.take(Lane::Quote, at));
        let wait = NOW + Span::from_s(9);
        budget.on_usage(BudgetUsage { blocked_until: wait, ..Default::default() }, NOW);
        assert_eq!((budget.quote_at(NOW), budget.blocked_until(NOW)), (wait, Some(wait)));
        assert_eq!(budget.blocked_until(wait), None);
        budget.on_usage(BudgetUsage::default(), NOW);
        assert_eq!(budget.usage().blocked_until, wait, "a later word ends no block");
    }

    #[test]
    fn the_order_count_is_of_ten_seconds() {
        let mut budget = Budget::new(10.0, 10.0);
        let used =
            |orders_used| BudgetUsage { orders_used, orders_limit: 100, ..Default::default() };
        budget.on_usage(used(89), NOW);
        assert!(budget.take(Lane::Quote, NOW));
        budget.on_usage(used(90), NOW);
        assert!(!budget.take(Lane::Reduce, NOW + Span::from_ms(9_999)));
        assert!(budget.take(Lane::Cancel, NOW));
        assert!(budget.take(Lane::Reduce, NOW + Span::from_s(10)));
    }
}
