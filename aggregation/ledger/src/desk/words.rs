//! How people write and read amounts, rounds, times and keys.

use std::collections::BTreeSet;

use covey_aggregation::credit::{Amount, MICRO};
use covey_aggregation::program::clock;
use covey_aggregation::time::Time;

use crate::entry::INTEGER_MAX;
use crate::statement::LIST_MAX;

/// Micro-credits of a text such as `12.5`.
///
/// # Errors
/// What to write.
pub fn credits(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is no amount of credits: write 12 or 12.5, six digits at most");
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    if !is_number(whole) || !is_number(rest) || rest.len() > 6 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let rest: u64 = format!("{rest:0<6}").parse().map_err(|_| wrong())?;
    let micro = whole.checked_mul(MICRO).and_then(|micro| micro.checked_add(rest));
    micro.filter(|micro| *micro <= INTEGER_MAX).ok_or_else(wrong)
}

/// Rounds of a text such as `1,3-5`, ascending.
///
/// # Errors
/// What to write.
pub fn rounds(text: &str) -> Result<Rounds, String> {
    let wrong = || format!("{text:?} are no rounds: write 1,3-5 (at most {LIST_MAX})");
    let mut rounds = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last || (last - first) as usize >= LIST_MAX {
            return Err(wrong());
        }
        rounds.extend(first..=last);
    }
    if rounds.len() > LIST_MAX { Err(wrong()) } else { Ok(Rounds(rounds.into_iter().collect())) }
}

/// Rounds, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rounds(pub Vec<u32>);

/// A time as people write it, in milliseconds since the Unix epoch.
///
/// # Errors
/// What to write.
pub fn moment(text: &str) -> Result<u64, String> {
    clock::parse_since(text).map(|time| time.0)
}

/// Micro-credits for people.
#[must_use]
pub fn amount(micro: u64) -> String {
    format!("{} credits", Amount::from(micro))
}

/// A difference for people, with its sign.
#[must_use]
pub fn difference(micro: i64) -> String {
    let sign = if micro > 0 { "+" } else { "" };
    format!("{sign}{} credits", Amount::from(micro))
}

/// A time for people.
#[must_use]
pub fn time(ms: u64) -> String {
    clock::utc(Time(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_last_digit() {
        assert_eq!(credits("12"), Ok(12_000_000));
        assert_eq!(credits("12.5"), Ok(12_500_000));
        assert_eq!(credits("0.000001"), Ok(1));
        for bad in ["", ".", ".5", "5.", "-1", "1.0000001", "1e3", "1,5", "99999999999999999999"] {
            credits(bad).expect_err(bad);
        }
        credits("9007199255").expect_err("beyond 2^53 micro-credits");
    }

    #[test]
    fn rounds_are_read_as_lists_and_ranges() {
        assert_eq!(rounds("3,1"), Ok(Rounds(vec![1, 3])));
        assert_eq!(rounds("1,3-5,4"), Ok(Rounds(vec![1, 3, 4, 5])));
        for bad in ["", "x", "5-3", "1-4294967295", "1;2", "-1"] {
            rounds(bad).expect_err(bad);
        }
    }
}
