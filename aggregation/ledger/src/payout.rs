//! Payouts: from credits to a tree of addresses and amounts that a contract can read.

mod address;
mod tree;

pub use self::address::{Address, BadAddress};
pub use self::tree::{BadFile, PAYEES_MAX, Payee, Tree, TreeFile, TreeValue, is_proof, keccak256};
