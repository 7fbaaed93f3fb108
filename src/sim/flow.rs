//! A seeded crowd that makes a market live: makers, takers, sweeps, one latent price per asset.
//!
//! **Latent price.** A random walk whose volatility switches between calm and burst; each market's
//! fair price is the latent one plus a basis that wanders around its mean.
//!
//! **Pressure.** What makers go by is not quite that: they take up part of the news only over a
//! second or so, all markets together and some markets later than the rest, and meanwhile they add
//! as much noise as that takes away, so that mids have the same volatility at every horizon. How
//! far the fair price is from what they go by shows, blurred, in how they split size between the
//! sides of the touch: that is why imbalance foretells returns, as it does in the recordings, and
//! why that of a leading market foretells those of all.
//!
//! **Makers** look at their price at random instants (a Poisson process) and re-centre: they
//! pull what is in front of it, stand one tick to each side of it, and fill the gaps of a depth
//! profile. Holding a random walk between Poisson instants leaves its volatility flat at every
//! horizon, which is what the recordings show for mids; and what they show as adverse selection is
//! how far it has moved since the makers last looked, and the pressure.
//!
//! **Takers** are informed (they know the fair price) or noise, with heavy-tailed sizes. **Sweeps**
//! take everything up to some basis points from the touch; most are noise, some come with a jump
//! of the latent price. They are about ten times as frequent as in the recordings, so that a maker
//! a few basis points from the mid trades tens of times a minute in a demo; the makers step back
//! in within tens of milliseconds. See [`super::calibration`] for what comes out.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::domain::{Instrument, Level, Px, Qty, Side, Span, Ts};

use super::api::MarketId;
use super::matcher::Matcher;
use super::source::Intent;

/// What a synthetic market is like. Quantities in base, rates per second.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowParams {
    /// Latent price at the start, in quote per base; the first market of an asset decides.
    pub start_price: f64,
    /// Volatility of the latent price, in bps per square root of a second; the first market of an
    /// asset decides.
    pub volatility_bps: f64,
    /// Mean of this market's fair price over the latent one, in bps.
    pub basis_bps: f64,
    /// Standard deviation of that basis, in bps; it forgets itself in half a minute.
    pub basis_noise_bps: f64,
    /// Part of the news that makers take up only within a second or so, 0 to 1; the first market
    /// of an asset decides.
    pub delay: f64,
    /// The same of this market alone, besides.
    pub lag: f64,
    /// Standard deviation of what makers mistake for pressure when they split their size, in bps.
    pub blur_bps: f64,
    /// How often makers look at the fair price.
    pub recentres: f64,
    /// Part of another market's re-centring (of the same asset) that makers here follow within
    /// hundredths of a second, 0 to 1.
    pub follows: f64,
    /// How often somebody takes.
    pub takes: f64,
    /// Part of the takers that know the fair price, 0 to 1.
    pub informed: f64,
    /// Median size of a taker.
    pub take_median: f64,
    /// How often somebody sweeps.
    pub sweeps: f64,
    /// Mean depth of a sweep, in bps from the touch.
    pub sweep_bps: f64,
    /// Part of the sweeps with which the latent price jumps, 0 to 1.
    pub sweep_informed: f64,
    /// Mean quantity at the touch.
    pub touch_quantity: f64,
    /// Mean quantity per bps of depth behind it.
    pub depth_per_bps: f64,
    /// How far the depth profile reaches, in bps.
    pub reach_bps: f64,
    /// Levels of the profile on each side.
    pub levels: usize,
}

impl FlowParams {
    /// BTCUSDT on Binance Spot as recorded on 2024-08-08.
    #[must_use]
    pub fn btc_spot() -> FlowParams {
        FlowParams {
            start_price: 60_000.0,
            volatility_bps: 1.1,
            basis_bps: 0.0,
            basis_noise_bps: 0.1,
            delay: 0.25,
            lag: 0.08,
            blur_bps: 0.05,
            recentres: 0.3,
            follows: 0.9,
            takes: 6.0,
            informed: 0.9,
            take_median: 0.0035,
            sweeps: 0.7,
            sweep_bps: 2.4,
            sweep_informed: 0.08,
            touch_quantity: 2.6,
            depth_per_bps: 5.6,
            reach_bps: 25.0,
            levels: 130,
        }
    }

    /// BTCUSDT on Binance USD-M as recorded on 2024-08-08.
    #[must_use]
    pub fn btc_perpetual() -> FlowParams {
        FlowParams {
            basis_bps: -3.7,
            basis_noise_bps: 0.2,
            lag: 0.0,
            blur_bps: 0.25,
            recentres: 6.5,
            follows: 0.6,
            informed: 0.7,
            sweeps: 0.45,
            take_median: 0.03,
            touch_quantity: 3.3,
            depth_per_bps: 31.0,
            ..FlowParams::btc_spot()
        }
    }

    /// The market of another asset: same behaviour, its own price and size. `scale` is the price
    /// of one BTC over the price of one unit of it.
    #[must_use]
    pub fn scaled(self, start_price: f64, scale: f64) -> FlowParams {
        FlowParams {
            start_price,
            take_median: self.take_median * scale,
            touch_quantity: self.touch_quantity * scale,
            depth_per_bps: self.depth_per_bps * scale,
            ..self
        }
    }
}

/// Ratio of burst to mean volatility, and of calm; the mean of their squares over the time spent
/// in each is one.
const BURST: f64 = 2.0;
const CALM: f64 = 0.75;
/// Mean lengths of burst and calm, in seconds.
const BURST_S: f64 = 6.0;
const CALM_S: f64 = 41.0;
/// Spread of order sizes: standard deviation of the logarithm.
const SIZE_SPREAD: f64 = 2.4;
/// The same of what stands at the touch.
const TOUCH_SPREAD: f64 = 0.35;
/// Largest taker, in touch quantities.
const LARGEST_TAKE: f64 = 3.0;
/// Mean time until makers step back in after a sweep, in seconds.
const REFILL_S: f64 = 0.02;
/// Mean time until the makers of one market follow those of another, in seconds.
const FOLLOW_S: f64 = 0.006;
/// Depth behind the touch grows from this part of the profile's to all of it within that many bps.
const THIN: (f64, f64) = (0.25, 2.5);
/// Cells next to the touch that makers tend every time they look, and the part of the other cells.
const TENDED_CELLS: usize = 12;
const TENDED_PART: f64 = 0.1;
/// Part of the makers' followings that a taker is ahead of.
const SNIPED: f64 = 0.5;
/// Memory of the basis, in seconds.
const BASIS_S: f64 = 30.0;
/// Memory of pressure and its blur, in seconds.
const PRESSURE_S: f64 = 1.1;
/// How makers split the touch: half the logarithm of bid over ask size, per deviation of a
/// second's return.
const SPLIT: f64 = 1.87;
/// How the profile's levels crowd towards the touch: level k of n stands at reach × (k/n)^this.
const CROWDING: f64 = 1.5;

#[derive(Debug)]
struct Venue {
    id: MarketId,
    instrument: Instrument,
    params: FlowParams,
    /// Where the profile's levels stand, as parts of its reach.
    crowding: Vec<f64>,
    basis: f64,
    basis_at: Ts,
    /// Pressure of this market alone, and what is mistaken for pressure, bps.
    lag_bps: f64,
    blur_bps: f64,
    /// Next spontaneous action.
    next: Ts,
    /// Makers step back in after a sweep.
    refill: Ts,
}

/// The crowd of all synthetic markets of one asset.
#[derive(Debug)]
pub(crate) struct Flow {
    rng: ChaCha8Rng,
    price: f64,
    /// How far the latent price is above what makers of all markets go by, bps.
    pressure_bps: f64,
    at: Ts,
    burst: bool,
    regime_ends: Ts,
    venues: Vec<Venue>,
}

impl Flow {
    pub(crate) fn new(group: Vec<(MarketId, Instrument, FlowParams)>, seed: u64, now: Ts) -> Flow {
        let price = group.first().map_or(1.0, |(_, _, params)| params.start_price);
        let venues = group
            .into_iter()
            .map(|(id, instrument, params)| Venue {
                id,
                instrument,
                basis: params.basis_bps,
                crowding: crowding(params.levels.max(1)),
                params,
                basis_at: now,
                lag_bps: 0.0,
                blur_bps: 0.0,
                next: now,
                refill: now,
            })
            .collect();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Flow { rng, price, pressure_bps: 0.0, at: now, burst: true, regime_ends: now, venues }
    }

    pub(crate) fn due(&self) -> Ts {
        self.venues.iter().map(|v| v.next.min(v.refill)).min().unwrap_or(Ts::FAR)
    }

    pub(crate) fn step<'a>(
        &mut self,
        due: Ts,
        book: &dyn Fn(MarketId) -> &'a Matcher,
        out: &mut Vec<(MarketId, Intent)>,
    ) {
        for index in 0..self.venues.len() {
            let venue = &self.venues[index];
            let (id, refill, act) = (venue.id, venue.refill <= due, venue.next <= due);
            if !refill && !act {
                continue;
            }
            let fair = self.fair(index, due);
            let mut intents = Vec::new();
            if refill {
                self.venues[index].refill = Ts::FAR;
                self.snipe(index, fair, book(id), &mut intents);
                self.recentre(index, fair, book(id), &mut intents);
            } else {
                self.act(index, fair, due, book(id), &mut intents);
            }
            if act {
                let params = &self.venues[index].params;
                let rate = (params.recentres + params.takes + params.sweeps).max(0.01);
                let wait = self.exponential(1.0 / rate);
                self.venues[index].next = due + wait;
            }
            out.extend(intents.into_iter().map(|intent| (id, intent)));
        }
    }

    /// Lets latent price, pressure and basis move on; the market's fair price now, in quote per
    /// base.
    fn fair(&mut self, index: usize, now: Ts) -> f64 {
        if now >= self.regime_ends {
            self.burst = !self.burst;
            let wait = self.exponential(if self.burst { BURST_S } else { CALM_S });
            self.regime_ends = now + wait;
        }
        let elapsed = now.since(self.at).seconds().max(0.0);
        self.at = now;
        let regime = if self.burst { BURST } else { CALM };
        let sigma_bps = self.venues[0].params.volatility_bps * regime * elapsed.sqrt();
        let news_bps = sigma_bps * self.normal();
        self.price *= (news_bps * 1e-4).exp();
        self.press(elapsed, news_bps, sigma_bps);
        let noise = self.normal();
        let venue = &mut self.venues[index];
        let keep = (-now.since(venue.basis_at).seconds() / BASIS_S).exp();
        venue.basis_at = now;
        let (mean, spread) = (venue.params.basis_bps, venue.params.basis_noise_bps);
        venue.basis = mean
            + (venue.basis - mean) * keep
            + spread * (1.0 - keep * keep).max(0.0).sqrt() * noise;
        self.price * (1.0 + venue.basis * 1e-4)
    }

    /// Pressure fades, and takes its part of the news. The price that makers go by loses that part
    /// and gains as much noise as leaves its variance what it was.
    fn press(&mut self, elapsed: f64, news_bps: f64, sigma_bps: f64) {
        let keep = (-elapsed / PRESSURE_S).exp();
        let renewed = (1.0 - keep * keep).max(0.0).sqrt();
        let delay = self.venues[0].params.delay;
        // What is left of the news to this delay after another has taken its part.
        let delayed = |part: f64, left: f64, noise: f64| {
            part * news_bps + (part * (2.0 * left - part)).max(0.0).sqrt() * sigma_bps * noise
        };
        self.pressure_bps = self.pressure_bps * keep + delayed(delay, 1.0, self.normal());
        for index in 0..self.venues.len() {
            let (noise, blur) = (self.normal(), self.normal());
            let venue = &mut self.venues[index];
            venue.lag_bps = venue.lag_bps * keep + delayed(venue.params.lag, 1.0 - delay, noise);
            venue.blur_bps = venue.blur_bps * keep + venue.params.blur_bps * renewed * blur;
        }
    }

    /// How far a market's fair price is above what its makers go by, bps.
    fn pressure(&self, index: usize) -> f64 {
        self.pressure_bps + self.venues[index].lag_bps
    }

    fn act(&mut self, index: usize, fair: f64, now: Ts, book: &Matcher, out: &mut Vec<Intent>) {
        let params = self.venues[index].params.clone();
        let pick = self.uniform() * (params.recentres + params.takes + params.sweeps);
        let touch = (book.best(Side::Buy), book.best(Side::Sell));
        let (Some(bid), Some(ask)) = touch else {
            return self.recentre(index, fair, book, out);
        };
        if pick < params.recentres {
            self.recentre(index, fair, book, out);
            self.alert_others(index, now);
        } else if pick < params.recentres + params.takes {
            self.take(index, fair, (bid, ask), out);
        } else if params.sweeps > 0.0 {
            self.sweep(index, (bid, ask), book, out);
            let wait = self.exponential(REFILL_S);
            self.venues[index].refill = now + wait;
        }
    }

    /// Some makers of the asset's other markets follow.
    fn alert_others(&mut self, index: usize, now: Ts) {
        for other in 0..self.venues.len() {
            if other != index && self.uniform() < self.venues[other].params.follows {
                let soon = now + self.exponential(FOLLOW_S);
                self.venues[other].refill = self.venues[other].refill.min(soon);
            }
        }
    }

    /// Makers look at the fair price.
    fn recentre(&mut self, index: usize, fair: f64, book: &Matcher, out: &mut Vec<Intent>) {
        let venue = &self.venues[index];
        let tick = venue.instrument.tick_f64();
        let (low, high) = (venue.instrument.min_px, venue.instrument.max_px);
        let price = fair * (1.0 - self.pressure(index) * 1e-4);
        let bid = ((price / tick).floor() as i64).clamp(low.0, high.0 - 1);
        let touch = [Px(bid), Px(bid + 1)];
        for side in Side::BOTH {
            let front = |px: Px| (px.0 - touch[side.index()].0) * side.sign() > 0;
            for level in book.crowd_levels(side).take_while(|l| front(l.px)) {
                out.push(Intent::Level { side, px: level.px, qty: Qty::ZERO });
            }
        }
        let volatility_bps = self.venues[index].params.volatility_bps.max(0.1);
        let shown_bps = self.pressure(index) + self.venues[index].blur_bps;
        let split = (SPLIT * shown_bps / volatility_bps).tanh();
        for side in Side::BOTH {
            let px = touch[side.index()];
            let there = book.crowd_at(side, px);
            if there.is_zero() || self.uniform() < 0.5 {
                let part = 1.0 + side.sign() as f64 * split;
                let mean = self.venues[index].params.touch_quantity * part;
                let qty = self.quantity(index, mean, TOUCH_SPREAD);
                out.push(Intent::Level { side, px, qty });
            }
            self.fill_gaps(index, side, px, book, out);
        }
    }

    /// One level in each cell of the depth profile; surplus levels and those out of reach leave.
    fn fill_gaps(
        &mut self,
        index: usize,
        side: Side,
        touch: Px,
        book: &Matcher,
        out: &mut Vec<Intent>,
    ) {
        let Venue { params, crowding, .. } = &self.venues[index];
        let (cells, depth_per_bps) = (params.levels.max(1), params.depth_per_bps);
        let ticks_per_bps = touch.0 as f64 * 1e-4;
        let edges: Vec<i64> = crowding
            .iter()
            .enumerate()
            // Where ticks are coarser than cells, a cell is one tick.
            .map(|(k, part)| ((params.reach_bps * part * ticks_per_bps) as i64).max(k as i64))
            .collect();
        let behind = |level: &Level| (touch.0 - level.px.0) * side.sign();
        let mut levels =
            book.crowd_levels(side).skip_while(|l| behind(l) <= 0).collect::<Vec<_>>().into_iter();
        let mut level = levels.next();
        for k in 0..cells {
            let from = edges[k] + 1;
            let to = edges[k + 1].max(from);
            let width = (to - from + 1) as f64;
            let depth = from as f64 / ticks_per_bps / THIN.1;
            let thin = THIN.0 + (1.0 - THIN.0) * depth.min(1.0);
            let mean = depth_per_bps * thin * width / ticks_per_bps;
            let tended = k < TENDED_CELLS || self.uniform() < TENDED_PART;
            let mut found = 0;
            while let Some(l) = level.filter(|l| behind(l) <= to) {
                found += 1;
                if found > 1 && tended {
                    out.push(Intent::Level { side, px: l.px, qty: Qty::ZERO });
                } else if k < TENDED_CELLS && l.qty > self.lots(index, mean * 6.0) {
                    // What was the touch is no longer worth that much.
                    let qty = self.quantity(index, mean, 0.9);
                    out.push(Intent::Level { side, px: l.px, qty });
                }
                level = levels.next();
            }
            if found == 0 && tended && self.uniform() < 0.7 {
                let px = touch.away(side, from + (self.uniform() * width) as i64);
                let qty = self.quantity(index, mean, 0.9);
                if px >= self.venues[index].instrument.min_px {
                    out.push(Intent::Level { side, px, qty });
                }
            }
        }
        for l in level.into_iter().chain(levels) {
            out.push(Intent::Level { side, px: l.px, qty: Qty::ZERO });
        }
    }

    /// Somebody who knows is faster than the makers.
    fn snipe(&mut self, index: usize, fair: f64, book: &Matcher, out: &mut Vec<Intent>) {
        let touch = (book.best(Side::Buy), book.best(Side::Sell));
        if let (Some(bid), Some(ask)) = touch
            && self.uniform() < SNIPED
        {
            let tick = self.venues[index].instrument.tick_f64();
            if fair > ask.px.0 as f64 * tick || fair < bid.px.0 as f64 * tick {
                self.take_knowing(index, fair, (bid, ask), out);
            }
        }
    }

    fn take(&mut self, index: usize, fair: f64, touch: (Level, Level), out: &mut Vec<Intent>) {
        if self.uniform() < self.venues[index].params.informed {
            self.take_knowing(index, fair, touch, out);
        } else {
            let buys = self.uniform() < 0.5;
            self.take_side(index, buys, touch, out);
        }
    }

    fn take_knowing(
        &mut self,
        index: usize,
        fair: f64,
        (bid, ask): (Level, Level),
        out: &mut Vec<Intent>,
    ) {
        let mid = (bid.px.0 + ask.px.0) as f64 / 2.0 * self.venues[index].instrument.tick_f64();
        self.take_side(index, fair > mid, (bid, ask), out);
    }

    fn take_side(
        &mut self,
        index: usize,
        buys: bool,
        (bid, ask): (Level, Level),
        out: &mut Vec<Intent>,
    ) {
        let params = self.venues[index].params.clone();
        let (side, level) = if buys { (Side::Buy, ask) } else { (Side::Sell, bid) };
        let size = params.take_median * (SIZE_SPREAD * self.normal()).exp();
        let size = size.min(params.touch_quantity * LARGEST_TAKE);
        let qty = self.lots(index, size);
        // Patient enough to stop a basis point behind the touch.
        let limit = level.px.away(side, -((level.px.0 as f64 * 1e-4) as i64).max(1));
        out.push(Intent::Take { side, px: limit, qty });
        if qty >= level.qty {
            let wait = self.exponential(REFILL_S);
            let venue = &mut self.venues[index];
            venue.refill = venue.refill.min(self.at + wait);
        }
    }

    fn sweep(
        &mut self,
        index: usize,
        (bid, ask): (Level, Level),
        book: &Matcher,
        out: &mut Vec<Intent>,
    ) {
        let params = self.venues[index].params.clone();
        let depth = self.exponential(1.0).seconds() * params.sweep_bps;
        let side = if self.uniform() < 0.5 { Side::Buy } else { Side::Sell };
        if self.uniform() < params.sweep_informed {
            self.price *= 1.0 + side.sign() as f64 * 0.5 * depth * 1e-4;
        }
        let touch = if side == Side::Buy { ask.px } else { bid.px };
        let limit = touch.away(side, -((touch.0 as f64 * depth * 1e-4) as i64));
        let reached = |l: &Level| (limit.0 - l.px.0) * side.sign() >= 0;
        let qty = book.levels(side.opposite()).take_while(reached).map(|l| l.qty).sum();
        out.push(Intent::Take { side, px: limit, qty });
    }

    /// A quantity whose mean is `mean` base and whose logarithm spreads by `spread`.
    fn quantity(&mut self, index: usize, mean: f64, spread: f64) -> Qty {
        let size = mean * (spread * self.normal() - spread * spread / 2.0).exp();
        self.lots(index, size)
    }

    fn lots(&self, index: usize, size: f64) -> Qty {
        let instrument = &self.venues[index].instrument;
        let lots = (size / instrument.lot_f64()).round() as i64;
        Qty(lots.clamp(instrument.min_qty.0.max(1), instrument.max_qty.0.max(1)))
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean_s: f64) -> Span {
        Span((-(1.0 - self.uniform()).ln() * mean_s * 1e9) as i64 + 1)
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Edge k of n cells stands at this part of the profile's reach.
fn crowding(cells: usize) -> Vec<f64> {
    (0..=cells).map(|k| (k as f64 / cells as f64).powf(CROWDING)).collect()
}
