//! The owners of a simulation, where the bench has to look at their updates: the same examples,
//! names and training as `covey-client sim` gives them.

use std::io;

use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Plan;
use covey_client::sim::{Options, Partition, owner_key, simulate_model};
use covey_model::data::{Dataset, Pool, ReadLimits};
use covey_model::device::DeviceChoice;
use covey_model::evaluate::Answer;
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Trainer};

use crate::data::Division;
use crate::plan::Setting;

/// Everybody who takes part, and the test.
pub(crate) struct Owners {
    pub(crate) plan: Plan,
    pub(crate) trainer: Trainer,
    pub(crate) examples: Vec<Dataset>,
    pub(crate) test: Dataset,
    names: Vec<PartyId>,
}

impl Owners {
    /// # Errors
    /// When the setting is no plan, or its data cannot be read or divided.
    pub(crate) fn open(setting: &Setting, division: &Division, seed: u64) -> io::Result<Self> {
        let plan = setting.plan(seed)?;
        let limits = ReadLimits::default();
        let pool = Pool::load(&division.training, &plan.data, plan.seed, limits);
        let pool = pool.map_err(io::Error::other)?;
        let count = setting.owners as usize;
        let parts = Partition::Iid.divide(&pool, &division.training, &plan, count, seed);
        let parts = parts.map_err(|failure| io::Error::other(failure.to_string()))?;
        let own = |part: &Vec<usize>| pool.parts(part).map(|parts| parts.training);
        let examples = parts.iter().map(own).collect::<Result<_, _>>().map_err(io::Error::other)?;
        let task = Task::from_plan(&plan).map_err(io::Error::other)?;
        Ok(Self {
            trainer: Trainer::new(&task, DeviceChoice::Cpu).map_err(io::Error::other)?,
            test: Dataset::load(&division.test, &plan.data).map_err(io::Error::other)?,
            names: (0..count).map(|one| owner_key(seed, one).identity().id()).collect(),
            plan,
            examples,
        })
    }

    /// The first model.
    pub(crate) fn initial(&self) -> Vec<f32> {
        self.trainer.task().initial_parameters()
    }

    /// What an owner's training changes, before it is clipped.
    ///
    /// # Errors
    /// When training fails.
    pub(crate) fn update(
        &self,
        owner: usize,
        round: u32,
        parameters: &[f32],
    ) -> io::Result<Vec<f32>> {
        let seed = FitSeed::derive(self.plan.seed, round, &self.names[owner]);
        let (cancel, mut progress) = (Cancel::new(), |_| ());
        let context = FitContext::new(seed, &cancel, &mut progress).in_round(round);
        let report = self.trainer.fit(parameters, &self.examples[owner], context);
        report.map(|report| report.update).map_err(io::Error::other)
    }

    /// Share of examples whose class is found.
    ///
    /// # Errors
    /// When the model gives no numbers.
    pub(crate) fn accuracy(&self, parameters: &[f32], data: &Dataset) -> io::Result<f64> {
        let metrics = self.trainer.evaluate(parameters, data).map_err(io::Error::other)?;
        metrics.accuracy().ok_or_else(|| io::Error::other("a model of classes has an accuracy"))
    }

    /// The loss of each example: minus the logarithm of what the model gives its class.
    ///
    /// # Errors
    /// When the model gives no numbers.
    pub(crate) fn losses(&self, parameters: &[f32], data: &Dataset) -> io::Result<Vec<f64>> {
        let mut losses = Vec::with_capacity(data.len());
        let told = self.trainer.answers(parameters, data, |answer| {
            if let Answer::Class { outputs, label } = answer {
                losses.push(cross_entropy(outputs, label as usize));
            }
            Ok(true)
        });
        told.map_err(io::Error::other)?;
        Ok(losses)
    }
}

/// The whole run by the simulation, in the clear: its last accuracy and parameters.
///
/// # Errors
/// When the simulation fails.
pub(crate) fn simulate(
    setting: &Setting,
    division: &Division,
    seed: u64,
) -> io::Result<(f64, Vec<f32>)> {
    let plan = division.folder.path().join(format!("plan-{seed}.toml"));
    std::fs::write(&plan, setting.text(seed))?;
    let options = Options {
        plan,
        data: vec![division.training.clone()],
        test_data: Some(division.test.clone()),
        clients: setting.owners as usize,
        partition: Partition::Iid,
        dropout: 0.0,
        attacks: Vec::new(),
        is_sealed: false,
        rounds: None,
        seed: None,
        device: DeviceChoice::Cpu,
        // Other cores have other seeds.
        workers: Some(1),
        dataset_bytes_max: None,
    };
    let ended = simulate_model(&options, &mut |_| ());
    let (summary, parameters) = ended.map_err(|failure| io::Error::other(failure.to_string()))?;
    if summary.rounds_done != setting.rounds {
        let what = format!("{} of {} rounds were done", summary.rounds_done, setting.rounds);
        return Err(io::Error::other(what));
    }
    let accuracy = summary.accuracy.ok_or_else(|| io::Error::other("nothing was measured"))?;
    Ok((accuracy, parameters))
}

/// The Euclidean length.
pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

fn cross_entropy(outputs: &[f32], label: usize) -> f64 {
    let largest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = outputs.iter().map(|x| f64::from(x - largest).exp()).sum();
    sum.ln() - f64::from(outputs[label] - largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_that_of_softmax() {
        let loss = cross_entropy(&[1.0, 3.0, 2.0], 1);
        assert!((loss - 0.407_606).abs() < 1e-6, "{loss}");
        assert!((cross_entropy(&[1000.0, 0.0], 1) - 1000.0).abs() < 1e-9);
    }
}
