use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Gaussian;
use crate::chi_square::ChiSquare;
use crate::variance::{TERM_MAX, Variance};

/// The distribution to draw from: its chances of 0 to `bound` in absolute value, by its definition.
fn chances(variance: f64, bound: i64) -> Vec<f64> {
    let weights: Vec<f64> =
        (0..=bound).map(|y| libm::exp(-(y as f64).powi(2) / (2.0 * variance))).collect();
    let total = 2.0 * weights.iter().rev().sum::<f64>() - 1.0;
    weights.into_iter().map(|weight| weight / total).collect()
}

fn bound(variance: f64) -> i64 {
    (12.0 * variance.sqrt()) as i64 + 10
}

fn variance(numerator: u64, denominator: u64) -> Variance {
    Variance::new(numerator, denominator).expect("a variance")
}

/// Sampler against definition: chi-square, moments, symmetry and tails.
fn check(variance: Variance, draws: u64, seed: u64) {
    let sigma_squared = variance.to_f64();
    let bound = bound(sigma_squared);
    let chances = chances(sigma_squared, bound);
    let sampler = Gaussian::new(variance);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut test = ChiSquare::new(|y: i64| chances[y.unsigned_abs() as usize], bound);
    let (mut sum, mut squares, mut tail) = (0i128, 0i128, 0u64);
    let far = (3.0 * sigma_squared.sqrt()).ceil() as i64;
    for _ in 0..draws {
        let value = sampler.draw(&mut rng);
        test.count(value);
        sum += i128::from(value);
        squares += i128::from(value).pow(2);
        tail += u64::from(value.abs() >= far);
    }
    let what = format!("sigma^2 = {}/{}", variance.numerator(), variance.denominator());
    test.check(&what);
    let n = draws as f64;
    let moment = |power: i32| -> f64 {
        2.0 * chances
            .iter()
            .enumerate()
            .map(|(y, chance)| (y as f64).powi(power) * chance)
            .sum::<f64>()
    };
    let (second, fourth) = (moment(2), moment(4));
    let close = |found: f64, expected: f64, variance: f64| {
        let deviations = (found - expected) / (variance / n).sqrt();
        assert!(deviations.abs() < 5.0, "{what}: {found}, expected {expected}");
    };
    close(sum as f64 / n, 0.0, second);
    close(squares as f64 / n, second, fourth - second.powi(2));
    let beyond = 2.0 * chances[far as usize..].iter().sum::<f64>();
    if beyond * n > 20.0 {
        close(tail as f64 / n, beyond, beyond * (1.0 - beyond));
    }
}

#[test]
fn a_million_draws_have_the_distribution_its_moments_and_its_tails() {
    check(variance(13, 2), 1_000_000, 10);
}

#[test]
fn narrow_wide_and_odd_variances_have_the_distribution_too() {
    for (numerator, denominator) in [(1, 8), (1, 1), (4, 1), (355, 113), (2_500, 1)] {
        check(variance(numerator, denominator), 200_000, numerator);
    }
}

/// Ten million draws each.
#[test]
fn ten_million_draws_have_the_distribution_its_moments_and_its_tails() {
    for (numerator, denominator) in [(1, 4), (13, 2), (10_000, 7)] {
        check(variance(numerator, denominator), 10_000_000, numerator + 100);
    }
}

/// A chi-square statistic of sums of `summands` shares, in standard deviations.
fn sum_of_shares(whole: Variance, summands: u32, draws: u32) -> f64 {
    let chances = chances(whole.to_f64(), bound(whole.to_f64()));
    let share = Gaussian::new(whole.share(summands + 2, 2).expect("a share"));
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(summands));
    let mut test =
        ChiSquare::new(|y: i64| chances[y.unsigned_abs() as usize], bound(whole.to_f64()));
    let mut shares = vec![0; summands as usize];
    for _ in 0..draws {
        share.fill(&mut rng, &mut shares);
        test.count(shares.iter().sum());
    }
    test.deviations()
}

#[test]
fn shares_of_those_that_are_left_add_up_to_the_planned_distribution() {
    // Shares of sigma 2, for which crate::distributed bounds the difference by 10^-16.
    let deviations = sum_of_shares(variance(40, 1), 10, 300_000);
    assert!(deviations < 4.75, "{deviations}");
}

#[test]
fn shares_too_narrow_to_add_up_are_told_apart() {
    // Shares of sigma 0.3: their sum is not a discrete Gaussian, and the test can see it.
    let deviations = sum_of_shares(variance(9, 10), 10, 300_000);
    assert!(deviations > 20.0, "{deviations}");
}

#[test]
fn variances_at_their_bounds_are_drawn_without_overflow() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for (numerator, denominator, far) in [
        (TERM_MAX, 1, 12 << 24),
        (TERM_MAX, TERM_MAX - 1, 12),
        (TERM_MAX - 1, TERM_MAX, 12),
        (1, TERM_MAX, 0),
    ] {
        let mut values = [0; 2_000];
        Gaussian::new(variance(numerator, denominator)).fill(&mut rng, &mut values);
        assert!(values.iter().all(|value: &i64| value.abs() <= far), "{numerator}/{denominator}");
        let spread = values.iter().map(|&value| (value as f64).powi(2)).sum::<f64>() / 2_000.0;
        assert!(spread <= 1.2 * numerator as f64 / denominator as f64);
    }
}

#[test]
fn the_same_bytes_give_the_same_draws() {
    let sampler = Gaussian::new(variance(13, 2));
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let mut values = [0; 12];
    sampler.fill(&mut rng, &mut values);
    assert_eq!(values, KNOWN);
}

/// A known answer: clients that draw again after a crash must draw the same.
const KNOWN: [i64; 12] = [-3, 0, 3, 1, 3, 3, 0, -1, 1, 3, 0, -2];

/// How long a draw takes, by
/// `cargo test --release -p covey-privacy -- --ignored --nocapture nanoseconds`
#[test]
#[ignore = "prints times, checks nothing"]
fn nanoseconds_of_a_draw() {
    for (numerator, denominator) in [(1, 1), (41, 1), (10_000, 7), (TERM_MAX, 1)] {
        let sampler = Gaussian::new(variance(numerator, denominator));
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut values = vec![0; 1_000_000];
        let start = std::time::Instant::now();
        sampler.fill(&mut rng, &mut values);
        let each = start.elapsed().as_secs_f64() * 1e9 / values.len() as f64;
        println!("sigma^2 = {numerator}/{denominator}: {each:.0} ns a draw");
    }
}
