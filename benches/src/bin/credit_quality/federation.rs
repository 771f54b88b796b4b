//! Federated averaging of some of the owners: quickly for the truth, and once in integers with all
//! that credits are computed from.

use covey_aggregation::sum::quantise::quantise;
use covey_client::sim::Memory;
use covey_model::task::Task;
use covey_model::train::FitSeed;

use crate::digits::Digits;
use crate::mlp::{self, Examples, batches, fit};
use crate::owner::{Conduct, Owner, name};
use crate::plan::{self, BATCH, CLIP_NORM, EXAMPLES_CAP, LR, QUANTISER, ROUNDS, STEPS};

/// Length of the poison beside the step that hides it.
const POISON: f64 = 1.0;

/// Owners who train together, and all that they draw.
pub(crate) struct Federation<'a> {
    pub(crate) owners: &'a [Owner],
    pub(crate) seed: u64,
    pub(crate) initial: Vec<f32>,
    folds: Vec<Examples>,
    /// The examples of each step, by round and owner.
    batches: Vec<Vec<Vec<Vec<usize>>>>,
}

/// One round of all owners, in the integers that are sealed.
pub(crate) struct Round {
    /// From 1.
    pub(crate) number: u32,
    /// The model that it began with.
    pub(crate) before: Vec<f32>,
    /// The model that it came to.
    pub(crate) after: Vec<f32>,
    /// Each owner's units, already weighed.
    pub(crate) units: Vec<Vec<i32>>,
    /// What each owner weighs, at most the cap.
    pub(crate) weights: Vec<u32>,
}

impl Round {
    /// The opened sum.
    pub(crate) fn sum(&self) -> Vec<i32> {
        let mut sum = vec![0; self.before.len()];
        for units in &self.units {
            sum.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
        }
        sum
    }

    /// How the model moved.
    pub(crate) fn step(&self) -> Vec<f32> {
        self.after.iter().zip(&self.before).map(|(after, before)| after - before).collect()
    }
}

impl<'a> Federation<'a> {
    pub(crate) fn new(owners: &'a [Owner], digits: &Digits, seed: u64) -> Self {
        let task = Task::from_plan(&plan::parse(seed)).expect("a model of linear layers");
        let draw = |round| {
            let of = |(place, owner): (usize, &Owner)| {
                let fit_seed = FitSeed::derive(seed, round, &name(place));
                batches(fit_seed, owner.examples.len(), BATCH, STEPS)
            };
            owners.iter().enumerate().map(of).collect()
        };
        Self {
            owners,
            seed,
            initial: task.initial_parameters(),
            folds: digits.fold_examples(),
            batches: (1..=ROUNDS).map(draw).collect(),
        }
    }

    /// The fold of a round.
    pub(crate) fn fold(&self, round: u32) -> &Examples {
        &self.folds[round as usize - 1]
    }

    /// The folds of the rounds before it, which everybody has seen.
    pub(crate) fn opened(&self, round: u32) -> &[Examples] {
        &self.folds[..round as usize - 1]
    }

    /// The model that the owners in the bit set `members` come to without the others: the same
    /// averaging without rounding.
    pub(crate) fn train(&self, members: u32) -> Vec<f32> {
        let mut parameters = self.initial.clone();
        let mut step: Option<Vec<f32>> = None;
        let present = |place: &usize| members >> place & 1 == 1;
        let places: Vec<_> = (0..self.owners.len()).filter(present).collect();
        let total: u32 = places.iter().map(|place| self.weight(*place)).sum();
        if total == 0 {
            return parameters;
        }
        for round in 1..=ROUNDS {
            let mut sum = vec![0f32; parameters.len()];
            for &place in &places {
                let update = self.update(place, round, &parameters, step.as_deref());
                let factor = f64::from(self.weight(place)) / f64::from(total) * clip(&update);
                add(&mut sum, &update, factor as f32);
            }
            add(&mut parameters, &sum, 1.0);
            step = Some(sum);
        }
        parameters
    }

    /// All owners, in integers.
    pub(crate) fn record(&self) -> Vec<Round> {
        let mut parameters = self.initial.clone();
        let mut step: Option<Vec<f32>> = None;
        let mut rounds = Vec::new();
        for number in 1..=ROUNDS {
            let (mut units, mut weights) = (Vec::new(), Vec::new());
            for (place, owner) in self.owners.iter().enumerate() {
                let update = self.update(place, number, &parameters, step.as_deref());
                let mut rng = FitSeed::derive(self.seed, number, &name(place)).rounding();
                let quantised = quantise(&update, &QUANTISER, owner.claimed, &mut rng);
                let quantised = quantised.expect("attackers keep to finite numbers");
                units.push(quantised.units().collect::<Vec<_>>());
                weights.push(quantised.weight());
            }
            let mut round = Round { number, before: parameters, after: Vec::new(), units, weights };
            let scale = unit(round.weights.iter().sum());
            let moved: Vec<f32> =
                round.sum().iter().map(|sum| (f64::from(*sum) * scale) as f32).collect();
            round.after = round.before.clone();
            add(&mut round.after, &moved, 1.0);
            parameters = round.after.clone();
            step = Some(moved);
            rounds.push(round);
        }
        rounds
    }

    fn weight(&self, place: usize) -> u32 {
        self.owners[place].claimed.clamp(1, EXAMPLES_CAP)
    }

    /// What an owner sends, before it is clipped. `step` is how the model moved last.
    fn update(
        &self,
        place: usize,
        round: u32,
        parameters: &[f32],
        step: Option<&[f32]>,
    ) -> Vec<f32> {
        let owner = &self.owners[place];
        let honest = || {
            let batches = &self.batches[round as usize - 1][place];
            fit(parameters, &owner.examples, batches, LR)
        };
        let opened = self.opened(round);
        match owner.conduct {
            Conduct::Honest => honest(),
            Conduct::Attack(kind) => {
                let mut update = honest();
                let memory = Memory { clip_norm: CLIP_NORM, step };
                let numbers = [self.seed, u64::from(round), place as u64].map(u64::to_le_bytes);
                kind.spoil_update(&mut update, &memory, &numbers.each_ref().map(|n| &n[..]));
                update
            }
            Conduct::CurrentFold => {
                with_folds(parameters, &owner.examples, std::slice::from_ref(self.fold(round)))
            }
            Conduct::OpenedFolds => with_folds(parameters, &owner.examples, opened),
            Conduct::HiddenPoison { from, to } => {
                self.poison(owner, parameters, opened, [from, to])
            }
        }
    }

    /// A step on opened folds without one class, and as long a one on own examples of that class
    /// with another's label.
    fn poison(
        &self,
        owner: &Owner,
        parameters: &[f32],
        opened: &[Examples],
        [from, to]: [u32; 2],
    ) -> Vec<f32> {
        let data = &owner.data;
        let of_class: Vec<_> =
            (0..data.len()).filter(|number| data.labels()[*number] == from).collect();
        let labelled = data.subset(&of_class);
        let kind = covey_client::sim::AttackKind::Poison { from, to };
        let poison = Examples::new(&kind.spoil_data(labelled, &[]));
        let all = vec![(0..poison.len()).collect::<Vec<_>>(); STEPS];
        let mut update = fit(parameters, &poison, &all, LR);
        let without: Vec<Examples> = opened.iter().map(|fold| fold.without(from as u8)).collect();
        let cover = with_folds(parameters, &owner.examples, &without);
        let factor = POISON * norm(&cover) / norm(&update).max(f64::MIN_POSITIVE);
        update.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
        add(&mut update, &cover, 1.0);
        update
    }
}

/// Full-batch steps, as many as an owner does, on each fold: the mean of all updates; without folds
/// on its own examples.
fn with_folds(parameters: &[f32], own: &Examples, folds: &[Examples]) -> Vec<f32> {
    let whole = |examples: &Examples| {
        let all = vec![(0..examples.len()).collect::<Vec<_>>(); STEPS];
        fit(parameters, examples, &all, LR)
    };
    if folds.is_empty() {
        return whole(own);
    }
    let mut update = vec![0.0; parameters.len()];
    let share = 1.0 / folds.len() as f32;
    folds.iter().for_each(|fold| add(&mut update, &whole(fold), share));
    update
}

/// What one unit of the sum moves the model by, in a round of so much weight.
pub(crate) fn unit(weight: u32) -> f64 {
    QUANTISER.step() * f64::from(EXAMPLES_CAP) / f64::from(weight.max(1))
}

pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// The factor that clipping leaves of an update.
fn clip(update: &[f32]) -> f64 {
    (f64::from(CLIP_NORM) / norm(update)).min(1.0)
}

pub(crate) fn add(sums: &mut [f32], values: &[f32], factor: f32) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

/// How good parameters are for the truth.
pub(crate) fn utility(parameters: &[f32], test: &Examples) -> f64 {
    mlp::quality(parameters, test).accuracy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::even;

    /// Why the plan clips where it does.
    #[test]
    fn clean_updates_are_about_as_long_as_the_clip_allows() {
        let digits = Digits::open(1).expect("they ship");
        let owners: Vec<_> = even(&digits.training, 1).into_iter().map(Owner::honest).collect();
        let federation = Federation::new(&owners, &digits, 1);
        let mut norms = Vec::new();
        for round in federation.record() {
            let update = |place| federation.update(place, round.number, &round.before, None);
            norms.extend((0..owners.len()).map(|place| norm(&update(place))));
        }
        norms.sort_by(f64::total_cmp);
        let median = norms[norms.len() / 2];
        assert!((median / f64::from(CLIP_NORM) - 1.0).abs() < 0.15, "{median}");
    }

    /// What is trained for the truth is what is recorded, but for the rounding of updates.
    #[test]
    fn training_all_owners_comes_to_the_recorded_model_but_for_rounding() {
        let digits = Digits::open(1).expect("they ship");
        let owners: Vec<_> = even(&digits.training, 1).into_iter().map(Owner::honest).collect();
        let federation = Federation::new(&owners, &digits, 1);
        let trained = federation.train((1 << owners.len()) - 1);
        let recorded = &federation.record()[ROUNDS as usize - 1].after;
        let mut apart = trained.clone();
        add(&mut apart, recorded, -1.0);
        let mut way = trained;
        add(&mut way, &federation.initial, -1.0);
        assert!(norm(&apart) < 0.1 * norm(&way), "{} of {}", norm(&apart), norm(&way));
    }
}
