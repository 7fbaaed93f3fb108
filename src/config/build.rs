//! From what the operator wrote to what it means: every key of the daemon's configuration, with
//! its bounds, its default and the rules that hold between keys.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::domain::{Bps, Money, Prefix, Span};
use crate::inventory::HedgeMode;

use super::hosts;
use super::reader::Table;
use super::secrets::{KeySource, SecretPlace, SecretSource};
use super::settings::{
    Environment, Hedge, Http, InstrumentSettings, Log, LogFile, LogFormat, Market, Mode, Reference,
    Risk, Role, Settings, Shutdown, Target, Venue, VenueKind,
};

/// The words that switch production on. Long on purpose: nobody types them by accident.
pub const PRODUCTION_PHRASE: &str = "I accept that this trades real money";

const HOUR_MS: i64 = 3_600_000;

/// Zero to more than any sane amount.
fn amounts() -> std::ops::RangeInclusive<Money> {
    Money::ZERO..=Money::from(1_000_000_000_000_i64)
}

/// The least positive amount to more than any sane amount.
fn positive() -> std::ops::RangeInclusive<Money> {
    Money::new(1, 12)..=Money::from(1_000_000_000_000_i64)
}

/// Read the whole file; what is wrong has been reported to the table's sink.
pub(super) fn daemon(root: Table<'_>) -> Settings {
    let environment_table = root.table("environment");
    let allow_plaintext = environment_table.or("allow_plaintext_loopback", false);
    let environment = environment(environment_table);
    let venues: Vec<Venue> = root
        .tables("venues")
        .into_iter()
        .map(|table| venue(table, environment.mode, allow_plaintext))
        .collect();
    if venues.is_empty() || venues.len() > 16 {
        root.problem("venues", format!("has {} entries; allowed is 1 to 16", venues.len()));
    }
    for (index, venue) in venues.iter().enumerate() {
        if venues[..index].iter().any(|other| other.name == venue.name) {
            root.problem("venues", format!("has two venues named {:?}", venue.name));
        }
    }
    let instruments = instruments(&root, &venues);
    let settings = Settings {
        quoting: super::quoting::quoting(root.table("quoting")),
        market: market(root.table("market")),
        signals: super::signals::signals(root.table("signals")),
        reference: reference(root.table("reference")),
        fair: super::fair::fair(root.table("fair"), &venues, &instruments),
        estimators: super::fair::estimators(root.table("estimators")),
        hedge: hedge(root.table("hedge")),
        risk: risk(root.table("risk")),
        presence: super::presence::presence(root.table("presence")),
        capital: super::capital::capital(root.table("capital")),
        shutdown: shutdown(root.table("shutdown")),
        http: http(root.table("http"), environment.mode),
        log: log(root.table("log")),
        alerts: root
            .has("alerts")
            .then(|| super::alerts::alerts(root.table("alerts"), environment.mode)),
        environment,
        venues,
        instruments,
    };
    between_sections(&root, &settings);
    root.finish();
    settings
}

fn environment(table: Table<'_>) -> Environment {
    let modes =
        [("testnet", Mode::Testnet), ("local", Mode::Local), ("production", Mode::Production)];
    let mode = table.choice("mode", &modes, true);
    let phrase: Option<String> = table.maybe("confirm_production");
    if mode == Mode::Production && phrase.as_deref() != Some(PRODUCTION_PHRASE) {
        let text = format!("must be {PRODUCTION_PHRASE:?} when mode is \"production\"");
        table.problem("confirm_production", text);
    }
    let prefix = table.or("order_id_prefix", "ek".to_owned());
    let order_id_prefix = Prefix::new(&prefix).unwrap_or_else(|wrong| {
        table.problem("order_id_prefix", format!("is not usable: {wrong}"));
        Prefix::new("ek").expect("two lower-case letters are a prefix")
    });
    let state_dir = PathBuf::from(table.or("state_dir", "state".to_owned()));
    table.finish();
    Environment { mode, state_dir, order_id_prefix }
}

fn venue(table: Table<'_>, mode: Mode, allow_plaintext: bool) -> Venue {
    let kinds =
        [("binance_spot", VenueKind::BinanceSpot), ("binance_usdm", VenueKind::BinanceUsdm)];
    let url = |key: &'static str, schemes: (&str, &str)| -> String {
        let Some(url) = table.need::<String>(key) else { return String::new() };
        if let Err(wrong) = hosts::lock(mode, &url, schemes, allow_plaintext) {
            table.problem(key, wrong);
        }
        url.trim_end_matches('/').to_owned()
    };
    let (http, ws) = (("https", "http"), ("wss", "ws"));
    let kind = table.choice("kind", &kinds, false);
    table.zero_is_off("dead_man_switch_ms");
    let dead_man_switch = match table.maybe::<i64>("dead_man_switch_ms") {
        Some(0) | None => None,
        Some(ms) if kind == VenueKind::BinanceSpot => {
            let text = format!("is {ms}, but Binance Spot has no dead man's switch; leave it out");
            table.problem("dead_man_switch_ms", text);
            None
        }
        Some(ms) => Some(Span::from_ms(table.within("dead_man_switch_ms", ms, 5_000..=600_000))),
    };
    let venue = Venue {
        name: name(&table, "name"),
        kind,
        rest_url: url("rest_url", http),
        market_stream_url: url("market_stream_url", ws),
        user_stream_url: url("user_stream_url", ws),
        ca_file: table.maybe::<String>("ca_file").map(PathBuf::from),
        keys: keys(table.table("keys"), mode),
        recv_window: table.millis("recv_window_ms", 1..60_000, 5_000),
        dead_man_switch,
        request_timeout: table.millis("request_timeout_ms", 100..60_000, 5_000),
        max_orders_per_s: small(table.whole("max_orders_per_s", 1..1_000, 5)),
        message_reserve_cancel_pct: small(table.whole("message_reserve_cancel_pct", 0..90, 30)),
    };
    if let Some(path) = &venue.ca_file
        && !path.is_file()
    {
        let text = format!("is {}, which is no file we can see", path.display());
        table.problem("ca_file", text);
    }
    table.finish();
    venue
}

/// A name for logs and metrics: lower-case letters, digits, underscores.
fn name(table: &Table<'_>, key: &'static str) -> String {
    let Some(name) = table.need::<String>(key) else { return String::new() };
    let fits = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !fits {
        table
            .problem(key, format!("is {name:?}; allowed are 1 to 32 characters of a-z, 0-9 and _"));
    }
    name
}

fn keys(table: Table<'_>, mode: Mode) -> KeySource {
    let source = source_word(&table, mode);
    let keys =
        KeySource { key: secret(&table, "key", source), secret: secret(&table, "secret", source) };
    table.finish();
    keys
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum SourceWord {
    Env,
    File,
    Credential,
    Toy,
}

pub(super) fn source_word(table: &Table<'_>, mode: Mode) -> SourceWord {
    let words = [
        ("env", SourceWord::Env),
        ("file", SourceWord::File),
        ("credential", SourceWord::Credential),
        ("toy", SourceWord::Toy),
    ];
    let source = table.choice("source", &words, false);
    if source == SourceWord::Toy && mode != Mode::Local {
        table.problem(
            "source",
            "is \"toy\", which is for the local exchange (environment.mode = \"local\"); a real \
             key stands in no configuration: use \"env\", \"file\" or \"credential\"",
        );
    }
    source
}

pub(super) fn secret(table: &Table<'_>, key: &'static str, source: SourceWord) -> SecretSource {
    let line = table.line(key);
    let place = match source {
        SourceWord::Toy => SecretPlace::Toy(table.need_secret(key)),
        SourceWord::Env => SecretPlace::Env(variable(table, key)),
        SourceWord::File => SecretPlace::File(table.need::<String>(key).unwrap_or_default().into()),
        SourceWord::Credential => SecretPlace::Credential(table.need(key).unwrap_or_default()),
    };
    SecretSource { place, key: table.full(key), line }
}

/// The name of an environment variable. A key that was pasted in its place is not shown again.
fn variable(table: &Table<'_>, key: &'static str) -> String {
    use secrecy::ExposeSecret;
    let name = table.need_secret(key).expose_secret().to_owned();
    let fits = name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if !fits {
        table.problem(
            key,
            "is no name of an environment variable (A-Z, 0-9 and _, no more than 64); if it is \
             the key itself, take it out of the file and revoke it",
        );
    }
    name
}

fn instruments(root: &Table<'_>, venues: &[Venue]) -> Vec<InstrumentSettings> {
    let mut list: Vec<InstrumentSettings> = Vec::new();
    for table in root.tables("instruments") {
        let instrument = instrument(&table, venues);
        if list.iter().any(|o| o.venue == instrument.venue && o.symbol == instrument.symbol) {
            table.problem("symbol", format!("is {:?} a second time", instrument.symbol));
        }
        table.finish();
        list.push(instrument);
    }
    if !list.iter().any(|instrument| instrument.role == Role::Quote) {
        root.problem("instruments", "has none with role = \"quote\"; at least one is needed");
    }
    list
}

fn instrument(table: &Table<'_>, venues: &[Venue]) -> InstrumentSettings {
    let venue_name: String = table.need("venue").unwrap_or_default();
    let venue = venues.iter().position(|venue| venue.name == venue_name);
    if venue.is_none() && table.has("venue") {
        let names: Vec<&str> = venues.iter().map(|venue| venue.name.as_str()).collect();
        let text =
            format!("is {venue_name:?}; allowed are the venues of this file: {}", names.join(", "));
        table.problem("venue", text);
    }
    let symbol: String = table.need("symbol").unwrap_or_default();
    let fits = (1..=32).contains(&symbol.len())
        && symbol.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !fits && table.has("symbol") {
        table.problem(
            "symbol",
            format!("is {symbol:?}; allowed are upper-case letters and digits, such as BTCUSDT"),
        );
    }
    let target = table.or("inventory_target_base", Target::Base(Money::ZERO));
    let is_spot = venue.is_some_and(|index| venues[index].kind == VenueKind::BinanceSpot);
    if is_spot
        && let Target::Base(target) = target
        && target < Money::ZERO
    {
        table.problem(
            "inventory_target_base",
            format!("is {target}; a spot balance cannot be below zero"),
        );
    }
    InstrumentSettings {
        venue: venue.unwrap_or(0),
        symbol,
        role: table.choice("role", &[("quote", Role::Quote), ("hedge", Role::Hedge)], false),
        inventory_target_base: target,
        inventory_limit_base: table.money("inventory_limit_base", positive()),
        max_order_base: table.maybe_money("max_order_base", positive()),
        max_order_quote: table.money("max_order_quote", positive()),
        max_open_orders: small(table.whole("max_open_orders", 1..200, 20)),
    }
}

fn market(table: Table<'_>) -> Market {
    let market = Market {
        max_book_age: table.millis("max_book_age_ms", 100..60_000, 3_000),
        max_spread: Bps(table.number("max_spread_bps", 0.01..10_000.0, 50.0)),
        min_top_quote: {
            let value = table.or("min_top_quote", Money::ZERO);
            table.within("min_top_quote", value, amounts())
        },
        max_volatility_bps_sqrt_s: table.number("max_volatility_bps_sqrt_s", 0.01..1_000.0, 20.0),
        assumed_volatility_bps_sqrt_s: table
            .maybe("assumed_volatility_bps_sqrt_s")
            .map(|value| table.within("assumed_volatility_bps_sqrt_s", value, 0.01..=1_000.0)),
        warm_up: Span::from_s(table.whole("warm_up_s", 0..3_600, 10)),
        use_own_order_filter: table.or("use_own_order_filter", true),
    };
    table.finish();
    market
}

fn reference(table: Table<'_>) -> Reference {
    let reference = Reference {
        max_disagreement: Bps(table.number("max_disagreement_bps", 0.1..10_000.0, 100.0)),
        price_collar: Bps(table.number("price_collar_bps", 1.0..5_000.0, 200.0)),
        max_age: table.millis("max_age_ms", 100..60_000, 5_000),
        max_move: Bps(table.number("max_move_bps", 1.0..10_000.0, 300.0)),
        move_window: table.millis("move_window_ms", 1_000..600_000, 10_000),
    };
    table.finish();
    reference
}

fn hedge(table: Table<'_>) -> Hedge {
    let enabled = table.or("enabled", false);
    let amount = |key: &'static str, default_when_off: Money| {
        if enabled || table.has(key) { table.money(key, amounts()) } else { default_when_off }
    };
    let hedge = Hedge {
        enabled,
        trigger_base: amount("trigger_base", Money::ZERO),
        target_base: amount("target_base", Money::ZERO),
        max_slippage: Bps(table.number("max_slippage_bps", 0.1..1_000.0, 10.0)),
        min_interval: table.millis("min_interval_ms", 0..600_000, 500),
        deadline: table.millis("deadline_ms", 100..HOUR_MS, 10_000),
        mode: table.choice(
            "mode",
            &[("trigger", HedgeMode::Trigger), ("band", HedgeMode::Band)],
            true,
        ),
        passive: hedge_passive(&table),
        urgent_exposure_pct: table.number("urgent_exposure_pct", 1.0..100.0, 90.0),
        cross: table.or("cross", false),
        risk_horizon: table.millis("risk_horizon_ms", 100..24 * HOUR_MS, 60_000),
    };
    if hedge.passive >= hedge.deadline {
        table.problem("passive_ms", "must be shorter than hedge.deadline_ms, or no hedge takes");
    }
    if enabled && hedge.target_base >= hedge.trigger_base {
        let text = format!(
            "is {}; it must be below hedge.trigger_base = {}, or hedging never ends",
            hedge.target_base, hedge.trigger_base
        );
        table.problem("target_base", text);
    }
    table.finish();
    hedge
}

/// How long a hedge rests before it takes; zero unless the execution says so.
fn hedge_passive(table: &Table<'_>) -> Span {
    let executions = [("ioc", false), ("passive_then_aggressive", true)];
    let passive = table.choice("execution", &executions, true);
    let rests = table.millis("passive_ms", 50..60_000, 1_000);
    if passive { rests } else { Span::ZERO }
}

fn risk(table: Table<'_>) -> Risk {
    let risk = Risk {
        max_net_exposure_quote: table.money("max_net_exposure_quote", positive()),
        loss_limit_quote_session: table.money("loss_limit_quote_session", positive()),
        max_fills_per_minute_side: small(table.whole("max_fills_per_minute_side", 1..100_000, 60)),
        max_rejects_per_10s: small(table.whole("max_rejects_per_10s", 1..10_000, 20)),
        max_clock_offset: table.millis("max_clock_offset_ms", 1..60_000, 1_000),
        reconcile_interval: table.millis("reconcile_interval_ms", 1_000..HOUR_MS, 30_000),
        order_unknown_bound: table.millis("order_unknown_bound_ms", 1_000..600_000, 30_000),
        ramp_up: Span::from_s(table.whole("ramp_up_s", 0..86_400, 60)),
        ramp_up_from_pct: table.number("ramp_up_from_pct", 1.0..100.0, 25.0),
    };
    table.finish();
    risk
}

fn shutdown(table: Table<'_>) -> Shutdown {
    let shutdown = Shutdown {
        deadline: table.millis("deadline_ms", 500..600_000, 10_000),
        flatten: table.or("flatten", false),
    };
    table.finish();
    shutdown
}

fn http(table: Table<'_>, mode: Mode) -> Http {
    let address = listen(&table, "listen", Some("127.0.0.1:9464"))
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let allow_remote = table.or("allow_remote", false);
    let hosts = table.texts("hosts");
    let token = table.has("token").then(|| {
        let section = table.table("token");
        let source = source_word(&section, mode);
        let token = secret(&section, "token", source);
        section.finish();
        token
    });
    if !address.ip().is_loopback() {
        if !allow_remote {
            let text =
                format!("is {address}, reachable by others; that needs http.allow_remote = true");
            table.problem("listen", text);
        }
        if token.is_none() {
            table.problem("listen", "is reachable by others; that needs [http.token]");
        }
    }
    table.finish();
    Http { listen: address, token, hosts }
}

/// A socket address; without a default, `None` when the file has none.
pub(super) fn listen(
    table: &Table<'_>,
    key: &'static str,
    default: Option<&str>,
) -> Option<SocketAddr> {
    let text = match default {
        Some(default) => table.or(key, default.to_owned()),
        None => table.maybe(key)?,
    };
    let address = text.parse();
    if address.is_err() {
        table.problem(key, format!("is {text:?}; it must be address:port, such as 127.0.0.1:0"));
    }
    address.ok()
}

fn log(table: Table<'_>) -> Log {
    let formats =
        [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];
    let levels = [
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
        ("warn", tracing::Level::WARN),
        ("error", tracing::Level::ERROR),
    ];
    let file = table.maybe::<String>("file").map(PathBuf::from);
    let max_file_mb = table.whole("max_file_mb", 1..10_000, 100);
    let keep = small(table.whole("keep", 1..100, 5));
    let log = Log {
        format: table.choice("format", &formats, true),
        level: table.choice("level", &levels, true),
        modules: modules(&table, &levels),
        file: file.map(|path| LogFile { path, max_bytes: max_file_mb.unsigned_abs() << 20, keep }),
    };
    table.finish();
    log
}

/// Levels of single modules: `"live=debug"`.
fn modules(
    table: &Table<'_>,
    levels: &[(&'static str, tracing::Level)],
) -> Vec<(String, tracing::Level)> {
    let key = "modules";
    let rule = |text: &String| {
        let (module, word) = text.split_once('=')?;
        let fits = !module.is_empty()
            && module.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b':');
        let (_, level) = levels.iter().find(|(name, _)| *name == word)?;
        fits.then(|| (module.to_owned(), *level))
    };
    let texts = table.texts(key);
    let rules = texts.iter().filter_map(|text| {
        let found = rule(text);
        if found.is_none() {
            let allowed = "a module of evenkeel and a level, such as \"live=debug\"";
            table.problem(key, format!("has {text:?}; allowed is {allowed}"));
        }
        found
    });
    rules.collect()
}

/// Rules that need more than one section.
fn between_sections(root: &Table<'_>, settings: &Settings) {
    let has_hedge = settings.instruments.iter().any(|i| i.role == Role::Hedge);
    if settings.hedge.enabled && !has_hedge {
        root.problem("hedge", "is enabled, but no instrument has role = \"hedge\"");
    }
    if settings.hedge.enabled {
        for instrument in settings.instruments.iter().filter(|i| i.role == Role::Quote) {
            if settings.hedge.trigger_base > instrument.inventory_limit_base {
                let text = format!(
                    "has trigger_base = {}, beyond the inventory_limit_base = {} of {}: it would \
                     never be reached",
                    settings.hedge.trigger_base, instrument.inventory_limit_base, instrument.symbol
                );
                root.problem("hedge", text);
            }
        }
    }
    if settings.hedge.enabled && settings.hedge.max_slippage.0 >= settings.reference.price_collar.0
    {
        let text = format!(
            "has max_slippage_bps = {}, not within reference.price_collar_bps = {}: every hedge \
             that takes would be refused",
            settings.hedge.max_slippage.0, settings.reference.price_collar.0
        );
        root.problem("hedge", text);
    }
    if settings.reference.price_collar.0 <= settings.quoting.min_half_spread.0 {
        let text = format!(
            "has price_collar_bps = {}, within quoting.min_half_spread_bps = {}: every quote \
             would be refused",
            settings.reference.price_collar.0, settings.quoting.min_half_spread.0
        );
        root.problem("reference", text);
    }
    for venue in &settings.venues {
        if settings.risk.max_clock_offset > venue.recv_window {
            root.problem(
                "risk",
                format!(
                    "has max_clock_offset_ms beyond recv_window_ms of venue {:?}: the venue \
                         would refuse first",
                    venue.name
                ),
            );
        }
    }
}

/// A number that its bounds have already made small.
fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}
