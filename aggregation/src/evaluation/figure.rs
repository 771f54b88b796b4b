//! Figures that a measurement in the clear and one by counters have in common.

/// Logarithms of the probabilities of all classes, from outputs before softmax.
#[must_use]
pub fn log_softmax(outputs: &[f32]) -> Vec<f64> {
    let most = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = || outputs.iter().map(|&x| f64::from(x) - f64::from(most));
    let sum = shifted().map(f64::exp).sum::<f64>().ln();
    shifted().map(|x| x - sum).collect()
}

/// ln(p / (1 - p)) of every class, from the logarithms of all probabilities.
#[must_use]
pub fn log_odds(logs: &[f64]) -> Vec<f64> {
    // The other classes are those before and those after. Their sum is never the whole less the
    // class itself, of which little is left where the class is all but certain.
    let mut odds = vec![0.0; logs.len()];
    let mut after = 0.0;
    for (rest, log) in odds.iter_mut().zip(logs).rev() {
        *rest = after;
        after += log.exp();
    }
    let mut before = 0.0;
    for (odds, log) in odds.iter_mut().zip(logs) {
        *odds = log - (before + *odds).ln();
        before += log.exp();
    }
    odds
}

/// Place of the largest number; the first of equal ones.
#[must_use]
pub fn largest(outputs: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in outputs.iter().enumerate() {
        if *value > outputs[best] {
            best = place;
        }
    }
    best
}

/// Macro F1 of true positives, false positives and false negatives of each class; a class without
/// any does not count.
#[must_use]
pub fn macro_f1(confusion: &[[u64; 3]]) -> Option<f64> {
    let classes = confusion.iter().filter(|class| class.iter().any(|&count| count > 0));
    mean(classes.map(|class| {
        let [hits, wrong, missed] = class.map(|count| count as f64);
        2.0 * hits / (2.0 * hits + wrong + missed)
    }))
}

/// The mean of some values; none of no value.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_are_those_of_each_class_against_the_sum_of_the_others() {
        // 1000 classes, one of them all but certain: 1 less its probability is zero.
        let mut outputs: Vec<f32> = (0..1000).map(|class| (class % 7) as f32 / 4.0).collect();
        outputs[400] = 60.0;
        let logs = log_softmax(&outputs);
        let found = log_odds(&logs);
        for (class, found) in found.iter().enumerate() {
            let others = logs.iter().enumerate().filter(|(other, _)| *other != class);
            let rest: f64 = others.map(|(_, log)| log.exp()).sum();
            let expected = logs[class] - rest.ln();
            assert!((found - expected).abs() < 1e-9, "class {class}: {found} {expected}");
        }
        assert!(found[400] > 50.0 && found[400].is_finite(), "{}", found[400]);
        assert!((log_odds(&log_softmax(&[0.0, 3.0]))[1] - 3.0).abs() < 1e-12);
    }
}
