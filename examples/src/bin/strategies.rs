//! How training strategies compare on owners that differ much: the digits, ten owners, Dirichlet
//! 0.1 by label. `cargo run --release --bin strategies` prints the table.
//!
//! A quarter of the digits is the test, always the same; no tuning sees it. Of the others, tuning
//! divides off a quarter for validation, by seeds of its own. Every strategy is tuned alike: the
//! same number of settings, the next always the nearest to the best so far, so that nobody's best
//! lies at an edge that was drawn beforehand. Then each strategy's best setting is trained once
//! with every seed of the table on all but the test. The score is the mean accuracy after the last
//! five rounds. It runs as a simulation in the clear, which comes to the same models as the real
//! programs.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use covey_aggregation::program::Failure;
use covey_client::sim::Partition;
use covey_examples::digits::Digits;
use covey_examples::federation::Federation;
use covey_examples::plans::{DIGITS_CNN, DIGITS_MLP};
use covey_examples::search::{Axis, search};
use covey_examples::statistics::{deviation, mean};
use covey_examples::variant::Variant;
use covey_examples::{end, failed};
use covey_model::split::train_test;
use toml::Table;

const OWNERS: usize = 10;

/// Share of the digits for the test, and of the others for validation while tuning.
const TEST_SHARE: f64 = 0.25;

/// Which digits are the test.
const TEST_SEED: u64 = 4000;

/// Rounds at the end whose mean accuracy counts.
const LAST: usize = 5;

/// Seeds for tuning (which digits validate, who has which, first parameters), and for the table.
const TUNING: [u64; 3] = [4101, 4102, 4103];
const MEASURED: [u64; 5] = [4201, 4202, 4203, 4204, 4205];

const LR: &str = "training.optimizer.lr";
const SERVER_LR: &str = "training.server_lr";

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
    /// Settings of each strategy that are tried.
    #[arg(long, default_value_t = 24)]
    settings: usize,
    /// The convolutional network instead of the one of two linear layers.
    #[arg(long)]
    cnn: bool,
    /// These strategies alone.
    #[arg(long, value_delimiter = ',', default_value = "fedavg,fedprox,scaffold,fedadam")]
    strategies: Vec<String>,
    /// Print every setting that is tried.
    #[arg(long)]
    verbose: bool,
}

/// A strategy: what is fixed of it, and what is tuned.
struct Strategy {
    name: String,
    fixed: &'static [(&'static str, f64)],
    axes: Vec<Axis>,
}

impl Strategy {
    /// All begin with a learning rate of 0.2 at home and the mean update as it is; FedAdam's steps
    /// are of another size than an update, so its begin with 0.3.
    fn named(name: &str) -> Self {
        let axis = |field, start, factor| Axis { field, start, factor };
        let server = if name == "fedadam" { 0.3 } else { 1.0 };
        let mut axes = vec![axis(LR, 0.2, 2.0), axis(SERVER_LR, server, 1.5)];
        let mut fixed: &[(&str, f64)] = &[];
        match name {
            "fedprox" => axes.push(axis("strategy.mu", 0.01, 4.0)),
            "fedadam" => axes.push(axis("strategy.tau", 0.01, 4.0)),
            // How large numbers may be that owners send: far above what they are.
            "scaffold" => fixed = &[("strategy.range", 2.0), ("strategy.clip_norm", 20.0)],
            _ => {}
        }
        Self { name: name.to_owned(), fixed, axes }
    }

    /// A setting in words.
    fn shown(&self, point: &[i32]) -> String {
        let value = |(axis, steps): (&Axis, &i32)| {
            let name = axis.field.rsplit('.').next().unwrap_or(axis.field);
            format!("{name} {:.4}", axis.value(*steps))
        };
        self.axes.iter().zip(point).map(value).collect::<Vec<_>>().join(", ")
    }

    /// A plan with this strategy and setting, and plain SGD.
    fn plan(&self, base: &Variant, point: &[i32]) -> Variant {
        let mut sgd = Table::new();
        sgd.insert("name".to_owned(), "sgd".into());
        let plan = base.clone().with("training.optimizer", sgd);
        let plan = plan.with("strategy.name", self.name.as_str());
        let fixed = self.fixed.iter().copied();
        let tuned = self.axes.iter().zip(point).map(|(axis, at)| (axis.field, axis.value(*at)));
        fixed.chain(tuned).fold(plan, |plan, (field, value)| plan.with(field, value))
    }
}

fn main() -> ExitCode {
    end(compare(&Args::parse()))
}

fn compare(args: &Args) -> Result<(), Failure> {
    let began = Instant::now();
    let digits = Digits::open()?;
    let (development, test) = train_test(digits.labels(), TEST_SHARE, TEST_SEED);
    let (development, test) = (digits.some(&development), digits.some(&test));
    let Args { rounds, alpha, settings, .. } = args;
    println!(
        "digits, {OWNERS} owners, Dirichlet {alpha}, {rounds} rounds; test accuracy in percent,"
    );
    println!("mean after the last {LAST} rounds, with five seeds; each strategy tuned over");
    println!("{settings} settings by {} other seeds and digits", TUNING.len());
    println!("{:<9} {:>6} {:>5}  {:>29}  setting", "strategy", "mean", "dev.", "with each seed");
    let mut first: Option<Vec<f64>> = None;
    for name in &args.strategies {
        let strategy = Strategy::named(name);
        let found = search(strategy.axes.len(), *settings, |point| {
            let scores: Vec<f64> = TUNING
                .iter()
                .map(|&seed| {
                    let (train, validation) = train_test(development.labels(), TEST_SHARE, seed);
                    let (train, validation) =
                        (development.some(&train), development.some(&validation));
                    score(args, &strategy, point, seed, [&train, &validation])
                })
                .collect::<Result<_, _>>()?;
            if args.verbose {
                eprintln!("{name}: {}: {:.2}", strategy.shown(point), mean(&scores));
            }
            Ok::<_, Failure>(mean(&scores))
        })?;
        let measure = |&seed| score(args, &strategy, &found.best, seed, [&development, &test]);
        let scores: Vec<f64> = MEASURED.iter().map(measure).collect::<Result<_, _>>()?;
        let each: Vec<_> = scores.iter().map(|score| format!("{score:5.1}")).collect();
        println!(
            "{name:<9} {:>6.2} {:>5.2}  {}  {}; {:.2} in tuning, {}",
            mean(&scores),
            deviation(&scores),
            each.join(" "),
            strategy.shown(&found.best),
            found.score,
            if found.is_interior() { "no neighbour better" } else { "NEIGHBOURS NOT ALL TRIED" }
        );
        let less = first.get_or_insert_with(|| scores.clone()).iter().zip(&scores);
        let less: Vec<f64> = less.map(|(first, own)| own - first).collect();
        if *name != args.strategies[0] {
            let error = deviation(&less) / (less.len() as f64).sqrt();
            let (more, first) = (mean(&less), &args.strategies[0]);
            println!("{:<9} {more:>+6.2} than {first}, standard error {error:.2}", "");
        }
    }
    println!("{:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// A run's score in percent, trained on the first digits and measured on the second; 0 for a run
/// that diverges.
fn score(
    args: &Args,
    strategy: &Strategy,
    point: &[i32],
    seed: u64,
    [train, test]: [&Digits; 2],
) -> Result<f64, Failure> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut base = Variant::of(if args.cnn { DIGITS_CNN } else { DIGITS_MLP })?
        .with("seed", seed.cast_signed())
        .with("training.rounds", i64::from(args.rounds));
    if let Some(epochs) = args.local_epochs {
        base = base.with("training.local_epochs", i64::from(epochs));
    }
    let federation = Federation {
        plan: strategy.plan(&base, point),
        data: vec![train.write(&folder.path().join("train.csv"))?],
        test_data: Some(test.write(&folder.path().join("test.csv"))?),
        owners: OWNERS,
        partition: Partition::Dirichlet(args.alpha),
        seed,
    };
    match federation.train(&mut |_| {}) {
        Ok(trained) if trained.is_done => {
            let accuracies: Vec<f64> =
                trained.rounds.iter().filter_map(|round| round.accuracy).collect();
            Ok(100.0 * mean(&accuracies[accuracies.len().saturating_sub(LAST)..]))
        }
        Ok(_) | Err(Failure { code: "RUN_ABANDONED" | "EVALUATION", .. }) => Ok(0.0),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_makes_a_good_plan_at_its_start_and_around() {
        for name in ["fedavg", "fedprox", "scaffold", "fedadam"] {
            let strategy = Strategy::named(name);
            let base = Variant::of(DIGITS_MLP).expect("TOML");
            for steps in [-3, 0, 3] {
                let point = vec![steps; strategy.axes.len()];
                let plan = strategy.plan(&base, &point).plan();
                let plan = plan.unwrap_or_else(|failure| panic!("{name}: {failure}"));
                assert_eq!(plan.training.optimizer.lr(), strategy.axes[0].value(steps));
                assert_eq!(plan.training.server_lr, strategy.axes[1].value(steps));
            }
        }
    }

    #[test]
    fn tuning_and_table_share_no_seed_and_no_test_digit_is_tuned_on() {
        assert!(TUNING.iter().all(|seed| !MEASURED.contains(seed)));
        let digits = Digits::open().expect("they ship");
        let (development, test) = train_test(digits.labels(), TEST_SHARE, TEST_SEED);
        assert_eq!(development.len() + test.len(), digits.labels().len());
        assert!(test.iter().all(|number| development.binary_search(number).is_err()));
    }
}
