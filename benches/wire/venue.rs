//! A venue pair on this machine with nothing between its sockets and the measurement: one thread
//! a connection, order requests answered at once and reported, all else asked of the simulated
//! exchange, whose market stands still.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::local::{ask, now, params};
use evenkeel::domain::Money;
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::faces::streams::Outbox;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept_hdr};

/// What the floor sends.
pub const FLOOR_ORDER: &str = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER\
    &quantity=0.00100&price=25000.35&newClientOrderId=floor&newOrderRespType=FULL&recvWindow=5000\
    &timestamp=1795000000000\
    &signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";

/// An order request that has arrived.
pub struct Arrival {
    pub at: Instant,
    pub method: String,
}

/// Where one of the two listens.
#[derive(Clone, Copy)]
pub struct Listen {
    pub http: SocketAddr,
    pub ws: SocketAddr,
}

/// Spot and USD-M.
pub struct Venue {
    pub spot: Listen,
    pub usdm: Listen,
    /// Of the spot book.
    pub mid: Money,
}

/// An order as it was placed: price, quantity and side.
type Placed = (String, String, String);

struct Shared {
    local: Mutex<LocalExchange>,
    placed: Mutex<BTreeMap<String, Placed>>,
    arrived: Sender<Arrival>,
    sockets: Sender<WebSocket<TcpStream>>,
    usdm_ticker: String,
}

impl Venue {
    /// Both listen; order requests are told, and so is every spot market stream that opens.
    pub fn open() -> (Venue, Receiver<Arrival>, Receiver<WebSocket<TcpStream>>) {
        let (arrived, arrivals) = channel();
        let (opened, sockets) = channel();
        let mut local = LocalExchange::new(params(), now()).unwrap();
        local.advance(now(), &mut Outbox::default());
        let (bid, ask) = touch(&mut local, VenueKind::Spot);
        let (usdm_bid, usdm_ask) = touch(&mut local, VenueKind::Usdm);
        let shared = Arc::new(Shared {
            local: Mutex::new(local),
            placed: Mutex::default(),
            arrived,
            sockets: opened,
            usdm_ticker: format!(
                r#"{{"stream":"btcusdt@bookTicker","data":{{"u":1,"s":"BTCUSDT","b":"{usdm_bid}","B":"3.121","a":"{usdm_ask}","A":"4.066"}}}}"#
            ),
        });
        let venue = Venue {
            spot: listen(&shared, VenueKind::Spot),
            usdm: listen(&shared, VenueKind::Usdm),
            mid: (bid + ask) / Money::TWO,
        };
        (venue, arrivals, sockets)
    }
}

fn touch(local: &mut LocalExchange, kind: VenueKind) -> (Money, Money) {
    let prefix = if kind == VenueKind::Spot { "/api/v3" } else { "/fapi/v1" };
    let (_, body) =
        ask(local, kind, "GET", &format!("{prefix}/ticker/bookTicker"), "symbol=BTCUSDT", None);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let price = |name: &str| body[name].as_str().unwrap().parse().unwrap();
    (price("bidPrice"), price("askPrice"))
}

fn listen(shared: &Arc<Shared>, kind: VenueKind) -> Listen {
    let (http, ws) = (serve(shared, kind, http), serve(shared, kind, websocket));
    Listen { http, ws }
}

/// A thread for every connection.
fn serve(
    shared: &Arc<Shared>,
    kind: VenueKind,
    connection: fn(&Shared, VenueKind, TcpStream),
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || connection(&shared, kind, stream));
        }
    });
    address
}

fn http(shared: &Shared, kind: VenueKind, mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let mut held = 0;
    while let Ok(count) = stream.read(&mut buffer[held..]) {
        let at = Instant::now();
        if count == 0 {
            return;
        }
        held += count;
        if !buffer[..held].ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = std::str::from_utf8(&buffer[..held]).unwrap();
        let mut words = text.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (status, body) = if path == "/api/v3/order" && method != "GET" {
            // Without a receiver the measurement is over.
            drop(shared.arrived.send(Arrival { at, method: method.to_owned() }));
            (200, order(shared, method, query))
        } else {
            let key = text.lines().find_map(|line| line.strip_prefix("x-mbx-apikey: "));
            let (status, body) =
                ask(&mut shared.local.lock().unwrap(), kind, method, path, query, key);
            // Room for thousands of orders in ten seconds.
            (status, body.replace(r#""limit":100"#, r#""limit":1000000"#))
        };
        held = 0;
        let reply = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// An order rests as it was placed, a cancel is always in time.
fn order(shared: &Shared, method: &str, query: &str) -> String {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value).to_owned()
    };
    let mut placed = shared.placed.lock().unwrap();
    let (name, status, (price, quantity, side)) = if method == "POST" {
        let order = (value("price"), value("quantity"), value("side"));
        let name = value("newClientOrderId");
        placed.insert(name.clone(), order.clone());
        (name, "NEW", order)
    } else {
        let name = value("origClientOrderId");
        let order = placed.remove(&name).expect("only what was placed is cancelled");
        (name, "CANCELED", order)
    };
    // Epoch and counter of an order are in its name; any number that is its own will do here.
    let id = name.bytes().fold(7_u64, |hash, byte| (hash * 131 + u64::from(byte)) % (1 << 52));
    let at = now().0 / 1_000_000;
    format!(
        r#"{{"symbol":"BTCUSDT","origClientOrderId":"{name}","orderId":{id},"orderListId":-1,"clientOrderId":"{name}","transactTime":{at},"price":"{price}","origQty":"{quantity}","executedQty":"0.00000000","cummulativeQuoteQty":"0.00000000","status":"{status}","timeInForce":"GTC","type":"LIMIT_MAKER","side":"{side}","fills":[]}}"#
    )
}

/// News of the account that changes nothing.
const USER_NEWS: &str =
    r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1,"u":1,"B":[]}}"#;

/// Spot market streams are handed out; the others stay here, silent but for the USD-M ticker.
fn websocket(shared: &Shared, kind: VenueKind, stream: TcpStream) {
    let mut path = String::new();
    #[allow(clippy::result_large_err, reason = "tungstenite's signature")]
    let note_path = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let mut socket = accept_hdr(stream, note_path).unwrap();
    if path == "/stream" {
        drop(shared.sockets.send(socket));
        return;
    }
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    loop {
        let said = match socket.read() {
            Ok(Message::Text(text)) if text.contains("userDataStream") => {
                socket.send(Message::text(r#"{"id":"user-1","status":200,"result":{}}"#))
            }
            Ok(_) => Ok(()),
            Err(tokio_tungstenite::tungstenite::Error::Io(_)) => match (kind, &*path) {
                (VenueKind::Usdm, "/public/stream") => {
                    socket.send(Message::text(shared.usdm_ticker.clone()))
                }
                // A user stream that never says anything would be taken for mute.
                (VenueKind::Spot, path) if path.contains("ws-api") => {
                    socket.send(Message::text(USER_NEWS))
                }
                _ => Ok(()),
            },
            Err(_) => return,
        };
        if said.is_err() {
            return;
        }
    }
}
