//! Where could a hedge go now, what would it cost there, and how far may exposure drift?

use rust_decimal::prelude::ToPrimitive;

use super::Engine;
use super::desk::Desk;
use super::hedging::Group;
use crate::domain::{Action, InstrumentId, Money, Note, Px, Qty, Side, Span};
use crate::inventory::HedgeParams;
use crate::inventory::hedge::{Pool, hedge_band, route, unhedged_std};
use crate::quoting::{Model, RiskAversion};

/// Fee reckoned with until the venue has told its own: a retail taker's.
const ASSUMED_TAKER_FEE: f64 = 0.001;
/// Levels of one book that a hedge looks at.
const LEVELS_SEEN: usize = 50;
/// A band that has moved by less is not told again.
const BAND_TOLD: f64 = 0.1;

/// A healthy hedge instrument, seen from the side that a hedge would take.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    pub(super) id: InstrumentId,
    /// Best price that a hedge would take.
    pub(super) best: Px,
    /// The mid in half ticks: what a hedge is measured against.
    pub(super) mid_half_ticks: i64,
    /// Smallest and largest order that could leave.
    pub(super) least: Qty,
    pub(super) most: Qty,
    /// The book, in shares of its own mid: instruments of one asset on different venues cannot be
    /// delivered against each other, so that a higher price there is no gain here.
    pub(super) pool: Pool,
}

/// How far exposure may drift before a hedge is cheaper, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    pub(super) base: f64,
    /// What taking costs now: fee, half the spread and the walk of the book, less funding.
    pub(super) cost_bps: f64,
    pub(super) skew_bps_per_base: f64,
    pub(super) std_base: f64,
}

impl Engine {
    /// The hedge instruments of a group that could take an order of that side now.
    pub(super) fn outlets(&self, group: &Group, side: Side, params: &HedgeParams) -> Vec<Outlet> {
        let healthy = group.hedges.iter().filter(|&&id| self.may_trade(id));
        healthy.filter_map(|&id| self.outlet(&self.desks[id.index()], side, params)).collect()
    }

    fn outlet(&self, desk: &Desk, side: Side, params: &HedgeParams) -> Option<Outlet> {
        let instrument = desk.listed.as_ref()?;
        let touch = desk.book.touch().filter(|touch| !touch.is_crossed())?;
        let best = if side == Side::Buy { touch.ask.px } else { touch.bid.px };
        let worst = params.worst_px(instrument, best, side)?;
        let carry = 1.0 + self.carry(desk, params.horizon);
        let mid = touch.mid_ticks();
        let within = |px: Px| side.sign() * (worst.0 - px.0) >= 0;
        let levels = desk.book.levels(side.opposite()).take_while(|level| within(level.px));
        let exposed = self.orders.exposed(desk.id);
        let same_side = if side == Side::Buy { exposed.buys } else { exposed.sells };
        let position =
            Money::from(side.sign()) * desk.off_target_base() + instrument.quantity(same_side);
        let limits = &desk.params.limits;
        let room = limits.max_order_base.min(limits.inventory_limit_base - position);
        Some(Outlet {
            id: desk.id,
            best,
            mid_half_ticks: touch.mid_half_ticks(),
            least: instrument.least_qty(worst).max(Qty(1)),
            most: instrument.lots_within(room.max(Money::ZERO)).min(instrument.max_qty),
            pool: Pool {
                levels: levels
                    .take(LEVELS_SEEN)
                    .map(|level| {
                        let share = level.px.0 as f64 / mid * carry;
                        (share, instrument.quantity_f64(level.qty))
                    })
                    .collect(),
                taker_fee: desk
                    .fees
                    .and_then(|(_, taker)| taker.to_f64())
                    .unwrap_or(ASSUMED_TAKER_FEE),
                lot: instrument.lot_f64(),
            },
        })
    }

    /// Funding that a long pays over the horizon, as a share of the price; nothing for spot, and
    /// nothing while no fresh rate is known.
    fn carry(&self, desk: &Desk, horizon: Span) -> f64 {
        let marked_at = self.marked_at[desk.id.index()];
        let fresh = self.now.since(marked_at) <= self.params.reference.max_age;
        if fresh { desk.funding_per_s() * horizon.seconds() } else { 0.0 }
    }

    /// Reckons the band of a group anew; what cannot be known keeps the last one.
    pub(super) fn renew_band(
        &mut self,
        index: usize,
        side: Side,
        outlets: &[Outlet],
        out: &mut Vec<Action>,
    ) {
        let Some(band) = self.band(&self.groups[index], side, outlets) else { return };
        let group = &mut self.groups[index];
        let moved = group.told_band.is_none_or(|told| (band.base / told - 1.0).abs() > BAND_TOLD);
        group.band = Some(band);
        if moved {
            group.told_band = Some(band.base);
            out.push(Action::Note(Note::HedgeBand {
                base: group.base.clone(),
                band_base: band.base,
                cost_bps: band.cost_bps,
                skew_bps_per_base: band.skew_bps_per_base,
                std_base: band.std_base,
            }));
        }
    }

    /// The band by cost, skew and swing of inventory, in base; `None` while one is not known.
    fn band(&self, group: &Group, side: Side, outlets: &[Outlet]) -> Option<Band> {
        let quoted = group.members.iter().map(|id| &self.desks[id.index()]);
        let (desk, numbers) = quoted.filter_map(|desk| Some((desk, desk.numbers?))).next()?;
        let unit = self.params.quoting.levels.first()?.size.base(numbers.fair);
        let skew = numbers.skew_bps_per_base;
        let decay = desk.intensity.estimate().k_per_bps;
        let quoting = &self.params.quoting;
        let std_base = match quoting.risk_aversion {
            RiskAversion::InventoryStd(base) if quoting.model != Model::Fixed => base,
            // Fills come in quotes of one unit: the deviation in units, in base again.
            _ => unit * unhedged_std(decay, skew * unit),
        };
        let smallest = self.least_hedge_base(outlets)?.to_f64()?;
        let pools: Vec<Pool> = outlets.iter().map(|outlet| outlet.pool.clone()).collect();
        let price = route(side, unit.max(smallest), &pools).average_net_price()?;
        let cost_bps = ((price - 1.0) * side.sign() as f64 * 1e4).max(0.0);
        let base = hedge_band(cost_bps, skew, std_base)?;
        Some(Band { base, cost_bps, skew_bps_per_base: skew, std_base })
    }

    /// The smallest hedge that any of the outlets would take, in base.
    pub(super) fn least_hedge_base(&self, outlets: &[Outlet]) -> Option<Money> {
        let least = |outlet: &Outlet| {
            let instrument = self.desks[outlet.id.index()].listed.as_ref()?;
            Some(instrument.quantity(outlet.least))
        };
        outlets.iter().filter_map(least).min()
    }

    /// Spreads a hedge over outlets, cheapest level first. A part too small for its venue goes
    /// elsewhere; what no known depth covers goes where most of it goes, because its limit price
    /// caps what it can cost.
    pub(super) fn allocate(
        &self,
        base: Money,
        side: Side,
        outlets: &[Outlet],
    ) -> Vec<(Outlet, Qty)> {
        let mut outlets = outlets.to_vec();
        let quantity = base.to_f64().unwrap_or(0.0);
        while !outlets.is_empty() {
            let pools: Vec<Pool> = outlets.iter().map(|outlet| outlet.pool.clone()).collect();
            let plan = route(side, quantity, &pools);
            let mut lots: Vec<Qty> = plan.lots.into_iter().map(Qty).collect();
            self.fill_up(base, &outlets, &mut lots);
            let small = |at: &usize| lots[*at] > Qty::ZERO && lots[*at] < outlets[*at].least;
            let smallest = (0..outlets.len()).filter(small).min_by_key(|&at| lots[at]);
            match smallest {
                Some(at) => drop(outlets.remove(at)),
                None => {
                    let placed = outlets.into_iter().zip(lots);
                    return placed.filter(|(_, qty)| *qty > Qty::ZERO).collect();
                }
            }
        }
        Vec::new()
    }

    /// Cuts every part to what its outlet may take, and gives what is left to the outlet that has
    /// the most of it already and room for more.
    fn fill_up(&self, base: Money, outlets: &[Outlet], lots: &mut [Qty]) {
        let mut order: Vec<usize> = (0..outlets.len()).collect();
        order.sort_by_key(|&at| -lots[at].0);
        let mut left = base;
        for &at in &order {
            lots[at] = lots[at].min(outlets[at].most);
            left -= self.in_base(&outlets[at], lots[at]);
        }
        for at in order {
            let Some(instrument) = &self.desks[outlets[at].id.index()].listed else { continue };
            let more = instrument.lots_within(left).min(outlets[at].most - lots[at]);
            if more > Qty::ZERO {
                lots[at] += more;
                left -= instrument.quantity(more);
            }
        }
    }

    fn in_base(&self, outlet: &Outlet, qty: Qty) -> Money {
        let listed = self.desks[outlet.id.index()].listed.as_ref();
        listed.map_or(Money::ZERO, |instrument| instrument.quantity(qty))
    }
}
