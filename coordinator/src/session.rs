//! One authenticated connection: frames <-> messages, and a task per bulk stream. Knows nothing
//! of rounds; everything that is decided is decided by the driver. What researchers ask has
//! nothing to do with rounds: [`crate::research`] serves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use covey_aggregation::audit::list::Proven;
use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{ENVELOPES_PER_MESSAGE_MAX, HANDSHAKE_MS, PROOFS_PER_MESSAGE_MAX};
use covey_aggregation::message::{
    Envelope, FromClient, FromHolder, RecordBytes, Refusal, SignedHeader, ToClient, ToHolder,
};
use covey_aggregation::net::error::{CloseReason, LinkError};
use covey_aggregation::net::link::{Among, ControlReceiver, ControlSender, Link, Links};
use covey_aggregation::net::version::Protocol;
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::program::Failure;
use covey_aggregation::research::{FromResearcher, ToResearcher};
use covey_aggregation::roster::Member;
use covey_aggregation::sum::contribution::box_bytes;
use covey_aggregation::wire::Malformed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::allowance::{Allowance, wait_ms};
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::registrar::Registrar;
use crate::research::{self, Desk};
use crate::storage::StorageError;
use crate::storage::blobs::Blobs;
use crate::storage::members::MemberEntry;
use crate::storage::shelf::Shelf;
use crate::upload::{self, Turns};

/// Tells apart the connections of one member; grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What sessions tell the driver.
pub enum Input {
    /// Something has changed among the members.
    Members(Vec<MemberEntry>),
    /// This program may no longer write its records, or cannot make durable what it writes.
    StoreLost(StorageError),
    /// The ledger cannot be kept.
    LedgerLost(Box<Failure>),
    /// Please ask these key holders to cosign the ledger.
    Cosign(Vec<(PartyId, ToHolder)>),
    /// Please send these owners the receipt of a round, or of their credits of a run.
    Recorded {
        /// Whom.
        owners: Vec<PartyId>,
        /// The round's context, or the run.
        about: Digest,
        /// The receipt.
        record: RecordBytes,
    },
    /// Somebody who wanted to become a member was told no.
    NotEnrolled {
        /// From where.
        address: std::net::SocketAddr,
        /// Why.
        why: String,
    },
    /// A member connected.
    Joined(Peer),
    /// A connection ended.
    Left {
        /// Which.
        session: SessionId,
        /// Whose.
        member: Member,
        /// Why.
        why: String,
    },
    /// Somebody was turned away at the door.
    TurnedAway {
        /// From where.
        address: std::net::SocketAddr,
        /// Why.
        why: String,
    },
    /// A holder says something.
    FromHolder(Member, FromHolder),
    /// A client says something.
    FromClient(Member, FromClient),
    /// A member sent what cannot be understood, or what its role may not send.
    Misbehaved {
        /// Who.
        member: Member,
        /// What.
        why: String,
    },
    /// May this contribution be sent?
    MayContribute {
        /// Who asks.
        member: Member,
        /// What.
        header: Box<SignedHeader>,
        /// The answer.
        reply: oneshot::Sender<Admission>,
    },
    /// May this stored contribution be read again? The terms and the place of its run, if so.
    MayReread {
        /// Digest of its header.
        header: Digest,
        /// The answer.
        reply: oneshot::Sender<Option<(Arc<RoundConfig>, Arc<Blobs>)>>,
    },
    /// A holder or an owner said what only somebody in another role may.
    Trespassed {
        /// Who.
        member: Member,
        /// Who may.
        needs: Role,
    },
    /// A contribution is checked and durable.
    Contributed {
        /// Whose.
        member: Member,
        /// Which.
        header: Box<SignedHeader>,
        /// Answered when its record is durable.
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// The driver's answer to [`Input::MayContribute`].
pub enum Admission {
    /// Send it.
    Take {
        /// The round's terms.
        config: Arc<RoundConfig>,
        /// Where its run keeps contributions.
        blobs: Arc<Blobs>,
    },
    /// It is stored already; the receipt is on its way.
    Known,
    /// No.
    Refuse(Refusal),
}

/// What the driver has a session send.
pub enum Outgoing {
    /// To a holder.
    ToHolder(Box<ToHolder>),
    /// To a client.
    ToClient(Box<ToClient>),
    /// To a holder or a client that spoke as a researcher does.
    ToResearcher(Box<ToResearcher>),
    /// To a holder: boxes, read and sent batch by batch, so that a large round takes no memory
    /// in the queue.
    Envelopes(Envelopes),
    /// To a holder: the proofs of a round, batch by batch.
    Proofs(Proofs),
    /// Nothing more: close the connection when everything before has been sent.
    Close(CloseReason),
}

/// Boxes of stored contributions for one holder.
pub struct Envelopes {
    /// The round.
    pub context: Digest,
    /// Its terms.
    pub config: Arc<RoundConfig>,
    /// Whose boxes.
    pub holder: HolderIndex,
    /// All contributions, in order.
    pub headers: Arc<[SignedHeader]>,
    /// Where they are.
    pub blobs: Arc<Blobs>,
    /// Cleared when they have been sent.
    pub pending: Arc<AtomicBool>,
}

/// The proofs of a round's audit for one holder.
pub struct Proofs {
    /// The round.
    pub context: Digest,
    /// All proofs, in order.
    pub proofs: Arc<[Proven]>,
    /// Cleared when they have been sent.
    pub pending: Arc<AtomicBool>,
}

/// The driver's end of a session.
pub struct Peer {
    /// Which connection.
    pub session: SessionId,
    /// Whose.
    pub member: Member,
    /// Digest of the roster that both have.
    pub roster: Digest,
    queue: mpsc::Sender<Outgoing>,
    links: Links,
    /// Whether envelopes are on their way.
    envelopes_pending: Arc<AtomicBool>,
    /// Whether proofs are.
    proofs_pending: Arc<AtomicBool>,
}

/// A peer that does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Peer {
    /// Queues a message without waiting.
    ///
    /// # Errors
    /// [`QueueFull`]: the peer does not keep up, and is to be disconnected.
    pub fn send(&self, outgoing: Outgoing) -> Result<(), QueueFull> {
        match self.queue.try_send(outgoing) {
            // A closed queue means that the session is ending; the driver hears of it.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(QueueFull),
        }
    }

    /// Queues envelopes unless the same are still on their way.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn send_envelopes(
        &self,
        context: Digest,
        (config, blobs): (Arc<RoundConfig>, Arc<Blobs>),
        holder: HolderIndex,
        headers: Arc<[SignedHeader]>,
    ) -> Result<(), QueueFull> {
        if self.envelopes_pending.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let pending = Arc::clone(&self.envelopes_pending);
        let envelopes = Envelopes { context, config, holder, headers, blobs, pending };
        self.send(Outgoing::Envelopes(envelopes))
    }

    /// Queues proofs unless the same are still on their way.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn send_proofs(&self, context: Digest, proofs: Arc<[Proven]>) -> Result<(), QueueFull> {
        if self.proofs_pending.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let pending = Arc::clone(&self.proofs_pending);
        self.send(Outgoing::Proofs(Proofs { context, proofs, pending }))
    }

    /// Bytes sent to it and received from it.
    #[must_use]
    pub fn traffic_bytes(&self) -> (u64, u64) {
        self.links.traffic_bytes()
    }

    /// Ends the connection at once.
    pub fn close(&self, reason: CloseReason) {
        self.links.close(reason);
    }
}

/// What sessions share.
pub struct Shared {
    /// To the driver.
    pub inputs: mpsc::Sender<Input>,
    /// Plans, models and contributions of the run at hand.
    pub shelf: Arc<Shelf>,
    /// What a peer may use.
    pub limits: Limits,
    /// Uploads under way.
    pub uploads: Arc<Semaphore>,
    /// Whose contributions are coming.
    pub turns: Turns,
    /// What researchers are served with.
    pub desk: Arc<Desk>,
    /// Who joins and leaves.
    pub registrar: Arc<Registrar>,
    /// How much a member may ask.
    pub allowance: Allowance,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Serves one connection until it ends. The driver hears of its beginning and its end.
pub async fn serve(link: Link, session: SessionId, shared: Arc<Shared>) {
    if link.peer.role == Role::Researcher || link.protocol == Protocol::Desk {
        let (links, peer) = (link.links.clone(), link.peer.id);
        tokio::select! {
            () = research::serve(link, Arc::clone(&shared.desk), &shared.allowance) => {}
            () = shared.registrar.shut_out(&peer) => links.close(CloseReason::ShutOut),
        }
        return;
    }
    let Link { peer: member, roster, sender, receiver, links, .. } = link;
    let (queue, outgoing) = mpsc::channel(shared.limits.queue_max.size());
    let peer = Peer {
        session,
        member: member.clone(),
        roster,
        queue: queue.clone(),
        links: links.clone(),
        envelopes_pending: Arc::default(),
        proofs_pending: Arc::default(),
    };
    if shared.inputs.send(Input::Joined(peer)).await.is_err() {
        links.close(CloseReason::ShuttingDown);
        return;
    }
    let writing = tokio::spawn(write(sender, outgoing, links.clone()));
    let accepting = tokio::spawn(accept(links.clone(), member.clone(), Arc::clone(&shared)));
    let listening = Listening { member: &member, shared: &shared, queue };
    let ended = match member.role {
        Role::Holder => listening.hear::<FromHolder, FromClient>(receiver, Input::FromHolder).await,
        Role::DataOwner => {
            listening.hear::<FromClient, FromHolder>(receiver, Input::FromClient).await
        }
        // Researchers are served elsewhere, and the listener admits no other role.
        Role::Coordinator | Role::Researcher => Err(LinkError::ClosedHere),
    };
    links.close(match &ended {
        Err(error) => error.close_reason(),
        Ok(()) => CloseReason::Finished,
    });
    let why = match ended {
        Ok(()) => "it has finished".to_owned(),
        Err(error) => error.to_string(),
    };
    writing.abort();
    accepting.abort();
    shared.metrics.see_link(links.traffic_bytes());
    // Nobody listens any more only when the program is stopping.
    let _ = shared.inputs.send(Input::Left { session, member, why }).await;
}

/// The reading half of a session.
struct Listening<'a> {
    member: &'a Member,
    shared: &'a Shared,
    /// To the peer itself, for what needs no driver.
    queue: mpsc::Sender<Outgoing>,
}

/// A message of a holder or of a client.
trait Said: Serialize + DeserializeOwned {
    /// Who may say it.
    const ROLE: Role;

    /// How somebody who says too much is told to wait; none where it is made to wait.
    fn busy(&self, retry_after_ms: u64) -> Option<Outgoing>;
}

impl Said for FromClient {
    const ROLE: Role = Role::DataOwner;

    fn busy(&self, retry_after_ms: u64) -> Option<Outgoing> {
        let (round_ctx, refusal) = (*self.round_ctx(), Refusal::Busy { retry_after_ms });
        Some(Outgoing::ToClient(Box::new(ToClient::Refused { round_ctx, refusal })))
    }
}

impl Said for FromHolder {
    const ROLE: Role = Role::Holder;

    fn busy(&self, _: u64) -> Option<Outgoing> {
        None
    }
}

impl Listening<'_> {
    /// Reads messages until the connection ends, or too many made no sense.
    async fn hear<T: Said, Other: Said>(
        &self,
        mut receiver: ControlReceiver,
        wrap: fn(Member, T) -> Input,
    ) -> Result<(), LinkError> {
        let (member, shared) = (self.member, self.shared);
        let mut malformed = 0;
        loop {
            let input = match receiver.receive_among::<T, FromResearcher, Other>().await {
                Ok(Some(Among::First(message))) => match self.allow(&message).await {
                    true => wrap(member.clone(), message),
                    false => continue,
                },
                Ok(Some(of_others)) => {
                    malformed += 1;
                    if malformed >= shared.limits.malformed_max.value() {
                        let what = "message of this role";
                        return Err(LinkError::Malformed(Malformed::Shape { what }));
                    }
                    let needs = match of_others {
                        Among::Third(_) => Other::ROLE,
                        _ => Role::Researcher,
                    };
                    Input::Trespassed { member: member.clone(), needs }
                }
                Ok(None) => return Ok(()),
                // The frame was whole, so the next one can be found.
                Err(LinkError::Malformed(
                    why @ (Malformed::Shape { .. } | Malformed::Version { .. }),
                )) => {
                    malformed += 1;
                    if malformed >= shared.limits.malformed_max.value() {
                        return Err(LinkError::Malformed(why));
                    }
                    Input::Misbehaved { member: member.clone(), why: why.to_string() }
                }
                Err(error) => return Err(error),
            };
            // The driver's queue is bounded: when it is full this peer waits, and its transport
            // tells it so.
            if shared.inputs.send(input).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Whether the driver may be asked. Who asks too much is told when to come again, or waits until
    /// it may; the driver, and so everybody else, does not notice.
    async fn allow<T: Said>(&self, message: &T) -> bool {
        loop {
            let Err(wait) = self.shared.allowance.take(&self.member.id) else { return true };
            if let Some(busy) = message.busy(wait_ms(wait)) {
                // A full queue says the same.
                let _ = self.queue.try_send(busy);
                return false;
            }
            sleep(wait).await;
        }
    }
}

/// Sends what the driver queued. Ends the link when the peer takes nothing any more.
async fn write(mut sender: ControlSender, mut queue: mpsc::Receiver<Outgoing>, links: Links) {
    while let Some(outgoing) = queue.recv().await {
        let sent = match outgoing {
            Outgoing::ToHolder(message) => sender.send(&*message).await,
            Outgoing::ToClient(message) => sender.send(&*message).await,
            Outgoing::ToResearcher(message) => sender.send(&*message).await,
            Outgoing::Envelopes(envelopes) => {
                let sent = send_envelopes(&mut sender, &envelopes).await;
                envelopes.pending.store(false, Ordering::Release);
                sent
            }
            Outgoing::Proofs(proofs) => {
                let sent = send_proofs(&mut sender, &proofs).await;
                proofs.pending.store(false, Ordering::Release);
                sent
            }
            Outgoing::Close(reason) => {
                links.close(reason);
                return;
            }
        };
        if let Err(error) = sent {
            let reason = match error {
                LinkError::Stalled => CloseReason::Stalled,
                _ => CloseReason::Finished,
            };
            links.close(reason);
            return;
        }
    }
}

async fn send_envelopes(
    sender: &mut ControlSender,
    envelopes: &Envelopes,
) -> Result<(), LinkError> {
    let total = u32::try_from(envelopes.headers.len()).unwrap_or(u32::MAX);
    let round_ctx = envelopes.context;
    for start in (0..envelopes.headers.len()).step_by(ENVELOPES_PER_MESSAGE_MAX) {
        let end = envelopes.headers.len().min(start + ENVELOPES_PER_MESSAGE_MAX);
        let headers: Vec<_> = envelopes.headers[start..end].to_vec();
        let (blobs, config) = (Arc::clone(&envelopes.blobs), Arc::clone(&envelopes.config));
        let holder = envelopes.holder;
        let read = move || load(&blobs, &config, holder, headers);
        let batch = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(batch)) => batch,
            // The holder asks again, and the next try may go better.
            Ok(Err(error)) => {
                tracing::error!(%error, "envelopes cannot be read");
                return Ok(());
            }
            Err(_) => return Ok(()),
        };
        sender.send(&ToHolder::Envelopes { round_ctx, total, batch }).await?;
    }
    Ok(())
}

async fn send_proofs(sender: &mut ControlSender, all: &Proofs) -> Result<(), LinkError> {
    let round_ctx = all.context;
    for batch in all.proofs.chunks(PROOFS_PER_MESSAGE_MAX) {
        let batch = batch.to_vec();
        sender.send(&ToHolder::Proofs { round_ctx, batch }).await?;
    }
    Ok(())
}

fn load(
    blobs: &Blobs,
    config: &RoundConfig,
    holder: HolderIndex,
    headers: Vec<SignedHeader>,
) -> Result<Vec<Envelope>, StorageError> {
    let bytes = box_bytes(config);
    let envelope = |header: SignedHeader| {
        let stored = blobs.contribution(config.round, &header.header.digest());
        let sealed_box = stored.sealed_box(usize::from(holder.0), bytes)?;
        let envelope = Envelope::new(&header, holder, sealed_box);
        // The round accepts no such header; so the disk has changed what it was given.
        envelope.ok_or_else(|| {
            stored.damaged(format!("the header stored for it has no seat for holder {}", holder.0))
        })
    };
    headers.into_iter().map(envelope).collect()
}

/// Takes bulk streams, each in a task of its own.
async fn accept(links: Links, member: Member, shared: Arc<Shared>) {
    // One contribution at a time from one connection.
    let uploading = Arc::new(Semaphore::new(1));
    while let Ok(stream) = links.accept_bulk().await {
        let (member, shared) = (member.clone(), Arc::clone(&shared));
        let uploading = Arc::clone(&uploading);
        if let Err(wait) = shared.allowance.take(&member.id) {
            let busy = Refusal::Busy { retry_after_ms: wait_ms(wait) };
            tokio::spawn(async move {
                // Whoever is gone does not hear it.
                let _ = stream.refuse(busy).await;
            });
            continue;
        }
        tokio::spawn(async move {
            if let Err(error) = upload::serve(stream, member, shared, uploading).await {
                tracing::debug!(%error, "a bulk stream ended early");
            }
        });
    }
}

/// Longest wait for the driver's answer: it never waits itself, so this only guards against a
/// program that is stopping.
const DRIVER_WAIT: Duration = Duration::from_millis(HANDSHAKE_MS);

/// Asks the driver; none when it is stopping.
pub(crate) async fn ask<T>(
    shared: &Shared,
    make: impl FnOnce(oneshot::Sender<T>) -> Input,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    shared.inputs.send(make(reply)).await.ok()?;
    timeout(DRIVER_WAIT, answer).await.ok()?.ok()
}
