//! What is trained: three models, two batch sizes each. `benches/pytorch/training.py` has the same
//! models in PyTorch.

use covey_aggregation::plan::Plan;
use covey_model::data::Dataset;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Examples that batches are drawn from.
const EXAMPLES: usize = 1024;

const CLASSES: usize = 10;
const PIXELS: usize = 28 * 28;
const CONTEXT: usize = 128;

/// The characters of Shakespeare's plays, as a plan writes them.
const CHARACTERS: &str = "\\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const VOCABULARY: usize = 65;

/// One of the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Model {
    /// 784-256-10.
    Mlp,
    /// Two convolutions and two linear layers on 28 x 28 pixels.
    Cnn,
    /// Four blocks of width 128 on 128 tokens.
    Transformer,
}

/// One measurement, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) model: Model,
    /// Examples of a step.
    pub(crate) batch: u32,
    /// Steps that are timed.
    pub(crate) steps: u32,
    /// Steps before them.
    pub(crate) warmup: u32,
}

/// About a second of each on one core.
pub(crate) const CASES: [Case; 6] = [
    Case { model: Model::Mlp, batch: 32, steps: 1000, warmup: 100 },
    Case { model: Model::Mlp, batch: 128, steps: 500, warmup: 50 },
    Case { model: Model::Cnn, batch: 32, steps: 60, warmup: 6 },
    Case { model: Model::Cnn, batch: 128, steps: 16, warmup: 2 },
    Case { model: Model::Transformer, batch: 8, steps: 8, warmup: 1 },
    Case { model: Model::Transformer, batch: 32, steps: 3, warmup: 1 },
];

impl Model {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
            Self::Transformer => "transformer",
        }
    }

    const fn layers(self) -> &'static str {
        match self {
            Self::Mlp => {
                "{ kind = 'flatten' }, { kind = 'linear', out = 256 }, { kind = 'relu' },
                 { kind = 'linear', out = 10 }"
            }
            Self::Cnn => {
                "{ kind = 'conv2d', out = 16, kernel = 3, pad = 1 }, { kind = 'relu' },
                 { kind = 'maxpool2d', kernel = 2 },
                 { kind = 'conv2d', out = 32, kernel = 3, pad = 1 }, { kind = 'relu' },
                 { kind = 'maxpool2d', kernel = 2 }, { kind = 'flatten' },
                 { kind = 'linear', out = 128 }, { kind = 'relu' }, { kind = 'linear', out = 10 }"
            }
            Self::Transformer => {
                "{ kind = 'embedding', out = 128 }, { kind = 'position' },
                 { kind = 'encoder', layers = 4, heads = 4, ff = 512, causal = true },
                 { kind = 'layernorm' }, { kind = 'linear', out = 65 }"
            }
        }
    }

    fn data(self) -> String {
        match self {
            Self::Mlp | Self::Cnn => {
                "kind = 'image'\nheight = 28\nwidth = 28\npixel_max = 255\nclasses = 10".to_owned()
            }
            Self::Transformer => format!(
                "kind = 'text'\ntokens = 'characters'\nvocabulary = \"{CHARACTERS}\"\n\
                 unknown = 'skip'\ncontext = {CONTEXT}"
            ),
        }
    }

    /// Made data: how fast a step is does not hang on what is in them.
    pub(crate) fn dataset(self) -> Dataset {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let made = match self {
            Self::Mlp | Self::Cnn => {
                let numbers = (0..EXAMPLES * PIXELS).map(|_| rng.random()).collect();
                let labels = (0..EXAMPLES).map(|_| rng.random_range(0..CLASSES as u32)).collect();
                Dataset::new(numbers, labels, PIXELS, CLASSES)
            }
            Self::Transformer => {
                let length = CONTEXT + 1;
                let token = |_| rng.random_range(0..VOCABULARY as i32);
                let tokens: Vec<i32> = (0..EXAMPLES * length).map(token).collect();
                let starts = (0..EXAMPLES).map(|one| one * length).collect();
                Dataset::text(tokens.into(), starts, CONTEXT, VOCABULARY)
            }
        };
        made.expect("the numbers fit each other")
    }
}

impl Case {
    /// On a card: as many steps of each, after those in which its kernels are compiled and chosen.
    pub(crate) const fn on_card(self) -> Self {
        Self { steps: 300, warmup: 60, ..self }
    }

    /// The plan that asks for exactly these steps.
    pub(crate) fn plan(&self) -> Plan {
        let Self { model, batch, steps, warmup } = *self;
        let text = format!(
            "schema = 'plan/1'\nname = 'training'\npurpose = 'Measure how fast training is'\n\
             seed = 1\n[data]\n{}\n[model]\nlayers = [{}]\n[training]\nrounds = 1\n\
             local_steps = {}\nbatch_size = {batch}\noptimizer = {{ name = 'sgd', lr = 0.01 }}\n\
             weighting = 'uniform'\n[cohort]\nminimum = 3\nmaximum = 10\n\
             [secure_aggregation]\nprofile = 'A'\nbits = 8\nrange = 1\nclip_norm = 10\n\
             audit = 'off'\n",
            model.data(),
            model.layers(),
            steps + warmup,
        );
        Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
    }
}

#[cfg(test)]
mod tests {
    use covey_model::task::Task;

    use super::*;

    #[test]
    fn every_case_is_a_plan_whose_model_takes_its_data() {
        let expected = [203_530, 203_530, 206_922, 206_922, 826_433, 826_433];
        for (case, parameters) in CASES.into_iter().zip(expected) {
            let task = Task::from_plan(&case.plan()).expect("a model");
            assert_eq!(task.parameters(), parameters, "{case:?}");
            let data = case.model.dataset();
            assert_eq!((data.len(), data.features()), (EXAMPLES, task.features()), "{case:?}");
            assert!(case.batch as usize <= EXAMPLES);
        }
    }
}
