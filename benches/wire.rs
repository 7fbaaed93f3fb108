//! Tick to wire: from a frame leaving the venue to its first order request arriving there, against
//! the floor that the same libraries set without us.
//!
//! Floor: a bare tokio-tungstenite read, then a bare reqwest send of a fixed request on a warm
//! connection, on a current-thread runtime. Evenkeel: the whole driver, journal included, with the
//! protocols and the engine that are handed to [`evenkeel_client`]. Both answer the same venue in
//! the same process, one tick each in turn, so that whatever else the machine does hits both.
//!
//! `cargo bench --bench wire [-- --quick]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use evenkeel::domain::{Action, Control, LinkKind, Span, Ts, VenueId};
use evenkeel::engine::Engine;
use evenkeel::journal;
use evenkeel::live::{Handle, Live, Params};
use evenkeel::venues::{Frame, HttpRequest, Method, Outbox, Protocol, Reply, Tag, Urgency};
use futures_util::StreamExt;
use secrecy::SecretString;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

const TICK: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"25000.35","B":"31.21","a":"25000.36","A":"40.66"}}"#;
const ORDER: &str = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.001\
    &price=25000.35&newClientOrderId=ek0000000000001&timestamp=1795000000000\
    &signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
/// Between ticks, so that every thread sleeps when the next one comes, as in a live market.
const PAUSE: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// A venue on this machine: a websocket that ticks when told and an HTTP server that says when a
/// request arrived.
struct Venue {
    ticks: TcpListener,
    http: SocketAddr,
    arrivals: Receiver<Instant>,
}

impl Venue {
    fn open() -> Venue {
        let ticks = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = listener.local_addr().unwrap();
        let (arrived, arrivals) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let arrived = arrived.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &arrived));
            }
        });
        Venue { ticks, http, arrivals }
    }

    fn ws_url(&self) -> String {
        format!("ws://{}/ws", self.ticks.local_addr().unwrap())
    }

    fn order_url(&self) -> String {
        format!("http://{}{ORDER}", self.http)
    }

    fn accept(&self) -> WebSocket<TcpStream> {
        let stream = self.ticks.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        accept(stream).unwrap()
    }

    /// Send one tick; nanoseconds until the first order request has arrived.
    fn tick(&self, socket: &mut WebSocket<TcpStream>, text: &str) -> u64 {
        while self.arrivals.try_recv().is_ok() {}
        let sent = Instant::now();
        socket.send(Message::text(text)).unwrap();
        let arrived = self.arrivals.recv_timeout(PATIENCE).expect("every tick makes an order");
        u64::try_from(arrived.duration_since(sent).as_nanos()).unwrap()
    }
}

/// Answer every request of a connection; report those that are no reads.
fn answer(mut stream: TcpStream, arrived: &Sender<Instant>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut held = 0;
    while let Ok(count) = stream.read(&mut buffer[held..]) {
        let now = Instant::now();
        if count == 0 {
            return;
        }
        held += count;
        if !buffer[..held].ends_with(b"\r\n\r\n") {
            continue;
        }
        if !buffer.starts_with(b"GET") && arrived.send(now).is_err() {
            return;
        }
        held = 0;
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        if stream.write_all(reply).is_err() {
            return;
        }
    }
}

/// The floor: read a frame, send the fixed request.
fn floor_client(ws: &str, order: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
        let tls = evenkeel::live::reach::client_config(&[]).unwrap();
        let client = client.tls_backend_preconfigured((*tls).clone()).build().unwrap();
        let (mut socket, _) = tokio_tungstenite::connect_async(ws).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                let request = client.post(order).header("x-mbx-apikey", "key");
                request.send().await.unwrap().bytes().await.unwrap();
            }
        }
    });
}

/// Evenkeel: the whole driver with these protocols and this engine. Journals to `dir`.
fn evenkeel_client(
    dir: &std::path::Path,
    protocols: Vec<Box<dyn Protocol>>,
    engine: Engine,
) -> Handle {
    let names = (0..protocols.len()).map(|venue| format!("venue{venue}")).collect();
    let mut params = Params::new(vec![VenueId(0), VenueId(1)], names);
    params.shutdown_deadline = Duration::from_millis(50);
    params.journal = Some((journal::Params::new(dir), journal::Header::new(1, "bench")));
    let (live, handle) = Live::new(params, engine, protocols, Box::new(|_, _| {})).unwrap();
    std::thread::spawn(move || live.run());
    handle
}

/// The thinnest protocol: a frame makes an order. What the driver itself costs.
struct Thin {
    /// Where it ticks; `None`: never.
    ws: Option<String>,
    order: String,
    count: u64,
}

impl Protocol for Thin {
    fn start(&mut self, _now: Ts, out: &mut Outbox) {
        if let Some(url) = self.ws.clone() {
            out.frames.push(Frame::Connect { link: LinkKind::Market, url, after: Span::ZERO });
        }
    }
    fn on_open(&mut self, _link: LinkKind, _now: Ts, _out: &mut Outbox) {}
    fn on_text(&mut self, _link: LinkKind, _now: Ts, _text: &str, out: &mut Outbox) {
        self.count += 1;
        // The core steps and its step is journaled, as with any event.
        let (venue, link) = (VenueId(0), LinkKind::Market);
        out.events.push(evenkeel::domain::Event::Alive { venue, link });
        out.frames.push(Frame::Http(HttpRequest {
            tag: Tag(self.count),
            method: Method::Post,
            url: self.order.clone(),
            api_key: Some(SecretString::from("key")),
            label: "POST /api/v3/order",
            timeout: Span::from_s(5),
            urgency: Urgency::Order,
        }));
    }
    fn on_alive(&mut self, _link: LinkKind, _now: Ts, _out: &mut Outbox) {}
    fn on_closed(&mut self, _link: LinkKind, _now: Ts, _why: &str, _out: &mut Outbox) {}
    fn on_reply(&mut self, _tag: Tag, _now: Ts, _reply: Reply, _out: &mut Outbox) {}
    fn encode(&mut self, _now: Ts, _action: &Action, _out: &mut Outbox) {}
    fn on_timeout(&mut self, _now: Ts, _out: &mut Outbox) {}
    fn next_timeout(&self) -> Option<Ts> {
        None
    }
    fn finish(&mut self, _now: Ts, _out: &mut Outbox) {}
}

struct Quantiles {
    p50: f64,
    p99: f64,
}

/// Sorted microseconds.
fn quantiles(mut samples: Vec<u64>) -> Quantiles {
    samples.sort_unstable();
    let at = |q: f64| samples[((samples.len() - 1) as f64 * q).round() as usize] as f64 / 1000.0;
    Quantiles { p50: at(0.5), p99: at(0.99) }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let samples = if quick { 500 } else { 4000 };
    let dir = std::env::temp_dir().join(format!("evenkeel-wire-{}", std::process::id()));
    let venue = Venue::open();
    let (ws, order) = (venue.ws_url(), venue.order_url());
    std::thread::spawn(move || floor_client(&ws, &order));
    let mut floor_socket = venue.accept();
    let thin = |ws| Box::new(Thin { ws, order: venue.order_url(), count: 0 });
    // The demo's engine: a quoted spot instrument and a perpetual to hedge with.
    let demo = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo.toml"));
    let settings = evenkeel::config::load(demo).expect("a test parses it").settings;
    let engine = Engine::new(settings.engine_params(1, None));
    let handle = evenkeel_client(&dir, vec![thin(Some(venue.ws_url())), thin(None)], engine);
    let mut our_socket = venue.accept();

    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for sample in 0..samples + 100 {
        let tick = |socket: &mut WebSocket<TcpStream>| {
            std::thread::sleep(PAUSE);
            venue.tick(socket, TICK)
        };
        // In turn, so that neither always comes first.
        let (a, b) = if sample % 2 == 0 {
            (tick(&mut floor_socket), tick(&mut our_socket))
        } else {
            let b = tick(&mut our_socket);
            (tick(&mut floor_socket), b)
        };
        // The first hundred warm connections and caches.
        if sample >= 100 {
            floor.push(a);
            ours.push(b);
        }
    }
    let inside = handle.snapshot().map(|s| s.driver.clone());
    handle.send(Control::Stop).unwrap();
    let (floor, ours) = (quantiles(floor), quantiles(ours));
    println!("tick to wire over loopback, {samples} interleaved samples, microseconds");
    println!("{:<10} {:>9} {:>9}", "", "median", "p99");
    println!("{:<10} {:>9.1} {:>9.1}", "floor", floor.p50, floor.p99);
    println!("{:<10} {:>9.1} {:>9.1}", "evenkeel", ours.p50, ours.p99);
    println!("{:<10} {:>9.3} {:>9.3}", "ratio", ours.p50 / floor.p50, ours.p99 / floor.p99);
    if let Some(inside) = inside {
        let (p50, p99) = (inside.tick_to_wire_p50_us, inside.tick_to_wire_p99_us);
        println!("{:<10} {p50:>9.1} {p99:>9.1}   (frame seen to request written)", "inside");
    }
    // The journal may still be finishing; a left-over directory in the temporary folder is harmless.
    drop(std::fs::remove_dir_all(&dir).err());
}
