//! The digits that ship, divided anew by each seed: what owners train on, the pool that folds are
//! drawn from, and the test that says what is true. No digit is in two of them.

use std::path::Path;

use covey_model::data::{DataError, DataSource, Dataset, Header};
use covey_model::random::{shuffle, stream};
use covey_model::split::by_class;

use crate::mlp::Examples;
use crate::plan::{self, ROUNDS};

/// Examples of each class in a fold.
pub(crate) const FOLD_QUOTA: usize = 3;

/// Examples of each class in the pool: what the folds of all rounds take.
const POOL_QUOTA: usize = FOLD_QUOTA * ROUNDS as usize;

/// Examples of each class that owners have together.
const TRAINING_QUOTA: usize = 75;

/// One seed's division.
pub(crate) struct Digits {
    pub(crate) training: Dataset,
    pub(crate) test: Dataset,
    /// A fold for each round: so many of every class, and none of an earlier one.
    pub(crate) folds: Vec<Dataset>,
    /// All folds together.
    pub(crate) pool: Dataset,
}

impl Digits {
    /// Reads and divides them.
    ///
    /// # Errors
    /// [`DataError`] when the file is not there.
    pub(crate) fn open(seed: u64) -> Result<Self, DataError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data");
        let source = DataSource::Csv { path: folder.join("digits.csv.gz"), header: Header::Absent };
        let all = Dataset::load(&source, &plan::parse(seed).data)?;
        let mut rng = stream("credit-quality-digits", &[&seed.to_le_bytes()]);
        let (mut pool, mut training, mut test) = (Vec::new(), Vec::new(), Vec::new());
        for mut class in by_class(all.labels()) {
            shuffle(&mut class, &mut rng);
            let (of_pool, rest) = class.split_at(POOL_QUOTA);
            pool.push(of_pool.to_vec());
            training.extend_from_slice(&rest[..TRAINING_QUOTA]);
            test.extend_from_slice(&rest[TRAINING_QUOTA..]);
        }
        training.sort_unstable();
        let fold = |round: usize| {
            let taken = round * FOLD_QUOTA..(round + 1) * FOLD_QUOTA;
            pool.iter().flat_map(|class| class[taken.clone()].to_vec()).collect::<Vec<_>>()
        };
        let folds = (0..ROUNDS as usize).map(|round| all.subset(&fold(round))).collect();
        Ok(Self {
            training: all.subset(&training),
            test: all.subset(&test),
            folds,
            pool: all.subset(&pool.concat()),
        })
    }

    /// The folds, ready to be trained on.
    pub(crate) fn fold_examples(&self) -> Vec<Examples> {
        self.folds.iter().map(Examples::new).collect()
    }
}

/// So many of each class.
#[cfg(test)]
pub(crate) fn class_counts(labels: &[u32]) -> [usize; crate::mlp::CLASSES] {
    let mut counts = [0; crate::mlp::CLASSES];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::mlp::CLASSES;

    #[test]
    fn folds_have_every_class_and_no_digit_is_in_two_parts() {
        let digits = Digits::open(5).expect("they ship");
        assert_eq!(digits.folds.len(), ROUNDS as usize);
        for fold in &digits.folds {
            assert_eq!(class_counts(fold.labels()), [FOLD_QUOTA; CLASSES]);
        }
        assert_eq!((digits.training.len(), digits.pool.len()), (750, 480));
        let bits = |data: &Dataset, number| {
            data.example(number).iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let parts = digits.folds.iter().chain([&digits.training, &digits.test]);
        let all: Vec<_> =
            parts.flat_map(|data| (0..data.len()).map(|one| bits(data, one))).collect();
        assert_eq!(all.len(), 1797);
        // The file itself holds no digit twice.
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1797);
    }
}
