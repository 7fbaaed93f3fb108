//! Which exchange and which settings does a session have?

use secrecy::ExposeSecret;

use super::plan::{EPOCH, Layout, Plan};
use crate::config::{Role, Secrets, Settings, Target, VenueKind};
use crate::domain::{
    Asset, Instrument, InstrumentId, InstrumentKind, Money, Px, Qty, Span, VenueId,
};
use crate::inventory::HedgeMode;
use crate::sim::faces::request::Credential;
use crate::sim::faces::{LocalExchange, LocalParams};
use crate::sim::flow::FlowParams;
use crate::sim::{self, AccountParams, FeeTier, MarketParams, Source, Wallet};

fn money(text: &str) -> Money {
    text.parse().unwrap_or_default()
}

/// The settings in one of the layouts.
pub(super) fn settings(base: &Settings, plan: &Plan) -> Settings {
    let mut settings = base.clone();
    if plan.tight {
        let limit = &mut settings.instruments[0].inventory_limit_base;
        *limit = (*limit * Money::new(4, 1)).round_dp(5);
        settings.risk.max_net_exposure_quote *= Money::new(4, 1);
    }
    match plan.layout {
        Layout::SpotHedged => {}
        Layout::SpotTriggered => {
            settings.hedge.mode = HedgeMode::Trigger;
            settings.hedge.passive = Span::ZERO;
        }
        Layout::SpotPoor => settings.hedge.enabled = false,
        Layout::Perpetual => {
            settings.venues.remove(0);
            settings.instruments.remove(0);
            let own = &mut settings.instruments[0];
            own.venue = 0;
            own.role = Role::Quote;
            settings.hedge.enabled = false;
        }
    }
    settings
}

/// What a configuration must be like to be simulated, or what it lacks.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let kinds: Vec<VenueKind> = settings.venues.iter().map(|venue| venue.kind).collect();
    if kinds != [VenueKind::BinanceSpot, VenueKind::BinanceUsdm] {
        return Err(
            "its venues must be one binance_spot and one binance_usdm, in this order".into()
        );
    }
    let places: Vec<(usize, &str)> =
        settings.instruments.iter().map(|own| (own.venue, own.symbol.as_str())).collect();
    if places != [(0, "BTCUSDT"), (1, "BTCUSDT")] {
        return Err("its instruments must be BTCUSDT on both venues, in their order".into());
    }
    let named = |own: &crate::config::InstrumentSettings| {
        matches!(own.inventory_target_base, Target::Base(_))
    };
    if !settings.instruments.iter().all(named) {
        return Err("its instruments must name their inventory_target_base".into());
    }
    Ok(())
}

/// A market as the exchange lists it.
pub(super) fn instrument(kind: InstrumentKind) -> Instrument {
    let spot = kind == InstrumentKind::Spot;
    Instrument {
        id: InstrumentId(u16::from(!spot)),
        venue: VenueId(u8::from(!spot)),
        symbol: "BTCUSDT".to_owned(),
        kind,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: money(if spot { "0.01" } else { "0.1" }),
        lot_size: money(if spot { "0.00001" } else { "0.001" }),
        min_px: Px(1),
        max_px: Px(100_000_000),
        min_qty: Qty(1),
        max_qty: Qty(if spot { 900_000_000 } else { 1_000_000 }),
        min_notional: money(if spot { "5" } else { "50" }),
        max_open_orders: 200,
        trading: true,
    }
}

/// Both markets and our account.
pub(super) fn local_exchange(plan: &Plan, secrets: &Secrets) -> Result<LocalExchange, String> {
    let market = |kind| {
        let spot = kind == InstrumentKind::Spot;
        let flow = if spot { FlowParams::btc_spot() } else { FlowParams::btc_perpetual() };
        let mut market = MarketParams::new(instrument(kind), Source::Synthetic(flow));
        market.fees = if spot { FeeTier::spot_vip0() } else { FeeTier::usdm_vip0() };
        market
    };
    let usdt = if plan.layout == Layout::SpotPoor { "500" } else { "100000" };
    let balances = vec![
        (Wallet::Spot, Asset::new("BTC"), money("1")),
        (Wallet::Spot, Asset::new("USDT"), money(usdt)),
        (Wallet::Usdm, Asset::new("USDT"), money("50000")),
    ];
    // Somebody who can sweep the book up to an order of ours.
    let whale = vec![
        (Wallet::Spot, Asset::new("BTC"), money("100000")),
        (Wallet::Spot, Asset::new("USDT"), money("10000000000")),
        (Wallet::Usdm, Asset::new("USDT"), money("10000000000")),
    ];
    let credentials = secrets.venues.iter().map(|keys| Credential {
        api_key: keys.key.expose_secret().to_owned(),
        secret: keys.secret.expose_secret().to_owned(),
        account: 0,
    });
    let mut credentials: Vec<Credential> = credentials.collect();
    credentials.dedup_by(|a, b| a.api_key == b.api_key);
    let params = LocalParams {
        exchange: sim::ExchangeParams {
            seed: plan.seed,
            markets: vec![market(InstrumentKind::Spot), market(InstrumentKind::LinearPerpetual)],
            accounts: vec![AccountParams { balances }, AccountParams { balances: whale }],
            history: 10_000,
        },
        credentials,
        faults: Vec::new(),
        api_restrictions: false,
    };
    LocalExchange::new(params, EPOCH)
}
