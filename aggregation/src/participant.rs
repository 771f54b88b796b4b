//! The data owner's machine: from the offer of a round to its end, through any crash.
//!
//! ```text
//! offered -> Queued -> Preparing -> Sealed --receipt--> Promised -> over
//! ```
//! A client seals once per round, ever: the driver stores the whole sealed update, then the
//! machine records that it exists, and only then is it uploaded, the same bytes as often as it
//! takes. A client that crashed earlier starts again with a fresh key, and nothing of the first
//! attempt has left. Rounds are prepared one at a time. Where a round is audited, a client also
//! proves once, from what sealing left in memory; started again meanwhile, it says that this is lost.
//!
//! Nothing is waited for longer than `patience_ms` without a word from the coordinator; what is
//! being prepared needs none.

mod checked;
mod engagement;
mod offer;
mod prove;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::config::RoundConfig;
use crate::hash::Digest;
use crate::message::{
    AbandonReason, Decline, FromClient, MissingReason, Outcome, Receipt, Refusal, SignedHeader,
    ToClient,
};
use crate::party::PartyId;
use crate::record::{Outbox, ParticipantRecord, Sequence, Step};
use crate::roster::{BadRoster, Roster};
use crate::signing::{Identity, Statement};
use crate::time::Time;

use engagement::{Engagement, Stage};

pub use checked::CheckedRoster;
pub use offer::BadOffer;

/// What a client is made of.
pub struct ParticipantSetup {
    /// Its signing key.
    pub identity: Arc<Identity>,
    /// The pinned list of members.
    pub roster: Roster,
    /// How often what is unanswered is sent again, in milliseconds.
    pub resend_ms: u64,
    /// How long to wait for any word about a round, in milliseconds. Must be longer than any
    /// phase of any round, and than the coordinator may be away.
    pub patience_ms: u64,
}

/// A client that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParticipantError {
    /// The roster is none that rounds can be run with.
    #[error("the roster: {0}")]
    Roster(#[from] BadRoster),
    /// The signing key is not that of a data owner of the roster.
    #[error("{0} is no data owner of this roster")]
    NotAnOwner(PartyId),
    /// A time of zero.
    #[error("{0} must be above zero")]
    Timing(&'static str),
    /// A record that no honest run of this machine writes.
    #[error("record {0} does not follow from those before it")]
    Corrupt(u64),
}

/// What a client wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum ParticipantEffect {
    /// Store this durably, then say so with [`Participant::handle_stored`].
    Append {
        /// Its place.
        sequence: Sequence,
        /// What.
        record: ParticipantRecord,
    },
    /// Check the owner's policy, train, quantise, seal, store all sealed bytes durably (in the
    /// place of any earlier attempt), then answer with [`Participant::handle_prepared`]. The
    /// machine has one of these open at a time: another one, or a [`Self::Cancel`], ends it.
    Prepare {
        /// The terms.
        config: Box<RoundConfig>,
    },
    /// Stop preparing and store nothing more: nobody needs it. Bytes stored already are to be
    /// deleted. An answer that comes nevertheless changes nothing.
    Cancel {
        /// The round.
        round_ctx: Digest,
    },
    /// Send the stored bytes, if they are those of `header` and of no other attempt. Comes again
    /// until there is an answer: nothing to do where the same upload is still on its way.
    Upload {
        /// The round.
        round_ctx: Digest,
        /// Digest of the stored header.
        header: Digest,
    },
    /// Prove that the sealed update is small, from the witness that sealing it left in memory, and
    /// answer with [`Participant::handle_proven`].
    Prove {
        /// The round.
        round_ctx: Digest,
        /// H(U).
        set: Digest,
        /// The beacon of the audit's rows.
        rows: Digest,
    },
    /// Send this to the coordinator.
    Send(FromClient),
    /// Delete the stored bytes of the round, and the witness in memory.
    Forget {
        /// The round.
        round_ctx: Digest,
    },
    /// For the owner: the coordinator promised to count this contribution, or to name why not.
    Promised(Receipt),
    /// For the owner: the contribution is in the sum, says the coordinator.
    Counted {
        /// The round.
        round_ctx: Digest,
    },
    /// For the owner: it is not.
    NotCounted {
        /// The round.
        round_ctx: Digest,
        /// Why.
        why: Uncounted,
    },
}

/// Why an owner's work in a round is not in the sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncounted {
    /// Named in the round's report.
    #[error("{0}")]
    Missing(MissingReason),
    /// The round was abandoned.
    #[error("the round was abandoned: {0}")]
    Abandoned(AbandonReason),
    /// The coordinator gave a receipt, and neither counted nor named it, or named it for a reason
    /// that the receipt disproves (no answer, declined): a broken promise, and the receipt proves
    /// it.
    #[error("the coordinator gave a receipt but neither counted the contribution nor named it")]
    PromiseBroken(Receipt),
    /// The coordinator refused it.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// A later round of the same run has begun.
    #[error("a later round has begun")]
    Superseded,
    /// No word from the coordinator for too long; what became of it is unknown.
    #[error("no word from the coordinator for {0} ms")]
    Silence(u64),
}

/// The data owner's machine.
pub struct Participant {
    identity: Arc<Identity>,
    roster: Arc<CheckedRoster>,
    resend_ms: u64,
    patience_ms: u64,
    /// By run: the latest round sealed for. No other is ever sealed for at or below it.
    sealed: BTreeMap<Digest, u32>,
    /// By round: what is under way.
    /// Boxed: a map's node has room for eleven, and most clients have one.
    engagements: BTreeMap<Digest, Box<Engagement>>,
    /// Offers ever accepted; tells which is the oldest.
    arrivals: u64,
    /// Rounds that ended before anything was sealed, the latest last.
    over: VecDeque<Digest>,
    outbox: Outbox<ParticipantRecord, ParticipantEffect>,
}

impl Participant {
    /// A client that remembers `records`, all of them durable. Call [`Self::handle_timeout`]
    /// soon: sealed updates without a receipt are uploaded again then.
    ///
    /// # Errors
    /// [`ParticipantError`], by the first fault.
    pub fn new(
        setup: ParticipantSetup,
        records: impl IntoIterator<Item = ParticipantRecord>,
    ) -> Result<Self, ParticipantError> {
        let ParticipantSetup { identity, roster, resend_ms, patience_ms } = setup;
        let roster = Arc::new(CheckedRoster::new(&roster)?);
        Self::sharing(roster, identity, (resend_ms, patience_ms), records)
    }

    /// As [`Self::new`], one of many with the same roster. The times are those of
    /// [`ParticipantSetup`].
    ///
    /// # Errors
    /// [`ParticipantError`], by the first fault; none of the roster.
    pub fn sharing(
        roster: Arc<CheckedRoster>,
        identity: Arc<Identity>,
        (resend_ms, patience_ms): (u64, u64),
        records: impl IntoIterator<Item = ParticipantRecord>,
    ) -> Result<Self, ParticipantError> {
        let id = identity.id();
        if !roster.has_owner(&id) {
            return Err(ParticipantError::NotAnOwner(id));
        }
        for (name, value) in [("resend_ms", resend_ms), ("patience_ms", patience_ms)] {
            if value == 0 {
                return Err(ParticipantError::Timing(name));
            }
        }
        let mut participant = Self {
            identity,
            roster,
            resend_ms,
            patience_ms,
            sealed: BTreeMap::new(),
            engagements: BTreeMap::new(),
            arrivals: 0,
            over: VecDeque::new(),
            outbox: Outbox::new(0),
        };
        let mut count = 0;
        for record in records {
            if !participant.follows(&record) {
                return Err(ParticipantError::Corrupt(count));
            }
            participant.apply(record);
            count += 1;
        }
        participant.outbox = Outbox::new(count);
        Ok(participant)
    }

    /// The coordinator says something. The driver passes on only what came from the roster's
    /// coordinator.
    pub fn handle(&mut self, now: Time, message: ToClient) {
        match message {
            ToClient::Open { config, countersignatures } => {
                self.handle_offer(now, *config, &countersignatures);
            }
            ToClient::Receipt(receipt) => self.handle_receipt(now, receipt),
            ToClient::Refused { round_ctx, refusal } => {
                self.handle_refused(now, &round_ctx, refusal);
            }
            ToClient::Ended { round_ctx, outcome } => self.handle_ended(&round_ctx, outcome),
            ToClient::Prove { round_ctx, certificate, rows } => {
                self.handle_prove(now, &round_ctx, &certificate, &rows);
            }
            // The driver keeps it.
            ToClient::Recorded { .. } => {}
        }
        self.prepare_next();
    }

    /// The driver has trained, sealed and stored the whole sealed update durably, or will not.
    pub fn handle_prepared(
        &mut self,
        now: Time,
        round_ctx: &Digest,
        result: Result<SignedHeader, Decline>,
    ) {
        let preparing = |one: &&mut Box<Engagement>| matches!(one.stage, Stage::Preparing);
        let Some(engagement) = self.engagements.get_mut(round_ctx).filter(preparing) else {
            // Cancelled or declined meanwhile. Bytes that are recorded as sealed must stay.
            let is_sealed = self.engagements.get(round_ctx).is_some_and(|one| one.is_asking());
            if result.is_ok() && !is_sealed {
                self.outbox.push(ParticipantEffect::Forget { round_ctx: *round_ctx });
            }
            return;
        };
        let (run, round) = (engagement.run, engagement.round);
        let own = |signed: &SignedHeader| {
            let header = &signed.header;
            header.round_ctx == *round_ctx && header.client == self.identity.id()
        };
        match result {
            Ok(signed) if own(&signed) => {
                let header = signed.header.digest();
                let round_ctx = *round_ctx;
                self.remember(ParticipantRecord::Sealed { run, round, round_ctx, header });
                if let Some(engagement) = self.engagements.get_mut(&round_ctx) {
                    engagement.hear(now);
                    engagement.ask_at = now.after_ms(self.resend_ms);
                }
                self.outbox.push(ParticipantEffect::Upload { round_ctx, header });
            }
            // Sealed for another round or in another's name: a fault of the program around this.
            Ok(_) => self.decline(round_ctx, Decline::Training),
            Err(reason) => self.decline(round_ctx, reason),
        }
        self.prepare_next();
    }

    /// Records up to and including `upto` are durable: uploads that waited for them begin.
    pub fn handle_stored(&mut self, upto: Sequence) {
        self.outbox.stored(upto);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        let silent: Vec<Digest> = self
            .engagements
            .iter_mut()
            .filter_map(|(&round_ctx, engagement)| {
                let heard_at = *engagement.heard_at.get_or_insert(now);
                let is_over = now >= heard_at.after_ms(self.patience_ms);
                (is_over && engagement.is_waiting()).then_some(round_ctx)
            })
            .collect();
        for round_ctx in silent {
            let why = Uncounted::Silence(self.patience_ms);
            self.finish(&round_ctx, Some(why));
        }
        let resend_ms = self.resend_ms;
        for (&round_ctx, engagement) in &mut self.engagements {
            if now < engagement.ask_at {
                continue;
            }
            let effect = match &engagement.stage {
                Stage::Sealed { header, is_closed: false } => {
                    ParticipantEffect::Upload { round_ctx, header: *header }
                }
                Stage::Sealed { is_closed: true, .. } | Stage::Promised(_) => {
                    ParticipantEffect::Send(FromClient::Pending { round_ctx })
                }
                Stage::Queued(_) | Stage::Preparing | Stage::Declined(_) => continue,
            };
            engagement.ask_at = now.after_ms(resend_ms);
            self.outbox.push(effect);
        }
        self.prepare_next();
    }

    /// When [`Self::handle_timeout`] must be called next; `None` while nothing is under way.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let of = |engagement: &Engagement| {
            let end = engagement.heard_at.map_or(Time(0), |at| at.after_ms(self.patience_ms));
            if engagement.is_asking() { end.min(engagement.ask_at) } else { end }
        };
        self.engagements
            .values()
            .filter(|engagement| engagement.is_waiting())
            .map(|one| of(one))
            .min()
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<ParticipantEffect> {
        self.outbox.poll().map(|step| match step {
            Step::Append(sequence, record) => ParticipantEffect::Append { sequence, record },
            Step::Effect(effect) => effect,
        })
    }

    /// The owner's program is about to stop: rounds that are not sealed yet are declined. Sealed
    /// ones go on when it starts again.
    pub fn leave(&mut self) {
        let open: Vec<(Digest, bool)> = self
            .engagements
            .iter()
            .filter(|(_, one)| matches!(one.stage, Stage::Queued(_) | Stage::Preparing))
            .map(|(&round_ctx, one)| (round_ctx, matches!(one.stage, Stage::Preparing)))
            .collect();
        for (round_ctx, is_preparing) in open {
            if is_preparing {
                self.outbox.push(ParticipantEffect::Cancel { round_ctx });
            }
            self.decline(&round_ctx, Decline::Leaving);
        }
    }

    /// Whether something sealed waits for its end: to be uploaded, to be proven, or counted.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.engagements.values().any(|engagement| engagement.is_asking())
    }

    /// Receipts of rounds that are not over. All that ever came are in the records.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.engagements.values().filter_map(|engagement| match &engagement.stage {
            Stage::Promised(receipt) => Some(receipt),
            _ => None,
        })
    }

    /// Rounds under way. At start-up, stored sealed updates of any other round may be deleted: a
    /// crash can swallow a [`ParticipantEffect::Forget`].
    pub fn rounds(&self) -> impl Iterator<Item = &Digest> {
        self.engagements.keys()
    }

    /// Begins to prepare the oldest queued round, if none is being prepared.
    fn prepare_next(&mut self) {
        let is_preparing = |one: &Engagement| matches!(one.stage, Stage::Preparing);
        if self.engagements.values().any(|one| is_preparing(one)) {
            return;
        }
        let queued = self.engagements.values_mut().filter_map(|engagement| {
            if let Stage::Queued(arrival) = engagement.stage {
                Some((arrival, engagement))
            } else {
                None
            }
        });
        let Some((_, next)) = queued.min_by_key(|(arrival, _)| *arrival) else { return };
        next.stage = Stage::Preparing;
        if let Some(config) = next.config.take() {
            next.audited = config.is_audited().then(|| config.clone());
            self.outbox.push(ParticipantEffect::Prepare { config });
        }
    }

    fn decline(&mut self, round_ctx: &Digest, reason: Decline) {
        if let Some(engagement) = self.engagements.get_mut(round_ctx) {
            engagement.stage = Stage::Declined(reason);
            engagement.config = None;
        }
        let round_ctx = *round_ctx;
        self.outbox.push(ParticipantEffect::Send(FromClient::Declined { round_ctx, reason }));
    }

    fn remember(&mut self, record: ParticipantRecord) {
        self.outbox.append(record.clone());
        self.apply(record);
    }
}

#[cfg(test)]
mod tests;
