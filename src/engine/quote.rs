//! Wanted quotes, the reasons for having none, and the changes that follow.

use rust_decimal::prelude::ToPrimitive;

use super::Engine;
use super::cross_asset::Lean;
use super::fair::FairChoice;
use super::send::Wish;
use crate::domain::{
    Action, FairSource, InstrumentId, InstrumentKind, Money, Note, OrderId, OrderKind, Purpose,
    Quote, QuoteSide, Quotes, Reason, Side, Span, State, Ts, planted,
};
use crate::inventory::Shown;
use crate::orders::{Change, Phase, Tolerance, Working, changes};
use crate::quoting;

/// Levels of the market that a snapshot of presence looks at.
const PRESENCE_LEVELS: usize = 6;

/// What a decision starts from.
struct Start<'a> {
    inputs: quoting::Inputs<'a>,
    /// The own book's fair price, quote per base.
    own_price: f64,
    /// The price to quote around.
    fair: FairChoice,
    /// Fair price against the mid, bps.
    lean_bps: f64,
    /// What other assets' holdings do to the quotes, if it was reckoned anew.
    lean: Option<Lean>,
}

impl Start<'_> {
    /// What the fair price is made of.
    fn fair_parts(&self) -> [quoting::Step; 3] {
        let around = match self.fair.source {
            FairSource::Own => "quoted around: its own book's",
            FairSource::Fused => "quoted around: all venues fused",
            FairSource::Leader => "quoted around: the leader's, less its basis",
        };
        [
            quoting::Step::input("own book's fair price", self.own_price, "quote/base"),
            quoting::Step::input(around, self.fair.price, "quote/base"),
            quoting::Step::input("alpha on top of it", self.fair.alpha_bps, "bps"),
        ]
    }
}

impl Engine {
    /// Decides every instrument whose inputs have changed, or whose time has come.
    pub(super) fn quote(&mut self, out: &mut Vec<Action>) {
        let mut from = 0;
        while let Some(index) = self.agenda.next_quote(from, self.now) {
            self.quote_one(self.desks[index].id, out);
            self.observe_presence(index);
            self.observe_reversion(index);
            from = index + 1;
        }
    }

    /// What rests from now on, for the share of time that we make a market. Whatever changes it
    /// has brought the desk here.
    fn observe_presence(&mut self, index: usize) {
        let desk = &mut self.desks[index];
        let Some(instrument) = desk.listed.as_ref().filter(|_| self.began_at > Ts(0)) else {
            return;
        };
        let orders: Vec<_> = self.orders.resting(desk.id).collect();
        let touch = desk.book.touch().filter(|touch| !touch.is_crossed());
        let shown = Shown {
            instrument,
            mid_half_ticks: touch.map(|t| t.mid_half_ticks()),
            orders: &orders,
        };
        let levels = if desk.presence.snapshot_due(self.now) { PRESENCE_LEVELS } else { 0 };
        let market = Side::BOTH.map(|side| desk.book.levels(side).take(levels).collect::<Vec<_>>());
        desk.presence.observe(self.now, &shown, [&market[0], &market[1]]);
    }

    /// What is held while quotes work on it.
    fn observe_reversion(&mut self, index: usize) {
        let desk = &self.desks[index];
        let group = desk.group;
        if self.state == State::Quoting && self.groups[group].reversion.is_due(self.now) {
            let held = self.factor_exposure(group).to_f64().unwrap_or(f64::NAN);
            self.groups[group].reversion.observe(self.now, held);
        }
    }

    fn quote_one(&mut self, id: InstrumentId, out: &mut Vec<Action>) {
        let now = self.now;
        // However quiet it is, ages and pauses are looked at this often.
        self.agenda.quote_at(id, now + Span::from_ms(1000));
        let stale_at = self.stale_at(&self.desks[id.index()]);
        if stale_at > now {
            self.agenda.quote_by(id, stale_at);
        }
        if !matches!(self.state, State::Quoting | State::Reducing) {
            if matches!(self.state, State::Starting | State::Reconciling | State::Warming) {
                let why =
                    if self.state == State::Warming { Reason::WarmingUp } else { Reason::Starting };
                self.give_reason(id, Side::Buy, why, out);
                self.give_reason(id, Side::Sell, why, out);
            } else {
                let why = if self.halt.is_some() { Reason::Halted } else { Reason::Stopping };
                self.show(&Quotes::none(id, why), out);
            }
            return;
        }
        let quotes = match self.market_reason(id) {
            Some(reason) => {
                self.desks[id.index()].numbers = None;
                Quotes::none(id, reason)
            }
            None => self.wanted(id, out),
        };
        self.show(&quotes, out);
    }

    /// Whether quotes that an instrument should show are held back by pace, budget or an answer
    /// that the venue still owes.
    #[must_use]
    pub fn owes_quotes(&self, id: InstrumentId) -> bool {
        self.desks[id.index()].sides.iter().any(|side| side.owed)
    }

    /// Why the market, the connection or the daemon allows no quote at all, if so.
    pub(super) fn market_reason(&self, id: InstrumentId) -> Option<Reason> {
        let desk = &self.desks[id.index()];
        let venue = &self.venues[desk.venue.index()];
        let market = &self.params.market;
        if self.paused {
            return Some(Reason::Paused);
        }
        let Some(instrument) = &desk.listed else { return Some(Reason::NotListed) };
        if !instrument.trading {
            return Some(Reason::NotTrading);
        }
        if !venue.user.up || venue.failed.is_some() {
            return Some(Reason::UserStreamDown);
        }
        if !venue.market.up || !desk.book.is_synced() {
            return Some(Reason::BookNotSynced);
        }
        if self.is_stale(desk) {
            return Some(Reason::BookStale);
        }
        let skew = venue.clock_offset.map_or(i64::MAX, |offset| offset.0.abs());
        if skew > self.params.risk.max_clock_offset.0 {
            return Some(Reason::ClockSkew);
        }
        let Some(touch) = desk.book.touch() else { return Some(Reason::BookThin) };
        if touch.is_crossed() {
            return Some(Reason::BookCrossed);
        }
        let mid = touch.mid_ticks();
        if is_beyond(touch.spread_ticks() as f64 / mid * 1e4, market.max_spread_bps) {
            return Some(Reason::SpreadWide);
        }
        let top = [touch.bid, touch.ask]
            .map(|level| instrument.price_f64(level.px) * instrument.quantity_f64(level.qty));
        if top.into_iter().any(|quote| is_beyond(-quote, -market.min_top_quote)) {
            return Some(Reason::BookThin);
        }
        let Some(volatility) = self.volatility_of(desk) else { return Some(Reason::WarmingUp) };
        if is_beyond(volatility, market.max_volatility_bps_sqrt_s) {
            return Some(Reason::Volatile);
        }
        let Some(reference) = self.reference_price(id) else { return Some(Reason::NoReference) };
        let apart = (mid * instrument.tick_f64() / reference - 1.0).abs() * 1e4;
        if is_beyond(apart, self.params.reference.max_disagreement_bps) {
            return Some(Reason::ReferenceDisagrees);
        }
        let moved = desk.price_moves.range_bps(self.now);
        is_beyond(moved, self.params.reference.max_move_bps).then_some(Reason::PriceMoved)
    }

    /// Whether a book is too old to quote on: its connection shows no sign of life, or it does and
    /// the book is silent for longer than this market is ever quiet.
    pub(super) fn is_stale(&self, desk: &super::desk::Desk) -> bool {
        !planted("age_ignored") && (!self.is_alive(desk) || self.is_mute(desk))
    }

    /// Whether the book's connection shows signs of life.
    fn is_alive(&self, desk: &super::desk::Desk) -> bool {
        let alive_at = self.venues[desk.venue.index()].market.alive_at;
        self.now.since(alive_at) <= self.params.market.max_book_age
    }

    /// Whether the book is silent for longer than its market is ever quiet.
    fn is_mute(&self, desk: &super::desk::Desk) -> bool {
        desk.pace.silence(self.now) > self.params.market.max_book_age && desk.pace.is_mute(self.now)
    }

    /// When a book will be too old to quote on, if nothing is heard meanwhile.
    fn stale_at(&self, desk: &super::desk::Desk) -> Ts {
        let age = self.params.market.max_book_age;
        let dead_at = self.venues[desk.venue.index()].market.alive_at + age;
        let mute_at =
            desk.pace.mute_at().map(|at| at.max(self.now + age - desk.pace.silence(self.now)));
        // Both last until their end, inclusive, and one is a rounded number.
        mute_at.map_or(dead_at, |at| at.min(dead_at)) + Span::from_ms(1)
    }

    /// Whether a book is mute behind a connection that answers pings.
    pub(super) fn is_mute_and_alive(&self, desk: &super::desk::Desk) -> bool {
        self.is_alive(desk) && self.is_mute(desk)
    }

    /// What a decision on an instrument starts from, or why there is none to make.
    fn start(&self, id: InstrumentId) -> Result<Start<'_>, Reason> {
        let desk = &self.desks[id.index()];
        let instrument = desk.listed.as_ref().ok_or(Reason::NotListed)?;
        let own: Vec<_> = if self.params.market.use_own_order_filter {
            self.orders.resting(id).collect()
        } else {
            Vec::new()
        };
        let touch = desk.touch_of_others(&own).filter(|touch| !touch.is_crossed());
        let touch = touch.ok_or(Reason::BookThin)?;
        let (maker_fee, _) = desk.fees.ok_or(Reason::Starting)?;
        let exposure = self.factor_exposure(desk.group);
        let intensity = desk.intensity.estimate();
        let signals = self.signals_for(desk, &touch);
        let as_f64 = |money: Money| money.to_f64().unwrap_or(f64::NAN);
        let own_price = signals.fair_ticks * instrument.tick_f64();
        let fair = self.fair_for(id, own_price)?;
        let fair_price = fair.price * (1.0 + fair.alpha_bps * 1e-4);
        let mut inputs = quoting::Inputs {
            instrument,
            fair_price,
            best_bid: touch.bid.px,
            best_ask: touch.ask.px,
            volatility_bps_sqrt_s: self.volatility_of(desk),
            intensity_a_per_s: intensity.a_per_s,
            intensity_k_per_bps: intensity.k_per_bps,
            drift_bps_per_s: self.carry_bps_per_s(desk),
            risk_pressure: self.capital.lean(id),
            size_share: self.size_share(),
            inventory_base: as_f64(exposure),
            inventory_limit_base: as_f64(desk.params.limits.inventory_limit_base),
            maker_fee_bps: as_f64(maker_fee) * 1e4,
            adverse_move_bps: signals.adverse_move_bps,
            widening: signals.widening,
            trade_imbalance: desk.flow.imbalance(),
            cross_asset_skew_bps: 0.0,
        };
        let lean = self.lean(desk, &inputs);
        inputs.cross_asset_skew_bps =
            self.cross_asset_skew_bps(lean.as_ref().unwrap_or(&desk.lean), &inputs);
        let lean_bps = (fair_price / (touch.mid_ticks() * instrument.tick_f64()) - 1.0) * 1e4;
        Ok(Start { inputs, own_price, fair, lean_bps, lean })
    }

    /// The model's quotes, with the pauses of each side.
    fn wanted(&mut self, id: InstrumentId, out: &mut Vec<Action>) -> Quotes {
        let now = self.now;
        let mut memo = std::mem::take(&mut self.desks[id.index()].memo);
        let start = match self.start(id) {
            Ok(start) => start,
            Err(reason) => {
                self.desks[id.index()].memo = memo;
                return Quotes::none(id, reason);
            }
        };
        let fair_parts = start.fair_parts();
        let Start { inputs, own_price, fair, lean_bps, lean } = start;
        let (decision, explanation) = if self.explaining {
            let (decision, mut why) = quoting::explain(&self.params.quoting, &inputs, &mut memo);
            why.steps.splice(0..0, fair_parts);
            (decision, Some(why))
        } else {
            (quoting::quote_with(&self.params.quoting, &inputs, &mut memo), None)
        };
        let forecast = (now >= self.desks[id.index()].forecast_due)
            .then(|| quoting::forecast(&self.params.quoting, &inputs, &mut memo));
        let (maker_fee_bps, inventory_base) = (inputs.maker_fee_bps, inputs.inventory_base);
        let volatility = inputs.volatility_bps_sqrt_s.unwrap_or_default();
        self.desks[id.index()].keep(now, memo, lean, forecast);
        self.quoted_around(id, own_price, fair.source, out);
        if let Some(numbers) = &decision.numbers {
            self.pull_toxic(id, numbers.half_spread_bps, lean_bps, maker_fee_bps, out);
        }
        let quotes = self.with_pauses(id, decision.quotes);
        let desk = &mut self.desks[id.index()];
        if let Some(numbers) = decision.numbers
            && desk.numbers.is_none_or(|before| before != numbers)
        {
            out.push(Action::Note(Note::Quoted {
                instrument: id,
                fair: numbers.fair,
                reservation: numbers.reservation,
                half_spread_bps: numbers.half_spread_bps,
                skew_bps: numbers.skew_bps,
                volatility_bps_sqrt_s: volatility,
                inventory_base,
            }));
        }
        desk.numbers = decision.numbers;
        if let Some(explanation) = explanation {
            desk.explanation = Some(quoting::Explanation { quotes: quotes.clone(), ..explanation });
        }
        quotes
    }

    /// The quotes without those of sides that pause, or that add to exposure while that may only be
    /// reduced: what rests would fill all the same.
    fn with_pauses(&mut self, id: InstrumentId, mut quotes: Quotes) -> Quotes {
        if self.state.is_reducing_only() {
            let (net, _) = self.exposure(&self.desks[id.index()]);
            for side in
                Side::BOTH.into_iter().filter(|side| net * Money::from(side.sign()) >= Money::ZERO)
            {
                quotes.sides[side.index()] = QuoteSide::none(Reason::Reducing);
            }
        }
        let desk = &mut self.desks[id.index()];
        for side in Side::BOTH {
            if let Some((until, reason)) = desk.sides[side.index()].pause {
                if self.now < until {
                    quotes.sides[side.index()] = QuoteSide::none(reason);
                    self.agenda.quote_by(id, until);
                } else {
                    desk.sides[side.index()].pause = None;
                }
            }
        }
        quotes
    }

    /// The drift that funding amounts to, where it is to be reckoned with: a rate above zero is paid
    /// by who holds, as if the price fell.
    fn carry_bps_per_s(&self, desk: &super::desk::Desk) -> f64 {
        if self.params.quoting.use_funding_carry { -desk.funding_per_s() * 1e4 } else { 0.0 }
    }

    /// Brings the working orders to the wanted ones.
    fn show(&mut self, quotes: &Quotes, out: &mut Vec<Action>) {
        for side in Side::BOTH {
            self.show_side(quotes.instrument, side, &quotes.sides[side.index()], out);
        }
    }

    fn show_side(
        &mut self,
        id: InstrumentId,
        side: Side,
        wanted: &QuoteSide,
        out: &mut Vec<Action>,
    ) {
        let (plan, unserved) = {
            let desk = &self.desks[id.index()];
            let working: Vec<Working<'_>> = self
                .orders
                .live(id)
                .filter(|o| o.new.side == side && o.new.purpose == Purpose::Quote)
                .map(Working)
                .collect();
            let tolerance = self.tolerance(desk);
            let served = |quote| working.iter().any(|w| w.serves(quote, tolerance, self.now));
            let unserved = wanted.levels.iter().filter(|quote| !served(**quote)).count();
            (changes(side, &wanted.levels, &working, tolerance, self.now), unserved)
        };
        let planned = plan.iter().filter(|change| !matches!(change, Change::Cancel { .. })).count();
        self.desks[id.index()].sides[side.index()].owed = planned < unserved;
        let pulling = wanted.levels.is_empty();
        let next = self.desks[id.index()].sides[side.index()].changed_at
            + self.params.pace.reprice_min_interval;
        if !plan.is_empty() && !pulling && self.now < next {
            self.desks[id.index()].sides[side.index()].owed = true;
            self.agenda.quote_by(id, next);
            return;
        }
        if pulling {
            self.cancel_doubted(id, side, out);
        }
        let mut reason = wanted.reason;
        let changed = !plan.is_empty();
        for change in plan {
            if let Err(blocked) = self.carry_out(id, side, change, out) {
                reason = blocked;
                self.desks[id.index()].sides[side.index()].owed = true;
                self.wait_for(id, blocked);
            }
        }
        if changed {
            self.desks[id.index()].sides[side.index()].changed_at = self.now;
        }
        let resting = self.orders.live(id).any(|o| {
            o.new.side == side && o.new.purpose == Purpose::Quote && o.phase != Phase::Sent
        });
        if reason != Reason::Quoting && resting && !pulling {
            // Something of the side stands although not all of it could be sent.
            reason = Reason::Quoting;
        }
        if reason == Reason::Quoting && self.is_all_in_doubt(id, side) {
            reason = Reason::OrderUnknown;
        }
        self.give_reason(id, side, reason, out);
    }

    /// Whether every quote of a side is of unknown fate: nobody can say that it is shown.
    fn is_all_in_doubt(&self, id: InstrumentId, side: Side) -> bool {
        let mut own = self
            .orders
            .live(id)
            .filter(|order| order.new.side == side && order.new.purpose == Purpose::Quote)
            .peekable();
        own.peek().is_some() && own.all(|order| matches!(order.phase, Phase::Unknown(_)))
    }

    /// A side that is pulled leaves nothing behind that may be live without our knowing.
    fn cancel_doubted(&mut self, id: InstrumentId, side: Side, out: &mut Vec<Action>) {
        let doubted: Vec<OrderId> = self
            .orders
            .live(id)
            .filter(|o| o.new.side == side && o.new.purpose == Purpose::Quote)
            .filter(|o| matches!(o.phase, Phase::Unknown(_)))
            .map(|o| o.new.id)
            .collect();
        for order in doubted {
            self.cancel(id, order, out);
        }
    }

    fn carry_out(
        &mut self,
        id: InstrumentId,
        side: Side,
        change: Change,
        out: &mut Vec<Action>,
    ) -> Result<(), Reason> {
        match change {
            Change::Cancel { id: order } => {
                self.cancel(id, order, out);
                Ok(())
            }
            Change::Amend { id: order, px, qty } => self.amend(id, order, px, qty, out),
            Change::Place(Quote { px, qty }) => {
                let wish = Wish {
                    instrument: id,
                    side,
                    px,
                    qty,
                    kind: OrderKind::PostOnly,
                    reduce_only: false,
                    purpose: Purpose::Quote,
                };
                self.place(wish, out).map(|_| ())
            }
        }
    }

    /// When a side that was held back is looked at again.
    fn wait_for(&mut self, id: InstrumentId, reason: Reason) {
        let now = self.now;
        let desk = &self.desks[id.index()];
        let room_at = match reason {
            Reason::Budget | Reason::Throttled => {
                self.venues[desk.venue.index()].budget.quote_at(now)
            }
            _ => now,
        };
        // Where messages have room, something else is in the way: too many orders are open.
        let at = if room_at > now { room_at } else { now + Span::from_ms(250) };
        self.agenda.quote_by(id, at);
    }

    fn tolerance(&self, desk: &super::desk::Desk) -> Tolerance {
        let spot = desk.listed.as_ref().is_none_or(|listed| listed.kind == InstrumentKind::Spot);
        Tolerance {
            reprice_threshold_bps: self.params.pace.reprice_threshold_bps,
            max_age: self.params.pace.max_quote_age,
            can_move: !spot,
            can_shrink: spot,
        }
    }

    /// Records why a side is or is not quoting, and for how long it has been.
    fn give_reason(&mut self, id: InstrumentId, side: Side, reason: Reason, out: &mut Vec<Action>) {
        let now = self.now;
        let state = &mut self.desks[id.index()].sides[side.index()];
        state.count_to(now);
        if state.reason != reason {
            state.reason = reason;
            out.push(Action::Note(Note::SideReason { instrument: id, side, reason }));
        }
    }
}

/// What is not a number is beyond every bound.
pub(super) fn is_beyond(value: f64, bound: f64) -> bool {
    value.is_nan() || value > bound
}

impl super::desk::DeskSide {
    /// Adds the time since the last count to the side's uptime, if it was quoting.
    pub(super) fn count_to(&mut self, now: Ts) {
        if self.reason == Reason::Quoting && self.counted_at > Ts(0) {
            self.quoting_for = self.quoting_for + now.since(self.counted_at);
        }
        self.counted_at = now;
    }
}
