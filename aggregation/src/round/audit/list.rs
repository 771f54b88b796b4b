//! The list of proofs: holders are sent all of them, and vote for their list. Ends with Q votes, or
//! at its deadline.

use std::sync::Arc;

use crate::audit::list::list_digest;
use crate::config::HolderIndex;
use crate::hash::Digest;
use crate::message::{HolderFault, Phase, Refusal, ToHolder, Vote};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::round::RoundEffect;
use crate::signing::Statement;
use crate::time::Time;

use super::{Round, Stage, Step};

impl Round {
    /// H(Lambda), of the proofs that came.
    pub(super) fn list(&self) -> Option<Digest> {
        let set = self.certificate.as_ref()?.set;
        let digests = self.audited.proofs.iter().map(|(client, (_, digest))| (client, digest));
        Some(list_digest(&set, digests))
    }

    /// The list's question, and the first time the proofs with it. Who lacks them says so when it is
    /// asked again.
    pub(super) fn ask_list_of(&mut self, holder: HolderIndex, to: PartyId) {
        self.send_list(to);
        let Stage::Audit(auditing) = &mut self.stage else { return };
        if let Step::List(listing) = &mut auditing.step
            && listing.begin(holder)
        {
            self.send_proofs(to);
        }
    }

    pub(in crate::round) fn send_list(&mut self, to: PartyId) {
        let (Some(certificate), Some((rows, _))) = (&self.certificate, &self.audited.rows) else {
            return;
        };
        let (certificate, rows) = (certificate.clone(), rows.clone());
        let set = self.certified_set();
        let total = self.audited.listed.len() as u32;
        self.tell_holder(to, ToHolder::List { set, certificate, rows, total });
    }

    pub(in crate::round) fn send_proofs(&mut self, to: PartyId) {
        let proofs = Arc::clone(&self.audited.listed);
        self.outbox.push(RoundEffect::SendProofs { to, proofs });
    }

    pub(in crate::round) fn handle_listed(
        &mut self,
        now: Time,
        holder: HolderIndex,
        list: &Digest,
        vote: Vote,
    ) -> Result<(), Refusal> {
        self.check_vote(Statement::ProofList, holder, list, &vote)?;
        if self.audited.listed.is_empty() {
            return Err(Refusal::WrongPhase);
        }
        if self.list() != Some(*list) {
            // An honest holder votes for nothing but the list of what it was sent.
            self.committee.add_fault(holder, HolderFault::OtherVerdict);
            return Err(Refusal::BadSet("a vote for another list of proofs".into()));
        }
        // Also when it comes late.
        self.committee.note_answer(holder, Phase::Audit);
        let Stage::Audit(auditing) = &mut self.stage else { return Ok(()) };
        if let Step::List(listing) = &mut auditing.step {
            listing.take(vote);
            self.committee.set_lacking(holder, false);
            self.conclude_list(now);
        }
        Ok(())
    }

    fn conclude_list(&mut self, now: Time) {
        let Stage::Audit(auditing) = &self.stage else { return };
        let Step::List(listing) = &auditing.step else { return };
        let Some(set) = self.list() else { return };
        let quorum = self.terms.config.shape.quorum();
        let Some(certificate) = listing.certificate(quorum, self.context, set) else { return };
        self.close_step(now);
        self.commit(RoundRecord::Listed { certificate, at: now });
        self.ask(now);
    }
}
