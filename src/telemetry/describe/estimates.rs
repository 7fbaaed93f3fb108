//! What is the market thought to be worth and to do?

use serde_json::{Map, Value};

use super::{Line, Names};
use crate::domain::{FairSource, Note, NoteLevel};

/// Its notes.
pub(super) fn estimates(note: &Note, names: &Names) -> Option<Line> {
    use NoteLevel::{Debug, Info, Warn};
    Some(match note {
        Note::FairSourceChanged { instrument, source, wanted, warming } => {
            let label = names.instrument(*instrument);
            let level = if source == wanted || *warming { Info } else { Warn };
            let words = |source: &FairSource| match source {
                FairSource::Own => "its own book",
                FairSource::Fused => "the fused price",
                FairSource::Leader => "the leader",
            };
            let more = match (source == wanted, *warming) {
                (true, _) => String::new(),
                (false, true) => {
                    format!(" until {} has been watched for long enough", words(wanted))
                }
                (false, false) => format!(", because {} is not to be had", words(wanted)),
            };
            let text = format!("{label}: quoted around {}{more}", words(source));
            Line::new(level, "fair_source", text)
                .with("instrument", label)
                .word("source", source)
                .word("wanted", wanted)
                .floods(label)
        }
        Note::Measured {
            instrument,
            own,
            fused,
            basis_bps,
            weight,
            lead_ratio,
            volatility_fast_bps_sqrt_s,
            volatility_slow_bps_sqrt_s,
            intensity_a_per_s,
            intensity_k_per_bps,
            intensity_r_squared,
            intensity_trusted,
        } => {
            let label = names.instrument(*instrument);
            Line::new(Debug, "measured", format!("{label}: estimates of the market"))
                .with("instrument", label)
                .with("own", *own)
                .with("fused", *fused)
                .with("basis_bps", *basis_bps)
                .with("weight", *weight)
                .with("lead_ratio", *lead_ratio)
                .with("volatility_fast_bps_sqrt_s", *volatility_fast_bps_sqrt_s)
                .with("volatility_slow_bps_sqrt_s", *volatility_slow_bps_sqrt_s)
                .with("intensity_a_per_s", *intensity_a_per_s)
                .with("intensity_k_per_bps", *intensity_k_per_bps)
                .with("intensity_r_squared", *intensity_r_squared)
                .with("intensity_trusted", *intensity_trusted)
        }
        _ => return None,
    })
}

pub(super) fn signals(note: &Note, names: &Names) -> Option<Line> {
    match note {
        Note::SideToxic { instrument, side, expected_bps, earns_bps } => {
            let label = names.instrument(*instrument);
            let words = format!(
                "{label}: {side} side pulled: a fill is expected to lose {expected_bps:.2} bps and \
                 earns {earns_bps:.2}"
            );
            let line = Line::new(NoteLevel::Info, "side_toxic", words)
                .with("instrument", label)
                .word("side", side)
                .with("expected_bps", *expected_bps)
                .with("earns_bps", *earns_bps)
                .floods(&format!("{label} {side}"));
            Some(line)
        }
        Note::Signals { instrument, readings } => {
            let label = names.instrument(*instrument);
            let trusted = readings.iter().filter(|(_, value)| value.is_some()).count();
            let words = format!("{label}: {trusted} of {} signals are trusted", readings.len());
            let line = Line::new(NoteLevel::Debug, "signals", words).with("instrument", label);
            let values: Map<String, Value> =
                readings.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect();
            Some(line.with("readings", Value::Object(values)))
        }
        _ => None,
    }
}
