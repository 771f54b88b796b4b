//! Training in which no example shows: what is clipped and how, and what a step does.

mod common;

use std::time::Instant;

use common::{
    ADAM, CNN, EVERYTHING, MLP, applied, digits_parts, digits_plan, first, fit, fit_records, norm,
    plan, privacy, trainer,
};
use covey_aggregation::strategy::Strategy;
use covey_model::data::Dataset;
use covey_model::record::{RecordSeed, Way};
use covey_model::train::{Cancel, FitContext, FitError, FitSeed, Progress, Trainer};

const PLAIN: &str = r#"{ name = "sgd", lr = 0.5 }"#;

const LARGE: &str = r#"
  { kind = "flatten" }, { kind = "linear", out = 512 }, { kind = "relu" },
  { kind = "linear", out = 256 }, { kind = "relu" }, { kind = "linear", out = 10 },"#;

/// A chain with everything that may be in one, but dropout.
const CHAIN: &str = r#"
  { kind = "flatten" }, { kind = "linear", out = 24 }, { kind = "tanh" },
  { kind = "linear", out = 20 }, { kind = "gelu" },
  { kind = "linear", out = 16 }, { kind = "silu" }, { kind = "leaky_relu" },
  { kind = "linear", out = 12 }, { kind = "sigmoid" }, { kind = "softmax" },
  { kind = "flatten" }, { kind = "linear", out = 10 },"#;

fn sum(trainer: &Trainer, data: &Dataset, clip_norm: f64, way: Way) -> Vec<f64> {
    let parameters = trainer.task().initial_parameters();
    trainer.clipped_sum(&parameters, data, clip_norm, way).unwrap_or_else(|e| panic!("{e}"))
}

fn length(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    length(&a.iter().zip(b).map(|(x, y)| x - y).collect::<Vec<_>>())
}

#[test]
fn blocks_and_one_by_one_give_the_same_clipped_sum() {
    for layers in [MLP, CHAIN] {
        let plan = digits_plan(layers, PLAIN, 1);
        let data = first(&digits_parts(&plan).0, 150);
        let trainer = trainer(&plan);
        assert_eq!(Way::of(trainer.task()), Way::Blocks);
        // Of all, of some and of no example is the gradient as it is.
        for clip_norm in [0.05, 1.0, 100.0] {
            let one = sum(&trainer, &data, clip_norm, Way::OneByOne);
            let blocks = sum(&trainer, &data, clip_norm, Way::Blocks);
            let apart = distance(&one, &blocks) / length(&one);
            assert!(length(&one) > 0.0 && apart < 2e-6, "{clip_norm}: {apart}");
        }
    }
}

#[test]
fn blocks_and_one_by_one_agree_on_a_number_to_predict() {
    for loss in ["mse", "huber"] {
        let data = "kind = \"tabular\"\n\
            columns = [{ name = \"a\", type = \"float\", min = 0, max = 1 },\n\
            { name = \"b\", type = \"float\", min = 0, max = 1 }]\n\
            target = { column = \"y\", type = \"float\" }";
        let layers = "layers = [{ kind = \"linear\", out = 8 }, { kind = \"relu\" }, \
            { kind = \"linear\", out = 1 }]";
        let training =
            format!("rounds = 1\nbatch_size = 5\nloss = \"{loss}\"\noptimizer = {PLAIN}");
        let trainer = trainer(&plan(data, layers, &training));
        let numbers: Vec<f32> = (0..46).map(|i| (i * 7 % 23) as f32 / 5.0).collect();
        let data = Dataset::regression(numbers[..26].to_vec(), numbers[26..39].to_vec(), 2);
        let data = data.expect("a data set");
        for clip_norm in [0.5, 1e4] {
            let one = sum(&trainer, &data, clip_norm, Way::OneByOne);
            let blocks = sum(&trainer, &data, clip_norm, Way::Blocks);
            assert!(distance(&one, &blocks) < 2e-6 * length(&one));
        }
    }
}

#[test]
fn every_contribution_is_at_most_the_clipping_norm_long() {
    let plan = digits_plan(MLP, PLAIN, 1);
    let data = first(&digits_parts(&plan).0, 40);
    let trainer = trainer(&plan);
    for way in [Way::OneByOne, Way::Blocks] {
        for clip_norm in [0.001, 0.37, 1.0] {
            let mut longest: f64 = 0.0;
            for example in 0..data.len() {
                let one = sum(&trainer, &data.subset(&[example]), clip_norm, way);
                let length = length(&one);
                assert!(length <= clip_norm, "{way:?}, {clip_norm}: {length}");
                longest = longest.max(length);
            }
            // And no shorter than need be.
            assert!(longest > clip_norm * 0.999_998, "{way:?}, {clip_norm}: {longest}");
        }
    }
}

/// To the bit: the sum without an example is the sum less what it gives by itself, whatever
/// company it is in.
#[test]
fn removing_an_example_moves_the_sum_by_its_own_contribution_alone() {
    for (layers, way, batch_size) in [
        (MLP, Way::Blocks, 32),
        (CHAIN, Way::Blocks, 5),
        // Large enough for a library to divide a product among threads.
        (LARGE, Way::Blocks, 128),
        (CNN, Way::OneByOne, 32),
    ] {
        let mut plan = digits_plan(layers, PLAIN, 1);
        plan.training.batch_size = batch_size;
        let data = first(&digits_parts(&plan).0, 70);
        let trainer = trainer(&plan);
        let clip_norm = 0.9;
        let all = sum(&trainer, &data, clip_norm, way);
        for gone in [0, 1, 31, 32, 50, 69] {
            let rest: Vec<usize> = (0..data.len()).filter(|one| *one != gone).collect();
            let rest = sum(&trainer, &data.subset(&rest), clip_norm, way);
            let own = sum(&trainer, &data.subset(&[gone]), clip_norm, way);
            let moved: Vec<f64> = all.iter().zip(&rest).map(|(x, y)| x - y).collect();
            assert!(moved == own, "example {gone} is not what it is alone");
            assert!(length(&moved) <= clip_norm);
        }
    }
}

/// Without clipping, the sum is what training computes for a whole batch.
#[test]
fn an_unclipped_sum_is_the_gradient_of_all_examples() {
    for layers in [MLP, CHAIN, CNN] {
        let plan = digits_plan(layers, PLAIN, 1);
        let data = first(&digits_parts(&plan).0, 64);
        let trainer = trainer(&plan);
        let gradient = trainer.gradient(&trainer.task().initial_parameters(), &data);
        let gradient: Vec<f64> = gradient.expect("a slope").into_iter().map(f64::from).collect();
        let mean: Vec<f64> = sum(&trainer, &data, 20.0, Way::of(trainer.task()))
            .into_iter()
            .map(|x| x / 64.0)
            .collect();
        let apart = distance(&mean, &gradient) / length(&gradient);
        assert!(apart < 3e-5, "{layers}: {apart}");
    }
}

#[test]
fn with_hardly_any_noise_and_all_examples_a_step_is_one_of_plain_gradient_descent() {
    for layers in [MLP, CNN] {
        let mut plan = digits_plan(layers, PLAIN, 3);
        plan.training.batch_size = 100;
        // The full gradient is clipped after noise as it is without.
        plan.training.gradient_clip = Some(0.5);
        plan.strategy = Strategy::FedProx { mu: 0.5 };
        let data = first(&digits_parts(&plan).0, 100);
        let trainer = trainer(&plan);
        let plain = fit(&trainer, &trainer.task().initial_parameters(), &data, 1).expect("trained");
        let ours = fit_records(&trainer, &data, &privacy(1e-6, 50.0), 1).expect("trained");
        assert_eq!((ours.steps, ours.lr_sum, ours.examples), (3, 1.5, 100));
        let apart: Vec<f32> = ours.update.iter().zip(&plain.update).map(|(x, y)| x - y).collect();
        assert!(
            norm(&apart) < 2e-4 * norm(&plain.update),
            "{} {}",
            norm(&apart),
            norm(&plain.update)
        );
        assert!((ours.loss - plain.loss).abs() < 1e-4);
    }
}

/// Batches of one of a thousand examples: e^-1 of the samples are empty.
#[test]
fn an_empty_sample_takes_a_step_of_noise_divided_by_the_expected_size() {
    let mut plan = digits_plan(MLP, r#"{ name = "sgd", lr = 1.0 }"#, 1);
    (plan.training.batch_size, plan.training.local_steps) = (1, Some(1));
    let data = first(&digits_parts(&plan).0, 1000);
    let trainer = trainer(&plan);
    let mut empty = 0;
    for seed in 0..12 {
        let (cancel, mut losses) = (Cancel::new(), Vec::new());
        let mut progress = |progress: Progress| losses.push(progress.loss);
        let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
        let seed = RecordSeed::new([seed; 32]);
        let parameters = trainer.task().initial_parameters();
        let report = trainer.fit_records(&parameters, &data, &privacy(2.0, 0.5), seed, context);
        let update = report.expect("trained").update;
        assert_eq!(losses.len(), 1);
        // A noise of 2 times 0.5 on each of 4810 numbers, at an expected size of 1.
        let deviation = norm(&update) / (update.len() as f64).sqrt();
        assert!((deviation - 1.0).abs() < 0.05, "{deviation}");
        empty += u32::from(losses[0] == 0.0);
    }
    assert!((1..12).contains(&empty), "{empty}");
}

#[test]
fn noise_is_as_large_as_asked_for_and_divided_by_the_expected_size() {
    let mut plan = digits_plan(MLP, r#"{ name = "sgd", lr = 1.0 }"#, 1);
    (plan.training.batch_size, plan.training.local_steps) = (50, Some(1));
    let data = first(&digits_parts(&plan).0, 200);
    let trainer = trainer(&plan);
    let update = |seed| fit_records(&trainer, &data, &privacy(30.0, 1.0), seed).expect("it").update;
    let (one, two) = (update(1), update(2));
    let apart: Vec<f32> = one.iter().zip(&two).map(|(x, y)| x - y).collect();
    let deviation = norm(&apart) / (2.0 * apart.len() as f64).sqrt();
    // 30 over 50, of 4810 numbers: within 5 percent.
    assert!((deviation / 0.6 - 1.0).abs() < 0.05, "{deviation}");
}

#[test]
fn the_same_seed_gives_the_same_update_and_another_seed_another() {
    for layers in [MLP, EVERYTHING] {
        let plan = digits_plan(layers, ADAM, 1);
        let data = first(&digits_parts(&plan).0, 96);
        let trainer = trainer(&plan);
        let update = |seed| fit_records(&trainer, &data, &privacy(1.0, 1.0), seed);
        assert_eq!(update(1), update(1));
        let (one, two) = (update(1).expect("trained"), update(2).expect("trained"));
        let same = one.update.iter().zip(&two.update).filter(|(x, y)| x == y).count();
        assert!(same < one.update.len() / 100, "{same}");
    }
}

#[test]
fn a_fit_without_is_the_same_before_and_after_one_with() {
    let plan = digits_plan(EVERYTHING, ADAM, 1);
    let data = first(&digits_parts(&plan).0, 64);
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let before = fit(&trainer, &parameters, &data, 1).expect("trained");
    let ours = fit_records(&trainer, &data, &privacy(1.0, 1.0), 1).expect("trained");
    assert_ne!(ours.update, before.update);
    assert_eq!(fit(&trainer, &parameters, &data, 1), Ok(before));
}

/// The public seed draws nothing.
#[test]
fn the_plans_seed_does_not_matter() {
    let plan = digits_plan(EVERYTHING, ADAM, 1);
    let data = first(&digits_parts(&plan).0, 40);
    let trainer = trainer(&plan);
    let update = |public| {
        let (cancel, mut progress) = (Cancel::new(), |_| ());
        let context = FitContext::new(FitSeed([public; 32]), &cancel, &mut progress);
        let parameters = trainer.task().initial_parameters();
        let seed = RecordSeed::new([9; 32]);
        trainer.fit_records(&parameters, &data, &privacy(1.0, 1.0), seed, context)
    };
    assert_eq!(update(1), update(2));
}

#[test]
fn an_offset_is_added_after_clipping_and_noise() {
    let mut plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.1 }"#, 1);
    plan.training.local_steps = Some(1);
    let data = first(&digits_parts(&plan).0, 100);
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let offset: Vec<f32> = (0..parameters.len()).map(|i| (i % 7) as f32 - 3.0).collect();
    let update = |offset| {
        let (cancel, mut progress) = (Cancel::new(), |_| ());
        let mut context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
        context.gradient_offset = offset;
        let seed = RecordSeed::new([3; 32]);
        let report = trainer.fit_records(&parameters, &data, &privacy(1.0, 0.1), seed, context);
        report.expect("trained").update
    };
    let (plain, moved) = (update(None), update(Some(&offset)));
    for (index, offset) in offset.iter().enumerate() {
        let expected = plain[index] - 0.1 * offset;
        assert!((moved[index] - expected).abs() < 1e-5, "parameter {index}");
    }
}

#[test]
fn an_example_whose_gradient_is_not_finite_counts_for_nothing_and_tells_nothing() {
    let plan = digits_plan(MLP, PLAIN, 1);
    let good = first(&digits_parts(&plan).0, 20);
    let trainer = trainer(&plan);
    let with = |value: f32| {
        let mut numbers: Vec<f32> = (0..20).flat_map(|one| good.example(one).to_vec()).collect();
        numbers.extend(vec![value; 64]);
        let labels = good.labels().iter().copied().chain([0]).collect();
        Dataset::new(numbers, labels, 64, 10).expect("a data set")
    };
    let bad = with(3e38);
    for way in [Way::OneByOne, Way::Blocks] {
        assert_eq!(sum(&trainer, &bad, 1.0, way), sum(&trainer, &good, 1.0, way));
    }
    assert!(fit_records(&trainer, &bad, &privacy(1.0, 1.0), 1).is_ok());
}

#[test]
fn digits_are_learned_with_a_moderate_noise() {
    let mut plan = digits_plan(MLP, r#"{ name = "sgd", lr = 1.0, momentum = 0.5 }"#, 15);
    plan.training.batch_size = 128;
    let (train, test) = digits_parts(&plan);
    let trainer = trainer(&plan);
    let privacy = privacy(1.0, 1.0);
    let charge = privacy.charge(&plan.training, train.len()).expect("it can be charged");
    let report = fit_records(&trainer, &train, &privacy, 1).expect("trained");
    assert_eq!(report.steps, charge.count);
    let trained = applied(&trainer.task().initial_parameters(), &report.update);
    let reached = trainer.evaluate(&trained, &test).expect("measured").accuracy();
    let reached = reached.expect("a class is predicted");
    println!("accuracy {reached} after {charge:?}");
    assert!(reached > 0.8, "{reached}");
}

#[test]
fn a_cancelled_fit_says_how_far_it_came() {
    let plan = digits_plan(MLP, PLAIN, 2);
    let data = first(&digits_parts(&plan).0, 96);
    let trainer = trainer(&plan);
    let (cancel, mut seen) = (Cancel::new(), Vec::new());
    let mut progress = |progress: Progress| {
        seen.push((progress.step, progress.steps, progress.epoch));
        if progress.step == 4 {
            cancel.cancel();
        }
    };
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let parameters = trainer.task().initial_parameters();
    let seed = RecordSeed::new([1; 32]);
    let outcome = trainer.fit_records(&parameters, &data, &privacy(1.0, 1.0), seed, context);
    assert_eq!(outcome, Err(FitError::Cancelled { step: 4 }));
    assert_eq!(seen, [(1, 6, 1), (2, 6, 1), (3, 6, 1), (4, 6, 2)]);
}

/// Run by hand: prints how long training takes with and without.
#[test]
#[ignore = "measures time"]
fn time_with_and_without() {
    for (name, layers) in [("mlp", MLP), ("large mlp", LARGE), ("cnn", CNN)] {
        let plan = digits_plan(layers, PLAIN, 3);
        let (data, _) = digits_parts(&plan);
        let trainer = trainer(&plan);
        let parameters = trainer.task().initial_parameters();
        let begun = Instant::now();
        fit(&trainer, &parameters, &data, 1).expect("trained");
        let plain = begun.elapsed();
        let begun = Instant::now();
        fit_records(&trainer, &data, &privacy(1.0, 1.0), 1).expect("trained");
        let ours = begun.elapsed();
        let factor = ours.as_secs_f64() / plain.as_secs_f64();
        println!("{name}: {plain:?} plain, {ours:?} private, {factor:.1} times");
    }
}
