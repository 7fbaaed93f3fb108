//! `run`: the daemon against the venues of a configuration.

use std::path::Path;

use super::{Exit, complain, load_with_secrets};
use crate::config::{Loaded, Secrets, Settings};

/// Load, check keys, trade until told to stop.
pub(super) fn run(path: &Path) -> Exit {
    match load_with_secrets(path) {
        Ok((loaded, secrets)) => trade(&loaded, &secrets),
        Err(exit) => exit,
    }
}

/// Trade until the end; `demo` comes here too, with its own URLs.
pub(super) fn trade(loaded: &Loaded<Settings>, secrets: &Secrets) -> Exit {
    let account = secrets.account(loaded.settings.environment.mode);
    complain(&format!("{account}: no driver in this build"), Exit::Bug)
}
