//! Tails of the normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// From here on the series of [`ln_above`] is good to 10^-11, and `erfc` still far from 0.
const SERIES_FROM: f64 = 30.0;

/// The chance of a standard normal number to be above `x`: to a few units in the last place, also
/// far out (to x = 38, where `f64` ends).
pub(crate) fn above(x: f64) -> f64 {
    0.5 * libm::erfc(x / SQRT_2)
}

/// The logarithm of the same, for any `x`.
pub(crate) fn ln_above(x: f64) -> f64 {
    if x < SERIES_FROM {
        return libm::log(above(x));
    }
    // Mills' ratio (Abramowitz and Stegun 26.2.12). Ends on a term added: an upper bound.
    let square = 1.0 / (x * x);
    let series = libm::log1p(square * (square * (square * (square * 105.0 - 15.0) + 3.0) - 1.0));
    -0.5 * x * x - libm::log(x * (2.0 * PI).sqrt()) + series
}

#[cfg(test)]
mod tests {
    use super::{above, ln_above};

    #[test]
    fn tails_are_those_of_published_tables() {
        // Abramowitz and Stegun, table 26.2 and 26.1.
        for (x, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457),
            (-1.0, 0.841_344_746_068_543),
            (5.0, 2.866_515_718_791_939e-7),
            (10.0, 7.619_853_024_160_527e-24),
        ] {
            assert!((above(x) / tail - 1.0).abs() < 1e-13, "{x}: {}", above(x));
        }
    }

    #[test]
    fn logarithms_of_tails_go_on_where_tails_end() {
        for x in [29.9, 30.1, 35.0, 37.0] {
            assert!((ln_above(x) - libm::log(above(x))).abs() < 1e-8, "{x}");
        }
        // log_ndtr(-100) of SciPy.
        assert!((ln_above(100.0) + 5_005.524_208_694_205).abs() < 1e-9);
    }
}
