//! The federation's folder with its keys, encrypted.
//!
//! XChaCha20-Poly1305 with a key of 32 random bytes and a random nonce of 24 bytes for each backup:
//! nonces that are drawn do not meet.

use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use covey_aggregation::net::files;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::wire;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{BackupError, failed};
use crate::storage::durable::PART;
use crate::storage::members::MEMBERS_FILE;

/// The archive's name in a backup.
pub(crate) const VAULT_FILE: &str = "federation.sealed";

/// Longest file that is taken into the archive, which is made in memory.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Longest archive.
const VAULT_BYTES_MAX: u64 = 256 << 20;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// What each use of the key is for.
const VAULT: &[u8] = b"covey-backup/1 federation";
const TAG: &[u8] = b"covey-backup/1 manifest";

/// The key of a backup. Never shown.
pub(crate) struct BackupKey(Zeroizing<[u8; KEY_BYTES]>);

/// A file of the folder.
#[derive(PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Below the folder.
    pub(crate) path: String,
    /// Whether only its owner may read it.
    pub(crate) is_private: bool,
    /// Its bytes.
    #[serde(with = "serde_bytes_vec")]
    pub(crate) bytes: Vec<u8>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Bytes, as bytes.
mod serde_bytes_vec {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Vec::<u8>::deserialize(from)
    }
}

impl BackupKey {
    /// Reads a key file, which nobody else may read.
    pub(crate) fn read(path: &Path) -> Result<Self, BackupError> {
        files::check_private(path)?;
        let bytes = Zeroizing::new(files::read(path, KEY_BYTES as u64)?);
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
        let key = key.map_err(|_| BackupError::NoKey { path: path.to_owned() })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Reads a key file, which is made if there is none. Says whether it was.
    pub(crate) fn read_or_make(path: &Path) -> Result<(Self, bool), BackupError> {
        if path.exists() {
            return Ok((Self::read(path)?, false));
        }
        let key = secret::<KEY_BYTES>()?;
        files::create_private(path, key.as_slice())?;
        Ok((Self(key), true))
    }

    fn seal(&self, what: &[u8], plain: &[u8], bound: &[u8]) -> Result<Vec<u8>, BackupError> {
        let nonce = secret::<32>()?;
        let nonce = &nonce[..NONCE_BYTES];
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| BackupError::TooLong)?;
        let aad = [what, bound].concat();
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = self.cipher().encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|_| BackupError::TooLong)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, what: &[u8], sealed: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).ok()?;
        let aad = [what, bound].concat();
        let payload = Payload { msg: sealed, aad: &aad };
        self.cipher().decrypt(&nonce.into(), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }

    /// What only the key can make of these bytes.
    pub(crate) fn tag(&self, bytes: &[u8]) -> Result<Vec<u8>, BackupError> {
        self.seal(TAG, &[], bytes)
    }

    pub(crate) fn is_tag_of(&self, tag: &[u8], bytes: &[u8]) -> bool {
        self.open(TAG, tag, bytes).is_some_and(|plain| plain.is_empty())
    }

    /// Encrypts an archive.
    pub(crate) fn seal_files(&self, kept: &[Kept]) -> Result<Vec<u8>, BackupError> {
        let plain = Zeroizing::new(wire::encode(&kept));
        self.seal(VAULT, &plain, &[])
    }

    /// Decrypts one.
    pub(crate) fn open_files(&self, path: &Path) -> Result<Vec<Kept>, BackupError> {
        let sealed = files::read(path, VAULT_BYTES_MAX + 1024)?;
        let damaged = || BackupError::Damaged {
            path: path.to_owned(),
            what: "it does not open with this key".to_owned(),
        };
        let plain = self.open(VAULT, &sealed, &[]).ok_or_else(damaged)?;
        wire::decode(&plain, VAULT_BYTES_MAX as usize).map_err(|_| damaged())
    }
}

/// Reads the federation's folder: everything but the state folder, the stores and what is
/// unfinished. Also the names of files that are too long.
pub(crate) fn read_folder(
    folder: &Path,
    state_dir: &Path,
) -> Result<(Vec<Kept>, Vec<String>), BackupError> {
    let (mut kept, mut left_out, mut total) = (Vec::new(), Vec::new(), 0);
    let state = state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_owned());
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let here = folder.join(&below);
        for entry in std::fs::read_dir(&here).map_err(failed("read the folder", &here))? {
            let entry = entry.map_err(failed("read the folder", &here))?;
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            let Some(shown) = name.to_str().map(str::to_owned) else {
                left_out.push(name.to_string_lossy().into_owned());
                continue;
            };
            let meta = std::fs::metadata(&path).map_err(failed("read", &path))?;
            if meta.is_dir() {
                if path.canonicalize().ok().as_ref() != Some(&state) {
                    folders.push(name);
                }
                continue;
            }
            if !meta.is_file() || is_passing(&shown) {
                continue;
            }
            total += meta.len();
            if meta.len() > FILE_BYTES_MAX || total > VAULT_BYTES_MAX {
                total -= meta.len();
                left_out.push(shown);
                continue;
            }
            let bytes = files::read(&path, FILE_BYTES_MAX)?;
            kept.push(Kept { path: shown, is_private: is_private(&meta), bytes });
        }
    }
    kept.sort_by(|a, b| a.path.cmp(&b.path));
    left_out.sort();
    Ok((kept, left_out))
}

/// Stores and what they leave beside themselves, marks of this machine, and what is unfinished.
fn is_passing(name: &str) -> bool {
    name.starts_with(MEMBERS_FILE)
        || name == crate::storage::place::MARKER_FILE
        || name.ends_with(PART)
        || name.starts_with(".doctor-")
}

#[cfg(unix)]
fn is_private(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o077 == 0
}

#[cfg(not(unix))]
fn is_private(_: &std::fs::Metadata) -> bool {
    true
}

/// Writes an archive's files into a folder that has none of them.
pub(crate) fn write_folder(folder: &Path, kept: &[Kept]) -> Result<(), BackupError> {
    files::create_private_folder(folder)?;
    for file in kept {
        let path = folder.join(super::manifest::below(&file.path)?);
        if let Some(parent) = path.parent() {
            files::create_private_folder(parent)?;
        }
        if file.is_private {
            files::create_private(&path, &file.bytes)?;
        } else {
            files::write_durably(&path, &file.bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> BackupKey {
        BackupKey(Zeroizing::new([byte; KEY_BYTES]))
    }

    #[test]
    fn a_folder_comes_back_with_its_rights_and_only_with_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("fed/state")).expect("made");
        std::fs::create_dir(at("fed/issued")).expect("made");
        files::create_private(&at("fed/identity.key"), b"secret").expect("written");
        std::fs::write(at("fed/issued/member.pem"), b"public").expect("written");
        std::fs::write(at("fed/members.db-wal"), b"store").expect("written");
        std::fs::write(at("fed/state/runs.db"), b"store").expect("written");
        let (kept, left_out) = read_folder(&at("fed"), &at("fed/state")).expect("read");
        let names: Vec<_> = kept.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((names, left_out), (vec!["identity.key", "issued/member.pem"], Vec::new()));

        let sealed = key(1).seal_files(&kept).expect("sealed");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        std::fs::write(at("sealed"), &sealed).expect("written");
        assert!(key(2).open_files(&at("sealed")).is_err(), "another key");
        let opened = key(1).open_files(&at("sealed")).expect("opened");
        write_folder(&at("again"), &opened).expect("written");
        assert_eq!(files::read(&at("again/identity.key"), 100).expect("read"), b"secret");
        files::check_private(&at("again/identity.key")).expect("private");
        assert_eq!(files::read(&at("again/issued/member.pem"), 100).expect("read"), b"public");
        assert!(write_folder(&at("again"), &opened).is_err(), "nothing is written over");
    }

    #[test]
    fn a_tag_is_of_its_bytes_and_its_key() {
        let tag = key(1).tag(b"manifest").expect("made");
        assert!(key(1).is_tag_of(&tag, b"manifest"));
        assert!(!key(1).is_tag_of(&tag, b"manifesto"));
        assert!(!key(2).is_tag_of(&tag, b"manifest"));
    }
}
