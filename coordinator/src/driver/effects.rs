//! What the machine wants done.

use std::sync::Arc;
use std::time::Instant;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::error::CloseReason;
use covey_aggregation::party::PartyId;
use covey_aggregation::record::Sequence;
use covey_aggregation::round::{OpenFailure, RoundEffect};
use covey_aggregation::sum::open::Summands;
use covey_aggregation::wire;

use super::{Driver, Halt, Reply, WorkDone};
use crate::directing::Directing;
use crate::event::Event;
use crate::measuring::Measuring;
use crate::session::{Outgoing, QueueFull};
use crate::summing::Opening;

impl Driver {
    /// Stores and does everything the machine wants, until it wants nothing more.
    pub(super) async fn settle(&mut self) -> Result<(), Halt> {
        while let Some(live) = &mut self.live {
            let mut first = None;
            let (mut records, mut effects) = (Vec::new(), Vec::new());
            while let Some(effect) = live.round.poll_effect() {
                match effect {
                    RoundEffect::Append { sequence, record } => {
                        first.get_or_insert(sequence);
                        records.push(wire::encode(&record));
                    }
                    other => effects.push(other),
                }
            }
            if let Some(first) = first {
                let stored = self.journal.append(live.config.round, first.0, &records).await;
                if let Err(error) = stored {
                    // Nothing that follows from these records is said: the round goes with its answers,
                    // also with those that draining would give.
                    self.live = None;
                    return Err(error.into());
                }
                live.round.handle_stored(Sequence(first.0 + records.len() as u64 - 1));
            }
            // Their records, if they have any, are durable now.
            for Reply { to, answer } in live.replies.drain(..) {
                // The upload may have been given up meanwhile.
                let _ = to.send(answer);
            }
            if records.is_empty() && effects.is_empty() {
                break;
            }
            for effect in effects {
                self.carry_out(effect);
            }
        }
        self.report();
        Ok(())
    }

    fn carry_out(&mut self, effect: RoundEffect) {
        match effect {
            // Taken out by `settle`.
            RoundEffect::Append { .. } => {}
            RoundEffect::ToHolder { to, message } => {
                self.send(&to, Outgoing::ToHolder(Box::new(message)));
            }
            RoundEffect::ToClient { to, message } => {
                self.send(&to, Outgoing::ToClient(Box::new(message)));
            }
            RoundEffect::SendEnvelopes { to, holder, headers } => {
                let (Some(live), Some(peer)) = (&self.live, self.peers.get(&to)) else { return };
                let (context, config) = (*live.round.context(), Arc::clone(&live.config));
                let stored = (config, Arc::clone(&self.blobs));
                if peer.send_envelopes(context, stored, holder, headers) == Err(QueueFull) {
                    self.disconnect(&to);
                }
            }
            RoundEffect::SendProofs { to, proofs } => {
                let (Some(live), Some(peer)) = (&self.live, self.peers.get(&to)) else { return };
                if peer.send_proofs(*live.round.context(), proofs) == Err(QueueFull) {
                    self.disconnect(&to);
                }
            }
            RoundEffect::Open { set, components, summands } => {
                self.start_opening(set, components, summands);
            }
            RoundEffect::Measure { headers, set, rows, check } => {
                self.start_measuring(headers, (set, rows, check));
            }
            RoundEffect::Direct { set, rows, fold } => self.start_directing((set, rows, fold)),
            RoundEffect::Ended(outcome) => {
                let now = self.clock.now();
                if let Some(live) = &mut self.live {
                    live.ended = Some((outcome, now));
                }
            }
        }
    }

    /// Queues a message for a member, if it is connected. Never waits.
    pub(super) fn send(&mut self, to: &PartyId, outgoing: Outgoing) {
        let Some(peer) = self.peers.get(to) else { return };
        if peer.send(outgoing) == Err(QueueFull) {
            self.disconnect(to);
        }
    }

    /// Cuts off a peer that does not keep up. It may dial again.
    fn disconnect(&mut self, id: &PartyId) {
        let Some(peer) = self.peers.remove(id) else { return };
        self.keep_traffic(&peer);
        peer.close(CloseReason::Stalled);
        let (name, role) = (peer.member.name.clone(), peer.member.role);
        let why = "it does not take its messages; it may dial again".to_owned();
        self.tell(&Event::Left { name, role, why });
    }

    fn start_opening(
        &mut self,
        set: Arc<[covey_aggregation::message::SignedHeader]>,
        components: Vec<Vec<u8>>,
        summands: Summands,
    ) {
        let Some(live) = &self.live else { return };
        let opening = Opening {
            config: Arc::clone(&live.config),
            context: *live.round.context(),
            set,
            components,
            summands,
            blobs: Arc::clone(&self.blobs),
            threads: self.summing_threads,
            cancelled: Arc::clone(&live.cancelled),
        };
        let answers = self.worked.0.clone();
        tokio::spawn(async move {
            let (context, began) = (opening.context, Instant::now());
            let result = tokio::task::spawn_blocking(move || opening.run()).await;
            let result = result.unwrap_or_else(|_| {
                Err(OpenFailure::Unavailable("the worker that adds up died".to_owned()).into())
            });
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Nobody listens any more only when the program is stopping.
            let _ = answers.send(WorkDone::Opened { context, result, took_ms }).await;
        });
    }

    fn start_measuring(
        &self,
        headers: Arc<[covey_aggregation::message::SignedHeader]>,
        (set, rows, check): (Digest, Digest, Digest),
    ) {
        let Some(live) = &self.live else { return };
        let context = *live.round.context();
        let measuring = Measuring {
            config: Arc::clone(&live.config),
            headers,
            set,
            rows,
            check,
            blobs: Arc::clone(&self.blobs),
            threads: self.summing_threads,
            cancelled: Arc::clone(&live.cancelled),
        };
        let answers = self.worked.0.clone();
        tokio::spawn(async move {
            let result = tokio::task::spawn_blocking(move || measuring.run()).await;
            let result = result.unwrap_or_else(|_| {
                Err(OpenFailure::Unavailable("the worker that measures died".to_owned()))
            });
            // Nobody listens any more only when the program is stopping.
            let _ = answers.send(WorkDone::Measured { context, result }).await;
        });
    }

    fn start_directing(&self, (set, rows, fold): (Digest, Digest, Digest)) {
        let Some(live) = &self.live else { return };
        let Some(opened) = live.round.opened() else { return };
        let context = *live.round.context();
        let directing = Directing {
            config: Arc::clone(&live.config),
            beginning: Arc::clone(&live.beginning),
            aggregate: opened.aggregate,
            set,
            rows,
            fold,
            retired: live.round.terms().retired.clone(),
            blobs: Arc::clone(&self.blobs),
        };
        let answers = self.worked.0.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let result = tokio::task::spawn_blocking(move || directing.run()).await;
            let result = result.unwrap_or_else(|_| Err("the worker that directs died".to_owned()));
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Nobody listens any more only when the program is stopping.
            let _ = answers.send(WorkDone::Directed { context, result, took_ms }).await;
        });
    }

    /// Stores and sends what is left, and closes every connection after it.
    ///
    /// # Errors
    /// [`Halt`] when the last records cannot be stored.
    pub async fn drain(&mut self, reason: CloseReason) -> Result<(), Halt> {
        let settled = self.settle().await;
        for peer in self.peers.values() {
            if peer.send(Outgoing::Close(reason)) == Err(QueueFull) {
                peer.close(reason);
            }
        }
        settled
    }
}
