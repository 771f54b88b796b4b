//! Which examples an owner keeps for measuring: fixed by the plan's seed and the example alone,
//! so that an example keeps its side when others are appended.

use covey_aggregation::hash::{Domain, hash};

/// What tells an example from the others of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Its number.
    Numbers,
    /// A key of its own: of a file's name, or of a stretch of text. Examples with equal keys stay
    /// together.
    Given(Vec<u64>),
}

/// Numbers of the examples to train on, and of those kept back.
pub(super) fn split(keys: &Keys, examples: usize, share: f64, seed: u64) -> [Vec<usize>; 2] {
    let (mut training, mut kept) = (Vec::new(), Vec::new());
    // 2^64 times the share, without rounding up to "all".
    let bound = (share * 18_446_744_073_709_551_616.0) as u64;
    for number in 0..examples {
        let key = match keys {
            Keys::Numbers => number as u64,
            Keys::Given(keys) => keys[number],
        };
        let is_kept = draw(key, seed) < bound;
        if is_kept { kept.push(number) } else { training.push(number) }
    }
    [training, kept]
}

/// The key of a name, such as a file's in its folder.
pub(super) fn key_of(name: &[u8]) -> u64 {
    first_eight(&[b"holdout-key", name])
}

/// Uniform over all of `u64`.
fn draw(key: u64, seed: u64) -> u64 {
    first_eight(&[b"holdout", &seed.to_le_bytes(), &key.to_le_bytes()])
}

fn first_eight(parts: &[&[u8]]) -> u64 {
    let digest = hash(Domain::Training, parts).0;
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_share_is_kept_and_every_example_is_on_one_side() {
        let [training, kept] = split(&Keys::Numbers, 10_000, 0.2, 7);
        assert!((1850..=2150).contains(&kept.len()), "{}", kept.len());
        let mut all = [training, kept].concat();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
        assert!(split(&Keys::Numbers, 100, 0.0, 7)[1].is_empty());
    }

    #[test]
    fn an_example_keeps_its_side_when_others_are_appended() {
        let [_, before] = split(&Keys::Numbers, 500, 0.3, 1);
        let [_, after] = split(&Keys::Numbers, 800, 0.3, 1);
        assert_eq!(before, after[..before.len()]);
        assert!(after[before.len()..].iter().all(|number| *number >= 500));
        assert_ne!(before, split(&Keys::Numbers, 500, 0.3, 2)[1]);
    }

    #[test]
    fn examples_with_one_key_stay_together() {
        let keys: Vec<u64> = (0..1000).map(|number| number / 10).collect();
        let [_, kept] = split(&Keys::Given(keys), 1000, 0.5, 3);
        for number in 0..100 {
            let together = kept.iter().filter(|kept| **kept / 10 == number).count();
            assert!(together == 0 || together == 10, "{together}");
        }
    }
}
