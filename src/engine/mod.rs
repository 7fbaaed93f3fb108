//! How do these meet? `step(now, events) -> actions`, and nothing else.
//!
//! Nothing in here awaits, reads a clock, draws a random number, opens a socket or a file, or
//! writes a log line.

use serde::Serialize;

use crate::domain::{Action, Event, State, Ts};

/// Everything the engine is told before it starts.
#[derive(Clone, Debug, Default)]
pub struct Params {}

/// How a run ended, once it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// No order open, positions on target.
    FlatAndClean,
    /// Halted for safety, no order open, positions on target.
    SafetyHaltFlat {
        /// Why.
        text: String,
    },
    /// Orders or positions may be left; says which.
    MaybeLeft {
        /// Which.
        text: String,
    },
    /// Keys, permissions or account mode forbid trading.
    Refused {
        /// Why.
        text: String,
    },
}

/// What an operator sees of the engine.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// State of the daemon.
    pub state: State,
}

/// The core: one per daemon, over all venues.
#[derive(Debug)]
pub struct Engine {
    state: State,
}

impl Engine {
    /// A core that knows nothing yet.
    #[must_use]
    pub fn new(_params: Params) -> Engine {
        Engine { state: State::Starting }
    }

    /// Apply all events, decide once, append what is to be done. `now` never goes back.
    pub fn step(&mut self, _now: Ts, _inbox: &[Event], _out: &mut Vec<Action>) {}

    /// When to step again if nothing arrives; always later than the last `now`.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Ts> {
        None
    }

    /// A view for operators.
    #[must_use]
    pub fn status(&self, _now: Ts) -> Status {
        Status { state: self.state }
    }

    /// Set once the state is `Stopped`.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        None
    }
}
