//! The user data stream of USD-M, by listen key.

use super::trade::{tif_word, type_word};
use super::{Income, KEPT_ROWS, UsdmFace};
use crate::domain::{Money, Px, Qty, Side, Ts};
use crate::sim::faces::json::object;
use crate::sim::faces::market::MarketFace;
use crate::sim::faces::spot::{self_trade_word, status_word};
use crate::sim::faces::streams::Outbox;
use crate::sim::faces::venue::{Ctx, side_word};
use crate::sim::{
    BalanceRecord, Execution, ExpiryReason, MarketId, OrderRecord, PositionRecord, TradeRecord,
};

/// Changes of one account that are told together.
#[derive(Debug)]
pub(super) struct AccountUpdate {
    account: u32,
    /// The market whose funding caused it.
    funding: Option<MarketId>,
    balances: Vec<BalanceRecord>,
    positions: Vec<PositionRecord>,
    at: Ts,
}

impl UsdmFace {
    fn tell(&self, account: u32, kind: &str, event: &str, out: &mut Outbox) {
        for (name, _) in self.listen_keys.iter().filter(|(_, key)| key.account == account) {
            self.venue.hub.publish_event(name, Some(kind), event, out);
        }
    }

    /// An order of an account changed.
    pub fn on_order(
        &mut self,
        ctx: &Ctx<'_>,
        record: &OrderRecord,
        execution: &Execution,
        muted: bool,
        out: &mut Outbox,
    ) {
        self.flush_account(ctx.now, muted, out);
        let modify_id = match execution {
            Execution::Amended => self.modify_ids.remove(&record.order_id),
            _ => None,
        };
        if let Execution::Trade(trade) = execution {
            self.remember_income(trade);
        }
        if muted {
            return;
        }
        let Some(market) = self.venue.market(record.market) else { return };
        let account = record.account.0;
        if let Execution::Trade(trade) = execution {
            let lite = trade_lite(market, record, trade, ctx.now);
            self.tell(account, "TRADE_LITE", &lite, out);
        }
        let event = order_update(ctx, market, record, execution, modify_id);
        self.tell(account, "ORDER_TRADE_UPDATE", &event, out);
    }

    fn remember_income(&mut self, trade: &TradeRecord) {
        let rows = [("REALIZED_PNL", trade.realized_pnl), ("COMMISSION", -trade.fee)];
        for (kind, amount) in rows.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            self.push_income(Income {
                account: trade.account.0,
                market: trade.market,
                kind,
                amount,
                asset: trade.fee_asset.as_str().to_owned(),
                at: trade.at,
                trade_id: Some(trade.trade_id),
            });
        }
    }

    fn push_income(&mut self, income: Income) {
        self.incomes.push(income);
        if self.incomes.len() > KEPT_ROWS {
            self.incomes.remove(0);
            self.first_income += 1;
        }
    }

    /// Funding was exchanged with an account.
    #[allow(clippy::too_many_arguments, reason = "the fields of one happening")]
    pub fn on_funding(
        &mut self,
        ctx: &Ctx<'_>,
        account: u32,
        market: MarketId,
        (amount, rate): (Money, Money),
        at: Ts,
        muted: bool,
        out: &mut Outbox,
    ) {
        self.flush_account(ctx.now, muted, out);
        self.remember_funding(ctx, market, rate, at);
        let asset = self.venue.market(market).map(|m| m.instrument.quote.as_str().to_owned());
        self.push_income(Income {
            account,
            market,
            kind: "FUNDING_FEE",
            amount,
            asset: asset.unwrap_or_default(),
            at,
            trade_id: None,
        });
        self.pending = Some(AccountUpdate {
            account,
            funding: Some(market),
            balances: Vec::new(),
            positions: Vec::new(),
            at,
        });
    }

    fn pending_of(&mut self, account: u32, now: Ts, muted: bool, at: Ts, out: &mut Outbox) {
        if self.pending.as_ref().is_some_and(|update| update.account != account) {
            self.flush_account(now, muted, out);
        }
        self.pending.get_or_insert_with(|| AccountUpdate {
            account,
            funding: None,
            balances: Vec::new(),
            positions: Vec::new(),
            at,
        });
    }

    /// Balances of an account changed; told with the position that follows.
    pub fn on_balances(
        &mut self,
        account: u32,
        changed: &[BalanceRecord],
        (now, at): (Ts, Ts),
        muted: bool,
        out: &mut Outbox,
    ) {
        self.pending_of(account, now, muted, at, out);
        if let Some(update) = &mut self.pending {
            update.balances.extend_from_slice(changed);
        }
    }

    /// A position of an account changed.
    pub fn on_position(
        &mut self,
        account: u32,
        position: &PositionRecord,
        (now, at): (Ts, Ts),
        muted: bool,
        out: &mut Outbox,
    ) {
        self.pending_of(account, now, muted, at, out);
        if let Some(update) = &mut self.pending {
            update.positions.push(position.clone());
        }
    }

    /// Tells what was collected of an account.
    pub fn flush_account(&mut self, now: Ts, muted: bool, out: &mut Outbox) {
        let Some(update) = self.pending.take() else { return };
        // Orders that only rest change no wallet: nothing is told of them.
        if muted || (update.funding.is_none() && update.positions.is_empty()) {
            return;
        }
        let balances = update.balances.iter().map(|balance| {
            object()
                .text("a", balance.asset.as_str())
                .fixed("wb", balance.free, 8)
                .fixed("cw", balance.free, 8)
                .text("bc", "0")
                .end()
        });
        let positions = update.positions.iter().filter_map(|position| {
            let market = self.venue.market(position.market)?;
            Some(
                object()
                    .text("s", &market.instrument.symbol)
                    .text("pa", &market.quantity(position.qty))
                    .plain("ep", position.entry_price)
                    .plain("bep", position.break_even_price)
                    .plain("cr", position.realized_pnl)
                    .plain("up", position.unrealized_pnl)
                    .text("mt", "cross")
                    .text("iw", "0")
                    .text("ps", "BOTH")
                    .end(),
            )
        });
        let cause = if update.funding.is_some() { "FUNDING_FEE" } else { "ORDER" };
        let body = object().text("m", cause).list("B", balances).list("P", positions);
        let symbol = update.funding.and_then(|id| self.venue.market(id));
        let body = match symbol {
            Some(market) => body.text("S", &market.instrument.symbol).end(),
            None => body.end(),
        };
        let event = object()
            .text("e", "ACCOUNT_UPDATE")
            .int("E", now.ms())
            .int("T", update.at.ms())
            .raw("a", &body)
            .end();
        self.tell(update.account, "ACCOUNT_UPDATE", &event, out);
    }

    /// Leverages that accounts chose.
    pub fn tell_news(&mut self, now: Ts, out: &mut Outbox) {
        for (account, symbol, leverage) in std::mem::take(&mut self.leverage_news) {
            let change = object().text("s", &symbol).int("l", leverage).end();
            let event = object()
                .text("e", "ACCOUNT_CONFIG_UPDATE")
                .int("E", now.ms())
                .int("T", now.ms())
                .raw("ac", &change)
                .end();
            self.tell(account, "ACCOUNT_CONFIG_UPDATE", &event, out);
        }
    }
}

fn trade_lite(market: &MarketFace, record: &OrderRecord, trade: &TradeRecord, now: Ts) -> String {
    object()
        .text("e", "TRADE_LITE")
        .int("E", now.ms())
        .int("T", trade.at.ms())
        .text("s", &market.instrument.symbol)
        .text("q", &market.quantity(record.qty))
        .text("p", &market.price(record.px().unwrap_or_default()))
        .flag("m", trade.maker)
        .text("c", &record.client_id)
        .text("S", side_word(record.side))
        .text("L", &market.price(trade.px))
        .text("l", &market.quantity(trade.qty))
        .int("t", trade.trade_id)
        .int("i", record.order_id)
        .end()
}

fn order_update(
    ctx: &Ctx<'_>,
    market: &MarketFace,
    record: &OrderRecord,
    execution: &Execution,
    modify_id: Option<i64>,
) -> String {
    let trade = match execution {
        Execution::Trade(trade) => Some(trade),
        _ => None,
    };
    let (kind, expiry) = words(record, execution);
    let resting = |side| resting_notional(ctx, market, record, side);
    let average = record.average_price(&market.instrument);
    let order = object()
        .text("s", &market.instrument.symbol)
        .text("c", &record.client_id)
        .text("S", side_word(record.side))
        .text("o", type_word(&record.terms))
        .text("f", tif_word(&record.terms))
        .text("q", &market.quantity(record.qty))
        .text("p", &market.price(record.px().unwrap_or_default()))
        .fixed("ap", average, market.price_scale.max(5))
        .text("sp", "0")
        .text("x", kind)
        .text("X", status_word(record.status))
        .int("i", record.order_id)
        .text("l", &market.quantity(trade.map_or(Qty::ZERO, |t| t.qty)))
        .text("z", &market.quantity(record.filled))
        .text("L", &market.price(trade.map_or(Px(0), |t| t.px)));
    let order = match trade {
        Some(trade) => order.text("N", trade.fee_asset.as_str()).fixed("n", trade.fee, 8),
        None => order,
    };
    let order = order
        .int("T", record.updated.ms())
        .int("t", trade.map_or(0, |t| t.trade_id))
        .plain("b", resting(Side::Buy))
        .plain("a", resting(Side::Sell))
        .flag("m", trade.is_some_and(|t| t.maker))
        .flag("R", record.reduce_only)
        .text("wt", "CONTRACT_PRICE")
        .text("ot", type_word(&record.terms))
        .text("ps", "BOTH")
        .flag("cp", false)
        .flag("pP", false)
        .int("si", 0)
        .int("ss", 0)
        .plain("rp", trade.map_or(Money::ZERO, |t| t.realized_pnl))
        .text("V", self_trade_word(record.self_trade))
        .text("pm", "NONE")
        .int("gtd", 0)
        .text("er", expiry);
    let order = match modify_id {
        Some(id) => order.int("M", id).end(),
        None => order.end(),
    };
    object()
        .text("e", "ORDER_TRADE_UPDATE")
        .int("E", ctx.now.ms())
        .int("T", record.updated.ms())
        .raw("o", &order)
        .end()
}

/// Execution type and expiry reason as the venue writes them.
fn words(record: &OrderRecord, execution: &Execution) -> (&'static str, &'static str) {
    let kind = match execution {
        Execution::New => "NEW",
        Execution::Trade(_) => "TRADE",
        Execution::Canceled => "CANCELED",
        Execution::Amended => "AMENDMENT",
        Execution::Expired(_) | Execution::Prevented { .. } => "EXPIRED",
    };
    let expiry = match execution {
        Execution::Prevented { .. } | Execution::Expired(ExpiryReason::SelfTrade) => "1",
        Execution::Expired(ExpiryReason::NothingToReduce) => "4",
        Execution::Expired(_) if record.px().is_none() => "9",
        Execution::Expired(_) => "2",
        _ => "0",
    };
    (kind, expiry)
}

/// What the account's open orders of a side are worth: `b` and `a`.
fn resting_notional(ctx: &Ctx<'_>, market: &MarketFace, record: &OrderRecord, side: Side) -> Money {
    let open = ctx.exchange.open_orders(record.account, record.market);
    let orders = open.iter().filter(|order| order.side == side);
    orders.map(|o| market.instrument.notional(o.px().unwrap_or_default(), o.open_qty())).sum()
}
