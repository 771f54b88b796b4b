//! How owners train, and how their updates become one.

use crate::config::Weighting;
use crate::limits::{
    BATCH_EXAMPLES_MAX, LOCAL_EPOCHS_MAX, LOCAL_STEPS_MAX, ROUNDS_MAX, WEIGHT_MAX,
};

use super::data::Data;
use super::error::{Code, Collector};
use super::goal::Goal;
use super::schedule::{self, Schedule};
use super::section::{At, Field, Section};

/// The `[training]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Rounds of the run.
    pub rounds: u32,
    /// Passes over an owner's data in one round.
    pub local_epochs: u32,
    /// Training steps in one round, where the plan counts steps instead of passes.
    pub local_steps: Option<u32>,
    /// Examples of one training step.
    pub batch_size: u32,
    /// How a step changes the model. Its state never leaves a round.
    pub optimizer: Optimizer,
    /// How the step size changes over the run.
    pub schedule: Schedule,
    /// The largest L2 norm of a step's whole gradient.
    pub gradient_clip: Option<f64>,
    /// What is made small.
    pub loss: Loss,
    /// When an owner ends a round's training early.
    pub early_stop: Option<EarlyStop>,
    /// How owners count in the average.
    pub weighting: Weighting,
    /// What the average is multiplied by before it is added to the model.
    pub server_lr: f64,
}

/// How a training step changes the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent: `g = g + weight_decay w; v = momentum v + g; w = w - lr v`;
    /// with Nesterov's momentum `w = w - lr (g + momentum v)`.
    Sgd {
        /// Step size.
        lr: f64,
        /// Share of the previous step that is kept, below 1.
        momentum: f64,
        /// Whether the step looks ahead along the momentum.
        nesterov: bool,
        /// How strongly parameters are pulled to zero.
        weight_decay: f64,
    },
    /// Adam (Kingma & Ba, 2014) with betas 0.9 and 0.999.
    Adam {
        /// Step size.
        lr: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter, 2019): also
    /// `w = w - lr weight_decay w`.
    AdamW {
        /// Step size.
        lr: f64,
        /// How strongly parameters are pulled to zero.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// The full step size.
    #[must_use]
    pub const fn lr(&self) -> f64 {
        match self {
            Self::Sgd { lr, .. } | Self::Adam { lr } | Self::AdamW { lr, .. } => *lr,
        }
    }
}

/// What training makes small: the mean over examples, or over all tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Cross-entropy of the class in nats.
    CrossEntropy,
    /// Square of the error.
    SquaredError,
    /// `e^2 / 2` up to `delta`, `delta (|e| - delta / 2)` beyond (Huber, 1964).
    Huber {
        /// Where the square ends.
        delta: f64,
    },
    /// Cross-entropy of the next token in nats, at every step.
    NextToken,
}

impl Loss {
    /// The word for it in a plan.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::SquaredError => "mse",
            Self::Huber { .. } => "huber",
            Self::NextToken => "next_token",
        }
    }

    /// The usual loss for a goal.
    const fn of(goal: Goal) -> Self {
        match goal {
            Goal::Class(_) => Self::CrossEntropy,
            Goal::Number => Self::SquaredError,
            Goal::NextToken(_) => Self::NextToken,
        }
    }

    const fn fits(&self, goal: Goal) -> bool {
        matches!(
            (self, goal),
            (Self::CrossEntropy, Goal::Class(_))
                | (Self::SquaredError | Self::Huber { .. }, Goal::Number)
                | (Self::NextToken, Goal::NextToken(_))
        )
    }
}

/// Ends a round's training at an owner when the loss no longer falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyStop {
    /// Passes over the data without a lower loss before training ends.
    pub patience: u32,
    /// Which loss.
    pub watch: Watch,
}

/// Which loss an early stop watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// The mean over a pass, as it was seen while training.
    Training,
    /// That of the owner's examples kept out of training.
    Holdout,
}

impl Training {
    /// With what probability each of so many examples is in a step's sample, where examples are hidden.
    #[must_use]
    pub fn sampling_rate(&self, examples: u64) -> f64 {
        (f64::from(self.batch_size) / examples as f64).min(1.0)
    }

    /// Steps of one owner of so many training examples in one round, unless an early stop ends them.
    #[must_use]
    pub fn steps(&self, examples: u64) -> u64 {
        let pass = examples.div_ceil(u64::from(self.batch_size).max(1));
        self.local_steps.map_or_else(|| pass * u64::from(self.local_epochs), u64::from)
    }
}

/// The section, with the place of the weighting for later checks. `data` are known where they are
/// well described.
pub(super) fn read(
    mut section: Section<'_>,
    data: Option<&Data>,
    errors: &mut Collector<'_>,
) -> Option<(Training, At<Weighting>)> {
    let goal = data.map(Data::goal);
    let rounds = section.whole(errors, "rounds", 1..=ROUNDS_MAX.into());
    let local = read_local(&mut section, errors);
    let batch_size = section.whole(errors, "batch_size", 1..=BATCH_EXAMPLES_MAX.into());
    let help = "write `optimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9 }`";
    let optimizer = section.section(errors, "optimizer", help);
    let optimizer = optimizer.and_then(|section| read_optimizer(section, errors));
    let schedule = match section.optional("schedule") {
        Some(field) => schedule::read(field, errors),
        None => Some(At { value: Schedule::CONSTANT, span: 0..0 }),
    };
    let gradient_clip = match section.optional("gradient_clip") {
        Some(field) => field.positive(errors).map(|at| Some(at.value)),
        None => Some(None),
    };
    let loss = match section.optional("loss") {
        Some(field) => read_loss(field, goal, errors),
        None => goal.map(Loss::of),
    };
    let early_stop = match section.optional("early_stop") {
        Some(field) => read_early_stop(field, data, errors).map(Some),
        None => Some(None),
    };
    let weighting = read_weighting(&mut section, errors);
    let server_lr = match section.optional("server_lr") {
        Some(field) => field.positive(errors).map(|at| at.value),
        None => Some(1.0),
    };
    section.finish(errors);
    if let (Some(schedule), Some(rounds)) = (&schedule, &rounds) {
        schedule::check(schedule, rounds.value as u32, errors);
    }
    let (weighting, (local_epochs, local_steps)) = (weighting?, local?);
    let training = Training {
        rounds: rounds?.value as u32,
        local_epochs,
        local_steps,
        batch_size: batch_size?.value as u32,
        optimizer: optimizer?,
        schedule: schedule?.value,
        gradient_clip: gradient_clip?,
        loss: loss?,
        early_stop: early_stop?,
        weighting: weighting.value,
        server_lr: server_lr?,
    };
    Some((training, weighting))
}

/// Passes, and steps where they are counted instead.
fn read_local(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<(u32, Option<u32>)> {
    let steps = section.optional("local_steps");
    let epochs = section.optional("local_epochs");
    if let (Some(steps), Some(_)) = (&steps, &epochs) {
        let message = "training has both local_epochs and local_steps";
        let help = "keep one: passes over an owner's data, or a number of steps for every owner";
        errors.push(&steps.span, Code::Conflict, message, help);
        return None;
    }
    if let Some(field) = steps {
        let steps = field.whole(errors, 1..=LOCAL_STEPS_MAX.into())?;
        return Some((1, Some(steps.value as u32)));
    }
    let Some(field) = epochs else { return Some((1, None)) };
    Some((field.whole(errors, 1..=LOCAL_EPOCHS_MAX.into())?.value as u32, None))
}

fn read_optimizer(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Optimizer> {
    let names = ["sgd", "adam", "adamw"].map(|name| (name, name));
    let help = "write `name = \"sgd\"`, `name = \"adam\"` or `name = \"adamw\"`";
    let name = section.required(errors, "name", help)?.choice(errors, &names)?;
    let lr = section.positive(errors, "lr").map(|at| at.value);
    let optimizer = match name {
        "sgd" => {
            let momentum = match section.optional("momentum") {
                Some(field) => field.fraction(errors),
                None => Some(0.0),
            };
            let nesterov = read_nesterov(&mut section, momentum, errors);
            let weight_decay = read_weight_decay(&mut section, errors, 0.0);
            match (lr, momentum, nesterov, weight_decay) {
                (Some(lr), Some(momentum), Some(nesterov), Some(weight_decay)) => {
                    Some(Optimizer::Sgd { lr, momentum, nesterov, weight_decay })
                }
                _ => None,
            }
        }
        "adam" => lr.map(|lr| Optimizer::Adam { lr }),
        _ => {
            let weight_decay = read_weight_decay(&mut section, errors, ADAMW_WEIGHT_DECAY);
            lr.zip(weight_decay).map(|(lr, weight_decay)| Optimizer::AdamW { lr, weight_decay })
        }
    };
    section.finish(errors);
    optimizer
}

/// What AdamW's authors and PyTorch take.
const ADAMW_WEIGHT_DECAY: f64 = 0.01;

fn read_nesterov(
    section: &mut Section<'_>,
    momentum: Option<f64>,
    errors: &mut Collector<'_>,
) -> Option<bool> {
    let Some(field) = section.optional("nesterov") else { return Some(false) };
    let span = field.span.clone();
    let nesterov = field.boolean(errors)?;
    if nesterov && momentum.is_some_and(|momentum| momentum <= 0.0) {
        let help = "add `momentum = 0.9`, or leave nesterov out";
        errors.push(&span, Code::Conflict, "nesterov without momentum does nothing", help);
        return None;
    }
    Some(nesterov)
}

fn read_weight_decay(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    default: f64,
) -> Option<f64> {
    section.optional("weight_decay").map_or(Some(default), |field| field.fraction(errors))
}

/// `loss = "huber"`, or `loss = { name = "huber", delta = 1.0 }`.
fn read_loss(field: Field<'_>, goal: Option<Goal>, errors: &mut Collector<'_>) -> Option<Loss> {
    let span = field.span.clone();
    let losses =
        [Loss::CrossEntropy, Loss::SquaredError, Loss::Huber { delta: 1.0 }, Loss::NextToken];
    let choices = losses.map(|loss| (loss.word(), loss));
    let loss = if field.is_text() {
        field.choice(errors, &choices)?
    } else {
        let mut section = field.section(errors)?;
        let help = "write `name = \"huber\"`, or cross_entropy, mse or next_token";
        let name = section.required(errors, "name", help);
        let mut loss = name.and_then(|field| field.choice(errors, &choices));
        if let Some(Loss::Huber { .. }) = loss
            && let Some(field) = section.optional("delta")
        {
            loss = field.positive(errors).map(|delta| Loss::Huber { delta: delta.value });
        }
        section.finish(errors);
        loss?
    };
    let goal = goal?;
    if !loss.fits(goal) {
        let (what, fitting) = match goal {
            Goal::Class(_) => ("a class", "\"cross_entropy\""),
            Goal::Number => ("a number", "\"mse\" or \"huber\""),
            Goal::NextToken(_) => ("the next token", "\"next_token\""),
        };
        let message = format!("loss {:?} where the data have {what} to predict", loss.word());
        let help = format!("use {fitting}, or leave the loss out");
        errors.push(&span, Code::Loss, message, help);
        return None;
    }
    Some(loss)
}

fn read_early_stop(
    field: Field<'_>,
    data: Option<&Data>,
    errors: &mut Collector<'_>,
) -> Option<EarlyStop> {
    let span = field.span.clone();
    let mut section = field.section(errors)?;
    let patience = section.whole(errors, "patience", 1..=LOCAL_EPOCHS_MAX.into());
    let help = "write `watch = \"training\"` or `watch = \"holdout\"`";
    let watch = section.required(errors, "watch", help);
    let watch = watch.and_then(|field| {
        field.choice(errors, &[("training", Watch::Training), ("holdout", Watch::Holdout)])
    });
    section.finish(errors);
    if let (Some(Watch::Holdout), Some(data)) = (watch, data)
        && data.rows().holdout <= 0.0
    {
        let message = "training.early_stop watches the holdout, but no example is held out";
        let help = "write `holdout = 0.1` in [data], or `watch = \"training\"`";
        errors.push(&span, Code::Conflict, message, help);
    }
    Some(EarlyStop { patience: patience?.value as u32, watch: watch? })
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
