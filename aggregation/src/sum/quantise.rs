//! From real numbers to integers of w bits.

use zeroize::Zeroizing;

use crate::config::Quantiser;

/// An owner's update as integers, ready to be sealed. Secret: zeroised when dropped.
pub struct Quantised {
    /// `unit + 2^(w-1)`.
    raw: Zeroizing<Vec<u16>>,
    weight: u32,
    bits: u8,
}

/// The update holds a value that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {index} of the update is not finite")]
pub struct NotFinite {
    /// The first such parameter.
    pub index: usize,
}

/// Integers that the quantiser cannot have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUnits {
    /// A unit beyond ±(2^(w-1) - 1).
    #[error("unit {index} is beyond the quantiser's range")]
    Range {
        /// The first such unit.
        index: usize,
    },
    /// A weight that the weighting does not allow.
    #[error("weight {weight} is not allowed by the round's weighting")]
    Weight {
        /// As given.
        weight: u32,
    },
}

/// Clips, clamps, weighs and rounds an update.
///
/// # Errors
/// [`NotFinite`].
pub fn quantise(
    update: &[f32],
    quantiser: &Quantiser,
    examples: u32,
    rng: &mut impl rand_core::CryptoRng,
) -> Result<Quantised, NotFinite> {
    let _ = (update, quantiser, examples, rng);
    unimplemented!()
}

impl Quantised {
    /// From integers that are already quantised.
    ///
    /// # Errors
    /// [`BadUnits`].
    pub fn from_units(units: &[i32], weight: u32, quantiser: &Quantiser) -> Result<Self, BadUnits> {
        let _ = (units, weight, quantiser);
        unimplemented!()
    }

    /// The signed units.
    pub fn units(&self) -> impl Iterator<Item = i32> + '_ {
        let offset = 1i32 << (self.bits - 1);
        self.raw.iter().map(move |&raw| i32::from(raw) - offset)
    }

    /// How much this owner counts.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}
