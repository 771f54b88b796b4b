//! Pieces of what a round published, read from where the run's bytes are as they are asked for.

use covey_aggregation::limits::PIECE_BYTES_MAX;
use covey_aggregation::program::published::{
    CHUNKS_FILE, CONTRIBUTIONS_FOLDER, CORRECTION_FILE, PUBLICATION_FILE,
};
use covey_aggregation::research::{Part, Piece, Refusal};

use super::Trouble;
use crate::storage::blobs::{Blobs, round_name};

/// Bytes of a part from `offset` on, and how many it has in all. `blobs`: the run's. Blocks.
pub(super) fn read(
    blobs: &Blobs,
    round: u32,
    part: Part,
    offset: u64,
) -> Result<(u64, Piece), Trouble> {
    let piece = blobs.published_piece(&name_of(round, part), offset, PIECE_BYTES_MAX as u64)?;
    let (total, bytes) = piece.ok_or(Refusal::NotPublished)?;
    let piece = Piece::new(bytes).ok_or(Refusal::Malformed)?;
    Ok((total, piece))
}

fn name_of(round: u32, part: Part) -> String {
    let round = round_name(round);
    let contribution = |header, name| format!("{round}/{CONTRIBUTIONS_FOLDER}/{header}/{name}");
    match part {
        Part::Publication => format!("{round}/{PUBLICATION_FILE}"),
        Part::Correction(header) => contribution(header, CORRECTION_FILE),
        Part::Chunks(header) => contribution(header, CHUNKS_FILE),
    }
}
