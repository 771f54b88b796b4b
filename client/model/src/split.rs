//! Dividing a data set: into training and test part, and unevenly among owners.

use rand_chacha::ChaCha8Rng;

use crate::limits::SPLIT_ATTEMPTS_MAX;
use crate::random::{normal, shuffle, stream, unit_f64};

/// The data cannot be divided like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{examples} examples cannot be divided among {owners} owners with at least {fewest} each; \
     use fewer owners, more examples, or a larger alpha"
)]
pub struct CannotSplit {
    /// Examples there are.
    pub examples: usize,
    /// Owners asked for.
    pub owners: usize,
    /// Fewest examples asked for each.
    pub fewest: usize,
}

/// Numbers of the examples of the training part and of the test part. Every class is divided
/// alike, to the nearest example.
#[must_use]
pub fn train_test(labels: &[u32], test_share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut rng = stream("train-test-split", &[&seed.to_le_bytes()]);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for mut class in by_class(labels) {
        shuffle(&mut class, &mut rng);
        let size = (class.len() as f64 * test_share.clamp(0.0, 1.0)).round() as usize;
        test.extend_from_slice(&class[..size]);
        train.extend_from_slice(&class[size..]);
    }
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

/// Numbers of the examples of each fold of a cross-validation. Every class is divided alike, and
/// folds differ by one example at most, of a class and in all.
///
/// # Panics
/// When there is no fold.
#[must_use]
pub fn folds(labels: &[u32], folds: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut rng = stream("folds-split", &[&seed.to_le_bytes()]);
    let mut parts = vec![Vec::new(); folds];
    let mut place = 0;
    for mut class in by_class(labels) {
        shuffle(&mut class, &mut rng);
        for example in class {
            parts[place % folds].push(example);
            place += 1;
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    parts
}

/// Divides examples among owners unevenly: for every class, the owners' shares are drawn from a
/// Dirichlet distribution (Hsu, Qi & Brown, 2019). A small `alpha` gives every owner a few
/// classes only, a large one gives all owners the same mix. Drawn again until every owner has at
/// least `fewest` examples.
///
/// # Errors
/// [`CannotSplit`] when that does not happen.
pub fn dirichlet_by_label(
    labels: &[u32],
    owners: usize,
    alpha: f64,
    fewest: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, CannotSplit> {
    let cannot = CannotSplit { examples: labels.len(), owners, fewest };
    let enough = owners > 0 && fewest.saturating_mul(owners) <= labels.len();
    let possible = enough && alpha.is_finite() && alpha > 0.0;
    if !possible {
        return Err(cannot);
    }
    let mut rng = stream("dirichlet-split", &[&seed.to_le_bytes()]);
    for _ in 0..SPLIT_ATTEMPTS_MAX {
        let mut parts = vec![Vec::new(); owners];
        for mut class in by_class(labels) {
            shuffle(&mut class, &mut rng);
            deal(&class, &shares(owners, alpha, &mut rng), &mut parts);
        }
        if parts.iter().all(|part| part.len() >= fewest) {
            parts.iter_mut().for_each(|part| part.sort_unstable());
            return Ok(parts);
        }
    }
    Err(cannot)
}

/// Divides `examples` examples among owners at random, to the nearest equally many each.
///
/// # Errors
/// [`CannotSplit`] when an owner would have none.
pub fn iid(examples: usize, owners: usize, seed: u64) -> Result<Vec<Vec<usize>>, CannotSplit> {
    by_group(&[(0..examples).collect()], owners, seed)
}

/// Divides examples among owners by group: an owner has examples of one group only, and the
/// owners of a group equally many, to the nearest, at random. Where there are fewer owners than
/// groups, an owner has several whole ones. Groups are dealt to owners in turn.
///
/// # Errors
/// [`CannotSplit`] when an owner would have none.
pub fn by_group(
    groups: &[Vec<usize>],
    owners: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, CannotSplit> {
    let examples = groups.iter().map(Vec::len).sum();
    let cannot = CannotSplit { examples, owners, fewest: 1 };
    if owners == 0 || groups.is_empty() {
        return Err(cannot);
    }
    let mut rng = stream("group-split", &[&seed.to_le_bytes()]);
    let mut parts = vec![Vec::new(); owners];
    for (number, group) in groups.iter().enumerate() {
        let members: Vec<usize> = if owners >= groups.len() {
            (number..owners).step_by(groups.len()).collect()
        } else {
            vec![number % owners]
        };
        let mut group = group.clone();
        shuffle(&mut group, &mut rng);
        for (place, example) in group.into_iter().enumerate() {
            parts[members[place % members.len()]].push(example);
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    if parts.iter().any(Vec::is_empty) { Err(cannot) } else { Ok(parts) }
}

/// Numbers of the examples of each class.
pub fn by_class(labels: &[u32]) -> Vec<Vec<usize>> {
    let mut classes = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (number, label) in labels.iter().enumerate() {
        classes.entry(*label).or_default().push(number);
    }
    classes.into_values().collect()
}

/// Gives every owner its share of `class`, cut at the rounded running sum.
fn deal(class: &[usize], shares: &[f64], parts: &mut [Vec<usize>]) {
    let (mut sum, mut start) = (0.0, 0);
    for (owner, share) in shares.iter().enumerate() {
        sum += share;
        let is_last = owner + 1 == shares.len();
        let cut = if is_last { class.len() } else { (sum * class.len() as f64).round() as usize };
        let end = cut.clamp(start, class.len());
        parts[owner].extend_from_slice(&class[start..end]);
        start = end;
    }
}

/// One draw of a symmetric Dirichlet distribution.
fn shares(owners: usize, alpha: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let draws: Vec<f64> = (0..owners).map(|_| gamma(alpha, rng)).collect();
    let sum: f64 = draws.iter().sum();
    if sum > 0.0 {
        draws.iter().map(|draw| draw / sum).collect()
    } else {
        // Every draw of a tiny alpha may underflow: then one owner has all.
        let lucky = (unit_f64(rng) * owners as f64).ceil() as usize;
        (1..=owners).map(|owner| if owner == lucky { 1.0 } else { 0.0 }).collect()
    }
}

/// One draw of a gamma distribution with scale 1 (Marsaglia & Tsang, 2000; for `shape` < 1 their
/// boost by a power of a uniform draw).
fn gamma(shape: f64, rng: &mut ChaCha8Rng) -> f64 {
    if shape < 1.0 {
        return gamma(shape + 1.0, rng) * unit_f64(rng).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && unit_f64(rng).ln() < 0.5f64.mul_add(x * x, d - d * v + d * v.ln()) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<u32> {
        (0..1000).map(|number| number % 10).collect()
    }

    fn all(parts: &[Vec<usize>]) -> Vec<usize> {
        let mut all: Vec<_> = parts.concat();
        all.sort_unstable();
        all
    }

    #[test]
    fn the_test_part_has_its_share_of_every_class() {
        let (train, test) = train_test(&labels(), 0.2, 1);
        assert_eq!((train.len(), test.len()), (800, 200));
        for class in 0..10 {
            assert_eq!(test.iter().filter(|number| *number % 10 == class).count(), 20);
        }
        assert_eq!(all(&[train.clone(), test]), (0..1000).collect::<Vec<_>>());
        assert_eq!(train, train_test(&labels(), 0.2, 1).0);
        assert_ne!(train, train_test(&labels(), 0.2, 2).0);
    }

    #[test]
    fn folds_have_their_share_of_every_class_and_every_example_is_in_one() {
        let labels: Vec<u32> = (0..123).map(|number| u32::from(number % 15 == 0)).collect();
        let parts = folds(&labels, 5, 1);
        assert_eq!(all(&parts), (0..123).collect::<Vec<_>>());
        for part in &parts {
            let ill = part.iter().filter(|number| labels[**number] == 1).count();
            assert!((1..=2).contains(&ill) && (24..=25).contains(&part.len()), "{part:?}");
        }
        assert_eq!(parts, folds(&labels, 5, 1));
        assert_ne!(parts, folds(&labels, 5, 2));
    }

    #[test]
    fn every_example_goes_to_exactly_one_owner() {
        for (owners, alpha, seed) in [(1, 0.5, 1), (6, 0.5, 2), (6, 0.05, 3), (50, 10.0, 4)] {
            let parts = dirichlet_by_label(&labels(), owners, alpha, 5, seed).expect("a split");
            assert_eq!(parts.len(), owners);
            assert!(parts.iter().all(|part| part.len() >= 5));
            assert_eq!(all(&parts), (0..1000).collect::<Vec<_>>());
            assert_eq!(Ok(parts), dirichlet_by_label(&labels(), owners, alpha, 5, seed));
        }
    }

    #[test]
    fn a_small_alpha_is_uneven_and_a_large_one_is_not() {
        let largest_share = |alpha| {
            let parts = dirichlet_by_label(&labels(), 5, alpha, 1, 9).expect("a split");
            let of_class = |part: &Vec<usize>, c| part.iter().filter(|n| *n % 10 == c).count();
            let most = |class| parts.iter().map(|part| of_class(part, class)).max().unwrap_or(0);
            (0..10).map(most).sum::<usize>() as f64 / 1000.0
        };
        assert!(largest_share(0.1) > 0.6, "{}", largest_share(0.1));
        assert!(largest_share(100.0) < 0.3, "{}", largest_share(100.0));
    }

    #[test]
    fn at_random_everybody_has_equally_many() {
        let parts = iid(1003, 10, 1).expect("a split");
        let sizes: Vec<_> = parts.iter().map(Vec::len).collect();
        assert_eq!(sizes, [101, 101, 101, 100, 100, 100, 100, 100, 100, 100]);
        assert_eq!(all(&parts), (0..1003).collect::<Vec<_>>());
        assert!(parts.iter().all(|part| part.is_sorted()));
        assert_eq!(parts, iid(1003, 10, 1).expect("the same"));
        assert_ne!(parts, iid(1003, 10, 2).expect("another"));
        assert!(iid(9, 10, 1).is_err() && iid(9, 0, 1).is_err());
    }

    #[test]
    fn by_group_an_owner_has_one_group_or_several_whole_ones() {
        let groups: Vec<Vec<usize>> =
            vec![(0..50).collect(), (50..53).collect(), (53..100).collect()];
        let parts = by_group(&groups, 7, 1).expect("a split");
        assert_eq!(all(&parts), (0..100).collect::<Vec<_>>());
        for (owner, part) in parts.iter().enumerate() {
            assert!(part.iter().all(|example| groups[owner % 3].contains(example)), "{owner}");
        }
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [17, 2, 24, 17, 1, 23, 16]);
        let few = by_group(&groups, 2, 1).expect("a split");
        assert_eq!(few, [[groups[0].clone(), groups[2].clone()].concat(), groups[1].clone()]);
        // The second group has three examples for four owners.
        assert!(by_group(&groups, 11, 1).is_err());
    }

    #[test]
    fn an_impossible_split_is_refused() {
        for (owners, alpha, fewest) in [(0, 1.0, 1), (11, 1.0, 100), (2, 0.0, 1), (2, f64::NAN, 1)]
        {
            assert!(dirichlet_by_label(&labels(), owners, alpha, fewest, 1).is_err());
        }
        let message = dirichlet_by_label(&labels(), 11, 1.0, 100, 1).expect_err("too many");
        assert!(message.to_string().contains("fewer owners"), "{message}");
    }

    #[test]
    fn gamma_draws_have_their_mean_and_variance() {
        let mut rng = stream("test", &[]);
        for shape in [0.3, 1.0, 4.5] {
            let draws: Vec<f64> = (0..100_000).map(|_| gamma(shape, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / 1e5;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
            assert!((mean / shape - 1.0).abs() < 0.03, "mean {mean} of {shape}");
            assert!((variance / shape - 1.0).abs() < 0.06, "variance {variance} of {shape}");
        }
    }
}
