//! How much of the time do we make a market, as exchanges' programmes count it?
//!
//! A side is present while orders of at least a minimal size rest within a maximal distance of the
//! mid. Shares are weighted by time; programmes that look only now and then (Bybit: every ten
//! seconds, a day counts at three quarters of the looks) have their share of snapshots. The scores
//! are what the published formulae of three programmes would give ([`Scores`]).

use serde::{Deserialize, Serialize};

use crate::domain::{Instrument, Level, Money, Px, Qty, Side, Span, Ts};

/// The least that a side must show, all its orders within the distance together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeastShown {
    /// In base.
    Base(Money),
    /// In quote, at the mid.
    Quote(Money),
}

/// What counts as present.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PresenceParams {
    /// Farthest from the mid, basis points of it.
    pub max_half_spread_bps: f64,
    /// Least on a side.
    pub least: LeastShown,
    /// Time between two snapshots, above zero.
    pub snapshot_interval: Span,
}

impl Default for PresenceParams {
    fn default() -> PresenceParams {
        PresenceParams {
            max_half_spread_bps: 10.0,
            least: LeastShown::Quote(Money::ONE_HUNDRED),
            snapshot_interval: Span::from_s(10),
        }
    }
}

/// What rests now.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Scales.
    pub instrument: &'a Instrument,
    /// The mid in half-ticks; without one nothing counts.
    pub mid_half_ticks: Option<i64>,
    /// Our resting orders.
    pub orders: &'a [(Side, Px, Qty)],
}

/// Presence so far. Shares are of the time since the first observation, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PresenceView {
    /// Both sides present.
    pub two_sided: f64,
    /// Exactly one side present.
    pub one_sided: f64,
    /// No side present.
    pub absent: f64,
    /// Bids present.
    pub bid: f64,
    /// Asks present.
    pub ask: f64,
    /// Any order on both sides, however far and small.
    pub raw_two_sided: f64,
    /// Best ask less best bid of ours while two-sided, basis points of the mid, over time.
    pub spread_bps: Option<f64>,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Share of them with both sides present; `None` before the first.
    pub snapshots_two_sided: Option<f64>,
    /// By the formulae of programmes.
    pub scores: Scores,
}

/// What the published formulae of market-making programmes give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Bybit (May 2021), mean over snapshots: see [`bybit_2021`].
    pub bybit_2021: f64,
    /// Injective's open liquidity programme, sum over snapshots: see [`injective_snapshot`].
    pub injective: f64,
    /// dYdX (2024), with the mean depth over snapshots: see [`dydx_points`].
    pub dydx_points: f64,
}

/// The presence of one instrument.
#[derive(Clone, Debug)]
pub struct Presence {
    params: PresenceParams,
    since: Option<Ts>,
    at: Ts,
    snapshot_at: Ts,
    now: State,
    sums: Sums,
}

/// What held since the last observation.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    any: [bool; 2],
    present: [bool; 2],
    spread_bps: f64,
    injective: f64,
    depth_quote: [f64; 3],
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    two_sided: i64,
    absent: i64,
    sides: [i64; 2],
    raw_two_sided: i64,
    spread_bps_ns: f64,
    snapshots: u64,
    snapshots_two_sided: u64,
    bybit: f64,
    injective: f64,
    depth_quote: [f64; 3],
}

/// Distances of the mid at which dYdX measures depth, basis points.
const DYDX_BPS: [f64; 3] = [25.0, 50.0, 100.0];
/// Weights of the book's levels in Bybit's score.
const BYBIT_WEIGHTS: [f64; 6] = [2.0, 0.75, 0.5, 0.4, 0.3, 0.2];
/// A distance that is the limit but for rounding is within it.
const ROUNDING_BPS: f64 = 1e-9;

impl Presence {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(params: PresenceParams) -> Presence {
        Presence {
            params,
            since: None,
            at: Ts(0),
            snapshot_at: Ts(0),
            now: State::default(),
            sums: Sums::default(),
        }
    }

    /// Takes other terms; what has been counted under the old ones stays.
    pub fn retune(&mut self, params: PresenceParams) {
        self.params = params;
    }

    /// Whether the next observation takes a snapshot and wants the market's levels.
    #[must_use]
    pub fn snapshot_due(&self, now: Ts) -> bool {
        self.since.is_some() && now >= self.snapshot_at
    }

    /// From `now` on this is shown. `market`: the book's best levels, bids and asks, own orders
    /// included; needed only where a snapshot is due.
    pub fn observe(&mut self, now: Ts, shown: &Shown<'_>, market: [&[Level]; 2]) {
        if self.snapshot_due(now) {
            self.sums.bybit += bybit_of(shown, market);
        }
        self.advance(now);
        self.now = State::of(&self.params, shown);
    }

    /// What holds goes on until `now`.
    pub fn advance(&mut self, now: Ts) {
        if self.since.is_none() {
            self.since = Some(now);
            self.at = now;
            self.snapshot_at = now + self.params.snapshot_interval;
        }
        let elapsed = now.since(self.at).0.max(0);
        let State { any, present, spread_bps, injective, depth_quote } = self.now;
        let both = present == [true; 2];
        for (sum, present) in self.sums.sides.iter_mut().zip(present) {
            *sum += if present { elapsed } else { 0 };
        }
        self.sums.two_sided += if both { elapsed } else { 0 };
        self.sums.absent += if present == [false; 2] { elapsed } else { 0 };
        self.sums.raw_two_sided += if any == [true; 2] { elapsed } else { 0 };
        self.sums.spread_bps_ns += if both { spread_bps * elapsed as f64 } else { 0.0 };
        self.at = self.at.max(now);
        if now < self.snapshot_at {
            return;
        }
        let interval = self.params.snapshot_interval.0.max(1);
        let looks = now.since(self.snapshot_at).0 / interval + 1;
        self.snapshot_at += Span(looks * interval);
        self.sums.snapshots += looks.unsigned_abs();
        self.sums.snapshots_two_sided += if both { looks.unsigned_abs() } else { 0 };
        self.sums.injective += injective * looks as f64;
        for (sum, depth) in self.sums.depth_quote.iter_mut().zip(depth_quote) {
            *sum += depth * looks as f64;
        }
    }

    /// Presence until `now`; `maker_volume_quote` is for dYdX's points.
    #[must_use]
    pub fn view(&self, now: Ts, maker_volume_quote: f64) -> PresenceView {
        let mut own = self.clone();
        own.advance(now);
        let sums = &own.sums;
        let span = own.since.map_or(0, |since| own.at.since(since).0);
        let share = |part: i64| if span > 0 { part as f64 / span as f64 } else { 0.0 };
        let looks = sums.snapshots as f64;
        let mean = |sum: f64| if looks > 0.0 { sum / looks } else { 0.0 };
        PresenceView {
            two_sided: share(sums.two_sided),
            one_sided: share(span - sums.two_sided - sums.absent),
            absent: share(sums.absent),
            bid: share(sums.sides[0]),
            ask: share(sums.sides[1]),
            raw_two_sided: share(sums.raw_two_sided),
            spread_bps: (sums.two_sided > 0).then(|| sums.spread_bps_ns / sums.two_sided as f64),
            snapshots: sums.snapshots,
            snapshots_two_sided: (sums.snapshots > 0)
                .then(|| sums.snapshots_two_sided as f64 / looks),
            scores: Scores {
                bybit_2021: mean(sums.bybit),
                injective: sums.injective,
                dydx_points: dydx_points(
                    dydx_liquidity(sums.depth_quote.map(mean)),
                    maker_volume_quote,
                    true,
                ),
            },
        }
    }
}

impl State {
    fn of(params: &PresenceParams, shown: &Shown<'_>) -> State {
        let Some(mid) = shown.mid_half_ticks.filter(|mid| *mid > 0) else {
            return State::default();
        };
        let mid = mid as f64;
        let (tick, lot) = (shown.instrument.tick_f64(), shown.instrument.lot_f64());
        let as_f64 = |least: Money| rust_decimal::prelude::ToPrimitive::to_f64(&least);
        let least_base = match params.least {
            LeastShown::Base(base) => as_f64(base),
            LeastShown::Quote(quote) => as_f64(quote).map(|quote| quote / (mid * tick / 2.0)),
        };
        let away_bps = |side: Side, px: Px| side.sign() as f64 * (mid - 2.0 * px.0 as f64) / mid;
        let of = |side: Side| {
            let own = shown.orders.iter().filter(move |order| order.0 == side);
            own.map(move |(_, px, qty)| (away_bps(side, *px) * 1e4, qty.0 as f64 * lot))
        };
        let within = |side, bps: f64| of(side).filter(move |(away, _)| *away <= bps + ROUNDING_BPS);
        let base = |side, bps| within(side, bps).map(|(_, base)| base).sum::<f64>();
        let farthest = params.max_half_spread_bps;
        let least = least_base.unwrap_or(f64::INFINITY) * (1.0 - 1e-12);
        let nearest =
            |side| within(side, farthest).map(|(away, _)| away).fold(f64::INFINITY, f64::min);
        let depths = |side| -> Vec<[f64; 2]> {
            within(side, farthest).map(|(away, base)| [base, away * 1e-4]).collect()
        };
        let lesser = |bps| base(Side::Buy, bps).min(base(Side::Sell, bps));
        let sides = Side::BOTH.map(depths);
        State {
            any: Side::BOTH.map(|side| of(side).next().is_some()),
            present: Side::BOTH.map(|side| {
                let base = base(side, farthest);
                base > 0.0 && base >= least
            }),
            spread_bps: nearest(Side::Buy) + nearest(Side::Sell),
            injective: injective_snapshot([&sides[0], &sides[1]], farthest * 1e-4, 0.0),
            depth_quote: DYDX_BPS.map(|bps| lesser(bps) * mid * tick / 2.0),
        }
    }
}

fn bybit_of(shown: &Shown<'_>, market: [&[Level]; 2]) -> f64 {
    let rung = |index: usize| {
        let at = |side: Side| market[side.index()].get(index);
        let ours = |side: Side| {
            let own = shown
                .orders
                .iter()
                .filter(|(s, px, _)| *s == side && at(side).is_some_and(|level| level.px == *px));
            own.map(|(_, _, qty)| qty.0 as f64).sum::<f64>()
        };
        let total = |side| at(side).map_or(0.0, |level| level.qty.0 as f64);
        [ours(Side::Buy), ours(Side::Sell), (total(Side::Buy) + total(Side::Sell)) / 2.0]
    };
    let rungs: Vec<[f64; 3]> = (0..BYBIT_WEIGHTS.len()).map(rung).collect();
    bybit_2021(&rungs, &BYBIT_WEIGHTS)
}

/// Bybit's market maker score of May 2021: 100·Σ weight·min(bid, ask)/market over the book's
/// levels, each given as our bid, our ask and the market's quantity. A level of which the market
/// has nothing gives nothing.
#[must_use]
pub fn bybit_2021(levels: &[[f64; 3]], weights: &[f64]) -> f64 {
    let score = |([bid, ask, market], weight): (&[f64; 3], &f64)| {
        if *market > 0.0 { weight * bid.min(*ask) / market } else { 0.0 }
    };
    100.0 * levels.iter().zip(weights).map(score).sum::<f64>()
}

/// One snapshot of Injective's open liquidity programme: the lesser side's Σ depth/spread, over
/// orders of at least `min_depth` within `max_spread` of the mid (a ratio). Each side as `[depth,
/// spread]`; an order at the mid itself or beyond counts as a basis point of a basis point away.
#[must_use]
pub fn injective_snapshot(sides: [&[[f64; 2]]; 2], max_spread: f64, min_depth: f64) -> f64 {
    let score = |orders: &[[f64; 2]]| -> f64 {
        let counted = orders
            .iter()
            .filter(|[depth, spread]| *spread <= max_spread * (1.0 + 1e-12) && *depth >= min_depth);
        counted.map(|[depth, spread]| depth / spread.max(1e-8)).sum()
    };
    score(sides[0]).min(score(sides[1]))
}

/// dYdX's liquidity score: 16·L25 + 4·L50 + L100, from the depth in quote within 25, 50 and 100
/// basis points of the mid on the lesser side.
#[must_use]
pub fn dydx_liquidity(depth_quote: [f64; 3]) -> f64 {
    let [l25, l50, l100] = depth_quote;
    16.0 * l25 + 4.0 * l50 + l100
}

/// dYdX's maker points (Chaos Labs, re-launch of 2024): κ·V^0.7·L^0.3, κ = 1 in the five largest
/// markets and 2 in all others.
#[must_use]
pub fn dydx_points(liquidity: f64, maker_volume_quote: f64, top_five: bool) -> f64 {
    let kappa = if top_five { 1.0 } else { 2.0 };
    kappa * maker_volume_quote.max(0.0).powf(0.7) * liquidity.max(0.0).powf(0.3)
}
