//! What a venue's public side remembers of one market: differences waiting for their stream's
//! next beat, recent trades, candles of a day, and the last quote told.

use std::collections::{BTreeMap, VecDeque};

use super::json::{array, fixed};
use crate::domain::{Instrument, Level, Money, Px, Qty, Side, Span, Ts};
use crate::sim::{BookTicker, MarketId, PublicTrade};

/// Trades kept for `trades` and `aggTrades`.
const KEPT_TRADES: usize = 1000;
/// One-minute candles kept: a day.
const KEPT_CANDLES: usize = 1440;

/// Changes of a book collected for one stream speed.
#[derive(Debug)]
pub struct Batch {
    /// Time between two differences.
    pub every: Span,
    next: Ts,
    first: u64,
    last: u64,
    previous_last: u64,
    levels: BTreeMap<(Side, Px), Qty>,
}

/// One difference, ready to be told.
#[derive(Debug)]
pub struct Diff {
    /// `U`.
    pub first: u64,
    /// `u`.
    pub last: u64,
    /// `pu`.
    pub previous_last: u64,
    /// JSON list of changed bids.
    pub bids: String,
    /// JSON list of changed asks.
    pub asks: String,
}

/// Trades of one taker at one price.
#[derive(Clone, Copy, Debug)]
pub struct AggTrade {
    /// `a`, from 1.
    pub id: u64,
    /// `f`.
    pub first: u64,
    /// `l`.
    pub last: u64,
    /// Price.
    pub px: Px,
    /// Sum of quantities.
    pub qty: Qty,
    /// The taker sold.
    pub buyer_is_maker: bool,
    /// When.
    pub at: Ts,
    taker_order_id: u64,
}

/// One minute of trading.
#[derive(Clone, Copy, Debug)]
pub struct Candle {
    /// Start, Unix ms.
    pub open_ms: i64,
    /// First, highest, lowest and last price.
    pub ohlc: [Px; 4],
    /// Volume.
    pub base: Qty,
    /// Volume in quote.
    pub quote: Money,
    /// Volume of buying takers.
    pub taker_base: Qty,
    /// The same in quote.
    pub taker_quote: Money,
    /// Trades: first id and how many.
    pub first_id: u64,
    /// How many trades.
    pub count: u64,
    /// Quantity of the last trade.
    pub last_qty: Qty,
}

impl Candle {
    /// A time without a trade.
    #[must_use]
    pub fn empty(open_ms: i64, px: Px) -> Candle {
        Candle {
            open_ms,
            ohlc: [px; 4],
            base: Qty::ZERO,
            quote: Money::ZERO,
            taker_base: Qty::ZERO,
            taker_quote: Money::ZERO,
            first_id: 0,
            count: 0,
            last_qty: Qty::ZERO,
        }
    }

    /// Id of its first and last trade, −1 without any.
    #[must_use]
    pub fn trade_ids(&self) -> [i128; 2] {
        if self.count == 0 {
            return [-1; 2];
        }
        let first = i128::from(self.first_id);
        [first, first + i128::from(self.count) - 1]
    }

    /// Puts a later candle into this one.
    pub fn merge(&mut self, later: &Candle) {
        self.ohlc[1] = self.ohlc[1].max(later.ohlc[1]);
        self.ohlc[2] = self.ohlc[2].min(later.ohlc[2]);
        self.ohlc[3] = later.ohlc[3];
        self.base += later.base;
        self.quote += later.quote;
        self.taker_base += later.taker_base;
        self.taker_quote += later.taker_quote;
        self.count += later.count;
        self.last_qty = later.last_qty;
    }
}

/// The public memory of one market.
#[derive(Debug)]
pub struct MarketFace {
    /// The exchange's name of it.
    pub id: MarketId,
    /// Scales and limits.
    pub instrument: Instrument,
    /// The symbol as stream names spell it.
    pub lower: String,
    /// Decimals of printed prices.
    pub price_scale: u32,
    /// Decimals of printed quantities.
    pub qty_scale: u32,
    /// One for each stream speed.
    pub batches: Vec<Batch>,
    /// The last quote told on `bookTicker`.
    pub told: Option<BookTicker>,
    /// Latest trades, oldest first.
    pub trades: VecDeque<PublicTrade>,
    /// Latest aggregate trades, oldest first.
    pub agg_trades: VecDeque<AggTrade>,
    untold_agg: Option<AggTrade>,
    last_agg_id: u64,
    /// One-minute candles with trades, oldest first.
    pub candles: VecDeque<Candle>,
    /// When candle streams last spoke.
    pub bars_told: Ts,
}

impl MarketFace {
    /// Nothing happened yet.
    #[must_use]
    pub fn new(
        id: MarketId,
        instrument: Instrument,
        scales: Option<u32>,
        speeds: &[Span],
        now: Ts,
    ) -> MarketFace {
        let batches = speeds
            .iter()
            .map(|&every| Batch {
                every,
                next: now + every,
                first: 0,
                last: 0,
                previous_last: 0,
                levels: BTreeMap::new(),
            })
            .collect();
        let decimals = |step: Money| scales.unwrap_or_else(|| step.normalize().scale());
        MarketFace {
            id,
            lower: instrument.symbol.to_lowercase(),
            // Futures print at least two decimals, whatever the tick: precision is not the tick.
            price_scale: decimals(instrument.tick_size).max(2),
            qty_scale: decimals(instrument.lot_size),
            instrument,
            batches,
            told: None,
            trades: VecDeque::new(),
            agg_trades: VecDeque::new(),
            untold_agg: None,
            last_agg_id: 0,
            candles: VecDeque::new(),
            bars_told: now,
        }
    }

    /// A price as printed.
    #[must_use]
    pub fn price(&self, px: Px) -> String {
        fixed(self.instrument.price(px), self.price_scale)
    }

    /// A quantity as printed.
    #[must_use]
    pub fn quantity(&self, qty: Qty) -> String {
        fixed(self.instrument.quantity(qty), self.qty_scale)
    }

    /// Levels as a JSON list of pairs.
    #[must_use]
    pub fn levels(&self, levels: impl IntoIterator<Item = Level>) -> String {
        array(levels.into_iter().map(|level| {
            format!("[\"{}\",\"{}\"]", self.price(level.px), self.quantity(level.qty))
        }))
    }

    /// A level changed.
    pub fn on_depth(&mut self, update_id: u64, side: Side, px: Px, qty: Qty) {
        for batch in &mut self.batches {
            if batch.levels.is_empty() {
                batch.first = update_id;
            }
            batch.last = update_id;
            batch.levels.insert((side, px), qty);
        }
    }

    /// The difference of a speed, when its beat has come and something changed. The flag says
    /// whether the beat has come at all.
    pub fn beat(&mut self, index: usize, now: Ts) -> (bool, Option<Diff>) {
        let batch = &mut self.batches[index];
        if now < batch.next {
            return (false, None);
        }
        while batch.next <= now {
            // After a long sleep the rhythm goes on from now.
            batch.next = (batch.next + batch.every).max(Ts(now.0 - batch.every.0 + 1));
        }
        let changes = std::mem::take(&mut batch.levels);
        if changes.is_empty() {
            return (true, None);
        }
        let (first, last, previous_last) = (batch.first, batch.last, batch.previous_last);
        batch.previous_last = last;
        let of = |wanted: Side| {
            let levels = changes.iter().filter(|((side, _), _)| *side == wanted);
            let mut levels: Vec<Level> =
                levels.map(|((_, px), qty)| Level { px: *px, qty: *qty }).collect();
            if wanted == Side::Buy {
                levels.reverse();
            }
            self.levels(levels)
        };
        let (bids, asks) = (of(Side::Buy), of(Side::Sell));
        (true, Some(Diff { first, last, previous_last, bids, asks }))
    }

    /// When the next difference is due.
    #[must_use]
    pub fn next_beat(&self) -> Ts {
        self.batches.iter().map(|batch| batch.next).min().unwrap_or(Ts::FAR)
    }

    /// A public trade. Returns the aggregate that it closes, if it opens another.
    pub fn on_trade(&mut self, trade: &PublicTrade) -> Option<AggTrade> {
        push(&mut self.trades, *trade, KEPT_TRADES);
        self.on_candle(trade);
        if let Some(agg) = &mut self.untold_agg
            && agg.taker_order_id == trade.taker_order_id
            && trade.taker_order_id != 0
            && agg.px == trade.px
        {
            agg.last = trade.trade_id;
            agg.qty += trade.qty;
            return None;
        }
        let closed = self.close_agg();
        self.last_agg_id += 1;
        self.untold_agg = Some(AggTrade {
            id: self.last_agg_id,
            first: trade.trade_id,
            last: trade.trade_id,
            px: trade.px,
            qty: trade.qty,
            buyer_is_maker: trade.buyer_is_maker,
            at: trade.at,
            taker_order_id: trade.taker_order_id,
        });
        closed
    }

    /// Ends the aggregate that is being collected.
    pub fn close_agg(&mut self) -> Option<AggTrade> {
        let closed = self.untold_agg.take();
        if let Some(agg) = closed {
            push(&mut self.agg_trades, agg, KEPT_TRADES);
        }
        closed
    }

    fn on_candle(&mut self, trade: &PublicTrade) {
        let open_ms = trade.at.ms().div_euclid(60_000) * 60_000;
        let quote = self.instrument.notional(trade.px, trade.qty);
        let taker_bought = !trade.buyer_is_maker;
        let one = Candle {
            open_ms,
            ohlc: [trade.px; 4],
            base: trade.qty,
            quote,
            taker_base: if taker_bought { trade.qty } else { Qty::ZERO },
            taker_quote: if taker_bought { quote } else { Money::ZERO },
            first_id: trade.trade_id,
            count: 1,
            last_qty: trade.qty,
        };
        match self.candles.back_mut() {
            Some(last) if last.open_ms == open_ms => last.merge(&one),
            _ => push(&mut self.candles, one, KEPT_CANDLES),
        }
    }

    /// All candles of the last day as one; `None` before the first trade.
    #[must_use]
    pub fn day(&self, now: Ts) -> Option<Candle> {
        self.span(now.ms() - 86_400_000)
    }

    /// All candles since an instant as one.
    #[must_use]
    pub fn span(&self, since_ms: i64) -> Option<Candle> {
        let mut candles = self.candles.iter().filter(|candle| candle.open_ms + 60_000 > since_ms);
        let mut whole = *candles.next()?;
        candles.for_each(|candle| whole.merge(candle));
        Some(whole)
    }

    /// Candles of a longer interval up to now, oldest first; one without a trade stands at the
    /// last price.
    #[must_use]
    pub fn klines(&self, interval_ms: i64, now: Ts) -> Vec<Candle> {
        // Weeks begin on a Monday, the epoch on a Thursday.
        let shift = if interval_ms == WEEK_MS { 4 * 86_400_000 } else { 0 };
        let open = |ms: i64| (ms - shift).div_euclid(interval_ms) * interval_ms + shift;
        let mut bars: VecDeque<Candle> = VecDeque::new();
        let fill = |bars: &mut VecDeque<Candle>, until_ms: i64| {
            while let Some(last) = bars.back()
                && last.open_ms + interval_ms < until_ms
            {
                let empty = Candle::empty(last.open_ms + interval_ms, last.ohlc[3]);
                push(bars, empty, KEPT_CANDLES);
            }
        };
        for candle in &self.candles {
            let open_ms = open(candle.open_ms);
            match bars.back_mut() {
                Some(bar) if bar.open_ms == open_ms => bar.merge(candle),
                _ => {
                    fill(&mut bars, open_ms);
                    push(&mut bars, Candle { open_ms, ..*candle }, KEPT_CANDLES);
                }
            }
        }
        fill(&mut bars, open(now.ms()) + interval_ms);
        bars.into()
    }

    /// The candles to tell: those that have ended since the last telling, and the running one.
    pub fn bars_to_tell(&self, interval_ms: i64, now: Ts) -> impl Iterator<Item = Candle> {
        let since_ms = self.bars_told.ms();
        let bars = self.klines(interval_ms, now).into_iter();
        bars.filter(move |bar| bar.open_ms + interval_ms > since_ms)
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

const WEEK_MS: i64 = 604_800_000;

/// A candle interval of the venue, ms; `None` when it has no such interval of a minute or more.
#[must_use]
pub fn interval_ms(name: &str) -> Option<i64> {
    let (count, unit) = name.split_at_checked(name.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => WEEK_MS,
        _ => return None,
    };
    let known =
        ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"];
    known.contains(&name).then(|| count.parse::<i64>().unwrap_or(1) * unit_ms)
}
