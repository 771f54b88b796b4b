//! Tries out a plan without any encryption: averages the updates of simulated owners in the
//! clear, and compares with every owner training alone for as many epochs.
//!
//! `cargo run --release -p covey-model --example fedavg -- examples/plans/digits-cnn.toml \
//!     examples/data/digits.csv.gz [owners] [alpha] [seeds]`

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use covey_aggregation::config::{Quantiser, Weighting};
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Plan;
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::device::DeviceChoice;
use covey_model::split::{dirichlet_by_label, train_test};
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitReport, FitSeed, Trainer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Federation<'a> {
    plan: &'a Plan,
    trainer: &'a Trainer,
    owners: Vec<Dataset>,
    test: Dataset,
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [plan, data, rest @ ..] = &arguments[..] else {
        return Err("give a plan and a CSV file".into());
    };
    let number = |place: usize, default: f64| {
        rest.get(place).map_or(Ok(default), |text: &String| text.parse::<f64>())
    };
    let (owners, alpha, seeds) = (number(0, 6.0)?, number(1, 0.5)?, number(2, 3.0)?);
    let plan = Plan::from_bytes(&std::fs::read(plan)?)?;
    let task = Task::from_plan(&plan)?;
    let source = DataSource::Csv { path: PathBuf::from(data), header: Header::Detect };
    let data = Dataset::load(&source, &plan.data)?;
    let trainer = Trainer::new(&task, DeviceChoice::Cpu)?;
    println!("{} parameters, {data:?}, {owners} owners, alpha {alpha}", task.parameters());
    for seed in 1..=seeds as u64 {
        let (train, test) = train_test(data.labels(), 0.2, seed);
        let train = data.subset(&train);
        let parts = dirichlet_by_label(train.labels(), owners as usize, alpha, 20, seed)?;
        let owners = parts.iter().map(|part| train.subset(part)).collect();
        Federation { plan: &plan, trainer: &trainer, owners, test: data.subset(&test), seed }
            .run()?;
    }
    Ok(())
}

impl Federation<'_> {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        let sizes: Vec<_> = self.owners.iter().map(Dataset::len).collect();
        println!("seed {}: owners with {sizes:?} examples", self.seed);
        let start = Instant::now();
        self.federated("plain f32", None)?;
        let seconds = start.elapsed().as_secs_f64();
        self.federated("quantised", Some(self.plan.quantiser()))?;
        let mut alone = Vec::new();
        for owner in 0..self.owners.len() {
            alone.push(self.alone(owner)?);
        }
        alone.sort_by(f64::total_cmp);
        let alone: Vec<_> = alone.iter().map(|share| format!("{:.1}", share * 100.0)).collect();
        println!("  alone      {} %   ({seconds:.2} s for one federated run)", alone.join(" "));
        Ok(())
    }

    fn fit(
        &self,
        parameters: &[f32],
        owner: usize,
        round: u32,
    ) -> Result<FitReport, Box<dyn Error>> {
        let client = PartyId([owner as u8; 32]);
        let seed = FitSeed::derive(self.plan.seed ^ self.seed << 32, round, &client);
        let (cancel, mut progress) = (Cancel::new(), |_| ());
        let context = FitContext::new(seed, &cancel, &mut progress).in_round(round);
        Ok(self.trainer.fit(parameters, &self.owners[owner], context)?)
    }

    fn federated(&self, name: &str, quantiser: Option<Quantiser>) -> Result<(), Box<dyn Error>> {
        let mut parameters = self.trainer.task().initial_parameters();
        let mut accuracies = Vec::new();
        let (mut longest, mut largest) = (0.0f64, 0.0f32);
        for round in 1..=self.plan.training.rounds {
            let mut sum = vec![0.0f64; parameters.len()];
            let mut weights = 0.0;
            for owner in 0..self.owners.len() {
                let report = self.fit(&parameters, owner, round)?;
                let norm = report.update.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
                longest = longest.max(norm);
                largest = report.update.iter().fold(largest, |most, x| most.max(x.abs()));
                let weight = match self.plan.training.weighting {
                    Weighting::Uniform => 1.0,
                    Weighting::CappedExamples(cap) => f64::from(report.examples.min(cap)),
                };
                let update = match quantiser {
                    Some(quantiser) => {
                        let mut rng =
                            ChaCha8Rng::seed_from_u64(u64::from(round) << 32 | owner as u64);
                        quantised(&report, &quantiser, norm, weight, &mut rng)
                    }
                    None => report.update.iter().map(|x| f64::from(*x) * weight).collect(),
                };
                sum.iter_mut().zip(&update).for_each(|(sum, x)| *sum += x);
                weights += weight;
            }
            let scale = self.plan.training.server_lr / weights;
            parameters.iter_mut().zip(&sum).for_each(|(p, sum)| *p += (sum * scale) as f32);
            accuracies.push(self.accuracy(&parameters)?);
        }
        let shown: Vec<_> =
            accuracies.iter().map(|share| format!("{:.1}", share * 100.0)).collect();
        println!(
            "  {name:10} {} %   (longest update {longest:.2}, largest change {largest:.2})",
            shown.join(" ")
        );
        Ok(())
    }

    fn accuracy(&self, parameters: &[f32]) -> Result<f64, Box<dyn Error>> {
        let metrics = self.trainer.evaluate(parameters, &self.test)?;
        Ok(metrics.accuracy().ok_or("the plan predicts no class")?)
    }

    /// Accuracy of one owner's own model after as many epochs.
    fn alone(&self, owner: usize) -> Result<f64, Box<dyn Error>> {
        let mut parameters = self.trainer.task().initial_parameters();
        for round in 1..=self.plan.training.rounds {
            let update = self.fit(&parameters, owner, round)?.update;
            parameters.iter_mut().zip(&update).for_each(|(p, x)| *p += x);
        }
        self.accuracy(&parameters)
    }
}

/// The update as the sum sees it: clipped, scaled by its weight, rounded stochastically. In
/// units of the weighted sum.
fn quantised(
    report: &FitReport,
    quantiser: &Quantiser,
    norm: f64,
    weight: f64,
    rng: &mut ChaCha8Rng,
) -> Vec<f64> {
    let cap = match quantiser.weighting {
        Weighting::Uniform => 1.0,
        Weighting::CappedExamples(cap) => f64::from(cap),
    };
    let scale = (f64::from(quantiser.clip_norm) / norm).min(1.0) * weight / cap;
    let most = f64::from(quantiser.magnitude_max());
    let step = quantiser.step();
    let unit = |x: &f32| {
        let units = (f64::from(*x) * scale / step).clamp(-most, most);
        (units + rng.random::<f64>()).floor().min(most) * step * cap
    };
    report.update.iter().map(unit).collect()
}
