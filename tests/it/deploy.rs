//! What ships beside the binary fits it: metrics that rules and dashboards ask for exist, and
//! every alert has a runbook entry.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Words of a text that are names of ours.
fn metrics(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !word(c)).filter(|name| name.starts_with("evenkeel_")).collect()
}

/// Whether the sources register a metric of that name; Prometheus adds the suffixes.
fn is_registered(sources: &str, name: &str) -> bool {
    let suffixes = ["", "_total", "_bucket", "_sum", "_count", "_seconds", "_seconds_bucket"];
    suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix)).any(|base| {
        let bare = base.trim_start_matches("evenkeel_");
        sources.contains(&format!("\"{base}\"")) || sources.contains(&format!("\"{bare}\""))
    })
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let sources: String = [
        "src/telemetry/metrics.rs",
        "src/telemetry/alerts.rs",
        "src/live/metrics.rs",
        "src/live/gauges.rs",
        "src/live/quality.rs",
    ]
    .map(read)
    .concat();
    let files = ["deploy/prometheus/alerts.yml", "deploy/grafana/evenkeel.json"].map(read);
    let asked: BTreeSet<&str> = files.iter().flat_map(|text| metrics(text)).collect();
    assert!(asked.len() > 20, "{asked:?}");
    let missing: Vec<_> = asked.iter().filter(|name| !is_registered(&sources, name)).collect();
    assert!(missing.is_empty(), "nothing registers {missing:?}");
    assert!(!is_registered(&sources, "evenkeel_no_such_thing_total"), "the test bites");
}

#[test]
fn every_alert_has_a_runbook_entry() {
    let (rules, runbook) = (read("deploy/prometheus/alerts.yml"), read("deploy/runbook.md"));
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let missing: Vec<&str> =
        alerts.filter(|alert| !runbook.contains(&format!("**{alert}**"))).collect();
    assert!(missing.is_empty(), "no entry for {missing:?}");
}
