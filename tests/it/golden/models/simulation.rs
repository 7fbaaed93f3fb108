//! The Monte Carlo of Avellaneda and Stoikov's section 3.3, by the protocol that the golden file
//! fixes. A measurement of the model's quotes, no part of the daemon.

use evenkeel::quoting::avellaneda_stoikov;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::{Case, number};

/// What a run needs to know.
struct Protocol {
    /// Half-spread and skew of each step: the depths are half_spread ± q·skew.
    quotes: Vec<(f64, f64)>,
    /// Of each step, the chance of a fill of the bid at inventories of −MOST to MOST; the ask's is
    /// the bid's at the opposite inventory.
    chances: Vec<Vec<f64>>,
    jump: f64,
    s0: f64,
    q0: f64,
}

/// No path comes near so much inventory.
const MOST: i32 = 200;

/// Profit, final inventory and fills of one path.
fn path(protocol: &Protocol, rng: &mut ChaCha8Rng) -> [f64; 3] {
    let (mut price, mut cash, mut q) = (protocol.s0, 0.0, protocol.q0);
    let mut fills = 0.0;
    for (step, chances) in protocol.chances.iter().enumerate() {
        let (half_spread, skew) = protocol.quotes[step];
        let bits = rng.next_u64();
        let uniforms = [bits & 0x7fff_ffff, (bits >> 31) & 0x7fff_ffff];
        let before = q;
        for (sign, uniform) in [1.0, -1.0].into_iter().zip(uniforms) {
            let depth = half_spread + sign * before * skew;
            let chance = chances[(sign * before + MOST as f64) as usize];
            if uniform as f64 / f64::from(1_u32 << 31) < chance {
                q += sign;
                cash -= sign * (price - sign * depth);
                fills += 1.0;
            }
        }
        price += if bits >> 63 == 1 { protocol.jump } else { -protocol.jump };
    }
    [cash + q * price - protocol.q0 * protocol.s0, q, fills]
}

pub fn check(case: &Case<'_>) {
    let [gamma, sigma, dt, k, horizon] =
        ["gamma", "sigma", "dt", "k", "T"].map(|key| case.number(key));
    let steps = (horizon / dt).round() as usize;
    let published = case.input("spread_form").as_str().unwrap().starts_with("gamma");
    let quotes: Vec<_> = (0..steps)
        .map(|step| {
            let left = horizon - step as f64 * dt;
            let at = avellaneda_stoikov::finite(sigma, k, gamma, left).unwrap();
            let of_working_paper = avellaneda_stoikov::finite(sigma, k, gamma, 0.0).unwrap();
            let half_spread = if published { at.half_spread } else { of_working_paper.half_spread };
            (half_spread, at.skew)
        })
        .collect();
    let average = quotes.iter().map(|(half_spread, _)| half_spread).sum::<f64>() / steps as f64;
    let symmetric = case.input("strategy").as_str() == Some("symmetric");
    let shown = |q: (f64, f64)| if symmetric { (average, 0.0) } else { q };
    let quotes: Vec<_> = quotes.into_iter().map(shown).collect();
    let poisson = case.input("fill_probability").as_str().unwrap().starts_with("1-exp");
    let a = case.number("A");
    let chance = |(half_spread, skew): (f64, f64), q: i32| {
        let expected = a * (-k * (half_spread + f64::from(q) * skew)).exp() * dt;
        if poisson { -(-expected).exp_m1() } else { expected.min(1.0) }
    };
    let protocol = Protocol {
        chances: quotes
            .iter()
            .map(|quote| (-MOST..=MOST).map(|q| chance(*quote, q)).collect())
            .collect(),
        quotes,
        jump: sigma * dt.sqrt(),
        s0: case.number("s0"),
        q0: case.number("q0"),
    };
    let count = case.tolerance("paths_for_test");
    let mut rng = ChaCha8Rng::seed_from_u64(20_080_303);
    let (mut sums, mut squares) = ([0.0; 3], [0.0; 3]);
    for _ in 0..count as usize {
        for (i, value) in path(&protocol, &mut rng).into_iter().enumerate() {
            sums[i] += value;
            squares[i] += value * value;
        }
    }
    let mean = sums.map(|sum| sum / count);
    let std = |i: usize| (squares[i] / count - mean[i] * mean[i]).sqrt();
    let near = |key: &str, got: f64, absolute: &str, relative: &str| {
        let expected = number(case.expected(key));
        let allowed = case.tolerance(absolute) + case.tolerance(relative) * expected.abs();
        assert!((got - expected).abs() <= allowed, "{key}: got {got}, expected {expected}");
    };
    near("avg_spread", 2.0 * average, "avg_spread_abs", "");
    near("profit_mean", mean[0], "profit_mean_abs", "");
    near("profit_std", std(0), "", "profit_std_rel");
    near("final_q_mean", mean[1], "final_q_mean_abs", "");
    near("final_q_std", std(1), "", "final_q_std_rel");
    near("fills_mean", mean[2], "", "fills_mean_rel");
}
