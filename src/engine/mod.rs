//! How do these meet? `step(now, events) -> actions`, and nothing else.
//!
//! Nothing in here awaits, reads a clock, draws a random number, opens a socket or a file, or
//! writes a log line. Everything that arrived together is applied first; then the daemon's state
//! moves on, overdue orders and accounts are asked for, exposure is hedged and quotes are changed,
//! once, on one consistent view of books, holdings and working orders.

mod account;
mod agenda;
mod apply;
mod capital;
mod cross;
mod cross_asset;
mod desk;
mod explain;
mod fair;
mod flatten;
mod hedge_view;
mod hedging;
mod holds;
mod ladder;
mod ledger;
mod lifecycle;
mod outlets;
mod params;
mod probe;
mod quote;
mod reload;
mod reversion;
mod send;
mod signals;
mod venue;
mod view;

use std::sync::Arc;

use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

pub use capital::{CapitalParams, CapitalView, HoldingView, StressView};
pub use cross::CrossLeg;
pub use desk::Tally;
pub use explain::{ExplainedSide, ExplanationView, Explanations};
pub use fair::FairView;
pub use hedge_view::{BandView, HedgeRecordView, HedgeView, OutletView};
pub use ladder::{Ladder, OwnOrder};
pub use ledger::{DeskLedger, Ledger};
pub use params::{
    EstimatorParams, FairFrom, FairParams, InstrumentParams, MarketParams, Mission, Pace, Params,
    ReferenceParams, RiskParams, Role, ShutdownParams, SignalUse, VenueParams,
};
pub use reload::Tunables;
pub use view::{
    CarryView, GroupView, InstrumentView, LevelView, OrderView, PairView, SideView, Status,
    Summary, VenueView,
};

use crate::domain::{
    Action, Event, Fill, InstrumentId, Liquidity, Money, Note, OrderIdSource, Purpose, Px, Qty,
    Side, Span, State, Ts, VenueId,
};
use crate::inventory::hedge::HedgeLog;
use crate::market::{CorrelationParams, Correlations, SlowVolatility};
use crate::orders::Store;
use crate::risk::Breaker;
use agenda::Agenda;
use capital::Capital;
use desk::Desk;
use hedging::Group;
use lifecycle::Halt;
use venue::Venue;

/// How a run ended, once it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "ending")]
pub enum Ending {
    /// No order open, positions on target where that was asked for.
    FlatAndClean,
    /// Halted for safety, no order open, positions on target where that was asked for.
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
    /// The venue does not have what the configuration asks for.
    Misconfigured {
        /// What.
        text: String,
    },
}

/// What was done, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Orders sent.
    pub orders_sent: u64,
    /// Cancels sent, repetitions included.
    pub cancels_sent: u64,
    /// Amendments sent.
    pub amends_sent: u64,
    /// Hedge orders sent.
    pub hedges_sent: u64,
    /// Flattening orders sent.
    pub flattens_sent: u64,
    /// Volume hedged, quote.
    pub hedge_volume_quote: Money,
    /// Longest time from the hedge trigger until exposure was back inside it, milliseconds.
    pub longest_hedge_ms: i64,
    /// Orders refused by a venue.
    pub refusals: u64,
    /// Messages that could not be read.
    pub garbled: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stopping {
    deadline: Ts,
}

/// The core: one per daemon, over all venues.
#[derive(Debug)]
pub struct Engine {
    params: Params,
    now: Ts,
    state: State,
    entered_at: Ts,
    /// When the venues were first connected; the session's beginning.
    began_at: Ts,
    /// When quoting began, after the start or the last resume.
    ramp_from: Option<Ts>,
    paused: bool,
    /// Times that settings were changed.
    reloads: u64,
    halt: Option<Halt>,
    stopping: Option<Stopping>,
    ending: Option<Ending>,
    venues: Vec<Venue>,
    desks: Vec<Desk>,
    groups: Vec<Group>,
    hedge_log: HedgeLog,
    correlations: Correlations,
    capital: Capital,
    agenda: Agenda,
    marked_at: Vec<Ts>,
    orders: Store,
    ids: OrderIdSource,
    breaker: Breaker,
    counts: Counts,
    /// The result's parts do not make its whole: only reducing until the operator resumes.
    imbalance: Option<String>,
    /// The decisions of this step are to be explained.
    explaining: bool,
    explanations: Option<Arc<Explanations>>,
    /// The result up to the last resume, which the loss limit no longer counts.
    profit_base: Money,
    /// When the session began, which may have been an earlier run.
    session_since: Option<Ts>,
    /// Counts the changes of what must outlive the process.
    ledger_version: u64,
    /// When orders last left or ended: a venue read since then has the whole truth.
    quiet_since: Ts,
    /// From then on no request of an earlier process can be carried out any more; zero when the
    /// session began with this one, far until the first step that goes on with an earlier one.
    alone_from: Ts,
    checked_at: Ts,
    fair_tended_at: Ts,
    /// Room for the own orders of one instrument, kept from event to event.
    own: Vec<(Side, Px, Qty)>,
}

/// Pause between two checks of the result's identity.
const CHECK_EVERY: Span = Span::from_s(1);

impl Engine {
    /// A core that knows nothing yet.
    #[must_use]
    pub fn new(params: Params) -> Engine {
        let desks: Vec<Desk> = (0..params.instruments.len())
            .map(|index| InstrumentId(u16::try_from(index).expect("fewer than 2^16 instruments")))
            .map(|id| Desk::new(id, &params))
            .collect();
        let agenda = Agenda::new(desks.iter().map(Desk::is_quoted).collect());
        let groups = desks.iter().map(|_| Group::new(params.hedge, params.fair.fusion)).collect();
        let correlations = Correlations::new(desks.len(), CorrelationParams::default());
        let capital = Capital::new(params.capital, desks.len());
        let venues = params
            .venues
            .iter()
            .enumerate()
            .map(|(at, venue)| {
                Venue::new(VenueId(u8::try_from(at).expect("fewer than 256 venues")), venue)
            })
            .collect();
        let breaker = Breaker::new(
            params.risk.loss_limit_quote_session,
            params.risk.max_fills_per_minute_side,
            params.risk.max_rejects_per_10s,
        );
        Engine {
            now: Ts(0),
            state: State::Starting,
            entered_at: Ts(0),
            began_at: Ts(0),
            ramp_from: None,
            paused: false,
            reloads: 0,
            halt: None,
            stopping: None,
            ending: None,
            venues,
            desks,
            groups,
            hedge_log: HedgeLog::default(),
            correlations,
            capital,
            agenda,
            marked_at: vec![Ts(0); params.instruments.len()],
            orders: Store::new(params.instruments.len()),
            ids: OrderIdSource::new(params.epoch),
            breaker,
            counts: Counts::default(),
            imbalance: None,
            explaining: false,
            explanations: None,
            profit_base: Money::ZERO,
            session_since: None,
            ledger_version: 0,
            quiet_since: Ts(0),
            alone_from: Ts(0),
            checked_at: Ts(0),
            fair_tended_at: Ts(0),
            own: Vec::new(),
            params,
        }
    }

    /// Applies all events, decides once, appends what is to be done. `now` never goes back.
    pub fn step(&mut self, now: Ts, inbox: &[Event], out: &mut Vec<Action>) {
        debug_assert!(now >= self.now, "time never goes back");
        self.now = self.now.max(now);
        self.session_since.get_or_insert(self.now);
        if self.alone_from == Ts::FAR {
            // What the process before had sent may still be carried out.
            self.alone_from = self.now + self.params.risk.request_life;
        }
        if self.state == State::Stopped {
            return;
        }
        // What became of our orders first: a fill is then valued at the mid that it met, not at the
        // one that the same trade left behind.
        for market in [false, true] {
            for event in inbox.iter().filter(|event| event.is_market_data() == market) {
                self.apply(event, out);
            }
        }
        self.check_identity(out);
        self.reckon_capital(out);
        self.live(out);
        self.tend_orders(out);
        self.hedge(out);
        self.tend_fair();
        self.quote(out);
        self.tell_why(out);
        if self.checked_at == self.now {
            self.renew_mute_books(out);
            self.measure(out);
            self.tell_signals(out);
        }
        self.tend_accounts(out);
    }

    /// When to step again if nothing arrives; always later than the last `now`.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Ts> {
        if self.state == State::Stopped {
            return None;
        }
        let hedging = matches!(self.state, State::Quoting | State::Reducing);
        let hedges = if hedging { self.agenda.hedges_due() } else { Ts::FAR };
        let ending = matches!(self.state, State::Stopping | State::Halted);
        let accounts = self.venues.iter().filter_map(|venue| venue.account_due(ending));
        let soonest =
            accounts.chain([self.agenda.quotes_due(), hedges, self.agenda.orders_due()]).min();
        // A stale book is noticed, a state moves on and a stop is pressed within this time,
        // whatever else is silent.
        let beat = self.now + Span::from_ms(50);
        let soonest = soonest.map_or(beat, |at| at.min(beat));
        Some(soonest.max(self.now + Span::from_ms(1)))
    }

    /// State of the daemon.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Set once the state is `Stopped`.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending.clone()
    }

    fn quoting_desks(&self) -> impl Iterator<Item = &Desk> {
        self.desks.iter().filter(|desk| desk.is_quoted())
    }

    /// Volatility to reckon with, basis points per √s: the larger of what is measured fast and
    /// over a window, or assumed until there is a measurement.
    fn volatility_of(&self, desk: &Desk) -> Option<f64> {
        let fast = desk.volatility.bps_sqrt_s();
        let slow = desk.slow_volatility.as_ref().and_then(SlowVolatility::bps_sqrt_s);
        let larger = fast.map(|fast| slow.map_or(fast, |slow| slow.max(fast)));
        larger.or(self.params.market.assumed_volatility_bps_sqrt_s)
    }

    /// A price to hold an order or a book against, in quote per base, that does not come from the
    /// instrument's own book: the mid of another instrument of the same base, the venue's mark
    /// price, or the last public trade. `None` when none is fresh.
    fn reference_price(&self, id: InstrumentId) -> Option<f64> {
        let max_age = self.params.reference.max_age;
        let desk = &self.desks[id.index()];
        let elsewhere = self.groups[desk.group].members.iter().filter(|&&other| other != id);
        let mid = elsewhere
            .map(|other| &self.desks[other.index()])
            .filter(|other| {
                let venue = &self.venues[other.venue.index()];
                let alive = self.now.since(venue.market.alive_at) <= max_age;
                alive && other.book.is_synced() && !self.is_stale(other) && self.may_refer(other)
            })
            .find_map(Desk::mid_f64);
        if mid.is_some() {
            return mid;
        }
        if let Some(mark) = &desk.mark
            && self.now.since(self.marked_at[id.index()]) <= max_age
        {
            return mark.mark_price.to_f64();
        }
        let trade = desk.flow.last().filter(|_| self.now.since(desk.traded_at) <= max_age)?;
        Some(desk.listed.as_ref()?.price_f64(trade.px))
    }

    fn count_fill(&mut self, fill: &Fill, purpose: Option<Purpose>) {
        let desk = &mut self.desks[fill.instrument.index()];
        let Some(instrument) = &desk.listed else { return };
        let notional = instrument.notional(fill.px, fill.qty);
        match fill.liquidity {
            Liquidity::Maker => {
                desk.tally.maker_fills += 1;
                desk.tally.maker_volume_quote += notional;
            }
            Liquidity::Taker => {
                desk.tally.taker_fills += 1;
                desk.tally.taker_volume_quote += notional;
            }
        }
        if purpose == Some(Purpose::Hedge) {
            self.counts.hedge_volume_quote += notional;
        }
    }

    /// The parts of the result must make its whole to the last unit, always. If they do not we do
    /// not know what we earn: a fault of ours, told at once, and no new risk from then on.
    fn check_identity(&mut self, out: &mut Vec<Action>) {
        if self.now.since(self.checked_at) < CHECK_EVERY {
            return;
        }
        self.checked_at = self.now;
        debug_assert_eq!(
            self.agenda.profit_quote,
            self.desks.iter().map(Desk::profit_quote).sum::<Money>(),
            "what changes a result has been noticed"
        );
        for desk in &self.desks {
            debug_assert_eq!(self.agenda.off_target(desk.id), desk.off_target_f64());
            self.agenda.set_profit(desk.id, desk.profit_quote());
            if self.imbalance.is_none()
                && let Err(text) = desk.check_identity()
            {
                let text = format!("result of {} does not add up: {text}", desk.params.symbol);
                out.push(Action::Note(Note::Invariant { text: text.clone() }));
                self.imbalance = Some(text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
