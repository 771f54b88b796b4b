//! Noise that every contribution of a round carries, and what it makes of lengths and bounds.
//!
//! The distributed discrete Gaussian mechanism (Kairouz, Liu, Steinke 2021, arXiv 2102.06387): each
//! owner adds a share of discrete Gaussian noise to its clipped and rounded update, in integers,
//! before sealing. The sum then carries at least the planned noise, and nobody has to be trusted to
//! add it.

use covey_privacy::bound;
use covey_privacy::distributed::Distributed;
use covey_privacy::variance::{BadVariance, Variance};
use serde::{Deserialize, Serialize};

use super::{Quantiser, RoundConfig, Weighting};

/// Each contribution's share of the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// Its variance in squared units is `share_numerator / share_denominator`, in lowest terms.
    pub share_numerator: u64,
    /// See `share_numerator`.
    pub share_denominator: u64,
    /// Contributions of the fewest that may be opened whose shares are not relied on: their owners
    /// are in league with whoever looks.
    pub colluding_max: u32,
    /// Squared length of an update after rounding, in squared units, which owners keep to
    /// ([`Quantiser::rounded_norm_squared_max`]). With the vote it is what one owner moves the sum
    /// by at most.
    pub signal_squared_max: u64,
    /// Units of the vote: where the clip follows the owners' lengths, one coordinate behind the
    /// update is so many units above zero if the update is no longer than the clip, and as many below
    /// if it is (Andrew et al., 2021, arXiv 1905.03871, algorithm 1). 0: there is none.
    pub vote_units: u32,
}

/// How noise is planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoisePlan {
    /// Standard deviation of a sum's noise over what one owner can move it by.
    pub multiplier: f64,
    /// Fewest contributions of a sum.
    pub contributions_min: u32,
    /// Of them, whose shares are not relied on.
    pub colluding_max: u32,
    /// Whether owners vote on the clip.
    pub has_vote: bool,
}

/// Noise that no round can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNoise {
    /// Its variance is none that can be drawn.
    #[error(transparent)]
    Variance(#[from] BadVariance),
    /// It cannot be accounted for.
    #[error("{0}")]
    Account(String),
    /// Not in lowest terms: the same noise in other terms would be other terms of the round.
    #[error("a variance of {0}/{1} is not in lowest terms")]
    Terms(u64, u64),
    /// The noise fills the coordinates' bits, and leaves an update too little room.
    #[error(
        "noise of up to {noise} units leaves {left} of {magnitude} for the update, which needs \
         {needed}"
    )]
    Room {
        /// Most noise of a coordinate.
        noise: u64,
        /// What is left beside it.
        left: u64,
        /// What the coordinates hold.
        magnitude: u32,
        /// What an update needs at least.
        needed: u64,
    },
    /// Updates of the clip's length would not keep to it.
    #[error("a squared length of {kept} units where clipped updates have up to {least}")]
    Signal {
        /// What owners would have to keep to.
        kept: u64,
        /// What is needed at least.
        least: u64,
    },
    /// Something else leaves beside the noisy vector.
    #[error("{0} beside noise: it would leave without any")]
    Beside(&'static str),
}

impl Noise {
    /// That of a sum with a standard deviation of at least `plan.multiplier` times what one owner can
    /// move the sum by.
    ///
    /// # Errors
    /// [`BadNoise::Variance`], and [`BadNoise::Room`] of a vote that has none.
    pub fn of(plan: NoisePlan, quantiser: &Quantiser, dimension: u64) -> Result<Self, BadNoise> {
        let signal_squared_max = quantiser.rounded_norm_squared_max(dimension);
        if !plan.has_vote {
            return Self::with_vote(plan, signal_squared_max, 0);
        }
        // As loud as it may be: then there is at most so much noise, and at least so much room.
        let loudest = (signal_squared_max.isqrt() / VOTE_SHARE).clamp(1, u64::from(u32::MAX));
        let noise = Self::with_vote(plan, signal_squared_max, loudest as u32)?;
        let room = noise.bounds(quantiser, dimension)?.signal_max;
        Self::with_vote(plan, signal_squared_max, room.min(loudest as u32))
    }

    fn with_vote(
        plan: NoisePlan,
        signal_squared_max: u64,
        vote_units: u32,
    ) -> Result<Self, BadNoise> {
        /// A variance has 24 bits at least; what is rounded up is less than 2^-23 of it.
        const GRID: f64 = (1 << 24) as f64;
        let NoisePlan { multiplier, contributions_min: clients, colluding_max: missing, .. } = plan;
        let least = clients.saturating_sub(missing);
        if least == 0 {
            return Err(BadVariance::NobodyLeft { clients, missing }.into());
        }
        let squared = moved_squared(signal_squared_max, vote_units) as f64;
        let variance = multiplier * multiplier * squared / f64::from(least);
        // Floats too large for the integer become its largest value, which is refused.
        let share = if variance < GRID {
            Variance::new((variance * GRID).ceil() as u64, GRID as u64)
        } else {
            Variance::new(variance.ceil() as u64, 1)
        }?;
        Ok(Self {
            share_numerator: share.numerator(),
            share_denominator: share.denominator(),
            colluding_max: missing,
            signal_squared_max,
            vote_units,
        })
    }

    /// Coordinates that carry noise: `dimension` parameters, and the vote where there is one.
    const fn coordinates(&self, dimension: u64) -> u64 {
        dimension + self.votes()
    }

    /// Coordinates of votes: one or none.
    #[must_use]
    pub const fn votes(&self) -> u64 {
        if self.vote_units > 0 { 1 } else { 0 }
    }

    /// How far one owner moves the sum at most, squared, in squared units.
    const fn moved_squared(&self) -> u64 {
        moved_squared(self.signal_squared_max, self.vote_units)
    }

    /// The share's variance, in squared units.
    ///
    /// # Errors
    /// [`BadVariance`].
    pub fn share(&self) -> Result<Variance, BadVariance> {
        Variance::new(self.share_numerator, self.share_denominator)
    }

    /// What contributions of `dimension` parameters keep to.
    ///
    /// # Errors
    /// [`BadNoise::Variance`], [`BadNoise::Room`].
    pub(crate) fn bounds(
        &self,
        quantiser: &Quantiser,
        dimension: u64,
    ) -> Result<NoiseBounds, BadNoise> {
        let (share, coordinates) = (self.share()?, self.coordinates(dimension));
        let most = bound::coordinate_max(share, coordinates);
        let magnitude = quantiser.magnitude_max();
        let left = u64::from(magnitude).saturating_sub(most);
        // An update of the whole length, spread evenly, must not be cut.
        let evenly = (self.signal_squared_max / dimension.max(1)).isqrt() + 1;
        let needed = evenly.max(self.vote_units.into());
        if left < needed {
            return Err(BadNoise::Room { noise: most, left, magnitude, needed });
        }
        let noise_squared = bound::norm_squared_max(share, coordinates);
        Ok(NoiseBounds {
            share,
            // Both are below the magnitude, which has 16 bits.
            signal_max: left as u32,
            noise_max: most as u32,
            signal_squared_max: self.signal_squared_max,
            vote_units: self.vote_units,
            norm_squared_max: sum_squared(self.moved_squared(), noise_squared),
        })
    }

    /// What opening a sum of so many contributions does to an owner's privacy: adding or leaving out
    /// its update (that it takes part is public).
    ///
    /// # Errors
    /// [`BadNoise::Variance`], [`BadNoise::Account`].
    pub(crate) fn release(
        &self,
        dimension: u64,
        (contributions_min, contributions_max): (u32, u32),
    ) -> Result<Distributed, BadNoise> {
        let relied_on = contributions_min.saturating_sub(self.colluding_max);
        // Any L1 norm: the L2 norm bounds it.
        let (l1, l2) = (f64::MAX, (self.moved_squared() as f64).sqrt() * (1.0 + 1e-12));
        let people = relied_on..=contributions_max;
        let sum = Distributed::new(self.share()?, people, self.coordinates(dimension), l1, l2);
        sum.map_err(|bad| BadNoise::Account(bad.to_string()))
    }
}

/// What a contribution with noise keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseBounds {
    /// Variance of the share, in squared units.
    pub share: Variance,
    /// Most units of the update's own coordinates: an update is clamped to it.
    pub signal_max: u32,
    /// Most units of the noise on a coordinate: with what is beyond, which never happens, it is
    /// drawn anew.
    pub noise_max: u32,
    /// Bound of the squared norm of the rounded update, without its noise.
    pub signal_squared_max: u64,
    /// Units of the vote; 0 where there is none.
    pub vote_units: u32,
    /// The same of update, vote and noise together.
    pub norm_squared_max: u64,
}

/// The vote is at most this part of an update's length: it makes the noise 3 % larger at most, which
/// is little beside what a wrong clip costs.
const VOTE_SHARE: u64 = 4;

/// How far one owner moves the sum, squared: with its update and with its vote.
const fn moved_squared(signal_squared_max: u64, vote_units: u32) -> u64 {
    signal_squared_max.saturating_add((vote_units as u64).pow(2))
}

/// Squared norm that a sum of two vectors has at most, rounded up.
fn sum_squared(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let twice = 2 * (product.isqrt() + 1);
    let sum = u128::from(a) + u128::from(b) + twice;
    u64::try_from(sum).unwrap_or(u64::MAX)
}

impl Quantiser {
    /// Length of the longest update, in units.
    pub(super) fn clip_units(&self) -> f64 {
        f64::from(self.clip_norm) / self.step()
    }

    /// Squared norm that a clipped update of `dimension` parameters may have after rounding, where
    /// it carries noise: how far one owner moves the sum at most, squared, in squared units.
    #[must_use]
    pub fn rounded_norm_squared_max(&self, dimension: u64) -> u64 {
        bound::rounded_norm_squared_max(self.clip_units(), dimension)
    }
}

impl RoundConfig {
    /// What contributions keep to where they carry noise.
    ///
    /// # Errors
    /// [`BadNoise::Variance`], [`BadNoise::Room`].
    pub fn noise_bounds(&self) -> Result<Option<NoiseBounds>, BadNoise> {
        let bounds = |noise: &Noise| noise.bounds(&self.quantiser, self.dimension);
        self.noise.as_ref().map(bounds).transpose()
    }

    /// What opening the round's sum does to an owner's privacy. None where there is no noise.
    ///
    /// # Errors
    /// [`BadNoise::Variance`], [`BadNoise::Account`].
    pub fn release(&self) -> Result<Option<Distributed>, BadNoise> {
        let people = (self.contributions_min, self.contributions_max);
        let release = |noise: &Noise| noise.release(self.dimension, people);
        self.noise.as_ref().map(release).transpose()
    }

    /// Everything about the noise that follows from the terms alone.
    pub(super) fn validate_noise(&self) -> Result<(), BadNoise> {
        let Some(noise) = &self.noise else { return Ok(()) };
        let share = noise.share()?;
        if (share.numerator(), share.denominator())
            != (noise.share_numerator, noise.share_denominator)
        {
            return Err(BadNoise::Terms(noise.share_numerator, noise.share_denominator));
        }
        // A thousandth for what a clip that follows is rounded by. Owners round until they keep to it:
        // they could round for ever.
        let rounded = self.quantiser.rounded_norm_squared_max(self.dimension);
        let (kept, least) = (noise.signal_squared_max, rounded - rounded / 1000);
        if kept < least {
            return Err(BadNoise::Signal { kept, least });
        }
        if self.quantiser.weighting != Weighting::Uniform {
            return Err(BadNoise::Beside("the sum of weights"));
        }
        if self.counters > 0 {
            return Err(BadNoise::Beside("counters"));
        }
        if self.control.is_some() {
            return Err(BadNoise::Beside("a second vector"));
        }
        if self.multiplicity_max() > 1 {
            return Err(BadNoise::Beside("updates that count several times"));
        }
        self.noise_bounds()?;
        self.release()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
