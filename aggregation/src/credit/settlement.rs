//! What an epoch's credits come to.

use serde::{Deserialize, Serialize};

use super::duplicate::Duplicate;
use super::flag::{Flag, FlagKind, Statistics};
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;
use crate::wire;

/// What an owner owes from earlier epochs: credit below zero that is netted with the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debt {
    /// Who.
    #[serde(with = "super::form::hex")]
    pub owner: PartyId,
    /// How much, in micro-credits; at least 1.
    pub micro: u64,
}

/// An epoch, settled. The same evidence, terms and debts give the same settlement, whatever order
/// they come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// Digest of the terms.
    #[serde(with = "super::form::hex")]
    pub terms: Digest,
    /// Digest of the evidence of all rounds.
    #[serde(with = "super::form::hex")]
    pub evidence: Digest,
    /// The rounds with evidence, ascending.
    pub rounds: Vec<u32>,
    /// What the epoch gives: the budget of each of these rounds, in micro-credits.
    pub pool_micro: u64,
    /// What is paid: the whole pool, or nothing where nobody can be paid.
    pub paid_micro: u64,
    /// Everybody with evidence or a debt, ascending.
    pub accounts: Vec<Account>,
    /// Pairs whose scores go together, for review, ascending: of each owner the one it goes most with.
    pub duplicates: Vec<Duplicate>,
}

/// One owner's credit in an epoch. Amounts are in micro-credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Whose.
    #[serde(with = "super::form::hex")]
    pub owner: PartyId,
    /// Rounds with evidence of the owner.
    pub rounds: u32,
    /// Rounds among them with a credit below zero.
    pub rounds_negative: u32,
    /// Rounds among them in which the owner declared more examples than counted.
    pub rounds_capped: u32,
    /// Q: the sum of the rounds' credits; below zero for updates against the validation direction.
    pub credit_micro: i64,
    /// se: standard error of Q from the spread between rounds; no other doubt is in it.
    pub error_micro: u64,
    /// Lower end of the interval of Q.
    pub low_micro: i64,
    /// Upper end of the interval of Q.
    pub high_micro: i64,
    /// Debt from earlier epochs that was taken off.
    pub carried_micro: u64,
    /// What the pool is divided by: Q less the carried debt, less lambda standard errors; zero where
    /// that is below zero.
    pub payable_micro: u64,
    /// What the owner is paid.
    pub payment_micro: u64,
    /// Debt into the next epoch.
    pub debt_micro: u64,
    /// What flags are judged by.
    pub statistics: Statistics,
    /// For review; they never change a payment.
    pub flags: Vec<Flag>,
}

impl Account {
    /// Whether a flag of this kind is raised.
    #[must_use]
    pub fn is_flagged(&self, kind: FlagKind) -> bool {
        self.flags.iter().any(|flag| flag.kind() == kind)
    }
}

impl Settlement {
    /// An owner's account.
    #[must_use]
    pub fn of(&self, owner: &PartyId) -> Option<&Account> {
        let index = self.accounts.binary_search_by_key(owner, |account| account.owner).ok()?;
        self.accounts.get(index)
    }

    /// The debts into the next epoch, ascending by owner.
    #[must_use]
    pub fn debts(&self) -> Vec<Debt> {
        let debts = self.accounts.iter().filter(|account| account.debt_micro > 0);
        debts.map(|one| Debt { owner: one.owner, micro: one.debt_micro }).collect()
    }

    /// Digest of the settlement.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::CreditSettlement, &[&wire::encode(self)])
    }
}
