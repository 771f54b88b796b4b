//! The key holder's machine: the only place that decides that an opening is safe.
//!
//! It answers one message at a time and needs no clock: whoever asks repeats the question. What
//! it promises, whatever the coordinator sends:
//!
//! - one countersignature per run and round number, and none for a round at or below one it has
//!   signed, unless it is the very same round;
//! - one vote per round, ever, for a set in which every contribution came, was checked and is
//!   good, and whose size is within the terms;
//! - one release per round, ever, and only for a set with a valid certificate; in it each
//!   contribution as often as the countersigned terms say, which nobody can tell it;
//! - where a round is audited: one vote for a list of proofs, for which alone the check is drawn and
//!   anything opened; one verdict, computed by itself; and a release only for the set of a certified
//!   verdict (`audit`);
//! - where the terms have credit: three numbers of each accepted client, once, for functions that it
//!   computed itself, and one attestation of what they make (`credit`);
//! - one signature per number of a roster, in ascending order, and only of a roster that follows from
//!   the one it has pinned (`members`);
//! - each of these is recorded durably before its signature leaves ([`crate::record`]). A
//!   complaint needs no record: it says the same of the same box each time.
//!
//! Seeds live in memory only, at most [`HOLDER_ROUNDS_MAX`] rounds of them, and are zeroised when
//! the round ends, is superseded, or is released (with credit: when its numbers are open). A holder that was restarted says
//! [`FromHolder::Lacking`] and is told again.

mod audit;
mod credit;
mod judge;
mod members;
mod signed;
mod terms;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::beacon::Use;
use crate::audit::deal::SealedKey;
use crate::audit::rereading::Signed as SignedBytes;
use crate::config::{HolderIndex, RoundConfig, Seat, set_digest};
use crate::credit::Attested;
use crate::hash::Digest;
use crate::limits::{ENVELOPES_PER_MESSAGE_MAX, HOLDER_ROUNDS_MAX};
use crate::message::{
    Certificate, Countersignature, Envelope, FromHolder, Refusal, Release, ToHolder, Vote,
};
use crate::party::{PartyId, Role};
use crate::record::{HolderRecord, Outbox, Sequence, Step};
use crate::roster::{BadRoster, Roster};
use crate::signing::{Identity, Statement};
use crate::sum::sealed_box::SealingSecret;

pub use credit::{DirectionQuestion, OwnDirections};
pub use members::Approval;

use credit::Opened;
use members::SignedRoster;
use signed::Signed;
use work::Work;

/// What a holder is made of.
pub struct HolderSetup {
    /// Its signing key.
    pub identity: Arc<Identity>,
    /// The secret behind the sealing key that the roster names.
    pub secret: Arc<SealingSecret>,
    /// The pinned list of members.
    pub roster: Roster,
}

/// A holder that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// The roster is none that rounds can be run with.
    #[error("the roster: {0}")]
    Roster(#[from] BadRoster),
    /// The signing key is not that of a holder of the roster.
    #[error("{0} is no key holder of this roster")]
    NotAHolder(PartyId),
    /// The sealing secret is not the one behind the roster's sealing key: no box would open.
    #[error("the sealing secret does not belong to the sealing key in the roster")]
    SealingKey,
    /// A record that no honest run of this machine writes.
    #[error("record {0} does not follow from those before it")]
    Corrupt(u64),
}

/// What a holder wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum HolderEffect {
    /// Store this durably, then say so with [`Holder::handle_stored`].
    Append {
        /// Its place.
        sequence: Sequence,
        /// What.
        record: HolderRecord,
    },
    /// Send this to the coordinator.
    Send(FromHolder),
    /// Fetch these stored contributions' corrections and chunks from the coordinator, read each
    /// against [`Holder::rereading`], and answer with [`Holder::handle_reread`], one by one. Comes
    /// again while answers are missing: nothing to do where the same is under way.
    Reread {
        /// The round.
        round_ctx: Digest,
        /// What each must be.
        contributions: Vec<SignedBytes>,
    },
    /// Compute the directions of a round and answer with [`Holder::handle_directed`]. Comes again
    /// while the answer is missing: nothing to do where the same is under way.
    Direct {
        /// The round.
        round_ctx: Digest,
        /// From what.
        question: Box<DirectionQuestion>,
    },
}

/// Why a question is not answered.
enum No {
    /// Terms or envelopes are missing.
    Lacking,
    /// For good.
    Refused(Refusal),
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The key holder's machine.
pub struct Holder {
    identity: Arc<Identity>,
    secret: Arc<SealingSecret>,
    roster: Digest,
    /// What the digest is of.
    pinned: Roster,
    signed_roster: Option<SignedRoster>,
    committee: Vec<Seat>,
    owners: BTreeSet<PartyId>,
    seat: HolderIndex,
    /// By run.
    signed: BTreeMap<Digest, Signed>,
    /// By round.
    rounds: BTreeMap<Digest, Work>,
    /// What was opened of validation pools, by their roots.
    pools: BTreeMap<Digest, Opened>,
    /// Rounds ever taken up; tells which is the oldest.
    arrivals: u64,
    outbox: Outbox<HolderRecord, HolderEffect>,
}

impl Holder {
    /// A holder that remembers `records`, all of them durable.
    ///
    /// # Errors
    /// [`HolderError`], by the first fault.
    pub fn new(
        setup: HolderSetup,
        records: impl IntoIterator<Item = HolderRecord>,
    ) -> Result<Self, HolderError> {
        let HolderSetup { identity, secret, roster } = setup;
        roster.validate()?;
        let committee = roster.committee();
        let seat = committee
            .iter()
            .zip(0..)
            .find(|(seat, _)| seat.holder == identity.id())
            .ok_or_else(|| HolderError::NotAHolder(identity.id()))?;
        if seat.0.sealing_key != secret.public() {
            return Err(HolderError::SealingKey);
        }
        let mut holder = Self {
            seat: HolderIndex(seat.1),
            roster: roster.digest(),
            owners: roster.with_role(Role::DataOwner).map(|owner| owner.id).collect(),
            committee,
            pinned: roster,
            signed_roster: None,
            identity,
            secret,
            signed: BTreeMap::new(),
            rounds: BTreeMap::new(),
            pools: BTreeMap::new(),
            arrivals: 0,
            outbox: Outbox::new(0),
        };
        let mut count = 0;
        for record in records {
            if !holder.follows(&record) {
                return Err(HolderError::Corrupt(count));
            }
            holder.apply(record);
            count += 1;
        }
        holder.outbox = Outbox::new(count);
        Ok(holder)
    }

    /// This holder's place in the committee.
    #[must_use]
    pub const fn seat(&self) -> HolderIndex {
        self.seat
    }

    /// The roster that it has pinned.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.pinned
    }

    /// Rounds whose terms or envelopes are in memory.
    #[must_use]
    pub fn rounds_held(&self) -> usize {
        self.rounds.len()
    }

    /// The coordinator says something. The driver passes on only what came from the roster's
    /// coordinator.
    pub fn handle(&mut self, message: ToHolder) {
        let (round_ctx, answer) = match message {
            ToHolder::Propose { config, cohort, beacons, attested } => {
                let round_ctx = config.context();
                let known = (&cohort[..], &beacons[..], attested.as_deref());
                let answer = self.propose(*config, known, round_ctx);
                (round_ctx, answer.map(|answer| vec![answer]))
            }
            ToHolder::Envelopes { round_ctx, total, batch } => {
                let answer = self.envelopes(&round_ctx, total, &batch);
                (round_ctx, answer.map(Vec::from_iter))
            }
            ToHolder::Set { round_ctx, set } => {
                (round_ctx, self.vote(&round_ctx, &set).map(|answer| vec![answer]))
            }
            ToHolder::Certified { set, certificate } => {
                (certificate.round_ctx, self.certified(&set, &certificate))
            }
            ToHolder::Deal { federation } => (federation, self.deal(&federation)),
            ToHolder::List { .. }
            | ToHolder::Proofs { .. }
            | ToHolder::Listed { .. }
            | ToHolder::OpenProofs { .. }
            | ToHolder::Part { .. }
            | ToHolder::Judge { .. }
            | ToHolder::Accepted { .. }
            | ToHolder::Credit(_)
            | ToHolder::CreditPart { .. }
            | ToHolder::Attest { .. } => self.audit(message),
            // Asks a person: `handle_roster`. Without one, nobody has said yet.
            ToHolder::Approve { roster } => {
                self.handle_roster(&roster, Approval::Open);
                return;
            }
            ToHolder::Ended { round_ctx, .. } => {
                self.rounds.remove(&round_ctx);
                return;
            }
            // Of no round: the driver hands it to the witness.
            ToHolder::Cosign { .. } => return,
        };
        self.answer(round_ctx, answer);
    }

    fn answer(&mut self, round_ctx: Digest, answer: Result<Vec<FromHolder>, No>) {
        let messages = answer.unwrap_or_else(|no| match no {
            No::Lacking => vec![FromHolder::Lacking { round_ctx }],
            No::Refused(refusal) => vec![FromHolder::Refused { round_ctx, refusal }],
        });
        for message in messages {
            self.outbox.push(HolderEffect::Send(message));
        }
    }

    /// Records up to and including `upto` are durable: answers that waited for them leave.
    pub fn handle_stored(&mut self, upto: Sequence) {
        self.outbox.stored(upto);
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<HolderEffect> {
        self.outbox.poll().map(|step| match step {
            Step::Append(sequence, record) => HolderEffect::Append { sequence, record },
            Step::Effect(effect) => effect,
        })
    }

    fn propose(
        &mut self,
        config: RoundConfig,
        (cohort, beacons, attested): (&[PartyId], &[SealedKey], Option<&Attested>),
        round_ctx: Digest,
    ) -> Result<FromHolder, No> {
        if !self.rounds.contains_key(&round_ctx) {
            self.check_terms(&config, cohort)?;
            // Nobody asks a holder that has countersigned whether the pool goes on.
            let is_signed = self.signed_round(&round_ctx).is_ok();
            if !is_signed {
                self.check_credit(&config, attested)?;
            }
            let audit = self.begin_audit(&config, beacons)?;
            let (run, round) = (config.run, config.round);
            match self.signed.get(&run) {
                Some(signed) if signed.round_ctx == round_ctx => {}
                Some(signed) if signed.round >= round => return Err(Refusal::Replayed.into()),
                _ => self.remember(HolderRecord::Countersigned { run, round, round_ctx }),
            }
            let mut work = Work::new(config, cohort, round_ctx, self.seat);
            work.audit = audit;
            self.take_up(work);
        }
        let signature = self.identity.sign(Statement::Config, &round_ctx, &round_ctx.0);
        let signature = Countersignature { holder: self.seat, signature };
        Ok(FromHolder::Countersigned { round_ctx, signature })
    }

    /// Holds a round in memory, in the place of earlier ones of its run, and of the oldest where
    /// there are too many.
    fn take_up(&mut self, mut work: Work) {
        self.rounds.retain(|_, other| other.config.run != work.config.run);
        if self.rounds.len() >= HOLDER_ROUNDS_MAX {
            let oldest = self.rounds.iter().min_by_key(|(_, work)| work.arrival);
            if let Some(oldest) = oldest.map(|(&round_ctx, _)| round_ctx) {
                self.rounds.remove(&oldest);
            }
        }
        self.arrivals += 1;
        work.arrival = self.arrivals;
        self.rounds.insert(work.context, work);
    }

    fn envelopes(
        &mut self,
        round_ctx: &Digest,
        total: u32,
        batch: &[Envelope],
    ) -> Result<Option<FromHolder>, No> {
        let work = self.rounds.get_mut(round_ctx).ok_or(No::Lacking)?;
        if batch.len() > ENVELOPES_PER_MESSAGE_MAX {
            return Err(Refusal::Malformed("too many envelopes in one message".into()).into());
        }
        if let Some(release) = work.release.as_ref().filter(|_| work.config.credit.is_none()) {
            return Ok(Some(FromHolder::Released(release.clone())));
        }
        work.expect_total(total)?;
        for envelope in batch {
            work.take_envelope(envelope, &self.identity, &self.secret)?;
        }
        Ok(work.checked())
    }

    fn vote(&mut self, round_ctx: &Digest, set: &[Digest]) -> Result<FromHolder, No> {
        let digest = set_digest(round_ctx, set);
        let (run, signed) = self.signed_round(round_ctx)?;
        match signed.voted {
            Some(voted) if voted != digest => return Err(Refusal::AlreadyVoted.into()),
            Some(_) => {}
            None => {
                let work = self.rounds.get(round_ctx).ok_or(No::Lacking)?;
                work.check_set(set)?;
                let round_ctx = *round_ctx;
                self.remember(HolderRecord::Voted { run, round_ctx, set: digest });
            }
        }
        let signature = self.identity.sign(Statement::Vote, round_ctx, &digest.0);
        let vote = Vote { holder: self.seat, signature };
        Ok(FromHolder::Voted { round_ctx: *round_ctx, set: digest, vote })
    }

    /// The agreed set is certified: it is released, or where the round is audited, the audit begins.
    fn certified(&mut self, set: &[Digest], certificate: &Certificate) -> audit::Answers {
        let round_ctx = certificate.round_ctx;
        if set_digest(&round_ctx, set) != certificate.set {
            return Err(Refusal::BadSet("not the set that the certificate names".into()).into());
        }
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        if certificate.verify(&work.config, &round_ctx).is_err() {
            return Err(Refusal::BadCertificate.into());
        }
        if work.config.is_audited() {
            let of = &certificate.set;
            let mut drawn = vec![self.draw(&round_ctx, (Use::Rows, of))?];
            if work.config.credit.is_some() {
                drawn.push(self.draw(&round_ctx, (Use::Fold, of))?);
            }
            return Ok(drawn);
        }
        self.release(&round_ctx, set).map(|answer| vec![answer])
    }

    /// Releases the component sums of a set whose certificate was checked.
    fn release(&mut self, round_ctx: &Digest, set: &[Digest]) -> Result<FromHolder, No> {
        let round_ctx = *round_ctx;
        let digest = set_digest(&round_ctx, set);
        let (run, signed) = self.signed_round(&round_ctx)?;
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        if signed.released.is_some_and(|released| released != digest) {
            return Err(Refusal::Conflict.into());
        }
        if let Some(release) = &work.release {
            return Ok(FromHolder::Released(release.clone()));
        }
        work.check_set(set)?;
        let sums = work.component_sums(set);
        let body = Release::body(&digest, &sums);
        let signature = self.identity.sign(Statement::Release, &round_ctx, &body);
        let release = Release { round_ctx, set: digest, holder: self.seat, sums, signature };
        let release = Box::new(release);
        if signed.released.is_none() {
            self.remember(HolderRecord::Released { run, round_ctx, set: digest });
        }
        if let Some(work) = self.rounds.get_mut(&round_ctx) {
            work.keep_only(release.clone());
        }
        Ok(FromHolder::Released(release))
    }

    /// What was signed for this round: the run, and the rest. A round that was never signed, or
    /// that a later one of its run has replaced, must be proposed first.
    fn signed_round(&self, round_ctx: &Digest) -> Result<(Digest, Signed), No> {
        self.signed
            .iter()
            .find(|(_, signed)| signed.round_ctx == *round_ctx)
            .map(|(run, signed)| (*run, *signed))
            .ok_or(No::Lacking)
    }

    fn remember(&mut self, record: HolderRecord) {
        self.outbox.append(record);
        self.apply(record);
    }
}

#[cfg(test)]
mod tests;
