//! A session that goes on in another process: same ledger, same limits, nothing twice.

use super::*;

const READ: &str = "account spot BTC=1.002 USDT=99880; account perp USDT=100000";

/// A session that bought 0.002 and was killed; what was on disk then.
fn killed(params: Params) -> (Story, Ledger) {
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    story.play("10ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    story.play("20ms ack #1; ack #2");
    story.play("1000ms alive; fill #1 0.002; filled #1 0.002");
    let json = serde_json::to_string(&story.engine.ledger().unwrap()).unwrap();
    (story, serde_json::from_str(&json).unwrap())
}

/// The next process, which remembers what the venue's trades were.
fn next(before: Story, ledger: Ledger, mut params: Params) -> Story {
    params.epoch += 1;
    let mut story = Story::with(params);
    (story.sent, story.trade_id) = (before.sent, before.trade_id);
    story.engine.resume_session(ledger);
    story
}

fn profit(story: &Story) -> Money {
    let status = story.engine.status(story.now());
    status.instruments.iter().map(|own| own.profit_quote).sum()
}

#[test]
fn missed_trades_are_booked_and_known_ones_are_not_booked_again() {
    let (before, ledger) = killed(params());
    assert_eq!(ledger.desks["spot:BTCUSDT"].trades, [(1, Side::Buy)]);
    let expected = profit(&before);
    let mut story = next(before, ledger, params());
    assert_eq!(
        story.engine.trades_from(),
        [0, 1].map(|id| (InstrumentId(id), TradesFrom::Time(Ts::from_ms(START_MS)))),
        "no trade is settled yet, and none was there before"
    );
    story.play("60000ms connected");
    assert_eq!(profit(&story), expected, "at the last mark");
    // The venue's list tells the known trade again, and one that nobody was there to see.
    story.trade_id = 0;
    story.play("60001ms fill #1 0.002; fill #2 0.001");
    let told = story.play("60005ms account spot BTC=1.001 USDT=99940; account perp USDT=100000");
    assert!(!told.iter().any(|line| line.contains("mistake")), "{told:?}");
    // Fills came with the reading, so it is read again before it counts.
    story.play("60600ms account spot BTC=1.001 USDT=99940");
    let status = story.engine.status(story.now());
    assert_eq!(status.instruments[0].held_base, dec("1.001"));
    story.play("60610ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    let sold = dec("0.001") * (dec("60030.01") - dec("60000.005"));
    assert_eq!(profit(&story), expected + sold);
}

#[test]
fn a_transfer_while_nobody_looked_is_no_result() {
    let (before, ledger) = killed(params());
    let expected = profit(&before);
    let mut story = next(before, ledger, params());
    story.play("60000ms connected");
    let mut actions = Vec::new();
    story.now_ms = 60_005;
    let moved = Event::Account(story.account(0, &["BTC=1.005", "USDT=99880"]));
    story.engine.step(story.now(), &[moved], &mut actions);
    let told = actions.iter().find_map(|action| match action {
        Action::Note(Note::HoldingMoved { name, base, .. }) => Some((name.as_str(), *base)),
        _ => None,
    });
    assert_eq!(told, Some(("spot:BTCUSDT", dec("0.003"))));
    story.play("60010ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    assert_eq!(profit(&story), expected);
}

#[test]
fn a_restart_frees_from_no_loss_and_from_no_throttle() {
    let mut careful = params();
    careful.risk.loss_limit_quote_session = dec("5");
    let (before, ledger) = killed(careful.clone());
    assert_eq!(before.engine.state(), State::Quoting);
    let mut story = next(before, ledger, careful);
    story.play("60000ms connected");
    story.play(&format!("60005ms {READ}"));
    // 0.002 bought at 59970 are worth 5.94 less now; most of that fell while nobody looked.
    story.play("60010ms book spot 57000.00x1 57000.01x1; book perp 56980.0x1 56980.1x1");
    story.play(&format!("63010ms alive; {READ}"));
    let halted = story.play("63020ms alive");
    assert!(!halted.iter().any(|line| line.starts_with("place")), "{halted:?}");
    let status = story.engine.status(story.now());
    assert_eq!(status.halt_cause, Some(HaltCause::LossLimit), "{:?}", status.state);

    let mut calm = params();
    calm.risk.max_fills_per_minute_side = 1;
    let (before, ledger) = killed(calm.clone());
    let mut story = next(before, ledger, calm);
    story.play("2000ms connected");
    story.play("2001ms fill #1 0.001");
    let status = story.engine.status(story.now());
    assert_eq!(status.halt_cause, Some(HaltCause::RepeatedExecution), "two buys in a minute");
}

#[test]
fn what_was_known_before_a_reading_is_settled_by_it() {
    let (mut story, _) = killed(params());
    let settled = |story: &Story| {
        let ledger = story.engine.ledger().unwrap();
        let own = &ledger.desks["spot:BTCUSDT"];
        (own.settled_trade, own.trades.len())
    };
    story.play(&format!("2000ms alive; {READ}"));
    assert_eq!(settled(&story), (None, 1), "an older one may have been told after this reading");
    story.play(&format!("3000ms alive; {READ}"));
    assert_eq!(settled(&story), (Some(1), 0));
}

#[test]
fn a_session_begins_behind_the_newest_trade_it_finds() {
    let mut story = Story::with(params());
    story.play("0ms connected");
    let before = Event::TradesBefore { instrument: InstrumentId(0), trade_id: 70 };
    story.engine.step(story.now(), &[before], &mut Vec::new());
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    let ledger = story.engine.ledger().unwrap();
    assert_eq!(ledger.desks["spot:BTCUSDT"].settled_trade, Some(70));
    let story = next(story, ledger, params());
    let from = story.engine.trades_from();
    assert_eq!(from[0], (InstrumentId(0), TradesFrom::Id(71)));
}

/// What the process before had sent may be carried out as long as the venue takes it: nothing is
/// quoted before that has passed and the accounts have been read once more.
#[test]
fn a_session_that_goes_on_quotes_once_nothing_of_the_dead_can_arrive() {
    let (before, ledger) = killed(params());
    let mut story = next(before, ledger, params());
    story.play("60000ms connected");
    let book = "book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
    story.play(&format!("60010ms {READ}; {book}"));
    assert_eq!(story.engine.state(), State::Warming);
    let early = story.play("62900ms alive");
    assert!(!early.iter().any(|line| line.starts_with("place")), "{early:?}");
    let asked = story.play("63100ms alive");
    assert!(asked.iter().any(|line| line == "reconcile spot"), "{asked:?}");
    // It may find an order that nobody knew of: that one goes first.
    let late = "63110ms account spot BTC=1.002 USDT=99880 open=old; account perp USDT=100000";
    let late = story.play(late);
    assert!(late.iter().any(|line| line.starts_with("cancel")), "{late:?}");
    assert_eq!(story.engine.state(), State::Warming);
}

#[test]
fn a_session_killed_before_it_goes_on_quotes_after_a_resume() {
    let (before, ledger) = killed(params());
    let mut story = next(before, ledger, params());
    story.play("60000ms kill");
    story.play("60010ms connected");
    story.play(&format!("60020ms {READ}"));
    story.play("60030ms resume");
    let book = "book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
    story.play(&format!("60040ms {READ}; {book}"));
    story.play(&format!("63100ms alive; {READ}"));
    story.play("63110ms alive");
    assert_eq!(story.engine.state(), State::Quoting);
}
