//! An owner's proof that its contribution is small: the second message of a round.
//!
//! The owner shares, under the seeds that its holders have already, the vector v of its
//! projections and slack squares, the values of the proof polynomial, and the masks of the range
//! rows. It sends one public correction of each, and the masked range rows in the clear.

use zeroize::Zeroizing;

use crate::audit::element::{Element, expand, pack, packed_bytes, unpack};
use crate::audit::polynomial;
use crate::audit::question::{Question, SALT_BYTES};
use crate::audit::rows::trits;
use crate::audit::squares::four_squares;
use crate::audit::terms::Terms;
use crate::audit::witness::Witness;
use crate::hash::Domain;
use crate::limits::AUDIT_RANGE_ROWS;
use crate::party::PartyId;
use crate::sum::xof::Xof;

/// Bytes of a masked range row: A is below 2^46.
const RANGE_BYTES: usize = 6;

/// Salts tried. One in ten is refused for the distribution's sake, so so many are never needed by
/// an update that has a proof.
const SALTS_MAX: usize = 256;

/// A proof. Public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(crate) salt: [u8; SALT_BYTES],
    /// Of v, without its padding.
    pub(crate) entries: Vec<Element>,
    /// Of p(0), .., p(2G).
    pub(crate) values: Vec<Element>,
    /// Of mu.
    pub(crate) masks: Vec<Element>,
    /// z_t = <e_t, v> + mu_t.
    pub(crate) range: Vec<i64>,
}

/// Why there is no proof: the owner's own contribution is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// The update is longer than the plan allows.
    #[error("the update is longer than the plan's clip norm allows")]
    Update,
    /// The noise is larger than an honest client's.
    #[error("the noise of the sealed update is larger than sealing makes it")]
    Noise,
    /// No masked range row hides its entry.
    #[error("a projection of the update is out of range")]
    Range,
}

/// Bytes that are no proof of this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// The length follows from the terms.
    #[error("{got} bytes, a proof of this round has {expected}")]
    Length {
        /// Bytes received.
        got: usize,
        /// As the terms say.
        expected: usize,
    },
    /// Elements that are not reduced, or padding that is not zero.
    #[error("not in the proof's one form")]
    Form,
}

/// What one key hides of a proof: the components' parts, which add up with the corrections.
pub(crate) struct Streams {
    pub(crate) entries: Zeroizing<Vec<Element>>,
    /// f_r(0), which has no correction.
    pub(crate) blinds: Zeroizing<Vec<Element>>,
    pub(crate) values: Zeroizing<Vec<Element>>,
    pub(crate) masks: Zeroizing<Vec<Element>>,
}

impl Streams {
    /// Under the component's seed: tau = H(question, client, salt, seed), streams 0 to 3.
    pub(crate) fn new(
        question: &Question<'_>,
        client: &PartyId,
        salt: &[u8; SALT_BYTES],
        seed: &[u8; 32],
    ) -> Self {
        let tau = Zeroizing::new(question.derive(Domain::AuditKey, client, salt, seed).0);
        let terms = &question.terms;
        Self {
            entries: expand(&tau, 0, terms.entries()),
            blinds: expand(&tau, 1, terms.column),
            values: expand(&tau, 2, terms.values()),
            masks: expand(&tau, 3, AUDIT_RANGE_ROWS),
        }
    }
}

impl Proof {
    /// Proves that what `witness` keeps is within the bounds. `entropy` is 32 bytes fresh from the
    /// operating system; if it is ever repeated, another question still gets other streams, and the
    /// same question the same proof.
    ///
    /// # Errors
    /// [`NoProof`].
    pub fn new(
        question: &Question<'_>,
        client: &PartyId,
        witness: &Witness,
        entropy: &Zeroizing<[u8; 32]>,
    ) -> Result<Self, NoProof> {
        let v = vector(question, witness)?;
        let mut secret = Zeroizing::new(entropy.to_vec());
        witness.seeds.iter().for_each(|seed| secret.extend_from_slice(&seed[..]));
        let key = question.derive(Domain::ClientRng, client, &[0; SALT_BYTES], &secret);
        let key = Zeroizing::new(key.0);
        let mut randomness = Xof::new(&key, 0);
        (0..SALTS_MAX)
            .find_map(|_| Self::with_salt(question, client, witness, &v, &mut randomness))
            .ok_or(NoProof::Range)
    }

    /// A proof under a fresh salt; `None` when a masked range row falls where it would tell
    /// something.
    fn with_salt(
        question: &Question<'_>,
        client: &PartyId,
        witness: &Witness,
        v: &[i64],
        randomness: &mut Xof,
    ) -> Option<Self> {
        let terms = &question.terms;
        let mut salt = [0; SALT_BYTES];
        randomness.bytes(&mut salt);
        let streams: Vec<Streams> = (witness.seeds.iter())
            .map(|seed| Streams::new(question, client, &salt, seed))
            .collect();
        let mu = masks(terms, randomness);
        let elements = elements_of(v);
        let values = Zeroizing::new(proof_values(terms, &elements, &streams));
        let mut proof = Self {
            salt,
            entries: corrected(&elements, streams.iter().map(|s| &s.entries)),
            values: corrected(&values, streams.iter().map(|s| &s.values)),
            masks: corrected(&elements_of(&mu), streams.iter().map(|s| &s.masks)),
            range: Vec::new(),
        };
        let sums = proof.range_rows(question, client).map(|row| product(&row, v));
        let sums: Zeroizing<Vec<i64>> = Zeroizing::new(sums.collect());
        let bound = terms.mask_max - terms.spread;
        let is_hidden = sums.iter().zip(mu.iter()).fold(true, |is_hidden, (sum, mask)| {
            is_hidden & (sum.abs() <= terms.spread) & ((sum + mask).abs() <= bound)
        });
        proof.range =
            is_hidden.then(|| sums.iter().zip(mu.iter()).map(|(s, m)| s + m).collect())?;
        Some(proof)
    }

    /// e_t, t = 1.., over the entries that are not padding: drawn from everything that is shared.
    pub(crate) fn range_rows(
        &self,
        question: &Question<'_>,
        client: &PartyId,
    ) -> impl Iterator<Item = Vec<i8>> + use<> {
        let shared = self.elements();
        let key = question.derive(Domain::RangeRows, client, &self.salt, &shared);
        let entries = self.entries.len();
        (0..AUDIT_RANGE_ROWS as u64).map(move |t| {
            let mut row = vec![0; entries];
            trits(&mut Xof::new(&key.0, t), &mut row);
            row
        })
    }

    /// The corrections, packed.
    fn elements(&self) -> Vec<u8> {
        let all = [&self.entries[..], &self.values, &self.masks].concat();
        let mut bytes = Vec::with_capacity(packed_bytes(all.len()));
        pack(&all, &mut bytes);
        bytes
    }

    /// The proof's bytes: salt, corrections of v, p and mu (12.5 bytes each), masked range rows
    /// (6 bytes each, little-endian, two's complement).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.salt.to_vec();
        bytes.extend(self.elements());
        for z in &self.range {
            bytes.extend_from_slice(&z.to_le_bytes()[..RANGE_BYTES]);
        }
        bytes
    }

    /// Bytes of every proof of a round.
    #[must_use]
    pub const fn length(terms: &Terms) -> usize {
        SALT_BYTES + packed_bytes(elements(terms)) + RANGE_BYTES * AUDIT_RANGE_ROWS
    }

    /// Reads a proof; only the bytes that [`Self::to_bytes`] makes of it are accepted.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn from_bytes(terms: &Terms, bytes: &[u8]) -> Result<Self, BadProof> {
        let (got, expected) = (bytes.len(), Self::length(terms));
        if got != expected {
            return Err(BadProof::Length { got, expected });
        }
        let (salt, rest) = bytes.split_first_chunk().ok_or(BadProof::Form)?;
        let (shared, range) = rest.split_at(packed_bytes(elements(terms)));
        let mut entries = unpack(shared, elements(terms)).ok_or(BadProof::Form)?;
        let mut values = entries.split_off(terms.entries());
        let masks = values.split_off(terms.values());
        let number = |bytes: &[u8; RANGE_BYTES]| {
            let mut wide = [0; 8];
            wide[2..].copy_from_slice(bytes);
            i64::from_le_bytes(wide) >> 16
        };
        let range = range.as_chunks().0.iter().map(number).collect();
        Ok(Self { salt: *salt, entries, values, masks, range })
    }
}

/// Elements that are sent.
const fn elements(terms: &Terms) -> usize {
    terms.entries() + terms.values() + AUDIT_RANGE_ROWS
}

/// v without padding: Y and its slack, N and its slack.
fn vector(question: &Question<'_>, witness: &Witness) -> Result<Zeroizing<Vec<i64>>, NoProof> {
    let projections = witness.project(question);
    let terms = &question.terms;
    let slack = |part: &[i64], bound: u128| {
        let squares: u128 = part.iter().map(|&x| u128::from(x.unsigned_abs()).pow(2)).sum();
        bound.checked_sub(squares).and_then(four_squares)
    };
    let update = slack(&projections.updates, terms.update_bound).ok_or(NoProof::Update)?;
    let noise = slack(&projections.noises, terms.noise_bound).ok_or(NoProof::Noise)?;
    let mut v = Zeroizing::new(Vec::with_capacity(terms.entries()));
    v.extend_from_slice(&projections.updates);
    v.extend_from_slice(&update);
    v.extend_from_slice(&projections.noises);
    v.extend_from_slice(&noise);
    Ok(v)
}

fn elements_of(numbers: &[i64]) -> Zeroizing<Vec<Element>> {
    Zeroizing::new(numbers.iter().map(|&x| x.into()).collect())
}

/// mu: uniform in [-A, A].
fn masks(terms: &Terms, randomness: &mut Xof) -> Zeroizing<Vec<i64>> {
    let mut words = Zeroizing::new(vec![0; AUDIT_RANGE_ROWS]);
    randomness.uniform(2 * terms.mask_max as u64 + 1, &mut words);
    Zeroizing::new(words.iter().map(|&word| word as i64 - terms.mask_max).collect())
}

/// p(0), .., p(2G): the sum of the squares of f_1, .., f_c. f_r has the component's blind at 0 and
/// entry r of column g at g.
fn proof_values(terms: &Terms, v: &[Element], streams: &[Streams]) -> Vec<Element> {
    let mut polynomials = Zeroizing::new(vec![Element::ZERO; (terms.columns() + 1) * terms.column]);
    for (r, blind) in polynomials[..terms.column].iter_mut().enumerate() {
        *blind = streams.iter().map(|streams| streams.blinds[r]).sum();
    }
    for (i, &entry) in v.iter().enumerate() {
        polynomials[terms.column + terms.place(i)] = entry;
    }
    let square_sum = |at: &[Element]| at.iter().map(|&x| x * x).sum();
    let nodes = polynomials.chunks_exact(terms.column);
    let mut values: Vec<Element> = nodes.clone().map(square_sum).collect();
    for point in terms.columns() + 1..=2 * terms.columns() {
        let weights = polynomial::weights(terms.columns(), Element::from(point as i64));
        let mut at = Zeroizing::new(vec![Element::ZERO; terms.column]);
        for (&weight, node) in weights.iter().zip(nodes.clone()) {
            at.iter_mut().zip(node).for_each(|(at, &value)| *at += weight * value);
        }
        values.push(square_sum(&at));
    }
    values
}

/// What is public of shared values: less the parts of all components.
fn corrected<'a>(
    values: &[Element],
    parts: impl Iterator<Item = &'a Zeroizing<Vec<Element>>>,
) -> Vec<Element> {
    let mut rest = values.to_vec();
    for part in parts {
        rest.iter_mut().zip(part.iter()).for_each(|(rest, &part)| *rest -= part);
    }
    rest
}

/// `<row, v>`.
fn product(row: &[i8], v: &[i64]) -> i64 {
    row.iter().zip(v).map(|(&entry, &x)| i64::from(entry) * x).sum()
}

/// A cheater's proof, for tests: any v, and what is spoiled before and after the range rows are
/// drawn.
#[cfg(test)]
pub(crate) struct Forgery<'a> {
    pub(crate) v: &'a [Element],
    pub(crate) shared: &'a dyn Fn(&mut Proof),
    pub(crate) range: &'a dyn Fn(&mut Proof),
}

#[cfg(test)]
impl Proof {
    /// The first of some salts under which the range rows pass, if there is one.
    pub(crate) fn forged(
        question: &Question<'_>,
        client: &PartyId,
        witness: &Witness,
        forgery: &Forgery<'_>,
    ) -> Self {
        let bound = question.terms.mask_max - question.terms.spread;
        let passes = |proof: &Self| proof.range.iter().all(|z| z.abs() <= bound);
        let proofs =
            (0..16).map(|salt| Self::forged_with(question, client, witness, forgery, salt));
        let mut proofs: Vec<Self> = proofs.collect();
        let first = proofs.iter().position(passes).unwrap_or_default();
        proofs.swap_remove(first)
    }

    fn forged_with(
        question: &Question<'_>,
        client: &PartyId,
        witness: &Witness,
        forgery: &Forgery<'_>,
        salt: u8,
    ) -> Self {
        let terms = &question.terms;
        let salt = [salt; SALT_BYTES];
        let streams: Vec<Streams> = (witness.seeds.iter())
            .map(|seed| Streams::new(question, client, &salt, seed))
            .collect();
        let mu = masks(terms, &mut Xof::new(&[salt[0]; 32], 0));
        let values = proof_values(terms, forgery.v, &streams);
        let mut proof = Self {
            salt,
            entries: corrected(forgery.v, streams.iter().map(|s| &s.entries)),
            values: corrected(&values, streams.iter().map(|s| &s.values)),
            masks: corrected(&elements_of(&mu), streams.iter().map(|s| &s.masks)),
            range: Vec::new(),
        };
        (forgery.shared)(&mut proof);
        let sum = |row: Vec<i8>| {
            let terms = row.iter().zip(forgery.v).map(|(&e, &x)| Element::from(i64::from(e)) * x);
            terms.sum::<Element>().centred()
        };
        let limit = (1i128 << (8 * RANGE_BYTES - 1)) - 1;
        proof.range = (proof.range_rows(question, client).zip(mu.iter()))
            .map(|(row, &mask)| (sum(row) + i128::from(mask)).clamp(-limit, limit) as i64)
            .collect();
        (forgery.range)(&mut proof);
        proof
    }
}
