//! `run`: the daemon against the venues of a configuration.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Exit, complain, load_with_secrets, reload};
use crate::config::{AlertForm, Loaded, Log, LogFormat, Secrets, Settings};
use crate::domain::{NoteLevel, VenueId};
use crate::engine::{Ending, Engine};
use crate::journal;
use crate::live::{
    self, Handle, Live, LiveError, serve,
    state_dir::{StateDir, StateError},
};
use crate::report::SessionReport;
use crate::telemetry::{
    AlertLevel, AlertParams, Alerts, Form, LogControl, LogFile, Metrics, Names, Telemetry,
};

/// The dashboard, in the binary.
const PAGE: &str = include_str!("../live/page.html");

/// Load, check keys, trade until told to stop.
pub(super) fn run(path: &Path) -> Exit {
    match load_with_secrets(path) {
        Ok((loaded, secrets)) => trade(&loaded, &secrets),
        Err(exit) => exit,
    }
}

/// Trade until the end, on this thread.
fn trade(loaded: &Loaded<Settings>, secrets: &Secrets) -> Exit {
    let file = log_file(&loaded.settings);
    let log = match init_log(&loaded.settings.log, file.as_ref()) {
        Ok(log) => log,
        // The levels have been read with the configuration; the file is what can be wrong.
        Err(text) => return complain(&text, if file.is_some() { Exit::Config } else { Exit::Bug }),
    };
    match assemble(loaded, secrets, Some(log)) {
        Ok((live, handle)) => match live.run() {
            Ok(ending) => {
                if let Some(report) = handle.snapshot().and_then(|last| {
                    SessionReport::of(&last.engine, last.at)
                        .map(|report| report.with_reactions(last.driver.reactions))
                }) {
                    tracing::info!(event = "session_report", report = %report.to_json(), "{report}");
                }
                exit_of(&ending)
            }
            Err(error) => failed(&error),
        },
        Err(error) => failed(&error),
    }
}

/// The file of `[log]`, if lines go to one.
fn log_file(settings: &Settings) -> Option<LogFile> {
    let file = settings.log.file.as_ref()?;
    Some(LogFile { path: file.path.clone(), max_bytes: file.max_bytes, keep: file.keep })
}

/// Log as `[log]` asks, from now on, to this file if to any.
pub(super) fn init_log(log: &Log, file: Option<&LogFile>) -> Result<LogControl, String> {
    let json = match log.format {
        LogFormat::Auto => None,
        LogFormat::Json => Some(true),
        LogFormat::Pretty => Some(false),
    };
    crate::telemetry::init(json, &log.filter(), file)
}

/// What could not start, or did not end in order.
pub(super) fn failed(error: &LiveError) -> Exit {
    let exit = match error {
        LiveError::State(StateError::Locked(_)) => Exit::Locked,
        LiveError::Bug(_) => Exit::Bug,
        LiveError::Config(_) | LiveError::System(_) | LiveError::State(_) => Exit::Config,
    };
    complain(error, exit)
}

/// The exit code of an ending; whatever is not clean is told as well.
pub(super) fn exit_of(ending: &Ending) -> Exit {
    match ending {
        Ending::FlatAndClean => Exit::Clean,
        Ending::SafetyHaltFlat { text } => {
            complain(&format!("halted for safety: {text}"), Exit::SafetyHaltFlat)
        }
        Ending::MaybeLeft { text } => {
            complain(&format!("orders or positions may be left: {text}"), Exit::MaybeLeft)
        }
        Ending::Refused { text } => complain(&format!("refused: {text}"), Exit::Keys),
        Ending::Misconfigured { text } => complain(&text, Exit::Config),
    }
}

/// Lock the state directory, take an epoch, put engine, sessions and driver together.
/// With `own_log` the process is the driver's: signals and reloads are its to handle.
pub(super) fn assemble(
    loaded: &Loaded<Settings>,
    secrets: &Secrets,
    own_log: Option<LogControl>,
) -> Result<(Live, Handle), LiveError> {
    let settings = &loaded.settings;
    let environment = &settings.environment;
    let state = StateDir::open(&environment.state_dir, &secrets.account(environment.mode))?;
    let epoch = state.next_epoch()?;
    let targets = state.targets()?;
    let ledger = state.ledger()?;
    let latch = state.latch()?.map(|latch| (latch.cause, latch.text));
    let token = match &secrets.http_token {
        Some(token) => token.clone(),
        None => state.control_token()?,
    };
    let venue_of = |venue: usize| VenueId(u8::try_from(venue).expect("16 venues at most"));
    let names: Vec<String> = settings.venues.iter().map(|venue| venue.name.clone()).collect();
    let instruments: Vec<(VenueId, String)> =
        settings.instruments.iter().map(|i| (venue_of(i.venue), i.symbol.clone())).collect();
    let venues_of = instruments.iter().map(|(venue, _)| *venue).collect();

    let mut params = live::Params::new(venues_of, names.clone());
    params.ca_files = settings.venues.iter().filter_map(|venue| venue.ca_file.clone()).collect();
    params.serve = Some(serve::Params {
        listen: settings.http.listen,
        token: Some(token),
        hosts: settings.http.hosts.clone(),
        page: Some(PAGE),
    });
    let journal = journal::Params::new(&environment.state_dir.join("journal"));
    params.journal = Some((journal, journal::Header::new(epoch, &config_hash(loaded))));
    params.state = Some(state);
    params.shutdown_deadline = settings.shutdown.deadline.to_std();
    params.signals = own_log.is_some();
    let least = settings.alerts.as_ref().map_or(NoteLevel::Error, |alerts| alerts.level);
    let alert_level = AlertLevel::new(least);
    params.reload = own_log.map(|log| reload::of(loaded, log, alert_level.clone()));

    let mut telemetry = {
        let mut registry =
            params.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let metrics = Metrics::default();
        metrics.register(&mut registry);
        let alerts = alerts(settings, secrets, &params.ca_files, &alert_level)
            .map(|alerts| Alerts::start(alerts, &mut registry))
            .transpose()
            .map_err(LiveError::Config)?;
        Telemetry::new(Names::new(names, &instruments), metrics, alerts, params.story.clone())
    };
    let notes: live::NoteSink = Box::new(move |now, note| telemetry.note(now, note));
    let mut engine = settings.engine_params(epoch, latch);
    for (own, (venue, symbol)) in engine.instruments.iter_mut().zip(&instruments) {
        let name = format!("{}:{symbol}", settings.venues[venue.index()].name);
        own.inventory_target_base = own.inventory_target_base.or(targets.get(&name).copied());
    }
    let mut engine = Engine::new(engine);
    let mut protocols = settings.protocols(secrets);
    if let Some(ledger) = ledger {
        engine.resume_session(ledger);
        let from = engine.trades_from();
        protocols.iter_mut().for_each(|protocol| protocol.resume_trades(&from));
    }
    let (live, handle) = Live::new(params, engine, protocols, notes)?;
    if let Some(address) = handle.address() {
        tracing::info!(event = "listening", address = %address, "status at http://{address}/status");
    }
    Ok((live, handle))
}

/// Where alerts go, if anywhere.
fn alerts(
    settings: &Settings,
    secrets: &Secrets,
    ca_files: &[PathBuf],
    level: &AlertLevel,
) -> Option<AlertParams> {
    let (alerts, url) = (settings.alerts.as_ref()?, secrets.alerts_url.as_ref()?);
    Some(AlertParams {
        form: match &alerts.form {
            AlertForm::Json => Form::Json,
            AlertForm::Slack => Form::Slack,
            AlertForm::Telegram(chat_id) => Form::Telegram { chat_id: chat_id.clone() },
        },
        url: url.clone(),
        level: level.clone(),
        repeat_interval: alerts.repeat_interval,
        ca_files: ca_files.to_vec(),
    })
}

/// 16 hex digits of a hash over every setting as it took effect; secrets are not among them.
fn config_hash(loaded: &Loaded<Settings>) -> String {
    let mut hash = Sha256::new();
    for setting in &loaded.resolved {
        hash.update(format!("{}={}\n", setting.key, setting.value).as_bytes());
    }
    hex::encode(&hash.finalize()[..8])
}
