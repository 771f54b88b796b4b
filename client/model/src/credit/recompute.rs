//! Fold, directions and functions of a round, computed by somebody who has pool, models and the
//! opened sum. Holders do it before they open anything, and anybody else afterwards.

use covey_aggregation::audit::crediting::project_sum;
use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::question::Question;
use covey_aggregation::holder::{DirectionQuestion, OwnDirections};
use covey_aggregation::sum::open::Aggregate;

use super::{Models, NoDirections, directions, fold};
use crate::train::Trainer;
use crate::validation::ValidationPool;

/// What was computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed {
    /// To compare with what the coordinator says ([`OwnDirections::compare`]).
    pub own: OwnDirections,
    /// The directions that its functions come of.
    pub directions: Directions,
}

/// Computes what `question` asks, of the opened sum `aggregate` and these models.
///
/// # Errors
/// [`NoDirections`]; [`NoDirections::OtherModel`] when the round came to another model than the
/// question says.
pub fn recompute(
    trainer: &Trainer,
    pool: &ValidationPool,
    question: &DirectionQuestion,
    models: &Models,
    aggregate: &Aggregate,
) -> Result<Recomputed, NoDirections> {
    let DirectionQuestion { config, set, rows, fold: beacon, retired, directed } = question;
    let examples = fold(pool, config, (beacon, retired))?;
    let computed = trainer.task().parameters_digest(&models.after);
    if computed != directed.after {
        return Err(NoDirections::OtherModel { published: directed.after, computed });
    }
    let directions = directions(trainer, pool, config, &examples, models)?;
    let asked = Question::new(config, *set, *rows)?;
    let functions = directions.functions(&asked, &aggregate.sums)?;
    let projections = project_sum(&asked, &aggregate.sums, &directed.rest);
    let own = OwnDirections { examples, functions: functions.to_bytes(), projections };
    Ok(Recomputed { own, directions })
}
