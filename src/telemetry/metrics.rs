//! What the notes add up to, as Prometheus has it. Names begin with `evenkeel_`; the driver adds
//! its own to the same registry.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use rust_decimal::prelude::ToPrimitive;

use super::Names;
use crate::domain::{Money, Note, State};

type Labels = Vec<(&'static str, String)>;
type Count = Family<Labels, Counter>;
type Level = Family<Labels, Gauge<f64, AtomicU64>>;

mod estimates;

use estimates::Estimates;

/// Counters and gauges fed by notes.
#[derive(Clone, Debug)]
pub struct Metrics {
    state: Level,
    orders: Count,
    rejects: Count,
    unknown: Count,
    blocked: Count,
    fills: Count,
    fees: Level,
    position: Level,
    fair: Level,
    skew: Level,
    half_spread: Level,
    side_quoting: Level,
    signal: Level,
    toxic: Count,
    hedges: Count,
    hedge_seconds: Histogram,
    capital_at_risk: Level,
    capital_limit: Level,
    capital_var: Level,
    capital_exit_cost: Level,
    capital_pressure: Level,
    hedge_cost: Level,
    hedge_risk_removed: Level,
    hedge_band: Level,
    books_lost: Count,
    garbled: Count,
    differs: Count,
    halts: Count,
    reloads: Counter,
    invariants: Counter,
    estimates: Estimates,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            state: Family::default(),
            orders: Family::default(),
            rejects: Family::default(),
            unknown: Family::default(),
            blocked: Family::default(),
            fills: Family::default(),
            fees: Family::default(),
            position: Family::default(),
            fair: Family::default(),
            skew: Family::default(),
            half_spread: Family::default(),
            side_quoting: Family::default(),
            signal: Family::default(),
            toxic: Family::default(),
            hedges: Family::default(),
            hedge_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 14)),
            capital_at_risk: Family::default(),
            capital_limit: Family::default(),
            capital_var: Family::default(),
            capital_exit_cost: Family::default(),
            capital_pressure: Family::default(),
            hedge_cost: Family::default(),
            hedge_risk_removed: Family::default(),
            hedge_band: Family::default(),
            books_lost: Family::default(),
            garbled: Family::default(),
            differs: Family::default(),
            halts: Family::default(),
            reloads: Counter::default(),
            invariants: Counter::default(),
            estimates: Estimates::default(),
        }
    }
}

impl Metrics {
    /// Put all of them into a registry, with their help texts.
    pub fn register(&self, r: &mut Registry) {
        self.register_orders(r);
        self.register_state(r);
        self.estimates.register(r);
        self.register_capital(r);
    }

    fn register_orders(&self, r: &mut Registry) {
        r.register("evenkeel_orders_sent", "Orders sent, by purpose", self.orders.clone());
        r.register(
            "evenkeel_orders_rejected",
            "Orders a venue refused, by class",
            self.rejects.clone(),
        );
        r.register(
            "evenkeel_orders_unknown",
            "Orders whose fate became unknown",
            self.unknown.clone(),
        );
        r.register(
            "evenkeel_orders_blocked",
            "Orders held back by the risk gate, by reason",
            self.blocked.clone(),
        );
        r.register("evenkeel_fills", "Fills, by side and liquidity", self.fills.clone());
        r.register(
            "evenkeel_fees_quote",
            "Fees paid, quote currency; rebates count below zero",
            self.fees.clone(),
        );
        r.register("evenkeel_hedges", "Hedges begun", self.hedges.clone());
        r.register_with_unit(
            "evenkeel_hedge",
            "From the trigger to net exposure back inside it",
            Unit::Seconds,
            self.hedge_seconds.clone(),
        );
        r.register(
            "evenkeel_hedge_cost_quote",
            "Paid for hedges: fees and slippage against the mid when decided, quote",
            self.hedge_cost.clone(),
        );
        r.register(
            "evenkeel_hedge_risk_removed_quote",
            "Standard deviation of the result that hedges took away, summed, quote",
            self.hedge_risk_removed.clone(),
        );
        r.register(
            "evenkeel_hedge_band_base",
            "Net exposure inside which waiting is cheaper than hedging, base",
            self.hedge_band.clone(),
        );
    }

    fn register_capital(&self, r: &mut Registry) {
        r.register(
            "evenkeel_capital_at_risk_quote",
            "Liquidation-adjusted value at risk, quote; +Inf when a book is too thin to leave through",
            self.capital_at_risk.clone(),
        );
        r.register(
            "evenkeel_capital_limit_quote",
            "Limit on capital at risk, quote; absent without one",
            self.capital_limit.clone(),
        );
        r.register(
            "evenkeel_capital_var_quote",
            "Parametric value at risk over the horizon, quote",
            self.capital_var.clone(),
        );
        r.register(
            "evenkeel_capital_exit_cost_quote",
            "Cost of leaving through the books now, quote; +Inf when they do not take it all",
            self.capital_exit_cost.clone(),
        );
        r.register(
            "evenkeel_capital_pressure",
            "0 without pressure to 1 at the limit on capital at risk",
            self.capital_pressure.clone(),
        );
    }

    fn register_state(&self, r: &mut Registry) {
        r.register("evenkeel_state", "1 for the state the daemon is in", self.state.clone());
        r.register(
            "evenkeel_position_lots",
            "Position after the last fill, signed lots",
            self.position.clone(),
        );
        r.register("evenkeel_fair_price_quote", "Fair price, quote per base", self.fair.clone());
        r.register(
            "evenkeel_skew_bps",
            "Reservation price against fair price, basis points",
            self.skew.clone(),
        );
        r.register(
            "evenkeel_half_spread_bps",
            "Half-spread of the model, basis points",
            self.half_spread.clone(),
        );
        r.register(
            "evenkeel_side_quoting",
            "1 while the side quotes, 0 while a reason stands against it",
            self.side_quoting.clone(),
        );
        r.register(
            "evenkeel_signal",
            "What a signal says, by name, while it is trusted",
            self.signal.clone(),
        );
        r.register(
            "evenkeel_sides_toxic",
            "Times that a side was pulled because its fills cost more than they earn",
            self.toxic.clone(),
        );
        r.register(
            "evenkeel_books_lost",
            "Times that a book was no longer proven, by reason",
            self.books_lost.clone(),
        );
        r.register(
            "evenkeel_garbled",
            "Messages of a venue that could not be read",
            self.garbled.clone(),
        );
        r.register(
            "evenkeel_reconcile_differences",
            "Times that our ledger and the venue's differed",
            self.differs.clone(),
        );
        self.register_rare(r);
    }

    /// What should not happen often.
    fn register_rare(&self, r: &mut Registry) {
        r.register("evenkeel_halts", "Halts, by cause", self.halts.clone());
        r.register(
            "evenkeel_reloads",
            "Times that settings were changed while running",
            self.reloads.clone(),
        );
        r.register(
            "evenkeel_invariants_broken",
            "Things that must never happen and did",
            self.invariants.clone(),
        );
    }

    /// Count one note.
    pub(super) fn count(&self, note: &Note, names: &Names) {
        let venue = |id| ("venue", names.venue(id).to_owned());
        let instrument = |id| ("instrument", names.instrument(id).to_owned());
        match note {
            Note::StateChanged { from, to, .. } => self.state(*from, *to),
            Note::SideReason { instrument: id, side, reason } => {
                let labels = vec![instrument(*id), ("side", side.to_string())];
                let quoting = *reason == crate::domain::Reason::Quoting;
                self.side_quoting.get_or_create(&labels).set(f64::from(u8::from(quoting)));
            }
            Note::Quoted { instrument: id, fair, skew_bps, half_spread_bps, .. } => {
                let labels = vec![instrument(*id)];
                self.fair.get_or_create(&labels).set(*fair);
                self.skew.get_or_create(&labels).set(*skew_bps);
                self.half_spread.get_or_create(&labels).set(*half_spread_bps);
            }
            Note::SideToxic { instrument: id, side, .. } => {
                inc(&self.toxic, &vec![instrument(*id), ("side", side.to_string())]);
            }
            Note::Signals { instrument: id, readings } => {
                readings
                    .iter()
                    .for_each(|(name, value)| self.signal(&instrument(*id), name, *value));
            }
            Note::OrderSent { .. }
            | Note::OrderRejected { .. }
            | Note::OrderUnknown { .. }
            | Note::GateBlocked { .. }
            | Note::Filled { .. } => self.orders(note, names),
            Note::HedgeStarted { instrument: id, .. } => inc(&self.hedges, &vec![instrument(*id)]),
            Note::Capital { .. } => self.capital(note),
            Note::HedgeDone { .. } => self.hedge_done(note),
            Note::HedgeBand { base, band_base, .. } => {
                self.hedge_band.get_or_create(&vec![("base", base.clone())]).set(*band_base);
            }
            Note::BookLost { instrument: id, why } => {
                inc(&self.books_lost, &vec![instrument(*id), ("why", word(why))]);
            }
            Note::Garbled { venue: id, .. } => inc(&self.garbled, &vec![venue(*id)]),
            Note::ReconcileDiffers { venue: id, .. } => inc(&self.differs, &vec![venue(*id)]),
            Note::Halted { cause, .. } => inc(&self.halts, &vec![("cause", word(cause))]),
            Note::Invariant { .. } => {
                self.invariants.inc();
            }
            Note::Reloaded { .. } => {
                self.reloads.inc();
            }
            Note::FairSourceChanged { .. } | Note::Measured { .. } => {
                self.estimates.count(note, names);
            }
            // Links are counted by the driver; the others are for the log alone.
            Note::OrderEnded { .. }
            | Note::Explained { .. }
            | Note::HedgeLate { .. }
            | Note::BookSynced { .. }
            | Note::Link { .. }
            | Note::Paused { .. }
            | Note::Reconciled { .. }
            | Note::Listed { .. }
            | Note::TargetTaken { .. }
            | Note::HoldingMoved { .. }
            | Note::KeyChecked { .. }
            | Note::Latch { .. } => {}
        }
    }

    /// A signal that is not to be trusted has no metric.
    fn signal(&self, instrument: &(&'static str, String), name: &str, value: Option<f64>) {
        let labels = vec![instrument.clone(), ("signal", name.to_owned())];
        if let Some(value) = value {
            self.signal.get_or_create_owned(&labels).set(value);
        } else {
            self.signal.remove(&labels);
        }
    }

    fn capital(&self, note: &Note) {
        let Note::Capital {
            at_risk_quote, limit_quote, var_quote, exit_cost_quote, pressure, ..
        } = note
        else {
            return;
        };
        let set = |level: &Level, value: f64| {
            level.get_or_create(&Vec::new()).set(value);
        };
        set(&self.capital_at_risk, at_risk_quote.unwrap_or(f64::INFINITY));
        if let Some(limit) = limit_quote {
            set(&self.capital_limit, *limit);
        }
        set(&self.capital_var, *var_quote);
        set(&self.capital_exit_cost, exit_cost_quote.unwrap_or(f64::INFINITY));
        set(&self.capital_pressure, *pressure);
    }

    fn hedge_done(&self, note: &Note) {
        let Note::HedgeDone {
            base, took_ms, fees_quote, slippage_quote, risk_removed_quote, ..
        } = note
        else {
            return;
        };
        self.hedge_seconds.observe(*took_ms as f64 * 1e-3);
        let labels = vec![("base", base.clone())];
        self.hedge_cost.get_or_create(&labels).inc_by(number(*fees_quote + *slippage_quote));
        self.hedge_risk_removed.get_or_create(&labels).inc_by(*risk_removed_quote);
    }

    fn orders(&self, note: &Note, names: &Names) {
        let instrument = |id| ("instrument", names.instrument(id).to_owned());
        match note {
            Note::OrderSent { instrument: id, purpose, .. } => {
                inc(&self.orders, &vec![instrument(*id), ("purpose", word(purpose))]);
            }
            Note::OrderRejected { instrument: id, class, .. } => {
                inc(&self.rejects, &vec![instrument(*id), ("class", word(class))]);
            }
            Note::OrderUnknown { instrument: id, .. } => inc(&self.unknown, &vec![instrument(*id)]),
            Note::GateBlocked { instrument: id, reason, .. } => {
                let reason = reason.as_str().to_owned();
                inc(&self.blocked, &vec![instrument(*id), ("reason", reason)]);
            }
            Note::Filled { instrument: id, side, liquidity, fee_quote, position, .. } => {
                let at = instrument(*id);
                let labels =
                    vec![at.clone(), ("side", side.to_string()), ("liquidity", word(liquidity))];
                inc(&self.fills, &labels);
                self.fees.get_or_create(&vec![at.clone()]).inc_by(number(*fee_quote));
                self.position.get_or_create(&vec![at]).set(position.0 as f64);
            }
            _ => {}
        }
    }

    fn state(&self, from: State, to: State) {
        self.state.get_or_create(&vec![("state", from.to_string())]).set(0.0);
        self.state.get_or_create(&vec![("state", to.to_string())]).set(1.0);
    }
}

fn inc(count: &Count, labels: &Labels) {
    count.get_or_create_owned(labels).inc();
}

fn number(amount: Money) -> f64 {
    amount.to_f64().unwrap_or(0.0)
}

/// A word of the domain by its serialised name.
fn word(word: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(word).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
