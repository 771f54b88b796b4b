//! Which instructions carry the arithmetic. Every path gives the same bytes; they differ in speed.

use std::sync::atomic::{AtomicBool, Ordering};

use pulp::{Arch, Scalar, WithSimd};

/// A way through the arithmetic of the secure sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// x86 with AVX-512 and its 52-bit multiplication (feature `avx512`, on by default).
    Ifma,
    /// x86 with AVX2.
    Avx2,
    /// Anything else.
    Portable,
}

/// Set by [`Path::force_portable`]. Nothing that is computed depends on it.
static PORTABLE: AtomicBool = AtomicBool::new(false);

impl Path {
    /// The path of this process: the fastest that its processor has.
    #[must_use]
    pub fn current() -> Self {
        if PORTABLE.load(Ordering::Relaxed) { Self::Portable } else { detect() }
    }

    /// Makes this process take the portable path from now on, to test and to measure it. (For
    /// AVX2 on a processor that has more, build without the feature `avx512`.)
    pub fn force_portable() {
        PORTABLE.store(true, Ordering::Relaxed);
    }

    /// `ifma`, `avx2` or `portable`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ifma => "ifma",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Path {
    use pulp::x86::V3;
    if has_ifma() {
        Path::Ifma
    } else if V3::is_available() {
        Path::Avx2
    } else {
        Path::Portable
    }
}

#[cfg(all(target_arch = "x86_64", feature = "avx512"))]
fn has_ifma() -> bool {
    pulp::x86::V4::is_available() && std::arch::is_x86_feature_detected!("avx512ifma")
}

#[cfg(all(target_arch = "x86_64", not(feature = "avx512")))]
const fn has_ifma() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
const fn detect() -> Path {
    Path::Portable
}

/// Runs `work` compiled for the instructions of the current path.
#[inline]
pub(crate) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    match Path::current() {
        Path::Portable => work.with_simd(Scalar),
        Path::Ifma | Path::Avx2 => Arch::new().dispatch(work),
    }
}
