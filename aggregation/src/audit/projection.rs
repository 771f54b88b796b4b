//! Projections on the rows: J numbers for each lane of a vector of coordinates, J for a vector of
//! coefficients.

use zeroize::Zeroizing;

use crate::audit::rows::{BLOCK, Rows};
use crate::config::RoundConfig;
use crate::sum::path::dispatch;

/// Coordinates added up in 32 bits before they must be widened: 2^15 of 2^16 at most.
const NARROW_SUM: usize = 1 << 15;

const _: () = assert!(BLOCK <= NARROW_SUM);

/// Noise entries added up in 32 bits before they must be widened: 2^7 of 2^24 at most.
const NOISE_SUM: usize = 1 << 7;

/// Y: projections of a vector of coordinates, entry `j k + l` of row j and lane l. Coordinate i is
/// in lane `i mod k` of coefficient `i / k`. `units` may end early: the rest is zero.
///
/// What is projected is public: the sum, or a direction. An owner's update goes another way, whose
/// time does not depend on it.
#[must_use]
pub fn project(config: &RoundConfig, rows: &Rows, units: &[i32]) -> Vec<i64> {
    let lanes = config.packing.lanes as usize;
    let mut sums = vec![0; rows.number() * lanes];
    for (chunk, units) in (0..).zip(units.chunks(BLOCK * lanes)) {
        rows.for_chunk(config, chunk, |j, row| {
            let sums = &mut sums[j * lanes..(j + 1) * lanes];
            for (entry, units) in row.iter().zip(units.chunks(lanes)) {
                if *entry != 0 {
                    for (sum, unit) in sums.iter_mut().zip(units) {
                        *sum += i64::from(*entry) * i64::from(*unit);
                    }
                }
            }
        });
    }
    sums
}

/// Y and N of one owner, chunk by chunk. Secret: zeroised when dropped; no `Debug`, no `Clone`.
/// Neither branches nor addresses depend on what is projected.
pub(crate) struct Projections {
    lanes: usize,
    /// Y, entry `j k + l`.
    pub(crate) updates: Zeroizing<Vec<i64>>,
    /// N.
    pub(crate) noises: Zeroizing<Vec<i64>>,
    /// A chunk's coordinates, lane by lane.
    lane: Zeroizing<Vec<i16>>,
}

impl Projections {
    pub(crate) fn new(lanes: usize, rows: usize) -> Self {
        Self {
            lanes,
            updates: Zeroizing::new(vec![0; rows * lanes]),
            noises: Zeroizing::new(vec![0; rows]),
            lane: Zeroizing::new(vec![0; lanes * BLOCK]),
        }
    }

    /// Adds chunk `chunk`: `units` has k coordinates for each coefficient, `noise` is below 2^24
    /// in absolute value.
    pub(crate) fn add(
        &mut self,
        (config, rows): (&RoundConfig, &Rows),
        chunk: u32,
        units: &[i16],
        noise: &[i32],
    ) {
        let lanes = self.lanes;
        debug_assert_eq!(units.len(), noise.len() * lanes);
        for (l, lane) in self.lane.chunks_exact_mut(BLOCK).enumerate() {
            for (to, units) in lane.iter_mut().zip(units.chunks_exact(lanes)) {
                *to = units[l];
            }
        }
        let lane = self.lane.chunks_exact(BLOCK);
        rows.for_chunk(config, chunk, |j, row| {
            let sums = &mut self.updates[j * lanes..(j + 1) * lanes];
            for (sum, lane) in sums.iter_mut().zip(lane.clone()) {
                *sum += i64::from(narrow(row, lane));
            }
            self.noises[j] += wide(row, noise);
        });
    }
}

fn narrow(row: &[i8], units: &[i16]) -> i32 {
    dispatch(
        #[inline(always)]
        || row.iter().zip(units).map(|(&r, &u)| i32::from(r) * i32::from(u)).sum(),
    )
}

fn wide(row: &[i8], noise: &[i32]) -> i64 {
    dispatch(
        #[inline(always)]
        || {
            let blocks = row.chunks(NOISE_SUM).zip(noise.chunks(NOISE_SUM));
            let block = |(row, noise): (&[i8], &[i32])| {
                i64::from(row.iter().zip(noise).map(|(&r, &x)| i32::from(r) * x).sum::<i32>())
            };
            blocks.map(block).sum()
        },
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::audit::terms::tests::audited;
    use crate::hash::Digest;
    use crate::sum::xof::Xof;

    /// Straight from the definition.
    fn reference(config: &RoundConfig, rows: &Rows, units: &[i32]) -> Vec<i64> {
        let lanes = config.packing.lanes as usize;
        let mut all = vec![Vec::new(); rows.number()];
        for chunk in 0..config.chunks() {
            rows.for_chunk(config, chunk, |j, row| all[j].extend_from_slice(row));
        }
        let entry = |j: usize, l: usize| {
            let lane = units.iter().enumerate().filter(|(i, _)| i % lanes == l);
            lane.map(|(i, &unit)| i64::from(all[j][i / lanes]) * i64::from(unit)).sum()
        };
        (0..rows.number())
            .flat_map(|j| (0..lanes).map(move |l| (j, l)))
            .map(|(j, l)| entry(j, l))
            .collect()
    }

    #[test]
    fn projections_are_the_sums_of_the_definition() {
        let config = audited(50_000, 100, 64);
        let lanes = config.packing.lanes as usize;
        let rows = Rows::new(&Digest([3; 32]), 64);
        let held: usize = (0..config.chunks()).map(|i| config.chunk_coefficients(i)).sum();
        let mut words = vec![0; held * lanes];
        Xof::new(&[1; 32], 0).words(&mut words);
        // The largest values among them.
        let units: Vec<i16> = words.iter().map(|&word| word as i16).collect();
        let noise: Vec<i32> =
            words.iter().step_by(lanes).map(|&word| (word >> 20) as i32 >> 8).collect();
        let mut projections = Projections::new(lanes, 64);
        let mut at = 0;
        for chunk in 0..config.chunks() {
            let end = at + config.chunk_coefficients(chunk);
            let (units, noise) = (&units[at * lanes..end * lanes], &noise[at..end]);
            projections.add((&config, &rows), chunk, units, noise);
            at = end;
        }
        let units: Vec<i32> = units.into_iter().map(i32::from).collect();
        let expected = reference(&config, &rows, &units);
        assert_eq!(*projections.updates, expected);
        assert_eq!(project(&config, &rows, &units), expected);
        let mut single = config.clone();
        single.packing.lanes = 1;
        let noise_as_one_lane = |row: usize| {
            let mut sum = 0;
            let mut at = 0;
            for chunk in 0..config.chunks() {
                rows.for_chunk(&config, chunk, |j, entries| {
                    if j == row {
                        sum += entries
                            .iter()
                            .zip(&noise[at..])
                            .map(|(&r, &x)| i64::from(r) * i64::from(x))
                            .sum::<i64>();
                    }
                });
                at += config.chunk_coefficients(chunk);
            }
            sum
        };
        for row in [0, 1, 63] {
            assert_eq!(projections.noises[row], noise_as_one_lane(row));
        }
    }

    #[test]
    fn a_vector_that_ends_early_is_as_if_zeros_followed() {
        let config = audited(20_000, 100, 64);
        let rows = Rows::new(&Digest([3; 32]), 64);
        let units: Vec<i32> = (0..9_001).map(|i| i % 251 - 125).collect();
        let mut padded = units.clone();
        padded.resize(20_000, 0);
        assert_eq!(project(&config, &rows, &units), project(&config, &rows, &padded));
    }
}
