//! The handshake: TLS 1.3 only, certificates on both sides, post-quantum key exchange first.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::hash::Digest;
use crate::net::certificate::{Claim, Side, Stranger, authority_digest};
use crate::net::invite::Invite;
use crate::net::key::IdentityKey;
use crate::net::membership::Membership;
use crate::net::newcomer;
use crate::net::version::{Protocol, Versions};
use crate::party::{Name, Role};

/// The cryptography of TLS: AWS-LC, with X25519MLKEM768 before X25519, and nothing else.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    Arc::new(provider)
}

/// Where a verifier leaves the reason why it refused; the handshake's error has room for text
/// only.
pub(super) type Refused = Arc<Mutex<Option<Stranger>>>;

/// Takes the reason why the peer's certificate was refused, if that is what went wrong.
pub(super) fn take(refused: &Refused) -> Option<Stranger> {
    refused.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Where a listener leaves the names of the protocols that a dialer offers.
pub(super) type Offered = Arc<Mutex<Vec<Vec<u8>>>>;

/// TLS for a listener.
pub(super) fn server_config(
    membership: &Arc<Membership>,
    versions: &Versions,
    (refused, offered): (&Refused, &Offered),
) -> Result<rustls::ServerConfig, Error> {
    let verifier = Verifier::new(membership, Side::Dialer, refused);
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(OwnCertificates::of(membership, offered)?));
    config.alpn_protocols = versions.taken();
    // No resumption: a member that left the roster must not come back with an old ticket.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// TLS for a member that dials: for a link, or to renew its certificate or to leave.
pub(super) fn client_config(
    membership: &Arc<Membership>,
    (protocol, versions): (Protocol, &Versions),
    refused: &Refused,
) -> Result<rustls::ClientConfig, Error> {
    let verifier = Verifier::new(membership, Side::Listener, refused);
    let (certificate, secret) = (membership.certificate(), secret(membership));
    dialing(Arc::new(verifier), certificate, secret, versions.offer(protocol))
}

/// TLS for somebody who comes with an invite; `seen` is where the authority's certificate is left.
pub(super) fn newcomer_config(
    invite: &Invite,
    key: &IdentityKey,
    versions: &Versions,
    (refused, seen): (&Refused, &SeenAuthority),
) -> Result<rustls::ClientConfig, Error> {
    let (federation, authority) = (invite.federation.clone(), invite.authority);
    let (refused, seen) = (Arc::clone(refused), Arc::clone(seen));
    let trust = Trust::Invite { federation, authority, seen };
    let verifier = Verifier { trust, side: Side::Listener, refused, provider: provider() };
    let certificate =
        newcomer::certificate(key).map_err(|error| Error::General(error.to_string()))?;
    let secret = PrivateKeyDer::Pkcs8(key.pkcs8());
    dialing(Arc::new(verifier), certificate, secret, versions.offer(Protocol::Enrolment))
}

fn dialing(
    verifier: Arc<dyn ServerCertVerifier>,
    certificate: CertificateDer<'static>,
    secret: PrivateKeyDer<'static>,
    offer: Vec<Vec<u8>>,
) -> Result<rustls::ClientConfig, Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![certificate], secret)?;
    config.alpn_protocols = offer;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

fn secret(membership: &Membership) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(membership.tls_key())
}

/// Checks the other side's certificate. A dialer checks everything before it sends its own; a
/// listener checks authority and dates here and the roster right after, so that it can say why.
struct Verifier {
    trust: Trust,
    /// The side whose certificates are checked.
    side: Side,
    refused: Refused,
    provider: Arc<CryptoProvider>,
}

/// By what a certificate is checked.
enum Trust {
    /// A member's authority and roster.
    Member(Arc<Membership>),
    /// What an invite says of the authority, whose certificate comes with the coordinator's and is left
    /// in `seen`.
    Invite { federation: Name, authority: Digest, seen: SeenAuthority },
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("side", &self.side).finish_non_exhaustive()
    }
}

impl Verifier {
    fn new(membership: &Arc<Membership>, side: Side, refused: &Refused) -> Self {
        let (trust, refused) = (Trust::Member(Arc::clone(membership)), Arc::clone(refused));
        Self { trust, side, refused, provider: provider() }
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let checked = match &self.trust {
            Trust::Member(membership) => {
                self.check_as_member(membership, certificate, intermediates, now)
            }
            Trust::Invite { federation, authority, seen } => {
                let of = (federation, authority, seen);
                check_as_invited(of, certificate, intermediates, now)
            }
        };
        checked.map_err(|stranger| {
            let error = tls_error(&stranger);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(stranger);
            error
        })
    }

    fn check_as_member(
        &self,
        membership: &Membership,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Stranger> {
        let authority = membership.authority();
        // The authority's own may come with it, for those who enrol.
        if intermediates.iter().any(|other| other != authority) {
            return Err(Stranger::Malformed("more than one certificate".to_owned()));
        }
        if self.side == Side::Dialer && newcomer::read(certificate).is_some() {
            // Opens nothing but enrolment, which the listener sees to.
            return Ok(());
        }
        let claim = Claim::read(certificate)?;
        let federation = membership.federation();
        claim.check_authority(certificate, authority, federation, self.side, now)?;
        if self.side == Side::Listener {
            claim.check_member(membership.roster(), &[Role::Coordinator])?;
        }
        Ok(())
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

/// Checks a coordinator's certificate by what an invite says of its authority.
fn check_as_invited(
    (federation, authority, seen): (&Name, &Digest, &SeenAuthority),
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Stranger> {
    let claim = Claim::read(certificate)?;
    let (name, got) = (claim.name.clone(), claim.role);
    let [issuer] = intermediates else {
        return Err(Stranger::WrongAuthority { name });
    };
    if authority_digest(issuer) != *authority {
        return Err(Stranger::WrongAuthority { name });
    }
    let issuer = issuer.clone().into_owned();
    claim.check_authority(certificate, &issuer, federation, Side::Listener, now)?;
    if got != Role::Coordinator {
        return Err(Stranger::WrongRole { name, got, wanted: Role::Coordinator.to_string() });
    }
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(issuer);
    Ok(())
}

/// The error whose TLS alert (RFC 8446, section 6.2) tells the peer the kind of fault.
fn tls_error(stranger: &Stranger) -> Error {
    Error::InvalidCertificate(match stranger {
        Stranger::OtherFederation { .. } | Stranger::WrongAuthority { .. } => {
            CertificateError::UnknownIssuer
        }
        Stranger::Expired { .. } => CertificateError::Expired,
        Stranger::NotYetValid { .. } => CertificateError::NotValidYet,
        Stranger::NotInRoster { .. }
        | Stranger::ShutOut { .. }
        | Stranger::WrongRole { .. }
        | Stranger::OtherKey { .. } => CertificateError::ApplicationVerificationFailure,
        Stranger::Malformed(_) => CertificateError::Other(OtherError(Arc::new(stranger.clone()))),
    })
}

const ONLY_TLS13: Error = Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(ONLY_TLS13)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(ONLY_TLS13)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A listener's certificate; with the authority's beside it for those who enrol, as a newcomer has
/// nothing but its digest.
struct OwnCertificates {
    offered: Offered,
    own: Arc<CertifiedKey>,
    with_authority: Arc<CertifiedKey>,
}

impl std::fmt::Debug for OwnCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCertificates").finish_non_exhaustive()
    }
}

impl OwnCertificates {
    fn of(membership: &Membership, offered: &Offered) -> Result<Self, Error> {
        let secret = secret(membership);
        let (own, authority) = (membership.certificate(), membership.authority().clone());
        let certified = |chain: Vec<CertificateDer<'static>>| {
            let key = provider().key_provider.load_private_key(secret.clone_key())?;
            Ok::<_, Error>(Arc::new(CertifiedKey::new(chain, key)))
        };
        let (own, with_authority) =
            (certified(vec![own.clone()])?, certified(vec![own, authority])?);
        Ok(Self { offered: Arc::clone(offered), own, with_authority })
    }
}

impl ResolvesServerCert for OwnCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A hello is bounded by TLS itself: these are some thousand names at most.
        let offered: Vec<_> = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
        let enrols = offered.iter().any(|name| name.starts_with(Protocol::Enrolment.prefix()));
        *self.offered.lock().unwrap_or_else(PoisonError::into_inner) = offered;
        Some(Arc::clone(if enrols { &self.with_authority } else { &self.own }))
    }
}

/// Where the certificate of an invite's authority is left.
pub(super) type SeenAuthority = Arc<Mutex<Option<CertificateDer<'static>>>>;
