//! What owners count on held-out examples: the same figures as a measurement in the clear.

mod common;

use common::{DIGITS, MLP, noise, plan, rows, trainer, windows};
use covey_aggregation::config::{Quantiser, Weighting};
use covey_aggregation::evaluation::{Layout, Metric, Scores, Tally};
use covey_aggregation::plan::Plan;
use covey_model::data::Dataset;
use covey_model::evaluate::Metrics;

const TRAINING: &str = "rounds = 1\nbatch_size = 8\noptimizer = { name = \"sgd\", lr = 0.1 }";

/// Two owners' tallies added up, and the metrics of all their examples in the clear.
fn both(plan: &Plan, metrics: &[Metric], data: &Dataset, error_max: f64) -> (Scores, Metrics) {
    let trainer = trainer(plan);
    let task = trainer.task();
    let parameters: Vec<f32> = noise(task.parameters()).iter().map(|x| x * 0.3).collect();
    let layout = Layout::new(metrics, task.goal().outputs() as usize, error_max);
    let quantiser =
        Quantiser { bits: 12, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform };
    let mut sums = vec![0; layout.len()];
    let numbers: Vec<usize> = (0..data.len()).collect();
    let (first, second) = numbers.split_at(data.len() / 3);
    for owner in [first, second, &[]] {
        let mut tally = Tally::new(&layout, &quantiser);
        let part = data.subset(owner);
        trainer.tally(&parameters, &part, &mut tally).expect("it is counted");
        sums.iter_mut().zip(&*tally.counters()).for_each(|(sum, counter)| *sum += counter);
    }
    let scores = layout.read(&sums).expect("honest counters");
    (scores, trainer.evaluate(&parameters, data).expect("it is measured"))
}

fn near(found: Option<f64>, expected: Option<f64>, within: f64) -> bool {
    found.zip(expected).is_some_and(|(x, y)| (x - y).abs() <= within)
}

#[test]
fn counters_of_classes_tell_what_a_measurement_tells() {
    let plan = plan(DIGITS, &format!("layers = [{MLP}]"), TRAINING);
    let metrics = [Metric::Accuracy, Metric::Loss, Metric::MacroF1, Metric::Auroc];
    let (scores, plain) = both(&plan, &metrics, &rows(90, 64, 10), 1.0);
    assert_eq!(scores.examples, 90);
    assert_eq!(scores.get(Metric::Accuracy), plain.accuracy());
    assert!(near(scores.get(Metric::Loss), Some(plain.loss), 1e-3), "{scores} {plain:?}");
    assert!(near(scores.get(Metric::MacroF1), plain.macro_f1, 1e-12), "{scores} {plain:?}");
    // By bins of a quarter in the log odds.
    assert!(near(scores.get(Metric::Auroc), plain.auroc, 0.02), "{scores} {plain:?}");
}

#[test]
fn counters_of_tokens_tell_what_a_measurement_tells() {
    let data = "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"abcde\"\n\
                unknown = \"skip\"\ncontext = 6";
    let layers = "layers = [{ kind = \"embedding\", out = 4 }, { kind = \"gru\", hidden = 4 }, \
                  { kind = \"linear\", out = 5 }]";
    let (scores, plain) = both(
        &plan(data, layers, TRAINING),
        &[Metric::Accuracy, Metric::Perplexity],
        &windows(50, 6, 5),
        1.0,
    );
    assert_eq!((scores.examples, plain.count), (50 * 6, 50 * 6));
    assert_eq!(scores.get(Metric::Accuracy), plain.accuracy());
    assert!(near(scores.get(Metric::Perplexity), plain.perplexity, 0.01), "{scores} {plain:?}");
}

/// Errors are counted in the plan's scale, and measured in the units of the file.
#[test]
fn counters_of_errors_tell_what_a_measurement_tells() {
    let data = "kind = \"tabular\"\ncolumns = [{ name = \"a\", type = \"float\", min = 0, max = 1 }]\n\
                target = { column = \"y\", type = \"float\", mean = 100, std = 20 }";
    let layers = "layers = [{ kind = \"linear\", out = 1 }]";
    let set = Dataset::regression(noise(60), noise(120)[60..].to_vec(), 1).expect("a data set");
    let metrics = [Metric::Mae, Metric::Rmse];
    let (scores, plain) = both(&plan(data, layers, TRAINING), &metrics, &set, 10.0);
    let scaled = |metric| scores.get(metric).map(|error| 20.0 * error);
    assert!(near(scaled(Metric::Mae), plain.mae, 0.01), "{scores} {plain:?}");
    assert!(near(scaled(Metric::Rmse), plain.rmse, 0.2), "{scores} {plain:?}");
}
