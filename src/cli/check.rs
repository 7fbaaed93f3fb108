//! `check`: is the configuration sound, what does it resolve to, what would be quoted?

mod hedging;

use std::time::Duration;

use rust_decimal::prelude::ToPrimitive;

use crate::config::{
    InstrumentSettings, LevelSize, Loaded, Resolved, Role, Secrets, Settings, Target, VenueKind,
    read_secrets,
};
use crate::domain::{
    Asset, Control, Instrument, InstrumentId, InstrumentKind, KeyCheck, Money, Px, Qty, Side,
    VenueId,
};
use crate::engine::{Ending, Mission, Status};
use crate::quoting;

use super::{CheckArgs, Exit, complain, panic, run, say, table};

/// Everything that can be known without the network; `--online` asks the venues too.
pub(super) fn check(args: &CheckArgs) -> Exit {
    let loaded = match crate::config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(error) => return complain(&error, Exit::Config),
    };
    say(&settings_text(&loaded));
    say(&quotes_text(&loaded.settings, args.price));
    match read_secrets(&loaded.settings) {
        Ok(secrets) if args.online => online(&loaded.settings, &secrets),
        Ok(_) => {
            say(&format!("{}: sound; all keys are at hand\n", loaded.file));
            Exit::Clean
        }
        Err(problems) => {
            let error = crate::config::ConfigError { file: loaded.file, problems };
            complain(&error, Exit::Keys)
        }
    }
}

/// How long the venues may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connects as the daemon would, reads clock, listings, fees, account and streams, and changes
/// nothing.
fn online(settings: &Settings, secrets: &Secrets) -> Exit {
    let (live, handle) = match panic::bare(settings, secrets, Mission::Observe) {
        Ok(bare) => bare,
        Err(error) => return run::failed(&error),
    };
    let watch = handle.clone();
    let timer = std::thread::Builder::new().name("patience".to_owned()).spawn(move || {
        std::thread::park_timeout(PATIENCE);
        // An engine that has ended by itself is past being stopped.
        drop(watch.send(Control::Stop));
    });
    let ending = match live.run() {
        Ok(ending) => ending,
        Err(error) => return run::failed(&error),
    };
    if let Ok(timer) = timer {
        timer.thread().unpark();
    }
    if let Some(last) = handle.snapshot() {
        say(&venues_text(&last.engine));
    }
    let small = handle.snapshot().map_or_else(Vec::new, |last| too_small(settings, &last.engine));
    match ending {
        Ending::FlatAndClean if !small.is_empty() => {
            complain(&format!("online: {}", small.join("; ")), Exit::Config)
        }
        Ending::FlatAndClean => {
            say("online: sound; every venue answers as configured\n");
            Exit::Clean
        }
        Ending::MaybeLeft { text } => complain(&format!("online: {text}"), Exit::Failed),
        other => run::exit_of(&other),
    }
}

/// Configured sizes that a venue would not take as they are, in words.
fn too_small(settings: &Settings, status: &Status) -> Vec<String> {
    let mut words = Vec::new();
    for own in status.instruments.iter().filter(|own| own.quoted) {
        let (Some(lot), Some(least_base), Some(least_quote), Some(best)) =
            (own.lot_size, own.min_order_base, own.min_notional_quote, &own.bid.best)
        else {
            continue;
        };
        for (number, level) in settings.quoting.levels.iter().enumerate() {
            let asked = match level.size {
                LevelSize::Base(size) => size,
                LevelSize::Quote(size) => size / best.price,
            };
            let size = (asked / lot).floor() * lot;
            if size < least_base || size * best.price < least_quote {
                words.push(format!(
                    "{}:{}: quoting.levels[{number}] is {} base at a price of {}; the venue takes \
                     no order of less than {} base or {} quote",
                    own.venue,
                    own.symbol,
                    size.normalize(),
                    best.price.normalize(),
                    least_base.normalize(),
                    least_quote.normalize(),
                ));
            }
        }
    }
    words
}

/// What the venues have said.
fn venues_text(status: &Status) -> String {
    let mut text = String::new();
    let yes = |known: bool| if known { "yes" } else { "no" }.to_owned();
    let or = |value: Option<String>| value.unwrap_or_else(|| "not told".to_owned());
    let mut rows = vec![
        [
            "venue",
            "clock_offset_ms",
            "market_stream",
            "user_stream",
            "key",
            "own_orders",
            "others_orders",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for venue in &status.venues {
        rows.push(vec![
            venue.name.clone(),
            or(venue.clock_offset_ms.map(|ms| ms.to_string())),
            yes(venue.market_up),
            yes(venue.user_up),
            or(venue.key_check.map(|check| {
                match check {
                    KeyCheck::Sound => "sound",
                    KeyCheck::NotIpRestricted => "not_ip_restricted",
                    KeyCheck::Unverifiable => "unverifiable",
                }
                .to_owned()
            })),
            venue.own_orders.to_string(),
            venue.foreign_orders.to_string(),
        ]);
    }
    table::columns(&rows, 0, &mut text);
    text.push('\n');
    let head = [
        "instrument",
        "tick",
        "lot",
        "least_base",
        "least_quote",
        "maker_fee",
        "taker_fee",
        "held_base",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let show = |value: Option<Money>| or(value.map(|value| value.normalize().to_string()));
    for own in &status.instruments {
        rows.push(vec![
            format!("{}:{}", own.venue, own.symbol),
            show(own.tick_size),
            show(own.lot_size),
            show(own.min_order_base),
            show(own.min_notional_quote),
            show(own.maker_fee),
            show(own.taker_fee),
            own.held_base.normalize().to_string(),
        ]);
    }
    table::columns(&rows, 0, &mut text);
    text.push('\n');
    text
}

/// Every setting as it took effect; the unit is in its name.
fn settings_text(loaded: &Loaded<Settings>) -> String {
    let mut rows = vec![vec!["setting".to_owned(), "value".to_owned(), "from".to_owned()]];
    for Resolved { key, value, is_default } in &loaded.resolved {
        let from = if *is_default { "default" } else { "file" };
        rows.push(vec![key.clone(), value.clone(), from.to_owned()]);
    }
    let mut text = String::new();
    table::columns(&rows, 0, &mut text);
    text
}

/// What would be quoted from the lower to the upper inventory limit, per quoted instrument. The
/// numbers come from the function that quotes in earnest; what only a venue can say is assumed,
/// and the assumption is printed.
fn quotes_text(settings: &Settings, price: Money) -> String {
    let mut text = String::new();
    for instrument in settings.instruments.iter().filter(|i| i.role == Role::Quote) {
        let venue = &settings.venues[instrument.venue].name;
        text.push_str(&format!(
            "\n{venue} {}: quotes by inventory, at a price of {price} in a market one tick wide \
             (tick 0.01, lot 0.00001, volatility {VOLATILITY_BPS_SQRT_S} bps/√s, no fee); \
             risk_quote is a standard deviation of the result over a minute\n",
            instrument.symbol
        ));
        let head = [
            "inventory_base",
            "bid",
            "bid_bps",
            "bid_base",
            "ask",
            "ask_bps",
            "ask_base",
            "levels",
            "half_bps",
            "skew_bps",
            "risk_quote",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for step in -4..=4_i64 {
            let from_target = instrument.inventory_limit_base * Money::from(step) / Money::from(4);
            rows.push(row(settings, instrument, price, from_target));
        }
        table::columns(&rows, 2, &mut text);
        text.push_str(&forecast_text(settings, instrument, price));
        let assumed = assumed(instrument, settings.venues[instrument.venue].kind);
        let inputs = inputs(settings, instrument, &assumed, price, Money::ZERO);
        text.push_str(&hedging::text(settings, instrument, &inputs));
    }
    text.push('\n');
    text
}

const VOLATILITY_BPS_SQRT_S: f64 = 1.0;

/// What quoting is told at an inventory; what only a venue can say is assumed.
fn inputs<'a>(
    settings: &Settings,
    own: &InstrumentSettings,
    assumed: &'a Instrument,
    price: Money,
    from_target: Money,
) -> quoting::Inputs<'a> {
    let fair = price.to_f64().unwrap_or(f64::NAN);
    let (a, k) = settings.quoting.intensity().unwrap_or((1.0, 1.0));
    let side_px = |side: Side| assumed.px_away(fair, side).unwrap_or_default();
    quoting::Inputs {
        instrument: assumed,
        fair_price: fair,
        best_bid: side_px(Side::Buy).away(Side::Buy, 1),
        best_ask: side_px(Side::Sell).away(Side::Sell, 1),
        volatility_bps_sqrt_s: Some(VOLATILITY_BPS_SQRT_S),
        intensity_a_per_s: a,
        intensity_k_per_bps: k,
        drift_bps_per_s: 0.0,
        inventory_base: from_target.to_f64().unwrap_or(f64::NAN),
        inventory_limit_base: own.inventory_limit_base.to_f64().unwrap_or(f64::NAN),
        maker_fee_bps: 0.0,
        risk_pressure: 0.0,
        size_share: 1.0,
        adverse_move_bps: settings.quoting.adverse_move.0,
        widening: 1.0,
        trade_imbalance: 0.0,
        cross_asset_skew_bps: 0.0,
    }
}

/// What the model expects of these quotes, in a market as the configuration describes it.
fn forecast_text(settings: &Settings, own: &InstrumentSettings, price: Money) -> String {
    if settings.quoting.intensity().is_none() {
        return String::new();
    }
    let assumed = assumed(own, settings.venues[own.venue].kind);
    let (params, inputs) =
        (settings.quoting.params(), inputs(settings, own, &assumed, price, Money::ZERO));
    let Some(forecast) = quoting::forecast(&params, &inputs, &mut quoting::Memo::default()) else {
        return "no forecast: the inventory limit must hold 1 to 250 first-level sizes\n"
            .to_owned();
    };
    let worth = quoting::share_of_optimum(&params, &inputs, 3600.0)
        .map_or("not known".to_owned(), |share| format!("{:.1}%", share * 100.0));
    format!(
        "expected in that market: inventory_std_base {:.6}, average_inventory_base {:.6}, \
         half_life_s {:.1}, fills_per_minute {:.2}, edge_per_fill_bps {:.3}; worth {worth} of the \
         best quotes of this risk aversion\n",
        forecast.inventory_std_base,
        forecast.average_inventory_base,
        forecast.half_life_s,
        forecast.fills_per_minute,
        forecast.edge_per_fill_bps,
    )
}

fn row(
    settings: &Settings,
    instrument: &InstrumentSettings,
    price: Money,
    from_target: Money,
) -> Vec<String> {
    let assumed = assumed(instrument, settings.venues[instrument.venue].kind);
    let decision = quoting::quote(
        &settings.quoting.params(),
        &inputs(settings, instrument, &assumed, price, from_target),
    );
    let mut cells = vec![inventory(instrument.inventory_target_base, from_target)];
    for side in &decision.quotes.sides {
        match side.levels.first() {
            Some(best) => {
                let px = assumed.price(best.px);
                let distance = (px / price - Money::ONE) * Money::from(10_000);
                cells.push(px.to_string());
                cells.push(distance.round_dp(2).to_string());
                cells.push(assumed.quantity(best.qty).normalize().to_string());
            }
            None => cells.extend([side.reason.as_str().to_owned(), String::new(), String::new()]),
        }
    }
    let counts = decision.quotes.sides.map(|side| side.levels.len().to_string());
    cells.push(counts.join("/"));
    for number in decision.numbers.map_or([None; 2], |n| [n.half_spread_bps, n.skew_bps].map(Some))
    {
        cells.push(number.map_or_else(|| "-".to_owned(), |bps| format!("{bps:.2}")));
    }
    let held_quote = from_target.abs() * price;
    let minute_bps = VOLATILITY_BPS_SQRT_S * 60_f64.sqrt();
    cells.push(format!("{:.2}", held_quote.to_f64().unwrap_or(f64::NAN) * minute_bps * 1e-4));
    cells
}

/// An inventory of the table: absolute where the target is a number, relative where it is not
/// known before the account is.
fn inventory(target: Target, from_target: Money) -> String {
    match target {
        Target::Base(target) => (target + from_target).normalize().to_string(),
        Target::AsFound => format!("found {:+}", from_target.normalize()),
    }
}

/// An instrument with usual scales, for the time before a venue has listed the real one.
fn assumed(instrument: &InstrumentSettings, kind: VenueKind) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: instrument.symbol.clone(),
        kind: match kind {
            VenueKind::BinanceSpot => InstrumentKind::Spot,
            VenueKind::BinanceUsdm => InstrumentKind::LinearPerpetual,
        },
        base: Asset::new("base"),
        quote: Asset::new("quote"),
        tick_size: Money::new(1, 2),
        lot_size: Money::new(1, 5),
        min_px: Px(1),
        max_px: Px(i64::MAX),
        min_qty: Qty(1),
        max_qty: Qty(i64::MAX),
        min_notional: Money::from(5),
        max_open_orders: 200,
        trading: true,
    }
}
