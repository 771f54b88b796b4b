use super::{BadGrid, Grid, Pld};
use crate::delta::Delta;
use crate::event::Sampled;
use crate::normal::above;

fn pld(events: &[(f64, f64, u64)], grid: Grid) -> Pld {
    let events: Vec<_> = events
        .iter()
        .map(|&(noise, rate, count)| (Sampled::new(noise, rate).expect("an event"), count))
        .collect();
    Pld::new(&events, grid)
}

/// The Gaussian's delta in closed form: Balle, Wang 2018 (arXiv 1805.06530), theorem 8.
fn gaussian_delta(noise: f64, epsilon: f64) -> f64 {
    above(epsilon * noise - 0.5 / noise) - libm::exp(epsilon) * above(epsilon * noise + 0.5 / noise)
}

/// The delta of one sampled Gaussian, the worse of both neighbours, from its definition.
fn sampled_delta(noise: f64, rate: f64, epsilon: f64) -> f64 {
    let outcome = |signed: f64| noise * noise * libm::log1p(libm::expm1(signed) / rate) + 0.5;
    let removed = outcome(epsilon);
    let remove = (1.0 - rate - libm::exp(epsilon)) * above(removed / noise)
        + rate * above((removed - 1.0) / noise);
    let added = outcome(-epsilon);
    let add = (1.0 - libm::exp(epsilon) * (1.0 - rate)) * above(-added / noise)
        - libm::exp(epsilon) * rate * above((1.0 - added) / noise);
    if added.is_nan() { remove } else { remove.max(add) }
}

#[test]
fn gaussians_without_sampling_have_the_delta_of_the_closed_form() {
    for (noise, count) in [(0.3, 1), (1.0, 1), (4.0, 10), (50.0, 100), (0.05, 1)] {
        let whole = noise / f64::from(count as u32).sqrt();
        let pld = pld(&[(noise, 1.0, count)], Grid::default());
        for epsilon in [0.0, 0.3 / whole, 2.0 / whole, 0.5 / (whole * whole) + 4.0 / whole] {
            let exact = gaussian_delta(whole, epsilon);
            let found = pld.delta(epsilon);
            if exact > 1e-28 {
                let ratio = found / exact;
                assert!((1.0..1.001).contains(&ratio), "{noise} {count} {epsilon}: {ratio}");
            }
        }
    }
}

#[test]
fn sums_of_losses_have_the_delta_of_the_closed_form() {
    // A rate of almost 1 is not taken for 1: every step is convolved.
    for (noise, count) in [(1.0, 3), (5.0, 40), (60.0, 5_000)] {
        let whole = noise / f64::from(count as u32).sqrt();
        let pld = pld(&[(noise, 1.0 - 1e-12, count)], Grid::default());
        for epsilon in [0.5 / whole, 2.0 / whole, 0.5 / (whole * whole) + 5.0 / whole] {
            let ratio = pld.delta(epsilon) / gaussian_delta(whole, epsilon);
            assert!((1.0 - 1e-9..1.003).contains(&ratio), "{noise} {count} {epsilon}: {ratio}");
        }
    }
}

#[test]
fn one_sampled_gaussian_has_the_delta_of_its_definition() {
    for (noise, rate) in [(0.6, 0.2), (1.0, 0.01), (3.0, 0.5), (10.0, 0.001)] {
        let pld = pld(&[(noise, rate, 1)], Grid::default());
        for part in [0.1, 0.5, 1.0, 2.0, 4.0] {
            let epsilon = libm::log1p(rate * libm::expm1(part / noise));
            let exact = sampled_delta(noise, rate, epsilon);
            let ratio = pld.delta(epsilon) / exact;
            assert!((1.0..1.005).contains(&ratio), "{noise} {rate} {epsilon}: {ratio}");
        }
    }
}

#[test]
fn epsilon_and_delta_are_inverse_to_each_other() {
    let pld = pld(&[(0.8, 0.02, 500), (3.0, 1.0, 4)], Grid::default());
    for delta in [1e-2, 1e-5, 1e-10, 1e-20, 1e-30] {
        let epsilon = pld.epsilon(Delta::new(delta).expect("a delta"));
        let ratio = pld.delta(epsilon) / delta;
        assert!((0.99..1.01).contains(&ratio), "{delta}: epsilon {epsilon}, {ratio}");
    }
}

#[test]
fn a_finer_grid_gives_less_and_hardly_less() {
    let events = [(1.1, 0.01, 3_000), (2.0, 0.2, 10)];
    let delta = Delta::new(1e-7).expect("a delta");
    let epsilon = |cells: u32| pld(&events, Grid::cells(cells).expect("a grid")).epsilon(delta);
    let finest = epsilon(1 << 19);
    let mut last = f64::INFINITY;
    for bits in [10, 12, 14, 16] {
        let found = epsilon(1 << bits);
        assert!(
            found <= last && found >= (1.0 - 1e-6) * finest,
            "2^{bits} cells: {found}, before {last}"
        );
        last = found;
    }
    assert!(last / finest < 1.0005, "{last} {finest}");
}

#[test]
fn a_fixed_interval_rounds_up_too() {
    let events = [(1.1, 0.05, 300)];
    let delta = Delta::new(1e-6).expect("a delta");
    let fitted = pld(&events, Grid::default()).epsilon(delta);
    for interval in [1e-3, 1e-4, 2e-5] {
        let grid = Grid::interval(interval).expect("a grid");
        let ratio = pld(&events, grid).epsilon(delta) / fitted;
        assert!((0.9995..1.01).contains(&ratio), "{interval}: {ratio}");
    }
    // Far too fine: doubled until it fits.
    let grid = Grid::interval(1e-12).expect("a grid");
    assert!((pld(&events, grid).epsilon(delta) / fitted - 1.0).abs() < 1e-3);
}

#[test]
fn small_losses_and_rare_people_have_an_epsilon() {
    let delta = Delta::new(1e-10).expect("a delta");
    for (noise, rate, count) in [(1e6, 1e-9, 1), (20.0, 1e-9, 1_000_000), (1e6, 1.0, 1)] {
        let found = pld(&[(noise, rate, count)], Grid::default()).epsilon(delta);
        assert!((0.0..1e-3).contains(&found), "{noise} {rate} {count}: {found}");
    }
    // So rare that total variation is below delta.
    let found = pld(&[(20.0, 1e-9, 1)], Grid::default()).epsilon(delta);
    assert_eq!(found, 0.0);
}

#[test]
fn nothing_costs_nothing_and_the_least_noise_costs_something() {
    let delta = Delta::new(1e-6).expect("a delta");
    assert_eq!(pld(&[], Grid::default()).epsilon(delta), 0.0);
    assert_eq!(pld(&[], Grid::default()).delta(0.0), 0.0);
    for (rate, count) in [(1.0, 1), (0.5, 1), (0.5, 1_000), (1.0, 1_000)] {
        let found = pld(&[(0.05, rate, count)], Grid::default()).epsilon(delta);
        let mean = 200.0 * count as f64 * rate;
        assert!(found > 0.5 * mean && found < 10.0 * mean, "{rate} {count}: {found}");
    }
}

#[test]
fn what_is_no_grid_is_refused() {
    for cells in [0, 512, 1_000_000, 1 << 23] {
        assert_eq!(Grid::cells(cells), Err(BadGrid::Cells(cells)));
    }
    for interval in [0.0, -1.0, 1.5, f64::INFINITY] {
        assert_eq!(Grid::interval(interval), Err(BadGrid::Interval(interval)));
    }
    assert!(Grid::interval(f64::NAN).is_err());
}

/// How long an epsilon takes, by
/// `cargo test --release -p covey-privacy -- --ignored --nocapture milliseconds`
#[test]
#[ignore = "prints times, checks nothing"]
fn milliseconds_of_an_epsilon() {
    let delta = Delta::new(1e-6).expect("a delta");
    for (noise, rate, count) in [(1.0, 1.0, 30), (1.1, 0.01, 3_000)] {
        let start = std::time::Instant::now();
        let epsilon = pld(&[(noise, rate, count)], Grid::default()).epsilon(delta);
        let losses = start.elapsed().as_secs_f64() * 1e3;
        let start = std::time::Instant::now();
        let mut rdp = crate::rdp::Rdp::default();
        let event = Sampled::new(noise, rate).expect("an event");
        rdp.add(&crate::event::Event::Sampled(event), count);
        let renyi = rdp.epsilon(delta);
        let time = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "noise {noise}, rate {rate}, {count} steps: losses {epsilon:.4} in {losses:.0} ms"
        );
        println!("noise {noise}, rate {rate}, {count} steps: Renyi {renyi:.4} in {time:.0} ms");
    }
}
