//! The key holders: their mail, and what they say to it.

use std::collections::BTreeMap;
use std::thread;

use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Holder, HolderEffect};
use covey_aggregation::limits::ENVELOPES_PER_MESSAGE_MAX;
use covey_aggregation::message::{Envelope, FromHolder, Refusal, SignedHeader, ToHolder};
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::round::BoxSource as _;

use super::audit::Kept;
use super::{Mail, Play};
use crate::sim::boxes::Boxes;
use crate::sim::run::bug;

impl Play<'_> {
    /// Gives the holders their mail, on as many threads as there are, and the coordinator their
    /// answers.
    pub(super) fn deliver(&mut self) -> Result<(), Failure> {
        let (boxes, context, kept) = (&self.boxes, &self.context, &self.kept);
        let holders = self.machines.holders.iter_mut().zip(&mut self.mail);
        let mut busy: Vec<_> = holders
            .filter(|(_, mail)| !mail.is_empty())
            .map(|((id, holder), mail)| (*id, holder, std::mem::take(mail)))
            .collect();
        let each = busy.len().div_ceil(self.workers);
        let answers: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = busy
                .chunks_mut(each)
                .map(|some| {
                    scope.spawn(move || {
                        let answer =
                            |(id, holder, mail): &mut (PartyId, &mut Holder, Vec<Mail>)| {
                                let mail = std::mem::take(mail);
                                let said = answers(holder, mail, (boxes, kept), context)?;
                                Ok((*id, said))
                            };
                        some.iter_mut().map(answer).collect::<Result<Vec<_>, Failure>>()
                    })
                })
                .collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for some in answers {
            for (id, messages) in some.map_err(|_| bug("a holder's thread died"))?? {
                self.hear(&id, messages)?;
            }
        }
        Ok(())
    }

    /// What a holder says.
    fn hear(&mut self, id: &PartyId, messages: Vec<FromHolder>) -> Result<(), Failure> {
        for message in messages {
            match self.round.handle_holder(self.machines.now, *id, message, &self.boxes) {
                // Others were enough meanwhile.
                Ok(()) | Err(Refusal::WrongPhase) => {}
                Err(refusal) => return Err(bug(&format!("a holder is refused: {refusal}"))),
            }
        }
        Ok(())
    }
}

/// What a holder says to its mail.
fn answers(
    holder: &mut Holder,
    mail: Vec<Mail>,
    (boxes, kept): (&Boxes, &BTreeMap<Digest, Kept>),
    context: &Digest,
) -> Result<Vec<FromHolder>, Failure> {
    let mut said = Vec::new();
    for mail in mail {
        match mail {
            Mail::Message(message) => ask(holder, message, kept, &mut said),
            Mail::Envelopes(index, headers) => {
                let total = u32::try_from(headers.len()).unwrap_or(u32::MAX);
                for some in headers.chunks(ENVELOPES_PER_MESSAGE_MAX) {
                    let envelope = |signed: &SignedHeader| {
                        let sealed = boxes.sealed_box(&signed.header.digest(), index)?;
                        Envelope::new(signed, index, sealed)
                    };
                    let batch = some.iter().map(envelope).collect::<Option<Vec<_>>>();
                    let batch = batch.ok_or_else(|| {
                        let what = "sealed boxes cannot be read from the temporary file";
                        Failure::new(Exit::Failed, "FILE", what)
                    })?;
                    let round_ctx = *context;
                    let message = ToHolder::Envelopes { round_ctx, total, batch };
                    ask(holder, message, kept, &mut said);
                }
            }
        }
    }
    Ok(said)
}

fn ask(
    holder: &mut Holder,
    message: ToHolder,
    kept: &BTreeMap<Digest, Kept>,
    said: &mut Vec<FromHolder>,
) {
    holder.handle(message);
    while let Some(effect) = holder.poll_effect() {
        match effect {
            HolderEffect::Append { sequence, .. } => holder.handle_stored(sequence),
            HolderEffect::Send(message) => said.push(message),
            // Simulated rounds have no validation pool, and so no credit.
            HolderEffect::Direct { .. } => {}
            HolderEffect::Reread { round_ctx, contributions } => {
                let Some(rereading) = holder.rereading(&round_ctx) else { continue };
                for signed in contributions {
                    let stored = kept.get(&signed.header);
                    let public = stored.and_then(|stored| stored.measure(&rereading, signed));
                    holder.handle_reread(&round_ctx, &signed.header, public);
                }
            }
        }
    }
}
