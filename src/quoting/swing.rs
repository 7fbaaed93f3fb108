//! How much inventory does an average fill bring, when a side shows several levels?
//!
//! A taker who reaches a level has taken those before it, so fills of a ladder come in lumps. With
//! sizes zᵢ at offsets oᵢ behind the first, wᵢ = e^(−k·oᵢ) of the takers reach level i and bring
//! Sᵢ = z₁ + … + zᵢ. Skew of m a base unit sheds inventory at 2·k·m·λ·Σwᵢzᵢ, lumps spread it by
//! 2·λ·Σwᵢ(Sᵢ² − Sᵢ₋₁²): its variance is that of single quotes of z = Σwᵢ(Sᵢ² − Sᵢ₋₁²) / Σwᵢzᵢ,
//! z / (2·k·m). For one level z is its size.

/// What the levels of one side do to inventory together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swing {
    /// The single quote that would spread inventory as much, base.
    pub lump_base: f64,
    /// Base filled for each taker who reaches the first level.
    pub flow_base: f64,
}

/// The swing of levels given as (offset in bps behind the first, size in base) where arrivals
/// decay by `k` a basis point. `None` without a level or where the numbers make none.
#[must_use]
pub fn swing(levels: impl IntoIterator<Item = (f64, f64)>, k: f64) -> Option<Swing> {
    let (mut before, mut flow, mut spread) = (0.0, 0.0, 0.0);
    for (offset, size) in levels {
        let reached = (-k * offset).exp();
        let whole: f64 = before + size;
        flow += reached * size;
        spread += reached * (whole * whole - before * before);
        before = whole;
    }
    let swing = Swing { lump_base: spread / flow, flow_base: flow };
    (swing.lump_base.is_finite() && swing.lump_base > 0.0 && flow > 0.0).then_some(swing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_is_itself_and_a_second_adds_lumps() {
        let one = swing([(0.0, 2.0)], 0.9).unwrap();
        assert_eq!((one.lump_base, one.flow_base), (2.0, 2.0));
        // All reach both: lumps of 6.
        let all = swing([(0.0, 2.0), (1.5, 4.0)], 0.0).unwrap();
        assert_eq!((all.lump_base, all.flow_base), (6.0, 6.0));
        // Half reach the second: (4 + 0.5·32) / (2 + 0.5·4).
        let half = swing([(0.0, 2.0), (1.0, 4.0)], 2.0_f64.ln()).unwrap();
        assert!((half.lump_base - 5.0).abs() < 1e-12, "{half:?}");
        assert_eq!(swing([], 1.0), None);
        assert_eq!(swing([(0.0, f64::NAN)], 1.0), None);
    }

    /// Takers of depth 0 and on, thinning out by k, meet one size at the skewed depth and two more
    /// 1.5 bps behind it: the long run of all that, state by state.
    #[test]
    fn a_ladder_skewed_by_its_lumps_swings_as_much_as_it_was_to() {
        let (k, offset, target) = (0.6, 1.5, 6.0);
        let lump = swing([(0.0, 1.0), (offset, 2.0)], k).unwrap().lump_base;
        let skew = lump / (2.0 * k * target * target);
        let most = 60_i64;
        let mut law = vec![1.0 / 121.0; 121];
        for _ in 0..20_000 {
            let mut next = vec![0.0; law.len()];
            for (at, share) in law.iter().enumerate() {
                let mut left = *share;
                for side in [1, -1] {
                    let q = at as i64 - most;
                    // At most 0.3 a step on either side.
                    let first = 0.05 * (-k * skew * (side * q) as f64).exp().min(6.0);
                    let both = first * (-k * offset).exp();
                    for (jump, rate) in [(1, first - both), (3, both)] {
                        let to = at as i64 + side * jump;
                        if let Some(place) = next.get_mut(to as usize) {
                            *place += share * rate;
                            left -= share * rate;
                        }
                    }
                }
                next[at] += left;
            }
            law = next;
        }
        let square = |(at, share): (usize, &f64)| share * ((at as i64 - most) as f64).powi(2);
        let std = law.iter().enumerate().map(square).sum::<f64>().sqrt();
        assert!((std / target - 1.0).abs() < 0.05, "{std}");
    }
}
