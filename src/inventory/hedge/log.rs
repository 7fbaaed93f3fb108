//! What did each hedge cost, and what risk did it take away?

use std::collections::VecDeque;

use serde::Serialize;

use crate::domain::{InstrumentId, Money};

/// Hedges remembered for operators; older ones are in the totals and in the log.
pub const HEDGES_KEPT: usize = 32;

/// One excursion of net exposure beyond its edge and back, and what was paid for that.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HedgeRecord {
    /// The base asset.
    pub base: String,
    /// Where most of it was traded; `None` when our quotes alone brought the exposure back.
    #[serde(skip)]
    pub instrument: Option<InstrumentId>,
    /// Hedged, base, above zero bought.
    pub hedged_base: Money,
    /// Fees paid, quote; below zero for rebates.
    pub fees_quote: Money,
    /// Paid against the mid at the time of the decision, quote; below zero when better than it.
    pub slippage_quote: Money,
    /// One standard deviation of the result that is not at risk any more: hedged value times
    /// volatility over the horizon, quote. Zero while the volatility is not known.
    pub risk_removed_quote: f64,
    /// Net exposure when it ended, base from target.
    pub exposure_base: Money,
    /// From passing the edge to being back inside, milliseconds.
    pub took_ms: i64,
}

impl HedgeRecord {
    /// Fees and slippage together, quote.
    #[must_use]
    pub fn cost_quote(&self) -> Money {
        self.fees_quote + self.slippage_quote
    }
}

/// All hedges of a session, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HedgeTotals {
    /// Excursions that ended with something hedged.
    pub hedges: u64,
    /// Excursions that our quotes alone brought back.
    pub internalised: u64,
    /// Fees paid, quote.
    pub fees_quote: Money,
    /// Paid against the mid at the time of the decision, quote.
    pub slippage_quote: Money,
    /// Sum of the risk removed by each, quote.
    pub risk_removed_quote: f64,
}

/// The last hedges, and the sum of all.
#[derive(Clone, Debug, Default)]
pub struct HedgeLog {
    last: VecDeque<HedgeRecord>,
    totals: HedgeTotals,
}

impl HedgeLog {
    /// Files a hedge that has ended.
    pub fn add(&mut self, record: HedgeRecord) {
        if record.instrument.is_some() {
            self.totals.hedges += 1;
        } else {
            self.totals.internalised += 1;
        }
        self.totals.fees_quote += record.fees_quote;
        self.totals.slippage_quote += record.slippage_quote;
        self.totals.risk_removed_quote += record.risk_removed_quote;
        if self.last.len() == HEDGES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(record);
    }

    /// The last [`HEDGES_KEPT`], oldest first.
    pub fn last(&self) -> impl Iterator<Item = &HedgeRecord> {
        self.last.iter()
    }

    /// The sum of all.
    #[must_use]
    pub fn totals(&self) -> HedgeTotals {
        self.totals
    }
}
