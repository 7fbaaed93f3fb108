//! The simulated exchange that benches ask, with the account and markets of config/exchange.toml.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::{SystemTime, UNIX_EPOCH};

use evenkeel::domain::{
    Asset, Instrument, InstrumentId, InstrumentKind, Money, Px, Qty, Ts, VenueId,
};
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::sim::faces::request::{Credential, HttpRequest};
use evenkeel::sim::faces::streams::Outbox;
use evenkeel::sim::faces::{LocalExchange, LocalParams};
use evenkeel::sim::flow::FlowParams;
use evenkeel::sim::{self, AccountParams, MarketParams, Source, Wallet};

/// The toy key of config/exchange.toml.
pub const KEY: &str = "toy-key-of-the-local-exchange";
/// Its secret.
pub const SECRET: &str = "toy-secret-of-the-local-exchange";

pub fn now() -> Ts {
    Ts(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap())
}

/// One request, answered.
pub fn ask(
    local: &mut LocalExchange,
    kind: VenueKind,
    method: &str,
    path: &str,
    query: &str,
    api_key: Option<&str>,
) -> (u16, String) {
    let request = HttpRequest { method, path, query, body: "", api_key, ip: 1 };
    let reply = local.http(now(), kind, &request, &mut Outbox::default());
    let answer = reply.answer.unwrap();
    (answer.status, answer.body)
}

pub fn instrument(kind: InstrumentKind) -> Instrument {
    let spot = kind == InstrumentKind::Spot;
    let money = |text: &str| text.parse::<Money>().unwrap();
    Instrument {
        id: InstrumentId(u16::from(!spot)),
        venue: VenueId(u8::from(!spot)),
        symbol: "BTCUSDT".to_owned(),
        kind,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: money(if spot { "0.01" } else { "0.10" }),
        lot_size: money(if spot { "0.00001" } else { "0.001" }),
        min_px: Px(if spot { 1 } else { 5568 }),
        max_px: Px(if spot { 100_000_000 } else { 45_297_640 }),
        min_qty: Qty(1),
        max_qty: Qty(if spot { 900_000_000 } else { 1_000_000 }),
        min_notional: money(if spot { "5" } else { "50" }),
        max_open_orders: 200,
        trading: true,
    }
}

/// Two markets that stand still until they are advanced.
pub fn params() -> LocalParams {
    let market = |kind| {
        let spot = kind == InstrumentKind::Spot;
        let flow = if spot { FlowParams::btc_spot() } else { FlowParams::btc_perpetual() };
        MarketParams::new(instrument(kind), Source::Synthetic(flow))
    };
    let account = AccountParams {
        balances: vec![
            (Wallet::Spot, Asset::new("BTC"), Money::ONE),
            (Wallet::Spot, Asset::new("USDT"), Money::from(100_000)),
            (Wallet::Usdm, Asset::new("USDT"), Money::from(50_000)),
        ],
    };
    LocalParams {
        exchange: sim::ExchangeParams {
            seed: 1,
            markets: vec![market(InstrumentKind::Spot), market(InstrumentKind::LinearPerpetual)],
            accounts: vec![account],
            history: 1000,
        },
        credentials: vec![Credential {
            api_key: KEY.to_owned(),
            secret: SECRET.to_owned(),
            account: 0,
        }],
        faults: Vec::new(),
        api_restrictions: false,
    }
}
