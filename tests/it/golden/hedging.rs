//! Hedge bands and routing.

use evenkeel::domain::Side;
use evenkeel::inventory::hedge::{
    Franchise, Pool, cross_hedge, fixed_cost_band, hedge_band, hedge_rate, marginal_value, route,
    unhedged_std, unskewed_band, unskewed_band_units, unskewed_cost_rate,
};
use evenkeel::quoting::glft::{Market, Outlook, depths};
use serde_json::Value;

use super::{Case, Verdict, leave, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        11 if case.has("Qmax") => exact_band(case),
        11 if case.has("fill_rate_each_side") => unskewed(case),
        11 if case.has("fixed_cost") => fixed_cost(case),
        11 if case.has("A_matrix") => rate(case),
        11 if case.has("rho") => cross(case),
        30 if case.has("sell_qty") || case.has("buy_qty") => routing(case),
        _ => return Verdict::Unrecognised,
    }
    Verdict::Checked
}

/// The bands of one market at several costs, each found exactly and by the closed form.
fn exact_band(case: &Case<'_>) {
    let maker = Franchise {
        sigma: case.number("sigma"),
        a: case.number("A"),
        k: case.number("k"),
        gamma: case.number("gamma"),
    };
    let widest = case.number("Qmax") as u32;
    let market = Market { sigma: maker.sigma, a: maker.a, k: maker.k };
    let outlook =
        Outlook { risk_aversion: maker.gamma, execution_aversion: 0.0, drift: 0.0, impact: 0.0 };
    let skew = depths(market, outlook).unwrap().skew;
    let near = |got: f64, expected: &Value, rel: f64| {
        let expected = number(expected);
        assert!((got - expected).abs() <= rel * expected.abs(), "got {got}, expected {expected}");
    };
    near(skew, case.expected("skew_per_unit"), 1e-12);
    let rel = case.tolerance("value_rate_rel");
    for row in case.expected("rows").as_array().unwrap() {
        let cost = number(&row["cost_per_unit"]);
        for (band, value) in (0..).zip(row["value_rate_by_band"].as_array().unwrap()) {
            near(maker.value(band, cost).value_rate, value, rel);
        }
        let unhedged = maker.value(widest, f64::INFINITY).value_rate;
        near(unhedged, &row["value_rate_no_hedge"], rel);
        let approximate = hedge_band(cost, skew, unhedged_std(maker.k, skew)).unwrap();
        near(approximate, &row["approx_band"], 1e-12);
        near(cost / skew, &row["approx_band_cost_over_skew"], 1e-12);
        let best = maker.best_band(cost, widest);
        near(best.value_rate, &row["value_rate"], rel);
        if row["band_identifiable"] == true {
            assert_eq!(f64::from(best.band), number(&row["band"]), "at cost {cost}");
            assert!((f64::from(best.band) - approximate).abs() <= 1.0, "at cost {cost}");
            near(best.internalised, &row["internalisation_ratio"], 1e-8);
            near(best.hedge_rate, &row["hedge_rate"], 1e-6);
            near(best.std_units, &row["std_q"], 1e-8);
        } else {
            // Bands of nearly one value differ in these.
            ["band", "internalisation_ratio", "hedge_rate", "std_q"]
                .iter()
                .for_each(|key| leave(&row[key]));
        }
    }
}

fn unskewed(case: &Case<'_>) {
    let [fills, gamma, sigma, cost] =
        ["fill_rate_each_side", "gamma", "sigma", "cost_per_unit"].map(|key| case.number(key));
    let continuous = unskewed_band(cost, 2.0 * fills, gamma, sigma);
    case.close(continuous, case.expected("band_continuous"));
    let band = unskewed_band_units(cost, fills, gamma, sigma);
    case.close(f64::from(band), case.expected("band_discrete"));
    let least = unskewed_cost_rate(band, cost, fills, gamma, sigma);
    case.close(least, case.expected("cost_rate_discrete_min"));
}

fn fixed_cost(case: &Case<'_>) {
    let [cost, variance, gamma, sigma] =
        ["fixed_cost", "inventory_variance_rate", "gamma", "sigma"].map(|key| case.number(key));
    case.close(fixed_cost_band(cost, variance, gamma, sigma), case.expected("band"));
}

fn rate(case: &Case<'_>) {
    let risk: Vec<Vec<f64>> =
        case.input("A_matrix").as_array().unwrap().iter().map(numbers).collect();
    let marginal = marginal_value(&risk, &numbers(case.input("inventory")));
    let (psi, eta) = (numbers(case.input("psi")), numbers(case.input("eta")));
    for (i, p) in marginal.into_iter().enumerate() {
        case.close(p, &case.expected("marginal_value")[i]);
        case.close(hedge_rate(p, psi[i], eta[i]), &case.expected("hedge_rate")[i]);
    }
}

fn cross(case: &Case<'_>) {
    let (sigma, held) = (case.number("sigma_asset"), case.number("inventory"));
    let hedge = cross_hedge(case.number("rho"), sigma, case.number("sigma_hedge")).unwrap();
    case.close(hedge.beta, case.expected("beta"));
    case.close(-hedge.beta * held, case.expected("hedge_position"));
    let residual = hedge.residual_share * sigma * held.abs();
    case.close(residual, case.expected("residual_std_per_sqrt_time"));
    case.close(hedge.variance_reduction, case.expected("variance_reduction"));
}

fn routing(case: &Case<'_>) {
    let selling = case.has("sell_qty");
    let (side, key, levels) =
        if selling { (Side::Sell, "sell_qty", "bids") } else { (Side::Buy, "buy_qty", "asks") };
    let venues = case.input("venues").as_object().unwrap();
    let pools: Vec<Pool> = venues
        .values()
        .map(|venue| Pool {
            levels: venue[levels]
                .as_array()
                .unwrap()
                .iter()
                .map(|level| (number(&level[0]), number(&level[1])))
                .collect(),
            taker_fee: number(&venue["taker_fee"]),
            lot: number(&venue["lot"]),
        })
        .collect();
    let plan = route(side, case.number(key), &pools);
    for ((name, pool), lots) in venues.keys().zip(&pools).zip(&plan.lots) {
        case.close(*lots as f64 * pool.lot, &case.expected("alloc")[name]);
    }
    let net = if selling { "net_proceeds" } else { "net_cost" };
    case.close(plan.net_quote, case.expected(net));
    case.close(plan.unfilled, case.expected("unfilled"));
    case.close_if_any(plan.average_net_price(), "avg_net_price");
}
