//! Is a silent stream quiet or mute?

use crate::domain::{Span, Ts};

/// How often news of a book comes, so that a silence can be told from a quiet market.
///
/// A stream can fall mute while its connection answers pings. Whether that is so cannot be seen
/// from the length of a silence alone: a liquid book changes every 100 ms, an illiquid one once a
/// minute. The longest gap of the recent past can: gaps are about exponentially distributed, so
/// the longest of n is ln n times the mean, and one [`Pace::FACTOR`] times as long has a chance of
/// about n to the minus 4.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    told_at: Ts,
    /// Longest gap, halved with every [`Pace::HALF_LIFE`].
    longest_s: f64,
    count: u32,
}

impl Pace {
    /// News needed before a silence is judged.
    const NEEDED: u32 = 50;
    const FACTOR: f64 = 4.0;
    const HALF_LIFE: Span = Span::from_s(60);

    /// News has come.
    pub fn observe(&mut self, now: Ts) {
        let gap = now.since(self.told_at).seconds();
        if self.count > 0 {
            let kept = self.longest_s * (-gap / Self::HALF_LIFE.seconds()).exp2();
            // A gap that was judged an outage says little of the market, but may have been misjudged.
            let counted = if self.is_mute(now) { gap.min(2.0 * self.longest_s) } else { gap };
            self.longest_s = kept.max(counted);
        }
        self.told_at = now;
        self.count = self.count.saturating_add(1);
    }

    /// Nothing has come for much longer than this market is ever quiet.
    #[must_use]
    pub fn is_mute(&self, now: Ts) -> bool {
        self.count >= Self::NEEDED
            && now.since(self.told_at).seconds() > Self::FACTOR * self.longest_s
    }

    /// When the silence that has begun is too long, if nothing comes; `None` while too little is
    /// known of the market.
    #[must_use]
    pub fn mute_at(&self) -> Option<Ts> {
        let patience = Span((Self::FACTOR * self.longest_s * 1e9) as i64);
        (self.count >= Self::NEEDED).then(|| self.told_at + patience)
    }

    /// How long nothing has come.
    #[must_use]
    pub fn silence(&self, now: Ts) -> Span {
        now.since(self.told_at)
    }

    /// A new stream begins: what was measured is kept, the silence before it is no gap.
    pub fn restart(&mut self, now: Ts) {
        self.told_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// News every `gap_ms`, `count` times; the instant of the last.
    fn told(pace: &mut Pace, gap_ms: i64, count: i64) -> Ts {
        (1..=count).for_each(|n| pace.observe(Ts::from_ms(n * gap_ms)));
        Ts::from_ms(count * gap_ms)
    }

    #[test]
    fn a_silence_is_judged_by_how_the_market_is_otherwise() {
        for gap_ms in [100, 10_000] {
            let mut pace = Pace::default();
            let last = told(&mut pace, gap_ms, 100);
            assert!(!pace.is_mute(last + Span::from_ms(3 * gap_ms)), "quiet at {gap_ms} ms");
            assert!(pace.is_mute(last + Span::from_ms(5 * gap_ms)), "mute at {gap_ms} ms");
        }
    }

    #[test]
    fn little_news_is_no_ground_for_judgement() {
        let mut pace = Pace::default();
        let last = told(&mut pace, 100, 20);
        assert!(!pace.is_mute(last + Span::from_s(60)));
    }

    #[test]
    fn one_outage_does_not_blunt_the_judgement_and_a_quieter_market_is_learnt() {
        let mut pace = Pace::default();
        let mut now = told(&mut pace, 100, 100) + Span::from_s(30);
        pace.observe(now);
        assert!(pace.is_mute(now + Span::from_s(1)), "after one outage of 30 s");
        for _ in 0..20 {
            now += Span::from_s(30);
            pace.observe(now);
        }
        assert!(!pace.is_mute(now + Span::from_s(60)), "news comes every 30 s now");
    }
}
