//! Binance Spot and USD-M futures: one session type, a [`Product`] value where they differ.
//!
//! Reading order: `wire` (the exchange's words), `decode` (to ours), `feed` (books that are
//! proven), `account` (orders, fills, balances), `reconcile` (the whole account), `encode`, `batch`
//! and `sign` (requests), `errors` (what a refusal means), `limits`, `listing` and `clock`.

mod account;
mod batch;
mod calendar;
mod clock;
mod decode;
mod encode;
mod errors;
mod feed;
mod limits;
mod listing;
mod permissions;
mod reconcile;
mod sign;
mod wire;

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{
    Action, BudgetUsage, Event, InstrumentId, LinkKind, OrderEvent, OrderId, OrderUpdate, Prefix,
    Px, Qty, RejectClass, Span, TradesFrom, Ts, VenueId,
};
use crate::venues::{Frame, HttpRequest, Outbox, Protocol, Reply, Tag};

use account::{OrderAsk, User};
use calendar::Calendar;
use clock::Clock;
use decode::Listing;
use encode::{Call, Security};
use errors::Fate;
use feed::Book;
use reconcile::{Part, Round};

pub use sign::{Credentials, Query, Signer};

/// First wait of every retry; it doubles up to [`BACKOFF_MAX`].
const BACKOFF_BASE: Span = Span::from_ms(500);
/// Longest wait of a retry.
const BACKOFF_MAX: Span = Span::from_s(8);
/// The venue cuts every connection after 24 hours; we come first.
const LINK_LIFE: Span = Span::from_s(23 * 3600 + 50 * 60);
/// Time between the renewals of two links, so that they do not all go at once.
const LINK_LIFE_STAGGER: Span = Span::from_s(180);
/// Pause before the renewal of a connection is tried again.
const RENEW_AGAIN: Span = Span::from_s(60);
/// A connection that stood this long was sound; its end starts the backoff anew. Without links
/// nothing is hedged, so the wait is no longer than the venue demands: three links that are cut
/// every 5 s are opened 170 times in 5 min, of 300 that Binance allows an address.
const LINK_STABLE: Span = Span::from_s(5);
/// Proof of life is told at most this often.
const ALIVE_EVERY: Span = Span::from_ms(100);
/// Orders whose price, quantity and venue id are remembered.
const MAX_KNOWN_ORDERS: usize = 8192;

/// Which of the two exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Spot (`/api/v3`, WS API user stream).
    Spot,
    /// USDⓈ-margined futures (`/fapi`, listen key user stream).
    UsdM,
}

impl Product {
    /// Silence after which a connection is given up. The venue pings every 20 s (spot) and every
    /// 3 min (USD-M), so silence beyond that is a dead connection, not a quiet market.
    fn silence(self) -> Span {
        match self {
            Product::Spot => Span::from_s(65),
            Product::UsdM => Span::from_s(200),
        }
    }
}

/// Everything one session needs to know.
#[derive(Clone, Debug)]
pub struct Params {
    /// Our identity of the venue.
    pub venue: VenueId,
    /// Its configured name, for messages.
    pub name: String,
    /// Which exchange.
    pub product: Product,
    /// Base of REST requests, such as `https://api.binance.com`.
    pub rest_url: String,
    /// Base of market streams: spot `wss://stream.binance.com:9443` (`/stream` is appended), USD-M
    /// `wss://fstream.binance.com` (`/public/stream` and `/market/stream` are).
    pub market_url: String,
    /// User stream: spot the whole WS API URL (`wss://ws-api.binance.com:443/ws-api/v3`), USD-M
    /// the base to which `/private/ws?listenKey=` is appended.
    pub user_url: String,
    /// Key and secret.
    pub credentials: Credentials,
    /// How late a request may reach the matching engine, milliseconds (at most 60,000).
    pub recv_window_ms: u32,
    /// By which our orders are known.
    pub prefix: Prefix,
    /// What we trade or watch: our identity and the venue's upper-case symbol.
    pub instruments: Vec<(InstrumentId, String)>,
    /// USD-M: cancel everything on our symbols when we are silent for this long. Armed before the
    /// user link counts as up, renewed every quarter of it. Spot has none and ignores it.
    pub dead_man_switch: Option<Span>,
    /// A clock further off than this fails the venue.
    pub max_clock_offset: Span,
}

/// A session that waits for [`Protocol::start`].
#[must_use]
pub fn protocol(params: Params) -> Box<dyn Protocol> {
    Box::new(Session::new(params))
}

/// One configured instrument.
#[derive(Debug)]
struct Market {
    id: InstrumentId,
    symbol: String,
    /// The symbol as stream names spell it.
    stream: String,
    listing: Option<Listing>,
    /// The venue has said whether it lists the symbol.
    resolved: bool,
    book: Book,
    /// The dead-man switch holds until then.
    armed_until: Option<Ts>,
    /// Fees have been told.
    fees_known: bool,
    /// Where trades of ours are read from; `None` until the first reading has said.
    trades_from: Option<TradesFrom>,
    /// Newest public trade told: a renewed stream repeats some.
    last_public_trade: Option<u64>,
}

impl Market {
    fn is_listed(&self) -> bool {
        self.listing.is_some()
    }

    /// The venue has said that it does not list the symbol, or lists it in a way we cannot trade.
    fn is_out(&self) -> bool {
        self.resolved && self.listing.is_none()
    }
}

/// One connection.
#[derive(Debug, Default)]
struct Link {
    /// We want it open.
    wanted: bool,
    open: bool,
    /// The core has been told that it is usable.
    up: bool,
    opened_at: Ts,
    alive_at: Ts,
    /// The last text frame: pongs are life, but not news.
    text_at: Ts,
    told_at: Ts,
    failures: u32,
}

fn link_index(kind: LinkKind) -> usize {
    match kind {
        LinkKind::Market => 0,
        LinkKind::MarketSlow => 1,
        LinkKind::User => 2,
    }
}

/// What a request was for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Time,
    Info {
        slot: usize,
    },
    Depth {
        slot: usize,
    },
    Fees {
        slot: usize,
    },
    Mode,
    Permissions,
    ListenKey,
    KeepAlive,
    DeadMan {
        slot: usize,
        until: Ts,
    },
    Farewell,
    Part {
        round: u64,
        part: Part,
    },
    Place {
        id: OrderId,
        slot: usize,
    },
    Amend {
        id: OrderId,
        slot: usize,
    },
    Cancel {
        id: OrderId,
        slot: usize,
    },
    Query {
        id: OrderId,
        slot: usize,
    },
    /// The orders are in [`Session::batches`].
    Many {
        what: OrderAsk,
        slot: usize,
    },
}

/// What to do at an instant; each at most once in the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Clock,
    Info(usize),
    Fees(usize),
    Mode,
    Permissions,
    Snapshot(usize),
    ListenKey,
    KeepAlive,
    Subscribe,
    Echo,
    DeadMan(usize),
    OrderWindow,
    WeightWindow,
    Life(LinkKind),
    Silence(LinkKind),
}

/// What we know of a working order beside its id.
#[derive(Clone, Copy, Debug)]
struct Known {
    px: Px,
    qty: Qty,
}

struct Session {
    params: Params,
    signer: Signer,
    markets: Vec<Market>,
    /// Places in `markets` by the symbol as stream names spell it.
    by_stream: BTreeMap<String, usize>,
    /// Places in `markets` by symbol.
    by_symbol: BTreeMap<String, usize>,
    links: [Link; 3],
    timers: Calendar,
    asks: BTreeMap<Tag, Ask>,
    /// The orders that one request places or cancels, in its order.
    batches: BTreeMap<Tag, Vec<OrderId>>,
    last_tag: u64,
    finished: bool,
    clock: Clock,
    usage: BudgetUsage,
    orders_blocked_until: Ts,
    info_refreshed: Option<Ts>,
    info_failures: u32,
    fee_failures: u32,
    mode_failures: u32,
    /// What the key may do has been told, or cannot be.
    key_checked: bool,
    permission_failures: u32,
    user: User,
    deferred: Vec<Action>,
    round: Option<Round>,
    rounds: u64,
    reconcile_again: bool,
    known: BTreeMap<OrderId, Known>,
    /// Our order behind a venue order id; spot counts these per symbol.
    owners: BTreeMap<(usize, u64), OrderId>,
    owners_by_age: VecDeque<(usize, u64)>,
    ignored: u64,
}

/// The wait before attempt number `failures`; none before the first.
fn backoff(failures: u32) -> Span {
    match failures {
        0 => Span::ZERO,
        n => Span((BACKOFF_BASE.0 << (n - 1).min(10)).min(BACKOFF_MAX.0)),
    }
}

/// The place of each instrument by the spelling of its symbol; of two with one, the first.
fn places(params: &Params, spelling: impl Fn(&str) -> String) -> BTreeMap<String, usize> {
    let all = params.instruments.iter().enumerate().rev();
    all.map(|(slot, (_, symbol))| (spelling(symbol), slot)).collect()
}

impl Session {
    fn new(params: Params) -> Session {
        let market = |(id, symbol): &(InstrumentId, String)| Market {
            id: *id,
            symbol: symbol.clone(),
            stream: symbol.to_lowercase(),
            listing: None,
            resolved: false,
            book: Book::default(),
            armed_until: None,
            fees_known: false,
            trades_from: None,
            last_public_trade: None,
        };
        Session {
            signer: Signer::new(&params.credentials.secret),
            by_stream: places(&params, str::to_lowercase),
            by_symbol: places(&params, str::to_owned),
            markets: params.instruments.iter().map(market).collect(),
            links: Default::default(),
            timers: Calendar::default(),
            asks: BTreeMap::new(),
            batches: BTreeMap::new(),
            last_tag: 0,
            finished: false,
            clock: Clock::default(),
            usage: BudgetUsage::default(),
            orders_blocked_until: Ts::default(),
            info_refreshed: None,
            info_failures: 0,
            fee_failures: 0,
            mode_failures: 0,
            key_checked: false,
            permission_failures: 0,
            user: User::default(),
            deferred: Vec::new(),
            round: None,
            rounds: 0,
            reconcile_again: false,
            known: BTreeMap::new(),
            owners: BTreeMap::new(),
            owners_by_age: VecDeque::new(),
            ignored: 0,
            params,
        }
    }

    // ---- look-ups

    fn slot_of(&self, instrument: InstrumentId) -> Option<usize> {
        self.markets.iter().position(|market| market.id == instrument)
    }

    /// A configured and listed symbol.
    fn listed(&self, symbol: &str) -> Option<(usize, &Listing)> {
        let slot = *self.by_symbol.get(symbol)?;
        Some((slot, self.markets[slot].listing.as_ref()?))
    }

    fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.markets.iter().filter_map(|market| market.listing.as_ref())
    }

    fn link(&self, kind: LinkKind) -> &Link {
        &self.links[link_index(kind)]
    }

    fn link_mut(&mut self, kind: LinkKind) -> &mut Link {
        &mut self.links[link_index(kind)]
    }

    fn known(&self, id: OrderId) -> Option<Known> {
        self.known.get(&id).copied()
    }

    fn remember(&mut self, id: OrderId, known: Known) {
        self.known.insert(id, known);
        while self.known.len() > MAX_KNOWN_ORDERS {
            self.known.pop_first();
        }
    }

    fn remember_venue_id(&mut self, slot: usize, venue_order_id: u64, id: OrderId) {
        if self.owners.insert((slot, venue_order_id), id).is_none() {
            self.owners_by_age.push_back((slot, venue_order_id));
        }
        while self.owners_by_age.len() > MAX_KNOWN_ORDERS {
            if let Some(oldest) = self.owners_by_age.pop_front() {
                self.owners.remove(&oldest);
            }
        }
    }

    fn order_of(&self, slot: usize, venue_order_id: u64) -> Option<OrderId> {
        self.owners.get(&(slot, venue_order_id)).copied()
    }

    // ---- events

    fn garbled(&self, text: String, out: &mut Outbox) {
        out.events.push(Event::Garbled { venue: self.params.venue, text });
    }

    /// The venue cannot be used.
    fn fail(&self, class: RejectClass, text: String, out: &mut Outbox) {
        out.events.push(Event::VenueFailed { venue: self.params.venue, class, text });
    }

    fn order_news(
        &mut self,
        slot: usize,
        id: OrderId,
        venue_order_id: Option<u64>,
        update: OrderUpdate,
        at: Ts,
        out: &mut Outbox,
    ) {
        self.learn(id, &update);
        if let Some(venue_order_id) = venue_order_id {
            self.remember_venue_id(slot, venue_order_id, id);
        }
        let instrument = self.markets[slot].id;
        out.events.push(Event::Order(OrderEvent { instrument, id, venue_order_id, update, at }));
    }

    // ---- requests

    /// Until when nothing may leave, if so.
    fn blocked(&self, now: Ts) -> Option<Ts> {
        (now < self.usage.blocked_until).then_some(self.usage.blocked_until)
    }

    fn send(&mut self, call: Call, ask: Ask, query: Query, now: Ts, out: &mut Outbox) -> Tag {
        let product = self.params.product;
        let query = match call.security() {
            Security::Signed => {
                let timestamp = self.venue_ms(now);
                self.signer.signed(query, self.params.recv_window_ms, timestamp)
            }
            Security::Key | Security::Open => query,
        };
        let (method, path) = call.method_and_path(product);
        let base = self.params.rest_url.trim_end_matches('/');
        let url = match query.as_str() {
            "" => format!("{base}{path}"),
            query => format!("{base}{path}?{query}"),
        };
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        self.asks.insert(tag, ask);
        out.frames.push(Frame::Http(HttpRequest {
            tag,
            method,
            url,
            api_key: (call.security() != Security::Open)
                .then(|| self.params.credentials.key.clone()),
            label: call.label(product),
            timeout: call.timeout(),
            urgency: call.urgency(),
        }));
        tag
    }

    fn dispatch(
        &mut self,
        tag: Tag,
        ask: Ask,
        now: Ts,
        reply: &Reply,
        fate: Fate<'_>,
        out: &mut Outbox,
    ) {
        let order = match ask {
            Ask::Place { id, slot } => Some((OrderAsk::Place, id, slot)),
            Ask::Amend { id, slot } => Some((OrderAsk::Amend, id, slot)),
            Ask::Cancel { id, slot } => Some((OrderAsk::Cancel, id, slot)),
            Ask::Query { id, slot } => Some((OrderAsk::Query, id, slot)),
            _ => None,
        };
        if let Some((what, id, slot)) = order {
            if what != OrderAsk::Query && matches!(fate, Fate::Done(_)) {
                self.expect_echo(reply.sent_at, now);
            }
            return self.on_order_reply(what, slot, id, now, fate, out);
        }
        if let Ask::Many { what, slot } = ask {
            if matches!(fate, Fate::Done(_)) {
                self.expect_echo(reply.sent_at, now);
            }
            return self.on_many_reply(tag, (what, slot), now, &fate, out);
        }
        if self.finished {
            return;
        }
        let coded = match fate {
            Fate::Done(body) => Ok(body),
            Fate::Refused(refusal) => Err((refusal.code, refusal.text)),
            Fate::Unknown(text) => Err((0, text)),
        };
        let plain = coded.clone().map_err(|(_, text)| text);
        match ask {
            Ask::Time => self.on_time_reply(reply.sent_at, now, plain, out),
            Ask::Info { slot } => self.on_info_reply(slot, now, coded, out),
            Ask::Depth { slot } => self.on_depth_reply(tag, slot, now, plain, out),
            Ask::Fees { slot } => self.on_fees_reply(slot, now, plain, out),
            Ask::Mode => self.on_mode_reply(now, plain, out),
            Ask::Permissions => self.on_permissions_reply(now, reply, plain, out),
            Ask::ListenKey => self.on_listen_key_reply(now, plain, out),
            Ask::KeepAlive => self.on_keep_alive_reply(now, coded, out),
            Ask::DeadMan { slot, until } => self.on_dead_man_reply(slot, until, plain, out),
            Ask::Part { round, part } => self.on_part_reply(round, part, now, coded, out),
            Ask::Farewell
            | Ask::Place { .. }
            | Ask::Amend { .. }
            | Ask::Cancel { .. }
            | Ask::Query { .. }
            | Ask::Many { .. } => {}
        }
    }

    // ---- connections

    fn url(&self, kind: LinkKind) -> Option<String> {
        match kind {
            LinkKind::User => self.user_url(),
            LinkKind::Market | LinkKind::MarketSlow => self.market_url(kind),
        }
    }

    fn connect(&mut self, kind: LinkKind, after: Span, now: Ts, out: &mut Outbox) {
        let Some(url) = self.url(kind) else { return };
        self.link_mut(kind).wanted = true;
        self.timers.insert(Timer::Silence(kind), now + after + self.params.product.silence());
        out.frames.push(Frame::Connect { link: kind, url, after });
    }

    fn set_up(&mut self, kind: LinkKind, up: bool, why: &str, out: &mut Outbox) {
        self.link_mut(kind).up = up;
        let (venue, text) = (self.params.venue, why.to_owned());
        out.events.push(Event::Link { venue, link: kind, up, text });
    }

    /// The connection is gone: tell, and forget what depended on it.
    fn down(&mut self, kind: LinkKind, now: Ts, why: &str, out: &mut Outbox) {
        let link = self.link_mut(kind);
        let stood = if link.open { now.since(link.opened_at) } else { Span::ZERO };
        link.failures = if stood >= LINK_STABLE { 0 } else { link.failures + 1 };
        link.open = false;
        self.timers.remove(&Timer::Life(kind));
        self.timers.remove(&Timer::Silence(kind));
        self.set_up(kind, false, why, out);
        match kind {
            LinkKind::Market => self.books_closed(out),
            LinkKind::MarketSlow => {}
            LinkKind::User => {
                self.user.subscribed = false;
                self.timers.remove(&Timer::Subscribe);
                self.timers.remove(&Timer::Echo);
            }
        }
    }

    /// Close a connection that may still stand.
    fn close(&mut self, kind: LinkKind, now: Ts, why: &str, out: &mut Outbox) {
        out.frames.push(Frame::Close { link: kind });
        self.down(kind, now, why, out);
    }

    /// Close a connection and open it anew.
    fn reconnect(&mut self, kind: LinkKind, now: Ts, why: &str, out: &mut Outbox) {
        self.close(kind, now, why, out);
        self.open_again(kind, now, out);
    }

    /// When a connection that opens now is to be renewed.
    fn live_until(kind: LinkKind, now: Ts) -> Ts {
        now + LINK_LIFE - Span(LINK_LIFE_STAGGER.0 * link_index(kind) as i64)
    }

    fn open_again(&mut self, kind: LinkKind, now: Ts, out: &mut Outbox) {
        let after = backoff(self.link(kind).failures);
        if kind == LinkKind::User && self.params.product == Product::UsdM {
            // Asking for the key again also renews it, or replaces one that has expired.
            let due = now + after.max(Span::from_ms(1));
            self.timers.insert(Timer::ListenKey, due);
        } else {
            self.connect(kind, after, now, out);
        }
    }

    fn alive(&mut self, kind: LinkKind, now: Ts, out: &mut Outbox) {
        let venue = self.params.venue;
        let link = self.link_mut(kind);
        link.alive_at = now;
        if now.since(link.told_at) >= ALIVE_EVERY {
            link.told_at = now;
            out.events.push(Event::Alive { venue, link: kind });
        }
    }

    fn check_silence(&mut self, kind: LinkKind, now: Ts, out: &mut Outbox) {
        let silence = self.params.product.silence();
        let due = self.link(kind).alive_at + silence;
        if self.link(kind).open && now < due {
            self.timers.insert(Timer::Silence(kind), due);
        } else if self.link(kind).wanted {
            self.reconnect(kind, now, &format!("silent for {} s", silence.ms() / 1000), out);
        }
    }

    fn on_timer(&mut self, timer: Timer, now: Ts, out: &mut Outbox) {
        match timer {
            Timer::Clock => self.measure_clock(now, out),
            Timer::Info(slot) => self.ask_info(slot, now, out),
            Timer::Fees(slot) => self.ask_fees(slot, now, out),
            Timer::Mode => self.ask_mode(now, out),
            Timer::Permissions => self.ask_permissions(now, out),
            Timer::Snapshot(slot) => self.ask_snapshot(slot, now, out),
            Timer::ListenKey => self.ask_listen_key(now, out),
            Timer::KeepAlive => self.keep_alive(now, out),
            Timer::Subscribe => {
                self.reconnect(LinkKind::User, now, "no answer to the subscription", out);
            }
            Timer::Echo => {
                let why = "an order was answered, but not told on the user stream";
                self.reconnect(LinkKind::User, now, why, out);
            }
            Timer::DeadMan(slot) => self.arm(slot, now, out),
            Timer::OrderWindow => {
                self.usage.orders_used = 0;
                self.tell_budget(out);
            }
            Timer::WeightWindow => {
                self.usage.weight_used = 0;
                self.tell_budget(out);
            }
            Timer::Life(kind) => self.renew(kind, now, "renewed before the 24 h limit", out),
            Timer::Silence(kind) => self.check_silence(kind, now, out),
        }
    }
}

impl Protocol for Session {
    fn resume_trades(&mut self, from: &[(InstrumentId, TradesFrom)]) {
        for (instrument, from) in from {
            let Some(slot) = self.slot_of(*instrument) else { continue };
            self.markets[slot].trades_from = Some(from.of(self.params.product));
        }
    }

    fn start(&mut self, now: Ts, out: &mut Outbox) {
        self.measure_clock(now, out);
        for slot in 0..self.info_requests() {
            self.ask_info(slot, now, out);
        }
    }

    fn on_open(&mut self, link: LinkKind, now: Ts, out: &mut Outbox) {
        if self.finished {
            return;
        }
        if self.link(link).open {
            self.down(link, now, "replaced", out);
        }
        self.markets.iter_mut().for_each(|market| market.last_public_trade = None);
        let state = self.link_mut(link);
        (state.open, state.opened_at, state.alive_at) = (true, now, now);
        self.timers.insert(Timer::Life(link), Session::live_until(link, now));
        self.timers.insert(Timer::Silence(link), now + self.params.product.silence());
        match link {
            LinkKind::Market => {
                self.set_up(link, true, "", out);
                self.books_open(now);
            }
            LinkKind::MarketSlow => self.set_up(link, true, "", out),
            LinkKind::User => self.on_user_open(now, out),
        }
    }

    fn on_successor(&mut self, link: LinkKind, now: Ts, out: &mut Outbox) {
        if !self.finished && link == LinkKind::User && self.params.product == Product::Spot {
            let text = self.subscription(now);
            out.frames.push(Frame::Greeting { link, text });
        }
    }

    fn on_renewed(&mut self, link: LinkKind, now: Ts, out: &mut Outbox) {
        if self.finished {
            return;
        }
        self.link_mut(link).opened_at = now;
        self.timers.insert(Timer::Life(link), Session::live_until(link, now));
        self.alive(link, now, out);
        if link == LinkKind::User {
            self.on_user_renewed(now);
        }
        if link != LinkKind::User || self.link(link).up {
            self.set_up(link, true, "renewed", out);
        }
    }

    fn on_not_renewed(&mut self, link: LinkKind, _: Ts, why: &str, out: &mut Outbox) {
        // Life's timer stands at the next attempt.
        self.garbled(format!("{link:?} stream not renewed, the old one serves on: {why}"), out);
    }

    fn on_text(&mut self, link: LinkKind, now: Ts, text: &str, out: &mut Outbox) {
        if self.finished {
            return;
        }
        self.alive(link, now, out);
        self.link_mut(link).text_at = now;
        match link {
            LinkKind::Market | LinkKind::MarketSlow => self.on_market_text(link, now, text, out),
            LinkKind::User => self.on_user_text(now, text, out),
        }
    }

    fn on_alive(&mut self, link: LinkKind, now: Ts, out: &mut Outbox) {
        self.alive(link, now, out);
    }

    fn on_closed(&mut self, link: LinkKind, now: Ts, why: &str, out: &mut Outbox) {
        if self.finished || !self.link(link).wanted {
            return;
        }
        self.down(link, now, why, out);
        self.open_again(link, now, out);
    }

    fn on_reply(&mut self, tag: Tag, now: Ts, reply: Reply, out: &mut Outbox) {
        let Some(ask) = self.asks.remove(&tag) else {
            return self.garbled(format!("reply to an unknown request {tag:?}"), out);
        };
        let fate = errors::fate(self.params.product, &reply);
        self.side_effects(ask, &reply, &fate, now, out);
        self.dispatch(tag, ask, now, &reply, fate, out);
    }

    fn encode(&mut self, now: Ts, action: &Action, out: &mut Outbox) {
        self.encode_action(now, action, out);
    }

    fn encode_many(&mut self, now: Ts, actions: &[&Action], out: &mut Outbox) -> usize {
        Session::encode_many(self, now, actions, out)
    }

    fn on_timeout(&mut self, now: Ts, out: &mut Outbox) {
        for timer in self.timers.due(now) {
            // An earlier timer of this turn may have moved or dropped it.
            if self.timers.get(&timer).is_some_and(|at| at <= now) {
                self.timers.remove(&timer);
                self.on_timer(timer, now, out);
            }
        }
    }

    fn next_timeout(&self) -> Option<Ts> {
        self.timers.next()
    }

    fn finish(&mut self, now: Ts, out: &mut Outbox) {
        self.farewell(now, out);
    }

    fn ignored(&self) -> u64 {
        self.ignored
    }
}
