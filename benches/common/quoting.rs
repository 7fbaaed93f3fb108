//! The demo's engine, quoting, in virtual time, at venues that carry out what it decides.

#![allow(dead_code, reason = "each bench uses its part")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use evenkeel::domain::*;
use evenkeel::engine::{Engine, FairFrom, InstrumentParams, Params, Role};
use evenkeel::sim::toy;

use crate::rig::settings;

/// The engine and its venues.
pub struct Core {
    pub engine: Engine,
    pub now: Ts,
    pub actions: Vec<Action>,
    high: bool,
    fills: u64,
}

/// The demo's parameters, held back by nothing that has to do with time or messages.
pub fn params() -> Params {
    let mut params = settings().engine_params(1, None);
    params.pace.reprice_min_interval = Span::ZERO;
    params.pace.reprice_threshold_bps = 0.5;
    params.market.max_volatility_bps_sqrt_s = 1e9;
    params.market.max_book_age = Span::from_s(3600);
    params.reference.max_age = Span::from_s(360_000);
    params.reference.max_disagreement_bps = 1e9;
    params.reference.max_move_bps = 1e9;
    params.risk.reconcile_interval = Span::from_s(360_000);
    for own in &mut params.venues {
        own.max_orders_per_s = 1e9;
    }
    params
}

impl Core {
    /// With `count` spot instruments and the perpetual of the first.
    pub fn quoting(count: u16) -> Core {
        let mut params = params();
        let (spot, perpetual) = (params.instruments[0].clone(), params.instruments[1].clone());
        let another = |index: u16| InstrumentParams { symbol: symbol(index), ..spot.clone() };
        params.instruments = (0..count).map(another).collect();
        params.instruments.push(perpetual);
        params.fair.from = FairFrom::Leader(InstrumentId(count));
        assert!(params.instruments.iter().filter(|own| own.role == Role::Hedge).count() == 1);
        let listed = (0..=count).map(|index| {
            let mid = if index == count { 600_000 } else { 6_000_000 };
            (instrument(index, index == count), mid, 100_000)
        });
        Core::open(params, listed.collect(), Ts::from_ms(1_795_000_000_000))
    }

    /// With these instruments, their mids in ticks and the lots at their touch.
    pub fn open(params: Params, listed: Vec<(Instrument, i64, i64)>, now: Ts) -> Core {
        let engine = Engine::new(params);
        let mut core = Core { engine, now, actions: Vec::new(), high: false, fills: 0 };
        core.connect(listed);
        for _ in 0..5 {
            core.settle();
            core.step(&[]);
        }
        assert_eq!(core.engine.state(), State::Quoting, "{:?}", core.engine.ending());
        core
    }

    fn connect(&mut self, listed: Vec<(Instrument, i64, i64)>) {
        let mut events = Vec::new();
        for venue in [VenueId(0), VenueId(1)] {
            for link in [LinkKind::Market, LinkKind::User] {
                events.push(Event::Link { venue, link, up: true, text: String::new() });
            }
            events.push(Event::Clock { venue, offset: Span::ZERO, round_trip: Span::ZERO });
        }
        let mut balances = vec![(Asset::new("USDT"), Money::from(10_000_000))];
        for (listed, mid, lots) in listed {
            if listed.kind == InstrumentKind::Spot {
                balances.push((listed.base.clone(), Money::ONE));
            }
            let (instrument, at) = (listed.id, self.now);
            let price = Money::from(mid) * listed.tick_size;
            events.push(Event::Listed(Box::new(listed)));
            events.push(Event::Fees { instrument, maker: Money::ZERO, taker: Money::ZERO });
            events.push(Event::Mark(Mark {
                instrument,
                mark_price: price,
                index_price: price,
                funding_rate: Money::ZERO,
                next_funding: Ts::FAR,
                at,
            }));
            let level = |px| vec![Level { px: Px(px), qty: Qty(lots) }];
            let (bids, asks) = (level(mid - 1), level(mid + 1));
            events.push(Event::Book(BookUpdate { instrument, snapshot: true, bids, asks, at }));
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
    }

    /// How long a step a millisecond later takes.
    pub fn step(&mut self, events: &[Event]) -> Duration {
        self.step_at(self.now + Span::from_ms(1), events)
    }

    /// How long the step takes. A function of its own, so that a profiler finds it.
    #[inline(never)]
    pub fn step_at(&mut self, now: Ts, events: &[Event]) -> Duration {
        self.now = now;
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
        let mut actions = std::mem::take(&mut self.actions);
        let answers = actions.iter().flat_map(|action| self.answer(action)).collect();
        actions.clear();
        self.actions = actions;
        answers
    }

    fn answer(&mut self, action: &Action) -> Vec<Event> {
        let at = self.now;
        let news = |instrument, id, status, px, qty| {
            let update = OrderUpdate::State { status, filled: Qty::ZERO, qty, px };
            Event::Order(OrderEvent { instrument, id, venue_order_id: None, update, at })
        };
        match action {
            Action::Place(new) if new.kind == OrderKind::ImmediateOrCancel => self.fill(new),
            Action::Place(new) => {
                vec![news(new.instrument, new.id, OrderStatus::New, new.px, new.qty)]
            }
            Action::Amend(new) => {
                vec![news(new.instrument, new.id, OrderStatus::New, new.px, new.qty)]
            }
            Action::Cancel { id, instrument } => {
                vec![news(*instrument, *id, OrderStatus::Canceled, Px(0), Qty(0))]
            }
            _ => Vec::new(),
        }
    }

    /// An order is filled whole, at its price.
    pub fn fill(&mut self, order: &NewOrder) -> Vec<Event> {
        self.fills += 1;
        let (instrument, id, at) = (order.instrument, order.id, self.now);
        let (px, qty) = (order.px, order.qty);
        let update = OrderUpdate::State { status: OrderStatus::Filled, filled: qty, qty, px };
        let takes = order.kind == OrderKind::ImmediateOrCancel;
        let fill = Fill {
            instrument,
            order: Some(id),
            venue_order_id: self.fills,
            trade_id: self.fills,
            side: order.side,
            px,
            qty,
            liquidity: if takes { Liquidity::Taker } else { Liquidity::Maker },
            fee: Money::ZERO,
            fee_asset: Asset::new("USDT"),
            at,
        };
        let news = OrderEvent { instrument, id, venue_order_id: None, update, at };
        vec![Event::Fill(fill), Event::Order(news)]
    }

    /// The first instrument's book changes: at its touch, by `ticks`, or far behind it.
    pub fn update(&mut self, ticks: i64) -> Event {
        self.high = !self.high;
        self.update_of(InstrumentId(0), ticks)
    }

    fn update_of(&self, instrument: InstrumentId, ticks: i64) -> Event {
        let base = 6_000_000;
        let (old, new) = if self.high { (base, base + ticks) } else { (base + ticks, base) };
        let levels = |sign: i64| match ticks {
            0 => vec![Level { px: Px(base + sign * 500), qty: Qty(1 + i64::from(self.high)) }],
            _ => vec![
                Level { px: Px(old + sign), qty: Qty(0) },
                Level { px: Px(new + sign), qty: Qty(100_000) },
            ],
        };
        let (bids, asks, at) = (levels(-1), levels(1), self.now);
        Event::Book(BookUpdate { instrument, snapshot: false, bids, asks, at })
    }

    /// Ten minutes of books that move and takers on every instrument, the longest that any
    /// estimator looks back.
    pub fn fill_windows(&mut self) {
        let quoted: Vec<InstrumentId> =
            (0..).map(InstrumentId).take_while(|id| self.engine_quotes(*id)).collect();
        for second in 0..600_i64 {
            self.high = !self.high;
            for &instrument in &quoted {
                let mut events = vec![self.update_of(instrument, 20)];
                for n in 0..7 {
                    let aggressor = if n % 2 == 0 { Side::Buy } else { Side::Sell };
                    // Deeper than where the fit begins, and no two of one order.
                    let px = Px(6_000_000 + aggressor.sign() * (1_200 + n * 100));
                    let (trade_id, at) = ((second * 7 + n) as u64, self.now + Span(n));
                    let qty = Qty(100);
                    let trade = Trade { instrument, px, qty, aggressor, trade_id, at };
                    events.push(Event::Trade(trade));
                }
                self.step_at(self.now + Span(1_000_000_000 / quoted.len() as i64), &events);
                self.actions.clear();
            }
        }
    }

    fn engine_quotes(&self, id: InstrumentId) -> bool {
        // The perpetual comes last and is not quoted.
        self.engine.is_quoted(id)
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
