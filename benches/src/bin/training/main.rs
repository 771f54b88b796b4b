//! How fast an owner trains, beside PyTorch on the same processor or card, with the same models,
//! batch sizes, optimiser (SGD) and threads. `cargo run --release --bin training`.
//!
//! Both train in turn, several times over, so that a busy machine slows both; figures are medians.
//! Every step is forward, backward, the optimiser's step and reading the loss, with batches drawn
//! from examples in memory; the first steps are not timed.
//!
//! `--json`: one object per figure. `--repeats N`: 5 if not given. `--threads N`: only so many
//! threads, in place of 1 and then 2. `--card N`: on the NVIDIA card of this number instead, in a
//! build with `--features cuda`. PyTorch is that of the Python which `COVEY_PYTHON` names, else
//! of `python3` (`pip install -r benches/pytorch/requirements.txt`); where there is none, that is
//! said and figures stand alone.

mod case;
mod ours;
mod worker;

use std::process::{Command, ExitCode};

use covey_benches::{Conditions, Figure, Report};
use serde::Serialize;

use case::{CASES, Case};
use worker::{Taken, Worker};

const SCRIPT: &str = include_str!("../../../pytorch/training.py");

/// Runs of each measurement.
const REPEATS: usize = 5;

/// Threads that are measured.
const THREADS: [usize; 2] = [1, 2];

/// Under which terms a figure was taken.
#[derive(Clone, Serialize)]
struct Terms {
    #[serde(skip)]
    text: String,
    model: &'static str,
    parameters: usize,
    batch: u32,
    threads: usize,
    device: String,
    optimizer: &'static str,
    pytorch: Option<String>,
}

impl Conditions for Terms {
    fn text(&self) -> &str {
        &self.text
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == ours::ARGUMENT) {
        return ours::run(arguments.get(1).map(String::as_str));
    }
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("training: {what}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let report = Report::from_arguments();
    let repeats = number(arguments, "--repeats")?.unwrap_or(REPEATS);
    let card = index(arguments, "--card")?;
    let threads = match (number(arguments, "--threads")?, card) {
        (Some(threads), _) => vec![threads],
        (None, Some(_)) => vec![1],
        (None, None) => THREADS.to_vec(),
    };
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    for threads in threads {
        let place = Place { threads, card };
        let mut command = Command::new(&program);
        command.args([ours::ARGUMENT, &place.device()]);
        command.env("RAYON_NUM_THREADS", threads.to_string());
        let mut ours = Worker::start(command)?;
        let mut pytorch = match Worker::start(python(place)) {
            Ok(worker) => Some(worker),
            Err(why) => {
                // Also in JSON: on standard error, beside the figures.
                eprintln!(
                    "PyTorch is not measured ({why}): set COVEY_PYTHON to a Python with \
                     benches/pytorch/requirements.txt"
                );
                None
            }
        };
        let version = pytorch.as_ref().map(|worker| worker.version.as_str());
        report.note(&format!(
            "{}, medians of {repeats}, ratio to PyTorch {}",
            place.text(),
            version.unwrap_or("(not measured)")
        ));
        for case in &CASES {
            let case = if card.is_some() { case.on_card() } else { *case };
            compare(&report, &case, (place, repeats), &mut ours, pytorch.as_mut())?;
        }
    }
    Ok(())
}

/// Where both train.
#[derive(Clone, Copy)]
struct Place {
    threads: usize,
    card: Option<usize>,
}

impl Place {
    /// As PyTorch and settings write it.
    fn device(self) -> String {
        self.card.map_or_else(|| "cpu".to_owned(), |card| format!("cuda:{card}"))
    }

    fn text(self) -> String {
        let threads = format!("{} thread(s)", self.threads);
        self.card.map_or(threads, |card| format!("cuda:{card}"))
    }
}

/// Trains in turn and prints both rates: by the wall clock, and by CPU time, which other jobs on
/// the machine disturb less.
fn compare(
    report: &Report,
    case: &Case,
    (place, repeats): (Place, usize),
    ours: &mut Worker,
    mut pytorch: Option<&mut Worker>,
) -> Result<(), String> {
    let (mut taken, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..repeats.max(1) {
        taken.push(ours.train(case)?);
        if let Some(pytorch) = pytorch.as_deref_mut() {
            plain.push(pytorch.train(case)?);
        }
    }
    let parameters = taken[0].parameters;
    if let Some(other) = plain.iter().find(|other| other.parameters != parameters) {
        let other = other.parameters;
        return Err(format!("{case:?}: {parameters} parameters, PyTorch's model has {other}"));
    }
    let terms = Terms {
        text: format!("{}, batch {}, {}", case.model.name(), case.batch, place.text()),
        model: case.model.name(),
        parameters,
        batch: case.batch,
        threads: place.threads,
        device: place.device(),
        optimizer: "sgd",
        pytorch: pytorch.map(|worker| worker.version.clone()),
    };
    let examples = f64::from(case.batch) * f64::from(case.steps);
    let clocks: [(_, _, Clock); 2] = [
        ("training.rate", "samples/s", |taken| taken.seconds),
        ("training.cpu_rate", "samples/CPU-s", |taken| taken.cpu_seconds),
    ];
    for (name, unit, clock) in clocks {
        let rate = |taken: &[Taken]| median(taken.iter().map(|one| examples / clock(one)));
        let mut figure = Figure::new(name, &terms, rate(&taken).unwrap_or(f64::NAN), unit);
        if let Some(rate) = rate(&plain) {
            figure = figure.beside("PyTorch", rate);
        }
        report.figure(&figure);
    }
    Ok(())
}

/// Seconds of what was taken.
type Clock = fn(&Taken) -> f64;

/// PyTorch at this place.
fn python(place: Place) -> Command {
    let python = std::env::var_os("COVEY_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    let threads = place.threads.to_string();
    command.args(["-c", SCRIPT, &threads, &place.device()]).env("OMP_NUM_THREADS", &threads);
    command
}

fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// The number after `name`, from 1.
fn number(arguments: &[String], name: &str) -> Result<Option<usize>, String> {
    match index(arguments, name) {
        Ok(value) if value != Some(0) => Ok(value),
        _ => Err(format!("{name} takes a number from 1")),
    }
}

/// The number after `name`, from 0.
fn index(arguments: &[String], name: &str) -> Result<Option<usize>, String> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    value.map(Some).ok_or_else(|| format!("{name} takes a number from 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_without_pytorch_or_none_at_all_is_told_in_words() {
        let missing = Worker::start(Command::new("no-such-python")).err().expect("it is missing");
        assert!(missing.contains("no-such-python"), "{missing}");
        let mut silent = Command::new("sh");
        silent.args(["-c", "echo 'ModuleNotFoundError: No module named torch' >&2; exit 1"]);
        let without = Worker::start(silent).err().expect("it ends");
        assert!(without.contains("No module named torch"), "{without}");
    }

    #[test]
    fn a_worker_answers_what_it_is_asked() {
        let mut echo = Command::new("sh");
        let answer = r#"{"seconds":2.0,"cpu_seconds":1.0,"parameters":3,"loss":0.5}"#;
        let script =
            format!("echo '{{\"version\":\"9\"}}'; while read -r line; do echo '{answer}'; done");
        echo.args(["-c", &script]);
        let mut worker = Worker::start(echo).expect("it says hello");
        assert_eq!(worker.version, "9");
        for case in &CASES[..2] {
            let taken = worker.train(case).expect("an answer");
            assert_eq!((taken.seconds, taken.parameters), (2.0, 3));
        }
    }

    #[test]
    fn the_median_is_in_the_middle_and_of_nothing_there_is_none() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
        let arguments = ["--repeats", "0"].map(str::to_owned);
        assert!(number(&arguments, "--repeats").is_err());
        assert_eq!(index(&arguments, "--repeats"), Ok(Some(0)));
        assert!(index(&["--card".to_owned()], "--card").is_err());
        assert_eq!(number(&arguments, "--threads"), Ok(None));
    }
}
