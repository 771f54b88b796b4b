//! The federation's certificate authority: an Ed25519 key of its own, in the operator's hands.
//! It vouches for names at enrolment; rosters pin keys, so it cannot replace a member.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::hash::{Digest, Domain, hash};
use crate::limits::CERTIFICATE_FILE_BYTES_MAX;
use crate::net::certificate::{authority_digest, member_uri};
use crate::net::files::{self, FileError};
use crate::net::key::IdentityKey;
use crate::party::{Name, PartyId, Role};
use crate::roster::{Member, Roster};

/// The authority's certificate, in the folder of the operator and of every member.
pub const AUTHORITY_FILE: &str = "authority.pem";

/// The authority's secret key, in the folder of the operator only.
pub const AUTHORITY_KEY_FILE: &str = "authority.key";

/// How long the authority's own certificate is valid: rosters pin it, so it is only ended by a
/// new federation.
const AUTHORITY_DAYS: u32 = 3650;

/// Certificates begin this much earlier, for members whose clocks are behind.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From then (an hour earlier, in fact, for clocks that are behind).
    pub from: SystemTime,
    /// For so many days.
    pub days: u32,
}

/// The authority of a federation, with its secret key.
pub struct Authority {
    federation: Name,
    certificate: CertificateDer<'static>,
    pem: String,
    key: IdentityKey,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority from 32 secret bytes.
    ///
    /// # Errors
    /// The library's, when it cannot sign; the input cannot cause that.
    pub fn create(
        federation: Name,
        seed: Zeroizing<[u8; 32]>,
        now: SystemTime,
    ) -> Result<Self, rcgen::Error> {
        let key = IdentityKey::from_seed(seed);
        let validity = Validity { from: now, days: AUTHORITY_DAYS };
        let mut params = params(&key.id(), validity, &format!("covey authority of {federation}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key.pair()?)?;
        let pem = certificate.pem();
        let issuer = Issuer::new(params, key.pair()?);
        Ok(Self { federation, certificate: certificate.der().clone(), pem, key, issuer })
    }

    /// Writes [`AUTHORITY_KEY_FILE`] (private) and [`AUTHORITY_FILE`].
    ///
    /// # Errors
    /// [`FileError::Exists`] rather than losing an older authority.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        self.key.create_at(&folder.join(AUTHORITY_KEY_FILE))?;
        files::write_durably(&folder.join(AUTHORITY_FILE), self.pem.as_bytes())
    }

    /// Reads an authority that [`save`](Self::save) wrote; `roster` says whose it must be.
    ///
    /// # Errors
    /// [`FileError`]; also when the certificate is not the roster's authority.
    pub fn load(folder: &Path, roster: &Roster) -> Result<Self, FileError> {
        let path = folder.join(AUTHORITY_FILE);
        let (certificate, pem) = read_certificate(&path)?;
        if authority_digest(&certificate) != roster.authority {
            return Err(FileError::content(&path, "not the authority that the roster names"));
        }
        let key_path = folder.join(AUTHORITY_KEY_FILE);
        let key = IdentityKey::load_at(&key_path)?;
        let issuer = key.pair().and_then(|pair| Issuer::from_ca_cert_der(&certificate, pair));
        let issuer = issuer.map_err(|error| FileError::content(&key_path, error.to_string()))?;
        Ok(Self { federation: roster.federation.clone(), certificate, pem, key, issuer })
    }

    /// The federation.
    #[must_use]
    pub const fn federation(&self) -> &Name {
        &self.federation
    }

    /// What the roster names this authority by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        authority_digest(&self.certificate)
    }

    /// The certificate, as in [`AUTHORITY_FILE`].
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate, as PEM text for the member's `member.pem`.
    ///
    /// # Errors
    /// The library's, when it cannot sign; the input cannot cause that.
    pub fn issue(&self, member: &Member, validity: Validity) -> Result<String, rcgen::Error> {
        let mut params = params(&member.id, validity, member.name.as_str());
        let uri = member_uri(&self.federation, member.role, &member.name);
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        // Only the coordinator listens: nobody else can stand in for it.
        params.extended_key_usages = match member.role {
            Role::Coordinator => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Role::Holder | Role::DataOwner | Role::Researcher => {
                vec![ExtendedKeyUsagePurpose::ClientAuth]
            }
        };
        Ok(params.signed_by(&PublicKey(member.id), &self.issuer)?.pem())
    }
}

/// Reads a certificate file: the certificate, and the text.
pub(super) fn read_certificate(
    path: &Path,
) -> Result<(CertificateDer<'static>, String), FileError> {
    let pem = files::read_text(path, CERTIFICATE_FILE_BYTES_MAX)?;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| FileError::content(path, "not a certificate (PEM)"))?;
    Ok((certificate, pem))
}

fn params(key: &PartyId, validity: Validity, common_name: &str) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let from = validity.from.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut params = CertificateParams::default();
    params.not_before = epoch + from.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + from + Duration::from_secs(u64::from(validity.days) * 86_400);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Unique per key and time, and positive (RFC 5280, section 4.1.2.2).
    let time = from.as_nanos().to_le_bytes();
    let mut serial = hash(Domain::Authority, &[b"serial", &key.0, &time]).0[..16].to_vec();
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

struct PublicKey(PartyId);

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}
