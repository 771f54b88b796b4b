use super::*;
use crate::config::tests::config;
use crate::config::{Audit, BadConfig, Control, Packing, Profile};
use crate::credit::{CreditConfig, CreditState, Training};
use crate::hash::Digest;

/// Noise of ten owners at least, one of them in league with whoever looks.
const fn planned(multiplier: f64) -> NoisePlan {
    NoisePlan { multiplier, contributions_min: 10, colluding_max: 1, has_vote: false }
}

/// Terms of ten owners at least, one of them in league with whoever looks.
fn noisy(multiplier: f64) -> RoundConfig {
    let mut config = config(Profile::B, 16, 20, 1000);
    (config.quantiser.range, config.quantiser.clip_norm) = (32.0, 2.0);
    config.contributions_min = 10;
    let noise = Noise::of(planned(multiplier), &config.quantiser, 1000).expect("noise");
    config.noise = Some(noise);
    config
}

#[test]
fn a_sums_noise_is_the_multiplier_times_what_one_owner_moves_it_by() {
    for multiplier in [0.5, 1.0, 1.1, 3.0] {
        let config = noisy(multiplier);
        let bounds = config.noise_bounds().expect("room").expect("noise");
        let sigma = (9.0 * bounds.share.to_f64()).sqrt();
        let ratio = sigma / (bounds.signal_squared_max as f64).sqrt() / multiplier;
        assert!((1.0..1.000_001).contains(&ratio), "{multiplier}: {ratio}");
        // Rounding adds little to a clip of 2,048 units: half of sqrt(1000), and a little.
        let moved = (bounds.signal_squared_max as f64).sqrt() / config.quantiser.clip_units();
        assert!((1.0..1.003).contains(&moved), "{moved}");
    }
}

#[test]
fn noise_costs_what_a_gaussian_of_the_same_multiplier_costs() {
    use covey_privacy::delta::Delta;
    use covey_privacy::event::{Event, Sampled};
    use covey_privacy::spent::Spent;

    let delta = Delta::new(1e-6).expect("a delta");
    for (multiplier, rounds) in [(1.0, 1), (1.0, 30), (4.0, 100)] {
        let release = noisy(multiplier).release().expect("accounted for").expect("noise");
        let (mut ours, mut gaussian) = (Spent::default(), Spent::default());
        ours.add(Event::Distributed(release), rounds).expect("added");
        let event = Sampled::new(multiplier, 1.0).expect("an event");
        gaussian.add(Event::Sampled(event), rounds).expect("added");
        let ratio = ours.epsilon(delta).rdp / gaussian.epsilon(delta).rdp;
        assert!((0.9999..1.0001).contains(&ratio), "{multiplier} {rounds}: {ratio}");
    }
}

#[test]
fn update_and_noise_fill_no_more_than_the_lanes() {
    let config = noisy(1.0);
    let bounds = config.noise_bounds().expect("room").expect("noise");
    assert_eq!(bounds.signal_max + bounds.noise_max, config.quantiser.magnitude_max());
    // All but the committee, which it has not.
    let bad = config.validate_layout();
    assert!(matches!(bad, Err(BadConfig::Committee(_))), "{bad:?}");
    // Twice as much noise has no room in half the range.
    let mut tight = noisy(2.0);
    tight.quantiser.range = 8.0;
    tight.noise = Some(Noise::of(planned(2.0), &tight.quantiser, 1000).expect("can be drawn"));
    let bad = tight.noise_bounds().expect_err("no room");
    assert!(matches!(bad, BadNoise::Room { .. }), "{bad}");
    assert_eq!(tight.validate_noise(), Err(bad));
}

#[test]
fn an_audit_bounds_update_and_noise_together() {
    let mut config = noisy(1.0);
    config.audit = Audit::Closed { rows: 128 };
    let bounds = config.noise_bounds().expect("room").expect("noise");
    let terms = crate::audit::Terms::new(&config).expect("can be audited");
    let expected =
        (bounds.signal_squared_max as f64).sqrt() + (bounds.share.to_f64() * 1000.0 * 1.43).sqrt();
    let plain = RoundConfig { noise: None, ..config.clone() };
    let plain = crate::audit::Terms::new(&plain).expect("can be audited");
    // Beside the vector there are digits in both.
    let digits = plain.norm_squared_max - config.quantiser.norm_squared_max();
    let length = ((terms.norm_squared_max - digits) as f64).sqrt();
    assert!((0.95 * expected..1.05 * expected).contains(&length), "{length} {expected}");
    assert!(f64::from(terms.packing.lane_bits).exp2() >= 16.0 * length);
    // What has no room is no round.
    let noise = config.noise.as_mut().expect("noise");
    (noise.share_numerator, noise.share_denominator) = (1 << 40, 1);
    assert!(crate::audit::Terms::new(&config).is_err());
}

/// What makes good terms bad.
type Change<'a> = &'a dyn Fn(&mut RoundConfig);

#[test]
fn nothing_leaves_beside_noise_without_any() {
    let refused = |change: &dyn Fn(&mut RoundConfig)| {
        let mut config = noisy(1.0);
        change(&mut config);
        config.packing = Packing::derive(Profile::B, 16, config.summands_max()).expect("a packing");
        match config.validate_layout() {
            Err(BadConfig::Noise(bad)) => bad.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let cases: [(Change<'_>, &str); 7] = [
        (&|c| c.quantiser.weighting = Weighting::CappedExamples(9), "weights"),
        (&|c| c.counters = 1, "counters"),
        (
            &|c| {
                let (owners, variate) = (20, Digest::ZERO);
                c.control = Some(Control { range: 1.0, clip_norm: 1.0, owners, variate });
            },
            "second vector",
        ),
        (
            &|c| {
                let (training, state) = (Training::Evidence, CreditState::first(Digest::ZERO));
                c.credit = Some(CreditConfig { fold: 30, steps: 20, training, state });
            },
            "several times",
        ),
        (
            &|c| {
                let noise = c.noise.as_mut().expect("noise");
                (noise.share_numerator, noise.share_denominator) = (200, 2);
            },
            "lowest terms",
        ),
        (&|c| c.noise.as_mut().expect("noise").colluding_max = 10, "between 0 and"),
        (&|c| c.noise.as_mut().expect("noise").signal_squared_max /= 2, "squared length"),
    ];
    for (change, part) in cases {
        let told = refused(change);
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_vote_on_the_clip_is_within_what_the_noise_hides_and_costs_little() {
    for (bits, range) in [(16, 32.0), (16, 12.0), (12, 12.0)] {
        let with = |has_vote| {
            let mut config = noisy(1.0);
            (config.quantiser.bits, config.quantiser.range) = (bits, range);
            let plan = NoisePlan { has_vote, ..planned(1.0) };
            config.noise = Some(Noise::of(plan, &config.quantiser, 1000).expect("noise"));
            config
        };
        let (plain, voted) = (with(false), with(true));
        assert_eq!(plain.vector_coordinates(), 1000);
        assert_eq!(voted.vector_coordinates(), 1001);
        let bounds = |config: &RoundConfig| config.noise_bounds().expect("room").expect("noise");
        let (without, with) = (bounds(&plain), bounds(&voted));
        assert!(with.vote_units > 0 && with.vote_units <= with.signal_max);
        assert_eq!(with.signal_max + with.noise_max, voted.quantiser.magnitude_max());
        // The noise hides both: z times the length of update and vote together.
        let moved = with.signal_squared_max + u64::from(with.vote_units).pow(2);
        let ratio = (9.0 * with.share.to_f64() / moved as f64).sqrt();
        assert!((1.0..1.000_001).contains(&ratio), "{ratio}");
        let louder = (with.share.to_f64() / without.share.to_f64()).sqrt();
        assert!((1.0..1.032).contains(&louder), "{louder}");
        // And costs the same.
        let epsilon = |config: &RoundConfig| {
            use covey_privacy::{delta::Delta, event::Event, spent::Spent};
            let release = config.release().expect("accounted for").expect("noise");
            let mut spent = Spent::default();
            spent.add(Event::Distributed(release), 10).expect("added");
            spent.epsilon(Delta::new(1e-6).expect("a delta")).rdp
        };
        let ratio = epsilon(&voted) / epsilon(&plain);
        assert!((0.9999..1.0001).contains(&ratio), "{ratio}");
    }
}
