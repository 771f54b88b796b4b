//! From one roster to the next: what has changed among the members becomes a proposal, the holders sign
//! it, and between two rounds it comes into force. Then every link is made anew, so that nobody takes
//! part in a round under a roster that it has not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::config::{CommitteeShape, HolderIndex};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Refusal, ToHolder, Vote};
use covey_aggregation::net::enrolment::Waiting;
use covey_aggregation::net::error::CloseReason;
use covey_aggregation::net::roster_file::{ROSTER_FILE, write_roster};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::roster::succession::{CertifiedRoster, Changes, verify};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::time::Time;

use super::{Driver, Halt};
use crate::event::Event;
use crate::registrar::Registrar;
use crate::session::Outgoing;
use crate::storage::StorageError;
use crate::storage::members::{MemberEntry, founded, next_members};

/// How often holders that have not signed are asked again.
const ASK_EVERY_MS: u64 = 1_000;

/// How long members whose links were made anew are waited for before the next round.
const RETURN_MS: u64 = 5_000;

/// Where the roster goes to.
pub(super) struct Succession {
    registrar: Arc<Registrar>,
    /// The federation's folder.
    folder: PathBuf,
    /// Holders of a committee that is being founded.
    holders: usize,
    /// Nothing is proposed before these were read once.
    entries: Option<Vec<MemberEntry>>,
    proposal: Option<Proposal>,
    /// Signed, and not in force yet.
    certified: Option<CertifiedRoster>,
    ask_at: Time,
    /// Members whose links were made anew, and until when they are waited for.
    returning: Option<(BTreeSet<PartyId>, Time)>,
    /// What each holder said last instead of signing.
    said: BTreeMap<PartyId, Refusal>,
}

/// A roster that holders are asked to sign.
struct Proposal {
    roster: Roster,
    digest: Digest,
    votes: BTreeMap<HolderIndex, Vote>,
}

impl Succession {
    pub(super) fn new(registrar: Arc<Registrar>, folder: PathBuf, holders: usize) -> Self {
        Self {
            registrar,
            folder,
            holders,
            entries: None,
            proposal: None,
            certified: None,
            ask_at: Time(0),
            returning: None,
            said: BTreeMap::new(),
        }
    }

    /// When holders are to be asked again.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.proposal.as_ref().map(|_| self.ask_at)
    }
}

impl Driver {
    /// Takes up what an earlier program left: a proposal that holders were asked about, or one that they
    /// have signed.
    ///
    /// # Errors
    /// [`Halt::Storage`].
    pub async fn remember_rosters(&mut self) -> Result<(), Halt> {
        let mut members = self.succession.registrar.members().await;
        let (digest, number) = (self.roster.digest(), self.roster.number);
        if members.roster_of(&digest).await?.is_none() {
            members.put_roster(&self.roster).await?;
        }
        let mut later = members.rosters(number.saturating_add(1)).await?;
        drop(members);
        later.retain(|one| one.roster.previous == digest);
        let Some(last) = later.pop() else { return Ok(()) };
        if self.roster.check_newer(&last).is_ok() {
            self.succession.certified = Some(last);
        } else {
            self.succession.proposal = Some(Proposal::of(last.roster));
        }
        Ok(())
    }

    /// Waits until the committee is complete.
    ///
    /// # Errors
    /// [`Halt`].
    pub async fn found(&mut self) -> Result<(), Halt> {
        let mut seated = None;
        while self.roster.validate().is_err() {
            let holders = self.roster.with_role(Role::Holder).count();
            let of = self.succession.holders;
            if seated.replace(holders) != Some(holders) {
                self.tell(&Event::Founding { holders, of });
            }
            let count = |holders: usize| u8::try_from(holders).unwrap_or(u8::MAX);
            let waiting = Waiting::Committee { holders: count(holders), of: count(of) };
            self.succession.registrar.set_waiting(waiting);
            self.settle().await?;
            let woken = self.wait(None).await?;
            self.absorb(woken).await?;
        }
        self.wait_for_signatures(0);
        self.propose().await
    }

    /// Something has changed among the members.
    pub(super) async fn take_members(&mut self, entries: Vec<MemberEntry>) -> Result<(), Halt> {
        let out = entries.iter().filter(|entry| entry.standing.is_shut_out());
        let out: Vec<PartyId> = out.map(|entry| entry.member.id).collect();
        self.succession.entries = Some(entries);
        for id in out {
            if let Some(peer) = self.peers.remove(&id) {
                self.keep_traffic(&peer);
                peer.close(CloseReason::ShutOut);
                let (name, role) = (peer.member.name.clone(), peer.member.role);
                let why = "the operator has ended or suspended its membership".to_owned();
                self.tell(&Event::Left { name, role, why });
            }
        }
        self.propose().await
    }

    /// Makes a proposal of what has changed, if anything has.
    async fn propose(&mut self) -> Result<(), Halt> {
        if self.roster.validate().is_err() {
            return self.found_further().await;
        }
        if self.succession.certified.is_some() {
            // That one first; what has changed since comes after it.
            return Ok(());
        }
        let Some(entries) = &self.succession.entries else { return Ok(()) };
        let Some(members) = next_members(&self.roster, entries) else {
            self.succession.proposal = None;
            return Ok(());
        };
        if self.succession.proposal.as_ref().is_some_and(|one| one.roster.members == members) {
            return Ok(());
        }
        let mut stored = self.succession.registrar.members().await;
        let last =
            stored.rosters(self.roster.number).await?.last().map_or(0, |one| one.roster.number);
        let number = last.max(self.roster.number).saturating_add(1);
        let roster = self.roster.next(number, members);
        if let Err(bad) = self.roster.check_next(&roster) {
            drop(stored);
            self.succession.proposal = None;
            self.tell(&Event::RosterRefused { number, why: bad.to_string() });
            return Ok(());
        }
        stored.put_roster(&roster).await?;
        drop(stored);
        let (joined, left) = names(&self.roster.changes(&roster));
        self.tell(&Event::RosterProposed { number, joined, left });
        self.succession.said.clear();
        self.succession.proposal = Some(Proposal::of(roster));
        self.ask_for_signatures();
        Ok(())
    }

    /// Seats holders in a committee that is not complete.
    async fn found_further(&mut self) -> Result<(), Halt> {
        let Some(entries) = &self.succession.entries else { return Ok(()) };
        let members = founded(&self.roster, entries, self.succession.holders);
        let Some(members) = members else { return Ok(()) };
        let (federation, authority) = (self.roster.federation.clone(), self.roster.authority);
        let roster = Roster::founding(federation, authority, members);
        self.succession.registrar.members().await.put_roster(&roster).await?;
        self.put_in_force(CertifiedRoster { roster, votes: Vec::new() })
    }

    /// Asks every holder that is connected and has not signed.
    pub(super) fn ask_for_signatures(&mut self) {
        let now = self.clock.now();
        let Some(proposal) = &self.succession.proposal else { return };
        self.wait_for_signatures(proposal.votes.len());
        let seats = (0..).map(HolderIndex).zip(self.roster.committee());
        let open = seats.filter(|(place, _)| !proposal.votes.contains_key(place));
        let open: Vec<_> = open.map(|(_, seat)| seat.holder).collect();
        let roster = Box::new(proposal.roster.clone());
        for holder in open {
            let message = ToHolder::Approve { roster: roster.clone() };
            self.send(&holder, Outgoing::ToHolder(Box::new(message)));
        }
        self.succession.ask_at = now.after_ms(ASK_EVERY_MS);
    }

    /// Asks again if it is time.
    pub(super) fn ask_again_for_signatures(&mut self) {
        let now = self.clock.now();
        if self.succession.poll_timeout().is_some_and(|at| now >= at) {
            self.ask_for_signatures();
        }
    }

    /// What newcomers are told once the committee is complete.
    fn wait_for_signatures(&self, signed: usize) {
        let count = |holders: usize| u8::try_from(holders).unwrap_or(u8::MAX);
        let waiting = Waiting::Signatures { signed: count(signed), needed: count(self.quorum()) };
        self.succession.registrar.set_waiting(waiting);
    }

    fn quorum(&self) -> usize {
        let holders = self.roster.with_role(Role::Holder).count();
        CommitteeShape::of_members(holders).map_or(usize::MAX, CommitteeShape::quorum)
    }

    /// A holder signed a roster.
    pub(super) async fn take_signature(
        &mut self,
        member: &Member,
        roster: &Digest,
        vote: Vote,
    ) -> Result<(), Halt> {
        let needed = self.quorum();
        let seat = self.roster.committee().get(usize::from(vote.holder.0)).map(|seat| seat.holder);
        let is_own = seat == Some(member.id) && verify(&member.id, roster, &vote.signature);
        let Some(proposal) =
            self.succession.proposal.as_mut().filter(|one| one.digest == *roster && is_own)
        else {
            return Ok(());
        };
        proposal.votes.insert(vote.holder, vote);
        if proposal.votes.len() < needed {
            return Ok(());
        }
        let votes = proposal.votes.values().cloned().collect();
        let certified = CertifiedRoster { roster: proposal.roster.clone(), votes };
        self.succession.registrar.members().await.certify(&certified).await?;
        self.succession.registrar.set_waiting(Waiting::Round);
        self.succession.registrar.changed();
        (self.succession.proposal, self.succession.certified) = (None, Some(certified));
        Ok(())
    }

    /// A holder does not sign the proposal: said once.
    pub(super) fn take_disapproval(&mut self, member: &Member, refusal: &Refusal) -> bool {
        let said = self.succession.said.insert(member.id, refusal.clone());
        said.as_ref() != Some(refusal)
    }

    /// Whether this is about the proposal.
    pub(super) fn is_proposed(&self, digest: &Digest) -> bool {
        self.succession.proposal.as_ref().is_some_and(|one| one.digest == *digest)
    }

    /// Puts a signed roster in force, if there is one. Only while no round is at hand.
    ///
    /// # Errors
    /// [`Halt::Storage`].
    pub(super) async fn renew_roster(&mut self) -> Result<(), Halt> {
        let Some(certified) = self.succession.certified.take() else { return Ok(()) };
        self.put_in_force(certified)?;
        self.wait_for_signatures(0);
        self.propose().await
    }

    fn put_in_force(&mut self, certified: CertifiedRoster) -> Result<(), Halt> {
        let path = self.succession.folder.join(ROSTER_FILE);
        write_roster(&path, &certified.roster).map_err(|error| StorageError::File {
            action: "write",
            path,
            source: std::io::Error::other(error.to_string()),
        })?;
        let (joined, left) = names(&self.roster.changes(&certified.roster));
        self.roster = Arc::new(certified.roster.clone());
        self.succession.registrar.guests().renew(certified);
        // Beacon keys are dealt for one roster.
        self.deals.clear();
        let peers = std::mem::take(&mut self.peers);
        let mut returning = BTreeSet::new();
        for (id, peer) in peers {
            // A full queue ends by itself.
            let _ = peer.send(Outgoing::Close(CloseReason::NewRoster));
            if self.roster.member(&id).is_some() {
                returning.insert(id);
            }
        }
        let until = self.clock.now().after_ms(RETURN_MS);
        self.succession.returning = Some((returning, until));
        self.succession.registrar.changed();
        self.ledger.look();
        let (number, digest) = (self.roster.number, self.roster.digest().to_string());
        self.tell(&Event::RosterInForce { number, digest, joined, left });
        Ok(())
    }

    /// Until when members whose links were made anew are waited for, if some are not back.
    pub(super) fn returning_until(&mut self) -> Option<Time> {
        let (returning, until) = self.succession.returning.as_mut()?;
        returning.retain(|id| !self.peers.contains_key(id));
        let is_over = returning.is_empty() || self.clock.now() >= *until;
        let until = *until;
        if is_over {
            self.succession.returning = None;
            return None;
        }
        Some(until)
    }

    /// The rosters that were in force up to now, for whoever checks rounds under them.
    ///
    /// # Errors
    /// [`Halt::Storage`].
    pub async fn rosters_in_force(&self) -> Result<Vec<CertifiedRoster>, Halt> {
        let number = self.roster.number;
        let mut rosters = self.succession.registrar.members().await.rosters(0).await?;
        rosters.retain(|one| {
            one.roster.number <= number && (one.roster.number == 0 || !one.votes.is_empty())
        });
        Ok(rosters)
    }

    /// Whether this program has run rounds under that roster.
    ///
    /// # Errors
    /// [`Halt::Storage`].
    pub async fn knows_roster(&self, digest: &Digest) -> Result<bool, Halt> {
        let mut members = self.succession.registrar.members().await;
        Ok(members.roster_of(digest).await?.is_some())
    }
}

impl Proposal {
    fn of(roster: Roster) -> Self {
        let digest = roster.digest();
        Self { roster, digest, votes: BTreeMap::new() }
    }
}

fn names(changes: &Changes) -> (Vec<Name>, Vec<Name>) {
    let names = |members: &[Member]| members.iter().map(|one| one.name.clone()).collect();
    (names(&changes.joined), names(&changes.left))
}
