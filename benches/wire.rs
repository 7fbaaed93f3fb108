//! Tick to wire: from a frame leaving the venue to the order request that it causes arriving
//! there, against the floor that the same libraries set without us.
//!
//! Floor: a bare tokio-tungstenite read, then a bare reqwest send of a fixed request on a warm
//! connection, on a current-thread runtime. Evenkeel: the whole driver, journal included, with the
//! real protocols and the demo's engine, quoting spot and hedging on USD-M. Both answer the same
//! venue in the same process, in random order, so that whatever else the machine does hits both.
//!
//! Three frames take turns: one lets quotes be shown (four orders), one moves them (four cancels,
//! four orders), one makes the market too wide to quote (four cancels). The first request that
//! each frame causes is what counts.
//!
//! Both are measured twice in one run, and both numbers are printed: with nothing between the
//! measured frames (every cache has gone cold in the pause), and with a market that talks: between
//! two measured frames both clients get the same synthetic bookTickers at the standing prices, one
//! every [`PAUSE`], which cause no order of either.
//!
//! Last, a kill with a hundred orders open: from the command to the last cancel arriving, of a daemon
//! with nothing else to do and of one with a backlog of frames.
//!
//! `cargo bench --bench wire [-- --quick]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

#[path = "common/local.rs"]
mod local;
#[path = "wire/venue.rs"]
mod venue;

use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use evenkeel::domain::{Control, Money, Span, State, VenueId};
use evenkeel::engine::{self, Engine, FairFrom};
use evenkeel::journal;
use evenkeel::live::{Handle, Live, Params};
use evenkeel::quoting::{LevelParams, Size};
use futures_util::StreamExt;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio_tungstenite::tungstenite::{Message, WebSocket};
use venue::{Arrival, FLOOR_ORDER, Venue};

/// Between two frames, so that every thread sleeps when the next one comes, as in a live market.
const PAUSE: Duration = Duration::from_micros(500);
/// No request for this long after a frame: everything that it caused has been answered.
const CALM: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(10);
/// Bookticks between two measured frames of a market that talks.
const CHATTER: u64 = 6;
/// The quantity at the bid of a frame that counts, and of one that does not.
const MEASURED: &str = r#""B":"3.12100000""#;
const BACKGROUND: &str = r#""B":"3.12200000""#;
/// Orders of a side that a kill finds.
const LADDER: usize = 50;
/// Frames that wait when a loaded daemon is killed: what 20,000 a second bring in 20 ms.
const BACKLOG: usize = 400;
/// Frames before the first that counts.
const WARM_UP: usize = 100;

/// The floor: read a frame, send the fixed request.
fn floor_client(ws: &str, order: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
        let tls = evenkeel::live::reach::client_config(&[]).unwrap();
        let client = client.tls_backend_preconfigured((*tls).clone()).build().unwrap();
        let (mut socket, _) = tokio_tungstenite::connect_async(ws).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.to_text().is_ok_and(|text| text.contains(MEASURED)) {
                let request = client.post(order).header("x-mbx-apikey", "key");
                request.send().await.unwrap().bytes().await.unwrap();
            }
        }
    });
}

/// The daemon as `evenkeel run --config config/demo.toml` puts it together, at these venues, free
/// to change its quotes with every frame. Journals to `dir`.
fn evenkeel_client(
    dir: &std::path::Path,
    venue: &Venue,
    adjust: fn(&mut engine::Params),
) -> Handle {
    let text = include_str!("../config/demo.toml");
    let mut settings = evenkeel::config::parse(text, "config/demo.toml").unwrap().settings;
    for (own, listen) in settings.venues.iter_mut().zip([&venue.spot, &venue.usdm]) {
        own.rest_url = format!("http://{}", listen.http);
        own.market_stream_url = format!("ws://{}", listen.ws);
        own.user_stream_url = format!("ws://{}", listen.ws);
    }
    settings.venues[0].user_stream_url += "/ws-api/v3";
    let secrets = evenkeel::config::read_secrets(&settings).unwrap();
    // Seconds: order ids must not repeat, and nothing else depends on it.
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
    let mut params = settings.engine_params(epoch, None);
    params.pace.reprice_min_interval = Span::ZERO;
    params.pace.reprice_threshold_bps = 0.5;
    // The perpetual stands still here: a spot book that jumps alone is not to be held back by it.
    params.fair.from = FairFrom::Own;
    // The frames jump as no market does, and all order news comes by HTTP.
    params.market.max_volatility_bps_sqrt_s = 1e9;
    params.reference.max_move_bps = 1e9;
    params.signals.pull_when_toxic = false;
    params.risk.reconcile_interval = Span::from_s(3600);
    for own in &mut params.venues {
        own.max_orders_per_s = 1e6;
    }
    adjust(&mut params);
    let names = settings.venues.iter().map(|venue| venue.name.clone()).collect();
    let mut live = Params::new(vec![VenueId(0), VenueId(1)], names);
    live.shutdown_deadline = Duration::from_millis(50);
    // A whole ladder of the kill leaves at once.
    live.http.orders = 2 * LADDER;
    live.journal = Some((journal::Params::new(dir), journal::Header::new(epoch, "bench")));
    let protocols = settings.protocols(&secrets);
    let notes = Box::new(|_, _: &_| {});
    let (live, handle) = Live::new(live, Engine::new(params), protocols, notes).unwrap();
    std::thread::spawn(move || live.run());
    handle
}

/// What a frame is to cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Show,
    Move,
    Pull,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Show, Kind::Move, Kind::Pull];

    fn words(self) -> &'static str {
        match self {
            Kind::Show => "show (4 orders)",
            Kind::Move => "move (4 cancels, 4 orders)",
            Kind::Pull => "pull (4 cancels)",
        }
    }

    /// A best bid and offer around a mid, as the venue spells them.
    fn frame(self, update: u64, mid: Money) -> String {
        let (mid, half) = match self {
            Kind::Show => (mid, Money::new(5, 3)),
            // Three basis points up, six times the threshold.
            Kind::Move => (mid + mid * Money::new(3, 4), Money::new(5, 3)),
            Kind::Pull => (mid, mid * Money::new(4, 3)),
        };
        let (bid, ask) = ((mid - half).round_dp(2), (mid + half).round_dp(2));
        format!(
            r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{update},"s":"BTCUSDT","b":"{bid}","B":"3.12100000","a":"{ask}","A":"4.06600000"}}}}"#
        )
    }
}

/// Send a frame; nanoseconds until the first request of the expected kind has arrived.
fn tick(
    socket: &mut WebSocket<TcpStream>,
    arrivals: &Receiver<Arrival>,
    text: &str,
    method: &str,
    chatter: &[String],
) -> u64 {
    for text in chatter {
        std::thread::sleep(PAUSE);
        socket.send(Message::text(text.as_str())).unwrap();
    }
    std::thread::sleep(PAUSE);
    while arrivals.try_recv().is_ok() {}
    let sent = Instant::now();
    socket.send(Message::text(text)).unwrap();
    // An order whose answer was late may still be cancelled now.
    let first = loop {
        let arrival = arrivals.recv_timeout(PATIENCE).expect("every frame causes a request");
        if arrival.method == method || method == "*" {
            break arrival;
        }
    };
    let nanos = first.at.duration_since(sent).as_nanos();
    while arrivals.recv_timeout(CALM).is_ok() {}
    u64::try_from(nanos).unwrap()
}

struct Quantiles {
    p50: f64,
    p99: f64,
}

/// In microseconds.
fn quantiles(mut samples: Vec<u64>) -> Quantiles {
    samples.sort_unstable();
    let at = |q: f64| samples[((samples.len() - 1) as f64 * q).round() as usize] as f64 / 1000.0;
    Quantiles { p50: at(0.5), p99: at(0.99) }
}

fn row(name: &str, own: &Quantiles, floor: &Quantiles) {
    println!(
        "{name:<28} {:>9.1} {:>9.1} {:>7.2} {:>7.2}",
        own.p50,
        own.p99,
        own.p50 / floor.p50,
        own.p99 / floor.p99
    );
}

/// Samples of one kind of market, nanoseconds.
#[derive(Default)]
struct Samples {
    floor: Vec<u64>,
    ours: [Vec<u64>; 3],
}

impl Samples {
    fn print(self, market: &str) {
        println!("{market:<28} {:>9} {:>9} {:>7} {:>7}", "median", "p99", "ratio", "p99");
        let floor = quantiles(self.floor);
        row("floor", &floor, &floor);
        row("all frames", &quantiles(self.ours.concat()), &floor);
        for (kind, ours) in Kind::ALL.into_iter().zip(self.ours) {
            row(kind.words(), &quantiles(ours), &floor);
        }
    }
}

/// Both clients as the venue sees them.
struct Clients {
    arrivals: Receiver<Arrival>,
    floor: WebSocket<TcpStream>,
    ours: WebSocket<TcpStream>,
    update: u64,
}

impl Clients {
    fn frame(&mut self, kind: Kind, mid: Money) -> String {
        self.update += 1;
        kind.frame(self.update, mid)
    }

    /// From quoting to the state that the first `Show` begins with.
    fn warm(&mut self, mid: Money) {
        let text = self.frame(Kind::Pull, mid);
        tick(&mut self.ours, &self.arrivals, &text, "DELETE", &[]);
    }

    fn measure(&mut self, samples: usize, mid: Money, chatter: u64) -> Samples {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut taken = Samples::default();
        for sample in 0..samples + WARM_UP {
            for (index, kind) in Kind::ALL.into_iter().enumerate() {
                // The prices that stand are those of the kind before.
                let standing = Kind::ALL[(index + 2) % 3];
                let between = (0..chatter).map(|_| self.frame(standing, mid));
                let between: Vec<_> =
                    between.map(|text| text.replace(MEASURED, BACKGROUND)).collect();
                let text = self.frame(kind, mid);
                // Cancels and orders of one move leave together on many connections.
                let method = match kind {
                    Kind::Show => "POST",
                    Kind::Move => "*",
                    Kind::Pull => "DELETE",
                };
                let arrivals = &self.arrivals;
                let mut bare = || tick(&mut self.floor, arrivals, &text, "POST", &between);
                let mut whole = || tick(&mut self.ours, arrivals, &text, method, &between);
                let (a, b) = if rng.next_u32() % 2 == 0 {
                    let a = bare();
                    (a, whole())
                } else {
                    let b = whole();
                    (bare(), b)
                };
                if sample >= WARM_UP {
                    taken.floor.push(a);
                    taken.ours[index].push(b);
                }
            }
        }
        taken
    }
}

fn wait_for_quotes(handle: &Handle) {
    let started = Instant::now();
    while handle.snapshot().is_none_or(|last| last.engine.state != State::Quoting) {
        let last = handle.snapshot().map(|last| last.to_json());
        assert!(started.elapsed() < PATIENCE, "never quoted: {}", last.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
}

/// Two sides of [`LADDER`] small orders.
fn hundred_orders(params: &mut engine::Params) {
    let level = |n: usize| LevelParams { offset_bps: n as f64 * 0.5, size: Size::Base(0.0002) };
    params.quoting.levels = (0..LADDER).map(level).collect();
    params.instruments[0].limits.max_open_orders = 4 * LADDER as u32;
}

/// Kills and resumes: milliseconds from the command to the last of a hundred cancels.
fn kill(dir: &std::path::Path, samples: usize, backlog: usize) {
    let (venue, arrivals, sockets) = Venue::open();
    let handle = evenkeel_client(&dir.join(format!("kill-{backlog}")), &venue, hundred_orders);
    let mut socket = sockets.recv_timeout(PATIENCE).unwrap();
    let mut update = 0;
    let mut taken = Vec::new();
    for _ in 0..samples {
        let mut open = 0;
        let started = Instant::now();
        while open < 2 * LADDER {
            assert!(started.elapsed() < PATIENCE, "only {open} orders");
            update += 1;
            let frame = Kind::Show.frame(update, venue.mid);
            socket.send(Message::text(frame)).unwrap();
            while let Ok(arrival) = arrivals.recv_timeout(Duration::from_millis(20)) {
                open += usize::from(arrival.method == "POST");
            }
        }
        for _ in 0..backlog {
            update += 1;
            socket.send(Message::text(Kind::Show.frame(update, venue.mid))).unwrap();
        }
        let sent = Instant::now();
        handle.send(Control::Kill { flatten: false }).unwrap();
        let mut last = sent;
        for _ in 0..2 * LADDER {
            last = arrivals.recv_timeout(PATIENCE).expect("every order is cancelled").at;
        }
        taken.push(u64::try_from(last.duration_since(sent).as_nanos()).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        while arrivals.try_recv().is_ok() {}
        handle.send(Control::Resume).unwrap();
    }
    handle.send(Control::Stop).unwrap();
    let Quantiles { p50, p99 } = quantiles(taken);
    println!("kill with 100 orders, {backlog} frames waiting, {samples} times, milliseconds");
    println!("{:<28} {:>9.2} {:>9.2}", "command to last cancel", p50 / 1e3, p99 / 1e3);
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let samples = if quick { 400 } else { 2500 };
    let dir = std::env::temp_dir().join(format!("evenkeel-wire-{}", std::process::id()));
    let (venue, arrivals, sockets) = Venue::open();
    let handle = evenkeel_client(&dir, &venue, |_| {});
    let our_socket = sockets.recv_timeout(PATIENCE).unwrap();
    wait_for_quotes(&handle);
    let (ws, order) = (
        format!("ws://{}/stream", venue.spot.ws),
        format!("http://{}{FLOOR_ORDER}", venue.spot.http),
    );
    std::thread::spawn(move || floor_client(&ws, &order));
    let floor_socket = sockets.recv_timeout(PATIENCE).unwrap();

    let mut clients = Clients { arrivals, floor: floor_socket, ours: our_socket, update: 0 };
    clients.warm(venue.mid);
    let idle = clients.measure(samples, venue.mid, 0);
    let busy = clients.measure(samples, venue.mid, CHATTER);
    let inside = handle.snapshot().map(|s| s.driver.clone());
    handle.send(Control::Stop).unwrap();
    println!("tick to wire over loopback, {samples} samples of each frame, microseconds");
    idle.print("nothing between them");
    busy.print("a market that talks");
    if let Some(inside) = inside {
        let (p50, p99) = (inside.tick_to_wire_p50_us, inside.tick_to_wire_p99_us);
        println!("{:<28} {p50:>9.1} {p99:>9.1}", "inside: seen to all written");
    }
    let kills = if quick { 20 } else { 100 };
    kill(&dir, kills, 0);
    kill(&dir, kills, BACKLOG);
    // The journal may still be finishing; a left-over directory in the temporary folder is harmless.
    drop(std::fs::remove_dir_all(&dir).err());
}
