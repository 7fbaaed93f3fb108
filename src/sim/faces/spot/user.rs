//! The user data stream of spot: execution reports and balances, over the WebSocket API.

use super::SpotFace;
use super::trade::{
    expiry_word, quote_order_qty, self_trade_word, status_word, tif_word, type_word,
};
use crate::domain::{Money, Ts};
use crate::sim::faces::json::object;
use crate::sim::faces::streams::Outbox;
use crate::sim::faces::venue::{Ctx, side_word};
use crate::sim::{BalanceRecord, Execution, OrderRecord};

impl SpotFace {
    /// An order of an account changed: its report, and what its first fill does to the counts.
    pub fn on_order(
        &mut self,
        ctx: &Ctx<'_>,
        record: &OrderRecord,
        execution: &Execution,
        muted: bool,
        out: &mut Outbox,
    ) {
        if let Execution::Trade(trade) = execution
            && trade.qty == record.filled
        {
            self.venue.limits.first_fill(ctx.now, record.account.0);
        }
        self.last_execution += 1;
        let given = match execution {
            Execution::Canceled | Execution::Amended => {
                self.venue.given_ids.remove(&record.order_id)
            }
            _ => None,
        };
        if muted || !self.api.hears(record.account.0) {
            return;
        }
        let Some(report) = self.execution_report(ctx.now, record, execution, given) else { return };
        self.api.tell(record.account.0, &report, out);
    }

    fn execution_report(
        &self,
        now: Ts,
        record: &OrderRecord,
        execution: &Execution,
        given: Option<String>,
    ) -> Option<String> {
        let market = self.venue.market(record.market)?;
        let (client, original) = ids(record, execution, given);
        let trade = match execution {
            Execution::Trade(trade) => Some(trade),
            _ => None,
        };
        let kind = kind_word(execution);
        // The report tells the order as the trade left it: a sweep has one report for each step.
        let nothing = crate::domain::Qty::ZERO;
        let last_quote = trade.map_or(Money::ZERO, |t| market.instrument.notional(t.px, t.qty));
        let working = record.status.is_open();
        let report = object()
            .text("e", "executionReport")
            .int("E", now.ms())
            .text("s", &market.instrument.symbol)
            .text("c", &client)
            .text("S", side_word(record.side))
            .text("o", type_word(&record.terms))
            .text("f", tif_word(&record.terms))
            .text("q", &market.quantity(record.qty))
            .text("p", &market.price(record.px().unwrap_or_default()))
            .fixed("P", Money::ZERO, 8)
            .fixed("F", Money::ZERO, 8)
            .int("g", -1)
            .text("C", &original)
            .text("x", kind)
            .text("X", status_word(record.status))
            .text("r", "NONE")
            .int("i", record.order_id)
            .text("l", &market.quantity(trade.map_or(nothing, |t| t.qty)))
            .text("z", &market.quantity(record.filled))
            .text("L", &market.price(trade.map_or(crate::domain::Px(0), |t| t.px)));
        let report = match trade {
            Some(trade) => report.fixed("n", trade.fee, 8).text("N", trade.fee_asset.as_str()),
            None => report.text("n", "0").raw("N", "null"),
        };
        let report = report
            .int("T", record.updated.ms())
            .int("t", trade.map_or(-1, |t| i128::from(t.trade_id)))
            .int("I", self.last_execution)
            .flag("w", working)
            .flag("m", trade.is_some_and(|t| t.maker))
            .flag("M", trade.is_some())
            .int("O", record.created.ms())
            .fixed("Z", record.filled_quote, 8)
            .fixed("Y", last_quote, 8)
            .fixed("Q", quote_order_qty(&record.terms), 8)
            .int("W", record.created.ms())
            .text("V", self_trade_word(record.self_trade));
        Some(match execution {
            Execution::Prevented { qty, match_id } => report
                .int("v", *match_id)
                .text("A", &market.quantity(record.prevented))
                .text("B", &market.quantity(*qty))
                .end(),
            Execution::Expired(_) => report.text("eR", expiry_word(&record.terms)).end(),
            _ => report.end(),
        })
    }

    /// Balances of an account changed.
    pub fn on_balances(
        &mut self,
        account: u32,
        changed: &[BalanceRecord],
        at: Ts,
        now: Ts,
        out: &mut Outbox,
    ) {
        if !self.api.hears(account) {
            return;
        }
        let rows = changed.iter().map(|balance| {
            object()
                .text("a", balance.asset.as_str())
                .fixed("f", balance.free, 8)
                .fixed("l", balance.locked, 8)
                .end()
        });
        let event = object()
            .text("e", "outboundAccountPosition")
            .int("E", now.ms())
            .int("u", at.ms())
            .list("B", rows)
            .end();
        self.api.tell(account, &event, out);
    }
}

/// `c` and `C`: the client id of this event and the one that it refers to.
fn ids(record: &OrderRecord, execution: &Execution, given: Option<String>) -> (String, String) {
    let own_id = record.client_id.to_string();
    // A cancellation bears its own id and names the order's; an amendment names the old id.
    match (execution, given) {
        (Execution::Canceled, Some(cancel_id)) => (cancel_id, own_id),
        (Execution::Canceled, None) => (own_id.clone(), own_id),
        (Execution::Amended, Some(before)) => (own_id, before),
        _ => (own_id, String::new()),
    }
}

fn kind_word(execution: &Execution) -> &'static str {
    match execution {
        Execution::New => "NEW",
        Execution::Trade(_) => "TRADE",
        Execution::Canceled => "CANCELED",
        Execution::Amended => "REPLACED",
        Execution::Expired(_) => "EXPIRED",
        Execution::Prevented { .. } => "TRADE_PREVENTION",
    }
}
