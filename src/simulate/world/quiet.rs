//! What does a session earn and hold when nothing goes wrong, once it has warmed up?

use super::{EPOCH, World};
use crate::domain::{InstrumentId, Span, Ts};
use crate::engine::Summary;
use crate::simulate::Session;
use rust_decimal::prelude::ToPrimitive;

/// Time between two looks at the inventory.
const LOOK: Span = Span::from_ms(100);
/// So many of them are between two looks at the quotes.
const QUOTES_EVERY: u64 = 10;

/// Moments of the net inventory away from its target, and what was quoted meanwhile, since the
/// warm-up.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    /// The sums at the end of the warm-up, and the uptimes.
    warm: Option<(Summary, [f64; 2])>,
    looks: u64,
    sum: f64,
    squares: f64,
    max: f64,
    quotes: f64,
    half_spreads: f64,
    prices: f64,
    at_risk_max: f64,
    arrivals: [f64; 2],
    volatilities: f64,
}

impl World {
    /// Lets it trade, and after `warm_up` looks at its inventory for `span`.
    pub(crate) fn quiet(&mut self, warm_up: Span, span: Span) {
        // A process has begun by the first look.
        let begin: Ts = EPOCH + warm_up.max(LOOK);
        let end: Ts = begin + span;
        self.until(begin);
        let sums = self.engine().map(|engine| engine.status(self.our_clock));
        self.inventory.warm = sums.and_then(|status| {
            let quoted = status.instruments.iter().find(|view| view.quoted)?;
            Some((status.session.clone(), [quoted.bid.uptime, quoted.ask.uptime]))
        });
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
        let status = looked.then(|| engine.status(self.our_clock));
        let inventory = &mut self.inventory;
        inventory.looks += 1;
        inventory.sum += net;
        inventory.squares += net * net;
        inventory.max = inventory.max.max(net.abs());
        let Some(status) = status else { return };
        inventory.at_risk_max =
            inventory.at_risk_max.max(status.capital.at_risk_quote.unwrap_or(0.0));
        let quoted = status.instruments.iter().find(|view| view.quoted);
        if let Some((view, numbers)) = quoted.and_then(|view| Some((view, view.quote?))) {
            inventory.quotes += 1.0;
            inventory.half_spreads += numbers.half_spread_bps;
            inventory.prices += numbers.fair;
            inventory.arrivals[0] += view.intensity_a_per_s;
            inventory.arrivals[1] += view.intensity_k_per_bps;
            inventory.volatilities += view.volatility_bps_sqrt_s.unwrap_or_default();
        }
    }

    /// The sums since the warm-up; `None` when no process runs.
    pub(crate) fn sums(&self, seed: u64) -> Option<Session> {
        let status = self.engine()?.status(self.our_clock);
        let quoted = status.instruments.iter().find(|view| view.quoted)?;
        let inventory = &self.inventory;
        let (warm, warm_uptime) = inventory.warm.clone()?;
        let looks = inventory.looks.max(1) as f64;
        let quotes = inventory.quotes.max(1.0);
        let mean = inventory.sum / looks;
        let (before, after) = (warm.duration_ms as f64, status.session.duration_ms as f64);
        let since = |after_share: f64, before_share: f64| {
            (after_share * after - before_share * before) / (after - before).max(1.0)
        };
        Some(Session {
            seed,
            state: status.state,
            inventory_std_base: (inventory.squares / looks - mean * mean).max(0.0).sqrt(),
            inventory_mean_square_base: inventory.squares / looks,
            inventory_max_base: inventory.max,
            uptime: [
                since(quoted.bid.uptime, warm_uptime[0]),
                since(quoted.ask.uptime, warm_uptime[1]),
            ],
            max_capital_at_risk_quote: inventory.at_risk_max,
            half_spread_bps: inventory.half_spreads / quotes,
            fair_price: inventory.prices / quotes,
            arrivals: inventory.arrivals.map(|sum| sum / quotes),
            volatility_bps_sqrt_s: inventory.volatilities / quotes,
            markouts: quoted.markouts.clone(),
            summary: status.session.clone(),
            warm,
        })
    }
}
