//! The targets under libFuzzer.
//!
//! One binary, so that the instrumented library is built once; `EVENKEEL_FUZZ` names the target.
//! `.ci/fuzz` builds and runs them; `cargo test` runs them over what is committed in `corpus`.

#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("EVENKEEL_FUZZ").unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        let names = TARGETS.map(|(name, _)| name).join(" ");
        eprintln!("EVENKEEL_FUZZ is {name:?}; allowed are: {names}");
        std::process::exit(2);
    };
    CHOSEN.set(*target).unwrap();
}

fuzz_target!(
    init: choose(),
    |data: &[u8]| {
        CHOSEN.get().unwrap()(data);
    }
);
