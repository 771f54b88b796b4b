//! The reference: the same training where somebody is trusted with all updates. They are clipped and
//! added as they are, without rounding, and one continuous Gaussian is added to the sum.

use std::io;

use covey_model::random::{normal, stream};
use covey_privacy::delta::Delta;
use covey_privacy::event::{Event, Sampled};
use covey_privacy::spent::Spent;

use crate::owners::{Owners, norm};
use crate::plan::DELTA;

/// Halvings of the interval that a noise multiplier is searched in: to a thousandth.
const HALVINGS: u32 = 12;

/// The accuracy on the test after all rounds, with noise of `multiplier` times the clip's length.
///
/// # Errors
/// When training fails.
pub(crate) fn train(owners: &Owners, multiplier: f64, seed: u64) -> io::Result<f64> {
    let clip = f64::from(owners.plan.quantiser().clip_norm);
    let count = owners.examples.len();
    let mut parameters = owners.initial();
    for round in 1..=owners.plan.training.rounds {
        let mut sum = vec![0.0; parameters.len()];
        for owner in 0..count {
            let update = owners.update(owner, round, &parameters)?;
            let factor = (clip / norm(&update)).min(1.0);
            sum.iter_mut().zip(&update).for_each(|(sum, x)| *sum += factor * f64::from(*x));
        }
        let parts = [&seed.to_le_bytes()[..], &round.to_le_bytes()];
        let mut rng = stream("privacy-bench-central", &parts);
        for (parameter, sum) in parameters.iter_mut().zip(sum) {
            let noisy = sum + multiplier * clip * normal(&mut rng);
            *parameter += (noisy / count as f64) as f32;
        }
    }
    owners.accuracy(&parameters, &owners.test)
}

/// Epsilon of so many rounds with that noise.
///
/// # Errors
/// When the accountant does not take the noise.
pub(crate) fn epsilon(multiplier: f64, rounds: u32) -> io::Result<f64> {
    let delta = Delta::new(DELTA).map_err(io::Error::other)?;
    let event = Event::Sampled(Sampled::new(multiplier, 1.0).map_err(io::Error::other)?);
    let mut spent = Spent::default();
    spent.add(event, rounds.into()).map_err(io::Error::other)?;
    Ok(spent.epsilon(delta).least())
}

/// The least noise multiplier, at most `most`, that comes to `wanted` in so many rounds.
///
/// # Errors
/// When the accountant does not take the noise.
pub(crate) fn multiplier(wanted: f64, rounds: u32, most: f64) -> io::Result<f64> {
    let (mut low, mut high) = (most / 2.0, most);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if epsilon(middle, rounds)? > wanted { low = middle } else { high = middle }
    }
    Ok(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::owners::simulate;
    use crate::plan::{Protection, Setting};

    /// So that both differ in noise and rounding alone.
    #[test]
    fn without_noise_it_comes_to_the_simulations_accuracy() {
        let setting = Setting { owners: 20, rounds: 2, ..Setting::digits(Protection::None) };
        let division = Source::Digits.divide(&setting, 3).expect("divided");
        let owners = Owners::open(&setting, &division, 3).expect("opened");
        let central = train(&owners, 0.0, 3).expect("trained");
        let (simulated, _) = simulate(&setting, &division, 3).expect("simulated");
        assert!((central - simulated).abs() < 0.01, "{central} {simulated}");
    }

    #[test]
    fn the_noise_found_costs_what_is_wanted() {
        let found = multiplier(5.0, 8, 4.0).expect("found");
        let epsilon = epsilon(found, 8).expect("accounted");
        assert!(epsilon <= 5.0 && epsilon > 4.95, "{found}: {epsilon}");
    }
}
