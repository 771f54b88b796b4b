//! Texts in which `*` stands for any text.

/// Whether `text` is `pattern`, in which `*` stands for any text. Linear in both: what stands
/// between two stars is taken where it comes first.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.contains('*').then(|| parts.next_back()).flatten() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("*b", "bc", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*c*c", "ac", false),
            ("ab*ba", "aba", false),
            ("*readmission*", "Predict 30-day readmission; research only", true),
            ("Learn*", "learn", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }
}
