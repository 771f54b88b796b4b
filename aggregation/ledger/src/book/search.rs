//! One box that finds members, runs, entries, disputes, addresses and digests.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::Serialize;

use super::Book;
use super::records::{DisputeRecord, EntryRecord, MemberRecord, ProposalRecord, RunRecord};
use crate::form::hex;
use crate::payout::Address;

/// Fewest characters of a digest to find it by.
pub const DIGITS_MIN: usize = 4;

/// Something found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hit {
    /// A member.
    Member(#[serde(with = "hex")] PartyId),
    /// A run.
    Run(#[serde(with = "hex")] Digest),
    /// A dispute.
    Dispute(#[serde(with = "hex")] Digest),
    /// A proposal.
    Proposal(#[serde(with = "hex")] Digest),
    /// A payout, by its number.
    Payout(u32),
    /// An entry.
    Entry(u64),
}

impl Book {
    /// What a text finds, at most `hits_max`: an entry by its index, or its kind; anything by the beginning
    /// of a key or digest ([`DIGITS_MIN`] digits at least); members and runs by a part of their names;
    /// members and payouts by an address; entries by their subjects.
    #[must_use]
    pub fn search(&self, text: &str, hits_max: usize) -> Vec<Hit> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.is_empty() {
            return Vec::new();
        }
        let mut hits = Vec::new();
        if let Ok(index) = lower.trim_start_matches('#').parse::<u64>()
            && index < self.size()
        {
            hits.push(Hit::Entry(index));
        }
        let is_digest = lower.len() >= DIGITS_MIN && lower.bytes().all(|c| c.is_ascii_hexdigit());
        let starts = |digest: &Digest| is_digest && digest.to_string().starts_with(&lower);
        let address = text.parse::<Address>().ok();
        hits.extend(self.members.values().filter_map(|member| {
            let has_address =
                member.addresses.iter().any(|(_, one)| one.is_some() && *one == address);
            let is_it = member.name.as_str().contains(&lower) || starts(&Digest(member.id.0));
            (is_it || has_address).then_some(Hit::Member(member.id))
        }));
        hits.extend(self.runs.iter().filter_map(|run| {
            let is_it = run.plan.name.as_str().contains(&lower) || starts(&run.plan.run);
            is_it.then_some(Hit::Run(run.plan.run))
        }));
        hits.extend(self.disputes.keys().filter(|id| starts(id)).map(|id| Hit::Dispute(*id)));
        hits.extend(self.proposals.keys().filter(|id| starts(id)).map(|id| Hit::Proposal(*id)));
        hits.extend(self.payouts.iter().filter_map(|payout| {
            let has = payout.amounts.iter().any(|(one, _)| Some(*one) == address);
            (has || starts(&payout.payout.root)).then_some(Hit::Payout(payout.payout.number))
        }));
        let is_entry = |entry: &&EntryRecord| {
            entry.kind.word() == lower
                || (lower.contains('/') && entry.subject.starts_with(&lower))
                || entry.digests.iter().any(&starts)
        };
        let entries = self.entries.iter().rev().filter(is_entry);
        hits.extend(entries.map(|entry| Hit::Entry(entry.index)).take(hits_max));
        hits.truncate(hits_max);
        hits
    }

    /// Entries of a run, ascending.
    pub fn entries_of_run(&self, run: &Digest) -> impl Iterator<Item = &EntryRecord> {
        let run = Some(*run);
        self.entries.iter().filter(move |entry| entry.run == run)
    }

    /// Entries that name a member as their subject or author, ascending.
    pub fn entries_of_member(&self, member: &PartyId) -> impl Iterator<Item = &EntryRecord> {
        let member = *member;
        self.entries.iter().filter(move |entry| entry.members.binary_search(&member).is_ok())
    }

    /// Everybody who is or was a member, ascending by key.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &MemberRecord> {
        self.members.values()
    }

    /// A member.
    #[must_use]
    pub fn member(&self, id: &PartyId) -> Option<&MemberRecord> {
        self.members.get(id)
    }

    /// A member by its name: the active one, or else the last that had it.
    #[must_use]
    pub fn member_named(&self, name: &str) -> Option<&MemberRecord> {
        let named = self.members.values().filter(|member| member.name.as_str() == name);
        named.max_by_key(|member| {
            (member.status == super::Status::Active, member.history.last().copied())
        })
    }

    /// A member's name, or its key's first digits when it is unknown.
    #[must_use]
    pub fn name_of(&self, id: &PartyId) -> String {
        self.member(id).map_or_else(|| id.to_string(), |member| member.name.to_string())
    }

    /// Runs, in the order of their entries.
    #[must_use]
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// A run.
    #[must_use]
    pub fn run(&self, run: &Digest) -> Option<&RunRecord> {
        self.run_at.get(run).map(|at| &self.runs[*at])
    }

    /// Disputes, in the order of their entries.
    #[must_use]
    pub fn disputes(&self) -> Vec<&DisputeRecord> {
        let mut all: Vec<_> = self.disputes.values().collect();
        all.sort_by_key(|one| one.entry);
        all
    }

    /// A dispute.
    #[must_use]
    pub fn dispute(&self, id: &Digest) -> Option<&DisputeRecord> {
        self.disputes.get(id)
    }

    /// Proposals, in the order of their entries.
    #[must_use]
    pub fn proposals(&self) -> Vec<&ProposalRecord> {
        let mut all: Vec<_> = self.proposals.values().collect();
        all.sort_by_key(|one| one.entry);
        all
    }

    /// A proposal.
    #[must_use]
    pub fn proposal(&self, id: &Digest) -> Option<&ProposalRecord> {
        self.proposals.get(id)
    }
}
