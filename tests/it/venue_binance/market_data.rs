//! Streams, books and links.

use super::*;

#[test]
fn documented_streams_are_read() {
    let table: [(&str, Product, &str, &[&str]); 10] = [
        ("spot_stream_trade.json", SPOT, "bnbbtc@trade", &["trade"]),
        ("spot_stream_bookTicker.json", SPOT, "bnbusdt@bookTicker", &["ticker"]),
        ("spot_stream_aggTrade.json", SPOT, "bnbbtc@aggTrade", &["trade"]),
        ("spot_stream_kline.json", SPOT, "bnbbtc@kline_1m", &[]),
        ("spot_stream_partialDepth.json", SPOT, "bnbbtc@depth5", &[]),
        ("usdm_stream_bookTicker.json", USDM, "bnbusdt@bookTicker", &["ticker"]),
        ("usdm_stream_aggTrade.json", USDM, "bnbusdt@aggTrade", &["trade"]),
        ("usdm_stream_markPriceUpdate.json", USDM, "btcusdt@markPrice@1s", &["mark"]),
        ("usdm_stream_partialDepth.json", USDM, "btcusdt@depth5@100ms", &[]),
        ("usdm_stream_depthUpdate.json", USDM, "bnbusdt@depth@100ms", &[]),
    ];
    for (file, product, stream, want) in table {
        let Some(text) = fixture(file) else { return };
        let mut rig =
            Rig::ready(product, &["BNBBTC", "BNBUSDT", "BTCUSDT"], "0.00000001", "0.00000001");
        let got: Vec<_> = rig.stream(LinkKind::Market, stream, &text).iter().map(kind).collect();
        assert_eq!(got, want, "{file}");
    }
    let Some(shutdown) = fixture("spot_stream_serverShutdown_combined.json") else { return };
    for text in [shutdown, fixture("spot_stream_serverShutdown_raw.json").unwrap()] {
        let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
        rig.wait(Span::from_s(6));
        rig.frames.clear();
        assert!(rig.text(LinkKind::Market, &text).is_empty(), "the old one serves on");
        assert_eq!(rig.connects().len(), 1);
        let renewed = rig.act(|p, now, out| p.on_renewed(LinkKind::Market, now, out));
        assert_eq!(renewed.iter().map(kind).collect::<Vec<_>>(), ["up"]);
        assert!(rig.text(LinkKind::Market, &text).is_empty());
        assert!(rig.connects().is_empty(), "announced again on a young connection: patience");
        rig.wait(Span::from_s(6));
        assert_eq!(rig.connects().len(), 1);
    }
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    assert!(rig.text(LinkKind::Market, r#"{"result":null,"id":1}"#).is_empty());
}

#[test]
fn off_market_prints_are_no_prices() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let print = |x: &str| {
        format!(
            r#"{{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"28722.50","q":"0.1","X":"{x}","T":1,"m":true,"M":true}}"#
        )
    };
    assert!(rig.stream(LinkKind::Market, "btcusdt@trade", &print("INSURANCE_FUND")).is_empty());
    assert_eq!(rig.stream(LinkKind::Market, "btcusdt@trade", &print("MARKET")).len(), 1);
}

#[test]
fn an_empty_side_is_no_price() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    let empty = r#"{"u":1,"s":"BTCUSDT","b":"0.00000000","B":"0.00000000","a":"1.00","A":"1"}"#;
    assert!(rig.stream(LinkKind::Market, "btcusdt@bookTicker", empty).is_empty());
}

#[test]
fn a_book_story_on_each_product() {
    for product in [SPOT, USDM] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        let feed = |rig: &mut Rig, first, last, previous| {
            let data = depth(product, first, last, previous);
            let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &data);
            events.iter().map(kind).collect::<Vec<_>>()
        };
        // The straddling diff comes before the snapshot is even asked for.
        assert!(feed(&mut rig, 11, 20, 10).is_empty());
        assert!(feed(&mut rig, 21, 30, 20).is_empty());
        // A snapshot older than the first diff is thrown away and asked for again, not at once.
        assert!(rig.answer(depth_label(product), 200, &snapshot(5)).is_empty());
        assert!(rig.requests.is_empty());
        rig.wait(Span::from_s(1));
        let events = rig.answer(depth_label(product), 200, &snapshot(25));
        let [Event::Book(whole), Event::Book(diff)] = &events[..] else { panic!("{events:?}") };
        assert!(whole.snapshot && !diff.snapshot);
        assert_eq!(feed(&mut rig, 31, 40, 30), ["book"]);
        // A missing update is told at once, and nothing is applied until the next snapshot.
        assert_eq!(feed(&mut rig, 51, 60, 50), ["lost"]);
        assert!(feed(&mut rig, 61, 70, 60).is_empty());
        rig.wait(Span::from_s(2));
        let events = rig.answer(depth_label(product), 200, &snapshot(65));
        assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["book", "book"]);
        // A frame that cannot be read, a price off the tick: lost as well.
        let off = depth(product, 71, 80, 70).replace("100.00", "100.001");
        let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &off);
        assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["garbled", "lost"]);
        let events = rig.text(LinkKind::Market, "{\"stream\":\"btcusdt@dep");
        assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["garbled", "lost"]);
    }
}

/// One update id that is too high would make everything after it old.
#[test]
fn a_book_for_which_all_news_is_old_is_built_anew() {
    for product in [SPOT, USDM] {
        let mut rig = Rig::ready(product, &["BTCUSDT"], "0.01", "0.00001");
        let feed = |rig: &mut Rig, first, last, previous| {
            let data = depth(product, first, last, previous);
            let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &data);
            events.iter().map(kind).collect::<Vec<_>>()
        };
        feed(&mut rig, 11, 20, 10);
        assert_eq!(rig.answer(depth_label(product), 200, &snapshot(15)).len(), 2);
        assert_eq!(feed(&mut rig, 21, 1_000_020, 20), ["book"]);
        let mut lost = None;
        for n in 0..100 {
            let told = feed(&mut rig, 21 + n, 21 + n, 20 + n);
            lost = lost.or((!told.is_empty()).then_some((n, told)));
        }
        let (after, told) = lost.expect("it is found out");
        assert_eq!((told, (10..=60).contains(&after)), (vec!["lost"], true), "after {after}");
    }
}

#[test]
fn a_quiet_market_gets_its_book_without_a_diff() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    assert!(rig.requests.is_empty());
    rig.wait(Span::from_s(1));
    let events = rig.answer("GET /api/v3/depth", 200, &snapshot(25));
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["book"]);
    let next = depth(SPOT, 27, 30, 0);
    let events = rig.stream(LinkKind::Market, "btcusdt@depth@100ms", &next);
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["lost"], "26 is missing");
}

#[test]
fn a_closed_stream_loses_its_books_and_comes_back_with_patience() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.wait(Span::from_s(1));
    rig.answer("GET /api/v3/depth", 200, &snapshot(25));
    let events = rig.act(|p, now, out| p.on_closed(LinkKind::Market, now, "reset", out));
    assert!(
        events.contains(&Event::BookLost {
            instrument: InstrumentId(0),
            why: BookLoss::Disconnected
        })
    );
    let mut waits = Vec::new();
    for _ in 0..4 {
        waits.extend(rig.connects().into_iter().filter(|c| c.0 == LinkKind::Market).map(|c| c.2));
        rig.act(|p, now, out| p.on_closed(LinkKind::Market, now, "refused", out));
    }
    assert!(waits.windows(2).all(|w| w[1] > w[0]), "{waits:?}");
    // A late snapshot of the old stream proves nothing about the new one.
    rig.open(LinkKind::Market);
    rig.wait(Span::from_s(1));
    let stale = rig.requests.pop().unwrap();
    rig.act(|p, now, out| p.on_closed(LinkKind::Market, now, "reset", out));
    rig.open(LinkKind::Market);
    let reply = Reply { outcome: Ok(http(200, &snapshot(30))), sent_at: rig.now };
    let events = rig.act(|p, now, out| p.on_reply(stale.tag, now, reply, out));
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn links_are_renewed_before_the_venue_cuts_them_and_when_they_are_silent() {
    let mut rig = Rig::ready(SPOT, &["BTCUSDT"], "0.01", "0.00001");
    rig.open(LinkKind::User);
    rig.text(LinkKind::User, r#"{"id":"user-1","status":200,"result":{}}"#);
    rig.connects();
    let (mut down, mut renewals) = (0, Vec::new());
    for _ in 0..(24 * 60) {
        let events = rig.wait(Span::from_s(60));
        rig.requests.clear();
        let cut = |e: &&Event| matches!(e, Event::Link { up: false, .. });
        down += events.iter().filter(cut).count();
        rig.act(|p, now, out| p.on_alive(LinkKind::Market, now, out));
        rig.act(|p, now, out| p.on_alive(LinkKind::User, now, out));
        if rig.connects().iter().any(|(link, ..)| *link == LinkKind::Market) {
            renewals.push(rig.now.since(T0));
        }
    }
    assert_eq!(down, 0, "neither stream is not closed before there is a new one");
    let day = Span::from_s(24 * 3600);
    assert!(renewals[0] > Span::from_s(23 * 3600) && renewals[0] < day, "{renewals:?}");
    assert!(renewals.len() > 5, "what was not renewed is tried again: {renewals:?}");
    let mut rig = Rig::ready(USDM, &["BTCUSDT"], "0.01", "0.00001");
    let events = rig.wait(Span::from_s(300));
    assert!(events.iter().any(|e| kind(e) == "down"), "silence is a dead connection");
}
