//! The estimators on a recorded market.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use evenkeel::domain::{InstrumentId, Px, Qty, Side, Trade, Ts};
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
