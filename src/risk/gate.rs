//! Limits on one order: size, worst-case position and exposure, price, count, self-crossing.

use serde::{Deserialize, Serialize};

use crate::domain::{
    Instrument, InstrumentKind, Money, NewOrder, Purpose, Px, Qty, Reason, Side, planted,
};

/// Limits of one instrument, as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest order, in base.
    pub max_order_base: Money,
    /// Largest order, in quote.
    pub max_order_quote: Money,
    /// Largest distance of the position from its target, in base, with every order filled.
    pub inventory_limit_base: Money,
    /// Most live orders at once.
    pub max_open_orders: u32,
    /// Largest distance of a price from the reference, basis points.
    pub price_collar_bps: f64,
    /// Largest net exposure of the base asset over all venues, in quote, with every order of one
    /// side filled.
    pub max_net_exposure_quote: Money,
}

/// How things stand where the order would go.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// Where.
    pub instrument: &'a Instrument,
    /// Position away from its target, in base, signed.
    pub position_base: Money,
    /// What live orders here could still buy or sell on the order's side, in base, unknown and
    /// unacknowledged orders and fills not yet seen included.
    pub same_side_base: Money,
    /// Net exposure of the base asset over all venues, in base, signed.
    pub exposure_base: Money,
    /// What live orders over all venues could still add to it in the order's direction, in base.
    pub exposure_orders_base: Money,
    /// What hedging and flattening orders over all venues could still add to it in the order's
    /// direction, in base.
    pub hedge_orders_base: Money,
    /// A reference price that is fresh and not this book's own, in quote per base.
    pub reference_price: Option<f64>,
    /// Live orders here.
    pub open_orders: u32,
    /// Most aggressive live price of ours on the other side.
    pub own_opposite_px: Option<Px>,
    /// Free balance that pays for the order: quote for a buy, base for a sell; `None` for
    /// derivatives, whose margin the venue checks.
    pub free: Option<Money>,
    /// Only orders that bring exposure towards zero may pass.
    pub reducing_only: bool,
}

/// An order that the gate has passed. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved(NewOrder);

impl Approved {
    /// The order.
    #[must_use]
    pub fn order(&self) -> &NewOrder {
        &self.0
    }

    /// The order, to be sent.
    #[must_use]
    pub fn into_order(self) -> NewOrder {
        self.0
    }
}

/// Passes the order, smaller where a limit leaves only part of it, or names the limit that it
/// breaks. An order is never made larger and its price never changed.
pub fn approve(
    mut order: NewOrder,
    limits: &Limits,
    standing: &Standing<'_>,
) -> Result<Approved, Reason> {
    let instrument = standing.instrument;
    if !instrument.trading {
        return Err(Reason::NotTrading);
    }
    if order.px < instrument.min_px || order.px > instrument.max_px {
        return Err(Reason::PriceCollar);
    }
    collar(&order, limits, standing)?;
    let count = limits.max_open_orders.min(instrument.max_open_orders);
    if order.purpose == Purpose::Quote && standing.open_orders >= count
        || standing.open_orders >= instrument.max_open_orders
    {
        return Err(Reason::Budget);
    }
    if crosses_own(&order, standing) {
        return Err(Reason::OwnOrderInTheWay);
    }

    let (room, tightest) = room(&order, limits, standing);
    let wanted = order.qty.min(instrument.max_qty);
    let clipped = if room >= instrument.quantity(wanted) {
        wanted
    } else {
        instrument.lots_within(room).min(wanted)
    };
    if clipped <= Qty::ZERO {
        return Err(tightest);
    }
    let exempt = order.reduce_only && instrument.kind != InstrumentKind::Spot;
    let dust = !exempt && instrument.notional(order.px, clipped) < instrument.min_notional;
    if clipped < instrument.min_qty || dust {
        return Err(if clipped < order.qty { tightest } else { Reason::BelowMinimum });
    }
    order.qty = clipped;
    Ok(Approved(order))
}

/// Price against a fresh reference; no reference, no order.
fn collar(order: &NewOrder, limits: &Limits, standing: &Standing<'_>) -> Result<(), Reason> {
    let reference = standing
        .reference_price
        .filter(|price| price.is_finite() && *price > 0.0)
        .ok_or(Reason::NoReference)?;
    let away = (standing.instrument.price_f64(order.px) / reference - 1.0) * 1e4;
    // Far away from the market on the passive side is harmless but useless, and a sign of a wrong
    // price: the collar holds both ways.
    if away.abs() <= limits.price_collar_bps { Ok(()) } else { Err(Reason::PriceCollar) }
}

/// Whether the order could meet a live order of ours on the other side.
fn crosses_own(order: &NewOrder, standing: &Standing<'_>) -> bool {
    let own = standing.own_opposite_px.filter(|_| !planted("own_cross_unchecked"));
    own.is_some_and(|own| match order.side {
        Side::Buy => order.px >= own,
        Side::Sell => order.px <= own,
    })
}

/// How much may be ordered, in base, and the limit that allows the least.
fn room(order: &NewOrder, limits: &Limits, standing: &Standing<'_>) -> (Money, Reason) {
    let instrument = standing.instrument;
    let sign = Money::from(order.side.sign());
    let price = instrument.price(order.px);
    // Dividing is dear; an amount that pays for the whole order and for what comes before it
    // limits nothing.
    let whole = instrument.quantity(order.qty);
    let per_price = |amount: Money, before: Money| {
        if price <= Money::ZERO {
            Money::ZERO
        } else if amount >= price * (whole + before) {
            whole + before
        } else {
            amount / price
        }
    };

    let mut room = (limits.max_order_base, Reason::ExposureLimit);
    let mut narrow = |amount: Money, reason: Reason| {
        if amount < room.0 {
            room = (amount, reason);
        }
    };
    narrow(per_price(limits.max_order_quote, Money::ZERO), Reason::ExposureLimit);
    if let Some(free) = standing.free {
        let payable = if order.side == Side::Buy { per_price(free, Money::ZERO) } else { free };
        narrow(payable, Reason::InsufficientFunds);
    }

    let exposure = sign * standing.exposure_base;
    // A hedge or flattening order moves the exposure towards zero; it may not pass it.
    if order.purpose != Purpose::Quote || standing.reducing_only {
        // Quotes that rest may never fill, so a hedge does not count on them.
        let reducible = match order.purpose {
            Purpose::Quote => -exposure - standing.exposure_orders_base,
            Purpose::Hedge => -exposure - standing.hedge_orders_base,
            Purpose::Flatten => -sign * standing.position_base - standing.same_side_base,
        };
        narrow(reducible, Reason::Reducing);
    }
    if order.purpose == Purpose::Quote {
        let counts = !planted("gate_forgets_orders");
        let working = if counts { standing.same_side_base } else { Money::ZERO };
        let position = sign * standing.position_base + working;
        narrow(limits.inventory_limit_base - position, Reason::InventoryLimit);
        let others = if counts { standing.exposure_orders_base } else { Money::ZERO };
        let worst = exposure + others;
        narrow(per_price(limits.max_net_exposure_quote, worst) - worst, Reason::ExposureLimit);
    } else if order.purpose == Purpose::Hedge {
        let position = sign * standing.position_base + standing.same_side_base;
        narrow(limits.inventory_limit_base - position, Reason::InventoryLimit);
    }
    (room.0.max(Money::ZERO), room.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Asset, InstrumentId, OrderId, OrderKind, VenueId};

    fn dec(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn instrument() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            venue: VenueId(0),
            symbol: "BTCUSDT".into(),
            kind: InstrumentKind::Spot,
            base: Asset::new("BTC"),
            quote: Asset::new("USDT"),
            tick_size: dec("0.01"),
            lot_size: dec("0.00001"),
            min_px: Px(1),
            max_px: Px(100_000_000),
            min_qty: Qty(1),
            max_qty: Qty(900_000_000),
            min_notional: dec("5"),
            max_open_orders: 200,
            trading: true,
        }
    }

    fn limits() -> Limits {
        Limits {
            max_order_base: dec("0.1"),
            max_order_quote: dec("10000"),
            inventory_limit_base: dec("0.05"),
            max_open_orders: 4,
            price_collar_bps: 100.0,
            max_net_exposure_quote: dec("3000"),
        }
    }

    fn buy(px: i64, qty: i64, purpose: Purpose) -> NewOrder {
        NewOrder {
            id: OrderId { epoch: 1, counter: 1 },
            instrument: InstrumentId(0),
            side: Side::Buy,
            px: Px(px),
            qty: Qty(qty),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose,
        }
    }

    fn standing(instrument: &Instrument) -> Standing<'_> {
        Standing {
            instrument,
            position_base: Money::ZERO,
            same_side_base: Money::ZERO,
            exposure_base: Money::ZERO,
            exposure_orders_base: Money::ZERO,
            hedge_orders_base: Money::ZERO,
            reference_price: Some(60_000.0),
            open_orders: 0,
            own_opposite_px: None,
            free: Some(dec("100000")),
            reducing_only: false,
        }
    }

    fn check(order: NewOrder, change: impl FnOnce(&mut Standing<'_>)) -> Result<i64, Reason> {
        let instrument = instrument();
        let mut standing = standing(&instrument);
        change(&mut standing);
        approve(order, &limits(), &standing).map(|approved| approved.order().qty.0)
    }

    fn quote() -> NewOrder {
        buy(6_000_000, 1000, Purpose::Quote)
    }

    #[test]
    fn an_order_within_limits_passes_whole() {
        assert_eq!(check(quote(), |_| ()), Ok(1000));
    }

    #[test]
    fn no_reference_no_order() {
        assert_eq!(check(quote(), |s| s.reference_price = None), Err(Reason::NoReference));
        assert_eq!(
            check(quote(), |s| s.reference_price = Some(f64::NAN)),
            Err(Reason::NoReference)
        );
        assert_eq!(
            check(quote(), |s| s.reference_price = Some(59_000.0)),
            Err(Reason::PriceCollar)
        );
    }

    #[test]
    fn worst_case_position_counts_orders_on_their_way() {
        assert_eq!(check(quote(), |s| s.same_side_base = dec("0.045")), Ok(500));
        assert_eq!(check(quote(), |s| s.same_side_base = dec("0.05")), Err(Reason::InventoryLimit));
        assert_eq!(
            check(quote(), |s| s.exposure_orders_base = dec("0.05")),
            Err(Reason::ExposureLimit)
        );
    }

    #[test]
    fn what_cannot_be_paid_is_not_sent() {
        assert_eq!(check(quote(), |s| s.free = Some(dec("300"))), Ok(500));
        assert_eq!(check(quote(), |s| s.free = Some(dec("3"))), Err(Reason::InsufficientFunds));
    }

    #[test]
    fn an_order_never_meets_our_own() {
        assert!(check(quote(), |s| s.own_opposite_px = Some(Px(6_000_000))).is_err());
        assert_eq!(check(quote(), |s| s.own_opposite_px = Some(Px(6_000_001))), Ok(1000));
    }

    #[test]
    fn a_hedge_does_not_pass_zero() {
        let hedge = || buy(6_000_000, 1000, Purpose::Hedge);
        assert_eq!(check(hedge(), |s| s.exposure_base = dec("-0.004")), Ok(400));
        assert_eq!(check(hedge(), |s| s.exposure_base = dec("0.004")), Err(Reason::Reducing));
        let with_hedge_on_its_way = |s: &mut Standing<'_>| {
            s.exposure_base = dec("-0.004");
            s.exposure_orders_base = dec("0.004");
            s.hedge_orders_base = dec("0.001");
        };
        assert_eq!(check(hedge(), with_hedge_on_its_way), Ok(300));
    }

    #[test]
    fn reducing_lets_only_the_way_back_pass() {
        assert_eq!(check(quote(), |s| s.reducing_only = true), Err(Reason::Reducing));
        assert_eq!(
            check(quote(), |s| {
                s.reducing_only = true;
                s.exposure_base = dec("-0.02");
            }),
            Ok(1000)
        );
    }

    #[test]
    fn the_venues_minimum_is_not_undercut() {
        assert_eq!(check(buy(6_000_000, 8, Purpose::Quote), |_| ()), Err(Reason::BelowMinimum));
        assert_eq!(check(buy(6_000_000, 9, Purpose::Quote), |_| ()), Ok(9));
    }

    #[test]
    fn the_collar_holds_both_ways_to_its_edge() {
        // 100 bps of 60,000.00 are 600.00.
        let at = |px| check(buy(px, 100, Purpose::Quote), |_| ());
        assert_eq!((at(6_059_999), at(5_940_001)), (Ok(100), Ok(100)));
        assert_eq!(
            (at(6_060_001), at(5_939_999)),
            (Err(Reason::PriceCollar), Err(Reason::PriceCollar))
        );
        let no_price = |price| check(quote(), |s| s.reference_price = Some(price));
        assert_eq!(
            (no_price(0.0), no_price(-1.0)),
            (Err(Reason::NoReference), Err(Reason::NoReference))
        );
    }

    #[test]
    fn an_order_is_cut_to_the_largest_allowed() {
        let wide = |s: &mut Standing<'_>| {
            s.position_base = dec("-5");
            s.exposure_base = dec("-5");
        };
        // 0.1 base is 6,000 quote: the base limit is the tighter one; twice as dear it is not.
        assert_eq!(check(buy(6_000_000, 90_000, Purpose::Quote), wide), Ok(10_000));
        let dear = check(buy(12_000_000, 90_000, Purpose::Quote), |s| {
            wide(s);
            s.free = Some(dec("1000000"));
            s.reference_price = Some(120_000.0);
        });
        assert_eq!(dear, Ok(8_333), "10,000 quote");
        let mut tight = limits();
        tight.max_order_quote = dec("600");
        let instrument = instrument();
        let standing = standing(&instrument);
        let cut = approve(quote(), &tight, &standing).unwrap();
        assert_eq!(cut.order().qty, Qty(1000));
        tight.max_order_quote = dec("599.99");
        assert_eq!(approve(quote(), &tight, &standing).unwrap().into_order().qty, Qty(999));
    }

    #[test]
    fn quotes_are_counted_and_hedges_leave_to_the_venue() {
        let hedge = |open| {
            check(buy(6_000_000, 100, Purpose::Hedge), |s| {
                s.exposure_base = dec("-0.02");
                s.open_orders = open;
            })
        };
        assert_eq!(check(quote(), |s| s.open_orders = 3), Ok(1000));
        assert_eq!(check(quote(), |s| s.open_orders = 4), Err(Reason::Budget));
        assert_eq!((hedge(4), hedge(199), hedge(200)), (Ok(100), Ok(100), Err(Reason::Budget)));
    }

    #[test]
    fn the_venues_word_comes_first() {
        let changed = |change: fn(&mut Instrument), order: NewOrder| {
            let mut instrument = instrument();
            change(&mut instrument);
            approve(order, &limits(), &standing(&instrument)).map(|own| own.order().qty.0)
        };
        assert_eq!(changed(|own| own.trading = false, quote()), Err(Reason::NotTrading));
        assert_eq!(changed(|own| own.max_qty = Qty(700), quote()), Ok(700));
        assert_eq!(changed(|own| own.min_px = Px(6_000_000), quote()), Ok(1000));
        assert_eq!(changed(|own| own.min_px = Px(6_000_001), quote()), Err(Reason::PriceCollar));
        assert_eq!(changed(|own| own.max_px = Px(6_000_000), quote()), Ok(1000));
        assert_eq!(changed(|own| own.max_px = Px(5_999_999), quote()), Err(Reason::PriceCollar));
    }

    #[test]
    fn a_sell_is_the_mirror_image() {
        let sell = |qty| NewOrder { side: Side::Sell, ..buy(6_000_000, qty, Purpose::Quote) };
        assert_eq!(check(sell(1000), |s| s.position_base = dec("-0.045")), Ok(500));
        assert_eq!(check(sell(1000), |s| s.exposure_base = dec("-0.045")), Ok(500));
        assert_eq!(check(sell(1000), |s| s.position_base = dec("0.05")), Ok(1000));
        assert_eq!(check(sell(1000), |s| s.free = Some(dec("0.004"))), Ok(400));
        let meets = |px| check(sell(1000), |s| s.own_opposite_px = Some(Px(px)));
        assert_eq!((meets(6_000_000), meets(5_999_999)), (Err(Reason::OwnOrderInTheWay), Ok(1000)));
    }

    #[test]
    fn flattening_goes_by_its_own_position() {
        let flatten = |position, working| {
            check(buy(6_000_000, 1000, Purpose::Flatten), |s| {
                s.position_base = dec(position);
                s.same_side_base = dec(working);
                s.exposure_base = dec("1");
            })
        };
        assert_eq!(flatten("-0.006", "0.002"), Ok(400));
        assert_eq!(flatten("0.006", "0"), Err(Reason::Reducing));
    }
}
