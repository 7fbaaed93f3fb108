//! Which strategies are compared? One configuration, four ways to quote.

use crate::config::{IntensityModel, InventoryRisk, Model, Settings};
use crate::domain::{Bps, Money};
use crate::engine::FairFrom;
use crate::market::FairPrice;
use crate::simulate::Scenario;

use super::metrics::spot_maker_fee_bps;

/// The strategies, from the plainest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// A constant half-spread around the mid, whatever is held.
    Fixed,
    /// Avellaneda–Stoikov around the mid.
    AvellanedaStoikov,
    /// Exact Guéant–Lehalle–Fernandez-Tapia around the mid.
    Glft,
    /// The same with the signals, the leading fair price and the hedges of the configuration.
    Full,
}

impl Strategy {
    pub(super) const ALL: [Strategy; 4] =
        [Strategy::Fixed, Strategy::AvellanedaStoikov, Strategy::Glft, Strategy::Full];

    pub(super) fn name(self) -> &'static str {
        match self {
            Strategy::Fixed => "fixed",
            Strategy::AvellanedaStoikov => "avellaneda_stoikov",
            Strategy::Glft => "glft",
            Strategy::Full => "glft + signals + hedging",
        }
    }

    /// The configuration with this strategy. The limit on capital at risk is off, so that what is
    /// compared is the strategies and not the limit; the edge wanted gives back the maker fee, so
    /// that all quote for a market maker's tier without one, as the models reckon; `fixed` quotes
    /// as wide as `half_spread_bps`.
    pub(super) fn scenario(self, base: &Scenario, half_spread_bps: f64) -> Scenario {
        base.varied(|settings| {
            settings.capital.max_capital_at_risk_quote = None;
            settings.quoting.min_edge = Bps(-spot_maker_fee_bps());
            match self {
                Strategy::Fixed => fixed(settings, half_spread_bps),
                Strategy::AvellanedaStoikov => model(settings, IntensityModel::AvellanedaStoikov),
                Strategy::Glft | Strategy::Full => model(settings, IntensityModel::Glft),
            }
            if self == Strategy::Full {
                hedge_less(settings);
            } else {
                plain(settings);
            }
        })
    }
}

fn model(settings: &mut Settings, wanted: IntensityModel) {
    if let Model::Intensity { which, .. } = &mut settings.quoting.model {
        *which = wanted;
    }
}

fn fixed(settings: &mut Settings, half_spread_bps: f64) {
    let quoting = &mut settings.quoting;
    quoting.model = Model::Fixed;
    quoting.half_spread = Bps(half_spread_bps);
    quoting.half_spread_per_volatility = 0.0;
    quoting.inventory_skew_per_limit = Bps(0.0);
    quoting.size_skew = 0.0;
    quoting.use_funding_carry = false;
    quoting.cross_asset_skew = false;
}

/// Where hedges begin, in deviations of inventory aimed at, unless the configuration waits longer.
/// Chosen by eye in markets that are compared as well; see deploy/strategies.md.
const HEDGE_FROM: f64 = 2.0;

fn hedge_less(settings: &mut Settings) {
    if let Model::Intensity { risk: InventoryRisk::StdTargetBase(std_base), .. } =
        settings.quoting.model
        && let Ok(from) = Money::try_from(HEDGE_FROM * std_base)
    {
        settings.hedge.trigger_base = settings.hedge.trigger_base.max(from);
    }
}

/// The textbook: around the mid of the own book, no signal, no hedge.
fn plain(settings: &mut Settings) {
    settings.hedge.enabled = false;
    settings.fair.source = FairFrom::Own;
    let signals = &mut settings.signals;
    signals.measured.fair_price = FairPrice::Mid;
    signals.measured.alpha = None;
    signals.toxicity_widening = 0.0;
    signals.pull_when_toxic = false;
    signals.adverse_from_markouts = false;
}

/// What a configuration must have to be compared by.
///
/// # Errors
/// What it lacks.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let Model::Intensity { risk, .. } = settings.quoting.model else {
        return Err("its model must be one of order arrival, such as \"glft\"".to_owned());
    };
    if !matches!(risk, InventoryRisk::StdTargetBase(_)) {
        return Err("it must set inventory_std_target_base, from which every model's risk \
                    aversion follows"
            .to_owned());
    }
    if !settings.hedge.enabled {
        return Err("its [hedge] must be enabled".to_owned());
    }
    Ok(())
}
