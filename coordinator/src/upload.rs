//! One bulk stream: a plan or a model that is fetched, or a contribution that comes. Memory for
//! a contribution is bounded whatever its size: pieces go from the network through the check to
//! the disk, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Refusal, SignedHeader};
use covey_aggregation::net::bulk::{BulkArrival, BulkStream, Fetch, Upload};
use covey_aggregation::net::error::LinkError;
use covey_aggregation::party::Role;
use covey_aggregation::roster::Member;
use covey_aggregation::sum::contribution::{
    BadContribution, ContributionCheck, box_bytes, correction_bytes,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::session::{Admission, Input, Shared, ask};
use crate::storage::StorageError;
use crate::storage::blobs::Blobs;

/// Parts between the network and the disk; each is a chunk of 50 kB, a correction or a box.
const PARTS_WAITING_MAX: usize = 3;

/// How long a client that was told to wait should wait.
const RETRY_AFTER_MS: u64 = 2000;

/// Serves one bulk stream.
///
/// # Errors
/// [`LinkError`]: the stream ended early. Nothing of it is kept then.
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
        BulkArrival::Contribution(header, upload) => {
            if member.role != Role::DataOwner {
                return upload.refuse(Refusal::NotAdmitted).await;
            }
            let Ok(_place) = uploading.try_acquire_owned() else {
                return upload.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }).await;
            };
            take(header, upload, member, shared).await
        }
    }
}

async fn serve_object(digest: Digest, fetch: Fetch, shared: &Shared) -> Result<(), LinkError> {
    let blobs = Arc::clone(&shared.blobs);
    let read = tokio::task::spawn_blocking(move || blobs.shared_object(&digest)).await;
    match read {
        Ok(Ok(Some(bytes))) => fetch.send(&bytes).await,
        Ok(Ok(None)) => fetch.refuse(Refusal::UnknownRound).await,
        Ok(Err(error)) => {
            tracing::error!(%error, "a plan or model cannot be read");
            fetch.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }).await
        }
        Err(_) => fetch.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }).await,
    }
}

async fn take(
    header: Box<SignedHeader>,
    mut upload: Upload,
    member: Member,
    shared: Arc<Shared>,
) -> Result<(), LinkError> {
    let busy = Refusal::Busy { retry_after_ms: RETRY_AFTER_MS };
    let asked = ask(&shared, |reply| Input::MayContribute {
        member: member.clone(),
        header: header.clone(),
        reply,
    });
    let config = match asked.await {
        Some(Admission::Take { config }) => config,
        Some(Admission::Known) => return upload.stored().await,
        Some(Admission::Refuse(refusal)) => return upload.refuse(refusal).await,
        None => return upload.refuse(busy).await,
    };
    let Ok(_place) = Arc::clone(&shared.uploads).try_acquire_owned() else {
        return upload.refuse(busy).await;
    };
    upload.accept().await?;
    let limit = Duration::from_secs(u64::from(shared.limits.upload_s.value()));
    let received = timeout(limit, receive(&mut upload, &config, &header, &shared.blobs)).await;
    let is_new = match received {
        Ok(Ok(is_new)) => is_new,
        Ok(Err(Failed::Link(error))) => return Err(error),
        Ok(Err(Failed::Bad(bad))) => return upload.refuse(refusal_of(&bad)).await,
        Ok(Err(Failed::Storage(error))) => {
            tracing::error!(%error, "a contribution cannot be stored");
            return upload.refuse(busy).await;
        }
        Err(_) => return upload.refuse(busy).await,
    };
    let digest = header.header.digest();
    let recorded = ask(&shared, |reply| Input::Contributed { member, header, reply });
    match recorded.await {
        Some(Ok(())) => upload.stored().await,
        Some(Err(refusal)) => {
            if is_new {
                discard(&shared.blobs, config.round, digest).await;
            }
            upload.refuse(refusal).await
        }
        None => upload.refuse(busy).await,
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

/// Why a contribution did not come to be.
enum Failed {
    Link(LinkError),
    Bad(BadContribution),
    Storage(StorageError),
}

impl From<LinkError> for Failed {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<BadContribution> for Failed {
    fn from(bad: BadContribution) -> Self {
        Self::Bad(bad)
    }
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
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
async fn receive(
    upload: &mut Upload,
    config: &Arc<RoundConfig>,
    header: &SignedHeader,
    blobs: &Arc<Blobs>,
) -> Result<bool, Failed> {
    let (parts, waiting) = mpsc::channel(PARTS_WAITING_MAX);
    let job =
        Store { config: Arc::clone(config), header: header.clone(), blobs: Arc::clone(blobs) };
    let storing = tokio::task::spawn_blocking(move || job.run(waiting));
    let sent = send_parts(upload, config, &parts).await;
    if sent.is_ok() {
        // Only a whole upload says that it is whole; see `Store::run`.
        let _ = parts.send(Part::End).await;
    }
    drop(parts);
    let stored = storing.await;
    sent?;
    stored.map_err(|_| Failed::Link(LinkError::ClosedHere))?
}

/// One part of a contribution.
enum Part {
    Correction(Vec<u8>),
    Box(HolderIndex, Vec<u8>),
    Chunk(u32, Vec<u8>),
    End,
}

/// Reads the parts in order. Stops early, without an error, when the storing side has found a
/// fault and takes no more.
async fn send_parts(
    upload: &mut Upload,
    config: &RoundConfig,
    parts: &mpsc::Sender<Part>,
) -> Result<(), LinkError> {
    let correction = read(upload, correction_bytes(config)).await?;
    if parts.send(Part::Correction(correction)).await.is_err() {
        return Ok(());
    }
    for holder in (0u8..).take(config.shape.members()) {
        let sealed_box = read(upload, box_bytes(config)).await?;
        if parts.send(Part::Box(HolderIndex(holder), sealed_box)).await.is_err() {
            return Ok(());
        }
    }
    for index in 0..config.chunks() {
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

/// The side that may block: check and disk.
struct Store {
    config: Arc<RoundConfig>,
    header: SignedHeader,
    blobs: Arc<Blobs>,
}

impl Store {
    fn run(self, mut parts: mpsc::Receiver<Part>) -> Result<bool, Failed> {
        let mut check = ContributionCheck::new(&self.config, &self.header)?;
        let mut writer = self.blobs.begin(self.config.round, &self.header.header.digest())?;
        while let Some(part) = parts.blocking_recv() {
            match part {
                Part::Correction(bytes) => {
                    check.correction(&bytes)?;
                    writer.correction(&bytes)?;
                }
                Part::Box(holder, bytes) => {
                    check.sealed_box(holder, &bytes)?;
                    writer.boxes(&bytes)?;
                }
                Part::Chunk(index, bytes) => {
                    check.chunk(index, &bytes)?;
                    writer.chunks(&bytes)?;
                }
                Part::End => {
                    check.finish()?;
                    return Ok(writer.finish()?);
                }
            }
        }
        // The network ended first; the caller tells why. What was written goes with the writer.
        Err(Failed::Link(LinkError::Truncated))
    }
}
