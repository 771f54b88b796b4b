//! Three integers for every owner of a round, as the encrypted run has them and as whoever saw the
//! updates would. A fourth is computed beside them to see what it would be good for; no round
//! releases it.

use covey_aggregation::audit::estimate::{FRACTION_BITS, Known};
use covey_aggregation::audit::projection::project;
use covey_aggregation::audit::rows::Rows;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::{Domain, hash};

use crate::direction::Directions;
use crate::federation::Round;
use crate::plan::{self, AUDIT_ROWS, EXAMPLES_CAP};

/// What is released of one owner: along the trained direction, along what is new of it, and along
/// the path of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scores {
    pub(crate) s: i64,
    pub(crate) novelty: i64,
    pub(crate) harm: i64,
    /// Not released: along what neither the last steps nor opened folds give.
    pub(crate) public: i64,
}

/// Both kinds of one round's evidence, by owner.
pub(crate) struct Evidence {
    /// By the public weights of the audit's projections: what it opens, exactly, as integers.
    pub(crate) encrypted: Vec<Scores>,
    /// By the inner products with the same directions.
    pub(crate) exact: Vec<Scores>,
}

/// What the numbers are taken along: a coefficient for each public vector.
type Targets = [Vec<f64>; NUMBERS];

/// Three that are released, and one that is not.
const NUMBERS: usize = 4;

impl Evidence {
    /// Of `round`. `seed` stands for all that the beacon of rows hangs on.
    pub(crate) fn new(round: &Round, directions: &Directions, seed: u64) -> Self {
        let config = plan::terms(round.before.len());
        let numbers = [seed, u64::from(round.number)].map(u64::to_le_bytes);
        let beacon = hash(Domain::Training, &[b"credit-quality-rows", &numbers[0], &numbers[1]]);
        let rows = Rows::new(&beacon, usize::from(AUDIT_ROWS));
        let Directions { trained, path, sum, steps, opened } = directions;
        let mut vectors: Vec<&[i32]> = vec![trained, path, sum];
        vectors.extend(steps.iter().map(Vec::as_slice));
        let last: Vec<usize> = (3..vectors.len()).collect();
        let known = Known::new(&config, &rows, &vectors);
        let along = |one: usize| {
            (0..vectors.len()).map(|other| f64::from(u8::from(other == one))).collect::<Vec<_>>()
        };
        let released = [along(0), known.beyond(0, &last), along(1)];
        vectors.extend(opened.iter().map(Vec::as_slice));
        let everybodys: Vec<usize> = (3..vectors.len()).collect();
        let all_known = Known::new(&config, &rows, &vectors);
        let public = all_known.beyond(0, &everybodys);
        let [s, novelty, harm] = released.each_ref().map(|target| known.weights(target));
        let rho = [s, novelty, harm, all_known.weights(&public)];
        let [s, novelty, harm] = released;
        let targets = [s, novelty, harm, public];
        Self {
            encrypted: of_all(round, |units| projected(&config, &rows, &rho, units)),
            exact: of_all(round, |units| inner(&vectors, &targets, units)),
        }
    }
}

fn of_all(round: &Round, of: impl Fn(&[i32]) -> [i128; NUMBERS]) -> Vec<Scores> {
    let all = round.units.iter().zip(&round.weights);
    all.map(|(units, weight)| unweighed(of(units), *weight)).collect()
}

/// The functions that the audit opens, of an owner's projections.
fn projected(
    config: &RoundConfig,
    rows: &Rows,
    rho: &[Vec<i64>; NUMBERS],
    units: &[i32],
) -> [i128; NUMBERS] {
    let projections = project(config, rows, units);
    rho.each_ref().map(|rho| {
        rho.iter().zip(&projections).map(|(rho, y)| i128::from(*rho) * i128::from(*y)).sum()
    })
}

/// The inner products, in the unit of the others.
fn inner(vectors: &[&[i32]], targets: &Targets, units: &[i32]) -> [i128; NUMBERS] {
    let products: Vec<i64> = vectors.iter().map(|vector| product(vector, units)).collect();
    targets.each_ref().map(|target| {
        let whole: f64 =
            target.iter().zip(&products).map(|(part, product)| part * *product as f64).sum();
        (whole * f64::from(1u32 << FRACTION_BITS)).round() as i128
    })
}

/// Sealed updates are weighed already, and credits weigh by themselves: so the weight, which is
/// public, is taken out again.
fn unweighed(scores: [i128; NUMBERS], weight: u32) -> Scores {
    let weight = i128::from(weight.max(1));
    let [s, novelty, harm, public] = scores.map(|score| {
        let times = score * i128::from(EXAMPLES_CAP);
        ((times + times.signum() * weight / 2) / weight) as i64
    });
    Scores { s, novelty, harm, public }
}

fn product(left: &[i32], right: &[i32]) -> i64 {
    left.iter().zip(right).map(|(left, right)| i64::from(*left) * i64::from(*right)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::Digits;
    use crate::federation::Federation;
    use crate::scenario::Scenario;

    #[test]
    fn the_weight_is_taken_out_to_the_nearest_unit() {
        let scores = unweighed([10, -10, 1, 0], EXAMPLES_CAP / 3);
        assert_eq!(scores, Scores { s: 30, novelty: -30, harm: 3, public: 0 });
        let scores = unweighed([1, -1, 0, 4], 100);
        assert_eq!(scores, Scores { s: 2, novelty: -2, harm: 0, public: 6 });
        assert_eq!(unweighed([100, -99, 7, 0], EXAMPLES_CAP).novelty, -99);
    }

    /// What makes the encrypted figures those of an encrypted run: numbers of the owners add up to
    /// those of the published sum, to the last unit, before weights are taken out.
    #[test]
    fn the_numbers_of_all_owners_add_up_to_those_of_the_sum() {
        let digits = Digits::open(1).expect("they ship");
        let owners = Scenario::Mixed.owners(&digits, 1);
        let federation = Federation::new(&owners, &digits, 1);
        let rounds = federation.record();
        let round = &rounds[4];
        let config = plan::terms(round.before.len());
        let rows = Rows::new(&hash(Domain::Training, &[b"rows"]), usize::from(AUDIT_ROWS));
        let directions =
            Directions::new(round, federation.fold(5), &rounds[..4], federation.opened(5));
        let known = Known::new(&config, &rows, &[&directions.trained, &directions.sum]);
        let rho = [known.weights(&[1.0, 0.0]), known.weights(&[0.0, 1.0]), Vec::new(), Vec::new()];
        let of = |units: &[i32]| projected(&config, &rows, &rho, units);
        let mut all = [0; NUMBERS];
        for units in &round.units {
            all.iter_mut().zip(of(units)).for_each(|(sum, number)| *sum += number);
        }
        assert_eq!(all, of(&round.sum()));
        // And the sum, which is known, has its exact product but for the rounding of weights.
        let exact = product(&directions.trained, &round.sum()) as f64;
        let estimate = all[0] as f64 / f64::from(1u32 << FRACTION_BITS);
        assert!((estimate / exact - 1.0).abs() < 1e-3, "{estimate} {exact}");
    }

    #[test]
    fn estimates_are_close_to_the_inner_products_and_zeros_have_none() {
        let digits = Digits::open(3).expect("they ship");
        let owners = Scenario::Mixed.owners(&digits, 3);
        let federation = Federation::new(&owners, &digits, 3);
        let rounds = federation.record();
        let directions =
            Directions::new(&rounds[6], federation.fold(7), &rounds[..6], federation.opened(7));
        let Evidence { encrypted, exact } = Evidence::new(&rounds[6], &directions, 3);
        // Owner 8 sends zeros.
        assert_eq!(encrypted[8], Scores { s: 0, novelty: 0, harm: 0, public: 0 });
        assert_eq!(exact[8], Scores { s: 0, novelty: 0, harm: 0, public: 0 });
        let clean = |scores: &[Scores]| scores[..4].iter().map(|one| one.s as f64).sum::<f64>();
        let ratio = clean(&encrypted) / clean(&exact);
        assert!((0.8..1.2).contains(&ratio), "{ratio}");
        // Owner 9 sends the wrong sign.
        assert!(exact[9].s < 0 && encrypted[9].s < 0);
    }
}
