//! What goes over the wire: requests, replies, frames.

use super::*;

#[test]
fn a_frame_in_makes_a_request_out_and_its_reply_comes_back() {
    let order = |headers: HeaderMap| async move {
        let key = headers.get("x-mbx-apikey").and_then(|k| k.to_str().ok()).unwrap_or("none");
        ([("x-mbx-used-weight-1m", "17"), ("x-mbx-order-count-10s", "3")], format!("key={key}"))
    };
    let talk = |mut socket: WebSocket| async move {
        socket.send(Message::Text("tick".into())).await.unwrap();
        while let Some(Ok(message)) = socket.recv().await {
            if let Message::Text(text) = message {
                socket.send(Message::Text(format!("echo {text}").into())).await.unwrap();
            }
        }
    };
    let address = venue(
        Router::new()
            .route("/order", any(order))
            .route("/ws", any(move |u: WebSocketUpgrade| async move { u.on_upgrade(talk) })),
    );
    let run = start(params(), move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{address}/ws"))),
        Saw::Open => out.frames.push(Frame::Text { link: MARKET, text: "subscribe".to_owned() }),
        Saw::Text(text) if text == "tick" => {
            let url = format!("http://{address}/order?symbol=X&signature=abc");
            out.frames.push(request(7, url, Urgency::Order));
        }
        _ => {}
    });
    let reply = run.wait_reply(7);
    assert!(reply.sent_at > Ts::from_ms(1_600_000_000_000));
    let reply = reply.outcome.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "key=key"));
    assert_eq!((reply.used_weight_1m, reply.order_count_10s), (Some(17), Some(3)));
    let deadline = clock::instant() + PATIENCE;
    while run.handle.snapshot().is_none_or(|s| s.driver.tick_to_wire_count == 0) {
        assert!(clock::instant() < deadline, "the latency of the order is never counted");
        std::thread::yield_now();
    }
    assert!(matches!(run.stop(), Ending::MaybeLeft { .. }));
}

#[test]
fn text_sent_on_a_link_arrives_and_pings_are_answered_with_their_payload() {
    let (pongs, answered) = channel();
    let talk = move |mut socket: WebSocket| {
        let pongs = pongs.clone();
        async move {
            socket.send(Message::Ping("payload".into())).await.unwrap();
            while let Some(Ok(message)) = socket.recv().await {
                if let Message::Pong(payload) = message {
                    drop(pongs.send(payload));
                }
            }
        }
    };
    let address = websocket(talk);
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(connect(format!("ws://{address}/ws")));
        }
    });
    run.wait(|saw| matches!(saw, Saw::Alive).then_some(()));
    assert_eq!(&answered.recv_timeout(PATIENCE).unwrap()[..], b"payload");
    run.stop();
}

#[test]
fn an_unanswered_request_is_lost_and_never_sent_again() {
    let (address, heard) = mute();
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            let url = format!("http://{address}/order?signature=abc");
            out.frames.push(request(1, url, Urgency::Order));
        }
    });
    let Err(NoReply::Lost(why)) = run.wait_reply(1).outcome else { panic!("not lost") };
    assert!(why.contains("no reply in time") && !why.contains("signature"), "{why}");
    let request = heard.recv_timeout(PATIENCE).unwrap();
    assert!(request.starts_with("POST /order?signature=abc HTTP/1.1"), "{request}");
    // Front ends of venues answer 411 to a POST without a length.
    assert!(request.contains("content-length: 0"), "{request}");
    run.stop();
    assert!(heard.try_recv().is_err(), "sent twice");
}

#[test]
fn a_connection_cut_after_the_request_is_lost() {
    let (listener, address) = listener();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut buffer = [0; 4096];
            drop(stream.unwrap().read(&mut buffer));
        }
    });
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
    });
    assert!(matches!(run.wait_reply(1).outcome, Err(NoReply::Lost(_))));
    run.stop();
}

#[test]
fn a_refused_connection_is_certain_failure() {
    let address = refused();
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            let url = format!("http://{address}/order?signature=abc");
            out.frames.push(request(1, url, Urgency::Order));
        }
    });
    let Err(NoReply::NotSent(why)) = run.wait_reply(1).outcome else { panic!("not refused") };
    assert!(!why.contains("signature"), "{why}");
    run.stop();
}

#[test]
fn a_cancel_does_not_wait_for_unanswered_orders() {
    let (mute, _heard) = mute();
    let address = venue(Router::new().route("/cancel", any(|| async { "done" })));
    let mut params = params();
    params.http.orders = 2;
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            for tag in 1..=3 {
                out.frames.push(request(tag, format!("http://{mute}/order"), Urgency::Order));
            }
            out.frames.push(request(9, format!("http://{address}/cancel"), Urgency::Cancel));
        }
    });
    let Err(NoReply::NotSent(_)) = run.wait_reply(3).outcome else {
        panic!("orders must not wait")
    };
    assert_eq!(run.wait_reply(9).outcome.unwrap().body, "done");
    assert!(matches!(run.wait_reply(1).outcome, Err(NoReply::Lost(_))), "still out at that time");
    run.stop();
}

#[test]
fn a_body_beyond_the_bound_is_not_read() {
    let address = venue(Router::new().route("/order", any(|| async { "x".repeat(10_000) })));
    let mut params = params();
    params.http.max_body_bytes = 9_999;
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
    });
    let Err(NoReply::Lost(why)) = run.wait_reply(1).outcome else { panic!("was read") };
    assert!(why.contains("9999 bytes"), "{why}");
    run.stop();
}

#[test]
fn redirects_are_handed_over_and_not_followed() {
    let moved = || async { (axum::http::StatusCode::FOUND, [("location", "/elsewhere")], "") };
    let elsewhere = || async { "followed" };
    let router = Router::new().route("/order", any(moved)).route("/elsewhere", any(elsewhere));
    let address = venue(router);
    let run = start(params(), move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
    });
    assert_eq!(run.wait_reply(1).outcome.unwrap().status, 302);
    run.stop();
}

#[test]
fn a_flood_of_frames_keeps_neither_replies_nor_commands_away() {
    let talk = |mut socket: WebSocket| async move {
        let tick = "x".repeat(200);
        while socket.send(Message::Text(tick.clone().into())).await.is_ok() {}
    };
    let flood = websocket(talk);
    let address = venue(Router::new().route("/order", any(|| async { "done" })));
    let mut flooded = false;
    let run = start(params(), move |saw, out| match saw {
        Saw::Started => out.frames.push(connect(format!("ws://{flood}/ws"))),
        Saw::Text(_) if !flooded => {
            flooded = true;
            out.frames.push(request(1, format!("http://{address}/order"), Urgency::Order));
        }
        _ => {}
    });
    assert_eq!(run.wait_reply(1).outcome.unwrap().body, "done");
    run.stop();
}
