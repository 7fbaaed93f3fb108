//! The table: each note's event name, level, fields and words. What each event means stands in
//! [`EVENTS`](super::EVENTS).

mod estimates;

use estimates::{estimates, signals};
use serde_json::{Map, Value};

use crate::domain::{
    CapitalStage, Instrument, InstrumentId, KeyCheck, Money, Note, NoteLevel, OrderId, Purpose, Px,
    Qty, Reason, SettingChange, VenueId,
};

/// How instruments and venues are called in logs and metrics, and their scales once listed.
#[derive(Clone, Debug, Default)]
pub struct Names {
    venues: Vec<String>,
    instruments: Vec<(String, Option<Instrument>)>,
}

impl Names {
    /// Names by id: venues as configured, instruments as (venue, symbol).
    #[must_use]
    pub fn new(venues: Vec<String>, instruments: &[(VenueId, String)]) -> Names {
        let label = |(venue, symbol): &(VenueId, String)| {
            let venue = venues.get(venue.index()).map_or("?", String::as_str);
            (format!("{venue}:{symbol}"), None)
        };
        Names { instruments: instruments.iter().map(label).collect(), venues }
    }

    pub(super) fn listed(&mut self, instrument: &Instrument) {
        if let Some((_, scales)) = self.instruments.get_mut(instrument.id.index()) {
            *scales = Some(instrument.clone());
        }
    }

    /// The venue as configured.
    #[must_use]
    pub fn venue(&self, id: VenueId) -> &str {
        self.venues.get(id.index()).map_or("?", String::as_str)
    }

    /// The instrument as `venue:SYMBOL`.
    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> &str {
        self.instruments.get(id.index()).map_or("?", |(label, _)| label)
    }

    fn scales(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index()).and_then(|(_, scales)| scales.as_ref())
    }

    /// The price as a decimal; in ticks where scales are not known yet, and it says so.
    fn px(&self, id: InstrumentId, px: Px) -> String {
        self.scales(id).map_or_else(|| format!("{} ticks", px.0), |i| i.price(px).to_string())
    }

    /// The quantity as a decimal in base; in lots where scales are not known yet.
    fn qty(&self, id: InstrumentId, qty: Qty) -> String {
        self.scales(id).map_or_else(|| format!("{} lots", qty.0), |i| i.quantity(qty).to_string())
    }
}

/// A note as a log line.
#[derive(Clone, Debug)]
pub struct Line {
    /// How loud.
    pub level: NoteLevel,
    /// The stable name.
    pub event: &'static str,
    /// For machines: snake_case keys, amounts as decimal strings.
    pub fields: Map<String, Value>,
    /// For people.
    pub message: String,
    /// Lines of one key come at most once a second; `None` always comes.
    pub flood_key: Option<String>,
}

impl Line {
    fn new(level: NoteLevel, event: &'static str, message: impl Into<String>) -> Line {
        Line { level, event, fields: Map::new(), message: message.into(), flood_key: None }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Line {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// A word of the domain by its serialised name.
    fn word(self, key: &str, word: &impl serde::Serialize) -> Line {
        let value = serde_json::to_value(word).expect("a unit variant serialises to its name");
        self.with(key, value)
    }

    fn order(self, id: OrderId) -> Line {
        self.with("order", format!("{}-{}", id.epoch, id.counter))
    }

    fn floods(mut self, key: &str) -> Line {
        self.flood_key = Some(format!("{} {key}", self.event));
        self
    }
}

/// A note as a log line.
#[must_use]
pub fn describe(note: &Note, names: &Names) -> Line {
    orders(note, names)
        .or_else(|| trading(note, names))
        .or_else(|| hedges(note, names))
        .or_else(|| estimates(note, names))
        .or_else(|| connections(note, names))
        .unwrap_or_else(|| daemon(note))
}

/// The life of orders.
fn orders(note: &Note, names: &Names) -> Option<Line> {
    use NoteLevel::{Debug, Info, Warn};
    Some(match note {
        Note::OrderSent { id, instrument, side, px, qty, purpose } => {
            let (px, qty) = (names.px(*instrument, *px), names.qty(*instrument, *qty));
            let label = names.instrument(*instrument);
            Line::new(Debug, "order_sent", format!("{label}: {side} {qty} at {px}"))
                .order(*id)
                .with("instrument", label)
                .word("side", side)
                .with("price", px)
                .with("quantity", qty)
                .word("purpose", purpose)
        }
        Note::OrderEnded { id, instrument, filled, status } => {
            let (label, filled) = (names.instrument(*instrument), names.qty(*instrument, *filled));
            let line =
                Line::new(Debug, "order_ended", format!("{label}: order ended, filled {filled}"));
            line.order(*id).with("instrument", label).with("filled", filled).word("status", status)
        }
        Note::OrderRejected { id, instrument, class, text } => {
            let label = names.instrument(*instrument);
            Line::new(Warn, "order_rejected", format!("{label}: order refused: {text}"))
                .order(*id)
                .with("instrument", label)
                .word("class", class)
                .with("text", text.as_str())
                .floods(&format!("{label} {class:?}"))
        }
        Note::OrderUnknown { id, instrument, text } => {
            let label = names.instrument(*instrument);
            let words = format!("{label}: fate of an order unknown, it counts as live: {text}");
            Line::new(Warn, "order_unknown", words)
                .order(*id)
                .with("instrument", label)
                .with("text", text.as_str())
        }
        Note::GateBlocked { instrument, side, reason, purpose } => {
            let label = names.instrument(*instrument);
            let words = format!("{label}: {side} held back: {}", reason.as_str());
            // A quote at a limit is that limit at work; a hedge that cannot leave is trouble.
            let at_work = matches!(reason, Reason::InventoryLimit | Reason::OwnOrderInTheWay);
            let level = if at_work && *purpose == Purpose::Quote { Info } else { Warn };
            Line::new(level, "gate_blocked", words)
                .with("instrument", label)
                .word("side", side)
                .with("reason", reason.as_str())
                .word("purpose", purpose)
                .floods(&format!("{label} {side} {}", reason.as_str()))
        }
        _ => return None,
    })
}

/// Quotes, fills and hedges.
fn trading(note: &Note, names: &Names) -> Option<Line> {
    use NoteLevel::Info;
    Some(match note {
        Note::SideReason { instrument, side, reason } => {
            let label = names.instrument(*instrument);
            Line::new(Info, "side_reason", format!("{label}: {side} side: {}", reason.as_str()))
                .with("instrument", label)
                .word("side", side)
                .with("reason", reason.as_str())
                .floods(&format!("{label} {side} {}", reason.as_str()))
        }
        Note::Quoted { .. } => quoted(note, names)?,
        Note::SideToxic { .. } | Note::Signals { .. } => signals(note, names)?,
        Note::Explained { instrument, text } => {
            let label = names.instrument(*instrument);
            Line::new(NoteLevel::Debug, "explained", format!("{label}: {text}"))
                .with("instrument", label)
                .with("text", text.as_str())
        }
        Note::Filled { instrument, id, side, px, qty, liquidity, fee_quote, position, purpose } => {
            let label = names.instrument(*instrument);
            let (px, qty) = (names.px(*instrument, *px), names.qty(*instrument, *qty));
            let position = names.qty(*instrument, *position);
            let words = format!("{label}: {side} {qty} filled at {px}, position {position}");
            let line = Line::new(Info, "filled", words)
                .with("instrument", label)
                .word("side", side)
                .with("price", px)
                .with("quantity", qty)
                .word("liquidity", liquidity)
                .with("fee_quote", fee_quote.to_string())
                .with("position", position)
                .word("purpose", purpose);
            match id {
                Some(id) => line.order(*id),
                None => line.with("order", Value::Null),
            }
        }
        Note::Capital { .. } => capital(note)?,
        _ => return None,
    })
}

/// What is taken off, and what it cost.
fn hedges(note: &Note, names: &Names) -> Option<Line> {
    use NoteLevel::{Error, Info};
    Some(match note {
        Note::HedgeStarted { instrument, side, qty, exposure_base, waited_ms } => {
            let (label, qty) = (names.instrument(*instrument), names.qty(*instrument, *qty));
            let exposure = amount(*exposure_base);
            let words = format!("{label}: hedge {side} {qty}, exposure {exposure}");
            Line::new(Info, "hedge_started", words)
                .with("instrument", label)
                .word("side", side)
                .with("quantity", qty)
                .with("exposure_base", exposure)
                .with("waited_ms", *waited_ms)
        }
        Note::HedgeDone { .. } => hedge_done(note, names)?,
        Note::HedgeBand { base, band_base, cost_bps, skew_bps_per_base, std_base } => {
            let band = amount(*band_base);
            let words = format!("{base}: hedge band {band}, hedging costs {cost_bps:.2} bps");
            Line::new(NoteLevel::Debug, "hedge_band", words)
                .with("base", base.as_str())
                .with("band_base", band)
                .with("cost_bps", *cost_bps)
                .with("skew_bps_per_base", *skew_bps_per_base)
                .with("std_base", amount(*std_base))
        }
        Note::HedgeLate { base, exposure_base, since_ms } => {
            let exposure = amount(*exposure_base);
            let words = format!("{base}: not hedged for {since_ms} ms, exposure {exposure}");
            Line::new(Error, "hedge_late", words)
                .with("base", base.as_str())
                .with("exposure_base", exposure)
                .with("since_ms", *since_ms)
                .floods(base)
        }
        _ => return None,
    })
}

fn hedge_done(note: &Note, names: &Names) -> Option<Line> {
    let Note::HedgeDone {
        base,
        instrument,
        exposure_base,
        took_ms,
        hedged_base,
        fees_quote,
        slippage_quote,
        risk_removed_quote,
    } = note
    else {
        return None;
    };
    let exposure = amount(*exposure_base);
    let cost = (*fees_quote + *slippage_quote).round_dp(4).normalize();
    let words = match instrument {
        Some(_) => format!(
            "{base}: hedged {} in {took_ms} ms for {cost}, exposure {exposure}",
            hedged_base.normalize()
        ),
        None => format!("{base}: back inside after {took_ms} ms unhedged, exposure {exposure}"),
    };
    Some(
        Line::new(NoteLevel::Info, "hedge_done", words)
            .with("base", base.as_str())
            .with("instrument", instrument.map(|id| names.instrument(id)))
            .with("exposure_base", exposure)
            .with("took_ms", *took_ms)
            .with("hedged_base", hedged_base.to_string())
            .with("fees_quote", fees_quote.to_string())
            .with("slippage_quote", slippage_quote.to_string())
            .with("risk_removed_quote", amount(*risk_removed_quote)),
    )
}

fn quoted(note: &Note, names: &Names) -> Option<Line> {
    let Note::Quoted {
        instrument,
        fair,
        reservation,
        half_spread_bps,
        skew_bps,
        volatility_bps_sqrt_s,
        inventory_base,
    } = note
    else {
        return None;
    };
    let label = names.instrument(*instrument);
    let words = format!(
        "{label}: fair {}, skew {skew_bps:.2} bps, half-spread {half_spread_bps:.2} bps",
        amount(*fair)
    );
    let line = Line::new(NoteLevel::Debug, "quoted", words)
        .with("instrument", label)
        .with("fair", amount(*fair))
        .with("reservation", amount(*reservation))
        .with("half_spread_bps", *half_spread_bps)
        .with("skew_bps", *skew_bps)
        .with("volatility_bps_sqrt_s", *volatility_bps_sqrt_s)
        .with("inventory_base", amount(*inventory_base));
    Some(line)
}

fn capital(note: &Note) -> Option<Line> {
    let Note::Capital {
        from,
        to,
        at_risk_quote,
        limit_quote,
        var_quote,
        exit_cost_quote,
        pressure,
    } = note
    else {
        return None;
    };
    let show = |value: &Option<f64>, none: &str| value.map_or_else(|| none.to_owned(), amount);
    let (level, event) = match (from == to, to) {
        (true, _) => (NoteLevel::Debug, "capital"),
        (false, CapitalStage::AtLimit) => (NoteLevel::Warn, "capital_stage"),
        (false, _) => (NoteLevel::Info, "capital_stage"),
    };
    let at_risk = show(at_risk_quote, "unknown, a book is too thin to leave through");
    let words = format!("capital at risk {at_risk}, limit {}", show(limit_quote, "none"));
    let value = |value: &Option<f64>| value.map_or(Value::Null, |value| amount(value).into());
    let line = Line::new(level, event, words)
        .word("from", from)
        .word("to", to)
        .with("at_risk_quote", value(at_risk_quote))
        .with("limit_quote", value(limit_quote))
        .with("var_quote", amount(*var_quote))
        .with("exit_cost_quote", value(exit_cost_quote))
        .with("pressure", *pressure);
    Some(line)
}

/// Books, links and accounts.
fn connections(note: &Note, names: &Names) -> Option<Line> {
    use NoteLevel::{Debug, Error, Info, Warn};
    Some(match note {
        Note::BookSynced { instrument } => {
            let label = names.instrument(*instrument);
            Line::new(Info, "book_synced", format!("{label}: book is proven"))
                .with("instrument", label)
                .floods(label)
        }
        Note::BookLost { instrument, why } => {
            let label = names.instrument(*instrument);
            Line::new(Warn, "book_lost", format!("{label}: book is not proven any more"))
                .with("instrument", label)
                .word("why", why)
                .floods(label)
        }
        Note::Link { venue, link, up, text } => {
            let venue = names.venue(*venue);
            let (level, event) = if *up { (Info, "link_up") } else { (Warn, "link_down") };
            let line = Line::new(level, event, format!("{venue}: {event} {text}").trim_end())
                .with("venue", venue)
                .word("link", link)
                .with("text", text.as_str());
            if *up { line } else { line.floods(&format!("{venue} {link:?}")) }
        }
        Note::Garbled { venue, text } => {
            let venue = names.venue(*venue);
            Line::new(Warn, "garbled", format!("{venue}: cannot be read: {text}"))
                .with("venue", venue)
                .with("text", text.as_str())
                .floods(venue)
        }
        Note::HoldingMoved { name, base, .. } => {
            let text = format!(
                "{name}: {base} came or went while nobody looked, by no trade of ours; it is no \
                 part of the result"
            );
            Line::new(Warn, "holding_moved", text)
                .with("instrument", name.as_str())
                .with("base", base.to_string())
        }
        Note::KeyChecked { venue, check, text } => {
            let level = if *check == KeyCheck::Sound { Info } else { Warn };
            let venue = names.venue(*venue);
            Line::new(level, "key_checked", format!("{venue}: {text}"))
                .with("venue", venue)
                .word("check", check)
        }
        Note::ReconcileDiffers { venue, text } => {
            let venue = names.venue(*venue);
            Line::new(Error, "reconcile_differs", format!("{venue}: ledgers differ: {text}"))
                .with("venue", venue)
                .with("text", text.as_str())
        }
        Note::Reconciled { venue, open_orders, foreign_orders } => {
            let venue = names.venue(*venue);
            Line::new(Debug, "reconciled", format!("{venue}: account read, ledgers agree"))
                .with("venue", venue)
                .with("open_orders", *open_orders)
                .with("foreign_orders", *foreign_orders)
        }
        _ => return None,
    })
}

fn listed(instrument: &Instrument) -> Line {
    let text = format!(
        "{}: tick {}, lot {}, least notional {}, {}",
        instrument.symbol,
        instrument.tick_size,
        instrument.lot_size,
        instrument.min_notional,
        if instrument.trading { "trading" } else { "not trading" }
    );
    Line::new(NoteLevel::Info, "instrument_listed", text)
        .with("symbol", instrument.symbol.as_str())
        .with("tick_size", instrument.tick_size.to_string())
        .with("lot_size", instrument.lot_size.to_string())
        .with("min_notional_quote", instrument.min_notional.to_string())
        .with("trading", instrument.trading)
}

/// The daemon as a whole. The last of the table: a variant that is nowhere does not compile.
fn daemon(note: &Note) -> Line {
    use NoteLevel::{Debug, Error, Info, Warn};
    match note {
        Note::StateChanged { from, to, why } => {
            Line::new(Info, "state_changed", format!("{from} → {to}: {why}"))
                .word("from", from)
                .word("to", to)
                .with("why", why.as_str())
        }
        Note::TargetTaken { name, base, .. } => {
            let text = format!("{name}: what was found, {base}, counts as flat from now on");
            Line::new(Info, "target_taken", text)
                .with("instrument", name.as_str())
                .with("base", base.to_string())
        }
        Note::Paused { paused } => {
            let event = if *paused { "paused" } else { "resumed" };
            Line::new(Info, event, format!("{event} by the operator"))
        }
        Note::Reloaded { changes } => reloaded(changes),
        Note::Halted { cause, text } => Line::new(Error, "halted", format!("halted: {text}"))
            .word("cause", cause)
            .with("text", text.as_str()),
        Note::Listed { instrument } => listed(instrument),
        Note::Latch { set, text } => {
            let event = if *set { "latch_set" } else { "latch_cleared" };
            Line::new(Warn, event, text.as_str()).with("text", text.as_str())
        }
        Note::Invariant { text } => Line::new(Error, "invariant", format!("a bug of ours: {text}"))
            .with("text", text.as_str()),
        Note::SideReason { .. }
        | Note::Quoted { .. }
        | Note::SideToxic { .. }
        | Note::Signals { .. }
        | Note::Explained { .. }
        | Note::OrderSent { .. }
        | Note::OrderEnded { .. }
        | Note::OrderRejected { .. }
        | Note::OrderUnknown { .. }
        | Note::GateBlocked { .. }
        | Note::Filled { .. }
        | Note::HedgeStarted { .. }
        | Note::HedgeDone { .. }
        | Note::HedgeBand { .. }
        | Note::HedgeLate { .. }
        | Note::Capital { .. }
        | Note::BookSynced { .. }
        | Note::BookLost { .. }
        | Note::Link { .. }
        | Note::Garbled { .. }
        | Note::ReconcileDiffers { .. }
        | Note::KeyChecked { .. }
        | Note::HoldingMoved { .. }
        | Note::Reconciled { .. }
        | Note::FairSourceChanged { .. }
        | Note::Measured { .. } => Line::new(Debug, "note", "a note of another part of the table"),
    }
}

/// Each changed setting with what it was and what it is.
fn reloaded(changes: &[SettingChange]) -> Line {
    let told = |side: &Option<String>| side.clone().unwrap_or_else(|| "unset".to_owned());
    let words = changes.iter().map(|change| {
        format!("{} {} -> {}", change.key, told(&change.before), told(&change.after))
    });
    let text = format!("settings reloaded: {}", words.collect::<Vec<_>>().join(", "));
    Line::new(NoteLevel::Info, "reloaded", text).word("changes", &changes)
}

/// A model amount as a decimal string of eight places at most.
fn amount(value: f64) -> String {
    let decimal: Money = Instrument::money(value);
    decimal.round_dp(8).normalize().to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{
        Asset, BookLoss, FairSource, HaltCause, InstrumentKind, LinkKind, Liquidity, OrderStatus,
        RejectClass, Side, State,
    };

    fn measured() -> Note {
        Note::Measured {
            instrument: InstrumentId(0),
            own: Some(1.0),
            fused: None,
            basis_bps: None,
            weight: 0.0,
            lead_ratio: None,
            volatility_fast_bps_sqrt_s: Some(1.0),
            volatility_slow_bps_sqrt_s: None,
            intensity_a_per_s: 1.0,
            intensity_k_per_bps: 1.0,
            intensity_r_squared: None,
            intensity_trusted: false,
        }
    }

    fn capital(from: CapitalStage, to: CapitalStage) -> Note {
        Note::Capital {
            from,
            to,
            at_risk_quote: None,
            limit_quote: Some(1.0),
            var_quote: 0.5,
            exit_cost_quote: None,
            pressure: 1.0,
        }
    }

    fn hedging(base: String) -> [(Note, &'static str); 4] {
        let (instrument, side, qty) = (InstrumentId(0), Side::Buy, Qty(3));
        let (exposure_base, waited_ms) = (0.5, Some(0));
        let done = Note::HedgeDone {
            base: base.clone(),
            instrument: Some(instrument),
            exposure_base,
            took_ms: 5,
            hedged_base: Money::ONE,
            fees_quote: Money::ONE,
            slippage_quote: Money::ONE,
            risk_removed_quote: 1.0,
        };
        let band = Note::HedgeBand {
            base: base.clone(),
            band_base: 0.1,
            cost_bps: 5.0,
            skew_bps_per_base: 100.0,
            std_base: 0.1,
        };
        [
            (
                Note::HedgeStarted { instrument, side, qty, exposure_base, waited_ms },
                "hedge_started",
            ),
            (done, "hedge_done"),
            (Note::HedgeLate { base, exposure_base, since_ms: 5 }, "hedge_late"),
            (band, "hedge_band"),
        ]
    }

    fn listing() -> Box<Instrument> {
        Box::new(Instrument {
            id: InstrumentId(0),
            venue: VenueId(0),
            symbol: "BTCUSDT".into(),
            kind: InstrumentKind::Spot,
            base: Asset::new("BTC"),
            quote: Asset::new("USDT"),
            tick_size: Money::ONE,
            lot_size: Money::ONE,
            min_px: Px(1),
            max_px: Px(2),
            min_qty: Qty(1),
            max_qty: Qty(2),
            min_notional: Money::ONE,
            max_open_orders: 1,
            trading: true,
        })
    }

    /// One of each, with its event name.
    pub(in crate::telemetry) fn all() -> Vec<(Note, &'static str)> {
        let (instrument, venue, side) = (InstrumentId(0), VenueId(0), Side::Buy);
        let (px, qty, text) = (Px(100), Qty(3), String::from("words"));
        let id = OrderId { epoch: 7, counter: 1 };
        let purpose = Purpose::Quote;
        let base = String::from("BTC");
        let sent = Note::OrderSent { id, instrument, side, px, qty, purpose };
        let status = OrderStatus::Filled;
        let class = RejectClass::WouldTake;
        let filled = Note::Filled {
            instrument,
            id: Some(id),
            side,
            px,
            qty,
            liquidity: Liquidity::Maker,
            fee_quote: Money::ONE,
            position: qty,
            purpose: Some(purpose),
        };
        let source = FairSource::Leader;
        let measured = measured();
        let quoted = Note::Quoted {
            instrument,
            fair: 1.0,
            reservation: 1.0,
            half_spread_bps: 1.0,
            skew_bps: 0.0,
            volatility_bps_sqrt_s: 1.0,
            inventory_base: 0.0,
        };
        let (from, to, why) = (State::Warming, State::Quoting, text.clone());
        let link = LinkKind::User;
        let mut all = vec![
            (Note::StateChanged { from, to, why }, "state_changed"),
            (Note::SideReason { instrument, side, reason: Reason::BookStale }, "side_reason"),
            (quoted, "quoted"),
            (Note::SideToxic { instrument, side, expected_bps: 1.0, earns_bps: 0.5 }, "side_toxic"),
            (Note::Signals { instrument, readings: vec![("vpin".into(), Some(0.4))] }, "signals"),
            (Note::Explained { instrument, text: text.clone() }, "explained"),
            (sent, "order_sent"),
            (Note::OrderEnded { id, instrument, filled: qty, status }, "order_ended"),
            (Note::OrderRejected { id, instrument, class, text: text.clone() }, "order_rejected"),
            (Note::OrderUnknown { id, instrument, text: text.clone() }, "order_unknown"),
            (
                Note::GateBlocked { instrument, side, reason: Reason::Budget, purpose },
                "gate_blocked",
            ),
            (filled, "filled"),
            (
                Note::FairSourceChanged { instrument, source, wanted: source, warming: false },
                "fair_source",
            ),
            (measured, "measured"),
            (capital(CapitalStage::Free, CapitalStage::Free), "capital"),
            (capital(CapitalStage::Pressing, CapitalStage::AtLimit), "capital_stage"),
            (Note::BookSynced { instrument }, "book_synced"),
            (Note::BookLost { instrument, why: BookLoss::Gap }, "book_lost"),
            (Note::Link { venue, link, up: true, text: String::new() }, "link_up"),
            (Note::Link { venue, link, up: false, text: text.clone() }, "link_down"),
            (Note::Garbled { venue, text: text.clone() }, "garbled"),
            (Note::ReconcileDiffers { venue, text: text.clone() }, "reconcile_differs"),
            (Note::Reconciled { venue, open_orders: 1, foreign_orders: 0 }, "reconciled"),
            (Note::Halted { cause: HaltCause::LossLimit, text: text.clone() }, "halted"),
            (Note::Latch { set: true, text: text.clone() }, "latch_set"),
            (Note::Latch { set: false, text: text.clone() }, "latch_cleared"),
            (Note::Paused { paused: true }, "paused"),
            (Note::Paused { paused: false }, "resumed"),
            (Note::Reloaded { changes: Vec::new() }, "reloaded"),
            (Note::Invariant { text }, "invariant"),
            (
                Note::TargetTaken { instrument, name: "spot:BTCUSDT".into(), base: Money::ONE },
                "target_taken",
            ),
            (Note::Listed { instrument: listing() }, "instrument_listed"),
            (
                Note::HoldingMoved { instrument, name: "spot:BTCUSDT".into(), base: Money::ONE },
                "holding_moved",
            ),
            (
                Note::KeyChecked { venue, check: KeyCheck::Sound, text: "words".into() },
                "key_checked",
            ),
        ];
        all.extend(hedging(base));
        all
    }

    #[test]
    fn every_note_has_its_stable_documented_event_and_snake_case_keys() {
        let names = Names::new(vec!["spot".into()], &[(VenueId(0), "BTCUSDT".into())]);
        for (note, event) in all() {
            let line = describe(&note, &names);
            assert_eq!(line.event, event, "{note:?}");
            let documented = crate::telemetry::EVENTS.iter().any(|known| known.0 == event);
            assert!(documented, "{event} is not in the catalogue");
            assert!(!line.message.is_empty());
            for key in line.fields.keys() {
                assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{event}.{key}");
                assert!(
                    !["at", "at_ns", "level", "event", "message", "left_out"]
                        .contains(&key.as_str())
                );
            }
        }
    }

    #[test]
    fn prices_are_ticks_until_the_scales_are_known() {
        let names = Names::new(vec!["spot".into()], &[(VenueId(0), "BTCUSDT".into())]);
        assert_eq!(names.px(InstrumentId(0), Px(7)), "7 ticks");
        assert_eq!(names.instrument(InstrumentId(0)), "spot:BTCUSDT");
        assert_eq!(names.instrument(InstrumentId(9)), "?");
    }
}
