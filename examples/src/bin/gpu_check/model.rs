//! The three models that are trained on both devices, and their data.

use std::path::Path;
use std::time::Instant;

use covey_aggregation::plan::Plan;
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::device::DeviceRules;
use covey_model::random::{normal, stream};
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Progress, Trainer};

/// The demo's plan.
const DIGITS: &str = include_str!("../../../plans/digits-cnn.toml");

/// Made images of the larger network.
const IMAGES: usize = 1024;
const SIDE: usize = 28;
const CLASSES: usize = 10;

/// Made text of the transformer.
const WINDOWS: usize = 512;
const CONTEXT: usize = 64;
const VOCABULARY: usize = 16;

/// A model, and what it is trained on.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    task: Task,
    data: Dataset,
    batch: usize,
}

/// What training on one device gave.
pub(crate) struct Trained {
    /// Of every step.
    pub(crate) losses: Vec<f32>,
    /// Over the second half of the steps: on a card, the first ones compile.
    pub(crate) samples_per_second: f64,
}

impl Model {
    /// All three.
    pub(crate) fn all() -> Result<[Self; 3], String> {
        Ok([Self::demo()?, Self::large_cnn()?, Self::transformer()?])
    }

    /// The demo's network on the digits.
    pub(crate) fn demo() -> Result<Self, String> {
        let plan = Plan::parse(DIGITS).map_err(|errors| errors.to_string())?;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv.gz");
        let source = DataSource::Csv { path, header: Header::Absent };
        let data = Dataset::load(&source, &plan.data).map_err(|error| error.to_string())?;
        Self::new("demo-cnn", &plan, data)
    }

    /// A larger network on images of ten noisy patterns.
    fn large_cnn() -> Result<Self, String> {
        let plan = plan(
            "kind = 'image'\nheight = 28\nwidth = 28\npixel_max = 255\nclasses = 10",
            "{ kind = 'conv2d', out = 32, kernel = 3, pad = 1 }, { kind = 'groupnorm', groups = 4 },
             { kind = 'relu' }, { kind = 'maxpool2d', kernel = 2 },
             { kind = 'conv2d', out = 64, kernel = 3, pad = 1 }, { kind = 'groupnorm', groups = 8 },
             { kind = 'relu' }, { kind = 'maxpool2d', kernel = 2 }, { kind = 'flatten' },
             { kind = 'linear', out = 256 }, { kind = 'relu' }, { kind = 'dropout', p = 0.1 },
             { kind = 'linear', out = 10 }",
            "local_steps = 40\nbatch_size = 64\n\
             optimizer = { name = 'sgd', lr = 0.01, momentum = 0.9 }",
        )?;
        let mut rng = stream("gpu-check-images", &[]);
        let mut draw = || normal(&mut rng) as f32;
        let pixels = SIDE * SIDE;
        let patterns: Vec<f32> = (0..CLASSES * pixels).map(|_| draw()).collect();
        let labels: Vec<u32> = (0..IMAGES).map(|image| (image % CLASSES) as u32).collect();
        let mut numbers = Vec::with_capacity(IMAGES * pixels);
        for label in &labels {
            let pattern = &patterns[*label as usize * pixels..][..pixels];
            numbers.extend(pattern.iter().map(|pixel| 0.3 * pixel + 0.5 * draw()));
        }
        let data = Dataset::new(numbers, labels, pixels, CLASSES);
        Self::new("large-cnn", &plan, data.map_err(|error| error.to_string())?)
    }

    /// A small causal transformer on a text that counts, with slips.
    fn transformer() -> Result<Self, String> {
        let plan = plan(
            "kind = 'text'\ntokens = 'characters'\nvocabulary = 'abcdefghijklmnop'\n\
             unknown = 'skip'\ncontext = 64",
            "{ kind = 'embedding', out = 64 }, { kind = 'position' },
             { kind = 'encoder', layers = 2, heads = 4, ff = 256, causal = true, dropout = 0.1 },
             { kind = 'layernorm' }, { kind = 'linear', out = 16 }",
            "local_steps = 40\nbatch_size = 16\noptimizer = { name = 'adamw', lr = 0.001 }\n\
             gradient_clip = 1.0",
        )?;
        let mut rng = stream("gpu-check-text", &[]);
        let mut token = 0;
        let mut next = || {
            let is_slip = normal(&mut rng) > 1.5;
            token = (token + if is_slip { 5 } else { 1 }) % VOCABULARY as i32;
            token
        };
        let tokens: Vec<i32> = (0..WINDOWS * (CONTEXT + 1)).map(|_| next()).collect();
        let starts = (0..WINDOWS).map(|window| window * (CONTEXT + 1)).collect();
        let data = Dataset::text(tokens.into(), starts, CONTEXT, VOCABULARY);
        Self::new("transformer", &plan, data.map_err(|error| error.to_string())?)
    }

    fn new(name: &'static str, plan: &Plan, data: Dataset) -> Result<Self, String> {
        let task = Task::from_plan(plan).map_err(|error| error.to_string())?;
        Ok(Self { name, task, data, batch: plan.training.batch_size as usize })
    }

    /// Length of its parameter vector.
    pub(crate) fn parameters(&self) -> usize {
        self.task.parameters()
    }

    /// Trains as an owner does in one round, from the plan's own beginning.
    pub(crate) fn train(&self, device: impl Into<DeviceRules>) -> Result<Trained, String> {
        let trainer = Trainer::new(&self.task, device).map_err(|error| error.to_string())?;
        let (mut losses, mut times) = (Vec::new(), Vec::new());
        let mut progress = |progress: Progress| {
            losses.push(progress.loss);
            times.push(Instant::now());
        };
        let cancel = Cancel::new();
        let context = FitContext::new(FitSeed([7; 32]), &cancel, &mut progress);
        let ended = trainer.fit(&self.task.initial_parameters(), &self.data, context);
        ended.map_err(|error| format!("{}: {error}", self.name))?;
        let half = times.len() / 2;
        let timed: usize = (half + 1..times.len()).map(|step| self.examples(step)).sum();
        let seconds = times.last().map_or(0.0, |last| (*last - times[half]).as_secs_f64());
        Ok(Trained { losses, samples_per_second: timed as f64 / seconds })
    }

    /// Examples of a step, from 0: the last of a pass may have fewer.
    fn examples(&self, step: usize) -> usize {
        let each_pass = self.data.len().div_ceil(self.batch);
        let before = step % each_pass * self.batch;
        self.batch.min(self.data.len() - before)
    }
}

fn plan(data: &str, layers: &str, training: &str) -> Result<Plan, String> {
    let text = format!(
        "schema = 'plan/1'\nname = 'gpu-check'\npurpose = 'Compare a card with the processor'\n\
         seed = 7\n[data]\n{data}\n[model]\nlayers = [{layers}]\n[training]\nrounds = 1\n{training}\n\
         weighting = 'uniform'\n[cohort]\nminimum = 3\nmaximum = 10\n[secure_aggregation]\n\
         profile = 'A'\nbits = 8\nrange = 1\nclip_norm = 10\naudit = 'off'\n"
    );
    Plan::parse(&text).map_err(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    use covey_model::device::DeviceChoice;

    use super::*;
    use crate::parity::{F32, Parity, compare};

    #[test]
    fn every_model_learns_and_is_on_a_par_with_itself() {
        for model in Model::all().expect("three models") {
            let one = model.train(DeviceChoice::Cpu).expect("it trains");
            let none = Parity { first: 0.0, mean: 0.0, worst: 0.0 };
            assert_eq!(compare(&one.losses, &one.losses, F32), Ok(none), "{}", model.name);
            assert!(one.samples_per_second > 0.0);
            let [first, last] =
                [one.losses.first(), one.losses.last()].map(|loss| *loss.expect("steps"));
            // Else a card that does not train at all would pass.
            assert!(last < 0.8 * first, "{}: {first} to {last}", model.name);
        }
    }

    #[test]
    fn examples_of_steps_add_up_to_the_data() {
        let model = Model::demo().expect("a model");
        let steps = model.data.len().div_ceil(model.batch);
        let sum: usize = (0..steps).map(|step| model.examples(step)).sum();
        assert_eq!(sum, model.data.len());
        assert_eq!(model.examples(steps), model.batch);
    }
}
