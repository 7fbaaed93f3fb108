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

#[test]
fn the_stream_is_opened_again_when_the_venue_ends_it() {
    for file in ["spot_user_eventStreamTerminated.json", "spot_wsapi_serverShutdown.json"] {
        let Some(text) = fixture(file) else { return };
        let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
        rig.open(LinkKind::User);
        rig.text(LinkKind::User, r#"{"id":"user-1","status":200,"result":{}}"#);
        rig.frames.clear();
        let kinds: Vec<_> = rig.text(LinkKind::User, &text).iter().map(kind).collect();
        assert_eq!(kinds, ["down"], "{file}");
        assert_eq!(rig.connects().len(), 1, "{file}");
    }
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
