//! Covariance, capital at risk, carry.

use evenkeel::quoting::glft::depths;

use super::models::glft_inputs;
use super::{Case, Verdict};

pub fn check(case: &Case<'_>) -> Verdict {
    match case.file {
        20 if case.has("mu") => carry(case),
        _ => return Verdict::NotOurs("not built yet"),
    }
    Verdict::Checked
}

fn carry(case: &Case<'_>) {
    let (market, mut outlook) = glft_inputs(case);
    outlook.execution_aversion = outlook.risk_aversion;
    let depths = depths(market, outlook).unwrap();
    case.close(depths.shift, &case.json["expected"]["quote_shift_up"]);
    case.close(depths.skew, &case.json["expected"]["skew_per_unit"]);
}
