//! Stories of the core: what it learns, line by line, and what it then does.
//!
//! A story in `tests/data/golden/*.txt` has `>` lines, one batch of events each at a time in
//! milliseconds, and `<` lines, the actions that follow. `UPDATE_GOLDEN=1 cargo test` rewrites the
//! `<` lines; a change of behaviour is then a diff to read.

mod controls;
mod resumed;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use evenkeel::domain::*;
use evenkeel::engine::*;
use evenkeel::inventory::{HedgeMode, HedgeParams, PresenceParams};
use evenkeel::quoting;
use evenkeel::risk::Limits;
use evenkeel::sim::toy;

pub fn dec(text: &str) -> Money {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no decimal"))
}

fn limits() -> Limits {
    Limits {
        max_order_base: dec("0.02"),
        max_order_quote: dec("2000"),
        inventory_limit_base: dec("0.01"),
        max_open_orders: 6,
        price_collar_bps: 100.0,
        max_net_exposure_quote: dec("1200"),
    }
}

pub fn hedge_params() -> HedgeParams {
    HedgeParams {
        trigger_base: dec("0.003"),
        target_base: dec("0"),
        mode: HedgeMode::Trigger,
        max_slippage_bps: dec("5"),
        min_interval: Span::from_ms(200),
        deadline: Span::from_ms(2000),
        passive: Span::ZERO,
        urgent_share: 0.9,
        cross: false,
        horizon: Span::from_s(60),
    }
}

fn level(size_base: f64) -> quoting::LevelParams {
    quoting::LevelParams { offset_bps: 0.0, size: quoting::Size::Base(size_base) }
}

fn pace() -> Pace {
    Pace {
        reprice_threshold_bps: 1.0,
        reprice_min_interval: Span::from_ms(0),
        max_quote_age: Span::from_s(600),
        post_fill_pause: Span::ZERO,
    }
}

pub fn params() -> Params {
    let venue = |name: &str| VenueParams {
        name: name.to_owned(),
        max_orders_per_s: 20.0,
        message_reserve_cancel_pct: 30.0,
        request_timeout: Span::from_ms(1000),
    };
    let instrument = |venue, role, target: &str| InstrumentParams {
        venue: VenueId(venue),
        symbol: "BTCUSDT".to_owned(),
        role,
        inventory_target_base: Some(dec(target)),
        limits: limits(),
    };
    Params {
        mission: Mission::Trade,
        epoch: 1,
        venues: vec![venue("spot"), venue("perp")],
        instruments: vec![instrument(0, Role::Quote, "1"), instrument(1, Role::Hedge, "0")],
        quoting: quoting::Params {
            half_spread_bps: 5.0,
            min_edge_bps: -10.0,
            inventory_skew_bps_at_limit: 10.0,
            levels: vec![level(0.002)],
            ..quoting::Params::default()
        },
        pace: pace(),
        market: MarketParams {
            max_book_age: Span::from_ms(3000),
            max_spread_bps: 20.0,
            min_top_quote: 10.0,
            max_volatility_bps_sqrt_s: 50.0,
            assumed_volatility_bps_sqrt_s: Some(2.0),
            order_arrival_per_s: 0.5,
            order_arrival_decay_per_bps: 0.5,
            volatility_half_life: Span::from_s(60),
            warm_up: Span::ZERO,
            use_own_order_filter: true,
        },
        signals: SignalUse::default(),
        reference: ReferenceParams {
            max_disagreement_bps: 50.0,
            max_age: Span::from_ms(3000),
            max_move_bps: 300.0,
            move_window: Span::from_s(10),
        },
        fair: FairParams::default(),
        estimators: EstimatorParams::default(),
        hedge: Some(hedge_params()),
        risk: RiskParams {
            loss_limit_quote_session: dec("50"),
            max_fills_per_minute_side: 20,
            max_rejects_per_10s: 5,
            max_clock_offset: Span::from_ms(500),
            reconcile_interval: Span::from_s(3600),
            order_unknown_bound: Span::from_ms(3000),
            request_life: Span::from_ms(3000),
            ramp_up: Span::ZERO,
            ramp_up_from: 1.0,
        },
        presence: PresenceParams::default(),
        capital: CapitalParams::default(),
        shutdown: ShutdownParams { flatten: true, deadline: Span::from_s(10) },
        latch: None,
    }
}

/// Hedging by the band, with as many hedge instruments, each on its own venue.
pub fn instrument(id: u16) -> Instrument {
    let kind = if id == 0 { InstrumentKind::Spot } else { InstrumentKind::LinearPerpetual };
    let venue = VenueId(u8::try_from(id).unwrap());
    Instrument { id: InstrumentId(id), venue, ..toy::instrument(kind) }
}

const START_MS: i64 = 1_700_000_000_000;

/// Instruments of the stories, by id; each is alone on the venue of the same number.
const NAMES: [&str; 3] = ["spot", "perp", "perp2"];

pub struct Story {
    pub venues: u8,
    /// What is quoted on spot.
    pub spot_base: &'static str,
    pub engine: Engine,
    pub now_ms: i64,
    pub sent: BTreeMap<u32, NewOrder>,
    pub trade_id: u64,
    /// Orders that the story names and that were never sent.
    pub mistakes: Vec<String>,
}

impl Story {
    fn new() -> Story {
        Story::with(params())
    }

    pub fn with(params: Params) -> Story {
        Story {
            venues: u8::try_from(params.venues.len()).unwrap(),
            spot_base: "BTC",
            engine: Engine::new(params),
            now_ms: 0,
            sent: BTreeMap::new(),
            trade_id: 0,
            mistakes: Vec::new(),
        }
    }

    pub fn now(&self) -> Ts {
        Ts::from_ms(START_MS + self.now_ms)
    }

    /// Plays one `>` line and returns the `<` lines.
    pub fn play(&mut self, line: &str) -> Vec<String> {
        let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
        let at = at.strip_suffix("ms").and_then(|ms| ms.parse().ok());
        self.now_ms = at.unwrap_or_else(|| panic!("{line:?} does not begin with a time"));
        let mut inbox = Vec::new();
        for part in rest.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            self.events(part, &mut inbox);
        }
        let mut actions = Vec::new();
        self.engine.step(self.now(), &inbox, &mut actions);
        if let Some(wakeup) = self.engine.next_wakeup() {
            assert!(wakeup > self.now(), "the core would spin");
        }
        let told = std::mem::take(&mut self.mistakes);
        let done: Vec<String> = actions.iter().filter_map(|action| self.describe(action)).collect();
        told.into_iter().chain(done).collect()
    }

    fn connect(&self, inbox: &mut Vec<Event>) {
        connected(self.venues, inbox);
        for event in inbox {
            if let Event::Listed(own) = event
                && own.id.0 == 0
            {
                own.base = Asset::new(self.spot_base);
            }
        }
    }

    fn events(&mut self, part: &str, inbox: &mut Vec<Event>) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let at = self.now();
        let which = |word: &str| NAMES.iter().position(|name| *name == word).unwrap() as u16;
        match words.as_slice() {
            ["connected"] => self.connect(inbox),
            ["mark", who, price] => inbox.push(Event::Mark(Mark {
                instrument: InstrumentId(which(who)),
                mark_price: dec(price),
                index_price: dec(price),
                funding_rate: Money::ZERO,
                next_funding: at,
                at,
            })),
            ["account", who, rest @ ..] => {
                inbox.push(Event::Account(self.account(which(who), rest)));
            }
            ["book", who, bid, ask] => {
                inbox.push(book(&instrument(which(who)), bid, ask, at));
            }
            ["lost", who] => inbox
                .push(Event::BookLost { instrument: InstrumentId(which(who)), why: BookLoss::Gap }),
            ["user", who, "down"] => inbox.push(Event::Link {
                venue: VenueId(which(who) as u8),
                link: LinkKind::User,
                up: false,
                text: "closed".to_owned(),
            }),
            ["trade", who, px] => {
                self.trade_id += 1;
                let own = instrument(which(who));
                inbox.push(Event::Trade(Trade {
                    instrument: own.id,
                    px: own.px(dec(px)).unwrap(),
                    qty: Qty(1),
                    aggressor: Side::Buy,
                    trade_id: self.trade_id,
                    at,
                }));
            }
            ["alive"] => inbox.extend(
                (0..self.venues)
                    .map(|venue| Event::Alive { venue: VenueId(venue), link: LinkKind::Market }),
            ),
            ["canceled_old"] => inbox.push(Event::Order(self.left_order())),
            ["pause"] => inbox.push(Event::Control(Control::Pause)),
            ["explain"] => inbox.push(Event::Control(Control::Explain)),
            ["resume"] => inbox.push(Event::Control(Control::Resume)),
            ["kill"] => inbox.push(Event::Control(Control::Kill { flatten: false })),
            ["stop"] => inbox.push(Event::Control(Control::Stop)),
            [_, order] | [_, order, _] if order.starts_with('#') && !self.was_sent(order) => {
                self.mistakes.push(format!("mistake: {order} was never sent"));
            }
            ["fill", order, qty] => self.fill(order, qty, inbox),
            [verb, order] => inbox.push(self.order_event(verb, order, "0")),
            [verb, order, filled] => inbox.push(self.order_event(verb, order, filled)),
            _ => panic!("{part:?} is no event of a story"),
        }
    }

    fn was_sent(&self, text: &str) -> bool {
        self.sent.contains_key(&text[1..].parse().unwrap())
    }

    fn order(&self, text: &str) -> NewOrder {
        let counter: u32 = text.strip_prefix('#').unwrap().parse().unwrap();
        self.sent.get(&counter).unwrap_or_else(|| panic!("{text} was never sent")).clone()
    }

    fn fill(&mut self, order: &str, qty: &str, inbox: &mut Vec<Event>) {
        let order = self.order(order);
        let own = instrument(order.instrument.0);
        self.trade_id += 1;
        let liquidity = match order.kind {
            OrderKind::PostOnly => Liquidity::Maker,
            OrderKind::ImmediateOrCancel => Liquidity::Taker,
        };
        inbox.push(Event::Fill(Fill {
            instrument: order.instrument,
            order: Some(order.id),
            venue_order_id: 1,
            trade_id: self.trade_id,
            side: order.side,
            px: order.px,
            qty: own.qty(dec(qty)).unwrap(),
            liquidity,
            fee: Money::ZERO,
            fee_asset: Asset::new("USDT"),
            at: self.now(),
        }));
    }

    fn order_event(&self, verb: &str, order: &str, filled: &str) -> Event {
        let order = self.order(order);
        let filled = instrument(order.instrument.0).qty(dec(filled)).unwrap();
        let state = |status| OrderUpdate::State { status, filled, qty: order.qty, px: order.px };
        let refused = |class| OrderUpdate::Rejected { class, text: "refused".to_owned() };
        let update = match verb {
            "ack" => state(OrderStatus::New),
            "canceled" => state(OrderStatus::Canceled),
            "expired" => state(OrderStatus::Expired),
            "filled" => state(OrderStatus::Filled),
            "would_take" => refused(RejectClass::WouldTake),
            "no_funds" => refused(RejectClass::InsufficientFunds),
            "duplicate" => refused(RejectClass::DuplicateId),
            "unknown" => OrderUpdate::Unknown { text: "timed out".to_owned() },
            "not_found" => OrderUpdate::NotFound,
            "gone" => OrderUpdate::ChangeRejected {
                class: RejectClass::Other,
                gone: true,
                text: "Unknown order sent.".to_owned(),
            },
            _ => panic!("{verb:?} is no event of a story"),
        };
        Event::Order(OrderEvent {
            instrument: order.instrument,
            id: order.id,
            venue_order_id: Some(u64::from(order.id.counter)),
            update,
            at: self.now(),
        })
    }

    /// `account spot BTC=1 USDT=100000 open=#1`, `account perp position=-0.002`.
    fn account(&self, which: u16, words: &[&str]) -> AccountSnapshot {
        let own = instrument(which);
        let mut snapshot = AccountSnapshot {
            venue: own.venue,
            balances: Vec::new(),
            positions: Vec::new(),
            open_orders: Some(Vec::new()),
            complete: true,
            as_of: self.now(),
        };
        for (key, value) in words.iter().filter_map(|word| word.split_once('=')) {
            match key {
                "position" => snapshot.positions.push(PositionReport {
                    instrument: own.id,
                    qty: own.qty(dec(value)).unwrap(),
                    entry_price: Money::ZERO,
                }),
                "open" => snapshot.open_orders.as_mut().unwrap().push(self.open(value, &own)),
                asset => {
                    // Free, or free+locked.
                    let (free, locked) = value.split_once('+').unwrap_or((value, "0"));
                    snapshot.balances.push(Balance {
                        asset: Asset::new(asset),
                        free: dec(free),
                        locked: dec(locked),
                    });
                }
            }
        }
        snapshot
    }

    /// An order of ours by number, or `old`: one that an earlier run left.
    fn open(&self, value: &str, own: &Instrument) -> OpenOrder {
        let order = if value == "old" {
            NewOrder {
                id: OrderId { epoch: 0, counter: 7 },
                instrument: own.id,
                side: Side::Buy,
                px: Px(5_900_000),
                qty: Qty(100),
                kind: OrderKind::PostOnly,
                reduce_only: false,
                purpose: Purpose::Quote,
            }
        } else {
            self.order(value)
        };
        OpenOrder {
            instrument: own.id,
            id: Some(order.id),
            venue_order_id: 7,
            side: order.side,
            px: order.px,
            qty: order.qty,
            filled: Qty::ZERO,
        }
    }

    /// The venue's word that the order of the earlier run is cancelled.
    fn left_order(&self) -> OrderEvent {
        let old = self.open("old", &instrument(0));
        OrderEvent {
            instrument: old.instrument,
            id: OrderId { epoch: 0, counter: 7 },
            venue_order_id: Some(7),
            update: OrderUpdate::State {
                status: OrderStatus::Canceled,
                filled: Qty::ZERO,
                qty: old.qty,
                px: old.px,
            },
            at: self.now(),
        }
    }

    fn describe(&mut self, action: &Action) -> Option<String> {
        let name = |id: InstrumentId| NAMES[id.index()];
        let number = |id: OrderId| match id.epoch {
            1 => format!("#{}", id.counter),
            _ => format!("old#{}", id.counter),
        };
        Some(match action {
            Action::Place(order) => {
                self.sent.insert(order.id.counter, order.clone());
                let own = instrument(order.instrument.0);
                let kind = match order.kind {
                    OrderKind::PostOnly => "post_only",
                    OrderKind::ImmediateOrCancel => "ioc",
                };
                format!(
                    "place {} {} {} {} x {} {kind}{}",
                    number(order.id),
                    name(order.instrument),
                    order.side,
                    own.price(order.px),
                    own.quantity(order.qty),
                    if order.reduce_only { " reduce_only" } else { "" },
                )
            }
            Action::Amend(amend) => {
                let price = instrument(amend.instrument.0).price(amend.px);
                if let Some(order) = self.sent.get_mut(&amend.id.counter) {
                    (order.px, order.qty) = (amend.px, amend.qty);
                }
                format!("amend {} {price} x {}", number(amend.id), amend.qty.0)
            }
            Action::Cancel { id, .. } => format!("cancel {}", number(*id)),
            Action::Query { id, .. } => format!("query {}", number(*id)),
            Action::Reconcile { venue } => {
                format!("reconcile {}", NAMES[venue.index()])
            }
            Action::Resync { instrument } => format!("resync {}", name(*instrument)),
            Action::Note(note) => return describe_note(note),
        })
    }
}

fn describe_note(note: &Note) -> Option<String> {
    Some(match note {
        Note::StateChanged { to, .. } => format!("state {to}"),
        Note::SideReason { side, reason, .. } => format!("{side}s: {}", reason.as_str()),
        Note::Capital { from, to, at_risk_quote, .. } if from != to => {
            let at_risk = at_risk_quote.map_or("unknown".to_owned(), |at| format!("{at:.3}"));
            format!("capital {to:?} at {at_risk}")
        }
        Note::HedgeDone { took_ms, hedged_base, fees_quote, slippage_quote, .. } => format!(
            "hedged {} after {took_ms} ms, slippage {}, fees {}",
            hedged_base.normalize(),
            slippage_quote.normalize(),
            fees_quote.normalize()
        ),
        Note::HedgeBand { band_base, cost_bps, .. } => {
            format!("band {band_base:.5}, hedging costs {cost_bps:.2} bps")
        }
        Note::HedgeLate { since_ms, .. } => format!("hedge late: {since_ms} ms"),
        Note::GateBlocked { side, reason, .. } => format!("gate: {side} {}", reason.as_str()),
        Note::Explained { text, .. } => format!("because {}", text.replace("; ", "\n<   ")),
        Note::Halted { text, .. } => format!("halted: {text}"),
        Note::ReconcileDiffers { text, .. } => format!("differs: {text}"),
        Note::FairSourceChanged { source, wanted, warming, .. } => {
            let more = match (source == wanted, warming) {
                (true, _) => "",
                (false, true) => ", warming up",
                (false, false) => ", not as wanted",
            };
            format!("quoted around: {source:?}{more}")
        }
        Note::BookSynced { instrument } => {
            format!("book of {} is proven", NAMES[instrument.index()])
        }
        Note::BookLost { instrument, .. } => {
            format!("book of {} is lost", NAMES[instrument.index()])
        }
        Note::Reconciled { venue, open_orders, foreign_orders, .. } => {
            let venue = NAMES[venue.index()];
            format!("{venue} agrees: {open_orders} orders, {foreign_orders} of others")
        }
        Note::Invariant { text } => format!("invariant: {text}"),
        _ => return None,
    })
}

/// A book of one level a side, each as `price x quantity`.
fn book(own: &Instrument, bid: &str, ask: &str, at: Ts) -> Event {
    let level = |text: &str| {
        let (px, qty) = text.split_once('x').unwrap();
        Level { px: own.px(dec(px)).unwrap(), qty: own.qty(dec(qty)).unwrap() }
    };
    Event::Book(BookUpdate {
        instrument: own.id,
        snapshot: true,
        bids: vec![level(bid)],
        asks: vec![level(ask)],
        at,
    })
}

pub fn connected(venues: u8, inbox: &mut Vec<Event>) {
    for id in 0..venues {
        let venue = VenueId(id);
        inbox.push(Event::Listed(Box::new(instrument(u16::from(id)))));
        inbox.push(Event::Fees {
            instrument: InstrumentId(u16::from(id)),
            maker: Money::ZERO,
            taker: dec("0.0005"),
        });
        inbox.push(Event::Clock { venue, offset: Span::ZERO, round_trip: Span::from_ms(1) });
        for link in [LinkKind::Market, LinkKind::User] {
            inbox.push(Event::Link { venue, link, up: true, text: String::new() });
        }
    }
}

fn replay(story: &str, params: Params) -> String {
    let mut play = Story::with(params);
    let mut written = String::new();
    for line in story.lines().filter(|line| !line.starts_with('<')) {
        writeln!(written, "{line}").unwrap();
        if let Some(input) = line.strip_prefix("> ") {
            for action in play.play(input) {
                writeln!(written, "< {action}").unwrap();
            }
        }
    }
    written
}

pub fn check(name: &str) {
    check_with(name, params());
}

pub fn check_with(name: &str, params: Params) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name);
    let story = std::fs::read_to_string(&path).unwrap();
    let replayed = replay(&story, params);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, replayed).unwrap();
        return;
    }
    for (number, (now, then)) in replayed.lines().zip(story.lines()).enumerate() {
        assert_eq!(now, then, "{name}:{}", number + 1);
    }
    assert_eq!(replayed.lines().count(), story.lines().count(), "{name}: length");
}

#[test]
fn a_session_starts_quotes_hedges_and_stops_flat() {
    check("session.txt");
}

#[test]
fn a_book_that_is_not_proven_is_not_quoted_on() {
    check("book.txt");
}

#[test]
fn an_order_without_an_answer_is_not_forgotten() {
    check("unknown.txt");
}

#[test]
fn hedges_that_fill_in_part_or_not_at_all() {
    check("hedge.txt");
}

#[test]
fn a_question_is_answered_step_by_step_and_changes_nothing() {
    check("explain.txt");
}

#[test]
fn a_kill_cancels_everything_and_stays_halted() {
    check("kill.txt");
}

#[test]
fn a_kill_over_a_halt_that_would_not_last_is_latched() {
    let mut engine = Engine::new(params());
    let mut actions = Vec::new();
    let fault = Event::Control(Control::Fault { text: "disk full".to_owned() });
    let kill = Event::Control(Control::Kill { flatten: false });
    engine.step(Ts::from_ms(1), &[fault, kill], &mut actions);
    let halts = actions.iter().filter_map(|action| match action {
        Action::Note(Note::Halted { cause, .. }) => Some(*cause),
        _ => None,
    });
    assert_eq!(halts.collect::<Vec<_>>(), [HaltCause::Fault, HaltCause::Operator]);
    assert_eq!(engine.halt_cause(), Some(HaltCause::Operator));
}

#[test]
fn a_resume_also_ends_a_latched_halt_that_waits_for_the_accounts() {
    let latch = Some((HaltCause::Operator, "killed before".to_owned()));
    let mut engine = Engine::new(Params { latch, ..params() });
    let mut actions = Vec::new();
    engine.step(Ts::from_ms(1), &[Event::Control(Control::Resume)], &mut actions);
    let ended = |action: &Action| matches!(action, Action::Note(Note::Latch { set: false, .. }));
    assert_eq!(actions.iter().filter(|action| ended(action)).count(), 1, "{actions:?}");
    assert_eq!(engine.halt_cause(), None);
}

#[test]
fn a_stop_is_verified_by_requests_alone() {
    check("severed.txt");
}

#[test]
fn what_an_earlier_run_left_is_cancelled_before_the_first_quote() {
    check("leftover.txt");
}

#[test]
fn a_holding_far_from_its_target_is_not_traded_away() {
    check("misplaced.txt");
}

/// A limit that 0.0033 BTC reach: 200 quote at 2 bps/√s for a minute, 99 %, and the taker fee.
fn with_capital_limit() -> Params {
    let mut params = params();
    params.capital.limit_quote = Some(0.8);
    params.hedge.as_mut().unwrap().trigger_base = dec("0.0033");
    params
}

#[test]
fn inventory_that_risks_too_much_shrinks_quotes_and_is_taken_off() {
    check_with("capital.txt", with_capital_limit());
}

#[test]
fn capital_at_risk_is_what_its_parts_say() {
    let mut params = with_capital_limit();
    params.capital.limit_quote = None;
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1.002 USDT=100000; account perp USDT=100000 position=-0.001");
    story.play("10ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    story.play("300ms alive");
    let view = story.engine.status(story.now()).capital;
    assert_eq!(view.stage, CapitalStage::Free, "without a limit nothing presses");
    let sum: f64 = view.holdings.iter().map(|own| own.component_var_quote).sum();
    assert!((sum - view.var_quote).abs() < 1e-9, "{view:#?}");
    // Long 0.002 and short 0.001 of one asset are one risk of half of it.
    let alone = 0.002 * 60_000.0 * 2e-4 * 60.0_f64.sqrt() * 2.326;
    assert!((view.var_quote / alone - 0.5).abs() < 0.01, "{view:#?}");
    assert!(view.undiversified_quote > 1.4 * alone);
    let parts = view.market_quote + view.exit_cost_quote.unwrap();
    assert!((view.at_risk_quote.unwrap() - parts).abs() < 1e-12);
    assert!(view.market_quote > view.var_quote, "leaving takes time");
    assert!((view.stress.up_quote + view.stress.down_quote).abs() < 1e-9);
    assert!((view.stress.funding_cost_quote - 59.98 * 0.0075).abs() < 1e-3);
    // While a book is proven again, leaving costs what it did; after five seconds nobody knows.
    let known = view.exit_cost_quote;
    story.play("600ms alive; lost perp");
    let view = story.engine.status(story.now()).capital;
    assert!((view.exit_cost_quote.unwrap() - known.unwrap()).abs() < 1e-9, "{view:#?}");
    story.play("5000ms alive");
    assert!(story.engine.status(story.now()).capital.at_risk_quote.is_some());
    story.play("5700ms alive");
    let view = story.engine.status(story.now()).capital;
    assert_eq!((view.at_risk_quote, view.exit_cost_quote), (None, None));
}

#[test]
fn a_gap_does_not_make_a_holding_risky_but_a_book_lost_for_good_does() {
    let mut params = with_capital_limit();
    params.capital.limit_quote = Some(100.0);
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1.002 USDT=100000; account perp USDT=100000 position=-0.001");
    story.play("10ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    story.play("300ms alive");
    story.play("600ms alive; lost perp");
    story.play("1000ms alive");
    assert_eq!(story.engine.state(), State::Quoting);
    story.play("5000ms alive; book spot 60000.00x1 60000.01x1");
    assert_eq!(story.engine.state(), State::Quoting);
    story.play("5700ms alive; book spot 60000.00x1 60000.01x1");
    story.play("6000ms alive");
    assert_eq!(story.engine.state(), State::Reducing);
    story.play("6100ms book perp 59980.0x1 59980.1x1");
    story.play("6400ms alive");
    assert_eq!(story.engine.state(), State::Quoting);
}

#[test]
fn a_leader_that_fails_is_left_and_taken_up_again() {
    let mut params = params();
    params.fair.from = FairFrom::Leader(InstrumentId(1));
    params.fair.fusion.warm_up = Span::from_s(1);
    params.fair.fusion.failback = Span::from_s(2);
    check_with("leader.txt", params);
}

/// A venue that prints 10 % off does not move the quotes of the others, and its fused price does
/// not either.
#[test]
fn the_fused_price_leaves_out_a_venue_that_jumps() {
    let mut params = params();
    params.fair.from = FairFrom::Fused;
    params.fair.fusion.warm_up = Span::from_s(1);
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    let mut said = Vec::new();
    for n in 1..30 {
        said.extend(story.play(&format!(
            "{}ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1",
            n * 100
        )));
    }
    assert!(said.iter().any(|line| line == "quoted around: Fused"), "{said:?}");
    let view = |story: &Story| story.engine.status(story.now()).instruments[0].fair.clone();
    let before = view(&story);
    let apart = (before.fused.unwrap() / before.own.unwrap() - 1.0) * 1e4;
    assert!(apart.abs() < 0.1 && before.weight > 0.3, "{before:?}");
    let jumped = story.play("3000ms book perp 66000.0x1 66000.1x1");
    assert!(jumped.iter().any(|line| line == "buys: reference_disagrees"), "{jumped:?}");
    assert!(!jumped.iter().any(|line| line.starts_with("place")), "{jumped:?}");
    let after = view(&story);
    assert_eq!((after.fused, after.counts), (None, true), "nothing is left to fuse: {after:?}");
}

#[test]
fn a_target_that_is_as_found_is_told_so_that_it_is_remembered() {
    let mut params = params();
    params.instruments[0].inventory_target_base = None;
    let mut engine = Engine::new(params);
    let mut story = Story::new();
    let mut inbox = Vec::new();
    connected(2, &mut inbox);
    inbox.push(Event::Account(story.account(0, &["BTC=5", "USDT=1"])));
    let mut actions = Vec::new();
    engine.step(story.now(), &inbox, &mut actions);
    let found = actions.iter().find_map(|action| match action {
        Action::Note(Note::TargetTaken { name, base, .. }) => Some((name.as_str(), *base)),
        _ => None,
    });
    assert_eq!(found, Some(("spot:BTCUSDT", dec("5"))));
    story.now_ms += 1;
    assert_eq!(engine.status(story.now()).instruments[0].target_base, Some(dec("5")));
}

/// However fast fills follow each other and whatever the pace of changes, each is answered with
/// both sides in the very step that brought it, until the budget keeps its reserve.
#[test]
fn every_fill_changes_both_quotes_in_its_own_step() {
    let mut params = params();
    params.hedge = None;
    params.pace.reprice_min_interval = Span::from_ms(250);
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    let placed = |lines: &[String], side: &str| {
        lines.iter().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ours = words.len() > 3 && words[0] == "place" && words[3] == side;
            ours.then(|| words[1].to_owned())
        })
    };
    let first = story.play("10ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    let mut buy = placed(&first, "buy").unwrap_or_else(|| panic!("{first:?}"));
    let mut sell = placed(&first, "sell").unwrap_or_else(|| panic!("{first:?}"));
    story.play(&format!("20ms ack {buy}; ack {sell}"));
    for (ms, hit_buy) in [(1000, true), (1100, false), (1200, true), (1300, false)] {
        let hit = if hit_buy { &buy } else { &sell };
        let lines = story.play(&format!("{ms}ms fill {hit} 0.002; filled {hit} 0.002"));
        assert!(!story.engine.owes_quotes(InstrumentId(0)), "{ms} ms: {lines:?}");
        let gone = if hit_buy { sell } else { buy };
        buy = placed(&lines, "buy").unwrap_or_else(|| panic!("{ms} ms: {lines:?}"));
        sell = placed(&lines, "sell").unwrap_or_else(|| panic!("{ms} ms: {lines:?}"));
        story.play(&format!("{}ms canceled {gone}; ack {buy}; ack {sell}", ms + 10));
    }
    // What the books do keeps the pace.
    let moved = "book spot 60030.00x1 60030.01x1; book perp 60010.0x1 60010.1x1";
    let lines = story.play(&format!("1320ms {moved}"));
    assert_eq!(placed(&lines, "sell"), None, "{lines:?}");
    assert!(story.engine.owes_quotes(InstrumentId(0)));
}
