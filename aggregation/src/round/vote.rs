//! Vote: holders check the envelopes, then vote on the set.
//!
//! First step: every holder gets the boxes sealed to it and answers with complaints. It ends when
//! all holders that accepted the terms have answered, or at half of the phase's time once Q have.
//! Then contributions with a bad box are dropped and U is fixed. Second step: holders vote; it
//! ends with Q votes, or at the phase's deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{HolderIndex, set_digest};
use crate::hash::Digest;
use crate::message::{
    AbandonReason, Certificate, Complaint, ComplaintKind, HolderFault, MissingReason, Phase,
    Refusal, SignedHeader, ToHolder, Vote,
};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::signing::Statement;
use crate::sum::share::{Verdict, check_complaint};
use crate::time::Time;

use super::{BoxSource, Round, RoundEffect, Stage};

/// What one holder's complaints come to.
#[derive(Default)]
struct Ruling {
    /// Clients that are at fault for all to see.
    bad: BTreeSet<PartyId>,
    /// Clients of which nobody can tell.
    disputed: BTreeSet<PartyId>,
}

/// The first step.
pub(super) struct Checking {
    half_time: Time,
    /// From then on Q answers are enough.
    is_late: bool,
    rulings: BTreeMap<HolderIndex, Ruling>,
}

impl Checking {
    pub(super) const fn new(half_time: Time) -> Self {
        Self { half_time, is_late: false, rulings: BTreeMap::new() }
    }

    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        self.rulings.contains_key(&holder)
    }
}

/// The second step.
pub(super) struct Voting {
    since: Time,
    headers: Vec<Digest>,
    digest: Digest,
    votes: BTreeMap<HolderIndex, Vote>,
}

impl Voting {
    pub(super) fn new(context: &Digest, headers: Vec<Digest>, since: Time) -> Self {
        let digest = set_digest(context, &headers);
        Self { since, headers, digest, votes: BTreeMap::new() }
    }

    /// After a restart, the time to answer begins anew.
    pub(super) const fn restart(&mut self, now: Time) {
        self.since = now;
    }

    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        self.votes.contains_key(&holder)
    }
}

impl Round {
    /// Until when the first step waits for all.
    pub(super) const fn half_time(&self) -> Option<Time> {
        match &self.stage {
            Stage::Check(checking) if !checking.is_late => Some(checking.half_time),
            _ => None,
        }
    }

    /// Half of the phase is over: the first step no longer waits for all.
    pub(super) fn handle_half_time(&mut self, now: Time) {
        if let Stage::Check(checking) = &mut self.stage {
            checking.is_late = true;
            self.conclude_check(now);
        }
    }

    /// Holders whose answer in this phase is still open.
    pub(super) fn unanswered(&self) -> Vec<(HolderIndex, PartyId)> {
        let phase = self.phase();
        self.committee
            .present()
            .filter(|(holder, _)| !self.has_answered(*holder))
            .filter(|(holder, _)| !self.committee.has_refused(*holder, phase))
            .collect()
    }

    /// Repeats the phase's question to those who have not answered it. Who lacks the round gets
    /// all of it again, so that catching up takes few steps.
    pub(super) fn ask_holders(&mut self) {
        for (holder, _) in self.unanswered() {
            if self.committee.is_lacking(holder) {
                self.refill(holder);
            }
            self.ask_holder(holder);
        }
    }

    pub(super) fn send_envelopes(&mut self, holder: HolderIndex) {
        let Some(to) = self.committee.id(holder) else { return };
        // No contribution comes once they are sent.
        let headers = self.announced.take();
        let headers = headers.unwrap_or_else(|| self.contributions().cloned().collect());
        self.announced = Some(Arc::clone(&headers));
        self.outbox.push(RoundEffect::SendEnvelopes { to, holder, headers });
    }

    /// A holder lost the round's terms or envelopes: it is sent all of it at once (but at most
    /// twice every `resend_ms`), and with every repeated question until it has caught up.
    pub(super) fn handle_lacking(&mut self, now: Time, holder: HolderIndex) {
        self.committee.set_lacking(holder, true);
        if self.committee.may_refill(holder, now, self.terms.timings.resend_ms / 2) {
            self.refill(holder);
        }
    }

    fn refill(&mut self, holder: HolderIndex) {
        self.propose_to(holder);
        if !matches!(self.stage, Stage::Select | Stage::Collect) {
            self.send_envelopes(holder);
        }
    }

    pub(super) fn handle_checked(
        &mut self,
        now: Time,
        holder: HolderIndex,
        total: u32,
        complaints: Vec<Complaint>,
        boxes: &dyn BoxSource,
    ) -> Result<(), Refusal> {
        self.committee.set_lacking(holder, false);
        match &self.stage {
            Stage::Check(checking) if checking.has_answered(holder) => return Ok(()),
            Stage::Check(_) => {}
            // A holder that was away has caught up.
            Stage::Audit(_) => {
                self.catch_up(holder);
                return Ok(());
            }
            Stage::Credit(_) => {
                self.catch_up_credit(holder);
                return Ok(());
            }
            Stage::Vote(_) | Stage::Release(_) => {
                self.ask_holder(holder);
                return Ok(());
            }
            _ => return Err(Refusal::WrongPhase),
        }
        if total as usize != self.contributed {
            return Err(Refusal::Malformed("another number of contributions".into()));
        }
        let ruling = self.judge(holder, &complaints, boxes);
        if let Stage::Check(checking) = &mut self.stage {
            checking.rulings.insert(holder, ruling);
        }
        self.committee.note_answer(holder, Phase::Vote);
        self.conclude_check(now);
        Ok(())
    }

    /// Judges a holder's complaints: each names a client, or the holder.
    ///
    /// # Decision
    /// A holder that says of more than a quarter of the clients (and of more than one) what nobody
    /// can check is taken to be the faulty one. The price: as many lying clients can make an honest
    /// holder look faulty. It then refuses its vote and counts among the f that may fail; nothing
    /// unsafe follows.
    fn judge(
        &mut self,
        holder: HolderIndex,
        complaints: &[Complaint],
        boxes: &dyn BoxSource,
    ) -> Ruling {
        let mut ruling = Ruling::default();
        if complaints.is_empty() {
            return ruling;
        }
        let headers: BTreeMap<Digest, SignedHeader> =
            self.contributions().map(|signed| (signed.header.digest(), signed.clone())).collect();
        for complaint in complaints {
            let Some(header) = headers.get(&complaint.header) else {
                self.committee.add_fault(holder, HolderFault::FalseComplaint);
                continue;
            };
            let client = header.header.client;
            match self.judge_one(holder, header, complaint, boxes) {
                Verdict::ClientAtFault => {
                    ruling.bad.insert(client);
                }
                Verdict::Undecidable => {
                    ruling.disputed.insert(client);
                }
                Verdict::FalseComplaint => {
                    self.committee.add_fault(holder, HolderFault::FalseComplaint);
                }
            }
        }
        let contributions = headers.len();
        if ruling.disputed.len() > (contributions / 4).max(1) {
            self.committee.add_fault(holder, HolderFault::FalseComplaint);
            ruling.disputed.clear();
        }
        ruling
    }

    fn judge_one(
        &self,
        holder: HolderIndex,
        header: &SignedHeader,
        complaint: &Complaint,
        boxes: &dyn BoxSource,
    ) -> Verdict {
        let body = Complaint::body(&complaint.header, complaint.holder, &complaint.kind);
        let signed = self.committee.id(holder).is_some_and(|id| {
            let signature = &complaint.signature;
            id.verify(Statement::Complaint, &self.context, &body, signature).is_ok()
        });
        if !signed || complaint.holder != holder || complaint.round_ctx != self.context {
            return Verdict::FalseComplaint;
        }
        if complaint.kind == ComplaintKind::Key {
            return Verdict::Undecidable;
        }
        // Without the box nothing can be shown, and nothing be summed either.
        boxes.sealed_box(&complaint.header, holder).map_or(Verdict::Undecidable, |sealed_box| {
            check_complaint(&self.terms.config, &self.context, header, &sealed_box, complaint)
        })
    }

    /// Fixes U if the first step has what it waits for.
    pub(super) fn conclude_check(&mut self, now: Time) {
        let Stage::Check(checking) = &self.stage else { return };
        let unanswered = self.unanswered();
        let enough = checking.rulings.len() >= self.terms.config.shape.quorum();
        if !enough || !(checking.is_late || unanswered.is_empty()) {
            return;
        }
        let dropped = self.dropped_by(checking);
        for (holder, _) in unanswered {
            self.committee.note_silent(holder, Phase::Vote);
        }
        let kept: Vec<_> = self
            .contributions()
            .filter(|signed| !dropped.contains_key(&signed.header.client))
            .map(|signed| signed.header.digest())
            .collect();
        let (got, needed) = (kept.len() as u32, self.terms.config.contributions_min);
        if got < needed {
            self.dropped = dropped;
            self.abandon(now, AbandonReason::TooFewContributions { got, needed });
            return;
        }
        let faults = self.committee.faults();
        let dropped = dropped.into_iter().collect();
        self.commit(RoundRecord::Voting { set: kept, dropped, faults, at: now });
        self.ask(now);
    }

    /// Clients to leave out; what all can see goes before what nobody can.
    fn dropped_by(&self, checking: &Checking) -> BTreeMap<PartyId, MissingReason> {
        let mut dropped = BTreeMap::new();
        for (&holder, ruling) in &checking.rulings {
            for &client in &ruling.bad {
                dropped.entry(client).or_insert(MissingReason::BadBox(holder));
            }
        }
        for (&holder, ruling) in &checking.rulings {
            for &client in &ruling.disputed {
                dropped.entry(client).or_insert(MissingReason::Disputed(holder));
            }
        }
        dropped
    }

    /// Asks one holder for its answer in the phase at hand.
    pub(super) fn ask_holder(&mut self, holder: HolderIndex) {
        let Some(to) = self.committee.id(holder) else { return };
        let round_ctx = self.context;
        match &self.stage {
            Stage::Check(_) if !self.committee.is_lacking(holder) => self.send_envelopes(holder),
            Stage::Vote(voting) if !voting.has_answered(holder) => {
                let set = voting.headers.clone();
                self.tell_holder(to, ToHolder::Set { round_ctx, set });
            }
            Stage::Audit(auditing) if !auditing.has_answered(holder) => {
                self.ask_audit_of(holder, to);
            }
            Stage::Release(releasing) if !releasing.has_answered(holder) => {
                self.ask_release_of(to);
            }
            Stage::Credit(crediting) if !crediting.has_answered(holder) => {
                self.ask_credit_of(holder, to);
            }
            _ => {}
        }
    }

    pub(super) fn handle_voted(
        &mut self,
        now: Time,
        holder: HolderIndex,
        set: &Digest,
        vote: Vote,
    ) -> Result<(), Refusal> {
        self.check_vote(Statement::Vote, holder, set, &vote)?;
        let is_certified = self.is_certified(set);
        match &mut self.stage {
            Stage::Vote(voting) if voting.digest == *set => {
                voting.votes.entry(holder).or_insert(vote);
                self.committee.note_answer(holder, Phase::Vote);
                self.conclude_vote(now);
                Ok(())
            }
            // Only one set is ever proposed in a round, and an honest holder votes for no other.
            Stage::Vote(_) => Err(self.other_vote(holder)),
            Stage::Audit(_) | Stage::Release(_) | Stage::Credit(_) if !is_certified => {
                Err(self.other_vote(holder))
            }
            // Late, and no longer needed.
            Stage::Audit(_) | Stage::Release(_) | Stage::Credit(_) => Ok(()),
            _ => Err(Refusal::WrongPhase),
        }
    }

    /// Whether `set` is the set of the first certificate.
    fn is_certified(&self, set: &Digest) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.set == *set)
    }

    fn other_vote(&mut self, holder: HolderIndex) -> Refusal {
        self.committee.add_fault(holder, HolderFault::OtherVote);
        Refusal::BadSet("a vote for a set that was not proposed".into())
    }

    fn conclude_vote(&mut self, now: Time) {
        let Stage::Vote(voting) = &self.stage else { return };
        if voting.votes.len() < self.terms.config.shape.quorum() {
            return;
        }
        let votes = voting.votes.values().cloned().collect();
        let certificate = Certificate { round_ctx: self.context, set: voting.digest, votes };
        if now.since_ms(voting.since) >= self.terms.timings.resend_ms {
            self.note_unanswered();
        }
        self.commit(RoundRecord::Certified { certificate, at: now });
        self.ask(now);
    }

    /// Names the holders whose answer is open as silent in this phase.
    pub(super) fn note_unanswered(&mut self) {
        let phase = self.phase();
        for (holder, _) in self.unanswered() {
            self.committee.note_silent(holder, phase);
        }
    }

    pub(super) fn expire_vote(&mut self, now: Time) {
        self.note_unanswered();
        self.abandon_vote(now);
    }

    pub(super) fn abandon_vote(&mut self, now: Time) {
        let got = match &self.stage {
            Stage::Vote(voting) => voting.votes.len() as u32,
            _ => 0,
        };
        let needed = self.terms.config.shape.quorum() as u32;
        self.abandon(now, AbandonReason::NotCertified { got, needed });
    }
}
