//! What are given quotes worth? Mean, standard deviation and certainty equivalent of the result
//! over a horizon, exactly, in the market of the models (exponential arrivals, Brownian price).
//!
//! No policy is worth more than the optimum (Guéant, Lehalle, Fernandez-Tapia, arXiv:1105.3115,
//! theorem 1): the share of it is how good a policy is. The moments and E[exp(−γ·result)] solve
//! linear equations backward from the end, one tridiagonal system a step; the method is the
//! stiffly accurate SDIRK of order 4 (Hairer, Wanner, "Solving Ordinary Differential Equations II",
//! table 6.5), because far from flat some quotes are filled at once.

use super::glft::{Market, Outlook, problem};

/// What the result of a policy is like, in price units times quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The sure amount that is worth as much; `None` where the risk has no price, because quotes
    /// that are filled at once at any loss make the expectation diverge.
    pub certainty_equivalent: Option<f64>,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
}

/// The stage of one equation: values, and what the steps before them have left.
const C: [f64; 5] = [0.25, 0.75, 0.55, 0.5, 1.0];
const STAGES: [[f64; 4]; 5] = [
    [0.0, 0.0, 0.0, 0.0],
    [0.5, 0.0, 0.0, 0.0],
    [17.0 / 50.0, -1.0 / 25.0, 0.0, 0.0],
    [371.0 / 1360.0, -137.0 / 2720.0, 15.0 / 544.0, 0.0],
    [25.0 / 24.0, -49.0 / 48.0, 125.0 / 16.0, -85.0 / 12.0],
];
const OWN: f64 = 0.25;

/// The best certainty equivalent that any policy has which starts flat and never holds more than
/// `q_max` quotes. `None` where [`problem`] or the horizon does not allow it.
#[must_use]
pub fn optimum(market: Market, gamma: f64, q_max: usize, horizon: f64) -> Option<f64> {
    let outlook =
        Outlook { risk_aversion: gamma, execution_aversion: gamma, drift: 0.0, impact: 0.0 };
    Some(problem(market, outlook, q_max)?.finite(horizon)?.value)
}

/// The outcome for one who starts flat with `horizon` seconds to go and quotes `depths(q, time
/// left)` (bid, ask), but no bid at `q_max` and no ask at −`q_max`. `None` unless all inputs are
/// finite and above zero and the result settles.
#[must_use]
pub fn evaluate(
    market: Market,
    gamma: f64,
    q_max: i64,
    horizon: f64,
    depths: impl Fn(i64, f64) -> [f64; 2],
) -> Option<Outcome> {
    let numbers = [market.sigma, market.a, market.k, gamma, horizon];
    if !(numbers.iter().all(|v| v.is_finite() && *v > 0.0) && q_max >= 1) {
        return None;
    }
    let equations = Equations { market, gamma, q_max, depths };
    let mut steps = 50;
    let mut before = equations.run(horizon, steps);
    while steps < 20_000 {
        steps *= 2;
        let now = equations.run(horizon, steps);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-7 * a.abs().max(b.abs());
        let moments = close(before.mean, now.mean) && close(before.std, now.std);
        let settled = match (before.certainty_equivalent, now.certainty_equivalent) {
            (Some(a), Some(b)) => close(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if moments && settled {
            return Some(now);
        }
        before = now;
    }
    None
}

struct Equations<F> {
    market: Market,
    gamma: f64,
    q_max: i64,
    depths: F,
}

/// Rates and depths at one time, by inventory; no rate where a side is not quoted.
struct Moment {
    rates: Vec<[f64; 2]>,
    depths: Vec<[f64; 2]>,
}

/// exp(−γ·result), result and its square, expected from each inventory.
type State = [Vec<f64>; 3];

impl<F: Fn(i64, f64) -> [f64; 2]> Equations<F> {
    fn run(&self, horizon: f64, steps: u32) -> Outcome {
        let n = (2 * self.q_max + 1) as usize;
        let h = horizon / f64::from(steps);
        let mut state = [vec![1.0; n], vec![0.0; n], vec![0.0; n]];
        // The expectation is kept within the range of a float.
        let mut log_scale = 0.0;
        for step in 0..steps {
            self.step(&mut state, f64::from(step) * h, h);
            let most = state[0].iter().copied().fold(0.0, f64::max);
            state[0].iter_mut().for_each(|u| *u /= most);
            log_scale += most.ln();
        }
        let flat = self.q_max as usize;
        let expected = state[0][flat].ln() + log_scale;
        let fine = expected.is_finite() && state[0].iter().all(|u| *u > 0.0);
        let mean = state[1][flat];
        Outcome {
            certainty_equivalent: fine.then_some(-expected / self.gamma),
            mean,
            std: (state[2][flat] - mean * mean).sqrt(),
        }
    }

    fn step(&self, state: &mut State, at: f64, h: f64) {
        let mut slopes: Vec<State> = Vec::with_capacity(5);
        for stage in 0..5 {
            let mut known = state.clone();
            for (slope, weight) in slopes.iter().zip(STAGES[stage]) {
                for (known, slope) in known.iter_mut().zip(slope) {
                    known.iter_mut().zip(slope).for_each(|(k, s)| *k += h * weight * s);
                }
            }
            let moment = self.moment(at + C[stage] * h);
            let value = self.implicit(&moment, &known, OWN * h);
            if stage == 4 {
                *state = value;
                return;
            }
            let slope = |i: usize| {
                value[i].iter().zip(&known[i]).map(|(v, k)| (v - k) / (OWN * h)).collect()
            };
            slopes.push([slope(0), slope(1), slope(2)]);
        }
    }

    fn moment(&self, time_left: f64) -> Moment {
        let Market { a, k, .. } = self.market;
        let q = -self.q_max..=self.q_max;
        let depths: Vec<[f64; 2]> = q.map(|q| (self.depths)(q, time_left)).collect();
        let rate = |depth: f64| a * (-k * depth).exp();
        let mut rates: Vec<[f64; 2]> = depths.iter().map(|pair| pair.map(rate)).collect();
        if let (Some(first), Some(last)) = (rates.first().copied(), rates.last().copied()) {
            let n = rates.len();
            rates[0] = [first[0], 0.0];
            rates[n - 1] = [0.0, last[1]];
        }
        Moment { rates, depths }
    }

    /// Solves `x − w·F(x) = known` for all three.
    fn implicit(&self, moment: &Moment, known: &State, w: f64) -> State {
        let n = moment.rates.len();
        let variance = |i: usize| (self.market.sigma * (i as i64 - self.q_max) as f64).powi(2);
        let sides = |i: usize, value: &dyn Fn(f64, f64, usize) -> f64| {
            let mut sum = 0.0;
            for (side, to) in [i.wrapping_add(1), i.wrapping_sub(1)].into_iter().enumerate() {
                if moment.rates[i][side] > 0.0 {
                    sum += value(moment.rates[i][side], moment.depths[i][side], to);
                }
            }
            sum
        };
        let gamma = self.gamma;
        let utility = solve(
            n,
            |i, side| w * moment.rates[i][side] * (-gamma * moment.depths[i][side]).exp(),
            |i| 1.0 + w * (sides(i, &|rate, _, _| rate) - gamma * gamma * variance(i) / 2.0),
            |i| known[0][i],
        );
        let plain = |i: usize, side: usize| w * moment.rates[i][side];
        let diagonal = |i: usize| 1.0 + w * sides(i, &|rate, _, _| rate);
        let mean = solve(n, plain, diagonal, |i| {
            known[1][i] + w * sides(i, &|rate, depth, _| rate * depth)
        });
        let square = solve(n, plain, diagonal, |i| {
            let fills = sides(i, &|rate, depth, to| rate * depth * (depth + 2.0 * mean[to]));
            known[2][i] + w * (fills + variance(i))
        });
        [utility, mean, square]
    }
}

/// Solves `diagonal·x[i] − beside(i, 0)·x[i+1] − beside(i, 1)·x[i−1] = right[i]` by elimination.
fn solve(
    n: usize,
    beside: impl Fn(usize, usize) -> f64,
    diagonal: impl Fn(usize) -> f64,
    right: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let (mut factors, mut x) = (vec![0.0; n], vec![0.0; n]);
    for i in 0..n {
        let (before, value) = if i == 0 { (0.0, 0.0) } else { (factors[i - 1], x[i - 1]) };
        let left = if i == 0 { 0.0 } else { beside(i, 1) };
        let pivot = diagonal(i) - left * before;
        factors[i] = if i + 1 == n { 0.0 } else { beside(i, 0) / pivot };
        x[i] = (right(i) + left * value) / pivot;
    }
    for i in (0..n - 1).rev() {
        x[i] += factors[i] * x[i + 1];
    }
    x
}
