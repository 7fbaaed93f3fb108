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
    let mut ratio = x;
    for n in (1..=200).rev() {
        ratio = x + f64::from(n) / ratio;
    }
    density / ratio
}
