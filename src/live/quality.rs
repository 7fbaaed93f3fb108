//! How good the quotes were, as Prometheus has it: markouts and presence, read off the last
//! snapshot when somebody asks.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::engine::{InstrumentView, Status};

type Labels = Vec<(&'static str, String)>;
type Level = Family<Labels, Gauge<f64, AtomicU64>>;

/// Gauges by instrument.
pub(super) struct Quality {
    presence: Level,
    presence_spread: Level,
    scores: Level,
    markout: Level,
    markout_error: Level,
    effective: Level,
    markout_fills: Level,
}

impl Quality {
    pub(super) fn register(registry: &Arc<Mutex<Registry>>) -> Quality {
        let mut guard = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut level = |name: &str, help: &str| {
            let level = Level::default();
            guard.register(name, help, level.clone());
            level
        };
        Quality {
            presence: level(
                "evenkeel_presence_ratio",
                "Share of the time, or of snapshots, with quotes that a programme counts",
            ),
            presence_spread: level(
                "evenkeel_presence_spread_bps",
                "Spread of ours while two-sided, time-weighted, basis points",
            ),
            scores: level("evenkeel_presence_score", "Scores by programmes' published formulae"),
            markout: level(
                "evenkeel_markout_bps",
                "Realised half-spread of maker fills some time later, before fees, basis points",
            ),
            markout_error: level(
                "evenkeel_markout_standard_error_bps",
                "Standard error of evenkeel_markout_bps",
            ),
            effective: level(
                "evenkeel_effective_half_spread_bps",
                "Effective half-spread of the fills in evenkeel_markout_bps, basis points",
            ),
            markout_fills: level("evenkeel_markout_fills", "Fills in evenkeel_markout_bps"),
        }
    }

    pub(super) fn show(&self, status: &Status) {
        for own in &status.instruments {
            self.show_instrument(own);
        }
    }

    fn show_instrument(&self, own: &InstrumentView) {
        let instrument = ("instrument", format!("{}:{}", own.venue, own.symbol));
        let with = |key: &'static str, word: &str| -> Labels {
            vec![instrument.clone(), (key, word.to_owned())]
        };
        if let Some(presence) = own.presence {
            let shares = [
                ("two_sided", Some(presence.two_sided)),
                ("bid", Some(presence.bid)),
                ("ask", Some(presence.ask)),
                ("absent", Some(presence.absent)),
                ("snapshots", presence.snapshots_two_sided),
            ];
            for (kind, share) in shares {
                if let Some(share) = share {
                    self.presence.get_or_create_owned(&with("kind", kind)).set(share);
                }
            }
            if let Some(bps) = presence.spread_bps {
                self.presence_spread.get_or_create_owned(&vec![instrument.clone()]).set(bps);
            }
            let scores = [
                ("bybit_2021", presence.scores.bybit_2021),
                ("injective", presence.scores.injective),
                ("dydx", presence.scores.dydx_points),
            ];
            for (programme, score) in scores {
                self.scores.get_or_create_owned(&with("programme", programme)).set(score);
            }
        }
        for markout in &own.markouts {
            for (side, mean) in [("bid", &markout.bid), ("ask", &markout.ask)] {
                let mut labels = with("side", side);
                labels.push(("horizon_ms", markout.horizon.ms().to_string()));
                self.markout_fills.get_or_create_owned(&labels).set(mean.fills as f64);
                if mean.fills > 0 {
                    self.markout.get_or_create_owned(&labels).set(mean.bps);
                    self.effective.get_or_create_owned(&labels).set(mean.effective_bps);
                }
                if let Some(bps) = mean.standard_error_bps {
                    self.markout_error.get_or_create_owned(&labels).set(bps);
                }
            }
        }
    }
}
