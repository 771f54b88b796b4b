use super::{BadDistributed, Distributed};
use crate::variance::Variance;

fn variance(numerator: u64, denominator: u64) -> Variance {
    Variance::new(numerator, denominator).expect("a variance")
}

/// Probabilities of -bound to bound, normalised.
fn pmf(sigma_squared: f64, bound: i64) -> Vec<f64> {
    let weights: Vec<f64> =
        (-bound..=bound).map(|y| libm::exp(-(y as f64).powi(2) / (2.0 * sigma_squared))).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            out[i + j] += x * y;
        }
    }
    out
}

/// The sum of `summands` shares, probability by probability; both sides of 0.
fn summed(share: Variance, summands: u32) -> Vec<f64> {
    let one = pmf(share.to_f64(), 24);
    (1..summands).fold(one.clone(), |sum, _| convolve(&sum, &one))
}

#[test]
fn tau_bounds_how_far_a_real_sum_of_shares_is_from_a_discrete_gaussian() {
    for (share, summands) in
        [(variance(1, 4), 2), (variance(1, 4), 5), (variance(1, 2), 3), (variance(1, 1), 4)]
    {
        let sum = summed(share, summands);
        let middle = (sum.len() / 2) as i64;
        let whole = f64::from(summands) * share.to_f64();
        // Three standard deviations: what privacy hangs on.
        let far = (3.0 * whole.sqrt()) as i64;
        let ratios = (-far..=far)
            .map(|y| libm::log(sum[(middle + y) as usize]) + (y as f64).powi(2) / (2.0 * whole));
        let (low, high) = ratios
            .fold((f64::MAX, f64::MIN), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
        let tau = Distributed::new(share, summands..=summands, 1, 1.0, 1.0).expect("a sum").tau();
        assert!(high - low <= tau, "{share:?} {summands}: {} > {tau}", high - low);
        // And it is the bound of something that is there.
        assert!(high - low > 1e-6 * tau, "{share:?} {summands}: {} << {tau}", high - low);
    }
}

#[test]
fn the_divergence_of_a_real_sum_of_shares_is_within_the_bound() {
    for (share, summands, shift) in
        [(variance(1, 4), 3, 1), (variance(1, 2), 4, 2), (variance(1, 1), 3, 1)]
    {
        let sum = summed(share, summands);
        let bound = Distributed::new(share, summands..=summands, 1, shift as f64, shift as f64)
            .expect("a sum");
        for order in [1.25, 2.0, 4.0, 16.0] {
            // Farther out, the shares have underflowed.
            let moment: f64 = (shift..sum.len())
                .filter(|&i| sum[i - shift] > 1e-280 && sum[i] > 1e-280)
                .map(|i| (libm::log(sum[i]), libm::log(sum[i - shift])))
                .map(|(with, without)| libm::exp(order * with + (1.0 - order) * without))
                .sum();
            let divergence = libm::log(moment) / (order - 1.0);
            let allowed = bound.rdp(order);
            assert!(divergence <= allowed, "{share:?} {order}: {divergence} > {allowed}");
            assert!(divergence > 0.1 * allowed, "{share:?} {order}: {divergence} << {allowed}");
        }
    }
}

#[test]
fn one_contributor_or_wide_shares_cost_what_a_gaussian_costs() {
    let gaussian = |order: f64, sum: f64| 0.5 * order * 25.0 / sum;
    for (share, contributors) in [(variance(1, 4), 1), (variance(100, 1), 64)] {
        let sum = Distributed::new(share, contributors..=contributors, 1_000_000, f64::MAX, 5.0)
            .expect("a sum");
        let whole = f64::from(contributors) * share.to_f64();
        for order in [1.1, 8.0, 512.0] {
            let ratio = sum.rdp(order) / gaussian(order, whole);
            assert!((1.0..1.0 + 1e-9).contains(&ratio), "{share:?} {order}: {ratio}");
        }
    }
}

#[test]
fn the_bound_grows_with_everything_that_can_hurt() {
    let base = (2u64, 10..=20, 1_000u64, 30.0, 5.0);
    let rdp = |(share, people, dimension, l1, l2): (
        u64,
        std::ops::RangeInclusive<u32>,
        u64,
        f64,
        f64,
    )| {
        Distributed::new(variance(share, 3), people, dimension, l1, l2).expect("a sum").rdp(8.0)
    };
    let least = rdp(base.clone());
    assert!(rdp((1, base.1.clone(), base.2, base.3, base.4)) > least, "less noise");
    assert!(rdp((base.0, 9..=20, base.2, base.3, base.4)) > least, "fewer for sure");
    assert!(rdp((base.0, 10..=21, base.2, base.3, base.4)) > least, "more perhaps");
    assert!(rdp((base.0, base.1.clone(), 1_001, base.3, base.4)) > least, "more coordinates");
    assert!(rdp((base.0, base.1.clone(), base.2, 31.0, base.4)) > least, "longer by L1");
    assert!(rdp((base.0, base.1.clone(), base.2, base.3, 5.1)) > least, "longer by L2");
}

#[test]
fn tau_of_very_many_contributors_is_bounded_by_its_first_terms() {
    let tau = |most| Distributed::new(variance(1, 2), 1..=most, 1, 1.0, 1.0).expect("a sum").tau();
    let direct: f64 = (1..2_999u32)
        .map(|k| libm::exp(-std::f64::consts::PI.powi(2) * f64::from(k) / f64::from(k + 1)))
        .sum();
    let ratio = tau(2_999) / (10.0 * direct);
    assert!((1.0..1.01).contains(&ratio), "{ratio}");
    assert!(tau(u32::MAX).is_finite());
}

#[test]
fn what_the_theorem_does_not_cover_is_refused() {
    let sum = |share, people, dimension, l1, l2| Distributed::new(share, people, dimension, l1, l2);
    let (quarter, narrow) = (variance(1, 4), variance(249, 1_000));
    assert_eq!(sum(narrow, 1..=1, 1, 1.0, 1.0), Err(BadDistributed::Narrow(249, 1_000)));
    assert_eq!(sum(quarter, 0..=1, 1, 1.0, 1.0), Err(BadDistributed::Contributors(0, 1)));
    #[expect(clippy::reversed_empty_ranges, reason = "this is what is refused")]
    let reversed = 2..=1;
    assert_eq!(sum(quarter, reversed, 1, 1.0, 1.0), Err(BadDistributed::Contributors(2, 1)));
    assert_eq!(sum(quarter, 1..=1, 0, 1.0, 1.0), Err(BadDistributed::Dimension));
    for bad in [0.0, -1.0, f64::INFINITY] {
        assert_eq!(sum(quarter, 1..=1, 1, bad, 1.0), Err(BadDistributed::Sensitivity(bad, 1.0)));
        assert_eq!(sum(quarter, 1..=1, 1, 1.0, bad), Err(BadDistributed::Sensitivity(1.0, bad)));
    }
    assert!(sum(quarter, 1..=1, 1, 1.0, f64::NAN).is_err());
}
