//! Bad input of every kind: a message that names the place and what is allowed, no panic, and no
//! order sent.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::middleman::{Hooks, before};
use super::rig::{Home, Venue, agree, edit, money};

fn same(text: &str) -> String {
    text.to_owned()
}

/// Runs a daemon that must refuse to trade: its exit code and all it said.
fn refused(venue: &Venue, home: &Home) -> (i32, String) {
    let (code, said) = home.start().end();
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(venue.truth().order_requests(), 0, "an order was sent\n{said}");
    (code, said)
}

fn must_say(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "does not say {word:?}:\n{said}");
    }
}

// ---- the configuration ----

#[test]
fn settings_that_cannot_be_meant_are_named_with_what_is_allowed() {
    let venue = Venue::lively(40);
    let cases: [(&str, &str, &[&str]); 6] = [
        ("[hedge]", "[hedge]\ntriger_base = 1", &["triger_base", "trigger_base"]),
        ("max_skew_bps = 10", "max_skew_bps = -3", &["max_skew_bps", "-3", "allowed"]),
        ("max_spread_bps = 30", "max_spread_bps = nan", &["max_spread_bps"]),
        ("size_base = 0.002", "size_base = \"plenty\"", &["size_base"]),
        ("role = \"hedge\"", "role = \"hope\"", &["role", "hope", "hedge", "quote"]),
        ("deadline_ms = 10000", "deadline_ms = 1e99", &["deadline_ms"]),
    ];
    for (from, to, words) in cases {
        let home = Home::new(&venue, |text| edit(text, from, to));
        let (code, said) = refused(&venue, &home);
        assert_eq!(code, 2, "{to}: {said}");
        must_say(&said, words);
        let line = std::fs::read_to_string(&home.config).unwrap();
        let line = line.lines().position(|l| l.contains(to.lines().last().unwrap())).unwrap() + 1;
        must_say(&said, &[&format!("{}:{line}", home.config.display())]);
        let (code, out, err) = home.command(&["check"]);
        assert_eq!(code, 2, "check must see it too: {out}{err}");
    }
}

#[test]
fn a_file_that_is_no_toml_or_is_not_there_is_told_so() {
    let venue = Venue::lively(41);
    let home = Home::new(&venue, |_| "[venues\nname = ".to_owned());
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 2, "{said}");
    must_say(&said, &[&home.config.display().to_string()]);
    std::fs::remove_file(&home.config).unwrap();
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 2, "{said}");
    must_say(&said, &[&home.config.display().to_string(), "o such file"]);
}

fn with_key_files(text: &str, key: &std::path::Path, secret: &std::path::Path) -> String {
    let toy = "source = \"toy\"\nkey = \"toy-key-of-the-local-exchange\"\nsecret = \
               \"toy-secret-of-the-local-exchange\"";
    let text =
        text.replace(" # the toy account of config/exchange.toml; it opens nothing else", "");
    let files = format!(
        "source = \"file\"\nkey = \"{}\"\nsecret = \"{}\"",
        key.display(),
        secret.display()
    );
    edit(&text, toy, &files)
}

#[test]
fn key_files_must_be_there_and_private() {
    let venue = Venue::lively(42);
    let keys = tempfile::tempdir().unwrap();
    let (key, secret) = (keys.path().join("key"), keys.path().join("secret"));
    let home = Home::new(&venue, |text| with_key_files(text, &key, &secret));
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 3, "{said}");
    must_say(&said, &[&key.display().to_string(), &secret.display().to_string()]);

    for (file, words) in [(&key, super::rig::KEY), (&secret, super::rig::SECRET)] {
        std::fs::write(file, words).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 3, "{said}");
    must_say(&said, &[&key.display().to_string(), "600"]);

    for file in [&key, &secret] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut daemon = home.start();
    daemon.until_two_sided();
    assert_eq!(daemon.stop().0, 0, "the same files, private, are taken");
}

// ---- the state directory ----

#[test]
fn a_state_directory_of_another_version_or_account_is_refused_with_words() {
    let venue = Venue::lively(51);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    assert_eq!(daemon.stop().0, 0);
    let before = venue.truth().order_requests();
    let owner = home.state().join("owner.json");
    let ours = std::fs::read_to_string(&owner).unwrap();
    let account = serde_json::from_str::<serde_json::Value>(&ours).unwrap()["account"].clone();
    let cases = [
        (ours.replace("\"schema\":1", "\"schema\":2"), "schema 2"),
        (ours.replace(account.as_str().unwrap(), "demo-of-somebody-else"), "somebody-else"),
        ("{".to_owned(), "damaged"),
    ];
    for (text, words) in cases {
        assert_ne!(text, ours);
        std::fs::write(&owner, text).unwrap();
        let (code, said) = home.start().end();
        assert_eq!(code, 2, "{said}");
        must_say(&said, &[words, &home.state().display().to_string()]);
    }
    std::fs::write(&owner, &ours).unwrap();
    // A ledger that cannot be read may hold a loss: nothing starts before somebody has looked.
    std::fs::write(home.state().join("ledger.json"), "{\"since\":").unwrap();
    let (code, said) = home.start().end();
    assert_eq!(code, 2, "{said}");
    must_say(&said, &["ledger.json", "damaged", "remove it"]);
    assert_eq!(venue.truth().order_requests(), before, "an order was sent");
}

// ---- keys that the venue refuses ----

#[test]
fn a_wrong_secret_is_told_in_words() {
    let venue = Venue::lively(43);
    let home = Home::new(&venue, |text| edit(text, super::rig::SECRET, "another-secret"));
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 3, "{said}");
    must_say(&said, &["-1022", "ignature", "spot"]);
    assert!(!said.contains("another-secret"), "the secret is shown\n{said}");
    // A panic that cancels nothing must say why.
    let (code, out, err) = home.command(&["panic"]);
    assert_ne!(code, 0, "{out}{err}");
    must_say(&err, &["-1022", "spot"]);
}

#[test]
fn a_wrong_key_is_told_in_words() {
    let venue = Venue::lively(44);
    let home = Home::new(&venue, |text| edit(text, super::rig::KEY, "another-key"));
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 3, "{said}");
    must_say(&said, &["-2015", "spot"]);
    assert!(!said.contains("another-key"), "the key is shown\n{said}");
}

// ---- what the venue has not ----

#[test]
fn a_symbol_that_is_not_listed_is_named_with_its_venue() {
    let venue = Venue::lively(45);
    let home =
        Home::new(&venue, |text| text.replacen("symbol = \"BTCUSDT\"", "symbol = \"BTCUSDX\"", 1));
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 2, "{said}");
    must_say(&said, &["BTCUSDX", "spot"]);
}

#[test]
fn filters_that_forbid_the_size_leave_it_unsent_and_say_so() {
    let venue = Venue::start(46, |listed| listed.min_notional = money("10000"));
    let home = Home::new(&venue, same);
    let (code, out, err) = home.command(&["check", "--online"]);
    assert_eq!(code, 2, "{out}{err}");
    must_say(&err, &["spot:BTCUSDT", "quoting.levels[0]", "10000 quote"]);
    let mut daemon = home.start();
    daemon.until("a named reason", |status| {
        ["bid", "ask"]
            .iter()
            .all(|side| status["instruments"][0][side]["reason"] == "below_minimum")
    });
    assert_eq!(venue.truth().order_requests(), 0);
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    must_say(&said, &["below_minimum"]);
    assert_eq!(venue.truth().order_requests(), 0, "{said}");
}

// ---- the clock ----

#[test]
fn a_clock_five_seconds_off_is_refused_with_both_numbers() {
    let venue = Venue::lively(47);
    let [spot, usdm] = venue.addresses();
    let hooks = Hooks {
        reply: |path, _, body| {
            if path.ends_with("/time") {
                let digits: String = body.chars().filter(char::is_ascii_digit).collect();
                let shifted = digits.parse::<i64>().unwrap() + 5_000;
                *body = format!(r#"{{"serverTime":{shifted}}}"#);
            }
        },
        ..Hooks::default()
    };
    let home = Home::at(&[before(&spot, hooks), usdm], same);
    let (code, said) = refused(&venue, &home);
    assert_eq!(code, 2, "{said}");
    must_say(&said, &["clock", "1000 ms", "spot"]);
    assert!(said.contains("500") || said.contains("499"), "by how much: {said}");
    must_say(&said, &["behind"]);
}

// ---- frames and replies ----

#[test]
fn web_pages_from_the_first_reply_on_are_told_and_nothing_is_sent() {
    let venue = Venue::lively(48);
    let [spot, usdm] = venue.addresses();
    let hooks = Hooks {
        reply: |_, status, body| {
            *status = 200;
            "<html><body>Just a moment...</body></html>".clone_into(body);
        },
        ..Hooks::default()
    };
    let home = Home::at(&[before(&spot, hooks), usdm], same);
    let mut daemon = home.start();
    daemon
        .until("it to be told", |status| status["session"]["counts"]["garbled"].as_u64() > Some(1));
    let (code, said) = daemon.stop();
    assert!([0, 5].contains(&code), "{said}");
    must_say(&said, &["<html>", "spot"]);
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(venue.truth().order_requests(), 0, "{said}");
}

/// Every sixtieth frame comes after something that no venue should send.
fn rubbish(text: String) -> Vec<String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let half: String = text.chars().take(text.len() / 2).collect();
    let many_digits = text.replacen(".", ".00000000000000000000000000000000000000001", 1);
    let huge = text.replacen(":[[\"", ":[[\"99999999999999999999999999999999", 1);
    let all = [
        half,
        many_digits,
        huge,
        "{".to_owned(),
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        "<html>502 Bad Gateway</html>".to_owned(),
        r#"{"e":"somethingNew","E":1,"s":"BTCUSDT"}"#.to_owned(),
        r#"{"stream":"btcusdt@depth","data":{"e":"depthUpdate","U":"x"}}"#.to_owned(),
        format!("{}1{}", "[".repeat(500), "]".repeat(500)),
        "\u{0}\u{1b}[31m\u{fffd}".to_owned(),
    ];
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    if count.is_multiple_of(60) {
        let index = usize::try_from(count / 60).unwrap() % all.len();
        vec![all[index].clone(), text]
    } else {
        vec![text]
    }
}

#[test]
fn rubbish_between_frames_is_told_and_traded_through() {
    let venue = Venue::lively(49);
    let addresses = venue
        .addresses()
        .map(|address| before(&address, Hooks { frame: rubbish, ..Hooks::default() }));
    let home = Home::at(&addresses, same);
    let mut daemon = home.start();
    let status = daemon.until("trading all the same", |status| {
        status["session"]["counts"]["garbled"].as_u64() > Some(10)
            && status["session"]["maker_fills"].as_u64() > Some(0)
    });
    assert_ne!(status["state"], "HALTED", "{status:#}");
    let truth = venue.truth();
    assert!((truth.spot("BTC") - money("1")).abs() <= money("0.02"), "{:#}", truth.0);
    agree(&daemon, &venue);
    let (code, said) = daemon.stop();
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains('\u{1b}'), "control characters of the venue reach the log");
    assert_eq!(code, 0, "{said}");
    assert!(venue.truth().is_flat(), "{:#}", venue.truth().0);
}

/// Every eighth reply is cut, replaced, or given numbers that no one can mean.
fn damage(_: &str, status: &mut u16, body: &mut String) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The way up is another test's.
    if count < 40 || !count.is_multiple_of(8) {
        return;
    }
    match count / 8 % 6 {
        0 => body.truncate(body.len() / 2),
        1 => "<html>".clone_into(body),
        2 => *body = body.replace("\":\"", "\":\"99999999999999999999999999999999999999"),
        3 => *body = body.replace("orderId\":", "orderId\":-"),
        4 => {
            *status = 500;
            body.clear();
        }
        _ => "{\"code\":-9999999999999999999999,\"msg\":7}".clone_into(body),
    }
}

#[test]
fn damaged_replies_are_no_answers_and_nothing_is_lost() {
    let venue = Venue::lively(50);
    let addresses = venue
        .addresses()
        .map(|address| before(&address, Hooks { reply: damage, ..Hooks::default() }));
    let home = Home::at(&addresses, |text| {
        edit(text, "reconcile_interval_ms = 10000", "reconcile_interval_ms = 1000")
    });
    let mut daemon = home.start();
    daemon.until("trading all the same", |status| {
        status["session"]["counts"]["orders_sent"].as_u64() > Some(40)
            && status["session"]["maker_fills"].as_u64() > Some(2)
    });
    let truth = venue.truth();
    assert!((truth.spot("BTC") - money("1")).abs() <= money("0.02"), "{:#}", truth.0);
    agree(&daemon, &venue);
    let (code, said) = daemon.stop();
    assert!(!said.contains("panicked"), "{said}");
    // With one reply in eight damaged the end may not be verified in time; then it must say so.
    let flat = venue.truth().is_flat();
    assert!(code == 0 && flat || code == 5 && said.contains("may be left"), "{code}: {said}");
}
