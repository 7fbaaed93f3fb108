//! `demo`: one process, no key, no file, an end by itself.

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
