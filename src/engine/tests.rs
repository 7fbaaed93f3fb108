//! What cannot be brought about from outside: faults of our own.

use super::*;
use crate::domain::{
    Asset, Control, Fill, Instrument, InstrumentKind, Liquidity, Mark, NewOrder, OrderId,
    OrderKind, Px, Qty, Reason, RejectClass,
};
use crate::inventory::PresenceParams;
use crate::quoting;
use crate::risk::Limits;

fn params() -> Params {
    Params {
        mission: Mission::Trade,
        epoch: 1,
        venues: vec![VenueParams {
            name: "spot".to_owned(),
            max_orders_per_s: 20.0,
            message_reserve_cancel_pct: 30.0,
            request_timeout: Span::from_s(1),
        }],
        instruments: vec![InstrumentParams {
            venue: VenueId(0),
            symbol: "BTCUSDT".to_owned(),
            role: Role::Quote,
            inventory_target_base: None,
            limits: Limits {
                max_order_base: Money::ONE,
                max_order_quote: Money::ONE_THOUSAND,
                inventory_limit_base: Money::ONE,
                max_open_orders: 6,
                price_collar_bps: 100.0,
                max_net_exposure_quote: Money::ONE_THOUSAND,
            },
        }],
        quoting: quoting::Params::default(),
        signals: SignalUse::default(),
        capital: CapitalParams::default(),
        fair: FairParams::default(),
        estimators: EstimatorParams::default(),
        pace: Pace {
            reprice_threshold_bps: 1.0,
            reprice_min_interval: Span::ZERO,
            max_quote_age: Span::from_s(600),
            post_fill_pause: Span::ZERO,
        },
        market: MarketParams {
            max_book_age: Span::from_s(3),
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
        reference: ReferenceParams {
            max_disagreement_bps: 50.0,
            max_age: Span::from_s(3),
            max_move_bps: 300.0,
            move_window: Span::from_s(10),
        },
        hedge: None,
        risk: RiskParams {
            loss_limit_quote_session: Money::ONE_HUNDRED,
            max_fills_per_minute_side: 20,
            max_rejects_per_10s: 5,
            max_clock_offset: Span::from_s(1),
            reconcile_interval: Span::from_s(3600),
            order_unknown_bound: Span::from_s(3),
            request_life: Span::from_s(3),
            ramp_up: Span::ZERO,
            ramp_up_from: 1.0,
        },
        presence: PresenceParams::default(),
        shutdown: ShutdownParams { flatten: true, deadline: Span::from_s(10) },
        latch: None,
    }
}

fn listed() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: "BTCUSDT".to_owned(),
        kind: InstrumentKind::Spot,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: Money::new(1, 2),
        lot_size: Money::new(1, 5),
        min_px: Px(1),
        max_px: Px(100_000_000),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000),
        min_notional: Money::from(5),
        max_open_orders: 200,
        trading: true,
    }
}

#[test]
fn a_result_that_does_not_add_up_is_told_once_and_stops_new_risk_until_resumed() {
    let mut engine = Engine::new(params());
    engine.state = State::Quoting;
    engine.desks[0].listed = Some(listed());
    let told = |engine: &mut Engine, ms: i64, inbox: &[Event]| -> Vec<String> {
        let mut out = Vec::new();
        engine.step(Ts::from_ms(ms), inbox, &mut out);
        let invariant = |action: &Action| match action {
            Action::Note(Note::Invariant { text }) => Some(text.clone()),
            _ => None,
        };
        out.iter().filter_map(invariant).collect()
    };
    assert!(told(&mut engine, 2_000, &[]).is_empty());
    assert_eq!(engine.state, State::Quoting);
    engine.desks[0].attribution.funding(Money::ONE);
    let texts = told(&mut engine, 3_100, &[]);
    assert!(matches!(&texts[..], [text] if text.contains("BTCUSDT") && text.contains("funding")));
    assert_eq!(engine.state, State::Reducing);
    assert!(told(&mut engine, 4_200, &[]).is_empty(), "told once");
    assert_eq!(engine.state, State::Reducing);
    engine.desks[0].attribution.funding(-Money::ONE);
    told(&mut engine, 4_300, &[Event::Control(Control::Resume)]);
    assert_eq!(engine.state, State::Quoting);
}

#[test]
fn other_settings_are_taken_whole_and_what_was_measured_stays() {
    let mut engine = Engine::new(params());
    engine.state = State::Quoting;
    engine.desks[0].listed = Some(listed());
    engine.desks[0].attribution.funding(Money::ZERO);
    for ms in [0, 1_000, 2_000, 3_000] {
        engine.desks[0].volatility.observe(Ts::from_ms(ms), 100.0 + ms as f64 * 1e-4);
    }
    let measured = engine.desks[0].volatility.bps_sqrt_s();
    let mut wanted = Tunables::of(&engine.params);
    wanted.limits[0].inventory_limit_base = Money::from(2);
    wanted.quoting.half_spread_bps = 7.0;
    wanted.quoting.min_edge_bps = 0.1 + 0.2;
    wanted.risk.loss_limit_quote_session = Money::from(7);
    wanted.hedge = Some(crate::inventory::HedgeParams {
        mode: crate::inventory::HedgeMode::Band,
        trigger_base: Money::ONE,
        target_base: Money::ZERO,
        max_slippage_bps: Money::ONE,
        min_interval: Span::ZERO,
        deadline: Span::from_s(1),
        passive: Span::ZERO,
        urgent_share: 0.9,
        cross: true,
        horizon: Span::from_s(1),
    });
    let reload = |tunables: String| Event::Control(Control::Reload { changes: vec![], tunables });
    let mut out = Vec::new();
    engine.step(Ts::from_ms(4_000), &[reload(wanted.to_text())], &mut out);
    assert!(out.iter().any(|action| matches!(action, Action::Note(Note::Reloaded { .. }))));
    assert_eq!(Tunables::of(&engine.params), wanted, "to the last digit");
    assert_eq!(engine.desks[0].params.limits, wanted.limits[0]);
    assert!(engine.groups[0].hedger.is_some());
    assert_eq!(engine.desks[0].volatility.bps_sqrt_s(), measured);

    // What cannot be read, or is of other instruments, changes nothing.
    let mut others = wanted.clone();
    others.limits.clear();
    others.quoting.half_spread_bps = 9.0;
    for text in ["{}".to_owned(), others.to_text()] {
        out.clear();
        engine.step(engine.now + Span::from_ms(1), &[reload(text)], &mut out);
        assert!(out.iter().any(|action| matches!(action, Action::Note(Note::Invariant { .. }))));
        assert_eq!(Tunables::of(&engine.params), wanted);
    }
    assert_eq!(engine.reloads, 1);
}

#[test]
fn what_one_symbol_has_ordered_is_not_free_for_another() {
    let mut params = params();
    params.instruments.push(params.instruments[0].clone());
    let mut engine = Engine::new(params);
    engine.desks[0].listed = Some(listed());
    let ether = Asset::new("ETH");
    engine.desks[1].listed =
        Some(Instrument { id: InstrumentId(1), base: ether.clone(), ..listed() });
    for (asset, free) in [("USDT", 1000), ("BTC", 1), ("ETH", 2)] {
        let balance = (Money::from(free), Money::ZERO);
        engine.venues[0].balances.insert(Asset::new(asset), balance);
    }
    // 300 of USDT for bitcoin, half an ether for sale.
    for (instrument, side, qty) in [(0, Side::Buy, 500_000), (1, Side::Sell, 50_000)] {
        let order = NewOrder {
            id: OrderId { epoch: 1, counter: u32::from(instrument) + 1 },
            instrument: InstrumentId(instrument),
            side,
            px: Px(6_000),
            qty: Qty(qty),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        };
        engine.orders.insert(order, Ts(0), Ts::FAR);
    }
    engine.count_holds();
    let free = |desk: usize, side| engine.free(&engine.desks[desk], side).unwrap();
    assert_eq!([free(0, Side::Buy), free(1, Side::Buy)], [Money::from(700); 2]);
    assert_eq!([free(0, Side::Sell), free(1, Side::Sell)], [Money::ONE, Money::new(15, 1)]);
}

#[test]
fn funding_that_is_paid_twice_as_often_weighs_twice_as_much() {
    let mut engine = Engine::new(params());
    let desk = &mut engine.desks[0];
    let mark = |hours: i64| Mark {
        instrument: InstrumentId(0),
        mark_price: Money::ONE,
        index_price: Money::ONE,
        funding_rate: Money::new(1, 4),
        next_funding: Ts(0) + Span::from_s(hours * 3600),
        at: Ts(0),
    };
    desk.observe_mark(&mark(8));
    assert_eq!(desk.funding_per_s(), 0.0, "not known to be a perpetual");
    desk.listed = Some(Instrument { kind: InstrumentKind::LinearPerpetual, ..listed() });
    let usual = desk.funding_per_s();
    assert!((usual * 8.0 * 3600.0 - 1e-4).abs() < 1e-12);
    desk.observe_mark(&mark(12));
    assert!((desk.funding_per_s() / usual - 2.0).abs() < 1e-12);
}

#[test]
fn a_fill_moves_what_is_free_before_the_venue_says_so() {
    let mut engine = Engine::new(params());
    engine.desks[0].listed = Some(listed());
    for (asset, free) in [("USDT", 1000), ("BTC", 1)] {
        let balance = (Money::from(free), Money::ZERO);
        engine.venues[0].balances.insert(Asset::new(asset), balance);
    }
    let fill = |side| Fill {
        instrument: InstrumentId(0),
        order: None,
        venue_order_id: 1,
        trade_id: 1,
        side,
        px: Px(6_000),
        qty: Qty(500_000),
        liquidity: Liquidity::Maker,
        fee: Money::new(3, 1),
        fee_asset: Asset::new("USDT"),
        at: Ts(0),
    };
    let held = |engine: &Engine, asset: &str| engine.venues[0].balances[&Asset::new(asset)].0;
    engine.move_balances(&fill(Side::Buy));
    assert_eq!(held(&engine, "BTC"), Money::from(6));
    assert_eq!(held(&engine, "USDT"), Money::new(6_997, 1), "five at 60, and the fee");
    engine.move_balances(&fill(Side::Sell));
    assert_eq!(held(&engine, "BTC"), Money::ONE);
    assert_eq!(held(&engine, "USDT"), Money::new(9_994, 1));
}

#[test]
fn refusals_pause_longer_each_time_and_a_shorter_pause_ends_none() {
    let mut engine = Engine::new(params());
    engine.desks[0].listed = Some(listed());
    engine.now = Ts::from_ms(1_000);
    let mut refuse = |class| {
        engine.on_refusal(InstrumentId(0), Side::Buy, Purpose::Quote, class, &mut Vec::new());
        let (until, reason) = engine.desks[0].sides[Side::Buy.index()].pause.unwrap();
        (until.since(Ts::from_ms(1_000)), reason)
    };
    for seconds in [2, 4, 8, 16, 30] {
        let want = (Span::from_s(seconds), Reason::RejectPause);
        assert_eq!(refuse(RejectClass::Filter), want);
    }
    assert_eq!(refuse(RejectClass::WouldTake).0, Span::from_s(30));
}
