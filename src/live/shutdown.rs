//! Signals, and how long an orderly end may take.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// An orderly end: SIGTERM, SIGINT, SIGQUIT.
    Stop(&'static str),
    /// SIGHUP: read the settings again.
    HangUp,
}

/// The signals of this process. Each of them would otherwise end it with orders open.
pub(super) struct Signals {
    kinds: [(Asked, Signal); 4],
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            kinds: [
                (Asked::Stop("SIGTERM"), signal(SignalKind::terminate())?),
                (Asked::Stop("SIGINT"), signal(SignalKind::interrupt())?),
                (Asked::Stop("SIGQUIT"), signal(SignalKind::quit())?),
                (Asked::HangUp, signal(SignalKind::hangup())?),
            ],
        })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Asked> {
        for (asked, signal) in &mut self.kinds {
            if let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                return Poll::Ready(*asked);
            }
        }
        Poll::Pending
    }
}

/// The orderly end, once it has been asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    limit: Duration,
    since: Option<Instant>,
}

impl Stopping {
    pub(super) fn new(limit: Duration) -> Stopping {
        Stopping { limit, since: None }
    }

    /// Ask; true the first time. Asking again changes nothing: the cancel is not skipped and the
    /// deadline stays.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let first = self.since.is_none();
        self.since.get_or_insert(now);
        first
    }

    /// When it must be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.limit)
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::clock;

    #[test]
    fn asking_again_neither_hastens_nor_delays_the_end() {
        let start = clock::instant();
        let mut stopping = Stopping::new(Duration::from_secs(10));
        assert!(!stopping.is_overdue(start + Duration::from_secs(3600)));
        assert!(stopping.ask(start));
        assert!(!stopping.ask(start + Duration::from_secs(5)));
        assert!(!stopping.is_overdue(start + Duration::from_secs(9)));
        assert!(stopping.is_overdue(start + Duration::from_secs(10)));
    }
}
