//! How well credits tell what owners' data are worth. `cargo run --release --bin credit_quality`.
//!
//! The truth is the exact Shapley value of training again with each of the 1,024 coalitions of ten
//! owners. Against it stand, from one run of all owners together: the
//! credits of the encrypted run, those from exact inner products, and what is usual where every
//! update lies open.
//!
//! Nothing is encrypted here, and the audited rounds of a federation open no such numbers yet. The audit's algebra opens
//! three linear functions of an owner's projections exactly, as integers (its own tests show that,
//! on sealed updates). This bench computes the same functions from the same rows, units and
//! rounding, so the figures of `encrypted` are those that an encrypted run would have.

mod attack;
mod baseline;
mod credit;
mod digits;
mod direction;
mod evidence;
mod federation;
mod figures;
mod measure;
mod metric;
mod mlp;
mod owner;
mod plan;
mod report;
mod scenario;
mod shapley;
mod truth;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use digits::Digits;
use figures::Summary;
use measure::Measured;
use report::Report;
use scenario::{SCENARIOS, Scenario};

/// How well credits tell what owners' data are worth: digits, ten owners, 16 rounds. The truth
/// takes 1,024 trainings for each scenario and seed, on all cores; it is kept under target.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    first_seed: u64,
    /// One scenario alone: mixed, label, dirichlet-label, mixed-dirichlet, rare, counts, or attacks
    /// for the attack set.
    #[arg(long)]
    scenario: Option<Chosen>,
    /// One JSON object for each scenario and method.
    #[arg(long)]
    json: bool,
}

/// What is measured alone.
#[derive(Clone, Copy)]
enum Chosen {
    Scenario(Scenario),
    Attacks,
}

impl std::str::FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "attacks" => Ok(Self::Attacks),
            _ => text.parse().map(Self::Scenario),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(report) if args.json => report.print_json(),
        Ok(report) => report.print(),
        Err(error) => {
            eprintln!("credit_quality: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(args: &Args) -> io::Result<Report> {
    let (scenarios, has_attacks): (Vec<Scenario>, bool) = match args.scenario {
        None => (SCENARIOS.to_vec(), true),
        Some(Chosen::Scenario(one)) => (vec![one], false),
        Some(Chosen::Attacks) => (Vec::new(), true),
    };
    let mut report = Report::default();
    if has_attacks {
        report.attacks = report::attack_summaries();
    }
    for seed in args.first_seed..args.first_seed + args.seeds {
        let began = Instant::now();
        let digits = Digits::open(seed).map_err(io::Error::other)?;
        for &scenario in &scenarios {
            for Measured { method, figures } in measure::measure(scenario, &digits, seed)? {
                let scenario = scenario.word();
                let of = |one: &&mut Summary| one.scenario == scenario && one.method == method;
                match report.scenarios.iter_mut().find(of) {
                    Some(summary) => summary.seeds.push(figures),
                    None => report.scenarios.push(Summary {
                        scenario: scenario.to_owned(),
                        method,
                        seeds: vec![figures],
                    }),
                }
            }
        }
        if has_attacks {
            let measured = attack::measure(&digits, seed);
            let figures = measured.into_iter().flat_map(|(_, figures)| figures);
            for (summary, figures) in report.attacks.iter_mut().zip(figures) {
                summary.seeds.push(figures);
            }
        }
        eprintln!("seed {seed}: {:.1} s", began.elapsed().as_secs_f64());
    }
    Ok(report)
}
