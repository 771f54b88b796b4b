//! Exact confidence bounds of a probability (Clopper and Pearson 1934).

/// Halvings of the interval that a bound is searched in.
const HALVINGS: u32 = 50;

/// What is below a probability with this chance, and what is above it with the same. Both hold
/// together with 95 %.
const TAIL: f64 = 0.025;

/// The largest probability that is ruled out from below by `hits` of `trials`.
pub(crate) fn at_least(hits: usize, trials: usize) -> f64 {
    if hits == 0 {
        return 0.0;
    }
    search(|p| 1.0 - up_to(hits - 1, trials, p) < TAIL)
}

/// The smallest probability that is ruled out from above by `hits` of `trials`.
pub(crate) fn at_most(hits: usize, trials: usize) -> f64 {
    1.0 - at_least(trials - hits.min(trials), trials)
}

/// The largest p that is too small.
fn search(is_too_small: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_too_small(middle) { low = middle } else { high = middle }
    }
    low
}

/// The chance of at most `hits` of `trials`, each with probability `p`, 0 < p < 1.
fn up_to(hits: usize, trials: usize, p: f64) -> f64 {
    let (n, odds) = (trials as f64, libm::log(p) - libm::log1p(-p));
    let mut ln_term = n * libm::log1p(-p);
    let mut sum = libm::exp(ln_term);
    for k in 1..=hits {
        let k = k as f64;
        ln_term += libm::log((n - k + 1.0) / k) + odds;
        sum += libm::exp(ln_term);
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_published_tables() {
        // 95 % intervals: 0 of 10, 5 of 10, 10 of 10, 1 of 100.
        for (hits, trials, low, high) in [
            (0, 10, 0.0, 0.3085),
            (5, 10, 0.1871, 0.8129),
            (10, 10, 0.6915, 1.0),
            (1, 100, 0.000_253, 0.0545),
        ] {
            assert!((at_least(hits, trials) - low).abs() < 1e-4, "{hits} of {trials}");
            assert!((at_most(hits, trials) - high).abs() < 1e-4, "{hits} of {trials}");
        }
    }
}
