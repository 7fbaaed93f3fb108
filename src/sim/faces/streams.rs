//! Who listens to which stream: connections, their subscriptions, and the control frames.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::json::{array, object, quoted};
use crate::domain::Ts;

/// A WebSocket connection, numbered by whoever accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What leaves over WebSockets after a call.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Text frames in order.
    pub frames: Vec<(ConnId, Arc<str>)>,
    /// Connections to close after their frames.
    pub closes: Vec<ConnId>,
}

impl Outbox {
    /// One more frame.
    pub fn send(&mut self, conn: ConnId, text: impl Into<Arc<str>>) {
        self.frames.push((conn, text.into()));
    }
}

/// The part of the USD-M stream host a connection opened; spot has only `Any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Everything (spot).
    Any,
    /// Order books and best quotes; also what the old paths without a route still get.
    Public,
    /// Trades, mark prices, tickers.
    Market,
    /// User data by listen key.
    Private,
}

impl Route {
    /// Whether a stream name is served on this route.
    #[must_use]
    pub fn serves(self, name: &str) -> bool {
        // Single trades are not in the documents; clients read them on the public route.
        let book =
            name.contains("@depth") || name.contains("bookTicker") || name.ends_with("@trade");
        let market = name.contains('@') || name.starts_with('!');
        match self {
            Route::Any => true,
            Route::Public => book,
            Route::Market => market && !book,
            Route::Private => !market,
        }
    }
}

#[derive(Debug)]
struct Session {
    route: Route,
    combined: bool,
    names: BTreeSet<String>,
    /// Only these user events, when the connection asked for a choice.
    events: Option<BTreeSet<String>>,
    second: i64,
    incoming: u32,
}

/// The stream connections of one venue.
#[derive(Debug)]
pub struct Hub {
    sessions: BTreeMap<ConnId, Session>,
    listeners: BTreeMap<String, BTreeSet<ConnId>>,
    /// Most frames a client may send in one second.
    incoming_per_second: u32,
}

/// Most streams on one connection.
const MAX_STREAMS: usize = 1024;

impl Hub {
    /// Nobody listens yet.
    #[must_use]
    pub fn new(incoming_per_second: u32) -> Hub {
        Hub { sessions: BTreeMap::new(), listeners: BTreeMap::new(), incoming_per_second }
    }

    /// A new connection with the names in its path; unknown names are taken and stay silent.
    pub fn open(&mut self, conn: ConnId, route: Route, combined: bool, names: &[&str]) {
        let session = Session {
            route,
            combined,
            names: BTreeSet::new(),
            events: None,
            second: 0,
            incoming: 0,
        };
        self.sessions.insert(conn, session);
        for name in names.iter().filter(|name| !name.is_empty()) {
            self.subscribe(conn, name);
        }
    }

    /// Restricts a connection to these user events.
    pub fn only_events(&mut self, conn: ConnId, events: BTreeSet<String>) {
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.events = Some(events);
        }
    }

    /// The connection is gone.
    pub fn close(&mut self, conn: ConnId) {
        for name in self.sessions.remove(&conn).map(|session| session.names).unwrap_or_default() {
            self.forget(conn, &name);
        }
    }

    /// Whether the connection is one of these.
    #[must_use]
    pub fn contains(&self, conn: ConnId) -> bool {
        self.sessions.contains_key(&conn)
    }

    /// All stream connections.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnId> {
        self.sessions.keys().copied().collect()
    }

    /// Counts a frame from the client; false when it sends too many and must be cut off.
    pub fn admit(&mut self, conn: ConnId, now: Ts) -> bool {
        let Some(session) = self.sessions.get_mut(&conn) else { return false };
        let second = now.0.div_euclid(1_000_000_000);
        if session.second != second {
            (session.second, session.incoming) = (second, 0);
        }
        session.incoming += 1;
        session.incoming <= self.incoming_per_second
    }

    /// Whether anybody would receive this stream.
    #[must_use]
    pub fn wanted(&self, name: &str) -> bool {
        self.listeners.contains_key(name)
    }

    /// Names somebody listens to that start with `prefix`.
    pub fn listened<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.listeners
            .range(prefix.to_owned()..)
            .map(|(name, _)| name.as_str())
            .take_while(move |name| name.starts_with(prefix))
    }

    /// Sends a payload to everyone who listens to the stream.
    pub fn publish(&self, name: &str, payload: &str, out: &mut Outbox) {
        self.publish_event(name, None, payload, out);
    }

    /// Sends a user event to everyone who listens to the listen key and wants such events.
    pub fn publish_event(&self, name: &str, event: Option<&str>, payload: &str, out: &mut Outbox) {
        let Some(listeners) = self.listeners.get(name) else { return };
        let raw: Arc<str> = payload.into();
        let wrapped: Arc<str> =
            format!("{{\"stream\":{},\"data\":{payload}}}", quoted(name)).into();
        for conn in listeners {
            let session = &self.sessions[conn];
            let chosen = match (&session.events, event) {
                (Some(events), Some(event)) => events.contains(event),
                _ => true,
            };
            if chosen {
                let frame = if session.combined { &wrapped } else { &raw };
                out.frames.push((*conn, frame.clone()));
            }
        }
    }

    /// Answers a control frame.
    pub fn control(&mut self, conn: ConnId, text: &str) -> String {
        let frame: Value = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => {
                let msg = format!(
                    "Invalid JSON: {} at line {} column {}",
                    "expected value",
                    error.line(),
                    error.column()
                );
                return refusal(3, &msg, "null");
            }
        };
        let id = match frame.get("id") {
            None => "null".to_owned(),
            Some(id @ (Value::Null | Value::String(_) | Value::Number(_))) => id.to_string(),
            Some(_) => {
                return refusal(
                    2,
                    "Invalid request: request ID must be an unsigned integer",
                    "null",
                );
            }
        };
        let Some(method) = frame.get("method").and_then(Value::as_str) else {
            return refusal(2, "Invalid request: missing field `method`", &id);
        };
        let params = frame.get("params").and_then(Value::as_array).cloned().unwrap_or_default();
        self.act(conn, method, &params, &id)
    }

    fn act(&mut self, conn: ConnId, method: &str, params: &[Value], id: &str) -> String {
        let names: Vec<&str> = params.iter().filter_map(Value::as_str).collect();
        let done = |result: &str| object().raw("result", result).raw("id", id).end();
        let Some(session) = self.sessions.get_mut(&conn) else { return done("null") };
        match method {
            "SUBSCRIBE" | "UNSUBSCRIBE" if names.len() != params.len() => {
                refusal(2, "Invalid request: invalid type: expected a string", id)
            }
            "SUBSCRIBE" if session.names.len() + names.len() > MAX_STREAMS => {
                refusal(2, "Invalid request: too many parameters", id)
            }
            "SUBSCRIBE" => {
                for name in names {
                    self.subscribe(conn, name);
                }
                done("null")
            }
            "UNSUBSCRIBE" => {
                for name in names {
                    session_forget(&mut self.sessions, conn, name);
                    self.forget(conn, name);
                }
                done("null")
            }
            "LIST_SUBSCRIPTIONS" => done(&array(session.names.iter().map(|name| quoted(name)))),
            "SET_PROPERTY" => match (names.first(), params.get(1).and_then(Value::as_bool)) {
                (Some(&"combined"), Some(combined)) => {
                    session.combined = combined;
                    done("null")
                }
                (Some(&"combined"), None) => refusal(1, "Invalid value type: expected Boolean", id),
                _ => refusal(0, "Unknown property", id),
            },
            "GET_PROPERTY" => match names.first() {
                Some(&"combined") => done(if session.combined { "true" } else { "false" }),
                _ => refusal(0, "Unknown property", id),
            },
            other => {
                let msg = format!(
                    "Invalid request: unknown variant `{other}`, expected one of `SUBSCRIBE`, \
                     `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
                );
                refusal(2, &msg, id)
            }
        }
    }

    fn subscribe(&mut self, conn: ConnId, name: &str) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        session.names.insert(name.to_owned());
        // A stream of another route is accepted and stays silent, as on the venue.
        if session.route.serves(name) {
            self.listeners.entry(name.to_owned()).or_default().insert(conn);
        }
    }

    fn forget(&mut self, conn: ConnId, name: &str) {
        if let Some(listeners) = self.listeners.get_mut(name) {
            listeners.remove(&conn);
            if listeners.is_empty() {
                self.listeners.remove(name);
            }
        }
    }
}

fn session_forget(sessions: &mut BTreeMap<ConnId, Session>, conn: ConnId, name: &str) {
    if let Some(session) = sessions.get_mut(&conn) {
        session.names.remove(name);
    }
}

fn refusal(code: i32, msg: &str, id: &str) -> String {
    let error = object().int("code", code).text("msg", msg).end();
    object().raw("error", &error).raw("id", id).end()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn frames(hub: &Hub, name: &str) -> Vec<(u64, String)> {
        let mut out = Outbox::default();
        hub.publish(name, "{}", &mut out);
        out.frames.iter().map(|(conn, text)| (conn.0, text.to_string())).collect()
    }

    #[test]
    fn raw_and_combined_connections_get_their_shape() {
        let mut hub = Hub::new(5);
        hub.open(A, Route::Any, false, &["btcusdt@depth", "0"]);
        hub.open(B, Route::Any, true, &[]);
        let reply = hub.control(B, r#"{"method":"SUBSCRIBE","params":["btcusdt@depth"],"id":"x"}"#);
        assert_eq!(reply, r#"{"result":null,"id":"x"}"#);
        let wrapped = r#"{"stream":"btcusdt@depth","data":{}}"#.to_owned();
        assert_eq!(frames(&hub, "btcusdt@depth"), [(1, "{}".to_owned()), (2, wrapped)]);
        hub.control(B, r#"{"method":"SET_PROPERTY","params":["combined",false],"id":2}"#);
        hub.control(A, r#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth"],"id":3}"#);
        assert_eq!(frames(&hub, "btcusdt@depth"), [(2, "{}".to_owned())]);
        hub.close(B);
        assert!(!hub.wanted("btcusdt@depth"));
    }

    #[test]
    fn routes_keep_other_streams_silent() {
        let mut hub = Hub::new(10);
        hub.open(A, Route::Public, false, &["btcusdt@aggTrade", "btcusdt@bookTicker", "key"]);
        assert!(!hub.wanted("btcusdt@aggTrade"));
        assert!(!hub.wanted("key"));
        assert!(hub.wanted("btcusdt@bookTicker"));
        let list = hub.control(A, r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#);
        assert!(list.contains("aggTrade"), "{list}");
        hub.open(B, Route::Private, true, &[]);
        hub.control(B, r#"{"method":"SUBSCRIBE","params":["key"],"id":1}"#);
        assert!(hub.wanted("key"));
    }

    #[test]
    fn bad_control_frames_are_answered() {
        let mut hub = Hub::new(5);
        hub.open(A, Route::Any, false, &[]);
        for (frame, code) in [
            ("nonsense", "\"code\":3"),
            (r#"{"id":1}"#, "missing field `method`"),
            (r#"{"method":"DANCE","id":1}"#, "unknown variant"),
            (r#"{"method":"SUBSCRIBE","params":[5],"id":1}"#, "\"code\":2"),
            (r#"{"method":"SET_PROPERTY","params":["combined","x"],"id":1}"#, "\"code\":1"),
            (r#"{"method":"GET_PROPERTY","params":["speed"],"id":1}"#, "\"code\":0"),
        ] {
            let reply = hub.control(A, frame);
            assert!(reply.contains(code), "{frame} -> {reply}");
        }
    }

    #[test]
    fn too_many_frames_in_a_second_cut_the_connection() {
        let mut hub = Hub::new(5);
        hub.open(A, Route::Any, false, &[]);
        let now = Ts::from_ms(1000);
        assert!((0..5).all(|_| hub.admit(A, now)));
        assert!(!hub.admit(A, now));
        assert!(hub.admit(A, Ts::from_ms(2000)));
    }
}
