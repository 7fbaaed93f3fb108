//! What does a session earn and hold when nothing goes wrong?

use super::{EPOCH, World};
use crate::domain::{InstrumentId, Span, Ts};
use crate::simulate::Session;
use rust_decimal::prelude::ToPrimitive;

/// Time between two looks at the inventory.
const LOOK: Span = Span::from_ms(100);

/// Moments of the net inventory away from its target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inventory {
    looks: f64,
    sum: f64,
    squares: f64,
    max: f64,
}

impl World {
    /// Lets it trade for that time, and looks at its inventory.
    pub(crate) fn quiet(&mut self, span: Span) {
        let end: Ts = EPOCH + span;
        while self.now < end && self.watch.problems.is_empty() {
            self.until((self.now + LOOK).min(end));
            self.look_at_inventory();
        }
    }

    fn look_at_inventory(&mut self) {
        let Some(engine) = self.engine() else { return };
        let mut net = crate::domain::Money::ZERO;
        for (index, bounds) in self.watch.bounds.iter().enumerate() {
            net += engine.held_base(InstrumentId(index as u16)) - bounds.target_base;
        }
        let net = net.to_f64().unwrap_or(0.0);
        // Before the first reading nothing is held that we knew of.
        if engine.state() == crate::domain::State::Starting {
            return;
        }
        let inventory = &mut self.inventory;
        inventory.looks += 1.0;
        inventory.sum += net;
        inventory.squares += net * net;
        inventory.max = inventory.max.max(net.abs());
    }

    /// The sums so far; `None` when no process runs.
    pub(crate) fn sums(&self, seed: u64) -> Option<Session> {
        let status = self.engine()?.status(self.our_clock);
        let quoted = status.instruments.iter().find(|view| view.quoted)?;
        let Inventory { looks, sum, squares, max } = self.inventory;
        let mean = sum / looks.max(1.0);
        Some(Session {
            seed,
            inventory_std_base: (squares / looks.max(1.0) - mean * mean).max(0.0).sqrt(),
            inventory_max_base: max,
            uptime: [quoted.bid.uptime, quoted.ask.uptime],
            markouts: quoted
                .markouts
                .iter()
                .map(|m| (m.horizon.ms(), m.both.fills, m.both.bps))
                .collect(),
            summary: status.session.clone(),
        })
    }
}
