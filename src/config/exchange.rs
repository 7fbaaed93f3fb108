//! The configuration of the local exchange: `evenkeel exchange --config FILE`.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::domain::{Bps, Money, Span};

use super::build::listen;
use super::reader::Table;
use super::settings::VenueKind;

/// A whole configuration of the local exchange.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// What all its randomness comes from.
    pub seed: u64,
    /// Where the spot venue listens; port 0 lets the system choose. `None` is off.
    pub spot_listen: Option<SocketAddr>,
    /// Where the USD-M venue listens. `None` is off.
    pub usdm_listen: Option<SocketAddr>,
    /// Market seconds a second of the clock; 1 is real time.
    pub speed: f64,
    /// Who may trade.
    pub accounts: Vec<Account>,
    /// What is traded.
    pub markets: Vec<MarketSettings>,
    /// What goes wrong and when.
    pub faults: Vec<FaultSettings>,
}

/// `[[accounts]]`: a toy account; its key and secret open nothing else.
#[derive(Clone, Debug)]
pub struct Account {
    /// The API key.
    pub key: SecretString,
    /// The secret that signs.
    pub secret: SecretString,
    /// What `apiRestrictions` says of the key beside trading; `None`: it is not served, as on
    /// test networks.
    pub permissions: Option<Vec<Permission>>,
    /// Spot balances at the start, by asset.
    pub spot: Vec<(String, Money)>,
    /// USD-M wallet at the start, by asset.
    pub usdm: Vec<(String, Money)>,
}

/// A right of a key, or a limit to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may read and trade, as every key here.
    Trading,
    /// It works from named addresses only.
    IpRestricted,
    /// It may withdraw.
    Withdrawals,
    /// It may transfer between the accounts of one owner.
    InternalTransfers,
    /// It may transfer between the wallets of an account.
    UniversalTransfers,
}

/// Where a market's prices and flow come from.
#[derive(Clone, Debug, PartialEq)]
pub enum MarketSource {
    /// A seeded model.
    Synthetic {
        /// Price at the start, quote per base.
        start_price: Money,
        /// Volatility, basis points per square root of a second.
        volatility_bps_sqrt_s: f64,
        /// Trades of others a second.
        trades_per_s: f64,
    },
    /// Recorded books and trades.
    Recording {
        /// The files, in the order of time.
        paths: Vec<PathBuf>,
    },
}

/// `[[markets]]`: one symbol of one venue.
#[derive(Clone, Debug)]
pub struct MarketSettings {
    /// Which venue.
    pub venue: VenueKind,
    /// Its symbol.
    pub symbol: String,
    /// Base asset.
    pub base: String,
    /// Quote asset.
    pub quote: String,
    /// Price of one tick, quote per base.
    pub tick_size: Money,
    /// Quantity of one lot, base.
    pub lot_size: Money,
    /// Smallest order, quote.
    pub min_notional: Money,
    /// Maker fee; below zero is a rebate.
    pub maker_fee: Bps,
    /// Taker fee.
    pub taker_fee: Bps,
    /// Where prices come from.
    pub source: MarketSource,
}

/// What can go wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// User events are not sent; connections stay open.
    DropUserStream,
    /// Market streams are not sent; connections stay open.
    MuteMarket,
    /// Every websocket is cut without a closing handshake.
    CloseLinks,
    /// One depth difference of each book is lost.
    Gap,
    /// An order request is carried out but answered 503 with its fate unknown.
    UnknownAfterAccept,
    /// An order request is carried out but never answered.
    HttpTimeout,
    /// Signed requests are refused with 429 and `Retry-After`.
    Http429,
    /// HTTP replies come this much later.
    Latency(Span),
    /// A web page instead of JSON, as a gateway in trouble sends.
    HtmlReply,
    /// This symbol takes no orders.
    HaltSymbol(String),
}

/// `[[faults]]`: one thing that goes wrong.
#[derive(Clone, Debug)]
pub struct FaultSettings {
    /// At which venue; `None` is both.
    pub venue: Option<VenueKind>,
    /// What.
    pub kind: FaultKind,
    /// When first, from the start.
    pub at: Span,
    /// Again and again at this distance; `None` is once.
    pub every: Option<Span>,
    /// For how long; `None` for one request or event where that makes sense.
    pub lasts: Option<Span>,
}

const VENUES: [(&str, VenueKind); 2] =
    [("binance_spot", VenueKind::BinanceSpot), ("binance_usdm", VenueKind::BinanceUsdm)];

/// Read the whole file; what is wrong has been reported to the table's sink.
pub(super) fn exchange(root: Table<'_>) -> ExchangeSettings {
    let general = root.table("exchange");
    let settings = ExchangeSettings {
        seed: u64::try_from(general.whole("seed", 0..i64::MAX, 1)).unwrap_or_default(),
        spot_listen: listen_if_named(&general, "spot_listen"),
        usdm_listen: listen_if_named(&general, "usdm_listen"),
        speed: general.number("speed", 0.01..1000.0, 1.0),
        accounts: root.tables("accounts").into_iter().map(account).collect(),
        markets: root.tables("markets").into_iter().map(market).collect(),
        faults: root.tables("faults").into_iter().map(fault).collect(),
    };
    if settings.accounts.is_empty() {
        root.problem("accounts", "is missing; at least one [[accounts]] must be there");
    }
    if settings.markets.is_empty() {
        root.problem("markets", "is missing; at least one [[markets]] must be there");
    }
    for market in &settings.markets {
        let served = match market.venue {
            VenueKind::BinanceSpot => settings.spot_listen.is_some(),
            VenueKind::BinanceUsdm => settings.usdm_listen.is_some(),
        };
        if !served {
            let text = format!("has a market on {}, which listens nowhere", market.venue.as_str());
            root.problem("markets", text);
        }
    }
    general.finish();
    root.finish();
    settings
}

fn listen_if_named(general: &Table<'_>, key: &'static str) -> Option<SocketAddr> {
    let address = listen(general, key, None)?;
    if !address.ip().is_loopback() {
        general.problem(key, format!("is {address}; the local exchange serves this machine only"));
    }
    Some(address)
}

fn account(table: Table<'_>) -> Account {
    let balances = table.table("balances");
    let (spot, usdm) = (balances.table("spot"), balances.table("usdm"));
    let account = Account {
        key: table.need_secret("key"),
        secret: table.need_secret("secret"),
        permissions: table.has("permissions").then(|| permissions(&table)),
        spot: spot.amounts(),
        usdm: usdm.amounts(),
    };
    balances.finish();
    table.finish();
    account
}

fn permissions(table: &Table<'_>) -> Vec<Permission> {
    let all = [
        ("trading", Permission::Trading),
        ("ip_restricted", Permission::IpRestricted),
        ("withdrawals", Permission::Withdrawals),
        ("internal_transfers", Permission::InternalTransfers),
        ("universal_transfers", Permission::UniversalTransfers),
    ];
    let mut permissions = Vec::new();
    for word in table.need_texts("permissions") {
        match all.iter().find(|(name, _)| *name == word) {
            Some((_, permission)) => permissions.push(*permission),
            None => {
                let names = all.map(|(name, _)| name).join(", ");
                table.problem("permissions", format!("has {word:?}; allowed are {names}"));
            }
        }
    }
    permissions
}

fn market(table: Table<'_>) -> MarketSettings {
    let synthetic = table.choice("source", &[("synthetic", true), ("recording", false)], true);
    let source = if synthetic {
        MarketSource::Synthetic {
            start_price: table.money("start_price", Money::new(1, 8)..=Money::from(1_000_000_000)),
            volatility_bps_sqrt_s: table.number("volatility_bps_sqrt_s", 0.0..1000.0, 0.5),
            trades_per_s: table.number("trades_per_s", 0.0..10_000.0, 5.0),
        }
    } else {
        MarketSource::Recording {
            paths: table.need_texts("paths").into_iter().map(PathBuf::from).collect(),
        }
    };
    let step = || Money::new(1, 8)..=Money::from(1_000_000);
    let market = MarketSettings {
        venue: table.choice("venue", &VENUES, false),
        symbol: table.need("symbol").unwrap_or_default(),
        base: table.need("base").unwrap_or_default(),
        quote: table.need("quote").unwrap_or_default(),
        tick_size: table.money("tick_size", step()),
        lot_size: table.money("lot_size", step()),
        min_notional: table.or("min_notional", Money::from(5)),
        maker_fee: Bps(table.number("maker_fee_bps", -10.0..100.0, 1.0)),
        taker_fee: Bps(table.number("taker_fee_bps", 0.0..100.0, 1.0)),
        source,
    };
    table.finish();
    market
}

fn fault(table: Table<'_>) -> FaultSettings {
    let kinds = [
        ("drop_user_stream", 0),
        ("mute_market", 1),
        ("close_links", 2),
        ("gap", 3),
        ("http_503_unknown_after_accept", 4),
        ("http_timeout", 5),
        ("http_429", 6),
        ("html_reply", 7),
        ("latency_ms", 8),
        ("halt_symbol", 9),
    ];
    let kind = match table.choice("kind", &kinds, false) {
        0 => FaultKind::DropUserStream,
        1 => FaultKind::MuteMarket,
        2 => FaultKind::CloseLinks,
        3 => FaultKind::Gap,
        4 => FaultKind::UnknownAfterAccept,
        5 => FaultKind::HttpTimeout,
        6 => FaultKind::Http429,
        7 => FaultKind::HtmlReply,
        8 => FaultKind::Latency(table.millis("add_ms", 1..60_000, 500)),
        _ => FaultKind::HaltSymbol(table.need("symbol").unwrap_or_default()),
    };
    let day_ms = 86_400_000;
    let millis = |key: &'static str| {
        let ms: i64 = table.maybe(key)?;
        Some(Span::from_ms(table.within(key, ms, 1..=day_ms)))
    };
    let fault = FaultSettings {
        venue: table.has("venue").then(|| table.choice("venue", &VENUES, false)),
        kind,
        at: table.millis("at_ms", 0..day_ms, 0),
        every: millis("every_ms"),
        lasts: millis("for_ms"),
    };
    table.finish();
    fault
}
