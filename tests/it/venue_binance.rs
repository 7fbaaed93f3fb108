//! The Binance protocol against the payloads of its own documents, recordings and bad weather.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod bad_weather;
mod batches;
mod market_data;
mod recordings;
mod replies;
mod requests;
mod start_up;
mod user_stream;
mod whole_account;

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
                "apiRestrictions" => json!({"ipRestrict": true, "enableWithdrawals": false,
                    "enableInternalTransfer": false, "permitsUniversalTransfer": false})
                .to_string(),
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
