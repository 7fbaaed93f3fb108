//! The session report: what a run did and what it earned, and how that splits into parts.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::domain::{Instrument, Money, ReactionTimes, Span, State, Ts};
use crate::engine::{Ending, InstrumentView, Status};
use crate::inventory::{Markout, MarkoutMean, Parts, PresenceView};

/// The report of one run. Amounts are in the quote asset unless a name says otherwise, and decimal
/// strings in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct SessionReport {
    /// When the run began.
    #[serde(serialize_with = "rfc_3339")]
    pub started: Ts,
    /// When it began, nanoseconds since the Unix epoch.
    pub started_ns: Ts,
    /// When it ended.
    #[serde(serialize_with = "rfc_3339")]
    pub ended: Ts,
    /// When it ended, nanoseconds since the Unix epoch.
    pub ended_ns: Ts,
    /// The state before it stopped.
    pub last_state: State,
    /// How it ended.
    pub ending: Ending,
    /// One entry an instrument.
    pub instruments: Vec<InstrumentReport>,
    /// Profit and its parts, over all instruments.
    pub profit: Profit,
    /// Hedges and flattening.
    pub hedges: HedgeReport,
    /// Most capital at risk, liquidation-adjusted value at risk.
    pub max_capital_at_risk_quote: Money,
    /// How fast fills and exposure were answered; `None` where no driver measured it.
    pub reactions: Option<ReactionTimes>,
    /// New orders, amends and cancels sent, over fills; `None` without a fill.
    pub order_to_trade_ratio: Option<f64>,
}

/// One instrument's part.
#[derive(Clone, Debug, Serialize)]
pub struct InstrumentReport {
    /// `venue:SYMBOL`.
    pub instrument: String,
    /// Quotes placed.
    pub quotes_placed: u64,
    /// Fills that rested.
    pub maker_fills: u64,
    /// Fills that took.
    pub taker_fills: u64,
    /// Volume of all fills.
    pub volume_quote: Money,
    /// Fees paid; below zero when rebates were more.
    pub fees_quote: Money,
    /// Maker fee that applied, as a ratio.
    pub maker_fee: Option<Money>,
    /// Taker fee that applied, as a ratio.
    pub taker_fee: Option<Money>,
    /// Position at the end, base units.
    pub position_base: Money,
    /// Largest distance of inventory from its target, base units.
    pub max_inventory_base: Money,
    /// Time-weighted mean distance of inventory from its target, base units.
    pub mean_inventory_base: Money,
    /// Share of the run in which bids, then asks, rested: 0 to 1.
    pub quoting_uptime: [f64; 2],
    /// Quoted, or only hedged on.
    pub quoted: bool,
    /// What maker fills were worth some time later, before fees.
    pub markouts: Vec<Markout>,
    /// How much of the time a market was made; only where it was quoted.
    pub presence: Option<PresenceView>,
    /// Its part of the profit.
    pub profit: Option<Profit>,
}

impl InstrumentReport {
    fn of(view: &InstrumentView) -> InstrumentReport {
        InstrumentReport {
            instrument: format!("{}:{}", view.venue, view.symbol),
            quotes_placed: view.tally.quotes_sent,
            maker_fills: view.tally.maker_fills,
            taker_fills: view.tally.taker_fills,
            volume_quote: view.tally.maker_volume_quote + view.tally.taker_volume_quote,
            fees_quote: view.parts.map_or(Money::ZERO, |parts| Money::ZERO - parts.fees),
            maker_fee: view.maker_fee,
            taker_fee: view.taker_fee,
            position_base: view.held_base,
            max_inventory_base: view.max_inventory_base,
            mean_inventory_base: Money::try_from(view.average_inventory_base).unwrap_or_default(),
            quoting_uptime: [view.bid.uptime, view.ask.uptime],
            quoted: view.quoted,
            markouts: view.markouts.clone(),
            presence: view.presence,
            profit: view.parts.map(Profit::of),
        }
    }
}

/// Where the profit came from. The parts add up to the whole, to the last digit:
/// `before_fees = spread + inventory + hedge`, `after_fees = before_fees + funding − fees`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profit {
    /// Quotes' fills against the fair price at the time.
    pub spread_quote: Money,
    /// Movement of the fair price while we held inventory.
    pub inventory_quote: Money,
    /// Hedge fills against the fair price at the time; what hedging cost, mostly below zero.
    pub hedge_quote: Money,
    /// Funding received; below zero when paid.
    pub funding_quote: Money,
    /// Fees paid; below zero when rebates were more.
    pub fees_quote: Money,
}

impl Profit {
    fn of(parts: Parts) -> Profit {
        Profit {
            spread_quote: parts.spread_capture,
            inventory_quote: parts.inventory,
            hedge_quote: parts.hedge,
            funding_quote: parts.funding,
            fees_quote: Money::ZERO - parts.fees,
        }
    }

    /// Before fees and funding.
    #[must_use]
    pub fn before_fees(&self) -> Money {
        self.spread_quote + self.inventory_quote + self.hedge_quote
    }

    /// What is left.
    #[must_use]
    pub fn after_fees(&self) -> Money {
        self.before_fees() + self.funding_quote - self.fees_quote
    }
}

/// Hedging and flattening.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HedgeReport {
    /// Hedge orders sent.
    pub orders: u64,
    /// Orders sent to close positions at the end.
    pub flattening_orders: u64,
    /// Volume of their fills.
    pub volume_quote: Money,
    /// Longest time from trigger to done.
    pub longest: Span,
    /// Excursions of exposure that ended with something hedged.
    pub hedged: u64,
    /// Excursions that quotes alone brought back.
    pub internalised: u64,
    /// Fees paid for hedges.
    pub fees_quote: Money,
    /// Paid against the mid at the time of the decision.
    pub slippage_quote: Money,
    /// Standard deviation of the result that hedges took away, summed over them.
    pub risk_removed_quote: Money,
}

fn rfc_3339<S: Serializer>(at: &Ts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl SessionReport {
    /// The report of a run by its last status, taken at `at`; `None` while it has not ended.
    #[must_use]
    pub fn of(engine: &Status, at: Ts) -> Option<SessionReport> {
        let session = &engine.session;
        let started = at - Span::from_ms(session.duration_ms);
        let sent =
            session.counts.orders_sent + session.counts.cancels_sent + session.counts.amends_sent;
        let fills = session.maker_fills + session.taker_fills;
        Some(SessionReport {
            started,
            started_ns: started,
            ended: at,
            ended_ns: at,
            last_state: engine.state,
            ending: engine.ending.clone()?,
            instruments: engine.instruments.iter().map(InstrumentReport::of).collect(),
            profit: Profit::of(session.parts),
            hedges: HedgeReport {
                orders: session.counts.hedges_sent,
                flattening_orders: session.counts.flattens_sent,
                volume_quote: session.counts.hedge_volume_quote,
                longest: Span::from_ms(session.counts.longest_hedge_ms),
                hedged: session.hedging.hedges,
                internalised: session.hedging.internalised,
                fees_quote: session.hedging.fees_quote,
                slippage_quote: session.hedging.slippage_quote,
                risk_removed_quote: Money::try_from(session.hedging.risk_removed_quote)
                    .unwrap_or_default()
                    .round_dp(8),
            },
            max_capital_at_risk_quote: Instrument::money(engine.capital.max_at_risk_quote)
                .round_dp(8),
            reactions: None,
            order_to_trade_ratio: (fills > 0).then(|| sent as f64 / fills as f64),
        })
    }

    /// With the reaction times that the driver measured.
    #[must_use]
    pub fn with_reactions(mut self, reactions: ReactionTimes) -> SessionReport {
        self.reactions = Some(reactions);
        self
    }

    /// One JSON document, with the sums beside their parts.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut value = serde_json::to_value(self).expect("plain structs serialise");
        if let Some(profit) = value.get_mut("profit").and_then(serde_json::Value::as_object_mut) {
            let sums = [
                ("before_fees_quote", self.profit.before_fees()),
                ("after_fees_quote", self.profit.after_fees()),
            ];
            for (key, sum) in sums {
                profit.insert(key.to_owned(), sum.to_string().into());
            }
        }
        value.to_string()
    }
}

impl fmt::Display for SessionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = self.ended.since(self.started).seconds();
        writeln!(
            f,
            "Session {} to {} ({lasted:.0} s), {}",
            self.started,
            self.ended,
            words(&self.ending)
        )?;
        for instrument in &self.instruments {
            write!(f, "{instrument}")?;
        }
        let Profit { spread_quote, inventory_quote, hedge_quote, funding_quote, fees_quote } =
            &self.profit;
        let (before, after) = (self.profit.before_fees(), self.profit.after_fees());
        let show = |amount: &Money| amount.round_dp(4).to_string();
        writeln!(
            f,
            "  profit before fees {} = spread {} + inventory {} + hedge {}",
            show(&before),
            show(spread_quote),
            show(inventory_quote),
            show(hedge_quote)
        )?;
        writeln!(
            f,
            "  profit after fees  {} = {} + funding {} − fees {}",
            show(&after),
            show(&before),
            show(funding_quote),
            show(fees_quote)
        )?;
        write!(f, "{}", self.hedges)?;
        if let Some(reactions) = &self.reactions {
            writeln!(
                f,
                "  answered within (p50 / p99 ms): fills {:.2} / {:.2} ({}), exposure past its edge \
                 {:.2} / {:.2} ({})",
                reactions.fill_to_requote_p50_us / 1000.0,
                reactions.fill_to_requote_p99_us / 1000.0,
                reactions.fill_to_requote_count,
                reactions.edge_to_hedge_p50_us / 1000.0,
                reactions.edge_to_hedge_p99_us / 1000.0,
                reactions.edge_to_hedge_count,
            )?;
        }
        writeln!(f, "  capital at risk, most {}", show(&self.max_capital_at_risk_quote))?;
        match self.order_to_trade_ratio {
            Some(ratio) => writeln!(f, "  messages per fill (order-to-trade ratio) {ratio:.1}"),
            None => writeln!(f, "  messages per fill (order-to-trade ratio): no fill"),
        }
    }
}

impl fmt::Display for HedgeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |amount: &Money| amount.round_dp(4).to_string();
        writeln!(
            f,
            "  hedge orders {}, volume {}, longest {} ms; flattening orders {}",
            self.orders,
            show(&self.volume_quote),
            self.longest.ms(),
            self.flattening_orders
        )?;
        writeln!(
            f,
            "  hedging cost {} = fees {} + slippage {}, removed a risk of {}; {} hedged, {} came \
             back by quotes alone",
            show(&(self.fees_quote + self.slippage_quote)),
            show(&self.fees_quote),
            show(&self.slippage_quote),
            show(&self.risk_removed_quote),
            self.hedged,
            self.internalised
        )
    }
}

impl fmt::Display for InstrumentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fee = |fee: Option<Money>| {
            fee.map_or_else(
                || "unknown".to_owned(),
                |fee| format!("{} bps", (fee * Money::from(10_000)).normalize()),
            )
        };
        let [bids, asks] = self.quoting_uptime.map(|share| share * 100.0);
        writeln!(f, "  {}", self.instrument)?;
        writeln!(
            f,
            "    quotes {}, fills {} maker / {} taker, volume {}",
            self.quotes_placed,
            self.maker_fills,
            self.taker_fills,
            self.volume_quote.round_dp(2)
        )?;
        writeln!(
            f,
            "    fees {} (tier: maker {}, taker {})",
            self.fees_quote.round_dp(4),
            fee(self.maker_fee),
            fee(self.taker_fee)
        )?;
        writeln!(
            f,
            "    position {}; distance from target: most {}, time-weighted mean {}",
            self.position_base.normalize(),
            self.max_inventory_base.normalize(),
            self.mean_inventory_base.round_dp(8).normalize()
        )?;
        if !self.quoted {
            return Ok(());
        }
        writeln!(f, "    quoting uptime: bids {bids:.1} %, asks {asks:.1} %")?;
        if let Some(presence) = &self.presence {
            write_presence(f, presence)?;
        }
        for markout in self.markouts.iter().filter(|markout| markout.both.fills > 0) {
            write!(f, "    after {} ms", markout.horizon.ms())?;
            for (side, mean) in [("bids", &markout.bid), ("asks", &markout.ask)] {
                write_markout(f, side, mean)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn write_presence(f: &mut fmt::Formatter<'_>, presence: &PresenceView) -> fmt::Result {
    let PresenceView { two_sided, bid, ask, absent, spread_bps, snapshots, .. } = presence;
    let share = |share: f64| format!("{:.1} %", share * 100.0);
    let spread = spread_bps.map_or_else(|| "-".to_owned(), |bps| format!("{bps:.2} bps"));
    write!(
        f,
        "    presence: two-sided {}, bids {}, asks {}, absent {}; spread {spread}",
        share(*two_sided),
        share(*bid),
        share(*ask),
        share(*absent)
    )?;
    match presence.snapshots_two_sided {
        Some(good) => writeln!(f, "; {} of {snapshots} snapshots", share(good)),
        None => writeln!(f),
    }
}

/// Effective = impact + realised half-spread.
fn write_markout(f: &mut fmt::Formatter<'_>, side: &str, mean: &MarkoutMean) -> fmt::Result {
    let MarkoutMean { fills, bps, effective_bps, .. } = mean;
    write!(f, "; {side}: ")?;
    if *fills == 0 {
        return write!(f, "no fill");
    }
    let impact = effective_bps - bps;
    write!(f, "effective {effective_bps:.2} = impact {impact:.2} + realised {bps:.2}")?;
    if let Some(error) = mean.standard_error_bps {
        write!(f, " ± {error:.2}")?;
    }
    write!(f, " bps ({fills} fills)")
}

fn words(ending: &Ending) -> String {
    match ending {
        Ending::FlatAndClean => "flat and clean".to_owned(),
        Ending::SafetyHaltFlat { text } => format!("halted for safety, flat: {text}"),
        Ending::MaybeLeft { text } => format!("ORDERS OR POSITIONS MAY BE LEFT: {text}"),
        Ending::Refused { text } => format!("refused by a venue: {text}"),
        Ending::Misconfigured { text } => format!("did not start: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> SessionReport {
        let money = |text: &str| text.parse::<Money>().unwrap();
        SessionReport {
            started: Ts::from_ms(0),
            started_ns: Ts::from_ms(0),
            ended: Ts::from_ms(60_000),
            ended_ns: Ts::from_ms(60_000),
            last_state: State::Quoting,
            ending: Ending::FlatAndClean,
            instruments: vec![InstrumentReport {
                instrument: "spot:BTCUSDT".into(),
                quotes_placed: 40,
                maker_fills: 7,
                taker_fills: 0,
                volume_quote: money("1400.5"),
                fees_quote: money("0.14"),
                maker_fee: Some(money("0.0001")),
                taker_fee: None,
                position_base: money("1.000"),
                max_inventory_base: money("0.01"),
                mean_inventory_base: money("0.004"),
                quoting_uptime: [0.95, 0.9],
                quoted: true,
                markouts: Vec::new(),
                presence: None,
                profit: None,
            }],
            profit: Profit {
                spread_quote: money("0.2"),
                inventory_quote: money("-0.05"),
                hedge_quote: money("-0.01"),
                funding_quote: money("0.001"),
                fees_quote: money("0.14"),
            },
            hedges: HedgeReport {
                flattening_orders: 0,
                orders: 2,
                volume_quote: money("900"),
                longest: Span::from_ms(120),
                ..HedgeReport::default()
            },
            max_capital_at_risk_quote: money("42.5"),
            reactions: None,
            order_to_trade_ratio: Some(12.5),
        }
    }

    #[test]
    fn the_parts_add_up_and_are_shown() {
        let text = report().to_string();
        assert!(text.contains("0.14 = spread 0.2 + inventory -0.05 + hedge -0.01"), "{text}");
        assert!(text.contains("0.001 = 0.14 + funding 0.001 − fees 0.14"), "{text}");
        assert!(
            text.contains("flat and clean") && text.contains("maker 1 bps, taker unknown"),
            "{text}"
        );
    }

    #[test]
    fn json_has_decimal_strings_and_sums() {
        let value: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(value["profit"]["after_fees_quote"], "0.001");
        assert_eq!(value["instruments"][0]["volume_quote"], "1400.5");
        assert_eq!(value["started"], "1970-01-01T00:00:00.000Z");
        assert_eq!(value["last_state"], "QUOTING");
    }
}
