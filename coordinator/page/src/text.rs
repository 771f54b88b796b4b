//! Numbers, times and keys as people read them. The same text everywhere.

use covey_aggregation::credit::{Amount, MICRO};

/// Micro-credits in credits with two digits after the point; where that would hide an amount, exactly.
#[must_use]
pub(crate) fn credits(micro: impl Into<i128>) -> String {
    let micro = micro.into();
    let clamped = micro.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    let amount = Amount::from(clamped);
    let is_small = clamped != 0 && clamped.unsigned_abs() < MICRO / 100;
    let text = if is_small { amount.to_string() } else { format!("{amount:.2}") };
    grouped(&text)
}

/// Digits before the point in groups of three, with thin spaces.
#[must_use]
pub(crate) fn grouped(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("\u{2212}", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b)));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A whole number.
#[must_use]
pub(crate) fn number(value: impl Into<i128>) -> String {
    grouped(&value.into().to_string())
}

/// `1 run`, `2 runs`.
#[must_use]
pub(crate) fn count(value: u64, one: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {one}{ending}", number(value))
}

/// A number that is not whole, with so many digits after the point.
#[must_use]
pub(crate) fn decimal(value: f64, digits: usize) -> String {
    if value.is_finite() {
        grouped(&format!("{value:.digits$}"))
    } else {
        "not a number".to_owned()
    }
}

/// Milliseconds since 1970 as a date and time in UTC, to the second.
#[must_use]
pub(crate) fn time(ms: u64) -> String {
    let (date, clock) = date_and_clock(ms);
    format!("{date} {clock} UTC")
}

/// The same for programs (RFC 3339).
#[must_use]
pub(crate) fn rfc3339(ms: u64) -> String {
    let (date, clock) = date_and_clock(ms);
    format!("{date}T{clock}Z")
}

/// How long: `1 h 02 min`, `3.2 s`.
#[must_use]
pub(crate) fn duration(ms: u64) -> String {
    let (seconds, minutes) = (ms / 1000, ms / 60_000);
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60_000..3_600_000 => format!("{minutes} min {:02} s", seconds % 60),
        3_600_000..172_800_000 => format!("{} h {:02} min", minutes / 60, minutes % 60),
        _ => format!("{} days {} h", minutes / 1440, minutes / 60 % 24),
    }
}

/// A number of bytes: `1.2 MB`.
#[must_use]
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// The first digits of a long hexadecimal text, for people.
#[must_use]
pub(crate) fn short(hex: &str) -> String {
    hex.chars().take(8).collect()
}

/// Days since 1970 as a civil date: Hinnant, "chrono-compatible low-level date algorithms".
fn date_and_clock(ms: u64) -> (String, String) {
    let (days, second) = (ms / 86_400_000, ms / 1000 % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_digits_unless_that_hides_them() {
        assert_eq!(credits(1_234_567_890u64), "1\u{202f}234.57");
        assert_eq!(credits(-1_500_000i64), "\u{2212}1.50");
        assert_eq!(credits(12u64), "0.000012");
        assert_eq!(credits(0u64), "0.00");
    }

    #[test]
    fn times_are_civil() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(1_709_210_096_789), "2024-02-29 12:34:56 UTC");
        assert_eq!(rfc3339(4_102_444_800_000), "2100-01-01T00:00:00Z");
        // No panic at the end of time.
        assert!(time(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn durations_and_sizes_are_short() {
        assert_eq!(duration(3_210), "3.2 s");
        assert_eq!(duration(3_723_000), "1 h 02 min");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_234_567), "1.2 MB");
    }
}
