//! The signals on a recorded market, and what they do to quotes.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use evenkeel::domain::{InstrumentId, Level, Px, Qty, Side, Span, Trade, Ts};
use evenkeel::market::{
    AlphaSignal, FairPrice, Ladder, Regression, SignalParams, Signals, SignalsView, Touch,
    TouchFills, TradeFlow, TradeFlowParams, level_flow,
};
use serde_json::Value;

use crate::market::frames;
use crate::shared::shared;

/// What the signals say at the end of a recording.
struct Watched {
    view: SignalsView,
    /// Order flow at the touch against the return of the same second.
    flow: Regression,
    fills: TouchFills,
}

fn touch_of(data: &Value, at: Ts, ticks: f64) -> Touch {
    let number = |key: &str| data[key].as_str().unwrap().parse::<f64>().unwrap();
    let level = |px: &str, qty: &str| Level {
        px: Px((number(px) * ticks).round() as i64),
        qty: Qty((number(qty) * 1000.0).round() as i64),
    };
    Touch { bid: level("b", "B"), ask: level("a", "A"), at }
}

fn watch(name: &str, alpha: AlphaSignal) -> Option<Watched> {
    let path = shared(&format!("data/binance-2024-08-08/usdm/{name}_20240808.gz"))?;
    let ticks = if name == "btcusdt" { 10.0 } else { 100.0 };
    let horizon = Span::from_s(1);
    let (fair_price, max_alpha_bps) = (FairPrice::Mid, 5.0);
    let mut signals =
        Signals::new(SignalParams { fair_price, alpha: Some(alpha), horizon, max_alpha_bps });
    let mut takers = TradeFlow::new(TradeFlowParams::default());
    let (mut flow, mut fills) = (Regression::new(f64::INFINITY), TouchFills::new(horizon));
    let (mut now, mut last) = (Ts(0), None::<Touch>);
    let (mut ends, mut opened, mut sum) = (Ts(0), f64::NAN, 0);
    for frame in frames(&path) {
        let data = &frame["data"];
        let at = Ts::from_ms(data["T"].as_i64().unwrap_or_default());
        match data["e"].as_str() {
            Some("bookTicker") => {
                now = now.max(at);
                let touch = touch_of(data, now, ticks);
                if now >= ends {
                    if let Some(last) = last {
                        flow.add(sum as f64, (last.mid_ticks() / opened - 1.0) * 1e4);
                        opened = last.mid_ticks();
                    }
                    (sum, ends) = (0, now + horizon);
                }
                if let Some(last) = last {
                    sum += level_flow(Side::Buy, last.bid, touch.bid)
                        + level_flow(Side::Sell, last.ask, touch.ask);
                }
                last = Some(touch);
                let mut ladder = Ladder::default();
                (ladder[0][0], ladder[1][0]) = (Some(touch.bid), Some(touch.ask));
                signals.observe_book(now, &touch, &ladder, &takers);
                let (bid, ask) = (touch.bid.qty.0 as f64, touch.ask.qty.0 as f64);
                fills.observe(now, touch.mid_ticks(), (bid - ask) / (bid + ask));
            }
            Some("trade") if data["X"] == "MARKET" => {
                let Some(touch) = last else { continue };
                let number = |key: &str| data[key].as_str().unwrap().parse::<f64>().unwrap();
                let trade = Trade {
                    instrument: InstrumentId(0),
                    px: Px((number("p") * ticks).round() as i64),
                    qty: Qty((number("q") * 1000.0).round() as i64),
                    aggressor: if data["m"] == true { Side::Sell } else { Side::Buy },
                    trade_id: data["t"].as_u64().unwrap(),
                    at,
                };
                now = now.max(at);
                if takers.observe(&trade, touch.mid_ticks()) {
                    signals.observe_trade(now, &trade);
                    fills.trade(now, trade.aggressor, at);
                }
            }
            Some(_) | None => {}
        }
    }
    let view = signals.view(Some(0.001), Some(1.2), &takers);
    Some(Watched { view, flow, fills })
}

#[test]
fn the_signals_say_what_was_measured_on_the_same_recording() {
    // Golden file 28: slope of the next second's return per unit of the bids' share of the touch,
    // R² of the order flow of the same second, and the move against fills with their side thin.
    let measured = [("btcusdt", 0.90, 0.44, 0.53), ("ethusdt", 0.80, 0.56, 0.57)];
    for (name, slope, r_squared, thin) in measured {
        let Some(watched) = watch(name, AlphaSignal::Imbalance) else { return };
        let view = watched.view;
        let alpha = view.alpha.unwrap();
        // Half the slope, because the imbalance runs from −1 to 1; recent samples weigh more.
        assert!((alpha.slope_bps * 2.0 / slope - 1.0).abs() < 0.25, "{name}: {alpha:?}");
        assert!(alpha.trusted && alpha.t > 3.0, "{name}: {alpha:?}");
        assert!(view.alpha_used_bps.abs() < 1.0, "{name}: {view:?}");
        let line = watched.flow.line().unwrap();
        assert!(line.slope > 0.0 && (line.r_squared - r_squared).abs() < 0.05, "{name}: {line:?}");
        let fills = watched.fills.by_state();
        assert!((fills[0].1 / thin - 1.0).abs() < 0.25, "{name}: {fills:?}");
        assert!(fills[4].1 < 0.0, "{name}: a thick side gains, {fills:?}");
        assert!(view.micro_price_bps.trusted, "{name}: {view:?}");
        assert!(view.kyle_lambda_bps_per_base.value.unwrap() > 0.0, "{name}: {view:?}");
        let percentile = view.toxicity_percentile.value.unwrap();
        assert!((0.0..=1.0).contains(&percentile), "{name}: {view:?}");
    }
}

/// What order flow explains of its own second it does not predict of the next: as an alpha it is
/// weak, and is believed as little.
#[test]
fn order_flow_predicts_little() {
    let Some(watched) = watch("ethusdt", AlphaSignal::OrderFlow) else { return };
    let alpha = watched.view.alpha.unwrap();
    assert!(alpha.r_squared < 0.06, "{alpha:?}");
    assert!(!alpha.trusted || watched.view.alpha_used_bps.abs() < 0.5, "{alpha:?}");
}
