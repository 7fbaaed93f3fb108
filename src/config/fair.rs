//! The `[fair]` and `[estimators]` sections: around which price quotes stand, and how volatility
//! and intensity are measured.

use crate::domain::{InstrumentId, Span};
use crate::engine::{EstimatorParams, FairFrom, FairParams};
use crate::market::{ArrivalEstimator, FusionParams, SlowEstimator, SlowVolatilityParams};

use super::reader::Table;
use super::settings::{InstrumentSettings, Reference, Role, Venue};

/// One price counts as at most this many times the motion expected within a bar.
const MAX_MOVE_RATIO: f64 = 10.0;

/// `[fair]`: around which price quotes stand.
#[derive(Clone, Debug)]
pub struct Fair {
    /// The own book, all books fused, or a leader's book.
    pub source: FairFrom,
    /// Half-life of each instrument's basis.
    pub basis_half_life: Span,
    /// Time that an instrument is watched before its basis is believed.
    pub warm_up: Span,
    /// A source that failed counts again after this long in order.
    pub failback: Span,
}

/// `[estimators]`: how volatility and intensity are measured.
#[derive(Clone, Debug)]
pub struct Estimators {
    /// What watches volatility over a window beside the fast average; `None` is off.
    pub slow_volatility: Option<SlowEstimator>,
    /// That window.
    pub slow_volatility_window: Span,
    /// How A and k are found.
    pub order_arrival: ArrivalEstimator,
}

/// Read `[fair]`; what is wrong has been reported to the table's sink.
pub(super) fn fair(table: Table<'_>, venues: &[Venue], instruments: &[InstrumentSettings]) -> Fair {
    let fair = Fair {
        source: source(&table, venues, instruments),
        basis_half_life: Span::from_s(table.whole("basis_half_life_s", 1..86_400, 300)),
        warm_up: Span::from_s(table.whole("warm_up_s", 1..3_600, 30)),
        failback: Span::from_s(table.whole("failback_s", 0..3_600, 10)),
    };
    table.finish();
    fair
}

fn source(table: &Table<'_>, venues: &[Venue], instruments: &[InstrumentSettings]) -> FairFrom {
    let word = table.or("source", "own".to_owned());
    let name = |instrument: &InstrumentSettings| {
        let venue = venues.get(instrument.venue).map_or("?", |venue| venue.name.as_str());
        format!("{venue}:{}", instrument.symbol)
    };
    match word.as_str() {
        "own" => return FairFrom::Own,
        "fused" => {
            if instruments.len() < 2 {
                table.problem("source", "is \"fused\"; that needs at least two [[instruments]]");
            }
            return FairFrom::Fused;
        }
        _ => {}
    }
    let Some(at) = instruments.iter().position(|instrument| name(instrument) == word) else {
        let names: Vec<String> = instruments.iter().map(name).collect();
        let text = format!(
            "is {word:?}; allowed are \"own\", \"fused\" and the instruments of this file: {}",
            names.join(", ")
        );
        table.problem("source", text);
        return FairFrom::Own;
    };
    let others = instruments.iter().enumerate().any(|(i, o)| i != at && o.role == Role::Quote);
    if !others {
        table.problem("source", format!("is {word:?}, the only instrument that is quoted"));
    }
    FairFrom::Leader(InstrumentId(u16::try_from(at).unwrap_or_default()))
}

/// Read `[estimators]`; what is wrong has been reported to the table's sink.
pub(super) fn estimators(table: Table<'_>) -> Estimators {
    let slow = [
        ("none", None),
        ("two_scales", Some(SlowEstimator::TwoScales)),
        ("pre_averaged", Some(SlowEstimator::PreAveraged)),
        ("parkinson", Some(SlowEstimator::Parkinson)),
        ("garman_klass", Some(SlowEstimator::GarmanKlass)),
        ("rogers_satchell", Some(SlowEstimator::RogersSatchell)),
    ];
    let arrival = [
        ("likelihood", ArrivalEstimator::Likelihood),
        ("regression", ArrivalEstimator::Regression),
        ("waiting_times", ArrivalEstimator::WaitingTimes),
    ];
    let window = Span::from_s(table.whole("slow_volatility_window_s", 10..86_400, 300));
    let estimators = Estimators {
        slow_volatility: table.choice("slow_volatility", &slow, true),
        slow_volatility_window: window,
        order_arrival: table.choice("order_arrival", &arrival, true),
    };
    if estimators.slow_volatility.is_none() && table.has("slow_volatility_window_s") {
        table.problem("slow_volatility_window_s", "is of no use without slow_volatility");
    }
    table.finish();
    estimators
}

impl Fair {
    /// What the engine is told.
    #[must_use]
    pub fn params(&self, reference: &Reference) -> FairParams {
        FairParams {
            from: self.source,
            fusion: FusionParams {
                basis_half_life: self.basis_half_life,
                warm_up: self.warm_up,
                failback: self.failback,
                max_disagreement_bps: reference.max_disagreement.0,
            },
        }
    }
}

impl Estimators {
    /// What the engine is told, given the least half-spread: arrivals nearer than half of it never
    /// meet a quote.
    #[must_use]
    pub fn params(&self, min_half_spread_bps: f64) -> EstimatorParams {
        EstimatorParams {
            slow_volatility: self.slow_volatility.map(|estimator| SlowVolatilityParams {
                estimator,
                window: self.slow_volatility_window,
                max_move_ratio: MAX_MOVE_RATIO,
            }),
            order_arrival: self.order_arrival,
            order_arrival_from_bps: min_half_spread_bps * 0.5,
        }
    }
}
