//! Price–time matching of one market.
//!
//! Orders live in a slab, each level is a queue threaded through it, and the levels of a side are
//! a vector sorted so that the best is last: nearly all traffic is near the touch, so nearly all
//! insertions and removals are at the end: about 10 million order events a second on one core of a
//! shared machine over a random million-order tape (`cargo bench --bench matcher`). A twin
//! that scans a plain list checks it on random tapes.

use crate::domain::{Level, Px, Qty, Side};

use super::api::{SelfTrade, TimeInForce};

/// Whose an order is: the population, or an account's number plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(pub u32);

impl Owner {
    /// The crowd of the market's source. It may trade with itself.
    pub const POPULATION: Owner = Owner(0);
}

/// An order on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// The exchange's id, never given before.
    pub id: u64,
    /// Whose.
    pub owner: Owner,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub px: Px,
    /// Quantity, above zero.
    pub qty: Qty,
    /// How long.
    pub tif: TimeInForce,
    /// Against own orders.
    pub self_trade: SelfTrade,
}

/// Finds a resting order again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    slot: u32,
    id: u64,
}

/// How an incoming order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All traded.
    Filled,
    /// The rest is in the book.
    Rests(Handle),
    /// The rest is gone: nothing more to take, or killed before it took anything.
    Expired,
    /// The rest is gone by self-trade prevention.
    Prevented,
    /// Post-only and it would have traded; nothing happened.
    WouldTake,
}

/// What became of an incoming order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What did not trade: rests or is gone.
    pub rest: Qty,
}

/// A meeting of the incoming order with a resting one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The resting order.
    pub maker_id: u64,
    /// Whose it is.
    pub maker: Owner,
    /// Its price.
    pub px: Px,
    /// How much traded, or was prevented from trading on the resting side.
    pub qty: Qty,
    /// What is left of the resting order in the book.
    pub maker_rest: Qty,
    /// Traded, or prevented.
    pub traded: bool,
    /// What prevention took off the incoming order; zero for a trade.
    pub taker_prevented: Qty,
}

/// A level as a command left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelChange {
    /// Which side of the book.
    pub side: Side,
    /// Price.
    pub px: Px,
    /// What rests there now.
    pub qty: Qty,
}

/// What a command did, in order. Reused over commands to save allocations.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Meetings.
    pub matches: Vec<Match>,
    /// Changed levels.
    pub levels: Vec<LevelChange>,
}

impl Report {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.matches.clear();
        self.levels.clear();
    }
}

const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    id: u64,
    px: Px,
    qty: Qty,
    owner: Owner,
    side: Side,
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Rung {
    px: Px,
    qty: Qty,
    /// The population's part of `qty`.
    crowd: Qty,
    head: u32,
    tail: u32,
}

/// Both sides of one book.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    nodes: Vec<Node>,
    free: Vec<u32>,
    sides: [Vec<Rung>; 2],
}

impl Matcher {
    /// An empty book.
    #[must_use]
    pub fn new() -> Matcher {
        Matcher::default()
    }

    /// The best level of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.sides[side.index()].last().map(|r| Level { px: r.px, qty: r.qty })
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.sides[side.index()].iter().rev().map(|r| Level { px: r.px, qty: r.qty })
    }

    /// The population's part of the levels where it has any, best first.
    pub fn crowd_levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.sides[side.index()]
            .iter()
            .rev()
            .filter(|r| r.crowd > Qty::ZERO)
            .map(|r| Level { px: r.px, qty: r.crowd })
    }

    /// The population's quantity at a price.
    #[must_use]
    pub fn crowd_at(&self, side: Side, px: Px) -> Qty {
        self.find(side, px).map_or(Qty::ZERO, |i| self.sides[side.index()][i].crowd)
    }

    /// Whether an order at the price would trade at once.
    #[must_use]
    pub fn crosses(&self, side: Side, px: Px) -> bool {
        self.best(side.opposite()).is_some_and(|best| reaches(side, px, best.px))
    }

    /// What rests of an order; `None` once it is gone.
    #[must_use]
    pub fn resting(&self, handle: Handle) -> Option<Qty> {
        self.node(handle).map(|n| n.qty)
    }

    /// Matches an incoming order and rests what its terms allow.
    pub fn submit(&mut self, order: Incoming, report: &mut Report) -> Outcome {
        let refused = |end| Outcome { end, rest: order.qty };
        if order.tif == TimeInForce::PostOnly && self.crosses(order.side, order.px) {
            return refused(End::WouldTake);
        }
        if order.tif == TimeInForce::Fok && !self.can_fill(&order) {
            return refused(End::Expired);
        }
        let mut rest = order.qty;
        let prevented = self.take(&order, &mut rest, report);
        let end = if prevented {
            End::Prevented
        } else if rest.is_zero() {
            End::Filled
        } else if matches!(order.tif, TimeInForce::Gtc | TimeInForce::PostOnly) {
            End::Rests(self.rest(&order, rest, report))
        } else {
            End::Expired
        };
        Outcome { end, rest }
    }

    /// Takes a resting order out; what rested of it, or `None` when it was gone.
    pub fn cancel(&mut self, handle: Handle, report: &mut Report) -> Option<Qty> {
        let node = *self.node(handle)?;
        self.lower(handle.slot, node.qty, report);
        Some(node.qty)
    }

    /// Lowers a resting order by less than what rests of it, keeping its place in the queue.
    /// False, and nothing done, when that is not possible.
    pub fn reduce(&mut self, handle: Handle, by: Qty, report: &mut Report) -> bool {
        let fits = self.node(handle).is_some_and(|n| by > Qty::ZERO && by < n.qty);
        if fits {
            self.lower(handle.slot, by, report);
        }
        fits
    }

    /// Takes up to `by` of the population's quantity at a price away, the latest arrivals first:
    /// without order ids in the data, a cancel is taken to have come from behind us for as long
    /// as there is anything behind us, which never flatters our place in the queue.
    pub fn shrink_crowd(&mut self, side: Side, px: Px, by: Qty, report: &mut Report) {
        let Some(index) = self.find(side, px) else { return };
        let mut slot = self.sides[side.index()][index].tail;
        let mut left = by.min(self.sides[side.index()][index].crowd);
        while left > Qty::ZERO && slot != NIL {
            let node = self.nodes[slot as usize];
            if node.owner == Owner::POPULATION {
                let part = left.min(node.qty);
                left -= part;
                self.lower(slot, part, report);
            }
            slot = node.prev;
        }
        coalesce(report, side, px);
    }

    /// Lots that an order without a limit would take when `lots_at` says how many it can afford
    /// of each level; it stops at the first level that it cannot take whole.
    pub fn lots_for(&self, side: Side, mut lots_at: impl FnMut(Level) -> Qty) -> Qty {
        let mut total = Qty::ZERO;
        for level in self.levels(side.opposite()) {
            let part = lots_at(level).min(level.qty);
            total += part;
            if part < level.qty {
                break;
            }
        }
        total
    }

    /// A digest of every resting order in priority order; equal for equal books.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut hash = Digest::default();
        for side in Side::BOTH {
            for rung in self.sides[side.index()].iter().rev() {
                let mut slot = rung.head;
                while slot != NIL {
                    let node = &self.nodes[slot as usize];
                    hash.order(side, node.px, node.id, node.qty);
                    slot = node.next;
                }
            }
        }
        hash.0
    }

    fn node(&self, handle: Handle) -> Option<&Node> {
        let node = self.nodes.get(handle.slot as usize)?;
        (node.id == handle.id && node.qty > Qty::ZERO).then_some(node)
    }

    /// Where the level is, or where it would have to be inserted.
    fn position(&self, side: Side, px: Px) -> Result<usize, usize> {
        let rungs = &self.sides[side.index()];
        let key = px.0 * side.sign();
        rungs.binary_search_by_key(&key, |r| r.px.0 * side.sign())
    }

    fn find(&self, side: Side, px: Px) -> Option<usize> {
        self.position(side, px).ok()
    }

    pub(crate) fn can_fill(&self, order: &Incoming) -> bool {
        let mut found = Qty::ZERO;
        for rung in self.sides[order.side.opposite().index()].iter().rev() {
            if !reaches(order.side, order.px, rung.px) {
                break;
            }
            let mut slot = rung.head;
            while slot != NIL {
                let node = &self.nodes[slot as usize];
                if is_self_trade(order, node.owner) {
                    if order.self_trade != SelfTrade::ExpireMaker {
                        return false;
                    }
                } else {
                    found += node.qty;
                }
                if found >= order.qty {
                    return true;
                }
                slot = node.next;
            }
        }
        false
    }

    /// Trades what reaches; true when self-trade prevention ended the order.
    fn take(&mut self, order: &Incoming, rest: &mut Qty, report: &mut Report) -> bool {
        let makers = order.side.opposite();
        let mut prevented = false;
        while *rest > Qty::ZERO && !prevented {
            let Some(rung) = self.sides[makers.index()].last().copied() else { break };
            if !reaches(order.side, order.px, rung.px) {
                break;
            }
            let mut slot = rung.head;
            let mut left = rung.qty;
            let mut crowd = rung.crowd;
            while slot != NIL && *rest > Qty::ZERO && !prevented {
                let node = self.nodes[slot as usize];
                let (off_maker, off_taker, traded) = meet(order, &node, *rest, &mut prevented);
                *rest -= off_taker;
                left -= off_maker;
                if node.owner == Owner::POPULATION {
                    crowd -= off_maker;
                }
                let maker_rest = node.qty - off_maker;
                report.matches.push(Match {
                    maker_id: node.id,
                    maker: node.owner,
                    px: node.px,
                    qty: off_maker,
                    maker_rest,
                    traded,
                    taker_prevented: if traded { Qty::ZERO } else { off_taker },
                });
                self.nodes[slot as usize].qty = maker_rest;
                if maker_rest.is_zero() {
                    self.free.push(slot);
                    slot = node.next;
                }
            }
            if left < rung.qty {
                report.levels.push(LevelChange { side: makers, px: rung.px, qty: left });
            }
            if slot == NIL {
                self.sides[makers.index()].pop();
            } else {
                self.nodes[slot as usize].prev = NIL;
                let last = self.sides[makers.index()].len() - 1;
                self.sides[makers.index()][last] = Rung { qty: left, crowd, head: slot, ..rung };
            }
        }
        prevented
    }

    fn rest(&mut self, order: &Incoming, qty: Qty, report: &mut Report) -> Handle {
        let mut node = Node {
            id: order.id,
            px: order.px,
            qty,
            owner: order.owner,
            side: order.side,
            prev: NIL,
            next: NIL,
        };
        let crowd = if order.owner == Owner::POPULATION { qty } else { Qty::ZERO };
        let slot = self.free.last().copied().unwrap_or_else(|| {
            u32::try_from(self.nodes.len()).expect("fewer than 2^32 orders rest at once")
        });
        let total = match self.position(order.side, order.px) {
            Ok(index) => {
                let rung = &mut self.sides[order.side.index()][index];
                node.prev = rung.tail;
                self.nodes[rung.tail as usize].next = slot;
                rung.tail = slot;
                rung.qty += qty;
                rung.crowd += crowd;
                rung.qty
            }
            Err(index) => {
                let rung = Rung { px: order.px, qty, crowd, head: slot, tail: slot };
                self.sides[order.side.index()].insert(index, rung);
                qty
            }
        };
        if self.free.pop().is_some() {
            self.nodes[slot as usize] = node;
        } else {
            self.nodes.push(node);
        }
        report.levels.push(LevelChange { side: order.side, px: order.px, qty: total });
        Handle { slot, id: order.id }
    }

    /// Takes `by` off a resting order and unlinks it when nothing is left.
    fn lower(&mut self, slot: u32, by: Qty, report: &mut Report) {
        let node = self.nodes[slot as usize];
        let index = self.find(node.side, node.px).expect("a resting order's level is in the book");
        let rung = &mut self.sides[node.side.index()][index];
        rung.qty -= by;
        if node.owner == Owner::POPULATION {
            rung.crowd -= by;
        }
        report.levels.push(LevelChange { side: node.side, px: node.px, qty: rung.qty });
        self.nodes[slot as usize].qty -= by;
        if by < node.qty {
            return;
        }
        if node.prev == NIL {
            rung.head = node.next;
        } else {
            self.nodes[node.prev as usize].next = node.next;
        }
        if node.next == NIL {
            rung.tail = node.prev;
        } else {
            self.nodes[node.next as usize].prev = node.prev;
        }
        if rung.head == NIL {
            self.sides[node.side.index()].remove(index);
        }
        self.free.push(slot);
    }
}

/// True when a taker with that limit reaches a maker at that price.
fn reaches(taker: Side, limit: Px, maker: Px) -> bool {
    (limit.0 - maker.0) * taker.sign() >= 0
}

fn is_self_trade(order: &Incoming, maker: Owner) -> bool {
    order.self_trade != SelfTrade::None && order.owner == maker && maker != Owner::POPULATION
}

/// What comes off the maker, off the taker, and whether it traded.
fn meet(order: &Incoming, maker: &Node, rest: Qty, prevented: &mut bool) -> (Qty, Qty, bool) {
    let both = rest.min(maker.qty);
    if !is_self_trade(order, maker.owner) {
        return (both, both, true);
    }
    match order.self_trade {
        SelfTrade::ExpireMaker => (maker.qty, Qty::ZERO, false),
        SelfTrade::ExpireTaker => {
            *prevented = true;
            (Qty::ZERO, rest, false)
        }
        SelfTrade::ExpireBoth => {
            *prevented = true;
            (maker.qty, rest, false)
        }
        SelfTrade::Decrement | SelfTrade::None => {
            *prevented = both == rest;
            (both, both, false)
        }
    }
}

/// Several steps at one level are one change of it.
fn coalesce(report: &mut Report, side: Side, px: Px) {
    while let [.., before, last] = report.levels[..] {
        if (before.side, before.px) != (side, px) || (last.side, last.px) != (side, px) {
            return;
        }
        report.levels.remove(report.levels.len() - 2);
    }
}

/// FNV-1a over resting orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(pub(crate) u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Adds an order.
    pub(crate) fn order(&mut self, side: Side, px: Px, id: u64, qty: Qty) {
        for word in [side.index() as u64, px.0 as u64, id, qty.0 as u64] {
            for byte in word.to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same rules over a plain list in arrival order.
    #[derive(Default)]
    struct Twin(Vec<(u64, Owner, Side, Px, Qty)>);

    impl Twin {
        fn best(&self, side: Side) -> Option<usize> {
            let fits = |i: &usize| self.0[*i].2 == side;
            // The earliest of the best: strictly better replaces.
            (0..self.0.len()).filter(fits).reduce(|best, i| {
                let better = (self.0[i].3.0 - self.0[best].3.0) * side.sign() > 0;
                if better { i } else { best }
            })
        }

        fn reach(&self, order: &Incoming) -> Option<usize> {
            let best = self.best(order.side.opposite())?;
            reaches(order.side, order.px, self.0[best].3).then_some(best)
        }

        fn submit(&mut self, order: &Incoming) -> Vec<(u64, Qty)> {
            let mut traded = Vec::new();
            if order.tif == TimeInForce::PostOnly && self.reach(order).is_some() {
                return traded;
            }
            if order.tif == TimeInForce::Fok {
                let mut trial = Twin(self.0.clone());
                let ioc = Incoming { tif: TimeInForce::Ioc, ..*order };
                let sum: Qty = trial.submit(&ioc).into_iter().map(|(_, q)| q).sum();
                if sum < order.qty {
                    return traded;
                }
            }
            let mut rest = order.qty;
            while let Some(i) = self.reach(order).filter(|_| rest > Qty::ZERO) {
                let (id, owner, _, _, qty) = self.0[i];
                let both = qty.min(rest);
                let own = owner == order.owner && owner != Owner::POPULATION;
                match order.self_trade {
                    SelfTrade::ExpireTaker if own => return traded,
                    SelfTrade::ExpireMaker if own => {
                        self.0.remove(i);
                        continue;
                    }
                    SelfTrade::ExpireBoth if own => {
                        self.0.remove(i);
                        return traded;
                    }
                    SelfTrade::Decrement if own => {}
                    _ => traded.push((id, both)),
                }
                rest -= both;
                self.0[i].4 -= both;
                if self.0[i].4.is_zero() {
                    self.0.remove(i);
                }
            }
            if rest > Qty::ZERO && matches!(order.tif, TimeInForce::Gtc | TimeInForce::PostOnly) {
                self.0.push((order.id, order.owner, order.side, order.px, rest));
            }
            traded
        }

        fn state_hash(&self) -> u64 {
            let mut hash = Digest::default();
            for side in Side::BOTH {
                let mut list: Vec<_> = self.0.iter().filter(|o| o.2 == side).collect();
                list.sort_by_key(|o| -o.3.0 * side.sign());
                for (id, _, _, px, qty) in list {
                    hash.order(side, *px, *id, *qty);
                }
            }
            hash.0
        }
    }

    fn order() -> impl Strategy<Value = (u32, bool, i64, i64, TimeInForce, SelfTrade)> {
        use SelfTrade::{Decrement, ExpireBoth, ExpireMaker, ExpireTaker, None};
        use TimeInForce::{Fok, Gtc, Ioc, PostOnly};
        let tif = prop::sample::select(vec![Gtc, Gtc, Gtc, Ioc, Fok, PostOnly]);
        let own = prop::sample::select(vec![None, ExpireTaker, ExpireMaker, ExpireBoth, Decrement]);
        (0..4_u32, any::<bool>(), 95..105_i64, 1..20_i64, tif, own)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn agrees_with_its_twin(
            tape in prop::collection::vec((order(), 0..10_u8, any::<prop::sample::Index>()), 1..300)
        ) {
            let (mut matcher, mut twin) = (Matcher::new(), Twin::default());
            let mut handles: Vec<(u64, Handle)> = Vec::new();
            let mut report = Report::default();
            for (n, ((owner, buys, px, qty, tif, self_trade), what, pick)) in
                tape.into_iter().enumerate()
            {
                report.clear();
                let known = (!handles.is_empty()).then(|| handles[pick.index(handles.len())]);
                match (what, known) {
                    (0..2, Some((id, handle))) => {
                        let gone = matcher.cancel(handle, &mut report).is_some();
                        let before = twin.0.len();
                        twin.0.retain(|o| o.0 != id);
                        prop_assert_eq!(gone, twin.0.len() < before);
                    }
                    (2, Some((id, handle))) => {
                        let done = matcher.reduce(handle, Qty(qty), &mut report);
                        let place = twin.0.iter_mut().find(|o| o.0 == id && o.4 > Qty(qty));
                        prop_assert_eq!(done, place.is_some());
                        if let Some(place) = place {
                            place.4 -= Qty(qty);
                        }
                    }
                    _ => {
                        let side = if buys { Side::Buy } else { Side::Sell };
                        let id = n as u64 + 1;
                        let order = Incoming {
                            id,
                            owner: Owner(owner),
                            side,
                            px: Px(px),
                            qty: Qty(qty),
                            tif,
                            self_trade,
                        };
                        let outcome = matcher.submit(order, &mut report);
                        let traded: Vec<_> = report
                            .matches
                            .iter()
                            .filter(|m| m.traded)
                            .map(|m| (m.maker_id, m.qty))
                            .collect();
                        prop_assert_eq!(traded, twin.submit(&order));
                        if let End::Rests(handle) = outcome.end {
                            handles.push((id, handle));
                        }
                    }
                }
                prop_assert_eq!(matcher.state_hash(), twin.state_hash());
                for side in Side::BOTH {
                    for level in matcher.levels(side) {
                        let sum: Qty = twin.0.iter()
                            .filter(|o| o.2 == side && o.3 == level.px)
                            .map(|o| o.4)
                            .sum();
                        prop_assert_eq!(level.qty, sum);
                        let crowd: Qty = twin.0.iter()
                            .filter(|o| o.2 == side && o.3 == level.px && o.1 == Owner::POPULATION)
                            .map(|o| o.4)
                            .sum();
                        prop_assert_eq!(matcher.crowd_at(side, level.px), crowd);
                    }
                }
            }
        }
    }

    #[test]
    fn cancels_of_the_crowd_come_from_behind_us_first() {
        let (mut matcher, mut report) = (Matcher::new(), Report::default());
        let order = |id, owner, qty| Incoming {
            id,
            owner: Owner(owner),
            side: Side::Buy,
            px: Px(100),
            qty: Qty(qty),
            tif: TimeInForce::Gtc,
            self_trade: SelfTrade::None,
        };
        for incoming in [order(1, 0, 10), order(2, 1, 5), order(3, 0, 10)] {
            matcher.submit(incoming, &mut report);
        }
        report.clear();
        matcher.shrink_crowd(Side::Buy, Px(100), Qty(12), &mut report);
        let change = LevelChange { side: Side::Buy, px: Px(100), qty: Qty(13) };
        assert_eq!(report.levels, [change], "one change of the level");
        report.clear();
        let taker = Incoming { side: Side::Sell, ..order(4, 2, 9) };
        matcher.submit(taker, &mut report);
        let met: Vec<_> = report.matches.iter().map(|m| (m.maker_id, m.qty.0)).collect();
        assert_eq!(met, [(1, 8), (2, 1)]);
    }
}
