//! Numbers, bytes and durations for people to read.

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that shows three or four digits.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} bytes", count(bytes)),
        10_000..10_000_000 => format!("{} kB", count(bytes.div_ceil(1000))),
        10_000_000..10_000_000_000 => format!("{} MB", count(bytes.div_ceil(1_000_000))),
        _ => format!("{} GB", count(bytes.div_ceil(1_000_000_000))),
    }
}

/// A duration in its two largest units.
pub(crate) fn duration(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    let Some(first) = units.iter().position(|(size, _)| ms >= *size) else {
        return "0 s".to_owned();
    };
    let (size, unit) = units[first];
    let mut text = format!("{} {unit}", ms / size);
    if let Some((smaller, unit)) = units.get(first + 1)
        && ms % size / smaller > 0
    {
        text += &format!(" {} {unit}", ms % size / smaller);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (9_999, "9,999 bytes"),
            (10_001, "11 kB"),
            (10_000_000, "10 MB"),
            (12_000_000_000, "12 GB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (ms, text) in [
            (0, "0 s"),
            (999, "999 ms"),
            (90_000, "1 min 30 s"),
            (3_600_000, "1 h"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
