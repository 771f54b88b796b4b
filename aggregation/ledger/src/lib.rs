//! The ledger: an append-only log of what a federation did, which key holders cosign and anybody
//! verifies offline; and what follows from it: reviews of credits, and payouts. No clock, socket,
//! file, thread or ambient randomness in here.
//!
//! What the entries say, and what follows from them:
//!
//! - [`entry`]: what an entry says, in one form only
//! - [`document`]: what is too long for an entry
//! - [`statement`]: what members say for the record, and sign
//! - [`charter`]: what reviewers may change by their votes
//! - [`payout`]: from credits to a tree of addresses and amounts
//! - [`compute`]: what training takes, by the plan

pub mod charter;
pub mod compute;
pub mod document;
pub mod entry;
mod form;
pub mod payout;
pub mod statement;
