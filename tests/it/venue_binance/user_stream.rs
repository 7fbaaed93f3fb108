//! Our orders, balances and positions as they are streamed.

use super::*;

#[test]
fn documented_user_events_are_read() {
    const ALL: [&str; 8] =
        ["BTCUSDT", "ETHUSDT", "ETHBTC", "LTCBNB", "BNBUSDT", "DOGEUSDT", "ADAUSDT", "LTCBTC"];
    // Kinds of event that must come out; an empty list: read, and of no interest.
    let table: [(&str, Product, &[&str]); 22] = [
        ("spot_user_executionReport_NEW.json", SPOT, &[]),
        ("spot_user_executionReport_TRADE_naut.json", SPOT, &["fill"]),
        ("spot_user_executionReport_CANCELED_naut.json", SPOT, &[]),
        ("spot_user_executionReport_EXPIRED_naut.json", SPOT, &[]),
        ("spot_user_executionReport_REJECTED_naut.json", SPOT, &[]),
        ("spot_user_executionReport_TRADE_PREVENTION_naut.json", SPOT, &[]),
        ("spot_user_executionReport_wrapped_naut.json", SPOT, &[]),
        ("spot_user_outboundAccountPosition.json", SPOT, &["account"]),
        ("spot_wsapi_event_wrapped_outboundAccountPosition.json", SPOT, &["account"]),
        ("spot_user_balanceUpdate.json", SPOT, &[]),
        ("spot_user_externalLockUpdate.json", SPOT, &[]),
        ("spot_user_listStatus.json", SPOT, &[]),
        ("usdm_user_ORDER_TRADE_UPDATE_NEW.json", USDM, &[]),
        ("usdm_user_order_update_trade_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_trade_partial_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_liquidation_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_adl_naut.json", USDM, &["fill"]),
        ("usdm_user_order_update_settlement_naut.json", USDM, &["fill"]),
        ("usdm_user_TRADE_LITE.json", USDM, &[]),
        ("usdm_user_ACCOUNT_CONFIG_UPDATE_leverage.json", USDM, &[]),
        ("usdm_user_MARGIN_CALL.json", USDM, &[]),
        ("usdm_user_ALGO_UPDATE.json", USDM, &[]),
    ];
    for (file, product, want) in table {
        let Some(text) = fixture(file) else { return };
        let mut rig = Rig::ready(product, &ALL, "0.00000001", "0.00000001");
        let got: Vec<&str> = rig.text(LinkKind::User, &text).iter().map(kind).collect();
        assert_eq!(got, want, "{file}");
    }
}

#[test]
fn our_orders_speak_by_their_name() {
    let new = order(9, OrderKind::PostOnly);
    let spot = |c: &str, original: &str, x: &str, status: &str, trade: i64| {
        json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": 2, "s": "BTCUSDT",
            "c": c, "S": "BUY", "o": "LIMIT_MAKER", "f": "GTC", "q": "0.00150", "p": "61837.63",
            "C": original, "x": x, "X": status, "r": "NONE", "i": 77, "l": "0.00050",
            "z": "0.00050", "L": "61837.63", "n": "-0.001", "N": "USDT", "T": 5, "t": trade,
            "m": true}})
        .to_string()
    };
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let events = rig.text(LinkKind::User, &spot(&name(&new), "", "TRADE", "PARTIALLY_FILLED", 4));
    let [Event::Fill(fill), Event::Order(news)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((fill.order, fill.qty, fill.liquidity), (Some(new.id), Qty(50), Liquidity::Maker));
    assert_eq!((fill.fee.to_string(), fill.at), ("-0.001".to_string(), Ts::from_ms(5)));
    assert_eq!((news.id, news.venue_order_id), (new.id, Some(77)));
    let events = rig.text(LinkKind::User, &spot("x", &name(&new), "CANCELED", "CANCELED", -1));
    let [Event::Order(news)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(news.id, new.id, "a cancel's report names the order in C");
    let events = rig.text(LinkKind::User, &spot(&name(&new), "other", "CANCELED", "CANCELED", -1));
    assert!(events.is_empty(), "somebody else's order, cancelled under our name: {events:?}");
    let events = rig
        .text(LinkKind::User, &spot(&name(&new), "", "TRADE_PREVENTION", "EXPIRED_IN_MATCH", -1));
    assert!(matches!(
        &updates(&events)[..],
        [OrderUpdate::State { status: OrderStatus::Expired, .. }]
    ));
    let events = rig.text(LinkKind::User, &spot("web_1", "", "TRADE", "FILLED", 5));
    let [Event::Fill(fill)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(fill.order, None, "a foreign order moves our position, too");
    let garbled =
        rig.text(LinkKind::User, &spot("web_1", "", "TRADE", "FILLED", 5).replace("0.00050", "x"));
    assert_eq!(garbled.iter().map(kind).collect::<Vec<_>>(), ["garbled"]);
}

#[test]
fn account_updates_tell_wallet_positions_and_funding() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    let update = |reason: &str, side: &str| {
        json!({"e": "ACCOUNT_UPDATE", "E": 2, "T": 1, "a": {"m": reason,
            "B": [{"a": "USDT", "wb": "100.5", "cw": "1", "bc": "-0.25"}],
            "P": [{"s": "BTCUSDT", "pa": "-0.010", "ep": "61000.1", "ps": side}]}})
        .to_string()
    };
    let events = rig.text(LinkKind::User, &update("ORDER", "BOTH"));
    let [Event::Account(account)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((account.complete, account.positions[0].qty), (false, Qty(-10)));
    assert_eq!(account.balances[0].free.to_string(), "100.5");
    let events = rig.text(LinkKind::User, &update("FUNDING_FEE", "BOTH"));
    let [Event::Funding { amount, instrument, .. }, Event::Account(_)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((amount.to_string(), *instrument), ("-0.25".into(), Some(InstrumentId(0))));
    let events = rig.text(LinkKind::User, &update("ORDER", "SHORT"));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["failed", "account"]);
}

#[test]
fn the_spot_user_stream_subscribes_with_a_signature_and_is_then_up() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.frames.clear();
    assert!(rig.open(LinkKind::User).is_empty(), "not up before the venue has agreed");
    let Some(Frame::Text { text, .. }) = rig.frames.pop() else { panic!() };
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent["method"], "userDataStream.subscribe.signature");
    let p = &sent["params"];
    let payload = format!("apiKey={KEY}&recvWindow=5000&timestamp={}", p["timestamp"]);
    assert_eq!(p["signature"], Signer::new(&SECRET.into()).sign(&payload));
    let Some(ok) = fixture("spot_wsapi_resp_userDataStream.subscribe.signature.json") else {
        return;
    };
    assert_eq!(rig.text(LinkKind::User, &ok).iter().map(kind).collect::<Vec<_>>(), ["up"]);
    let revoked = fixture("spot_wsapi_session_revoked.json").unwrap();
    let kinds: Vec<_> = rig.text(LinkKind::User, &revoked).iter().map(kind).collect();
    assert_eq!(kinds, ["failed", "down"]);
}

/// A spot session whose user stream is up.
fn subscribed() -> Rig {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.open(LinkKind::User);
    rig.text(LinkKind::User, r#"{"id":"user-1","status":200,"result":{}}"#);
    rig.frames.clear();
    rig
}

#[test]
fn a_renewed_spot_user_stream_is_subscribed_before_it_serves_and_tells_nothing_twice() {
    let traded = |at: i64, trade: i64| {
        json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": at, "s": "BTCUSDT",
            "c": "web_1", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.00150", "p": "61837.63",
            "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE", "i": 77, "l": "0.00050",
            "z": "0.00050", "L": "61837.63", "n": "0", "N": "USDT", "T": at, "t": trade,
            "m": true}})
        .to_string()
    };
    let mut rig = subscribed();
    rig.act(|p, now, out| p.on_successor(LinkKind::User, now, out));
    let Some(Frame::Greeting { link: LinkKind::User, text }) = rig.frames.pop() else { panic!() };
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent["method"], "userDataStream.subscribe.signature");
    let told = |rig: &mut Rig, at, trade| -> Vec<&'static str> {
        rig.text(LinkKind::User, &traded(at, trade)).iter().map(kind).collect()
    };
    // The old connection serves meanwhile, and two trades are of the same instant.
    for (at, trade) in [(10, 1), (11, 2), (11, 3)] {
        assert_eq!(told(&mut rig, at, trade), ["fill"]);
    }
    let events = rig.act(|p, now, out| p.on_renewed(LinkKind::User, now, out));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["up"]);
    let agreed = r#"{"id":"user-2","status":200,"result":{"subscriptionId":0}}"#;
    assert!(rig.text(LinkKind::User, agreed).is_empty());
    for (at, trade) in [(10, 1), (11, 2), (11, 3)] {
        assert!(told(&mut rig, at, trade).is_empty(), "trade {trade} is told twice");
    }
    for (at, trade) in [(11, 4), (12, 5)] {
        assert_eq!(told(&mut rig, at, trade), ["fill"], "trade {trade} is lost");
    }
    rig.frames.clear();
    rig.act(|p, now, out| p.on_alive(LinkKind::User, now, out));
    let later = rig.wait(Span::from_s(30));
    assert!(!later.iter().any(|event| kind(event) == "down"), "{later:?}");
}

#[test]
fn a_renewed_stream_that_is_refused_its_subscription_is_opened_again() {
    let mut rig = subscribed();
    rig.act(|p, now, out| p.on_successor(LinkKind::User, now, out));
    rig.act(|p, now, out| p.on_renewed(LinkKind::User, now, out));
    let refused = r#"{"id":"user-2","status":400,"error":{"code":-1102,"msg":"no"}}"#;
    let kinds: Vec<_> = rig.text(LinkKind::User, refused).iter().map(kind).collect();
    assert_eq!(kinds, ["garbled", "down"]);
    assert_eq!(rig.connects().len(), 1);
    // So is one that is not answered at all.
    let mut rig = subscribed();
    rig.act(|p, now, out| p.on_renewed(LinkKind::User, now, out));
    let later = rig.wait(Span::from_s(11));
    assert!(later.iter().any(|event| kind(event) == "down"), "{later:?}");
}

#[test]
fn a_renewed_usdm_user_stream_has_the_same_key_and_pays_no_funding_twice() {
    let funding = |at: i64, paid: &str| {
        json!({"e": "ACCOUNT_UPDATE", "E": at, "T": at, "a": {"m": "FUNDING_FEE",
            "B": [{"a": "USDT", "wb": "100.5", "cw": "1", "bc": paid}], "P": []}})
        .to_string()
    };
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    rig.open(LinkKind::User);
    rig.wait(Span::from_s(6));
    rig.frames.clear();
    assert!(rig.text(LinkKind::User, r#"{"e":"serverShutdown","E":1}"#).is_empty());
    assert_eq!(rig.connects()[0].1, "ws://user/private/ws?listenKey=abc");
    rig.act(|p, now, out| p.on_successor(LinkKind::User, now, out));
    assert!(rig.frames.is_empty(), "the address says it all");
    let told = |rig: &mut Rig, at, paid| -> Vec<&'static str> {
        rig.text(LinkKind::User, &funding(at, paid)).iter().map(kind).collect()
    };
    let paid = told(&mut rig, 20, "-0.25");
    assert_eq!(paid.len(), 2, "{paid:?}");
    rig.act(|p, now, out| p.on_renewed(LinkKind::User, now, out));
    assert!(told(&mut rig, 20, "-0.25").is_empty());
    assert_eq!(told(&mut rig, 21, "-0.30"), paid);
}

#[test]
fn nothing_that_a_panic_may_print_shows_a_secret() {
    let mut all = String::new();
    for product in [SPOT, USDM] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.1", "0.001");
        rig.open(LinkKind::User);
        rig.act(|p, now, out| p.on_successor(LinkKind::User, now, out));
        let action = Action::Place(order(9, OrderKind::PostOnly));
        rig.act(|p, now, out| p.encode(now, &action, out));
        assert!(!rig.frames.is_empty() && !rig.requests.is_empty());
        all += &format!("{:?} {:?} {:?}", rig.frames, rig.requests, params(product, &["BTCUSDT"]));
    }
    for secret in [KEY, SECRET, "signature=", "\"signature\\\":", "listenKey="] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn the_stream_is_opened_again_when_the_venue_ends_it() {
    let Some(terminated) = fixture("spot_user_eventStreamTerminated.json") else { return };
    let mut rig = subscribed();
    let kinds: Vec<_> = rig.text(LinkKind::User, &terminated).iter().map(kind).collect();
    assert_eq!(kinds, ["down"]);
    assert_eq!(rig.connects().len(), 1);
    // Before an announced end there is time for a new connection beside the old one.
    let mut rig = subscribed();
    let shutdown = fixture("spot_wsapi_serverShutdown.json").unwrap();
    assert!(rig.text(LinkKind::User, &shutdown).is_empty());
    assert!(rig.connects().is_empty(), "a venue that announces at once is not opened all the time");
    let later = rig.wait(Span::from_s(6));
    assert!(!later.iter().any(|event| kind(event) == "down"), "{later:?}");
    assert_eq!(rig.connects().len(), 1);
    let Some(expired) = fixture("usdm_user_listenKeyExpired.json") else { return };
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    rig.open(LinkKind::User);
    rig.frames.clear();
    assert_eq!(rig.text(LinkKind::User, &expired).iter().map(kind).collect::<Vec<_>>(), ["down"]);
    rig.answer("POST /fapi/v1/listenKey", 200, r#"{"listenKey":"new"}"#);
    assert_eq!(rig.connects()[0].1, "ws://user/private/ws?listenKey=new");
}

#[test]
fn listen_keys_are_kept_alive_and_replaced() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    rig.open(LinkKind::User);
    for _ in 0..31 {
        rig.wait(Span::from_s(60));
        rig.act(|p, now, out| p.on_alive(LinkKind::User, now, out));
        rig.act(|p, now, out| p.on_alive(LinkKind::Market, now, out));
    }
    rig.frames.clear();
    let expired = r#"{"code":-1125,"msg":"This listenKey does not exist."}"#;
    let kinds: Vec<_> =
        rig.answer("PUT /fapi/v1/listenKey", 400, expired).iter().map(kind).collect();
    assert_eq!(kinds, ["down"]);
    rig.answer("POST /fapi/v1/listenKey", 200, r#"{"listenKey":"new"}"#);
    assert!(rig.connects().iter().any(|(_, url, _)| url.ends_with("listenKey=new")));
}

#[test]
fn the_dead_man_switch_is_armed_first_renewed_and_taken_back() {
    let mut with = params(USDM, &["BTCUSDT"]);
    with.dead_man_switch = Some(Span::from_s(40));
    let (mut rig, _) = Rig::new(with);
    let time = json!({"serverTime": T0.ms()}).to_string();
    rig.answer("GET /fapi/v1/time", 200, &time);
    rig.answer("GET /fapi/v1/exchangeInfo", 200, &listing(&["BTCUSDT"], "0.01", "0.00001"));
    rig.answer("POST /fapi/v1/listenKey", 200, r#"{"listenKey":"abc"}"#);
    assert!(rig.open(LinkKind::User).is_empty(), "not up while the switch is not armed");
    let refused = updates(&rig.encode(&Action::Place(order(1, OrderKind::PostOnly))));
    assert!(matches!(&refused[..], [OrderUpdate::Rejected { .. }]));
    let at = rig.requests.iter().position(|r| r.label.ends_with("countdownCancelAll")).unwrap();
    assert_eq!(verify(&rig.requests[at])["countdownTime"], "40000");
    let events = rig.answer(
        "POST /fapi/v1/countdownCancelAll",
        200,
        r#"{"symbol":"BTCUSDT","countdownTime":"40000"}"#,
    );
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["up"]);
    rig.requests.clear();
    rig.wait(Span::from_s(10));
    assert!(rig.requests.iter().any(|r| r.label.ends_with("countdownCancelAll")), "a quarter on");
    // The renewals get no answer: when the venue's countdown has run out, we are down.
    let events = rig.wait(Span::from_s(45));
    assert!(
        events.iter().any(|e| matches!(e, Event::Link { link: LinkKind::User, up: false, .. }))
    );
    rig.requests.clear();
    rig.act(|p, now, out| p.finish(now, out));
    let labels: Vec<_> = rig.requests.iter().map(|r| r.label).collect();
    assert_eq!(labels, ["POST /fapi/v1/countdownCancelAll", "DELETE /fapi/v1/listenKey"]);
    assert_eq!(verify(&rig.requests[0])["countdownTime"], "0");
    assert_eq!(rig.protocol.next_timeout(), None);
}
