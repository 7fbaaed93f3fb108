//! The HTTP endpoints for operators and monitoring, on a thread of their own.
//!
//! | Path | Method | Token | Says or does |
//! |---|---|---|---|
//! | `/healthz` | GET | no | 200 while the trading thread turns |
//! | `/readyz` | GET | no | 200 while it quotes or reduces |
//! | `/metrics` | GET | no | Prometheus text |
//! | `/status` | GET | no | the whole state as JSON |
//! | `/explain` | GET | no | why the quotes are what they are, from a decision made now |
//! | `/stream?instrument=venue:SYMBOL` | GET | no | all of it, pushed (`feed`) |
//! | `/history?instrument=venue:SYMBOL` | GET | no | its last ten minutes, second by second |
//! | `/` | GET | no | the dashboard, when there is one: it holds no data of its own |
//! | `/control/{pause,resume,reload,kill}` | POST | yes | acts; `kill` takes `{"flatten":true}`, `reload` `{"confirm":true}` |
//!
//! On an address other than loopback everything but `/healthz` and `/` asks for the token. `Host` must
//! name this machine or a configured name (against DNS rebinding), and `Origin`, when there is
//! one, too (against other sites in the operator's browser).

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use super::feed::{Feed, WATCHERS};
use super::gauges::Gauges;
use super::quality::Quality;
use super::{Handle, Reload, Story, clock, reach};
use crate::domain::{Control, State as EngineState};

/// Most bytes of a request body.
const BODY_BYTES: usize = 4096;
/// How much less than the trading thread this one weighs: a third of it for the scheduler, so that a
/// kill still gets through on a machine that is full.
const POLITENESS: i32 = 5;
/// Connections at once; one more takes the place of the longest idle.
const CONNECTIONS: usize = 64;
/// A connection that has been written no answer for this long is closed, however it trickles.
const IDLE: Duration = Duration::from_secs(15);
/// The trading thread counts as stuck when its snapshot is older.
const STUCK: Duration = Duration::from_secs(5);

/// An explanation is waited for at most this long; snapshots come ten times a second.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(2);

/// Where and to whom to answer.
#[derive(Clone)]
pub struct Params {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What acting requests must bear; without one they are all refused.
    pub token: Option<SecretString>,
    /// Host names, beside this machine's, under which browsers and scrapers may ask.
    pub hosts: Vec<String>,
    /// The dashboard page, if there is one.
    pub page: Option<&'static str>,
}

/// The endpoints of a run; they end when this is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

struct App {
    params: Params,
    open_to_others: bool,
    handle: Handle,
    registry: Arc<Mutex<Registry>>,
    gauges: Gauges,
    quality: Quality,
    feed: Feed,
    reload: Option<Reload>,
}

/// Begin to answer.
pub(super) fn start(
    params: Params,
    handle: Handle,
    registry: Arc<Mutex<Registry>>,
    reload: Option<Reload>,
    story: Story,
) -> Result<Server, String> {
    let listen = params.listen;
    let open_to_others = !listen.ip().is_loopback();
    if open_to_others && params.token.is_none() {
        return Err(format!("{listen} is reachable by others: set a token or use 127.0.0.1"));
    }
    let bound = TcpListener::bind(listen)
        .and_then(|l| l.set_nonblocking(true).map(|()| l))
        .and_then(|l| l.local_addr().map(|address| (l, address)));
    let (listener, address) = bound.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    let gauges = Gauges::default();
    gauges.register(&mut registry.lock().unwrap_or_else(PoisonError::into_inner));
    let quality = Quality::register(&registry);
    let feed = Feed::new(handle.clone(), story);
    let app =
        Arc::new(App { params, open_to_others, handle, registry, gauges, quality, feed, reload });
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("no runtime for {listen}: {e}"))?;
    let serve = async move {
        let listener = Door {
            listener: tokio::net::TcpListener::from_std(listener)?,
            seats: Vec::new(),
            opened: Instant::from_std(clock::instant()),
        };
        let fed = Arc::clone(&app);
        tokio::select! {
            served = async { axum::serve(listener, router(app)).await } => served,
            () = fed.feed.pump() => Ok(()),
            () = fed.feed.remember() => Ok(()),
            _ = stopped => Ok(()),
        }
    };
    let body = move || {
        // Of this thread alone: a crowd at the door does not take turns of the trading thread. Where
        // it may not be lowered, everything still works.
        rustix::process::nice(POLITENESS).ok();
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(event = "serve_failed", "the HTTP endpoints have ended: {error}");
        }
        runtime.shutdown_background();
    };
    std::thread::Builder::new()
        .name("serve".to_owned())
        .spawn(body)
        .map_err(|e| format!("no thread for {listen}: {e}"))?;
    Ok(Server { address, _stop: stop })
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/explain", get(explain))
        .route("/stream", get(stream))
        .route("/history", get(history))
        .route("/control/{command}", post(control))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Who may ask, before anything else is looked at.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refusal = if !host_allowed(&app, headers) {
        Some((StatusCode::FORBIDDEN, "Host is not one of this daemon's names"))
    } else if !origin_allowed(&app, headers) {
        Some((StatusCode::FORBIDDEN, "Origin is not this daemon's"))
    } else if needs_token(&app, &request) && !has_token(&app, headers) {
        Some((StatusCode::UNAUTHORIZED, "a valid bearer token is needed"))
    } else {
        None
    };
    let mut response = match refusal {
        Some((status, why)) => (status, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
                  script-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, policy.parse().expect("a valid header"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, "nosniff".parse().expect("a valid header"));
    headers.insert(CACHE_CONTROL, "no-store".parse().expect("a valid header"));
    response
}

fn host_allowed(app: &App, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(|host| name_allowed(app, host))
}

fn origin_allowed(app: &App, headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| {
        let name = origin.to_str().ok().and_then(|text| {
            text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))
        });
        name.is_some_and(|name| name_allowed(app, name))
    })
}

fn name_allowed(app: &App, authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ours = app.open_to_others && bare == app.params.listen.ip().to_string();
    reach::is_loopback(host)
        || ours
        || app.params.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}

fn needs_token(app: &App, request: &Request) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    !reads || (app.open_to_others && !["/", "/healthz"].contains(&request.uri().path()))
}

fn has_token(app: &App, headers: &HeaderMap) -> bool {
    let Some(token) = &app.params.token else { return false };
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return false };
    let Some((scheme, given)) = given.to_str().ok().and_then(|g| g.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && same(token.expose_secret(), given)
}

/// Equality whose time tells nothing of where two secrets differ: their hashes are compared whole.
fn same(expected: &str, given: &str) -> bool {
    let (a, b) = (Sha256::digest(expected.as_bytes()), Sha256::digest(given.as_bytes()));
    let difference = a.iter().zip(b.iter()).fold(0, |acc, (x, y)| acc | (x ^ y));
    std::hint::black_box(difference) == 0
}

async fn page(State(app): State<Arc<App>>) -> Response {
    match app.params.page {
        Some(page) => ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response(),
        None => (StatusCode::NOT_FOUND, "no dashboard here; see /status\n").into_response(),
    }
}

fn is_stuck(app: &App) -> bool {
    app.handle.snapshot_age().is_none_or(|age| age > STUCK)
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    if is_stuck(&app) {
        (StatusCode::SERVICE_UNAVAILABLE, "the trading thread does not turn\n").into_response()
    } else {
        "ok\n".into_response()
    }
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    let state = app.handle.snapshot().map(|s| s.engine.state);
    let ready = matches!(state, Some(EngineState::Quoting | EngineState::Reducing));
    let code =
        if ready && !is_stuck(&app) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = state.map_or_else(|| "not started\n".to_owned(), |state| format!("{state}\n"));
    (code, text).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    if let Some(snapshot) = app.handle.snapshot() {
        app.gauges.show(&snapshot);
        app.quality.show(&snapshot.engine);
    }
    let mut text = String::new();
    let registry = app.registry.lock().unwrap_or_else(PoisonError::into_inner);
    let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
    drop(registry);
    match encoded {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn status(State(app): State<Arc<App>>) -> Response {
    match app.handle.snapshot() {
        Some(snapshot) => json(StatusCode::OK, snapshot.to_json()),
        None => json(StatusCode::SERVICE_UNAVAILABLE, r#"{"error":"not started"}"#.to_owned()),
    }
}

/// `instrument=…` of a query; empty where it is not given.
fn instrument_of(query: Option<&str>) -> String {
    let given = query.unwrap_or_default().split('&').find_map(|q| q.strip_prefix("instrument="));
    percent_encoding::percent_decode_str(given.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

async fn stream(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    match app.feed.watch(&instrument_of(query.as_deref())) {
        Some(body) => ([(CONTENT_TYPE, "text/event-stream")], body).into_response(),
        None => {
            let text = format!("{WATCHERS} dashboards watch already; close one of them\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn history(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    json(StatusCode::OK, app.feed.history(&instrument_of(query.as_deref())))
}

/// The trading thread explains its next decision; nothing is computed until somebody asks.
async fn explain(State(app): State<Arc<App>>) -> Response {
    let answered = |after: u64| {
        let last = app.handle.snapshot()?.engine.explanations.clone()?;
        (last.count > after).then_some(last)
    };
    let before = answered(0).map_or(0, |last| last.count);
    let refuse = |why: &str| {
        json(StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({ "error": why }).to_string())
    };
    if let Err(why) = app.handle.send(Control::Explain) {
        return refuse(&why);
    }
    let deadline = Instant::now() + EXPLAINED_WITHIN;
    while Instant::now() < deadline {
        if let Some(answer) = answered(before) {
            return match serde_json::to_string(&*answer) {
                Ok(body) => json(StatusCode::OK, body),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            };
        }
        sleep(Duration::from_millis(20)).await;
    }
    refuse("the trading thread did not answer in time")
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct KillBody {
    #[serde(default)]
    flatten: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadBody {
    #[serde(default)]
    confirm: bool,
}

/// A body that may be left out; `None` when it is something else.
fn body_of<T: Default + serde::de::DeserializeOwned>(body: &Bytes) -> Option<T> {
    if body.is_empty() { Some(T::default()) } else { serde_json::from_slice(body).ok() }
}

async fn control(
    State(app): State<Arc<App>>,
    Path(command): Path<String>,
    body: Bytes,
) -> Response {
    let answer = |code: StatusCode, key: &str, text: &str| {
        json(code, serde_json::json!({ key: text }).to_string())
    };
    let control = match command.as_str() {
        "pause" => Control::Pause,
        "resume" => Control::Resume,
        "kill" => match body_of::<KillBody>(&body) {
            Some(kill) => Control::Kill { flatten: kill.flatten },
            None => {
                let text = r#"body: allowed is nothing or {"flatten":true|false}"#;
                return answer(StatusCode::BAD_REQUEST, "error", text);
            }
        },
        "reload" => {
            let Some(reload) = app.reload.clone() else {
                let text = "this run cannot reload its settings";
                return answer(StatusCode::NOT_IMPLEMENTED, "error", text);
            };
            let confirm = match body_of::<ReloadBody>(&body) {
                Some(body) => body.confirm,
                None => {
                    let text = r#"body: allowed is nothing or {"confirm":true|false}"#;
                    return answer(StatusCode::BAD_REQUEST, "error", text);
                }
            };
            let handle = app.handle.clone();
            let work = move || reload(confirm, &|control| handle.send(control));
            return match tokio::task::spawn_blocking(work).await {
                Ok(Ok(text)) => json(StatusCode::OK, text),
                Ok(Err(text)) => answer(StatusCode::UNPROCESSABLE_ENTITY, "error", &text),
                Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, "error", "reload died"),
            };
        }
        _ => {
            let text = "allowed are pause, resume, reload, kill";
            return answer(StatusCode::NOT_FOUND, "error", text);
        }
    };
    match app.handle.send(control) {
        Ok(()) => answer(StatusCode::ACCEPTED, "accepted", &command),
        Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, "error", why.as_str()),
    }
}

/// Accepts a bounded number of connections and closes idle ones, so that nobody can hold the
/// endpoints against the operator: when all seats are taken, a newcomer gets the seat of whoever
/// has been quiet longest, of those first that were never answered.
struct Door {
    listener: tokio::net::TcpListener,
    seats: Vec<Seat>,
    opened: Instant,
}

/// A connection as the door sees it.
struct Seat {
    activity: Arc<Activity>,
    leave: oneshot::Sender<()>,
}

#[derive(Default)]
struct Activity {
    answered: AtomicBool,
    last_ms: AtomicU64,
}

impl Door {
    fn make_room(&mut self) {
        self.seats.retain(|seat| !seat.leave.is_closed());
        if self.seats.len() < CONNECTIONS {
            return;
        }
        let quiet = |seat: &Seat| {
            let activity = &seat.activity;
            (activity.answered.load(Ordering::Relaxed), activity.last_ms.load(Ordering::Relaxed))
        };
        let longest = (0..self.seats.len()).min_by_key(|index| quiet(&self.seats[*index]));
        if let Some(index) = longest {
            // Its guest leaves when this end of the seat is gone.
            drop(self.seats.swap_remove(index));
        }
    }
}

impl axum::serve::Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        self.make_room();
        let activity = Arc::new(Activity::default());
        let (leave, asked_to_leave) = oneshot::channel();
        let idle = Box::pin(sleep(IDLE));
        let guest =
            Guest { stream, idle, opened: self.opened, activity, asked_to_leave, over: false };
        guest.touch();
        self.seats.push(Seat { activity: Arc::clone(&guest.activity), leave });
        (guest, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with its idle timer.
struct Guest {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    opened: Instant,
    activity: Arc<Activity>,
    asked_to_leave: oneshot::Receiver<()>,
    over: bool,
}

impl Guest {
    fn touch(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.activity.last_ms.store(ms, Ordering::Relaxed);
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.over = self.over
            || self.idle.as_mut().poll(cx).is_ready()
            || Pin::new(&mut self.asked_to_leave).poll(cx).is_ready();
        self.over
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if outcome.is_ready() {
            self.idle.as_mut().reset(Instant::from_std(clock::instant()) + IDLE);
            self.activity.answered.store(true, Ordering::Relaxed);
            self.touch();
        } else if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_the_same_or_not() {
        assert!(same("token", "token"));
        for other in ["", "toke", "tokem", "token ", "TOKEN"] {
            assert!(!same("token", other), "{other:?}");
        }
    }
}
