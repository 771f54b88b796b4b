//! Boxes that only one holder can open: ML-KEM-768 (FIPS 203) and X25519 (RFC 7748) together, in
//! the manner of X-Wing (draft-connolly-cfrg-xwing-kem): the key is a hash of both secrets, both
//! ciphertexts, both public keys, the round, the client and the holder, so the box is safe while
//! either of the two is, and means something in one place only. Contents: ChaCha20-Poly1305
//! (RFC 8439) under nonce 0, each key being used once.
//!
//! A box is `ML-KEM ciphertext (1088) || X25519 public key (32) || contents || tag (16)`.
//!
//! ChaCha20-Poly1305 does not commit to its key, so the header carries a commitment to it
//! (`BoxKey::commitment`): that is what makes a complaint checkable.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PrivateKey, MlKem768PublicKey};
use x25519_dalek::{EphemeralSecret, PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::config::{HolderIndex, SealingKey};
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;

/// Bytes of an ML-KEM-768 ciphertext.
const ML_KEM_CIPHERTEXT_BYTES: usize = 1088;
/// Bytes of an X25519 public key.
const X25519_BYTES: usize = 32;
/// Bytes of a Poly1305 tag.
const TAG_BYTES: usize = 16;

/// Bytes that a box is longer than its contents.
pub(crate) const OVERHEAD_BYTES: usize = ML_KEM_CIPHERTEXT_BYTES + X25519_BYTES + TAG_BYTES;

/// A holder's secret keys. Zeroised when dropped; no `Debug`, no `Clone`.
pub struct SealingSecret {
    ml_kem: Box<DecapsulationKey>,
    x25519: StaticSecret,
    public: SealingKey,
}

/// Zeroised when dropped, which the library's own type is not.
struct DecapsulationKey(MlKem768PrivateKey);

impl Drop for DecapsulationKey {
    fn drop(&mut self) {
        let length = MlKem768PrivateKey::len();
        self.0[0..length].zeroize();
    }
}

impl SealingSecret {
    /// From 96 secret bytes: 64 for ML-KEM-768 (d, z of FIPS 203), 32 for X25519.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 96]>) -> Self {
        let (kem_seed, curve_seed) = seed.split_at(64);
        let kem_seed = kem_seed.try_into().expect("64 bytes");
        let mut curve_seed: [u8; 32] = curve_seed.try_into().expect("32 bytes");
        let (ml_kem, encapsulation_key) = mlkem768::generate_key_pair(kem_seed).into_parts();
        let x25519 = StaticSecret::from(curve_seed);
        curve_seed.zeroize();
        let public = SealingKey {
            ml_kem: encapsulation_key.as_slice().to_vec().into(),
            x25519: PublicKey::from(&x25519).to_bytes(),
        };
        Self { ml_kem: Box::new(DecapsulationKey(ml_kem)), x25519, public }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SealingKey {
        self.public.clone()
    }
}

/// Where a box belongs. Part of its key.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) round_ctx: &'a Digest,
    pub(crate) client: &'a PartyId,
    pub(crate) holder: HolderIndex,
}

/// The AEAD key of one box.
pub(crate) struct BoxKey(Zeroizing<[u8; 32]>);

impl BoxKey {
    /// A key that somebody published.
    pub(crate) fn published(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Gives the key away, for a complaint.
    pub(crate) fn publish(&self) -> [u8; 32] {
        *self.0
    }

    /// What the header says of this key.
    pub(crate) fn commitment(&self, place: Place<'_>) -> Digest {
        let Place { round_ctx, client, holder } = place;
        hash(Domain::BoxKeyCommitment, &[&round_ctx.0, &client.0, &[holder.0], &self.0[..]])
    }

    /// Opens a box; `None` when it was not made under this key.
    pub(crate) fn open(&self, sealed_box: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let sealed = sealed_box.get(ML_KEM_CIPHERTEXT_BYTES + X25519_BYTES..)?;
        let (contents, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        let mut contents = Zeroizing::new(contents.to_vec());
        let tag = tag.try_into().ok()?;
        let buffer = InOutBuf::from(contents.as_mut_slice());
        self.cipher().decrypt_inout_detached(&[0; 12].into(), &[], buffer, &tag).ok()?;
        Some(contents)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}

/// A holder's public key is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadSealingKey;

/// Seals `contents`; also returns the key, for its commitment.
pub(crate) fn seal(
    to: &SealingKey,
    place: Place<'_>,
    contents: &[u8],
    rng: &mut impl rand_core::CryptoRng,
) -> Result<(Vec<u8>, BoxKey), BadSealingKey> {
    let encapsulation_key =
        MlKem768PublicKey::try_from(to.ml_kem.as_slice()).map_err(|_| BadSealingKey)?;
    if !mlkem768::validate_public_key(&encapsulation_key) {
        return Err(BadSealingKey);
    }
    let mut message = [0; libcrux_ml_kem::SHARED_SECRET_SIZE];
    rng.fill_bytes(&mut message);
    let (ciphertext, mut kem_secret) = mlkem768::encapsulate(&encapsulation_key, message);
    message.zeroize();
    let ephemeral = EphemeralSecret::random_from_rng(rng);
    let ephemeral_public = PublicKey::from(&ephemeral);
    let curve_secret = ephemeral.diffie_hellman(&PublicKey::from(to.x25519));
    let transcript =
        Transcript { to, ciphertext: ciphertext.as_slice(), ephemeral: &ephemeral_public };
    let key = transcript.key(&kem_secret, curve_secret.as_bytes(), place);
    kem_secret.zeroize();

    let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + contents.len());
    sealed.extend_from_slice(ciphertext.as_slice());
    sealed.extend_from_slice(ephemeral_public.as_bytes());
    let start = sealed.len();
    sealed.extend_from_slice(contents);
    let buffer = InOutBuf::from(&mut sealed[start..]);
    let tag = key
        .cipher()
        .encrypt_inout_detached(&[0; 12].into(), &[], buffer)
        .expect("contents are far below the cipher's limit");
    sealed.extend_from_slice(&tag);
    Ok((sealed, key))
}

/// The key of a box, as its holder finds it; `None` when the box is too short to have one.
pub(crate) fn decapsulate(
    secret: &SealingSecret,
    place: Place<'_>,
    sealed_box: &[u8],
) -> Option<BoxKey> {
    let (ciphertext, rest) = sealed_box.split_at_checked(ML_KEM_CIPHERTEXT_BYTES)?;
    let ciphertext = MlKem768Ciphertext::try_from(ciphertext).ok()?;
    let ephemeral: [u8; 32] = *rest.first_chunk()?;
    let ephemeral = PublicKey::from(ephemeral);
    let mut kem_secret = mlkem768::decapsulate(&secret.ml_kem.0, &ciphertext);
    let curve_secret = secret.x25519.diffie_hellman(&ephemeral);
    let transcript =
        Transcript { to: &secret.public, ciphertext: ciphertext.as_slice(), ephemeral: &ephemeral };
    let key = transcript.key(&kem_secret, curve_secret.as_bytes(), place);
    kem_secret.zeroize();
    Some(key)
}

/// The public bytes of one key agreement.
struct Transcript<'a> {
    to: &'a SealingKey,
    ciphertext: &'a [u8],
    ephemeral: &'a PublicKey,
}

impl Transcript<'_> {
    fn key(&self, kem_secret: &[u8], curve_secret: &[u8], place: Place<'_>) -> BoxKey {
        let parts: [&[u8]; 9] = [
            kem_secret,
            curve_secret,
            self.ciphertext,
            self.ephemeral.as_bytes(),
            &self.to.ml_kem,
            &self.to.x25519,
            &place.round_ctx.0,
            &place.client.0,
            &[place.holder.0],
        ];
        BoxKey(Zeroizing::new(hash(Domain::BoxKey, &parts).0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sum::xof::Xof;

    fn secret(byte: u8) -> SealingSecret {
        SealingSecret::from_seed(&Zeroizing::new([byte; 96]))
    }

    #[test]
    fn only_its_holder_in_its_place_finds_the_key() {
        let (holder, other) = (secret(1), secret(2));
        let (round, client) = (Digest([3; 32]), PartyId([4; 32]));
        let place = Place { round_ctx: &round, client: &client, holder: HolderIndex(0) };
        let contents = [5; 96];
        let mut rng = Xof::new(&[6; 32], 0);
        let (sealed, key) = seal(&holder.public(), place, &contents, &mut rng).expect("a key");
        assert_eq!(sealed.len(), OVERHEAD_BYTES + 96);

        let found = decapsulate(&holder, place, &sealed).expect("long enough");
        assert_eq!(found.publish(), key.publish());
        assert_eq!(found.commitment(place), key.commitment(place));
        assert_eq!(found.open(&sealed).expect("opens")[..], contents);

        let elsewhere = [
            Place { round_ctx: &Digest([9; 32]), ..place },
            Place { client: &PartyId([9; 32]), ..place },
            Place { holder: HolderIndex(1), ..place },
        ];
        for place in elsewhere {
            let found = decapsulate(&holder, place, &sealed).expect("long enough");
            assert!(found.open(&sealed).is_none());
            assert_ne!(key.commitment(place), found.commitment(place));
        }
        let found = decapsulate(&other, place, &sealed).expect("long enough");
        assert!(found.open(&sealed).is_none());
    }

    #[test]
    fn any_changed_byte_closes_the_box() {
        let holder = secret(1);
        let (round, client) = (Digest([3; 32]), PartyId([4; 32]));
        let place = Place { round_ctx: &round, client: &client, holder: HolderIndex(0) };
        let mut rng = Xof::new(&[6; 32], 0);
        let (sealed, _) = seal(&holder.public(), place, &[5; 96], &mut rng).expect("a key");
        for at in (0..sealed.len()).step_by(37).chain([1087, 1088, 1119, 1120, sealed.len() - 1]) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            // RFC 7748 ignores the top bit of a public key; the transcript does not.
            let key = decapsulate(&holder, place, &changed).expect("long enough");
            assert!(key.open(&changed).is_none(), "byte {at}");
        }
        for length in [0, 1087, 1119, 1120, 1135] {
            let cut = &sealed[..length];
            let opened = decapsulate(&holder, place, cut).and_then(|key| key.open(cut));
            assert!(opened.is_none(), "{length} bytes");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let mut key = secret(1).public();
        // Coefficients of 12 bits must be below 3329 (FIPS 203, section 7.2).
        Arc::make_mut(&mut key.ml_kem)[..3].fill(0xff);
        let place =
            Place { round_ctx: &Digest::ZERO, client: &PartyId([0; 32]), holder: HolderIndex(0) };
        let mut rng = Xof::new(&[6; 32], 0);
        assert!(seal(&key, place, &[0; 96], &mut rng).is_err());
        Arc::make_mut(&mut key.ml_kem).truncate(1000);
        assert!(seal(&key, place, &[0; 96], &mut rng).is_err());
    }
}
