//! What an owner has: balances per wallet, positions per perpetual. Exact, and blind to orders.

use std::collections::BTreeMap;

use rust_decimal::RoundingStrategy;

use crate::domain::{Asset, Instrument, InstrumentKind, Money, Px, Qty, Side, Ts};

use super::api::{MarketId, Wallet};

/// Decimals of amounts, as the venues keep them.
const AMOUNT_DECIMALS: u32 = 8;

/// An amount cut to the venues' precision, towards zero.
pub(crate) fn cut(amount: Money) -> Money {
    amount.round_dp_with_strategy(AMOUNT_DECIMALS, RoundingStrategy::ToZero)
}

/// Free and locked amount of an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pot {
    pub(crate) free: Money,
    pub(crate) locked: Money,
}

/// A position as cost, so that opening and closing conserve money to the last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) qty: Qty,
    /// What the position was bought for, in quote; below zero for a short.
    pub(crate) cost: Money,
    /// Fees since it was last flat.
    pub(crate) fees: Money,
    pub(crate) realized: Money,
    pub(crate) updated: Ts,
}

impl Position {
    /// Average entry price; zero when flat.
    pub(crate) fn entry_price(&self, instrument: &Instrument) -> Money {
        per_unit(self.cost, self.qty, instrument)
    }

    /// Profit at a price, in quote.
    pub(crate) fn unrealized(&self, instrument: &Instrument, price: Money) -> Money {
        price * instrument.quantity(self.qty) - self.cost
    }

    /// Entry price with the fees since it was last flat; zero when flat.
    pub(crate) fn break_even_price(&self, instrument: &Instrument) -> Money {
        per_unit(self.cost + self.fees, self.qty, instrument)
    }

    /// Adds a fill; the profit it realises.
    fn fill(&mut self, instrument: &Instrument, side: Side, px: Px, qty: Qty, now: Ts) -> Money {
        let change = qty.signed(side);
        let notional = instrument.notional(px, change);
        let closing = if self.qty.0.signum() * change.0.signum() < 0 {
            qty.0.min(self.qty.abs().0)
        } else {
            0
        };
        // The part that closes takes its share of the cost out; the part that opens adds its own.
        let share = if closing == 0 {
            Money::ZERO
        } else {
            cut(self.cost * Money::from(closing) / Money::from(self.qty.abs().0))
        };
        let closed_notional = instrument.notional(px, Qty(closing).signed(side));
        let realized = if closing == 0 { Money::ZERO } else { -closed_notional - share };
        self.qty += change;
        self.cost += notional - closed_notional - share;
        if self.qty.is_zero() || closing > 0 && closing < qty.0 {
            self.fees = Money::ZERO;
        }
        self.realized += realized;
        self.updated = now;
        realized
    }
}

fn per_unit(cost: Money, qty: Qty, instrument: &Instrument) -> Money {
    if qty.is_zero() { Money::ZERO } else { cost / instrument.quantity(qty) }
}

/// A fill from one owner's side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillTerms {
    pub(crate) side: Side,
    pub(crate) px: Px,
    pub(crate) qty: Qty,
    /// Fee rate.
    pub(crate) rate: Money,
    /// What the order had locked for this part (spot).
    pub(crate) unlocked: Money,
}

/// What a fill cost and earned.
#[derive(Clone, Debug)]
pub(crate) struct FillResult {
    pub(crate) fee: Money,
    pub(crate) fee_asset: Asset,
    pub(crate) realized: Money,
}

/// What one owner has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) pots: BTreeMap<(Wallet, Asset), Pot>,
    pub(crate) positions: BTreeMap<MarketId, Position>,
    /// Leverage chosen for a perpetual, where it is not the market's own.
    pub(crate) leverages: BTreeMap<MarketId, u32>,
}

impl Ledger {
    /// What is free of an asset.
    pub(crate) fn free(&self, wallet: Wallet, asset: &Asset) -> Money {
        self.pots.get(&(wallet, asset.clone())).map_or(Money::ZERO, |p| p.free)
    }

    pub(crate) fn pot(&mut self, wallet: Wallet, asset: &Asset) -> &mut Pot {
        self.pots.entry((wallet, asset.clone())).or_default()
    }

    /// The position in a market; flat when it never traded there.
    pub(crate) fn position(&self, market: MarketId) -> Position {
        self.positions.get(&market).copied().unwrap_or_default()
    }

    /// Moves a free amount under lock, or back when below zero.
    pub(crate) fn lock(&mut self, asset: &Asset, amount: Money) {
        let pot = self.pot(Wallet::Spot, asset);
        pot.free -= amount;
        pot.locked += amount;
    }

    /// Books a fill.
    pub(crate) fn fill(
        &mut self,
        market: MarketId,
        instrument: &Instrument,
        terms: FillTerms,
        now: Ts,
    ) -> FillResult {
        match instrument.kind {
            InstrumentKind::Spot => self.fill_spot(instrument, terms),
            InstrumentKind::LinearPerpetual => {
                let notional = instrument.notional(terms.px, terms.qty);
                let fee = cut(notional * terms.rate);
                let position = self.positions.entry(market).or_default();
                let realized = position.fill(instrument, terms.side, terms.px, terms.qty, now);
                position.fees += fee;
                if position.qty.is_zero() {
                    position.fees = Money::ZERO;
                }
                self.pot(Wallet::Usdm, &instrument.quote).free += realized - fee;
                FillResult { fee, fee_asset: instrument.quote.clone(), realized }
            }
        }
    }

    fn fill_spot(&mut self, instrument: &Instrument, terms: FillTerms) -> FillResult {
        let quantity = instrument.quantity(terms.qty);
        let notional = instrument.notional(terms.px, terms.qty);
        let (given, given_amount, received, received_amount) = match terms.side {
            Side::Buy => (&instrument.quote, notional, &instrument.base, quantity),
            Side::Sell => (&instrument.base, quantity, &instrument.quote, notional),
        };
        let fee = cut(received_amount * terms.rate);
        let pot = self.pot(Wallet::Spot, given);
        pot.locked -= terms.unlocked;
        pot.free += terms.unlocked - given_amount;
        self.pot(Wallet::Spot, received).free += received_amount - fee;
        FillResult { fee, fee_asset: received.clone(), realized: Money::ZERO }
    }
}
