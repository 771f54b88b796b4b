//! Opening the proofs: each holder opens the components that it knows, while the coordinator's
//! worker computes what is public of each contribution. Ends when f + 1 holders gave the same for
//! every component and the worker is done, or at its deadline.

use std::collections::BTreeMap;

use crate::audit::opening::Public;
use crate::audit::part::{Agreed, Part, opening_bytes};
use crate::audit::proof::Proof;
use crate::audit::verdict::{Verdict, encode_public, judge_all, openings_digest};
use crate::config::{HolderIndex, set_digest};
use crate::hash::Digest;
use crate::message::{AbandonReason, HolderFault, MissingReason, Phase, Refusal, ToHolder};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::round::parts::{Parts, Taken};
use crate::round::{OpenFailure, RoundEffect};
use crate::signing::Statement;
use crate::time::Time;

use super::{Round, Stage, Step};

/// What came.
#[derive(Default)]
pub(super) struct OpeningProofs {
    parts: Parts,
    public: Option<Vec<u8>>,
    /// Every component is agreed on.
    is_agreed: bool,
}

impl OpeningProofs {
    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        self.parts.has_all_of(holder)
    }

    pub(super) const fn is_only_unmeasured(&self) -> bool {
        self.is_agreed && self.public.is_none()
    }
}

impl Round {
    pub(super) fn ask_opening_of(&mut self, to: PartyId) {
        let (Some(certificate), Some((check, _))) = (&self.audited.list, &self.audited.check)
        else {
            return;
        };
        let (certificate, check) = (certificate.clone(), check.clone());
        self.tell_holder(to, ToHolder::OpenProofs { certificate, check });
    }

    /// After a restart, the worker begins anew.
    pub(in crate::round) fn measure_again(&mut self) {
        if matches!(&self.stage, Stage::Audit(auditing) if matches!(auditing.step, Step::Open(_))) {
            self.measure();
        }
    }

    /// Asks the worker for the public values.
    pub(super) fn measure(&mut self) {
        let (Some((_, rows)), Some((_, check))) = (&self.audited.rows, &self.audited.check) else {
            return;
        };
        let Some(set) = self.drawn_for(crate::audit::beacon::Use::Rows) else { return };
        let (rows, check) = (*rows, *check);
        let has_proof = |client: &PartyId| self.audited.proofs.contains_key(client);
        let headers = self.set.iter().filter(|signed| has_proof(&signed.header.client));
        let headers = headers.cloned().collect();
        self.outbox.push(RoundEffect::Measure { headers, set, rows, check });
    }

    /// The worker that [`RoundEffect::Measure`] asked for has an answer. An answer that nobody waits
    /// for changes nothing.
    pub fn handle_measured(&mut self, now: Time, result: Result<Vec<Public>, OpenFailure>) {
        self.handle_timeout(now);
        let Stage::Audit(auditing) = &mut self.stage else { return };
        let Step::Open(opening) = &mut auditing.step else { return };
        match result {
            Ok(public) => {
                opening.public = Some(encode_public(&public));
                self.conclude_opening(now);
            }
            Err(failure) => self.abandon(now, AbandonReason::Spoiled(failure.to_string())),
        }
    }

    pub(in crate::round) fn handle_part(
        &mut self,
        now: Time,
        holder: HolderIndex,
        part: Part,
    ) -> Result<(), Refusal> {
        let Some(list) = self.audited.list.as_ref().map(|certificate| certificate.set) else {
            return Err(Refusal::WrongPhase);
        };
        self.check_part(Statement::AuditPart, holder, &part)?;
        let length = self.question().map_or(0, |question| opening_bytes(question.terms()));
        if part.list != list || part.openings.len() != length * self.audited.listed.len() {
            self.committee.add_fault(holder, HolderFault::WrongOpening);
            return Err(Refusal::Malformed("not one opening for each proof of the list".into()));
        }
        let shape = self.terms.config.shape;
        // Also when it comes late.
        self.committee.note_answer(holder, Phase::Audit);
        let Stage::Audit(auditing) = &mut self.stage else { return Ok(()) };
        let Step::Open(opening) = &mut auditing.step else { return Ok(()) };
        match opening.parts.take(shape, part) {
            Taken::Known => return Ok(()),
            Taken::Conflict => {
                // Two signed parts that differ: one of them is wrong.
                self.committee.add_fault(holder, HolderFault::WrongOpening);
                return Err(Refusal::Conflict);
            }
            Taken::New => {}
        }
        if opening.parts.has_all_of(holder) {
            self.committee.set_lacking(holder, false);
        }
        self.conclude_opening(now);
        Ok(())
    }

    fn conclude_opening(&mut self, now: Time) {
        let shape = self.terms.config.shape;
        let Stage::Audit(auditing) = &mut self.stage else { return };
        let Step::Open(opening) = &mut auditing.step else { return };
        let Some((parts, liars)) = opening.parts.agreed(shape) else { return };
        opening.is_agreed = true;
        let public = opening.public.clone();
        for liar in liars {
            self.committee.add_fault(liar, HolderFault::WrongOpening);
        }
        let Some(public) = public else { return };
        let failed = match self.failed(&parts, &public) {
            Ok(failed) => failed,
            Err(why) => {
                self.abandon(now, AbandonReason::Spoiled(why));
                return;
            }
        };
        let got = (self.set.len() - failed.len()) as u32;
        let needed = self.terms.config.contributions_min;
        if got < needed {
            self.dropped.extend(failed);
            self.abandon(now, AbandonReason::TooFewContributions { got, needed });
            return;
        }
        self.close_step(now);
        let failed = failed.into_iter().collect();
        let faults = self.committee.faults();
        self.commit(RoundRecord::Judging { parts, public, failed, faults, at: now });
        self.ask(now);
    }

    /// Who of U does not pass, and why.
    fn failed(
        &self,
        parts: &[Agreed],
        public: &[u8],
    ) -> Result<BTreeMap<PartyId, MissingReason>, String> {
        let lost = || "the audit's beacons are lost".to_owned();
        let question = self.question().ok_or_else(lost)?;
        let (_, check) = self.audited.check.as_ref().ok_or_else(lost)?;
        let mut proofs = Vec::new();
        for (client, (proven, _)) in &self.audited.proofs {
            // Its signature was checked when it came.
            let proof = Proof::from_bytes(question.terms(), &proven.proof);
            proofs.push((client, proof.map_err(|bad| bad.to_string())?));
        }
        let about = proofs.iter().map(|(client, proof)| (*client, proof));
        let verdicts = judge_all(&question, &question.check(check), about, parts, public);
        let verdicts = verdicts.map_err(|bad| bad.to_string())?;
        let mut failed = self.unproven();
        for ((client, _), verdict) in proofs.iter().zip(verdicts) {
            if let Err(failure) = verdict {
                failed.insert(**client, MissingReason::Failed(failure));
            }
        }
        Ok(failed)
    }

    /// What holders are to sign, once [`Self::failed`] is among the dropped.
    pub(super) fn verdict(&self, parts: &[Agreed], public: &[u8]) -> Option<Verdict> {
        let (accepted, _) = self.split();
        let accepted: Vec<Digest> = accepted.iter().map(|one| one.header.digest()).collect();
        Some(Verdict {
            list: self.audited.list.as_ref()?.set,
            openings: openings_digest(parts, public),
            set: set_digest(&self.context, &accepted),
        })
    }
}
