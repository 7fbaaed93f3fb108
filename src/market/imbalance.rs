//! Which side of the book is heavier, and the fair prices made of it.
//!
//! Every function takes the best levels of both sides, best first, in ticks and lots, and gives
//! `None` where there is nothing to weigh. Definitions: hftbacktest's notebook on order-book
//! imbalance.

use crate::domain::{Level, Side};

/// Bids minus asks over their sum: −1 to 1; `None` when there is neither.
#[must_use]
pub fn imbalance(bid: f64, ask: f64) -> Option<f64> {
    let total = bid + ask;
    (total > 0.0).then(|| (bid - ask) / total)
}

fn lots(levels: &[Level]) -> f64 {
    levels.iter().map(|level| level.qty.0 as f64).sum()
}

/// Σ price × quantity, ticks × lots.
fn notional(levels: &[Level]) -> f64 {
    levels.iter().map(|level| level.px.0 as f64 * level.qty.0 as f64).sum()
}

/// Imbalance of all the quantity given.
#[must_use]
pub fn depth_imbalance(bids: &[Level], asks: &[Level]) -> Option<f64> {
    imbalance(lots(bids), lots(asks))
}

/// Imbalance of the quantity within a ratio of the mid (0.0006 is 6 bps).
#[must_use]
pub fn imbalance_within(bids: &[Level], asks: &[Level], ratio: f64) -> Option<f64> {
    let mid = (bids.first()?.px.0 + asks.first()?.px.0) as f64 * 0.5;
    let near = |levels: &[Level], side: Side| -> f64 {
        let reach = mid * (1.0 - ratio * side.sign() as f64);
        let within = |level: &&Level| (level.px.0 as f64 - reach) * side.sign() as f64 >= 0.0;
        levels.iter().filter(within).map(|level| level.qty.0 as f64).sum()
    };
    imbalance(near(bids, Side::Buy), near(asks, Side::Sell))
}

/// Imbalance in which each level counts `decay` of the level before it.
#[must_use]
pub fn fading_imbalance(bids: &[Level], asks: &[Level], decay: f64) -> Option<f64> {
    let faded = |levels: &[Level]| {
        levels.iter().rev().fold(0.0, |deeper, level| level.qty.0 as f64 + decay * deeper)
    };
    imbalance(faded(bids), faded(asks))
}

/// Volume-adjusted mid price, ticks: each level's price weighed by the quantity of the level
/// opposite (Stoikov's cross weights, level by level).
#[must_use]
pub fn volume_adjusted_mid_ticks(bids: &[Level], asks: &[Level]) -> Option<f64> {
    let (mut weighed, mut total) = (0.0, 0.0);
    for (bid, ask) in bids.iter().zip(asks) {
        let (bid_lots, ask_lots) = (bid.qty.0 as f64, ask.qty.0 as f64);
        weighed += bid.px.0 as f64 * ask_lots + ask.px.0 as f64 * bid_lots;
        total += bid_lots + ask_lots;
    }
    (total > 0.0).then(|| weighed / total)
}

/// The average price of all that rests, ticks.
#[must_use]
pub fn weighted_depth_ticks(bids: &[Level], asks: &[Level]) -> Option<f64> {
    let total = lots(bids) + lots(asks);
    (total > 0.0).then(|| (notional(bids) + notional(asks)) / total)
}

/// The weighted mid of the average bid and the average ask, ticks: what taking the whole depth
/// of a side would cost on average, each weighed by the other side's quantity.
#[must_use]
pub fn effective_mid_ticks(bids: &[Level], asks: &[Level]) -> Option<f64> {
    let (bid_lots, ask_lots) = (lots(bids), lots(asks));
    if !(bid_lots > 0.0 && ask_lots > 0.0) {
        return None;
    }
    let (bid, ask) = (notional(bids) / bid_lots, notional(asks) / ask_lots);
    Some((bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Px, Qty};

    #[test]
    fn empty_books_have_no_balance_and_no_price() {
        let one = [Level { px: Px(100), qty: Qty(5) }];
        let none = [Level { px: Px(101), qty: Qty(0) }];
        assert_eq!(depth_imbalance(&[], &[]), None);
        assert_eq!(imbalance_within(&[], &one, 0.1), None);
        assert_eq!(fading_imbalance(&none, &none, 0.5), None);
        assert_eq!(volume_adjusted_mid_ticks(&one, &[]), None);
        assert_eq!(weighted_depth_ticks(&none, &none), None);
        assert_eq!(effective_mid_ticks(&one, &none), None);
        assert_eq!(depth_imbalance(&one, &none), Some(1.0));
    }
}
