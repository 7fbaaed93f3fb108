//! What would we like to show? A pure function from market, inventory and settings to quotes.
//!
//! The models work in basis points of the fair price around a reservation price, which is the
//! fair price moved against our inventory; ticks, lots and the venue's limits come last. Every
//! input that is missing or no number ends in a named reason, never in a price.

pub mod avellaneda_stoikov;
pub mod cartea_jaimungal;
pub mod chain;
mod depths;
pub mod exact;
mod explain;
mod fixed;
mod forecast;
pub mod glft;
mod ladder;
mod memo;
mod model;
pub mod multi_asset;
mod params;
pub mod policy;
pub mod stale;
pub mod swing;
mod tridiagonal;

use serde::Serialize;

use crate::domain::{Instrument, Px, Qty, Quotes, Reason, Side};
use explain::Trail;

pub use depths::Depths;
pub use explain::{Explanation, Part, Rung, Step};
pub use forecast::{Forecast, forecast, share_of_optimum};
pub use memo::Memo;
pub use params::{LevelParams, Model, Params, RiskAversion, Size};

/// What quoting is told about one instrument at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Scales and limits.
    pub instrument: &'a Instrument,
    /// Fair price, own orders left out; quote per base.
    pub fair_price: f64,
    /// Best bid of others.
    pub best_bid: Px,
    /// Best ask of others.
    pub best_ask: Px,
    /// Volatility, bps per √s; `None` while warming up. The fixed model needs it only where
    /// `half_spread_per_volatility` is set.
    pub volatility_bps_sqrt_s: Option<f64>,
    /// Arrivals per second at depth zero, on each side (GLFT).
    pub intensity_a_per_s: f64,
    /// Decay of arrivals per bps of depth (GLFT).
    pub intensity_k_per_bps: f64,
    /// Expected drift of the fair price, bps per second (funding carry, a signal); zero if none
    /// (GLFT).
    pub drift_bps_per_s: f64,
    /// How hard the limit on capital at risk presses here, −1 to 1: above zero, buying adds risk.
    /// The side that adds shrinks by it, and the skew of what adds grows by it. Zero: not at all.
    pub risk_pressure: f64,
    /// All sizes are multiplied by this, above 0 to 1 (the ramp-up after a start).
    pub size_share: f64,
    /// Exposure that the skew answers to: base units from target, above zero is long.
    pub inventory_base: f64,
    /// The most that `inventory_base` may become on either side, above zero.
    pub inventory_limit_base: f64,
    /// Maker fee as basis points of notional; below zero for a rebate.
    pub maker_fee_bps: f64,
    /// Expected move against each fill (adverse selection), bps; zero or above.
    pub adverse_move_bps: f64,
    /// The model's half-spread is multiplied by this (toxic flow); 1 or above.
    pub widening: f64,
    /// Balance of recent takers, −1 all selling to 1 all buying (Cartea–Jaimungal).
    pub trade_imbalance: f64,
    /// How far the quotes move up for what is held of other assets, bps; below zero is down.
    pub cross_asset_skew_bps: f64,
}

/// The numbers behind a decision, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct QuoteNumbers {
    /// Fair price, quote per base.
    pub fair: f64,
    /// Fair price after the skew, quote per base.
    pub reservation: f64,
    /// Half-spread around the reservation price, bps of the fair price.
    pub half_spread_bps: f64,
    /// Reservation against fair, bps: below zero when long.
    pub skew_bps: f64,
    /// How far the model moves both quotes per base unit held, bps.
    pub skew_bps_per_base: f64,
    /// Inventory as a share of its limit, −1 to 1 (cut there).
    pub share_of_limit: f64,
    /// What capital at risk presses with, −1 to 1: sizes of the side that adds shrink by it.
    pub risk_pressure: f64,
    /// Least half-spread that pays the fee, the adverse move and the edge wanted, bps.
    pub break_even_bps: f64,
    /// Expected move against each fill that was reckoned with, bps.
    pub adverse_move_bps: f64,
    /// What the model's half-spread was multiplied by for toxic flow.
    pub widening: f64,
    /// What the assumed latency costs a side at that half-spread, bps; part of it.
    pub stale_cost_bps: f64,
    /// Part of the skew that is for other assets' holdings, bps.
    pub cross_asset_skew_bps: f64,
    /// What cut or moved the model's numbers.
    pub clamps: Clamps,
}

/// What cut or moved the model's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clamps {
    /// The half-spread was raised to its floor.
    pub half_spread_floor: bool,
    /// The half-spread was cut to its ceiling.
    pub half_spread_ceiling: bool,
    /// The skew was raised to a tick at the limit.
    pub skew_floor: bool,
    /// The skew was cut to its ceiling.
    pub skew_ceiling: bool,
    /// A quote of that side (bid, ask) was moved back from the other side's best price.
    pub post_only: [bool; 2],
}

/// What we would like to show, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Wanted orders with a reason for each side.
    pub quotes: Quotes,
    /// The numbers behind them; `None` when no price could be made.
    pub numbers: Option<QuoteNumbers>,
}

/// The quotes wanted now. The same inputs give the same decision.
#[must_use]
pub fn quote(params: &Params, inputs: &Inputs<'_>) -> Decision {
    quote_with(params, inputs, &mut Memo::default())
}

/// The quotes wanted now, by a table that is remembered while it is good enough.
#[must_use]
pub fn quote_with(params: &Params, inputs: &Inputs<'_>, memo: &mut Memo) -> Decision {
    decide(params, inputs, memo, &mut ())
}

/// The same decision, with every step that led to it.
#[must_use]
pub fn explain(params: &Params, inputs: &Inputs<'_>, memo: &mut Memo) -> (Decision, Explanation) {
    let mut steps = Vec::new();
    let decision = decide(params, inputs, memo, &mut steps);
    let quotes = decision.quotes.clone();
    (decision, Explanation { steps, quotes })
}

fn decide(
    params: &Params,
    inputs: &Inputs<'_>,
    memo: &mut Memo,
    trail: &mut impl Trail,
) -> Decision {
    tell(inputs, trail);
    match price(params, inputs, memo, trail) {
        Ok(mut numbers) => {
            let quotes = ladder::build(params, inputs, &mut numbers, trail);
            Decision { quotes, numbers: Some(numbers) }
        }
        Err(reason) => {
            Decision { quotes: Quotes::none(inputs.instrument.id, reason), numbers: None }
        }
    }
}

/// γ per bps and size of the first level, by the parameters; `None` for the fixed model, and
/// without the numbers of the market that it follows from.
#[must_use]
pub fn risk_aversion(params: &Params, inputs: &Inputs<'_>) -> Option<f64> {
    let weighed = params.model != Model::Fixed;
    weighed.then(|| model::risk_aversion(params, inputs, unit_base(params, inputs)))?
}

/// Size of the first level, base: the models' unit of inventory.
#[must_use]
pub fn unit_base(params: &Params, inputs: &Inputs<'_>) -> f64 {
    params.levels.first().map_or(0.0, |level| level.size.base(inputs.fair_price))
}

/// What the decision starts from.
fn tell(inputs: &Inputs<'_>, trail: &mut impl Trail) {
    let price = |px| inputs.instrument.price_f64(px);
    trail.step(|| Step {
        whole: Some(inputs.best_bid.0),
        ..Step::input("best bid of others", price(inputs.best_bid), "quote/base")
    });
    trail.step(|| Step {
        whole: Some(inputs.best_ask.0),
        ..Step::input("best ask of others", price(inputs.best_ask), "quote/base")
    });
    trail.given("fair price", inputs.fair_price, "quote/base");
    if let Some(sigma) = inputs.volatility_bps_sqrt_s {
        trail.given("volatility σ", sigma, "bps/√s");
    }
    trail.given("drift", inputs.drift_bps_per_s, "bps/s");
    trail.given("maker fee", inputs.maker_fee_bps, "bps");
    trail.given("inventory from target", inputs.inventory_base, "base");
    trail.given("inventory limit", inputs.inventory_limit_base, "base");
}

/// Half-spread and skew of the model, within their floors and ceilings.
fn price(
    params: &Params,
    inputs: &Inputs<'_>,
    memo: &mut Memo,
    trail: &mut impl Trail,
) -> Result<QuoteNumbers, Reason> {
    usable(inputs)?;
    let unit = unit_base(params, inputs);
    let model = model::answer(params, inputs, unit, memo).ok_or(Reason::WarmingUp)?;
    model::tell(params, inputs, unit, trail);
    let share = (inputs.inventory_base / inputs.inventory_limit_base).clamp(-1.0, 1.0);
    trail.given("inventory as a share of its limit", share, "ratio");
    let tick_bps = inputs.instrument.tick_f64() / inputs.fair_price * 1e4;
    let half =
        half_spread(params, inputs, model.half_spread, tick_bps, trail).ok_or(Reason::WarmingUp)?;
    let (skew_bps, skew_floor, skew_ceiling) =
        skew(params, inputs, &model, share.abs() * tick_bps, trail);
    let reservation = inputs.fair_price * (1.0 + skew_bps * 1e-4);
    trail.given("reservation price", reservation, "quote/base");
    if !(half.bps.is_finite() && reservation.is_finite() && reservation > 0.0) {
        return Err(Reason::WarmingUp);
    }
    Ok(QuoteNumbers {
        fair: inputs.fair_price,
        reservation,
        half_spread_bps: half.bps,
        skew_bps,
        skew_bps_per_base: model.slope / unit,
        share_of_limit: share,
        risk_pressure: inputs.risk_pressure,
        break_even_bps: half.break_even,
        adverse_move_bps: inputs.adverse_move_bps,
        widening: inputs.widening,
        stale_cost_bps: half.stale_cost,
        cross_asset_skew_bps: inputs.cross_asset_skew_bps,
        clamps: Clamps {
            half_spread_floor: half.floor,
            half_spread_ceiling: half.ceiling,
            skew_floor,
            skew_ceiling,
            ..Clamps::default()
        },
    })
}

/// The half-spread with what it must pay, bps.
struct HalfSpread {
    bps: f64,
    break_even: f64,
    stale_cost: f64,
    floor: bool,
    ceiling: bool,
}

/// The model's half-spread, widened, within its floors and ceiling; `None` without a volatility
/// where one is needed.
fn half_spread(
    params: &Params,
    inputs: &Inputs<'_>,
    model: f64,
    tick_bps: f64,
    trail: &mut impl Trail,
) -> Option<HalfSpread> {
    let adverse = inputs.adverse_move_bps;
    let paid = break_even_bps(inputs.maker_fee_bps, adverse, params.min_edge_bps);
    let stale_cost = stale_cost_bps(params, inputs, paid)?;
    let break_even = paid + stale_cost;
    let widening = volatility_bps(params, inputs)?;
    let wanted = trail.half_spread("model", 0.0, model);
    let wanted = trail.half_spread("volatility widening", wanted, wanted + widening);
    let wanted = trail.half_spread("toxic flow widening", wanted, wanted * inputs.widening);
    let most = params.max_half_spread_bps;
    let cut = trail.half_spread("ceiling: max_half_spread", wanted, wanted.min(most));
    let least = params.min_half_spread_bps;
    let raised = trail.half_spread("floor: min_half_spread", cut, cut.max(least));
    let paid = raised.max(break_even);
    let paid =
        trail.half_spread("floor: maker fee + adverse move + being late + min_edge", raised, paid);
    // Half a tick keeps bid and ask apart after rounding.
    let bps = trail.half_spread("floor: half a tick", paid, paid.max(tick_bps / 2.0));
    Some(HalfSpread { bps, break_even, stale_cost, floor: bps > cut, ceiling: wanted > most })
}

/// How far the quotes move, bps, and whether a floor or a ceiling made it so. A coarse tick must
/// not swallow the skew: at the limit of inventory it is worth a tick (`least`) at least.
fn skew(
    params: &Params,
    inputs: &Inputs<'_>,
    model: &model::Answer,
    least: f64,
    trail: &mut impl Trail,
) -> (f64, bool, bool) {
    let sign = inputs.inventory_base.signum();
    let pressed = 1.0 + (inputs.risk_pressure * sign).clamp(0.0, 1.0);
    let by_inventory = pressed * model.against * sign;
    let skew = trail.skew("model: against inventory", 0.0, -model.against);
    let skew = trail.skew("capital at risk: leans harder", skew, skew * pressed);
    let skew = trail.skew("floor: a tick at the limit", skew, by_inventory.max(least) * -sign);
    let skew = trail.skew("model: drift", skew, skew + model.shift);
    let others = inputs.cross_asset_skew_bps;
    let skew = trail.skew("held of other assets", skew, skew + others);
    let most = params.max_skew_bps.max(least);
    let cut = trail.skew("ceiling: max_skew", skew, skew.clamp(-most, most));
    (cut, by_inventory < least, skew.abs() > most)
}

/// The least half-spread at which a fill earns `edge_bps` after the maker fee (below zero for a
/// rebate) and the move that is expected against it, bps. Below zero where the rebate pays for all
/// of it: quotes then need no spread.
#[must_use]
pub fn break_even_bps(maker_fee_bps: f64, adverse_move_bps: f64, edge_bps: f64) -> f64 {
    maker_fee_bps + adverse_move_bps + edge_bps
}

/// Whether the inputs can be quoted on at all.
fn usable(inputs: &Inputs<'_>) -> Result<(), Reason> {
    let known = |value: f64| value.is_finite();
    if !(known(inputs.fair_price) && inputs.fair_price > 0.0) {
        return Err(Reason::NoReference);
    }
    if inputs.best_bid >= inputs.best_ask {
        return Err(Reason::BookCrossed);
    }
    let limit = inputs.inventory_limit_base;
    let numbers = [
        inputs.inventory_base,
        inputs.maker_fee_bps,
        inputs.risk_pressure,
        inputs.size_share,
        inputs.drift_bps_per_s,
        inputs.trade_imbalance,
        inputs.cross_asset_skew_bps,
    ];
    if !numbers.into_iter().all(known) {
        return Err(Reason::WarmingUp);
    }
    if !(known(inputs.adverse_move_bps) && known(inputs.widening) && inputs.widening >= 1.0) {
        return Err(Reason::WarmingUp);
    }
    // A limit of nothing, or no number, allows no inventory.
    if !(known(limit) && limit > 0.0) {
        return Err(Reason::InventoryLimit);
    }
    Ok(())
}

/// Half-spread added for volatility, bps; `None` when it is needed and not known.
fn volatility_bps(params: &Params, inputs: &Inputs<'_>) -> Option<f64> {
    if params.half_spread_per_volatility == 0.0 {
        return Some(0.0);
    }
    let sigma = inputs.volatility_bps_sqrt_s.filter(|s| s.is_finite() && *s >= 0.0)?;
    Some(params.half_spread_per_volatility * sigma)
}

/// What the assumed latency costs a side in one window, for a quote that pays the rest; `None`
/// when the volatility is needed and not known.
fn stale_cost_bps(params: &Params, inputs: &Inputs<'_>, paid: f64) -> Option<f64> {
    if params.assumed_latency_s == 0.0 {
        return Some(0.0);
    }
    let sigma = inputs.volatility_bps_sqrt_s?;
    let half_spread = paid.max(params.min_half_spread_bps).max(0.0);
    Some(stale::staleness(sigma, params.assumed_latency_s, half_spread)?.loss)
}

#[cfg(test)]
mod tests;
