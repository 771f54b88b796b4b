//! What works on this machine's NVIDIA card: trains three models on the processor and on the card,
//! compares the losses of every step, says how fast each is, and runs the demo with an owner on the
//! card, through encryption to a sum that is checked from outside.
//!
//! ```text
//! cargo build --release -p covey-examples --features cuda --bins
//! target/release/gpu_check
//! ```
//!
//! Exit codes: 0 everything was checked and is right; 1 something is wrong; 77 nothing was found
//! wrong, but there is no card to check, and what is missing is said. 77 is no pass.

mod federation;
mod model;
mod parity;

use std::process::ExitCode;

use clap::Parser;
use covey_model::device::{Compute, DeviceChoice, DeviceRules, Precision};
use serde_json::{Value, json};

use crate::model::{Model, Trained};

/// What test programs end with that could not test.
const NOT_CHECKED: u8 = 77;

/// Compares an NVIDIA card with the processor, then runs the demo with an owner on the card.
#[derive(Parser)]
#[command(
    name = "gpu_check",
    version,
    after_help = "Exit codes: 0 checked and right, 1 wrong, \
    2 bad input, 77 not checked: no card, or a part of its software is missing."
)]
struct Args {
    /// Number of the card to compare, from 0; the demo takes cuda:0
    #[arg(long, default_value_t = 0, value_name = "N")]
    card: usize,

    /// Train in bf16 on the card, and allow for its rounding
    #[arg(long)]
    bf16: bool,

    /// Leave out the demo
    #[arg(long)]
    no_demo: bool,

    /// One JSON object per line; the last has "terminal":true
    #[arg(long)]
    json: bool,
}

/// How the check ended.
enum Ending {
    Right,
    NotChecked(String),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (status, why, code) = match check(&args) {
        Ok(Ending::Right) => ("done", None, ExitCode::SUCCESS),
        Ok(Ending::NotChecked(why)) => ("not-checked", Some(why), ExitCode::from(NOT_CHECKED)),
        Err(why) => ("error", Some(why), ExitCode::FAILURE),
    };
    if args.json {
        let card = format!("cuda:{}", args.card);
        let line = json!({
            "schema_version": 1, "status": status, "why": why, "device": card, "terminal": true,
        });
        println!("{line}");
    }
    match why {
        Some(why) => eprintln!("gpu_check: {status}: {why}"),
        None if !args.json => println!("everything was checked and is right"),
        None => {}
    }
    code
}

fn check(args: &Args) -> Result<Ending, String> {
    // Without a fallback: what is measured is the card, or there is an error.
    let mut rules = DeviceRules::from(DeviceChoice::Cuda(args.card));
    let mut tolerance = parity::F32;
    if args.bf16 {
        (rules.precision, tolerance) = (Precision::Bf16, parity::BF16);
    }
    // Before anything takes time: what is missing is known at once.
    let (device, missing) = match Compute::resolve(rules) {
        Ok(compute) if compute.precision() == rules.precision => (compute.to_string(), None),
        Ok(compute) => (String::new(), Some(compute.note().unwrap_or("no bf16").to_owned())),
        Err(error) => (String::new(), Some(error.to_string())),
    };
    if let Some(missing) = &missing {
        eprintln!("gpu_check: only the processor is measured: {missing}");
    }
    let mut disparities = Vec::new();
    for model in Model::all()? {
        let cpu = model.train(DeviceChoice::Cpu)?;
        show(args, &model, "cpu", &cpu);
        if missing.is_some() {
            continue;
        }
        let card = model.train(rules)?;
        show(args, &model, &device, &card);
        let parity = parity::compare(&cpu.losses, &card.losses, tolerance);
        let speed = card.samples_per_second / cpu.samples_per_second;
        let shown = parity.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        emit(args, &format!("{:<12} {shown}; {speed:.1} times the processor", model.name), || {
            json!({
                "event": "parity", "model": model.name, "parity": parity.as_ref().ok(),
                "problem": parity.as_ref().err().map(ToString::to_string), "speed_ratio": speed,
            })
        });
        if let Err(problem) = parity {
            disparities.push(format!("{}: {problem}", model.name));
        }
    }
    if !disparities.is_empty() {
        return Err(disparities.join("; "));
    }
    if let Some(missing) = missing {
        return Ok(Ending::NotChecked(missing));
    }
    if args.no_demo {
        return Ok(Ending::NotChecked("the demo was left out".to_owned()));
    }
    let said = federation::run(&federation::demo()?)?;
    emit(args, &format!("{:<12} {}", "demo", said.text()), || said.to_json());
    Ok(Ending::Right)
}

/// Tells what one device did with a model.
fn show(args: &Args, model: &Model, device: &str, trained: &Trained) {
    let Trained { losses, samples_per_second } = trained;
    let [first, last] = [losses.first(), losses.last()].map(|loss| loss.copied());
    let (parameters, steps) = (model.parameters(), losses.len());
    let text = format!(
        "{:<12} {device:<14} {samples_per_second:>10.0} samples/s, loss {:.4} to {:.4} in {steps} \
         steps, {parameters} parameters",
        model.name,
        first.unwrap_or(f32::NAN),
        last.unwrap_or(f32::NAN),
    );
    emit(args, &text, || {
        json!({
            "event": "trained", "model": model.name, "device": device, "parameters": parameters,
            "steps": steps, "samples_per_second": samples_per_second, "loss_first": first,
            "loss_last": last,
        })
    });
}

fn emit(args: &Args, text: &str, line: impl FnOnce() -> Value) {
    if args.json {
        println!("{}", line());
    } else {
        println!("{text}");
    }
}
