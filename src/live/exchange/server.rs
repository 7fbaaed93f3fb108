//! HTTP requests to the faces and their replies back; the market's timer.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, header};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use super::socket::{Link, serve_socket};
use super::{ExchangeParams, StartError};
use crate::domain::{Span, Ts};
use crate::sim::faces::LocalExchange;
use crate::sim::faces::faults::{FaultRule, VenueKind};
use crate::sim::faces::request::{HttpAnswer, HttpRequest};
use crate::sim::faces::streams::{ConnId, Outbox};

/// The largest request body read, bytes: far above any batch of orders.
const MAX_BODY: usize = 256 * 1024;
/// How long an unanswered request is held before its connection is cut.
const SILENCE: Duration = Duration::from_secs(60);
/// Every caller is on this machine, so all share one address, as behind one gateway.
const LOOPBACK: u64 = 0x7f00_0001;

/// The exchange and its connections, used by one thread and by the handle.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Inner>>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) local: LocalExchange,
    links: BTreeMap<ConnId, Link>,
    outbox: Outbox,
    last_conn: u64,
    last_now: Ts,
}

impl Inner {
    /// The time, strictly increasing even when the system clock steps back.
    fn now(&mut self) -> Ts {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let read = Ts(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        self.last_now = read.max(self.last_now + Span(1));
        self.last_now
    }

    /// Hands what the faces said to the connections; a full queue cuts its slow reader off.
    fn flush(&mut self) {
        for (conn, text) in self.outbox.frames.drain(..) {
            let sent = self.links.get(&conn).is_none_or(|link| link.send(text));
            if !sent {
                tracing::warn!(event = "exchange_slow_reader", conn = conn.0, "cut a slow reader");
                self.links.remove(&conn);
                self.local.ws_close(conn);
            }
        }
        for conn in self.outbox.closes.drain(..) {
            self.links.remove(&conn);
            self.local.ws_close(conn);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of this lock panics")
    }

    pub(super) fn add_fault(&self, rule: FaultRule) {
        let mut inner = self.lock();
        let now = inner.now();
        inner.local.add_fault(now, rule);
    }

    pub(super) fn state(&self) -> String {
        let mut inner = self.lock();
        let now = inner.now();
        inner.local.state(now)
    }

    /// Runs a call against the exchange and delivers what it published.
    pub(super) fn with<R>(&self, call: impl FnOnce(&mut LocalExchange, Ts, &mut Outbox) -> R) -> R {
        let mut inner = self.lock();
        let now = inner.now();
        let Inner { local, outbox, .. } = &mut *inner;
        let result = call(local, now, outbox);
        inner.flush();
        result
    }

    /// Registers a connection.
    pub(super) fn open(
        &self,
        venue: VenueKind,
        path: &str,
        query: &str,
        link: Link,
    ) -> Result<ConnId, HttpAnswer> {
        let mut inner = self.lock();
        let now = inner.now();
        inner.last_conn += 1;
        let conn = ConnId(inner.last_conn);
        inner.local.ws_open(now, venue, conn, path, query, LOOPBACK)?;
        inner.links.insert(conn, link);
        Ok(conn)
    }

    pub(super) fn close(&self, conn: ConnId) {
        let mut inner = self.lock();
        inner.links.remove(&conn);
        inner.local.ws_close(conn);
    }
}

/// Binds both ports; the future serves until it is dropped.
pub(super) async fn bind(
    params: ExchangeParams,
) -> Result<((SocketAddr, SocketAddr), Shared, impl Future<Output = ()>), StartError> {
    let listen = async |port| {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        bound.map_err(|source| StartError::Bind { port, source })
    };
    let (spot, spot_listener) = listen(params.spot_port).await?;
    let (usdm, usdm_listener) = listen(params.usdm_port).await?;
    let step = Duration::from_millis(params.step_ms.clamp(1, 1000));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Ts(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    let local = LocalExchange::new(params.local, now).map_err(StartError::Params)?;
    let shared = Shared(Arc::new(Mutex::new(Inner {
        local,
        links: BTreeMap::new(),
        outbox: Outbox::default(),
        last_conn: 0,
        last_now: now,
    })));
    let ticking = shared.clone();
    let serve_all = {
        let shared = shared.clone();
        async move {
            tokio::join!(
                serve(spot_listener, shared.clone(), VenueKind::Spot),
                serve(usdm_listener, shared, VenueKind::Usdm),
                tick(ticking, step),
            );
        }
    };
    Ok(((spot, usdm), shared, serve_all))
}

async fn serve(listener: TcpListener, shared: Shared, venue: VenueKind) {
    let app = Router::new().fallback(handle).with_state((shared, venue));
    // A connection that cannot be made quick still works.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(event = "exchange_serve_failed", %error, "the exchange stopped serving");
    }
}

async fn tick(shared: Shared, step: Duration) {
    let mut timer = tokio::time::interval(step);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        timer.tick().await;
        shared.with(|local, now, out| local.advance(now, out));
    }
}

/// The venue by the path, where the path says it; else by the port.
fn venue_of(path: &str, port: VenueKind) -> VenueKind {
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "api" | "sapi" | "ws-api" => VenueKind::Spot,
        "fapi" | "public" | "market" | "private" => VenueKind::Usdm,
        _ => port,
    }
}

async fn handle(
    State((shared, port)): State<(Shared, VenueKind)>,
    request: Request,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let venue = venue_of(&path, port);
    if parts.headers.contains_key(header::UPGRADE) {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade_socket(upgrade, shared, venue, &path, &query),
            Err(rejection) => axum::response::IntoResponse::into_response(rejection),
        };
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "request body too large");
    };
    let Ok(body) = std::str::from_utf8(&body) else {
        return plain(StatusCode::BAD_REQUEST, "request body is not UTF-8");
    };
    if path.starts_with("/evenkeel/") {
        return admin(&shared, parts.method.as_str(), &path, body);
    }
    let text = |name: &str| header_text(&parts.headers, name);
    let request = HttpRequest {
        method: parts.method.as_str(),
        path: &path,
        query: &query,
        body,
        api_key: text("x-mbx-apikey"),
        ip: LOOPBACK,
    };
    let reply = shared.with(|local, now, out| local.http(now, venue, &request, out));
    if reply.delay > Span::ZERO {
        tokio::time::sleep(reply.delay.to_std()).await;
    }
    match reply.answer {
        Some(answer) => http(answer),
        None => {
            tokio::time::sleep(SILENCE).await;
            plain(StatusCode::REQUEST_TIMEOUT, "")
        }
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Faults and state, for people and black-box tests.
fn admin(shared: &Shared, method: &str, path: &str, body: &str) -> Response<Body> {
    let json = |status, body: String| http(HttpAnswer { status, headers: Vec::new(), body });
    match (method, path) {
        ("GET", "/evenkeel/state") => json(200, shared.state()),
        ("POST", "/evenkeel/faults") => match serde_json::from_str::<FaultRule>(body) {
            Ok(rule) => {
                shared.with(|local, now, out| {
                    local.add_fault(now, rule);
                    local.advance(now, out);
                });
                json(200, "{}".to_owned())
            }
            Err(error) => {
                let problem = crate::sim::faces::json::quoted(&format!("fault: {error}"));
                json(400, format!("{{\"error\":{problem}}}"))
            }
        },
        _ => json(404, "{\"error\":\"GET /evenkeel/state or POST /evenkeel/faults\"}".to_owned()),
    }
}

fn upgrade_socket(
    upgrade: WebSocketUpgrade,
    shared: Shared,
    venue: VenueKind,
    path: &str,
    query: &str,
) -> Response<Body> {
    let (link, outgoing) = Link::new();
    match shared.open(venue, path, query, link) {
        Ok(conn) => {
            let abandoned = shared.clone();
            upgrade
                .on_failed_upgrade(move |_| abandoned.close(conn))
                .on_upgrade(move |socket| serve_socket(socket, shared, venue, conn, outgoing))
        }
        Err(answer) => http(answer),
    }
}

fn http(answer: HttpAnswer) -> Response<Body> {
    let html = answer.body.starts_with('<');
    let kind = if html { "text/html" } else { "application/json;charset=UTF-8" };
    let mut response = Response::builder().status(answer.status).header(header::CONTENT_TYPE, kind);
    for (name, value) in answer.headers {
        response = response.header(HeaderName::from_static(name), value);
    }
    response.body(Body::from(answer.body)).expect("faces only make valid headers")
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
