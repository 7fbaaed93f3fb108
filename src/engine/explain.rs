//! Why are the quotes what they are? Answered where somebody asks, from the next decision itself.

use std::sync::Arc;

use serde::Serialize;

use super::{Engine, LevelView};
use crate::domain::{
    Action, Instrument, InstrumentId, Note, Purpose, Quote, Reason, Side, State, Ts,
};
use crate::quoting::Step;

/// The answer to one question, over all quoted instruments.
#[derive(Clone, Debug, Serialize)]
pub struct Explanations {
    /// How many questions have been answered, this one included.
    #[serde(skip)]
    pub count: u64,
    /// When the explained decisions were made.
    pub at_ns: Ts,
    /// State of the daemon then.
    pub state: State,
    /// Quoted instruments in the order of the configuration.
    pub instruments: Vec<ExplanationView>,
}

/// Why one instrument shows what it shows.
#[derive(Clone, Debug, Serialize)]
pub struct ExplanationView {
    /// Name of its venue.
    pub venue: String,
    /// The venue's symbol.
    pub symbol: String,
    /// Bids.
    pub bid: ExplainedSide,
    /// Asks.
    pub ask: ExplainedSide,
    /// From the inputs to ticks and lots; nothing where a reason stood before all pricing.
    pub steps: Vec<Step>,
}

/// One side of it.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedSide {
    /// Why it is or is not quoting.
    pub reason: Reason,
    /// What the decision wants, best first; the prices and quantities in which the steps end.
    pub wanted: Vec<LevelView>,
    /// What stands for it; within `reprice_threshold` of what is wanted it is left alone.
    pub working: Vec<LevelView>,
}

impl Engine {
    /// The next decisions are to be explained, and made now.
    pub(super) fn ask_why(&mut self) {
        self.explaining = true;
        self.agenda.quote_all_now();
        for desk in &mut self.desks {
            desk.explanation = None;
        }
    }

    /// Answers, once the decisions have been made.
    pub(super) fn tell_why(&mut self, out: &mut Vec<Action>) {
        if !std::mem::take(&mut self.explaining) {
            return;
        }
        for desk in self.quoting_desks() {
            if let Some(explanation) = &desk.explanation {
                let text = explanation.to_string();
                out.push(Action::Note(Note::Explained { instrument: desk.id, text }));
            }
        }
        self.explanations = Some(Arc::new(Explanations {
            count: self.explanations.as_ref().map_or(0, |last| last.count) + 1,
            at_ns: self.now,
            state: self.state,
            instruments: self.quoting_desks().map(|desk| self.explanation_view(desk)).collect(),
        }));
    }

    fn explanation_view(&self, desk: &super::desk::Desk) -> ExplanationView {
        let explanation = desk.explanation.as_ref();
        let level = |listed: &Instrument, Quote { px, qty }| LevelView {
            price: listed.price(px),
            quantity: listed.quantity(qty),
        };
        let levels = |quotes: &mut dyn Iterator<Item = Quote>| {
            let listed = desk.listed.as_ref();
            listed.map_or_else(Vec::new, |listed| quotes.map(|q| level(listed, q)).collect())
        };
        let side = |side: Side| {
            let wanted = explanation.map(|e| e.quotes.sides[side.index()].levels.iter().copied());
            ExplainedSide {
                reason: desk.sides[side.index()].reason,
                wanted: levels(&mut wanted.into_iter().flatten()),
                working: levels(&mut self.working_quotes(desk.id, side)),
            }
        };
        ExplanationView {
            venue: self.venues[desk.venue.index()].name.clone(),
            symbol: desk.params.symbol.clone(),
            bid: side(Side::Buy),
            ask: side(Side::Sell),
            steps: explanation.map_or_else(Vec::new, |explanation| explanation.steps.clone()),
        }
    }

    fn working_quotes(&self, id: InstrumentId, side: Side) -> impl Iterator<Item = Quote> {
        let own = self
            .orders
            .live(id)
            .filter(move |order| order.new.side == side && order.new.purpose == Purpose::Quote);
        own.map(|order| Quote { px: order.px, qty: order.qty })
    }
}
