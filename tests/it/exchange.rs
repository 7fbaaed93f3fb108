//! The local exchange over real loopback sockets, asked as any client would ask.

use std::time::Duration;

use evenkeel::domain::{Asset, Instrument, InstrumentId, InstrumentKind, Money, Px, Qty, VenueId};
use evenkeel::live::exchange::{ExchangeHandle, ExchangeParams, ExchangeServer};
use evenkeel::sim::faces::LocalParams;
use evenkeel::sim::faces::request::Credential;
use evenkeel::sim::flow::FlowParams;
use evenkeel::sim::{self, AccountParams, MarketParams, Source, Wallet};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

const KEY: &str = "test-key-of-account-zero-0123456789012345678901234567890123456789";
const SECRET: &str = "test-secret-of-account-zero-01234567890123456789012345678901234567";

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn instrument(kind: InstrumentKind) -> Instrument {
    let spot = kind == InstrumentKind::Spot;
    Instrument {
        id: InstrumentId(u16::from(!spot)),
        venue: VenueId(u8::from(!spot)),
        symbol: "BTCUSDT".to_owned(),
        kind,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: money(if spot { "0.01" } else { "0.10" }),
        lot_size: money(if spot { "0.00001" } else { "0.001" }),
        min_px: Px(if spot { 1 } else { 5568 }),
        max_px: Px(if spot { 100_000_000 } else { 45_297_640 }),
        min_qty: Qty(1),
        max_qty: Qty(if spot { 900_000_000 } else { 1_000_000 }),
        min_notional: money(if spot { "5" } else { "50" }),
        max_open_orders: 200,
        trading: true,
    }
}

fn params(quiet: bool) -> ExchangeParams {
    let market = |kind| {
        let spot = kind == InstrumentKind::Spot;
        let flow = if spot { FlowParams::btc_spot() } else { FlowParams::btc_perpetual() };
        let source = if quiet { Source::Quiet } else { Source::Synthetic(flow) };
        MarketParams::new(instrument(kind), source)
    };
    let account = || AccountParams {
        balances: vec![
            (Wallet::Spot, Asset::new("BTC"), money("10")),
            (Wallet::Spot, Asset::new("USDT"), money("1000000")),
            (Wallet::Usdm, Asset::new("USDT"), money("1000000")),
        ],
    };
    let credential = |account: u32, suffix: &str| Credential {
        api_key: format!("{KEY}{suffix}"),
        secret: format!("{SECRET}{suffix}"),
        account,
    };
    ExchangeParams {
        spot_port: 0,
        usdm_port: 0,
        step_ms: 5,
        local: LocalParams {
            exchange: sim::ExchangeParams {
                seed: 7,
                markets: vec![
                    market(InstrumentKind::Spot),
                    market(InstrumentKind::LinearPerpetual),
                ],
                accounts: vec![account(), account()],
                history: 10_000,
            },
            credentials: vec![credential(0, ""), credential(1, "b")],
            faults: Vec::new(),
            api_restrictions: true,
        },
    }
}

fn in_runtime(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), test()).await.unwrap() });
}

fn sign(payload: &str, suffix: &str) -> String {
    let secret = format!("{SECRET}{suffix}");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

struct Client {
    http: reqwest::Client,
    suffix: &'static str,
}

impl Client {
    fn new(suffix: &'static str) -> Client {
        // Another test may have been first; the provider is the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        Client { http: reqwest::Client::new(), suffix }
    }

    async fn server_ms(&self, base: &str) -> i64 {
        let path = if base.contains("fapi") { "" } else { "/api/v3/time" };
        let reply = self.http.get(format!("{base}{path}")).send().await.unwrap();
        let reply: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        reply["serverTime"].as_i64().unwrap()
    }

    async fn plain(&self, url: String) -> (u16, Value) {
        let reply = self.http.get(url).send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A signed request; the time is asked from the exchange, so that no clock is read here.
    async fn signed(&self, exchange: &ExchangeHandle, method: &str, path: &str, params: &str) -> (u16, Value) {
        let now = self.server_ms(&exchange.spot_rest()).await;
        let base =
            if path.starts_with("/fapi") { exchange.usdm_rest() } else { exchange.spot_rest() };
        let join = if params.is_empty() { "" } else { "&" };
        let payload = format!("{params}{join}timestamp={now}");
        let signature = sign(&payload, self.suffix);
        let url = format!("{base}{path}?{payload}&signature={signature}");
        let request = self.http.request(method.parse().unwrap(), url);
        let request = request.header("X-MBX-APIKEY", format!("{KEY}{}", self.suffix));
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn fault(&self, exchange: &ExchangeHandle, rule: &str) {
        let url = format!("{}/evenkeel/faults", exchange.spot_rest());
        let reply = self.http.post(url).body(rule.to_owned()).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200, "{rule}");
    }
}

type Socket = tokio_tungstenite::WebSocketStream<
    tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>,
>;

async fn connect(url: &str) -> Socket {
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

/// The next text frame that fits, within five seconds.
async fn next_where(socket: &mut Socket, fits: impl Fn(&Value) -> bool) -> Value {
    let find = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if fits(&value) {
                    return value;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), find).await.expect("no such frame came")
}

/// Serves until standard input closes, for the conformance scripts:
/// `cargo test --test it exchange::serve_for_conformance -- --ignored --nocapture`.
#[test]
#[ignore = "a server for other programs, not a test"]
fn serve_for_conformance() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let exchange = ExchangeServer::start(params(false)).await.unwrap();
        println!("EVENKEEL_SPOT_REST={}", exchange.spot_rest());
        println!("EVENKEEL_SPOT_WS={}", exchange.spot_ws());
        println!("EVENKEEL_SPOT_WS_API={}", exchange.spot_ws_api());
        println!("EVENKEEL_USDM_REST={}", exchange.usdm_rest());
        println!("EVENKEEL_USDM_WS={}", exchange.usdm_ws());
        println!("EVENKEEL_API_KEY={KEY}");
        println!("EVENKEEL_API_SECRET={SECRET}");
        let end = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
        drop(end.await);
    });
}
