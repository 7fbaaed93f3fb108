//! What will these quotes do to inventory? The long run of the market of the models under the
//! quotes as they would be shown, with all floors and ceilings.

use serde::Serialize;

use super::chain::Chain;
use super::exact::MAX_UNITS;
use super::memo::Memo;
use super::model;
use super::policy;
use super::{Inputs, Params, price, risk_aversion, swing, unit_base};

/// What the model expects of its own quotes, if fills come as A·exp(−k·depth) on each side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Standard deviation of inventory around its target, base.
    pub inventory_std_base: f64,
    /// Mean of inventory without its sign, base.
    pub average_inventory_base: f64,
    /// Time in which inventory comes half of the way back, seconds.
    pub half_life_s: f64,
    /// Fills a minute, of one first-level size each.
    pub fills_per_minute: f64,
    /// Depth earned by an average fill, before adverse moves and fees, bps.
    pub edge_per_fill_bps: f64,
}

/// The forecast for these inputs; their own inventory plays no part. `None` where no price can be
/// made, or the limit holds less than one quote or more than [`MAX_UNITS`].
#[must_use]
pub fn forecast(params: &Params, inputs: &Inputs<'_>, memo: &mut Memo) -> Option<Forecast> {
    let depths = depths(params, inputs, memo)?;
    let q_max = (depths.len() / 2) as i64;
    let (a, k) = (inputs.intensity_a_per_s, inputs.intensity_k_per_bps);
    let chain = Chain::new(a, k, q_max, |q| depths[(q + q_max) as usize])?;
    let long_run = chain.stationary()?;
    let unit = unit_base(params, inputs);
    // The chain knows the first level only: all of them bring lumps and shed faster.
    let levels = params.levels.iter();
    let levels = levels.map(|level| (level.offset_bps, level.size.base(inputs.fair_price)));
    let swing = swing::swing(levels, k)?;
    let lumps = (swing.lump_base / unit).sqrt();
    Some(Forecast {
        inventory_std_base: long_run.std * unit * lumps,
        average_inventory_base: long_run.mean_abs * unit * lumps,
        half_life_s: long_run.half_life * unit / swing.flow_base,
        fills_per_minute: long_run.fill_rate * 60.0,
        edge_per_fill_bps: long_run.edge_rate / long_run.fill_rate,
    })
}

/// What the quotes are worth over `horizon_s` seconds as a share of the most that any quotes could
/// be worth, fees left out; at most 1. `None` where [`forecast`] has none, or there is no risk
/// aversion to weigh by, or the comparison does not settle.
#[must_use]
pub fn share_of_optimum(params: &Params, inputs: &Inputs<'_>, horizon_s: f64) -> Option<f64> {
    let depths = depths(params, inputs, &mut Memo::default())?;
    let q_max = depths.len() / 2;
    let market = model::market(inputs)?;
    let gamma = risk_aversion(params, inputs)?;
    let best = policy::optimum(market, gamma, q_max, horizon_s)?;
    let at = |q: i64, _: f64| depths[(q + q_max as i64) as usize];
    let own = policy::evaluate(market, gamma, q_max as i64, horizon_s, at)?;
    Some(own.certainty_equivalent? / best)
}

/// Bid and ask depth at every inventory that the limit allows, in sizes of the first level, bps.
fn depths(params: &Params, inputs: &Inputs<'_>, memo: &mut Memo) -> Option<Vec<[f64; 2]>> {
    let unit = unit_base(params, inputs);
    let most = (inputs.inventory_limit_base / unit + 1e-9).floor();
    if !(1.0..=MAX_UNITS as f64).contains(&most) {
        return None;
    }
    let most = most as i64;
    (-most..=most)
        .map(|q| {
            let there = Inputs { inventory_base: q as f64 * unit, ..*inputs };
            let numbers = price(params, &there, memo, &mut ()).ok()?;
            let depth = |sign: f64| numbers.half_spread_bps - sign * numbers.skew_bps;
            Some([depth(1.0), depth(-1.0)])
        })
        .collect()
}
