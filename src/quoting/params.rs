//! The knobs of quoting, and what is wrong with them.

use serde::{Deserialize, Serialize};

/// Where half-spread and skew come from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// `half_spread_bps`, and `inventory_skew_bps_at_limit` growing linearly with inventory.
    Fixed,
    /// Avellaneda–Stoikov, from volatility and intensity; for comparison.
    AvellanedaStoikov,
    /// Guéant–Lehalle–Fernandez-Tapia, exactly, from volatility and intensity.
    Glft,
    /// Its closed form: a straight line in inventory.
    GlftClosedForm,
    /// Cartea–Jaimungal: a running penalty, and arrivals of their own on each side.
    CarteaJaimungal,
}

/// How inventory risk is weighed, in all models but the fixed one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskAversion {
    /// γ itself, per bps and per quote size held.
    Gamma(f64),
    /// The γ whose inventory has this standard deviation, in base units. With s of them in sizes
    /// of the first level, the skew is 1/(2·k·s²) bps a size whatever the volatility is; widen
    /// for volatility with `half_spread_per_volatility`.
    InventoryStd(f64),
    /// φ: holding q quotes costs φq² bps a second, whatever the volatility is.
    RunningPenalty(f64),
}

/// How large a quote is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// In base units.
    Base(f64),
    /// In quote currency, at the fair price.
    Quote(f64),
}

impl Size {
    /// The size in base units at a price.
    #[must_use]
    pub fn base(self, price: f64) -> f64 {
        match self {
            Size::Base(base) => base,
            Size::Quote(quote) => quote / price,
        }
    }

    fn amount(self) -> f64 {
        match self {
            Size::Base(amount) | Size::Quote(amount) => amount,
        }
    }
}

/// One quote on each side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelParams {
    /// How much farther out than the model's price, bps; rising from level to level.
    pub offset_bps: f64,
    /// How large.
    pub size: Size,
}

/// The settings of quoting one instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// Where half-spread and skew come from.
    pub model: Model,
    /// Half-spread of the fixed model, bps.
    pub half_spread_bps: f64,
    /// No quote is nearer to the reservation price than this, bps.
    pub min_half_spread_bps: f64,
    /// The model's half-spread is cut here, bps; the break-even floor is not.
    pub max_half_spread_bps: f64,
    /// Profit wanted above the maker fee and the expected adverse move, bps: half-spread ≥ maker
    /// fee + adverse move + this. May be below zero.
    pub min_edge_bps: f64,
    /// Half-spread added for volatility: bps for each bps/√s. The move in t seconds is √t of it.
    pub half_spread_per_volatility: f64,
    /// How inventory risk is weighed.
    pub risk_aversion: RiskAversion,
    /// Seconds to an end that keeps moving ahead of us; `None`: it is infinitely far. No part of
    /// the fixed model and of the closed form.
    pub horizon_s: Option<f64>,
    /// How late we are assumed to learn of a move, seconds: what a stale quote loses meanwhile
    /// raises the break-even floor. Zero is off.
    pub assumed_latency_s: f64,
    /// Funding is taken for a drift of the price against whoever pays it.
    pub use_funding_carry: bool,
    /// Quotes lean against what is held of other quoted assets, by covariance.
    pub cross_asset_skew: bool,
    /// Expected move against each fill, bps (adverse selection), until fills have shown it.
    pub adverse_move_bps: f64,
    /// Skew of the fixed model when inventory is at its limit, bps.
    pub inventory_skew_bps_at_limit: f64,
    /// Either model's skew is cut here, bps.
    pub max_skew_bps: f64,
    /// How fast the side that adds inventory shrinks, 0 to 1: its size is multiplied by
    /// 1 − size_skew·(inventory / limit). Beyond that, no side may fill past the limit.
    pub size_skew: f64,
    /// Quotes on each side, best first.
    pub levels: Vec<LevelParams>,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            model: Model::Fixed,
            half_spread_bps: 5.0,
            min_half_spread_bps: 0.5,
            max_half_spread_bps: 100.0,
            min_edge_bps: 0.0,
            half_spread_per_volatility: 0.0,
            risk_aversion: RiskAversion::InventoryStd(0.01),
            horizon_s: None,
            assumed_latency_s: 0.0,
            use_funding_carry: false,
            cross_asset_skew: false,
            adverse_move_bps: 0.0,
            inventory_skew_bps_at_limit: 10.0,
            max_skew_bps: 100.0,
            size_skew: 1.0,
            levels: vec![LevelParams { offset_bps: 0.0, size: Size::Quote(100.0) }],
        }
    }
}

impl Params {
    /// Everything that is wrong with the settings: the key and what is allowed.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |fine: bool, text: &str| {
            if !fine {
                problems.push(text.to_owned());
            }
        };
        let within = |value: f64, low: f64, high: f64| (low..=high).contains(&value);
        check(
            self.half_spread_bps > 0.0 && within(self.half_spread_bps, 0.0, 5000.0),
            "half_spread_bps: allowed is above 0 up to 5000",
        );
        check(
            within(self.min_half_spread_bps, 0.0, 5000.0),
            "min_half_spread_bps: allowed is 0 to 5000",
        );
        check(
            within(self.max_half_spread_bps, self.min_half_spread_bps, 5000.0),
            "max_half_spread_bps: allowed is min_half_spread_bps to 5000",
        );
        check(
            self.model != Model::Fixed || self.half_spread_bps <= self.max_half_spread_bps,
            "half_spread_bps: above max_half_spread_bps, which would cut it",
        );
        check(within(self.min_edge_bps, -1000.0, 1000.0), "min_edge_bps: allowed is -1000 to 1000");
        check(
            within(self.half_spread_per_volatility, 0.0, 100.0),
            "half_spread_per_volatility: allowed is 0 to 100",
        );
        check(within(self.adverse_move_bps, 0.0, 1000.0), "adverse_move_bps: allowed is 0 to 1000");
        check(
            within(self.inventory_skew_bps_at_limit, 0.0, 5000.0),
            "inventory_skew_bps_at_limit: allowed is 0 to 5000",
        );
        check(within(self.max_skew_bps, 0.0, 5000.0), "max_skew_bps: allowed is 0 to 5000");
        check(within(self.size_skew, 0.0, 1.0), "size_skew: allowed is 0 to 1");
        let (RiskAversion::Gamma(aversion)
        | RiskAversion::InventoryStd(aversion)
        | RiskAversion::RunningPenalty(aversion)) = self.risk_aversion;
        check(
            aversion.is_finite() && aversion > 0.0,
            "risk_aversion, inventory_std, running_penalty: allowed is a number above 0",
        );
        check(
            self.horizon_s.is_none_or(|horizon| within(horizon, 0.001, 86_400.0)),
            "horizon_s: allowed is 0.001 to 86400",
        );
        check(within(self.assumed_latency_s, 0.0, 10.0), "assumed_latency_s: allowed is 0 to 10");
        check(!self.levels.is_empty(), "levels: at least one is needed");
        check(
            self.levels.iter().all(|level| {
                let amount = level.size.amount();
                within(level.offset_bps, 0.0, 5000.0) && amount.is_finite() && amount > 0.0
            }),
            "levels: offset_bps must be 0 to 5000 and every size above 0",
        );
        check(
            self.levels.windows(2).all(|pair| pair[0].offset_bps < pair[1].offset_bps),
            "levels: offset_bps must rise from level to level",
        );
        problems
    }
}
