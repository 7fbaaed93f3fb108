//! `simulate --planted`: is every planted bug found? Only in the build with the feature `planted`.

use super::{Exit, SimulateArgs, all, complain, say};
use crate::domain::planted::{BUGS, plant};
use crate::simulate::{self, Kind, Layout, Menu, Scenario};

/// One bug after the other, each until the first seed that finds it.
pub(super) fn find(args: &SimulateArgs, scenario: &Scenario, menu: &Menu) -> Exit {
    super::quiet_panics();
    let (mut found, mut missed) = (0, 0);
    say(&format!("{:<24} {:>6} {:>6}  {}\n", "planted bug", "seed", "of", "violated"));
    for (bug, _) in BUGS {
        complain(&format!("looking for {bug}"), Exit::Clean);
        plant(bug);
        let (batch, failed) = all(args, scenario, &aimed(bug, menu), true);
        let (seed, problem) = match failed.first() {
            Some(outcome) => {
                let first = outcome.problems.first().cloned().unwrap_or_default();
                // What fails without the bug as well has not found it.
                plant("");
                let blamed = simulate::run(scenario, &outcome.plan, false).problems.is_empty();
                *(if blamed { &mut found } else { &mut missed }) += 1;
                let text = if blamed { first } else { format!("ALSO WITHOUT IT: {first}") };
                (outcome.plan.seed.to_string(), text)
            }
            None => {
                missed += 1;
                ("-".to_owned(), "NOT FOUND".to_owned())
            }
        };
        let problem: String = problem.chars().take(90).collect();
        say(&format!("{bug:<24} {seed:>6} {:>6}  {problem}\n", batch.seeds));
    }
    plant("");
    say(&format!("{found} of {} planted bugs found, {missed} missed\n", BUGS.len()));
    if missed == 0 { Exit::Clean } else { Exit::Failed }
}

/// The menu for a bug. Those that need several troubles at once are looked for among these; the
/// others are found among all.
fn aimed(bug: &str, menu: &Menu) -> Menu {
    let (kinds, layout): (&[Kind], Option<Layout>) = match bug {
        "lost_is_a_refusal" => (&[Kind::LostReplies, Kind::NoAnswer, Kind::UserMute], None),
        "old_reading_wins" => (&[Kind::SlowReplies, Kind::Slow], None),
        "loss_not_told" => (&[Kind::Cut, Kind::LinksCut], None),
        "age_ignored" => (&[Kind::Hang, Kind::MarketMute], None),
        "no_resync" => (&[Kind::Gap], None),
        "retry_after_ignored" => (&[Kind::Throttled, Kind::Banned], None),
        "no_echo_watch" => (&[Kind::UserMute], None),
        "hedges_not_counted" => (&[Kind::SlowReplies, Kind::Slow], Some(Layout::SpotHedged)),
        "cancel_all_forgets" => (&[Kind::Kill, Kind::Slow], None),
        "amends_ungated" => {
            (&[Kind::SlowReplies, Kind::Slow, Kind::LostReplies], Some(Layout::Perpetual))
        }
        "own_cross_unchecked" => {
            (&[Kind::SlowReplies, Kind::LostRequests, Kind::Slow], Some(Layout::Perpetual))
        }
        "flat_claimed" => (&[Kind::Down, Kind::Refused, Kind::LostRequests], None),
        "reducing_ignored" => (&[Kind::Down, Kind::Halt, Kind::Refused], Some(Layout::SpotHedged)),
        "trades_skipped" | "trades_not_read" => (&[Kind::UserMute], None),
        "filters_not_renewed" => (&[Kind::Filters], None),
        _ => return menu.clone(),
    };
    Menu { kinds: kinds.to_vec(), layout, ..menu.clone() }
}
