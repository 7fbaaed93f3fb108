//! Questions and commands to a running daemon, over its HTTP endpoint.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::terminal::{Screen, paint, patiently, wants_colours};
use super::{AskArgs, Exit, complain, runtime, say, table};
use crate::live::state_dir;

/// A question waits this long for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a daemon answers and what it wants to see before it acts.
struct Daemon {
    address: SocketAddr,
    token: Option<SecretString>,
}

/// The daemon's whole status, or the part of it under `key`; a table of it for people.
pub(super) fn read(args: &AskArgs, key: Option<&str>, table: fn(&Value) -> String) -> Exit {
    let value = match answer(args, reqwest::Method::GET, "status", String::new()) {
        Ok(value) => value,
        Err(exit) => return exit,
    };
    let part = match key {
        Some(key) => value.get(key),
        None => Some(&value),
    };
    match part {
        Some(part) if args.json => show(part, true),
        // A table for people may say more than the part: the state beside it, for one.
        Some(_) => {
            let text = table(&value);
            // Only the whole status begins with the state.
            say(&if key.is_none() && wants_colours() { paint(&text) } else { text });
            Exit::Clean
        }
        None => {
            let key = key.unwrap_or_default();
            complain(
                &format!("the daemon's status has no {key:?}; is it of this version?"),
                Exit::Failed,
            )
        }
    }
}

/// Between two looks of `status --watch`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The status, again each second until `q` or Ctrl-C. A terminal is redrawn and outlives a daemon
/// that does not answer; elsewhere the tables follow one another and the first failure ends them.
pub(super) fn watch(args: &AskArgs, table: fn(&Value) -> String) -> Exit {
    let found = find(args).and_then(|daemon| Ok((daemon, runtime()?)));
    let (daemon, runtime) = match found {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let mut screen = Screen::take();
    let exit: Result<(), String> = runtime.block_on(async {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = quit(&mut screen) => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
            let body = send(&daemon, reqwest::Method::GET, "status", String::new()).await;
            look(body, args.json, table, screen.as_ref())?;
        }
    });
    drop(screen);
    match exit {
        Ok(()) => Exit::Clean,
        Err(text) => complain(&text, Exit::Failed),
    }
}

async fn quit(screen: &mut Option<Screen>) {
    match screen {
        Some(screen) => screen.quit().await,
        None => std::future::pending().await,
    }
}

fn look(
    body: Result<String, String>,
    json: bool,
    table: fn(&Value) -> String,
    screen: Option<&Screen>,
) -> Result<(), String> {
    let value = body.map(|body| serde_json::from_str(&body).unwrap_or(Value::String(body)));
    match (value, screen) {
        (Ok(value), _) if json => say(&format!("{value}\n")),
        (Ok(value), Some(screen)) => {
            let text = table(&value);
            let text = if wants_colours() { paint(&text) } else { text };
            screen.draw(&format!("{text}\nq ends this\n"));
        }
        (Ok(value), None) => say(&format!("{}\n", table(&value))),
        (Err(text), Some(screen)) => screen.draw(&format!("{text}\nTrying again; q ends this\n")),
        (Err(text), None) => return Err(text),
    }
    Ok(())
}

/// Why the quotes are what they are, for all instruments or one.
pub(super) fn explain(args: &AskArgs, instrument: Option<&str>) -> Exit {
    let value = match answer(args, reqwest::Method::GET, "explain", String::new()) {
        Ok(value) => value,
        Err(exit) => return exit,
    };
    match super::explain::of_instrument(value, instrument) {
        Ok(value) if args.json => show(&value, true),
        Ok(value) => {
            say(&super::explain::tables(&value));
            Exit::Clean
        }
        Err(text) => complain(&text, Exit::Failed),
    }
}

/// `POST /control/<command>` with the bearer token.
pub(super) fn act(args: &AskArgs, command: &str, body: String) -> Exit {
    act_and_show(args, command, body, table::render)
}

/// The same, with words of its own for people.
pub(super) fn act_and_show(
    args: &AskArgs,
    command: &str,
    body: String,
    words: fn(&Value) -> String,
) -> Exit {
    match answer(args, reqwest::Method::POST, &format!("control/{command}"), body) {
        Ok(value) if args.json => show(&value, true),
        Ok(value) => {
            say(&words(&value));
            Exit::Clean
        }
        Err(exit) => exit,
    }
}

fn show(value: &Value, json: bool) -> Exit {
    say(&if json { format!("{value}\n") } else { table::render(value) });
    Exit::Clean
}

fn answer(
    args: &AskArgs,
    method: reqwest::Method,
    path: &str,
    body: String,
) -> Result<Value, Exit> {
    let daemon = find(args)?;
    let what = format!("waiting for {}", daemon.address);
    let body = runtime()?.block_on(patiently(&what, send(&daemon, method, path, body)));
    let body = body.map_err(|text| complain(&text, Exit::Failed))?;
    Ok(serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// The daemon that the arguments name. With an address alone, `EVENKEEL_TOKEN` may hold the token.
fn find(args: &AskArgs) -> Result<Daemon, Exit> {
    let from_environment = || std::env::var("EVENKEEL_TOKEN").ok().map(SecretString::from);
    let Some(config) = &args.config else {
        let address = args.address.expect("clap demands an address where there is no config");
        return Ok(Daemon { address, token: from_environment() });
    };
    let loaded = crate::config::load(config).map_err(|error| complain(&error, Exit::Config))?;
    let settings = loaded.settings;
    let state: PathBuf = settings.environment.state_dir;
    let failed = |error: state_dir::StateError| complain(&error, Exit::Failed);
    let published = state_dir::read_address(&state).map_err(failed)?;
    let listen = Some(settings.http.listen).filter(|address| address.port() != 0);
    let Some(address) = args.address.or(published).or(listen) else {
        let text =
            format!("no daemon has published an address in {}: is it running?", state.display());
        return Err(complain(&text, Exit::Failed));
    };
    let token = match settings.http.token {
        Some(source) => Some(
            source.read().map_err(|p| complain(&format!("{} {}", p.key, p.text), Exit::Keys))?,
        ),
        None => state_dir::read_control_token(&state).map_err(failed)?.or_else(from_environment),
    };
    Ok(Daemon { address, token })
}

async fn send(
    daemon: &Daemon,
    method: reqwest::Method,
    path: &str,
    body: String,
) -> Result<String, String> {
    let address = daemon.address;
    let plain = |error: reqwest::Error| {
        format!("no answer from {address}: {}", causes(&error.without_url()))
    };
    let tls = crate::live::reach::client_config(&[]).map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(plain)?;
    let mut request = client.request(method, format!("http://{address}/{path}")).body(body);
    if let Some(token) = &daemon.token {
        request = request.bearer_auth(token.expose_secret());
    }
    let reply = request.send().await.map_err(plain)?;
    let status = reply.status();
    let body = reply.text().await.map_err(plain)?;
    if status.is_success() {
        return Ok(body);
    }
    let said = serde_json::from_str::<Value>(&body).ok();
    let said = said.as_ref().and_then(|value| value["error"].as_str()).unwrap_or(&body);
    let said: String = said.chars().filter(|c| !c.is_control() || *c == '\n').take(4000).collect();
    Err(match status.as_u16() {
        401 | 403 => format!("{address} refuses: {said} (is the token of this daemon at hand?)"),
        code => format!("{address} answers {code}: {said}"),
    })
}

/// An error with what lies behind it: "error sending request" alone helps nobody.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        text.push_str(&format!(": {cause}"));
        inner = cause.source();
    }
    text
}
