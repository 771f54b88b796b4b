//! How close scores and payments come to the truth.

use std::cmp::Ordering;

/// Spearman's rank correlation; equal values share the mean of their ranks. Nothing where all values
/// of a side are equal.
pub(crate) fn spearman(left: &[f64], right: &[f64]) -> Option<f64> {
    correlation(&ranks(left), &ranks(right))
}

/// Pearson's correlation.
fn correlation(left: &[f64], right: &[f64]) -> Option<f64> {
    assert_eq!(left.len(), right.len());
    let count = left.len() as f64;
    let (mean_left, mean_right) =
        (left.iter().sum::<f64>() / count, right.iter().sum::<f64>() / count);
    let (mut product, mut square_left, mut square_right) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - mean_left, right - mean_right);
        product += left * right;
        square_left += left * left;
        square_right += right * right;
    }
    let square = square_left * square_right;
    (square > 0.0).then(|| product / square.sqrt())
}

/// From 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

/// Kendall's tau-b. Nothing where all values of a side are equal.
pub(crate) fn kendall(left: &[f64], right: &[f64]) -> Option<f64> {
    assert_eq!(left.len(), right.len());
    let (mut agreeing, mut pairs_left, mut pairs_right) = (0.0, 0.0, 0.0);
    for first in 0..left.len() {
        for second in 0..first {
            let sign = |values: &[f64]| match values[first].partial_cmp(&values[second]) {
                Some(Ordering::Greater) => 1.0,
                Some(Ordering::Less) => -1.0,
                _ => 0.0,
            };
            let (left, right): (f64, f64) = (sign(left), sign(right));
            agreeing += left * right;
            pairs_left += left.abs();
            pairs_right += right.abs();
        }
    }
    let pairs: f64 = pairs_left * pairs_right;
    (pairs > 0.0).then(|| agreeing / pairs.sqrt())
}

/// Probability that a bad one has a lower score than a good one, ties counted half. Nothing where
/// there is no such pair.
pub(crate) fn auc(scores: &[f64], is_bad: &[bool]) -> Option<f64> {
    let of = |wanted: bool| {
        scores.iter().zip(is_bad).filter(move |(_, is)| **is == wanted).map(|(score, _)| *score)
    };
    let (mut won, mut pairs) = (0.0, 0.0);
    for bad in of(true) {
        for good in of(false) {
            pairs += 1.0;
            won += match bad.partial_cmp(&good) {
                Some(Ordering::Less) => 1.0,
                Some(Ordering::Greater) => 0.0,
                _ => 0.5,
            };
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// The share of the budget that goes elsewhere than the truth says: half the L1 distance between the
/// shares of both, of what is above zero. Where a side has nothing above zero, equal shares.
pub(crate) fn misallocated(paid: &[f64], truth: &[f64]) -> f64 {
    assert_eq!(paid.len(), truth.len());
    let (paid, truth) = (shares(paid), shares(truth));
    paid.iter().zip(&truth).map(|(paid, truth)| (paid - truth).abs()).sum::<f64>() / 2.0
}

fn shares(values: &[f64]) -> Vec<f64> {
    let sum: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let equal = 1.0 / values.len() as f64;
    let share = |value: &f64| if sum > 0.0 { value.max(0.0) / sum } else { equal };
    values.iter().map(share).collect()
}

pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation of a sample; nothing of fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: Option<f64>, expected: f64) {
        assert!(value.is_some_and(|value| (value - expected).abs() < 1e-12), "{value:?}");
    }

    #[test]
    fn rank_correlations_have_their_known_values() {
        // Of scipy.stats: spearmanr and kendalltau.
        let (left, right) = ([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 6.0, 7.0, 8.0, 7.0]);
        close(spearman(&left, &right), 0.820_782_681_668_123_3);
        close(kendall(&left, &right), 0.737_864_787_372_622);
        let (left, right) = ([12.0, 2.0, 1.0, 12.0, 2.0], [1.0, 4.0, 7.0, 1.0, 0.0]);
        close(kendall(&left, &right), -0.471_404_520_791_031_7);
        close(spearman(&left, &left), 1.0);
        close(kendall(&[1.0, 2.0, 3.0], &[9.0, 5.0, 1.0]), -1.0);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(kendall(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn auc_counts_pairs_in_the_right_order() {
        let is_bad = [true, true, false, false];
        close(auc(&[0.1, 0.4, 0.35, 0.8], &is_bad), 0.75);
        close(auc(&[0.0, 0.0, 0.0, 1.0], &is_bad), 0.75);
        assert_eq!(auc(&[0.0, 1.0], &[false, false]), None);
    }

    #[test]
    fn misallocated_is_the_share_that_goes_elsewhere() {
        assert_eq!(misallocated(&[2.0, 2.0, 0.0], &[1.0, 1.0, -5.0]), 0.0);
        assert_eq!(misallocated(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        assert_eq!(misallocated(&[3.0, 1.0], &[1.0, 1.0]), 0.25);
        assert_eq!(misallocated(&[0.0, 0.0], &[1.0, 1.0]), 0.0);
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        assert_eq!(
            (mean(&[1.0, 2.0, 6.0]), deviation(&[1.0, 2.0, 6.0])),
            (Some(3.0), Some(7f64.sqrt()))
        );
        assert_eq!((mean(&[]), deviation(&[4.0])), (None, None));
    }
}
