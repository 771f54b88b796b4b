//! The plans of the examples: each is well-formed, and training lowers the loss of its model.
//! Real data are used where `COVEY_HEART_DISEASE` names the folder of the UCI files and
//! `COVEY_TINYSHAKESPEARE` the text; without them, data of the same form that this test makes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use covey_aggregation::plan::Plan;
use covey_model::data::{DataSource, Dataset, Header, Parts, ReadLimits};
use covey_model::device::DeviceChoice;
use covey_model::evaluate::Metrics;
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Trainer};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plans")
}

fn plan(name: &str) -> Plan {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).expect("the plan is there");
    Plan::parse(&text).unwrap_or_else(|errors| panic!("{}: {errors}", path.display()))
}

/// One round at one owner: the loss on what it keeps before and after.
fn learned(plan: &Plan, source: &DataSource) -> [Metrics; 2] {
    let parts = Parts::load(source, &plan.data, plan.seed, ReadLimits::default());
    let parts = parts.unwrap_or_else(|error| panic!("{error}"));
    let holdout = parts.holdout.unwrap_or_else(|| parts.training.clone());
    let holdout = holdout.subset(&(0..holdout.len().min(200)).collect::<Vec<_>>());
    measured(plan, &parts.training, &holdout)
}

fn measured(plan: &Plan, training: &Dataset, holdout: &Dataset) -> [Metrics; 2] {
    let task = Task::from_plan(plan).unwrap_or_else(|error| panic!("{error}"));
    let trainer = Trainer::new(&task, DeviceChoice::Cpu).expect("the processor is always there");
    let parameters = task.initial_parameters();
    let (cancel, mut progress) = (Cancel::new(), |_| ());
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let update = trainer.fit(&parameters, training, context).expect("it trains").update;
    let after: Vec<f32> = parameters.iter().zip(update).map(|(x, change)| x + change).collect();
    [&parameters, &after].map(|numbers| trainer.evaluate(numbers, holdout).expect("measured"))
}

fn given(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("{variable} is not set: with made data");
    }
    path
}

#[test]
fn every_plan_is_well_formed() {
    let mut found = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder is there") {
        let name = entry.expect("an entry").file_name();
        plan(name.to_str().expect("a plain name"));
        found += 1;
    }
    assert!(found >= 5, "{found} plans");
}

fn learns_digits(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv.gz");
    let source = DataSource::Csv { path, header: Header::Absent };
    let [before, after] = learned(&plan(name), &source);
    assert!(after.loss < 0.5 * before.loss, "{before:?} {after:?}");
}

#[test]
fn the_cnn_learns_digits() {
    learns_digits("digits-cnn.toml");
}

#[test]
fn the_mlp_learns_digits() {
    learns_digits("digits-mlp.toml");
}

/// Records by a rule: pain in the chest, age and a low pulse make a heart ill.
fn made_records(rows: usize) -> String {
    let mut text =
        "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal,target\n"
            .to_owned();
    for row in 0..rows {
        let (age, cp, pulse) = (30 + row * 7 % 50, 1 + row * 5 % 4, 90 + row * 11 % 90);
        let ill = usize::from(cp == 4) + usize::from(age > 55) + usize::from(pulse < 125);
        let chol = if row % 6 == 0 { "?".to_owned() } else { (180 + row % 120).to_string() };
        let target = if ill >= 2 { 1 + row % 4 } else { 0 };
        let sex = row % 2;
        writeln!(text, "{age},{sex},{cp},130,{chol},0,0,{pulse},?,1.5,2,0,3,{target}")
            .expect("a string");
    }
    text
}

#[test]
fn the_mlp_learns_from_records_of_hearts() {
    let made = tempfile::tempdir().expect("a folder");
    let path = match given("COVEY_HEART_DISEASE") {
        Some(folder) => folder.join("processed.cleveland.data"),
        None => {
            let path = made.path().join("records.csv");
            std::fs::write(&path, made_records(300)).expect("it is written");
            path
        }
    };
    let mut plan = plan("heart-mlp.toml");
    plan.training.local_epochs = 10;
    let [before, after] = learned(&plan, &DataSource::Csv { path, header: Header::Detect });
    assert!(after.loss < 0.9 * before.loss, "{before:?} {after:?}");
    assert!(after.accuracy() > Some(0.7) && after.auroc > Some(0.75), "{after:?}");
    assert!(after.macro_f1 > Some(0.65), "{after:?}");
}

/// Lines of a play by a rule: who does what to whom, and where.
fn made_text(lines: usize) -> String {
    let who = ["The king", "My lady", "A fool", "Her brother", "Good Henry", "This gentle boy"];
    let does = ["loves", "sees", "will not hear", "hath sworn to kill", "knows", "gave bread to"];
    let whom = ["the queen", "my father", "no man", "thy cousin", "that villain"];
    let place = [
        "in the wood",
        "at dawn",
        "before the gate",
        "with tears",
        "upon my word",
        "ere night",
        "to-morrow",
    ];
    let mut state = 1u32;
    let mut pick = |words: &[&'static str]| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        words[(state >> 16) as usize % words.len()]
    };
    let mut text = String::new();
    for _ in 0..lines {
        let [who, does, whom, place] = [&who[..], &does, &whom, &place].map(&mut pick);
        writeln!(text, "{who} {does} {whom} {place}.").expect("a string");
    }
    text
}

/// Perplexity falls below `most` on the made text, of which the frequencies of letters alone leave
/// 19.9. The plays are harder.
fn learns_to_write(name: &str, most: f64) {
    let made = tempfile::tempdir().expect("a folder");
    let (path, most) = match given("COVEY_TINYSHAKESPEARE") {
        Some(path) => (path, 30.0),
        None => {
            let path = made.path().join("play.txt");
            std::fs::write(&path, made_text(350)).expect("it is written");
            (path, most)
        }
    };
    let [before, after] = learned(&plan(name), &DataSource::Text { path });
    let perplexity = |metrics: &Metrics| metrics.perplexity.expect("tokens have one");
    assert!(perplexity(&before) > 55.0 && perplexity(&after) < most, "{before:?} {after:?}");
    assert!(after.accuracy() > before.accuracy(), "{before:?} {after:?}");
}

#[test]
fn the_transformer_learns_to_write() {
    learns_to_write("shakespeare-transformer.toml", 8.0);
}

#[test]
fn the_lstm_learns_to_write() {
    learns_to_write("shakespeare-lstm.toml", 19.0);
}

#[test]
fn a_model_of_ones_own_learns_digits() {
    let output = Command::new(env!("CARGO_BIN_EXE_own_model")).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let accuracy = last.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok());
    assert!(accuracy > Some(0.93), "{last}");
}
