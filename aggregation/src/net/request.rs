//! What a newcomer sends to the federation's operator: its public keys and the proof that it
//! holds the secret ones. Holds no secret, so any channel will do; who vouches that the file is
//! really that person's is the operator.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::SealingKey;
use crate::hash::Digest;
use crate::limits::REQUEST_BYTES_MAX;
use crate::net::files::{self, FileError};
use crate::net::key::IdentityKey;
use crate::net::text::{from_hex, party_from_hex, party_to_hex, signature_from_hex, to_hex};
use crate::party::{Name, PartyId, Role};
use crate::roster::Member;
use crate::signing::{Signature, Statement};
use crate::wire;

/// The file's name in a member's folder.
pub const REQUEST_FILE: &str = "request.json";

const SCHEMA: &str = "covey-request/1";

/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203, table 3).
const ML_KEM_BYTES: usize = 1184;

/// A request for a certificate, checked: whoever made it holds the secret keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    member: Member,
    csr_pem: String,
    sealing_signature: Option<Signature>,
}

/// Why a request proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not this kind of file.
    #[error("not a request of this version: {0}")]
    Shape(String),
    /// The certificate signing request is broken, or not signed by its own key.
    #[error("the certificate signing request in it is not valid: {0}")]
    Csr(String),
    /// The signing request is for another key than the one named.
    #[error("the certificate signing request is for another key than \"id\" says")]
    OtherKey,
    /// A holder without sealing keys, or somebody else with some.
    #[error("sealing keys belong in the request of a holder, and in no other")]
    SealingKeys,
    /// The sealing keys are not signed by the holder's key.
    #[error("the sealing keys are not signed by the holder's own key")]
    SealingSignature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestText {
    schema: String,
    name: Name,
    role: Role,
    id: String,
    csr: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sealing: Option<SealingText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealingText {
    ml_kem: String,
    x25519: String,
    signature: String,
}

impl Request {
    /// Makes a request. Holders give their public sealing keys, nobody else does.
    ///
    /// # Errors
    /// [`BadRequest::SealingKeys`] when that is not so; [`BadRequest::Csr`] when the library
    /// cannot sign.
    pub fn create(
        key: &IdentityKey,
        name: Name,
        role: Role,
        sealing_key: Option<SealingKey>,
    ) -> Result<Self, BadRequest> {
        if sealing_key.is_some() != (role == Role::Holder) {
            return Err(BadRequest::SealingKeys);
        }
        let csr = |error: rcgen::Error| BadRequest::Csr(error.to_string());
        let pair = key.pair().map_err(csr)?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name.as_str());
        let csr_pem = params.serialize_request(&pair).and_then(|csr| csr.pem()).map_err(csr)?;
        let sealing_signature = sealing_key.as_ref().map(|sealing_key| {
            let body = sealing_body(&name, sealing_key);
            key.identity().sign(Statement::SealingKeys, &Digest::ZERO, &body)
        });
        let member = Member { name, id: key.id(), role, sealing_key };
        Ok(Self { member, csr_pem, sealing_signature })
    }

    /// The member this request would become.
    #[must_use]
    pub const fn member(&self) -> &Member {
        &self.member
    }

    /// As text, for [`REQUEST_FILE`].
    #[must_use]
    pub fn to_json(&self) -> String {
        let sealing = self.member.sealing_key.as_ref().zip(self.sealing_signature);
        let text = RequestText {
            schema: SCHEMA.to_owned(),
            name: self.member.name.clone(),
            role: self.member.role,
            id: party_to_hex(&self.member.id),
            csr: self.csr_pem.clone(),
            sealing: sealing.map(|(key, signature)| SealingText {
                ml_kem: to_hex(&key.ml_kem),
                x25519: to_hex(&key.x25519),
                signature: to_hex(&signature.to_bytes()),
            }),
        };
        let mut json = serde_json::to_string_pretty(&text).unwrap_or_default();
        json.push('\n');
        json
    }

    /// Parses and checks every proof in a request.
    ///
    /// # Errors
    /// [`BadRequest`] by the first proof that fails.
    pub fn from_json(text: &str) -> Result<Self, BadRequest> {
        let shape = |what: &str| BadRequest::Shape(what.to_owned());
        let text: RequestText =
            serde_json::from_str(text).map_err(|error| BadRequest::Shape(error.to_string()))?;
        if text.schema != SCHEMA {
            return Err(BadRequest::Shape(format!("schema {:?}, not {SCHEMA:?}", text.schema)));
        }
        let id = party_from_hex(&text.id).ok_or_else(|| shape("\"id\" is no key"))?;
        check_csr(&text.csr, &id)?;
        if text.sealing.is_some() != (text.role == Role::Holder) {
            return Err(BadRequest::SealingKeys);
        }
        let mut member = Member { name: text.name, id, role: text.role, sealing_key: None };
        let mut sealing_signature = None;
        if let Some(sealing) = text.sealing {
            let key = sealing_key_from_hex(&sealing.ml_kem, &sealing.x25519)
                .ok_or_else(|| shape("\"sealing\" holds no keys"))?;
            let signature = signature_from_hex(&sealing.signature)
                .ok_or_else(|| shape("\"signature\" is none"))?;
            let body = sealing_body(&member.name, &key);
            id.verify(Statement::SealingKeys, &Digest::ZERO, &body, &signature)
                .map_err(|_| BadRequest::SealingSignature)?;
            member.sealing_key = Some(key);
            sealing_signature = Some(signature);
        }
        Ok(Self { member, csr_pem: text.csr, sealing_signature })
    }

    /// Reads and checks a request file.
    ///
    /// # Errors
    /// [`FileError`], naming the file and the proof that fails.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::from_json(&files::read_text(path, REQUEST_BYTES_MAX)?)
            .map_err(|bad| FileError::content(path, bad.to_string()))
    }
}

/// Sealing keys from their hexadecimal text.
pub(super) fn sealing_key_from_hex(ml_kem: &str, x25519: &str) -> Option<SealingKey> {
    let ml_kem = from_hex(ml_kem).filter(|key| key.len() == ML_KEM_BYTES)?;
    Some(SealingKey { ml_kem: ml_kem.into(), x25519: from_hex(x25519)?.try_into().ok()? })
}

/// The bytes that a holder signs at enrolment: its name is in them, so that nobody can enrol
/// somebody else's keys under another name.
fn sealing_body(name: &Name, key: &SealingKey) -> Vec<u8> {
    wire::encode(&(name, key))
}

fn check_csr(pem: &str, id: &PartyId) -> Result<(), BadRequest> {
    use rcgen::PublicKeyData as _;
    let csr = rcgen::CertificateSigningRequestParams::from_pem(pem)
        .map_err(|error| BadRequest::Csr(error.to_string()))?;
    let is_ed25519 = csr.public_key.algorithm() == &rcgen::PKCS_ED25519;
    if is_ed25519 && csr.public_key.der_bytes() == id.0 {
        Ok(())
    } else {
        Err(BadRequest::OtherKey)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn key(seed: u8) -> IdentityKey {
        IdentityKey::from_seed(Zeroizing::new([seed; 32]))
    }

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn holder() -> Request {
        let sealing = SealingKey { ml_kem: vec![5; ML_KEM_BYTES].into(), x25519: [6; 32] };
        Request::create(&key(1), name("kh-1"), Role::Holder, Some(sealing)).expect("a request")
    }

    #[test]
    fn a_request_survives_its_file() {
        let request = holder();
        assert_eq!(Request::from_json(&request.to_json()), Ok(request));
    }

    #[test]
    fn every_changed_proof_is_refused() {
        let text = holder().to_json();
        let other = Request::create(&key(2), name("kh-1"), Role::DataOwner, None).expect("made");
        let other_id = party_to_hex(&other.member().id);
        let changed = [
            text.replace(&party_to_hex(&key(1).id()), &other_id),
            text.replace("\"kh-1\"", "\"kh-2\""),
            text.replace("\"holder\"", "\"data-owner\""),
            text.replace("0505050505", "0505050506"),
            text.replace("covey-request/1", "covey-request/9"),
            text.replace("\"x25519\"", "\"x448\""),
            other.to_json().replace(&other_id, &party_to_hex(&key(1).id())),
        ];
        for text in changed {
            assert!(Request::from_json(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_holders_have_sealing_keys() {
        let made = Request::create(&key(1), name("a"), Role::Holder, None);
        assert_eq!(made, Err(BadRequest::SealingKeys));
    }
}
