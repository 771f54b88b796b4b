//! Laws of the secure sum over random inputs.

mod support;

use covey_aggregation::config::{CommitteeShape, Control, Packing, Profile, Weighting};
use covey_aggregation::hash::Digest;
use covey_aggregation::publication::Publication;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::open::{Aggregate, KeySum};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::seal;
use covey_aggregation::wire;
use proptest::prelude::*;
use support::{Fixture, Terms, agreed, client};
use zeroize::Zeroizing;

fn profiles() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::A), Just(Profile::B)]
}

fn shapes() -> impl Strategy<Value = CommitteeShape> {
    prop_oneof![Just(CommitteeShape::Four), Just(CommitteeShape::Seven)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn opening_is_addition(
        profile in profiles(),
        shape in shapes(),
        bits in 2u8..=16,
        spare in 0u32..50,
        with_control in any::<bool>(),
        vectors in proptest::collection::vec(
            (proptest::collection::vec(-1.0f64..=1.0, 90), 1u32..=10, any::<[u64; 5]>()), 2..5,
        ),
    ) {
        let n = vectors.len() as u32;
        let terms = Terms {
            profile,
            shape,
            bits,
            contributions_max: n + spare,
            dimension: 90,
            weighting: Weighting::CappedExamples(10),
            counters: 5,
            control: with_control.then_some(Control {
                range: 0.5,
                clip_norm: 1.0,
                owners: 100,
                variate: Digest::ZERO,
            }),
            ..Terms::default()
        };
        let fixture = Fixture::new(terms);
        let max = f64::from(fixture.config.quantiser.magnitude_max());
        let counter_max = fixture.config.quantiser.counter_max();
        let mut expected = vec![0i32; 90];
        let mut totals = vec![0u64; 5];
        let mut uploads = Vec::new();
        for (i, (vector, weight, counters)) in (0..).zip(&vectors) {
            let counters = counters.map(|counter| counter % (counter_max + 1));
            totals.iter_mut().zip(counters).for_each(|(total, counter)| *total += counter);
            let units: Vec<i32> = vector.iter().map(|x| (x * max) as i32).collect();
            for (sum, unit) in expected.iter_mut().zip(&units) {
                *sum += *unit;
            }
            let control: Vec<i32> = units.iter().map(|unit| -unit).collect();
            uploads.push(fixture.seal_all(i, (&units, *weight), &control, &counters));
        }
        for upload in &uploads {
            prop_assert_eq!(fixture.check(upload), Ok(()));
        }
        let aggregate = fixture.open(&uploads);
        let negated = expected.iter().filter(|_| with_control).map(|sum| -sum);
        prop_assert_eq!(aggregate.control, negated.collect::<Vec<_>>());
        prop_assert_eq!(aggregate.sums, expected);
        prop_assert_eq!(aggregate.counters, totals);
        let weight: u32 = vectors.iter().map(|(_, weight, _)| weight).sum();
        prop_assert_eq!(aggregate.weight, u64::from(weight));
    }

    /// One after the other, and chunk by chunk on any number of strips, several at a time.
    #[test]
    fn any_order_and_division_of_additions_gives_the_same_sum(
        profile in profiles(),
        order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
        parts in 1usize..5,
        at_once in 1usize..=5,
    ) {
        let fixture = Fixture::new(Terms { profile, dimension: 40_000, ..Terms::default() });
        let uploads: Vec<_> = (0..5).map(|i| fixture.seal(i, &[i as i32; 40_000], 1)).collect();
        let expected = fixture.open(&uploads);
        let mut sum = Accumulator::new(&fixture.config).expect("valid terms");
        for &member in &order {
            sum.add_correction(&uploads[member].sealed.correction).expect("a good correction");
        }
        for mut strip in sum.strips(parts) {
            for members in order.chunks(at_once) {
                for index in strip.chunks().rev() {
                    let chunk = |&member: &usize| uploads[member].chunks[index as usize].as_slice();
                    let chunks: Vec<_> = members.iter().map(chunk).collect();
                    strip.add(index, &chunks).expect("good chunks");
                }
            }
        }
        prop_assert_eq!(sum.count(), Some(5));
        let components = agreed(&fixture.combine(&fixture.releases(&uploads), &[0, 1, 2, 3]));
        let key_sum = KeySum::recover(&fixture.config, &sum, &components, 5).expect("short");
        let opened = covey_aggregation::sum::open::open(
            &fixture.config, &fixture.round_ctx, &sum, &key_sum, 5,
        );
        prop_assert_eq!(opened, Ok(expected));
    }

    /// Fresh entropy gives another key; the same entropy for another update does, too.
    #[test]
    fn no_two_sealings_share_a_key(entropy in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        prop_assume!(entropy != other);
        let fixture = Fixture::new(Terms::default());
        let quantiser = &fixture.config.quantiser;
        let sealed = |units: &[i32], entropy: [u8; 32]| {
            let update = Quantised::from_units(units, 1, quantiser).expect("in range");
            let mut chunks = Vec::new();
            let entropy = Zeroizing::new(entropy);
            seal(&fixture.config, &client(0), &update, &entropy, &mut chunks).expect("seals")
        };
        let first = sealed(&[5; 300], entropy);
        let mut changed = [5; 300];
        changed[299] = 6;
        prop_assert_ne!(&sealed(&changed, entropy).correction, &first.correction);
        prop_assert_ne!(&sealed(&[5; 300], other).correction, &first.correction);
        prop_assert_eq!(sealed(&[5; 300], entropy).header, first.header);
    }
}

proptest! {
    #[test]
    fn every_packing_leaves_room_for_sums_and_noise(
        profile in profiles(),
        bits in 2u8..=16,
        n in 1u32..=10_000,
    ) {
        if let Some(packing) = Packing::derive(profile, bits, n) {
            let n = u128::from(n);
            prop_assert!(n * ((1 << bits) - 1) < 1 << packing.lane_bits);
            prop_assert!(packing.pad_bits() <= profile.pad_bits_max());
            // Twice the largest noise: n + 1 roundings of 1/2 + 2^-13, n noises of 64 q / 2^P.
            let shift = profile.modulus_bits() - packing.pad_bits();
            let rounding = ((n + 1) << shift) + ((n + 1) << shift >> 12);
            prop_assert!(rounding + n * 128 < 1 << (packing.noise_bits + shift));
        }
    }

    #[test]
    fn aggregates_round_trip(
        count in any::<u32>(),
        weight in any::<u64>(),
        sums in proptest::collection::vec(any::<i32>(), 0..50),
        control in proptest::collection::vec(any::<i32>(), 0..20),
        counters in proptest::collection::vec(any::<u64>(), 0..20),
    ) {
        let aggregate = Aggregate { count, weight, sums, control, counters };
        let bytes = wire::encode(&aggregate);
        prop_assert_eq!(wire::decode::<Aggregate>(&bytes, 2000), Ok(aggregate.clone()));
        let mut other = aggregate.clone();
        other.weight ^= 1;
        prop_assert_ne!(other.digest(), aggregate.digest());
    }

    #[test]
    fn random_bytes_are_no_publication(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(Publication::decode(&bytes).is_err());
    }
}
