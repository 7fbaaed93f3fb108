//! Which faults are there, and in which moments can they strike? The rows and columns of the
//! fault matrix, and the cells that do not apply, each with its reason.

use super::plan::Layout;
use crate::domain::Span;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// User events are not sent; the connection lives.
    UserMute,
    /// Market streams are not sent; the connections live.
    MarketMute,
    /// Every websocket of a venue is cut.
    LinksCut,
    /// Depth differences are lost.
    Gap,
    /// Orders are carried out and answered 503, fate unknown.
    UnknownFate,
    /// Orders are carried out and never answered.
    NoAnswer,
    /// Signed requests are refused with 429.
    Throttled,
    /// Every request is refused with 418: banned.
    Banned,
    /// A gateway answers with a web page.
    WebPage,
    /// Replies come later.
    SlowReplies,
    /// The symbol takes no orders.
    Halt,
    /// The least notional and the price bounds of the market change.
    Filters,
    /// One websocket is cut.
    Cut,
    /// One websocket goes dead without a word.
    Hang,
    /// Requests never arrive.
    LostRequests,
    /// Replies never arrive.
    LostReplies,
    /// Requests do not leave.
    Refused,
    /// Everything on the way is late, requests and replies overtake each other.
    Slow,
    /// Requests arrive long after they were given up.
    LateRequests,
    /// Requests arrive twice.
    Twice,
    /// Frames of the streams arrive twice.
    FramesTwice,
    /// The venue says that it does not know an order that it has just taken.
    Blind,
    /// The venue is gone: no request, no stream.
    Down,
    /// Our clock runs ahead, or stands still for a while.
    ClockStep,
    /// The process stands still.
    Freeze,
    /// The process dies, with the end of its journal torn, and starts again.
    Crash,
    /// The journal cannot be written.
    JournalFails,
    /// Somebody else places orders on the account.
    ForeignOrder,
    /// The operator pauses.
    Pause,
    /// The operator kills; with or without flattening.
    Kill,
}

/// What is going on when a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connecting, reading clocks, listings and accounts.
    Start,
    /// Waiting for books and estimators.
    WarmUp,
    /// Both sides are quoted.
    Steady,
    /// An order is on its way.
    Posting,
    /// A cancel is on its way.
    Cancelling,
    /// An amendment is on its way.
    Amending,
    /// An order of ours is filled in part.
    PartFilled,
    /// A hedge is on its way.
    Hedging,
    /// A book is being proven again.
    Resync,
    /// Halted, by the operator.
    Halted,
    /// The configuration is read again.
    Reload,
    /// Stopping.
    Shutdown,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Kind; 30] = [
        Kind::UserMute,
        Kind::MarketMute,
        Kind::LinksCut,
        Kind::Gap,
        Kind::UnknownFate,
        Kind::NoAnswer,
        Kind::Throttled,
        Kind::Banned,
        Kind::WebPage,
        Kind::SlowReplies,
        Kind::Halt,
        Kind::Filters,
        Kind::Cut,
        Kind::Hang,
        Kind::LostRequests,
        Kind::LostReplies,
        Kind::Refused,
        Kind::Slow,
        Kind::LateRequests,
        Kind::Twice,
        Kind::FramesTwice,
        Kind::Blind,
        Kind::Down,
        Kind::ClockStep,
        Kind::Freeze,
        Kind::Crash,
        Kind::JournalFails,
        Kind::ForeignOrder,
        Kind::Pause,
        Kind::Kill,
    ];

    /// Its word, as `--faults` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::UserMute => "user_mute",
            Kind::MarketMute => "market_mute",
            Kind::LinksCut => "links_cut",
            Kind::Gap => "gap",
            Kind::UnknownFate => "unknown_fate",
            Kind::NoAnswer => "no_answer",
            Kind::Throttled => "throttled",
            Kind::Banned => "banned",
            Kind::WebPage => "web_page",
            Kind::SlowReplies => "slow_replies",
            Kind::Halt => "halt",
            Kind::Filters => "filters",
            Kind::Cut => "cut",
            Kind::Hang => "hang",
            Kind::LostRequests => "lost_requests",
            Kind::LostReplies => "lost_replies",
            Kind::Refused => "refused",
            Kind::Slow => "slow",
            Kind::LateRequests => "late_requests",
            Kind::Twice => "twice",
            Kind::FramesTwice => "frames_twice",
            Kind::Blind => "blind",
            Kind::Down => "down",
            Kind::ClockStep => "clock_step",
            Kind::Freeze => "freeze",
            Kind::Crash => "crash",
            Kind::JournalFails => "journal_fails",
            Kind::ForeignOrder => "foreign_order",
            Kind::Pause => "pause",
            Kind::Kill => "kill",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// Longest that it may last. What contradicts the venue's documented bounds for longer than
    /// the daemon is configured to believe them is no fault but another venue.
    #[must_use]
    pub fn longest(self) -> Span {
        match self {
            Kind::Blind => Span::from_s(4),
            Kind::Freeze => Span::from_s(5),
            _ => Span::from_s(8),
        }
    }
}

impl Phase {
    /// All of them, in the order of the table.
    pub const ALL: [Phase; 12] = [
        Phase::Start,
        Phase::WarmUp,
        Phase::Steady,
        Phase::Posting,
        Phase::Cancelling,
        Phase::Amending,
        Phase::PartFilled,
        Phase::Hedging,
        Phase::Resync,
        Phase::Halted,
        Phase::Reload,
        Phase::Shutdown,
    ];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Start => "start",
            Phase::WarmUp => "warm-up",
            Phase::Steady => "steady",
            Phase::Posting => "posting",
            Phase::Cancelling => "cancelling",
            Phase::Amending => "amending",
            Phase::PartFilled => "part-filled",
            Phase::Hedging => "hedging",
            Phase::Resync => "resync",
            Phase::Halted => "halted",
            Phase::Reload => "reload",
            Phase::Shutdown => "shutdown",
        }
    }

    /// In one of how many sessions this moment may come: orders are amended in a third of them
    /// only, hedged in half, and a hedge is seldom on its way.
    #[must_use]
    pub fn rarity(self) -> usize {
        match self {
            Phase::Amending | Phase::Hedging => 3,
            _ => 1,
        }
    }

    /// Whether this moment exists for that kind anywhere, or why not.
    ///
    /// # Errors
    /// Why the cell does not apply.
    pub fn exists(self, kind: Kind) -> Result<(), &'static str> {
        match (self, kind) {
            (Phase::Halted, Kind::Kill) => Err("the moment is made by a kill"),
            (Phase::Start, Kind::Gap) => Err("no depth stream runs yet"),
            _ => Ok(()),
        }
    }

    /// The cells of the matrix that exist for these kinds, in the order of the table.
    #[must_use]
    pub fn cells(kinds: &[Kind]) -> Vec<(Kind, Phase)> {
        let all = kinds.iter().flat_map(|kind| Phase::ALL.map(|phase| (*kind, phase)));
        all.filter(|(kind, phase)| phase.exists(*kind).is_ok()).collect()
    }

    /// Whether this moment exists for that kind in a layout, or why not.
    ///
    /// # Errors
    /// Why not.
    pub fn applies(self, kind: Kind, layout: Layout) -> Result<(), &'static str> {
        self.exists(kind)?;
        match (self, layout) {
            (Phase::Amending, Layout::SpotHedged | Layout::SpotTriggered | Layout::SpotPoor) => {
                Err("spot orders are not amended")
            }
            (Phase::Hedging, Layout::SpotPoor | Layout::Perpetual) => Err("nothing hedges here"),
            _ => Ok(()),
        }
    }
}
