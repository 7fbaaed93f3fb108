//! The signals on a recorded market, and what they do to quotes.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use evenkeel::domain::*;
use evenkeel::engine::{Engine, FairFrom, InstrumentView, SignalUse};
use evenkeel::market::{
    AlphaSignal, FairPrice, Ladder, Regression, SignalParams, Signals, SignalsView, Touch,
    TouchFills, TradeFlow, TradeFlowParams, level_flow,
};
use serde_json::Value;

use crate::engine::{connected, dec, params};
use crate::market::frames;
use crate::shared::shared;

/// What the signals say at the end of a recording.
struct Watched {
    view: SignalsView,
    /// Order flow at the touch against the return of the same second.
    flow: Regression,
    fills: TouchFills,
}

fn touch_of(data: &Value, at: Ts, ticks: f64) -> Touch {
    let number = |key: &str| data[key].as_str().unwrap().parse::<f64>().unwrap();
    let level = |px: &str, qty: &str| Level {
        px: Px((number(px) * ticks).round() as i64),
        qty: Qty((number(qty) * 1000.0).round() as i64),
    };
    Touch { bid: level("b", "B"), ask: level("a", "A"), at }
}

fn watch(name: &str, alpha: AlphaSignal) -> Option<Watched> {
    let path = shared(&format!("data/binance-2024-08-08/usdm/{name}_20240808.gz"))?;
    let ticks = if name == "btcusdt" { 10.0 } else { 100.0 };
    let horizon = Span::from_s(1);
    let (fair_price, max_alpha_bps) = (FairPrice::Mid, 5.0);
    let mut signals =
        Signals::new(SignalParams { fair_price, alpha: Some(alpha), horizon, max_alpha_bps });
    let mut takers = TradeFlow::new(TradeFlowParams::default());
    let (mut flow, mut fills) = (Regression::new(f64::INFINITY), TouchFills::new(horizon));
    let (mut now, mut last) = (Ts(0), None::<Touch>);
    let (mut ends, mut opened, mut sum) = (Ts(0), f64::NAN, 0);
    for frame in frames(&path) {
        let data = &frame["data"];
        let at = Ts::from_ms(data["T"].as_i64().unwrap_or_default());
        match data["e"].as_str() {
            Some("bookTicker") => {
                now = now.max(at);
                let touch = touch_of(data, now, ticks);
                if now >= ends {
                    if let Some(last) = last {
                        flow.add(sum as f64, (last.mid_ticks() / opened - 1.0) * 1e4);
                        opened = last.mid_ticks();
                    }
                    (sum, ends) = (0, now + horizon);
                }
                if let Some(last) = last {
                    sum += level_flow(Side::Buy, last.bid, touch.bid)
                        + level_flow(Side::Sell, last.ask, touch.ask);
                }
                last = Some(touch);
                let mut ladder = Ladder::default();
                (ladder[0][0], ladder[1][0]) = (Some(touch.bid), Some(touch.ask));
                signals.observe_book(now, &touch, &ladder, &takers);
                let (bid, ask) = (touch.bid.qty.0 as f64, touch.ask.qty.0 as f64);
                fills.observe(now, touch.mid_ticks(), (bid - ask) / (bid + ask));
            }
            Some("trade") if data["X"] == "MARKET" => {
                let Some(touch) = last else { continue };
                let number = |key: &str| data[key].as_str().unwrap().parse::<f64>().unwrap();
                let trade = Trade {
                    instrument: InstrumentId(0),
                    px: Px((number("p") * ticks).round() as i64),
                    qty: Qty((number("q") * 1000.0).round() as i64),
                    aggressor: if data["m"] == true { Side::Sell } else { Side::Buy },
                    trade_id: data["t"].as_u64().unwrap(),
                    at,
                };
                now = now.max(at);
                if takers.observe(&trade, touch.mid_ticks()) {
                    signals.observe_trade(now, &trade);
                    fills.trade(now, trade.aggressor, at);
                }
            }
            Some(_) | None => {}
        }
    }
    let view = signals.view(Some(0.001), Some(1.2), &takers);
    Some(Watched { view, flow, fills })
}

#[test]
fn the_signals_say_what_was_measured_on_the_same_recording() {
    // Golden file 28: slope of the next second's return per unit of the bids' share of the touch,
    // R² of the order flow of the same second, and the move against fills with their side thin.
    let measured = [("btcusdt", 0.90, 0.44, 0.53), ("ethusdt", 0.80, 0.56, 0.57)];
    for (name, slope, r_squared, thin) in measured {
        let Some(watched) = watch(name, AlphaSignal::Imbalance) else { return };
        let view = watched.view;
        let alpha = view.alpha.unwrap();
        // Half the slope, because the imbalance runs from −1 to 1; recent samples weigh more.
        assert!((alpha.slope_bps * 2.0 / slope - 1.0).abs() < 0.25, "{name}: {alpha:?}");
        assert!(alpha.trusted && alpha.t > 3.0, "{name}: {alpha:?}");
        assert!(view.alpha_used_bps.abs() < 1.0, "{name}: {view:?}");
        let line = watched.flow.line().unwrap();
        assert!(line.slope > 0.0 && (line.r_squared - r_squared).abs() < 0.05, "{name}: {line:?}");
        let fills = watched.fills.by_state();
        assert!((fills[0].1 / thin - 1.0).abs() < 0.25, "{name}: {fills:?}");
        assert!(fills[4].1 < 0.0, "{name}: a thick side gains, {fills:?}");
        assert!(view.micro_price_bps.trusted, "{name}: {view:?}");
        assert!(view.kyle_lambda_bps_per_base.value.unwrap() > 0.0, "{name}: {view:?}");
        let percentile = view.toxicity_percentile.value.unwrap();
        assert!((0.0..=1.0).contains(&percentile), "{name}: {view:?}");
    }
}

/// What order flow explains of its own second it does not predict of the next: as an alpha it is
/// weak, and is believed as little.
#[test]
fn order_flow_predicts_little() {
    let Some(watched) = watch("ethusdt", AlphaSignal::OrderFlow) else { return };
    let alpha = watched.view.alpha.unwrap();
    assert!(alpha.r_squared < 0.06, "{alpha:?}");
    assert!(!alpha.trusted || watched.view.alpha_used_bps.abs() < 0.5, "{alpha:?}");
}

/// The core with signals in use and a venue that takes every order and fills none.
struct Market {
    engine: Engine,
    now: Ts,
    trades: u64,
    /// What was told and sent since it was last looked at.
    said: Vec<Action>,
}

const MID: i64 = 6_000_000;

impl Market {
    fn open(signals: SignalUse) -> Market {
        Market::around(FairFrom::Own, signals)
    }

    fn around(fair: FairFrom, signals: SignalUse) -> Market {
        let mut params = params();
        params.signals = signals;
        params.fair.from = fair;
        params.fair.fusion.warm_up = Span::from_s(1);
        params.quoting.min_edge_bps = 0.0;
        params.quoting.adverse_move_bps = 1.0;
        params.hedge = None;
        let engine = Engine::new(params);
        let now = Ts::from_ms(1_700_000_000_000);
        let mut market = Market { engine, now, trades: 0, said: Vec::new() };
        let mut inbox = Vec::new();
        connected(2, &mut inbox);
        for venue in [VenueId(0), VenueId(1)] {
            let free = |asset: &str| Balance {
                asset: Asset::new(asset),
                free: dec(if asset == "BTC" { "1" } else { "100000" }),
                locked: Money::ZERO,
            };
            inbox.push(Event::Account(AccountSnapshot {
                venue,
                balances: vec![free("BTC"), free("USDT")],
                positions: Vec::new(),
                open_orders: Some(Vec::new()),
                complete: true,
                as_of: now,
            }));
        }
        market.step(0, &inbox);
        market
    }

    fn step(&mut self, after_ms: i64, inbox: &[Event]) {
        self.now += Span::from_ms(after_ms);
        let mut actions = Vec::new();
        self.engine.step(self.now, inbox, &mut actions);
        let order = |instrument, id, status, px, qty| {
            let update = OrderUpdate::State { status, filled: Qty::ZERO, qty, px };
            Event::Order(OrderEvent { instrument, id, venue_order_id: None, update, at: self.now })
        };
        let answer = |action: &Action| match action {
            Action::Place(new) => {
                Some(order(new.instrument, new.id, OrderStatus::New, new.px, new.qty))
            }
            Action::Cancel { id, instrument } => {
                Some(order(*instrument, *id, OrderStatus::Canceled, Px(0), Qty(0)))
            }
            _ => None,
        };
        let answers: Vec<Event> = actions.iter().filter_map(answer).collect();
        self.said.extend(actions);
        if !answers.is_empty() {
            self.step(1, &answers);
        }
    }

    /// Books of both venues, a spread of two ticks around the mid.
    fn book(&mut self, after_ms: i64, mid: i64, bid_qty: i64, ask_qty: i64) {
        self.books(after_ms, [mid, MID / 10], [[bid_qty, ask_qty], [1000, 1000]]);
    }

    fn books(&mut self, after_ms: i64, mids: [i64; 2], quantities: [[i64; 2]; 2]) {
        let book = |id: u16, ticks: i64, quantities: [i64; 2]| {
            let level = |px, qty| vec![Level { px: Px(px), qty: Qty(qty) }];
            Event::Book(BookUpdate {
                instrument: InstrumentId(id),
                snapshot: true,
                bids: level(ticks - 1, quantities[0]),
                asks: level(ticks + 1, quantities[1]),
                at: self.now + Span::from_ms(after_ms),
            })
        };
        let alive =
            [0, 1].map(|venue| Event::Alive { venue: VenueId(venue), link: LinkKind::Market });
        let [one, two] = alive;
        let [own, other] =
            [0, 1].map(|id| book(id, mids[usize::from(id)], quantities[usize::from(id)]));
        let books = [own, other, one, two];
        self.step(after_ms, &books);
    }

    fn trade(&mut self, aggressor: Side, px: i64, qty: i64) {
        self.trades += 1;
        let trade_id = self.trades;
        let (px, qty, at) = (Px(px), Qty(qty), self.now);
        let instrument = InstrumentId(0);
        self.step(1, &[Event::Trade(Trade { instrument, px, qty, aggressor, trade_id, at })]);
    }

    fn view(&self) -> InstrumentView {
        self.engine.status(self.now).instruments[0].clone()
    }

    fn told(&self, test: impl Fn(&Note) -> bool) -> bool {
        self.said.iter().any(|action| matches!(action, Action::Note(note) if test(note)))
    }
}

/// Thin bids are sold into and the mid falls by eight basis points: no bid is shown there that
/// earns five, and it comes back with the book.
#[test]
fn a_side_whose_fills_cost_more_than_they_earn_is_pulled() {
    let mut market = Market::open(SignalUse { pull_when_toxic: true, ..SignalUse::default() });
    let falls = |market: &mut Market| {
        market.book(200, MID, 10_000, 200_000);
        let toxic = market.view().bid.reason == Reason::Toxic;
        market.trade(Side::Sell, MID - 1, 500);
        market.book(500, MID - 4_800, 100_000, 100_000);
        market.book(1_200, MID, 100_000, 100_000);
        toxic
    };
    let pulled: Vec<bool> = (0..150).map(|_| falls(&mut market)).collect();
    assert!(!pulled[..100].contains(&true), "not before it is known");
    assert!(pulled[149], "{:?}", market.view().signals);
    let view = market.view();
    assert_eq!((view.bid.reason, view.ask.reason), (Reason::Quoting, Reason::Quoting));
    assert!(market.told(|note| matches!(
        note,
        Note::SideToxic { side: Side::Buy, expected_bps, earns_bps, .. }
            if (*expected_bps - 8.0).abs() < 0.1 && (4.5..5.5).contains(earns_bps)
    )));
    assert!(!market.told(|note| matches!(note, Note::SideToxic { side: Side::Sell, .. })));
    assert!(market.told(|note| matches!(note, Note::Signals { readings, .. }
        if readings.iter().any(|(name, value)| name == "imbalance" && value.is_some())
            && readings.iter().any(|(name, value)| name == "alpha_bps" && value.is_none()))));
}

/// Alpha moves both quotes alike, by as much as the fair price moves, and no other number.
#[test]
fn alpha_shifts_the_fair_price_and_nothing_else() {
    let mut signals = SignalUse::default();
    signals.measured.alpha = Some(AlphaSignal::Imbalance);
    signals.measured.fair_price = FairPrice::Mid;
    signals.measured.max_alpha_bps = 3.0;
    let mut market = Market::open(signals);
    assert_eq!(market.view().signals.alpha_used_bps, 0.0);
    // Bids heavy, then five basis points up and back when asks are.
    for round in 0..200 {
        let (mid, bid, ask) =
            if round % 2 == 0 { (MID, 200_000, 50_000) } else { (MID + 3_000, 50_000, 200_000) };
        for _ in 0..4 {
            market.book(250, mid, bid, ask);
        }
    }
    let view = market.view();
    let (alpha, numbers) = (view.signals.alpha.unwrap(), view.quote.unwrap());
    assert!(alpha.trusted && alpha.slope_bps > 1.0, "{alpha:?}");
    assert!((view.signals.alpha_used_bps + 3.0).abs() < 1e-9, "asks are heavy: {alpha:?}");
    let mid = (MID + 3_000) as f64 / 100.0;
    assert!((numbers.fair / mid - 1.0 + 3e-4).abs() < 1e-9, "{numbers:?}");
    assert_eq!(numbers.half_spread_bps, 5.0);
    assert_eq!((numbers.skew_bps, numbers.widening), (0.0, 1.0));
}

/// Whoever is quoted around a leader goes by what the leader's book foretells, not its own; a fused
/// price is not moved.
#[test]
fn a_followers_price_moves_with_the_alpha_of_the_leader() {
    for (from, moved_bps) in [(FairFrom::Leader(InstrumentId(1)), -3.0), (FairFrom::Fused, 0.0)] {
        let mut signals = SignalUse::default();
        signals.measured.alpha = Some(AlphaSignal::Imbalance);
        signals.measured.fair_price = FairPrice::Mid;
        signals.measured.max_alpha_bps = 3.0;
        let mut market = Market::around(from, signals);
        // The leader's bids are heavy, then both markets go up five basis points and back when its
        // asks are.
        for round in 0..200 {
            let (move_bps, leaders) =
                if round % 2 == 0 { (0, [20_000, 5_000]) } else { (5, [5_000, 20_000]) };
            let mids = [MID, MID / 10].map(|mid| mid + mid / 10_000 * move_bps);
            for _ in 0..4 {
                market.books(250, mids, [[100_000, 100_000], leaders]);
            }
        }
        let status = market.engine.status(market.now);
        let [own, leader] = [0, 1].map(|at: usize| &status.instruments[at]);
        assert!(own.signals.alpha_used_bps.abs() < 1.0, "its own book says little: {own:?}");
        assert!((leader.signals.alpha_used_bps + 3.0).abs() < 1e-9, "{:?}", leader.signals.alpha);
        assert!((own.fair.alpha_bps - moved_bps).abs() < 1e-9, "{:?}", own.fair);
        let moved = (own.quote.unwrap().fair / own.fair.own.unwrap() - 1.0) * 1e4;
        assert!((moved - moved_bps).abs() < 0.5, "{from:?}: {moved}");
    }
}

/// Toxic is what ranks high among the flow of the past, whatever its height.
#[test]
fn flow_that_ranks_high_widens_quotes() {
    let mut market = Market::open(SignalUse { toxicity_widening: 1.0, ..SignalUse::default() });
    let mut noise = 7u32;
    for n in 0..12_000 {
        if n % 50 == 0 {
            market.book(100, MID, 100_000, 100_000);
        }
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let calm = n < 9_000;
        let side = if calm && noise & 0x10_0000 == 0 { Side::Buy } else { Side::Sell };
        market.trade(side, MID, 100);
    }
    market.book(100, MID, 100_000, 100_000);
    let (view, numbers) = (market.view(), market.view().quote.unwrap());
    let percentile = view.signals.toxicity_percentile.value.unwrap();
    assert!(percentile > 0.9, "{:?}", view.signals);
    assert!((numbers.widening - (0.5 + percentile)).abs() < 1e-12, "{numbers:?}");
    assert!((numbers.half_spread_bps - 5.0 * numbers.widening).abs() < 1e-9, "{numbers:?}");
}

/// What fills were followed by takes the place of what was assumed, fill by fill.
#[test]
fn fills_that_are_picked_off_raise_the_least_half_spread() {
    let mut market =
        Market::open(SignalUse { adverse_from_markouts: true, ..SignalUse::default() });
    market.book(100, MID, 100_000, 100_000);
    market.book(100, MID, 100_000, 100_000);
    let before = market.view().quote.unwrap();
    assert_eq!((before.adverse_move_bps, before.break_even_bps), (1.0, 1.0));
    for round in 0..40u64 {
        let side = if round % 2 == 0 { Side::Buy } else { Side::Sell };
        let fill = Fill {
            instrument: InstrumentId(0),
            order: None,
            venue_order_id: 0,
            trade_id: round,
            side,
            px: Px(MID - 3_000 * side.sign()),
            qty: Qty(10),
            liquidity: Liquidity::Maker,
            fee: Money::ZERO,
            fee_asset: Asset::new("USDT"),
            at: market.now,
        };
        market.step(1, &[Event::Fill(fill)]);
        // Six basis points against it, and back.
        market.book(400, MID - 3_600 * side.sign(), 100_000, 100_000);
        market.book(8_000, MID, 100_000, 100_000);
    }
    let (view, numbers) = (market.view(), market.view().quote.unwrap());
    // 20 fills of 6 bps on a side against 50 of the 1 bps assumed.
    assert!((numbers.adverse_move_bps - (20.0 * 6.0 + 50.0) / 70.0).abs() < 0.1, "{numbers:?}");
    assert_eq!(numbers.break_even_bps, numbers.adverse_move_bps);
    assert!(!view.adverse_move_bps[0].trusted, "50 fills it takes to believe them more");
    assert!(view.markouts[..2].iter().all(|markout| markout.bid.fills == 20), "{view:?}");
}
