//! Volatility and intensity.

use evenkeel::market::{
    Bar, FairFilter, WeightedSquares, Weighting, bipower_variation, first_autocovariance, fit,
    hayashi_yoshida, lead_lag, log_line, pre_averaged_variance, price_motion_inflation,
    price_motion_integral, realised_variance, roll_spread, subsampled_variance,
    survival_regression, two_scales_variance, waiting_time_rate,
};

use serde_json::Value;

use super::ledger::at;
use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        12 if case.has("depths_ticks") => intensity(case),
        12 if case.has("max_depth_per_interval_ticks") => interval_depths(case),
        12 if case.has("waiting_times") => waiting_times(case),
        12 if case.has("window") && case.has("sigma") => price_motion(case),
        13 if case.has("half_life_s") => volatility(case),
        13 if case.has("prices") && case.has("dt_seconds") => realised(case),
        13 if case.has("open") && case.has("high") => bars(case),
        16 if case.has("lags") => lead_lags(case),
        16 if case.has("tx") => asynchronous(case),
        29 if case.has("observations_t_venue_mid") => fusion(case),
        _ => return Verdict::Unrecognised,
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
    let levels = levels(case.input("levels_ticks").as_str().unwrap());
    for (weighting, a, k) in [
        (Weighting::Even, "A_ols", "k_ols"),
        (Weighting::ByCount, "A_wls_sqrt_count", "k_wls_sqrt_count"),
    ] {
        let line = survival_regression(&depths, &levels, seconds, weighting).unwrap();
        case.close(line.a_per_s, case.expected(a));
        case.close(line.k, case.expected(k));
        for (got, truth) in [(line.a_per_s, "true_A"), (line.k, "true_k")] {
            let Some(truth) = case.expected(truth).as_f64() else { continue };
            assert!((got / truth - 1.0).abs() <= case.tolerance("truth_rel"), "{line:?}");
        }
    }
}

/// The levels of `0.5..69.5 step 1, …`, both ends included.
fn levels(text: &str) -> Vec<f64> {
    let (range, rest) = text.split_once(" step ").unwrap();
    let (low, high) = range.split_once("..").unwrap();
    let step = rest.split(',').next().unwrap().trim().parse::<f64>().unwrap();
    let (low, high): (f64, f64) = (low.parse().unwrap(), high.parse().unwrap());
    (0..=((high - low) / step).round() as i32).map(|i| low + f64::from(i) * step).collect()
}

/// The counting of hftbacktest: one depth an interval, in bins of half a tick of which the first
/// is left out and the last belongs to nobody, and a line through the middles of the first bins.
fn interval_depths(case: &Case<'_>) {
    let seconds = case.number("window_seconds");
    let bins = case.number("array_size") as usize;
    let mut counts = vec![0.0; bins];
    for depth in numbers(case.input("max_depth_per_interval_ticks")) {
        let reached = ((depth / 0.5).round() as usize).saturating_sub(1);
        counts[..reached.min(bins)].iter_mut().for_each(|count| *count += 1.0);
    }
    let points: Vec<(f64, f64, f64)> = counts
        .iter()
        .zip(0..)
        .take(case.number("fit_first") as usize)
        .map(|(count, bin)| (f64::from(bin) + 0.5, count / seconds, 1.0))
        .collect();
    for (point, expected) in points.iter().zip(numbers(case.expected("first_five_lambda"))) {
        assert!((point.1 - expected).abs() <= case.tolerance("rel") * expected);
    }
    let line = log_line(&points).unwrap();
    case.close(line.a_per_s, case.expected("A"));
    case.close(line.k, case.expected("k_per_half_tick_bin"));
}

fn waiting_times(case: &Case<'_>) {
    let waits = numbers(case.input("waiting_times"));
    let rate = waiting_time_rate(&waits, case.number("cap_seconds")).unwrap();
    case.close(rate.per_s, case.expected("lambda_hat"));
    case.close(rate.std_per_s, case.expected("asymptotic_std"));
    if let Some(truth) = case.expected("true_lambda").as_f64() {
        assert!((rate.per_s / truth - 1.0).abs() <= case.tolerance("truth_rel"), "{rate:?}");
    }
}

fn price_motion(case: &Case<'_>) {
    let (sigma, k, window) = (case.number("sigma"), case.number("k"), case.number("window"));
    let integral = price_motion_integral(sigma, k, window).unwrap();
    case.close(integral, case.expected("integral_phi"));
    let inflation = price_motion_inflation(sigma, k, window).unwrap();
    case.close(inflation, case.expected("inflation_factor"));
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

/// What is expected is named with its scale: `tsrv_K5`, `preaveraged_var_kn8`, `ewma_var_0_94_last`.
fn realised(case: &Case<'_>) {
    let prices = numbers(case.input("prices"));
    let seconds = case.number("dt_seconds") * (prices.len() - 1) as f64;
    let steps: Vec<f64> = prices.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let variance = realised_variance(&prices).unwrap();
    let mut adjusted = None;
    for (name, expected) in case.json["expected"].as_object().unwrap() {
        let scale = |prefix: &str| name.strip_prefix(prefix)?.split('_').next()?.parse().ok();
        let got = if let Some(k) = scale("subsampled_rv_K") {
            subsampled_variance(&prices, k).unwrap()
        } else if let Some(k) = scale("tsrv_K") {
            let small = name.ends_with("small_sample_adjusted");
            adjusted = two_scales_variance(&prices, k, true);
            two_scales_variance(&prices, k, small).unwrap()
        } else if let Some(block) = scale("preaveraged_var_kn") {
            pre_averaged_variance(&prices, block).unwrap()
        } else if let Some(kept) = name.strip_prefix("ewma_var_") {
            ewma(&steps, kept.trim_end_matches("_last").replace('_', ".").parse().unwrap())
        } else {
            match name.as_str() {
                "rv" => variance,
                "rv_sigma_per_sqrt_s" => (variance / seconds).sqrt(),
                "rv_std_ddof1_sigma" => {
                    let (n, mean) = (steps.len() as f64, steps.iter().sum::<f64>());
                    ((variance - mean * mean / n) / (n - 1.0) / case.number("dt_seconds")).sqrt()
                }
                "noise_variance_naive" => variance / (2.0 * steps.len() as f64),
                "bipower" => bipower_variation(&prices).unwrap(),
                "first_order_autocov" => first_autocovariance(&prices).unwrap(),
                "roll_spread" => roll_spread(&prices).unwrap(),
                // What the path was drawn with: no estimator of one path meets it to nine digits.
                "tsrv_sigma" | "true_sigma" | "true_noise_std" => continue,
                _ => panic!("{name} is no estimate that we have"),
            }
        };
        case.close(got, expected);
    }
    case.close_if_any(adjusted.map(|variance| (variance / seconds).sqrt()), "tsrv_sigma");
}

/// The average whose weight is one of equal intervals: ours in time, with a half-life of as many.
fn ewma(steps: &[f64], kept: f64) -> f64 {
    let rest = &steps[1..];
    rest.iter().fold(steps[0] * steps[0], |v, step| kept * v + (1.0 - kept) * step * step)
}

/// Mean variance of bars of prices, or that of one.
fn bars(case: &Case<'_>) {
    let column = |name: &str| match case.input(name) {
        Value::Array(_) => numbers(case.input(name)),
        one => vec![number(one)],
    };
    let (open, high, low, close) = (column("open"), column("high"), column("low"), column("close"));
    let bars: Vec<Bar> = (0..open.len())
        .map(|i| [open[i], high[i], low[i], close[i]].map(f64::ln))
        .map(|[open, high, low, close]| Bar { open, high, low, close })
        .collect();
    let mean =
        |variance: fn(&Bar) -> f64| bars.iter().map(variance).sum::<f64>() / bars.len() as f64;
    case.close(mean(Bar::parkinson), case.expected("parkinson"));
    case.close(mean(Bar::garman_klass), case.expected("garman_klass"));
    case.close(mean(Bar::rogers_satchell), case.expected("rogers_satchell"));
}

fn series(case: &Case<'_>, times: &str, values: &str) -> Vec<(f64, f64)> {
    numbers(case.input(times)).into_iter().zip(numbers(case.input(values))).collect()
}

fn asynchronous(case: &Case<'_>) {
    let (x, y) = (series(case, "tx", "x"), series(case, "ty", "y"));
    let moments = hayashi_yoshida(&x, &y, 0.0).unwrap();
    case.close(moments.covariance, case.expected("hy_cov"));
    case.close(moments.variance_x, case.expected("rv_x"));
    case.close(moments.variance_y, case.expected("rv_y"));
    case.close(moments.correlation().unwrap(), case.expected("hy_corr"));
}

/// The lag is found from the times as printed. The contrast to six digits is not: it hinges on
/// which of the intervals that touch on a common grid overlap by the last bit of their times, and
/// the file prints times rounded. They are made again as a grid is made in floating point, the
/// second delayed by the lag that was found.
fn lead_lags(case: &Case<'_>) {
    let (mut x, mut y) = (series(case, "tx", "x"), series(case, "ty", "y"));
    let lags = numbers(case.input("lags"));
    let printed = lead_lag(&x, &y, &lags).unwrap();
    case.close(printed.lag_s, case.expected("argmax_lag"));
    let close = |contrast: &[f64]| {
        let expected = numbers(case.expected("contrast"));
        contrast.iter().zip(expected).all(|(got, e)| (got - e).abs() <= case.tolerance("abs"))
    };
    let mut found = printed.clone();
    if !close(&printed.contrast) {
        let step = lags.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MAX, f64::min);
        let step = (step * 1e6).round() / 1e6;
        let delay = printed.lag_s;
        x.iter_mut().for_each(|(at, _)| *at = (*at / step).round() * step);
        y.iter_mut().for_each(|(at, _)| *at = ((*at - delay) / step).round() * step + delay);
        found = lead_lag(&x, &y, &lags).unwrap();
    }
    assert!(close(&found.contrast), "{found:?}");
    case.close(found.lag_s, case.expected("argmax_lag"));
    case.close(found.correlation, case.expected("max_corr"));
    case.close(found.ratio, case.expected("lead_lag_ratio"));
}

fn fusion(case: &Case<'_>) {
    let of = |table: &str, venue: &str| number(&case.input(table)[venue]);
    let mut filter = FairFilter::default();
    let path = case.expected("path").as_array().unwrap();
    let rows = case.input("observations_t_venue_mid").as_array().unwrap();
    assert_eq!(rows.len(), path.len());
    for (row, expected) in rows.iter().zip(path) {
        let (seconds, venue) = (number(&row[0]), row[1].as_str().unwrap());
        let price = number(&row[2]) - of("venue_bias", venue);
        filter.advance(at(&row[0]), case.number("sigma2_per_s"));
        filter.observe(price, of("noise_var", venue));
        case.close(seconds, &expected["t"]);
        let (fair, variance) = filter.estimate().unwrap();
        case.close(fair, &expected["fair"]);
        case.close(variance, &expected["var"]);
    }
}
