//! The account read in full.

use super::*;

fn trade_row(id: u64, order_id: u64) -> Value {
    json!({"symbol": "BTCUSDT", "id": id, "orderId": order_id, "price": "61837.63",
        "qty": "0.00050", "commission": "0", "commissionAsset": "USDT", "time": 9,
        "isBuyer": true, "isMaker": true})
}

#[test]
fn a_reading_tells_trades_before_the_one_snapshot() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.requests.clear();
    rig.encode(&Action::Reconcile { venue: VenueId(0) });
    let asked = rig.now;
    // What was traded before is part of what is found.
    assert!(!rig.requests[0].url.contains("fromId"), "{}", rig.requests[0].url);
    let earlier = json!([trade_row(98, 3), trade_row(99, 4)]).to_string();
    let events = rig.answer("GET /api/v3/myTrades", 200, &earlier);
    assert!(matches!(events[..], [Event::TradesBefore { trade_id: 99, .. }]), "{events:?}");
    let (ours, lost) = (order(1, OrderKind::PostOnly), order(2, OrderKind::PostOnly));
    let open = |id: u64, name: &str| {
        json!({"symbol": "BTCUSDT", "orderId": id, "clientOrderId": name, "price": "61837.63",
            "origQty": "0.00150", "executedQty": "0.00050", "status": "PARTIALLY_FILLED", "side": "BUY"})
    };
    let orders = json!([open(5, &name(&ours)), open(6, "web_1")]).to_string();
    assert!(rig.answer("GET /api/v3/openOrders", 200, &orders).is_empty());
    let account = json!({"canTrade": true, "balances": [
        {"asset": "USDT", "free": "10.5", "locked": "2"}]});
    assert!(rig.answer("GET /api/v3/account", 200, &account.to_string()).is_empty());
    assert!(rig.requests[0].url.contains("fromId=100"), "{}", rig.requests[0].url);
    // Order 7 was placed without an answer: only the venue knows its client id.
    let trades = json!([trade_row(100, 5), trade_row(101, 7)]).to_string();
    let events = rig.answer("GET /api/v3/myTrades", 200, &trades);
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["fill"]);
    let events = rig.answer("GET /api/v3/order", 200, &open(7, &name(&lost)).to_string());
    let [Event::Fill(fill), Event::Account(account)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((fill.order, fill.trade_id), (Some(lost.id), 101));
    assert!(account.complete);
    assert_eq!(account.as_of, asked);
    let ids: Vec<_> = account.open_orders.as_ref().unwrap().iter().map(|o| o.id).collect();
    assert_eq!(ids, [Some(ours.id), None]);
    let base = account.balances.iter().find(|b| b.asset.as_str() == "BASE").unwrap();
    assert!(base.free.is_zero(), "what is not listed is zero");

    // The next reading goes on behind the last trade; a failed part gives no snapshot.
    rig.encode(&Action::Reconcile { venue: VenueId(0) });
    rig.answer("GET /api/v3/openOrders", 200, "[]");
    rig.answer("GET /api/v3/account", 200, r#"{"balances":[]}"#);
    assert!(rig.requests[0].url.contains("fromId=102"), "{}", rig.requests[0].url);
    let events = rig.reply_first("GET /api/v3/myTrades", Err(NoReply::Lost("x".into())));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["garbled"]);
}

/// Somebody else's orders may be many; each one asked for would be a storm.
#[test]
fn whose_many_trades_are_is_read_from_the_list_of_all_orders() {
    for product in [SPOT, USDM] {
        let spot = product == SPOT;
        let name_of = |usdm: &'static str, of_spot: &'static str| if spot { of_spot } else { usdm };
        let trades = name_of("GET /fapi/v1/userTrades", "GET /api/v3/myTrades");
        let all = name_of("GET /fapi/v1/allOrders", "GET /api/v3/allOrders");
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        rig.requests.clear();
        rig.encode(&Action::Reconcile { venue: VenueId(0) });
        rig.answer(trades, 200, &json!([trade_row(99, 4)]).to_string());
        rig.answer(name_of("GET /fapi/v1/openOrders", "GET /api/v3/openOrders"), 200, "[]");
        if spot {
            rig.answer("GET /api/v3/account", 200, r#"{"balances":[]}"#);
        } else {
            rig.answer("GET /fapi/v3/account", 200, r#"{"assets":[]}"#);
            rig.answer("GET /fapi/v3/positionRisk", 200, "[]");
        }
        let ours = order(3, OrderKind::PostOnly);
        let rows: Vec<Value> = (0..300).map(|n| trade_row(100 + n, 1000 + n)).collect();
        assert!(rig.answer(trades, 200, &Value::from(rows).to_string()).is_empty());
        assert_eq!(rig.requests.len(), 1, "{:?}", rig.requests);
        assert!(rig.requests[0].url.contains("orderId=1000&limit=1000"), "{}", rig.requests[0].url);
        // One is ours, all others somebody else's; one the venue has forgotten.
        let row = |id: u64| {
            let client_id = if id == 1007 { name(&ours) } else { format!("web_{id}") };
            json!({"symbol": "BTCUSDT", "orderId": id, "clientOrderId": client_id,
                "price": "61837.63", "origQty": "0.0005", "executedQty": "0.0005",
                "status": "FILLED", "side": "BUY"})
        };
        let orders: Vec<Value> = (1000..1300).filter(|id| *id != 1200).map(row).collect();
        let events = rig.answer(all, 200, &Value::from(orders).to_string());
        let fills: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Fill(fill) => Some((fill.trade_id, fill.order)),
                _ => None,
            })
            .collect();
        assert_eq!(fills.len(), 300);
        let own: Vec<_> = fills.iter().filter(|(_, order)| order.is_some()).collect();
        assert_eq!(own, [&(107, Some(ours.id))]);
        assert!(matches!(events.last(), Some(Event::Account(_))), "{:?}", events.last());
    }
}

/// A list without a trade means never traded on Spot, not in seven days on USD-M.
#[test]
fn where_no_trade_is_found_nothing_old_is_read() {
    for product in [SPOT, USDM] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.001");
        let spot = product == SPOT;
        let trades = if spot { "GET /api/v3/myTrades" } else { "GET /fapi/v1/userTrades" };
        let mut asked = Vec::new();
        for _ in 0..3 {
            rig.requests.clear();
            rig.encode(&Action::Reconcile { venue: VenueId(0) });
            if asked.is_empty() {
                assert!(rig.answer(trades, 200, "[]").is_empty());
            }
            if spot {
                rig.answer("GET /api/v3/openOrders", 200, "[]");
                rig.answer("GET /api/v3/account", 200, r#"{"balances":[]}"#);
            } else {
                rig.answer("GET /fapi/v1/openOrders", 200, "[]");
                rig.answer("GET /fapi/v3/account", 200, r#"{"assets":[]}"#);
                rig.answer("GET /fapi/v3/positionRisk", 200, "[]");
            }
            asked.push(rig.requests[0].url.clone());
            assert_eq!(rig.answer(trades, 200, "[]").len(), 1, "the snapshot");
            rig.now += Span::from_ms(900);
        }
        let began =
            |url: &str| -> i64 { url.split("startTime=").nth(1).unwrap()[..13].parse().unwrap() };
        if spot {
            assert!(asked.iter().all(|url| url.contains("fromId=0&")), "{asked:?}");
        } else {
            let hour = 3_600_000;
            assert!((began(&asked[0]) - (T0.ms() - hour)).abs() < 1_000, "{asked:?}");
            assert!((900..1_000).contains(&(began(&asked[2]) - began(&asked[0]))), "it moves on");
        }
    }
}

#[test]
fn usdm_readings_and_documented_account_replies() {
    let mut rig = Rig::ready(USDM, &["BTCUSDT", "ADAUSDT"], "0.00000001", "0.00000001");
    rig.requests.clear();
    rig.encode(&Action::Reconcile { venue: VenueId(0) });
    for _ in 0..2 {
        assert!(rig.answer("GET /fapi/v1/userTrades", 200, "[]").is_empty(), "never traded here");
    }
    let Some(orders) = fixture("usdm_rest_openOrders.json") else { return };
    rig.answer("GET /fapi/v1/openOrders", 200, &orders);
    rig.answer("GET /fapi/v1/openOrders", 200, "[]");
    rig.answer("GET /fapi/v3/account", 200, &fixture("usdm_rest_account_v3.json").unwrap());
    rig.answer(
        "GET /fapi/v3/positionRisk",
        200,
        &fixture("usdm_rest_positionRisk_v3.json").unwrap(),
    );
    rig.answer("GET /fapi/v1/userTrades", 200, &fixture("usdm_rest_userTrades.json").unwrap());
    rig.answer("GET /fapi/v1/userTrades", 200, "[]");
    let gone = r#"{"code":-2013,"msg":"Order does not exist."}"#;
    let events = rig.answer("GET /fapi/v1/order", 400, gone);
    let [Event::Fill(fill), Event::Account(account)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(fill.order, None);
    assert_eq!((account.complete, account.positions.len()), (true, 1));
    assert_eq!(account.positions[0].qty, Qty(3_000_000_000));
    assert_eq!(account.balances[0].free.to_string(), "23.72469206");
}

#[test]
fn documented_fees_are_read() {
    let (mut rig, _) = Rig::new(params(SPOT, &["BTCUSDT"]));
    rig.answer("GET /api/v3/time", 200, &json!({"serverTime": T0.ms()}).to_string());
    let Some(fees) = fixture("spot_rest_account_commission.json") else { return };
    let events = rig.answer("GET /api/v3/account/commission", 200, &fees);
    let [Event::Fees { maker, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(maker.to_string(), "0.05000278", "standard, special and tax, and the dearer side");
}
