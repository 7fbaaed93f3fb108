//! The `[signals]` section: what is read out of the market, and what is done about it.

use crate::engine::SignalUse;
use crate::market::{AlphaSignal, FairPrice, SignalParams};

use super::reader::Table;

/// Read the section; what is wrong has been reported to the table's sink.
pub(super) fn signals(table: Table<'_>) -> SignalUse {
    let fair_prices = [
        ("weighted_mid", FairPrice::WeightedMid),
        ("mid", FairPrice::Mid),
        ("micro_price", FairPrice::MicroPrice),
    ];
    let alphas = [
        ("off", None),
        ("imbalance", Some(AlphaSignal::Imbalance)),
        ("depth_imbalance", Some(AlphaSignal::DepthImbalance)),
        ("order_flow", Some(AlphaSignal::OrderFlow)),
        ("trade_flow", Some(AlphaSignal::TradeFlow)),
    ];
    let signals = SignalUse {
        measured: SignalParams {
            fair_price: table.choice("fair_price", &fair_prices, true),
            alpha: table.choice("alpha", &alphas, true),
            horizon: table.millis("horizon_ms", 100..60_000, 1_000),
            max_alpha_bps: table.number("max_alpha_bps", 0.0..100.0, 2.0),
        },
        toxicity_widening: table.number("toxicity_widening", 0.0..10.0, 0.0),
        pull_when_toxic: table.or("pull_when_toxic", false),
        adverse_from_markouts: table.or("adverse_from_markouts", false),
    };
    table.finish();
    signals
}
