//! What does a session earn and hold when nothing goes wrong?

use super::{EPOCH, World};
use crate::domain::{InstrumentId, Span, Ts};
use crate::simulate::Session;
use rust_decimal::prelude::ToPrimitive;

/// Time between two looks at the inventory.
const LOOK: Span = Span::from_ms(100);
/// So many of them are between two looks at the quotes.
const QUOTES_EVERY: u64 = 10;

/// Moments of the net inventory away from its target, and what was quoted meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inventory {
    looks: u64,
    sum: f64,
    squares: f64,
    max: f64,
    quotes: f64,
    half_spreads: f64,
    prices: f64,
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
        // Before the first quotes not every account has been read: nothing is held that we know of.
        if self.inventory.looks == 0 && engine.state() != crate::domain::State::Quoting {
            return;
        }
        let looked = self.inventory.looks.is_multiple_of(QUOTES_EVERY);
        let numbers = looked.then(|| engine.status(self.our_clock).instruments.into_iter());
        let numbers = numbers.and_then(|mut all| all.find(|view| view.quoted)?.quote);
        let inventory = &mut self.inventory;
        inventory.looks += 1;
        inventory.sum += net;
        inventory.squares += net * net;
        inventory.max = inventory.max.max(net.abs());
        if let Some(numbers) = numbers {
            inventory.quotes += 1.0;
            inventory.half_spreads += numbers.half_spread_bps;
            inventory.prices += numbers.fair;
        }
    }

    /// The sums so far; `None` when no process runs.
    pub(crate) fn sums(&self, seed: u64) -> Option<Session> {
        let status = self.engine()?.status(self.our_clock);
        let quoted = status.instruments.iter().find(|view| view.quoted)?;
        let Inventory { looks, sum, squares, max, quotes, half_spreads, prices } = self.inventory;
        let looks = looks.max(1) as f64;
        let mean = sum / looks;
        Some(Session {
            seed,
            state: status.state,
            inventory_std_base: (squares / looks - mean * mean).max(0.0).sqrt(),
            inventory_mean_square_base: squares / looks,
            inventory_max_base: max,
            uptime: [quoted.bid.uptime, quoted.ask.uptime],
            max_capital_at_risk_quote: status.capital.max_at_risk_quote,
            half_spread_bps: half_spreads / quotes.max(1.0),
            fair_price: prices / quotes.max(1.0),
            markouts: quoted.markouts.clone(),
            summary: status.session.clone(),
        })
    }
}
