//! Volatility and intensity.

use evenkeel::market::{WeightedSquares, fit};

use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        12 if case.has("depths_ticks") => intensity(case),
        13 if case.has("half_life_s") => volatility(case),
        _ => return Verdict::NotOurs("not built yet"),
    }
    Verdict::Checked
}

fn intensity(case: &Case<'_>) {
    let depths = numbers(&case.json["inputs"]["depths_ticks"]);
    let least = depths.iter().copied().fold(f64::INFINITY, f64::min);
    let seconds = number(&case.json["inputs"]["T_seconds"]);
    let fit = fit(&depths, least, f64::INFINITY, seconds).unwrap();
    case.close(fit.a_per_s, &case.json["expected"]["A_mle"]);
    case.close(fit.k, &case.json["expected"]["k_mle"]);
    assert!(fit.r_squared > 0.99, "{fit:?}");
}

fn volatility(case: &Case<'_>) {
    let inputs = &case.json["inputs"];
    let (times, prices) = (numbers(&inputs["times"]), numbers(&inputs["prices"]));
    let mut squares = WeightedSquares::new(number(&inputs["half_life_s"]));
    for i in 1..times.len() {
        squares.add(times[i] - times[i - 1], prices[i] - prices[i - 1]);
    }
    case.close(squares.sigma().unwrap(), &case.json["expected"]["sigma_per_sqrt_s"]);
}
