//! Audit, of the set that is certified: clients prove that what they sent is small, holders check
//! it without seeing it, and agree on the set that passes. Its steps, one file each:
//!
//! ```text
//! draw (rows) --f+1 of each--> prove --all, or audit_ms--> list --Q votes-->
//! draw (check) --f+1 of each--> open --f+1 of each, and measured--> judge --Q votes--> Release
//! ```
//! Rows are drawn when the set is fixed, so no client can choose its update by them; the check is
//! drawn when the proofs are fixed, so no client can choose its proof by it. What is opened is
//! uniform or zero.

mod draw;
mod judge;
mod list;
mod open;
mod prove;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::beacon::Use;
use crate::audit::drawing::Drawing;
use crate::audit::list::Proven;
use crate::audit::part::Agreed;
use crate::audit::question::Question;
use crate::audit::record::AuditRecord;
use crate::audit::verdict::Verdict;
use crate::config::HolderIndex;
use crate::hash::Digest;
use crate::message::{
    AbandonReason, AuditStep, Certificate, Decline, MissingReason, Phase, SignedHeader, ToHolder,
};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::time::Time;

use super::ballot::Ballot;
use super::{Corrupt, Round, Stage, Timings};
use draw::Drawings;
use open::OpeningProofs;

/// The phase.
pub(super) struct Auditing {
    since: Time,
    step: Step,
}

enum Step {
    Rows(Drawings),
    Prove,
    List(Ballot),
    Check(Drawings),
    Open(OpeningProofs),
    Judge(Ballot),
}

impl Auditing {
    /// After a restart, the time to answer begins anew: how long that is.
    pub(super) const fn restart(&mut self, now: Time, timings: &Timings) -> u64 {
        self.since = now;
        self.step.time_ms(timings)
    }

    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        match &self.step {
            Step::Rows(drawings) | Step::Check(drawings) => drawings.has_answered(holder),
            Step::Prove => true,
            Step::List(ballot) | Step::Judge(ballot) => ballot.has_answered(holder),
            Step::Open(opening) => opening.has_answered(holder),
        }
    }
}

impl Step {
    const fn time_ms(&self, timings: &Timings) -> u64 {
        match self {
            Self::Rows(_) | Self::List(_) | Self::Check(_) => timings.vote_ms,
            Self::Prove => timings.audit_ms,
            Self::Open(_) | Self::Judge(_) => timings.release_ms,
        }
    }
}

/// What is known of the audit. All of it is in the records.
#[derive(Default)]
pub(super) struct Audited {
    /// The beacons, and what they come to.
    rows: Option<(Drawing, Digest)>,
    /// Of the fold, where there is credit.
    fold: Option<(Drawing, Digest)>,
    check: Option<(Drawing, Digest)>,
    /// Proofs that came, with their digests.
    proofs: BTreeMap<PartyId, (Proven, Digest)>,
    unproven: BTreeMap<PartyId, Decline>,
    /// The proofs on the list, once no more are taken: one copy for all holders.
    listed: Arc<[Proven]>,
    list: Option<Certificate>,
    parts: Vec<Agreed>,
    public: Vec<u8>,
    verdict: Option<Verdict>,
    certificate: Option<Certificate>,
    /// Of U, those that the verdict does not accept.
    rejected: Vec<SignedHeader>,
}

impl Audited {
    /// Whether a client has proved, or has said that it will not.
    pub(super) fn has_answered(&self, client: &PartyId) -> bool {
        self.proofs.contains_key(client) || self.unproven.contains_key(client)
    }

    /// Whether clients have been asked for proofs.
    pub(super) const fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// The beacon of the fold, and what it comes to, where there is credit.
    pub(super) const fn fold(&self) -> Option<&(Drawing, Digest)> {
        self.fold.as_ref()
    }

    /// The beacon of the rows.
    pub(super) fn rows(&self) -> Option<Digest> {
        self.rows.as_ref().map(|(_, rows)| *rows)
    }

    /// A client's proof.
    pub(super) fn proof_of(&self, client: &PartyId) -> Option<&Proven> {
        self.proofs.get(client).map(|(proven, _)| proven)
    }

    /// The verdict and its certificate, once there is one.
    pub(super) fn accepted(&self) -> Option<(Verdict, Certificate)> {
        self.verdict.zip(self.certificate.clone())
    }

    pub(super) fn record(&self) -> Option<AuditRecord> {
        Some(AuditRecord {
            rejected: self.rejected.clone(),
            rows: self.rows.as_ref()?.0.clone(),
            proofs: self.listed.to_vec(),
            list: self.list.clone()?,
            check: self.check.as_ref()?.0.clone(),
            parts: self.parts.clone(),
            public: self.public.clone(),
            certificate: self.certificate.clone()?,
            credit: None,
        })
    }
}

impl Round {
    /// What the audit asks; none before its rows are drawn, or where a round has none.
    pub(super) fn question(&self) -> Option<Question<'_>> {
        let (_, rows) = self.audited.rows.as_ref()?;
        Question::new(&self.terms.config, self.certificate.as_ref()?.set, *rows).ok()
    }

    pub(super) fn begin_audit(&mut self, at: Time) {
        self.enter(Step::Rows(Drawings::of_rows(self.terms.config.credit.is_some())), at);
    }

    fn enter(&mut self, step: Step, at: Time) {
        self.deadline = at.after_ms(step.time_ms(&self.terms.timings));
        self.stage = Stage::Audit(Auditing { since: at, step });
    }

    pub(super) const fn is_proving(&self) -> bool {
        matches!(&self.stage, Stage::Audit(Auditing { step: Step::Prove, .. }))
    }

    /// A step of holders is over: who has not answered is named, if it was asked twice. Steps follow
    /// upon each other, and holders have work in them.
    fn close_step(&mut self, now: Time) {
        let Stage::Audit(auditing) = &self.stage else { return };
        if now.since_ms(auditing.since) >= 2 * self.terms.timings.resend_ms {
            self.note_unanswered();
        }
    }

    /// The question of the step at hand.
    pub(super) fn ask_audit_of(&mut self, holder: HolderIndex, to: PartyId) {
        let Stage::Audit(auditing) = &self.stage else { return };
        match &auditing.step {
            Step::Prove => {}
            Step::Rows(_) => {
                let Some(certificate) = self.certificate.clone() else { return };
                let set = self.set.iter().map(|signed| signed.header.digest()).collect();
                self.tell_holder(to, ToHolder::Certified { set, certificate });
            }
            Step::List(_) => self.ask_list_of(holder, to),
            Step::Check(_) => {
                let Some(certificate) = self.audited.list.clone() else { return };
                self.tell_holder(to, ToHolder::Listed { certificate });
            }
            Step::Open(_) => self.ask_opening_of(to),
            Step::Judge(_) => self.ask_verdict_of(holder, to),
        }
    }

    /// A holder that was away has terms and envelopes again: it is sent what came since.
    pub(super) fn catch_up(&mut self, holder: HolderIndex) {
        let Some(to) = self.committee.id(holder) else { return };
        let Stage::Audit(auditing) = &mut self.stage else { return };
        let step = match &mut auditing.step {
            Step::Rows(_) | Step::Prove => 0,
            Step::List(listing) => {
                listing.forget(holder);
                0
            }
            Step::Check(_) => 1,
            Step::Open(_) => 2,
            Step::Judge(judging) => {
                judging.forget(holder);
                3
            }
        };
        if step >= 1 {
            self.send_list(to);
            self.send_proofs(to);
        }
        if step >= 3 {
            self.ask_opening_of(to);
        }
        self.ask_holder(holder);
    }

    pub(super) fn expire_audit(&mut self, now: Time) {
        if self.is_proving() {
            self.close_proofs(now);
            return;
        }
        self.note_unanswered();
        self.abandon_audit(now);
    }

    /// Too few holders answer the step at hand.
    pub(super) fn abandon_audit(&mut self, now: Time) {
        let Stage::Audit(auditing) = &self.stage else { return };
        let shape = self.terms.config.shape;
        let (step, needed) = match &auditing.step {
            Step::Rows(_) | Step::Prove => (AuditStep::Rows, shape.faults() + 1),
            Step::List(_) => (AuditStep::List, shape.quorum()),
            Step::Check(_) => (AuditStep::Check, shape.faults() + 1),
            Step::Open(opening) if opening.is_only_unmeasured() => {
                let waited_ms = self.terms.timings.release_ms;
                let why = format!("the coordinator did not measure it within {waited_ms} ms");
                self.abandon(now, AbandonReason::Spoiled(why));
                return;
            }
            Step::Open(_) => (AuditStep::Open, shape.faults() + 1),
            Step::Judge(_) => (AuditStep::Judge, shape.quorum()),
        };
        let seats = self.committee.present().map(|(holder, _)| holder);
        let got = seats.filter(|holder| auditing.has_answered(*holder)).count() as u32;
        self.abandon(now, AbandonReason::NotAudited { step, got, needed: needed as u32 });
    }

    /// Why a client of U is not in U', as far as proofs go.
    fn unproven(&self) -> BTreeMap<PartyId, MissingReason> {
        let clients = self.set.iter().map(|signed| signed.header.client);
        clients
            .filter(|client| !self.audited.proofs.contains_key(client))
            .map(|client| {
                let reason = self.audited.unproven.get(&client).copied();
                (client, MissingReason::Unproven(reason))
            })
            .collect()
    }

    /// What a record of this phase changes. Live work and start-up both come through here.
    pub(super) fn apply_audit(&mut self, record: RoundRecord) {
        match record {
            RoundRecord::Proving { rows, fold, at } => {
                let value = |drawing: Drawing| {
                    let drawn = drawing.value(&self.terms.config);
                    drawn.ok().map(|(beacon, _)| (drawing, beacon))
                };
                (self.audited.rows, self.audited.fold) = (value(rows), fold.and_then(value));
                self.enter(Step::Prove, at);
            }
            RoundRecord::Proven { proven } => {
                let client = proven.client;
                let digest = self.question().map_or(Digest::ZERO, |question| {
                    question.proof_digest(&client, proven.examples, &proven.proof)
                });
                self.audited.proofs.insert(client, (*proven, digest));
            }
            RoundRecord::Unproven { client, reason } => {
                self.audited.unproven.insert(client, reason);
            }
            RoundRecord::Listing { at } => {
                let proofs = self.audited.proofs.values();
                self.audited.listed = proofs.map(|(proven, _)| proven.clone()).collect();
                self.enter(Step::List(Ballot::default()), at);
            }
            RoundRecord::Listed { certificate, at } => {
                self.audited.list = Some(certificate);
                self.enter(Step::Check(Drawings::default()), at);
            }
            RoundRecord::OpeningProofs { check, at } => {
                let drawn = check.value(&self.terms.config);
                self.audited.check = drawn.ok().map(|(beacon, _)| (check, beacon));
                self.enter(Step::Open(OpeningProofs::default()), at);
            }
            RoundRecord::Judging { parts, public, failed, faults, at } => {
                for (holder, fault) in faults {
                    self.committee.restore_fault(holder, fault);
                }
                self.dropped.extend(failed);
                self.audited.verdict = self.verdict(&parts, &public);
                (self.audited.parts, self.audited.public) = (parts, public);
                self.enter(Step::Judge(Ballot::default()), at);
            }
            RoundRecord::Accepted { certificate, at } => {
                self.audited.certificate = Some(certificate);
                let (accepted, rejected) = self.split();
                self.set = accepted.into();
                self.audited.rejected = rejected;
                self.begin_release(at);
            }
            // The caller has applied every other record.
            _ => {}
        }
    }

    /// U in order, whatever has been left out of it since.
    pub(super) fn certified_set(&self) -> Vec<Digest> {
        let mut all: Vec<_> = self.set.iter().chain(&self.audited.rejected).collect();
        all.sort_by_key(|signed| signed.header.client);
        all.into_iter().map(|signed| signed.header.digest()).collect()
    }

    /// Headers of U that pass, and those that do not.
    fn split(&self) -> (Vec<SignedHeader>, Vec<SignedHeader>) {
        let passes = |signed: &SignedHeader| !self.dropped.contains_key(&signed.header.client);
        self.set.iter().cloned().partition(passes)
    }

    /// Whether an honest run can have written `record` next, in this phase.
    pub(super) fn check_audit(
        &self,
        auditing: &Auditing,
        record: &RoundRecord,
        at: u64,
    ) -> Result<(), Corrupt> {
        let is_open = |client: &PartyId| {
            let is_in = |signed: &SignedHeader| signed.header.client == *client;
            self.set.iter().any(is_in) && !self.audited.has_answered(client)
        };
        let is_drawn = |drawing: &Drawing| drawing.value(&self.terms.config).is_ok();
        let fits = match (record, &auditing.step) {
            (RoundRecord::Proving { rows, fold, .. }, Step::Rows(_)) => {
                let has_fold = fold.is_some() == self.terms.config.credit.is_some();
                is_drawn(rows) && has_fold && fold.as_ref().is_none_or(is_drawn)
            }
            (RoundRecord::Proven { proven }, Step::Prove) => is_open(&proven.client),
            (RoundRecord::Unproven { client, .. }, Step::Prove) => is_open(client),
            (RoundRecord::OpeningProofs { check, .. }, Step::Check(_)) => is_drawn(check),
            (RoundRecord::Listing { .. }, Step::Prove)
            | (RoundRecord::Listed { .. }, Step::List(_))
            | (RoundRecord::Judging { .. }, Step::Open(_))
            | (RoundRecord::Accepted { .. }, Step::Judge(_)) => true,
            _ => return Err(Corrupt::OutOfPhase { at, phase: Phase::Audit }),
        };
        if fits { Ok(()) } else { Err(Corrupt::Client(at)) }
    }

    /// What the beacons of this phase are drawn for.
    fn drawn_for(&self, usage: Use) -> Option<Digest> {
        match usage {
            Use::Rows | Use::Fold => self.certificate.as_ref().map(|certificate| certificate.set),
            Use::Check => self.audited.list.as_ref().map(|certificate| certificate.set),
        }
    }
}
