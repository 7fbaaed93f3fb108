//! What the engine knows of one venue: connections, clock, budget, account.

use std::collections::BTreeMap;

use super::params::VenueParams;
use crate::domain::{Asset, KeyCheck, LinkKind, Money, Span, Ts, VenueId};
use crate::risk::Budget;

/// One connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkState {
    pub(super) up: bool,
    /// Last sign of life.
    pub(super) alive_at: Ts,
}

/// One venue.
#[derive(Clone, Debug)]
pub(super) struct Venue {
    pub(super) id: VenueId,
    pub(super) name: String,
    pub(super) request_timeout: Span,
    pub(super) market: LinkState,
    pub(super) market_slow: LinkState,
    pub(super) user: LinkState,
    pub(super) budget: Budget,
    pub(super) clock_offset: Option<Span>,
    /// What is known of what our key may do.
    pub(super) key_check: Option<KeyCheck>,
    /// The venue cannot be used, and why.
    pub(super) failed: Option<String>,
    /// Free and locked, by asset.
    pub(super) balances: BTreeMap<Asset, (Money, Money)>,
    /// What our spot orders hold of them, as last counted.
    held: BTreeMap<Asset, Money>,
    /// What was locked beside our orders, in the last reading and the one before.
    locked_beside: BTreeMap<Asset, [Money; 2]>,
    /// When the account was last asked for, while the answer is out.
    pub(super) asked_at: Option<Ts>,
    /// When it was last asked for.
    last_asked_at: Option<Ts>,
    /// Questions shortly after one another.
    asks_in_a_row: u32,
    /// As-of time of the last complete answer.
    pub(super) read_at: Option<Ts>,
    /// When to ask next.
    pub(super) ask_at: Ts,
    /// Complete answers in a row that differ from our ledger.
    pub(super) differs: u32,
    /// Open orders there that are not ours.
    pub(super) foreign_orders: usize,
    /// Open orders of ours there, by the last reading.
    pub(super) own_orders: usize,
}

/// An account answer that has not come by then is asked for again.
const ACCOUNT_PATIENCE: Span = Span::from_s(5);
/// Least time between two questions, doubled by each that comes soon after another: neither a clock
/// that stands still nor an account that stays different makes a storm of them.
const ACCOUNT_REST: Span = Span::from_ms(20);
/// The longest it becomes.
const ACCOUNT_REST_MAX: Span = Span::from_ms(1280);
/// After so long without a question it is short again.
const ACCOUNT_CALM: Span = Span::from_s(3);

impl Venue {
    pub(super) fn new(id: VenueId, params: &VenueParams) -> Venue {
        Venue {
            id,
            name: params.name.clone(),
            request_timeout: params.request_timeout,
            market: LinkState::default(),
            market_slow: LinkState::default(),
            user: LinkState::default(),
            budget: Budget::new(params.max_orders_per_s, params.message_reserve_cancel_pct),
            clock_offset: None,
            key_check: None,
            failed: None,
            balances: BTreeMap::new(),
            held: BTreeMap::new(),
            locked_beside: BTreeMap::new(),
            asked_at: None,
            last_asked_at: None,
            asks_in_a_row: 0,
            read_at: None,
            ask_at: Ts(0),
            differs: 0,
            foreign_orders: 0,
            own_orders: 0,
        }
    }

    pub(super) fn link_mut(&mut self, link: LinkKind) -> &mut LinkState {
        match link {
            LinkKind::Market => &mut self.market,
            LinkKind::MarketSlow => &mut self.market_slow,
            LinkKind::User => &mut self.user,
        }
    }

    /// Connected, clock known, usable.
    pub(super) fn is_ready(&self) -> bool {
        self.answers() && self.market.up && self.user.up
    }

    /// Requests can be signed and are not refused, whatever the streams do.
    pub(super) fn answers(&self) -> bool {
        self.failed.is_none() && self.clock_offset.is_some()
    }

    /// When its account is to be asked for, not before the patience with the last question ends;
    /// `None` while it cannot be. At the end it is read without any stream too.
    pub(super) fn account_due(&self, ending: bool) -> Option<Ts> {
        // What has failed may have been mended, and what is left there should not go unseen.
        let readable = self.is_ready() || (ending && self.clock_offset.is_some());
        let patience_ends = self.asked_at.map_or(self.ask_at, |asked| asked + ACCOUNT_PATIENCE);
        let rest = Span(ACCOUNT_REST.0 << self.asks_in_a_row.min(6)).min(ACCOUNT_REST_MAX);
        let rested = self.last_asked_at.map_or(self.ask_at, |asked| asked + rest);
        readable.then_some(self.ask_at.max(patience_ends).max(rested))
    }

    /// Its account is asked for now, and again after that interval at the latest.
    pub(super) fn asked(&mut self, now: Ts, interval: Span) {
        let soon = self.last_asked_at.is_some_and(|before| now.since(before) < ACCOUNT_CALM);
        self.asks_in_a_row = if soon { self.asks_in_a_row.saturating_add(1) } else { 0 };
        self.asked_at = Some(now);
        self.last_asked_at = Some(now);
        self.ask_at = now + interval;
    }

    /// The operator has looked: what failed is tried again, and what the account was found to hold
    /// beside our ledger is what we hold.
    pub(super) fn forgive(&mut self) {
        self.failed = None;
        if std::mem::take(&mut self.differs) > 0 {
            self.read_at = None;
        }
    }

    /// The account as of `since` or later has been read.
    pub(super) fn is_read_since(&self, since: Ts) -> bool {
        self.read_at.is_some_and(|at| at >= since)
    }

    /// Counts what a fill moved, ahead of the venue's own word on the balance.
    pub(super) fn moved(&mut self, asset: &Asset, amount: Money) {
        if let Some((free, _)) = self.balances.get_mut(asset) {
            *free += amount;
        }
    }

    /// Our spot orders hold so much more of an asset.
    pub(super) fn hold(&mut self, asset: &Asset, change: Money) {
        if !change.is_zero() {
            *self.held.entry(asset.clone()).or_default() += change;
        }
    }

    /// What our spot orders hold of an asset, as last counted.
    pub(super) fn held(&self, asset: &Asset) -> Money {
        self.held.get(asset).copied().unwrap_or_default()
    }

    /// So much of an asset was locked by something else than our orders, by a reading.
    pub(super) fn locked_beside(&mut self, asset: &Asset, amount: Money) {
        let known = self.locked_beside.entry(asset.clone()).or_insert([amount; 2]);
        *known = [amount, known[0]];
    }

    /// What others' orders hold of an asset. Balances and orders are read one after the other, so
    /// an order that comes or goes between them seems to be another's: only what two readings in a
    /// row have shown counts.
    pub(super) fn held_by_others(&self, asset: &Asset) -> Money {
        self.locked_beside.get(asset).map_or(Money::ZERO, |[last, before]| *last.min(before))
    }

    /// Free and locked of an asset together.
    pub(super) fn total(&self, asset: &Asset) -> Money {
        self.balances.get(asset).map_or(Money::ZERO, |(free, locked)| free + locked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_in_a_row_become_rarer() {
        let mut venue = Venue::new(
            VenueId(0),
            &VenueParams {
                name: "spot".to_owned(),
                request_timeout: Span::from_s(1),
                max_orders_per_s: 10.0,
                message_reserve_cancel_pct: 20.0,
            },
        );
        venue.clock_offset = Some(Span::ZERO);
        let mut now = Ts::from_ms(1_000_000);
        let mut asked = Vec::new();
        // Every answer comes at once and leaves a question open.
        while now < Ts::from_ms(1_010_000) {
            venue.asked(now, Span::from_s(60));
            asked.push(now);
            (venue.asked_at, venue.ask_at) = (None, now);
            now = venue.account_due(true).expect("it can be read");
        }
        assert_eq!(asked[1].since(asked[0]), Span::from_ms(20));
        assert!((8..20).contains(&asked.len()), "{asked:?}");
        let calm = now + Span::from_s(5);
        venue.asked(calm, Span::from_s(60));
        (venue.asked_at, venue.ask_at) = (None, calm);
        assert_eq!(venue.account_due(true), Some(calm + ACCOUNT_REST));
    }
}
