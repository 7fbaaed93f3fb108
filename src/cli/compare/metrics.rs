//! What is read out of a session, and by which numbers strategies are ordered.

use rust_decimal::prelude::ToPrimitive;

use crate::config::{InventoryRisk, LevelSize, Model, Settings};
use crate::domain::{Money, Span, State};
use crate::engine::Summary;
use crate::quoting::swing::swing;
use crate::sim::FeeTier;
use crate::sim::flow::FlowParams;
use crate::simulate::Session;

/// What it costs to hold inventory: at one γ for all strategies, that of a mean-variance owner who
/// finds the configured target for its standard deviation right in this market.
#[derive(Clone, Copy, Debug)]
pub(super) struct Risk {
    /// γ, per quote unit of result.
    pub(super) aversion_per_quote: f64,
    /// Volatility of the market, bps per √s.
    pub(super) volatility_bps_sqrt_s: f64,
    /// The maker fee at which the quotes of the configuration break even, bps.
    pub(super) fee_quoted_for_bps: f64,
}

impl Risk {
    /// γ = 2·k·m²·A·Z/(e·σ²) for the skew m = z/(2·k·s²) that swings inventory by the target s
    /// with lumps of z (see [`swing`]), where Z is filled for each of the A takers; all of them as
    /// the market has them, not as they are estimated. `None` for settings without a target.
    pub(super) fn of(settings: &Settings) -> Option<Risk> {
        let Model::Intensity { risk: InventoryRisk::StdTargetBase(std_base), .. } =
            settings.quoting.model
        else {
            return None;
        };
        let flow = FlowParams::btc_spot();
        let levels = settings.quoting.levels.iter().map(|level| {
            let size = match level.size {
                LevelSize::Base(base) => base.to_f64().unwrap_or(f64::NAN),
                LevelSize::Quote(quote) => quote.to_f64().unwrap_or(f64::NAN) / flow.start_price,
            };
            (level.offset.0, size)
        });
        // Sweeps are what reaches quotes behind the touch: half of them on each side, of
        // exponential depth.
        let (a, k, sigma) = (flow.sweeps / 2.0, 1.0 / flow.sweep_bps, flow.volatility_bps);
        let swing = swing(levels, k)?;
        let skew = swing.lump_base / (2.0 * k * std_base * std_base);
        let per_bps_and_base =
            2.0 * k * skew * skew * a * swing.flow_base / (std::f64::consts::E * sigma * sigma);
        Some(Risk {
            aversion_per_quote: per_bps_and_base / (flow.start_price * 1e-4),
            volatility_bps_sqrt_s: sigma,
            fee_quoted_for_bps: spot_maker_fee_bps() + settings.quoting.min_edge.0.min(0.0),
        })
    }

    /// γ/2·σ²·E[q²], the running cost of the inventory, quote per hour.
    fn cost_per_hour(self, session: &Session) -> f64 {
        let sigma_quote = self.volatility_bps_sqrt_s * 1e-4 * session.fair_price;
        let variance_per_s = sigma_quote.powi(2) * session.inventory_mean_square_base;
        self.aversion_per_quote / 2.0 * variance_per_s * 3600.0
    }
}

/// A number of a session.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) decimals: usize,
    pub(super) of: fn(&Session, Risk) -> f64,
    /// One of those by which strategies are ordered.
    pub(super) is_headline: bool,
}

/// What a sum of the session gained after the warm-up, an hour.
fn hourly(session: &Session, of: impl Fn(&Summary) -> Money) -> f64 {
    let (warm, end) = (&session.warm, &session.summary);
    let hours = (end.duration_ms - warm.duration_ms).max(1) as f64 / 3_600_000.0;
    (of(end) - of(warm)).to_f64().unwrap_or(f64::NAN) / hours
}

fn before_fees(session: &Session) -> f64 {
    hourly(session, |s| s.parts.total() - s.parts.fees)
}

fn hedge_fees(session: &Session) -> f64 {
    hourly(session, |s| s.hedging.fees_quote)
}

/// What the local exchange charges for a spot fill that rested, bps.
pub(super) fn spot_maker_fee_bps() -> f64 {
    FeeTier::spot_vip0().maker.to_f64().unwrap_or(f64::NAN) * 1e4
}

/// The result if a quote's fill cost what the quotes reckon with, and hedges what they did.
///
/// With an edge below zero quotes are as near as if the maker fee were lower by it: that is the
/// fee at which they are right.
fn as_quoted_for(session: &Session, risk: Risk) -> f64 {
    let spot_fees = -hourly(session, |s| s.parts.fees) - hedge_fees(session);
    let spot_volume = spot_fees / spot_maker_fee_bps();
    before_fees(session) - hedge_fees(session) - spot_volume * risk.fee_quoted_for_bps
}

/// Realised half-spread so many seconds after the fill, of bids (0) or asks (1).
fn markout(session: &Session, seconds: i64, side: usize) -> f64 {
    let found = session.markouts.iter().find(|markout| markout.horizon == Span::from_s(seconds));
    found.map_or(f64::NAN, |markout| [markout.bid.bps, markout.ask.bps][side])
}

const fn metric(name: &'static str, decimals: usize, of: fn(&Session, Risk) -> f64) -> Metric {
    Metric { name, decimals, of, is_headline: false }
}

const fn headline(name: &'static str, decimals: usize, of: fn(&Session, Risk) -> f64) -> Metric {
    Metric { name, decimals, of, is_headline: true }
}

/// All of them, in the order in which they are told.
pub(super) const METRICS: &[Metric] =
    &[
        headline("result before fees, quote/h", 2, |s, _| before_fees(s)),
        headline("result at the fee quoted for, quote/h", 2, as_quoted_for),
        headline("result at VIP 0 fees, quote/h", 2, |s, _| hourly(s, |s| s.profit_quote)),
        metric("- spread capture, quote/h", 2, |s, _| hourly(s, |s| s.parts.spread_capture)),
        metric("- inventory, quote/h", 2, |s, _| hourly(s, |s| s.parts.inventory)),
        metric("- hedge fills against the mark, quote/h", 2, |s, _| hourly(s, |s| s.parts.hedge)),
        metric("- VIP 0 fees, quote/h", 2, |s, _| hourly(s, |s| s.parts.fees)),
        metric("- of them for hedges, quote/h", 2, |s, _| -hedge_fees(s)),
        headline("inventory std, mBTC", 3, |s, _| s.inventory_std_base * 1e3),
        headline("inventory max, mBTC", 2, |s, _| s.inventory_max_base * 1e3),
        headline("max capital at risk, quote", 2, |s, _| s.max_capital_at_risk_quote),
        metric("inventory risk, quote/h", 2, |s, risk| risk.cost_per_hour(s)),
        headline("utility before fees, quote/h", 2, |s, risk| {
            before_fees(s) - risk.cost_per_hour(s)
        }),
        headline("utility at the fee quoted for, quote/h", 2, |s, risk| {
            as_quoted_for(s, risk) - risk.cost_per_hour(s)
        }),
        headline("markout of bids after 1 s, bps", 3, |s, _| markout(s, 1, 0)),
        headline("markout of asks after 1 s, bps", 3, |s, _| markout(s, 1, 1)),
        headline("markout of bids after 5 s, bps", 3, |s, _| markout(s, 5, 0)),
        headline("markout of asks after 5 s, bps", 3, |s, _| markout(s, 5, 1)),
        metric("half-spread quoted, bps", 3, |s, _| s.half_spread_bps),
        metric("A quoted with, 1/s", 3, |s, _| s.arrivals[0]),
        metric("k quoted with, 1/bps", 3, |s, _| s.arrivals[1]),
        metric("volatility quoted with, bps/√s", 3, |s, _| s.volatility_bps_sqrt_s),
        metric("maker fills/h", 0, |s, _| hourly(s, |s| s.maker_fills.into())),
        metric("maker volume, quote/h", 0, |s, _| hourly(s, |s| s.maker_volume_quote)),
        metric("hedges/h", 1, |s, _| hourly(s, |s| s.hedging.hedges.into())),
        metric("uptime of bids, %", 2, |s, _| s.uptime[0] * 100.0),
        metric("uptime of asks, %", 2, |s, _| s.uptime[1] * 100.0),
        metric("sessions that ended halted, %", 0, |s, _| {
            if s.state == State::Halted { 100.0 } else { 0.0 }
        }),
    ];
