//! The parameters from first principles: room for noise, packing, security against `tfhe`'s curve,
//! the HE Standard and the hint theorem's arithmetic, and the fixed costs against the design.

mod support;

use covey_aggregation::config::{CommitteeShape, Packing, Profile};
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use covey_aggregation::wire;
use support::{Fixture, Terms};
use tfhe::core_crypto::commons::noise_formulas::secure_noise;
use tfhe::core_crypto::prelude::{GlweDimension, PolynomialSize};

/// Least standard deviation, in units of the integers modulo 2^`bits`, that the curve of `tfhe`
/// asks for: a fit to the lattice estimator (which is all that is left when its modulus is huge)
/// and a floor of four units. For binary keys; Gaussian keys of this width are no easier.
fn least_deviation(profile: Profile, curve_modulus: f64) -> f64 {
    let size = PolynomialSize(profile.ring_dimension());
    let variance = secure_noise::minimal_glwe_variance_for_132_bits_security_gaussian(
        GlweDimension(1),
        size,
        curve_modulus,
    );
    variance.0.sqrt() * f64::from(profile.modulus_bits()).exp2()
}

/// The formula written out: variance over q^2 is 2^(5.31469187675068 - 0.0497829131652661 n), the
/// fit, plus 2^4 q^-2, a deviation of four units. (The design note has q^-4.)
#[test]
fn the_curve_of_tfhe_is_a_fit_and_a_floor_of_four_units() {
    for (profile, fit_allows) in [(Profile::A, 48.32), (Profile::B, 99.30)] {
        let (n, log_q) = (profile.ring_dimension() as f64, f64::from(profile.modulus_bits()));
        let fit = 5.314_691_876_750_68 - 0.049_782_913_165_266_1 * n;
        let floor = 4.0 - 2.0 * log_q;
        let expected = (fit.exp2() + floor.exp2()).sqrt() * log_q.exp2();
        let least = least_deviation(profile, log_q.exp2());
        assert!((least / expected - 1.0).abs() < 1e-9, "{profile:?}: {least}, {expected}");
        assert!(
            (least_deviation(profile, f64::MAX) / ((fit / 2.0).exp2() * log_q.exp2()) - 1.0).abs()
                < 1e-9
        );
        // log2(q / sigma) that the fit allows, and what is left of it with 6.4 and with 3.2.
        assert!((-fit / 2.0 - fit_allows).abs() < 0.01);
        let used = |deviation: f64| (modulus(profile) as f64 / deviation).log2();
        assert!(used(6.4) < -fit / 2.0);
        assert!(used(3.2) < -fit / 2.0 + 0.01);
    }
}

#[test]
fn noise_as_drawn_lies_above_the_security_curve_of_tfhe() {
    for profile in [Profile::A, Profile::B] {
        let least = least_deviation(profile, f64::from(profile.modulus_bits()).exp2());
        assert!(least < 6.4, "{profile:?}: {least}");
    }
}

/// Once the sum is open, the hint theorem leaves a deviation of 3.2 (README, "Honest limits").
/// Against the lattice part of the curve that is enough for B and just at the edge for A; the
/// curve's floor of four units it does not reach, as no parameter of the HE Standard does.
#[test]
fn noise_after_the_opening_lies_on_the_lattice_part_of_the_curve() {
    assert!(least_deviation(Profile::B, f64::MAX) < 3.2);
    let edge = least_deviation(Profile::A, f64::MAX);
    assert!((edge / 3.2).log2().abs() < 0.01, "{edge}");
}

#[test]
fn the_key_layer_costs_56_kilobytes_a_contribution() {
    let bytes = |profile, shape: CommitteeShape| {
        let config = Fixture::new(Terms { profile, shape, ..Terms::default() }).config;
        correction_bytes(&config) + shape.members() * box_bytes(&config)
    };
    assert_eq!(bytes(Profile::B, CommitteeShape::Four), 51_200 + 4 * 1232);
    assert_eq!(bytes(Profile::B, CommitteeShape::Seven), 51_200 + 7 * 1616);
    assert_eq!(bytes(Profile::A, CommitteeShape::Four), 12_800 + 4 * 1232);
}

#[test]
fn a_holder_is_sent_its_box_and_little_more() {
    let bytes = |shape| {
        let fixture = Fixture::new(Terms { shape, ..Terms::default() });
        let upload = fixture.seal(0, &[1; 300], 1);
        wire::encode(&fixture.envelope(&upload, 0)).len()
    };
    // Version, six digests, commitments it lacks and their number, path and its length, signature,
    // box and its length.
    assert_eq!(bytes(CommitteeShape::Four), 1 + 192 + 33 + 1 + 2 * 32 + 64 + 2 + 1232);
    assert_eq!(bytes(CommitteeShape::Seven), 1 + 192 + 193 + 1 + 3 * 32 + 64 + 2 + 1616);
}

#[test]
fn what_is_sealed_is_as_long_as_the_terms_say() {
    for dimension in [1, 300, 30_000] {
        let fixture = Fixture::new(Terms { dimension, ..Terms::default() });
        let upload = fixture.seal(0, &vec![1; dimension as usize], 1);
        let payload: usize = upload.chunks.iter().map(Vec::len).sum();
        assert_eq!(payload as u64, fixture.config.payload_bytes());
        assert_eq!(upload.sealed.correction.len(), correction_bytes(&fixture.config));
        assert!(upload.sealed.boxes.iter().all(|one| one.len() == box_bytes(&fixture.config)));
    }
}

const PROFILES: [Profile; 2] = [Profile::A, Profile::B];
const WIDTHS: [u8; 3] = [8, 12, 16];
const SIZES: [u32; 4] = [10, 100, 1000, 10_000];

/// q, from the primes that README and `sum/modulus.rs` name.
fn modulus(profile: Profile) -> u128 {
    let [q1, q2] = [1, 13].map(|i| (1u128 << 50) - (i << 14) + 1);
    match profile {
        Profile::A => q1,
        Profile::B => q1 * q2,
    }
}

/// Every packing of the table, with its profile and n_max.
fn packings() -> impl Iterator<Item = (Profile, u32, Packing)> {
    let keys = PROFILES.into_iter().flat_map(|profile| {
        WIDTHS.into_iter().flat_map(move |bits| SIZES.map(move |n| (profile, bits, n)))
    });
    keys.filter_map(|(profile, bits, n)| {
        Packing::derive(profile, bits, n).map(|packing| (profile, n, packing))
    })
}

/// The search for a packing, again and by counting: L is the least width that holds the largest
/// sum; the most lanes, then the fewest noise bits with room for n + 4 halves and n noises of 64.
fn packing_by_counting(profile: Profile, bits: u8, n: u32) -> Option<(u32, u32, u32)> {
    let (n, log_q) = (u128::from(n), profile.modulus_bits());
    let largest_sum = n * ((1 << bits) - 1);
    let lane_bits = (1..).find(|&bits| 1u128 << bits > largest_sum)?;
    let mut best = None;
    for lanes in 1..=profile.pad_bits_max() / lane_bits {
        let fits = |&noise_bits: &u32| {
            let pad_bits = lanes * lane_bits + noise_bits;
            // In units of 2^P / 2^(log2 q), so that nothing is rounded.
            pad_bits <= profile.pad_bits_max()
                && 1 << (noise_bits + log_q - pad_bits) >= ((n + 4) << (log_q - pad_bits)) + 128 * n
        };
        let noise_bits = (1..profile.pad_bits_max()).find(fits);
        best = noise_bits.map(|noise_bits| (lanes, lane_bits, noise_bits)).or(best);
    }
    best
}

/// Sums are exact with no probability: n + 1 roundings, each off by less than 1/2 + 2^-13
/// (`sum/pad.rs`), and n noises of 64, scaled by 2^P / q with the true q, stay within half of what
/// the noise bits hold, and lanes never carry.
#[test]
fn worst_noise_of_every_packing_stays_within_its_bits() {
    const FRACTION: u32 = 20;
    for (profile, n, packing) in packings() {
        let (n, q, pad_bits) = (u128::from(n), modulus(profile), packing.pad_bits());
        let rounding = (1u128 << (FRACTION - 1)) + (1 << (FRACTION - 13));
        let scale = (1u128 << (pad_bits + FRACTION)).div_ceil(q);
        let worst = (n + 1) * rounding + n * 64 * scale;
        let room = 1u128 << (packing.noise_bits - 1 + FRACTION);
        assert!(worst < room, "{profile:?}, n = {n}, {packing:?}: {worst} of {room}");
    }
}

/// R is no smaller than what a bound with a failure probability over all coefficients of a million
/// parameters would ask (note, section 3): 2^R >= 2 z sqrt(n (1/12 + (6.4 2^P / q)^2)) + 4, with
/// z = 10.4 for 2^-64 and 14.0 for 2^-128. For n = 10 both ask for R = 5, and R is 4: a Gaussian
/// tail reaches beyond the exact worst case there, which fits.
#[test]
fn noise_bits_are_enough_for_the_statistical_bounds_or_for_the_worst_case_itself() {
    for (profile, n, packing) in packings() {
        let scaled = 6.4 * f64::from(packing.pad_bits()).exp2() / modulus(profile) as f64;
        let deviation = (f64::from(n) * (1.0 / 12.0 + scaled * scaled)).sqrt();
        let room = f64::from(packing.noise_bits).exp2();
        let scaled_most = 64.0 * f64::from(packing.pad_bits()).exp2() / modulus(profile) as f64;
        let worst = 2.0 * (f64::from(n + 1) * (0.5 + (-13f64).exp2()) + f64::from(n) * scaled_most);
        for z in [10.4, 14.0] {
            let asked = 2.0 * z * deviation + 4.0;
            // A bound beyond the worst case is no bound on anything that can happen.
            assert!(room >= asked.min(worst), "{profile:?}, n = {n}, {packing:?}: {asked}");
            if n >= 100 {
                assert!(room >= asked, "{profile:?}, n = {n}, {packing:?}: {asked}");
            }
        }
    }
}

#[test]
fn packings_are_those_found_by_counting() {
    for profile in PROFILES {
        for bits in 2..=16 {
            for n in [1, 2, 3, 10, 100, 255, 256, 1000, 4096, 10_000] {
                let derived = Packing::derive(profile, bits, n);
                let derived = derived.map(|p| (p.lanes, p.lane_bits, p.noise_bits));
                assert_eq!(derived, packing_by_counting(profile, bits, n), "{bits} bits, n = {n}");
            }
        }
    }
}

/// The table of the README, cell by cell: bytes per parameter (P / 8 k) and k/L/R.
#[test]
fn the_readmes_packing_table_is_the_computed_one() {
    let readme = include_str!("../README.md");
    let rows: Vec<Vec<&str>> = (readme.lines())
        .skip_while(|line| !line.starts_with("| w | n = 10 |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), WIDTHS.len());
    for (row, bits) in rows.iter().zip(WIDTHS) {
        let mut expected = vec![bits.to_string()];
        for n in SIZES {
            let (k, l, r) = packing_by_counting(Profile::B, bits, n).expect("a packing");
            let bytes = f64::from(k * l + r) / f64::from(8 * k);
            expected.push(format!("{bytes:.2} ({k}/{l}/{r})"));
        }
        assert_eq!(*row, expected);
    }
}

/// Largest log2 q of the Homomorphic Encryption Standard (2018, table of error deviation 3.2), as
/// OpenFHE carries it in `stdlatticeparms.cpp`, for a ternary secret, the smaller of its rows:
/// 128 bits against a classical and against a quantum computer. From the design note, section 3.
const HE_STANDARD: [(Profile, f64, f64); 2] =
    [(Profile::A, 54.0, 51.0), (Profile::B, 109.0, 101.0)];

#[test]
fn moduli_are_within_the_he_standard_for_128_bits() {
    for (profile, classical, quantum) in HE_STANDARD {
        let log_q = (modulus(profile) as f64).log2();
        assert!(log_q <= quantum && quantum < classical, "{profile:?}: {log_q}");
        assert!(log_q > f64::from(profile.modulus_bits()) - 1e-6);
    }
}

/// Hint-RLWE (ePrint 2023/623, Theorem 1, quoted from memory): 1/sigma_0^2 =
/// 2 (1/sigma_1^2 + B/sigma_2^2), with B = 1 and the other honest client's key as the mask.
fn deviation_after_the_hint(key: f64, mask: f64) -> f64 {
    (2.0 * (1.0 / (key * key) + 1.0 / (mask * mask))).recip().sqrt()
}

/// sqrt(2) times the smoothing parameter of Z^m at eps = 2^-120, by the usual bound
/// eta_eps(Z^m) <= sqrt(ln(2 m (1 + 1/eps)) / pi).
fn smoothing(coefficients: f64) -> f64 {
    let log_inverse_epsilon = 120.0 * std::f64::consts::LN_2;
    let eta = ((2.0 * coefficients).ln() + log_inverse_epsilon) / std::f64::consts::PI;
    (2.0 * eta).sqrt()
}

/// The theorem asks sigma_0 sqrt(2 pi) >= sqrt(2) eta. Coefficients are those of a contribution
/// with w = 8 and n = 1000. It holds up to 29 million coefficients, and no further.
#[test]
fn the_hint_leaves_a_deviation_of_3_2_above_the_smoothing_parameter() {
    let left = deviation_after_the_hint(6.4, 6.4);
    assert!((left - 3.2).abs() < 1e-12);
    let width = left * (2.0 * std::f64::consts::PI).sqrt();
    assert!((width - 8.02).abs() < 0.005);
    for (parameters, expected) in [(1e6, 7.83), (1e7, 7.92), (5e7, 7.99)] {
        let smoothing = smoothing(parameters / 4.0);
        assert!((smoothing - expected).abs() < 0.006, "{parameters}: {smoothing}");
        assert!(width > smoothing);
    }
    assert!(width > smoothing(2.9e7) && width < smoothing(3.0e7));
}
