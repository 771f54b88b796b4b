//! The only place that asks what time it is.

use std::time::{Duration, SystemTime};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::time::Time;

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long until `time`; for ever (a day at a time) when there is none.
#[must_use]
pub fn until(time: Option<Time>) -> Duration {
    const DAY_MS: u64 = 86_400_000;
    let wait_ms = time.map_or(DAY_MS, |time| time.since_ms(now()).min(DAY_MS));
    Duration::from_millis(wait_ms)
}

/// A time for people and files, in UTC: `2026-11-28T10:58:02.123Z`.
#[must_use]
pub fn utc(time: Time) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0) * 1_000_000)
        .ok()
        .and_then(|at| at.format(format).ok());
    // A time after the year 9999, which no clock tells.
    text.unwrap_or_else(|| format!("{} ms", time.0))
}

/// A time as people write it: `2026-11-28`, `2026-11-28T10:58:02Z`, or how long ago: `90m`, `7d`.
///
/// # Errors
/// What to write.
pub fn parse_since(text: &str) -> Result<Time, String> {
    let milliseconds =
        |at: OffsetDateTime| u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Time);
    let unit_ms = |unit| match unit {
        's' => Some(1000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        _ => None,
    };
    let ago = || {
        let unit = text.chars().next_back()?;
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Time(now().0.saturating_sub(number.saturating_mul(unit_ms(unit)?))))
    };
    let day = || {
        let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
        milliseconds(day.midnight().assume_utc())
    };
    let moment = || milliseconds(OffsetDateTime::parse(text, &Rfc3339).ok()?);
    ago().or_else(day).or_else(moment).ok_or_else(|| {
        format!(
            "{text:?} is no time: write 2026-11-28, 2026-11-28T10:58:02Z, or how long ago, as 7d"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let noon = Time(1_795_863_482_123);
        assert_eq!(utc(noon), "2026-11-28T10:58:02.123Z");
        assert_eq!(parse_since(&utc(noon)), Ok(noon));
        assert_eq!(parse_since("2026-11-28"), Ok(Time(1_795_824_000_000)));
        assert_eq!(parse_since("2026-11-28T12:58:02.123+02:00"), Ok(noon));
        let ago = now().0 - parse_since("2h").expect("a time").0;
        assert!((7_199_000..7_201_000).contains(&ago), "{ago}");
        for bad in ["", "h", "2 h", "yesterday", "2026-13-01", "-2h"] {
            parse_since(bad).expect_err(bad);
        }
    }
}
