//! What the core wants done. An action is a decision; a venue's protocol turns it into bytes.

use serde::{Deserialize, Serialize};

use super::{InstrumentId, Note, OrderId, Px, Qty, Side, VenueId};

/// How an order behaves when it meets the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Rests, or is refused by the venue if it would trade at once.
    PostOnly,
    /// Trades what it can up to its price at once; the rest expires.
    ImmediateOrCancel,
}

/// Why an order exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To earn the spread.
    Quote,
    /// To take net exposure off.
    Hedge,
    /// To close positions at the end.
    Flatten,
}

/// An order to be placed. The order store already knows its id, and the risk gate has passed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// Our id, from which the client order id is made.
    pub id: OrderId,
    /// What to trade.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// Limit price; every order has one, hedges too.
    pub px: Px,
    /// How much, above zero.
    pub qty: Qty,
    /// How it meets the book.
    pub kind: OrderKind,
    /// May only bring the position towards zero (derivatives).
    pub reduce_only: bool,
    /// Why it exists.
    pub purpose: Purpose,
}

/// A change of a resting order that keeps its identity: a new price or quantity where the venue
/// can do that (USD-M), a smaller quantity that keeps its place in the queue (spot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    /// The order to change.
    pub id: OrderId,
    /// Where it rests.
    pub instrument: InstrumentId,
    /// Its side (the venue asks for it).
    pub side: Side,
    /// New limit price.
    pub px: Px,
    /// New total quantity, what has already been filled included.
    pub qty: Qty,
}

/// A decision of the core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send a new order.
    Place(NewOrder),
    /// Change a resting order.
    Amend(Amend),
    /// Cancel one order by our id.
    Cancel {
        /// The order.
        id: OrderId,
        /// Where it rests.
        instrument: InstrumentId,
    },
    /// Ask what became of an order.
    Query {
        /// The order.
        id: OrderId,
        /// Where it was sent.
        instrument: InstrumentId,
    },
    /// Ask for open orders, balances, positions and recent trades of a venue; the answer is an
    /// [`super::Event::Account`].
    Reconcile {
        /// Which venue.
        venue: VenueId,
    },
    /// Throw an instrument's book away and build it anew from a snapshot.
    Resync {
        /// Which instrument.
        instrument: InstrumentId,
    },
    /// Something an operator should be able to read; it never changes what happens.
    Note(Note),
}
