//! Recorded markets, whole and damaged.

use super::*;

#[derive(Default)]
struct TinyBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl TinyBook {
    fn apply(&mut self, update: &BookUpdate) {
        if update.snapshot {
            *self = TinyBook::default();
        }
        for (side, levels) in [(&mut self.bids, &update.bids), (&mut self.asks, &update.asks)] {
            for level in levels {
                if level.qty.is_zero() {
                    side.remove(&level.px.0);
                } else {
                    side.insert(level.px.0, level.qty.0);
                }
            }
        }
    }

    fn crossed(&self) -> bool {
        match (self.bids.last_key_value(), self.asks.first_key_value()) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        }
    }
}

#[derive(Debug, Default)]
struct Replay {
    books: usize,
    crossed: usize,
    lost: usize,
    garbled: usize,
    trades: usize,
    tickers: usize,
}

/// Play a recording; its snapshot line answers the snapshot request.
fn replay(
    product: Product,
    symbol: &str,
    files: &[String],
    tick: &str,
    lot: &str,
    edit: impl Fn(usize, String) -> Option<String>,
) -> Option<Replay> {
    let mut lines = Vec::new();
    for file in files {
        let file = std::fs::File::open(shared(file)?).unwrap();
        let reader = BufReader::new(flate2::read::GzDecoder::new(file));
        lines.extend(reader.lines().map(Result::unwrap));
    }
    let mut rig = Rig::ready(product, &[symbol], tick, lot);
    let mut pending: Option<String> = None;
    let (mut done, mut book) = (Replay::default(), TinyBook::default());
    for (n, line) in lines.into_iter().enumerate() {
        let Some(line) = edit(n, line) else { continue };
        let (at, json) = line.split_once(' ').unwrap();
        let at = Ts(at.parse::<i64>().unwrap() + (T0.0 - 1_723_161_253_000_000_000));
        rig.wait(at.since(rig.now).max(Span::ZERO));
        let mut events = Vec::new();
        if json.starts_with("{\"lastUpdateId\"") {
            pending = Some(json.to_owned());
        } else {
            events = rig.text(LinkKind::Market, json);
        }
        let asked = rig.requests.iter().any(|r| r.label == depth_label(product));
        if let (true, Some(body)) = (asked, &pending) {
            let body = body.clone();
            events.extend(rig.answer(depth_label(product), 200, &body));
        }
        for event in &events {
            match event {
                Event::Book(update) => {
                    book.apply(update);
                    done.books += 1;
                    done.crossed += usize::from(book.crossed());
                }
                Event::BookLost { .. } => done.lost += 1,
                Event::Garbled { .. } => done.garbled += 1,
                Event::Trade(_) => done.trades += 1,
                Event::Ticker(_) => done.tickers += 1,
                _ => {}
            }
        }
    }
    Some(done)
}

/// Product, symbol, files, tick, lot.
type Recording = (Product, &'static str, &'static [&'static str], &'static str, &'static str);

#[test]
fn recorded_books_are_whole_and_never_crossed() {
    // The second day goes on without a snapshot of its own.
    let cases: [Recording; 4] = [
        (SPOT, "BTCUSDT", &["spot/btcusdt_20240808", "spot/btcusdt_20240809"], "0.01", "0.00001"),
        (SPOT, "ETHUSDT", &["spot/ethusdt_20240808", "spot/ethusdt_20240809"], "0.01", "0.0001"),
        (USDM, "BTCUSDT", &["usdm/btcusdt_20240808"], "0.10", "0.001"),
        (USDM, "ETHUSDT", &["usdm/ethusdt_20240808"], "0.01", "0.001"),
    ];
    for (product, symbol, files, tick, lot) in cases {
        let files: Vec<String> =
            files.iter().map(|file| format!("data/binance-2024-08-08/{file}.gz")).collect();
        let Some(done) = replay(product, symbol, &files, tick, lot, |_, line| Some(line)) else {
            return;
        };
        assert_eq!((done.crossed, done.lost, done.garbled), (0, 0, 0), "{files:?}: {done:?}");
        assert!(done.books > 6400 && done.trades > 5000 && done.tickers > 20_000, "{done:?}");
        if symbol != "BTCUSDT" {
            continue;
        }
        // The same with a few diffs missing in the middle is noticed.
        let drop = |n: usize, line: String| {
            (!(5000..5100).contains(&n) || !line.contains("depthUpdate")).then_some(line)
        };
        let broken = replay(product, symbol, &files, tick, lot, drop).unwrap();
        assert!(broken.lost > 0, "{files:?}: {broken:?}");
    }
}

#[test]
fn a_quiet_recording_that_begins_with_its_snapshot_is_whole() {
    let files = ["data/binance-nexousdt-2024-07/nexousdt_20240723.dat.gz".to_owned()];
    let micros = |_: usize, line: String| {
        let (at, json) = line.split_once(' ').unwrap();
        // Receive times in microseconds, moved to where `replay` expects them.
        let at = at.parse::<i64>().unwrap() * 1000 - 1_721_749_182_000_000_000;
        Some(format!("{} {json}", at + 1_723_161_253_000_000_000))
    };
    let Some(done) = replay(SPOT, "NEXOUSDT", &files, "0.001", "0.01", micros) else { return };
    assert_eq!((done.crossed, done.lost, done.garbled), (0, 0, 0), "{done:?}");
    assert!(done.books > 1100, "{done:?}");
}

/// Rows of one update become one frame; rows that share stream and ids belong together.
fn csv_frames(file: &str, usdm: bool) -> Option<Vec<String>> {
    let file = std::fs::File::open(shared(&format!("data/damaged-trx/{file}"))?).unwrap();
    let lines: Vec<String> = BufReader::new(flate2::read::GzDecoder::new(file))
        .lines()
        .skip(1)
        .map(Result::unwrap)
        .collect();
    let mut frames: Vec<(String, [Vec<Value>; 2])> = Vec::new();
    for line in &lines {
        let cells: Vec<&str> = line.split(',').collect();
        let (head, rest) = cells.split_at(if usdm { 9 } else { 7 });
        let at = if usdm { 5 } else { 4 };
        let mut text = format!(
            r#""e":"{}","E":{},"s":"{}","U":{},"u":{}"#,
            head[2],
            head[3],
            head[at],
            head[at + 1],
            head[at + 2]
        );
        if usdm {
            text += &format!(r#","T":{},"pu":{}"#, head[4], head[8]);
        }
        let side = usize::from(rest[0] != "0");
        if frames.last().is_none_or(|(last, _)| *last != text) {
            frames.push((text, [Vec::new(), Vec::new()]));
        }
        frames.last_mut().unwrap().1[side].push(json!([rest[1], rest[2]]));
    }
    let frame = |(head, [b, a]): &(String, [Vec<Value>; 2])| {
        format!("{{{head},\"b\":{},\"a\":{}}}", Value::from(b.clone()), Value::from(a.clone()))
    };
    Some(frames.iter().map(frame).collect())
}

fn run_csv(product: Product, frames: &[String]) -> (usize, usize) {
    let mut rig = Rig::ready(product, &["TRXUSDT"], "0.00001", "0.1");
    let (mut books, mut bad) = (0, 0);
    for (n, frame) in frames.iter().enumerate() {
        rig.wait(Span::from_ms(100));
        let mut events = rig.stream(LinkKind::Market, "trxusdt@depth@100ms", frame);
        if n == 0 && !rig.requests.is_empty() {
            // A made-up empty snapshot that the first diff joins.
            let wire: Value = serde_json::from_str(frame).unwrap();
            let last = wire["U"].as_u64().unwrap();
            let body = format!(r#"{{"lastUpdateId":{last},"bids":[],"asks":[]}}"#);
            events.extend(rig.answer(depth_label(product), 200, &body));
        }
        books += events.iter().filter(|e| kind(e) == "book").count();
        bad += events.iter().filter(|e| matches!(kind(e), "lost" | "garbled")).count();
    }
    (books, bad)
}

#[test]
fn damaged_recordings_are_noticed() {
    let file = "binance_difference_depth_stream_spot_trxusdt_04-03-2025.csv.gz";
    let Some(sound) = csv_frames(&format!("test_positive_{file}"), false) else { return };
    let (books, bad) = run_csv(SPOT, &sound);
    assert!(books >= sound.len() && bad == 0, "{books} of {}, {bad} bad", sound.len());
    let damaged = csv_frames(&format!("test_negative_{file}"), false).unwrap();
    let (books, bad) = run_csv(SPOT, &damaged);
    assert!(bad > 0 && books < sound.len(), "{books} {bad}");

    let file = "binance_difference_depth_stream_usd_m_futures_trxusdt_04-03-2025.csv.gz";
    let sound = csv_frames(&format!("test_positive_{file}"), true).unwrap();
    let (books, bad) = run_csv(USDM, &sound);
    assert!(books >= sound.len() && bad == 0, "{books} of {}, {bad} bad", sound.len());
    // A changed `u`, as in the damaged USD-M day: the next `pu` does not fit it.
    let mut damaged = sound.clone();
    let u = |frame: &str| serde_json::from_str::<Value>(frame).unwrap()["u"].as_u64().unwrap();
    let (was, at) = (u(&sound[40]), 40);
    damaged[at] = sound[at].replace(&format!("\"u\":{was}"), &format!("\"u\":{}", was + 1));
    assert_eq!(run_csv(USDM, &damaged).1, 1);
}
