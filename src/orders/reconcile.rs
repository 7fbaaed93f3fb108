//! Wanted against working: the smallest set of changes from one to the other.

use super::state::{Order, Phase, Request};
use crate::domain::{OrderId, Px, Qty, Quote, Side, Span, Ts};

/// How far a working order may be from the wanted one before it is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Price distance, basis points of the price.
    pub reprice_threshold_bps: f64,
    /// Oldest that an order may grow.
    pub max_age: Span,
    /// The venue can move an order's price under the same id (USD-M).
    pub can_move: bool,
    /// The venue can take quantity off and keep the place in the queue (spot).
    pub can_shrink: bool,
}

/// Amendments of one order, at most: the spot venue's filter MAX_NUM_ORDER_AMENDS.
pub const AMENDS_MAX: u32 = 10;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new order.
    Place(Quote),
    /// Another price or quantity (total, filled part included) under the same id.
    Amend {
        /// Which order.
        id: OrderId,
        /// New price.
        px: Px,
        /// New total quantity.
        qty: Qty,
    },
    /// Away with it.
    Cancel {
        /// Which order.
        id: OrderId,
    },
}

/// A working order as the comparison sees it.
#[derive(Clone, Copy, Debug)]
pub struct Working<'a>(pub &'a Order);

impl Working<'_> {
    /// Whether it can stand for that wanted quote as it is.
    pub(crate) fn serves(self, quote: Quote, tolerance: Tolerance, now: Ts) -> bool {
        let (px, left) = (self.0.px, self.0.remaining());
        let distance_bps = ((px.0 - quote.px.0).abs() as f64) / (quote.px.0.max(1) as f64) * 1e4;
        let fresh = now.since(self.0.sent_at) < tolerance.max_age;
        // Less than half of the wanted quantity left is worth a new order; more than wanted is
        // more risk than wanted.
        let size_fits = left <= quote.qty && left.0 * 2 >= quote.qty.0;
        fresh && size_fits && distance_bps <= tolerance.reprice_threshold_bps
    }
}

/// The changes of one side. An order whose fate or change is still open keeps its slot: it is
/// neither changed nor replaced until the venue has answered. A confirmed one with a cancel on its
/// way has left its slot already. `working` must all be live and of this side.
#[must_use]
pub fn changes(
    side: Side,
    wanted: &[Quote],
    working: &[Working<'_>],
    tolerance: Tolerance,
    now: Ts,
) -> Vec<Change> {
    let mut rest: Vec<Working<'_>> = working
        .iter()
        .copied()
        .filter(|w| !(w.0.phase == Phase::Working && matches!(w.0.request, Request::Cancel { .. })))
        .collect();
    rest.sort_by_key(|w| (-side.sign() * w.0.px.0, w.0.new.id));
    let mut open: Vec<Quote> = Vec::new();
    for &quote in wanted {
        match rest.iter().position(|w| w.serves(quote, tolerance, now)) {
            Some(at) => {
                rest.remove(at);
            }
            None => open.push(quote),
        }
    }
    let unanswered = rest.iter().filter(|w| !w.0.is_settled()).count();
    rest.retain(|w| w.0.is_settled());
    open.drain(..unanswered.min(open.len()));

    let mut out = Vec::new();
    let mut old = rest.into_iter();
    for quote in open {
        match old.next() {
            None => out.push(Change::Place(quote)),
            Some(working) => match amend(working, quote, tolerance) {
                Some(change) => out.push(change),
                None => {
                    out.push(Change::Cancel { id: working.0.new.id });
                    out.push(Change::Place(quote));
                }
            },
        }
    }
    out.extend(old.map(|w| Change::Cancel { id: w.0.new.id }));
    // Cancels first: they free budget and balance for what follows.
    out.sort_by_key(|change| !matches!(change, Change::Cancel { .. }));
    out
}

/// The amend that turns a working order into the wanted one, where the venue can do that.
fn amend(working: Working<'_>, quote: Quote, tolerance: Tolerance) -> Option<Change> {
    let order = working.0;
    let filled = order.filled.max(order.traded);
    let qty = filled + quote.qty;
    let same_px = order.px == quote.px;
    let shrinks = tolerance.can_shrink && same_px && qty < order.qty && order.amends < AMENDS_MAX;
    let moves = tolerance.can_move && (qty, quote.px) != (order.qty, order.px);
    (shrinks || moves).then_some(Change::Amend { id: order.new.id, px: quote.px, qty })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{InstrumentId, NewOrder, OrderKind, Purpose};

    const TOLERANCE: Tolerance = Tolerance {
        reprice_threshold_bps: 1.0,
        max_age: Span::from_s(30),
        can_move: false,
        can_shrink: true,
    };

    fn order(counter: u32, px: i64, qty: i64) -> Order {
        let new = NewOrder {
            id: OrderId { epoch: 1, counter },
            instrument: InstrumentId(0),
            side: Side::Buy,
            px: Px(px),
            qty: Qty(qty),
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        };
        let mut order = Order::sent(new, Ts(0), Ts(0));
        order.phase = Phase::Working;
        order
    }

    fn check(wanted: &[(i64, i64)], working: &[Order], tolerance: Tolerance) -> Vec<Change> {
        let wanted: Vec<Quote> =
            wanted.iter().map(|&(px, qty)| Quote { px: Px(px), qty: Qty(qty) }).collect();
        let working: Vec<Working<'_>> = working.iter().map(Working).collect();
        changes(Side::Buy, &wanted, &working, tolerance, Ts(1))
    }

    fn id(counter: u32) -> OrderId {
        OrderId { epoch: 1, counter }
    }

    #[test]
    fn what_serves_is_left_alone() {
        assert_eq!(check(&[(100_000, 10)], &[order(1, 100_005, 10)], TOLERANCE), []);
        assert_eq!(check(&[], &[], TOLERANCE), []);
    }

    #[test]
    fn what_is_too_far_is_cancelled_then_replaced() {
        assert_eq!(
            check(&[(100_000, 10)], &[order(1, 100_050, 10)], TOLERANCE),
            [Change::Cancel { id: id(1) }, Change::Place(Quote { px: Px(100_000), qty: Qty(10) })]
        );
    }

    #[test]
    fn nothing_wanted_cancels_all() {
        let working = [order(1, 100_000, 10), order(2, 99_000, 10)];
        assert_eq!(
            check(&[], &working, TOLERANCE),
            [Change::Cancel { id: id(1) }, Change::Cancel { id: id(2) }]
        );
    }

    #[test]
    fn too_much_is_taken_off_in_place() {
        assert_eq!(
            check(&[(100_000, 6)], &[order(1, 100_000, 10)], TOLERANCE),
            [Change::Amend { id: id(1), px: Px(100_000), qty: Qty(6) }]
        );
    }

    #[test]
    fn a_venue_that_can_move_an_order_is_asked_to() {
        let tolerance = Tolerance { can_move: true, ..TOLERANCE };
        assert_eq!(
            check(&[(100_100, 10)], &[order(1, 100_000, 10)], tolerance),
            [Change::Amend { id: id(1), px: Px(100_100), qty: Qty(10) }]
        );
    }

    #[test]
    fn what_is_filled_stays_part_of_an_amended_quantity() {
        let tolerance = Tolerance { can_move: true, ..TOLERANCE };
        let mut filled = order(1, 100_000, 10);
        filled.filled = Qty(4);
        assert_eq!(
            check(&[(100_100, 10)], &[filled], tolerance),
            [Change::Amend { id: id(1), px: Px(100_100), qty: Qty(14) }]
        );
    }

    #[test]
    fn the_best_order_moves_to_the_best_price() {
        let tolerance = Tolerance { can_move: true, ..TOLERANCE };
        let moved = |id, px| Change::Amend { id, px: Px(px), qty: Qty(10) };
        assert_eq!(
            check(
                &[(101_000, 10), (98_000, 10)],
                &[order(1, 99_000, 10), order(2, 100_000, 10)],
                tolerance
            ),
            [moved(id(2), 101_000), moved(id(1), 98_000)]
        );
    }

    #[test]
    fn an_order_on_its_way_out_is_not_counted_and_not_cancelled_twice() {
        let mut going = order(1, 100_000, 10);
        going.cancel_sent(Ts(0));
        assert_eq!(
            check(&[(100_000, 10)], &[going], TOLERANCE),
            [Change::Place(Quote { px: Px(100_000), qty: Qty(10) })]
        );
    }

    #[test]
    fn an_unanswered_order_keeps_its_slot() {
        let mut sent = order(1, 99_000, 10);
        sent.phase = Phase::Sent;
        assert_eq!(check(&[(100_000, 10)], &[sent.clone()], TOLERANCE), []);
        assert_eq!(check(&[], &[sent], TOLERANCE), []);
    }

    #[test]
    fn an_old_order_is_renewed() {
        let tolerance = Tolerance { max_age: Span(1), ..TOLERANCE };
        assert_eq!(check(&[(100_000, 10)], &[order(1, 100_000, 10)], tolerance).len(), 2);
    }
}
