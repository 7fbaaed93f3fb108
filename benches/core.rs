//! What the trading thread does with a frame: decode and apply it, decide, encode and sign.
//!
//! Frames are recorded ones where the shared folder is there (`EVENKEEL_SHARED`, default
//! `../shared`), synthetic ones elsewhere. `cargo bench --bench core [-- --quick]`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the daemon")]

#[path = "common/frames.rs"]
mod frames;
#[path = "common/local.rs"]
mod local;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use evenkeel::config::Settings;
use evenkeel::domain::*;
use evenkeel::engine::{Engine, InstrumentParams, Role};
use evenkeel::market::Book;
use evenkeel::quoting::glft::{Market, Outlook, problem};
use evenkeel::risk::capital::{Tail, historical, make_semi_definite, parametric};
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::toy;
use evenkeel::venues::{Frame, HttpReply, HttpRequest, Method, NoReply, Outbox, Protocol, Reply};

fn settings() -> Settings {
    let text = include_str!("../config/demo.toml");
    evenkeel::config::parse(text, "config/demo.toml").unwrap().settings
}

/// The real spot session, connected to the simulated exchange, its book proven.
struct Session {
    protocol: Box<dyn Protocol>,
    exchange: LocalExchange,
    now: Ts,
}

impl Session {
    fn open() -> Session {
        let settings = settings();
        let secrets = evenkeel::config::read_secrets(&settings).unwrap();
        let now = local::now();
        let mut exchange = LocalExchange::new(local::params(), now).unwrap();
        exchange.advance(now, &mut evenkeel::sim::faces::streams::Outbox::default());
        let protocol = settings.protocols(&secrets).remove(0);
        let mut session = Session { protocol, exchange, now };
        let mut out = Outbox::default();
        session.protocol.start(now, &mut out);
        session.settle(&mut out);
        // Nothing was heard on the stream for a second, so the snapshot is asked for.
        session.now = now + Span::from_s(2);
        session.protocol.on_timeout(session.now, &mut out);
        session.settle(&mut out);
        assert!(out.events.iter().any(|event| matches!(event, Event::Book(_))), "{out:?}");
        session
    }

    /// Answer and open whatever is asked for, until nothing is.
    fn settle(&mut self, out: &mut Outbox) {
        while !out.frames.is_empty() {
            for frame in std::mem::take(&mut out.frames) {
                match frame {
                    Frame::Http(request) => {
                        let outcome = Ok(self.answer(&request));
                        let reply = Reply { outcome, sent_at: self.now };
                        self.protocol.on_reply(request.tag, self.now, reply, out);
                    }
                    Frame::Connect { link, .. } => self.protocol.on_open(link, self.now, out),
                    Frame::Close { .. } | Frame::Text { .. } => {}
                }
            }
        }
    }

    fn answer(&mut self, request: &HttpRequest) -> HttpReply {
        let target = request.url.splitn(4, '/').nth(3).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        if path == "api/v3/depth" {
            return HttpReply { status: 200, body: frames::snapshot(), ..HttpReply::default() };
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

/// A depth frame as it is read from the socket, into the book that quotes are made on.
fn decode_and_apply(c: &mut Criterion) {
    let frames = frames::depth_frames();
    let mut group = c.benchmark_group("decode and apply");
    group.bench_function("diff-depth frame", |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            let mut left = iterations as usize;
            while left > 0 {
                let count = left.min(frames.len());
                left -= count;
                let (mut session, mut book) = (Session::open(), Book::new());
                let mut out = Outbox::default();
                book.apply(&frames::snapshot_update());
                let (now, started) = (session.now, Instant::now());
                for frame in &frames[..count] {
                    session.protocol.on_text(LinkKind::Market, now, frame, &mut out);
                    for event in out.events.drain(..) {
                        if let Event::Book(update) = event {
                            book.apply(&update);
                        }
                    }
                    black_box(book.touch());
                }
                took += started.elapsed();
            }
            took
        });
    });
    group.finish();
}

/// An order from the decision to the signed request.
fn encode_and_sign(c: &mut Criterion) {
    let order = |counter: u32| {
        Action::Place(NewOrder {
            id: OrderId { epoch: 1_795_000_000, counter },
            instrument: InstrumentId(0),
            side: Side::Buy,
            px: Px(5_999_900),
            qty: Qty(200),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        })
    };
    let mut session = Session::open();
    let mut counter = 0;
    c.bench_function("encode and sign/order", |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            let mut out = Outbox::default();
            let now = session.now;
            for _ in 0..iterations {
                counter += 1;
                let action = order(counter);
                let started = Instant::now();
                session.protocol.encode(now, black_box(&action), &mut out);
                took += started.elapsed();
                let Some(Frame::Http(request)) = out.frames.pop() else { panic!("no request") };
                let outcome = Err(NoReply::NotSent(String::new()));
                session.protocol.on_reply(
                    request.tag,
                    now,
                    Reply { outcome, sent_at: now },
                    &mut out,
                );
                out.events.clear();
            }
            took
        });
    });
}

/// The demo's engine, quoting, with `count` spot instruments.
struct Core {
    engine: Engine,
    now: Ts,
    high: bool,
    actions: Vec<Action>,
}

impl Core {
    fn quoting(count: u16) -> Core {
        let mut params = settings().engine_params(1, None);
        let (spot, perpetual) = (params.instruments[0].clone(), params.instruments[1].clone());
        let another = |index: u16| InstrumentParams { symbol: symbol(index), ..spot.clone() };
        params.instruments = (0..count).map(another).collect();
        params.instruments.push(perpetual);
        params.pace.reprice_min_interval = Span::ZERO;
        params.market.max_volatility_bps_sqrt_s = 1e9;
        params.market.max_book_age = Span::from_s(3600);
        params.reference.max_age = Span::from_s(360_000);
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

    fn open(&mut self, count: u16) {
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
    fn step(&mut self, events: &[Event]) -> Duration {
        self.now += Span::from_ms(1);
        let started = Instant::now();
        self.engine.step(self.now, black_box(events), &mut self.actions);
        started.elapsed()
    }

    /// The venue carries out what was decided.
    fn settle(&mut self) {
        let at = self.now;
        let news = |instrument, id, status, px, qty| {
            let update = OrderUpdate::State { status, filled: Qty::ZERO, qty, px };
            Event::Order(OrderEvent { instrument, id, venue_order_id: None, update, at })
        };
        let answers: Vec<Event> = std::mem::take(&mut self.actions)
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
        if !answers.is_empty() {
            self.step(&answers);
        }
    }

    /// The first instrument's book changes: at its touch, by `ticks`, or far behind it.
    fn update(&mut self, ticks: i64) -> Event {
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

fn symbol(index: u16) -> String {
    format!("B{index}USDT")
}

fn instrument(index: u16, perpetual: bool) -> Instrument {
    let kind = if perpetual { InstrumentKind::LinearPerpetual } else { InstrumentKind::Spot };
    Instrument {
        id: InstrumentId(index),
        venue: VenueId(u8::from(perpetual)),
        symbol: symbol(index),
        base: Asset::new(&format!("B{}", if perpetual { 0 } else { index })),
        ..toy::instrument(kind)
    }
}

/// A book update from the event to the actions.
fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for (name, ticks) in [("book update, quotes stay", 0), ("book update, quotes move", 1800)] {
        for count in [1, 100] {
            let mut core = Core::quoting(count);
            group.bench_function(format!("{name}, {count} instruments"), |b| {
                b.iter_custom(|iterations| {
                    let mut took = Duration::ZERO;
                    for _ in 0..iterations {
                        let event = core.update(ticks);
                        took += core.step(&[event]);
                        if ticks != 0 {
                            let places = |action: &Action| matches!(action, Action::Place(_));
                            assert!(core.actions.iter().any(places), "{:?}", core.actions);
                        }
                        core.settle();
                        core.settle();
                        core.actions.clear();
                        black_box(core.engine.next_wakeup());
                    }
                    took
                });
            });
        }
    }
    group.finish();
}

/// Capital at risk of 20 instruments: correlations made to fit, VaR twice, history.
fn capital(c: &mut Criterion) {
    let (n, tail) = (20, Tail::new(0.99).unwrap());
    let delta: Vec<f64> = (0..n).map(|i| 1e4 * f64::from(i as u32 % 7) - 2e4).collect();
    let rho = |at: usize| if at / n == at % n { 1.0 } else { 0.7 };
    let covariance: Vec<f64> = (0..n * n).map(|at| rho(at) * 1e-6).collect();
    let past: Vec<Vec<f64>> = (0..512)
        .map(|row| (0..n).map(|i| f64::from((row * 7 + i as u32 * 3) % 11) - 5.0).collect())
        .collect();
    c.bench_function("capital at risk/20 instruments", |b| {
        b.iter(|| {
            let mut correlation: Vec<f64> = (0..n * n).map(rho).collect();
            black_box(make_semi_definite(&mut correlation, n));
            for _ in 0..2 {
                black_box(parametric(black_box(&delta), &covariance, tail));
            }
            let profit = |row: &Vec<f64>| row.iter().zip(&delta).map(|(m, d)| m * d).sum();
            let mut profits: Vec<f64> = past.iter().map(profit).collect();
            black_box(historical(&mut profits, 0.99))
        });
    });
}

/// An exact table of quote depths for inventories of −50 to 50 quotes.
fn exact_table(c: &mut Criterion) {
    let market = Market { sigma: 1.2, a: 1.5, k: 0.6 };
    let outlook =
        Outlook { risk_aversion: 0.001, execution_aversion: 0.0, drift: 0.001, impact: 0.2 };
    c.bench_function("exact table, 50 quotes a side", |b| {
        b.iter(|| problem(black_box(market), outlook, 50).unwrap().asymptotic().unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = decode_and_apply, step, encode_and_sign, capital, exact_table
}
criterion_main!(benches);
