//! A seeded crowd.

use crate::domain::{Instrument, Ts};

use super::api::MarketId;
use super::matcher::Matcher;
use super::source::Intent;

/// What a synthetic market is like.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowParams {
    /// Price at the start, in quote per base.
    pub start_price: f64,
}

#[derive(Debug)]
pub(crate) struct Flow {}

impl Flow {
    pub(crate) fn new(_: Vec<(MarketId, Instrument, FlowParams)>, _: u64, _: Ts) -> Flow {
        Flow {}
    }
    pub(crate) fn due(&self) -> Ts {
        Ts::FAR
    }
    pub(crate) fn step<'a>(
        &mut self,
        _: Ts,
        _: &dyn Fn(MarketId) -> &'a Matcher,
        _: &mut Vec<(MarketId, Intent)>,
    ) {
    }
}
