//! Directions against differences of the loss, for models of every layer kind.

use covey_aggregation::plan::Plan;
use covey_aggregation::strategy::Strategy;

use super::*;
use crate::device::{Compute, DeviceChoice, DeviceRules, Fallback};
use crate::model::tests::{IMAGE, PLANS, TEXT, plan_text};
use crate::task::Task;

const LINEAR: &str = "{ kind = \"flatten\" }, { kind = \"linear\", out = 3 }";

const SMALL: &str = "{ kind = \"flatten\" }, { kind = \"linear\", out = 8 }, \
                     { kind = \"tanh\" }, { kind = \"linear\", out = 3 }";

const SEED: FitSeed = FitSeed([3; 32]);

fn parsed(text: &str) -> Task {
    let plan = Plan::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    Task::from_plan(&plan).expect("a model")
}

fn trainer(task: &Task) -> Trainer {
    Trainer::new(task, DeviceChoice::Cpu).expect("the processor")
}

/// A trainer of these layers on images, and the parameters that it begins with.
fn begun(layers: &str) -> (Trainer, Vec<f32>) {
    let task = parsed(&plan_text(IMAGE, layers));
    (trainer(&task), task.initial_parameters())
}

/// Images of three classes, of which the second has the most and the third the fewest: a model that
/// sees little in them still has something to learn.
fn images(count: usize) -> Dataset {
    let number = |i: usize| ((i * 37 + i * i * 11) % 101) as f32 / 50.0 - 1.0;
    let labels = (0..count as u32).map(|one| [0, 1, 1, 2, 1][one as usize % 5]).collect();
    let numbers = (0..count * 96).map(number).collect();
    Dataset::new(numbers, labels, 96, 3).expect("a data set")
}

fn windows() -> Dataset {
    let tokens: Vec<i32> = (0..240).map(|i| i * i % 7 % 5).collect();
    let starts = (0..24).map(|one| 9 * one).collect();
    Dataset::text(tokens.into(), starts, 7, 5).expect("a text")
}

fn sum(left: &[f32], right: &[f32]) -> Vec<f32> {
    left.iter().zip(right).map(|(x, y)| x + y).collect()
}

fn inner(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The distance of two vectors, as a share of the second's length.
fn apart(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    let off: Vec<f32> = left.iter().zip(right).map(|(x, y)| x - y).collect();
    (inner(&off, &off) / inner(right, right)).sqrt()
}

fn loss(trainer: &Trainer, parameters: &[f32], data: &Dataset) -> f64 {
    trainer.evaluate(parameters, data).expect("measured").loss
}

/// Along the way to where `fold` trains the model, cut into `pieces`, the paths add up to what the
/// loss falls.
fn assert_adds_up(trainer: &Trainer, before: &[f32], fold: &Dataset, pieces: u16, what: &str) {
    let step = trainer.descend(before, fold, 5, SEED, 1).expect("it trains");
    let at = |piece: u16| -> Vec<f32> {
        let share = f32::from(piece) / f32::from(pieces);
        before.iter().zip(&step).map(|(x, change)| x + share * change).collect()
    };
    let fell = loss(trainer, before, fold) - loss(trainer, &at(pieces), fold);
    let piece: Vec<f32> = step.iter().map(|change| change / f32::from(pieces)).collect();
    let along = (0..pieces).map(|one| {
        let path = trainer.path(&at(one), &at(one + 1), fold).expect("a path");
        inner(&path, &piece)
    });
    let along: f64 = along.sum();
    assert!(fell.abs() > 1e-3, "{what}: nothing happens, {fell}");
    assert!((along - fell).abs() < 0.005 * fell.abs(), "{what}: {along} for {fell}");
}

#[test]
fn a_fold_trains_the_model_to_a_lower_loss_and_always_the_same_way() {
    let (trainer, parameters) = begun(SMALL);
    let fold = images(30);
    let step = trainer.descend(&parameters, &fold, 20, SEED, 1).expect("it trains");
    let again = trainer.descend(&parameters, &fold, 20, SEED, 1).expect("it trains");
    assert_eq!(step, again);
    let (before, after) = (&parameters[..], &sum(&parameters, &step)[..]);
    assert!(loss(&trainer, after, &fold) < 0.9 * loss(&trainer, before, &fold));
}

#[test]
fn one_step_of_plain_descent_is_minus_the_gradient_times_the_step_size() {
    let (trainer, parameters) = begun(LINEAR);
    let fold = images(30);
    let gradient = trainer.gradient(&parameters, &fold).expect("a gradient");
    let expected: Vec<f32> = gradient.iter().map(|slope| -0.1 * slope).collect();
    let step = trainer.descend(&parameters, &fold, 1, SEED, 1).expect("it trains");
    assert!(apart(&step, &expected) < 1e-5, "{}", apart(&step, &expected));
}

/// The plan's batches, passes and early stop are an owner's; its schedule is the round's.
#[test]
fn steps_are_those_asked_for_at_the_rounds_step_size() {
    let (plain, parameters) = begun(SMALL);
    let fold = images(30);
    let text = plan_text(IMAGE, SMALL).replace("rounds = 1\n", "rounds = 9\n").replace(
        "weighting = ",
        "local_epochs = 7\nearly_stop = { patience = 1, watch = \"training\" }\n\
         schedule = { kind = \"step\", every = 2, factor = 0.5 }\nweighting = ",
    );
    let scheduled = trainer(&parsed(&text));
    let steps = |trainer: &Trainer, steps, round| {
        trainer.descend(&parameters, &fold, steps, SEED, round).expect("it trains")
    };
    assert_eq!(steps(&scheduled, 4, 1), steps(&plain, 4, 1));
    let half: Vec<f32> = steps(&plain, 1, 1).iter().map(|change| 0.5 * change).collect();
    assert!(apart(&steps(&scheduled, 1, 3), &half) < 1e-5);
    assert!(steps(&plain, 0, 1).iter().all(|change| *change == 0.0));
}

#[test]
fn fedprox_pulls_a_fold_back_as_it_does_an_owner() {
    let mut plan = Plan::parse(&plan_text(IMAGE, SMALL)).expect("a plan");
    plan.strategy = Strategy::FedProx { mu: 5.0 };
    let held = trainer(&Task::from_plan(&plan).expect("a model"));
    let (free, parameters) = begun(SMALL);
    let length = |trainer: &Trainer| {
        let step = trainer.descend(&parameters, &images(30), 20, SEED, 1).expect("it trains");
        inner(&step, &step)
    };
    assert!(length(&held) < 0.5 * length(&free));
}

#[test]
fn the_path_adds_up_to_what_the_loss_falls() {
    let (trainer, parameters) = begun(SMALL);
    assert_adds_up(&trainer, &parameters, &images(30), 1, SMALL);
}

/// Batchnorms with averages (which move, too) and without are among them. The steps are large, so
/// that deep layers move as well: five points are too few for the whole way, and the pieces show
/// that it is the gradient which is right.
#[test]
fn the_path_adds_up_in_pieces_for_every_layer_kind() {
    for (data, layers) in PLANS {
        let task = parsed(&plan_text(data, layers).replace("lr = 0.1", "lr = 0.5"));
        let fold = if data == TEXT { windows() } else { images(30) };
        assert_adds_up(&trainer(&task), &task.initial_parameters(), &fold, 8, layers);
    }
}

#[test]
fn the_path_adds_up_for_every_loss_of_a_number() {
    let section = "kind = \"tabular\"\n\
                   columns = [{ name = \"a\", type = \"float\", min = 0, max = 1 }]\n\
                   target = { column = \"y\", type = \"float\" }";
    let layers = "{ kind = \"linear\", out = 4 }, { kind = \"tanh\" }, \
                  { kind = \"linear\", out = 1 }";
    let numbers: Vec<f32> = (0..30).map(|i| i as f32 / 29.0).collect();
    let values: Vec<f32> = numbers.iter().map(|x| (5.0 * x).sin() + 0.5).collect();
    let fold = Dataset::regression(numbers, values, 1).expect("a data set");
    for kind in ["", "loss = { name = \"huber\", delta = 0.2 }\n"] {
        let text = plan_text(section, layers);
        let task = parsed(&text.replace("weighting = ", &format!("{kind}weighting = ")));
        assert_adds_up(&trainer(&task), &task.initial_parameters(), &fold, 1, kind);
    }
}

#[test]
fn only_adapters_have_slopes_where_the_rest_is_fixed() {
    let plain = parsed(&plan_text(IMAGE, SMALL));
    let base = plain.initial_parameters();
    let digest = plain.parameters_digest(&base);
    let start = format!(
        "start = {{ digest = \"{digest}\" }}\n\
         lora = {{ rank = 2, alpha = 4, targets = [\"linear\"] }}\n[training]"
    );
    let task = parsed(&plan_text(IMAGE, SMALL).replace("[training]", &start));
    let adapters = task.initial_parameters();
    assert_eq!(trainer(&task).gradient(&adapters, &images(9)), Err(FitError::NoBase));
    let trainer = trainer(&task.started(base).expect("the base that is pinned"));
    let gradient = trainer.gradient(&adapters, &images(30)).expect("a gradient");
    assert_eq!(gradient.len(), 2 * (96 + 8) + 2 * (8 + 3));
    assert_adds_up(&trainer, &adapters, &images(30), 1, "adapters");
}

#[test]
fn the_gradient_of_many_examples_is_the_mean_of_their_parts() {
    let (trainer, parameters) = begun(SMALL);
    let all = images(300);
    let gradient = |examples: std::ops::Range<usize>| {
        let part = all.subset(&examples.collect::<Vec<_>>());
        trainer.gradient(&parameters, &part).expect("a gradient")
    };
    let (first, last) = (gradient(0..100), gradient(100..300));
    let mean: Vec<f32> = first.iter().zip(&last).map(|(x, y)| (x + 2.0 * y) / 3.0).collect();
    assert!(apart(&gradient(0..300), &mean) < 1e-5);
}

#[test]
fn vectors_and_folds_of_another_model_are_errors() {
    let (trainer, parameters) = begun(LINEAR);
    let (fold, short) = (images(9), &parameters[1..]);
    let wrong = Err(FitError::Parameters { expected: parameters.len(), got: short.len() });
    assert_eq!(trainer.descend(short, &fold, 1, SEED, 1), wrong);
    assert_eq!(trainer.gradient(short, &fold), wrong);
    assert_eq!(trainer.path(short, &parameters, &fold), wrong);
    assert_eq!(trainer.path(&parameters, short, &fold), wrong);
    let none = fold.subset(&[]);
    assert_eq!(trainer.descend(&parameters, &none, 1, SEED, 1), Err(FitError::NoExamples));
    assert_eq!(trainer.gradient(&parameters, &none), Err(FitError::NoExamples));
    let form = trainer.path(&parameters, &parameters, &windows());
    assert!(matches!(form, Err(FitError::Form { .. })), "{form:?}");
}

#[test]
fn a_loss_beyond_numbers_is_an_error() {
    let (trainer, parameters) = begun(LINEAR);
    let huge = vec![3e38; parameters.len()];
    assert_eq!(trainer.gradient(&huge, &images(9)), Err(FitError::BadOutputs));
}

#[test]
fn the_processor_takes_over_a_gradient_from_a_card_where_the_owner_lets_it() {
    let (plain, parameters) = begun(LINEAR);
    let expected = plain.gradient(&parameters, &images(9));
    let card = DeviceRules::from(DeviceChoice::Cuda(0));
    let on = |rules: DeviceRules| {
        let greedy = Compute::pretended(Some(1 << 30), |_| Some(2 << 30));
        let trainer = Trainer::on(greedy, plain.task(), &rules).expect("there is room");
        trainer.gradient(&parameters, &images(9))
    };
    assert_eq!(on(card), Err(FitError::DeviceMemory { reserved: 2 << 30, max: 1 << 30 }));
    assert_eq!(on(DeviceRules { fallback: Fallback::Cpu, ..card }), expected);
}
