//! Which events are there, and what does each mean? The names are stable: dashboards and alerts
//! rest on them. `deploy/events.md` is made from this table and from the lines themselves.

/// One event: its name and what it means to an operator.
pub type Event = (&'static str, &'static str);

/// Every event that the programs write, in the order of the page.
pub const EVENTS: &[Event] = &[
    (
        "state_changed",
        "The daemon's life moved on: starting, reconciling, warming, quoting, reducing, halted, stopping, stopped.",
    ),
    ("side_reason", "One side of an instrument is or is not quoted now, and why."),
    (
        "side_toxic",
        "A side shows nothing because its fills are expected to cost more than they earn, or shows again.",
    ),
    ("quoted", "The numbers behind a changed decision: fair price, half-spread, skew."),
    ("explained", "The chain from fair price to order, when somebody asked."),
    ("signals", "What the signals of an instrument read, once a second."),
    ("measured", "What the estimators of an instrument read, once a second."),
    ("order_sent", "An order left."),
    ("order_ended", "An order is over: filled, cancelled, expired."),
    ("order_rejected", "The venue refused an order, and what class of reason it gave."),
    (
        "order_unknown",
        "The fate of an order is not known; it counts as live until the venue has said otherwise.",
    ),
    ("gate_blocked", "An order did not leave because a limit stood against it."),
    ("filled", "A fill of ours."),
    ("hedge_started", "Net exposure passed its edge and a hedge left."),
    ("hedge_done", "Net exposure is back inside, with what it cost."),
    (
        "hedge_late",
        "Net exposure stayed outside beyond the deadline: quotes that would add to it stop.",
    ),
    ("hedge_band", "The band inside which waiting is cheaper than a hedge has moved."),
    ("fair_source", "The price that an instrument is quoted around comes from elsewhere now."),
    ("capital", "Capital at risk, as it changes."),
    ("capital_stage", "Capital at risk presses on sizes, reached its limit, or let go."),
    ("book_synced", "A book is proven: its sequence is whole."),
    ("book_lost", "A book is not proven any more; its quotes are pulled."),
    ("link_up", "A stream is connected."),
    ("link_down", "A stream is gone."),
    ("garbled", "A message of a venue could not be read."),
    ("reconciled", "An account was read and agrees with our ledger."),
    (
        "reconcile_differs",
        "An account differs from our ledger: no new risk until an operator has looked.",
    ),
    ("target_taken", "What the account held at the first start counts as flat from now on."),
    ("holding_moved", "While nobody looked, more or less came to be held than our trades explain."),
    ("key_checked", "What a venue says the API key may do."),
    ("instrument_listed", "The scales and limits that a venue lists for an instrument."),
    ("paused", "Quoting was paused by the operator."),
    ("resumed", "Quoting goes on by the operator's word."),
    ("reloaded", "Settings changed while running; each with before and after."),
    ("halted", "Quoting ended for safety or by the operator; everything is cancelled."),
    ("latch_set", "A halt that outlives the process was set or found."),
    ("latch_cleared", "That halt was ended by the operator."),
    ("invariant", "A bug of ours: something that must never happen did. No new risk."),
    ("listening", "The HTTP endpoints answer at this address."),
    ("session_report", "The result of the session, at its end."),
    ("stop_asked", "An orderly stop begins."),
    (
        "stop_asked_again",
        "A stop was asked for while one is running; it is neither hastened nor delayed.",
    ),
    (
        "reload_done",
        "A hang-up signal reloaded the settings; key by key what applied and what waits.",
    ),
    ("reload_refused", "A hang-up signal did not reload the settings: nothing was changed."),
    (
        "stalled",
        "This process stood still for so long that waiting market data is worthless; streams start anew.",
    ),
    ("fault", "A part of ours failed that new risk must not rest on."),
    ("clock_stepped", "The wall clock was set; ours did not move."),
    ("supervisor_deaf", "The service manager does not take our messages."),
    ("farewell_unanswered", "A venue did not confirm the last requests."),
    ("log_late", "The log could not keep up for a while."),
    ("log_lines_lost", "Log lines were lost, and how many."),
    ("address_left", "The served address could not be taken back from the state directory."),
    ("serve_failed", "The HTTP endpoints have ended."),
    ("alerts_late", "Alerts were still waiting at the end."),
    ("alerts_lost", "A webhook did not take alerts in time; they are lost."),
    ("guard_started", "The guard watches."),
    ("guard_stopped", "The guard was told to stop."),
    ("guard_hears", "The guard hears the daemon."),
    ("guard_acts", "The daemon is silent: the guard cancels its orders."),
    ("guard_cancelled", "The guard has cancelled everything, verified."),
    ("guard_failed", "The guard could not cancel everything."),
    ("exchange_thread_panicked", "The local exchange has a bug."),
    ("exchange_slow_reader", "The local exchange closed a stream that did not read."),
    ("exchange_serve_failed", "An address of the local exchange stopped answering."),
    ("recording_broken", "A recording could not be read further."),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::super::describe::{Names, describe, tests::all};
    use super::*;
    use crate::domain::VenueId;

    /// Levels and fields of each event, from the lines themselves.
    fn lines() -> BTreeMap<&'static str, (BTreeSet<String>, BTreeSet<String>, bool)> {
        let names = Names::new(vec!["spot".into()], &[(VenueId(0), "BTCUSDT".into())]);
        let mut lines: BTreeMap<_, (BTreeSet<String>, BTreeSet<String>, bool)> = BTreeMap::new();
        for (note, _) in all() {
            let line = describe(&note, &names);
            let (levels, fields, floods) = lines.entry(line.event).or_default();
            levels.insert(format!("{:?}", line.level).to_lowercase());
            fields.extend(line.fields.keys().map(|key| format!("`{key}`")));
            *floods |= line.flood_key.is_some();
        }
        lines
    }

    /// Every name that the sources write, with its level.
    fn written(dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                written(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (at, mark) in
                text.match_indices("event = \"").chain(text.match_indices("say(NoteLevel::"))
            {
                let rest = &text[at + mark.len()..];
                let is_say = mark.starts_with("say");
                let level = if is_say {
                    rest.split(',').next().unwrap().to_lowercase()
                } else {
                    let before = text[..at].rsplit("tracing::").next().unwrap();
                    before.split('!').next().unwrap().to_owned()
                };
                let name = if is_say { rest.split('"').nth(1) } else { rest.split('"').next() };
                found.insert(name.unwrap().to_owned(), level);
            }
        }
    }

    #[test]
    fn the_catalogue_is_whole_and_its_page_up_to_date() {
        let (lines, mut others) = (lines(), BTreeMap::new());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        written(&root.join("src"), &mut others);
        let known: BTreeSet<&str> = EVENTS.iter().map(|event| event.0).collect();
        let there: BTreeSet<&str> =
            lines.keys().copied().chain(others.keys().map(String::as_str)).collect();
        assert_eq!(known, there);
        assert_eq!(known.len(), EVENTS.len(), "each stands here once");
        let mut page = String::from(
            "# Log events\n\nMade from the code by a test (`UPDATE_GOLDEN=1 cargo test --lib \
             catalogue`). Every line has `at`, `at_ns`, `level`, `event` and `message`; a line \
             that stands for others left out within a second has `left_out`.\n\n\
             | Event | Level | Fields | At most once a second | Meaning |\n|---|---|---|---|---|\n",
        );
        for (name, meaning) in EVENTS {
            let (level, fields, floods) = match lines.get(name) {
                Some((levels, fields, floods)) => {
                    let join =
                        |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
                    (join(levels), join(fields), *floods)
                }
                None => (others[*name].clone(), String::new(), false),
            };
            let floods = if floods { "yes" } else { "" };
            page.push_str(&format!("| `{name}` | {level} | {fields} | {floods} | {meaning} |\n"));
        }
        let path = root.join("deploy/events.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap_or_default() == page, "deploy/events.md");
    }
}
