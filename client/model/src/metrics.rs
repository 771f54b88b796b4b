//! How well a model does on a data set, in the field's usual figures.

use covey_aggregation::evaluation::{largest, log_odds, log_softmax, macro_f1, mean};
use covey_aggregation::plan::{Goal, Loss};

use crate::evaluate::Answer;
use crate::limits::RANKED_SCORES_MAX;
use crate::loss::number_loss;

/// How well a model does on a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Mean loss: cross-entropy in nats, or the plan's loss of a number.
    pub loss: f64,
    /// Answers whose class got the largest output; 0 where a number is predicted.
    pub correct: u64,
    /// Answers: examples, or tokens where every token is predicted.
    pub count: u64,
    /// Mean over classes of the harmonic mean of precision and recall. A class that neither
    /// occurs nor is predicted does not count.
    pub macro_f1: Option<f64>,
    /// Area under the ROC curve: of the second class where there are two, else the mean over
    /// classes, each against the rest. None where all examples are of one class, or there are
    /// very many scores.
    pub auroc: Option<f64>,
    /// Mean absolute error, in the units of the file.
    pub mae: Option<f64>,
    /// Square root of the mean squared error, in the units of the file.
    pub rmse: Option<f64>,
    /// e to the mean cross-entropy of a token.
    pub perplexity: Option<f64>,
}

impl Metrics {
    /// Share of right answers, from 0 to 1; none where a number is predicted.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        self.mae.is_none().then(|| self.correct as f64 / self.count as f64)
    }
}

/// Adds up losses alone.
pub(crate) struct LossMeter {
    loss: Loss,
    count: u64,
    sum: f64,
}

impl LossMeter {
    pub(crate) const fn new(loss: Loss) -> Self {
        Self { loss, count: 0, sum: 0.0 }
    }

    /// Counts an answer; false where its outputs are no finite numbers.
    pub(crate) fn add(&mut self, answer: &Answer<'_>) -> bool {
        self.count += 1;
        self.sum += match *answer {
            Answer::Number { output, wanted } => {
                number_loss(f64::from(output) - f64::from(wanted), self.loss)
            }
            Answer::Class { outputs, label } => -log_softmax(outputs)[label as usize],
        };
        is_finite(answer)
    }

    /// The mean.
    pub(crate) fn finish(self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

/// Adds up answers.
pub(crate) struct Meter {
    goal: Goal,
    loss: Loss,
    /// What an error of one is in the units of the file.
    unit: f64,
    count: u64,
    loss_sum: f64,
    correct: u64,
    /// True positives, false positives and false negatives of each class.
    confusion: Vec<[u64; 3]>,
    /// Log odds of each ranked class, example by example, with whether it is the example's.
    scores: Vec<Vec<(f64, bool)>>,
    scored: usize,
    absolute: f64,
    squared: f64,
}

impl Meter {
    pub(crate) fn new(goal: Goal, loss: Loss, unit: f64) -> Self {
        let classes = match goal {
            Goal::Class(classes) => classes as usize,
            Goal::Number | Goal::NextToken(_) => 0,
        };
        Self {
            goal,
            loss,
            unit,
            count: 0,
            loss_sum: 0.0,
            correct: 0,
            confusion: vec![[0; 3]; classes],
            scores: vec![Vec::new(); if classes == 2 { 1 } else { classes }],
            scored: 0,
            absolute: 0.0,
            squared: 0.0,
        }
    }

    /// Counts an answer; false where its outputs are no finite numbers.
    pub(crate) fn add(&mut self, answer: &Answer<'_>) -> bool {
        self.count += 1;
        match *answer {
            Answer::Number { output, wanted } => {
                let error = f64::from(output) - f64::from(wanted);
                self.loss_sum += number_loss(error, self.loss);
                self.absolute += error.abs();
                self.squared += error * error;
            }
            Answer::Class { outputs, label } => {
                let label = label as usize;
                let logs = log_softmax(outputs);
                self.loss_sum -= logs[label];
                let guess = largest(outputs);
                self.correct += u64::from(guess == label);
                if !self.confusion.is_empty() {
                    self.confuse(guess, label);
                    self.rank(&logs, label);
                }
            }
        }
        is_finite(answer)
    }

    fn confuse(&mut self, guess: usize, label: usize) {
        if guess == label {
            self.confusion[label][0] += 1;
        } else {
            self.confusion[guess][1] += 1;
            self.confusion[label][2] += 1;
        }
    }

    fn rank(&mut self, logs: &[f64], label: usize) {
        self.scored += self.scores.len();
        if self.scored > RANKED_SCORES_MAX {
            return;
        }
        // Of two classes, the second tells all.
        let first = usize::from(logs.len() == 2);
        let odds = log_odds(logs).into_iter().enumerate().skip(first);
        for (scores, (class, odds)) in self.scores.iter_mut().zip(odds) {
            scores.push((odds, class == label));
        }
    }

    pub(crate) fn finish(mut self) -> Metrics {
        let count = self.count.max(1) as f64;
        let loss = self.loss_sum / count;
        let is_number = self.goal == Goal::Number;
        let auroc = if self.scored > RANKED_SCORES_MAX {
            None
        } else {
            mean(self.scores.iter_mut().filter_map(|scores| area(scores)))
        };
        let errors = is_number.then_some((self.absolute, self.squared));
        Metrics {
            loss,
            correct: self.correct,
            count: self.count,
            macro_f1: macro_f1(&self.confusion),
            auroc,
            mae: errors.map(|(absolute, _)| absolute / count * self.unit),
            rmse: errors.map(|(_, squared)| (squared / count).sqrt() * self.unit),
            perplexity: matches!(self.goal, Goal::NextToken(_)).then(|| loss.exp()),
        }
    }
}

/// Whether the outputs are finite numbers.
fn is_finite(answer: &Answer<'_>) -> bool {
    match *answer {
        Answer::Number { output, .. } => output.is_finite(),
        Answer::Class { outputs, .. } => outputs.iter().all(|output| output.is_finite()),
    }
}

/// The share of pairs of an example of the class and one of others in which the former has the
/// higher score; half of those with the same (Mann & Whitney, 1947).
fn area(scores: &mut [(f64, bool)]) -> Option<f64> {
    scores.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
    let (mut below, mut sum, mut own) = (0.0, 0.0, 0.0);
    for tied in scores.chunk_by(|x, y| x.0 == y.0) {
        let hits = tied.iter().filter(|(_, is_own)| *is_own).count() as f64;
        let others = tied.len() as f64 - hits;
        sum += hits * (below + others / 2.0);
        below += others;
        own += hits;
    }
    (own * below > 0.0).then(|| sum / (own * below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(goal: Goal, answers: &[(&[f32], u32)]) -> Metrics {
        let mut meter = Meter::new(goal, Loss::CrossEntropy, 1.0);
        let mut losses = LossMeter::new(Loss::CrossEntropy);
        for (outputs, label) in answers {
            let answer = Answer::Class { outputs, label: *label };
            assert!(meter.add(&answer) && losses.add(&answer));
        }
        let metrics = meter.finish();
        assert_eq!(losses.finish(), metrics.loss);
        metrics
    }

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-6)
    }

    /// The example of five that federated evaluation is tested with, by hand.
    #[test]
    fn figures_of_classes_are_those_computed_by_hand() {
        let logs = |shares: [f32; 3]| shares.map(f32::ln);
        let rows = [
            (logs([0.7, 0.2, 0.1]), 0),
            (logs([0.3, 0.6, 0.1]), 0),
            (logs([0.1, 0.8, 0.1]), 1),
            (logs([0.2, 0.2, 0.6]), 2),
            (logs([0.5, 0.25, 0.25]), 1),
        ];
        let rows: Vec<(&[f32], u32)> = rows.iter().map(|(row, label)| (&row[..], *label)).collect();
        let found = measured(Goal::Class(3), &rows);
        assert_eq!((found.count, found.correct, found.accuracy()), (5, 3, Some(0.6)));
        let loss = -(0.7f64.ln() + 0.3f64.ln() + 0.8f64.ln() + 0.6f64.ln() + 0.25f64.ln()) / 5.0;
        assert!(near(Some(found.loss), loss), "{found:?}");
        assert!(near(found.macro_f1, (0.5 + 0.5 + 1.0) / 3.0), "{found:?}");
        assert!(near(found.auroc, (5.0 / 6.0 + 5.0 / 6.0 + 1.0) / 3.0), "{found:?}");
        assert_eq!((found.mae, found.rmse, found.perplexity), (None, None, None));
    }

    #[test]
    fn equal_scores_count_half_and_one_class_alone_has_no_area() {
        let rows: [(&[f32], u32); 4] =
            [(&[0.0, 1.0], 1), (&[0.0, 1.0], 0), (&[0.0, -1.0], 0), (&[0.0, 2.0], 1)];
        // Pairs: (1, 1) half, (1, -1), (2, 1), (2, -1) whole: 3.5 of 4.
        assert!(near(measured(Goal::Class(2), &rows).auroc, 3.5 / 4.0));
        assert_eq!(measured(Goal::Class(2), &rows[..1]).auroc, None);
    }

    #[test]
    fn errors_are_told_in_the_units_of_the_file() {
        let mut meter = Meter::new(Goal::Number, Loss::Huber { delta: 1.0 }, 10.0);
        for (output, wanted) in [(1.0, 0.0), (0.0, 3.0)] {
            assert!(meter.add(&Answer::Number { output, wanted }));
        }
        let mut losses = LossMeter::new(Loss::Huber { delta: 1.0 });
        for (output, wanted) in [(1.0, 0.0), (0.0, 3.0)] {
            assert!(losses.add(&Answer::Number { output, wanted }));
        }
        let found = meter.finish();
        assert_eq!(losses.finish(), found.loss);
        assert!(near(found.mae, 20.0) && near(found.rmse, 10.0 * 5f64.sqrt()), "{found:?}");
        // Huber: 0.5 and 1 (3 - 0.5).
        assert!(near(Some(found.loss), 1.5), "{found:?}");
        assert_eq!((found.accuracy(), found.auroc), (None, None));
    }

    #[test]
    fn tokens_have_a_perplexity() {
        let rows: [(&[f32], u32); 2] = [(&[0.0, 0.0, 0.0, 0.0], 1), (&[0.0, 0.0, 0.0, 0.0], 3)];
        let found = measured(Goal::NextToken(4), &rows);
        assert!(near(found.perplexity, 4.0), "{found:?}");
        assert_eq!((found.macro_f1, found.auroc, found.accuracy()), (None, None, Some(0.0)));
    }
}
