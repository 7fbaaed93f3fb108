//! What a seed stands for: the shape of the session, the network, and everything that goes wrong.

use evenkeel::domain::{Span, Ts};
use evenkeel::sim::faces::faults::{FaultKind, FaultRule, VenueKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Seeded choices.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From `low` up to, not including, `high`.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).unwrap().max(1);
        low + i64::try_from(self.0.next_u64() % span).unwrap()
    }

    pub fn percent(&mut self, chance: i64) -> bool {
        self.within(0, 100) < chance
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.within(0, all.len() as i64)).unwrap()]
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

/// Between the process and the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Per cent of the requests that never arrive.
    LoseRequests(i64),
    /// Per cent of the replies that never arrive.
    LoseReplies(i64),
    /// Requests do not leave.
    Refuse,
    /// Everything on the way takes up to this much longer.
    Slow(Span),
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// At the exchange.
    Exchange(FaultRule),
    /// Between us and one venue, for a while.
    Network(VenueKind, Network, Span),
    /// One websocket is cut, and both ends hear of it.
    Cut(usize),
    /// One websocket goes dead without a word.
    Hang(usize),
    /// The process dies, and starts again after a while.
    Crash(Span),
}

/// Everything that a seed decides beforehand.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    /// Things go wrong.
    pub faulty: bool,
    pub layout: Layout,
    /// One way, without jitter.
    pub latency: Span,
    pub jitter: Span,
    /// Our clock less the exchange's.
    pub skew: Span,
    /// How long the process may be busy between two turns.
    pub busy: Span,
    /// What goes wrong, by time from the start.
    pub faults: Vec<(Span, Fault)>,
    /// When the last fault is over.
    pub healed: Span,
    /// When we are told to stop.
    pub stop: Span,
}

/// The beginning of all virtual time.
pub const EPOCH: Ts = Ts(1_800_000_000_000_000_000);

const QUIET_START: i64 = 4_000;
const ROUGH: i64 = 22_000;
/// Longest that a consequence of a fault may last: an unknown order's bound and a few readings.
const HEAL: Span = Span::from_s(34);

impl Plan {
    /// The plan of a seed; `faulty` lets things go wrong.
    pub fn new(seed: u64, faulty: bool) -> Plan {
        let mut dice = Dice::new(seed);
        let layout = dice.of(&[
            Layout::SpotHedged,
            Layout::SpotHedged,
            Layout::SpotTriggered,
            Layout::SpotPoor,
            Layout::Perpetual,
        ]);
        let mut plan = Plan {
            seed,
            faulty,
            layout,
            latency: Span(dice.of(&[300_000, 2_000_000, 10_000_000, 60_000_000])),
            jitter: Span(dice.of(&[100_000, 2_000_000, 20_000_000])),
            skew: Span::from_ms(dice.within(-400, 400)),
            busy: Span(dice.of(&[0, 500_000, 3_000_000])),
            faults: Vec::new(),
            healed: Span::ZERO,
            stop: Span::from_s(20),
        };
        if faulty {
            let crowd = dice.of(&[2, 6, 12]);
            for _ in 0..crowd {
                let at = Span::from_ms(dice.within(QUIET_START, QUIET_START + ROUGH));
                let (fault, lasts) = fault(&mut dice);
                plan.healed = Span(plan.healed.0.max(at.0 + lasts.0));
                plan.faults.push((at, fault));
            }
            plan.faults.sort_by_key(|(at, _)| at.0);
            plan.stop = plan.healed + HEAL;
        }
        plan
    }
}

/// One fault and how long it lasts.
fn fault(dice: &mut Dice) -> (Fault, Span) {
    let venue = dice.of(&[VenueKind::Spot, VenueKind::Usdm]);
    let lasts = Span::from_ms(dice.of(&[200, 1_000, 4_000, 8_000]));
    let exchange = |kind, lasts: Option<Span>| {
        let for_ms = lasts.map(Span::ms);
        let rule = FaultRule { kind, at_ms: 0, every_ms: None, for_ms, venue: Some(venue) };
        (Fault::Exchange(rule), lasts.unwrap_or(Span::from_s(1)))
    };
    let some = Some(lasts);
    let maybe = dice.of(&[None, some]);
    match dice.within(0, 16) {
        0 => exchange(FaultKind::DropUserStream, some),
        1 => exchange(FaultKind::MuteMarket, some),
        2 => exchange(FaultKind::CloseLinks, None),
        3 => exchange(FaultKind::Gap, None),
        4 => exchange(FaultKind::UnknownAfterAccept, maybe),
        5 => exchange(FaultKind::HttpTimeout, maybe),
        6 => exchange(FaultKind::Http429, maybe),
        7 => exchange(FaultKind::HtmlReply, maybe),
        8 => exchange(FaultKind::LatencyMs { add: dice.of(&[50, 700, 4_000]) }, some),
        9 => exchange(FaultKind::HaltSymbol { symbol: "BTCUSDT".to_owned() }, some),
        10 => (Fault::Cut(dice.within(0, 6) as usize), Span::ZERO),
        11 => (Fault::Hang(dice.within(0, 6) as usize), Span::from_s(12)),
        12 => {
            let down = Span::from_ms(dice.of(&[50, 1_000, 6_000]));
            (Fault::Crash(down), down)
        }
        13 => (Fault::Network(venue, Network::LoseRequests(dice.within(5, 101)), lasts), lasts),
        14 => (Fault::Network(venue, Network::LoseReplies(dice.within(5, 101)), lasts), lasts),
        _ => {
            let slow = Network::Slow(Span::from_ms(dice.within(20, 3_000)));
            let network = dice.of(&[Network::Refuse, slow]);
            (Fault::Network(venue, network, lasts), lasts)
        }
    }
}
