//! Every way to an end, and what stands after it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rig::{Home, Truth, Venue, agree, edit, money};

fn same(text: &str) -> String {
    text.to_owned()
}

fn names(truth: &Truth) -> BTreeSet<String> {
    let name = |order: &Value| order["client_order_id"].as_str().unwrap().to_owned();
    truth.open_orders().iter().map(name).collect()
}

#[test]
fn a_second_signal_does_not_skip_the_cancel() {
    let venue = Venue::lively(2);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    venue.fault(r#"{"kind":"latency_ms","add":300,"for_ms":60000}"#);
    daemon.signal("TERM");
    daemon.until("STOPPING", |status| status["state"] == "STOPPING");
    daemon.signal("TERM");
    daemon.signal("INT");
    let (code, said) = daemon.end();
    assert_eq!(code, 0, "{said}");
    let truth = venue.truth();
    assert!(truth.is_flat(), "{:#}", truth.0);
}

#[test]
fn a_kill_is_latched_until_resumed() {
    let venue = Venue::lively(3);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let (code, out, err) = home.command(&["kill"]);
    assert_eq!(code, 0, "{out}{err}");
    daemon.until_state("HALTED");
    venue.until("no order", |truth| truth.open_orders().is_empty());
    daemon.until("no order in the books", |status| status["orders"] == serde_json::json!([]));
    let (code, said) = daemon.stop();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("killed by the operator"), "{said}");
    assert!(venue.truth().is_flat());

    let before = venue.truth().order_requests();
    let mut daemon = home.start();
    let status = daemon.until_state("HALTED");
    assert_eq!(status["halt_cause"], "operator");
    assert_eq!(venue.truth().order_requests(), before, "orders while latched");
    assert_eq!(home.command(&["resume"]).0, 0);
    daemon.until_state("QUOTING");
    daemon.until_two_sided();
    assert_eq!(daemon.stop().0, 0);
    assert!(venue.truth().is_flat());
    let mut daemon = home.start();
    daemon.until_state("QUOTING");
    assert_eq!(daemon.stop().0, 0, "the latch was ended for good");
}

#[test]
fn a_kill_with_flatten_closes_positions_and_stays_up() {
    let venue = Venue::lively(4);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until("a fill", |status| status["session"]["maker_fills"].as_u64() > Some(0));
    assert_eq!(home.command(&["kill", "--flatten"]).0, 0);
    daemon.until_state("HALTED");
    venue.until("flat", Truth::is_flat);
    assert_eq!(daemon.status().unwrap()["state"], "HALTED");
    assert_eq!(daemon.stop().0, 4);
}

#[test]
fn a_pause_pulls_quotes_and_a_resume_shows_them_again() {
    let venue = Venue::lively(5);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    assert_eq!(home.command(&["pause"]).0, 0);
    let status = daemon.until("paused", |status| status["paused"] == true);
    assert_eq!(status["instruments"][0]["bid"]["reason"], "paused");
    venue.until("no quote", |truth| {
        truth.open_orders().iter().all(|order| order["venue"] != "spot")
    });
    assert_eq!(home.command(&["resume"]).0, 0);
    daemon.until_two_sided();
    assert_eq!(daemon.stop().0, 0);
}

#[test]
fn a_second_instance_is_refused() {
    let venue = Venue::lively(6);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let (code, said) = home.start().end();
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("instance"), "{said}");
    assert!(!venue.truth().open_orders().is_empty(), "the first goes on");
    assert!(home.address().is_some(), "the first can still be asked");
    daemon.until_two_sided();
    assert_eq!(daemon.stop().0, 0);
}

#[test]
fn after_a_crash_leftovers_go_first_and_nothing_is_doubled() {
    let venue = Venue::lively(7);
    let home = Home::new(&venue, same);
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let mut daemon = home.start();
        daemon.until_two_sided();
        let truth = venue.until("own orders", |truth| {
            let own = names(truth);
            !own.is_empty() && own.is_disjoint(&seen)
        });
        let own = names(&truth);
        assert!(own.iter().all(|name| name.starts_with("ek")), "{own:?}");
        agree(&daemon, &venue);
        daemon.murder();
        let left = names(&venue.truth());
        assert!(!left.is_empty(), "round {round}: nothing was open at the crash");
        seen.extend(left);
    }
    let mut daemon = home.start();
    let truth = venue.until("new orders", |truth| {
        let own = names(truth);
        let (old, new): (Vec<_>, Vec<_>) = own.iter().partition(|name| seen.contains(*name));
        assert!(old.is_empty() || new.is_empty(), "quotes beside leftovers: {own:?}");
        !new.is_empty()
    });
    assert!((truth.spot("BTC") - money("1")).abs() <= money("0.02"), "{:#}", truth.0);
    agree(&daemon, &venue);
    assert_eq!(daemon.stop().0, 0);
    assert!(venue.truth().is_flat());
}

#[test]
fn a_loss_beyond_the_limit_halts_for_good() {
    let venue = Venue::lively(10);
    let home = Home::new(&venue, |text| {
        edit(text, "loss_limit_quote_session = 500", "loss_limit_quote_session = 0.05")
    });
    let mut daemon = home.start();
    // Fees alone lose that much with the first fill.
    let status = daemon.until_state("HALTED");
    assert_eq!(status["halt_cause"], "loss_limit", "{status:#}");
    venue.until("no order", |truth| truth.open_orders().is_empty());
    let (code, said) = daemon.stop();
    assert_eq!(code, 4, "{said}");
    let mut daemon = home.start();
    let status = daemon.until_state("HALTED");
    assert_eq!(status["halt_cause"], "loss_limit");
    let before = venue.truth().order_requests();
    assert_eq!(daemon.stop().0, 4);
    assert_eq!(venue.truth().order_requests(), before, "orders while latched");
    assert!(venue.truth().is_flat());
}

#[test]
fn a_stop_is_verified_without_any_stream() {
    let venue = Venue::lively(9);
    let home = Home::new(&venue, |text| edit(text, "flatten = true", "flatten = false"));
    let mut daemon = home.start();
    daemon.until_two_sided();
    venue.fault(r#"{"kind":"close_links","every_ms":10}"#);
    daemon.until("no stream", |status| {
        let links = status["driver"]["links"].as_array().unwrap();
        links.iter().all(|link| link["open"] == false)
    });
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    assert!(venue.truth().open_orders().is_empty(), "{said}");
}

#[test]
fn orders_of_others_are_counted_and_left_alone() {
    let venue = Venue::lively(11);
    venue.foreign_order("somebodyelses1");
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let status =
        daemon.until("it to be counted", |status| status["venues"][0]["foreign_orders"] == 1);
    assert!(!status["orders"].to_string().contains("50000"), "taken for ours: {status:#}");
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(&venue.truth()), BTreeSet::from(["somebodyelses1".to_owned()]));
}

#[test]
fn an_unreachable_venue_at_the_end_is_told_as_such() {
    let venue = Venue::lively(8);
    let home = Home::new(&venue, |text| text.replace("deadline_ms = 10000", "deadline_ms = 1500"));
    let mut daemon = home.start();
    daemon.until_two_sided();
    // Silence on every request from now on: nothing can be verified.
    venue.fault(r#"{"kind":"latency_ms","add":60000,"for_ms":60000}"#);
    daemon.until("the fault to bite", |status| status["driver"]["open_requests"] != 0);
    let (code, said) = daemon.stop();
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("may be left"), "{said}");
}
