//! Cancels that share a request on USD-M: every order of a batch keeps a fate of its own.

use super::*;

const MANY: &str = "DELETE /fapi/v1/batchOrders";

fn cancels(count: u32, instrument: u16) -> Vec<Action> {
    let action = |counter| Action::Cancel {
        id: order(counter, OrderKind::PostOnly).id,
        instrument: InstrumentId(instrument),
    };
    (1..=count).map(action).collect()
}

/// Encode them all as the driver does; how many left with each request.
fn encode(rig: &mut Rig, cancels: &[Action]) -> Vec<usize> {
    let mut rest: Vec<&Action> = cancels.iter().collect();
    let mut taken = Vec::new();
    while !rest.is_empty() {
        let mut count = 0;
        let events = rig.act(|p, now, out| count = p.encode_many(now, &rest, out));
        assert_eq!(events, []);
        taken.push(count);
        rest.drain(..count);
    }
    taken
}

fn ready(product: Product) -> Rig {
    Rig::ready(product, &["BTCUSDT", "ETHUSDT"], "0.01", "0.001")
}

fn cancelled(counter: u32) -> Value {
    json!({"clientOrderId": name(&order(counter, OrderKind::PostOnly)), "orderId": 100 + counter,
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX",
        "price": "61837.63", "origQty": "0.150", "executedQty": "0.000", "status": "CANCELED",
        "updateTime": T0.ms()})
}

/// What the batch of that many says of each order, for one outcome.
fn fates(count: u32, outcome: Result<HttpReply, NoReply>) -> Vec<(u32, OrderUpdate)> {
    let mut rig = ready(USDM);
    encode(&mut rig, &cancels(count, 0));
    let events = rig.reply_first(MANY, outcome);
    let fate = |event: &Event| match event {
        Event::Order(news) => Some((news.id.counter, news.update.clone())),
        _ => None,
    };
    events.iter().filter_map(fate).collect()
}

#[test]
fn cancels_share_requests_of_ten_on_usdm_and_none_on_spot() {
    let mut rig = ready(USDM);
    assert_eq!(encode(&mut rig, &cancels(23, 0)), [10, 10, 3]);
    assert!(rig.requests.iter().all(|r| r.label == MANY && r.urgency == Urgency::Cancel));
    assert!(rig.requests.iter().all(|r| r.method == Method::Delete));
    let first = name(&order(1, OrderKind::PostOnly));
    let listed = format!("symbol=BTCUSDT&origClientOrderIdList=%5B%22{first}%22%2C%22");
    assert!(rig.requests[0].url.contains(&listed), "{}", rig.requests[0].url);

    let mut rig = ready(USDM);
    assert_eq!(encode(&mut rig, &cancels(1, 0)), [1]);
    assert_eq!(rig.requests[0].label, "DELETE /fapi/v1/order", "one alone is a plain cancel");
    let mut both = cancels(2, 0);
    both.extend(cancels(3, 1));
    assert_eq!(encode(&mut rig, &both), [2, 3], "a batch is of one symbol");

    let mut rig = ready(SPOT);
    assert_eq!(encode(&mut rig, &cancels(3, 0)), [1, 1, 1]);
    assert!(rig.requests.iter().all(|r| r.label == "DELETE /api/v3/order"));
}

#[test]
fn every_entry_of_a_reply_is_the_fate_of_its_order() {
    let body = json!([cancelled(1), {"code": -2011, "msg": "Unknown order sent."}, cancelled(3),
        {"code": -1007, "msg": "Timeout waiting for response from backend server."},
        {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}]);
    let news = fates(5, Ok(http(200, &body.to_string())));
    assert!(
        matches!(
            &news[..],
            [
                (1, OrderUpdate::State { status: OrderStatus::Canceled, .. }),
                (2, OrderUpdate::ChangeRejected { gone: true, .. }),
                (3, OrderUpdate::State { status: OrderStatus::Canceled, .. }),
                (4, OrderUpdate::Unknown { .. }),
                (5, OrderUpdate::ChangeRejected { gone: false, class: RejectClass::Clock, .. }),
            ]
        ),
        "{news:?}"
    );
}

#[test]
fn a_batch_of_unknown_fate_leaves_every_order_unknown() {
    let exchanged = json!([cancelled(2), cancelled(1)]).to_string();
    let short = json!([cancelled(1)]).to_string();
    let unknown = r#"{"code":-2011,"msg":"Unknown order sent."}"#;
    let outcomes = [
        Err(NoReply::Lost("connection broken".into())),
        Ok(http(503, r#"{"code":-1000,"msg":"Unknown error, please check your request"}"#)),
        Ok(http(408, r#"{"code":-1007,"msg":"Timeout"}"#)),
        Ok(http(200, &short)),
        Ok(http(200, "[]")),
        Ok(http(200, "{}")),
        Ok(http(200, "<html>")),
        Ok(http(200, "[1,null]")),
        Ok(http(200, &exchanged)),
        Ok(http(400, unknown)),
    ];
    for outcome in outcomes {
        let news = fates(2, outcome.clone());
        assert!(
            matches!(
                &news[..],
                [(1, OrderUpdate::Unknown { .. }), (2, OrderUpdate::Unknown { .. })]
            ),
            "{outcome:?}: {news:?}"
        );
    }
}

#[test]
fn a_refused_batch_refuses_every_cancel() {
    let outcomes = [
        Err(NoReply::NotSent("queue full".into())),
        Ok(http(400, r#"{"code":-1102,"msg":"Mandatory parameter was not sent."}"#)),
        Ok(http(429, r#"{"code":-1003,"msg":"Too many requests."}"#)),
    ];
    for outcome in outcomes {
        let news = fates(2, outcome.clone());
        assert!(
            matches!(
                &news[..],
                [
                    (1, OrderUpdate::ChangeRejected { gone: false, .. }),
                    (2, OrderUpdate::ChangeRejected { gone: false, .. })
                ]
            ),
            "{outcome:?}: {news:?}"
        );
    }
}

#[test]
fn cancels_wait_one_by_one_for_the_clock() {
    let (mut rig, _) = Rig::new(params(USDM, &["BTCUSDT"]));
    assert_eq!(encode(&mut rig, &cancels(2, 0)), [1, 1]);
    assert!(rig.requests.iter().all(|r| !r.label.starts_with("DELETE")));
}
