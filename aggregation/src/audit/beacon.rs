//! Beacons: values that nobody can foresee or bias, fixed by a set's digest alone.
//!
//! For each component T one key kappa_T is known to all holders but those of T. The value of a
//! beacon is made from all keys, so f holders lack one and cannot foresee it; and each part is
//! known to m - f holders, so nobody changes it by staying silent. What it is asked about is only
//! ever the digest of a set, never a certificate, whose signatures a signer could vary.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::Component;
use crate::hash::{Digest, Domain, hash};

/// What a beacon is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Use {
    /// Drawing the fold of the validation pool.
    Fold,
    /// The audit's rows.
    Rows,
    /// The audit's check.
    Check,
}

impl Use {
    pub(crate) const fn label(self) -> &'static [u8] {
        match self {
            Self::Fold => b"fold",
            Self::Rows => b"rows",
            Self::Check => b"check",
        }
    }
}

/// kappa_T. Secret: zeroised when dropped; no `Debug`, no `Clone`.
pub struct BeaconKey(Zeroizing<[u8; 32]>);

impl BeaconKey {
    /// From 32 bytes fresh from the operating system, drawn by the first holder not in T.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// H(kappa_T), which stands in the round's terms.
    #[must_use]
    pub fn commitment(&self, component: Component) -> Digest {
        hash(Domain::Kappa, &[&component.0.to_le_bytes(), &self.0[..]])
    }

    /// This key's value for `of`, in the round `round_ctx`.
    #[must_use]
    pub fn value(&self, round_ctx: &Digest, usage: Use, of: &Digest) -> Digest {
        hash(Domain::BeaconValue, &[&self.0[..], &round_ctx.0, usage.label(), &of.0])
    }
}

/// The beacon: of the values of all components, in canonical order
/// ([`super::opening::agree`]).
#[must_use]
pub fn beacon(values: &[Digest]) -> Digest {
    let parts: Vec<&[u8]> = values.iter().map(|value| &value.0[..]).collect();
    hash(Domain::Beacon, &parts)
}
