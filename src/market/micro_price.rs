//! Where will the mid be after its next moves? The micro-price of Stoikov.
//!
//! Source: Stoikov, "The micro-price: a high-frequency estimator of future prices", 2018, and its
//! notebook: states are imbalance × spread; Q are transitions without a move of the mid, R the
//! moves; G₁ = (1−Q)⁻¹·(expected first move), B = (1−Q)⁻¹·(state after a move), and the adjustment
//! is G₆ = Σ_{i<6} Bⁱ·G₁. Two departures: moves of any size count with their size, where the
//! notebook drops those of more than a tick; and old counts fade. The first matters where ticks are
//! small: on BTC perpetuals the adjustment of the outermost state becomes 20 ticks (0.3 bps, what
//! the return of the next second shows), not the 0.3 ticks of the notebook.

use crate::domain::{Span, Ts};

use super::Touch;

/// Moves looked ahead.
const MOVES: usize = 6;
/// Imbalance is told apart in this many steps; odd, so that balance is its own mirror image.
const BUCKETS: usize = 11;
/// Spreads of one tick, two, and more are told apart.
const SPREADS: usize = 3;
const STATES: usize = BUCKETS * SPREADS;
/// Time between two solutions.
const SOLVE_EVERY: Span = Span::from_s(10);
/// After this long, a count is worth half.
const HALF_LIFE: Span = Span::from_s(900);
/// Moves seen, faded, before the adjustment is used.
const NEEDED_MOVES: f64 = 500.0;

/// What was counted between states; prices in ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    states: usize,
    /// Changes of state without a move of the mid, row by row.
    still: Vec<f64>,
    /// Changes of state with a move, row by row.
    moved: Vec<f64>,
    /// Sum of the moves out of each state.
    move_ticks: Vec<f64>,
}

/// The solution of a set of counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjustments {
    /// (1−Q), decomposed.
    inverse: Lu,
    /// Probabilities of a move into each state, row by row.
    moved: Vec<f64>,
    /// Expected first move, ticks.
    first: Vec<f64>,
}

impl Transitions {
    /// No counts between so many states.
    #[must_use]
    pub fn new(states: usize) -> Transitions {
        let square = vec![0.0; states * states];
        Transitions { states, still: square.clone(), moved: square, move_ticks: vec![0.0; states] }
    }

    /// Counts a change of state; `move_ticks` is zero when the mid stayed.
    pub fn add(&mut self, from: usize, to: usize, move_ticks: f64, count: f64) {
        let square = if move_ticks == 0.0 { &mut self.still } else { &mut self.moved };
        square[from * self.states + to] += count;
        self.move_ticks[from] += move_ticks * count;
    }

    /// Moves counted.
    #[must_use]
    pub fn moves(&self) -> f64 {
        self.moved.iter().sum()
    }

    /// Every count becomes this share of itself.
    pub fn fade(&mut self, keep: f64) {
        for count in self.still.iter_mut().chain(&mut self.moved).chain(&mut self.move_ticks) {
            *count *= keep;
        }
    }

    /// The counts together with their mirror image: what holds for bids holds for asks.
    /// `mirror` gives each state's image.
    #[must_use]
    pub fn symmetrised(&self, mirror: impl Fn(usize) -> usize) -> Transitions {
        let n = self.states;
        let mut both = self.clone();
        for from in 0..n {
            for to in 0..n {
                let image = mirror(from) * n + mirror(to);
                both.still[from * n + to] += self.still[image];
                both.moved[from * n + to] += self.moved[image];
            }
            both.move_ticks[from] -= self.move_ticks[mirror(from)];
        }
        both
    }

    /// The adjustments that follow; `None` when some states never lead to a move.
    #[must_use]
    pub fn solve(&self) -> Option<Adjustments> {
        let n = self.states;
        let (mut stay, mut moved) = (vec![0.0; n * n], vec![0.0; n * n]);
        let mut expected = vec![0.0; n];
        for (from, expected) in expected.iter_mut().enumerate() {
            let row = from * n..(from + 1) * n;
            let total: f64 =
                self.still[row.clone()].iter().sum::<f64>() + self.moved[row].iter().sum::<f64>();
            for to in 0..n {
                let at = from * n + to;
                let unit = if from == to { 1.0 } else { 0.0 };
                // A state never seen is taken to move at once, nowhere.
                let (q, r) = if total > 0.0 {
                    (self.still[at] / total, self.moved[at] / total)
                } else {
                    (0.0, unit)
                };
                stay[at] = unit - q;
                moved[at] = r;
            }
            *expected = if total > 0.0 { self.move_ticks[from] / total } else { 0.0 };
        }
        let inverse = Lu::new(stay, n)?;
        let first = inverse.solve(&expected);
        first.iter().all(|g| g.is_finite()).then_some(Adjustments { inverse, moved, first })
    }
}

impl Adjustments {
    /// G₁: expected first move from each state, ticks.
    #[must_use]
    pub fn first_move(&self) -> &[f64] {
        &self.first
    }

    /// B·values: what a value of each state is expected to be after the next move.
    #[must_use]
    pub fn after_move(&self, values: &[f64]) -> Vec<f64> {
        let rows = self.moved.chunks(values.len());
        let product: Vec<f64> =
            rows.map(|row| row.iter().zip(values).map(|(r, v)| r * v).sum()).collect();
        self.inverse.solve(&product)
    }

    /// G₆: expected sum of the next six moves from each state, ticks.
    #[must_use]
    pub fn next_moves(&self) -> Vec<f64> {
        let mut term = self.first.clone();
        let mut sum = term.clone();
        for _ in 1..MOVES {
            term = self.after_move(&term);
            sum.iter_mut().zip(&term).for_each(|(sum, term)| *sum += term);
        }
        sum
    }
}

/// A square matrix decomposed for solving (Doolittle with partial pivoting).
#[derive(Clone, Debug, PartialEq)]
struct Lu {
    n: usize,
    rows: Vec<f64>,
    order: Vec<usize>,
}

impl Lu {
    fn new(mut a: Vec<f64>, n: usize) -> Option<Lu> {
        let mut order: Vec<usize> = (0..n).collect();
        for k in 0..n {
            let size = |&row: &usize| a[row * n + k].abs();
            let pivot = (k..n).max_by(|i, j| size(i).total_cmp(&size(j)))?;
            if a[pivot * n + k].abs() < 1e-12 {
                return None;
            }
            for column in 0..n {
                a.swap(k * n + column, pivot * n + column);
            }
            order.swap(k, pivot);
            for row in k + 1..n {
                let factor = a[row * n + k] / a[k * n + k];
                a[row * n + k] = factor;
                for column in k + 1..n {
                    a[row * n + column] -= factor * a[k * n + column];
                }
            }
        }
        Some(Lu { n, rows: a, order })
    }

    #[allow(clippy::needless_range_loop, reason = "the indices are the algorithm")]
    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut x: Vec<f64> = self.order.iter().map(|&row| right[row]).collect();
        for row in 0..n {
            for column in 0..row {
                x[row] -= self.rows[row * n + column] * x[column];
            }
        }
        for row in (0..n).rev() {
            for column in row + 1..n {
                x[row] -= self.rows[row * n + column] * x[column];
            }
            x[row] /= self.rows[row * n + row];
        }
        x
    }
}

/// The micro-price of one instrument, counted while it trades and solved now and then.
#[derive(Clone, Debug)]
pub struct MicroPrice {
    counts: Transitions,
    /// State and mid before.
    last: Option<(usize, f64)>,
    solved_at: Ts,
    adjustments: Option<Vec<f64>>,
}

impl Default for MicroPrice {
    fn default() -> MicroPrice {
        MicroPrice {
            counts: Transitions::new(STATES),
            last: None,
            solved_at: Ts::default(),
            adjustments: None,
        }
    }
}

impl MicroPrice {
    /// The touch has changed; solves anew when it is time.
    pub fn observe(&mut self, now: Ts, touch: &Touch) {
        let Some(state) = state(touch) else { return };
        let mid = touch.mid_ticks();
        if let Some((from, before)) = self.last.replace((state, mid))
            && (from != state || before != mid)
        {
            self.counts.add(from, state, mid - before, 1.0);
        }
        let passed = now.since(self.solved_at);
        if passed >= SOLVE_EVERY {
            self.solved_at = now;
            let both = self.counts.symmetrised(mirror);
            let known = self.counts.moves() >= NEEDED_MOVES;
            self.adjustments = both.solve().filter(|_| known).map(|solved| solved.next_moves());
            self.counts.fade((-passed.seconds() / HALF_LIFE.seconds()).exp2());
        }
    }

    /// What followed is not known: a book that was lost begins anew.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// The micro-price, ticks; `None` until enough moves were counted.
    #[must_use]
    pub fn price_ticks(&self, touch: &Touch) -> Option<f64> {
        let adjustment = self.adjustments.as_ref()?[state(touch)?];
        Some(touch.mid_ticks() + adjustment)
    }

    /// Enough was counted.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.adjustments.is_some()
    }

    /// Moves counted, old ones faded.
    #[must_use]
    pub fn moves(&self) -> f64 {
        self.counts.moves()
    }
}

/// The state of a touch; `None` when it is crossed or empty.
fn state(touch: &Touch) -> Option<usize> {
    let (bid, ask) = (touch.bid.qty.0 as f64, touch.ask.qty.0 as f64);
    let total = bid + ask;
    if total <= 0.0 || touch.is_crossed() {
        return None;
    }
    // Reckoned from the thinner side, so that a touch and its mirror image fall alike.
    let steps = (bid.min(ask) / total * BUCKETS as f64) as usize;
    let bucket = if bid < ask { steps } else { BUCKETS - 1 - steps };
    let spread = usize::try_from(touch.spread_ticks()).unwrap_or(1).clamp(1, SPREADS) - 1;
    Some(spread * BUCKETS + bucket)
}

/// The same state with bids and asks changed over.
fn mirror(state: usize) -> usize {
    let (spread, bucket) = (state / BUCKETS, state % BUCKETS);
    spread * BUCKETS + BUCKETS - 1 - bucket
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Level, Px, Qty};

    fn touch(bid: i64, bid_qty: i64, ask_qty: i64, at: Ts) -> Touch {
        let level = |px, qty| Level { px: Px(px), qty: Qty(qty) };
        Touch { bid: level(bid, bid_qty), ask: level(bid + 1, ask_qty), at }
    }

    /// A market whose mid goes the way of the heavy side.
    fn watched(rounds: i64) -> MicroPrice {
        let mut micro = MicroPrice::default();
        let mut px = 1000;
        for n in 0..rounds {
            let now = Ts::from_ms(n * 100);
            let up = (n / 3) % 2 == 0;
            micro.observe(now, &touch(px, 5, 5, now));
            micro.observe(now, &if up { touch(px, 9, 1, now) } else { touch(px, 1, 9, now) });
            px += if up { 1 } else { -1 };
            micro.observe(now, &touch(px, 5, 5, now));
        }
        micro
    }

    #[test]
    fn the_heavy_side_pushes_once_enough_was_seen() {
        let cold = watched(50);
        assert!(!cold.is_trusted());
        assert_eq!(cold.price_ticks(&touch(1000, 9, 1, Ts(0))), None);
        let warm = watched(3000);
        assert!(warm.is_trusted(), "{}", warm.moves());
        let price = |bid, ask| warm.price_ticks(&touch(1000, bid, ask, Ts(0))).unwrap();
        assert!(price(9, 1) > 1000.9 && price(1, 9) < 1000.1);
        assert!((price(9, 1) + price(1, 9) - 2001.0).abs() < 1e-9, "antisymmetric");
        assert_eq!(warm.price_ticks(&touch(1000, 0, 0, Ts(0))), None);
    }

    #[test]
    fn a_market_that_never_moves_has_no_solution() {
        let mut still = Transitions::new(2);
        still.add(0, 1, 0.0, 5.0);
        still.add(1, 0, 0.0, 5.0);
        assert_eq!(still.solve(), None);
    }
}
