//! Who is taking: the last public trade and the recent balance of takers.

use crate::domain::{Side, Span, Trade, Ts};

/// How flow is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TradeFlowParams {
    /// After this long, a trade counts half as much.
    pub half_life: Span,
    /// A print farther than this from the mid is off-market (a block, an auction, a bad row) and
    /// is left out, bps.
    pub max_distance_bps: f64,
}

impl Default for TradeFlowParams {
    fn default() -> TradeFlowParams {
        TradeFlowParams { half_life: Span::from_s(30), max_distance_bps: 100.0 }
    }
}

/// Recent taker volume of one instrument.
#[derive(Clone, Debug)]
pub struct TradeFlow {
    params: TradeFlowParams,
    last: Option<Trade>,
    at: Ts,
    taken: [f64; 2],
}

impl TradeFlow {
    /// Nothing traded yet.
    #[must_use]
    pub fn new(params: TradeFlowParams) -> TradeFlow {
        TradeFlow { params, last: None, at: Ts::default(), taken: [0.0; 2] }
    }

    /// Count a trade against the mid (ticks) just before it; false when it is off-market and was
    /// left out, or repeats the last trade.
    pub fn observe(&mut self, trade: &Trade, mid_ticks: f64) -> bool {
        let distance_bps = (trade.px.0 as f64 / mid_ticks - 1.0).abs() * 1e4;
        let repeated = self.last.is_some_and(|last| last.trade_id == trade.trade_id);
        // A mid that is no number makes a distance that is within nothing.
        let near = (0.0..=self.params.max_distance_bps).contains(&distance_bps);
        if repeated || !near {
            return false;
        }
        let keep = (-trade.at.since(self.at).seconds().max(0.0)
            / self.params.half_life.seconds().max(1e-9))
        .exp2();
        self.taken = self.taken.map(|taken| taken * keep);
        self.taken[trade.aggressor.index()] += trade.qty.0 as f64;
        self.at = self.at.max(trade.at);
        self.last = Some(*trade);
        true
    }

    /// The last trade counted.
    #[must_use]
    pub fn last(&self) -> Option<&Trade> {
        self.last.as_ref()
    }

    /// Recent taker buys and sells as of the last trade, lots.
    #[must_use]
    pub fn taken(&self) -> [f64; 2] {
        self.taken
    }

    /// Recent taker buys minus sells over their sum: −1 to 1, zero when nothing traded.
    #[must_use]
    pub fn imbalance(&self) -> f64 {
        let [bought, sold] = [Side::Buy, Side::Sell].map(|side| self.taken[side.index()]);
        let total = bought + sold;
        if total > 0.0 { (bought - sold) / total } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{InstrumentId, Px, Qty};

    fn trade(trade_id: u64, px: i64, qty: i64, aggressor: Side, at_s: i64) -> Trade {
        let (instrument, at) = (InstrumentId(0), Ts(0) + Span::from_s(at_s));
        Trade { instrument, px: Px(px), qty: Qty(qty), aggressor, trade_id, at }
    }

    #[test]
    fn flow_decays_and_leaves_off_market_prints_out() {
        let mut flow = TradeFlow::new(TradeFlowParams::default());
        assert_eq!(flow.imbalance(), 0.0);
        assert!(flow.observe(&trade(1, 100_000, 2, Side::Buy, 0), 100_000.0));
        assert!(!flow.observe(&trade(1, 100_000, 2, Side::Buy, 0), 100_000.0), "the same trade");
        assert!(!flow.observe(&trade(2, 150_000, 9, Side::Sell, 1), 100_000.0), "off-market");
        assert!(!flow.observe(&trade(3, 100_000, 9, Side::Sell, 1), f64::NAN));
        assert_eq!(flow.imbalance(), 1.0);
        // After one half-life the two bought count as one.
        assert!(flow.observe(&trade(4, 100_000, 1, Side::Sell, 30), 100_000.0));
        assert!(flow.imbalance().abs() < 1e-12);
        assert_eq!(flow.last().map(|t| t.trade_id), Some(4));
    }
}
