//! Instants and spans in nanoseconds. Whoever drives the core owns the clock; here time is data.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// An instant: nanoseconds since the Unix epoch, stamped by the driver, never read here.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ts(pub i64);

/// A length of time in nanoseconds; negative when it points back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Ts {
    /// An instant far after any that occurs.
    pub const FAR: Ts = Ts(i64::MAX);

    /// An instant from Unix milliseconds, the unit of the venues; saturates.
    #[must_use]
    pub fn from_ms(ms: i64) -> Ts {
        Ts(ms.saturating_mul(1_000_000))
    }

    /// Unix milliseconds, rounded down.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time from `earlier` to this instant.
    #[must_use]
    pub fn since(self, earlier: Ts) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole milliseconds; saturates.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Span {
        Span(ms.saturating_mul(1_000_000))
    }

    /// A span of whole seconds; saturates.
    #[must_use]
    pub const fn from_s(s: i64) -> Span {
        Span(s.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds, for estimators.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// For the driver's timers; a span that points back is zero.
    #[must_use]
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl Add<Span> for Ts {
    type Output = Ts;
    fn add(self, span: Span) -> Ts {
        Ts(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Ts {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Ts {
    type Output = Ts;
    fn sub(self, span: Span) -> Ts {
        Ts(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Ts {
    /// RFC 3339 in UTC with milliseconds, as the interfaces promise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.ms();
        let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
        let (y, m, d) = civil(days);
        let (h, min, s) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
        write!(f, "{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}.{:03}Z", of_day % 1000)
    }
}

/// Year, month and day of a count of days since 1970-01-01, in the proleptic Gregorian calendar:
/// count from 1 March of year 0, so that the leap day ends each 400-year era.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_rfc_3339() {
        assert_eq!(Ts(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Ts::from_ms(1_723_161_255_208).to_string(), "2024-08-08T23:54:15.208Z");
        assert_eq!(Ts::from_ms(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Ts::from_ms(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }
}
