//! What the engine knows of one instrument: listing, market, holding, quotes.

use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

use super::cross_asset::Lean;
use super::fair::FairNow;
use super::ledger::DeskLedger;
use super::params::{InstrumentParams, Params, Role};
use crate::domain::{
    Fill, Instrument, InstrumentId, InstrumentKind, Liquidity, Mark, Money, Px, Qty, Reason, Side,
    Span, Trade, Ts, VenueId, planted,
};
use crate::inventory::{Attribution, Booked, Markouts, Position, Presence};
use crate::market::{
    Book, Intensity, IntensityParams, Pace, Signals, SlowVolatility, Touch, TradeFlow,
    TradeFlowParams, Volatility, VolatilityParams,
};
use crate::quoting::{Explanation, Forecast, Memo, QuoteNumbers};
use crate::risk::PriceMoves;

/// Horizons at which fills are judged, besides that of the signals.
const MARKOUT_HORIZONS: [Span; 5] =
    [Span::from_ms(100), Span::from_s(1), Span::from_s(5), Span::from_s(30), Span::from_s(60)];

/// Time between two fundings until the venue has announced two: what is usual.
const FUNDING_INTERVAL: Span = Span::from_s(8 * 3600);

/// How often the model is asked what its quotes will do to inventory.
const FORECAST_EVERY: Span = Span::from_s(10);

/// One instrument on one venue.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) id: InstrumentId,
    pub(super) venue: VenueId,
    /// Which group of instruments of one base asset it belongs to; its own until it is listed.
    pub(super) group: usize,
    pub(super) params: InstrumentParams,
    pub(super) listed: Option<Instrument>,
    /// Maker and taker fee as ratios; the venue's word, or nothing yet.
    pub(super) fees: Option<(Money, Money)>,
    pub(super) book: Book,
    pub(super) pace: Pace,
    pub(super) price_moves: PriceMoves,
    pub(super) volatility: Volatility,
    pub(super) slow_volatility: Option<SlowVolatility>,
    /// Around which price it is quoted, and who moves first.
    pub(super) fair: FairNow,
    pub(super) intensity: Intensity,
    pub(super) flow: TradeFlow,
    pub(super) signals: Signals,
    pub(super) mark: Option<Mark>,
    /// Time between two fundings, as far as two have been announced.
    pub(super) funding_interval: Span,
    /// When the last public trade arrived.
    pub(super) traded_at: Ts,
    /// The holding that counts as flat, in base, once it is known.
    pub(super) target_base: Option<Money>,
    /// Held now, in base: balance of a spot asset, position of a perpetual.
    pub(super) held_base: Money,
    /// What its orders hold of balances as last counted: of the quote by buys, of the base by
    /// sells.
    pub(super) holds: [Money; 2],
    /// When our last fill arrived.
    pub(super) filled_at: Ts,
    /// Lots and cash; flat means on target.
    pub(super) position: Position,
    pub(super) attribution: Attribution,
    pub(super) markouts: Markouts,
    pub(super) presence: Presence,
    /// Its part of an earlier session, until its scales are known.
    pub(super) earlier: Option<DeskLedger>,
    /// The target of the session that was resumed, until the first reading of the account.
    pub(super) resumed_target: Option<Money>,
    /// Every trade up to this id is booked.
    pub(super) settled_trade: Option<u64>,
    /// Newest trade known at the last complete reading.
    pub(super) newest_at_reading: Option<u64>,
    /// The venue has said what is held.
    opened: bool,
    /// What was held beside the ledger at the first reading; it waits for a mid to be valued at.
    opening: Qty,
    /// The book has thinned out within what is known; a new snapshot was asked for then.
    pub(super) resync_at: Ts,
    /// It was crossed at the last look.
    pub(super) was_crossed: bool,
    pub(super) sides: [DeskSide; 2],
    pub(super) numbers: Option<QuoteNumbers>,
    /// Of the last decision that somebody asked about.
    pub(super) explanation: Option<Explanation>,
    /// The last exact table of the model.
    pub(super) memo: Memo,
    /// What moves its quotes besides its own asset.
    pub(super) lean: Lean,
    /// What the model expects of its quotes, and when to ask again.
    pub(super) forecast: Option<Forecast>,
    pub(super) forecast_due: Ts,
    pub(super) tally: Tally,
    /// No flattening order before then.
    pub(super) flatten_at: Ts,
}

/// What was done on one instrument, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Quotes sent.
    pub quotes_sent: u64,
    /// Hedging and flattening orders sent.
    pub reducing_orders_sent: u64,
    /// Fills that rested.
    pub maker_fills: u64,
    /// Fills that took.
    pub taker_fills: u64,
    /// Volume filled resting, quote.
    pub maker_volume_quote: Money,
    /// Volume filled taking, quote.
    pub taker_volume_quote: Money,
}

/// One side's quoting state.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeskSide {
    /// Why it is or is not quoting.
    pub(super) reason: Reason,
    /// When its orders were last changed.
    pub(super) changed_at: Ts,
    /// What is wanted is not all on its way: pace, budget or an open answer holds it back.
    pub(super) owed: bool,
    /// It shows nothing until then, for that reason.
    pub(super) pause: Option<(Ts, Reason)>,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// When `quoting_for` was last brought up to date.
    pub(super) counted_at: Ts,
    /// Time with a confirmed order resting.
    pub(super) quoting_for: Span,
}

impl Desk {
    pub(super) fn new(id: InstrumentId, params: &Params) -> Desk {
        let own = params.instruments[id.index()].clone();
        let side = DeskSide {
            reason: Reason::Starting,
            changed_at: Ts(0),
            owed: false,
            pause: None,
            refusals: 0,
            counted_at: Ts(0),
            quoting_for: Span::ZERO,
        };
        let [a, b, c, d, e] = MARKOUT_HORIZONS;
        Desk {
            id,
            venue: own.venue,
            group: id.index(),
            target_base: own.inventory_target_base,
            params: own,
            listed: None,
            fees: None,
            book: Book::new(),
            pace: Pace::default(),
            price_moves: PriceMoves::new(params.reference.move_window),
            volatility: Volatility::new(VolatilityParams {
                half_life: params.market.volatility_half_life,
                ..VolatilityParams::default()
            }),
            slow_volatility: params.estimators.slow_volatility.map(SlowVolatility::new),
            fair: FairNow::default(),
            intensity: Intensity::new(IntensityParams {
                estimator: params.estimators.order_arrival,
                fit_from_bps: params.estimators.order_arrival_from_bps,
                quote_life: params.pace.reprice_min_interval,
                fallback_a_per_s: params.market.order_arrival_per_s,
                fallback_k_per_bps: params.market.order_arrival_decay_per_bps,
                ..IntensityParams::default()
            }),
            flow: TradeFlow::new(TradeFlowParams::default()),
            signals: Signals::new(params.signals.measured),
            mark: None,
            funding_interval: FUNDING_INTERVAL,
            traded_at: Ts(0),
            held_base: Money::ZERO,
            holds: [Money::ZERO; 2],
            filled_at: Ts(0),
            position: Position::flat(),
            attribution: Attribution::new(),
            markouts: Markouts::new(&[a, b, c, d, e, params.signals.measured.horizon]),
            presence: Presence::new(params.presence),
            earlier: None,
            resumed_target: None,
            settled_trade: None,
            newest_at_reading: None,
            opened: false,
            opening: Qty::ZERO,
            resync_at: Ts(0),
            was_crossed: false,
            sides: [side; 2],
            numbers: None,
            explanation: None,
            memo: Memo::default(),
            lean: Lean::default(),
            forecast: None,
            forecast_due: Ts(0),
            tally: Tally::default(),
            flatten_at: Ts(0),
        }
    }

    pub(super) fn is_quoted(&self) -> bool {
        self.params.role == Role::Quote
    }

    /// Holding away from the target, in base; nothing until there is a target.
    pub(super) fn off_target_base(&self) -> Money {
        self.target_base.map_or(Money::ZERO, |target| self.held_base - target)
    }

    /// The same for what models reckon with; nothing while it is not listed.
    pub(super) fn off_target_f64(&self) -> f64 {
        let listed = self.listed.as_ref();
        listed.and_then(|_| self.off_target_base().to_f64()).unwrap_or_default()
    }

    /// Nothing that the venue would take as an order is left to close.
    pub(super) fn is_flat(&self) -> bool {
        let Some(instrument) = &self.listed else { return true };
        let off = self.off_target_base().abs();
        if instrument.kind == InstrumentKind::LinearPerpetual {
            return off < instrument.quantity(instrument.min_qty);
        }
        match self.book.touch() {
            Some(touch) => instrument.lots_within(off) < instrument.least_qty(touch.bid.px),
            None => off < instrument.quantity(instrument.min_qty),
        }
    }

    /// Takes the venue's first word on what is held: what the ledger does not explain is bought at
    /// the mid. In a new session that is everything off target; in one that was resumed, what was
    /// moved while nobody looked, which is returned, in lots.
    pub(super) fn open_with(&mut self, held_base: Money, now: Ts) -> Qty {
        let Some(instrument) = &self.listed else { return Qty::ZERO };
        let target = *self.target_base.get_or_insert(held_base);
        let moved = self.resumed_target.take().map(|target_then| {
            let off_then = self.held_base - target_then;
            instrument.lots_within(held_base - target - off_then)
        });
        self.held_base = held_base;
        self.opening = moved.unwrap_or_else(|| {
            instrument.lots_within(self.off_target_base()) - self.position.qty()
        });
        self.opened = true;
        self.value_opening(now);
        moved.unwrap_or_default()
    }

    /// The venue has said what is held.
    pub(super) fn is_opened(&self) -> bool {
        self.opened
    }

    fn value_opening(&mut self, now: Ts) {
        if self.opening.is_zero() {
            return;
        }
        let (Some(instrument), Some(touch)) = (&self.listed, self.book.touch()) else { return };
        let opening = std::mem::take(&mut self.opening);
        let half_ticks = touch.mid_half_ticks();
        self.position.adjust(opening, half_ticks, instrument);
        self.attribution.adjust(now, opening, half_ticks);
    }

    /// Counts a fill of ours, once; `None` when it had been counted before.
    pub(super) fn on_fill(&mut self, fill: &Fill, now: Ts) -> Option<Money> {
        let instrument = self.listed.as_ref()?;
        let elsewhere = self.listed_fee(fill);
        let Booked::New { fee_quote } = self.position.book(fill, instrument, elsewhere) else {
            return None;
        };
        let in_base = fill.fee_asset == instrument.base && !planted("base_fee_forgotten");
        let base_fee = if in_base { fill.fee } else { Money::ZERO };
        self.held_base += instrument.quantity(fill.qty.signed(fill.side)) - base_fee;
        self.filled_at = now;
        if let Some(touch) = self.book.touch() {
            self.attribution.mark(now, touch.mid_half_ticks());
        }
        self.attribution.fill(now, fill, fee_quote);
        if let Some(mark) = self.attribution.mark_half_ticks() {
            let gone = self.position.settle_base_fees(mark, instrument);
            if !gone.is_zero() {
                self.attribution.adjust(now, Qty(-gone.0), mark);
            }
        }
        if fill.liquidity == Liquidity::Maker {
            self.markouts.fill(now, fill);
        }
        Some(fee_quote)
    }

    /// What a fee in a third asset (BNB), whose price nobody tells us, is taken to be worth: the
    /// fee of the account's tier, without the discount.
    fn listed_fee(&self, fill: &Fill) -> Money {
        let Some(instrument) = self.listed.as_ref().filter(|_| !fill.fee.is_zero()) else {
            return Money::ZERO;
        };
        let (maker, taker) = self.fees.unwrap_or_default();
        let rate = if fill.liquidity == Liquidity::Maker { maker } else { taker };
        instrument.notional(fill.px, fill.qty) * rate
    }

    /// The mid of the book, in quote per base.
    pub(super) fn mid_f64(&self) -> Option<f64> {
        let touch = self.book.touch().filter(|touch| !touch.is_crossed())?;
        Some(touch.mid_ticks() * self.listed.as_ref()?.tick_f64())
    }

    /// Brings the estimators and the mark up to date with the book.
    pub(super) fn observe_book(&mut self, now: Ts) {
        let Some(touch) = self.book.touch().filter(|touch| !touch.is_crossed()) else { return };
        self.price_moves.observe(now, touch.mid_ticks());
        self.volatility.observe(now, touch.mid_ticks());
        if let Some(slow) = &mut self.slow_volatility {
            slow.observe(now, touch.mid_ticks(), self.volatility.bps_sqrt_s());
        }
        self.intensity.observe_mid(now, touch.mid_ticks());
        self.value_opening(now);
        if self.attribution.mark_half_ticks() != Some(touch.mid_half_ticks()) {
            self.attribution.mark(now, touch.mid_half_ticks());
        }
        self.markouts.mark(now, touch.mid_half_ticks());
    }

    pub(super) fn observe_mark(&mut self, mark: &Mark) {
        if let Some(before) = &self.mark
            && mark.next_funding > before.next_funding
        {
            let apart = mark.next_funding.since(before.next_funding);
            // Anything else is no schedule: a venue that did not know, or an outage.
            if (Span::from_s(3600)..=FUNDING_INTERVAL).contains(&apart) {
                self.funding_interval = apart;
            }
        }
        self.mark = Some(*mark);
    }

    /// Funding that a long pays a second, as a share of the price; nothing for spot, and nothing
    /// until a rate has been told.
    pub(super) fn funding_per_s(&self) -> f64 {
        let perpetual =
            self.listed.as_ref().is_some_and(|i| i.kind == InstrumentKind::LinearPerpetual);
        let rate = self.mark.as_ref().filter(|_| perpetual);
        let rate = rate.and_then(|mark| mark.funding_rate.to_f64()).unwrap_or(0.0);
        rate / self.funding_interval.seconds()
    }

    pub(super) fn observe_trade(&mut self, trade: &Trade, now: Ts) {
        let Some(touch) = self.book.touch() else { return };
        if self.flow.observe(trade, touch.mid_ticks()) {
            self.traded_at = now;
            self.intensity.observe(trade, touch.mid_ticks());
            self.signals.observe_trade(now, trade);
        }
    }

    /// The session's result here, in quote, at the last mark.
    pub(super) fn profit_quote(&self) -> Money {
        let (Some(instrument), Some(mark)) = (&self.listed, self.attribution.mark_half_ticks())
        else {
            return Money::ZERO;
        };
        self.position.total(mark, instrument)
    }

    /// Whether the parts of the result make its whole, to the last unit.
    pub(super) fn check_identity(&self) -> Result<(), String> {
        match &self.listed {
            Some(instrument) => self
                .attribution
                .check(&self.position, instrument)
                .map_err(|imbalance| imbalance.to_string()),
            None => Ok(()),
        }
    }

    /// Keeps for the next decision what this one has found: the model's table, and the lean and the
    /// forecast where they were due.
    pub(super) fn keep(
        &mut self,
        now: Ts,
        memo: Memo,
        lean: Option<Lean>,
        forecast: Option<Option<Forecast>>,
    ) {
        self.memo = memo;
        if let Some(lean) = lean {
            self.lean = lean;
        }
        if let Some(forecast) = forecast {
            self.forecast = forecast;
            self.forecast_due = now + FORECAST_EVERY;
        }
    }

    /// Best prices of others: own resting orders left out where that is asked for.
    pub(super) fn touch_of_others(&self, own: &[(Side, Px, Qty)]) -> Option<Touch> {
        if own.is_empty() { self.book.touch() } else { self.book.without_own(own) }
    }
}
