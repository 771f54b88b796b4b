//! `signature.json`.

use covey_aggregation::hash::Digest;
use covey_aggregation::signing::{Identity, Statement};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex};
use crate::reference::bytes::{accepts, signed_bytes};

const STATEMENTS: [(Statement, &str); 8] = [
    (Statement::Config, "config"),
    (Statement::Header, "header"),
    (Statement::Receipt, "receipt"),
    (Statement::Complaint, "complaint"),
    (Statement::Vote, "vote"),
    (Statement::Release, "release"),
    (Statement::SealingKeys, "sealing-keys"),
    (Statement::Publication, "publication"),
];

const CONTEXT: Digest = Digest([3; 32]);
const BODY: &[u8] = b"what is signed";

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&Zeroizing::new([seed; 32]))
}

pub(crate) fn file() -> File {
    let valid = STATEMENTS.map(|(statement, text)| {
        let signature = identity(7).sign(statement, &CONTEXT, BODY).to_bytes();
        json!({
            "name": text, "statement": text, "context": CONTEXT.to_string(), "body": hex(BODY),
            "seed": hex(&[7; 32]), "public": hex(&identity(7).id().0),
            "signed": hex(&signed_bytes(text, &CONTEXT.0, BODY)), "signature": hex(&signature),
        })
    });
    let signature = identity(7).sign(Statement::Vote, &CONTEXT, BODY).to_bytes();
    let refused = |name: &str,
                   statement: &str,
                   context: u8,
                   body: &[u8],
                   public: [u8; 32],
                   signature: [u8; 64]| {
        let signer = covey_aggregation::party::PartyId(public);
        json!({
            "name": name, "wrong": format!("a valid vote, but: {name}"),
            "statement": statement, "context": hex(&[context; 32]), "body": hex(body),
            "public": hex(&public), "signature": hex(&signature),
            "refused": covey_aggregation::signing::BadSignature { signer }.to_string(),
        })
    };
    let public = identity(7).id().0;
    let changed = |at: usize| {
        let mut changed = signature;
        changed[at] ^= 1;
        changed
    };
    File {
        about: "signatures: Ed25519 (RFC 8032, strict: no small order) over \
                \"covey/v1/<statement>\", a zero byte, the context and H(body; the body)",
        step: "Formats, Signature",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("statement", "what the signature says"),
            ("context", "round_ctx, 32 bytes"),
            ("body", "the body, bytes"),
            ("seed", "the Ed25519 seed, 32 bytes"),
            ("public", "the public key, 32 bytes"),
            ("signed", "the bytes that Ed25519 signs"),
            ("signature", "64 bytes"),
        ],
        valid: valid.to_vec(),
        invalid: vec![
            refused("another statement", "release", 3, BODY, public, signature),
            refused("another round", "vote", 4, BODY, public, signature),
            refused("another body", "vote", 3, b"what is not signed", public, signature),
            refused("another signer", "vote", 3, BODY, identity(8).id().0, signature),
            refused("first byte changed", "vote", 3, BODY, public, changed(0)),
            refused("last byte changed", "vote", 3, BODY, public, changed(63)),
            refused("a key that is no point", "vote", 3, BODY, [2; 32], signature),
            refused("a key of small order", "vote", 3, BODY, neutral(), small_order()),
        ],
    }
}

/// The neutral element as a public key: everything would verify under it.
fn neutral() -> [u8; 32] {
    let mut key = [0; 32];
    key[0] = 1;
    key
}

/// R the neutral element, s zero: what verifies under a neutral key, unless that is refused.
fn small_order() -> [u8; 64] {
    let mut signature = [0; 64];
    signature[0] = 1;
    signature
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let text = case.text("statement");
    let (statement, _) = STATEMENTS.iter().find(|(_, known)| *known == text).expect("known");
    let (context, body) = (case.digest("context"), case.bytes("body"));
    let (public, signature) = (case.party("public"), case.signature("signature"));
    let verified = public.verify(*statement, &context, &body, &signature);
    let message = signed_bytes(&text, &context.0, &body);
    assert_eq!(accepts(&public.0, &message, &signature.to_bytes()), is_valid, "{}", case.name);
    if is_valid {
        assert_eq!(verified, Ok(()));
        assert_eq!(case.bytes("signed"), message);
        let identity = Identity::from_seed(&Zeroizing::new(case.array("seed")));
        assert_eq!(identity.id(), public);
        assert_eq!(identity.sign(*statement, &context, &body), signature);
    } else {
        assert_eq!(verified.expect_err("not valid").to_string(), case.refusal(), "{}", case.name);
    }
}

/// For other files: a signature, in hexadecimal digits.
pub(crate) fn signed(
    seed: &[u8; 32],
    statement: Statement,
    context: &Digest,
    body: &[u8],
) -> Value {
    let identity = Identity::from_seed(&Zeroizing::new(*seed));
    json!(hex(&identity.sign(statement, context, body).to_bytes()))
}
