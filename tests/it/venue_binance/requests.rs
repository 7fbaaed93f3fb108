//! Requests as the venue wants them.

use super::*;

#[test]
fn orders_leave_as_the_venue_wants_them() {
    for (product, kind, want) in [
        (SPOT, OrderKind::PostOnly, "type=LIMIT_MAKER"),
        (SPOT, OrderKind::ImmediateOrCancel, "type=LIMIT timeInForce=IOC"),
        (USDM, OrderKind::PostOnly, "type=LIMIT timeInForce=GTX"),
        (USDM, OrderKind::ImmediateOrCancel, "type=LIMIT timeInForce=IOC reduceOnly=true"),
    ] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        let reduce_only = kind == OrderKind::ImmediateOrCancel;
        let new = NewOrder { reduce_only, ..order(7, kind) };
        rig.encode(&Action::Place(new.clone()));
        let request = rig.requests.pop().unwrap();
        assert_eq!((request.method, request.urgency), (Method::Post, Urgency::Order));
        let sent = verify(&request);
        let mut shown = format!("type={}", sent["type"]);
        for extra in ["timeInForce", "reduceOnly"] {
            if let Some(value) = sent.get(extra) {
                shown += &format!(" {extra}={value}");
            }
        }
        assert_eq!(shown, want);
        assert_eq!(sent["symbol"], "BTCUSDT");
        assert_eq!((&*sent["price"], &*sent["quantity"]), ("61837.63", "0.00150"));
        assert_eq!(sent["newClientOrderId"], name(&new));

        rig.encode(&Action::Cancel { id: new.id, instrument: new.instrument });
        let request = rig.requests.pop().unwrap();
        assert_eq!((request.method, request.urgency), (Method::Delete, Urgency::Cancel));
        assert_eq!(verify(&request)["origClientOrderId"], name(&new));
        rig.encode(&Action::Query { id: new.id, instrument: new.instrument });
        assert_eq!(verify(&rig.requests.pop().unwrap())["origClientOrderId"], name(&new));
    }
}

#[test]
fn amends_are_what_each_product_can_do() {
    let new = order(7, OrderKind::PostOnly);
    let amend = |px, qty| {
        Action::Amend(Amend { id: new.id, instrument: new.instrument, side: new.side, px, qty })
    };
    let mut usdm = Rig::ready(USDM, &["BTCUSDT"], "0.01", "0.00001");
    usdm.encode(&amend(Px(6_000_000), Qty(200)));
    let request = usdm.requests.pop().unwrap();
    assert_eq!(request.label, "PUT /fapi/v1/order");
    let sent = verify(&request);
    assert_eq!((&*sent["price"], &*sent["quantity"]), ("60000.00", "0.00200"));

    let mut spot = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    spot.encode(&Action::Place(new.clone()));
    spot.requests.clear();
    let refused = updates(&spot.encode(&amend(Px(6_000_000), Qty(100))));
    assert!(matches!(&refused[..], [OrderUpdate::ChangeRejected { gone: false, .. }]));
    spot.encode(&amend(new.px, Qty(100)));
    let sent = verify(spot.requests.last().unwrap());
    assert_eq!(sent["newClientOrderId"], name(&new), "the order keeps our name");
    let reply = json!({"transactTime": 1, "executionId": 1, "amendedOrder": {"symbol": "BTCUSDT",
        "orderId": 33, "origClientOrderId": name(&new), "clientOrderId": name(&new),
        "price": "61837.63", "qty": "0.00100", "executedQty": "0", "status": "NEW", "side": "BUY"}});
    let news =
        updates(&spot.answer("PUT /api/v3/order/amend/keepPriority", 200, &reply.to_string()));
    assert_eq!(
        news,
        [OrderUpdate::State {
            status: OrderStatus::New,
            filled: Qty(0),
            qty: Qty(100),
            px: new.px
        }]
    );
}

#[test]
fn signing_vectors_match() {
    let Some(vectors) = fixture("signing_vectors.json") else { return };
    let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    let hmac: Vec<_> = vectors.iter().filter(|v| v["alg"] == "HMAC-SHA256").collect();
    assert!(hmac.len() >= 8);
    for vector in hmac {
        let signer = Signer::new(&vector["secret"].as_str().unwrap().into());
        assert_eq!(
            signer.sign(vector["payload_utf8"].as_str().unwrap()),
            vector["signature"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
    }
    let recorded: Value =
        serde_json::from_str(&fixture("client_request_vectors.json").unwrap()).unwrap();
    let mut checked = 0;
    for request in recorded["requests"].as_array().unwrap() {
        let (Some(payload), true) =
            (request["signed_payload"].as_str(), request["query"].is_string())
        else {
            continue;
        };
        let both =
            format!("{}&{}", request["query"].as_str().unwrap(), request["body"].as_str().unwrap());
        let signature = both.split("signature=").nth(1).unwrap().split('&').next().unwrap();
        assert_eq!(Signer::new(&SECRET.into()).sign(payload), signature);
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}
