//! Opening a proof: each holder applies the check's public linear forms to the components that it
//! knows; what they add up to with the public part is uniform, or zero.

use serde::{Deserialize, Serialize};

use crate::audit::check::{Batch, Check, accumulate, reduced};
use crate::audit::element::{Element, pack, packed_bytes, unpack};
use crate::audit::polynomial::combine;
use crate::audit::proof::{Proof, Streams};
use crate::audit::question::Question;
use crate::audit::terms::Terms;
use crate::config::{CommitteeShape, HolderIndex};
use crate::limits::AUDIT_RANGE_ROWS;
use crate::party::PartyId;
use crate::sum::modulus::PRIMES;
use crate::sum::share::{Seeds, component_product, inner_product};

/// One component's part of what is opened, or the sum of all parts: c + 2 elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// f_r(t) for every r.
    pub(crate) polynomials: Vec<Element>,
    /// p(t).
    pub(crate) value: Element,
    /// Z: all relations, batched.
    pub(crate) relation: Element,
}

impl Opening {
    /// Bytes that it takes on the wire: c + 2 elements, packed.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        packed_bytes(self.polynomials.len() + 2)
    }

    /// f_1(t), .., f_c(t), p(t), Z, packed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let all = [&self.polynomials[..], &[self.value, self.relation]].concat();
        let mut bytes = Vec::with_capacity(self.bytes());
        pack(&all, &mut bytes);
        bytes
    }
}

/// The weights of v's entries in Z for one proof: the round's, and those of its range rows.
pub(crate) struct Forms<'a> {
    terms: &'a Terms,
    check: &'a Check,
    entries: Vec<Element>,
}

impl<'a> Forms<'a> {
    pub(crate) fn new(
        question: &'a Question<'_>,
        check: &'a Check,
        client: &PartyId,
        proof: &Proof,
    ) -> Self {
        let mut sums = [(); 2].map(|()| vec![0; check.entries.len()]);
        for (weight, row) in check.range().iter().zip(proof.range_rows(question, client)) {
            for (sums, weight) in sums.iter_mut().zip(weight.0) {
                accumulate(sums, weight, &row);
            }
        }
        let [first, second] = sums;
        let range = first.iter().zip(&second).map(|(&first, &second)| {
            Element([reduced(first, PRIMES[0]), reduced(second, PRIMES[1])])
        });
        let entries =
            check.entries.iter().zip(range).map(|(&entry, range)| entry + range).collect();
        Self { terms: &question.terms, check, entries }
    }

    /// All forms of one part, without what comes of the key.
    fn apply(
        &self,
        entries: &[Element],
        blinds: &[Element],
        values: &[Element],
        masks: &[Element],
    ) -> Opening {
        let (terms, check) = (self.terms, self.check);
        let mut polynomials: Vec<Element> = match blinds {
            [] => vec![Element::ZERO; terms.column],
            blinds => blinds.iter().map(|&blind| blind * check.nodes[0]).collect(),
        };
        for (i, &entry) in entries.iter().enumerate() {
            let place = terms.place(i);
            let (column, r) = (place / terms.column, place % terms.column);
            polynomials[r] += check.nodes[1 + column] * entry;
        }
        let sum = |columns: std::ops::Range<usize>| -> Element {
            values[1..][columns].iter().copied().sum()
        };
        let [update, noise] = check.bounds();
        let relation = combine(&self.entries, entries.iter().copied())
            + combine(check.range(), masks.iter().copied())
            + update * sum(0..terms.update_columns)
            + noise * sum(terms.update_columns..terms.columns());
        let value = combine(&check.values, values.iter().copied());
        Opening { polynomials, value, relation }
    }

    /// A component's part.
    pub(crate) fn component(
        &self,
        question: &Question<'_>,
        batch: &Batch,
        client: &PartyId,
        proof: &Proof,
        seed: &[u8; 32],
    ) -> Opening {
        let streams = Streams::new(question, client, &proof.salt, seed);
        let Streams { entries, blinds, values, masks } = &streams;
        let mut opening = self.apply(entries, blinds, values, masks);
        let place = (question.config.profile, &question.round_ctx);
        opening.relation += Element(component_product(place, client, seed, &batch.key));
        opening
    }

    /// The public part: of corrections, of d and of beta, of the masked range rows and the bounds.
    pub(crate) fn public(&self, proof: &Proof, public: &Public) -> Opening {
        let mut opening = self.apply(&proof.entries, &[], &proof.values, &proof.masks);
        let range = proof.range.iter().map(|&z| Element::from(z));
        let [update, noise] = self.check.bounds();
        opening.relation += public.correction;
        opening.relation -= public.product;
        opening.relation -= combine(self.check.range(), range);
        opening.relation -= update * Element::from(self.terms.update_bound as i128);
        opening.relation -= noise * Element::from(self.terms.noise_bound as i128);
        opening
    }
}

/// What is public of a contribution, as far as the check needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// `<g, d>`: the batch's product with the correction.
    pub(crate) correction: Element,
    /// beta: the batched rows' product with the lifted ciphertext.
    pub(crate) product: Element,
}

impl Public {
    /// Of the correction d, packed, and of beta. `None` where these bytes are no vector over Z_q:
    /// the coordinator's fault, who should have refused them when they came.
    #[must_use]
    pub fn new(batch: &Batch, correction: &[u8], product: Element) -> Option<Self> {
        let entries = unpack(correction, batch.key[0].len())?;
        let correction = Element([0, 1].map(|l| {
            let limb: Vec<u64> = entries.iter().map(|element| element.0[l]).collect();
            inner_product(&batch.key[l], &limb, PRIMES[l])
        }));
        Some(Self { correction, product })
    }
}

/// What `holder` answers about one client's proof: its components' parts, in canonical order. To be
/// given once, and only against the certificate of the list that has this proof.
#[must_use]
pub fn open(
    question: &Question<'_>,
    check: &Check,
    batch: &Batch,
    (client, proof): (&PartyId, &Proof),
    seeds: &Seeds,
) -> Vec<Opening> {
    let forms = Forms::new(question, check, client, proof);
    seeds.iter().map(|seed| forms.component(question, batch, client, proof, seed)).collect()
}

/// The check that a contribution did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// A masked range row is out of range.
    #[error("range: a projection is larger than any honest one")]
    Range,
    /// Ciphertext, key and projections do not belong together, or a bound is not met.
    #[error("relation: the projections are not those of the sealed update, or it is too large")]
    Relation,
    /// The proof polynomial is not the sum of the squares.
    #[error("proof: the squares do not add up to what the proof says")]
    Proof,
}

/// Holders do not agree enough to open a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("component {component}: no {needed} holders sent the same, {missing} sent nothing")]
pub struct Undecided {
    /// The component's place in canonical order.
    pub component: usize,
    /// f + 1.
    pub needed: usize,
    /// Holders that know it and sent nothing.
    pub missing: usize,
}

/// What was opened, and who sent something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<T> {
    /// One part for each component, in canonical order.
    pub parts: Vec<T>,
    /// Holders whose answer differs from f + 1 equal ones, or has another number of parts.
    pub liars: Vec<HolderIndex>,
}

/// Puts together what the holders sent, in the committee's order, `None` where one sent nothing.
/// Of a component the value counts that f + 1 holders sent: one of them at least is honest. Every
/// component has 2f + 1 holders, so no other value can have as many.
///
/// # Errors
/// [`Undecided`]: with f holders lying and one more missing the audit waits, it never accepts.
pub fn agree<T: Clone + PartialEq>(
    shape: CommitteeShape,
    answers: &[Option<Vec<T>>],
) -> Result<Opened<T>, Undecided> {
    let needed = shape.faults() + 1;
    let holders = || (0..shape.members() as u8).map(HolderIndex);
    let answer = |holder: HolderIndex| answers.get(usize::from(holder.0)).and_then(Option::as_ref);
    let part = |holder: HolderIndex, component| {
        let place = shape.components_of(holder).iter().position(|known| *known == component)?;
        answer(holder)?.get(place)
    };
    let is_short = |holder: &HolderIndex| {
        answer(*holder).is_some_and(|parts| parts.len() != shape.components_of(*holder).len())
    };
    let mut liars: Vec<HolderIndex> = holders().filter(is_short).collect();
    let mut parts = Vec::new();
    for (i, component) in shape.components().into_iter().enumerate() {
        let sent: Vec<(HolderIndex, &T)> = holders()
            .filter(|holder| component.known_to(*holder))
            .filter_map(|holder| part(holder, component).map(|part| (holder, part)))
            .collect();
        let is_common =
            |value: &&T| sent.iter().filter(|(_, other)| other == value).count() >= needed;
        let known = shape.members() - shape.faults();
        let undecided = Undecided { component: i, needed, missing: known - sent.len() };
        let value = sent.iter().map(|(_, part)| *part).find(is_common).ok_or(undecided)?;
        liars.extend(sent.iter().filter(|(_, part)| *part != value).map(|(holder, _)| *holder));
        parts.push(value.clone());
    }
    liars.sort_unstable();
    liars.dedup();
    Ok(Opened { parts, liars })
}

/// Whether a contribution passes: `parts` are all components' ([`agree`]).
///
/// # Errors
/// [`Failure`]: the first check that it does not pass.
pub fn judge(
    question: &Question<'_>,
    check: &Check,
    (client, proof): (&PartyId, &Proof),
    public: &Public,
    parts: &[Opening],
) -> Result<(), Failure> {
    let terms = &question.terms;
    let bound = terms.mask_max - terms.spread;
    let is_in_range = |z: &i64| z.abs() <= bound;
    if proof.range.len() != AUDIT_RANGE_ROWS || !proof.range.iter().all(is_in_range) {
        return Err(Failure::Range);
    }
    let forms = Forms::new(question, check, client, proof);
    let mut total = forms.public(proof, public);
    for part in parts {
        let sums = total.polynomials.iter_mut().zip(&part.polynomials);
        sums.for_each(|(sum, &value)| *sum += value);
        total.value += part.value;
        total.relation += part.relation;
    }
    if total.relation != Element::ZERO {
        return Err(Failure::Relation);
    }
    let squares: Element = total.polynomials.iter().map(|&value| value * value).sum();
    if squares == total.value { Ok(()) } else { Err(Failure::Proof) }
}
