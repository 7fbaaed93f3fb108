//! What the venue lists: scales, limits and status of our symbols, and the account's fees.

use super::decode::{Listing, Unreadable, json, money};
use super::encode::Call;
use super::sign::Query;
use super::{Ask, Product, Session, Timer, backoff, wire};
use crate::domain::{
    Asset, BookLoss, Event, Instrument, InstrumentKind, LinkKind, Money, Px, Qty, RejectClass,
    Span, Ts, planted,
};
use crate::venues::Outbox;

/// Time between readings of exchange information and fees.
const REFRESH: Span = Span::from_s(3600);
/// Time between readings that a filter rejection or an odd price asks for.
const REFRESH_SOON: Span = Span::from_s(10);
/// Time between readings while a symbol of ours does not trade.
const REFRESH_HALTED: Span = Span::from_s(10);

impl Session {
    /// Ask for our symbols: one by one on spot, so that an unknown one names itself; all at once
    /// on USD-M, which ignores the parameter.
    pub(super) fn ask_info(&mut self, slot: usize, now: Ts, out: &mut Outbox) {
        if let Some(until) = self.blocked(now) {
            self.timers.insert(Timer::Info(slot), until);
            return;
        }
        let query = match self.params.product {
            Product::Spot => Query::new().with("symbol", &self.markets[slot].symbol),
            Product::UsdM => Query::new(),
        };
        self.timers.insert(Timer::Info(slot), now + REFRESH);
        self.send(Call::Info, Ask::Info { slot }, query, now, out);
    }

    /// Our picture of the filters may be wrong: read them again, but not all the time.
    pub(super) fn refresh_info(&mut self, now: Ts, out: &mut Outbox) {
        // The reading at the start says nothing of a change since: the first refusal reads at once.
        let due = self.info_refreshed.is_none_or(|at| now.since(at) >= REFRESH_SOON);
        if due && !planted("filters_not_renewed") {
            self.info_refreshed = Some(now);
            for slot in 0..self.info_requests() {
                self.ask_info(slot, now, out);
            }
        }
    }

    /// How many requests read all our symbols.
    pub(super) fn info_requests(&self) -> usize {
        match self.params.product {
            Product::Spot => self.markets.len(),
            Product::UsdM => self.markets.len().min(1),
        }
    }

    /// The reply to `ask_info`; an error carries the venue's code.
    pub(super) fn on_info_reply(
        &mut self,
        slot: usize,
        now: Ts,
        body: Result<&str, (i64, String)>,
        out: &mut Outbox,
    ) {
        let slots = match self.params.product {
            Product::Spot => slot..slot + 1,
            Product::UsdM => 0..self.markets.len(),
        };
        let read = match body {
            Ok(body) => json::<wire::ExchangeInfo<'_>>(body),
            Err((-1121, _)) => {
                self.not_listed(slot, out);
                return self.open_markets(now, out);
            }
            Err((_, why)) => Err(why),
        };
        let info = match read {
            Ok(info) => info,
            Err(why) => {
                self.info_failures += 1;
                self.garbled(format!("exchange information: {why}"), out);
                self.timers.insert(Timer::Info(slot), now + backoff(self.info_failures));
                return;
            }
        };
        self.info_failures = 0;
        self.take_rate_limits(&info.rate_limits);
        for slot in slots {
            let name = &self.markets[slot].symbol;
            let row = info.symbols.iter().find(|row| {
                json::<wire::SymbolName<'_>>(row.get()).is_ok_and(|row| row.symbol == *name)
            });
            match row {
                Some(row) => self.list(slot, row.get(), now, out),
                None => self.not_listed(slot, out),
            }
        }
        if self.listings().any(|listing| !listing.instrument.trading) {
            // A halt ends without a word on any stream.
            self.timers.insert(Timer::Info(slot), now + REFRESH_HALTED);
        }
        self.open_markets(now, out);
    }

    fn take_rate_limits(&mut self, limits: &[wire::RateLimit]) {
        for limit in limits {
            let window = (limit.interval.as_str(), limit.interval_num);
            match (limit.rate_limit_type.as_str(), window) {
                ("REQUEST_WEIGHT", ("MINUTE", 1)) => self.usage.weight_limit = limit.limit,
                ("ORDERS", ("SECOND", 10)) => self.usage.orders_limit = limit.limit,
                _ => {}
            }
        }
    }

    fn not_listed(&mut self, slot: usize, out: &mut Outbox) {
        self.markets[slot].resolved = true;
        let text = format!(
            "{} does not list the symbol {:?}: correct the configuration",
            self.params.name, self.markets[slot].symbol
        );
        self.fail(RejectClass::Other, text, out);
        self.settle_user(out);
    }

    fn list(&mut self, slot: usize, row: &str, now: Ts, out: &mut Outbox) {
        self.markets[slot].resolved = true;
        let listing = match self.read_listing(slot, row) {
            Ok(listing) => listing,
            Err(why) => {
                let (name, symbol) = (&self.params.name, &self.markets[slot].symbol);
                let text = format!("{name}: {symbol} cannot be traded by this program: {why}");
                return self.fail(RejectClass::Other, text, out);
            }
        };
        let before = self.markets[slot].listing.replace(listing.clone());
        let changed = before.as_ref().is_none_or(|old| old.instrument != listing.instrument);
        let rescaled = before.is_some_and(|old| {
            (old.instrument.tick_size, old.instrument.lot_size)
                != (listing.instrument.tick_size, listing.instrument.lot_size)
        });
        if changed {
            out.events.push(Event::Listed(Box::new(listing.instrument)));
        }
        if rescaled {
            // Ticks and lots of the old book mean something else now.
            self.lose_book(slot, now, BookLoss::Resync, out);
        }
    }

    fn read_listing(&self, slot: usize, row: &str) -> Result<Listing, Unreadable> {
        let info: wire::SymbolInfo = json(row)?;
        let product = self.params.product;
        if let (Product::UsdM, Some(kind)) = (product, info.contract_type.as_deref())
            && !kind.ends_with("PERPETUAL")
        {
            return Err(format!("it is a {kind} contract, not a perpetual"));
        }
        let filter = |name: &str| info.filters.iter().find(|filter| filter.filter_type == name);
        let price = filter("PRICE_FILTER").ok_or("no PRICE_FILTER")?;
        let lot = filter("LOT_SIZE").ok_or("no LOT_SIZE")?;
        let tick_size = step(price.tick_size.as_deref(), "tickSize")?;
        let lot_size = step(lot.step_size.as_deref(), "stepSize")?;
        let min_price = decimal(price.min_price.as_deref(), "minPrice")?;
        let min_qty = decimal(lot.min_qty.as_deref(), "minQty")?;
        if product == Product::UsdM {
            // There a price is allowed when (price - minPrice) is a multiple of the tick, so
            // whole ticks are allowed only if minPrice is one.
            for (value, step, name) in
                [(min_price, tick_size, "minPrice"), (min_qty, lot_size, "minQty")]
            {
                if value.checked_rem(step).is_none_or(|rest| !rest.is_zero()) {
                    return Err(format!("its {name} {value} is no multiple of the step {step}"));
                }
            }
        }
        let ceiling = |value: Option<&str>, name, step| -> Result<i64, Unreadable> {
            let value = decimal(value, name)?;
            Ok(if value.is_zero() { i64::MAX } else { steps(value, step, false) })
        };
        let market = &self.markets[slot];
        let instrument = Instrument {
            id: market.id,
            venue: self.params.venue,
            symbol: market.symbol.clone(),
            kind: match product {
                Product::Spot => InstrumentKind::Spot,
                Product::UsdM => InstrumentKind::LinearPerpetual,
            },
            base: Asset::new(&info.base_asset),
            quote: Asset::new(&info.quote_asset),
            tick_size,
            lot_size,
            min_px: Px(steps(min_price, tick_size, true).max(1)),
            max_px: Px(ceiling(price.max_price.as_deref(), "maxPrice", tick_size)?),
            min_qty: Qty(steps(min_qty, lot_size, true).max(1)),
            max_qty: Qty(ceiling(lot.max_qty.as_deref(), "maxQty", lot_size)?),
            min_notional: min_notional(&info.filters)?,
            max_open_orders: max_orders(filter("MAX_NUM_ORDERS")),
            trading: info.status == "TRADING" && info.is_spot_trading_allowed != Some(false),
        };
        Listing::new(instrument).ok_or_else(|| "tick or lot out of range".to_owned())
    }

    /// Once the fate of every symbol is known, subscribe.
    fn open_markets(&mut self, now: Ts, out: &mut Outbox) {
        if !self.markets.iter().all(|market| market.resolved) {
            return;
        }
        for kind in [LinkKind::Market, LinkKind::MarketSlow] {
            if !self.link(kind).wanted {
                self.connect(kind, Span::ZERO, now, out);
            }
        }
        self.open_account(now, out);
    }

    /// The account's general rates, where the fees of a symbol could not be had.
    pub(super) fn fees_of_account(
        &mut self,
        rates: Option<&wire::CommissionRates>,
        out: &mut Outbox,
    ) {
        let Some(rates) = rates else { return };
        let side = rates.buyer.max(rates.seller);
        let (maker, taker) = (rates.maker.saturating_add(side), rates.taker.saturating_add(side));
        for market in self.markets.iter_mut().filter(|market| !market.fees_known) {
            market.fees_known = true;
            out.events.push(Event::Fees { instrument: market.id, maker, taker });
        }
    }

    /// Ask for the account's fees on one symbol.
    pub(super) fn ask_fees(&mut self, slot: usize, now: Ts, out: &mut Outbox) {
        if let Some(until) = self.blocked(now) {
            self.timers.insert(Timer::Fees(slot), until);
            return;
        }
        let query = Query::new().with("symbol", &self.markets[slot].symbol);
        self.send(Call::Fees, Ask::Fees { slot }, query, now, out);
    }

    /// A venue that does not tell the fees is taken to charge its retail tier: quotes are then too
    /// wide rather than too narrow. Asking goes on.
    fn assume_retail_fees(&mut self, slot: usize, out: &mut Outbox) {
        let (maker, taker) = match self.params.product {
            Product::Spot => (Money::new(10, 4), Money::new(10, 4)),
            Product::UsdM => (Money::new(2, 4), Money::new(5, 4)),
        };
        self.markets[slot].fees_known = true;
        let instrument = self.markets[slot].id;
        out.events.push(Event::Fees { instrument, maker, taker });
    }

    /// The reply to `ask_fees`.
    pub(super) fn on_fees_reply(
        &mut self,
        slot: usize,
        now: Ts,
        body: Result<&str, String>,
        out: &mut Outbox,
    ) {
        let product = self.params.product;
        match body.and_then(|body| read_fees(product, body)) {
            Ok((maker, taker)) => {
                self.fee_failures = 0;
                self.markets[slot].fees_known = true;
                let instrument = self.markets[slot].id;
                out.events.push(Event::Fees { instrument, maker, taker });
                self.timers.insert(Timer::Fees(slot), now + REFRESH);
            }
            Err(why) => {
                self.fee_failures += 1;
                self.garbled(format!("fees of {}: {why}", self.markets[slot].symbol), out);
                if self.fee_failures >= FEE_FAILURES && !self.markets[slot].fees_known {
                    self.assume_retail_fees(slot, out);
                }
                self.timers.insert(Timer::Fees(slot), now + backoff(self.fee_failures));
            }
        }
    }
}

/// Failures to learn the fees after which the retail tier is assumed.
const FEE_FAILURES: u32 = 2;

/// Maker and taker fee. Spot adds standard, special and tax commission, and the dearer of buying
/// and selling; a discount for paying in another asset is not counted on.
fn read_fees(product: Product, body: &str) -> Result<(Money, Money), Unreadable> {
    match product {
        Product::Spot => {
            let wire: wire::SpotCommission = json(body)?;
            let parts =
                [Some(wire.standard_commission), wire.special_commission, wire.tax_commission];
            let sum = |rate: fn(&wire::CommissionRates) -> Money| {
                let rates = parts.iter().flatten().map(rate);
                rates.fold(Money::ZERO, Money::saturating_add)
            };
            let side = sum(|part| part.buyer).max(sum(|part| part.seller));
            let maker = sum(|part| part.maker).saturating_add(side);
            let taker = sum(|part| part.taker).saturating_add(side);
            Ok((maker, taker))
        }
        Product::UsdM => {
            let wire: wire::FuturesCommission = json(body)?;
            Ok((wire.maker_commission_rate, wire.taker_commission_rate))
        }
    }
}

fn decimal(value: Option<&str>, name: &str) -> Result<Money, Unreadable> {
    money(value.ok_or_else(|| format!("no {name}"))?)
}

fn step(value: Option<&str>, name: &str) -> Result<Money, Unreadable> {
    match decimal(value, name)?.normalize() {
        step if step > Money::ZERO => Ok(step),
        step => Err(format!("its {name} is {step}")),
    }
}

/// A value as a whole number of steps, rounded up or down; saturates.
fn steps(value: Money, step: Money, up: bool) -> i64 {
    let Some(ratio) = value.checked_div(step) else { return i64::MAX };
    let whole = if up { ratio.ceil() } else { ratio.floor() };
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// Spot: `NOTIONAL.minNotional` or the older `MIN_NOTIONAL.minNotional`; USD-M:
/// `MIN_NOTIONAL.notional`. The strictest counts; none at all is zero.
fn min_notional(filters: &[wire::Filter]) -> Result<Money, Unreadable> {
    let mut least = Money::ZERO;
    for filter in filters {
        if matches!(filter.filter_type.as_str(), "NOTIONAL" | "MIN_NOTIONAL")
            && let Some(text) = filter.min_notional.as_deref().or(filter.notional.as_deref())
        {
            least = least.max(money(text)?);
        }
    }
    Ok(least.normalize())
}

fn max_orders(filter: Option<&wire::Filter>) -> u32 {
    let Some(filter) = filter else { return u32::MAX };
    let limit = filter.limit.as_ref().and_then(serde_json::Value::as_u64);
    filter
        .max_num_orders
        .or_else(|| limit.and_then(|limit| u32::try_from(limit).ok()))
        .unwrap_or(u32::MAX)
}
