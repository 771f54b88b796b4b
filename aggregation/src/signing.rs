//! Ed25519 signatures (RFC 8032) over `"covey/v1/<kind>"`, the round's context and the body's hash, so
//! that a signature means one thing in one round only. Aside from those there are only the ledger's
//! notes, whose form others have specified and which cannot be mistaken for them
//! ([`Identity::sign_note`]).

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;

/// What a signature says. The closed list keeps signatures of one kind from passing for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// "I accept these terms" (holder, once per round).
    Config,
    /// "This is my contribution" (client).
    Header,
    /// "Your contribution is stored" (coordinator).
    Receipt,
    /// "This box is bad" (holder).
    Complaint,
    /// "I vote for this set" (holder, once per round).
    Vote,
    /// "These are my component sums" (holder).
    Release,
    /// "These are my sealing keys" (holder, at enrolment).
    SealingKeys,
    /// "This is the round's result" (coordinator).
    Publication,
    /// "These are the beacon keys that I deal" (holder).
    BeaconKeys,
    /// "These are my values of this beacon" (holder).
    Beacon,
    /// "This is my proof" (client, once per round).
    Proof,
    /// "I hold these proofs" (holder, once per round).
    ProofList,
    /// "This is my part of what is opened" (holder).
    AuditPart,
    /// "This is the audit's verdict" (holder, once per round).
    Verdict,
    /// "This is my part of the credit's numbers" (holder).
    CreditPart,
    /// "This is the round's evidence" (holder, once per round).
    Evidence,
    /// "This roster is the next one" (holder, once per number).
    Roster,
    /// "I say this for the record" (any member): disputes, votes, proposals, addresses, compute.
    Member,
}

impl Statement {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Config => b"covey/v1/config",
            Self::Header => b"covey/v1/header",
            Self::Receipt => b"covey/v1/receipt",
            Self::Complaint => b"covey/v1/complaint",
            Self::Vote => b"covey/v1/vote",
            Self::Release => b"covey/v1/release",
            Self::SealingKeys => b"covey/v1/sealing-keys",
            Self::Publication => b"covey/v1/publication",
            Self::BeaconKeys => b"covey/v1/beacon-keys",
            Self::Beacon => b"covey/v1/beacon",
            Self::Proof => b"covey/v1/proof",
            Self::ProofList => b"covey/v1/proof-list",
            Self::AuditPart => b"covey/v1/audit-part",
            Self::Verdict => b"covey/v1/verdict",
            Self::CreditPart => b"covey/v1/credit-part",
            Self::Evidence => b"covey/v1/evidence",
            Self::Roster => b"covey/v1/roster",
            Self::Member => b"covey/v1/member",
        }
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature([u8; 32], [u8; 32]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", Digest(self.0).short())
    }
}

impl Signature {
    /// From the 64 bytes of RFC 8032.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self(r, s)
    }

    /// The 64 bytes of RFC 8032.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&self.1);
        bytes
    }
}

/// A party's signing key. Zeroised when dropped; no `Debug`, no `Clone`.
pub struct Identity(SigningKey);

impl Identity {
    /// From 32 secret bytes (the Ed25519 seed).
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public name of this key.
    #[must_use]
    pub fn id(&self) -> PartyId {
        PartyId(self.0.verifying_key().to_bytes())
    }

    /// Signs `body` as `statement` in the round `context`.
    #[must_use]
    pub fn sign(&self, statement: Statement, context: &Digest, body: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(&signed_bytes(statement, context, body)).to_bytes())
    }

    /// Signs the text of a note (<https://c2sp.org/signed-note>), or what a witness signs of one.
    ///
    /// The bytes signed are the text alone, as the specification has it. That such a signature cannot
    /// pass for one of [`Self::sign`], nor one of those for a note's, follows from the bytes: every
    /// [`Statement`] has a zero byte after its kind, and a text with a zero byte is refused here and by
    /// [`PartyId::verify_note`].
    ///
    /// # Errors
    /// [`BadNoteText`] when the text is none of a note.
    pub fn sign_note(&self, text: &str) -> Result<Signature, BadNoteText> {
        check_note_text(text)?;
        Ok(Signature::from_bytes(self.0.sign(text.as_bytes()).to_bytes()))
    }

    /// 32 bytes known only to this party, bound to `context`: hedges fresh randomness against a
    /// weak operating-system generator.
    #[must_use]
    pub fn hedge(&self, domain: Domain, context: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let seed = Zeroizing::new(self.0.to_bytes());
        let mut parts: Vec<&[u8]> = vec![seed.as_slice()];
        parts.extend_from_slice(context);
        Zeroizing::new(hash(domain, &parts).0)
    }
}

/// A signature did not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by {signer} or not over this content")]
pub struct BadSignature {
    /// Who should have signed.
    pub signer: PartyId,
}

/// The text is none of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a note's text ends in a newline and has no other control character")]
pub struct BadNoteText;

/// Whether a note may have this text: it ends in a newline, and there is no other control character of
/// ASCII in it.
///
/// # Errors
/// [`BadNoteText`] when it may not.
pub fn check_note_text(text: &str) -> Result<(), BadNoteText> {
    let is_plain = text.bytes().all(|byte| byte >= b' ' || byte == b'\n');
    if is_plain && text.ends_with('\n') { Ok(()) } else { Err(BadNoteText) }
}

impl PartyId {
    /// Checks a signature by this party over a note's text, or over what a witness signs of one.
    ///
    /// # Errors
    /// [`BadSignature`] when the text is none of a note, or the key is no curve point, is of small
    /// order, or did not sign this.
    pub fn verify_note(&self, text: &str, signature: &Signature) -> Result<(), BadSignature> {
        let bad = BadSignature { signer: *self };
        check_note_text(text).map_err(|_| bad)?;
        self.verify_bytes(text.as_bytes(), signature)
    }

    /// Checks a signature by this party.
    ///
    /// # Errors
    /// [`BadSignature`] when the key is no curve point, is of small order, or did not sign this.
    pub fn verify(
        &self,
        statement: Statement,
        context: &Digest,
        body: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        self.verify_bytes(&signed_bytes(statement, context, body), signature)
    }

    fn verify_bytes(&self, bytes: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let bad = BadSignature { signer: *self };
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| bad)?;
        let signature = ed25519_dalek::Signature::from_components(signature.0, signature.1);
        key.verify_strict(bytes, &signature).map_err(|_| bad)
    }
}

fn signed_bytes(statement: Statement, context: &Digest, body: &[u8]) -> Vec<u8> {
    let body = hash(Domain::Body, &[body]);
    [statement.text(), &[0], &context.0, &body.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_holds_for_one_statement_round_and_body_only() {
        let identity = Identity::from_seed(&Zeroizing::new([7; 32]));
        let round = hash(Domain::RoundConfig, &[b"1"]);
        let signature = identity.sign(Statement::Vote, &round, b"set");
        let id = identity.id();
        assert!(id.verify(Statement::Vote, &round, b"set", &signature).is_ok());
        assert!(id.verify(Statement::Release, &round, b"set", &signature).is_err());
        assert!(id.verify(Statement::Vote, &Digest::ZERO, b"set", &signature).is_err());
        assert!(id.verify(Statement::Vote, &round, b"sex", &signature).is_err());
        assert!(PartyId([1; 32]).verify(Statement::Vote, &round, b"set", &signature).is_err());
    }

    #[test]
    fn a_note_and_a_statement_cannot_pass_for_each_other() {
        let identity = Identity::from_seed(&Zeroizing::new([7; 32]));
        let signature = identity.sign_note("a note\n").expect("a text");
        assert!(identity.id().verify_note("a note\n", &signature).is_ok());
        assert!(identity.id().verify_note("another\n", &signature).is_err());
        for text in ["", "no newline", "covey/v1/vote\0\n", "a tab\t\n", "a return\r\n"] {
            assert_eq!(identity.sign_note(text), Err(BadNoteText), "{text:?}");
        }
        // What a statement signs is no text of a note, whatever the context and the body.
        let signed = signed_bytes(Statement::Vote, &Digest([b' '; 32]), b"set\n");
        let text = String::from_utf8_lossy(&signed);
        assert_eq!(check_note_text(&text), Err(BadNoteText));
    }
}
