//! A clip that follows the owners' lengths, privately: every owner votes whether its update was no
//! longer than the clip, the votes are added up inside the noisy sum, and the next round's clip is
//! larger if fewer than the wanted share of owners were within, and smaller if more were (Andrew,
//! Thakkar, McMahan, Ramaswamy, 2021, arXiv 1905.03871, algorithm 1).
//!
//! The range follows the clip, so a unit is worth more or less, and in units nothing changes: neither
//! the noise, nor what a round costs, nor what an audit allows. So whoever chose another clip than
//! follows from the sums would spoil the model, which everybody sees who replays the run, and would
//! learn no more of anybody.
//!
//! The clip moves on a grid of integers, so that everybody comes to the same bits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Quantiser, RoundConfig};
use crate::limits::CLIP_STEPS_MAX;
use crate::sum::open::Aggregate;

/// Steps of the grid in which the clip doubles: one is 1.1 %.
const STEPS_OF_DOUBLE: i32 = 64;

/// How the clip follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    /// The share of owners whose updates are to be within the clip, between 0 and 1.
    pub quantile: f64,
    /// Natural logarithm of what the clip is multiplied by, for each whole share that is missing.
    pub rate: f64,
}

/// How far a round's clip is from the plan's: `2^(steps / 64)` times it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClipSteps(i32);

impl ClipSteps {
    /// None beyond [`CLIP_STEPS_MAX`] either way.
    #[must_use]
    pub fn new(steps: i32) -> Option<Self> {
        (-CLIP_STEPS_MAX..=CLIP_STEPS_MAX).contains(&steps).then_some(Self(steps))
    }

    /// The steps.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The plan's quantiser, so many times as wide.
    #[must_use]
    pub fn of(self, base: &Quantiser) -> Quantiser {
        let factor = libm::exp2(f64::from(self.0) / f64::from(STEPS_OF_DOUBLE));
        let times = |x: f32| (f64::from(x) * factor) as f32;
        Quantiser { range: times(base.range), clip_norm: times(base.clip_norm), ..*base }
    }

    /// The steps from `base` to the quantiser of some terms; none where there are no such.
    #[must_use]
    pub fn between(base: &Quantiser, terms: &Quantiser) -> Option<Self> {
        let ratio = f64::from(terms.clip_norm) / f64::from(base.clip_norm);
        let steps = libm::round(libm::log2(ratio) * f64::from(STEPS_OF_DOUBLE));
        // What is no number, or too large, becomes what is refused.
        let steps = Self::new(if steps.is_nan() { i32::MAX } else { steps as i32 })?;
        (steps.of(base) == *terms).then_some(steps)
    }
}

impl Clipping {
    /// The next round's, after a round of `config` that began with `steps`.
    #[must_use]
    pub fn next(&self, steps: ClipSteps, config: &RoundConfig, aggregate: &Aggregate) -> ClipSteps {
        let Some(within) = share_within(config, aggregate) else { return steps };
        let nats = self.rate * (self.quantile - within);
        let change = libm::round(nats / std::f64::consts::LN_2 * f64::from(STEPS_OF_DOUBLE));
        let next = f64::from(steps.0) + change;
        let most = f64::from(CLIP_STEPS_MAX);
        ClipSteps(next.clamp(-most, most) as i32)
    }
}

/// What a round's clip was, where it follows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundClip {
    /// The clip (L2 norm).
    pub clip_norm: f32,
    /// The share of owners whose updates were within it, as far as the noise lets it be known.
    pub within: f64,
}

impl RoundClip {
    /// That of a round; none of one without votes.
    #[must_use]
    pub fn of(config: &RoundConfig, aggregate: &Aggregate) -> Option<Self> {
        let within = share_within(config, aggregate)?;
        Some(Self { clip_norm: config.quantiser.clip_norm, within })
    }
}

impl fmt::Display for RoundClip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clip_norm, within } = self;
        write!(f, "clip {clip_norm:.3}, about {:.0} % of updates within it", 100.0 * within)
    }
}

/// The share of owners whose updates were within the clip, as far as the noise lets it be known: 0 to
/// 1. None of a round without votes.
#[must_use]
pub fn share_within(config: &RoundConfig, aggregate: &Aggregate) -> Option<f64> {
    let noise = config.noise.as_ref().filter(|noise| noise.vote_units > 0)?;
    let votes = f64::from(*aggregate.control.first()?);
    let most = f64::from(noise.vote_units) * f64::from(aggregate.count.max(1));
    Some((0.5 + votes / most / 2.0).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;
    use crate::config::tests::config;
    use crate::config::{Noise, NoisePlan};

    const CLIPPING: Clipping = Clipping { quantile: 0.5, rate: 0.2 };

    /// A round of ten owners with votes of so many units.
    fn round() -> (RoundConfig, u32) {
        let mut config = config(Profile::B, 16, 20, 100);
        (config.quantiser.range, config.quantiser.clip_norm) = (32.0, 2.0);
        let plan =
            NoisePlan { multiplier: 1.0, contributions_min: 10, colluding_max: 1, has_vote: true };
        let noise = Noise::of(plan, &config.quantiser, 100).expect("noise");
        config.noise = Some(noise);
        (config, noise.vote_units)
    }

    fn sum(votes: i32) -> Aggregate {
        let (sums, control) = (vec![0; 100], vec![votes]);
        Aggregate { count: 10, weight: 10, sums, control, counters: Vec::new() }
    }

    #[test]
    fn the_clip_goes_where_the_wanted_share_is_and_stays_there() {
        let (config, units) = round();
        let next = |steps, votes: f64| {
            let votes = (votes * f64::from(units)) as i32;
            CLIPPING.next(ClipSteps(steps), &config, &sum(votes)).get()
        };
        // e^0.1 is 9.2 steps.
        assert_eq!(next(0, -10.0), 9, "nobody was within");
        assert_eq!(next(0, 10.0), -9, "all were");
        assert_eq!(next(5, 0.0), 5, "half were");
        assert_eq!(next(0, -4.0), 4);
        // Noise beyond what votes can be is no more than all of them.
        assert_eq!(next(0, 1000.0), -9);
        assert_eq!(next(CLIP_STEPS_MAX, -10.0), CLIP_STEPS_MAX);
        assert_eq!(next(-CLIP_STEPS_MAX, 10.0), -CLIP_STEPS_MAX);
        let without = RoundConfig { noise: None, ..config.clone() };
        assert_eq!(CLIPPING.next(ClipSteps(3), &without, &sum(70)).get(), 3);
    }

    #[test]
    fn steps_are_found_again_in_the_terms_and_no_other_quantiser_has_any() {
        let base = round().0.quantiser;
        for steps in [-CLIP_STEPS_MAX, -65, -1, 0, 1, 64, 100, CLIP_STEPS_MAX] {
            let steps = ClipSteps::new(steps).expect("on the grid");
            assert_eq!(ClipSteps::between(&base, &steps.of(&base)), Some(steps));
        }
        assert_eq!(ClipSteps(64).of(&base).clip_norm, 4.0);
        assert_eq!(ClipSteps(64).of(&base).range, 64.0);
        assert_eq!(ClipSteps::new(CLIP_STEPS_MAX + 1), None);
        let not_one: [&dyn Fn(&mut Quantiser); 6] = [
            &|quantiser| quantiser.range *= 2.0,
            &|quantiser| quantiser.clip_norm *= 1.001,
            &|quantiser| quantiser.clip_norm = f32::NAN,
            &|quantiser| quantiser.clip_norm = 0.0,
            &|quantiser| quantiser.bits = 12,
            &|quantiser| *quantiser = ClipSteps(CLIP_STEPS_MAX + 1).of(quantiser),
        ];
        for change in not_one {
            let mut other = base;
            change(&mut other);
            assert_eq!(ClipSteps::between(&base, &other), None, "{other:?}");
        }
    }
}
