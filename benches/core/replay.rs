//! Recorded frames of BTC and ETH on spot and USD-M, decoded, through an engine that quotes the
//! first two and hedges on the others. Quotes fill where the market traded through them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use super::quoting::{Core, params};
use evenkeel::domain::*;
use evenkeel::engine::{FairFrom, InstrumentParams};
use evenkeel::sim::tape::known_instrument;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// Frames kept of each recording.
const FRAMES: usize = 60_000;

const FILES: [(InstrumentKind, &str, &str); 4] = [
    (InstrumentKind::Spot, "BTCUSDT", "spot/btcusdt_20240808.gz"),
    (InstrumentKind::Spot, "ETHUSDT", "spot/ethusdt_20240808.gz"),
    (InstrumentKind::LinearPerpetual, "BTCUSDT", "usdm/btcusdt_20240808.gz"),
    (InstrumentKind::LinearPerpetual, "ETHUSDT", "usdm/ethusdt_20240808.gz"),
];

/// A market that is played again and again.
pub struct Replay {
    core: Core,
    listed: Vec<Instrument>,
    frames: Vec<(Ts, Event)>,
    at: usize,
    resting: BTreeMap<OrderId, NewOrder>,
    placed: u64,
    filled: u64,
}

impl Replay {
    /// `None` where the recordings are not.
    pub fn open() -> Option<Replay> {
        let mut listed = Vec::new();
        let mut frames = Vec::new();
        for (index, (kind, symbol, file)) in (0..).zip(FILES) {
            let venue = VenueId(u8::from(kind == InstrumentKind::LinearPerpetual));
            let known = known_instrument(kind, symbol).unwrap();
            let own = Instrument { id: InstrumentId(index), venue, ..known };
            let lines = lines(file)?;
            let mut snapshot = None;
            frames.extend(lines.filter_map(|line| decode(&own, &line, &mut snapshot)).take(FRAMES));
            listed.push(own);
        }
        frames.sort_by_key(|(at, _)| *at);
        let core = engine(&listed, &frames);
        let resting = BTreeMap::new();
        Some(Replay { core, listed, frames, at: 0, resting, placed: 0, filled: 0 })
    }

    /// What kind of frame the next is (0 depth, 1 ticker, 2 trade), and how long its step takes.
    pub fn next(&mut self) -> (usize, Duration) {
        if self.at == self.frames.len() {
            self.core = engine(&self.listed, &self.frames);
            (self.at, self.resting) = (0, BTreeMap::new());
        }
        let (at, event) = &self.frames[self.at];
        self.at += 1;
        let kind = match event {
            Event::Book(_) => 0,
            Event::Ticker(_) => 1,
            _ => 2,
        };
        let now = (*at).max(self.core.now + Span(1));
        let took = self.core.step_at(now, std::slice::from_ref(event));
        let trade = if let Event::Trade(trade) = event { Some(*trade) } else { None };
        self.carry_out();
        if let Some(trade) = trade {
            self.trade_through(&trade);
        }
        (kind, took)
    }

    /// Answers call for more now and then, until all is as the engine wants it.
    fn carry_out(&mut self) {
        while !self.core.actions.is_empty() {
            self.note_orders();
            self.core.settle();
        }
    }

    fn note_orders(&mut self) {
        for action in &self.core.actions {
            match action {
                Action::Place(new) if new.kind == OrderKind::PostOnly => {
                    self.placed += 1;
                    self.resting.insert(new.id, new.clone());
                }
                Action::Amend(new) => {
                    if let Some(order) = self.resting.get_mut(&new.id) {
                        (order.px, order.qty) = (new.px, new.qty);
                    }
                }
                Action::Cancel { id, .. } => drop(self.resting.remove(id)),
                _ => {}
            }
        }
    }

    fn trade_through(&mut self, trade: &Trade) {
        let hit = |order: &NewOrder| {
            order.instrument == trade.instrument
                && order.side.sign() * (order.px.0 - trade.px.0) > 0
        };
        let hits: Vec<NewOrder> = self.resting.values().filter(|own| hit(own)).cloned().collect();
        for order in hits {
            self.filled += 1;
            self.resting.remove(&order.id);
            let news = self.core.fill(&order);
            self.core.step(&news);
            self.carry_out();
        }
    }

    /// That something was at stake.
    pub fn told(&self) -> String {
        let (frames, state) = (self.frames.len(), self.core.engine.state());
        assert!(self.placed > 0, "nothing was quoted");
        format!("{frames} frames; {} quotes, {} filled; {state:?}", self.placed, self.filled)
    }
}

fn engine(listed: &[Instrument], frames: &[(Ts, Event)]) -> Core {
    let mut params = params();
    let (quote, hedge) = (params.instruments[0].clone(), params.instruments[1].clone());
    let own = |listed: &Instrument| {
        let base = if listed.kind == InstrumentKind::Spot { &quote } else { &hedge };
        InstrumentParams { symbol: listed.symbol.clone(), ..base.clone() }
    };
    params.instruments = listed.iter().map(own).collect();
    params.fair.from = FairFrom::Fused;
    params.risk.loss_limit_quote_session = Money::from(1_000_000);
    params.risk.max_fills_per_minute_side = 1_000_000;
    let mid = |own: &Instrument| {
        let first = frames.iter().find_map(|(_, event)| match event {
            Event::Ticker(ticker) if ticker.instrument == own.id => Some(ticker.bid.px.0 + 1),
            _ => None,
        });
        (own.clone(), first.expect("every recording has tickers"), 100_000)
    };
    let start = frames[0].0 - Span::from_s(1);
    Core::open(params, listed.iter().map(mid).collect(), start)
}

fn lines(file: &str) -> Option<impl Iterator<Item = String>> {
    let root = std::env::var_os("EVENKEEL_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    match std::fs::File::open(root.join("data/binance-2024-08-08").join(file)) {
        Ok(file) => Some(BufReader::new(MultiGzDecoder::new(file)).lines().map_while(Result::ok)),
        Err(_) => {
            println!("skipped: no recording {file} (set EVENKEEL_SHARED)");
            None
        }
    }
}

/// One line of a recording. Diffs before the snapshot and parts of it are left out.
fn decode(own: &Instrument, line: &str, snapshot: &mut Option<u64>) -> Option<(Ts, Event)> {
    let (at, json) = line.split_once(' ')?;
    let at = Ts(at.parse().ok()?);
    let json: Value = serde_json::from_str(json).ok()?;
    let instrument = own.id;
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let px = |value: &Value| Px((number(value) / own.tick_f64()).round() as i64);
    let qty = |value: &Value| Qty((number(value) / own.lot_f64()).round() as i64);
    let levels = |side: &Value| -> Vec<Level> {
        let rows = side.as_array().unwrap().iter();
        rows.map(|row| Level { px: px(&row[0]), qty: qty(&row[1]) }).collect()
    };
    if let Some(id) = json["lastUpdateId"].as_u64() {
        *snapshot = Some(id);
        let (bids, asks) = (levels(&json["bids"]), levels(&json["asks"]));
        return Some((at, Event::Book(BookUpdate { instrument, snapshot: true, bids, asks, at })));
    }
    let (stream, data) = (json["stream"].as_str()?, &json["data"]);
    let event = if stream.contains("@depth") {
        snapshot.filter(|id| data["u"].as_u64().is_some_and(|last| last > *id))?;
        let (bids, asks) = (levels(&data["b"]), levels(&data["a"]));
        Event::Book(BookUpdate { instrument, snapshot: false, bids, asks, at })
    } else if stream.contains("@bookTicker") {
        let level = |p: &str, q: &str| Level { px: px(&data[p]), qty: qty(&data[q]) };
        Event::Ticker(Ticker { instrument, bid: level("b", "B"), ask: level("a", "A"), at })
    } else {
        let aggressor = if data["m"].as_bool()? { Side::Sell } else { Side::Buy };
        let (px, qty, trade_id) = (px(&data["p"]), qty(&data["q"]), data["t"].as_u64()?);
        Event::Trade(Trade { instrument, px, qty, aggressor, trade_id, at })
    };
    Some((at, event))
}
