//! Around which price is an instrument quoted: its own book's, the fused one, or a leader's?

use serde::Serialize;

use super::Engine;
use super::desk::Desk;
use super::params::FairFrom;
use super::quote::is_beyond;
use crate::domain::{Action, FairSource, InstrumentId, Note, Reason, Span, Ts};
use crate::market::{HayashiYoshidaWindow, LeadLag, SourceView};

/// Pause between two looks at which books are in order; a book that is lost is seen at once.
const TEND_EVERY: Span = Span::from_ms(50);
/// How far back lead and lag are looked for.
const LEAD_WINDOW: Span = Span::from_s(60);
/// Least time between two prices that lead and lag are read from.
const LEAD_SAMPLE: Span = Span::from_ms(50);
/// Pause between two readings of lead and lag.
const LEAD_EVERY: Span = Span::from_s(10);
/// Prices of each that a reading needs.
const LEAD_MIN: usize = 100;
/// Lags that are tried, seconds, and their opposites.
const LEAD_LAGS_S: [f64; 6] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0];

/// What the engine knows of an instrument's fair price.
#[derive(Clone, Debug)]
pub(super) struct FairNow {
    /// Around which price it was quoted last.
    source: FairSource,
    /// What was told last: that, and whether it was expected.
    told: Option<(FairSource, bool)>,
    /// When it was first quoted.
    quoted_since: Option<Ts>,
    /// It has been quoted around what the configuration wants.
    was_as_wanted: bool,
    /// Its own book's price when last quoted, quote per base.
    own: Option<f64>,
    /// The latest log price of the reference (first) and its own.
    latest: [Option<f64>; 2],
    /// Both, read at the same instants: prices that are only read when they move seem to follow
    /// those that are read more often.
    window: HayashiYoshidaWindow,
    lead: Option<LeadLag>,
    lead_read_at: Ts,
}

impl Default for FairNow {
    fn default() -> FairNow {
        FairNow {
            source: FairSource::Own,
            told: None,
            quoted_since: None,
            was_as_wanted: false,
            own: None,
            latest: [None; 2],
            window: HayashiYoshidaWindow::new(LEAD_WINDOW, LEAD_SAMPLE),
            lead: None,
            lead_read_at: Ts(0),
        }
    }
}

/// The price to quote around.
#[derive(Clone, Copy, Debug)]
pub(super) struct FairChoice {
    /// Of that source, in the instrument's terms, quote per base, before alpha.
    pub(super) price: f64,
    pub(super) source: FairSource,
    /// How far that price is expected to move, bps.
    pub(super) alpha_bps: f64,
}

/// The parts of an instrument's fair price, for operators.
#[derive(Clone, Debug, Serialize)]
pub struct FairView {
    /// Around which price it is quoted.
    pub source: FairSource,
    /// The one that the configuration asks for.
    pub wanted: FairSource,
    /// How far that price is expected to move: its own book's alpha or the leader's, basis points.
    pub alpha_bps: f64,
    /// The leader, `venue:SYMBOL`, where the configuration names one of the same base asset.
    pub leader: Option<String>,
    /// Its own book's fair price, quote per base.
    pub own: Option<f64>,
    /// The fused price in its terms, quote per base; `None` while fewer than two venues count.
    pub fused: Option<f64>,
    /// Its price above the common one, slow average, basis points.
    pub basis_bps: Option<f64>,
    /// Standard deviation of its noise against the fused price, basis points.
    pub noise_bps: f64,
    /// Its share in the fused price, 0 to 1.
    pub weight: f64,
    /// It counts as a source: in order, warm, and for long enough since it last was not.
    pub counts: bool,
    /// By how much the reference instrument moves before this one, milliseconds; below zero when
    /// this one moves first.
    pub lead_ms: Option<f64>,
    /// Lead-lag ratio: above 1 when the reference moves first.
    pub lead_ratio: Option<f64>,
    /// Hayashi–Yoshida correlation with the reference at that lag.
    pub lead_correlation: Option<f64>,
}

impl Engine {
    fn place_of(&self, id: InstrumentId) -> Option<(usize, usize)> {
        let group = self.desks[id.index()].group;
        let place = self.groups[group].members.iter().position(|&member| member == id)?;
        Some((group, place))
    }

    /// The configured leader, where it is another instrument of the same base asset.
    fn leader_of(&self, id: InstrumentId) -> Option<InstrumentId> {
        match self.params.fair.from {
            FairFrom::Leader(leader) => {
                let group = &self.groups[self.desks[id.index()].group];
                Some(leader).filter(|leader| *leader != id && group.members.contains(leader))
            }
            FairFrom::Own | FairFrom::Fused => None,
        }
    }

    /// The instrument that lead and lag are measured against: the leader, the hedge, or the first
    /// other one.
    fn compared_with(&self, id: InstrumentId) -> Option<InstrumentId> {
        let group = &self.groups[self.desks[id.index()].group];
        let hedge = group.hedges.iter().copied().find(|&hedge| hedge != id);
        self.leader_of(id)
            .or(hedge)
            .or_else(|| group.members.iter().copied().find(|&member| member != id))
    }

    /// The fair price of an instrument's own book, own orders left out, quote per base, and the
    /// spread in basis points.
    fn own_price(&self, id: InstrumentId) -> Option<(f64, f64)> {
        let desk = &self.desks[id.index()];
        let own: Vec<_> = if self.params.market.use_own_order_filter {
            self.orders.resting(id).collect()
        } else {
            Vec::new()
        };
        let touch = desk.touch_of_others(&own).filter(|touch| !touch.is_crossed())?;
        let price = desk.signals.fair_ticks(&touch) * desk.listed.as_ref()?.tick_f64();
        Some((price, touch.spread_ticks() as f64 / touch.mid_ticks() * 1e4))
    }

    fn is_in_order(&self, desk: &Desk) -> bool {
        let up = self.venues[desk.venue.index()].market.up;
        let touch = desk.book.touch().filter(|touch| !touch.is_crossed());
        up && desk.book.is_synced() && touch.is_some() && !self.is_stale(desk)
    }

    /// A book has changed: the fused price and lead and lag learn of it.
    pub(super) fn observe_fair(&mut self, id: InstrumentId) {
        let now = self.now;
        let Some((group, place)) = self.place_of(id) else { return };
        if self.groups[group].members.len() < 2 || !self.is_in_order(&self.desks[id.index()]) {
            return;
        }
        let Some((price, spread_bps)) = self.own_price(id) else { return };
        let sigma = self.volatility_of(&self.desks[id.index()]).unwrap_or(1.0);
        let fusion = &mut self.groups[group].fusion;
        fusion.set_health(place, now, true);
        fusion.observe(place, now, price, spread_bps, sigma);
        for at in 0..self.groups[group].members.len() {
            let member = self.groups[group].members[at];
            if !self.desks[member.index()].is_quoted() {
                continue;
            }
            if member == id {
                self.desks[member.index()].fair.watch(1, now, price);
            } else {
                if self.compared_with(member) == Some(id) {
                    self.desks[member.index()].fair.watch(0, now, price);
                }
                if self.params.fair.from != FairFrom::Own {
                    self.agenda.quote_now(member);
                }
            }
        }
    }

    /// Finds out now and then which books are in order, so that none counts longer than it is.
    pub(super) fn tend_fair(&mut self) {
        if self.now.since(self.fair_tended_at) >= TEND_EVERY {
            self.fair_tended_at = self.now;
            (0..self.groups.len()).for_each(|group| self.tend_fair_of(group));
        }
    }

    /// The same of one group, at once.
    pub(super) fn tend_fair_of(&mut self, group: usize) {
        let now = self.now;
        if self.groups[group].members.len() < 2 {
            return;
        }
        for place in 0..self.groups[group].members.len() {
            let id = self.groups[group].members[place];
            let healthy = self.is_in_order(&self.desks[id.index()]);
            let before = self.groups[group].fusion.counts(place, now);
            self.groups[group].fusion.set_health(place, now, healthy);
            if before && !healthy && self.params.fair.from != FairFrom::Own {
                for &member in &self.groups[group].members {
                    self.agenda.quote_now(member);
                }
            }
        }
    }

    /// Whether prices of others may be held against this instrument's: not when it stands apart
    /// from two or more that agree.
    pub(super) fn may_refer(&self, desk: &Desk) -> bool {
        let Some((group, place)) = self.place_of(desk.id) else { return true };
        let fusion = &self.groups[group].fusion;
        fusion.counts(place, self.now) || fusion.counting(self.now) < 2
    }

    /// The price to quote around, given the own book's; the own book's where what is wanted is not
    /// to be had. An error where the two disagree beyond the limit.
    pub(super) fn fair_for(&self, id: InstrumentId, own: f64) -> Result<FairChoice, Reason> {
        let chosen = self.place_of(id).and_then(|(group, place)| {
            let fusion = &self.groups[group].fusion;
            match self.params.fair.from {
                FairFrom::Own => None,
                FairFrom::Fused => Some((FairSource::Fused, fusion.fused(place, self.now)?)),
                FairFrom::Leader(_) => {
                    let (_, lead) = self.place_of(self.leader_of(id)?)?;
                    Some((FairSource::Leader, fusion.led(lead, place, self.now)?))
                }
            }
        });
        let (source, price) = chosen.unwrap_or((FairSource::Own, own));
        let apart = (price / own - 1.0).abs() * 1e4;
        if is_beyond(apart, self.params.reference.max_disagreement_bps) {
            return Err(Reason::ReferenceDisagrees);
        }
        let alpha_bps = self.alpha_around(id, source);
        Ok(FairChoice { price, source, alpha_bps })
    }

    /// How far the price of a source is expected to move, bps. Alpha is fitted to what the price
    /// of its own book misses, so it belongs to that price: a follower takes the leader's, whose
    /// price has already seen what the follower's own book foretells. A fused price has seen part
    /// of what every book foretells, nobody knows how much: nothing moves it.
    fn alpha_around(&self, id: InstrumentId, source: FairSource) -> f64 {
        let book = match source {
            FairSource::Own => Some(id),
            FairSource::Leader => self.leader_of(id),
            FairSource::Fused => None,
        };
        book.map_or(0.0, |id| self.desks[id.index()].signals.alpha_bps())
    }

    /// Records around which price an instrument is quoted, and tells of a change.
    pub(super) fn quoted_around(
        &mut self,
        id: InstrumentId,
        own: f64,
        source: FairSource,
        out: &mut Vec<Action>,
    ) {
        let (now, wanted) = (self.now, self.wanted_source(id));
        let warm_up = self.params.fair.fusion.warm_up;
        let fair = &mut self.desks[id.index()].fair;
        fair.own = Some(own);
        fair.source = source;
        fair.was_as_wanted |= source == wanted;
        // The others are watched first. Books come and go at a start: twice the time is no news.
        let since = *fair.quoted_since.get_or_insert(now);
        let warming = !fair.was_as_wanted && now.since(since) < Span(warm_up.0.saturating_mul(2));
        let told = Some((source, warming));
        // The start on the own book is no news where that is what is wanted.
        let is_news = source != FairSource::Own || wanted != FairSource::Own;
        if is_news && fair.told != told {
            fair.told = told;
            let instrument = id;
            out.push(Action::Note(Note::FairSourceChanged { instrument, source, wanted, warming }));
        }
    }

    fn wanted_source(&self, id: InstrumentId) -> FairSource {
        match self.params.fair.from {
            FairFrom::Own => FairSource::Own,
            FairFrom::Fused => FairSource::Fused,
            FairFrom::Leader(_) if self.leader_of(id).is_some() => FairSource::Leader,
            FairFrom::Leader(_) => FairSource::Own,
        }
    }

    /// Once a second: estimators learn where we quote, and what they say is told.
    pub(super) fn measure(&mut self, out: &mut Vec<Action>) {
        let now = self.now;
        let deepest = self.params.quoting.levels.last().map_or(0.0, |level| level.offset_bps);
        for index in 0..self.desks.len() {
            let sigma = self.volatility_of(&self.desks[index]);
            let desk = &mut self.desks[index];
            desk.intensity.follow_volatility(sigma);
            if let Some(numbers) = &desk.numbers {
                desk.intensity.follow_quotes(numbers.half_spread_bps, deepest);
            }
            let fair = &mut desk.fair;
            if now.since(fair.lead_read_at) >= LEAD_EVERY {
                fair.lead_read_at = now;
                fair.lead = fair.read_lead();
            }
            let id = desk.id;
            if self.desks[index].is_quoted() {
                let note = self.measured(id);
                out.push(Action::Note(note));
            }
        }
    }

    fn measured(&self, id: InstrumentId) -> Note {
        let desk = &self.desks[id.index()];
        let (fair, intensity) = (self.fair_view(desk), desk.intensity.estimate());
        Note::Measured {
            instrument: id,
            own: fair.own,
            fused: fair.fused,
            basis_bps: fair.basis_bps,
            weight: fair.weight,
            lead_ratio: fair.lead_ratio,
            volatility_fast_bps_sqrt_s: desk.volatility.bps_sqrt_s(),
            volatility_slow_bps_sqrt_s: desk.slow_volatility.as_ref().and_then(|s| s.bps_sqrt_s()),
            intensity_a_per_s: intensity.a_per_s,
            intensity_k_per_bps: intensity.k_per_bps,
            intensity_r_squared: intensity.fit.map(|fit| fit.r_squared),
            intensity_trusted: intensity.trusted,
        }
    }

    /// The parts of an instrument's fair price.
    pub(super) fn fair_view(&self, desk: &Desk) -> FairView {
        let place = self.place_of(desk.id);
        let fusion = place.map(|(group, place)| (&self.groups[group].fusion, place));
        let source = match fusion {
            Some((fusion, place)) => fusion.view(place, self.now),
            None => SourceView::default(),
        };
        let leader = self.leader_of(desk.id).map(|id| {
            let leader = &self.desks[id.index()];
            format!("{}:{}", self.venues[leader.venue.index()].name, leader.params.symbol)
        });
        let lead = desk.fair.lead.as_ref();
        FairView {
            source: desk.fair.source,
            wanted: self.wanted_source(desk.id),
            alpha_bps: self.alpha_around(desk.id, desk.fair.source),
            leader,
            own: desk.fair.own.or_else(|| self.own_price(desk.id).map(|(price, _)| price)),
            fused: fusion.and_then(|(fusion, place)| fusion.fused(place, self.now)),
            basis_bps: source.basis_bps,
            noise_bps: source.noise_bps,
            weight: source.weight,
            counts: source.counts,
            lead_ms: lead.map(|lead| lead.lag_s * 1e3),
            lead_ratio: lead.map(|lead| lead.ratio),
            lead_correlation: lead.map(|lead| lead.correlation),
        }
    }
}

impl FairNow {
    fn watch(&mut self, which: usize, now: Ts, price: f64) {
        self.latest[which] = Some(price.ln());
        if let [Some(reference), Some(own)] = self.latest {
            self.window.observe(0, now, reference);
            self.window.observe(1, now, own);
        }
    }

    fn read_lead(&self) -> Option<LeadLag> {
        if self.window.observations().into_iter().any(|count| count < LEAD_MIN) {
            return None;
        }
        let back = LEAD_LAGS_S.iter().rev().map(|lag| -lag);
        let lags: Vec<f64> = back.chain([0.0]).chain(LEAD_LAGS_S).collect();
        self.window.lead_lag(&lags)
    }
}
