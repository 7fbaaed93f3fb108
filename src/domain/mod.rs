//! What words do we use? Identifiers, units, time, instruments, events and actions.
//!
//! This is the bottom layer: it imports nothing of ours, and every type that passes between two
//! other modules lives here. Nothing in it reads a clock, opens a socket or draws a random number.

mod action;
mod event;
mod ids;
mod instrument;
mod note;
pub mod planted;
mod quotes;
mod reaction;
mod time;
mod units;

pub use action::{Action, Amend, NewOrder, OrderKind, Purpose};
pub use event::{
    AccountSnapshot, Balance, BookLoss, BookUpdate, BudgetUsage, Control, Event, Fill, KeyCheck,
    Level, LinkKind, Liquidity, Mark, OpenOrder, OrderEvent, OrderStatus, OrderUpdate,
    PositionReport, RejectClass, SettingChange, Ticker, Trade, TradesFrom,
};
pub use ids::{Asset, InstrumentId, OrderId, OrderIdSource, Prefix, VenueId};
pub use instrument::{Instrument, InstrumentKind, ScaleError};
pub use note::{CapitalStage, FairSource, HaltCause, Level as NoteLevel, Note, Reason, State};
pub use planted::planted;
pub use quotes::{Quote, QuoteSide, Quotes};
pub use reaction::ReactionTimes;
pub use time::{Span, Ts};
pub use units::{Bps, Money, Px, Qty, Side};
