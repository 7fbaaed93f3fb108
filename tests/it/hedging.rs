//! Stories of hedges: bands, routes, resting orders, other assets.

use evenkeel::domain::{Span, State, VenueId};
use evenkeel::engine::Params;
use evenkeel::inventory::HedgeMode;

use crate::engine::{Story, check_with, dec, params};

fn banded(hedges: u8) -> Params {
    let mut params = params();
    for extra in 1..hedges {
        let mut venue = params.venues[1].clone();
        venue.name = format!("perp{}", extra + 1);
        params.venues.push(venue);
        let mut instrument = params.instruments[1].clone();
        instrument.venue = VenueId(extra + 1);
        params.instruments.push(instrument);
    }
    let hedge = params.hedge.as_mut().unwrap();
    hedge.mode = HedgeMode::Band;
    hedge.trigger_base = dec("0.0085");
    params
}

#[test]
fn inside_the_band_nothing_is_hedged_and_beyond_it_only_back_to_its_edge() {
    let mut params = banded(1);
    params.hedge.as_mut().unwrap().urgent_share = 0.75;
    check_with("band.txt", params);
}

#[test]
fn a_hedge_goes_where_it_is_cheapest_and_past_a_venue_that_is_down() {
    let mut params = banded(2);
    params.hedge.as_mut().unwrap().mode = HedgeMode::Trigger;
    params.hedge.as_mut().unwrap().trigger_base = dec("0.003");
    check_with("routing.txt", params);
}

#[test]
fn a_hedge_rests_at_the_touch_and_takes_the_rest_when_its_time_is_up() {
    let mut params = params();
    params.hedge.as_mut().unwrap().passive = Span::from_ms(500);
    check_with("passive.txt", params);
}

/// ETH on spot and the BTC perpetual: what is held of the one is hedged with the other, by as much
/// as they have been seen to move together.
#[test]
fn an_asset_without_a_hedge_instrument_goes_by_the_one_that_moves_with_it() {
    let mut params = params();
    params.hedge.as_mut().unwrap().cross = true;
    let mut story = Story::with(params);
    story.spot_base = "ETH";
    story.play("0ms connected");
    story.play("5ms account spot ETH=1 USDT=100000; account perp USDT=100000");
    let book = |ms: i64, up: i64| {
        // Half a move of the perpetual for each of spot, so that beta is 2.
        let (spot, perp) = (60_000 + 60 * up, 60_000 + 30 * up);
        format!(
            "{ms}ms alive; mark spot {spot}; mark perp {perp}; book spot {spot}.00x1 {spot}.01x1; \
             book perp {perp}.0x1 {perp}.1x1"
        )
    };
    let mut sent = Vec::new();
    // Levels change between the joint samples, which are 5 s apart.
    for step in 1..300 {
        let level = (step + 2) / 5;
        let up = i64::from((level * 7 + level / 3) % 5 > 1);
        for line in story.play(&book(step * 1_000, up)) {
            let buys = line.starts_with("place #") && line.contains("spot buy");
            sent.extend(line.split_whitespace().nth(1).filter(|_| buys).map(str::to_owned));
            if let Some(id) = line.strip_prefix("cancel ") {
                story.play(&format!("{}ms canceled {id}", step * 1_000 + 2));
            }
        }
        for order in story.engine.status(story.now()).orders {
            let number = order.id.strip_prefix("1-").unwrap().to_owned();
            if order.state == "sent" {
                story.play(&format!("{}ms ack #{number}", step * 1_000 + 3));
            }
        }
    }
    let before = story.engine.status(story.now());
    assert_eq!(before.state, State::Quoting);
    let bid = sent.last().unwrap();
    let done = story.play(&format!("299100ms alive; fill {bid} 0.002; filled {bid} 0.002"));
    let hedge = done
        .iter()
        .find(|line| line.contains("perp sell"))
        .unwrap_or_else(|| panic!("{done:?} {:?}", story.engine.status(story.now()).exposure));
    assert!(hedge.contains("x 0.00"), "{hedge}");
    let after = story.engine.status(story.now());
    let view = after.exposure.iter().find_map(|group| group.hedge.as_ref()).unwrap();
    let leg = &view.cross[0];
    assert!((leg.beta - 2.0).abs() < 0.1 && leg.correlation > 0.95, "{leg:?}");
    assert!(leg.residual_share < 0.3 && leg.confidence > 0.9, "{leg:?}");
    assert!(view.exposure_base > dec("0.0035") && view.exposure_base < dec("0.0041"), "{view:?}");
}

#[test]
fn a_fill_is_answered_in_the_same_step_however_long_quotes_are_to_stand() {
    let mut params = params();
    params.pace.reprice_min_interval = Span::from_s(10);
    let mut story = Story::with(params);
    let book = |ms: i64, bid: &str| {
        format!("{ms}ms alive; book spot {bid}x1 60000.01x1; book perp 59980.0x1 59980.1x1")
    };
    story.play("0ms connected");
    story.play("5ms account spot BTC=1 USDT=100000; account perp USDT=100000");
    story.play(&book(10, "60000.00"));
    story.play("20ms ack #1; ack #2");
    let moved = story.play(&book(1000, "59900.00"));
    assert!(!moved.iter().any(|line| line.starts_with("place")), "too soon: {moved:?}");
    let filled = story.play("1100ms fill #1 0.002; filled #1 0.002");
    assert!(filled.iter().any(|line| line.contains("spot buy")), "{filled:?}");
    assert!(filled.contains(&"cancel #2".to_owned()), "both sides: {filled:?}");
    story.play("1110ms ack #3; canceled #2");
    let again = story.play("1200ms fill #3 0.002; filled #3 0.002");
    assert!(again.iter().any(|line| line.contains("spot buy")), "the next as well: {again:?}");
}
