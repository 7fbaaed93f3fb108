//! What the key may do is known before the first order, and a key that moves money is refused.

use evenkeel::sim::faces::KeyRights;

use super::rig::{Home, Venue};

fn same(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_key_that_can_move_money_out_is_refused_before_any_order() {
    let venue = Venue::lively(70);
    let none = KeyRights { ip_restricted: true, ..KeyRights::default() };
    for (rights, word) in [
        (KeyRights { withdrawals: true, ..none }, "withdrawals"),
        (KeyRights { internal_transfers: true, ..none }, "internal transfers"),
        (KeyRights { universal_transfers: true, ..none }, "universal transfers"),
    ] {
        venue.permit(&rights);
        let home = Home::new(&venue, same);
        let (code, said) = home.start().end();
        assert_eq!(code, 3, "{word}: {said}");
        assert!(said.contains(word) && said.contains("spot"), "{word}: {said}");
        let (code, out, err) = home.command(&["check", "--online"]);
        assert_eq!(code, 3, "check must see it too: {out}{err}");
        assert!(err.contains(word), "{out}{err}");
    }
    assert_eq!(venue.truth().order_requests(), 0);
}

#[test]
fn what_is_known_of_a_key_is_said() {
    let venue = Venue::lively(71);
    let checked = |want: &str, words: &str| {
        let home = Home::new(&venue, same);
        let (code, out, err) = home.command(&["check", "--online"]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains(want), "{out}");
        let mut daemon = home.start();
        let status = daemon.until_two_sided();
        assert_eq!(status["venues"][0]["key_check"], want);
        assert_eq!(status["venues"][1]["key_check"], "unverifiable", "USD-M does not tell");
        let (code, said) = daemon.stop();
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("key_checked") && said.contains(words), "{said}");
    };
    checked("unverifiable", "no apiRestrictions");
    venue.permit(&KeyRights::default());
    checked("not_ip_restricted", "any address");
    venue.permit(&KeyRights { ip_restricted: true, ..KeyRights::default() });
    checked("sound", "named addresses only");
}

#[test]
fn nothing_is_quoted_while_the_venue_does_not_say_what_the_key_may_do() {
    use super::middleman::{Hooks, before};
    let venue = Venue::lively(72);
    let [spot, usdm] = venue.addresses();
    let hooks = Hooks {
        reply: |path, status, body| {
            if path.contains("apiRestrictions") {
                *status = 503;
                "{}".clone_into(body);
            }
        },
        ..Hooks::default()
    };
    let home = Home::at(&[before(&spot, hooks), usdm], same);
    let mut daemon = home.start();
    daemon.until_said("permissions of the key");
    daemon.until("several attempts", |status| {
        status["session"]["counts"]["garbled"].as_u64() > Some(1)
    });
    assert_eq!(daemon.status().unwrap()["state"], "STARTING");
    let (_, said) = daemon.stop();
    assert_eq!(venue.truth().order_requests(), 0, "{said}");
}
