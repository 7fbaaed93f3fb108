//! The exchange's words to ours: decimals to ticks and lots, payloads to events.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::wire;
use crate::domain::{
    Asset, Balance, Fill, Instrument, InstrumentId, Level, Liquidity, Mark, Money, OpenOrder,
    OrderId, OrderStatus, OrderUpdate, PositionReport, Px, Qty, RejectClass, Side, Ticker, Trade,
    Ts,
};

/// What could not be read, in words.
pub(super) type Unreadable = String;

/// Reads decimal strings as whole multiples of a step, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    step: Money,
    decimals: u32,
    mantissa: i64,
}

impl Scale {
    /// The scale of a step above zero.
    pub(super) fn new(step: Money) -> Option<Scale> {
        let step = step.normalize();
        let mantissa = i64::try_from(step.mantissa()).ok()?;
        (mantissa > 0).then_some(Scale { step, decimals: step.scale(), mantissa })
    }

    /// The number of steps; `None` when it is no decimal or no whole multiple.
    pub(super) fn whole(&self, text: &str) -> Option<i64> {
        self.count(text).and_then(|(steps, exact)| exact.then_some(steps))
    }

    /// The number of whole steps within an amount of zero or more; one for what is less than one
    /// but not nothing. Public books hold old orders that are finer than today's lot.
    fn within(&self, text: &str) -> Option<i64> {
        match self.count(text)? {
            (steps, exact) if steps > 0 || (steps == 0 && exact) => Some(steps),
            (0, false) if !text.starts_with('-') => Some(1),
            _ => None,
        }
    }

    /// Whole steps towards zero, and whether nothing was cut off.
    fn count(&self, text: &str) -> Option<(i64, bool)> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (mut units, mut exact, mut any): (i64, bool, bool) = (0, true, false);
        let mut after: Option<u32> = None;
        for byte in digits.bytes() {
            match (byte, after) {
                (b'0'..=b'9', Some(places)) if places >= self.decimals => exact &= byte == b'0',
                (b'0'..=b'9', _) => {
                    units = units.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    after = after.map(|places| places + 1);
                }
                (b'.', None) => {
                    after = Some(0);
                    continue;
                }
                _ => return self.count_unusual(text),
            }
            any = true;
        }
        if !any {
            return None;
        }
        let missing = self.decimals - after.unwrap_or(0).min(self.decimals);
        let units = units.checked_mul(10_i64.checked_pow(missing)?)?;
        Some((sign * (units / self.mantissa), exact && units % self.mantissa == 0))
    }

    /// Exponents and whatever else a decimal may look like.
    fn count_unusual(&self, text: &str) -> Option<(i64, bool)> {
        let count = Decimal::from_scientific(text).ok()?.checked_div(self.step)?;
        Some((count.trunc().to_i64()?, count.fract().is_zero()))
    }
}

/// Amounts at or above this are nonsense, and sums of them would pass what a decimal can hold.
const TOO_MUCH: Money = Money::from_parts(0, 0, 1, false, 0);

/// An exact decimal.
pub(super) fn money(text: &str) -> Result<Money, Unreadable> {
    let amount = text
        .parse::<Decimal>()
        .or_else(|_| Decimal::from_scientific(text))
        .map_err(|_| format!("{text:?} is no decimal"))?;
    if amount.abs() < TOO_MUCH { Ok(amount) } else { Err(format!("{text:?} is no amount")) }
}

/// One listed instrument with its scales ready.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) instrument: Instrument,
    px: Scale,
    qty: Scale,
}

impl Listing {
    /// `None` when tick or lot is not above zero.
    pub(super) fn new(instrument: Instrument) -> Option<Listing> {
        let px = Scale::new(instrument.tick_size)?;
        let qty = Scale::new(instrument.lot_size)?;
        Some(Listing { instrument, px, qty })
    }

    pub(super) fn id(&self) -> InstrumentId {
        self.instrument.id
    }

    /// A price above zero.
    pub(super) fn px(&self, text: &str) -> Result<Px, Unreadable> {
        match self.px.whole(text) {
            Some(ticks) if ticks > 0 => Ok(Px(ticks)),
            _ => Err(format!(
                "price {text:?} of {} is no positive multiple of {}",
                self.instrument.symbol, self.px.step
            )),
        }
    }

    /// A quantity of zero or more.
    pub(super) fn qty(&self, text: &str) -> Result<Qty, Unreadable> {
        match self.signed_qty(text)? {
            qty if qty.0 >= 0 => Ok(qty),
            _ => Err(format!("quantity {text:?} of {} is below zero", self.instrument.symbol)),
        }
    }

    /// A quantity of either sign.
    pub(super) fn signed_qty(&self, text: &str) -> Result<Qty, Unreadable> {
        self.qty.whole(text).map(Qty).ok_or_else(|| {
            format!(
                "quantity {text:?} of {} is no multiple of {}",
                self.instrument.symbol, self.qty.step
            )
        })
    }

    pub(super) fn levels(&self, wire: &[wire::WireLevel<'_>]) -> Result<Vec<Level>, Unreadable> {
        wire.iter().map(|(px, qty)| self.level(px, qty)).collect()
    }

    fn level(&self, px: &str, qty: &str) -> Result<Level, Unreadable> {
        Ok(Level { px: self.px(px)?, qty: self.public_qty(qty)? })
    }

    /// A quantity of somebody else's, in whole lots.
    fn public_qty(&self, text: &str) -> Result<Qty, Unreadable> {
        self.qty
            .within(text)
            .map(Qty)
            .ok_or_else(|| format!("quantity {text:?} of {} is no amount", self.instrument.symbol))
    }

    pub(super) fn ticker(
        &self,
        wire: &wire::BookTicker<'_>,
        now: Ts,
    ) -> Result<Ticker, Unreadable> {
        Ok(Ticker {
            instrument: self.id(),
            bid: self.level(wire.b, wire.bid_qty)?,
            ask: self.level(wire.a, wire.ask_qty)?,
            at: wire.transaction_time.map_or(now, Ts::from_ms),
        })
    }

    /// A public trade; `None` for prints that were not made in the book.
    pub(super) fn trade(&self, wire: &wire::TradeTick<'_>) -> Result<Option<Trade>, Unreadable> {
        if wire.kind.as_ref().is_some_and(|kind| kind != "MARKET") {
            return Ok(None);
        }
        let trade_id = wire.t.or(wire.a).ok_or("trade without an id")?;
        Ok(Some(Trade {
            instrument: self.id(),
            px: self.px(wire.p)?,
            qty: self.public_qty(wire.q)?,
            aggressor: if wire.m { Side::Sell } else { Side::Buy },
            trade_id,
            at: Ts::from_ms(wire.time),
        }))
    }

    pub(super) fn mark(&self, wire: &wire::MarkPrice<'_>) -> Result<Mark, Unreadable> {
        Ok(Mark {
            instrument: self.id(),
            mark_price: money(wire.p)?,
            index_price: money(wire.i)?,
            // Empty outside perpetuals.
            funding_rate: if wire.r.is_empty() { Money::ZERO } else { money(wire.r)? },
            next_funding: Ts::from_ms(wire.next_funding),
            at: Ts::from_ms(wire.event_time),
        })
    }

    /// The state of an order of ours in a reply or query.
    pub(super) fn order_state(
        &self,
        wire: &wire::OrderReply<'_>,
    ) -> Result<OrderUpdate, Unreadable> {
        Ok(OrderUpdate::State {
            status: status(&wire.status)?,
            filled: self.qty(wire.executed_qty)?,
            qty: self.qty(wire.orig_qty)?,
            px: self.px(wire.price)?,
        })
    }

    /// The fills that a spot `FULL` reply lists: what trades on arrival takes.
    pub(super) fn reply_fills(
        &self,
        wire: &wire::OrderReply<'_>,
        order: OrderId,
        at: Ts,
    ) -> Result<Vec<Fill>, Unreadable> {
        let one = |fill: &wire::ReplyFill<'_>| {
            Ok(Fill {
                instrument: self.id(),
                order: Some(order),
                venue_order_id: wire.order_id,
                trade_id: fill.trade_id,
                side: side(&wire.side)?,
                px: self.px(fill.price)?,
                qty: self.qty(fill.qty)?,
                liquidity: Liquidity::Taker,
                fee: money(fill.commission)?,
                fee_asset: Asset::new(&fill.commission_asset),
                at,
            })
        };
        wire.fills.iter().map(one).collect()
    }

    /// An open order; amounts of foreign orders may be beyond our scales and then read as zero.
    pub(super) fn open_order(
        &self,
        wire: &wire::OrderReply<'_>,
        id: Option<OrderId>,
    ) -> Result<OpenOrder, Unreadable> {
        let foreign = id.is_none();
        Ok(OpenOrder {
            instrument: self.id(),
            id,
            venue_order_id: wire.order_id,
            side: side(&wire.side)?,
            px: self.px(wire.price).or_else(|why| if foreign { Ok(Px(0)) } else { Err(why) })?,
            qty: self
                .qty(wire.orig_qty)
                .or_else(|why| if foreign { Ok(Qty(0)) } else { Err(why) })?,
            filled: self.qty(wire.executed_qty)?,
        })
    }

    pub(super) fn trade_row(
        &self,
        row: &wire::TradeRow<'_>,
        order: Option<OrderId>,
    ) -> Result<Fill, Unreadable> {
        Ok(Fill {
            instrument: self.id(),
            order,
            venue_order_id: row.order_id,
            trade_id: row.id,
            side: if row.buyer { Side::Buy } else { Side::Sell },
            px: self.px(row.price)?,
            qty: self.qty(row.qty)?,
            liquidity: liquidity(row.maker),
            fee: money(row.commission)?,
            fee_asset: Asset::new(&row.commission_asset),
            at: Ts::from_ms(row.time),
        })
    }

    /// The trade that an execution event of the user stream reports.
    pub(super) fn execution_fill(&self, execution: &Execution<'_>) -> Result<Fill, Unreadable> {
        let fee_asset =
            execution.fee_asset.map_or_else(|| self.instrument.quote.clone(), Asset::new);
        Ok(Fill {
            instrument: self.id(),
            order: execution.order,
            venue_order_id: execution.venue_order_id,
            trade_id: u64::try_from(execution.trade_id)
                .map_err(|_| format!("trade id {}", execution.trade_id))?,
            side: side(execution.side)?,
            px: self.px(execution.last_price)?,
            qty: self.qty(execution.last_qty)?,
            liquidity: liquidity(execution.maker),
            fee: execution.fee.map_or(Ok(Money::ZERO), money)?,
            fee_asset,
            at: Ts::from_ms(execution.time_ms),
        })
    }

    /// What an execution event says of an order of ours as a whole.
    pub(super) fn execution_state(
        &self,
        execution: &Execution<'_>,
    ) -> Result<OrderUpdate, Unreadable> {
        if execution.kind == "REJECTED" {
            let class = match execution.reject_reason {
                "WOULD_MATCH_IMMEDIATELY" => RejectClass::WouldTake,
                "INSUFFICIENT_BALANCES" => RejectClass::InsufficientFunds,
                _ => RejectClass::Other,
            };
            let text = execution.reject_reason.to_owned();
            return Ok(OrderUpdate::Rejected { class, text });
        }
        let prevented = execution.prevented.map_or(Ok(Qty::ZERO), |text| self.qty(text))?;
        Ok(OrderUpdate::State {
            status: status(execution.status)?,
            filled: self.qty(execution.filled)?,
            qty: self.qty(execution.qty)? - prevented,
            px: self.px(execution.price)?,
        })
    }

    pub(super) fn position(&self, amount: &str, entry: &str) -> Result<PositionReport, Unreadable> {
        Ok(PositionReport {
            instrument: self.id(),
            qty: self.signed_qty(amount)?,
            entry_price: money(entry)?,
        })
    }
}

/// An execution event of either product, in one shape.
#[derive(Debug)]
pub(super) struct Execution<'a> {
    pub(super) symbol: &'a str,
    /// Ours by prefix, or `None`.
    pub(super) order: Option<OrderId>,
    pub(super) venue_order_id: u64,
    /// `NEW`, `TRADE`, `CANCELED`, …
    pub(super) kind: &'a str,
    pub(super) status: &'a str,
    pub(super) reject_reason: &'a str,
    pub(super) side: &'a str,
    pub(super) qty: &'a str,
    pub(super) price: &'a str,
    pub(super) filled: &'a str,
    pub(super) last_qty: &'a str,
    pub(super) last_price: &'a str,
    pub(super) fee: Option<&'a str>,
    pub(super) fee_asset: Option<&'a str>,
    pub(super) prevented: Option<&'a str>,
    pub(super) trade_id: i64,
    pub(super) maker: bool,
    pub(super) time_ms: i64,
}

impl<'a> Execution<'a> {
    pub(super) fn spot(
        report: &'a wire::ExecutionReport<'a>,
        ours: impl Fn(&str) -> Option<OrderId>,
    ) -> Execution<'a> {
        // A cancel's report carries the cancel's own id in `c`, and the order's in `C`.
        let order = if report.original.is_empty() {
            ours(&report.c)
        } else {
            ours(&report.original)
                .or_else(|| if report.execution == "CANCELED" { None } else { ours(&report.c) })
        };
        Execution {
            symbol: &report.s,
            order,
            venue_order_id: report.order_id,
            kind: &report.execution,
            status: &report.status,
            reject_reason: &report.reject_reason,
            side: &report.side,
            qty: report.q,
            price: report.p,
            filled: report.filled,
            last_qty: report.last_qty,
            last_price: report.last_price,
            fee: report.fee,
            fee_asset: report.fee_asset.as_deref(),
            prevented: report.prevented,
            trade_id: report.trade_id,
            maker: report.maker,
            time_ms: report.time,
        }
    }

    pub(super) fn usdm(
        order: &'a wire::FuturesOrder<'a>,
        ours: impl Fn(&str) -> Option<OrderId>,
    ) -> Execution<'a> {
        Execution {
            symbol: &order.s,
            order: ours(&order.c),
            venue_order_id: order.order_id,
            kind: &order.execution,
            status: &order.status,
            reject_reason: "",
            side: &order.side,
            qty: order.q,
            price: order.p,
            filled: order.filled,
            last_qty: order.last_qty,
            last_price: order.last_price,
            fee: order.fee,
            fee_asset: order.fee_asset.as_deref(),
            prevented: None,
            trade_id: order.trade_id,
            maker: order.maker,
            time_ms: order.time,
        }
    }

    /// A trade happened: an ordinary one, or (USD-M) a liquidation or deleveraging.
    pub(super) fn is_trade(&self) -> bool {
        matches!(self.kind, "TRADE" | "CALCULATED")
    }
}

pub(super) fn side(text: &str) -> Result<Side, Unreadable> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(format!("side {text:?}")),
    }
}

fn liquidity(maker: bool) -> Liquidity {
    if maker { Liquidity::Maker } else { Liquidity::Taker }
}

pub(super) fn status(text: &str) -> Result<OrderStatus, Unreadable> {
    Ok(match text {
        "NEW" | "PENDING_NEW" | "PENDING_CANCEL" => OrderStatus::New,
        "PARTIALLY_FILLED" => OrderStatus::PartiallyFilled,
        "FILLED" => OrderStatus::Filled,
        "CANCELED" => OrderStatus::Canceled,
        "REJECTED" => OrderStatus::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStatus::Expired,
        _ => return Err(format!("order status {text:?}")),
    })
}

pub(super) fn spot_balance(asset: &str, free: &str, locked: &str) -> Result<Balance, Unreadable> {
    Ok(Balance { asset: Asset::new(asset), free: money(free)?, locked: money(locked)? })
}

/// A JSON text, or what is wrong with it; what is no JSON object or list shows its beginning.
pub(super) fn json<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|why| match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => why.to_string(),
        _ => format!("{why}, no JSON but {:?}", super::errors::excerpt(text)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(step: &str) -> Scale {
        Scale::new(step.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_amount_that_cannot_be_added_up_is_unreadable() {
        assert_eq!(money("-46116860414.5e0"), Ok("-46116860414.5".parse().unwrap()));
        for text in ["79228162514264337593543950335", "-1e28", "1e20"] {
            assert!(money(text).is_err(), "{text}");
        }
    }

    #[test]
    fn decimals_become_whole_steps_exactly() {
        let cent = scale("0.01000000");
        for (text, want) in [
            ("61837.63000000", Some(6_183_763)),
            ("61837.63", Some(6_183_763)),
            ("61837.6", Some(6_183_760)),
            ("61837", Some(6_183_700)),
            ("61837.", Some(6_183_700)),
            (".5", Some(50)),
            ("-0.05", Some(-5)),
            ("0.00000000", Some(0)),
            ("1e2", Some(10_000)),
            ("61837.635", None),
            ("61837.6300000001", None),
            ("", None),
            (".", None),
            ("-", None),
            ("1.2.3", None),
            ("NaN", None),
            ("99999999999999999999", None),
            (" 1", None),
        ] {
            assert_eq!(cent.whole(text), want, "{text:?}");
        }
        assert_eq!(scale("0.5").whole("1.5"), Some(3));
        assert_eq!(scale("0.5").whole("1.7"), None);
        assert_eq!(scale("10").whole("120.0"), Some(12));
        assert_eq!(scale("10").whole("125"), None);
        assert_eq!(scale("0.00000001").whole("8446744073.70955161"), Some(844_674_407_370_955_161));
        assert!(Scale::new(Money::ZERO).is_none());
        for (text, want) in [
            ("25.42618900", Some(2542)),
            ("0.00900000", Some(1)),
            ("0.00000000", Some(0)),
            ("1e-3", Some(1)),
            ("-1", None),
            ("-0.001", None),
            ("x", None),
        ] {
            assert_eq!(cent.within(text), want, "{text:?}");
        }
    }
}
