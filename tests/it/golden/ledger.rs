//! Attribution and presence.

use evenkeel::domain::{
    Asset, Fill, Instrument, InstrumentId, InstrumentKind, Liquidity, Money, Px, Qty, Side, Span,
    Ts, VenueId,
};
use evenkeel::inventory::{
    Attribution, Booked, LeastShown, Markouts, Payoff, Position, Presence, PresenceParams, Shown,
    bybit_2021, dydx_liquidity, dydx_points, injective_snapshot,
};
use serde_json::Value;

use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        21 if case.input("contract") == "linear" => attribution(case, Payoff::Linear),
        21 if case.input("contract") == "inverse" => attribution(case, inverse(case)),
        22 if case.has("intervals") => timeline(case),
        22 if case.has("avg_total_qty") => bybit(case),
        22 if case.has("L25") => dydx(case),
        22 if case.has("snapshots_depth_spread") => injective(case),
        _ => return Verdict::Unrecognised,
    }
    Verdict::Checked
}

/// Scales of which any golden price and quantity is a multiple.
fn scales(is_inverse: bool) -> Instrument {
    let lot_size = Money::new(1, if is_inverse { 2 } else { 8 });
    let tick_size = Money::new(1, if is_inverse { 6 } else { 9 });
    Instrument { tick_size, lot_size, ..instrument() }
}

fn inverse(case: &Case<'_>) -> Payoff {
    let scales = scales(true);
    let face = money(case.input("contract_value_usd")) * scales.lot_size;
    Payoff::inverse(face, scales.tick_size).unwrap()
}

/// Ledger, attribution and markouts side by side, fed in the order of the golden files: at equal
/// times marks, then fills, then funding.
struct Books {
    instrument: Instrument,
    position: Position,
    attribution: Attribution,
    markouts: Markouts,
}

impl Books {
    fn mark(&mut self, now: Ts, half_ticks: i64) {
        self.attribution.mark(now, half_ticks);
        self.markouts.mark(now, half_ticks);
        self.attribution.check(&self.position, &self.instrument).unwrap();
    }

    fn fill(&mut self, fill: &Fill) {
        let booked = self.position.book(fill, &self.instrument, Money::ZERO);
        let Booked::New { fee_quote } = booked else {
            panic!("every trade id is new");
        };
        self.attribution.fill(fill.at, fill, fee_quote);
        if fill.liquidity == Liquidity::Maker {
            self.markouts.fill(fill.at, fill);
        }
    }
}

fn attribution(case: &Case<'_>, payoff: Payoff) {
    let inputs = &case.json["inputs"];
    let horizon = Span(at(&inputs["adverse_horizon"]).0);
    let mut books = Books {
        instrument: scales(payoff != Payoff::Linear),
        position: Position::of(payoff),
        attribution: Attribution::of(payoff),
        markouts: Markouts::of(payoff, &[horizon]),
    };
    let (tick, lot) = (2.0 / books.instrument.tick_f64(), books.instrument.lot_f64());
    let half_ticks = |price: &Value| (number(price) * tick).round() as i64;
    let lots = |qty: &Value| Qty((number(qty) / lot).round() as i64);
    let rows = |key: &str| inputs[key].as_array().unwrap().clone();
    let marks = rows("marks");
    let mut ahead = marks.iter().peekable();
    if let Some(first) = ahead.peek() {
        let lots = lots(&inputs["q0"]);
        let (now, mark) = (at(&first[0]), half_ticks(&first[1]));
        books.position.adjust(lots, mark, &books.instrument);
        books.attribution.adjust(now, lots, mark);
    }
    for (index, row) in rows("fills").iter().enumerate() {
        let mut fill = fill(index, row);
        fill.px = Px(half_ticks(&row["px"]) / 2);
        fill.qty = lots(&row["qty"]);
        fill.fee_asset = match payoff {
            Payoff::Linear => books.instrument.quote.clone(),
            Payoff::Inverse { .. } => books.instrument.base.clone(),
        };
        while let Some(row) = ahead.next_if(|row| at(&row[0]) <= fill.at) {
            books.mark(at(&row[0]), half_ticks(&row[1]));
        }
        books.fill(&fill);
    }
    for row in rows("funding") {
        books.position.book_funding(money(&row["amount"]));
        books.attribution.funding(money(&row["amount"]));
    }
    for row in ahead {
        books.mark(at(&row[0]), half_ticks(&row[1]));
    }
    // Horizons that end after the last mark take the last mark.
    let last = half_ticks(&marks.last().unwrap()[1]);
    books.mark(Ts::FAR, last);

    let parts = books.attribution.parts(&books.instrument);
    let realised = books.markouts.realised(&books.instrument)[0];
    let value = |amount: Money| amount.to_string().parse::<f64>().unwrap();
    for (key, amount) in [
        ("maker_spread_capture", parts.spread_capture),
        ("hedge_cost", parts.hedge),
        ("inventory", parts.inventory),
        ("fees", parts.fees),
        ("funding", parts.funding),
        ("total", books.position.total(last, &books.instrument)),
        ("sum_check", parts.total()),
        ("adverse_selection_h", realised.adverse),
        ("inventory_ex_adverse", parts.inventory - realised.adverse),
        ("realised_spread_h", realised.spread()),
    ] {
        case.close(value(amount), case.expected(key));
    }
    case.close(books.position.qty().0 as f64 * lot, case.expected("final_inventory"));
}

fn timeline(case: &Case<'_>) {
    // Prices and quantities in steps of 1e-8.
    let fine =
        Instrument { tick_size: Money::new(1, 8), lot_size: Money::new(1, 8), ..instrument() };
    let mut presence = Presence::new(PresenceParams {
        max_half_spread_bps: case.number("max_half_spread_bps"),
        least: LeastShown::Base(money(case.input("min_qty"))),
        snapshot_interval: Span::from_s(10),
    });
    let mut end = Ts(0);
    for row in case.input("intervals").as_array().unwrap() {
        let order = |side, px: &str, qty: &str| {
            let ticks = row[px].as_f64().map(|price| (price * 1e8).round() as i64)?;
            Some((side, Px(ticks), Qty((number(&row[qty]) * 1e8).round() as i64)))
        };
        let orders: Vec<_> =
            [order(Side::Buy, "bid", "bid_qty"), order(Side::Sell, "ask", "ask_qty")]
                .into_iter()
                .flatten()
                .collect();
        let mid = Some((number(&row["mid"]) * 2e8).round() as i64);
        let shown = Shown { instrument: &fine, mid_half_ticks: mid, orders: &orders };
        presence.observe(at(&row["t0"]), &shown, [&[], &[]]);
        end = at(&row["t1"]);
    }
    let view = presence.view(end, 0.0);
    case.close(view.two_sided, case.expected("two_sided_presence"));
    case.close(view.one_sided, case.expected("one_sided"));
    case.close(view.absent, case.expected("absent"));
    case.close(view.bid, case.expected("bid_presence"));
    case.close(view.ask, case.expected("ask_presence"));
    case.close(view.raw_two_sided, case.expected("raw_two_sided"));
    let spread = case.expected("time_weighted_spread_bps_when_compliant");
    match view.spread_bps {
        Some(bps) => case.close(bps, spread),
        None => assert!(spread.is_null() || number(spread) == 0.0),
    }
}

fn bybit(case: &Case<'_>) {
    let column = |key| numbers(case.input(key));
    let (bids, asks, market) =
        (column("my_bid_qty"), column("my_ask_qty"), column("avg_total_qty"));
    let rungs: Vec<[f64; 3]> =
        bids.iter().zip(&asks).zip(&market).map(|((bid, ask), all)| [*bid, *ask, *all]).collect();
    case.close(bybit_2021(&rungs, &column("weights")), case.expected("score"));
}

fn dydx(case: &Case<'_>) {
    let liquidity = dydx_liquidity(["L25", "L50", "L100"].map(|key| case.number(key)));
    case.close(liquidity, case.expected("liquidity_score"));
    let top_five = case.input("top5") == true;
    let points = dydx_points(liquidity, case.number("maker_volume"), top_five);
    case.close(points, case.expected("points"));
}

fn injective(case: &Case<'_>) {
    let (farthest, least) = (case.number("max_spread"), case.number("min_depth"));
    let side = |row: &Value| -> Vec<[f64; 2]> {
        let order = |order: &Value| [number(&order[0]), number(&order[1])];
        row.as_array().unwrap().iter().map(order).collect()
    };
    let scores: Vec<f64> = case
        .input("snapshots_depth_spread")
        .as_array()
        .unwrap()
        .iter()
        .map(|row| injective_snapshot([&side(&row["bids"]), &side(&row["asks"])], farthest, least))
        .collect();
    for (score, expected) in scores.iter().zip(case.expected("per_snapshot").as_array().unwrap()) {
        case.close(*score, expected);
    }
    case.close(scores.iter().sum(), case.expected("liquidity_score"));
    let up = scores.iter().filter(|score| **score > 0.0).count();
    case.close(up as f64, case.expected("uptime_snapshots"));
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
