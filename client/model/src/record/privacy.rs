//! How private every example is to be, and what a round costs.

use covey_aggregation::plan::{RoundCost, Training};
use covey_privacy::event::BadEvent;

/// Least and largest norm that gradients are clipped to.
pub const CLIP_NORM_BOUNDS: (f64, f64) = (1e-6, 1e6);

/// Least and largest ratio of noise to clipping norm that is drawn. The accountant begins higher,
/// at 0.05: below, [`RecordPrivacy::charge`] is an error, and training is of use to tests alone.
pub const NOISE_MULTIPLIER_BOUNDS: (f64, f64) = (1e-6, 1e6);

/// How private every example is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordPrivacy {
    noise_multiplier: f64,
    clip_norm: f64,
}

/// Numbers that nothing is trained with, or that no accountant takes.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadRecordPrivacy {
    /// Outside [`NOISE_MULTIPLIER_BOUNDS`].
    #[error("a noise multiplier is a number from 1e-6 to 1e6, this is {0}")]
    NoiseMultiplier(f64),
    /// Outside [`CLIP_NORM_BOUNDS`].
    #[error("a norm that gradients are clipped to is a number from 1e-6 to 1e6, this is {0}")]
    ClipNorm(f64),
    /// There is nothing to train on.
    #[error("the data set has no examples")]
    NoExamples,
    /// The accountant does not take it.
    #[error(transparent)]
    Event(#[from] BadEvent),
}

impl RecordPrivacy {
    /// `noise_multiplier` is the noise's standard deviation in units of `clip_norm`, the L2 norm
    /// that the gradient of every example is clipped to.
    ///
    /// # Errors
    /// [`BadRecordPrivacy`] of the number that is out of bounds or none.
    pub fn new(noise_multiplier: f64, clip_norm: f64) -> Result<Self, BadRecordPrivacy> {
        let (least, largest) = NOISE_MULTIPLIER_BOUNDS;
        if !(least..=largest).contains(&noise_multiplier) {
            return Err(BadRecordPrivacy::NoiseMultiplier(noise_multiplier));
        }
        check_clip_norm(clip_norm)?;
        Ok(Self { noise_multiplier, clip_norm })
    }

    /// Standard deviation of the noise in units of the clipping norm.
    #[must_use]
    pub const fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }

    /// L2 norm that the gradient of every example is clipped to.
    #[must_use]
    pub const fn clip_norm(&self) -> f64 {
        self.clip_norm
    }

    /// What a round of this training costs an owner of so many training examples. To be added to
    /// what is spent before training: also a fit that is cancelled has cost it, if anything of it
    /// was seen.
    ///
    /// # Errors
    /// [`BadRecordPrivacy`]: no examples, or an event that the accountant does not take.
    pub fn charge(
        &self,
        training: &Training,
        examples: usize,
    ) -> Result<RoundCost, BadRecordPrivacy> {
        if examples == 0 {
            return Err(BadRecordPrivacy::NoExamples);
        }
        Ok(RoundCost::of_records(training, self.noise_multiplier, examples as u64)?)
    }
}

pub(super) fn check_clip_norm(clip_norm: f64) -> Result<(), BadRecordPrivacy> {
    let (least, largest) = CLIP_NORM_BOUNDS;
    let is_good = (least..=largest).contains(&clip_norm);
    if is_good { Ok(()) } else { Err(BadRecordPrivacy::ClipNorm(clip_norm)) }
}
