//! Where does inventory go under given quotes? A birth–death chain: up by one quote at rate
//! A·exp(−k·bid depth), down by one at A·exp(−k·ask depth).
//!
//! Standard theory of birth–death chains: the stationary law by detailed balance, the half-life
//! from the generator's second eigenvalue, expectations over a horizon by uniformisation.

use super::tridiagonal::eigenvalue;

/// Inventories of −q_max to q_max quotes, with rates and depths at each.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Fills a second of the bid and of the ask; none where that would leave the chain.
    rates: Vec<[f64; 2]>,
    depths: Vec<[f64; 2]>,
}

/// How inventory behaves in the long run.
#[derive(Clone, Debug, PartialEq)]
pub struct Stationary {
    /// Probability of each inventory, −q_max first.
    pub probability: Vec<f64>,
    /// Fills a second.
    pub fill_rate: f64,
    /// Depth earned a second, price units times quotes.
    pub edge_rate: f64,
    /// Mean of inventory without its sign, quotes.
    pub mean_abs: f64,
    /// Standard deviation of inventory, quotes.
    pub std: f64,
    /// Rate at which a disturbance fades, per second.
    pub relaxation_rate: f64,
    /// Time in which a disturbance halves, seconds.
    pub half_life: f64,
}

/// What a horizon brings, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transient {
    /// Fills.
    pub fills: f64,
    /// Depth earned, price units times quotes.
    pub edge: f64,
    /// Mean square of inventory at the end.
    pub square_at_end: f64,
}

impl Chain {
    /// The chain of quotes at `depths(q)` (bid, ask) where `a` arrive a second at depth zero and
    /// thin out by `k` a price unit. `None` unless a and k are above zero, `q_max` is at least 1
    /// and all rates are finite and above zero.
    #[must_use]
    pub fn new(a: f64, k: f64, q_max: i64, depths: impl Fn(i64) -> [f64; 2]) -> Option<Chain> {
        let depths: Vec<[f64; 2]> = (-q_max..=q_max).map(depths).collect();
        if !(a.is_finite() && a > 0.0 && k.is_finite() && k > 0.0 && q_max >= 1) {
            return None;
        }
        let last = depths.len() - 1;
        let rate = |depth: f64| a * (-k * depth).exp();
        let rates: Vec<[f64; 2]> = (0..=last)
            .map(|i| {
                let [bid, ask] = depths[i];
                let up = if i == last { 0.0 } else { rate(bid) };
                [up, if i == 0 { 0.0 } else { rate(ask) }]
            })
            .collect();
        let alive = |i: usize| rates[i][0] > 0.0 && rates[i + 1][1] > 0.0;
        let finite = rates.iter().flatten().all(|rate| rate.is_finite());
        (finite && (0..last).all(alive)).then_some(Chain { rates, depths })
    }

    /// The long run. `None` where a number is not finite.
    #[must_use]
    pub fn stationary(&self) -> Option<Stationary> {
        let mut logs = vec![0.0; self.rates.len()];
        for i in 1..logs.len() {
            logs[i] = logs[i - 1] + (self.rates[i - 1][0] / self.rates[i][1]).ln();
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let whole: f64 = weights.iter().sum();
        let probability: Vec<f64> = weights.iter().map(|weight| weight / whole).collect();
        let mean = self.average(&probability, |q, _| q);
        // The generator is similar to a symmetric matrix; its smallest eigenvalue is zero.
        let diagonal: Vec<f64> = self.rates.iter().map(|[up, down]| up + down).collect();
        let squares: Vec<f64> = self.rates.windows(2).map(|pair| pair[0][0] * pair[1][1]).collect();
        let relaxation_rate = eigenvalue(&diagonal, &squares, 1)?;
        let result = Stationary {
            fill_rate: self.average(&probability, |_, i| self.fills(i)),
            edge_rate: self.average(&probability, |_, i| self.edge(i)),
            mean_abs: self.average(&probability, |q, _| q.abs()),
            std: self.average(&probability, |q, _| (q - mean).powi(2)).sqrt(),
            relaxation_rate,
            half_life: std::f64::consts::LN_2 / relaxation_rate,
            probability,
        };
        let finite = [result.edge_rate, result.std, result.half_life].iter().all(|v| v.is_finite());
        finite.then_some(result)
    }

    /// What `horizon` seconds bring to one who begins at inventory `from`. `None` where that is
    /// outside the chain or the horizon is not finite or holds more than some million fills.
    #[must_use]
    pub fn transient(&self, from: i64, horizon: f64) -> Option<Transient> {
        let start = usize::try_from(from + self.q_max()).ok().filter(|i| *i < self.rates.len())?;
        let clock = self.rates.iter().map(|[up, down]| up + down).fold(0.0, f64::max);
        let steps = (clock * horizon / 16.0).ceil().max(1.0);
        if !(horizon >= 0.0 && steps <= 200_000.0) {
            return None;
        }
        let mut now = vec![0.0; self.rates.len()];
        now[start] = 1.0;
        let (mut fills, mut edge) = (0.0, 0.0);
        for _ in 0..steps as u64 {
            let occupied = self.advance(&mut now, clock, horizon / steps);
            fills += self.average(&occupied, |_, i| self.fills(i));
            edge += self.average(&occupied, |_, i| self.edge(i));
        }
        Some(Transient { fills, edge, square_at_end: self.average(&now, |q, _| q * q) })
    }

    /// Moves the law on by `h` seconds; the time spent at each inventory meanwhile.
    fn advance(&self, law: &mut [f64], clock: f64, h: f64) -> Vec<f64> {
        let jumps = clock * h;
        // Chance of exactly n jumps of a clock that ticks at the fastest rate, and of more.
        let (mut exactly, mut more) = ((-jumps).exp(), -(-jumps).exp_m1());
        let mut state = law.to_vec();
        let mut occupied: Vec<f64> = state.iter().map(|p| p * more / clock).collect();
        law.iter_mut().for_each(|p| *p *= exactly);
        let mut n = 0.0;
        while more > 1e-17 && n < 200.0 {
            n += 1.0;
            exactly *= jumps / n;
            more -= exactly;
            state = self.jump(&state, clock);
            for (i, p) in state.iter().enumerate() {
                law[i] += p * exactly;
                occupied[i] += p * more.max(0.0) / clock;
            }
        }
        occupied
    }

    fn jump(&self, state: &[f64], clock: f64) -> Vec<f64> {
        let mut next = vec![0.0; state.len()];
        for (i, p) in state.iter().enumerate() {
            let [up, down] = self.rates[i];
            next[i] += p * (1.0 - (up + down) / clock);
            if i + 1 < next.len() {
                next[i + 1] += p * up / clock;
            }
            if i > 0 {
                next[i - 1] += p * down / clock;
            }
        }
        next
    }

    fn q_max(&self) -> i64 {
        (self.rates.len() / 2) as i64
    }

    fn fills(&self, i: usize) -> f64 {
        self.rates[i].iter().sum()
    }

    fn edge(&self, i: usize) -> f64 {
        // Depths of sides that are not quoted may be infinite.
        let side = |s: usize| {
            if self.rates[i][s] > 0.0 { self.rates[i][s] * self.depths[i][s] } else { 0.0 }
        };
        side(0) + side(1)
    }

    fn average(&self, law: &[f64], value: impl Fn(f64, usize) -> f64) -> f64 {
        let q_max = self.q_max();
        law.iter().enumerate().map(|(i, p)| p * value((i as i64 - q_max) as f64, i)).sum()
    }
}
