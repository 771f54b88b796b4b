//! Plans and data that several tests use.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::path::{Path, PathBuf};

use covey_aggregation::plan::Plan;
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::device::DeviceChoice;
use covey_model::record::{RecordPrivacy, RecordSeed};
use covey_model::split::train_test;
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitError, FitReport, FitSeed, Trainer};

pub(crate) const MLP: &str = r#"
  { kind = "flatten" },
  { kind = "linear", out = 64 },
  { kind = "relu" },
  { kind = "linear", out = 10 },"#;

pub(crate) const CNN: &str = r#"
  { kind = "conv2d", out = 8, kernel = 3, pad = 1 },
  { kind = "relu" },
  { kind = "maxpool2d", kernel = 2 },
  { kind = "conv2d", out = 16, kernel = 3, pad = 1 },
  { kind = "relu" },
  { kind = "flatten" },
  { kind = "linear", out = 10 },"#;

pub(crate) const EVERYTHING: &str = r#"
  { kind = "conv2d", out = 8, kernel = 3, pad = 1 },
  { kind = "groupnorm", groups = 4 },
  { kind = "relu" },
  { kind = "residual", layers = [
    { kind = "conv2d", out = 8, kernel = 3, pad = 1 },
    { kind = "groupnorm", groups = 2 },
    { kind = "gelu" },
    { kind = "residual", layers = [{ kind = "tanh" }] },
  ] },
  { kind = "maxpool2d", kernel = 2 },
  { kind = "dropout", p = 0.2 },
  { kind = "flatten" },
  { kind = "layernorm" },
  { kind = "linear", out = 32 },
  { kind = "gelu" },
  { kind = "dropout", p = 0.1 },
  { kind = "linear", out = 10 },"#;

pub(crate) const ADAM: &str = r#"{ name = "adam", lr = 0.003 }"#;
pub(crate) const SGD: &str = r#"{ name = "sgd", lr = 0.05, momentum = 0.9 }"#;

/// The digits' section.
pub(crate) const DIGITS: &str =
    "kind = \"image\"\nheight = 8\nwidth = 8\npixel_max = 16\nclasses = 10";

/// A plan of these sections, without what every plan has.
pub(crate) fn plan(data: &str, model: &str, training: &str) -> Plan {
    let text = format!(
        r#"schema = "plan/1"
name = "test"
purpose = "Test the trainer"
seed = 7
[data]
{data}
[model]
{model}
[training]
weighting = "uniform"
{training}
[cohort]
minimum = 3
maximum = 10
[secure_aggregation]
profile = "A"
bits = 8
range = 1
clip_norm = 10
audit = "off"
"#
    );
    Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A plan for the digits with these layers, optimiser and local epochs.
pub(crate) fn digits_plan(layers: &str, optimizer: &str, epochs: u32) -> Plan {
    let training =
        format!("rounds = 1\nlocal_epochs = {epochs}\nbatch_size = 32\noptimizer = {optimizer}");
    plan(DIGITS, &format!("layers = [{layers}\n]"), &training)
}

/// Numbers in `-1 <= x < 1` that look random.
pub(crate) fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Rows of noise in classes.
pub(crate) fn rows(count: usize, features: usize, classes: u32) -> Dataset {
    let labels = (0..count as u32).map(|row| row * 7 % classes).collect();
    Dataset::new(noise(count * features), labels, features, classes as usize).expect("a data set")
}

/// Windows of a text with a pattern, one token apart.
pub(crate) fn windows(count: usize, length: usize, vocabulary: usize) -> Dataset {
    let tokens = noise(count + length).into_iter().enumerate();
    let tokens: Vec<i32> =
        tokens.map(|(i, x)| ((i * 3 + usize::from(x > 0.8)) % vocabulary) as i32).collect();
    let starts = (0..count).collect();
    Dataset::text(tokens.into(), starts, length, vocabulary).expect("a text")
}

pub(crate) fn digits_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/digits.csv.gz")
}

/// All 1,797 digits.
pub(crate) fn digits(plan: &Plan) -> Dataset {
    let source = DataSource::Csv { path: digits_path(), header: Header::Absent };
    Dataset::load(&source, &plan.data).unwrap_or_else(|error| panic!("{error}"))
}

/// Four fifths to train on, one fifth to test on.
pub(crate) fn digits_parts(plan: &Plan) -> (Dataset, Dataset) {
    let all = digits(plan);
    let (train, test) = train_test(all.labels(), 0.2, 1);
    (all.subset(&train), all.subset(&test))
}

pub(crate) fn trainer(plan: &Plan) -> Trainer {
    let task = Task::from_plan(plan).unwrap_or_else(|error| panic!("{error}"));
    Trainer::new(&task, DeviceChoice::Cpu).expect("the processor is always there")
}

pub(crate) fn fit(
    trainer: &Trainer,
    parameters: &[f32],
    data: &Dataset,
    seed: u8,
) -> Result<FitReport, FitError> {
    let cancel = Cancel::new();
    let mut progress = |_| ();
    let context = FitContext::new(FitSeed([seed; 32]), &cancel, &mut progress);
    trainer.fit(parameters, data, context)
}

pub(crate) fn applied(parameters: &[f32], update: &[f32]) -> Vec<f32> {
    parameters.iter().zip(update).map(|(parameter, change)| parameter + change).collect()
}

/// The L2 norm.
pub(crate) fn norm(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

pub(crate) fn privacy(noise_multiplier: f64, clip_norm: f64) -> RecordPrivacy {
    RecordPrivacy::new(noise_multiplier, clip_norm).expect("within bounds")
}

/// Beginning with the parameters that a run begins with.
pub(crate) fn fit_records(
    trainer: &Trainer,
    data: &Dataset,
    privacy: &RecordPrivacy,
    seed: u8,
) -> Result<FitReport, FitError> {
    let (cancel, mut progress) = (Cancel::new(), |_| ());
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let seed = RecordSeed::new([seed; 32]);
    trainer.fit_records(&trainer.task().initial_parameters(), data, privacy, seed, context)
}

/// The first examples.
pub(crate) fn first(data: &Dataset, count: usize) -> Dataset {
    data.subset(&(0..count).collect::<Vec<_>>())
}
