//! Sealed boxes, put together from the standard primitives.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use libcrux_ml_kem::mlkem768;

use super::bytes::hash;

/// Where a box belongs.
pub(crate) struct Place<'a> {
    pub(crate) round_ctx: &'a [u8],
    pub(crate) client: &'a [u8],
    pub(crate) holder: u8,
}

/// The key of a box (from the holder's 96 secret bytes) and its contents, if it opens.
pub(crate) fn open(seed: &[u8], place: &Place<'_>, sealed: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let (secret, public) =
        mlkem768::generate_key_pair(seed[..64].try_into().expect("64 bytes")).into_parts();
    let curve_secret: [u8; 32] = seed[64..].try_into().expect("32 bytes");
    let curve_secret = x25519_dalek::StaticSecret::from(curve_secret);
    let curve_public = x25519_dalek::PublicKey::from(&curve_secret);
    let (ciphertext, ephemeral) = (sealed.get(..1088)?, sealed.get(1088..1120)?);
    let kem = mlkem768::decapsulate(
        &secret,
        &mlkem768::MlKem768Ciphertext::try_from(ciphertext).expect("1088 bytes"),
    );
    let their: [u8; 32] = ephemeral.try_into().expect("32 bytes");
    let curve = curve_secret.diffie_hellman(&x25519_dalek::PublicKey::from(their));
    let key = hash(
        "box-key",
        &[
            &kem,
            curve.as_bytes(),
            ciphertext,
            ephemeral,
            public.as_slice(),
            curve_public.as_bytes(),
            place.round_ctx,
            place.client,
            &[place.holder],
        ],
    );
    let contents = open_with(&key, sealed)?;
    Some((key, contents))
}

/// The contents of a box under its key, if it opens.
pub(crate) fn open_with(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::default();
    ChaCha20Poly1305::new(key.into()).decrypt(&nonce, sealed.get(1120..)?).ok()
}

/// What the header says of a box's key.
pub(crate) fn commitment(place: &Place<'_>, key: &[u8; 32]) -> [u8; 32] {
    hash("box-key-commitment", &[place.round_ctx, place.client, &[place.holder], key])
}

/// A holder's public keys: ML-KEM-768, X25519.
pub(crate) fn public_keys(seed: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let pair = mlkem768::generate_key_pair(seed[..64].try_into().expect("64 bytes"));
    let curve: [u8; 32] = seed[64..].try_into().expect("32 bytes");
    let curve = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(curve));
    (pair.public_key().as_slice().to_vec(), curve.to_bytes())
}
