//! Scores of all folds, and the table of them.

use std::fmt;

use covey_aggregation::program::Failure;
use covey_examples::failed;
use covey_examples::hospitals::{HOSPITALS, Part};
use covey_examples::statistics::{deviation, mean};
use covey_model::train::Trainer;

use crate::way::Way;

/// Right answers about each hospital's records in one fold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Score {
    right: [u64; HOSPITALS.len()],
    of: [u64; HOSPITALS.len()],
}

/// The score of every way in one fold.
#[derive(Clone, Default)]
pub(crate) struct Fold {
    /// Of the plan as it ships.
    pub(crate) as_it_ships: Vec<Score>,
    /// With the setting chosen; none where nothing was chosen.
    pub(crate) chosen: Vec<Score>,
}

/// All of it.
pub(crate) struct Table {
    /// Each hospital's records.
    pub(crate) records: Vec<usize>,
    /// Of each seed, each fold.
    pub(crate) seeds: Vec<Vec<Fold>>,
}

/// A mean over folds, and deviations of the seeds' means and of all folds.
#[derive(Debug, PartialEq)]
struct Row {
    mean: f64,
    of_seeds: f64,
    of_folds: f64,
}

impl Score {
    /// Measures a model on what nobody trained on.
    pub(crate) fn of(trainer: &Trainer, model: &[f32], parts: &[&Part]) -> Result<Self, Failure> {
        let mut score = Self::default();
        for (place, part) in parts.iter().enumerate() {
            let metrics = trainer.evaluate(model, &part.test).map_err(failed)?;
            (score.right[place], score.of[place]) = (metrics.correct, metrics.count);
        }
        Ok(score)
    }

    /// Accuracy on all records, in percent.
    pub(crate) fn all(&self) -> f64 {
        100.0 * self.right.iter().sum::<u64>() as f64 / self.of.iter().sum::<u64>() as f64
    }

    /// Accuracy on one hospital's records, in percent.
    pub(crate) fn hospital(&self, place: usize) -> f64 {
        100.0 * self.right[place] as f64 / self.of[place] as f64
    }
}

/// Mean accuracy of the single hospitals' models on everybody's records.
fn alone(scores: &[Score]) -> f64 {
    mean(&singles(scores).map(|(_, score)| score.all()).collect::<Vec<_>>())
}

/// Accuracy on everybody's records, each judged by its own hospital's model.
fn at_home(scores: &[Score]) -> f64 {
    let right: u64 = singles(scores).map(|(place, score)| score.right[place]).sum();
    100.0 * right as f64 / scores[0].of.iter().sum::<u64>() as f64
}

fn singles(scores: &[Score]) -> impl Iterator<Item = (usize, &Score)> {
    Way::all().into_iter().zip(scores).filter_map(|(way, score)| match way {
        Way::Alone(place) => Some((place, score)),
        Way::Federated | Way::Pooled => None,
    })
}

fn of(scores: &[Score], wanted: Way) -> f64 {
    let found = Way::all().into_iter().zip(scores).find(|(way, _)| *way == wanted);
    found.map_or(f64::NAN, |(_, score)| score.all())
}

impl Row {
    /// `values` are of each seed, of each fold.
    fn of(values: &[Vec<f64>]) -> Self {
        let seeds: Vec<f64> = values.iter().map(|folds| mean(folds)).collect();
        let (of_seeds, of_folds) = (deviation(&seeds), deviation(&values.concat()));
        Self { mean: mean(&seeds), of_seeds, of_folds }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.2} {:>6.2} {:>6.2}", self.mean, self.of_seeds, self.of_folds)
    }
}

impl Table {
    fn row(&self, scores: &dyn Fn(&Fold) -> &[Score], value: &dyn Fn(&[Score]) -> f64) -> Row {
        let folds = |folds: &Vec<Fold>| folds.iter().map(|fold| value(scores(fold))).collect();
        Row::of(&self.seeds.iter().map(folds).collect::<Vec<_>>())
    }

    fn block(&self, f: &mut fmt::Formatter<'_>, scores: &dyn Fn(&Fold) -> &[Score]) -> fmt::Result {
        for (number, way) in Way::all().into_iter().enumerate() {
            write!(f, "{:<26}{} ", way.to_string(), self.row(scores, &|fold| fold[number].all()))?;
            for place in 0..HOSPITALS.len() {
                let row = self.row(scores, &|fold| fold[number].hospital(place));
                write!(f, " {:>11.2}", row.mean)?;
            }
            writeln!(f)?;
        }
        let mut line = |name: &str, value: &dyn Fn(&[Score]) -> f64| {
            writeln!(f, "{name:<26}{}", self.row(scores, value))
        };
        line("mean of the four alone", &alone)?;
        line("each alone, at home", &at_home)?;
        let federated = |fold: &[Score]| of(fold, Way::Federated);
        line("federated less pooled", &|fold| federated(fold) - of(fold, Way::Pooled))?;
        line("federated less mean alone", &|fold| federated(fold) - alone(fold))?;
        line("federated less at home", &|fold| federated(fold) - at_home(fold))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds = self.seeds.len();
        writeln!(
            f,
            "accuracy in percent on folds that nobody trained on, {seeds} seeds; mean, then"
        )?;
        writeln!(f, "standard deviation of the seeds' means and of all folds")?;
        write!(f, "{:<26}{:>7} {:>6} {:>6} ", "", "all", "seeds", "folds")?;
        HOSPITALS.iter().try_for_each(|name| write!(f, " {name:>11}"))?;
        write!(f, "\n{:<26}{:>7} {:>14}", "records", self.records.iter().sum::<usize>(), "")?;
        self.records.iter().try_for_each(|records| write!(f, " {records:>11}"))?;
        writeln!(f, "\nas it ships")?;
        self.block(f, &|fold| &fold.as_it_ships)?;
        if self.seeds.iter().flatten().all(|fold| !fold.chosen.is_empty()) {
            writeln!(f, "settings chosen within the records to train on")?;
            self.block(f, &|fold| &fold.chosen)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_counts_alike_and_deviations_are_of_seeds_and_of_folds() {
        let score = Score { right: [9, 0, 1, 2], of: [10, 4, 2, 4] };
        assert_eq!((score.all(), score.hospital(2)), (60.0, 50.0));
        let row = Row::of(&[vec![1.0, 3.0], vec![4.0, 4.0]]);
        assert_eq!(row, Row { mean: 3.0, of_seeds: 2f64.sqrt(), of_folds: 2f64.sqrt() });
    }

    #[test]
    fn at_home_each_record_is_judged_by_its_own_hospital() {
        let of = [10, 20, 30, 40];
        let scores: Vec<Score> = (0..Way::all().len() as u64)
            .map(|way| Score { right: [way, 2 * way, 3 * way, 4 * way], of })
            .collect();
        // The singles are ways 2 to 5: each is right about a tenth of its number.
        assert_eq!(at_home(&scores), (2 + 2 * 3 + 3 * 4 + 4 * 5) as f64);
        assert_eq!(alone(&scores), 35.0);
        assert_eq!(
            (super::of(&scores, Way::Federated), super::of(&scores, Way::Pooled)),
            (0.0, 10.0)
        );
    }
}
