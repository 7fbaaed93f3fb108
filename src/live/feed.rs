//! What does a dashboard get? One stream of server-sent events, and what happened before it came.
//!
//! The trading thread hangs up a snapshot and knows nothing of who reads it, but for one count:
//! while somebody watches, the snapshot carries the near end of the books. A snapshot is put into
//! words once for all watchers. A watcher that reads slowly gets the latest when it is ready for
//! it and misses what was between; one that takes nothing is closed by the connection's own timer.
//!
//! | Event | Data |
//! |---|---|
//! | `beat` | `{"age_ms": …}`: how old the snapshot is |
//! | `status` | as `/status` |
//! | `book` | levels of the instrument asked for, our orders on it, how much is ahead of them |
//! | `story` | fills and warnings since the last one, see [`super::Story`] |

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::status::{Snapshot, Watching};
use super::{Handle, Story};
use crate::domain::{Money, OrderId, Purpose, Px, Qty, Side, State};
use crate::engine::{InstrumentView, Ladder, LevelView, Status};

/// Dashboards at once; one more is refused.
pub(super) const WATCHERS: usize = 8;
/// Between two pushes at least.
const PACE: Duration = Duration::from_millis(250);
/// Most that one watcher is sent, bytes a second: large snapshots come less often.
const BYTES_PER_S: usize = 512 * 1024;
/// Points of history kept of each instrument.
const POINTS: usize = 600;
/// Between two points.
const POINT_EVERY: Duration = Duration::from_secs(1);

/// One push, in words.
#[derive(Debug, Default)]
struct Push {
    common: String,
    books: BTreeMap<String, String>,
}

/// Time, ms since the epoch; best bid and ask; fair price; our best bid and ask; held off target.
type Point = (i64, [Option<f64>; 6]);

#[derive(Debug, Default)]
struct History {
    instruments: BTreeMap<String, VecDeque<Point>>,
    profit: VecDeque<(i64, Option<f64>)>,
    last_ms: i64,
}

/// Feeds all dashboards of a run.
pub(super) struct Feed {
    handle: Handle,
    story: Story,
    seats: Arc<Semaphore>,
    pushes: watch::Sender<Arc<Push>>,
    history: Mutex<History>,
}

impl Feed {
    pub(super) fn new(handle: Handle, story: Story) -> Feed {
        let seats = Arc::new(Semaphore::new(WATCHERS));
        let (pushes, _) = watch::channel(Arc::default());
        Feed { handle, story, seats, pushes, history: Mutex::default() }
    }

    /// Put snapshots into words for as long as the endpoints answer.
    pub(super) async fn pump(&self) {
        let mut queue = Queue::default();
        loop {
            let mut pause = PACE;
            if self.pushes.receiver_count() > 0
                && let Some(snapshot) = self.handle.snapshot()
            {
                let push = self.push(&snapshot, &mut queue);
                let most =
                    push.common.len() + push.books.values().map(String::len).max().unwrap_or(0);
                let needed = Duration::from_secs_f64(most as f64 / BYTES_PER_S as f64);
                pause = pause.max(needed);
                self.pushes.send_replace(Arc::new(push));
            } else {
                queue = Queue::default();
            }
            sleep(pause).await;
        }
    }

    fn push(&self, snapshot: &Snapshot, queue: &mut Queue) -> Push {
        let age_ms = self.handle.snapshot_age().map_or(0, |age| age.as_millis());
        let status = snapshot.to_json();
        let common = format!(
            "event: beat\ndata: {{\"age_ms\":{age_ms}}}\n\nevent: status\ndata: {status}\n\n"
        );
        let books = snapshot.ladders.iter().map(|ladder| {
            let book = book(ladder, queue);
            (
                name(&ladder.venue, &ladder.instrument.symbol),
                format!("event: book\ndata: {book}\n\n"),
            )
        });
        let books = books.collect();
        queue.forget_others(&snapshot.ladders);
        Push { common, books }
    }

    /// Sample the history for as long as the endpoints answer.
    pub(super) async fn remember(&self) {
        let mut tick = interval(POINT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Some(snapshot) = self.handle.snapshot() {
                let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
                history.sample(snapshot.at.0 / 1_000_000, &snapshot.engine);
            }
        }
    }

    /// What happened before: the points of an instrument, and the result of the session.
    pub(super) fn history(&self, instrument: &str) -> String {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let none = VecDeque::new();
        json!({
            "instrument": instrument,
            "fields": ["bid", "ask", "fair", "our_bid", "our_ask", "off_target_base"],
            "points": history.instruments.get(instrument).unwrap_or(&none),
            "profit": history.profit,
        })
        .to_string()
    }

    /// A stream for one more dashboard, or `None` when there are [`WATCHERS`] already.
    pub(super) fn watch(&self, instrument: &str) -> Option<Body> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let mut pushes = self.pushes.subscribe();
        pushes.mark_unchanged();
        let watcher = Watcher {
            pushes,
            instrument: instrument.to_owned(),
            story: self.story.clone(),
            told: 0,
            _seat: seat,
            _watching: self.handle.board.watching(),
        };
        let events = stream::unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await?;
            Some((Ok::<Bytes, std::convert::Infallible>(event), watcher))
        });
        Some(Body::from_stream(events))
    }
}

struct Watcher {
    pushes: watch::Receiver<Arc<Push>>,
    instrument: String,
    story: Story,
    told: u64,
    _seat: OwnedSemaphorePermit,
    _watching: Watching,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        self.pushes.changed().await.ok()?;
        let push = Arc::clone(&self.pushes.borrow_and_update());
        let mut text = push.common.clone();
        text.push_str(push.books.get(&self.instrument).map_or("", String::as_str));
        let tales = self.story.since(self.told);
        if let Some(last) = tales.last() {
            self.told = last.seq;
            let tales = serde_json::to_string(&tales).ok()?;
            text.push_str(&format!("event: story\ndata: {tales}\n\n"));
        }
        Some(Bytes::from(text))
    }
}

impl History {
    fn sample(&mut self, at_ms: i64, status: &Status) {
        if at_ms == self.last_ms {
            return;
        }
        self.last_ms = at_ms;
        for own in &status.instruments {
            let points = self.instruments.entry(name(&own.venue, &own.symbol)).or_default();
            keep(points, (at_ms, point(own, status)));
        }
        keep(&mut self.profit, (at_ms, status.session.profit_quote.to_f64()));
    }
}

fn keep<T>(ring: &mut VecDeque<T>, newest: T) {
    if ring.len() >= POINTS {
        ring.pop_front();
    }
    ring.push_back(newest);
}

fn name(venue: &str, symbol: &str) -> String {
    format!("{venue}:{symbol}")
}

fn point(own: &InstrumentView, status: &Status) -> [Option<f64>; 6] {
    let ours = |side: Side| {
        let quotes = status.orders.iter().filter(move |order| {
            order.purpose == Purpose::Quote
                && order.side == side
                && order.symbol == own.symbol
                && order.venue == own.venue
        });
        quotes.map(|order| order.price)
    };
    let best = |level: &Option<LevelView>| level.as_ref().and_then(|level| level.price.to_f64());
    // Until the accounts have been read nobody knows what is held.
    let counted = !matches!(status.state, State::Starting | State::Reconciling);
    let off_target = own.target_base.filter(|_| counted).map(|target| own.held_base - target);
    [
        best(&own.bid.best),
        best(&own.ask.best),
        own.quote.as_ref().map(|quote| quote.fair),
        ours(Side::Buy).max().and_then(|price| price.to_f64()),
        ours(Side::Sell).min().and_then(|price| price.to_f64()),
        off_target.and_then(|base| base.to_f64()),
    ]
}

/// How much of others rests ahead of our orders, at most. What joins a price joins behind us and
/// trades take from the front; a cancel shows only that the level shrank, so it counts as ahead
/// of us only as far as there is nobody else left. The estimate therefore never falls too fast.
#[derive(Debug, Default)]
struct Queue {
    ahead: BTreeMap<(String, OrderId), (Px, Qty)>,
}

impl Queue {
    fn ahead(&mut self, venue: &str, id: OrderId, px: Px, others: Option<Qty>) -> Option<Qty> {
        let key = (venue.to_owned(), id);
        let known = self.ahead.get(&key).filter(|(at, _)| *at == px).map(|(_, ahead)| *ahead);
        let ahead = match (known, others) {
            (Some(known), Some(others)) => known.min(others),
            (None, others) => others?,
            (Some(known), None) => known,
        };
        self.ahead.insert(key, (px, ahead));
        Some(ahead)
    }

    fn forget_others(&mut self, ladders: &[Ladder]) {
        self.ahead.retain(|(venue, id), _| {
            ladders.iter().any(|l| l.venue == *venue && l.own.iter().any(|own| own.id == *id))
        });
    }
}

fn book(ladder: &Ladder, queue: &mut Queue) -> Value {
    let listed = &ladder.instrument;
    let decimal = |amount: Money| amount.normalize().to_string();
    let ours_at = |side: Side, px: Px| -> Qty {
        let same = ladder.own.iter().filter(|own| own.side == side && own.level.px == px);
        same.map(|own| own.level.qty).sum()
    };
    let side = |side: Side| -> Vec<Value> {
        let levels = ladder.sides[side.index()].iter();
        levels
            .map(|level| {
                json!([
                    listed.price(level.px).to_string(),
                    decimal(listed.quantity(level.qty)),
                    decimal(listed.quantity(ours_at(side, level.px))),
                ])
            })
            .collect()
    };
    let (bids, asks) = (side(Side::Buy), side(Side::Sell));
    let own: Vec<Value> = ladder
        .own
        .iter()
        .map(|own| {
            let others = own.shown - ours_at(own.side, own.level.px);
            // An order that the book does not show yet leaves the place in its queue unknown.
            let others = (own.shown.0 > 0 && others.0 >= 0).then_some(others);
            let ahead = queue.ahead(&ladder.venue, own.id, own.level.px, others);
            json!({
                "id": format!("{}-{}", own.id.epoch, own.id.counter),
                "side": own.side,
                "price": listed.price(own.level.px).to_string(),
                "remaining": decimal(listed.quantity(own.level.qty)),
                "purpose": own.purpose,
                "ahead_base": ahead.map(|ahead| decimal(listed.quantity(ahead))),
            })
        })
        .collect();
    json!({
        "instrument": name(&ladder.venue, &listed.symbol),
        "synced": ladder.synced,
        "bids": bids,
        "asks": asks,
        "own": own,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_ahead_only_shrinks_and_starts_anew_at_another_price() {
        let mut queue = Queue::default();
        let id = OrderId { epoch: 1, counter: 2 };
        let mut ahead = |px: i64, others: Option<i64>| {
            queue.ahead("spot", id, Px(px), others.map(Qty)).map(|qty| qty.0)
        };
        assert_eq!(ahead(10, None), None, "the book does not show it yet");
        assert_eq!(ahead(10, Some(7)), Some(7));
        assert_eq!(ahead(10, Some(9)), Some(7), "what came later stands behind");
        assert_eq!(ahead(10, Some(4)), Some(4));
        assert_eq!(ahead(10, None), Some(4));
        assert_eq!(ahead(11, Some(8)), Some(8));
        queue.forget_others(&[]);
        assert!(queue.ahead.is_empty());
    }

    #[test]
    fn rings_are_bounded() {
        let mut ring = VecDeque::new();
        (0..POINTS + 3).for_each(|n| keep(&mut ring, n));
        assert_eq!((ring.len(), ring.front()), (POINTS, Some(&3)));
    }
}
