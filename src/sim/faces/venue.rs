//! What both venues do alike: symbols, request costs, listeners, reading an order's parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ApiError;
use super::limits::Limits;
use super::market::{AggTrade, MarketFace};
use super::request::{HttpAnswer, HttpRequest, Keyring, Params, signed_account};
use super::streams::Hub;
use crate::domain::{Instrument, Money, Px, Qty, Side, Ts};
use crate::sim::{
    AccountId, Answer, Command, Exchange, Happening, MarketId, OrderKey, PublicTrade, Refusal,
    TradeRecord,
};

/// The exchange behind a face, at one instant.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// The time.
    pub now: Ts,
    /// The matching engine and its ledgers.
    pub exchange: &'a mut Exchange,
    /// What happened and was not told yet.
    pub happened: &'a mut Vec<Happening>,
}

impl Ctx<'_> {
    /// Carries out a command.
    pub fn submit(&mut self, account: u32, command: &Command) -> Result<Answer, Refusal> {
        self.exchange.submit(self.now, AccountId(account), command, self.happened)
    }
}

/// One documented call.
#[derive(Clone, Copy, Debug)]
pub struct Call<Op> {
    /// HTTP method.
    pub method: &'static str,
    /// HTTP path.
    pub path: &'static str,
    /// WebSocket API method; empty when there is none.
    pub ws: &'static str,
    /// What it does.
    pub op: Op,
    /// Request weight where it does not depend on parameters.
    pub weight: i64,
    /// What it asks of the caller.
    pub access: Access,
}

/// What a call asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// A known key.
    Key,
    /// A signature; reads only.
    Read,
    /// A signature; changes orders, and costs no weight when it succeeds (spot).
    Trade,
}

impl Access {
    /// The request must be signed.
    #[must_use]
    pub fn signed(self) -> bool {
        matches!(self, Access::Read | Access::Trade)
    }

    /// The account that a request is for, when it has shown what is asked; `None`: it is open to
    /// everybody.
    pub fn account(
        self,
        keyring: &Keyring,
        request: &HttpRequest<'_>,
        params: &Params,
        now: Ts,
    ) -> Result<Option<u32>, ApiError> {
        match self {
            Access::Open => Ok(None),
            Access::Key => keyring.account(request.api_key).map(Some),
            Access::Read | Access::Trade => signed_account(keyring, request, params, now).map(Some),
        }
    }
}

/// The call of a path, or whether the path exists under another method.
#[must_use]
pub fn find_call<'a, Op>(calls: &'a [Call<Op>], method: &str, path: &str) -> Option<&'a Call<Op>> {
    calls.iter().find(|call| call.path == path && call.method == method)
}

/// What came of a request, before headers.
#[derive(Debug)]
pub struct Outcome {
    /// The body, or the refusal.
    pub result: Result<String, ApiError>,
    /// Who asked, when it was signed.
    pub account: Option<u32>,
    /// Whether order counts are told.
    pub counts_orders: bool,
}

/// The common part of a face.
#[derive(Debug)]
pub struct Venue {
    /// Its markets.
    pub markets: Vec<MarketFace>,
    by_symbol: BTreeMap<String, usize>,
    by_id: BTreeMap<MarketId, usize>,
    /// Its stream connections.
    pub hub: Hub,
    /// Its limits.
    pub limits: Limits,
    /// Client ids that cancellations or amendments gave, by order, until told.
    pub given_ids: BTreeMap<u64, String>,
    generated_ids: u64,
}

impl Venue {
    /// A venue with these markets.
    #[must_use]
    pub fn new(markets: Vec<MarketFace>, hub: Hub, limits: Limits) -> Venue {
        let by_symbol =
            |(index, market): (usize, &MarketFace)| (market.instrument.symbol.clone(), index);
        Venue {
            by_symbol: markets.iter().enumerate().map(by_symbol).collect(),
            by_id: markets.iter().enumerate().map(|(index, m)| (m.id, index)).collect(),
            markets,
            hub,
            limits,
            given_ids: BTreeMap::new(),
            generated_ids: 0,
        }
    }

    /// The place of a market of this venue.
    #[must_use]
    pub fn index(&self, id: MarketId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The market of an order; orders only come from here with markets of ours.
    #[must_use]
    pub fn market(&self, id: MarketId) -> Option<&MarketFace> {
        self.index(id).map(|index| &self.markets[index])
    }

    /// The market that parameter `symbol` names.
    pub fn symbol(&self, params: &Params) -> Result<&MarketFace, ApiError> {
        self.named(params.need("symbol")?)
    }

    /// The market that parameter `symbol` names, if it is sent.
    pub fn symbol_if_sent(&self, params: &Params) -> Result<Option<&MarketFace>, ApiError> {
        params.text("symbol").map(|name| self.named(name)).transpose()
    }

    /// The market of a symbol.
    pub fn named(&self, symbol: &str) -> Result<&MarketFace, ApiError> {
        if symbol.is_empty() || symbol.len() > 20 || symbol.contains(char::is_whitespace) {
            return Err(ApiError::illegal_characters("symbol", "^[A-Z0-9-_.]{1,20}$"));
        }
        let index = self.by_symbol.get(symbol).ok_or_else(ApiError::invalid_symbol)?;
        Ok(&self.markets[*index])
    }

    /// The newest trades of everybody in the market that is asked for, or those from an id on.
    pub fn public_trades(
        &self,
        params: &Params,
        from: Option<i64>,
    ) -> Result<(&MarketFace, impl Iterator<Item = &PublicTrade>), ApiError> {
        let market = self.symbol(params)?;
        let limit = row_limit(params, 500, 1000)?;
        let skipped = match from {
            Some(from) => {
                market.trades.partition_point(|t| i128::from(t.trade_id) < i128::from(from))
            }
            None => market.trades.len().saturating_sub(limit),
        };
        Ok((market, market.trades.iter().skip(skipped).take(limit)))
    }

    /// The same, with what one order took at one price as one row.
    pub fn agg_trades(&self, params: &Params) -> Result<(&MarketFace, Vec<AggTrade>), ApiError> {
        let market = self.symbol(params)?;
        let limit = row_limit(params, 500, 1000)?;
        let all = market.agg_trades.iter().copied();
        let rows = match params.int("fromId")? {
            Some(from) => {
                all.filter(|agg| i128::from(agg.id) >= i128::from(from)).take(limit).collect()
            }
            None => select(all.collect(), |agg| agg.at.ms(), window(params)?, limit),
        };
        Ok((market, rows))
    }

    /// The account's trades in the market that is asked for.
    pub fn own_trades<'a>(
        &self,
        ctx: &'a Ctx<'_>,
        account: u32,
        params: &Params,
    ) -> Result<(&MarketFace, Vec<&'a TradeRecord>), ApiError> {
        let market = self.symbol(params)?;
        let limit = row_limit(params, 500, 1000)?;
        let order = params.int("orderId")?;
        let from = params.int("fromId")?.map(|id| u64::try_from(id).unwrap_or(0));
        let trades = ctx.exchange.trades(AccountId(account), market.id, from.unwrap_or(0));
        let trades = trades.filter(|t| order.is_none_or(|id| i128::from(t.order_id) == id.into()));
        let rows = match from {
            Some(_) => trades.take(limit).collect(),
            None => select(trades.collect(), |trade| trade.at.ms(), window(params)?, limit),
        };
        Ok((market, rows))
    }

    /// A client id for an order that came without one.
    pub fn generate_id(&mut self) -> String {
        self.generated_ids += 1;
        format!("auto-{:017}", self.generated_ids)
    }

    /// The client id under `name`, or a generated one.
    pub fn client_id(&mut self, params: &Params, name: &str) -> Result<Arc<str>, ApiError> {
        match params.text(name) {
            None => Ok(self.generate_id().into()),
            Some(id) if is_client_id(id) => Ok(id.into()),
            Some(_) => Err(ApiError::illegal_characters(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$")),
        }
    }

    /// The reply to an HTTP request, with the headers of its counters.
    pub fn answer(&mut self, now: Ts, ip: u64, outcome: Outcome) -> HttpAnswer {
        let used = self.limits.used(now, ip);
        let mut headers = vec![
            ("x-mbx-used-weight", used.to_string()),
            ("x-mbx-used-weight-1m", used.to_string()),
        ];
        if let (true, Some(account)) = (outcome.counts_orders, outcome.account) {
            for (limit, count) in self.limits.order_counts(now, account) {
                let name = match limit.suffix().as_str() {
                    "10S" => "x-mbx-order-count-10s",
                    "1M" => "x-mbx-order-count-1m",
                    _ => "x-mbx-order-count-1d",
                };
                headers.push((name, count.to_string()));
            }
        }
        match outcome.result {
            Ok(body) => HttpAnswer { status: 200, headers, body },
            Err(error) => {
                if let Some(seconds) = error.retry_after_s {
                    headers.push(("retry-after", seconds.to_string()));
                }
                HttpAnswer { status: error.status, headers, body: error.body() }
            }
        }
    }
}

fn is_client_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
    (1..=36).contains(&id.len()) && id.bytes().all(allowed)
}

/// `BUY` or `SELL`.
pub fn side(params: &Params) -> Result<Side, ApiError> {
    match params.need("side")? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(ApiError::new(-1117, "Invalid side.")),
    }
}

/// A side as the venue writes it.
#[must_use]
pub fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// The order that `id_name` or `client_name` names; the id wins.
pub fn order_key(params: &Params, id_name: &str, client_name: &str) -> Result<OrderKey, ApiError> {
    match (params.int(id_name)?, params.text(client_name)) {
        (Some(id), _) => Ok(OrderKey::Id(u64::try_from(id).unwrap_or(0))),
        (None, Some(client)) => Ok(OrderKey::Client(client.into())),
        (None, None) => {
            let msg = format!(
                "Param '{client_name}' or '{id_name}' must be sent, but both were \
                               empty/null!"
            );
            Err(ApiError::new(-1102, msg))
        }
    }
}

/// `limit`, at least 1 and at most `most`.
pub fn row_limit(params: &Params, usual: usize, most: usize) -> Result<usize, ApiError> {
    match params.int("limit")? {
        None => Ok(usual),
        Some(limit) => {
            let limit = usize::try_from(limit).unwrap_or(0);
            if limit == 0 { Err(ApiError::invalid_value("limit")) } else { Ok(limit.min(most)) }
        }
    }
}

/// The window that `startTime` and `endTime` describe, ms.
pub fn window(params: &Params) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let (from, to) = (params.int("startTime")?, params.int("endTime")?);
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(ApiError::new(-1127, "startTime must not be after endTime."))
        }
        _ => Ok((from, to)),
    }
}

/// Rows of a time-ordered list: oldest first from `startTime`, else the newest.
pub fn select<T>(
    rows: Vec<T>,
    at_ms: impl Fn(&T) -> i64,
    (from, to): (Option<i64>, Option<i64>),
    limit: usize,
) -> Vec<T> {
    let mut rows: Vec<T> = rows
        .into_iter()
        .filter(|row| {
            let at = at_ms(row);
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to)
        })
        .collect();
    if from.is_some() {
        rows.truncate(limit);
    } else if rows.len() > limit {
        rows.drain(..rows.len() - limit);
    }
    rows
}

/// A price as whole ticks above `offset`'s grid; `None` when it is off the grid.
#[must_use]
pub fn on_tick(instrument: &Instrument, price: Money) -> Option<Px> {
    instrument.px(price).ok()
}

/// A quantity as whole lots; `None` when it is off the grid.
#[must_use]
pub fn on_lot(instrument: &Instrument, quantity: Money) -> Option<Qty> {
    instrument.qty(quantity).ok()
}
