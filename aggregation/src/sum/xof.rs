//! Extendable output: `XOF(key, stream)` is the keystream of AES-256 in counter mode with the
//! initial block `0^64 || stream` (both little-endian; the counter is the first half).

use std::convert::Infallible;

use aes::Aes256;
use ctr::Ctr64LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use rand_core::{TryCryptoRng, TryRng};

/// One stream of output.
pub(crate) struct Xof(Ctr64LE<Aes256>);

impl Xof {
    /// The stream `stream` under `key`.
    pub(crate) fn new(key: &[u8; 32], stream: u64) -> Self {
        Self::at(key, stream, 0)
    }

    /// The stream `stream` under `key`, from byte `start` on, which begins a block of 16.
    pub(crate) fn at(key: &[u8; 32], stream: u64, start: u64) -> Self {
        debug_assert!(start.is_multiple_of(16));
        let mut block = [0; 16];
        block[..8].copy_from_slice(&(start / 16).to_le_bytes());
        block[8..].copy_from_slice(&stream.to_le_bytes());
        Self(Ctr64LE::<Aes256>::new(key.into(), &block.into()))
    }

    /// The next bytes.
    pub(crate) fn bytes(&mut self, out: &mut [u8]) {
        self.0.write_keystream(out);
    }

    /// The next 8-byte words.
    pub(crate) fn words(&mut self, out: &mut [u64]) {
        self.bytes(bytemuck::cast_slice_mut(out));
        out.iter_mut().for_each(|word| *word = u64::from_le(*word));
    }

    /// Uniform residues for a modulus below 2^63: of each word the low bits that `modulus` has,
    /// words not below it skipped. Which words are skipped depends only on words that are not used.
    pub(crate) fn uniform(&mut self, modulus: u64, out: &mut [u64]) {
        let mask = u64::MAX >> modulus.leading_zeros();
        let mut filled = 0;
        while filled < out.len() {
            let fresh = &mut out[filled..];
            self.words(fresh);
            // The top bit of `over` is set when some word is not below the modulus: a form that
            // vectorises everywhere, as modulus and words have that bit clear.
            let mut over = 0;
            for word in fresh.iter_mut() {
                *word &= mask;
                over |= (modulus - 1).wrapping_sub(*word);
            }
            if over >> 63 == 0 {
                return;
            }
            let mut kept = 0;
            for i in 0..fresh.len() {
                if fresh[i] < modulus {
                    fresh[kept] = fresh[i];
                    kept += 1;
                }
            }
            filled += kept;
        }
    }
}

impl TryRng for Xof {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.bytes(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for Xof {}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt;
    use aes::cipher::KeyInit;

    use super::*;

    #[test]
    fn output_is_aes_of_counter_and_stream() {
        let key = [0x5a; 32];
        let mut out = [0; 48];
        Xof::new(&key, 0x0123_4567_89ab_cdef).bytes(&mut out);
        for (counter, got) in out.chunks(16).enumerate() {
            let mut block = [0u8; 16];
            block[..8].copy_from_slice(&(counter as u64).to_le_bytes());
            block[8..].copy_from_slice(&0x0123_4567_89ab_cdef_u64.to_le_bytes());
            let mut block = block.into();
            Aes256::new(&key.into()).encrypt_block(&mut block);
            assert_eq!(got, block.as_slice());
        }
    }

    #[test]
    fn uniform_keeps_the_first_words_below_the_modulus_in_order() {
        // 2^61 + 1 refuses half of all words.
        let modulus = (1 << 61) + 1;
        let mut words = vec![0; 4000];
        Xof::new(&[1; 32], 3).words(&mut words);
        let mask = (1 << 62) - 1;
        let expected: Vec<u64> =
            words.iter().map(|word| word & mask).filter(|&word| word < modulus).collect();
        let mut got = vec![0; 1000];
        Xof::new(&[1; 32], 3).uniform(modulus, &mut got);
        // The first 1000 words are drawn at once, then as many as were refused, and so on: the
        // stream is the same.
        assert_eq!(got, expected[..1000]);
    }

    #[test]
    fn a_stream_can_be_taken_up_at_any_block() {
        let (mut whole, mut rest) = ([0; 96], [0; 48]);
        Xof::new(&[4; 32], 9).bytes(&mut whole);
        Xof::at(&[4; 32], 9, 48).bytes(&mut rest);
        assert_eq!(rest, whole[48..]);
    }

    #[test]
    fn streams_differ() {
        let draw = |key: u8, stream| {
            let mut out = [0; 32];
            Xof::new(&[key; 32], stream).bytes(&mut out);
            out
        };
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_eq!(draw(1, 7), draw(1, 7));
    }
}
