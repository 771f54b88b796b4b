//! What each counter counts, and what their sums say.

use std::collections::BTreeMap;
use std::ops::Range;

use super::figure::{macro_f1, mean};
use super::{BINS, ERROR_UNITS, LOSS_MAX_NATS, LOSS_UNITS, Metric, Scores};
use crate::config::Quantiser;

/// What each counter counts, in this order: examples; right answers; the sum of losses; true
/// positives, false positives and false negatives of each class; histograms of the log odds of
/// each class, of examples of the class and then of others; the sums of absolute and of squared
/// errors. Only what the metrics need is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    metrics: Vec<Metric>,
    classes: usize,
    error_max: f64,
    pub(super) parts: Parts,
}

/// Where each kind of counter lies; an empty range where it is not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) correct: Range<usize>,
    pub(super) loss: Range<usize>,
    pub(super) confusion: Range<usize>,
    pub(super) histograms: Range<usize>,
    pub(super) absolute: Range<usize>,
    pub(super) squared: Range<usize>,
    pub(super) end: usize,
}

/// Sums that no honest owners' counters add up to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counters contradict each other: {0}; some owner's are false")]
pub struct Implausible(pub &'static str);

impl Layout {
    /// The layout for these metrics, of a model that tells `classes` apart, or, where it predicts
    /// a number, with errors of at most `error_max`.
    #[must_use]
    pub fn new(metrics: &[Metric], classes: usize, error_max: f64) -> Self {
        let needs = |wanted: &[Metric]| metrics.iter().any(|metric| wanted.contains(metric));
        let mut end = 1;
        let mut part = |is_needed: bool, length: usize| {
            let start = end;
            end += if is_needed { length } else { 0 };
            start..end
        };
        let mut parts = Parts {
            correct: part(needs(&[Metric::Accuracy]), 1),
            loss: part(needs(&[Metric::Loss, Metric::Perplexity]), 1),
            confusion: part(needs(&[Metric::MacroF1]), 3 * classes),
            histograms: part(needs(&[Metric::Auroc]), 2 * BINS * ranked(classes).len()),
            absolute: part(needs(&[Metric::Mae]), 1),
            squared: part(needs(&[Metric::Rmse]), 1),
            end: 0,
        };
        parts.end = end;
        Self { metrics: metrics.to_vec(), classes, error_max, parts }
    }

    /// Counters.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.parts.end
    }

    /// Whether there is none. There always is the number of examples.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Classes that are told apart.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The largest error that counts.
    #[must_use]
    pub const fn error_max(&self) -> f64 {
        self.error_max
    }

    /// Classes with a histogram each.
    pub(super) fn ranked(&self) -> Range<usize> {
        ranked(self.classes)
    }

    /// Examples that one owner may count before a counter of this quantiser could overflow.
    #[must_use]
    pub fn examples_max(&self, quantiser: &Quantiser) -> u64 {
        let most = |part: &Range<usize>, units: f64| if part.is_empty() { 1 } else { units as u64 };
        let each = most(&self.parts.loss, LOSS_MAX_NATS * LOSS_UNITS)
            .max(most(&self.parts.absolute, ERROR_UNITS))
            .max(most(&self.parts.squared, ERROR_UNITS));
        quantiser.counter_max() / each
    }

    /// What the opened sums say.
    ///
    /// # Errors
    /// [`Implausible`], also when there are more or fewer counters.
    pub fn read(&self, counters: &[u64]) -> Result<Scores, Implausible> {
        if counters.len() != self.len() {
            return Err(Implausible("their number is another"));
        }
        let examples = counters[0];
        self.check(counters, examples)?;
        let mut metrics = BTreeMap::new();
        if examples > 0 {
            let value = |metric| self.value(metric, counters, examples as f64);
            metrics
                .extend(self.metrics.iter().filter_map(|&metric| Some((metric, value(metric)?))));
        }
        Ok(Scores { examples, metrics })
    }

    fn check(&self, counters: &[u64], examples: u64) -> Result<(), Implausible> {
        let of = |part: &Range<usize>| &counters[part.clone()];
        let parts = &self.parts;
        let at_most = |part: &Range<usize>, each: f64| {
            of(part).iter().all(|&sum| u128::from(sum) <= u128::from(examples) * each as u128)
        };
        if !at_most(&parts.correct, 1.0) {
            return Err(Implausible("more right answers than examples"));
        }
        if !at_most(&parts.loss, LOSS_MAX_NATS * LOSS_UNITS) {
            return Err(Implausible("more loss than so many examples have"));
        }
        if !at_most(&parts.absolute, ERROR_UNITS) || !at_most(&parts.squared, ERROR_UNITS) {
            return Err(Implausible("larger errors than so many examples have"));
        }
        if !parts.confusion.is_empty() {
            let column = |place: usize| {
                let column = of(&parts.confusion).chunks_exact(3).map(|class| class[place]);
                column.map(u128::from).sum::<u128>()
            };
            let (hits, wrong, missed) = (column(0), column(1), column(2));
            if hits + wrong != u128::from(examples) || hits + missed != u128::from(examples) {
                return Err(Implausible("answers of classes that are not those of the examples"));
            }
        }
        let histograms = of(&parts.histograms).chunks_exact(2 * BINS);
        let mut sums = histograms.map(|both| both.iter().copied().map(u128::from).sum::<u128>());
        if sums.any(|sum| sum != u128::from(examples)) {
            return Err(Implausible("histograms of other examples"));
        }
        Ok(())
    }

    fn value(&self, metric: Metric, counters: &[u64], examples: f64) -> Option<f64> {
        let parts = &self.parts;
        let mean = |part: &Range<usize>| Some(*counters[part.clone()].first()? as f64 / examples);
        match metric {
            Metric::Accuracy => mean(&parts.correct),
            Metric::Loss => mean(&parts.loss).map(|units| units / LOSS_UNITS),
            Metric::Perplexity => mean(&parts.loss).map(|units| (units / LOSS_UNITS).exp()),
            Metric::MacroF1 => macro_f1(counters[parts.confusion.clone()].as_chunks().0),
            Metric::Auroc => auroc(&counters[parts.histograms.clone()]),
            Metric::Mae => mean(&parts.absolute).map(|units| units / ERROR_UNITS * self.error_max),
            Metric::Rmse => {
                mean(&parts.squared).map(|units| (units / ERROR_UNITS).sqrt() * self.error_max)
            }
        }
    }
}

/// Of two classes, one histogram tells all.
fn ranked(classes: usize) -> Range<usize> {
    if classes == 2 { 1..2 } else { 0..classes }
}

/// The share of pairs of an example of the class and one of others in which the former lies in
/// a higher bin; half of those in the same bin (Mann & Whitney, 1947).
fn auroc(histograms: &[u64]) -> Option<f64> {
    let areas = histograms.chunks_exact(2 * BINS).filter_map(|both| {
        let (own, others) = both.split_at(BINS);
        let (mut below, mut area) = (0.0, 0.0);
        for (&own, &others) in own.iter().zip(others) {
            area += own as f64 * (below + others as f64 / 2.0);
            below += others as f64;
        }
        let pairs = own.iter().map(|&count| count as f64).sum::<f64>() * below;
        (pairs > 0.0).then(|| area / pairs)
    });
    mean(areas)
}

#[cfg(test)]
mod tests {
    use super::super::Tally;
    use super::*;
    use crate::config::Weighting;

    fn quantiser(bits: u8) -> Quantiser {
        Quantiser { bits, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform }
    }

    fn add(sums: &mut [u64], counters: &[u64]) {
        sums.iter_mut().zip(counters).for_each(|(sum, counter)| *sum += counter);
    }

    /// Two owners with three and two examples of three classes.
    #[test]
    fn scores_of_classes_are_those_of_all_examples_together() {
        let metrics =
            [Metric::Accuracy, Metric::Loss, Metric::MacroF1, Metric::Auroc, Metric::Perplexity];
        let layout = Layout::new(&metrics, 3, 1.0);
        assert_eq!(layout.len(), 1 + 1 + 1 + 9 + 3 * 2 * BINS);
        let ln = f32::ln;
        // Log probabilities; labels 0, 0, 1 and 2, 1.
        let first = [([0.7, 0.2, 0.1], 0), ([0.3, 0.6, 0.1], 0), ([0.1, 0.8, 0.1], 1)];
        let second = [([0.2, 0.2, 0.6], 2), ([0.5, 0.25, 0.25], 1)];
        let mut sums = vec![0; layout.len()];
        for owner in [&first[..], &second[..]] {
            let mut tally = Tally::new(&layout, &quantiser(8));
            for (probabilities, label) in owner {
                tally.class(&probabilities.map(ln), *label);
            }
            add(&mut sums, &tally.counters());
        }
        // An owner without held-out examples sends zeros.
        add(&mut sums, &Tally::new(&layout, &quantiser(8)).counters());
        let scores = layout.read(&sums).expect("honest counters");
        assert_eq!(scores.examples, 5);
        assert_eq!(scores.get(Metric::Accuracy), Some(0.6));
        let loss = -(0.7f64.ln() + 0.3f64.ln() + 0.8f64.ln() + 0.6f64.ln() + 0.25f64.ln()) / 5.0;
        let got = scores.get(Metric::Loss).expect("a loss");
        assert!((got - loss).abs() <= 2.0 / 5.0 * 0.5 / 1024.0, "{got} {loss}");
        let perplexity = scores.get(Metric::Perplexity).expect("a perplexity");
        assert!((perplexity - got.exp()).abs() < 1e-12);
        // Class 0: 1 hit, 1 wrong, 1 missed; class 1: 1, 1, 1; class 2: 1, 0, 0.
        let f1 = scores.get(Metric::MacroF1).expect("an F1");
        assert!((f1 - (0.5 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
        // By hand: class 0 has .7 and .3 against .1 .2 .5: 5 of 6 pairs; class 1 .8 and .25
        // against .2 .6 .2: 5 of 6; class 2 .6 against .1 .1 .1 .25: all.
        let auroc = scores.get(Metric::Auroc).expect("an area");
        assert!((auroc - (5.0 / 6.0 + 5.0 / 6.0 + 1.0) / 3.0).abs() < 1e-12, "{auroc}");
    }

    #[test]
    fn errors_are_capped_and_their_means_are_exact_to_half_a_unit() {
        let layout = Layout::new(&[Metric::Mae, Metric::Rmse], 1, 10.0);
        let mut tally = Tally::new(&layout, &quantiser(8));
        for error in [1.0, -3.0, 1000.0, f64::INFINITY] {
            tally.number(error);
        }
        let scores = layout.read(&tally.counters()).expect("honest counters");
        let (mae, rmse) = (scores.get(Metric::Mae), scores.get(Metric::Rmse));
        assert!((mae.expect("one") - 6.0).abs() < 10.0 / ERROR_UNITS);
        assert!((rmse.expect("one") - (210.0f64 / 4.0).sqrt()).abs() < 1e-3);
    }

    /// The area of a histogram is that of all pairs, but for pairs in one bin.
    #[test]
    fn the_area_is_that_of_a_count_of_pairs() {
        let layout = Layout::new(&[Metric::Auroc], 2, 1.0);
        let mut tally = Tally::new(&layout, &quantiser(12));
        let outputs = |i: usize| (i * 37 % 101) as f32 / 16.0 - 3.0;
        let label = |i: usize| u32::from(outputs(i) + (i * 53 % 89) as f32 / 20.0 > 1.5);
        (0..300).for_each(|i| tally.class(&[0.0, outputs(i)], label(i)));
        let mut pairs = (0.0, 0.0);
        for i in (0..300).filter(|&i| label(i) == 1) {
            for j in (0..300).filter(|&j| label(j) == 0) {
                let bin = |i| ((f64::from(outputs(i)) + 8.0) * 4.0).floor() as i64;
                pairs.1 += 1.0;
                pairs.0 += match bin(i).cmp(&bin(j)) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        let scores = layout.read(&tally.counters()).expect("honest counters");
        let area = scores.get(Metric::Auroc).expect("an area");
        assert!((area - pairs.0 / pairs.1).abs() < 1e-12, "{area} {pairs:?}");
    }

    #[test]
    fn no_example_gives_no_metric() {
        let layout = Layout::new(&[Metric::Accuracy, Metric::Auroc, Metric::MacroF1], 4, 1.0);
        let scores = layout.read(&vec![0; layout.len()]).expect("all zeros");
        assert_eq!(scores, Scores::default());
    }

    /// A tally that is full takes no more, so that no counter overflows.
    #[test]
    fn an_owner_counts_no_more_examples_than_its_digits_hold() {
        let layout = Layout::new(&[Metric::Loss], 2, 1.0);
        assert_eq!(layout.examples_max(&quantiser(8)), 262_143);
        let few = quantiser(4);
        assert_eq!(layout.examples_max(&few), 3);
        let mut tally = Tally::new(&layout, &few);
        (0..10).for_each(|_| tally.class(&[90.0, -90.0], 1));
        assert!(tally.is_full());
        assert_eq!(tally.counters()[..], [3, 3 * 16 * 1024]);
        let quantised = crate::sum::quantise::Quantised::from_units(&[0], 1, &few);
        assert!(quantised.expect("in range").with_counters(&tally.counters()).is_ok());
    }

    #[test]
    fn sums_that_contradict_each_other_are_refused() {
        let metrics = [Metric::Accuracy, Metric::Loss, Metric::MacroF1, Metric::Auroc];
        let layout = Layout::new(&metrics, 2, 1.0);
        let mut tally = Tally::new(&layout, &quantiser(8));
        (0..4).for_each(|i| tally.class(&[0.5, 0.25 * i as f32], i % 2));
        let honest = tally.counters();
        assert!(layout.read(&honest).is_ok());
        for (at, value) in [(0, 5), (0, 3), (1, 5), (2, 4 * 16 * 1024 + 1), (3, 9), (4, 9), (9, 9)]
        {
            let mut counters = honest.clone();
            counters[at] = value;
            assert!(layout.read(&counters).is_err(), "counter {at} as {value}");
        }
        assert!(layout.read(&honest[1..]).is_err());
        let numbers = Layout::new(&[Metric::Mae, Metric::Rmse], 1, 1.0);
        assert!(numbers.read(&[1, 65_536, 65_536]).is_ok());
        assert!(numbers.read(&[1, 65_537, 0]).is_err());
        assert!(numbers.read(&[1, 0, u64::MAX]).is_err());
    }
}
