//! Secrets can be neither printed, copied nor encoded, and what other crates keep of them is
//! zeroised when dropped: the build fails if one of our types gains such a trait, or one of theirs
//! loses it (a feature of a dependency is enough).

use aes::Aes256;
use chacha20poly1305::ChaCha20Poly1305;
use ctr::Ctr64LE;
use ed25519_dalek::SigningKey;
use x25519_dalek::{EphemeralSecret, SharedSecret, StaticSecret};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::audit::beacon::BeaconKey;
use crate::audit::projection::Projections;
use crate::audit::proof::Streams;
use crate::audit::witness::{ChunkWitness, Witness};
use crate::signing::Identity;
use crate::sum::key::{ClientKey, ClientRandomness};
use crate::sum::pad::{Padder, TransformedKey};
use crate::sum::quantise::Quantised;
use crate::sum::seal::{ChunkSealer, Sealing};
use crate::sum::sealed_box::{BoxKey, SealingSecret};
use crate::sum::share::{Seeds, Shares};
use crate::sum::xof::Xof;

/// Does not compile if the type has one of the traits: `some` would then be found twice.
macro_rules! lacks {
    ($($type:ty),* $(,)?) => {
        $(lacks!(one $type: std::fmt::Debug, std::fmt::Display, Clone, serde::Serialize);)*
    };
    (one $type:ty: $($trait:path),*) => {
        $(const _: fn() = || {
            trait AmbiguousIf<Marker> {
                fn some() {}
            }
            struct Has;
            impl<T: ?Sized> AmbiguousIf<()> for T {}
            impl<T: ?Sized + $trait> AmbiguousIf<Has> for T {}
            let _ = <$type as AmbiguousIf<_>>::some;
        };)*
    };
}

lacks![
    Identity,
    SealingSecret,
    Seeds,
    Shares,
    Quantised,
    ClientKey,
    ClientRandomness,
    BoxKey,
    TransformedKey,
    Padder,
    Xof,
    Sealing<'static>,
    ChunkSealer<'static>,
    BeaconKey,
    ChunkWitness,
    Witness,
    Projections,
    Streams,
];

const fn is_zeroised<T: ZeroizeOnDrop>() {}

const _: () = {
    is_zeroised::<SigningKey>();
    is_zeroised::<StaticSecret>();
    is_zeroised::<EphemeralSecret>();
    is_zeroised::<SharedSecret>();
    is_zeroised::<ChaCha20Poly1305>();
    is_zeroised::<Ctr64LE<Aes256>>();
    is_zeroised::<Zeroizing<Vec<u64>>>();
};
