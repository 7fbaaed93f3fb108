//! From prices and sizes of a model to ticks and lots that the venue accepts.

use super::explain::{Part, Rung, Step, Trail};
use super::{Inputs, LevelParams, Params, Px, Qty, QuoteNumbers, Quotes, Reason, Side};
use crate::domain::{Quote, QuoteSide};

/// Both sides' levels; notes in `numbers` where a quote had to be moved.
pub(super) fn build(
    params: &Params,
    inputs: &Inputs<'_>,
    numbers: &mut QuoteNumbers,
    trail: &mut impl Trail,
) -> Quotes {
    let sides = Side::BOTH.map(|side| build_side(params, inputs, numbers, side, trail));
    Quotes { instrument: inputs.instrument.id, sides }
}

fn build_side(
    params: &Params,
    inputs: &Inputs<'_>,
    numbers: &mut QuoteNumbers,
    side: Side,
    trail: &mut impl Trail,
) -> QuoteSide {
    let mut room = room_lots(inputs, side);
    if room <= 0 {
        return QuoteSide::none(Reason::InventoryLimit);
    }
    let mut levels: Vec<Quote> = Vec::with_capacity(params.levels.len());
    let mut why_not = Reason::BelowMinimum;
    for (index, level) in params.levels.iter().enumerate() {
        let last = levels.last().map(|quote| quote.px);
        let rung = Rung { side, level: index + 1 };
        let Some(px) = level_px(inputs, numbers, rung, level.offset_bps, last, trail) else {
            why_not = Reason::PriceCollar;
            break;
        };
        match level_qty((params, level), inputs, numbers, rung, (px, room), trail) {
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
    rung: Rung,
    offset_bps: f64,
    last: Option<Px>,
    trail: &mut impl Trail,
) -> Option<Px> {
    let (instrument, side) = (inputs.instrument, rung.side);
    let depth = (numbers.half_spread_bps + offset_bps) * 1e-4 * numbers.fair;
    let price = numbers.reservation - depth * side.sign() as f64;
    trail.step(|| Step {
        part: Part::Price,
        rung: Some(rung),
        what: "half-spread and level offset from the reservation price",
        before: Some(numbers.reservation),
        value: price,
        unit: "quote/base",
        whole: None,
    });
    let tick = instrument.tick_f64();
    let from = |px: Px| [px.0 as f64 * tick, tick];
    let wanted = instrument.px_away(price, side)?;
    let wanted = trail.price(rung, "onto a tick, away from the touch", [price, tick], wanted);
    let resting = match side {
        Side::Buy => wanted.min(inputs.best_ask.away(Side::Buy, 1)),
        Side::Sell => wanted.max(inputs.best_bid.away(Side::Sell, 1)),
    };
    let what = "post-only: a tick from the other side's best price";
    let resting = trail.price(rung, what, from(wanted), resting);
    if resting != wanted {
        numbers.clamps.post_only[side.index()] = true;
    }
    let px = match (last, side) {
        (Some(last), Side::Buy) => resting.min(last.away(side, 1)),
        (Some(last), Side::Sell) => resting.max(last.away(side, 1)),
        (None, Side::Buy | Side::Sell) => resting,
    };
    let px = trail.price(rung, "a tick behind the level before", from(resting), px);
    (instrument.min_px.max(Px(1))..=instrument.max_px).contains(&px).then_some(px)
}

/// The size of a level. Where skewing shrinks it below the venue's minimum, the minimum is shown
/// as long as that is no more than the configured size and the room.
fn level_qty(
    (params, level): (&Params, &LevelParams),
    inputs: &Inputs<'_>,
    numbers: &QuoteNumbers,
    rung: Rung,
    (px, room): (Px, i64),
    trail: &mut impl Trail,
) -> Result<Qty, Reason> {
    let instrument = inputs.instrument;
    let adding = (numbers.share_of_limit * rung.side.sign() as f64).max(0.0);
    let lot = instrument.lot_f64();
    let lots = |base: f64| (base / lot + 1e-6).floor() as i64;
    let configured = level.size.base(numbers.fair);
    let wanted = trail.size(rung, "configured size in whole lots", lot, [0, lots(configured)]);
    let full = wanted.min(instrument.max_qty.0);
    let full = trail.size(rung, "venue's largest order", lot, [wanted, full]);
    let share = inputs.size_share;
    let ramped = lots(configured * share).min(full);
    let ramped = trail.size(rung, "ramp-up after the start", lot, [full, ramped]);
    let lean = share * (1.0 - params.size_skew * adding);
    let leant = lots(configured * lean).min(full);
    let leant = trail.size(rung, "size_skew: less where it adds inventory", lot, [ramped, leant]);
    let pressed = (numbers.risk_pressure * rung.side.sign() as f64).clamp(0.0, 1.0);
    let shrunk = lots(configured * lean * (1.0 - pressed)).min(full);
    let shrunk = trail.size(rung, "capital at risk: less where it adds", lot, [leant, shrunk]);
    let least = instrument.least_qty(px).0.max(1);
    if least > full {
        return Err(Reason::BelowMinimum);
    }
    if least > room {
        return Err(Reason::InventoryLimit);
    }
    let raised = trail.size(rung, "venue's least order", lot, [shrunk, shrunk.max(least)]);
    let fits = raised.min(room);
    Ok(Qty(trail.size(rung, "room to the inventory limit", lot, [raised, fits])))
}
