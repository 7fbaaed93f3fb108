//! The `[capital]` section: how much money inventory may put at risk.

use rust_decimal::prelude::ToPrimitive;

use crate::domain::{Money, Span};
use crate::engine::CapitalParams;
use crate::risk::capital::Tail;

use super::reader::Table;

/// `[capital]`: the limit on capital at risk, and what it is reckoned with.
#[derive(Clone, Debug)]
pub struct Capital {
    /// Most capital at risk, quote; `None`: it is shown and limits nothing.
    pub max_capital_at_risk_quote: Option<Money>,
    /// Probability that the loss is not exceeded.
    pub confidence: f64,
    /// Time before anything is done about a loss.
    pub horizon: Span,
    /// Pace at which one instrument can be left, quote per second.
    pub liquidation_quote_per_s: f64,
    /// Stress: a move of that many standard deviations.
    pub stress_sigmas: f64,
    /// Stress: share of the books that is left.
    pub stress_depth: f64,
    /// Stress: a funding rate against us, basis points.
    pub stress_funding_bps: f64,
}

/// Read the section; what is wrong has been reported to the table's sink.
pub(super) fn capital(table: Table<'_>) -> Capital {
    let most = Money::new(1, 12)..=Money::from(1_000_000_000_000_i64);
    let capital = Capital {
        max_capital_at_risk_quote: table.maybe_money("max_capital_at_risk_quote", most),
        confidence: table.number("confidence", 0.9..0.9999, 0.99),
        horizon: Span::from_s(table.whole("horizon_s", 1..86_400, 60)),
        liquidation_quote_per_s: table.number("liquidation_quote_per_s", 0.01..1e9, 1_000.0),
        stress_sigmas: table.number("stress_sigmas", 1.0..50.0, 6.0),
        stress_depth: table.number("stress_depth", 0.01..1.0, 0.3),
        stress_funding_bps: table.number("stress_funding_bps", 0.0..10_000.0, 75.0),
    };
    table.finish();
    capital
}

impl Capital {
    /// What the engine is told.
    pub(super) fn params(&self) -> CapitalParams {
        CapitalParams {
            limit_quote: self.max_capital_at_risk_quote.and_then(|limit| limit.to_f64()),
            tail: Tail::new(self.confidence).expect("confidence is 0.9 to 0.9999"),
            reaction: self.horizon,
            liquidation_quote_per_s: self.liquidation_quote_per_s,
            stress_sigmas: self.stress_sigmas,
            stress_depth: self.stress_depth,
            stress_funding_bps: self.stress_funding_bps,
        }
    }
}
