//! How much money can the inventory lose before we are out of it?
//!
//! The inventory of all instruments is one vector of deltas: what each holding gains, in quote
//! currency, when its price doubles in a straight line (holding × price). Whatever has a delta
//! enters the same way: spot and linear contracts with base × price; an inverse contract, were one
//! listed, with contracts × face value; an option with its greek times the price of the
//! underlying.
//!
//! *Capital at risk* is the liquidation-adjusted value at risk: the market loss that is exceeded
//! with probability 1 − confidence while we react and then sell in a straight line, and what the
//! books as they are now cost to get out through. Expected shortfall stands beside it; under the
//! normal law it is a constant multiple of VaR and says nothing about getting out, so the limit is
//! held against the former.
//!
//! Sources: McNeil, Frey, Embrechts, *Quantitative Risk Management*, 2.2 and 2.3 (VaR, ES);
//! Tasche 1999 (Euler allocation: components that sum to the whole); Bangia, Diebold, Schuermann,
//! Stroughair 1999 (spread add-on); Almgren, Chriss 2001 (variance of linear liquidation);
//! Cornish, Fisher 1938.

use serde::{Deserialize, Serialize};

use super::normal;

/// How far out in the tail a loss is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Probability that the loss is not exceeded, above 0.5 and below 1.
    pub confidence: f64,
    /// Standard deviations that far out.
    pub z: f64,
    /// Expected shortfall in standard deviations: φ(z) / (1 − confidence).
    pub shortfall: f64,
}

impl Tail {
    /// `None` unless the confidence is above 0.5 and at most 1 − 1e-6.
    #[must_use]
    pub fn new(confidence: f64) -> Option<Tail> {
        let z = normal::quantile(confidence).filter(|z| *z > 0.0)?;
        Some(Tail { confidence, z, shortfall: normal::density(z) / (1.0 - confidence) })
    }
}

/// Loss of a portfolio under the normal law, in quote currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parametric {
    /// Standard deviation of profit.
    pub std_quote: f64,
    /// Value at risk, at least zero.
    pub var_quote: f64,
    /// Expected shortfall, at least zero.
    pub shortfall_quote: f64,
    /// ∂VaR/∂delta of each holding.
    pub marginal: Vec<f64>,
    /// Delta × marginal: what each holding adds; they sum to VaR. Below zero for a hedge.
    pub component_quote: Vec<f64>,
    /// VaR if no holding offset another: Σ z·|delta|·σ.
    pub undiversified_quote: f64,
    /// VaR over the undiversified VaR; 1 without any offset, 1 when nothing is held.
    pub diversification: f64,
}

/// Value at risk of holdings with a covariance of returns over the horizon, row by row. Rounding
/// that makes a variance negative counts as zero risk; a covariance that is no number is the
/// caller's to prevent.
#[must_use]
pub fn parametric(delta_quote: &[f64], covariance: &[f64], tail: Tail) -> Parametric {
    let n = delta_quote.len();
    debug_assert_eq!(covariance.len(), n * n, "a square matrix");
    let row = |i: usize| -> f64 {
        covariance[i * n..(i + 1) * n].iter().zip(delta_quote).map(|(c, d)| c * d).sum()
    };
    let pull: Vec<f64> = (0..n).map(row).collect();
    let variance: f64 = pull.iter().zip(delta_quote).map(|(p, d)| p * d).sum();
    let std_quote = variance.max(0.0).sqrt();
    let var_quote = tail.z * std_quote;
    let undiversified_quote =
        (0..n).map(|i| tail.z * delta_quote[i].abs() * covariance[i * n + i].max(0.0).sqrt()).sum();
    let marginal: Vec<f64> = pull
        .iter()
        .map(|pull| if std_quote > 0.0 { tail.z * pull / std_quote } else { 0.0 })
        .collect();
    Parametric {
        std_quote,
        var_quote,
        shortfall_quote: tail.shortfall * std_quote,
        component_quote: marginal.iter().zip(delta_quote).map(|(m, d)| m * d).collect(),
        marginal,
        undiversified_quote,
        diversification: if undiversified_quote > 0.0 {
            var_quote / undiversified_quote
        } else {
            1.0
        },
    }
}

/// Largest error of a correlation matrix that counts as rounding.
const ROUNDING: f64 = 1e-9;

/// Makes a correlation matrix, row by row, positive semi-definite by shrinking what is off its
/// diagonal towards zero, by as little as finds one within a percent. Returns the share taken off,
/// 0 where the matrix was fine: correlations measured pair by pair at different times need not
/// fit together.
pub fn make_semi_definite(correlation: &mut [f64], n: usize) -> f64 {
    let shrunk = |matrix: &[f64], share: f64| -> Vec<f64> {
        let entry = |(at, value): (usize, &f64)| {
            if at % (n + 1) == 0 { 1.0 } else { value * (1.0 - share) }
        };
        matrix.iter().enumerate().map(entry).collect()
    };
    if is_semi_definite(correlation.to_vec(), n) {
        return 0.0;
    }
    let (mut too_little, mut enough) = (0.0, 1.0);
    while enough - too_little > 0.01 {
        let middle = (too_little + enough) / 2.0;
        if is_semi_definite(shrunk(correlation, middle), n) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    let result = shrunk(correlation, enough);
    correlation.copy_from_slice(&result);
    enough
}

/// Gaussian elimination without a pivot below zero.
fn is_semi_definite(mut matrix: Vec<f64>, n: usize) -> bool {
    for k in 0..n {
        let pivot = matrix[k * n + k];
        let below = (k + 1)..n;
        if pivot.is_nan() || pivot < -ROUNDING {
            return false;
        }
        if pivot <= ROUNDING {
            // A variable without variance of its own must not move with any other.
            if below.clone().any(|i| matrix[i * n + k].abs() > ROUNDING.sqrt()) {
                return false;
            }
            continue;
        }
        for i in below.clone() {
            let factor = matrix[i * n + k] / pivot;
            for j in below.clone() {
                matrix[i * n + j] -= factor * matrix[k * n + j];
            }
        }
    }
    true
}

/// Seconds for which two holdings are at risk together: both stand still while we react, then
/// each shrinks in a straight line over its own time, t + ∫(1−s/a)(1−s/b)ds. Of one holding it is
/// reaction + liquidation/3.
#[must_use]
pub fn seconds_at_risk(reaction_s: f64, one_s: f64, other_s: f64) -> f64 {
    let (short, long) = (one_s.min(other_s), one_s.max(other_s));
    let overlap = if long > 0.0 { short / 2.0 - short * short / (6.0 * long) } else { 0.0 };
    reaction_s + overlap
}

/// Value at risk and expected shortfall from losses that would have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Historical {
    /// Which of the worst results is the VaR: k = ⌈n·(1 − confidence)⌉.
    pub k: usize,
    /// The k-th worst result, as a loss; at least zero.
    pub var_quote: f64,
    /// Mean of the k worst, as a loss; at least zero.
    pub shortfall_quote: f64,
    /// Mean of all results.
    pub mean_quote: f64,
    /// Standard deviation of all results.
    pub std_quote: f64,
    /// Skewness; zero when nothing moved.
    pub skew: f64,
    /// Kurtosis, 3 for the normal law.
    pub kurtosis: f64,
}

/// The order statistics of past profits; reorders them. `None` unless there are enough that
/// n·(1 − confidence) ≥ 1, and all are finite.
pub fn historical(profits: &mut [f64], confidence: f64) -> Option<Historical> {
    let n = profits.len() as f64;
    let tail = n * (1.0 - confidence);
    // The share of a confidence such as 0.9 is short of a tenth by rounding.
    if tail.is_nan() || tail < 1.0 - 1e-9 || profits.iter().any(|profit| !profit.is_finite()) {
        return None;
    }
    let k = (tail.ceil() as usize).min(profits.len());
    let (worse, at, _) = profits.select_nth_unstable_by(k - 1, f64::total_cmp);
    let var_quote = (-*at).max(0.0);
    let shortfall_quote = (-(worse.iter().sum::<f64>() + *at) / k as f64).max(0.0);
    let mean_quote = profits.iter().sum::<f64>() / n;
    let moment = |power: i32| {
        profits.iter().map(|profit| (profit - mean_quote).powi(power)).sum::<f64>() / n
    };
    let std_quote = moment(2).sqrt();
    let (skew, kurtosis) = if std_quote > 0.0 {
        (moment(3) / std_quote.powi(3), moment(4) / std_quote.powi(4))
    } else {
        (0.0, 3.0)
    };
    Some(Historical { k, var_quote, shortfall_quote, mean_quote, std_quote, skew, kurtosis })
}

/// Value at risk with the quantile corrected for skewness and kurtosis (3 for the normal law), in
/// the unit of `std`; at least zero.
#[must_use]
pub fn cornish_fisher(mean: f64, std: f64, skew: f64, kurtosis: f64, tail: Tail) -> f64 {
    let (z, excess) = (-tail.z, kurtosis - 3.0);
    let corrected = z + (z * z - 1.0) * skew / 6.0 + (z.powi(3) - 3.0 * z) * excess / 24.0
        - (2.0 * z.powi(3) - 5.0 * z) * skew * skew / 36.0;
    (-(mean + corrected * std)).max(0.0)
}

/// Half the spread of a position's value: what leaving at the touch costs.
#[must_use]
pub fn spread_addon(value_quote: f64, proportional_spread: f64) -> f64 {
    value_quote.abs() * proportional_spread / 2.0
}

/// What leaving a position through the book costs now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exit {
    /// Loss against the mid for what the book takes, in quote.
    pub cost_quote: f64,
    /// What the known book does not take, in base. Above zero, the cost of leaving is not known:
    /// never extrapolate it.
    pub unfilled_base: f64,
}

/// Walks one side of a book, best level first, as (price, quantity in base); `depth` is the share
/// of each quantity that is counted on.
#[must_use]
pub fn exit_cost(
    quantity_base: f64,
    mid: f64,
    depth: f64,
    levels: impl Iterator<Item = (f64, f64)>,
) -> Exit {
    let mut exit = Exit { cost_quote: 0.0, unfilled_base: quantity_base.abs() };
    for (price, quantity) in levels {
        if exit.unfilled_base <= 0.0 {
            break;
        }
        let part = (quantity * depth).min(exit.unfilled_base).max(0.0);
        exit.cost_quote += (mid - price).abs() * part;
        exit.unfilled_base -= part;
    }
    // What differs by rounding is not missing.
    if exit.unfilled_base <= quantity_base.abs() * 1e-12 {
        exit.unfilled_base = 0.0;
    }
    exit
}

/// From this share of the limit on, sizes shrink and skew grows.
pub const PRESSURE_FROM: f64 = 0.5;
/// Below this share of the limit, quoting goes on after the limit was reached.
pub const RELEASE_BELOW: f64 = 0.8;

/// How hard the limit presses: 0 up to [`PRESSURE_FROM`] of it, rising in a straight line to 1 at
/// the limit. Capital that is not known (`None`: a book too thin to leave through) presses as the
/// limit does.
#[must_use]
pub fn pressure(capital_quote: Option<f64>, limit_quote: f64) -> f64 {
    let share = match capital_quote {
        Some(capital) if capital.is_finite() && limit_quote > 0.0 => capital / limit_quote,
        _ => 1.0,
    };
    ((share - PRESSURE_FROM) / (1.0 - PRESSURE_FROM)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A covariance with these volatilities and one correlation for all pairs.
    fn covariance(volatility: &[f64], rho: f64) -> Vec<f64> {
        let n = volatility.len();
        (0..n * n)
            .map(|at| {
                let (i, j) = (at / n, at % n);
                volatility[i] * volatility[j] * if i == j { 1.0 } else { rho }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn components_sum_to_a_var_that_is_never_negative(
            holdings in prop::collection::vec((-1e6..1e6_f64, 1e-6..0.1_f64), 1..8),
            rho in 0.0..1.0_f64,
        ) {
            let (delta, volatility): (Vec<f64>, Vec<f64>) = holdings.into_iter().unzip();
            let tail = Tail::new(0.99).unwrap();
            let result = parametric(&delta, &covariance(&volatility, rho), tail);
            let sum: f64 = result.component_quote.iter().sum();
            prop_assert!(result.var_quote >= 0.0);
            prop_assert!((sum - result.var_quote).abs() <= 1e-6 * result.undiversified_quote);
            prop_assert!(result.var_quote <= result.undiversified_quote * (1.0 + 1e-9));
            prop_assert!(result.shortfall_quote >= result.var_quote);
        }

        #[test]
        fn any_correlations_can_be_made_to_fit(
            entries in prop::collection::vec(-1.0..1.0_f64, 10),
            delta in prop::collection::vec(-1e6..1e6_f64, 5),
        ) {
            let n = 5;
            let mut matrix = vec![1.0; n * n];
            let mut next = entries.iter();
            for i in 0..n {
                for j in 0..i {
                    let value = *next.next().unwrap();
                    (matrix[i * n + j], matrix[j * n + i]) = (value, value);
                }
            }
            let share = make_semi_definite(&mut matrix, n);
            prop_assert!((0.0..=1.0).contains(&share));
            let pull = |i: usize| (0..n).map(|j| matrix[i * n + j] * delta[j]).sum::<f64>();
            let variance: f64 = (0..n).map(|i| delta[i] * pull(i)).sum();
            let size: f64 = delta.iter().map(|d| d * d).sum();
            prop_assert!(variance >= -1e-6 * size);
            prop_assert_eq!(make_semi_definite(&mut matrix.clone(), n), 0.0);
        }

        #[test]
        fn more_costs_more_to_leave(
            levels in prop::collection::vec((0.01..1.0_f64, 0.0..10.0_f64), 0..20),
            quantity in 0.0..100.0_f64,
            more in 0.0..50.0_f64,
        ) {
            let mut price = 100.0;
            let book: Vec<(f64, f64)> = levels
                .iter()
                .map(|(step, size)| { price -= step; (price, *size) })
                .collect();
            let walk = |quantity, depth| exit_cost(quantity, 100.0, depth, book.iter().copied());
            let (less, greater) = (walk(quantity, 1.0), walk(quantity + more, 1.0));
            prop_assert!(greater.cost_quote >= less.cost_quote - 1e-9);
            prop_assert!(greater.unfilled_base >= less.unfilled_base - 1e-9);
            prop_assert!(walk(quantity, 0.3).unfilled_base >= less.unfilled_base - 1e-9);
        }
    }

    #[test]
    fn correlations_that_contradict_each_other_are_shrunk() {
        let mut matrix = vec![1.0, 0.9, -0.9, 0.9, 1.0, 0.9, -0.9, 0.9, 1.0];
        let share = make_semi_definite(&mut matrix, 3);
        assert!(share > 0.3 && share < 0.5, "{share}");
        // One asset on three venues fits as it is.
        assert_eq!(make_semi_definite(&mut [1.0; 9], 3), 0.0);
    }

    #[test]
    fn two_holdings_are_at_risk_together_until_the_first_is_gone() {
        assert_eq!(seconds_at_risk(5.0, 12.0, 12.0), 9.0);
        assert_eq!(seconds_at_risk(5.0, 0.0, 12.0), 5.0);
        assert_eq!(seconds_at_risk(5.0, 0.0, 0.0), 5.0);
        assert!((seconds_at_risk(0.0, 6.0, 1e12) - 3.0).abs() < 1e-9);
    }

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-9 * want.abs().max(1.0), "{got}, not {want}");
    }

    const TAIL: Tail = Tail { confidence: 0.98, z: 2.0, shortfall: 2.5 };

    #[test]
    fn a_hedge_takes_off_what_it_moves_with() {
        // Variance 100²·1e-4 − 2·100·50·1e-4 + 50²·4e-4 = 1.
        let result = parametric(&[100.0, -50.0], &[1e-4, 1e-4, 1e-4, 4e-4], TAIL);
        close(result.std_quote, 1.0);
        close(result.var_quote, 2.0);
        close(result.shortfall_quote, 2.5);
        close(result.undiversified_quote, 4.0);
        close(result.diversification, 0.5);
        for (got, want) in result.marginal.iter().zip([0.01, -0.02]) {
            close(*got, want);
        }
        result.component_quote.iter().for_each(|got| close(*got, 1.0));
        let flat = parametric(&[0.0, 0.0], &[1e-4, 1e-4, 1e-4, 4e-4], TAIL);
        assert_eq!((flat.var_quote, flat.diversification), (0.0, 1.0));
        assert_eq!(flat.marginal, [0.0, 0.0]);
    }

    #[test]
    fn the_worst_of_the_past_and_its_moments() {
        let mut profits = [15.0, -3.0, 1.0, -1.0, 2.0, -2.0, 4.0, 3.0, 0.0, 1.0];
        let past = historical(&mut profits, 0.75).unwrap();
        assert_eq!((past.k, past.var_quote, past.shortfall_quote), (3, 1.0, 2.0));
        // Deviations from 2: −5 −4 −3 −2 −1 −1 0 1 2 13.
        close(past.mean_quote, 2.0);
        close(past.std_quote, 23_f64.sqrt());
        close(past.skew, 198.0 / 23_f64.powf(1.5));
        close(past.kurtosis, 2955.8 / 529.0);
        assert_eq!(historical(&mut [1.0, 2.0, 3.0, 4.0], 0.75).map(|past| past.k), Some(1));
    }

    #[test]
    fn a_fat_left_tail_is_a_larger_loss() {
        // −2 − 3·0.5/6 − 2·2/24 + 6·0.25/36 = −2.375 deviations.
        close(cornish_fisher(1.0, 2.0, -0.5, 5.0, TAIL), 3.75);
        close(cornish_fisher(0.0, 1.0, 0.0, 3.0, TAIL), 2.0);
        assert_eq!(cornish_fisher(9.0, 1.0, 0.0, 3.0, TAIL), 0.0);
        close(spread_addon(-300.0, 0.02), 3.0);
    }

    #[test]
    fn leaving_walks_the_share_of_each_level_that_is_counted_on() {
        let levels = [(99.0, 4.0), (98.0, 10.0), (90.0, 100.0)];
        let exit = exit_cost(5.0, 100.0, 0.5, levels.into_iter());
        assert_eq!(exit, Exit { cost_quote: 2.0 + 3.0 * 2.0, unfilled_base: 0.0 });
        let short = exit_cost(-5.0, 100.0, 1.0, [(101.0, 2.0)].into_iter());
        assert_eq!(short, Exit { cost_quote: 2.0, unfilled_base: 3.0 });
        let left = |missing: f64| {
            exit_cost(5.0, 100.0, 1.0, [(101.0, 5.0 - missing)].into_iter()).unfilled_base
        };
        assert!(left(4e-12) == 0.0 && left(6e-12) > 0.0, "only rounding is nothing");
    }

    #[test]
    fn pressure_rises_without_a_step_and_what_is_not_known_presses_fully() {
        assert_eq!(pressure(Some(0.0), 100.0), 0.0);
        assert_eq!(pressure(Some(50.0), 100.0), 0.0);
        assert_eq!(pressure(Some(75.0), 100.0), 0.5);
        assert_eq!(pressure(Some(100.0), 100.0), 1.0);
        assert_eq!(pressure(Some(1e9), 100.0), 1.0);
        for unknown in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            assert_eq!(pressure(unknown, 100.0), 1.0);
        }
    }

    #[test]
    fn too_few_results_say_nothing() {
        assert_eq!(historical(&mut [1.0; 50], 0.99), None);
        assert_eq!(historical(&mut [f64::NAN; 500], 0.99), None);
        let still = historical(&mut [0.0; 500], 0.99).unwrap();
        assert_eq!((still.var_quote, still.kurtosis), (0.0, 3.0));
    }
}
