//! Measuring a model on data that it was not trained on.

use std::cell::Cell;

use burn::tensor::Device;
use covey_aggregation::evaluation::Tally;

use crate::batch::Batch;
use crate::data::{Dataset, Inputs, Targets};
use crate::device::Compute;
use crate::limits::{EVALUATION_BATCH, EVALUATION_TOKENS};
pub use crate::metrics::Metrics;
use crate::model::{Average, Network, Pass, Seen};
use crate::train::{FitError, Trainer, guarded};

/// What a model answers about one example, or about one token of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    /// One of several classes, or one of several tokens.
    Class {
        /// One number for each class, before softmax.
        outputs: &'a [f32],
        /// The right one.
        label: u32,
    },
    /// A number, in the plan's scale.
    Number {
        /// The model's.
        output: f32,
        /// The right one.
        wanted: f32,
    },
}

/// Takes answers for as long as it wants them.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Answer<'_>) -> Result<bool, FitError>;

impl Trainer {
    /// Measures `parameters` on `data`, without dropout. A model with a NaN among its outputs is
    /// an error, not a bad model.
    ///
    /// # Errors
    /// [`FitError`], as for training.
    pub fn evaluate(&self, parameters: &[f32], data: &Dataset) -> Result<Metrics, FitError> {
        let mut meter = self.task.meter();
        self.answers(parameters, data, |answer| match meter.add(&answer) {
            true => Ok(true),
            false => Err(FitError::BadOutputs),
        })?;
        Ok(meter.finish())
    }

    /// Gives every answer of the model to `take`, example by example, until that wants no more.
    /// Batchnorms without averages of their own estimate them on all of `data` first.
    ///
    /// # Errors
    /// [`FitError`], as for training, and what `take` gives.
    pub fn answers(
        &self,
        parameters: &[f32],
        data: &Dataset,
        mut take: impl FnMut(Answer<'_>) -> Result<bool, FitError>,
    ) -> Result<(), FitError> {
        self.check(parameters, data)?;
        let compute = self.compute().clone();
        let is_given = Cell::new(false);
        let mut take = |answer: Answer<'_>| {
            is_given.set(true);
            take(answer)
        };
        let on = |compute: &Compute, take: Take<'_>| {
            guarded(|| self.task.answers(parameters, data, &compute.device, take))
        };
        let ended = on(&compute, &mut take);
        match ended {
            // Answers that were given cannot be taken back: then the error stands, and only the
            // next call is the processor's.
            Err(error) if compute.is_card() && self.takes_over(&error) && !is_given.get() => {
                on(self.compute(), &mut take)
            }
            ended => ended,
        }
    }

    /// Measures `parameters` on held-out `data` into a tally; where that cannot count them all, on
    /// examples that are evenly spread. No example is no error: then nothing is counted.
    ///
    /// # Errors
    /// [`FitError`], as for training; outputs that are no numbers count as wrong instead.
    pub fn tally(
        &self,
        parameters: &[f32],
        data: &Dataset,
        tally: &mut Tally,
    ) -> Result<(), FitError> {
        let answers = data.len() * data.answers();
        let counted = tally.sample(answers);
        if counted.is_empty() {
            return Ok(());
        }
        let (mut number, mut wanted) = (0, counted.into_iter().peekable());
        self.answers(parameters, data, |answer| {
            if wanted.next_if_eq(&number).is_some() {
                match answer {
                    Answer::Class { outputs, label } => tally.class(outputs, label),
                    Answer::Number { output, wanted } => {
                        tally.number(f64::from(output) - f64::from(wanted));
                    }
                }
            }
            number += 1;
            Ok(wanted.peek().is_some())
        })
    }
}

/// Gives every answer to `take`. `network` lies on the plain `device`: a tracked pass that is
/// never followed by `backward` is kept in memory.
pub(crate) fn answers<N: Network>(
    network: &N,
    mut averages: Vec<Option<Average>>,
    data: &Dataset,
    device: &Device,
    take: Take<'_>,
) -> Result<(), FitError> {
    let numbers: Vec<usize> = (0..data.len()).collect();
    let size = examples_at_once(data);
    estimate(network, &mut averages, data, device, size);
    for numbers in numbers.chunks(size) {
        let batch = Batch::new(data, numbers, device);
        let outputs = network.forward(batch.input, &mut Pass::measuring(&averages));
        let [_, width] = outputs.dims();
        let outputs: Vec<f32> = outputs.into_data().iter::<f32>().collect();
        let mut rows = outputs.chunks(width.max(1));
        for &number in numbers {
            if !give(data, number, &mut rows, take)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Examples of one step of measuring.
pub(crate) fn examples_at_once(data: &Dataset) -> usize {
    match data.inputs() {
        Inputs::Rows { .. } => EVALUATION_BATCH,
        Inputs::Windows { length, .. } => (EVALUATION_TOKENS / length).clamp(1, EVALUATION_BATCH),
    }
}

/// Gives the answers about one example.
fn give<'a>(
    data: &Dataset,
    number: usize,
    rows: &mut impl Iterator<Item = &'a [f32]>,
    take: Take<'_>,
) -> Result<bool, FitError> {
    match data.targets() {
        Targets::Classes { labels, .. } => rows
            .next()
            .map_or(Ok(false), |outputs| take(Answer::Class { outputs, label: labels[number] })),
        Targets::Numbers(values) => rows.next().map_or(Ok(false), |outputs| {
            take(Answer::Number { output: outputs[0], wanted: values[number] })
        }),
        Targets::NextToken => {
            for (&token, outputs) in data.window(number)[1..].iter().zip(rows) {
                if !take(Answer::Class { outputs, label: token as u32 })? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

/// Fills in the averages of batchnorms that have none of their own, from all of `data`, each
/// batch normalised by itself.
fn estimate<N: Network>(
    network: &N,
    averages: &mut [Option<Average>],
    data: &Dataset,
    device: &Device,
    size: usize,
) {
    if averages.iter().all(Option::is_some) {
        return;
    }
    let numbers: Vec<usize> = (0..data.len()).collect();
    let mut seen: Vec<Seen> = Vec::new();
    for numbers in numbers.chunks(size) {
        let batch = Batch::new(data, numbers, device);
        let mut pass = Pass::measuring(averages);
        let _ = network.forward(batch.input, &mut pass);
        seen.extend(pass.into_seen());
    }
    for (norm, average) in averages.iter_mut().enumerate().filter(|(_, one)| one.is_none()) {
        let own: Vec<&Seen> = seen.iter().filter(|seen| seen.norm == norm).collect();
        *average = Average::of(&own);
    }
}
