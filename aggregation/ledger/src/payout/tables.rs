//! Payouts as tables.

use std::fmt::Write as _;

use covey_aggregation::hash::Digest;

use super::amounts::Amounts;
use super::tree::Tree;
use crate::book::Book;

/// One line of each owner with something new: name, key, address, micro-credits all in all and before,
/// new token units (CSV, RFC 4180; no value needs quotes).
#[must_use]
pub fn csv(amounts: &Amounts, book: &Book) -> String {
    let mut text =
        "name,owner,address,entitled_micro_credits,paid_micro_credits,new_units\r\n".to_owned();
    for share in &amounts.shares {
        let (name, owner) = (book.name_of(&share.owner), Digest(share.owner.0));
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{name},{owner},{},{},{},{}\r\n",
            share.address, share.entitled_micro, share.paid_micro, share.units
        );
    }
    text
}

/// One line of each address with its units in a distribution pool (Superfluid: units of 128 bits,
/// which divide a flow among members). What an address was paid all in all is scaled down, where need be,
/// so that all units together have 127 bits: a pool's are signed.
#[must_use]
pub fn units_csv(tree: &Tree) -> String {
    let total = tree.total().unwrap_or(u128::MAX);
    let scale = total / (i128::MAX as u128) + 1;
    let mut text = "address,units\r\n".to_owned();
    for payee in tree.payees() {
        // Writing to a string does not fail.
        let _ = write!(text, "{},{}\r\n", payee.address, payee.amount / scale);
    }
    text
}
