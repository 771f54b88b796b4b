//! Models from data: a plan's layer list becomes a burn model at run time, which trains on an
//! owner's data and is measured on a test set. The only crate that uses burn.
//!
//! - [`family`]: models that owners compile into their programs
//! - [`manifest`]: the flat parameter vector, its order and its digests
//! - [`task`]: a plan made ready: model, manifest, initial parameters
//! - [`device`], [`footprint`]: where to compute, chosen at run time; the memory it takes
//! - [`train`], [`evaluate`]: same inputs and seed, bit-identical update
//! - [`record`]: training in which no example of the owner's shows (DP-SGD)
//! - [`credit`]: the public directions that owners are credited along
//! - [`validation`]: public examples, and how they would train a model: [`Trainer::descend`],
//!   [`Trainer::path`]
//! - [`weights`]: parameters in files
//! - [`export`]: a model in the forms of other tools
//! - [`data`], [`split`]: data sets in memory, their readers, and how to divide them
//! - [`random`]: seeded draws
//!
//! [`Trainer::descend`]: train::Trainer::descend
//! [`Trainer::path`]: train::Trainer::path
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
//! let cancel = Cancel::new();
//! let mut progress = |progress| println!("{progress:?}");
//! let context = FitContext::new(FitSeed([7; 32]), &cancel, &mut progress);
//! let report = trainer.fit(&parameters, &data, context)?;
//! println!("{} examples, loss {}", report.examples, report.loss);
//! # Ok(())
//! # }
//! ```

mod batch;
mod benchmark;
pub mod credit;
pub mod data;
pub mod device;
mod direction;
pub mod evaluate;
pub mod export;
pub mod family;
mod fit;
pub mod footprint;
mod gradient;
mod heap;
pub mod limits;
mod loss;
pub mod manifest;
mod metrics;
mod model;
mod network;
mod optimizer;
pub mod random;
pub mod record;
mod slope;
pub mod split;
pub mod task;
pub mod train;
pub mod validation;
pub mod weights;
