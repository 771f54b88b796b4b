//! Units that noise carried into the lowest lane of the opened sum. Noise that is within an audit's
//! bounds for each client can add up to one unit if enough clients work together (design note
//! `closed-audit`, section 5). The projections tell where, so that the sum can be put right and nobody's
//! credit is lost.

use serde::{Deserialize, Serialize};

use crate::audit::question::Question;
use crate::audit::rows::BLOCK;

/// Coordinates that may be put right. Each takes several clients that give up their noise's secrecy for
/// one unit; with more, chance columns begin to fit as well as true ones.
pub const CARRIES_MAX: usize = 3;

/// One coordinate of the opened sum, and by how much all contributions together are above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carry {
    /// Which coordinate.
    pub coordinate: u64,
    /// 1 or -1.
    pub by: i8,
}

/// What explains that the contributions' projections (`all`) are not those of the opened sum
/// (`opened`): nothing, where they are equal. `None` where carries do not explain it.
#[must_use]
pub fn carries(question: &Question<'_>, all: &[i64], opened: &[i64]) -> Option<Vec<Carry>> {
    let lanes = question.config.packing.lanes as usize;
    let rows = question.terms.rows;
    if all.len() != opened.len() || all.len() != rows * lanes {
        return None;
    }
    let deviation: Vec<i64> = all.iter().zip(opened).map(|(a, b)| a.wrapping_sub(*b)).collect();
    let of_lowest = |(i, by): (usize, &i64)| i % lanes == 0 || *by == 0;
    if !deviation.iter().enumerate().all(of_lowest) {
        return None;
    }
    let mut rest: Vec<i64> = deviation.into_iter().step_by(lanes).collect();
    let mut carries = Vec::new();
    while rest.iter().any(|by| *by != 0) {
        let most = (CARRIES_MAX - carries.len()) as u64;
        if rest.iter().any(|by| by.unsigned_abs() > most) {
            return None;
        }
        let (coefficient, by) = likeliest(question, &rest)?;
        take_off(question, coefficient, by, &mut rest);
        carries.push(Carry { coordinate: coefficient * lanes as u64, by });
    }
    carries.sort_unstable_by_key(|carry| carry.coordinate);
    Some(carries)
}

/// The coefficient whose column fits best, the first of equals, with its sign.
fn likeliest(question: &Question<'_>, rest: &[i64]) -> Option<(u64, i8)> {
    let config = question.config;
    let (mut best, mut found) = (0, None);
    for chunk in 0..config.chunks() {
        let mut fits = vec![0i64; config.chunk_coefficients(chunk)];
        question.rows.for_chunk(config, chunk, |j, row| {
            if rest[j] != 0 {
                fits.iter_mut()
                    .zip(row)
                    .for_each(|(fit, entry)| *fit += i64::from(*entry) * rest[j]);
            }
        });
        for (at, fit) in (u64::from(chunk) * BLOCK as u64..).zip(fits) {
            if fit.abs() > best {
                (best, found) = (fit.abs(), Some((at, fit.signum() as i8)));
            }
        }
    }
    found
}

/// Takes one unit of a coefficient off the projections.
fn take_off(question: &Question<'_>, coefficient: u64, by: i8, rest: &mut [i64]) {
    let (chunk, at) = ((coefficient / BLOCK as u64) as u32, (coefficient % BLOCK as u64) as usize);
    question.rows.for_chunk(question.config, chunk, |j, row| {
        rest[j] -= i64::from(by) * i64::from(row[at]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::projection::project;
    use crate::audit::terms::tests::audited;
    use crate::config::RoundConfig;
    use crate::hash::Digest;

    const DIMENSION: u64 = 50_000;

    fn config() -> RoundConfig {
        audited(DIMENSION, 100, 128)
    }

    fn question(config: &RoundConfig) -> Question<'_> {
        Question::new(config, Digest([7; 32]), Digest([8; 32])).expect("can be audited")
    }

    /// Projections of a sum, and of the same with these coordinates moved.
    fn moved(question: &Question<'_>, by: &[(u64, i32)]) -> [Vec<i64>; 2] {
        let mut sum: Vec<i32> = (0..DIMENSION as i32).map(|i| i % 301 - 150).collect();
        let opened = project(question.config, question.rows(), &sum);
        for (coordinate, by) in by {
            sum[*coordinate as usize] += by;
        }
        [project(question.config, question.rows(), &sum), opened]
    }

    #[test]
    fn up_to_three_units_in_the_lowest_lane_are_found_where_they_are() {
        let config = config();
        let question = question(&config);
        let lanes = u64::from(config.packing.lanes);
        let cases: [&[(u64, i32)]; 4] = [
            &[],
            &[(17 * lanes, 1)],
            &[(0, -1), (4096 * lanes, 1)],
            &[(5 * lanes, -1), (6 * lanes, -1), (9_000 * lanes, 1)],
        ];
        for by in cases {
            let [all, opened] = moved(&question, by);
            let expected: Vec<_> =
                by.iter().map(|(coordinate, by)| (*coordinate, *by as i8)).collect();
            let found = carries(&question, &all, &opened).expect("explained");
            let found: Vec<_> = found.iter().map(|carry| (carry.coordinate, carry.by)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_noise_cannot_have_done_is_not_explained() {
        let config = config();
        let question = question(&config);
        let lanes = u64::from(config.packing.lanes);
        let many: Vec<_> = (0..4).map(|i| (i * 100 * lanes, 1)).collect();
        let cases: [(&str, &[(u64, i32)]); 4] = [
            ("another lane", &[(17 * lanes + 1, 1)]),
            ("four units", &many),
            ("a large unit", &[(17 * lanes, 4)]),
            ("another sum", &[(3, 1), (8, 70), (1_000, -5)]),
        ];
        for (what, by) in cases {
            let [all, opened] = moved(&question, by);
            assert_eq!(carries(&question, &all, &opened), None, "{what}");
        }
        let [all, opened] = moved(&question, &[]);
        assert_eq!(carries(&question, &all[1..], &opened), None);
    }
}
