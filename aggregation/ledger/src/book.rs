//! The book: all entries of a ledger, read in order, and what follows from them. It refuses what the
//! rules forbid, whoever wrote it: a coordinator checks an entry with this code before it writes it, and
//! everybody else after it was written. The same entries and documents give the same book.
//!
//! Nothing in here says how the entries got into the log, and who cosigned it: that is the log's
//! business. A book says what the entries mean.

mod answer;
mod compute;
mod credits;
mod due;
mod members;
mod payouts;
mod records;
mod refused;
mod reviews;
mod rounds;
mod runs;
mod search;
mod seats;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::credit::Debt;
use covey_aggregation::hash::Digest;
use covey_aggregation::party::{Name, PartyId, Role};

pub use self::answer::{Answer, Ground, Paid};
pub use self::compute::{ComputeReport, ComputeTotal, Price, Quality};
pub use self::due::Due;
pub use self::records::{
    CreditsRecord, DisputeRecord, EntryRecord, Given, MemberRecord, PayoutRecord, ProposalRecord,
    RoundRecord, RunPrivacy, RunRecord, State, Status,
};
pub use self::refused::{Fault, Refused};
pub use self::search::{DIGITS_MIN, Hit};
pub use self::seats::BadVotes;
pub use self::views::{MemberTotals, Point};

pub(crate) use self::rounds::has_joined;
use self::seats::Seats;
use crate::charter::Charter;
use crate::document::{Document, Documents};
use crate::entry::{Body, Entry, Founding, Kind, SeatVote};
use crate::payout::Address;

/// A ledger's meaning, after its first `size` entries.
#[derive(Clone, Debug)]
pub struct Book {
    federation: Name,
    founding: Founding,
    seats: Seats,
    entries: Vec<EntryRecord>,
    subjects: BTreeMap<String, u64>,
    members: BTreeMap<PartyId, MemberRecord>,
    /// Number and digest of the last roster.
    roster: (u32, Digest),
    /// The rosters that entries name, by digest.
    rosters: BTreeMap<Digest, Document>,
    reviewers: BTreeSet<PartyId>,
    /// The charters, each with the entry that it is in force from.
    charters: Vec<(u64, Charter)>,
    /// In the order of their entries.
    runs: Vec<RunRecord>,
    run_at: BTreeMap<Digest, usize>,
    /// Opened examples of each pool.
    pools: BTreeMap<Digest, BTreeSet<u32>>,
    /// Indices of settled runs, in the order of their settlements.
    settled: Vec<usize>,
    /// What the last settlement left.
    debts: Vec<Debt>,
    disputes: BTreeMap<Digest, DisputeRecord>,
    proposals: BTreeMap<Digest, ProposalRecord>,
    payouts: Vec<PayoutRecord>,
    /// What each owner was paid, all in all, in micro-credits.
    paid: BTreeMap<PartyId, u64>,
    /// What each address was paid, all in all, in token units.
    paid_at: BTreeMap<Address, u128>,
    /// Credits that payouts have included.
    included: BTreeSet<(Digest, PartyId)>,
    /// Number of each member's last statement of each kind.
    numbers: BTreeMap<(PartyId, &'static str), u64>,
}

impl Book {
    /// Opens the book of a ledger by its first entry.
    ///
    /// # Errors
    /// [`Refused`]: the entry is no founding, or one of no federation.
    pub fn found(first: &Entry) -> Result<Self, Refused> {
        let Body::Founding(founding) = &first.body else { return Err(Refused::Founding) };
        members::check_founding(founding)?;
        let holders = founding.holders.iter().map(|holder| holder.id).collect();
        let mut book = Self {
            federation: first.federation.clone(),
            seats: Seats { holders, quorum: founding.quorum as usize },
            entries: Vec::new(),
            subjects: BTreeMap::new(),
            members: members::founders(founding),
            roster: (0, founding.roster),
            rosters: BTreeMap::from([(founding.roster, founding.roster_document)]),
            reviewers: founding.reviewers.iter().copied().collect(),
            charters: vec![(0, founding.charter.clone())],
            runs: Vec::new(),
            run_at: BTreeMap::new(),
            pools: BTreeMap::new(),
            settled: Vec::new(),
            debts: Vec::new(),
            disputes: BTreeMap::new(),
            proposals: BTreeMap::new(),
            payouts: Vec::new(),
            paid: BTreeMap::new(),
            paid_at: BTreeMap::new(),
            included: BTreeSet::new(),
            numbers: BTreeMap::new(),
            founding: (**founding).clone(),
        };
        book.enter(first);
        Ok(book)
    }

    /// Reads a ledger from the bytes of its entries, in order.
    ///
    /// # Errors
    /// [`Fault`], at the first entry that is refused; an empty ledger has no founding.
    pub fn read<'a>(
        entries: impl IntoIterator<Item = &'a [u8]>,
        documents: &dyn Documents,
    ) -> Result<Self, Fault> {
        let mut book: Option<Self> = None;
        for (bytes, index) in entries.into_iter().zip(0..) {
            let fault = |refused| Fault { index, refused };
            let entry = Entry::parse(bytes).map_err(|bad| fault(bad.into()))?;
            match &mut book {
                None => book = Some(Self::found(&entry).map_err(fault)?),
                Some(book) => {
                    book.apply(&entry, documents).map_err(fault)?;
                }
            }
        }
        book.ok_or(Fault { index: 0, refused: Refused::Founding })
    }

    /// Reads the next entry, and says its index. A book that refuses one stays as it was.
    ///
    /// # Errors
    /// [`Refused`], by the first fault.
    pub fn apply(&mut self, entry: &Entry, documents: &dyn Documents) -> Result<u64, Refused> {
        if entry.federation != self.federation {
            return Err(Refused::OtherFederation(entry.federation.clone()));
        }
        let (got, last) = (entry.time_ms, self.time_ms());
        if got < last {
            return Err(Refused::TimeWentBack { got, last });
        }
        let subject = entry.body.subject();
        if let Some(&first) = self.subjects.get(&subject) {
            return Err(Refused::Duplicate { subject, first });
        }
        let at = (self.size(), entry.time_ms);
        match &entry.body {
            Body::Founding(_) => return Err(Refused::Founding),
            Body::MemberJoined(body) => self.member_joined(at, body)?,
            Body::MemberLeft(body) => self.member_left(at, body)?,
            Body::PlanAccepted(body) => self.plan_accepted(at, body, documents)?,
            Body::RunExtended(body) => self.run_extended(at, body)?,
            Body::RoundClosed(body) => self.round_closed(at, body, documents)?,
            Body::FoldOpened(body) => self.fold_opened(at, body, documents)?,
            Body::EvidenceGiven(body) => self.evidence_given(at, body, documents)?,
            Body::RunEnded(body) => self.run_ended(at, body)?,
            Body::CreditsSettled(body) => self.credits_settled(at, body, documents)?,
            Body::ComputeReported(body) => self.compute_reported(at, &body.signed)?,
            Body::DisputeOpened(body) => self.dispute_opened(at, &body.signed)?,
            Body::DisputeWithdrawn(body) => self.dispute_withdrawn(at, &body.signed)?,
            Body::VoteCast(body) => self.vote_cast(at, &body.signed)?,
            Body::Resolution(body) => self.resolved(at, body, documents)?,
            Body::ProposalOpened(body) => self.proposal_opened(at, &body.signed)?,
            Body::ProposalDecided(body) => self.decided(at, body)?,
            Body::AddressSet(body) => self.address_set(at, &body.signed)?,
            Body::PayoutMade(body) => self.payout_made(at, body, documents)?,
        }
        self.enter(entry);
        Ok(at.0)
    }

    fn enter(&mut self, entry: &Entry) {
        let record = EntryRecord::of(self.size(), entry);
        self.subjects.insert(record.subject.clone(), record.index);
        self.entries.push(record);
    }

    /// How many entries were read.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The time of the last entry: the next one is not before it.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.time_ms)
    }

    /// The federation's name.
    #[must_use]
    pub const fn federation(&self) -> &Name {
        &self.federation
    }

    /// How it began.
    #[must_use]
    pub const fn founding(&self) -> &Founding {
        &self.founding
    }

    /// Number and digest of the last roster that an entry names.
    #[must_use]
    pub const fn roster(&self) -> (u32, Digest) {
        self.roster
    }

    /// Digests of the rosters that entries name, each with its document.
    pub fn rosters(&self) -> impl Iterator<Item = (&Digest, &Document)> {
        self.rosters.iter()
    }

    /// The document of a roster that an entry names, by the roster's digest.
    #[must_use]
    pub fn roster_document(&self, digest: &Digest) -> Option<&Document> {
        self.rosters.get(digest)
    }

    /// What is in force.
    #[must_use]
    pub fn charter(&self) -> &Charter {
        // There is one from the founding on.
        self.charters.last().map_or(&self.founding.charter, |(_, charter)| charter)
    }

    /// All charters, each with the entry that it is in force from.
    #[must_use]
    pub fn charters(&self) -> &[(u64, Charter)] {
        &self.charters
    }

    /// Who reviews, ascending.
    #[must_use]
    pub const fn reviewers(&self) -> &BTreeSet<PartyId> {
        &self.reviewers
    }

    /// What was read, in order.
    #[must_use]
    pub fn entries(&self) -> &[EntryRecord] {
        &self.entries
    }

    /// The entry about a subject ([`Body::subject`]).
    #[must_use]
    pub fn entry_about(&self, subject: &str) -> Option<u64> {
        self.subjects.get(subject).copied()
    }

    /// Whether there is an entry about the same as this.
    #[must_use]
    pub fn has(&self, body: &Body) -> bool {
        self.entry_about(&body.subject()).is_some()
    }

    /// What the last settlement left to be brought into the next one.
    #[must_use]
    pub fn debts(&self) -> &[Debt] {
        &self.debts
    }

    /// A run's place among the runs.
    fn run_index(&self, run: &Digest) -> Result<usize, Refused> {
        self.run_at.get(run).copied().ok_or(Refused::UnknownRun(*run))
    }

    fn check_votes(
        &self,
        what: &'static str,
        statement: covey_aggregation::signing::Statement,
        (context, digest): (&Digest, &Digest),
        votes: &[SeatVote],
    ) -> Result<(), Refused> {
        let checked = self.seats.check(statement, context, digest, votes);
        checked.map_err(|bad| Refused::Votes { what, bad })
    }

    /// A member that is active, or another one that may do this.
    fn member_who(
        &self,
        id: &PartyId,
        what: &'static str,
        may: impl Fn(&MemberRecord) -> bool,
    ) -> Result<&MemberRecord, Refused> {
        let member = self.members.get(id).ok_or(Refused::UnknownMember(*id))?;
        if may(member) { Ok(member) } else { Err(Refused::MayNot { member: *id, what }) }
    }

    /// How many entries of this kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.entries.iter().filter(|entry| entry.kind == kind).count()
    }

    /// Members with a role, ascending by key, whatever their status.
    pub fn members_with(&self, role: Role) -> impl Iterator<Item = &MemberRecord> {
        self.members.values().filter(move |member| member.role == role)
    }
}

#[cfg(test)]
mod tests;
