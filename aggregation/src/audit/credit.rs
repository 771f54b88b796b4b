//! The numbers that credit is made from: three public linear functions of an accepted client's
//! projections, opened component by component as the proof is, after the release.

use zeroize::Zeroizing;

use crate::audit::element::{Element, expand, pack, packed_bytes, unpack};
use crate::audit::part::Agreed;
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::config::Weighting;
use crate::hash::{Digest, Domain, hash};
use crate::limits::SCORE_MAX;
use crate::party::PartyId;
use crate::sum::share::Seeds;

/// Numbers of one client and round: s, novelty and harm. The record refuses a fourth.
pub const NUMBERS: usize = 3;

/// Largest weight of a projection: 2^40. With M of 1024 at most and projections below 2^47, the
/// numbers stay below 2^97 and so below q / 2.
pub const WEIGHT_MAX: i64 = 1 << 40;

/// The public weights of the projections in each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions([Vec<i64>; NUMBERS]);

/// Weights that make no function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFunctions {
    /// Not one weight for each projection.
    #[error("{got} weights for {expected} projections")]
    Length {
        /// Weights given.
        got: usize,
        /// M.
        expected: usize,
    },
    /// A weight that could wrap.
    #[error("a weight beyond {WEIGHT_MAX}")]
    Weight,
    /// Not the bytes of three functions.
    #[error("not the bytes of three functions of the round's projections")]
    Bytes,
}

impl Functions {
    /// Of rho, M weights each.
    ///
    /// # Errors
    /// [`BadFunctions`].
    pub fn new(question: &Question<'_>, rho: [Vec<i64>; NUMBERS]) -> Result<Self, BadFunctions> {
        let expected = question.terms.projections();
        if let Some(wrong) = rho.iter().find(|rho| rho.len() != expected) {
            return Err(BadFunctions::Length { got: wrong.len(), expected });
        }
        let is_bounded = |weight: &i64| weight.unsigned_abs() <= WEIGHT_MAX.unsigned_abs();
        let is_good = rho.iter().flatten().all(is_bounded);
        is_good.then_some(Self(rho)).ok_or(BadFunctions::Weight)
    }

    /// The weights, eight bytes each, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().flat_map(|weight| weight.to_le_bytes()).collect()
    }

    /// Reads what [`Self::to_bytes`] makes.
    ///
    /// # Errors
    /// [`BadFunctions`].
    pub fn from_bytes(question: &Question<'_>, bytes: &[u8]) -> Result<Self, BadFunctions> {
        let length = question.terms.projections();
        let (weights, rest) = bytes.as_chunks();
        if !rest.is_empty() || weights.len() != NUMBERS * length {
            return Err(BadFunctions::Bytes);
        }
        let of = |number: usize| {
            let weights = &weights[number * length..(number + 1) * length];
            weights.iter().map(|weight| i64::from_le_bytes(*weight)).collect()
        };
        Self::new(question, [of(0), of(1), of(2)])
    }

    /// What a holder opens once: these functions, of the accepted set `set`.
    #[must_use]
    pub fn digest(&self, set: &Digest) -> Digest {
        hash(Domain::CreditFunctions, &[&set.0, &self.to_bytes()])
    }

    /// The weights of each.
    #[must_use]
    pub const fn weights(&self) -> &[Vec<i64>; NUMBERS] {
        &self.0
    }

    /// The largest numbers of any update that the audit accepts, by Cauchy and Schwarz: the length of the
    /// weights times that of the projections. No honest owner comes near: its update would lie along the
    /// direction itself.
    #[must_use]
    pub fn reach(&self, question: &Question<'_>) -> [i128; NUMBERS] {
        // Below 2^32.
        let longest = ceil_sqrt(question.terms.update_bound);
        self.0.each_ref().map(|rho| {
            let square = |weight: &i64| u128::from(weight.unsigned_abs()).pow(2);
            // Squares below 2^80 each, so below 2^46.
            let length = ceil_sqrt(rho.iter().map(square).sum());
            (length * longest) as i128
        })
    }

    /// How many projections they weigh.
    #[must_use]
    pub const fn projections(&self) -> usize {
        self.0[0].len()
    }

    /// Of projections that are known: of the sum, whose numbers must be the sums of all clients'.
    #[must_use]
    pub fn of(&self, projections: &[i64]) -> [i128; NUMBERS] {
        let product = |rho: &Vec<i64>| {
            rho.iter().zip(projections).map(|(&rho, &y)| i128::from(rho) * i128::from(y)).sum()
        };
        self.0.each_ref().map(product)
    }

    fn of_elements(&self, entries: &[Element]) -> [Element; NUMBERS] {
        let weight = |&rho: &i64| Element::from(rho);
        self.0
            .each_ref()
            .map(|rho| rho.iter().map(weight).zip(entries).map(|(rho, &entry)| rho * entry).sum())
    }
}

const fn ceil_sqrt(x: u128) -> u128 {
    let root = x.isqrt();
    if root * root == x { root } else { root + 1 }
}

/// What a holder answers for one accepted client: its components' parts of the three numbers, in
/// canonical order.
#[must_use]
pub fn open(
    question: &Question<'_>,
    functions: &Functions,
    (client, proof): (&PartyId, &Proof),
    seeds: &Seeds,
) -> Vec<[Element; NUMBERS]> {
    let part = |seed: &[u8; 32]| {
        let tau = question.derive(Domain::AuditKey, client, &proof.salt, seed);
        let tau = Zeroizing::new(tau.0);
        functions.of_elements(&expand(&tau, 0, question.terms.projections()))
    };
    seeds.iter().map(part).collect()
}

/// The numbers of one client: `parts` are all components' ([`super::opening::agree`]).
#[must_use]
pub fn numbers(
    functions: &Functions,
    proof: &Proof,
    parts: &[[Element; NUMBERS]],
) -> [i128; NUMBERS] {
    let mut total = functions.of_elements(&proof.entries);
    for part in parts {
        total.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
    }
    total.map(Element::centred)
}

/// What is opened of a round's credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Y_sum: the projections of all accepted clients together, of each as often as it counts.
    pub sum: Vec<i64>,
    /// The three numbers of each, in their order.
    pub clients: Vec<[i128; NUMBERS]>,
}

/// One component's part for all accepted clients: Y_sum, in which each is as often as it counts,
/// then three numbers of each, packed.
#[must_use]
pub fn open_all<'a>(
    question: &Question<'_>,
    functions: &Functions,
    clients: impl Iterator<Item = (&'a PartyId, (&'a Proof, u32), &'a [u8; 32])>,
) -> Vec<u8> {
    let mut sum = vec![Element::ZERO; question.terms.projections()];
    let mut numbers = Vec::new();
    for (client, (proof, times), seed) in clients {
        let times = Element::from(i64::from(times));
        let tau = question.derive(Domain::AuditKey, client, &proof.salt, seed);
        let tau = Zeroizing::new(tau.0);
        let stream = expand(&tau, 0, sum.len());
        sum.iter_mut().zip(stream.iter()).for_each(|(sum, &entry)| *sum += times * entry);
        numbers.extend(functions.of_elements(&stream));
    }
    sum.extend(numbers);
    let mut bytes = Vec::with_capacity(packed_bytes(sum.len()));
    pack(&sum, &mut bytes);
    bytes
}

/// Bytes of one component's part for `count` clients.
#[must_use]
pub fn part_bytes(question: &Question<'_>, count: usize) -> usize {
    packed_bytes(question.terms.projections() + NUMBERS * count)
}

/// What the parts of all components, in canonical order, come to; `proofs` are those of the accepted
/// clients, with how often each counts. `None` when the parts are not of this form, or a projection
/// is beyond any sum's.
#[must_use]
pub fn gather(
    question: &Question<'_>,
    functions: &Functions,
    proofs: &[(&Proof, u32)],
    parts: &[Agreed],
) -> Option<Numbers> {
    let projections = question.terms.projections();
    if !parts.iter().map(|part| part.component).eq(question.config.shape.components()) {
        return None;
    }
    let mut total = vec![Element::ZERO; projections + NUMBERS * proofs.len()];
    let (sum, numbers) = total.split_at_mut(projections);
    for ((proof, times), numbers) in proofs.iter().zip(numbers.chunks_exact_mut(NUMBERS)) {
        let (entries, times) = (&proof.entries[..projections], Element::from(i64::from(*times)));
        sum.iter_mut().zip(entries).for_each(|(sum, &entry)| *sum += times * entry);
        numbers.copy_from_slice(&functions.of_elements(entries));
    }
    for part in parts {
        let elements = unpack(&part.openings, total.len())?;
        total.iter_mut().zip(elements).for_each(|(sum, value)| *sum += value);
    }
    let numbers = total.split_off(projections);
    let narrow = |element: Element| i64::try_from(element.centred()).ok();
    let sum = total.into_iter().map(narrow).collect::<Option<_>>()?;
    let three = |of: &[Element]| [of[0].centred(), of[1].centred(), of[2].centred()];
    Some(Numbers { sum, clients: numbers.chunks_exact(NUMBERS).map(three).collect() })
}

impl Numbers {
    /// Rule (a): the numbers of all clients, of each as often as it counts, add up to those of the
    /// sum, exactly.
    #[must_use]
    pub fn add_up(&self, functions: &Functions, times: &[u32]) -> bool {
        let mut total = [0; NUMBERS];
        for (numbers, &times) in self.clients.iter().zip(times) {
            let times = i128::from(times);
            total.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += times * number);
        }
        times.len() == self.clients.len() && total == functions.of(&self.sum)
    }
}

/// An owner's scores, from its numbers: updates are weighed before they are sealed, and credits weigh
/// by themselves, so the declared weight is taken out again, to the nearest. No score is beyond what an
/// update at the clip can reach ([`Functions::reach`]): one that is longer is of an owner that declared
/// less than it weighed its update with.
#[must_use]
pub fn scores(
    question: &Question<'_>,
    functions: &Functions,
    numbers: &[i128; NUMBERS],
    examples: u32,
) -> [i64; NUMBERS] {
    let (times, by) = match question.config.quantiser.weighting {
        Weighting::Uniform => (1, 1),
        Weighting::CappedExamples(cap) => (i128::from(cap), i128::from(examples.clamp(1, cap))),
    };
    let reach = functions.reach(question);
    std::array::from_fn(|at| {
        let (number, reach) = (numbers[at], reach[at].min(SCORE_MAX.into()));
        // Below 2^97 and 2^16.
        let whole = (number * times + number.signum() * (by / 2)) / by;
        whole.clamp(-reach, reach) as i64
    })
}
