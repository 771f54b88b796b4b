//! One owner's counters, example by example.

use zeroize::Zeroizing;

use super::figure::{largest, log_odds, log_softmax};
use super::{BINS, ERROR_UNITS, LOG_ODDS_MAX, LOSS_MAX_NATS, LOSS_UNITS, Layout};
use crate::config::Quantiser;

/// One owner's counters in the making. Secret until they are summed: zeroised when dropped.
pub struct Tally {
    layout: Layout,
    examples_max: u64,
    counts: Zeroizing<Vec<u64>>,
    loss_nats: Zeroizing<f64>,
    /// Sums of absolute and squared errors, as shares of the largest.
    errors: Zeroizing<[f64; 2]>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(layout: &Layout, quantiser: &Quantiser) -> Self {
        Self {
            examples_max: layout.examples_max(quantiser),
            counts: Zeroizing::new(vec![0; layout.len()]),
            layout: layout.clone(),
            loss_nats: Zeroizing::new(0.0),
            errors: Zeroizing::new([0.0; 2]),
        }
    }

    /// Which of `examples` to count: all, or, where a counter could overflow, as many as it takes,
    /// evenly spread.
    #[must_use]
    pub fn sample(&self, examples: usize) -> Vec<usize> {
        let most = usize::try_from(self.examples_max).unwrap_or(usize::MAX).min(examples);
        let place = |i: usize| (i as u128 * examples as u128 / most as u128) as usize;
        (0..most).map(place).collect()
    }

    /// Whether it takes no more examples: a counter could overflow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.counts[0] >= self.examples_max
    }

    /// Counts an example of class `label` for which the model gave these outputs, one for each
    /// class, before softmax. One that the layout has no class for, or whose outputs are no
    /// numbers, counts as wrong with the largest loss.
    pub fn class(&mut self, outputs: &[f32], label: u32) {
        if self.is_full() {
            return;
        }
        let (classes, label) = (self.layout.classes(), label as usize);
        let logs = log_softmax(outputs);
        let guess = largest(outputs);
        let is_usable =
            outputs.len() == classes && label < classes && logs.iter().all(|x| !x.is_nan());
        let label = label.min(classes.saturating_sub(1));
        let guess = if is_usable { guess } else { (label + 1) % classes.max(1) };
        let parts = self.layout.parts.clone();
        self.counts[0] += 1;
        if !parts.correct.is_empty() && guess == label {
            self.counts[parts.correct.start] += 1;
        }
        let loss = if is_usable { -logs[label] } else { LOSS_MAX_NATS };
        *self.loss_nats += loss.clamp(0.0, LOSS_MAX_NATS);
        if !parts.confusion.is_empty() {
            let mut count = |class: usize, place| {
                self.counts[parts.confusion.start + 3 * class + place] += 1;
            };
            if guess == label {
                count(label, 0);
            } else {
                count(guess, 1);
                count(label, 2);
            }
        }
        if parts.histograms.is_empty() {
            return;
        }
        let odds = if is_usable { log_odds(&logs) } else { vec![0.0; classes] };
        for (place, class) in self.layout.ranked().enumerate() {
            let others = usize::from(class != label);
            let histogram = parts.histograms.start + (2 * place + others) * BINS;
            self.counts[histogram + bin(odds[class])] += 1;
        }
    }

    /// Counts an example for which the model was off by `error`, in the unit of the plan's
    /// `error_max`.
    pub fn number(&mut self, error: f64) {
        if self.is_full() {
            return;
        }
        self.counts[0] += 1;
        // What is no number is the largest error.
        let share = (error.abs() / self.layout.error_max()).min(1.0);
        self.errors[0] += share;
        self.errors[1] += share * share;
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> Zeroizing<Vec<u64>> {
        let mut counters = self.counts.clone();
        let parts = &self.layout.parts;
        let sums = [
            (&parts.loss, *self.loss_nats * LOSS_UNITS),
            (&parts.absolute, self.errors[0] * ERROR_UNITS),
            (&parts.squared, self.errors[1] * ERROR_UNITS),
        ];
        for (part, sum) in sums {
            if !part.is_empty() {
                counters[part.start] = sum.round() as u64;
            }
        }
        counters
    }
}

/// The bin of log odds; what is no number lies in the middle.
fn bin(odds: f64) -> usize {
    let odds = if odds.is_nan() { 0.0 } else { odds };
    let place = (odds + LOG_ODDS_MAX) / (2.0 * LOG_ODDS_MAX) * BINS as f64;
    (place.max(0.0) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Weighting;
    use crate::evaluation::Metric;

    #[test]
    fn outputs_that_are_no_numbers_count_as_wrong() {
        let quantiser =
            Quantiser { bits: 8, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform };
        let metrics = [Metric::Accuracy, Metric::Loss, Metric::MacroF1, Metric::Auroc];
        let layout = Layout::new(&metrics, 3, 1.0);
        let mut tally = Tally::new(&layout, &quantiser);
        tally.class(&[f32::NAN, 1.0, 2.0], 1);
        tally.class(&[1.0, f32::INFINITY, 2.0], 1);
        tally.class(&[1.0, 2.0], 1);
        tally.class(&[1.0, 2.0, 0.0], 7);
        let scores = layout.read(&tally.counters()).expect("they do not contradict each other");
        assert_eq!(scores.examples, 4);
        assert_eq!(scores.get(Metric::Accuracy), Some(0.0));
        assert_eq!(scores.get(Metric::Loss), Some(LOSS_MAX_NATS));
        assert_eq!(scores.get(Metric::MacroF1), Some(0.0));
    }

    #[test]
    fn examples_beyond_what_counters_hold_are_left_out_evenly() {
        let quantiser =
            Quantiser { bits: 4, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform };
        let layout = Layout::new(&[Metric::Loss], 2, 1.0);
        let tally = Tally::new(&layout, &quantiser);
        assert_eq!(tally.sample(10), [0, 3, 6]);
        assert_eq!(tally.sample(3), [0, 1, 2]);
        assert_eq!(tally.sample(0), [0; 0]);
    }

    #[test]
    fn log_odds_fall_into_bins_of_a_quarter() {
        for (odds, expected) in
            [(-99.0, 0), (-8.0, 0), (-0.01, 31), (0.0, 32), (0.3, 33), (7.99, 63), (99.0, 63)]
        {
            assert_eq!(bin(odds), expected, "{odds}");
        }
    }
}
