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

const PLACE_MANY: &str = "POST /fapi/v1/batchOrders";
const PLACE: &str = "POST /fapi/v1/order";

/// Ready to quote, on an address that may use a weight of 2400 in a minute.
fn quoting(product: Product) -> Rig {
    let symbols = ["BTCUSDT", "ETHUSDT"];
    let limits = json!([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE",
        "intervalNum": 1, "limit": 2400}]);
    let info = listing(&symbols, "0.01", "0.001");
    let info = info.replace(r#""rateLimits":[]"#, &format!(r#""rateLimits":{limits}"#));
    let (mut rig, _) = Rig::new(params(product, &symbols));
    rig.settle(&info);
    rig.open(LinkKind::Market);
    rig
}

fn places(counters: std::ops::RangeInclusive<u32>, kind: OrderKind) -> Vec<Action> {
    counters.map(|counter| Action::Place(order(counter, kind))).collect()
}

fn placed(counter: u32) -> Value {
    let mut order = cancelled(counter);
    order["status"] = "NEW".into();
    order
}

/// What the batch of five says of each order, for one outcome.
fn place_fates(outcome: Result<HttpReply, NoReply>) -> Vec<(u32, OrderUpdate)> {
    let mut rig = quoting(USDM);
    assert_eq!(encode(&mut rig, &places(1..=5, OrderKind::PostOnly)), [5]);
    let events = rig.reply_first(PLACE_MANY, outcome);
    let fate = |event: &Event| match event {
        Event::Order(news) => Some((news.id.counter, news.update.clone())),
        _ => None,
    };
    events.iter().filter_map(fate).collect()
}

#[test]
fn five_quotes_of_one_symbol_share_a_request_on_usdm() {
    let quote = OrderKind::PostOnly;
    let mut rig = quoting(USDM);
    assert_eq!(encode(&mut rig, &places(1..=12, quote)), [5, 5, 1, 1]);
    let labels: Vec<_> = rig.requests.iter().map(|request| request.label).collect();
    assert_eq!(labels, [PLACE_MANY, PLACE_MANY, PLACE, PLACE]);
    assert!(rig.requests.iter().all(|r| r.urgency == Urgency::Order && r.method == Method::Post));
    let fields = verify(&rig.requests[0]);
    let list = percent_decoded(&fields["batchOrders"]);
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    let alone = verify(&rig.requests[2]);
    assert_eq!(list.len(), 5);
    for (place, entry) in list.iter().enumerate() {
        let counter = u32::try_from(place).unwrap() + 1;
        assert_eq!(entry["newClientOrderId"], name(&order(counter, quote)));
        for field in ["symbol", "side", "type", "timeInForce", "quantity", "price"] {
            assert_eq!(entry[field], alone[field], "as an order of its own");
        }
    }

    // Four are counted as five, hedges leave one by one, and other symbols in between part them.
    let mut rig = quoting(USDM);
    assert_eq!(encode(&mut rig, &places(1..=4, quote)), [1; 4]);
    assert_eq!(encode(&mut rig, &places(5..=9, OrderKind::ImmediateOrCancel)), [1; 5]);
    let mut mixed = places(10..=14, quote);
    if let Action::Place(order) = &mut mixed[2] {
        order.instrument = InstrumentId(1);
    }
    assert_eq!(encode(&mut rig, &mixed), [1; 5]);
    assert!(rig.requests.iter().all(|request| request.label == PLACE));

    let mut rig = quoting(SPOT);
    assert_eq!(encode(&mut rig, &places(1..=5, quote)), [1; 5]);
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[test]
fn an_address_that_weighs_heavy_places_one_by_one() {
    let mut rig = quoting(USDM);
    encode(&mut rig, &places(1..=1, OrderKind::PostOnly));
    let heavy = HttpReply { used_weight_1m: Some(1200), ..http(200, &placed(1).to_string()) };
    rig.reply_first(PLACE, Ok(heavy));
    assert_eq!(encode(&mut rig, &places(2..=6, OrderKind::PostOnly)), [1; 5]);
}

#[test]
fn every_entry_of_a_reply_is_the_fate_of_its_new_order() {
    let body = json!([placed(1), {"code": -5022, "msg": "Due to the order could not be executed \
        as maker, the Post Only order will be rejected."}, placed(3),
        {"code": -1007, "msg": "Timeout waiting for response from backend server."},
        {"code": -2019, "msg": "Margin is insufficient."}]);
    let news = place_fates(Ok(http(200, &body.to_string())));
    assert!(
        matches!(
            &news[..],
            [
                (1, OrderUpdate::State { status: OrderStatus::New, .. }),
                (2, OrderUpdate::Rejected { class: RejectClass::WouldTake, .. }),
                (3, OrderUpdate::State { status: OrderStatus::New, .. }),
                (4, OrderUpdate::Unknown { .. }),
                (5, OrderUpdate::Rejected { class: RejectClass::InsufficientFunds, .. }),
            ]
        ),
        "{news:?}"
    );
}

#[test]
fn new_orders_of_a_batch_without_a_clear_answer_are_all_unknown() {
    let all: Vec<Value> = (1..=5).map(placed).collect();
    let mut exchanged = all.clone();
    exchanged.rotate_left(1);
    let outcomes = [
        Err(NoReply::Lost("connection broken".into())),
        Ok(http(503, r#"{"code":-1000,"msg":"Unknown error, please check your request"}"#)),
        Ok(http(200, &Value::from(all[..4].to_vec()).to_string())),
        Ok(http(200, &Value::from(exchanged).to_string())),
        Ok(http(200, "[1,null,2,3,4]")),
        Ok(http(200, "<html>")),
    ];
    for outcome in outcomes {
        let news = place_fates(outcome.clone());
        let counters: Vec<u32> = news.iter().map(|(counter, _)| *counter).collect();
        assert_eq!(counters, [1, 2, 3, 4, 5], "{outcome:?}");
        let unknown = |update: &OrderUpdate| matches!(update, OrderUpdate::Unknown { .. });
        assert!(news.iter().all(|(_, update)| unknown(update)), "{outcome:?}: {news:?}");
    }
}

#[test]
fn a_refused_batch_refuses_every_new_order() {
    let outcomes = [
        Err(NoReply::NotSent("queue full".into())),
        Ok(http(400, r#"{"code":-4082,"msg":"Invalid number of batch orders."}"#)),
        Ok(http(429, r#"{"code":-1015,"msg":"Too many new orders"}"#)),
        Ok(http(503, r#"{"code":-1008,"msg":"Request throttled by system-level protection."}"#)),
    ];
    for outcome in outcomes {
        let news = place_fates(outcome.clone());
        assert_eq!(news.len(), 5);
        let rejected = |update: &OrderUpdate| matches!(update, OrderUpdate::Rejected { .. });
        assert!(news.iter().all(|(_, update)| rejected(update)), "{outcome:?}: {news:?}");
    }
}
