//! Ring, modulus, and how coordinates lie in what travels.

use serde::{Deserialize, Serialize};

/// Ring and modulus of the pad (design note, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// N = 2048, one 50-bit prime: small models; a correction of 12.8 kB.
    A,
    /// N = 4096, two 50-bit primes: everything else; a correction of 51.2 kB.
    B,
}

impl Profile {
    /// N: coefficients of the ring, and of the client's key.
    #[must_use]
    pub const fn ring_dimension(self) -> usize {
        match self {
            Self::A => 2048,
            Self::B => 4096,
        }
    }

    /// Primes of the modulus.
    #[must_use]
    pub const fn limbs(self) -> usize {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }

    /// Largest P: bits of a pad coefficient that may travel.
    #[must_use]
    pub const fn pad_bits_max(self) -> u32 {
        match self {
            Self::A => 46,
            Self::B => 96,
        }
    }

    /// log2 q, rounded up.
    #[must_use]
    pub const fn modulus_bits(self) -> u32 {
        50 * self.limbs() as u32
    }

    /// Bytes of one vector over Z_q (a correction, a component sum): 50 bits per limb and entry.
    #[must_use]
    pub const fn key_vector_bytes(self) -> usize {
        self.ring_dimension() * self.limbs() * 50 / 8
    }
}

/// How coordinates lie in a coefficient of P = k L + R bits: k lanes of L bits above R noise bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    /// k.
    pub lanes: u32,
    /// L.
    pub lane_bits: u32,
    /// R.
    pub noise_bits: u32,
}

impl Packing {
    /// P.
    #[must_use]
    pub const fn pad_bits(&self) -> u32 {
        self.lanes * self.lane_bits + self.noise_bits
    }

    /// The densest packing that can never overflow nor be wrong (design note, section 3,
    /// "zero failure"): `L = ceil(log2(n_max (2^w - 1) + 1))`, and R the least with
    /// `2^R >= n + 2 + 2 n 64 2^(P - log2 q) + 2`.
    ///
    /// `None` when not even one lane fits.
    #[must_use]
    pub fn derive(profile: Profile, bits: u8, contributions_max: u32) -> Option<Self> {
        let n = u64::from(contributions_max);
        let lane_bits = ceil_log2(n * ((1 << bits) - 1) + 1);
        (1..=profile.pad_bits_max() / lane_bits).rev().find_map(|lanes| {
            let packings = (1..=40).map(|noise_bits| Self { lanes, lane_bits, noise_bits });
            packings
                .into_iter()
                .find(|packing| packing.is_exact(profile, contributions_max))
                .filter(|packing| packing.pad_bits() <= profile.pad_bits_max())
        })
    }

    /// Whether the noise of so many contributions can never reach a lane:
    /// `2^R >= n + 2 + 2 n 64 2^(P - log2 q) + 2`.
    #[must_use]
    pub(crate) fn is_exact(&self, profile: Profile, contributions_max: u32) -> bool {
        let n = u64::from(contributions_max);
        // All terms times 2^(log2 q - P), so that everything stays an integer.
        let Some(shift) = profile.modulus_bits().checked_sub(self.pad_bits()) else {
            return false;
        };
        let rounding = u128::from(n + 4) << shift;
        let noise = u128::from(2 * n * 64);
        1u128 << (self.noise_bits + shift) >= rounding + noise
    }
}

/// ceil(log2(x)) for x >= 1.
const fn ceil_log2(x: u64) -> u32 {
    u64::BITS - (x - 1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packing(profile: Profile, bits: u8, n: u32) -> (u32, u32, u32) {
        let p = Packing::derive(profile, bits, n).expect("a packing exists");
        (p.lanes, p.lane_bits, p.noise_bits)
    }

    #[test]
    fn packing_is_the_design_notes_table() {
        assert_eq!(packing(Profile::B, 8, 10), (7, 12, 4));
        assert_eq!(packing(Profile::B, 8, 100), (5, 15, 7));
        assert_eq!(packing(Profile::B, 8, 1000), (4, 18, 10));
        assert_eq!(packing(Profile::B, 8, 10_000), (3, 22, 14));
        assert_eq!(packing(Profile::B, 12, 10), (5, 16, 4));
        assert_eq!(packing(Profile::B, 12, 100), (4, 19, 7));
        assert_eq!(packing(Profile::B, 16, 100), (3, 23, 7));
        assert_eq!(packing(Profile::B, 16, 1000), (3, 26, 11));
    }
}
