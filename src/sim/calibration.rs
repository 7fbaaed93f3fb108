//! Measures a synthetic market with the same statistics as the recordings.
//!
//! Six hours of seed 1, `cargo test --lib sim::calibration -- --ignored --nocapture`:
//!
//! | statistic | synthetic | recorded |
//! |---|---|---|
//! | spot volatility 0.5 / 1 / 10 s, bps/√s | 1.29 / 1.26 / 1.20 | 1.25 |
//! | spot touch markout 1 s, bps | −0.37 | −0.38 |
//! | – with the thin / even / thick side hit | −0.57 / −0.24 / 0.02 | −0.89 / −0.30 / 0.40 |
//! | spot return 1 s on imbalance, bps, correlation | 0.53, 0.27 | 0.51, 0.31 |
//! | spot imbalance deviation, correlation 1 s later | 0.65, 0.34 | 0.70, 0.42 |
//! | spot depth within 1 / 5 / 20 bps, BTC | 4.4 / 19.3 / 96 | 4.8 / 23 / 86 |
//! | perp volatility 0.5 / 1 / 10 s, bps/√s | 1.28 / 1.25 / 1.20 | 1.25 |
//! | perp touch markout 1 s, bps | −0.24 | −0.23 |
//! | – with the thin / even / thick side hit | −0.43 / −0.18 / 0.07 | −0.48 / −0.20 / 0.10 |
//! | perp return 1 s on imbalance, bps, correlation | 0.40, 0.21 | 0.42, 0.20 |
//! | perp imbalance deviation, correlation 1 s later | 0.66, 0.27 | 0.61, 0.27 |
//! | perp depth within 1 / 5 / 20 bps, BTC | 13.2 / 94 / 514 | 9.7 / 107 / 503 |
//! | spot–perp correlation 1 s | 0.86 | 0.91 |
//! | spot on perp beta 50 ms / 1 s / 10 s | 0.32 / 0.87 / 0.98 | 0.41 / 0.81 / 0.92 |
//! | spot return 1 s on perp imbalance, bps | 0.40 | 0.33 |
//! | perp return 1 s on spot imbalance, bps | 0.43 | 0.11 |
//! | basis mean / deviation, bps | −3.71 / 0.55 | −3.68 / 0.57 |
//! | levels a side, spot / perp | 117 / 119 | – |
//! | events a second, spot / perp | 235 / 236 | – |
//! | fills a minute of 0.005 BTC at 1.5 / 2.5 / 4 bps | 30 / 17 / 8 | – |
//!
//! Imbalance is that of the touch, −1 to 1, at samples of 50 ms here and there; the recorded
//! figures on it are of eleven minutes (spot) and six (perpetual), a correlation of those is known
//! to ±0.1.
//!
//! Not matched: spot takers of the recording go by imbalance more, spot imbalance says more of the
//! perpetual than recorded, real trades come in bursts, and sweeps are more frequent
//! than recorded on purpose, so results of a bot in this market say nothing about its profit in a
//! real one.

use std::fmt;
use std::sync::Arc;

use crate::domain::{InstrumentKind, Px, Qty, Side, Span, Ts};

use super::Exchange;
use super::api::{
    AccountId, Command, ExchangeParams, Execution, Happening, MarketId, Place, SelfTrade, Terms,
    TimeInForce,
};
use super::toy;

/// Sampling interval.
const GRID: Span = Span::from_ms(50);
/// How often the probe looks at its quotes, in samples.
const PROBE_EVERY: usize = 4;

/// One statistic against what the recording of 2024-08-08 shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was measured, with its unit.
    pub name: String,
    /// On the synthetic market.
    pub measured: f64,
    /// On the recording; `None` where there is nothing to match.
    pub target: Option<f64>,
}

/// All statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Table(pub Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| statistic | synthetic | recorded |\n|---|---|---|")?;
        for row in &self.0 {
            let target = row.target.map_or("–".to_owned(), |t| format!("{t:.2}"));
            writeln!(f, "| {} | {:.2} | {target} |", row.name, row.measured)?;
        }
        Ok(())
    }
}

impl Table {
    /// A statistic by its name; NaN when there is none of that name.
    #[must_use]
    pub fn measured(&self, name: &str) -> f64 {
        self.0.iter().find(|r| r.name == name).map_or(f64::NAN, |r| r.measured)
    }
}

/// What was seen of one market.
#[derive(Debug, Default)]
struct Seen {
    mids: Vec<f64>,
    /// Imbalance of the touch at the same instants, −1 to 1.
    imbalances: Vec<f64>,
    /// Sample index, price, maker's side: the first print of each taker.
    trades: Vec<(usize, f64, Side)>,
    last_taker: u64,
    depth: [f64; 3],
    levels: f64,
    samples: f64,
    events: f64,
}

/// BTC spot and perpetual as the demo has them; account 0 probes with quotes at `probe_bps` from
/// the spot mid.
#[must_use]
pub fn market(seed: u64, now: Ts) -> Exchange {
    let markets =
        vec![toy::market(InstrumentKind::Spot), toy::market(InstrumentKind::LinearPerpetual)];
    let accounts = vec![toy::account(100_000_000, 100_000_000, 0)];
    Exchange::new(ExchangeParams { seed, markets, accounts, history: 1_000 }, now)
}

/// Runs the market for a span and measures it, with a probe that quotes at 1.5, 2.5 or 4 bps from
/// the mid in turn, a third of the time each.
#[must_use]
pub fn measure(seed: u64, span: Span) -> Table {
    let start = Ts(1_700_000_000_000_000_000);
    let mut exchange = market(seed, start);
    let mut seen = [Seen::default(), Seen::default()];
    let mut fills = [0_u32; 3];
    let mut probe = Probe::default();
    let mut news = Vec::new();
    let count = usize::try_from(span.0 / GRID.0).unwrap_or(0);
    for sample in 0..count {
        news.clear();
        let now = start + Span(GRID.0 * (sample as i64 + 1));
        exchange.advance(now, &mut news);
        let third = (sample * 3 / count).min(2);
        for (index, seen) in seen.iter_mut().enumerate() {
            seen.take(&exchange, MarketId(index as u16), sample, &news);
        }
        fills[third] += probe_fills(&news);
        if sample.is_multiple_of(PROBE_EVERY) {
            probe.quote(&mut exchange, now, [1.5, 2.5, 4.0][third]);
        }
    }
    table(&seen, fills, span.seconds())
}

fn probe_fills(news: &[Happening]) -> u32 {
    let fill = |h: &&Happening| matches!(h, Happening::Order { execution: Execution::Trade(t), .. } if t.maker);
    news.iter().filter(fill).count() as u32
}

/// An account that quotes 0.005 BTC on both sides and follows the mid.
#[derive(Debug, Default)]
struct Probe {
    mid: f64,
    count: u64,
}

impl Probe {
    fn quote(&mut self, exchange: &mut Exchange, now: Ts, bps: f64) {
        let (account, market) = (AccountId(0), MarketId(0));
        let Some(mid) = mid(exchange, market) else { return };
        let open = exchange.open_orders(account, market).len();
        if open == 2 && (mid / self.mid - 1.0).abs() < 0.3e-4 {
            return;
        }
        self.mid = mid;
        let mut news = Vec::new();
        let all = Command::CancelAll { market };
        exchange.submit(now, account, &all, &mut news).expect("cancel all is never refused");
        for side in Side::BOTH {
            self.count += 1;
            let price = mid * (1.0 - side.sign() as f64 * bps * 1e-4);
            let place = Place {
                market,
                client_id: Arc::from(self.count.to_string()),
                side,
                terms: Terms::Limit {
                    px: Px((price * 100.0) as i64),
                    qty: Qty(500),
                    tif: TimeInForce::PostOnly,
                },
                reduce_only: false,
                self_trade: SelfTrade::ExpireMaker,
            };
            // A quote that would take is left out until the next look.
            drop(exchange.submit(now, account, &Command::Place(place), &mut news));
        }
    }
}

fn mid(exchange: &Exchange, market: MarketId) -> Option<f64> {
    let ticker = exchange.book_ticker(market)?;
    let tick = exchange.instrument(market)?.tick_f64();
    Some((ticker.bid?.px.0 + ticker.ask?.px.0) as f64 / 2.0 * tick)
}

fn imbalance(exchange: &Exchange, market: MarketId) -> Option<f64> {
    let ticker = exchange.book_ticker(market)?;
    let [bid, ask] = [ticker.bid?.qty.0, ticker.ask?.qty.0].map(|qty| qty as f64);
    Some((bid - ask) / (bid + ask))
}

impl Seen {
    fn take(&mut self, exchange: &Exchange, market: MarketId, sample: usize, news: &[Happening]) {
        let Some(instrument) = exchange.instrument(market) else { return };
        let last = self.mids.last().copied();
        for happening in news {
            match happening {
                Happening::Trade(trade) if trade.market == market => {
                    self.events += 1.0;
                    let maker = if trade.buyer_is_maker { Side::Buy } else { Side::Sell };
                    let price = instrument.price_f64(trade.px);
                    if trade.taker_order_id != self.last_taker {
                        self.trades.push((sample, price, maker));
                    }
                    self.last_taker = trade.taker_order_id;
                }
                Happening::Depth { market: of, .. } if *of == market => self.events += 1.0,
                _ => {}
            }
        }
        self.mids.push(mid(exchange, market).or(last).unwrap_or(f64::NAN));
        self.imbalances.push(imbalance(exchange, market).unwrap_or(0.0));
        if sample.is_multiple_of(20) {
            self.take_depth(exchange, market);
        }
    }

    fn take_depth(&mut self, exchange: &Exchange, market: MarketId) {
        let (Some(depth), Some(instrument), Some(mid)) =
            (exchange.depth(market, 1_000), exchange.instrument(market), mid(exchange, market))
        else {
            return;
        };
        self.samples += 1.0;
        self.levels += depth.bids.len() as f64;
        for (sum, bps) in self.depth.iter_mut().zip([1.0, 5.0, 20.0]) {
            let near = depth
                .bids
                .iter()
                .filter(|l| instrument.price_f64(l.px) >= mid * (1.0 - bps * 1e-4));
            *sum += near.map(|l| instrument.quantity_f64(l.qty)).sum::<f64>();
        }
    }

    /// Returns in bps over that many samples, without overlap.
    fn returns(&self, step: usize) -> Vec<f64> {
        let picked: Vec<f64> = self.mids.iter().copied().skip(20).step_by(step).collect();
        picked.windows(2).map(|w| (w[1] / w[0] - 1.0) * 1e4).collect()
    }

    fn volatility(&self, step: usize) -> f64 {
        let returns = self.returns(step);
        let mean_square = returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64;
        (mean_square / (step as f64 * GRID.seconds())).sqrt()
    }

    /// Mean gain of makers at the touch after so many samples, over trades with such an imbalance
    /// against the maker just before.
    fn markout(&self, step: usize, against: impl Fn(f64) -> bool) -> f64 {
        let gains = self.trades.iter().filter_map(|(sample, price, maker)| {
            let later = self.mids.get(sample + step)?;
            let before = self.imbalances.get(sample.checked_sub(1)?)? * -maker.sign() as f64;
            against(before).then_some((later / price - 1.0) * 1e4 * maker.sign() as f64)
        });
        let (sum, count) = gains.fold((0.0, 0.0), |(s, n), g| (s + g, n + 1.0));
        sum / count
    }

    /// Correlation of the imbalance with a market's return over the steps that follow, and the
    /// slope, in bps per unit.
    fn foretells(&self, of: &Seen, step: usize) -> (f64, f64) {
        let mut picked = self.imbalances_every(step);
        picked.pop();
        correlation(&picked, &of.returns(step))
    }

    /// Standard deviation of the imbalance, and its correlation with itself so many samples later.
    fn imbalance(&self, step: usize) -> (f64, f64) {
        let picked = self.imbalances_every(step);
        let square = picked.iter().map(|i| i * i).sum::<f64>() / picked.len() as f64;
        let (memory, _) = correlation(&picked[..picked.len() - 1], &picked[1..]);
        (square.sqrt(), memory)
    }

    fn imbalances_every(&self, step: usize) -> Vec<f64> {
        self.imbalances.iter().copied().skip(20).step_by(step).collect()
    }
}

/// What the recording of one market shows.
struct Recorded {
    name: &'static str,
    markout: f64,
    /// With the imbalance against the maker above 0.6, within, and below −0.6.
    markouts: [f64; 3],
    depth: [f64; 3],
    /// Slope and correlation of the next second's return on imbalance.
    foretold: (f64, f64),
    /// Standard deviation of imbalance, and its correlation with itself a second later.
    imbalance: (f64, f64),
}

const RECORDED: [Recorded; 2] = [
    Recorded {
        name: "spot",
        markout: -0.38,
        markouts: [-0.89, -0.30, 0.40],
        depth: [4.8, 23.0, 86.0],
        foretold: (0.51, 0.31),
        imbalance: (0.70, 0.42),
    },
    Recorded {
        name: "perp",
        markout: -0.23,
        markouts: [-0.48, -0.20, 0.10],
        depth: [9.7, 107.0, 503.0],
        foretold: (0.42, 0.20),
        imbalance: (0.61, 0.27),
    },
];

type Rows<'a> = dyn FnMut(String, f64, Option<f64>) + 'a;

fn table(seen: &[Seen; 2], fills: [u32; 3], seconds: f64) -> Table {
    let mut rows = Vec::new();
    let mut row = |name: String, measured: f64, target: Option<f64>| {
        rows.push(Row { name, measured, target });
    };
    for (seen, recorded) in seen.iter().zip(&RECORDED) {
        market_rows(seen, recorded, seconds, &mut row);
    }
    joint_rows(seen, &mut row);
    for (bps, fills) in [1.5, 2.5, 4.0].into_iter().zip(fills) {
        let per_minute = f64::from(fills) / (seconds / 3.0) * 60.0;
        row(format!("fills a minute, 0.005 BTC quoted {bps} bps from the mid"), per_minute, None);
    }
    Table(rows)
}

fn market_rows(seen: &Seen, recorded: &Recorded, seconds: f64, row: &mut Rows<'_>) {
    let name = recorded.name;
    for (label, step) in [("0.5 s", 10), ("1 s", 20), ("10 s", 200)] {
        row(format!("{name} volatility {label}, bps/√s"), seen.volatility(step), Some(1.25));
    }
    let markout = seen.markout(20, |_| true);
    row(format!("{name} touch markout 1 s, bps"), markout, Some(recorded.markout));
    let thin = seen.markout(20, |against| against > 0.6);
    let even = seen.markout(20, |against| against.abs() <= 0.6);
    let thick = seen.markout(20, |against| against < -0.6);
    for ((side, measured), target) in
        [("thin", thin), ("even", even), ("thick", thick)].into_iter().zip(recorded.markouts)
    {
        row(format!("{name} touch markout 1 s, {side} side hit, bps"), measured, Some(target));
    }
    let (correlation, slope) = seen.foretells(seen, 20);
    row(format!("{name} return 1 s on imbalance, bps"), slope, Some(recorded.foretold.0));
    row(
        format!("{name} return 1 s, imbalance correlation"),
        correlation,
        Some(recorded.foretold.1),
    );
    let (deviation, memory) = seen.imbalance(20);
    row(format!("{name} imbalance deviation"), deviation, Some(recorded.imbalance.0));
    row(format!("{name} imbalance correlation 1 s later"), memory, Some(recorded.imbalance.1));
    for (i, bps) in [1, 5, 20].into_iter().enumerate() {
        let held = seen.depth[i] / seen.samples;
        row(format!("{name} depth within {bps} bps, BTC"), held, Some(recorded.depth[i]));
    }
    row(format!("{name} levels a side"), seen.levels / seen.samples, None);
    row(format!("{name} events a second"), seen.events / seconds, None);
}

fn joint_rows([spot, perp]: &[Seen; 2], row: &mut Rows<'_>) {
    let (corr, _) = correlation(&perp.returns(20), &spot.returns(20));
    row("spot–perp correlation 1 s".into(), corr, Some(0.91));
    for (label, step, target) in [("50 ms", 1, 0.41), ("1 s", 20, 0.81), ("10 s", 200, 0.92)] {
        let (_, beta) = correlation(&perp.returns(step), &spot.returns(step));
        row(format!("spot on perp beta {label}"), beta, Some(target));
    }
    let (_, slope) = perp.foretells(spot, 20);
    row("spot return 1 s on perp imbalance, bps".into(), slope, Some(0.33));
    let (_, slope) = spot.foretells(perp, 20);
    row("perp return 1 s on spot imbalance, bps".into(), slope, Some(0.11));
    let basis: Vec<f64> =
        perp.mids.iter().zip(&spot.mids).skip(20).map(|(p, s)| (p / s - 1.0) * 1e4).collect();
    let mean = basis.iter().sum::<f64>() / basis.len() as f64;
    let square = basis.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / basis.len() as f64;
    row("basis, bps".into(), mean, Some(-3.68));
    row("basis deviation, bps".into(), square.sqrt(), Some(0.57));
}

/// Correlation, and slope of `y` on `x`.
fn correlation(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len().min(y.len()) as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
    let (mx, my) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        xx += (a - mx).powi(2);
        yy += (b - my).powi(2);
        xy += (a - mx) * (b - my);
    }
    (xy / (xx * yy).sqrt(), xy / xx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "prints the calibration table over hours of market time"]
    fn print_the_table() {
        println!("{}", measure(1, Span::from_s(6 * 3600)));
    }

    #[test]
    fn ten_minutes_of_market_are_alive_and_sane() {
        let table = measure(7, Span::from_s(600));
        for market in ["spot", "perp"] {
            let volatility = table.measured(&format!("{market} volatility 1 s, bps/√s"));
            assert!((0.8..1.9).contains(&volatility), "{table}");
            assert!(table.measured(&format!("{market} touch markout 1 s, bps")) < -0.05, "{table}");
            let foretold = table.measured(&format!("{market} return 1 s on imbalance, bps"));
            assert!((0.15..0.9).contains(&foretold), "{table}");
            assert!(table.measured(&format!("{market} levels a side")) > 100.0, "{table}");
            assert!(table.measured(&format!("{market} events a second")) < 300.0, "{table}");
        }
        let fills = table.measured("fills a minute, 0.005 BTC quoted 1.5 bps from the mid");
        assert!(fills > 10.0, "{table}");
    }

    #[test]
    fn the_same_seed_is_the_same_market() {
        let run = || {
            let mut exchange = market(3, Ts(1_000_000_000));
            let mut news = Vec::new();
            exchange.advance(Ts(11_000_000_000), &mut news);
            news
        };
        let news = run();
        assert!(news.len() > 500);
        assert_eq!(news, run());
    }
}
