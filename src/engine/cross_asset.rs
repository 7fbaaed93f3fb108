//! How far do the quotes of one asset lean against what is held of others? By the correlations
//! that are measured, over all assets that are quoted.

use super::Engine;
use super::desk::Desk;
use crate::domain::{InstrumentId, Span, Ts};
use crate::quoting;
use crate::quoting::multi_asset::{Asset, MAX_ASSETS, MultiAsset};

/// Correlations are sampled no oftener.
const REFRESH_EVERY: Span = Span::from_s(5);

/// What moves the quotes of a desk besides its own asset.
#[derive(Clone, Debug, Default)]
pub(super) struct Lean {
    due: Ts,
    /// One instrument of each other asset, and how far the quotes move down, bps, for as much of
    /// it in quote as the first level of the desk is worth.
    others: Vec<(InstrumentId, f64)>,
}

impl Engine {
    /// The desk's lean anew, if that is wanted and due. The matrix is that of all quoted assets
    /// with a known price, up to [`MAX_ASSETS`] in the order of the configuration.
    pub(super) fn lean(&self, desk: &Desk, inputs: &quoting::Inputs<'_>) -> Option<Lean> {
        if !self.params.quoting.cross_asset_skew || self.now < desk.lean.due {
            return None;
        }
        let due = self.now + REFRESH_EVERY;
        let unit_quote = quoting::unit_base(&self.params.quoting, inputs) * inputs.fair_price;
        let gamma = quoting::risk_aversion(&self.params.quoting, inputs);
        let others = gamma.and_then(|gamma| self.others(desk, unit_quote, gamma));
        Some(Lean { due, others: others.unwrap_or_default() })
    }

    fn others(&self, own: &Desk, unit_quote: f64, gamma: f64) -> Option<Vec<(InstrumentId, f64)>> {
        let mut desks = vec![own];
        for other in self.quoting_desks() {
            let known = desks.iter().any(|desk| desk.group == other.group);
            if !known && other.mid_f64().is_some() && desks.len() < MAX_ASSETS {
                desks.push(other);
            }
        }
        let mut assets = Vec::with_capacity(desks.len());
        let mut sigmas = Vec::with_capacity(desks.len());
        for desk in &desks {
            let intensity = desk.intensity.estimate();
            let price = desk.mid_f64()?;
            let level = self.params.quoting.levels.first()?;
            assets.push(Asset {
                a: intensity.a_per_s,
                k: intensity.k_per_bps,
                lot: level.size.base(price) * price / unit_quote,
            });
            sigmas.push(self.volatility_of(desk)?);
        }
        let covariance = |i: usize, j: usize| {
            let correlation = self.correlations.correlation(desks[i].id, desks[j].id).value;
            correlation * sigmas[i] * sigmas[j]
        };
        let count = desks.len();
        let sigma: Vec<Vec<f64>> =
            (0..count).map(|i| (0..count).map(|j| covariance(i, j)).collect()).collect();
        let solved = MultiAsset::new(&sigma, &assets, gamma, 0.0)?;
        let row = solved.matrix().first()?;
        Some(desks.iter().zip(row).skip(1).map(|(desk, a)| (desk.id, 2.0 * a)).collect())
    }

    /// How far the quotes move up for what is held of other assets now, bps.
    pub(super) fn cross_asset_skew_bps(&self, lean: &Lean, inputs: &quoting::Inputs<'_>) -> f64 {
        let unit_quote = quoting::unit_base(&self.params.quoting, inputs) * inputs.fair_price;
        let held = |id: InstrumentId| {
            let other = &self.desks[id.index()];
            let members = &self.groups[other.group].members;
            let net: f64 = members.iter().map(|&member| self.agenda.off_target(member)).sum();
            if net == 0.0 {
                return 0.0;
            }
            // An asset without a price moves nothing until it has one again.
            net * other.mid_f64().unwrap_or(0.0) / unit_quote
        };
        -lean.others.iter().map(|(id, per_unit)| per_unit * held(*id)).sum::<f64>()
    }
}
