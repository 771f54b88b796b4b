//! One bulk stream: a plan or a model that is fetched, or a contribution that comes. Memory for
//! a contribution is bounded whatever its size: pieces go from the network through the check to
//! the disk, a few at a time.
//!
//! # An upload that breaks off
//! What came of it is kept: of each member one contribution and no more, in a folder of its own, until
//! it is whole, the member sends another header, or the round is over. When the member comes back with
//! the same header it is told from which byte on it is to send; that is where the first part (the
//! correction, a box, a chunk) begins that is not there whole. What is there is checked again as if it
//! came now, and against the leaves of when it came; in the end the whole is held against the header.
//! So nobody but the member whose header is signed gets at it, bytes of two contributions are never
//! mixed, and whoever breaks off on purpose takes the room that its contribution would have taken.

mod storing;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Refusal, SignedHeader};
use covey_aggregation::net::bulk::{BulkArrival, BulkStream, Fetch, Upload};
use covey_aggregation::net::error::LinkError;
use covey_aggregation::party::Role;
use covey_aggregation::roster::Member;
use covey_aggregation::sum::contribution::{BadContribution, box_bytes, correction_bytes};
use covey_aggregation::wire;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::session::{Admission, Input, Shared, ask};
use crate::storage::StorageError;
use crate::storage::blobs::Blobs;
use crate::summing::stored_aggregate;

pub use turns::Turns;

use storing::{Failed, Part, Position, Store};

/// Parts between the network and the disk; each is a chunk of 50 kB, a correction or a box.
const PARTS_WAITING_MAX: usize = 3;

/// How long a client that was told to wait should wait.
const RETRY_AFTER_MS: u64 = 2000;

/// Serves one bulk stream.
///
/// # Errors
/// [`LinkError`]: the stream ended early.
pub async fn serve(
    stream: BulkStream,
    member: Member,
    shared: Arc<Shared>,
    uploading: Arc<Semaphore>,
) -> Result<(), LinkError> {
    match stream.request().await? {
        BulkArrival::Plan(digest, fetch) | BulkArrival::Model(digest, fetch) => {
            serve_object(digest, fetch, &shared).await
        }
        BulkArrival::Stored(header, fetch) => serve_stored(header, fetch, &member, &shared).await,
        BulkArrival::Contribution(header, mut upload) => {
            // Places are given back before the answer leaves, so that whoever has it finds one.
            let verdict = take(header, &mut upload, member, &shared, &uploading).await;
            match verdict {
                Verdict::Stored => upload.stored().await,
                Verdict::Refused(refusal) => upload.refuse(refusal).await,
                Verdict::Lost(error) => Err(error),
            }
        }
    }
}

/// What came of a contribution.
enum Verdict {
    Stored,
    Refused(Refusal),
    Lost(LinkError),
}

const BUSY: Verdict = Verdict::Refused(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS });

async fn serve_object(digest: Digest, fetch: Fetch, shared: &Shared) -> Result<(), LinkError> {
    let blobs = shared.shelf.blobs();
    let read = tokio::task::spawn_blocking(move || match blobs.shared_object(&digest)? {
        Some(bytes) => Ok(Some(bytes)),
        None => opened_sum(&blobs, &digest),
    });
    match read.await {
        Ok(Ok(Some(bytes))) => fetch.send(&bytes).await,
        Ok(Ok(None)) => fetch.refuse(Refusal::UnknownRound).await,
        Ok(Err(error)) => {
            tracing::error!(%error, "a plan or model cannot be read");
            fetch.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }).await
        }
        Err(_) => fetch.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }).await,
    }
}

/// The opened sum with this digest of a round that is not over: holders compute credit from it.
fn opened_sum(blobs: &Blobs, digest: &Digest) -> Result<Option<Arc<[u8]>>, StorageError> {
    let rounds = blobs.open_rounds()?;
    let sum = rounds.into_iter().find_map(|round| stored_aggregate(blobs, round, digest).ok());
    Ok(sum.map(|sum| wire::encode(&sum).into()))
}

/// A stored contribution, read again by a holder: correction and chunks, a few pieces at a time.
async fn serve_stored(
    header: Digest,
    mut fetch: Fetch,
    member: &Member,
    shared: &Shared,
) -> Result<(), LinkError> {
    if member.role != Role::Holder {
        let (role, needs) = (member.role, Role::Holder);
        return fetch.refuse(Refusal::NotAllowed { role, needs }).await;
    }
    let asked = ask(shared, |reply| Input::MayReread { header, reply });
    let Some(Some((config, blobs))) = asked.await else {
        return fetch.refuse(Refusal::UnknownRound).await;
    };
    let (pieces, mut waiting) = mpsc::channel::<Vec<u8>>(PARTS_WAITING_MAX);
    let bytes = correction_bytes(&config) as u64 + config.payload_bytes();
    let reading =
        tokio::task::spawn_blocking(move || read_stored(&blobs, &config, &header, &pieces));
    fetch.begin(bytes).await?;
    while let Some(piece) = waiting.recv().await {
        fetch.piece(&piece).await?;
    }
    match reading.await {
        Ok(Ok(())) => fetch.finish().await,
        // The holder finds that bytes are missing, and asks again.
        Ok(Err(error)) => {
            tracing::error!(%error, "a contribution cannot be read again");
            Err(LinkError::ClosedHere)
        }
        Err(_) => Err(LinkError::ClosedHere),
    }
}

/// Hands the pieces on until nobody takes them any more.
fn read_stored(
    blobs: &Blobs,
    config: &RoundConfig,
    header: &Digest,
    pieces: &mpsc::Sender<Vec<u8>>,
) -> Result<(), StorageError> {
    let stored = blobs.contribution(config.round, header);
    if pieces.blocking_send(stored.correction()?).is_err() {
        return Ok(());
    }
    let mut chunks = stored.chunks(0)?;
    for index in 0..config.chunks() {
        let mut chunk = vec![0; config.chunk_bytes(index)];
        chunks.next(&mut chunk)?;
        if pieces.blocking_send(chunk).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn take(
    header: Box<SignedHeader>,
    upload: &mut Upload,
    member: Member,
    shared: &Shared,
    uploading: &Semaphore,
) -> Verdict {
    if member.role != Role::DataOwner {
        let (role, needs) = (member.role, Role::DataOwner);
        return Verdict::Refused(Refusal::NotAllowed { role, needs });
    }
    // One contribution at a time from one connection.
    let Ok(_place) = uploading.try_acquire() else { return BUSY };
    let asked = ask(shared, |reply| Input::MayContribute {
        member: member.clone(),
        header: header.clone(),
        reply,
    });
    let (config, blobs) = match asked.await {
        Some(Admission::Take { config, blobs }) => (config, blobs),
        Some(Admission::Known) => return Verdict::Stored,
        Some(Admission::Refuse(refusal)) => return Verdict::Refused(refusal),
        None => return BUSY,
    };
    let Ok(_place) = shared.uploads.try_acquire() else { return BUSY };
    let Some((turn, place)) = shared.turns.take(&member.id).await else { return BUSY };
    let limit = Duration::from_secs(u64::from(shared.limits.upload_s.value()));
    let store = Store {
        config: Arc::clone(&config),
        header: (*header).clone(),
        blobs: Arc::clone(&blobs),
        _place: place,
    };
    let received = tokio::select! {
        received = timeout(limit, receive(upload, &config, store)) => received,
        () = turn.newer.notified() => return Verdict::Lost(LinkError::ClosedHere),
    };
    let is_new = match received {
        Ok(Ok(is_new)) => is_new,
        Ok(Err(Failed::Storage(error))) if error.is_lasting() => {
            // The driver stops with it; fails only when it has stopped.
            let _ = shared.inputs.send(Input::StoreLost(error)).await;
            return BUSY;
        }
        Ok(Err(failed)) => return failed.verdict(),
        Err(_) => return BUSY,
    };
    let digest = header.header.digest();
    match ask(shared, |reply| Input::Contributed { member, header, reply }).await {
        Some(Ok(())) => Verdict::Stored,
        Some(Err(refusal)) => {
            if is_new {
                discard(&blobs, config.round, digest).await;
            }
            Verdict::Refused(refusal)
        }
        None => BUSY,
    }
}

/// Removes what came too late. Bytes that another upload had stored before are not touched: they
/// may be recorded.
async fn discard(blobs: &Arc<Blobs>, round: u32, header: Digest) {
    let blobs = Arc::clone(blobs);
    let removed = tokio::task::spawn_blocking(move || blobs.discard(round, &header)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(%error, "a refused contribution stays until its round is forgotten");
    }
}

impl Failed {
    fn verdict(self) -> Verdict {
        match self {
            Self::Link(LinkError::Malformed(_) | LinkError::Truncated) => {
                let why = "not as many bytes as the round's terms say".to_owned();
                Verdict::Refused(Refusal::Malformed(why))
            }
            Self::Link(error) => Verdict::Lost(error),
            Self::Bad(bad) => Verdict::Refused(refusal_of(&bad)),
            Self::Storage(error) => {
                tracing::error!(%error, "a contribution cannot be stored");
                BUSY
            }
        }
    }
}

/// What a client is told about a bad upload.
fn refusal_of(bad: &BadContribution) -> Refusal {
    match bad {
        BadContribution::Signature => Refusal::BadSignature,
        BadContribution::OtherRound => Refusal::UnknownRound,
        other => Refusal::Malformed(other.to_string()),
    }
}

/// Receives, checks and stores; when it returns the bytes are durable. Says whether they are new.
/// Dropped, it leaves what came for the next try.
async fn receive(
    upload: &mut Upload,
    config: &Arc<RoundConfig>,
    store: Store,
) -> Result<bool, Failed> {
    let (parts, waiting) = mpsc::channel(PARTS_WAITING_MAX);
    let (beginning, begun) = oneshot::channel();
    let storing = tokio::task::spawn_blocking(move || store.run(beginning, waiting));
    let sent = match begun.await {
        Ok(position) => send_parts(upload, config, position, &parts).await,
        // It ended before it began, and tells why.
        Err(_) => Ok(()),
    };
    match &sent {
        // Only a whole upload says that it is whole; see `Store::run`.
        Ok(()) => drop(parts.send(Part::End).await),
        Err(LinkError::Malformed(_)) => drop(parts.send(Part::Surplus).await),
        Err(_) => {}
    }
    drop(parts);
    let stored = storing.await;
    sent?;
    stored.map_err(|_| Failed::Link(LinkError::ClosedHere))?
}

/// Reads the parts from `position` on, in order. Stops early, without an error, when the storing side
/// has found a fault and takes no more.
async fn send_parts(
    upload: &mut Upload,
    config: &RoundConfig,
    position: Position,
    parts: &mpsc::Sender<Part>,
) -> Result<(), LinkError> {
    upload.accept(position.bytes(config)).await?;
    if !position.has_correction {
        let correction = read(upload, correction_bytes(config)).await?;
        if parts.send(Part::Correction(correction)).await.is_err() {
            return Ok(());
        }
    }
    for holder in (0u8..).take(config.shape.members()).skip(usize::from(position.boxes)) {
        let sealed_box = read(upload, box_bytes(config)).await?;
        if parts.send(Part::Box(HolderIndex(holder), sealed_box)).await.is_err() {
            return Ok(());
        }
    }
    for index in position.chunks..config.chunks() {
        let chunk = read(upload, config.chunk_bytes(index)).await?;
        if parts.send(Part::Chunk(index, chunk)).await.is_err() {
            return Ok(());
        }
    }
    upload.expect_end().await
}

async fn read(upload: &mut Upload, bytes: usize) -> Result<Vec<u8>, LinkError> {
    let mut part = vec![0; bytes];
    upload.read_exact(&mut part).await?;
    Ok(part)
}
