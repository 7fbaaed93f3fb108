//! What would an exchange do? Matching, ledgers, market flow; pure, in virtual time.

pub mod faces;
