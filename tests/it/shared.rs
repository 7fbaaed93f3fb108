//! Where the shared folder is, and how a test says that it was skipped.

use std::path::PathBuf;

/// A path in the shared folder (`EVENKEEL_SHARED`, default `../shared`), or `None` with a printed
/// reason when it is not there.
#[allow(dead_code, reason = "used by the tests that need recorded data")]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EVENKEEL_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    let full = root.join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: {} is not there (set EVENKEEL_SHARED)", full.display());
    None
}
