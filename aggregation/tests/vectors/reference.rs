//! The secure sum a second time, from the text of README.md and the vectors alone: slow, plain,
//! and without a line of the library. Ready-made are only the standard primitives (BLAKE3, AES,
//! Ed25519, ML-KEM, X25519, ChaCha20-Poly1305).

pub(crate) mod audit;
pub(crate) mod boxes;
pub(crate) mod bytes;
pub(crate) mod credits;
pub(crate) mod layout;
pub(crate) mod numbers;
pub(crate) mod ring;
