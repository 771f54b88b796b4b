//! Credit, of a round whose sum is open: a worker computes the directions, holders check them and
//! open three numbers of each accepted client, and attest the evidence that these make. Whatever goes
//! wrong, the round is done: only nobody is credited for it, and why is said.
//!
//! ```text
//! direct (worker) --> open --f+1 of each--> attest --Q votes--> Done
//! ```

use crate::audit::carry::{Carry, carries};
use crate::audit::credit::{Functions, Numbers, gather, part_bytes};
use crate::audit::crediting::{Directed, attestation, evidence};
use crate::audit::part::{Agreed, Part};
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::audit::weighing::Weights;
use crate::config::{HolderIndex, set_digest};
use crate::credit::{Attestation, Attested, RoundEvidence};
use crate::hash::Digest;
use crate::message::{
    Certificate, CreditQuestion, HolderFault, NoCredit, Outcome, Phase, Refusal, Report, ToHolder,
    Vote,
};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::signing::Statement;
use crate::time::Time;

use super::ballot::Ballot;
use super::parts::{Parts, Taken};
use super::{Round, RoundEffect, Stage, Timings};

/// The phase.
pub(super) struct Crediting {
    since: Time,
    step: Step,
}

enum Step {
    Direct,
    Open(Parts),
    Attest(Ballot),
}

/// What is known of the credit. All of it is in the records.
#[derive(Default)]
pub(super) struct Credited {
    directed: Option<Directed>,
    /// Projections of the opened sum.
    projections: Vec<i64>,
    parts: Vec<Agreed>,
    evidence: Option<Made>,
    certificate: Option<Certificate>,
}

/// What the opened numbers make.
struct Made {
    evidence: RoundEvidence,
    attestation: Attestation,
    carries: Vec<Carry>,
    weights: Weights,
}

impl Crediting {
    /// After a restart, the time to answer begins anew: how long that is.
    pub(super) const fn restart(&mut self, now: Time, timings: &Timings) -> u64 {
        self.since = now;
        self.step.time_ms(timings)
    }

    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        match &self.step {
            Step::Direct => true,
            Step::Open(parts) => parts.has_all_of(holder),
            Step::Attest(ballot) => ballot.has_answered(holder),
        }
    }
}

impl Step {
    const fn time_ms(&self, timings: &Timings) -> u64 {
        match self {
            // Holders compute the directions for themselves before they open.
            Self::Direct | Self::Open(_) => timings.audit_ms,
            Self::Attest(_) => timings.vote_ms,
        }
    }
}

/// What became of a round's credit, for its publication.
pub struct CreditOutcome<'a> {
    /// What was computed of fold and model.
    pub directed: &'a Directed,
    /// What was opened of each component.
    pub parts: &'a [Agreed],
    /// What noise carried into the opened sum.
    pub carries: &'a [Carry],
    /// What owners declare that they count, and what is in the sum.
    pub weights: Weights,
    /// What it comes to.
    pub evidence: &'a RoundEvidence,
    /// What holders attest.
    pub attested: Attested,
}

impl Round {
    /// The evidence and everything that it rests on, once it is attested.
    #[must_use]
    pub fn credit(&self) -> Option<CreditOutcome<'_>> {
        let Made { evidence, attestation, carries, weights } = self.credited.evidence.as_ref()?;
        let certificate = self.credited.certificate.clone()?;
        let attested = Attested { attestation: attestation.clone(), certificate };
        let directed = self.credited.directed.as_ref()?;
        let (parts, weights) = (&self.credited.parts, *weights);
        Some(CreditOutcome { directed, parts, carries, weights, evidence, attested })
    }

    fn enter_credit(&mut self, step: Step, at: Time) {
        self.deadline = at.after_ms(step.time_ms(&self.terms.timings));
        self.stage = Stage::Credit(Crediting { since: at, step });
    }

    /// Asks the worker for the directions.
    pub(super) fn direct(&mut self) {
        let set = self.certificate.as_ref().map(|certificate| certificate.set);
        let (Some(set), Some(rows)) = (set, self.audited.rows()) else { return };
        let Some(fold) = self.audited.fold().map(|(_, fold)| *fold) else { return };
        self.outbox.push(RoundEffect::Direct { set, rows, fold });
    }

    /// After a restart, the worker begins anew.
    pub(super) fn direct_again(&mut self) {
        if matches!(&self.stage, Stage::Credit(Crediting { step: Step::Direct, .. })) {
            self.direct();
        }
    }

    /// The worker that [`RoundEffect::Direct`] asked for has an answer: what it computed, and the
    /// projections of the opened sum. An answer that nobody waits for changes nothing.
    pub fn handle_directed(&mut self, now: Time, result: Result<(Directed, Vec<i64>), String>) {
        self.handle_timeout(now);
        let Stage::Credit(Crediting { step: Step::Direct, .. }) = &self.stage else { return };
        match result {
            Ok((directed, projections)) => {
                let directed = Box::new(directed);
                self.commit(RoundRecord::Directed { directed, projections, at: now });
                self.ask(now);
            }
            Err(why) => self.end_without_credit(now, NoCredit::NotDirected(why)),
        }
    }

    fn functions(&self) -> Option<Functions> {
        let directed = self.credited.directed.as_ref()?;
        Functions::from_bytes(&self.question()?, &directed.functions).ok()
    }

    /// H(U').
    fn accepted_set(&self) -> Digest {
        let headers: Vec<_> = self.set.iter().map(|signed| signed.header.digest()).collect();
        set_digest(&self.context, &headers)
    }

    /// What holders open: these functions of U'.
    fn opened_for(&self) -> Option<Digest> {
        Some(self.functions()?.digest(&self.accepted_set()))
    }

    /// The question of the step at hand.
    pub(super) fn ask_credit_of(&mut self, holder: HolderIndex, to: PartyId) {
        let Stage::Credit(crediting) = &mut self.stage else { return };
        match &mut crediting.step {
            Step::Direct => {}
            Step::Open(_) => self.ask_numbers_of(to),
            Step::Attest(ballot) => {
                let round_ctx = self.context;
                if ballot.begin(holder) {
                    let lacking = |part: &&Agreed| !part.component.known_to(holder);
                    let parts: Vec<_> =
                        self.credited.parts.iter().filter(lacking).cloned().collect();
                    for part in parts {
                        let part = Box::new(part);
                        self.tell_holder(to, ToHolder::CreditPart { round_ctx, part });
                    }
                }
                self.tell_holder(to, ToHolder::Attest { round_ctx });
            }
        }
    }

    fn ask_numbers_of(&mut self, to: PartyId) {
        let accepted = self.audited.accepted();
        let (Some((verdict, certificate)), Some(directed), Some((fold, _))) =
            (accepted, self.credited.directed.clone(), self.audited.fold().cloned())
        else {
            return;
        };
        let set = self.set.iter().map(|signed| signed.header.digest()).collect();
        let retired = self.terms.retired.clone();
        let question = CreditQuestion { set, verdict, certificate, fold, retired, directed };
        self.tell_holder(to, ToHolder::Credit(Box::new(question)));
    }

    /// A holder that was away has terms and envelopes again: it is sent what came since.
    pub(super) fn catch_up_credit(&mut self, holder: HolderIndex) {
        let Some(to) = self.committee.id(holder) else { return };
        self.send_list(to);
        self.send_proofs(to);
        self.ask_numbers_of(to);
        if let Stage::Credit(Crediting { step: Step::Attest(ballot), .. }) = &mut self.stage {
            ballot.forget(holder);
        }
        self.ask_holder(holder);
    }

    pub(super) fn handle_numbers(
        &mut self,
        now: Time,
        holder: HolderIndex,
        part: Part,
    ) -> Result<(), Refusal> {
        let Some(of) = self.opened_for() else { return Err(Refusal::WrongPhase) };
        self.check_part(Statement::CreditPart, holder, &part)?;
        let expected = self.question().map(|question| part_bytes(&question, self.set.len()));
        if part.list != of || Some(part.openings.len()) != expected {
            self.committee.add_fault(holder, HolderFault::WrongOpening);
            return Err(Refusal::Malformed("not the numbers of the accepted set".into()));
        }
        // Also when it comes late.
        self.committee.note_answer(holder, Phase::Credit);
        let shape = self.terms.config.shape;
        let Stage::Credit(Crediting { step: Step::Open(parts), .. }) = &mut self.stage else {
            return Ok(());
        };
        match parts.take(shape, part) {
            Taken::Known => return Ok(()),
            Taken::Conflict => {
                self.committee.add_fault(holder, HolderFault::WrongOpening);
                return Err(Refusal::Conflict);
            }
            Taken::New => {}
        }
        if parts.has_all_of(holder) {
            self.committee.set_lacking(holder, false);
        }
        self.conclude_numbers(now);
        Ok(())
    }

    fn conclude_numbers(&mut self, now: Time) {
        let shape = self.terms.config.shape;
        let Stage::Credit(Crediting { step: Step::Open(parts), .. }) = &self.stage else { return };
        let Some((parts, liars)) = parts.agreed(shape) else { return };
        for liar in liars {
            self.committee.add_fault(liar, HolderFault::WrongOpening);
        }
        if let Err(why) = self.evidence_of(&parts) {
            self.end_without_credit(now, NoCredit::NotSound(why));
            return;
        }
        self.close_credit_step(now);
        self.commit(RoundRecord::Numbered { parts, at: now });
        self.ask(now);
    }

    /// The evidence that these parts make, and its attestation; or what does not add up.
    fn evidence_of(&self, parts: &[Agreed]) -> Result<Made, String> {
        let lost = || "the round's directions are lost".to_owned();
        let (question, functions) = self.question().zip(self.functions()).ok_or_else(lost)?;
        let config = &self.terms.config;
        let credited = &self.credited;
        let (directed, credit) =
            credited.directed.as_ref().zip(config.credit.as_ref()).ok_or_else(lost)?;
        let (mut owners, mut proofs) = (Vec::new(), Vec::new());
        for signed in self.set.iter() {
            let client = signed.header.client;
            let proven = self.audited.proof_of(&client).ok_or_else(lost)?;
            // Its signature was checked when it came.
            let proof = Proof::from_bytes(question.terms(), &proven.proof);
            proofs.push(proof.map_err(|bad| bad.to_string())?);
            owners.push((client, proven.examples));
        }
        let times = config.multiplicities(owners.iter().map(|(client, _)| *client));
        let proofs: Vec<_> = proofs.iter().zip(times.iter().copied()).collect();
        let numbers = gather(&question, &functions, &proofs, parts);
        let numbers = numbers.ok_or("the parts are not of the accepted set's form")?;
        let sums = (&numbers, &times[..]);
        let carries = check_sums(&question, &functions, sums, &credited.projections)?;
        let evidence = evidence(&question, &functions, &owners, &numbers);
        let evidence = evidence.map_err(|bad| bad.to_string())?;
        let weights = Weights::of(config, &owners, &directed.rest, &carries);
        let before = (&self.terms.retired[..], directed);
        let attestation = attestation(config, credit, before, &evidence);
        Ok(Made { evidence, attestation, carries, weights })
    }

    pub(super) fn handle_attested(
        &mut self,
        now: Time,
        holder: HolderIndex,
        attestation: &Digest,
        vote: Vote,
    ) -> Result<(), Refusal> {
        self.check_vote(Statement::Evidence, holder, attestation, &vote)?;
        let own = self.credited.evidence.as_ref().map(|made| made.attestation.digest());
        let Some(own) = own else { return Err(Refusal::WrongPhase) };
        if own != *attestation {
            self.committee.add_fault(holder, HolderFault::OtherVerdict);
            return Err(Refusal::BadSet("a vote for other evidence".into()));
        }
        self.committee.note_answer(holder, Phase::Credit);
        let Stage::Credit(Crediting { step: Step::Attest(ballot), .. }) = &mut self.stage else {
            return Ok(());
        };
        ballot.take(vote);
        self.committee.set_lacking(holder, false);
        let quorum = self.terms.config.shape.quorum();
        let Some(certificate) = ballot.certificate(quorum, self.context, own) else {
            return Ok(());
        };
        self.close_credit_step(now);
        self.commit(RoundRecord::Credited { certificate, at: now });
        self.end_done(now, None);
        Ok(())
    }

    /// Who has not answered a step of holders is named, if it was asked twice.
    fn close_credit_step(&mut self, now: Time) {
        let Stage::Credit(crediting) = &self.stage else { return };
        if now.since_ms(crediting.since) >= 2 * self.terms.timings.resend_ms {
            self.note_unanswered();
        }
    }

    /// The step's time is over, or too many holders refuse.
    pub(super) fn give_up_credit(&mut self, now: Time) {
        self.note_unanswered();
        let Stage::Credit(crediting) = &self.stage else { return };
        let shape = self.terms.config.shape;
        let why = match &crediting.step {
            Step::Direct => {
                let waited_ms = self.terms.timings.audit_ms;
                NoCredit::NotDirected(format!("not within {waited_ms} ms"))
            }
            Step::Open(parts) => NoCredit::NotOpened {
                got: parts.complete() as u32,
                needed: shape.faults() as u32 + 1,
            },
            Step::Attest(ballot) => {
                NoCredit::NotAttested { got: ballot.votes() as u32, needed: shape.quorum() as u32 }
            }
        };
        self.end_without_credit(now, why);
    }

    pub(super) fn end_without_credit(&mut self, now: Time, why: NoCredit) {
        self.end_done(now, Some(why));
    }

    fn end_done(&mut self, now: Time, no_credit: Option<NoCredit>) {
        let counted = self.set.iter().map(|signed| signed.header.client).collect();
        let report = self.report(now, counted);
        let report = Report { no_credit, ..report };
        self.end(now, Outcome::Done(report), self.opened);
    }

    /// What a record of this phase changes. Live work and start-up both come through here.
    pub(super) fn apply_credit(&mut self, record: RoundRecord) {
        match record {
            RoundRecord::Summed { opened, at } => {
                self.opened = Some(opened);
                self.enter_credit(Step::Direct, at);
            }
            RoundRecord::Directed { directed, projections, at } => {
                self.credited.directed = Some(*directed);
                self.credited.projections = projections;
                self.enter_credit(Step::Open(Parts::default()), at);
            }
            RoundRecord::Numbered { parts, at } => {
                self.credited.evidence = self.evidence_of(&parts).ok();
                self.credited.parts = parts;
                self.enter_credit(Step::Attest(Ballot::default()), at);
            }
            RoundRecord::Credited { certificate, .. } => {
                self.credited.certificate = Some(certificate);
            }
            // The caller has applied every other record.
            _ => {}
        }
    }

    /// Whether an honest run can have written `record` next, in this phase.
    pub(super) fn check_credit(&self, crediting: &Crediting, record: &RoundRecord) -> bool {
        match (record, &crediting.step) {
            (RoundRecord::Directed { directed, projections, .. }, Step::Direct) => {
                let question = self.question();
                question.is_some_and(|question| {
                    Functions::from_bytes(&question, &directed.functions).is_ok()
                        && projections.len() == question.terms().projections()
                })
            }
            (RoundRecord::Numbered { parts, .. }, Step::Open(_)) => self.evidence_of(parts).is_ok(),
            (RoundRecord::Credited { .. }, Step::Attest(_)) => self.credited.certificate.is_none(),
            _ => false,
        }
    }
}

/// Rules (a) and (b): numbers, of each client as often as it counts (`times`), add up to those of
/// Y_sum, and Y_sum is what the rows make of the opened sum (`projections`), but for what is returned.
pub(crate) fn check_sums(
    question: &Question<'_>,
    functions: &Functions,
    (numbers, times): (&Numbers, &[u32]),
    projections: &[i64],
) -> Result<Vec<Carry>, String> {
    if !numbers.add_up(functions, times) {
        return Err("the numbers of all clients are not those of their sum".to_owned());
    }
    carries(question, &numbers.sum, projections)
        .ok_or_else(|| "the projections of all clients are not those of the opened sum".to_owned())
}
