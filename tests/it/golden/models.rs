//! Quoting models: Avellaneda–Stoikov, Guéant–Lehalle–Fernandez-Tapia, Cartea–Jaimungal.

use evenkeel::quoting::glft::{Market, Outlook, depths, risk_aversion_for_std};

use super::{Case, Verdict, number};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        5 => closed_form(case),
        7 => drift_and_impact(case),
        10 => aversion_from_target(case),
        _ => return Verdict::NotOurs("not built yet"),
    }
    Verdict::Checked
}

pub(super) fn glft_inputs(case: &Case<'_>) -> (Market, Outlook) {
    let optional = |key: &str| case.input(key).as_f64().unwrap_or(0.0);
    let market = Market { sigma: case.number("sigma"), a: case.number("A"), k: case.number("k") };
    let outlook = Outlook {
        risk_aversion: case.number("gamma"),
        execution_aversion: optional("xi"),
        drift: optional("mu"),
        impact: optional("impact_xi"),
    };
    (market, outlook)
}

fn closed_form(case: &Case<'_>) {
    let (market, outlook) = glft_inputs(case);
    assert_eq!(number(&case.json["inputs"]["delta"]), 1.0, "lots of one are implemented");
    let depths = depths(market, outlook).unwrap();
    let expected = &case.json["expected"];
    case.close(depths.half_spread, &expected["half_spread"]);
    let skew = if expected["skew"].is_null() { "skew_per_unit" } else { "skew" };
    case.close(depths.skew, &expected[skew]);
    for quote in expected["quotes"].as_array().into_iter().flatten() {
        case.close(depths.bid(number(&quote["q"])), &quote["bid_depth"]);
        case.close(depths.ask(number(&quote["q"])), &quote["ask_depth"]);
    }
}

fn drift_and_impact(case: &Case<'_>) {
    let (market, mut outlook) = glft_inputs(case);
    outlook.execution_aversion = outlook.risk_aversion;
    let depths = depths(market, outlook).unwrap();
    for quote in case.json["expected"]["closed_form"].as_array().unwrap() {
        case.close(depths.bid(number(&quote["q"])), &quote["bid_depth"]);
        case.close(depths.ask(number(&quote["q"])), &quote["ask_depth"]);
    }
}

fn aversion_from_target(case: &Case<'_>) {
    let inputs = &case.json["inputs"];
    let market = Market {
        sigma: number(&inputs["sigma"]),
        a: number(&inputs["A"]),
        k: number(&inputs["k"]),
    };
    let gamma = risk_aversion_for_std(market, number(&inputs["target_std_inventory"]));
    let expected = number(&case.json["expected"]["gamma_xi0"]);
    assert!((gamma / expected - 1.0).abs() <= number(&case.json["tolerance"]["gamma_rel"]));
}
