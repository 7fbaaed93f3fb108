//! Many cancels in one request, where the venue has that (USD-M `DELETE /fapi/v1/batchOrders`).
//!
//! Each entry of the reply is the fate of one order. A batch without an answer, or with one that
//! cannot be read, leaves every order of it unknown.

use serde_json::value::RawValue;

use super::account::OrderAsk;
use super::encode::Call;
use super::errors::{self, Fate};
use super::sign::Query;
use super::wire::ApiError;
use super::{Ask, Product, Session};
use crate::domain::{Action, OrderId, Ts};
use crate::venues::{Outbox, Tag};

/// USD-M takes this many orders in one cancel request (-4082 beyond).
const MAX_CANCELS: usize = 10;

impl Session {
    /// Encode the first cancel with as many of its followers as fit in the same request; how many
    /// that were. One alone is a plain cancel.
    pub(super) fn encode_cancels(
        &mut self,
        now: Ts,
        cancels: &[&Action],
        out: &mut Outbox,
    ) -> usize {
        let ids = self.joinable(now, cancels);
        if let (Some(slot), 2..) = (self.slot_of_cancel(cancels), ids.len()) {
            let names = ids.iter().map(|id| format!("\"{}\"", self.params.prefix.encode(*id)));
            let names: Vec<String> = names.collect();
            let query = Query::new()
                .with("symbol", &self.markets[slot].symbol)
                .with("origClientOrderIdList", format!("[{}]", names.join(",")));
            let tag = self.send(Call::CancelMany, Ask::Cancels { slot }, query, now, out);
            let count = ids.len();
            self.batches.insert(tag, ids);
            return count;
        }
        let Some(first) = cancels.first() else { return 0 };
        self.encode_action(now, first, out);
        1
    }

    fn slot_of_cancel(&self, cancels: &[&Action]) -> Option<usize> {
        match cancels.first() {
            Some(Action::Cancel { instrument, .. }) => self.slot_of(*instrument),
            _ => None,
        }
    }

    /// The leading cancels that may leave together now: one symbol, no more than the venue takes.
    fn joinable(&self, now: Ts, cancels: &[&Action]) -> Vec<OrderId> {
        let Some(Action::Cancel { instrument: first, .. }) = cancels.first() else {
            return Vec::new();
        };
        if self.params.product != Product::UsdM || self.may_send(now).is_err() {
            return Vec::new();
        }
        let id = |action: &&Action| match action {
            Action::Cancel { id, instrument } if instrument == first => Some(*id),
            _ => None,
        };
        cancels.iter().map_while(id).take(MAX_CANCELS).collect()
    }

    /// The reply to a whole batch, or its absence.
    pub(super) fn on_cancels_reply(
        &mut self,
        tag: Tag,
        slot: usize,
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
            Fate::Refused(refusal) if errors::is_gone(refusal.code) => Err(refusal.text.clone()),
            Fate::Refused(refusal) => {
                for id in ids {
                    let fate = Fate::Refused(refusal.clone());
                    self.on_order_reply(OrderAsk::Cancel, slot, id, now, fate, out);
                }
                return;
            }
        };
        for (place, id) in ids.into_iter().enumerate() {
            let fate = match &entries {
                Ok(entries) => self.entry_fate(entries[place].get()),
                Err(text) => Fate::Unknown(text.clone()),
            };
            self.on_order_reply(OrderAsk::Cancel, slot, id, now, fate, out);
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
