//! The real spot session before the simulated exchange, and the demo's engine, without sockets.

#![allow(dead_code, reason = "each bench uses its part")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use evenkeel::config::Settings;
use evenkeel::domain::*;
use evenkeel::engine::{Engine, InstrumentParams, Role};
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::toy;
use evenkeel::venues::{Frame, HttpReply, HttpRequest, Method, Outbox, Protocol, Reply};

use crate::{frames, local};

pub fn settings() -> Settings {
    let text = include_str!("../../config/demo.toml");
    evenkeel::config::parse(text, "config/demo.toml").unwrap().settings
}

/// The real spot session, connected to the simulated exchange, its book proven.
pub struct Session {
    pub protocol: Box<dyn Protocol>,
    pub exchange: LocalExchange,
    pub now: Ts,
    snapshot: String,
}

impl Session {
    pub fn open() -> Session {
        Session::open_on(frames::snapshot()).0
    }

    /// With this answer to the question for the book; what the session then tells.
    pub fn open_on(snapshot: String) -> (Session, Vec<Event>) {
        let settings = settings();
        let secrets = evenkeel::config::read_secrets(&settings).unwrap();
        let now = local::now();
        let mut exchange = LocalExchange::new(local::params(), now).unwrap();
        exchange.advance(now, &mut evenkeel::sim::faces::streams::Outbox::default());
        let protocol = settings.protocols(&secrets).remove(0);
        let mut session = Session { protocol, exchange, now, snapshot };
        let mut out = Outbox::default();
        session.protocol.start(now, &mut out);
        session.settle(&mut out);
        // Nothing was heard on the stream for a second, so the snapshot is asked for.
        session.now = now + Span::from_s(2);
        session.protocol.on_timeout(session.now, &mut out);
        session.settle(&mut out);
        assert!(out.events.iter().any(|event| matches!(event, Event::Book(_))), "{out:?}");
        (session, out.events)
    }

    /// Answer and open whatever is asked for, until nothing is.
    pub fn settle(&mut self, out: &mut Outbox) {
        while !out.frames.is_empty() {
            for frame in std::mem::take(&mut out.frames) {
                match frame {
                    Frame::Http(request) => {
                        let outcome = Ok(self.answer(&request));
                        let reply = Reply { outcome, sent_at: self.now };
                        self.protocol.on_reply(request.tag, self.now, reply, out);
                    }
                    Frame::Connect { link, .. } => self.protocol.on_open(link, self.now, out),
                    Frame::Close { .. } | Frame::Text { .. } | Frame::Greeting { .. } => {}
                }
            }
        }
    }

    pub fn answer(&mut self, request: &HttpRequest) -> HttpReply {
        let target = request.url.splitn(4, '/').nth(3).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        if path == "api/v3/depth" {
            return HttpReply { status: 200, body: self.snapshot.clone(), ..HttpReply::default() };
        }
        let (status, body) = local::ask(
            &mut self.exchange,
            VenueKind::Spot,
            method,
            &format!("/{path}"),
            query,
            Some(local::KEY),
        );
        HttpReply { status, body, ..HttpReply::default() }
    }
}

/// The demo's engine, quoting, with `count` spot instruments.
pub struct Core {
    pub engine: Engine,
    pub now: Ts,
    pub high: bool,
    pub actions: Vec<Action>,
}

impl Core {
    pub fn quoting(count: u16) -> Core {
        let mut params = settings().engine_params(1, None);
        let (spot, perpetual) = (params.instruments[0].clone(), params.instruments[1].clone());
        let another = |index: u16| InstrumentParams { symbol: symbol(index), ..spot.clone() };
        params.instruments = (0..count).map(another).collect();
        params.instruments.push(perpetual);
        params.pace.reprice_min_interval = Span::ZERO;
        params.market.max_volatility_bps_sqrt_s = 1e9;
        params.market.max_book_age = Span::from_s(3600);
        params.reference.max_age = Span::from_s(360_000);
        params.reference.max_disagreement_bps = 1e9;
        params.reference.max_move_bps = 1e9;
        params.risk.reconcile_interval = Span::from_s(360_000);
        for own in &mut params.venues {
            own.max_orders_per_s = 1e9;
        }
        assert!(params.instruments.iter().filter(|own| own.role == Role::Hedge).count() == 1);
        let engine = Engine::new(params);
        let mut core =
            Core { engine, now: Ts::from_ms(1_795_000_000_000), high: false, actions: Vec::new() };
        core.open(count);
        core
    }

    pub fn open(&mut self, count: u16) {
        let mut events = Vec::new();
        for venue in [VenueId(0), VenueId(1)] {
            for link in [LinkKind::Market, LinkKind::User] {
                events.push(Event::Link { venue, link, up: true, text: String::new() });
            }
            events.push(Event::Clock { venue, offset: Span::ZERO, round_trip: Span::ZERO });
        }
        let mut balances = vec![(Asset::new("USDT"), Money::from(10_000_000))];
        for index in 0..=count {
            let listed = instrument(index, index == count);
            if index < count {
                balances.push((listed.base.clone(), Money::ONE));
            }
            let id = listed.id;
            events.push(Event::Listed(Box::new(listed)));
            events.push(Event::Fees { instrument: id, maker: Money::ZERO, taker: Money::ZERO });
            let price = Money::from(60_000);
            events.push(Event::Mark(Mark {
                instrument: id,
                mark_price: price,
                index_price: price,
                funding_rate: Money::ZERO,
                next_funding: Ts::FAR,
                at: self.now,
            }));
            let ticks = if index == count { 600_000 } else { 6_000_000 };
            let level = |px| vec![Level { px: Px(px), qty: Qty(100_000) }];
            let (bids, asks) = (level(ticks - 1), level(ticks + 1));
            let at = self.now;
            events.push(Event::Book(BookUpdate { instrument: id, snapshot: true, bids, asks, at }));
        }
        self.step(&events);
        let held = |(asset, free): &(Asset, Money)| Balance {
            asset: asset.clone(),
            free: *free,
            locked: Money::ZERO,
        };
        for venue in [VenueId(0), VenueId(1)] {
            let balances = balances.iter().map(held).collect();
            let (positions, open_orders) = (Vec::new(), Some(Vec::new()));
            let as_of = self.now;
            let account =
                AccountSnapshot { venue, balances, positions, open_orders, complete: true, as_of };
            self.step(&[Event::Account(account)]);
        }
        for _ in 0..5 {
            self.settle();
            self.step(&[]);
        }
        assert_eq!(self.engine.state(), State::Quoting, "{:?}", self.engine.ending());
    }

    /// Nanoseconds that the step took.
    pub fn step(&mut self, events: &[Event]) -> Duration {
        self.now += Span::from_ms(1);
        let started = Instant::now();
        self.engine.step(self.now, black_box(events), &mut self.actions);
        started.elapsed()
    }

    /// The venue carries out what was decided.
    pub fn settle(&mut self) {
        let answers = self.answers();
        if !answers.is_empty() {
            self.step(&answers);
        }
    }

    /// The venue's word on what was decided.
    pub fn answers(&mut self) -> Vec<Event> {
        let at = self.now;
        let news = |instrument, id, status, px, qty| {
            let update = OrderUpdate::State { status, filled: Qty::ZERO, qty, px };
            Event::Order(OrderEvent { instrument, id, venue_order_id: None, update, at })
        };
        let mut actions = std::mem::take(&mut self.actions);
        let answers = actions
            .iter()
            .filter_map(|action| match action {
                Action::Place(new) => {
                    Some(news(new.instrument, new.id, OrderStatus::New, new.px, new.qty))
                }
                Action::Cancel { id, instrument } => {
                    Some(news(*instrument, *id, OrderStatus::Canceled, Px(0), Qty(0)))
                }
                _ => None,
            })
            .collect();
        actions.clear();
        self.actions = actions;
        answers
    }

    /// The first instrument's book changes: at its touch, by `ticks`, or far behind it.
    pub fn update(&mut self, ticks: i64) -> Event {
        self.high = !self.high;
        let base = 6_000_000;
        let (old, new) = if self.high { (base, base + ticks) } else { (base + ticks, base) };
        let levels = |sign: i64| match ticks {
            0 => vec![Level { px: Px(base + sign * 500), qty: Qty(1 + i64::from(self.high)) }],
            _ => vec![
                Level { px: Px(old + sign), qty: Qty(0) },
                Level { px: Px(new + sign), qty: Qty(100_000) },
            ],
        };
        let (instrument, at) = (InstrumentId(0), self.now);
        Event::Book(BookUpdate {
            instrument,
            snapshot: false,
            bids: levels(-1),
            asks: levels(1),
            at,
        })
    }
}

pub fn symbol(index: u16) -> String {
    format!("B{index}USDT")
}

pub fn instrument(index: u16, perpetual: bool) -> Instrument {
    let kind = if perpetual { InstrumentKind::LinearPerpetual } else { InstrumentKind::Spot };
    Instrument {
        id: InstrumentId(index),
        venue: VenueId(u8::from(perpetual)),
        symbol: symbol(index),
        base: Asset::new(&format!("B{}", if perpetual { 0 } else { index })),
        ..toy::instrument(kind)
    }
}
