//! What privacy costs in accuracy, and what attacks find with and without it.
//! `cargo run --release --bin privacy`.
//!
//! Three parts, of the digits that ship and, where they are at hand, of the UCI heart disease files:
//! accuracy beside epsilon, with noise for whole owners and for single examples; two membership
//! attacks; and a lower bound of epsilon, measured, beside the accountant's. The measured one can
//! never be above the accountant's but by a bug: then the bench fails.
//!
//! Nothing is encrypted here. The updates are clipped, rounded and given their noise by the code that
//! seals, and are added in the clear, which comes to the same sums.

mod accuracy;
mod attack;
mod auc;
mod binomial;
mod canary;
mod central;
mod crew;
mod data;
mod loss;
mod lower;
mod normal;
mod owners;
mod plan;
mod report;
mod scale;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use data::Source;
use report::Report;
use scale::Scale;

/// What privacy costs in accuracy, and what attacks find with and without it.
#[derive(Parser)]
struct Args {
    /// Fewer seeds and trials: about two minutes on two cores.
    #[arg(long)]
    quick: bool,
    /// One part alone.
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// The folder with the four `processed.*.data` files of UCI heart disease; by default
    /// `shared/data/heart-disease` beside the checkout.
    #[arg(long, env = "COVEY_HEART_DISEASE")]
    heart: Option<PathBuf>,
    /// Seeds of every accuracy, instead of 10 (3 with --quick).
    #[arg(long, value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: Option<u64>,
    /// One JSON object for each figure.
    #[arg(long)]
    json: bool,
}

/// A part of the bench.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Accuracy beside epsilon.
    Accuracy,
    /// Whether an owner was in a round.
    Attack,
    /// Whether an example was trained on.
    Loss,
    /// The measured lower bound of epsilon.
    Lower,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("privacy: an attack found more than the accountant allows: a bug");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("privacy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no attack found more than it may.
fn run(args: &Args) -> io::Result<bool> {
    let mut scale = if args.quick { Scale::QUICK } else { Scale::FULL };
    scale.seeds = args.seeds.unwrap_or(scale.seeds);
    let mut report = Report::new(args.json);
    let is_asked = |part| args.part.is_none_or(|only| only == part);
    let mut is_within = true;
    if is_asked(Part::Accuracy) {
        let began = Instant::now();
        accuracy::measure(&Source::Digits, &scale, &mut report)?;
        match Source::heart(args.heart.as_deref()) {
            Ok(heart) => accuracy::measure(&heart, &scale, &mut report)?,
            Err(folder) => report.note(&format!(
                "heart disease: NOT MEASURED, there is no {}; name the folder with --heart or \
                 COVEY_HEART_DISEASE",
                folder.display()
            )),
        }
        took("accuracy", began);
    }
    if is_asked(Part::Attack) {
        let began = Instant::now();
        attack::measure(&scale, &mut report)?;
        took("attack on a round", began);
    }
    if is_asked(Part::Loss) {
        let began = Instant::now();
        loss::measure(&scale, &mut report)?;
        took("attack on final models", began);
    }
    if is_asked(Part::Lower) {
        let began = Instant::now();
        is_within = lower::measure(&scale, &mut report)?;
        took("lower bound", began);
    }
    Ok(is_within)
}

fn took(what: &str, began: Instant) {
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
}
