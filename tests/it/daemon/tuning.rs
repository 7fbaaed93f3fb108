//! Settings that change under a running daemon.

use serde_json::Value;

use super::rig::{Daemon, Home, Venue, ask, edit, evenkeel};

/// Write another configuration in the place of the daemon's.
fn rewrite(home: &Home, from: &str, to: &str) {
    let text = std::fs::read_to_string(&home.config).unwrap();
    std::fs::write(&home.config, edit(&text, from, to)).unwrap();
}

fn half_spread(status: &Value) -> Option<f64> {
    status["instruments"][0]["quote"]["half_spread_bps"].as_f64()
}

fn reload(home: &Home, more: &[&str]) -> (i32, String, String) {
    home.command(&[&["reload"], more].concat())
}

fn reloads(daemon: &mut Daemon, count: u64) -> Value {
    daemon.until("the engine to have taken the settings", |status| status["reloads"] == count)
}

#[test]
fn settings_change_while_quoting_and_the_journal_keeps_them() {
    let venue = Venue::lively(21);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    let before = daemon.until_two_sided();
    assert_eq!(before["reloads"], 0);
    assert!(half_spread(&before).unwrap() < 6.0, "{before:#}");
    let (code, said, _) = reload(&home, &[]);
    assert_eq!((code, said.as_str()), (0, "nothing has changed\n"));

    // A knob and a limit apply at once, together, and say what they were.
    rewrite(&home, "\nmin_half_spread_bps = 0.8", "\nmin_half_spread_bps = 7");
    rewrite(&home, "max_open_orders = 10", "max_open_orders = 12");
    rewrite(&home, "order_id_prefix = \"ek\"", "order_id_prefix = \"ok\"");
    let (code, said, _) = reload(&home, &["--json"]);
    assert_eq!(code, 0, "{said}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    let keys = |what: &str| -> Vec<String> {
        let changes = answer[what].as_array().unwrap();
        changes.iter().map(|change| change["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("applied"), ["instruments[0].max_open_orders", "quoting.min_half_spread_bps"]);
    assert_eq!(keys("needs_restart"), ["environment.order_id_prefix"]);
    reloads(&mut daemon, 1);
    daemon.until("quotes at the other half-spread", |status| {
        half_spread(status).is_some_and(|half| half >= 7.0)
    });
    daemon.until_said("quoting.min_half_spread_bps 0.8 -> 7");

    // A hang-up reads the file too, and levels of modules change with it.
    rewrite(&home, "[log]", "[log]\nmodules = [\"note=debug\"]");
    daemon.signal("HUP");
    reloads(&mut daemon, 2);
    daemon.until_said("\"event\":\"order_sent\"");
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");

    // The journal has what was before and after, and what a replay needs.
    let journal = home.state().join("journal");
    let (code, dumped, _) = evenkeel(&["journal", "dump", "--json", journal.to_str().unwrap()]);
    assert_eq!(code, 0);
    let line = dumped.lines().find(|line| line.contains("\"reload\"")).unwrap();
    assert!(line.contains("quoting.min_half_spread_bps") && line.contains("tunables"), "{line}");
}

#[test]
fn a_wrong_file_or_a_big_raise_changes_nothing() {
    let venue = Venue::lively(22);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    daemon.until_two_sided();
    rewrite(&home, "max_open_orders = 10", "max_open_orders = 11\nmax_open_order = 12");
    let (code, _, complaint) = reload(&home, &[]);
    assert_eq!(code, 2, "whoever asks reads the file as well");
    assert!(complaint.contains("did you mean `max_open_orders`"), "{complaint}");
    daemon.signal("HUP");
    daemon.until_said("refused as a whole, nothing was changed");
    daemon.until_said("did you mean `max_open_orders`");

    // A limit that grows a lot wants a second word, and takes nothing else with it before that.
    rewrite(&home, "max_open_orders = 11\nmax_open_order = 12", "max_open_orders = 40");
    rewrite(&home, "size_skew = 0.5", "size_skew = 0.6");
    let (code, _, complaint) = reload(&home, &[]);
    assert_eq!(code, 1);
    assert!(complaint.contains("instruments[0].max_open_orders 10 -> 40"), "{complaint}");
    assert!(complaint.contains("--confirm"), "{complaint}");
    // A hang-up confirms nothing either.
    daemon.signal("HUP");
    daemon.until_said("10 -> 40 raised by more than a factor of 2");
    assert_eq!(daemon.status().unwrap()["reloads"], 0);
    let (code, said, _) = reload(&home, &["--confirm"]);
    assert_eq!(code, 0);
    assert!(said.contains("quoting.size_skew 0.5 -> 0.6"), "{said}");
    reloads(&mut daemon, 1);
    assert_eq!(daemon.stop().0, 0);
}

/// `POST /control/reload` with these headers and this body: code and answer.
fn post(home: &Home, headers: &str, body: &str) -> (u16, Value) {
    let address = home.address().unwrap();
    let length = body.len();
    let request = format!(
        "POST /control/reload HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let (code, text) = ask(address, &request).unwrap();
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[test]
fn over_http_each_key_is_answered_for_and_a_file_is_taken_whole_or_not() {
    let venue = Venue::lively(23);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let bearer = format!("Authorization: Bearer {}\r\n", home.token());
    let change = |key: &str, before: &str, after: &str| serde_json::json!([{ "key": key, "before": before, "after": after }]);
    rewrite(&home, "size_skew = 0.5", "size_skew = 0.6");
    assert_eq!(post(&home, "", "").0, 401, "nobody");
    assert_eq!(post(&home, "Authorization: Bearer wrong\r\n", "").0, 401, "somebody else");
    assert_eq!(post(&home, &format!("{bearer}Origin: http://evil.example\r\n"), "").0, 403);
    assert_eq!(post(&home, &bearer, r#"{"confirmed":true}"#).0, 400, "a body that says nothing");
    assert_eq!(daemon.status().unwrap()["reloads"], 0);

    // What applies and what waits, each with what it was and is.
    rewrite(&home, "order_id_prefix = \"ek\"", "order_id_prefix = \"ok\"");
    let (code, answer) = post(&home, &bearer, "");
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["applied"], change("quoting.size_skew", "0.5", "0.6"));
    assert_eq!(answer["needs_restart"], change("environment.order_id_prefix", "ek", "ok"));
    reloads(&mut daemon, 1);

    // One mistake: nothing of the file, and where and what it is.
    rewrite(&home, "size_skew = 0.6", "size_skew = 0.7\nsize_skw = 1");
    let (code, answer) = post(&home, &bearer, "");
    assert_eq!(code, 422);
    let why = answer["error"].as_str().unwrap();
    assert!(why.contains("nothing was changed") && why.contains("`size_skew`"), "{why}");

    // A limit that grows too much: nothing of the file, until it is said to be meant.
    rewrite(&home, "\nsize_skw = 1", "");
    rewrite(&home, "max_open_orders = 10", "max_open_orders = 40");
    let (code, answer) = post(&home, &bearer, r#"{"confirm":false}"#);
    assert_eq!(code, 422);
    let why = answer["error"].as_str().unwrap();
    assert!(why.contains("instruments[0].max_open_orders 10 -> 40"), "{why}");
    assert_eq!(daemon.status().unwrap()["reloads"], 1, "not even the key beside it");
    let (code, answer) = post(&home, &bearer, r#"{"confirm":true}"#);
    assert_eq!(code, 200, "{answer}");
    let raised = change("instruments[0].max_open_orders", "10", "40");
    assert_eq!(answer["needs_confirm"], raised);
    assert_eq!(answer["applied"].as_array().unwrap().len(), 2, "{answer}");
    reloads(&mut daemon, 2);
    assert_eq!(daemon.stop().0, 0);

    // Both changes are in the journal, with before and after.
    let journal = home.state().join("journal");
    let (_, dumped, _) = evenkeel(&["journal", "dump", "--json", journal.to_str().unwrap()]);
    let kept: Vec<&str> = dumped.lines().filter(|line| line.contains("\"reload\"")).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    for (line, wanted) in kept.iter().zip([("0.5", "0.6"), ("10", "40")]) {
        let (before, after) = (format!("\"before\":\"{}\"", wanted.0), format!("\"{}\"", wanted.1));
        assert!(line.contains(&before) && line.contains(&after), "{line}");
    }
}
