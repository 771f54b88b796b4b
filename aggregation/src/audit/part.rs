//! One component's openings of all proofs of a list, as a holder gives them and as they are agreed.

use serde::{Deserialize, Serialize};

use crate::audit::element::{packed_bytes, unpack};
use crate::audit::opening::Opening;
use crate::audit::terms::Terms;
use crate::config::{Component, HolderIndex, RoundConfig};
use crate::hash::{Digest, Domain, hash};
use crate::signing::{Identity, Signature, Statement};
use crate::wire::bounded;

/// A holder's signed part of what is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The round.
    pub round_ctx: Digest,
    /// What is opened: H(Lambda), or the digest of the credit's functions.
    pub list: Digest,
    /// Who.
    pub holder: HolderIndex,
    /// Of which component.
    pub component: Component,
    /// The openings of all proofs of the list, in its order ([`encode`]).
    #[serde(with = "serde_bytes")]
    pub openings: Vec<u8>,
    /// Over [`body`].
    pub signature: Signature,
}

/// The bytes that a holder's signature of a part covers.
#[must_use]
pub fn body(list: &Digest, component: Component, openings: &[u8]) -> Vec<u8> {
    hash(Domain::AuditPart, &[&list.0, &component.0.to_le_bytes(), openings]).0.to_vec()
}

impl Part {
    /// Signs a part of an opened list of proofs.
    #[must_use]
    pub fn sign(
        about: (Digest, Digest),
        component: Component,
        openings: Vec<u8>,
        by: (HolderIndex, &Identity),
    ) -> Self {
        Self::sign_as(Statement::AuditPart, about, component, openings, by)
    }

    /// Signs a part of what is opened in the round `round_ctx` for `list`.
    #[must_use]
    pub fn sign_as(
        statement: Statement,
        (round_ctx, list): (Digest, Digest),
        component: Component,
        openings: Vec<u8>,
        (holder, identity): (HolderIndex, &Identity),
    ) -> Self {
        let body = body(&list, component, &openings);
        let signature = identity.sign(statement, &round_ctx, &body);
        Self { round_ctx, list, holder, component, openings, signature }
    }
}

/// What f + 1 holders gave equally for one component: one of them at least is honest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The component.
    pub component: Component,
    /// The openings of all proofs of the list, in its order ([`encode`]).
    #[serde(with = "serde_bytes")]
    pub openings: Vec<u8>,
    /// At least f + 1, by ascending holder.
    #[serde(deserialize_with = "bounded::<_, _, 7>")]
    pub signatures: Vec<(HolderIndex, Signature)>,
}

/// Openings that f + 1 holders did not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no f + 1 holders signed these openings of component {0}")]
pub struct NotAgreed(pub u16);

impl Agreed {
    /// Checks that f + 1 holders that know the component signed these openings of `list`.
    ///
    /// # Errors
    /// [`NotAgreed`].
    pub fn verify(
        &self,
        config: &RoundConfig,
        round_ctx: &Digest,
        list: &Digest,
    ) -> Result<(), NotAgreed> {
        self.verify_as(Statement::AuditPart, (config, round_ctx), list)
    }

    /// The same, of parts of what the credit opens ([`Statement::CreditPart`]).
    ///
    /// # Errors
    /// [`NotAgreed`].
    pub fn verify_as(
        &self,
        statement: Statement,
        (config, round_ctx): (&RoundConfig, &Digest),
        list: &Digest,
    ) -> Result<(), NotAgreed> {
        let body = body(list, self.component, &self.openings);
        let signed = |(holder, signature): &(HolderIndex, Signature)| {
            config.committee.get(usize::from(holder.0)).is_some_and(|seat| {
                seat.holder.verify(statement, round_ctx, &body, signature).is_ok()
            })
        };
        let ascending = self.signatures.is_sorted_by(|one, next| one.0 < next.0);
        let known = self.signatures.iter().all(|(holder, _)| self.component.known_to(*holder));
        let enough = self.signatures.len() > config.shape.faults();
        let is_agreed = ascending && known && enough && self.signatures.iter().all(signed);
        is_agreed.then_some(()).ok_or(NotAgreed(self.component.0))
    }
}

/// Bytes of one proof's opening.
#[must_use]
pub const fn opening_bytes(terms: &Terms) -> usize {
    packed_bytes(terms.column + 2)
}

/// One component's openings of all proofs, one after another.
#[must_use]
pub fn encode(openings: &[Opening]) -> Vec<u8> {
    openings.iter().flat_map(Opening::to_bytes).collect()
}

/// Reads `count` openings; `None` unless these are the bytes that [`encode`] makes of them.
#[must_use]
pub fn decode(terms: &Terms, count: usize, bytes: &[u8]) -> Option<Vec<Opening>> {
    let length = opening_bytes(terms);
    if bytes.len() != count.checked_mul(length)? {
        return None;
    }
    let opening = |bytes: &[u8]| {
        let mut polynomials = unpack(bytes, terms.column + 2)?;
        let relation = polynomials.pop()?;
        let value = polynomials.pop()?;
        Some(Opening { polynomials, value, relation })
    };
    bytes.chunks_exact(length).map(opening).collect()
}
