//! From prices and sizes of a model to ticks and lots that the venue accepts.

use super::{Inputs, LevelParams, Params, Px, Qty, QuoteNumbers, Quotes, Reason, Side};
use crate::domain::{Quote, QuoteSide};

/// Both sides' levels; notes in `numbers` where a quote had to be moved.
pub(super) fn build(params: &Params, inputs: &Inputs<'_>, numbers: &mut QuoteNumbers) -> Quotes {
    let sides = Side::BOTH.map(|side| build_side(params, inputs, numbers, side));
    Quotes { instrument: inputs.instrument.id, sides }
}

fn build_side(
    params: &Params,
    inputs: &Inputs<'_>,
    numbers: &mut QuoteNumbers,
    side: Side,
) -> QuoteSide {
    let mut room = room_lots(inputs, side);
    if room <= 0 {
        return QuoteSide::none(Reason::InventoryLimit);
    }
    let mut levels: Vec<Quote> = Vec::with_capacity(params.levels.len());
    let mut why_not = Reason::BelowMinimum;
    for level in &params.levels {
        let last = levels.last().map(|quote| quote.px);
        let Some(px) = level_px(inputs, numbers, side, level.offset_bps, last) else {
            why_not = Reason::PriceCollar;
            break;
        };
        match level_qty(params, inputs, numbers, side, level, px, room) {
            Ok(qty) => {
                room -= qty.0;
                levels.push(Quote { px, qty });
            }
            Err(reason) => {
                why_not = reason;
                break;
            }
        }
    }
    let reason = if levels.is_empty() { why_not } else { Reason::Quoting };
    QuoteSide { levels, reason }
}

/// Lots that a side may fill before inventory passes its limit.
fn room_lots(inputs: &Inputs<'_>, side: Side) -> i64 {
    let room_base = inputs.inventory_limit_base - inputs.inventory_base * side.sign() as f64;
    // A whole number of lots but for rounding noise is that number.
    (room_base / inputs.instrument.lot_f64() + 1e-6).floor() as i64
}

/// The price of a level: away from the touch onto a tick, never through the other side's best
/// price, and worse than the level before. `None` when the venue does not allow it.
fn level_px(
    inputs: &Inputs<'_>,
    numbers: &mut QuoteNumbers,
    side: Side,
    offset_bps: f64,
    last: Option<Px>,
) -> Option<Px> {
    let instrument = inputs.instrument;
    let depth = (numbers.half_spread_bps + offset_bps) * 1e-4 * numbers.fair;
    let price = numbers.reservation - depth * side.sign() as f64;
    let wanted = instrument.px_away(price, side)?;
    let resting = match side {
        Side::Buy => wanted.min(inputs.best_ask.away(Side::Buy, 1)),
        Side::Sell => wanted.max(inputs.best_bid.away(Side::Sell, 1)),
    };
    if resting != wanted {
        numbers.clamps.post_only[side.index()] = true;
    }
    let px = match (last, side) {
        (Some(last), Side::Buy) => resting.min(last.away(side, 1)),
        (Some(last), Side::Sell) => resting.max(last.away(side, 1)),
        (None, Side::Buy | Side::Sell) => resting,
    };
    (instrument.min_px.max(Px(1))..=instrument.max_px).contains(&px).then_some(px)
}

/// The size of a level. Where skewing shrinks it below the venue's minimum, the minimum is shown
/// as long as that is no more than the configured size and the room.
fn level_qty(
    params: &Params,
    inputs: &Inputs<'_>,
    numbers: &QuoteNumbers,
    side: Side,
    level: &LevelParams,
    px: Px,
    room: i64,
) -> Result<Qty, Reason> {
    let instrument = inputs.instrument;
    let adding = (numbers.share_of_limit * side.sign() as f64).max(0.0);
    let lots = |base: f64| (base / instrument.lot_f64() + 1e-6).floor() as i64;
    let configured = level.size.base(numbers.fair);
    let full = lots(configured).min(instrument.max_qty.0);
    let pressed = (numbers.risk_pressure * side.sign() as f64).clamp(0.0, 1.0);
    let shrunk = lots(configured * (1.0 - params.size_skew * adding) * (1.0 - pressed)).min(full);
    let least = instrument.least_qty(px).0.max(1);
    if least > full {
        return Err(Reason::BelowMinimum);
    }
    if least > room {
        return Err(Reason::InventoryLimit);
    }
    Ok(Qty(shrunk.max(least).min(room)))
}
