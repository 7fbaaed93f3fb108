//! What does the service manager hear? Ready, the state in words, stopping, and a watchdog fed
//! from the trading loop, as `sd_notify(3)` has it. A loop that stands still is not fed for: the
//! manager ends it, and the unit's `ExecStopPost` cancels what it left.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::domain::State;

/// The line to the service manager; silent where there is none (`NOTIFY_SOCKET` is not set).
pub(super) struct Supervisor {
    /// Half of the time after which the manager loses patience, and when it is next due.
    watchdog: Option<(Duration, Instant)>,
    told: Option<State>,
    trouble: Option<String>,
}

impl Supervisor {
    pub(super) fn new(now: Instant) -> Supervisor {
        let watchdog = sd_notify::watchdog_enabled().map(|patience| (patience / 2, now));
        Supervisor { watchdog, told: None, trouble: None }
    }

    /// The trading loop has come round, in this state.
    pub(super) fn beat(&mut self, now: Instant, state: State) {
        if self.told != Some(state) {
            let ready = self.told.is_none();
            self.told = Some(state);
            let words = state.to_string();
            let status = NotifyState::Status(&words);
            match state {
                State::Stopping | State::Stopped => {
                    self.tell(&[status, NotifyState::Stopping]);
                }
                _ if ready => self.tell(&[status, NotifyState::Ready]),
                _ => self.tell(&[status]),
            }
        }
        if let Some((half, due)) = &mut self.watchdog
            && now >= *due
        {
            *due = now + *half;
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// What went wrong on the line, once.
    pub(super) fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    fn tell(&mut self, words: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(words) {
            self.trouble = Some(format!("the service manager cannot be told: {error}"));
        }
    }
}
