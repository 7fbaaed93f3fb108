//! `check`: is the configuration sound, what does it resolve to, what would be quoted?

use crate::config::{Loaded, Resolved, Settings, read_secrets};

use super::{CheckArgs, Exit, complain, say, table};

/// Everything that can be known without the network; `--online` asks the venues too.
pub(super) fn check(args: &CheckArgs) -> Exit {
    let loaded = match crate::config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return complain(&error, Exit::Config),
    };
    say(&settings_text(&loaded));
    say(&quotes_text(&loaded.settings));
    match read_secrets(&loaded.settings) {
        Ok(_) => {
            say(&format!("{}: sound; all keys are at hand\n", loaded.file));
            Exit::Clean
        }
        Err(problems) => {
            let error = crate::config::ConfigError { file: loaded.file, problems };
            complain(&error, Exit::Keys)
        }
    }
}

/// Every setting as it took effect; the unit is in its name.
fn settings_text(loaded: &Loaded<Settings>) -> String {
    let mut rows = vec![vec!["setting".to_owned(), "value".to_owned(), "from".to_owned()]];
    for Resolved { key, value, is_default } in &loaded.resolved {
        let from = if *is_default { "default" } else { "file" };
        rows.push(vec![key.clone(), value.clone(), from.to_owned()]);
    }
    let mut text = String::new();
    table::columns(&rows, 0, &mut text);
    text
}
