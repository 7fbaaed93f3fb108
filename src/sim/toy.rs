//! What do the simulation, the tests and the benches trade on? BTC in USDT on both venues, with the
//! crowd that was measured.

use super::faces::LocalParams;
use super::faces::request::Credential;
use super::flow::FlowParams;
use super::tape::known_instrument;
use super::{AccountParams, ExchangeParams, MarketParams, Source, Wallet};
use crate::domain::{Asset, Instrument, InstrumentId, InstrumentKind, Money, VenueId};

/// BTCUSDT as its venue lists it; the spot market comes first.
#[must_use]
pub fn instrument(kind: InstrumentKind) -> Instrument {
    let index = u8::from(kind == InstrumentKind::LinearPerpetual);
    Instrument {
        id: InstrumentId(index.into()),
        venue: VenueId(index),
        ..known_instrument(kind, "BTCUSDT").expect("BTCUSDT is among the known symbols")
    }
}

/// The same with its crowd, at the retail fees.
#[must_use]
pub fn market(kind: InstrumentKind) -> MarketParams {
    let crowd = match kind {
        InstrumentKind::Spot => FlowParams::btc_spot(),
        InstrumentKind::LinearPerpetual => FlowParams::btc_perpetual(),
    };
    MarketParams::new(instrument(kind), Source::Synthetic(crowd))
}

/// An account with so much of both on spot, and so many dollars of margin for perpetuals.
#[must_use]
pub fn account(btc: i64, usdt: i64, margin: i64) -> AccountParams {
    AccountParams {
        balances: vec![
            (Wallet::Spot, Asset::new("BTC"), Money::from(btc)),
            (Wallet::Spot, Asset::new("USDT"), Money::from(usdt)),
            (Wallet::Usdm, Asset::new("USDT"), Money::from(margin)),
        ],
    }
}

/// Both markets, and one account as `config/exchange.toml` gives it, on which these keys trade;
/// nothing goes wrong.
#[must_use]
pub fn exchange(seed: u64, credentials: Vec<Credential>) -> LocalParams {
    LocalParams {
        exchange: ExchangeParams {
            seed,
            markets: vec![market(InstrumentKind::Spot), market(InstrumentKind::LinearPerpetual)],
            accounts: vec![account(1, 100_000, 50_000)],
            history: 10_000,
        },
        credentials,
        faults: Vec::new(),
        api_restrictions: false,
    }
}
