//! Our ledger against the venue's: open orders, balances, positions.

use super::Engine;
use super::params::Mission;
use crate::domain::{
    AccountSnapshot, Action, HaltCause, InstrumentId, InstrumentKind, Money, NewOrder, Note,
    OpenOrder, OrderEvent, OrderId, OrderKind, OrderStatus, OrderUpdate, Purpose, Span, State, Ts,
    VenueId, planted,
};
use crate::orders::Phase;

/// Complete readings in a row that must differ before the difference counts as unexplained.
const DIFFERENCES_NEEDED: u32 = 3;
/// Pause before a reading that differed is repeated.
const SECOND_LOOK: Span = Span::from_ms(500);

impl Engine {
    /// Asks for accounts that are due, or whose answer has been out for too long.
    pub(super) fn tend_accounts(&mut self, out: &mut Vec<Action>) {
        let now = self.now;
        // Nothing new leaves at the end, so what is left can be read without any stream.
        let ending = matches!(self.state, State::Stopping | State::Halted);
        for venue in &mut self.venues {
            if venue.account_due(ending).is_some_and(|due| now >= due) {
                venue.asked(now, self.params.risk.reconcile_interval);
                out.push(Action::Reconcile { venue: venue.id });
            }
        }
    }

    /// Asks for a venue's account soon, whatever the interval.
    pub(super) fn ask_account(&mut self, venue: VenueId) {
        let session = &mut self.venues[venue.index()];
        session.ask_at = self.now;
    }

    pub(super) fn on_account(&mut self, snapshot: &AccountSnapshot, out: &mut Vec<Action>) {
        let venue = snapshot.venue;
        let first = self.venues[venue.index()].read_at.is_none();
        // A reading that fills have overtaken tells balances that are no more.
        let overtaken = snapshot.complete
            && self.desks.iter().any(|d| d.venue == venue && d.filled_at >= snapshot.as_of)
            && !planted("old_reading_wins");
        if first || !overtaken {
            for balance in &snapshot.balances {
                self.venues[venue.index()]
                    .balances
                    .insert(balance.asset.clone(), (balance.free, balance.locked));
            }
        }
        if !snapshot.complete {
            return;
        }
        self.venues[venue.index()].asked_at = None;
        self.settle_trades(snapshot);
        if !overtaken {
            self.count_others(snapshot);
        }
        if let Some(open) = &snapshot.open_orders {
            self.match_open_orders(venue, open, snapshot, out);
        }
        if !first {
            self.compare_positions(snapshot, out);
        } else if overtaken {
            // What we hold at the start must be beyond doubt: read again.
            self.venues[venue.index()].ask_at = self.now + SECOND_LOOK;
            return;
        } else {
            self.open_books(snapshot, out);
        }
        let session = &mut self.venues[venue.index()];
        session.read_at = Some(snapshot.as_of);
    }

    /// The first reading says what we start with.
    fn open_books(&mut self, snapshot: &AccountSnapshot, out: &mut Vec<Action>) {
        for id in self.instruments_of(snapshot.venue) {
            if let Some(held) = self.reported_base(id, snapshot) {
                self.open_desk(id, held, out);
                self.agenda.set_profit(id, self.desks[id.index()].profit_quote());
            }
        }
        self.note_reconciled(snapshot.venue, out);
    }

    fn open_desk(&mut self, id: InstrumentId, held: Money, out: &mut Vec<Action>) {
        let desk = &mut self.desks[id.index()];
        let found = desk.target_base.is_none();
        let moved = desk.open_with(held, self.now);
        self.agenda.set_off_target(id, desk.off_target_f64());
        let venue = &self.venues[desk.venue.index()].name;
        if let Some(instrument) = desk.listed.as_ref().filter(|_| !moved.is_zero()) {
            let name = format!("{venue}:{}", desk.params.symbol);
            let base = instrument.quantity(moved);
            out.push(Action::Note(Note::HoldingMoved { instrument: id, name, base }));
        }
        if found {
            out.push(Action::Note(Note::TargetTaken {
                instrument: id,
                name: format!("{venue}:{}", desk.params.symbol),
                base: held,
            }));
        }
    }

    /// A holding farther from its target than the limit allows is not ours to trade away: an
    /// account that was already in use, or a target that was never set. In words, if there is one.
    pub(super) fn misplaced_target(&self) -> Option<String> {
        self.desks.iter().find_map(|desk| {
            let (off, limit) = (desk.off_target_base(), desk.params.limits.inventory_limit_base);
            // Fees taken in base and a hedge that overshot by a lot are no reason to refuse.
            (off.abs() > limit + limit).then(|| {
                format!(
                    "{}:{} holds {}, which is {off} from inventory_target_base; \
                     inventory_limit_base allows {limit}. Set inventory_target_base to what counts \
                     as flat, or to \"as_found\"",
                    self.venues[desk.venue.index()].name,
                    desk.params.symbol,
                    desk.held_base.normalize(),
                )
            })
        })
    }

    /// Quantity in base that the snapshot reports for an instrument.
    fn reported_base(&self, id: InstrumentId, snapshot: &AccountSnapshot) -> Option<Money> {
        let instrument = self.desks[id.index()].listed.as_ref()?;
        Some(match instrument.kind {
            InstrumentKind::Spot => snapshot
                .balances
                .iter()
                .filter(|balance| balance.asset == instrument.base)
                .map(|balance| balance.free + balance.locked)
                .sum(),
            InstrumentKind::LinearPerpetual => snapshot
                .positions
                .iter()
                .filter(|position| position.instrument == id)
                .map(|position| instrument.quantity(position.qty))
                .sum(),
        })
    }

    fn compare_positions(&mut self, snapshot: &AccountSnapshot, out: &mut Vec<Action>) {
        let venue = snapshot.venue;
        let mut differences = Vec::new();
        let mut moving = false;
        for id in self.instruments_of(venue) {
            let Some(reported) = self.reported_base(id, snapshot) else { continue };
            let desk = &self.desks[id.index()];
            let Some(instrument) = &desk.listed else { continue };
            // A fill around the time of the reading may be in one and not yet in the other.
            let overtaken = desk.filled_at >= snapshot.as_of;
            if overtaken && planted("old_reading_wins") {
                self.desks[id.index()].held_base = reported;
                self.note_holding(id);
                continue;
            }
            moving |= overtaken;
            moving |= self.orders.of(id).any(|order| order.traded < order.filled);
            let held = desk.held_base;
            if (held - reported).abs() >= instrument.lot_size {
                differences
                    .push(format!("{}: ours {held}, venue's {reported}", desk.params.symbol));
            }
        }
        let session = &mut self.venues[venue.index()];
        if differences.is_empty() {
            session.differs = 0;
            self.note_reconciled(venue, out);
            return;
        }
        session.ask_at = self.now + SECOND_LOOK;
        if moving {
            return;
        }
        session.differs += 1;
        let text = differences.join("; ");
        if session.differs >= DIFFERENCES_NEEDED {
            self.halt(HaltCause::ReconcileBreak, &text, out);
        } else {
            out.push(Action::Note(Note::ReconcileDiffers { venue, text }));
        }
    }

    fn note_reconciled(&mut self, venue: VenueId, out: &mut Vec<Action>) {
        let open_orders =
            self.instruments_of(venue).iter().map(|&id| self.orders.live(id).count()).sum();
        let foreign_orders = self.venues[venue.index()].foreign_orders;
        out.push(Action::Note(Note::Reconciled { venue, open_orders, foreign_orders }));
    }

    fn match_open_orders(
        &mut self,
        venue: VenueId,
        open: &[OpenOrder],
        snapshot: &AccountSnapshot,
        out: &mut Vec<Action>,
    ) {
        let session = &mut self.venues[venue.index()];
        session.foreign_orders = open.iter().filter(|o| o.id.is_none()).count();
        session.own_orders = open.len() - session.foreign_orders;
        if self.params.mission == Mission::Observe {
            return;
        }
        for listed in open {
            let Some(id) = listed.id else { continue };
            match self.orders.find(listed.instrument, id).map(|order| order.missed_since()) {
                None if !planted("leftovers_ignored") => self.adopt(listed, id, out),
                // The list shows what was asked for one by one and not found.
                Some(Some(since)) if since < snapshot.as_of => {
                    self.on_order(&found(listed, id, snapshot.as_of), out);
                }
                None | Some(_) => {}
            }
        }
        let mut missing = Vec::new();
        for instrument in self.instruments_of(venue) {
            for order in self.orders.live(instrument) {
                let listed = open.iter().any(|o| o.id == Some(order.new.id));
                let old = order.sent_at < snapshot.as_of;
                if !listed && old && matches!(order.phase, Phase::Working) {
                    missing.push((instrument, order.new.id));
                }
            }
        }
        for (instrument, id) in missing {
            out.push(Action::Query { id, instrument });
        }
    }

    /// An order of ours from an earlier run: it is taken in and cancelled.
    fn adopt(&mut self, listed: &OpenOrder, id: OrderId, out: &mut Vec<Action>) {
        let order = NewOrder {
            id,
            instrument: listed.instrument,
            side: listed.side,
            px: listed.px,
            qty: listed.qty,
            kind: OrderKind::PostOnly,
            reduce_only: false,
            purpose: Purpose::Quote,
        };
        self.orders.adopt(order, listed.venue_order_id, listed.filled, self.now);
        self.quiet_since = self.now;
        self.cancel(listed.instrument, id, out);
    }

    pub(super) fn instruments_of(&self, venue: VenueId) -> Vec<InstrumentId> {
        self.desks.iter().filter(|desk| desk.venue == venue).map(|desk| desk.id).collect()
    }
}

/// That an order rests, as the list of open orders says.
fn found(listed: &OpenOrder, id: OrderId, at: Ts) -> OrderEvent {
    let &OpenOrder { px, qty, filled, .. } = listed;
    let status = if filled.is_zero() { OrderStatus::New } else { OrderStatus::PartiallyFilled };
    OrderEvent {
        instrument: listed.instrument,
        id,
        venue_order_id: Some(listed.venue_order_id),
        update: OrderUpdate::State { status, filled, qty, px },
        at,
    }
}
