//! What more or less noise, more owners or fewer rounds would cost and bring: epsilon by the
//! accountant, accuracy by simulations of the plan in which only the noise differs.

use std::fmt;
use std::path::Path;

use covey_aggregation::plan::{Plan, PlanErrors};
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::{DataSource, mock};
use covey_model::device::DeviceChoice;
use serde::Serialize;
use toml::{Table, Value};

use super::diff::table;
use crate::check;
use crate::sim::{Options, Partition, file_failure, mock_examples, mock_source, simulate};

/// The noise that is tried, as multiples of the plan's.
const FACTORS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// Simulations with each: their seeds differ, and so who has which examples and the noise.
const SEEDS: u64 = 3;

/// Examples that the model is then measured on.
const MOCK_TESTED: u64 = 2000;

/// Most multiplications (a parameter, an example, a time) that are done for made-up data unasked: a
/// minute or two.
const MOCK_WORK_MAX: u64 = 30_000_000_000;

/// What is simulated on.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The examples of all clients, which are divided evenly.
    pub data: DataSource,
    /// What the model is measured on.
    pub test_data: DataSource,
    /// Clients; as many as the plan's minimum if not given.
    pub clients: Option<usize>,
}

impl Trial {
    /// Made-up data that can be learnt, in `folder`; none where the simulations would take long.
    fn made_up(plan: &Plan, parameters: u64, folder: &Path) -> Result<Option<Self>, Failure> {
        let (clients, training) = (u64::from(plan.cohort.minimum), &plan.training);
        let each = mock_examples(plan);
        let passes = training.steps(each).saturating_mul(training.batch_size.into());
        let simulations = SEEDS * (FACTORS.len() as u64 + 1);
        let work = [clients, training.rounds.into(), simulations]
            .iter()
            .fold(passes.saturating_mul(parameters), |work, times| work.saturating_mul(*times));
        if work > MOCK_WORK_MAX {
            return Ok(None);
        }
        let make = |name: &str, rows: u64, part: u64| {
            let seeds = (plan.seed, part);
            let write = |path: &Path| mock::write_learnable(path, &plan.data, rows, seeds);
            mock_source(plan, &folder.join(name), write)
        };
        let data = make("train", clients * each, 0)?;
        let test_data = make("test", MOCK_TESTED, 1)?;
        Ok(Some(Self { data, test_data, clients: None }))
    }
}

/// Noise, cohort and rounds beside what they cost.
#[derive(Debug, Serialize)]
pub struct Tradeoff {
    /// The plan's name.
    pub name: String,
    /// The delta of every epsilon.
    pub delta: f64,
    /// By noise, the rest as in the plan; none is the last.
    pub noise: Vec<Choice>,
    /// By the fewest owners of a sum: epsilon stays, the noise of their mean falls.
    pub cohort: Vec<Cohort>,
    /// By rounds.
    pub rounds: Vec<Rounds>,
    /// Simulations of each accuracy; 0 where they would take long and no data were given.
    pub simulations: u64,
    /// Whether they were on made-up data, of which only the differences mean something.
    pub is_mock: bool,
}

/// One amount of noise.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// The multiplier; none for no noise at all.
    pub noise_multiplier: Option<f64>,
    /// Epsilon of the whole plan; none without noise, or where it has no room.
    pub epsilon: Option<f64>,
    /// Test accuracy of simulations: their mean, 0 to 1.
    pub accuracy: Option<f64>,
    /// Its standard error.
    pub accuracy_error: Option<f64>,
    /// Why there are no numbers.
    pub why: Option<String>,
}

/// One cohort.
#[derive(Debug, Serialize)]
pub struct Cohort {
    /// Fewest owners of a sum.
    pub minimum: u32,
    /// Noise on each number of the mean of as many updates.
    pub noise_of_mean: f64,
}

/// One length of the run.
#[derive(Debug, Serialize)]
pub struct Rounds {
    /// Rounds.
    pub rounds: u32,
    /// Their epsilon.
    pub epsilon: f64,
}

/// What the noise of a plan costs and brings; on made-up data where no others are given.
///
/// # Errors
/// [`Failure`] when it is no valid plan, asks for no noise, or no simulation is to be had.
pub fn tradeoff(path: &Path, trial: Option<&Trial>) -> Result<Tradeoff, Failure> {
    let (plan, task, file) = check::read_plan(path)?;
    let Some(privacy) = plan.privacy else {
        let what = format!("{} has no [privacy]: it adds no noise", path.display());
        return Err(Failure::new(Exit::BadInput, "NO_PRIVACY", what)
            .with_help("add [privacy] with unit = \"owner\", noise_multiplier and delta"));
    };
    let (table, parameters) = (table(&file)?, task.parameters() as u64);
    let folder = tempfile::tempdir().map_err(|error| file_failure(&error))?;
    let made_up = match trial {
        Some(_) => None,
        None => Trial::made_up(&plan, parameters, folder.path())?,
    };
    let is_mock = made_up.is_some();
    let trial = trial.or(made_up.as_ref());
    let mut noise = Vec::new();
    for factor in FACTORS {
        let multiplier = factor * privacy.noise_multiplier;
        noise.push(with_noise(&table, Some(multiplier), parameters, trial)?);
    }
    noise.push(with_noise(&table, None, parameters, trial)?);
    let least = plan.cohort.minimum;
    let cohorts = [least, 2 * least, 4 * least, 10 * least];
    let cohort = cohorts.map(|minimum| cohort_of(&plan, parameters, minimum));
    let all = plan.training.rounds;
    let lengths = [all.div_ceil(4), all.div_ceil(2), all, 2 * all];
    let rounds = lengths
        .map(|rounds| plan.epsilon(parameters, rounds).map(|epsilon| Rounds { rounds, epsilon }));
    Ok(Tradeoff {
        name: plan.name.to_string(),
        delta: privacy.delta.get(),
        noise,
        cohort: cohort.into_iter().flatten().collect(),
        rounds: rounds.into_iter().flatten().collect(),
        simulations: trial.map_or(0, |_| SEEDS),
        is_mock,
    })
}

/// The plan with so much noise.
fn with_noise(
    table: &Table,
    noise_multiplier: Option<f64>,
    parameters: u64,
    trial: Option<&Trial>,
) -> Result<Choice, Failure> {
    let mut table = table.clone();
    match noise_multiplier {
        None => drop(table.remove("privacy")),
        Some(multiplier) => {
            if let Some(privacy) = table.get_mut("privacy").and_then(Value::as_table_mut) {
                privacy.insert("noise_multiplier".to_owned(), multiplier.into());
                // It would refuse what is only looked at.
                privacy.remove("epsilon_max");
            }
        }
    }
    let text = table.to_string();
    let plan = match Plan::parse(&text) {
        Ok(plan) => plan,
        Err(errors) => {
            let why = Some(first(&errors));
            let (epsilon, accuracy, accuracy_error) = (None, None, None);
            return Ok(Choice { noise_multiplier, epsilon, accuracy, accuracy_error, why });
        }
    };
    let epsilon = plan.epsilon(parameters, plan.training.rounds);
    let measured = match trial {
        Some(trial) => measure(&text, &plan, trial)?,
        None => None,
    };
    let (accuracy, accuracy_error) = measured.unzip();
    Ok(Choice { noise_multiplier, epsilon, accuracy, accuracy_error, why: None })
}

fn first(errors: &PlanErrors) -> String {
    errors.errors().first().map_or_else(String::new, |error| error.message.clone())
}

/// Mean accuracy and its standard error; none where the plan predicts no class.
fn measure(text: &str, plan: &Plan, trial: &Trial) -> Result<Option<(f64, f64)>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| file_failure(&error))?;
    let path = folder.path().join("plan.toml");
    std::fs::write(&path, text).map_err(|error| file_failure(&error))?;
    let mut found = Vec::new();
    for seed in 1..=SEEDS {
        let options = Options {
            plan: path.clone(),
            data: vec![trial.data.clone()],
            test_data: Some(trial.test_data.clone()),
            clients: trial.clients.unwrap_or(plan.cohort.minimum as usize),
            partition: Partition::Iid,
            dropout: 0.0,
            attacks: Vec::new(),
            is_sealed: false,
            rounds: None,
            seed: Some(seed),
            device: DeviceChoice::Cpu,
            workers: None,
            dataset_bytes_max: None,
        };
        found.extend(simulate(&options, &mut |_| {})?.accuracy);
    }
    if found.len() < 2 {
        return Ok(None);
    }
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    let squares = found.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
    Ok(Some((mean, (squares / (n - 1.0) / n).sqrt())))
}

/// The noise of a mean of at least so many updates; none where a sum may not have as many.
fn cohort_of(plan: &Plan, parameters: u64, minimum: u32) -> Option<Cohort> {
    let mut plan = plan.clone();
    plan.cohort.minimum = minimum;
    plan.cohort.maximum = plan.cohort.maximum.max(minimum);
    let share = plan.noise(parameters).ok()??.share().ok()?;
    let noise_of_mean = (share.to_f64() / f64::from(minimum)).sqrt() * plan.quantiser().step();
    Some(Cohort { minimum, noise_of_mean })
}

impl fmt::Display for Tradeoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, delta, .. } = self;
        writeln!(f, "{name}: what noise costs and brings, at delta {delta:e}")?;
        writeln!(f, "\nnoise_multiplier  epsilon of the plan  accuracy")?;
        for choice in &self.noise {
            let noise =
                choice.noise_multiplier.map_or_else(|| "none".to_owned(), |z| format!("{z:.3}"));
            let epsilon = match (choice.epsilon, choice.noise_multiplier) {
                (Some(epsilon), _) => format!("{epsilon:.2}"),
                (None, None) => "no bound".to_owned(),
                (None, Some(_)) => "-".to_owned(),
            };
            write!(f, "{noise:<16}  {epsilon:<19}  ")?;
            match (choice.accuracy.zip(choice.accuracy_error), &choice.why) {
                (Some((mean, error)), _) => {
                    writeln!(f, "{:.1} % +- {:.1}", 100.0 * mean, 100.0 * error)?;
                }
                (None, Some(why)) => writeln!(f, "{why}")?,
                (None, None) => writeln!(f, "-")?,
            }
        }
        if self.simulations == 0 {
            writeln!(
                f,
                "simulations would take long: give --data and --test-data for the accuracy"
            )?;
        } else if self.is_mock {
            writeln!(
                f,
                "mean and standard error of {} simulations on MADE-UP data: only how they differ \
                 means something; give --data and --test-data for your own",
                self.simulations
            )?;
        } else {
            writeln!(f, "mean and standard error of {} simulations", self.simulations)?;
        }
        if !self.cohort.is_empty() {
            writeln!(f, "\ncohort.minimum    noise on each number of the mean (epsilon stays)")?;
            for Cohort { minimum, noise_of_mean } in &self.cohort {
                writeln!(f, "{minimum:<16}  {noise_of_mean:.2e}")?;
            }
        }
        write!(f, "\nrounds            epsilon")?;
        for Rounds { rounds, epsilon } in &self.rounds {
            write!(f, "\n{rounds:<16}  {epsilon:.2}")?;
        }
        Ok(())
    }
}
