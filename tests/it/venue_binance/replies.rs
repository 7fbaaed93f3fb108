//! What a reply says of the fate of its request.

use super::*;

#[test]
fn the_fate_of_an_order_is_never_guessed() {
    type Want = fn(&OrderUpdate) -> bool;
    let unknown: Want = |u| matches!(u, OrderUpdate::Unknown { .. });
    let unavailable: Want =
        |u| matches!(u, OrderUpdate::Rejected { class: RejectClass::Unavailable, .. });
    let throttled: Want =
        |u| matches!(u, OrderUpdate::Rejected { class: RejectClass::Throttled, .. });
    let cases: Vec<(Product, Result<HttpReply, NoReply>, Want)> = vec![
        (SPOT, Err(NoReply::Lost("reset".into())), unknown),
        (SPOT, Err(NoReply::NotSent("refused".into())), unavailable),
        (SPOT, Ok(http(500, r#"{"code":-1000,"msg":"x"}"#)), unknown),
        (SPOT, Ok(http(504, "<html>")), unknown),
        (SPOT, Ok(http(200, "<html>")), unknown),
        (SPOT, Ok(http(200, r#"{"symbol":"BTCUSDT","orderId":28,"cli"#)), unknown),
        (SPOT, Ok(http(200, "")), unknown),
        (SPOT, Ok(http(400, r#"{"code":-1007,"msg":"Timeout"}"#)), unknown),
        (SPOT, Ok(http(408, "")), unknown),
        (USDM, Ok(http(503, r#"{"msg":"Service Unavailable."}"#)), unavailable),
        (
            USDM,
            Ok(http(
                503,
                r#"{"code":-1000,"msg":"Unknown error, please check your request or try again later."}"#,
            )),
            unknown,
        ),
        (SPOT, Ok(http(429, r#"{"code":-1003,"msg":"Too much"}"#)), throttled),
        (SPOT, Ok(http(418, "<html>")), throttled),
    ];
    for (product, outcome, want) in cases {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
        let events = rig.reply_first(&rig.order_label("POST"), outcome.clone());
        let news = updates(&events);
        assert!(news.len() == 1 && want(&news[0]), "{outcome:?}: {news:?}");
    }
}

/// An order is answered with a demand for seven seconds of silence.
fn silenced(rig: &mut Rig, label: &str) -> Vec<Event> {
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    let mut reply = http(429, r#"{"code":-1003,"msg":"Too much request weight used"}"#);
    reply.retry_after_s = Some(7);
    rig.reply_first(label, Ok(reply))
}

#[test]
fn a_ban_stops_everything_until_it_ends() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let events = silenced(&mut rig, "POST /api/v3/order");
    let until = rig.now + Span::from_s(7);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Budget { usage, .. } if usage.blocked_until == until))
    );
    rig.requests.clear();
    rig.encode(&Action::Place(order(2, OrderKind::PostOnly)));
    rig.wait(Span::from_s(6));
    assert!(rig.requests.is_empty(), "{:?}", rig.requests);
    rig.wait(Span::from_s(2));
    rig.encode(&Action::Place(order(3, OrderKind::PostOnly)));
    assert!(rig.requests.iter().any(|r| r.label == "POST /api/v3/order"));
}

#[test]
fn a_venue_that_asks_for_silence_hears_no_farewell() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.1", "0.001");
    silenced(&mut rig, "POST /fapi/v1/order");
    rig.requests.clear();
    rig.act(|p, now, out| p.finish(now, out));
    assert!(rig.requests.is_empty(), "{:?}", rig.requests);
}

#[test]
fn the_order_count_limit_stops_orders_but_no_cancel() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.requests.clear();
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    rig.answer("POST /api/v3/order", 429, r#"{"code":-1015,"msg":"Too many new orders"}"#);
    rig.encode(&Action::Place(order(2, OrderKind::PostOnly)));
    rig.encode(&Action::Cancel {
        id: order(3, OrderKind::PostOnly).id,
        instrument: InstrumentId(0),
    });
    let labels: Vec<_> = rig.requests.iter().map(|r| r.label).collect();
    assert_eq!(labels, ["DELETE /api/v3/order"]);
}

#[test]
fn refusals_are_told_by_class() {
    use RejectClass::{
        Auth, Clock, DuplicateId, Filter, InsufficientFunds, Other, ReduceOnly, Throttled,
        WouldTake,
    };
    let want = |code: i64, msg: &str| match code {
        -1003 | -1015 => Throttled,
        -1013 | -4164 => Filter,
        -1021 => Clock,
        -1022 | -2014 | -2015 => Auth,
        -2010 if msg.contains("insufficient") => InsufficientFunds,
        -2010 if msg.contains("immediately") => WouldTake,
        -2010 => DuplicateId,
        -2019 => InsufficientFunds,
        -2022 => ReduceOnly,
        -5022 => WouldTake,
        _ => Other,
    };
    for (product, file) in
        [(SPOT, "spot_rest_errors_common.json"), (USDM, "usdm_rest_errors_docs.json")]
    {
        let Some(text) = fixture(file) else { return };
        for row in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let status = row["http"].as_u64().unwrap() as u16;
            if status >= 500 || status == 408 {
                continue;
            }
            let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
            rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
            let events = rig.answer(&rig.order_label("POST"), status, &row["body"].to_string());
            let code = row["body"]["code"].as_i64().unwrap();
            let class = want(code, row["body"]["msg"].as_str().unwrap());
            let news = updates(&events);
            let hit = matches!(&news[..], [OrderUpdate::Rejected { class: c, .. }] if *c == class);
            assert!(hit, "{row}: {news:?}");
            let failed = events.iter().any(|e| matches!(e, Event::VenueFailed { .. }));
            assert_eq!(failed, class == Auth, "{row}");
            let resync = rig.requests.iter().any(|r| r.label.ends_with("/time"));
            assert_eq!(resync, class == Clock, "{row}");
        }
    }
}

#[test]
fn a_cancel_of_what_is_gone_and_a_query_of_what_never_was() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let id = order(1, OrderKind::PostOnly).id;
    rig.encode(&Action::Cancel { id, instrument: InstrumentId(0) });
    let gone = r#"{"code":-2011,"msg":"Unknown order sent."}"#;
    let news = updates(&rig.answer("DELETE /api/v3/order", 400, gone));
    assert!(matches!(&news[..], [OrderUpdate::ChangeRejected { gone: true, .. }]), "{news:?}");
    rig.encode(&Action::Query { id, instrument: InstrumentId(0) });
    let never = r#"{"code":-2013,"msg":"Order does not exist."}"#;
    let news = updates(&rig.answer("GET /api/v3/order", 400, never));
    assert_eq!(news, [OrderUpdate::NotFound]);
    rig.encode(&Action::Query { id, instrument: InstrumentId(0) });
    let news = updates(&rig.reply_first("GET /api/v3/order", Err(NoReply::Lost("x".into()))));
    assert!(matches!(&news[..], [OrderUpdate::Unknown { .. }]), "{news:?}");
}

#[test]
fn documented_order_replies_are_read() {
    // (file, method, product): the documents' client id is replaced by ours.
    let table = [
        ("spot_rest_order_new_result.json", "POST", SPOT),
        ("spot_rest_order_new_full.json", "POST", SPOT),
        ("spot_rest_order_cancel.json", "DELETE", SPOT),
        ("spot_rest_order_query.json", "GET", SPOT),
        ("usdm_rest_order_new.json", "POST", USDM),
        ("usdm_rest_order_cancel.json", "DELETE", USDM),
        ("usdm_rest_order_query.json", "GET", USDM),
        ("usdm_rest_order_modify.json", "PUT", USDM),
    ];
    for (file, method, product) in table {
        let Some(text) = fixture(file) else { return };
        let mut body: Value = serde_json::from_str(&text).unwrap();
        let new = order(1, OrderKind::ImmediateOrCancel);
        body["clientOrderId"] = name(&new).into();
        if method == "DELETE" && product == SPOT {
            body["origClientOrderId"] = name(&new).into();
            body["clientOrderId"] = "cancelMyOrder1".into();
        }
        // The samples are market and stop orders without a limit price; ours always have one.
        if body["price"].as_str().unwrap().parse::<f64>().unwrap() == 0.0 {
            body["price"] = "61837.63".into();
        }
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.00000001", "0.00000001");
        let (id, instrument) = (new.id, new.instrument);
        rig.encode(&match method {
            "POST" => Action::Place(new.clone()),
            "DELETE" => Action::Cancel { id, instrument },
            "PUT" => {
                Action::Amend(Amend { id, instrument, side: new.side, px: new.px, qty: new.qty })
            }
            _ => Action::Query { id, instrument },
        });
        let events = rig.answer(&rig.order_label(method), 200, &body.to_string());
        let news = updates(&events);
        assert!(matches!(&news[..], [OrderUpdate::State { .. }]), "{file}: {news:?}");
        let fills = events.iter().filter(|e| matches!(e, Event::Fill(_))).count();
        assert_eq!(fills, if file.contains("full") { 5 } else { 0 }, "{file}");
    }
}

#[test]
fn a_reply_about_another_order_is_no_answer() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.encode(&Action::Place(order(1, OrderKind::PostOnly)));
    let other = json!({"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": name(&order(2, OrderKind::PostOnly)),
        "price": "1", "origQty": "1", "executedQty": "0", "status": "NEW", "side": "BUY"});
    let news = updates(&rig.answer("POST /api/v3/order", 200, &other.to_string()));
    assert!(matches!(&news[..], [OrderUpdate::Unknown { .. }]), "{news:?}");
}
