//! Covariance, capital at risk, carry.

use evenkeel::domain::Money;
use evenkeel::inventory::carry::{annualised, basis_bps, drift_quote_per_s, funding_cash};
use evenkeel::market::correlation::{BetaFilter, WeightedProduct};
use evenkeel::quoting::glft::depths;
use evenkeel::risk::capital::{
    Tail, cornish_fisher, exit_cost, historical, parametric, seconds_at_risk, spread_addon,
};

use super::models::glft_inputs;
use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        17 if case.has("kalman") => betas(case),
        19 if case.has("annual_vol") => value_at_risk(case),
        19 if case.has("returns_a") => measured_covariance(case),
        19 if case.has("pnl") => past(case),
        19 if case.has("book") => leaving(case),
        19 if case.has("proportional_spread") => addon(case),
        19 if case.has("kurtosis") => corrected(case),
        20 if case.has("mu") => drift(case),
        20 if case.has("funding_rate") => funding(case),
        20 if case.has("perp") => basis(case),
        26 if ["call_put", "gamma_option", "vegas"].iter().any(|key| case.has(key)) => {
            return Verdict::NotOurs("no option venue is connected, so nothing here has greeks");
        }
        _ => return Verdict::Unrecognised,
    }
    Verdict::Checked
}

fn tail(case: &Case<'_>) -> Tail {
    Tail::new(case.number("confidence")).unwrap()
}

fn betas(case: &Case<'_>) {
    let (xs, ys) = (numbers(case.input("x")), numbers(case.input("y")));
    let keep = case.number("ewma_lambda");
    let kalman = |key: &str| number(&case.input("kalman")[key]);
    let mut filter = BetaFilter { beta: kalman("beta0"), variance: kalman("P0") };
    let [mut xx, mut xy, mut yy] = [WeightedProduct::default(); 3];
    // Weights that do not decay are least squares.
    let [mut flat_xx, mut flat_xy] = [WeightedProduct::default(); 2];
    let mut path = Vec::new();
    for (&x, &y) in xs.iter().zip(&ys) {
        xx.add(keep, 1.0, x, x);
        xy.add(keep, 1.0, x, y);
        yy.add(keep, 1.0, y, y);
        flat_xx.add(1.0, 1.0, x, x);
        flat_xy.add(1.0, 1.0, x, y);
        filter.add(x, y, kalman("Q"), kalman("R"));
        path.push(filter.beta);
    }
    let [xx, xy, yy, flat_xx, flat_xy] =
        [xx, xy, yy, flat_xx, flat_xy].map(|product| product.covariance().unwrap());
    case.close(xy / xx, case.expected("ewma_beta"));
    case.close(xy / (xx * yy).sqrt(), case.expected("ewma_corr"));
    case.close(flat_xy / flat_xx, case.expected("ols_no_intercept"));
    case.close(filter.beta, case.expected("kalman_beta_last"));
    case.close(filter.variance, case.expected("kalman_P_last"));
    // The path is told after the 10th, the 30th and the 60th pair, as far as there are as many.
    let told = case.expected("kalman_beta_at").as_array().unwrap();
    for (at, expected) in [10, 30, 60].iter().zip(told) {
        if let Some(beta) = path.get(at - 1) {
            case.close(*beta, expected);
        }
    }
}

fn value_at_risk(case: &Case<'_>) {
    let delta = numbers(case.input("delta_usd"));
    let share = case.number("horizon_s") / case.number("year_seconds");
    let std: Vec<f64> =
        numbers(case.input("annual_vol")).iter().map(|own| own * share.sqrt()).collect();
    let rows = case.input("correlation").as_array().unwrap().iter().map(numbers).enumerate();
    let covariance: Vec<f64> = rows
        .flat_map(|(i, row)| {
            let std = &std;
            row.into_iter().enumerate().map(move |(j, rho)| rho * std[i] * std[j])
        })
        .collect();
    let result = parametric(&delta, &covariance, tail(case));
    case.close(result.std_quote, case.expected("pnl_std"));
    case.close(result.var_quote, case.expected("var"));
    case.close(result.shortfall_quote, case.expected("expected_shortfall"));
    case.close(result.undiversified_quote, case.expected("undiversified_var"));
    case.close(result.diversification, case.expected("diversification_ratio"));
    for (key, got) in
        [("marginal_var", &result.marginal), ("component_var", &result.component_quote)]
    {
        let expected = case.expected(key).as_array().unwrap();
        assert_eq!(got.len(), expected.len());
        got.iter().zip(expected).for_each(|(got, expected)| case.close(*got, expected));
    }
}

/// The covariance starts as the product of the first pair: with the weight that all pairs have
/// together once there are many.
fn measured_covariance(case: &Case<'_>) {
    let (a, b) = (numbers(case.input("returns_a")), numbers(case.input("returns_b")));
    let keep = case.number("ewma_lambda");
    let weighted = |x: &[f64], y: &[f64]| {
        let mut product = WeightedProduct::default();
        let first = 1.0 / (1.0 - keep);
        product.add(keep, first, x[0] * first.sqrt(), y[0] * first.sqrt());
        x.iter().zip(y).skip(1).for_each(|(x, y)| product.add(keep, 1.0, *x, *y));
        product.covariance().unwrap()
    };
    let covariance = [weighted(&a, &a), weighted(&a, &b), weighted(&b, &a), weighted(&b, &b)];
    let expected = case.expected("cov").as_array().unwrap();
    let expected = expected.iter().flat_map(|row| row.as_array().unwrap());
    covariance.iter().zip(expected).for_each(|(got, expected)| case.close(*got, expected));
    let result = parametric(&numbers(case.input("delta_usd")), &covariance, tail(case));
    case.close(result.var_quote, case.expected("var_1_step"));
    let correlation = covariance[1] / (covariance[0] * covariance[3]).sqrt();
    case.close(correlation, case.expected("ewma_corr"));
}

fn past(case: &Case<'_>) {
    let result = historical(&mut numbers(case.input("pnl")), case.number("confidence")).unwrap();
    case.close(result.k as f64, case.expected("k"));
    case.close(result.var_quote, case.expected("var"));
    case.close(result.shortfall_quote, case.expected("es"));
}

fn leaving(case: &Case<'_>) {
    let (position, book) = (case.number("position"), case.input("book"));
    let side = if position > 0.0 { "bids" } else { "asks" };
    let levels: Vec<Vec<f64>> = book[side].as_array().unwrap().iter().map(numbers).collect();
    let levels = levels.iter().map(|level| (level[0], level[1]));
    let exit = exit_cost(position, number(&book["mid"]), 1.0, levels);
    case.close(exit.cost_quote, case.expected("sweep_cost"));
    case.close(exit.unfilled_base, case.expected("unfilled"));
    let short = exit.unfilled_base > 0.0;
    assert_eq!(Some(short), case.expected("insufficient_depth").as_bool());
    let seconds = position.abs() / case.number("liquidation_rate_per_s");
    case.close(seconds, case.expected("time_to_liquidate_s"));
    let at_risk = seconds_at_risk(case.number("reaction_time_s"), seconds, seconds);
    let variance = case.number("sigma_per_sqrt_s").powi(2) * at_risk;
    let market = parametric(&[position], &[variance], tail(case)).var_quote;
    case.close(market, case.expected("market_var"));
    assert_eq!(short, case.expected("lvar").is_null());
    case.close(market + exit.cost_quote, case.expected("lvar"));
}

fn addon(case: &Case<'_>) {
    let value = case.number("position_value");
    let addon = spread_addon(value, case.number("proportional_spread"));
    // The example rounds its quantile, so the confidence is not what decides.
    let rounded = Tail { z: case.number("z_used"), ..tail(case) };
    let var = parametric(&[value], &[case.number("daily_sigma").powi(2)], rounded).var_quote;
    case.close(var, case.expected("var"));
    case.close(addon, case.expected("addon"));
    case.close(var + addon, case.expected("lvar"));
}

fn corrected(case: &Case<'_>) {
    let (skew, kurtosis) = (case.number("skew"), case.number("kurtosis"));
    let z = -cornish_fisher(0.0, 1.0, skew, kurtosis, tail(case));
    case.close(z, case.expected("z"));
    let (mean, std) = (case.number("mean"), case.number("std"));
    case.close(cornish_fisher(mean, std, skew, kurtosis, tail(case)), case.expected("var"));
}

fn drift(case: &Case<'_>) {
    let (market, mut outlook) = glft_inputs(case);
    outlook.execution_aversion = outlook.risk_aversion;
    let depths = depths(market, outlook).unwrap();
    case.close(depths.shift, case.expected("quote_shift_up"));
    case.close(depths.skew, case.expected("skew_per_unit"));
    case.close(depths.shift / depths.skew, case.expected("target_inventory"));
}

fn funding(case: &Case<'_>) {
    let money = |key: &str| Money::try_from(case.number(key)).unwrap();
    let (mark, rate) = (case.number("mark_price"), case.number("funding_rate"));
    let interval_s = case.number("interval_s");
    let cash = funding_cash(money("position"), money("mark_price"), money("funding_rate"));
    case.close(f64::try_from(cash).unwrap(), case.expected("cash_flow_at_settlement"));
    let drift = drift_quote_per_s(mark, rate, interval_s);
    case.close(drift, case.expected("carry_drift_price_per_s"));
    case.close(annualised(rate, interval_s), case.expected("annualised"));
}

fn basis(case: &Case<'_>) {
    let (spot, perpetual) = (case.number("spot"), case.number("perp"));
    case.close(perpetual - spot, case.expected("basis"));
    case.close(basis_bps(spot, perpetual).unwrap(), case.expected("basis_bps"));
}
