//! Inner products with public directions, estimated from projections: which public weights of an
//! owner's projections give its number (design note `credits-sketch`, section 4, regression).
//!
//! With Z the projections of some public vectors and G their exact inner products with a direction,
//! the estimate for an owner with projections Y is `G' (Z'Z)^-1 Z' Y`: Y's part in the span of Z has
//! its exact inner product, and the rest, which is orthogonal to the direction in projection, counts
//! as nothing. It is linear in Y, and its weights are public.

use std::ops::Range;

use crate::audit::projection::project;
use crate::audit::rows::Rows;
use crate::config::RoundConfig;

/// Weights are held in units of 2^-16: the numbers are 2^16 times the estimated inner products.
pub const FRACTION_BITS: u32 = 16;

/// Square of the part of a vector that others do not explain, relative to the whole, below which
/// it adds nothing but rounding errors.
const COLLINEAR: f64 = 1e-9;

/// Closeness asked of another's weights: within 1/50 of one's own in norm.
const CLOSENESS: i128 = 50;

/// Public vectors and their projections.
pub struct Known {
    /// Exact inner products of each with each.
    products: Vec<Vec<f64>>,
    /// Orthonormal: the vectors' projections one after the other, less what those before explain.
    basis: Vec<Basis>,
    projections: Vec<Vec<f64>>,
}

struct Basis {
    direction: Vec<f64>,
    /// Which vector it came from.
    of: usize,
}

impl Known {
    /// Of `vectors`, each of at most as many integers as the round has coordinates.
    #[must_use]
    pub fn new(config: &RoundConfig, rows: &Rows, vectors: &[&[i32]]) -> Self {
        Self::with_coordinates(config, rows, vectors, 0..0)
    }

    /// Of `vectors`, which end before the coordinates `single`, and of each of these coordinates by
    /// itself: what an owner has in it counts for nothing in a direction that has nothing there.
    #[must_use]
    pub fn with_coordinates(
        config: &RoundConfig,
        rows: &Rows,
        vectors: &[&[i32]],
        single: Range<u64>,
    ) -> Self {
        let mut projections: Vec<Vec<f64>> = (vectors.iter())
            .map(|units| project(config, rows, units).iter().map(|&y| y as f64).collect())
            .collect();
        projections.extend(single.clone().map(|at| project_one(config, rows, at)));
        let product = |a: &[i32], b: &[i32]| {
            a.iter().zip(b).map(|(&a, &b)| i128::from(i64::from(a) * i64::from(b))).sum::<i128>()
        };
        let alone = |at: usize| {
            let is_it = |other: usize| f64::from(u8::from(other == at));
            (0..projections.len()).map(is_it).collect::<Vec<f64>>()
        };
        let products = vectors.iter().map(|a| {
            let with = vectors.iter().map(|b| product(a, b) as f64);
            with.chain(single.clone().map(|_| 0.0)).collect()
        });
        let products = products.chain((vectors.len()..projections.len()).map(alone)).collect();
        let mut known = Self { products, basis: Vec::new(), projections };
        for of in 0..known.projections.len() {
            known.orthogonalise(of);
        }
        known
    }

    /// Adds what projection `of` has beyond the basis (Gram, Schmidt, twice for accuracy).
    fn orthogonalise(&mut self, of: usize) {
        let whole = &self.projections[of];
        let mut rest = whole.clone();
        for _ in 0..2 {
            for basis in &self.basis {
                let part = dot(&rest, &basis.direction);
                rest.iter_mut().zip(&basis.direction).for_each(|(rest, x)| *rest -= part * x);
            }
        }
        let square = dot(&rest, &rest);
        if square > COLLINEAR * dot(whole, whole) {
            let norm = square.sqrt();
            rest.iter_mut().for_each(|x| *x /= norm);
            self.basis.push(Basis { direction: rest, of });
        }
    }

    /// What of vector `target` is new: coefficients of the vectors, of which it has its own and takes
    /// off its exact projection on the vectors `others`.
    #[must_use]
    pub fn beyond(&self, target: usize, others: &[usize]) -> Vec<f64> {
        let mut coefficients = vec![0.0; self.products.len()];
        coefficients[target] = 1.0;
        let gram: Vec<Vec<f64>> =
            others.iter().map(|&a| others.iter().map(|&b| self.products[a][b]).collect()).collect();
        let right = others.iter().map(|&a| self.products[a][target]).collect();
        for (&other, part) in others.iter().zip(solve(gram, right)) {
            coefficients[other] -= part;
        }
        coefficients
    }

    /// The weights of an owner's projections that estimate its inner product with
    /// `sum_k target_k vector_k`, in units of 2^-16.
    ///
    /// # Panics
    /// When `target` has not one coefficient for each vector.
    #[must_use]
    pub fn weights(&self, target: &[f64]) -> Vec<i64> {
        assert_eq!(target.len(), self.products.len(), "a coefficient for each vector");
        // Exact inner products of the vectors in the basis with the direction.
        let exact = |of: usize| dot(&self.products[of], target);
        // (Z'Z)^-1 G by the basis: Z = Q R with R upper triangular, weights = Q R'^-1 G.
        let mut parts: Vec<f64> = Vec::new();
        for basis in &self.basis {
            let z = &self.projections[basis.of];
            let before = self.basis.iter().zip(&parts);
            let explained: f64 = before.map(|(b, part)| dot(z, &b.direction) * part).sum();
            parts.push((exact(basis.of) - explained) / dot(z, &basis.direction));
        }
        let scale = f64::from(1u32 << FRACTION_BITS);
        let entries = self.projections.first().map_or(0, Vec::len);
        (0..entries)
            .map(|i| {
                let weight: f64 =
                    self.basis.iter().zip(&parts).map(|(b, part)| b.direction[i] * part).sum();
                (weight * scale).round_ties_even() as i64
            })
            .collect()
    }
}

/// The projections of the vector that is one at coordinate `at` and nothing elsewhere.
fn project_one(config: &RoundConfig, rows: &Rows, at: u64) -> Vec<f64> {
    let lanes = u64::from(config.packing.lanes);
    let (chunk, coefficient) = ((at / config.chunk_coordinates()) as u32, at / lanes);
    let within = (coefficient % config.profile.ring_dimension() as u64) as usize;
    let mut projections = vec![0.0; rows.number() * lanes as usize];
    rows.for_chunk(config, chunk, |j, row| {
        projections[j * lanes as usize + (at % lanes) as usize] = f64::from(row[within]);
    });
    projections
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The solution of a symmetric system; zero for what is collinear with what comes before
/// (Gaussian elimination without pivoting, in order).
fn solve(mut gram: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    let whole: Vec<f64> = (0..n).map(|i| gram[i][i]).collect();
    let mut is_used = vec![true; n];
    for i in 0..n {
        if gram[i][i] <= COLLINEAR * whole[i] {
            is_used[i] = false;
            continue;
        }
        for below in i + 1..n {
            let factor = gram[below][i] / gram[i][i];
            let pivot = gram[i].clone();
            gram[below].iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
            right[below] -= factor * right[i];
        }
    }
    let mut solution = vec![0.0; n];
    for i in (0..n).rev().filter(|&i| is_used[i]) {
        let known: f64 = (i + 1..n).map(|j| gram[i][j] * solution[j]).sum();
        solution[i] = (right[i] - known) / gram[i][i];
    }
    solution
}

/// Whether `theirs` are the weights that one would have published oneself: within 2 % in norm.
/// Compared in the space of projections, where alone a direction could be aimed.
#[must_use]
pub fn is_close(theirs: &[i64], own: &[i64]) -> bool {
    let square = |values: &mut dyn Iterator<Item = i64>| {
        values.map(|x| i128::from(x) * i128::from(x)).sum::<i128>()
    };
    if theirs.len() != own.len() {
        return false;
    }
    let apart = square(&mut theirs.iter().zip(own).map(|(a, b)| a.saturating_sub(*b)));
    let norm = square(&mut own.iter().copied());
    apart.checked_mul(CLOSENESS * CLOSENESS).is_some_and(|apart| apart <= norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::terms::tests::audited;
    use crate::hash::Digest;
    use crate::sum::xof::Xof;

    const DIMENSION: usize = 2_410;

    /// Integers that look normal, of deviation about 20.
    fn vector(seed: u8) -> Vec<i32> {
        let mut words = vec![0; DIMENSION];
        Xof::new(&[seed; 32], 9).words(&mut words);
        let sum = |word: u64| word.to_le_bytes().iter().map(|&byte| i32::from(byte)).sum::<i32>();
        words.into_iter().map(|word| (sum(word) - 1020) / 10).collect()
    }

    fn mixed(parts: &[(f64, &[i32])]) -> Vec<i32> {
        let at =
            |i: usize| parts.iter().map(|(weight, part)| weight * f64::from(part[i])).sum::<f64>();
        (0..DIMENSION).map(|i| at(i).round() as i32).collect()
    }

    fn exact(a: &[i32], b: &[i32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    struct Case {
        config: RoundConfig,
        r: Vec<i32>,
        step: Vec<i32>,
        sum: Vec<i32>,
    }

    fn case() -> Case {
        let (r, noise) = (vector(1), vector(2));
        let step = mixed(&[(0.5, &r), (0.8, &noise)]);
        let sum = mixed(&[(3.0, &r), (2.0, &vector(3)), (1.0, &step)]);
        Case { config: audited(DIMENSION as u64, 100, 64), r, step, sum }
    }

    fn estimate(rho: &[i64], y: &[i64]) -> f64 {
        let number: i128 = rho.iter().zip(y).map(|(&a, &b)| i128::from(a) * i128::from(b)).sum();
        number as f64 / f64::from(1u32 << FRACTION_BITS)
    }

    #[test]
    fn what_is_in_the_span_is_exact_and_a_replayed_step_has_no_novelty() {
        let Case { config, r, step, sum } = case();
        let rows = Rows::new(&Digest([1; 32]), 64);
        let known = Known::new(&config, &rows, &[&r, &sum, &step]);
        let s = known.weights(&[1.0, 0.0, 0.0]);
        let novelty = known.weights(&known.beyond(0, &[2]));
        for (u, name) in [(&r, "r"), (&sum, "sum"), (&step, "step")] {
            let y = project(&config, &rows, u);
            let relative = estimate(&s, &y) / exact(u, &r) - 1.0;
            assert!(relative.abs() < 1e-4, "{name}: {relative}");
        }
        let replay: Vec<i32> = step.iter().map(|x| 3 * x).collect();
        let y = project(&config, &rows, &replay);
        let norms = (exact(&replay, &replay) * exact(&r, &r)).sqrt();
        assert!(estimate(&novelty, &y).abs() < 1e-5 * norms);
        // And r has nearly all of its novelty: it is not in the span of the step.
        let y = project(&config, &rows, &r);
        let expected = exact(&r, &r) - exact(&r, &step).powi(2) / exact(&step, &step);
        assert!((estimate(&novelty, &y) / expected - 1.0).abs() < 1e-3);
    }

    /// Errors over 60 draws of the rows: no bias, and less spread than by the plain estimate
    /// (2/M) Y(u) Y(r), whose relative square is 1 + cos^2.
    #[test]
    fn estimates_are_centred_and_sharper_than_plain_ones() {
        let Case { config, r, step, sum } = case();
        let own = vector(7);
        let u = mixed(&[(0.7, &r), (0.6, &own), (0.3, &sum)]);
        let (truth, norms) = (exact(&u, &r), (exact(&u, &u) * exact(&r, &r)).sqrt());
        let (mut regressed, mut plain) = (Vec::new(), Vec::new());
        for draw in 0..60 {
            let rows = Rows::new(&Digest([draw; 32]), 64);
            let known = Known::new(&config, &rows, &[&r, &sum, &step]);
            let (y, z) = (project(&config, &rows, &u), project(&config, &rows, &r));
            regressed.push((estimate(&known.weights(&[1.0, 0.0, 0.0]), &y) - truth) / norms);
            let product: f64 = y.iter().zip(&z).map(|(&a, &b)| a as f64 * b as f64).sum();
            plain.push((2.0 / 64.0 * product - truth) / norms);
        }
        let square = |errors: &[f64]| errors.iter().map(|e| e * e).sum::<f64>() / 60.0;
        let mean = regressed.iter().sum::<f64>() / 60.0;
        assert!(mean.abs() < 4.0 * (square(&regressed) / 60.0).sqrt(), "{mean}");
        assert!(square(&regressed) < 0.5 * square(&plain));
        // M times the mean squared error: what no known vector explains of the update's square.
        let m = f64::from(64 * config.packing.lanes);
        let unexplained = 0.36 * exact(&own, &own) / exact(&u, &u);
        let relative = m * square(&regressed) / unexplained;
        assert!((0.5..1.7).contains(&relative), "{relative}");
    }

    /// Digits of weights and counters are in an owner's projections, and say nothing of its update.
    #[test]
    fn what_an_owner_has_in_single_coordinates_changes_nothing() {
        let Case { config, r, step, sum } = case();
        let rows = Rows::new(&Digest([1; 32]), 64);
        let (first, end) = (config.coordinates() - 4, config.coordinates());
        let vectors: [&[i32]; 3] = [&r, &sum, &step];
        let known = Known::with_coordinates(&config, &rows, &vectors, first..end);
        let target = |one: usize| (0..7).map(|k| f64::from(u8::from(k == one))).collect::<Vec<_>>();
        let s = known.weights(&target(0));
        let mut u = mixed(&[(0.7, &r), (0.6, &vector(7))]);
        let before = estimate(&s, &project(&config, &rows, &u));
        u.resize(end as usize, 0);
        u[first as usize..].copy_from_slice(&[-2048, 900, 7, 12_345]);
        let after = estimate(&s, &project(&config, &rows, &u));
        let norms = (exact(&u[..DIMENSION], &u[..DIMENSION]) * exact(&r, &r)).sqrt();
        assert!((after - before).abs() < 1e-4 * norms, "{before} {after} {norms}");
        let plain = Known::new(&config, &rows, &vectors).weights(&[1.0, 0.0, 0.0]);
        let moved = estimate(&plain, &project(&config, &rows, &u)) - before;
        assert!(moved.abs() > 1e-2 * norms, "{moved} {norms}");
    }

    #[test]
    fn vectors_that_say_nothing_new_change_nothing() {
        let Case { config, r, step, sum } = case();
        let rows = Rows::new(&Digest([1; 32]), 64);
        let twice: Vec<i32> = step.iter().map(|x| 2 * x).collect();
        let zero = vec![0; DIMENSION];
        let plain = Known::new(&config, &rows, &[&r, &sum, &step]);
        let known = Known::new(&config, &rows, &[&r, &sum, &step, &twice, &zero]);
        let weights = known.weights(&[1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(is_close(&weights, &plain.weights(&[1.0, 0.0, 0.0])));
        let beyond = known.beyond(0, &[2, 3, 4]);
        assert!(is_close(&known.weights(&beyond), &plain.weights(&plain.beyond(0, &[2]))));
    }

    #[test]
    fn weights_of_a_moved_direction_are_not_close() {
        let Case { config, r, step, sum } = case();
        let rows = Rows::new(&Digest([1; 32]), 64);
        let weights =
            |r: &[i32]| Known::new(&config, &rows, &[r, &sum, &step]).weights(&[1.0, 0.0, 0.0]);
        let own = weights(&r);
        assert!(is_close(&own, &own));
        assert!(is_close(&[0; 5], &[0; 5]) && !is_close(&[1], &[0]));
        assert!(!is_close(&own[1..], &own));
        // Aimed at one client: the direction moved by what the rows make of 4 % of its length, put
        // where the projections are largest. Its cosine is above .999.
        let y = project(&config, &rows, &vector(9));
        let lanes = config.packing.lanes as usize;
        let mut aim = vec![0f64; DIMENSION];
        rows.for_chunk(&config, 0, |j, row| {
            for (i, aim) in aim.iter_mut().enumerate() {
                *aim += f64::from(row[i / lanes]) * y[j * lanes + i % lanes] as f64;
            }
        });
        let length = aim.iter().map(|x| x * x).sum::<f64>().sqrt();
        let norm = exact(&r, &r).sqrt();
        let moved: Vec<i32> = (r.iter().zip(&aim))
            .map(|(&r, aim)| (f64::from(r) + 0.04 * norm * aim / length).round() as i32)
            .collect();
        let cosine = exact(&moved, &r) / (exact(&moved, &moved) * exact(&r, &r)).sqrt();
        assert!(cosine > 0.999, "{cosine}");
        assert!(!is_close(&weights(&moved), &own));
    }
}
