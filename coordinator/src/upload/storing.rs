//! The side of an upload that may block: what is there is checked and taken up, what comes is checked
//! and written.

use std::sync::Arc;

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::chunk_leaf;
use covey_aggregation::message::SignedHeader;
use covey_aggregation::net::error::LinkError;
use covey_aggregation::sum::contribution::{
    BadContribution, ContributionCheck, box_bytes, correction_bytes,
};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use crate::storage::StorageError;
use crate::storage::blobs::{Blobs, ContributionWriter};

/// One part of a contribution.
pub(super) enum Part {
    Correction(Vec<u8>),
    Box(HolderIndex, Vec<u8>),
    Chunk(u32, Vec<u8>),
    End,
    /// More came than belongs to it.
    Surplus,
}

/// What is there whole, in the order in which it comes.
#[derive(Clone, Copy, Default)]
pub(super) struct Position {
    pub(super) has_correction: bool,
    pub(super) boxes: u8,
    pub(super) chunks: u32,
}

impl Position {
    fn whole(config: &RoundConfig) -> Self {
        let boxes = u8::try_from(config.shape.members()).unwrap_or(u8::MAX);
        Self { has_correction: true, boxes, chunks: config.chunks() }
    }

    fn correction_bytes(self, config: &RoundConfig) -> u64 {
        if self.has_correction { correction_bytes(config) as u64 } else { 0 }
    }

    fn boxes_bytes(self, config: &RoundConfig) -> u64 {
        u64::from(self.boxes) * box_bytes(config) as u64
    }

    fn chunks_bytes(self, config: &RoundConfig) -> u64 {
        // All but the last one have the same length.
        match self.chunks {
            chunks if chunks == config.chunks() => config.payload_bytes(),
            chunks => u64::from(chunks) * config.chunk_bytes(0) as u64,
        }
    }

    pub(super) fn bytes(self, config: &RoundConfig) -> u64 {
        self.correction_bytes(config) + self.boxes_bytes(config) + self.chunks_bytes(config)
    }
}

/// Why a contribution did not come to be.
pub(super) enum Failed {
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

/// The side that may block: check and disk.
pub(super) struct Store {
    pub(super) config: Arc<RoundConfig>,
    pub(super) header: SignedHeader,
    pub(super) blobs: Arc<Blobs>,
    /// Given back when the disk is done, however the stream ends.
    pub(super) _place: OwnedMutexGuard<()>,
}

impl Store {
    /// Takes up what is there, says so, and takes what comes.
    pub(super) fn run(
        self,
        begun: oneshot::Sender<Position>,
        mut parts: mpsc::Receiver<Part>,
    ) -> Result<bool, Failed> {
        let mut check = ContributionCheck::new(&self.config, &self.header)?;
        let (header, round) = (&self.header.header, self.config.round);
        if self.blobs.is_contributed(round, &header.digest())? {
            // From before a restart, or an answer that came too late: nothing is sent again.
            let _ = begun.send(Position::whole(&self.config));
            return match parts.blocking_recv() {
                Some(Part::End) => Ok(false),
                _ => Err(Failed::Link(LinkError::Truncated)),
            };
        }
        let mut writer = self.blobs.begin(round, &header.client, &header.digest())?;
        let position = self.take_up(&mut check, &mut writer)?;
        // If nobody waits any more, no part comes, either.
        let _ = begun.send(position);
        loop {
            let taken = match parts.blocking_recv() {
                Some(Part::End) => {
                    return match check.finish() {
                        Ok(()) => Ok(writer.finish()?),
                        Err(bad) => Err(spoiled(writer, bad.into())),
                    };
                }
                // The caller tells why.
                Some(Part::Surplus) => {
                    return Err(spoiled(writer, Failed::Link(LinkError::ClosedHere)));
                }
                // The network ended first; the caller tells why.
                None => {
                    writer.keep()?;
                    return Err(Failed::Link(LinkError::Truncated));
                }
                Some(part) => take_part(&mut check, &mut writer, part),
            };
            match taken {
                Ok(()) => {}
                Err(bad @ Failed::Bad(_)) => return Err(spoiled(writer, bad)),
                Err(other) => return Err(other),
            }
        }
    }

    /// Checks what is there from an earlier try, and goes on after the last part that is as it was
    /// signed for and as it came.
    fn take_up(
        &self,
        check: &mut ContributionCheck,
        writer: &mut ContributionWriter<'_>,
    ) -> Result<Position, StorageError> {
        let config = &self.config;
        let mut position = Position::default();
        if let Some(bytes) = writer.kept_correction(correction_bytes(config))? {
            position.has_correction = check.correction(&bytes).is_ok();
        }
        let members = (0u8..).take(config.shape.members());
        for holder in members.take_while(|_| position.has_correction) {
            match writer.kept_box(holder, box_bytes(config))? {
                Some(bytes) if check.sealed_box(HolderIndex(holder), &bytes).is_ok() => {
                    position.boxes += 1;
                }
                _ => break,
            }
        }
        let has_boxes = usize::from(position.boxes) == config.shape.members();
        for index in (0..config.chunks()).take_while(|_| has_boxes) {
            let bytes = config.chunk_bytes(index);
            match writer.kept_chunk(index, config.chunk_bytes(0), bytes)? {
                Some((bytes, leaf))
                    if chunk_leaf(index, &bytes) == leaf && check.chunk(index, &bytes).is_ok() =>
                {
                    position.chunks += 1;
                }
                _ => break,
            }
        }
        let chunks = (position.chunks, position.chunks_bytes(config));
        let (correction, boxes) = (position.correction_bytes(config), position.boxes_bytes(config));
        writer.go_on_after(correction, boxes, chunks)?;
        Ok(position)
    }
}

fn take_part(
    check: &mut ContributionCheck,
    writer: &mut ContributionWriter<'_>,
    part: Part,
) -> Result<(), Failed> {
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
            let leaf = check.chunk(index, &bytes)?;
            writer.chunk(&bytes, &leaf)?;
        }
        Part::End | Part::Surplus => {}
    }
    Ok(())
}

/// Removes what is not as it was signed for: the next try begins anew.
fn spoiled(writer: ContributionWriter<'_>, why: Failed) -> Failed {
    match writer.remove() {
        Ok(()) => why,
        Err(error) => error.into(),
    }
}
