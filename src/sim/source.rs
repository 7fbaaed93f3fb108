//! Carries out what populations and recordings intend.

use std::collections::BTreeMap;

use crate::domain::{Px, Qty, Side, Ts};

use super::api::{Happening, MarketId, SelfTrade, Source, TimeInForce};
use super::exchange::{Exchange, Market};
use super::flow::Flow;
use super::matcher::{Incoming, Matcher, Owner};
use super::settle::Touched;
use super::tape::Tape;

/// Something that acts in markets by itself.
#[derive(Debug)]
pub(crate) enum Crowd {
    /// Synthetic markets of one base asset.
    Flow(Box<Flow>),
    /// One recorded market.
    Tape(MarketId, Box<Tape>),
    /// At work right now; never seen between steps.
    Busy,
}

impl Crowd {
    /// When it next acts.
    pub(crate) fn due(&self) -> Ts {
        match self {
            Crowd::Flow(flow) => flow.due(),
            Crowd::Tape(_, tape) => tape.due(),
            Crowd::Busy => Ts::FAR,
        }
    }
}

/// What a crowd does in one market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// The crowd's total at a level is to be this; more of it joins at the end of the queue and
    /// trades if it reaches the other side, less of it leaves from the end.
    Level { side: Side, px: Px, qty: Qty },
    /// The crowd takes up to a price.
    Take { side: Side, px: Px, qty: Qty },
    /// A recorded trade: the taker's side, price and quantity. `late` when the book already shows
    /// what it did to the crowd's orders.
    Print { side: Side, px: Px, qty: Qty, late: bool },
    /// The recording is over.
    End,
    /// Nothing trades any more.
    Halt,
}

/// The crowds of the markets: one per recording, one per base asset of synthetic markets.
pub(crate) fn crowds(sources: Vec<Source>, markets: &[Market], seed: u64, now: Ts) -> Vec<Crowd> {
    let mut crowds = Vec::new();
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (index, source) in sources.into_iter().enumerate() {
        let id = MarketId(u16::try_from(index).expect("fewer than 2^16 markets"));
        let instrument = &markets[index].instrument;
        match source {
            Source::Quiet => {}
            Source::Synthetic(params) => {
                let group = groups.entry(instrument.base.as_str().to_owned()).or_default();
                group.push((id, instrument.clone(), params));
            }
            Source::Tape(mut tape) => {
                tape.start(instrument, now);
                crowds.push(Crowd::Tape(id, tape));
            }
        }
    }
    for (number, group) in groups.into_values().enumerate() {
        let seed = seed.wrapping_add((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        crowds.push(Crowd::Flow(Box::new(Flow::new(group, seed, now))));
    }
    crowds
}

impl Exchange {
    /// Lets every crowd that is due act.
    pub(crate) fn step_crowds(&mut self, due: Ts, out: &mut Vec<Happening>) {
        let mut intents: Vec<(MarketId, Intent)> = Vec::new();
        for index in 0..self.crowds.len() {
            if self.crowds[index].due() > due {
                continue;
            }
            let mut crowd = std::mem::replace(&mut self.crowds[index], Crowd::Busy);
            match &mut crowd {
                Crowd::Flow(flow) => {
                    let markets = &self.markets;
                    let book = |id: MarketId| -> &Matcher { &markets[usize::from(id.0)].book };
                    flow.step(due, &book, &mut intents);
                }
                Crowd::Tape(id, tape) => {
                    tape.step(due, &self.markets[usize::from(id.0)].book, &mut |intent| {
                        intents.push((*id, intent));
                    });
                }
                Crowd::Busy => {}
            }
            self.crowds[index] = crowd;
            let mut touched = Touched::default();
            for (market, intent) in intents.drain(..) {
                self.carry_out(market, intent, &mut touched, out);
            }
            self.flush(touched, out);
        }
    }

    fn carry_out(
        &mut self,
        market: MarketId,
        intent: Intent,
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) {
        match intent {
            Intent::Level { side, px, qty } => {
                let now = self.markets[usize::from(market.0)].book.crowd_at(side, px);
                if now > qty {
                    self.with_report(market, out, |book, report| {
                        book.shrink_crowd(side, px, now - qty, report);
                    });
                } else if qty > now {
                    self.make_way(market, side, px, out);
                    let order = self.crowd_order(side, px, qty - now, TimeInForce::Gtc);
                    self.execute(market, order, touched, out);
                }
            }
            Intent::Take { side, px, qty } => {
                if qty > Qty::ZERO {
                    let order = self.crowd_order(side, px, qty, TimeInForce::Ioc);
                    self.execute(market, order, touched, out);
                }
            }
            Intent::Print { side, px, qty, late } => {
                self.recorded_trade(market, (side, px, qty, late), touched, out);
            }
            Intent::End => out.push(Happening::TapeEnded { market, at: self.now }),
            Intent::Halt => self.markets[usize::from(market.0)].halted = true,
        }
    }

    /// Crowds quote one market together: what they place never trades with what they left behind,
    /// which leaves first.
    fn make_way(&mut self, market: MarketId, side: Side, px: Px, out: &mut Vec<Happening>) {
        let reached = |level: Px| (px.0 - level.0) * side.sign() >= 0;
        let other = side.opposite();
        let book = &self.markets[usize::from(market.0)].book;
        let stale: Vec<_> = book.crowd_levels(other).take_while(|l| reached(l.px)).collect();
        for level in stale {
            self.with_report(market, out, |book, report| {
                book.shrink_crowd(other, level.px, level.qty, report);
            });
        }
    }

    /// A trade at a price proves that nothing of the crowd is left in front of it; what is left of
    /// accounts there would have been hit first, at its own price; then the queue at the price in
    /// its order. What no order of an account got is printed as it was recorded.
    fn recorded_trade(
        &mut self,
        market: MarketId,
        (side, px, qty, late): (Side, Px, Qty, bool),
        touched: &mut Touched,
        out: &mut Vec<Happening>,
    ) {
        let makers = side.opposite();
        let better = |level: Px| (level.0 - px.0) * makers.sign() > 0;
        let book = &self.markets[usize::from(market.0)].book;
        let stale: Vec<_> = book.crowd_levels(makers).take_while(|l| better(l.px)).collect();
        for level in stale {
            self.with_report(market, out, |book, report| {
                book.shrink_crowd(makers, level.px, level.qty, report);
            });
        }
        let limit = if late { px.away(makers, -1) } else { px };
        let order = self.crowd_order(side, limit, qty, TimeInForce::Ioc);
        let mut report = std::mem::take(&mut self.report);
        report.clear();
        self.markets[usize::from(market.0)].book.submit(order, &mut report);
        let mut rest = qty;
        for meeting in report.matches.iter().filter(|m| m.maker != Owner::POPULATION) {
            rest -= meeting.qty;
            self.trade(market, &order, meeting, touched, out);
        }
        self.publish(market, &report, out);
        self.report = report;
        if rest > Qty::ZERO {
            self.print(market, side, px, rest, (0, 0), out);
        }
    }

    fn crowd_order(&mut self, side: Side, px: Px, qty: Qty, tif: TimeInForce) -> Incoming {
        self.last_order_id += 1;
        Incoming {
            id: self.last_order_id,
            owner: Owner::POPULATION,
            side,
            px,
            qty,
            tif,
            self_trade: SelfTrade::None,
        }
    }
}
