//! Files that somebody may have edited or a crash may have cut: settings, journal, state.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use evenkeel::live::exchange::{identify, read_lines};
use evenkeel::live::state_dir::{StateDir, read_address, read_control_token};
use evenkeel::{config, journal};

thread_local! {
    static DIR: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// A directory of this process, in memory where there is such a thing.
fn dir() -> PathBuf {
    DIR.with_borrow_mut(|dir| {
        let memory = Path::new("/dev/shm");
        let made = || {
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        };
        dir.get_or_insert_with(|| made().unwrap()).path().to_owned()
    })
}

/// Settings: whatever is wrong is said in words.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Err(error) = config::parse(text, "fuzz.toml") {
        assert!(!error.to_string().is_empty());
    }
}

/// The same of the local exchange.
pub fn config_exchange(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Err(error) = config::parse_exchange(text, "fuzz.toml") {
        assert!(!error.to_string().is_empty());
    }
}

/// A segment of the journal: read and dumped alike.
pub fn journal(data: &[u8]) {
    let dir = dir();
    fs::write(dir.join("journal-1-0.jsonl"), data).unwrap();
    let read = journal::Reader::open(&dir).unwrap().filter(Result::is_ok).count();
    let mut out = Vec::new();
    if let Ok(summary) = journal::dump(&dir, &mut out) {
        assert!(out.is_ascii() || String::from_utf8(out).is_ok());
        // The dump passes on what the reader need not understand, never less.
        assert!(summary.records >= read as u64, "dumped {}, read {read}", summary.records);
    }
}

/// One file of the state directory, chosen by the first byte.
pub fn state(data: &[u8]) {
    const FILES: [&str; 7] = [
        "owner.json",
        "epoch",
        "latch.json",
        "targets.json",
        "control.token",
        "address",
        "ledger.json",
    ];
    let Some((first, content)) = data.split_first() else { return };
    let file = FILES[usize::from(*first) % FILES.len()];
    let dir = dir();
    fs::write(dir.join(file), content).unwrap();
    let outcome = StateDir::open(&dir, "account").map(|state| {
        drop((state.latch(), state.targets(), state.ledger()));
        drop((read_control_token(&dir), read_address(&dir)));
        if file == "epoch" {
            drop(state.next_epoch());
        }
    });
    if let Err(error) = outcome {
        assert!(!error.to_string().is_empty());
    }
    fs::remove_file(dir.join(file)).unwrap();
}

/// A recording, plain or compressed.
pub fn recording(data: &[u8]) {
    let path = dir().join("recording");
    fs::write(&path, data).unwrap();
    drop(identify(&path));
    let lines = read_lines(&path).unwrap().take(1000).count();
    let compressed = data.starts_with(&[0x1f, 0x8b]);
    assert!(compressed || lines <= data.len() + 1, "{lines} lines");
}
