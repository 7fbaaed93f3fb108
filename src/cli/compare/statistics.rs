//! How sure is a mean of few runs?

use serde::Serialize;

/// A mean and the half-width of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Estimate {
    /// The mean.
    pub(super) mean: f64,
    /// The interval is mean ± this, by Student's t.
    pub(super) ci95: f64,
}

/// Mean and interval of independent runs; without width of no use below two.
pub(super) fn estimate(runs: &[f64]) -> Estimate {
    let n = runs.len().max(1) as f64;
    let mean = runs.iter().sum::<f64>() / n;
    if runs.len() < 2 {
        return Estimate { mean, ci95: f64::INFINITY };
    }
    let variance = runs.iter().map(|run| (run - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Estimate { mean, ci95: student_975(runs.len() - 1) * (variance / n).sqrt() }
}

/// The 97.5 % quantile of Student's t: exact for one and two degrees of freedom, for more the
/// expansion around the normal quantile (Abramowitz, Stegun, 26.7.5), 0.7 % off at most.
fn student_975(freedom: usize) -> f64 {
    match freedom {
        0 => f64::INFINITY,
        1 => (std::f64::consts::PI * 0.475).tan(),
        // Solves F(t) = 1/2 + t/(2√(2 + t²)).
        2 => 0.95 * (2.0_f64 / (1.0 - 0.95 * 0.95)).sqrt(),
        _ => {
            let (z, nu) = (1.959_963_984_540_054_f64, freedom as f64);
            let g1 = (z.powi(3) + z) / 4.0;
            let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
            let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
            z + g1 / nu + g2 / nu.powi(2) + g3 / nu.powi(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, table, within) in [
            (1, 12.7062, 1e-5),
            (2, 4.30265, 1e-5),
            (3, 3.18245, 8e-3),
            (9, 2.26216, 2e-4),
            (19, 2.09302, 1e-5),
            (1_000_000, 1.95996, 1e-5),
        ] {
            let got = student_975(freedom);
            assert!((got / table - 1.0).abs() < within, "{freedom}: {got}");
        }
    }

    #[test]
    fn an_interval_of_known_runs() {
        // Standard deviation 1, so the standard error is 1/√3.
        let got = estimate(&[1.0, 2.0, 3.0]);
        assert!((got.mean - 2.0).abs() < 1e-12);
        assert!((got.ci95 - 4.302_65 / 3.0_f64.sqrt()).abs() < 1e-4, "{got:?}");
        assert!(estimate(&[1.0]).ci95.is_infinite());
    }
}
