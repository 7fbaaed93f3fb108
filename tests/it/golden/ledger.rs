//! Attribution and presence.

use evenkeel::domain::{
    Asset, Fill, Instrument, InstrumentId, InstrumentKind, Liquidity, Money, Px, Qty, Side, Ts,
    VenueId,
};
use evenkeel::inventory::{Attribution, Booked, Position};
use serde_json::Value;

use super::{Case, Verdict, number};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        21 if case.input("contract") == "linear" => attribution(case),
        _ => return Verdict::NotOurs("not built yet"),
    }
    Verdict::Checked
}

fn attribution(case: &Case<'_>) {
    let inputs = &case.json["inputs"];
    let instrument = instrument();
    let (mut position, mut attribution) = (Position::flat(), Attribution::new());
    let mut marks = inputs["marks"].as_array().unwrap().iter().peekable();
    let mut mark_to = |now: Ts, attribution: &mut Attribution| {
        while let Some(row) = marks.next_if(|row| at(&row[0]) <= now) {
            attribution.mark(at(&row[0]), half_ticks(&row[1]));
        }
    };
    for (index, row) in inputs["fills"].as_array().unwrap().iter().enumerate() {
        let fill = fill(index, row);
        mark_to(fill.at, &mut attribution);
        match position.book(&fill, &instrument) {
            Booked::New { fee_quote, .. } => attribution.fill(fill.at, &fill, fee_quote),
            Booked::Repeat => panic!("every trade id is new"),
        }
    }
    for row in inputs["funding"].as_array().unwrap() {
        position.book_funding(money(&row["amount"]));
        attribution.funding(money(&row["amount"]));
    }
    mark_to(Ts::FAR, &mut attribution);

    let parts = attribution.parts(&instrument);
    let expected = &case.json["expected"];
    let value = |amount: Money| amount.to_string().parse::<f64>().unwrap();
    case.close(value(parts.spread_capture), &expected["maker_spread_capture"]);
    case.close(value(parts.hedge), &expected["hedge_cost"]);
    case.close(value(parts.inventory), &expected["inventory"]);
    case.close(value(parts.fees), &expected["fees"]);
    case.close(value(parts.funding), &expected["funding"]);
    case.close(value(parts.total()), &expected["total"]);
    let mark = attribution.mark_half_ticks().unwrap();
    let price = Position::half_tick_price(mark, &instrument);
    attribution.check(position.total(price, &instrument), &instrument).unwrap();
}

/// Ticks of 0.01 and lots of 0.5, which all amounts of the golden fills are multiples of.
fn instrument() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: "ABCUSDT".to_owned(),
        kind: InstrumentKind::LinearPerpetual,
        base: Asset::new("ABC"),
        quote: Asset::new("USDT"),
        tick_size: Money::new(1, 2),
        lot_size: Money::new(5, 1),
        min_px: Px(1),
        max_px: Px(10_000_000),
        min_qty: Qty(1),
        max_qty: Qty(10_000_000),
        min_notional: Money::ZERO,
        max_open_orders: 200,
        trading: true,
    }
}

pub(super) fn at(seconds: &Value) -> Ts {
    Ts((number(seconds) * 1e9).round() as i64)
}

pub(super) fn half_ticks(price: &Value) -> i64 {
    (number(price) * 200.0).round() as i64
}

fn money(value: &Value) -> Money {
    value.to_string().parse().unwrap()
}

pub(super) fn fill(index: usize, row: &Value) -> Fill {
    Fill {
        instrument: InstrumentId(0),
        order: None,
        venue_order_id: 0,
        trade_id: index as u64,
        side: if number(&row["side"]) > 0.0 { Side::Buy } else { Side::Sell },
        px: Px((number(&row["px"]) * 100.0).round() as i64),
        qty: Qty((number(&row["qty"]) * 2.0).round() as i64),
        liquidity: if row["kind"] == "hedge" { Liquidity::Taker } else { Liquidity::Maker },
        fee: if row["fee"].is_null() { Money::ZERO } else { money(&row["fee"]) },
        fee_asset: Asset::new("USDT"),
        at: at(&row["t"]),
    }
}
