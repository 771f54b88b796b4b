//! A listener that was killed and is started again tells its members so.
//!
//! They still hold links of its life before, and would wait for [`crate::limits::IDLE_MS`] before they
//! dial again. The tokens of stateless resets (RFC 9000, section 10.3) come from the member's key, so that
//! a listener that knows nothing of a connection any more can prove that it does not, as soon as the
//! other side sends something. An answer is smaller than the packet that it answers: nothing is amplified,
//! and two listeners that answer each other come to an end.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, ServerConfig};
use rand::RngExt as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::net::key::IdentityKey;

/// What the reset key is derived for (BLAKE3, `derive_key`).
const RESET_CONTEXT: &str = "covey/v1/net/stateless reset";

/// Bytes of a connection's name.
const NAME_BYTES: usize = 8;

/// So often at most it answers packets of connections that it does not know: thousands of members hear
/// of a restart within seconds, and nobody can make it send without end.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// An endpoint at `address` whose resets members of its lives before believe.
///
/// # Errors
/// The system's.
pub(super) fn endpoint(
    address: SocketAddr,
    server: ServerConfig,
    key: &IdentityKey,
) -> io::Result<Endpoint> {
    let socket = UdpSocket::bind(address)?;
    let runtime = quinn::default_runtime();
    let runtime = runtime.ok_or_else(|| io::Error::other("not within a tokio runtime"))?;
    let mut config = EndpointConfig::new(Arc::new(Keyed(key.derive(RESET_CONTEXT))));
    config.cid_generator(|| Box::new(Names)).min_reset_interval(RESET_INTERVAL);
    Endpoint::new(config, Some(server), socket, runtime)
}

/// A keyed hash.
struct Keyed(Zeroizing<[u8; 32]>);

impl HmacKey for Keyed {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let hash = blake3::keyed_hash(&self.0, data);
        signature_out.iter_mut().zip(hash.as_bytes()).for_each(|(out, byte)| *out = *byte);
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let hash = blake3::keyed_hash(&self.0, data);
        if hash.as_bytes().ct_eq(signature).into() { Ok(()) } else { Err(CryptoError) }
    }
}

/// Names connections. Not quinn's own names: those are checked by a key that is drawn at each start, and
/// a packet with a name of an earlier life would be dropped without an answer.
struct Names;

impl ConnectionIdGenerator for Names {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::rng().random::<[u8; NAME_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        NAME_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
