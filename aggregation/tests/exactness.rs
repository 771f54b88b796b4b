//! The encrypted aggregate equals the plain sum, exactly.

mod support;

use covey_aggregation::config::{CommitteeShape, Profile, Weighting};
use covey_aggregation::party::PartyId;
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

/// Runs a round of `n` contributions one by one, as a large round would be: only the
/// accumulators of coordinator and holders are kept.
fn assert_exact(terms: Terms, n: u32, input: Input) {
    let fixture = Fixture::new(terms);
    let magnitude = fixture.config.quantiser.magnitude_max() as i32;
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(n));
    let mut accumulator = Accumulator::new(&fixture.config).expect("valid terms");
    let mut expected = vec![0i64; terms.dimension as usize];
    let mut seeds: Vec<Vec<_>> = fixture.secrets.iter().map(|_| Vec::new()).collect();
    for index in 0..n {
        let units: Vec<i32> = (0..terms.dimension)
            .map(|_| match input {
                Input::Random => rng.random_range(-magnitude..=magnitude),
                Input::AllMaximum => magnitude,
                Input::AllMinimum => -magnitude,
            })
            .collect();
        for (sum, unit) in expected.iter_mut().zip(&units) {
            *sum += i64::from(*unit);
        }
        let upload = fixture.seal(index, &units, 1);
        fixture.add(&mut accumulator, &upload);
        // Holders 0 .. f know every component together.
        for (holder, seeds) in seeds.iter_mut().enumerate() {
            let client: PartyId = upload.sealed.header.header.client;
            seeds.push((client, fixture.seeds(&upload, holder)));
        }
    }
    let releases: Vec<_> =
        seeds.iter().enumerate().map(|(holder, seeds)| fixture.sums(holder, seeds)).collect();
    let all: Vec<usize> = (0..releases.len()).collect();
    let components = agreed(&fixture.combine(&releases, &all));
    let key_sum =
        KeySum::recover(&fixture.config, &accumulator, &components, n).expect("short keys");
    let aggregate =
        open(&fixture.config, &fixture.round_ctx, &accumulator, &key_sum, n).expect("opens");
    assert_eq!(aggregate.sums, expected, "n = {n}, {input:?}");
    assert_eq!((aggregate.count, aggregate.weight), (n, u64::from(n)));
}

fn assert_exact_for_all_widths(profile: Profile, shape: CommitteeShape, n: u32) {
    for bits in [8, 12, 16] {
        for input in [Input::Random, Input::AllMaximum, Input::AllMinimum] {
            let terms = Terms {
                profile,
                shape,
                bits,
                contributions_max: n,
                dimension: 700,
                ..Terms::default()
            };
            assert_exact(terms, n, input);
        }
    }
}

#[test]
fn small_sums_are_exact_in_both_profiles_and_committees() {
    for profile in [Profile::A, Profile::B] {
        for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
            for n in [2, 3] {
                assert_exact_for_all_widths(profile, shape, n);
            }
        }
    }
}

#[test]
fn sums_of_ten_are_exact() {
    for profile in [Profile::A, Profile::B] {
        assert_exact_for_all_widths(profile, CommitteeShape::Four, 10);
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
}
