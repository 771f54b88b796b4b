//! One data set of many owners in one process, as in a simulation: held once, and an owner's part
//! is copied only while it is at work.

use covey_aggregation::plan::{Data, Rows};

use super::holdout::{self, Keys};
use super::{DataError, DataSource, Dataset, Loaded, Parts, ReadLimits, groups, read};
use crate::split::by_class;

/// Examples of all owners.
pub struct Pool {
    dataset: Dataset,
    keys: Keys,
    rows: Rows,
    seed: u64,
}

/// An owner has fewer examples than the plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} examples to train on, the plan asks every owner for {minimum}")]
pub struct TooFew {
    /// Left for training.
    pub got: usize,
    /// Asked for.
    pub minimum: usize,
}

impl Pool {
    /// Reads a data set. `seed` is the plan's.
    ///
    /// # Errors
    /// [`DataError`], as for [`Dataset::load`].
    pub fn load(
        source: &DataSource,
        data: &Data,
        seed: u64,
        limits: ReadLimits,
    ) -> Result<Self, DataError> {
        let Loaded { dataset, keys } = read(source, data, limits)?;
        Ok(Self { dataset, keys, rows: data.rows(), seed })
    }

    /// Everybody's examples.
    #[must_use]
    pub const fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The examples of each value of a column, in the order of the values: of any column of a
    /// CSV or Parquet file, also one that the plan does not read, or of the class that is
    /// predicted.
    ///
    /// # Errors
    /// [`DataError`] when there is no such column.
    pub fn groups(
        &self,
        source: &DataSource,
        data: &Data,
        column: &str,
    ) -> Result<Vec<Vec<usize>>, DataError> {
        let groups = if data.label_column() == Some(column) && !self.dataset.labels().is_empty() {
            by_class(self.dataset.labels())
        } else {
            groups::of_column(source, column, self.dataset.len())?
        };
        Ok(groups)
    }

    /// What the owner of these examples (their numbers, ascending) trains on and keeps: what
    /// [`Parts::load`] gives for a file that holds them alone, in this order. (The windows of a
    /// text are those of the whole text.)
    ///
    /// # Errors
    /// [`TooFew`].
    ///
    /// # Panics
    /// When there is no such example.
    pub fn parts(&self, examples: &[usize]) -> Result<Parts, TooFew> {
        let keys = match &self.keys {
            Keys::Numbers => Keys::Numbers,
            Keys::Given(keys) => Keys::Given(examples.iter().map(|&one| keys[one]).collect()),
        };
        let [training, kept] = holdout::split(&keys, examples.len(), self.rows.holdout, self.seed);
        let (got, minimum) = (training.len(), (self.rows.minimum as usize).max(1));
        if got < minimum {
            return Err(TooFew { got, minimum });
        }
        let pick = |places: &[usize]| {
            let picked: Vec<usize> = places.iter().map(|&place| examples[place]).collect();
            self.dataset.subset(&picked)
        };
        let holdout = (!kept.is_empty()).then(|| pick(&kept));
        Ok(Parts { training: pick(&training), holdout })
    }
}
