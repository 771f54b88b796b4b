//! What happens: each event reaches its machine.

use std::rc::Rc;

use covey_aggregation::audit::rereading::Signed;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Decline, FromClient, FromHolder, Refusal, ToClient, ToHolder};
use covey_aggregation::record::Sequence;

use crate::liars::Lie;
use crate::network::{Event, Node, Upload};
use crate::world::{World, decode};

impl World {
    pub(crate) fn handle(&mut self, event: Event) {
        let now = self.now(Node::Coordinator);
        match event {
            Event::ToHolder { holder, bytes } => {
                let message: ToHolder = decode(&bytes);
                if let Some((_, liar)) = &mut self.holders[holder].lie {
                    liar.hear(&message);
                }
                if let Some(machine) = &mut self.holders[holder].machine {
                    machine.handle(message);
                }
            }
            Event::FromHolder { holder, bytes } => {
                let message: FromHolder = decode(&bytes);
                let from = self.holders[holder].identity.id();
                if let Some(round) = &mut self.coordinator.round {
                    let blobs = &self.coordinator.blobs;
                    let result = round.handle_holder(now, from, message, blobs);
                    self.note(&format!("{result:?}"));
                }
            }
            Event::ToOwner { owner, bytes } => {
                let now = self.now(Node::Owner(owner));
                if let Some(machine) = &mut self.owners[owner].machine {
                    machine.handle(now, decode(&bytes));
                }
            }
            Event::FromOwner { owner, bytes } => self.owner_says(owner, decode(&bytes)),
            Event::Upload { owner, upload } => self.upload(owner, &upload),
            Event::Stored { node, life, upto } => self.stored(node, life, upto),
            Event::Prepared { owner, life, config } => self.prepared(owner, life, &config),
            Event::Opened { life, round_ctx, result } => {
                let alive = self.coordinator.life == life;
                let round = self.coordinator.round.as_mut().filter(|_| alive);
                if let Some(round) = round.filter(|round| *round.context() == round_ctx) {
                    round.handle_opened(now, result);
                }
            }
            Event::Measured { life, round_ctx, result } => {
                let alive = self.coordinator.life == life;
                let round = self.coordinator.round.as_mut().filter(|_| alive);
                if let Some(round) = round.filter(|round| *round.context() == round_ctx) {
                    round.handle_measured(now, result);
                }
            }
            Event::Directed { life, round_ctx, result } => {
                let alive = self.coordinator.life == life;
                let round = self.coordinator.round.as_mut().filter(|_| alive);
                if let Some(round) = round.filter(|round| *round.context() == round_ctx) {
                    round.handle_directed(now, result);
                }
            }
            Event::OwnDirected { holder, life, round_ctx, question } => {
                let sums = &self.coordinator.openings[&round_ctx].aggregate.sums;
                let node = &mut self.holders[holder];
                if let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) {
                    let own = match node.lie {
                        Some((Lie::WrongDirections, _)) => Err("it says so".to_owned()),
                        _ => crate::direction::own(&question, sums),
                    };
                    machine.handle_directed(&round_ctx, own);
                }
            }
            Event::Proven { owner, life, round_ctx, set, rows } => {
                let now = self.now(Node::Owner(owner));
                let node = &mut self.owners[owner];
                let result = node.prove(owner, &round_ctx, (set, rows), &mut self.network.rng);
                if let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) {
                    machine.handle_proven(now, &round_ctx, result);
                }
            }
            Event::Reread { holder, life, round_ctx, contributions } => {
                self.reread(holder, life, &round_ctx, contributions);
            }
            Event::Down(_) if self.is_clear => {}
            Event::Down(node) => self.crash(node),
            Event::Up(node) => self.start(node),
        }
    }

    /// A holder has fetched stored contributions.
    pub(crate) fn reread(
        &mut self,
        holder: usize,
        life: u32,
        round_ctx: &Digest,
        all: Vec<Signed>,
    ) {
        let node = &mut self.holders[holder];
        let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) else { return };
        for signed in all {
            let Some(rereading) = machine.rereading(round_ctx) else { return };
            let public = self.coordinator.blobs.measure(&rereading, signed);
            machine.handle_reread(round_ctx, &signed.header, public);
        }
    }

    pub(crate) fn owner_says(&mut self, owner: usize, message: FromClient) {
        let round_ctx = *message.round_ctx();
        if self.tell_past(owner, round_ctx) {
            return;
        }
        let now = self.now(Node::Coordinator);
        let Some(round) = &mut self.coordinator.round else { return };
        let from = self.owners[owner].identity.id();
        if let Err(refusal) = round.handle_client(now, from, message) {
            self.tell_owner(owner, &ToClient::Refused { round_ctx, refusal });
        }
    }

    /// How a round that is over ended, if the coordinator is up.
    pub(crate) fn tell_past(&mut self, owner: usize, round_ctx: Digest) -> bool {
        let is_up = self.coordinator.round.is_some();
        let past = self.coordinator.ended.iter().find(|(ended, _)| *ended == round_ctx);
        let Some((_, outcome)) = past.filter(|_| is_up) else { return false };
        let outcome = outcome.for_client(&self.owners[owner].identity.id());
        self.tell_owner(owner, &ToClient::Ended { round_ctx, outcome });
        true
    }

    /// A bulk stream has come to its end.
    pub(crate) fn upload(&mut self, owner: usize, upload: &Rc<Upload>) {
        if self.tell_past(owner, upload.header.header.round_ctx) {
            return;
        }
        // A contribution that cannot be stored breaks its stream off; the client tries again.
        let breaks_off = self.disk_fails();
        let now = self.now(Node::Coordinator);
        let from = self.owners[owner].identity.id();
        let Some(mut round) = self.coordinator.round.take() else { return };
        let answer = match round.known_answer(&from, &upload.header) {
            Some(answer) => Some(answer),
            None if breaks_off => None,
            None => {
                let round_ctx = upload.header.header.round_ctx;
                let config = round.config().clone();
                let taken = round.may_contribute(&from, &upload.header).and_then(|()| {
                    let taken = self.coordinator.take(&config, upload);
                    taken.map_err(|bad| Refusal::Malformed(bad.to_string()))
                });
                let taken = taken
                    .and_then(|()| round.handle_contribution(now, from, upload.header.clone()));
                taken.err().map(|refusal| ToClient::Refused { round_ctx, refusal })
            }
        };
        self.coordinator.round = Some(round);
        if let Some(answer) = answer {
            self.tell_owner(owner, &answer);
        }
    }

    /// A flush returns. When it fails, nobody knows what is stored: the process must not go on, and
    /// is started again by whoever watches over it.
    pub(crate) fn stored(&mut self, node: Node, life: u32, upto: Sequence) {
        if self.life(node) == life && self.disk_fails() {
            self.fail(node);
            return;
        }
        match node {
            Node::Coordinator if self.coordinator.life == life => {
                self.coordinator.journal.flush(upto);
                if let Some(round) = &mut self.coordinator.round {
                    round.handle_stored(upto);
                }
            }
            Node::Holder(index) if self.holders[index].life == life => {
                let holder = &mut self.holders[index];
                holder.journal.flush(upto);
                if let Some(machine) = &mut holder.machine {
                    machine.handle_stored(upto);
                }
            }
            Node::Owner(index) if self.owners[index].life == life => {
                let owner = &mut self.owners[index];
                owner.journal.flush(upto);
                if let Some(machine) = &mut owner.machine {
                    machine.handle_stored(upto);
                }
            }
            _ => {}
        }
    }

    /// Training is done.
    pub(crate) fn prepared(&mut self, index: usize, life: u32, config: &RoundConfig) {
        if self.owners[index].life != life || self.owners[index].machine.is_none() {
            return;
        }
        if self.disk_fails() {
            // What is sealed cannot be stored.
            self.fail(Node::Owner(index));
            return;
        }
        let now = self.now(Node::Owner(index));
        let owner = &mut self.owners[index];
        let result = if owner.is_willing {
            Ok(owner.seal(index, config, &mut self.network.rng).header.clone())
        } else {
            Err(Decline::Policy)
        };
        if let Some(machine) = &mut owner.machine {
            machine.handle_prepared(now, &config.context(), result);
        }
    }
}
