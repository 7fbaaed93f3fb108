//! At what rate do takers reach each depth, and which A and k go through those rates?

/// How much each depth counts in the regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// All the same.
    Even,
    /// By its count of arrivals: the logarithm of a count n is known to 1/√n, so this weighs by
    /// the inverse variance.
    ByCount,
}

/// A line through log rates: λ(δ) = A·e^(−kδ).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogLine {
    /// Rate at depth zero.
    pub a_per_s: f64,
    /// Decay per unit of depth.
    pub k: f64,
    /// Share of the (weighted) variance of log rates that the line explains, 0 to 1.
    pub r_squared: f64,
}

/// Arrivals that reach each level: depth ≥ level, so that an order resting there counts as filled.
#[must_use]
pub fn survival_counts(depths: &[f64], levels: &[f64]) -> Vec<f64> {
    let reach = |level: &f64| depths.iter().filter(|depth| *depth >= level).count() as f64;
    levels.iter().map(reach).collect()
}

/// Weighted least squares of log rate on depth, over points of (depth, rate, weight); points
/// without a rate are left out. `None` with fewer than three points or no spread.
#[must_use]
pub fn log_line(points: &[(f64, f64, f64)]) -> Option<LogLine> {
    let sound = |(depth, rate, weight): &&(f64, f64, f64)| {
        depth.is_finite() && *rate > 0.0 && rate.is_finite() && *weight > 0.0
    };
    let points: Vec<(f64, f64, f64)> = points
        .iter()
        .filter(sound)
        .map(|&(depth, rate, weight)| (depth, rate.ln(), weight))
        .collect();
    if points.len() < 3 {
        return None;
    }
    let total: f64 = points.iter().map(|p| p.2).sum();
    let mean =
        |of: fn(&(f64, f64, f64)) -> f64| points.iter().map(|p| p.2 * of(p)).sum::<f64>() / total;
    let (mean_x, mean_y) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|p| p.2 * of(p.0 - mean_x, p.1 - mean_y)).sum()
    };
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    let k = -xy / xx;
    let a_per_s = (mean_y + k * mean_x).exp();
    let r_squared = if yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 };
    let found = LogLine { a_per_s, k, r_squared };
    (k.is_finite() && a_per_s.is_finite() && r_squared.is_finite()).then_some(found)
}

/// A and k by regression of the log survival counts of `depths` at `levels` within `seconds`.
#[must_use]
pub fn survival_regression(
    depths: &[f64],
    levels: &[f64],
    seconds: f64,
    weighting: Weighting,
) -> Option<LogLine> {
    let counts = survival_counts(depths, levels);
    let points: Vec<_> = levels
        .iter()
        .zip(counts)
        .map(|(&level, count)| {
            let weight = if weighting == Weighting::Even { 1.0 } else { count };
            (level, count / seconds, weight)
        })
        .collect();
    log_line(&points)
}

/// A rate and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitingRate {
    /// λ̂, per second.
    pub per_s: f64,
    /// Its asymptotic standard deviation, per second.
    pub std_per_s: f64,
    /// Waits that ended with an execution.
    pub executions: usize,
}

/// The rate of executions by maximum likelihood from waiting times that were broken off at
/// `cap_s`: λ̂ = executions / Σ min(X, cap), with variance λ²/(1 − e^(−λ·cap))/n (Fernandez-Tapia,
/// thesis, prop. 7 and thm 4). `None` without an execution.
#[must_use]
pub fn waiting_time_rate(waits_s: &[f64], cap_s: f64) -> Option<WaitingRate> {
    let executions = waits_s.iter().filter(|&&wait| wait < cap_s).count();
    let waited: f64 = waits_s.iter().map(|wait| wait.min(cap_s)).sum();
    let per_s = executions as f64 / waited;
    let std_per_s = per_s / (waits_s.len() as f64 * -(-per_s * cap_s).exp_m1()).sqrt();
    let known = executions > 0 && per_s.is_finite() && per_s > 0.0 && std_per_s.is_finite();
    known.then_some(WaitingRate { per_s, std_per_s, executions })
}

/// ∫₀ᵀ φ(k, u) du over the motion of the price itself: 2/(k²σ²)·(e^(k²σ²T/2) − 1) for Brownian
/// motion (Fernandez-Tapia, thesis, eq. 4.11), seconds. `None` where it is beyond all numbers.
#[must_use]
pub fn price_motion_integral(volatility: f64, k: f64, seconds: f64) -> Option<f64> {
    let rate = k * k * volatility * volatility / 2.0;
    let exponent = rate * seconds;
    // Beyond that the quote has nothing to do with the price any more.
    if !(0.0..50.0).contains(&exponent) || seconds <= 0.0 {
        return None;
    }
    let integral = if rate > 0.0 { exponent.exp_m1() / rate } else { seconds };
    (integral.is_finite() && integral > 0.0).then_some(integral)
}

/// How much too high A is measured against a price that is `seconds` old at the end: the integral
/// over its seconds. 1 for no time at all.
#[must_use]
pub fn price_motion_inflation(volatility: f64, k: f64, seconds: f64) -> Option<f64> {
    if seconds == 0.0 {
        return Some(1.0);
    }
    Some(price_motion_integral(volatility, k, seconds)? / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_fitted_gives_none() {
        assert_eq!(log_line(&[]), None);
        assert_eq!(log_line(&[(1.0, 1.0, 1.0), (2.0, 0.5, 1.0), (3.0, 0.0, 1.0)]), None);
        assert_eq!(log_line(&[(1.0, 1.0, 1.0); 5]), None, "no spread of depths");
        assert_eq!(survival_regression(&[], &[1.0, 2.0, 3.0], 60.0, Weighting::Even), None);
        assert_eq!(
            survival_regression(&[f64::NAN; 9], &[1.0, 2.0, 3.0], 1.0, Weighting::Even),
            None
        );
        assert_eq!(waiting_time_rate(&[], 30.0), None);
        assert_eq!(waiting_time_rate(&[30.0, 30.0], 30.0), None, "nothing was executed");
        assert_eq!(waiting_time_rate(&[0.0], 30.0), None);
    }

    #[test]
    fn the_motion_of_the_price_is_bounded() {
        assert_eq!(price_motion_inflation(1.0, 1.0, 0.0), Some(1.0));
        assert_eq!(price_motion_inflation(0.0, 1.0, 5.0), Some(1.0), "a price that stands still");
        assert_eq!(price_motion_inflation(100.0, 10.0, 60.0), None, "a 10 % jump");
        assert_eq!(price_motion_inflation(f64::NAN, 1.0, 60.0), None);
        assert_eq!(price_motion_integral(1.0, 1.0, -1.0), None);
    }
}
