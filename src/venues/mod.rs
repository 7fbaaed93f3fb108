//! How does each exchange speak? Bytes in, events out; actions in, bytes out; no socket anywhere.
//!
//! A [`Protocol`] is one venue's whole session as pure state: it asks for connections, reads what
//! arrives on them, keeps sequences, clocks and listen keys, and says when it next wants to be
//! woken. Whoever drives it owns sockets, clock and randomness.

use std::fmt;

use secrecy::SecretString;

use crate::domain::{Action, Event, InstrumentId, LinkKind, Span, TradesFrom, Ts};

pub mod binance;
pub mod excerpt;

/// Names one HTTP request until its reply comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create.
    Post,
    /// Change.
    Put,
    /// Remove.
    Delete,
}

/// How soon a request must leave when several wait. Cancels overtake everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Cancels.
    Cancel,
    /// Orders, hedges first come first served.
    Order,
    /// Everything else.
    Background,
}

/// A request, ready to be written. Parameters are in the URL; the body is always empty.
#[derive(Clone)]
pub struct HttpRequest {
    /// Returned with the reply.
    pub tag: Tag,
    /// Method.
    pub method: Method,
    /// Absolute URL with the signed query. It holds a signature: never log it.
    pub url: String,
    /// Value of the API key header, when the endpoint asks for one.
    pub api_key: Option<SecretString>,
    /// What to call the request in logs: method and path without the query.
    pub label: &'static str,
    /// How long to wait for the reply before its fate is unknown.
    pub timeout: Span,
    /// How soon it must leave.
    pub urgency: Urgency,
}

impl fmt::Debug for HttpRequest {
    /// Shows the label only: the URL carries a signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({:?} {})", self.tag, self.label)
    }
}

/// Why a request has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The request never left this process (connection refused, queue full): certain failure.
    NotSent(String),
    /// It may have arrived: time ran out or the connection broke after sending began.
    Lost(String),
}

/// A reply as received, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status, headers of interest and body, or why there is none.
    pub outcome: Result<HttpReply, NoReply>,
    /// When the request was written.
    pub sent_at: Ts,
}

/// A complete HTTP reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// `X-MBX-USED-WEIGHT-1M`, where present.
    pub used_weight_1m: Option<u32>,
    /// `X-MBX-ORDER-COUNT-10S`, where present.
    pub order_count_10s: Option<u32>,
    /// `Retry-After` in seconds, where present.
    pub retry_after_s: Option<u32>,
    /// The body.
    pub body: String,
}

/// What a protocol wants done on the wire.
#[derive(Clone)]
pub enum Frame {
    /// Open a websocket. One that is open under the same link serves until the new one does, and
    /// is then dropped: `on_successor` and `on_renewed` follow, or `on_not_renewed` when there is no
    /// new one. A driver that cannot keep two at once may replace the first at once, with `on_open`.
    Connect {
        /// The name of the connection.
        link: LinkKind,
        /// `ws://` or `wss://`; may hold a listen key: never log the query or the last segment.
        url: String,
        /// Wait this long first; the driver adds jitter.
        after: Span,
    },
    /// Close a websocket; no `on_closed` follows for it.
    Close {
        /// Which.
        link: LinkKind,
    },
    /// Send a text frame.
    Text {
        /// On which connection.
        link: LinkKind,
        /// The text; may hold a signature: never log it.
        text: String,
    },
    /// Send a text frame on the websocket that is to take the place of the open one.
    Greeting {
        /// Of which connection.
        link: LinkKind,
        /// The text; may hold a signature: never log it.
        text: String,
    },
    /// Send a request.
    Http(HttpRequest),
}

impl fmt::Debug for Frame {
    /// Shows what is done on which connection only: addresses hold listen keys, texts signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Connect { link, after, .. } => write!(f, "Connect({link:?} after {after:?})"),
            Frame::Close { link } => write!(f, "Close({link:?})"),
            Frame::Text { link, .. } => write!(f, "Text({link:?})"),
            Frame::Greeting { link, .. } => write!(f, "Greeting({link:?})"),
            Frame::Http(request) => request.fmt(f),
        }
    }
}

/// What a protocol has to say after one input.
#[derive(Debug, Default)]
pub struct Outbox {
    /// For the core, in order.
    pub events: Vec<Event>,
    /// For the wire, in order.
    pub frames: Vec<Frame>,
}

/// In which order the decisions of one step leave: cancels first, those of one instrument side by
/// side, so that they can share requests; the rest as it was decided.
#[must_use]
pub fn wire_order(action: &Action) -> (bool, InstrumentId) {
    match action {
        Action::Cancel { instrument, .. } => (false, *instrument),
        _ => (true, InstrumentId(0)),
    }
}

/// One venue's session, bytes in and bytes out. Synchronous, deterministic, without IO.
///
/// Nothing here fails: what cannot be read becomes [`Event::Garbled`] and invalidates whatever it
/// concerned, so that a bad message never stops trading elsewhere and is never lost.
pub trait Protocol: Send {
    /// Called before `start` when an earlier session goes on: read our trades from there on,
    /// not only new ones. A venue without such a list does nothing.
    fn resume_trades(&mut self, _from: &[(InstrumentId, TradesFrom)]) {}
    /// Called once: ask for the clock, exchange information, account mode, connections.
    fn start(&mut self, now: Ts, out: &mut Outbox);
    /// A websocket is open.
    fn on_open(&mut self, link: LinkKind, now: Ts, out: &mut Outbox);
    /// The websocket that is to take the place of the open one stands, unread until it does: what
    /// has to be said first on it goes by [`Frame::Greeting`].
    fn on_successor(&mut self, _link: LinkKind, _now: Ts, _out: &mut Outbox) {}
    /// A new websocket has taken the place of the open one without a gap; what the old one told
    /// last may be told again.
    fn on_renewed(&mut self, link: LinkKind, now: Ts, out: &mut Outbox);
    /// No new websocket could be opened in place of the open one, which serves on.
    fn on_not_renewed(&mut self, link: LinkKind, now: Ts, why: &str, out: &mut Outbox);
    /// A text frame arrived.
    fn on_text(&mut self, link: LinkKind, now: Ts, text: &str, out: &mut Outbox);
    /// A ping or pong arrived: proof of life without data.
    fn on_alive(&mut self, link: LinkKind, now: Ts, out: &mut Outbox);
    /// A websocket closed or could not be opened.
    fn on_closed(&mut self, link: LinkKind, now: Ts, why: &str, out: &mut Outbox);
    /// The reply to a request, or the reason that there is none.
    fn on_reply(&mut self, tag: Tag, now: Ts, reply: Reply, out: &mut Outbox);
    /// Turn a decision into bytes.
    fn encode(&mut self, now: Ts, action: &Action, out: &mut Outbox);
    /// Turn the first of these decisions into bytes, with as many of the next as the venue takes
    /// in the same request; how many that were, at least one where there is one.
    fn encode_many(&mut self, now: Ts, actions: &[&Action], out: &mut Outbox) -> usize {
        let Some(first) = actions.first() else { return 0 };
        self.encode(now, first, out);
        1
    }
    /// The instant given by `next_timeout` has come.
    fn on_timeout(&mut self, now: Ts, out: &mut Outbox);
    /// When to call `on_timeout`.
    fn next_timeout(&self) -> Option<Ts>;
    /// Frames and events read but of no interest, so that "we ignored it" can be counted.
    fn ignored(&self) -> u64 {
        0
    }
    /// Take back what the venue was told to do in our absence (dead-man switch); called last.
    fn finish(&mut self, now: Ts, out: &mut Outbox);
}
