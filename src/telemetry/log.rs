//! How a line looks: one JSON object for machines, a short line for people.

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::file::{LogFile, Rotating};
use crate::domain::Ts;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Json,
    Pretty { colour: bool },
}

/// Changes which lines are shown, while they are being written.
#[derive(Clone)]
pub struct LogControl(Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl LogControl {
    /// Show the lines of this filter from now on.
    ///
    /// # Errors
    /// Words, when it is no filter.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        (self.0)(read(filter)?)
    }
}

fn read(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| format!("log levels {filter:?}: {error}"))
}

/// Send log lines to standard output, or to a file, from now on. `json` is `None` for people on a
/// terminal and machines elsewhere. `filter` says which lines, in the notation of `tracing`.
///
/// # Errors
/// Words, when something in this process has set up logging already, the file cannot be written
/// or the filter is none.
pub fn init(
    json: Option<bool>,
    filter: &str,
    file: Option<&LogFile>,
) -> Result<LogControl, String> {
    let terminal = file.is_none() && std::io::stdout().is_terminal();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let look = if json.unwrap_or(!terminal) {
        Look::Json
    } else {
        Look::Pretty { colour: terminal && !no_colour }
    };
    let writer = match file {
        Some(file) => BoxMakeWriter::new(Mutex::new(Rotating::open(file)?)),
        None => BoxMakeWriter::new(std::io::stdout),
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(writer)
        .event_format(Format(look))
        .with_env_filter(read(filter)?)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder.try_init().map_err(|error| format!("logging cannot be set up: {error}"))?;
    Ok(LogControl(Arc::new(move |filter| {
        handle.reload(filter).map_err(|error| format!("log levels cannot be changed: {error}"))
    })))
}

/// The format of one line.
pub(super) struct Format(pub(super) Look);

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        match self.0 {
            Look::Json => writeln!(writer, "{}", fields.json(level)),
            Look::Pretty { colour } => fields.pretty(level, colour, &mut writer),
        }
    }
}

/// The fields of one event; those of a note arrive as one JSON object and are laid flat.
#[derive(Default)]
struct Fields {
    message: String,
    at: Option<String>,
    map: Map<String, Value>,
}

impl Fields {
    fn at(&mut self) -> String {
        self.at.take().unwrap_or_else(|| {
            let ts: Ts = crate::live::clock::Clock::new().now();
            self.map.insert("at_ns".to_owned(), ts.0.into());
            ts.to_string()
        })
    }

    fn json(mut self, level: Level) -> Value {
        let at = self.at();
        let mut line = Map::new();
        line.insert("at".to_owned(), at.into());
        line.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
        line.insert("message".to_owned(), self.message.into());
        line.append(&mut self.map);
        Value::Object(line)
    }

    /// Time of day, level, words; the fields only say again what the words say.
    fn pretty(mut self, level: Level, colour: bool, writer: &mut impl Write) -> fmt::Result {
        let at = self.at();
        let time = at.get(11..23).unwrap_or(&at);
        let (on, off) = match (colour, level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Level::WARN) => ("\u{1b}[33m", "\u{1b}[0m"),
            (true, _) => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        // Words can come from a venue: nothing in them may steer the terminal.
        let words: String = self.message.chars().filter(|c| !c.is_control()).collect();
        write!(writer, "{on}{time} {:<5}{off} {words}", level.as_str())?;
        if let Some(left_out) = self.map.get("left_out") {
            write!(writer, " (and {left_out} more like it)")?;
        }
        writeln!(writer)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.map.insert(field.name().to_owned(), text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "at" => self.at = Some(value.to_owned()),
            "fields" => {
                if let Ok(Value::Object(mut fields)) = serde_json::from_str(value) {
                    self.map.append(&mut fields);
                }
            }
            name => {
                self.map.insert(name.to_owned(), value.into());
            }
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.map.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::domain::{Note, Ts, VenueId};
    use crate::telemetry::{Metrics, Names, Telemetry};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(look: Look) -> Vec<String> {
        let page = Page::default();
        let copy = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_writer(move || copy.clone())
            .event_format(Format(look))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let names = Names::new(vec!["spot".into()], &[]);
            let mut telemetry =
                Telemetry::new(names, Metrics::default(), None, crate::live::Story::default());
            let note =
                Note::Garbled { venue: VenueId(0), text: "half \"a\" \u{1b}[31mframe".into() };
            telemetry.note(Ts::from_ms(1_723_161_255_208), &note);
            tracing::info!(event = "started", port = 7, "listening");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn machines_get_one_flat_json_object_a_line() {
        let lines = lines(Look::Json);
        let first: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["at"], "2024-08-08T23:54:15.208Z");
        assert_eq!(first["at_ns"], 1_723_161_255_208_000_000_i64);
        assert_eq!(first["event"], "garbled");
        assert_eq!(first["level"], "warn");
        assert_eq!(first["venue"], "spot");
        assert!(first.get("fields").is_none());
        let second: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!((&second["event"], &second["port"]), (&"started".into(), &7.into()));
        assert!(second["at"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn people_get_words_that_cannot_steer_the_terminal() {
        let lines = lines(Look::Pretty { colour: false });
        assert_eq!(lines[0], "23:54:15.208 WARN  spot: cannot be read: half \"a\" [31mframe");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
    }
}
