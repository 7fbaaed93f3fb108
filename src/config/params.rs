//! From settings to the parameters of the modules below.

use rust_decimal::prelude::ToPrimitive;

use crate::quoting;

use super::settings::{InventoryRisk, LevelSize, Model, Quoting};

impl Quoting {
    /// The parameters of `quoting::quote`. `price` (quote per base) turns an inventory in base
    /// units into sizes of the first level, the unit in which the model counts.
    #[must_use]
    pub fn params(&self, price: f64) -> quoting::Params {
        let levels: Vec<quoting::LevelParams> = self
            .levels
            .iter()
            .map(|level| quoting::LevelParams {
                offset_bps: level.offset.0,
                size: match level.size {
                    LevelSize::Quote(size) => quoting::Size::Quote(size.to_f64().unwrap_or(0.0)),
                    LevelSize::Base(size) => quoting::Size::Base(size.to_f64().unwrap_or(0.0)),
                },
            })
            .collect();
        let unit = levels.first().map_or(1.0, |level| level.size.base(price));
        let default = quoting::Params::default();
        let (model, risk_aversion) = match self.model {
            Model::Fixed => (quoting::Model::Fixed, default.risk_aversion),
            Model::Glft { risk: InventoryRisk::Aversion(gamma), .. } => {
                (quoting::Model::Glft, quoting::RiskAversion::Gamma(gamma))
            }
            Model::Glft { risk: InventoryRisk::StdTargetBase(base), .. } => {
                (quoting::Model::Glft, quoting::RiskAversion::InventoryStd(base / unit))
            }
        };
        quoting::Params {
            model,
            half_spread_bps: self.half_spread.0,
            min_half_spread_bps: self.min_half_spread.0,
            max_half_spread_bps: self.max_half_spread.0,
            min_edge_bps: self.min_edge.0,
            half_spread_per_volatility: self.half_spread_per_volatility,
            risk_aversion,
            adverse_move_bps: self.adverse_move.0,
            inventory_skew_bps_at_limit: self.inventory_skew_per_limit.0,
            max_skew_bps: self.max_skew.0,
            size_skew: self.size_skew,
            levels,
        }
    }

    /// A and k of the model: arrivals a second at the fair price, and their decay per basis point;
    /// `None` where the model has no use for them.
    #[must_use]
    pub fn intensity(&self) -> Option<(f64, f64)> {
        match self.model {
            Model::Fixed => None,
            Model::Glft { order_arrival_per_s, order_arrival_decay_per_bps, .. } => {
                Some((order_arrival_per_s, order_arrival_decay_per_bps))
            }
        }
    }
}
