//! What is on its way? Requests, replies and frames between the process and the venues, and
//! everything that a network does to them.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::World;
use crate::domain::{LinkKind, Purpose, Span, Ts};
use crate::sim::faces::faults::VenueKind;
use crate::sim::faces::request::{HttpAnswer, HttpRequest};
use crate::sim::faces::streams::ConnId;
use crate::sim::{MarketId, OrderKey};
use crate::simulate::cells::Kind;
use crate::simulate::watch::OURS;
use crate::venues::{self, Frame, HttpReply, Method, NoReply, Reply, Tag};

/// A websocket that is quiet for so long is asked for a sign of life, as in `live::link`.
const PING: Span = Span::from_s(1);
/// One that gives none for so long is closed.
pub(super) const SILENT: Span = Span::from_s(10);
/// A standstill this long makes waiting market data worthless, as in `live::core`.
const STALL: Span = Span::from_s(2);

/// Longest that quotes go on while the user stream owes news of an order that was taken: the
/// daemon's own bound of three seconds, a clock that stands still, and a turn.
const MUTE: Span = Span::from_ms(5_500);
/// Longest that filters refuse orders before they are read again, and how long a reading lasts.
const REFUSING: Span = Span::from_s(3);
const READ_LATELY: Span = Span::from_s(62);

/// What a venue owes the process, or the process should have asked it, as the process sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// The user stream's last news.
    told_at: Ts,
    /// News of an order that was taken.
    echo_since: Option<Ts>,
    /// When the filters were last read.
    filters_at: Ts,
    /// They have refused an order, and not been read since.
    refusing_since: Option<Ts>,
}

/// Something on its way.
pub(super) enum Message {
    Request { run: u32, venue: usize, tag: Tag, sent_at: Ts, request: Arc<Wire>, copy: bool },
    Reply { run: u32, venue: usize, tag: Tag, sent_at: Ts, reply: Option<HttpReply>, sent: bool },
    Open { conn: ConnId, path: String, query: String },
    Up { conn: ConnId, text: String },
    Gone { conn: ConnId },
    Opened { conn: ConnId },
    Down { conn: ConnId, text: Arc<str> },
    Closed { conn: ConnId, why: &'static str },
    Look { conn: ConnId },
    Pong { conn: ConnId },
}

/// An HTTP request taken apart.
pub(super) struct Wire {
    method: &'static str,
    path: String,
    query: String,
    api_key: Option<String>,
}

impl Wire {
    fn client_id(&self) -> Option<&str> {
        self.query.split('&').find_map(|part| part.strip_prefix("newClientOrderId="))
    }

    fn is_new_order(&self) -> bool {
        self.method == "POST" && self.path.ends_with("/order")
    }
}

/// What a request that is not answered yet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    Post,
    Hedge,
    Cancel,
    Amend,
    /// A snapshot of a book, which proves it as news of its stream does.
    Depth,
    Other,
}

/// A websocket.
pub(super) struct Conn {
    pub(super) run: u32,
    pub(super) venue: usize,
    pub(super) link: LinkKind,
    pub(super) open: bool,
    pub(super) hung: bool,
    heard_at: Ts,
    last_up: Ts,
    last_down: Ts,
}

impl Conn {
    /// Whether quotes rest on it.
    pub(super) fn is_market(&self) -> bool {
        self.link == LinkKind::Market
    }
}

impl World {
    /// A frame leaves the process.
    pub(super) fn dispatch(&mut self, venue: usize, frame: Frame) {
        match frame {
            Frame::Http(request) => self.request(venue, &request),
            Frame::Connect { link, url, after } => self.connect(venue, link, &url, after),
            Frame::Close { link } => {
                if let Some(conn) = self.current(venue, link) {
                    self.leave(conn);
                }
            }
            // This driver keeps one connection at a time, and tells of no successor.
            Frame::Greeting { .. } => {}
            Frame::Text { link, text } => {
                if let Some(conn) = self.current(venue, link) {
                    let at = self.arrival(self.kinds[venue]);
                    let Some(entry) = self.conns.get_mut(&conn) else { return };
                    entry.last_up = entry.last_up.max(at);
                    let at = entry.last_up;
                    self.post(at, Message::Up { conn, text });
                }
            }
        }
    }

    fn request(&mut self, venue: usize, request: &venues::HttpRequest) {
        self.requests += 1;
        let run = self.run;
        let (tag, sent_at, kind) = (request.tag, self.client_now(), self.kinds[venue]);
        let (path, query) = split(&request.url);
        let wire = Wire {
            method: match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Put => "PUT",
                Method::Delete => "DELETE",
            },
            path,
            query,
            api_key: request.api_key.as_ref().map(|key| key.expose_secret().to_owned()),
        };
        let (told, until) = self.silence[venue];
        // What was written in the same turn cannot be called back.
        if sent_at < until && sent_at > told + Span::from_ms(10) {
            let text = format!("{} although the venue asked for silence", request.label);
            self.watch.problem(sent_at, "I11", text);
        }
        let flight = self.flight(&wire);
        self.flights.insert((run, venue, tag), flight);
        self.check_owed(venue, flight, &wire);
        let reply = |sent| Message::Reply { run, venue, tag, sent_at, reply: None, sent };
        if self.ails(kind, Kind::Refused) || self.ails(kind, Kind::Down) {
            let at = self.now + Span::from_ms(1);
            self.post(at, reply(false));
            return;
        }
        self.post(self.now + request.timeout, reply(true));
        if self.chance(kind, Kind::LostRequests) {
            self.watch.say(sent_at, || format!("lost on its way: {}", request.label));
            return;
        }
        let wire = Arc::new(wire);
        let mut at = self.arrival(kind);
        if self.chance(kind, Kind::LateRequests) {
            at += Span::from_ms(self.dice.within(2_500, 6_000));
            self.watch.say(sent_at, || format!("late on its way: {}", request.label));
        }
        if self.chance(kind, Kind::Twice) {
            let again = self.arrival(kind).max(at + Span(1));
            let request = Arc::clone(&wire);
            self.post(again, Message::Request { run, venue, tag, sent_at, request, copy: true });
            self.watch.count("request arrived twice");
        }
        self.post(at, Message::Request { run, venue, tag, sent_at, request: wire, copy: false });
    }

    /// A request leaves: is it one that should have waited for something that is owed?
    fn check_owed(&mut self, venue: usize, flight: Flight, wire: &Wire) {
        let (now, owed) = (self.now, &mut self.owed[venue]);
        if wire.path.ends_with("/exchangeInfo") {
            (owed.filters_at, owed.refusing_since) = (now, None);
        }
        if flight != Flight::Post {
            return;
        }
        let mute = owed.echo_since.filter(|since| now.since(*since) > MUTE);
        let refusing = owed.refusing_since.filter(|since| now.since(*since) > REFUSING);
        if mute.is_some() {
            owed.echo_since = None;
            self.watch.problem(now, "I7", "a quote although the user stream is mute");
        }
        if refusing.is_some() {
            owed.refusing_since = None;
            self.watch.problem(now, "I11", "an order by filters that have refused one before");
        }
    }

    /// What follows from a reply to an order request.
    fn note_owed(&mut self, venue: usize, flight: Flight, sent_at: Ts, reply: &HttpReply) {
        let (now, owed) = (self.now, &mut self.owed[venue]);
        let post = matches!(flight, Flight::Post | Flight::Hedge);
        let taken = post && reply.status == 200;
        // `sent_at` is by our clock, which may run ahead of the world's.
        if taken && owed.told_at + Span::from_s(1) < sent_at {
            owed.echo_since.get_or_insert(now);
        }
        let filtered = reply.body.contains("Filter failure") || reply.body.contains("-4164");
        if post && filtered && now.since(owed.filters_at) > READ_LATELY {
            owed.refusing_since.get_or_insert(now);
        }
    }

    fn flight(&self, wire: &Wire) -> Flight {
        match wire.method {
            "POST" if wire.is_new_order() => {
                let id = wire.client_id().and_then(|id| self.watch.prefix.decode(id));
                let sent = id.and_then(|id| self.watch.placed.get(&id));
                match sent.map(|sent| sent.purpose) {
                    Some(Purpose::Hedge) => Flight::Hedge,
                    _ => Flight::Post,
                }
            }
            "DELETE" if wire.path.ends_with("/order") => Flight::Cancel,
            "PUT" if wire.path.contains("order") => Flight::Amend,
            "GET" if wire.path.ends_with("/depth") => Flight::Depth,
            _ => Flight::Other,
        }
    }

    fn connect(&mut self, venue: usize, link: LinkKind, url: &str, after: Span) {
        if let Some(conn) = self.current(venue, link) {
            self.leave(conn);
        }
        self.sent += 1;
        let conn = ConnId(self.sent);
        let now = self.now;
        let entry = Conn {
            run: self.run,
            venue,
            link,
            open: false,
            hung: false,
            heard_at: now,
            last_up: now,
            last_down: now,
        };
        self.conns.insert(conn, entry);
        let (path, query) = split(url);
        let at = self.arrival(self.kinds[venue]) + after;
        self.post(at, Message::Open { conn, path, query });
    }

    fn current(&self, venue: usize, link: LinkKind) -> Option<ConnId> {
        let ours = |conn: &Conn| (conn.run, conn.venue, conn.link) == (self.run, venue, link);
        self.conns.iter().find(|(_, conn)| ours(conn)).map(|(id, _)| *id)
    }

    /// Our end is gone; the exchange hears of it later.
    pub(super) fn leave(&mut self, conn: ConnId) {
        self.hear_user(conn);
        let Some(entry) = self.conns.remove(&conn) else { return };
        if entry.is_market() && entry.run == self.run {
            self.watch.link_lost(entry.venue);
        }
        let at = self.arrival(self.kinds[entry.venue]).max(entry.last_up);
        self.post(at, Message::Gone { conn });
    }

    fn post(&mut self, at: Ts, message: Message) {
        self.sent += 1;
        self.queue.insert((at, self.sent), message);
    }

    fn ails(&self, venue: VenueKind, kind: Kind) -> bool {
        self.worst(venue, kind).is_some()
    }

    /// How bad that ailment is now, if there is one.
    fn worst(&self, venue: VenueKind, kind: Kind) -> Option<i64> {
        let here = self.ailments.iter().filter(|ill| ill.venue == venue && ill.kind == kind);
        here.filter(|ill| ill.until > self.now).map(|ill| ill.size).max()
    }

    /// Whether this one is hit: from 5 to all of a hundred are.
    fn chance(&mut self, venue: VenueKind, kind: Kind) -> bool {
        self.worst(venue, kind).is_some_and(|size| self.dice.percent(size.clamp(5, 99) + 1))
    }

    /// When something that leaves now arrives.
    fn arrival(&mut self, kind: VenueKind) -> Ts {
        let mut takes = self.plan.latency.0 + self.dice.within(0, self.plan.jitter.0.max(1));
        if let Some(size) = self.worst(kind, Kind::Slow) {
            takes += self.dice.within(0, Span::from_ms(20 + size * 30).0);
        }
        self.now + Span(takes)
    }

    /// What the exchange has to say goes on its way.
    pub(super) fn flush(&mut self) {
        let frames = std::mem::take(&mut self.out.frames);
        for (conn, text) in frames {
            let Some(entry) = self.conns.get(&conn) else { continue };
            if entry.hung {
                continue;
            }
            let kind = self.kinds[entry.venue];
            let at = self.arrival(kind);
            let twice = self.chance(kind, Kind::FramesTwice);
            let Some(entry) = self.conns.get_mut(&conn) else { continue };
            entry.last_down = entry.last_down.max(at);
            let at = entry.last_down;
            if twice {
                self.post(at, Message::Down { conn, text: Arc::clone(&text) });
            }
            self.post(at, Message::Down { conn, text });
        }
        for conn in std::mem::take(&mut self.out.closes) {
            self.cut(conn);
        }
    }

    /// A connection breaks, and both ends hear of it.
    pub(super) fn cut(&mut self, conn: ConnId) {
        self.exchange.ws_close(conn);
        let Some(entry) = self.conns.get(&conn) else { return };
        let at = entry.last_down.max(self.now + self.plan.latency);
        self.post(at, Message::Closed { conn, why: "cut" });
    }

    pub(super) fn deliver(&mut self, message: Message) {
        match message {
            Message::Request { run, venue, tag, sent_at, request, copy } => {
                self.serve((run, venue, tag), sent_at, &request, copy);
            }
            Message::Reply { run, venue, tag, sent_at, reply, sent } => {
                let flight = self.flights.remove(&(run, venue, tag));
                if flight.is_some() && run == self.run {
                    if flight == Some(Flight::Depth) && reply.is_some() {
                        self.watch.heard_at[venue] = self.client_now();
                        self.watch.snapshots[venue] = true;
                    }
                    if let (Some(flight), Some(reply)) = (flight, &reply) {
                        self.note_owed(venue, flight, sent_at, reply);
                    }
                    self.reply(venue, tag, sent_at, reply, sent);
                }
            }
            Message::Open { conn, path, query } => self.accept(conn, &path, &query),
            Message::Up { conn, text } => {
                if self.conns.get(&conn).is_some_and(|entry| !entry.hung) {
                    self.exchange.ws_text(self.now, conn, &text, &mut self.out);
                    self.flush();
                }
            }
            Message::Gone { conn } => self.exchange.ws_close(conn),
            Message::Look { conn } => self.look(conn),
            Message::Opened { conn } => {
                self.hear(conn, |protocol, link, now, out| protocol.on_open(link, now, out));
                if let Some(entry) = self.conns.get_mut(&conn) {
                    entry.open = true;
                }
            }
            Message::Down { conn, text } => {
                self.hear_user(conn);
                self.hear(conn, |protocol, link, now, out| protocol.on_text(link, now, &text, out));
            }
            Message::Pong { conn } => {
                self.hear(conn, |protocol, link, now, out| protocol.on_alive(link, now, out));
            }
            Message::Closed { conn, why } => {
                self.hear(conn, |protocol, link, now, out| protocol.on_closed(link, now, why, out));
                self.hear_user(conn);
                let gone = self.conns.remove(&conn);
                if let Some(entry) = gone.filter(|e| e.is_market() && e.run == self.run) {
                    self.watch.link_lost(entry.venue);
                }
            }
        }
    }

    /// The user stream has told something, or is gone and owes nothing any more.
    fn hear_user(&mut self, conn: ConnId) {
        let run = self.run;
        let user = |entry: &&Conn| entry.run == run && entry.link == LinkKind::User;
        if let Some(entry) = self.conns.get(&conn).filter(user) {
            let owed = &mut self.owed[entry.venue];
            (owed.told_at, owed.echo_since) = (self.now, None);
        }
    }

    fn hear(
        &mut self,
        conn: ConnId,
        f: impl FnOnce(&mut dyn venues::Protocol, LinkKind, Ts, &mut venues::Outbox),
    ) {
        let (now, run) = (self.client_now(), self.run);
        let Some(entry) = self.conns.get_mut(&conn).filter(|entry| entry.run == run) else {
            return;
        };
        entry.heard_at = self.now;
        let (venue, link) = (entry.venue, entry.link);
        if entry.is_market() {
            self.watch.heard_at[venue] = now;
        }
        if let Some(process) = &mut self.process {
            process.feed(venue, |protocol, out| f(protocol, link, now, out));
        }
    }

    fn reply(&mut self, venue: usize, tag: Tag, sent_at: Ts, reply: Option<HttpReply>, sent: bool) {
        let now = self.client_now();
        if let Some(refused) = reply.as_ref().filter(|r| matches!(r.status, 418 | 429)) {
            self.watch.count(if refused.status == 418 { "banned" } else { "throttled" });
            // Too many new orders (-1015) is no ban on reading.
            let all = !refused.body.contains("-1015");
            if let Some(seconds) = refused.retry_after_s.filter(|_| all) {
                let until = now + Span::from_s(i64::from(seconds));
                let (told, before) = self.silence[venue];
                if until > before {
                    let told = if now < before { told } else { now };
                    self.silence[venue] = (told, until);
                }
            }
        }
        let why = if sent { "timed out" } else { "not sent" }.to_owned();
        let outcome = reply.ok_or(if sent { NoReply::Lost(why) } else { NoReply::NotSent(why) });
        if let Some(process) = &mut self.process {
            process.feed(venue, |protocol, out| {
                protocol.on_reply(tag, now, Reply { outcome, sent_at }, out);
            });
        }
    }

    /// The process goes on after a standstill: what waits tells of a market that is gone.
    pub(super) fn thaw(&mut self, since: Ts) {
        let stood_still = self.now.since(since);
        if stood_still < STALL {
            return;
        }
        self.watch.count("stood still");
        let run = self.run;
        let market: Vec<(ConnId, usize, LinkKind)> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.run == run && conn.open && conn.link != LinkKind::User)
            .map(|(id, conn)| (*id, conn.venue, conn.link))
            .collect();
        let now = self.client_now();
        for (conn, venue, link) in market {
            self.leave(conn);
            if let Some(process) = &mut self.process {
                let why = "this process stood still";
                process.feed(venue, |protocol, out| protocol.on_closed(link, now, why, out));
            }
        }
    }

    /// Life of a quiet connection, as `live::link` looks after it.
    fn look(&mut self, conn: ConnId) {
        let now = self.now;
        let Some(entry) = self.conns.get(&conn) else { return };
        let quiet = now.since(entry.heard_at);
        if entry.hung && quiet >= SILENT {
            self.exchange.ws_close(conn);
            self.post(now, Message::Closed { conn, why: "silent" });
            return;
        }
        if !entry.hung && quiet >= PING {
            let kind = self.kinds[entry.venue];
            if self.exchange.ws_admit(now, conn) {
                let back = Span(self.arrival(kind).since(now).0 * 2);
                self.post(now + back, Message::Pong { conn });
            }
        }
        self.post(now + PING, Message::Look { conn });
    }

    // ---- the exchange

    fn accept(&mut self, conn: ConnId, path: &str, query: &str) {
        let Some(entry) = self.conns.get(&conn) else { return };
        let kind = self.kinds[entry.venue];
        let at = self.arrival(kind);
        let refused = self.ails(kind, Kind::Down) || self.ails(kind, Kind::Banned);
        let opened =
            !refused && self.exchange.ws_open(self.now, kind, conn, path, query, 1).is_ok();
        if !opened {
            self.post(at, Message::Closed { conn, why: "refused" });
            return;
        }
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.last_down = at;
        }
        self.post(at, Message::Opened { conn });
        self.post(at + PING, Message::Look { conn });
    }

    /// What a gateway in front of the exchange answers by itself, if it does.
    fn gateway(&mut self, kind: VenueKind, wire: &Wire) -> Option<HttpAnswer> {
        let json = |status: u16, headers, code: i32, msg: &str| {
            let body = format!(r#"{{"code":{code},"msg":"{msg}"}}"#);
            Some(HttpAnswer { status, headers, body })
        };
        let banned = self
            .ailments
            .iter()
            .filter(|ill| ill.venue == kind && ill.kind == Kind::Banned && ill.until > self.now)
            .map(|ill| ill.until)
            .max();
        if let Some(until) = banned {
            let seconds = (until.since(self.now).ms() / 1_000).max(1);
            let headers = vec![("retry-after", seconds.to_string())];
            return json(418, headers, -1003, "Way too many requests; IP banned.");
        }
        let about_order = wire.path.ends_with("/order");
        if about_order && wire.method == "GET" && self.chance(kind, Kind::Blind) {
            self.watch.count("order denied by the venue");
            return json(400, Vec::new(), -2013, "Order does not exist.");
        }
        if about_order && wire.method == "DELETE" && self.chance(kind, Kind::Blind) {
            self.watch.count("cancel denied by the venue");
            return json(400, Vec::new(), -2011, "Unknown order sent.");
        }
        None
    }

    fn serve(
        &mut self,
        (run, venue, tag): (u32, usize, Tag),
        sent_at: Ts,
        wire: &Wire,
        copy: bool,
    ) {
        let kind = self.kinds.get(venue).copied().unwrap_or(VenueKind::Usdm);
        if wire.is_new_order() {
            self.watch.on_arrival(self.now, wire.client_id().unwrap_or_default(), copy);
        }
        let mut delay = Span::ZERO;
        let answer = if let Some(answer) = self.gateway(kind, wire) {
            Some(answer)
        } else {
            let request = HttpRequest {
                method: wire.method,
                path: &wire.path,
                query: &wire.query,
                body: "",
                api_key: wire.api_key.as_deref(),
                ip: 1,
            };
            let answered = self.exchange.http(self.now, kind, &request, &mut self.out);
            // A copy may be taken after the first was refused or filled; no answer tells of that, a
            // reading does (I1).
            if copy
                && answered.answer.as_ref().is_some_and(|answer| answer.status == 200)
                && let Some(id) = wire.client_id().and_then(|id| self.watch.prefix.decode(id))
            {
                self.watch.copied.insert(id, self.now);
            }
            if wire.path.contains("order") && wire.method != "GET" {
                self.watch.check_exchange(self.now, self.exchange.exchange());
                self.note_touches();
            }
            if !copy {
                self.note_taken(kind, wire);
            }
            delay = answered.delay;
            answered.answer
        };
        if let Some(answer) = &answer {
            self.judge(wire, answer);
        }
        // A client reads one answer for a request, the first one's: what a copy is told is nobody's.
        let lost = copy || self.chance(kind, Kind::LostReplies);
        if let Some(answer) = answer.filter(|_| !lost) {
            let at = self.arrival(kind) + delay;
            let reply = Some(http_reply(answer));
            self.post(at, Message::Reply { run, venue, tag, sent_at, reply, sent: true });
        }
        self.flush();
    }

    /// Whether the exchange has the order that this request asked for.
    fn note_taken(&mut self, kind: VenueKind, wire: &Wire) {
        if !wire.is_new_order() {
            return;
        }
        let Some(text) = wire.client_id() else { return };
        let market = MarketId(u16::from(kind == VenueKind::Usdm));
        let key = OrderKey::Client(Arc::from(text));
        let taken = self.exchange.exchange().order(OURS, market, &key).is_some();
        if let Some(id) = self.watch.prefix.decode(text).filter(|_| taken) {
            self.watch.on_taken(self.now, id);
        }
    }

    /// Refusals that a careful client never earns.
    fn judge(&mut self, wire: &Wire, answer: &HttpAnswer) {
        if (200..300).contains(&answer.status) {
            return;
        }
        let now = self.client_now();
        self.watch.say(now, || {
            format!("{} {} -> {} {}", wire.method, wire.path, answer.status, answer.body)
        });
        let funds = answer.body.contains("insufficient") || answer.body.contains("-2019");
        let filter = answer.body.contains("Filter failure") || answer.body.contains("-4164");
        let signed = answer.body.contains("-1021") || answer.body.contains("-1022");
        if (filter || funds || signed) && !self.plan.faulty {
            self.watch.problem(now, "I11", format!("refused without a fault: {}", answer.body));
        } else if funds {
            self.watch.count("insufficient funds");
        }
        if answer.status == 429 && !self.plan.faulty {
            self.watch.problem(now, "I11", "the venue's rate limit was reached");
        }
    }
}

fn http_reply(answer: HttpAnswer) -> HttpReply {
    let header = |name: &str| {
        let found = answer.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.parse().ok())
    };
    HttpReply {
        status: answer.status,
        used_weight_1m: header("x-mbx-used-weight-1m"),
        order_count_10s: header("x-mbx-order-count-10s"),
        retry_after_s: header("retry-after"),
        body: answer.body,
    }
}

/// Path and query of an absolute URL.
fn split(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (path.to_owned(), query.to_owned())
}
