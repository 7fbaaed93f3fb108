//! What is a lot worth at a price? The one function in which contracts differ.
//!
//! Summation by parts holds for any function of the price, so that ledger, attribution and
//! markouts share this one and are then exact in whole numbers, whatever it is. A linear lot is
//! worth a whole number of half-ticks. The worth of an inverse lot, −face/price in the base asset
//! (quant.md §6), is no decimal: it is rounded once, here, to 10^-18 of the base asset, and all
//! that is done with it afterwards is exact.

use serde::{Deserialize, Serialize};

use crate::domain::{Instrument, Money, Px, Qty};

/// Decimal places to which the worth of one inverse lot is rounded, in the base asset.
const INVERSE_PLACES: u32 = 18;

/// How a price becomes profit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payoff {
    /// Quantity in base, profit in quote: worth quantity · price.
    #[default]
    Linear,
    /// Face value in quote, profit in base: worth −face / price.
    Inverse {
        /// Face of a lot in quote over half a tick, times 10^18: over half-ticks, the worth.
        face: i128,
    },
}

impl Payoff {
    /// The payoff of an inverse contract whose lots have a face value in quote; `None` when the
    /// face is not above zero or too large to be counted.
    #[must_use]
    pub fn inverse(face_quote: Money, tick_size: Money) -> Option<Payoff> {
        let unit = Money::from(10_i64.pow(INVERSE_PLACES));
        let in_half_ticks = (face_quote * Money::TWO).checked_div(tick_size)?;
        let face = i128::try_from(in_half_ticks.checked_mul(unit)?.round()).ok()?;
        (face > 0).then_some(Payoff::Inverse { face })
    }

    /// What a lot is worth at a price, in units of [`Payoff::unit`]. The price is above zero.
    #[must_use]
    pub fn worth(self, half_ticks: i64) -> i128 {
        let half_ticks = i128::from(half_ticks);
        match self {
            Payoff::Linear => half_ticks,
            Payoff::Inverse { face } => -((2 * face + half_ticks) / (2 * half_ticks).max(1)),
        }
    }

    /// The amount of money that one unit of worth is: quote for a linear contract, base for an
    /// inverse one.
    #[must_use]
    pub fn unit(self, instrument: &Instrument) -> Money {
        match self {
            Payoff::Linear => instrument.notional(Px(1), Qty(1)) / Money::TWO,
            Payoff::Inverse { .. } => Money::new(1, INVERSE_PLACES),
        }
    }

    /// The price at which a lot is worth this much money; `None` where there is none.
    #[must_use]
    pub fn price(self, worth: Money, instrument: &Instrument) -> Option<Money> {
        match self {
            Payoff::Linear => worth.checked_div(instrument.lot_size),
            Payoff::Inverse { face } => {
                let face = Money::try_from_i128_with_scale(-face, INVERSE_PLACES).ok()?;
                let half_ticks = face.checked_div(worth)?;
                Some(half_ticks * instrument.tick_size / Money::TWO)
            }
        }
    }

    /// A sum of worths as money. It fits: 2^96 units are more than any account holds.
    pub(super) fn money(self, worths: i128, instrument: &Instrument) -> Money {
        let units = Money::try_from_i128_with_scale(worths, 0).unwrap_or_default();
        units * self.unit(instrument)
    }
}
