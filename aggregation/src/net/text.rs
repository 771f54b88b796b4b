//! Hexadecimal text of keys and digests in files for people.

use crate::party::PartyId;
use crate::signing::Signature;

/// Lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of hexadecimal digits; `None` for anything else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// A party's whole key (its `Display` is shortened for people).
pub(super) fn party_to_hex(party: &PartyId) -> String {
    to_hex(&party.0)
}

/// The party of 64 digits.
pub(super) fn party_from_hex(text: &str) -> Option<PartyId> {
    from_hex(text)?.try_into().ok().map(PartyId)
}

/// The signature of 128 digits.
pub(super) fn signature_from_hex(text: &str) -> Option<Signature> {
    from_hex(text)?.try_into().ok().map(Signature::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_other_text() {
        assert_eq!(from_hex(&to_hex(&[0, 1, 0xfe])), Some(vec![0, 1, 0xfe]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
        assert_eq!(from_hex("é"), None);
    }
}
