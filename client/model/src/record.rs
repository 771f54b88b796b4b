//! Training in which no single example of the owner's shows: DP-SGD (Abadi et al. 2016, "Deep
//! Learning with Differential Privacy", arXiv 1607.00133).
//!
//! Every step draws a Poisson sample: each example is in with probability q = batch size /
//! examples (at most 1), independently of the others. The gradient of each example of the sample is
//! clipped to the L2 norm C, over all parameters that are trained; the clipped gradients are added
//! up; noise of standard deviation sigma C is added to every number; and the sum is divided by the
//! *expected* size of the sample, q times the examples. An empty sample takes a step too, of noise
//! alone. What comes after looks at no example: FedProx's term, SCAFFOLD's offset, the plan's
//! clipping of the whole gradient, and the optimiser with its decay.
//!
//! # What is protected
//! One example more or less: a row, an image, a window of text. Whoever has several examples in the
//! data, or a word in several windows, is protected by so much less. The number of examples counts
//! as public: q, the number of steps and an owner's weight follow from it. The update and all that
//! is made of it are private by the account of [`RecordPrivacy::charge`]. [`FitReport::loss`] and
//! [`Progress::loss`] are not, and are for the owner's eyes alone; nor is the time that training
//! takes, which grows with the samples.
//!
//! # How sensitive the sum is
//! Exactly C, of the numbers that are computed. Each clipped gradient is rounded to multiples of a
//! fixed step, about C / 2^26, and is clipped before by as much more as rounding can add, so that
//! what is rounded is at most C long. These multiples are added up as whole numbers, without a
//! further rounding and in any order. A gradient with a number that is not finite counts as zero:
//! an error would tell of its example.
//!
//! This needs a gradient that hangs on its own example alone. Where examples are computed one at a
//! time, it does. Where the model is a plain chain of linear layers, they are computed in blocks
//! whose size follows from the plan alone, so that every row of a block is computed by the same
//! operations whatever the others hold; on the processor a test holds this to the bit. A card's
//! library promises nothing of the kind: there, the last bits of an example's gradient may hang on
//! its company, which the account does not cover. A model that is compiled in ([`crate::family`])
//! must give for an example what hangs on that example alone, and keep nothing of it.
//!
//! # Noise and draws
//! See [`RecordSeed`] for where they come from, and the module `noise` for what is not exact: the
//! noise is a Gaussian computed in 64 bits and rounded to the same step as the sum.
//!
//! [`FitReport::loss`]: crate::train::FitReport::loss
//! [`Progress::loss`]: crate::train::Progress::loss

mod chain;
mod fit;
mod gradients;
mod grid;
mod noise;
mod one;
mod privacy;
mod refusal;
mod sample;
mod seed;
mod sum;

use crate::data::Dataset;
use crate::train::{FitContext, FitError, FitReport, Trainer, check_terms};

pub use gradients::Way;
pub use privacy::{BadRecordPrivacy, CLIP_NORM_BOUNDS, NOISE_MULTIPLIER_BOUNDS, RecordPrivacy};
pub use refusal::RecordRefusal;
pub use seed::RecordSeed;

pub(crate) use fit::{Asked, run_records, sum_records};

use privacy::check_clip_norm;

impl Trainer {
    /// Trains on `data` as the plan says, beginning with `parameters`, so that no example of the
    /// data shows in the update beyond what [`RecordPrivacy::charge`] says: charge first, then
    /// train. As many steps as [`Trainer::fit`] takes. The context's seed draws nothing here, for
    /// it is public, and its holdout is not looked at. Always in f32.
    ///
    /// Same parameters, data and seed, same update (on the same kind of machine). A seed must
    /// never serve twice, hence it is taken: two updates with the same noise tell their difference.
    /// Where the processor takes over from a card, it draws the same again; of what the card did
    /// nothing is released.
    ///
    /// # Errors
    /// [`FitError`]: [`FitError::Record`] for what cannot be private, else as for [`Trainer::fit`].
    /// A loss that is not finite is no error here, for it would tell of an example.
    pub fn fit_records(
        &self,
        parameters: &[f32],
        data: &Dataset,
        privacy: &RecordPrivacy,
        seed: RecordSeed,
        mut context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        self.check(parameters, data)?;
        check_terms(&context, parameters.len())?;
        refusal::check(self.task(), data.len())?;
        let way = Way::of(self.task());
        let asked = Asked { data, privacy: *privacy, seed: &seed, way };
        self.attempt(|| self.task().fit_records(self, parameters, &asked, context.again()))
    }

    /// The sum of the clipped gradients of all examples, in the order of the flat vector: what a
    /// step adds noise to, before there is any, without dropout. It is as private as the data
    /// themselves: for looking at public data, and for tests.
    ///
    /// # Errors
    /// [`FitError`]; [`RecordRefusal::ClipNorm`] of a norm that is out of bounds, and
    /// [`RecordRefusal::NoChain`] where blocks are asked of a model that has none.
    pub fn clipped_sum(
        &self,
        parameters: &[f32],
        data: &Dataset,
        clip_norm: f64,
        way: Way,
    ) -> Result<Vec<f64>, FitError> {
        self.check(parameters, data)?;
        refusal::check(self.task(), data.len())?;
        if check_clip_norm(clip_norm).is_err() {
            return Err(RecordRefusal::ClipNorm.into());
        }
        if way == Way::Blocks && Way::of(self.task()) != way {
            return Err(RecordRefusal::NoChain.into());
        }
        self.attempt(|| self.task().sum_records(self, parameters, data, clip_norm, way))
    }
}
