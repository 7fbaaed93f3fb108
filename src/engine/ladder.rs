//! What does an operator see of one book? Its best proven levels, and where our orders stand.

use super::Engine;
use crate::domain::{Instrument, Level, OrderId, Purpose, Qty, Side};

/// The near end of one instrument's book, in ticks and lots: whoever shows it converts.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Name of its venue.
    pub venue: String,
    /// Its scales and symbol.
    pub instrument: Instrument,
    /// The levels are proven; otherwise there are none.
    pub synced: bool,
    /// Best bids and asks of the market, ours included, best first.
    pub sides: [Vec<Level>; 2],
    /// Our live orders.
    pub own: Vec<OwnOrder>,
}

/// One live order of ours, and what the proven book shows at its price.
#[derive(Clone, Copy, Debug)]
pub struct OwnOrder {
    /// Which.
    pub id: OrderId,
    /// Which way.
    pub side: Side,
    /// Where, and how much of it is not filled.
    pub level: Level,
    /// Why it exists.
    pub purpose: Purpose,
    /// Everything that rests at its price, by the proven book; zero where the book does not show
    /// it (yet).
    pub shown: Qty,
}

impl Engine {
    /// The `depth` best levels a side of every listed instrument, in the order of the
    /// configuration.
    #[must_use]
    pub fn ladders(&self, depth: usize) -> Vec<Ladder> {
        let listed = self.desks.iter().filter_map(|desk| Some((desk, desk.listed.as_ref()?)));
        listed
            .map(|(desk, instrument)| Ladder {
                venue: self.venues[desk.venue.index()].name.clone(),
                instrument: instrument.clone(),
                synced: desk.book.is_synced(),
                sides: [Side::Buy, Side::Sell]
                    .map(|side| desk.book.levels(side).take(depth).collect()),
                own: self
                    .orders
                    .live(desk.id)
                    .map(|order| OwnOrder {
                        id: order.new.id,
                        side: order.new.side,
                        level: Level { px: order.px, qty: order.remaining() },
                        purpose: order.new.purpose,
                        shown: desk.book.qty_at(order.new.side, order.px),
                    })
                    .collect(),
            })
            .collect()
    }
}
