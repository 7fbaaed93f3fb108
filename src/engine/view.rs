//! What an operator sees: the state now, and the sums of the session.

use std::sync::Arc;

use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

use super::capital::CapitalView;
use super::desk::Desk;
use super::fair::FairView;
use super::hedge_view::{HedgeRecordView, HedgeView};
use super::{Counts, Ending, Engine, Explanations, Tally};
use crate::domain::{
    BudgetUsage, HaltCause, Instrument, InstrumentId, InstrumentKind, KeyCheck, Money, Purpose,
    Reason, Side, State, Ts,
};
use crate::inventory::hedge::HedgeTotals;
use crate::inventory::{Markout, Parts, PresenceView, Realised, carry};
use crate::market::{Reading, SignalsView};
use crate::orders::{Order, Phase, Request};
use crate::quoting::{Forecast, QuoteNumbers};

/// The daemon at one instant. Decimals are strings.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// State of the daemon.
    pub state: State,
    /// What halted it, when it is halted.
    pub halt_cause: Option<HaltCause>,
    /// The same in words.
    pub halt_reason: Option<String>,
    /// The share of the configured sizes that is quoted: below 1 while they ramp up after a start.
    pub size_share: f64,
    /// Paused by the operator.
    pub paused: bool,
    /// Times that settings were changed while running.
    pub reloads: u64,
    /// How it ended, once it has.
    pub ending: Option<Ending>,
    /// Venues in the order of the configuration.
    pub venues: Vec<VenueView>,
    /// Instruments in the order of the configuration.
    pub instruments: Vec<InstrumentView>,
    /// Exposure by base asset.
    pub exposure: Vec<GroupView>,
    /// Money that inventory puts at risk.
    pub capital: CapitalView,
    /// How prices move together, pair by pair, as far as anything was sampled; 200 pairs at most.
    pub correlations: Vec<PairView>,
    /// The last hedges, oldest first.
    pub hedges: Vec<HedgeRecordView>,
    /// Orders that are not closed.
    pub orders: Vec<OrderView>,
    /// The session so far.
    pub session: Summary,
    /// The last answer to why the quotes are what they are, if anybody has asked.
    #[serde(skip)]
    pub explanations: Option<Arc<Explanations>>,
}

/// One venue.
#[derive(Clone, Debug, Serialize)]
pub struct VenueView {
    /// The operator's name for it.
    pub name: String,
    /// The market stream is connected.
    pub market_up: bool,
    /// The user stream is connected.
    pub user_up: bool,
    /// Time since the market stream's last sign of life, milliseconds.
    pub market_age_ms: i64,
    /// Time since the user stream's last sign of life, milliseconds.
    pub user_age_ms: i64,
    /// Venue clock minus ours, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Limits used, by the venue's word.
    pub usage: BudgetUsage,
    /// What is known of what our key may do; `None` until the venue has said.
    pub key_check: Option<KeyCheck>,
    /// Why it cannot be used, when it cannot.
    pub failed: Option<String>,
    /// Open orders there that are not ours.
    pub foreign_orders: usize,
    /// Open orders of ours there, by the last reading of the account.
    pub own_orders: usize,
    /// Balances: asset, free, locked.
    pub balances: Vec<(String, Money, Money)>,
}

/// One price level of a book.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LevelView {
    /// Price, quote per base.
    pub price: Money,
    /// Quantity, base.
    pub quantity: Money,
}

/// One side of an instrument.
#[derive(Clone, Debug, Serialize)]
pub struct SideView {
    /// Why it is or is not quoting.
    pub reason: Reason,
    /// Best level of the market.
    pub best: Option<LevelView>,
    /// Share of the session with a quote, 0 to 1.
    pub uptime: f64,
}

/// One instrument.
#[derive(Clone, Debug, Serialize)]
pub struct InstrumentView {
    /// Name of its venue.
    pub venue: String,
    /// The venue's symbol.
    pub symbol: String,
    /// Quoted, or only hedged on.
    pub quoted: bool,
    /// Price of one tick, quote per base; `None` until the venue has listed it.
    pub tick_size: Option<Money>,
    /// Quantity of one lot, base.
    pub lot_size: Option<Money>,
    /// Smallest order, base.
    pub min_order_base: Option<Money>,
    /// Smallest order, quote.
    pub min_notional_quote: Option<Money>,
    /// The book is proven.
    pub book_synced: bool,
    /// Bids.
    pub bid: SideView,
    /// Asks.
    pub ask: SideView,
    /// Held now, base.
    pub held_base: Money,
    /// The holding that counts as flat, base; `None` until the first reading of the account.
    pub target_base: Option<Money>,
    /// Most that it may hold off target either way, base.
    pub inventory_limit_base: Money,
    /// Session result here, quote.
    pub profit_quote: Money,
    /// What of it no price can change any more, quote.
    pub realised_quote: Money,
    /// What of it closing at the mid would realise, quote.
    pub unrealised_quote: Money,
    /// Average entry price of what is held off target, quote per base; `None` on target.
    pub entry_price: Option<Money>,
    /// Fees paid in assets that are neither base nor quote; the result counts the fee of the tier
    /// for them.
    pub other_fees: Vec<(String, Money)>,
    /// Its parts; their sum is the result exactly.
    pub parts: Option<Parts>,
    /// Largest inventory of the session, base, without sign.
    pub max_inventory_base: Money,
    /// Time-weighted average inventory without sign, base.
    pub average_inventory_base: f64,
    /// What was done here, counted.
    pub tally: Tally,
    /// What maker fills were worth some time later, before fees.
    pub markouts: Vec<Markout>,
    /// Where their spread went by then, exactly, in the order of `markouts`.
    pub realised_spread: Vec<Realised>,
    /// How much of the time a market was made; only where it is quoted.
    pub presence: Option<PresenceView>,
    /// Highest mid of the window of the collar over time above the lowest, basis points.
    pub price_range_bps: f64,
    /// Volatility to reckon with, basis points per √s.
    pub volatility_bps_sqrt_s: Option<f64>,
    /// The volatility has been measured, not assumed.
    pub volatility_measured: bool,
    /// Arrival intensity at depth zero, per second.
    pub intensity_a_per_s: f64,
    /// Decay of intensity per basis point.
    pub intensity_k_per_bps: f64,
    /// The intensity has been fitted, not configured.
    pub intensity_trusted: bool,
    /// Share of the variance of log arrival counts that the latest fit explains; it decides trust.
    pub intensity_r_squared: Option<f64>,
    /// Depths that the fit uses, basis points from the mid.
    pub intensity_range_bps: (f64, f64),
    /// Volatility of the time-weighted average, basis points per √s.
    pub volatility_fast_bps_sqrt_s: Option<f64>,
    /// Volatility of the window beside it, basis points per √s.
    pub volatility_slow_bps_sqrt_s: Option<f64>,
    /// The parts of its fair price.
    pub fair: FairView,
    /// Balance of recent takers, −1 all selling to 1 all buying.
    pub trade_imbalance: f64,
    /// What is read out of books and trades.
    pub signals: SignalsView,
    /// Expected move against a bid, then an ask of ours, drawn from the assumed one to what fills
    /// have shown, basis points.
    pub adverse_move_bps: [Reading; 2],
    /// Maker fee, ratio.
    pub maker_fee: Option<Money>,
    /// Taker fee, ratio.
    pub taker_fee: Option<Money>,
    /// Mark price, quote per base.
    pub mark_price: Option<Money>,
    /// Funding rate of the running interval, ratio.
    pub funding_rate: Option<Money>,
    /// Funding and basis; `None` without a mark price.
    pub carry: Option<CarryView>,
    /// The numbers behind the quotes now.
    pub quote: Option<QuoteNumbers>,
    /// What the model expects of its quotes in the long run; compare `average_inventory_base`.
    pub forecast: Option<Forecast>,
}

/// How the prices of two instruments move together.
#[derive(Clone, Debug, Serialize)]
pub struct PairView {
    /// The first, `venue:SYMBOL`.
    pub of: String,
    /// The second.
    pub to: String,
    /// Correlation, −1 to 1; the prior until it is measured.
    pub correlation: f64,
    /// How far the first moves when the second moves by one.
    pub beta: f64,
    /// Joint samples.
    pub samples: u32,
    /// Measured on enough of them.
    pub trusted: bool,
}

/// What holding a perpetual costs or earns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CarryView {
    /// Cash expected at the next settlement, quote; below zero when we pay.
    pub expected_funding_quote: Money,
    /// When that is, milliseconds from now.
    pub settles_in_ms: i64,
    /// What a base unit held earns until then, spread over the interval, quote per day.
    pub drift_quote_per_day: f64,
    /// The funding rate over a year, ratio.
    pub funding_annualised: f64,
    /// Mid above the mid of a spot instrument of the same base, basis points; `None` without one.
    pub basis_bps: Option<f64>,
}

/// Exposure of one base asset over all venues.
#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    /// The base asset.
    pub base: String,
    /// Net, base, from target.
    pub net_base: Money,
    /// Net, quote, at the mid.
    pub net_quote: Option<f64>,
    /// What live orders could still buy, base.
    pub open_buys_base: Money,
    /// What live orders could still sell, base.
    pub open_sells_base: Money,
    /// How long the exposure has been beyond the edge from which on it is hedged, milliseconds.
    pub beyond_trigger_ms: Option<i64>,
    /// Time in which the net inventory has come half of the way back, seconds, measured while
    /// quoting; `None` while too little was seen, or where it does not come back. The model's own
    /// expectation, hedges left out, is each instrument's `forecast.half_life_s`.
    pub half_life_s: Option<f64>,
    /// How it is hedged; `None` where nothing hedges it.
    pub hedge: Option<HedgeView>,
}

/// One order that is not closed.
#[derive(Clone, Debug, Serialize)]
pub struct OrderView {
    /// Epoch and counter of its id.
    pub id: String,
    /// Name of its venue.
    pub venue: String,
    /// The venue's symbol.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// Price, quote per base.
    pub price: Money,
    /// Quantity, base.
    pub quantity: Money,
    /// Filled, base.
    pub filled: Money,
    /// Where it stands: `sent`, `working`, `canceling`, `amending`, `unknown`, `settling`.
    pub state: &'static str,
    /// Why it exists.
    pub purpose: Purpose,
    /// Age, milliseconds.
    pub age_ms: i64,
}

/// The sums of the session.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Since the venues were connected, milliseconds.
    pub duration_ms: i64,
    /// What was done.
    pub counts: Counts,
    /// What hedging cost and removed.
    pub hedging: HedgeTotals,
    /// Fills that rested.
    pub maker_fills: u64,
    /// Fills that took.
    pub taker_fills: u64,
    /// Volume filled resting, quote.
    pub maker_volume_quote: Money,
    /// Volume filled taking, quote.
    pub taker_volume_quote: Money,
    /// Result, quote.
    pub profit_quote: Money,
    /// Its parts; their sum is the result exactly.
    pub parts: Parts,
}

impl Engine {
    /// A view for operators.
    #[must_use]
    pub fn status(&self, now: Ts) -> Status {
        Status {
            state: self.state,
            halt_cause: self.halt.as_ref().map(|halt| halt.cause),
            halt_reason: self.halt.as_ref().map(|halt| halt.text.clone()),
            size_share: self.size_share(),
            paused: self.paused,
            reloads: self.reloads,
            ending: self.ending.clone(),
            venues: self.venues.iter().map(|venue| venue_view(venue, now)).collect(),
            instruments: self.desks.iter().map(|desk| self.instrument_view(desk, now)).collect(),
            exposure: self.group_views(now),
            capital: self.capital.view().clone(),
            correlations: self.pair_views(),
            hedges: self.hedge_records(),
            orders: self.orders.all().filter_map(|order| self.order_view(order, now)).collect(),
            session: self.summary(now),
            explanations: self.explanations.clone(),
        }
    }

    /// The sums of the session.
    #[must_use]
    pub fn summary(&self, now: Ts) -> Summary {
        let mut parts = Parts::default();
        for desk in &self.desks {
            if let Some(instrument) = &desk.listed {
                let own = desk.attribution.parts(instrument);
                parts.spread_capture += own.spread_capture;
                parts.hedge += own.hedge;
                parts.inventory += own.inventory;
                parts.fees += own.fees;
                parts.funding += own.funding;
            }
        }
        let began = if self.began_at == Ts(0) { now } else { self.began_at };
        Summary {
            duration_ms: now.since(began).ms(),
            counts: self.counts,
            hedging: self.hedge_log.totals(),
            maker_fills: self.desks.iter().map(|desk| desk.tally.maker_fills).sum(),
            taker_fills: self.desks.iter().map(|desk| desk.tally.taker_fills).sum(),
            maker_volume_quote: self.desks.iter().map(|desk| desk.tally.maker_volume_quote).sum(),
            taker_volume_quote: self.desks.iter().map(|desk| desk.tally.taker_volume_quote).sum(),
            profit_quote: self.desks.iter().map(Desk::profit_quote).sum(),
            parts,
        }
    }

    fn side_view(&self, desk: &Desk, side: Side, now: Ts) -> SideView {
        let mut state = desk.sides[side.index()];
        state.count_to(now);
        let total = now.since(self.began_at).seconds();
        let up = state.quoting_for.seconds();
        let best = desk.listed.as_ref().zip(desk.book.best(side));
        SideView {
            reason: state.reason,
            best: best.map(|(instrument, level)| LevelView {
                price: instrument.price(level.px),
                quantity: instrument.quantity(level.qty),
            }),
            uptime: if total > 0.0 { (up / total).min(1.0) } else { 0.0 },
        }
    }

    fn instrument_view(&self, desk: &Desk, now: Ts) -> InstrumentView {
        let listed = desk.listed.as_ref();
        let intensity = desk.intensity.estimate();
        let (_, average) = desk.attribution.average_inventory_lots(now);
        InstrumentView {
            venue: self.venues[desk.venue.index()].name.clone(),
            symbol: desk.params.symbol.clone(),
            quoted: desk.is_quoted(),
            tick_size: listed.map(|listed| listed.tick_size),
            lot_size: listed.map(|listed| listed.lot_size),
            min_order_base: listed.map(|listed| listed.quantity(listed.min_qty)),
            min_notional_quote: listed.map(|listed| listed.min_notional),
            book_synced: desk.book.is_synced(),
            bid: self.side_view(desk, Side::Buy, now),
            ask: self.side_view(desk, Side::Sell, now),
            held_base: desk.held_base,
            target_base: desk.target_base,
            inventory_limit_base: desk.params.limits.inventory_limit_base,
            profit_quote: desk.profit_quote(),
            realised_quote: desk.position.realised(),
            unrealised_quote: desk.profit_quote() - desk.position.realised(),
            entry_price: listed.and_then(|listed| desk.position.entry_price(listed)),
            other_fees: other_fees(desk),
            parts: listed.map(|instrument| desk.attribution.parts(instrument)),
            max_inventory_base: listed.map_or(Money::ZERO, |instrument| {
                instrument.quantity(desk.attribution.max_inventory())
            }),
            average_inventory_base: listed.map_or(0.0, |listed| average * listed.lot_f64()),
            tally: desk.tally,
            markouts: desk.markouts.averages(),
            realised_spread: listed.map_or_else(Vec::new, |own| desk.markouts.realised(own)),
            presence: desk.is_quoted().then(|| {
                let volume = desk.tally.maker_volume_quote.to_f64().unwrap_or(0.0);
                desk.presence.view(now, volume)
            }),
            price_range_bps: desk.price_moves.range_bps(now),
            volatility_bps_sqrt_s: self.volatility_of(desk),
            volatility_measured: desk.volatility.is_warm(),
            intensity_a_per_s: intensity.a_per_s,
            intensity_k_per_bps: intensity.k_per_bps,
            intensity_trusted: intensity.trusted,
            intensity_r_squared: intensity.fit.map(|fit| fit.r_squared),
            intensity_range_bps: desk.intensity.range_bps(),
            volatility_fast_bps_sqrt_s: desk.volatility.bps_sqrt_s(),
            volatility_slow_bps_sqrt_s: desk.slow_volatility.as_ref().and_then(|s| s.bps_sqrt_s()),
            fair: self.fair_view(desk),
            trade_imbalance: desk.flow.imbalance(),
            signals: self.signals_view(desk),
            adverse_move_bps: self.adverse_view(desk),
            maker_fee: desk.fees.map(|(maker, _)| maker),
            taker_fee: desk.fees.map(|(_, taker)| taker),
            mark_price: desk.mark.as_ref().map(|mark| mark.mark_price),
            funding_rate: desk.mark.as_ref().map(|mark| mark.funding_rate),
            carry: self.carry_view(desk),
            quote: desk.numbers,
            forecast: desk.forecast,
        }
    }

    fn pair_views(&self) -> Vec<PairView> {
        let name = |desk: &Desk| {
            format!("{}:{}", self.venues[desk.venue.index()].name, desk.params.symbol)
        };
        let pairs = self
            .desks
            .iter()
            .enumerate()
            .flat_map(|(at, one)| self.desks[at + 1..].iter().map(move |other| (one, other)));
        pairs
            .map(|(one, other)| (one, other, self.correlations.correlation(one.id, other.id)))
            .filter(|(_, _, estimate)| estimate.samples > 0)
            .map(|(one, other, estimate)| PairView {
                of: name(one),
                to: name(other),
                correlation: estimate.value,
                beta: self.correlations.beta(one.id, other.id).value,
                samples: estimate.samples,
                trusted: estimate.trusted,
            })
            .take(200)
            .collect()
    }

    fn carry_view(&self, desk: &Desk) -> Option<CarryView> {
        let mark = desk.mark.as_ref()?;
        let is_spot = |listed: &Instrument| listed.kind == InstrumentKind::Spot;
        if desk.listed.as_ref().is_none_or(is_spot) {
            return None;
        }
        let interval_s = desk.funding_interval.seconds();
        let rate = mark.funding_rate.to_f64()?;
        let members = self.groups[desk.group].members.iter().map(|id| &self.desks[id.index()]);
        let spot = members
            .filter(|other| other.listed.as_ref().is_some_and(is_spot))
            .find_map(Desk::mid_f64);
        Some(CarryView {
            expected_funding_quote: carry::funding_cash(
                desk.held_base,
                mark.mark_price,
                mark.funding_rate,
            ),
            settles_in_ms: mark.next_funding.since(self.now).ms(),
            drift_quote_per_day: 86_400.0
                * carry::drift_quote_per_s(mark.mark_price.to_f64()?, rate, interval_s),
            funding_annualised: carry::annualised(rate, interval_s),
            basis_bps: spot.zip(desk.mid_f64()).and_then(|(s, p)| carry::basis_bps(s, p)),
        })
    }

    fn group_views(&self, now: Ts) -> Vec<GroupView> {
        let listed = self.groups.iter().enumerate().filter(|(_, group)| !group.members.is_empty());
        listed
            .map(|(index, group)| {
                let desk = &self.desks[group.members[0].index()];
                let (net_base, [buys, sells]) = self.exposure(desk);
                let net_quote = net_base.to_f64().zip(desk.mid_f64()).map(|(net, mid)| net * mid);
                GroupView {
                    base: group.base.clone(),
                    net_base,
                    net_quote,
                    open_buys_base: buys,
                    open_sells_base: sells,
                    beyond_trigger_ms: group.plan.since.map(|since| now.since(since).ms()),
                    half_life_s: group.reversion.half_life_s(),
                    hedge: self.hedge_view(index),
                }
            })
            .collect()
    }

    fn order_view(&self, order: &Order, now: Ts) -> Option<OrderView> {
        let id: InstrumentId = order.new.instrument;
        let desk = &self.desks[id.index()];
        let instrument = desk.listed.as_ref()?;
        let state = match (order.phase, order.request) {
            (Phase::Sent, _) => "sent",
            (Phase::Unknown(_), _) => "unknown",
            (Phase::Ended(_), _) => "settling",
            (Phase::Working, Request::Cancel { .. }) => "canceling",
            (Phase::Working, Request::Amend { .. }) => "amending",
            (Phase::Working, Request::Idle) => "working",
        };
        Some(OrderView {
            id: format!("{}-{}", order.new.id.epoch, order.new.id.counter),
            venue: self.venues[desk.venue.index()].name.clone(),
            symbol: desk.params.symbol.clone(),
            side: order.new.side,
            price: instrument.price(order.px),
            quantity: instrument.quantity(order.qty),
            filled: instrument.quantity(order.filled),
            state,
            purpose: order.new.purpose,
            age_ms: now.since(order.sent_at).ms(),
        })
    }
}

fn other_fees(desk: &Desk) -> Vec<(String, Money)> {
    let paid = desk.position.other_fees().iter();
    paid.map(|(asset, amount)| (asset.to_string(), *amount)).collect()
}

fn venue_view(venue: &super::venue::Venue, now: Ts) -> VenueView {
    VenueView {
        name: venue.name.clone(),
        market_up: venue.market.up,
        user_up: venue.user.up,
        market_age_ms: now.since(venue.market.alive_at).ms(),
        user_age_ms: now.since(venue.user.alive_at).ms(),
        clock_offset_ms: venue.clock_offset.map(crate::domain::Span::ms),
        usage: venue.budget.usage(),
        key_check: venue.key_check,
        failed: venue.failed.clone(),
        foreign_orders: venue.foreign_orders,
        own_orders: venue.own_orders,
        balances: venue
            .balances
            .iter()
            .map(|(asset, (free, locked))| (asset.to_string(), *free, *locked))
            .collect(),
    }
}
