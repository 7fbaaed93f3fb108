//! Levels that the status already holds, as Prometheus has them: read off the last snapshot when
//! somebody asks, so that they cost the trading thread nothing.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rust_decimal::prelude::ToPrimitive;

use super::metrics::link_name;
use super::status::Snapshot;
use crate::domain::{Money, Reason, State};
use crate::engine::{InstrumentView, VenueView};

type Labels = Vec<(&'static str, String)>;
type Level = Family<Labels, Gauge<f64, AtomicU64>>;

/// The gauges of the status.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauges {
    exposure_quote: Level,
    exposure_base: Level,
    beyond_trigger_s: Level,
    half_life_s: Level,
    inventory_base: Level,
    profit_quote: Level,
    profit_part_quote: Level,
    uptime_ratio: Level,
    volatility: Level,
    best_price: Level,
    open_orders: Level,
    unknown_orders: Level,
    foreign_orders: Level,
    stream_age_s: Level,
    stream_usable: Level,
    clock_offset_s: Level,
    weight_ratio: Level,
    order_count_ratio: Level,
    paused: Gauge,
    quoting_sides: Gauge,
}

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        let levels: [(&str, &str, &Level); 18] = [
            ("exposure_quote", "Net exposure of a base asset, quote", &self.exposure_quote),
            ("exposure_base", "Net exposure of a base asset, base", &self.exposure_base),
            (
                "exposure_beyond_trigger_seconds",
                "How long exposure has been beyond its hedge trigger",
                &self.beyond_trigger_s,
            ),
            ("inventory_base", "Held off target, signed, base", &self.inventory_base),
            (
                "inventory_half_life_seconds",
                "Time in which net inventory has come half of the way back",
                &self.half_life_s,
            ),
            ("profit_quote", "Result of the session at the last mark", &self.profit_quote),
            (
                "profit_part_quote",
                "Parts of the result; they sum to it exactly",
                &self.profit_part_quote,
            ),
            ("quoting_uptime_ratio", "Share of the session with a quote", &self.uptime_ratio),
            ("volatility_bps_sqrt_s", "Volatility reckoned with", &self.volatility),
            ("best_price_quote", "Best price of the market", &self.best_price),
            ("open_orders", "Orders of ours that are not closed", &self.open_orders),
            ("orders_in_doubt", "Orders whose fate is unknown now", &self.unknown_orders),
            ("foreign_orders", "Open orders that are not ours", &self.foreign_orders),
            ("stream_age_seconds", "Since a stream's last sign of life", &self.stream_age_s),
            (
                "stream_usable",
                "1 while a venue's market or user stream can be relied on, its dead-man switch \
                 armed where there is one",
                &self.stream_usable,
            ),
            ("clock_offset_seconds", "Venue clock minus ours", &self.clock_offset_s),
            ("weight_used_ratio", "Request weight used, of the limit", &self.weight_ratio),
            ("order_count_used_ratio", "Orders in 10 s, of the limit", &self.order_count_ratio),
        ];
        for (name, help, level) in levels {
            registry.register(format!("evenkeel_{name}"), help, level.clone());
        }
        registry.register("evenkeel_paused", "1 while paused by the operator", self.paused.clone());
        registry.register(
            "evenkeel_quoting_sides",
            "Sides that quote now, over all instruments",
            self.quoting_sides.clone(),
        );
    }

    /// Bring all of them up to date.
    pub(super) fn show(&self, snapshot: &Snapshot) {
        let engine = &snapshot.engine;
        self.paused.set(i64::from(engine.paused));
        for group in &engine.exposure {
            let labels = vec![("base", group.base.clone())];
            set(&self.exposure_base, &labels, number(group.net_base));
            set(&self.exposure_quote, &labels, group.net_quote.unwrap_or(f64::NAN));
            let beyond_ms = group.beyond_trigger_ms.unwrap_or(0);
            set(&self.beyond_trigger_s, &labels, beyond_ms as f64 * 1e-3);
            set(&self.half_life_s, &labels, group.half_life_s.unwrap_or(f64::NAN));
        }
        let mut quoting = 0;
        for own in &engine.instruments {
            quoting += [&own.bid, &own.ask].iter().filter(|s| s.reason == Reason::Quoting).count();
            self.instrument(own);
            // Until the accounts have been read nobody knows what is held.
            if !matches!(engine.state, State::Starting | State::Reconciling) {
                let labels = vec![("instrument", format!("{}:{}", own.venue, own.symbol))];
                let off = own.target_base.map_or(Money::ZERO, |target| own.held_base - target);
                set(&self.inventory_base, &labels, number(off));
            }
        }
        self.quoting_sides.set(i64::try_from(quoting).unwrap_or(i64::MAX));
        for venue in &engine.venues {
            let at = |order: &&crate::engine::OrderView| order.venue == venue.name;
            let open = engine.orders.iter().filter(at).count();
            let unknown = engine.orders.iter().filter(at).filter(|o| o.state == "unknown").count();
            self.venue(venue, open, unknown);
        }
        for link in &snapshot.driver.links {
            let labels = vec![
                ("venue", link.venue_name.to_string()),
                ("link", link_name(link.link).to_owned()),
            ];
            set(&self.stream_age_s, &labels, link.quiet_ms as f64 * 1e-3);
        }
    }

    fn instrument(&self, own: &InstrumentView) {
        let label = ("instrument", format!("{}:{}", own.venue, own.symbol));
        let labels = vec![label.clone()];
        set(&self.profit_quote, &labels, number(own.profit_quote));
        set(&self.volatility, &labels, own.volatility_bps_sqrt_s.unwrap_or(f64::NAN));
        if let Some(parts) = &own.parts {
            for (part, amount) in [
                ("spread_capture", parts.spread_capture),
                ("inventory", parts.inventory),
                ("hedge", parts.hedge),
                ("fees", parts.fees),
                ("funding", parts.funding),
            ] {
                let labels = vec![label.clone(), ("part", part.to_owned())];
                set(&self.profit_part_quote, &labels, number(amount));
            }
        }
        for (side, view) in [("buy", &own.bid), ("sell", &own.ask)] {
            let labels = vec![label.clone(), ("side", side.to_owned())];
            if own.quoted {
                set(&self.uptime_ratio, &labels, view.uptime);
            }
            let best = view.best.map_or(f64::NAN, |best| number(best.price));
            set(&self.best_price, &labels, best);
        }
    }

    fn venue(&self, venue: &VenueView, open: usize, unknown: usize) {
        let labels = vec![("venue", venue.name.clone())];
        set(&self.open_orders, &labels, open as f64);
        set(&self.unknown_orders, &labels, unknown as f64);
        set(&self.foreign_orders, &labels, venue.foreign_orders as f64);
        for (stream, up) in [("market", venue.market_up), ("user", venue.user_up)] {
            let labels = vec![labels[0].clone(), ("stream", stream.to_owned())];
            set(&self.stream_usable, &labels, f64::from(u8::from(up)));
        }
        if let Some(offset) = venue.clock_offset_ms {
            set(&self.clock_offset_s, &labels, offset as f64 * 1e-3);
        }
        let usage = &venue.usage;
        let ratio = |used: u32, limit: u32| f64::from(used) / f64::from(limit.max(1));
        if usage.weight_limit > 0 {
            set(&self.weight_ratio, &labels, ratio(usage.weight_used, usage.weight_limit));
        }
        if usage.orders_limit > 0 {
            set(&self.order_count_ratio, &labels, ratio(usage.orders_used, usage.orders_limit));
        }
    }
}

fn set(level: &Level, labels: &Labels, value: f64) {
    level.get_or_create(labels).set(value);
}

fn number(amount: Money) -> f64 {
    amount.to_f64().unwrap_or(f64::NAN)
}
