use proptest::prelude::*;

use super::*;
use crate::hash::Digest;
use crate::sum::xof::Xof;

fn quantiser(bits: u8, range: f32, clip_norm: f32, weighting: Weighting) -> Quantiser {
    Quantiser { bits, range, clip_norm, weighting }
}

fn units(update: &[f32], quantiser: &Quantiser, examples: u32, seed: u8) -> Vec<i32> {
    let mut rng = Xof::new(&[seed; 32], 0);
    quantise(update, quantiser, examples, &mut rng).expect("finite").units().collect()
}

#[test]
fn ends_of_the_range_are_exact_and_nothing_lies_beyond() {
    for bits in [2, 8, 12, 16] {
        let quantiser = quantiser(bits, 0.75, 1e9, Weighting::Uniform);
        let max = quantiser.magnitude_max() as i32;
        let update = [0.75, -0.75, 0.0, 1e4, -1e4, 7e5, -0.0];
        for seed in 0..20 {
            assert_eq!(units(&update, &quantiser, 1, seed), [max, -max, 0, max, -max, max, 0]);
        }
    }
}

#[test]
fn rounding_keeps_the_expectation() {
    let quantiser = quantiser(8, 127.0, 1e9, Weighting::Uniform);
    for value in [0.25f32, -0.25, 3.7, -100.01] {
        let update = vec![value; 100_000];
        let units = units(&update, &quantiser, 1, 3);
        let floor = value.floor() as i32;
        assert!(units.iter().all(|&unit| unit == floor || unit == floor + 1));
        let mean = units.iter().map(|&unit| f64::from(unit)).sum::<f64>() / 1e5;
        // Five standard errors of at most 1/2.
        assert!((mean - f64::from(value)).abs() < 2.5 / 1e5f64.sqrt(), "{value}: {mean}");
    }
}

#[test]
fn a_long_update_is_scaled_to_the_clip_norm_and_a_short_one_is_not() {
    // Norm 5; values are whole units after scaling, so rounding has nothing to do.
    let long = quantiser(8, 127.0, 2.5, Weighting::Uniform);
    assert_eq!(units(&[6.0, -8.0], &long, 1, 1).iter().map(|u| u.abs()).max(), Some(2));
    let exact = quantiser(8, 127.0, 5.0, Weighting::Uniform);
    assert_eq!(units(&[3.0, -4.0], &exact, 1, 1), [3, -4]);
    let mut many = vec![0.0; 1000];
    (many[17], many[900]) = (30.0, -40.0);
    assert_eq!(units(&many, &exact, 1, 1)[17], 3);
    assert_eq!(units(&many, &exact, 1, 1)[900], -4);
}

#[test]
fn weight_scales_the_update_and_is_capped() {
    let quantiser = quantiser(8, 127.0, 1e9, Weighting::CappedExamples(100));
    for (examples, weight, unit) in [(100, 100, 80), (1_000_000, 100, 80), (25, 25, 20), (0, 1, 1)]
    {
        let mut rng = Xof::new(&[1; 32], 0);
        let quantised = quantise(&[80.0], &quantiser, examples, &mut rng).expect("finite");
        assert_eq!(quantised.weight(), weight);
        let got = quantised.units().next().expect("one");
        assert!((got - unit).abs() <= i32::from(weight == 1), "{examples} examples: {got}");
    }
}

#[test]
fn what_is_no_number_is_refused_by_its_place() {
    let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut update = vec![0.5; 50];
        update[41] = bad;
        let mut rng = Xof::new(&[1; 32], 0);
        let refused = quantise(&update, &quantiser, 1, &mut rng).err();
        assert_eq!(refused, Some(NotFinite { index: 41 }));
    }
}

#[test]
fn integers_out_of_range_are_refused() {
    let uniform = quantiser(8, 1.0, 1.0, Weighting::Uniform);
    let capped = quantiser(8, 1.0, 1.0, Weighting::CappedExamples(9));
    let of = |units: &[i32], weight, quantiser| Quantised::from_units(units, weight, quantiser);
    assert_eq!(of(&[0, -127, 127], 1, &uniform).map(|q| q.len()), Ok(3));
    assert_eq!(of(&[0, 128], 1, &uniform).err(), Some(BadUnits::Range { index: 1 }));
    assert_eq!(of(&[-128], 1, &uniform).err(), Some(BadUnits::Range { index: 0 }));
    assert_eq!(of(&[i32::MIN], 1, &uniform).err(), Some(BadUnits::Range { index: 0 }));
    assert_eq!(of(&[0], 2, &uniform).err(), Some(BadUnits::Weight { weight: 2 }));
    assert_eq!(of(&[0], 10, &capped).err(), Some(BadUnits::Weight { weight: 10 }));
    assert_eq!(of(&[0], 0, &capped).err(), Some(BadUnits::Weight { weight: 0 }));
}

#[test]
fn a_counter_beyond_its_digits_is_refused() {
    for (bits, max) in [(2, 255), (8, u64::from(u32::MAX)), (12, (1 << 48) - 1)] {
        let quantiser = quantiser(bits, 1.0, 1.0, Weighting::Uniform);
        assert_eq!(quantiser.counter_max(), max);
        let with = |counters: &[u64]| {
            let quantised = Quantised::from_units(&[0], 1, &quantiser).expect("in range");
            quantised.with_counters(counters).map(|quantised| quantised.counters().to_vec())
        };
        assert_eq!(with(&[0, max]), Ok(vec![0, max]));
        assert_eq!(with(&[max, max + 1]), Err(BadUnits::Counter { index: 1 }));
    }
    assert_eq!(quantiser(16, 1.0, 1.0, Weighting::Uniform).counter_max(), (1 << 48) - 1);
}

#[test]
fn within_the_clip_means_after_rounding_and_short_updates_are_left_alone() {
    let square = |quantised: &Quantised| -> u64 {
        quantised.units().map(|unit| u64::from(unit.unsigned_abs()).pow(2)).sum()
    };
    let update: Vec<f32> = (0..2_000).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
    for clip_norm in [0.02, 1.0, 20.0] {
        let quantiser = quantiser(8, 1.0, clip_norm, Weighting::Uniform);
        let bound = quantiser.norm_squared_max();
        let mut beyond = 0;
        for seed in 0..20 {
            let plain = quantise(&update, &quantiser, 1, &mut Xof::new(&[seed; 32], 0));
            beyond += usize::from(square(&plain.expect("finite")) > bound);
            let within = quantise_within(&update, &quantiser, 1, &mut Xof::new(&[seed; 32], 0));
            let within = within.expect("finite");
            assert!(square(&within) <= bound, "{clip_norm}");
            assert_eq!(within.quantiser, quantiser);
            // Not much shorter either, where there is more than a few units of it.
            let share = square(&within) as f64 / bound as f64;
            assert!(bound < 100 || share > 0.95, "{clip_norm}: {share}");
        }
        assert!(beyond > 0, "{clip_norm}: rounding alone never passes the bound");
    }
    let quantiser = quantiser(8, 1.0, 1e3, Weighting::Uniform);
    let one = quantise(&update, &quantiser, 1, &mut Xof::new(&[1; 32], 0)).expect("finite");
    let other = quantise_within(&update, &quantiser, 1, &mut Xof::new(&[1; 32], 0));
    assert!(one.units().eq(other.expect("finite").units()));
}

#[test]
fn a_control_is_clipped_and_scaled_on_its_own_and_never_weighed() {
    let weighted = quantiser(8, 127.0, 1e9, Weighting::CappedExamples(100));
    let control = Control { range: 12.7, clip_norm: 0.5, owners: 3, variate: Digest::ZERO };
    let mut rng = Xof::new(&[1; 32], 0);
    let update = quantise(&[80.0, 0.0], &weighted, 25, &mut rng).expect("finite");
    // Norm 5, scaled to 0.5: 0.3 and -0.4 are 3 and -4 units of 0.1.
    let both = update.with_control(&[3.0, -4.0], &control, &mut rng).expect("finite");
    assert_eq!(both.units().collect::<Vec<_>>(), [20, 0]);
    let units: Vec<_> = both.control_units().collect();
    assert!((units[0] - 3).abs() <= 1 && (units[1] + 4).abs() <= 1, "{units:?}");
    assert_eq!(both.len(), 2);
    let again = both.with_control_units(&[127, -127], &control).expect("in range");
    assert_eq!(again.control_units().collect::<Vec<_>>(), [127, -127]);
    let refused = again.with_control_units(&[128, 0], &control).err();
    assert_eq!(refused, Some(BadUnits::Range { index: 0 }));
}

#[test]
fn a_control_of_another_length_or_without_numbers_is_refused() {
    let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
    let control = Control { range: 1.0, clip_norm: 1.0, owners: 3, variate: Digest::ZERO };
    let update = || Quantised::from_units(&[0, 1], 1, &quantiser).expect("in range");
    let length = BadUnits::Control { got: 1, expected: 2 };
    assert_eq!(update().with_control_units(&[0], &control).err(), Some(length));
    let mut rng = Xof::new(&[1; 32], 0);
    let refused = update().with_control(&[0.0], &control, &mut rng).err();
    assert_eq!(refused, Some(BadControl::Length(length)));
    let refused = update().with_control(&[0.0, f32::NAN], &control, &mut rng).err();
    assert_eq!(refused, Some(BadControl::NotFinite(NotFinite { index: 1 })));
}

proptest! {
    #[test]
    fn a_unit_is_the_value_rounded_up_or_down(
        update in proptest::collection::vec(-2.0f32..2.0, 0..300),
        bits in 2u8..=16,
        seed in any::<u8>(),
    ) {
        let quantiser = quantiser(bits, 1.0, 1e9, Weighting::Uniform);
        for (value, unit) in update.iter().zip(units(&update, &quantiser, 1, seed)) {
            let exact = f64::from(value.clamp(-1.0, 1.0)) / quantiser.step();
            prop_assert!((f64::from(unit) - exact).abs() <= 1.0, "{value}: {unit}");
        }
    }

    #[test]
    fn integers_round_trip(
        units in proptest::collection::vec(-127i32..=127, 0..100),
    ) {
        let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
        let quantised = Quantised::from_units(&units, 1, &quantiser).expect("in range");
        prop_assert_eq!(quantised.units().collect::<Vec<_>>(), units);
    }
}

fn noisy(dimension: usize, clip_norm: f32, multiplier: f64) -> crate::config::RoundConfig {
    use crate::config::{Noise, NoisePlan, Profile};
    let mut config = crate::config::tests::config(Profile::B, 16, 20, dimension as u64);
    (config.quantiser.range, config.quantiser.clip_norm) = (32.0, clip_norm);
    let plan = NoisePlan { multiplier, contributions_min: 10, colluding_max: 1, has_vote: false };
    let noise = Noise::of(plan, &config.quantiser, dimension as u64);
    config.noise = Some(noise.expect("noise"));
    config
}

fn with_noise(update: &[f32], config: &crate::config::RoundConfig, seed: u8) -> Vec<i32> {
    let bounds = config.noise_bounds().expect("room").expect("noise");
    let mut rng = Xof::new(&[seed; 32], 7);
    let quantised = quantise_with_noise(update, &config.quantiser, &bounds, &mut rng, &[seed; 32]);
    let quantised = quantised.expect("finite");
    assert!(quantised.fits(config));
    quantised.units().collect()
}

#[test]
fn noise_has_its_variance_and_no_mean_whatever_the_update() {
    let config = noisy(50_000, 2.0, 1.0);
    let share = config.noise.expect("noise").share().expect("a variance").to_f64();
    for value in [0.0f32, 0.003, -0.008] {
        let units = with_noise(&vec![value; 50_000], &config, 1);
        let clip = (2.0 / (f64::from(value.abs()) * 50_000f64.sqrt())).min(1.0);
        let expected = f64::from(value) * clip / config.quantiser.step();
        let n = units.len() as f64;
        let mean = units.iter().map(|&unit| f64::from(unit)).sum::<f64>() / n;
        let variance = units.iter().map(|&unit| (f64::from(unit) - mean).powi(2)).sum::<f64>() / n;
        // Five standard errors; rounding adds at most a quarter.
        assert!((mean - expected).abs() < 5.0 * (share / n).sqrt(), "{mean} {expected}");
        let error = 5.0 * share * (2.0 / n).sqrt();
        assert!((variance - share).abs() < error + 0.25, "{variance} {share}");
    }
}

/// Its noise is much smaller than the vote.
#[test]
fn an_owner_votes_by_the_length_that_its_update_had_before_it_was_clipped() {
    use crate::config::{Noise, NoisePlan};
    let mut config = noisy(1000, 2.0, 0.01);
    let plan =
        NoisePlan { multiplier: 0.01, contributions_min: 10, colluding_max: 1, has_vote: true };
    config.noise = Some(Noise::of(plan, &config.quantiser, 1000).expect("noise"));
    let bounds = config.noise_bounds().expect("room").expect("noise");
    for (length, vote) in [(0.0f32, 1.0), (1.999, 1.0), (2.001, -1.0), (1e6, -1.0)] {
        let update = vec![length / 1000f32.sqrt(); 1000];
        let mut rng = Xof::new(&[1; 32], 7);
        let quantiser = &config.quantiser;
        let quantised = quantise_with_noise(&update, quantiser, &bounds, &mut rng, &[2; 32]);
        let quantised = quantised.expect("finite");
        assert!(quantised.fits(&config));
        assert!(!quantised.fits(&noisy(1000, 2.0, 0.01)), "a vote where none is asked for");
        assert_eq!(quantised.len(), 1000);
        let votes: Vec<f64> = quantised.control_units().map(f64::from).collect();
        let share = votes[0] / f64::from(bounds.vote_units);
        assert!(votes.len() == 1 && (share - vote).abs() < 0.1, "{length}: {share}");
    }
}

#[test]
fn the_same_seeds_give_the_same_noise_and_others_another() {
    let config = noisy(1000, 2.0, 1.0);
    let update = vec![0.01; 1000];
    assert_eq!(with_noise(&update, &config, 1), with_noise(&update, &config, 1));
    assert_ne!(with_noise(&update, &config, 1), with_noise(&update, &config, 2));
}

proptest! {
    /// The difference between what is sent of two updates with the same seeds is their rounded
    /// difference: each is no longer than the bound that the account is for.
    #[test]
    fn no_update_moves_a_sum_by_more_than_is_accounted_for(
        update in proptest::collection::vec(-100f32..100.0, 1..400),
        clip_norm in 0.001f32..30.0,
        seed in any::<u8>(),
    ) {
        let config = noisy(update.len(), clip_norm, 0.05);
        let Ok(bounds) = config.noise_bounds() else { return Ok(()) };
        let bounds = bounds.expect("noise");
        let zero = with_noise(&vec![0.0; update.len()], &config, seed);
        let sent = with_noise(&update, &config, seed);
        let magnitude_max = i64::from(config.quantiser.magnitude_max());
        let mut squared = 0;
        for (sent, zero) in sent.iter().zip(&zero) {
            prop_assert!(i64::from(sent.abs()) <= magnitude_max);
            squared += u64::from(sent.abs_diff(*zero)).pow(2);
        }
        prop_assert!(squared <= bounds.signal_squared_max, "{squared} {bounds:?}");
    }
}
