//! The sum of many losses, on a circle of cells: powers of Fourier transforms.
//!
//! Probabilities are tilted first: w_i = p_i exp(theta loss_i - K(theta)) of every event adds up to
//! 1, and the transform's rounding, which is relative to the largest of what it is given, becomes
//! relative to the losses that matter.

use std::f64::consts::PI;

use super::tilt::{Part, Tilt};

/// Rounding of one level of a transform, relative to the sum of what went in: a complex
/// multiplication (the root of 5 halves of this unit: Brent, Percival, Zimmermann 2007), the root of
/// unity's own rounding and an addition (each a half or less) make 2.2.
const LEVEL_ERROR: f64 = 3.0 * f64::EPSILON;

/// Tilted probabilities of all finite losses together. Mass outside the window is at the cell that
/// is as far modulo the number of cells.
pub(crate) struct Convolution {
    pub(crate) interval: f64,
    /// Loss of the first cell, in intervals.
    pub(crate) first: i64,
    /// Each at least the exact value: the bound on rounding is in it.
    pub(crate) masses: Vec<f64>,
}

impl Convolution {
    /// Of parts with one interval, by the tilt's window, in `cells` cells, a power of two.
    pub(crate) fn new(parts: &[Part], tilt: &Tilt, cells: usize) -> Self {
        let interval = parts.first().map_or(1.0, |part| part.losses.interval);
        let first = (tilt.low / interval).floor() as i64;
        // A single loss needs no transform, and has none of its rounding.
        if let [part @ Part { count: 1, .. }] = parts {
            let circle = tilted(part, tilt.theta, cells);
            let at = |index: usize| circle[on_circle(first, index, cells)].re;
            return Self { interval, first, masses: (0..cells).map(at).collect() };
        }
        let error = LEVEL_ERROR * f64::from(cells.trailing_zeros() + 1);
        let roots = roots(cells);
        // Real input: the upper half mirrors the lower one.
        let half = cells / 2 + 1;
        let mut product = vec![Complex { re: 1.0, im: 0.0 }; half];
        let mut highest = vec![1.0; half];
        for part in parts {
            let mut spectrum = tilted(part, tilt.theta, cells);
            transform(&mut spectrum, &roots);
            for ((product, highest), value) in product.iter_mut().zip(&mut highest).zip(spectrum) {
                *product = *product * value.power(part.count);
                *highest *=
                    libm::pow((value.magnitude() + error).min(1.0 + error), part.count as f64);
            }
        }
        // |a^n - b^n| <= (|a| + e)^n - |a|^n for |a - b| <= e, and for products alike; the inverse
        // transform adds its own rounding.
        let bounds = product.iter().zip(&highest).map(|(product, highest)| {
            let magnitude = product.magnitude();
            (highest - magnitude).max(0.0) + error * highest
        });
        // Each of the lower half stands for itself and its mirror.
        let bound = 2.0 * bounds.sum::<f64>() / cells as f64;
        let mut spectrum = product;
        for index in half..cells {
            spectrum.push(spectrum[cells - index].conjugate());
        }
        // The inverse transform is the forward one, read backwards.
        transform(&mut spectrum, &roots);
        let at = |index: usize| {
            let cell = on_circle(first, index, cells);
            let value = spectrum[(cells - cell) % cells].re / cells as f64;
            value.max(0.0) + bound
        };
        Self { interval, first, masses: (0..cells).map(at).collect() }
    }
}

/// One event's tilted probabilities on the circle.
fn tilted(part: &Part, theta: f64, cells: usize) -> Vec<Complex> {
    let losses = &part.losses;
    let ln_moment = losses.ln_moment(theta);
    let mut circle = vec![Complex::default(); cells];
    for (index, mass) in losses.masses.iter().enumerate() {
        circle[on_circle(losses.first, index, cells)].re +=
            mass * libm::exp(theta * losses.loss(index) - ln_moment);
    }
    circle
}

/// The place of the loss that is `index` intervals above `first`.
fn on_circle(first: i64, index: usize, cells: usize) -> usize {
    (first + index as i64).rem_euclid(cells as i64) as usize
}

/// exp(-2 pi i k / cells) for the first half of k.
fn roots(cells: usize) -> Vec<Complex> {
    let root = |k: usize| {
        let (im, re) = libm::sincos(-2.0 * PI * k as f64 / cells as f64);
        Complex { re, im }
    };
    (0..cells / 2).map(root).collect()
}

/// The discrete Fourier transform in place, by Cooley and Tukey's butterflies of two. As long as
/// twice the roots.
fn transform(values: &mut [Complex], roots: &[Complex]) {
    let bits = values.len().trailing_zeros();
    for index in 0..values.len() {
        let mirrored = index.reverse_bits() >> (usize::BITS - bits);
        if index < mirrored {
            values.swap(index, mirrored);
        }
    }
    let mut width = 1;
    while width < values.len() {
        let stride = roots.len() / width;
        for block in values.chunks_exact_mut(2 * width) {
            let (low, high) = block.split_at_mut(width);
            for ((low, high), root) in low.iter_mut().zip(high).zip(roots.iter().step_by(stride)) {
                let turned = *high * *root;
                *high = Complex { re: low.re - turned.re, im: low.im - turned.im };
                *low = Complex { re: low.re + turned.re, im: low.im + turned.im };
            }
        }
        width *= 2;
    }
}

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    fn magnitude(self) -> f64 {
        // Components are at most about 1; those whose squares vanish are no matter.
        (self.re * self.re + self.im * self.im).sqrt()
    }

    /// By squaring: the relative error grows like the exponent, as does the bound's.
    fn power(self, mut exponent: u64) -> Self {
        let (mut square, mut result) = (self, Self { re: 1.0, im: 0.0 });
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result * square;
            }
            square = square * square;
            exponent /= 2;
        }
        result
    }
}

impl std::ops::Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::losses::Losses;
    use super::{Complex, Convolution, Part, Tilt, roots, transform};

    #[test]
    fn a_transform_is_the_sum_that_defines_it() {
        let values: Vec<Complex> = (0..64u32)
            .map(|k| Complex { re: f64::from(k * k % 37), im: f64::from(k % 5) })
            .collect();
        let mut fast = values.clone();
        transform(&mut fast, &roots(64));
        for (index, fast) in fast.iter().enumerate() {
            let (mut re, mut im) = (0.0, 0.0);
            for (k, value) in values.iter().enumerate() {
                let angle = -2.0 * std::f64::consts::PI * (index * k) as f64 / 64.0;
                let (sin, cos) = libm::sincos(angle);
                re += value.re * cos - value.im * sin;
                im += value.re * sin + value.im * cos;
            }
            assert!((fast.re - re).abs() < 1e-10 && (fast.im - im).abs() < 1e-10);
        }
    }

    #[test]
    fn powers_of_transforms_are_sums_of_independent_losses() {
        // Losses of 0 and 1 interval: sums are binomial.
        let losses = Losses { interval: 0.5, first: 0, masses: vec![0.7, 0.3], infinite: 0.0 };
        let parts = [Part { losses, count: 40 }];
        let tilt = Tilt { theta: 0.0, low: 0.0, high: 20.0, steeper: 1.0 };
        let sum = Convolution::new(&parts, &tilt, 64);
        let mut exact = 0.7f64.powi(40);
        for (k, mass) in sum.masses.iter().take(41).enumerate() {
            let bound = mass - exact;
            assert!((0.0..1e-12).contains(&bound), "{k}: {mass}, exactly {exact}");
            exact *= (40 - k) as f64 / (k + 1) as f64 * 3.0 / 7.0;
        }
    }

    #[test]
    fn the_window_may_start_anywhere() {
        let losses = Losses { interval: 1.0, first: -3, masses: vec![0.5, 0.5], infinite: 0.0 };
        let parts = [Part { losses, count: 2 }];
        let tilt = Tilt { theta: 0.0, low: -9.0, high: 0.0, steeper: 1.0 };
        let sum = Convolution::new(&parts, &tilt, 16);
        let expected = [0.0, 0.0, 0.0, 0.25, 0.5, 0.25];
        assert_eq!(sum.first, -9);
        for (mass, expected) in sum.masses.iter().zip(expected) {
            assert!((mass - expected).abs() < 1e-12);
        }
    }
}
