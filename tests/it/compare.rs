//! `evenkeel compare`: four strategies in the same markets, as the command tells it.

use std::process::Command;

use serde_json::Value;

fn compare(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.arg("compare").args(args).output().unwrap()
}

#[test]
fn skew_holds_less_inventory_and_no_model_beats_the_optimum() {
    let output = compare(&["--seeds", "0..3", "--for", "90s", "--json"]);
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
    }
    // Both quoted equally wide: the difference is the skew.
    let width = |strategy| mean("half-spread quoted, bps", strategy);
    assert!((width("fixed") / width("glft") - 1.0).abs() < 0.2, "{}", told["metrics"]);
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
fn too_few_seeds_and_too_little_time_are_refused() {
    for args in [["--seeds", "0..1", "--for", "90s"], ["--seeds", "0..2", "--for", "9s"]] {
        assert_eq!(compare(&args).status.code(), Some(2), "{args:?}");
    }
}
