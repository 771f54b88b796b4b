//! The coordinator's machine: one round, from its terms to its end.
//!
//! ```text
//! Select --Q countersign--> Collect --all answered, or deadline--> Vote --Q votes--> Release --opened--> Done
//!    \___________________________\________________________________\_________________\______________> Abandon
//! ```
//! One file per phase says what the phase accepts and when it ends: `select`, `collect`, `vote`
//! (check, then vote), `release`; `end` has the report, `committee` what is known of each holder,
//! `replay` start-up. The machine is the control plane: it sees headers, never bulk bytes.
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

mod collect;
mod committee;
mod end;
mod release;
mod replay;
mod select;
mod terms;
mod vote;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{HolderIndex, RoundConfig};
use crate::hash::Digest;
use crate::message::{
    Certificate, Countersignature, Decline, FromClient, FromHolder, MissingReason, Outcome, Phase,
    Refusal, SignedHeader, ToClient, ToHolder,
};
use crate::party::PartyId;
use crate::record::{Outbox, RoundRecord, Sequence, Step};
use crate::signing::Identity;
use crate::time::Time;

pub use replay::Corrupt;
pub use terms::{BadTerms, Terms, Timings};

use committee::Committee;
use release::Releasing;
use vote::{Checking, Voting};

/// Sealed boxes of stored contributions, for checking complaints.
pub trait BoxSource {
    /// The box for `holder` in the contribution `header`, if it is stored.
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>>;
}

/// What the round wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum RoundEffect {
    /// Store this durably, then say so with [`Round::handle_stored`].
    Append {
        /// Its place.
        sequence: Sequence,
        /// What.
        record: RoundRecord,
    },
    /// Send this to a holder.
    ToHolder {
        /// Who.
        to: PartyId,
        /// What.
        message: ToHolder,
    },
    /// Send these contributions' boxes to a holder, in batches of
    /// [`crate::limits::ENVELOPES_PER_MESSAGE_MAX`] as [`ToHolder::Envelopes`] with `total`
    /// the length of `headers`. Where the same is still on its way, nothing need be sent.
    SendEnvelopes {
        /// Who.
        to: PartyId,
        /// Whose boxes.
        holder: HolderIndex,
        /// All contributions of the round, in the order of their clients.
        headers: Vec<SignedHeader>,
    },
    /// Send this to a client.
    ToClient {
        /// Who.
        to: PartyId,
        /// What.
        message: ToClient,
    },
    /// Sum the stored contributions of `set` in order, recover the key sum, open, store both
    /// results durably, and answer with [`Round::handle_opened`].
    Open {
        /// U, in order.
        set: Vec<SignedHeader>,
        /// R_T for every component, in canonical order.
        components: Vec<Vec<u8>>,
    },
    /// The round is over, and its record is durable. Comes again after a replay.
    Ended(Outcome),
}

/// What was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Digest of the aggregate.
    pub aggregate: Digest,
    /// Digest of the key sum.
    pub key_sum: Digest,
    /// Contributions in it.
    pub count: u32,
    /// Sum of their weights.
    pub weight: u64,
}

/// Why the worker did not open the sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    /// The key does not recover, or the sum opens to nonsense.
    #[error("{0}")]
    Spoiled(String),
    /// The coordinator could not read or store what it needs.
    #[error("the coordinator's storage failed: {0}")]
    Unavailable(String),
}

/// Who has answered in the current phase, and whom it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Clients (in Collect) or holders (elsewhere) that answered.
    pub answered: Vec<PartyId>,
    /// Those it waits for.
    pub waiting: Vec<PartyId>,
    /// When it ends at the latest; `None` when it is over.
    pub deadline: Option<Time>,
}

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
    Release(Releasing),
    Ended(Outcome),
}

/// The coordinator's machine.
pub struct Round {
    terms: Terms,
    context: Digest,
    identity: Arc<Identity>,
    clients: BTreeMap<PartyId, Standing>,
    committee: Committee,
    stage: Stage,
    /// The agreed set, once fixed: its headers in order.
    set: Vec<SignedHeader>,
    dropped: BTreeMap<PartyId, MissingReason>,
    countersignatures: Vec<Countersignature>,
    certificate: Option<Certificate>,
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
            committee: Committee::new(&terms.config),
            terms,
            identity,
            stage: Stage::Select,
            set: Vec::new(),
            dropped: BTreeMap::new(),
            countersignatures: Vec::new(),
            certificate: None,
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
            FromClient::Declined { reason, .. } => self.handle_decline(now, from, reason),
            FromClient::Pending { .. } => {
                self.tell_end(from);
                Ok(())
            }
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

    /// The phase.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Select => Phase::Select,
            Stage::Collect => Phase::Collect,
            Stage::Check(_) | Stage::Vote(_) => Phase::Vote,
            Stage::Release(_) => Phase::Release,
            Stage::Ended(Outcome::Done(_)) => Phase::Done,
            Stage::Ended(Outcome::Abandoned { .. }) => Phase::Abandon,
        }
    }

    /// How it ended, once it has. Its record may not be durable yet: act on
    /// [`RoundEffect::Ended`].
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Who has answered, and whom the round waits for.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let all: Vec<(PartyId, bool)> = match &self.stage {
            Stage::Collect => self
                .clients
                .iter()
                .map(|(&client, standing)| (client, *standing != Standing::Waiting))
                .collect(),
            Stage::Ended(_) => Vec::new(),
            _ => {
                let answered = |holder| self.has_answered(holder);
                self.committee.seats().map(|(holder, id)| (id, answered(holder))).collect()
            }
        };
        let pick = |wanted| {
            all.iter().filter(move |(_, done)| *done == wanted).map(|(id, _)| *id).collect()
        };
        Progress {
            phase: self.phase(),
            answered: pick(true),
            waiting: pick(false),
            deadline: self.poll_timeout().map(|_| self.deadline),
        }
    }

    /// The round's terms.
    #[must_use]
    pub const fn config(&self) -> &RoundConfig {
        &self.terms.config
    }

    /// The terms with cohort and timings.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// `round_ctx`.
    #[must_use]
    pub const fn context(&self) -> &Digest {
        &self.context
    }

    /// Headers of all contributions so far, in the order of their clients.
    pub fn contributions(&self) -> impl Iterator<Item = &SignedHeader> {
        self.clients.values().filter_map(|standing| match standing {
            Standing::Contributed { header, .. } => Some(&**header),
            _ => None,
        })
    }

    /// U: headers of the agreed set in order; empty until it is fixed.
    #[must_use]
    pub fn set(&self) -> &[SignedHeader] {
        &self.set
    }

    /// Q countersignatures of the terms, by ascending holder; empty in Select.
    #[must_use]
    pub fn countersignatures(&self) -> &[Countersignature] {
        &self.countersignatures
    }

    /// The certificate of U.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What was opened, when Done.
    #[must_use]
    pub const fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// The deadline of the current phase is over.
    fn expire(&mut self, now: Time) {
        match &self.stage {
            Stage::Select => self.expire_select(now),
            Stage::Collect => self.close_collect(now),
            Stage::Check(_) | Stage::Vote(_) => self.expire_vote(now),
            Stage::Release(_) => self.expire_release(now),
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
            Stage::Check(_) => self.ask_check(),
            Stage::Vote(_) => self.ask_vote(),
            Stage::Release(_) => self.ask_release(),
        }
    }

    /// Whether `holder` answered the question of the current phase.
    fn has_answered(&self, holder: HolderIndex) -> bool {
        match &self.stage {
            Stage::Select => self.committee.is_present(holder),
            Stage::Check(checking) => checking.has_answered(holder),
            Stage::Vote(voting) => voting.has_answered(holder),
            Stage::Release(releasing) => releasing.has_answered(holder),
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
