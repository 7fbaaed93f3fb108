//! From nothing to connected.

use super::*;

#[test]
fn start_up_learns_clock_listing_and_fees_then_connects() {
    let Some(info) = fixture("spot_exchangeInfo_BTCUSDT_ETHUSDT_COMPOSITE.json") else { return };
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT", "ETHUSDT"]));
    assert!(rig.connects().is_empty(), "nothing to connect to before the symbols are listed");
    let events = rig.settle(&info);
    let listed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Listed(instrument) => Some(instrument),
            _ => None,
        })
        .collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].tick_size.to_string(), "0.01");
    assert_eq!(listed[0].lot_size.to_string(), "0.00001");
    assert_eq!(listed[0].min_notional.to_string(), "5");
    assert_eq!((listed[0].max_px, listed[0].min_qty), (Px(100_000_000), Qty(1)));
    assert_eq!(listed[0].max_open_orders, 200);
    assert!(listed[0].trading);
    assert!(events.iter().any(|e| matches!(e, Event::Clock { .. })));
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Fees { .. })).count(), 2);
    let urls: Vec<String> = rig.connects().into_iter().map(|(_, url, _)| url).collect();
    assert!(urls.contains(&"ws://user".to_string()));
    assert!(
        urls.contains(
            &"ws://market/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade/\
          ethusdt@depth@100ms/ethusdt@bookTicker/ethusdt@trade"
                .to_string()
        )
    );
}

#[test]
fn usdm_reads_its_own_filters_and_routes() {
    let Some(info) = fixture("usdm_exchangeInfo_BTCUSDT_ETHUSDT_XAUUSDT.json") else { return };
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT", "NOSUCH"]));
    let events = rig.settle(&info);
    let listed = events.iter().find_map(|event| match event {
        Event::Listed(instrument) => Some(instrument),
        _ => None,
    });
    let listed = listed.unwrap();
    assert_eq!(listed.min_notional.to_string(), "50");
    assert_eq!((listed.min_px, listed.tick_size.to_string()), (Px(5568), "0.1".to_string()));
    let missing = events.iter().find_map(|event| match event {
        Event::VenueFailed { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert!(missing.unwrap().contains("NOSUCH"));
    let urls: Vec<String> = rig.connects().into_iter().map(|(_, url, _)| url).collect();
    assert_eq!(
        urls,
        [
            "ws://market/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker",
            "ws://market/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s",
            "ws://user/private/ws?listenKey=abc",
        ]
    );
}

#[test]
fn a_perpetual_whose_least_price_is_off_the_tick_is_refused() {
    let info = listing(&["BTCUSDT"], "0.10", "0.001")
        .replace("\"minPrice\":\"0.10\"", "\"minPrice\":\"0.25\"");
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT"]));
    let events = rig.settle(&info);
    assert!(
        events.iter().any(
            |e| matches!(e, Event::VenueFailed { text, .. } if text.contains("minPrice 0.25"))
        )
    );
}

#[test]
fn hedge_mode_and_unknown_symbols_say_how_to_mend_them() {
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT"]));
    rig.answer("GET /fapi/v1/time", 200, &json!({"serverTime": T0.ms()}).to_string());
    let events = rig.answer("GET /fapi/v1/positionSide/dual", 200, r#"{"dualSidePosition":true}"#);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::VenueFailed { text, .. } if text.contains("one-way mode")))
    );
    let (mut rig, _) = Rig::new(params(SPOT, &["NOSUCH"]));
    let events =
        rig.answer("GET /api/v3/exchangeInfo", 400, r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::VenueFailed { text, .. } if text.contains("\"NOSUCH\"")))
    );
}

#[test]
fn signed_requests_carry_the_venues_time() {
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT"]));
    let place = Action::Place(order(1, OrderKind::PostOnly));
    let refused = updates(&rig.encode(&place));
    assert!(
        matches!(&refused[..], [OrderUpdate::Rejected { class: RejectClass::Unavailable, .. }]),
        "no order leaves before the clock is known: {refused:?}"
    );
    // The venue's clock is 20 s ahead.
    let ahead = T0.ms() + 20_000;
    rig.answer("GET /api/v3/time", 200, &json!({"serverTime": ahead}).to_string());
    rig.answer("GET /api/v3/exchangeInfo", 200, &listing(&["BTCUSDT"], "0.01", "0.00001"));
    rig.encode(&place);
    let sent = rig.requests.iter().find(|r| r.label == "POST /api/v3/order").unwrap();
    let timestamp: i64 =
        sent.url.split("timestamp=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
    assert!((timestamp - ahead).abs() < 10, "{timestamp} {ahead}");
}

#[test]
fn a_slow_answer_about_the_clock_condemns_nobody() {
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT"]));
    let limit_ms = params(SPOT, &["BTCUSDT"]).max_clock_offset.ms();
    let failed = |events: Vec<Event>| events.iter().any(|e| matches!(e, Event::VenueFailed { .. }));
    let tell = |rig: &mut Rig, took_ms: i64, ahead_ms: i64| {
        let at = rig.requests.iter().position(|r| r.label == "GET /api/v3/time").unwrap();
        let request = rig.requests.remove(at);
        let sent_at = rig.now;
        let body = json!({"serverTime": sent_at.ms() + ahead_ms}).to_string();
        rig.now += Span::from_ms(took_ms);
        let reply = Reply { outcome: Ok(http(200, &body)), sent_at };
        rig.act(|p, now, out| p.on_reply(request.tag, now, reply, out))
    };
    // Seems 100 ms beyond the limit, and may err by 400.
    assert!(!failed(tell(&mut rig, 800, limit_ms + 500)));
    for _ in 0..3 {
        assert!(!failed(tell(&mut rig, 800, limit_ms + 500)), "as slow as the first");
    }
    rig.wait(Span::from_s(3));
    let asked = rig.requests.iter().any(|r| r.label == "GET /api/v3/time");
    assert!(asked, "a round that told nothing is soon followed by another");
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT"]));
    let ahead = json!({"serverTime": rig.now.ms() + limit_ms + 100}).to_string();
    assert!(failed(rig.answer("GET /api/v3/time", 200, &ahead)), "a quick one is certain");
}

#[test]
fn a_clock_that_steps_in_the_session_is_reckoned_with() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let limit_ms = params(SPOT, &["BTCUSDT"]).max_clock_offset.ms();
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    let refusal =
        r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
    rig.answer("POST /api/v3/order", 400, refusal);
    let round = |rig: &mut Rig, ahead_ms: i64| {
        let mut events = Vec::new();
        while rig.requests.iter().any(|request| request.label == "GET /api/v3/time") {
            let body = json!({"serverTime": rig.now.ms() + ahead_ms}).to_string();
            events.extend(rig.answer("GET /api/v3/time", 200, &body));
        }
        events
    };
    let offset_ms = |events: &[Event]| match events.last() {
        Some(Event::Clock { offset, .. }) => offset.ms(),
        other => panic!("{other:?}"),
    };
    let events = round(&mut rig, limit_ms + 6_500);
    assert!(!events.iter().any(|event| matches!(event, Event::VenueFailed { .. })), "{events:?}");
    assert!((offset_ms(&events) - limit_ms - 6_500).abs() < 10, "{events:?}");
    // What is far off is looked at again soon, and is right again.
    rig.wait(Span::from_s(3));
    assert!(offset_ms(&round(&mut rig, 0)).abs() < 10);
}
