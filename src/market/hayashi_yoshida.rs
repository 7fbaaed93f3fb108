//! How do two prices move together that never tick at the same instant, and which moves first?
//!
//! Hayashi and Yoshida (2005): the sum of the products of all increments whose time intervals
//! overlap estimates the covariance without a common grid, and so without the Epps effect.
//! Hoffmann, Rosenbaum and Yoshida (2013): the lag that maximises its correlation is how far one
//! price leads the other.

use std::collections::VecDeque;

use crate::domain::{Span, Ts};

/// Most observations of one series that a window keeps.
pub const MAX_OBSERVATIONS: usize = 4096;

/// Second moments of two asynchronous series over one stretch of time, in the squared unit of the
/// values (not per second).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HayashiYoshida {
    /// Covariance: Σ Δx·Δy over overlapping intervals.
    pub covariance: f64,
    /// Realised variance of the first series, Σ Δx².
    pub variance_x: f64,
    /// Realised variance of the second series, Σ Δy².
    pub variance_y: f64,
}

impl HayashiYoshida {
    /// Correlation; in small samples it can be beyond ±1. `None` when either price stood still.
    #[must_use]
    pub fn correlation(&self) -> Option<f64> {
        let scale = (self.variance_x * self.variance_y).sqrt();
        Some(self.covariance / scale).filter(|ratio| scale > 0.0 && ratio.is_finite())
    }

    /// Units of the first for each unit of the second, for a hedge of the first with the second:
    /// covariance over variance of the second. `None` when the second price stood still.
    #[must_use]
    pub fn beta(&self) -> Option<f64> {
        let beta = self.covariance / self.variance_y;
        (self.variance_y > 0.0 && beta.is_finite()).then_some(beta)
    }
}

/// The estimate over two series of (seconds, value), the second moved back by `lag_s` seconds:
/// a positive lag asks whether the second repeats the first that much later.
///
/// Times must rise strictly. The interval from one observation to the next is open at its start
/// and closed at its end, so that intervals which only touch do not overlap. Runs in O(n + m).
/// `None` with fewer than two observations in either, or where a value is not finite.
#[must_use]
pub fn hayashi_yoshida(x: &[(f64, f64)], y: &[(f64, f64)], lag_s: f64) -> Option<HayashiYoshida> {
    if x.len() < 2 || y.len() < 2 {
        return None;
    }
    let square = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1).powi(2);
    let mut covariance = 0.0;
    let mut first = 0;
    for step in x.windows(2) {
        let ((start, before), (end, after)) = (step[0], step[1]);
        while first + 1 < y.len() && y[first + 1].0 - lag_s <= start {
            first += 1;
        }
        for other in y[first..].windows(2).take_while(|other| other[0].0 - lag_s < end) {
            covariance += (after - before) * (other[1].1 - other[0].1);
        }
    }
    let moments = HayashiYoshida {
        covariance,
        variance_x: x.windows(2).map(square).sum(),
        variance_y: y.windows(2).map(square).sum(),
    };
    let sound = moments.covariance.is_finite()
        && moments.variance_x.is_finite()
        && moments.variance_y.is_finite();
    sound.then_some(moments)
}

/// Which of two prices moves first.
#[derive(Clone, Debug, PartialEq)]
pub struct LeadLag {
    /// The lag with the greatest correlation, seconds; above zero when the first price leads.
    pub lag_s: f64,
    /// Correlation at that lag.
    pub correlation: f64,
    /// Σρ² over positive lags to Σρ² over negative ones (LLR): above 1 when the first price leads.
    pub ratio: f64,
    /// Correlation at each lag asked for (the contrast function).
    pub contrast: Vec<f64>,
}

/// The contrast over `lags_s`, where it is farthest from zero, and the lead-lag ratio (Hoffmann,
/// Rosenbaum, Yoshida, Bernoulli 19(2), 2013: argmax of |U|). `None` where no correlation exists or
/// there is no lag on one of the two sides.
#[must_use]
pub fn lead_lag(x: &[(f64, f64)], y: &[(f64, f64)], lags_s: &[f64]) -> Option<LeadLag> {
    let at = |&lag: &f64| hayashi_yoshida(x, y, lag).and_then(|moments| moments.correlation());
    let contrast: Vec<f64> = lags_s.iter().map(at).collect::<Option<_>>()?;
    let pairs = || lags_s.iter().copied().zip(contrast.iter().copied());
    let (lag_s, correlation) = pairs().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let squares =
        |side: f64| pairs().filter(|(lag, _)| lag * side > 0.0).map(|(_, rho)| rho * rho).sum();
    let (leads, follows): (f64, f64) = (squares(1.0), squares(-1.0));
    let ratio = leads / follows;
    ratio.is_finite().then_some(LeadLag { lag_s, correlation, ratio, contrast })
}

/// Two prices over a rolling window of time, bounded in memory.
#[derive(Clone, Debug)]
pub struct HayashiYoshidaWindow {
    window: Span,
    sample_every: Span,
    series: [VecDeque<(Ts, f64)>; 2],
}

impl HayashiYoshidaWindow {
    /// Keeps `window` of both prices, observations at least `sample_every` apart and no more than
    /// [`MAX_OBSERVATIONS`] of each.
    #[must_use]
    pub fn new(window: Span, sample_every: Span) -> HayashiYoshidaWindow {
        HayashiYoshidaWindow { window, sample_every, series: [VecDeque::new(), VecDeque::new()] }
    }

    /// The log price of the first (0) or second (1) series. What is not finite, goes back in time
    /// or comes before a sample is due is left out.
    pub fn observe(&mut self, which: usize, at: Ts, log_price: f64) {
        let Some(series) = self.series.get_mut(which).filter(|_| log_price.is_finite()) else {
            return;
        };
        let due = series.back().is_none_or(|&(last, _)| {
            let elapsed = at.since(last);
            elapsed > Span::ZERO && elapsed >= self.sample_every
        });
        if due {
            series.push_back((at, log_price));
            let start = at - self.window;
            while series.len() > MAX_OBSERVATIONS
                || series.front().is_some_and(|&(first, _)| first < start)
            {
                series.pop_front();
            }
        }
    }

    /// Forgets both series.
    pub fn clear(&mut self) {
        self.series.iter_mut().for_each(VecDeque::clear);
    }

    /// Observations kept of each series.
    #[must_use]
    pub fn observations(&self) -> [usize; 2] {
        [self.series[0].len(), self.series[1].len()]
    }

    /// Second moments over the window, the second series moved back by `lag`.
    #[must_use]
    pub fn estimate(&self, lag: Span) -> Option<HayashiYoshida> {
        let [x, y] = self.seconds()?;
        hayashi_yoshida(&x, &y, lag.seconds())
    }

    /// Which leads, over lags in seconds.
    #[must_use]
    pub fn lead_lag(&self, lags_s: &[f64]) -> Option<LeadLag> {
        let [x, y] = self.seconds()?;
        lead_lag(&x, &y, lags_s)
    }

    /// Both series in seconds since the earlier beginning.
    fn seconds(&self) -> Option<[Vec<(f64, f64)>; 2]> {
        let start = self.series[0].front()?.0.min(self.series[1].front()?.0);
        Some([0, 1].map(|which| {
            self.series[which].iter().map(|&(at, v)| (at.since(start).seconds(), v)).collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that jumps up or down once a second, by a fixed pattern.
    fn path(at_ms: i64) -> f64 {
        (0..=at_ms.div_euclid(1000))
            .map(|s| if (s * s + s / 3) % 4 < 2 { 1e-4 } else { -9e-5 })
            .sum()
    }

    #[test]
    fn the_delayed_price_is_found_to_follow() {
        let mut window = HayashiYoshidaWindow::new(Span::from_s(300), Span::ZERO);
        for ms in (0..300_000).step_by(100) {
            window.observe(0, Ts::from_ms(ms), path(ms));
            window.observe(1, Ts::from_ms(ms + 50), path(ms + 50 - 300));
        }
        let lags: Vec<f64> = (-10..=10).map(|i| f64::from(i) * 0.1).collect();
        let found = window.lead_lag(&lags).unwrap();
        assert!((found.lag_s - 0.3).abs() < 0.11, "{found:?}");
        assert!(found.ratio > 1.5 && found.correlation > 0.8, "{found:?}");
        assert_eq!(found.contrast.len(), lags.len());
    }

    #[test]
    fn no_number_comes_of_nothing() {
        let mut window = HayashiYoshidaWindow::new(Span::from_s(10), Span::from_ms(100));
        assert!(window.estimate(Span::ZERO).is_none());
        for s in 0..100 {
            window.observe(0, Ts::from_ms(s * 1000), 1.0);
            window.observe(1, Ts::from_ms(s * 1000), f64::NAN);
            window.observe(1, Ts::from_ms(s * 1000), 2.0);
            window.observe(1, Ts::from_ms(s * 1000 - 500), 3.0);
            window.observe(1, Ts::from_ms(s * 1000 + 50), 4.0);
            window.observe(2, Ts::from_ms(s * 1000), 5.0);
        }
        assert_eq!(window.observations(), [11, 11], "ten seconds of both, one a second");
        let moments = window.estimate(Span::ZERO).unwrap();
        assert_eq!((moments.correlation(), moments.beta()), (None, None), "prices stood still");
        assert!(window.lead_lag(&[-0.1, 0.1]).is_none());
        window.clear();
        assert_eq!(window.observations(), [0, 0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = HayashiYoshidaWindow::new(Span::from_s(1_000_000), Span::ZERO);
        for i in 0..2 * MAX_OBSERVATIONS as i64 {
            window.observe(0, Ts(i), 1.0);
        }
        assert_eq!(window.observations(), [MAX_OBSERVATIONS, 0]);
    }
}
