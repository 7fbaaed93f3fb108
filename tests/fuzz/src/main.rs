//! Every place where bytes that somebody else wrote are read, under libFuzzer.
//!
//! One binary, so that the instrumented library is built once; `EVENKEEL_FUZZ` names the target.
//! Nothing may panic, overflow or hang; some targets check more. `.ci/fuzz` builds and runs them.

#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

mod exchange;
mod files;
mod session;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What reads the bytes.
type Target = fn(&[u8]);

/// Every target by its name.
const TARGETS: [(&str, Target); 12] = [
    ("spot_frames", |data| session::frames(session::SPOT, data)),
    ("usdm_frames", |data| session::frames(session::USDM, data)),
    ("spot_replies", |data| session::replies(session::SPOT, data)),
    ("usdm_replies", |data| session::replies(session::USDM, data)),
    ("exchange_http", exchange::http),
    ("exchange_ws", exchange::websocket),
    ("tape", exchange::tape),
    ("recording", files::recording),
    ("journal", files::journal),
    ("state", files::state),
    ("config", files::config),
    ("config_exchange", files::config_exchange),
];

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
