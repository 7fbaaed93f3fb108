//! What the daemon shows: commands, endpoints, journal; and what it never shows.

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::middleman::{self, Hooks};
use super::rig::{Home, KEY, PATIENCE, SECRET, Venue, ask, edit, get};

fn same(text: &str) -> String {
    text.to_owned()
}

#[test]
fn every_question_has_a_table_for_people_and_json_for_machines() {
    let venue = Venue::lively(60);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until("a fill", |status| status["session"]["maker_fills"].as_u64() > Some(0));
    for (command, words) in [
        (
            "status",
            &[
                "QUOTING",
                "spot",
                "BTCUSDT",
                "usdm",
                "net",
                "capital",
                "stress",
                "result",
                "two_sided",
            ][..],
        ),
        ("orders", &["price", "BTCUSDT"][..]),
        ("positions", &["off_target", "limit", "BTCUSDT"][..]),
        (
            "ledger",
            &["fees", "volume", "result", "effective_bps", "bybit", "adverse", "hedges"][..],
        ),
    ] {
        // For a moment no quote may stand: both sides are pulled when flow turns against them.
        let text = super::rig::until(&format!("{words:?} in {command}"), PATIENCE, || {
            let (code, text, err) = home.command(&[command]);
            assert_eq!(code, 0, "{command}: {err}");
            words.iter().all(|word| text.contains(word)).then_some(text)
        });
        assert!(text.lines().all(|line| line.len() <= 160), "{command} is too wide:\n{text}");
        let (code, json, err) = home.command(&[command, "--json"]);
        assert_eq!(code, 0, "{command}: {err}");
        serde_json::from_str::<Value>(&json).unwrap_or_else(|e| panic!("{command}: {e}\n{json}"));
    }
    // The first fill may come before the first mark price, which carry needs.
    let status = daemon.until("capital at risk and carry", |status| {
        status["capital"]["at_risk_quote"].as_f64() > Some(0.0)
            && status["capital"]["holdings"][0]["delta_quote"].is_number()
            && status["instruments"][1]["carry"]["basis_bps"].is_number()
    });
    let capital = &status["capital"];
    assert_eq!(capital["limit_quote"], 40.0, "{capital:#}");
    assert!(capital["stress"]["thin_exit_cost_quote"].is_number(), "{capital:#}");
    let (_, metrics) = get(home.address().unwrap(), "/metrics").unwrap();
    for name in [
        "evenkeel_capital_at_risk_quote",
        "evenkeel_profit_part_quote{instrument=\"spot:BTCUSDT\",part=\"spread_capture\"}",
        "evenkeel_presence_ratio{instrument=\"spot:BTCUSDT\",kind=\"two_sided\"}",
        "evenkeel_presence_score{instrument=\"spot:BTCUSDT\",programme=\"injective\"}",
        "evenkeel_markout_fills{instrument=\"spot:BTCUSDT\",side=\"bid\",horizon_ms=\"100\"}",
    ] {
        assert!(metrics.contains(name), "no {name}:\n{metrics}");
    }
    let (_, text, _) = home.command(&["status"]);
    assert!(text.lines().count() <= 25, "status is too long:\n{text}");
    assert_eq!(daemon.stop().0, 0);
    let (code, _, err) = home.command(&["status"]);
    assert_eq!(code, 1, "nobody is there: {err}");
}

#[test]
fn every_quote_can_be_explained_down_to_its_tick_and_lot() {
    let venue = Venue::lively(64);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let (code, json, err) = home.command(&["explain", "--json", "spot:BTCUSDT"]);
    assert_eq!(code, 0, "{err}");
    let all: Value = serde_json::from_str(&json).unwrap();
    let own = &all["instruments"][0];
    assert_eq!((&own["venue"], &own["symbol"]), (&"spot".into(), &"BTCUSDT".into()), "{json}");
    let steps = own["steps"].as_array().unwrap();
    for what in ["fair price", "volatility σ", "inventory from target", "reservation price"] {
        assert!(steps.iter().any(|step| step["what"] == what), "no {what:?}:\n{json}");
    }
    for (side, word) in [("bid", "buy"), ("ask", "sell")] {
        for (index, wanted) in own[side]["wanted"].as_array().unwrap().iter().enumerate() {
            for (part, key) in [("price", "price"), ("size", "quantity")] {
                let of = |step: &&Value| {
                    step["part"] == part && step["side"] == word && step["level"] == index + 1
                };
                let last = steps.iter().rfind(of).unwrap()["value"].as_f64().unwrap();
                let wanted: f64 = wanted[key].as_str().unwrap().parse().unwrap();
                assert!((last - wanted).abs() < 1e-9 * wanted, "{side} {part}: {json}");
            }
        }
    }
    for command in [&["explain"][..], &["status", "--explain"]] {
        let (code, text, err) = home.command(command);
        assert_eq!(code, 0, "{err}");
        for word in ["half spread", "skew", "bid 1 price", "ask 1 size", "working"] {
            assert!(text.contains(word), "{command:?} does not show {word:?}:\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 160), "too wide:\n{text}");
    }
    let (code, _, err) = home.command(&["explain", "ETHUSDT"]);
    assert!(code == 1 && err.contains("spot:BTCUSDT"), "{err}");
    assert_eq!(daemon.stop().0, 0);
}

#[test]
fn check_shows_settings_and_the_table_of_quotes() {
    let venue = Venue::lively(61);
    let home = Home::new(&venue, same);
    let (code, out, err) = home.command(&["check"]);
    assert_eq!(code, 0, "{err}");
    for word in [
        "quoting.max_skew_bps",
        "inventory_base",
        "half_bps",
        "skew_bps",
        "risk_quote",
        "0.02",
        "sound",
    ] {
        assert!(out.contains(word), "no {word:?}:\n{out}");
    }
    assert_eq!(venue.truth().0["requests"], 0, "check without --online asks nobody");
}

#[test]
fn only_the_owner_may_act_and_only_from_here() {
    let venue = Venue::lively(62);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let (address, token) = (home.address().unwrap(), home.token());
    let post = |host: &str, token: &str, more: &str| {
        let request = format!(
            "POST /control/kill HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        ask(address, &request).unwrap().0
    };
    let here = address.to_string();
    assert_eq!(post(&here, "wrong", ""), 401);
    assert_eq!(post("evil.example", &token, ""), 403);
    assert_eq!(post(&here, &token, "Origin: http://evil.example\r\n"), 403);
    let (code, body) = get(address, "/readyz").unwrap();
    assert_eq!((code, body.trim()), (200, "QUOTING"), "nothing was killed");
    assert_eq!(post(&here, &token, ""), 202);
    daemon.until_state("HALTED");
    assert_eq!(get(address, "/readyz").unwrap().0, 503);
    assert_eq!(get(address, "/healthz").unwrap().0, 200);
    assert_eq!(daemon.stop().0, 4);
}

#[test]
fn the_journal_tells_intents_and_news_one_object_a_line() {
    let venue = Venue::lively(63);
    let home = Home::new(&venue, same);
    let mut daemon = home.start();
    daemon.until("a fill", |status| status["session"]["maker_fills"].as_u64() > Some(0));
    assert_eq!(daemon.stop().0, 0);
    let dir = home.state().join("journal").display().to_string();
    let (code, out, err) = super::rig::evenkeel(&["journal", "dump", "--json", &dir]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |part: &str, kind: &str| {
        lines.iter().any(|line| {
            line[part].as_array().is_some_and(|all| all.iter().any(|one| one.get(kind).is_some()))
        })
    };
    for (part, kind) in [
        ("actions", "place"),
        ("actions", "cancel"),
        ("inbox", "book"),
        ("inbox", "order"),
        ("inbox", "fill"),
    ] {
        assert!(has(part, kind), "no {kind} among {part} in {} lines", lines.len());
    }
    assert!(err.is_empty(), "a clean journal has nothing to complain of: {err}");
}

/// What the venue was shown and nobody else may see: signatures and listen keys.
static SECRETS_ON_THE_WIRE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The text behind each `name`, up to what cannot be part of a secret.
fn behind(text: &str, name: &str) -> Vec<String> {
    let part = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    text.split(name).skip(1).map(part).collect()
}

/// The last request, for a venue that answers with an echo of it while this is set.
static ECHO: Mutex<(bool, String)> = Mutex::new((false, String::new()));

fn overhear_request(text: &str) {
    text.clone_into(&mut ECHO.lock().unwrap().1);
    let mut heard = SECRETS_ON_THE_WIRE.lock().unwrap();
    heard.extend(behind(text, "signature="));
    heard.extend(behind(text, "\"signature\":\""));
}

#[allow(clippy::ptr_arg, reason = "the shape of a middleman's hook")]
fn overhear_reply(path: &str, status: &mut u16, body: &mut String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let echo = ECHO.lock().unwrap().clone();
    if echo.0 && !path.ends_with("/time") {
        // As proxies, filters and the venue itself refuse a request: with its own words.
        (*status, *body) = match COUNT.fetch_add(1, Ordering::Relaxed) % 8 {
            0 => (502, format!("<html>no gateway for {}</html>", echo.1)),
            2 => (200, format!("<html>blocked: {}</html>", echo.1)),
            4 => (400, format!(r#"{{"code":-1102,"msg":"bad: {}"}}"#, echo.1)),
            6 => (200, format!(r#"{{"asked":"{}"}}"#, echo.1)),
            _ => (*status, std::mem::take(body)),
        };
    }
    let mut heard = SECRETS_ON_THE_WIRE.lock().unwrap();
    heard.extend(behind(body, "\"listenKey\":\""));
}

#[test]
fn no_secret_is_ever_shown() {
    let venue = Venue::lively(64);
    let overheard = venue.addresses().map(|address| {
        let hooks = Hooks { request: overhear_request, reply: overhear_reply, ..Hooks::default() };
        middleman::before(&address, hooks)
    });
    // A receiver of alerts that has gone: an address that cannot be reached is easily told.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hook = format!("http://{gone}/bot-CANARY-HOOK/send?token=CANARY-QUERY");
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("hook");
    std::fs::write(&file, &hook).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.display();
    let alerts = format!("\n[alerts]\nform = \"json\"\nsource = \"file\"\nurl = \"{file}\"\n");
    let home =
        Home::at(&overheard, |text| edit(text, "level = \"info\"", "level = \"trace\"") + &alerts);
    let mut daemon = home.start_with(&[("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")]);
    daemon.until("a fill", |status| status["session"]["maker_fills"].as_u64() > Some(0));
    // Errors are where secrets leak.
    for kind in ["http_timeout", "html_reply", "http_503_unknown_after_accept", "close_links"] {
        venue.fault(&format!(r#"{{"kind":"{kind}","for_ms":300}}"#));
    }
    daemon.until("the cut to be noticed", |status| {
        status["driver"]["links"].as_array().unwrap().iter().any(|link| link["closes"] != 0)
    });
    daemon.until_two_sided();
    let garbled = |status: &Value| status["session"]["counts"]["garbled"].as_u64().unwrap();
    let before = garbled(&daemon.status().unwrap());
    ECHO.lock().unwrap().0 = true;
    daemon.until("echoes", |status| {
        let unknown = status["orders"].as_array().unwrap();
        garbled(status) > before && unknown.iter().any(|order| order["state"] == "unknown")
    });
    ECHO.lock().unwrap().0 = false;
    daemon.until_two_sided();
    let address = home.address().unwrap();
    let token = home.token();
    let mut shown: Vec<(&str, String)> = ["/status", "/metrics", "/", "/healthz", "/nothing"]
        .into_iter()
        .map(|path| (path, get(address, path).unwrap().1))
        .collect();
    for command in [&["status"][..], &["check"], &["check", "--online"], &["ledger"], &["kill"]] {
        let (_, out, err) = home.command(command);
        shown.push(("a command", out + &err));
    }
    daemon.until_state("HALTED");
    daemon.until_said("alerts_lost");
    let (_, said) = daemon.stop();
    shown.push(("the log", said));
    // A fresh process, and one that is told the wrong secret.
    let (_, out, err) = home.command(&["panic"]);
    shown.push(("panic", out + &err));
    venue.fault(r#"{"kind":"html_reply","for_ms":2000}"#);
    let (_, out, err) = home.command(&["check", "--online"]);
    shown.push(("check --online", out + &err));
    for file in files(&home.state()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name != "control.token" {
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            shown.push(("the state directory", text));
        }
    }
    let heard = SECRETS_ON_THE_WIRE.lock().unwrap();
    assert!(heard.len() > 50 && heard.iter().all(|text| text.len() >= 16), "{}", heard.len());
    for (place, text) in &shown {
        for (what, secret) in [("secret", SECRET), ("key", KEY), ("token", token.as_str())] {
            assert!(!text.contains(secret), "{place} shows the {what}");
        }
        assert!(!text.contains("CANARY"), "{place} shows the address of the webhook");
        let signed = ["signature=", "\"signature\":\""].map(|name| behind(text, name));
        assert!(signed.concat().iter().all(String::is_empty), "{place} shows a signed request");
        for heard in heard.iter() {
            assert!(!text.contains(heard), "{place} shows a signature or a listen key");
        }
    }
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
