//! What must hold for every market, inventory and setting.

use proptest::prelude::*;

use super::*;
use crate::domain::{Asset, InstrumentId, InstrumentKind, Money, VenueId};

fn instrument(tick: Money, lot: Money, min_notional: i64) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: "BTCUSDT".to_owned(),
        kind: InstrumentKind::LinearPerpetual,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: tick,
        lot_size: lot,
        min_px: Px(1),
        max_px: Px(100_000_000),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000),
        min_notional: Money::from(min_notional),
        max_open_orders: 200,
        trading: true,
    }
}

/// Ticks of 0.1, lots of 0.001, at least 5 in quote.
fn perpetual() -> Instrument {
    instrument(Money::new(1, 1), Money::new(1, 3), 5)
}

/// A market at 60,000 with a spread of one tick.
fn inputs(instrument: &Instrument) -> Inputs<'_> {
    Inputs {
        instrument,
        fair_price: 60_000.05,
        best_bid: Px(600_000),
        best_ask: Px(600_001),
        volatility_bps_sqrt_s: Some(1.2),
        intensity_a_per_s: 1.5,
        intensity_k_per_bps: 0.6,
        drift_bps_per_s: 0.0,
        inventory_base: 0.0,
        inventory_limit_base: 0.1,
        maker_fee_bps: 2.0,
        adverse_move_bps: 0.0,
        widening: 1.0,
    }
}

fn params(model: Model) -> Params {
    let level = |offset_bps, base| LevelParams { offset_bps, size: Size::Base(base) };
    Params { model, levels: vec![level(0.0, 0.01), level(3.0, 0.02)], ..Params::default() }
}

fn reasons(decision: &Decision) -> [Reason; 2] {
    [decision.quotes.sides[0].reason, decision.quotes.sides[1].reason]
}

#[test]
fn a_flat_fixed_quote_is_the_half_spread_rounded_away() {
    let instrument = perpetual();
    let decision = quote(&params(Model::Fixed), &inputs(&instrument));
    let [bids, asks] = &decision.quotes.sides;
    // 60,000.05 ∓ 5 bps (30.000025) is 59,970.049975 and 60,030.050025.
    assert_eq!((bids.levels[0].px, bids.levels[0].qty), (Px(599_700), Qty(10)));
    assert_eq!((asks.levels[0].px, asks.levels[0].qty), (Px(600_301), Qty(10)));
    assert_eq!((bids.levels[1].px, bids.levels[1].qty), (Px(599_520), Qty(20)));
    assert_eq!(decision.numbers.unwrap().clamps, Clamps::default());
    assert_eq!(reasons(&decision), [Reason::Quoting; 2]);
}

#[test]
fn long_inventory_moves_both_quotes_down_and_shrinks_the_bid() {
    let instrument = perpetual();
    let long = Inputs { inventory_base: 0.05, ..inputs(&instrument) };
    let decision = quote(&params(Model::Fixed), &long);
    let numbers = decision.numbers.unwrap();
    assert!((numbers.skew_bps + 5.0).abs() < 1e-9, "half of 10 bps at the limit");
    let [bids, asks] = &decision.quotes.sides;
    assert_eq!((bids.levels[0].qty, asks.levels[0].qty), (Qty(5), Qty(10)));
    assert_eq!(asks.levels[0].px, Px(600_001), "at fair, rounded away");
    assert_eq!(bids.levels[0].px, Px(599_400));
}

#[test]
fn at_the_limit_only_the_reducing_side_is_left() {
    let instrument = perpetual();
    for (inventory_base, side) in [(0.1, Side::Buy), (0.25, Side::Buy), (-0.1, Side::Sell)] {
        let full = Inputs { inventory_base, ..inputs(&instrument) };
        for model in [Model::Fixed, Model::Glft] {
            let decision = quote(&params(model), &full);
            assert_eq!(reasons(&decision)[side.index()], Reason::InventoryLimit);
            assert_eq!(reasons(&decision)[side.opposite().index()], Reason::Quoting);
        }
    }
}

#[test]
fn the_half_spread_pays_the_fee_and_stays_below_its_ceiling() {
    let instrument = perpetual();
    let narrow = Params { half_spread_bps: 1.0, min_edge_bps: 0.5, ..params(Model::Fixed) };
    let numbers = quote(&narrow, &inputs(&instrument)).numbers.unwrap();
    assert_eq!((numbers.half_spread_bps, numbers.break_even_bps), (2.5, 2.5));
    assert!(numbers.clamps.half_spread_floor);
    let picked_off = Inputs { adverse_move_bps: 1.5, ..inputs(&instrument) };
    let numbers = quote(&narrow, &picked_off).numbers.unwrap();
    assert_eq!((numbers.half_spread_bps, numbers.adverse_move_bps), (4.0, 1.5));
    let toxic = Inputs { widening: 3.0, ..inputs(&instrument) };
    assert_eq!(quote(&narrow, &toxic).numbers.unwrap().half_spread_bps, 3.0);
    let wild = Inputs { volatility_bps_sqrt_s: Some(500.0), ..inputs(&instrument) };
    let widening = Params { half_spread_per_volatility: 1.0, ..params(Model::Fixed) };
    let numbers = quote(&widening, &wild).numbers.unwrap();
    assert_eq!(numbers.half_spread_bps, 100.0);
    assert!(numbers.clamps.half_spread_ceiling);
}

#[test]
fn quotes_never_reach_the_other_sides_best() {
    let instrument = perpetual();
    // The fair price stands far above the touch, as when another venue leads.
    let led = Inputs { fair_price: 60_100.0, ..inputs(&instrument) };
    let decision = quote(&params(Model::Fixed), &led);
    assert_eq!(decision.quotes.sides[0].levels[0].px, Px(600_000));
    assert_eq!(decision.numbers.unwrap().clamps.post_only, [true, false]);
    assert_eq!(decision.quotes.sides[0].levels[1].px, Px(599_999), "and levels stay apart");
}

#[test]
fn a_size_below_the_venues_minimum_is_shown_only_within_caps() {
    // Lots of 0.001 and at least 700 in quote: 0.012 at this price.
    let instrument = instrument(Money::new(1, 1), Money::new(1, 3), 700);
    let small = params(Model::Fixed);
    let decision = quote(&small, &inputs(&instrument));
    assert_eq!(reasons(&decision), [Reason::BelowMinimum; 2], "0.01 is never inflated");
    let one = |base| Params {
        levels: vec![LevelParams { offset_bps: 0.0, size: Size::Base(base) }],
        ..params(Model::Fixed)
    };
    let long = |inventory_base| Inputs { inventory_base, ..inputs(&instrument) };
    let shrunk = quote(&one(0.015), &long(0.05));
    assert_eq!(shrunk.quotes.sides[0].levels[0].qty, Qty(12), "the minimum, below 0.015");
    let no_room = quote(&one(0.015), &long(0.095));
    assert_eq!(reasons(&no_room), [Reason::InventoryLimit, Reason::Quoting]);
}

#[test]
fn what_is_not_a_number_becomes_a_reason() {
    let instrument = perpetual();
    let good = inputs(&instrument);
    let bad = [f64::NAN, f64::INFINITY, 0.0, -1.0];
    for value in bad {
        let cases = [
            Inputs { fair_price: value, ..good },
            Inputs { intensity_a_per_s: value, ..good },
            Inputs { intensity_k_per_bps: value, ..good },
            Inputs { volatility_bps_sqrt_s: Some(value), ..good },
            Inputs { inventory_limit_base: value, ..good },
        ];
        for case in cases {
            let decision = quote(&params(Model::Glft), &case);
            assert!(decision.numbers.is_none(), "{case:?}");
            assert!(decision.quotes.sides.iter().all(|side| side.levels.is_empty()));
        }
    }
    for value in [f64::NAN, f64::INFINITY] {
        for case in [
            Inputs { inventory_base: value, ..good },
            Inputs { maker_fee_bps: value, ..good },
            Inputs { drift_bps_per_s: value, ..good },
            Inputs { adverse_move_bps: value, ..good },
            Inputs { widening: value, ..good },
        ] {
            assert!(quote(&params(Model::Glft), &case).numbers.is_none(), "{case:?}");
        }
    }
    let cold = Inputs { volatility_bps_sqrt_s: None, ..good };
    assert_eq!(reasons(&quote(&params(Model::Glft), &cold)), [Reason::WarmingUp; 2]);
    assert_eq!(reasons(&quote(&params(Model::Fixed), &cold)), [Reason::Quoting; 2]);
    let crossed = Inputs { best_bid: good.best_ask, ..good };
    assert_eq!(reasons(&quote(&params(Model::Fixed), &crossed)), [Reason::BookCrossed; 2]);
    let nowhere = Inputs { fair_price: 1e300, ..good };
    assert_eq!(reasons(&quote(&params(Model::Fixed), &nowhere)), [Reason::PriceCollar; 2]);
}

#[test]
fn the_skew_from_an_inventory_target_is_the_known_one() {
    let instrument = perpetual();
    let steered = Params { risk_aversion: RiskAversion::InventoryStd(0.02), ..params(Model::Glft) };
    let long = Inputs { inventory_base: 0.03, ..inputs(&instrument) };
    let skew = quote(&steered, &long).numbers.unwrap().skew_bps;
    // Three sizes held, 1/(2·0.6·2²) bps a size.
    assert!((skew + 3.0 / 4.8).abs() < 1e-9, "{skew}");
}

#[test]
fn drift_moves_quotes_its_way_even_against_a_small_inventory() {
    let instrument = perpetual();
    let carried = Inputs { drift_bps_per_s: 0.05, inventory_base: 0.001, ..inputs(&instrument) };
    assert!(quote(&params(Model::Glft), &carried).numbers.unwrap().skew_bps > 0.0);
}

#[test]
fn default_settings_are_fine_and_bad_ones_are_all_named() {
    assert!(Params::default().problems().is_empty());
    let bad = Params {
        half_spread_bps: f64::NAN,
        size_skew: 2.0,
        levels: vec![],
        max_half_spread_bps: 0.1,
        ..Params::default()
    };
    let problems = bad.problems();
    for key in ["half_spread_bps", "size_skew", "levels", "max_half_spread_bps"] {
        assert!(problems.iter().any(|p| p.starts_with(key)), "{key} in {problems:?}");
    }
}

fn any_params() -> impl Strategy<Value = Params> {
    let model = prop_oneof![Just(Model::Fixed), Just(Model::Glft)];
    let aversion = prop_oneof![
        (1e-6..1.0f64).prop_map(RiskAversion::Gamma),
        (0.005..0.2f64).prop_map(RiskAversion::InventoryStd),
    ];
    (model, aversion, 0.01..50.0f64, 0.0..60.0f64, 0.0..=1.0f64, -3.0..3.0f64, 0.0..200.0f64)
        .prop_map(|(model, risk_aversion, half_spread_bps, skew, size_skew, edge, max_skew)| {
            Params {
                model,
                risk_aversion,
                half_spread_bps,
                inventory_skew_bps_at_limit: skew,
                size_skew,
                min_edge_bps: edge,
                max_skew_bps: max_skew,
                min_half_spread_bps: 0.0,
                ..params(model)
            }
        })
}

/// The steps end where the decision does, for every order of it.
fn assert_explained(params: &Params, inputs: &Inputs<'_>) {
    let (decision, explanation) = explain(params, inputs);
    assert_eq!(decision, quote(params, inputs), "asking changes nothing");
    assert_eq!(explanation.quotes, decision.quotes);
    for side in Side::BOTH {
        let levels = &decision.quotes.sides[side.index()].levels;
        for (index, level) in levels.iter().enumerate() {
            let outcome = explanation.outcome(Rung { side, level: index + 1 });
            assert_eq!(outcome, Some((level.px, level.qty)));
        }
    }
    let last = |part| {
        let mut own = explanation.steps.iter().rev();
        own.find(|step| step.part == part).map(|step| step.value)
    };
    if let Some(numbers) = decision.numbers {
        assert_eq!(last(Part::HalfSpread), Some(numbers.half_spread_bps));
        assert_eq!(last(Part::Skew), Some(numbers.skew_bps));
    }
    // No chain jumps: a step begins where the one before it ended.
    for pair in explanation.steps.windows(2) {
        let same = pair[0].part == pair[1].part && pair[0].rung == pair[1].rung;
        if same && let Some(before) = pair[1].before {
            assert_eq!(before, pair[0].value, "{pair:?}");
        }
    }
}

proptest! {
    #[test]
    fn quotes_are_safe_whatever_comes(
        params in any_params(),
        tick_exponent in 0u32..3,
        inventory in -0.15..0.15f64,
        fair in 100.0..99_000.0f64,
        spread in 1i64..50,
        sigma in 0.05..50.0f64,
        a in 0.001..100.0f64,
        k in 0.01..50.0f64,
        fee in -1.0..10.0f64,
    ) {
        let instrument = instrument(Money::new(1, tick_exponent), Money::new(1, 3), 1);
        let best_bid = Px((fair / instrument.tick_f64()) as i64);
        let inputs = Inputs {
            fair_price: fair,
            best_bid,
            best_ask: Px(best_bid.0 + spread),
            volatility_bps_sqrt_s: Some(sigma),
            intensity_a_per_s: a,
            intensity_k_per_bps: k,
            inventory_base: inventory,
            maker_fee_bps: fee,
            ..inputs(&instrument)
        };
        assert_explained(&params, &inputs);
        let decision = quote(&params, &inputs);
        let [bids, asks] = &decision.quotes.sides;
        if let (Some(bid), Some(ask)) = (bids.levels.first(), asks.levels.first()) {
            prop_assert!(bid.px < ask.px);
        }
        let most = params.levels.iter().map(|level| instrument.lots_within(
            Instrument::money(level.size.base(fair)) + Money::new(1, 9)).0).max().unwrap();
        for side in Side::BOTH {
            let levels = &decision.quotes.sides[side.index()].levels;
            for pair in levels.windows(2) {
                prop_assert!((pair[0].px.0 - pair[1].px.0) * side.sign() > 0);
            }
            for level in levels {
                match side {
                    Side::Buy => prop_assert!(level.px < inputs.best_ask),
                    Side::Sell => prop_assert!(level.px > inputs.best_bid),
                }
                prop_assert!(level.qty >= instrument.least_qty(level.px));
                prop_assert!(level.qty.0 <= most);
            }
            let total: i64 = levels.iter().map(|level| level.qty.0).sum();
            let after = inventory + side.sign() as f64 * total as f64 * 0.001;
            let worse = after.abs() > inventory.abs();
            prop_assert!(levels.is_empty() || !worse || after.abs() <= 0.1 + 1e-6, "{after}");
        }
    }

    #[test]
    fn more_inventory_never_moves_quotes_up(
        params in any_params(),
        tick_exponent in 0u32..3,
        less in -0.1..0.1f64,
        more in 0.0..0.1f64,
        sigma in 0.05..50.0f64,
        drift in -0.01..0.01f64,
    ) {
        let instrument = instrument(Money::new(1, tick_exponent), Money::new(1, 3), 1);
        let at = |inventory_base| {
            let best_bid = Px((60_000.0 / instrument.tick_f64()) as i64);
            quote(&params, &Inputs {
                inventory_base,
                best_bid,
                best_ask: best_bid.away(Side::Sell, 1),
                volatility_bps_sqrt_s: Some(sigma),
                drift_bps_per_s: drift,
                ..inputs(&instrument)
            })
        };
        let (low, high) = (at(less), at(less + more));
        let skew = |decision: &Decision| decision.numbers.unwrap().skew_bps;
        prop_assert!(skew(&high) <= skew(&low) + 1e-12);
        for side in 0..2 {
            let first = |d: &Decision| d.quotes.sides[side].levels.first().map(|q| q.px);
            if let (Some(low), Some(high)) = (first(&low), first(&high)) {
                prop_assert!(high <= low);
            }
        }
        // At the limit the reservation price has moved by a tick at least, up to the drift's part.
        let tick_bps = instrument.tick_f64() / 60_000.05 * 1e4;
        let moved = skew(&at(0.0)) - skew(&at(0.1));
        if params.model == Model::Fixed {
            prop_assert!(moved >= tick_bps * (1.0 - 1e-9), "{moved} against {tick_bps}");
        }
    }
}
