//! A venue's session: frames on every link, replies of every kind to whatever it asked.
//!
//! An input is lines. The first byte of a line says what happens with the rest: `m`, `s`, `u` a
//! frame on the market, slow market or user link; `r` a reply to the oldest request, beginning
//! with a three-digit status; `l` a lost reply; `o`, `c` links open and close; `p`, `a`, `x`, `q`
//! an order is placed, amended, cancelled, asked about; `R` the account is read; `t` time passes.

use evenkeel::domain::{
    Action, Amend, InstrumentId, LinkKind, NewOrder, OrderId, OrderKind, Prefix, Purpose, Px, Qty,
    Side, Span, Ts, VenueId,
};
use evenkeel::venues::binance::{Credentials, Params, Product, protocol};
use evenkeel::venues::{Frame, HttpReply, HttpRequest, NoReply, Outbox, Protocol, Reply};

pub const SPOT: Product = Product::Spot;
pub const USDM: Product = Product::UsdM;
const T0: Ts = Ts(1_790_000_000_000_000_000);
const EPOCH: u32 = 1_790_000_000;
const LINKS: [LinkKind; 3] = [LinkKind::Market, LinkKind::MarketSlow, LinkKind::User];
/// Exchange information that both products read.
const LISTING: &str = r#"{"rateLimits":[],"symbols":[{"symbol":"BTCUSDT","status":"TRADING","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000","tickSize":"0.01"},{"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"9000","stepSize":"0.001"},{"filterType":"NOTIONAL","minNotional":"5"},{"filterType":"MAX_NUM_ORDERS","maxNumOrders":200,"limit":200}]}]}"#;

struct Driver {
    protocol: Box<dyn Protocol>,
    now: Ts,
    requests: Vec<HttpRequest>,
}

impl Driver {
    fn new(product: Product) -> Driver {
        let params = Params {
            venue: VenueId(0),
            name: "binance".into(),
            product,
            rest_url: "http://rest".into(),
            market_url: "ws://market".into(),
            user_url: "ws://user".into(),
            credentials: Credentials { key: "key".into(), secret: "secret".into() },
            recv_window_ms: 5000,
            prefix: Prefix::new("ek").unwrap(),
            instruments: vec![(InstrumentId(0), "BTCUSDT".into())],
            dead_man_switch: Some(Span::from_s(10)),
            max_clock_offset: Span::from_s(60),
        };
        let mut driver = Driver { protocol: protocol(params), now: T0, requests: Vec::new() };
        driver.act(|protocol, now, out| protocol.start(now, out));
        driver
    }

    fn act(&mut self, step: impl FnOnce(&mut dyn Protocol, Ts, &mut Outbox)) {
        let mut out = Outbox::default();
        step(&mut *self.protocol, self.now, &mut out);
        assert!(out.frames.len() < 1000 && out.events.len() < 10_000, "one input, endless output");
        let asked = out.frames.into_iter().filter_map(|frame| match frame {
            Frame::Http(request) => Some(request),
            _ => None,
        });
        self.requests.extend(asked);
    }

    fn reply(&mut self, outcome: Result<HttpReply, NoReply>) {
        if self.requests.is_empty() {
            return;
        }
        let request = self.requests.remove(0);
        let reply = Reply { outcome, sent_at: self.now };
        self.now += Span::from_ms(1);
        self.act(|protocol, now, out| protocol.on_reply(request.tag, now, reply, out));
    }

    /// Start-up answered well, links open.
    fn settle(&mut self) {
        for _ in 0..20 {
            let Some(request) = self.requests.first() else { break };
            let body = match request.label.rsplit('/').next().unwrap() {
                "time" => format!("{{\"serverTime\":{}}}", self.now.ms()),
                "exchangeInfo" => LISTING.to_owned(),
                "depth" => {
                    r#"{"lastUpdateId":9,"bids":[["100.00","1"]],"asks":[["101.00","1"]]}"#.into()
                }
                "dual" => r#"{"dualSidePosition":false}"#.into(),
                "listenKey" => r#"{"listenKey":"abc"}"#.into(),
                _ => "{}".into(),
            };
            self.reply(Ok(HttpReply { status: 200, body, ..HttpReply::default() }));
        }
        for link in LINKS {
            self.act(|protocol, now, out| protocol.on_open(link, now, out));
        }
    }

    fn wait(&mut self, span: Span) {
        let until = self.now + span;
        for _ in 0..200 {
            let Some(next) = self.protocol.next_timeout().filter(|&next| next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            self.act(|protocol, now, out| protocol.on_timeout(now, out));
        }
        panic!("200 timeouts within {span:?}");
    }

    fn order(&mut self, what: u8, rest: &str) {
        let counter = u32::from(rest.bytes().next().unwrap_or(b'1') % 8);
        let id = OrderId { epoch: EPOCH, counter };
        let instrument = InstrumentId(0);
        let side = if counter % 2 == 0 { Side::Buy } else { Side::Sell };
        let action = match what {
            b'p' => Action::Place(NewOrder {
                id,
                instrument,
                side,
                px: Px(10_000),
                qty: Qty(10),
                kind: OrderKind::PostOnly,
                reduce_only: false,
                purpose: Purpose::Quote,
            }),
            b'a' => Action::Amend(Amend { id, instrument, side, px: Px(10_001), qty: Qty(9) }),
            b'x' => Action::Cancel { id, instrument },
            _ => Action::Query { id, instrument },
        };
        self.act(|protocol, now, out| protocol.encode(now, &action, out));
    }

    fn line(&mut self, line: &str) {
        let Some(what) = line.bytes().next().filter(u8::is_ascii) else { return };
        let rest = &line[1..];
        let link = LINKS[usize::from(rest.bytes().next().unwrap_or_default() % 3)];
        match what {
            b'm' => self.act(|p, now, out| p.on_text(LinkKind::Market, now, rest, out)),
            b's' => self.act(|p, now, out| p.on_text(LinkKind::MarketSlow, now, rest, out)),
            b'u' => self.act(|p, now, out| p.on_text(LinkKind::User, now, rest, out)),
            b'r' => {
                let (status, body) = rest.split_at_checked(3).unwrap_or(("200", rest));
                let status = status.parse().unwrap_or(200);
                let retry_after_s = (status == 429 || status == 418).then_some(1);
                let body = body.to_owned();
                self.reply(Ok(HttpReply { status, body, retry_after_s, ..HttpReply::default() }));
            }
            b'l' => self.reply(Err(NoReply::Lost("lost".into()))),
            b'o' => self.act(|p, now, out| p.on_open(link, now, out)),
            b'c' => self.act(|p, now, out| p.on_closed(link, now, rest, out)),
            b'R' => {
                let action = Action::Reconcile { venue: VenueId(0) };
                self.act(|p, now, out| p.encode(now, &action, out));
            }
            b'p' | b'a' | b'x' | b'q' => self.order(what, rest),
            b't' => self.wait(Span::from_ms(rest.trim().parse().unwrap_or(1000).clamp(0, 60_000))),
            _ => {}
        }
    }
}

fn run(mut driver: Driver, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines().take(64) {
        driver.line(line);
    }
    driver.wait(Span::from_s(2));
}

/// A session at rest.
pub fn frames(product: Product, data: &[u8]) {
    let mut driver = Driver::new(product);
    driver.settle();
    run(driver, data);
}

/// A session that starts.
pub fn replies(product: Product, data: &[u8]) {
    run(Driver::new(product), data);
}
