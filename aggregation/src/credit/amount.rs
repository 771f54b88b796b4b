//! Micro-credits and parts for people to read.

use std::fmt;

/// Micro-credits in a credit.
pub const MICRO: u64 = 1_000_000;

/// An amount, shown in credits: exact, with at least two digits after the point.
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
        let sign = if self.is_negative { "-" } else { "" };
        let mut text = format!("{sign}{}.{:06}", self.micro / MICRO, self.micro % MICRO);
        let shortest = text.len() - 4;
        while text.len() > shortest && text.ends_with('0') {
            text.pop();
        }
        f.pad(&text)
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
        assert_eq!(format!("{:>8}", Amount::from(1_230_000u64)), "    1.23");
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
