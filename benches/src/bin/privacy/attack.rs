//! Whether one owner was in a round, told from the opened sum.

use std::io;

use covey_aggregation::config::{NoiseBounds, Quantiser};
use covey_aggregation::sum::quantise::{quantise, quantise_with_noise};
use covey_model::random::{shuffle, stream, unit_f64};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::accuracy::of_rounds;
use crate::auc::{Measured, auc};
use crate::canary::Canary;
use crate::crew;
use crate::data::Source;
use crate::normal;
use crate::owners::{Owners, norm};
use crate::plan::{DELTA, Protection, Setting};
use crate::report::{Line, Report};
use crate::scale::Scale;

/// Noise multipliers that are attacked.
const MULTIPLIERS: [f64; 3] = [0.5, 1.0, 4.0];

/// Of the data, the first model and all trials.
const SEED: u64 = 1;

/// Owners there are, of whom a round has as many as its plan says.
const POOL: u32 = 140;

/// The unit of what is measured.
const UNIT: &str = "AUC";

/// How a round is protected.
#[derive(Clone, Copy)]
enum Shield {
    /// The update itself is seen.
    Nothing,
    /// The exact sum.
    Sum,
    /// The sum with every owner's share of noise.
    Noisy(NoiseBounds),
}

/// Updates of one round, and what they become.
struct Round {
    updates: Vec<Vec<f32>>,
    /// What updates are on average, which the attacker knows.
    mean: Vec<f64>,
    quantiser: Quantiser,
    contributions: usize,
    shield: Shield,
}

/// Attacks sums.
///
/// # Errors
/// When training fails.
pub(crate) fn measure(scale: &Scale, report: &mut Report) -> io::Result<()> {
    let setting = Setting::digits(Protection::None);
    let trials = scale.attack_trials;
    report.section(
        "was this owner in the round? One round of digits, by its opened sum",
        &format!(
            "{trials} rounds of {} of {POOL} owners, delta {DELTA:e}; by a fair coin the owner was one \
             of them, or another was in its place. AUC 0.5: nothing is told; 1: all is. The attacker \
             knows the owner's data, so its exact update, and what updates are on average, which is \
             more than a real one knows. The lines of 'strong' are of one who knows every other update \
             too, and has an owner in league: only the noise is left ({} sums, with and without an \
             update as long as the clip). 'at most': what noise of that size allows any attack; \
             this one is the best there is, so it comes to that within its error.",
            setting.owners, scale.canary_trials
        ),
    );
    let updates = pool_updates()?;
    for (shield, what) in
        [(Shield::Nothing, "no protection: the update is seen"), (Shield::Sum, "secure sum alone")]
    {
        let round = Round::new(&setting, &updates, shield)?;
        report.line(&Line::new("attack.owner", what, round.attack(trials)?, UNIT));
    }
    for multiplier in MULTIPLIERS {
        let setting = Setting::digits(Protection::Owner(multiplier));
        let terms = setting.plan(SEED)?.layout_terms(updates[0].len() as u64);
        let bounds = terms.noise_bounds().map_err(io::Error::other)?;
        let bounds = bounds.ok_or_else(|| io::Error::other("the plan asks for noise"))?;
        let round = Round::new(&setting, &updates, Shield::Noisy(bounds))?;
        let what = format!("secure sum, noise {multiplier} clips");
        let line = Line::new("attack.owner", what, round.attack(trials)?, UNIT);
        report.line(&line.epsilon(Some(of_rounds(&setting, 1)?)));
    }
    strong(scale.canary_trials, report)
}

/// The attacker who knows all but the noise.
fn strong(trials: usize, report: &mut Report) -> io::Result<()> {
    let protections = MULTIPLIERS.map(Protection::Owner);
    for protection in [Protection::None].into_iter().chain(protections) {
        let plan = Setting::digits(protection).plan(SEED)?;
        let seen = Canary::new(&plan, SEED)?.look(trials)?;
        let area = auc(&seen.present, &seen.absent);
        let line = |what: String| Line::new("attack.owner.strong", what, area, UNIT);
        report.line(&match protection {
            Protection::Owner(multiplier) => {
                line(format!("all others known, noise {multiplier} clips"))
                    .epsilon(Canary::epsilon(&plan))
                    .allowed(normal::auc_max(1.0 / multiplier))
            }
            _ => line("all others known, secure sum alone".to_owned()),
        });
    }
    Ok(())
}

/// What all owners' training changes in the first round.
///
/// # Errors
/// When training fails.
fn pool_updates() -> io::Result<Vec<Vec<f32>>> {
    let setting = Setting { owners: POOL, ..Setting::digits(Protection::None) };
    let division = Source::Digits.divide(&setting, SEED)?;
    let owners = Owners::open(&setting, &division, SEED)?;
    let initial = owners.initial();
    let places: Vec<usize> = (0..POOL as usize).collect();
    crew::map(&places, |owner| owners.update(*owner, 1, &initial))
}

impl Round {
    fn new(setting: &Setting, updates: &[Vec<f32>], shield: Shield) -> io::Result<Self> {
        let quantiser = setting.plan(SEED)?.quantiser();
        let clip = f64::from(quantiser.clip_norm);
        let mut mean = vec![0.0; updates[0].len()];
        for update in updates {
            let share = (clip / norm(update)).min(1.0) / updates.len() as f64;
            mean.iter_mut().zip(update).for_each(|(mean, x)| *mean += share * f64::from(*x));
        }
        let contributions = setting.owners as usize;
        Ok(Self { updates: updates.to_vec(), mean, quantiser, contributions, shield })
    }

    /// How well the attacker tells rounds with an owner from others. Every owner is the target as
    /// often.
    fn attack(&self, trials: usize) -> io::Result<Measured> {
        let numbers: Vec<u64> = (0..trials as u64).collect();
        let all = crew::map(&numbers, |number| self.trial(*number))?;
        let of = |is_in: bool| {
            let chosen = all.iter().filter(move |(was_in, _)| *was_in == is_in);
            chosen.map(|(_, statistic)| *statistic).collect::<Vec<_>>()
        };
        Ok(auc(&of(true), &of(false)))
    }

    /// Whether the target was in, and how much of what is seen lies in the direction of its update,
    /// both less what everybody's updates have in common.
    fn trial(&self, number: u64) -> io::Result<(bool, f64)> {
        let mut rng = stream("privacy-bench-attack", &[&number.to_le_bytes()]);
        let target = number as usize % self.updates.len();
        let is_in = unit_f64(&mut rng) <= 0.5;
        let mut others: Vec<usize> = (0..self.updates.len()).filter(|x| *x != target).collect();
        shuffle(&mut others, &mut rng);
        let first = if is_in { target } else { others[self.contributions - 1] };
        let rest = match self.shield {
            Shield::Nothing => 0,
            _ => self.contributions - 1,
        };
        let mut sum = vec![0.0; self.mean.len()];
        for owner in [first].into_iter().chain(others[..rest].iter().copied()) {
            self.add(owner, &mut sum, &mut rng)?;
        }
        let seen = 1.0 + rest as f64;
        let update = &self.updates[target];
        let factor = (f64::from(self.quantiser.clip_norm) / norm(update)).min(1.0);
        let (mut along, mut squared) = (0.0, 0.0);
        for ((sum, mean), x) in sum.iter().zip(&self.mean).zip(update) {
            let own = factor * f64::from(*x) - mean;
            along += own * (sum * self.quantiser.step() - seen * mean);
            squared += own * own;
        }
        Ok((is_in, along / squared))
    }

    /// Adds what an owner seals.
    fn add(&self, owner: usize, sum: &mut [f64], rng: &mut ChaCha8Rng) -> io::Result<()> {
        let (update, quantiser) = (&self.updates[owner], &self.quantiser);
        let quantised = match &self.shield {
            Shield::Noisy(bounds) => {
                let mut noise_seed = [0; 32];
                rng.fill_bytes(&mut noise_seed);
                quantise_with_noise(update, quantiser, bounds, rng, &noise_seed)
            }
            _ => quantise(update, quantiser, 1, rng),
        };
        let quantised = quantised.map_err(io::Error::other)?;
        sum.iter_mut().zip(quantised.units()).for_each(|(sum, unit)| *sum += f64::from(unit));
        Ok(())
    }
}
