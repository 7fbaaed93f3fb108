//! How much should quotes of one asset lean against what is held of others? By their covariance.
//!
//! Bergault, Evangelista, Guéant, Vieira, arXiv:1810.04383: the value of holdings q is close to
//! −q'Aq with 4·A·D·A = (γ/2)·Σ, D = diag(zᵢAᵢkᵢCᵢ), so that
//! A = √(γ/8)·D^(−½)·(D^½ΣD^½)^½·D^(−½). One asset gives the closed form of GLFT.

use super::glft::margin;

/// One asset's market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asset {
    /// Arrivals per second at depth zero, on each side.
    pub a: f64,
    /// Decay of arrivals per price unit of depth.
    pub k: f64,
    /// Size of a quote.
    pub lot: f64,
}

/// Quotes of several assets that answer to all holdings.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiAsset {
    margins: Vec<f64>,
    lots: Vec<f64>,
    matrix: Vec<Vec<f64>>,
}

/// More assets than this are not solved.
pub const MAX_ASSETS: usize = 20;

impl MultiAsset {
    /// The quotes for covariances `sigma` (price units² a second), risk aversion γ and execution
    /// aversion ξ. `None` unless there are 1 to [`MAX_ASSETS`] assets, `sigma` is as large,
    /// symmetric, A, k, z and γ are above zero, ξ not below, and all finite.
    #[must_use]
    pub fn new(
        sigma: &[Vec<f64>],
        assets: &[Asset],
        gamma: f64,
        execution_aversion: f64,
    ) -> Option<MultiAsset> {
        let n = assets.len();
        let positive = assets
            .iter()
            .flat_map(|asset| [asset.a, asset.k, asset.lot])
            .chain([gamma])
            .all(|v| v.is_finite() && v > 0.0);
        let square = sigma.len() == n && sigma.iter().all(|row| row.len() == n);
        let good = positive && square && execution_aversion >= 0.0;
        if !(good && (1..=MAX_ASSETS).contains(&n)) {
            return None;
        }
        let solved: Vec<(f64, f64)> = assets
            .iter()
            .map(|own| {
                let (base, odds) = margin(own.k, execution_aversion, own.lot);
                (base, (own.lot * own.a * own.k / odds).sqrt())
            })
            .collect();
        let entry = |i: usize, j: usize| solved[i].1 * sigma[i][j] * solved[j].1;
        let rows: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
        let root = square_root(&rows)?;
        let scale = (gamma / 8.0).sqrt();
        let matrix: Vec<Vec<f64>> = (0..n)
            .map(|i| (0..n).map(|j| scale * root[i][j] / (solved[i].1 * solved[j].1)).collect())
            .collect();
        let finite = matrix.iter().flatten().all(|v| v.is_finite());
        finite.then(|| MultiAsset {
            margins: solved.iter().map(|(base, _)| *base).collect(),
            lots: assets.iter().map(|asset| asset.lot).collect(),
            matrix,
        })
    }

    /// The matrix A of the value function.
    #[must_use]
    pub fn matrix(&self) -> &[Vec<f64>] {
        &self.matrix
    }

    /// How far the quotes of asset `i` move down because of these holdings, its own included.
    fn skew(&self, i: usize, holdings: &[f64]) -> f64 {
        2.0 * self.matrix[i].iter().zip(holdings).map(|(a, q)| a * q).sum::<f64>()
    }

    /// Distance of asset `i`'s bid below and of its ask above the reference.
    #[must_use]
    pub fn depths(&self, i: usize, holdings: &[f64]) -> [f64; 2] {
        let half_spread = self.margins[i] + self.lots[i] * self.matrix[i][i];
        let skew = self.skew(i, holdings);
        [half_spread + skew, half_spread - skew]
    }
}

/// The square root of a symmetric matrix, by Jacobi rotations. Eigenvalues below zero count as zero:
/// correlations that were measured pair by pair need not fit together. `None` where the matrix is
/// not symmetric or not finite.
fn square_root(rows: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = rows.len();
    let mut m: Vec<f64> = rows.iter().flatten().copied().collect();
    let size = m.iter().map(|v| v * v).sum::<f64>().sqrt();
    let symmetric =
        (0..n).all(|i| (0..i).all(|j| (m[i * n + j] - m[j * n + i]).abs() <= 1e-9 * size));
    if !(size.is_finite() && symmetric) {
        return None;
    }
    // Row by row the eigenvectors.
    let mut vectors = vec![0.0; n * n];
    vectors.iter_mut().step_by(n + 1).for_each(|own| *own = 1.0);
    // What is left beside the diagonal in the end is less than the last digit of the whole. Each
    // sweep squares it; without an end to it, rounding noise would be turned round for ever.
    let negligible = 1e-17 * size / n as f64;
    for _ in 0..60 {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                if m[p * n + q].abs() > negligible {
                    rotate(&mut m, &mut vectors, n, p, q);
                    turned = true;
                }
            }
        }
        if !turned {
            break;
        }
    }
    let mut root = vec![vec![0.0; n]; n];
    for (e, vector) in vectors.chunks(n).enumerate() {
        // What is left of a zero by rounding has a root a million times as large.
        let eigenvalue = m[e * n + e];
        let value = if eigenvalue > 1e-15 * size { eigenvalue.sqrt() } else { 0.0 };
        for (row, own) in root.iter_mut().zip(vector) {
            row.iter_mut().zip(vector).for_each(|(sum, other)| *sum += own * value * other);
        }
    }
    Some(root)
}

/// One rotation, after which the entries of `p` and `q` are zero.
fn rotate(m: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let (joint, first, second) = (m[p * n + q], m[p * n + p], m[q * n + q]);
    let theta = (second - first) / (2.0 * joint);
    let sign = if theta < 0.0 { -1.0 } else { 1.0 };
    let t = sign / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for rows in [&mut *m, vectors] {
        let (above, below) = rows.split_at_mut(q * n);
        for (x, y) in above[p * n..].iter_mut().zip(&mut below[..n]).take(n) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    }
    for k in 0..n {
        (m[k * n + p], m[k * n + q]) = (m[p * n + k], m[q * n + k]);
    }
    m[p * n + p] = first - t * joint;
    m[q * n + q] = second + t * joint;
    (m[p * n + q], m[q * n + p]) = (0.0, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_twenty_squares_to_them() {
        // Some alike, some opposite, one that is the sum of two: eigenvalues that coincide and vanish.
        let n = 20;
        let load = |i: usize, j: usize| f64::from(((i * 7 + j * 3) % 11) as u32) - 5.0;
        let product = |a: &dyn Fn(usize, usize) -> f64, b: &dyn Fn(usize, usize) -> f64| {
            let entry = |i, j| (0..n).map(|e| a(i, e) * b(e, j)).sum::<f64>();
            (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect::<Vec<Vec<f64>>>()
        };
        let singular = product(&load, &|i, j| load(j, i));
        let alike: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { 0.7 }).collect()).collect();
        for matrix in [singular, alike] {
            let root = square_root(&matrix).unwrap();
            let square = product(&|i, j| root[i][j], &|i, j| root[i][j]);
            let size = matrix.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
            let pairs = square.iter().flatten().zip(matrix.iter().flatten());
            let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off <= 1e-13 * size, "{off}");
            assert!((0..n).all(|i| (0..n).all(|j| (root[i][j] - root[j][i]).abs() < 1e-12)));
        }
    }
}
