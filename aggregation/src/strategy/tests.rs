use zeroize::Zeroizing;

use super::*;
use crate::config::{Packing, Profile, Quantiser, Weighting};
use crate::sum::quantise::quantise;
use crate::sum::xof::Xof;

const OWNERS: u32 = 4;
const START: [f32; 3] = [1.0, -2.0, 0.5];

/// Sums of four owners' units of 1: the means are these by four.
const SUMS: [[i32; 3]; 3] = [[4, -8, 2], [2, 4, 0], [-6, 1, 3]];

/// Terms in which a unit is 1.
fn config(dimension: u64, control: Option<Control>) -> RoundConfig {
    let mut config = crate::config::tests::config(Profile::B, 8, OWNERS, dimension);
    config.quantiser.range = 127.0;
    config.control = control;
    config
}

fn aggregate(sums: &[i32], control: &[i32]) -> Aggregate {
    let (sums, control) = (sums.to_vec(), control.to_vec());
    Aggregate { count: OWNERS, weight: OWNERS.into(), sums, control, counters: Vec::new() }
}

/// The parameters after each of the three rounds.
fn run(strategy: &Strategy, server_lr: f64) -> Vec<Vec<f32>> {
    let config = config(3, None);
    let (mut parameters, mut state) = (START.to_vec(), strategy.initial(3));
    let round = |sums: &[i32; 3]| {
        // What is kept is kept as bytes.
        let kept = State::decode(&state.encode()).expect("a state");
        assert_eq!(kept.digest(), state.digest());
        let step = strategy.step(server_lr, (&parameters, &kept), &config, &aggregate(sums, &[]));
        let stepped = step.expect("finite");
        (parameters, state) = (stepped.parameters, stepped.state);
        parameters.clone()
    };
    SUMS.iter().map(round).collect()
}

fn assert_near(got: &[Vec<f32>], expected: &[[f64; 3]]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((f64::from(*got) - expected).abs() < 1e-6, "{got} {expected}");
    }
}

#[test]
fn fedavg_and_fedprox_add_the_mean() {
    for strategy in [Strategy::FedAvg, Strategy::FedProx { mu: 0.1 }] {
        let expected = [[1.5, -3.0, 0.75], [1.75, -2.5, 0.75], [1.0, -2.375, 1.125]];
        assert_near(&run(&strategy, 0.5), &expected);
    }
}

/// By hand for the first parameter and 0.9: v is 1, 1.4, -0.24.
#[test]
fn fedavgm_is_hsus() {
    let expected = [[1.5, -3.0, 0.75], [2.2, -3.4, 0.975], [2.08, -3.635, 1.5525]];
    assert_near(&run(&Strategy::FedAvgM { momentum: 0.9 }, 0.5), &expected);
    let expected = [[1.5, -3.0, 0.75], [2.0, -3.0, 0.875], [1.5, -2.875, 1.3125]];
    assert_near(&run(&Strategy::FedAvgM { momentum: 0.5 }, 0.5), &expected);
}

/// Numbers of a plain Python program after algorithm 2 of the paper. By hand for the first: m is
/// 0.1, v 0.010_000_99, and 0.1 * 0.1 / (0.100_004_9 + 0.001) = 0.099_005.
#[test]
fn fedadam_is_reddis() {
    let expected = [
        [1.099_005_048_882_542_5, -2.099_501_262_367_658_8, 0.598_020_190_120_948_4],
        [1.223_604_896_529_055_8, -2.135_261_401_697_519, 0.686_674_032_489_959_3],
        [1.210_803_930_125_623_3, -2.156_243_340_772_479, 0.813_781_773_988_709_3],
    ];
    assert_near(&run(&Strategy::FedAdam(Adaptive::DEFAULT), 0.1), &expected);
    let coarse = Adaptive { beta_1: 0.9, beta_2: 0.9, tau: 2.0 };
    let expected = [
        [1.002_548_719_794_429, -2.005, 0.501_280_756_313_787],
        [1.006_202_483_022_925_3, -2.007_038_975_835_543, 0.502_463_025_682_35],
        [1.005_571_111_691_431, -2.008_267_239_345_786_8, 0.505_559_636_406_650_6],
    ];
    assert_near(&run(&Strategy::FedAdam(coarse), 0.1), &expected);
}

/// Likewise; with the coarse constants v shrinks and grows.
#[test]
fn fedyogi_is_reddis() {
    let expected = [
        [1.099_004_999_875_006_2, -2.099_501_249_992_187_5, 0.598_019_998_000_399_8],
        [1.223_109_815_307_092, -2.135_118_695_401_271_5, 0.686_237_996_200_759_6],
        [1.210_349_663_860_324_6, -2.155_914_951_092_982_3, 0.812_960_088_101_275_6],
    ];
    assert_near(&run(&Strategy::FedYogi(Adaptive::DEFAULT), 0.1), &expected);
    let coarse = Adaptive { beta_1: 0.9, beta_2: 0.9, tau: 2.0 };
    let expected = [
        [1.002_515_823_418_685, -2.005, 0.501_251_959_252_462_2],
        [1.006_043_602_946_354_4, -2.007_012_658_734_948, 0.502_378_722_579_678_3],
        [1.005_429_870_266_041, -2.008_195_566_852_45, 0.505_281_036_505_491_6],
    ];
    assert_near(&run(&Strategy::FedYogi(coarse), 0.1), &expected);
}

#[test]
fn scaffold_moves_the_variate_by_the_share_that_took_part() {
    let strategy = Strategy::Scaffold { range: 12.7, clip_norm: 100.0 };
    let manifest = Digest([4; 32]);
    let state = strategy.initial(2);
    let control = strategy.control(&state, 16, &manifest).expect("it has one");
    assert_eq!(control.variate, variate_digest(&manifest, &[0.0, 0.0]));
    let config = config(2, Some(control));
    // A unit of the control is 0.1; 4 of 16 owners: c grows by 1/4 of the mean of 4.
    let first = aggregate(&[4, -8], &[40, -120]);
    let stepped = strategy.step(1.0, (&[0.0, 0.0], &state), &config, &first).expect("finite");
    assert_eq!(stepped.parameters, [1.0, -2.0]);
    let variate = |stepped: &Stepped| stepped.state.variate().expect("one");
    assert_eq!(variate(&stepped), [0.25, -0.75]);
    assert!((stepped.norm - 5f64.sqrt()).abs() < 1e-12);
    let next = strategy.control(&stepped.state, 16, &manifest).expect("it has one");
    assert_eq!(next.variate, variate_digest(&manifest, &[0.25, -0.75]));
    let second = aggregate(&[0, 0], &[-40, 40]);
    let kept = (&stepped.parameters[..], &stepped.state);
    let stepped = strategy.step(1.0, kept, &config, &second).expect("finite");
    assert_eq!(variate(&stepped), [0.0, -0.5]);
}

#[test]
fn a_state_or_an_aggregate_of_another_run_is_refused() {
    let momentum = Strategy::FedAvgM { momentum: 0.9 };
    let (config, sums) = (config(3, None), aggregate(&SUMS[0], &[]));
    let step = |strategy: &Strategy, state: &State| {
        strategy.step(1.0, (&START, state), &config, &sums).map(|stepped| stepped.norm)
    };
    let refused = step(&momentum, &State::default());
    assert_eq!(refused, Err(BadStep::State(BadState::Strategy("fedavgm"))));
    let refused = step(&momentum, &momentum.initial(2));
    assert_eq!(refused, Err(BadStep::State(BadState::Length(3))));
    let broken = State::of(Kept::Momentum { velocity: vec![0.0, f64::NAN, 0.0] });
    assert_eq!(step(&momentum, &broken), Err(BadStep::State(BadState::NotFinite(1))));
    let scaffold = Strategy::Scaffold { range: 1.0, clip_norm: 1.0 };
    assert_eq!(step(&scaffold, &scaffold.initial(3)), Err(BadStep::Control));
    let short = aggregate(&SUMS[0][..2], &[]);
    let refused = momentum.step(1.0, (&START, &momentum.initial(3)), &config, &short);
    assert_eq!(refused, Err(BadStep::Length { mean: 2, parameters: 3 }));
    assert!(State::decode(&momentum.initial(3).encode()[..20]).is_err());
    assert!(State::decode(b"\x02\x00").is_err());
}

#[test]
fn a_model_that_is_no_longer_finite_is_divergence() {
    let strategy = Strategy::FedAvg;
    let far = [f32::MAX, 0.0, 0.0];
    let step = |server_lr| {
        let sums = aggregate(&[4, 0, 0], &[]);
        strategy.step(server_lr, (&far, &State::default()), &config(3, None), &sums)
    };
    assert_eq!(step(1e38), Err(BadStep::Diverged { index: 0 }));
    assert!(step(1.0).is_ok());
}

#[test]
fn what_leaves_is_said_in_numbers() {
    let text = Strategy::FedAvg.sends(1000, 0, false);
    assert!(text.contains("1000 numbers") && !text.contains("held-out"), "{text}");
    let text = Strategy::Scaffold { range: 1.0, clip_norm: 1.0 }.sends(1000, 7, false);
    assert!(text.matches("(1000 numbers").count() == 2 && text.contains("7 exact"), "{text}");
    assert!(text.contains("own folder"), "{text}");
}

/// Owner i's loss is a_i / 2 (x - b_i)^2; the federation's optimum is sum a b / sum a.
struct Quadratic {
    a: f64,
    b: f64,
    own: Vec<f64>,
}

/// K local steps on each owner's quadratic, then the strategy's step; without encryption, but
/// through the quantiser.
fn descend(strategy: &Strategy, rounds: u32, quantiser: Quantiser) -> (f32, f64, Vec<Quadratic>) {
    const STEPS: usize = 10;
    const LR: f64 = 0.05;
    let owner = |(a, b)| Quadratic { a, b, own: vec![0.0] };
    let mut owners: Vec<_> = [(10.0, 0.0), (1.0, 4.0), (0.5, -6.0)].map(owner).into();
    let (mut x, mut state) = (vec![3.0f32], strategy.initial(1));
    for round in 0..rounds {
        let control = strategy.control(&state, owners.len() as u32, &Digest::ZERO);
        let variate = state.variate().unwrap_or_else(|| vec![0.0]);
        let mut config = config(1, control);
        config.quantiser = quantiser;
        config.packing = Packing::derive(Profile::B, quantiser.bits, 4).expect("a packing");
        let (mut sums, mut changes) = (vec![0], vec![0; usize::from(control.is_some())]);
        for (index, owner) in (0..).zip(&mut owners) {
            let offset = gradient_offset(&variate, &owner.own);
            let mut y = f64::from(x[0]);
            for _ in 0..STEPS {
                y -= LR * (owner.a * (y - owner.b) + f64::from(offset[0]));
            }
            let update = [(y - f64::from(x[0])) as f32];
            let mut rng = Xof::new(&Zeroizing::new([index; 32]), round.into());
            let mut quantised = quantise(&update, &quantiser, 1, &mut rng).expect("finite");
            if let Some(control) = &control {
                let change = control_change(&variate, &update, STEPS as f64 * LR).expect("steps");
                quantised = quantised.with_control(&change, control, &mut rng).expect("finite");
                owner.own[0] += sent_change(&quantised, control)[0];
            }
            sums[0] += quantised.units().next().expect("one");
            for (sum, unit) in changes.iter_mut().zip(quantised.control_units()) {
                *sum += unit;
            }
        }
        let opened =
            Aggregate { count: 3, weight: 3, sums, control: changes, counters: Vec::new() };
        let stepped = strategy.step(1.0, (&x, &state), &config, &opened).expect("finite");
        (x, state) = (stepped.parameters, stepped.state);
    }
    let variate = state.variate().map_or(0.0, |variate| f64::from(variate[0]));
    (x[0], variate, owners)
}

#[test]
fn scaffold_finds_the_optimum_from_which_fedavg_drifts() {
    let quantiser =
        Quantiser { bits: 16, range: 10.0, clip_norm: 100.0, weighting: Weighting::Uniform };
    let optimum = (10.0 * 0.0 + 1.0 * 4.0 + 0.5 * -6.0) / 11.5;
    // FedAvg comes to rest where sum (1 - (1 - lr a)^K) (b - x) is zero.
    let pull = |a: f64| 1.0 - (1.0 - 0.05 * a).powi(10);
    let drifted = (4.0 * pull(1.0) - 6.0 * pull(0.5)) / (pull(10.0) + pull(1.0) + pull(0.5));
    assert!((drifted - optimum).abs() > 0.02, "{drifted} {optimum}");
    let (x, ..) = descend(&Strategy::FedAvg, 400, quantiser);
    assert!((f64::from(x) - drifted).abs() < 3e-3, "{x} {drifted}");
    let scaffold = Strategy::Scaffold { range: 100.0, clip_norm: 1000.0 };
    let (x, variate, owners) = descend(&scaffold, 400, quantiser);
    assert!((f64::from(x) - optimum).abs() < 5e-3, "{x} {optimum}");
    // The federation's variate is the mean of the owners', and that of the gradients: none.
    let mean = owners.iter().map(|owner| owner.own[0]).sum::<f64>() / 3.0;
    assert!((variate - mean).abs() < 1e-5, "{variate} {mean}");
    assert!(variate.abs() < 0.05, "{variate}");
    // Each owner's is its own gradient there.
    for Quadratic { a, b, own } in owners {
        assert!((own[0] - a * (optimum - b)).abs() < 0.1, "{} {}", own[0], a * (optimum - b));
    }
}
