//! Prices and quantities as whole ticks and lots, and exact money.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// Exact money in an asset (quote currency unless a name says otherwise).
pub type Money = rust_decimal::Decimal;

/// A price as a whole number of ticks of one instrument. Never compare prices of two instruments.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Px(pub i64);

/// A quantity as a whole number of lots of one instrument; signed where it is a position.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Qty(pub i64);

impl Px {
    /// This price moved `ticks` in the direction away from the touch for `side`: down for a bid,
    /// up for an ask.
    #[must_use]
    pub fn away(self, side: Side, ticks: i64) -> Px {
        Px(self.0 - side.sign() * ticks)
    }
}

impl Qty {
    /// No quantity.
    pub const ZERO: Qty = Qty(0);

    /// True when nothing is left.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The quantity without its sign.
    #[must_use]
    pub fn abs(self) -> Qty {
        Qty(self.0.abs())
    }

    /// This unsigned quantity as the change of position that a fill on `side` makes.
    #[must_use]
    pub fn signed(self, side: Side) -> Qty {
        Qty(self.0 * side.sign())
    }
}

impl Add for Px {
    type Output = Px;
    fn add(self, other: Px) -> Px {
        Px(self.0 + other.0)
    }
}

impl Sub for Px {
    type Output = Px;
    fn sub(self, other: Px) -> Px {
        Px(self.0 - other.0)
    }
}

impl Add for Qty {
    type Output = Qty;
    fn add(self, other: Qty) -> Qty {
        Qty(self.0 + other.0)
    }
}

impl Sub for Qty {
    type Output = Qty;
    fn sub(self, other: Qty) -> Qty {
        Qty(self.0 - other.0)
    }
}

impl Neg for Qty {
    type Output = Qty;
    fn neg(self) -> Qty {
        Qty(-self.0)
    }
}

impl AddAssign for Qty {
    fn add_assign(&mut self, other: Qty) {
        self.0 += other.0;
    }
}

impl SubAssign for Qty {
    fn sub_assign(&mut self, other: Qty) {
        self.0 -= other.0;
    }
}

impl Sum for Qty {
    fn sum<I: Iterator<Item = Qty>>(iter: I) -> Qty {
        iter.fold(Qty::ZERO, Add::add)
    }
}

/// Hundredths of a percent, for model results and settings; never for money.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bps(pub f64);

impl Bps {
    /// The plain ratio: 1 bps is 0.0001.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.0 * 1e-4
    }
}

/// Which side of the book an order rests on, or which way a fill moves the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Bids; a fill raises the position.
    Buy,
    /// Asks; a fill lowers the position.
    Sell,
}

impl Side {
    /// Both sides, bids first.
    pub const BOTH: [Side; 2] = [Side::Buy, Side::Sell];

    /// +1 for a buy, −1 for a sell.
    #[must_use]
    pub fn sign(self) -> i64 {
        match self {
            Side::Buy => 1,
            Side::Sell => -1,
        }
    }

    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// 0 for a buy, 1 for a sell: an index into a pair.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Side::Buy => 0,
            Side::Sell => 1,
        }
    }

    /// The side that brings a signed position towards zero; `None` when it is flat.
    #[must_use]
    pub fn reducing(position: Qty) -> Option<Side> {
        match position.0.signum() {
            1 => Some(Side::Sell),
            -1 => Some(Side::Buy),
            _ => None,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        })
    }
}
