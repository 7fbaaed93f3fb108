//! Measures a synthetic market with the same statistics as the recordings.
//!
//! Six hours of seed 1, `cargo test --lib sim::calibration -- --ignored --nocapture`:
//!
//! | statistic | synthetic | recorded |
//! |---|---|---|
//! | spot volatility 0.5 / 1 / 10 s, bps/√s | 1.26 / 1.23 / 1.24 | 1.25 |
//! | spot touch markout 1 s, bps | −0.27 | −0.38 |
//! | spot depth within 1 / 5 / 20 bps, BTC | 4.4 / 19.0 / 95 | 4.8 / 23 / 86 |
//! | perp volatility 0.5 / 1 / 10 s, bps/√s | 1.25 / 1.23 / 1.24 | 1.25 |
//! | perp touch markout 1 s, bps | −0.23 | −0.23 |
//! | perp depth within 1 / 5 / 20 bps, BTC | 13.4 / 96 / 521 | 9.7 / 107 / 503 |
//! | spot–perp correlation 1 s | 0.88 | 0.91 |
//! | spot on perp beta 50 ms / 10 s | 0.31 / 0.99 | 0.41 / 0.92 |
//! | basis mean / deviation, bps | −3.74 / 0.55 | −3.68 / 0.57 |
//! | levels a side, spot / perp | 116 / 119 | – |
//! | events a second, spot / perp | 209 / 237 | – |
//! | fills a minute of 0.005 BTC at 1.5 / 2.5 / 4 bps | 30 / 18 / 8 | – |
//!
//! Not matched: spot adverse selection is milder than recorded, real trades come in bursts, and
//! sweeps are more frequent than recorded on purpose, so results of a bot in this market say
//! nothing about its profit in a real one.

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

    fn markout(&self, step: usize) -> f64 {
        let gains = self.trades.iter().filter_map(|(sample, price, maker)| {
            let later = self.mids.get(sample + step)?;
            Some((later / price - 1.0) * 1e4 * maker.sign() as f64)
        });
        let (sum, count) = gains.fold((0.0, 0.0), |(s, n), g| (s + g, n + 1.0));
        sum / count
    }
}

fn table(seen: &[Seen; 2], fills: [u32; 3], seconds: f64) -> Table {
    let mut rows = Vec::new();
    let mut row = |name: String, measured: f64, target: Option<f64>| {
        rows.push(Row { name, measured, target });
    };
    let targets = [("spot", -0.38, [4.8, 23.0, 86.0]), ("perp", -0.23, [9.7, 107.0, 503.0])];
    for (seen, (name, markout, depth)) in seen.iter().zip(targets) {
        for (label, step) in [("0.5 s", 10), ("1 s", 20), ("10 s", 200)] {
            row(format!("{name} volatility {label}, bps/√s"), seen.volatility(step), Some(1.25));
        }
        row(format!("{name} touch markout 1 s, bps"), seen.markout(20), Some(markout));
        for (i, bps) in [1, 5, 20].into_iter().enumerate() {
            let held = seen.depth[i] / seen.samples;
            row(format!("{name} depth within {bps} bps, BTC"), held, Some(depth[i]));
        }
        row(format!("{name} levels a side"), seen.levels / seen.samples, None);
        row(format!("{name} events a second"), seen.events / seconds, None);
    }
    let (corr, _) = correlation(&seen[1].returns(20), &seen[0].returns(20));
    row("spot–perp correlation 1 s".into(), corr, Some(0.91));
    let (_, beta) = correlation(&seen[1].returns(1), &seen[0].returns(1));
    row("spot on perp beta 50 ms".into(), beta, Some(0.41));
    let (_, beta) = correlation(&seen[1].returns(200), &seen[0].returns(200));
    row("spot on perp beta 10 s".into(), beta, Some(0.92));
    let basis: Vec<f64> =
        seen[1].mids.iter().zip(&seen[0].mids).skip(20).map(|(p, s)| (p / s - 1.0) * 1e4).collect();
    let mean = basis.iter().sum::<f64>() / basis.len() as f64;
    let square = basis.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / basis.len() as f64;
    row("basis, bps".into(), mean, Some(-3.68));
    row("basis deviation, bps".into(), square.sqrt(), Some(0.57));
    for (bps, fills) in [1.5, 2.5, 4.0].into_iter().zip(fills) {
        let per_minute = f64::from(fills) / (seconds / 3.0) * 60.0;
        row(format!("fills a minute, 0.005 BTC quoted {bps} bps from the mid"), per_minute, None);
    }
    Table(rows)
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
