//! The models against numbers computed elsewhere: the golden vectors of the shared folder.
//!
//! Every case of a kind that evenkeel implements is checked at its own tolerance; the others are
//! printed as not implemented.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use evenkeel::domain::{
    Asset, BookUpdate, Fill, Instrument, InstrumentId, InstrumentKind, Level, Liquidity, Money, Px,
    Qty, Side, Span, Trade, Ts, VenueId,
};
use evenkeel::inventory::{Attribution, Booked, Markouts, Position};
use evenkeel::market::{
    Book, Intensity, IntensityParams, TradeFlow, TradeFlowParams, Volatility, VolatilityParams,
    WeightedSquares, fit,
};
use evenkeel::quoting::glft::{Market, Outlook, depths, risk_aversion_for_std};
use serde_json::Value;

use crate::shared::shared;

/// Run `check` on every case of a golden file; it answers false where the kind of case is not
/// implemented. At least `least` cases must have been checked.
fn golden(file: &str, least: usize, check: impl Fn(&Value) -> bool) {
    let Some(path) = shared(&format!("quant/golden/{file}.json")) else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for case in document["cases"].as_array().unwrap() {
        if check(case) {
            checked += 1;
        } else {
            println!("not implemented: {file} {}", case["name"]);
        }
    }
    assert!(checked >= least, "{file}: {checked} cases checked, expected {least}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// `|got − expected| ≤ abs + rel·|expected|`, the tolerance of the case.
#[track_caller]
fn close(case: &Value, got: f64, expected: &Value) {
    let tolerance = |key: &str| case["tolerance"][key].as_f64().unwrap_or(0.0);
    let expected = number(expected);
    let allowed = tolerance("abs") + tolerance("rel") * expected.abs();
    assert!((got - expected).abs() <= allowed, "{}: {got} is not {expected}", case["name"]);
}

fn glft_inputs(case: &Value) -> (Market, Outlook) {
    let inputs = &case["inputs"];
    let optional = |key: &str| inputs[key].as_f64().unwrap_or(0.0);
    let market = Market {
        sigma: number(&inputs["sigma"]),
        a: number(&inputs["A"]),
        k: number(&inputs["k"]),
    };
    let outlook = Outlook {
        risk_aversion: number(&inputs["gamma"]),
        execution_aversion: optional("xi"),
        drift: optional("mu"),
        impact: optional("impact_xi"),
    };
    (market, outlook)
}

#[test]
fn the_closed_form_is_the_published_one() {
    golden("05_glft_closed_form", 5, |case| {
        let (market, outlook) = glft_inputs(case);
        assert_eq!(number(&case["inputs"]["delta"]), 1.0, "lots of one are implemented");
        let depths = depths(market, outlook).unwrap();
        let expected = &case["expected"];
        close(case, depths.half_spread, &expected["half_spread"]);
        let skew = if expected["skew"].is_null() { "skew_per_unit" } else { "skew" };
        close(case, depths.skew, &expected[skew]);
        for quote in expected["quotes"].as_array().into_iter().flatten() {
            close(case, depths.bid(number(&quote["q"])), &quote["bid_depth"]);
            close(case, depths.ask(number(&quote["q"])), &quote["ask_depth"]);
        }
        true
    });
}

#[test]
fn drift_and_impact_move_the_closed_form_as_published() {
    golden("07_glft_drift_impact", 3, |case| {
        let (market, mut outlook) = glft_inputs(case);
        outlook.execution_aversion = outlook.risk_aversion;
        let depths = depths(market, outlook).unwrap();
        for quote in case["expected"]["closed_form"].as_array().unwrap() {
            close(case, depths.bid(number(&quote["q"])), &quote["bid_depth"]);
            close(case, depths.ask(number(&quote["q"])), &quote["ask_depth"]);
        }
        true
    });
}

#[test]
fn carry_shifts_both_quotes() {
    golden("20_carry", 2, |case| {
        if case["expected"]["quote_shift_up"].is_null() {
            return false;
        }
        let (market, mut outlook) = glft_inputs(case);
        outlook.execution_aversion = outlook.risk_aversion;
        let depths = depths(market, outlook).unwrap();
        close(case, depths.shift, &case["expected"]["quote_shift_up"]);
        close(case, depths.skew, &case["expected"]["skew_per_unit"]);
        true
    });
}

#[test]
fn risk_aversion_follows_from_an_inventory_target() {
    golden("10_gamma_from_inventory_target", 2, |case| {
        let inputs = &case["inputs"];
        let market = Market {
            sigma: number(&inputs["sigma"]),
            a: number(&inputs["A"]),
            k: number(&inputs["k"]),
        };
        let gamma = risk_aversion_for_std(market, number(&inputs["target_std_inventory"]));
        let expected = number(&case["expected"]["gamma_xi0"]);
        assert!((gamma / expected - 1.0).abs() <= number(&case["tolerance"]["gamma_rel"]));
        true
    });
}

#[test]
fn intensity_is_the_maximum_likelihood_fit() {
    golden("12_intensity_calibration", 1, |case| {
        if case["name"] != "survival_regression" {
            return false;
        }
        let depths = numbers(&case["inputs"]["depths_ticks"]);
        let least = depths.iter().copied().fold(f64::INFINITY, f64::min);
        let seconds = number(&case["inputs"]["T_seconds"]);
        let fit = fit(&depths, least, f64::INFINITY, seconds).unwrap();
        close(case, fit.a_per_s, &case["expected"]["A_mle"]);
        close(case, fit.k, &case["expected"]["k_mle"]);
        assert!(fit.r_squared > 0.99, "{fit:?}");
        true
    });
}

#[test]
fn volatility_is_unbiased_on_irregular_times() {
    golden("13_volatility", 1, |case| {
        if case["name"] != "irregular_ewma_rate" {
            return false;
        }
        let inputs = &case["inputs"];
        let (times, prices) = (numbers(&inputs["times"]), numbers(&inputs["prices"]));
        let mut squares = WeightedSquares::new(number(&inputs["half_life_s"]));
        for i in 1..times.len() {
            squares.add(times[i] - times[i - 1], prices[i] - prices[i - 1]);
        }
        close(case, squares.sigma().unwrap(), &case["expected"]["sigma_per_sqrt_s"]);
        true
    });
}

#[test]
fn the_fair_price_candidates_are_the_defined_ones() {
    golden("14_fair_price", 1, |case| {
        if case["name"] != "five_level_book" {
            return false;
        }
        let levels = |side: &str| -> Vec<Level> {
            let rows = case["inputs"][side].as_array().unwrap().iter().map(numbers);
            let level = |row: Vec<f64>| Level {
                px: Px((row[0] * 100.0).round() as i64),
                qty: Qty((row[1] * 10.0).round() as i64),
            };
            rows.map(level).collect()
        };
        let mut book = Book::new();
        book.apply(&BookUpdate {
            instrument: InstrumentId(0),
            snapshot: true,
            bids: levels("bids"),
            asks: levels("asks"),
            at: Ts(0),
        });
        close(case, book.mid_ticks().unwrap() / 100.0, &case["expected"]["mid"]);
        let weighted = book.weighted_mid_ticks().unwrap() / 100.0;
        close(case, weighted, &case["expected"]["weighted_mid"]);
        true
    });
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

fn at(seconds: &Value) -> Ts {
    Ts((number(seconds) * 1e9).round() as i64)
}

fn half_ticks(price: &Value) -> i64 {
    (number(price) * 200.0).round() as i64
}

fn money(value: &Value) -> Money {
    value.to_string().parse().unwrap()
}

fn fill(index: usize, row: &Value) -> Fill {
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

#[test]
fn profit_is_attributed_exactly() {
    golden("21_pnl_attribution", 1, |case| {
        let inputs = &case["inputs"];
        if inputs["contract"] != "linear" {
            return false;
        }
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
        let expected = &case["expected"];
        let value = |amount: Money| amount.to_string().parse::<f64>().unwrap();
        close(case, value(parts.spread_capture), &expected["maker_spread_capture"]);
        close(case, value(parts.hedge), &expected["hedge_cost"]);
        close(case, value(parts.inventory), &expected["inventory"]);
        close(case, value(parts.fees), &expected["fees"]);
        close(case, value(parts.funding), &expected["funding"]);
        close(case, value(parts.total()), &expected["total"]);
        let mark = attribution.mark_half_ticks().unwrap();
        let price = Position::half_tick_price(mark, &instrument);
        attribution.check(position.total(price, &instrument), &instrument).unwrap();
        true
    });
}

#[test]
fn markouts_take_the_last_mid_at_each_horizon() {
    golden("18_toxicity", 1, |case| {
        if case["name"] != "markouts" {
            return false;
        }
        let inputs = &case["inputs"];
        let expected = case["expected"]["horizons"].as_array().unwrap();
        let spans: Vec<Span> = expected.iter().map(|row| Span(at(&row["horizon"]).0)).collect();
        let mut markouts = Markouts::new(&spans);
        let times = inputs["mid_step_function"]["t"].as_array().unwrap();
        let mids = inputs["mid_step_function"]["m"].as_array().unwrap();
        let mut fills = inputs["fills"].as_array().unwrap().iter().enumerate().peekable();
        for (time, mid) in times.iter().zip(mids) {
            while let Some((index, row)) = fills.next_if(|(_, row)| at(&row["t"]) < at(time)) {
                markouts.fill(at(&row["t"]), &fill(index, row));
            }
            markouts.mark(at(time), half_ticks(mid));
        }
        // Horizons that end after the last mid take the last mid.
        let last = half_ticks(mids.last().unwrap());
        markouts.mark(Ts::FAR, last);
        for (average, row) in markouts.averages().iter().zip(expected) {
            assert_eq!(average.fills, inputs["fills"].as_array().unwrap().len() as u64);
            close(case, average.half_ticks / 200.0, &row["qty_weighted_markout"]);
        }
        true
    });
}

/// The frames of a recording, without their receive times.
fn frames(path: &std::path::Path) -> Vec<Value> {
    use std::io::Read;
    let file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let frame = |line: &str| line.split_once(' ').map(|(_, json)| serde_json::from_str(json));
    text.lines().filter_map(frame).map(|json| json.unwrap()).collect()
}

/// Six quiet minutes of BTC and ETH perpetuals: the estimators say what was measured on the
/// same recording elsewhere.
#[test]
fn the_estimators_are_right_on_a_recorded_market() {
    for name in ["btcusdt", "ethusdt"] {
        let Some(path) = shared(&format!("data/binance-2024-08-08/usdm/{name}_20240808.gz")) else {
            return;
        };
        let mut volatility = Volatility::new(VolatilityParams::default());
        let mut intensity = Intensity::new(IntensityParams::default());
        let mut flow = TradeFlow::new(TradeFlowParams::default());
        let (mut mid, mut now) = (f64::NAN, Ts(0));
        for frame in frames(&path) {
            let data = &frame["data"];
            let text = |key: &str| data[key].as_str().unwrap().parse::<f64>().unwrap();
            let at = || Ts::from_ms(data["T"].as_i64().unwrap());
            match data["e"].as_str() {
                Some("bookTicker") => {
                    mid = (text("b") + text("a")) * 0.5 * 100.0;
                    now = now.max(at());
                    volatility.observe(now, mid);
                    intensity.refresh(now);
                }
                Some("trade") if data["X"] == "MARKET" => {
                    let trade = Trade {
                        instrument: InstrumentId(0),
                        px: Px((text("p") * 100.0).round() as i64),
                        qty: Qty((text("q") * 1000.0).round() as i64),
                        aggressor: if data["m"] == true { Side::Sell } else { Side::Buy },
                        trade_id: data["t"].as_u64().unwrap(),
                        at: at(),
                    };
                    intensity.observe(&trade, mid);
                    flow.observe(&trade, mid);
                }
                Some(_) | None => {}
            }
        }
        let sigma = volatility.bps_sqrt_s().unwrap();
        println!("{name}: {sigma} bps/√s, {:?}, {}", intensity.estimate(), flow.imbalance());
        // 1.21 and 1.13 over the whole recording; the estimate weighs its last minutes.
        assert!((0.8..1.8).contains(&sigma), "{name}: {sigma}");
        // Python over the same frames: k 0.54 and A 0.39 for BTC, 1.02 and 0.21 for ETH.
        let estimate = intensity.estimate();
        let (k, a) = if name == "btcusdt" { (0.54, 0.39) } else { (1.02, 0.21) };
        assert!(estimate.trusted, "{name}: {estimate:?}");
        assert!((estimate.k_per_bps / k - 1.0).abs() < 0.05, "{name}: {estimate:?}");
        assert!((estimate.a_per_s / a - 1.0).abs() < 0.05, "{name}: {estimate:?}");
        assert!((-1.0..=1.0).contains(&flow.imbalance()));
    }
}
