//! The `[quoting]` section: the model and the ladder.

use crate::domain::{Bps, Money, Span};

use super::reader::Table;
use super::settings::{InventoryRisk, LevelSettings, LevelSize, Model, Quoting};

/// Read the section; what is wrong has been reported to the table's sink.
pub(super) fn quoting(table: Table<'_>) -> Quoting {
    let quoting = Quoting {
        model: model(&table),
        half_spread: Bps(table.number("half_spread_bps", 0.0..5_000.0, 10.0)),
        min_half_spread: Bps(table.number("min_half_spread_bps", 0.0..5_000.0, 1.0)),
        max_half_spread: Bps(table.number("max_half_spread_bps", 0.0..5_000.0, 200.0)),
        min_edge: Bps(table.number("min_edge_bps", -100.0..1_000.0, 0.0)),
        inventory_skew_per_limit: Bps(table.number(
            "inventory_skew_bps_per_limit",
            0.0..5_000.0,
            10.0,
        )),
        max_skew: Bps(table.number("max_skew_bps", 0.0..5_000.0, 100.0)),
        half_spread_per_volatility: table.number("half_spread_per_volatility", 0.0..100.0, 0.0),
        adverse_move: Bps(table.number("adverse_move_bps", 0.0..1_000.0, 0.0)),
        size_skew: table.number("size_skew", 0.0..1.0, 0.5),
        levels: levels(&table),
        reprice_threshold: Bps(table.number("reprice_threshold_bps", 0.0..1_000.0, 0.5)),
        reprice_min_interval: table.millis("reprice_min_interval_ms", 0..60_000, 250),
        max_quote_age: table.millis("max_quote_age_ms", 1_000..86_400_000, 60_000),
        post_fill_pause: table.millis("post_fill_pause_ms", 0..600_000, 0),
        volatility_half_life: Span::from_s(table.whole("volatility_half_life_s", 1..86_400, 60)),
    };
    let (low, mid, high) =
        (quoting.min_half_spread.0, quoting.half_spread.0, quoting.max_half_spread.0);
    if !(low <= mid && mid <= high) {
        let text = format!(
            "is {mid}; it must be between min_half_spread_bps = {low} and max_half_spread_bps = \
             {high}"
        );
        table.problem("half_spread_bps", text);
    }
    table.finish();
    quoting
}

fn model(table: &Table<'_>) -> Model {
    let is_fixed = table.choice("model", &[("fixed", true), ("glft", false)], true);
    let glft_only = [
        "risk_aversion",
        "inventory_std_target_base",
        "order_arrival_per_s",
        "order_arrival_decay_per_bps",
    ];
    let number = |key: &'static str| -> Option<f64> {
        let value: f64 = table.maybe(key)?;
        if value <= 0.0 {
            table.problem(key, format!("is {value}; it must be above zero"));
        }
        Some(value)
    };
    let found = glft_only.map(number);
    if is_fixed {
        for key in glft_only.iter().filter(|key| table.has(key)) {
            table.problem(key, "belongs to model = \"glft\"; this file has model = \"fixed\"");
        }
        return Model::Fixed;
    }
    let [aversion, std_target, arrival, decay] = found;
    let risk = match (aversion, std_target) {
        (Some(aversion), None) => InventoryRisk::Aversion(aversion),
        (None, Some(target)) => InventoryRisk::StdTargetBase(target),
        (_, given) => {
            table.problem(
                "model",
                "\"glft\" needs exactly one of risk_aversion and inventory_std_target_base",
            );
            InventoryRisk::StdTargetBase(given.unwrap_or(1.0))
        }
    };
    for (key, value) in [(glft_only[2], arrival), (glft_only[3], decay)] {
        if value.is_none() && !table.has(key) {
            table.problem(key, "is missing; model = \"glft\" needs it");
        }
    }
    Model::Glft {
        risk,
        order_arrival_per_s: arrival.unwrap_or(1.0),
        order_arrival_decay_per_bps: decay.unwrap_or(1.0),
    }
}

fn levels(table: &Table<'_>) -> Vec<LevelSettings> {
    let mut levels: Vec<LevelSettings> = Vec::new();
    for rung in table.tables("levels") {
        let offset = Bps(rung.number("offset_bps", 0.0..5_000.0, 0.0));
        if levels.last().is_some_and(|last| last.offset.0 >= offset.0) {
            rung.problem(
                "offset_bps",
                format!("is {}; offsets must rise from level to level", offset.0),
            );
        }
        let most = Money::new(1, 12)..=Money::from(1_000_000_000);
        let quote = rung.maybe_money("size_quote", most.clone());
        let base = rung.maybe_money("size_base", most);
        let size = match (quote, base) {
            (Some(size), None) => LevelSize::Quote(size),
            (None, Some(size)) => LevelSize::Base(size),
            (None, None) | (Some(_), Some(_)) => {
                rung.problem_here("needs exactly one of size_quote and size_base");
                LevelSize::Quote(Money::ONE)
            }
        };
        rung.finish();
        levels.push(LevelSettings { offset, size });
    }
    if levels.is_empty() || levels.len() > 20 {
        let text = format!("has {} entries; allowed is 1 to 20 [[quoting.levels]]", levels.len());
        table.problem("levels", text);
    }
    levels
}
