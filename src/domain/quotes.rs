//! What we would like to show: the wanted orders of one instrument, with reasons.

use serde::{Deserialize, Serialize};

use super::{InstrumentId, Px, Qty, Reason};

/// One wanted resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Limit price, already on a tick and away from the touch.
    pub px: Px,
    /// Quantity, already in lots and above the venue's minimum.
    pub qty: Qty,
}

/// The wanted orders of one side, best first, and why it is so when there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteSide {
    /// Wanted orders, best price first.
    pub levels: Vec<Quote>,
    /// `Reason::Quoting` when there is any level, otherwise the reason for none.
    pub reason: Reason,
}

impl QuoteSide {
    /// Nothing on this side, and why.
    #[must_use]
    pub fn none(reason: Reason) -> QuoteSide {
        QuoteSide { levels: Vec::new(), reason }
    }
}

/// The wanted orders of one instrument. Index a side with [`super::Side::index`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotes {
    /// Where.
    pub instrument: InstrumentId,
    /// Bids, then asks.
    pub sides: [QuoteSide; 2],
}

impl Quotes {
    /// No quotes on either side, for one reason.
    #[must_use]
    pub fn none(instrument: InstrumentId, reason: Reason) -> Quotes {
        Quotes { instrument, sides: [QuoteSide::none(reason), QuoteSide::none(reason)] }
    }
}
