//! Cosignatures: a witness's word that a checkpoint follows from those it has seen, and when
//! ([C2SP tlog-cosignature](https://c2sp.org/tlog-cosignature), `cosignature/v1`).

use covey_aggregation::signing::{BadNoteText, Identity, Signature};

use crate::note::{Algorithm, KeyName, SignatureLine, VerifierKey};

/// Bytes of a cosignature: its time and an Ed25519 signature.
const COSIGNATURE_BYTES: usize = 8 + 64;

/// A cosignature does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cosignature of {witness} is not by its key or not over this checkpoint")]
pub struct BadCosignature {
    /// Whose it claims to be.
    pub witness: KeyName,
}

/// Cosigns a note's text as `name`, at `time_s` (seconds since 1970).
///
/// # Errors
/// [`BadNoteText`] when a note cannot have this text.
pub fn cosign(
    text: &str,
    name: KeyName,
    time_s: u64,
    identity: &Identity,
) -> Result<SignatureLine, BadNoteText> {
    let signature = identity.sign_note(&signed(text, time_s))?.to_bytes();
    let id = VerifierKey::new(name.clone(), Algorithm::Cosignature, identity.id()).id();
    Ok(SignatureLine {
        name,
        id,
        signature: [time_s.to_be_bytes().as_slice(), &signature].concat(),
    })
}

/// Checks a cosignature by `key` over a note's text; its time in seconds since 1970.
///
/// # Errors
/// [`BadCosignature`] when it is no cosignature, or not by this key over this text.
pub fn check(text: &str, key: &VerifierKey, line: &SignatureLine) -> Result<u64, BadCosignature> {
    let bad = || BadCosignature { witness: key.name.clone() };
    let bytes: &[u8; COSIGNATURE_BYTES] =
        line.signature.as_slice().try_into().map_err(|_| bad())?;
    let (time, signature) = bytes.split_first_chunk::<8>().ok_or_else(bad)?;
    let signature = Signature::from_bytes(signature.try_into().map_err(|_| bad())?);
    let time_s = u64::from_be_bytes(*time);
    // The specification's limit, which lets other implementations use signed numbers.
    if !key.is_of(line) || key.algorithm != Algorithm::Cosignature || time_s > i64::MAX as u64 {
        return Err(bad());
    }
    key.key.verify_note(&signed(text, time_s), &signature).map_err(|_| bad())?;
    Ok(time_s)
}

fn signed(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use crate::note::Note;

    use super::*;

    const TEXT: &str = "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn witness() -> (Identity, VerifierKey) {
        let identity = Identity::from_seed(&Zeroizing::new([9; 32]));
        let name = "log/w1".parse().expect("a name");
        let key = VerifierKey::new(name, Algorithm::Cosignature, identity.id());
        (identity, key)
    }

    #[test]
    fn a_cosignature_holds_for_its_text_time_and_key() {
        let (identity, key) = witness();
        let line = cosign(TEXT, key.name.clone(), 1_679_315_147, &identity).expect("a text");
        assert_eq!(check(TEXT, &key, &line), Ok(1_679_315_147));
        let bad = Err(BadCosignature { witness: key.name.clone() });
        assert_eq!(check(&TEXT.replace('1', "2"), &key, &line), bad);
        for byte in 0..line.signature.len() {
            let mut changed = line.clone();
            changed.signature[byte] ^= 1;
            assert_eq!(check(TEXT, &key, &changed), bad, "byte {byte}");
        }
        let short = SignatureLine { signature: line.signature[..71].to_vec(), ..line.clone() };
        assert_eq!(check(TEXT, &key, &short), bad);
        let other = VerifierKey { name: "log/w2".parse().expect("a name"), ..key };
        assert!(check(TEXT, &other, &line).is_err());
    }

    #[test]
    fn the_bytes_signed_are_those_of_the_specification() {
        let (identity, key) = witness();
        let line = cosign(TEXT, key.name, 7, &identity).expect("a text");
        let signature = Signature::from_bytes(line.signature[8..].try_into().expect("64 bytes"));
        let signed = format!("cosignature/v1\ntime 7\n{TEXT}");
        assert_eq!(identity.id().verify_note(&signed, &signature), Ok(()));
        assert_eq!(line.signature[..8], 7u64.to_be_bytes());
    }

    #[test]
    fn a_plain_signature_by_a_witness_is_no_cosignature() {
        let (identity, key) = witness();
        let note = Note::sign(TEXT.to_owned(), key.name.clone(), &identity).expect("a text");
        assert!(check(TEXT, &key, &note.signatures()[0]).is_err());
        let past = u64::MAX - 1;
        let line = cosign(TEXT, key.name.clone(), past, &identity).expect("a text");
        assert!(check(TEXT, &key, &line).is_err(), "a time beyond the specification's");
    }
}
