//! The answer to what an owner, or anybody, asks of a credit: how much, why, how sure, and what it could
//! be disputed on.

use covey_aggregation::credit::Flag;
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::Serialize;

use super::Book;
use super::records::{CreditsRecord, State, Status};
use crate::entry::{Missing, WhyHeld};
use crate::form::hex;

/// Everything about one owner's credit of a run, in micro-credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Whose.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// The run's place among the settlements, from 1.
    pub epoch: u32,
    /// What the owner is paid: settled, and changed by resolutions.
    pub payment_micro: u64,
    /// What was settled.
    pub settled_micro: u64,
    /// What resolutions changed.
    pub difference_micro: i64,
    /// What the run gives to all together.
    pub pool_micro: u64,
    /// The credit that the payment comes of, before what is taken off for its doubt and for debts.
    pub credit_micro: i64,
    /// The credit's interval: how sure it is.
    pub interval_micro: (i64, i64),
    /// What was owed from before and taken off.
    pub carried_micro: u64,
    /// What is owed in the next epoch.
    pub debt_micro: u64,
    /// What a person should look at.
    pub flags: Vec<Flag>,
    /// What the credit could be disputed on.
    pub grounds: Vec<Ground>,
    /// Until then it may be disputed, in milliseconds since the Unix epoch.
    pub window_end_ms: u64,
    /// Disputes about it that are open.
    #[serde(with = "hex::list")]
    pub disputes: Vec<Digest>,
    /// Where the payment is.
    pub paid: Paid,
    /// The entries that it follows from, ascending.
    pub inputs: Vec<u64>,
}

/// What a credit could be disputed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// The scores of a round, which the committee attests: the round, and the entry of its evidence.
    Scores(u32, u64),
    /// A round in whose sum the owner is not, with the reason that the coordinator gives, and the
    /// round's entry.
    Missed(u32, Missing, u64),
    /// A round in which the owner was not asked, and its entry.
    NotAsked(u32, u64),
    /// A debt from the settlement before, in micro-credits.
    Debt(u64),
}

/// Where a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paid {
    /// Nothing is to be paid.
    Nothing,
    /// The credit may still be disputed, or no payout was made since.
    NotYet,
    /// Reviewers have not approved what the run gives.
    NotApproved,
    /// It is held back.
    HeldBack(WhyHeld),
    /// A payout includes it.
    InPayout,
}

impl Book {
    /// Everything about an owner's credit of a run; `None` where it has no account there.
    #[must_use]
    pub fn answer(&self, run: &Digest, owner: &PartyId) -> Option<Answer> {
        let credits = self.run(run)?.credits.as_ref()?;
        let account = credits.settlement.of(owner)?;
        let about = credits.disputes.iter().filter_map(|id| self.dispute(id));
        let open = about.filter(|one| one.state == State::Open && one.dispute.owner == *owner);
        Some(Answer {
            run: *run,
            owner: *owner,
            epoch: credits.epoch,
            payment_micro: credits.payment_micro(owner),
            settled_micro: account.payment_micro,
            difference_micro: credits.difference_micro(owner),
            pool_micro: credits.settlement.pool_micro,
            credit_micro: account.credit_micro,
            interval_micro: (account.low_micro, account.high_micro),
            carried_micro: account.carried_micro,
            debt_micro: account.debt_micro,
            flags: account.flags.clone(),
            grounds: self.grounds(run, owner),
            window_end_ms: credits.window_end_ms,
            disputes: open.map(|one| one.id).collect(),
            paid: self.paid(credits, owner),
            inputs: self.inputs(run, owner),
        })
    }

    fn grounds(&self, run: &Digest, owner: &PartyId) -> Vec<Ground> {
        let Some(record) = self.run(run) else { return Vec::new() };
        let mut grounds = Vec::new();
        for (number, round) in &record.rounds {
            let at = round.owners.binary_search_by_key(owner, |one| one.owner);
            let missing = at.map(|at| round.owners[at].missing.clone());
            match (missing, &round.evidence) {
                (Ok(None), Some((entry, _))) => grounds.push(Ground::Scores(*number, *entry)),
                // Nobody was credited for the round.
                (Ok(None), None) => {}
                (Ok(Some(why)), _) => grounds.push(Ground::Missed(*number, why, round.entry)),
                (Err(_), _) => grounds.push(Ground::NotAsked(*number, round.entry)),
            }
        }
        let account = record.credits.as_ref().and_then(|one| one.settlement.of(owner));
        let carried = account.map_or(0, |account| account.carried_micro);
        grounds.extend((carried > 0).then_some(Ground::Debt(carried)));
        grounds
    }

    fn paid(&self, credits: &CreditsRecord, owner: &PartyId) -> Paid {
        let member = self.member(owner);
        let is_suspended = member.is_some_and(|member| member.status == Status::Suspended);
        if self.included().contains(&(credits.run, *owner)) {
            Paid::InPayout
        } else if credits.payment_micro(owner) == 0 {
            Paid::Nothing
        } else if self.is_disputed(&credits.run, owner) {
            Paid::HeldBack(WhyHeld::Disputed)
        } else if credits.needs_approval {
            Paid::NotApproved
        } else if is_suspended {
            Paid::HeldBack(WhyHeld::Suspended)
        } else if member.is_none_or(|member| member.address.is_none()) {
            Paid::HeldBack(WhyHeld::NoAddress)
        } else {
            Paid::NotYet
        }
    }
}
