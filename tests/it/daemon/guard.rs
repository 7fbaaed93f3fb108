//! The guard beside a daemon that dies, stands still, comes back or ends in order.

use std::process::Command;

use super::rig::{Daemon, Home, Venue};

/// A guard of this home with little patience.
fn guard(home: &Home) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.arg("guard").arg("--config").arg(&home.config).args(["--patience", "1s"]);
    Daemon::of(command, home.state())
}

#[test]
fn what_a_dead_daemon_left_is_cancelled_and_the_next_one_is_let_be() {
    let venue = Venue::lively(41);
    // No dead-man switch: on spot there is none, and this is about the guard alone.
    let home = Home::new(&venue, |text| text.replace("dead_man_switch_ms = 30000\n", ""));
    let mut daemon = home.start();
    daemon.until_two_sided();
    let mut guard = guard(&home);
    guard.until_said("guard_hears");
    venue.until("quotes", |truth| truth.open_orders().len() >= 2);
    daemon.murder();
    guard.until_said("guard_cancelled");
    let truth = venue.truth();
    assert!(truth.open_orders().is_empty(), "{:#}", truth.0);

    let mut next = home.start();
    next.until_two_sided();
    venue.until("quotes again", |truth| truth.open_orders().len() >= 2);
    let (code, said) = next.stop();
    assert_eq!(code, 0, "{said}");
    assert!(venue.truth().is_flat());
    let (code, said) = guard.stop();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains(super::rig::SECRET), "{said}");
}

#[test]
fn a_daemon_that_stands_still_is_as_good_as_dead() {
    let venue = Venue::lively(42);
    let home = Home::new(&venue, |text| text.replace("dead_man_switch_ms = 30000\n", ""));
    let mut daemon = home.start();
    daemon.until_two_sided();
    let guard = guard(&home);
    guard.until_said("guard_hears");
    daemon.signal("STOP");
    guard.until_said("guard_cancelled");
    assert!(venue.truth().open_orders().is_empty());
    daemon.signal("CONT");
    daemon.until_two_sided();
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    assert!(venue.truth().is_flat(), "{said}");
}
