//! How much of one asset hedges another, what risk remains, and how fast to trade it.

/// The hedge of one asset with another that leaves the least variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossHedge {
    /// Units of the hedge for each unit held, opposite in sign: ρ·σ₁/σ₂.
    pub beta: f64,
    /// Share of the deviation that remains: √(1 − ρ²).
    pub residual_share: f64,
    /// Share of the variance that goes: ρ².
    pub variance_reduction: f64,
}

/// The minimum-variance hedge of an asset of volatility `sigma_asset` with one of volatility
/// `sigma_hedge` at correlation `rho`; both volatilities in the same price units per √s. `None`
/// unless ρ is within −1 to 1 and the volatilities are finite and above zero.
#[must_use]
pub fn cross_hedge(rho: f64, sigma_asset: f64, sigma_hedge: f64) -> Option<CrossHedge> {
    let known = [sigma_asset, sigma_hedge].iter().all(|s| s.is_finite() && *s > 0.0);
    if !known || !(-1.0..=1.0).contains(&rho) {
        return None;
    }
    Some(CrossHedge {
        beta: rho * sigma_asset / sigma_hedge,
        residual_share: (1.0 - rho * rho).sqrt(),
        variance_reduction: rho * rho,
    })
}

/// The marginal value of inventory, −2·A·q, when the value of holding q is −q′·A·q.
#[must_use]
pub fn marginal_value(risk: &[Vec<f64>], inventory: &[f64]) -> Vec<f64> {
    let dot = |row: &Vec<f64>| row.iter().zip(inventory).map(|(a, q)| a * q).sum::<f64>();
    risk.iter().map(|row| -2.0 * dot(row)).collect()
}

/// How fast to trade when trading at rate v costs ψ·|v| + η·v²: nothing until the marginal value
/// exceeds the proportional cost ψ, then (|p| − ψ) / 2η towards it.
#[must_use]
pub fn hedge_rate(marginal_value: f64, psi: f64, eta: f64) -> f64 {
    marginal_value.signum() * (marginal_value.abs() - psi).max(0.0) / (2.0 * eta)
}
