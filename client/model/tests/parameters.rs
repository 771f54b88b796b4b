//! The flat parameter vector: its order, its beginning, and the gradient that changes it.

mod common;

use common::{CNN, EVERYTHING, MLP, SGD, applied, digits, digits_parts, digits_plan, fit, trainer};
use covey_aggregation::plan::Plan;
use covey_model::data::Dataset;
use covey_model::task::Task;

fn task(layers: &str) -> Task {
    Task::from_plan(&digits_plan(layers, SGD, 1)).expect("it fits together")
}

#[test]
fn the_manifest_covers_the_vector_without_gaps() {
    for layers in [MLP, CNN, EVERYTHING] {
        let task = task(layers);
        let mut offset = 0;
        for entry in task.manifest().entries() {
            assert_eq!(entry.offset, offset, "{}", entry.name);
            assert!(entry.trainable);
            offset += entry.shape.iter().product::<u64>();
        }
        assert_eq!(task.manifest().parameters(), offset);
        assert_eq!(task.initial_parameters().len() as u64, offset);
    }
    assert_eq!(task(MLP).parameters(), 64 * 64 + 64 + 64 * 10 + 10);
}

#[test]
fn the_manifest_digest_tells_models_apart() {
    let digests: Vec<_> = [MLP, CNN, EVERYTHING].map(|l| task(l).manifest_digest()).to_vec();
    assert_eq!(digests[0], task(MLP).manifest_digest());
    assert_ne!(digests[0], digests[1]);
    assert_ne!(digests[1], digests[2]);
}

#[test]
fn initial_parameters_follow_from_seed_name_and_shape() {
    let first = task(CNN).initial_parameters();
    assert_eq!(first, task(CNN).initial_parameters());
    // The convolution alone, in another model, begins alike: nothing depends on what follows.
    let other = task(EVERYTHING).initial_parameters();
    assert_eq!(first[..80], other[..80]);
    let weights = &first[..72];
    let bound = (1.0f32 / 9.0).sqrt();
    assert!(weights.iter().all(|w| w.abs() <= bound));
    assert!(weights.iter().any(|w| w.abs() > bound / 2.0));
    assert!(first[72..80].iter().all(|bias| *bias == 0.0));
    assert!(other[80..88].iter().all(|gamma| *gamma == 1.0));
}

/// Loading a vector and flattening the model gives the same bits: with a step size so small
/// that nothing changes, the update is zero everywhere and every tensor is where it was.
#[test]
fn a_vector_loads_and_flattens_unchanged() {
    for layers in [MLP, CNN, EVERYTHING] {
        let plan = digits_plan(layers, r#"{ name = "sgd", lr = 1e-30 }"#, 1);
        let data = digits(&plan).subset(&(0..40).collect::<Vec<_>>());
        let trainer = trainer(&plan);
        // Values that no rounding can hide: every parameter is different.
        let parameters: Vec<f32> =
            (0..trainer.task().parameters()).map(|i| 0.01 + i as f32 * 1e-5).collect();
        let report = fit(&trainer, &parameters, &data, 3).expect("it trains");
        assert!(report.update.iter().all(|change| *change == 0.0), "{layers}");
    }
}

/// Every layer's derivative against central differences of the loss: with momentum 0 and one
/// step over the whole data set, the update is `-lr` times the gradient.
#[test]
fn gradients_match_finite_differences() {
    const TINY: &str = r#"
  { kind = "conv2d", out = 2, kernel = 3, pad = 1 },
  { kind = "groupnorm", groups = 2 },
  { kind = "gelu" },
  { kind = "maxpool2d", kernel = 4 },
  { kind = "residual", layers = [{ kind = "conv2d", out = 2, kernel = 1 }, { kind = "tanh" }] },
  { kind = "flatten" },
  { kind = "layernorm" },
  { kind = "linear", out = 10 },"#;
    let lr = 1.0;
    let plan = digits_plan(TINY, r#"{ name = "sgd", lr = 1 }"#, 1);
    let data = digits(&plan).subset(&(0..20).collect::<Vec<_>>());
    let trainer = trainer(&plan);
    let parameters = trainer.task().initial_parameters();
    let update = fit(&trainer, &parameters, &data, 1).expect("it trains").update;
    let loss = |index: usize, change: f32| {
        let mut moved = parameters.clone();
        moved[index] += change;
        trainer.evaluate(&moved, &data).expect("it is measured").loss
    };
    let distance = 1e-3;
    let (mut dot, mut squares, mut differences) = (0.0, 0.0, 0.0);
    for (index, change) in update.iter().enumerate() {
        let slope = (loss(index, distance) - loss(index, -distance)) / (2.0 * f64::from(distance));
        let gradient = -f64::from(*change) / lr;
        dot += slope * gradient;
        squares += gradient * gradient;
        differences += slope * slope;
        assert!((slope - gradient).abs() < 0.01, "parameter {index}: {gradient}, slope {slope}");
    }
    let cosine = dot / (squares.sqrt() * differences.sqrt());
    assert!(cosine > 0.9995, "{cosine}");
}

/// Averaging in the clear, the way a run does it, on uneven owners: the demo's plan reaches its
/// goal and beats every owner alone.
#[test]
fn the_demo_plan_learns_from_uneven_owners() {
    let text = include_str!("../../../examples/plans/digits-cnn.toml");
    let plan = Plan::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    let (train, test) = digits_parts(&plan);
    let parts = covey_model::split::dirichlet_by_label(train.labels(), 6, 0.5, 20, 1);
    let owners: Vec<Dataset> =
        parts.expect("a split").iter().map(|part| train.subset(part)).collect();
    let trainer = trainer(&plan);
    let mut parameters = trainer.task().initial_parameters();
    for round in 0..plan.training.rounds {
        let mut sum = vec![0.0; parameters.len()];
        for (owner, data) in owners.iter().enumerate() {
            let seed = round as u8 * 16 + owner as u8;
            let report = fit(&trainer, &parameters, data, seed).expect("it trains");
            let share = data.len() as f32 / train.len() as f32;
            sum.iter_mut().zip(&report.update).for_each(|(sum, change)| *sum += change * share);
        }
        parameters = applied(&parameters, &sum);
    }
    let reached = trainer.evaluate(&parameters, &test).expect("it is measured").accuracy();
    assert!(reached >= Some(0.95), "{reached:?}");
}
