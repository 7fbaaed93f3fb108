//! Which exchange and which settings does a session have?

use secrecy::ExposeSecret;

use super::plan::{EPOCH, Layout, Plan};
use crate::config::{Role, Secrets, Settings, Target, VenueKind};
use crate::domain::{Money, Span};
use crate::inventory::HedgeMode;
use crate::sim::faces::LocalExchange;
use crate::sim::faces::request::Credential;
use crate::sim::toy;

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

/// Both markets, our account, and somebody who can sweep the book up to an order of ours.
pub(super) fn local_exchange(plan: &Plan, secrets: &Secrets) -> Result<LocalExchange, String> {
    let credentials = secrets.venues.iter().map(|keys| Credential {
        api_key: keys.key.expose_secret().to_owned(),
        secret: keys.secret.expose_secret().to_owned(),
        account: 0,
    });
    let mut credentials: Vec<Credential> = credentials.collect();
    credentials.dedup_by(|a, b| a.api_key == b.api_key);
    let mut params = toy::exchange(plan.seed, credentials);
    let accounts = &mut params.exchange.accounts;
    if plan.layout == Layout::SpotPoor {
        accounts[0] = toy::account(1, 500, 50_000);
    }
    accounts.push(toy::account(100_000, 10_000_000_000, 10_000_000_000));
    LocalExchange::new(params, EPOCH)
}
