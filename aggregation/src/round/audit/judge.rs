//! The verdict: each holder judges for itself, from what was opened, and reads some contributions
//! again. Ends with Q votes for the same verdict, or at its deadline.

use crate::audit::verdict::Verdict;
use crate::config::HolderIndex;
use crate::message::{HolderFault, Phase, Refusal, ToHolder, Vote};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::signing::Statement;
use crate::time::Time;

use super::{Round, Stage, Step};

impl Round {
    /// The question, and the first time the parts that this holder lacks before it.
    pub(super) fn ask_verdict_of(&mut self, holder: HolderIndex, to: PartyId) {
        let round_ctx = self.context;
        let Stage::Audit(auditing) = &mut self.stage else { return };
        let Step::Judge(judging) = &mut auditing.step else { return };
        if judging.begin(holder) {
            let lacking = |part: &&crate::audit::part::Agreed| !part.component.known_to(holder);
            let parts: Vec<_> = self.audited.parts.iter().filter(lacking).cloned().collect();
            for part in parts {
                self.tell_holder(to, ToHolder::Part { round_ctx, part: Box::new(part) });
            }
        }
        let public = self.audited.public.clone();
        self.tell_holder(to, ToHolder::Judge { round_ctx, public });
    }

    pub(in crate::round) fn handle_judged(
        &mut self,
        now: Time,
        holder: HolderIndex,
        verdict: &Verdict,
        vote: Vote,
    ) -> Result<(), Refusal> {
        self.check_vote(Statement::Verdict, holder, &verdict.digest(), &vote)?;
        let Some(own) = self.audited.verdict else { return Err(Refusal::WrongPhase) };
        if own != *verdict {
            self.committee.add_fault(holder, HolderFault::OtherVerdict);
            return Err(Refusal::BadSet("a vote for another verdict".into()));
        }
        // Also when it comes late.
        self.committee.note_answer(holder, Phase::Audit);
        let Stage::Audit(auditing) = &mut self.stage else { return Ok(()) };
        if let Step::Judge(judging) = &mut auditing.step {
            judging.take(vote);
            self.committee.set_lacking(holder, false);
            self.conclude_verdict(now);
        }
        Ok(())
    }

    fn conclude_verdict(&mut self, now: Time) {
        let Stage::Audit(auditing) = &self.stage else { return };
        let Step::Judge(judging) = &auditing.step else { return };
        let Some(verdict) = self.audited.verdict else { return };
        let (quorum, voted) = (self.terms.config.shape.quorum(), verdict.digest());
        let Some(certificate) = judging.certificate(quorum, self.context, voted) else { return };
        self.close_step(now);
        self.commit(RoundRecord::Accepted { certificate, at: now });
        self.ask(now);
    }
}
