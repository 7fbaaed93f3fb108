//! `evenkeel compare`: four strategies in the same markets, as the command tells it.

use std::process::Command;

use serde_json::Value;

fn compare(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.arg("compare").args(args).output().unwrap()
}

#[test]
fn skew_holds_less_inventory_and_no_model_beats_the_optimum() {
    let output = compare(&["--seeds", "0..3", "--warm-up", "30s", "--for", "90s", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mean = |metric: &str, strategy: &str| {
        let value = &told["metrics"][metric]["estimate"][strategy]["mean"];
        value.as_f64().unwrap_or_else(|| panic!("{metric} of {strategy}: {value}"))
    };
    let std = |strategy| mean("inventory std, mBTC", strategy);
    for skewed in ["avellaneda_stoikov", "glft", "glft + signals + hedging"] {
        assert!(std(skewed) < std("fixed"), "{skewed}: {} {}", std(skewed), std("fixed"));
        assert!(mean("maker fills/h", skewed) > 0.0);
        let utility = |strategy| mean("utility before fees, quote/h", strategy);
        let result = |strategy| mean("result before fees, quote/h", strategy);
        assert!(utility(skewed) <= result(skewed), "inventory costs: {}", told["metrics"]);
    }
    // Both quoted equally wide in every market: the difference is the skew.
    let width =
        |strategy: &str, at: usize| told["sessions"][strategy][at]["half_spread_bps"].as_f64();
    for at in 0..3 {
        let (fixed, glft) = (width("fixed", at).unwrap(), width("glft", at).unwrap());
        assert!((fixed / glft - 1.0).abs() < 0.1, "market {at}: {fixed} {glft}");
    }
    // What the warm-up brought does not count.
    let duration = |at: &str| told["sessions"]["glft"][0][at]["duration_ms"].as_i64().unwrap();
    assert!((25_000..30_000).contains(&duration("warm")), "{}", duration("warm"));
    assert!(duration("summary") > 115_000, "{}", duration("summary"));
    // Nothing is held that the limit of 20 mBTC forbids, from the first look on.
    for strategy in ["fixed", "avellaneda_stoikov", "glft", "glft + signals + hedging"] {
        assert!(mean("inventory max, mBTC", strategy) <= 20.0 + 1e-9, "{strategy}");
    }
    for worth in told["bound"].as_array().unwrap() {
        let share = worth["share_of_optimum"].as_f64().unwrap();
        assert!(share <= 1.0 + 1e-9, "{worth}");
        assert!(worth["model"] != "glft" || share >= 0.99, "{worth}");
    }
}

#[test]
fn a_sweep_has_a_line_for_each_value() {
    let key = "quoting.min_half_spread_bps";
    let sweep = format!("{key}=1,4");
    let output = compare(&["--seeds", "0..2", "--warm-up", "0", "--for", "60s", "--sweep", &sweep]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split("\",\"").collect()).collect();
    let width = lines[0].iter().position(|name| *name == "half-spread quoted, bps").unwrap();
    let rows: Vec<Vec<f64>> = told
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|n| n.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0][0], rows[1][0]), (1.0, 4.0));
    assert!(rows.iter().all(|row| row.len() == lines[0].len()), "{told}");
    assert!(rows[0][width] < rows[1][width] && rows[1][width] >= 4.0, "{told}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    for args in [["--seeds", "0..1", "--for", "90s"], ["--seeds", "0..2", "--for", "9s"]] {
        assert_eq!(compare(&args).status.code(), Some(2), "{args:?}");
    }
    for sweep in ["quoting.no_such_key=1", "no_section=1", "hedge.enabled=maybe"] {
        let args = ["--seeds", "0..2", "--for", "60s", "--sweep", sweep];
        assert_eq!(compare(&args).status.code(), Some(2), "{sweep}");
    }
}
