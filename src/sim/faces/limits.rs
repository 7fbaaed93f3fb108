//! Rate limits in intervals that are aligned to the wall clock: request weight per address, order
//! counts per account, and the ban of those who do not stop.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::json::object;
use crate::domain::{Span, Ts};

/// How many in which interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `SECOND`, `MINUTE` or `DAY`.
    pub interval: &'static str,
    /// How many of these.
    pub interval_num: i64,
    /// Most in one interval.
    pub limit: i64,
}

impl Limit {
    fn span(&self) -> Span {
        let unit = match self.interval {
            "SECOND" => 1,
            "MINUTE" => 60,
            _ => 86_400,
        };
        Span::from_s(unit * self.interval_num)
    }

    /// The interval as headers spell it: `10S`, `1M`, `1D`.
    #[must_use]
    pub fn suffix(&self) -> String {
        format!("{}{}", self.interval_num, &self.interval[..1])
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    interval: i64,
    count: i64,
}

impl Counter {
    fn at(&mut self, now: Ts, limit: &Limit) -> &mut i64 {
        let interval = now.0.div_euclid(limit.span().0);
        if self.interval != interval {
            *self = Counter { interval, count: 0 };
        }
        &mut self.count
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Address {
    weight: Counter,
    refusals: Counter,
    banned_until: Ts,
}

/// The counters of one venue.
#[derive(Debug)]
pub struct Limits {
    /// Weight per address and minute.
    pub weight: Limit,
    /// Orders per account.
    pub orders: Vec<Limit>,
    addresses: BTreeMap<u64, Address>,
    accounts: BTreeMap<u32, Vec<Counter>>,
}

/// Refused requests within a minute after which an address is banned.
const REFUSALS_UNTIL_BAN: i64 = 10;
/// The first ban, of those that the documents let grow to three days.
const BAN: Span = Span::from_s(120);

impl Limits {
    /// No request seen yet.
    #[must_use]
    pub fn new(weight_per_minute: i64, orders: Vec<Limit>) -> Limits {
        let weight = Limit { interval: "MINUTE", interval_num: 1, limit: weight_per_minute };
        Limits { weight, orders, addresses: BTreeMap::new(), accounts: BTreeMap::new() }
    }

    /// Takes `weight` from the address's minute, or says how long to wait.
    pub fn charge(&mut self, now: Ts, ip: u64, weight: i64) -> Result<(), ApiError> {
        let limit = self.weight;
        let address = self.addresses.entry(ip).or_default();
        if now < address.banned_until {
            return Err(banned(now, address.banned_until));
        }
        let used = address.weight.at(now, &limit);
        if *used + weight <= limit.limit {
            *used += weight;
            return Ok(());
        }
        let refusals = address.refusals.at(now, &limit);
        *refusals += 1;
        if *refusals >= REFUSALS_UNTIL_BAN {
            address.banned_until = now + BAN;
            return Err(banned(now, address.banned_until));
        }
        let msg = format!(
            "Too much request weight used; current limit is {} request weight per 1 MINUTE. \
             Please use WebSocket Streams for live updates to avoid polling the API.",
            limit.limit
        );
        let mut error = ApiError::new(-1003, msg).status(429);
        error.retry_after_s = Some(seconds_left(now, &limit));
        Err(error)
    }

    /// Gives weight back: a successful order costs none.
    pub fn refund(&mut self, now: Ts, ip: u64, weight: i64) {
        let limit = self.weight;
        if let Some(address) = self.addresses.get_mut(&ip) {
            let used = address.weight.at(now, &limit);
            *used = (*used - weight).max(0);
        }
    }

    /// Weight used in this minute.
    pub fn used(&mut self, now: Ts, ip: u64) -> i64 {
        let limit = self.weight;
        *self.addresses.entry(ip).or_default().weight.at(now, &limit)
    }

    /// Weight used in this minute by all addresses.
    #[must_use]
    pub fn total_used(&self, now: Ts) -> i64 {
        let limit = self.weight;
        self.addresses.values().map(|address| *address.weight.clone().at(now, &limit)).sum()
    }

    /// Counts `orders[index] += amounts[index]`, or refuses when any interval is full.
    pub fn count_orders(&mut self, now: Ts, account: u32, amounts: &[i64]) -> Result<(), ApiError> {
        self.check_orders(now, account, amounts)?;
        let counters = self.accounts.entry(account).or_default();
        for (index, limit) in self.orders.iter().enumerate() {
            *counters[index].at(now, limit) += amounts.get(index).copied().unwrap_or(1);
        }
        Ok(())
    }

    /// Refuses when any interval has no room for these orders; counts nothing.
    pub fn check_orders(&mut self, now: Ts, account: u32, amounts: &[i64]) -> Result<(), ApiError> {
        let counters = self.accounts.entry(account).or_default();
        counters.resize(self.orders.len(), Counter::default());
        for (index, limit) in self.orders.iter().enumerate() {
            let amount = amounts.get(index).copied().unwrap_or(1);
            if *counters[index].at(now, limit) + amount > limit.limit {
                let msg = format!(
                    "Too many new orders; current limit is {} orders per {} {}.",
                    limit.limit, limit.interval_num, limit.interval
                );
                let mut error = ApiError::new(-1015, msg).status(429);
                error.retry_after_s = Some(seconds_left(now, limit));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The first fill of an order takes it off the counts (spot).
    pub fn first_fill(&mut self, now: Ts, account: u32) {
        for (counter, limit) in
            self.accounts.entry(account).or_default().iter_mut().zip(&self.orders)
        {
            let count = counter.at(now, limit);
            *count = (*count - 1).max(0);
        }
    }

    /// Orders counted in each interval.
    pub fn order_counts(&mut self, now: Ts, account: u32) -> Vec<(Limit, i64)> {
        let counters = self.accounts.entry(account).or_default();
        counters.resize(self.orders.len(), Counter::default());
        let limits = self.orders.iter();
        limits.zip(counters).map(|(limit, counter)| (*limit, *counter.at(now, limit))).collect()
    }

    /// One row of `rateLimits`, with the count when there is one.
    #[must_use]
    pub fn row(kind: &str, limit: &Limit, count: Option<i64>) -> String {
        let row = object()
            .text("rateLimitType", kind)
            .text("interval", limit.interval)
            .int("intervalNum", limit.interval_num)
            .int("limit", limit.limit);
        match count {
            Some(count) => row.int("count", count).end(),
            None => row.end(),
        }
    }
}

fn seconds_left(now: Ts, limit: &Limit) -> i64 {
    let span = limit.span().0;
    let left = span - now.0.rem_euclid(span);
    left.div_euclid(1_000_000_000) + 1
}

fn banned(now: Ts, until: Ts) -> ApiError {
    let msg = format!(
        "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for \
         live updates to avoid bans.",
        until.ms()
    );
    let mut error = ApiError::new(-1003, msg).status(418);
    error.data = Some(object().int("serverTime", now.ms()).int("retryAfter", until.ms()).end());
    error.retry_after_s = Some(until.since(now).0.div_euclid(1_000_000_000) + 1);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let orders = vec![
            Limit { interval: "SECOND", interval_num: 10, limit: 2 },
            Limit { interval: "DAY", interval_num: 1, limit: 3 },
        ];
        Limits::new(100, orders)
    }

    #[test]
    fn weight_returns_with_the_minute_and_stubborn_callers_are_banned() {
        let mut limits = limits();
        let now = Ts::from_ms(59_000);
        assert!(limits.charge(now, 1, 100).is_ok());
        let error = limits.charge(now, 1, 1).unwrap_err();
        assert_eq!((error.status, error.code, error.retry_after_s), (429, -1003, Some(2)));
        assert!(limits.charge(now, 2, 1).is_ok(), "another address has its own minute");
        assert!(limits.charge(Ts::from_ms(60_000), 1, 100).is_ok());
        for _ in 0..REFUSALS_UNTIL_BAN {
            limits.charge(Ts::from_ms(60_001), 1, 1).unwrap_err();
        }
        let error = limits.charge(Ts::from_ms(120_001), 1, 1).unwrap_err();
        assert_eq!(error.status, 418, "still banned in the next minute");
        assert!(limits.charge(Ts::from_ms(180_002), 1, 1).is_ok());
    }

    #[test]
    fn orders_are_counted_per_interval_and_a_first_fill_gives_one_back() {
        let mut limits = limits();
        let now = Ts::from_ms(1000);
        assert!(limits.count_orders(now, 1, &[]).is_ok());
        assert!(limits.count_orders(now, 1, &[]).is_ok());
        let error = limits.count_orders(now, 1, &[]).unwrap_err();
        assert_eq!((error.status, error.code), (429, -1015));
        limits.first_fill(now, 1);
        assert!(limits.count_orders(now, 1, &[]).is_ok());
        let later = Ts::from_ms(10_000);
        assert!(limits.count_orders(later, 1, &[]).is_ok());
        assert_eq!(limits.count_orders(later, 1, &[]).unwrap_err().code, -1015, "day is full");
        let counts: Vec<i64> = limits.order_counts(later, 1).iter().map(|row| row.1).collect();
        assert_eq!(counts, [1, 3]);
    }
}
