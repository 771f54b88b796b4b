//! Models from data: a plan's layer list becomes a burn model at run time, which trains on an
//! owner's data and is measured on a test set. The only crate that uses burn.
//!
//! - [`shape`]: infers every layer's shape, without burn, so that a bad plan is refused before
//!   any training
//! - [`manifest`]: the flat parameter vector, its order and its digests
//! - [`task`]: a plan made ready: model, manifest, initial parameters
//! - [`device`]: where to compute, chosen at run time
//! - [`train`], [`evaluate`]: same inputs and seed, bit-identical update
//! - [`data`], [`split`]: data sets in memory, their readers, and how to divide them
//! - [`random`]: seeded draws
//!
//! ```no_run
//! use covey_aggregation::plan::Plan;
//! use covey_model::data::{DataSource, Dataset, Header};
//! use covey_model::device::DeviceChoice;
//! use covey_model::task::Task;
//! use covey_model::train::{Cancel, FitContext, FitSeed, Trainer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::parse(&std::fs::read_to_string("plan.toml")?)?;
//! let task = Task::from_plan(&plan)?;
//! let source = DataSource::Csv { path: "digits.csv.gz".into(), header: Header::Absent };
//! let data = Dataset::load(&source, &plan.data)?;
//! let trainer = Trainer::new(&task, DeviceChoice::Auto)?;
//! let parameters = task.initial_parameters();
//! let report = trainer.fit(&parameters, &data, FitContext {
//!     seed: FitSeed([7; 32]),
//!     cancel: &Cancel::new(),
//!     progress: &mut |progress| println!("{progress:?}"),
//!     gradient_offset: None,
//! })?;
//! println!("{} examples, loss {}", report.examples, report.loss);
//! # Ok(())
//! # }
//! ```

mod correction;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod limits;
pub mod manifest;
mod model;
pub mod random;
pub mod shape;
pub mod split;
pub mod task;
pub mod train;
