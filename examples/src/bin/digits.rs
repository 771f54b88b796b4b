//! How well a federation reads digits that it was not trained on: ten owners who have much of a few
//! digits each (Dirichlet 0.5 by label). `cargo run --release --bin digits` prints the accuracy of
//! every seed.
//!
//! A seed draws which fifth of the digits is the test, who has which of the others, the first
//! parameters and all that training draws. Test digits are of writers who wrote others that were
//! trained on: the file does not tell writers apart.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use covey_aggregation::program::Failure;
use covey_client::sim::Partition;
use covey_examples::digits::Digits;
use covey_examples::federation::Federation;
use covey_examples::plans::DIGITS_CNN;
use covey_examples::statistics::{deviation, mean};
use covey_examples::variant::Variant;
use covey_examples::{end, failed};
use covey_model::split::train_test;

const TEST_SHARE: f64 = 0.2;

/// Trains the CNN of `plans/digits-cnn.toml` on owners who differ, and measures it on digits that
/// nobody trained on.
#[derive(Parser)]
struct Args {
    /// Seeds, one run each.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5")]
    seeds: Vec<u64>,
    /// Rounds.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Owners.
    #[arg(long, default_value_t = 10)]
    owners: usize,
    /// How much owners differ: the Dirichlet parameter.
    #[arg(long, default_value_t = 0.5)]
    alpha: f64,
}

fn main() -> ExitCode {
    end(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<(), Failure> {
    let Args { seeds, rounds, owners, alpha } = args;
    println!(
        "digits-cnn, {owners} owners, Dirichlet {alpha}, {rounds} rounds; accuracy in percent"
    );
    println!("on test digits, after the last round, and the first round at 95 or more");
    let mut last = Vec::new();
    for &seed in seeds {
        let began = Instant::now();
        let accuracies = accuracies(args, seed)?;
        let accuracy = accuracies.last().copied().unwrap_or_default();
        let reached = accuracies.iter().position(|accuracy| *accuracy >= 95.0);
        let reached = reached.map_or_else(|| "none".to_owned(), |place| (place + 1).to_string());
        let seconds = began.elapsed().as_secs_f64();
        println!("seed {seed:>3}  {accuracy:>6.2}  round {reached:>4}  {seconds:.1} s");
        last.push(accuracy);
    }
    let lowest = last.iter().copied().fold(f64::INFINITY, f64::min);
    println!("mean {:.2}, deviation {:.2}, lowest {lowest:.2}", mean(&last), deviation(&last));
    Ok(())
}

/// The accuracy after each round, in percent.
fn accuracies(args: &Args, seed: u64) -> Result<Vec<f64>, Failure> {
    let digits = Digits::open()?;
    let (train, test) = train_test(digits.labels(), TEST_SHARE, seed);
    let folder = tempfile::tempdir().map_err(failed)?;
    let write = |numbers: &[usize], name| digits.some(numbers).write(&folder.path().join(name));
    let federation = Federation {
        plan: Variant::of(DIGITS_CNN)?
            .with("seed", seed.cast_signed())
            .with("training.rounds", i64::from(args.rounds)),
        data: vec![write(&train, "train.csv")?],
        test_data: Some(write(&test, "test.csv")?),
        owners: args.owners,
        partition: Partition::Dirichlet(args.alpha),
        seed,
    };
    let rounds = federation.train(&mut |_| {})?.rounds;
    Ok(rounds.iter().filter_map(|round| Some(100.0 * round.accuracy?)).collect())
}
