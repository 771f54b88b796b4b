//! What is usual where every update lies open. All are given more than the encrypted run: each
//! update in the clear, and the whole pool of folds in every round.

use crate::federation::{Round, unit};
use crate::metric::deviation;
use crate::mlp::{Examples, Quality, quality};
use crate::shapley::shapley;

/// A method that looks at single updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// The Shapley value of every round's aggregation, exactly, by what the loss of the pool falls.
    FedSv,
    /// The same by its accuracy.
    FedSvAccuracy,
    /// What the loss of the pool falls less without the owner.
    LeaveOneOut,
    /// What the accuracy on the pool rises less without the owner.
    LeaveOneOutAccuracy,
    /// The cosine between the update and the aggregate.
    Cosine,
}

pub(crate) const BASELINES: [Baseline; 5] = [
    Baseline::FedSv,
    Baseline::FedSvAccuracy,
    Baseline::LeaveOneOut,
    Baseline::LeaveOneOutAccuracy,
    Baseline::Cosine,
];

impl Baseline {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::FedSv => "fedsv",
            Self::FedSvAccuracy => "fedsv-accuracy",
            Self::LeaveOneOut => "leave-one-out",
            Self::LeaveOneOutAccuracy => "leave-one-out-accuracy",
            Self::Cosine => "cosine",
        }
    }
}

/// What each baseline gives each owner in each round, in the order of [`BASELINES`]:
/// `[baseline][round][owner]`.
pub(crate) fn scores(rounds: &[Round], pool: &Examples) -> Vec<Vec<Vec<f64>>> {
    let mut all = vec![Vec::new(); BASELINES.len()];
    for round in rounds {
        let worth = worth(round, pool);
        let losses: Vec<_> = worth.iter().map(|quality| -quality.loss).collect();
        let accuracies: Vec<_> = worth.iter().map(|quality| quality.accuracy).collect();
        for (scores, baseline) in all.iter_mut().zip(BASELINES) {
            scores.push(match baseline {
                Baseline::FedSv => shapley(&losses),
                Baseline::FedSvAccuracy => shapley(&accuracies),
                Baseline::LeaveOneOut => leave_one_out(&losses),
                Baseline::LeaveOneOutAccuracy => leave_one_out(&accuracies),
                Baseline::Cosine => cosines(round),
            });
        }
    }
    all
}

/// How good the model would be if these owners alone had been added, for every set of them.
fn worth(round: &Round, pool: &Examples) -> Vec<Quality> {
    let owners = round.units.len();
    let of = |members: usize| {
        let present: Vec<_> = (0..owners).filter(|owner| members >> owner & 1 == 1).collect();
        let weight = present.iter().map(|owner| round.weights[*owner]).sum();
        let mut parameters = round.before.clone();
        for owner in present {
            for (parameter, moved) in parameters.iter_mut().zip(&round.units[owner]) {
                *parameter += (f64::from(*moved) * unit(weight)) as f32;
            }
        }
        quality(&parameters, pool)
    };
    (0..1 << owners).map(of).collect()
}

fn leave_one_out(worth: &[f64]) -> Vec<f64> {
    let all = worth.len() - 1;
    let owners = worth.len().trailing_zeros() as usize;
    (0..owners).map(|owner| worth[all] - worth[all ^ 1 << owner]).collect()
}

fn cosines(round: &Round) -> Vec<f64> {
    let sum = round.sum();
    let product = |left: &[i32], right: &[i32]| {
        left.iter()
            .zip(right)
            .map(|(left, right)| f64::from(*left) * f64::from(*right))
            .sum::<f64>()
    };
    let length = product(&sum, &sum).sqrt();
    let cosine = |units: &Vec<i32>| {
        let own = product(units, units).sqrt() * length;
        if own > 0.0 { product(units, &sum) / own } else { 0.0 }
    };
    round.units.iter().map(cosine).collect()
}

/// An epoch of scores: their sum, and what it pays: the sum less one standard error, as credits are
/// paid, but without a budget for each round.
pub(crate) fn settle(rounds: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let owners = rounds.first().map_or(0, Vec::len);
    let of = |owner: usize| rounds.iter().map(|round| round[owner]).collect::<Vec<_>>();
    let sums: Vec<f64> = (0..owners).map(|owner| of(owner).iter().sum()).collect();
    let error = |owner| deviation(&of(owner)).unwrap_or(0.0) * (rounds.len() as f64).sqrt();
    let paid = (0..owners).map(|owner| (sums[owner] - error(owner)).max(0.0)).collect();
    (sums, paid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::Digits;
    use crate::federation::Federation;
    use crate::scenario::Scenario;

    #[test]
    fn leaving_out_is_the_last_step_to_all() {
        assert_eq!(leave_one_out(&[0.0, 1.0, 3.0, 10.0]), [7.0, 9.0]);
    }

    #[test]
    fn an_epoch_pays_its_sum_less_one_standard_error() {
        let (sums, paid) = settle(&[vec![1.0, -1.0], vec![3.0, 0.0]]);
        assert_eq!(sums, [4.0, -1.0]);
        assert!((paid[0] - 2.0).abs() < 1e-12, "{paid:?}");
        assert_eq!(paid[1], 0.0);
    }

    #[test]
    fn shares_of_a_round_add_up_to_what_it_gained_and_zero_has_none_of_the_cosine() {
        let digits = Digits::open(3).expect("they ship");
        let owners = Scenario::Mixed.owners(&digits, 3);
        let federation = Federation::new(&owners, &digits, 3);
        let rounds = &federation.record()[..2];
        let pool = Examples::new(&digits.pool);
        let scores = scores(rounds, &pool);
        for (number, round) in rounds.iter().enumerate() {
            let gained = quality(&round.before, &pool).loss - quality(&round.after, &pool).loss;
            let shared: f64 = scores[0][number].iter().sum();
            assert!((shared - gained).abs() < 1e-5, "{shared} {gained}");
            // Owner 8 sends zeros, owner 9 the wrong sign.
            assert_eq!(scores[4][number][8], 0.0);
            assert!(scores[4][number][9] < 0.0);
        }
    }
}
