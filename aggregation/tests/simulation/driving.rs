//! What the drivers do: they carry out what the machines want done.

use std::rc::Rc;
use std::sync::Arc;

use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::rereading::{Rereading, Signed};
use covey_aggregation::credit::pool::retire;
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::HolderEffect;
use covey_aggregation::message::{Envelope, Outcome, SignedHeader, ToClient, ToHolder};
use covey_aggregation::participant::ParticipantEffect;
use covey_aggregation::party::PartyId;
use covey_aggregation::record::Sequence;
use covey_aggregation::round::{OpenFailure, Round, RoundEffect};
use covey_aggregation::wire::encode;
use rand::RngExt;

use crate::direction;
use crate::disk::Journal;
use crate::network::{Event, Node};
use crate::world::World;

/// Batches, so that envelopes come in several.
const BATCHES: usize = 8;

impl World {
    /// Carries out everything that any machine wants done.
    pub(crate) fn pump(&mut self) {
        while let Some(effect) = self.coordinator.round.as_mut().and_then(Round::poll_effect) {
            self.carry_out_round(effect);
        }
        for index in 0..self.holders.len() {
            let poll = |world: &mut Self| world.holders[index].machine.as_mut()?.poll_effect();
            while let Some(effect) = poll(self) {
                self.carry_out_holder(index, effect);
            }
        }
        for index in 0..self.owners.len() {
            let poll = |world: &mut Self| world.owners[index].machine.as_mut()?.poll_effect();
            while let Some(effect) = poll(self) {
                self.carry_out_owner(index, effect);
            }
        }
    }

    fn carry_out_round(&mut self, effect: RoundEffect) {
        match effect {
            RoundEffect::Append { sequence, record } => {
                self.coordinator.journal.append(sequence, &record);
                self.store(Node::Coordinator, self.coordinator.life, sequence);
            }
            RoundEffect::ToHolder { to, message } => self.tell_holder(to, &message),
            RoundEffect::SendEnvelopes { to, holder, headers } => {
                let round_ctx = headers[0].header.round_ctx;
                let total = headers.len() as u32;
                let blobs = &self.coordinator.blobs.0;
                let envelopes: Vec<Envelope> = headers
                    .iter()
                    .map(|header| blobs[&header.header.digest()].envelope(holder.0.into()))
                    .collect();
                for batch in envelopes.chunks(envelopes.len().div_ceil(BATCHES).max(2)) {
                    let batch = batch.to_vec();
                    self.tell_holder(to, &ToHolder::Envelopes { round_ctx, total, batch });
                }
            }
            RoundEffect::ToClient { to, message } => {
                let owner = self.owners.iter().position(|owner| owner.identity.id() == to);
                self.tell_owner(owner.expect("a member of the cohort"), &message);
            }
            RoundEffect::Open { set, components, summands } => {
                let Some(round) = &self.coordinator.round else { return };
                let (config, round_ctx) = (round.config().clone(), *round.context());
                let set: Vec<_> = set.iter().map(|signed| signed.header.digest()).collect();
                let result = if self.disk_fails() {
                    self.witness.saw_unreadable(round_ctx);
                    Err(OpenFailure::Unavailable("a contribution cannot be read".into()))
                } else {
                    self.coordinator.open(&config, (&set, summands), &components)
                };
                self.witness.saw_opening(round_ctx);
                let at_ms = self.now_ms + self.network.rng.random_range(1..50);
                let life = self.coordinator.life;
                self.network.schedule(at_ms, Event::Opened { life, round_ctx, result });
            }
            RoundEffect::SendProofs { to, proofs } => {
                let Some(round) = &self.coordinator.round else { return };
                let round_ctx = *round.context();
                for batch in proofs.chunks(proofs.len().div_ceil(BATCHES).max(2)) {
                    let batch = batch.to_vec();
                    self.tell_holder(to, &ToHolder::Proofs { round_ctx, batch });
                }
            }
            RoundEffect::Measure { headers, set, rows, check } => {
                self.measure(&headers, (set, rows, check));
            }
            RoundEffect::Direct { set, rows, fold } => self.direct((set, rows, fold)),
            RoundEffect::Ended(outcome) => self.ended(outcome),
        }
    }

    /// The worker computes fold, directions and functions.
    fn direct(&mut self, (set, rows, fold): (Digest, Digest, Digest)) {
        let Some(round) = &self.coordinator.round else { return };
        let (config, round_ctx) = (round.config().clone(), *round.context());
        let retired = round.terms().retired.clone();
        let question = Question::new(&config, set, rows).expect("audited terms");
        let fails = self.disk_fails();
        let opening = &self.coordinator.openings[&round_ctx];
        let sums = (&opening.aggregate.sums[..], &opening.rest[..]);
        let result = if fails {
            Err("the model cannot be read".to_owned())
        } else {
            direction::direct(&question, &config, (&fold, &retired), sums)
        };
        let result = result.map(|(directed, directions, projections)| {
            self.coordinator.directions.insert(round_ctx, directions);
            (directed, projections)
        });
        let at_ms = self.now_ms + self.network.rng.random_range(1..50);
        let life = self.coordinator.life;
        self.network.schedule(at_ms, Event::Directed { life, round_ctx, result });
    }

    /// The worker computes what is public of each contribution.
    fn measure(&mut self, headers: &[SignedHeader], (set, rows, check): (Digest, Digest, Digest)) {
        let Some(round) = &self.coordinator.round else { return };
        let (config, round_ctx) = (Arc::new(round.config().clone()), *round.context());
        let result = if self.disk_fails() {
            self.witness.saw_unreadable(round_ctx);
            Err(OpenFailure::Unavailable("a contribution cannot be read".into()))
        } else {
            let rereading = Rereading::new(config, set, rows, &check).expect("audited terms");
            let measure = |signed: &SignedHeader| {
                let header = &signed.header;
                let (correction, chunks_root) = (header.correction, header.chunks_root);
                let signed = Signed { header: header.digest(), correction, chunks_root };
                self.coordinator.blobs.measure(&rereading, signed).expect("stored and checked")
            };
            let mut all: Vec<_> = headers.iter().map(measure).collect();
            if self.scenario.misreads {
                all.swap(0, 1);
            }
            Ok(all)
        };
        let at_ms = self.now_ms + self.network.rng.random_range(1..50);
        let life = self.coordinator.life;
        self.network.schedule(at_ms, Event::Measured { life, round_ctx, result });
    }

    /// A round is over: the next one begins, as often as the scenario says.
    fn ended(&mut self, outcome: Outcome) {
        let Some(round) = &self.coordinator.round else { return };
        let round_ctx = *round.context();
        let again = self.coordinator.ended.last().is_some_and(|(ended, _)| *ended == round_ctx);
        if !again {
            self.witness.saw_end(round_ctx, self.now_ms);
            self.remember_credit();
            self.coordinator.ended.push((round_ctx, outcome));
        }
        let done = self.coordinator.ended.len() as u32;
        if done < self.scenario.rounds {
            self.drain_farewells();
            self.coordinator.journal = Journal::default();
            self.coordinator.life += 1;
            if self.scenario.clears_up && done + 1 == self.scenario.rounds {
                self.clear_up();
            }
            self.open_round(done + 1);
        }
    }

    /// What the next round begins with.
    fn remember_credit(&mut self) {
        let Some(round) = &self.coordinator.round else { return };
        let memory = &mut self.coordinator.credit;
        if let Some(credit) = round.credit() {
            memory.retired = retire(&memory.retired, &credit.directed.examples);
            memory.model = credit.directed.after;
            memory.attested = Some(credit.attested);
        }
    }

    /// The messages behind the end of a round still leave.
    fn drain_farewells(&mut self) {
        while let Some(effect) = self.coordinator.round.as_mut().and_then(Round::poll_effect) {
            if !matches!(effect, RoundEffect::Ended(_)) {
                self.carry_out_round(effect);
            }
        }
    }

    pub(crate) fn open_round(&mut self, number: u32) {
        let identity = Arc::clone(&self.coordinator.identity);
        let round = Round::open(self.terms(number), identity, self.now(Node::Coordinator));
        let round = round.expect("the simulation's terms are good");
        self.witness.saw_begin(*round.context(), self.now_ms);
        self.coordinator.round = Some(round);
    }

    fn carry_out_holder(&mut self, index: usize, effect: HolderEffect) {
        match effect {
            HolderEffect::Append { sequence, record } => {
                self.holders[index].journal.append(sequence, &record);
                self.store(Node::Holder(index), self.holders[index].life, sequence);
            }
            HolderEffect::Send(message) => {
                let messages = match &mut self.holders[index].lie {
                    Some((lie, liar)) => lie.distort(liar, message),
                    None => {
                        self.witness.saw_holder(index, &message);
                        vec![message]
                    }
                };
                for message in messages {
                    let event = Event::FromHolder { holder: index, bytes: encode(&message) };
                    self.network.send(self.now_ms, event);
                }
            }
            HolderEffect::Reread { round_ctx, contributions } => {
                let at_ms = self.now_ms + self.network.rng.random_range(1..50);
                let (holder, life) = (index, self.holders[index].life);
                let event = Event::Reread { holder, life, round_ctx, contributions };
                self.network.schedule(at_ms, event);
            }
            HolderEffect::Direct { round_ctx, question } => {
                let at_ms = self.now_ms + self.network.rng.random_range(1..50);
                let (holder, life) = (index, self.holders[index].life);
                let event = Event::OwnDirected { holder, life, round_ctx, question };
                self.network.schedule(at_ms, event);
            }
        }
    }

    fn carry_out_owner(&mut self, index: usize, effect: ParticipantEffect) {
        match effect {
            ParticipantEffect::Append { sequence, record } => {
                self.owners[index].journal.append(sequence, &record);
                self.store(Node::Owner(index), self.owners[index].life, sequence);
            }
            ParticipantEffect::Prepare { config } => {
                let at_ms = self.now_ms + self.network.rng.random_range(50..1_500);
                let life = self.owners[index].life;
                self.network.schedule(at_ms, Event::Prepared { owner: index, life, config });
            }
            // Its answer comes nevertheless.
            ParticipantEffect::Cancel { .. } => {}
            ParticipantEffect::Upload { round_ctx, header } => {
                let upload = Rc::clone(&self.owners[index].stored[&round_ctx]);
                assert_eq!(upload.header.header.digest(), header, "the bytes that were recorded");
                self.witness.saw_upload(round_ctx, index, header);
                self.network.send(self.now_ms, Event::Upload { owner: index, upload });
                if let Some(second) = self.owners[index].second.get(&round_ctx) {
                    let upload = Rc::clone(second);
                    self.network.send(self.now_ms, Event::Upload { owner: index, upload });
                }
            }
            ParticipantEffect::Send(message) => {
                let event = Event::FromOwner { owner: index, bytes: encode(&message) };
                self.network.send(self.now_ms, event);
            }
            ParticipantEffect::Prove { round_ctx, set, rows } => {
                let at_ms = self.now_ms + self.network.rng.random_range(1..100);
                let (owner, life) = (index, self.owners[index].life);
                let event = Event::Proven { owner, life, round_ctx, set, rows };
                self.network.schedule(at_ms, event);
            }
            ParticipantEffect::Forget { round_ctx } => {
                self.owners[index].witnesses.remove(&round_ctx);
                self.owners[index].stored.remove(&round_ctx);
            }
            ParticipantEffect::Promised(receipt) => {
                self.witness.saw_promise(receipt.round_ctx, index);
            }
            ParticipantEffect::Counted { round_ctx } => {
                self.owners[index].told.insert(round_ctx, None);
            }
            ParticipantEffect::NotCounted { round_ctx, why } => {
                self.owners[index].told.insert(round_ctx, Some(why));
            }
        }
    }

    fn store(&mut self, node: Node, life: u32, upto: Sequence) {
        let at_ms = self.now_ms + self.network.rng.random_range(0..20);
        self.network.schedule(at_ms, Event::Stored { node, life, upto });
    }

    fn tell_holder(&mut self, to: PartyId, message: &ToHolder) {
        let holder = self.holders.iter().position(|holder| holder.identity.id() == to);
        let holder = holder.expect("a seat of the committee");
        if let Some(told) = self.told.as_mut().filter(|_| holder == 0) {
            told.push(message.clone());
        }
        let event = Event::ToHolder { holder, bytes: encode(message) };
        self.network.send(self.now_ms, event);
    }

    pub(crate) fn tell_owner(&mut self, owner: usize, message: &ToClient) {
        if let ToClient::Receipt(receipt) = message {
            self.witness.saw_receipt(receipt.round_ctx, self.owners[owner].identity.id());
        }
        let event = Event::ToOwner { owner, bytes: encode(message) };
        self.network.send(self.now_ms, event);
    }
}
