//! One fit in which no example shows.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use covey_aggregation::plan::Training;
use rand_chacha::ChaCha8Rng;

use super::gradients::{Gradients, Scatter, Way, block};
use super::grid::Grid;
use super::noise::Noise;
use super::privacy::RecordPrivacy;
use super::sample::Sampler;
use super::seed::RecordSeed;
use super::sum::Sum;
use crate::data::Dataset;
use crate::device::{Compute, OverMemory};
use crate::fit::gone;
use crate::gradient::{Terms, Wanted};
use crate::model::Network;
use crate::network::Built;
use crate::optimizer::optimizer;
use crate::train::{FitContext, FitError, FitReport, Progress, Trainer};

/// What a fit is to do, beside what every fit is given.
pub(crate) struct Asked<'a> {
    pub(crate) data: &'a Dataset,
    pub(crate) privacy: RecordPrivacy,
    pub(crate) seed: &'a RecordSeed,
    pub(crate) way: Way,
}

/// Trains what `build` gives on an autodiff device. The caller has checked parameters, data,
/// context and what cannot be private.
pub(crate) fn run_records<N: Network>(
    trainer: &Trainer,
    build: &dyn Fn(&Device) -> Result<Built<N>, FitError>,
    parameters: &[f32],
    asked: &Asked<'_>,
    context: FitContext<'_>,
) -> Result<FitReport, FitError> {
    // Kept: another thread may have the processor take over meanwhile.
    let compute = trainer.compute().clone();
    let device = compute.device.clone().autodiff();
    let Built { network, .. } = build(&device)?;
    let training = trainer.task.training();
    let Asked { data, privacy, seed, way } = asked;
    let places = trainer.task.places();
    let terms = Terms::new(
        &Wanted {
            proximal: trainer.task.proximal().map(|mu| (mu, parameters)),
            offset: context.gradient_offset,
            norm_max: training.gradient_clip,
        },
        &places.module,
        &compute.device,
    );
    let examples = data.len();
    let (rate, grid) =
        (training.sampling_rate(examples as u64), Grid::new(privacy.clip_norm(), places.total));
    let mut fit = RecordFit {
        gradients: gradients(trainer, data, &device, *way),
        sampler: Sampler::new(examples, rate, seed.rng("record-sample")),
        noise: Noise::new(privacy.noise_multiplier(), grid, seed.rng("record-noise")),
        dropout: seed.dropout(),
        // What an example counts for: one over the expected size of the sample.
        share: 1.0 / f64::from(training.batch_size).min(examples as f64),
        grid,
        trainer,
        compute,
        training,
        context,
        network: Some(network),
        optimizer: optimizer(training.optimizer),
        terms,
        steps: training.steps(examples as u64),
        lr_sum: 0.0,
    };
    let loss = fit.run()?;
    fit.report(parameters, loss)
}

/// The sum of the clipped gradients of all examples, without noise and dropout.
pub(crate) fn sum_records<N: Network>(
    trainer: &Trainer,
    build: &dyn Fn(&Device) -> Result<Built<N>, FitError>,
    data: &Dataset,
    clip_norm: f64,
    way: Way,
) -> Result<Vec<f64>, FitError> {
    let device = trainer.compute().device.clone().autodiff();
    let Built { network, .. } = build(&device)?;
    let gradients = gradients(trainer, data, &device, way);
    let grid = Grid::new(clip_norm, gradients.numbers);
    let mut sum = Sum::new(grid, gradients.numbers);
    let all: Vec<usize> = (0..data.len()).collect();
    gradients.add(&network, &all, None, &mut sum)?;
    Ok(sum.finish().into_iter().map(|total| total as f64 * grid.step()).collect())
}

fn gradients<'a>(
    trainer: &'a Trainer,
    data: &'a Dataset,
    device: &'a Device,
    way: Way,
) -> Gradients<'a> {
    let (training, places) = (trainer.task.training(), trainer.task.places());
    Gradients {
        data,
        loss: training.loss,
        device,
        places: &places.module,
        numbers: places.total,
        way,
        block: block(training.batch_size),
    }
}

/// One fit under way.
struct RecordFit<'a, 'c, N> {
    gradients: Gradients<'a>,
    sampler: Sampler,
    noise: Noise,
    dropout: ChaCha8Rng,
    share: f64,
    grid: Grid,
    trainer: &'a Trainer,
    compute: Compute,
    training: &'a Training,
    context: FitContext<'c>,
    /// None only while the optimiser has it.
    network: Option<N>,
    optimizer: ModuleOptimizer,
    terms: Terms,
    steps: u64,
    lr_sum: f64,
}

impl<N: Network> RecordFit<'_, '_, N> {
    /// All steps; the mean loss of the examples of as many of the last as make a pass.
    fn run(&mut self) -> Result<f32, FitError> {
        let pass = self.gradients.data.len().div_ceil(self.training.batch_size as usize) as u64;
        let (mut loss_sum, mut seen, mut loss) = (0.0, 0, 0.0);
        for step in 1..=self.steps {
            if self.context.cancel.is_cancelled() {
                return Err(FitError::Cancelled { step: step - 1 });
            }
            if (step - 1) % pass == 0 {
                (loss_sum, seen) = (0.0, 0);
            }
            let sample = self.sampler.draw();
            let losses = self.train_on(&sample, step)?;
            loss_sum += losses;
            seen += sample.len();
            // After an empty sample the one before is shown again.
            if !sample.is_empty() {
                loss = (losses / sample.len() as f64) as f32;
            }
            let epoch = u32::try_from((step - 1) / pass + 1).unwrap_or(u32::MAX);
            (self.context.progress)(Progress { step, steps: self.steps, epoch, loss });
        }
        Ok(if seen == 0 { loss } else { (loss_sum / seen as f64) as f32 })
    }

    /// One step, also on an empty sample; the sum of the losses of its examples.
    fn train_on(&mut self, sample: &[usize], step: u64) -> Result<f64, FitError> {
        let Some(network) = self.network.take() else { return Err(gone()) };
        let mut sum = Sum::new(self.grid, self.gradients.numbers);
        let losses = self.gradients.add(&network, sample, Some(&mut self.dropout), &mut sum)?;
        let mut totals = sum.finish();
        self.noise.add_to(&mut totals);
        let scale = self.grid.step() * self.share;
        let flat: Vec<f32> = totals.into_iter().map(|x| (x as f64 * scale) as f32).collect();
        let mut gradients = GradientsParams::new();
        network.visit(&mut Scatter {
            flat: &flat,
            places: self.gradients.places,
            tensor: 0,
            device: &self.compute.device,
            gradients: &mut gradients,
        });
        self.terms.apply(&network, &mut gradients);
        let Training { optimizer, schedule, rounds, .. } = self.training;
        let factor = schedule.factor(self.context.round, *rounds, step, self.steps);
        let lr = optimizer.lr() * factor;
        self.lr_sum += lr;
        self.network = Some(self.optimizer.step(lr, network, gradients));
        match self.compute.over_memory() {
            None => Ok(losses),
            Some(OverMemory { reserved, max }) => Err(FitError::DeviceMemory { reserved, max }),
        }
    }

    fn report(&mut self, parameters: &[f32], loss: f32) -> Result<FitReport, FitError> {
        let Some(network) = self.network.take() else { return Err(gone()) };
        let built = Built { network, averages: Vec::new() };
        let trained = self.trainer.task.places().flatten(&built);
        let update: Vec<f32> = trained.iter().zip(parameters).map(|(new, old)| new - old).collect();
        // Of what has noise on it: this tells of no example.
        if update.iter().any(|change| !change.is_finite()) {
            return Err(FitError::Diverged { step: self.steps, what: "a parameter" });
        }
        let (examples, steps, lr_sum) = (self.gradients.data.len() as u32, self.steps, self.lr_sum);
        Ok(FitReport { update, examples, loss, steps, lr_sum, is_stopped_early: false })
    }
}
