//! Secrets can be neither printed, copied nor encoded: the build fails if one of their types gains
//! such a trait.

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
];
