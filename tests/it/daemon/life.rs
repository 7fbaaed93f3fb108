//! A session from its first quote to a verified end.

use super::rig::{Home, Venue, agree, edit, money};

#[test]
fn a_session_quotes_fills_hedges_and_ends_flat() {
    let venue = Venue::lively(1);
    let home = Home::new(&venue, |text| edit(text, "trigger_base = 0.005", "trigger_base = 0.003"));
    let mut daemon = home.start();
    daemon.until_two_sided();
    venue.until("orders on both sides", |truth| {
        truth.open_on("buy") > 0 && truth.open_on("sell") > 0
    });
    venue.until("a hedge's position", |truth| truth.position() != money("0"));
    let status = daemon.until("a hedge in the books", |status| {
        status["session"]["counts"]["hedges_sent"].as_u64().unwrap() > 0
            && status["session"]["maker_fills"].as_u64().unwrap() > 0
    });
    assert_eq!(status["session"]["counts"]["garbled"], 0, "{status:#}");
    agree(&daemon, &venue);
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    let truth = venue.truth();
    assert!(truth.is_flat(), "{:#}", truth.0);
    assert!(said.contains("session_report"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
