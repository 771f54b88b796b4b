//! The ledger: an append-only log of what a federation did, which key holders cosign and anybody
//! verifies offline; and what follows from it: reviews of credits, and payouts. No clock, socket,
//! file, thread or ambient randomness in here.
//!
//! The log:
//! - [`tree`], [`proof`]: hashes of RFC 6962, proofs of inclusion and of consistency
//! - [`tile`]: the log as files that never change
//! - [`note`], [`checkpoint`], [`cosignature`], [`quorum`]: what is signed, by whom, and what is final
//! - [`log`]: the one who appends; [`witness`]: those who cosign
//! - [`receipt`], [`bundle`]: an entry, or a whole log, checked offline

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod log;
pub mod note;
pub mod proof;
pub mod quorum;
pub mod receipt;
pub mod tile;
pub mod tree;
pub mod witness;
