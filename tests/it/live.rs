//! The driver over real loopback sockets, with a protocol that records what it is told.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

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

#[derive(Clone, Debug)]
enum Saw {
    Started,
    Open,
    Text(String),
    Alive,
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

// ---- the wire ----

#[test]
fn a_frame_in_makes_a_request_out_and_its_reply_comes_back() {
    let order = |headers: HeaderMap| async move {
        let key = headers.get("x-mbx-apikey").and_then(|k| k.to_str().ok()).unwrap_or("none");
        ([("x-mbx-used-weight-1m", "17"), ("x-mbx-order-count-10s", "3")], format!("key={key}"))
    };
    let talk = |mut socket: WebSocket| async move {
        socket.send(Message::Text("tick".into())).await.unwrap();
        while let Some(Ok(message)) = socket.recv().await {
            if let Message::Text(text) = message {
                socket.send(Message::Text(format!("echo {text}").into())).await.unwrap();
            }
        }
    };
    let address = venue(
        Router::new()
            .route("/order", any(order))
            .route("/ws", any(move |u: WebSocketUpgrade| async move { u.on_upgrade(talk) })),
    );
    let run = start(params(), move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{address}/ws"))),
        Saw::Open => out.frames.push(Frame::Text { link: MARKET, text: "subscribe".to_owned() }),
        Saw::Text(text) if text == "tick" => {
            let url = format!("http://{address}/order?symbol=X&signature=abc");
            out.frames.push(request(7, url, Urgency::Order));
        }
        _ => {}
    });
    let reply = run.wait_reply(7);
    assert!(reply.sent_at > Ts::from_ms(1_600_000_000_000));
    let reply = reply.outcome.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "key=key"));
    assert_eq!((reply.used_weight_1m, reply.order_count_10s), (Some(17), Some(3)));
    let deadline = clock::instant() + PATIENCE;
    while run.handle.snapshot().is_none_or(|s| s.driver.tick_to_wire_count == 0) {
        assert!(clock::instant() < deadline, "the latency of the order is never counted");
        std::thread::yield_now();
    }
    assert!(matches!(run.stop(), Ending::MaybeLeft { .. }));
}

#[test]
fn text_sent_on_a_link_arrives_and_pings_are_answered_with_their_payload() {
    let (pongs, answered) = channel();
    let talk = move |mut socket: WebSocket| {
        let pongs = pongs.clone();
        async move {
            socket.send(Message::Ping("payload".into())).await.unwrap();
            while let Some(Ok(message)) = socket.recv().await {
                if let Message::Pong(payload) = message {
                    drop(pongs.send(payload));
                }
            }
        }
    };
    let address = websocket(talk);
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    run.wait(|saw| matches!(saw, Saw::Alive).then_some(()));
    assert_eq!(&answered.recv_timeout(PATIENCE).unwrap()[..], b"payload");
    run.stop();
}

#[test]
fn an_unanswered_request_is_lost_and_never_sent_again() {
    let (address, heard) = mute();
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            let url = format!("http://{address}/order?signature=abc");
            out.frames.push(request(1, url, Urgency::Order));
        }
    });
    let Err(NoReply::Lost(why)) = run.wait_reply(1).outcome else { panic!("not lost") };
    assert!(why.contains("no reply in time") && !why.contains("signature"), "{why}");
    let request = heard.recv_timeout(PATIENCE).unwrap();
    assert!(request.starts_with("POST /order?signature=abc HTTP/1.1"), "{request}");
    // Front ends of venues answer 411 to a POST without a length.
    assert!(request.contains("content-length: 0"), "{request}");
    run.stop();
    assert!(heard.try_recv().is_err(), "sent twice");
}

#[test]
fn a_connection_cut_after_the_request_is_lost() {
    let (listener, address) = listener();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut buffer = [0; 4096];
            drop(stream.unwrap().read(&mut buffer));
        }
    });
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
    });
    assert!(matches!(run.wait_reply(1).outcome, Err(NoReply::Lost(_))));
    run.stop();
}

#[test]
fn a_refused_connection_is_certain_failure() {
    let address = refused();
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            let url = format!("http://{address}/order?signature=abc");
            out.frames.push(request(1, url, Urgency::Order));
        }
    });
    let Err(NoReply::NotSent(why)) = run.wait_reply(1).outcome else { panic!("not refused") };
    assert!(!why.contains("signature"), "{why}");
    run.stop();
}

#[test]
fn a_cancel_does_not_wait_for_unanswered_orders() {
    let (mute, _heard) = mute();
    let address = venue(Router::new().route("/cancel", any(|| async { "done" })));
    let mut params = params();
    params.http.orders = 2;
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            for tag in 1..=3 {
                out.frames.push(request(tag, format!("http://{mute}/order"), Urgency::Order));
            }
            out.frames.push(request(9, format!("http://{address}/cancel"), Urgency::Cancel));
        }
    });
    let Err(NoReply::NotSent(_)) = run.wait_reply(3).outcome else {
        panic!("orders must not wait")
    };
    assert_eq!(run.wait_reply(9).outcome.unwrap().body, "done");
    assert!(matches!(run.wait_reply(1).outcome, Err(NoReply::Lost(_))), "still out at that time");
    run.stop();
}

#[test]
fn a_body_beyond_the_bound_is_not_read() {
    let address = venue(Router::new().route("/order", any(|| async { "x".repeat(10_000) })));
    let mut params = params();
    params.http.max_body_bytes = 9_999;
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
    });
    let Err(NoReply::Lost(why)) = run.wait_reply(1).outcome else { panic!("was read") };
    assert!(why.contains("9999 bytes"), "{why}");
    run.stop();
}

#[test]
fn redirects_are_handed_over_and_not_followed() {
    let moved = || async { (axum::http::StatusCode::FOUND, [("location", "/elsewhere")], "") };
    let elsewhere = || async { "followed" };
    let router = Router::new().route("/order", any(moved)).route("/elsewhere", any(elsewhere));
    let address = venue(router);
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
    });
    assert_eq!(run.wait_reply(1).outcome.unwrap().status, 302);
    run.stop();
}

#[test]
fn a_flood_of_frames_keeps_neither_replies_nor_commands_away() {
    let talk = |mut socket: WebSocket| async move {
        let tick = "x".repeat(200);
        while socket.send(Message::Text(tick.clone().into())).await.is_ok() {}
    };
    let flood = websocket(talk);
    let address = venue(Router::new().route("/order", any(|| async { "done" })));
    let mut flooded = false;
    let run = start(params(), move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{flood}/ws"))),
        Saw::Text(_) if !flooded => {
            flooded = true;
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
        _ => {}
    });
    assert_eq!(run.wait_reply(1).outcome.unwrap().body, "done");
    run.stop();
}

// ---- links ----

#[test]
fn a_silent_link_is_closed_and_said_to_be_silent() {
    // Upgrades, then neither sends nor answers pings.
    let address = websocket(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    });
    let mut params = params();
    params.link.ping_after = Duration::from_millis(20);
    params.link.silent_without_pong = Duration::from_millis(150);
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    let why = run.wait_closed();
    assert!(why.starts_with("silent for"), "{why}");
    run.stop();
}

#[test]
fn a_quiet_link_that_answers_pings_stays_open() {
    let address = websocket(|mut socket| async move { while socket.recv().await.is_some() {} });
    let mut params = params();
    params.link.ping_after = Duration::from_millis(20);
    params.link.silent_after = Duration::from_secs(5);
    params.link.silent_without_pong = Duration::from_secs(5);
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    for _ in 0..5 {
        run.wait(|saw| match saw {
            Saw::Alive => Some(()),
            Saw::Closed(why) => panic!("closed: {why}"),
            _ => None,
        });
    }
    run.stop();
}

#[test]
fn an_oversized_message_closes_the_link() {
    let address = websocket(|mut socket| async move {
        drop(socket.send(Message::Text("x".repeat(100_000).into())).await);
        std::future::pending::<()>().await;
    });
    let mut params = params();
    params.link.max_message_bytes = 50_000;
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    let why = run.wait_closed();
    assert!(why.starts_with("message too large"), "{why}");
    run.stop();
}

#[test]
fn reconnects_wait_as_told_and_as_bounded() {
    let address = websocket(|socket| async move { drop(socket) });
    let mut params = params();
    params.link.connect_spacing = Duration::from_millis(30);
    let run = start(params, move |saw, out| {
        let after = match saw {
            Saw::Started => Span::ZERO,
            Saw::Closed(_) => Span::from_ms(100),
            _ => return,
        };
        let url = format!("ws://{address}/ws");
        out.frames.push(Frame::Connect { link: MARKET, url, after });
    });
    run.wait_closed();
    let first = clock::instant();
    run.wait_closed();
    let waited = first.elapsed();
    assert!(waited >= Duration::from_millis(50), "half of 100 ms at least: {waited:?}");
    run.stop();
}

#[test]
fn attempts_are_spaced_even_when_the_protocol_does_not_wait() {
    let address = refused();
    let mut params = params();
    params.link.connect_spacing = Duration::from_millis(40);
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started | Saw::Closed(_)) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    let why = run.wait_closed();
    assert!(why.contains("cannot connect"), "{why}");
    let first = clock::instant();
    for _ in 0..5 {
        run.wait_closed();
    }
    assert!(first.elapsed() >= Duration::from_millis(160), "{:?}", first.elapsed());
    run.stop();
}

#[test]
fn plain_websockets_to_others_are_refused_without_telling_the_url() {
    let run = start(params(), |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect("ws://192.0.2.1:9/ws/listen-key".to_owned()));
        }
    });
    let why = run.wait_closed();
    assert!(why.contains("plain ws") && !why.contains("listen-key"), "{why}");
    run.stop();
}

#[test]
fn market_data_that_waited_out_a_standstill_is_not_traded_on() {
    let address = websocket(|mut socket| async move {
        drop(socket.send(Message::Text("tick".into())).await);
        while socket.recv().await.is_some() {}
    });
    let mut params = params();
    params.stall = Duration::from_millis(200);
    let run = start(params, move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{address}/ws"))),
        // Stands still, as a stopped process or a paused host would.
        Saw::Text(_) => std::thread::sleep(Duration::from_millis(300)),
        _ => {}
    });
    let why = run.wait_closed();
    assert!(why.starts_with("this process stood still"), "{why}");
    run.stop();
}

// ---- the end ----

#[test]
fn stopping_twice_neither_skips_nor_prolongs_and_an_unverified_end_keeps_the_dead_man_armed() {
    let mut params = params();
    params.shutdown_deadline = Duration::from_millis(300);
    let run = start(params, |_, _| {});
    run.wait(|saw| matches!(saw, Saw::Started).then_some(()));
    let asked = clock::instant();
    run.handle.send(Control::Stop).unwrap();
    run.handle.send(Control::Stop).unwrap();
    let ending = run.thread.join().unwrap().unwrap();
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(290), "the second request skipped the end: {took:?}");
    assert!(matches!(ending, Ending::MaybeLeft { .. }), "{ending:?}");
    assert!(!run.saw.iter().any(|saw| matches!(saw, Saw::Finished)), "finish disarms");
}

#[test]
fn sigterm_asks_for_an_orderly_end() {
    let mut params = params();
    params.signals = true;
    let run = start(params, |_, _| {});
    run.wait(|saw| matches!(saw, Saw::Started).then_some(()));
    for _ in 0..2 {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }
    assert!(matches!(run.thread.join().unwrap(), Ok(Ending::MaybeLeft { .. })));
}

#[test]
fn a_panic_is_a_bug_with_words_and_no_abort() {
    let run = start(params(), |saw, _| {
        assert!(!matches!(saw, Saw::Started), "as planned by the test");
    });
    let Err(LiveError::Bug(text)) = run.thread.join().unwrap() else { panic!("no bug") };
    assert!(text.contains("as planned"), "{text}");
}

#[test]
fn every_step_is_in_the_journal_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut params = params();
    let header = journal::Header::new(5, "hash");
    params.journal = Some((journal::Params::new(dir.path()), header));
    let run = start(params, |_, _| {});
    run.handle.send(Control::Pause).unwrap();
    run.handle.send(Control::Resume).unwrap();
    run.stop();
    let records: Vec<_> =
        journal::Reader::open(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
    let events: Vec<Event> = records.iter().flat_map(|(_, r)| r.inbox.clone()).collect();
    let control = |control| Event::Control(control);
    let wanted = [control(Control::Pause), control(Control::Resume), control(Control::Stop)];
    assert_eq!(events, wanted);
    assert!(records.iter().all(|(epoch, _)| *epoch == 5));
    let seqs: Vec<u64> = records.iter().map(|(_, r)| r.seq).collect();
    assert_eq!(seqs, (1..=records.len() as u64).collect::<Vec<_>>());
    assert!(records.windows(2).all(|pair| pair[0].1.now < pair[1].1.now));
}

// ---- the endpoints ----

fn serving(token: Option<&str>) -> Run {
    let mut params = params();
    params.serve = Some(serve::Params {
        listen: "127.0.0.1:0".parse().unwrap(),
        token: token.map(SecretString::from),
        hosts: vec!["desk.example".to_owned()],
        page: None,
    });
    let run = start(params, |_, _| {});
    let until = clock::instant() + PATIENCE;
    while run.handle.snapshot().is_none() {
        assert!(clock::instant() < until, "no snapshot");
        std::thread::yield_now();
    }
    run
}

/// Status code and the whole reply.
fn ask(run: &Run, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(run.handle.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = request.replace('\n', "\r\n");
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let code = reply.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, reply)
}

#[test]
fn only_the_bearer_of_the_token_may_act() {
    let run = serving(Some("right"));
    let post = |path: &str, auth: &str| {
        ask(
            &run,
            &format!("POST /control/{path} HTTP/1.1\nHost: localhost\nContent-Length: 0{auth}"),
        )
    };
    assert_eq!(post("pause", "").0, 401);
    assert_eq!(post("pause", "\nAuthorization: Bearer wrong").0, 401);
    assert_eq!(post("pause", "\nAuthorization: Basic right").0, 401);
    assert_eq!(post("pause", "\nAuthorization: Bearer right").0, 202);
    assert_eq!(post("kill", "\nAuthorization: Bearer right").0, 202);
    assert_eq!(post("reload", "\nAuthorization: Bearer right").0, 501);
    assert_eq!(post("dance", "\nAuthorization: Bearer right").0, 404);
    let get = "GET /control/pause HTTP/1.1\nHost: localhost\nAuthorization: Bearer right";
    assert_eq!(ask(&run, get).0, 405);
    run.stop();
}

#[test]
fn without_a_token_nothing_acts() {
    let run = serving(None);
    let request = "POST /control/kill HTTP/1.1\nHost: localhost\nAuthorization: Bearer ";
    assert_eq!(ask(&run, request).0, 401);
    run.stop();
}

#[test]
fn foreign_hosts_and_origins_are_refused_even_with_the_token() {
    let run = serving(Some("right"));
    let get = |headers: &str| ask(&run, &format!("GET /status HTTP/1.1{headers}")).0;
    assert_eq!(get("\nHost: 127.0.0.1:8080"), 200);
    assert_eq!(get("\nHost: [::1]"), 200);
    assert_eq!(get("\nHost: desk.example"), 200);
    assert_eq!(get("\nHost: evil.example"), 403);
    assert_eq!(get("\nHost: localhost.evil.example"), 403);
    assert_eq!(get("\nHost: localhost\nOrigin: http://evil.example"), 403);
    assert_eq!(get("\nHost: localhost\nOrigin: null"), 403);
    assert_eq!(get("\nHost: localhost\nOrigin: http://localhost:9000"), 200);
    let post = |headers: &str| {
        let auth = "Authorization: Bearer right\nContent-Length: 0";
        ask(&run, &format!("POST /control/pause HTTP/1.1\n{auth}{headers}")).0
    };
    assert_eq!(post("\nHost: evil.example"), 403);
    assert_eq!(post("\nHost: localhost\nOrigin: https://evil.example"), 403);
    run.stop();
}

#[test]
fn kill_takes_flatten_and_nothing_else() {
    let run = serving(Some("right"));
    let kill = |body: &str| {
        let mut stream = TcpStream::connect(run.handle.address().unwrap()).unwrap();
        let length = body.len();
        let head = "POST /control/kill HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let auth = "Authorization: Bearer right\r\n";
        let text = format!("{head}{auth}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()).unwrap()
    };
    assert_eq!(kill(r#"{"flatten":true}"#), 202);
    assert_eq!(kill(r#"{"flaten":true}"#), 400);
    assert_eq!(kill("yes"), 400);
    assert_eq!(kill(&"x".repeat(5000)), 413);
    run.stop();
}

#[test]
fn health_readiness_status_and_metrics_answer() {
    let run = serving(None);
    let get = |path: &str| ask(&run, &format!("GET {path} HTTP/1.1\nHost: localhost"));
    assert_eq!(get("/healthz").0, 200);
    let (code, text) = get("/readyz");
    assert_eq!(code, 503);
    assert!(text.contains("STARTING"), "{text}");
    let (code, text) = get("/status");
    assert_eq!(code, 200);
    let body = text.split("\r\n\r\n").nth(1).unwrap();
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["state"], "STARTING");
    assert_eq!(status["driver"]["log_lines_lost"], 0);
    let (code, text) = get("/metrics");
    assert_eq!(code, 200);
    for name in ["evenkeel_steps_total", "evenkeel_tick_to_wire_seconds{quantile=\"0.99\"}"] {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert_eq!(get("/nothing").0, 404);
    run.stop();
}

#[test]
fn an_address_open_to_others_needs_a_token() {
    let mut params = params();
    params.serve = Some(serve::Params {
        listen: "0.0.0.0:0".parse().unwrap(),
        token: None,
        hosts: Vec::new(),
        page: None,
    });
    let engine = Engine::new(crate::engine::params());
    let (saw, _seen) = channel();
    let fake = Fake { saw, react: Box::new(|_, _| {}) };
    let outcome = Live::new(params, engine, vec![Box::new(fake)], Box::new(|_, _| {}));
    let Err(LiveError::Config(text)) = outcome else { panic!("was accepted") };
    assert!(text.contains("token"), "{text}");
}

#[test]
fn endpoints_that_are_not_asked_for_do_not_exist() {
    let run = start(params(), |_, _| {});
    assert_eq!(run.handle.address(), None);
    run.stop();
}

// ---- TLS ----

fn tls_file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls")).join(name)
}

/// An encrypted venue that answers every request with `{}`, websocket upgrades included. Its
/// certificate is for localhost and 127.0.0.1, by an authority that only the tests know.
fn tls_venue(host: &str) -> u16 {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::pem_file_iter(tls_file("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, tcp.unwrap());
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                drop(stream.write_all(reply).and_then(|()| stream.flush()).err());
            }
        }
    });
    port
}

fn encrypted(ca_files: Vec<std::path::PathBuf>, host: &str) -> (Result<u16, NoReply>, String) {
    let mut params = params();
    params.ca_files = ca_files;
    params.link.connect_spacing = PATIENCE;
    let authority = format!("{host}:{}", tls_venue(host));
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("https://{authority}/order"), Urgency::Order));
        }
        if matches!(saw, Saw::Reply(..)) {
            out.frames.push(connect(format!("wss://{authority}/ws")));
        }
    });
    let reply = run.wait_reply(1).outcome.map(|reply| reply.status);
    let why = run.wait_closed();
    run.stop();
    (reply, why)
}

#[test]
fn a_private_authority_is_trusted_when_configured() {
    for host in ["localhost", "127.0.0.1"] {
        let (reply, why) = encrypted(vec![tls_file("ca.pem")], host);
        assert_eq!(reply, Ok(200));
        assert!(why.contains("upgrade refused with HTTP 200"), "{why}");
    }
}

#[test]
fn an_unknown_authority_or_a_wrong_name_is_certain_failure() {
    for (ca_files, host) in [(Vec::new(), "localhost"), (vec![tls_file("ca.pem")], "127.0.0.2")] {
        let (reply, why) = encrypted(ca_files, host);
        assert!(matches!(reply, Err(NoReply::NotSent(_))), "{host}: {reply:?}");
        assert!(why.contains("certificate"), "{host}: {why}");
    }
}
