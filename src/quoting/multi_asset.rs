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
        let root = square_root((0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect())?;
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
fn square_root(mut m: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = m.len();
    let size = m.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
    let symmetric = (0..n).all(|i| (0..i).all(|j| (m[i][j] - m[j][i]).abs() <= 1e-9 * size));
    if !(size.is_finite() && symmetric) {
        return None;
    }
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..60 {
        let rest: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| m[i][j].powi(2)).sum();
        if rest.sqrt() <= 1e-17 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut m, &mut vectors, p, q);
            }
        }
    }
    let roots: Vec<f64> = (0..n).map(|i| m[i][i].max(0.0).sqrt()).collect();
    let entry = |i: usize, j: usize| (0..n).map(|e| vectors[i][e] * roots[e] * vectors[j][e]).sum();
    Some((0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect())
}

/// One rotation, after which `m[p][q]` is zero.
fn rotate(m: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    if m[p][q] == 0.0 {
        return;
    }
    let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
    let sign = if theta < 0.0 { -1.0 } else { 1.0 };
    let t = sign / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for row in m.iter_mut().chain(vectors.iter_mut()) {
        let (a, b) = (row[p], row[q]);
        row[p] = c * a - s * b;
        row[q] = s * a + c * b;
    }
    let (above, below) = m.split_at_mut(q);
    for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}
