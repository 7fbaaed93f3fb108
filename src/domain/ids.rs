//! Identities: venues, instruments, assets, and client order ids that are unique for ever.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A venue, as its place in the configured list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VenueId(pub u8);

/// An instrument on one venue, as its place in the configured list over all venues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstrumentId(pub u16);

impl InstrumentId {
    /// The place in the configured list.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl VenueId {
    /// The place in the configured list.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// An asset code in the venue's upper-case spelling, such as `BTC`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asset(Arc<str>);

impl Asset {
    /// An asset by its code.
    #[must_use]
    pub fn new(code: &str) -> Asset {
        Asset(Arc::from(code))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our name for an order: the epoch of the process that made it and a counter within it.
///
/// No two orders of one state directory share an id, across restarts too, because each start
/// takes a later epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderId {
    /// Which start of the daemon; Unix seconds, forced upwards.
    pub epoch: u32,
    /// Which order of that start, from 1.
    pub counter: u32,
}

/// The letters by which our orders are known among all orders of the account: 1 to 8 lower-case
/// letters or digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// A prefix, or what is wrong with it.
    pub fn new(text: &str) -> Result<Prefix, String> {
        let fits = (1..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits {
            Ok(Prefix(Arc::from(text)))
        } else {
            Err(format!("order id prefix {text:?}: allowed are 1 to 8 characters of a-z and 0-9"))
        }
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The client order id on the wire: prefix, then epoch and counter, seven base-36 digits each.
    #[must_use]
    pub fn encode(&self, id: OrderId) -> String {
        let mut text = String::with_capacity(self.0.len() + 14);
        text.push_str(&self.0);
        push_base36(&mut text, id.epoch);
        push_base36(&mut text, id.counter);
        text
    }

    /// Our order of that client order id; `None` when it is somebody else's.
    #[must_use]
    pub fn decode(&self, client_order_id: &str) -> Option<OrderId> {
        let digits = client_order_id.strip_prefix(&*self.0)?;
        if digits.len() != 14 || !digits.is_ascii() {
            return None;
        }
        let number = |part: &str| {
            let canonical = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            canonical.then(|| u32::from_str_radix(part, 36).ok()).flatten()
        };
        Some(OrderId { epoch: number(&digits[..7])?, counter: number(&digits[7..])? })
    }
}

fn push_base36(text: &mut String, number: u32) {
    let mut digits = [b'0'; 7];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        let value = (rest % 36) as u8;
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        rest /= 36;
    }
    text.extend(digits.iter().map(|&b| char::from(b)));
}

/// Hands out order ids of one epoch.
#[derive(Clone, Debug)]
pub struct OrderIdSource {
    epoch: u32,
    last: u32,
}

impl OrderIdSource {
    /// Ids of that epoch, from counter 1.
    #[must_use]
    pub fn new(epoch: u32) -> OrderIdSource {
        let epoch = if super::planted("ids_repeat") { 1 } else { epoch };
        OrderIdSource { epoch, last: 0 }
    }

    /// An id never given before.
    pub fn next_id(&mut self) -> OrderId {
        self.last = self.last.checked_add(1).expect("fewer than 2^32 orders in one run");
        OrderId { epoch: self.epoch, counter: self.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_order_ids_come_back_as_they_went() {
        let prefix = Prefix::new("ek").unwrap();
        for id in [
            OrderId { epoch: 0, counter: 1 },
            OrderId { epoch: u32::MAX, counter: u32::MAX },
            OrderId { epoch: 1_795_000_000, counter: 42 },
        ] {
            let text = prefix.encode(id);
            assert_eq!(text.len(), 16);
            assert_eq!(prefix.decode(&text), Some(id));
        }
    }

    #[test]
    fn ids_of_others_are_not_ours() {
        let prefix = Prefix::new("ek").unwrap();
        for text in [
            "",
            "ek",
            "web_1234567890abcd",
            "ek0000000000000A",
            "ekzzzzzzz0000001",
            "ék000000000000001",
        ] {
            assert_eq!(prefix.decode(text), None, "{text}");
        }
    }
}
