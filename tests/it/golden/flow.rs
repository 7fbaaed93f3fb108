//! Fair prices, order flow, toxicity.

use std::ops::Range;

use evenkeel::domain::{
    Asset, BookUpdate, Fill, InstrumentId, Level, Liquidity, Money, Px, Qty, Side, Span, Trade, Ts,
};
use evenkeel::inventory::Markouts;
use evenkeel::market::{
    Book, Regression, TradeFlow, TradeFlowParams, Transitions, Vpin, depth_imbalance,
    effective_mid_ticks, fading_imbalance, imbalance_within, informed_quotes, level_flow,
    volume_adjusted_mid_ticks, weighted_depth_ticks,
};
use evenkeel::quoting::break_even_bps;
use serde_json::Value;

use super::ledger::at;
use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        14 if case.has("bids") => fair_price(case),
        14 if case.has("no_move_counts") => micro_price(case),
        15 if case.has("quotes_bid_bidqty_ask_askqty") => order_flow(case),
        15 if case.has("trades_time_qty_sign") => trade_flow(case),
        18 if case.has("trades_qty_sign") => vpin(case),
        18 if case.has("mid_step_function") => markouts(case),
        18 if case.has("signed_volume") => kyle(case),
        18 if case.has("prob_informed") => informed(case),
        18 if case.has("maker_fee_rate") => break_even(case),
        _ => return Verdict::Unrecognised,
    }
    Verdict::Checked
}

/// Golden prices and quantities in ticks and lots fine enough for any of them.
const TICKS: f64 = 1e9;
const LOTS: f64 = 1e8;

fn px(value: &Value) -> Px {
    Px((number(value) * TICKS).round() as i64)
}

fn qty(value: &Value) -> Qty {
    Qty((number(value) * LOTS).round() as i64)
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

fn side(sign: f64) -> Side {
    if sign > 0.0 { Side::Buy } else { Side::Sell }
}

fn fair_price(case: &Case<'_>) {
    let levels = |key: &str| -> Vec<Level> {
        let rows = case.input(key).as_array().unwrap();
        rows.iter().map(|row| Level { px: px(&row[0]), qty: qty(&row[1]) }).collect()
    };
    let (bids, asks) = (levels("bids"), levels("asks"));
    let mut book = Book::new();
    book.apply(&BookUpdate {
        instrument: InstrumentId(0),
        snapshot: true,
        bids: bids.clone(),
        asks: asks.clone(),
        at: Ts(0),
    });
    let count = case.number("N") as usize;
    let (near_bids, near_asks) = (&bids[..count.min(bids.len())], &asks[..count.min(asks.len())]);
    let price = |ticks: Option<f64>| ticks.map(|ticks| ticks / TICKS);
    let close = |got: Option<f64>, key: &str| case.close_if_any(got, key);
    close(price(book.mid_ticks()), "mid");
    close(price(book.weighted_mid_ticks()), "weighted_mid");
    let touch = match (bids.first(), asks.first()) {
        (Some(bid), Some(ask)) => depth_imbalance(&[*bid], &[*ask]),
        _ => None,
    };
    close(touch.map(|imbalance| 0.5 * (1.0 + imbalance)), "top_imbalance_I");
    close(depth_imbalance(near_bids, near_asks), "obi_N");
    close(imbalance_within(&bids, &asks, case.number("depth_pct")), "obi_depth_pct");
    let fading = fading_imbalance(near_bids, near_asks, (-0.5f64).exp());
    close(fading, "exp_weighted_obi_decay_0_5");
    close(price(volume_adjusted_mid_ticks(near_bids, near_asks)), "vamp_N");
    close(price(weighted_depth_ticks(near_bids, near_asks)), "weighted_depth_price_N");
    close(price(effective_mid_ticks(near_bids, near_asks)), "vamp_effective_N");
}

fn micro_price(case: &Case<'_>) {
    let (still, moved) =
        (rows(case.input("no_move_counts")), rows(case.input("move_next_state_counts")));
    let down = numbers(case.input("down_move_counts"));
    let up = numbers(case.input("up_move_counts"));
    let (states, step) = (still.len(), case.number("price_step_ticks"));
    let mut counts = Transitions::new(states);
    for from in 0..states {
        let moves = up[from] + down[from];
        let total: f64 = still[from].iter().sum::<f64>() + moves;
        for to in 0..states {
            counts.add(from, to, 0.0, still[from][to]);
            // The golden counts say where moves led, and apart from that how many were up.
            for (count, step) in [(up[from], step), (down[from], -step)] {
                if count == 0.0 {
                    continue;
                }
                counts.add(from, to, step, moved[from][to] * count / moves);
            }
            let stays = case.expected("Q");
            case.close(still[from][to] / total, &stays[from][to]);
        }
    }
    let solved = counts.solve().unwrap();
    let (first, next) = (solved.first_move(), solved.next_moves());
    for row in 0..states {
        case.close(first[row], &case.expected("G1")[row]);
        case.close(next[row], &case.expected("G6")[row]);
    }
    let mut sums = vec![0.0; states];
    for column in 0..states {
        let unit: Vec<f64> = (0..states).map(|s| f64::from(u8::from(s == column))).collect();
        for (row, value) in solved.after_move(&unit).into_iter().enumerate() {
            case.close(value, &case.expected("B")[row][column]);
            sums[row] += value;
        }
    }
    for (row, sum) in sums.iter().enumerate() {
        case.close(*sum, &case.expected("B_row_sums")[row]);
    }
    if case.expected("antisymmetric") == true {
        // The mirror image changes nothing about counts that are symmetrical already.
        let both = counts.symmetrised(|state| states - 1 - state).solve().unwrap().next_moves();
        for row in 0..states {
            assert!((both[row] + both[states - 1 - row]).abs() < 1e-12, "{both:?}");
            case.close(both[row], &case.expected("G6")[row]);
        }
    }
}

fn order_flow(case: &Case<'_>) {
    let quotes = case.input("quotes_bid_bidqty_ask_askqty").as_array().unwrap();
    let level = |row: &Value, at: usize| Level { px: px(&row[at]), qty: qty(&row[at + 1]) };
    let mut total = 0.0;
    for (pair, expected) in quotes.windows(2).zip(case.expected("e_n").as_array().unwrap()) {
        let flow = |side, at| level_flow(side, level(&pair[0], at), level(&pair[1], at));
        let event = (flow(Side::Buy, 0) + flow(Side::Sell, 2)) as f64 / LOTS;
        case.close(event, expected);
        total += event;
    }
    case.close(total, case.expected("ofi_total"));
}

fn trade_flow(case: &Case<'_>) {
    // Trades at one moment weigh the same.
    let run = |half_life: Span, moment: Option<Ts>| {
        let mut flow = TradeFlow::new(TradeFlowParams { half_life, ..TradeFlowParams::default() });
        for (index, row) in
            case.input("trades_time_qty_sign").as_array().unwrap().iter().enumerate()
        {
            let trade = Trade {
                instrument: InstrumentId(0),
                px: Px(1),
                qty: qty(&row[1]),
                aggressor: side(number(&row[2])),
                trade_id: index as u64,
                at: moment.unwrap_or_else(|| at(&row[0])),
            };
            assert!(flow.observe(&trade, 1.0));
        }
        flow
    };
    let half_life = Span((case.number("half_life_s") * 1e9).round() as i64);
    let flow = run(half_life, None);
    let [bought, sold] = flow.taken();
    case.close((bought - sold) / LOTS, case.expected("signed"));
    case.close((bought + sold) / LOTS, case.expected("total"));
    case.close(flow.imbalance(), case.expected("imbalance"));
    case.close(run(half_life, Some(Ts(0))).imbalance(), case.expected("window_imbalance_all"));
}

fn vpin(case: &Case<'_>) {
    let expected = numbers(case.expected("bucket_imbalances"));
    let run = |window: usize| {
        let mut vpin = Vpin::new(Some(case.number("bucket_volume")), window);
        for row in rows(case.input("trades_qty_sign")) {
            vpin.observe(side(row[1]), row[0]);
        }
        vpin
    };
    let all: Vec<f64> = run(expected.len() + 1).imbalances().collect();
    assert_eq!(all.len(), expected.len(), "{all:?}");
    for (got, expected) in all.iter().zip(case.expected("bucket_imbalances").as_array().unwrap()) {
        case.close(*got, expected);
    }
    let averaged = run(case.number("window_buckets") as usize);
    match averaged.vpin() {
        Some(vpin) => case.close(vpin, case.expected("vpin")),
        None => assert!(expected.len() < case.number("window_buckets") as usize),
    }
}

fn markouts(case: &Case<'_>) {
    let expected = case.expected("horizons").as_array().unwrap();
    let fills = case.input("fills").as_array().unwrap();
    let all = followed(case, 0..fills.len());
    for (average, row) in all.averages().iter().zip(expected) {
        assert_eq!(average.both.fills, fills.len() as u64);
        case.close(average.both.half_ticks / (2.0 * TICKS), &row["qty_weighted_markout"]);
    }
    for index in 0..fills.len() {
        let alone = followed(case, index..index + 1);
        for (average, row) in alone.averages().iter().zip(expected) {
            let bought = number(&fills[index]["side"]) > 0.0;
            let of_side = if bought { average.bid } else { average.ask };
            let side = if bought { Side::Buy } else { Side::Sell };
            let row = &row["fills"][index];
            let markout = average.both.half_ticks / (2.0 * TICKS);
            case.close(markout, &row["markout"]);
            case.close(average.both.bps, &row["markout_bps"]);
            case.close(of_side.bps, &row["markout_bps"]);
            // The adverse move is measured against the mid that the fill met.
            let met = number(&fills[index]["px"])
                + number(&row["spread_capture"]) * number(&fills[index]["side"]);
            let adverse = -alone.adverse(side, average.horizon).bps * 1e-4 * met;
            case.close(adverse, &row["adverse_move"]);
            case.close(markout - adverse, &row["spread_capture"]);
        }
    }
}

/// What was measured of some of the fills, by horizon.
fn followed(case: &Case<'_>, some: Range<usize>) -> Markouts {
    let expected = case.expected("horizons").as_array().unwrap();
    let spans: Vec<Span> = expected.iter().map(|row| Span(at(&row["horizon"]).0)).collect();
    let mut markouts = Markouts::new(&spans);
    let step = case.input("mid_step_function");
    let times = step["t"].as_array().unwrap();
    let mids = step["m"].as_array().unwrap();
    let mut fills = case.input("fills").as_array().unwrap()[some].iter().enumerate().peekable();
    let half_ticks = |mid: &Value| (number(mid) * 2.0 * TICKS).round() as i64;
    for (time, mid) in times.iter().zip(mids) {
        while let Some((index, row)) = fills.next_if(|(_, row)| at(&row["t"]) < at(time)) {
            markouts.fill(at(&row["t"]), &fill(index, row));
        }
        markouts.mark(at(time), half_ticks(mid));
    }
    for (index, row) in fills {
        markouts.fill(at(&row["t"]), &fill(index, row));
    }
    // Horizons that end after the last mid take the last mid.
    markouts.mark(Ts::FAR, half_ticks(mids.last().unwrap()));
    markouts
}

fn fill(index: usize, row: &Value) -> Fill {
    Fill {
        instrument: InstrumentId(0),
        order: None,
        venue_order_id: 0,
        trade_id: index as u64,
        side: side(number(&row["side"])),
        px: px(&row["px"]),
        qty: qty(&row["qty"]),
        liquidity: Liquidity::Maker,
        fee: Money::ZERO,
        fee_asset: Asset::new("USDT"),
        at: at(&row["t"]),
    }
}

fn kyle(case: &Case<'_>) {
    let mut fit = Regression::new(f64::INFINITY);
    let moves = numbers(case.input("price_change"));
    for (volume, moved) in numbers(case.input("signed_volume")).into_iter().zip(moves) {
        fit.add(volume, moved);
    }
    let line = fit.line().unwrap();
    case.close(fit.slope_through_origin().unwrap(), case.expected("lambda_no_intercept"));
    case.close(line.slope, case.expected("lambda_with_intercept"));
    case.close(line.r_squared, case.expected("r2_with_intercept"));
}

fn informed(case: &Case<'_>) {
    let (low, high) = (case.number("v_low"), case.number("v_high"));
    let quotes =
        informed_quotes(case.number("prob_informed"), low, high, case.number("prior_high"));
    let [bid, ask] = quotes.unwrap();
    case.close(bid, case.expected("bid"));
    case.close(ask, case.expected("ask"));
}

fn break_even(case: &Case<'_>) {
    let bps = |key: &str| case.number(key) * 1e4;
    let (fee, adverse) = (bps("maker_fee_rate"), bps("expected_adverse_move_rate"));
    let raw = break_even_bps(fee, adverse, bps("target_edge_rate")) * 1e-4;
    case.close(raw, case.expected("raw"));
    case.close(raw.max(0.0), case.expected("min_half_spread_rate"));
}
