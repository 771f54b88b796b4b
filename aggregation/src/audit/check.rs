//! What all proofs of a round are checked with: random weights that batch every relation into one,
//! and a random point for the proof polynomials. Fixed by a beacon after the proofs are.

use crate::audit::element::{Element, MODULUS};
use crate::audit::lift::Lift;
use crate::audit::polynomial;
use crate::audit::question::Question;
use crate::audit::rows::{BLOCK, PER_CODE, entry};
use crate::config::RoundConfig;
use crate::limits::AUDIT_RANGE_ROWS;
use crate::sum::adjoint::Adjoint;
use crate::sum::modulus::{Factor, PRIMES, RESIDUE_BITS};
use crate::sum::path::dispatch;
use crate::sum::xof::Xof;

/// The weights and the point.
#[derive(Clone)]
pub struct Check {
    /// chi: of the J relations, of the range rows, of the two bounds.
    pub(crate) weights: Vec<Element>,
    /// Weights of an entry of v in the batched relation: chi_j Delta_l for Y, chi_j for N.
    pub(crate) entries: Vec<Element>,
    /// Of the values at 0..=G in the value at the point.
    pub(crate) nodes: Vec<Element>,
    /// Of the values at 0..=2G in the value at the point.
    pub(crate) values: Vec<Element>,
}

impl Check {
    pub(crate) fn new(question: &Question<'_>, weights: &mut Xof, point: &mut Xof) -> Self {
        let terms = &question.terms;
        let weights = draw(weights, terms.weights());
        let point = point_beyond(point, 2 * terms.columns() as u64);
        let factors = Lift::new(question.config).factors();
        let mut entries = vec![Element::ZERO; terms.entries()];
        let lanes = factors.len();
        for (j, &weight) in weights[..terms.rows].iter().enumerate() {
            for (l, &factor) in factors.iter().enumerate() {
                entries[j * lanes + l] = weight * factor;
            }
            entries[terms.projections() + super::terms::SLACK + j] = weight;
        }
        Self {
            entries,
            nodes: polynomial::weights(terms.columns(), point),
            values: polynomial::weights(2 * terms.columns(), point),
            weights,
        }
    }

    /// Weights of the range rows.
    pub(crate) fn range(&self) -> &[Element] {
        let end = self.weights.len() - 2;
        &self.weights[end - AUDIT_RANGE_ROWS..end]
    }

    /// Weights of the bounds of update and noise.
    pub(crate) fn bounds(&self) -> [Element; 2] {
        let end = self.weights.len() - 2;
        [self.weights[end], self.weights[end + 1]]
    }
}

/// `number` elements, limb by limb from one stream.
fn draw(xof: &mut Xof, number: usize) -> Vec<Element> {
    let mut elements = vec![Element::ZERO; number];
    let mut limb = vec![0; number];
    for (l, &prime) in PRIMES.iter().enumerate() {
        xof.uniform(prime, &mut limb);
        elements.iter_mut().zip(&limb).for_each(|(element, &residue)| element.0[l] = residue);
    }
    elements
}

/// A point that is none of 0..=`last` in either field.
pub(crate) fn point_beyond(xof: &mut Xof, last: u64) -> Element {
    Element(PRIMES.map(|prime| {
        let mut residue = [0];
        while residue[0] <= last {
            xof.uniform(prime, &mut residue);
        }
        residue[0]
    }))
}

/// The rows batched: r = sum_j chi_j r_j over all coefficients, and g = A* r.
#[derive(Clone)]
pub struct Batch {
    /// r, modulo each prime.
    rows: [Vec<u64>; 2],
    /// g, modulo each prime.
    pub(crate) key: [Vec<u64>; 2],
}

impl Batch {
    /// Of the rows of `question`.
    #[must_use]
    pub fn new(question: &Question<'_>, check: &Check) -> Self {
        let config = question.config;
        let tables = tables(&check.weights[..question.terms.rows]);
        let mut rows = [Vec::new(), Vec::new()];
        let mut adjoint = Adjoint::new(config.profile, &question.round_ctx);
        let mut sums = vec![[0; 2]; BLOCK];
        let mut codes = [0; BLOCK];
        for chunk in 0..config.chunks() {
            let coefficients = config.chunk_coefficients(chunk);
            sums.fill([0; 2]);
            for (group, table) in tables.iter().enumerate() {
                let codes = &mut codes[..coefficients];
                question.rows.codes(group * PER_CODE, chunk, codes);
                for (sum, &code) in sums.iter_mut().zip(codes.iter()) {
                    let [first, second] = table[usize::from(code)];
                    *sum = [sum[0] + first, sum[1] + second];
                }
            }
            let limb = |l: usize| sums.iter().map(move |sum| reduced(sum[l], PRIMES[l]));
            let mut limbs = [limb(0).collect(), limb(1).collect()];
            for (rows, limb) in rows.iter_mut().zip(&limbs) {
                let limb: &Vec<u64> = limb;
                rows.extend_from_slice(&limb[..coefficients]);
            }
            adjoint.add(chunk, &mut limbs);
        }
        let key = adjoint.finish().try_into().expect("profile B has two primes");
        Self { rows, key }
    }

    /// beta = <r, bh> mod q of one client's chunks, which come in order.
    #[must_use]
    pub fn product<'a>(
        &self,
        question: &Question<'_>,
        chunks: impl Iterator<Item = &'a [u8]>,
    ) -> Element {
        let mut product = self.begin(question.config);
        for (index, bytes) in (0..).zip(chunks) {
            product.add(index, bytes);
        }
        product.finish()
    }

    /// For chunks that come one by one, in any order.
    #[must_use]
    pub fn begin<'a>(&'a self, config: &'a RoundConfig) -> Product<'a> {
        let chunk = config.profile.ring_dimension();
        Product { lift: Lift::new(config), rows: &self.rows, chunk, sum: Element::ZERO }
    }
}

/// For four rows at a time, what each of their 256 codes adds modulo each prime.
type Table = [[i64; 2]; 256];

fn tables(weights: &[Element]) -> Vec<Table> {
    let sum = |weights: &[Element], code: usize, limb: usize| {
        let weights = weights.iter().enumerate();
        weights.map(|(j, weight)| entry(code, j) * weight.0[limb] as i64).sum()
    };
    let table = |weights: &[Element]| {
        std::array::from_fn(|code| [0, 1].map(|limb| sum(weights, code, limb)))
    };
    weights.chunks(PER_CODE).map(table).collect()
}

/// beta, chunk by chunk.
pub struct Product<'a> {
    lift: Lift<'a>,
    rows: &'a [Vec<u64>; 2],
    /// Coefficients of a whole chunk.
    chunk: usize,
    sum: Element,
}

// A lifted word is two parts as wide as a residue, multiplied apart.
const _: () = assert!(MODULUS >> (2 * RESIDUE_BITS) == 0);

impl Product<'_> {
    /// Adds chunk `index`.
    pub fn add(&mut self, index: u32, bytes: &[u8]) {
        let start = index as usize * self.chunk;
        let [first, second] = self.rows.each_ref().map(|rows| &rows[start..]);
        // 4096 products of 100 bits each: far from an overflow.
        let mut sums = [0u128; 4];
        self.lift.for_chunk(index, bytes, |c, lifted| {
            let low = u128::from(lifted as u64 & ((1 << RESIDUE_BITS) - 1));
            let high = u128::from((lifted >> RESIDUE_BITS) as u64);
            let (r1, r2) = (u128::from(first[c]), u128::from(second[c]));
            sums[0] += r1 * low;
            sums[1] += r1 * high;
            sums[2] += r2 * low;
            sums[3] += r2 * high;
        });
        let limb = |l: usize, low: u128, high: u128| {
            let prime = u128::from(PRIMES[l]);
            ((low % prime + ((high % prime) << RESIDUE_BITS)) % prime) as u64
        };
        self.sum += Element([limb(0, sums[0], sums[1]), limb(1, sums[2], sums[3])]);
    }

    /// beta.
    #[must_use]
    pub const fn finish(self) -> Element {
        self.sum
    }
}

/// `sums[i] += weight row[i]`: 2^8 weights below 2^50 stay far below 2^63.
pub(crate) fn accumulate(sums: &mut [i64], weight: u64, row: &[i8]) {
    let weight = weight as i64;
    dispatch(
        #[inline(always)]
        || {
            for (sum, &entry) in sums.iter_mut().zip(row) {
                let entry = i64::from(entry);
                let sign = entry >> 1;
                *sum += ((weight & -(entry & 1)) ^ sign) - sign;
            }
        },
    );
}

/// `sum mod prime`, for a sum of [`accumulate`].
pub(crate) const fn reduced(sum: i64, prime: u64) -> u64 {
    // A multiple of the prime that makes every such sum positive.
    let lifted = sum as u64 + (prime << 9);
    Factor::new(1, prime).times(lifted, prime)
}
