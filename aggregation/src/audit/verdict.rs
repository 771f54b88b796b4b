//! The verdict: which contributions of a list pass, from what was opened and what is public.

use serde::{Deserialize, Serialize};

use crate::audit::check::Check;
use crate::audit::element::{Element, pack, packed_bytes, unpack};
use crate::audit::opening::{Failure, Opening, Public, judge};
use crate::audit::part::{Agreed, decode};
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;

/// What holders sign: the list, all that was opened, and the set that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// H(Lambda).
    pub list: Digest,
    /// [`openings_digest`].
    pub openings: Digest,
    /// H(U'): the accepted contributions.
    pub set: Digest,
}

impl Verdict {
    /// What holders sign.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Verdict, &[&self.list.0, &self.openings.0, &self.set.0])
    }
}

/// Digest of everything that a verdict follows from beside the list: what was opened of every
/// component, in canonical order, and the public values.
#[must_use]
pub fn openings_digest(parts: &[Agreed], public: &[u8]) -> Digest {
    let mut all: Vec<&[u8]> = parts.iter().map(|part| part.openings.as_slice()).collect();
    all.push(public);
    hash(Domain::Verdict, &all)
}

/// Public values of all proofs of a list, in its order: `<g, d>` and beta of each, packed.
#[must_use]
pub fn encode_public(values: &[Public]) -> Vec<u8> {
    let elements: Vec<Element> =
        values.iter().flat_map(|public| [public.correction, public.product]).collect();
    let mut bytes = Vec::with_capacity(packed_bytes(elements.len()));
    pack(&elements, &mut bytes);
    bytes
}

/// Reads the public values of `count` proofs; `None` unless these are the bytes that
/// [`encode_public`] makes of them.
#[must_use]
pub fn decode_public(count: usize, bytes: &[u8]) -> Option<Vec<Public>> {
    let elements = unpack(bytes, count.checked_mul(2)?)?;
    let pairs = elements.chunks_exact(2);
    Some(pairs.map(|pair| Public { correction: pair[0], product: pair[1] }).collect())
}

/// Openings or public values that are not those of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoVerdict {
    /// Openings of another number or form.
    #[error("the openings of component {0} are not one for each proof of the list")]
    Part(u16),
    /// Not one part for each component, in canonical order.
    #[error("not one part for each component, in canonical order")]
    Components,
    /// Public values of another number or form.
    #[error("the public values are not two for each proof of the list")]
    Public,
}

/// Judges every proof of the list, in its order.
///
/// # Errors
/// [`NoVerdict`]: somebody else than the owners is at fault.
pub fn judge_all<'a>(
    question: &Question<'_>,
    check: &Check,
    proofs: impl ExactSizeIterator<Item = (&'a PartyId, &'a Proof)>,
    parts: &[Agreed],
    public: &[u8],
) -> Result<Vec<Result<(), Failure>>, NoVerdict> {
    let count = proofs.len();
    let components = question.config.shape.components();
    if !parts.iter().map(|part| part.component).eq(components) {
        return Err(NoVerdict::Components);
    }
    let public = decode_public(count, public).ok_or(NoVerdict::Public)?;
    let openings: Vec<Vec<Opening>> = parts
        .iter()
        .map(|part| {
            let openings = decode(&question.terms, count, &part.openings);
            openings.ok_or(NoVerdict::Part(part.component.0))
        })
        .collect::<Result<_, _>>()?;
    let judge_one = |(i, (about, public)): (usize, ((&PartyId, &Proof), &Public))| {
        let parts: Vec<Opening> = openings.iter().map(|part| part[i].clone()).collect();
        judge(question, check, about, public, &parts)
    };
    Ok(proofs.zip(&public).enumerate().map(judge_one).collect())
}
