//! The reference, in the clear: plain averaging of the same updates, the exact sum of the same
//! integers, and what each owner reaches alone.

use std::path::Path;

use covey_aggregation::config::Weighting;
use covey_aggregation::plan::Plan;
use covey_coordinator::event::RoundSummary;
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::device::DeviceChoice;
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Trainer};

use crate::federation::{Federation, owner_name};
use crate::role::Role;
use crate::story::tap_folder;
use crate::tap::Tap;

/// What the clear computation found.
pub(crate) struct Reference {
    /// Accuracy of plain averaging after every round; `None` for a round that was abandoned.
    pub(crate) accuracy_plain: Vec<Option<f64>>,
    /// Whether every opened aggregate equalled the plain sum of the sealed integers.
    pub(crate) exact: bool,
    /// The best honest owner's accuracy alone, after as many epochs on its own data.
    pub(crate) accuracy_best_alone: f64,
    /// Its name.
    pub(crate) best_alone: String,
}

/// Trains and measures in this process.
pub(crate) struct Laboratory<'a> {
    federation: &'a Federation,
    plan: Plan,
    trainer: Trainer,
    test: Dataset,
}

impl<'a> Laboratory<'a> {
    /// From the files that the coordinator runs with.
    pub(crate) fn open(federation: &'a Federation) -> Result<Self, String> {
        let home = federation.root.join("coordinator");
        let text = std::fs::read(home.join("plan.toml")).map_err(|error| error.to_string())?;
        let plan = Plan::from_bytes(&text).map_err(|error| error.to_string())?;
        let task = Task::from_plan(&plan).map_err(|error| error.to_string())?;
        let trainer = Trainer::new(&task, DeviceChoice::Cpu).map_err(|error| error.to_string())?;
        let test = load(&home.join("test"), &plan)?;
        Ok(Self { federation, plan, trainer, test })
    }

    /// Parameters of the model.
    pub(crate) fn parameters(&self) -> usize {
        self.trainer.task().parameters()
    }

    /// Does it all over again in the clear.
    pub(crate) fn compare(&self, rounds: &[RoundSummary]) -> Result<Reference, String> {
        let mut parameters: Vec<f64> =
            self.trainer.task().initial_parameters().iter().map(|x| f64::from(*x)).collect();
        let (mut exact, mut accuracy_plain) = (true, Vec::new());
        for summary in rounds {
            if summary.done {
                exact &= self.average(summary, &mut parameters)?;
                let plain: Vec<f32> = parameters.iter().map(|x| *x as f32).collect();
                accuracy_plain.push(Some(self.accuracy(&plain)?));
            } else {
                accuracy_plain.push(None);
            }
        }
        let (accuracy_best_alone, best_alone) = self.best_alone(rounds)?;
        Ok(Reference { accuracy_plain, exact, accuracy_best_alone, best_alone })
    }

    /// Adds the plain average of a round's updates to `parameters`; whether the round's opened
    /// aggregate is exactly the sum of what was sealed.
    fn average(&self, summary: &RoundSummary, parameters: &mut [f64]) -> Result<bool, String> {
        let publication = self.federation.publication(summary.round)?;
        let result = &publication.result;
        let mut units = vec![0i32; parameters.len()];
        let mut mean = vec![0f64; parameters.len()];
        let (mut weights, mut weight_sum) = (0f64, 0u64);
        // Where evidence weighs updates, an owner's counts so often.
        let owners = result.headers.iter().map(|signed| signed.header.client);
        let times = result.config.multiplicities(owners);
        for (header, &times) in result.headers.iter().zip(&times) {
            let client = header.header.client;
            let number = self.federation.owner_number(&client).ok_or("an unknown owner")?;
            let tap = Tap::read(&tap_folder(self.federation, number), summary.round)?;
            let weight = match self.plan.training.weighting {
                Weighting::Uniform => 1,
                Weighting::CappedExamples(cap) => tap.examples.clamp(1, cap),
            };
            let weight = f64::from(weight) * f64::from(times);
            weights += weight;
            weight_sum += u64::from(tap.weight) * u64::from(times);
            let units_of = tap.units.iter().map(|unit| *unit * times.cast_signed());
            units.iter_mut().zip(units_of).for_each(|(sum, unit)| *sum += unit);
            let scaled = tap.update.iter().map(|x| f64::from(*x) * weight);
            mean.iter_mut().zip(scaled).for_each(|(sum, x)| *sum += x);
        }
        let rate = self.plan.training.server_lr / weights;
        parameters.iter_mut().zip(&mean).for_each(|(parameter, sum)| *parameter += sum * rate);
        let aggregate = &result.aggregate;
        Ok(aggregate.sums == units
            && aggregate.weight == weight_sum
            && aggregate.count == times.iter().sum::<u32>())
    }

    fn accuracy(&self, parameters: &[f32]) -> Result<f64, String> {
        let metrics = self.trainer.evaluate(parameters, &self.test);
        let metrics = metrics.map_err(|error| error.to_string())?;
        metrics.accuracy().ok_or_else(|| "the plan predicts no class".to_owned())
    }

    /// The best of the honest owners when each trains alone, for as many rounds of local epochs.
    fn best_alone(&self, rounds: &[RoundSummary]) -> Result<(f64, String), String> {
        let mut best = (0.0, String::new());
        let roles = self.federation.roles.iter().zip(1..);
        for (_, number) in roles.filter(|(role, _)| **role == Role::Honest) {
            let name = owner_name(number);
            let data = load(&self.federation.root.join(&name).join("data"), &self.plan)?;
            let member = self.federation.roster().into_iter().flat_map(|roster| &roster.members);
            let id = member.clone().find(|member| member.name.as_str() == name);
            let id = id.ok_or("an owner is not in the roster")?.id;
            let mut parameters = self.trainer.task().initial_parameters();
            for summary in rounds {
                let seed = FitSeed::derive(self.plan.seed, summary.round, &id);
                let (cancel, mut progress) = (Cancel::new(), |_| ());
                let context = FitContext::new(seed, &cancel, &mut progress);
                let context = context.in_round(summary.round);
                let fit = self.trainer.fit(&parameters, &data, context);
                let update = fit.map_err(|error| format!("{name} alone: {error}"))?.update;
                parameters.iter_mut().zip(&update).for_each(|(p, change)| *p += change);
            }
            let accuracy = self.accuracy(&parameters)?;
            if accuracy > best.0 {
                best = (accuracy, name);
            }
        }
        Ok(best)
    }
}

/// Reads a folder that [`crate::source::Rows::write`] wrote.
fn load(folder: &Path, plan: &Plan) -> Result<Dataset, String> {
    let source = source_in(folder);
    Dataset::load(&source, &plan.data).map_err(|error| error.to_string())
}

/// The files in such a folder.
pub(crate) fn source_in(folder: &Path) -> DataSource {
    let images = folder.join("images.idx");
    if images.exists() {
        DataSource::Idx { images, labels: folder.join("labels.idx") }
    } else {
        DataSource::Csv { path: folder.join("rows.csv"), header: Header::Present }
    }
}
