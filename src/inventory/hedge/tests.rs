//! When hedges are due, how large they are, and what routing does with odd books.

use proptest::prelude::*;

use super::*;
use crate::domain::{Money, Side, Span, Ts};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn params() -> HedgeParams {
    HedgeParams {
        mode: HedgeMode::Trigger,
        trigger_base: money("0.05"),
        target_base: money("0.01"),
        max_slippage_bps: money("5"),
        min_interval: Span::from_ms(500),
        deadline: Span::from_s(3),
        passive: Span::ZERO,
        urgent_share: 0.9,
        cross: false,
        horizon: Span::from_s(60),
    }
}

fn inputs(exposure: &str, in_flight: &str) -> HedgeInputs {
    HedgeInputs {
        exposure_base: money(exposure),
        in_flight_base: money(in_flight),
        least_base: money("0.001"),
        ..HedgeInputs::default()
    }
}

fn ms(ms: i64) -> Ts {
    Ts::from_ms(1_000_000 + ms)
}

fn sell(base: &str, passive: bool) -> Option<HedgeOrder> {
    Some(HedgeOrder { side: Side::Sell, base: money(base), passive })
}

#[test]
fn a_hedge_goes_back_to_the_target_and_is_not_repeated_while_on_its_way() {
    let mut hedger = Hedger::new(params());
    let plan = hedger.plan(ms(0), &inputs("0.049", "0"));
    assert_eq!((plan.order, plan.since, plan.next), (None, None, None));
    let plan = hedger.plan(ms(1), &inputs("0.1234", "0"));
    assert_eq!(plan.order, sell("0.1134", false));
    assert_eq!(hedger.tried(ms(1)), ms(501));
    let plan = hedger.plan(ms(600), &inputs("0.1234", "-0.113"));
    assert_eq!(plan.order, None, "all of it is on its way");
    // It filled for a third and expired; a late fill of the rest cannot be counted twice.
    let plan = hedger.plan(ms(700), &inputs("0.0834", "0"));
    assert_eq!(plan.order, sell("0.0734", false));
    hedger.tried(ms(700));
    let plan = hedger.plan(ms(800), &inputs("0.0604", "0"));
    assert_eq!((plan.order, plan.next), (None, Some(ms(1200))), "within the interval");
    let plan = hedger.plan(ms(900), &inputs("0.0104", "0"));
    assert_eq!(plan.done, Some(Span::from_ms(899)));
    assert_eq!(hedger.plan(ms(901), &inputs("0.0104", "0")).done, None);
}

#[test]
fn exposure_that_cannot_be_hedged_is_late_after_the_deadline() {
    let mut hedger = Hedger::new(params());
    let start = hedger.plan(ms(0), &inputs("0.1", "0"));
    assert_eq!((start.late, start.next), (false, Some(ms(3000))));
    let late = hedger.plan(ms(3000), &inputs("0.1", "0"));
    assert!(late.late && late.urgent && late.order.is_some(), "late hedges are still placed");
}

#[test]
fn a_band_goes_back_to_its_edge_unless_the_hedge_is_urgent() {
    let mut hedger = Hedger::new(HedgeParams { mode: HedgeMode::Band, ..params() });
    let band = |exposure: &str, band: &str, pressed| HedgeInputs {
        band_base: Some(money(band)),
        pressed,
        ..inputs(exposure, "0")
    };
    let inside = hedger.plan(ms(0), &band("0.0209", "0.02", false));
    assert_eq!((inside.order, inside.edge_base), (None, money("0.021")), "no order is so small");
    assert_eq!(hedger.plan(ms(1), &band("0.03", "0.02", false)).order, sell("0.01", false));
    assert_eq!(hedger.plan(ms(2), &band("0.03", "0.02", true)).order, sell("0.02", false));
    // The trigger caps the band.
    assert_eq!(hedger.plan(ms(3), &band("0.0499", "7", false)).order, None);
    assert_eq!(hedger.plan(ms(4), &band("0.05", "7", false)).order, sell("0.001", false));
    // A band that is not known is none: trigger and target.
    assert_eq!(hedger.plan(ms(5), &inputs("0.05", "0")).order, sell("0.04", false));
}

#[test]
fn a_hedge_rests_first_then_takes_what_is_left_of_it() {
    let mut hedger = Hedger::new(HedgeParams { passive: Span::from_ms(1000), ..params() });
    assert_eq!(hedger.plan(ms(0), &inputs("0.06", "0")).order, sell("0.05", true));
    let resting = HedgeInputs { resting_base: money("-0.05"), ..inputs("0.06", "-0.05") };
    let plan = hedger.plan(ms(10), &resting);
    assert_eq!((plan.order, plan.next), (sell("0.05", true), Some(ms(1000))), "it stands");
    // Filled in part: exposure is inside the trigger, and yet the rest goes on.
    let partly = HedgeInputs { resting_base: money("-0.03"), ..inputs("0.04", "-0.03") };
    assert_eq!(hedger.plan(ms(20), &partly).order, sell("0.03", true));
    assert_eq!(hedger.plan(ms(1000), &partly).order, None, "until it is known to be gone");
    assert_eq!(hedger.plan(ms(1010), &inputs("0.04", "0")).order, sell("0.03", false));
    assert!(hedger.plan(ms(1020), &inputs("0.0105", "0")).done.is_some());
    // An urgent one never rests.
    let urgent = HedgeInputs { pressed: true, ..inputs("0.06", "0") };
    assert_eq!(hedger.plan(ms(2000), &urgent).order, sell("0.05", false));
}

#[test]
fn bad_hedge_settings_are_all_named() {
    assert!(params().problems().is_empty());
    let bad = HedgeParams { target_base: money("0.05"), deadline: Span::ZERO, ..params() };
    assert_eq!(bad.problems().len(), 2);
}

#[test]
fn the_closed_band_has_its_limits() {
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.01;
    // A skew of nothing much: Whalley–Wilmott, by s² = ν²·m / (2γσ²)… in the form of this skew.
    let (cost, skew, std) = (0.2, 1e-6, 3.0);
    let wide = hedge_band(cost, skew, std).unwrap();
    assert!(near(wide, cost / skew), "the cost is far above the skew");
    let narrow = hedge_band(1e-9, 1.0, 3.0).unwrap();
    assert!(near(narrow, (3.0 * 9.0 * 1e-9_f64).cbrt()));
    for (cost, skew, std) in [(f64::NAN, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, f64::INFINITY)] {
        assert_eq!(hedge_band(cost, skew, std), None);
    }
}

#[test]
fn odd_books_are_not_routed_over() {
    let good = Pool { levels: vec![(100.0, 1.0)], taker_fee: 0.0, lot: 0.1 };
    let nan = Pool { levels: vec![(f64::NAN, 1.0), (101.0, f64::NAN)], ..good.clone() };
    let plan = route(Side::Sell, 2.0, &[nan, good.clone(), Pool::default()]);
    assert_eq!((plan.lots, plan.filled, plan.unfilled), (vec![0, 10, 0], 1.0, 1.0));
    assert_eq!(route(Side::Buy, f64::NAN, &[good]).average_net_price(), None);
}

proptest! {
    #[test]
    fn hedges_never_add_to_or_flip_the_exposure(
        exposure in -400_000..400_000i64,
        in_flight in -400_000..400_000i64,
        band in prop::option::of(0..100_000i64),
        pressed: bool,
    ) {
        let mut hedger = Hedger::new(HedgeParams { mode: HedgeMode::Band, ..params() });
        let inputs = HedgeInputs {
            exposure_base: Money::new(exposure, 6),
            in_flight_base: Money::new(in_flight, 6),
            band_base: band.map(|band| Money::new(band, 6)),
            pressed,
            ..inputs("0", "0")
        };
        if let Some(order) = hedger.plan(Ts(1), &inputs).order {
            let change = order.base * Money::from(order.side.sign());
            for before in [inputs.exposure_base, inputs.exposure_base + inputs.in_flight_base] {
                let after = before + change;
                prop_assert!(after.abs() < before.abs());
                prop_assert!(after.is_zero()
                    || after.is_sign_positive() == before.is_sign_positive());
            }
        }
    }
}
