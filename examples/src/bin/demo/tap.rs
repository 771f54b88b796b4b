//! What the demo's own wrapper of the client library writes down for the reference: every update
//! in the clear, beside what was sealed of it. No shipped program can do this.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use covey_aggregation::wire;
use serde::{Deserialize, Serialize};

/// Largest file read back: a model of sixteen million parameters.
const TAP_BYTES_MAX: usize = 1 << 27;

/// One owner's update in one round, in the clear.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tap {
    /// What went into the encryption.
    pub(crate) units: Vec<i32>,
    /// The weight that went into the encryption.
    pub(crate) weight: u32,
    /// The update as it was trained.
    pub(crate) update: Vec<f32>,
    /// Examples trained on.
    pub(crate) examples: u32,
}

impl Tap {
    /// Writes the update of `round` into an owner's tap folder. When the demo wants this owner to
    /// vanish in this round, it never returns: the owner is killed here, trained but not sent.
    pub(crate) fn write(&self, folder: &Path, round: u32) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let path = path(folder, round);
        let new = path.with_extension("new");
        fs::write(&new, wire::encode(self))?;
        fs::rename(&new, &path)?;
        while vanishing(folder, round).exists() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Reads it back.
    pub(crate) fn read(folder: &Path, round: u32) -> Result<Self, String> {
        let path = path(folder, round);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        wire::decode(&bytes, TAP_BYTES_MAX).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Where an owner's update of a round is.
pub(crate) fn path(folder: &Path, round: u32) -> PathBuf {
    folder.join(format!("round-{round:04}.tap"))
}

/// The file that makes an owner vanish in `round`.
pub(crate) fn vanishing(folder: &Path, round: u32) -> PathBuf {
    folder.join(format!("vanish-{round:04}"))
}
