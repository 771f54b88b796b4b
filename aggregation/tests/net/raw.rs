//! A dialer that keeps no rules.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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

/// TLS with the files of `member` (or no certificate), offering these protocols.
fn config(
    member: Option<(&Federation, &str)>,
    alpn: &[&[u8]],
    offer: &Offer,
) -> rustls::ClientConfig {
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
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.enable_sni = false;
    config
}

/// Dials `address` over QUIC.
pub(crate) async fn dial(
    address: SocketAddr,
    member: Option<(&Federation, &str)>,
    alpn: &[&[u8]],
    offer: Offer,
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let config = config(member, alpn, &offer);
    let config = QuicClientConfig::try_from(config).expect("a configuration");
    let config = quinn::ClientConfig::new(Arc::new(config));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address"));
    endpoint.expect("a socket").connect_with(config, address, "x.invalid").expect("dialled").await
}

/// A connection over TCP.
pub(crate) type Tls = tokio_rustls::client::TlsStream<TcpStream>;

/// Dials `address` over TCP, and says nothing after the handshake.
pub(crate) async fn dial_tcp(
    address: SocketAddr,
    member: Option<(&Federation, &str)>,
    alpn: &[&[u8]],
) -> std::io::Result<Tls> {
    let config = Arc::new(config(member, alpn, &Offer::Any));
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("x.invalid").expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}

/// A record: its kind, and what is in it.
pub(crate) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let head = u32::try_from(content.len()).expect("short") << 8 | u32::from(kind);
    [&head.to_le_bytes()[..], content].concat()
}

/// What a connection is for: a link, or a further stream of one.
pub(crate) fn opening(bulk: Option<([u8; 16], [u8; 32])>) -> Vec<u8> {
    let content = match bulk {
        None => vec![1, 0],
        Some((link, proof)) => [&[1, 1][..], &link, &proof].concat(),
    };
    record(0, &content)
}

/// Opens a link that says nothing, and waits for what the other side says in the end.
pub(crate) async fn hears(mut stream: Tls) -> String {
    // Whoever has closed already hears nothing.
    let _ = stream.write_all(&opening(None)).await;
    told(&mut stream).await
}

/// What the other side says in the end.
pub(crate) async fn told(stream: &mut Tls) -> String {
    loop {
        let mut head = [0; 4];
        if let Err(error) = stream.read_exact(&mut head).await {
            return raw_error(&error);
        }
        let head = u32::from_le_bytes(head);
        let mut content = vec![0; (head >> 8) as usize];
        if let Err(error) = stream.read_exact(&mut content).await {
            return raw_error(&error);
        }
        if head & 0xff == 5 {
            let code = u32::from_le_bytes(content[..4].try_into().expect("four bytes"));
            return format!("closed {code} {}", String::from_utf8_lossy(&content[4..]));
        }
    }
}

/// The alert in an error, if there is one.
pub(crate) fn raw_error(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::AlertReceived(alert)) => match u8::from(*alert) {
            45 => "certificate_expired".to_owned(),
            48 => "unknown_ca".to_owned(),
            116 => "certificate_required".to_owned(),
            120 => "no_application_protocol".to_owned(),
            other => format!("alert {other}"),
        },
        _ => error.to_string(),
    }
}
