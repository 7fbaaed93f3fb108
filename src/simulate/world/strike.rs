//! What does each fault do to the world?

use std::sync::Arc;

use super::network::SILENT;
use super::{Ailment, World};
use crate::domain::{Control, Money, Px, Qty, Side, Span};
use crate::sim::faces::faults::{FaultKind, FaultRule, VenueKind};
use crate::sim::faces::streams::ConnId;
use crate::sim::toy::instrument;
use crate::sim::{Command, MarketId, OrderKey, Place, SelfTrade, Terms, TimeInForce};
use crate::simulate::cells::Kind;
use crate::simulate::plan::Fault;
use crate::simulate::watch::{OURS, WHALE};

impl World {
    /// The fault strikes now.
    pub(super) fn strike(&mut self, fault: &Fault) {
        let now = self.client_now();
        self.watch.say(now, || format!("fault: {fault:?}"));
        let lasts = fault.lasts;
        let slow =
            FaultKind::LatencyMs { add: [50, 700, 4_000][fault.size.unsigned_abs() as usize % 3] };
        match fault.kind {
            Kind::UserMute => self.exchange_fault(fault, FaultKind::DropUserStream),
            Kind::MarketMute => self.exchange_fault(fault, FaultKind::MuteMarket),
            Kind::LinksCut => self.exchange_fault(fault, FaultKind::CloseLinks),
            Kind::Gap => self.exchange_fault(fault, FaultKind::Gap),
            Kind::UnknownFate => self.exchange_fault(fault, FaultKind::UnknownAfterAccept),
            Kind::NoAnswer => self.exchange_fault(fault, FaultKind::HttpTimeout),
            Kind::Throttled => self.exchange_fault(fault, FaultKind::Http429),
            Kind::WebPage => self.exchange_fault(fault, FaultKind::HtmlReply),
            Kind::SlowReplies => self.exchange_fault(fault, slow),
            Kind::Halt => {
                self.exchange_fault(fault, FaultKind::HaltSymbol { symbol: "BTCUSDT".to_owned() });
            }
            Kind::Filters => self.change_filters(fault),
            Kind::Cut | Kind::Hang => self.break_link(fault),
            Kind::Down => {
                self.ail(fault);
                let conns: Vec<ConnId> = self.conns_of(fault.venue);
                conns.into_iter().for_each(|conn| self.cut(conn));
            }
            Kind::Banned
            | Kind::LostRequests
            | Kind::LostReplies
            | Kind::Refused
            | Kind::Slow
            | Kind::LateRequests
            | Kind::Twice
            | Kind::FramesTwice
            | Kind::Blind => self.ail(fault),
            Kind::ClockStep => {
                self.skew = Span::from_ms(self.dice.within(-800, 801));
            }
            Kind::Freeze => {
                self.frozen_since = Some(self.now);
                self.ready_at = self.ready_at.max(self.now + lasts);
            }
            Kind::Crash => self.crash(lasts),
            Kind::JournalFails => {
                self.watch.journal_failed = true;
                self.tell(Control::Fault { text: "journal: the disk is full".to_owned() });
            }
            Kind::ForeignOrder => self.foreign_order(fault),
            Kind::Pause => {
                self.watch.told[1] |= self.process.is_some();
                self.tell(Control::Pause);
            }
            Kind::Kill => self.kill(fault.size % 2 == 0),
        }
        let aftermath = if fault.kind == Kind::Hang { SILENT } else { lasts };
        // A request that was lost is only missed, and cancelled again, after its time-out.
        self.unwell_until = self.unwell_until.max(self.now + aftermath + Span::from_s(16));
    }

    fn ail(&mut self, fault: &Fault) {
        let Fault { venue, kind, size, lasts, .. } = *fault;
        self.ailments.push(Ailment { venue, kind, size, until: self.now + lasts });
    }

    fn exchange_fault(&mut self, fault: &Fault, kind: FaultKind) {
        // A single occasion in half of the cases, for those that can be single.
        let single = matches!(kind, FaultKind::CloseLinks | FaultKind::Gap)
            || (fault.size < 50
                && matches!(
                    kind,
                    FaultKind::UnknownAfterAccept
                        | FaultKind::HttpTimeout
                        | FaultKind::Http429
                        | FaultKind::HtmlReply
                ));
        let for_ms = (!single).then(|| fault.lasts.ms());
        let rule = FaultRule { kind, at_ms: 0, every_ms: None, for_ms, venue: Some(fault.venue) };
        self.exchange.add_fault(self.now, rule);
        self.exchange.advance(self.now, &mut self.out);
        self.flush();
    }

    /// The venue asks for larger orders than before, and changes its mind later.
    fn change_filters(&mut self, fault: &Fault) {
        let market = market_of(fault.venue);
        let mut limits = instrument(kind_of(fault.venue));
        limits.min_notional += Money::from(fault.size * 3);
        limits.max_open_orders = 50;
        self.exchange.set_limits(market, &limits);
        let back = self.now + fault.lasts;
        self.limits_back = Some(self.limits_back.map_or(back, |at| at.max(back)));
    }

    /// Puts the filters back when their time has come.
    pub(super) fn restore_filters(&mut self) {
        if self.limits_back.is_none_or(|at| at > self.now) {
            return;
        }
        self.limits_back = None;
        for venue in [VenueKind::Spot, VenueKind::Usdm] {
            self.exchange.set_limits(market_of(venue), &instrument(kind_of(venue)));
        }
    }

    fn conns_of(&self, kind: VenueKind) -> Vec<ConnId> {
        let here = |venue: usize| self.kinds[venue] == kind;
        self.conns.iter().filter(|(_, conn)| here(conn.venue)).map(|(id, _)| *id).collect()
    }

    fn break_link(&mut self, fault: &Fault) {
        let open: Vec<ConnId> =
            self.conns.iter().filter(|(_, conn)| conn.open).map(|(id, _)| *id).collect();
        if open.is_empty() {
            return;
        }
        let conn = open[fault.size.unsigned_abs() as usize % open.len()];
        if fault.kind == Kind::Cut {
            self.cut(conn);
        } else if let Some(entry) = self.conns.get_mut(&conn) {
            entry.hung = true;
        }
    }

    /// The operator kills; every order must be gone soon.
    pub(super) fn kill(&mut self, flatten: bool) {
        if self.process.is_some() {
            self.tell(Control::Kill { flatten });
            self.watch.told[0] = true;
            self.killed_at.get_or_insert(self.now);
        }
    }

    pub(super) fn crash(&mut self, down: Span) {
        let Some(process) = &self.process else { return };
        if let Some(text) = process.tear(&mut self.dice) {
            self.watch.problem(self.now, "I3", text);
        }
        self.watch.count("restart");
        if self.own_open_orders() > 0 {
            self.watch.count("restart with leftovers");
        }
        self.disk.crash(&mut self.dice);
        self.bury();
        self.start_at = self.now + down;
    }

    /// Somebody takes the book up to our outermost order of a side, that one but for its
    /// `part`-th (0: wholly), if it is the last of its level.
    pub(super) fn sweep(&mut self, part: i64) {
        let exchange = self.exchange.exchange();
        let mut place = None;
        for bounds in &self.watch.bounds {
            let open = exchange.open_orders(OURS, bounds.market);
            let ours = open.iter().filter(|order| self.watch.own(order).is_some());
            let Some(last) = ours.max_by_key(|order| order.order_id) else { continue };
            let (side, Some(px)) = (last.side, last.px()) else { continue };
            let outermost = open
                .iter()
                .filter(|order| order.side == side && part == 0 && self.watch.own(order).is_some())
                .filter_map(crate::sim::OrderRecord::px)
                .min_by_key(|other| side.sign() * other.0);
            let px = outermost.unwrap_or(px);
            let Some(depth) = exchange.depth(bounds.market, 1_000) else { continue };
            let levels = if side == Side::Buy { depth.bids } else { depth.asks };
            let reached = levels.iter().filter(|level| side.sign() * (level.px.0 - px.0) >= 0);
            let all: Qty = reached.map(|level| level.qty).sum();
            let spared = if part == 0 { 0 } else { last.open_qty().0 / part };
            let terms = Terms::Limit { px, qty: Qty(all.0 - spared), tif: TimeInForce::Ioc };
            place = Some((bounds.market, side.opposite(), terms));
            break;
        }
        let Some((market, side, terms)) = place else { return };
        self.sent += 1;
        let place = Place {
            market,
            client_id: Arc::from(format!("whale_{}", self.sent)),
            side,
            terms,
            reduce_only: false,
            self_trade: SelfTrade::None,
        };
        let swept = self.exchange.submit(self.now, WHALE, &Command::Place(place), &mut self.out);
        if swept.is_ok() {
            self.watch.count("book swept");
        }
        self.flush();
    }

    /// Somebody else's order rests far from the market, on either side.
    fn foreign_order(&mut self, fault: &Fault) {
        let market = market_of(fault.venue);
        let exchange = self.exchange.exchange();
        let Some(best) = exchange.book_ticker(market) else { return };
        let (Some(bid), Some(ask)) = (best.bid, best.ask) else { return };
        let far = bid.px.0 / 100;
        let buys = fault.size % 2 == 0;
        let spot = fault.venue == VenueKind::Spot;
        self.sent += 1;
        let place = Place {
            market,
            client_id: Arc::from(format!("web_{}", self.sent)),
            side: if buys { Side::Buy } else { Side::Sell },
            terms: Terms::Limit {
                px: Px(if buys { bid.px.0 - far } else { ask.px.0 + far }),
                qty: Qty(if spot { 100 } else { 1 }),
                tif: TimeInForce::Gtc,
            },
            reduce_only: false,
            self_trade: SelfTrade::ExpireMaker,
        };
        let key = OrderKey::Client(Arc::clone(&place.client_id));
        let placed = self.exchange.submit(self.now, OURS, &Command::Place(place), &mut self.out);
        if placed.is_ok() {
            self.foreign.push((market, key));
            self.watch.count("foreign order");
        }
        self.flush();
    }
}

fn market_of(venue: VenueKind) -> MarketId {
    MarketId(u16::from(venue == VenueKind::Usdm))
}

fn kind_of(venue: VenueKind) -> crate::domain::InstrumentKind {
    match venue {
        VenueKind::Spot => crate::domain::InstrumentKind::Spot,
        VenueKind::Usdm => crate::domain::InstrumentKind::LinearPerpetual,
    }
}
