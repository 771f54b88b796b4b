//! How often honest owners whose update is exactly at the clip are rejected: with its energy in all
//! lanes, and with all of it in one, beside what chi-square says.

use covey_aggregation::audit::Terms as Bounds;
use covey_aggregation::audit::projection::project;
use covey_aggregation::audit::rows::Rows;
use covey_aggregation::config::CommitteeShape;
use covey_aggregation::hash::Digest;
use covey_aggregation::sum::path::Path;
use covey_benches::{Figure, Report, Terms};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ROWS;
use crate::round::round;

/// Audits of each kind.
const AUDITS: u32 = 10_000;

/// Parameters: one chunk, so that ten thousand audits take seconds.
const DIMENSION: u64 = 2_000;

pub(crate) fn measure(report: &Report) {
    let (config, _) = round(DIMENSION, CommitteeShape::Four);
    let bounds = Bounds::new(&config).expect("audited");
    let lanes = config.packing.lanes as usize;
    let terms = |text: &str| Terms {
        text: format!("J={ROWS} d={DIMENSION}, {AUDITS} at the clip, {text}"),
        d: DIMENSION,
        n_max: config.contributions_max,
        w: config.quantiser.bits,
        profile: "B".to_owned(),
        holders: 0,
        path: Path::current().name(),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for (text, used) in [("all lanes", lanes), ("one lane", 1)] {
        let rejected = (0..AUDITS)
            .filter(|_| {
                let mut beacon = [0; 32];
                rng.fill_bytes(&mut beacon);
                let rows = Rows::new(&Digest(beacon), usize::from(ROWS));
                let units = at_the_clip(&mut rng, bounds.norm_squared_max, lanes, used);
                let squares: u128 = (project(&config, &rows, &units).iter())
                    .map(|&y| u128::from(y.unsigned_abs()).pow(2))
                    .sum();
                squares > bounds.update_bound
            })
            .count();
        let degrees = f64::from(ROWS) * used as f64;
        let expected = f64::from(AUDITS) * chi_square_tail(degrees, 1.5 * degrees);
        let figure = Figure::new("honest.rejected", &terms(text), rejected as f64, "audits");
        report.figure(&figure.beside("chi-square tail", expected));
    }
}

/// Integers of squared norm `square` or the least below it, uniform, in `used` of `lanes` lanes.
fn at_the_clip(rng: &mut ChaCha8Rng, square: u64, lanes: usize, used: usize) -> Vec<i32> {
    let lane = |i: usize| i % lanes < used;
    let values: Vec<f64> = (0..DIMENSION as usize)
        .map(|i| if lane(i) { rng.random_range(-1.0..1.0) } else { 0.0 })
        .collect();
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let scale = (square as f64).sqrt() / norm;
    let mut units: Vec<i32> = values.iter().map(|x| (x * scale).round() as i32).collect();
    // Rounding may have made it longer: one unit towards zero at a time.
    let mut excess = units.iter().map(|&x| i64::from(x).pow(2)).sum::<i64>() - square as i64;
    for unit in units.iter_mut().filter(|unit| **unit != 0) {
        if excess <= 0 {
            break;
        }
        excess -= 2 * i64::from(unit.abs()) - 1;
        *unit -= unit.signum();
    }
    units
}

/// P(chi-square with `degrees` degrees of freedom > `x`), by Wilson and Hilferty's cube root.
fn chi_square_tail(degrees: f64, x: f64) -> f64 {
    let spread = 2.0 / (9.0 * degrees);
    let z = ((x / degrees).cbrt() - (1.0 - spread)) / spread.sqrt();
    // The normal tail by its continued fraction (Abramowitz and Stegun, 26.2.14), for z above 2.
    let fraction = (1..60).rev().fold(z, |rest, i| z + f64::from(i) / rest);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() / fraction
}
