//! The rules of review: who may judge, when it is decided, and what then changes.
//!
//! - A run's credits may be disputed for the charter's window after their settlement. Under dispute,
//!   the owner's credit of that run is held back from payouts; all others stand.
//! - Reviewers vote on the remedy that the dispute asks for, yes or no, until the charter's window for
//!   votes is over. Nobody judges its own: neither who opened the dispute, nor the owner, nor anybody
//!   whom the remedy gives more or less. On a proposal, neither who launched the run whose budget it is,
//!   nor who would begin or cease to review.
//! - A quorum of equal votes decides. Without one in time, everything stays as it is.
//! - Proposals are voted on likewise: reward budgets, the charter, who reviews.
//!
//! # Decisions
//! - Quorum and deadline are those of the charter that was in force when the dispute or the proposal was
//!   opened: no later change decides it otherwise.
//! - A charter needs more than half of the reviewers to decide, so that yes and no cannot both be.
//! - Times are those of entries, by the coordinator's clock; the committee cosigns each log head with
//!   its own. A coordinator that withholds a member's statement until a window is over is not caught by
//!   the ledger: the member keeps its receipt of having sent it, or that there was none.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::credit::{CreditTerms, Debt, RoundEvidence, Settlement, settle};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::Serialize;

use crate::entry::{Difference, Verdict};
use crate::form::hex;
use crate::statement::{Choice, Remedy};

/// A vote in a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ballot {
    /// By whom.
    #[serde(with = "hex")]
    pub reviewer: PartyId,
    /// The statement ([`crate::statement::Signed::id`]).
    #[serde(with = "hex")]
    pub id: Digest,
    /// What it says.
    pub choice: Choice,
    /// Its entry.
    pub entry: u64,
}

/// What reviewers vote on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Poll {
    /// How many equal votes decide.
    pub quorum: u32,
    /// Votes count until then, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// Who has no vote in it, ascending.
    #[serde(serialize_with = "parties")]
    pub parties: BTreeSet<PartyId>,
    /// The votes, in the order of their entries.
    pub ballots: Vec<Ballot>,
}

fn parties<S: serde::Serializer>(
    parties: &BTreeSet<PartyId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(parties.iter().map(|party| Digest(party.0).to_string()))
}

impl Poll {
    /// Votes of this choice.
    #[must_use]
    pub fn count(&self, choice: Choice) -> usize {
        self.ballots.iter().filter(|ballot| ballot.choice == choice).count()
    }

    /// How it is decided at `now_ms`, and by which votes, ascending by their names; `None` while it is
    /// not.
    #[must_use]
    pub fn verdict(&self, now_ms: u64) -> Option<(Verdict, Vec<Digest>)> {
        let sides = [(Choice::Yes, Verdict::Upheld), (Choice::No, Verdict::Rejected)];
        for (choice, verdict) in sides {
            if self.count(choice) >= self.quorum as usize {
                let side = self.ballots.iter().filter(|ballot| ballot.choice == choice);
                let mut votes: Vec<_> = side.map(|ballot| ballot.id).collect();
                votes.sort_unstable();
                return Some((verdict, votes));
            }
        }
        (now_ms > self.deadline_ms).then_some((Verdict::Lapsed, Vec::new()))
    }
}

/// What a run's credits were settled from.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// The terms.
    pub terms: &'a CreditTerms,
    /// The evidence.
    pub rounds: &'a [RoundEvidence],
    /// The debts brought in.
    pub carried: &'a [Debt],
    /// What came of it.
    pub settlement: &'a Settlement,
}

/// How a remedy changes payments of a run, ascending by owner; who stays as it is is left out.
///
/// # Errors
/// Why the remedy cannot be, in words.
pub fn differences(
    settled: Settled<'_>,
    owner: &PartyId,
    remedy: &Remedy,
) -> Result<Vec<Difference>, &'static str> {
    let Settled { terms, rounds, carried, settlement } = settled;
    let before = settlement.accounts.iter().map(|one| (one.owner, one.payment_micro));
    let before: BTreeMap<PartyId, u64> = before.collect();
    let after = match remedy {
        Remedy::Pay(micro) => {
            if *micro > settlement.pool_micro {
                return Err("it asks for more than the run gives");
            }
            let mut after = before.clone();
            after.insert(*owner, *micro);
            after
        }
        Remedy::Without(numbers) => {
            if numbers.iter().any(|number| !settlement.rounds.contains(number)) {
                return Err("it names a round without evidence");
            }
            let left = rounds.iter().filter(|round| !numbers.contains(&round.round()));
            let left: Vec<_> = left.cloned().collect();
            let again = settle(terms, &left, carried);
            let again = again.map_err(|_| "what it leaves cannot be settled")?;
            again.accounts.iter().map(|one| (one.owner, one.payment_micro)).collect()
        }
    };
    let everybody: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let payment = |payments: &BTreeMap<PartyId, u64>, owner: &PartyId| {
        // Payments are below 2^51.
        payments.get(owner).copied().unwrap_or(0) as i64
    };
    let difference = |owner: PartyId| Difference {
        owner,
        micro: payment(&after, &owner) - payment(&before, &owner),
    };
    let changed: Vec<_> =
        everybody.into_iter().map(difference).filter(|one| one.micro != 0).collect();
    if changed.is_empty() { Err("it changes no payment") } else { Ok(changed) }
}
