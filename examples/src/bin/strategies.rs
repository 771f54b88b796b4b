//! How training strategies compare on owners that differ much: the digits, ten owners, Dirichlet
//! 0.1 by label. `cargo run --release --bin strategies` prints the table.
//!
//! Every strategy is tuned alike: twelve settings each, the best by mean score over two splits is
//! then measured on five others. The score is the mean test accuracy of the last five rounds. It
//! runs as a simulation in the clear, which comes to the same models as the real programs.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use covey_aggregation::program::Failure;
use covey_client::sim::{Event, Options, Partition, simulate};
use covey_model::data::{DataSource, Header};
use covey_model::device::DeviceChoice;
use covey_model::split::train_test;
use flate2::read::MultiGzDecoder;
use toml::{Table, Value};

/// The digits and the plan that ship.
const DIGITS: &[u8] = include_bytes!("../../data/digits.csv.gz");
const CNN: &str = include_str!("../../plans/digits-cnn.toml");
const MLP: &str = include_str!("../../plans/digits-mlp.toml");

const OWNERS: usize = 10;
const TEST_SHARE: f64 = 0.2;

/// Rounds at the end whose mean accuracy counts.
const LAST: usize = 5;

/// Learning rates of the owners that are tried.
const LEARNING_RATES: [f64; 4] = [0.1, 0.2, 0.4, 0.8];

/// Splits for tuning, and those for the table.
const TUNING: [u64; 2] = [101, 102];
const MEASURED: [u64; 5] = [1, 2, 3, 4, 5];

/// Compares training strategies on owners that differ much.
#[derive(Parser)]
struct Args {
    /// Rounds of each run.
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// How much owners differ: the Dirichlet parameter.
    #[arg(long, default_value_t = 0.1)]
    alpha: f64,
    /// Passes over an owner's examples in a round; the plan's if not given.
    #[arg(long)]
    local_epochs: Option<u32>,
    /// The strength of FedProx's pull.
    #[arg(long, default_value_t = 0.01)]
    mu: f64,
    /// The smaller network.
    #[arg(long)]
    mlp: bool,
    /// Print every run.
    #[arg(long)]
    verbose: bool,
}

/// One setting of a strategy.
struct Setting {
    strategy: String,
    lr: f64,
    server_lr: f64,
}

/// Twelve settings of each strategy: four learning rates of the owners, three of the coordinator.
/// Adaptive steps are of another size, so theirs are smaller.
fn settings(name: &str, mu: f64) -> Vec<Setting> {
    let (more, server_rates) = match name {
        "fedprox" => (format!("mu = {mu:?}"), [1.0, 1.5, 2.0]),
        "scaffold" => ("range = 2\nclip_norm = 20".to_owned(), [1.0, 1.5, 2.0]),
        "fedadam" => ("tau = 0.01".to_owned(), [0.1, 0.3, 1.0]),
        _ => (String::new(), [1.0, 1.5, 2.0]),
    };
    let pairs = LEARNING_RATES.into_iter().flat_map(|lr| server_rates.map(|server| (lr, server)));
    let setting = |(lr, server_lr)| {
        let strategy = format!("name = \"{name}\"\n{more}");
        Setting { strategy, lr, server_lr }
    };
    pairs.map(setting).collect()
}

/// Where the runs take place.
struct Bench {
    folder: tempfile::TempDir,
    lines: Vec<String>,
    labels: Vec<u32>,
    args: Args,
}

fn main() -> ExitCode {
    match compare(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strategies: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: Args) -> Result<(), String> {
    let bench = Bench::open(args)?;
    let Args { rounds, alpha, .. } = bench.args;
    println!(
        "digits, {OWNERS} owners, Dirichlet {alpha}, {rounds} rounds; test accuracy in percent,"
    );
    println!(
        "mean of the last {LAST} rounds, on five splits; each strategy tuned over 12 settings"
    );
    println!("{:<9} {:>6}  {:>29}  setting", "strategy", "mean", "on each split");
    for name in ["fedavg", "fedprox", "scaffold", "fedadam"] {
        let mut best: Option<(f64, Setting)> = None;
        for setting in settings(name, bench.args.mu) {
            let score = mean(&bench.scores(&setting, &TUNING)?);
            if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                best = Some((score, setting));
            }
        }
        let Some((_, setting)) = best else { continue };
        let scores = bench.scores(&setting, &MEASURED)?;
        let each: Vec<_> = scores.iter().map(|score| format!("{:5.1}", 100.0 * score)).collect();
        let (each, mean) = (each.join(" "), 100.0 * mean(&scores));
        println!("{name:<9} {mean:>6.2}  {each}  {}", setting.shown());
    }
    Ok(())
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

impl Setting {
    fn shown(&self) -> String {
        let more = self.strategy.lines().skip(1).map(|line| format!(", {line}"));
        format!("lr = {}, server_lr = {}{}", self.lr, self.server_lr, more.collect::<String>())
    }
}

impl Bench {
    fn open(args: Args) -> Result<Self, String> {
        let mut text = String::new();
        let read = MultiGzDecoder::new(DIGITS).read_to_string(&mut text);
        read.map_err(|error| format!("the digits: {error}"))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let label = |line: &String| line.rsplit(',').next().and_then(|label| label.parse().ok());
        let labels: Option<Vec<u32>> = lines.iter().map(label).collect();
        let labels = labels.ok_or("the digits: a line without a label")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        Ok(Self { folder, lines, labels, args })
    }

    fn scores(&self, setting: &Setting, seeds: &[u64]) -> Result<Vec<f64>, String> {
        let score = |seed: &u64| {
            let score = self.score(setting, *seed)?;
            if self.args.verbose {
                eprintln!("{} seed {seed}: {:.2}", setting.shown(), 100.0 * score);
            }
            Ok(score)
        };
        seeds.iter().map(score).collect()
    }

    /// A run's score; 0 for one that diverges.
    fn score(&self, setting: &Setting, seed: u64) -> Result<f64, String> {
        let (train, test) = train_test(&self.labels, TEST_SHARE, seed);
        let options = Options {
            plan: self.write("plan.toml", &self.plan(setting, seed)?)?,
            data: Some(csv(&self.write("train.csv", &self.rows(&train))?)),
            test_data: Some(csv(&self.write("test.csv", &self.rows(&test))?)),
            clients: OWNERS,
            partition: Partition::Dirichlet(self.args.alpha),
            dropout: 0.0,
            attacks: Vec::new(),
            is_sealed: false,
            rounds: Some(self.args.rounds),
            seed: Some(seed),
            device: DeviceChoice::Cpu,
            workers: None,
            dataset_bytes_max: None,
        };
        let mut accuracies = Vec::new();
        let ended = simulate(&options, &mut |event| {
            if let Event::Round(summary) = event {
                accuracies.extend(summary.accuracy);
            }
        });
        match ended {
            Ok(summary) if summary.ending == "done" => {
                let from = accuracies.len().saturating_sub(LAST);
                Ok(mean(&accuracies[from..]))
            }
            Ok(_) => Ok(0.0),
            Err(Failure { code: "RUN_ABANDONED" | "EVALUATION", .. }) => Ok(0.0),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// The plan that ships, with this setting, plain SGD and this seed.
    fn plan(&self, setting: &Setting, seed: u64) -> Result<String, String> {
        let text = if self.args.mlp { MLP } else { CNN };
        let mut plan: Table = text.parse().map_err(|error| format!("the plan: {error}"))?;
        let strategy: Table =
            setting.strategy.parse().map_err(|error| format!("the strategy: {error}"))?;
        plan.insert("seed".to_owned(), Value::Integer(seed.cast_signed()));
        plan.insert("strategy".to_owned(), strategy.into());
        if let Some(Value::Table(training)) = plan.get_mut("training") {
            let mut optimizer = Table::new();
            optimizer.insert("name".to_owned(), "sgd".into());
            optimizer.insert("lr".to_owned(), setting.lr.into());
            training.insert("optimizer".to_owned(), optimizer.into());
            training.insert("server_lr".to_owned(), setting.server_lr.into());
            if let Some(epochs) = self.args.local_epochs {
                training.insert("local_epochs".to_owned(), i64::from(epochs).into());
            }
        }
        toml::to_string(&plan).map_err(|error| error.to_string())
    }

    fn rows(&self, numbers: &[usize]) -> String {
        numbers.iter().map(|number| format!("{}\n", self.lines[*number])).collect()
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).map_err(|error| error.to_string())?;
        Ok(path)
    }
}

fn csv(path: &Path) -> DataSource {
    DataSource::Csv { path: path.to_owned(), header: Header::Absent }
}
