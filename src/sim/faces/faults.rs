//! Misbehaviour on demand: what goes wrong, when, for how long or how often.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{Span, Ts};

/// Which venue a request or fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueKind {
    /// Binance spot.
    Spot,
    /// Binance USD-M futures.
    Usdm,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// User events are not sent; connections stay open.
    DropUserStream,
    /// Market streams are not sent; connections stay open.
    MuteMarket,
    /// Every WebSocket connection is cut without a closing handshake.
    CloseLinks,
    /// One depth difference of each book is lost; all of them, with a length.
    Gap,
    /// An order request is carried out but answered 503 with its fate unknown.
    #[serde(rename = "http_503_unknown_after_accept")]
    UnknownAfterAccept,
    /// An order request is carried out but never answered.
    HttpTimeout,
    /// Signed requests are refused with 429 and `Retry-After`.
    #[serde(rename = "http_429")]
    Http429,
    /// HTTP replies come later.
    LatencyMs {
        /// How much later, ms.
        add: i64,
    },
    /// A web page instead of JSON, as a gateway in trouble sends.
    HtmlReply,
    /// A symbol takes no orders.
    HaltSymbol {
        /// The venue's symbol.
        symbol: String,
    },
}

/// One line of the fault plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// First time, ms after the start of the exchange (or after the request that asks for it).
    #[serde(default)]
    pub at_ms: i64,
    /// Again and again at this distance, ms; absent for once.
    #[serde(default)]
    pub every_ms: Option<i64>,
    /// How long it lasts, ms; absent for one request or one event where that makes sense, and for
    /// one second otherwise.
    #[serde(default)]
    pub for_ms: Option<i64>,
    /// Only this venue; absent for both.
    #[serde(default)]
    pub venue: Option<VenueKind>,
}

/// What happens to one HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing special.
    Normal,
    /// Carried out, answered 503.
    UnknownAfterAccept,
    /// Carried out, not answered.
    Silence,
    /// Refused with 429.
    Throttled,
    /// Answered with a web page.
    Html,
}

#[derive(Clone, Debug)]
struct Planned {
    rule: FaultRule,
    next: Ts,
}

#[derive(Clone, Debug)]
struct Active {
    kind: FaultKind,
    venue: Option<VenueKind>,
    until: Ts,
    /// Ends with the first request that it hits.
    once: bool,
    /// Streams that have lost their one difference; absent when all are lost.
    lost: Option<BTreeSet<String>>,
}

/// The plan and what of it is going on.
#[derive(Clone, Debug, Default)]
pub struct FaultBoard {
    planned: Vec<Planned>,
    active: Vec<Active>,
}

const DEFAULT_LENGTH: Span = Span::from_s(1);
/// Long enough for the slowest depth stream, which speaks once a second.
const GAP_LENGTH: Span = Span::from_ms(1500);

impl FaultBoard {
    /// A plan that starts now.
    #[must_use]
    pub fn new(rules: &[FaultRule], now: Ts) -> FaultBoard {
        let mut board = FaultBoard::default();
        for rule in rules {
            board.add(rule.clone(), now);
        }
        board
    }

    /// One more rule, counted from now.
    pub fn add(&mut self, rule: FaultRule, now: Ts) {
        let next = now + Span::from_ms(rule.at_ms.max(0));
        self.planned.push(Planned { rule, next });
    }

    /// What is going on now, for people.
    #[must_use]
    pub fn active(&self) -> Vec<FaultKind> {
        self.active.iter().map(|active| active.kind.clone()).collect()
    }

    /// When the plan changes next.
    #[must_use]
    pub fn next_change(&self) -> Option<Ts> {
        let starts = self.planned.iter().map(|planned| planned.next);
        starts.chain(self.active.iter().map(|active| active.until)).min()
    }

    /// Starts and ends what is due; true when links are to be cut (`CloseLinks`), by venue.
    pub fn advance(&mut self, now: Ts) -> Vec<Option<VenueKind>> {
        self.active.retain(|active| active.until > now);
        let mut cut = Vec::new();
        for planned in &mut self.planned {
            if planned.next > now {
                continue;
            }
            let rule = &planned.rule;
            planned.next = match rule.every_ms {
                Some(every) if every > 0 => {
                    // Occasions that were slept through are not made up for.
                    let step = Span::from_ms(every).0;
                    let passed = now.since(planned.next).0 / step + 1;
                    Ts(planned.next.0.saturating_add(passed.saturating_mul(step)))
                }
                _ => Ts::FAR,
            };
            if rule.kind == FaultKind::CloseLinks {
                cut.push(rule.venue);
                continue;
            }
            let single = matches!(
                rule.kind,
                FaultKind::UnknownAfterAccept
                    | FaultKind::HttpTimeout
                    | FaultKind::Http429
                    | FaultKind::HtmlReply
            );
            let once = single && rule.for_ms.is_none();
            let until = match rule.for_ms {
                Some(ms) => now + Span::from_ms(ms),
                None if once => Ts::FAR,
                None if rule.kind == FaultKind::Gap => now + GAP_LENGTH,
                None => now + DEFAULT_LENGTH,
            };
            self.active.push(Active {
                kind: rule.kind.clone(),
                venue: rule.venue,
                until,
                once,
                lost: rule.for_ms.is_none().then(BTreeSet::new),
            });
        }
        self.planned.retain(|planned| planned.next < Ts::FAR);
        cut
    }

    fn position(&self, venue: VenueKind, kind: &FaultKind) -> Option<usize> {
        self.active.iter().position(|active| {
            active.kind == *kind && active.venue.is_none_or(|only| only == venue)
        })
    }

    fn take(&mut self, venue: VenueKind, kind: &FaultKind) -> bool {
        let Some(index) = self.position(venue, kind) else { return false };
        if self.active[index].once {
            self.active.remove(index);
        }
        true
    }

    /// What happens to a request; `order` when it would change orders.
    pub fn fate(&mut self, venue: VenueKind, signed: bool, order: bool) -> Fate {
        if self.active.is_empty() {
            return Fate::Normal;
        }
        if self.take(venue, &FaultKind::HtmlReply) {
            return Fate::Html;
        }
        if signed && self.take(venue, &FaultKind::Http429) {
            return Fate::Throttled;
        }
        if order && self.take(venue, &FaultKind::HttpTimeout) {
            return Fate::Silence;
        }
        if order && self.take(venue, &FaultKind::UnknownAfterAccept) {
            return Fate::UnknownAfterAccept;
        }
        Fate::Normal
    }

    /// How much later replies come.
    #[must_use]
    pub fn latency(&self, venue: VenueKind) -> Span {
        let ms =
            self.active.iter().filter(|a| a.venue.is_none_or(|only| only == venue)).map(|active| {
                match active.kind {
                    FaultKind::LatencyMs { add } => add.max(0),
                    _ => 0,
                }
            });
        Span::from_ms(ms.sum())
    }

    /// Whether user events are withheld.
    #[must_use]
    pub fn user_stream_muted(&self, venue: VenueKind) -> bool {
        self.position(venue, &FaultKind::DropUserStream).is_some()
    }

    /// Whether market streams are withheld.
    #[must_use]
    pub fn market_muted(&self, venue: VenueKind) -> bool {
        self.position(venue, &FaultKind::MuteMarket).is_some()
    }

    /// Whether the depth difference that is about to go out on this stream is lost.
    pub fn loses_diff(&mut self, venue: VenueKind, stream: &str) -> bool {
        let here = |active: &Active| active.venue.is_none_or(|only| only == venue);
        let mut gaps = self.active.iter_mut().filter(|a| a.kind == FaultKind::Gap && here(a));
        gaps.any(|gap| match &mut gap.lost {
            None => true,
            Some(lost) => lost.insert(format!("{venue:?} {stream}")),
        })
    }

    /// Whether a symbol takes no orders.
    #[must_use]
    pub fn halted(&self, venue: VenueKind, symbol: &str) -> bool {
        self.active.iter().any(|active| {
            active.venue.is_none_or(|only| only == venue)
                && matches!(&active.kind, FaultKind::HaltSymbol { symbol: s } if s == symbol)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> FaultRule {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn rules_start_repeat_and_end() {
        let plan = [
            rule(r#"{"kind":"mute_market","at_ms":100,"every_ms":1000,"for_ms":50}"#),
            rule(r#"{"kind":"http_503_unknown_after_accept","venue":"spot"}"#),
        ];
        let mut board = FaultBoard::new(&plan, Ts(0));
        assert_eq!(board.next_change(), Some(Ts(0)));
        board.advance(Ts(0));
        assert_eq!(board.fate(VenueKind::Usdm, true, true), Fate::Normal);
        assert_eq!(board.fate(VenueKind::Spot, true, false), Fate::Normal);
        assert_eq!(board.fate(VenueKind::Spot, true, true), Fate::UnknownAfterAccept);
        assert_eq!(board.fate(VenueKind::Spot, true, true), Fate::Normal, "only once");
        for (ms, muted) in [(99, false), (100, true), (149, true), (150, false), (1120, true)] {
            board.advance(Ts::from_ms(ms));
            assert_eq!(board.market_muted(VenueKind::Spot), muted, "at {ms} ms");
        }
    }

    #[test]
    fn a_gap_takes_one_difference_of_every_book() {
        let mut board = FaultBoard::new(&[rule(r#"{"kind":"gap"}"#)], Ts(0));
        board.advance(Ts(0));
        for (venue, stream) in [
            (VenueKind::Spot, "btcusdt@depth"),
            (VenueKind::Spot, "ethusdt@depth"),
            (VenueKind::Usdm, "btcusdt@depth"),
        ] {
            assert!(board.loses_diff(venue, stream), "{venue:?} {stream}");
            assert!(!board.loses_diff(venue, stream), "{venue:?} {stream}, only once");
        }
        board.advance(Ts::from_ms(1500));
        assert!(!board.loses_diff(VenueKind::Spot, "solusdt@depth"), "it is over");
    }

    #[test]
    fn every_kind_has_its_word() {
        for text in [
            r#"{"kind":"drop_user_stream"}"#,
            r#"{"kind":"mute_market"}"#,
            r#"{"kind":"close_links"}"#,
            r#"{"kind":"gap"}"#,
            r#"{"kind":"http_503_unknown_after_accept"}"#,
            r#"{"kind":"http_timeout"}"#,
            r#"{"kind":"http_429"}"#,
            r#"{"kind":"latency_ms","add":5}"#,
            r#"{"kind":"html_reply"}"#,
            r#"{"kind":"halt_symbol","symbol":"BTCUSDT"}"#,
        ] {
            rule(text);
        }
        assert!(serde_json::from_str::<FaultRule>(r#"{"kind":"earthquake"}"#).is_err());
    }
}
