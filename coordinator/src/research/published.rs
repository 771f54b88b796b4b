//! Pieces of what a round published, read from the run's folder as they are asked for.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use covey_aggregation::limits::PIECE_BYTES_MAX;
use covey_aggregation::program::published::{
    CHUNKS_FILE, CONTRIBUTIONS_FOLDER, CORRECTION_FILE, PUBLICATION_FILE,
};
use covey_aggregation::research::{Part, Piece, Refusal};

use super::Trouble;
use crate::storage::StorageError;
use crate::storage::blobs::round_name;

/// Bytes of a part from `offset` on, and how many it has in all. `folder`: the run's. Blocks.
pub(super) fn read(
    folder: &Path,
    round: u32,
    part: Part,
    offset: u64,
) -> Result<(u64, Piece), Trouble> {
    let path = path_of(folder, round, part);
    let failed = || StorageError::file("read", &path);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Refusal::NotPublished.into());
        }
        Err(error) => return Err(failed()(error).into()),
    };
    let total = file.metadata().map_err(failed())?.len();
    let mut bytes = Vec::new();
    // Not beyond the end, where a place may be none for the system.
    file.seek(SeekFrom::Start(offset.min(total))).map_err(failed())?;
    file.take(PIECE_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(failed())?;
    let piece = Piece::new(bytes).ok_or(Refusal::Malformed)?;
    Ok((total, piece))
}

fn path_of(folder: &Path, round: u32, part: Part) -> PathBuf {
    let round = folder.join("published").join(round_name(round));
    let contribution = |header: String| round.join(CONTRIBUTIONS_FOLDER).join(header);
    match part {
        Part::Publication => round.join(PUBLICATION_FILE),
        Part::Correction(header) => contribution(header.to_string()).join(CORRECTION_FILE),
        Part::Chunks(header) => contribution(header.to_string()).join(CHUNKS_FILE),
    }
}
