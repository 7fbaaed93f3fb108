//! Closing positions at the end.

use rust_decimal::prelude::ToPrimitive;

use super::Engine;
use super::send::Wish;
use crate::domain::{Action, InstrumentId, InstrumentKind, Money, OrderKind, Purpose, Side, Span};
use crate::orders::Order;

/// Pause between two flattening orders of one instrument.
const FLATTEN_PAUSE: Span = Span::from_ms(300);

impl Engine {
    /// Sends what closes positions; true while anything is left to close or in doubt.
    pub(super) fn flatten(&mut self, out: &mut Vec<Action>) -> bool {
        let mut busy = false;
        for index in 0..self.desks.len() {
            let desk = &self.desks[index];
            if desk.is_flat() {
                continue;
            }
            busy = true;
            let (id, waiting) = (desk.id, self.now < desk.flatten_at);
            let open = self.orders.of(id).map(Order::exposed).any(|qty| !qty.is_zero());
            if !open && !waiting && self.may_trade(id) {
                self.flatten_one(id, out);
            }
        }
        busy
    }

    fn flatten_one(&mut self, id: InstrumentId, out: &mut Vec<Action>) {
        let now = self.now;
        let collar = self.desks[id.index()].params.limits.price_collar_bps;
        let slippage = self.flatten_slippage().min(collar);
        let desk = &mut self.desks[id.index()];
        desk.flatten_at = now + FLATTEN_PAUSE;
        let (Some(instrument), Some(touch)) = (&desk.listed, desk.book.touch()) else { return };
        let off = desk.off_target_base();
        let side = if off > Money::ZERO { Side::Sell } else { Side::Buy };
        let best = if side == Side::Sell { touch.bid.px } else { touch.ask.px };
        let slip = (best.0 as f64 * slippage * 1e-4) as i64;
        let wish = Wish {
            instrument: id,
            side,
            px: best.away(side.opposite(), slip),
            qty: instrument.lots_within(off.abs()),
            kind: OrderKind::ImmediateOrCancel,
            reduce_only: instrument.kind == InstrumentKind::LinearPerpetual,
            purpose: Purpose::Flatten,
        };
        // A refusal is told by the gate's note; the next turn tries again.
        if self.place(wish, out).is_ok() {
            self.counts.flattens_sent += 1;
        }
    }

    /// How far through the touch a flattening order may reach, basis points: as far as a hedge.
    fn flatten_slippage(&self) -> f64 {
        let configured =
            self.params.hedge.as_ref().and_then(|hedge| hedge.max_slippage_bps.to_f64());
        configured.unwrap_or(10.0)
    }
}
