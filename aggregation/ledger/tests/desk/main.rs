//! The commands of members and of everybody who verifies, on a ledger in a folder.

mod checking;
mod paying;
mod place;
mod saying;
