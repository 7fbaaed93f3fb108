//! How much money the inventory puts at risk now, and what follows from it: smaller sizes and a
//! stronger skew as the limit comes near, only reducing orders once it is reached.
//!
//! Reckoned on a timer and after every fill, never on a book update.

use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::desk::Desk;
use crate::domain::{
    Action, CapitalStage, InstrumentId, InstrumentKind, Note, Side, Span, State, Ts,
};
use crate::risk::capital::{
    Exit, Historical, Parametric, RELEASE_BELOW, Tail, cornish_fisher, exit_cost, historical,
    make_semi_definite, parametric, pressure, seconds_at_risk, spread_addon,
};

/// What capital at risk is reckoned with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapitalParams {
    /// Most capital at risk, quote; `None`: it is shown and limits nothing.
    pub limit_quote: Option<f64>,
    /// Probability that the loss is not exceeded.
    pub tail: Tail,
    /// Time before anything is done about a loss.
    pub reaction: Span,
    /// Pace at which one instrument can be left, quote per second, above zero.
    pub liquidation_quote_per_s: f64,
    /// Stress: a move of that many standard deviations.
    pub stress_sigmas: f64,
    /// Stress: share of the books that is left.
    pub stress_depth: f64,
    /// Stress: a funding rate against us, basis points.
    pub stress_funding_bps: f64,
}

impl Default for CapitalParams {
    fn default() -> CapitalParams {
        CapitalParams {
            limit_quote: None,
            tail: Tail::new(0.99).expect("0.99 is a confidence"),
            reaction: Span::from_s(60),
            liquidation_quote_per_s: 1_000.0,
            stress_sigmas: 6.0,
            stress_depth: 0.3,
            stress_funding_bps: 75.0,
        }
    }
}

/// Time between two reckonings without a fill.
const RECKON_EVERY: Span = Span::from_ms(250);
/// A book that is being proven again is left at its last known cost for so long; then that cost
/// is unknown. A gap mends within a second or two, and a holding does not become riskier by it.
const EXIT_KEPT: Span = Span::from_s(5);
/// Time between two reports of a level that has changed.
const TELL_EVERY: Span = Span::from_s(1);

/// What is known of capital at risk.
#[derive(Clone, Debug)]
pub(super) struct Capital {
    params: CapitalParams,
    due: Ts,
    /// For each instrument: the pressure times the correlation of its price with the result of
    /// the whole, −1 to 1. Above zero, buying adds risk.
    leans: Vec<f64>,
    view: CapitalView,
    told: (Ts, Option<f64>),
    /// For each instrument, what leaving cost when its book was last proven.
    exits: Vec<Option<KnownExit>>,
}

/// What leaving a holding cost, through a book that was proven then.
#[derive(Clone, Copy, Debug)]
struct KnownExit {
    at: Ts,
    /// Quote per unit of base; grows with the quantity, so it holds for holdings of about that
    /// size only.
    per_base: f64,
    /// The same with the book of the stress.
    thin_per_base: f64,
}

/// Capital at risk and what it is made of. Amounts in quote.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CapitalView {
    /// Liquidation-adjusted value at risk; `None`: a book is not proven or too thin to leave
    /// through, which counts as the limit.
    pub at_risk_quote: Option<f64>,
    /// Its limit; `None`: there is none.
    pub limit_quote: Option<f64>,
    /// 0 without pressure to 1 at the limit: sizes that add risk shrink by it, skew grows by it.
    pub pressure: f64,
    /// What follows from it.
    pub stage: CapitalStage,
    /// Most of the session.
    pub max_at_risk_quote: f64,
    /// Probability that the losses below are not exceeded.
    pub confidence: f64,
    /// Their horizon: the reaction time, seconds.
    pub horizon_s: f64,
    /// Standard deviation of the result over the horizon.
    pub std_quote: f64,
    /// Parametric value at risk over the horizon.
    pub var_quote: f64,
    /// Parametric expected shortfall over the horizon.
    pub shortfall_quote: f64,
    /// The same VaR if no holding offset another.
    pub undiversified_quote: f64,
    /// VaR over undiversified VaR.
    pub diversification: f64,
    /// Value at risk from past moves of these holdings; `None` until there are enough.
    pub historical_var_quote: Option<f64>,
    /// Expected shortfall from past moves.
    pub historical_shortfall_quote: Option<f64>,
    /// Value at risk with the quantile corrected for skewness and kurtosis of past moves.
    pub cornish_fisher_var_quote: Option<f64>,
    /// Market part of the capital at risk: reacting, then leaving at the configured pace.
    pub market_quote: f64,
    /// Cost of leaving through the books now, taker fees included; `None`: not known.
    pub exit_cost_quote: Option<f64>,
    /// Part of it that half the spread is.
    pub spread_addon_quote: f64,
    /// Correlations were made to fit together by taking this share off.
    pub correlation_shrunk: f64,
    /// What holds a position.
    pub holdings: Vec<HoldingView>,
    /// What would hurt.
    pub stress: StressView,
}

/// One holding's part in capital at risk.
#[derive(Clone, Debug, Serialize)]
pub struct HoldingView {
    /// Name of its venue.
    pub venue: String,
    /// The venue's symbol.
    pub symbol: String,
    /// Holding off target × price, quote.
    pub delta_quote: f64,
    /// ∂VaR/∂delta.
    pub marginal_var: f64,
    /// Its part of VaR; the parts sum to VaR.
    pub component_var_quote: f64,
    /// Cost of leaving through the book now, quote, without the fee.
    pub exit_cost_quote: f64,
    /// What the known book does not take, base.
    pub unfilled_base: f64,
    /// Time to leave at the configured pace, seconds.
    pub exit_s: f64,
}

/// What would hurt, over the horizon. Results below zero are losses.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StressView {
    /// Standard deviations of the move.
    pub sigmas: f64,
    /// Result if everything rose by so many of its own standard deviations.
    pub up_quote: f64,
    /// Result if everything fell by so many.
    pub down_quote: f64,
    /// Value at risk if all correlations were 1.
    pub correlation_one_var_quote: f64,
    /// Cost of leaving with the configured share of the books; `None`: they would not do.
    pub thin_exit_cost_quote: Option<f64>,
    /// Cost of one settlement at the configured funding rate against us.
    pub funding_cost_quote: f64,
}

/// One instrument that holds something.
struct Holding {
    id: InstrumentId,
    off_base: f64,
    delta_quote: f64,
    /// Standard deviation of its return per √s.
    volatility: f64,
    exit: Exit,
    thin_exit: Exit,
    fee_quote: f64,
    spread_quote: f64,
    exit_s: f64,
}

impl Capital {
    pub(super) fn new(params: CapitalParams, instruments: usize) -> Capital {
        let view = CapitalView {
            at_risk_quote: Some(0.0),
            limit_quote: params.limit_quote,
            exit_cost_quote: Some(0.0),
            confidence: params.tail.confidence,
            horizon_s: params.reaction.seconds(),
            diversification: 1.0,
            ..CapitalView::default()
        };
        let leans = vec![0.0; instruments];
        let exits = vec![None; instruments];
        Capital { params, due: Ts(0), leans, view, told: (Ts(0), Some(0.0)), exits }
    }

    /// Takes other settings, reckoned with from the next opportunity on.
    pub(super) fn retune(&mut self, params: CapitalParams) {
        self.params = params;
        self.reckon_now();
    }

    /// Something was filled: reckon at the next opportunity.
    pub(super) fn reckon_now(&mut self) {
        self.due = Ts(0);
    }

    /// The pressure on an instrument: above zero, buying adds risk; below zero, selling does.
    pub(super) fn lean(&self, id: InstrumentId) -> f64 {
        self.leans[id.index()]
    }

    pub(super) fn view(&self) -> &CapitalView {
        &self.view
    }

    /// Why only reducing orders may be shown, if so.
    pub(super) fn pressing_reason(&self) -> Option<String> {
        let limit = self.view.limit_quote.filter(|_| self.view.stage == CapitalStage::AtLimit)?;
        Some(match self.view.at_risk_quote {
            Some(at_risk) => format!("capital at risk {at_risk:.2} of {limit:.2}"),
            None => "capital at risk unknown: a book is too thin to leave through".to_owned(),
        })
    }
}

impl Engine {
    /// Reckons capital at risk when it is time to.
    pub(super) fn reckon_capital(&mut self, out: &mut Vec<Action>) {
        let trading = matches!(self.state, State::Warming | State::Quoting | State::Reducing);
        if !trading || self.now < self.capital.due {
            return;
        }
        self.capital.due = self.now + RECKON_EVERY;
        let holdings = self.holdings();
        self.keep_exits(&holdings);
        let (correlation, shrunk) = self.fitting_correlations(&holdings);
        let before = self.capital.view.stage;
        let mut view = self.weigh(&holdings, &correlation);
        view.correlation_shrunk = shrunk;
        self.judge(&mut view);
        let leans = self.leans(&holdings, view.pressure);
        let moved = leans.iter().zip(&self.capital.leans).any(|(a, b)| (a - b).abs() > 0.02);
        self.capital.leans = leans;
        self.capital.view = view;
        if moved || self.capital.view.stage != before {
            self.agenda.quote_all_now();
        }
        self.tell_capital(before, out);
    }

    /// What is held off target, with what leaving it would cost.
    fn holdings(&self) -> Vec<Holding> {
        self.desks.iter().filter_map(|desk| self.holding(desk)).collect()
    }

    fn holding(&self, desk: &Desk) -> Option<Holding> {
        let instrument = desk.listed.as_ref()?;
        let off = desk.off_target_base();
        if instrument.lots_within(off.abs()).is_zero() {
            return None;
        }
        let off = off.to_f64().unwrap_or(f64::NAN);
        // Without a proven book the last mid still tells the size; what it costs to leave is then
        // not known.
        let last = desk.attribution.mark_half_ticks();
        let last = last.map(|half| half as f64 / 2.0 * instrument.tick_f64());
        let (mid, spread) = match desk.book.touch().filter(|touch| !touch.is_crossed()) {
            Some(touch) => (desk.mid_f64(), touch.spread_ticks() as f64 / touch.mid_ticks()),
            None => (last, 0.0),
        };
        let mid = mid.unwrap_or(f64::NAN);
        // Spot and linear contracts alike.
        let delta_quote = match instrument.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => off * mid,
        };
        let variance = self.correlations.covariance_bps2_per_s(desk.id, desk.id);
        let volatility = self.volatility_of(desk).unwrap_or(variance.sqrt()) * 1e-4;
        let taker_fee = desk.fees.and_then(|(_, taker)| taker.to_f64()).unwrap_or(0.0);
        let share = self.capital.params.stress_depth;
        Some(Holding {
            id: desk.id,
            off_base: off,
            delta_quote,
            volatility,
            exit: self.exit_or_last(desk, off, mid, 1.0, |known| known.per_base),
            thin_exit: self.exit_or_last(desk, off, mid, share, |known| known.thin_per_base),
            fee_quote: delta_quote.abs() * taker_fee,
            spread_quote: spread_addon(delta_quote, spread),
            exit_s: delta_quote.abs() / self.capital.params.liquidation_quote_per_s,
        })
    }

    /// Remembers what leaving costs through the books that are proven now.
    fn keep_exits(&mut self, holdings: &[Holding]) {
        for own in holdings {
            let known = own.exit.unfilled_base == 0.0 && own.exit.cost_quote.is_finite();
            if known && self.desks[own.id.index()].book.is_synced() {
                let per_base = |exit: Exit| match exit.unfilled_base {
                    0.0 => exit.cost_quote / own.off_base.abs(),
                    _ => f64::NAN,
                };
                self.capital.exits[own.id.index()] = Some(KnownExit {
                    at: self.now,
                    per_base: per_base(own.exit),
                    thin_per_base: per_base(own.thin_exit),
                });
            }
        }
    }

    /// Leaving a holding through its book or, while that is being proven again, at what it cost
    /// a moment ago.
    fn exit_or_last(
        &self,
        desk: &Desk,
        off_base: f64,
        mid: f64,
        depth: f64,
        per_base: impl Fn(&KnownExit) -> f64,
    ) -> Exit {
        let last = self.capital.exits[desk.id.index()]
            .filter(|known| !desk.book.is_synced() && self.now.since(known.at) < EXIT_KEPT)
            .map(|known| per_base(&known) * off_base.abs())
            .filter(|cost| cost.is_finite());
        match last {
            Some(cost_quote) => Exit { cost_quote, unfilled_base: 0.0 },
            None => self.exit(desk, off_base, mid, depth),
        }
    }

    /// Leaving a holding through its book, our own orders left out.
    fn exit(&self, desk: &Desk, off_base: f64, mid: f64, depth: f64) -> Exit {
        let taken = if off_base > 0.0 { Side::Buy } else { Side::Sell };
        let own: Vec<_> = self.orders.resting(desk.id).filter(|own| own.0 == taken).collect();
        let Some(instrument) = desk.listed.as_ref().filter(|_| desk.book.is_synced()) else {
            return Exit { cost_quote: 0.0, unfilled_base: off_base.abs() };
        };
        let levels = desk.book.levels(taken).map(|level| {
            let ours = own.iter().filter(|own| own.1 == level.px).map(|own| own.2).sum();
            let others = (level.qty - ours).max(crate::domain::Qty::ZERO);
            (instrument.price_f64(level.px), instrument.quantity_f64(others))
        });
        exit_cost(off_base, mid, depth, levels)
    }

    /// Correlations of what is held, row by row, and the share taken off to make them fit.
    fn fitting_correlations(&self, holdings: &[Holding]) -> (Vec<f64>, f64) {
        let n = holdings.len();
        let pair = |at: usize| {
            let (i, j) = (holdings[at / n].id, holdings[at % n].id);
            self.correlations.correlation(i, j).value
        };
        let mut correlation: Vec<f64> = (0..n * n).map(pair).collect();
        let shrunk = make_semi_definite(&mut correlation, n);
        (correlation, shrunk)
    }

    /// Everything but the limit.
    fn weigh(&self, holdings: &[Holding], correlation: &[f64]) -> CapitalView {
        let params = &self.capital.params;
        let reaction_s = params.reaction.seconds();
        let n = holdings.len();
        let delta: Vec<f64> = holdings.iter().map(|own| own.delta_quote).collect();
        let covariance = |seconds: &dyn Fn(&Holding, &Holding) -> f64| -> Vec<f64> {
            let entry = |at: usize| {
                let (a, b) = (&holdings[at / n], &holdings[at % n]);
                correlation[at] * a.volatility * b.volatility * seconds(a, b)
            };
            (0..n * n).map(entry).collect()
        };
        let still = parametric(&delta, &covariance(&|_, _| reaction_s), params.tail);
        let leaving = |a: &Holding, b: &Holding| seconds_at_risk(reaction_s, a.exit_s, b.exit_s);
        let market = parametric(&delta, &covariance(&leaving), params.tail);
        let known = holdings.iter().all(|own| own.exit.unfilled_base == 0.0);
        let cost: f64 = holdings.iter().map(|own| own.exit.cost_quote + own.fee_quote).sum();
        let exit_cost_quote = (known && cost.is_finite()).then_some(cost);
        let past = self.past(holdings, reaction_s);
        CapitalView {
            at_risk_quote: exit_cost_quote
                .map(|cost| market.var_quote + cost)
                .filter(|at_risk| at_risk.is_finite()),
            limit_quote: params.limit_quote,
            confidence: params.tail.confidence,
            horizon_s: reaction_s,
            std_quote: still.std_quote,
            var_quote: still.var_quote,
            shortfall_quote: still.shortfall_quote,
            undiversified_quote: still.undiversified_quote,
            diversification: still.diversification,
            historical_var_quote: past.map(|past| past.var_quote),
            historical_shortfall_quote: past.map(|past| past.shortfall_quote),
            cornish_fisher_var_quote: past.map(|past| {
                cornish_fisher(0.0, still.std_quote, past.skew, past.kurtosis, params.tail)
            }),
            market_quote: market.var_quote,
            exit_cost_quote,
            spread_addon_quote: holdings.iter().map(|own| own.spread_quote).sum(),
            stress: self.stress(holdings),
            holdings: self.holding_views(holdings, &still),
            ..CapitalView::default()
        }
    }

    /// What the holdings of now would have made of each past move, over the horizon.
    fn past(&self, holdings: &[Holding], horizon_s: f64) -> Option<Historical> {
        if holdings.is_empty() {
            return None;
        }
        let profit = |moves: &[f64]| -> f64 {
            let part = |own: &Holding| own.delta_quote * moves[own.id.index()] * 1e-4;
            holdings.iter().map(part).sum::<f64>() * horizon_s.sqrt()
        };
        // An instrument that was not heard of then makes the move of the whole unknown.
        let mut profits: Vec<f64> =
            self.correlations.past_moves().map(profit).filter(|p| p.is_finite()).collect();
        historical(&mut profits, self.capital.params.tail.confidence)
    }

    fn stress(&self, holdings: &[Holding]) -> StressView {
        let params = &self.capital.params;
        let root = params.reaction.seconds().sqrt();
        let sigma: f64 = holdings.iter().map(|own| own.delta_quote * own.volatility * root).sum();
        let enough = holdings.iter().all(|own| own.thin_exit.unfilled_base == 0.0);
        let thin = holdings.iter().map(|own| own.thin_exit.cost_quote + own.fee_quote).sum();
        let is_perpetual = |own: &&Holding| {
            let listed = self.desks[own.id.index()].listed.as_ref();
            listed.is_some_and(|listed| listed.kind == InstrumentKind::LinearPerpetual)
        };
        let funded: f64 = holdings.iter().filter(is_perpetual).map(|own| own.delta_quote).sum();
        StressView {
            sigmas: params.stress_sigmas,
            up_quote: params.stress_sigmas * sigma,
            down_quote: -params.stress_sigmas * sigma,
            correlation_one_var_quote: params.tail.z * sigma.abs(),
            thin_exit_cost_quote: enough.then_some(thin),
            funding_cost_quote: funded.abs() * params.stress_funding_bps * 1e-4,
        }
    }

    fn holding_views(&self, holdings: &[Holding], still: &Parametric) -> Vec<HoldingView> {
        let view = |(at, own): (usize, &Holding)| {
            let desk = &self.desks[own.id.index()];
            HoldingView {
                venue: self.venues[desk.venue.index()].name.clone(),
                symbol: desk.params.symbol.clone(),
                delta_quote: own.delta_quote,
                marginal_var: still.marginal[at],
                component_var_quote: still.component_quote[at],
                exit_cost_quote: own.exit.cost_quote,
                unfilled_base: own.exit.unfilled_base,
                exit_s: own.exit_s,
            }
        };
        holdings.iter().enumerate().map(view).collect()
    }

    /// Holds capital at risk against its limit, with hysteresis.
    fn judge(&self, view: &mut CapitalView) {
        let before = &self.capital.view;
        let known = view.at_risk_quote.unwrap_or(0.0);
        view.max_at_risk_quote = before.max_at_risk_quote.max(known);
        let Some(limit) = view.limit_quote else { return };
        view.pressure = pressure(view.at_risk_quote, limit);
        let share = view.at_risk_quote.map_or(f64::INFINITY, |at_risk| at_risk / limit);
        let held = before.stage == CapitalStage::AtLimit && share >= RELEASE_BELOW;
        view.stage = if share >= 1.0 || held {
            CapitalStage::AtLimit
        } else if view.pressure > 0.0 {
            CapitalStage::Pressing
        } else {
            CapitalStage::Free
        };
    }

    /// The pressure on each instrument, by how its price moves with the result of the whole. An
    /// instrument that would offset what is held is pressed the other way.
    fn leans(&self, holdings: &[Holding], pressure: f64) -> Vec<f64> {
        if pressure == 0.0 {
            return vec![0.0; self.desks.len()];
        }
        let joint = |i: InstrumentId, own: &Holding| {
            own.delta_quote * own.volatility * self.correlations.correlation(i, own.id).value
        };
        let variance: f64 = holdings
            .iter()
            .map(|own| {
                let pull: f64 = holdings.iter().map(|other| joint(own.id, other)).sum();
                own.delta_quote * own.volatility * pull
            })
            .sum();
        let std = variance.max(0.0).sqrt();
        let lean = |desk: &Desk| {
            let pull: f64 = holdings.iter().map(|own| joint(desk.id, own)).sum();
            let share = if std > 0.0 { (pull / std).clamp(-1.0, 1.0) } else { 0.0 };
            if share.is_finite() { pressure * share } else { 0.0 }
        };
        self.desks.iter().map(lean).collect()
    }

    /// Tells a change of stage at once, and of the level now and then.
    fn tell_capital(&mut self, from: CapitalStage, out: &mut Vec<Action>) {
        let view = &self.capital.view;
        let (told_at, told) = self.capital.told;
        let (now_is, was) = (view.at_risk_quote.unwrap_or(0.0), told.unwrap_or(0.0));
        let changed = view.at_risk_quote.is_some() != told.is_some()
            || (now_is - was).abs() > 0.05 * was.abs().max(1e-9);
        let due = changed && self.now.since(told_at) >= TELL_EVERY;
        if from == view.stage && !due {
            return;
        }
        self.capital.told = (self.now, view.at_risk_quote);
        out.push(Action::Note(Note::Capital {
            from,
            to: view.stage,
            at_risk_quote: view.at_risk_quote,
            limit_quote: view.limit_quote,
            var_quote: view.var_quote,
            exit_cost_quote: view.exit_cost_quote,
            pressure: view.pressure,
        }));
    }
}
