//! One websocket: opened with jittered delay, watched for life, bounded in both directions.
//!
//! The driver polls it directly from the trading thread: a frame costs no task switch and no
//! channel. A socket that nothing has woken since it was found empty is left alone: looking clears
//! [`READ_BYTES`], and that of every silent link would push the decision out of the nearest cache.
//! A connection proves its life by any frame; when it is quiet we ping. A peer that has
//! answered a ping once is held to that (`silent_after`); one that never did gets the longer
//! `silent_without_pong`, since venues ping on their own only every 20 s (Binance Spot) or 3 min
//! (USD-M).
//!
//! A link that is told to connect while it is open makes before it breaks: the old connection
//! serves until the new one has been open for [`OVERLAP`], and may be greeted. What it brought meanwhile waits
//! unread and overlaps what the old one told, so that nothing is missed in between; the protocol
//! tells repeats by their sequence. A successor that cannot be opened leaves the old one alone.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use futures_util::{Sink, Stream};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use super::{clock, reach};
use crate::venues::excerpt::excerpt;

/// What one read of a websocket asks for. tungstenite clears as much before every attempt, ready or
/// not, and its own 128 KiB for each link at every turn would cost more than the decision; a longer
/// frame takes more reads.
const READ_BYTES: usize = 8 * 1024;

/// Bounds of every websocket.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For name look-up, TCP, TLS and upgrade together.
    pub connect_timeout: Duration,
    /// Least time between two attempts on one link. Binance allows 300 in 5 minutes an address.
    pub connect_spacing: Duration,
    /// Ping when nothing was heard for this long. Binance Spot allows 5 frames a second from us.
    pub ping_after: Duration,
    /// Close when nothing was heard for this long from a peer that answers pings.
    pub silent_after: Duration,
    /// Close when nothing was heard for this long from a peer that has never answered one.
    pub silent_without_pong: Duration,
    /// Largest message accepted, bytes; a larger one closes the connection.
    pub max_message_bytes: usize,
    /// Most bytes that may wait to be written; more closes the connection.
    pub max_unsent_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(10),
            connect_spacing: Duration::from_secs(1),
            ping_after: Duration::from_secs(1),
            silent_after: Duration::from_secs(10),
            silent_without_pong: Duration::from_secs(240),
            max_message_bytes: 16 << 20,
            max_unsent_bytes: 1 << 20,
        }
    }
}

/// What a websocket has to say.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is open.
    Open,
    /// A text frame.
    Text(Utf8Bytes),
    /// A ping or pong.
    Alive,
    /// A new connection stands beside the old one, and may be greeted.
    Successor,
    /// A new connection has taken the place of the old one, without a gap.
    Renewed,
    /// The old connection serves on: no new one could be opened.
    NotRenewed(String),
    /// It is closed, or could not be opened; nothing follows.
    Closed(String),
}

/// How long both connections of a renewal stand before the old one is dropped: ten depth updates.
const OVERLAP: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Opening = Pin<Box<dyn Future<Output = Result<Socket, String>> + Send>>;

enum State {
    Closed,
    Opening(Opening),
    Open(Box<Socket>),
}

/// The connection that is to take the place of an open one.
enum Successor {
    Opening(Opening),
    Ready(Box<Socket>, Instant),
}

/// Whether something has happened on a socket; passes it on to the driver.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    driver: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.driver.wake();
    }
}

/// One websocket, open, opening or closed.
pub(super) struct Link {
    limits: Limits,
    tls: Arc<ClientConfig>,
    state: State,
    successor: Option<Successor>,
    last_attempt: Option<Instant>,
    last_heard: Instant,
    last_ping: Instant,
    answers_pings: bool,
    unflushed: bool,
    /// Rung by the open socket.
    bell: Arc<Bell>,
    waker: Waker,
}

impl Link {
    pub(super) fn new(limits: Limits, tls: Arc<ClientConfig>) -> Link {
        let now = clock::instant();
        let bell = Arc::new(Bell::default());
        Link {
            limits,
            tls,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            state: State::Closed,
            successor: None,
            last_attempt: None,
            last_heard: now,
            last_ping: now,
            answers_pings: false,
            unflushed: false,
        }
    }

    /// Open a connection after `after` plus jitter. What was opening is dropped; what is open serves
    /// until the new one does.
    pub(super) fn connect(&mut self, url: String, after: Duration) {
        let now = clock::instant();
        let earliest = self.last_attempt.map_or(now, |last| last + self.limits.connect_spacing);
        let wait = jittered(after).max(earliest.saturating_duration_since(now));
        self.last_attempt = Some(now + wait);
        let opening: Opening =
            Box::pin(open(url, wait, self.limits.clone(), Arc::clone(&self.tls)));
        if self.is_open() {
            self.successor = Some(Successor::Opening(opening));
        } else {
            self.state = State::Opening(opening);
        }
    }

    /// Drop the connection; nothing is heard of it any more.
    pub(super) fn close(&mut self) {
        if let State::Open(socket) = &mut self.state {
            // A close frame if the socket takes it at once; dropping closes it in any case.
            let mut cx = Context::from_waker(Waker::noop());
            let socket = Pin::new(&mut **socket);
            if socket.poll_close(&mut cx).is_pending() {
                self.unflushed = false;
            }
        }
        self.state = State::Closed;
        self.successor = None;
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// How long nothing has been heard.
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_heard)
    }

    /// Write a text frame; `false` when the connection is not open.
    ///
    /// What the socket does not take at once waits in a bounded buffer; a full one is heard as
    /// `Closed` at the next poll.
    pub(super) fn send(&mut self, text: String) -> bool {
        self.write(Message::Text(text.into()))
    }

    /// Write a text frame on the connection that is to take over; `false` when there is none. What
    /// its socket does not take at once is written when it does take over.
    pub(super) fn greet(&mut self, text: String) -> bool {
        let Some(Successor::Ready(socket, _)) = &mut self.successor else { return false };
        if let Err(error) = start_write(socket, Message::Text(text.into())) {
            let why = words(&error);
            let failed = Box::pin(std::future::ready(Err(why)));
            self.successor = Some(Successor::Opening(failed));
        }
        true
    }

    fn write(&mut self, message: Message) -> bool {
        let State::Open(socket) = &mut self.state else { return false };
        match start_write(socket, message) {
            Ok(unflushed) => self.unflushed = unflushed,
            Err(error) => self.fail(&error),
        }
        true
    }

    /// Let the next poll hear why.
    fn fail(&mut self, error: &Error) {
        let why = words(error);
        self.successor = None;
        self.state = State::Opening(Box::pin(std::future::ready(Err(why))));
    }

    /// The next thing heard. `now` is the instant that counts as its arrival.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Heard> {
        if let Some(heard) = self.poll_successor(cx, now) {
            return Poll::Ready(heard);
        }
        match &mut self.state {
            State::Closed => Poll::Pending,
            State::Opening(opening) => match opening.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(socket)) => {
                    self.open_with(Box::new(socket), now);
                    Poll::Ready(Heard::Open)
                }
                Poll::Ready(Err(why)) => {
                    self.state = State::Closed;
                    Poll::Ready(Heard::Closed(why))
                }
            },
            State::Open(socket) => {
                // The driver is known before the bell is looked at: a ring in between wakes it.
                self.bell.driver.register(cx.waker());
                if !self.unflushed && !self.bell.rung.swap(false, Ordering::AcqRel) {
                    return Poll::Pending;
                }
                let mut cx = Context::from_waker(&self.waker);
                let mut socket = Pin::new(&mut **socket);
                if self.unflushed {
                    match socket.as_mut().poll_flush(&mut cx) {
                        Poll::Pending => {}
                        Poll::Ready(Ok(())) => self.unflushed = false,
                        Poll::Ready(Err(error)) => return Poll::Ready(self.closed(&error, now)),
                    }
                }
                let heard = socket.poll_next(&mut cx);
                if heard.is_ready() {
                    // More may wait behind it, of which nobody will tell.
                    self.bell.rung.store(true, Ordering::Release);
                }
                match heard {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(self.closed(&Error::ConnectionClosed, now)),
                    Poll::Ready(Some(Err(error))) => Poll::Ready(self.closed(&error, now)),
                    Poll::Ready(Some(Ok(message))) => Poll::Ready(self.heard(message, now)),
                }
            }
        }
    }

    /// The successor, when it takes over or fails.
    fn poll_successor(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<Heard> {
        match self.successor.take()? {
            Successor::Opening(mut opening) => match opening.as_mut().poll(cx) {
                Poll::Pending => self.successor = Some(Successor::Opening(opening)),
                Poll::Ready(Ok(socket)) => {
                    self.successor = Some(Successor::Ready(Box::new(socket), now));
                    return Some(Heard::Successor);
                }
                Poll::Ready(Err(why)) => return Some(Heard::NotRenewed(why)),
            },
            Successor::Ready(socket, since) if now.saturating_duration_since(since) < OVERLAP => {
                self.successor = Some(Successor::Ready(socket, since));
            }
            Successor::Ready(socket, _) => {
                self.close();
                return Some(self.serve(socket, now));
            }
        }
        None
    }

    fn serve(&mut self, socket: Box<Socket>, now: Instant) -> Heard {
        self.open_with(socket, now);
        Heard::Renewed
    }

    fn open_with(&mut self, socket: Box<Socket>, now: Instant) {
        self.state = State::Open(socket);
        self.last_heard = now;
        self.answers_pings = false;
        self.unflushed = false;
        // Whatever waits in it was announced to others.
        self.bell.rung.store(true, Ordering::Release);
        self.ping(now);
    }

    fn closed(&mut self, error: &Error, now: Instant) -> Heard {
        self.gone(words(error), now)
    }

    /// The connection has ended; a successor that is open already takes over at once.
    fn gone(&mut self, why: String, now: Instant) -> Heard {
        self.state = State::Closed;
        match self.successor.take() {
            Some(Successor::Ready(socket, _)) => self.serve(socket, now),
            Some(Successor::Opening(_)) | None => Heard::Closed(why),
        }
    }

    fn heard(&mut self, message: Message, now: Instant) -> Heard {
        self.last_heard = now;
        match message {
            Message::Text(text) => Heard::Text(text),
            // No venue of ours sends binary frames; the protocol is to see and report it.
            Message::Binary(bytes) => {
                Heard::Text(String::from_utf8_lossy(&bytes).into_owned().into())
            }
            Message::Pong(_) => {
                self.answers_pings = true;
                Heard::Alive
            }
            Message::Ping(_) | Message::Frame(_) => Heard::Alive,
            Message::Close(frame) => {
                let why = frame.map_or_else(
                    || "closed by the venue".to_owned(),
                    |f| {
                        format!(
                            "closed by the venue: {} {}",
                            f.code,
                            excerpt(&f.reason).replace(char::is_control, " ")
                        )
                    },
                );
                self.gone(why, now)
            }
        }
    }

    /// Ping a quiet connection; give up a silent one and say so.
    pub(super) fn tick(&mut self, now: Instant) -> Option<String> {
        if !self.is_open() {
            return None;
        }
        let quiet = self.quiet(now);
        let limit = if self.answers_pings {
            self.limits.silent_after
        } else {
            self.limits.silent_without_pong
        };
        if quiet >= limit {
            self.state = State::Closed;
            self.successor = None;
            return Some(format!("silent for {} ms", quiet.as_millis()));
        }
        let since_ping = now.saturating_duration_since(self.last_ping);
        if quiet >= self.limits.ping_after && since_ping >= self.limits.ping_after {
            self.ping(now);
        }
        None
    }

    fn ping(&mut self, now: Instant) {
        self.last_ping = now;
        self.write(Message::Ping(Bytes::new()));
    }
}

/// Whether something of it, or from before it, is still unwritten.
fn start_write(socket: &mut Socket, message: Message) -> Result<bool, Error> {
    let mut socket = Pin::new(socket);
    let mut cx = Context::from_waker(Waker::noop());
    socket.as_mut().start_send(message)?;
    // Pending is finished by the next poll, which has a real waker.
    match socket.poll_flush(&mut cx) {
        Poll::Ready(flushed) => flushed.map(|()| false),
        Poll::Pending => Ok(true),
    }
}

async fn open(
    url: String,
    wait: Duration,
    limits: Limits,
    tls: Arc<ClientConfig>,
) -> Result<Socket, String> {
    tokio::time::sleep(wait).await;
    let timeout = limits.connect_timeout;
    tokio::time::timeout(timeout, shake_hands(url, limits, tls))
        .await
        .unwrap_or_else(|_| Err(format!("no connection within {} ms", timeout.as_millis())))
}

async fn shake_hands(
    url: String,
    limits: Limits,
    tls: Arc<ClientConfig>,
) -> Result<Socket, String> {
    let uri: Uri = url.parse().map_err(|_| "the websocket URL cannot be read".to_owned())?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().ok_or("the websocket URL names no host")?;
    reach::permitted(scheme, host)?;
    let port = uri.port_u16().unwrap_or(if scheme == "wss" { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((bare, port))
        .await
        .map_err(|e| format!("cannot connect to {host}:{port}: {e}"))?;
    tcp.set_nodelay(true).map_err(|e| format!("cannot set TCP_NODELAY: {e}"))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.max_unsent_bytes)
        .max_message_size(Some(limits.max_message_bytes))
        .max_frame_size(Some(limits.max_message_bytes));
    let connector = Some(Connector::Rustls(tls));
    tokio_tungstenite::client_async_tls_with_config(&uri, tcp, Some(config), connector)
        .await
        .map(|(socket, _)| socket)
        .map_err(|e| format!("{host}:{port}: {}", words(&e)))
}

/// An error in words that hold nothing of the URL and no more than a line of the peer's.
fn words(error: &Error) -> String {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "connection closed".to_owned(),
        Error::Io(e) => format!("connection broken: {e}"),
        Error::Tls(e) => format!("TLS: {e}"),
        Error::Capacity(e) => format!("message too large: {e}"),
        Error::Protocol(e) => format!("websocket protocol broken by the venue: {e}"),
        Error::WriteBufferFull(_) => "unsent frames fill their buffer".to_owned(),
        Error::Utf8(_) => "a text frame is not UTF-8".to_owned(),
        Error::Http(response) => format!("upgrade refused with HTTP {}", response.status()),
        Error::AttackAttempt | Error::Url(_) | Error::HttpFormat(_) => {
            "the handshake could not be made".to_owned()
        }
    }
}

/// Between half and one and a half times `wait`, so that many links do not return as one.
fn jittered(wait: Duration) -> Duration {
    // A fresh RandomState is the operating system's randomness by way of the standard library.
    let random = RandomState::new().build_hasher().finish();
    let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
    wait.mul_f64(0.5 + unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_spreads_around_the_wait() {
        let waits: Vec<Duration> =
            (0..200).map(|_| jittered(Duration::from_millis(1000))).collect();
        assert!(waits.iter().all(|w| (500..=1500).contains(&w.as_millis())));
        let distinct = waits.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(distinct > 150, "{distinct}");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
