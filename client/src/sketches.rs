//! An owner's own projections of what it sent, one file for each round with credit: what its published
//! numbers are compared with, exactly. As sensitive as the updates themselves, and never sent.

use std::io;
use std::path::{Path, PathBuf};

use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::witness::Witness;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::AUDIT_ROWS_MAX;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::net::{FileError, files};
use covey_aggregation::wire;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Bytes of a sketch at most: a number for each row and lane, of ten bytes each at most.
const SKETCH_BYTES_MAX: usize = 128 + 10 * AUDIT_ROWS_MAX as usize * 32;

/// The projections of one contribution. Zeroised when dropped; no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sketch {
    /// H(U) and the beacon of the rows: what they are projections on.
    pub(crate) set: Digest,
    pub(crate) rows: Digest,
    pub(crate) projections: Vec<i64>,
}

impl Drop for Sketch {
    fn drop(&mut self) {
        self.projections.zeroize();
    }
}

impl Sketch {
    pub(crate) fn of(
        question: &Question<'_>,
        set: Digest,
        rows: Digest,
        witness: &Witness,
    ) -> Self {
        Self { set, rows, projections: witness.sketch(question).to_vec() }
    }
}

/// The folder of sketches.
#[derive(Clone)]
pub(crate) struct Sketches(PathBuf);

impl Sketches {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn path(&self, round_ctx: &Digest) -> PathBuf {
        self.0.join(to_hex(&round_ctx.0))
    }

    /// Keeps the sketch of a round.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn put(&self, round_ctx: &Digest, sketch: &Sketch) -> Result<(), FileError> {
        files::create_private_folder(&self.0)?;
        let bytes = zeroize::Zeroizing::new(wire::encode(sketch));
        files::write_durably(&self.path(round_ctx), &bytes)
    }

    /// The sketch of a round; none where nothing was kept.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn get(&self, round_ctx: &Digest) -> Result<Option<Sketch>, FileError> {
        let path = self.path(round_ctx);
        if matches!(path.metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let bytes = zeroize::Zeroizing::new(files::read(&path, SKETCH_BYTES_MAX as u64)?);
        let sketch = wire::decode(&bytes, SKETCH_BYTES_MAX);
        sketch.map(Some).map_err(|error| FileError::content(&path, error.to_string()))
    }
}
