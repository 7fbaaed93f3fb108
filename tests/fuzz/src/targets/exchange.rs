//! The local exchange: requests as bytes, streams and API frames, recordings that it plays.

use evenkeel::domain::{Span, Ts};
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::faces::request::{Credential, HttpRequest};
use evenkeel::sim::faces::streams::{ConnId, Outbox};
use evenkeel::sim::tape::Tape;
use evenkeel::sim::{Source, toy};
use evenkeel::venues::binance::Signer;

const T0: Ts = Ts(1_790_000_000_000_000_000);
const KEY: &str = "key";
const SECRET: &str = "secret";

fn local(spot: Source) -> LocalExchange {
    let key = Credential { api_key: KEY.into(), secret: SECRET.into(), account: 0 };
    let mut params = toy::exchange(1, vec![key]);
    params.exchange.markets[0].source = spot;
    params.exchange.markets[1].source = Source::Quiet;
    params.api_restrictions = true;
    LocalExchange::new(params, T0).unwrap()
}

/// Lines `METHOD path query`, or `!METHOD path query` for one that is signed on its way; the venue
/// is the one that the path belongs to.
pub fn http(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut exchange = local(Source::Quiet);
    let signer = Signer::new(&SECRET.into());
    let mut now = T0;
    for line in text.lines().take(24) {
        let (signed, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let mut words = line.splitn(3, ' ');
        let [method, path, query] = [0; 3].map(|_| words.next().unwrap_or_default());
        let kind = if path.starts_with("/fapi") { VenueKind::Usdm } else { VenueKind::Spot };
        let mut query = query.to_owned();
        if signed {
            query = format!("{query}&timestamp={}", now.ms());
            query = format!("{query}&signature={}", signer.sign(&query));
        }
        let (query, body) = query.split_once('#').unwrap_or((&query, ""));
        let request = HttpRequest { method, path, query, body, api_key: Some(KEY), ip: 1 };
        let mut out = Outbox::default();
        if let Some(answer) = exchange.http(now, kind, &request, &mut out).answer {
            assert!((200..600).contains(&answer.status), "status {}", answer.status);
        }
        now += Span::from_ms(50);
        exchange.advance(now, &mut out);
    }
}

/// The first line is the path and query of a connection, the others are frames on it.
pub fn websocket(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let target = lines.next().unwrap_or_default();
    let (kind, target) = match target.strip_prefix('f') {
        Some(rest) => (VenueKind::Usdm, rest),
        None => (VenueKind::Spot, target),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut exchange = local(Source::Quiet);
    let conn = ConnId(1);
    if exchange.ws_open(T0, kind, conn, path, query, 1).is_err() {
        return;
    }
    let mut now = T0;
    for line in lines.take(24) {
        let mut out = Outbox::default();
        exchange.ws_text(now, conn, line, &mut out);
        now += Span::from_ms(250);
        exchange.advance(now, &mut out);
    }
    exchange.ws_close(conn);
}

/// Lines of a recording, played into the spot book.
pub fn tape(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let lines: Vec<String> = text.lines().take(64).map(str::to_owned).collect();
    let mut exchange = local(Source::Tape(Box::new(Tape::new(Box::new(lines.into_iter()), 1.0))));
    let mut now = T0;
    for _ in 0..100 {
        now = exchange.next_wakeup().max(now + Span::from_ms(1)).min(T0 + Span::from_s(3600));
        exchange.advance(now, &mut Outbox::default());
    }
}
