//! Bytes that no venue should send.

use super::*;

/// Everything that the venue may say, as one pool of bytes to damage.
fn pool() -> Vec<String> {
    let Some(dir) = shared("protocol/fixtures/binance") else { return vec![snapshot(1)] };
    let mut texts: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter(|text| text.len() < 8000)
        .collect();
    texts.sort();
    texts.push(depth(USDM, 1, 2, 0));
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_the_venue_says_makes_us_panic(
        pick in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 32u8..127), 0..4),
        usdm in any::<bool>(),
        status in prop::sample::select(vec![200u16, 400, 401, 418, 429, 500, 503]),
    ) {
        thread_local!(static POOL: Vec<String> = pool());
        let product = if usdm { USDM } else { SPOT };
        let mut bytes = POOL.with(|pool| pick.get(pool).clone().into_bytes());
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let symbols = ["BTCUSDT", "BNBUSDT", "BNBBTC"];
        let mut rig = Rig::ready(product, &symbols, "0.00000001", "0.00000001");
        for link in [LinkKind::Market, LinkKind::MarketSlow, LinkKind::User] {
            rig.text(link, &text);
            for stream in ["bnbbtc@depth", "btcusdt@trade", "bnbusdt@bookTicker", "btcusdt@markPrice"] {
                rig.stream(link, stream, &text);
            }
        }
        let new = order(1, OrderKind::PostOnly);
        rig.encode(&Action::Place(new.clone()));
        rig.encode(&Action::Cancel { id: new.id, instrument: new.instrument });
        rig.encode(&Action::Query { id: new.id, instrument: new.instrument });
        rig.encode(&Action::Reconcile { venue: VenueId(0) });
        for _ in 0..60 {
            let Some(request) = rig.requests.first() else { break };
            rig.reply_first(request.label, Ok(http(status, &text)));
        }
        rig.wait(Span::from_s(100));
        let reply = Reply { outcome: Ok(http(status, &text)), sent_at: rig.now };
        rig.act(|p, now, out| p.on_reply(Tag(u64::MAX), now, reply, out));
    }
}
