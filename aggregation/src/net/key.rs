//! A member's secret key on disk: one Ed25519 key for the signatures of rounds and for TLS, so
//! that who sends and who signs cannot be two.
//!
//! PKCS#8 v1 (RFC 8410, section 7) in PEM, 0600.

use std::path::{Path, PathBuf};

use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::net::files::{self, FileError};
use crate::party::PartyId;
use crate::signing::Identity;

/// The file's name in a member's folder.
pub const KEY_FILE: &str = "identity.key";

/// `PrivateKeyInfo { version 0, id-Ed25519, OCTET STRING (OCTET STRING seed) }` up to the seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A secret key. Zeroised when dropped; no `Debug`, no `Clone`.
pub struct IdentityKey {
    seed: Zeroizing<[u8; 32]>,
    id: PartyId,
}

impl IdentityKey {
    /// From 32 secret bytes.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let id = Identity::from_seed(&seed).id();
        Self { seed, id }
    }

    /// The public name of this key.
    #[must_use]
    pub const fn id(&self) -> PartyId {
        self.id
    }

    /// The key for signatures in rounds.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::from_seed(&self.seed)
    }

    /// Writes the key as a new private file `folder/`[`KEY_FILE`]; returns its path.
    ///
    /// # Errors
    /// [`FileError::Exists`] rather than losing an older key.
    pub fn create(&self, folder: &Path) -> Result<PathBuf, FileError> {
        let path = folder.join(KEY_FILE);
        self.create_at(&path)?;
        Ok(path)
    }

    pub(super) fn create_at(&self, path: &Path) -> Result<(), FileError> {
        let pair = self.pair().map_err(|error| FileError::content(path, error.to_string()))?;
        files::create_private(path, Zeroizing::new(pair.serialize_pem()).as_bytes())
    }

    /// Reads `folder/`[`KEY_FILE`], which must be readable by its owner only.
    ///
    /// # Errors
    /// [`FileError`] by what is wrong with the file.
    pub fn load(folder: &Path) -> Result<Self, FileError> {
        Self::load_at(&folder.join(KEY_FILE))
    }

    pub(super) fn load_at(path: &Path) -> Result<Self, FileError> {
        files::check_private(path)?;
        let pem = Zeroizing::new(files::read(path, 4096)?);
        let bad = || FileError::content(path, "not an Ed25519 private key (PKCS#8, PEM)");
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| bad())?;
        let seed = der.secret_pkcs8_der().strip_prefix(&PKCS8_PREFIX).ok_or_else(bad)?;
        let seed: [u8; 32] = seed.try_into().map_err(|_| bad())?;
        Ok(Self::from_seed(Zeroizing::new(seed)))
    }

    /// Another secret, for one purpose, the same after every start.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, self.seed.as_slice()))
    }

    /// The key as certificates are signed with.
    pub(super) fn pair(&self) -> Result<rcgen::KeyPair, rcgen::Error> {
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&self.pkcs8(), &rcgen::PKCS_ED25519)
    }

    /// The key as TLS wants it.
    pub(super) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        let mut der = Vec::with_capacity(PKCS8_PREFIX.len() + self.seed.len());
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(self.seed.as_slice());
        PrivatePkcs8KeyDer::from(der)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = IdentityKey::from_seed(Zeroizing::new([9; 32]));
        let path = key.create(folder.path()).expect("written");
        let again = IdentityKey::load(folder.path()).expect("read");
        assert_eq!(again.id(), key.id());
        assert!(key.create(folder.path()).is_err(), "a key is never overwritten");
        let pem = std::fs::read_to_string(&path).expect("read");
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "{pem}");
    }

    #[test]
    fn another_file_is_no_key() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        files::create_private(&folder.path().join(KEY_FILE), b"hello").expect("written");
        let error = IdentityKey::load(folder.path()).err().expect("refused");
        assert!(error.to_string().contains("not an Ed25519 private key"), "{error}");
    }
}
