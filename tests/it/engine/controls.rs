//! Limits that only an unusual market, clock or venue reaches, each driven over its edge.

use super::*;

/// Quoting on both sides, acknowledged, 100 ms from the start.
fn quoting(params: Params) -> Story {
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    let said = story.play("10ms book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1");
    assert_eq!(said.iter().filter(|line| line.starts_with("place")).count(), 2, "{said:?}");
    story.play("20ms ack #1; ack #2");
    story
}

/// Plays a line together with the venue's word on what the line before led to.
fn follow(story: &mut Story, news: &mut Vec<String>, ms: i64, text: &str) -> Vec<String> {
    let said = story.play(&format!("{ms}ms {text}; {}", news.join("; ")));
    *news = said
        .iter()
        .filter_map(|line| {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("place"), Some(number)) => Some(format!("ack {number}")),
                (Some("cancel"), Some(number)) => Some(format!("canceled {number}")),
                _ => None,
            }
        })
        .collect();
    said
}

fn says(said: &[String], words: &str) -> bool {
    said.iter().any(|line| line.contains(words))
}

fn step(story: &mut Story, ms: i64, events: &[Event]) -> Vec<String> {
    story.now_ms = ms;
    let mut actions = Vec::new();
    story.engine.step(story.now(), events, &mut actions);
    actions.iter().filter_map(|action| story.describe(action)).collect()
}

#[test]
fn a_market_that_runs_is_left_until_it_has_stood_for_the_window() {
    let mut params = params();
    params.reference.max_move_bps = 40.0;
    params.reference.move_window = Span::from_ms(1600);
    params.market.max_volatility_bps_sqrt_s = 1e9;
    let mut story = quoting(params);
    // Small steps, both venues alike: no collar of one order and no disagreement would say a word.
    let (mut said, mut news) = (Vec::new(), Vec::new());
    for n in 1..=5 {
        let (spot, perp) = (60_000 + n * 60, 59_980 + n * 60);
        let book = format!("book spot {spot}.00x1 {spot}.01x1; book perp {perp}.0x1 {perp}.1x1");
        said.extend(follow(&mut story, &mut news, 100 + n * 100, &book));
    }
    assert!(says(&said, "buys: price_moved") && says(&said, "sells: price_moved"), "{said:?}");
    let range = story.engine.status(story.now()).instruments[0].price_range_bps;
    assert!((range - 50.0).abs() < 0.1, "{range}");
    let book = "book spot 60300.00x1 60300.01x1; book perp 60280.0x1 60280.1x1";
    let still = follow(&mut story, &mut news, 1590, book);
    assert!(!says(&still, "place"), "{still:?}");
    let after = follow(&mut story, &mut news, 2300, book);
    assert!(says(&after, "buys: quoting"), "{after:?}");
}

#[test]
fn a_clock_too_far_from_the_venues_pulls_its_quotes() {
    let mut story = quoting(params());
    let clock = |ms| Event::Clock {
        venue: VenueId(0),
        offset: Span::from_ms(ms),
        round_trip: Span::from_ms(1),
    };
    let said = step(&mut story, 100, &[clock(-501)]);
    assert!(says(&said, "buys: clock_skew") && says(&said, "cancel #1"), "{said:?}");
    story.play("110ms canceled #1; canceled #2");
    let said = step(&mut story, 200, &[clock(500)]);
    assert!(says(&said, "buys: quoting"), "{said:?}");
}

#[test]
fn a_book_that_stays_crossed_is_asked_for_anew() {
    let mut story = quoting(params());
    let mut said = Vec::new();
    for n in 1..=40 {
        // A bid that the venue has taken back without our hearing of it.
        let book = "book perp 59980.0x1 59980.1x1; book spot 60500.00x1 60000.01x1";
        said.extend(story.play(&format!("{}ms alive; {book}", 100 + 100 * n)));
    }
    assert!(says(&said, "buys: book_crossed"), "{said:?}");
    let anew = said.iter().filter(|line| line.contains("resync")).count();
    assert!((1..=3).contains(&anew), "{said:?}");
}

#[test]
fn a_wild_market_is_not_quoted() {
    let mut params = params();
    params.market.max_volatility_bps_sqrt_s = 8.0;
    let mut story = quoting(params);
    let (mut said, mut news) = (Vec::new(), Vec::new());
    for n in 1..200 {
        // A quarter of a per cent up and back in three steps of 100 ms.
        let off = [0, 75, 150][n as usize % 3];
        let (spot, perp) = (60_000 + off, 59_980 + off);
        let book = format!("book spot {spot}.00x1 {spot}.01x1; book perp {perp}.0x1 {perp}.1x1");
        said.extend(follow(&mut story, &mut news, 100 + n * 100, &book));
    }
    assert!(says(&said, "buys: volatile"), "{said:?}");
}

#[test]
fn without_a_second_price_there_is_no_quote() {
    let mut story = quoting(params());
    story.play("100ms lost perp");
    let said = story.play("3500ms alive; book spot 60000.00x1 60000.01x1");
    assert!(says(&said, "buys: no_reference"), "{said:?}");
}

#[test]
fn fills_that_repeat_on_one_side_halt_for_good() {
    let mut params = params();
    params.risk.max_fills_per_minute_side = 3;
    params.hedge = None;
    let mut story = quoting(params);
    let mut said = Vec::new();
    for n in 1..=4 {
        said.extend(story.play(&format!("{}ms fill #1 0.00010", 100 * n)));
    }
    assert!(says(&said, "halted: 4 buy fills within 60 s"), "{said:?}");
    assert!(says(&said, "cancel #1") && says(&said, "cancel #2"), "{said:?}");
    assert!(!says(&said, "place"), "{said:?}");
    let later = story.play("90000ms alive; book spot 60000.00x1 60000.01x1");
    assert!(!says(&later, "place"), "time alone ends no halt: {later:?}");
}

#[test]
fn refusals_that_repeat_halt_before_they_are_a_storm() {
    let mut params = params();
    params.risk.max_rejects_per_10s = 3;
    let mut story = quoting(params);
    story.play("30ms canceled #1; canceled #2");
    let (mut said, mut next, mut refused) = (Vec::new(), 3, 0);
    for n in 1..100 {
        let book = "book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
        let mut line = format!("{}ms alive; {book}", 100 * n);
        while story.sent.contains_key(&next) {
            line += &format!("; would_take #{next}");
            (next, refused) = (next + 1, refused + 1);
        }
        said.extend(story.play(&line));
    }
    assert!(says(&said, "refusals within 10 s"), "{said:?}");
    assert!(refused <= 5, "{refused} orders were sent to be refused");
}

#[test]
fn an_exhausted_budget_stops_quotes_and_no_cancel() {
    let mut params = params();
    params.venues[0].max_orders_per_s = 3.0;
    let mut story = quoting(params);
    let moved = story.play(
        "100ms book spot 60100.00x1 60100.01x1; book perp 60080.0x1 60080.1x1; canceled #1; \
         canceled #2",
    );
    assert!(says(&moved, "budget"), "{moved:?}");
    let killed = story.play("110ms kill");
    let live = story.sent.keys().filter(|number| **number > 2).count();
    let cancels = moved.iter().chain(&killed).filter(|line| line.starts_with("cancel")).count();
    assert!(cancels >= live, "{live} live: {moved:?} {killed:?}");
}

/// Long of what two filled bids bought, with a hedge of it resting, 1,030 ms from the start.
fn hedging_at_rest() -> Story {
    let mut params = params();
    params.hedge.as_mut().unwrap().passive = Span::from_s(60);
    let mut story = quoting(params);
    story.play("1000ms alive; fill #1 0.002; filled #1 0.002");
    story.play("1010ms ack #3");
    let said = story.play("1020ms fill #3 0.0016; filled #3 0.0016");
    assert!(says(&said, "place #5 perp sell"), "{said:?}");
    story.play("1030ms ack #5; ack #6; ack #4; canceled #2");
    story
}

fn without_hedges() -> Event {
    let tunables = Tunables::of(&Params { hedge: None, ..params() }).to_text();
    Event::Control(Control::Reload { changes: vec![], tunables })
}

#[test]
fn hedging_that_is_switched_off_leaves_no_hedge_resting() {
    let mut story = hedging_at_rest();
    let said = step(&mut story, 1100, &[without_hedges()]);
    assert!(says(&said, "cancel #5"), "{said:?}");
    assert!(!says(&said, "perp sell"), "{said:?}");
}

#[test]
fn hedging_that_is_switched_off_when_it_is_late_is_late_no_more() {
    let mut story = hedging_at_rest();
    for ms in (1100..4000).step_by(300) {
        story.play(&format!("{ms}ms alive"));
    }
    assert_eq!(story.engine.state(), State::Reducing);
    step(&mut story, 4100, &[without_hedges()]);
    step(&mut story, 4200, &[]);
    assert_eq!(story.engine.state(), State::Quoting);
}

#[test]
fn while_a_hedge_is_late_no_bid_rests_that_would_add_to_it() {
    let mut story = hedging_at_rest();
    let mut said = Vec::new();
    for ms in (1100..4000).step_by(300) {
        said.extend(story.play(&format!("{ms}ms alive")));
    }
    assert_eq!(story.engine.state(), State::Reducing);
    assert!(says(&said, "cancel #6") && says(&said, "buys: reducing"), "{said:?}");
    assert!(!says(&said, "sells: reducing"), "{said:?}");
}

#[test]
fn a_venue_that_failed_is_tried_again_on_resume_and_read_at_the_end() {
    for resumes in [true, false] {
        let mut story = quoting(params());
        let failed = Event::VenueFailed {
            venue: VenueId(0),
            class: RejectClass::Auth,
            text: "spot refused: -2015".to_owned(),
        };
        let said = step(&mut story, 1000, std::slice::from_ref(&failed));
        assert!(says(&said, "halted"), "{said:?}");
        story.play("1010ms canceled #1; canceled #2");
        let control = if resumes { Control::Resume } else { Control::Stop };
        let asked = |story: &mut Story, ms: i64, events: &[Event]| {
            story.now_ms = ms;
            let mut actions = Vec::new();
            story.engine.step(story.now(), events, &mut actions);
            actions.contains(&Action::Reconcile { venue: VenueId(0) })
        };
        let mut again = asked(&mut story, 3000, &[Event::Control(control)]);
        again |= (1..=20).any(|n| asked(&mut story, 3000 + 100 * n, &[]));
        assert!(again, "the account of a failed venue is read again");
        if resumes {
            // Where nothing has been mended it fails as before.
            step(&mut story, 6000, &[failed]);
            assert_eq!(story.engine.state(), State::Halted);
        }
    }
}

/// Steps whenever the core asks for it and nothing arrives, until it says so; milliseconds.
fn silent_until(story: &mut Story, words: &str, at_most_ms: i64) -> i64 {
    loop {
        let wakeup = story.engine.next_wakeup().unwrap();
        story.now_ms += (wakeup.since(story.now()).0 + 999_999) / 1_000_000;
        assert!(story.now_ms <= at_most_ms, "no {words:?} by {at_most_ms} ms");
        let now_ms = story.now_ms;
        if says(&step(story, now_ms, &[]), words) {
            return now_ms;
        }
    }
}

#[test]
fn quotes_on_a_dead_stream_are_cancelled_as_soon_as_they_may_be() {
    // Whenever the last word came, and whatever the daemon looked at meanwhile.
    for last_ms in (100..1100).step_by(70) {
        let mut params = params();
        params.market.max_book_age = Span::from_ms(1500);
        let mut story = quoting(params);
        story.play("90ms book spot 60000.00x1 60000.01x1");
        story.play(&format!("{last_ms}ms alive"));
        let cancelled_ms = silent_until(&mut story, "cancel #1", 10_000);
        assert!((last_ms + 1500..=last_ms + 1750).contains(&cancelled_ms), "{cancelled_ms} ms");
    }
}

#[test]
fn quotes_on_a_mute_book_are_cancelled_as_soon_as_they_may_be() {
    let mut params = params();
    params.market.max_book_age = Span::from_ms(1500);
    let mut story = quoting(params);
    // News every 50 ms, so that a silence of 1.5 s is no quiet market's.
    let last_ms = 3100;
    for ms in (50..=last_ms).step_by(50) {
        story.play(&format!("{ms}ms alive; book spot 60000.00x1 60000.01x1"));
    }
    // Pings are answered all the time.
    let cancelled_ms = (last_ms + 10..last_ms + 4000).step_by(10).find(|ms| {
        let line = if ms % 100 == 0 { "alive" } else { "" };
        says(&story.play(&format!("{ms}ms {line}")), "cancel #1")
    });
    let waited = cancelled_ms.map(|ms| ms - last_ms);
    assert!(waited.is_some_and(|ms| (1500..=1750).contains(&ms)), "{waited:?} ms");
}

#[test]
fn a_confirmed_order_is_missed_only_since_it_was_not_found() {
    let mut story = quoting(params());
    // Long after it was sent, longer than the venue may take to process an order.
    let book = "alive; book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
    for s in 1..=10 {
        story.play(&format!("{s}000ms {book}"));
    }
    story.play(&format!("10100ms {book}; unknown #1"));
    let mut said = Vec::new();
    for ms in (10_150..13_100).step_by(50) {
        let asked = story.play(&format!("{ms}ms {book}"));
        if says(&asked, "query #1") {
            said.extend(story.play(&format!("{}ms not_found #1", ms + 5)));
        }
        said.extend(asked);
    }
    let asked = said.iter().filter(|line| *line == "query #1").count();
    assert!(asked >= 2, "{said:?}");
    assert!(!says(&said, "cancel #1"), "given up {said:?}");
    let later = silent_until(&mut story, "cancel #1", 20_000);
    assert!(later >= 13_100, "{later} ms");
}

#[test]
fn an_order_that_the_list_shows_is_no_longer_missed_and_one_given_up_is_cancelled() {
    let book = "alive; book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
    let listed = "account spot BTC=1 USDT=100000 open=#1 open=#2";
    // What is asked for by id is not found, until the given time; how often it was asked.
    let missed = |story: &mut Story, from_ms: usize, to_ms: usize| {
        let mut said = story.play(&format!("{from_ms}ms {book}; unknown #1"));
        for ms in (from_ms + 50..to_ms).step_by(50) {
            let now = story.play(&format!("{ms}ms {book}"));
            if says(&now, "query #1") {
                said.extend(story.play(&format!("{}ms not_found #1", ms + 5)));
            }
            if says(&now, "cancel #1") {
                said.extend(story.play(&format!("{}ms gone #1", ms + 5)));
            }
            said.extend(now);
        }
        said
    };
    let asks = |said: &[String]| said.iter().filter(|line| *line == "query #1").count();

    let mut story = quoting(params());
    assert!(asks(&missed(&mut story, 1_000, 3_000)) >= 2);
    story.play(&format!("3000ms {book}; {listed}"));
    let mut said = Vec::new();
    for ms in (3_050..20_000).step_by(50) {
        said.extend(story.play(&format!("{ms}ms {book}")));
    }
    assert!(asks(&said) == 0 && !says(&said, "cancel #1"), "{said:?}");

    let mut story = quoting(params());
    let said = missed(&mut story, 1_000, 20_000);
    assert!(says(&said, "cancel #1"), "given up: {said:?}");
    let said = story.play(&format!("20000ms {book}; {listed}"));
    assert!(says(&said, "cancel #1"), "it rests after all: {said:?}");
}

#[test]
fn what_others_orders_hold_is_not_spent() {
    let book = "alive; book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
    // Nearly all the coins are in orders of somebody else who has the account.
    let mut story = Story::with(params());
    let mut said = Vec::new();
    said.extend(story.play("0ms connected"));
    let account = "account spot BTC=0.001+0.999 USDT=100000; account perp USDT=100000";
    said.extend(story.play(&format!("5ms {account}")));
    said.extend(story.play(&format!("10ms {book}")));
    assert!(says(&said, "place #1 spot buy 59970.00 x 0.00200 post_only"), "{said:?}");
    assert!(says(&said, "place #2 spot sell 60030.01 x 0.00100 post_only"), "{said:?}");
    // One reading between an order's end and the next may show the same; two in a row do not.
    let mut story = quoting(params());
    let locked = "account spot BTC=0.001+0.999 USDT=100000 open=#1 open=#2";
    story.play(&format!("1000ms {book}; {locked}"));
    let away = "alive; book spot 60200.00x1 60200.01x1; book perp 60180.0x1 60180.1x1";
    let (mut news, mut said) = (Vec::new(), Vec::new());
    for ms in (1_050..2_000).step_by(50) {
        said.extend(follow(&mut story, &mut news, ms, away));
    }
    assert!(says(&said, "spot sell 60230.11 x 0.00200 post_only"), "{said:?}");
}

#[test]
fn a_halt_sends_cancels_and_nothing_that_trades() {
    let mut params = params();
    params.hedge = Some(HedgeParams { trigger_base: dec("0.0015"), ..hedge_params() });
    let mut story = quoting(params);
    // Two thousandths to hedge, and the operator kills before the hedge has left.
    let said = story.play("100ms kill; fill #1 0.00200");
    assert!(says(&said, "cancel #2") && !says(&said, "place"), "{said:?}");
    let mut said = story.play("110ms canceled #2");
    for s in 1..20 {
        let book = "alive; book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
        said.extend(story.play(&format!("{s}000ms {book}")));
    }
    assert!(!says(&said, "place"), "{said:?}");
    assert_eq!(story.engine.state(), State::Halted);
}

#[test]
fn sizes_grow_after_every_start_of_quoting() {
    let mut params = params();
    params.risk.ramp_up = Span::from_s(60);
    params.risk.ramp_up_from = 0.25;
    params.hedge = None;
    let mut story = Story::with(params);
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    let book = "book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1";
    let mut news = Vec::new();
    let first = follow(&mut story, &mut news, 10, book);
    assert!(says(&first, "spot buy 59970.00 x 0.00050"), "{first:?}");
    assert!((story.engine.status(story.now()).size_share - 0.25).abs() < 1e-9);
    let mut sizes = Vec::new();
    for s in 1..=70 {
        // The market moves a little, so that quotes do.
        let spot = 60_000 + s % 2 * 12;
        let moved =
            format!("alive; book spot {spot}.00x1 {spot}.01x1; book perp 59980.0x1 59980.1x1");
        let said = follow(&mut story, &mut news, s * 1000, &moved);
        let buys = said.iter().filter(|line| line.contains("spot buy"));
        sizes.extend(buys.map(|line| line.split(' ').nth(6).unwrap().to_owned()));
    }
    assert!(sizes.is_sorted() && sizes.last().is_some_and(|size| size == "0.00200"), "{sizes:?}");
    sizes.dedup();
    assert_eq!(sizes.len(), 11, "ten steps: {sizes:?}");
    // A halt and its end begin it anew.
    follow(&mut story, &mut news, 71_000, "kill");
    follow(&mut story, &mut news, 71_100, "resume");
    follow(
        &mut story,
        &mut news,
        71_200,
        "account spot BTC=1 USDT=100000; account perp USDT=100000",
    );
    let again = follow(&mut story, &mut news, 71_300, &format!("alive; {book}"));
    assert!(says(&again, "x 0.00050"), "{again:?}");
}

#[test]
fn a_mute_market_stream_is_asked_for_anew() {
    let mut story = Story::new();
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    let tick = |ms: i64| {
        format!("{ms}ms alive; book spot 60000.00x1 60000.01x1; book perp 59980.0x1 59980.1x1")
    };
    let busy: Vec<String> = (1..100).flat_map(|n| story.play(&tick(n * 100))).collect();
    assert!(!busy.iter().any(|line| line.starts_with("resync")), "{busy:?}");
    // Pongs go on, news does not.
    let mute: Vec<String> =
        (100..150).flat_map(|n| story.play(&format!("{}ms alive", n * 100))).collect();
    assert!(mute.iter().any(|line| line == "buys: book_stale"), "{mute:?}");
    let asked = mute.iter().filter(|line| line.starts_with("resync")).count();
    assert_eq!(asked, 2, "once for each book: {mute:?}");
}
