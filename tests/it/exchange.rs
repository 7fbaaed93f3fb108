//! The local exchange over real loopback sockets, asked as any client would ask.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::time::Duration;

use evenkeel::domain::{Px, Span, Ts};
use evenkeel::live::exchange::{ExchangeHandle, ExchangeParams, ExchangeServer};
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::faces::request::Credential;
use evenkeel::sim::faces::streams::{ConnId, Outbox};
use evenkeel::sim::{Source, toy};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

const KEY: &str = "test-key-of-account-zero-0123456789012345678901234567890123456789";
const SECRET: &str = "test-secret-of-account-zero-01234567890123456789012345678901234567";

fn params(quiet: bool) -> ExchangeParams {
    let credential = |account: u32, suffix: &str| Credential {
        api_key: format!("{KEY}{suffix}"),
        secret: format!("{SECRET}{suffix}"),
        account,
    };
    let mut local = toy::exchange(7, vec![credential(0, ""), credential(1, "b")]);
    local.exchange.accounts = vec![toy::account(10, 1_000_000, 1_000_000); 2];
    local.api_restrictions = true;
    local.exchange.markets[1].instrument.min_px = Px(5568);
    if quiet {
        local.exchange.markets.iter_mut().for_each(|market| market.source = Source::Quiet);
    }
    ExchangeParams { spot_port: 0, usdm_port: 0, step_ms: 5, local }
}

fn in_runtime(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), test()).await.unwrap() });
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
    async fn signed(
        &self,
        exchange: &ExchangeHandle,
        method: &str,
        path: &str,
        params: &str,
    ) -> (u16, Value) {
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

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

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

async fn quiet() -> ExchangeHandle {
    ExchangeServer::start(params(true)).await.unwrap()
}

async fn lively() -> ExchangeHandle {
    ExchangeServer::start(params(false)).await.unwrap()
}

const REST: &str = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC";

#[test]
fn requests_are_refused_with_the_documented_codes() {
    in_runtime(async || {
        let (exchange, client) = (lively().await, Client::new(""));
        let order = "/api/v3/order";
        let spot = [
            ("symbol=NOPE&side=BUY&type=LIMIT", -1121),
            ("side=BUY&type=LIMIT", -1102),
            ("symbol=BTCUSDT&side=BOTH&type=LIMIT", -1117),
            ("symbol=BTCUSDT&side=BUY&type=DANCE", -1116),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=1&price=1", -1115),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1", -1102),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&timeInForce=GTC&quantity=1&price=1", -1106),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=1", -1106),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.123456789&price=60000", -1111),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.000001&price=60000", -1013),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=60000.001", -1013),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1e5&price=60000", -1100),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.00001&price=60000", -1013),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=900&price=60000", -2010),
            (
                "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=60000&newClientOrderId=a b",
                -1100,
            ),
        ];
        for (params, code) in spot {
            let (status, body) =
                client.signed(&exchange, "POST", order, &params.replace(' ', "%20")).await;
            assert_eq!((status, body["code"].as_i64()), (400, Some(code)), "{params}: {body}");
        }
        let futures = [
            ("quantity=0.0005&price=60000", -1111),
            ("quantity=0.002&price=60000.05", -4014),
            ("quantity=0.002&price=60000.001", -1111),
            ("quantity=0.002&price=100", -4013),
            ("quantity=2000&price=60000", -4005),
            ("quantity=0&price=60000", -4003),
            ("quantity=0.001&price=10000&positionSide=LONG", -4061),
            ("quantity=0.001&price=10000", -4164),
            ("quantity=500&price=60000", -2019),
            ("quantity=0.01&price=60000&reduceOnly=true", -2022),
        ];
        for (params, code) in futures {
            let params = format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&{params}");
            let (status, body) = client.signed(&exchange, "POST", "/fapi/v1/order", &params).await;
            assert_eq!((status, body["code"].as_i64()), (400, Some(code)), "{params}: {body}");
        }
        let (status, body) = Client::new("c").signed(&exchange, "GET", "/api/v3/account", "").await;
        assert_eq!((status, body["code"].as_i64()), (401, Some(-2015)), "{body}");
        let base = exchange.spot_rest();
        let (status, body) = client.plain(format!("{base}/api/v3/account?timestamp=1")).await;
        assert_eq!((status, body["code"].as_i64()), (401, Some(-2014)), "{body}");
        let (status, body) = client
            .plain(format!("{}/fapi/v1/depth?symbol=BTCUSDT&limit=3", exchange.usdm_rest()))
            .await;
        assert_eq!((status, body["code"].as_i64()), (400, Some(-4021)), "{body}");
    });
}

#[test]
fn a_spot_fill_is_told_to_both_accounts() {
    in_runtime(async || {
        let (exchange, maker, taker) = (quiet().await, Client::new(""), Client::new("b"));
        let mut socket = connect(&exchange.spot_ws_api()).await;
        let now = maker.server_ms(&exchange.spot_rest()).await;
        let payload = format!("apiKey={KEY}&timestamp={now}");
        let signature = sign(&payload, "");
        let subscribe = format!(
            r#"{{"id":"1","method":"userDataStream.subscribe.signature","params":{{"apiKey":"{KEY}","timestamp":{now},"signature":"{signature}"}}}}"#
        );
        socket.send(Message::text(subscribe)).await.unwrap();
        let reply = next_where(&mut socket, |frame| frame["id"] == "1").await;
        assert_eq!(reply["result"]["subscriptionId"], 0, "{reply}");
        assert!(reply["rateLimits"].is_array(), "{reply}");

        let resting = format!("{REST}&quantity=0.5&price=60000&newClientOrderId=maker-1");
        let (status, placed) = maker.signed(&exchange, "POST", "/api/v3/order", &resting).await;
        assert_eq!((status, &placed["status"]), (200, &Value::from("NEW")), "{placed}");
        let is = |kind: &'static str| move |frame: &Value| frame["event"]["x"] == kind;
        let report = next_where(&mut socket, is("NEW")).await;
        assert_eq!(report["event"]["c"], "maker-1");

        let taking = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.7&price=60000";
        let (_, taken) = taker.signed(&exchange, "POST", "/api/v3/order", taking).await;
        assert_eq!(taken["status"], "EXPIRED", "{taken}");
        assert_eq!(taken["executedQty"], "0.50000000", "{taken}");
        assert_eq!(taken["fills"][0]["commissionAsset"], "BTC", "{taken}");
        let report = next_where(&mut socket, is("TRADE")).await;
        let event = &report["event"];
        assert_eq!(
            (&event["X"], &event["m"], &event["l"]),
            (&Value::from("FILLED"), &Value::from(true), &Value::from("0.50000000"))
        );
        assert_eq!((&event["N"], &event["n"]), (&Value::from("USDT"), &Value::from("30.00000000")));
        let position =
            next_where(&mut socket, |f| f["event"]["e"] == "outboundAccountPosition").await;
        assert!(position["event"]["B"].as_array().unwrap().len() >= 2, "{position}");
        let (_, again) = maker
            .signed(
                &exchange,
                "DELETE",
                "/api/v3/order",
                "symbol=BTCUSDT&origClientOrderId=maker-1",
            )
            .await;
        assert_eq!(again["code"], -2011, "{again}");
        let (_, found) = maker
            .signed(&exchange, "GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=maker-1")
            .await;
        assert_eq!(found["status"], "FILLED", "{found}");
    });
}

#[test]
fn a_futures_fill_is_told_and_resting_orders_touch_no_balance() {
    in_runtime(async || {
        let (exchange, maker, taker) = (quiet().await, Client::new(""), Client::new("b"));
        let (_, key) = maker.signed(&exchange, "POST", "/fapi/v1/listenKey", "").await;
        let key = key["listenKey"].as_str().unwrap().to_owned();
        let url = format!("{}/private/ws?listenKey={key}", exchange.usdm_ws());
        let mut socket = connect(&url).await;
        let resting = format!("{REST}&quantity=0.010&price=60000&newClientOrderId=f-1");
        let (status, placed) = maker.signed(&exchange, "POST", "/fapi/v1/order", &resting).await;
        assert_eq!(status, 200, "{placed}");
        assert!(placed.get("avgPrice").is_none() && placed.get("cumQuote").is_none(), "{placed}");
        let taking = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.010&price=60000&newOrderRespType=RESULT";
        let (_, taken) = taker.signed(&exchange, "POST", "/fapi/v1/order", taking).await;
        assert_eq!(taken["status"], "FILLED", "{taken}");
        let mut kinds = Vec::new();
        while kinds.len() < 4 {
            let frame = next_where(&mut socket, |_| true).await;
            let order = frame["o"]["x"].as_str().unwrap_or_default();
            kinds.push(format!("{} {order}", frame["e"].as_str().unwrap()));
            if frame["e"] == "ACCOUNT_UPDATE" {
                assert_eq!(frame["a"]["P"][0]["pa"], "-0.010", "{frame}");
            }
        }
        let expected = [
            "ORDER_TRADE_UPDATE NEW",
            "TRADE_LITE ",
            "ORDER_TRADE_UPDATE TRADE",
            "ACCOUNT_UPDATE ",
        ];
        assert_eq!(kinds, expected);
        let (_, risk) = maker.signed(&exchange, "GET", "/fapi/v3/positionRisk", "").await;
        assert_eq!(risk[0]["positionAmt"], "-0.010", "{risk}");
    });
}

#[test]
fn depth_streams_rebuild_the_book_and_a_gap_is_seen() {
    in_runtime(async || {
        let (exchange, client) = (lively().await, Client::new(""));
        let mut spot = connect(&format!("{}/ws/0", exchange.spot_ws())).await;
        let ask = r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}"#;
        spot.send(Message::text(ask)).await.unwrap();
        let usdm_url = format!("{}/public/stream?streams=btcusdt@depth@100ms", exchange.usdm_ws());
        let mut usdm = connect(&usdm_url).await;
        let update = |frame: &Value| frame["e"] == "depthUpdate";
        let first = next_where(&mut spot, update).await;
        let mut last = first["u"].as_i64().unwrap();
        for _ in 0..5 {
            let next = next_where(&mut spot, update).await;
            assert_eq!(next["U"].as_i64().unwrap(), last + 1);
            last = next["u"].as_i64().unwrap();
        }
        let combined = |frame: &Value| frame["data"]["e"] == "depthUpdate";
        let mut last = next_where(&mut usdm, combined).await["data"]["u"].as_i64().unwrap();
        for _ in 0..5 {
            let next = next_where(&mut usdm, combined).await;
            assert_eq!(next["data"]["pu"].as_i64().unwrap(), last);
            last = next["data"]["u"].as_i64().unwrap();
        }
        client.fault(&exchange, r#"{"kind":"gap","venue":"usdm"}"#).await;
        let mut gaps = 0;
        for _ in 0..5 {
            let next = next_where(&mut usdm, combined).await;
            gaps += i64::from(next["data"]["pu"].as_i64().unwrap() != last);
            last = next["data"]["u"].as_i64().unwrap();
        }
        assert_eq!(gaps, 1);
    });
}

#[test]
fn http_faults_do_what_they_say() {
    in_runtime(async || {
        let (exchange, client) = (quiet().await, Client::new(""));
        client.fault(&exchange, r#"{"kind":"http_503_unknown_after_accept"}"#).await;
        let resting = format!("{REST}&quantity=0.5&price=60000&newClientOrderId=lost-1");
        let (status, _) = client.signed(&exchange, "POST", "/api/v3/order", &resting).await;
        assert_eq!(status, 503);
        let query = "symbol=BTCUSDT&origClientOrderId=lost-1";
        let (status, found) = client.signed(&exchange, "GET", "/api/v3/order", query).await;
        assert_eq!((status, &found["status"]), (200, &Value::from("NEW")), "it was accepted");

        client.fault(&exchange, r#"{"kind":"http_timeout"}"#).await;
        let resting = format!("{REST}&quantity=0.5&price=60001&newClientOrderId=lost-2");
        let asked = client.signed(&exchange, "POST", "/api/v3/order", &resting);
        assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
        assert!(exchange.state().contains("lost-2"), "{}", exchange.state());

        client.fault(&exchange, r#"{"kind":"http_429"}"#).await;
        let (status, _) = client.signed(&exchange, "GET", "/api/v3/account", "").await;
        assert_eq!(status, 429);

        client.fault(&exchange, r#"{"kind":"html_reply"}"#).await;
        let (status, body) = client.plain(format!("{}/api/v3/ping", exchange.spot_rest())).await;
        assert!(status == 502 && body.as_str().is_some_and(|b| b.starts_with("<html>")), "{body}");

        client
            .fault(
                &exchange,
                r#"{"kind":"halt_symbol","symbol":"BTCUSDT","for_ms":60000,"venue":"spot"}"#,
            )
            .await;
        let resting = format!("{REST}&quantity=0.5&price=60002");
        let (status, body) = client.signed(&exchange, "POST", "/api/v3/order", &resting).await;
        assert_eq!((status, &body["code"]), (400, &Value::from(-1013)), "{body}");
        let info = client.plain(format!("{}/api/v3/exchangeInfo", exchange.spot_rest())).await.1;
        assert_eq!(info["symbols"][0]["status"], "HALT");

        client.fault(&exchange, r#"{"kind":"latency_ms","add":200,"for_ms":60000}"#).await;
        let asked = client.plain(format!("{}/api/v3/ping", exchange.spot_rest()));
        assert!(tokio::time::timeout(Duration::from_millis(150), asked).await.is_err());
    });
}

#[test]
fn stream_faults_do_what_they_say() {
    in_runtime(async || {
        let (exchange, client) = (lively().await, Client::new(""));
        let url = format!("{}/ws/btcusdt@depth@100ms", exchange.spot_ws());
        let mut market = connect(&url).await;
        next_where(&mut market, |_| true).await;
        client.fault(&exchange, r#"{"kind":"mute_market","for_ms":60000,"venue":"spot"}"#).await;
        let silence = async {
            // What was on its way may still come; then nothing does.
            while tokio::time::timeout(Duration::from_millis(400), market.next()).await.is_ok() {}
        };
        silence.await;

        let (_, key) = client.signed(&exchange, "POST", "/fapi/v1/listenKey", "").await;
        let key = key["listenKey"].as_str().unwrap();
        let mut user = connect(&format!("{}/private/ws/{key}", exchange.usdm_ws())).await;
        client.fault(&exchange, r#"{"kind":"drop_user_stream","for_ms":60000}"#).await;
        let taking = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010";
        let (status, placed) = client.signed(&exchange, "POST", "/fapi/v1/order", taking).await;
        assert_eq!(status, 200, "{placed}");
        assert!(tokio::time::timeout(Duration::from_millis(300), user.next()).await.is_err());

        client.fault(&exchange, r#"{"kind":"close_links"}"#).await;
        let ended = tokio::time::timeout(Duration::from_secs(2), user.next()).await.unwrap();
        assert!(!matches!(ended, Some(Ok(Message::Close(_)))), "it was cut, not closed: {ended:?}");
    });
}

#[test]
fn a_candle_is_told_once_that_it_has_ended_and_a_quiet_minute_has_one_too() {
    for (venue, path) in [(VenueKind::Spot, ""), (VenueKind::Usdm, "/market")] {
        let mut now = Ts::from_ms(1_700_000_001_234);
        let mut local = LocalExchange::new(params(false).local, now).unwrap();
        let path = format!("{path}/ws/btcusdt@kline_1m");
        assert!(local.ws_open(now, venue, ConnId(1), &path, "", 1).is_ok());
        let mut ended = Vec::new();
        for tenths in 0..2400 {
            let mut out = Outbox::default();
            if tenths == 700 {
                // Two minutes in which nobody acts: the clock alone moves.
                now += Span::from_s(120);
            }
            now += Span::from_ms(100);
            local.advance(now, &mut out);
            for (_, text) in &out.frames {
                let frame: Value = serde_json::from_str(text).unwrap();
                if frame["k"]["x"] == true {
                    ended.push(frame["k"]["t"].as_i64().unwrap());
                }
            }
        }
        assert_eq!(ended.len(), 6, "{venue:?} {ended:?}");
        assert!(ended.windows(2).all(|pair| pair[1] - pair[0] == 60_000), "{ended:?}");
    }
}

#[test]
fn a_goodbye_is_answered_and_who_talks_too_much_is_told_why() {
    in_runtime(async || {
        let exchange = quiet().await;
        let mut polite = connect(&format!("{}/ws/btcusdt@trade", exchange.spot_ws())).await;
        polite.close(None).await.unwrap();
        let heard = polite.next().await;
        assert!(matches!(heard, Some(Ok(Message::Close(_)))), "{heard:?}");

        let mut loud = connect(&format!("{}/ws/btcusdt@trade", exchange.spot_ws())).await;
        for id in 0..20 {
            let text = format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{id}}}"#);
            loud.send(Message::text(text)).await.unwrap();
        }
        let code = loop {
            match loud.next().await {
                Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code, Some(1008));
    });
}

#[test]
fn the_dead_mans_switch_really_cancels() {
    in_runtime(async || {
        let (exchange, client) = (quiet().await, Client::new(""));
        let resting = format!("{REST}&quantity=0.010&price=60000");
        client.signed(&exchange, "POST", "/fapi/v1/order", &resting).await;
        let ask = "symbol=BTCUSDT&countdownTime=100";
        let (status, body) =
            client.signed(&exchange, "POST", "/fapi/v1/countdownCancelAll", ask).await;
        assert_eq!((status, &body["countdownTime"]), (200, &Value::from("100")), "{body}");
        let gone = async {
            while client.signed(&exchange, "GET", "/fapi/v1/openOrders", "").await.1
                != Value::Array(vec![])
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3), gone).await.expect("the orders went");
    });
}

#[test]
fn too_much_weight_is_refused_with_a_time_to_wait() {
    in_runtime(async || {
        let (exchange, client) = (quiet().await, Client::new(""));
        let url = format!("{}/api/v3/depth?symbol=BTCUSDT&limit=5000", exchange.spot_rest());
        for _ in 0..60 {
            let reply = client.http.get(&url).send().await.unwrap();
            if reply.status().as_u16() == 429 {
                let wait: i64 = reply.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=61).contains(&wait), "{wait}");
                return;
            }
            assert!(reply.headers().contains_key("x-mbx-used-weight-1m"));
        }
        panic!("60 requests of weight 250 fitted into 6000 a minute");
    });
}

/// Every key of a documented payload is in ours, under the same name.
fn assert_keys(documented: &Value, ours: &Value, place: &str) {
    match (documented, ours) {
        (Value::Object(documented), Value::Object(ours)) => {
            for (key, value) in documented {
                // Fields the documents give only to orders of kinds that do not exist here.
                if ["activatePrice", "priceRate", "code", "msg", "notionalCoef"]
                    .contains(&key.as_str())
                {
                    continue;
                }
                let found = ours.get(key).unwrap_or_else(|| panic!("{place}: no {key}"));
                assert_keys(value, found, &format!("{place}.{key}"));
            }
        }
        (Value::Array(documented), Value::Array(ours)) => {
            if let (Some(documented), Some(ours)) = (documented.first(), ours.first()) {
                assert_keys(documented, ours, &format!("{place}[0]"));
            }
        }
        (documented, ours) => {
            let kind = |value: &Value| std::mem::discriminant(value);
            assert_eq!(kind(documented), kind(ours), "{place}: {documented} and {ours}");
        }
    }
}

#[test]
fn replies_have_the_documented_fields() {
    in_runtime(async || {
        let Some(folder) = crate::shared::shared("protocol/fixtures/binance") else { return };
        let (exchange, client) = (lively().await, Client::new(""));
        let taking = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010";
        client.signed(&exchange, "POST", "/fapi/v1/order", taking).await;
        let spot_order = format!("{REST}&quantity=0.001&price=70000&newClientOrderId=k-1");
        client.signed(&exchange, "POST", "/api/v3/order", &spot_order).await;
        let usdm_order = format!("{REST}&quantity=0.010&price=61000&newClientOrderId=k-1");
        client.signed(&exchange, "POST", "/fapi/v1/order", &usdm_order).await;
        let symbol = "symbol=BTCUSDT";
        let named = "symbol=BTCUSDT&origClientOrderId=k-1";
        for (method, path, params, fixture) in [
            ("POST", "/api/v3/order", taking, "spot_rest_order_new_full"),
            ("GET", "/api/v3/order", named, "spot_rest_order_query"),
            ("GET", "/api/v3/openOrders", symbol, "spot_rest_openOrders"),
            ("GET", "/api/v3/account", "", "spot_rest_account"),
            ("GET", "/api/v3/account/commission", symbol, "spot_rest_account_commission"),
            ("GET", "/api/v3/myTrades", symbol, "spot_rest_myTrades"),
            ("GET", "/api/v3/rateLimit/order", "", "spot_rest_rateLimit_order"),
            ("GET", "/api/v3/depth", symbol, "spot_rest_depth"),
            ("GET", "/api/v3/trades", symbol, "spot_rest_trades"),
            ("GET", "/api/v3/aggTrades", symbol, "spot_rest_aggTrades"),
            ("GET", "/api/v3/ticker/24hr", symbol, "spot_rest_ticker_24hr_full"),
            ("GET", "/api/v3/ticker/bookTicker", symbol, "spot_rest_bookTicker_one"),
            ("GET", "/api/v3/avgPrice", symbol, "spot_rest_avgPrice"),
            (
                "PUT",
                "/api/v3/order/amend/keepPriority",
                "symbol=BTCUSDT&origClientOrderId=k-1&newQty=0.0005&newClientOrderId=k-1",
                "spot_rest_order_amend_single",
            ),
            ("DELETE", "/api/v3/order", named, "spot_rest_order_cancel"),
            ("GET", "/sapi/v1/account/apiRestrictions", "", "spot_sapi_apiRestrictions"),
            ("POST", "/fapi/v1/order", taking, "usdm_rest_order_new"),
            (
                "PUT",
                "/fapi/v1/order",
                "symbol=BTCUSDT&origClientOrderId=k-1&side=SELL&quantity=0.020&price=61000&modifyId=5",
                "usdm_rest_order_modify",
            ),
            ("GET", "/fapi/v1/order", named, "usdm_rest_order_query"),
            ("GET", "/fapi/v1/openOrders", symbol, "usdm_rest_openOrders"),
            ("DELETE", "/fapi/v1/order", named, "usdm_rest_order_cancel"),
            ("GET", "/fapi/v2/account", "", "usdm_rest_account_v2"),
            ("GET", "/fapi/v3/account", "", "usdm_rest_account_v3"),
            ("GET", "/fapi/v3/balance", "", "usdm_rest_balance_v3"),
            ("GET", "/fapi/v2/positionRisk", "", "usdm_rest_positionRisk_v2"),
            ("GET", "/fapi/v3/positionRisk", "", "usdm_rest_positionRisk_v3"),
            ("GET", "/fapi/v1/userTrades", symbol, "usdm_rest_userTrades"),
            ("GET", "/fapi/v1/accountConfig", "", "usdm_rest_accountConfig"),
            ("GET", "/fapi/v1/symbolConfig", "", "usdm_rest_symbolConfig"),
            ("GET", "/fapi/v1/commissionRate", symbol, "usdm_rest_commissionRate"),
            ("GET", "/fapi/v1/leverageBracket", "", "usdm_rest_leverageBracket"),
            ("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=21", "usdm_rest_leverage"),
            ("GET", "/fapi/v1/income", "", "usdm_rest_income"),
            ("GET", "/fapi/v1/depth", symbol, "usdm_rest_depth_LIVE"),
            ("GET", "/fapi/v1/trades", symbol, "usdm_rest_trades"),
            ("GET", "/fapi/v1/aggTrades", symbol, "usdm_rest_aggTrades_LIVE"),
            ("GET", "/fapi/v1/premiumIndex", symbol, "usdm_rest_premiumIndex_LIVE"),
            ("GET", "/fapi/v1/ticker/bookTicker", symbol, "usdm_rest_bookTicker_LIVE"),
            ("GET", "/fapi/v1/ticker/24hr", symbol, "usdm_rest_ticker_24hr_LIVE"),
            ("GET", "/fapi/v2/ticker/price", symbol, "usdm_rest_ticker_price_v2_LIVE"),
        ] {
            let text = std::fs::read_to_string(folder.join(format!("{fixture}.json"))).unwrap();
            let documented: Value = serde_json::from_str(&text).unwrap();
            let (status, ours) = client.signed(&exchange, method, path, params).await;
            assert_eq!(status, 200, "{method} {path}: {ours}");
            assert_keys(&documented, &ours, fixture);
        }
    });
}
