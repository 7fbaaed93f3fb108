//! A recorded market.

use crate::domain::{Instrument, Ts};

use super::matcher::Matcher;
use super::source::Intent;

/// A recording.
#[derive(Debug)]
pub struct Tape {}

impl Tape {
    pub(crate) fn start(&mut self, _: &Instrument, _: Ts) {}
    pub(crate) fn due(&self) -> Ts {
        Ts::FAR
    }
    pub(crate) fn step(&mut self, _: Ts, _: &Matcher, _: &mut dyn FnMut(Intent)) {}
}
