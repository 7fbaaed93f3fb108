//! A disk that takes no more: no new risk, everything cancelled, the daemon stays up and says so.

use std::process::Command;

use super::rig::{Daemon, Home, Venue};

fn same(text: &str) -> String {
    text.to_owned()
}

/// A daemon whose files may not grow beyond this many KiB, as on a full disk: writing fails.
fn cramped(home: &Home, kib: u32) -> Daemon {
    let mut command = Command::new("sh");
    // SIGXFSZ ignored, so that write answers EFBIG instead of killing.
    command
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" run --config \"$1\"", kib * 2))
        .arg(env!("CARGO_BIN_EXE_evenkeel"))
        .arg(&home.config);
    Daemon::of(command, home.state())
}

#[test]
fn a_full_disk_means_no_new_risk_and_no_death() {
    let venue = Venue::lively(80);
    let home = Home::new(&venue, same);
    let mut daemon = cramped(&home, 512);
    daemon.until_two_sided();
    let status = daemon.until_state("HALTED");
    assert_eq!(status["halt_cause"], "fault", "{status:#}");
    assert!(status["halt_reason"].to_string().contains("journal"), "{status:#}");
    venue.until("no order", |truth| truth.open_orders().is_empty());
    daemon.until_said("\"halted\"");
    let orders = venue.truth().order_requests();

    // The operator resumes without having made room: it is a fault again, not a licence.
    assert_eq!(home.command(&["resume"]).0, 0);
    daemon.until_state("HALTED");
    venue.until("no order", |truth| truth.open_orders().is_empty());
    assert_eq!(venue.truth().order_requests(), orders, "orders without a journal");

    let (code, said) = daemon.stop();
    assert_eq!(code, 4, "{said}");
    assert!(!said.contains("panicked"), "{said}");

    // With room again it goes on, and nothing had been lost.
    let mut daemon = home.start();
    daemon.until_two_sided();
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("holding_moved"), "{said}");
    assert!(venue.truth().is_flat());
}

#[test]
fn a_state_directory_that_is_gone_is_told_and_nothing_new_is_risked() {
    let venue = Venue::lively(81);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let address = home.address().unwrap();
    std::fs::remove_dir_all(home.state()).unwrap();
    // The address went with it, so the daemon is asked where it was.
    super::rig::until("the halt", super::rig::PATIENCE, || {
        let (_, body) = super::rig::get(address, "/status")?;
        body.contains("\"HALTED\"").then_some(())
    });
    venue.until("no order", |truth| truth.open_orders().is_empty());
    let (code, said) = daemon.stop();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("cannot be kept"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
