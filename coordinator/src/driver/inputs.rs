//! What sessions say, and who is connected.

use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::{
    FromClient, FromHolder, Outcome, Refusal, SignedHeader, ToClient, ToHolder,
};
use covey_aggregation::net::error::CloseReason;
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::research::{self, ToResearcher};
use covey_aggregation::roster::Member;
use covey_aggregation::wire;

use super::{Driver, Halt, Reply, StoredBoxes};
use crate::event::Event;
use crate::session::{Admission, Input, Outgoing, Peer};
use crate::storage::journal::Journal;

impl Driver {
    /// Takes in one input.
    pub(super) async fn take(&mut self, input: Input) -> Result<(), Halt> {
        match input {
            Input::Members(entries) => self.take_members(entries).await?,
            Input::StoreLost(error) => return Err(error.into()),
            Input::LedgerLost(failure) => return Err(Halt::Ledger(failure)),
            Input::Cosign(questions) => {
                for (holder, question) in questions {
                    self.send(&holder, Outgoing::ToHolder(Box::new(question)));
                }
            }
            Input::Recorded { owners, about, record } => {
                for owner in owners {
                    let message = ToClient::Recorded { about, record: record.clone() };
                    self.send(&owner, Outgoing::ToClient(Box::new(message)));
                }
            }
            Input::NotEnrolled { address, why } => {
                self.tell(&Event::NotEnrolled { address, why });
            }
            Input::Joined(peer) => self.join(peer),
            Input::Left { session, member, why } => {
                let current = self.peers.get(&member.id).map(|peer| peer.session);
                if current == Some(session)
                    && let Some(gone) = self.peers.remove(&member.id)
                {
                    self.keep_traffic(&gone);
                    self.tell(&Event::Left { name: member.name, role: member.role, why });
                }
            }
            Input::TurnedAway { address, why } => self.tell(&Event::TurnedAway { address, why }),
            Input::Misbehaved { member, why } => self.take_nonsense(&member, why),
            Input::Trespassed { member, needs } => self.take_trespass(&member, needs),
            Input::FromHolder(member, message) => self.take_holder(&member, message).await?,
            Input::FromClient(member, message) => self.take_client(&member, message).await?,
            Input::MayReread { header, reply } => {
                let is_this = |signed: &SignedHeader| signed.header.digest() == header;
                let live = self.live.as_ref().filter(|live| live.round.set().iter().any(is_this));
                let place = live.map(|live| (Arc::clone(&live.config), Arc::clone(&self.blobs)));
                // The stream may have been given up meanwhile.
                let _ = reply.send(place);
            }
            Input::MayContribute { member, header, reply } => {
                let admission = self.admit(&member, &header).await?;
                // The stream may have been given up meanwhile.
                let _ = reply.send(admission);
            }
            Input::Contributed { member, header, reply } => {
                let now = self.clock.now();
                let Some(live) = &mut self.live else {
                    let _ = reply.send(Err(Refusal::UnknownRound));
                    return Ok(());
                };
                let answer = live.round.handle_contribution(now, member.id, *header);
                live.replies.push(Reply { to: reply, answer });
            }
        }
        Ok(())
    }

    /// The newest connection of a member counts: after a lost link the old one may linger.
    fn join(&mut self, peer: Peer) {
        if peer.roster != self.roster.digest() {
            // Another roster came into force while it was on its way here.
            return peer.close(CloseReason::NewRoster);
        }
        let member = peer.member.clone();
        match self.peers.insert(member.id, peer) {
            Some(old) => {
                self.keep_traffic(&old);
                old.close(CloseReason::Replaced);
            }
            None => self.tell(&Event::Joined { name: member.name, role: member.role }),
        }
        if member.role == Role::Holder {
            self.ask_for_signatures();
            self.ledger.came(member.id);
        }
    }

    fn refused(&self, member: &Member, refusal: &Refusal) {
        self.tell(&Event::Refused { name: member.name.clone(), why: refusal.to_string() });
    }

    fn take_nonsense(&mut self, member: &Member, why: String) {
        let refusal = Refusal::Malformed(why);
        self.refused(member, &refusal);
        if member.role == Role::DataOwner {
            let context = self.live.as_ref().map_or(Digest::ZERO, |live| *live.round.context());
            let message = ToClient::Refused { round_ctx: context, refusal };
            self.send(&member.id, Outgoing::ToClient(Box::new(message)));
        }
    }

    /// An owner or a holder said what only somebody in another role may.
    fn take_trespass(&mut self, member: &Member, needs: Role) {
        if needs != Role::Researcher {
            let refusal = Refusal::NotAllowed { role: member.role, needs };
            self.refused(member, &refusal);
            if member.role == Role::DataOwner {
                let context = self.live.as_ref().map_or(Digest::ZERO, |live| *live.round.context());
                let message = ToClient::Refused { round_ctx: context, refusal };
                self.send(&member.id, Outgoing::ToClient(Box::new(message)));
            }
            return;
        }
        let refusal = research::Refusal::NotResearcher { role: member.role };
        self.tell(&Event::Refused { name: member.name.clone(), why: refusal.to_string() });
        let message = Box::new(ToResearcher::Refused(refusal));
        self.send(&member.id, Outgoing::ToResearcher(message));
    }

    async fn take_holder(&mut self, member: &Member, message: FromHolder) -> Result<(), Halt> {
        let (now, context) = (self.clock.now(), *message.round_ctx());
        let message = match message {
            FromHolder::Dealt(deal) => {
                self.take_deal(member, *deal);
                return Ok(());
            }
            FromHolder::Approved { roster, vote } => {
                return self.take_signature(member, &roster, vote).await;
            }
            FromHolder::Cosigned { line, .. } => {
                self.ledger.cosigned(member.id, &line);
                return Ok(());
            }
            FromHolder::NotCosigned { size, code, .. } => {
                self.ledger.not_cosigned(member.id, size, code);
                return Ok(());
            }
            FromHolder::Refused { refusal, .. } if self.is_proposed(&context) => {
                if self.take_disapproval(member, &refusal) {
                    let why = format!("it does not sign the next roster: {refusal}");
                    self.tell(&Event::Refused { name: member.name.clone(), why });
                }
                return Ok(());
            }
            message => message,
        };
        if let FromHolder::Refused { refusal, .. } = &message {
            let why = format!("it refuses: {refusal}");
            self.tell(&Event::Refused { name: member.name.clone(), why });
        }
        if let Some(live) = &mut self.live
            && *live.round.context() == context
        {
            let boxes = StoredBoxes { blobs: &self.blobs, config: &live.config };
            if let Err(refusal) = live.round.handle_holder(now, member.id, message, &boxes) {
                self.refused(member, &refusal);
            }
            return Ok(());
        }
        // A holder that was away: it may forget that round's secrets.
        if let Some(outcome) = self.past(&context).await? {
            let message = ToHolder::Ended { round_ctx: context, outcome };
            self.send(&member.id, Outgoing::ToHolder(Box::new(message)));
        }
        Ok(())
    }

    async fn take_client(&mut self, member: &Member, message: FromClient) -> Result<(), Halt> {
        let (now, context) = (self.clock.now(), *message.round_ctx());
        match message {
            FromClient::Unrecorded { about } => {
                self.ledger.unrecorded(member.id, about);
                return Ok(());
            }
            FromClient::Report { statement, .. } => {
                self.ledger.report(member.id, &statement);
                return Ok(());
            }
            _ => {}
        }
        let answer = match &mut self.live {
            Some(live) if *live.round.context() == context => {
                live.round.handle_client(now, member.id, message)
            }
            _ => match self.past(&context).await? {
                Some(outcome) => {
                    self.tell_past(&member.id, context, &outcome);
                    Ok(())
                }
                None => Err(Refusal::UnknownRound),
            },
        };
        if let Err(refusal) = answer {
            self.refused(member, &refusal);
            let message = ToClient::Refused { round_ctx: context, refusal };
            self.send(&member.id, Outgoing::ToClient(Box::new(message)));
        }
        Ok(())
    }

    fn tell_past(&mut self, to: &PartyId, round_ctx: Digest, outcome: &Outcome) {
        let message = ToClient::Ended { round_ctx, outcome: outcome.for_client(to) };
        self.send(to, Outgoing::ToClient(Box::new(message)));
    }

    /// How an earlier round ended.
    async fn past(&mut self, context: &Digest) -> Result<Option<Outcome>, Halt> {
        let bytes = match self.journal.outcome(context).await? {
            Some(bytes) => Some(bytes),
            None => self.past_of_another_run(context).await?,
        };
        Ok(bytes.and_then(|bytes| wire::decode(&bytes, FRAME_BYTES_MAX as usize).ok()))
    }

    /// The encoded outcome of a round of a run that is not at hand.
    async fn past_of_another_run(&mut self, context: &Digest) -> Result<Option<Vec<u8>>, Halt> {
        let Some(run) = self.registry.lock().await.run_of(context).await? else { return Ok(None) };
        let place = self.databases.journal_of(&self.state_dir, &run);
        let mut journal = Journal::open_to_read(place).await?;
        let outcome = journal.outcome(context).await?;
        journal.close().await?;
        Ok(outcome)
    }

    /// Whether the bytes of a contribution may come.
    async fn admit(&mut self, member: &Member, header: &SignedHeader) -> Result<Admission, Halt> {
        let context = header.header.round_ctx;
        let Some(live) = self.live.as_ref().filter(|live| *live.round.context() == context) else {
            if let Some(outcome) = self.past(&context).await? {
                self.tell_past(&member.id, context, &outcome);
            }
            return Ok(Admission::Refuse(Refusal::UnknownRound));
        };
        if let Some(answer) = live.round.known_answer(&member.id, header) {
            let is_stored = matches!(answer, ToClient::Receipt(_));
            self.send(&member.id, Outgoing::ToClient(Box::new(answer)));
            let over = Admission::Refuse(Refusal::UnknownRound);
            return Ok(if is_stored { Admission::Known } else { over });
        }
        match live.round.may_contribute(&member.id, header) {
            Ok(()) => Ok(Admission::Take {
                config: Arc::clone(&live.config),
                blobs: Arc::clone(&self.blobs),
            }),
            Err(refusal) => {
                self.refused(member, &refusal);
                Ok(Admission::Refuse(refusal))
            }
        }
    }
}
