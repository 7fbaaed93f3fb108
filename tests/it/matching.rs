//! The simulated exchange as an engine: orders, money, recordings.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests are tests"
)]

use std::sync::Arc;

use evenkeel::domain::{Asset, Instrument, InstrumentKind, Money, Px, Qty, Side, Span, Ts};
use evenkeel::sim::tape::{CLOSING, Tape, known_instrument};
use evenkeel::sim::{
    AccountId, AccountParams, Answer, Command, Exchange, ExchangeParams, Execution, ExpiryReason,
    Happening, MarketId, MarketParams, OrderKey, Place, Refusal, SelfTrade, Source, Status, Terms,
    TimeInForce, Wallet, calibration,
};

const SPOT: MarketId = MarketId(0);
const PERP: MarketId = MarketId(1);
const ANN: AccountId = AccountId(0);
const BOB: AccountId = AccountId(1);

/// Ann and Bob alone on BTCUSDT spot and perpetual, with 10 BTC and 1 000 000 USDT each.
struct Stage {
    exchange: Exchange,
    now: Ts,
    count: u64,
    news: Vec<Happening>,
}

fn listed(kind: InstrumentKind) -> Instrument {
    known_instrument(kind, "BTCUSDT").unwrap()
}

fn quiet(kind: InstrumentKind) -> MarketParams {
    MarketParams::new(listed(kind), Source::Quiet)
}

fn stage_of(markets: Vec<MarketParams>) -> Stage {
    let account = AccountParams {
        balances: vec![
            (Wallet::Spot, Asset::new("BTC"), Money::from(10)),
            (Wallet::Spot, Asset::new("USDT"), Money::from(1_000_000)),
            (Wallet::Usdm, Asset::new("USDT"), Money::from(1_000_000)),
        ],
    };
    let accounts = vec![account.clone(), account];
    let now = Ts(1_700_000_000_000_000_000);
    let params = ExchangeParams { seed: 1, markets, accounts, history: 1_000 };
    Stage { exchange: Exchange::new(params, now), now, count: 0, news: Vec::new() }
}

fn stage() -> Stage {
    stage_of(vec![quiet(InstrumentKind::Spot), quiet(InstrumentKind::LinearPerpetual)])
}

fn limit(px: i64, qty: i64, tif: TimeInForce) -> Terms {
    Terms::Limit { px: Px(px), qty: Qty(qty), tif }
}

impl Stage {
    fn order(&mut self, market: MarketId, side: Side, terms: Terms) -> Place {
        self.count += 1;
        Place {
            market,
            client_id: Arc::from(format!("c{}", self.count)),
            side,
            terms,
            reduce_only: false,
            self_trade: SelfTrade::ExpireMaker,
        }
    }

    fn send(&mut self, account: AccountId, command: Command) -> Result<Answer, Refusal> {
        self.now += Span::from_ms(1);
        self.exchange.submit(self.now, account, &command, &mut self.news)
    }

    fn place(
        &mut self,
        account: AccountId,
        market: MarketId,
        side: Side,
        terms: Terms,
    ) -> Result<Answer, Refusal> {
        let place = self.order(market, side, terms);
        self.send(account, Command::Place(place))
    }

    fn gtc(&mut self, account: AccountId, market: MarketId, side: Side, px: i64, qty: i64) -> u64 {
        let answer = self.place(account, market, side, limit(px, qty, TimeInForce::Gtc)).unwrap();
        answer.orders[0].order_id
    }

    fn free(&self, account: AccountId, wallet: Wallet, asset: &str) -> (String, String) {
        let balance = self.exchange.balance(account, wallet, &Asset::new(asset));
        (balance.free.normalize().to_string(), balance.locked.normalize().to_string())
    }

    fn status(&self, account: AccountId, market: MarketId, id: u64) -> (Status, Qty) {
        let record = self.exchange.order(account, market, &OrderKey::Id(id)).unwrap();
        (record.status, record.filled)
    }
}

#[test]
fn a_spot_trade_moves_exactly_the_money_and_the_fee() {
    let mut s = stage();
    // 60 000.00 USDT, 0.5 BTC.
    let maker = s.gtc(ANN, SPOT, Side::Buy, 6_000_000, 50_000);
    assert_eq!(s.free(ANN, Wallet::Spot, "USDT"), ("970000".into(), "30000".into()));
    let answer = s.place(BOB, SPOT, Side::Sell, Terms::Market { qty: Qty(20_000) }).unwrap();
    assert_eq!(answer.orders[0].status, Status::Filled);
    assert_eq!(answer.fills[0].fee, Money::from(12), "10 bps of 12 000 USDT");
    assert_eq!(s.status(ANN, SPOT, maker), (Status::PartiallyFilled, Qty(20_000)));
    assert_eq!(s.free(ANN, Wallet::Spot, "BTC"), ("10.1998".into(), "0".into()));
    assert_eq!(s.free(ANN, Wallet::Spot, "USDT"), ("970000".into(), "18000".into()));
    assert_eq!(s.free(BOB, Wallet::Spot, "USDT"), ("1011988".into(), "0".into()));
    s.send(ANN, Command::Cancel { market: SPOT, key: OrderKey::Id(maker) }).unwrap();
    assert_eq!(s.free(ANN, Wallet::Spot, "USDT"), ("988000".into(), "0".into()));
    assert_eq!(s.status(ANN, SPOT, maker).0, Status::Canceled);
}

#[test]
fn a_taker_gets_the_better_price_and_its_lock_back() {
    let mut s = stage();
    s.gtc(ANN, SPOT, Side::Sell, 6_000_000, 10_000);
    s.gtc(BOB, SPOT, Side::Buy, 6_100_000, 10_000);
    assert_eq!(s.free(BOB, Wallet::Spot, "USDT"), ("994000".into(), "0".into()));
}

#[test]
fn terms_decide_what_rests() {
    let mut s = stage();
    s.gtc(ANN, SPOT, Side::Sell, 6_000_000, 1_000);
    let post = s.place(BOB, SPOT, Side::Buy, limit(6_000_000, 500, TimeInForce::PostOnly));
    assert_eq!(post, Err(Refusal::WouldTake));
    let kill = s.place(BOB, SPOT, Side::Buy, limit(6_000_000, 2_000, TimeInForce::Fok)).unwrap();
    assert_eq!((kill.orders[0].status, kill.orders[0].filled), (Status::Expired, Qty(0)));
    let ioc = s.place(BOB, SPOT, Side::Buy, limit(6_000_000, 2_000, TimeInForce::Ioc)).unwrap();
    assert_eq!((ioc.orders[0].status, ioc.orders[0].filled), (Status::Expired, Qty(1_000)));
    assert!(s.exchange.open_orders(BOB, SPOT).is_empty());
    assert_eq!(s.free(BOB, Wallet::Spot, "USDT").1, "0");
    s.gtc(ANN, PERP, Side::Sell, 600_000, 10);
    let kill = s.place(BOB, PERP, Side::Buy, limit(600_000, 20, TimeInForce::Fok));
    assert_eq!(kill, Err(Refusal::Unfillable), "USD-M refuses instead of expiring");
}

#[test]
fn a_market_order_by_amount_buys_whole_lots() {
    let mut s = stage();
    s.gtc(ANN, SPOT, Side::Sell, 6_000_000, 10_000);
    let terms = Terms::MarketQuote { quote: Money::from(1_000) };
    let answer = s.place(BOB, SPOT, Side::Buy, terms).unwrap();
    // 1000 / 60 000 = 0.01666… BTC
    assert_eq!(answer.orders[0].filled, Qty(1_666));
}

#[test]
fn what_breaks_a_rule_is_refused_and_changes_nothing() {
    let mut s = stage();
    let gtc = TimeInForce::Gtc;
    s.gtc(ANN, SPOT, Side::Sell, 6_000_000, 1_000);
    let before = s.exchange.balances(BOB, Wallet::Spot);
    let mut refused = |side, terms| s.place(BOB, SPOT, side, terms).unwrap_err();
    assert_eq!(refused(Side::Buy, limit(0, 1_000, gtc)), Refusal::PriceFilter);
    assert_eq!(refused(Side::Buy, limit(6_000_000, 0, gtc)), Refusal::LotSize);
    assert_eq!(refused(Side::Buy, limit(5_900_000, 8, gtc)), Refusal::MinNotional);
    assert_eq!(refused(Side::Buy, limit(5_900_000, 5_000_000, gtc)), Refusal::InsufficientFunds);
    assert_eq!(refused(Side::Sell, limit(6_100_000, 1_000_001, gtc)), Refusal::InsufficientFunds);
    assert_eq!(s.exchange.balances(BOB, Wallet::Spot), before);
    let mut twin = s.order(SPOT, Side::Buy, limit(5_000_000, 1_000, gtc));
    twin.client_id = Arc::from("twin");
    s.send(BOB, Command::Place(twin.clone())).unwrap();
    assert_eq!(s.send(BOB, Command::Place(twin.clone())), Err(Refusal::DuplicateClientId));
    let key = OrderKey::Client(Arc::from("twin"));
    s.send(BOB, Command::Cancel { market: SPOT, key: key.clone() }).unwrap();
    assert_eq!(s.send(BOB, Command::Cancel { market: SPOT, key }), Err(Refusal::UnknownOrder));
    s.send(BOB, Command::Place(twin)).unwrap();
}

#[test]
fn orders_beyond_the_mark_bounds_are_refused() {
    let mut s = stage();
    s.gtc(ANN, PERP, Side::Buy, 599_990, 10);
    s.gtc(ANN, PERP, Side::Sell, 600_010, 10);
    s.now += Span::from_s(2);
    let far = s.place(BOB, PERP, Side::Buy, limit(640_000, 10, TimeInForce::Gtc));
    assert_eq!(far, Err(Refusal::PercentPriceHigh));
    let far = s.place(BOB, PERP, Side::Sell, limit(500_000, 10, TimeInForce::Gtc));
    assert_eq!(far, Err(Refusal::PercentPriceLow));
}

#[test]
fn self_trade_modes_do_what_they_say() {
    let outcome = |mode| {
        let mut s = stage();
        let maker = s.gtc(ANN, SPOT, Side::Sell, 6_000_000, 1_000);
        let mut taker = s.order(SPOT, Side::Buy, limit(6_000_000, 1_500, TimeInForce::Gtc));
        taker.self_trade = mode;
        let taker = s.send(ANN, Command::Place(taker)).unwrap().orders[0].clone();
        let maker = s.exchange.order(ANN, SPOT, &OrderKey::Id(maker)).unwrap().clone();
        ((maker.status, maker.filled.0), (taker.status, taker.filled.0, taker.prevented.0))
    };
    use Status::{ExpiredInMatch, Filled, New, PartiallyFilled};
    let none = outcome(SelfTrade::None);
    assert_eq!(none, ((Filled, 1_000), (PartiallyFilled, 1_000, 0)));
    let taker = outcome(SelfTrade::ExpireTaker);
    assert_eq!(taker, ((New, 0), (ExpiredInMatch, 0, 1_500)));
    let maker = outcome(SelfTrade::ExpireMaker);
    assert_eq!(maker, ((ExpiredInMatch, 0), (New, 0, 0)));
    let both = outcome(SelfTrade::ExpireBoth);
    assert_eq!(both, ((ExpiredInMatch, 0), (ExpiredInMatch, 0, 1_500)));
    let decrement = outcome(SelfTrade::Decrement);
    assert_eq!(decrement, ((ExpiredInMatch, 0), (New, 0, 1_000)));
}

#[test]
fn a_spot_amendment_keeps_its_place_and_only_shrinks() {
    let mut s = stage();
    let first = s.gtc(ANN, SPOT, Side::Buy, 6_000_000, 1_000);
    let second = s.gtc(BOB, SPOT, Side::Buy, 6_000_000, 1_000);
    let amend = |qty| Command::Amend {
        market: SPOT,
        key: OrderKey::Id(first),
        px: None,
        qty: Qty(qty),
        client_id: None,
    };
    assert_eq!(s.send(ANN, amend(1_000)), Err(Refusal::AmendUnchanged));
    assert_eq!(s.send(ANN, amend(2_000)), Err(Refusal::AmendIncrease));
    s.send(ANN, amend(400)).unwrap();
    assert_eq!(s.free(ANN, Wallet::Spot, "USDT").1, "240");
    s.place(BOB, SPOT, Side::Sell, limit(6_000_000, 300, TimeInForce::Ioc)).unwrap();
    assert_eq!(s.status(ANN, SPOT, first), (Status::PartiallyFilled, Qty(300)));
    assert_eq!(s.status(BOB, SPOT, second), (Status::New, Qty(0)));
}

#[test]
fn a_perpetual_amendment_goes_to_the_end_of_the_queue() {
    let mut s = stage();
    let first = s.gtc(ANN, PERP, Side::Buy, 600_000, 10);
    let second = s.gtc(BOB, PERP, Side::Buy, 600_000, 10);
    let amend = |px, qty| Command::Amend {
        market: PERP,
        key: OrderKey::Id(first),
        px: Some(Px(px)),
        qty: Qty(qty),
        client_id: None,
    };
    assert_eq!(s.send(ANN, amend(600_000, 10)), Err(Refusal::AmendUnchanged));
    s.send(ANN, amend(600_000, 12)).unwrap();
    s.place(ANN, PERP, Side::Sell, limit(600_000, 15, TimeInForce::Ioc)).unwrap();
    assert_eq!(s.status(BOB, PERP, second), (Status::Filled, Qty(10)));
    assert_eq!(s.status(ANN, PERP, first).0, Status::ExpiredInMatch, "met its own account");
    let third = s.gtc(ANN, PERP, Side::Buy, 600_000, 10);
    s.place(BOB, PERP, Side::Sell, limit(600_000, 6, TimeInForce::Ioc)).unwrap();
    let amend = Command::Amend {
        market: PERP,
        key: OrderKey::Id(third),
        px: None,
        qty: Qty(6),
        client_id: None,
    };
    let answer = s.send(ANN, amend).unwrap();
    assert_eq!(answer.orders[0].status, Status::Canceled, "not above what is filled");
}

#[test]
fn positions_realise_profit_and_reduce_only_never_turns_them() {
    let mut s = stage();
    s.gtc(ANN, PERP, Side::Sell, 600_000, 100);
    s.place(BOB, PERP, Side::Buy, Terms::Market { qty: Qty(100) }).unwrap();
    let position = s.exchange.position(BOB, PERP).unwrap();
    assert_eq!((position.qty, position.entry_price), (Qty(100), Money::from(60_000)));
    // Fees: Ann 2 bps, Bob 5 bps of 6 000 USDT.
    assert_eq!(s.free(ANN, Wallet::Usdm, "USDT").0, "999998.8");
    assert_eq!(s.free(BOB, Wallet::Usdm, "USDT").0, "999997");
    let mut wrong = s.order(PERP, Side::Buy, limit(600_000, 10, TimeInForce::Gtc));
    wrong.reduce_only = true;
    assert_eq!(s.send(BOB, Command::Place(wrong)), Err(Refusal::ReduceOnly));
    let mut close = s.order(PERP, Side::Sell, limit(610_000, 100, TimeInForce::Gtc));
    close.reduce_only = true;
    let close = s.send(BOB, Command::Place(close)).unwrap().orders[0].order_id;
    s.gtc(ANN, PERP, Side::Buy, 605_000, 150);
    s.place(BOB, PERP, Side::Sell, limit(605_000, 60, TimeInForce::Ioc)).unwrap();
    // 0.06 BTC × 500 USDT.
    assert_eq!(s.exchange.position(BOB, PERP).unwrap().realized_pnl, Money::from(30));
    let ticker = s.exchange.book_ticker(PERP).unwrap();
    assert_eq!(ticker.ask.unwrap().qty, Qty(40), "what reduces rests, no more");
    let mut rest = s.order(PERP, Side::Sell, Terms::Market { qty: Qty(90) });
    rest.reduce_only = true;
    assert_eq!(s.send(BOB, Command::Place(rest)), Err(Refusal::ReduceOnly), "already covered");
    s.place(BOB, PERP, Side::Sell, limit(605_000, 40, TimeInForce::Ioc)).unwrap();
    let (status, filled) = s.status(BOB, PERP, close);
    assert_eq!((status, filled), (Status::Expired, Qty(0)));
    let why = Execution::Expired(ExpiryReason::NothingToReduce);
    assert!(
        s.news.iter().any(|h| matches!(h, Happening::Order { execution, .. } if *execution == why))
    );
    assert!(s.exchange.position(BOB, PERP).unwrap().qty.is_zero());
}

#[test]
fn margin_limits_what_opens_and_never_what_closes() {
    let mut s = stage();
    s.gtc(ANN, PERP, Side::Sell, 600_000, 1);
    s.gtc(ANN, PERP, Side::Buy, 599_000, 1);
    // 20 × 1 000 000 / 60 000 = 333 BTC at most.
    let big = s.place(BOB, PERP, Side::Buy, limit(599_000, 340_000, TimeInForce::Gtc));
    assert_eq!(big, Err(Refusal::InsufficientFunds));
    s.place(BOB, PERP, Side::Buy, limit(599_000, 330_000, TimeInForce::Gtc)).unwrap();
    let more = s.place(BOB, PERP, Side::Buy, limit(599_000, 10_000, TimeInForce::Gtc));
    assert_eq!(more, Err(Refusal::InsufficientFunds));
    s.place(BOB, PERP, Side::Sell, limit(610_000, 10_000, TimeInForce::Gtc)).unwrap();
}

#[test]
fn funding_moves_money_from_longs_to_shorts() {
    let mut perp = quiet(InstrumentKind::LinearPerpetual);
    perp.funding.interval = Span::from_s(60);
    let mut s = stage_of(vec![quiet(InstrumentKind::Spot), perp]);
    s.gtc(ANN, PERP, Side::Sell, 600_000, 1_000);
    s.gtc(BOB, PERP, Side::Buy, 600_000, 1_000);
    let total = s.exchange.total(Wallet::Usdm, &Asset::new("USDT"));
    let wallet = |s: &Stage, a| s.exchange.balance(a, Wallet::Usdm, &Asset::new("USDT")).free;
    let before = (wallet(&s, ANN), wallet(&s, BOB));
    s.now += Span::from_s(61);
    s.exchange.advance(s.now, &mut s.news);
    // 1 bps of 60 000 USDT.
    assert_eq!(wallet(&s, ANN) - before.0, Money::from(6));
    assert_eq!(wallet(&s, BOB) - before.1, Money::from(-6));
    assert_eq!(s.exchange.total(Wallet::Usdm, &Asset::new("USDT")), total);
}

#[test]
fn balances_are_told_when_they_change_and_only_then() {
    let mut s = stage();
    let balances =
        |s: &Stage| s.news.iter().filter(|h| matches!(h, Happening::Balances { .. })).count();
    s.gtc(ANN, PERP, Side::Sell, 600_000, 10);
    assert_eq!(balances(&s), 0, "an order moves no futures money");
    s.place(BOB, PERP, Side::Buy, limit(600_000, 10, TimeInForce::Gtc)).unwrap();
    assert_eq!(balances(&s), 2, "both paid a fee");
    s.gtc(ANN, SPOT, Side::Buy, 6_000_000, 1_000);
    let Some(Happening::Balances { account, wallet, changed, .. }) = s.news.last() else {
        panic!("{:?}", s.news.last());
    };
    assert_eq!((*account, *wallet, changed.len()), (ANN, Wallet::Spot, 1));
    assert_eq!(changed[0].locked, Money::from(600));
}

#[test]
fn depth_happenings_rebuild_the_book() {
    let mut exchange = calibration::market(5, Ts(1_000_000_000_000));
    let mut news = Vec::new();
    exchange.advance(Ts(1_020_000_000_000), &mut news);
    for market in [MarketId(0), MarketId(1)] {
        let mut book = [std::collections::BTreeMap::new(), std::collections::BTreeMap::new()];
        let mut expected = 0;
        for happening in &news {
            if let Happening::Depth { market: of, update_id, side, px, qty, .. } = happening
                && *of == market
            {
                expected += 1;
                assert_eq!(*update_id, expected);
                if qty.is_zero() {
                    book[side.index()].remove(px);
                } else {
                    book[side.index()].insert(*px, *qty);
                }
            }
        }
        let depth = exchange.depth(market, 10_000).unwrap();
        assert_eq!(depth.last_update_id, expected);
        let bids: Vec<_> = depth.bids.iter().rev().map(|l| (l.px, l.qty)).collect();
        assert_eq!(bids, book[0].clone().into_iter().collect::<Vec<_>>());
        assert!(depth.bids[0].px < depth.asks[0].px);
    }
}

#[test]
fn money_is_conserved_in_a_busy_market() {
    let mut exchange = calibration::market(9, Ts(1_000_000_000_000));
    let assets = [(Wallet::Spot, "BTC"), (Wallet::Spot, "USDT"), (Wallet::Usdm, "USDT")];
    let totals = |e: &Exchange| assets.map(|(w, a)| e.total(w, &Asset::new(a)));
    let before = totals(&exchange);
    let mut news = Vec::new();
    for n in 0..600_i64 {
        let now = Ts(1_000_000_000_000 + n * 100_000_000);
        let side = Side::BOTH[(n % 2) as usize];
        for market in [SPOT, PERP] {
            let terms = if n % 7 == 0 {
                Terms::Market { qty: Qty(1_000) }
            } else {
                let px = exchange.book_ticker(market).unwrap();
                let Some(best) = (if side == Side::Buy { px.bid } else { px.ask }) else {
                    continue;
                };
                limit(best.px.0, 1_000 + n, TimeInForce::Gtc)
            };
            let place = Place {
                market,
                client_id: Arc::from(format!("{n}")),
                side,
                terms,
                reduce_only: false,
                self_trade: SelfTrade::Decrement,
            };
            let _unfunded = exchange.submit(now, ANN, &Command::Place(place), &mut news);
        }
    }
    assert!(exchange.trades(ANN, SPOT, 0).count() > 100);
    assert_eq!(totals(&exchange), before);
    for balance in exchange.balances(ANN, Wallet::Spot) {
        assert!(balance.free >= Money::ZERO && balance.locked >= Money::ZERO, "{balance:?}");
    }
}

fn spot_tape(lines: Vec<String>, speed: f64) -> Stage {
    let tape = Tape::new(Box::new(lines.into_iter()), speed);
    stage_of(vec![MarketParams::new(listed(InstrumentKind::Spot), Source::Tape(Box::new(tape)))])
}

fn line(ms: u64, stream: &str, data: &str) -> String {
    format!("{} {{\"stream\":\"btcusdt@{stream}\",\"data\":{data}}}", 1_723_161_253_000 + ms)
}

fn diff(ms: u64, first: u64, last: u64, bids: &str, asks: &str) -> String {
    let at = 1_723_161_253_000 + ms;
    line(
        ms,
        "depth@100ms",
        &format!(
            r#"{{"e":"depthUpdate","E":{at},"s":"BTCUSDT","U":{first},"u":{last},"b":{bids},"a":{asks}}}"#
        ),
    )
}

fn print(ms: u64, price: &str, qty: &str, seller_takes: bool) -> String {
    let at = 1_723_161_253_000 + ms;
    line(
        ms,
        "trade",
        &format!(
            r#"{{"e":"trade","E":{at},"s":"BTCUSDT","t":1,"p":"{price}","q":"{qty}","T":{at},"m":{seller_takes},"M":true}}"#
        ),
    )
}

#[test]
fn a_recorded_queue_is_used_up_before_our_order_trades() {
    let snapshot =
        r#"{"lastUpdateId":10,"bids":[["100.00","1.0"],["99.00","5"]],"asks":[["100.01","1.0"]]}"#;
    let lines = vec![
        diff(0, 9, 11, r#"[["100.00","2.0"]]"#, "[]"),
        format!("{} {snapshot}", 1_723_161_253_001_u64),
        print(1_000, "100.00", "0.5", true),
        // Displayed falls from 2.0 (and our 0.1) to 0.4: 1.5 was left after the trade.
        diff(1_100, 12, 12, r#"[["100.00","0.4"]]"#, "[]"),
        print(1_200, "100.00", "0.3", true),
        print(1_300, "100.00", "0.15", true),
        print(1_400, "99.50", "1.0", true),
        diff(1_500, 13, 13, r#"[["100.00","0"]]"#, "[]"),
    ];
    let mut s = spot_tape(lines, 1.0);
    s.exchange.advance(s.now + Span::from_ms(500), &mut s.news);
    s.now += Span::from_ms(500);
    let depth = s.exchange.depth(SPOT, 5).unwrap();
    assert_eq!(depth.bids[0].qty, Qty(200_000), "the diff that straddles the snapshot counts");
    let ours = s.gtc(ANN, SPOT, Side::Buy, 10_000, 10_000);
    let filled = |s: &mut Stage, ms| {
        s.exchange.advance(Ts(1_700_000_000_000_000_000) + Span::from_ms(ms), &mut s.news);
        s.status(ANN, SPOT, ours).1
    };
    assert_eq!(filled(&mut s, 1_250), Qty(0), "0.1 is still ahead");
    assert_eq!(filled(&mut s, 1_350), Qty(5_000), "0.15 less 0.1 ahead");
    assert_eq!(filled(&mut s, 1_450), Qty(10_000), "traded through");
    assert_eq!(filled(&mut s, 1_600), Qty(10_000));
    assert!(s.news.iter().any(|h| matches!(h, Happening::TapeEnded { .. })));
    // What is held can leave for a while; then no continuity is faked.
    s.now = Ts(1_700_000_000_000_000_000) + Span::from_ms(1_600);
    assert!(s.place(ANN, SPOT, Side::Sell, Terms::Market { qty: Qty(10_000) }).is_ok());
    s.now += CLOSING;
    s.exchange.advance(s.now, &mut s.news);
    let late = s.place(ANN, SPOT, Side::Buy, limit(10_000, 10_000, TimeInForce::Gtc));
    assert_eq!(late, Err(Refusal::Closed));
    let prints: i64 = s
        .news
        .iter()
        .filter_map(|h| if let Happening::Trade(t) = h { Some(t.qty.0) } else { None })
        .sum();
    assert_eq!(prints, 195_000 + 10_000, "every recorded lot is printed once, and our last");
}

#[test]
fn a_taker_meets_the_recorded_depth_and_leaves_no_mark() {
    let snapshot =
        r#"{"lastUpdateId":10,"bids":[["100.00","1"]],"asks":[["100.01","1.0"],["100.02","3"]]}"#;
    let lines = vec![
        format!("{} {snapshot}", 1_723_161_253_000_u64),
        diff(1_000, 11, 11, r#"[["99.00","1"]]"#, "[]"),
        diff(2_000, 13, 13, r#"[["98.00","1"]]"#, "[]"),
    ];
    // Ten times as fast as recorded.
    let mut s = spot_tape(lines, 10.0);
    let taken = s.place(ANN, SPOT, Side::Buy, Terms::Market { qty: Qty(150_000) }).unwrap();
    let prices: Vec<_> = taken.fills.iter().map(|f| (f.px.0, f.qty.0)).collect();
    assert_eq!(prices, [(10_001, 100_000), (10_002, 50_000)]);
    s.now += Span::from_ms(110);
    s.exchange.advance(s.now, &mut s.news);
    let asks = s.exchange.depth(SPOT, 5).unwrap().asks;
    assert_eq!(asks.iter().map(|l| l.qty.0).collect::<Vec<_>>(), [100_000, 300_000]);
    s.exchange.advance(s.now + Span::from_ms(100), &mut s.news);
    assert_eq!(s.exchange.tape_faults(SPOT).unwrap().gaps, 1, "update 12 is missing");
}

#[test]
fn a_damaged_recording_is_counted_and_not_believed() {
    let snapshot = format!(r#"{{"lastUpdateId":{},"bids":[["100.00","1"]],"asks":[]}}"#, u64::MAX);
    let lines = vec![
        format!("{} {snapshot}", 1_723_161_253_000_u64),
        // The ids are at the end of what can be counted, a quantity is beyond it.
        diff(1_000, 1, u64::MAX, "[]", "[]"),
        print(1_100, "100.00", "79228162514264337593543950335", false),
    ];
    let mut s = spot_tape(lines, 1.0);
    s.exchange.advance(s.now + Span::from_s(2), &mut s.news);
    assert!(s.news.iter().any(|h| matches!(h, Happening::TapeEnded { .. })));
}

/// Lines of a gzipped recording, or `None` with the reason printed.
fn recording(path: &str) -> Option<Box<dyn Iterator<Item = String> + Send>> {
    use std::io::BufRead;
    let file = std::fs::File::open(crate::shared::shared(path)?).unwrap();
    let reader = std::io::BufReader::new(flate2::read::MultiGzDecoder::new(file));
    Some(Box::new(reader.lines().map(Result::unwrap)))
}

/// Plays a recording and checks the book every 100 ms; (books checked, prints, gaps, foreign).
fn play(
    kind: InstrumentKind,
    symbol: &str,
    lines: Box<dyn Iterator<Item = String> + Send>,
    span: Span,
) -> (u64, u64, u64, u64) {
    let tape = Source::Tape(Box::new(Tape::new(lines, 1.0)));
    let mut s = stage_of(vec![MarketParams::new(known_instrument(kind, symbol).unwrap(), tape)]);
    let end = s.now + span;
    let (mut checked, mut prints) = (0, 0);
    while s.now < end {
        s.now += Span::from_ms(100);
        s.news.clear();
        s.exchange.advance(s.now, &mut s.news);
        prints += s.news.iter().filter(|h| matches!(h, Happening::Trade(_))).count() as u64;
        let ticker = s.exchange.book_ticker(SPOT).unwrap();
        if let (Some(bid), Some(ask)) = (ticker.bid, ticker.ask) {
            assert!(bid.px < ask.px, "crossed: {ticker:?}");
            checked += 1;
        }
    }
    let faults = s.exchange.tape_faults(SPOT).unwrap();
    assert_eq!(faults.garbled, 0);
    (checked, prints, faults.gaps, faults.foreign)
}

#[test]
fn two_days_of_spot_chain_over_midnight_without_a_crossed_book() {
    let spot = |day| recording(&format!("data/binance-2024-08-08/spot/btcusdt_{day}.gz"));
    let (Some(first), Some(second)) = (spot("20240808"), spot("20240809")) else { return };
    let lines = Box::new(first.chain(second));
    let (checked, prints, gaps, _) =
        play(InstrumentKind::Spot, "BTCUSDT", lines, Span::from_s(400));
    assert!(checked > 3_900 && prints > 9_757, "{checked} {prints}");
    assert_eq!(gaps, 0);
}

#[test]
fn usdm_quiet_and_unproven_recordings_play() {
    let perp = "data/binance-2024-08-08/usdm/btcusdt_20240808.gz";
    if let Some(lines) = recording(perp) {
        let kind = InstrumentKind::LinearPerpetual;
        let (checked, prints, gaps, _) = play(kind, "BTCUSDT", lines, Span::from_s(60));
        assert!(checked > 580 && prints > 500 && gaps == 0, "{checked} {prints} {gaps}");
    }
    if let Some(lines) = recording("data/binance-nexousdt-2024-07/nexousdt_20240723.dat.gz") {
        let (checked, prints, gaps, _) =
            play(InstrumentKind::Spot, "NEXOUSDT", lines, Span::from_s(1_300));
        assert_eq!((prints, gaps), (178, 0));
        assert_eq!(checked, 13_000);
    }
    if let Some(lines) = recording("data/binance-2023-04-05/btcusdt_20230405.dat.gz") {
        let (checked, prints, gaps, _) =
            play(InstrumentKind::Spot, "BTCUSDT", lines, Span::from_s(420));
        assert!(checked > 1_000 && prints > 3_000, "{checked} {prints}");
        assert_eq!(gaps, 1, "it has no snapshot: from there on, what is mentioned is shown");
    }
}

#[test]
fn a_book_without_a_snapshot_is_built_of_what_comes_and_proven_by_a_late_one() {
    let wait = |ms: u64| diff(ms, 20 + ms / 1_000, 20 + ms / 1_000, "[]", "[]");
    let mut lines =
        vec![diff(0, 20, 20, r#"[["99.99","2"]]"#, r#"[["100.01","3"],["100.02","1"]]"#)];
    lines.extend((1..=7).map(|s| wait(s * 1_000)));
    let snapshot = |bid: &str, ask: &str| {
        format!(
            r#"{} {{"lastUpdateId":28,"bids":[["{bid}","4"]],"asks":[["{ask}","5"]]}}"#,
            1_723_161_253_000_u64 + 8_000
        )
    };
    // Another symbol's, then ours.
    lines.extend([snapshot("3000.00", "3000.01"), snapshot("99.98", "100.00"), wait(9_000)]);
    let mut s = spot_tape(lines, 1.0);
    let best = |s: &mut Stage, ms| {
        s.exchange.advance(Ts(1_700_000_000_000_000_000) + Span::from_ms(ms), &mut s.news);
        let ticker = s.exchange.book_ticker(SPOT).unwrap();
        [ticker.bid.map(|level| level.px.0), ticker.ask.map(|level| level.px.0)]
    };
    assert_eq!(best(&mut s, 4_500), [None, None], "a snapshot may still come");
    assert_eq!(best(&mut s, 7_500), [Some(9_999), Some(10_001)]);
    assert_eq!(best(&mut s, 8_500), [Some(9_998), Some(10_000)]);
    assert_eq!(best(&mut s, 9_500), [Some(9_998), Some(10_000)]);
    assert_eq!(s.exchange.depth(SPOT, 5).unwrap().asks.len(), 1, "what it does not show is gone");
    assert_eq!(s.exchange.tape_faults(SPOT).unwrap().gaps, 1);
}

#[test]
fn recordings_of_one_origin_stay_as_far_apart_as_they_were() {
    let snapshot = r#"{"lastUpdateId":10,"bids":[["100.00","1"]],"asks":[["100.01","1"]]}"#;
    // Seconds with a fraction are instants too.
    let mut tape = Tape::new(Box::new(vec![format!("1723161253.5 {snapshot}")].into_iter()), 1.0);
    assert_eq!(tape.begins(), Some(Ts(1_723_161_253_500_000_000)));
    tape.align(Ts(1_723_161_252_000_000_000));
    let own = MarketParams::new(listed(InstrumentKind::Spot), Source::Tape(Box::new(tape)));
    let mut s = stage_of(vec![own]);
    let shown = |s: &mut Stage, ms| {
        s.exchange.advance(Ts(1_700_000_000_000_000_000) + Span::from_ms(ms), &mut s.news);
        s.exchange.book_ticker(SPOT).unwrap().bid.is_some()
    };
    assert!(!shown(&mut s, 1_400) && shown(&mut s, 1_600));
}

#[test]
fn the_insurance_fund_is_no_trader() {
    let fund = print(10, "120.00", "1", true).replace("\"M\":true", "\"X\":\"INSURANCE_FUND\"");
    let mut s = spot_tape(vec![print(0, "100.00", "1", true), fund], 1.0);
    s.exchange.advance(s.now + Span::from_s(1), &mut s.news);
    let prints = s.news.iter().filter(|h| matches!(h, Happening::Trade(_))).count();
    assert_eq!((prints, s.exchange.tape_faults(SPOT).unwrap().foreign), (1, 1));
}

#[test]
fn a_print_that_the_book_already_shows_does_not_use_up_the_queue_again() {
    let snapshot = r#"{"lastUpdateId":10,"bids":[["100.00","1.0"]],"asks":[["100.01","1.0"]]}"#;
    let late = print(1_110, "100.00", "0.6", true);
    let late = late.replace("\"T\":1723161254110", "\"T\":1723161254050");
    assert!(late.contains("1723161254050"), "{late}");
    let lines = vec![
        format!("{} {snapshot}", 1_723_161_253_000_u64),
        diff(1_100, 11, 11, r#"[["100.00","0.4"]]"#, "[]"),
        late,
        print(1_200, "100.00", "0.3", true),
        print(1_300, "100.00", "0.15", true),
    ];
    let mut s = spot_tape(lines, 1.0);
    let ours = s.gtc(ANN, SPOT, Side::Buy, 10_000, 10_000);
    for (ms, filled) in [(1_150, 0), (1_250, 0), (1_350, 5_000)] {
        s.exchange.advance(Ts(1_700_000_000_000_000_000) + Span::from_ms(ms), &mut s.news);
        assert_eq!(s.status(ANN, SPOT, ours).1, Qty(filled), "after {ms} ms");
    }
}
