//! `simulate --planted`: is every planted bug found? Only in the build with the feature `planted`.

use super::{Exit, SimulateArgs, all, say};
use crate::domain::planted::{BUGS, plant};
use crate::simulate::{Menu, Scenario};

/// One bug after the other, each until the first seed that finds it.
pub(super) fn find(args: &SimulateArgs, scenario: &Scenario, menu: &Menu) -> Exit {
    super::quiet_panics();
    let mut found = 0;
    say(&format!("{:<24} {:>6} {:>6}  {}\n", "planted bug", "seed", "of", "violated"));
    for (bug, _) in BUGS {
        plant(bug);
        let (batch, failed) = all(args, scenario, menu, true);
        let (seed, problem) = match failed.first() {
            None => ("-".to_owned(), "NOT FOUND"),
            Some(outcome) => {
                found += 1;
                let first = outcome.problems.first().map_or("", String::as_str);
                (outcome.plan.seed.to_string(), first)
            }
        };
        let problem: String = problem.chars().take(90).collect();
        say(&format!("{bug:<24} {seed:>6} {:>6}  {problem}\n", batch.seeds));
    }
    plant("");
    say(&format!("{found} of {} planted bugs found\n", BUGS.len()));
    if found == BUGS.len() { Exit::Clean } else { Exit::Failed }
}
