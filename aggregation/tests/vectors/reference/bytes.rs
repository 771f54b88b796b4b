//! Digests, streams, and bits in bytes.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// `H(domain, parts)`: BLAKE3, derive-key mode, each part after its length in eight bytes.
pub(crate) fn hash(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut input = Vec::new();
    for part in parts {
        input.extend_from_slice(&(part.len() as u64).to_le_bytes());
        input.extend_from_slice(part);
    }
    blake3::derive_key(&format!("covey/v1/{domain}"), &input)
}

/// The bytes a signature covers.
pub(crate) fn signed_bytes(statement: &str, context: &[u8], body: &[u8]) -> Vec<u8> {
    let body = hash("body", &[body]);
    [format!("covey/v1/{statement}").as_bytes(), &[0], context, &body].concat()
}

/// Whether Ed25519 (RFC 8032) accepts a signature.
pub(crate) fn accepts(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(public) else { return false };
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    key.verify_strict(message, &signature).is_ok()
}

/// Root of a tree, from the top: the left part of a node is the largest power of two below its
/// number of leaves.
pub(crate) fn tree_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    fn node(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => [0; 32],
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                hash("merkle-node", &[&node(left), &node(right)])
            }
        }
    }
    hash("merkle-root", &[&(leaves.len() as u64).to_le_bytes(), &node(leaves)])
}

/// Root of the tree over chunks.
pub(crate) fn merkle_root(chunks: &[Vec<u8>]) -> [u8; 32] {
    let leaf = |(index, chunk): (u32, &Vec<u8>)| hash("chunk-leaf", &[&index.to_le_bytes(), chunk]);
    let leaves: Vec<[u8; 32]> = (0..).zip(chunks).map(leaf).collect();
    tree_root(&leaves)
}

/// The digest of an encoded header for four holders: version, round, client, three counted lists
/// of four digests (components, keys of boxes, boxes), correction, chunks.
pub(crate) fn header_digest(header: &[u8]) -> [u8; 32] {
    let list = |n: usize| header[66 + n * 129..66 + n * 129 + 128].chunks(32).collect::<Vec<_>>();
    let (components, keys, boxes) = (list(0), list(1), list(2));
    let seat = |holder: usize| {
        // Component i is the one that holder i lacks.
        let known: Vec<&[u8]> = (0..4).filter(|i| *i != holder).map(|i| components[i]).collect();
        hash("seat", &[keys[holder], boxes[holder], &hash("contents", &known)])
    };
    let seats = tree_root(&[seat(0), seat(1), seat(2), seat(3)]);
    let (correction, chunks) = (&header[452..484], &header[484..516]);
    let components = hash("components", &components);
    hash("header", &[&header[1..33], &header[33..65], correction, chunks, &components, &seats])
}

/// `XOF(key, stream)`, block by block.
pub(crate) struct Stream {
    cipher: Aes256,
    stream: u64,
    block: u64,
    rest: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(key: &[u8; 32], stream: u64) -> Self {
        Self { cipher: Aes256::new(key.into()), stream, block: 0, rest: Vec::new() }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.rest.len() < length {
            let mut block = [0; 16];
            block[..8].copy_from_slice(&self.block.to_le_bytes());
            block[8..].copy_from_slice(&self.stream.to_le_bytes());
            let mut block = block.into();
            self.cipher.encrypt_block(&mut block);
            self.rest.extend_from_slice(&block);
            self.block += 1;
        }
        self.rest.drain(..length).collect()
    }

    pub(crate) fn words(&mut self, number: usize) -> Vec<u64> {
        let bytes = self.bytes(8 * number);
        bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes"))).collect()
    }

    /// The low 50 bits of each word, words not below `prime` skipped.
    pub(crate) fn uniform(&mut self, prime: u64, number: usize) -> Vec<u64> {
        let mut kept = Vec::new();
        while kept.len() < number {
            let words = self.words(number - kept.len());
            kept.extend(words.iter().map(|word| word % (1 << 50)).filter(|word| *word < prime));
        }
        kept
    }

    /// Draws of the discrete Gaussian: how many thresholds are not above the low 63 bits; negative
    /// when the top bit is set.
    pub(crate) fn gauss(&mut self, thresholds: &[u64], number: usize) -> Vec<i64> {
        let draw = |word: &u64| {
            let magnitude = thresholds.iter().filter(|one| **one <= word % (1 << 63)).count();
            if word >> 63 == 1 { -(magnitude as i64) } else { magnitude as i64 }
        };
        self.words(number).iter().map(draw).collect()
    }
}

/// A little-endian bit stream as words of `width` bits.
pub(crate) fn unpack(bytes: &[u8], width: usize) -> Vec<u128> {
    let bit = |at: usize| u128::from(bytes[at / 8] >> (at % 8) & 1);
    let word = |i: usize| (0..width).map(|j| bit(i * width + j) << j).sum();
    (0..bytes.len() * 8 / width).map(word).collect()
}

/// Words of `width` bits as a little-endian bit stream.
pub(crate) fn pack(words: &[u128], width: usize) -> Vec<u8> {
    let mut bytes = vec![0; words.len() * width / 8];
    for (i, word) in words.iter().enumerate() {
        for j in 0..width {
            bytes[(i * width + j) / 8] |= ((word >> j & 1) as u8) << ((i * width + j) % 8);
        }
    }
    bytes
}

/// An unsigned integer as postcard writes it: seven bits a byte, the lowest first, the top bit set
/// on all but the last.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
