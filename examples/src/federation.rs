//! A plan trained by several owners, as `covey-client sim --no-crypto` does it: the same models as
//! with encryption, bit for bit, sooner.

use covey_aggregation::program::Failure;
use covey_client::sim::{Event, Options, Partition, RoundSummary, simulate_model};
use covey_model::data::DataSource;
use covey_model::device::DeviceChoice;

use crate::variant::Variant;
use crate::{failed, write};

/// Owners and what they train.
pub struct Federation {
    /// The plan; its seed says how training draws.
    pub plan: Variant,
    /// One data set, which `partition` divides, or one for each owner.
    pub data: Vec<DataSource>,
    /// Examples that the model is measured on after every round.
    pub test_data: Option<DataSource>,
    /// Owners.
    pub owners: usize,
    /// Who has which examples.
    pub partition: Partition,
    /// Seed of the partition and of the owners' names.
    pub seed: u64,
}

/// What came of it.
pub struct Trained {
    /// How each round went.
    pub rounds: Vec<RoundSummary>,
    /// The last parameters.
    pub parameters: Vec<f32>,
    /// Whether all rounds were done with finite numbers.
    pub is_done: bool,
}

impl Federation {
    /// Trains; `tell` hears of every round.
    ///
    /// # Errors
    /// [`Failure`], as a simulation's.
    pub fn train(&self, tell: &mut dyn FnMut(&RoundSummary)) -> Result<Trained, Failure> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let plan = folder.path().join("plan.toml");
        write(&plan, &self.plan.text()?)?;
        let options = Options {
            plan,
            data: self.data.clone(),
            test_data: self.test_data.clone(),
            clients: self.owners,
            partition: self.partition.clone(),
            dropout: 0.0,
            attacks: Vec::new(),
            is_sealed: false,
            rounds: None,
            seed: Some(self.seed),
            device: DeviceChoice::Cpu,
            workers: None,
            dataset_bytes_max: None,
        };
        let mut rounds = Vec::new();
        let (summary, parameters) = simulate_model(&options, &mut |event| {
            if let Event::Round(round) = event {
                tell(round);
                rounds.push(round.clone());
            }
        })?;
        Ok(Trained { rounds, parameters, is_done: summary.ending == "done" })
    }
}
