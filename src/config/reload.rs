//! What does a changed file change in a running daemon? Key by key: what applies at once, what
//! waits for the next start, and what is refused. A file is taken whole or not at all.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::docs::{self, OnReload};
use super::{Loaded, Settings};
use crate::domain::SettingChange;
use crate::engine::{Params, Tunables};

/// A limit that grows by more than this factor asks for a confirmation.
pub const CONFIRM_ABOVE: u32 = 2;

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What holds at once.
    pub applied: Vec<SettingChange>,
    /// What holds from the next start on.
    pub needs_restart: Vec<SettingChange>,
    /// Limits that grow so much that it must be confirmed.
    pub needs_confirm: Vec<SettingChange>,
}

/// Compare what holds with a file that has been read.
#[must_use]
pub fn plan(now: &Loaded<Settings>, new: &Loaded<Settings>) -> Plan {
    let mut plan =
        Plan { applied: Vec::new(), needs_restart: Vec::new(), needs_confirm: Vec::new() };
    let same_alerts = now.settings.alerts.is_some() == new.settings.alerts.is_some();
    let same_shape = shape(&now.settings) == shape(&new.settings);
    for change in changes(now, new) {
        let of_shape = change.key.starts_with("instruments[") || change.key == "fair.source";
        let how = docs::find(docs::DAEMON, &change.key).map_or(OnReload::Restart, |doc| doc.1);
        match how {
            OnReload::Restart => plan.needs_restart.push(change),
            _ if change.key.starts_with("alerts.") && !same_alerts => {
                plan.needs_restart.push(change);
            }
            _ if of_shape && !same_shape => plan.needs_restart.push(change),
            OnReload::Limit if grows(&change) => {
                plan.needs_confirm.push(change.clone());
                plan.applied.push(change);
            }
            OnReload::Limit | OnReload::Applies => plan.applied.push(change),
        }
    }
    plan
}

/// What holds after the reload: the new file in all that applies, the old one in the rest.
#[must_use]
pub fn merged(now: &Loaded<Settings>, new: &Loaded<Settings>) -> Loaded<Settings> {
    let mut settings = new.settings.clone();
    let old = &now.settings;
    settings.environment = old.environment.clone();
    settings.venues = old.venues.clone();
    settings.http = old.http.clone();
    settings.shutdown = old.shutdown.clone();
    settings.estimators = old.estimators.clone();
    settings.alerts = old.alerts.clone();
    if let (Some(own), Some(new)) = (&mut settings.alerts, &new.settings.alerts) {
        own.level = new.level;
    }
    settings.log.format = old.log.format;
    settings.log.file = old.log.file.clone();
    settings.quoting.volatility_half_life = old.quoting.volatility_half_life;
    settings.market.warm_up = old.market.warm_up;
    settings.reference.move_window = old.reference.move_window;
    settings.signals.measured.alpha = old.signals.measured.alpha;
    settings.signals.measured.horizon = old.signals.measured.horizon;
    if shape(old) == shape(&new.settings) {
        for (own, old) in settings.instruments.iter_mut().zip(&old.instruments) {
            own.inventory_target_base = old.inventory_target_base;
        }
    } else {
        settings.instruments = old.instruments.clone();
        settings.fair.source = old.fair.source;
    }
    let waiting: BTreeMap<String, ()> =
        plan(now, new).needs_restart.into_iter().map(|change| (change.key, ())).collect();
    let kept = now.resolved.iter().filter(|own| waiting.contains_key(&own.key));
    let taken = new.resolved.iter().filter(|own| !waiting.contains_key(&own.key));
    let resolved = taken.chain(kept).cloned().collect();
    Loaded { file: new.file.clone(), settings, resolved }
}

impl Settings {
    /// What the engine takes on a reload.
    #[must_use]
    pub fn tunables(&self) -> Tunables {
        let params: Params = self.engine_params(0, None);
        Tunables::of(&params)
    }
}

/// Which instruments are traded where: what limits and leaders refer to by place.
fn shape(settings: &Settings) -> Vec<(&str, &str, super::Role)> {
    let name = |venue: usize| settings.venues.get(venue).map_or("", |venue| venue.name.as_str());
    settings.instruments.iter().map(|i| (name(i.venue), i.symbol.as_str(), i.role)).collect()
}

fn changes(now: &Loaded<Settings>, new: &Loaded<Settings>) -> Vec<SettingChange> {
    let values = |loaded: &Loaded<Settings>| -> BTreeMap<String, String> {
        loaded.resolved.iter().map(|own| (own.key.clone(), own.value.clone())).collect()
    };
    let (before, after) = (values(now), values(new));
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let change = |key: &String| {
        let (before, after) = (before.get(key).cloned(), after.get(key).cloned());
        (before != after).then(|| SettingChange { key: key.clone(), before, after })
    };
    keys.into_iter().filter_map(change).collect()
}

/// A limit that grows beyond the factor, or is gone.
fn grows(change: &SettingChange) -> bool {
    let number = |text: &Option<String>| text.as_ref().and_then(|t| t.parse::<Decimal>().ok());
    match (number(&change.before), number(&change.after)) {
        (Some(before), Some(after)) => after > before * Decimal::from(CONFIRM_ABOVE),
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: Option<&str>, after: Option<&str>) -> SettingChange {
        let text = |side: Option<&str>| side.map(str::to_owned);
        SettingChange { key: "k".into(), before: text(before), after: text(after) }
    }

    #[test]
    fn a_limit_grows_by_factor_or_by_going_away() {
        assert!(grows(&change(Some("1"), Some("2.1"))));
        assert!(!grows(&change(Some("1"), Some("2.0"))));
        assert!(!grows(&change(Some("1"), Some("0.1"))));
        assert!(grows(&change(Some("1"), None)));
        assert!(!grows(&change(None, Some("1"))));
    }

    const DEMO: &str = include_str!("../../config/demo.toml");

    fn keys(changes: &[SettingChange]) -> Vec<&str> {
        changes.iter().map(|change| change.key.as_str()).collect()
    }

    fn read(text: &str) -> Loaded<Settings> {
        super::super::parse(text, "t").unwrap()
    }

    #[test]
    fn what_waits_for_a_restart_does_not_leak_into_what_applies() {
        let now = read(DEMO);
        let text = DEMO
            .replace("alpha = \"imbalance\"", "alpha = \"order_flow\"")
            .replace("max_alpha_bps = 1.0", "max_alpha_bps = 1.5")
            .replace("max_capital_at_risk_quote = 40", "")
            .replace("volatility_half_life_s = 30", "volatility_half_life_s = 31");
        let text = text + "\n[alerts]\nsource = \"env\"\nurl = \"URL\"\nlevel = \"warn\"\n";
        let new = read(&text);
        let plan = plan(&now, &new);
        assert_eq!(
            keys(&plan.applied),
            ["capital.max_capital_at_risk_quote", "signals.max_alpha_bps"]
        );
        assert_eq!(keys(&plan.needs_confirm), ["capital.max_capital_at_risk_quote"]);
        let waiting = keys(&plan.needs_restart);
        for key in ["alerts.level", "signals.alpha", "quoting.volatility_half_life_s"] {
            assert!(waiting.contains(&key), "{key}: {waiting:?}");
        }
        let next = merged(&now, &new);
        assert_eq!(next.settings.signals.measured.alpha, now.settings.signals.measured.alpha);
        assert!((next.settings.signals.measured.max_alpha_bps - 1.5).abs() < 1e-12);
        assert!(next.settings.alerts.is_none());
        // The same file again: only what waits is still different.
        let again = super::plan(&next, &new);
        assert!(again.applied.is_empty(), "{again:?}");
        assert_eq!(keys(&again.needs_restart), waiting);
        assert_eq!(super::plan(&now, &read(DEMO)).applied, []);
    }

    #[test]
    fn limits_of_other_instruments_are_not_taken_for_ours() {
        let now = read(DEMO);
        let new = read(
            &DEMO
                .replace("role = \"hedge\"", "role = \"quote\"")
                .replace("enabled = true", "enabled = false"),
        );
        let plan = plan(&now, &new);
        assert!(keys(&plan.needs_restart).contains(&"instruments[1].role"));
        let next = merged(&now, &new);
        assert_eq!(next.settings.tunables().limits, now.settings.tunables().limits);
        assert_eq!(next.settings.instruments[1].role, super::super::Role::Hedge);
        assert_eq!(next.settings.tunables().hedge, None);
    }
}
