//! What a simulation is asked for.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;

use covey_aggregation::program::{Exit, Failure};
use covey_model::data::DataSource;
use covey_model::device::DeviceChoice;

use super::attack::Attack;
use super::partition::Partition;

/// Most clients: as many as a sum can have.
pub(super) const CLIENTS_MAX: usize = covey_aggregation::limits::CONTRIBUTIONS_MAX as usize;

/// Clients, if nothing says how many.
pub const CLIENTS: usize = 10;

/// What a simulation is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The plan's file.
    pub plan: PathBuf,
    /// The examples of all clients, which `partition` divides, or with [`Partition::ByFile`] those
    /// of each; synthetic ones if there is nothing.
    pub data: Vec<DataSource>,
    /// Examples that the model is measured on after every round.
    pub test_data: Option<DataSource>,
    /// Clients.
    pub clients: usize,
    /// Who has which examples.
    pub partition: Partition,
    /// Probability that a client vanishes from a round, 0 to 1.
    pub dropout: f64,
    /// Who attacks, and how.
    pub attacks: Vec<Attack>,
    /// Whether updates are sealed and opened by the real machines; else they are added in the
    /// clear.
    pub is_sealed: bool,
    /// Rounds; the plan's if not given.
    pub rounds: Option<u32>,
    /// The simulation's seed; the plan's if not given.
    pub seed: Option<u64>,
    /// Where to train.
    pub device: DeviceChoice,
    /// Threads that train and seal; as many as there are processors if not given.
    pub workers: Option<usize>,
    /// Most bytes of memory that data are read into; half of what is free if not given.
    pub dataset_bytes_max: Option<u64>,
}

impl Options {
    /// Whether they make sense by themselves.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let input = |what: String, help: &str| {
            Err(Failure::new(Exit::BadInput, "BAD_SIMULATION", what).with_help(help))
        };
        if self.clients == 0 || self.clients > CLIENTS_MAX {
            let what = format!("{} clients", self.clients);
            return input(what, &format!("use --clients 3 to {CLIENTS_MAX}"));
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            return input(format!("a dropout of {}", self.dropout), "use --dropout 0 to 1");
        }
        if self.rounds == Some(0) {
            return input("0 rounds".to_owned(), "use --rounds 1 or more");
        }
        let attackers: usize = self.attacks.iter().map(|attack| attack.clients).sum();
        if attackers > self.clients {
            let what = format!("{attackers} attackers among {} clients", self.clients);
            return input(what, "lower the numbers of --attack, or raise --clients");
        }
        Ok(())
    }

    pub(super) fn workers(&self) -> usize {
        let cores = || available_parallelism().map_or(1, NonZero::get);
        self.workers.unwrap_or_else(cores).max(1)
    }
}
