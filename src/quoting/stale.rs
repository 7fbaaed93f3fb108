//! What does a quote cost that stays a moment too long? For as long as we do not know that the
//! price has moved, everybody else holds an option on the quote.
//!
//! Bachelier's call: the loss a side in one window of length τ is E[(σ√τ·Z − δ)⁺] = σ√τ·φ(d) −
//! δ·Φ(−d), d = δ/(σ√τ), for a quote at distance δ.

use std::f64::consts::PI;

/// The cost of being late on one side, in one window of latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Staleness {
    /// Chance that the price has passed the quote.
    pub probability: f64,
    /// Expected loss, price units.
    pub loss: f64,
}

/// Cost of a quote at `half_spread` from a price of volatility `sigma` per √s, when news takes
/// `latency_s` seconds. Without latency or volatility there is none. `None` unless all are finite
/// and neither σ nor the latency is below zero.
#[must_use]
pub fn staleness(sigma: f64, latency_s: f64, half_spread: f64) -> Option<Staleness> {
    let finite = [sigma, latency_s, half_spread].iter().all(|v| v.is_finite());
    if !(finite && sigma >= 0.0 && latency_s >= 0.0) {
        return None;
    }
    let moved = sigma * latency_s.sqrt();
    if moved == 0.0 {
        return Some(Staleness { probability: 0.0, loss: (-half_spread).max(0.0) });
    }
    let d = half_spread / moved;
    let density = (-d * d / 2.0).exp() / (2.0 * PI).sqrt();
    let probability = upper_tail(d);
    Some(Staleness { probability, loss: (moved * density - half_spread * probability).max(0.0) })
}

/// Φ(−x), the chance that a standard normal exceeds x: a series near zero, Lentz's continued
/// fraction of Mills' ratio beyond; twelve digits or more.
fn upper_tail(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - upper_tail(-x);
    }
    let density = (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
    if x < 3.0 {
        // Φ(x) = ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …)
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term > 1e-17 * sum {
            n += 2.0;
            term *= x * x / n;
            sum += term;
        }
        return 0.5 - density * sum;
    }
    if density == 0.0 {
        return 0.0;
    }
    // 200 terms at 3; the farther out, the sooner the fraction has settled to the last digit.
    let terms = (1800.0 / (x * x)).clamp(8.0, 200.0) as u32;
    let mut ratio = x;
    for n in (1..=terms).rev() {
        ratio = x + f64::from(n) / ratio;
    }
    density / ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_needs_no_more_terms_than_it_takes() {
        for x in (300..4_000).map(|x| f64::from(x) / 100.0) {
            let density = (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
            let ratio = (1..=200).rev().fold(x, |ratio, n| x + f64::from(n) / ratio);
            let whole = density / ratio;
            assert!((upper_tail(x) - whole).abs() <= 1e-15 * whole, "{x}");
        }
    }
}
