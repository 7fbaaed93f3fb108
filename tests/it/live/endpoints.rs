//! The HTTP endpoints: who may ask, who may act.

use super::*;

fn serving(token: Option<&str>) -> Run {
    let mut params = params();
    params.serve = Some(serve::Params {
        listen: "127.0.0.1:0".parse().unwrap(),
        token: token.map(SecretString::from),
        hosts: vec!["desk.example".to_owned()],
        page: None,
    });
    let run = start(params, |_, _| {});
    let until = clock::instant() + PATIENCE;
    while run.handle.snapshot().is_none() {
        assert!(clock::instant() < until, "no snapshot");
        std::thread::yield_now();
    }
    run
}

/// Status code and the whole reply.
fn ask(run: &Run, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(run.handle.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = request.replace('\n', "\r\n");
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let code = reply.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, reply)
}

#[test]
fn only_the_bearer_of_the_token_may_act() {
    let run = serving(Some("right"));
    let post = |path: &str, auth: &str| {
        ask(
            &run,
            &format!("POST /control/{path} HTTP/1.1\nHost: localhost\nContent-Length: 0{auth}"),
        )
    };
    assert_eq!(post("pause", "").0, 401);
    assert_eq!(post("pause", "\nAuthorization: Bearer wrong").0, 401);
    assert_eq!(post("pause", "\nAuthorization: Basic right").0, 401);
    assert_eq!(post("pause", "\nAuthorization: Bearer right").0, 202);
    assert_eq!(post("kill", "\nAuthorization: Bearer right").0, 202);
    assert_eq!(post("reload", "\nAuthorization: Bearer right").0, 501);
    assert_eq!(post("dance", "\nAuthorization: Bearer right").0, 404);
    let get = "GET /control/pause HTTP/1.1\nHost: localhost\nAuthorization: Bearer right";
    assert_eq!(ask(&run, get).0, 405);
    run.stop();
}

#[test]
fn without_a_token_nothing_acts() {
    let run = serving(None);
    let request = "POST /control/kill HTTP/1.1\nHost: localhost\nAuthorization: Bearer ";
    assert_eq!(ask(&run, request).0, 401);
    run.stop();
}

#[test]
fn foreign_hosts_and_origins_are_refused_even_with_the_token() {
    let run = serving(Some("right"));
    let get = |headers: &str| ask(&run, &format!("GET /status HTTP/1.1{headers}")).0;
    assert_eq!(get("\nHost: 127.0.0.1:8080"), 200);
    assert_eq!(get("\nHost: [::1]"), 200);
    assert_eq!(get("\nHost: desk.example"), 200);
    assert_eq!(get("\nHost: evil.example"), 403);
    assert_eq!(get("\nHost: localhost.evil.example"), 403);
    assert_eq!(get("\nHost: localhost\nOrigin: http://evil.example"), 403);
    assert_eq!(get("\nHost: localhost\nOrigin: null"), 403);
    assert_eq!(get("\nHost: localhost\nOrigin: http://localhost:9000"), 200);
    let post = |headers: &str| {
        let auth = "Authorization: Bearer right\nContent-Length: 0";
        ask(&run, &format!("POST /control/pause HTTP/1.1\n{auth}{headers}")).0
    };
    assert_eq!(post("\nHost: evil.example"), 403);
    assert_eq!(post("\nHost: localhost\nOrigin: https://evil.example"), 403);
    run.stop();
}

#[test]
fn kill_takes_flatten_and_nothing_else() {
    let run = serving(Some("right"));
    let kill = |body: &str| {
        let mut stream = TcpStream::connect(run.handle.address().unwrap()).unwrap();
        let length = body.len();
        let head = "POST /control/kill HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let auth = "Authorization: Bearer right\r\n";
        let text = format!("{head}{auth}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()).unwrap()
    };
    assert_eq!(kill(r#"{"flatten":true}"#), 202);
    assert_eq!(kill(r#"{"flaten":true}"#), 400);
    assert_eq!(kill("yes"), 400);
    assert_eq!(kill(&"x".repeat(5000)), 413);
    run.stop();
}

#[test]
fn health_readiness_status_and_metrics_answer() {
    let run = serving(None);
    let get = |path: &str| ask(&run, &format!("GET {path} HTTP/1.1\nHost: localhost"));
    assert_eq!(get("/healthz").0, 200);
    let (code, text) = get("/readyz");
    assert_eq!(code, 503);
    assert!(text.contains("STARTING"), "{text}");
    let (code, text) = get("/status");
    assert_eq!(code, 200);
    let body = text.split("\r\n\r\n").nth(1).unwrap();
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["state"], "STARTING");
    assert_eq!(status["driver"]["log_lines_lost"], 0);
    let (code, text) = get("/metrics");
    assert_eq!(code, 200);
    for name in [
        "evenkeel_steps_total",
        "# TYPE evenkeel_tick_to_wire_seconds histogram",
        "evenkeel_tick_to_wire_seconds_bucket{le=\"+Inf\"}",
        "# UNIT evenkeel_order_round_trip_seconds seconds",
        "evenkeel_order_round_trip_seconds_bucket{le=\"+Inf\",request=\"order\"}",
        "evenkeel_order_round_trip_seconds_count{request=\"cancel\"}",
        "evenkeel_fill_to_requote_seconds_bucket{le=\"+Inf\"}",
        "evenkeel_edge_to_hedge_seconds_bucket{le=\"+Inf\"}",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert_eq!(get("/nothing").0, 404);
    run.stop();
}

#[test]
fn an_address_open_to_others_needs_a_token() {
    let mut params = params();
    params.serve = Some(serve::Params {
        listen: "0.0.0.0:0".parse().unwrap(),
        token: None,
        hosts: Vec::new(),
        page: None,
    });
    let engine = Engine::new(crate::engine::params());
    let (saw, _seen) = channel();
    let fake = Fake { saw, react: Box::new(|_, _| {}) };
    let outcome = Live::new(params, engine, vec![Box::new(fake)], Box::new(|_, _| {}));
    let Err(LiveError::Config(text)) = outcome else { panic!("was accepted") };
    assert!(text.contains("token"), "{text}");
}

#[test]
fn endpoints_that_are_not_asked_for_do_not_exist() {
    let run = start(params(), |_, _| {});
    assert_eq!(run.handle.address(), None);
    run.stop();
}
