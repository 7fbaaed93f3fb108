//! The driver over real loopback sockets, with a protocol that records what it is told.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

mod end;
mod endpoints;
mod links;
mod tls;
mod wire;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::routing::any;
use evenkeel::domain::{Action, Control, Event, LinkKind, Span, Ts, VenueId};
use evenkeel::engine::{Ending, Engine};
use evenkeel::journal;
use evenkeel::live::{Handle, Live, LiveError, Params, clock, serve};
use evenkeel::venues::{
    Frame, HttpRequest, Method, NoReply, Outbox, Protocol, Reply, Tag, Urgency,
};
use secrecy::SecretString;

const PATIENCE: Duration = Duration::from_secs(10);
const MARKET: LinkKind = LinkKind::Market;

// ---- a protocol that records ----

#[derive(Clone, Debug, PartialEq)]
enum Saw {
    Started,
    Open,
    Text(String),
    Alive,
    Renewed,
    NotRenewed(String),
    Closed(String),
    Reply(u64, Reply),
    Finished,
}

type React = Box<dyn FnMut(&Saw, &mut Outbox) + Send>;

struct Fake {
    saw: Sender<Saw>,
    react: React,
}

impl Fake {
    fn see(&mut self, saw: Saw, out: &mut Outbox) {
        (self.react)(&saw, out);
        // The test may have seen enough and gone.
        drop(self.saw.send(saw).err());
    }
}

impl Protocol for Fake {
    fn start(&mut self, _now: Ts, out: &mut Outbox) {
        self.see(Saw::Started, out);
    }
    fn on_open(&mut self, _link: LinkKind, _now: Ts, out: &mut Outbox) {
        self.see(Saw::Open, out);
    }
    fn on_renewed(&mut self, _link: LinkKind, _now: Ts, out: &mut Outbox) {
        self.see(Saw::Renewed, out);
    }
    fn on_not_renewed(&mut self, _link: LinkKind, _now: Ts, why: &str, out: &mut Outbox) {
        self.see(Saw::NotRenewed(why.to_owned()), out);
    }
    fn on_text(&mut self, _link: LinkKind, _now: Ts, text: &str, out: &mut Outbox) {
        self.see(Saw::Text(text.to_owned()), out);
    }
    fn on_alive(&mut self, _link: LinkKind, _now: Ts, out: &mut Outbox) {
        self.see(Saw::Alive, out);
    }
    fn on_closed(&mut self, _link: LinkKind, _now: Ts, why: &str, out: &mut Outbox) {
        self.see(Saw::Closed(why.to_owned()), out);
    }
    fn on_reply(&mut self, tag: Tag, _now: Ts, reply: Reply, out: &mut Outbox) {
        self.see(Saw::Reply(tag.0, reply), out);
    }
    fn encode(&mut self, _now: Ts, _action: &Action, _out: &mut Outbox) {}
    fn on_timeout(&mut self, _now: Ts, _out: &mut Outbox) {}
    fn next_timeout(&self) -> Option<Ts> {
        None
    }
    fn finish(&mut self, _now: Ts, out: &mut Outbox) {
        self.see(Saw::Finished, out);
    }
}

// ---- a run of the driver ----

struct Run {
    handle: Handle,
    saw: Receiver<Saw>,
    thread: JoinHandle<Result<Ending, LiveError>>,
}

fn params() -> Params {
    let mut params = Params::new(vec![VenueId(0)], vec!["fake".to_owned()]);
    params.shutdown_deadline = Duration::from_millis(100);
    params.link.connect_spacing = Duration::from_millis(10);
    params.stall = PATIENCE;
    params
}

fn start(params: Params, react: impl FnMut(&Saw, &mut Outbox) + Send + 'static) -> Run {
    let (saw, seen) = channel();
    let fake = Fake { saw, react: Box::new(react) };
    let engine = Engine::new(crate::engine::params());
    let (live, handle) =
        Live::new(params, engine, vec![Box::new(fake)], Box::new(|_, _| {})).unwrap();
    let thread = std::thread::spawn(move || live.run());
    Run { handle, saw: seen, thread }
}

impl Run {
    /// The first thing seen that `pick` takes.
    fn wait<T>(&self, pick: impl Fn(Saw) -> Option<T>) -> T {
        let until = clock::instant() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(clock::instant());
            let saw = self.saw.recv_timeout(left).expect("seen in time");
            if let Some(found) = pick(saw) {
                return found;
            }
        }
    }

    fn wait_reply(&self, tag: u64) -> Reply {
        self.wait(|saw| match saw {
            Saw::Reply(t, reply) if t == tag => Some(reply),
            _ => None,
        })
    }

    fn wait_closed(&self) -> String {
        self.wait(|saw| if let Saw::Closed(why) = saw { Some(why) } else { None })
    }

    fn stop(self) -> Ending {
        self.handle.send(Control::Stop).unwrap();
        self.thread.join().unwrap().unwrap()
    }
}

fn connect(url: String) -> Frame {
    Frame::Connect { link: MARKET, url, after: Span::ZERO }
}

fn request(tag: u64, url: String, urgency: Urgency) -> Frame {
    Frame::Http(HttpRequest {
        tag: Tag(tag),
        method: Method::Post,
        url,
        api_key: Some(SecretString::from("key")),
        label: "POST /order",
        timeout: Span::from_ms(300),
        urgency,
    })
}

// ---- venues of all kinds ----

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A web server that lives as long as the test process.
fn venue(router: Router) -> SocketAddr {
    let (listener, address) = listener();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    address
}

fn websocket<F, Fut>(talk: F) -> SocketAddr
where
    F: Fn(WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    venue(Router::new().route(
        "/ws",
        any(move |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(talk) }),
    ))
}

/// A listener that accepts, reads and never answers; hands each request to the test.
fn mute() -> (SocketAddr, Receiver<String>) {
    let (listener, address) = listener();
    let (lines, heard) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            drop(lines.send(text));
            kept.push(stream);
        }
    });
    (address, heard)
}

fn refused() -> SocketAddr {
    listener().1
}
