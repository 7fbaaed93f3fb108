//! `exchange`: the local exchange alone.

use rust_decimal::prelude::ToPrimitive;
use secrecy::ExposeSecret;

use super::{ExchangeArgs, Exit, complain, runtime, say};
use crate::config::{
    Account, ExchangeSettings, FaultKind, FaultSettings, MarketSettings, MarketSource, Permission,
    VenueKind, load_exchange,
};
use crate::domain::{
    Asset, Instrument, InstrumentId, InstrumentKind, Money, Px, Qty, Span, VenueId,
};
use crate::live::exchange::{self, ExchangeHandle, ExchangeServer};
use crate::sim::faces::faults::{self, FaultRule};
use crate::sim::faces::request::Credential;
use crate::sim::faces::{KeyRights, LocalParams};
use crate::sim::flow::FlowParams;
use crate::sim::tape::{Tape, known_instrument};
use crate::sim::{AccountParams, ExchangeParams, FeeTier, MarketParams, Source, Wallet};

/// How often the market moves on, milliseconds.
const STEP_MS: u64 = 2;
/// Finished orders and trades remembered by the exchange.
const HISTORY: usize = 100_000;
/// Price of the asset whose crowd was measured: another asset's crowd trades the same notional.
const MEASURED_PRICE: f64 = 60_000.0;

/// Serve the local exchange until a signal.
pub(super) fn exchange(args: &ExchangeArgs) -> Exit {
    let settings = match load_exchange(&args.config) {
        Ok(loaded) => loaded.settings,
        Err(error) => return complain(&error, Exit::Config),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(async {
        match start(&settings).await {
            Ok(handle) => {
                say(&addresses(&handle, args.json));
                until_signal().await;
                handle.shutdown();
                Exit::Clean
            }
            Err(text) => complain(&text, Exit::Config),
        }
    })
}

/// Where it answers, for people or as one line of JSON.
fn addresses(handle: &ExchangeHandle, json: bool) -> String {
    let rows = [
        ("spot_rest", handle.spot_rest()),
        ("spot_streams", handle.spot_ws()),
        ("spot_ws_api", handle.spot_ws_api()),
        ("usdm_rest", handle.usdm_rest()),
        ("usdm_streams", handle.usdm_ws()),
        ("state", format!("{}/evenkeel/state", handle.spot_rest())),
        ("faults", format!("{}/evenkeel/faults", handle.spot_rest())),
    ];
    if json {
        let object: serde_json::Map<String, serde_json::Value> =
            rows.into_iter().map(|(name, url)| (name.to_owned(), url.into())).collect();
        return format!("{}\n", serde_json::Value::Object(object));
    }
    let mut text = "local exchange; Ctrl-C ends it\n".to_owned();
    for (name, url) in rows {
        text.push_str(&format!("  {name:<12}  {url}\n"));
    }
    text
}

async fn until_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler SIGTERM ends the process by itself.
        Err(_) => drop(interrupted.await),
    }
}

/// Starts the exchange of these settings; the words of what is wrong otherwise.
pub(super) async fn start(settings: &ExchangeSettings) -> Result<ExchangeHandle, String> {
    let mut markets = Vec::new();
    for (index, own) in settings.markets.iter().enumerate() {
        markets.push(market(index, own, settings.speed)?);
    }
    align(&mut markets);
    let port = |listen: Option<std::net::SocketAddr>| listen.map_or(0, |address| address.port());
    let params = exchange::ExchangeParams {
        spot_port: port(settings.spot_listen),
        usdm_port: port(settings.usdm_listen),
        step_ms: STEP_MS,
        local: LocalParams {
            exchange: ExchangeParams {
                seed: settings.seed,
                markets,
                accounts: settings.accounts.iter().map(account).collect(),
                history: HISTORY,
            },
            credentials: credentials(&settings.accounts),
            faults: settings.faults.iter().map(fault).collect(),
            api_restrictions: false,
        },
    };
    let handle = ExchangeServer::start(params).await.map_err(|error| error.to_string())?;
    for (account, own) in (0_u32..).zip(&settings.accounts) {
        if let Some(permissions) = &own.permissions {
            handle.permit(account, &rights(permissions));
        }
    }
    Ok(handle)
}

fn rights(permissions: &[Permission]) -> KeyRights {
    let has = |permission| permissions.contains(&permission);
    KeyRights {
        ip_restricted: has(Permission::IpRestricted),
        withdrawals: has(Permission::Withdrawals),
        internal_transfers: has(Permission::InternalTransfers),
        universal_transfers: has(Permission::UniversalTransfers),
    }
}

fn credentials(accounts: &[Account]) -> Vec<Credential> {
    let credential = |(index, account): (usize, &Account)| Credential {
        api_key: account.key.expose_secret().to_owned(),
        secret: account.secret.expose_secret().to_owned(),
        account: u32::try_from(index).unwrap_or(u32::MAX),
    };
    accounts.iter().enumerate().map(credential).collect()
}

fn account(account: &Account) -> AccountParams {
    let of = |wallet: Wallet, balances: &[(String, Money)]| {
        let owned = |(asset, amount): &(String, Money)| (wallet, Asset::new(asset), *amount);
        balances.iter().map(owned).collect::<Vec<_>>()
    };
    let mut balances = of(Wallet::Spot, &account.spot);
    balances.extend(of(Wallet::Usdm, &account.usdm));
    AccountParams { balances }
}

fn kind(venue: VenueKind) -> InstrumentKind {
    match venue {
        VenueKind::BinanceSpot => InstrumentKind::Spot,
        VenueKind::BinanceUsdm => InstrumentKind::LinearPerpetual,
    }
}

fn market(index: usize, own: &MarketSettings, speed: f64) -> Result<MarketParams, String> {
    let source = match &own.source {
        MarketSource::Synthetic { start_price, volatility_bps_sqrt_s, trades_per_s } => {
            let price = start_price.to_f64().unwrap_or(MEASURED_PRICE);
            let crowd = match own.venue {
                VenueKind::BinanceSpot => FlowParams::btc_spot(),
                VenueKind::BinanceUsdm => FlowParams::btc_perpetual(),
            };
            Source::Synthetic(FlowParams {
                volatility_bps: *volatility_bps_sqrt_s,
                takes: *trades_per_s,
                ..crowd.scaled(price, MEASURED_PRICE / price)
            })
        }
        MarketSource::Recording { paths } => {
            let mut lines: Vec<Box<dyn Iterator<Item = String> + Send>> = Vec::new();
            for path in paths {
                lines.push(exchange::read_lines(path).map_err(|error| error.to_string())?);
            }
            Source::Tape(Box::new(Tape::new(Box::new(lines.into_iter().flatten()), speed)))
        }
    };
    let mut market = MarketParams::new(instrument(index, own), source);
    market.fees =
        FeeTier { name: "as configured", maker: bps(own.maker_fee.0), taker: bps(own.taker_fee.0) };
    Ok(market)
}

/// Recordings that begin within this of one another were made together.
const TOGETHER: Span = Span::from_s(60);

/// Recordings that were made together stay as far apart as they were; others play from their own
/// beginnings.
fn align(markets: &mut [MarketParams]) {
    let mut tapes: Vec<_> = markets
        .iter_mut()
        .filter_map(|market| match &mut market.source {
            Source::Tape(tape) => Some((tape.begins()?, tape)),
            Source::Synthetic(_) | Source::Quiet => None,
        })
        .collect();
    tapes.sort_by_key(|(begins, _)| *begins);
    let mut origin = None;
    for (begins, tape) in tapes {
        let first = origin.filter(|first| begins.since(*first) <= TOGETHER);
        tape.align(*origin.insert(first.unwrap_or(begins)));
    }
}

fn bps(rate: f64) -> Money {
    Money::try_from(rate).unwrap_or_default() / Money::from(10_000)
}

/// The instrument as configured; limits that the configuration does not name are the venue's.
fn instrument(index: usize, own: &MarketSettings) -> Instrument {
    let kind = kind(own.venue);
    let known = known_instrument(kind, &own.symbol);
    let most = known.as_ref().map_or(1_000_000_000_000, |known| known.max_qty.0);
    Instrument {
        id: InstrumentId(u16::try_from(index).unwrap_or(u16::MAX)),
        venue: VenueId(u8::from(kind == InstrumentKind::LinearPerpetual)),
        symbol: own.symbol.clone(),
        kind,
        base: Asset::new(&own.base),
        quote: Asset::new(&own.quote),
        tick_size: own.tick_size,
        lot_size: own.lot_size,
        min_px: Px(1),
        max_px: known.as_ref().map_or(Px(1_000_000_000), |known| known.max_px),
        min_qty: Qty(1),
        max_qty: Qty(most),
        min_notional: own.min_notional,
        max_open_orders: 200,
        trading: true,
    }
}

fn fault(own: &FaultSettings) -> FaultRule {
    let kind = match &own.kind {
        FaultKind::DropUserStream => faults::FaultKind::DropUserStream,
        FaultKind::MuteMarket => faults::FaultKind::MuteMarket,
        FaultKind::CloseLinks => faults::FaultKind::CloseLinks,
        FaultKind::Gap => faults::FaultKind::Gap,
        FaultKind::UnknownAfterAccept => faults::FaultKind::UnknownAfterAccept,
        FaultKind::HttpTimeout => faults::FaultKind::HttpTimeout,
        FaultKind::Http429 => faults::FaultKind::Http429,
        FaultKind::Latency(add) => faults::FaultKind::LatencyMs { add: add.ms() },
        FaultKind::HtmlReply => faults::FaultKind::HtmlReply,
        FaultKind::HaltSymbol(symbol) => faults::FaultKind::HaltSymbol { symbol: symbol.clone() },
    };
    FaultRule {
        kind,
        at_ms: own.at.ms(),
        every_ms: own.every.map(Span::ms),
        for_ms: own.lasts.map(Span::ms),
        venue: own.venue.map(self::kind).map(|kind| match kind {
            InstrumentKind::Spot => faults::VenueKind::Spot,
            InstrumentKind::LinearPerpetual => faults::VenueKind::Usdm,
        }),
    }
}
