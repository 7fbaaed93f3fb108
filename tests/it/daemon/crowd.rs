//! The endpoints against everybody who means no good or reads slowly, while the daemon trades.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::rig::{Daemon, Home, PATIENCE, Venue, ask, evenkeel, get, until};

fn orders_sent(status: &Value) -> u64 {
    status["session"]["counts"]["orders_sent"].as_u64().unwrap()
}

/// A dashboard that has asked for its stream and read the head of the answer.
fn watcher(address: SocketAddr) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("GET /stream?instrument=spot%3ABTCUSDT HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    (String::from_utf8_lossy(&head[9..]).parse().unwrap(), stream)
}

fn post(address: SocketAddr, path: &str, token: &str) -> u16 {
    let head = format!("POST /control/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let request = format!("{head}Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    ask(address, &request).unwrap().0
}

fn quotes_on(daemon: &mut Daemon) {
    let before = orders_sent(&daemon.status().unwrap());
    daemon.until("more orders", |status| orders_sent(status) > before + 3);
}

#[test]
fn a_thousand_idle_connections_and_slow_readers_hold_up_nobody() {
    let venue = Venue::lively(70);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let address = home.address().unwrap();

    // Eight dashboards that never read are let in; one more is told why it is not.
    let slow: Vec<TcpStream> = (0..8)
        .map(|_| watcher(address))
        .map(|(code, stream)| {
            assert_eq!(code, 200);
            stream
        })
        .collect();
    let (code, body) = get(address, "/stream").unwrap();
    assert_eq!(code, 503, "{body}");
    assert!(body.contains("8 dashboards"), "{body}");

    // Idle connections, in rounds so that this process needs few files.
    for _ in 0..10 {
        let idle: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
        let (code, _) = get(address, "/healthz").unwrap();
        assert_eq!(code, 200, "the operator gets a seat although all are taken");
        drop(idle);
    }
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    quotes_on(&mut daemon);
    assert_eq!(post(address, "pause", "wrong"), 401);
    assert_eq!(post(address, "pause", &home.token()), 202);
    daemon.until("paused", |status| status["paused"] == true);
    assert_eq!(post(address, "resume", &home.token()), 202);
    daemon.until_two_sided();
    let files = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(files < 150, "{files} open files");

    drop((slow, idle));
    until("a seat for a dashboard that reads", PATIENCE, || {
        (watcher(address).0 == 200).then_some(())
    });
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn oversized_and_foreign_requests_are_refused_in_words() {
    let venue = Venue::lively(71);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let address = home.address().unwrap();
    let stream = |headers: &str| {
        let head = format!("GET /stream HTTP/1.1\r\nConnection: close\r\n{headers}\r\n\r\n");
        ask(address, &head).map(|(code, _)| code)
    };
    assert_eq!(stream("Host: evil.example"), Some(403));
    assert_eq!(stream("Host: localhost\r\nOrigin: http://evil.example"), Some(403));
    let many: String = (0..300).map(|k| format!("X-{k}: y\r\n")).collect();
    assert_eq!(stream(&format!("Host: localhost\r\n{many}")), Some(431));
    // A head without end is cut off, by an answer or by the connection.
    let mut endless = TcpStream::connect(address).unwrap();
    let chunk = [b'a'; 65_536];
    endless.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
    assert!((0..1000).any(|_| endless.write_all(&chunk).is_err()), "64 MB of a head were read");
    let points = until("a history", PATIENCE, || {
        let (code, body) = get(address, "/history?instrument=spot:BTCUSDT")?;
        assert_eq!(code, 200);
        let history: Value = serde_json::from_str(&body).unwrap();
        Some(history["points"].as_array().unwrap().clone()).filter(|points| !points.is_empty())
    });
    assert_eq!(points[0][1].as_array().unwrap().len(), 6, "{points:?}");
    quotes_on(&mut daemon);
}

#[test]
fn a_stream_tells_books_status_and_fills() {
    let venue = Venue::lively(72);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    daemon.until("a fill", |status| status["session"]["maker_fills"].as_u64().unwrap() > 0);
    let (code, stream) = watcher(home.address().unwrap());
    assert_eq!(code, 200);
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    let mut next = |name: &str| -> Value {
        let wanted = format!("event: {name}");
        assert!(lines.any(|line| line == wanted));
        let data = lines.next().unwrap();
        serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
    };
    let status = next("status");
    assert!(status["instruments"][0]["inventory_limit_base"].is_string());
    // The first push may come before the trading thread knows that somebody watches.
    let book = next("book");
    assert_eq!(book["instrument"], "spot:BTCUSDT");
    assert_eq!(book["bids"].as_array().unwrap().len(), 10);
    let (_, stream) = watcher(home.address().unwrap());
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    assert!(lines.any(|line| line == "event: story"));
    let tales: Value =
        serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    let fill = tales.as_array().unwrap().iter().find(|tale| tale["event"] == "filled").unwrap();
    assert!(fill["fields"]["price"].is_string(), "{fill}");
}

#[test]
fn the_terminal_watches_line_by_line_where_it_is_none() {
    let venue = Venue::lively(73);
    let home = Home::new(&venue, str::to_owned);
    let mut daemon = home.start();
    daemon.until_two_sided();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["status", "--watch", "--config"])
        .arg(&home.config)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut states = lines.filter(|line| line.starts_with("QUOTING") || line.contains('\u{1b}'));
    for _ in 0..2 {
        let line = states.next().unwrap();
        assert!(
            !line.contains('\u{1b}'),
            "no colours and no cursor where it is no terminal: {line}"
        );
    }
    let (code, said) = daemon.stop();
    assert_eq!(code, 0, "{said}");
    let ended = until("the watch ends with its daemon", PATIENCE, || watch.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
}

#[test]
fn shells_are_told_what_to_complete_and_help_teaches() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = evenkeel(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("evenkeel") && out.contains("flatten"), "{shell}: {out}");
    }
    for command in ["demo", "check", "status", "explain", "kill", "completions"] {
        let (code, out, _) = evenkeel(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(out.contains("Examples:\n  evenkeel "), "{command}: {out}");
    }
}
