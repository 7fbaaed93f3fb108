//! What do the estimators of each quoted instrument say, once a second?

use prometheus_client::registry::Registry;

use super::{Labels, Level};
use crate::domain::{FairSource, Note};
use crate::telemetry::Names;

/// Gauges by instrument; one that has no value now is not a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimates {
    source: Level,
    own: Level,
    fused: Level,
    basis: Level,
    weight: Level,
    lead: Level,
    volatility: Level,
    arrival: Level,
    decay: Level,
    r_squared: Level,
    trusted: Level,
}

impl Estimates {
    pub(super) fn register(&self, r: &mut Registry) {
        let mut put = |name: &str, help: &str, level: &Level| r.register(name, help, level.clone());
        put("evenkeel_fair_source", "1 for the price that quotes stand around", &self.source);
        put("evenkeel_fair_own_quote", "Fair price of the own book, quote per base", &self.own);
        put("evenkeel_fair_fused_quote", "Fused fair price, quote per base", &self.fused);
        put("evenkeel_fair_basis_bps", "Slow basis to the common price", &self.basis);
        put("evenkeel_fair_weight", "Share in the fused price, 0 to 1", &self.weight);
        put(
            "evenkeel_lead_lag_ratio",
            "Above 1 when the reference instrument moves first",
            &self.lead,
        );
        put(
            "evenkeel_volatility_bps_sqrt_s",
            "Volatility by estimator, basis points per root second",
            &self.volatility,
        );
        put("evenkeel_intensity_a_per_s", "Arrivals a second at depth zero", &self.arrival);
        put("evenkeel_intensity_k_per_bps", "Decay of arrivals per basis point", &self.decay);
        put(
            "evenkeel_intensity_r_squared",
            "Share of variance that the fit of arrivals explains",
            &self.r_squared,
        );
        put("evenkeel_intensity_trusted", "1 while the fit is used", &self.trusted);
    }

    pub(super) fn count(&self, note: &Note, names: &Names) {
        match note {
            Note::FairSourceChanged { instrument, source, .. } => {
                for each in FairSource::ALL {
                    let labels = vec![
                        ("instrument", names.instrument(*instrument).to_owned()),
                        ("source", super::word(&each)),
                    ];
                    set(&self.source, &labels, Some(f64::from(u8::from(each == *source))));
                }
            }
            Note::Measured {
                instrument,
                own,
                fused,
                basis_bps,
                weight,
                lead_ratio,
                volatility_fast_bps_sqrt_s: fast,
                volatility_slow_bps_sqrt_s: slow,
                intensity_a_per_s,
                intensity_k_per_bps,
                intensity_r_squared,
                intensity_trusted,
            } => {
                let at = vec![("instrument", names.instrument(*instrument).to_owned())];
                let by = |estimator: &str| {
                    let mut labels = at.clone();
                    labels.push(("estimator", estimator.to_owned()));
                    labels
                };
                set(&self.own, &at, *own);
                set(&self.fused, &at, *fused);
                set(&self.basis, &at, *basis_bps);
                set(&self.weight, &at, Some(*weight));
                set(&self.lead, &at, *lead_ratio);
                set(&self.volatility, &by("fast"), *fast);
                set(&self.volatility, &by("slow"), *slow);
                set(&self.arrival, &at, Some(*intensity_a_per_s));
                set(&self.decay, &at, Some(*intensity_k_per_bps));
                set(&self.r_squared, &at, *intensity_r_squared);
                set(&self.trusted, &at, Some(f64::from(u8::from(*intensity_trusted))));
            }
            _ => {}
        }
    }
}

fn set(level: &Level, labels: &Labels, value: Option<f64>) {
    level.get_or_create(labels).set(value.unwrap_or(f64::NAN));
}
