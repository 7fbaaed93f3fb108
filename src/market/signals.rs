//! Everything read out of one instrument's books and trades, in one place: the fair price, where
//! it is going, and how dangerous it is to be filled.

use serde::{Deserialize, Serialize};

use crate::domain::{Side, Span, Trade, Ts};

use super::order_flow::Ladder;
use super::toxicity::{VPIN_BUCKETS, informed_quotes};
use super::{
    Alpha, AlphaView, Expected, KyleLambda, MicroPrice, OrderFlow, Touch, TouchFills, TradeFlow,
    Vpin, fading_imbalance, imbalance,
};

/// What stands for the price itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FairPrice {
    /// Half-way between best bid and ask.
    Mid,
    /// Leaning to the thinner side.
    WeightedMid,
    /// Stoikov's micro-price; the weighted mid until it is calibrated.
    MicroPrice,
}

/// What the fair price is expected to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaSignal {
    /// Imbalance of the touch.
    Imbalance,
    /// Imbalance of five levels, nearer ones weighing more.
    DepthImbalance,
    /// Order flow over five levels.
    OrderFlow,
    /// Balance of takers.
    TradeFlow,
}

/// How the signals of an instrument are measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalParams {
    /// What stands for the price itself.
    pub fair_price: FairPrice,
    /// What it is expected to follow; `None`: nothing.
    pub alpha: Option<AlphaSignal>,
    /// How far ahead, and how long fills are followed.
    pub horizon: Span,
    /// Alpha is cut here, and a micro-price this far beyond the touch, bps.
    pub max_alpha_bps: f64,
}

impl Default for SignalParams {
    fn default() -> SignalParams {
        SignalParams {
            fair_price: FairPrice::WeightedMid,
            alpha: None,
            horizon: Span::from_s(1),
            max_alpha_bps: 2.0,
        }
    }
}

/// A level counts this share of the one before it in the imbalance of depth.
const DEPTH_DECAY: f64 = 0.5;

/// A number and whether it may be acted upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// The number; `None` where there is none yet.
    pub value: Option<f64>,
    /// It has seen enough.
    pub trusted: bool,
}

impl Reading {
    fn of(value: Option<f64>) -> Reading {
        Reading { value, trusted: value.is_some() }
    }
}

/// All signals of an instrument now, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SignalsView {
    /// Micro-price against the mid, bps.
    pub micro_price_bps: Reading,
    /// Imbalance of the touch, own orders left out, −1 to 1.
    pub imbalance: Reading,
    /// Imbalance of five levels, −1 to 1.
    pub depth_imbalance: Reading,
    /// Order flow at the touch, in mean depths of a level.
    pub order_flow: Reading,
    /// Order flow over five levels, in mean depths of a level.
    pub depth_order_flow: Reading,
    /// Balance of takers, −1 to 1.
    pub trade_flow: Reading,
    /// Expected return of the fair price; absent when it is off.
    pub alpha: Option<AlphaView>,
    /// What of it moves the prices that are quoted around this book's, bps.
    pub alpha_used_bps: f64,
    /// VPIN, 0 to 1.
    pub vpin: Reading,
    /// Its rank among its past, 0 to 1.
    pub toxicity_percentile: Reading,
    /// Kyle's λ: move of the mid per base unit taken, bps.
    pub kyle_lambda_bps_per_base: Reading,
    /// Half-spread that breaks even if VPIN is the share of the informed and what they know is
    /// one standard deviation of the horizon (Glosten–Milgrom), bps.
    pub informed_half_spread_bps: Reading,
    /// Expected move against a bid, then an ask, filled at the touch with the book as it is, bps.
    pub touch_adverse_bps: [Reading; 2],
}

impl SignalsView {
    /// Every signal by name.
    #[must_use]
    pub fn readings(&self) -> [(&'static str, Reading); 13] {
        let trusted = self.alpha.is_some_and(|alpha| alpha.trusted);
        [
            ("micro_price_bps", self.micro_price_bps),
            ("imbalance", self.imbalance),
            ("depth_imbalance", self.depth_imbalance),
            ("order_flow", self.order_flow),
            ("depth_order_flow", self.depth_order_flow),
            ("trade_flow", self.trade_flow),
            ("alpha_bps", Reading { value: Some(self.alpha_used_bps), trusted }),
            ("vpin", self.vpin),
            ("toxicity_percentile", self.toxicity_percentile),
            ("kyle_lambda_bps_per_base", self.kyle_lambda_bps_per_base),
            ("informed_half_spread_bps", self.informed_half_spread_bps),
            ("touch_adverse_bid_bps", self.touch_adverse_bps[0]),
            ("touch_adverse_ask_bps", self.touch_adverse_bps[1]),
        ]
    }
}

/// The signals of one instrument.
#[derive(Clone, Debug)]
pub struct Signals {
    params: SignalParams,
    touch: Option<Touch>,
    imbalance: Option<f64>,
    depth_imbalance: Option<f64>,
    micro: MicroPrice,
    flow: OrderFlow,
    alpha: Alpha,
    vpin: Vpin,
    kyle: KyleLambda,
    fills: TouchFills,
}

impl Signals {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(params: SignalParams) -> Signals {
        Signals {
            params,
            touch: None,
            imbalance: None,
            depth_imbalance: None,
            micro: MicroPrice::default(),
            flow: OrderFlow::new(params.horizon),
            alpha: Alpha::new(params.horizon),
            vpin: Vpin::new(None, VPIN_BUCKETS),
            kyle: KyleLambda::default(),
            fills: TouchFills::new(params.horizon),
        }
    }

    /// Takes other settings for what is done with signals. Which forecast is learnt, and over what
    /// time, stays: what has been learnt would mean something else.
    pub fn retune(&mut self, params: SignalParams) {
        self.params =
            SignalParams { alpha: self.params.alpha, horizon: self.params.horizon, ..params };
    }

    /// The book has changed: its touch and its best levels, own orders left out of both, and the
    /// flow of takers so far.
    pub fn observe_book(&mut self, now: Ts, touch: &Touch, ladder: &Ladder, takers: &TradeFlow) {
        if touch.is_crossed() {
            return;
        }
        self.touch = Some(*touch);
        self.imbalance = imbalance(touch.bid.qty.0 as f64, touch.ask.qty.0 as f64);
        self.depth_imbalance = faded(ladder);
        self.micro.observe(now, touch);
        self.flow.observe(now, *ladder);
        let mid = touch.mid_ticks();
        self.kyle.mid(now, mid);
        self.fills.observe(now, mid, self.imbalance.unwrap_or(f64::NAN));
        if let Some(signal) = self.params.alpha {
            let signal = match signal {
                AlphaSignal::Imbalance => self.imbalance,
                AlphaSignal::DepthImbalance => self.depth_imbalance,
                AlphaSignal::OrderFlow => self.flow.all_levels(),
                AlphaSignal::TradeFlow => takers.last().map(|_| takers.imbalance()),
            };
            let fair = self.fair_ticks(touch);
            self.alpha.observe(now, signal.unwrap_or(f64::NAN), fair, mid);
        }
    }

    /// A public trade that was found to be near the market.
    pub fn observe_trade(&mut self, now: Ts, trade: &Trade) {
        let lots = trade.qty.0 as f64;
        self.vpin.observe(trade.aggressor, lots);
        self.kyle.trade(now, trade.aggressor, lots);
        self.fills.trade(now, trade.aggressor, trade.at);
    }

    /// The book was lost: what is counted between two books is no change of either.
    pub fn interrupt(&mut self) {
        self.touch = None;
        (self.imbalance, self.depth_imbalance) = (None, None);
        self.micro.interrupt();
        self.flow.interrupt();
        self.alpha.interrupt();
        self.kyle.interrupt();
        self.fills.interrupt();
    }

    /// The fair price before alpha, ticks.
    #[must_use]
    pub fn fair_ticks(&self, touch: &Touch) -> f64 {
        match self.params.fair_price {
            FairPrice::Mid => touch.mid_ticks(),
            FairPrice::WeightedMid => touch.weighted_mid_ticks(),
            FairPrice::MicroPrice => match self.micro.price_ticks(touch) {
                Some(micro) => {
                    let mid = touch.mid_ticks();
                    let half_spread = 0.5 * touch.spread_ticks() as f64;
                    let reach = half_spread + self.params.max_alpha_bps * 1e-4 * mid;
                    micro.clamp(mid - reach, mid + reach)
                }
                None => touch.weighted_mid_ticks(),
            },
        }
    }

    /// What alpha moves a price quoted around this book's by, bps; zero while it is off or not trusted.
    #[must_use]
    pub fn alpha_bps(&self) -> f64 {
        if self.params.alpha.is_none() {
            return 0.0;
        }
        let most = self.params.max_alpha_bps;
        self.alpha.view().bps.clamp(-most, most)
    }

    /// Rank of the toxicity of recent flow, 0 to 1; `None` until it is known.
    #[must_use]
    pub fn toxicity_percentile(&self) -> Option<f64> {
        self.vpin.percentile()
    }

    /// From now on quotes stand around a fair price so far above the mid, bps.
    pub fn quoted_around(&mut self, lean_bps: f64) {
        self.fills.lean(lean_bps);
    }

    /// Expected move of the mid past the fair price, against a quote of that side filled at the
    /// touch now.
    #[must_use]
    pub fn touch_adverse(&self, side: Side) -> Option<Expected> {
        self.fills.expected(side)
    }

    /// Everything for operators; a lot in base units scales Kyle's λ, the volatility (bps per √s)
    /// says what the informed could know.
    #[must_use]
    pub fn view(
        &self,
        lot_base: Option<f64>,
        volatility: Option<f64>,
        takers: &TradeFlow,
    ) -> SignalsView {
        let micro = self.touch.as_ref().and_then(|touch| {
            Some((self.micro.price_ticks(touch)? / touch.mid_ticks() - 1.0) * 1e4)
        });
        let known = volatility.map(|sigma| sigma * self.params.horizon.seconds().sqrt());
        let informed = known.zip(self.vpin.vpin()).and_then(|(known, share)| {
            informed_quotes(share, -known, known, 0.5).map(|[bid, ask]| 0.5 * (ask - bid))
        });
        let kyle = self.kyle.bps_per_unit().zip(lot_base).map(|(slope, lot)| slope / lot);
        SignalsView {
            micro_price_bps: Reading::of(micro),
            imbalance: Reading::of(self.imbalance),
            depth_imbalance: Reading::of(self.depth_imbalance),
            order_flow: Reading::of(self.flow.best()),
            depth_order_flow: Reading::of(self.flow.all_levels()),
            trade_flow: Reading::of(takers.last().map(|_| takers.imbalance())),
            alpha: self.params.alpha.map(|_| self.alpha.view()),
            alpha_used_bps: self.alpha_bps(),
            vpin: Reading::of(self.vpin.vpin()),
            toxicity_percentile: Reading::of(self.vpin.percentile()),
            kyle_lambda_bps_per_base: Reading::of(kyle.filter(|slope| slope.is_finite())),
            informed_half_spread_bps: Reading::of(informed),
            touch_adverse_bps: Side::BOTH
                .map(|side| Reading::of(self.touch_adverse(side).map(|expected| expected.bps))),
        }
    }
}

/// Imbalance of the levels there are, without memory from the heap.
fn faded(ladder: &Ladder) -> Option<f64> {
    let empty = crate::domain::Level { px: crate::domain::Px(0), qty: crate::domain::Qty::ZERO };
    let [bids, asks] = ladder.map(|side| side.map(|level| level.unwrap_or(empty)));
    fading_imbalance(&bids, &asks, DEPTH_DECAY)
}
