//! The rows of an audit: J random vectors in {-1, 0, 1} over all coefficients of a contribution,
//! the same for all clients of a round, from a beacon that nobody can foresee.
//!
//! Entry c of row j is made of bits 2c and 2c + 1 of `XOF(key, j)`, counted from the least
//! significant bit of each byte: the first says whether it is not zero, the second whether it is
//! negative. So P(0) = 1/2, which the soundness argument needs: of the two neighbours of a value
//! that is off the grid at most one passes.

use crate::config::RoundConfig;
use crate::hash::Digest;
use crate::sum::xof::Xof;

/// Entries of a row that are handled together: a chunk's coefficients.
pub(crate) const BLOCK: usize = 4096;

/// Bytes of a row for a block.
const BLOCK_BYTES: usize = BLOCK / 4;

/// Entries that one byte of the stream makes.
const PER_BYTE: usize = 4;

/// The four entries that each byte makes.
const TRITS: [[i8; PER_BYTE]; 256] = {
    let mut trits = [[0; PER_BYTE]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut i = 0;
        while i < PER_BYTE {
            let pair = byte >> (2 * i);
            trits[byte][i] = if pair & 1 == 0 { 0 } else { 1 - (pair & 2) as i8 };
            i += 1;
        }
        byte += 1;
    }
    trits
};

/// `out.len()` entries from the stream, whole bytes of it.
pub(crate) fn trits(xof: &mut Xof, out: &mut [i8]) {
    let mut bytes = [0; BLOCK_BYTES];
    for out in out.chunks_mut(BLOCK) {
        let bytes = &mut bytes[..out.len().div_ceil(PER_BYTE)];
        xof.bytes(bytes);
        let (whole, rest) = out.as_chunks_mut::<PER_BYTE>();
        for (four, byte) in whole.iter_mut().zip(bytes.iter()) {
            *four = TRITS[usize::from(*byte)];
        }
        if let (false, Some(last)) = (rest.is_empty(), bytes.last()) {
            rest.copy_from_slice(&TRITS[usize::from(*last)][..rest.len()]);
        }
    }
}

/// Rows of one code.
pub(crate) const PER_CODE: usize = 4;

/// The entry of row `j` in a code.
pub(crate) const fn entry(code: usize, j: usize) -> i64 {
    let pair = code >> (2 * j);
    if pair & 1 == 0 { 0 } else { 1 - (pair & 2) as i64 }
}

/// Four entries of four rows, two bits each: from a byte for each row to a byte for each entry.
const fn transposed(rows: [u8; PER_CODE]) -> [u8; PER_BYTE] {
    let x = u32::from_le_bytes(rows);
    // First the halves of the matrix that are off its diagonal change places, then in each quarter.
    let halves = ((x >> 12) ^ x) & 0x0000_f0f0;
    let x = x ^ halves ^ (halves << 12);
    let quarters = ((x >> 6) ^ x) & 0x00cc_00cc;
    (x ^ quarters ^ (quarters << 6)).to_le_bytes()
}

/// The rows of one round.
#[derive(Clone)]
pub struct Rows {
    key: [u8; 32],
    number: usize,
}

impl Rows {
    /// `number` rows from the beacon of that label.
    #[must_use]
    pub const fn new(beacon: &Digest, number: usize) -> Self {
        Self { key: beacon.0, number }
    }

    /// J.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Calls `each` with every row's entries for the coefficients of chunk `chunk`.
    pub(crate) fn for_chunk(
        &self,
        config: &RoundConfig,
        chunk: u32,
        each: impl FnMut(usize, &[i8]),
    ) {
        self.for_block(chunk, config.chunk_coefficients(chunk), each);
    }

    /// The entries of up to four rows, from row `first` on, for the beginning of block `block`: a
    /// byte for each entry, two bits for each row ([`entry`]). Rows beyond the last are zero. As
    /// many as `out` holds, a multiple of four.
    pub(crate) fn codes(&self, first: usize, block: u32, out: &mut [u8]) {
        let bytes = out.len() / PER_BYTE;
        let start = u64::from(block) * BLOCK_BYTES as u64;
        let mut rows = [[0; BLOCK_BYTES]; PER_CODE];
        for (j, row) in (first..self.number).zip(&mut rows) {
            Xof::at(&self.key, j as u64, start).bytes(&mut row[..bytes]);
        }
        let [a, b, c, d] = &rows;
        let four = a.iter().zip(b).zip(c).zip(d);
        for (codes, (((&a, &b), &c), &d)) in out.as_chunks_mut::<PER_BYTE>().0.iter_mut().zip(four)
        {
            *codes = transposed([a, b, c, d]);
        }
    }

    /// Calls `each` with every row's entries `block` [`BLOCK`] .. and `entries` from there.
    pub(crate) fn for_block(&self, block: u32, entries: usize, mut each: impl FnMut(usize, &[i8])) {
        let mut row = [0; BLOCK];
        let row = &mut row[..entries];
        for j in 0..self.number {
            let start = u64::from(block) * BLOCK_BYTES as u64;
            trits(&mut Xof::at(&self.key, j as u64, start), row);
            each(j, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_the_streams_bits() {
        let rows = Rows::new(&Digest([5; 32]), 3);
        for block in [0, 1, 7] {
            rows.for_block(block, BLOCK, |j, row| {
                let mut stream = vec![0; (block as usize + 1) * BLOCK_BYTES];
                Xof::new(&[5; 32], j as u64).bytes(&mut stream);
                for (c, entry) in row.iter().enumerate() {
                    let bit = 2 * (block as usize * BLOCK + c);
                    let pair = stream[bit / 8] >> (bit % 8) & 3;
                    assert_eq!(*entry, [0, 1, 0, -1][usize::from(pair)]);
                }
            });
        }
    }

    #[test]
    fn codes_hold_four_rows_and_zeros_beyond_the_last() {
        let rows = Rows::new(&Digest([5; 32]), 6);
        for (block, entries) in [(0, BLOCK), (2, 1_008)] {
            let mut all = Vec::new();
            rows.for_block(block, entries, |_, row| all.push(row.to_vec()));
            all.resize(8, vec![0; entries]);
            for first in [0, 4] {
                let mut codes = vec![0xff; entries];
                rows.codes(first, block, &mut codes);
                for (i, &code) in codes.iter().enumerate() {
                    for j in 0..PER_CODE {
                        assert_eq!(entry(usize::from(code), j), i64::from(all[first + j][i]));
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_block_is_the_beginning_of_a_whole_one() {
        let rows = Rows::new(&Digest([6; 32]), 2);
        let mut whole = Vec::new();
        rows.for_block(3, BLOCK, |_, row| whole.push(row.to_vec()));
        for entries in [1, 2, 3, 8, 1001] {
            rows.for_block(3, entries, |j, row| assert_eq!(row, &whole[j][..entries]));
        }
    }

    /// Each of 64 rows of 16,384 entries: half zeros, a quarter each sign, within five deviations;
    /// and no two rows agree on more than chance would have them.
    #[test]
    fn half_of_the_entries_are_zero_and_rows_are_independent() {
        let rows = Rows::new(&Digest([7; 32]), 64);
        let mut all = vec![Vec::new(); 64];
        for block in 0..4 {
            rows.for_block(block, BLOCK, |j, row| all[j].extend_from_slice(row));
        }
        let n = 16_384.0f64;
        for row in &all {
            let count = |value: i8| row.iter().filter(|&&entry| entry == value).count() as f64;
            assert!((count(0) - n / 2.0).abs() < 5.0 * (n / 4.0).sqrt());
            for sign in [-1, 1] {
                assert!((count(sign) - n / 4.0).abs() < 5.0 * (n * 3.0 / 16.0).sqrt());
            }
        }
        for (i, one) in all.iter().enumerate() {
            for other in &all[..i] {
                let product: i64 =
                    one.iter().zip(other).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
                assert!((product as f64).abs() < 5.5 * (n / 4.0).sqrt(), "{product}");
            }
        }
    }
}
