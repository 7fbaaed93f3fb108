//! `demo`: local exchange, bot and dashboard in one process.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rust_decimal::prelude::ToPrimitive;
use tokio::signal::unix::{SignalKind, signal};

use super::{DemoArgs, Exit, complain, exchange, run, runtime, say};
use crate::config::{
    ExchangeSettings, Loaded, MarketSource, Role, Settings, Target, VenueKind, read_secrets,
};
use crate::domain::{Control, InstrumentKind, Money, State};
use crate::live::exchange::{ExchangeHandle, Recording, identify};
use crate::live::{Handle, Snapshot};
use crate::report::SessionReport;
use crate::sim::tape::known_instrument;

/// The configurations of the demo, in the binary so that it needs no file.
const DAEMON: &str = include_str!("../../config/demo.toml");
const EXCHANGE: &str = include_str!("../../config/exchange.toml");

/// Pause between two status lines on a terminal, and elsewhere.
const STATUS_EVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Start the exchange, trade against it over real sockets, report, end.
pub(super) fn demo(args: &DemoArgs) -> Exit {
    let (mut daemon, exchange) = match settings(args) {
        Ok(settings) => settings,
        Err(text) => return complain(&text, Exit::Config),
    };
    let state = std::env::temp_dir().join(format!("evenkeel-demo-{}", std::process::id()));
    daemon.settings.environment.state_dir.clone_from(&state);
    let exit = play(args, &mut daemon, &exchange);
    if let Err(error) = std::fs::remove_dir_all(&state)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        complain(&format!("{} stays: {error}", state.display()), exit);
    }
    exit
}

fn play(args: &DemoArgs, daemon: &mut Loaded<Settings>, local: &ExchangeSettings) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    // The status line tells the story; the log adds only what is wrong.
    if let Err(text) = crate::telemetry::init(Some(false), "error,evenkeel=warn", None) {
        return complain(&text, Exit::Bug);
    }
    let served = match runtime.block_on(exchange::start(local)) {
        Ok(served) => served,
        Err(text) => return complain(&text, Exit::Config),
    };
    point_at(&mut daemon.settings, &served);
    let secrets = match read_secrets(&daemon.settings) {
        Ok(secrets) => secrets,
        Err(problems) => {
            let file = daemon.file.clone();
            return complain(&crate::config::ConfigError { file, problems }, Exit::Keys);
        }
    };
    let (live, handle) = match run::assemble(daemon, &secrets, None) {
        Ok(assembled) => assembled,
        Err(error) => return run::failed(&error),
    };
    say(&greeting(args, daemon, local, &served, &handle));
    let trading = std::thread::Builder::new().name("trading".to_owned()).spawn(|| live.run());
    let Ok(trading) = trading else { return complain(&"no thread to trade on", Exit::Bug) };
    runtime.block_on(watch(args.lasts, &handle, &served));
    let ending = match trading.join() {
        Ok(Ok(ending)) => ending,
        Ok(Err(error)) => return run::failed(&error),
        Err(_) => return complain(&"the trading thread panicked", Exit::Bug),
    };
    if let Some(report) = handle.snapshot().and_then(|last| {
        SessionReport::of(&last.engine, last.at)
            .map(|report| report.with_reactions(last.driver.reactions))
    }) {
        say(&format!("\n{report}"));
    }
    for faults in served.recording_faults() {
        say(&format!("recording of {faults}\n"));
    }
    served.shutdown();
    run::exit_of(&ending)
}

fn greeting(
    args: &DemoArgs,
    daemon: &Loaded<Settings>,
    local: &ExchangeSettings,
    served: &ExchangeHandle,
    handle: &Handle,
) -> String {
    let ends = if args.lasts.is_zero() {
        "until Ctrl-C".to_owned()
    } else {
        format!("for {} s", args.lasts.as_secs())
    };
    let market = if args.replay.is_empty() {
        format!("a synthetic market of seed {}", local.seed)
    } else {
        format!("{} recorded files at speed {}", args.replay.len(), args.speed)
    };
    let dashboard =
        handle.address().map_or_else(|| "off".to_owned(), |address| format!("http://{address}/"));
    let state = daemon.settings.environment.state_dir.display();
    format!(
        "evenkeel demo {ends}: {market}\n  local exchange  spot {}  USD-M {}\n  dashboard       \
         {dashboard}\n  state           {state} (removed at the end)\n",
        served.spot_rest(),
        served.usdm_rest(),
    )
}

/// Shows the status until the time or a recording is over or somebody stops it, and until the
/// daemon has ended.
async fn watch(lasts: Duration, handle: &Handle, served: &ExchangeHandle) {
    let terminal = std::io::stdout().is_terminal();
    let started = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(STATUS_EVERY[usize::from(!terminal)]);
    let mut stopping = false;
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok());
    loop {
        let left = lasts.saturating_sub(started.elapsed());
        let over = !lasts.is_zero() && !stopping;
        tokio::select! {
            _ = tick.tick() => show(handle, terminal),
            () = tokio::time::sleep(left), if over => stopping = stop(handle),
            () = recording_over(served), if !stopping => {
                say("a recording is over: stopping\n");
                stopping = stop(handle);
            }
            () = heard(&mut interrupt) => stopping = stop(handle),
            () = heard(&mut terminate) => stopping = stop(handle),
            () = ended(handle), if stopping => break,
        }
        // Past its deadline it ends without another word.
        let stopped = handle.snapshot().is_some_and(|last| last.engine.state == State::Stopped);
        if stopped || handle.is_over() {
            break;
        }
    }
    show(handle, terminal);
}

async fn recording_over(served: &ExchangeHandle) {
    while !served.recording_is_over() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn stop(handle: &Handle) -> bool {
    // A daemon that has ended already needs no stopping.
    drop(handle.send(Control::Stop));
    true
}

async fn ended(handle: &Handle) {
    let ended = || handle.snapshot().is_some_and(|last| last.engine.ending.is_some());
    while !ended() && !handle.is_over() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn show(handle: &Handle, terminal: bool) {
    let Some(snapshot) = handle.snapshot() else { return };
    let line = status_line(&snapshot);
    let mut out = std::io::stdout().lock();
    let (before, after) = if terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
    // Nothing is left to do when the terminal is gone.
    drop(write!(out, "{before}{line}{after}").and_then(|()| out.flush()));
}

fn status_line(snapshot: &Snapshot) -> String {
    let engine = &snapshot.engine;
    let session = &engine.session;
    let quoted = engine.instruments.iter().find(|instrument| instrument.quoted);
    let sides = quoted.map_or_else(String::new, |own| {
        let prices = own.quote.as_ref().map_or_else(String::new, |quote| {
            format!(
                " fair {:.2} ±{:.2} bps skew {:+.2} bps",
                quote.fair, quote.half_spread_bps, quote.skew_bps
            )
        });
        format!("bid {} ask {}{prices}", own.bid.reason.as_str(), own.ask.reason.as_str())
    });
    let exposure: Vec<String> = engine
        .exposure
        .iter()
        .map(|group| format!("{:+} {}", group.net_base.normalize(), group.base))
        .collect();
    format!(
        "{} {} | {sides} | net {} | fills {} hedges {} | result {:+.2} (fees {:.2})",
        &snapshot.at.to_string()[11..19],
        engine.state,
        exposure.join(" "),
        session.maker_fills,
        session.counts.hedges_sent,
        session.profit_quote,
        Money::ZERO - session.parts.fees,
    )
}

/// The two configurations with the arguments applied; both ports are the system's choice.
fn settings(args: &DemoArgs) -> Result<(Loaded<Settings>, ExchangeSettings), String> {
    let parsed = crate::config::parse(DAEMON, "config/demo.toml");
    let mut daemon = parsed.map_err(|error| error.to_string())?;
    let parsed = crate::config::parse_exchange(EXCHANGE, "config/exchange.toml");
    let mut exchange = parsed.map_err(|error| error.to_string())?.settings;
    exchange.seed = args.seed;
    exchange.speed = args.speed;
    exchange.faults.clear();
    for address in [&mut exchange.spot_listen, &mut exchange.usdm_listen].into_iter().flatten() {
        address.set_port(0);
    }
    if !args.replay.is_empty() {
        replay(&args.replay, &mut daemon.settings, &mut exchange)?;
    }
    Ok((daemon, exchange))
}

/// The daemon's venues are the ports that came up.
fn point_at(settings: &mut Settings, served: &ExchangeHandle) {
    for venue in &mut settings.venues {
        match venue.kind {
            VenueKind::BinanceSpot => {
                venue.rest_url = served.spot_rest();
                venue.market_stream_url = served.spot_ws();
                venue.user_stream_url = served.spot_ws_api();
            }
            VenueKind::BinanceUsdm => {
                venue.rest_url = served.usdm_rest();
                venue.market_stream_url = served.usdm_ws();
                venue.user_stream_url = served.usdm_ws();
            }
        }
    }
}

/// Recordings instead of the synthetic markets. What the demo trades is scaled so that a
/// recording of another asset trades the same notional.
fn replay(
    paths: &[PathBuf],
    settings: &mut Settings,
    exchange: &mut ExchangeSettings,
) -> Result<(), String> {
    let mut recorded: Vec<(Recording, Vec<PathBuf>)> = Vec::new();
    for path in paths {
        let own = identify(path)?;
        match recorded.iter_mut().find(|(known, _)| known.is_same_market(&own)) {
            Some((_, files)) => files.push(path.clone()),
            None => recorded.push((own, vec![path.clone()])),
        }
    }
    exchange.markets = markets(&recorded, exchange)?;
    let has = |kind: VenueKind| exchange.markets.iter().find(|market| market.venue == kind);
    let Some(spot) = has(VenueKind::BinanceSpot) else {
        return Err("--replay: a spot recording is needed, because spot is what is quoted".into());
    };
    let hedged = has(VenueKind::BinanceUsdm).is_some_and(|perp| perp.symbol == spot.symbol);
    let price = recorded
        .iter()
        .find(|(own, _)| own.kind == InstrumentKind::Spot)
        .map_or(DEMO_PRICE, |(own, _)| own.price);
    let same_asset = spot.base == DEMO_BASE;
    let scale = if same_asset { 1.0 } else { DEMO_PRICE / price };
    let scale = Money::try_from(scale).unwrap_or(Money::ONE);
    let (symbol, base, lot) = (spot.symbol.clone(), spot.base.clone(), spot.lot_size);
    let quote = spot.quote.clone();
    for account in &mut exchange.accounts {
        for (asset, _) in account.spot.iter_mut().chain(&mut account.usdm) {
            if asset == DEMO_QUOTES[0] {
                asset.clone_from(&quote);
            }
        }
        for (asset, amount) in account.spot.iter_mut().filter(|(asset, _)| asset == DEMO_BASE) {
            asset.clone_from(&base);
            *amount = in_lots(*amount * scale, lot);
        }
    }
    scale_settings(settings, &symbol, scale, lot);
    if !hedged {
        settings.hedge.enabled = false;
        settings.instruments.retain(|own| own.role == Role::Quote);
        settings.venues.retain(|venue| venue.kind == VenueKind::BinanceSpot);
    }
    Ok(())
}

/// The asset that config/demo.toml is written for, and its price there.
const DEMO_BASE: &str = "BTC";
const DEMO_PRICE: f64 = 60_000.0;
/// Dollars, in which its limits are written; its accounts hold the first.
const DEMO_QUOTES: [&str; 4] = ["USDT", "USDC", "FDUSD", "TUSD"];
/// What most markets of Binance list.
const MIN_NOTIONAL: Money = Money::from_parts(5, 0, 0, false, 0);

fn in_lots(amount: Money, lot: Money) -> Money {
    (amount / lot).round() * lot
}

fn scale_settings(settings: &mut Settings, symbol: &str, scale: Money, lot: Money) {
    let scaled = |amount: &mut Money| *amount = in_lots(*amount * scale, lot);
    for own in &mut settings.instruments {
        symbol.clone_into(&mut own.symbol);
        if let Target::Base(target) = &mut own.inventory_target_base {
            scaled(target);
        }
        scaled(&mut own.inventory_limit_base);
        own.max_order_base.iter_mut().for_each(scaled);
    }
    scaled(&mut settings.hedge.trigger_base);
    scaled(&mut settings.hedge.target_base);
    settings.quoting.scale_base(scale.to_f64().unwrap_or(1.0));
}

/// What the local exchange lists of a recorded market.
struct Listing {
    base: String,
    quote: String,
    tick_size: Money,
    lot_size: Money,
    min_notional: Money,
}

/// As the venue lists it, where that is known; by what its recording shows elsewhere.
fn listing(own: &Recording) -> Option<Listing> {
    if let Some(known) = known_instrument(own.kind, &own.symbol) {
        return Some(Listing {
            base: known.base.to_string(),
            quote: known.quote.to_string(),
            tick_size: known.tick_size,
            lot_size: known.lot_size,
            min_notional: known.min_notional,
        });
    }
    let quote = DEMO_QUOTES.iter().find(|quote| own.symbol.ends_with(*quote))?;
    let base = own.symbol.strip_suffix(quote).filter(|base| !base.is_empty())?;
    Some(Listing {
        base: base.to_owned(),
        quote: (*quote).to_owned(),
        tick_size: own.tick_size,
        lot_size: own.lot_size,
        min_notional: MIN_NOTIONAL,
    })
}

fn markets(
    recorded: &[(Recording, Vec<PathBuf>)],
    exchange: &ExchangeSettings,
) -> Result<Vec<crate::config::MarketSettings>, String> {
    recorded
        .iter()
        .map(|(own, paths)| {
            let venue = match own.kind {
                InstrumentKind::Spot => VenueKind::BinanceSpot,
                InstrumentKind::LinearPerpetual => VenueKind::BinanceUsdm,
            };
            let listed = listing(own).ok_or_else(|| {
                let path = paths.first().map_or(Path::new(""), PathBuf::as_path);
                format!(
                    "{}: {} is not quoted in {}, in which the demo's limits are written",
                    path.display(),
                    own.symbol,
                    DEMO_QUOTES.join(", ")
                )
            })?;
            let like = exchange.markets.iter().find(|market| market.venue == venue);
            let like = like.ok_or("config/exchange.toml has no such venue")?;
            Ok(crate::config::MarketSettings {
                symbol: own.symbol.clone(),
                base: listed.base,
                quote: listed.quote,
                tick_size: listed.tick_size,
                lot_size: listed.lot_size,
                min_notional: listed.min_notional,
                source: MarketSource::Recording { paths: paths.clone() },
                ..like.clone()
            })
        })
        .collect()
}
