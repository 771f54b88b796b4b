//! The coordinator's machine: one round, from its terms to its end.
//!
//! ```text
//! Select --Q countersign--> Collect --all answered, or deadline--> Vote --Q votes--> Release --opened--> Done
//!    \___________________________\________________________________\_________________\______________> Abandon
//!                                               where audited: Vote --> Audit --Q verdicts--> Release
//!                              where there is credit: Release --opened--> Credit --attested, or not--> Done
//! ```
//! One file per phase says what the phase accepts and when it ends: `select`, `collect`, `vote`
//! (check, then vote), `audit` with a file for each of its steps, `release`, `credit`; `ballot` and
//! `parts` are what several steps take in; `end` has the report, `committee` what is known of each
//! holder, `replay` start-up. The machine is the control plane: it sees headers, never bulk bytes.
//!
//! # Time
//! Each phase has a deadline, [`Timings`]; what is unanswered is asked again every `resend_ms`,
//! so that a party that was away needs nothing special. A phase that has all it can get ends at
//! once. After [`Round::replay`] the phase at hand gets its whole time again from then on: a
//! coordinator that was away heard nobody. So a round of r restarts ends within the sum of its
//! phases' times plus r times the longest.
//!
//! # What the driver does
//! It takes all waiting inputs, hands them over, stores every [`RoundEffect::Append`] with one
//! flush, calls [`Round::handle_stored`], and carries out the effects. `now` must not run
//! backwards; messages to parties that are not connected may be dropped.

mod audit;
mod ballot;
mod collect;
mod committee;
mod credit;
mod effect;
mod end;
mod parts;
mod release;
mod replay;
mod select;
mod terms;
mod view;
mod vote;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::HolderIndex;
use crate::hash::Digest;
use crate::message::{
    Certificate, Countersignature, Decline, FromClient, FromHolder, MissingReason, Outcome,
    Refusal, SignedHeader, ToClient, ToHolder,
};
use crate::party::PartyId;
use crate::record::{Outbox, RoundRecord, Sequence, Step};
use crate::signing::Identity;
use crate::time::Time;

pub use credit::CreditOutcome;
pub(crate) use credit::check_sums;
pub use effect::{BoxSource, OpenFailure, Opened, RoundEffect};
pub use replay::Corrupt;
pub use terms::{BadTerms, Terms, Timings};
pub use view::Progress;

use audit::{Audited, Auditing};
use committee::Committee;
use credit::{Credited, Crediting};
use release::Releasing;
use vote::{Checking, Voting};

/// What is known of an admitted client.
#[derive(Clone, Debug, PartialEq)]
enum Standing {
    Waiting,
    Contributed { header: Box<SignedHeader>, digest: Digest, sequence: Sequence },
    Declined(Decline),
}

/// Where the round stands, with what only that phase needs.
enum Stage {
    Select,
    Collect,
    Check(Checking),
    Vote(Voting),
    Audit(Auditing),
    Release(Releasing),
    Credit(Crediting),
    Ended(Outcome),
}

/// The coordinator's machine.
pub struct Round {
    terms: Terms,
    context: Digest,
    identity: Arc<Identity>,
    clients: BTreeMap<PartyId, Standing>,
    /// Of these, how many have not answered, and how many have contributed.
    waiting: usize,
    contributed: usize,
    /// Collect was extended.
    is_extended: bool,
    committee: Committee,
    stage: Stage,
    /// All contributions in order, once they are sent to holders: one copy for all of them.
    announced: Option<Arc<[SignedHeader]>>,
    /// The agreed set, once fixed: its headers in order.
    set: Arc<[SignedHeader]>,
    dropped: BTreeMap<PartyId, MissingReason>,
    countersignatures: Vec<Countersignature>,
    certificate: Option<Certificate>,
    /// What is known of the audit.
    audited: Audited,
    /// What is known of the credit.
    credited: Credited,
    opened: Option<Opened>,
    opened_at: Time,
    deadline: Time,
    resend_at: Time,
    outbox: Outbox<RoundRecord, RoundEffect>,
}

impl Round {
    /// Begins a round.
    ///
    /// # Errors
    /// [`BadTerms`].
    pub fn open(terms: Terms, identity: Arc<Identity>, now: Time) -> Result<Self, BadTerms> {
        terms.validate()?;
        let mut round = Self::blank(terms.clone(), identity, Outbox::new(0));
        round.commit(RoundRecord::Opened { terms: Box::new(terms), at: now });
        round.ask(now);
        Ok(round)
    }

    fn blank(
        terms: Terms,
        identity: Arc<Identity>,
        outbox: Outbox<RoundRecord, RoundEffect>,
    ) -> Self {
        Self {
            context: terms.config.context(),
            clients: terms.cohort.iter().map(|&client| (client, Standing::Waiting)).collect(),
            waiting: terms.cohort.len(),
            contributed: 0,
            is_extended: false,
            committee: Committee::new(&terms.config),
            terms,
            identity,
            stage: Stage::Select,
            announced: None,
            set: Arc::default(),
            dropped: BTreeMap::new(),
            countersignatures: Vec::new(),
            certificate: None,
            audited: Audited::default(),
            credited: Credited::default(),
            opened: None,
            opened_at: Time(0),
            deadline: Time(0),
            resend_at: Time(0),
            outbox,
        }
    }

    /// A client says something.
    ///
    /// # Errors
    /// [`Refusal`], to be told to the client.
    pub fn handle_client(
        &mut self,
        now: Time,
        from: PartyId,
        message: FromClient,
    ) -> Result<(), Refusal> {
        self.handle_timeout(now);
        if *message.round_ctx() != self.context {
            return Err(Refusal::UnknownRound);
        }
        if !self.clients.contains_key(&from) {
            return Err(Refusal::NotAdmitted);
        }
        match message {
            FromClient::Declined { reason, .. } if self.is_proving() => {
                self.handle_unproven(now, from, reason)
            }
            FromClient::Declined { reason, .. } => self.handle_decline(now, from, reason),
            FromClient::Proven { proven, .. } => self.handle_proven(now, from, proven),
            FromClient::Pending { .. } => {
                self.tell_end(from);
                Ok(())
            }
            // The ledger's: the driver takes them out.
            FromClient::Unrecorded { .. } | FromClient::Report { .. } => Ok(()),
        }
    }

    /// A holder says something.
    ///
    /// # Errors
    /// [`Refusal`]: the message changes nothing.
    pub fn handle_holder(
        &mut self,
        now: Time,
        from: PartyId,
        message: FromHolder,
        boxes: &dyn BoxSource,
    ) -> Result<(), Refusal> {
        self.handle_timeout(now);
        let holder = self.terms.config.seat_of(&from).ok_or(Refusal::NotAdmitted)?;
        if *message.round_ctx() != self.context {
            return Err(Refusal::UnknownRound);
        }
        if matches!(self.stage, Stage::Ended(_)) {
            // Whoever still asks has not heard how it ended.
            self.tell_end_to_holder(from);
            return Ok(());
        }
        match message {
            FromHolder::Countersigned { signature, .. } => {
                self.handle_countersigned(now, holder, signature)
            }
            FromHolder::Checked { total, complaints, .. } => {
                self.handle_checked(now, holder, total, complaints, boxes)
            }
            FromHolder::Voted { set, vote, .. } => self.handle_voted(now, holder, &set, vote),
            FromHolder::Released(release) => self.handle_released(now, holder, *release),
            FromHolder::Drawn { usage, drawn, .. } => self.handle_drawn(now, holder, usage, drawn),
            FromHolder::Listed { list, vote, .. } => self.handle_listed(now, holder, &list, vote),
            FromHolder::Opened(part) => self.handle_part(now, holder, *part),
            FromHolder::Judged { verdict, vote, .. } => {
                self.handle_judged(now, holder, &verdict, vote)
            }
            FromHolder::Credited(part) => self.handle_numbers(now, holder, *part),
            FromHolder::Attested { attestation, vote, .. } => {
                self.handle_attested(now, holder, &attestation, vote)
            }
            // Of no round: the driver takes it out.
            FromHolder::Dealt(_)
            | FromHolder::Approved { .. }
            | FromHolder::Cosigned { .. }
            | FromHolder::NotCosigned { .. } => Err(Refusal::WrongPhase),
            FromHolder::Lacking { .. } => {
                self.handle_lacking(now, holder);
                Ok(())
            }
            FromHolder::Refused { refusal, .. } => {
                self.handle_refused(now, holder, &refusal);
                Ok(())
            }
        }
    }

    /// Records up to and including `upto` are durable: receipts, questions and results that
    /// waited for them leave.
    pub fn handle_stored(&mut self, upto: Sequence) {
        self.outbox.stored(upto);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        if matches!(self.stage, Stage::Ended(_)) {
            return;
        }
        if now >= self.deadline {
            self.expire(now);
        } else if self.half_time().is_some_and(|half| now >= half) {
            self.handle_half_time(now);
        }
        if now >= self.resend_at {
            self.ask(now);
        }
    }

    /// When [`Self::handle_timeout`] must be called next; `None` when the round is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if matches!(self.stage, Stage::Ended(_)) {
            return None;
        }
        let soonest = self.deadline.min(self.resend_at);
        Some(self.half_time().map_or(soonest, |half| half.min(soonest)))
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<RoundEffect> {
        self.outbox.poll().map(|step| match step {
            Step::Append(sequence, record) => RoundEffect::Append { sequence, record },
            Step::Effect(effect) => effect,
        })
    }

    /// The deadline of the current phase is over.
    fn expire(&mut self, now: Time) {
        match &self.stage {
            Stage::Select => self.expire_select(now),
            Stage::Collect => self.expire_collect(now),
            Stage::Check(_) | Stage::Vote(_) => self.expire_vote(now),
            Stage::Audit(_) => self.expire_audit(now),
            Stage::Release(_) => self.expire_release(now),
            Stage::Credit(_) => self.give_up_credit(now),
            Stage::Ended(_) => {}
        }
    }

    /// Asks everybody who has not answered the current phase's question, and holders who have
    /// not countersigned for their countersignature.
    fn ask(&mut self, now: Time) {
        if matches!(self.stage, Stage::Ended(_)) {
            return;
        }
        self.resend_at = now.after_ms(self.terms.timings.resend_ms);
        self.ask_select();
        match &self.stage {
            Stage::Select | Stage::Ended(_) => {}
            Stage::Collect => self.ask_collect(),
            Stage::Audit(_) if self.is_proving() => self.ask_proofs(),
            Stage::Check(_)
            | Stage::Vote(_)
            | Stage::Audit(_)
            | Stage::Release(_)
            | Stage::Credit(_) => self.ask_holders(),
        }
    }

    /// Whether `holder` answered the question of the current phase.
    fn has_answered(&self, holder: HolderIndex) -> bool {
        match &self.stage {
            Stage::Select => self.committee.is_present(holder),
            Stage::Check(checking) => checking.has_answered(holder),
            Stage::Vote(voting) => voting.has_answered(holder),
            Stage::Audit(auditing) => auditing.has_answered(holder),
            Stage::Release(releasing) => releasing.has_answered(holder),
            Stage::Credit(crediting) => crediting.has_answered(holder),
            Stage::Collect | Stage::Ended(_) => true,
        }
    }

    fn tell_holder(&mut self, to: PartyId, message: ToHolder) {
        self.outbox.push(RoundEffect::ToHolder { to, message });
    }

    fn tell_client(&mut self, to: PartyId, message: ToClient) {
        self.outbox.push(RoundEffect::ToClient { to, message });
    }

    /// Decides something: it is to be stored, and it changes the state.
    fn commit(&mut self, record: RoundRecord) {
        let sequence = self.outbox.append(record.clone());
        self.apply(record, sequence);
    }
}

#[cfg(test)]
mod tests;
