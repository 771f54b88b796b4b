//! Somebody in the path who has the coordinator's key and the owners' keys, and so reads every byte
//! that a client writes, whatever code wrote it. What clients write is passed on to the coordinator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use covey_aggregation::net::Protocol;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// What one client wrote to one stream.
#[derive(Clone, Default)]
pub(crate) struct Written {
    /// Whether it is the first stream of its link.
    pub(crate) is_control: bool,
    pub(crate) bytes: Vec<u8>,
}

/// By the owner's name: what it wrote, stream by stream.
type Capture = Arc<Mutex<BTreeMap<String, Vec<Written>>>>;

/// One stream of an owner.
type Place = (String, usize);

pub(crate) struct Tap {
    pub(crate) address: String,
    capture: Capture,
}

impl Tap {
    /// Stands before the coordinator at `upstream`, whose folder is `coordinator`, for owners with
    /// these folders.
    pub(crate) fn start(
        upstream: &str,
        coordinator: &Path,
        owners: impl IntoIterator<Item = (String, PathBuf)>,
    ) -> Self {
        let read = |(name, folder): (String, PathBuf)| Files::read(&name, &folder);
        let owners: Vec<_> = owners.into_iter().map(read).collect();
        let listen: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let config = server_config(&Files::read("the coordinator", coordinator));
        let endpoint = Endpoint::server(config, listen).expect("bound");
        let address = endpoint.local_addr().expect("bound").to_string();
        let capture = Capture::default();
        let (kept, upstream) = (Arc::clone(&capture), upstream.parse().expect("an address"));
        let owners = Arc::new(owners);
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let (owners, kept) = (Arc::clone(&owners), Arc::clone(&kept));
                tokio::spawn(async move {
                    // A client that gave up meanwhile.
                    let Ok(client) = incoming.await else { return };
                    let owner = owners.iter().find(|owner| owner.is(&client)).expect("an owner");
                    carry(owner, client, upstream, kept).await;
                });
            }
        });
        Self { address, capture }
    }

    /// Everything that an owner wrote so far.
    pub(crate) fn written(&self, owner: &str) -> Vec<Written> {
        let capture = self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        capture.get(owner).cloned().unwrap_or_default()
    }

    /// How many bytes an owner wrote so far.
    pub(crate) fn bytes(&self, owner: &str) -> usize {
        self.written(owner).iter().map(|stream| stream.bytes.len()).sum()
    }
}

/// A member's certificate and key.
struct Files {
    name: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Files {
    fn read(name: &str, folder: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(folder.join("member.pem")).expect("read");
        let key = PrivateKeyDer::from_pem_file(folder.join("identity.key")).expect("read");
        Self { name: name.to_owned(), certificate, key }
    }

    fn is(&self, peer: &Connection) -> bool {
        let identity = peer.peer_identity().expect("a certificate");
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().expect("certificates");
        chain.first() == Some(&self.certificate)
    }
}

async fn carry(owner: &Files, client: Connection, upstream: SocketAddr, capture: Capture) {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let connecting = endpoint.connect_with(client_config(owner), upstream, "x.invalid");
    let coordinator = connecting.expect("dialled").await.expect("a coordinator");
    let streams = async {
        let mut is_control = true;
        while let Ok((answers, asked)) = client.accept_bi().await {
            let Ok((asks, answered)) = coordinator.open_bi().await else { return };
            let place = {
                let mut capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
                let written = capture.entry(owner.name.clone()).or_default();
                written.push(Written { is_control, bytes: Vec::new() });
                (owner.name.clone(), written.len() - 1)
            };
            is_control = false;
            tokio::spawn(pump(asked, asks, Some((Arc::clone(&capture), place))));
            tokio::spawn(pump(answered, answers, None));
        }
    };
    tokio::select! {
        () = streams => {}
        Ok(_) = client.accept_uni() => panic!("a client opened a stream of one way"),
        _ = client.read_datagram() => {}
        _ = coordinator.closed() => {}
    }
    // Whoever ended it, the other side hears of it.
    let code = |lost: Option<quinn::ConnectionError>| match lost {
        Some(quinn::ConnectionError::ApplicationClosed(close)) => close.error_code,
        _ => VarInt::from_u32(0),
    };
    coordinator.close(code(client.close_reason()), b"");
    client.close(code(coordinator.close_reason()), b"");
    endpoint.wait_idle().await;
}

async fn pump(mut from: RecvStream, mut to: SendStream, keep: Option<(Capture, Place)>) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match from.read(&mut bytes).await {
            Ok(Some(read)) => {
                if let Some((capture, (owner, stream))) = &keep {
                    let mut capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
                    let written = &mut capture.get_mut(owner).expect("begun")[*stream];
                    written.bytes.extend_from_slice(&bytes[..read]);
                }
                if to.write_all(&bytes[..read]).await.is_err() {
                    let _ = from.stop(VarInt::from_u32(0));
                    return;
                }
            }
            Ok(None) => {
                let _ = to.finish();
                let _ = to.stopped().await;
                return;
            }
            Err(_) => {
                let _ = to.reset(VarInt::from_u32(0));
                return;
            }
        }
    }
}

fn server_config(coordinator: &Files) -> quinn::ServerConfig {
    let mut config =
        rustls::ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(Arc::new(TrustAll))
            .with_single_cert(vec![coordinator.certificate.clone()], coordinator.key.clone_key())
            .expect("a configuration");
    config.alpn_protocols = vec![Protocol::Link.newest()];
    let config = QuicServerConfig::try_from(config).expect("a configuration");
    quinn::ServerConfig::with_crypto(Arc::new(config))
}

fn client_config(owner: &Files) -> quinn::ClientConfig {
    let mut config =
        rustls::ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAll))
            .with_client_auth_cert(vec![owner.certificate.clone()], owner.key.clone_key())
            .expect("a configuration");
    config.alpn_protocols = vec![Protocol::Link.newest()];
    let config = QuicClientConfig::try_from(config).expect("a configuration");
    quinn::ClientConfig::new(Arc::new(config))
}

/// The tap does not care who it stands between: the coordinator and the clients still do.
#[derive(Debug)]
struct TrustAll;

impl ClientCertVerifier for TrustAll {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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
