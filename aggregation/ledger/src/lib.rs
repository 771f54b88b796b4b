//! The ledger: an append-only log of what a federation did, which key holders cosign and anybody
//! verifies offline; and what follows from it: reviews of credits, and payouts. No clock, socket,
//! file, thread or ambient randomness in here.
//!
//! What the entries say, and what follows from them:
//!
//! - [`entry`]: what an entry says, in one form only
//! - [`book`]: all entries, read in order, and what follows from them
//! - [`facts`]: from what a coordinator knows to entries
//! - [`review`]: who judges a dispute or a proposal, and what it changes
//! - [`document`]: what is too long for an entry
//! - [`statement`]: what members say for the record, and sign
//! - [`charter`]: what reviewers may change by their votes
//! - [`payout`]: from credits to a tree of addresses and amounts
//! - [`compute`]: what training takes, by the plan
//! - [`verify`]: what is checked, attested and asserted, and every doubt
//! - `desk` (feature): what people do with all this at a command line; it has files, a clock, a network
//! - `example` (feature): a small ledger, for tests and pictures
//!
//! The log:
//! - [`tree`], [`proof`]: hashes of RFC 6962, proofs of inclusion and of consistency
//! - [`tile`]: the log as files that never change
//! - [`note`], [`checkpoint`], [`cosignature`], [`quorum`]: what is signed, by whom, and what is final
//! - [`log`]: the one who appends; [`witness`]: those who cosign
//! - [`receipt`], [`bundle`]: an entry, or a whole log, checked offline; [`folder`]: from files

pub mod book;
pub mod bundle;
pub mod charter;
pub mod checkpoint;
pub mod compute;
pub mod cosignature;
#[cfg(feature = "desk")]
pub mod desk;
pub mod document;
pub mod entry;
#[cfg(any(test, feature = "example"))]
pub mod example;
pub mod facts;
pub mod folder;
mod form;
pub mod log;
pub mod note;
pub mod payout;
pub mod proof;
pub mod quorum;
pub mod receipt;
pub mod review;
pub mod statement;
pub mod tile;
pub mod tree;
pub mod verify;
pub mod witness;
