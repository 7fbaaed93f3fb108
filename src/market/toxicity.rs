//! Do the takers know something? Volume-synchronised probability of informed trading, its rank,
//! and what takers move the price by.
//!
//! Sources: Easley, López de Prado, O'Hara, "Flow toxicity and liquidity in a high-frequency
//! world", 2012 (VPIN; here trades carry their side, so that nothing is classified); Kyle 1985
//! (λ); Glosten, Milgrom 1985.

use std::collections::VecDeque;

use crate::domain::{Side, Span, Ts};

use super::Regression;

/// A bucket holds as much as this many average trades, where its volume is not given.
const TRADES_PER_BUCKET: f64 = 50.0;
/// Buckets in the average of a session.
pub const VPIN_BUCKETS: usize = 50;
/// Averages that one is ranked among.
const RANKED: usize = 500;
/// Averages before a rank is believed.
const RANKED_LEAST: usize = 50;
/// A large trade fills no more buckets than this at once; the rest of it is left out.
const MAX_SPLIT: usize = 1000;

/// VPIN: the mean of |bought − sold| / volume over buckets of equal volume.
#[derive(Clone, Debug)]
pub struct Vpin {
    window: usize,
    /// Volume of a bucket; `None`: so many average trades, anew with each bucket.
    fixed: Option<f64>,
    bucket: f64,
    trades: f64,
    mean_trade: f64,
    bought: f64,
    sold: f64,
    imbalances: VecDeque<f64>,
    /// Past averages, oldest first, and the share of them below the last.
    averages: VecDeque<f64>,
    rank: f64,
}

impl Vpin {
    /// Averages over `window` buckets of `volume` each; `None`: of 50 average trades.
    #[must_use]
    pub fn new(volume: Option<f64>, window: usize) -> Vpin {
        let volume = volume.filter(|volume| *volume > 0.0);
        Vpin {
            window: window.max(1),
            fixed: volume,
            bucket: volume.unwrap_or_default(),
            trades: 0.0,
            mean_trade: 0.0,
            bought: 0.0,
            sold: 0.0,
            imbalances: VecDeque::with_capacity(window + 1),
            averages: VecDeque::with_capacity(RANKED + 1),
            rank: 0.5,
        }
    }

    /// Counts a trade; what overflows a bucket begins the next.
    pub fn observe(&mut self, aggressor: Side, volume: f64) {
        if !(volume.is_finite() && volume > 0.0) {
            return;
        }
        self.trades += 1.0;
        let weight = (1.0 / self.trades).max(1.0 / (20.0 * TRADES_PER_BUCKET));
        self.mean_trade += weight * (volume - self.mean_trade);
        if self.bucket == 0.0 {
            if self.trades < TRADES_PER_BUCKET {
                return;
            }
            self.bucket = TRADES_PER_BUCKET * self.mean_trade;
        }
        let mut left = volume;
        let mut closed = false;
        for _ in 0..MAX_SPLIT {
            let part = left.min(self.bucket - self.bought - self.sold);
            match aggressor {
                Side::Buy => self.bought += part,
                Side::Sell => self.sold += part,
            }
            left -= part;
            // A bucket that lacks no more than rounding noise is full.
            if self.bought + self.sold < self.bucket * (1.0 - 1e-12) {
                break;
            }
            self.close_bucket();
            closed = true;
        }
        if closed {
            self.rank_last();
        }
    }

    fn close_bucket(&mut self) {
        self.imbalances.push_back((self.bought - self.sold).abs() / self.bucket);
        if self.imbalances.len() > self.window {
            self.imbalances.pop_front();
        }
        (self.bought, self.sold) = (0.0, 0.0);
        self.bucket = self.fixed.unwrap_or(TRADES_PER_BUCKET * self.mean_trade);
        if let Some(average) = self.vpin() {
            self.averages.push_back(average);
            if self.averages.len() > RANKED {
                self.averages.pop_front();
            }
        }
    }

    /// Where the last average stands among those before it; ties count half.
    fn rank_last(&mut self) {
        let Some(&last) = self.averages.back() else { return };
        let before = self.averages.len() - 1;
        let halves: usize = self
            .averages
            .iter()
            .take(before)
            .map(|other| if *other < last { 2 } else { usize::from(*other <= last) })
            .sum();
        self.rank = if before > 0 { halves as f64 / (2 * before) as f64 } else { 0.5 };
    }

    /// Imbalances of the buckets in the window, oldest first.
    pub fn imbalances(&self) -> impl Iterator<Item = f64> + '_ {
        self.imbalances.iter().copied()
    }

    /// The average, 0 to 1; `None` until the window is full.
    #[must_use]
    pub fn vpin(&self) -> Option<f64> {
        let full = self.imbalances.len() == self.window;
        full.then(|| self.imbalances.iter().sum::<f64>() / self.window as f64)
    }

    /// Share of past averages below the last one, 0 to 1; `None` until there are enough.
    #[must_use]
    pub fn percentile(&self) -> Option<f64> {
        (self.averages.len() > RANKED_LEAST).then_some(self.rank)
    }
}

/// What a quote is widened by at a percentile: 1 + c·(percentile − ½)⁺; 1 while it is not known.
#[must_use]
pub fn widening(c: f64, percentile: Option<f64>) -> f64 {
    percentile.map_or(1.0, |percentile| 1.0 + c * (percentile - 0.5).max(0.0))
}

/// Length of a bar of Kyle's regression.
const BAR: Span = Span::from_s(1);
/// Bars that count.
const BARS: f64 = 1800.0;
/// Bars before the slope is believed.
const BARS_LEAST: f64 = 60.0;

/// Kyle's λ: how far takers move the mid, from signed volume and return in bars of a second.
#[derive(Clone, Debug)]
pub struct KyleLambda {
    fit: Regression,
    ends: Ts,
    opened_at_mid: Option<f64>,
    mid: f64,
    signed: f64,
}

impl Default for KyleLambda {
    fn default() -> KyleLambda {
        let fit = Regression::new(BARS);
        KyleLambda { fit, ends: Ts::default(), opened_at_mid: None, mid: 0.0, signed: 0.0 }
    }
}

impl KyleLambda {
    /// Counts a trade, in any unit of volume.
    pub fn trade(&mut self, now: Ts, aggressor: Side, volume: f64) {
        self.roll(now);
        self.signed += volume * aggressor.sign() as f64;
    }

    /// The mid from `now` on.
    pub fn mid(&mut self, now: Ts, mid: f64) {
        self.roll(now);
        self.mid = mid;
        if self.opened_at_mid.is_none() && mid > 0.0 {
            self.opened_at_mid = Some(mid);
        }
    }

    /// What followed is not known: a book that was lost begins anew.
    pub fn interrupt(&mut self) {
        (self.opened_at_mid, self.signed) = (None, 0.0);
    }

    /// Move of the mid per unit of volume taken, bps; `None` until enough bars were seen.
    #[must_use]
    pub fn bps_per_unit(&self) -> Option<f64> {
        if self.fit.samples() < BARS_LEAST {
            return None;
        }
        self.fit.line().map(|line| line.slope)
    }

    fn roll(&mut self, now: Ts) {
        if now < self.ends {
            return;
        }
        if let Some(opened) = self.opened_at_mid {
            self.fit.add(self.signed, (self.mid / opened - 1.0) * 1e4);
            self.opened_at_mid = (self.mid > 0.0).then_some(self.mid);
        }
        self.signed = 0.0;
        self.ends = now + BAR;
    }
}

/// Bid and ask at which a maker breaks even against takers of whom a share knows whether the
/// value is `low` or `high`, and the others buy or sell alike (Glosten–Milgrom, one trade).
/// `None` unless the shares are probabilities and there is anybody to trade with.
#[must_use]
pub fn informed_quotes(informed: f64, low: f64, high: f64, prior_high: f64) -> Option<[f64; 2]> {
    if !((0.0..=1.0).contains(&informed) && (0.0..=1.0).contains(&prior_high)) {
        return None;
    }
    let noise = 0.5 * (1.0 - informed);
    // Value given a trade that the informed make only when it is worth `high`, or only when `low`.
    let value = |if_high: f64, if_low: f64| {
        let (up, down) = (prior_high * if_high, (1.0 - prior_high) * if_low);
        (up + down > 0.0).then(|| (up * high + down * low) / (up + down))
    };
    let (bid, ask) = (value(noise, noise + informed)?, value(noise + informed, noise)?);
    (bid.is_finite() && ask.is_finite()).then_some([bid, ask])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sided_flow_ranks_high_and_widens() {
        let mut vpin = Vpin::new(None, VPIN_BUCKETS);
        for n in 0..30_000u32 {
            // Balance wanders a little, or ranks would all be ties.
            let side = if n.is_multiple_of(2 + n / 5000) { Side::Buy } else { Side::Sell };
            vpin.observe(side, 1.0);
        }
        vpin.observe(Side::Buy, f64::NAN);
        vpin.observe(Side::Buy, 0.0);
        let calm = vpin.vpin().unwrap();
        for _ in 0..2000 {
            vpin.observe(Side::Sell, 1.0);
        }
        assert!(vpin.vpin().unwrap() > calm);
        let percentile = vpin.percentile().unwrap();
        assert!(percentile > 0.9, "{percentile}");
        assert!((widening(1.0, Some(percentile)) - 0.5 - percentile).abs() < 1e-12);
        assert_eq!((widening(1.0, Some(0.2)), widening(1.0, None)), (1.0, 1.0));
        // One trade far larger than a bucket ends, too.
        vpin.observe(Side::Buy, 1e12);
        assert!((0.0..=1.0).contains(&vpin.vpin().unwrap()));
    }

    #[test]
    fn takers_that_move_the_mid_are_measured() {
        let mut kyle = KyleLambda::default();
        let mut mid = 100.0;
        for n in 0..200i64 {
            let now = Ts::from_ms(1000 * n);
            let (side, volume) = if n % 3 == 0 { (Side::Buy, 4.0) } else { (Side::Sell, 2.0) };
            kyle.trade(now, side, volume);
            mid *= 1.0 + side.sign() as f64 * volume * 0.5e-4;
            kyle.mid(now + Span::from_ms(500), mid);
        }
        let slope = kyle.bps_per_unit().unwrap();
        assert!((slope - 0.5).abs() < 0.01, "{slope}");
        kyle.interrupt();
        assert!(kyle.bps_per_unit().is_some());
    }

    #[test]
    fn nobody_to_trade_with_is_no_quote() {
        assert_eq!(informed_quotes(f64::NAN, 1.0, 2.0, 0.5), None);
        assert_eq!(informed_quotes(1.0, 1.0, 2.0, 0.0), None);
        assert_eq!(informed_quotes(0.0, 1.0, 3.0, 0.5), Some([2.0, 2.0]));
    }
}
