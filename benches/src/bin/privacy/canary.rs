//! Sums that an attacker looks at who knows everything but the noise: the other owners' updates, one
//! of them being in league with it, and what the one update is that was added or not.
//!
//! What the attacker knows it can subtract, so the others' updates are zero here, and the one in
//! league is left out with its noise: as many shares of noise remain as the accountant relies on. The
//! update is as long as the clip allows. The vector has few coordinates, so that many sums can be
//! looked at; noise where the update has nothing would tell the attacker nothing.

use std::io;

use covey_aggregation::config::{NoiseBounds, Quantiser};
use covey_aggregation::plan::Plan;
use covey_aggregation::sum::quantise::{quantise, quantise_with_noise};
use covey_model::random::stream;
use rand::Rng as _;

use crate::crew;
use crate::plan::COLLUDING;

/// Length of the vector.
pub(crate) const COORDINATES: u16 = 4;

/// A round in which one update is in the sum or not.
pub(crate) struct Canary {
    /// As long as the clip.
    update: Vec<f32>,
    quantiser: Quantiser,
    /// None where nothing but the sum protects.
    bounds: Option<NoiseBounds>,
    contributions: u32,
    seed: u64,
}

/// What the attacker computed, of sums with the update and of others.
pub(crate) struct Seen {
    pub(crate) present: Vec<f64>,
    pub(crate) absent: Vec<f64>,
}

impl Canary {
    /// In rounds of this plan, with a vector of [`COORDINATES`].
    ///
    /// # Errors
    /// When the plan's noise has no bounds.
    pub(crate) fn new(plan: &Plan, seed: u64) -> io::Result<Self> {
        let terms = plan.layout_terms(COORDINATES.into());
        let quantiser = plan.quantiser();
        let each = quantiser.clip_norm / f32::from(COORDINATES).sqrt();
        Ok(Self {
            update: vec![each; COORDINATES.into()],
            quantiser,
            bounds: terms.noise_bounds().map_err(io::Error::other)?,
            contributions: terms.contributions_min - COLLUDING,
            seed,
        })
    }

    /// Epsilon of one such round; none where nothing bounds it.
    pub(crate) fn epsilon(plan: &Plan) -> Option<f64> {
        plan.epsilon(COORDINATES.into(), 1)
    }

    /// So many sums, half of them with the update.
    ///
    /// # Errors
    /// When an update cannot be rounded.
    pub(crate) fn look(&self, trials: usize) -> io::Result<Seen> {
        let numbers: Vec<u64> = (0..trials as u64).collect();
        let mut all = crew::map(&numbers, |number| self.trial(*number))?;
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for (number, statistic) in numbers.iter().zip(all.drain(..)) {
            if is_present(*number) { present.push(statistic) } else { absent.push(statistic) }
        }
        Ok(Seen { present, absent })
    }

    /// The length of what is left of a sum in the update's direction, in clips: the best statistic
    /// there is where the noise is the same in every direction.
    fn trial(&self, number: u64) -> io::Result<f64> {
        let zero = vec![0.0; self.update.len()];
        let mut sum = vec![0i64; self.update.len()];
        let parts = [&self.seed.to_le_bytes()[..], &number.to_le_bytes()];
        let mut rng = stream("privacy-bench-canary", &parts);
        for owner in 0..self.contributions {
            let is_canary = owner == 0 && is_present(number);
            let update = if is_canary { &self.update } else { &zero };
            let quantised = match &self.bounds {
                Some(bounds) => {
                    let mut noise_seed = [0; 32];
                    rng.fill_bytes(&mut noise_seed);
                    quantise_with_noise(update, &self.quantiser, bounds, &mut rng, &noise_seed)
                }
                None => quantise(update, &self.quantiser, 1, &mut rng),
            };
            let quantised = quantised.map_err(io::Error::other)?;
            sum.iter_mut().zip(quantised.units()).for_each(|(sum, unit)| *sum += i64::from(unit));
        }
        let along: f64 = sum.iter().zip(&self.update).map(|(s, x)| *s as f64 * f64::from(*x)).sum();
        let clip = f64::from(self.quantiser.clip_norm);
        Ok(along * self.quantiser.step() / (clip * clip))
    }
}

fn is_present(number: u64) -> bool {
    number.is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auc::Measured;
    use crate::plan::{Protection, Setting};

    /// As the account has it: the sum moves by a clip, and its noise is the multiplier's.
    #[test]
    fn sums_with_and_without_the_update_are_a_clip_apart_in_the_planned_noise() {
        let plan = Setting::digits(Protection::Owner(2.0)).plan(1).expect("a plan");
        let seen = Canary::new(&plan, 1).expect("terms").look(800).expect("looked");
        let (present, absent) = (Measured::mean(&seen.present), Measured::mean(&seen.absent));
        let apart = present.value - absent.value;
        assert!((apart - 1.0).abs() < 4.0 * present.error.hypot(absent.error), "{apart}");
        let noise = present.error * 400f64.sqrt();
        assert!((noise / 2.0 - 1.0).abs() < 0.15, "{noise}");

        let plan = Setting::digits(Protection::None).plan(1).expect("a plan");
        let seen = Canary::new(&plan, 1).expect("terms").look(2).expect("looked");
        assert!((seen.present[0] - 1.0).abs() < 1e-3 && seen.absent[0] == 0.0);
    }
}
