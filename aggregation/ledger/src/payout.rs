//! Payouts: from credits to a tree of addresses and amounts that a contract can read.
//!
//! A payout says what every address has been paid *all in all*, so that a contract pays the difference to
//! what it has paid before; no payout is lost, and none is paid twice. Amounts are whole numbers of the
//! smallest units of the token: a credit is worth the charter's `units_per_credit`, and what is below one
//! unit is left for the next payout.
//!
//! - A run's credits are in it once their window is over, and its pool is free of a vote or approved.
//! - An owner's credit of a run is held back while it is under dispute, while the owner is suspended, or
//!   while it has set no address. All others stand.
//! - An address keeps what it was given. An owner that changes its address is paid at the new one from
//!   then on.
//! - No amount shrinks: what a resolution takes off after it was paid is netted with what comes.

mod address;
mod amounts;
mod tables;
mod tree;

pub use self::address::{Address, BadAddress};
pub use self::amounts::{Amounts, NoPayout, NotPayable, Share, payable_runs, preview};
pub use self::tables::{csv, units_csv};
pub use self::tree::{BadFile, PAYEES_MAX, Payee, Tree, TreeFile, TreeValue, is_proof, keccak256};

use crate::book::{Book, PayoutRecord};
use crate::document::{Document, Held};
use crate::entry::{HELD_BYTES_MAX, PayoutMade};

/// A payout that can be made: its entry, and the file to publish with it.
#[derive(Clone, Debug)]
pub struct Built {
    /// What the ledger will say.
    pub entry: PayoutMade,
    /// The file's bytes.
    pub file: Vec<u8>,
    /// The list of what is held back, where it is too long for the entry.
    pub held_back: Option<Vec<u8>>,
}

/// Builds the next payout of a book, with these runs beside those of earlier payouts.
///
/// # Errors
/// [`NoPayout`].
pub fn build(amounts: &Amounts, book: &Book) -> Result<Built, NoPayout> {
    // A payout that is like the one before it pays nobody.
    let tree = amounts.tree().filter(|_| !amounts.shares.is_empty()).ok_or(NoPayout::Nothing)?;
    let total = tree.total().ok_or(NoPayout::TooMuch)?;
    let file = tree.to_file();
    let (held, held_back) = Held::new(amounts.held_back.clone(), HELD_BYTES_MAX);
    let entry = PayoutMade {
        number: amounts.number,
        log_size: book.size(),
        runs: amounts.runs.clone(),
        held_back: held,
        units_per_credit: amounts.units_per_credit,
        payees: tree.payees().len() as u32,
        total,
        root: tree.root(),
        file: Document::of(&file),
    };
    Ok(Built { entry, file, held_back })
}

/// A payout file that is not the one of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPayout {
    /// No payout file at all.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The ledger has no payout with this root.
    #[error("no payout of the ledger has the root {0}")]
    UnknownRoot(covey_aggregation::hash::Digest),
    /// An address has another amount than in the ledger's payout.
    #[error("the address {0} has another amount than in the ledger's payout")]
    Amount(Address),
    /// Other bytes than those that the ledger names, though the tree is the same.
    #[error("the tree is that of payout {0}, the bytes of the file are other ones")]
    Bytes(u32),
}

/// Checks a payout's file against a book, which has computed every amount again from credits, reviews and
/// addresses: the payout that it is.
///
/// # Errors
/// [`BadPayout`], by the first fault.
pub fn verify<'a>(file: &[u8], book: &'a Book) -> Result<&'a PayoutRecord, BadPayout> {
    let tree = Tree::from_file(file)?;
    let root = tree.root();
    let payout = book.payouts().iter().find(|payout| payout.payout.root == root);
    let payout = payout.ok_or(BadPayout::UnknownRoot(root))?;
    let amounts = payout.amounts.iter().map(|(address, amount)| (*address, amount.clone()));
    let said = tree.payees().map(|payee| (payee.address, payee.amount.to_string()));
    if let Some((_, (address, _))) = amounts.zip(said).find(|(one, other)| one != other) {
        return Err(BadPayout::Amount(address));
    }
    let is_it = payout.payout.file.is(file);
    is_it.then_some(payout).ok_or(BadPayout::Bytes(payout.payout.number))
}
