//! Training on one owner's data: same parameters, data and seed, bit-identical update (on the
//! same kind of machine), also with other trainers at work in the same process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Optimizer;
use rand_chacha::ChaCha8Rng;

use crate::correction::Correction;
use crate::data::Dataset;
use crate::device::{Compute, DeviceChoice, DeviceError};
use crate::model::{Model, Pass};
use crate::random::{key, shuffle, stream};
use crate::task::Task;

/// Trains and evaluates one task on one device. One per thread of work; they do not disturb
/// each other.
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(crate) task: Task,
    pub(crate) compute: Compute,
}

/// The seed of everything that one fit draws: the order of examples, and dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitSeed(pub [u8; 32]);

impl FitSeed {
    /// The seed of one client's fit in one round of a plan.
    #[must_use]
    pub fn derive(plan_seed: u64, round: u32, client: &PartyId) -> Self {
        let parts = [&plan_seed.to_le_bytes()[..], &round.to_le_bytes(), &client.0];
        Self(key("fit", &parts).0)
    }

    /// What rounds this fit's update to integers. It hangs on public values alone, as all of a
    /// fit does, so that a run can be done again to the same models: rounding at random keeps the
    /// mean right, it hides nothing.
    #[must_use]
    pub fn rounding(&self) -> ChaCha8Rng {
        stream("rounding", &[&self.0])
    }
}

/// Asks a fit to stop after its present step. Clones ask the same fit.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not yet asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a fit has come; told after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done, from 1.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Local epoch, from 1.
    pub epoch: u32,
    /// Mean loss of the step's examples.
    pub loss: f32,
}

/// What a fit is given beside parameters and data.
pub struct FitContext<'a> {
    /// Everything that is drawn follows from it.
    pub seed: FitSeed,
    /// Looked at between steps.
    pub cancel: &'a Cancel,
    /// Called after every step.
    pub progress: &'a mut dyn FnMut(Progress),
    /// Added to the gradient of every step, as long as the parameters (SCAFFOLD: `c - c_i`).
    pub gradient_offset: Option<&'a [f32]>,
}

/// What training gave.
#[derive(Clone, Debug, PartialEq)]
pub struct FitReport {
    /// New parameters minus old ones.
    pub update: Vec<f32>,
    /// Examples of the data set, each seen once per local epoch.
    pub examples: u32,
    /// Mean loss over the last local epoch, as it was seen while training.
    pub loss: f32,
    /// Training steps done.
    pub steps: u64,
    /// Sum of the learning rates of these steps.
    pub lr_sum: f64,
}

/// Training or evaluation could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// The parameter vector is another model's.
    #[error("{got} parameters were given, the plan's model has {expected}")]
    Parameters {
        /// Length of the model's vector.
        expected: usize,
        /// Length given.
        got: usize,
    },
    /// The data set is another plan's.
    #[error(
        "the data has {got_features} numbers per example and {got_classes} classes, the plan's \
         model takes {features} and {classes}; load it with this plan's [data] section"
    )]
    Data {
        /// Numbers per example of the model.
        features: usize,
        /// Classes of the model.
        classes: usize,
        /// Numbers per example of the data.
        got_features: usize,
        /// Classes of the data.
        got_classes: usize,
    },
    /// There is nothing to train on.
    #[error("the data set has no examples")]
    NoExamples,
    /// The parameters given hold a NaN or an infinity.
    #[error("parameter {index} is not a finite number; nothing was trained on it")]
    BadParameter {
        /// Its place in the vector.
        index: usize,
    },
    /// The loss or a parameter became NaN or infinite.
    #[error(
        "training diverged in step {step}: {what} is no longer a finite number; the plan needs \
         a smaller lr, or the data an input scaling"
    )]
    Diverged {
        /// Training step, from 1.
        step: u64,
        /// What it was seen on.
        what: &'static str,
    },
    /// The parameters and the data are finite, the model's outputs are not.
    #[error(
        "the model's outputs are not finite numbers: its parameters have grown beyond use, and \
         the run should go back to an earlier model or a smaller lr"
    )]
    BadOutputs,
    /// [`Cancel`] was asked.
    #[error("training was cancelled after step {step}")]
    Cancelled {
        /// Steps done.
        step: u64,
    },
    /// A fault in the numeric library or its driver.
    #[error("training stopped on an internal fault: {reason}")]
    Fault {
        /// What it said.
        reason: String,
    },
}

impl Trainer {
    /// A trainer of `task` on the device chosen.
    ///
    /// # Errors
    /// [`DeviceError`] when that device cannot be used.
    pub fn new(task: &Task, choice: DeviceChoice) -> Result<Self, DeviceError> {
        Ok(Self { task: task.clone(), compute: Compute::resolve(choice)? })
    }

    /// The task.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Where it computes.
    #[must_use]
    pub const fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Trains on `data` as the plan says, beginning with `parameters`. The optimiser's state
    /// begins and ends here.
    ///
    /// # Errors
    /// [`FitError`]; never a panic, also not for a fault inside the numeric library.
    pub fn fit(
        &self,
        parameters: &[f32],
        data: &Dataset,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        self.check(parameters, data)?;
        if let Some(offset) = context.gradient_offset
            && offset.len() != parameters.len()
        {
            return Err(FitError::Parameters { expected: parameters.len(), got: offset.len() });
        }
        guarded(|| {
            let mut fit = Fit::new(self, parameters, data, context);
            let loss = fit.run()?;
            fit.report(parameters, loss)
        })
    }

    /// Whether parameters and data are this task's.
    pub(crate) fn check(&self, parameters: &[f32], data: &Dataset) -> Result<(), FitError> {
        let task = &self.task;
        if parameters.len() != task.parameters() {
            return Err(FitError::Parameters {
                expected: task.parameters(),
                got: parameters.len(),
            });
        }
        if data.features() != task.features() || data.classes() != task.classes() {
            return Err(FitError::Data {
                features: task.features(),
                classes: task.classes(),
                got_features: data.features(),
                got_classes: data.classes(),
            });
        }
        if data.is_empty() {
            return Err(FitError::NoExamples);
        }
        match parameters.iter().position(|parameter| !parameter.is_finite()) {
            Some(index) => Err(FitError::BadParameter { index }),
            None => Ok(()),
        }
    }
}

/// Runs `work`; a panic inside it becomes an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, FitError>) -> Result<T, FitError> {
    // Everything that `work` changes is its own and is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Err(FitError::Fault { reason: text.unwrap_or("no reason given").to_owned() })
    })
}

/// The examples with these numbers, as tensors on `device`. Made from host memory for each
/// step: slices of one large tracked tensor would be kept by the autodiff graph.
pub(crate) fn batch(
    data: &Dataset,
    numbers: &[usize],
    device: &Device,
) -> (Tensor<2>, Tensor<1, Int>) {
    let mut features = Vec::with_capacity(numbers.len() * data.features());
    for &number in numbers {
        features.extend_from_slice(data.example(number));
    }
    let labels: Vec<i32> = numbers.iter().map(|&number| data.labels()[number] as i32).collect();
    let count = numbers.len();
    let features = TensorData::new(features, [count, data.features()]);
    let labels = TensorData::new(labels, [count]);
    (Tensor::from_data(features, device), Tensor::from_data(labels, device))
}

/// One fit under way.
struct Fit<'a, 'c> {
    trainer: &'a Trainer,
    data: &'a Dataset,
    context: FitContext<'c>,
    /// What the fit began with.
    parameters: &'a [f32],
    device: Device,
    model: Option<Model>,
    optimizer: ModuleOptimizer,
    step: u64,
    lr_sum: f64,
}

impl<'a, 'c> Fit<'a, 'c> {
    fn new(
        trainer: &'a Trainer,
        parameters: &'a [f32],
        data: &'a Dataset,
        context: FitContext<'c>,
    ) -> Self {
        let device = trainer.compute.device.clone().autodiff();
        let model = Model::build(trainer.task.blueprint(), parameters, &device);
        let optimizer = optimizer(trainer.task.training().optimizer);
        let model = Some(model);
        Self { trainer, data, context, parameters, device, model, optimizer, step: 0, lr_sum: 0.0 }
    }

    /// All local epochs; the mean loss of the last.
    fn run(&mut self) -> Result<f32, FitError> {
        let training = self.trainer.task.training().clone();
        let batch_size = training.batch_size as usize;
        let steps = self.data.len().div_ceil(batch_size) as u64 * u64::from(training.local_epochs);
        let seed = self.context.seed.0;
        let mut order_rng = stream("example-order", &[&seed]);
        let mut dropout_rng = stream("dropout", &[&seed]);
        let mut order: Vec<usize> = (0..self.data.len()).collect();
        let mut mean_loss = 0.0;
        for epoch in 1..=training.local_epochs {
            shuffle(&mut order, &mut order_rng);
            let mut loss_sum = 0.0;
            for numbers in order.chunks(batch_size) {
                if self.context.cancel.is_cancelled() {
                    return Err(FitError::Cancelled { step: self.step });
                }
                let loss = self.train_on(numbers, &mut Pass::Training(&mut dropout_rng))?;
                loss_sum += f64::from(loss) * numbers.len() as f64;
                (self.context.progress)(Progress { step: self.step, steps, epoch, loss });
            }
            mean_loss = (loss_sum / self.data.len() as f64) as f32;
        }
        Ok(mean_loss)
    }

    /// One step, always through `backward`: a tracked pass without it is kept in memory.
    fn train_on(&mut self, numbers: &[usize], pass: &mut Pass<'_>) -> Result<f32, FitError> {
        self.step += 1;
        let Some(model) = self.model.take() else {
            return Err(FitError::Fault { reason: "the model is gone".to_owned() });
        };
        let (examples, labels) = batch(self.data, numbers, &self.device);
        let outputs = model.forward(examples, pass);
        let loss = CrossEntropyLossConfig::new().init(&self.device).forward(outputs, labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let loss = loss.into_scalar::<f32>();
        if !loss.is_finite() {
            return Err(FitError::Diverged { step: self.step, what: "the loss" });
        }
        let correction = Correction {
            offset: self.context.gradient_offset,
            pull: self.trainer.task.proximal().map(|mu| (mu, self.parameters)),
        };
        let gradients = correction.apply(&model, gradients);
        let lr = match self.trainer.task.training().optimizer {
            Optimizer::Sgd { lr, .. } | Optimizer::Adam { lr } => lr,
        };
        self.lr_sum += lr;
        self.model = Some(self.optimizer.step(lr, model, gradients));
        Ok(loss)
    }

    fn report(&self, parameters: &[f32], loss: f32) -> Result<FitReport, FitError> {
        let trained = self.model.as_ref().map(|model| model.flatten(parameters.len()));
        let trained = trained.filter(|trained| trained.len() == parameters.len());
        let Some(trained) = trained else {
            return Err(FitError::Fault { reason: "the model changed its size".to_owned() });
        };
        let update: Vec<f32> = trained.iter().zip(parameters).map(|(new, old)| new - old).collect();
        if update.iter().any(|change| !change.is_finite()) {
            return Err(FitError::Diverged { step: self.step, what: "a parameter" });
        }
        let (examples, steps, lr_sum) = (self.data.len() as u32, self.step, self.lr_sum);
        Ok(FitReport { update, examples, loss, steps, lr_sum })
    }
}

fn optimizer(optimizer: Optimizer) -> ModuleOptimizer {
    match optimizer {
        Optimizer::Sgd { momentum, .. } if momentum > 0.0 => {
            // burn's default dampening of 0.1 is not what plans mean by momentum.
            let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).init()
        }
        Optimizer::Sgd { .. } => SgdConfig::new().init(),
        Optimizer::Adam { .. } => AdamConfig::new().with_epsilon(1e-8).init(),
    }
}
