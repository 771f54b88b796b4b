//! Select: holders countersign the terms. Ends when Q have, or at its deadline. Holders that come
//! later are still asked, so that they can check and vote.

use crate::audit::deal::sealed_to;
use crate::config::HolderIndex;
use crate::message::{AbandonReason, Countersignature, Phase, Refusal, ToHolder};
use crate::record::RoundRecord;
use crate::signing::Statement;
use crate::time::Time;

use super::{Round, Stage};

impl Round {
    /// Holders that have neither accepted nor refused the terms.
    fn absentees(&self) -> Vec<HolderIndex> {
        self.committee
            .seats()
            .map(|(holder, _)| holder)
            .filter(|holder| !self.committee.is_present(*holder))
            .filter(|holder| !self.committee.has_refused(*holder, Phase::Select))
            .collect()
    }

    pub(super) fn ask_select(&mut self) {
        for holder in self.absentees() {
            self.propose_to(holder);
        }
    }

    pub(super) fn propose_to(&mut self, holder: HolderIndex) {
        let Some(to) = self.committee.id(holder) else { return };
        let config = Box::new(self.terms.config.clone());
        let cohort = self.terms.cohort.clone();
        let beacons = sealed_to(config.shape, &self.terms.beacons, holder);
        let attested = self.terms.attested.clone();
        self.tell_holder(to, ToHolder::Propose { config, cohort, beacons, attested });
    }

    pub(super) fn handle_countersigned(
        &mut self,
        now: Time,
        holder: HolderIndex,
        signature: Countersignature,
    ) -> Result<(), Refusal> {
        if signature.holder != holder {
            return Err(Refusal::Malformed("countersignature of another holder".into()));
        }
        if self.committee.is_present(holder) {
            return Ok(());
        }
        let seat = &self.terms.config.committee[usize::from(holder.0)];
        seat.holder
            .verify(Statement::Config, &self.context, &self.context.0, &signature.signature)
            .map_err(|_| Refusal::BadSignature)?;
        self.committee.countersign(signature);
        match &self.stage {
            Stage::Select => self.conclude_select(now),
            Stage::Check(_)
            | Stage::Vote(_)
            | Stage::Audit(_)
            | Stage::Release(_)
            | Stage::Credit(_) => self.send_envelopes(holder),
            Stage::Collect | Stage::Ended(_) => {}
        }
        Ok(())
    }

    fn conclude_select(&mut self, now: Time) {
        let quorum = self.terms.config.shape.quorum();
        let countersignatures: Vec<_> = self.committee.countersignatures().cloned().collect();
        if countersignatures.len() >= quorum {
            self.commit(RoundRecord::Collecting { countersignatures, at: now });
            self.ask(now);
        }
    }

    pub(super) fn expire_select(&mut self, now: Time) {
        for holder in self.absentees() {
            self.committee.note_silent(holder, Phase::Select);
        }
        self.abandon_select(now);
    }

    fn abandon_select(&mut self, now: Time) {
        let got = self.committee.present().count() as u32;
        let needed = self.terms.config.shape.quorum() as u32;
        self.abandon(now, AbandonReason::NotCountersigned { got, needed });
    }

    /// A holder said no. For good, unless it is only busy; once too many have, there is nothing
    /// left to wait for.
    pub(super) fn handle_refused(&mut self, now: Time, holder: HolderIndex, refusal: &Refusal) {
        if matches!(refusal, Refusal::Busy { .. }) {
            return;
        }
        // A holder without the terms can only refuse those, whatever the phase.
        let phase = if self.committee.is_present(holder) { self.phase() } else { Phase::Select };
        if self.has_answered(holder) && phase != Phase::Select {
            return;
        }
        self.committee.refuse(holder, phase);
        let spare = self.terms.config.shape.members() - self.terms.config.shape.quorum();
        if phase != self.phase() || self.committee.refusals(phase) <= spare {
            if matches!(self.stage, Stage::Check(_)) {
                self.conclude_check(now);
            }
            return;
        }
        match &self.stage {
            Stage::Select => self.abandon_select(now),
            Stage::Check(_) | Stage::Vote(_) => self.abandon_vote(now),
            Stage::Audit(_) => self.abandon_audit(now),
            Stage::Credit(_) => self.give_up_credit(now),
            _ => {}
        }
    }

    /// Names the holders that said nothing at all, if there was time to answer.
    pub(super) fn note_absent(&mut self, now: Time) {
        if now.since_ms(self.opened_at) < self.terms.timings.resend_ms {
            return;
        }
        for holder in self.absentees() {
            self.committee.note_silent(holder, Phase::Select);
        }
    }
}
