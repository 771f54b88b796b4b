//! The public vectors of a round: what evidence is taken along, and what it is estimated by.

use covey_aggregation::audit::direction::{Direction, REFERENCE_BITS, VALIDATION_BITS};

use crate::federation::{Round, add};
use crate::mlp::{Examples, fit, gradient};
use crate::plan::LR;

/// Steps on the whole fold that make a direction.
const FOLD_STEPS: usize = 20;

/// Public steps that novelty leaves out.
const HISTORY: usize = 3;

/// Nodes and weights of Gauss and Legendre's rule with five points on [0, 1].
const NODES: [(f64, f64); 5] = [
    (0.046_910_077_030_668_004, 0.118_463_442_528_094_54),
    (0.230_765_344_947_158_45, 0.239_314_335_249_683_23),
    (0.5, 0.284_444_444_444_444_44),
    (0.769_234_655_052_841_5, 0.239_314_335_249_683_23),
    (0.953_089_922_969_332, 0.118_463_442_528_094_54),
];

/// A round's public vectors, in integers.
pub(crate) struct Directions {
    /// How the fold would have trained the model.
    pub(crate) trained: Vec<i32>,
    /// Down the fold's loss, on average over the way that the model went.
    pub(crate) path: Vec<i32>,
    /// The opened sum.
    pub(crate) sum: Vec<i32>,
    /// How earlier rounds moved the model, at most three.
    pub(crate) steps: Vec<Vec<i32>>,
    /// How the folds that were opened so far would have trained the model.
    pub(crate) opened: Vec<Vec<i32>>,
}

impl Directions {
    /// Of `round`, on its fold; `before` are all rounds before it, and `opened` their folds, both
    /// in order.
    pub(crate) fn new(
        round: &Round,
        fold: &Examples,
        before: &[Round],
        opened: &[Examples],
    ) -> Self {
        let grid = |values: &[f32], bits| Some(Direction::new(values, bits).ok()?.units().to_vec());
        let trained = |fold| trained(&round.before, fold);
        let steps = before[before.len().saturating_sub(HISTORY)..].iter().map(Round::step);
        Self {
            trained: grid(&trained(fold), VALIDATION_BITS).expect("a fold moves the model"),
            path: grid(&path(round, fold), REFERENCE_BITS).expect("a fold has a gradient"),
            sum: round.sum(),
            // A round that did not move the model has no direction, and takes nothing off.
            steps: steps.filter_map(|one| grid(&one, REFERENCE_BITS)).collect(),
            opened: opened
                .iter()
                .map(trained)
                .filter_map(|one| grid(&one, REFERENCE_BITS))
                .collect(),
        }
    }
}

/// How a fold would train the model.
fn trained(parameters: &[f32], fold: &Examples) -> Vec<f32> {
    let all = vec![(0..fold.len()).collect::<Vec<_>>(); FOLD_STEPS];
    fit(parameters, fold, &all, LR)
}

/// The path-averaged negative gradient.
fn path(round: &Round, fold: &Examples) -> Vec<f32> {
    let step = round.step();
    let mut mean = vec![0.0; step.len()];
    for (node, weight) in NODES {
        let mut between = round.before.clone();
        add(&mut between, &step, node as f32);
        add(&mut mean, &gradient(&between, fold), -weight as f32);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::Digits;
    use crate::federation::Federation;
    use crate::mlp::quality;
    use crate::scenario::Scenario;

    /// The theorem that harm rests on: the path direction's product with the step is how much the
    /// loss of the fold fell.
    #[test]
    fn the_path_adds_up_to_what_the_loss_fell() {
        let digits = Digits::open(1).expect("they ship");
        let owners = Scenario::Counts.owners(&digits, 1);
        let federation = Federation::new(&owners, &digits, 1);
        for round in federation.record().iter().take(3) {
            let fold = federation.fold(round.number);
            let fell = quality(&round.before, fold).loss - quality(&round.after, fold).loss;
            let pairs = path(round, fold).into_iter().zip(round.step());
            let along: f64 = pairs.map(|(path, step)| f64::from(path) * f64::from(step)).sum();
            assert!((along - fell).abs() < 0.02 * fell.abs(), "{along} {fell}");
        }
    }

    #[test]
    fn a_round_knows_the_three_steps_before_it_and_the_folds_that_were_opened() {
        let digits = Digits::open(1).expect("they ship");
        let owners = Scenario::Counts.owners(&digits, 1);
        let federation = Federation::new(&owners, &digits, 1);
        let rounds = federation.record();
        for (number, known) in [(0, [0, 0]), (1, [1, 1]), (3, [3, 3]), (9, [3, 9]), (15, [3, 15])] {
            let fold = federation.fold(rounds[number].number);
            let (before, opened) = (&rounds[..number], federation.opened(rounds[number].number));
            let directions = Directions::new(&rounds[number], fold, before, opened);
            assert_eq!([directions.steps.len(), directions.opened.len()], known);
            let all = [&directions.trained, &directions.path].into_iter().chain(&directions.steps);
            let largest = |units: &Vec<i32>| units.iter().map(|unit| unit.abs()).max();
            let ends: Vec<_> = all.map(largest).collect();
            assert_eq!(ends[..2], [Some(31), Some(2047)]);
            assert!(ends[2..].iter().all(|end| *end == Some(2047)));
        }
    }
}
