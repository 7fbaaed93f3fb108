//! From settings to the parameters of the modules below.

use rust_decimal::prelude::ToPrimitive;

use crate::domain::{HaltCause, InstrumentId, Money, Span, VenueId};
use crate::engine;
use crate::inventory::HedgeParams;
use crate::quoting;
use crate::risk::Limits;
use crate::venues::{Protocol, binance};

use super::secrets::Secrets;
use super::settings::{
    InstrumentSettings, IntensityModel, InventoryRisk, LevelSize, Model, Quoting, Role, Settings,
    Target, VenueKind,
};

/// Stands for "no limit of its own" where the quote-unit limit decides.
const UNLIMITED_BASE: i64 = 1_000_000_000_000;

/// What a venue may take for a request that came in at the end of its receive window.
const CARRIED_OUT_WITHIN: Span = Span::from_s(2);

impl Settings {
    /// How long after a process has died its requests may still be carried out at any venue.
    fn request_life(&self) -> Span {
        let windows = self.venues.iter().map(|venue| venue.recv_window + CARRIED_OUT_WITHIN);
        windows.max().unwrap_or_default().min(self.risk.order_unknown_bound)
    }

    /// What the engine is told. `latch` is the halt of an earlier run, if one still holds.
    #[must_use]
    pub fn engine_params(&self, epoch: u32, latch: Option<(HaltCause, String)>) -> engine::Params {
        let (market, quoting, risk) = (&self.market, &self.quoting, &self.risk);
        let defaults = (1.0, 0.5); // only the glft model asks for them, and it must give them
        let (order_arrival_per_s, order_arrival_decay_per_bps) =
            quoting.intensity().unwrap_or(defaults);
        engine::Params {
            mission: engine::Mission::Trade,
            epoch,
            venues: self.venue_params(),
            instruments: self.instruments.iter().map(|i| self.instrument_params(i)).collect(),
            quoting: quoting.params(),
            pace: engine::Pace {
                reprice_threshold_bps: quoting.reprice_threshold.0,
                reprice_min_interval: quoting.reprice_min_interval,
                max_quote_age: quoting.max_quote_age,
                post_fill_pause: quoting.post_fill_pause,
            },
            market: engine::MarketParams {
                max_book_age: market.max_book_age,
                max_spread_bps: market.max_spread.0,
                min_top_quote: market.min_top_quote.to_f64().unwrap_or(0.0),
                max_volatility_bps_sqrt_s: market.max_volatility_bps_sqrt_s,
                assumed_volatility_bps_sqrt_s: market.assumed_volatility_bps_sqrt_s,
                order_arrival_per_s,
                order_arrival_decay_per_bps,
                volatility_half_life: quoting.volatility_half_life,
                warm_up: market.warm_up,
                use_own_order_filter: market.use_own_order_filter,
            },
            signals: self.signals,
            reference: engine::ReferenceParams {
                max_disagreement_bps: self.reference.max_disagreement.0,
                max_age: self.reference.max_age,
                max_move_bps: self.reference.max_move.0,
                move_window: self.reference.move_window,
            },
            fair: self.fair.params(&self.reference),
            estimators: self.estimators.params(quoting.min_half_spread.0),
            hedge: self.hedge_params(),
            risk: engine::RiskParams {
                loss_limit_quote_session: risk.loss_limit_quote_session,
                max_fills_per_minute_side: risk.max_fills_per_minute_side as usize,
                max_rejects_per_10s: risk.max_rejects_per_10s as usize,
                max_clock_offset: risk.max_clock_offset,
                reconcile_interval: risk.reconcile_interval,
                order_unknown_bound: risk.order_unknown_bound,
                request_life: self.request_life(),
                ramp_up: risk.ramp_up,
                ramp_up_from: risk.ramp_up_from_pct / 100.0,
            },
            presence: self.presence,
            capital: self.capital.params(),
            shutdown: engine::ShutdownParams {
                flatten: self.shutdown.flatten,
                deadline: self.shutdown.deadline,
            },
            latch,
        }
    }

    fn venue_params(&self) -> Vec<engine::VenueParams> {
        let params = |venue: &super::Venue| engine::VenueParams {
            name: venue.name.clone(),
            max_orders_per_s: f64::from(venue.max_orders_per_s),
            message_reserve_cancel_pct: f64::from(venue.message_reserve_cancel_pct),
            request_timeout: venue.request_timeout,
        };
        self.venues.iter().map(params).collect()
    }

    fn instrument_params(&self, instrument: &InstrumentSettings) -> engine::InstrumentParams {
        engine::InstrumentParams {
            venue: venue_id(instrument.venue),
            symbol: instrument.symbol.clone(),
            role: match instrument.role {
                Role::Quote => engine::Role::Quote,
                Role::Hedge => engine::Role::Hedge,
            },
            inventory_target_base: match instrument.inventory_target_base {
                Target::Base(base) => Some(base),
                Target::AsFound => None,
            },
            limits: Limits {
                max_order_base: instrument.max_order_base.unwrap_or(Money::from(UNLIMITED_BASE)),
                max_order_quote: instrument.max_order_quote,
                inventory_limit_base: instrument.inventory_limit_base,
                max_open_orders: instrument.max_open_orders,
                price_collar_bps: self.reference.price_collar.0,
                max_net_exposure_quote: self.risk.max_net_exposure_quote,
            },
        }
    }

    /// A single hedge order is as large as its instrument allows.
    fn hedge_params(&self) -> Option<HedgeParams> {
        let hedge = &self.hedge;
        hedge.enabled.then(|| HedgeParams {
            trigger_base: hedge.trigger_base,
            target_base: hedge.target_base,
            max_slippage_bps: Money::try_from(hedge.max_slippage.0).unwrap_or_default(),
            min_interval: hedge.min_interval,
            deadline: hedge.deadline,
            mode: hedge.mode,
            cross: hedge.cross,
            passive: hedge.passive,
            urgent_share: hedge.urgent_exposure_pct / 100.0,
            horizon: hedge.risk_horizon,
        })
    }

    /// One session a venue, with its keys, in the order of the configuration.
    #[must_use]
    pub fn protocols(&self, secrets: &Secrets) -> Vec<Box<dyn Protocol>> {
        let mut protocols = Vec::new();
        for (index, (venue, keys)) in self.venues.iter().zip(&secrets.venues).enumerate() {
            let symbols = self.instruments.iter().enumerate();
            let ours = symbols.filter(|(_, instrument)| instrument.venue == index);
            protocols.push(binance::protocol(binance::Params {
                venue: venue_id(index),
                name: venue.name.clone(),
                product: match venue.kind {
                    VenueKind::BinanceSpot => binance::Product::Spot,
                    VenueKind::BinanceUsdm => binance::Product::UsdM,
                },
                rest_url: venue.rest_url.clone(),
                market_url: venue.market_stream_url.clone(),
                user_url: venue.user_stream_url.clone(),
                credentials: binance::Credentials {
                    key: keys.key.clone(),
                    secret: keys.secret.clone(),
                },
                recv_window_ms: u32::try_from(venue.recv_window.ms()).unwrap_or(5_000),
                prefix: self.environment.order_id_prefix.clone(),
                instruments: ours
                    .map(|(id, i)| (InstrumentId(id as u16), i.symbol.clone()))
                    .collect(),
                dead_man_switch: venue.dead_man_switch,
                max_clock_offset: self.risk.max_clock_offset,
            }));
        }
        protocols
    }
}

/// A venue's place in the configuration; there are 16 at most.
fn venue_id(index: usize) -> VenueId {
    VenueId(u8::try_from(index).expect("a configuration has 16 venues at most"))
}

impl Quoting {
    /// Multiplies every amount in base units: the same quotes for an asset of another price.
    pub fn scale_base(&mut self, scale: f64) {
        if let Model::Intensity { risk: InventoryRisk::StdTargetBase(base), .. } = &mut self.model {
            *base *= scale;
        }
        for level in &mut self.levels {
            if let LevelSize::Base(size) = &mut level.size {
                *size *= Money::try_from(scale).unwrap_or(Money::ONE);
            }
        }
    }

    /// The parameters of `quoting::quote`.
    #[must_use]
    pub fn params(&self) -> quoting::Params {
        let levels: Vec<quoting::LevelParams> = self
            .levels
            .iter()
            .map(|level| quoting::LevelParams {
                offset_bps: level.offset.0,
                size: match level.size {
                    LevelSize::Quote(size) => quoting::Size::Quote(size.to_f64().unwrap_or(0.0)),
                    LevelSize::Base(size) => quoting::Size::Base(size.to_f64().unwrap_or(0.0)),
                },
            })
            .collect();
        let default = quoting::Params::default();
        let (model, risk_aversion, horizon_s) = match self.model {
            Model::Fixed => (quoting::Model::Fixed, default.risk_aversion, None),
            Model::Intensity { which, risk, horizon_s, .. } => {
                let model = match which {
                    IntensityModel::AvellanedaStoikov => quoting::Model::AvellanedaStoikov,
                    IntensityModel::Glft => quoting::Model::Glft,
                    IntensityModel::GlftClosedForm => quoting::Model::GlftClosedForm,
                    IntensityModel::CarteaJaimungal => quoting::Model::CarteaJaimungal,
                };
                let risk = match risk {
                    InventoryRisk::Aversion(gamma) => quoting::RiskAversion::Gamma(gamma),
                    InventoryRisk::StdTargetBase(base) => quoting::RiskAversion::InventoryStd(base),
                    InventoryRisk::RunningPenalty(phi) => {
                        quoting::RiskAversion::RunningPenalty(phi)
                    }
                };
                (model, risk, horizon_s)
            }
        };
        quoting::Params {
            model,
            half_spread_bps: self.half_spread.0,
            min_half_spread_bps: self.min_half_spread.0,
            max_half_spread_bps: self.max_half_spread.0,
            min_edge_bps: self.min_edge.0,
            half_spread_per_volatility: self.half_spread_per_volatility,
            risk_aversion,
            horizon_s,
            assumed_latency_s: self.assumed_latency.seconds(),
            use_funding_carry: self.use_funding_carry,
            cross_asset_skew: self.cross_asset_skew,
            adverse_move_bps: self.adverse_move.0,
            inventory_skew_bps_at_limit: self.inventory_skew_per_limit.0,
            max_skew_bps: self.max_skew.0,
            size_skew: self.size_skew,
            levels,
        }
    }

    /// A and k of the model: arrivals a second at the fair price, and their decay per basis point;
    /// `None` where the model has no use for them.
    #[must_use]
    pub fn intensity(&self) -> Option<(f64, f64)> {
        match self.model {
            Model::Fixed => None,
            Model::Intensity { order_arrival_per_s, order_arrival_decay_per_bps, .. } => {
                Some((order_arrival_per_s, order_arrival_decay_per_bps))
            }
        }
    }
}
