//! How much of the exposure of assets without a hedge instrument of their own is hedged by way of
//! one that moves with them?

use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

use super::Engine;
use crate::domain::{Money, Span};
use crate::inventory::hedge::cross_hedge;

/// Less correlated than this leaves more than 87 % of the deviation: that is no hedge.
const LEAST_CORRELATION: f64 = 0.5;
/// A correlation whose prices have been silent for this long counts half.
const STALE_HALF_LIFE: Span = Span::from_s(60);

/// Exposure of another asset, as the hedge instruments of a group see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrossLeg {
    /// The asset.
    pub base: String,
    /// Its net exposure, in itself, from target.
    pub exposure_base: Money,
    /// How far it moves when the hedge moves by one, in returns.
    pub beta: f64,
    /// Correlation of the two.
    pub correlation: f64,
    /// Share of the deviation that a full hedge leaves, 0 to 1.
    pub residual_share: f64,
    /// Share of it that is hedged, 0 to 1: nothing until the correlation is measured, and less
    /// the longer its prices have been silent.
    pub confidence: f64,
    /// What it counts for, in the hedge's base.
    pub counts_base: Money,
}

impl Engine {
    /// Net exposure to a group's risk: of its own base, and of others hedged by way of it.
    pub(super) fn factor_exposure(&self, index: usize) -> Money {
        let Some(&first) = self.groups[index].members.first() else { return Money::ZERO };
        let (own, _) = self.exposure(&self.desks[first.index()]);
        own + self.cross_legs(index).iter().map(|leg| leg.counts_base).sum::<Money>()
    }

    /// The other assets that a group's hedge instruments take care of.
    pub(super) fn cross_legs(&self, index: usize) -> Vec<CrossLeg> {
        if !self.params.hedge.is_some_and(|hedge| hedge.cross) {
            return Vec::new();
        }
        let others = (0..self.groups.len()).filter(|&other| self.crosses_to(other) == Some(index));
        others.filter_map(|other| self.cross_leg(other, index)).collect()
    }

    /// The group whose hedge instruments take care of a group that has none: the one that moves
    /// with it the most, of those that have been measured.
    pub(super) fn crosses_to(&self, index: usize) -> Option<usize> {
        let group = &self.groups[index];
        if !self.params.hedge.is_some_and(|hedge| hedge.cross) || !group.hedges.is_empty() {
            return None;
        }
        let &asset = group.members.first()?;
        let strength = |(at, other): (usize, &super::hedging::Group)| {
            let correlation = self.correlations.correlation(asset, *other.hedges.first()?);
            let strong = correlation.value.abs() >= LEAST_CORRELATION;
            (strong && correlation.trusted).then_some((at, correlation.value.abs()))
        };
        let measured = self.groups.iter().enumerate().filter_map(strength);
        measured.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
    }

    fn cross_leg(&self, of: usize, by: usize) -> Option<CrossLeg> {
        let asset = &self.desks[self.groups[of].members.first()?.index()];
        let hedge = &self.desks[self.groups[by].hedges.first()?.index()];
        let beta = self.correlations.beta(asset.id, hedge.id);
        let correlation = self.correlations.correlation(asset.id, hedge.id).value;
        let sigmas = (self.volatility_of(asset)?, self.volatility_of(hedge)?);
        let residual = cross_hedge(correlation, sigmas.0, sigmas.1)?;
        let silence = asset.pace.silence(self.now).max(hedge.pace.silence(self.now));
        let fresh = (-silence.seconds() / STALE_HALF_LIFE.seconds()).exp2();
        let confidence = if beta.trusted { fresh } else { 0.0 };
        let (exposure_base, _) = self.exposure(asset);
        let worth = exposure_base.to_f64()? * asset.mid_f64()? / hedge.mid_f64()?;
        Some(CrossLeg {
            base: self.groups[of].base.clone(),
            exposure_base,
            beta: beta.value,
            correlation,
            residual_share: residual.residual_share,
            confidence,
            counts_base: Money::try_from(worth * beta.value * confidence).ok()?.round_dp(12),
        })
    }
}
