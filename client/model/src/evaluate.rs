//! Measuring a model on data that it was not trained on.

use burn::nn::loss::CrossEntropyLossConfig;
use covey_aggregation::evaluation::Tally;

use crate::data::Dataset;
use crate::limits::EVALUATION_BATCH;
use crate::model::{Model, Pass};
use crate::train::{FitError, Trainer, batch, guarded};

/// How well a model does on a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Examples whose label got the largest output.
    pub correct: u32,
    /// Examples.
    pub count: u32,
}

impl Metrics {
    /// Share of correct examples, from 0 to 1.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        f64::from(self.correct) / f64::from(self.count)
    }
}

impl Trainer {
    /// Measures `parameters` on `data`, without dropout. A model with a NaN among its outputs is
    /// an error, not a bad model.
    ///
    /// # Errors
    /// [`FitError`], as for training.
    pub fn evaluate(&self, parameters: &[f32], data: &Dataset) -> Result<Metrics, FitError> {
        self.check(parameters, data)?;
        guarded(|| self.measure(parameters, data))
    }

    /// Measures `parameters` on held-out `data` into a tally. No example is no error: then nothing
    /// is counted.
    ///
    /// # Errors
    /// [`FitError`], as for training; outputs that are no numbers count as wrong instead.
    pub fn tally(
        &self,
        parameters: &[f32],
        data: &Dataset,
        tally: &mut Tally,
    ) -> Result<(), FitError> {
        if data.is_empty() {
            return Ok(());
        }
        self.check(parameters, data)?;
        guarded(|| {
            let numbers = tally.sample(data.len());
            self.outputs(parameters, data, &numbers, |_, numbers, rows| {
                for (row, &number) in rows.zip(numbers) {
                    tally.class(row, data.labels()[number]);
                }
                Ok(())
            })
        })
    }

    fn measure(&self, parameters: &[f32], data: &Dataset) -> Result<Metrics, FitError> {
        let (mut loss_sum, mut correct) = (0.0, 0);
        let numbers: Vec<usize> = (0..data.len()).collect();
        self.outputs(parameters, data, &numbers, |loss, numbers, rows| {
            if !loss.is_finite() {
                return Err(FitError::BadOutputs);
            }
            loss_sum += f64::from(loss) * numbers.len() as f64;
            correct +=
                rows.zip(numbers).filter(|(row, n)| largest(row) == data.labels()[**n]).count();
            Ok(())
        })?;
        let loss = loss_sum / data.len() as f64;
        Ok(Metrics { loss, correct: correct as u32, count: data.len() as u32 })
    }

    /// Hands on the mean loss and the outputs of batch after batch of the examples with these
    /// numbers.
    fn outputs(
        &self,
        parameters: &[f32],
        data: &Dataset,
        numbers: &[usize],
        mut take: impl FnMut(f32, &[usize], std::slice::Chunks<'_, f32>) -> Result<(), FitError>,
    ) -> Result<(), FitError> {
        // The plain device: a tracked pass that is never followed by `backward` is kept.
        let device = &self.compute.device;
        let model = Model::build(self.task.blueprint(), parameters, device);
        let cross_entropy = CrossEntropyLossConfig::new().init(device);
        for numbers in numbers.chunks(EVALUATION_BATCH) {
            let (examples, labels) = batch(data, numbers, device);
            let outputs = model.forward(examples, &mut Pass::Evaluation);
            let loss = cross_entropy.forward(outputs.clone(), labels).into_scalar::<f32>();
            let outputs: Vec<f32> = outputs.into_data().iter::<f32>().collect();
            take(loss, numbers, outputs.chunks(data.classes()))?;
        }
        Ok(())
    }
}

/// Place of the largest number; the first of equal ones.
fn largest(row: &[f32]) -> u32 {
    let mut best = 0;
    for (place, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = place;
        }
    }
    best as u32
}
