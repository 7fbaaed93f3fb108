//! What can be traded: scales, limits and fees of one instrument on one venue.

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde::{Deserialize, Serialize};

use super::{Asset, InstrumentId, Money, Px, Qty, Side, VenueId};

/// What a position in the instrument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentKind {
    /// The asset itself: the position is a balance and cannot be short.
    Spot,
    /// A perpetual swap with its quantity in base and its margin and profit in quote.
    LinearPerpetual,
}

/// An instrument as its venue lists it now: scales and limits of one symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// Our identity of it.
    pub id: InstrumentId,
    /// Where it trades.
    pub venue: VenueId,
    /// The venue's symbol, such as `BTCUSDT`.
    pub symbol: String,
    /// What a position in it is.
    pub kind: InstrumentKind,
    /// The asset that is bought and sold.
    pub base: Asset,
    /// The asset that it is priced and settled in.
    pub quote: Asset,
    /// Price of one tick, in quote per base.
    pub tick_size: Money,
    /// Quantity of one lot, in base.
    pub lot_size: Money,
    /// Lowest price allowed.
    pub min_px: Px,
    /// Highest price allowed.
    pub max_px: Px,
    /// Smallest order allowed.
    pub min_qty: Qty,
    /// Largest limit order allowed.
    pub max_qty: Qty,
    /// Smallest price × quantity of an order allowed, in quote; reduce-only orders are exempt on
    /// derivatives.
    pub min_notional: Money,
    /// Most orders that may rest at once.
    pub max_open_orders: u32,
    /// Whether the venue takes new orders for it now.
    pub trading: bool,
}

/// A decimal that is no whole number of ticks or lots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleError {
    /// The decimal as received.
    pub value: Money,
    /// The tick or lot size that does not divide it.
    pub step: Money,
}

impl std::fmt::Display for ScaleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not a whole multiple of {}", self.value, self.step)
    }
}

impl Instrument {
    /// A decimal price as ticks; exact or an error.
    pub fn px(&self, price: Money) -> Result<Px, ScaleError> {
        whole(price, self.tick_size).map(Px)
    }

    /// A decimal quantity as lots; exact or an error.
    pub fn qty(&self, quantity: Money) -> Result<Qty, ScaleError> {
        whole(quantity, self.lot_size).map(Qty)
    }

    /// The price in quote per base.
    #[must_use]
    pub fn price(&self, px: Px) -> Money {
        Money::from(px.0) * self.tick_size
    }

    /// The quantity in base.
    #[must_use]
    pub fn quantity(&self, qty: Qty) -> Money {
        Money::from(qty.0) * self.lot_size
    }

    /// Price × quantity in quote, signed as the quantity.
    #[must_use]
    pub fn notional(&self, px: Px, qty: Qty) -> Money {
        self.price(px) * self.quantity(qty)
    }

    /// The largest whole number of lots within a quantity in base; for estimates and sizes, which
    /// are rounded towards zero. More than can be counted is as much as can be counted.
    #[must_use]
    pub fn lots_within(&self, quantity: Money) -> Qty {
        let most = if quantity < Money::ZERO { -MAX_COUNT } else { MAX_COUNT };
        let count = quantity.checked_div(self.lot_size).map(|count| count.trunc());
        Qty(count.and_then(|c| c.to_i64()).filter(|c| c.abs() <= MAX_COUNT).unwrap_or(most))
    }

    /// The nearest tick to a model price that does not move it towards the touch: down for a bid,
    /// up for an ask. `None` when the price is not a positive finite number.
    #[must_use]
    pub fn px_away(&self, price: f64, side: Side) -> Option<Px> {
        if !(price.is_finite() && price > 0.0) {
            return None;
        }
        let ticks = price / self.tick_f64();
        let nearest = ticks.round();
        // A model price that is a tick but for rounding noise stays on that tick.
        let whole = if (ticks - nearest).abs() < 1e-6 {
            nearest
        } else {
            match side {
                Side::Buy => ticks.floor(),
                Side::Sell => ticks.ceil(),
            }
        };
        (1.0..9e15).contains(&whole).then_some(Px(whole as i64))
    }

    /// The tick size for estimators.
    #[must_use]
    pub fn tick_f64(&self) -> f64 {
        nearest_f64(self.tick_size)
    }

    /// The lot size for estimators.
    #[must_use]
    pub fn lot_f64(&self) -> f64 {
        nearest_f64(self.lot_size)
    }

    /// A price for estimators, in quote per base.
    #[must_use]
    pub fn price_f64(&self, px: Px) -> f64 {
        px.0 as f64 * self.tick_f64()
    }

    /// A quantity for estimators, in base.
    #[must_use]
    pub fn quantity_f64(&self, qty: Qty) -> f64 {
        qty.0 as f64 * self.lot_f64()
    }

    /// The smallest whole number of lots whose notional at `px` the venue accepts.
    #[must_use]
    pub fn least_qty(&self, px: Px) -> Qty {
        let by_notional = self.least_by_notional(px).unwrap_or_else(|| {
            let unit = self.price(px) * self.lot_size;
            if unit <= Money::ZERO {
                return 0;
            }
            (self.min_notional / unit).ceil().to_i64().unwrap_or(i64::MAX)
        });
        Qty(by_notional.max(self.min_qty.0))
    }

    /// Lots of the least notional in whole numbers, where they hold it: every level of every
    /// decision asks for it, and a division of decimals costs more than the rest of the level.
    fn least_by_notional(&self, px: Px) -> Option<i64> {
        let unit = i128::from(px.0)
            .checked_mul(self.tick_size.mantissa())?
            .checked_mul(self.lot_size.mantissa())?;
        let scale = self.tick_size.scale() + self.lot_size.scale();
        let by = 10_i128.checked_pow(scale.checked_sub(self.min_notional.scale())?)?;
        let least = self.min_notional.mantissa().checked_mul(by)?;
        // Within 64 bits a division is one instruction.
        let (unit, least) = (u64::try_from(unit).ok()?, u64::try_from(least).ok()?);
        i64::try_from(least.checked_add(unit.checked_sub(1)?)? / unit).ok()
    }

    /// A model amount as money, for display only; zero when it is not a number.
    #[must_use]
    pub fn money(amount: f64) -> Money {
        Money::from_f64(amount).unwrap_or_default()
    }
}

/// The number nearest to a decimal. One of few digits is a whole number over a power of ten, both
/// exact, so that one division rounds it right.
fn nearest_f64(value: Money) -> f64 {
    const EXACT: u64 = 1 << 53;
    match i64::try_from(value.mantissa()) {
        Ok(whole) if whole.unsigned_abs() <= EXACT && value.scale() <= 22 => {
            whole as f64 / POWERS[value.scale() as usize]
        }
        _ => value.to_f64().unwrap_or(f64::NAN),
    }
}

/// The powers of ten that a number holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Most ticks or lots of one price or quantity: the product of two of them still fits [`Money`].
const MAX_COUNT: i64 = 90_000_000_000_000;

fn whole(value: Money, step: Money) -> Result<i64, ScaleError> {
    let error = ScaleError { value, step };
    if step <= Money::ZERO {
        return Err(error);
    }
    let count = value.checked_div(step).ok_or(error.clone())?;
    let fits = count.fract().is_zero() && count.abs() <= Money::from(MAX_COUNT);
    if fits { count.to_i64().ok_or(error) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Asset, InstrumentId, VenueId};

    #[test]
    fn the_short_ways_give_what_the_decimals_give() {
        let decimals = ["1", "0.1", "0.01", "0.00001", "0.25", "0.5", "3.7", "5", "100", "0.0007"];
        let money = |text: &str| text.parse::<Money>().unwrap();
        for value in decimals.iter().chain(&["-0.3", "123456.789012", "79228162514264337593543950"])
        {
            assert_eq!(nearest_f64(money(value)), money(value).to_f64().unwrap(), "{value}");
        }
        for (tick, lot, notional) in decimals.iter().flat_map(|tick| {
            decimals.iter().flat_map(move |lot| decimals.map(|least| (*tick, *lot, least)))
        }) {
            let (tick_size, lot_size) = (money(tick), money(lot));
            let instrument =
                Instrument { tick_size, lot_size, min_notional: money(notional), ..some() };
            for px in [1, 7, 99, 6_183_763, 100_000_000] {
                let unit = Money::from(px) * tick_size * lot_size;
                let least = (money(notional) / unit).ceil().to_i64().unwrap().max(1);
                let name = format!("{tick} {lot} {notional} {px}");
                assert_eq!(instrument.least_qty(Px(px)), Qty(least), "{name}");
            }
        }
        assert_eq!(some().least_qty(Px(0)), Qty(1), "no price, no notional");
    }

    fn some() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            venue: VenueId(0),
            symbol: "BTCUSDT".to_owned(),
            kind: InstrumentKind::Spot,
            base: Asset::new("BTC"),
            quote: Asset::new("USDT"),
            tick_size: Money::ONE,
            lot_size: Money::ONE,
            min_px: Px(1),
            max_px: Px(1_000_000_000),
            min_qty: Qty(1),
            max_qty: Qty(1_000_000_000),
            min_notional: Money::ONE,
            max_open_orders: 1,
            trading: true,
        }
    }
}
