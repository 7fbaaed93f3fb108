//! Tridiagonal matrices with positive neighbours: smallest eigenvalues, the ground vector and the
//! exponential, each to the last digits of every component.
//!
//! A dense eigensolver loses the tails of the ground vector, and quotes far from flat with them.
//! Here the eigenvalue comes from Sturm bisection, the vector from ratios of neighbours taken from
//! both edges towards its peak, and the exponential from a series of terms that are all above zero
//! (uniformisation).

/// Row q of the matrix: `diagonal[q]` there, −`up` to its right, −`down` to its left.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tridiagonal {
    pub(super) diagonal: Vec<f64>,
    /// Above zero.
    pub(super) up: f64,
    /// Above zero.
    pub(super) down: f64,
}

/// How many terms a series may have in all; beyond that a horizon is as good as infinite.
const MOST_STEPS: f64 = 20_000.0;

impl Tridiagonal {
    /// The smallest eigenvalue, and `ln(f[i]/f[i+1])` of its vector f. `None` where it is not
    /// finite.
    pub(super) fn ground(&self) -> Option<(f64, Vec<f64>)> {
        let d = &self.diagonal;
        let off = (self.up * self.down).sqrt();
        let squares = vec![off * off; d.len() - 1];
        let least = eigenvalue(d, &squares, 0)?;
        // Ratios are exact while the vector falls away outward, so both sides end at its peak.
        let peak = (0..d.len()).min_by(|i, j| d[*i].total_cmp(&d[*j]))?;
        let mut steps = vec![0.0; d.len() - 1];
        let mut inverse = 0.0;
        for i in (peak + 1..d.len()).rev() {
            let ratio = (d[i] - least) / off - inverse; // f[i−1]/f[i]
            steps[i - 1] = ratio.ln();
            inverse = 1.0 / ratio;
        }
        inverse = 0.0;
        for i in 0..peak {
            let ratio = (d[i] - least) / off - inverse; // f[i+1]/f[i]
            steps[i] = -ratio.ln();
            inverse = 1.0 / ratio;
        }
        // The vector of the matrix is the symmetric one's times (down/up)^(i/2).
        let tilt = 0.5 * (self.down / self.up).ln();
        steps.iter_mut().for_each(|step| *step -= tilt);
        steps.iter().all(|step| step.is_finite()).then_some((least, steps))
    }

    /// `ln(exp(−M·time)·z)` by component, from `ln z`. `None` where it is not finite or the horizon
    /// is too long to be worth it.
    pub(super) fn decayed(&self, log_start: &[f64], time: f64) -> Option<Vec<f64>> {
        let d = &self.diagonal;
        let top = d.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let bottom = d.iter().copied().fold(f64::INFINITY, f64::min);
        let steps = ((top - bottom + self.up + self.down) * time / 16.0).ceil().max(1.0);
        if !(steps <= MOST_STEPS && time >= 0.0) {
            return None;
        }
        let h = time / steps;
        let mut scale = log_start.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut v: Vec<f64> = log_start.iter().map(|log| (log - scale).exp()).collect();
        for _ in 0..steps as u64 {
            self.series(&mut v, top, h);
            let most = v.iter().copied().fold(0.0, f64::max);
            v.iter_mut().for_each(|value| *value /= most);
            scale += most.ln() - top * h;
        }
        let logs: Vec<f64> = v.iter().map(|value| value.ln() + scale).collect();
        logs.iter().all(|log| log.is_finite()).then_some(logs)
    }

    /// `v ← exp((top − M)·h)·v`.
    fn series(&self, v: &mut [f64], top: f64, h: f64) {
        let (mut term, mut next) = (v.to_vec(), vec![0.0; v.len()]);
        for n in 1..400 {
            for i in 0..v.len() {
                let right = term.get(i + 1).map_or(0.0, |right| self.up * right);
                let left = if i == 0 { 0.0 } else { self.down * term[i - 1] };
                next[i] = ((top - self.diagonal[i]) * term[i] + right + left) * h / f64::from(n);
            }
            std::mem::swap(&mut term, &mut next);
            let mut settled = true;
            for (sum, term) in v.iter_mut().zip(&term) {
                *sum += term;
                settled &= *term <= 1e-18 * *sum;
            }
            if settled {
                break;
            }
        }
    }
}

/// The eigenvalue number `rank` from below (0 is the smallest) of a symmetric tridiagonal matrix,
/// given its diagonal and the squares beside it. `None` unless all are finite.
pub(super) fn eigenvalue(diagonal: &[f64], squares: &[f64], rank: usize) -> Option<f64> {
    let beside = |i: usize| squares.get(i).map_or(0.0, |square| square.sqrt());
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (i, d) in diagonal.iter().enumerate() {
        let radius = beside(i) + if i == 0 { 0.0 } else { beside(i - 1) };
        (low, high) = (low.min(d - radius), high.max(d + radius));
    }
    if !(low.is_finite() && high.is_finite()) || rank >= diagonal.len() {
        return None;
    }
    let tiny = f64::EPSILON * f64::EPSILON * low.abs().max(high.abs()).max(f64::MIN_POSITIVE);
    // The count of negative pivots is the count of eigenvalues below x.
    let below = |x: f64| {
        let (mut count, mut pivot) = (0, 1.0);
        for (i, d) in diagonal.iter().enumerate() {
            let before = if i == 0 { 0.0 } else { squares[i - 1] / pivot };
            pivot = d - x - before;
            if pivot.abs() < tiny {
                pivot = -tiny;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    };
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return Some(middle);
        }
        if below(middle) > rank { high = middle } else { low = middle }
    }
}
