//! Everything a member needs to be recognised by the others and to recognise them, loaded from
//! its folder and checked as a whole: a member that would be refused learns it before it dials.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};

use crate::net::authority::{AUTHORITY_FILE, read_certificate};
use crate::net::certificate::{Claim, Side, Stranger, authority_digest, validity};
use crate::net::error::LinkError;
use crate::net::files::{self, FileError};
use crate::net::key::IdentityKey;
use crate::net::roster_file::{ROSTER_FILE, read_roster, write_roster};
use crate::party::{Name, Role};
use crate::roster::succession::CertifiedRoster;
use crate::roster::{BadRoster, Member, Roster};
use crate::signing::Identity;

/// A member's certificate, in its folder.
pub const MEMBER_FILE: &str = "member.pem";

/// A member of a federation, on its own machine.
pub struct Membership {
    folder: PathBuf,
    member: Member,
    identity: Arc<Identity>,
    key: IdentityKey,
    certificate: RwLock<CertificateDer<'static>>,
    authority: CertificateDer<'static>,
    roster: Arc<Roster>,
}

impl Membership {
    /// Loads `identity.key`, [`MEMBER_FILE`], `authority.pem` and `roster.json` from `folder`.
    ///
    /// # Errors
    /// [`FileError`], naming the file that is missing, broken, exposed, expired, or that does not
    /// belong to the others.
    pub fn load(folder: &Path) -> Result<Self, FileError> {
        let this = Self::load_founding(folder)?;
        let bad = |bad: BadRoster| FileError::content(&folder.join(ROSTER_FILE), bad.to_string());
        this.roster.validate().map_err(bad)?;
        Ok(this)
    }

    /// The same of a federation whose committee may not be complete yet.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_founding(folder: &Path) -> Result<Self, FileError> {
        let key = IdentityKey::load(folder)?;
        let roster_path = folder.join(ROSTER_FILE);
        let roster = read_roster(&roster_path)?;
        let authority_path = folder.join(AUTHORITY_FILE);
        let (authority, _) = read_certificate(&authority_path)?;
        if authority_digest(&authority) != roster.authority {
            let what = format!(
                "not the authority of federation {} that {ROSTER_FILE} names",
                roster.federation
            );
            return Err(FileError::content(&authority_path, what));
        }
        let member_path = folder.join(MEMBER_FILE);
        let (certificate, _) = read_certificate(&member_path)?;
        let refused = |stranger: Stranger| FileError::content(&member_path, stranger.to_string());
        let claim = check_own(&certificate, &authority, &roster.federation, &key);
        let claim = claim.map_err(refused)?;
        let member = claim.check_member(&roster, &Role::ALL).map_err(refused)?;
        let identity = Arc::new(key.identity());
        let (folder, certificate) = (folder.to_owned(), RwLock::new(certificate));
        let roster = Arc::new(roster);
        Ok(Self { folder, member, identity, key, certificate, authority, roster })
    }

    /// Stores a newer roster, which counts from the next [`Self::load`] on. Says what came of it.
    pub(super) fn take_over(&self, newer: &CertifiedRoster) -> LinkError {
        if let Err(bad) = self.roster.check_newer(newer) {
            return bad.into();
        }
        match write_roster(&self.folder.join(ROSTER_FILE), &newer.roster) {
            Ok(()) => LinkError::Renewed { number: newer.roster.number },
            Err(error) => LinkError::RosterFile(error.to_string()),
        }
    }

    /// Takes a certificate of the same member for the next connections, and stores it.
    ///
    /// # Errors
    /// [`FileError`]: it is somebody else's, or cannot be stored.
    pub fn renew(&self, pem: &str) -> Result<(), FileError> {
        let path = self.folder.join(MEMBER_FILE);
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| FileError::content(&path, "what came is no certificate (PEM)"))?;
        let claim = check_own(&certificate, &self.authority, self.federation(), &self.key);
        let refused = |stranger: Stranger| FileError::content(&path, stranger.to_string());
        claim
            .and_then(|claim| claim.check_member(&self.roster, &[self.member.role]))
            .map_err(refused)?;
        files::write_durably(&path, pem.as_bytes())?;
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = certificate;
        Ok(())
    }

    /// From when until when the certificate is valid.
    #[must_use]
    pub fn validity(&self) -> (SystemTime, SystemTime) {
        validity(&self.certificate())
    }

    /// Refuses a folder of another role than this program is for.
    ///
    /// # Errors
    /// [`Stranger::WrongRole`].
    pub fn require(&self, role: Role) -> Result<(), Stranger> {
        if self.member.role == role {
            return Ok(());
        }
        let (name, got) = (self.member.name.clone(), self.member.role);
        Err(Stranger::WrongRole { name, got, wanted: role.to_string() })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who this is.
    #[must_use]
    pub const fn member(&self) -> &Member {
        &self.member
    }

    /// The key for signatures in rounds.
    #[must_use]
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Everybody.
    #[must_use]
    pub const fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The federation's name.
    #[must_use]
    pub fn federation(&self) -> &Name {
        &self.roster.federation
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) const fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    pub(super) const fn key(&self) -> &IdentityKey {
        &self.key
    }

    pub(super) fn tls_key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.pkcs8()
    }
}

/// The claim of a member's own certificate, once its key, authority and dates are right.
fn check_own(
    certificate: &CertificateDer<'_>,
    authority: &CertificateDer<'static>,
    federation: &Name,
    key: &IdentityKey,
) -> Result<Claim, Stranger> {
    let claim = Claim::read(certificate)?;
    if claim.key != key.id() {
        return Err(Stranger::Malformed("it is not for the key in identity.key".to_owned()));
    }
    let side = if claim.role == Role::Coordinator { Side::Listener } else { Side::Dialer };
    claim.check_authority(certificate, authority, federation, side, UnixTime::now())?;
    Ok(claim)
}
