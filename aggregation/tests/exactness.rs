//! The encrypted aggregate equals the plain sum, exactly.

mod support;

use covey_aggregation::config::{CommitteeShape, Control, HolderIndex, Profile, Weighting};
use covey_aggregation::credit::{CreditConfig, CreditState, Training};
use covey_aggregation::hash::Digest;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::BadContribution;
use covey_aggregation::sum::open::{Aggregate, KeySum, NotShort, open};
use covey_aggregation::sum::share::weighed_component_sums;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Fixture, Terms, Upload, agreed};

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

/// A committee whose sums evidence may weigh.
fn weighed(terms: Terms) -> Fixture {
    let mut fixture = Fixture::new(terms);
    let state = CreditState::first(Digest([9; 32]));
    let training = Training::Evidence;
    fixture.config.credit = Some(CreditConfig { fold: 30, steps: 20, training, state });
    fixture.config.packing = fixture.config.derive_packing().expect("a packing exists");
    fixture.round_ctx = fixture.config.context();
    fixture
}

/// From uploads to the aggregate: the coordinator adds each so often, and holders release so often.
fn open_weighed(
    fixture: &Fixture,
    uploads: &[Upload],
    [added, released]: [&[u32]; 2],
) -> Result<Aggregate, NotShort> {
    let (config, context) = (&fixture.config, &fixture.round_ctx);
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    for (upload, times) in uploads.iter().zip(added) {
        let correction = &upload.sealed.correction;
        accumulator.add_correction_times(correction, *times).expect("a good correction");
        for (index, chunk) in (0..).zip(&upload.chunks) {
            accumulator.add_chunk_times(index, chunk, *times).expect("a good chunk");
        }
    }
    let holders: Vec<usize> = (0..config.shape.members()).collect();
    let release = |&holder: &usize| {
        let seeds = uploads.iter().map(|one| (one.client(), fixture.seeds(one, holder)));
        let seeds: Vec<_> = seeds.collect();
        let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
        let seeds = seeds.zip(released.iter().copied());
        weighed_component_sums(config, context, HolderIndex(holder as u8), seeds)
    };
    let releases: Vec<_> = holders.iter().map(release).collect();
    let components = agreed(&fixture.combine(&releases, &holders));
    let count = added.iter().sum();
    let key_sum = KeySum::recover(config, &accumulator, &components, count)?;
    Ok(open(config, context, &accumulator, &key_sum, count).expect("opens"))
}

#[test]
fn weighed_sums_are_exact_with_their_weights_and_counters() {
    let weighting = Weighting::CappedExamples(500);
    let fixture = weighed(Terms { weighting, counters: 1, ..Terms::default() });
    let (times, examples) = ([4, 2, 0, 3, 2], [1, 255, 256, 500, 17]);
    let uploads: Vec<_> = (0..5u32)
        .map(|i| {
            let units: Vec<i32> = (0..300).map(|at| (at * (i as i32 + 1)) % 127 - 63).collect();
            fixture.seal_all(i, (&units, examples[i as usize]), &[], &[u64::from(i) + 1000])
        })
        .collect();
    let aggregate = open_weighed(&fixture, &uploads, [&times, &times]).expect("opens");
    let sum =
        |of: &dyn Fn(usize) -> i64| -> i64 { (0..5).map(|i| i64::from(times[i]) * of(i)).sum() };
    for at in 0..300 {
        let unit = |i: usize| ((at * (i as i32 + 1)) % 127 - 63).into();
        assert_eq!(i64::from(aggregate.sums[at as usize]), sum(&unit));
    }
    let expected = sum(&|i| i64::from(examples[i])) as u64;
    assert_eq!((aggregate.count, aggregate.weight), (11, expected));
    assert_eq!(aggregate.counters, [sum(&|i| i as i64 + 1000) as u64]);
    // The mean is that of the units, each by its times; units are weighed by examples already.
    let mean = f64::from(aggregate.mean(&fixture.config.quantiser)[1]);
    let by_hand = sum(&|i| i as i64 + 1 - 63) as f64 / 127.0 * 500.0 / expected as f64;
    assert!((mean - by_hand).abs() < 1e-6, "{mean} {by_hand}");

    // Whoever adds or releases by other numbers, the keys are not those of the sum.
    for other in [[1; 5], [4, 2, 1, 3, 2], [3, 3, 0, 3, 2], [2, 4, 0, 3, 2]] {
        for given in [[&other, &times], [&times, &other]] {
            let opened = open_weighed(&fixture, &uploads, given.map(|times| &times[..]));
            assert!(matches!(opened, Err(NotShort::Entry { .. })), "{other:?}");
        }
    }
}

/// Everybody as often as anybody may count, at both ends of the range.
#[test]
fn the_largest_weighed_sums_are_exact() {
    for (profile, bits, n) in [(Profile::A, 8, 10), (Profile::B, 8, 10), (Profile::B, 16, 100)] {
        let fixture = weighed(Terms { dimension: 60, ..terms(profile, bits, n) });
        let magnitude = fixture.config.quantiser.magnitude_max() as i32;
        let units = [magnitude, -magnitude].repeat(30);
        let uploads: Vec<_> = (0..n).map(|i| fixture.seal(i, &units, 1)).collect();
        let times = vec![4; n as usize];
        let aggregate = open_weighed(&fixture, &uploads, [&times, &times]).expect("opens");
        let all = 4 * n as i32 * magnitude;
        assert_eq!(aggregate.sums, [all, -all].repeat(30), "{profile:?}, w = {bits}");

        // There is room for no more.
        let mut full = Accumulator::new(&fixture.config).expect("valid terms");
        let correction = &uploads[0].sealed.correction;
        assert_eq!(full.add_correction_times(correction, 4 * n - 3), Ok(()));
        let refused = full.add_correction_times(correction, 4);
        assert_eq!(refused, Err(BadContribution::TooMany));
        assert_eq!(full.add_correction_times(correction, 3), Ok(()));
    }
}
