//! The validation pool: public examples that say what quality is. It is fixed by its Merkle root
//! before the first round; a beacon draws each round's fold from it after all contributions are
//! fixed, and a fold that was drawn is retired.

use std::collections::BTreeMap;

use crate::hash::{Digest, Domain, hash, merkle_root};
use crate::limits::{FOLD_CLASS_MIN, POOL_EXAMPLES_MAX};

/// The leaf of one example: its place in the pool, its class (0 where there are none), and its bytes
/// as the model is given them.
#[must_use]
pub fn example_leaf(index: u32, class: u32, bytes: &[u8]) -> Digest {
    hash(Domain::PoolExample, &[&index.to_le_bytes(), &class.to_le_bytes(), bytes])
}

/// The root of a pool, which stands in every round's terms.
#[must_use]
pub fn pool_root(leaves: &[Digest]) -> Digest {
    merkle_root(leaves)
}

/// Digest of the examples that earlier folds have opened, ascending.
#[must_use]
pub fn retired_digest(pool: &Digest, retired: &[u32]) -> Digest {
    let bytes: Vec<u8> = retired.iter().flat_map(|index| index.to_le_bytes()).collect();
    hash(Domain::Retired, &[&pool.0, &bytes])
}

/// A pool from which no further fold can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFold {
    /// More examples than can be told of.
    #[error("a validation pool of {0} examples, at most {POOL_EXAMPLES_MAX} can be drawn from")]
    Large(usize),
    /// The pool has no classes to draw from.
    #[error("the validation pool is empty")]
    Empty,
    /// A fold would have too few examples of each class.
    #[error(
        "a fold of {size} has {quota} of each of {classes} classes, at least {FOLD_CLASS_MIN} are \
         needed"
    )]
    Quota {
        /// Examples of a fold.
        size: u16,
        /// Of each class.
        quota: usize,
        /// Classes.
        classes: usize,
    },
    /// Too few examples of a class are left.
    #[error(
        "{left} examples of class {class} are left in the validation pool, a fold takes {quota}"
    )]
    Spent {
        /// Which class.
        class: u32,
        /// What is left of it.
        left: usize,
        /// What a fold takes.
        quota: usize,
    },
}

/// Of each class of a pool the examples that no fold has opened, ascending, and how many of each a
/// fold of `size` takes: the same of every class, so that a class that is rare among owners counts
/// as much as any other. `classes` has the class of each example, `retired` is ascending.
///
/// # Errors
/// [`NoFold`].
pub fn unopened(
    classes: &[u32],
    retired: &[u32],
    size: u16,
) -> Result<(BTreeMap<u32, Vec<u32>>, usize), NoFold> {
    if classes.len() > POOL_EXAMPLES_MAX {
        return Err(NoFold::Large(classes.len()));
    }
    let mut left: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (&class, index) in classes.iter().zip(0..) {
        let of_class = left.entry(class).or_default();
        if retired.binary_search(&index).is_err() {
            of_class.push(index);
        }
    }
    if left.is_empty() {
        return Err(NoFold::Empty);
    }
    let quota = usize::from(size) / left.len();
    if quota < FOLD_CLASS_MIN {
        return Err(NoFold::Quota { size, quota, classes: left.len() });
    }
    match left.iter().find(|(_, left)| left.len() < quota) {
        Some((&class, left)) => Err(NoFold::Spent { class, left: left.len(), quota }),
        None => Ok((left, quota)),
    }
}

/// The fold that `beacon` draws, ascending.
///
/// # Errors
/// [`NoFold`].
pub fn draw_fold(
    beacon: &Digest,
    classes: &[u32],
    retired: &[u32],
    size: u16,
) -> Result<Vec<u32>, NoFold> {
    let (left, quota) = unopened(classes, retired, size)?;
    let place = |index: &u32| hash(Domain::FoldPlace, &[&beacon.0, &index.to_le_bytes()]);
    let mut fold = Vec::new();
    for mut examples in left.into_values() {
        examples.sort_by_cached_key(place);
        fold.extend(&examples[..quota]);
    }
    fold.sort_unstable();
    Ok(fold)
}

/// What is retired once a fold was drawn: all of both, ascending.
#[must_use]
pub fn retire(retired: &[u32], fold: &[u32]) -> Vec<u32> {
    let mut all: Vec<u32> = retired.iter().chain(fold).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve examples of each of three classes.
    fn classes() -> Vec<u32> {
        (0..36).map(|index| index % 3).collect()
    }

    #[test]
    fn folds_have_the_same_of_each_class_and_no_example_twice_until_the_pool_is_spent() {
        let classes = classes();
        let (mut retired, mut seen) = (Vec::new(), Vec::new());
        for round in 0..3 {
            let fold = draw_fold(&Digest([round; 32]), &classes, &retired, 13).expect("a fold");
            assert_eq!(fold.len(), 12);
            for class in 0..3 {
                let of_class = fold.iter().filter(|index| classes[**index as usize] == class);
                assert_eq!(of_class.count(), 4);
            }
            assert!(fold.iter().all(|index| !seen.contains(index)));
            seen.extend(&fold);
            retired = retire(&retired, &fold);
        }
        assert_eq!(retired, (0..36).collect::<Vec<u32>>());
        let spent = draw_fold(&Digest([9; 32]), &classes, &retired, 13);
        assert_eq!(spent, Err(NoFold::Spent { class: 0, left: 0, quota: 4 }));
    }

    #[test]
    fn beacons_draw_different_folds_and_the_same_beacon_the_same() {
        let classes: Vec<u32> = (0..300).map(|index| index % 3).collect();
        let draw = |beacon| draw_fold(&Digest([beacon; 32]), &classes, &[], 30).expect("a fold");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    /// Each example is as likely as any other of its class.
    #[test]
    fn every_example_of_a_class_is_drawn_as_often() {
        let classes = classes();
        let mut drawn = [0u32; 36];
        let draws = 3_000u32;
        for draw in 0..draws {
            let beacon = hash(Domain::Beacon, &[&draw.to_le_bytes()]);
            for index in draw_fold(&beacon, &classes, &[], 12).expect("a fold") {
                drawn[index as usize] += 1;
            }
        }
        // Binomial with p = 1/3: deviation 26, six of them.
        assert!(drawn.iter().all(|count| count.abs_diff(draws / 3) < 155), "{drawn:?}");
    }

    #[test]
    fn too_small_a_fold_and_a_pool_of_no_size_or_too_much_are_told() {
        let large = vec![0; POOL_EXAMPLES_MAX + 1];
        let none = draw_fold(&Digest::ZERO, &large, &[], 30);
        assert_eq!(none, Err(NoFold::Large(POOL_EXAMPLES_MAX + 1)));
        assert_eq!(draw_fold(&Digest::ZERO, &[], &[], 30), Err(NoFold::Empty));
        let small = draw_fold(&Digest::ZERO, &classes(), &[], 8);
        assert_eq!(small, Err(NoFold::Quota { size: 8, quota: 2, classes: 3 }));
    }

    #[test]
    fn roots_and_retired_lists_hang_on_every_part() {
        let leaf = example_leaf(0, 1, b"a");
        assert_ne!(leaf, example_leaf(1, 1, b"a"));
        assert_ne!(leaf, example_leaf(0, 2, b"a"));
        assert_ne!(leaf, example_leaf(0, 1, b"b"));
        assert_ne!(pool_root(&[leaf]), pool_root(&[leaf, leaf]));
        let (one, other) = (Digest([1; 32]), Digest([2; 32]));
        assert_ne!(retired_digest(&one, &[1]), retired_digest(&other, &[1]));
        assert_ne!(retired_digest(&one, &[1]), retired_digest(&one, &[1, 2]));
    }
}
