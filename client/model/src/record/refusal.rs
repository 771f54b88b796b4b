//! What cannot be trained with privacy for every example.

use covey_aggregation::shape::Step;
use covey_privacy::event::SAMPLING_RATE_MIN;

use crate::task::Task;

/// What a plan asks for that cannot be private, or cannot be asked of its model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefusal {
    /// A batchnorm mixes the examples of a batch, and keeps averages of them that get no noise.
    #[error(
        "layer {layer} is a batchnorm, which mixes examples and keeps averages of them: no \
         example can be hidden; use groupnorm or layernorm"
    )]
    BatchNorm {
        /// Its place, from 0; within a residual after a dot.
        layer: String,
    },
    /// An early stop looks at examples without noise.
    #[error(
        "training.early_stop looks at the owner's examples without noise: leave it out where \
         examples are to be private"
    )]
    EarlyStop,
    /// The sample would be too small a share for the accountant.
    #[error("batches of {batch_size} are too small a share of {examples} examples")]
    Rate {
        /// The plan's batch size.
        batch_size: u32,
        /// Examples there are.
        examples: usize,
    },
    /// The norm to clip to is no such norm.
    #[error("a norm that gradients are clipped to is a number from 1e-6 to 1e6")]
    ClipNorm,
    /// Blocks were asked of a model that has none.
    #[error("the model is no plain chain of linear layers: its examples go one by one")]
    NoChain,
}

/// Whether the task can be trained with privacy for every one of so many examples.
pub(super) fn check(task: &Task, examples: usize) -> Result<(), RecordRefusal> {
    let steps = task.blueprint().map_or(&[][..], |blueprint| &blueprint.steps);
    if let Some(layer) = batch_norm(steps) {
        return Err(RecordRefusal::BatchNorm { layer });
    }
    let training = task.training();
    if training.early_stop.is_some() {
        return Err(RecordRefusal::EarlyStop);
    }
    if training.sampling_rate(examples as u64) < SAMPLING_RATE_MIN {
        return Err(RecordRefusal::Rate { batch_size: training.batch_size, examples });
    }
    Ok(())
}

/// The place of the first batchnorm.
fn batch_norm(steps: &[Step]) -> Option<String> {
    steps.iter().enumerate().find_map(|(place, step)| match step {
        Step::BatchNorm { .. } => Some(place.to_string()),
        Step::Residual { steps, .. } => batch_norm(steps).map(|inner| format!("{place}.{inner}")),
        _ => None,
    })
}
