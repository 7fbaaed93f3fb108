//! The `[presence]` section: what counts as making a market, by the terms of a programme.

use crate::domain::Money;
use crate::inventory::{LeastShown, PresenceParams};

use super::reader::Table;

/// Read the section; what is wrong has been reported to the table's sink.
pub(super) fn presence(table: Table<'_>) -> PresenceParams {
    let most = Money::from(1_000_000_000);
    let by_base = table.maybe_money("min_base", Money::ZERO..=most).map(LeastShown::Base);
    let default = PresenceParams::default();
    let by_quote = || {
        let least = table.or("min_quote", Money::ONE_HUNDRED);
        LeastShown::Quote(table.within("min_quote", least, Money::ZERO..=most))
    };
    let least = by_base.unwrap_or_else(by_quote);
    if table.has("min_base") && table.has("min_quote") {
        by_quote();
        table.problem("min_base", "stands beside min_quote; give one of them");
    }
    let params = PresenceParams {
        max_half_spread_bps: table.number(
            "max_half_spread_bps",
            0.001..5_000.0,
            default.max_half_spread_bps,
        ),
        least,
        snapshot_interval: table.millis("snapshot_interval_ms", 100..3_600_000, 10_000),
    };
    table.finish();
    params
}
