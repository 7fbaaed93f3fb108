//! The exchange and the settings of a session.

use evenkeel::config::{Settings, load};
use evenkeel::domain::{
    Asset, Instrument, InstrumentId, InstrumentKind, Money, Px, Qty, Span, VenueId,
};
use evenkeel::inventory::HedgeMode;
use evenkeel::sim::faces::request::Credential;
use evenkeel::sim::faces::{LocalExchange, LocalParams};
use evenkeel::sim::flow::FlowParams;
use evenkeel::sim::{self, AccountParams, FeeTier, MarketParams, Source, Wallet};
use secrecy::ExposeSecret;

use super::plan::{EPOCH, Layout, Plan};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// `config/demo.toml` in one of its layouts.
pub fn settings(layout: Layout) -> Settings {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo.toml");
    let mut settings = load(std::path::Path::new(file)).unwrap().settings;
    match layout {
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
            own.role = evenkeel::config::Role::Quote;
            settings.hedge.enabled = false;
        }
    }
    settings
}

fn instrument(kind: InstrumentKind) -> Instrument {
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
pub fn local_exchange(plan: &Plan, settings: &Settings) -> LocalExchange {
    let secrets = evenkeel::config::read_secrets(settings).unwrap();
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
    let params = LocalParams {
        exchange: sim::ExchangeParams {
            seed: plan.seed,
            markets: vec![market(InstrumentKind::Spot), market(InstrumentKind::LinearPerpetual)],
            accounts: vec![AccountParams { balances }],
            history: 10_000,
        },
        credentials: vec![Credential {
            api_key: secrets.venues[0].key.expose_secret().to_owned(),
            secret: secrets.venues[0].secret.expose_secret().to_owned(),
            account: 0,
        }],
        faults: Vec::new(),
        api_restrictions: false,
    };
    LocalExchange::new(params, EPOCH).unwrap()
}
