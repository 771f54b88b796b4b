//! Micro-credits and parts for people to read.

use std::fmt;

/// Micro-credits in a credit.
pub const MICRO: u64 = 1_000_000;

/// An amount, shown in credits: exact, with at least two digits after the point; or, as `{:.2}`, with
/// so many digits (six at most), rounded to the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount {
    is_negative: bool,
    micro: u64,
}

impl From<i64> for Amount {
    fn from(micro: i64) -> Self {
        Self { is_negative: micro < 0, micro: micro.unsigned_abs() }
    }
}

impl From<u64> for Amount {
    fn from(micro: u64) -> Self {
        Self { is_negative: false, micro }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(6).min(6);
        let step = 10u64.pow(6 - digits as u32);
        let (whole, rest) = (self.micro / MICRO, self.micro % MICRO);
        let rest = (rest + step / 2) / step * step;
        let (whole, rest) = (whole + rest / MICRO, rest % MICRO);
        let sign = if self.is_negative && (whole, rest) != (0, 0) { "-" } else { "" };
        let mut text = format!("{sign}{whole}.{rest:06}");
        let shortest = match f.precision() {
            Some(0) => text.len() - 7,
            Some(_) => text.len() - 6 + digits,
            None => text.len() - 4,
        };
        while text.len() > shortest && (f.precision().is_some() || text.ends_with('0')) {
            text.pop();
        }
        match f.width() {
            Some(width) => write!(f, "{text:>width$}"),
            None => f.write_str(&text),
        }
    }
}

/// `part / whole` in percent, with two digits after the point, rounded towards 0.
#[derive(Clone, Copy, Debug)]
pub struct Percent {
    /// The part.
    pub part: i64,
    /// The whole; nothing of nothing is shown as 0.
    pub whole: u64,
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths =
            u128::from(self.part.unsigned_abs()) * 10_000 / u128::from(self.whole.max(1));
        let sign = if self.part < 0 && hundredths > 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}.{:02} %", hundredths / 100, hundredths % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_short() {
        for (micro, text) in [
            (0, "0.00"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (1_500_000, "1.50"),
            (-12_345_678, "-12.345678"),
            (1_000_000_000, "1000.00"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(Amount::from(micro).to_string(), text);
        }
        assert_eq!(Amount::from(1_230_000u64).to_string(), "1.23");
        assert_eq!(format!("{:8}", Amount::from(1_230_000u64)), "    1.23");
        for (micro, text) in [
            (1_994_999, "1.99"),
            (1_995_000, "2.00"),
            (-999_999, "-1.00"),
            (-4_999, "0.00"),
            (i64::MAX, "9223372036854.78"),
        ] {
            assert_eq!(format!("{:.2}", Amount::from(micro)), text);
        }
        assert_eq!(format!("{:.0}", Amount::from(1_500_000u64)), "2");
        assert_eq!(format!("{:9.2}", Amount::from(-1_500_000i64)), "    -1.50");
    }

    #[test]
    fn percents_are_rounded_towards_zero() {
        for (part, whole, text) in [
            (1, 3, "33.33 %"),
            (-2, 3, "-66.66 %"),
            (-1, 1_000_000, "0.00 %"),
            (0, 0, "0.00 %"),
            (i64::MAX, u64::MAX, "49.99 %"),
        ] {
            assert_eq!(Percent { part, whole }.to_string(), text);
        }
    }
}
