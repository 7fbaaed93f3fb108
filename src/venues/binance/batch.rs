//! Many orders in one request, where the venue has that and it pays (USD-M `batchOrders`).
//!
//! Cancels of one symbol share a request of ten: it weighs as much as one alone. A batch of new
//! orders is counted as five orders in 10 s whatever its length, but as one in a minute, and weighs
//! five on the address where single orders weigh nothing. So new orders share a request only five
//! by five, which lifts the minute's limit of orders and costs nothing in the 10 s, and only while
//! less than half of the address's weight is used. The first order then waits for four more to be
//! spelled, some microseconds.
//!
//! Each entry of the reply is the fate of one order. A batch without an answer, or with one that
//! cannot be read, leaves every order of it unknown.

use serde_json::Value;
use serde_json::value::RawValue;

use super::account::OrderAsk;
use super::encode::Call;
use super::errors::{self, Fate};
use super::sign::Query;
use super::wire::ApiError;
use super::{Ask, Known, Product, Session};
use crate::domain::{Action, InstrumentId, NewOrder, OrderId, OrderKind, Ts};
use crate::venues::{Outbox, Tag};

/// USD-M takes this many orders in one cancel request (-4082 beyond).
const MAX_CANCELS: usize = 10;
/// USD-M takes this many new orders in one request (-4082 beyond) and counts as many.
const PLACES: usize = 5;

impl Session {
    /// Encode the first of these with as many of its followers as go in the same request; how many
    /// that were. One alone is a plain request.
    pub(super) fn encode_many(&mut self, now: Ts, actions: &[&Action], out: &mut Outbox) -> usize {
        let Some(first) = actions.first() else { return 0 };
        let joined = match first {
            _ if self.params.product != Product::UsdM => None,
            Action::Cancel { instrument, .. } => self.cancels(now, *instrument, actions, out),
            Action::Place(order) => self.places(now, order.instrument, actions, out),
            _ => None,
        };
        joined.unwrap_or_else(|| {
            self.encode_action(now, first, out);
            1
        })
    }

    /// The leading cancels of one symbol in one request, if there are two or more that may leave.
    fn cancels(
        &mut self,
        now: Ts,
        first: InstrumentId,
        actions: &[&Action],
        out: &mut Outbox,
    ) -> Option<usize> {
        let slot = self.slot_of(first).filter(|_| self.may_send(now).is_ok())?;
        let id = |action: &&Action| match action {
            Action::Cancel { id, instrument } if *instrument == first => Some(*id),
            _ => None,
        };
        let ids: Vec<OrderId> = actions.iter().map_while(id).take(MAX_CANCELS).collect();
        if ids.len() < 2 {
            return None;
        }
        let names = ids.iter().map(|id| format!("\"{}\"", self.params.prefix.encode(*id)));
        let names: Vec<String> = names.collect();
        let query = Query::new()
            .with("symbol", &self.markets[slot].symbol)
            .with("origClientOrderIdList", format!("[{}]", names.join(",")));
        let ask = Ask::Many { what: OrderAsk::Cancel, slot };
        Some(self.send_many(Call::CancelMany, ask, ids, query, now, out))
    }

    /// The first five orders in one request, if they are quotes of one symbol and all may leave.
    fn places(
        &mut self,
        now: Ts,
        first: InstrumentId,
        actions: &[&Action],
        out: &mut Outbox,
    ) -> Option<usize> {
        let quotes = actions.iter().map_while(|action| match action {
            Action::Place(order) if order.instrument == first => Some(order),
            _ => None,
        });
        let orders: Vec<&NewOrder> =
            quotes.take(PLACES).filter(|order| order.kind == OrderKind::PostOnly).collect();
        let spare = u64::from(self.usage.weight_used) * 2 < u64::from(self.usage.weight_limit);
        let slot = self.slot_of(first).filter(|_| orders.len() == PLACES && spare)?;
        if orders.iter().any(|order| self.may_place(slot, now, order).is_err()) {
            return None;
        }
        let entry = |order: &&NewOrder| {
            let mut entry = serde_json::Map::new();
            let put = &mut |name: &'static str, value: &dyn std::fmt::Display| {
                entry.insert(name.to_owned(), Value::String(value.to_string()));
            };
            self.place_parameters(slot, order, put).ok()?;
            Some(Value::Object(entry))
        };
        let entries: Vec<Value> = orders.iter().map(entry).collect::<Option<_>>()?;
        for order in &orders {
            self.remember(order.id, Known { px: order.px, qty: order.qty });
        }
        let ids = orders.iter().map(|order| order.id).collect();
        let query = Query::new().with("batchOrders", Value::Array(entries));
        let ask = Ask::Many { what: OrderAsk::Place, slot };
        Some(self.send_many(Call::PlaceMany, ask, ids, query, now, out))
    }

    fn send_many(
        &mut self,
        call: Call,
        ask: Ask,
        ids: Vec<OrderId>,
        query: Query,
        now: Ts,
        out: &mut Outbox,
    ) -> usize {
        let tag = self.send(call, ask, query, now, out);
        let count = ids.len();
        self.batches.insert(tag, ids);
        count
    }

    /// The reply to a whole batch, or its absence.
    pub(super) fn on_many_reply(
        &mut self,
        tag: Tag,
        (what, slot): (OrderAsk, usize),
        now: Ts,
        fate: &Fate<'_>,
        out: &mut Outbox,
    ) {
        let ids = self.batches.remove(&tag).unwrap_or_default();
        let entries = match fate {
            Fate::Done(body) => match serde_json::from_str::<Vec<&RawValue>>(body) {
                Ok(entries) if entries.len() == ids.len() => Ok(entries),
                _ => Err(format!("unreadable reply to a batch: {}", errors::excerpt(body))),
            },
            Fate::Unknown(text) => Err(text.clone()),
            // "Unknown order" of a whole batch does not say which.
            Fate::Refused(refusal) if what == OrderAsk::Cancel && errors::is_gone(refusal.code) => {
                Err(refusal.text.clone())
            }
            Fate::Refused(refusal) => {
                for id in ids {
                    let fate = Fate::Refused(refusal.clone());
                    self.on_order_reply(what, slot, id, now, fate, out);
                }
                return;
            }
        };
        for (place, id) in ids.into_iter().enumerate() {
            let fate = match &entries {
                Ok(entries) => self.entry_fate(entries[place].get()),
                Err(text) => Fate::Unknown(text.clone()),
            };
            if let Fate::Refused(refusal) = &fate {
                self.heed(refusal, what == OrderAsk::Place, now, out);
            }
            self.on_order_reply(what, slot, id, now, fate, out);
        }
    }

    /// An entry is an order or a refusal as a request of its own would have met it with status 400.
    fn entry_fate<'a>(&self, entry: &'a str) -> Fate<'a> {
        match serde_json::from_str::<ApiError>(entry) {
            Ok(error) if error.code.is_some() => errors::judge(self.params.product, 400, &error),
            _ => Fate::Done(entry),
        }
    }
}
