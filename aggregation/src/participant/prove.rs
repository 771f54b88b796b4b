//! The audit of a round: what a client demands before it proves, and that it proves once.

use crate::audit::beacon::Use;
use crate::audit::drawing::Drawing;
use crate::audit::list::Proven;
use crate::hash::Digest;
use crate::message::{Certificate, Decline, FromClient};
use crate::time::Time;

use super::engagement::{Engagement, Proving};
use super::{Participant, ParticipantEffect};

impl Participant {
    /// The set is certified: the driver is asked for a proof, if this is true and it was not before.
    pub(super) fn handle_prove(
        &mut self,
        now: Time,
        round_ctx: &Digest,
        certificate: &Certificate,
        rows: &Drawing,
    ) {
        let Some(engagement) = self.engagements.get_mut(round_ctx) else { return };
        if !engagement.is_asking() {
            return;
        }
        engagement.hear(now);
        let round_ctx = *round_ctx;
        let message = match &engagement.proving {
            Proving::Asked => return,
            Proving::Proven(proven) => FromClient::Proven { round_ctx, proven: proven.clone() },
            Proving::Declined(reason) => FromClient::Declined { round_ctx, reason: *reason },
            Proving::NotAsked => {
                let Some(config) = &engagement.audited else {
                    self.decline_to_prove(&round_ctx, Decline::Lost);
                    return;
                };
                // A false question is not answered: the rows would not be those that nobody chose.
                let set = certificate.set;
                let Ok((rows, _)) = rows.beacon(config, &round_ctx, (Use::Rows, &set)) else {
                    return;
                };
                if certificate.verify(config, &round_ctx).is_err() {
                    return;
                }
                engagement.proving = Proving::Asked;
                self.outbox.push(ParticipantEffect::Prove { round_ctx, set, rows });
                return;
            }
        };
        self.outbox.push(ParticipantEffect::Send(message));
    }

    /// The driver has a proof, or there is none.
    pub fn handle_proven(
        &mut self,
        now: Time,
        round_ctx: &Digest,
        result: Result<Box<Proven>, Decline>,
    ) {
        let is_asked = |one: &&mut Box<Engagement>| matches!(one.proving, Proving::Asked);
        let Some(engagement) = self.engagements.get_mut(round_ctx).filter(is_asked) else { return };
        engagement.hear(now);
        match result {
            Ok(proven) => {
                engagement.proving = Proving::Proven(proven.clone());
                let message = FromClient::Proven { round_ctx: *round_ctx, proven };
                self.outbox.push(ParticipantEffect::Send(message));
            }
            Err(reason) => self.decline_to_prove(round_ctx, reason),
        }
    }

    fn decline_to_prove(&mut self, round_ctx: &Digest, reason: Decline) {
        if let Some(engagement) = self.engagements.get_mut(round_ctx) {
            engagement.proving = Proving::Declined(reason);
        }
        let round_ctx = *round_ctx;
        self.outbox.push(ParticipantEffect::Send(FromClient::Declined { round_ctx, reason }));
    }
}
