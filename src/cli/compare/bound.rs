//! How much of the best possible is each model's quoting worth, where the best is known?
//!
//! The market is that of Avellaneda and Stoikov's section 3.3: Poisson arrivals of A·exp(−k·depth),
//! a Brownian price. There no policy is worth more than the optimum of [`policy::optimum`]; a
//! policy that were would show that the evaluation looks ahead or fills without adverse moves.

use serde::Serialize;

use crate::domain::{
    Asset, Instrument, InstrumentId, InstrumentKind, Money, Px, Qty, Side, VenueId,
};
use crate::quoting::glft::Market;
use crate::quoting::{Inputs, LevelParams, Memo, Model, Params, RiskAversion, Size};
use crate::quoting::{policy, quote_with};

/// At this price a basis point is one unit of price, so that the paper's numbers apply as they are.
const PRICE: f64 = 10_000.0;
/// The paper's market: σ per √s, A per second, k; and how much may be held.
const MARKET: Market = Market { sigma: 2.0, a: 140.0, k: 1.5 };
const GAMMA: f64 = 0.1;
const Q_MAX: i64 = 10;
/// The paper's horizon. Avellaneda–Stoikov quotes as if that much time were always left.
const HORIZON_S: f64 = 1.0;

/// What a model's quotes are worth in that market.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Worth {
    /// The model.
    pub(super) model: Model,
    /// Its certainty equivalent over the best possible one; `None` where its risk has no price.
    pub(super) share_of_optimum: Option<f64>,
    /// Mean result, price units.
    pub(super) mean: f64,
    /// Standard deviation of the result, price units.
    pub(super) std: f64,
}

/// The daemon's own decisions at every inventory, evaluated exactly; `None` where that fails.
pub(super) fn worths() -> Option<Vec<Worth>> {
    let best = policy::optimum(MARKET, GAMMA, Q_MAX as usize, HORIZON_S)?;
    [Model::Fixed, Model::AvellanedaStoikov, Model::Glft]
        .into_iter()
        .map(|model| {
            let depths = depths(model)?;
            let at = |q: i64, _: f64| depths[(q + Q_MAX) as usize];
            let outcome = policy::evaluate(MARKET, GAMMA, Q_MAX, HORIZON_S, at)?;
            let share_of_optimum = outcome.certainty_equivalent.map(|own| own / best);
            Some(Worth { model, share_of_optimum, mean: outcome.mean, std: outcome.std })
        })
        .collect()
}

/// Distance of the orders that the daemon would send from the fair price, by inventory. A side
/// that is not quoted has none that matters.
fn depths(model: Model) -> Option<Vec<[f64; 2]>> {
    let (instrument, params) = (instrument(), params(model));
    let mut memo = Memo::default();
    (-Q_MAX..=Q_MAX)
        .map(|q| {
            let decision = quote_with(&params, &inputs(&instrument, q as f64), &mut memo);
            decision.numbers?;
            let depth = |side: Side| {
                let order = decision.quotes.sides[side.index()].levels.first();
                let px = order.map(|order| instrument.price_f64(order.px));
                let away = if side == Side::Buy { 1.0 } else { -1.0 };
                px.map_or(PRICE, |px| away * (PRICE - px) / PRICE * 1e4)
            };
            Some([depth(Side::Buy), depth(Side::Sell)])
        })
        .collect()
}

fn params(model: Model) -> Params {
    Params {
        model,
        // What the optimum shows when flat and without fear of the price: (1/γ)ln(1 + γ/k).
        half_spread_bps: (GAMMA / MARKET.k).ln_1p() / GAMMA,
        min_half_spread_bps: 0.0,
        max_half_spread_bps: 5_000.0,
        min_edge_bps: -1_000.0,
        risk_aversion: RiskAversion::Gamma(GAMMA),
        horizon_s: (model == Model::AvellanedaStoikov).then_some(HORIZON_S),
        inventory_skew_bps_at_limit: 0.0,
        max_skew_bps: 5_000.0,
        size_skew: 0.0,
        levels: vec![LevelParams { offset_bps: 0.0, size: Size::Base(1.0) }],
        ..Params::default()
    }
}

/// A market with ticks too fine to matter, its touch wherever we do not meet it.
fn inputs(instrument: &Instrument, held: f64) -> Inputs<'_> {
    let px = |price: f64| Px((price / instrument.tick_f64()).round() as i64);
    Inputs {
        instrument,
        fair_price: PRICE,
        best_bid: px(PRICE * 0.5),
        best_ask: px(PRICE * 1.5),
        volatility_bps_sqrt_s: Some(MARKET.sigma),
        intensity_a_per_s: MARKET.a,
        intensity_k_per_bps: MARKET.k,
        drift_bps_per_s: 0.0,
        risk_pressure: 0.0,
        size_share: 1.0,
        inventory_base: held,
        inventory_limit_base: Q_MAX as f64,
        maker_fee_bps: 0.0,
        adverse_move_bps: 0.0,
        widening: 1.0,
        trade_imbalance: 0.0,
        cross_asset_skew_bps: 0.0,
    }
}

fn instrument() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: "PAPER".to_owned(),
        kind: InstrumentKind::Spot,
        base: Asset::new("UNIT"),
        quote: Asset::new("MONEY"),
        tick_size: Money::new(1, 6),
        lot_size: Money::new(1, 3),
        min_px: Px(1),
        max_px: Px(i64::MAX / 4),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000),
        min_notional: Money::ZERO,
        max_open_orders: 10,
        trading: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_model_beats_the_optimum_and_glft_is_next_to_it() {
        let worths = worths().unwrap();
        let share = |model| {
            let own = worths.iter().find(|worth| worth.model == model).unwrap();
            own.share_of_optimum.unwrap_or(f64::NEG_INFINITY)
        };
        assert!(worths.iter().all(|worth| share(worth.model) <= 1.0 + 1e-9), "{worths:?}");
        let [fixed, stoikov, glft] =
            [Model::Fixed, Model::AvellanedaStoikov, Model::Glft].map(share);
        assert!(glft >= 0.99, "{worths:?}");
        assert!(fixed < glft && stoikov < glft, "{worths:?}");
    }
}
