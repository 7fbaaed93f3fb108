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
        risk_pressure: 0.0,
        size_share: 1.0,
        inventory_base: 0.0,
        inventory_limit_base: 0.1,
        maker_fee_bps: 2.0,
        adverse_move_bps: 0.0,
        widening: 1.0,
        trade_imbalance: 0.0,
        cross_asset_skew_bps: 0.0,
    }
}

const MODELS: [Model; 5] = [
    Model::Fixed,
    Model::AvellanedaStoikov,
    Model::Glft,
    Model::GlftClosedForm,
    Model::CarteaJaimungal,
];

fn params(model: Model) -> Params {
    let level = |offset_bps, base| LevelParams { offset_bps, size: Size::Base(base) };
    Params { model, levels: vec![level(0.0, 0.01), level(3.0, 0.02)], ..Params::default() }
}

/// The same with its first level alone.
fn one_level(model: Model) -> Params {
    let mut params = params(model);
    params.levels.truncate(1);
    params
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
        for model in MODELS {
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
        for (case, model) in
            cases.iter().flat_map(|case| MODELS[1..].iter().map(move |m| (case, m)))
        {
            let decision = quote(&params(*model), case);
            assert!(decision.numbers.is_none(), "{model:?} {case:?}");
            assert!(decision.quotes.sides.iter().all(|side| side.levels.is_empty()));
            assert!(reasons(&decision).iter().all(|reason| *reason != Reason::Quoting));
        }
        for model in &MODELS[1..] {
            let broken = Params { risk_aversion: RiskAversion::Gamma(value), ..params(*model) };
            assert_eq!(
                reasons(&quote(&broken, &good)),
                [Reason::WarmingUp; 2],
                "{model:?} {value}"
            );
        }
    }
    for value in [f64::NAN, f64::INFINITY] {
        for case in [
            Inputs { inventory_base: value, ..good },
            Inputs { maker_fee_bps: value, ..good },
            Inputs { drift_bps_per_s: value, ..good },
            Inputs { adverse_move_bps: value, ..good },
            Inputs { widening: value, ..good },
            Inputs { trade_imbalance: value, ..good },
            Inputs { cross_asset_skew_bps: value, ..good },
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
    let long = Inputs { inventory_base: 0.03, ..inputs(&instrument) };
    let skew = |params: Params| {
        let steered = Params { risk_aversion: RiskAversion::InventoryStd(0.02), ..params };
        quote(&steered, &long).numbers.unwrap().skew_bps
    };
    // Three sizes held, 1/(2·0.6·2²) bps a size.
    let single = skew(one_level(Model::GlftClosedForm));
    assert!((single + 3.0 / 4.8).abs() < 1e-9, "{single}");
    // e^(−0.6·3) of the takers bring three sizes at once: (1 + 0.1653·8) / (1 + 0.1653·2) sizes.
    let ladder = skew(params(Model::GlftClosedForm));
    assert!((ladder / single - 1.745_374).abs() < 1e-6, "{ladder}");
}

#[test]
fn drift_moves_quotes_its_way_even_against_a_small_inventory() {
    let instrument = perpetual();
    let carried = Inputs { drift_bps_per_s: 0.05, inventory_base: 0.001, ..inputs(&instrument) };
    assert!(quote(&one_level(Model::Glft), &carried).numbers.unwrap().skew_bps > 0.0);
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
    let model = prop::sample::select(MODELS.to_vec());
    let aversion = prop_oneof![
        (1e-6..1.0f64).prop_map(RiskAversion::Gamma),
        (0.005..0.2f64).prop_map(RiskAversion::InventoryStd),
        (1e-6..1.0f64).prop_map(RiskAversion::RunningPenalty),
    ];
    let aversion = (aversion, prop::option::of(0.1..1000.0f64));
    (model, aversion, 0.01..50.0f64, 0.0..60.0f64, 0.0..=1.0f64, -3.0..3.0f64, 0.0..200.0f64)
        .prop_map(
            |(
                model,
                (risk_aversion, horizon_s),
                half_spread_bps,
                skew,
                size_skew,
                edge,
                max_skew,
            )| {
                Params {
                    model,
                    risk_aversion,
                    horizon_s,
                    half_spread_bps,
                    inventory_skew_bps_at_limit: skew,
                    size_skew,
                    min_edge_bps: edge,
                    max_skew_bps: max_skew,
                    min_half_spread_bps: 0.0,
                    ..params(model)
                }
            },
        )
}

/// The steps end where the decision does, for every order of it.
fn assert_explained(params: &Params, inputs: &Inputs<'_>) {
    let (decision, explanation) = explain(params, inputs, &mut Memo::default());
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
        // A cut skew does not follow a half-spread that narrows with inventory.
        let cut = [&low, &high].into_iter().any(|d| {
            let clamps = d.numbers.unwrap().clamps;
            clamps.skew_ceiling || clamps.skew_floor
        });
        for side in 0..2 {
            if cut && params.model != Model::Fixed && params.model != Model::GlftClosedForm {
                break;
            }
            let first = |d: &Decision| d.quotes.sides[side].levels.first().map(|q| q.px);
            if let (Some(low), Some(high)) = (first(&low), first(&high)) {
                prop_assert!(high <= low);
            }
        }
        // At the limit the reservation price has moved by a tick at least, up to the drift's part.
        let tick_bps = instrument.tick_f64() / 60_000.05 * 1e4;
        let moved = skew(&at(0.0)) - skew(&at(0.1));
        if drift == 0.0 || params.model == Model::Fixed {
            prop_assert!(moved >= tick_bps * (1.0 - 1e-9), "{moved} against {tick_bps}");
        }
    }
}

#[test]
fn capital_at_risk_shrinks_the_side_that_adds_and_leans_harder() {
    let instrument = perpetual();
    let params = params(Model::Fixed);
    let long = |risk_pressure| {
        let inputs = Inputs { inventory_base: 0.02, risk_pressure, ..inputs(&instrument) };
        let decision = quote(&params, &inputs);
        let sizes =
            [0, 1].map(|side| decision.quotes.sides[side].levels.iter().map(|l| l.qty.0).sum());
        let [bids, asks]: [i64; 2] = sizes;
        (bids, asks, decision.numbers.unwrap().skew_bps)
    };
    let (bids, asks, skew) = long(0.0);
    let mut before = (bids, skew);
    for step in 1..=10 {
        let (fewer, same, stronger) = long(f64::from(step) / 10.0);
        assert!(fewer <= before.0 && stronger < before.1 && same == asks, "{step}");
        before = (fewer, stronger);
    }
    assert!(before.0 < bids / 4 && (before.1 / skew - 2.0).abs() < 1e-9, "{before:?}");
    // Where buying would offset what is held elsewhere, the asks shrink instead.
    let (bids_now, asks_now, skew_now) = long(-0.5);
    assert!(bids_now == bids && asks_now < asks && skew_now == skew);
    assert_eq!(
        reasons(&quote(&params, &Inputs { risk_pressure: f64::NAN, ..inputs(&instrument) })),
        [Reason::WarmingUp; 2]
    );
}

fn glft_at(sigma: f64, a: f64, k: f64, aversion: RiskAversion, inventory_base: f64) -> Decision {
    let instrument = instrument(Money::new(1, 4), Money::new(1, 3), 1);
    let best_bid = Px(600_000_000);
    let inputs = Inputs {
        best_bid,
        best_ask: Px(best_bid.0 + 1000),
        volatility_bps_sqrt_s: Some(sigma),
        intensity_a_per_s: a,
        intensity_k_per_bps: k,
        inventory_base,
        ..inputs(&instrument)
    };
    let free = Params {
        risk_aversion: aversion,
        min_half_spread_bps: 0.0,
        min_edge_bps: -10.0,
        max_half_spread_bps: 5000.0,
        max_skew_bps: 5000.0,
        ..params(Model::Glft)
    };
    quote(&free, &inputs)
}

proptest! {
    #[test]
    fn the_exact_table_mirrors_itself(
        sigma in 0.05..20.0f64,
        a in 0.001..100.0f64,
        k in 0.01..20.0f64,
        gamma in 1e-6..0.5f64,
        inventory in -0.1..0.1f64,
    ) {
        let at = |q| glft_at(sigma, a, k, RiskAversion::Gamma(gamma), q).numbers.unwrap();
        let (long, short) = (at(inventory), at(-inventory));
        let size = 1e-7 * (1.0 + long.half_spread_bps + long.skew_bps.abs());
        prop_assert!((long.skew_bps + short.skew_bps).abs() <= size, "{long:?} {short:?}");
        prop_assert!((long.half_spread_bps - short.half_spread_bps).abs() <= size);
        prop_assert!(at(0.0).skew_bps.abs() <= size);
    }

    #[test]
    fn more_volatility_is_never_a_narrower_quote(
        sigma in 0.05..20.0f64,
        more in 1.0..3.0f64,
        a in 0.001..100.0f64,
        k in 0.01..20.0f64,
        gamma in 1e-6..0.5f64,
    ) {
        let at = |sigma| {
            glft_at(sigma, a, k, RiskAversion::Gamma(gamma), 0.0).numbers.unwrap().half_spread_bps
        };
        prop_assert!(at(sigma * more) >= at(sigma) * (1.0 - 1e-9));
    }
}

#[test]
fn a_remembered_table_is_kept_for_small_moves_and_gives_the_same_within_its_tolerance() {
    let instrument = perpetual();
    let params = Params {
        risk_aversion: RiskAversion::InventoryStd(0.03),
        min_half_spread_bps: 0.0,
        min_edge_bps: -10.0,
        ..one_level(Model::Glft)
    };
    let mut memo = Memo::default();
    let mut at = |sigma: f64, k: f64| {
        let inputs = Inputs {
            volatility_bps_sqrt_s: Some(sigma),
            intensity_k_per_bps: k,
            inventory_base: 0.04,
            ..inputs(&instrument)
        };
        let fresh = quote(&params, &inputs).numbers.unwrap();
        (quote_with(&params, &inputs, &mut memo).numbers.unwrap(), fresh)
    };
    let (first, fresh) = at(1.2, 0.6);
    assert_eq!(first, fresh);
    let (kept, _) = at(1.2, 0.602);
    assert_eq!(kept.half_spread_bps, first.half_spread_bps, "a third of a percent is not enough");
    let (anew, fresh) = at(1.2, 0.61);
    assert_eq!(anew, fresh);
    assert!(anew.half_spread_bps < kept.half_spread_bps);
    for step in 0..200 {
        let (kept, fresh) = at(1.2, 0.6 * (1.0 + f64::from(step) * 1e-3));
        let close = |a: f64, b: f64| (a - b).abs() <= 0.02 * b.abs();
        assert!(close(kept.half_spread_bps, fresh.half_spread_bps), "{kept:?} {fresh:?}");
        assert!(close(kept.skew_bps, fresh.skew_bps), "{kept:?} {fresh:?}");
    }
}

#[test]
fn latency_raises_the_floor_by_what_a_stale_quote_loses() {
    let instrument = perpetual();
    let late = Params { half_spread_bps: 0.6, assumed_latency_s: 0.25, ..params(Model::Fixed) };
    let free = Inputs { maker_fee_bps: 0.0, ..inputs(&instrument) };
    let numbers = quote(&late, &free).numbers.unwrap();
    // σ√τ is 0.6 bps and the quote stands at its minimum of 0.5 bps.
    let loss = stale::staleness(1.2, 0.25, 0.5).unwrap().loss;
    assert!(loss > 0.05 && (numbers.stale_cost_bps - loss).abs() < 1e-12, "{numbers:?}");
    assert_eq!(numbers.break_even_bps, numbers.stale_cost_bps);
    let fee = Inputs { maker_fee_bps: 2.0, ..free };
    let paid = quote(&late, &fee).numbers.unwrap();
    assert!(paid.stale_cost_bps < loss && paid.half_spread_bps == 2.0 + paid.stale_cost_bps);
    let cold = Inputs { volatility_bps_sqrt_s: None, ..free };
    assert_eq!(reasons(&quote(&late, &cold)), [Reason::WarmingUp; 2]);
}

#[test]
fn buyers_in_a_hurry_move_cartea_jaimungal_up_and_no_other_model() {
    let instrument = perpetual();
    let hurried = Inputs { trade_imbalance: 0.5, ..inputs(&instrument) };
    let skew = |model| quote(&params(model), &hurried).numbers.unwrap().skew_bps;
    // ln(1.5/0.5)/(2k) in a long run without limits.
    let up = 3.0_f64.ln() / (2.0 * 0.6);
    assert!((skew(Model::CarteaJaimungal) - up).abs() < 1e-6, "{}", skew(Model::CarteaJaimungal));
    assert!(skew(Model::Glft).abs() < 1e-9);
}

#[test]
fn holdings_of_other_assets_move_the_quotes() {
    let instrument = perpetual();
    let moved = Inputs { cross_asset_skew_bps: -1.5, ..inputs(&instrument) };
    for model in MODELS {
        let numbers = quote(&params(model), &moved).numbers.unwrap();
        assert!((numbers.skew_bps + 1.5).abs() < 1e-9, "{model:?} {numbers:?}");
    }
}

#[test]
fn the_forecast_meets_the_inventory_target_and_nothing_beats_the_optimum() {
    let instrument = perpetual();
    let free = Inputs { maker_fee_bps: 0.0, inventory_limit_base: 0.15, ..inputs(&instrument) };
    for model in &MODELS[2..4] {
        let steered = Params {
            risk_aversion: RiskAversion::InventoryStd(0.03),
            min_half_spread_bps: 0.0,
            ..params(*model)
        };
        let forecast = forecast(&steered, &free, &mut Memo::default()).unwrap();
        assert!((forecast.inventory_std_base / 0.03 - 1.0).abs() < 0.02, "{forecast:?}");
        let share = share_of_optimum(&steered, &free, 60.0).unwrap();
        assert!((0.99..=1.0).contains(&share), "{model:?} {share}");
        let wide = Params { min_half_spread_bps: 5.0, ..steered };
        assert!(share_of_optimum(&wide, &free, 60.0).unwrap() < 0.6);
    }
}
