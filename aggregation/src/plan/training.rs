//! How owners train, and how their updates become one.

use crate::config::Weighting;
use crate::limits::{BATCH_EXAMPLES_MAX, LOCAL_EPOCHS_MAX, ROUNDS_MAX, WEIGHT_MAX};

use super::error::Collector;
use super::section::{At, Section};

/// The `[training]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Rounds of the run.
    pub rounds: u32,
    /// Passes over an owner's data in one round.
    pub local_epochs: u32,
    /// Examples of one training step.
    pub batch_size: u32,
    /// How a step changes the model. Its state never leaves a round.
    pub optimizer: Optimizer,
    /// How owners count in the average.
    pub weighting: Weighting,
    /// What the average is multiplied by before it is added to the model.
    pub server_lr: f64,
}

/// How a training step changes the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent: `v = momentum v + g; w = w - lr v`.
    Sgd {
        /// Step size.
        lr: f64,
        /// Share of the previous step that is kept, below 1.
        momentum: f64,
    },
    /// Adam (Kingma & Ba, 2014) with betas 0.9 and 0.999.
    Adam {
        /// Step size.
        lr: f64,
    },
}

/// The mean is of another model than the parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mean of {mean} numbers for {parameters} parameters")]
pub struct OtherLength {
    /// Length of the mean.
    pub mean: usize,
    /// Length of the parameter vector.
    pub parameters: usize,
}

impl Training {
    /// The parameters of the next round: `p + server_lr * mean`, computed in `f64` and rounded
    /// once, so that everybody gets the same bits.
    ///
    /// # Errors
    /// [`OtherLength`] when the lengths differ.
    pub fn next_parameters(
        &self,
        parameters: &[f32],
        mean: &[f32],
    ) -> Result<Vec<f32>, OtherLength> {
        if parameters.len() != mean.len() {
            return Err(OtherLength { mean: mean.len(), parameters: parameters.len() });
        }
        let next = |(p, x): (&f32, &f32)| (f64::from(*p) + self.server_lr * f64::from(*x)) as f32;
        Ok(parameters.iter().zip(mean).map(next).collect())
    }
}

/// The section, with the place of the weighting for later checks.
pub(super) fn read(
    mut section: Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<(Training, At<Weighting>)> {
    let rounds = section.whole(errors, "rounds", 1..=ROUNDS_MAX.into());
    let local_epochs = section.whole_or(errors, "local_epochs", 1..=LOCAL_EPOCHS_MAX.into(), 1);
    let batch_size = section.whole(errors, "batch_size", 1..=BATCH_EXAMPLES_MAX.into());
    let help = "write `optimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9 }`";
    let optimizer = section.section(errors, "optimizer", help);
    let optimizer = optimizer.and_then(|section| read_optimizer(section, errors));
    let weighting = read_weighting(&mut section, errors);
    let server_lr = match section.optional("server_lr") {
        Some(field) => field.positive(errors).map(|at| at.value),
        None => Some(1.0),
    };
    section.finish(errors);
    let weighting = weighting?;
    let training = Training {
        rounds: rounds?.value as u32,
        local_epochs: local_epochs? as u32,
        batch_size: batch_size?.value as u32,
        optimizer: optimizer?,
        weighting: weighting.value,
        server_lr: server_lr?,
    };
    Some((training, weighting))
}

fn read_optimizer(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Optimizer> {
    let is_sgd = section
        .required(errors, "name", "write `name = \"sgd\"` or `name = \"adam\"`")?
        .choice(errors, &[("sgd", true), ("adam", false)])?;
    let lr = section.positive(errors, "lr").map(|at| at.value);
    let optimizer = if is_sgd {
        let momentum = match section.optional("momentum") {
            Some(field) => field.fraction(errors),
            None => Some(0.0),
        };
        lr.zip(momentum).map(|(lr, momentum)| Optimizer::Sgd { lr, momentum })
    } else {
        lr.map(|lr| Optimizer::Adam { lr })
    };
    section.finish(errors);
    optimizer
}

fn read_weighting(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<At<Weighting>> {
    let help = "write `weighting = \"uniform\"` or `weighting = { capped_examples = 1000 }`";
    let field = section.required(errors, "weighting", help)?;
    let span = field.span.clone();
    if field.is_text() {
        let value = field.choice(errors, &[("uniform", Weighting::Uniform)])?;
        return Some(At { value, span });
    }
    let mut table = field.section(errors)?;
    let cap = table.whole(errors, "capped_examples", 1..=WEIGHT_MAX.into());
    table.finish(errors);
    let cap = cap?;
    Some(At { value: Weighting::CappedExamples(cap.value as u32), span: cap.span })
}
