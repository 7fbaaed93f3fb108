//! The normal distribution: density, probability, quantile.

use std::f64::consts::PI;

/// Density of the standard normal distribution.
#[must_use]
pub fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// Probability that a standard normal variable is at most `x`, from the series
/// ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …); exact to rounding up to |x| = 7, 0 or 1 beyond 37.
#[must_use]
pub fn probability(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x.abs() > 37.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-17 {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    (0.5 + density(x) * sum).clamp(0.0, 1.0)
}

/// The value that a standard normal variable exceeds with probability 1 − `confidence`; `None`
/// unless `confidence` is between 1e-6 and 1 − 1e-6.
#[must_use]
pub fn quantile(confidence: f64) -> Option<f64> {
    if !(1e-6..=1.0 - 1e-6).contains(&confidence) {
        return None;
    }
    if confidence < 0.5 {
        return quantile(1.0 - confidence).map(|z| -z);
    }
    // The distribution is concave above zero: Newton's steps rise to the root and never pass it.
    let mut z = 0.0;
    for _ in 0..100 {
        let step = (confidence - probability(z)) / density(z);
        z += step;
        if step.abs() <= 1e-15 * z {
            break;
        }
    }
    Some(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (confidence, z) in [
            (0.5, 0.0),
            (0.95, 1.644_853_626_951_472_7),
            (0.99, 2.326_347_874_040_840_8),
            (0.999, 3.090_232_306_167_813_5),
        ] {
            assert!((quantile(confidence).unwrap() - z).abs() < 1e-12, "{confidence}");
            assert!((quantile(1.0 - confidence).unwrap() + z).abs() < 1e-12);
            assert!((probability(z) - confidence).abs() < 1e-14);
        }
        assert_eq!(quantile(1.0), None);
        assert_eq!(quantile(f64::NAN), None);
        assert_eq!((probability(40.0), probability(-40.0)), (1.0, 0.0));
    }
}
