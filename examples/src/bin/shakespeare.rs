//! Roles of Shakespeare's plays learn together to write, character by character, each keeping what
//! it says; compared with one owner of all that they say, at equal passes.
//! `cargo run --release --bin shakespeare -- --data input.txt --model lstm` prints the perplexity
//! after every round.
//!
//! The three or five roles that say most are the owners. Of what a role says, the last tenth is the test and
//! the tenth before it the validation. A round is one pass over everything. Settings of both sides
//! were chosen by `--validate`, which trains on neither and measures on the validation; without
//! it, both sides train on the validation as well and are measured on the test.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use covey_aggregation::program::{Exit, Failure};
use covey_client::sim::Partition;
use covey_examples::federation::Federation;
use covey_examples::plans::{ROLES_LSTM, ROLES_TRANSFORMER};
use covey_examples::play::{Pieces, longest_roles};
use covey_examples::variant::Variant;
use covey_examples::{end, failed, pooled, read_data};
use covey_model::data::{DataSource, Dataset};
use toml::Table;

/// Shares of what a role says.
const VALIDATION_SHARE: f64 = 0.1;
const TEST_SHARE: f64 = 0.1;

/// Where the text is from.
const HELP: &str = "name a file of plays, each speech below a line such as `ROMEO:`; Tiny \
                    Shakespeare (public domain) is input.txt in data/tinyshakespeare of \
                    https://github.com/karpathy/char-rnn";

/// Compares a federation of roles with pooled training at equal passes.
#[derive(Parser)]
struct Args {
    /// The plays.
    #[arg(long, env = "COVEY_TINYSHAKESPEARE")]
    data: PathBuf,
    /// Which model.
    #[arg(long)]
    model: Model,
    /// Owners, the roles that say most: 5 for the LSTM and 3 for the transformer, if not given.
    #[arg(long)]
    roles: Option<usize>,
    /// One side alone.
    #[arg(long)]
    only: Option<Side>,
    /// A field of the plan to set otherwise, such as training.batch_size=8; may be given several
    /// times.
    #[arg(long = "set")]
    fields: Vec<String>,
    /// Leave the validation out of training, and measure on it instead of the test.
    #[arg(long)]
    validate: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    Transformer,
    Lstm,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Side {
    Federated,
    Pooled,
}

impl Model {
    const fn plan(self) -> &'static str {
        match self {
            Self::Transformer => ROLES_TRANSFORMER,
            Self::Lstm => ROLES_LSTM,
        }
    }

    /// What pooled training does otherwise than the plan, chosen by `--validate` as the plan was.
    const fn pooled(self) -> &'static [&'static str] {
        match self {
            Self::Transformer => &["training.optimizer.lr=0.016"],
            Self::Lstm => &["training.optimizer.lr=0.04"],
        }
    }

    /// Owners, if nothing says how many: the transformer needs more steps to learn.
    const fn roles(self) -> usize {
        match self {
            Self::Transformer => 3,
            Self::Lstm => 5,
        }
    }
}

fn main() -> ExitCode {
    end(compare(&Args::parse()))
}

/// The owners' texts as files, and what is measured.
struct Texts {
    owners: Vec<DataSource>,
    measured: DataSource,
    _folder: tempfile::TempDir,
}

fn compare(args: &Args) -> Result<(), Failure> {
    let given: Vec<&str> = args.fields.iter().map(String::as_str).collect();
    let plan = Variant::of(args.model.plan())?;
    let pooled = [args.model.pooled(), &given].concat().into_iter().try_fold(plan.clone(), set)?;
    let plan = given.into_iter().try_fold(plan, set)?;
    let rounds = one_pass_a_round(&plan)?;
    let texts = Texts::open(args)?;
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    let is_wanted = |side| args.only.is_none_or(|only| only == side);
    if is_wanted(Side::Federated) {
        together = federated(&plan, &texts)?;
    }
    if is_wanted(Side::Pooled) {
        alone = pooled_alone(&pooled, &texts)?;
    }
    let owners = texts.owners.len();
    println!("perplexity of a character after each pass over what {owners} roles say");
    println!("{:>4} {:>10} {:>10} {:>8}", "pass", "federated", "pooled", "ratio");
    for round in 0..rounds as usize {
        let cell =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
        let (one, other) = (together.get(round).copied(), alone.get(round).copied());
        let ratio = one.zip(other).map(|(one, other)| one / other);
        println!("{:>4} {:>10} {:>10} {:>8}", round + 1, cell(one), cell(other), cell(ratio));
    }
    Ok(())
}

/// The rounds of a plan whose rounds are one pass each.
fn one_pass_a_round(plan: &Variant) -> Result<u32, Failure> {
    let training = plan.plan()?.training;
    if training.local_epochs != 1 || training.local_steps.is_some() {
        let what = "the two sides are compared pass by pass, and a round of this plan is not one";
        return Err(Failure::new(Exit::BadInput, "BAD_PLAN", what)
            .with_help("leave training.local_epochs at 1 and training.local_steps away"));
    }
    Ok(training.rounds)
}

/// Perplexity after each round of the federation.
fn federated(plan: &Variant, texts: &Texts) -> Result<Vec<f64>, Failure> {
    let federation = Federation {
        plan: plan.clone(),
        data: texts.owners.clone(),
        test_data: Some(texts.measured.clone()),
        owners: texts.owners.len(),
        partition: Partition::ByFile,
        seed: plan.plan()?.seed,
    };
    let began = Instant::now();
    let trained = federation.train(&mut |round| {
        let seconds = began.elapsed().as_secs_f64();
        let perplexity = round.loss.map(f64::exp).unwrap_or_default();
        eprintln!("federated, round {}: perplexity {perplexity:.3}, {seconds:.0} s", round.round);
    })?;
    Ok(trained.rounds.iter().filter_map(|round| Some(round.loss?.exp())).collect())
}

/// Perplexity after each pass of one owner over all texts.
fn pooled_alone(plan: &Variant, texts: &Texts) -> Result<Vec<f64>, Failure> {
    let plan = plan.plan()?;
    let load = |source| Dataset::load(source, &plan.data).map_err(failed);
    let own: Vec<Dataset> = texts.owners.iter().map(load).collect::<Result<_, _>>()?;
    let (all, measured) = (pooled::join(&own)?, load(&texts.measured)?);
    let (began, mut perplexities) = (Instant::now(), Vec::new());
    pooled::train(&plan, &all, &mut |round, trainer, parameters| {
        let metrics = trainer.evaluate(parameters, &measured).map_err(failed)?;
        let perplexity = metrics.loss.exp();
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("pooled, pass {round}: perplexity {perplexity:.3}, {seconds:.0} s");
        perplexities.push(perplexity);
        Ok(())
    })?;
    Ok(perplexities)
}

impl Texts {
    fn open(args: &Args) -> Result<Self, Failure> {
        let text = read_data(&args.data, HELP)?;
        let wanted = args.roles.unwrap_or_else(|| args.model.roles());
        let roles = longest_roles(&text, wanted);
        if roles.len() < wanted {
            let what = format!("{}: only {} roles", args.data.display(), roles.len());
            return Err(Failure::new(Exit::BadInput, "BAD_DATA", what).with_help(HELP));
        }
        let folder = tempfile::tempdir().map_err(failed)?;
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).map_err(failed)?;
            Ok::<_, Failure>(DataSource::Text { path })
        };
        let (mut owners, mut measured) = (Vec::new(), String::new());
        for (number, role) in roles.iter().enumerate() {
            let Pieces { training, validation, test } = role.pieces(VALIDATION_SHARE, TEST_SHARE);
            let own = if args.validate { training } else { &[training, validation].concat() };
            measured.push_str(if args.validate { validation } else { test });
            println!("{:<20} {:>6} characters to train on", role.name, own.len());
            owners.push(write(&format!("role-{number}.txt"), own)?);
        }
        println!("{:<20} {:>6} characters", "measured on", measured.len());
        Ok(Self { owners, measured: write("measured.txt", &measured)?, _folder: folder })
    }
}

/// Sets a field as the command line says it.
fn set(variant: Variant, field: &str) -> Result<Variant, Failure> {
    let bad = || {
        let what = format!("--set {field}");
        Failure::new(Exit::BadInput, "BAD_FIELD", what).with_help("write section.field=VALUE")
    };
    let (path, value) = field.split_once('=').ok_or_else(bad)?;
    let table: Table = format!("value = {value}").parse().map_err(|_| bad())?;
    Ok(variant.with(path, table.get("value").cloned().ok_or_else(bad)?))
}
