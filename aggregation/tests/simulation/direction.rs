//! A validation pool and directions for the simulated world: what training would give is drawn from
//! digests, the same for everybody.

use covey_aggregation::audit::crediting::{Directed, project_sum};
use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::question::Question;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::credit::Training;
use covey_aggregation::credit::pool::{draw_fold, example_leaf, pool_root};
use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::holder::{DirectionQuestion, OwnDirections};

/// Classes of the pool's examples: four, 60 of each.
pub(crate) fn classes() -> Vec<u32> {
    (0..240).map(|index| index % 4).collect()
}

/// The root of the pool.
pub(crate) fn pool() -> Digest {
    let leaves: Vec<_> =
        (0..).zip(classes()).map(|(i, class)| example_leaf(i, class, b"x")).collect();
    pool_root(&leaves)
}

/// The model after a round whose sums are these.
pub(crate) fn after(config: &RoundConfig, sums: &[i32]) -> Digest {
    let sums: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    hash(Domain::Model, &[&config.model.0, &sums])
}

/// Numbers that stand for a trained vector.
fn numbers(length: u64, parts: &[&[u8]]) -> Vec<f32> {
    let number = |i: u64| {
        let mut all = parts.to_vec();
        let index = i.to_le_bytes();
        all.push(&index);
        let [a, b, ..] = hash(Domain::Training, &all).0;
        f32::from(a) - f32::from(b)
    };
    (0..length).map(number).collect()
}

/// Owners that bring the opposite of what is wanted, where evidence weighs updates: the last two.
pub(crate) const BAD_OWNERS: usize = 2;

/// Makes the coordinates of all owners positive, but for those of the bad.
fn tell_apart(trained: &mut [f32]) {
    let good = trained.len().saturating_sub(BAD_OWNERS);
    for (index, number) in trained.iter_mut().enumerate() {
        let size = 64.0 + number.abs() / 2.0;
        *number = if index < good { size } else { -size };
    }
}

/// Fold and directions of a round.
pub(crate) fn directions(config: &RoundConfig, fold: &[u32], after: &Digest) -> Directions {
    let credit = config.credit.as_ref().expect("terms with credit");
    let fold: Vec<u8> = fold.iter().flat_map(|index| index.to_le_bytes()).collect();
    let d = config.dimension;
    let mut trained = numbers(d, &[b"trained", &config.model.0, &fold]);
    if credit.training == Training::Evidence {
        tell_apart(&mut trained);
    }
    let path = numbers(d, &[b"path", &config.model.0, &after.0, &fold]);
    let step = |step: &covey_aggregation::credit::ModelStep| {
        numbers(d, &[b"step", &step.before.0, &step.after.0])
    };
    let steps: Vec<_> = credit.state.steps.iter().map(step).collect();
    Directions::new(&trained, &path, &steps).expect("finite numbers")
}

/// What the coordinator's worker computes.
pub(crate) fn direct(
    question: &Question<'_>,
    config: &RoundConfig,
    (beacon, retired): (&Digest, &[u32]),
    (sums, rest): (&[i32], &[i32]),
) -> Result<(Directed, Directions, Vec<i64>), String> {
    let size = config.credit.as_ref().expect("terms with credit").fold;
    let examples = draw_fold(beacon, &classes(), retired, size).map_err(|no| no.to_string())?;
    let after = after(config, sums);
    let directions = directions(config, &examples, &after);
    let functions = directions.functions(question, sums).map_err(|bad| bad.to_string())?;
    let projections = project_sum(question, sums, rest);
    let directed = Directed {
        examples,
        aggregate: Digest::ZERO,
        after,
        directions: directions.digest(),
        functions: functions.to_bytes(),
        rest: rest.to_vec(),
    };
    Ok((directed, directions, projections))
}

/// What a holder's program computes, from the coordinator's sums.
pub(crate) fn own(question: &DirectionQuestion, sums: &[i32]) -> Result<OwnDirections, String> {
    let DirectionQuestion { config, set, rows, fold, retired, directed } = question;
    let asked = Question::new(config, *set, *rows).expect("audited terms");
    let own = direct(&asked, config, (fold, retired), (sums, &directed.rest))?;
    let (Directed { examples, functions, .. }, _, projections) = own;
    Ok(OwnDirections { examples, functions, projections })
}
