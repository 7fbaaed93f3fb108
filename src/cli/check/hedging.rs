//! From which exposure on would be hedged, and what would that cost and save?

use crate::cli::table;
use crate::config::{InstrumentSettings, Settings};
use crate::domain::Money;
use crate::inventory::HedgeMode;
use crate::inventory::hedge::{Franchise, hedge_band, unhedged_std};
use crate::quoting::{self, Model, RiskAversion};
use rust_decimal::prelude::ToPrimitive;

/// What a hedge may cost in all, fee and slippage, basis points.
const COSTS_BPS: [f64; 5] = [1.0, 2.5, 5.0, 7.5, 10.0];

/// Widest exact band that is searched, sizes of the first level.
const WIDEST: f64 = 200.0;

/// Where hedging begins and ends for one quoted instrument, in the market that `inputs` assumes.
pub(super) fn text(
    settings: &Settings,
    own: &InstrumentSettings,
    inputs: &quoting::Inputs<'_>,
) -> String {
    let hedge = &settings.hedge;
    if !hedge.enabled {
        return format!("no hedge: inventory of {} is left to the skew\n", own.symbol);
    }
    let (trigger, target) = (hedge.trigger_base, hedge.target_base);
    if hedge.mode == HedgeMode::Trigger {
        return format!(
            "hedge: begins at ±{} base from target, ends at ±{}\n",
            trigger.normalize(),
            target.normalize()
        );
    }
    let mut text = format!(
        "hedge: begins at the edge of the band, at most at ±{} base from target; the band by what a \
         hedge costs (closed form is what trades; exact is the optimum of life within the limit in the assumed \
         market)\n",
        trigger.normalize()
    );
    let head = ["cost_bps", "hedge_at_base", "band_base", "exact_band_base", "internalised"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(COSTS_BPS.map(|cost| row(settings, own, inputs, trigger, cost)));
    table::columns(&rows, 2, &mut text);
    text
}

fn row(
    settings: &Settings,
    own: &InstrumentSettings,
    inputs: &quoting::Inputs<'_>,
    trigger: Money,
    cost_bps: f64,
) -> Vec<String> {
    let params = settings.quoting.params();
    let unit = quoting::unit_base(&params, inputs);
    let skew = quoting::quote(&params, inputs).numbers.map(|numbers| numbers.skew_bps_per_base);
    let franchise = quoting::risk_aversion(&params, inputs).map(|gamma| Franchise {
        sigma: inputs.volatility_bps_sqrt_s.unwrap_or(f64::NAN),
        a: inputs.intensity_a_per_s,
        k: inputs.intensity_k_per_bps,
        gamma,
    });
    let std_base = skew.map(|skew| match params.risk_aversion {
        RiskAversion::InventoryStd(base) if params.model != Model::Fixed => base,
        _ => unit * unhedged_std(inputs.intensity_k_per_bps, skew * unit),
    });
    let band = skew.zip(std_base).and_then(|(skew, std)| hedge_band(cost_bps, skew, std));
    let limit = own.inventory_limit_base.to_f64().unwrap_or(0.0);
    let widest = (limit / unit).clamp(0.0, WIDEST).floor() as u32;
    let exact = franchise.map(|franchise| franchise.best_band(cost_bps, widest));
    let edge = band
        .map_or(trigger, |band| Money::try_from(band).unwrap_or(trigger).min(trigger).round_dp(8));
    let or = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        format!("{cost_bps}"),
        edge.normalize().to_string(),
        or(band.map(|band| format!("{band:.6}"))),
        or(exact.map(|exact| format!("{:.6}", f64::from(exact.band) * unit))),
        or(exact.map(|exact| format!("{:.0}%", exact.internalised * 100.0))),
    ]
}
