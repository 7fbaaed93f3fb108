//! Virtual time, a network, the exchange, and one process after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel::config::Settings;
use evenkeel::domain::{Control, Event, LinkKind, Span, Ts};
use evenkeel::engine::Ending;
use evenkeel::sim::MarketId;
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::faces::request::{HttpAnswer, HttpRequest};
use evenkeel::sim::faces::streams::{ConnId, Outbox};
use evenkeel::venues::{self, Frame, HttpReply, Method, NoReply, Reply, Tag};
use secrecy::ExposeSecret;

use super::client::Client;
use super::plan::{Dice, EPOCH, Fault, Network, Plan};
use super::setup::{local_exchange, settings};
use super::watch::{Bounds, Watch, open_orders};

mod checks;

/// How often the market moves on.
const TICK: Span = Span::from_ms(5);
/// How often the slower checks are made.
const CHECK: Span = Span::from_ms(100);
/// A websocket that is quiet for so long is asked for a sign of life, as in `live::link`.
const PING: Span = Span::from_s(1);
/// One that gives none for so long is closed.
const SILENT: Span = Span::from_s(10);

/// Something on its way.
enum Message {
    Request { run: u32, venue: usize, tag: Tag, sent_at: Ts, request: Box<Wire> },
    Reply { run: u32, venue: usize, tag: Tag, sent_at: Ts, reply: Option<HttpReply>, why: String },
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
struct Wire {
    method: &'static str,
    path: String,
    query: String,
    api_key: Option<String>,
}

struct Conn {
    run: u32,
    venue: usize,
    link: LinkKind,
    open: bool,
    hung: bool,
    heard_at: Ts,
    last_up: Ts,
    last_down: Ts,
}

pub struct World {
    pub plan: Plan,
    pub watch: Watch,
    pub settings: Settings,
    pub now: Ts,
    kinds: Vec<VenueKind>,
    dice: Dice,
    exchange: LocalExchange,
    out: Outbox,
    client: Option<Client>,
    run: u32,
    start_at: Ts,
    ready_at: Ts,
    queue: BTreeMap<(Ts, u64), Message>,
    sent: u64,
    conns: BTreeMap<ConnId, Conn>,
    asked: BTreeSet<(u32, usize, Tag)>,
    network: Vec<(VenueKind, Network, Ts)>,
    /// When each venue's network or exchange was last unwell, for order requests.
    unwell_until: Ts,
    next_tick: Ts,
    next_check: Ts,
    requests: u64,
    /// Requests, steps and idle steps at the last check of the pace, and when that was.
    counted: (u64, u64, u64, Ts),
    pulled_since: BTreeMap<(usize, usize), Ts>,
    ending: Option<Ending>,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let settings = settings(plan.layout);
        let is_spot =
            |venue: usize| settings.venues[venue].kind == evenkeel::config::VenueKind::BinanceSpot;
        let kinds = (0..settings.venues.len())
            .map(|venue| if is_spot(venue) { VenueKind::Spot } else { VenueKind::Usdm })
            .collect();
        let bounds = settings.instruments.iter().map(|i| Bounds {
            market: MarketId(u16::from(!is_spot(i.venue))),
            target_base: match i.inventory_target_base {
                evenkeel::config::Target::Base(base) => base,
                evenkeel::config::Target::AsFound => panic!("the demo names its targets"),
            },
            limit_base: i.inventory_limit_base,
        });
        let mut watch = Watch::default();
        watch.bounds = bounds.collect();
        watch.max_net_quote = settings.risk.max_net_exposure_quote;
        World {
            kinds,
            watch,
            dice: Dice::new(plan.seed ^ 0x5eed),
            exchange: local_exchange(&plan, &settings),
            settings,
            now: EPOCH,
            out: Outbox::default(),
            client: None,
            run: 0,
            start_at: EPOCH,
            ready_at: EPOCH,
            queue: BTreeMap::new(),
            sent: 0,
            conns: BTreeMap::new(),
            asked: BTreeSet::new(),
            network: Vec::new(),
            unwell_until: EPOCH,
            next_tick: EPOCH,
            next_check: EPOCH,
            requests: 0,
            counted: (0, 0, 0, EPOCH),
            pulled_since: BTreeMap::new(),
            ending: None,
            plan,
        }
    }

    /// The whole session: quiet start, faults, healing, stop.
    pub fn session(&mut self) {
        let faults = std::mem::take(&mut self.plan.faults);
        for (at, fault) in &faults {
            self.until(EPOCH + *at);
            self.strike(fault);
        }
        self.plan.faults = faults;
        self.until(EPOCH + self.plan.stop);
        self.check_healed();
        if let Some(client) = &mut self.client {
            client.tell(Event::Control(Control::Stop));
        }
        let deadline = self.now + self.settings.shutdown.deadline + Span::from_s(1);
        while self.ending.is_none() && self.now < deadline {
            self.until(self.now + Span::from_ms(100));
        }
        self.check_ended();
    }

    fn client_now(&self) -> Ts {
        self.now + self.plan.skew
    }

    /// Everything until that instant.
    fn until(&mut self, end: Ts) {
        loop {
            let mut next = end.0.min(self.next_tick.0);
            if let Some(((at, _), _)) = self.queue.first_key_value() {
                next = next.min(at.0);
            }
            next = next.min(match &self.client {
                Some(client) => (client.due() - self.plan.skew).max(self.ready_at).0,
                None => self.start_at.0,
            });
            self.now = self.now.max(Ts(next));
            if self.now >= end {
                return;
            }
            self.instant();
            if self.watch.problems.len() >= 10 {
                return;
            }
        }
    }

    fn instant(&mut self) {
        if self.now >= self.next_tick {
            self.next_tick = self.now + TICK;
            self.exchange.advance(self.now, &mut self.out);
            self.flush();
        }
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let message = entry.remove();
            self.deliver(message);
        }
        if self.client.is_none() && self.now >= self.start_at && self.ending.is_none() {
            self.start();
        }
        self.turn();
        if self.now >= self.next_check {
            self.next_check = self.now + CHECK;
            self.check();
        }
    }

    // ---- the process

    fn start(&mut self) {
        self.run += 1;
        let latch = self.watch.latch.clone();
        let mut client = Client::new(&self.settings, 1_800_000_000 + self.run, latch);
        client.start(self.client_now());
        self.client = Some(client);
        self.ready_at = self.now;
        let run = self.run;
        self.watch.say(self.now, || format!("process {run} starts"));
    }

    fn turn(&mut self) {
        let now = self.client_now();
        if self.now < self.ready_at {
            return;
        }
        let Some(client) = &mut self.client else { return };
        if client.due() > now {
            return;
        }
        let watch = &mut self.watch;
        let frames = client.turn(now, |engine, actions| watch.on_step(now, engine, actions));
        self.ending = client.engine.ending();
        let busy = self.plan.busy.0.max(1_000);
        self.ready_at = self.now + Span(self.dice.within(1_000, busy + 1_001));
        for (venue, frame) in frames {
            self.dispatch(venue, frame);
        }
    }

    fn dispatch(&mut self, venue: usize, frame: Frame) {
        match frame {
            Frame::Http(request) => self.request(venue, &request),
            Frame::Connect { link, url, after } => self.connect(venue, link, &url, after),
            Frame::Close { link } => {
                if let Some(conn) = self.current(venue, link) {
                    self.leave(conn);
                }
            }
            Frame::Text { link, text } => {
                if let Some(conn) = self.current(venue, link) {
                    let at = self.arrival(self.kinds[venue]);
                    let entry = self.conns.get_mut(&conn).unwrap();
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
        self.asked.insert((run, venue, tag));
        let reply = |why: &str| Message::Reply {
            run,
            venue,
            tag,
            sent_at,
            reply: None,
            why: why.to_owned(),
        };
        if self.suffers(kind, |network| network == Network::Refuse) {
            let at = self.now + Span::from_ms(1);
            self.post(at, reply("not sent"));
            return;
        }
        self.post(self.now + request.timeout, reply("timed out"));
        if self.loses(kind, true) {
            self.watch.say(sent_at, || format!("lost on its way: {}", request.label));
            return;
        }
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
        let at = self.arrival(kind);
        self.post(at, Message::Request { run, venue, tag, sent_at, request: Box::new(wire) });
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
    fn leave(&mut self, conn: ConnId) {
        let Some(entry) = self.conns.remove(&conn) else { return };
        let at = self.arrival(self.kinds[entry.venue]).max(entry.last_up);
        self.post(at, Message::Gone { conn });
    }

    // ---- the network

    fn post(&mut self, at: Ts, message: Message) {
        self.sent += 1;
        self.queue.insert((at, self.sent), message);
    }

    fn suffers(&self, kind: VenueKind, what: impl Fn(Network) -> bool) -> bool {
        self.network
            .iter()
            .any(|(at, network, until)| *at == kind && *until > self.now && what(*network))
    }

    fn loses(&mut self, kind: VenueKind, request: bool) -> bool {
        let mut chance = 0;
        for (at, network, until) in &self.network {
            if *at == kind && *until > self.now {
                chance = chance.max(match network {
                    Network::LoseRequests(percent) if request => *percent,
                    Network::LoseReplies(percent) if !request => *percent,
                    _ => 0,
                });
            }
        }
        chance > 0 && self.dice.percent(chance)
    }

    /// When something that leaves now arrives.
    fn arrival(&mut self, kind: VenueKind) -> Ts {
        let mut takes = self.plan.latency.0 + self.dice.within(0, self.plan.jitter.0.max(1));
        for (at, network, until) in &self.network {
            if let Network::Slow(add) = network
                && *at == kind
                && *until > self.now
            {
                takes += self.dice.within(0, add.0);
            }
        }
        self.now + Span(takes)
    }

    /// What the exchange has to say goes on its way.
    fn flush(&mut self) {
        let frames = std::mem::take(&mut self.out.frames);
        for (conn, text) in frames {
            let Some(entry) = self.conns.get(&conn) else { continue };
            if entry.hung {
                continue;
            }
            let at = self.arrival(self.kinds[entry.venue]);
            let entry = self.conns.get_mut(&conn).unwrap();
            entry.last_down = entry.last_down.max(at);
            let at = entry.last_down;
            self.post(at, Message::Down { conn, text });
        }
        for conn in std::mem::take(&mut self.out.closes) {
            self.cut(conn);
        }
    }

    /// A connection breaks, and both ends hear of it.
    fn cut(&mut self, conn: ConnId) {
        self.exchange.ws_close(conn);
        let Some(entry) = self.conns.get(&conn) else { return };
        let at = entry.last_down.max(self.now + self.plan.latency);
        self.post(at, Message::Closed { conn, why: "cut" });
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Request { run, venue, tag, sent_at, request } => {
                self.serve(run, venue, tag, sent_at, &request);
            }
            Message::Reply { run, venue, tag, sent_at, reply, why } => {
                if self.asked.remove(&(run, venue, tag)) && run == self.run {
                    self.reply(venue, tag, sent_at, reply, why);
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
                self.hear(conn, |protocol, link, now, out| protocol.on_text(link, now, &text, out));
            }
            Message::Pong { conn } => {
                self.hear(conn, |protocol, link, now, out| protocol.on_alive(link, now, out));
            }
            Message::Closed { conn, why } => {
                self.hear(conn, |protocol, link, now, out| protocol.on_closed(link, now, why, out));
                self.conns.remove(&conn);
            }
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
        if let Some(client) = &mut self.client {
            client.feed(venue, |protocol, out| f(protocol, link, now, out));
        }
    }

    fn reply(
        &mut self,
        venue: usize,
        tag: Tag,
        sent_at: Ts,
        reply: Option<HttpReply>,
        why: String,
    ) {
        if reply.as_ref().is_some_and(|reply| reply.status == 429) {
            self.watch.count("throttled");
        }
        let outcome =
            reply.ok_or(if why == "not sent" { NoReply::NotSent(why) } else { NoReply::Lost(why) });
        let now = self.client_now();
        if let Some(client) = &mut self.client {
            client.feed(venue, |protocol, out| {
                protocol.on_reply(tag, now, Reply { outcome, sent_at }, out);
            });
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
        match self.exchange.ws_open(self.now, kind, conn, path, query, 1) {
            Ok(()) => {
                self.conns.get_mut(&conn).unwrap().last_down = at;
                self.post(at, Message::Opened { conn });
                self.post(at + PING, Message::Look { conn });
            }
            Err(_) => self.post(at, Message::Closed { conn, why: "refused" }),
        }
    }

    fn serve(&mut self, run: u32, venue: usize, tag: Tag, sent_at: Ts, wire: &Wire) {
        let kind = self.kinds[venue];
        let is_order = wire.method == "POST" && wire.path.ends_with("/order");
        if is_order {
            let id = wire.query.split('&').find_map(|part| part.strip_prefix("newClientOrderId="));
            self.watch.on_arrival(self.now, id.unwrap_or_default());
        }
        let request = HttpRequest {
            method: wire.method,
            path: &wire.path,
            query: &wire.query,
            body: "",
            api_key: wire.api_key.as_deref(),
            ip: 1,
        };
        let answered = self.exchange.http(self.now, kind, &request, &mut self.out);
        if wire.path.contains("order") && wire.method != "GET" {
            self.watch.check_exchange(self.now, self.exchange.exchange());
        }
        if let Some(answer) = &answered.answer {
            self.judge(wire, answer);
        }
        let lost = self.loses(kind, false);
        if let Some(answer) = answered.answer.filter(|_| !lost) {
            let at = self.arrival(kind) + answered.delay;
            let reply = Some(http_reply(answer));
            let why = String::new();
            self.post(at, Message::Reply { run, venue, tag, sent_at, reply, why });
        }
        self.flush();
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
            self.watch.problem(now, format!("refused without a fault: {}", answer.body));
        } else if funds {
            self.watch.count("insufficient funds");
        }
        if answer.status == 429 && !self.plan.faulty {
            self.watch.problem(now, "the venue's rate limit was reached");
        }
    }

    fn strike(&mut self, fault: &Fault) {
        self.watch.say(self.client_now(), || format!("fault: {fault:?}"));
        let mut lasts = Span::from_s(1);
        match fault {
            Fault::Exchange(rule) => {
                lasts = Span::from_ms(rule.for_ms.unwrap_or(1_000));
                self.exchange.add_fault(self.now, rule.clone());
                self.exchange.advance(self.now, &mut self.out);
                self.flush();
            }
            Fault::Network(kind, network, span) => {
                lasts = *span;
                self.network.push((*kind, *network, self.now + *span));
            }
            Fault::Cut(which) | Fault::Hang(which) => {
                let open = self.conns.iter().filter(|(_, conn)| conn.open).map(|(id, _)| *id);
                let Some(conn) = open.cycle().nth(*which) else { return };
                if matches!(fault, Fault::Cut(_)) {
                    self.cut(conn);
                } else if let Some(entry) = self.conns.get_mut(&conn) {
                    entry.hung = true;
                    lasts = SILENT;
                }
            }
            Fault::Crash(down) => self.crash(*down),
        }
        // A request that was lost is only missed, and cancelled again, after its time-out.
        self.unwell_until = self.unwell_until.max(self.now + lasts + Span::from_s(16));
    }

    fn crash(&mut self, down: Span) {
        if self.client.take().is_none() {
            return;
        }
        self.watch.count("restart");
        if open_orders(self.exchange.exchange(), &self.watch.bounds) > 0 {
            self.watch.count("restart with leftovers");
        }
        let ours: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in ours {
            self.leave(conn);
        }
        self.asked.clear();
        self.pulled_since.clear();
        self.start_at = self.now + down;
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
