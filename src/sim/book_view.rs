//! Questions: books, orders, trades, balances, positions. Nothing here changes anything.

use crate::domain::{Asset, Instrument, InstrumentKind, Money, Qty, Side};

use super::api::{
    AccountId, BalanceRecord, BookTicker, DepthSnapshot, MarginRecord, MarkRecord, MarketId,
    OrderKey, OrderRecord, PositionRecord, Refusal, TradeRecord, Wallet,
};
use super::exchange::Exchange;
use super::source::Crowd;
use super::tape::TapeFaults;

impl Exchange {
    /// Scales and limits of a market.
    #[must_use]
    pub fn instrument(&self, market: MarketId) -> Option<&Instrument> {
        self.market(market).map(|m| &m.instrument)
    }

    /// Bounds of order prices relative to the reference price: (up, down).
    #[must_use]
    pub fn price_bounds(&self, market: MarketId) -> Option<(Money, Money)> {
        self.market(market).map(|m| (m.percent_up, m.percent_down))
    }

    /// Leverage of an account in a perpetual: what it chose, else the market's.
    #[must_use]
    pub fn leverage(&self, account: AccountId, market: MarketId) -> u32 {
        let own = self.accounts.get(account.0 as usize).and_then(|a| a.leverages.get(&market));
        own.copied().or_else(|| self.market(market).map(|m| m.leverage)).unwrap_or(1).max(1)
    }

    /// Chooses the leverage of an account in a perpetual; refused when its margin would no longer
    /// carry what it holds and has open.
    pub fn set_leverage(
        &mut self,
        account: AccountId,
        market: MarketId,
        leverage: u32,
    ) -> Result<(), Refusal> {
        let before = self.leverage(account, market);
        let Some(ledger) = self.accounts.get_mut(account.0 as usize) else {
            return Err(Refusal::InsufficientFunds);
        };
        ledger.leverages.insert(market, leverage.max(1));
        let margin = self.margin(account, None);
        let needed = margin.position_margin + margin.order_margin;
        if leverage < before && needed > margin.wallet + margin.unrealized_pnl {
            self.accounts[account.0 as usize].leverages.insert(market, before);
            return Err(Refusal::InsufficientFunds);
        }
        Ok(())
    }

    /// Changes whether a market takes orders; its book stays. False when there is no such market.
    pub fn set_trading(&mut self, market: MarketId, trading: bool) -> bool {
        let Some(spec) = self.markets.get_mut(usize::from(market.0)) else { return false };
        spec.instrument.trading = trading;
        true
    }

    /// Replaces a market's scales and limits, as a venue does at a filter change. Tick, lot, kind
    /// and assets stay as they were, because resting orders are counted in them.
    pub fn set_limits(&mut self, market: MarketId, limits: &Instrument) -> bool {
        let Some(spec) = self.markets.get_mut(usize::from(market.0)) else { return false };
        let old = &mut spec.instrument;
        (old.min_px, old.max_px) = (limits.min_px, limits.max_px);
        (old.min_qty, old.max_qty) = (limits.min_qty, limits.max_qty);
        old.min_notional = limits.min_notional;
        old.max_open_orders = limits.max_open_orders;
        true
    }

    /// What a market's recording contained that could not be used; `None` without a recording.
    #[must_use]
    pub fn tape_faults(&self, market: MarketId) -> Option<TapeFaults> {
        self.crowds.iter().find_map(|crowd| match crowd {
            Crowd::Tape(id, tape) if *id == market => Some(tape.faults()),
            Crowd::Tape(..) | Crowd::Flow(_) | Crowd::Busy => None,
        })
    }

    /// The best `limit` levels of both sides.
    #[must_use]
    pub fn depth(&self, market: MarketId, limit: usize) -> Option<DepthSnapshot> {
        let spec = self.market(market)?;
        let side = |side| spec.book.levels(side).take(limit).collect();
        Some(DepthSnapshot {
            last_update_id: spec.last_update,
            bids: side(Side::Buy),
            asks: side(Side::Sell),
        })
    }

    /// Best bid and ask.
    #[must_use]
    pub fn book_ticker(&self, market: MarketId) -> Option<BookTicker> {
        let spec = self.market(market)?;
        Some(BookTicker {
            update_id: spec.last_update,
            bid: spec.book.best(Side::Buy),
            ask: spec.book.best(Side::Sell),
        })
    }

    /// Mark price and funding; `None` for spot, and before the first price.
    #[must_use]
    pub fn mark(&self, market: MarketId) -> Option<MarkRecord> {
        let spec = self.market(market)?;
        let priced = spec.instrument.kind == InstrumentKind::LinearPerpetual
            && spec.mark_price > Money::ZERO;
        priced.then_some(MarkRecord {
            market,
            mark_price: spec.mark_price,
            index_price: spec.index_price,
            funding_rate: spec.funding_rate,
            next_funding: spec.next_funding,
        })
    }

    /// The account's open orders in a market, oldest first.
    #[must_use]
    pub fn open_orders(&self, account: AccountId, market: MarketId) -> Vec<OrderRecord> {
        let ids = self.open.get(&(account, market)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.orders.get(id)).map(|e| e.record.clone()).collect()
    }

    /// An order of the account, open or remembered.
    #[must_use]
    pub fn order(
        &self,
        account: AccountId,
        market: MarketId,
        key: &OrderKey,
    ) -> Option<&OrderRecord> {
        let id = match key {
            OrderKey::Id(id) => *id,
            OrderKey::Client(name) => {
                let wallet = Wallet::of(self.market(market)?.instrument.kind);
                *self.by_client.get(&(account, wallet, name.clone()))?
            }
        };
        let record = &self.orders.get(&id)?.record;
        (record.account == account && record.market == market).then_some(record)
    }

    /// The account's remembered orders in a market, open ones included, from an order id on.
    pub fn orders_from(
        &self,
        account: AccountId,
        market: MarketId,
        from: u64,
    ) -> impl Iterator<Item = &OrderRecord> + '_ {
        self.orders
            .range(from..)
            .map(|(_, e)| &e.record)
            .filter(move |r| r.account == account && r.market == market)
    }

    /// The account's remembered trades in a market, from a trade id on.
    pub fn trades(
        &self,
        account: AccountId,
        market: MarketId,
        from: u64,
    ) -> impl Iterator<Item = &TradeRecord> + '_ {
        self.trades
            .get(account.0 as usize)
            .into_iter()
            .flatten()
            .filter(move |t| t.market == market && t.trade_id >= from)
    }

    /// One balance; zero for an asset never held.
    #[must_use]
    pub fn balance(&self, account: AccountId, wallet: Wallet, asset: &Asset) -> BalanceRecord {
        let pot = self
            .accounts
            .get(account.0 as usize)
            .and_then(|ledger| ledger.pots.get(&(wallet, asset.clone())))
            .copied()
            .unwrap_or_default();
        BalanceRecord { asset: asset.clone(), free: pot.free, locked: pot.locked }
    }

    /// All balances of a wallet that were ever touched, by asset.
    #[must_use]
    pub fn balances(&self, account: AccountId, wallet: Wallet) -> Vec<BalanceRecord> {
        let Some(ledger) = self.accounts.get(account.0 as usize) else { return Vec::new() };
        ledger
            .pots
            .iter()
            .filter(|((of, _), _)| *of == wallet)
            .map(|((_, asset), pot)| BalanceRecord {
                asset: asset.clone(),
                free: pot.free,
                locked: pot.locked,
            })
            .collect()
    }

    /// The position in a perpetual, flat included; `None` for spot.
    #[must_use]
    pub fn position(&self, account: AccountId, market: MarketId) -> Option<PositionRecord> {
        let spec = self.market(market)?;
        if spec.instrument.kind == InstrumentKind::Spot {
            return None;
        }
        let position = self.accounts.get(account.0 as usize)?.position(market);
        let mark_price = spec.reference_price().unwrap_or_default();
        let notional = mark_price * spec.instrument.quantity(position.qty.abs());
        let leverage = self.leverage(account, market);
        Some(PositionRecord {
            market,
            qty: position.qty,
            entry_price: position.entry_price(&spec.instrument).round_dp(8),
            break_even_price: position.break_even_price(&spec.instrument).round_dp(8),
            unrealized_pnl: position.unrealized(&spec.instrument, mark_price).round_dp(8),
            realized_pnl: position.realized,
            mark_price,
            initial_margin: (notional / Money::from(leverage)).round_dp(8),
            leverage,
            updated: position.updated,
        })
    }

    /// The USD-M wallet in total.
    #[must_use]
    pub fn margin_summary(&self, account: AccountId) -> MarginRecord {
        self.margin(account, None)
    }

    /// The same, as it would be with more of an order resting; its price counts where the market
    /// has none yet.
    pub(crate) fn margin(
        &self,
        account: AccountId,
        more: Option<(MarketId, Side, Qty, Money)>,
    ) -> MarginRecord {
        let mut sum = MarginRecord {
            wallet: Money::ZERO,
            unrealized_pnl: Money::ZERO,
            position_margin: Money::ZERO,
            order_margin: Money::ZERO,
            available: Money::ZERO,
        };
        let Some(ledger) = self.accounts.get(account.0 as usize) else { return sum };
        let mut quotes: Vec<&Asset> = Vec::new();
        for (index, spec) in self.markets.iter().enumerate() {
            if spec.instrument.kind != InstrumentKind::LinearPerpetual {
                continue;
            }
            if !quotes.contains(&&spec.instrument.quote) {
                quotes.push(&spec.instrument.quote);
                sum.wallet += ledger.free(Wallet::Usdm, &spec.instrument.quote);
            }
            let Ok(number) = u16::try_from(index) else { continue };
            let market = MarketId(number);
            let position = ledger.position(market);
            let more = more.filter(|(id, ..)| *id == market);
            let own_price = more.map(|(.., price)| price);
            let mark = spec.reference_price().or(own_price).unwrap_or_default();
            let leverage = Money::from(self.leverage(account, market));
            sum.unrealized_pnl += position.unrealized(&spec.instrument, mark).round_dp(8);
            let mut reach = self.open_reach(account, market);
            if let Some((_, side, qty, _)) = more {
                reach[side.index()] += qty;
            }
            let worst = (position.qty + reach[0]).abs().max((position.qty - reach[1]).abs());
            let worst = worst.max(position.qty.abs());
            let of = |lots: Qty| (mark * spec.instrument.quantity(lots) / leverage).round_dp(8);
            sum.position_margin += of(position.qty.abs());
            sum.order_margin += of(worst) - of(position.qty.abs());
        }
        let used = sum.position_margin + sum.order_margin;
        sum.available = (sum.wallet + sum.unrealized_pnl - used).max(Money::ZERO);
        sum
    }

    /// Open quantity by side, reduce-only orders left out.
    fn open_reach(&self, account: AccountId, market: MarketId) -> [Qty; 2] {
        let mut reach = [Qty::ZERO; 2];
        let ids = self.open.get(&(account, market)).map_or(&[][..], Vec::as_slice);
        for entry in ids.iter().filter_map(|id| self.orders.get(id)) {
            if !entry.record.reduce_only {
                reach[entry.record.side.index()] += entry.record.open_qty();
            }
        }
        reach
    }

    /// All there is of an asset in a wallet: accounts, population and fees taken, with the cost of
    /// open positions counted as paid. Only its start value ever comes out: money is conserved.
    #[must_use]
    pub fn total(&self, wallet: Wallet, asset: &Asset) -> Money {
        let owners = self.accounts.iter().chain([&self.population]);
        let mut sum = self.fees.get(&(wallet, asset.clone())).copied().unwrap_or_default();
        for ledger in owners {
            if let Some(pot) = ledger.pots.get(&(wallet, asset.clone())) {
                sum += pot.free + pot.locked;
            }
            if wallet == Wallet::Usdm {
                let positions = ledger.positions.iter();
                let of_asset = positions.filter(|(id, _)| {
                    self.market(**id).is_some_and(|m| m.instrument.quote == *asset)
                });
                sum -= of_asset.map(|(_, p)| p.cost).sum::<Money>();
            }
        }
        sum
    }
}
