//! Payouts.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;

use super::members::At;
use super::records::{CreditsRecord, PayoutRecord};
use super::{Book, Refused};
use crate::document::Documents;
use crate::entry::{HeldBack, PayoutMade};
use crate::payout::{Address, Amounts, NoPayout, Tree, build, preview};

impl Book {
    pub(super) fn payout_made(
        &mut self,
        (index, time_ms): At,
        body: &PayoutMade,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let (expected, got) = (self.payouts.len() as u32 + 1, body.number);
        if got != expected {
            return Err(Refused::PayoutOrder { expected, got });
        }
        if body.log_size > index {
            return Err(Refused::OtherPayout("size of the ledger"));
        }
        let held_back = body.held_back.get(documents)?;
        let amounts = preview(self, &body.runs, time_ms).map_err(|error| match error {
            NoPayout::Run(run, why) => Refused::NotPayable { run, why },
            other => other.into(),
        })?;
        if body.runs != amounts.runs {
            return Err(Refused::OtherPayout("list of runs"));
        }
        check_held_back(&held_back, &amounts.held_back)?;
        let built = build(&amounts, self)?;
        if body.root != built.entry.root || body.file != built.entry.file {
            return Err(self.diagnose(body, &amounts, documents));
        }
        let follows = &built.entry;
        if (body.units_per_credit, body.payees, body.total)
            != (follows.units_per_credit, follows.payees, follows.total)
        {
            return Err(Refused::OtherPayout("rate, number of payees or total"));
        }
        for share in &amounts.shares {
            self.paid.insert(share.owner, share.entitled_micro);
        }
        let shown = amounts.at.iter().map(|(address, units)| (*address, units.to_string()));
        self.payouts.push(PayoutRecord {
            entry: index,
            made_ms: time_ms,
            payout: body.clone(),
            amounts: shown.collect(),
            held_back,
        });
        self.paid_at = amounts.at;
        self.included = amounts.includes;
        Ok(())
    }

    /// What is wrong with a payout whose root or file is not the one that follows: by its file, where it
    /// is at hand.
    fn diagnose(&self, body: &PayoutMade, amounts: &Amounts, documents: &dyn Documents) -> Refused {
        let other = Refused::OtherPayout("root or file");
        let file = documents.document(&body.file).filter(|bytes| body.file.is(bytes));
        let Some(tree) = file.and_then(|bytes| Tree::from_file(&bytes).ok()) else { return other };
        let paid: BTreeMap<_, _> = tree.payees().map(|one| (one.address, one.amount)).collect();
        let got = |address: &Address| paid.get(address).copied().unwrap_or(0);
        for (&address, &had) in &self.paid_at {
            if got(&address) < had {
                return Refused::Shrinks { address, had, got: got(&address) };
            }
        }
        let set: BTreeSet<_> = self
            .members
            .values()
            .flat_map(|member| member.addresses.iter().filter_map(|(_, address)| *address))
            .collect();
        if let Some(stranger) = paid.keys().find(|address| !set.contains(*address)) {
            return Refused::UnsignedAddress(*stranger);
        }
        let addresses: BTreeSet<_> = paid.keys().chain(amounts.at.keys()).copied().collect();
        for address in addresses {
            let expected = amounts.at.get(&address).copied().unwrap_or(0);
            if got(&address) != expected {
                return Refused::OtherAmount { address, expected, got: got(&address) };
            }
        }
        other
    }

    /// Payouts, in order.
    #[must_use]
    pub fn payouts(&self) -> &[PayoutRecord] {
        &self.payouts
    }

    /// Runs with credits, in the order of their settlements.
    pub fn settlements(&self) -> impl DoubleEndedIterator<Item = &CreditsRecord> {
        self.settled.iter().filter_map(|at| self.runs[*at].credits.as_ref())
    }

    /// What an owner was paid by all payouts, in micro-credits.
    #[must_use]
    pub fn paid_micro(&self, owner: &PartyId) -> u64 {
        self.paid.get(owner).copied().unwrap_or(0)
    }

    /// What each address was paid by all payouts, in token units.
    #[must_use]
    pub const fn paid_at(&self) -> &BTreeMap<Address, u128> {
        &self.paid_at
    }

    /// The credits that payouts have included, by run and owner.
    #[must_use]
    pub const fn included(&self) -> &BTreeSet<(Digest, PartyId)> {
        &self.included
    }
}

fn check_held_back(said: &[HeldBack], follows: &[HeldBack]) -> Result<(), Refused> {
    let (said_set, follow_set): (BTreeSet<_>, BTreeSet<_>) =
        (said.iter().collect(), follows.iter().collect());
    if let Some(one) = follow_set.difference(&said_set).next() {
        return Err(Refused::MustHoldBack(**one));
    }
    if let Some(one) = said_set.difference(&follow_set).next() {
        return Err(Refused::HeldBack(**one));
    }
    let is_ordered = said == follows;
    is_ordered.then_some(()).ok_or(Refused::Order("credits held back"))
}
