//! `demo`: one process, no key, no file, an end by itself.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::rig::{Daemon, PATIENCE, evenkeel, get, until};

/// What a stranger is to find in the report.
const REPORT: [&str; 15] = [
    "quotes",
    "fills",
    "volume",
    "spread",
    "fees",
    "hedge",
    "profit before fees",
    "profit after fees",
    "inventory",
    "uptime",
    "bid",
    "ask",
    "time-weighted",
    "order-to-trade",
    "flat",
];

fn state_dir(said: &str) -> Option<PathBuf> {
    let line = said.lines().find(|line| line.trim_start().starts_with("state "))?;
    Some(PathBuf::from(line.trim_start().strip_prefix("state")?.split('(').next()?.trim()))
}

#[test]
fn a_demo_ends_by_itself_flat_with_a_report_and_leaves_nothing() {
    let (code, out, err) = evenkeel(&["demo", "--for", "8s", "--seed", "3"]);
    assert_eq!(code, 0, "{out}{err}");
    let report = out[out.find("\nSession").unwrap_or(0)..].to_lowercase();
    for item in REPORT {
        assert!(report.contains(item), "the report has no {item:?}:\n{report}");
    }
    assert!(!(out.clone() + &err).contains("panicked"), "{out}{err}");
    let state = state_dir(&out).unwrap();
    assert!(!state.exists(), "{} is left", state.display());
}

#[test]
fn an_interrupted_demo_ends_in_order() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(["demo", "--for", "0"]);
    let mut demo = Daemon::of(command, PathBuf::new());
    let address = until("the dashboard's address", PATIENCE, || {
        let said = demo.said();
        let (_, rest) = said.split_once("dashboard ")?;
        let url = rest.lines().next()?.trim();
        url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()
    });
    until("quotes", PATIENCE, || {
        let (_, body) = get(address, "/status")?;
        let status: serde_json::Value = serde_json::from_str(&body).ok()?;
        (status["session"]["counts"]["orders_sent"].as_u64() > Some(3)).then_some(())
    });
    let state = state_dir(&demo.said()).unwrap();
    assert!(state.exists());
    demo.signal("INT");
    let (code, said) = demo.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("\nSession"), "no report:\n{said}");
    assert!(!state.exists(), "{} is left", state.display());
}

/// A minute of a market that no table of ours lists: a hundred milliseconds a step, the price up and
/// down by a tick of 0.0001, a trade a second.
fn recording(symbol: &str) -> String {
    let (stream, mut lines) = (symbol.to_lowercase(), String::new());
    let begins = 1_723_161_254_000_000_000_u64;
    for step in 0..600_u64 {
        let at = begins + step * 100_000_000;
        let bid = 25_000 + step / 7 % 3;
        let price = |ticks: u64| format!("{}.{:04}0000", ticks / 10_000, ticks % 10_000);
        let levels = |first: u64, up: bool| {
            let level = |n: u64| {
                let ticks = if up { first + n } else { first - n };
                format!(r#"["{}","{}.00"]"#, price(ticks), 900 + 10 * n)
            };
            (0..15).map(level).collect::<Vec<_>>().join(",")
        };
        // What the best prices leave behind as they move on.
        let gone = format!(r#"["{}","0.00"]"#, price(bid + 1));
        let crossed = format!(r#"["{}","0.00"]"#, price(bid));
        let update = step + 1;
        writeln!(
            lines,
            r#"{at} {{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{symbol}","U":{update},"u":{update},"b":[{gone},{bids}],"a":[{crossed},{asks}]}}}}"#,
            ms = at / 1_000_000,
            bids = levels(bid, false),
            asks = levels(bid + 1, true),
        )
        .unwrap();
        if step % 10 == 0 {
            writeln!(
                lines,
                r#"{at} {{"stream":"{stream}@trade","data":{{"e":"trade","E":{ms},"s":"{symbol}","t":{step},"p":"{price}","q":"1200.50","T":{ms},"m":true,"M":true}}}}"#,
                ms = at / 1_000_000,
                price = price(bid),
            )
            .unwrap();
        }
    }
    lines
}

#[test]
fn a_recording_of_a_market_that_nobody_listed_is_played_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xyz");
    std::fs::write(&path, recording("XYZUSDT")).unwrap();
    let path = path.to_str().unwrap();
    let (code, out, err) = evenkeel(&["demo", "--replay", path, "--speed", "10", "--for", "0"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("a recording is over: stopping"), "{out}");
    let (_, report) = out.split_once("\nSession").unwrap();
    assert!(report.contains("flat and clean") && report.contains("spot:XYZUSDT"), "{report}");
    let quotes = report.split_once("quotes ").unwrap().1.split(',').next().unwrap();
    assert!(quotes.parse::<u32>().unwrap() > 0, "{report}");
}

#[test]
fn a_recording_in_another_currency_is_refused_with_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("xyz");
    std::fs::write(&path, recording("XYZBTC")).unwrap();
    let (code, _, err) = evenkeel(&["demo", "--replay", path.to_str().unwrap()]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("XYZBTC is not quoted in USDT"), "{err}");
}
