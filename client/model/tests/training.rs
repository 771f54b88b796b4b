//! Training on real data: it learns, it is deterministic, and it ends in an error rather than a
//! panic.

mod common;

use common::{ADAM, CNN, EVERYTHING, MLP, SGD, applied, digits_parts, digits_plan, fit, trainer};
use covey_aggregation::party::PartyId;
use covey_model::data::Dataset;
use covey_model::train::{Cancel, FitContext, FitError, FitSeed, Progress};

/// Test accuracy after one fit on the digits.
fn accuracy(layers: &str, optimizer: &str, epochs: u32) -> f64 {
    let plan = digits_plan(layers, optimizer, epochs);
    let (train, test) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let before = trainer.evaluate(&parameters, &test).expect("an untrained model is measured");
    let report = fit(&trainer, &parameters, &train, 1).expect("training succeeds");
    assert_eq!(report.examples as usize, train.len());
    assert_eq!(report.steps, train.len().div_ceil(32) as u64 * u64::from(epochs));
    assert_eq!(report.update.len(), parameters.len());
    let trained = applied(&parameters, &report.update);
    let after = trainer.evaluate(&trained, &test).expect("a trained model is measured");
    assert_eq!(after.count as usize, test.len());
    assert!(after.loss < before.loss && f64::from(report.loss) < before.loss);
    after.accuracy().expect("a class is predicted")
}

#[test]
fn an_mlp_learns_the_digits() {
    let reached = accuracy(MLP, ADAM, 12);
    assert!(reached > 0.93, "{reached}");
}

#[test]
fn a_cnn_learns_the_digits() {
    let reached = accuracy(CNN, SGD, 6);
    assert!(reached > 0.94, "{reached}");
}

#[test]
fn plain_sgd_without_momentum_learns_too() {
    let reached = accuracy(MLP, r#"{ name = "sgd", lr = 0.3 }"#, 12);
    assert!(reached > 0.9, "{reached}");
}

#[test]
fn residual_groupnorm_layernorm_and_dropout_train() {
    let reached = accuracy(EVERYTHING, ADAM, 6);
    assert!(reached > 0.94, "{reached}");
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_also_beside_other_threads() {
    let plan = digits_plan(EVERYTHING, SGD, 1);
    let (train, _) = digits_parts(&plan);
    let data: Vec<Dataset> = (0..4)
        .map(|owner| train.subset(&(owner * 100..owner * 100 + 100).collect::<Vec<_>>()))
        .collect();
    let run = |owner: usize| {
        let trainer = trainer(&plan);
        let parameters = trainer.task().initial_parameters();
        let report = fit(&trainer, &parameters, &data[owner], owner as u8).expect("it trains");
        (bits(&report.update), report.loss.to_bits())
    };
    let one_by_one: Vec<_> = (0..4).map(run).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|owner| scope.spawn(move || run(owner))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(one_by_one == together, "threads disturb each other");
    assert_ne!(one_by_one[0], one_by_one[1]);
}

/// Set in a child process of the test below.
const CHILD: &str = "COVEY_TEST_PRINT_UPDATE";

#[test]
fn the_same_seed_gives_the_same_bits_in_another_process_with_other_threads() {
    let plan = digits_plan(EVERYTHING, SGD, 1);
    let (train, _) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let report = fit(&trainer, &parameters, &train, 5).expect("it trains");
    let digest = trainer.task().parameters_digest(&report.update).to_string();
    if std::env::var_os(CHILD).is_some() {
        println!("update {digest}");
        return;
    }
    for threads in ["1", "3"] {
        let child = std::process::Command::new(std::env::current_exe().expect("a test binary"))
            .args(["--exact", "--nocapture"])
            .arg("the_same_seed_gives_the_same_bits_in_another_process_with_other_threads")
            .env(CHILD, "1")
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .expect("the test binary runs");
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(text.contains(&format!("update {digest}")), "{digest} with {threads}: {text}");
    }
}

#[test]
fn a_trainer_can_be_shared_and_sent() {
    const fn both<T: Send + Sync>() {}
    both::<covey_model::train::Trainer>();
    both::<Dataset>();
    both::<Cancel>();
}

#[test]
fn outputs_beyond_numbers_are_an_error_not_a_bad_model() {
    let plan = digits_plan(MLP, SGD, 1);
    let (_, test) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let parameters = vec![1e30; trainer.task().parameters()];
    assert_eq!(trainer.evaluate(&parameters, &test), Err(FitError::BadOutputs));
}

#[test]
fn another_seed_gives_another_update() {
    let plan = digits_plan(MLP, SGD, 1);
    let (train, _) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let update = |seed| fit(&trainer, &parameters, &train, seed).expect("it trains").update;
    assert_ne!(bits(&update(1)), bits(&update(2)));
}

#[test]
fn seeds_differ_by_plan_round_and_client() {
    let (alice, bob) = (PartyId([1; 32]), PartyId([2; 32]));
    let seed = FitSeed::derive(1, 1, &alice);
    assert_eq!(seed, FitSeed::derive(1, 1, &alice));
    for other in
        [FitSeed::derive(2, 1, &alice), FitSeed::derive(1, 2, &alice), FitSeed::derive(1, 1, &bob)]
    {
        assert_ne!(seed, other);
    }
}

#[test]
fn a_cancelled_fit_says_how_far_it_came() {
    let plan = digits_plan(MLP, SGD, 5);
    let (train, _) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let cancel = Cancel::new();
    let mut seen: Vec<Progress> = Vec::new();
    let mut progress = |progress: Progress| {
        seen.push(progress);
        if progress.step == 3 {
            cancel.cancel();
        }
    };
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let outcome = trainer.fit(&trainer.task().initial_parameters(), &train, context);
    assert_eq!(outcome, Err(FitError::Cancelled { step: 3 }));
    assert_eq!(seen.iter().map(|p| p.step).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(seen.iter().all(|p| p.steps == 45 * 5 && p.epoch == 1 && p.loss.is_finite()));
}

#[test]
fn a_diverging_fit_is_an_error() {
    let plan = digits_plan(MLP, r#"{ name = "sgd", lr = 1e30 }"#, 2);
    let (train, _) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let outcome = fit(&trainer, &trainer.task().initial_parameters(), &train, 1);
    assert!(matches!(outcome, Err(FitError::Diverged { .. })), "{outcome:?}");
}

#[test]
fn a_panic_while_training_is_an_error_and_the_trainer_goes_on() {
    let plan = digits_plan(MLP, SGD, 1);
    let (train, _) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let cancel = Cancel::new();
    let mut progress = |_| panic!("deliberate, by a test");
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let outcome = trainer.fit(&parameters, &train, context);
    let reason = "deliberate, by a test".to_owned();
    assert_eq!(outcome, Err(FitError::Fault { reason }));
    assert!(fit(&trainer, &parameters, &train, 1).is_ok());
}

#[test]
fn what_does_not_belong_to_the_plan_is_refused() {
    let plan = digits_plan(MLP, SGD, 1);
    let (train, _) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let mut parameters = trainer.task().initial_parameters();
    let short = fit(&trainer, &parameters[1..], &train, 1);
    assert_eq!(short, Err(FitError::Parameters { expected: 4810, got: 4809 }));
    let empty = fit(&trainer, &parameters, &train.subset(&[]), 1);
    assert_eq!(empty, Err(FitError::NoExamples));
    let other = Dataset::new(vec![0.5; 8], vec![0, 1], 4, 2).expect("a data set");
    let outcome = trainer.evaluate(&parameters, &other);
    assert!(matches!(outcome, Err(FitError::Data { got_features: 4, got_classes: 2, .. })));
    parameters[17] = f32::NAN;
    let outcome = fit(&trainer, &parameters, &train, 1);
    assert_eq!(outcome, Err(FitError::BadParameter { index: 17 }));
}
