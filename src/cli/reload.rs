//! `reload`: the daemon's side, which reads its file again, and the asker's, which shows what came
//! of it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::config::reload::{CONFIRM_ABOVE, Plan, merged, plan};
use crate::config::{self, Loaded, Settings};
use crate::domain::{Control, SettingChange};
use crate::live::{Reload, Sender};
use crate::telemetry::{AlertLevel, LogControl};

/// Reads the file of this configuration again whenever asked.
pub(super) fn of(loaded: &Loaded<Settings>, log: LogControl, alerts: AlertLevel) -> Reload {
    let holds = Mutex::new(loaded.clone());
    Arc::new(move |confirm, send| {
        // One reload at a time; after a panic in another, what holds is still the last that did.
        let mut holds = holds.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, plan) = reload(&holds, confirm, send, &log)?;
        if let Some(new) = &next.settings.alerts {
            alerts.set(new.level);
        }
        *holds = next;
        let answer = serde_json::to_string(&plan);
        answer.map_err(|error| format!("applied, but the answer cannot be written: {error}"))
    })
}

fn reload(
    holds: &Loaded<Settings>,
    confirm: bool,
    send: &Sender<'_>,
    log: &LogControl,
) -> Result<(Loaded<Settings>, Plan), String> {
    let new = config::load(Path::new(&holds.file))
        .map_err(|error| format!("refused as a whole, nothing was changed: {error}"))?;
    let plan = plan(holds, &new);
    if !confirm && !plan.needs_confirm.is_empty() {
        let keys: Vec<String> = plan.needs_confirm.iter().map(told).collect();
        return Err(format!(
            "refused as a whole, nothing was changed: {} raised by more than a factor of \
             {CONFIRM_ABOVE}; say --confirm if that is meant",
            keys.join(", ")
        ));
    }
    let next = merged(holds, &new);
    if !plan.applied.is_empty() {
        send(Control::Reload {
            changes: plan.applied.clone(),
            tunables: next.settings.tunables().to_text(),
        })?;
        log.set(&next.settings.log.filter())?;
    }
    Ok((next, plan))
}

fn told(change: &SettingChange) -> String {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "unset".to_owned());
    format!("{} {} -> {}", change.key, side(&change.before), side(&change.after))
}

/// The daemon's answer for people.
pub(super) fn table(answer: &Value) -> String {
    let mut text = String::new();
    for (key, words) in [("applied", "applied"), ("needs_restart", "needs a restart")] {
        let changes = serde_json::from_value::<Vec<SettingChange>>(answer[key].clone());
        for change in changes.unwrap_or_default() {
            text.push_str(&format!("{words:<16} {}\n", told(&change)));
        }
    }
    if text.is_empty() { "nothing has changed\n".to_owned() } else { text }
}
