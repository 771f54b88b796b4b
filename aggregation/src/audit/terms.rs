//! Every length and bound of an audit, from a round's terms (design note `closed-audit`, section 2).

use crate::audit::element::MODULUS;
use crate::config::{Audit, Control, Packing, Profile, Quantiser, RoundConfig};
use crate::limits::{
    AUDIT_NORM_SQUARED_MAX, AUDIT_RANGE_ROWS, AUDIT_ROWS_MAX, AUDIT_ROWS_MIN, COUNTER_DIGITS,
    WEIGHT_DIGITS,
};

/// Fewest and most bits of a coefficient: below, squares of N could wrap modulo q; above, the
/// rounding of the lanes' factors would show.
const PAD_BITS: std::ops::RangeInclusive<u32> = 82..=90;

/// Slack squares of a vector: four, by Lagrange's theorem.
pub(crate) const SLACK: usize = 4;

/// An audit's lengths and bounds. Symbols in brackets are the design note's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// J: rows, each a random linear form over all coefficients.
    pub rows: usize,
    /// How coordinates lie in a coefficient.
    pub packing: Packing,
    /// D: coefficients of a contribution.
    pub coefficients: u64,
    /// C^2: bound of the squared norm of an owner's coordinates, in quantised units.
    pub norm_squared_max: u64,
    /// B_Y: what the squares of the update's projections may add up to.
    pub update_bound: u128,
    /// B_N: what the squares of the noise's projections may add up to.
    pub noise_bound: u128,
    /// B: an honest vector's largest product with a range row, with room to spare.
    pub spread: i64,
    /// A: the mask of a range row is uniform in [-A, A].
    pub mask_max: i64,
    /// c: entries of a column, so many polynomials are proved at once.
    pub column: usize,
    /// G_Y: columns that the update's projections take.
    pub update_columns: usize,
    /// G_N: columns that the noise's projections take.
    pub noise_columns: usize,
}

/// A round that cannot be audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    /// The plan switched the audit off.
    #[error("the audit is off")]
    Off,
    /// Another profile than B.
    #[error("the audit needs profile B")]
    Profile,
    /// Too few rows to be sound or more than are of use.
    #[error("{0} audit rows: need {AUDIT_ROWS_MIN}..={AUDIT_ROWS_MAX}")]
    Rows(u16),
    /// The norm bound is too large to be told from a wrapped one.
    #[error(
        "the clip norm is {0} squared in quantised units, the limit is {AUDIT_NORM_SQUARED_MAX}"
    )]
    Norm(u64),
    /// No packing leaves room for the audit.
    #[error("no packing leaves room for the audit: clip or range or contributions are too large")]
    Packing,
}

impl Terms {
    /// The audit of a round.
    ///
    /// # Errors
    /// [`BadTerms`] by the first that does not hold.
    pub fn new(config: &RoundConfig) -> Result<Self, BadTerms> {
        let Audit::Closed { rows } = config.audit else { return Err(BadTerms::Off) };
        if config.profile != Profile::B {
            return Err(BadTerms::Profile);
        }
        if !(AUDIT_ROWS_MIN..=AUDIT_ROWS_MAX).contains(&rows) {
            return Err(BadTerms::Rows(rows));
        }
        let norm_squared_max = norm_squared_max(config);
        if norm_squared_max > AUDIT_NORM_SQUARED_MAX {
            return Err(BadTerms::Norm(norm_squared_max));
        }
        let packing = derive_packing(config, rows).ok_or(BadTerms::Packing)?;
        let coefficients = coefficients(config.coordinates(), packing.lanes);
        Ok(Self::of_layout(usize::from(rows), packing, coefficients, norm_squared_max))
    }

    /// Lengths and bounds for `coefficients` coefficients whose coordinates have at most this
    /// squared norm.
    pub(crate) fn of_layout(
        rows: usize,
        packing: Packing,
        coefficients: u64,
        norm_squared_max: u64,
    ) -> Self {
        let j = rows as u128;
        let update_bound = 3 * j * u128::from(norm_squared_max) / 4;
        let noise_bound = 3 * j * noise_squared_max(packing, coefficients, norm_squared_max) / 2;
        let spread = 10 * ((update_bound + noise_bound) / 2).isqrt() as i64 + 1;
        let updates = rows * packing.lanes as usize + SLACK;
        let noises = rows + SLACK;
        let column = ceil_sqrt(2 * (updates + noises));
        Self {
            rows,
            packing,
            coefficients,
            norm_squared_max,
            update_bound,
            noise_bound,
            spread,
            mask_max: spread << 10,
            column,
            update_columns: updates.div_ceil(column),
            noise_columns: noises.div_ceil(column),
        }
    }

    /// Whether no sum of squares of vectors that pass the range rows reaches q / 2:
    /// (M + J + 8) (2 A)^2 < q / 2.
    pub(crate) const fn cannot_wrap(&self) -> bool {
        let entry = 2 * self.mask_max as u128;
        match entry.checked_mul(entry) {
            Some(square) => match square.checked_mul(self.entries() as u128) {
                Some(sum) => sum < MODULUS / 2,
                None => false,
            },
            None => false,
        }
    }

    /// M: projections of an update.
    #[must_use]
    pub const fn projections(&self) -> usize {
        self.rows * self.packing.lanes as usize
    }

    /// Entries of v that are not padding: projections of update and noise, and slack.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.projections() + self.rows + 2 * SLACK
    }

    /// G: columns.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.update_columns + self.noise_columns
    }

    /// Values of the proof polynomial that are shared: at 0..=2G.
    #[must_use]
    pub const fn values(&self) -> usize {
        2 * self.columns() + 1
    }

    /// Coefficients of the check that all relations are batched with.
    #[must_use]
    pub const fn weights(&self) -> usize {
        self.rows + AUDIT_RANGE_ROWS + 2
    }

    /// Where entry `i` lies, counted column by column: the update's part begins with the first
    /// column, the noise's with a column of its own.
    pub(crate) const fn place(&self, i: usize) -> usize {
        let updates = self.projections() + SLACK;
        if i < updates { i } else { self.update_columns * self.column + (i - updates) }
    }
}

/// The packing of an audited round: as many lanes as fit, each wide enough for the sum and for
/// 2^L >= 16 C; noise bits for the sum, and 2^R >= 26 c_N for each time that a contribution counts;
/// P from 82 to 90; no squares that wrap.
pub(crate) fn derive_packing(config: &RoundConfig, rows: u16) -> Option<Packing> {
    let n = u64::from(config.summands_max());
    let sum = ceil_log2(u128::from(n * ((1 << config.quantiser.bits) - 1) + 1));
    let norm_squared = norm_squared_max(config);
    // 2^(2 L) >= 256 C^2.
    let norm = ceil_log2(256 * u128::from(norm_squared.max(1))).div_ceil(2);
    let lane_bits = sum.max(norm);
    let fits = |packing: &Packing, coefficients| {
        packing.noise_bits > 0
            && packing.is_exact(config.profile, config.summands_max())
            && shows_noise(*packing, coefficients, norm_squared, config.multiplicity_max())
            && Terms::of_layout(usize::from(rows), *packing, coefficients, norm_squared)
                .cannot_wrap()
    };
    (1..=PAD_BITS.end() / lane_bits).rev().find_map(|lanes| {
        let coefficients = coefficients(config.coordinates(), lanes);
        let noise_bits = PAD_BITS.filter_map(|bits| bits.checked_sub(lanes * lane_bits));
        let mut packings = noise_bits.map(|noise_bits| Packing { lanes, lane_bits, noise_bits });
        packings.find(|packing| fits(packing, coefficients))
    })
}

/// Whether 2^R >= 26 c_N `times`, with c_N = C_N 2^(P - 100): times 12 4^(100 - P) and squared, in
/// integers. So the noise of one contribution alone, counted as often as it may be, carries nothing
/// into the lowest lane of the sum, however a cheat made it.
fn shows_noise(packing: Packing, coefficients: u64, norm_squared: u64, times: u32) -> bool {
    let shift = Profile::B.modulus_bits() - packing.pad_bits();
    let left = 12u128.checked_shl(2 * (packing.noise_bits + shift));
    let factor = 676 * u128::from(times * times);
    let right = factor.checked_mul(noise_twelvefold(packing, coefficients, norm_squared));
    left.zip(right).is_some_and(|(left, right)| left >= right)
}

/// C_N^2 = D (4^(100 - P) / 12 + 41) + k C^2 / 4: what the squared noise of an honest contribution is
/// about, in units of 1 modulo q. Rounding is uniform, the pad's noise has variance 6.4^2 = 41. Each
/// lane's factor is rounded by at most a half, of which a coordinate takes as much as it is large: of k
/// lanes at most k / 4 of the squared norm. That shows only where coordinates are wide and P is large.
fn noise_squared_max(packing: Packing, coefficients: u64, norm_squared: u64) -> u128 {
    noise_twelvefold(packing, coefficients, norm_squared) / 12
}

/// 12 C_N^2.
fn noise_twelvefold(packing: Packing, coefficients: u64, norm_squared: u64) -> u128 {
    let shift = Profile::B.modulus_bits() - packing.pad_bits();
    let rounding = u128::from(coefficients) * ((1u128 << (2 * shift)) + 492);
    rounding + 3 * u128::from(packing.lanes) * u128::from(norm_squared)
}

/// D: as many as hold the coordinates, rounded up so that the last chunk ends on a byte.
const fn coefficients(coordinates: u64, lanes: u32) -> u64 {
    coordinates.div_ceil(lanes as u64).next_multiple_of(8)
}

/// C^2: squared bound of everything an owner may put into its coordinates, less the public
/// offsets ([`RoundConfig::centre`]): the clipped update with its noise, the control, and the digits.
/// Digits of counters are any number, so a round with many counters and few parameters is bounded
/// loosely.
pub(crate) fn norm_squared_max(config: &RoundConfig) -> u64 {
    let control =
        config.control.as_ref().map(|control| Control::quantiser(control, config.quantiser.bits));
    // Of noise that does not fit nothing is bounded, and no audit accepts it.
    let update = config.noise_bounds().map_or(u64::MAX, |bounds| {
        bounds.map_or_else(|| config.quantiser.norm_squared_max(), |noise| noise.norm_squared_max)
    });
    let digits = WEIGHT_DIGITS as u64 + u64::from(config.counters) * COUNTER_DIGITS as u64;
    let digit = u64::from(config.quantiser.offset());
    let control = control.map_or(0, |quantiser| quantiser.norm_squared_max());
    (digits * digit * digit).saturating_add(update).saturating_add(control)
}

impl Quantiser {
    /// Squared norm that a quantised vector may have, in units: (clip_norm / step)^2, rounded up.
    #[must_use]
    pub fn norm_squared_max(&self) -> u64 {
        // A float too large for the integer becomes its largest value, which no audit accepts.
        (f64::from(self.clip_norm) / self.step()).powi(2).ceil() as u64
    }
}

fn ceil_sqrt(x: usize) -> usize {
    let root = x.isqrt();
    if root * root == x { root } else { root + 1 }
}

/// ceil(log2(x)) for x >= 1.
const fn ceil_log2(x: u128) -> u32 {
    u128::BITS - (x - 1).leading_zeros()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::tests::config;
    use crate::credit::{CreditConfig, CreditState, Training};
    use crate::hash::Digest;

    /// Terms of an audited round without committee, whose clip is 8 for each coordinate.
    pub(crate) fn audited(dimension: u64, n: u32, rows: u16) -> RoundConfig {
        let mut config = config(Profile::B, 8, n, dimension);
        config.quantiser.clip_norm = 8.0 / 127.0 * (dimension as f32).sqrt();
        config.audit = Audit::Closed { rows };
        config.packing = derive_packing(&config, rows).expect("a packing exists");
        config
    }

    /// The design note's table of packings, but for P = 82 where its rules allow that and the table
    /// has 84: at 10 k, and at 1 M with few contributions.
    #[test]
    fn packing_is_the_design_notes_table() {
        let packing = |dimension, n| {
            let Packing { lanes, lane_bits, noise_bits } = audited(dimension, n, 128).packing;
            (lanes, lane_bits, noise_bits)
        };
        assert_eq!(packing(10_000, 10), (5, 14, 12));
        assert_eq!(packing(1_000_000, 10), (4, 17, 14));
        assert_eq!(packing(1_000_000, 1000), (4, 18, 12));
        assert_eq!(packing(10_000_000, 10), (4, 19, 14));
        assert_eq!(packing(10_000_000, 1000), (4, 19, 14));
    }

    #[test]
    fn layout_is_the_design_notes() {
        let shape = |lanes: u32, rows| {
            let packing = Packing { lanes, lane_bits: 18, noise_bits: 12 };
            let terms = Terms::of_layout(rows, packing, 250_000, 64_000_000);
            (terms.projections(), terms.column, terms.columns())
        };
        assert_eq!(shape(4, 64), (256, 26, 13));
        assert_eq!(shape(4, 128), (512, 36, 19));
    }

    #[test]
    fn entries_of_update_and_noise_never_share_a_column() {
        for dimension in [100, 10_000, 1_000_000] {
            for rows in [64, 100, 128, 256] {
                let terms = Terms::new(&audited(dimension, 100, rows)).expect("can be audited");
                let places: Vec<usize> = (0..terms.entries()).map(|i| terms.place(i)).collect();
                assert!(places.is_sorted_by(|a, b| a < b));
                assert!(places[terms.entries() - 1] < terms.columns() * terms.column);
                let updates = terms.projections() + SLACK;
                assert!(places[updates - 1] / terms.column < terms.update_columns);
                assert_eq!(places[updates], terms.update_columns * terms.column);
            }
        }
    }

    #[test]
    fn every_bound_of_the_design_note_holds() {
        for dimension in [1, 1000, 10_000, 100_000, 1_000_000, 10_000_000] {
            for n in [10, 1000] {
                let config = audited(dimension, n, 128);
                let terms = Terms::new(&config).expect("can be audited");
                let Packing { lane_bits, noise_bits, .. } = terms.packing;
                let pad_bits = terms.packing.pad_bits();
                assert!(PAD_BITS.contains(&pad_bits));
                let c = (terms.norm_squared_max as f64).sqrt();
                assert!(f64::from(lane_bits).exp2() >= 16.0 * c);
                let lanes = f64::from(terms.packing.lanes) / 4.0;
                let c_n = f64::from(pad_bits as i32 - 100).exp2()
                    * (terms.coefficients as f64
                        * ((f64::from(100 - pad_bits) * 2.0).exp2() / 12.0 + 41.0)
                        + lanes * terms.norm_squared_max as f64)
                        .sqrt();
                assert!(f64::from(noise_bits).exp2() >= 26.0 * c_n, "{dimension}: {noise_bits}");
                assert!(terms.packing.is_exact(Profile::B, n));
                assert!(terms.cannot_wrap());
            }
        }
    }

    /// The same round where evidence weighs updates.
    fn weighed(mut config: RoundConfig) -> RoundConfig {
        let (training, state) = (Training::Evidence, CreditState::first(Digest::ZERO));
        config.credit = Some(CreditConfig { fold: 30, steps: 20, training, state });
        config
    }

    #[test]
    fn weighed_sums_have_room_for_each_contribution_as_often_as_it_may_count() {
        for dimension in [1, 1000, 10_000, 1_000_000, 10_000_000] {
            for n in [5, 10, 100, 1000] {
                let config = weighed(audited(dimension, n, 128));
                let terms = Terms::new(&config).expect("can be audited");
                let Packing { lane_bits, noise_bits, .. } = terms.packing;
                let pad_bits = terms.packing.pad_bits();
                assert!(1u64 << lane_bits > u64::from(4 * n) * 255);
                assert!(terms.packing.is_exact(Profile::B, 4 * n));
                let lanes = f64::from(terms.packing.lanes) / 4.0;
                let c_n = f64::from(pad_bits as i32 - 100).exp2()
                    * (terms.coefficients as f64
                        * ((f64::from(100 - pad_bits) * 2.0).exp2() / 12.0 + 41.0)
                        + lanes * terms.norm_squared_max as f64)
                        .sqrt();
                assert!(f64::from(noise_bits).exp2() >= 4.0 * 26.0 * c_n, "{dimension}, {n}");
                assert!(terms.cannot_wrap());
            }
        }
        // The largest, too.
        let mut config = weighed(audited(10_000, 10, 128));
        (config.dimension, config.contributions_max) = (crate::limits::PARAMETERS_MAX, 1000);
        (config.quantiser.bits, config.quantiser.clip_norm) = (16, 4000.0);
        assert!(Terms::new(&config).is_ok());
    }

    #[test]
    fn a_round_that_cannot_be_audited_is_refused_with_its_reason() {
        let good = audited(10_000, 10, 128);
        let refused = |change: &dyn Fn(&mut RoundConfig)| {
            let mut config = good.clone();
            change(&mut config);
            Terms::new(&config).expect_err("refused")
        };
        assert_eq!(refused(&|c| c.audit = Audit::Off), BadTerms::Off);
        assert_eq!(refused(&|c| c.profile = Profile::A), BadTerms::Profile);
        assert_eq!(refused(&|c| c.audit = Audit::Closed { rows: 63 }), BadTerms::Rows(63));
        assert_eq!(refused(&|c| c.audit = Audit::Closed { rows: 257 }), BadTerms::Rows(257));
        assert!(matches!(refused(&|c| c.quantiser.clip_norm = 1e30), BadTerms::Norm(_)));
        // Everything within the limits has a packing, the largest round too.
        let mut config = good;
        (config.dimension, config.contributions_max) = (crate::limits::PARAMETERS_MAX, 10_000);
        (config.quantiser.bits, config.quantiser.clip_norm) = (16, 4000.0);
        assert!(norm_squared_max(&config) > AUDIT_NORM_SQUARED_MAX / 2);
        assert!(Terms::new(&config).is_ok());
    }
}
