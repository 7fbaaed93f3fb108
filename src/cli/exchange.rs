//! `exchange`: the local exchange alone.

use std::path::Path;

use super::{Exit, complain};
use crate::config::{ExchangeSettings, load_exchange};

/// Serve the local exchange until a signal.
pub(super) fn exchange(path: &Path) -> Exit {
    match load_exchange(path) {
        Ok(loaded) => serve(&loaded.settings),
        Err(error) => complain(&error, Exit::Config),
    }
}

fn serve(settings: &ExchangeSettings) -> Exit {
    complain(&format!("{} markets: no exchange in this build", settings.markets.len()), Exit::Bug)
}
