//! The estimators on a recorded market.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use evenkeel::domain::{InstrumentId, Px, Qty, Side, Trade, Ts};
use evenkeel::market::lead_lag;
use evenkeel::market::{
    Intensity, IntensityParams, TradeFlow, TradeFlowParams, Volatility, VolatilityParams,
};
use serde_json::Value;

use crate::shared::shared;

/// The frames of a recording, without their receive times.
pub fn frames(path: &std::path::Path) -> Vec<Value> {
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

/// Log mids of a recording by the one recorder's clock, in seconds, those that did not change
/// too: an interval that ends with a move and began long before it would seem to follow.
fn mids(name: &str) -> Option<Vec<(f64, f64)>> {
    use std::io::Read;
    let path = shared(&format!("data/binance-2024-08-08/{name}_20240808.gz"))?;
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut mids: Vec<(f64, f64)> = Vec::new();
    for line in text.lines().filter(|line| line.contains("@bookTicker\"")) {
        let (at, json) = line.split_once(' ').unwrap();
        let json: Value = serde_json::from_str(json).unwrap();
        let price = |key: &str| json["data"][key].as_str().unwrap().parse::<f64>().unwrap();
        // Less the day, so that a float has the nanoseconds.
        let at_s = (at.parse::<i64>().unwrap() - 1_723_161_000_000_000_000) as f64 * 1e-9;
        let mid = ((price("b") + price("a")) * 0.5).ln();
        if mids.last().is_none_or(|last| last.0 < at_s) {
            mids.push((at_s, mid));
        }
    }
    Some(mids)
}

/// The price before each instant of a grid of 50 ms; time in steps of it, which are exact.
fn on_grid(mids: &[(f64, f64)], from_s: f64, to_s: f64) -> Vec<(f64, f64)> {
    let steps = ((to_s - from_s) / 0.05) as i32;
    let before = |at_s: f64| mids[mids.partition_point(|mid| mid.0 <= at_s) - 1].1;
    let point = |step: i32| (f64::from(step), before(from_s + f64::from(step) * 0.05));
    (0..steps).map(point).collect()
}

/// Who moves first on a recorded market: COIN-M follows USD-M by 50 ms, spot and USD-M move
/// together. Read on a common grid, because a price that is only read when it moves seems to
/// follow one that is read more often (as they come, USD-M would lead spot with a ratio of 12).
/// The golden correlations are of a grid with a beginning of its own, which moves each by a few
/// hundredths, and the ratio of their small sums by up to a third.
#[test]
fn lead_and_lag_of_a_recorded_market_are_what_was_measured_elsewhere() {
    let (Some(usdm), Some(spot), Some(coinm)) =
        (mids("usdm/btcusdt"), mids("spot/btcusdt"), mids("cm/btcusd_perp"))
    else {
        return;
    };
    let all = [&usdm, &spot, &coinm];
    let from_s = all.iter().map(|mids| mids[0].0).fold(f64::MIN, f64::max);
    let to_s = all.iter().map(|mids| mids[mids.len() - 1].0).fold(f64::MAX, f64::min);
    let [usdm, spot, coinm] = all.map(|mids| on_grid(mids, from_s, to_s));
    let lags: Vec<f64> = (-8..=8).map(f64::from).collect();
    let behind = lead_lag(&usdm, &coinm, &lags).unwrap();
    let beside = lead_lag(&usdm, &spot, &lags).unwrap();
    println!("COIN-M behind USD-M: {behind:?}\nspot and USD-M: {beside:?}");
    assert_eq!((behind.lag_s, beside.lag_s), (1.0, 0.0), "in steps");
    let path = shared("quant/golden/28_real_data_anchors.json").unwrap();
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    let pairs = &cases.iter().find(|case| case["name"] == "lead_lag").unwrap()["expected"];
    for (found, pair) in [(behind, "usdm_btc->cm_btc"), (beside, "usdm_btc->spot_btc")] {
        let side = |key: &str| -> Vec<f64> {
            pairs[pair][key].as_array().unwrap().iter().map(|c| c.as_f64().unwrap()).collect()
        };
        let (after, before) = (side("c_pos"), side("c_neg"));
        let mut expected: Vec<f64> = before.iter().rev().copied().collect();
        expected.push(pairs[pair]["c0"].as_f64().unwrap());
        expected.extend(&after);
        for (got, expected) in found.contrast.iter().zip(&expected) {
            assert!((got - expected).abs() < 0.06, "{pair}: {found:?}");
        }
        let squares = |side: &[f64]| side.iter().map(|c| c * c).sum::<f64>();
        let ratio = squares(&after) / squares(&before);
        assert!((found.ratio / ratio).ln().abs() < 1.5f64.ln(), "{pair}: {ratio}, {found:?}");
    }
}
