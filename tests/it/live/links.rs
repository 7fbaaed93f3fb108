//! Websockets: proof of life, bounds, spacing.

use super::*;

#[test]
fn a_silent_link_is_closed_and_said_to_be_silent() {
    // Upgrades, then neither sends nor answers pings.
    let address = websocket(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    });
    let mut params = params();
    params.link.ping_after = Duration::from_millis(20);
    params.link.silent_without_pong = Duration::from_millis(150);
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    let why = run.wait_closed();
    assert!(why.starts_with("silent for"), "{why}");
    run.stop();
}

#[test]
fn a_quiet_link_that_answers_pings_stays_open() {
    let address = websocket(|mut socket| async move { while socket.recv().await.is_some() {} });
    let mut params = params();
    params.link.ping_after = Duration::from_millis(20);
    params.link.silent_after = Duration::from_secs(5);
    params.link.silent_without_pong = Duration::from_secs(5);
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    for _ in 0..5 {
        run.wait(|saw| match saw {
            Saw::Alive => Some(()),
            Saw::Closed(why) => panic!("closed: {why}"),
            _ => None,
        });
    }
    run.stop();
}

#[test]
fn an_oversized_message_closes_the_link() {
    let address = websocket(|mut socket| async move {
        drop(socket.send(Message::Text("x".repeat(100_000).into())).await);
        std::future::pending::<()>().await;
    });
    let mut params = params();
    params.link.max_message_bytes = 50_000;
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    let why = run.wait_closed();
    assert!(why.starts_with("message too large"), "{why}");
    run.stop();
}

#[test]
fn reconnects_wait_as_told_and_as_bounded() {
    let address = websocket(|socket| async move { drop(socket) });
    let mut params = params();
    params.link.connect_spacing = Duration::from_millis(30);
    let run = start(params, move |saw, out| {
        let after = match saw {
            Saw::Started => Span::ZERO,
            Saw::Closed(_) => Span::from_ms(100),
            _ => return,
        };
        let url = format!("ws://{address}/ws");
        out.frames.push(Frame::Connect { link: MARKET, url, after });
    });
    run.wait_closed();
    let first = clock::instant();
    run.wait_closed();
    let waited = first.elapsed();
    assert!(waited >= Duration::from_millis(50), "half of 100 ms at least: {waited:?}");
    run.stop();
}

#[test]
fn attempts_are_spaced_even_when_the_protocol_does_not_wait() {
    let address = refused();
    let mut params = params();
    params.link.connect_spacing = Duration::from_millis(40);
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started | Saw::Closed(_)) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    let why = run.wait_closed();
    assert!(why.contains("cannot connect"), "{why}");
    let first = clock::instant();
    for _ in 0..5 {
        run.wait_closed();
    }
    assert!(first.elapsed() >= Duration::from_millis(160), "{:?}", first.elapsed());
    run.stop();
}

#[test]
fn plain_websockets_to_others_are_refused_without_telling_the_url() {
    let run = start(params(), |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect("ws://192.0.2.1:9/ws/listen-key".to_owned()));
        }
    });
    let why = run.wait_closed();
    assert!(why.contains("plain ws") && !why.contains("listen-key"), "{why}");
    run.stop();
}

#[test]
fn market_data_that_waited_out_a_standstill_is_not_traded_on() {
    let address = websocket(|mut socket| async move {
        drop(socket.send(Message::Text("tick".into())).await);
        while socket.recv().await.is_some() {}
    });
    let mut params = params();
    params.stall = Duration::from_millis(200);
    let run = start(params, move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{address}/ws"))),
        // Stands still, as a stopped process or a paused host would.
        Saw::Text(_) => std::thread::sleep(Duration::from_millis(300)),
        _ => {}
    });
    let why = run.wait_closed();
    assert!(why.starts_with("this process stood still"), "{why}");
    run.stop();
}

#[test]
fn a_successor_that_cannot_be_opened_leaves_the_old_connection_alone() {
    let address = websocket(|mut socket| async move {
        drop(socket.send(Message::Text("tick".into())).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(socket.send(Message::Text("tock".into())).await);
        while socket.recv().await.is_some() {}
    });
    let nobody = refused();
    let run = start(params(), move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{address}/ws"))),
        Saw::Text(text) if text == "tick" => {
            out.frames.push(connect(format!("ws://{nobody}/ws")));
        }
        _ => {}
    });
    let mut saw = Vec::new();
    while !saw.iter().any(|s| matches!(s, Saw::NotRenewed(_)))
        || !saw.contains(&Saw::Text("tock".to_owned()))
    {
        let next = run.saw.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(!matches!(next, Saw::Closed(_)), "{next:?} after {saw:?}");
        saw.push(next);
    }
    run.stop();
}
