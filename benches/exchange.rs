//! What an order costs at the local exchange over HTTP, against a bare axum handler that only
//! checks the signature.
//!
//! Every order is placed by its own blocking client on a warm connection and waits for its
//! answer; rounds at either server take turns, in random order. An account may place 100 orders
//! in ten seconds, so there are many accounts. `cargo bench --bench exchange [-- --quick]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

#[path = "common/local.rs"]
mod local;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use axum::extract::State;
use evenkeel::live::exchange::{ExchangeParams, ExchangeServer};
use evenkeel::sim::Source;
use evenkeel::sim::faces::request::Credential;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::Sha256;

/// Orders of one account, below the venue's limit.
const ORDERS: usize = 90;

fn mac() -> Hmac<Sha256> {
    Hmac::new_from_slice(local::SECRET.as_bytes()).unwrap()
}

fn sign(payload: &str) -> String {
    let mut mac = mac();
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn key(account: usize) -> String {
    format!("{}-{account}", local::KEY)
}

fn requests(account: usize) -> Vec<String> {
    let now = local::now().ms();
    let one = |index: usize| {
        let payload = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.001&price=60000&newClientOrderId=p-{account}-{index}&recvWindow=60000&timestamp={now}"
        );
        let body = format!("{payload}&signature={}", sign(&payload));
        let (key, length) = (key(account), body.len());
        format!(
            "POST /api/v3/order HTTP/1.1\r\nhost: x\r\nx-mbx-apikey: {key}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    (0..ORDERS).map(one).collect()
}

/// Checks the signature and does nothing.
async fn check(State(keyed): State<Hmac<Sha256>>, body: String) -> &'static str {
    let (payload, signature) = body.rsplit_once("&signature=").unwrap();
    let mut mac = keyed;
    mac.update(payload.as_bytes());
    mac.verify_slice(&hex::decode(signature).unwrap()).unwrap();
    "{}"
}

fn bare_server() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let route = axum::routing::post(check);
            let app = axum::Router::new().route("/api/v3/order", route).with_state(mac());
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Nanoseconds of each request until its whole answer is there.
fn times(stream: &mut TcpStream, requests: &[String], answer: &str) -> Vec<u64> {
    let mut buffer = vec![0; 16 * 1024];
    let one = |request: &String| {
        let started = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        // An answer on loopback comes in one piece.
        let count = stream.read(&mut buffer).unwrap();
        let took = started.elapsed();
        let text = std::str::from_utf8(&buffer[..count]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains(answer), "{text}");
        u64::try_from(took.as_nanos()).unwrap()
    };
    requests.iter().map(one).collect()
}

fn quantile(samples: &mut [u64], q: f64) -> f64 {
    samples.sort_unstable();
    samples[((samples.len() - 1) as f64 * q).round() as usize] as f64 / 1000.0
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let accounts = if quick { 12 } else { 60 };
    let mut params = local::params();
    for market in &mut params.exchange.markets {
        market.source = Source::Quiet;
    }
    let funded = params.exchange.accounts.remove(0);
    params.exchange.accounts = vec![funded; accounts];
    let credential = |account: usize| Credential {
        api_key: key(account),
        secret: local::SECRET.to_owned(),
        account: account as u32,
    };
    params.credentials = (0..accounts).map(credential).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let params = ExchangeParams { spot_port: 0, usdm_port: 0, step_ms: 5, local: params };
    let exchange = runtime.block_on(ExchangeServer::start(params)).unwrap();
    let address = exchange.spot_rest().trim_start_matches("http://").parse().unwrap();

    let mut bare = connect(bare_server());
    let mut whole = connect(address);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for account in 0..accounts {
        let requests = requests(account);
        let bare_first = rng.next_u32() % 2 == 0;
        let mut at_bare = || times(&mut bare, &requests, "{}");
        let mut at_whole = || times(&mut whole, &requests, "\"status\":\"EXPIRED\"");
        let (a, b) = if bare_first {
            let a = at_bare();
            (a, at_whole())
        } else {
            let b = at_whole();
            (at_bare(), b)
        };
        // The first accounts warm both up.
        if account >= 2 {
            floor.extend(a);
            ours.extend(b);
        }
    }
    let [f50, f99] = [0.5, 0.99].map(|q| quantile(&mut floor, q));
    let [o50, o99] = [0.5, 0.99].map(|q| quantile(&mut ours, q));
    println!("an order over HTTP, {} samples, microseconds", ours.len());
    println!("{:<14} {:>8} {:>8}", "", "median", "p99");
    println!("{:<14} {f50:>8.1} {f99:>8.1}", "bare handler");
    println!("{:<14} {o50:>8.1} {o99:>8.1}", "local exchange");
    println!("{:<14} {:>8.2} {:>8.2}", "ratio", o50 / f50, o99 / f99);
    exchange.shutdown();
}
