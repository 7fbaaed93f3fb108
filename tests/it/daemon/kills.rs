//! kill -9 at any instant: the session goes on as if nobody had died.
//!
//! The venue is asked what it has traded with us; the ledger on disk must say the same, to the
//! last digit and trade, over all lives of the daemon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel::domain::Money;
use serde_json::Value;

use super::rig::{Home, PATIENCE, Venue, agree, edit, money, until};

/// Lives of the daemon in one test; `EVENKEEL_KILLS` asks for more.
fn kills() -> usize {
    std::env::var("EVENKEEL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

/// The same instants for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Quote paid (below zero) or received for everything traded, fees apart, with the fees in base,
/// and how many trades it were.
#[derive(Debug, PartialEq)]
struct Traded {
    quote: Money,
    base_fees: Money,
    trades: usize,
}

/// By the venue's own list of our trades.
fn traded_by_venue(venue: &Venue, at: usize) -> Traded {
    let path = ["/api/v3/myTrades", "/fapi/v1/userTrades"][at];
    let mut traded = Traded { quote: Money::ZERO, base_fees: Money::ZERO, trades: 0 };
    let mut from = 0;
    loop {
        let query = format!("symbol=BTCUSDT&fromId={from}&limit=1000");
        let (code, body) = venue.signed("GET", at, path, &query);
        assert_eq!(code, 200, "{body}");
        let rows: Vec<Value> = serde_json::from_str(&body).unwrap();
        for row in &rows {
            let amount = |key: &str| money(row[key].as_str().unwrap());
            let buys = row["isBuyer"].as_bool().unwrap_or(row["side"] == "BUY");
            let sign = if buys { Money::NEGATIVE_ONE } else { Money::ONE };
            traded.quote += sign * amount("price") * amount("qty");
            if row["commissionAsset"] == "BTC" {
                traded.base_fees += amount("commission");
            }
            traded.trades += 1;
            from = row["id"].as_u64().unwrap() + 1;
        }
        if rows.len() < 1000 {
            return traded;
        }
    }
}

/// By the ledger on disk; `None` while there is none.
fn ledger(home: &Home) -> Option<Value> {
    let text = std::fs::read_to_string(home.state().join("ledger.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// What the ledger says was paid for trades alone: its cash without fees and funding.
fn quote_by_ledger(ledger: &Value, name: &str) -> (Money, Money) {
    let own = &ledger["desks"][name]["position"];
    let amount = |key: &str| money(own[key].as_str().unwrap());
    (amount("cash") + amount("fees") - amount("funding"), amount("base_fees"))
}

/// The ledger on disk is the venue's truth, now or very soon.
fn ledger_agrees(home: &Home, venue: &Venue) {
    let mut last = String::new();
    until(&format!("the ledger and the venue agree\n{last}"), PATIENCE, || {
        let truth = [traded_by_venue(venue, 0), traded_by_venue(venue, 1)];
        let ledger = ledger(home)?;
        let ours = ["spot:BTCUSDT", "usdm:BTCUSDT"].map(|name| quote_by_ledger(&ledger, name));
        let same = truth.iter().zip(&ours).all(|(t, o)| (t.quote, t.base_fees) == *o);
        last = format!("{truth:?}\n{ours:?}");
        if !same {
            eprintln!("{last}");
        }
        same.then_some(())
    });
}

#[test]
fn no_order_leaves_before_its_ledger_is_on_disk() {
    let venue = Venue::lively(3);
    let home = Home::new(&venue, attentive);
    let mut daemon = home.start();
    venue.until("an order", |truth| !truth.open_orders().is_empty());
    daemon.murder();
    assert!(ledger(&home).is_some(), "whose fills nobody would count");
}

fn attentive(text: &str) -> String {
    let text = edit(text, "reconcile_interval_ms = 10000", "reconcile_interval_ms = 1000");
    // Requests die with a process here, so that short lives can trade too.
    let text = edit(&text, "order_unknown_bound_ms = 7000", "order_unknown_bound_ms = 1000");
    edit(&text, "request_timeout_ms = 3000", "request_timeout_ms = 1000")
}

/// What goes wrong in a life, and for how long at most.
const FAULTS: [&str; 6] = [
    r#""kind":"http_503_unknown_after_accept","venue":"spot","for_ms":1000"#,
    r#""kind":"http_timeout","venue":"spot","for_ms":1000"#,
    r#""kind":"drop_user_stream","for_ms":1500"#,
    r#""kind":"close_links""#,
    r#""kind":"latency_ms","add":150,"for_ms":2000"#,
    r#""kind":"gap""#,
];
const LONGEST_FAULT_MS: i64 = 2000;
/// A fault of a life begins within this time.
const FAULT_WITHIN_MS: u64 = 4000;

#[test]
fn whoever_is_killed_at_any_instant_goes_on_with_the_true_ledger() {
    let venue = Venue::lively(60);
    let home = Home::new(&venue, attentive);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut worst = (Money::ZERO, Money::ZERO);
            while !over.load(Ordering::Relaxed) {
                let truth = venue.truth();
                worst.0 = worst.0.max((truth.spot("BTC") - Money::ONE).abs());
                worst.1 = worst.1.max(truth.position().abs());
                std::thread::sleep(Duration::from_millis(10));
            }
            worst
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let time_ms = || venue.truth().0["time_ns"].as_i64().unwrap() / 1_000_000;
            let mut clear_ms = 0;
            for round in 0..kills() {
                if round % 2 == 1 {
                    let fault = FAULTS[dice.below(FAULTS.len() as u64) as usize];
                    let at_ms = dice.below(FAULT_WITHIN_MS) as i64;
                    venue.fault(&format!("{{{fault},\"at_ms\":{at_ms}}}"));
                    clear_ms = time_ms() + at_ms + LONGEST_FAULT_MS;
                }
                // The venue bans an address that reads its account again with every start.
                until("weight to be free again", 4 * PATIENCE, || {
                    let used = &venue.truth().0["used_weight"];
                    (used["usdm"].as_i64()? < 1200 && used["spot"].as_i64()? < 3000).then_some(())
                });
                let mut daemon = home.start();
                std::thread::sleep(Duration::from_millis(200 + dice.below(4500)));
                daemon.murder();
                let said = daemon.said();
                assert!(!said.contains("panicked"), "round {round}: {said}");
                assert!(!said.contains("invariant"), "round {round}: {said}");
                assert!(!said.contains("uplicate"), "round {round}: {said}");
                assert!(!said.contains("holding_moved"), "round {round}: {said}");
            }
            // The last life is to end well, which nobody can in bad weather.
            until("the weather to clear", PATIENCE, || (time_ms() > clear_ms).then_some(()));
            let mut daemon = home.start();
            daemon.until_two_sided();
            agree(&daemon, &venue);
            ledger_agrees(&home, &venue);
            let traded = traded_by_venue(&venue, 0).trades;
            assert!(traded > kills(), "too quiet a market: {traded} trades");
            let (code, said) = daemon.stop();
            assert_eq!(code, 0, "{:#}\n{said}", venue.truth().0);
            assert!(venue.truth().is_flat(), "{:#}\n{said}", venue.truth().0);
            assert!(!said.contains("holding_moved"), "{said}");
            assert!(ledger(&home).is_none(), "the session is over");
        }));
        over.store(true, Ordering::Relaxed);
        let worst = watch.join().unwrap();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // The limits of config/demo.toml.
        assert!(worst.0 <= money("0.02"), "inventory {}", worst.0);
        assert!(worst.1 <= money("0.05"), "position {}", worst.1);
    });
}
