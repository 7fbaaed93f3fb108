//! What every model answers: quote depths as a straight line in inventory.

/// Depths from the reference price, linear in inventory q (units held, above zero is long):
/// bid depth = half_spread − shift + q·skew, ask depth = half_spread + shift − q·skew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depths {
    /// Depth of both quotes when flat and without drift.
    pub half_spread: f64,
    /// How far both quotes move down per unit held.
    pub skew: f64,
    /// How far both quotes move up for the drift.
    pub shift: f64,
}

impl Depths {
    /// Distance of the bid below the reference when `q` units are held.
    #[must_use]
    pub fn bid(&self, q: f64) -> f64 {
        self.half_spread - self.shift + q * self.skew
    }

    /// Distance of the ask above the reference when `q` units are held.
    #[must_use]
    pub fn ask(&self, q: f64) -> f64 {
        self.half_spread + self.shift - q * self.skew
    }
}
