//! Data sets in memory, and how they are read from an owner's files. Errors name the file, the
//! line, the column and what to do; they never show values of other rows.
//!
//! Readers take memory for what is there, never for what a header claims, and stop at the owner's
//! limit ([`ReadLimits`]).

mod array;
mod cell;
mod collect;
mod csv;
mod dataset;
mod encode;
mod error;
mod folder;
mod groups;
mod holdout;
mod idx;
pub mod mock;
mod npy;
mod parquet;
mod pixel;
mod pool;
mod preview;
mod safetensors;
mod source;
mod table;
mod text;
mod write;

use covey_aggregation::plan::Data;

pub use dataset::{BadDataset, Dataset, Inputs, Targets};
pub use error::{DataError, DataErrorKind, Place};
pub use pool::{Pool, TooFew};
pub use preview::{ColumnPreview, Inferred, Preview};
pub use source::{DataSource, Format, Header, ReadLimits};

use holdout::Keys;

/// A data set, and what tells its examples from each other.
struct Loaded {
    dataset: Dataset,
    keys: Keys,
}

/// An owner's data, divided as the plan says.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What is trained on.
    pub training: Dataset,
    /// What is kept to measure the model; nothing where the plan keeps nothing or no example
    /// fell to it.
    pub holdout: Option<Dataset>,
}

impl Dataset {
    /// Reads a data set of the form that the plan declares, all of it.
    ///
    /// # Errors
    /// [`DataError`] with the file, the line or example, the column and what to do.
    pub fn load(source: &DataSource, data: &Data) -> Result<Self, DataError> {
        Self::load_within(source, data, ReadLimits::default())
    }

    /// Reads a data set, within limits of the owner's.
    ///
    /// # Errors
    /// [`DataError`] with the file, the line or example, the column and what to do.
    pub fn load_within(
        source: &DataSource,
        data: &Data,
        limits: ReadLimits,
    ) -> Result<Self, DataError> {
        read(source, data, limits).map(|loaded| loaded.dataset)
    }
}

impl Parts {
    /// Reads a data set and keeps the plan's share of it for measuring. `seed` is the plan's: an
    /// example falls to the same side on every reading, also when others are appended to its
    /// file.
    ///
    /// # Errors
    /// [`DataError`]; also when fewer examples are left than the plan asks for.
    pub fn load(
        source: &DataSource,
        data: &Data,
        seed: u64,
        limits: ReadLimits,
    ) -> Result<Self, DataError> {
        let Loaded { dataset, keys } = read(source, data, limits)?;
        let rows = data.rows();
        let [training, kept] = holdout::split(&keys, dataset.len(), rows.holdout, seed);
        if training.len() < rows.minimum as usize {
            let path = source.paths()[0];
            let problem = format!(
                "{} examples to train on and {} held out, the plan asks for {} to train on",
                training.len(),
                kept.len(),
                rows.minimum
            );
            let help = "give more data; this plan is not for so few";
            return Err(DataError::new(DataErrorKind::Empty, path, Place::File, problem, help));
        }
        if kept.is_empty() {
            return Ok(Self { training: dataset, holdout: None });
        }
        Ok(Self { holdout: Some(dataset.subset(&kept)), training: dataset.subset(&training) })
    }
}

fn read(source: &DataSource, data: &Data, limits: ReadLimits) -> Result<Loaded, DataError> {
    match source {
        DataSource::Csv { path, header } => csv::read(path, *header, data, limits),
        DataSource::Parquet { path } => parquet::read(path, data, limits),
        DataSource::Images { folder } => folder::read(folder, data, limits),
        DataSource::Idx { images, labels } => idx::read(images, labels, data, limits),
        DataSource::Npy { features, labels } => npy::read(features, labels, data, limits),
        DataSource::Safetensors { path } => safetensors::read(path, data, limits),
        DataSource::Text { path } => text::read(path, data, limits),
    }
}
