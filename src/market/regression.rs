//! How does one number move with another? Least squares whose old samples fade.

/// Moments of pairs (x, y), updated one pair at a time; each pair weighs `keep` of what the next
/// one does (West's update of a weighted mean and its squares, exact in one pass).
#[derive(Clone, Copy, Debug)]
pub struct Regression {
    keep: f64,
    weight: f64,
    weight_squared: f64,
    mean: [f64; 2],
    xx: f64,
    xy: f64,
    yy: f64,
}

/// A line y = intercept + slope·x and how far it is to be believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// y per unit of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// Share of the variance of y that the line explains, 0 to 1.
    pub r_squared: f64,
    /// Slope over its standard error, if samples are independent.
    pub t: f64,
}

impl Regression {
    /// Samples fade so that about `memory` of them count; infinity keeps all alike.
    #[must_use]
    pub fn new(memory: f64) -> Regression {
        let keep = if memory > 1.0 { 1.0 - 1.0 / memory } else { 0.0 };
        let (weight, weight_squared) = (0.0, 0.0);
        Regression { keep, weight, weight_squared, mean: [0.0; 2], xx: 0.0, xy: 0.0, yy: 0.0 }
    }

    /// Adds a pair; one that is no pair of numbers is left out.
    pub fn add(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        self.weight = self.keep * self.weight + 1.0;
        self.weight_squared = self.keep * self.keep * self.weight_squared + 1.0;
        let (dx, dy) = (x - self.mean[0], y - self.mean[1]);
        self.mean[0] += dx / self.weight;
        self.mean[1] += dy / self.weight;
        self.xx = self.keep * self.xx + dx * (x - self.mean[0]);
        self.xy = self.keep * self.xy + dx * (y - self.mean[1]);
        self.yy = self.keep * self.yy + dy * (y - self.mean[1]);
    }

    /// How many equally weighted samples say as much (Kish): no more than `2·memory`.
    #[must_use]
    pub fn samples(&self) -> f64 {
        if self.weight > 0.0 { self.weight * self.weight / self.weight_squared } else { 0.0 }
    }

    /// Mean of x.
    #[must_use]
    pub fn mean_x(&self) -> f64 {
        self.mean[0]
    }

    /// x in standard deviations from its mean; `None` while x has not varied.
    #[must_use]
    pub fn standardised(&self, x: f64) -> Option<f64> {
        let deviation = (self.xx / self.weight).sqrt();
        (deviation > 0.0).then(|| (x - self.mean[0]) / deviation).filter(|z| z.is_finite())
    }

    /// The line through the samples; `None` with fewer than three, or while x has not varied.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        let free = self.samples() - 2.0;
        if !(free > 0.0 && self.xx > 0.0) {
            return None;
        }
        let slope = self.xy / self.xx;
        let explained = slope * self.xy;
        let left = (self.yy - explained).max(0.0);
        let error = (left / self.xx / free).sqrt();
        let line = Line {
            slope,
            intercept: self.mean[1] - slope * self.mean[0],
            r_squared: if self.yy > 0.0 { (explained / self.yy).clamp(0.0, 1.0) } else { 0.0 },
            // A line that leaves nothing over is believed as far as a number goes.
            t: if error > 0.0 { slope / error } else { slope.signum() * f64::MAX },
        };
        (line.slope.is_finite() && line.intercept.is_finite()).then_some(line)
    }

    /// The slope of the line through the origin; `None` while every x was zero.
    #[must_use]
    pub fn slope_through_origin(&self) -> Option<f64> {
        let [x, y] = self.mean;
        let squares = self.xx + self.weight * x * x;
        (squares > 0.0).then(|| (self.xy + self.weight * x * y) / squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_forgotten() {
        let mut fit = Regression::new(100.0);
        assert!(fit.line().is_none());
        for i in 0..400 {
            let x = f64::from(i % 7);
            fit.add(x, 3.0 + 2.0 * x);
        }
        let line = fit.line().unwrap();
        assert!((line.slope - 2.0).abs() < 1e-9 && (line.intercept - 3.0).abs() < 1e-9);
        assert!(line.r_squared > 1.0 - 1e-9 && line.t > 1e3);
        for i in 0..2000 {
            let x = f64::from(i % 7);
            fit.add(x, -x);
        }
        assert!((fit.line().unwrap().slope + 1.0).abs() < 1e-6, "{fit:?}");
    }

    #[test]
    fn what_is_no_number_is_no_sample() {
        let mut fit = Regression::new(f64::INFINITY);
        fit.add(f64::NAN, 1.0);
        fit.add(1.0, f64::INFINITY);
        assert_eq!(fit.samples(), 0.0);
        for _ in 0..10 {
            fit.add(1.0, 2.0);
        }
        assert!(fit.line().is_none(), "x has not varied");
        assert_eq!(fit.standardised(5.0), None);
        assert_eq!(fit.slope_through_origin(), Some(2.0));
    }
}
