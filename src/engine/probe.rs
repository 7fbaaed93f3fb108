//! What does a simulation look at after every step? Cheap reads of single facts; operators get
//! [`super::Status`].

use super::Engine;
use crate::domain::{HaltCause, InstrumentId, Money, OrderId, Px, Reason, Side};
use crate::orders::Order;

impl Engine {
    /// An order that is not forgotten.
    #[must_use]
    pub fn order(&self, instrument: InstrumentId, id: OrderId) -> Option<&Order> {
        self.orders.find(instrument, id)
    }

    /// Every order that is not closed.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.all()
    }

    /// Whether an instrument is quoted.
    #[must_use]
    pub fn is_quoted(&self, instrument: InstrumentId) -> bool {
        self.desks[instrument.index()].is_quoted()
    }

    /// Why a side is or is not quoting.
    #[must_use]
    pub fn side_reason(&self, instrument: InstrumentId, side: Side) -> Reason {
        self.desks[instrument.index()].sides[side.index()].reason
    }

    /// What is held, in base.
    #[must_use]
    pub fn held_base(&self, instrument: InstrumentId) -> Money {
        self.desks[instrument.index()].held_base
    }

    /// Best bid and ask of a proven book.
    #[must_use]
    pub fn proven_touch(&self, instrument: InstrumentId) -> Option<(Px, Px)> {
        let book = &self.desks[instrument.index()].book;
        let best = |side| book.best(side).map(|level| level.px);
        book.is_synced().then(|| best(Side::Buy).zip(best(Side::Sell))).flatten()
    }

    /// Why it is halted, if it is.
    #[must_use]
    pub fn halt_cause(&self) -> Option<HaltCause> {
        self.halt.as_ref().map(|halt| halt.cause)
    }

    /// Whether an operator has paused it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Result since the start, in quote.
    #[must_use]
    pub fn result_quote(&self) -> Money {
        self.agenda.profit_quote
    }
}
