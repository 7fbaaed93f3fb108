//! What does a seed stand for? The shape of the session, the network, and everything that goes
//! wrong: drawn once, before anything runs.
//!
//! A session is a chain of *rounds*. In the rough part of a round faults strike, each at the first
//! moment of its phase (see [`Phase`]); then everything is mended, an operator resumes what he or
//! a fault has halted, and [`HEAL`] later the world must be as if nothing had happened.
//!
//! The faults of an even seed are drawn as a swarm: it knows only a few kinds, so that some seeds
//! are all of one trouble and others a little of each. Those of an odd one are the next cells of a
//! walk through the whole fault matrix, so that many seeds together meet every cell about as often
//! as every other.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::cells::{Kind, Phase};
use crate::domain::{Span, Ts};
use crate::sim::faces::faults::VenueKind;

/// Seeded choices.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The choices of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From `low` up to, not including, `high`.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(1).unsigned_abs();
        low + (self.0.next_u64() % span).cast_signed()
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: i64) -> bool {
        self.within(0, 100) < chance
    }

    /// One of several; they must not be none.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.within(0, all.len() as i64).unsigned_abs() as usize]
    }
}

/// What is traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Spot quoted, perpetual hedges: `config/demo.toml` as it is.
    SpotHedged,
    /// The same, hedged from a trigger and at once.
    SpotTriggered,
    /// Spot quoted with hardly more money than the quotes need, no hedge.
    SpotPoor,
    /// The perpetual quoted, so that orders are moved by amendments.
    Perpetual,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Not before, from the start of the session.
    pub at: Span,
    /// It waits for this moment, [`PATIENCE`] at most.
    pub phase: Phase,
    /// What it is.
    pub kind: Kind,
    /// Where, for the kinds that have a place.
    pub venue: VenueKind,
    /// For how long, for the kinds that last.
    pub lasts: Span,
    /// How bad, from 0 to 99; each kind reads it in its own way.
    pub size: i64,
}

/// One rough part and its mending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// When everything is mended.
    pub mended: Span,
    /// When everything must be well again.
    pub judged: Span,
}

/// Everything that a seed decides beforehand.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Things go wrong.
    pub faulty: bool,
    /// What is traded.
    pub layout: Layout,
    /// Position limits hardly above what the quotes need, so that they are met all the time.
    pub tight: bool,
    /// One way, without jitter.
    pub latency: Span,
    /// At most so much more.
    pub jitter: Span,
    /// Our clock less the exchange's.
    pub skew: Span,
    /// How long the process may be busy between two turns.
    pub busy: Span,
    /// What goes wrong, by time from the start.
    pub faults: Vec<Fault>,
    /// The rounds, in order.
    pub rounds: Vec<Round>,
    /// When the process is told to stop.
    pub stop: Span,
}

/// What to draw plans from.
#[derive(Clone, Debug)]
pub struct Menu {
    /// The kinds of faults; none for a session in which nothing goes wrong.
    pub kinds: Vec<Kind>,
    /// How long a session lasts, at least; the round that has begun is finished.
    pub span: Span,
    /// Only this layout.
    pub layout: Option<Layout>,
}

/// The beginning of all virtual time.
pub const EPOCH: Ts = Ts(1_800_000_000_000_000_000);
/// Longest that a fault waits for its phase.
pub const PATIENCE: Span = Span::from_s(6);
/// From mending to judging: both sides are quoted again within 30 s, and a reading more.
pub const HEAL: Span = Span::from_s(34);

const QUIET_START: Span = Span::from_s(4);
const ROUGH_MS: i64 = 22_000;
/// Kinds that one seed knows at most.
const SWARM: i64 = 8;
/// Cells of the matrix that one odd seed is ahead of the one before; a session of twelve minutes
/// walks over about so many.
const SEED_STRIDE: u64 = 23;
/// From a cell to the next of the walk, in the order of the table: another kind, another moment.
const CELL_STRIDE: u64 = 149;

/// Where the faults of a seed come from.
enum Source {
    /// A few kinds, each in any moment.
    Swarm(Vec<Kind>),
    /// One cell of the matrix after the other, from this place of the walk on.
    Walk(Vec<(Kind, Phase)>, u64),
}

impl Source {
    fn of(seed: u64, layout: Layout, menu: &Menu, dice: &mut Dice) -> Source {
        let known = dice.within(1, SWARM + 1);
        let swarm = (0..known).map(|_| dice.of(&menu.kinds)).collect();
        if seed.is_multiple_of(2) {
            return Source::Swarm(swarm);
        }
        let mut cells = Phase::cells(&menu.kinds);
        cells.retain(|(kind, phase)| phase.applies(*kind, layout).is_ok());
        // What few layouts have is walked over more often where it is.
        let rare: Vec<(Kind, Phase)> =
            cells.iter().flat_map(|cell| std::iter::repeat_n(*cell, cell.1.rarity() - 1)).collect();
        cells.extend(rare);
        Source::Walk(cells, seed / 2 * SEED_STRIDE)
    }

    /// How many faults a round has.
    fn faults(&self, dice: &mut Dice) -> i64 {
        match self {
            Source::Swarm(_) => dice.of(&[1, 3, 6, 10]),
            // What stops the trading in one moment keeps the others from coming.
            Source::Walk(..) => dice.of(&[1, 2, 3]),
        }
    }

    /// What strikes next and when; `None` where that kind has no moment.
    fn draw(&mut self, layout: Layout, dice: &mut Dice) -> Option<(Kind, Phase)> {
        match self {
            Source::Swarm(kinds) => {
                let kind = dice.of(kinds);
                let all = Phase::ALL.into_iter();
                let phases: Vec<Phase> =
                    all.filter(|phase| phase.applies(kind, layout).is_ok()).collect();
                (!phases.is_empty()).then(|| (kind, dice.of(&phases)))
            }
            Source::Walk(cells, step) => {
                let place = (*step * CELL_STRIDE).checked_rem(cells.len() as u64)?;
                *step += 1;
                cells.get(usize::try_from(place).ok()?).copied()
            }
        }
    }
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn new(seed: u64, menu: &Menu) -> Plan {
        let mut dice = Dice::new(seed);
        let drawn = dice.of(&[
            Layout::SpotHedged,
            Layout::SpotHedged,
            Layout::SpotTriggered,
            Layout::SpotPoor,
            Layout::Perpetual,
            Layout::Perpetual,
        ]);
        let mut plan = Plan {
            seed,
            faulty: !menu.kinds.is_empty(),
            layout: menu.layout.unwrap_or(drawn),
            tight: dice.percent(50) && !menu.kinds.is_empty(),
            latency: Span(dice.of(&[300_000, 2_000_000, 10_000_000, 60_000_000])),
            jitter: Span(dice.of(&[100_000, 2_000_000, 20_000_000])),
            skew: Span::from_ms(dice.within(-400, 400)),
            busy: Span(dice.of(&[0, 500_000, 3_000_000])),
            faults: Vec::new(),
            rounds: Vec::new(),
            stop: menu.span,
        };
        if !plan.faulty {
            return plan;
        }
        let mut source = Source::of(seed, plan.layout, menu, &mut dice);
        let mut begins = QUIET_START;
        loop {
            begins = plan.round(begins, &mut source, &mut dice);
            if begins >= menu.span {
                break;
            }
        }
        plan.faults.sort_by_key(|fault| fault.at);
        plan.stop = begins;
        plan
    }

    /// Draws one round; when the next may begin.
    fn round(&mut self, begins: Span, source: &mut Source, dice: &mut Dice) -> Span {
        let mut mended = begins;
        for _ in 0..source.faults(dice) {
            let Some((kind, phase)) = source.draw(self.layout, dice) else { continue };
            let longest = kind.longest();
            let fault = Fault {
                at: begins + Span::from_ms(dice.within(0, ROUGH_MS)),
                phase,
                kind,
                venue: dice.of(&[VenueKind::Spot, VenueKind::Usdm]),
                lasts: Span::from_ms(dice.of(&[200, 1_000, 4_000, 8_000])).min(longest),
                size: dice.within(0, 100),
            };
            mended = mended.max(fault.at + PATIENCE + fault.lasts);
            self.faults.push(fault);
        }
        let judged = mended + HEAL;
        self.rounds.push(Round { mended, judged });
        judged + Span::from_s(2)
    }

    /// The same without some of its faults, ending with the round in which `end` lies.
    #[must_use]
    pub fn keeping(&self, keep: &[Fault], end: Span) -> Plan {
        let rounds: Vec<Round> = self.rounds.clone();
        let last = rounds.iter().position(|round| round.judged >= end).unwrap_or(rounds.len());
        let rounds: Vec<Round> = rounds.into_iter().take(last + 1).collect();
        let stop = rounds.last().map_or(self.stop, |round| round.judged + Span::from_s(2));
        Plan { faults: keep.to_vec(), rounds, stop: stop.min(self.stop), ..self.clone() }
    }
}
