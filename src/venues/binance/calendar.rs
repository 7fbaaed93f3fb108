//! What is to be done when; the next instant costs the same however much is planned.

use std::collections::{BTreeMap, BTreeSet};

use super::Timer;
use crate::domain::Ts;

/// Every timer at most once.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    by_timer: BTreeMap<Timer, Ts>,
    by_time: BTreeSet<(Ts, Timer)>,
}

impl Calendar {
    /// Plan a timer, in place of what was planned for it.
    pub(super) fn insert(&mut self, timer: Timer, at: Ts) {
        if let Some(before) = self.by_timer.insert(timer, at) {
            self.by_time.remove(&(before, timer));
        }
        self.by_time.insert((at, timer));
    }

    /// Drop a timer.
    pub(super) fn remove(&mut self, timer: &Timer) {
        if let Some(at) = self.by_timer.remove(timer) {
            self.by_time.remove(&(at, *timer));
        }
    }

    /// When a timer is planned.
    pub(super) fn get(&self, timer: &Timer) -> Option<Ts> {
        self.by_timer.get(timer).copied()
    }

    /// Drop everything.
    pub(super) fn clear(&mut self) {
        self.by_timer.clear();
        self.by_time.clear();
    }

    /// What has come due, in the order of [`Timer`].
    pub(super) fn due(&self, now: Ts) -> Vec<Timer> {
        let due = self.by_time.iter().take_while(|(at, _)| *at <= now);
        let mut due: Vec<Timer> = due.map(|(_, timer)| *timer).collect();
        due.sort_unstable();
        due
    }

    /// The next instant at which something comes due.
    pub(super) fn next(&self) -> Option<Ts> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_planned_once_and_the_next_comes_first() {
        let mut calendar = Calendar::default();
        assert_eq!(calendar.next(), None);
        calendar.insert(Timer::Snapshot(3), Ts(30));
        calendar.insert(Timer::Clock, Ts(20));
        calendar.insert(Timer::Snapshot(3), Ts(10));
        assert_eq!(calendar.next(), Some(Ts(10)));
        assert_eq!(calendar.get(&Timer::Snapshot(3)), Some(Ts(10)));
        assert_eq!(calendar.due(Ts(9)), []);
        assert_eq!(calendar.due(Ts(20)), [Timer::Clock, Timer::Snapshot(3)]);
        calendar.remove(&Timer::Snapshot(3));
        assert_eq!(calendar.next(), Some(Ts(20)));
        calendar.clear();
        assert_eq!(calendar.next(), None);
    }
}
