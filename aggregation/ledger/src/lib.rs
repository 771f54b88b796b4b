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
//! - `example` (feature): a small ledger, for tests and pictures

pub mod book;
pub mod charter;
pub mod compute;
pub mod document;
pub mod entry;
#[cfg(any(test, feature = "example"))]
pub mod example;
pub mod facts;
mod form;
pub mod payout;
pub mod review;
pub mod statement;
pub mod verify;
