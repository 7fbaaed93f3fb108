//! Is this the moment that a fault waits for, and what brings it about?

use super::{Flight, World};
use crate::domain::{Control, Reason, SettingChange, Span, State};
use crate::simulate::cells::Phase;
use crate::simulate::watch::OURS;

/// A start that a fault wants to meet is made by a short crash.
const SHORT: Span = Span::from_ms(50);
/// The time between two prices that reloads go back to.
const CALM: Span = Span::from_ms(250);

impl World {
    /// Does what leads to a moment that would not come by itself.
    pub(super) fn prepare(&mut self, phase: Phase) {
        match phase {
            Phase::Start | Phase::WarmUp => self.crash(SHORT),
            Phase::Resync => {
                let open = self.conns.iter().find(|(_, conn)| conn.is_market() && conn.open);
                if let Some(conn) = open.map(|(id, _)| *id) {
                    self.cut(conn);
                    self.unwell_until = self.unwell_until.max(self.now + Span::from_s(16));
                }
            }
            Phase::Halted => self.kill(false),
            Phase::Shutdown => self.tell(Control::Stop),
            Phase::PartFilled => self.sweep(2),
            Phase::Hedging => self.sweep(0),
            Phase::Reload => self.reload(),
            Phase::Steady | Phase::Posting | Phase::Cancelling | Phase::Amending => {}
        }
    }

    /// Whether the moment is now.
    pub(super) fn is_moment(&self, phase: Phase) -> bool {
        let Some(process) = &self.process else { return false };
        let state = process.engine.state();
        match phase {
            Phase::Start => matches!(state, State::Starting | State::Reconciling),
            Phase::WarmUp => state == State::Warming,
            Phase::Steady => {
                state == State::Quoting && self.sides(|reason| reason == Reason::Quoting)
            }
            Phase::Posting => self.flies(Flight::Post),
            Phase::Cancelling => self.flies(Flight::Cancel),
            Phase::Amending => self.flies(Flight::Amend),
            Phase::Hedging => self.flies(Flight::Hedge),
            Phase::PartFilled => self.is_part_filled(),
            Phase::Resync => {
                state == State::Quoting
                    && self
                        .sides(|reason| matches!(reason, Reason::BookNotSynced | Reason::BookStale))
            }
            Phase::Halted => state == State::Halted,
            Phase::Shutdown => state == State::Stopping,
            Phase::Reload => self.reload_told,
        }
    }

    /// The configuration changes in what may change live, and the process is told; one that starts
    /// later reads the new one.
    fn reload(&mut self) {
        let interval = &mut self.settings.quoting.reprice_min_interval;
        let before = *interval;
        *interval = if before > CALM { CALM } else { Span(before.0 * 2) };
        let text = |span: Span| Some(span.ms().to_string());
        let change = SettingChange {
            key: "quoting.reprice_min_interval_ms".to_owned(),
            before: text(before),
            after: text(*interval),
        };
        let tunables = self.settings.tunables().to_text();
        self.tell(Control::Reload { changes: vec![change], tunables });
        self.reload_told = self.process.is_some();
    }

    fn flies(&self, what: Flight) -> bool {
        self.flights.values().any(|flight| *flight == what)
    }

    fn is_part_filled(&self) -> bool {
        let exchange = self.exchange.exchange();
        self.watch.bounds.iter().any(|bounds| {
            let open = exchange.open_orders(OURS, bounds.market);
            open.iter().any(|order| order.filled > crate::domain::Qty::ZERO)
        })
    }
}
