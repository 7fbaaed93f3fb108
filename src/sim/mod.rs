//! What would an exchange do? Matching, ledgers, market flow; pure, in virtual time, from a seed.
//!
//! [`Exchange`] is one exchange group with a spot and a USD-M wallet per account. It owns no
//! socket and no clock: a driver passes the time in, commands return answers, and everything that
//! other participants or the account's own streams would learn is appended to a list of
//! [`Happening`]s. The faces (`faces`) translate both into a venue's wire protocol.
//!
//! Whose orders are in a book? Accounts' orders and the orders of one *population*, which belongs
//! to the market's [`Source`]: a seeded synthetic crowd ([`flow`]) or a recording ([`tape`]). Both
//! speak in the same two words, "there are now q lots of ours at this level" and "we take", and
//! both are executed by the one [`matcher::Matcher`] under price–time priority, so an account's
//! fill never depends on a second set of rules.

pub mod api;
mod book_view;
pub mod calibration;
mod exchange;
pub mod faces;
pub mod flow;
mod ledger;
pub mod matcher;
mod place;
mod settle;
mod source;
pub mod tape;
pub mod toy;

pub use api::*;
pub use exchange::Exchange;
