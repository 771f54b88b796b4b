//! Training in which no example shows: which models it is for, what is refused, and what a round
//! is charged.

mod common;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use common::{
    CNN, DIGITS, EVERYTHING, MLP, digits_parts, digits_plan, first, fit, fit_records, norm, plan,
    privacy, rows, trainer, windows,
};
use covey_model::data::Dataset;
use covey_model::device::DeviceChoice;
use covey_model::family::{self, Family, Form, Input, Network, Pass};
use covey_model::record::{BadRecordPrivacy, RecordPrivacy, RecordRefusal, Way};
use covey_model::train::{FitError, Trainer};
use covey_privacy::event::Event;

const PLAIN: &str = r#"{ name = "sgd", lr = 0.5 }"#;

#[test]
fn every_model_without_batchnorm_trains() {
    let image = "kind = \"image\"\nheight = 8\nwidth = 8\nclasses = 10";
    let text = "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"\\n abc\"\n\
        unknown = \"skip\"\ncontext = 7";
    let training = "rounds = 1\nbatch_size = 4\noptimizer = { name = \"adam\", lr = 0.01 }";
    let recurrent = "layers = [{ kind = \"sequence\", features = 8 }, \
        { kind = \"gru\", hidden = 6, output = \"last\" }, { kind = \"linear\", out = 10 }]";
    let attention = "layers = [{ kind = \"embedding\", out = 8 }, { kind = \"position\" }, \
        { kind = \"encoder\", heads = 2, ff = 8, causal = true }, { kind = \"linear\", out = 5 }]";
    let dropout = "layers = [{ kind = \"flatten\" }, { kind = \"dropout\", p = 0.2 }, \
        { kind = \"linear\", out = 10 }]";
    for (data, model, examples, way) in [
        (image, recurrent, rows(12, 64, 10), Way::OneByOne),
        (text, attention, windows(12, 7, 5), Way::OneByOne),
        (image, dropout, rows(12, 64, 10), Way::Blocks),
    ] {
        let trainer = trainer(&plan(data, model, training));
        assert_eq!(Way::of(trainer.task()), way, "{model}");
        let report = fit_records(&trainer, &examples, &privacy(0.5, 1.0), 1);
        let report = report.unwrap_or_else(|error| panic!("{model}: {error}"));
        assert!(report.steps == 3 && report.update.iter().all(|x| *x != 0.0), "{model}");
    }
}

#[test]
fn batchnorm_is_refused_wherever_it_is() {
    let norm = r#"{ kind = "batchnorm", buffers = "local" }, "#;
    let linear = r#"{ kind = "flatten" }, { kind = "linear", out = 10 }, "#;
    let inner = format!("{linear}{{ kind = \"residual\", layers = [{norm}] }}, ");
    for (layers, layer) in [(format!("{norm}{linear}"), "0"), (inner, "2.0")] {
        let plan = digits_plan(&layers, PLAIN, 1);
        let data = first(&digits_parts(&plan).0, 20);
        let trainer = trainer(&plan);
        let refusal = FitError::Record(RecordRefusal::BatchNorm { layer: layer.to_owned() });
        assert_eq!(fit_records(&trainer, &data, &privacy(1.0, 1.0), 1), Err(refusal.clone()));
        let parameters = trainer.task().initial_parameters();
        let looked = trainer.clipped_sum(&parameters, &data, 1.0, Way::OneByOne);
        assert_eq!(looked, Err(refusal));
        assert!(fit(&trainer, &parameters, &data, 1).is_ok());
    }
}

#[test]
fn an_early_stop_is_refused() {
    for watch in ["training", "holdout"] {
        let training = format!(
            "rounds = 1\nbatch_size = 8\nlocal_epochs = 4\noptimizer = {PLAIN}\n\
             early_stop = {{ patience = 1, watch = \"{watch}\" }}"
        );
        let layers = format!("layers = [{MLP}\n]");
        let trainer = trainer(&plan(&format!("{DIGITS}\nholdout = 0.2"), &layers, &training));
        let outcome = fit_records(&trainer, &rows(20, 64, 10), &privacy(1.0, 1.0), 1);
        assert_eq!(outcome, Err(FitError::Record(RecordRefusal::EarlyStop)));
    }
}

#[test]
fn blocks_are_refused_where_the_model_has_none() {
    for layers in [CNN, EVERYTHING] {
        let plan = digits_plan(layers, PLAIN, 1);
        let trainer = trainer(&plan);
        let parameters = trainer.task().initial_parameters();
        let looked = trainer.clipped_sum(&parameters, &rows(4, 64, 10), 1.0, Way::Blocks);
        assert_eq!(looked, Err(FitError::Record(RecordRefusal::NoChain)));
        let looked = trainer.clipped_sum(&parameters, &rows(4, 64, 10), -1.0, Way::OneByOne);
        assert_eq!(looked, Err(FitError::Record(RecordRefusal::ClipNorm)));
    }
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for bad in [0.0, -1.0, 1e-7, 1e7, f64::NAN, f64::INFINITY] {
        assert!(matches!(RecordPrivacy::new(bad, 1.0), Err(BadRecordPrivacy::NoiseMultiplier(_))));
        assert!(matches!(RecordPrivacy::new(1.0, bad), Err(BadRecordPrivacy::ClipNorm(_))));
    }
}

#[test]
fn a_round_is_charged_by_its_steps_at_the_rate_of_its_batches() {
    let plan = digits_plan(MLP, PLAIN, 3);
    let charge = privacy(1.5, 2.0).charge(&plan.training, 100).expect("it can be charged");
    let Event::Sampled(sampled) = charge.event else { panic!("{charge:?}") };
    assert_eq!((sampled.noise_multiplier(), sampled.sampling_rate()), (1.5, 0.32));
    assert_eq!(charge.count, 12);
    // Fewer examples than a batch: all of them in every step.
    let charge = privacy(1.5, 2.0).charge(&plan.training, 20).expect("it can be charged");
    let Event::Sampled(sampled) = charge.event else { panic!("{charge:?}") };
    assert_eq!((sampled.sampling_rate(), charge.count), (1.0, 3));
    let none = privacy(1.5, 2.0).charge(&plan.training, 0);
    assert_eq!(none, Err(BadRecordPrivacy::NoExamples));
    // Noise that is drawn, but that no accountant takes.
    let little = privacy(0.01, 2.0).charge(&plan.training, 100);
    assert!(matches!(little, Err(BadRecordPrivacy::Event(_))), "{little:?}");
}

/// The sum of gradients one by one is the gradient of all, and clipped ones are no longer than asked
/// for.
fn assert_sums(trainer: &Trainer, parameters: &[f32], data: &Dataset) {
    let sum = |data: &Dataset, clip_norm| -> Vec<f32> {
        let sum = trainer.clipped_sum(parameters, data, clip_norm, Way::OneByOne);
        sum.expect("summed").into_iter().map(|x| x as f32).collect()
    };
    let gradient = trainer.gradient(parameters, data).expect("a slope");
    let count = data.len() as f32;
    let apart: Vec<f32> =
        sum(data, 100.0).iter().zip(&gradient).map(|(x, y)| x / count - y).collect();
    assert!(norm(&apart) < 1e-4 * norm(&gradient), "{} of {}", norm(&apart), norm(&gradient));
    let longest = (0..data.len()).map(|one| norm(&sum(&data.subset(&[one]), 0.01)));
    let longest = longest.fold(0.0, f64::max);
    assert!(longest > 0.009_99 && longest < 0.010_000_01, "{longest}");
}

#[test]
fn of_a_model_with_adapters_the_adapters_alone_are_clipped() {
    let plain = digits_plan(MLP, PLAIN, 1);
    let data = first(&digits_parts(&plain).0, 40);
    let whole = trainer(&plain);
    let base = whole.task().initial_parameters();
    let digest = whole.task().parameters_digest(&base);
    let model = format!(
        "layers = [{MLP}]\nstart = {{ digest = \"{digest}\" }}\n\
         lora = {{ rank = 4, alpha = 8, targets = [\"linear\"] }}"
    );
    let training = format!("rounds = 1\nbatch_size = 32\noptimizer = {PLAIN}");
    let waiting = trainer(&plan(DIGITS, &model, &training));
    let task = waiting.task().started(base).expect("the base that is pinned");
    let trainer = Trainer::new(&task, DeviceChoice::Cpu).expect("the processor");
    assert_eq!(Way::of(&task), Way::OneByOne);
    assert_sums(&trainer, &task.initial_parameters(), &data);
    let update = fit_records(&trainer, &data, &privacy(1.0, 1.0), 1).expect("trained").update;
    assert_eq!(update.len(), 4 * (64 + 64) + 4 * (64 + 10));
    assert!(update.iter().all(|change| *change != 0.0));
}

#[derive(Module, Debug)]
struct Two {
    hidden: Linear,
    head: Linear,
}

impl Network for Two {
    fn forward(&self, input: Input, pass: &mut Pass<'_>) -> Tensor<2> {
        let Input::Rows(x) = input else { panic!("rows of numbers only") };
        self.head.forward(pass.dropout(relu(self.hidden.forward(x)), 0.1))
    }
}

struct TwoFamily;

impl Family for TwoFamily {
    type Network = Two;

    fn name(&self) -> &str {
        "two"
    }

    fn build(&self, form: &Form, device: &Device) -> Result<Two, String> {
        Ok(Two {
            hidden: LinearConfig::new(form.input.elements() as usize, 12).init(device),
            head: LinearConfig::new(12, form.goal.outputs() as usize).init(device),
        })
    }
}

#[test]
fn a_model_that_is_compiled_in_goes_one_by_one() {
    family::register(TwoFamily);
    let training = format!("rounds = 1\nbatch_size = 32\noptimizer = {PLAIN}");
    let plan = plan(DIGITS, "family = \"two\"", &training);
    let data = first(&digits_parts(&plan).0, 40);
    let trainer = trainer(&plan);
    assert_eq!(Way::of(trainer.task()), Way::OneByOne);
    assert_sums(&trainer, &trainer.task().initial_parameters(), &data);
    let outcome =
        trainer.clipped_sum(&trainer.task().initial_parameters(), &data, 1.0, Way::Blocks);
    assert_eq!(outcome, Err(FitError::Record(RecordRefusal::NoChain)));
    let report = fit_records(&trainer, &data, &privacy(1.0, 1.0), 1).expect("trained");
    assert!(report.steps == 2 && report.update.iter().all(|change| *change != 0.0));
}
