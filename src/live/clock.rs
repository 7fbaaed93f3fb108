//! The only place that reads a clock.
//!
//! [`Ts`] is the wall clock at the start plus what the monotonic clock has counted since, so that
//! it never goes back and an operator or NTP setting the wall clock changes no interval and no
//! signed timestamp: the protocols measure the venue's clock against this one. A step of the wall
//! clock, or a host that slept, is noticed and reported.

#![allow(clippy::disallowed_methods, reason = "time enters here and nowhere else")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Ts};

/// A change of the wall clock against ours that is no slewing: NTP slews at most 0.5 ms a second.
const STEP: Span = Span::from_ms(250);

/// The monotonic clock, for intervals.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// Seconds since the Unix epoch; zero when the clock stands before it.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The wall clock, for what people read.
#[must_use]
pub fn wall() -> Ts {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    Ts(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// Strictly increasing instants.
#[derive(Debug)]
pub struct Clock {
    anchor: Instant,
    base: Ts,
    last: Ts,
    steps: StepDetector,
}

impl Clock {
    /// A clock that agrees with the wall clock now.
    #[must_use]
    pub fn new() -> Clock {
        let base = wall();
        Clock { anchor: instant(), base, last: base, steps: StepDetector::default() }
    }

    /// Now; later than every instant given before.
    pub fn now(&mut self) -> Ts {
        let elapsed = i64::try_from(self.anchor.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.last = (self.base + Span(elapsed)).max(self.last + Span(1));
        self.last
    }

    /// When the monotonic clock will show `at`; now when it has passed, an hour ahead at most.
    #[must_use]
    pub fn instant_of(&self, at: Ts) -> Instant {
        let ahead = at.since(self.base).to_std();
        let latest = instant() + Duration::from_secs(3600);
        self.anchor.checked_add(ahead).map_or(latest, |instant| instant.min(latest))
    }

    /// How far the wall clock has jumped against the monotonic one since the last call, if it did.
    pub fn step(&mut self) -> Option<Span> {
        let ours = self.now();
        self.steps.observe(wall(), ours)
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// Tells a step of the wall clock from its slewing.
#[derive(Debug, Default)]
struct StepDetector {
    gap: Option<Span>,
}

impl StepDetector {
    fn observe(&mut self, wall: Ts, ours: Ts) -> Option<Span> {
        let gap = wall.since(ours);
        let before = self.gap.replace(gap).unwrap_or(gap);
        let change = Span(gap.0.saturating_sub(before.0));
        (change.0.abs() > STEP.0).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_strictly_increase() {
        let mut clock = Clock::new();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now > last);
            last = now;
        }
    }

    #[test]
    fn steps_are_told_from_slewing() {
        let mut steps = StepDetector::default();
        assert_eq!(steps.observe(Ts::from_ms(5_000), Ts::from_ms(1_000)), None, "first look");
        assert_eq!(steps.observe(Ts::from_ms(5_300), Ts::from_ms(1_250)), None, "50 ms of slew");
        let back = steps.observe(Ts::from_ms(3_550), Ts::from_ms(1_500));
        assert_eq!(back, Some(Span::from_ms(-2_000)));
        assert_eq!(steps.observe(Ts::from_ms(3_800), Ts::from_ms(1_750)), None, "told once");
    }

    #[test]
    fn far_instants_do_not_overflow() {
        let mut clock = Clock::new();
        clock.now();
        assert!(clock.instant_of(Ts::FAR) > instant());
        assert!(clock.instant_of(Ts(0)) <= instant());
    }
}
