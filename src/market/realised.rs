//! How much did a price move over a window, once the noise of single prices is taken out?
//!
//! Every function takes prices (or logarithms) at equal distances, or bars, and gives variances in
//! the squared unit of its input over the whole of it; a caller divides by the window's seconds.
//! `None` where there is too little to say anything, or a number is not finite.

/// Realised variance: Σ ΔY².
#[must_use]
pub fn realised_variance(prices: &[f64]) -> Option<f64> {
    let sum = steps(prices).map(|step| step * step).sum();
    known(sum, prices.len() >= 2)
}

/// Realised variance of steps over `k` intervals, averaged over the `k` places to begin:
/// Σ (Y_{i+k} − Y_i)² / k.
#[must_use]
pub fn subsampled_variance(prices: &[f64], k: usize) -> Option<f64> {
    let later = prices.get(k..).filter(|later| k > 0 && !later.is_empty())?;
    let sum: f64 = later.iter().zip(prices).map(|(after, before)| (after - before).powi(2)).sum();
    known(sum / k as f64, true)
}

/// Two-scales realised variance of Zhang, Mykland and Aït-Sahalia (2005), eq. 55 and 64: the
/// subsampled variance less the part that noise adds, n̄/n·RV with n̄ = (n − k + 1)/k. With
/// `small_sample` divided by 1 − n̄/n. Can be below zero when noise is all there is.
#[must_use]
pub fn two_scales_variance(prices: &[f64], k: usize, small_sample: bool) -> Option<f64> {
    let n = prices.len().checked_sub(1)? as f64;
    let share = (n - k as f64 + 1.0) / k as f64 / n;
    let variance = subsampled_variance(prices, k)? - share * realised_variance(prices)?;
    let scale = if small_sample { 1.0 - share } else { 1.0 };
    known(variance / scale, scale > 0.0)
}

/// Pre-averaged realised variance of Jacod, Li, Mykland, Podolskij and Vetter (2009) with weights
/// g(x) = min(x, 1 − x) over blocks of `block` steps, corrected for noise. Can be below zero.
#[must_use]
pub fn pre_averaged_variance(prices: &[f64], block: usize) -> Option<f64> {
    let n = prices.len().checked_sub(1).filter(|n| block >= 2 && *n >= block)?;
    let width = block as f64;
    let weight = |j: usize| (j as f64 / width).min(1.0 - j as f64 / width);
    let slopes = (0..block).map(|j| (weight(j + 1) - weight(j)).powi(2)).sum::<f64>();
    let phi1 = width * slopes;
    let phi2 = (1..block).map(|j| weight(j).powi(2)).sum::<f64>() / width;
    let moves: Vec<f64> = steps(prices).collect();
    let averaged: f64 = moves
        .windows(block - 1)
        .map(|window| window.iter().zip(1..).map(|(step, j)| weight(j) * step).sum::<f64>())
        .map(|bar| bar * bar)
        .sum();
    let n = n as f64;
    let signal = n / (n - width + 2.0) * averaged / (width * phi2);
    let noise = phi1 / (2.0 * width * width / n * phi2) * realised_variance(prices)? / n;
    known(signal - noise, true)
}

/// Bipower variation of Barndorff-Nielsen and Shephard (2004): π/2·Σ|ΔY_i||ΔY_{i−1}|, which a
/// single jump does not enter.
#[must_use]
pub fn bipower_variation(prices: &[f64]) -> Option<f64> {
    let moves: Vec<f64> = steps(prices).collect();
    let sum: f64 = moves.windows(2).map(|pair| (pair[0] * pair[1]).abs()).sum();
    known(std::f64::consts::FRAC_PI_2 * sum, moves.len() >= 2)
}

/// Mean product of neighbouring moves, not demeaned: below zero where prices bounce, above zero
/// where they are slow to follow.
#[must_use]
pub fn first_autocovariance(prices: &[f64]) -> Option<f64> {
    let moves: Vec<f64> = steps(prices).collect();
    let products = moves.windows(2).map(|pair| pair[0] * pair[1]);
    known(products.sum::<f64>() / moves.len().saturating_sub(1) as f64, moves.len() >= 2)
}

/// Effective spread of Roll (1984): 2·√max(0, −cov) of neighbouring moves, demeaned.
#[must_use]
pub fn roll_spread(prices: &[f64]) -> Option<f64> {
    let moves: Vec<f64> = steps(prices).collect();
    let (later, earlier) = (moves.get(1..)?, moves.get(..moves.len().checked_sub(1)?)?);
    let pairs = later.len() as f64;
    let mean = |moves: &[f64]| moves.iter().sum::<f64>() / pairs;
    let (mean_later, mean_earlier) = (mean(later), mean(earlier));
    let products = later.iter().zip(earlier).map(|(a, b)| (a - mean_later) * (b - mean_earlier));
    let covariance = known(products.sum::<f64>() / (pairs - 1.0), pairs >= 2.0)?;
    Some(2.0 * (-covariance).max(0.0).sqrt())
}

/// Open, high, low and close of one stretch of time, as logarithms of prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// First.
    pub open: f64,
    /// Highest.
    pub high: f64,
    /// Lowest.
    pub low: f64,
    /// Last.
    pub close: f64,
}

impl Bar {
    /// Variance of Parkinson (1980): (high − low)²/(4 ln 2). No drift, no gaps.
    #[must_use]
    pub fn parkinson(&self) -> f64 {
        (self.high - self.low).powi(2) / (4.0 * std::f64::consts::LN_2)
    }

    /// Variance of Garman and Klass (1980): ½(high − low)² − (2 ln 2 − 1)(close − open)².
    #[must_use]
    pub fn garman_klass(&self) -> f64 {
        let closing = (2.0 * std::f64::consts::LN_2 - 1.0) * (self.close - self.open).powi(2);
        0.5 * (self.high - self.low).powi(2) - closing
    }

    /// Variance of Rogers and Satchell (1991), right whatever the drift:
    /// (h − c)(h − o) + (l − c)(l − o).
    #[must_use]
    pub fn rogers_satchell(&self) -> f64 {
        (self.high - self.close) * (self.high - self.open)
            + (self.low - self.close) * (self.low - self.open)
    }
}

fn steps(prices: &[f64]) -> impl Iterator<Item = f64> + '_ {
    prices.windows(2).map(|pair| pair[1] - pair[0])
}

fn known(value: f64, enough: bool) -> Option<f64> {
    (enough && value.is_finite()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_or_no_numbers_give_none() {
        for prices in [&[][..], &[1.0], &[1.0, f64::NAN, 2.0, f64::NAN], &[1.0, f64::INFINITY, 2.0]]
        {
            assert_eq!(realised_variance(prices), None);
            assert_eq!(subsampled_variance(prices, 1), None);
            assert_eq!(two_scales_variance(prices, 2, true), None);
            assert_eq!(pre_averaged_variance(prices, 2), None);
            assert_eq!(bipower_variation(prices), None);
            assert_eq!(first_autocovariance(prices), None);
            assert_eq!(roll_spread(prices), None);
        }
        assert_eq!(subsampled_variance(&[1.0, 2.0], 0), None);
        assert_eq!(two_scales_variance(&[1.0, 2.0, 3.0], 0, true), None);
    }

    #[test]
    fn the_range_estimators_agree_on_a_bar_without_drift_and_differ_with_it() {
        let still = Bar { open: 0.0, high: 2.0, low: -2.0, close: 0.0 };
        assert!((still.parkinson() - 16.0 / (4.0 * 2f64.ln())).abs() < 1e-12);
        assert!((still.garman_klass() - 8.0).abs() < 1e-12);
        assert!((still.rogers_satchell() - 8.0).abs() < 1e-12);
        let straight = Bar { open: 0.0, high: 2.0, low: 0.0, close: 2.0 };
        assert_eq!(straight.rogers_satchell(), 0.0, "nothing but drift");
        assert!(straight.garman_klass() > 0.0 && straight.parkinson() > 0.0);
    }
}
