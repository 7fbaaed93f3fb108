//! Volatility, intensity, fair price, order flow, toxicity.

use evenkeel::domain::{BookUpdate, InstrumentId, Level, Px, Qty, Span, Ts};
use evenkeel::inventory::Markouts;
use evenkeel::market::{Book, WeightedSquares, fit};

use super::ledger::{at, fill, half_ticks};
use super::{Case, Verdict, number, numbers};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        12 if case.has("depths_ticks") => intensity(case),
        13 if case.has("half_life_s") => volatility(case),
        14 if case.has("bids") => fair_price(case),
        18 if case.has("mid_step_function") => markouts(case),
        _ => return Verdict::NotOurs("not built yet"),
    }
    Verdict::Checked
}

fn intensity(case: &Case<'_>) {
    let depths = numbers(&case.json["inputs"]["depths_ticks"]);
    let least = depths.iter().copied().fold(f64::INFINITY, f64::min);
    let seconds = number(&case.json["inputs"]["T_seconds"]);
    let fit = fit(&depths, least, f64::INFINITY, seconds).unwrap();
    case.close(fit.a_per_s, &case.json["expected"]["A_mle"]);
    case.close(fit.k, &case.json["expected"]["k_mle"]);
    assert!(fit.r_squared > 0.99, "{fit:?}");
}

fn volatility(case: &Case<'_>) {
    let inputs = &case.json["inputs"];
    let (times, prices) = (numbers(&inputs["times"]), numbers(&inputs["prices"]));
    let mut squares = WeightedSquares::new(number(&inputs["half_life_s"]));
    for i in 1..times.len() {
        squares.add(times[i] - times[i - 1], prices[i] - prices[i - 1]);
    }
    case.close(squares.sigma().unwrap(), &case.json["expected"]["sigma_per_sqrt_s"]);
}

fn fair_price(case: &Case<'_>) {
    let levels = |side: &str| -> Vec<Level> {
        let rows = case.json["inputs"][side].as_array().unwrap().iter().map(numbers);
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
    case.close(book.mid_ticks().unwrap() / 100.0, &case.json["expected"]["mid"]);
    let weighted = book.weighted_mid_ticks().unwrap() / 100.0;
    case.close(weighted, &case.json["expected"]["weighted_mid"]);
}

fn markouts(case: &Case<'_>) {
    let inputs = &case.json["inputs"];
    let expected = case.json["expected"]["horizons"].as_array().unwrap();
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
        assert_eq!(average.both.fills, inputs["fills"].as_array().unwrap().len() as u64);
        case.close(average.both.half_ticks / 200.0, &row["qty_weighted_markout"]);
    }
}
