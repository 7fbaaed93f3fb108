//! How fast does the whole daemon answer what happened to it? From the frame that brought a fill
//! to the quotes that answer it, and from exposure past its edge to the hedge, both written.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::super::metrics::{self, Reactions as Shown};
use crate::domain::{Action, InstrumentId, Note, Purpose, ReactionTimes};

/// What is not answered by then no longer counts as its answer.
const UNANSWERED: Duration = Duration::from_secs(10);

/// Reaction times over the run.
pub(super) struct Reactions {
    /// The oldest fill that no quote has answered yet.
    filled: Option<(InstrumentId, Instant)>,
    requotes: Histogram<u64>,
    hedges: Histogram<u64>,
    shown: Shown,
}

impl Reactions {
    pub(super) fn new(shown: Shown) -> Reactions {
        Reactions {
            filled: None,
            requotes: metrics::latency_histogram(),
            hedges: metrics::latency_histogram(),
            shown,
        }
    }

    /// What one step did about a batch heard at `heard`, its requests written at `written`. `owed`
    /// says whether quotes of an instrument are still held back: where none are, the quotes that
    /// stand are still right, and a later change answers something else.
    pub(super) fn on_step(
        &mut self,
        heard: Instant,
        written: Instant,
        actions: &[Action],
        owed: impl Fn(InstrumentId) -> bool,
    ) {
        for action in actions {
            match action {
                Action::Note(Note::Filled {
                    instrument, purpose: Some(Purpose::Quote), ..
                }) => {
                    self.filled.get_or_insert((*instrument, heard));
                }
                Action::Note(Note::HedgeStarted { waited_ms: Some(waited), .. }) => {
                    let waited = Duration::from_millis(u64::try_from(*waited).unwrap_or(0));
                    let took = waited + written.saturating_duration_since(heard);
                    metrics::record(&mut self.hedges, took.as_nanos());
                    self.shown.hedges.observe(took.as_secs_f64());
                }
                _ => {}
            }
        }
        if let Some((instrument, heard)) = self.filled {
            let took = written.saturating_duration_since(heard);
            if actions.iter().any(|action| requotes(action, instrument)) {
                self.filled = None;
                metrics::record(&mut self.requotes, took.as_nanos());
                self.shown.requotes.observe(took.as_secs_f64());
            } else if took > UNANSWERED || !owed(instrument) {
                self.filled = None;
            }
        }
    }

    /// Median, 99th percentile and count of both.
    pub(super) fn status(&self) -> ReactionTimes {
        let us = |histogram: &Histogram<u64>, quantile| {
            histogram.value_at_quantile(quantile) as f64 / 1000.0
        };
        ReactionTimes {
            fill_to_requote_p50_us: us(&self.requotes, 0.5),
            fill_to_requote_p99_us: us(&self.requotes, 0.99),
            fill_to_requote_count: self.requotes.len(),
            edge_to_hedge_p50_us: us(&self.hedges, 0.5),
            edge_to_hedge_p99_us: us(&self.hedges, 0.99),
            edge_to_hedge_count: self.hedges.len(),
        }
    }
}

/// Whether it puts another quote of that instrument in place.
fn requotes(action: &Action, instrument: InstrumentId) -> bool {
    match action {
        Action::Place(order) => order.instrument == instrument && order.purpose == Purpose::Quote,
        Action::Amend(amend) => amend.instrument == instrument,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Amend, Liquidity, Money, OrderId, Px, Qty, Side};

    #[test]
    fn a_fill_is_answered_by_the_next_quote_of_its_instrument() {
        let mut reactions = Reactions::new(Shown::default());
        let began = crate::live::clock::instant();
        let at = |ms| began + Duration::from_millis(ms);
        let fill = Action::Note(Note::Filled {
            instrument: InstrumentId(0),
            id: None,
            side: Side::Buy,
            px: Px(1),
            qty: Qty(1),
            liquidity: Liquidity::Maker,
            fee_quote: Money::ZERO,
            position: Qty(1),
            purpose: Some(Purpose::Quote),
        });
        let amend = |instrument| {
            let id = OrderId { epoch: 1, counter: 1 };
            Action::Amend(Amend { id, instrument, side: Side::Buy, px: Px(1), qty: Qty(1) })
        };
        reactions.on_step(at(0), at(1), &[fill.clone(), amend(InstrumentId(1))], |_| true);
        assert_eq!(reactions.status().fill_to_requote_count, 0, "another instrument's");
        reactions.on_step(at(4), at(5), &[amend(InstrumentId(0))], |_| false);
        let status = reactions.status();
        assert_eq!(status.fill_to_requote_count, 1);
        assert!((status.fill_to_requote_p50_us / 5000.0 - 1.0).abs() < 0.02, "{status:?}");
        // Nothing was to be changed for this one: what is changed later answers something else.
        reactions.on_step(at(6), at(7), &[fill], |_| false);
        reactions.on_step(at(8), at(9), &[amend(InstrumentId(0))], |_| false);
        assert_eq!(reactions.status().fill_to_requote_count, 1);
        let hedge = Action::Note(Note::HedgeStarted {
            instrument: InstrumentId(1),
            side: Side::Sell,
            qty: Qty(1),
            exposure_base: 1.0,
            waited_ms: Some(20),
        });
        reactions.on_step(at(10), at(11), &[hedge], |_| false);
        assert!((reactions.status().edge_to_hedge_p99_us / 21_000.0 - 1.0).abs() < 0.02);
    }
}
