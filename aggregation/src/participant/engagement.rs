//! What a client keeps of one round, and how it ends.

use crate::audit::list::Proven;
use crate::limits::PARTICIPANT_ROUNDS_OVER_MAX;
use crate::message::{MissingReason, Report};

use super::{
    Decline, Digest, Outcome, Participant, ParticipantEffect, ParticipantRecord, Receipt, Refusal,
    RoundConfig, Statement, Time, Uncounted,
};

/// How far a client is in a round.
pub(super) enum Stage {
    /// Waiting for its turn to be prepared; with its place in the queue.
    Queued(u64),
    /// The driver is training and sealing.
    Preparing,
    /// Sealed, stored, recorded. Uploaded until there is a receipt, or Collect is closed.
    Sealed { header: Digest, is_closed: bool },
    /// There is a receipt.
    Promised(Receipt),
    /// The owner will not take part.
    Declined(Decline),
}

/// How far a client's proof is.
pub(super) enum Proving {
    NotAsked,
    /// The driver is at it.
    Asked,
    /// Sent, and sent again as often as it is asked for.
    Proven(Box<Proven>),
    /// There is none.
    Declined(Decline),
}

/// One round.
pub(super) struct Engagement {
    pub(super) run: Digest,
    pub(super) round: u32,
    pub(super) stage: Stage,
    /// Until it is handed to the driver.
    pub(super) config: Option<Box<RoundConfig>>,
    /// The terms of an audited round, from then on.
    pub(super) audited: Option<Box<RoundConfig>>,
    /// How far its proof is.
    pub(super) proving: Proving,
    /// When the coordinator was last heard about it; after a restart, since when it is awaited.
    pub(super) heard_at: Option<Time>,
    /// When to ask again.
    pub(super) ask_at: Time,
}

impl Engagement {
    pub(super) const fn hear(&mut self, now: Time) {
        self.heard_at = Some(now);
    }

    /// Whether something is repeated until it is answered.
    pub(super) const fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Sealed { .. } | Stage::Promised(_))
    }

    /// Whether it is the coordinator's turn.
    pub(super) const fn is_waiting(&self) -> bool {
        !matches!(self.stage, Stage::Queued(_) | Stage::Preparing)
    }
}

impl Participant {
    pub(super) fn handle_receipt(&mut self, now: Time, receipt: Receipt) {
        let Some(engagement) = self.engagements.get_mut(&receipt.round_ctx) else { return };
        let Stage::Sealed { header, .. } = engagement.stage else { return };
        let valid = self.roster.coordinator.verify(
            Statement::Receipt,
            &receipt.round_ctx,
            &header.0,
            &receipt.signature,
        );
        // A false receipt promises nothing: the upload goes on.
        if receipt.header != header || valid.is_err() {
            return;
        }
        engagement.hear(now);
        engagement.ask_at = now.after_ms(self.resend_ms);
        self.remember(ParticipantRecord::Receipted { receipt: receipt.clone() });
        self.outbox.push(ParticipantEffect::Promised(receipt));
    }

    pub(super) fn handle_refused(&mut self, now: Time, round_ctx: &Digest, refusal: Refusal) {
        let resend_ms = self.resend_ms;
        let Some(engagement) = self.engagements.get_mut(round_ctx) else { return };
        if !engagement.is_asking() {
            return;
        }
        engagement.hear(now);
        match (refusal, &mut engagement.stage) {
            (Refusal::Busy { retry_after_ms }, _) => {
                engagement.ask_at = now.after_ms(retry_after_ms.max(resend_ms));
            }
            // Too late, or a receipt was lost on its way: how did it end? Asked at once.
            (Refusal::WrongPhase | Refusal::UnknownRound, Stage::Sealed { is_closed, .. })
                if !*is_closed =>
            {
                *is_closed = true;
                engagement.ask_at = now;
            }
            (Refusal::WrongPhase, Stage::Sealed { .. }) => {}
            // Only that the round is gone says something to a client with a receipt.
            (refusal, Stage::Promised(_)) if refusal != Refusal::UnknownRound => {}
            (refusal, _) => self.finish(round_ctx, Some(Uncounted::Refused(refusal))),
        }
    }

    pub(super) fn handle_ended(&mut self, round_ctx: &Digest, outcome: Outcome) {
        let id = self.identity.id();
        let Some(engagement) = self.engagements.get(round_ctx) else { return };
        let named = |report: &Report| {
            let named = report.missing.iter().find(|(client, _)| *client == id);
            named.map_or(MissingReason::NoAnswer, |(_, reason)| *reason)
        };
        let why = match outcome {
            Outcome::Done(report) if report.counted.contains(&id) => None,
            Outcome::Done(report) => Some(match (named(&report), &engagement.stage) {
                // Left out without a word, or with one that the receipt disproves.
                (
                    MissingReason::NoAnswer | MissingReason::Declined(_),
                    Stage::Promised(receipt),
                ) => Uncounted::PromiseBroken(receipt.clone()),
                (reason, _) => Uncounted::Missing(reason),
            }),
            Outcome::Abandoned { reason, .. } => Some(Uncounted::Abandoned(reason)),
        };
        self.finish(round_ctx, why);
    }

    /// The round is over for this client: with its contribution, or for the reason `why` not.
    pub(super) fn finish(&mut self, round_ctx: &Digest, why: Option<Uncounted>) {
        let Some(engagement) = self.engagements.remove(round_ctx) else { return };
        let round_ctx = *round_ctx;
        if !engagement.is_waiting() {
            self.over.push_back(round_ctx);
            if self.over.len() > PARTICIPANT_ROUNDS_OVER_MAX {
                self.over.pop_front();
            }
        }
        match engagement.stage {
            Stage::Sealed { .. } | Stage::Promised(_) => {
                let counted = why.is_none();
                self.remember(ParticipantRecord::Ended { round_ctx, counted });
                self.outbox.push(ParticipantEffect::Forget { round_ctx });
            }
            Stage::Preparing => self.outbox.push(ParticipantEffect::Cancel { round_ctx }),
            Stage::Queued(_) => {}
            // The owner said so itself and needs no news of it.
            Stage::Declined(_) => return,
        }
        self.outbox.push(match why {
            None => ParticipantEffect::Counted { round_ctx },
            Some(why) => ParticipantEffect::NotCounted { round_ctx, why },
        });
    }

    /// Whether an honest run can have written `record` next.
    pub(super) fn follows(&self, record: &ParticipantRecord) -> bool {
        match record {
            ParticipantRecord::Sealed { run, round, .. } => {
                self.sealed.get(run).is_none_or(|sealed| sealed < round)
            }
            ParticipantRecord::Receipted { receipt } => {
                let sealed = |one: &Engagement| matches!(one.stage, Stage::Sealed { header, .. } if header == receipt.header);
                self.engagements.get(&receipt.round_ctx).is_some_and(|one| sealed(one))
            }
            ParticipantRecord::Ended { round_ctx, .. } => self.engagements.contains_key(round_ctx),
        }
    }

    /// What a record changes. Live work and start-up both come through here.
    pub(super) fn apply(&mut self, record: ParticipantRecord) {
        match record {
            ParticipantRecord::Sealed { run, round, round_ctx, header } => {
                self.sealed.insert(run, round);
                let stage = Stage::Sealed { header, is_closed: false };
                // Live work has the terms of an audited round here already.
                let audited = self.engagements.remove(&round_ctx).and_then(|one| one.audited);
                let (config, proving) = (None, Proving::NotAsked);
                let (heard_at, ask_at) = (None, Time(0));
                let engagement =
                    Engagement { run, round, stage, config, audited, proving, heard_at, ask_at };
                self.engagements.insert(round_ctx, Box::new(engagement));
            }
            ParticipantRecord::Receipted { receipt } => {
                if let Some(engagement) = self.engagements.get_mut(&receipt.round_ctx) {
                    engagement.stage = Stage::Promised(receipt);
                }
            }
            ParticipantRecord::Ended { round_ctx, .. } => {
                self.engagements.remove(&round_ctx);
            }
        }
    }
}
