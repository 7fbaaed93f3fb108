//! What does the configured model answer at an inventory? In basis points of the fair price, sizes
//! of the first level and seconds.

use super::cartea_jaimungal::Penalised;
use super::exact::MAX_UNITS;
use super::explain::Trail;
use super::memo::{Ingredients, Memo};
use super::{Depths, Inputs, Model, Params, RiskAversion, avellaneda_stoikov, fixed, glft, swing};

/// A model's answer, bps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    /// Half of the way from bid to ask.
    pub(super) half_spread: f64,
    /// How far the quotes move down for the inventory.
    pub(super) against: f64,
    /// How far the quotes move up for the drift.
    pub(super) shift: f64,
    /// How much farther down they move for one size more.
    pub(super) slope: f64,
}

impl Answer {
    fn line(depths: Depths, q: f64) -> Answer {
        let Depths { half_spread, skew, shift } = depths;
        Answer { half_spread, against: q * skew, shift, slope: skew }
    }

    /// From bid and ask depth when flat, at the inventory, and half a size to either side of it.
    fn sides(flat: [f64; 2], now: [f64; 2], [less, more]: [[f64; 2]; 2]) -> Option<Answer> {
        let centre = |[bid, ask]: [f64; 2]| (ask - bid) / 2.0;
        let answer = Answer {
            half_spread: (now[0] + now[1]) / 2.0,
            against: centre(flat) - centre(now),
            shift: centre(flat),
            slope: centre(less) - centre(more),
        };
        [answer.half_spread, answer.against, answer.shift, answer.slope]
            .iter()
            .all(|v| v.is_finite())
            .then_some(answer)
    }
}

/// The answer at inventory `q` in sizes of the first level, of `unit` base each. `None` where the
/// market's numbers are missing or make no price.
pub(super) fn answer(
    params: &Params,
    inputs: &Inputs<'_>,
    unit: f64,
    memo: &mut Memo,
) -> Option<Answer> {
    let (q, limit) = (inputs.inventory_base / unit, inputs.inventory_limit_base / unit);
    match params.model {
        Model::Fixed => {
            let skew = params.inventory_skew_bps_at_limit;
            Some(Answer::line(fixed::depths(params.half_spread_bps, skew, limit)?, q))
        }
        Model::GlftClosedForm => closed_form(params, inputs, unit, q),
        Model::Glft | Model::CarteaJaimungal => {
            let market = penalised(params, inputs, unit)?;
            let q_max = limit.ceil().max(1.0);
            if q_max > MAX_UNITS as f64 {
                // So wide a range is a matter of small quotes; the straight line serves.
                return closed_form(params, inputs, unit, q);
            }
            let horizon_s = params.horizon_s;
            let table = memo.table(Ingredients { market, q_max: q_max as usize, horizon_s })?;
            let q = q.clamp(-q_max, q_max);
            let sides = |q: f64| [table.bid(q), table.ask(q)];
            let near = q.clamp(0.5 - q_max, q_max - 0.5);
            Answer::sides(sides(0.0), sides(q), [sides(near - 0.5), sides(near + 0.5)])
        }
        Model::AvellanedaStoikov => {
            let (gamma, k) = (risk_aversion(params, inputs, unit)?, inputs.intensity_k_per_bps);
            let sigma = inputs.volatility_bps_sqrt_s.filter(|s| s.is_finite() && *s > 0.0)?;
            if !(inputs.intensity_a_per_s.is_finite() && inputs.intensity_a_per_s > 0.0) {
                return None;
            }
            if let Some(horizon) = params.horizon_s {
                return Some(Answer::line(
                    avellaneda_stoikov::finite(sigma, k, gamma, horizon)?,
                    q,
                ));
            }
            // At the limit itself the depth of the quote that would pass it is infinite.
            let most = limit.ceil().max(1.0);
            let sides = |q| avellaneda_stoikov::infinite(k, gamma, most, q);
            let within = |q: f64| sides(q.clamp(0.5 - most, most - 0.5));
            let near = [within(q - 0.5)?, within(q + 0.5)?];
            Answer::sides(sides(0.0)?, within(q)?, near)
        }
    }
}

fn closed_form(params: &Params, inputs: &Inputs<'_>, unit: f64, q: f64) -> Option<Answer> {
    let outlook = glft::Outlook {
        risk_aversion: risk_aversion(params, inputs, unit)?,
        execution_aversion: 0.0,
        drift: inputs.drift_bps_per_s,
        impact: inputs.adverse_move_bps,
    };
    Some(Answer::line(glft::depths(market(inputs)?, outlook)?, q))
}

/// Tells what the model's answer follows from.
pub(super) fn tell(params: &Params, inputs: &Inputs<'_>, unit: f64, trail: &mut impl Trail) {
    if params.model == Model::Fixed {
        return;
    }
    trail.given("arrivals at the fair price A", inputs.intensity_a_per_s, "1/s");
    trail.given("decay of arrivals k", inputs.intensity_k_per_bps, "1/bps");
    if let Some(gamma) = risk_aversion(params, inputs, unit) {
        trail.given("risk aversion γ", gamma, "1/(bps·size)");
    }
    trail.given("adverse move on a fill", inputs.adverse_move_bps, "bps");
    if params.model == Model::CarteaJaimungal {
        trail.given("balance of takers", inputs.trade_imbalance, "ratio");
    }
}

/// The market as the models see it; `None` without a volatility.
pub(super) fn market(inputs: &Inputs<'_>) -> Option<glft::Market> {
    Some(glft::Market {
        sigma: inputs.volatility_bps_sqrt_s?,
        a: inputs.intensity_a_per_s,
        k: inputs.intensity_k_per_bps,
    })
}

/// The exact problem. GLFT without execution aversion is a running penalty of γσ²/2.
fn penalised(params: &Params, inputs: &Inputs<'_>, unit: f64) -> Option<Penalised> {
    let market = market(inputs).filter(|market| market.sigma.is_finite() && market.sigma > 0.0)?;
    let lean = match params.model {
        // A side that nobody comes to would have no price.
        Model::CarteaJaimungal => inputs.trade_imbalance.clamp(-MOST_LEAN, MOST_LEAN),
        _ => 0.0,
    };
    Some(Penalised {
        k: market.k,
        sellers: market.a * (1.0 - lean),
        buyers: market.a * (1.0 + lean),
        running: risk_aversion(params, inputs, unit)? * market.sigma.powi(2) / 2.0,
        terminal: 0.0,
        drift: inputs.drift_bps_per_s,
        impact: inputs.adverse_move_bps,
    })
}

/// At most this much of the difference between buyers and sellers is believed.
const MOST_LEAN: f64 = 0.9;

/// γ, per bps and size of the first level; `None` without what it follows from.
pub(super) fn risk_aversion(params: &Params, inputs: &Inputs<'_>, unit: f64) -> Option<f64> {
    let market = market(inputs)?;
    let variance = market.sigma * market.sigma;
    let gamma = match (params.risk_aversion, params.model) {
        (RiskAversion::Gamma(gamma), _) => gamma,
        (RiskAversion::RunningPenalty(phi), _) => 2.0 * phi / variance,
        (RiskAversion::InventoryStd(base), Model::AvellanedaStoikov) => {
            // Any skew of m a size spreads inventory by 1/√(2km) sizes.
            let skew = 1.0 / (2.0 * market.k * sizes(params, inputs, base, unit)?.powi(2));
            match params.horizon_s {
                Some(horizon) => skew / (variance * horizon),
                None => {
                    let most = (inputs.inventory_limit_base / unit).ceil().max(1.0);
                    2.0 / (skew * (most + 1.0).powi(2))
                }
            }
        }
        (RiskAversion::InventoryStd(base), _) => {
            glft::risk_aversion_for_std(market, sizes(params, inputs, base, unit)?)
        }
    };
    (gamma.is_finite() && gamma > 0.0).then_some(gamma)
}

/// The deviation that single quotes of the first level's size must be given for the whole ladder,
/// whose fills come in larger lumps, to have that of `std_base`; in sizes of the first level.
fn sizes(params: &Params, inputs: &Inputs<'_>, std_base: f64, unit: f64) -> Option<f64> {
    let levels = params.levels.iter();
    let levels = levels.map(|level| (level.offset_bps, level.size.base(inputs.fair_price)));
    let lump = swing::swing(levels, inputs.intensity_k_per_bps)?.lump_base;
    Some(std_base / (unit * lump).sqrt())
}
