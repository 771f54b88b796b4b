//! The encrypted aggregate equals the plain sum, exactly.

mod support;

use covey_aggregation::config::{CommitteeShape, Control, Profile, Weighting};
use covey_aggregation::hash::Digest;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::open::{KeySum, open};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Fixture, Terms, agreed};

/// What the owners send.
#[derive(Clone, Copy, Debug)]
enum Input {
    Random,
    AllMaximum,
    AllMinimum,
}

impl Input {
    fn units(self, rng: &mut ChaCha8Rng, magnitude: i32, dimension: u64) -> Vec<i32> {
        let unit = |_| match self {
            Self::Random => rng.random_range(-magnitude..=magnitude),
            Self::AllMaximum => magnitude,
            Self::AllMinimum => -magnitude,
        };
        (0..dimension).map(unit).collect()
    }
}

/// Runs a round of `n` contributions one by one, as a large round would be: only the
/// accumulators of coordinator and holders are kept. Q holders release, the fewest that may.
fn assert_exact(terms: Terms, n: u32, input: Input) {
    let fixture = Fixture::new(terms);
    let config = &fixture.config;
    let magnitude = config.quantiser.magnitude_max() as i32;
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(n));
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    let mut expected = vec![0i32; terms.dimension as usize];
    let holders: Vec<usize> = (0..terms.shape.quorum()).collect();
    let mut seeds: Vec<Vec<_>> = holders.iter().map(|_| Vec::new()).collect();
    for index in 0..n {
        let units = input.units(&mut rng, magnitude, terms.dimension);
        for (sum, unit) in expected.iter_mut().zip(&units) {
            *sum += *unit;
        }
        let upload = fixture.seal(index, &units, 1);
        fixture.add(&mut accumulator, &upload);
        for (seeds, &holder) in seeds.iter_mut().zip(&holders) {
            seeds.push((upload.client(), fixture.seeds(&upload, holder)));
        }
    }
    let releases: Vec<_> =
        holders.iter().map(|&holder| fixture.sums(holder, &seeds[holder])).collect();
    let components = agreed(&fixture.combine(&releases, &holders));
    let key_sum = KeySum::recover(config, &accumulator, &components, n).expect("short keys");
    let aggregate = open(config, &fixture.round_ctx, &accumulator, &key_sum, n).expect("opens");
    assert_eq!(aggregate.sums, expected, "n = {n}, {input:?}");
    assert_eq!((aggregate.count, aggregate.weight), (n, u64::from(n)));
}

fn terms(profile: Profile, bits: u8, contributions_max: u32) -> Terms {
    Terms { profile, bits, contributions_max, dimension: 700, ..Terms::default() }
}

#[test]
fn sums_of_two_and_three_are_exact_in_both_profiles_and_committees() {
    for (profile, bits) in
        [Profile::A, Profile::B].into_iter().flat_map(|p| [8, 12, 16].map(|w| (p, w)))
    {
        for n in [2, 3] {
            for input in [Input::Random, Input::AllMaximum, Input::AllMinimum] {
                assert_exact(terms(profile, bits, n), n, input);
            }
            let shape = CommitteeShape::Seven;
            assert_exact(Terms { shape, ..terms(profile, bits, n) }, n, Input::Random);
        }
    }
}

#[test]
fn sums_of_ten_are_exact() {
    for (profile, bits) in
        [Profile::A, Profile::B].into_iter().flat_map(|p| [8, 12, 16].map(|w| (p, w)))
    {
        for input in [Input::Random, Input::AllMaximum] {
            assert_exact(terms(profile, bits, 10), 10, input);
        }
    }
}

/// `n` contributions of every width, at most as many as the packing leaves room for.
fn assert_exact_at_every_width(profile: Profile, n: u32, input: Input) {
    for bits in [8, 12, 16] {
        assert_exact(terms(profile, bits, n), n, input);
    }
}

#[test]
fn sums_of_a_hundred_are_exact() {
    for profile in [Profile::A, Profile::B] {
        for input in [Input::Random, Input::AllMaximum] {
            assert_exact_at_every_width(profile, 100, input);
        }
    }
    let shape = CommitteeShape::Seven;
    assert_exact(Terms { shape, ..terms(Profile::B, 8, 100) }, 100, Input::AllMaximum);
}

#[test]
fn random_sums_of_a_thousand_are_exact() {
    assert_exact_at_every_width(Profile::B, 1000, Input::Random);
}

#[test]
fn greatest_sums_of_a_thousand_are_exact() {
    assert_exact_at_every_width(Profile::B, 1000, Input::AllMaximum);
}

#[test]
fn random_sums_of_a_thousand_are_exact_in_the_small_profile() {
    assert_exact_at_every_width(Profile::A, 1000, Input::Random);
}

#[test]
fn greatest_sums_of_a_thousand_are_exact_in_the_small_profile() {
    assert_exact_at_every_width(Profile::A, 1000, Input::AllMaximum);
}

/// Fewer contributions than the packing leaves room for, many chunks, the last one cut.
#[test]
fn sums_over_many_chunks_are_exact() {
    for profile in [Profile::A, Profile::B] {
        let terms = Terms { dimension: 50_001, ..terms(profile, 8, 1000) };
        assert_exact(terms, 3, Input::Random);
    }
}

#[test]
fn weights_are_summed_inside_the_encryption() {
    let terms = Terms { weighting: Weighting::CappedExamples(500), ..Terms::default() };
    let fixture = Fixture::new(terms);
    let weights = [1, 255, 256, 500];
    let uploads: Vec<_> =
        (0..).zip(weights).map(|(i, weight)| fixture.seal(i, &[i as i32; 300], weight)).collect();
    let aggregate = fixture.open(&uploads);
    assert_eq!(aggregate.weight, 1 + 255 + 256 + 500);
    assert_eq!(aggregate.sums, vec![6; 300]);
    // sum step cap / weights
    let mean = 6.0 / 127.0 * 500.0 / 1012.0;
    assert!((f64::from(aggregate.mean(&fixture.config.quantiser)[0]) - mean).abs() < 1e-6);
}

#[test]
fn mean_is_the_sum_of_units_times_the_step_over_the_count() {
    let fixture = Fixture::new(Terms::default());
    let uploads: Vec<_> = (0..4).map(|i| fixture.seal(i, &[i as i32 * 10; 300], 1)).collect();
    let mean = fixture.open(&uploads).mean(&fixture.config.quantiser);
    assert_eq!(mean.len(), 300);
    assert!((f64::from(mean[299]) - 60.0 / 127.0 / 4.0).abs() < 1e-7);
}

/// Counters at zero and at the most that their digits hold, with a control at both ends of its
/// range beside the update; as many contributions as the packing leaves room for.
#[test]
fn counters_and_control_are_exact_at_their_extremes() {
    for (bits, n) in [(2, 100), (8, 100), (16, 100), (2, 3), (8, 3), (16, 3)] {
        let control = Control { range: 0.5, clip_norm: 1.0, owners: n, variate: Digest::ZERO };
        let counters = 4;
        let terms =
            Terms { counters, control: Some(control), dimension: 40, ..terms(Profile::B, bits, n) };
        let fixture = Fixture::new(terms);
        let magnitude = fixture.config.quantiser.magnitude_max() as i32;
        let most = fixture.config.quantiser.counter_max();
        let signs = [magnitude, -magnitude].repeat(20);
        let uploads: Vec<_> = (0..n)
            .map(|i| {
                let counted = [0, most, u64::from(i) % most, u64::from(i == 0)];
                fixture.seal_all(i, (&[-magnitude; 40], 1), &signs, &counted)
            })
            .collect();
        let aggregate = fixture.open(&uploads);
        let all = n as i32 * magnitude;
        assert_eq!(aggregate.sums, [-all; 40], "w = {bits}, n = {n}");
        assert_eq!(aggregate.control, [all, -all].repeat(20));
        let third = (0..u64::from(n)).map(|i| i % most).sum();
        assert_eq!(aggregate.counters, [0, u64::from(n) * most, third, 1]);
        assert_eq!((aggregate.count, aggregate.weight), (n, n.into()));
        // The mean of every owner's range, up and down.
        let mean = aggregate.control_mean(&control, bits);
        assert!(mean.iter().all(|x| (x.abs() - 0.5).abs() < 1e-12));
    }
}
