//! Examples as they are read, within the owner's limit of memory.

use std::path::Path;

use covey_aggregation::plan::Data;

use crate::limits::EXAMPLES_MAX;

use super::encode::Answer;
use super::error::{DataError, DataErrorKind, Place};
use super::holdout::Keys;
use super::source::ReadLimits;
use super::{Dataset, Loaded};

/// Bytes of a target in memory.
const TARGET_BYTES: usize = 4;

/// Bytes of a number in memory.
const NUMBER_BYTES: usize = 4;

/// The data set as it grows.
pub(super) struct Collect<'a> {
    path: &'a Path,
    data: &'a Data,
    limits: ReadLimits,
    features: usize,
    numbers: Vec<f32>,
    labels: Vec<u32>,
    values: Vec<f32>,
    keys: Vec<u64>,
}

impl<'a> Collect<'a> {
    pub(super) fn new(path: &'a Path, data: &'a Data, limits: ReadLimits) -> Self {
        let features = data.features() as usize;
        let (numbers, labels, values, keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { path, data, limits, features, numbers, labels, values, keys }
    }

    /// Examples read so far.
    pub(super) const fn examples(&self) -> usize {
        self.labels.len() + self.values.len()
    }

    /// Whether so many examples would be within the limits. Reserves nothing: a header may claim
    /// anything.
    pub(super) fn allow(&self, examples: u64) -> Result<(), DataError> {
        let each = (self.features * NUMBER_BYTES + TARGET_BYTES) as u64;
        let bytes = examples.saturating_mul(each);
        if examples <= EXAMPLES_MAX as u64 && bytes <= self.limits.dataset_bytes_max {
            return Ok(());
        }
        let problem = format!(
            "{examples} examples of {} numbers are too many: more than {} bytes of memory",
            self.features, self.limits.dataset_bytes_max
        );
        Err(self.too_large(problem))
    }

    /// Adds an example. What `encode` appends beyond or short of an example's numbers is an error.
    pub(super) fn add(
        &mut self,
        answer: Answer,
        place: &Place,
        encode: impl FnOnce(&mut Vec<f32>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        self.allow(self.examples() as u64 + 1)?;
        let reserved = self.numbers.try_reserve(self.features);
        let reserved = reserved.and_then(|()| self.labels.try_reserve(1));
        if reserved.and_then(|()| self.values.try_reserve(1)).is_err() {
            let problem = format!("no memory for more than {} examples", self.examples());
            return Err(self.too_large(problem));
        }
        let start = self.numbers.len();
        encode(&mut self.numbers)?;
        if self.numbers.len() - start != self.features {
            let got = self.numbers.len() - start;
            let problem = format!("{got} numbers, the plan has {}", self.features);
            let help = "report this: a row passed the reader that should not have";
            let place = place.clone();
            return Err(DataError::new(DataErrorKind::Row, self.path, place, problem, help));
        }
        match answer {
            Answer::Class(class) => self.labels.push(class),
            Answer::Number(number) => self.values.push(number),
        }
        Ok(())
    }

    /// Gives the example added last a key of its own instead of its number.
    pub(super) fn key(&mut self, key: u64) {
        self.keys.push(key);
    }

    fn too_large(&self, problem: String) -> DataError {
        let help = "divide the data, or raise dataset_bytes_max; a data set is held in memory";
        DataError::new(DataErrorKind::TooLarge, self.path, Place::File, problem, help)
    }

    pub(super) fn finish(self) -> Result<Loaded, DataError> {
        let path = self.path;
        if self.examples() == 0 {
            let help = "give a file with examples in it";
            return Err(DataError::new(
                DataErrorKind::Empty,
                path,
                Place::File,
                "no examples",
                help,
            ));
        }
        let keys = if self.keys.is_empty() { Keys::Numbers } else { Keys::Given(self.keys) };
        let dataset = if self.values.is_empty() {
            let classes = self.data.classes().len();
            Dataset::new(self.numbers, self.labels, self.features, classes)
        } else {
            Dataset::regression(self.numbers, self.values, self.features)
        };
        let dataset = dataset.map_err(|error| {
            let help = "report this: a row passed the reader that should not have";
            DataError::new(DataErrorKind::Shape, path, Place::File, error.to_string(), help)
        })?;
        Ok(Loaded { dataset, keys })
    }
}
