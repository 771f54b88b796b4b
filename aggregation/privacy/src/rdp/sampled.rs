//! The Renyi divergence of a Gaussian on a Poisson sample.
//!
//! Mironov, Talwar, Zhang 2019, "Renyi Differential Privacy of the Sampled Gaussian Mechanism"
//! (arXiv 1908.10530): with p = (1 - q) N(0, sigma^2) + q N(1, sigma^2) and p0 = N(0, sigma^2), the
//! divergence of p from p0 is at least that of p0 from p (theorem 5), so it stands for both
//! neighbours; exp((a - 1) D) = A_a = E over p0 of (p / p0)^a.

use crate::event::Sampled;
use crate::normal::ln_above;

/// The series of fractional orders ends where a term is below e^-30 (as in `dp-accounting`), and
/// the rest is added as a bound.
const TERM_MIN_LN: f64 = -30.0;

/// Orders that are whole numbers come as such.
pub(super) fn divergence(event: &Sampled, order: f64) -> f64 {
    let (sigma, rate) = (event.noise_multiplier(), event.sampling_rate());
    if rate == 1.0 {
        return order / (2.0 * sigma * sigma);
    }
    if order.fract() == 0.0 {
        return ln_moment_whole(sigma, rate, order as u32) / (order - 1.0);
    }
    // ln A_a is convex in a, and 0 at 1, so the chord between whole orders is a bound too: the
    // better one where rates are so small that the series is all rounding.
    let below = order.floor();
    let low = if below == 1.0 { 0.0 } else { ln_moment_whole(sigma, rate, below as u32) };
    let high = ln_moment_whole(sigma, rate, below as u32 + 1);
    let chord = low + (order - below) * (high - low);
    ln_moment_fractional(sigma, rate, order).min(chord) / (order - 1.0)
}

/// ln A_a for a whole order of at least 2: section 3.3, equation 2. The binomial weights add up to
/// 1, so A_a - 1 is a sum of positive terms, which is precise for the smallest rates.
fn ln_moment_whole(sigma: f64, rate: f64, order: u32) -> f64 {
    let (ln_in, ln_out) = (libm::log(rate), libm::log1p(-rate));
    let a = f64::from(order);
    let mut sum = f64::NEG_INFINITY;
    let mut ln_binomial = 0.0;
    for i in 1..=order {
        let k = f64::from(i);
        ln_binomial += libm::log((a - k + 1.0) / k);
        if i == 1 {
            continue;
        }
        let exponent = (k * k - k) / (2.0 * sigma * sigma);
        // ln(exp(exponent) - 1)
        let ln_excess = exponent + libm::log(-libm::expm1(-exponent));
        sum = ln_add(sum, ln_binomial + k * ln_in + (a - k) * ln_out + ln_excess);
    }
    // ln(1 + exp(sum))
    if sum > 0.0 { sum + libm::log1p(libm::exp(-sum)) } else { libm::log1p(libm::exp(sum)) }
}

/// ln A_a for a fractional order: section 3.3, equations 3 and 4, the integral split at z0, where
/// both parts of p are as likely. Terms beyond the order alternate in the paper; their absolute
/// values are added here, which can only give more (and is what `dp-accounting` does).
fn ln_moment_fractional(sigma: f64, rate: f64, order: f64) -> f64 {
    let (ln_in, ln_out) = (libm::log(rate), libm::log1p(-rate));
    let variance = sigma * sigma;
    let z0 = variance * (ln_out - ln_in) + 0.5;
    let mut sum = f64::NEG_INFINITY;
    let mut ln_binomial = 0.0;
    let mut i = 0.0;
    loop {
        let j = order - i;
        let left =
            i * ln_in + j * ln_out + (i * i - i) / (2.0 * variance) + ln_above((i - z0) / sigma);
        let right =
            j * ln_in + i * ln_out + (j * j - j) / (2.0 * variance) + ln_above((z0 - j) / sigma);
        let term = ln_binomial + ln_add(left, right);
        sum = ln_add(sum, term);
        ln_binomial += libm::log((order - i).abs() / (i + 1.0));
        i += 1.0;
        if i > order && term < TERM_MIN_LN {
            // From here on terms fall at least like i^-(order + 1): the rest is below i terms.
            return ln_add(sum, term + libm::log(i));
        }
    }
}

/// ln(exp(a) + exp(b))
fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + libm::log1p(libm::exp(low - high)) }
}

#[cfg(test)]
mod tests {
    use super::{divergence, ln_moment_fractional, ln_moment_whole};
    use crate::event::Sampled;

    /// E over p0 of (p / p0)^a by the trapezoid rule, which is exact to rounding here.
    fn ln_moment_by_integration(sigma: f64, rate: f64, order: f64) -> f64 {
        let step = sigma / 64.0;
        let (from, to) = (-12.0 * sigma, order + 12.0 * sigma);
        let count = ((to - from) / step) as u32;
        let density = |x: f64| {
            let ratio = rate * libm::exp((2.0 * x - 1.0) / (2.0 * sigma * sigma)) + 1.0 - rate;
            libm::exp(order * libm::log(ratio) - x * x / (2.0 * sigma * sigma))
        };
        let sum: f64 = (0..=count).map(|k| density(from + f64::from(k) * step)).sum();
        libm::log(sum * step / (sigma * (2.0 * std::f64::consts::PI).sqrt()))
    }

    #[test]
    fn moments_are_those_of_the_definition() {
        for (sigma, rate) in [(0.7, 0.3), (1.0, 0.01), (2.5, 0.5), (4.0, 0.001)] {
            for order in [1.5, 2.0, 2.3, 5.0, 10.9, 20.0] {
                let exact = ln_moment_by_integration(sigma, rate, order);
                let found = (order - 1.0)
                    * divergence(&Sampled::new(sigma, rate).expect("an event"), order);
                // The alternating terms that are added as positive ones cost something at low orders.
                let slack = if order < 3.0 { 1.5 } else { 1.001 };
                assert!(
                    found > exact - 1e-12 && found < exact * slack + 1e-9,
                    "sigma {sigma}, rate {rate}, order {order}: {found}, exactly {exact}"
                );
            }
        }
    }

    #[test]
    fn fractional_orders_lie_between_whole_ones() {
        let low = ln_moment_whole(1.3, 0.02, 7);
        let high = ln_moment_whole(1.3, 0.02, 8);
        assert!(ln_moment_fractional(1.3, 0.02, 7.0 + 1e-9) / low - 1.0 < 1e-6);
        assert!(1.0 - ln_moment_fractional(1.3, 0.02, 8.0 - 1e-9) / high < 1e-6);
    }

    #[test]
    fn the_smallest_rates_keep_their_precision() {
        // A_2 = 1 + q^2 (e^(1 / sigma^2) - 1).
        let exact = 1e-18 * libm::expm1(0.25);
        assert!((ln_moment_whole(2.0, 1e-9, 2) / exact - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_least_noise_gives_numbers() {
        for order in [1.1, 10.9, 1024.0] {
            let event = Sampled::new(0.05, 0.5).expect("an event");
            let found = divergence(&event, order);
            // No more than without sampling.
            assert!(found > 0.0 && found <= order * 200.0, "{order}: {found}");
        }
    }
}
