//! One upload: what it is, for the log; then that and nothing else. After a lost link it goes on where
//! the coordinator has it.

use std::io;
use std::time::Instant;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{Bulk, BulkError, Offered, Outline};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use crate::event::{Event, Round};
use crate::stored::Stored;

/// An upload that did not arrive.
pub(super) enum UploadError {
    /// The stored bytes.
    Stored(String),
    /// The link, or the coordinator.
    Bulk(BulkError),
}

impl From<BulkError> for UploadError {
    fn from(error: BulkError) -> Self {
        Self::Bulk(error)
    }
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        Self::Stored(error.to_string())
    }
}

/// Sends one stored update, or what the coordinator has not of it; the bytes sent and the seconds.
pub(super) async fn send(
    bulk: &Bulk,
    stored: &Stored,
    round: Round,
    header: &Digest,
    events: &mpsc::Sender<Event>,
) -> Result<(u64, f32), UploadError> {
    let read = async || {
        let reading = stored.read(&round.context, header).await;
        reading.map_err(|error| UploadError::Stored(error.to_string()))
    };
    let reading = read().await?;
    let (begun, bytes) = (Instant::now(), reading.bytes);
    let Offered::Wanted(sending) = bulk.offer(&reading.header, bytes).await? else {
        return Ok((0, begun.elapsed().as_secs_f32()));
    };
    let from = sending.from();
    // Once to know what it is, for the log; then to send that and nothing else.
    let mut source = skip(reading.source, from).await?;
    let outline = Outline::read(&mut source, bytes - from).await?;
    let mut source = skip(read().await?.source, from).await?;
    let progress = |sent| {
        // Only how far it is: what nobody takes is dropped.
        let _ = events.try_send(Event::Uploading { round, sent: from + sent, bytes });
    };
    sending.send(&outline, &mut source, progress).await?;
    Ok((outline.bytes(), begun.elapsed().as_secs_f32()))
}

/// What follows the first `bytes` bytes.
async fn skip<R: AsyncRead + Unpin>(mut source: R, bytes: u64) -> io::Result<R> {
    let skipped = tokio::io::copy(&mut (&mut source).take(bytes), &mut tokio::io::sink()).await?;
    if skipped == bytes { Ok(source) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
