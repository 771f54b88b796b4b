//! One fit: the steps of one owner in one round.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use covey_aggregation::plan::{EarlyStop, Training, Watch};

use crate::batch::Batch;
use crate::data::Dataset;
use crate::device::{Compute, OverMemory};
use crate::evaluate::answers;
use crate::gradient::{Terms, Wanted};
use crate::loss::loss;
use crate::metrics::LossMeter;
use crate::model::{Network, Pass, Precision, forward};
use crate::network::Built;
use crate::optimizer::optimizer;
use crate::random::{shuffle, stream};
use crate::train::{FitContext, FitError, FitReport, Progress, Trainer};

/// Trains what `build` gives on an autodiff device, in `precision`. The caller has checked
/// parameters, data and context.
pub(crate) fn run_fit<N: Network>(
    trainer: &Trainer,
    precision: Precision,
    build: &dyn Fn(&Device) -> Result<Built<N>, FitError>,
    parameters: &[f32],
    data: &Dataset,
    context: FitContext<'_>,
) -> Result<FitReport, FitError> {
    let compute = trainer.compute().clone();
    let device = compute.device.clone().autodiff();
    let Built { network, averages } = build(&device)?;
    let training = trainer.task.training();
    let terms = Terms::new(
        &Wanted {
            proximal: trainer.task.proximal().map(|mu| (mu, parameters)),
            offset: context.gradient_offset,
            norm_max: training.gradient_clip,
        },
        &trainer.task.places().module,
        &compute.device,
    );
    let mut fit = Fit {
        steps: training.steps(data.len() as u64),
        training,
        trainer,
        data,
        context,
        compute,
        precision,
        device,
        built: Some(Built { network, averages }),
        optimizer: optimizer(training.optimizer),
        terms,
        step: 0,
        lr_sum: 0.0,
    };
    let (loss, is_stopped_early) = fit.run()?;
    fit.report(parameters, loss, is_stopped_early)
}

/// One fit under way.
struct Fit<'a, 'c, N> {
    trainer: &'a Trainer,
    training: &'a Training,
    data: &'a Dataset,
    context: FitContext<'c>,
    precision: Precision,
    compute: Compute,
    /// The same, tracked.
    device: Device,
    /// None only while the optimiser has it.
    built: Option<Built<N>>,
    optimizer: ModuleOptimizer,
    terms: Terms,
    steps: u64,
    step: u64,
    lr_sum: f64,
}

impl<N: Network> Fit<'_, '_, N> {
    /// All passes; the mean loss of the last, and whether an early stop ended them.
    fn run(&mut self) -> Result<(f32, bool), FitError> {
        let seed = self.context.seed.0;
        let mut order_rng = stream("example-order", &[&seed]);
        let mut dropout_rng = stream("dropout", &[&seed]);
        let mut order: Vec<usize> = (0..self.data.len()).collect();
        let mut patience = Patience::new(self.training.early_stop);
        let mut epoch = 0;
        loop {
            epoch += 1;
            shuffle(&mut order, &mut order_rng);
            let (mut loss_sum, mut seen) = (0.0, 0);
            for numbers in order.chunks(self.training.batch_size as usize) {
                if self.step == self.steps {
                    break;
                }
                if self.context.cancel.is_cancelled() {
                    return Err(FitError::Cancelled { step: self.step });
                }
                let loss = self.train_on(numbers, Pass::training(&mut dropout_rng))?;
                loss_sum += f64::from(loss) * numbers.len() as f64;
                seen += numbers.len();
                let (step, steps) = (self.step, self.steps);
                (self.context.progress)(Progress { step, steps, epoch, loss });
            }
            let mean_loss = loss_sum / seen as f64;
            if self.step == self.steps {
                return Ok((mean_loss as f32, false));
            }
            if let Some(watched) = self.watched(mean_loss)?
                && patience.is_over(watched)
            {
                return Ok((mean_loss as f32, true));
            }
        }
    }

    /// One step, always through `backward`: a tracked pass without it is kept in memory.
    fn train_on(&mut self, numbers: &[usize], mut pass: Pass<'_>) -> Result<f32, FitError> {
        self.step += 1;
        let Some(Built { network, mut averages }) = self.built.take() else {
            return Err(gone());
        };
        let batch = Batch::new(self.data, numbers, &self.device);
        let outputs = forward(&network, batch.input, &mut pass, self.precision);
        let loss = loss(outputs, batch.wanted, self.training.loss);
        let mut gradients = GradientsParams::from_grads(loss.backward(), &network);
        let loss = loss.into_scalar::<f32>();
        if !loss.is_finite() {
            return Err(FitError::Diverged { step: self.step, what: "the loss" });
        }
        for seen in pass.into_seen() {
            if let Some(Some(average)) = averages.get_mut(seen.norm) {
                average.observe(&seen);
            }
        }
        self.terms.apply(&network, &mut gradients);
        let Training { optimizer, schedule, rounds, .. } = self.training;
        let factor = schedule.factor(self.context.round, *rounds, self.step, self.steps);
        let lr = optimizer.lr() * factor;
        self.lr_sum += lr;
        let network = self.optimizer.step(lr, network, gradients);
        self.built = Some(Built { network, averages });
        match self.compute.over_memory() {
            None => Ok(loss),
            Some(OverMemory { reserved, max }) => Err(FitError::DeviceMemory { reserved, max }),
        }
    }

    /// The loss that an early stop looks at after a pass, if there is one.
    fn watched(&self, mean_loss: f64) -> Result<Option<f64>, FitError> {
        let Some(EarlyStop { watch, .. }) = self.training.early_stop else { return Ok(None) };
        match (watch, self.context.holdout, &self.built) {
            (Watch::Training, ..) => Ok(Some(mean_loss)),
            (Watch::Holdout, Some(holdout), Some(built)) if !holdout.is_empty() => {
                let mut meter = LossMeter::new(self.training.loss);
                let device = &self.compute.device;
                let network = built.network.valid();
                answers(&network, built.averages.clone(), holdout, device, &mut |answer| {
                    if meter.add(&answer) { Ok(true) } else { Err(FitError::BadOutputs) }
                })?;
                Ok(Some(meter.finish()))
            }
            (Watch::Holdout, ..) => Ok(None),
        }
    }

    fn report(
        &self,
        parameters: &[f32],
        loss: f32,
        is_stopped_early: bool,
    ) -> Result<FitReport, FitError> {
        let Some(built) = &self.built else { return Err(gone()) };
        let trained = self.trainer.task.places().flatten(built);
        let update: Vec<f32> = trained.iter().zip(parameters).map(|(new, old)| new - old).collect();
        if update.iter().any(|change| !change.is_finite()) {
            return Err(FitError::Diverged { step: self.step, what: "a parameter" });
        }
        let (examples, steps, lr_sum) = (self.data.len() as u32, self.step, self.lr_sum);
        Ok(FitReport { update, examples, loss, steps, lr_sum, is_stopped_early })
    }
}

/// The optimiser has not given the model back.
pub(crate) fn gone() -> FitError {
    FitError::Fault { reason: "the model is gone".to_owned() }
}

/// Counts passes without a lower loss.
struct Patience {
    passes: u32,
    best: f64,
    without: u32,
}

impl Patience {
    fn new(stop: Option<EarlyStop>) -> Self {
        let passes = stop.map_or(u32::MAX, |stop| stop.patience);
        Self { passes, best: f64::INFINITY, without: 0 }
    }

    fn is_over(&mut self, loss: f64) -> bool {
        if loss < self.best {
            (self.best, self.without) = (loss, 0);
        } else {
            self.without += 1;
        }
        self.without >= self.passes
    }
}

#[cfg(test)]
mod tests {
    use covey_aggregation::plan::Plan;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::model::tests::{IMAGE, plan_text};
    use crate::task::Task;
    use crate::train::{Cancel, FitSeed};

    #[test]
    fn outputs_beyond_numbers_on_the_watched_holdout_are_an_error() {
        let text = plan_text(
            &format!("{IMAGE}\nholdout = 0.2"),
            "{ kind = \"flatten\" }, { kind = \"linear\", out = 3 }",
        );
        let stop = "[training]\nlocal_epochs = 4\n\
                    early_stop = { patience = 1, watch = \"holdout\" }\n";
        let plan = Plan::parse(&text.replace("[training]\n", stop)).expect("a plan");
        let task = Task::from_plan(&plan).expect("a model");
        let trainer = Trainer::new(&task, DeviceChoice::Cpu).expect("the processor");
        let data = |value: f32| Dataset::new(vec![value; 8 * 96], vec![0; 8], 96, 3);
        let (data, beyond) = (data(0.0).expect("a data set"), data(3e38).expect("a data set"));
        let fit = |holdout| {
            let (cancel, mut progress) = (Cancel::new(), |_| ());
            let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
            trainer.fit(&vec![1.0; task.parameters()], &data, context.watching(Some(holdout)))
        };
        // Finite parameters and a finite loss of training, but 96 times 3e38 is no f32.
        assert_eq!(fit(&beyond), Err(FitError::BadOutputs));
        assert!(fit(&data).is_ok());
    }

    #[test]
    fn patience_ends_after_so_many_passes_without_a_lower_loss() {
        let watch = Watch::Training;
        let mut patience = Patience::new(Some(EarlyStop { patience: 2, watch }));
        let ended = [3.0, 2.0, 2.0, 1.9, f64::NAN, 1.9].map(|loss| patience.is_over(loss));
        assert_eq!(ended, [false, false, false, false, false, true]);
    }
}
