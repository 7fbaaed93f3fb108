//! What other people's clients really send, against the local exchange without its sockets.

use evenkeel::domain::{InstrumentKind, Ts};
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::{FaultRule, VenueKind};
use evenkeel::sim::faces::request::{Credential, HttpRequest};
use evenkeel::sim::faces::streams::{ConnId, Outbox};
use evenkeel::sim::tape::known_instrument;
use evenkeel::sim::{MarketParams, Source, toy};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use crate::shared::shared;

const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const NOW: Ts = Ts(1_499_827_319_559_000_000);
const CONN: ConnId = ConnId(1);

/// A quiet exchange where the key of the documents' examples trades.
fn exchange(now: Ts) -> LocalExchange {
    let key = Credential { api_key: KEY.to_owned(), secret: SECRET.to_owned(), account: 0 };
    let mut params = toy::exchange(1, vec![key]);
    params.exchange.accounts = vec![toy::account(10, 1_000_000, 1_000)];
    let ether = known_instrument(InstrumentKind::Spot, "ETHUSDT").unwrap();
    params.exchange.markets.push(MarketParams::new(ether, Source::Quiet));
    params.exchange.markets.iter_mut().for_each(|market| market.source = Source::Quiet);
    LocalExchange::new(params, now).unwrap()
}

fn venue(path: &str) -> VenueKind {
    let usdm = ["/fapi", "/public", "/market", "/private"];
    if usdm.iter().any(|p| path.starts_with(p)) { VenueKind::Usdm } else { VenueKind::Spot }
}

fn ask(
    local: &mut LocalExchange,
    now: Ts,
    method: &str,
    path: &str,
    query: &str,
    body: &str,
) -> (u16, Value) {
    let request = HttpRequest { method, path, query, body, api_key: Some(KEY), ip: 1 };
    let reply = local.http(now, venue(path), &request, &mut Outbox::default());
    let answer = reply.answer.expect("no fault takes this answer");
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

fn signed(payload: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A signed request at [`NOW`].
fn call(local: &mut LocalExchange, method: &str, path: &str, params: &str) -> (u16, Value) {
    let payload = format!("{params}&timestamp={}", NOW.ms());
    let query = format!("{payload}&signature={}", signed(&payload));
    ask(local, NOW, method, path, &query, "")
}

/// The frames that answer one frame.
fn frame(local: &mut LocalExchange, now: Ts, frame: &Value) -> Vec<Value> {
    let mut out = Outbox::default();
    local.ws_text(now, CONN, &frame.to_string(), &mut out);
    out.frames.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

/// When a request says that it was sent.
fn sent_at(text: &str) -> Ts {
    let digits = text.split_once("timestamp=").map(|(_, rest)| rest.split('&').next().unwrap());
    digits.map_or(NOW, |ms| Ts::from_ms(ms.parse().unwrap()))
}

/// Refusals that would mean that the client was not understood.
const NOT_UNDERSTOOD: [i64; 12] =
    [-1000, -1013, -1021, -1022, -1100, -1102, -1103, -1105, -1111, -1116, -2014, -2015];

#[test]
fn requests_of_real_clients_are_understood() {
    let Some(path) = shared("protocol/fixtures/binance/client_request_vectors.json") else {
        return;
    };
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((vectors["apiKey"].as_str(), vectors["secret"].as_str()), (Some(KEY), Some(SECRET)));
    let requests = vectors["requests"].as_array().unwrap();
    let mut asked = 0;
    for request in requests.iter().filter(|request| request.get("path").is_some()) {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let now = sent_at(&format!("{}&{}", text("query"), text("body")));
        let mut local = exchange(now);
        let (status, body) =
            ask(&mut local, now, text("method"), text("path"), text("query"), text("body"));
        let understood = status != 404
            && body["code"].as_i64().is_none_or(|code| !NOT_UNDERSTOOD.contains(&code));
        assert!(understood, "{request}\n{status} {body}");
        // Nothing that was signed passes when one byte of it changes.
        let forged = text("query").replace("timestamp=", "recvWindow=4999&timestamp=");
        if forged != text("query") {
            let (_, body) = ask(&mut local, now, text("method"), text("path"), &forged, "");
            assert_eq!(body["code"], -1022, "{request}");
        }
        asked += 1;
    }
    for request in requests.iter().filter(|request| request.get("frame").is_some()) {
        let sent = &request["frame"];
        let now = sent["params"]["timestamp"].as_i64().map_or(NOW, Ts::from_ms);
        let mut local = exchange(now);
        let path = request["ws_path"].as_str().unwrap();
        local.ws_open(now, venue(path), CONN, path, "", 1).unwrap();
        let replies = frame(&mut local, now, sent);
        assert_eq!(replies[0]["id"], sent["id"], "{request}\n{replies:?}");
        assert!(replies[0].get("error").is_none(), "{request}\n{replies:?}");
        asked += 1;
    }
    assert_eq!(asked, requests.len());
}

#[test]
fn faults_reach_orders_of_the_websocket_api() {
    let mut local = exchange(NOW);
    local.ws_open(NOW, VenueKind::Spot, CONN, "/ws-api/v3", "", 1).unwrap();
    let payload = format!(
        "apiKey={KEY}&price=50000&quantity=0.001&side=BUY&symbol=BTCUSDT&timeInForce=GTC&\
         timestamp={}&type=LIMIT",
        NOW.ms()
    );
    let order = json!({"id": "a", "method": "order.place", "params": {
        "apiKey": KEY, "price": "50000", "quantity": "0.001", "side": "BUY", "symbol": "BTCUSDT",
        "timeInForce": "GTC", "timestamp": NOW.ms(), "type": "LIMIT",
        "signature": signed(&payload),
    }});
    let ping = json!({"id": "b", "method": "ping"});
    let mut open = 0;
    for (kind, status, placed) in [
        ("http_429", Some(429), 0),
        ("http_503_unknown_after_accept", Some(503), 1),
        ("http_timeout", None, 1),
    ] {
        let rule: FaultRule = serde_json::from_value(json!({"kind": kind})).unwrap();
        local.add_fault(NOW, rule);
        local.advance(NOW, &mut Outbox::default());
        assert_eq!(frame(&mut local, NOW, &ping)[0]["status"], 200, "{kind}");
        let replies = frame(&mut local, NOW, &order);
        assert_eq!(replies.first().and_then(|r| r["status"].as_i64()), status, "{kind}");
        open += placed;
        let (_, orders) = call(&mut local, "GET", "/api/v3/openOrders", "symbol=BTCUSDT");
        assert_eq!(orders.as_array().map(Vec::len), Some(open), "{kind}");
    }
    assert_eq!(frame(&mut local, NOW, &order)[0]["status"], 200, "the faults are over");
}

#[test]
fn leverage_decides_how_much_margin_an_order_needs() {
    let mut local = exchange(NOW);
    // A thousand in the wallet, no market price: the order's own price counts.
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.2&price=50000";
    let place = |local: &mut LocalExchange| call(local, "POST", "/fapi/v1/order", order);
    let leverage = |local: &mut LocalExchange, times: u32| {
        call(local, "POST", "/fapi/v1/leverage", &format!("symbol=BTCUSDT&leverage={times}"))
    };
    assert_eq!(leverage(&mut local, 5).1["leverage"], 5);
    assert_eq!(place(&mut local).1["code"], -2019, "2000 needed");
    assert_eq!(leverage(&mut local, 20).0, 200);
    assert_eq!(place(&mut local).1["status"], "NEW", "500 needed");
    assert_eq!(leverage(&mut local, 126).1["code"], -4028);
}

#[test]
fn rarely_asked_spot_questions_have_answers() {
    let mut local = exchange(NOW);
    let (_, placed) = call(
        &mut local,
        "POST",
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.002&price=50000",
    );
    let id = placed["orderId"].as_i64().unwrap();
    let amend = format!("symbol=BTCUSDT&orderId={id}&newQty=0.001&newClientOrderId=after");
    assert_eq!(call(&mut local, "PUT", "/api/v3/order/amend/keepPriority", &amend).0, 200);
    let of_order = format!("symbol=BTCUSDT&orderId={id}");
    let (_, rows) = call(&mut local, "GET", "/api/v3/order/amendments", &of_order);
    assert_eq!(rows[0]["origQty"], "0.00200000", "{rows}");
    assert_eq!(rows[0]["newQty"], "0.00100000", "{rows}");
    assert_eq!(rows[0]["newClientOrderId"], "after", "{rows}");
    let symbol = "symbol=BTCUSDT";
    for (path, wanted) in [
        ("/api/v3/myFilters", json!({"exchangeFilters":[],"symbolFilters":[],"assetFilters":[]})),
        ("/api/v3/executionRules", json!({"symbolRules":[]})),
        ("/api/v3/historicalTrades", json!([])),
        ("/fapi/v1/historicalTrades", json!([])),
    ] {
        assert_eq!(call(&mut local, "GET", path, symbol), (200, wanted), "{path}");
    }
    assert_eq!(call(&mut local, "GET", "/api/v3/referencePrice", symbol).1["code"], -2043);
}
