//! Covariance, capital at risk, carry.

use evenkeel::market::correlation::{BetaFilter, WeightedProduct};
use evenkeel::quoting::glft::depths;

use super::models::glft_inputs;
use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        17 if case.has("kalman") => betas(case),
        20 if case.has("mu") => carry(case),
        _ => return Verdict::NotOurs("not built yet"),
    }
    Verdict::Checked
}

fn carry(case: &Case<'_>) {
    let (market, mut outlook) = glft_inputs(case);
    outlook.execution_aversion = outlook.risk_aversion;
    let depths = depths(market, outlook).unwrap();
    case.close(depths.shift, &case.json["expected"]["quote_shift_up"]);
    case.close(depths.skew, &case.json["expected"]["skew_per_unit"]);
}

fn betas(case: &Case<'_>) {
    let (xs, ys) = (numbers(case.input("x")), numbers(case.input("y")));
    let keep = case.number("ewma_lambda");
    let kalman = |key: &str| number(&case.input("kalman")[key]);
    let mut filter = BetaFilter { beta: kalman("beta0"), variance: kalman("P0") };
    let [mut xx, mut xy, mut yy] = [WeightedProduct::default(); 3];
    let mut path = Vec::new();
    for (&x, &y) in xs.iter().zip(&ys) {
        xx.add(keep, 1.0, x, x);
        xy.add(keep, 1.0, x, y);
        yy.add(keep, 1.0, y, y);
        filter.add(x, y, kalman("Q"), kalman("R"));
        path.push(filter.beta);
    }
    let [xx, xy, yy] = [xx, xy, yy].map(|product| product.covariance().unwrap());
    case.close(xy / xx, case.expected("ewma_beta"));
    case.close(xy / (xx * yy).sqrt(), case.expected("ewma_corr"));
    case.close(filter.beta, case.expected("kalman_beta_last"));
    case.close(filter.variance, case.expected("kalman_P_last"));
    // The path is told after each 10th, 30th and 60th pair, as far as there are as many.
    for (at, expected) in
        [10, 30, 60].iter().zip(case.expected("kalman_beta_at").as_array().unwrap())
    {
        if let Some(beta) = path.get(at - 1) {
            case.close(*beta, expected);
        }
    }
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Weights that do not decay are least squares.
    let [mut flat_xx, mut flat_xy] = [WeightedProduct::default(); 2];
    for (&x, &y) in xs.iter().zip(&ys) {
        flat_xx.add(1.0, 1.0, x, x);
        flat_xy.add(1.0, 1.0, x, y);
    }
    let least_squares = flat_xy.covariance().unwrap() / flat_xx.covariance().unwrap();
    assert!((least_squares - sum(&xs, &ys) / sum(&xs, &xs)).abs() < 1e-12);
    case.close(least_squares, case.expected("ols_no_intercept"));
}
