//! The `[presence]` section: what counts as making a market, by the terms of a programme.

use crate::domain::Money;
use crate::inventory::{LeastShown, PresenceParams};

use super::reader::Table;

/// Read the section; what is wrong has been reported to the table's sink.
pub(super) fn presence(table: Table<'_>) -> PresenceParams {
    let most = Money::from(1_000_000_000);
    let by_base = table.maybe_money("min_base", Money::ZERO..=most).map(LeastShown::Base);
    if by_base.is_some() && table.has("min_quote") {
        table.problem("min_base", "stands beside min_quote; give one of them");
    }
    let default = PresenceParams::default();
    let by_quote =
        || table.within("min_quote", table.or("min_quote", Money::ONE_HUNDRED), Money::ZERO..=most);
    let params = PresenceParams {
        max_half_spread_bps: table.number(
            "max_half_spread_bps",
            0.001..5_000.0,
            default.max_half_spread_bps,
        ),
        least: by_base.unwrap_or_else(|| LeastShown::Quote(by_quote())),
        snapshot_interval: table.millis("snapshot_interval_ms", 100..3_600_000, 10_000),
    };
    table.finish();
    params
}
