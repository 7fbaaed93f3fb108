//! `panic`: cancel everything of ours, from a fresh process that needs only the keys.

use std::path::Path;

use super::{Exit, complain, load_with_secrets};
use crate::config::{Loaded, Secrets, Settings};

/// Cancel all of our orders on every venue and verify that none is left.
pub(super) fn panic(path: &Path) -> Exit {
    match load_with_secrets(path) {
        Ok((loaded, secrets)) => cancel_all(&loaded, &secrets),
        Err(exit) => exit,
    }
}

fn cancel_all(loaded: &Loaded<Settings>, secrets: &Secrets) -> Exit {
    let account = secrets.account(loaded.settings.environment.mode);
    complain(&format!("{account}: no driver in this build"), Exit::Bug)
}
