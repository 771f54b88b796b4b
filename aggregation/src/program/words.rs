//! A key in words that two people can compare over the telephone.
//!
//! Proquints (Wilkerson 2009, arXiv:0901.4016): sixteen bits for each word of five letters, so 64 bits
//! are four words. They tell an honest mistake and a wrong key apart; the whole key is what counts.

use crate::party::PartyId;

const CONSONANTS: [char; 16] =
    ['b', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'];
const VOWELS: [char; 4] = ['a', 'i', 'o', 'u'];

/// Bytes of a key that are said: 64 bits.
const BYTES_SAID: usize = 8;

/// The first 64 bits of a key in four words.
#[must_use]
pub fn key_words(key: &PartyId) -> String {
    let words = key.0[..BYTES_SAID].chunks_exact(2).map(|pair| {
        let bits = usize::from(u16::from_be_bytes([pair[0], pair[1]]));
        let word = [
            CONSONANTS[bits >> 12],
            VOWELS[bits >> 10 & 3],
            CONSONANTS[bits >> 6 & 15],
            VOWELS[bits >> 4 & 3],
            CONSONANTS[bits & 15],
        ];
        word.iter().collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_paper() {
        let mut key = [0; 32];
        // 127.0.0.1 and 63.84.220.193, of the paper's table.
        key[..8].copy_from_slice(&[127, 0, 0, 1, 63, 84, 220, 193]);
        assert_eq!(key_words(&PartyId(key)), "lusab-babad-gutih-tugad");
    }
}
