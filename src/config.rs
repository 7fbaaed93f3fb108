//! What the operator wrote, and what it means.
//!
//! One TOML file becomes [`Settings`], or a [`ConfigError`] that names every problem at once with
//! file, line, key, what is wrong and what is allowed. Secrets never stand in the file: it names
//! their sources, and [`read_secrets`] fetches them. File paths are relative to the working
//! directory.

mod alerts;
mod build;
mod capital;
mod docs;
mod exchange;
mod fair;
mod hosts;
mod params;
mod presence;
mod quoting;
mod reader;
pub mod reload;
mod secrets;
mod settings;
mod signals;
mod spec;
pub mod starter;

use std::fmt;
use std::path::Path;

use toml::de::DeTable;

pub use alerts::{AlertForm, Alerts};
pub use build::PRODUCTION_PHRASE;
pub use capital::Capital;
pub use docs::OnReload;
pub use exchange::{
    Account, ExchangeSettings, FaultKind, FaultSettings, MarketSettings, MarketSource, Permission,
};
pub use fair::{Estimators, Fair};
pub use hosts::{HostKind, host_kind};
pub use reader::{Problem, Resolved};
pub use secrets::{ApiKeys, KeySource, SecretPlace, SecretSource, Secrets, read_secrets};
pub use settings::{
    Environment, Hedge, Http, InstrumentSettings, IntensityModel, InventoryRisk, LevelSettings,
    LevelSize, Log, LogFile, LogFormat, Market, Mode, Model, Quoting, Reference, Risk, Role,
    Settings, Shutdown, Target, Venue, VenueKind,
};
pub use spec::FileKind;

use reader::{Sink, Table};

/// Largest configuration that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Everything that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong, in the order of lines; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        writeln!(f, "{}: {count} problem{}", self.file, if count == 1 { "" } else { "s" })?;
        for Problem { line, key, text } in &self.problems {
            writeln!(f, "  {}:{line}: {key} {text}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A configuration with the record of where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The file, as it was named.
    pub file: String,
    /// What it means.
    pub settings: T,
    /// Every setting as it took effect, in the order of sections.
    pub resolved: Vec<Resolved>,
}

/// Read the daemon's configuration from a file.
pub fn load(path: &Path) -> Result<Loaded<Settings>, ConfigError> {
    parse(&read_file(path)?, &path.display().to_string())
}

/// Read the daemon's configuration from a text; `file` names it in messages.
pub fn parse(text: &str, file: &str) -> Result<Loaded<Settings>, ConfigError> {
    parse_with(text, file, build::daemon)
}

/// Read the local exchange's configuration from a file.
pub fn load_exchange(path: &Path) -> Result<Loaded<ExchangeSettings>, ConfigError> {
    parse_exchange(&read_file(path)?, &path.display().to_string())
}

/// Read the local exchange's configuration from a text; `file` names it in messages.
pub fn parse_exchange(text: &str, file: &str) -> Result<Loaded<ExchangeSettings>, ConfigError> {
    parse_with(text, file, exchange::exchange)
}

/// The whole reference page, as it stands in deploy/configuration.md.
#[must_use]
pub fn reference() -> String {
    format!(
        "# Configuration reference\n\n\
         Made by `evenkeel config reference` from the code that reads the files. `evenkeel config \
         schema` makes the JSON Schema for editors, `evenkeel config init` a file to begin with.\n\n\
         \"On reload\": what `evenkeel reload` (or SIGHUP) does with a changed key. A limit that \
         grows by more than a factor of {} asks for `--confirm`.\n\n\
         ## The daemon\n{}\n## The local exchange\n{}",
        reload::CONFIRM_ABOVE,
        FileKind::Daemon.reference(),
        FileKind::Exchange.reference(),
    )
}

fn parse_with<T>(
    text: &str,
    file: &str,
    build: impl FnOnce(Table<'_>) -> T,
) -> Result<Loaded<T>, ConfigError> {
    let sink = Sink::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        sink.problem(at, "(syntax)", error.message());
    }
    // A file that is not TOML would only be reported a second time, in worse words.
    let settings = errors.is_empty().then(|| build(Table::root(&sink, table.get_ref())));
    let (problems, resolved) = sink.finish();
    match settings {
        Some(settings) if problems.is_empty() => {
            Ok(Loaded { file: file.to_owned(), settings, resolved })
        }
        _ => Err(ConfigError { file: file.to_owned(), problems }),
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read;
    let wrong = |text: String| ConfigError {
        file: path.display().to_string(),
        problems: vec![Problem { line: 0, key: "(file)".into(), text }],
    };
    let file = std::fs::File::open(path).map_err(|e| wrong(format!("cannot be opened: {e}")))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong("is over 1 MiB; that is no configuration".into()));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".into()))
}
