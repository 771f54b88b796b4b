//! What a plan says about local training: steps, schedules, clipping, early stops, averages,
//! adapters, and where a run starts.

mod common;

use common::{
    CNN, DIGITS, MLP, applied, digits_parts, digits_plan, fit, noise, norm, plan, rows, trainer,
};
use covey_aggregation::plan::Plan;
use covey_model::data::Dataset;
use covey_model::task::{StartError, Task};
use covey_model::train::{Cancel, FitContext, FitError, FitReport, FitSeed, Trainer};
use covey_model::weights::{self, WeightsError};

const SGD: &str = "{ name = \"sgd\", lr = 0.1 }";

fn mlp(training: &str) -> Plan {
    plan(DIGITS, &format!("layers = [{MLP}]"), training)
}

fn fit_in(trainer: &Trainer, data: &Dataset, round: u32, holdout: Option<&Dataset>) -> FitReport {
    let (cancel, mut progress) = (Cancel::new(), |_| ());
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let context = context.in_round(round).watching(holdout);
    let parameters = trainer.task().initial_parameters();
    trainer.fit(&parameters, data, context).expect("it trains")
}

#[test]
fn a_plan_may_count_steps_instead_of_passes() {
    let plan = mlp(&format!("rounds = 1\nlocal_steps = 10\nbatch_size = 32\noptimizer = {SGD}"));
    let trainer = trainer(&plan);
    // Four steps a pass; and fewer examples than a batch.
    for examples in [100, 5] {
        assert_eq!(fit_in(&trainer, &rows(examples, 64, 10), 1, None).steps, 10);
    }
}

#[test]
fn the_step_size_follows_the_schedule_over_rounds() {
    let plan = mlp(&format!(
        "rounds = 4\nlocal_steps = 2\nbatch_size = 32\noptimizer = {SGD}\n\
         schedule = {{ kind = \"linear\", warmup = 1 }}"
    ));
    let trainer = trainer(&plan);
    let data = rows(64, 64, 10);
    // Factors .5 and 1 while warming up, then from 1 to 0 over six steps.
    for (round, factors) in [(1, 1.5), (2, 1.0 + 5.0 / 6.0), (4, 2.0 / 6.0 + 1.0 / 6.0)] {
        let report = fit_in(&trainer, &data, round, None);
        assert!((report.lr_sum - 0.1 * factors).abs() < 1e-12, "{round}: {}", report.lr_sum);
    }
}

#[test]
fn the_whole_gradient_is_clipped_and_its_direction_kept() {
    let one = |clip: &str| {
        let plan = mlp(&format!(
            "rounds = 1\nlocal_steps = 1\nbatch_size = 64\noptimizer = {{ name = \"sgd\", lr = 1 }}\n{clip}"
        ));
        fit_in(&trainer(&plan), &rows(64, 64, 10), 1, None).update
    };
    let free = one("");
    let clipped = one("gradient_clip = 0.125");
    assert!(norm(&free) > 0.2, "{}", norm(&free));
    assert!((norm(&clipped) - 0.125).abs() < 1e-5, "{}", norm(&clipped));
    let factor = 0.125 / norm(&free);
    let same = free
        .iter()
        .zip(&clipped)
        .all(|(x, y)| (f64::from(*x) * factor - f64::from(*y)).abs() < 1e-6);
    assert!(same, "every tensor is scaled alike");
    assert_eq!(one("gradient_clip = 1000"), free);
}

#[test]
fn training_ends_early_when_the_watched_loss_no_longer_falls() {
    let section = format!("{DIGITS}\nholdout = 0.2");
    let plan = |watch: &str| {
        let training = format!(
            "rounds = 1\nlocal_epochs = 20\nbatch_size = 32\n\
             optimizer = {{ name = \"sgd\", lr = 1e-30 }}\n\
             early_stop = {{ patience = 2, watch = \"{watch}\" }}"
        );
        plan(&section, &format!("layers = [{MLP}]"), &training)
    };
    let (data, holdout) = (rows(64, 64, 10), rows(30, 64, 10));
    // Nothing changes: the first pass is the best, two more are without a lower loss.
    let watching = trainer(&plan("holdout"));
    let report = fit_in(&watching, &data, 1, Some(&holdout));
    assert!(report.is_stopped_early);
    assert_eq!(report.steps, 2 * 3);
    // Nothing to watch.
    assert_eq!(fit_in(&watching, &data, 1, None).steps, 2 * 20);
    let report = fit_in(&trainer(&plan("training")), &data, 1, None);
    assert!(report.is_stopped_early && report.steps < 2 * 20, "{}", report.steps);
}

#[test]
fn averages_of_a_batchnorm_travel_and_move_by_what_was_seen() {
    let data = "kind = \"tabular\"\ncolumns = [{ name = \"a\", type = \"float\", min = 0, max = 1 }, \
                { name = \"b\", type = \"float\", min = 0, max = 1 }]\n\
                target = { column = \"y\", classes = [\"no\", \"yes\"] }";
    let layers = "layers = [{ kind = \"batchnorm\", buffers = \"average\" }, \
                  { kind = \"linear\", out = 2 }]";
    let training = format!("rounds = 1\nlocal_steps = 1\nbatch_size = 64\noptimizer = {SGD}");
    let trainer = trainer(&plan(data, layers, &training));
    let entries = trainer.task().manifest().entries();
    let kinds: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.trainable, e.offset)).collect();
    assert_eq!(
        kinds[..4],
        [
            ("layers.0.batchnorm.gamma", true, 0),
            ("layers.0.batchnorm.beta", true, 2),
            ("layers.0.batchnorm.mean", false, 4),
            ("layers.0.batchnorm.variance", false, 6),
        ]
    );
    let set = rows(50, 2, 2);
    let update = fit_in(&trainer, &set, 1, None).update;
    for feature in 0..2 {
        let column: Vec<f64> = (0..50).map(|row| f64::from(set.example(row)[feature])).collect();
        let mean = column.iter().sum::<f64>() / 50.0;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 49.0;
        assert!((f64::from(update[4 + feature]) - 0.1 * mean).abs() < 1e-6);
        assert!((f64::from(update[6 + feature]) - 0.1 * (variance - 1.0)).abs() < 1e-6);
    }
}

#[test]
fn a_cnn_with_batchnorm_learns_with_either_policy_for_its_averages() {
    for (policy, more) in [("average", 2 * 8), ("local", 0)] {
        let norm = format!(
            "{{ kind = \"batchnorm\", buffers = \"{policy}\" }},\n  {{ kind = \"relu\" }},"
        );
        let layers = CNN.replacen("{ kind = \"relu\" },", &norm, 1);
        let plan = digits_plan(&layers, "{ name = \"adam\", lr = 0.003 }", 6);
        let (train, test) = digits_parts(&plan);
        let trainer = trainer(&plan);
        let plain = Task::from_plan(&digits_plan(CNN, SGD, 1)).expect("a model").parameters();
        assert_eq!(trainer.task().parameters(), plain + 2 * 8 + more);
        let parameters = trainer.task().initial_parameters();
        let update = fit(&trainer, &parameters, &train, 1).expect("it trains").update;
        let again = fit(&trainer, &parameters, &train, 1).expect("it trains").update;
        assert!(update == again, "the same seed, the same update");
        let after = trainer.evaluate(&applied(&parameters, &update), &test).expect("measured");
        assert!(after.accuracy() > Some(0.93), "{policy}: {after:?}");
    }
}

/// A plan whose model starts from `digest`, and its parameters.
fn started(more: &str, digest: &str) -> Plan {
    let model = format!("layers = [{MLP}]\nstart = {{ digest = \"{digest}\" }}\n{more}");
    plan(
        DIGITS,
        &model,
        "rounds = 1\nlocal_epochs = 3\nbatch_size = 32\noptimizer = { name = \"adam\", lr = 0.01 }",
    )
}

#[test]
fn a_run_starts_from_the_parameters_that_its_plan_pins() {
    let base = Task::from_plan(&digits_plan(MLP, SGD, 1)).expect("a model");
    assert_eq!(base.started(Vec::new()).expect_err("no start"), StartError::NotAsked);
    let parameters = noise(base.parameters());
    let digest = base.parameters_digest(&parameters);
    let task = Task::from_plan(&started("", &digest.to_string())).expect("a model");
    assert!(!task.needs_start(), "a client gets the first model as any other");
    assert_ne!(task.initial_parameters(), parameters);
    let mut other = parameters.clone();
    other[9] += 1.0;
    assert!(matches!(task.started(other), Err(StartError::Digest { .. })));
    assert!(matches!(task.started(vec![0.0]), Err(StartError::Length { got: 1, .. })));
    let task = task.started(parameters.clone()).expect("the ones that are pinned");
    assert_eq!(task.initial_parameters(), parameters);
}

#[test]
fn only_adapters_travel_and_the_base_stays_as_it_is() {
    let plain = digits_plan(MLP, "{ name = \"adam\", lr = 0.003 }", 2);
    let (train, test) = digits_parts(&plain);
    let first = trainer(&plain);
    let begin = first.task().initial_parameters();
    let update = fit(&first, &begin, &train.subset(&(0..300).collect::<Vec<_>>()), 1);
    let base = applied(&begin, &update.expect("it trains").update);
    let digest = first.task().parameters_digest(&base).to_string();
    let lora = "lora = { rank = 4, alpha = 8, targets = [\"linear\"] }";
    let waiting = trainer(&started(lora, &digest));
    let adapters = waiting.task().initial_parameters();
    assert_eq!(waiting.task().start_manifest(), first.task().manifest());
    // 64 x 64 and 64 x 10, each as two factors of rank 4.
    assert_eq!(adapters.len(), 4 * (64 + 64) + 4 * (64 + 10));
    assert_eq!(fit(&waiting, &adapters, &train, 1), Err(FitError::NoBase));
    let task = waiting.task().started(base.clone()).expect("the base that is pinned");
    let adapting =
        Trainer::new(&task, covey_model::device::DeviceChoice::Cpu).expect("the processor");
    let before = adapting.evaluate(&adapters, &test).expect("measured");
    assert_eq!(before, first.evaluate(&base, &test).expect("measured"), "adapters begin at zero");
    let update = fit(&adapting, &adapters, &train, 2).expect("it trains").update;
    assert_eq!(update.len(), adapters.len());
    let after = adapting.evaluate(&applied(&adapters, &update), &test).expect("measured");
    assert!(after.loss < 0.8 * before.loss, "{before:?} {after:?}");
    assert_eq!(first.evaluate(&base, &test).expect("measured"), before, "the base is as it was");
}

#[test]
fn parameters_go_through_files_unchanged_and_other_models_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let task = Task::from_plan(&digits_plan(CNN, SGD, 1)).expect("a model");
    let parameters = noise(task.parameters());
    weights::write(&path, task.manifest(), &parameters).expect("it is written");
    assert_eq!(weights::read(&path, task.manifest()).expect("it is read"), parameters);
    let other = Task::from_plan(&digits_plan(MLP, SGD, 1)).expect("a model");
    let error = weights::read(&path, other.manifest()).expect_err("another model's");
    assert!(matches!(error, WeightsError::Tensor { .. }), "{error}");
    assert!(error.to_string().contains("layers.1.linear.weight"), "{error}");
    // As a run stores them.
    let bytes: Vec<u8> = parameters.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&path, &bytes).expect("it is written");
    assert_eq!(weights::read(&path, task.manifest()).expect("it is read"), parameters);
    std::fs::write(&path, &bytes[1..]).expect("it is written");
    let error = weights::read(&path, task.manifest()).expect_err("damaged");
    assert!(matches!(error, WeightsError::Format { .. }), "{error}");
    assert!(weights::write(&path, other.manifest(), &parameters).is_err());
    let missing = weights::read(&folder.path().join("none"), task.manifest());
    assert!(matches!(missing, Err(WeightsError::File { .. })));
}
