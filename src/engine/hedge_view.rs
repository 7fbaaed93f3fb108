//! What an operator sees of hedging.

use serde::Serialize;

use super::Engine;
use super::cross::CrossLeg;
use crate::domain::{InstrumentId, Money};
use crate::inventory::HedgeMode;
use crate::inventory::hedge::HedgeRecord;

/// How one base asset is hedged now.
#[derive(Clone, Debug, Serialize)]
pub struct HedgeView {
    /// What begins a hedge: `trigger` or `band`.
    pub mode: &'static str,
    /// Net exposure, without sign, from which on a hedge is due, base.
    pub edge_base: Money,
    /// The band and what it follows from; `None` in trigger mode, and until it is known.
    pub band: Option<BandView>,
    /// The exposure is near a limit or the hedge is late: the band does not count.
    pub urgent: bool,
    /// Hedges that rest at the touch, base; below zero for sells.
    pub resting_base: Money,
    /// Net exposure that is hedged: of this asset and, weighed by beta, of others; base.
    pub exposure_base: Money,
    /// Other assets that are hedged by way of this one.
    pub cross: Vec<CrossLeg>,
    /// Hedge instruments, usable or not.
    pub outlets: Vec<OutletView>,
}

/// A hedge band.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BandView {
    /// Half-width, base.
    pub band_base: f64,
    /// What hedging now costs: fee, half the spread, the walk of the book, less funding; bps.
    pub cost_bps: f64,
    /// How far quotes move per base unit held, bps.
    pub skew_bps_per_base: f64,
    /// Standard deviation of inventory that the skew alone leaves, base.
    pub std_base: f64,
}

/// A hedge instrument.
#[derive(Clone, Debug, Serialize)]
pub struct OutletView {
    /// `venue:SYMBOL`.
    pub instrument: String,
    /// Its book is proven and fills would be seen.
    pub usable: bool,
}

/// One hedge that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct HedgeRecordView {
    /// `venue:SYMBOL` of where most of it was traded; `None` when quotes alone brought the
    /// exposure back.
    pub instrument: Option<String>,
    /// Fees and slippage together, quote.
    pub cost_quote: Money,
    /// The record itself.
    #[serde(flatten)]
    pub record: HedgeRecord,
}

impl Engine {
    /// How a group is hedged; `None` where nothing hedges it.
    pub(super) fn hedge_view(&self, index: usize) -> Option<HedgeView> {
        let group = &self.groups[index];
        let params = self.params.hedge.filter(|_| !group.hedges.is_empty())?;
        let banded = params.mode == HedgeMode::Band;
        Some(HedgeView {
            mode: if banded { "band" } else { "trigger" },
            edge_base: group.plan.edge_base,
            band: group.band.filter(|_| banded).map(|band| BandView {
                band_base: band.base,
                cost_bps: band.cost_bps,
                skew_bps_per_base: band.skew_bps_per_base,
                std_base: band.std_base,
            }),
            urgent: group.plan.urgent,
            resting_base: self.resting_hedges(group),
            exposure_base: self.factor_exposure(index),
            cross: self.cross_legs(index),
            outlets: group
                .hedges
                .iter()
                .map(|&id| OutletView {
                    instrument: self.instrument_name(id),
                    usable: self.may_trade(id),
                })
                .collect(),
        })
    }

    /// The last hedges, oldest first.
    pub(super) fn hedge_records(&self) -> Vec<HedgeRecordView> {
        let view = |record: &HedgeRecord| {
            let mut record = record.clone();
            HedgeRecordView {
                instrument: record.instrument.take().map(|id| self.instrument_name(id)),
                cost_quote: record.cost_quote(),
                record,
            }
        };
        self.hedge_log.last().map(view).collect()
    }

    fn instrument_name(&self, id: InstrumentId) -> String {
        let desk = &self.desks[id.index()];
        format!("{}:{}", self.venues[desk.venue.index()].name, desk.params.symbol)
    }
}
