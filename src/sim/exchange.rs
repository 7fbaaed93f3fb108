//! The exchange: markets, accounts, orders, and what the passing of time does to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::domain::{Asset, Instrument, InstrumentKind, Money, Px, Side, Span, Ts};

use super::api::{
    AccountId, Answer, Command, ExchangeParams, FeeTier, FundingParams, Happening, MarketId,
    MarketParams, OrderRecord, Refusal, TradeRecord, Wallet,
};
use super::ledger::Ledger;
use super::matcher::{Handle, Matcher, Report};
use super::source::Crowd;

/// What one command can finish must not be forgotten before it is answered.
const LEAST_HISTORY: usize = 1_000;

/// One market at work.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) instrument: Instrument,
    pub(crate) fees: FeeTier,
    pub(crate) percent_up: Money,
    pub(crate) percent_down: Money,
    pub(crate) leverage: u32,
    pub(crate) funding: FundingParams,
    pub(crate) mark_every: Span,
    pub(crate) book: Matcher,
    pub(crate) last_update: u64,
    pub(crate) last_trade: u64,
    pub(crate) last_prevented: u64,
    pub(crate) last_px: Option<Px>,
    pub(crate) halted: bool,
    /// When the mark price is next computed; [`Ts::FAR`] for spot.
    pub(crate) next_mark: Ts,
    pub(crate) next_funding: Ts,
    pub(crate) mark_price: Money,
    pub(crate) index_price: Money,
    pub(crate) funding_rate: Money,
}

impl Market {
    fn new(params: MarketParams, now: Ts) -> (Market, super::api::Source) {
        let perpetual = params.instrument.kind == InstrumentKind::LinearPerpetual;
        let interval = params.funding.interval.0.max(1);
        let next_funding = Ts((now.0.div_euclid(interval) + 1).saturating_mul(interval));
        let market = Market {
            instrument: params.instrument,
            fees: params.fees,
            percent_up: params.percent_up,
            percent_down: params.percent_down,
            leverage: params.leverage.max(1),
            funding: params.funding,
            mark_every: Span(params.mark_every.0.max(1_000_000)),
            book: Matcher::new(),
            last_update: 0,
            last_trade: 0,
            last_prevented: 0,
            last_px: None,
            halted: false,
            next_mark: if perpetual { now } else { Ts::FAR },
            next_funding: if perpetual { next_funding } else { Ts::FAR },
            mark_price: Money::ZERO,
            index_price: Money::ZERO,
            funding_rate: Money::ZERO,
        };
        (market, params.source)
    }

    /// Half-way between the touch, else the last trade, in quote per base.
    pub(crate) fn mid_price(&self) -> Option<Money> {
        let touch = (self.book.best(Side::Buy), self.book.best(Side::Sell));
        match touch {
            (Some(bid), Some(ask)) => Some(self.instrument.price(bid.px + ask.px) / Money::from(2)),
            _ => self.last_px.map(|px| self.instrument.price(px)),
        }
    }

    /// The price that limits and margins refer to; `None` before anything has a price.
    pub(crate) fn reference_price(&self) -> Option<Money> {
        if self.mark_price > Money::ZERO { Some(self.mark_price) } else { self.mid_price() }
    }
}

/// An order with what the exchange needs to work it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) record: OrderRecord,
    pub(crate) handle: Option<Handle>,
    /// What it still holds in the spot wallet.
    pub(crate) locked: Money,
}

/// A simulated exchange group with spot and perpetual markets.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) now: Ts,
    pub(crate) markets: Vec<Market>,
    pub(crate) crowds: Vec<Crowd>,
    pub(crate) accounts: Vec<Ledger>,
    pub(crate) population: Ledger,
    pub(crate) fees: BTreeMap<(Wallet, Asset), Money>,
    pub(crate) orders: BTreeMap<u64, Entry>,
    /// Open orders by account and market.
    pub(crate) open: BTreeMap<(AccountId, MarketId), Vec<u64>>,
    pub(crate) by_client: BTreeMap<(AccountId, Wallet, Arc<str>), u64>,
    pub(crate) finished: VecDeque<u64>,
    /// Balances as accounts know them: free and locked.
    pub(crate) told: BTreeMap<(AccountId, Wallet, Asset), (Money, Money)>,
    pub(crate) trades: Vec<VecDeque<TradeRecord>>,
    pub(crate) last_order_id: u64,
    pub(crate) history: usize,
    pub(crate) report: Report,
}

impl Exchange {
    /// An exchange whose markets open at `now`. Synthetic books are filled by the first
    /// [`Exchange::advance`].
    #[must_use]
    pub fn new(params: ExchangeParams, now: Ts) -> Exchange {
        let (markets, sources): (Vec<Market>, Vec<_>) =
            params.markets.into_iter().map(|m| Market::new(m, now)).unzip();
        let crowds = super::source::crowds(sources, &markets, params.seed, now);
        let accounts: Vec<Ledger> = params
            .accounts
            .into_iter()
            .map(|account| {
                let mut ledger = Ledger::default();
                for (wallet, asset, amount) in account.balances {
                    ledger.pot(wallet, &asset).free += amount;
                }
                ledger
            })
            .collect();
        let told = accounts.iter().zip(0..).flat_map(|(ledger, number)| {
            let pots = ledger.pots.iter();
            pots.map(move |((wallet, asset), pot)| {
                ((AccountId(number), *wallet, asset.clone()), (pot.free, pot.locked))
            })
        });
        Exchange {
            told: told.collect(),
            now,
            trades: accounts.iter().map(|_| VecDeque::new()).collect(),
            markets,
            crowds,
            accounts,
            population: Ledger::default(),
            fees: BTreeMap::new(),
            orders: BTreeMap::new(),
            open: BTreeMap::new(),
            by_client: BTreeMap::new(),
            finished: VecDeque::new(),
            last_order_id: 0,
            history: params.history.max(LEAST_HISTORY),
            report: Report::default(),
        }
    }

    /// Carries out a command at `now`, after everything that was due until then. What streams
    /// would tell is appended to `out`, also when the command is refused.
    pub fn submit(
        &mut self,
        now: Ts,
        account: AccountId,
        command: &Command,
        out: &mut Vec<Happening>,
    ) -> Result<Answer, Refusal> {
        self.advance(now, out);
        if self.accounts.get(account.0 as usize).is_none() {
            return Err(Refusal::UnknownMarket);
        }
        match command {
            Command::Place(place) => self.place(account, place, out),
            Command::Cancel { market, key } => self.cancel(account, *market, key, out),
            Command::CancelAll { market } => self.cancel_all(account, *market, out),
            Command::Amend { market, key, px, qty, client_id } => {
                self.amend(account, *market, key, (*px, *qty, client_id.clone()), out)
            }
        }
    }

    /// Lets time pass until `now`: populations, recordings, mark prices, funding, in the order in
    /// which they are due. An earlier `now` than before changes nothing.
    pub fn advance(&mut self, now: Ts, out: &mut Vec<Happening>) {
        while let Some(due) = self.next_wakeup().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.step_crowds(due, out);
            self.step_marks(due, out);
        }
        self.now = self.now.max(now);
    }

    /// When something is next due without any command; `None` when nothing ever is.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Ts> {
        let crowds = self.crowds.iter().map(Crowd::due);
        let marks = self.markets.iter().flat_map(|m| [m.next_mark, m.next_funding]);
        crowds.chain(marks).min().filter(|due| *due < Ts::FAR)
    }

    /// The time of the exchange: the latest it was told.
    #[must_use]
    pub fn now(&self) -> Ts {
        self.now
    }

    pub(crate) fn market(&self, market: MarketId) -> Option<&Market> {
        self.markets.get(usize::from(market.0))
    }

    fn step_marks(&mut self, due: Ts, out: &mut Vec<Happening>) {
        for index in 0..self.markets.len() {
            let id = MarketId(u16::try_from(index).expect("fewer than 2^16 markets"));
            if self.markets[index].next_mark <= due {
                self.update_mark(id, out);
                let every = self.markets[index].mark_every;
                self.markets[index].next_mark = due + every;
            }
            if self.markets[index].next_funding <= due {
                self.exchange_funding(id, out);
                let interval = Span(self.markets[index].funding.interval.0.max(1));
                self.markets[index].next_funding += interval;
            }
        }
    }

    /// Index: the spot mid of the same base where there is one. Mark: the perpetual's own mid
    /// held within 0.5 % of the index. Rate: the venue's formula, premium plus the interest
    /// clamped to ±0.05 %, bounded by the cap.
    fn update_mark(&mut self, id: MarketId, out: &mut Vec<Happening>) {
        let market = &self.markets[usize::from(id.0)];
        let base = &market.instrument.base;
        let spot = self
            .markets
            .iter()
            .find(|m| m.instrument.kind == InstrumentKind::Spot && m.instrument.base == *base);
        let own = market.mid_price();
        let Some(index_price) = spot.and_then(Market::mid_price).or(own) else { return };
        let own = own.unwrap_or(index_price);
        let band = index_price * Money::new(5, 3);
        let at = self.now;
        let market = &mut self.markets[usize::from(id.0)];
        market.index_price = index_price.round_dp(8);
        market.mark_price = own.clamp(index_price - band, index_price + band).round_dp(8);
        let premium = (market.mark_price - index_price) / index_price;
        let damp = (market.funding.interest - premium).clamp(-Money::new(5, 4), Money::new(5, 4));
        let cap = market.funding.cap;
        market.funding_rate = (premium + damp).clamp(-cap, cap).round_dp(8);
        if let Some(mark) = self.mark(id) {
            out.push(Happening::Mark { mark, at });
        }
    }
}
