//! What a running core quotes by the models: funding, other assets' holdings, the forecast.

use evenkeel::domain::*;
use evenkeel::engine::*;
use evenkeel::quoting::{Model, RiskAversion};

use crate::engine::{dec, instrument, params};

/// Two perpetuals of different bases at 60,000 on one venue, quoted by GLFT.
struct Pair {
    engine: Engine,
    now: Ts,
}

impl Pair {
    /// The second asset's position in lots of 0.001, and the funding rate of both.
    fn quoting(change: impl Fn(&mut Params), second_held: i64, funding: &str) -> Pair {
        let mut params = params();
        let second = InstrumentParams { role: Role::Quote, ..params.instruments[1].clone() };
        let first = InstrumentParams { symbol: "ETHUSDT".to_owned(), ..second.clone() };
        params.instruments = vec![second, first];
        params.hedge = None;
        params.quoting.model = Model::Glft;
        params.quoting.risk_aversion = RiskAversion::Gamma(0.01);
        params.quoting.min_half_spread_bps = 0.0;
        change(&mut params);
        let mut pair = Pair { engine: Engine::new(params), now: Ts::from_ms(1_700_000_000_000) };
        let mut events = Vec::new();
        for venue in [VenueId(0), VenueId(1)] {
            events.push(Event::Clock { venue, offset: Span::ZERO, round_trip: Span::ZERO });
            for link in [LinkKind::Market, LinkKind::User] {
                events.push(Event::Link { venue, link, up: true, text: String::new() });
            }
        }
        for (index, base) in ["BTC", "ETH"].into_iter().enumerate() {
            pair.list(index as u16, base, dec(funding), &mut events);
        }
        pair.step(&events);
        for venue in [VenueId(0), VenueId(1)] {
            let held = PositionReport {
                instrument: InstrumentId(1),
                qty: Qty(second_held),
                entry_price: Money::ZERO,
            };
            let funds =
                Balance { asset: Asset::new("USDT"), free: dec("100000"), locked: Money::ZERO };
            pair.step(&[Event::Account(AccountSnapshot {
                venue,
                balances: vec![funds],
                positions: if venue == VenueId(1) { vec![held] } else { Vec::new() },
                open_orders: Some(Vec::new()),
                complete: true,
                as_of: pair.now,
            })]);
        }
        for _ in 0..5 {
            pair.step(&[]);
        }
        assert_eq!(pair.engine.state(), State::Quoting);
        pair
    }

    fn list(&self, index: u16, base: &str, funding_rate: Money, events: &mut Vec<Event>) {
        let id = InstrumentId(index);
        let listed = Instrument {
            id,
            symbol: format!("{base}USDT"),
            base: Asset::new(base),
            ..instrument(1)
        };
        events.push(Event::Listed(Box::new(listed)));
        events.push(Event::Fees { instrument: id, maker: Money::ZERO, taker: Money::ZERO });
        events.push(Event::Mark(Mark {
            instrument: id,
            mark_price: dec("60000"),
            index_price: dec("60000"),
            funding_rate,
            next_funding: Ts::FAR,
            at: self.now,
        }));
        let level = |px| vec![Level { px: Px(px), qty: Qty(1000) }];
        events.push(Event::Book(BookUpdate {
            instrument: id,
            snapshot: true,
            bids: level(599_999),
            asks: level(600_001),
            at: self.now,
        }));
    }

    fn step(&mut self, events: &[Event]) {
        self.now += Span::from_ms(1);
        self.engine.step(self.now, events, &mut Vec::new());
    }

    fn first(&self) -> InstrumentView {
        self.engine.status(self.now).instruments[0].clone()
    }
}

#[test]
fn holdings_of_another_asset_skew_the_quotes_where_that_is_wanted() {
    let wanted = |params: &mut Params| params.quoting.cross_asset_skew = true;
    let skew = |pair: &Pair| pair.first().quote.unwrap().cross_asset_skew_bps;
    let (long, short) = (Pair::quoting(wanted, 6, "0"), Pair::quoting(wanted, -6, "0"));
    assert!(skew(&long) < -0.01, "long of what correlates: {}", skew(&long));
    assert!((skew(&long) + skew(&short)).abs() < 1e-12);
    let quote = long.first().quote.unwrap();
    assert!((quote.skew_bps - quote.cross_asset_skew_bps).abs() < 1e-9, "nothing is held here");
    assert_eq!(skew(&Pair::quoting(|_| (), 6, "0")), 0.0, "off by default");
}

#[test]
fn funding_moves_the_quotes_against_whoever_pays_it() {
    let wanted = |params: &mut Params| params.quoting.use_funding_carry = true;
    let skew = |pair: &Pair| pair.first().quote.unwrap().skew_bps;
    assert!(skew(&Pair::quoting(wanted, 0, "0.01")) < -1e-4, "holding costs");
    assert!(skew(&Pair::quoting(wanted, 0, "-0.01")) > 1e-4, "holding pays");
    assert!(skew(&Pair::quoting(|_| (), 0, "0.01")).abs() < 1e-9, "off by default");
}

#[test]
fn every_model_quotes_and_forecasts_what_its_quotes_do_to_inventory() {
    for model in [
        Model::Fixed,
        Model::AvellanedaStoikov,
        Model::Glft,
        Model::GlftClosedForm,
        Model::CarteaJaimungal,
    ] {
        let pair = Pair::quoting(|params| params.quoting.model = model, 0, "0");
        let view = pair.first();
        assert!(view.quote.is_some(), "{model:?}: {:?}", view.bid.reason);
        let forecast = view.forecast.unwrap();
        assert!(forecast.half_life_s > 0.0 && forecast.inventory_std_base > 0.0, "{forecast:?}");
    }
}
