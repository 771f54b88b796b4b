//! Everything a member needs to be recognised by the others and to recognise them, loaded from
//! its folder and checked as a whole: a member that would be refused learns it before it dials.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};

use crate::net::authority::{AUTHORITY_FILE, read_certificate};
use crate::net::certificate::{Claim, Side, Stranger, authority_digest};
use crate::net::files::FileError;
use crate::net::key::IdentityKey;
use crate::net::roster_file::{ROSTER_FILE, read_roster};
use crate::party::{Name, Role};
use crate::roster::{Member, Roster};
use crate::signing::Identity;

/// A member's certificate, in its folder.
pub const MEMBER_FILE: &str = "member.pem";

/// A member of a federation, on its own machine.
pub struct Membership {
    member: Member,
    identity: Arc<Identity>,
    key: IdentityKey,
    certificate: CertificateDer<'static>,
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
        let key = IdentityKey::load(folder)?;
        let roster_path = folder.join(ROSTER_FILE);
        let roster = read_roster(&roster_path)?;
        roster.validate().map_err(|bad| FileError::content(&roster_path, bad.to_string()))?;
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
        let claim = Claim::read(&certificate).map_err(refused)?;
        if claim.key != key.id() {
            let what = "the certificate is not for the key in identity.key";
            return Err(FileError::content(&member_path, what));
        }
        let side = if claim.role == Role::Coordinator { Side::Listener } else { Side::Dialer };
        claim
            .check_authority(&certificate, &authority, &roster.federation, side, UnixTime::now())
            .map_err(refused)?;
        let member = claim.check_member(&roster, &Role::ALL).map_err(refused)?;
        let identity = Arc::new(key.identity());
        Ok(Self { member, identity, key, certificate, authority, roster: Arc::new(roster) })
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

    pub(super) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(super) const fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    pub(super) fn tls_key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.pkcs8()
    }
}
