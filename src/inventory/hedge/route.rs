//! Over which books does a hedge go out the cheapest?
//!
//! Greedy by price after fee, level by level: the best there is for convex books when lots are
//! small against the quantity.

use crate::domain::Side;

/// One book that a hedge may take from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    /// Price and quantity of each level, best first: bids for a sell, asks for a buy.
    pub levels: Vec<(f64, f64)>,
    /// What taking costs, as a share of the notional; below zero when it earns.
    pub taker_fee: f64,
    /// Smallest step of a quantity, above zero.
    pub lot: f64,
}

/// How a quantity is spread over the books.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// Whole lots for each book.
    pub lots: Vec<i64>,
    /// Received for a sell, paid for a buy, fees included.
    pub net_quote: f64,
    /// What was placed.
    pub filled: f64,
    /// What no book had the depth for, or no lot was small enough for.
    pub unfilled: f64,
}

impl Route {
    /// Price after fees, averaged; `None` when nothing was placed.
    #[must_use]
    pub fn average_net_price(&self) -> Option<f64> {
        (self.filled > 0.0).then(|| self.net_quote / self.filled)
    }
}

/// Takes the best levels after fees until the quantity is placed, each rounded down to its book's
/// lot. Levels that are no numbers above zero do not count, nor do books without a lot.
#[must_use]
pub fn route(side: Side, quantity: f64, pools: &[Pool]) -> Route {
    let mut plan = Route {
        lots: vec![0; pools.len()],
        unfilled: if quantity.is_finite() { quantity.max(0.0) } else { 0.0 },
        ..Route::default()
    };
    // A sell receives less for the fee, a buy pays more.
    let net = |price: f64, fee: f64| price * (1.0 + side.sign() as f64 * fee);
    let usable = |value: f64| value.is_finite() && value > 0.0;
    let mut offers: Vec<(f64, f64, usize)> = pools
        .iter()
        .enumerate()
        .filter(|(_, pool)| usable(pool.lot) && pool.taker_fee.is_finite())
        .flat_map(|(at, pool)| {
            let fee = pool.taker_fee;
            pool.levels.iter().map(move |&(price, depth)| (net(price, fee), depth, at))
        })
        .filter(|(net, depth, _)| usable(*net) && usable(*depth))
        .collect();
    offers.sort_by(|a, b| (a.0 * side.sign() as f64).total_cmp(&(b.0 * side.sign() as f64)));
    for (net, depth, at) in offers {
        let lot = pools[at].lot;
        // 0.3 / 0.1 is a little less than three.
        let lots = (depth.min(plan.unfilled) / lot + 1e-9).floor();
        let taken = lots * lot;
        plan.lots[at] += lots as i64;
        plan.net_quote += taken * net;
        plan.filled += taken;
        plan.unfilled = (plan.unfilled - taken).max(0.0);
    }
    plan
}
