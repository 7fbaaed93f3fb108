//! The public session: streams, and books that are proven or said to be lost.
//!
//! The rules are the venue's "How to manage a local order book correctly" (spot: `U`/`u` chain,
//! as corrected 2025-11-12; USD-M: `pu` chain).

use std::collections::VecDeque;

use super::decode::{Listing, Unreadable, json};
use super::encode::Call;
use super::sign::Query;
use super::{Ask, Product, Session, Timer, backoff, errors, wire};
use crate::domain::{BookLoss, BookUpdate, Event, Level, LinkKind, Span, Ts, planted};
use crate::venues::{Outbox, Tag};

/// Diffs that may wait for a snapshot: over six minutes at 100 ms.
pub(super) const MAX_BUFFERED_DIFFS: usize = 4096;
/// Diffs in a row that a renewed stream, or one that is behind its snapshot, may repeat: five seconds
/// of them.
const MAX_SKIPPED_DIFFS: u32 = 50;
/// A quiet market shows no diff; after this the snapshot is asked for all the same.
const SNAPSHOT_GRACE: Span = Span::from_s(1);
/// Losses further apart than this start the backoff anew.
const SNAPSHOT_CALM: Span = Span::from_s(30);
/// Levels a side in a snapshot; both products serve it.
const SNAPSHOT_LEVELS: u32 = 1000;

/// One decoded depth update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diff {
    first: u64,
    last: u64,
    previous: Option<u64>,
    at: Ts,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

/// Where a diff stands after a known update id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    Old,
    Next,
    Gap,
}

/// How `diff` continues a book that is at `last`; `fresh` right after a snapshot.
///
/// USD-M documents `U <= last <= u` for the first diff after a snapshot. `pu <= last` is as sound
/// (nothing of this symbol changed between `pu` and `U`), and a quiet market may offer no other.
fn chain(product: Product, last: u64, fresh: bool, diff: &Diff) -> Chain {
    match product {
        _ if planted("no_gap_check") => Chain::Next,
        Product::Spot if planted("small_gaps_pass") && diff.first <= last + 500 => Chain::Next,
        Product::Spot if diff.last <= last => Chain::Old,
        Product::Spot if diff.first <= last.saturating_add(1) => Chain::Next,
        Product::Spot => Chain::Gap,
        Product::UsdM if fresh && diff.last < last => Chain::Old,
        Product::UsdM if fresh && (diff.first <= last || diff.previous <= Some(last)) => {
            Chain::Next
        }
        Product::UsdM if diff.previous == Some(last) => Chain::Next,
        // A renewed stream repeats what the old one told last.
        Product::UsdM if !fresh && diff.last <= last => Chain::Old,
        Product::UsdM => Chain::Gap,
    }
}

#[derive(Debug, Default)]
enum Sync {
    /// No stream.
    #[default]
    Off,
    /// Collecting diffs, without a hole, until a snapshot joins them.
    Waiting(VecDeque<Diff>),
    /// Proven up to `last`.
    Live { last: u64, fresh: bool },
}

/// The sequence state of one book.
#[derive(Debug, Default)]
pub(super) struct Book {
    sync: Sync,
    /// The snapshot request in flight.
    asked: Option<Tag>,
    asked_at: Ts,
    attempts: u32,
    /// Diffs in a row that were older than what is known.
    skipped: u32,
}

/// What a diff means for the book.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Apply(Diff),
    Wait,
    Skip,
    Lost(BookLoss),
}

impl Book {
    /// Whether the core holds a book of it.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.sync, Sync::Live { .. })
    }

    fn restart(&mut self) {
        self.sync = Sync::Waiting(VecDeque::new());
        self.asked = None;
    }

    fn on_diff(&mut self, product: Product, diff: Diff) -> Step {
        let skipped = std::mem::take(&mut self.skipped);
        match &mut self.sync {
            Sync::Off => Step::Skip,
            Sync::Waiting(diffs) => {
                if let Some(back) = diffs.back() {
                    match chain(product, back.last, false, &diff) {
                        Chain::Next => {}
                        Chain::Old => return Step::Skip,
                        // A hole among the waiting: only what follows it can still be joined.
                        Chain::Gap => diffs.clear(),
                    }
                }
                if diffs.len() >= MAX_BUFFERED_DIFFS {
                    diffs.clear();
                    return Step::Lost(BookLoss::Overflow);
                }
                diffs.push_back(diff);
                Step::Wait
            }
            Sync::Live { last, fresh } => match chain(product, *last, *fresh, &diff) {
                Chain::Old if skipped < MAX_SKIPPED_DIFFS => {
                    self.skipped = skipped + 1;
                    Step::Skip
                }
                Chain::Next => {
                    (*last, *fresh) = (diff.last, false);
                    Step::Apply(diff)
                }
                // Where all that comes is older than what is known, what is known cannot be right.
                Chain::Gap | Chain::Old => {
                    self.restart();
                    self.sync = Sync::Waiting(VecDeque::from([diff]));
                    Step::Lost(BookLoss::Gap)
                }
            },
        }
    }

    /// Join a snapshot to what waits; `None` when it is older than what waits.
    fn on_snapshot(&mut self, product: Product, last: u64) -> Option<Vec<Diff>> {
        let Sync::Waiting(diffs) = &mut self.sync else { return None };
        let old = |diff: &Diff| chain(product, last, true, diff) == Chain::Old;
        let kept = diffs.iter().position(|diff| !old(diff)).unwrap_or(diffs.len());
        if diffs.get(kept).is_some_and(|diff| chain(product, last, true, diff) == Chain::Gap) {
            diffs.drain(..kept);
            return None;
        }
        let joined: Vec<Diff> = diffs.drain(..).skip(kept).collect();
        self.sync = match joined.last() {
            Some(diff) => Sync::Live { last: diff.last, fresh: false },
            None => Sync::Live { last, fresh: true },
        };
        Some(joined)
    }
}

impl Session {
    /// Stream URL of a market link; `None` when there is nothing to subscribe to.
    pub(super) fn market_url(&self, kind: LinkKind) -> Option<String> {
        let (route, suffixes): (&str, &[&str]) = match (self.params.product, kind) {
            (Product::Spot, LinkKind::Market) => ("", &["depth@100ms", "bookTicker", "trade"]),
            (Product::UsdM, LinkKind::Market) => ("/public", &["depth@100ms", "bookTicker"]),
            (Product::UsdM, LinkKind::MarketSlow) => ("/market", &["aggTrade", "markPrice@1s"]),
            _ => return None,
        };
        let mut streams = Vec::new();
        for market in self.markets.iter().filter(|market| market.listing.is_some()) {
            for suffix in suffixes {
                streams.push(Query::encoded(&market.stream) + "@" + suffix);
            }
        }
        let base = self.params.market_url.trim_end_matches('/');
        (!streams.is_empty()).then(|| format!("{base}{route}/stream?streams={}", streams.join("/")))
    }

    /// Replace a connection that will be cut: market streams without a gap, the user stream by
    /// closing it first, because on spot it delivers only after its own subscription.
    pub(super) fn renew(&mut self, kind: LinkKind, now: Ts, why: &str, out: &mut Outbox) {
        if !self.link(kind).open {
            return self.reconnect(kind, now, why, out);
        }
        // Else a venue that announces on every connection would be opened all the time.
        let calm_at = self.link(kind).opened_at + super::LINK_STABLE;
        if now < calm_at {
            self.timers.insert(Timer::Life(kind), calm_at);
            return;
        }
        let Some(url) = self.url(kind) else { return };
        self.timers.insert(Timer::Life(kind), now + super::RENEW_AGAIN);
        out.frames.push(crate::venues::Frame::Connect { link: kind, url, after: Span::ZERO });
    }

    /// Books begin to wait when their stream opens.
    pub(super) fn books_open(&mut self, now: Ts) {
        for slot in 0..self.markets.len() {
            if self.markets[slot].listing.is_some() {
                let book = &mut self.markets[slot].book;
                book.restart();
                book.attempts = 0;
                self.timers.insert(Timer::Snapshot(slot), now + SNAPSHOT_GRACE);
            }
        }
    }

    /// The stream of all books is gone.
    pub(super) fn books_closed(&mut self, out: &mut Outbox) {
        for (slot, market) in self.markets.iter_mut().enumerate() {
            if market.book.is_live() && !planted("loss_not_told") {
                let (instrument, why) = (market.id, BookLoss::Disconnected);
                out.events.push(Event::BookLost { instrument, why });
            }
            market.book.sync = Sync::Off;
            market.book.asked = None;
            self.timers.remove(&Timer::Snapshot(slot));
        }
    }

    /// Say that a book is lost and begin anew, if its stream is open.
    pub(super) fn lose_book(&mut self, slot: usize, now: Ts, why: BookLoss, out: &mut Outbox) {
        let market = &mut self.markets[slot];
        out.events.push(Event::BookLost { instrument: market.id, why });
        if !matches!(market.book.sync, Sync::Off) {
            market.book.restart();
            self.plan_snapshot(slot, now, out);
        }
    }

    /// Ask for a snapshot now, or later when the last one was asked for a moment ago.
    fn plan_snapshot(&mut self, slot: usize, now: Ts, out: &mut Outbox) {
        let book = &mut self.markets[slot].book;
        if now.since(book.asked_at) > SNAPSHOT_CALM {
            book.attempts = 0;
        }
        let due = book.asked_at + backoff(book.attempts);
        if book.attempts == 0 || due <= now {
            self.ask_snapshot(slot, now, out);
        } else {
            self.timers.insert(Timer::Snapshot(slot), due);
        }
    }

    /// Ask for a snapshot unless one is on its way.
    pub(super) fn ask_snapshot(&mut self, slot: usize, now: Ts, out: &mut Outbox) {
        self.timers.remove(&Timer::Snapshot(slot));
        let market = &self.markets[slot];
        if market.book.asked.is_some() || !matches!(market.book.sync, Sync::Waiting(_)) {
            return;
        }
        if market.book.attempts > 0 && planted("no_resync") {
            return;
        }
        if let Some(until) = self.blocked(now) {
            self.timers.insert(Timer::Snapshot(slot), until);
            return;
        }
        let query = Query::new().with("symbol", &market.symbol).with("limit", SNAPSHOT_LEVELS);
        let tag = self.send(Call::Depth, Ask::Depth { slot }, query, now, out);
        let book = &mut self.markets[slot].book;
        book.asked = Some(tag);
        book.asked_at = now;
        book.attempts += 1;
    }

    /// The reply to a snapshot request.
    pub(super) fn on_depth_reply(
        &mut self,
        tag: Tag,
        slot: usize,
        now: Ts,
        body: Result<&str, String>,
        out: &mut Outbox,
    ) {
        if self.markets[slot].book.asked != Some(tag) {
            return; // of an earlier attempt; its stream or its scales are gone
        }
        self.markets[slot].book.asked = None;
        let read = body.and_then(|body| self.read_snapshot(slot, body, now));
        let joined = match read {
            Ok((last, update)) => {
                let joined = self.markets[slot].book.on_snapshot(self.params.product, last);
                joined.map(|diffs| (update, diffs))
            }
            Err(why) => {
                self.garbled(format!("snapshot of {}: {why}", self.markets[slot].symbol), out);
                None
            }
        };
        let Some((update, diffs)) = joined else {
            let book = &self.markets[slot].book;
            let due = (book.asked_at + backoff(book.attempts)).max(now + Span::from_ms(1));
            self.timers.insert(Timer::Snapshot(slot), due);
            return;
        };
        out.events.push(Event::Book(update));
        let instrument = self.markets[slot].id;
        out.events.extend(diffs.into_iter().map(|diff| book_event(instrument, diff)));
    }

    fn read_snapshot(
        &self,
        slot: usize,
        body: &str,
        now: Ts,
    ) -> Result<(u64, BookUpdate), Unreadable> {
        let wire: wire::DepthSnapshot<'_> = json(body)?;
        let listing = self.markets[slot].listing.as_ref().ok_or("not listed")?;
        let (bids, asks) = (listing.levels(&wire.bids)?, listing.levels(&wire.asks)?);
        let best = |levels: &[Level]| levels.first().map(|level| level.px);
        if let (Some(bid), Some(ask)) = (best(&bids), best(&asks))
            && bid >= ask
        {
            return Err(format!("crossed, bid {bid:?} ask {ask:?}"));
        }
        let at = wire.event_time.map_or(now, Ts::from_ms);
        let instrument = listing.id();
        let snapshot = !planted("snapshot_merged");
        Ok((wire.last_update_id, BookUpdate { instrument, snapshot, bids, asks, at }))
    }

    /// A frame on a market link.
    pub(super) fn on_market_text(&mut self, link: LinkKind, now: Ts, text: &str, out: &mut Outbox) {
        // The common frame is `{"stream":"btcusdt@depth@100ms","data":{…}}`; cutting it open by
        // hand saves a pass over the payload.
        let cut = text
            .strip_prefix("{\"stream\":\"")
            .and_then(|rest| rest.split_once("\",\"data\":"))
            .and_then(|(stream, rest)| Some((stream, rest.trim_end().strip_suffix('}')?)))
            .filter(|(stream, data)| {
                !stream.contains(['\\', '"']) && data.starts_with('{') && data.ends_with('}')
            });
        if let Some((stream, data)) = cut {
            return self.on_stream(link, now, stream, data, out);
        }
        match json::<wire::Frame<'_>>(text) {
            Ok(wire::Frame { stream: Some(stream), data: Some(data), .. }) => {
                self.on_stream(link, now, &stream, data.get(), out);
            }
            Ok(wire::Frame { e: Some(event), .. }) if event == "serverShutdown" => {
                self.renew(link, now, "the venue announced a shutdown", out);
            }
            Ok(frame) if frame.error.is_some() || frame.code.is_some() => {
                let what = errors::excerpt(text);
                self.garbled(format!("control frame refused: {what}"), out);
            }
            Ok(frame) if frame.id.is_some() || frame.result.is_some() => {}
            Ok(_) => self.ignored += 1,
            Err(why) => self.garbled_market(link, None, now, &why, text, out),
        }
    }

    fn on_stream(&mut self, link: LinkKind, now: Ts, stream: &str, data: &str, out: &mut Outbox) {
        if stream == "!serverShutdown" {
            return self.renew(link, now, "the venue announced a shutdown", out);
        }
        let (symbol, kind) = stream.split_once('@').unwrap_or((stream, ""));
        let slot = self.by_stream.get(symbol).copied();
        let listing = slot.and_then(|slot| self.markets[slot].listing.as_ref());
        let (Some(slot), Some(listing)) = (slot, listing) else {
            self.ignored += 1;
            return;
        };
        let read = match kind {
            "bookTicker" => read_ticker(listing, data, now),
            "trade" | "aggTrade" => read_trade(listing, data),
            _ if kind.starts_with("markPrice") => read_mark(listing, data).map(Some),
            _ if is_diff_depth(kind) => match read_diff(self.params.product, listing, data) {
                Ok(diff) => {
                    self.on_diff(slot, now, diff, out);
                    Ok(None)
                }
                Err(why) => Err(why),
            },
            _ => {
                self.ignored += 1;
                Ok(None)
            }
        };
        match read {
            Ok(Some(Event::Trade(trade))) => {
                let newest = &mut self.markets[slot].last_public_trade;
                if newest.is_none_or(|newest| trade.trade_id > newest) {
                    *newest = Some(trade.trade_id);
                    out.events.push(Event::Trade(trade));
                }
            }
            Ok(event) => out.events.extend(event),
            Err(why) => self.garbled_market(link, Some(slot), now, &why, data, out),
        }
    }

    fn on_diff(&mut self, slot: usize, now: Ts, diff: Diff, out: &mut Outbox) {
        let (instrument, product) = (self.markets[slot].id, self.params.product);
        match self.markets[slot].book.on_diff(product, diff) {
            Step::Apply(diff) => out.events.push(book_event(instrument, diff)),
            Step::Skip => {}
            Step::Wait => {
                let book = &self.markets[slot].book;
                if book.asked.is_none() && book.attempts == 0 {
                    self.ask_snapshot(slot, now, out);
                }
            }
            Step::Lost(why) => {
                out.events.push(Event::BookLost { instrument, why });
                self.plan_snapshot(slot, now, out);
            }
        }
    }

    /// A frame that should have been readable: whatever it may have changed is lost.
    fn garbled_market(
        &mut self,
        link: LinkKind,
        slot: Option<usize>,
        now: Ts,
        why: &str,
        text: &str,
        out: &mut Outbox,
    ) {
        self.garbled(format!("{link:?} stream: {why}: {}", errors::excerpt(text)), out);
        if link != LinkKind::Market {
            return;
        }
        let slots = slot.map_or(0..self.markets.len(), |slot| slot..slot + 1);
        for slot in slots {
            if self.markets[slot].listing.is_some() {
                self.lose_book(slot, now, BookLoss::Garbled, out);
            }
        }
        // A wrong tick looks like this; ask whether it has changed.
        self.refresh_info(now, out);
    }
}

fn book_event(instrument: crate::domain::InstrumentId, diff: Diff) -> Event {
    let Diff { bids, asks, at, .. } = diff;
    Event::Book(BookUpdate { instrument, snapshot: false, bids, asks, at })
}

/// `depth`, `depth@100ms`, `depth@0ms`; not `depth5`, which is a snapshot in disguise on USD-M.
fn is_diff_depth(kind: &str) -> bool {
    match kind.strip_prefix("depth") {
        Some("") => true,
        Some(rest) => rest.starts_with('@'),
        None => false,
    }
}

fn check_symbol(listing: &Listing, symbol: &str) -> Result<(), Unreadable> {
    if symbol == listing.instrument.symbol {
        Ok(())
    } else {
        Err(format!("symbol {symbol:?} on the stream of {}", listing.instrument.symbol))
    }
}

fn read_diff(product: Product, listing: &Listing, data: &str) -> Result<Diff, Unreadable> {
    let wire: wire::DepthUpdate<'_> = json(data)?;
    check_symbol(listing, &wire.s)?;
    if wire.e != "depthUpdate" {
        return Err(format!("event {:?} on a depth stream", wire.e));
    }
    if wire.first > wire.last {
        return Err(format!("update ids run backwards: U {} u {}", wire.first, wire.last));
    }
    if product == Product::UsdM && wire.previous.is_none() {
        return Err("depth update without pu".to_owned());
    }
    Ok(Diff {
        first: wire.first,
        last: wire.last,
        previous: wire.previous,
        at: Ts::from_ms(wire.transaction_time.unwrap_or(wire.event_time)),
        bids: listing.levels(&wire.b)?,
        asks: listing.levels(&wire.a)?,
    })
}

/// Best bid and ask; `None` while a side is empty, which the venue writes as price zero.
fn read_ticker(listing: &Listing, data: &str, now: Ts) -> Result<Option<Event>, Unreadable> {
    let wire: wire::BookTicker<'_> = json(data)?;
    check_symbol(listing, &wire.s)?;
    let zero = |text: &str| text.starts_with('0') && text.bytes().all(|b| matches!(b, b'0' | b'.'));
    if zero(wire.b) || zero(wire.a) {
        return Ok(None);
    }
    Ok(Some(Event::Ticker(listing.ticker(&wire, now)?)))
}

fn read_trade(listing: &Listing, data: &str) -> Result<Option<Event>, Unreadable> {
    let wire: wire::TradeTick<'_> = json(data)?;
    check_symbol(listing, &wire.s)?;
    Ok(listing.trade(&wire)?.map(Event::Trade))
}

fn read_mark(listing: &Listing, data: &str) -> Result<Event, Unreadable> {
    let wire: wire::MarkPrice<'_> = json(data)?;
    check_symbol(listing, &wire.s)?;
    listing.mark(&wire).map(Event::Mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(first: u64, last: u64, previous: u64) -> Diff {
        Diff {
            first,
            last,
            previous: Some(previous),
            at: Ts(0),
            bids: Vec::new(),
            asks: Vec::new(),
        }
    }

    fn waiting(product: Product, diffs: &[(u64, u64, u64)]) -> Book {
        let mut book = Book::default();
        book.restart();
        for &(first, last, previous) in diffs {
            book.on_diff(product, diff(first, last, previous));
        }
        book
    }

    fn joined(product: Product, diffs: &[(u64, u64, u64)], snapshot: u64) -> Option<Vec<u64>> {
        let joined = waiting(product, diffs).on_snapshot(product, snapshot);
        joined.map(|diffs| diffs.iter().map(|diff| diff.last).collect())
    }

    #[test]
    fn a_spot_snapshot_joins_where_the_ids_touch() {
        let diffs = [(11, 20, 0), (21, 30, 0), (31, 40, 0)];
        assert_eq!(joined(Product::Spot, &diffs, 9), None, "older than the first diff");
        assert_eq!(joined(Product::Spot, &diffs, 10), Some(vec![20, 30, 40]), "U = last + 1");
        assert_eq!(joined(Product::Spot, &diffs, 25), Some(vec![30, 40]));
        assert_eq!(joined(Product::Spot, &diffs, 30), Some(vec![40]));
        assert_eq!(joined(Product::Spot, &diffs, 50), Some(vec![]), "all are in the snapshot");
        assert_eq!(joined(Product::Spot, &[], 50), Some(vec![]), "a quiet market");
    }

    #[test]
    fn a_usdm_snapshot_joins_where_a_diff_straddles_it() {
        // The ids are not contiguous between events; only `pu` chains them.
        let diffs = [(12, 20, 5), (24, 30, 20), (33, 40, 30)];
        assert_eq!(joined(Product::UsdM, &diffs, 4), None, "older than the first diff");
        assert_eq!(joined(Product::UsdM, &diffs, 5), Some(vec![20, 30, 40]), "pu = last");
        assert_eq!(joined(Product::UsdM, &diffs, 20), Some(vec![20, 30, 40]), "u = last is kept");
        assert_eq!(joined(Product::UsdM, &diffs, 25), Some(vec![30, 40]));
        assert_eq!(joined(Product::UsdM, &diffs, 22), Some(vec![30, 40]), "between two events");
    }

    #[test]
    fn a_hole_among_the_waiting_keeps_only_what_follows_it() {
        assert_eq!(joined(Product::Spot, &[(1, 10, 0), (12, 20, 0)], 5), None);
        assert_eq!(joined(Product::Spot, &[(1, 10, 0), (12, 20, 0)], 11), Some(vec![20]));
        assert_eq!(joined(Product::UsdM, &[(1, 10, 0), (12, 20, 11)], 5), None);
    }

    #[test]
    fn a_live_book_breaks_at_the_first_missing_update() {
        let mut spot = waiting(Product::Spot, &[(11, 20, 0)]);
        spot.on_snapshot(Product::Spot, 15).unwrap();
        assert_eq!(spot.on_diff(Product::Spot, diff(15, 19, 0)), Step::Skip);
        assert!(matches!(spot.on_diff(Product::Spot, diff(21, 25, 0)), Step::Apply(_)));
        assert_eq!(spot.on_diff(Product::Spot, diff(27, 30, 0)), Step::Lost(BookLoss::Gap));
        assert!(!spot.is_live());
        assert!(spot.on_snapshot(Product::Spot, 28).is_some(), "the breaking diff was kept");

        let mut usdm = waiting(Product::UsdM, &[(11, 20, 9)]);
        usdm.on_snapshot(Product::UsdM, 15).unwrap();
        assert!(matches!(usdm.on_diff(Product::UsdM, diff(25, 30, 20)), Step::Apply(_)));
        assert_eq!(usdm.on_diff(Product::UsdM, diff(31, 40, 29)), Step::Lost(BookLoss::Gap));
    }

    #[test]
    fn the_buffer_is_bounded_and_says_so() {
        let mut book = waiting(Product::Spot, &[]);
        for n in 0..MAX_BUFFERED_DIFFS as u64 {
            assert_eq!(book.on_diff(Product::Spot, diff(n + 1, n + 1, 0)), Step::Wait);
        }
        let next = MAX_BUFFERED_DIFFS as u64 + 1;
        let step = book.on_diff(Product::Spot, diff(next, next, 0));
        assert_eq!(step, Step::Lost(BookLoss::Overflow));
        assert!(matches!(&book.sync, Sync::Waiting(diffs) if diffs.is_empty()));
    }

    #[test]
    fn partial_depth_is_no_diff() {
        for (kind, want) in [
            ("depth", true),
            ("depth@100ms", true),
            ("depth@0ms", true),
            ("depth5", false),
            ("depth20@100ms", false),
            ("kline_1m", false),
        ] {
            assert_eq!(is_diff_depth(kind), want, "{kind}");
        }
    }
}
