//! An offer of a round: what a client demands of the terms before anything is trained.

use crate::config::{BadConfig, RoundConfig};
use crate::hash::Digest;
use crate::limits::PARTICIPANT_ROUNDS_MAX;
use crate::message::{Countersignature, Decline, FromClient, countersigned};
use crate::time::Time;

use super::engagement::{Engagement, Proving, Stage};
use super::{Participant, ParticipantEffect, Uncounted};

/// Terms that a client does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// They do not hold together.
    #[error("the terms: {0}")]
    Config(#[from] BadConfig),
    /// Of another federation, or another state of it.
    #[error("terms of another roster")]
    OtherRoster,
    /// Another committee than the roster's.
    #[error("terms with another committee than the roster's")]
    OtherCommittee,
    /// A control over another number of owners than the roster's.
    #[error("terms with a control over another number of owners than the roster's")]
    OtherOwners,
    /// Fewer than Q valid countersignatures.
    #[error("the terms are not countersigned by enough holders")]
    NotCountersigned,
    /// This client has sealed an update for this round number or a later one of the run.
    #[error("an update for this round, or a later one of its run, is already sealed")]
    Replayed,
}

impl Participant {
    /// Checks terms against the pinned roster and against what was sealed before.
    ///
    /// # Errors
    /// [`BadOffer`], by the first fault.
    pub fn check_offer(
        &self,
        config: &RoundConfig,
        countersignatures: &[Countersignature],
    ) -> Result<(), BadOffer> {
        config.validate()?;
        if config.federation != self.roster.digest {
            return Err(BadOffer::OtherRoster);
        }
        if config.committee != self.roster.committee {
            return Err(BadOffer::OtherCommittee);
        }
        if config.control.is_some_and(|control| control.owners != self.roster.owners()) {
            return Err(BadOffer::OtherOwners);
        }
        if !countersigned(config, &config.context(), countersignatures) {
            return Err(BadOffer::NotCountersigned);
        }
        if self.sealed.get(&config.run).is_some_and(|sealed| *sealed >= config.round) {
            return Err(BadOffer::Replayed);
        }
        Ok(())
    }

    pub(super) fn handle_offer(
        &mut self,
        now: Time,
        config: RoundConfig,
        countersignatures: &[Countersignature],
    ) {
        let round_ctx = config.context();
        if let Some(engagement) = self.engagements.get_mut(&round_ctx) {
            engagement.hear(now);
            if let Stage::Declined(reason) = engagement.stage {
                let declined = FromClient::Declined { round_ctx, reason };
                self.outbox.push(ParticipantEffect::Send(declined));
            }
            return;
        }
        if self.over.contains(&round_ctx) {
            return;
        }
        match self.check_offer(&config, countersignatures) {
            Ok(()) => {}
            // An offer of a round that is over for this client, come late: nothing to say.
            Err(BadOffer::Replayed) => return,
            Err(_) => {
                let declined = FromClient::Declined { round_ctx, reason: Decline::Terms };
                self.outbox.push(ParticipantEffect::Send(declined));
                return;
            }
        }
        if self.is_behind(&config) {
            return;
        }
        self.supersede(&config);
        if self.engagements.len() >= PARTICIPANT_ROUNDS_MAX {
            // It is offered again later.
            return;
        }
        self.arrivals += 1;
        let engagement = Engagement {
            run: config.run,
            round: config.round,
            stage: Stage::Queued(self.arrivals),
            config: Some(Box::new(config)),
            audited: None,
            proving: Proving::NotAsked,
            heard_at: Some(now),
            ask_at: now,
        };
        self.engagements.insert(round_ctx, Box::new(engagement));
    }

    /// Whether this or a later round of the same run is under way.
    fn is_behind(&self, config: &RoundConfig) -> bool {
        let later = |one: &Engagement| one.run == config.run && one.round >= config.round;
        self.engagements.values().any(|one| later(one))
    }

    /// Ends what is not sealed of earlier rounds of this run: they must be over. Of what is
    /// sealed the end may still be heard.
    fn supersede(&mut self, config: &RoundConfig) {
        let earlier: Vec<Digest> = self
            .engagements
            .iter_mut()
            .filter(|(_, one)| one.run == config.run)
            .filter_map(|(&round_ctx, one)| match &mut one.stage {
                Stage::Sealed { is_closed, .. } => {
                    *is_closed = true;
                    None
                }
                Stage::Promised(_) => None,
                Stage::Queued(_) | Stage::Preparing | Stage::Declined(_) => Some(round_ctx),
            })
            .collect();
        for round_ctx in earlier {
            self.finish(&round_ctx, Some(Uncounted::Superseded));
        }
    }
}
