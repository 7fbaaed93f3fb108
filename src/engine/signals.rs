//! What signals do to quotes: the fair price, the room a fill needs, and when a side is pulled.

use super::Engine;
use super::desk::Desk;
use crate::domain::{Action, InstrumentId, Level, Note, Px, Qty, Reason, Side};
use crate::market::{Book, Ladder, Reading, SignalsView, Touch, widening};

/// A side is pulled when even so many standard errors less would be too much.
const DOUBT: f64 = 2.0;

/// What the signals say to one decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignalInputs {
    /// The own book's fair price, ticks.
    pub(super) fair_ticks: f64,
    /// Expected move against a fill, bps.
    pub(super) adverse_move_bps: f64,
    /// What the model's half-spread is multiplied by.
    pub(super) widening: f64,
}

impl Engine {
    /// Brings an instrument's signals up to date with its book, own orders left out.
    pub(super) fn observe_signals(&mut self, id: InstrumentId) {
        let mut own = std::mem::take(&mut self.own);
        own.clear();
        if self.params.market.use_own_order_filter {
            own.extend(self.orders.resting(id));
        }
        let desk = &mut self.desks[id.index()];
        if let Some(touch) = desk.touch_of_others(&own) {
            let ladder = ladder(&desk.book, &own);
            desk.signals.observe_book(self.now, &touch, &ladder, &desk.flow);
        }
        self.own = own;
    }

    /// What the signals say to a decision on this touch.
    pub(super) fn signals_for(&self, desk: &Desk, touch: &Touch) -> SignalInputs {
        let rule = &self.params.signals;
        let [bid, ask] = Side::BOTH.map(|side| self.adverse_move_bps(desk, side));
        let percentile = desk.signals.toxicity_percentile();
        SignalInputs {
            fair_ticks: desk.signals.fair_ticks(touch),
            adverse_move_bps: 0.5 * (bid + ask),
            widening: widening(rule.toxicity_widening, percentile),
        }
    }

    /// Pulls a side, for the time that the signals look ahead, when the mid is expected to move
    /// past the fair price, against a fill there, by surely more than the quote would earn against
    /// that fair price; it stands `lean_bps` above the mid.
    pub(super) fn pull_toxic(
        &mut self,
        id: InstrumentId,
        half_spread_bps: f64,
        lean_bps: f64,
        maker_fee_bps: f64,
        out: &mut Vec<Action>,
    ) {
        self.desks[id.index()].signals.quoted_around(lean_bps);
        if !self.params.signals.pull_when_toxic {
            return;
        }
        let (now, until) = (self.now, self.now + self.params.signals.measured.horizon);
        let desk = &mut self.desks[id.index()];
        for side in Side::BOTH {
            let paused = desk.sides[side.index()].pause.is_some_and(|(until, _)| now < until);
            let Some(expected) = desk.signals.touch_adverse(side) else { continue };
            let earns_bps = half_spread_bps - maker_fee_bps - self.params.quoting.min_edge_bps;
            let surely_bps = expected.bps - DOUBT * expected.error_bps;
            if paused || surely_bps <= earns_bps {
                continue;
            }
            let state = &mut desk.sides[side.index()];
            state.pause = Some((until, Reason::Toxic));
            if state.reason != Reason::Toxic {
                let (instrument, expected_bps) = (id, expected.bps);
                let note = Note::SideToxic { instrument, side, expected_bps, earns_bps };
                out.push(Action::Note(note));
            }
        }
    }

    /// Expected move against a fill of ours on that side, bps.
    fn adverse_move_bps(&self, desk: &Desk, side: Side) -> f64 {
        let (rule, assumed) = (&self.params.signals, self.params.quoting.adverse_move_bps);
        if rule.adverse_from_markouts {
            desk.markouts.adverse(side, rule.measured.horizon).or(assumed)
        } else {
            assumed
        }
    }

    pub(super) fn adverse_view(&self, desk: &Desk) -> [Reading; 2] {
        let horizon = self.params.signals.measured.horizon;
        Side::BOTH.map(|side| Reading {
            value: Some(self.adverse_move_bps(desk, side)),
            trusted: desk.markouts.adverse(side, horizon).is_trusted(),
        })
    }

    pub(super) fn signals_view(&self, desk: &Desk) -> SignalsView {
        let lot = desk.listed.as_ref().map(crate::domain::Instrument::lot_f64);
        desk.signals.view(lot, self.volatility_of(desk), &desk.flow)
    }

    /// Tells what the signals of every instrument say.
    pub(super) fn tell_signals(&self, out: &mut Vec<Action>) {
        for desk in &self.desks {
            let market = self.signals_view(desk).readings();
            let names = ["adverse_move_bid_bps", "adverse_move_ask_bps"];
            let fills = names.into_iter().zip(self.adverse_view(desk));
            let trusted = |reading: Reading| reading.value.filter(|_| reading.trusted);
            let all = market.into_iter().chain(fills);
            let readings = all.map(|(name, reading)| (name.to_owned(), trusted(reading))).collect();
            out.push(Action::Note(Note::Signals { instrument: desk.id, readings }));
        }
    }
}

/// The best proven levels of a book without our own orders.
fn ladder(book: &Book, own: &[(Side, Px, Qty)]) -> Ladder {
    Side::BOTH.map(|side| {
        let ours = |px: Px| -> Qty {
            own.iter().filter(|order| (order.0, order.1) == (side, px)).map(|order| order.2).sum()
        };
        let others = book
            .levels(side)
            .map(|level| Level { px: level.px, qty: level.qty - ours(level.px) })
            .filter(|level| level.qty.0 > 0);
        let mut levels = Ladder::default()[0];
        levels.iter_mut().zip(others).for_each(|(place, level)| *place = Some(level));
        levels
    })
}
