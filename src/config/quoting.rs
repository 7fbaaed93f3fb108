//! The `[quoting]` section: the model and the ladder.

use crate::domain::{Bps, Money, Span};

use super::reader::Table;
use super::settings::{IntensityModel, InventoryRisk, LevelSettings, LevelSize, Model, Quoting};

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
        assumed_latency: table.millis("assumed_latency_ms", 0..10_000, 0),
        use_funding_carry: table.or("use_funding_carry", false),
        cross_asset_skew: table.or("cross_asset_skew", false),
    };
    for (key, wanted) in [
        ("use_funding_carry", quoting.use_funding_carry),
        ("cross_asset_skew", quoting.cross_asset_skew),
    ] {
        if wanted && quoting.model == Model::Fixed {
            table.problem(key, "has no effect with model = \"fixed\", which weighs no risk");
        }
    }
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

/// Keys that only the models of order arrival have a use for.
const ARRIVAL_KEYS: [&str; 6] = [
    "order_arrival_per_s",
    "order_arrival_decay_per_bps",
    "risk_aversion",
    "inventory_std_target_base",
    "running_penalty",
    "horizon_s",
];

fn model(table: &Table<'_>) -> Model {
    let models = [
        ("fixed", None),
        ("avellaneda_stoikov", Some(IntensityModel::AvellanedaStoikov)),
        ("glft", Some(IntensityModel::Glft)),
        ("glft_closed_form", Some(IntensityModel::GlftClosedForm)),
        ("cartea_jaimungal", Some(IntensityModel::CarteaJaimungal)),
    ];
    let which = table.choice("model", &models, true);
    let number = |key: &'static str| -> Option<f64> {
        let value: f64 = table.maybe(key)?;
        if value <= 0.0 {
            table.problem(key, format!("is {value}; it must be above zero"));
        }
        Some(value)
    };
    let [arrival, decay, aversion, target, penalty, horizon_s] = ARRIVAL_KEYS.map(number);
    let Some(which) = which else {
        for key in ARRIVAL_KEYS.iter().filter(|key| table.has(key)) {
            table.problem(key, "belongs to model = \"glft\" and its kin; this one is \"fixed\"");
        }
        return Model::Fixed;
    };
    if which == IntensityModel::GlftClosedForm && horizon_s.is_some() {
        table.problem("horizon_s", "model = \"glft_closed_form\" has no horizon");
    }
    if horizon_s.is_some_and(|horizon| !(0.001..=86_400.0).contains(&horizon)) {
        table.problem("horizon_s", "allowed is 0.001 to 86400");
    }
    for (key, value) in ARRIVAL_KEYS.into_iter().zip([arrival, decay]) {
        if value.is_none() && !table.has(key) {
            table.problem(key, "is missing; every model but \"fixed\" needs it");
        }
    }
    Model::Intensity {
        which,
        risk: risk(table, which, aversion, target, penalty),
        order_arrival_per_s: arrival.unwrap_or(1.0),
        order_arrival_decay_per_bps: decay.unwrap_or(1.0),
        horizon_s,
    }
}

/// How inventory risk is priced: one key of two, and which two is the model's matter.
fn risk(
    table: &Table<'_>,
    which: IntensityModel,
    aversion: Option<f64>,
    target: Option<f64>,
    penalty: Option<f64>,
) -> InventoryRisk {
    let penalised = which == IntensityModel::CarteaJaimungal;
    match (aversion, penalty, target) {
        (Some(aversion), None, None) if !penalised => InventoryRisk::Aversion(aversion),
        (None, Some(penalty), None) if penalised => InventoryRisk::RunningPenalty(penalty),
        (None, None, Some(target)) => InventoryRisk::StdTargetBase(target),
        (_, _, target) => {
            let own = if penalised { "running_penalty" } else { "risk_aversion" };
            table.problem(
                "model",
                format!("needs exactly one of {own} and inventory_std_target_base"),
            );
            InventoryRisk::StdTargetBase(target.unwrap_or(1.0))
        }
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
