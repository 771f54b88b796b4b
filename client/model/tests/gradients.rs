//! What a fit adds to its gradients: FedProx's term and the offset that SCAFFOLD uses.

mod common;

use common::{MLP, digits_parts, digits_plan, norm, trainer};
use covey_aggregation::strategy::Strategy;
use covey_model::data::Dataset;
use covey_model::train::{Cancel, FitContext, FitError, FitReport, FitSeed, Trainer};

/// A trainer of the digits whose plan has this strategy.
fn prox(mu: f64, epochs: u32) -> Trainer {
    let mut plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.1 }"#, epochs);
    if mu > 0.0 {
        plan.strategy = Strategy::FedProx { mu };
    }
    trainer(&plan)
}

fn fit_with(
    trainer: &Trainer,
    data: &Dataset,
    offset: Option<&[f32]>,
) -> Result<FitReport, FitError> {
    let parameters = trainer.task().initial_parameters();
    let (cancel, mut progress) = (Cancel::new(), |_| ());
    let mut context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    context.gradient_offset = offset;
    trainer.fit(&parameters, data, context)
}

#[test]
fn fedprox_shrinks_the_drift() {
    let plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.1 }"#, 3);
    let data = digits_parts(&plan).0.subset(&(0..200).collect::<Vec<_>>());
    let drift = |mu| norm(&fit_with(&prox(mu, 3), &data, None).expect("it trains").update);
    let (free, held, fixed) = (drift(0.0), drift(1.0), drift(9.0));
    assert!(free > 1.5 * held && held > 2.0 * fixed, "{free} {held} {fixed}");
}

/// In the first step the model is where it began, so that FedProx adds nothing.
#[test]
fn fedprox_adds_nothing_where_nothing_has_moved() {
    let plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.1 }"#, 1);
    let data = digits_parts(&plan).0.subset(&(0..32).collect::<Vec<_>>());
    let plain = fit_with(&prox(0.0, 1), &data, None).expect("it trains");
    assert_eq!(fit_with(&prox(5.0, 1), &data, None).expect("it trains").update, plain.update);
}

#[test]
fn an_offset_is_added_to_the_gradient_of_every_step() {
    let plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.1 }"#, 1);
    let data = digits_parts(&plan).0.subset(&(0..32).collect::<Vec<_>>());
    let trainer = trainer(&plan);
    let plain = fit_with(&trainer, &data, None).expect("it trains");
    assert_eq!((plain.steps, plain.lr_sum), (1, 0.1));
    let offset: Vec<f32> = (0..plain.update.len()).map(|i| (i % 7) as f32 - 3.0).collect();
    let moved = fit_with(&trainer, &data, Some(&offset)).expect("it trains");
    for (index, offset) in offset.iter().enumerate() {
        let expected = plain.update[index] - 0.1 * offset;
        assert!((moved.update[index] - expected).abs() < 1e-6, "parameter {index}");
    }
}

/// What SCAFFOLD reads its control variate from: `-update / lr_sum` is the mean gradient, so an
/// offset that never changes moves it by itself.
#[test]
fn the_report_adds_up_the_learning_rates() {
    let plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.001 }"#, 2);
    let data = digits_parts(&plan).0.subset(&(0..100).collect::<Vec<_>>());
    let trainer = trainer(&plan);
    let report = fit_with(&trainer, &data, None).expect("it trains");
    assert_eq!(report.steps, 8);
    assert!((report.lr_sum - 0.008).abs() < 1e-12, "{}", report.lr_sum);
}

#[test]
fn terms_that_do_not_fit_are_refused() {
    let plan = digits_plan(MLP, r#"{ name = "sgd", lr = 0.1 }"#, 1);
    let data = digits_parts(&plan).0.subset(&(0..32).collect::<Vec<_>>());
    let trainer = trainer(&plan);
    let parameters = trainer.task().parameters();
    let mut offset = vec![0.0; parameters];
    offset[3] = f32::INFINITY;
    for offset in [&offset[..], &offset[..parameters - 1]] {
        let outcome = fit_with(&trainer, &data, Some(offset));
        assert!(matches!(outcome, Err(FitError::BadTerm { .. })), "{outcome:?}");
    }
}
