//! The certificate that somebody shows who has none yet: self-signed, for the key that it wants to
//! become a member with. It opens nothing but enrolment; the handshake proves that its bearer holds the
//! key, so that a request for another key is told at once.

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::net::key::IdentityKey;
use crate::party::PartyId;

/// The only name in such a certificate.
const NEWCOMER_URI: &str = "covey-newcomer:1";

/// Makes a newcomer's certificate. Its dates do not count: who may come is for the invite to say.
pub(super) fn certificate(key: &IdentityKey) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "a newcomer");
    params.subject_alt_names = vec![SanType::URI(NEWCOMER_URI.try_into()?)];
    Ok(params.self_signed(&key.pair()?)?.der().clone())
}

/// The key of a newcomer's certificate; none of any other certificate.
pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<PartyId> {
    if certificate.len() > CERTIFICATE_BYTES_MAX {
        return None;
    }
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten()?;
    let is_newcomer = matches!(
        names.value.general_names.as_slice(),
        [GeneralName::URI(uri)] if *uri == NEWCOMER_URI
    );
    let spki = parsed.public_key();
    let is_ed25519 = spki.algorithm.algorithm == x509_parser::oid_registry::OID_SIG_ED25519;
    let key = <[u8; 32]>::try_from(&*spki.subject_public_key.data).ok()?;
    (rest.is_empty() && is_newcomer && is_ed25519).then_some(PartyId(key))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::net::certificate::Claim;

    #[test]
    fn a_newcomers_certificate_names_its_key_and_no_member() {
        let key = IdentityKey::from_seed(Zeroizing::new([5; 32]));
        let made = certificate(&key).expect("made");
        assert_eq!(read(&made), Some(key.id()));
        assert!(Claim::read(&made).is_err(), "it makes nobody a member");
        assert_eq!(read(&CertificateDer::from(vec![0; 40])), None);
    }
}
