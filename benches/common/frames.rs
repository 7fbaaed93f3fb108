//! Market messages of Binance Spot, recorded or synthetic, with ids that never repeat.

#![allow(dead_code, reason = "each bench uses its part")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use evenkeel::domain::{BookUpdate, InstrumentId, Level, Px, Qty, Ts};
use flate2::read::MultiGzDecoder;

/// Frames to measure on.
const COUNT: usize = 20_000;
/// The id of the snapshot.
const FIRST: u64 = 1_000;
/// Levels on a side of the snapshot, half a dollar apart, in ticks.
const LEVELS: i64 = 1_000;
const MID: i64 = 6_178_000;

/// A night's beginning, the first `count` of its messages that `wanted` picks.
fn recorded(count: usize, wanted: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let root = std::env::var_os("EVENKEEL_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    let path = root.join("data/binance-2024-08-08/spot/btcusdt_20240808.gz");
    let Ok(file) = std::fs::File::open(path) else {
        println!("no recording there (set EVENKEEL_SHARED): synthetic frames");
        return None;
    };
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines().map_while(Result::ok);
    let frames = lines.filter_map(|line| Some(line.split_once(' ')?.1.to_owned()));
    Some(frames.filter(|frame| wanted(frame)).take(count).collect())
}

/// Ten changed levels, most of them near the touch.
fn synthetic(index: usize) -> String {
    let level = |sign: i64| {
        let draw = |n: usize| ((index * 7919 + n * 104_729) % 30) as i64;
        let rows = (0..5).map(move |n| {
            let ticks = MID + sign * (50 + draw(n) * draw(n + 7) * 10);
            let (whole, cents) = (ticks / 100, ticks % 100);
            format!(r#"["{whole}.{cents:02}000000","{}.50000000"]"#, draw(n) % 4)
        });
        rows.collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":1,"u":2,"b":[{}],"a":[{}]}}}}"#,
        level(-1),
        level(1)
    )
}

/// Frames that follow the snapshot without a gap.
pub fn depth_frames() -> Vec<String> {
    let depth = |frame: &str| frame.contains("\"depthUpdate\"");
    let recorded = recorded(COUNT, depth).unwrap_or_else(|| (0..1000).map(synthetic).collect());
    let renumbered = |(index, frame): (usize, &String)| {
        let (head, rest) = frame.split_once("\"U\":").unwrap();
        let (_, tail) = rest.split_once("\"b\":").unwrap();
        let id = FIRST + 1 + index as u64;
        format!("{head}\"U\":{id},\"u\":{id},\"b\":{tail}")
    };
    recorded.iter().cycle().take(COUNT).enumerate().map(renumbered).collect()
}

/// Everything that a spot market stream says (depth, best prices, trades, as they came), in an
/// order of ids that follows [`far_snapshot`].
pub fn market_messages() -> Vec<String> {
    let all = recorded(usize::MAX, |_| true);
    let all = all.unwrap_or_else(|| (0..COUNT).map(synthetic).collect());
    let mut last = FIRST;
    let mut id = FIRST;
    let renumbered = |frame: &String| {
        if let Some((head, rest)) = frame.split_once("\"U\":") {
            let (_, tail) = rest.split_once("\"b\":").unwrap();
            id += 1;
            let first = std::mem::replace(&mut last, id) + 1;
            return format!("{head}\"U\":{first},\"u\":{id},\"b\":{tail}");
        }
        if let Some((head, rest)) = frame.split_once("{\"u\":") {
            let (_, tail) = rest.split_once(',').unwrap();
            id += 1;
            return format!("{head}{{\"u\":{id},{tail}");
        }
        frame.clone()
    };
    all.iter().map(renumbered).collect()
}

/// A book whose levels begin behind everything that the recorded market passed through.
pub fn far_snapshot() -> String {
    levels(|sign| MID + sign * 15_000)
}

/// The snapshot, as the venue answers.
pub fn snapshot() -> String {
    levels(|sign| MID + sign)
}

/// Levels on both sides, from the first on outwards.
fn levels(first: impl Fn(i64) -> i64) -> String {
    let side = |sign: i64| {
        let first = first(sign);
        let rows = (0..LEVELS).map(move |n| {
            let ticks = first + sign * n * 50;
            format!(r#"["{}.{:02}","1.5"]"#, ticks / 100, ticks % 100)
        });
        rows.collect::<Vec<_>>().join(",")
    };
    format!(r#"{{"lastUpdateId":{FIRST},"bids":[{}],"asks":[{}]}}"#, side(-1), side(1))
}

/// The same, decoded.
pub fn snapshot_update() -> BookUpdate {
    let side = |sign: i64| {
        let level = |n| Level { px: Px(MID + sign * (1 + n * 50)), qty: Qty(150_000) };
        (0..LEVELS).map(level).collect()
    };
    let (instrument, snapshot, at) = (InstrumentId(0), true, Ts(0));
    BookUpdate { instrument, snapshot, bids: side(-1), asks: side(1), at }
}
