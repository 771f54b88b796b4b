//! What a backup holds: every file with its length and SHA-256, written when all of them are. A
//! backup without it was cut off.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use covey_aggregation::net::files;
use covey_aggregation::net::text::to_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::vault::BackupKey;
use super::{BackupError, failed};

/// The manifest's name.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// The name of the manifest's tag, made with the key: nobody without it can make another manifest.
pub(crate) const TAG_FILE: &str = "manifest.tag";

/// What a manifest calls itself.
const SCHEMA: &str = "covey-backup/1";

/// Longest manifest: some 200 bytes for each file.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// The manifest.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    schema: String,
    /// The program that made it.
    pub(crate) version: String,
    /// When, in seconds of Unix time.
    pub(crate) made_s: u64,
    /// Whose.
    pub(crate) federation: String,
    /// The number of the roster in force.
    pub(crate) roster: u32,
    /// The dumps of stores.
    pub(crate) stores: Vec<StoreEntry>,
    /// Every file.
    pub(crate) files: Vec<FileEntry>,
    /// Files of the federation's folder that are too long to be in it.
    pub(crate) left_out: Vec<String>,
}

/// The dump of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreEntry {
    /// Its file.
    pub(crate) path: String,
    /// Which: `members`, `runs`, `journal`, or the digest of a run.
    pub(crate) store: String,
    /// Its format.
    pub(crate) format: i64,
    /// Rows of all its tables.
    pub(crate) rows: u64,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Below the backup's folder.
    pub(crate) path: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// What `sha256sum` says.
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) fn new(made_s: u64, federation: String, roster: u32) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_s,
            federation,
            roster,
            stores: Vec::new(),
            files: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Writes it, the last of a backup.
    pub(crate) fn write(&self, folder: &Path, key: &BackupKey) -> Result<(), BackupError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| {
            failed("write", &folder.join(MANIFEST_FILE))(std::io::Error::other(error))
        })?;
        files::write_durably(&folder.join(TAG_FILE), &key.tag(&bytes)?)?;
        Ok(files::write_durably(&folder.join(MANIFEST_FILE), &bytes)?)
    }

    /// Reads it, and holds its tag against the key.
    pub(crate) fn read(folder: &Path, key: &BackupKey) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST_FILE);
        if !path.exists() {
            return Err(BackupError::CutOff { folder: folder.to_owned() });
        }
        let bytes = files::read(&path, MANIFEST_BYTES_MAX)?;
        let tag = files::read(&folder.join(TAG_FILE), 1024)?;
        if !key.is_tag_of(&tag, &bytes) {
            return Err(BackupError::OtherKey { folder: folder.to_owned() });
        }
        let manifest = serde_json::from_slice::<Self>(&bytes);
        manifest.ok().filter(|manifest| manifest.schema == SCHEMA).ok_or_else(|| {
            BackupError::Damaged { path, what: "not a manifest of this version".to_owned() }
        })
    }

    /// Reads every file and compares.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), BackupError> {
        for entry in &self.files {
            let path = folder.join(below(&entry.path)?);
            let found = FileEntry::of(&path, entry.path.clone());
            let what = match found {
                Ok(found) if found == *entry => continue,
                Ok(found) if found.bytes != entry.bytes => {
                    format!("{} bytes, the manifest says {}", found.bytes, entry.bytes)
                }
                Ok(_) => "its bytes are not those that were written".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(BackupError::Damaged { path, what });
        }
        Ok(())
    }
}

impl FileEntry {
    /// Reads a file for its digest.
    pub(crate) fn of(path: &Path, name: String) -> Result<Self, BackupError> {
        let mut file = File::open(path).map_err(failed("read", path))?;
        let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            let read = file.read(&mut buffer).map_err(failed("read", path))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
        }
        Ok(Self { path: name, bytes, sha256: to_hex(&hash.finalize()) })
    }
}

/// A path of a manifest, which leads nowhere but below its folder.
pub(crate) fn below(path: &str) -> Result<&Path, BackupError> {
    let is_plain = !path.is_empty()
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\\'));
    let what = || "a path that leads elsewhere".to_owned();
    is_plain
        .then(|| Path::new(path))
        .ok_or_else(|| BackupError::Damaged { path: path.into(), what: what() })
}
