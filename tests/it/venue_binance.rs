//! The Binance protocol against the payloads of its own documents, recordings and bad weather.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use evenkeel::domain::{
    Action, Amend, BookLoss, BookUpdate, Event, InstrumentId, LinkKind, Liquidity, NewOrder,
    OrderId, OrderKind, OrderStatus, OrderUpdate, Prefix, Purpose, Px, Qty, RejectClass, Side,
    Span, Ts, VenueId,
};
use evenkeel::venues::binance::{Credentials, Params, Product, Signer, protocol};
use evenkeel::venues::{
    Frame, HttpReply, HttpRequest, Method, NoReply, Outbox, Protocol, Reply, Tag, Urgency,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::shared::shared;

const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const T0: Ts = Ts(1_790_000_000_000_000_000);
const SPOT: Product = Product::Spot;
const USDM: Product = Product::UsdM;

/// A driver without sockets: it keeps what the protocol wants sent, and answers on demand.
struct Rig {
    protocol: Box<dyn Protocol>,
    product: Product,
    now: Ts,
    requests: Vec<HttpRequest>,
    frames: Vec<Frame>,
}

fn params(product: Product, symbols: &[&str]) -> Params {
    let instruments =
        symbols.iter().enumerate().map(|(n, s)| (InstrumentId(n as u16), s.to_string())).collect();
    Params {
        venue: VenueId(0),
        name: "binance".into(),
        product,
        rest_url: "http://rest".into(),
        market_url: "ws://market".into(),
        user_url: "ws://user".into(),
        credentials: Credentials { key: KEY.into(), secret: SECRET.into() },
        recv_window_ms: 5000,
        prefix: Prefix::new("ek").unwrap(),
        instruments,
        dead_man_switch: None,
        max_clock_offset: Span::from_s(60),
    }
}

/// Exchange information with one step for every price and quantity.
fn listing(symbols: &[&str], tick: &str, lot: &str) -> String {
    let row = |symbol: &&str| {
        json!({"symbol": symbol, "status": "TRADING", "contractType": "PERPETUAL",
        "baseAsset": "BASE", "quoteAsset": "USDT", "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": "5"},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200, "limit": 200}]})
    };
    let rows: Vec<Value> = symbols.iter().map(row).collect();
    json!({"rateLimits": [], "symbols": rows}).to_string()
}

fn http(status: u16, body: &str) -> HttpReply {
    HttpReply { status, body: body.to_owned(), ..HttpReply::default() }
}

impl Rig {
    fn new(params: Params) -> (Rig, Vec<Event>) {
        let product = params.product;
        let protocol = protocol(params);
        let mut rig = Rig { protocol, product, now: T0, requests: Vec::new(), frames: Vec::new() };
        let events = rig.act(|p, now, out| p.start(now, out));
        (rig, events)
    }

    /// Started, listed, subscribed and quiet: every start-up request answered well.
    fn ready(product: Product, symbols: &[&str], tick: &str, lot: &str) -> Rig {
        let (mut rig, _) = Rig::new(params(product, symbols));
        rig.settle(&listing(symbols, tick, lot));
        rig.open(LinkKind::Market);
        rig
    }

    /// Answer whatever start-up asks.
    fn settle(&mut self, info: &str) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(request) = self.requests.first() {
            let body = match request.label.rsplit('/').next().unwrap() {
                "time" => json!({"serverTime": self.now.ms()}).to_string(),
                "exchangeInfo" => info.to_owned(),
                "commission" => json!({"standardCommission":
                    {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"}})
                .to_string(),
                "commissionRate" => {
                    json!({"makerCommissionRate": "0.0002", "takerCommissionRate": "0.0004"})
                        .to_string()
                }
                "dual" => json!({"dualSidePosition": false}).to_string(),
                "listenKey" => json!({"listenKey": "abc"}).to_string(),
                "countdownCancelAll" => json!({"symbol": "X", "countdownTime": "1"}).to_string(),
                other => panic!("{other} at start-up"),
            };
            events.extend(self.reply_first(request.label, Ok(http(200, &body))));
        }
        events
    }

    fn act(&mut self, f: impl FnOnce(&mut dyn Protocol, Ts, &mut Outbox)) -> Vec<Event> {
        let mut out = Outbox::default();
        f(&mut *self.protocol, self.now, &mut out);
        for frame in out.frames {
            match frame {
                Frame::Http(request) => self.requests.push(request),
                frame => self.frames.push(frame),
            }
        }
        if let Some(next) = self.protocol.next_timeout() {
            assert!(next > self.now - Span::from_s(1), "timer in the past");
        }
        out.events
    }

    fn reply_first(&mut self, label: &str, outcome: Result<HttpReply, NoReply>) -> Vec<Event> {
        let at = self.requests.iter().position(|r| r.label == label);
        let at = at.unwrap_or_else(|| panic!("no {label} among {:?}", self.requests));
        let request = self.requests.remove(at);
        let sent_at = self.now;
        self.now += Span::from_ms(2);
        self.act(|p, now, out| p.on_reply(request.tag, now, Reply { outcome, sent_at }, out))
    }

    fn answer(&mut self, label: &str, status: u16, body: &str) -> Vec<Event> {
        self.reply_first(label, Ok(http(status, body)))
    }

    fn open(&mut self, link: LinkKind) -> Vec<Event> {
        self.act(|p, now, out| p.on_open(link, now, out))
    }

    fn text(&mut self, link: LinkKind, text: &str) -> Vec<Event> {
        let mut events = self.act(|p, now, out| p.on_text(link, now, text, out));
        events.retain(|event| !matches!(event, Event::Alive { .. }));
        events
    }

    fn stream(&mut self, link: LinkKind, name: &str, data: &str) -> Vec<Event> {
        self.text(link, &format!("{{\"stream\":\"{name}\",\"data\":{data}}}"))
    }

    fn wait(&mut self, span: Span) -> Vec<Event> {
        let until = self.now + span;
        let mut events = Vec::new();
        while let Some(next) = self.protocol.next_timeout().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            events.extend(self.act(|p, now, out| p.on_timeout(now, out)));
        }
        self.now = until;
        events
    }

    fn encode(&mut self, action: &Action) -> Vec<Event> {
        self.act(|p, now, out| p.encode(now, action, out))
    }

    fn connects(&mut self) -> Vec<(LinkKind, String, Span)> {
        let taken = std::mem::take(&mut self.frames);
        let connects = taken.into_iter().filter_map(|frame| match frame {
            Frame::Connect { link, url, after } => Some((link, url, after)),
            _ => None,
        });
        connects.collect()
    }

    fn order_label(&self, method: &str) -> String {
        match self.product {
            Product::Spot => format!("{method} /api/v3/order"),
            Product::UsdM => format!("{method} /fapi/v1/order"),
        }
    }
}

fn order(counter: u32, kind: OrderKind) -> NewOrder {
    NewOrder {
        id: OrderId { epoch: 1_790_000_000, counter },
        instrument: InstrumentId(0),
        side: Side::Buy,
        px: Px(6_183_763),
        qty: Qty(150),
        kind,
        reduce_only: false,
        purpose: Purpose::Quote,
    }
}

fn name(order: &NewOrder) -> String {
    Prefix::new("ek").unwrap().encode(order.id)
}

fn updates(events: &[Event]) -> Vec<OrderUpdate> {
    let update = |event: &Event| match event {
        Event::Order(order) => Some(order.update.clone()),
        _ => None,
    };
    events.iter().filter_map(update).collect()
}

fn fixture(file: &str) -> Option<String> {
    let path = shared(&format!("protocol/fixtures/binance/{file}"))?;
    Some(std::fs::read_to_string(path).unwrap())
}

// ---- start-up

#[test]
fn start_up_learns_clock_listing_and_fees_then_connects() {
    let Some(info) = fixture("spot_exchangeInfo_BTCUSDT_ETHUSDT_COMPOSITE.json") else { return };
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT", "ETHUSDT"]));
    assert!(rig.connects().is_empty(), "nothing to connect to before the symbols are listed");
    let events = rig.settle(&info);
    let listed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Listed(instrument) => Some(instrument),
            _ => None,
        })
        .collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].tick_size.to_string(), "0.01");
    assert_eq!(listed[0].lot_size.to_string(), "0.00001");
    assert_eq!(listed[0].min_notional.to_string(), "5");
    assert_eq!((listed[0].max_px, listed[0].min_qty), (Px(100_000_000), Qty(1)));
    assert_eq!(listed[0].max_open_orders, 200);
    assert!(listed[0].trading);
    assert!(events.iter().any(|e| matches!(e, Event::Clock { .. })));
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Fees { .. })).count(), 2);
    let urls: Vec<String> = rig.connects().into_iter().map(|(_, url, _)| url).collect();
    assert!(urls.contains(&"ws://user".to_string()));
    assert!(
        urls.contains(
            &"ws://market/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade/\
          ethusdt@depth@100ms/ethusdt@bookTicker/ethusdt@trade"
                .to_string()
        )
    );
}

#[test]
fn usdm_reads_its_own_filters_and_routes() {
    let Some(info) = fixture("usdm_exchangeInfo_BTCUSDT_ETHUSDT_XAUUSDT.json") else { return };
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT", "NOSUCH"]));
    let events = rig.settle(&info);
    let listed = events.iter().find_map(|event| match event {
        Event::Listed(instrument) => Some(instrument),
        _ => None,
    });
    let listed = listed.unwrap();
    assert_eq!(listed.min_notional.to_string(), "50");
    assert_eq!((listed.min_px, listed.tick_size.to_string()), (Px(5568), "0.1".to_string()));
    let missing = events.iter().find_map(|event| match event {
        Event::VenueFailed { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert!(missing.unwrap().contains("NOSUCH"));
    let urls: Vec<String> = rig.connects().into_iter().map(|(_, url, _)| url).collect();
    assert_eq!(
        urls,
        [
            "ws://market/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker",
            "ws://market/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s",
            "ws://user/private/ws?listenKey=abc",
        ]
    );
}

#[test]
fn a_perpetual_whose_least_price_is_off_the_tick_is_refused() {
    let info = listing(&["BTCUSDT"], "0.10", "0.001")
        .replace("\"minPrice\":\"0.10\"", "\"minPrice\":\"0.25\"");
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT"]));
    let events = rig.settle(&info);
    assert!(
        events.iter().any(
            |e| matches!(e, Event::VenueFailed { text, .. } if text.contains("minPrice 0.25"))
        )
    );
}

#[test]
fn hedge_mode_and_unknown_symbols_say_how_to_mend_them() {
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT"]));
    rig.answer("GET /fapi/v1/time", 200, &json!({"serverTime": T0.ms()}).to_string());
    let events = rig.answer("GET /fapi/v1/positionSide/dual", 200, r#"{"dualSidePosition":true}"#);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::VenueFailed { text, .. } if text.contains("one-way mode")))
    );
    let (mut rig, _) = Rig::new(params(SPOT, &["NOSUCH"]));
    let events =
        rig.answer("GET /api/v3/exchangeInfo", 400, r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::VenueFailed { text, .. } if text.contains("\"NOSUCH\"")))
    );
}

#[test]
fn signed_requests_carry_the_venues_time() {
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT"]));
    let place = Action::Place(order(1, OrderKind::PostOnly));
    let refused = updates(&rig.encode(&place));
    assert!(
        matches!(&refused[..], [OrderUpdate::Rejected { class: RejectClass::Unavailable, .. }]),
        "no order leaves before the clock is known: {refused:?}"
    );
    // The venue's clock is 20 s ahead.
    let ahead = T0.ms() + 20_000;
    rig.answer("GET /api/v3/time", 200, &json!({"serverTime": ahead}).to_string());
    rig.answer("GET /api/v3/exchangeInfo", 200, &listing(&["BTCUSDT"], "0.01", "0.00001"));
    rig.encode(&place);
    let sent = rig.requests.iter().find(|r| r.label == "POST /api/v3/order").unwrap();
    let timestamp: i64 =
        sent.url.split("timestamp=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
    assert!((timestamp - ahead).abs() < 10, "{timestamp} {ahead}");
}

// ---- requests

/// The query verifies with plain HMAC over the bytes sent, and the signature is last.
fn verify(request: &HttpRequest) -> BTreeMap<String, String> {
    let query = request.url.split_once('?').unwrap().1;
    let (payload, signature) = query.rsplit_once("&signature=").unwrap();
    assert_eq!(Signer::new(&SECRET.into()).sign(payload), signature);
    assert!(request.api_key.is_some());
    assert!(!format!("{request:?}").contains(signature), "a signature in debug output");
    let pair = |p: &str| {
        let (k, v) = p.split_once('=').unwrap();
        (k.to_string(), v.to_string())
    };
    payload.split('&').map(pair).collect()
}

#[test]
fn orders_leave_as_the_venue_wants_them() {
    for (product, kind, want) in [
        (SPOT, OrderKind::PostOnly, "type=LIMIT_MAKER"),
        (SPOT, OrderKind::ImmediateOrCancel, "type=LIMIT timeInForce=IOC"),
        (USDM, OrderKind::PostOnly, "type=LIMIT timeInForce=GTX"),
        (USDM, OrderKind::ImmediateOrCancel, "type=LIMIT timeInForce=IOC reduceOnly=true"),
    ] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        let reduce_only = kind == OrderKind::ImmediateOrCancel;
        let new = NewOrder { reduce_only, ..order(7, kind) };
        rig.encode(&Action::Place(new.clone()));
        let request = rig.requests.pop().unwrap();
        assert_eq!((request.method, request.urgency), (Method::Post, Urgency::Order));
        let sent = verify(&request);
        let mut shown = format!("type={}", sent["type"]);
        for extra in ["timeInForce", "reduceOnly"] {
            if let Some(value) = sent.get(extra) {
                shown += &format!(" {extra}={value}");
            }
        }
        assert_eq!(shown, want);
        assert_eq!(sent["symbol"], "BTCUSDT");
        assert_eq!((&*sent["price"], &*sent["quantity"]), ("61837.63", "0.00150"));
        assert_eq!(sent["newClientOrderId"], name(&new));

        rig.encode(&Action::Cancel { id: new.id, instrument: new.instrument });
        let request = rig.requests.pop().unwrap();
        assert_eq!((request.method, request.urgency), (Method::Delete, Urgency::Cancel));
        assert_eq!(verify(&request)["origClientOrderId"], name(&new));
        rig.encode(&Action::Query { id: new.id, instrument: new.instrument });
        assert_eq!(verify(&rig.requests.pop().unwrap())["origClientOrderId"], name(&new));
    }
}

#[test]
fn amends_are_what_each_product_can_do() {
    let new = order(7, OrderKind::PostOnly);
    let amend = |px, qty| {
        Action::Amend(Amend { id: new.id, instrument: new.instrument, side: new.side, px, qty })
    };
    let mut usdm = Rig::ready(USDM, &["BTCUSDT"], "0.01", "0.00001");
    usdm.encode(&amend(Px(6_000_000), Qty(200)));
    let request = usdm.requests.pop().unwrap();
    assert_eq!(request.label, "PUT /fapi/v1/order");
    let sent = verify(&request);
    assert_eq!((&*sent["price"], &*sent["quantity"]), ("60000.00", "0.00200"));

    let mut spot = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    spot.encode(&Action::Place(new.clone()));
    spot.requests.clear();
    let refused = updates(&spot.encode(&amend(Px(6_000_000), Qty(100))));
    assert!(matches!(&refused[..], [OrderUpdate::ChangeRejected { gone: false, .. }]));
    spot.encode(&amend(new.px, Qty(100)));
    let sent = verify(spot.requests.last().unwrap());
    assert_eq!(sent["newClientOrderId"], name(&new), "the order keeps our name");
    let reply = json!({"transactTime": 1, "executionId": 1, "amendedOrder": {"symbol": "BTCUSDT",
        "orderId": 33, "origClientOrderId": name(&new), "clientOrderId": name(&new),
        "price": "61837.63", "qty": "0.00100", "executedQty": "0", "status": "NEW", "side": "BUY"}});
    let news =
        updates(&spot.answer("PUT /api/v3/order/amend/keepPriority", 200, &reply.to_string()));
    assert_eq!(
        news,
        [OrderUpdate::State {
            status: OrderStatus::New,
            filled: Qty(0),
            qty: Qty(100),
            px: new.px
        }]
    );
}

#[test]
fn signing_vectors_match() {
    let Some(vectors) = fixture("signing_vectors.json") else { return };
    let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    let hmac: Vec<_> = vectors.iter().filter(|v| v["alg"] == "HMAC-SHA256").collect();
    assert!(hmac.len() >= 8);
    for vector in hmac {
        let signer = Signer::new(&vector["secret"].as_str().unwrap().into());
        assert_eq!(
            signer.sign(vector["payload_utf8"].as_str().unwrap()),
            vector["signature"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
    }
    let recorded: Value =
        serde_json::from_str(&fixture("client_request_vectors.json").unwrap()).unwrap();
    let mut checked = 0;
    for request in recorded["requests"].as_array().unwrap() {
        let (Some(payload), true) =
            (request["signed_payload"].as_str(), request["query"].is_string())
        else {
            continue;
        };
        let both =
            format!("{}&{}", request["query"].as_str().unwrap(), request["body"].as_str().unwrap());
        let signature = both.split("signature=").nth(1).unwrap().split('&').next().unwrap();
        assert_eq!(Signer::new(&SECRET.into()).sign(payload), signature);
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

// ---- replies

#[test]
fn the_fate_of_an_order_is_never_guessed() {
    type Want = fn(&OrderUpdate) -> bool;
    let unknown: Want = |u| matches!(u, OrderUpdate::Unknown { .. });
    let unavailable: Want =
        |u| matches!(u, OrderUpdate::Rejected { class: RejectClass::Unavailable, .. });
    let throttled: Want =
        |u| matches!(u, OrderUpdate::Rejected { class: RejectClass::Throttled, .. });
    let cases: Vec<(Product, Result<HttpReply, NoReply>, Want)> = vec![
        (SPOT, Err(NoReply::Lost("reset".into())), unknown),
        (SPOT, Err(NoReply::NotSent("refused".into())), unavailable),
        (SPOT, Ok(http(500, r#"{"code":-1000,"msg":"x"}"#)), unknown),
        (SPOT, Ok(http(504, "<html>")), unknown),
        (SPOT, Ok(http(200, "<html>")), unknown),
        (SPOT, Ok(http(200, r#"{"symbol":"BTCUSDT","orderId":28,"cli"#)), unknown),
        (SPOT, Ok(http(200, "")), unknown),
        (SPOT, Ok(http(400, r#"{"code":-1007,"msg":"Timeout"}"#)), unknown),
        (SPOT, Ok(http(408, "")), unknown),
        (USDM, Ok(http(503, r#"{"msg":"Service Unavailable."}"#)), unavailable),
        (
            USDM,
            Ok(http(
                503,
                r#"{"code":-1000,"msg":"Unknown error, please check your request or try again later."}"#,
            )),
            unknown,
        ),
        (SPOT, Ok(http(429, r#"{"code":-1003,"msg":"Too much"}"#)), throttled),
        (SPOT, Ok(http(418, "<html>")), throttled),
    ];
    for (product, outcome, want) in cases {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
        let events = rig.reply_first(&rig.order_label("POST"), outcome.clone());
        let news = updates(&events);
        assert!(news.len() == 1 && want(&news[0]), "{outcome:?}: {news:?}");
    }
}

#[test]
fn a_ban_stops_everything_until_it_ends() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    let mut reply = http(429, r#"{"code":-1003,"msg":"Too much request weight used"}"#);
    reply.retry_after_s = Some(7);
    let events = rig.reply_first("POST /api/v3/order", Ok(reply));
    let until = rig.now + Span::from_s(7);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Budget { usage, .. } if usage.blocked_until == until))
    );
    rig.requests.clear();
    rig.encode(&Action::Place(order(2, OrderKind::PostOnly)));
    rig.wait(Span::from_s(6));
    assert!(rig.requests.is_empty(), "{:?}", rig.requests);
    rig.wait(Span::from_s(2));
    rig.encode(&Action::Place(order(3, OrderKind::PostOnly)));
    assert!(rig.requests.iter().any(|r| r.label == "POST /api/v3/order"));
}

#[test]
fn the_order_count_limit_stops_orders_but_no_cancel() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.requests.clear();
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    rig.answer("POST /api/v3/order", 429, r#"{"code":-1015,"msg":"Too many new orders"}"#);
    rig.encode(&Action::Place(order(2, OrderKind::PostOnly)));
    rig.encode(&Action::Cancel {
        id: order(3, OrderKind::PostOnly).id,
        instrument: InstrumentId(0),
    });
    let labels: Vec<_> = rig.requests.iter().map(|r| r.label).collect();
    assert_eq!(labels, ["DELETE /api/v3/order"]);
}

#[test]
fn refusals_are_told_by_class() {
    use RejectClass::{
        Auth, Clock, DuplicateId, Filter, InsufficientFunds, Other, ReduceOnly, Throttled,
        WouldTake,
    };
    let want = |code: i64, msg: &str| match code {
        -1003 | -1015 => Throttled,
        -1013 | -4164 => Filter,
        -1021 => Clock,
        -1022 | -2014 | -2015 => Auth,
        -2010 if msg.contains("insufficient") => InsufficientFunds,
        -2010 if msg.contains("immediately") => WouldTake,
        -2010 => DuplicateId,
        -2019 => InsufficientFunds,
        -2022 => ReduceOnly,
        -5022 => WouldTake,
        _ => Other,
    };
    for (product, file) in
        [(SPOT, "spot_rest_errors_common.json"), (USDM, "usdm_rest_errors_docs.json")]
    {
        let Some(text) = fixture(file) else { return };
        for row in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let status = row["http"].as_u64().unwrap() as u16;
            if status >= 500 || status == 408 {
                continue;
            }
            let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
            rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
            let events = rig.answer(&rig.order_label("POST"), status, &row["body"].to_string());
            let code = row["body"]["code"].as_i64().unwrap();
            let class = want(code, row["body"]["msg"].as_str().unwrap());
            let news = updates(&events);
            let hit = matches!(&news[..], [OrderUpdate::Rejected { class: c, .. }] if *c == class);
            assert!(hit, "{row}: {news:?}");
            let failed = events.iter().any(|e| matches!(e, Event::VenueFailed { .. }));
            assert_eq!(failed, class == Auth, "{row}");
            let resync = rig.requests.iter().any(|r| r.label.ends_with("/time"));
            assert_eq!(resync, class == Clock, "{row}");
        }
    }
}

#[test]
fn a_cancel_of_what_is_gone_and_a_query_of_what_never_was() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let id = order(1, OrderKind::PostOnly).id;
    rig.encode(&Action::Cancel { id, instrument: InstrumentId(0) });
    let gone = r#"{"code":-2011,"msg":"Unknown order sent."}"#;
    let news = updates(&rig.answer("DELETE /api/v3/order", 400, gone));
    assert!(matches!(&news[..], [OrderUpdate::ChangeRejected { gone: true, .. }]), "{news:?}");
    rig.encode(&Action::Query { id, instrument: InstrumentId(0) });
    let never = r#"{"code":-2013,"msg":"Order does not exist."}"#;
    let news = updates(&rig.answer("GET /api/v3/order", 400, never));
    assert_eq!(news, [OrderUpdate::NotFound]);
    rig.encode(&Action::Query { id, instrument: InstrumentId(0) });
    let news = updates(&rig.reply_first("GET /api/v3/order", Err(NoReply::Lost("x".into()))));
    assert!(matches!(&news[..], [OrderUpdate::Unknown { .. }]), "{news:?}");
}

#[test]
fn documented_order_replies_are_read() {
    // (file, method, product): the documents' client id is replaced by ours.
    let table = [
        ("spot_rest_order_new_result.json", "POST", SPOT),
        ("spot_rest_order_new_full.json", "POST", SPOT),
        ("spot_rest_order_cancel.json", "DELETE", SPOT),
        ("spot_rest_order_query.json", "GET", SPOT),
        ("usdm_rest_order_new.json", "POST", USDM),
        ("usdm_rest_order_cancel.json", "DELETE", USDM),
        ("usdm_rest_order_query.json", "GET", USDM),
        ("usdm_rest_order_modify.json", "PUT", USDM),
    ];
    for (file, method, product) in table {
        let Some(text) = fixture(file) else { return };
        let mut body: Value = serde_json::from_str(&text).unwrap();
        let new = order(1, OrderKind::ImmediateOrCancel);
        body["clientOrderId"] = name(&new).into();
        if method == "DELETE" && product == SPOT {
            body["origClientOrderId"] = name(&new).into();
            body["clientOrderId"] = "cancelMyOrder1".into();
        }
        // The samples are market and stop orders without a limit price; ours always have one.
        if body["price"].as_str().unwrap().parse::<f64>().unwrap() == 0.0 {
            body["price"] = "61837.63".into();
        }
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.00000001", "0.00000001");
        let (id, instrument) = (new.id, new.instrument);
        rig.encode(&match method {
            "POST" => Action::Place(new.clone()),
            "DELETE" => Action::Cancel { id, instrument },
            "PUT" => {
                Action::Amend(Amend { id, instrument, side: new.side, px: new.px, qty: new.qty })
            }
            _ => Action::Query { id, instrument },
        });
        let events = rig.answer(&rig.order_label(method), 200, &body.to_string());
        let news = updates(&events);
        assert!(matches!(&news[..], [OrderUpdate::State { .. }]), "{file}: {news:?}");
        let fills = events.iter().filter(|e| matches!(e, Event::Fill(_))).count();
        assert_eq!(fills, if file.contains("full") { 5 } else { 0 }, "{file}");
    }
}

#[test]
fn a_reply_about_another_order_is_no_answer() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    let other = json!({"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": name(&order(2, OrderKind::PostOnly)),
        "price": "1", "origQty": "1", "executedQty": "0", "status": "NEW", "side": "BUY"});
    let news = updates(&rig.answer("POST /api/v3/order", 200, &other.to_string()));
    assert!(matches!(&news[..], [OrderUpdate::Unknown { .. }]), "{news:?}");
}

// ---- user stream

#[test]
fn documented_user_events_are_read() {
    const ALL: [&str; 8] =
        ["BTCUSDT", "ETHUSDT", "ETHBTC", "LTCBNB", "BNBUSDT", "DOGEUSDT", "ADAUSDT", "LTCBTC"];
    // Kinds of event that must come out; an empty list: read, and of no interest.
    let table: [(&str, Product, &[&str]); 22] = [
        ("spot_user_executionReport_NEW.json", SPOT, &[]),
        ("spot_user_executionReport_TRADE_naut.json", SPOT, &["fill"]),
        ("spot_user_executionReport_CANCELED_naut.json", SPOT, &[]),
        ("spot_user_executionReport_EXPIRED_naut.json", SPOT, &[]),
        ("spot_user_executionReport_REJECTED_naut.json", SPOT, &[]),
        ("spot_user_executionReport_TRADE_PREVENTION_naut.json", SPOT, &[]),
        ("spot_user_executionReport_wrapped_naut.json", SPOT, &[]),
        ("spot_user_outboundAccountPosition.json", SPOT, &["account"]),
        ("spot_wsapi_event_wrapped_outboundAccountPosition.json", SPOT, &["account"]),
        ("spot_user_balanceUpdate.json", SPOT, &[]),
        ("spot_user_externalLockUpdate.json", SPOT, &[]),
        ("spot_user_listStatus.json", SPOT, &[]),
        ("usdm_user_ORDER_TRADE_UPDATE_NEW.json", USDM, &[]),
        ("usdm_user_order_update_trade_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_trade_partial_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_liquidation_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_adl_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_settlement_naut.json", USDM, &["fill"]),
        ("usdm_user_TRADE_LITE.json", USDM, &[]),
        ("usdm_user_ACCOUNT_CONFIG_UPDATE_leverage.json", USDM, &[]),
        ("usdm_user_MARGIN_CALL.json", USDM, &[]),
        ("usdm_user_ALGO_UPDATE.json", USDM, &[]),
    ];
    for (file, product, want) in table {
        let Some(text) = fixture(file) else { return };
        let mut rig = Rig::ready(product, &ALL, "0.00000001", "0.00000001");
        let got: Vec<&str> = rig.text(LinkKind::User, &text).iter().map(kind).collect();
        assert_eq!(got, want, "{file}");
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Fill(_) => "fill",
        Event::Order(_) => "order",
        Event::Account(_) => "account",
        Event::Garbled { .. } => "garbled",
        Event::Book(_) => "book",
        Event::BookLost { .. } => "lost",
        Event::Trade(_) => "trade",
        Event::Ticker(_) => "ticker",
        Event::Mark(_) => "mark",
        Event::Link { up: true, .. } => "up",
        Event::Link { up: false, .. } => "down",
        Event::VenueFailed { .. } => "failed",
        Event::Funding { .. } => "funding",
        _ => "other",
    }
}

#[test]
fn our_orders_speak_by_their_name() {
    let new = order(9, OrderKind::PostOnly);
    let spot = |c: &str, original: &str, x: &str, status: &str, trade: i64| {
        json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": 2, "s": "BTCUSDT",
            "c": c, "S": "BUY", "o": "LIMIT_MAKER", "f": "GTC", "q": "0.00150", "p": "61837.63",
            "C": original, "x": x, "X": status, "r": "NONE", "i": 77, "l": "0.00050",
            "z": "0.00050", "L": "61837.63", "n": "-0.001", "N": "USDT", "T": 5, "t": trade,
            "m": true}})
        .to_string()
    };
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let events = rig.text(LinkKind::User, &spot(&name(&new), "", "TRADE", "PARTIALLY_FILLED", 4));
    let [Event::Fill(fill), Event::Order(news)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((fill.order, fill.qty, fill.liquidity), (Some(new.id), Qty(50), Liquidity::Maker));
    assert_eq!((fill.fee.to_string(), fill.at), ("-0.001".to_string(), Ts::from_ms(5)));
    assert_eq!((news.id, news.venue_order_id), (new.id, Some(77)));
    let events = rig.text(LinkKind::User, &spot("x", &name(&new), "CANCELED", "CANCELED", -1));
    let [Event::Order(news)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(news.id, new.id, "a cancel's report names the order in C");
    let events = rig.text(LinkKind::User, &spot(&name(&new), "other", "CANCELED", "CANCELED", -1));
    assert!(events.is_empty(), "somebody else's order, cancelled under our name: {events:?}");
    let events = rig
        .text(LinkKind::User, &spot(&name(&new), "", "TRADE_PREVENTION", "EXPIRED_IN_MATCH", -1));
    assert!(matches!(
        &updates(&events)[..],
        [OrderUpdate::State { status: OrderStatus::Expired, .. }]
    ));
    let events = rig.text(LinkKind::User, &spot("web_1", "", "TRADE", "FILLED", 5));
    let [Event::Fill(fill)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(fill.order, None, "a foreign order moves our position, too");
    let garbled =
        rig.text(LinkKind::User, &spot("web_1", "", "TRADE", "FILLED", 5).replace("0.00050", "x"));
    assert_eq!(garbled.iter().map(kind).collect::<Vec<_>>(), ["garbled"]);
}

#[test]
fn account_updates_tell_wallet_positions_and_funding() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    let update = |reason: &str, side: &str| {
        json!({"e": "ACCOUNT_UPDATE", "E": 2, "T": 1, "a": {"m": reason,
            "B": [{"a": "USDT", "wb": "100.5", "cw": "1", "bc": "-0.25"}],
            "P": [{"s": "BTCUSDT", "pa": "-0.010", "ep": "61000.1", "ps": side}]}})
        .to_string()
    };
    let events = rig.text(LinkKind::User, &update("ORDER", "BOTH"));
    let [Event::Account(account)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((account.complete, account.positions[0].qty), (false, Qty(-10)));
    assert_eq!(account.balances[0].free.to_string(), "100.5");
    let events = rig.text(LinkKind::User, &update("FUNDING_FEE", "BOTH"));
    let [Event::Funding { amount, instrument, .. }, Event::Account(_)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((amount.to_string(), *instrument), ("-0.25".into(), Some(InstrumentId(0))));
    let events = rig.text(LinkKind::User, &update("ORDER", "SHORT"));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["failed", "account"]);
}

#[test]
fn the_spot_user_stream_subscribes_with_a_signature_and_is_then_up() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.frames.clear();
    assert!(rig.open(LinkKind::User).is_empty(), "not up before the venue has agreed");
    let Some(Frame::Text { text, .. }) = rig.frames.pop() else { panic!() };
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent["method"], "userDataStream.subscribe.signature");
    let p = &sent["params"];
    let payload = format!("apiKey={KEY}&recvWindow=5000&timestamp={}", p["timestamp"]);
    assert_eq!(p["signature"], Signer::new(&SECRET.into()).sign(&payload));
    let Some(ok) = fixture("spot_wsapi_resp_userDataStream.subscribe.signature.json") else {
        return;
    };
    assert_eq!(rig.text(LinkKind::User, &ok).iter().map(kind).collect::<Vec<_>>(), ["up"]);
    let revoked = fixture("spot_wsapi_session_revoked.json").unwrap();
    let kinds: Vec<_> = rig.text(LinkKind::User, &revoked).iter().map(kind).collect();
    assert_eq!(kinds, ["failed", "down"]);
}

#[test]
fn the_stream_is_opened_again_when_the_venue_ends_it() {
    for file in ["spot_user_eventStreamTerminated.json", "spot_wsapi_serverShutdown.json"] {
        let Some(text) = fixture(file) else { return };
        let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
        rig.open(LinkKind::User);
        rig.text(LinkKind::User, r#"{"id":"user-1","status":200,"result":{}}"#);
        rig.frames.clear();
        let kinds: Vec<_> = rig.text(LinkKind::User, &text).iter().map(kind).collect();
        assert_eq!(kinds, ["down"], "{file}");
        assert_eq!(rig.connects().len(), 1, "{file}");
    }
    let Some(expired) = fixture("usdm_user_listenKeyExpired.json") else { return };
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    rig.open(LinkKind::User);
    rig.frames.clear();
    assert_eq!(rig.text(LinkKind::User, &expired).iter().map(kind).collect::<Vec<_>>(), ["down"]);
    rig.answer("POST /fapi/v1/listenKey", 200, r#"{"listenKey":"new"}"#);
    assert_eq!(rig.connects()[0].1, "ws://user/private/ws?listenKey=new");
}

#[test]
fn listen_keys_are_kept_alive_and_replaced() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    rig.open(LinkKind::User);
    for _ in 0..31 {
        rig.wait(Span::from_s(60));
        rig.act(|p, now, out| p.on_alive(LinkKind::User, now, out));
        rig.act(|p, now, out| p.on_alive(LinkKind::Market, now, out));
    }
    rig.frames.clear();
    let expired = r#"{"code":-1125,"msg":"This listenKey does not exist."}"#;
    let kinds: Vec<_> =
        rig.answer("PUT /fapi/v1/listenKey", 400, expired).iter().map(kind).collect();
    assert_eq!(kinds, ["down"]);
    rig.answer("POST /fapi/v1/listenKey", 200, r#"{"listenKey":"new"}"#);
    assert!(rig.connects().iter().any(|(_, url, _)| url.ends_with("listenKey=new")));
}

#[test]
fn the_dead_man_switch_is_armed_first_renewed_and_taken_back() {
    let mut with = params(USDM, &["BTCUSDT"]);
    with.dead_man_switch = Some(Span::from_s(40));
    let (mut rig, _) = Rig::new(with);
    let time = json!({"serverTime": T0.ms()}).to_string();
    rig.answer("GET /fapi/v1/time", 200, &time);
    rig.answer("GET /fapi/v1/exchangeInfo", 200, &listing(&["BTCUSDT"], "0.01", "0.00001"));
    rig.answer("POST /fapi/v1/listenKey", 200, r#"{"listenKey":"abc"}"#);
    assert!(rig.open(LinkKind::User).is_empty(), "not up while the switch is not armed");
    let refused = updates(&rig.encode(&Action::Place(order(1, OrderKind::PostOnly))));
    assert!(matches!(&refused[..], [OrderUpdate::Rejected { .. }]));
    let at = rig.requests.iter().position(|r| r.label.ends_with("countdownCancelAll")).unwrap();
    assert_eq!(verify(&rig.requests[at])["countdownTime"], "40000");
    let events = rig.answer(
        "POST /fapi/v1/countdownCancelAll",
        200,
        r#"{"symbol":"BTCUSDT","countdownTime":"40000"}"#,
    );
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["up"]);
    rig.requests.clear();
    rig.wait(Span::from_s(10));
    assert!(rig.requests.iter().any(|r| r.label.ends_with("countdownCancelAll")), "a quarter on");
    // The renewals get no answer: when the venue's countdown has run out, we are down.
    let events = rig.wait(Span::from_s(45));
    assert!(
        events.iter().any(|e| matches!(e, Event::Link { link: LinkKind::User, up: false, .. }))
    );
    rig.requests.clear();
    rig.act(|p, now, out| p.finish(now, out));
    let labels: Vec<_> = rig.requests.iter().map(|r| r.label).collect();
    assert_eq!(labels, ["POST /fapi/v1/countdownCancelAll", "DELETE /fapi/v1/listenKey"]);
    assert_eq!(verify(&rig.requests[0])["countdownTime"], "0");
    assert_eq!(rig.protocol.next_timeout(), None);
}

// ---- the whole account

fn trade_row(id: u64, order_id: u64) -> Value {
    json!({"symbol": "BTCUSDT", "id": id, "orderId": order_id, "price": "61837.63",
        "qty": "0.00050", "commission": "0", "commissionAsset": "USDT", "time": 9,
        "isBuyer": true, "isMaker": true})
}

#[test]
fn a_reading_tells_trades_before_the_one_snapshot() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.requests.clear();
    rig.encode(&Action::Reconcile { venue: VenueId(0) });
    let asked = rig.now;
    let (ours, lost) = (order(1, OrderKind::PostOnly), order(2, OrderKind::PostOnly));
    let open = |id: u64, name: &str| {
        json!({"symbol": "BTCUSDT", "orderId": id, "clientOrderId": name, "price": "61837.63",
            "origQty": "0.00150", "executedQty": "0.00050", "status": "PARTIALLY_FILLED", "side": "BUY"})
    };
    let orders = json!([open(5, &name(&ours)), open(6, "web_1")]).to_string();
    assert!(rig.answer("GET /api/v3/openOrders", 200, &orders).is_empty());
    let account = json!({"canTrade": true, "balances": [
        {"asset": "USDT", "free": "10.5", "locked": "2"}]});
    assert!(rig.answer("GET /api/v3/account", 200, &account.to_string()).is_empty());
    let url = &rig.requests[0].url;
    let since: i64 = url.split("startTime=").nth(1).unwrap()[..13].parse().unwrap();
    assert!((since - T0.ms()).abs() <= 1, "no history: {url}");
    // Order 7 was placed without an answer: only the venue knows its client id.
    let trades = json!([trade_row(100, 5), trade_row(101, 7)]).to_string();
    let events = rig.answer("GET /api/v3/myTrades", 200, &trades);
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["fill"]);
    let events = rig.answer("GET /api/v3/order", 200, &open(7, &name(&lost)).to_string());
    let [Event::Fill(fill), Event::Account(account)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((fill.order, fill.trade_id), (Some(lost.id), 101));
    assert!(account.complete);
    assert_eq!(account.as_of, asked);
    let ids: Vec<_> = account.open_orders.as_ref().unwrap().iter().map(|o| o.id).collect();
    assert_eq!(ids, [Some(ours.id), None]);
    let base = account.balances.iter().find(|b| b.asset.as_str() == "BASE").unwrap();
    assert!(base.free.is_zero(), "what is not listed is zero");

    // The next reading goes on behind the last trade; a failed part gives no snapshot.
    rig.encode(&Action::Reconcile { venue: VenueId(0) });
    rig.answer("GET /api/v3/openOrders", 200, "[]");
    rig.answer("GET /api/v3/account", 200, r#"{"balances":[]}"#);
    assert!(rig.requests[0].url.contains("fromId=102"), "{}", rig.requests[0].url);
    let events = rig.reply_first("GET /api/v3/myTrades", Err(NoReply::Lost("x".into())));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["garbled"]);
}

#[test]
fn usdm_readings_and_documented_account_replies() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT", "ADAUSDT"], "0.00000001", "0.00000001");
    rig.requests.clear();
    rig.encode(&Action::Reconcile { venue: VenueId(0) });
    let Some(orders) = fixture("usdm_rest_openOrders.json") else { return };
    rig.answer("GET /fapi/v1/openOrders", 200, &orders);
    rig.answer("GET /fapi/v1/openOrders", 200, "[]");
    rig.answer("GET /fapi/v3/account", 200, &fixture("usdm_rest_account_v3.json").unwrap());
    rig.answer(
        "GET /fapi/v3/positionRisk",
        200,
        &fixture("usdm_rest_positionRisk_v3.json").unwrap(),
    );
    rig.answer("GET /fapi/v1/userTrades", 200, &fixture("usdm_rest_userTrades.json").unwrap());
    rig.answer("GET /fapi/v1/userTrades", 200, "[]");
    let gone = r#"{"code":-2013,"msg":"Order does not exist."}"#;
    let events = rig.answer("GET /fapi/v1/order", 400, gone);
    let [Event::Fill(fill), Event::Account(account)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(fill.order, None);
    assert_eq!((account.complete, account.positions.len()), (true, 1));
    assert_eq!(account.positions[0].qty, Qty(3_000_000_000));
    assert_eq!(account.balances[0].free.to_string(), "23.72469206");
}

#[test]
fn documented_fees_are_read() {
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT"]));
    rig.answer("GET /api/v3/time", 200, &json!({"serverTime": T0.ms()}).to_string());
    let Some(fees) = fixture("spot_rest_account_commission.json") else { return };
    let events = rig.answer("GET /api/v3/account/commission", 200, &fees);
    let [Event::Fees { maker, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(maker.to_string(), "0.05000278", "standard, special and tax, and the dearer side");
}

// ---- market data

#[test]
fn documented_streams_are_read() {
    let table: [(&str, Product, &str, &[&str]); 10] = [
        ("spot_stream_trade.json", SPOT, "bnbbtc@trade", &["trade"]),
        ("spot_stream_bookTicker.json", SPOT, "bnbusdt@bookTicker", &["ticker"]),
        ("spot_stream_aggTrade.json", SPOT, "bnbbtc@aggTrade", &["trade"]),
        ("spot_stream_kline.json", SPOT, "bnbbtc@kline_1m", &[]),
        ("spot_stream_partialDepth.json", SPOT, "bnbbtc@depth5", &[]),
        ("usdm_stream_bookTicker.json", USDM, "bnbusdt@bookTicker", &["ticker"]),
        ("usdm_stream_aggTrade.json", USDM, "bnbusdt@aggTrade", &["trade"]),
        ("usdm_stream_markPriceUpdate.json", USDM, "btcusdt@markPrice@1s", &["mark"]),
        ("usdm_stream_partialDepth.json", USDM, "btcusdt@depth5@100ms", &[]),
        ("usdm_stream_depthUpdate.json", USDM, "bnbusdt@depth@100ms", &[]),
    ];
    for (file, product, stream, want) in table {
        let Some(text) = fixture(file) else { return };
        let mut rig =
            Rig::ready(product, &["BNBBTC", "BNBUSDT", "BTCUSDT"], "0.00000001", "0.00000001");
        let got: Vec<_> = rig.stream(LinkKind::Market, stream, &text).iter().map(kind).collect();
        assert_eq!(got, want, "{file}");
    }
    let Some(shutdown) = fixture("spot_stream_serverShutdown_combined.json") else { return };
    for text in [shutdown, fixture("spot_stream_serverShutdown_raw.json").unwrap()] {
        let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
        rig.frames.clear();
        assert_eq!(
            rig.text(LinkKind::Market, &text).iter().map(kind).collect::<Vec<_>>(),
            ["down"]
        );
        assert_eq!(rig.connects().len(), 1);
    }
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    assert!(rig.text(LinkKind::Market, r#"{"result":null,"id":1}"#).is_empty());
}

#[test]
fn off_market_prints_are_no_prices() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let print = |x: &str| {
        format!(
            r#"{{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"28722.50","q":"0.1","X":"{x}","T":1,"m":true,"M":true}}"#
        )
    };
    assert!(rig.stream(LinkKind::Market, "btcusdt@trade", &print("INSURANCE_FUND")).is_empty());
    assert_eq!(rig.stream(LinkKind::Market, "btcusdt@trade", &print("MARKET")).len(), 1);
}

#[test]
fn an_empty_side_is_no_price() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let empty = r#"{"u":1,"s":"BTCUSDT","b":"0.00000000","B":"0.00000000","a":"1.00","A":"1"}"#;
    assert!(rig.stream(LinkKind::Market, "btcusdt@bookTicker", empty).is_empty());
}

fn depth(product: Product, first: u64, last: u64, previous: u64) -> String {
    let pu = if product == USDM { format!("\"pu\":{previous},") } else { String::new() };
    format!(
        r#"{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{first},"u":{last},{pu}"b":[["100.00","1"]],"a":[]}}"#
    )
}

fn depth_label(product: Product) -> &'static str {
    if product == SPOT { "GET /api/v3/depth" } else { "GET /fapi/v1/depth" }
}

fn snapshot(last: u64) -> String {
    format!(r#"{{"lastUpdateId":{last},"bids":[["100.00","1"]],"asks":[["101.00","1"]]}}"#)
}

#[test]
fn a_book_story_on_each_product() {
    for product in [SPOT, USDM] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        let feed = |rig: &mut Rig, first, last, previous| {
            let data = depth(product, first, last, previous);
            let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &data);
            events.iter().map(kind).collect::<Vec<_>>()
        };
        // The straddling diff comes before the snapshot is even asked for.
        assert!(feed(&mut rig, 11, 20, 10).is_empty());
        assert!(feed(&mut rig, 21, 30, 20).is_empty());
        // A snapshot older than the first diff is thrown away and asked for again, not at once.
        assert!(rig.answer(depth_label(product), 200, &snapshot(5)).is_empty());
        assert!(rig.requests.is_empty());
        rig.wait(Span::from_s(1));
        let events = rig.answer(depth_label(product), 200, &snapshot(25));
        let [Event::Book(whole), Event::Book(diff)] = &events[..] else { panic!("{events:?}") };
        assert!(whole.snapshot && !diff.snapshot);
        assert_eq!(feed(&mut rig, 31, 40, 30), ["book"]);
        // A missing update is told at once, and nothing is applied until the next snapshot.
        assert_eq!(feed(&mut rig, 51, 60, 50), ["lost"]);
        assert!(feed(&mut rig, 61, 70, 60).is_empty());
        rig.wait(Span::from_s(2));
        let events = rig.answer(depth_label(product), 200, &snapshot(65));
        assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["book", "book"]);
        // A frame that cannot be read, a price off the tick: lost as well.
        let off = depth(product, 71, 80, 70).replace("100.00", "100.001");
        let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &off);
        assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["garbled", "lost"]);
        let events = rig.text(LinkKind::Market, "{\"stream\":\"btcusdt@dep");
        assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["garbled", "lost"]);
    }
}

#[test]
fn a_quiet_market_gets_its_book_without_a_diff() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    assert!(rig.requests.is_empty());
    rig.wait(Span::from_s(1));
    let events = rig.answer("GET /api/v3/depth", 200, &snapshot(25));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["book"]);
    let next = depth(SPOT, 27, 30, 0);
    let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &next);
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["lost"], "26 is missing");
}

#[test]
fn a_closed_stream_loses_its_books_and_comes_back_with_patience() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.wait(Span::from_s(1));
    rig.answer("GET /api/v3/depth", 200, &snapshot(25));
    let events = rig.act(|p, now, out| p.on_closed(LinkKind::Market, now, "reset", out));
    assert!(
        events.contains(&Event::BookLost {
            instrument: InstrumentId(0),
            why: BookLoss::Disconnected
        })
    );
    let mut waits = Vec::new();
    for _ in 0..4 {
        waits.extend(rig.connects().into_iter().filter(|c| c.0 == LinkKind::Market).map(|c| c.2));
        rig.act(|p, now, out| p.on_closed(LinkKind::Market, now, "refused", out));
    }
    assert!(waits.windows(2).all(|w| w[1] > w[0]), "{waits:?}");
    // A late snapshot of the old stream proves nothing about the new one.
    rig.open(LinkKind::Market);
    rig.wait(Span::from_s(1));
    let stale = rig.requests.pop().unwrap();
    rig.act(|p, now, out| p.on_closed(LinkKind::Market, now, "reset", out));
    rig.open(LinkKind::Market);
    let reply = Reply { outcome: Ok(http(200, &snapshot(30))), sent_at: rig.now };
    let events = rig.act(|p, now, out| p.on_reply(stale.tag, now, reply, out));
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn links_are_renewed_before_the_venue_cuts_them_and_when_they_are_silent() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.open(LinkKind::User);
    rig.text(LinkKind::User, r#"{"id":"user-1","status":200,"result":{}}"#);
    let mut down = 0;
    for _ in 0..(24 * 60) {
        let events = rig.wait(Span::from_s(60));
        rig.requests.clear();
        down += events.iter().filter(|e| kind(e) == "down").count();
        rig.act(|p, now, out| p.on_alive(LinkKind::Market, now, out));
        rig.act(|p, now, out| p.on_alive(LinkKind::User, now, out));
        if down > 0 {
            break;
        }
    }
    assert_eq!(down, 1);
    let lived = rig.now.since(T0);
    assert!(lived > Span::from_s(23 * 3600) && lived < Span::from_s(24 * 3600), "{lived:?}");
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.01", "0.00001");
    let events = rig.wait(Span::from_s(300));
    assert!(events.iter().any(|e| kind(e) == "down"), "silence is a dead connection");
}

// ---- recordings

#[derive(Default)]
struct TinyBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl TinyBook {
    fn apply(&mut self, update: &BookUpdate) {
        if update.snapshot {
            *self = TinyBook::default();
        }
        for (side, levels) in [(&mut self.bids, &update.bids), (&mut self.asks, &update.asks)] {
            for level in levels {
                if level.qty.is_zero() {
                    side.remove(&level.px.0);
                } else {
                    side.insert(level.px.0, level.qty.0);
                }
            }
        }
    }

    fn crossed(&self) -> bool {
        match (self.bids.last_key_value(), self.asks.first_key_value()) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        }
    }
}

#[derive(Debug, Default)]
struct Replay {
    books: usize,
    crossed: usize,
    lost: usize,
    garbled: usize,
    trades: usize,
    tickers: usize,
}

/// Play a recording; its snapshot line answers the snapshot request.
fn replay(
    product: Product,
    symbol: &str,
    files: &[String],
    tick: &str,
    lot: &str,
    edit: impl Fn(usize, String) -> Option<String>,
) -> Option<Replay> {
    let mut lines = Vec::new();
    for file in files {
        let file = std::fs::File::open(shared(file)?).unwrap();
        let reader = BufReader::new(flate2::read::GzDecoder::new(file));
        lines.extend(reader.lines().map(Result::unwrap));
    }
    let mut rig = Rig::ready(product, &[symbol], tick, lot);
    let mut pending: Option<String> = None;
    let (mut done, mut book) = (Replay::default(), TinyBook::default());
    for (n, line) in lines.into_iter().enumerate() {
        let Some(line) = edit(n, line) else { continue };
        let (at, json) = line.split_once(' ').unwrap();
        let at = Ts(at.parse::<i64>().unwrap() + (T0.0 - 1_723_161_253_000_000_000));
        rig.wait(at.since(rig.now).max(Span::ZERO));
        let mut events = Vec::new();
        if json.starts_with("{\"lastUpdateId\"") {
            pending = Some(json.to_owned());
        } else {
            events = rig.text(LinkKind::Market, json);
        }
        let asked = rig.requests.iter().any(|r| r.label == depth_label(product));
        if let (true, Some(body)) = (asked, &pending) {
            let body = body.clone();
            events.extend(rig.answer(depth_label(product), 200, &body));
        }
        for event in &events {
            match event {
                Event::Book(update) => {
                    book.apply(update);
                    done.books += 1;
                    done.crossed += usize::from(book.crossed());
                }
                Event::BookLost { .. } => done.lost += 1,
                Event::Garbled { .. } => done.garbled += 1,
                Event::Trade(_) => done.trades += 1,
                Event::Ticker(_) => done.tickers += 1,
                _ => {}
            }
        }
    }
    Some(done)
}

/// Product, symbol, files, tick, lot.
type Recording = (Product, &'static str, &'static [&'static str], &'static str, &'static str);

#[test]
fn recorded_books_are_whole_and_never_crossed() {
    // The second day goes on without a snapshot of its own.
    let cases: [Recording; 4] = [
        (SPOT, "BTCUSDT", &["spot/btcusdt_20240808", "spot/btcusdt_20240809"], "0.01", "0.00001"),
        (SPOT, "ETHUSDT", &["spot/ethusdt_20240808", "spot/ethusdt_20240809"], "0.01", "0.0001"),
        (USDM, "BTCUSDT", &["usdm/btcusdt_20240808"], "0.10", "0.001"),
        (USDM, "ETHUSDT", &["usdm/ethusdt_20240808"], "0.01", "0.001"),
    ];
    for (product, symbol, files, tick, lot) in cases {
        let files: Vec<String> =
            files.iter().map(|file| format!("data/binance-2024-08-08/{file}.gz")).collect();
        let Some(done) = replay(product, symbol, &files, tick, lot, |_, line| Some(line)) else {
            return;
        };
        assert_eq!((done.crossed, done.lost, done.garbled), (0, 0, 0), "{files:?}: {done:?}");
        assert!(done.books > 6400 && done.trades > 5000 && done.tickers > 20_000, "{done:?}");
        if symbol != "BTCUSDT" {
            continue;
        }
        // The same with a few diffs missing in the middle is noticed.
        let drop = |n: usize, line: String| {
            (!(5000..5100).contains(&n) || !line.contains("depthUpdate")).then_some(line)
        };
        let broken = replay(product, symbol, &files, tick, lot, drop).unwrap();
        assert!(broken.lost > 0, "{files:?}: {broken:?}");
    }
}

#[test]
fn a_quiet_recording_that_begins_with_its_snapshot_is_whole() {
    let files = ["data/binance-nexousdt-2024-07/nexousdt_20240723.dat.gz".to_owned()];
    let micros = |_: usize, line: String| {
        let (at, json) = line.split_once(' ').unwrap();
        // Receive times in microseconds, moved to where `replay` expects them.
        let at = at.parse::<i64>().unwrap() * 1000 - 1_721_749_182_000_000_000;
        Some(format!("{} {json}", at + 1_723_161_253_000_000_000))
    };
    let Some(done) = replay(SPOT, "NEXOUSDT", &files, "0.001", "0.01", micros) else { return };
    assert_eq!((done.crossed, done.lost, done.garbled), (0, 0, 0), "{done:?}");
    assert!(done.books > 1100, "{done:?}");
}

/// Rows of one update become one frame; rows that share stream and ids belong together.
fn csv_frames(file: &str, usdm: bool) -> Option<Vec<String>> {
    let file = std::fs::File::open(shared(&format!("data/damaged-trx/{file}"))?).unwrap();
    let lines: Vec<String> = BufReader::new(flate2::read::GzDecoder::new(file))
        .lines()
        .skip(1)
        .map(Result::unwrap)
        .collect();
    let mut frames: Vec<(String, [Vec<Value>; 2])> = Vec::new();
    for line in &lines {
        let cells: Vec<&str> = line.split(',').collect();
        let (head, rest) = cells.split_at(if usdm { 9 } else { 7 });
        let at = if usdm { 5 } else { 4 };
        let mut text = format!(
            r#""e":"{}","E":{},"s":"{}","U":{},"u":{}"#,
            head[2],
            head[3],
            head[at],
            head[at + 1],
            head[at + 2]
        );
        if usdm {
            text += &format!(r#","T":{},"pu":{}"#, head[4], head[8]);
        }
        let side = usize::from(rest[0] != "0");
        if frames.last().is_none_or(|(last, _)| *last != text) {
            frames.push((text, [Vec::new(), Vec::new()]));
        }
        frames.last_mut().unwrap().1[side].push(json!([rest[1], rest[2]]));
    }
    let frame = |(head, [b, a]): &(String, [Vec<Value>; 2])| {
        format!("{{{head},\"b\":{},\"a\":{}}}", Value::from(b.clone()), Value::from(a.clone()))
    };
    Some(frames.iter().map(frame).collect())
}

fn run_csv(product: Product, frames: &[String]) -> (usize, usize) {
    let mut rig = Rig::ready(product, &["TRXUSDT"], "0.00001", "0.1");
    let (mut books, mut bad) = (0, 0);
    for (n, frame) in frames.iter().enumerate() {
        rig.wait(Span::from_ms(100));
        let mut events = rig.stream(LinkKind::Market, "trxusdt@depth@100ms", frame);
        if n == 0 && !rig.requests.is_empty() {
            // A made-up empty snapshot that the first diff joins.
            let wire: Value = serde_json::from_str(frame).unwrap();
            let last = wire["U"].as_u64().unwrap();
            let body = format!(r#"{{"lastUpdateId":{last},"bids":[],"asks":[]}}"#);
            events.extend(rig.answer(depth_label(product), 200, &body));
        }
        books += events.iter().filter(|e| kind(e) == "book").count();
        bad += events.iter().filter(|e| matches!(kind(e), "lost" | "garbled")).count();
    }
    (books, bad)
}

#[test]
fn damaged_recordings_are_noticed() {
    let file = "binance_difference_depth_stream_spot_trxusdt_04-03-2025.csv.gz";
    let Some(sound) = csv_frames(&format!("test_positive_{file}"), false) else { return };
    let (books, bad) = run_csv(SPOT, &sound);
    assert!(books >= sound.len() && bad == 0, "{books} of {}, {bad} bad", sound.len());
    let damaged = csv_frames(&format!("test_negative_{file}"), false).unwrap();
    let (books, bad) = run_csv(SPOT, &damaged);
    assert!(bad > 0 && books < sound.len(), "{books} {bad}");

    let file = "binance_difference_depth_stream_usd_m_futures_trxusdt_04-03-2025.csv.gz";
    let sound = csv_frames(&format!("test_positive_{file}"), true).unwrap();
    let (books, bad) = run_csv(USDM, &sound);
    assert!(books >= sound.len() && bad == 0, "{books} of {}, {bad} bad", sound.len());
    // A changed `u`, as in the damaged USD-M day: the next `pu` does not fit it.
    let mut damaged = sound.clone();
    let u = |frame: &str| serde_json::from_str::<Value>(frame).unwrap()["u"].as_u64().unwrap();
    let (was, at) = (u(&sound[40]), 40);
    damaged[at] = sound[at].replace(&format!("\"u\":{was}"), &format!("\"u\":{}", was + 1));
    assert_eq!(run_csv(USDM, &damaged).1, 1);
}

// ---- bad weather

/// Everything that the venue may say, as one pool of bytes to damage.
fn pool() -> Vec<String> {
    let Some(dir) = shared("protocol/fixtures/binance") else { return vec![snapshot(1)] };
    let mut texts: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter(|text| text.len() < 8000)
        .collect();
    texts.sort();
    texts.push(depth(USDM, 1, 2, 0));
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_the_venue_says_makes_us_panic(
        pick in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 32u8..127), 0..4),
        usdm in any::<bool>(),
        status in prop::sample::select(vec![200u16, 400, 401, 418, 429, 500, 503]),
    ) {
        thread_local!(static POOL: Vec<String> = pool());
        let product = if usdm { USDM } else { SPOT };
        let mut bytes = POOL.with(|pool| pick.get(pool).clone().into_bytes());
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let symbols = ["BTCUSDT", "BNBUSDT", "BNBBTC"];
        let mut rig = Rig::ready(product, &symbols, "0.00000001", "0.00000001");
        for link in [LinkKind::Market, LinkKind::MarketSlow, LinkKind::User] {
            rig.text(link, &text);
            for stream in ["bnbbtc@depth", "btcusdt@trade", "bnbusdt@bookTicker", "btcusdt@markPrice"] {
                rig.stream(link, stream, &text);
            }
        }
        let new = order(1, OrderKind::PostOnly);
        rig.encode(&Action::Place(new.clone()));
        rig.encode(&Action::Cancel { id: new.id, instrument: new.instrument });
        rig.encode(&Action::Query { id: new.id, instrument: new.instrument });
        rig.encode(&Action::Reconcile { venue: VenueId(0) });
        for _ in 0..60 {
            let Some(request) = rig.requests.first() else { break };
            rig.reply_first(request.label, Ok(http(status, &text)));
        }
        rig.wait(Span::from_s(100));
        let reply = Reply { outcome: Ok(http(status, &text)), sent_at: rig.now };
        rig.act(|p, now, out| p.on_reply(Tag(u64::MAX), now, reply, out));
    }
}
