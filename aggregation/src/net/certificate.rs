//! Who a certificate says its bearer is, and whether this federation agrees.
//!
//! A certificate names its bearer in one SAN URI, `covey://<federation>/<role>/<name>`, and
//! nothing else in it counts. Three checks, all needed: the federation's authority signed it; the
//! roster has that name in that role; and its key is the roster's key of that name, so that not
//! even the authority can put another key in a member's place.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::CertificateError;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::hash::{Digest, Domain, hash};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::net::authority::read_certificate;
use crate::net::files::FileError;
use crate::net::tls::provider;
use crate::party::{Name, PartyId, Role};
use crate::roster::{Member, Roster};
use crate::time::Time;

/// Why a certificate is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Stranger {
    /// Not a certificate of this kind of federation at all.
    #[error("the certificate is not one of a Covey federation: {0}")]
    Malformed(String),
    /// It names another federation.
    #[error("the certificate is of federation {theirs}, this is federation {ours}")]
    OtherFederation {
        /// The one it names.
        theirs: Name,
        /// The one expected.
        ours: Name,
    },
    /// It names this federation, but another authority signed it.
    #[error(
        "the certificate of {name} is not signed by this federation's authority (authority.pem)"
    )]
    WrongAuthority {
        /// The name in it.
        name: Name,
    },
    /// It is no longer valid.
    #[error("the certificate of {name} has expired; ask the operator to enrol again")]
    Expired {
        /// The name in it.
        name: Name,
    },
    /// It is not valid yet.
    #[error("the certificate of {name} is not valid yet; is the clock right?")]
    NotYetValid {
        /// The name in it.
        name: Name,
    },
    /// The operator has suspended or ended its membership.
    #[error("the membership of {name} is suspended or has ended; ask the operator")]
    ShutOut {
        /// The name in it.
        name: Name,
    },
    /// No such member.
    #[error("{name} is not in the roster")]
    NotInRoster {
        /// The name in it.
        name: Name,
    },
    /// Another role than the roster says, or than is wanted at this end.
    #[error("{name} is a {got}, a {wanted} is expected here")]
    WrongRole {
        /// The name in it.
        name: Name,
        /// Its role.
        got: Role,
        /// The role expected.
        wanted: String,
    },
    /// The roster has another key under this name.
    #[error(
        "the certificate of {name} has another key than the roster; somebody may be posing as \
         {name}"
    )]
    OtherKey {
        /// The name in it.
        name: Name,
    },
}

/// Which side of a handshake a certificate was shown by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// By the one who listens.
    Listener,
    /// By the one who dials.
    Dialer,
}

/// What a certificate claims. Nothing of it is true before [`Claim::check_authority`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The federation.
    pub federation: Name,
    /// The role.
    pub role: Role,
    /// The name.
    pub name: Name,
    /// The key.
    pub key: PartyId,
}

impl Claim {
    /// Reads the claim of a certificate.
    ///
    /// # Errors
    /// [`Stranger::Malformed`].
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, Stranger> {
        let bad = |what: &str| Stranger::Malformed(what.to_owned());
        if certificate.len() > CERTIFICATE_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let (rest, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| bad("not an X.509 certificate"))?;
        if !rest.is_empty() {
            return Err(bad("bytes after the certificate"));
        }
        let names = parsed
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|extension| extension.value.general_names.as_slice());
        let Some([GeneralName::URI(uri)]) = names else {
            return Err(bad("it does not name exactly one member"));
        };
        let (federation, role, name) = parse_uri(uri).ok_or_else(|| bad("its member URI"))?;
        let spki = parsed.public_key();
        let key = <[u8; 32]>::try_from(&*spki.subject_public_key.data)
            .ok()
            .filter(|_| spki.algorithm.algorithm == x509_parser::oid_registry::OID_SIG_ED25519)
            .ok_or_else(|| bad("its key is not Ed25519"))?;
        Ok(Self { federation, role, name, key: PartyId(key) })
    }

    /// Checks that the federation's authority signed `certificate`, whose claim this is, and that
    /// it is valid at `now` for its `side`.
    ///
    /// # Errors
    /// [`Stranger`], by what is wrong.
    pub fn check_authority(
        &self,
        certificate: &CertificateDer<'_>,
        authority: &CertificateDer<'static>,
        federation: &Name,
        side: Side,
        now: UnixTime,
    ) -> Result<(), Stranger> {
        if self.federation != *federation {
            let (theirs, ours) = (self.federation.clone(), federation.clone());
            return Err(Stranger::OtherFederation { theirs, ours });
        }
        check_chain(certificate, authority, side, now).map_err(|error| self.stranger(error))
    }

    /// Checks that the roster has this member, in one of `roles`.
    ///
    /// # Errors
    /// [`Stranger`], by what is wrong.
    pub fn check_member(&self, roster: &Roster, roles: &[Role]) -> Result<Member, Stranger> {
        let name = self.name.clone();
        let Some(member) = roster.members.iter().find(|member| member.name == name) else {
            return Err(Stranger::NotInRoster { name });
        };
        if member.id != self.key {
            return Err(Stranger::OtherKey { name });
        }
        if member.role != self.role {
            let wanted = member.role.to_string();
            return Err(Stranger::WrongRole { name, got: self.role, wanted });
        }
        if !roles.contains(&member.role) {
            let wanted = roles.iter().map(Role::to_string).collect::<Vec<_>>().join(" or ");
            return Err(Stranger::WrongRole { name, got: self.role, wanted });
        }
        Ok(member.clone())
    }

    fn stranger(&self, error: rustls::Error) -> Stranger {
        use CertificateError as Bad;
        let name = self.name.clone();
        match error {
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::Expired | Bad::ExpiredContext { .. } => Stranger::Expired { name },
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => Stranger::NotYetValid { name },
                Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => Stranger::WrongRole {
                    name,
                    got: self.role,
                    wanted: "member that may be at this end".to_owned(),
                },
                // One authority signs directly: whatever does not verify under it is another's.
                _ => Stranger::WrongAuthority { name },
            },
            other => Stranger::Malformed(other.to_string()),
        }
    }
}

/// From when until when a certificate is valid; both are the epoch for what is none.
#[must_use]
pub fn validity(certificate: &CertificateDer<'_>) -> (SystemTime, SystemTime) {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
    };
    let at = |seconds: i64| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    let dates = parsed.validity();
    (at(dates.not_before.timestamp()), at(dates.not_after.timestamp()))
}

/// From when to when the certificate in the file `path` is valid, by its own word.
///
/// # Errors
/// [`FileError`] when it is none.
pub fn validity_of(path: &Path) -> Result<(Time, Time), FileError> {
    let (certificate, _) = read_certificate(path)?;
    let (_, parsed) = X509Certificate::from_der(&certificate)
        .map_err(|_| FileError::content(path, "not an X.509 certificate"))?;
    let validity = parsed.validity();
    let time = |seconds: i64| Time(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    Ok((time(validity.not_before.timestamp()), time(validity.not_after.timestamp())))
}

/// What a roster names its authority by.
#[must_use]
pub fn authority_digest(authority: &CertificateDer<'_>) -> Digest {
    hash(Domain::Authority, &[authority])
}

/// The SAN URI of a member.
#[must_use]
pub fn member_uri(federation: &Name, role: Role, name: &Name) -> String {
    format!("covey://{federation}/{role}/{name}")
}

fn parse_uri(uri: &str) -> Option<(Name, Role, Name)> {
    let mut parts = uri.strip_prefix("covey://")?.split('/');
    let (federation, role, name) = (parts.next()?, parts.next()?, parts.next()?);
    let role = Role::ALL.into_iter().find(|one| one.to_string() == role)?;
    parts.next().is_none().then_some(())?;
    Some((federation.parse().ok()?, role, name.parse().ok()?))
}

fn check_chain(
    certificate: &CertificateDer<'_>,
    authority: &CertificateDer<'static>,
    side: Side,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    match side {
        Side::Listener => {
            let parsed = ParsedCertificate::try_from(certificate)?;
            let algorithms = provider().signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms)
        }
        Side::Dialer => WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_client_cert(certificate, &[], now)
            .map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_uri_has_exactly_three_parts() {
        let (federation, name) = ("f.example".parse().expect("name"), "a".parse().expect("name"));
        let uri = member_uri(&federation, Role::DataOwner, &name);
        assert_eq!(uri, "covey://f.example/data-owner/a");
        assert_eq!(parse_uri(&uri), Some((federation, Role::DataOwner, name)));
        for bad in
            ["covey://f/holder", "covey://f/holder/a/b", "covey://f/king/a", "https://f/holder/a"]
        {
            assert_eq!(parse_uri(bad), None, "{bad}");
        }
    }
}
