//! One upload: what it is, for the log; then that and nothing else.

use std::time::Instant;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{Bulk, BulkError, Outline};
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

/// Sends one stored update; its bytes and seconds.
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
    // Once to know what it is, for the log; then to send that and nothing else.
    let mut reading = read().await?;
    let outline = Outline::read(&mut reading.source, reading.bytes).await;
    let outline = outline.map_err(|error| UploadError::Stored(error.to_string()))?;
    let mut reading = read().await?;
    let (begun, bytes) = (Instant::now(), outline.bytes());
    let progress = |sent| {
        // Only how far it is: what nobody takes is dropped.
        let _ = events.try_send(Event::Uploading { round, sent, bytes });
    };
    bulk.contribute(&reading.header, &outline, &mut reading.source, progress)
        .await
        .map_err(UploadError::Bulk)?;
    Ok((bytes, begun.elapsed().as_secs_f32()))
}
