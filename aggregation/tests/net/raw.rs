//! A dialer that keeps no rules.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::federation::Federation;

#[derive(Debug)]
struct TrustAll;

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Key exchange that a raw dialer offers.
pub(crate) enum Offer {
    PostQuantumOnly,
    Any,
}

/// Dials `address` with the files of `member` (or no certificate), offering protocol `alpn`.
pub(crate) async fn dial(
    address: SocketAddr,
    member: Option<(&Federation, &str)>,
    alpn: &[u8],
    offer: Offer,
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let mut provider = aws_lc_rs::default_provider();
    if matches!(offer, Offer::PostQuantumOnly) {
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    }
    let builder = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAll));
    let mut config = match member {
        Some((federation, member)) => {
            let folder = federation.path(member);
            let chain = CertificateDer::from_pem_file(folder.join("member.pem")).expect("read");
            let key = PrivateKeyDer::from_pem_file(folder.join("identity.key")).expect("read");
            builder.with_client_auth_cert(vec![chain], key).expect("a configuration")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let config = QuicClientConfig::try_from(config).expect("a configuration");
    let config = quinn::ClientConfig::new(Arc::new(config));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address"));
    endpoint.expect("a socket").connect_with(config, address, "x.invalid").expect("dialled").await
}
