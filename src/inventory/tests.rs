//! Stories of fills, and what must hold for all of them.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    Asset, Fill, Instrument, InstrumentId, InstrumentKind, Liquidity, Money, Px, Qty, Side, Span,
    Ts, VenueId,
};

/// Ticks of 0.1, lots of 0.001, at least 5 in quote.
fn instrument() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: "BTCUSDT".to_owned(),
        kind: InstrumentKind::LinearPerpetual,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: Money::new(1, 1),
        lot_size: Money::new(1, 3),
        min_px: Px(1),
        max_px: Px(100_000_000),
        min_qty: Qty(1),
        max_qty: Qty(100_000),
        min_notional: Money::from(5),
        max_open_orders: 200,
        trading: true,
    }
}

fn fill(trade_id: u64, side: Side, px: i64, qty: i64) -> Fill {
    Fill {
        instrument: InstrumentId(0),
        order: None,
        venue_order_id: 1,
        trade_id,
        side,
        px: Px(px),
        qty: Qty(qty),
        liquidity: Liquidity::Maker,
        fee: Money::ZERO,
        fee_asset: Asset::new("USDT"),
        at: Ts(0),
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn a_round_trip_realises_its_profit_and_a_repeat_changes_nothing() {
    let instrument = instrument();
    let mut position = Position::flat();
    position.book(&fill(1, Side::Buy, 600_000, 10), &instrument, Money::ZERO);
    assert_eq!(
        position.book(&fill(1, Side::Buy, 600_000, 10), &instrument, Money::ZERO),
        Booked::Repeat
    );
    position.book(&fill(2, Side::Buy, 600_200, 10), &instrument, Money::ZERO);
    assert_eq!(position.qty(), Qty(20));
    assert_eq!(position.entry_price(&instrument), Some(money("60010")));
    position.book(&fill(3, Side::Sell, 600_300, 5), &instrument, Money::ZERO);
    assert_eq!(position.realised(), money("0.1"), "5 lots, 20 each above average cost");
    assert_eq!(position.unrealised(1_200_000, &instrument), money("-0.15"));
    // Through zero: 15 lots closed, 5 opened short at the new price.
    position.book(&fill(4, Side::Sell, 600_300, 20), &instrument, Money::ZERO);
    assert_eq!((position.qty(), position.realised()), (Qty(-5), money("0.4")));
    assert_eq!(position.entry_price(&instrument), Some(money("60030")));
    assert_eq!(position.total(1_200_600, &instrument), money("0.4"));
}

#[test]
fn a_self_trade_is_two_fills_of_one_trade() {
    let instrument = instrument();
    let mut position = Position::flat();
    position.book(&fill(1, Side::Buy, 600_000, 10), &instrument, Money::ZERO);
    position.book(&fill(1, Side::Sell, 600_000, 10), &instrument, Money::ZERO);
    assert_eq!(position.qty(), Qty(0));
    assert_eq!(position.entry_price(&instrument), None);
}

#[test]
fn fees_go_where_their_asset_says() {
    let instrument = instrument();
    let mut position = Position::flat();
    let with_fee = |trade_id, fee: &str, asset: &str| Fill {
        fee: money(fee),
        fee_asset: Asset::new(asset),
        ..fill(trade_id, Side::Buy, 600_000, 10)
    };
    let booked = |fee: &str| Booked::New { fee_quote: money(fee) };
    assert_eq!(
        position.book(&with_fee(1, "-0.06", "USDT"), &instrument, Money::ZERO),
        booked("-0.06")
    );
    assert_eq!(
        position.book(&with_fee(2, "0.00001", "BTC"), &instrument, Money::ZERO),
        booked("0.6")
    );
    let bnb = with_fee(3, "0.001", "BNB");
    assert_eq!(position.book(&bnb, &instrument, money("0.45")), booked("0.45"));
    assert_eq!(position.fees(), money("0.99"));
    assert_eq!(position.base_fees(), money("0.00001"));
    assert_eq!(position.other_fees(), [(Asset::new("BNB"), money("0.001"))]);
    assert_eq!(position.total(1_200_000, &instrument), money("-0.99"));
}

#[test]
fn a_fee_in_base_leaves_the_position_at_what_it_is_worth() {
    let (instrument, mut position) = (instrument(), Position::flat());
    let fee = Fill {
        fee: money("0.0021"),
        fee_asset: instrument.base.clone(),
        ..fill(1, Side::Buy, 100, 10)
    };
    position.book(&fee, &instrument, Money::ZERO);
    let lots = instrument.lots_within(position.base_fees());
    let (cash, before) = (position.cash(), position.total(300, &instrument));
    assert_eq!(position.settle_base_fees(300, &instrument), lots);
    assert!(lots.0 > 0, "{lots:?}");
    assert_eq!(position.settle_base_fees(300, &instrument), Qty::ZERO, "once");
    assert_eq!(position.qty(), Qty(10 - lots.0));
    assert_eq!((position.cash(), position.total(300, &instrument)), (cash, before));
    // What is not held any more gains nothing.
    let gained = position.total(302, &instrument) - before;
    assert_eq!(gained, instrument.notional(Px(1), position.qty()));
    assert_eq!(position.realised() + position.unrealised(302, &instrument), before + gained);
}

#[test]
fn only_so_many_trade_ids_are_remembered() {
    let instrument = instrument();
    let mut position = Position::flat();
    for trade_id in 0..=RECENT_TRADES as u64 {
        position.book(&fill(trade_id, Side::Buy, 600_000, 1), &instrument, Money::ZERO);
    }
    assert_eq!(
        position.book(&fill(1, Side::Buy, 600_000, 1), &instrument, Money::ZERO),
        Booked::Repeat
    );
    assert_ne!(
        position.book(&fill(0, Side::Buy, 600_000, 1), &instrument, Money::ZERO),
        Booked::Repeat
    );
}

#[test]
fn inventory_is_averaged_over_time() {
    let mut attribution = Attribution::new();
    let at = |s| Ts(0) + Span::from_s(s);
    attribution.mark(at(0), 1_200_000);
    attribution.fill(at(10), &fill(1, Side::Buy, 600_000, 4), Money::ZERO);
    attribution.fill(at(15), &fill(2, Side::Sell, 600_000, 6), Money::ZERO);
    assert_eq!(attribution.average_inventory_lots(at(20)), (0.5, 1.5));
    assert_eq!(attribution.max_inventory(), Qty(4));
    assert_eq!(Attribution::new().average_inventory_lots(at(3)), (0.0, 0.0));
}

#[test]
fn markouts_that_wait_are_bounded() {
    let mut markouts = Markouts::new(&[Span::from_s(5), Span::from_s(1), Span::from_s(1)]);
    markouts.mark(Ts(0), 1_200_000);
    for trade_id in 0..MAX_PENDING as u64 + 3 {
        markouts.fill(Ts(0), &fill(trade_id, Side::Sell, 600_001, 1));
    }
    assert_eq!(markouts.dropped(), 3);
    markouts.mark(Ts(0) + Span::from_s(2), 1_300_000);
    let averages = markouts.averages();
    assert_eq!(averages.len(), 2);
    assert_eq!((averages[0].both.fills, averages[1].both.fills), (MAX_PENDING as u64, 0));
    assert!((averages[0].both.half_ticks - 2.0).abs() < 1e-12, "the mid before the late mark");
}

#[test]
fn a_mid_at_the_horizon_itself_counts() {
    let mut markouts = Markouts::new(&[Span(10)]);
    markouts.mark(Ts(0), 1_200_000);
    markouts.fill(Ts(0), &fill(1, Side::Buy, 600_000, 2));
    markouts.mark(Ts(10), 1_200_004);
    assert_eq!(markouts.averages()[0].both.fills, 0);
    markouts.mark(Ts(11), 1_200_900);
    assert_eq!(markouts.averages()[0].both.half_ticks, 4.0);
}

#[test]
fn markouts_tell_the_sides_apart_and_how_sure_they_are() {
    let second = Span::from_s(1);
    let mut markouts = Markouts::new(&[second]);
    markouts.mark(Ts(0), 200_000);
    markouts.fill(Ts(0), &fill(1, Side::Buy, 99_990, 1));
    markouts.fill(Ts(0), &fill(2, Side::Buy, 99_970, 1));
    markouts.fill(Ts(0), &fill(3, Side::Sell, 100_010, 3));
    markouts.mark(Ts(1), 199_980);
    markouts.mark(Ts(0) + second + Span(1), 1);
    let all = markouts.averages()[0];
    assert_eq!((all.bid.fills, all.ask.fills, all.both.fills), (2, 1, 3));
    // Bought 1 and 3 below the mid of 100,000 ticks; it fell by 1 bp.
    assert!((all.bid.effective_bps - 2.0).abs() < 0.001, "{all:?}");
    assert!((all.bid.bps - 1.0).abs() < 0.001, "{all:?}");
    assert!((all.ask.effective_bps - 1.0).abs() < 0.001, "{all:?}");
    assert!((all.ask.bps - 2.0).abs() < 0.001, "{all:?}");
    // Markouts of 0 and 2 bps: the mean's error is their deviation √2 over √2.
    assert!((all.bid.standard_error_bps.unwrap() - 1.0).abs() < 0.001, "{all:?}");
    assert_eq!(all.ask.standard_error_bps, None);
}

#[test]
fn snapshots_look_at_what_rests_then_and_without_a_mid_nobody_is_present() {
    let instrument = instrument();
    let mut presence = Presence::new(PresenceParams::default());
    let at = |s| Ts(0) + Span::from_s(s);
    // Half a basis point from 60,000, 180 in quote on each side.
    let orders = [(Side::Buy, Px(599_970), Qty(3)), (Side::Sell, Px(600_030), Qty(3))];
    let dark = Shown { instrument: &instrument, mid_half_ticks: None, orders: &orders };
    let lit = Shown { mid_half_ticks: Some(1_200_000), ..dark };
    let level = |px, qty| crate::domain::Level { px: Px(px), qty: Qty(qty) };
    let market = [[level(599_970, 6)], [level(600_030, 6)]];
    presence.observe(at(0), &lit, [&[], &[]]);
    assert!(!presence.snapshot_due(at(9)) && presence.snapshot_due(at(10)));
    presence.observe(at(15), &dark, [&market[0], &market[1]]);
    let view = presence.view(at(45), 0.0);
    assert_eq!((view.snapshots, view.snapshots_two_sided), (4, Some(0.25)));
    assert!((view.two_sided - 1.0 / 3.0).abs() < 1e-12 && view.one_sided == 0.0, "{view:?}");
    assert!((view.spread_bps.unwrap() - 1.0).abs() < 1e-9, "{view:?}");
    // Half of the first level on both sides: 100·2·½ on one look of four.
    assert!((view.scores.bybit_2021 - 25.0).abs() < 1e-9, "{view:?}");
}

#[test]
fn an_inverse_contract_earns_in_base_and_is_entered_at_the_harmonic_mean() {
    let instrument = instrument();
    let payoff = Payoff::inverse(Money::ONE_HUNDRED, instrument.tick_size).unwrap();
    let mut position = Position::of(payoff);
    let fee = Fill {
        fee: money("0.00001"),
        fee_asset: Asset::new("BTC"),
        ..fill(1, Side::Buy, 400_000, 100)
    };
    position.book(&fee, &instrument, Money::ZERO);
    // 100 contracts of 100 at 40,000 are 0.25 in base; worth 0.2 at 50,000.
    assert_eq!(position.total(1_000_000, &instrument), money("0.05") - money("0.00001"));
    position.book(&fill(2, Side::Buy, 500_000, 100), &instrument, Money::ZERO);
    let entry = position.entry_price(&instrument).unwrap();
    assert_eq!(entry.round_dp(9), money("44444.444444444"), "200 over 100/40000 + 100/50000");
    assert_eq!(Payoff::inverse(Money::ZERO, instrument.tick_size), None);
    assert_eq!(Payoff::inverse(Money::ONE, Money::ZERO), None);
}

#[derive(Clone, Debug)]
enum Step {
    Mark(i64),
    Fill(Fill),
    Funding(i64),
    Adjust(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop::bool::ANY.prop_map(|buy| if buy { Side::Buy } else { Side::Sell });
    let asset = prop::sample::select(vec!["USDT", "BTC", "BNB"]);
    let booked =
        (0..30u64, side, 590_000..610_000i64, 1..500i64, -500..500i64, asset, any::<bool>())
            .prop_map(|(trade_id, side, px, qty, fee, asset, maker)| Fill {
                fee: Money::new(fee, 7),
                fee_asset: Asset::new(asset),
                liquidity: if maker { Liquidity::Maker } else { Liquidity::Taker },
                ..fill(trade_id, side, px, qty)
            });
    prop_oneof![
        (1_180_000..1_220_000i64).prop_map(Step::Mark),
        booked.prop_map(Step::Fill),
        (-1000..1000i64).prop_map(Step::Funding),
        (-100..100i64).prop_map(Step::Adjust),
    ]
}

proptest! {
    #[test]
    fn the_parts_always_make_the_ledger(
        steps in prop::collection::vec(step(), 0..80),
        is_inverse: bool,
    ) {
        let instrument = instrument();
        let inverse = Payoff::inverse(Money::ONE_HUNDRED, instrument.tick_size).unwrap();
        let payoff = if is_inverse { inverse } else { Payoff::Linear };
        let (mut position, mut attribution) = (Position::of(payoff), Attribution::of(payoff));
        let mut mark = 1_200_000;
        attribution.mark(Ts(0), mark);
        for (at, step) in (1..).map(Ts).zip(steps) {
            match step {
                Step::Mark(mid) => {
                    mark = mid;
                    attribution.mark(at, mid);
                }
                Step::Fill(fill) => {
                    let booked = position.book(&fill, &instrument, Money::ZERO);
                    if let Booked::New { fee_quote } = booked {
                        attribution.fill(at, &fill, fee_quote);
                    }
                }
                Step::Funding(cents) => {
                    position.book_funding(Money::new(cents, 2));
                    attribution.funding(Money::new(cents, 2));
                }
                Step::Adjust(lots) => {
                    position.adjust(Qty(lots), mark, &instrument);
                    attribution.adjust(at, Qty(lots), mark);
                }
            }
            let total = position.total(mark, &instrument);
            prop_assert_eq!(attribution.check(&position, &instrument), Ok(()));
            // Average cost divides, which rounds at the 28th digit.
            let split = position.realised() + position.unrealised(mark, &instrument);
            prop_assert!((split - total).abs() < Money::new(1, 15));
        }
    }
}
