//! Who is told from outside the daemon: the service manager and the operator's webhook.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::Value;

use super::rig::{Home, PATIENCE, Venue};

#[test]
fn the_service_manager_hears_ready_a_watchdog_and_stopping() {
    let venue = Venue::lively(31);
    let home = Home::new(&venue, str::to_owned);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let socket = path.display().to_string();
    let mut daemon = home.start_with(&[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", "400000")]);
    let first = hear();
    assert!(first.contains("READY=1") && first.contains("STATUS="), "{first}");
    let mut beats = 0;
    let quoting = std::iter::repeat_with(hear).find(|words| {
        beats += usize::from(words.contains("WATCHDOG=1"));
        words.contains("STATUS=QUOTING") || beats > 1000
    });
    assert!(quoting.unwrap().contains("STATUS=QUOTING"));
    for _ in 0..3 {
        assert!(std::iter::repeat_with(hear).any(|words| words.contains("WATCHDOG=1")));
    }
    // A process that stands still is not fed for.
    daemon.signal("STOP");
    manager.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut bytes = [0; 4096];
    while manager.recv(&mut bytes).is_ok() {}
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    daemon.signal("CONT");
    daemon.signal("TERM");
    assert!(std::iter::repeat_with(hear).any(|words| words.contains("STOPPING=1")));
    let (code, said) = daemon.end();
    assert_eq!(code, 0, "{said}");
}

/// One request to the listener, answered with 200: its body.
fn receive(listener: &TcpListener) -> Value {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_kill_wakes_the_operator_and_the_address_is_never_shown() {
    let venue = Venue::lively(32);
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/CANARY-HOOK", receiver.local_addr().unwrap());
    let alerts = "\n[alerts]\nform = \"json\"\nsource = \"env\"\nurl = \"EVENKEEL_TEST_HOOK\"\n";
    let home = Home::new(&venue, |text| format!("{text}{alerts}"));
    let (code, out, err) = home.command(&["check"]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("EVENKEEL_TEST_HOOK, which is not set"), "{out}{err}");
    let mut daemon = home.start_with(&[("EVENKEEL_TEST_HOOK", &url)]);
    daemon.until_two_sided();
    let (code, out, err) = home.command(&["kill"]);
    assert_eq!(code, 0, "{out}{err}");
    let body = receive(&receiver);
    assert_eq!(body["source"], "evenkeel", "{body:#}");
    let alert = &body["alerts"][0];
    assert_eq!((&alert["event"], &alert["level"]), (&"halted".into(), &"error".into()));
    let metrics = super::rig::get(home.address().unwrap(), "/metrics").unwrap().1;
    assert!(metrics.contains("evenkeel_alerts_sent_total"), "{metrics}");
    let (code, said) = daemon.stop();
    assert_eq!(code, 4, "{said}");
    assert!(!said.contains("CANARY"), "{said}");
}

#[test]
fn a_scraper_may_call_the_daemon_by_a_configured_name_and_by_no_other() {
    let venue = Venue::lively(33);
    let home = Home::new(&venue, |text| {
        super::rig::edit(text, "[http]\n", "[http]\nhosts = [\"evenkeel\", \"desk.example\"]\n")
    });
    let mut daemon = home.start();
    daemon.until_two_sided();
    let ask = |host: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        super::rig::ask(home.address().unwrap(), &request).unwrap()
    };
    assert_eq!(ask("other.example").0, 403);
    let (code, metrics) = ask("evenkeel:9464");
    assert_eq!(code, 200);
    for name in ["evenkeel_exposure_quote", "evenkeel_stream_usable", "evenkeel_quoting_sides 2"] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
}
