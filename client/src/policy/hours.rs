//! A part of the day, in UTC: the clock that all parties of a federation have in common, and that
//! has no summer time.

use std::fmt;
use std::str::FromStr;

use covey_aggregation::time::Time;
use serde::{Serialize, Serializer};

const HOUR_MINUTES: u16 = 60;
const DAY_MINUTES: u16 = 24 * HOUR_MINUTES;
const MINUTE_MS: u64 = 60_000;

/// From one minute of the day up to another, which may be on the next day. The last does not belong
/// to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: Minute,
    to: Minute,
}

/// A minute of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u16);

/// The text is no part of the day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no part of the day")]
pub struct NoHours {
    text: String,
}

impl Minute {
    /// The minute of a time.
    #[must_use]
    pub const fn of(time: Time) -> Self {
        Self((time.0 / MINUTE_MS % DAY_MINUTES as u64) as u16)
    }

    fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str, below: u16| -> Option<u16> {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.filter(|number| *number < below)
        };
        Some(Self(number(hour, 24)? * HOUR_MINUTES + number(minute, HOUR_MINUTES)?))
    }
}

impl Hours {
    /// Whether a minute belongs to it.
    #[must_use]
    pub fn contain(self, minute: Minute) -> bool {
        let Self { from, to } = self;
        if from < to { from <= minute && minute < to } else { from <= minute || minute < to }
    }
}

impl FromStr for Hours {
    type Err = NoHours;

    /// `20:00-06:00`
    fn from_str(text: &str) -> Result<Self, NoHours> {
        let parse = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (Minute::parse(from)?, Minute::parse(to)?);
            (from != to).then_some(Self { from, to })
        };
        parse().ok_or_else(|| NoHours { text: text.to_owned() })
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / HOUR_MINUTES, self.0 % HOUR_MINUTES)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_day_may_end_on_the_next() {
        let contain = |hours: &str, minute: &str| {
            let minute = Minute::parse(minute).expect("a minute");
            hours.parse::<Hours>().expect("hours").contain(minute)
        };
        for (hours, minute, expected) in [
            ("08:00-17:30", "07:59", false),
            ("08:00-17:30", "08:00", true),
            ("08:00-17:30", "17:29", true),
            ("08:00-17:30", "17:30", false),
            ("20:00-06:00", "19:59", false),
            ("20:00-06:00", "20:00", true),
            ("20:00-06:00", "00:00", true),
            ("20:00-06:00", "05:59", true),
            ("20:00-06:00", "06:00", false),
        ] {
            assert_eq!(contain(hours, minute), expected, "{hours} {minute}");
        }
        for bad in ["", "20:00", "20-06", "24:00-06:00", "20:60-06:00", "8:00-17:00", "01:00-01:00"]
        {
            assert!(bad.parse::<Hours>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_minute_is_that_of_utc() {
        // 2026-11-28T11:05:59.999Z
        let minute = Minute::of(Time(1_795_863_959_999));
        assert_eq!(minute.to_string(), "11:05");
        assert_eq!(Minute::of(Time(0)).to_string(), "00:00");
    }
}
